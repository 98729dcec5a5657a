#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a release does to busy threads: the longest malloc, free and fork in a program full of
holes (stall.c) while it is asked to give them back, by memguard and by its peers, beside
the longest without any release, and beside a thread that uses as much of a processor and
touches no heap. By "auto" the whole of memguard is meant: the daemon reads the statistics, chooses
the method (which is told) and asks, reads them once more where that is not felt; what else
stands under memguard is the hook
alone, told the method. Such a look holds each arena's lock for a walk over its free chunks, which no
rest interrupts: below the row is told for how long the last one read the heap, and how long the
longest call of the release itself was, so that it shows which of the two a long wait may be. "Not waiting" is the longest malloc or free less what of it the thread was ready to run and
had no processor: what locks, pages and lists took. A markdown table; every result as JSON to
BUILD/bench-stall.jsonl. Ratios within a row's heap mean something, times do not.

Usage: stall.py --build=DIR [--quick] [--runs=N] [--heap=TEXT,...] [--method=TEXT,...]
       stall.py --build=DIR --readme: the table in README.md, of the last run's results

Without options all heaps and methods are measured: HEAPS and METHODS below; a heap is named by what
its name begins with, a method by a part of its name. With --quick each heap has a sixteenth of its
size: to see that all of it runs.
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "shim"))
from hook_peer import *  # noqa: E402

from bench import Daemon, Groups, stolen_msec, wait_until  # noqa: E402

MIB = 1 << 20
# So much of the program without a release stands beside each: as long as the longest of them takes.
QUIET_SEC = 8

# Name, options of stall.c.
HEAPS = [
    ("2 GiB, 1 arena", ["--total=2048", "--arenas=1"]),
    ("2 GiB, 8 arenas", ["--total=2048", "--arenas=8"]),
    ("2 GiB, 64 arenas", ["--total=2048", "--arenas=64"]),
    ("12 GiB, 1 arena", ["--total=12288", "--arenas=1"]),
    ("12 GiB, 8 arenas", ["--total=12288", "--arenas=8"]),
    ("12 GiB, 64 arenas", ["--total=12288", "--arenas=64"]),
    # A fork waits for every arena, and copies page tables: rows of their own.
    ("2 GiB, 8 arenas, and forks", ["--total=2048", "--arenas=8", "--fork"]),
    ("12 GiB, 8 arenas, and forks", ["--total=12288", "--arenas=8", "--fork"]),
    # malloc_trim() leaves the tops of thread arenas: here 16 MiB of each, behind the holes.
    ("2 GiB, 64 arenas, and tops of 1 GiB", ["--total=2048", "--arenas=64", "--tops=16"]),
]
QUICK = 16
# Nothing but what is asked for: what a release does is told beside what no release does.
CONFIG = "[Trigger]\nUsageHigh=99%\nUsageCritical=100%\nPressureSome=0\nOomEtaSec=0\nRetainedHigh=0\n"
HOLES = ["--holes=8192:1048576", "--busy=2", "--sorted"]


class Options:
    build, quick, readme, heap, method, runs = None, False, False, "", "", 1


def parse_options():
    for word in sys.argv[1:]:
        if word.startswith("--build="):
            Options.build = os.path.abspath(word[8:])
        elif word == "--quick":
            Options.quick = True
        elif word.startswith("--runs="):
            Options.runs = int(word[7:])
        elif word == "--readme":
            Options.readme = True
        elif word.startswith("--heap="):
            Options.heap = word[7:]
        elif word.startswith("--method="):
            Options.method = word[9:]
        else:
            sys.exit(f"stall.py: {word}: no such option")
    if not Options.build or not os.path.isdir(Options.build):
        sys.exit("stall.py: --build=DIR: a build directory is needed")


def texts(option):
    """Between commas; names have some as well, with a space behind."""
    return re.split(r",(?! )", option)


def quick(heap):
    name, options = heap
    smaller = [
        re.sub(r"^(--to\w+)=(\d+)$", lambda found: f"{found[1]}={int(found[2]) // QUICK}", word) for word in options
    ]
    return f"a sixteenth of {name}", smaller


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


def by_trim(program):
    """malloc_trim(0), called by the program's main thread."""
    return float(program.command("trim").split("cpu ")[1].split()[0])


def by_gdb(program):
    """The same, injected. None where the program hangs by it, or gdb cannot: then it may have ended."""
    before = program.cpu_msec()
    words = ["gdb", "-p", str(program.pid), "-batch", "-ex", "call (int)malloc_trim(0)"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return None
    # Not on processors with state that it does not know, where it breaks the call that it interrupted.
    return program.cpu_msec() - before if "$1 = " in told.stdout else None


class Hook:
    """The hook alone, asked by this script."""

    def __init__(self, directory, method):
        self.path, self.method = os.path.join(directory, "stall.sock"), method
        self.listener = listen(self.path)

    def join(self, program):
        self.agent = Agent.of(self.listener, program.pid)
        self.agent.conn.settimeout(900)

    def release(self, program):
        """CPU time of the hook's thread in msec, and the method."""
        _, reply = self.agent.reclaim(self.method)
        if "VERBOSE" in os.environ:
            print(f"# longest call {reply.stall_usec} us, {reply.n_borrowed} borrowed, grown {reply.grown}")
        return reply.cpu_usec / 1000, None

    def end(self):
        self.listener.close()


class Whole:
    """The daemon, asked by memguardctl."""

    def __init__(self, directory, _):
        self.groups = Groups()
        self.runtime = os.path.join(directory, "run")
        os.makedirs(self.runtime, exist_ok=True)
        self.daemon = Daemon(Options.build, self.groups, self.runtime, CONFIG)
        self.path = os.path.join(self.runtime, "hook.sock")

    def join(self, program):
        wait_until("the program", lambda: self.daemon.n_members() == 1)

    def release(self, program):
        outcome = json.loads(self.daemon.ctl("trim", str(program.pid)))[0]
        # Not by "show", which looks at the heap again, in the time that is measured.
        member = json.loads(self.daemon.ctl("list", str(program.pid)))[0]
        last = member["last_release"]
        if not last:
            sys.exit(f"stall.py: the daemon did not release: {json.dumps(outcome)}")
        self.told = {
            "longest_look_msec": member.get("heap_walk_usec", 0) / 1000,
            "longest_call_msec": last.get("stall_usec", 0) / 1000,
        }
        return last["agent_cpu_usec"] / 1000, outcome["method"]

    def end(self):
        self.daemon.end()
        self.groups.close()


METHODS = [
    ("malloc_trim(0), by the program", by_trim, None, None),
    ("malloc_trim(0), by gdb", by_gdb, None, None),
    ("memguard, full", None, Hook, FULL),
    ("memguard, borrow", None, Hook, BORROW),
    ("**memguard, auto**", None, Whole, None),
]


def measure(binary, directory, heap, name, release, guard):
    environment = {}
    if guard:
        environment = {"LD_PRELOAD": os.path.join(Options.build, "libmemguard-hook.so"), "MEMGUARD_SOCKET": guard.path}
    program = Program(binary, [*heap[1], *HOLES], **environment)
    if guard:
        guard.join(program)
    without, before = quiet(program)
    program.command("mark")
    begin, stolen = time.monotonic(), stolen_msec()
    cpu, method = guard.release(program) if guard else (release(program), None)
    took = time.monotonic() - begin
    result = {"heap": heap[0], "method": name, "before_mib": before, "took_msec": took * 1000, "cpu_msec": cpu}
    result["stolen_msec"] = stolen_msec() - stolen
    result["without_msec"] = without
    if method:
        result["chosen"] = method
        result.update(guard.told)
    if cpu is not None:
        result["worst_msec"], result["after_mib"] = program.worst()
    if guard:
        program.command("mark")
        program.command(f"spin {cpu}")
        result["control_msec"] = program.worst()[0]
    program.end()
    return result


def combine(results):
    """Of several runs."""
    combined = {}
    for key, value in results[0].items():
        values = [result[key] for result in results]
        if key == "method" or key == "heap":
            combined[key] = value
        elif key == "chosen":
            combined[key] = " and ".join(sorted(set(values)))
        elif key.startswith("longest_"):
            combined[key] = max(values)
        elif isinstance(value, list):
            combined[key] = [max(each) for each in zip(*values)]
        else:
            combined[key] = statistics.median_low(values)
    return {**combined, "runs": len(results), "all_worst_msec": [result["worst_msec"] for result in results]}


def shown(msec):
    longest, own = max(msec[:2]), msec[3]
    return f"{longest:.1f} ({own:.1f})" + (f", a fork {msec[2]:.1f}" if msec[2] else "")


def row(result, trim):
    if result["cpu_msec"] is None:
        return [result["method"], "the program hangs, or gdb cannot call it", "", "", "", "", ""]
    released = result["before_mib"] - result["after_mib"]
    return [
        result["method"] + (f" ({result['chosen']})" if "chosen" in result else ""),
        f"{released}",
        f"{100 * released / max(1, trim['before_mib'] - trim['after_mib']):.0f} %",
        shown(result["worst_msec"]),
        shown(result["without_msec"]),
        shown(result["control_msec"]) if "control_msec" in result else "",
        f"{result['cpu_msec'] / max(0.1, trim['cpu_msec']):.1f}",
    ]


NAMES = {
    "malloc_trim(0), by gdb": "the same, called by gdb",
    "memguard, borrow": "**borrowing**, the hook told to",
    "**memguard, auto**": "**memguard**, `auto`",
}


def brief(msec):
    def figure(value):
        return "< 0.1" if value < 0.05 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"

    longest, own = figure(max(msec[:2])), figure(msec[3])
    return longest + (f" ({own})" if own != longest else "") + (f", a fork {figure(msec[2])}" if msec[2] else "")


def readme():
    """A row for each heap and method but full, by the hook's word what malloc_trim() does itself."""
    print("| | released, of malloc_trim | longest malloc or free (not waiting), ms | without a release, ms | CPU, of malloc_trim |\n|---|---|---|---|---|")
    for line in open(os.path.join(Options.build, "bench-stall.jsonl")):
        result = json.loads(line)
        if result["method"] == METHODS[0][0]:
            trim = result
            name = result["heap"].replace(", and forks", ", and a third thread that forks") + ": malloc_trim(0)"
        elif result["method"] in NAMES and result["cpu_msec"] is not None:
            name = NAMES[result["method"]] + (f" (it chose to {result['chosen']})" if "chosen" in result else "")
        else:
            continue
        released = (result["before_mib"] - result["after_mib"]) / (trim["before_mib"] - trim["after_mib"])
        cells = [name, f"{100 * released:.0f} %", brief(result["worst_msec"]), brief(result["without_msec"]),
                 f"{result['cpu_msec'] / trim['cpu_msec']:.1f}"]
        print("| " + " | ".join(cells) + " |")


def main():
    parse_options()
    if Options.readme:
        return readme()
    # So that what was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stall.py: ended"))
    directory = tempfile.mkdtemp(prefix="memguard-bench.")
    binary = os.path.join(directory, "stall")
    words = "cc -O2 -D_GNU_SOURCE -pthread -o".split()
    subprocess.run([*words, binary, os.path.join(HERE, "stall.c")], check=True)
    try:
        with open(os.path.join(Options.build, "bench-stall.jsonl"), "w") as log:
            for heap in HEAPS:
                if not any(heap[0].startswith(text) for text in texts(Options.heap)):
                    continue
                if Options.quick:
                    heap = quick(heap)
                print(f"\n| {heap[0]} | released, MiB | of malloc_trim | longest malloc or free (not waiting), ms "
                      "| without a release | beside a thread without a heap | CPU, of malloc_trim |\n|---|---|---|---|---|---|---|")
                trim = None
                for name, release, kind, method in METHODS:
                    if not any(text in name for text in texts(Options.method)) or release is by_gdb and not shutil.which("gdb"):
                        continue
                    results = []
                    for _ in range(Options.runs if kind else 1):
                        guard = kind(directory, method) if kind else None
                        try:
                            results.append(measure(binary, directory, heap, name, release, guard))
                        finally:
                            if guard:
                                guard.end()
                    result = combine(results) if len(results) > 1 else results[0]
                    trim = trim or result
                    log.write(json.dumps(result) + "\n")
                    print("| " + " | ".join(row(result, trim)) + " |", flush=True)
                    if "longest_look_msec" in result:
                        print(f"# the last look read the heap for {result['longest_look_msec']:.1f} ms; "
                              f"the release's longest call took {result['longest_call_msec']:.1f} ms")
                    if result["stolen_msec"] > 0:
                        print(f"# meanwhile {result['stolen_msec']:.0f} ms of its processors were taken from this machine")
    finally:
        shutil.rmtree(directory)


main()
