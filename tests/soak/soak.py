# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Asks the hook in tests/soak/soak.c for one release after the other, by every method and
with every kind of limit, and tells whether the program noticed.

Usage: soak.py HOOK SOAK DIRECTORY RELEASES [SECONDS]
"""

import os
import random
import select
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, SOAK, DIRECTORY = sys.argv[1:4]
RELEASES = int(sys.argv[4])
SECONDS = float(sys.argv[5]) if len(sys.argv) > 5 else float("inf")
PATH = os.path.join(DIRECTORY, "soak.sock")


def start(listener):
    env = dict(os.environ, LD_PRELOAD=HOOK, MEMGUARD_SOCKET=PATH)
    process = subprocess.Popen([SOAK], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, Agent.of(listener, process.pid)


class Totals:
    def __init__(self):
        self.count = dict.fromkeys(["borrow", "full", "stats", "left"], 0)
        self.ends = [0] * 4
        self.dropped, self.longest_usec = 0, 0

    def add(self, reply):
        self.count["full" if reply.method == FULL else "borrow"] += 1
        self.ends[reply.end] += 1
        self.dropped += reply.dropped
        self.longest_usec = max(self.longest_usec, reply.stall_usec)


def some_order(pick):
    if pick.random() < 0.3:
        return order(FULL)
    return order(BORROW, limit_bytes=pick.choice([0, 0, 1 << 20]), limit_usec=pick.choice([0, 300, 2000]))


def soak(listener, process, agent, totals):
    pick = random.Random(int(os.environ.get("SOAK_SEED", "1")))
    begin = time.monotonic()
    n = 0
    while n < RELEASES and time.monotonic() - begin < SECONDS:
        n += 1
        if n % 1000 == 0:
            # Goes away in the middle of a release, and waits for the hook to come back.
            agent.send(RECLAIM, some_order(pick), id=n)
            agent.conn.close()
            agent = Agent.of(listener, process.pid)
            totals.count["left"] += 1
            continue
        if n % 10 == 0:
            agent.ask(STATS, struct.pack("=II", 5, 0), id=n)
            totals.count["stats"] += 1
        header, payload = agent.ask(RECLAIM, some_order(pick), id=n)
        assert header[4] == OK, header
        totals.add(Reclaimed(payload))
        if n % 50 == 0:
            # Children that start threads have agents of their own.
            drain(listener)
            assert process.poll() is None, "the program has ended"
    return n, time.monotonic() - begin


def main():
    listener = listen(PATH)
    process, agent = start(listener)
    totals = Totals()
    n, seconds = soak(listener, process, agent, totals)
    process.stdin.close()
    while process.poll() is None:
        drain(listener)
        select.select([process.stdout], [], [], 0.1)
    print(f"{n} releases in {seconds:.0f} s: {totals.count}, by end {totals.ends}")
    print(f"dropped {totals.dropped >> 20} MiB, longest call {totals.longest_usec / 1000:.1f} ms")
    print(f"the program: status {process.returncode}, {process.stdout.read().strip()}")
    return process.returncode != 0


sys.exit(main())
