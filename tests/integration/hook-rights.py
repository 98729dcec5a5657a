# SPDX-License-Identifier: LGPL-2.1-or-later
"""
For hook-rights.sh: while the hook answers, a filter comes that kills for all but read(),
write() and the end. Row 28.

Usage: hook-rights.py HOOK SUBJECT DIRECTORY
"""

import os
import select
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, SUBJECT, DIRECTORY = sys.argv[1:]
READ = {"x86_64": "0"}.get(os.uname().machine, "63")


def first_word(path):
    try:
        with open(path) as file:
            return file.read().split()[0]
    except (OSError, IndexError):
        return ""


def seccomp(pid):
    with open(f"/proc/{pid}/status") as file:
        return [line.split()[1] for line in file if line.startswith("Seccomp:")]


def has_answered(agent):
    return select.select([agent.conn], [], [], 0)[0]


def wait_for(condition):
    """An event, or the end of patience: what is wrong then, the claims tell."""
    end = time.monotonic() + LIMIT_SEC
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)


def main():
    text = "row 28: a filter that comes in the middle of a release is survived"
    path = os.path.join(DIRECTORY, "rights.sock")
    listener = listen(path)
    process = spawn([SUBJECT, "filter-trim"], HOOK, path)
    agent = Agent.of(listener, process.pid)
    tid = struct.unpack_from("=I", agent.hello[1])[0]
    task = f"/proc/{process.pid}/task/{tid}/syscall"
    if not first_word(task):
        print(f"ok - {text} # SKIP the kernel does not tell what a thread sleeps in")
        process.kill()
        return
    agent.send(RECLAIM, order(FULL))
    # It answers where no filter came.
    wait_for(
        lambda: process.poll() is not None
        or has_answered(agent)
        or (seccomp(process.pid) == ["2"] and first_word(task) == READ)
    )
    if process.poll() is None and seccomp(process.pid) != ["2"]:
        print(f"ok - {text} # SKIP no filter can be set here")
        process.kill()
        return
    try:
        answer = process.communicate("still here\n", LIMIT_SEC)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        answer = "hangs"
    claim(text, (process.returncode, answer) == (5, "still here\n"), (process.returncode, answer))


main()
sys.exit(exit_status())
