# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Asks the hook in tests/soak/soak.c for one release after the other, by every method and
with every kind of limit, and tells whether the program noticed.

Usage: soak.py HOOK SOAK DIRECTORY RELEASES [SECONDS]
"""

import os
import random
import socket
import struct
import subprocess
import sys
import time

HOOK, SOAK, DIRECTORY = sys.argv[1:4]
RELEASES = int(sys.argv[4])
SECONDS = float(sys.argv[5]) if len(sys.argv) > 5 else float("inf")
PATH = os.path.join(DIRECTORY, "soak.sock")

MAGIC, VERSION, SIZE = 0x4D474431, 2, 512
STATS, RECLAIM = 2, 4
FULL, BORROW = 1, 2
HEADER = struct.Struct("=IHHQII")
REPLY = struct.Struct("=6I7Q")

# Only a hang takes this long.
LIMIT_SEC = 120


def frame(verb, payload, id):
    return (HEADER.pack(MAGIC, VERSION, verb, id, 0, len(payload)) + payload).ljust(SIZE, b"\0")


class Agent:
    """The soaked program's agent. Its children's agents connect too, and are left alone."""

    def __init__(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(PATH)
        self.listener.listen(64)
        self.listener.settimeout(LIMIT_SEC)
        env = dict(os.environ, LD_PRELOAD=HOOK, MEMGUARD_SOCKET=PATH)
        self.process = subprocess.Popen(
            [SOAK], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.connect()

    def connect(self):
        while True:
            conn, _ = self.listener.accept()
            pid = struct.unpack("=3i", conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            if pid == self.process.pid:
                break
            conn.close()
        conn.settimeout(LIMIT_SEC)
        conn.recv(SIZE)
        self.conn = conn

    def drain(self):
        """What children left in the queue, so that it does not fill."""
        self.listener.setblocking(False)
        try:
            while True:
                self.listener.accept()[0].close()
        except BlockingIOError:
            pass
        self.listener.settimeout(LIMIT_SEC)

    def ask(self, verb, payload, id):
        self.conn.send(frame(verb, payload, id))
        data = self.conn.recv(SIZE)
        assert len(data) == SIZE, "the hook has hung up"
        return HEADER.unpack(data[: HEADER.size]), data[HEADER.size :]

    def leave(self, payload, id):
        """Goes away in the middle of a release, and waits for the hook to come back."""
        self.conn.send(frame(RECLAIM, payload, id))
        self.conn.close()
        self.connect()


def main():
    seed = int(os.environ.get("SOAK_SEED", "1"))
    pick = random.Random(seed)
    agent = Agent()
    begin = time.monotonic()
    count = {"borrow": 0, "full": 0, "stats": 0, "left": 0}
    dropped, worst, ends = 0, 0, [0] * 4
    n = 0
    while n < RELEASES and time.monotonic() - begin < SECONDS:
        n += 1
        kind = pick.random()
        method = FULL if kind < 0.3 else BORROW
        limit_bytes = pick.choice([0, 0, 1 << 20])
        limit_usec = pick.choice([0, 300, 2000]) if method == BORROW else 0
        payload = struct.pack("=IIQII", method, 0, limit_bytes, limit_usec, 0)
        if n % 1000 == 0:
            agent.leave(payload, n)
            count["left"] += 1
            continue
        if n % 10 == 0:
            agent.ask(STATS, struct.pack("=II", 5, 0), n)
            count["stats"] += 1
        header, data = agent.ask(RECLAIM, payload, n)
        reply = REPLY.unpack(data[: REPLY.size])
        assert header[5 - 1] == 0, header
        count["full" if method == FULL else "borrow"] += 1
        dropped += reply[11]
        worst = max(worst, reply[10])
        ends[reply[2]] += 1
        if n % 50 == 0:
            agent.drain()
            assert agent.process.poll() is None, "the program has ended"
    seconds = time.monotonic() - begin
    agent.process.stdin.close()
    while agent.process.poll() is None:
        agent.drain()
        time.sleep(0.01)
    did = agent.process.stdout.read().strip()
    print(f"{n} releases in {seconds:.0f} s: {count}, by end {ends}")
    print(f"dropped {dropped >> 20} MiB, longest call {worst / 1000:.1f} ms")
    print(f"the program: status {agent.process.returncode}, {did}")
    return agent.process.returncode != 0


sys.exit(main())
