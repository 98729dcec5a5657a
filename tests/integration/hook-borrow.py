# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Borrowing, seen from the daemon's end, for hook-borrow.sh. The program is
tests/bench/stall.c: a heap of holes in several arenas.

Usage: hook-borrow.py HOOK STALL DIRECTORY
"""

import os
import select
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, STALL, DIRECTORY = sys.argv[1:]
PATH = os.path.join(DIRECTORY, "borrow.sock")
MIB = 1 << 20


class Holes(Program, Agent):
    """stall.c with the hook in it."""

    def __init__(self, listener, *options, preload=HOOK, **environment):
        self.process = spawn([STALL, *options], preload, PATH, environment)
        self.listener = listener
        agent = Agent.of(listener, self.process.pid)
        self.conn, self.hello = agent.conn, agent.hello
        self.ready = self.process.stdout.readline().split()

    def n_operations(self):
        return int(self.command("worst").split("operations ")[1].split(",")[0])

    def works(self):
        """Its threads still allocate and free."""
        before = self.n_operations()
        return any(self.n_operations() > before for _ in range(100000))

    def in_use(self):
        """Bytes handed out from the heap, ours that are held included."""
        _, payload = self.ask(STATS, struct.pack("=II", 1, 0))
        return struct.unpack("=Q", payload[40:48])[0]

    def again(self):
        """After this end has hung up: the hook comes back by itself."""
        self.conn = Agent.of(self.listener, self.process.pid).conn

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(LIMIT_SEC)
        self.conn.close()
        return status


def check_release(listener):
    for arenas in 1, 8:
        program = Holes(listener, "--total=128", f"--arenas={arenas}", "--holes=8192:262144")
        before = program.rss()
        status, reply = program.reclaim(BORROW)
        after = program.rss()
        what = f"{arenas} arena{'s' if arenas > 1 else ''}"
        claim(f"{what}: borrowing is answered", (status, reply.method, reply.end) == (OK, BORROW, DONE), reply)
        claim(
            f"{what}: nine tenths of the holes but what its threads use are given back, as the kernel sees it",
            before > 120 * MIB and before - after > 0.9 * 108 * MIB,
            (before // MIB, after // MIB, reply),
        )
        claim(f"{what}: all of them were reached", reply.n_reached >= arenas, reply)
        claim(f"{what}: it says what it cost", 0 < reply.stall_usec <= reply.duration_usec > 0, reply)
        claim(f"{what}: heaps grew by little, which it tells", 0 < reply.grown <= 6 * MIB, reply)
        _, again = program.reclaim(BORROW)
        claim(f"{what}: a second one finds little", again.rss_before - again.rss_after < (reply.rss_before - reply.rss_after) / 4, again)
        claim(f"{what}: the program works on", program.works())
        claim(f"{what}: and ends well", program.end() == 0)


def check_again(listener):
    """With nobody at work nothing is freed between the two."""
    for arenas in 1, 8:
        program = Holes(listener, "--total=128", f"--arenas={arenas}", "--holes=8192:262144", "--busy=0")
        _, first = program.reclaim(BORROW)
        # 128 MiB of holes between 8 and 256 KiB.
        claim(f"{arenas} arenas at rest: each hole is taken about once", first.n_borrowed < 1000 + 300 * arenas, first)
        _, again = program.reclaim(BORROW)
        left = again.rss_before - again.rss_after
        claim(f"{arenas} arenas at rest: a second one finds next to nothing", left < 4 * MIB, again)
        claim(f"{arenas} arenas at rest: and leaves no more than it found", left > -MIB // 2, again)
        _, full = program.reclaim(FULL)
        left = full.rss_before - full.rss_after
        claim(f"{arenas} arenas at rest: a full trim finds as little", left < 2 * MIB, full)
        program.end()


def check_tops(listener):
    """malloc_trim() leaves the tops of thread arenas; borrowing does not."""
    options = ["--total=8", "--arenas=4", "--holes=65536:65536", "--tops=16", "--busy=0"]
    for what, tunables in ("", ""), (", also without caches of threads", "glibc.malloc.tcache_count=0"):
        program = Holes(listener, *options, GLIBC_TUNABLES=tunables)
        program.reclaim(FULL)
        full = program.rss()
        program.reclaim(BORROW)
        borrow = program.rss()
        claim("tops that a full trim leaves are given back" + what, full - borrow > 40 * MIB, (full // MIB, borrow // MIB))
        program.end()


def check_limits(listener):
    program = Holes(listener, "--total=128", "--arenas=4", "--holes=65536:65536", "--busy=0")
    _, reply = program.reclaim(BORROW, limit_bytes=16 * MIB)
    claim(
        "it stops when it has what was asked for",
        reply.end == BYTES and 16 * MIB <= reply.dropped < 32 * MIB,
        reply,
    )
    claim("and holds nothing", program.in_use() < 24 * MIB, program.in_use())
    _, reply = program.reclaim(BORROW, limit_usec=1)
    claim("it stops when its time is up", reply.end == TIME and reply.dropped < 32 * MIB, reply)
    claim("and holds nothing then either", program.in_use() < 24 * MIB, program.in_use())
    _, reply = program.reclaim(BORROW)
    claim("the next one gives the rest", reply.end == DONE and program.rss() < 24 * MIB, (reply, program.rss()))
    program.end()


def check_leaving(listener):
    """The daemon goes away in the middle of it."""
    program = Holes(listener, "--total=128", "--arenas=4", "--holes=8192:16384")
    for _ in range(3):
        program.send(RECLAIM, order(BORROW))
        program.conn.close()
        program.again()
    claim("after a daemon that left in the middle nothing is held", program.in_use() < 24 * MIB, program.in_use())
    status, reply = program.reclaim(BORROW)
    claim("and the next release works", (status, reply.end) == (OK, DONE), reply)
    claim("as does the program", program.works())
    claim("which ends well", program.end() == 0)


def interrupt(program, fallen):
    """A full trim asked for when a borrowing has given back that much: both answers, and the heap then."""
    before = program.rss()
    program.send(RECLAIM, order(BORROW), id=11)
    while before - program.rss() < fallen and not select.select([program.conn], [], [], 0)[0]:
        pass
    program.send(RECLAIM, order(FULL), id=12)
    answers = [program.receive() for _ in range(2)]
    return [(header[3], Reclaimed(payload)) for header, payload in answers], program.in_use()


def check_asked(listener):
    """Another question in the middle of it, at several points of it."""
    for fallen in 0, 1, 16, 64:
        # On a busy machine it can be done before the other question is there.
        for _ in range(10):
            program = Holes(listener, "--total=256", "--arenas=4", "--holes=8192:16384")
            ((first_id, first), (second_id, second)), in_use = interrupt(program, fallen * MIB)
            if first.end == ASKED:
                break
            program.end()
        what = f"asked for something else after {fallen} MiB"
        claim(f"{what} it ends", first.end == ASKED, first)
        claim(f"{what} it says what it has given", first.dropped >= fallen * MIB // 2, first)
        claim(f"{what} it answers both in order", (first_id, second_id) == (11, 12))
        claim(f"{what} it does that, too", (second.method, second.end) == (FULL, DONE), second)
        claim(f"{what} it holds nothing", in_use < 24 * MIB, in_use)
        claim(f"{what} that gives back the rest, but tops", program.rss() < 128 * MIB, program.rss() // MIB)
        claim(f"{what} the program works on", program.works())
        status, _ = program.reclaim(BORROW)
        claim(f"{what} it can be borrowed from again", status == OK, status)
        claim(f"{what} the program ends well", program.end() == 0)


def check_refused(listener):
    """Where malloc() fills, tags or keeps what would be borrowed, it is not borrowed."""
    cases = [
        {"MALLOC_PERTURB_": "7"},
        {"GLIBC_TUNABLES": "glibc.malloc.perturb=7"},
        {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2"},
        {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4:glibc.malloc.tcache_max=1048576"},
        # By the program itself: fill.so calls mallopt(M_PERTURB).
        {"preload": f"{HOOK}:{os.path.join(DIRECTORY, 'fill.so')}"},
    ]
    for environment in cases:
        program = Holes(listener, "--total=8", "--arenas=2", "--holes=65536:65536", **environment)
        status, _ = program.reclaim(BORROW)
        claim(f"with {environment} nothing is borrowed", status == UNSUPPORTED, status)
        status, _ = program.reclaim(FULL)
        if "hugetlb" in environment.get("GLIBC_TUNABLES", ""):
            # Some kernels drop a huge page whole when they are told to drop a part.
            claim("nor trimmed", status == UNSUPPORTED, status)
        else:
            claim("but a full trim is done", status == OK, status)
        program.end()


def check_huge(listener):
    """What the top grows by is resident at once, in huge pages: it is no end of free memory."""
    options = "--total=256", "--arenas=4", "--holes=8192:1048576", "--busy=0"
    program = Holes(listener, *options, GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
    before = program.rss()
    _, reply = program.reclaim(BORROW)
    after = program.rss()
    claim("with huge pages it comes to its end", reply.end == DONE, reply)
    claim("and gives back the holes", before > 240 * MIB and after < 64 * MIB, (before // MIB, after // MIB, reply))
    claim("the program ends well", program.end() == 0)


def check_end(listener):
    """Nobody waits for the answer; the program's main thread goes at the same time."""
    statuses = []
    for _ in range(10):
        program = Holes(listener, "--total=32", "--arenas=4", "--holes=8192:16384")
        program.send(RECLAIM, order(BORROW))
        statuses.append(program.end())
    claim("a program that ends while it lends ends well", not any(statuses), statuses)


def check_forks(listener):
    program = Holes(listener, "--total=64", "--arenas=4", "--holes=8192:65536", "--fork")
    replies = [program.reclaim(BORROW)[1] for _ in range(5)]
    claim("forks in the middle of it harm neither side", all(r.end == DONE for r in replies), replies)
    claim("children have not kept the program from working", program.works())
    claim("nor from giving back", program.rss() < 24 * MIB, program.rss() // MIB)
    claim("nor from ending", program.end() == 0)


def main():
    signal.alarm(1800)
    listener = listen(PATH)
    check_release(listener)
    check_again(listener)
    check_tops(listener)
    check_limits(listener)
    check_leaving(listener)
    check_asked(listener)
    check_refused(listener)
    check_huge(listener)
    check_end(listener)
    check_forks(listener)
    return exit_status()


sys.exit(main())
