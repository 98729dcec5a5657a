#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What memguardd costs beside many members and groups, and how fast it is: private memory,
what the kernel charges it for, CPU and wake-ups while all is calm, and from a threshold
crossed to the question on the wire. Markdown; every row as JSON to BUILD/bench-scale.jsonl.

Members are fake-hook, a process each, in control groups of their own below ours (cgroup v1,
as root); the groups beyond the members' are empty. Needs some 300 KiB for each member.

Usage: scale.py --build=DIR [--rows=10:10,1000:5000] [--seconds=30] [--trials=200]
                [--beside=N] [--limit=MIB] [--perf]
       scale.py --build=DIR --restart[=1000] [--trials=5]
       scale.py --build=DIR --churn[=5000]

With --beside, the group that crosses its threshold has as many members more, with nothing to
give. With --restart, programs under the real hook instead, and the time from kill -9 of the daemon
until a new one, started as the service manager would, has all of them back. With --churn,
groups that come and go at up to 100 a second, each with a member: fails when the daemon has
more memory or descriptors afterwards than it had before.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from bench import MIB, Daemon, Groups, wait_until, write

SHAPES = ((0, 0), (10, 10), (100, 100), (1000, 10), (1000, 1000), (1000, 5000))


class Options:
    build, rows, seconds, trials, limit, perf = None, SHAPES, 30, None, 0, False
    beside, restart, churn = 0, 0, 0


def parse_options():
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "--build":
            Options.build = os.path.abspath(value)
        elif name == "--rows":
            Options.rows = [tuple(map(int, row.split(":"))) for row in value.split(",")]
        elif name in ("--seconds", "--trials", "--limit", "--beside"):
            setattr(Options, name[2:], int(value))
        elif name == "--perf":
            Options.perf = True
        elif name == "--restart":
            Options.restart = int(value or 1000)
        elif name == "--churn":
            Options.churn = int(value or 5000)
        else:
            sys.exit(f"scale.py: {word}: no such option")
    if not Options.build or not os.path.isdir(Options.build):
        sys.exit("scale.py: --build=DIR: a build directory is needed")


# Usage alone is to trigger, and soon again.
CONFIG = "[Trigger]\nPressureSome=0\nOomEtaSec=0\nRetainedHigh=0\n[Trim]\nCooldownSec=1s\nMinRelease=1M\n"


def restart():
    """Seconds from kill -9 until all are back, for each trial; the members' pids stay."""
    groups, programs, times = Groups(), [], []
    with tempfile.TemporaryDirectory() as runtime:
        os.chmod(runtime, 0o755)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"{runtime}/hook.sock")
        listener.listen(4096)
        daemon = Daemon(Options.build, groups, runtime, CONFIG, listener)
        try:
            environment = dict(
                os.environ,
                LD_PRELOAD=os.path.join(Options.build, "libmemguard-hook.so"),
                MEMGUARD_SOCKET=f"{runtime}/hook.sock",
                MEMGUARD_AGENT="always",
            )
            for i in range(Options.restart):
                programs.append(subprocess.Popen(["sleep", "infinity"], env=environment))
                if i % 50 == 49:
                    time.sleep(0.05)
            wait_until("the members", lambda: daemon.n_members() == len(programs), 120)
            for _ in range(Options.trials or 5):
                # Connections that did not last are tried again ever later.
                time.sleep(11)
                began = time.monotonic()
                daemon.end(signal.SIGKILL)
                # RestartSec= of memguard.service.
                time.sleep(0.2)
                daemon.start()
                wait_until("their return", lambda: daemon.n_members() == len(programs))
                times.append(round(time.monotonic() - began, 2))
                assert all(program.poll() is None for program in programs)
            return times
        finally:
            daemon.end()
            for program in programs:
                program.kill()
            for program in programs:
                program.wait()
            groups.close()


ALIVE = 50


def fds_at_rest(daemon):
    """Those of clients that have just gone are closed when the daemon comes to it."""
    least, end = daemon.n_fds(), time.monotonic() + 2
    while time.monotonic() < end:
        time.sleep(0.05)
        least = min(least, daemon.n_fds())
    return least


def churn(n_groups):
    groups, alive = Groups(), []
    words = [os.path.join(Options.build, "tests/shim/fake-hook"), None, "good", "0"]
    with tempfile.TemporaryDirectory() as runtime:
        os.chmod(runtime, 0o755)
        words[1] = f"{runtime}/hook.sock"
        daemon = Daemon(Options.build, groups, runtime, CONFIG)

        def begin(i):
            # The same few names again and again: a group is its id, not its path.
            path = groups.make(f"c{i % (2 * ALIVE)}")
            groups.enter(path)
            alive.append((path, subprocess.Popen(words, stdout=subprocess.DEVNULL)))
            groups.leave()

        def end():
            path, process = alive.pop(0)
            process.kill()
            process.wait()
            groups.remove(path)

        def wave(n):
            began = time.monotonic()
            for i in range(n):
                begin(i)
                if len(alive) >= ALIVE:
                    end()
                time.sleep(max(0, began + i / 100 - time.monotonic()))
            took = time.monotonic() - began
            while alive:
                end()
            wait_until("the last group to be forgotten", lambda: daemon.status()["n_groups"] == 0, 120)
            return {"rate_per_sec": round(n / took), "fds": fds_at_rest(daemon),
                    "private_dirty_kib": daemon.private_kib()[0], "charged_kib": daemon.charged_kib()}

        try:
            # What is made once and kept, such as room in tables.
            before = wave(min(n_groups, 1000))
            after = wave(n_groups)
        finally:
            while alive:
                end()
            daemon.end()
            groups.close()
    return {"groups": n_groups, "before": before, "after": after}


class Members:
    """Processes that answer as a hook would, spread over groups."""

    def __init__(self, groups, runtime, n_members, n_groups):
        self.groups, self.processes = groups, []
        self.paths = [groups.make(f"g{i}") for i in range(n_groups)]
        if Options.limit:
            for path in self.paths:
                write(f"{path}/memory.limit_in_bytes", Options.limit * MIB)
        words = [os.path.join(Options.build, "tests/shim/fake-hook"), f"{runtime}/hook.sock", "good", "0"]
        for i in range(n_members):
            groups.enter(self.paths[i % n_groups])
            self.processes.append(
                subprocess.Popen(words, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            )
            # The daemon has to come along: what a hook says at first, it says in time.
            if i % 100 == 99:
                time.sleep(0.2)
        groups.leave()

    def end(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        for path in self.paths:
            self.groups.remove(path)


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Trigger:
    """Processes that grow past UsageHigh=, each in a group with a limit; see trigger.c."""

    LIMIT_MIB, HIGH_PERCENT, N_GROUPS = 256, 80, 8

    def __init__(self, groups, runtime, n_trials):
        self.groups, self.paths, self.processes, self.beside = groups, [], [], []
        for i in range(self.N_GROUPS):
            path = groups.make(f"t{i}")
            self.paths.append(path)
            write(f"{path}/memory.limit_in_bytes", self.LIMIT_MIB * MIB)
            words = [
                os.path.join(Options.build, "tests/bench/trigger"),
                f"{runtime}/hook.sock",
                path,
                *map(str, (self.LIMIT_MIB, self.HIGH_PERCENT, -(-n_trials // self.N_GROUPS))),
                f"{runtime}/turn",
            ]
            groups.enter(path)
            self.add_beside(runtime)
            self.processes.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
            groups.leave()

    def add_beside(self, runtime):
        words = [os.path.join(Options.build, "tests/shim/fake-hook"), f"{runtime}/hook.sock", "good", "0"]
        for _ in range(Options.beside):
            self.beside.append(
                subprocess.Popen(words, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            )

    def results(self):
        """Microseconds of each trial, from the threshold and from the kernel's word; how many were missed."""
        lines = [line for process in self.processes for line in process.communicate()[0].splitlines()]
        if any(process.returncode for process in self.processes):
            sys.exit("scale.py: a trigger process failed")
        missed = lines.count("missed")
        return [tuple(map(int, line.split())) for line in lines if line != "missed"], missed

    def end(self):
        for process in self.processes + self.beside:
            process.kill()
            process.wait()
        for path in self.paths:
            self.groups.remove(path)


def latency(groups, runtime, n_trials):
    trigger = Trigger(groups, runtime, n_trials)
    try:
        return trigger.results()
    finally:
        trigger.end()


def settle(daemon):
    """Until looks are as rare as they get: nothing here changes any more."""
    time.sleep(25)
    wait_until("a calm machine", lambda: os.getloadavg()[0] < 50, 60)


def perf(daemon):
    out = os.path.join(Options.build, "bench-scale.perf")
    subprocess.run(
        ["perf", "record", "-q", "-g", "-o", out, "-p", str(daemon.pid), "--", "sleep", "20"], check=False
    )
    print(f"# perf data in {out}", file=sys.stderr)


def measure(n_members, n_groups):
    groups = Groups()
    with tempfile.TemporaryDirectory() as runtime:
        os.chmod(runtime, 0o755)
        daemon = members = None
        try:
            daemon = Daemon(Options.build, groups, runtime, CONFIG)
            members = Members(groups, runtime, n_members, n_groups)
            wait_until("the members", lambda: daemon.n_members() == n_members)
            settle(daemon)
            if Options.perf:
                perf(daemon)
            row = calm(daemon)
            row.update(members=n_members, groups=n_groups)
            times, missed = latency(groups, runtime, Options.trials or 200)
            for name, usecs in zip(("threshold", "trigger"), zip(*times)):
                row[f"{name}_p50_usec"] = quantile(usecs, 0.5)
                row[f"{name}_p99_usec"] = quantile(usecs, 0.99)
                row[f"{name}_max_usec"] = max(usecs)
                row[f"{name}_late"] = sum(usec > 2000 for usec in usecs)
            row["trials"], row["trials_missed"] = len(times), missed
            if Options.beside:
                row["trigger_beside"] = Options.beside
            assert daemon.n_members() == n_members, daemon.n_members()
            return row
        finally:
            if daemon:
                daemon.end()
            if members:
                members.end()
            groups.close()


def calm(daemon):
    cpu, wakeups, began = daemon.cpu_usec(), daemon.wakeups(), time.monotonic()
    time.sleep(Options.seconds)
    seconds = time.monotonic() - began
    dirty, clean = daemon.private_kib()
    return {
        "private_dirty_kib": dirty,
        "private_clean_kib": clean,
        "charged_kib": daemon.charged_kib(),
        "fds": daemon.n_fds(),
        "cpu_permyriad": round((daemon.cpu_usec() - cpu) / seconds / 100, 2),
        "wakeups_per_sec": round((daemon.wakeups() - wakeups) / seconds, 2),
        "seconds": round(seconds),
    }


HEAD = (
    "| members | groups | private, MiB | of that files' | charged by the kernel, MiB | CPU, % of a core "
    "| wake-ups a second | threshold to question, ms: p50 | p99 | the kernel's event to question, ms: p50 | p99 |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def show(row):
    def msec(key):
        return f"{row[key] / 1000:.2f}" if key in row else "-"

    print(
        f"| {row['members']} | {row['groups']} "
        f"| {(row['private_dirty_kib'] + row['private_clean_kib']) / 1024:.2f} "
        f"| {row['private_clean_kib'] / 1024:.2f} | {row['charged_kib'] / 1024:.1f} "
        f"| {row['cpu_permyriad'] / 100:.3f} | {row['wakeups_per_sec']:.1f} "
        f"| {msec('threshold_p50_usec')} | {msec('threshold_p99_usec')} "
        f"| {msec('trigger_p50_usec')} | {msec('trigger_p99_usec')} |",
        flush=True,
    )


def record(row):
    with open(os.path.join(Options.build, "bench-scale.jsonl"), "a") as file:
        print(json.dumps(row), file=file)


def main():
    parse_options()
    # So that groups and processes are ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("scale.py: ended"))
    if Options.restart:
        times = restart()
        record({"restart_members": Options.restart, "restart_sec": times})
        print(f"{Options.restart} members are back after kill -9 in {times} s")
        return
    if Options.churn:
        row = churn(Options.churn)
        record(row)
        print(json.dumps(row))
        before, after = row["before"], row["after"]
        if after["fds"] > before["fds"]:
            sys.exit("scale.py: descriptors leak")
        # A page here and there is the allocator's.
        if after["private_dirty_kib"] > before["private_dirty_kib"] + 128:
            sys.exit("scale.py: memory leaks")
        return
    print(HEAD, flush=True)
    for n_members, n_groups in Options.rows:
        row = measure(n_members, n_groups)
        record(row)
        show(row)


if __name__ == "__main__":
    main()
