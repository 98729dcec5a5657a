# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Asks the hook in tests/soak/soak.c for one release after the other, by every method and
with every kind of limit, also behind one that is under way, and tells whether the program
noticed. See run.sh.
SIGTERM ends it as the last release would, with the figures until then.

Usage: soak.py HOOK SOAK DIRECTORY RELEASES SECONDS
"""

import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, SOAK, DIRECTORY = sys.argv[1:4]
RELEASES, SECONDS = float(sys.argv[4]), float(sys.argv[5])
PATH = os.path.join(DIRECTORY, "soak.sock")

# Longer than the hook wants a connection to last before it comes back within a second.
LEAVE_SEC = 12
REPORT_SEC = 60

_stop = []


def start(listener):
    env = dict(os.environ, LD_PRELOAD=HOOK, MEMGUARD_SOCKET=PATH)
    process = subprocess.Popen([SOAK], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, Agent.of(listener, process.pid)


class Totals:
    def __init__(self):
        self.count = dict.fromkeys(["borrow", "full", "stats", "left"], 0)
        self.cpu_usec = dict.fromkeys(["borrow", "full"], 0)
        self.ends = [0] * 5  # DONE to ASKED
        self.dropped, self.longest_usec, self.n_borrowed = 0, 0, 0
        self.begin = time.monotonic()

    def add(self, reply):
        method = "full" if reply.method == FULL else "borrow"
        self.count[method] += 1
        self.cpu_usec[method] += reply.cpu_usec
        self.ends[reply.end] += 1
        self.dropped += reply.dropped
        self.n_borrowed += reply.n_borrowed
        self.longest_usec = max(self.longest_usec, reply.stall_usec)

    def releases(self):
        return self.count["full"] + self.count["borrow"] + self.count["left"]

    def seconds(self):
        return time.monotonic() - self.begin

    def show(self):
        counts = ", ".join(f"{name} {n}" for name, n in self.count.items())
        cpu = ", ".join(f"{name} {usec / 1000 / max(1, self.count[name]):.2f}" for name, usec in self.cpu_usec.items())
        print(
            f"{self.releases()} releases in {self.seconds():.0f} s: {counts}; "
            f"by end done {self.ends[DONE]}, bytes {self.ends[BYTES]}, time {self.ends[TIME]}, left {self.ends[LEFT]}, "
            f"overtaken {self.ends[ASKED]}"
        )
        print(
            f"ms of CPU for each: {cpu}; {self.n_borrowed} chunks borrowed, "
            f"{self.dropped >> 20} MiB dropped, longest call {self.longest_usec / 1000:.1f} ms",
            flush=True,
        )


def some_order(pick):
    if pick.random() < 0.3:
        return order(FULL)
    return order(BORROW, limit_bytes=pick.choice([0, 1 << 16, 1 << 18]), limit_usec=pick.choice([0, 300, 1000]))


def answer(agent, id, totals):
    header, payload = agent.receive()
    assert (header[3], header[4]) == (id, OK), header
    totals.add(Reclaimed(payload))


def overtake(agent, pick, id, totals):
    """A borrowing without limits, and at any point of it the more urgent question behind it."""
    agent.send(RECLAIM, order(BORROW), id=id)
    select.select([agent.conn], [], [], pick.choice([0, 0.0002, 0.001]))
    agent.send(RECLAIM, order(FULL), id=id + 1)
    answer(agent, id, totals)
    answer(agent, id + 1, totals)


def soak(listener, process, agent, totals):
    pick = random.Random(int(os.environ.get("SOAK_SEED", "1")))
    connected = reported = n = 0
    while not _stop and totals.releases() < RELEASES and totals.seconds() < SECONDS:
        n += 1
        id = totals.releases() + 1
        if totals.seconds() - connected > LEAVE_SEC:
            # Goes away in the middle of a release, and waits for the hook to come back.
            agent.send(RECLAIM, some_order(pick), id=id)
            agent.conn.close()
            agent = Agent.of(listener, process.pid)
            totals.count["left"] += 1
            connected = totals.seconds()
            continue
        if n % 10 == 0:
            agent.ask(STATS, struct.pack("=II", 5, 0), id=id)
            totals.count["stats"] += 1
        if pick.random() < 0.1:
            overtake(agent, pick, id, totals)
        else:
            agent.send(RECLAIM, some_order(pick), id=id)
            answer(agent, id, totals)
        if n % 50 == 0:
            # Children that start threads have agents of their own.
            drain(listener)
            assert process.poll() is None, "the program has ended"
        if totals.seconds() - reported > REPORT_SEC:
            totals.show()
            reported = totals.seconds()


def end(listener, process):
    """Its last line; children may still connect, and must not wait in vain."""
    process.stdin.close()
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < LIMIT_SEC:
        drain(listener)
        select.select([process.stdout], [], [], 0.1)
    assert process.poll() is not None, "the program hangs"
    return process.stdout.read().strip()


def main():
    signal.signal(signal.SIGTERM, lambda *_: _stop.append(True))
    listener = listen(PATH)
    process, agent = start(listener)
    totals = Totals()
    try:
        soak(listener, process, agent, totals)
        said = end(listener, process)
    except (AssertionError, OSError, TypeError) as e:
        # TypeError: the hook hung up instead of answering.
        print(f"not ok - after {totals.releases()} releases: {type(e).__name__} {e}")
        return 1
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        totals.show()
    print(f"the program: status {process.returncode}, {said}")
    # Of each kind, or nothing was soaked.
    return process.returncode != 0 or 0 in (totals.count["full"], totals.count["borrow"], totals.ends[ASKED])


sys.exit(main())
