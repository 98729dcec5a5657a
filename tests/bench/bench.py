# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the benches in Python share: control groups (cgroup v1, as root), and a daemon in one
of its own.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

KIB, MIB = 1 << 10, 1 << 20


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
            sys.exit(f"{os.path.basename(sys.argv[0])}: waited {seconds} s in vain for {what}")
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
        self.top = os.path.join(self.home, f"memguard-bench-{os.getpid()}")
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


def stolen_msec():
    """What the machine below has taken from this one's processors."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) * 1000 / os.sysconf("SC_CLK_TCK")


def unit_number(build, name):
    """As the unit says."""
    return json.loads(re.search(rf"^{name}=(\S+)$", read(f"{build}/etc/memguard.service"), re.M)[1])


class Daemon:
    def __init__(self, build, groups, runtime, config="", listener=None):
        self.build, self.runtime, self.listener = build, runtime, listener
        self.groups, self.nice = groups, unit_number(build, "Nice")
        self.n_files_max = unit_number(build, "LimitNOFILE")
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
                os.path.join(self.build, "memguardd"),
                f"--runtime-directory={self.runtime}",
                f"--config={self.runtime}/memguard.conf",
            ],
            stderr=self.log,
            preexec_fn=self.become,
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

    def become(self):
        """As the service manager starts it, in a session of its own, too: the kernel may share processors by these."""
        os.setsid()
        os.setpriority(os.PRIO_PROCESS, 0, self.nice)
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        n_files = self.n_files_max if hard == resource.RLIM_INFINITY else min(self.n_files_max, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))
        if self.listener:
            self.pass_listener()

    def pass_listener(self):
        os.dup2(self.listener.fileno(), 3)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))

    def status(self):
        return json.loads(self.ctl("status"))

    def ctl(self, *words):
        return subprocess.run(
            [
                os.path.join(self.build, "memguardctl"),
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
