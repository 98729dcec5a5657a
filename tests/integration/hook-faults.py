# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Faults around the hook, for hook-faults.sh: the daemon dies, freezes or floods at every step
of a request, the agent's thread is refused, and the program forks, starts threads, loads
libraries, exits and execs in the middle of a release. Each time the program goes on, a second
release gives back what there is, nothing stays held, and it ends with its own status without
a word.

Usage: hook-faults.py HOOK SUBJECT DIRECTORY
"""

import os
import resource
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, SUBJECT, DIRECTORY = sys.argv[1:]

# The subject ends with it when all its canaries live.
STATUS = 7

# So large that a borrow is asked several times whether it may go on.
LARGE_MIB, SMALL_MIB = 32, 4

# What may be handed out more than before: thread caches, stdio, anchors. A loan is larger.
HELD_SLACK = 64 << 10

# What a process has besides its heap, and the pages around what stays in it.
RSS_SLACK = 8 << 20

MIB = 1 << 20

NOBODY = 54322
PIDS = "/sys/fs/cgroup/pids"


class Subject(Program):
    """The subject with the hook in it, and a socket of its own for the hook to find."""

    count = 0

    def __init__(self, mib=SMALL_MIB, threads=4, **how):
        Subject.count += 1
        self.mib, self.threads = mib, threads
        self.path = os.path.join(DIRECTORY, f"{Subject.count}.sock")
        self.errors = os.path.join(DIRECTORY, f"{Subject.count}.err")
        self.listener = listen(self.path)
        with open(self.errors, "wb") as errors:
            self.process = spawn([SUBJECT, str(mib), str(threads)], HOOK, self.path, stderr=errors, **how)
        self.pid = self.process.pid
        self.ready = self.process.stdout.readline().strip()
        self.held = self.held_now()

    def held_now(self):
        return int(self.command("held").split()[1])

    def rss_goal(self):
        """Every sixth piece stays, and lies on three pages."""
        return self.threads * self.mib * ((1 << 20) // 8000) // 6 * 12288 + RSS_SLACK

    def works(self):
        return self.process.poll() is None and self.command("check") == "whole"

    def agent(self):
        return Agent.of(self.listener, self.pid)

    def end(self):
        """None when all is as it should be."""
        self.process.stdin.close()
        rest = self.process.stdout.read()
        status = self.process.wait(LIMIT_SEC)
        self.process.stdout.close()
        self.listener.close()
        return self.fault_of(status, rest)

    def fault_of(self, status, rest, expected=""):
        with open(self.errors) as file:
            errors = file.read()
        return None if (status, rest, errors) == (STATUS, expected, "") else (status, rest, errors)

    def recovers(self, method=BORROW):
        """Takes the next agent, and has it release: None, or what is wrong."""
        agent = self.agent()
        if agent.hello is None:
            return "no HELLO"
        before = self.rss()
        status, reply = agent.reclaim(method)
        held, rss = self.held_now(), self.rss()
        # Not yet: the end of this connection is nobody's fault.
        self.last = agent
        if status != OK or reply.end != DONE:
            return f"status {status}: {reply}"
        if held > self.held + HELD_SLACK:
            return f"{held - self.held} bytes more are held than before"
        if rss > self.rss_goal():
            return f"{rss} bytes are resident, before {before}, should be {self.rss_goal()}"
        return None if self.works() else "the program does not work"


# What a daemon has done when it dies. Each returns what it must keep open until then.


def before_accept(listener):
    select.select([listener], [], [], LIMIT_SEC)


def after_accept(listener):
    return listener.accept()[0]


def after_hello(listener):
    return Agent(listener.accept()[0])


def asked(verb, payload):
    def play(listener):
        agent = after_hello(listener)
        agent.send(verb, payload)
        return agent

    return play


def is_writable(conn):
    return bool(select.select([], [conn], [], 0)[1])


def flood(agent):
    """
    Asks until the hook, whose answers nobody reads, takes no more questions: it then sits
    in the middle of an answer. False when it hung up instead.
    """
    agent.conn.setblocking(False)
    question = frame(STATS, struct.pack("=II", 7, 0))
    for _ in range(100000):
        try:
            agent.conn.send(question)
        except BlockingIOError:
            # Full, for longer than an answer takes: or is the hook just slow? It does not matter.
            return True
        except OSError:
            return False
    return False


def flooded(listener):
    agent = after_hello(listener)
    flood(agent)
    return agent


def one_row_read(listener):
    agent = after_hello(listener)
    agent.send(STATS, struct.pack("=II", 7, 0))
    agent.receive()
    agent.receive()
    return agent


STEPS = {
    "before it accepts": before_accept,
    "before it reads HELLO": after_accept,
    "after HELLO": after_hello,
    "after asking STATS": asked(STATS, struct.pack("=II", 0, 0)),
    "after asking STATS with rows": asked(STATS, struct.pack("=II", 7, 0)),
    "between the frames of an answer": one_row_read,
    "while its socket is full of answers": flooded,
    "after asking TUNE": asked(TUNE, struct.pack("=IIQ", 4, 0, 131072)),
    "after asking RECLAIM full": asked(RECLAIM, order(FULL)),
    "after asking RECLAIM borrow": asked(RECLAIM, order(BORROW)),
}


def die_by_close(program, play):
    kept = play(program.listener)
    if isinstance(kept, Agent):
        kept.conn.close()
    elif kept:
        kept.close()
    program.listener.close()


def in_child(program, play):
    """Plays in a process of its own, which has the only listener; returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(2 * LIMIT_SEC)
            play(program.listener)
        finally:
            os._exit(1)
    program.listener.close()
    return pid


def die_by_kill(program, play):
    def play_and_die(listener):
        kept = play(listener)  # noqa: F841 # open until the kernel closes it
        os.kill(os.getpid(), signal.SIGKILL)

    _, status = os.waitpid(in_child(program, play_and_die), 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        claim("the daemon could be killed", False, status)


def check_deaths():
    """First all faults, then all programs: the hook's back-off of a second passes once."""
    deaths = {"closes": die_by_close, "is killed": die_by_kill}
    programs = []
    for name, play in STEPS.items():
        for how, die in deaths.items():
            program = Subject(LARGE_MIB if "borrow" in name else SMALL_MIB)
            before = program.rss()
            die(program, play)
            program.listener = listen(program.path)
            programs.append((f"a daemon that {how} {name}", program, before))

    for text, program, before in programs:
        claim(f"{text} disturbs nothing", program.works(), program.process.poll())
        agent_waits = select.select([program.listener], [], [], 2 * LIMIT_SEC)[0]
        claim("and the hook comes back", agent_waits)
        if "borrow" in text:
            check_abandoned(program, before)
        fault = program.recovers()
        claim("gives back all there is, and holds nothing", fault is None, fault)
        fault = program.end()
        claim("and the program ends as it would", fault is None, fault)


def check_abandoned(program, before):
    """Seen before the second release: the first gave something, not all, and kept nothing."""
    rss, held = program.rss(), program.held_now()
    claim("the borrow that was left holds nothing", held <= program.held + HELD_SLACK, held - program.held)
    text = "and had not been done"
    if rss <= program.rss_goal():
        print(f"ok - {text} # SKIP it was too quick")
    else:
        claim(text, rss <= before + RSS_SLACK, (before, rss))


def stopped(pid):
    _, status = os.waitpid(pid, os.WUNTRACED)
    return os.WIFSTOPPED(status)


def check_frozen():
    """SIGSTOP between question and answer; what was answered meanwhile is there afterwards."""
    for method, name in ((FULL, "full"), (BORROW, "borrow")):
        program = Subject()

        def play(listener):
            agent = after_hello(listener)
            agent.send(RECLAIM, order(method), id=77)
            os.kill(os.getpid(), signal.SIGSTOP)
            header, payload = agent.receive()
            good = header[2:5] == (RECLAIM, 77, OK) and Reclaimed(payload).method == method
            os._exit(0 if good else 2)

        child = in_child(program, play)
        claim(f"a daemon that freezes while {name} goes on disturbs nothing", stopped(child) and program.works())
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
        claim("and gets its answer when it wakes", status == 0, status)
        program.listener = listen(program.path)
        fault = program.recovers(method)
        claim("the hook comes back, and holds nothing", fault is None, fault)
        fault = program.end()
        claim("and the program ends as it would", fault is None, fault)


def check_frozen_full():
    """It never reads again: the hook goes after its limit, and finds the next daemon."""
    program = Subject()

    def play(listener):
        agent = after_hello(listener)
        flood(agent)
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)

    child = in_child(program, play)
    claim("a daemon that freezes with its socket full disturbs nothing", stopped(child) and program.works())
    program.listener = listen(program.path)
    fault = program.recovers()
    claim("the hook leaves it, finds another, and holds nothing", fault is None, fault)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    fault = program.end()
    claim("and the program ends as it would", fault is None, fault)


def n_threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def check_refused(text, program):
    """The program has its thread, the hook has none, and nobody notices."""
    with open(program.errors) as file:
        shown = (program.ready, file.read())
    claim(f"{text}: the program has all its threads", program.ready.startswith("ready"), shown)
    claim("and no more", n_threads(program.pid) == 2, n_threads(program.pid))
    claim("it works", program.works())
    claim("nobody calls", not select.select([program.listener], [], [], 0)[0])
    fault = program.end()
    claim("and it ends as it would", fault is None, fault)


def become_nobody():
    """Whom limits of processes hold for, and who is alone."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def check_no_room():
    if os.geteuid() != 0:
        print("ok - at a limit of processes the agent is refused # SKIP needs root")
        return

    def become_limited():
        become_nobody()
        resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))

    check_refused("RLIMIT_NPROC leaves no room", Subject(threads=1, preexec_fn=become_limited))

    group = os.path.join(PIDS, f"memguard-test-{os.getpid()}")
    try:
        os.mkdir(group)
    except OSError as e:
        print(f"ok - TasksMax leaves no room # SKIP no pids cgroup here: {e}")
        return

    def join_group():
        with open(os.path.join(group, "pids.max"), "w") as file:
            file.write("2")
        with open(os.path.join(group, "cgroup.procs"), "w") as file:
            file.write("0")

    try:
        check_refused("TasksMax leaves no room", Subject(threads=1, preexec_fn=join_group))
    finally:
        os.rmdir(group)


def look(agent):
    """At the heap, and first at what the program may do. True when it could be read."""
    flags, = struct.unpack_from("=I", agent.ask(STATS, struct.pack("=II", 1, 0))[1])
    return flags == 1


def check_refused_starts():
    """
    Threads that the program asks for and is refused, far more than can be under way at a time: each was
    to leave an anchor.
    """
    program = Subject(threads=1, environment={"MALLOC_ARENA_MAX": "32"}, preexec_fn=become_nobody)
    agent = program.agent()
    before = n_threads(program.pid)
    refused = [program.command("refuse")]
    held = program.held_now()
    refused.append(program.command("refuse"))
    claim("600 threads are refused, in three ways", refused == ["refused 300"] * 2, refused)
    # libc keeps some of their stacks, with something of the heap for each.
    more = program.held_now() - held
    claim("of which nothing stays in the heap", more < 300 * 24, more)
    # To libc one is gone a moment before it is to the kernel.
    end = time.monotonic() + LIMIT_SEC
    while n_threads(program.pid) > before and time.monotonic() < end:
        time.sleep(0.01)
    claim("nor any thread", n_threads(program.pid) == before, (n_threads(program.pid), before))

    claim("four threads are made later", program.command("more") == "more" and look(agent))
    program.threads += 4
    status, reply = agent.reclaim(BORROW)
    claim(
        "which have left their anchors: a release reaches all arenas",
        (status, reply.end, reply.n_reached, reply.n_arenas) == (OK, DONE, 6, 6),
        reply,
    )
    claim("and gives back what is free", program.rss() < program.rss_goal() and program.works(), program.rss())

    # Addresses that are limited are the program's: no anchors from the agent's next look on.
    made = program.command("limit") == "limited" and look(agent)
    made = made and program.command("more") == "more" and look(agent)
    status, reply = agent.reclaim(BORROW)
    # One is the agent's, since it has borrowed.
    claim(
        "four that may leave none are not reached, which the answer says",
        made and (status, reply.end, reply.n_reached, reply.n_arenas) == (OK, DONE, 6, 11),
        reply,
    )
    before = program.rss()
    status, reply = agent.reclaim(FULL)
    claim("a full trim reaches them, too", status == OK and before - program.rss() > 4 * MIB, (before, program.rss()))
    fault = program.end()
    claim("and the program ends as it would", fault is None, fault)


def check_storms():
    """Releases by both methods while the program does what disturbs most."""
    for what in ("fork", "threads", "load"):
        program = Subject()
        agent = program.agent()
        claim(f"a storm ({what}) begins", program.command(what) == "storms")
        wrong = []
        for i in range(12):
            status, reply = agent.reclaim(BORROW if i % 2 else FULL)
            if status != OK:
                wrong.append(reply)
            drain(program.listener)
        claim("releases in it are answered", not wrong, wrong)
        words = program.command("stop").split()
        claim("it went on", words[0] == "stormed" and int(words[1]) > 0, words)
        held = program.held_now()
        claim("nothing is held after it", held <= program.held + HELD_SLACK, held - program.held)
        claim("and no byte has changed", program.works())
        fault = program.end()
        claim("the program ends as it would", fault is None, fault)


def check_ends():
    """exit() and exec() while a release goes on; nobody waits for the answer."""
    for command, expected in (("exit", ""), ("exec", "after exec\n")):
        for method, name in ((FULL, "full"), (BORROW, "borrow")):
            faults = []
            for _ in range(3):
                program = Subject(LARGE_MIB // 2)
                agent = program.agent()
                agent.send(RECLAIM, order(method))
                program.say(command)
                rest = program.process.stdout.read()
                fault = program.fault_of(program.process.wait(LIMIT_SEC), rest, expected)
                program.process.stdin.close()
                if fault:
                    faults.append(fault)
            claim(f"{command}() in the middle of a release ({name}) works", not faults, faults)


def main():
    signal.alarm(1800)
    check_deaths()
    check_frozen()
    check_frozen_full()
    check_no_room()
    check_refused_starts()
    check_storms()
    check_ends()
    return exit_status()


sys.exit(main())
