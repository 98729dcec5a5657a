# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The daemon's end of the hook channel, made by hand: so that a change of libhook/wire.h
that its other users follow silently is seen.
"""

import os
import select
import socket
import struct
import subprocess

MAGIC, VERSION, SIZE = 0x4D474431, 3, 512
HELLO, STATS, ARENA, RECLAIM, TUNE, BYE = range(1, 7)
OK, UNSUPPORTED, REFUSED, FAILED = range(4)
FULL, BORROW = 1, 2
DONE, BYTES, TIME, LEFT, ASKED = range(5)
HEADER = struct.Struct("=IHHQII")

# Only a hang takes this long; every wait is for an event.
LIMIT_SEC = 240

_failed = []


def claim(text, good, shown=""):
    """One line of a test; @shown says more where it is not so."""
    print(("ok - " if good else "not ok - ") + text, flush=True)
    if not good:
        print("# " + str(shown), flush=True)
        _failed.append(text)


def exit_status():
    return 1 if _failed else 0


def frame(verb, payload=b"", *, id=7, magic=MAGIC, version=VERSION, status=0, length=None, size=SIZE):
    length = len(payload) if length is None else length
    data = HEADER.pack(magic, version, verb, id, status, length) + payload
    return data.ljust(size, b"\0")[:size]


def hello(tid=1):
    """A good HELLO, which names that thread."""
    numbers = struct.pack("=8I", tid, 1, 1, 1, 4096, 0, 0, 0)
    return frame(HELLO, numbers + b"0.1.0".ljust(16, b"\0") + b"2.36".ljust(16, b"\0"), id=0)


def order(method, *, allocators=0, limit_bytes=0, limit_usec=0):
    """The payload of a RECLAIM question."""
    return struct.pack("=IIQII", method, allocators, limit_bytes, limit_usec, 0)


class Reclaimed:
    """The payload of its answer."""

    FIELDS = (
        "method allocators end n_arenas n_reached n_borrowed rss_before rss_after "
        "duration_usec cpu_usec stall_usec dropped grown"
    ).split()
    LAYOUT = struct.Struct("=6I7Q")

    def __init__(self, payload):
        for name, value in zip(self.FIELDS, self.LAYOUT.unpack(payload[: self.LAYOUT.size])):
            setattr(self, name, value)

    def __repr__(self):
        return " ".join(f"{name}={getattr(self, name)}" for name in self.FIELDS)


def listen(path):
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(64)
    listener.settimeout(LIMIT_SEC)
    return listener


def peer_pid(conn):
    return struct.unpack("=3i", conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


class Agent:
    """A connection from a hook, after its HELLO."""

    def __init__(self, conn):
        self.conn = conn
        self.conn.settimeout(LIMIT_SEC)
        self.hello = self.receive()

    @classmethod
    def of(cls, listener, pid):
        """The agent of one process; others that connect meanwhile are turned away."""
        while True:
            conn, _ = listener.accept()
            if peer_pid(conn) == pid:
                return cls(conn)
            conn.close()

    def receive(self):
        """Header and payload; None when the hook has hung up."""
        try:
            data = self.conn.recv(4 * SIZE)
        except ConnectionResetError:
            return None
        if not data:
            return None
        assert len(data) == SIZE, len(data)
        return HEADER.unpack(data[: HEADER.size]), data[HEADER.size :]

    def send(self, verb, payload=b"", **other):
        self.conn.send(frame(verb, payload, **other))

    def ask(self, verb, payload=b"", **other):
        self.send(verb, payload, **other)
        return self.receive()

    def reclaim(self, method, **limits):
        """Status and what was reclaimed."""
        header, payload = self.ask(RECLAIM, order(method, **limits))
        return header[4], Reclaimed(payload)


def spawn(words, hook, path, environment=(), **how):
    """A program with the hook in it, whose daemon listens at @path."""
    env = dict(os.environ, LD_PRELOAD=hook, MEMGUARD_SOCKET=path)
    env.update(environment)
    return subprocess.Popen(words, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how)


class Program:
    """One that answers lines with lines. self.process is its Popen."""

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def command(self, text):
        self.say(text)
        return self.process.stdout.readline().strip()

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def drain(listener):
    """Turns away whoever waits, so that the queue does not fill."""
    while select.select([listener], [], [], 0)[0]:
        listener.accept()[0].close()
