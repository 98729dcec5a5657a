#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How often a program is saved that grows fast toward its limit with half of that limit taken
by memory it has freed: grower.c in a control group (v1, as root). It fills half of the limit
in several arenas, frees nearly all of it, and grows by 3/8 of the limit more than there is
room for. Without a release the kernel kills it for certain. Markdown; every run as JSON to
BUILD/bench-rescue.jsonl.

Usage: rescue.py --build=DIR [--runs=100] [--limit=1024] [--rate=1024] [--arenas=8]
                 [--peers=10] [--only=memguard|none|earlyoom|nohang] [--append]

--limit in MiB, --rate in MiB a second. The peers, each in --peers runs, are Debian's earlyoom
and nohang with the settings they come with, and nobody at all. They watch the machine and
kill, so they are not started where less than half of its memory is free. systemd-oomd does
nothing without systemd and cgroup v2: oomd.sh has it beside memguard in a virtual machine.

A run of memguard takes some 4 s, of the others 1 s. With --append what the file of an earlier
call has of the same limit, rate and arenas counts as well, so that 100 runs can be made in
pieces; without, it is begun anew.
"""

import collections
import json
import os
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from bench import MIB, Daemon, Groups, read, write

# What the program retains is to be there still when it begins to grow.
CONFIG = "[Trigger]\nRetainedHigh=0\n"

# Of the limit: freed before, and wanted in the end.
RETAINED, WANTED = 1 / 2, 7 / 8


class Options:
    build, runs, limit, rate, arenas, peers, only = None, 100, 1024, 1024, 8, 10, None
    append = False


def parse_options():
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "--build":
            Options.build = os.path.abspath(value)
        elif name in ("--runs", "--limit", "--rate", "--arenas", "--peers"):
            setattr(Options, name[2:], int(value))
        elif name == "--only" and value in ("memguard", *PEERS):
            Options.only = value
        elif word == "--append":
            Options.append = True
        else:
            sys.exit(f"rescue.py: {word}: no such option")
    if not Options.build or not os.path.isdir(Options.build):
        sys.exit("rescue.py: --build=DIR: a build directory is needed")


class Grower:
    def __init__(self, groups, path, environment):
        words = [
            os.path.join(Options.build, "tests/bench/grower"),
            *map(str, (int(Options.limit * RETAINED), Options.arenas, 0)),
            *map(str, (int(Options.limit * WANTED), Options.rate * 1024)),
        ]
        groups.enter(path)
        self.process = subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        groups.leave()
        self.pid = self.process.pid
        assert self.process.stdout.readline().startswith("ready")

    def grow(self):
        """MiB a second while there was room, or None: it was killed."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        return int(words[1]) / 2 / int(words[3]) * 1000 if words else None

    def end(self):
        self.process.kill()
        self.process.wait()


def one_run(groups, i, environment, before_growth):
    """MiB a second or None, and the limit hits and kills that the kernel counted."""
    path = groups.make(f"r{i}")
    write(f"{path}/memory.limit_in_bytes", Options.limit * MIB)
    grower = Grower(groups, path, environment)
    try:
        before_growth(grower)
        rate = grower.grow()
        hits = int(read(f"{path}/memory.failcnt"))
        kills = int(read(f"{path}/memory.oom_control").rsplit("oom_kill ", 1)[1])
        return {"rate_mib_per_sec": rate and round(rate), "limit_hits": hits, "oom_kills": kills}
    finally:
        grower.end()
        groups.remove(path)


def is_measured(daemon, pid):
    """The daemon knows what the program retains, and is done with what it does at first."""
    for row in json.loads(daemon.ctl("list")):
        if row["pid"] == pid:
            return row.get("retained_bytes", 0) > Options.limit * RETAINED * 0.8 * MIB
    return False


class NotMeasured(Exception):
    """What the daemon said of the program instead, as JSON."""


def wait_measured(daemon, pid):
    end = time.monotonic() + 60
    while not is_measured(daemon, pid):
        if time.monotonic() > end:
            said = {verb: json.loads(daemon.ctl(verb)) for verb in ("list", "history", "explain")}
            said["history"] = said["history"][-3:]
            raise NotMeasured(said)
        time.sleep(0.02)


def memguard(groups, record):
    with tempfile.TemporaryDirectory() as runtime:
        os.chmod(runtime, 0o755)
        daemon = Daemon(Options.build, groups, runtime, CONFIG)
        environment = dict(
            os.environ,
            LD_PRELOAD=os.path.join(Options.build, "libmemguard-hook.so"),
            MEMGUARD_SOCKET=f"{runtime}/hook.sock",
        )

        def known(grower):
            wait_measured(daemon, grower.pid)

        try:
            rounds = set()
            for i in range(Options.runs):
                try:
                    row = one_run(groups, i, environment, known)
                except NotMeasured as error:
                    # No run: it did not begin to grow. Told of, and to be looked into.
                    record({"not_measured": error.args[0]})
                    continue
                past = [r for r in json.loads(daemon.ctl("history")) if r["round"] not in rounds]
                rounds.update(r["round"] for r in past)
                row["rounds"] = past
                record(row)
        finally:
            daemon.end()


def peer(name, groups, record):
    process = None
    if PEERS[name]:
        if not shutil.which(name):
            return f"not installed: apt-get install {name}"
        if free_share() < 0.5:
            return "left out: too little memory is free on this machine"
        process = subprocess.Popen(PEERS[name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # They say nothing when they are ready.
        time.sleep(2)
    try:
        for i in range(Options.peers):
            record(one_run(groups, i, dict(os.environ), lambda grower: None))
    finally:
        output = stop(process) if process else ""
    return f"sent {len(SENT.findall(output))} signals" if process else "-"


def stop(process):
    """Its output, without waiting for who may have inherited the pipe."""
    process.terminate()
    process.wait()
    text = b""
    while select.select([process.stdout], [], [], 0)[0]:
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            break
        text += part
    return text.decode(errors="replace")


# As both tell it; what they would do is told at their start.
SENT = re.compile(r"sending SIG\w+ to ", re.IGNORECASE)

NOHANG_CONFIG = "/etc/nohang/nohang.conf"
PEERS = {
    "none": None,
    "earlyoom": ["earlyoom"],
    "nohang": ["nohang", "--monitor", "--config", NOHANG_CONFIG],
}


def free_share():
    words = dict(line.split()[:2] for line in open("/proc/meminfo"))
    return int(words["MemAvailable:"]) / int(words["MemTotal:"])


def summary(rows, did):
    left_out = sum("not_measured" in row for row in rows)
    rows = [row for row in rows if "not_measured" not in row]
    saved = [row for row in rows if row["rate_mib_per_sec"]]
    rates = [row["rate_mib_per_sec"] for row in saved]
    rounds = [r for row in rows for r in row.get("rounds", [])]
    if rounds:
        triggers = collections.Counter(r["trigger"] for r in rounds)
        longest = sorted(r["longest_usec"] for r in rounds)
        did = ", ".join(f"{trigger} {n}" for trigger, n in triggers.most_common())
        did += f"; a release took {longest[len(longest) // 2] // 1000} ms (median)"
    if left_out:
        did += f"; {left_out} left out: not measured in a minute"
    return [
        f"{len(saved)} of {len(rows)}",
        f"{statistics.median(rates):.0f} (least {min(rates)})" if rates else "-",
        str(sum(row["oom_kills"] > 0 for row in rows)),
        did,
    ]


def of_now(name):
    """What runs have in common that may be counted together."""
    return {
        "variant": name,
        "limit_mib": Options.limit,
        "wanted_mib_per_sec": Options.rate,
        "arenas": Options.arenas,
    }


def earlier(name, path):
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if row.items() >= of_now(name).items()]


def main():
    parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("rescue.py: ended"))
    print(
        f"A limit of {Options.limit} MiB, half of it freed in {Options.arenas} arenas and retained, "
        f"growth at {Options.rate} MiB/s:\n"
    )
    print("| | saved | growth, MiB/s | killed by the kernel | what was done |\n|---|---|---|---|---|")
    log = os.path.join(Options.build, "bench-rescue.jsonl")
    open(log, "a" if Options.append else "w").close()
    for name in ("memguard", *PEERS):
        if Options.only not in (None, name):
            continue
        rows, groups = earlier(name, log), Groups()
        with open(log, "a") as file:

            def record(row, name=name, rows=rows, file=file):
                rows.append(row)
                print(json.dumps({**of_now(name), **row}), file=file, flush=True)

            try:
                did = memguard(groups, record) if name == "memguard" else peer(name, groups, record)
            finally:
                groups.close()
        cells = summary(rows, did or "-") if rows else ["-", "-", "-", did]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
