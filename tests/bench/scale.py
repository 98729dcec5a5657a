#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What memguardd costs beside many members and groups, and how fast it is: private memory,
what the kernel charges it for, CPU and wake-ups while all is calm, and from a threshold
crossed to the question on the wire; in turns with that, what a process of the daemon's kind takes
to wake up from the same event, which is the machine's share (trigger.c). Markdown; every row as JSON
to BUILD/bench-scale.jsonl.

Members are fake-hook, a process each, in control groups of their own below ours (cgroup v1,
as root); the groups beyond the members' are empty. Needs some 300 KiB for each member.

Usage: scale.py --build=DIR [--rows=10:10,1000:5000] [--seconds=30] [--trials=200]
                [--beside=N] [--limit=MIB] [--perf]
       scale.py --build=DIR --restart[=1000] [--trials=5]
       scale.py --build=DIR --churn[=5000]
       scale.py --build=DIR --readme: what README.md has, of the last results of each row

With --beside, the group that crosses its threshold has as many members more, with nothing to
give. With --restart, programs under the real hook instead, and the time from kill -9 of the daemon
until a new one, started as the service manager would, has all of them back: fails when that takes
longer than 2 s in a trial. With --churn,
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

from bench import MIB, Daemon, Groups, stolen_msec, unit_number, wait_until, write

SHAPES = ((0, 0), (10, 10), (100, 100), (1000, 10), (1000, 1000), (1000, 5000))
# Promised of a restart, with what the service manager waits before it.
BACK_SEC = 2


class Options:
    build, rows, seconds, trials, limit, perf = None, SHAPES, 30, None, 0, False
    beside, restart, churn, readme = 0, 0, 0, False


def parse_options():
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "--build":
            Options.build = os.path.abspath(value)
        elif name == "--rows":
            Options.rows = [tuple(map(int, row.split(":"))) for row in value.split(",")]
        elif name in ("--seconds", "--trials", "--limit", "--beside"):
            setattr(Options, name[2:], int(value))
        elif name in ("--perf", "--readme"):
            setattr(Options, name[2:], True)
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
    """Seconds from kill -9 until all are back, told for each trial; the members' pids stay."""
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
            for i in range(Options.trials or 5):
                # Connections that did not last are tried again ever later.
                time.sleep(11)
                began = time.monotonic()
                daemon.end(signal.SIGKILL)
                time.sleep(unit_number(Options.build, "RestartSec"))
                daemon.start()
                wait_until("their return", lambda: daemon.n_members() == len(programs))
                times.append(round(time.monotonic() - began, 2))
                alive = sum(program.poll() is None for program in programs)
                print(f"trial {i + 1}: {len(programs)} back after {times[-1]} s, {alive} never ended", flush=True)
                assert alive == len(programs)
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
            began, cpu = time.monotonic(), daemon.cpu_usec()
            for i in range(n):
                begin(i)
                if len(alive) >= ALIVE:
                    end()
                time.sleep(max(0, began + i / 100 - time.monotonic()))
            took = time.monotonic() - began
            while alive:
                end()
            wait_until("the last group to be forgotten", lambda: daemon.status()["n_groups"] == 0, 120)
            dirty, clean = daemon.private_kib()
            return {"rate_per_sec": round(n / took), "fds": fds_at_rest(daemon),
                    "cpu_permyriad": round((daemon.cpu_usec() - cpu) / took / 100, 2),
                    "private_dirty_kib": dirty, "private_clean_kib": clean,
                    "charged_kib": daemon.charged_kib()}

        try:
            # What is made once and kept, such as room in tables.
            before = wave(min(n_groups, 1000))
            after = wave(n_groups)
        finally:
            while alive:
                end()
            daemon.end()
            groups.close()
    return {"churn_groups": n_groups, "before": before, "after": after}


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

    def __init__(self, groups, daemon, n_trials):
        self.groups, self.paths, self.processes, self.beside = groups, [], [], []
        self.runtime, self.nice = daemon.runtime, daemon.nice
        self.n_trials = -(-n_trials // self.N_GROUPS)

    def start(self, name, who, n_beside):
        """Whom each group's process waits for, and how many members are beside it."""
        path = self.groups.make(name)
        self.paths.append(path)
        write(f"{path}/memory.limit_in_bytes", self.LIMIT_MIB * MIB)
        words = [
            os.path.join(Options.build, "tests/bench/trigger"),
            who,
            path,
            *map(str, (self.LIMIT_MIB, self.HIGH_PERCENT, self.n_trials)),
            f"{self.runtime}/turn",
            str(self.nice),
        ]
        self.groups.enter(path)
        self.add_beside(n_beside)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        self.groups.leave()
        return process

    def add_beside(self, n):
        words = [os.path.join(Options.build, "tests/shim/fake-hook"), f"{self.runtime}/hook.sock", "good", "0"]
        for _ in range(n):
            self.beside.append(
                subprocess.Popen(words, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            )

    def run(self):
        """Of the daemon's and of the controls', who take turns."""
        daemons, controls = [], []
        for i in range(self.N_GROUPS):
            daemons.append(self.start(f"t{i}", f"{self.runtime}/hook.sock", Options.beside))
            controls.append(self.start(f"c{i}", "--control", 0))
        return self.results(daemons), self.results(controls)

    def results(self, processes):
        """The figures of each trial in microseconds; how many were missed."""
        lines = [line for process in processes for line in process.communicate()[0].splitlines()]
        if any(process.returncode for process in processes):
            sys.exit("scale.py: a trigger process failed")
        missed = lines.count("missed")
        return [tuple(map(int, line.split())) for line in lines if line != "missed"], missed

    def end(self):
        for process in self.processes + self.beside:
            process.kill()
            process.wait()
        for path in self.paths:
            self.groups.remove(path)


# For how long nobody may be kept waiting.
LATE_USEC = 2000


def latency(groups, daemon, n_trials):
    trigger = Trigger(groups, daemon, n_trials)
    row, stolen = {}, stolen_msec()
    try:
        asked, controls = trigger.run()
    finally:
        trigger.end()
    row["stolen_msec"] = stolen_msec() - stolen
    for names, (times, missed) in ((("threshold", "trigger"), asked), ((None, "control_word", "control"), controls)):
        for name, usecs in zip(names, zip(*times)):
            if name:
                row[f"{name}_p50_usec"] = quantile(usecs, 0.5)
                row[f"{name}_p99_usec"] = quantile(usecs, 0.99)
                row[f"{name}_max_usec"] = max(usecs)
                row[f"{name}_late"] = sum(usec > LATE_USEC for usec in usecs)
        prefix = "" if names[0] else "control_"
        row[f"{prefix}trials"], row[f"{prefix}trials_missed"] = len(times), missed
    return row


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
            row.update(latency(groups, daemon, Options.trials or 200))
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


def mib(kib):
    return f"{kib / 1024:.2f}"


def msec(row, name):
    """50th and 99th percentile, the longest, how many were late."""
    if f"{name}_p50_usec" not in row:
        return ["-"] * 4
    trials = row["control_trials" if name.startswith("control") else "trials"]
    return [
        *(f"{row[f'{name}_{which}_usec'] / 1000:.2f}" for which in ("p50", "p99", "max")),
        f"{row[f'{name}_late']} of {trials}",
    ]


def table(head, rows):
    for cells in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(map(str, cells)) + " |" if cells[0] != "---" else "|" + "---|" * len(cells))


def show(rows):
    table(
        ["members", "groups", "private, MiB", "of that files'", "charged by the kernel, MiB", "CPU, % of a core",
         "wake-ups a second"],
        [[row["members"], row["groups"], mib(row["private_dirty_kib"] + row["private_clean_kib"]),
          mib(row["private_clean_kib"]), f"{row['charged_kib'] / 1024:.1f}", f"{row['cpu_permyriad'] / 100:.3f}",
          f"{row['wakeups_per_sec']:.1f}"] for row in rows])
    print()
    table(["members", "groups", "", "p50, ms", "p99", "longest", f"over {LATE_USEC // 1000} ms"],
          [cells for row in rows for cells in show_latency(row)])
    for row in rows:
        if row.get("stolen_msec"):
            print(f"# {row['members']}:{row['groups']}: meanwhile {row['stolen_msec']:.0f} ms of its processors "
                  "were taken from this machine")


SPANS = (
    ("threshold", "threshold to question"),
    ("trigger", "**the kernel's event to question**"),
    ("control_word", "the same to a message of a process that only waits for it"),
    ("control", "to that process being awake"),
)


def show_latency(row):
    shape = [row["members"], row["groups"]]
    for name, title in SPANS:
        yield [*shape, title, *msec(row, name)]
        shape = ["", ""]


def show_restart(row):
    times = row["restart_sec"]
    print(f"{row['restart_members']} programs were back after kill -9 in {max(times)} s or less, in {len(times)} trials: "
          f"{', '.join(map(str, times))}")


def show_churn(row):
    before, after = row["before"], row["after"]

    def private(wave):
        return mib(wave["private_dirty_kib"] + wave["private_clean_kib"])

    print(f"{row['churn_groups']} groups came and went, {after['rate_per_sec']} a second: private memory {private(before)} MiB "
          f"before, {private(after)} after (of that written to {mib(before['private_dirty_kib'])}, "
          f"{mib(after['private_dirty_kib'])}); descriptors {before['fds']}, {after['fds']}; "
          f"{after['cpu_permyriad'] / 100:.1f} % of a core")


def record(row):
    with open(os.path.join(Options.build, "bench-scale.jsonl"), "a") as file:
        print(json.dumps(row), file=file)


def readme():
    """Of each row what came last, in the order of sizes."""
    with open(os.path.join(Options.build, "bench-scale.jsonl")) as file:
        results = [json.loads(line) for line in file]
    rows = {(row["members"], row["groups"]): row for row in results if "members" in row}
    show([rows[key] for key in sorted(rows)])
    for name, tell in (("restart_sec", show_restart), ("churn_groups", show_churn)):
        for row in [row for row in results if name in row][-1:]:
            print()
            tell(row)


def run_restart():
    times = restart()
    row = {"restart_members": Options.restart, "restart_sec": times}
    record(row)
    show_restart(row)
    if max(times) > BACK_SEC:
        sys.exit(f"scale.py: {max(times)} s until all were back, and {BACK_SEC} s are promised")


def run_churn():
    row = churn(Options.churn)
    record(row)
    show_churn(row)
    before, after = row["before"], row["after"]
    if after["fds"] > before["fds"]:
        sys.exit("scale.py: descriptors leak")
    # A page here and there is the allocator's.
    if after["private_dirty_kib"] > before["private_dirty_kib"] + 128:
        sys.exit("scale.py: memory leaks")


def run_rows():
    rows = []
    for n_members, n_groups in Options.rows:
        print(f"# {n_members} members in {n_groups} groups", file=sys.stderr)
        rows.append(measure(n_members, n_groups))
        record(rows[-1])
    show(rows)


def main():
    parse_options()
    # So that groups and processes are ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("scale.py: ended"))
    if Options.readme:
        readme()
    elif Options.restart:
        run_restart()
    elif Options.churn:
        run_churn()
    else:
        run_rows()


if __name__ == "__main__":
    main()
