#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a release does to busy threads: the longest malloc, free and fork in a program full of
holes (stall.c) while it is asked to give them back, by memguard and by its peers, beside
the longest without any release, and beside a thread that uses as much of a processor and
touches no heap. "Not waiting" is the longest malloc or free less what of it the thread was ready
to run and had no processor: what locks, pages and lists took. A markdown table; every result as JSON to
BUILD/bench-stall.jsonl. Ratios within a row's heap mean something, times do not.

Usage: stall.py --build=DIR [--quick] [--heap=TEXT] [--method=TEXT,...]
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "shim"))
from hook_peer import *  # noqa: E402

MIB = 1 << 20
QUIET_SEC = 5

# Name, options of stall.c.
HEAPS = [
    ("2 GiB, 1 arena", ["--total=2048", "--arenas=1"]),
    ("2 GiB, 8 arenas", ["--total=2048", "--arenas=8"]),
    ("2 GiB, 64 arenas", ["--total=2048", "--arenas=64"]),
    ("12 GiB, 1 arena", ["--total=12288", "--arenas=1"]),
    ("12 GiB, 8 arenas", ["--total=12288", "--arenas=8"]),
    ("12 GiB, 64 arenas", ["--total=12288", "--arenas=64"]),
    # A fork waits for every arena, and copies page tables: a row of its own.
    ("2 GiB, 8 arenas, and forks", ["--total=2048", "--arenas=8", "--fork"]),
]
HOLES = ["--holes=8192:1048576", "--busy=2", "--sorted"]


class Options:
    build, quick, heap, method = None, False, "", ""


def parse_options():
    for word in sys.argv[1:]:
        if word.startswith("--build="):
            Options.build = os.path.abspath(word[8:])
        elif word == "--quick":
            Options.quick = True
        elif word.startswith("--heap="):
            Options.heap = word[7:]
        elif word.startswith("--method="):
            Options.method = word[9:]
        else:
            sys.exit(f"stall.py: {word}: no such option")
    if not Options.build or not os.path.isdir(Options.build):
        sys.exit("stall.py: --build=DIR: a build directory is needed")


class Program:
    def __init__(self, binary, options, **environment):
        self.process = subprocess.Popen(
            [binary, *options],
            env=dict(os.environ, **environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        self.process.stdout.readline()

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def worst(self):
        """Longest malloc, free, fork, and of those not waiting, in msec, and RSS in MiB."""
        words = self.command("worst").replace(",", "").split()
        return [float(words[i]) / 1000 for i in (1, 3, 5, 7)], int(words[-1])

    def cpu_msec(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e6

    def end(self):
        self.process.kill()
        self.process.wait()


def quiet(program, seconds=QUIET_SEC):
    program.command("mark")
    time.sleep(seconds)
    return program.worst()


def by_trim(program, _):
    """malloc_trim(0), called by the program's main thread."""
    return float(program.command("trim").split("cpu ")[1].split()[0])


def by_gdb(program, _):
    """The same, injected. It may hang the program, which is then told as such."""
    before = program.cpu_msec()
    words = ["gdb", "-p", str(program.pid), "-batch", "-ex", "call (int)malloc_trim(0)"]
    try:
        subprocess.run(words, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None
    return program.cpu_msec() - before


def stolen_msec():
    """What the machine below has taken from this one's processors."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) * 1000 / os.sysconf("SC_CLK_TCK")


def by_hook(method):
    def release(_, agent):
        agent.conn.settimeout(900)
        _, reply = agent.reclaim(method)
        if "VERBOSE" in os.environ:
            print(f"# longest call {reply.stall_usec} us, {reply.n_borrowed} borrowed, grown {reply.grown}")
        return reply.cpu_usec / 1000

    return release


METHODS = [
    ("malloc_trim(0), by the program", by_trim, False),
    ("malloc_trim(0), by gdb", by_gdb, False),
    ("memguard, full", by_hook(FULL), True),
    ("**memguard, borrow**", by_hook(BORROW), True),
]


def measure(binary, directory, heap, name, release, hooked):
    environment, listener, agent = {}, None, None
    if hooked:
        path = os.path.join(directory, "stall.sock")
        listener = listen(path)
        environment = {"LD_PRELOAD": os.path.join(Options.build, "libmemguard-hook.so"), "MEMGUARD_SOCKET": path}
    program = Program(binary, [*heap[1], *HOLES], **environment)
    if hooked:
        agent = Agent.of(listener, program.pid)
    without, before = quiet(program)
    program.command("mark")
    begin, stolen = time.monotonic(), stolen_msec()
    cpu = release(program, agent)
    took = time.monotonic() - begin
    result = {"heap": heap[0], "method": name, "before_mib": before, "took_msec": took * 1000, "cpu_msec": cpu}
    result["stolen_msec"] = stolen_msec() - stolen
    result["without_msec"] = without
    if cpu is not None:
        result["worst_msec"], result["after_mib"] = program.worst()
    if hooked:
        program.command("mark")
        program.command(f"spin {cpu}")
        result["control_msec"] = program.worst()[0]
    program.end()
    if hooked:
        listener.close()
    return result


def shown(msec):
    longest, own = max(msec[:2]), msec[3]
    return f"{longest:.1f} ({own:.1f})" + (f", a fork {msec[2]:.1f}" if msec[2] else "")


def row(result, trim):
    if result["cpu_msec"] is None:
        return [result["method"], "the program hangs", "", "", "", "", ""]
    released = result["before_mib"] - result["after_mib"]
    return [
        result["method"],
        f"{released}",
        f"{100 * released / max(1, trim['before_mib'] - trim['after_mib']):.0f} %",
        shown(result["worst_msec"]),
        shown(result["without_msec"]),
        shown(result["control_msec"]) if "control_msec" in result else "",
        f"{result['cpu_msec'] / max(0.1, trim['cpu_msec']):.1f}",
    ]


def main():
    parse_options()
    directory = tempfile.mkdtemp(prefix="memguard-bench.")
    binary = os.path.join(directory, "stall")
    words = "cc -O2 -D_GNU_SOURCE -pthread -o".split()
    subprocess.run([*words, binary, os.path.join(HERE, "stall.c")], check=True)
    try:
        with open(os.path.join(Options.build, "bench-stall.jsonl"), "w") as log:
            for heap in HEAPS[: 3 if Options.quick else None]:
                if not heap[0].startswith(Options.heap):
                    continue
                print(f"\n| {heap[0]} | released, MiB | of malloc_trim | longest malloc or free (not waiting), ms "
                      "| without a release | beside a thread without a heap | CPU, of malloc_trim |\n|---|---|---|---|---|---|---|")
                trim = None
                for name, release, hooked in METHODS:
                    if not any(text in name for text in Options.method.split(",")) or release is by_gdb and not shutil.which("gdb"):
                        continue
                    result = measure(binary, directory, heap, name, release, hooked)
                    trim = trim or result
                    log.write(json.dumps(result) + "\n")
                    print("| " + " | ".join(row(result, trim)) + " |", flush=True)
                    if result["stolen_msec"] > 0:
                        print(f"# meanwhile {result['stolen_msec']:.0f} ms of its processors were taken from this machine")
    finally:
        shutil.rmtree(directory)


main()
