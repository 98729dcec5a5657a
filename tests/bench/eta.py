#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How well the daemon knows when a group will reach its limit: programs that grow at steady
rates until the kernel kills them (grower.c), each in a control group of its own (v1, as
root), all at once. What `memguardctl explain` said of each a minute ahead is compared with
when it came, and so is when somebody was warned. Markdown; every program as JSON, with all
that was said of it, to BUILD/bench-eta.jsonl. Takes half a minute more than --seconds.

Usage: eta.py --build=DIR [--rates=0.2,0.5,1,1.5,2,3,5] [--each=2] [--limit=256]
              [--seconds=120]

--rates in percent of the limit a second. A program begins where it will be killed after
--seconds, or else at 5 %. Of one that lives for less than 75 s what was said at half of
its life stands in place of the minute.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from bench import MIB, Daemon, Groups, write

AHEAD_SEC, LEAST_SEC = 60, 75
LEAST_BEGIN = 0.05
# The limits have been seen, and what the programs did at first is forgotten.
SETTLE_SEC = 15
# Around the moment, what was said is counted: this share of the time that was left.
AROUND = 0.25
WITHIN = 0.2


class Options:
    build, each, limit, seconds = None, 2, 256, 120
    rates = (0.2, 0.5, 1, 1.5, 2, 3, 5)


def parse_options():
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "--build":
            Options.build = os.path.abspath(value)
        elif name == "--rates":
            Options.rates = tuple(map(float, value.split(",")))
        elif name in ("--each", "--limit", "--seconds"):
            setattr(Options, name[2:], int(value))
        else:
            sys.exit(f"eta.py: {word}: no such option")
    if not Options.build or not os.path.isdir(Options.build):
        sys.exit("eta.py: --build=DIR: a build directory is needed")


class Grower:
    def __init__(self, groups, runtime, rate, i):
        self.rate, self.groups = rate, groups
        self.path = groups.make(f"e{i}")
        begin = max(LEAST_BEGIN, 1 - rate / 100 * Options.seconds)
        self.words = [
            os.path.join(Options.build, "tests/bench/grower"),
            *map(str, (0, 0, int(begin * Options.limit), 2 * Options.limit)),
            str(max(1, round(rate / 100 * Options.limit * 1024))),
        ]
        self.environment = dict(
            os.environ,
            LD_PRELOAD=os.path.join(Options.build, "libmemguard-hook.so"),
            MEMGUARD_SOCKET=f"{runtime}/hook.sock",
            MEMGUARD_AGENT="always",
        )
        # Seconds: when it began, when it was killed, when that was announced.
        self.begin = self.end_time = self.warned = None
        self.said = []  # when, and the seconds that were said to be left

    def start(self):
        self.groups.enter(self.path)
        self.process = subprocess.Popen(
            self.words, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.groups.leave()
        self.process.stdout.readline()
        # Not before: the growth up to here is not what is measured.
        write(f"{self.path}/memory.limit_in_bytes", Options.limit * MIB)

    def grow(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        self.begin = time.monotonic()

    def is_alive(self):
        if self.end_time is None and self.process.poll() is not None:
            self.end_time = time.monotonic()
        return self.end_time is None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.groups.remove(self.path)

    def ahead(self):
        """Seconds before the end at which it is judged."""
        life = self.end_time - self.begin
        return AHEAD_SEC if life >= LEAST_SEC else life / 2

    def errors(self):
        """Of what was said about that long ahead, as shares of the time really left."""
        ahead, errors = self.ahead(), []
        for at, said in self.said:
            left = self.end_time - at
            if abs(left - ahead) <= AROUND * ahead and said is not None:
                errors.append((abs(left - ahead), (said - left) / left))
        return [error for _, error in sorted(errors)]

    def row(self):
        return {
            "percent_per_sec": self.rate,
            "life_sec": round(self.end_time - self.begin, 2),
            "warned_sec": self.warned and round(self.end_time - self.warned, 2),
            "said": [(round(self.end_time - at, 2), said and round(said, 2)) for at, said in self.said],
            "ahead_sec": round(self.ahead(), 1),
            "errors": [round(error, 3) for error in self.errors()],
        }


def listen(daemon, growers):
    """What the daemon says now of those that live."""
    now = time.monotonic()
    groups = {group["path"]: group for group in json.loads(daemon.ctl("explain"))}
    for grower in growers:
        for path, group in groups.items():
            if path.endswith("/" + os.path.basename(grower.path)):
                eta = group.get("eta_usec")
                grower.said.append((now, eta and eta / 1e6))


def read_warnings(log, growers):
    for line in log.readlines():
        if "the kernel will kill here" not in line:
            continue
        for grower in growers:
            if f"/{os.path.basename(grower.path)}:" in line and grower.warned is None:
                grower.warned = time.monotonic()


def watch(daemon, growers):
    with open(os.path.join(daemon.runtime, "log")) as log:
        listened = 0
        while True:
            alive = [grower for grower in growers if grower.is_alive()]
            if not alive:
                return
            read_warnings(log, alive)
            if time.monotonic() - listened >= 1:
                listened = time.monotonic()
                listen(daemon, alive)
            time.sleep(0.05)


def run():
    groups, growers = Groups(), []
    with tempfile.TemporaryDirectory() as runtime:
        os.chmod(runtime, 0o755)
        daemon = Daemon(Options.build, groups, runtime)
        try:
            for i in range(Options.each * len(Options.rates)):
                growers.append(Grower(groups, runtime, Options.rates[i // Options.each], i))
                growers[-1].start()
            time.sleep(SETTLE_SEC)
            for grower in growers:
                grower.grow()
            watch(daemon, growers)
            return [grower.row() for grower in growers]
        finally:
            for grower in growers:
                grower.end()
            daemon.end()
            groups.close()


def percent(share):
    return f"{100 * share:+.0f} %"


def show(rows):
    print(
        f"Steady growth in {Options.limit} MiB, {Options.each} programs at each rate:\n\n"
        "| growth, % of the limit a second | killed after, s | judged ahead, s | errors of the time "
        f"left, there | of all said around that time, within {WITHIN * 100:.0f} % | warned ahead, s |\n"
        "|---|---|---|---|---|---|"
    )
    for rate in Options.rates:
        ours = [row for row in rows if row["percent_per_sec"] == rate]
        errors = [error for row in ours for error in row["errors"]]
        warned = [row["warned_sec"] for row in ours]
        cells = (
            f"{rate:g}",
            " ".join(f"{row['life_sec']:.0f}" for row in ours),
            " ".join(f"{row['ahead_sec']:.0f}" for row in ours),
            " ".join(percent(row["errors"][0]) if row["errors"] else "-" for row in ours),
            f"{sum(abs(error) <= WITHIN for error in errors)} of {len(errors)}",
            " ".join("-" if sec is None else f"{sec:.0f}" for sec in warned),
        )
        print("| " + " | ".join(cells) + " |")


def main():
    parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("eta.py: ended"))
    rows = run()
    with open(os.path.join(Options.build, "bench-eta.jsonl"), "a") as file:
        for row in rows:
            print(json.dumps(row), file=file)
    show(rows)


if __name__ == "__main__":
    main()
