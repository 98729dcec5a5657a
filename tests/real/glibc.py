# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One other glibc, for 60-glibc.sh: both methods, the program goes on, and borrowing tells
how far it got.

Usage: glibc.py HOOK STALL DIRECTORY LIBRARIES
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, STALL, DIRECTORY, LIBRARIES = sys.argv[1:]
PATH = os.path.join(DIRECTORY, "glibc.sock")
MIB = 1 << 20
OPTIONS = ["--total=128", "--arenas=8", "--holes=8192:262144", "--busy=0", "--sorted"]

bad = False


def claim(text, good, shown=""):
    global bad
    print(("ok - " if good else "not ok - ") + text, flush=True)
    if not good:
        print("# " + str(shown), flush=True)
        bad = True


def start(listener, others):
    loader = os.path.join(LIBRARIES, "ld-linux-x86-64.so.2")
    preload = f"{HOOK}:{os.path.join(DIRECTORY, others)}"
    words = [loader, "--preload", preload, "--library-path", LIBRARIES, STALL, *OPTIONS]
    env = dict(os.environ, MEMGUARD_SOCKET=PATH)
    process = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    agent = Agent.of(listener, process.pid)
    process.stdout.readline()
    return process, agent


def released(reply):
    return reply.rss_before - reply.rss_after


def main():
    listener = listen(PATH)
    process, agent = start(listener, "names.so")
    version = agent.hello[1][48:64].split(b"\0")[0].decode()
    if int(version.split(".")[1]) < 34:
        with open(f"/proc/{process.pid}/maps") as maps:
            claim(f"{version}: pthread_create is found where there is no libdl", "/libdl" not in maps.read())
    comes_back = int(version.split(".")[1]) < 42
    header, payload = agent.ask(STATS, struct.pack("=II", 1, 0))
    claim(f"{version}: the heap is read", header[4] == OK and struct.unpack("=I", payload[:4])[0] & 1, header)

    dropped = 0
    for _ in range(3):
        status, borrowed = agent.reclaim(BORROW)
        dropped += borrowed.dropped
    claim(f"{version}: borrowing is done again and again", (status, borrowed.end) == (OK, DONE), borrowed)
    reached = borrowed.n_reached >= 8
    claim(f"{version}: it tells how far it got", reached == comes_back, borrowed)
    with open(f"/proc/{process.pid}/statm") as file:
        rss = int(file.read().split()[1]) * 4096
    if comes_back:
        claim(f"{version}: and has given back nine tenths", rss < 24 * MIB, rss // MIB)
    else:
        claim(f"{version}: and has given back some of the largest holes", dropped > 4 * MIB, dropped)

    status, full = agent.reclaim(FULL)
    claim(f"{version}: a full trim gives back the rest", status == OK and full.rss_after < 24 * MIB, full)
    claim(f"{version}: another allocator's names are found", full.allocators == 3, full)
    answers = [agent.ask(TUNE, struct.pack("=IIQ", 2, 0, size * MIB))[0][4] for size in (1, 64)]
    print(f"# {version}: MmapThreshold= of 1M and of 64M: {answers}")
    # Half of a heap was the most that it took once: it says so, and so do we.
    wanted = [OK, FAILED if int(version.split(".")[1]) < 32 else OK]
    claim(f"{version}: a threshold that it refuses is told", answers == wanted, answers)
    process.stdin.close()
    claim(f"{version}: the program ends well", process.wait(LIMIT_SEC) == 0)

    process, agent = start(listener, "fill.so")
    status, _ = agent.reclaim(BORROW)
    claim(f"{version}: where free() fills memory nothing is borrowed", status == UNSUPPORTED, status)
    process.stdin.close()
    process.wait(LIMIT_SEC)
    return 1 if bad else 0


sys.exit(main())
