# SPDX-License-Identifier: LGPL-2.1-or-later
"""
For hook-tight.sh: a program in a memory cgroup whose limit is what it uses, to the page. The
first fault of a release would end it (or, with the killer switched off, stop it for ever);
the release has to do without, and lower the usage.

Usage: hook-tight.py HOOK SUBJECT DIRECTORY
"""

import os
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, SUBJECT, DIRECTORY = sys.argv[1:]
MEMORY = "/sys/fs/cgroup/memory"
GROUP = os.path.join(MEMORY, f"memguard-test-{os.getpid()}")
STATUS = 7
MIB = 8


def read(name):
    with open(os.path.join(GROUP, name)) as file:
        return file.read()


def write(name, value):
    with open(os.path.join(GROUP, name), "w") as file:
        file.write(str(value))


def usage():
    return int(read("memory.usage_in_bytes"))


def kills():
    fields = dict(line.split() for line in read("memory.oom_control").splitlines())
    return int(fields.get("oom_kill", 0)), int(fields["under_oom"])


def tighten():
    """
    Down to where the kernel refuses to go lower. Charges are made in batches, kept for each
    CPU: setting a limit below the usage gives them back. File pages, which would be reclaimed
    instead of a kill, go first. Returns what is left above.
    """
    for _ in range(50):
        write("memory.force_empty", 0)
        limit = usage()
        try:
            write("memory.limit_in_bytes", limit)
        except OSError:
            continue
        if usage() >= limit - 4096:
            return limit - usage()
    return int(read("memory.limit_in_bytes")) - usage()


class Tight(Program):
    """The subject in the group, its agent connected, and nothing warmed up but by HELLO."""

    def __init__(self, killer):
        self.path = os.path.join(DIRECTORY, "tight.sock")
        self.listener = listen(self.path)
        write("memory.limit_in_bytes", 1 << 30)
        write("memory.oom_control", 0 if killer else 1)
        self.process = spawn(
            [SUBJECT, str(MIB)], HOOK, self.path,
            stderr=subprocess.PIPE, preexec_fn=lambda: write("cgroup.procs", 0),
        )
        self.agent = Agent.of(self.listener, self.process.pid)
        self.process.stdout.readline()

    def end(self):
        # Whoever waits for memory can go on, or be ended.
        write("memory.limit_in_bytes", 1 << 30)
        try:
            _, errors = self.process.communicate(timeout=LIMIT_SEC)
        finally:
            self.process.kill()
            self.process.wait()
            self.agent.conn.close()
            self.listener.close()
        return self.process.returncode, errors


def await_answer(agent):
    """None when there is none: hung up (killed), or stuck."""
    try:
        return agent.receive()
    except TimeoutError:
        return None


def n_faults(pid, tid):
    """Minor faults of one thread."""
    with open(f"/proc/{pid}/task/{tid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[7])


def check(method, name, killer):
    text = f"{name}, the killer {'at hand' if killer else 'switched off'}"
    program = Tight(killer)
    tid, = struct.unpack("=I", program.agent.hello[1][:4])
    kills_before = kills()[0]
    try:
        room = tighten()
        write("memory.failcnt", 0)
        before = usage()
        faults = n_faults(program.process.pid, tid)
        program.agent.send(RECLAIM, order(method))
        answer = await_answer(program.agent)
        after = usage()
        claim(f"{text}: at {room} bytes below its limit the program is released", answer, kills())
        if answer:
            faults = n_faults(program.process.pid, tid) - faults
            reply = Reclaimed(answer[1])
            claim("the release was done", answer[0][4] == OK and reply.end == DONE, reply)
            claim("and measured", reply.rss_before > reply.rss_after > 0, reply)
            claim("usage falls", after < before - (MIB << 20), (before, after))
            print(f"# {before >> 10} -> {after >> 10} KiB, {faults} faults of the agent, failcnt {read('memory.failcnt').strip()}")
        claim("nobody is killed, nobody waits for memory", kills() == (kills_before, 0), kills())
    finally:
        status, errors = program.end()
    claim("the program ends as it would", (status, errors) == (STATUS, ""), (status, errors))


def main():
    signal.alarm(1800)
    try:
        os.mkdir(GROUP)
        write("memory.limit_in_bytes", 1 << 30)
        read("memory.oom_control")
    except OSError as e:
        if os.path.isdir(GROUP):
            os.rmdir(GROUP)
        print(f"skip: no memory cgroup of version 1 can be made here: {e}")
        return 77
    try:
        for killer in (True, False):
            check(FULL, "full", killer)
            check(BORROW, "borrow", killer)
    finally:
        for _ in range(100):
            try:
                os.rmdir(GROUP)
                break
            except OSError:
                time.sleep(0.1)
    return exit_status()


sys.exit(main())
