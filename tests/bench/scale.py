#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What memguardd costs beside many members and groups, and how fast it is: private memory,
what the kernel charges it for, CPU and wake-ups while all is calm, and from a threshold
crossed to the question on the wire. Markdown; every row as JSON to BUILD/bench-scale.jsonl.

Members are fake-hook, a process each, in control groups of their own below ours (cgroup v1,
as root); the groups beyond the members' are empty. Needs some 300 KiB for each member.

Usage: scale.py --build=DIR [--rows=10:10,1000:5000] [--seconds=30] [--trials=200]
                [--limit=MIB] [--perf]
       scale.py --build=DIR --restart[=1000] [--trials=5]
       scale.py --build=DIR --churn[=5000]

With --restart, programs under the real hook instead, and the time from kill -9 of the daemon
until a new one, started as the service manager would, has all of them back. With --churn,
groups that come and go at up to 100 a second, each with a member: fails when the daemon has
more memory or descriptors afterwards than it had before.
"""

import json
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "shim"))
from hook_peer import *  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
PAGE = mmap.PAGESIZE
SHAPES = ((0, 0), (10, 10), (100, 100), (1000, 10), (1000, 1000), (1000, 5000))


class Options:
    build, rows, seconds, trials, limit, perf = None, SHAPES, 30, None, 0, False
    restart, churn = 0, 0


def parse_options():
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "--build":
            Options.build = os.path.abspath(value)
        elif name == "--rows":
            Options.rows = [tuple(map(int, row.split(":"))) for row in value.split(",")]
        elif name in ("--seconds", "--trials", "--limit"):
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


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(str(text))


def wait_until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"scale.py: waited {seconds} s in vain for {what}")
        time.sleep(0.02)


class Groups:
    """A subtree of the memory hierarchy, removed at the end."""

    def __init__(self):
        own = next(
            line.rstrip("\n").split(":", 2)[2]
            for line in open("/proc/self/cgroup")
            if "memory" in line.split(":")[1].split(",")
        )
        self.home = os.path.join("/sys/fs/cgroup/memory", own.lstrip("/"))
        self.top = os.path.join(self.home, f"memguard-scale-{os.getpid()}")
        self.made = []
        self.make("")

    def make(self, name):
        path = os.path.join(self.top, name)
        os.mkdir(path)
        self.made.append(path)
        return path

    def enter(self, path):
        write(os.path.join(path, "cgroup.procs"), os.getpid())

    def leave(self):
        self.enter(self.home)

    def remove(self, path):
        """The last process may be on its way out still."""
        end = time.monotonic() + 20
        while True:
            try:
                os.rmdir(path)
                self.made.remove(path)
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def close(self):
        self.leave()
        for path in reversed(list(self.made)):
            self.remove(path)


# Usage alone is to trigger, and soon again.
CONFIG = "[Trigger]\nPressureSome=0\nOomEtaSec=0\nRetainedHigh=0\n[Trim]\nCooldownSec=1s\nMinRelease=1M\n"


class Daemon:
    def __init__(self, groups, runtime, config="", listener=None):
        self.runtime, self.listener = runtime, listener
        self.groups = groups
        self.group = os.path.join(groups.top, "daemon")
        if not os.path.isdir(self.group):
            groups.make("daemon")
        write(os.path.join(runtime, "memguard.conf"), config)
        self.log = open(os.path.join(runtime, "log"), "a")
        self.start()

    def start(self):
        self.groups.enter(self.group)
        self.process = subprocess.Popen(
            [
                os.path.join(Options.build, "memguardd"),
                f"--runtime-directory={self.runtime}",
                f"--config={self.runtime}/memguard.conf",
            ],
            stderr=self.log,
            preexec_fn=self.pass_listener if self.listener else None,
            close_fds=not self.listener,
        )
        self.groups.leave()
        self.pid = self.process.pid
        wait_until("the daemon", self.is_up)

    def is_up(self):
        try:
            return self.status()["running"]
        except (subprocess.CalledProcessError, KeyError):
            return False

    def pass_listener(self):
        """As the service manager does."""
        os.dup2(self.listener.fileno(), 3)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))

    def status(self):
        return json.loads(self.ctl("status"))

    def ctl(self, *words):
        return subprocess.run(
            [
                os.path.join(Options.build, "memguardctl"),
                f"--runtime-directory={self.runtime}",
                "--json=short",
                *words,
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def n_members(self):
        return self.status()["n_members"]

    def private_kib(self):
        """Dirty, clean."""
        sums = {}
        for line in open(f"/proc/{self.pid}/smaps_rollup"):
            words = line.split()
            if words[0] in ("Private_Dirty:", "Private_Clean:"):
                sums[words[0]] = int(words[1])
        return sums["Private_Dirty:"], sums["Private_Clean:"]

    def charged_kib(self):
        return int(read(f"{self.group}/memory.usage_in_bytes")) // KIB

    def n_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_usec(self):
        return int(read(f"/proc/{self.pid}/schedstat").split()[0]) / 1000

    def wakeups(self):
        for line in open(f"/proc/{self.pid}/status"):
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def restart():
    """Seconds from kill -9 until all are back, for each trial; the members' pids stay."""
    groups, programs, times = Groups(), [], []
    with tempfile.TemporaryDirectory() as runtime:
        os.chmod(runtime, 0o755)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"{runtime}/hook.sock")
        listener.listen(4096)
        daemon = Daemon(groups, runtime, CONFIG, listener)
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


def churn(n_groups):
    groups, alive = Groups(), []
    words = [os.path.join(Options.build, "tests/shim/fake-hook"), None, "good", "0"]
    with tempfile.TemporaryDirectory() as runtime:
        os.chmod(runtime, 0o755)
        words[1] = f"{runtime}/hook.sock"
        daemon = Daemon(groups, runtime, CONFIG)

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
            return {"rate_per_sec": round(n / took), "fds": daemon.n_fds(),
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
    """
    A member in a group with a limit, that grows past UsageHigh= and waits for the question.
    In a process of its own: the daemon goes by the kernel's word on who it is.
    """

    LIMIT, BELOW, PAST = 256 * MIB, 0.76, 0.84
    STEP = 16 * PAGE

    def __init__(self, group, runtime):
        self.group = group
        self.usage = os.open(f"{group}/memory.usage_in_bytes", os.O_RDONLY)
        self.memory = mmap.mmap(-1, self.LIMIT, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory.madvise(mmap.MADV_NOHUGEPAGE)
        self.at = 0
        self.conn = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.conn.connect(f"{runtime}/hook.sock")
        hello = struct.pack("=8I16s16s", os.getpid(), 0, 1, 1, PAGE, 0, 0, 0, b"fake", b"2.36")
        self.conn.send(frame(HELLO, hello, id=0))

    def used(self):
        return int(os.pread(self.usage, 32, 0))

    def grow(self):
        for at in range(self.at, self.at + self.STEP, PAGE):
            self.memory[at] = 1
        self.at += self.STEP

    def shrink(self):
        self.memory.madvise(mmap.MADV_DONTNEED)
        self.at = 0

    def reply(self, header, payload):
        """True for a RECLAIM, when it is over."""
        verb, id = header[2], header[3]
        if verb == STATS:
            flags = struct.unpack_from("=I", payload)[0]
            free = self.at if flags & 1 else 0
            stats = struct.pack("=2I", flags, 0) + struct.pack(
                "=14Q", self.at, self.at, 0, free, MIB if flags & 1 else 0, free, 0, free, 0, 0, 0, free, 0, 0
            )
            self.conn.send(frame(STATS, stats, id=id, length=STATS_BYTES))
        elif verb == RECLAIM:
            method = struct.unpack_from("=I", payload)[0]
            before = self.at
            self.shrink()
            body = struct.pack("=6I7Q", method, 1, 0, 1, 1, 0, before, MIB, 900, 900, 100, 0, 0)
            self.conn.send(frame(RECLAIM, body, id=id))
            return True
        return False

    def serve(self, seconds):
        """Answers questions; the time of the RECLAIM among them, or None."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if not select.select([self.conn], [], [], max(left, 0))[0]:
                return None
            data = self.conn.recv(4 * SIZE)
            now = time.monotonic()
            if not data:
                raise EOFError("the daemon hung up")
            header, payload = HEADER.unpack(data[: HEADER.size]), data[HEADER.size :]
            if self.reply(header, payload):
                return now

    def trial(self):
        """Seconds from the threshold to the question."""
        high = int(self.LIMIT * 0.8)
        while self.used() < self.LIMIT * self.BELOW:
            self.grow()
        # The cool-down of the last one.
        if self.serve(1.2 + random.random() / 4) is not None:
            return None
        crossed = None
        while self.used() < self.LIMIT * self.PAST:
            self.grow()
            if crossed is None and self.used() >= high:
                crossed = time.monotonic()
            asked = self.serve(0)
            if asked is not None:
                return None if crossed is None else asked - crossed
        asked = self.serve(10)
        return None if asked is None else asked - crossed


# Of struct wire_stats.
STATS_BYTES = 8 + 14 * 8 + 10 * 4 + 4 * 24


def run_trigger(group, runtime, n_trials, seed, out):
    random.seed(seed)
    trigger = Trigger(group, runtime)
    times, missed = [], 0
    trigger.serve(random.random())
    while len(times) < n_trials and missed <= n_trials:
        took = trigger.trial()
        if took is None:
            missed += 1
            trigger.shrink()
        else:
            times.append(took)
    with os.fdopen(out, "w") as file:
        json.dump({"times": times, "missed": missed}, file)


def latency(groups, runtime, n_trials, n_groups=8):
    """Trials in several groups in turn, so that cool-downs pass meanwhile."""
    children, outs, paths = [], [], []
    for i in range(n_groups):
        path = groups.make(f"t{i}")
        paths.append(path)
        write(f"{path}/memory.limit_in_bytes", Trigger.LIMIT)
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(ours)
                groups.enter(path)
                run_trigger(path, runtime, n_trials // n_groups, i, theirs)
                status = 0
            finally:
                os._exit(status)
        os.close(theirs)
        children.append(pid)
        outs.append(ours)
    times, missed = [], 0
    for out in outs:
        with os.fdopen(out) as file:
            text = file.read()
        if text:
            answer = json.loads(text)
            times += answer["times"]
            missed += answer["missed"]
    for pid in children:
        os.waitpid(pid, 0)
    for path in paths:
        groups.remove(path)
    return times, missed


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
            daemon = Daemon(groups, runtime, CONFIG)
            members = Members(groups, runtime, n_members, n_groups)
            wait_until("the members", lambda: daemon.n_members() == n_members)
            settle(daemon)
            if Options.perf:
                perf(daemon)
            row = calm(daemon)
            row.update(members=n_members, groups=n_groups)
            times, missed = latency(groups, runtime, Options.trials or 200)
            if times:
                row["trigger_p50_usec"] = round(quantile(times, 0.5) * 1e6)
                row["trigger_p99_usec"] = round(quantile(times, 0.99) * 1e6)
                row["trigger_max_usec"] = round(max(times) * 1e6)
            row["trials"], row["trials_missed"] = len(times), missed
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
    "| wake-ups a second | threshold to question, ms: p50 | p99 |\n|---|---|---|---|---|---|---|---|---|"
)


def show(row):
    def msec(key):
        return f"{row[key] / 1000:.2f}" if key in row else "-"

    print(
        f"| {row['members']} | {row['groups']} "
        f"| {(row['private_dirty_kib'] + row['private_clean_kib']) / 1024:.2f} "
        f"| {row['private_clean_kib'] / 1024:.2f} | {row['charged_kib'] / 1024:.1f} "
        f"| {row['cpu_permyriad'] / 100:.3f} | {row['wakeups_per_sec']:.1f} "
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
