#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Java's own way to give back what malloc holds, `jcmd PID System.trim_native_heap`, beside
memguard: what each releases of a JVM that has freed native memory (Burst.java), how long its
threads' pieces of work get meanwhile, and what it costs. Control groups of v1, as root. A
markdown table; every run as JSON to BUILD/bench-java.jsonl. Ratios within a row's heap mean
something, times do not.

Usage: java.py --build=DIR [--mib=1024] [--runs=3] [--seconds=3]

Of --runs the median; --seconds are those in which the longest piece without any release is
looked for, before the release and as long as it takes. CPU is that of the JVM but for its
working threads, and beside it that of the program that asks, with the daemon.
"""

import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from bench import Daemon, Groups, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
THREADS, BUSY = 8, 2
# Room that is resident from the start, so that what a collection moves changes no RSS.
JAVA = "java -XX:+UseSerialGC -Xms192m -Xmx192m -XX:+AlwaysPreTouch -XX:MaxDirectMemorySize=16g".split()

HEAPS = [("8 arenas", {}), ("2 arenas", {"MALLOC_ARENA_MAX": "2"})]

# On command only.
CONFIG = "[Trigger]\nPressureSome=0\nOomEtaSec=0\nRetainedHigh=0\n"


class Options:
    build, mib, runs, seconds = None, 1024, 3, 3


def parse_options():
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "--build":
            Options.build = os.path.abspath(value)
        elif name in ("--mib", "--runs", "--seconds"):
            setattr(Options, name[2:], int(value))
        else:
            sys.exit(f"java.py: {word}: no such option")
    if not Options.build or not os.path.isdir(Options.build):
        sys.exit("java.py: --build=DIR: a build directory is needed")


class Program:
    def __init__(self, groups, classes, environment):
        self.groups, self.path = groups, groups.make("java")
        words = [*JAVA, "-cp", classes, "Burst", *map(str, (Options.mib, THREADS, BUSY))]
        groups.enter(self.path)
        self.process = subprocess.Popen(
            words,
            env=dict(os.environ, **environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        groups.leave()
        self.pid = self.process.pid
        assert self.process.stdout.readline().startswith("ready")

    def worst_usec(self):
        """The longest piece since this was asked before."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[1])

    def rss_mib(self):
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024

    def cpu_msec(self):
        """Of all threads that do not work: one of them releases."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/comm") as comm:
                if comm.read().startswith("worker-"):
                    continue
            with open(f"/proc/{self.pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e6

    def end(self):
        self.process.kill()
        self.process.wait()
        self.groups.remove(self.path)


def children_msec():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1000


def nothing(program, _):
    time.sleep(Options.seconds)


def by_jcmd(program, _):
    words = ["jcmd", str(program.pid), "System.trim_native_heap"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "Trim native heap" in said, said


def by_memguard(method):
    def release(program, daemon):
        outcome = json.loads(daemon.ctl("trim", f"--method={method}", str(program.pid)))
        program.method = outcome[0].get("method")
        program.reason = outcome[0].get("method_reason")

    return release


def is_measured(daemon, pid):
    """As it would be of a program that has run for a while: "auto" chooses by figures."""
    if not any(row["pid"] == pid for row in json.loads(daemon.ctl("list"))):
        return False
    return json.loads(daemon.ctl("show", str(pid)))[0].get("retained_bytes", 0) > 0


def measure(groups, classes, environment, release, runtime):
    daemon = None
    if release not in (nothing, by_jcmd):
        daemon = Daemon(Options.build, groups, runtime, CONFIG)
        hook = os.path.join(Options.build, "libmemguard-hook.so")
        environment = dict(environment, LD_PRELOAD=hook, MEMGUARD_SOCKET=f"{runtime}/hook.sock")
    program = Program(groups, classes, environment)
    try:
        if daemon:
            wait_until("its figures", lambda: is_measured(daemon, program.pid))
        program.worst_usec()
        time.sleep(Options.seconds)
        without = program.worst_usec()
        before, cpu = program.rss_mib(), program.cpu_msec()
        asking = children_msec() + (daemon.cpu_usec() / 1000 if daemon else 0)
        began = time.monotonic()
        release(program, daemon)
        took = time.monotonic() - began
        worst = program.worst_usec()
        return {
            "released_mib": before - program.rss_mib(),
            "before_mib": before,
            "worst_usec": worst,
            "without_usec": without,
            "took_msec": took * 1000,
            "cpu_msec": program.cpu_msec() - cpu,
            "asking_msec": children_msec() + (daemon.cpu_usec() / 1000 if daemon else 0) - asking,
            "method": getattr(program, "method", None),
            "method_reason": getattr(program, "reason", None),
        }
    finally:
        program.end()
        if daemon:
            daemon.end()


WAYS = [
    ("nothing", nothing),
    ("jcmd System.trim_native_heap", by_jcmd),
    ("**memguard, auto**", by_memguard("auto")),
    ("**memguard, borrow**", by_memguard("borrow")),
]


def show(name, way, rows, jcmd):
    def median(key, of=rows):
        return statistics.median(row[key] for row in of)

    released = median("released_mib")
    methods = {row["method"] for row in rows if row["method"]}
    cells = [
        f"{name}: {way}" + (f", which was {' or '.join(sorted(methods))}" if "auto" in way else ""),
        f"{released:.0f}",
        f"{100 * released / max(1, median('released_mib', jcmd)):.0f} %" if jcmd else "-",
        f"{median('worst_usec') / 1000:.1f}",
        f"{median('without_usec') / 1000:.1f}",
        f"{median('cpu_msec') / max(0.1, median('cpu_msec', jcmd)):.2f}" if jcmd else "-",
        f"{median('cpu_msec'):.0f} + {median('asking_msec'):.0f}",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("java.py: ended"))
    for program in ("java", "javac", "jcmd"):
        if not shutil.which(program):
            sys.exit(f"java.py: {program}: not found; try: apt-get install openjdk-17-jdk-headless")
    print(
        f"{Options.mib} MiB in {THREADS} threads, {BUSY} of them at work, median of {Options.runs}:\n\n"
        "| | released, MiB | of jcmd | longest piece of work, ms | without a release, ms | CPU, of jcmd "
        "| CPU, ms: in the JVM + asking |\n|---|---|---|---|---|---|---|"
    )
    log = os.path.join(Options.build, "bench-java.jsonl")
    with tempfile.TemporaryDirectory() as classes, open(log, "a") as file:
        subprocess.run(["javac", "-d", classes, os.path.join(HERE, "Burst.java")], check=True)
        for name, environment in HEAPS:
            jcmd = None
            for way, release in WAYS:
                rows = []
                for _ in range(Options.runs):
                    groups = Groups()
                    with tempfile.TemporaryDirectory() as runtime:
                        os.chmod(runtime, 0o755)
                        try:
                            rows.append(measure(groups, classes, environment, release, runtime))
                        finally:
                            groups.close()
                    print(json.dumps({"heap": name, "way": way, **rows[-1]}), file=file, flush=True)
                jcmd = rows if release is by_jcmd else jcmd
                show(name, way, rows, jcmd)


if __name__ == "__main__":
    main()
