# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Releases in programs that have changed what the hook stands on, for hook-changed.sh: who keeps track of
mappings, a root of its own, room that the loader takes from every stack.

Usage: hook-changed.py HOOK SUBJECT DIRECTORY
"""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, SUBJECT, DIRECTORY = sys.argv[1:]
STATS_HEAP, STATS_RSS = 1, 4
MIB = 1 << 20

# What the subject has freed, less the pages that stay beside what it uses.
LEAST = 20 * MIB


class Subject:
    def __init__(self, *words, **environment):
        path = os.path.join(DIRECTORY, "socket")
        self.listener = listen(path)
        self.process = spawn([SUBJECT, *words], HOOK, path, environment)
        self.agent = Agent.of(self.listener, self.process.pid)
        if not words:
            self.process.stdout.readline()

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def told(self):
        return int(self.go_on().split()[1])

    def heap(self):
        """Flags of the figures, and how much of the heap is resident."""
        _, payload = self.agent.ask(STATS, struct.pack("=II", STATS_HEAP | STATS_RSS, 0))
        flags, _, _, heap_rss = struct.unpack("=IIQQ", payload[:24])
        return flags, heap_rss

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(LIMIT_SEC)
        self.process.stdout.close()
        self.listener.close()
        return status


def check_told():
    subject = Subject()
    before = subject.told()
    status, reply = subject.agent.reclaim(BORROW)
    told = subject.told() - before
    claim("a borrow gives back what there is", status == OK and reply.dropped >= LEAST, reply)
    claim("and whoever stands in front of madvise() is told of it", told >= reply.dropped, (told, reply))
    claim("the program ends as it would", subject.end() == 0)


def check_rooted():
    root = os.path.join(DIRECTORY, "root")
    os.mkdir(root)
    subject = Subject(root)
    answer = subject.go_on()
    if answer.startswith("chroot"):
        print(f"ok - after chroot() the heap is read # SKIP {answer}")
        subject.process.stdin.close()
        return
    flags, heap_rss = subject.heap()
    claim("after chroot() the heap is read", flags & STATS_RSS and heap_rss >= LEAST, (flags, heap_rss))
    claim("the program ends as it would", subject.end() == 0)


def check_room(surplus):
    """glibc takes it from each thread's stack, whatever size that was made with."""
    subject = Subject(GLIBC_TUNABLES=f"glibc.rtld.optional_static_tls={surplus}")
    flags, _ = subject.heap()
    status, reply = subject.agent.reclaim(BORROW)
    claim(f"with {surplus} bytes of every stack taken the agent has its own", flags and status == OK, reply)
    claim("the program ends as it would", subject.end() == 0)


check_told()
check_rooted()
for surplus in 512, 60000, 128500:
    check_room(surplus)
sys.exit(exit_status())
