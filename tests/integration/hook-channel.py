# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A daemon that is not memguardd, for hook-channel.sh: asks the hook in a program what it
may be asked, and what it must refuse.

Usage: hook-channel.py HOOK SUBJECT DIRECTORY
"""

import array
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, SUBJECT, DIRECTORY = sys.argv[1:]
PATH = os.path.join(DIRECTORY, "hook.sock")

# Two users that nothing else runs as, and the one that is shown for all who are not known.
OWN, OTHER, NOBODY = 54323, 54324, 65534


class Subject(Program, Agent):
    """The program with the hook in it, and the connection of its agent."""

    def __init__(self, listener, **environment):
        self.process = spawn([SUBJECT, "serve"], HOOK, PATH, environment)
        super().__init__(self.accept(listener))
        self.ready = self.process.stdout.readline().strip()

    @staticmethod
    def accept(listener):
        conn, _ = listener.accept()
        conn.settimeout(LIMIT_SEC)
        return conn

    def lives(self):
        """It still answers its own input."""
        return self.process.poll() is None and self.command("work") == "did work"

    def end_input(self):
        self.process.stdin.close()
        return self.process.wait(LIMIT_SEC)

    def end(self):
        status = self.end_input()
        self.conn.close()
        return status


def hung_up(conn):
    """Only the end of the connection; what was still to be read does not count."""
    try:
        while True:
            if not conn.recv(4 * SIZE):
                return True
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def check_hello(subject):
    (magic, version, verb, id_, status, length), payload = subject.hello
    tid, flags, allocators, owner, page = struct.unpack("=5I", payload[:20])
    claim(
        "the hook says HELLO first",
        (magic, version, verb, id_, status, length) == (MAGIC, VERSION, HELLO, 0, 0, 64),
        subject.hello,
    )
    claim(
        "and tells the number of its thread",
        os.path.exists(f"/proc/{subject.process.pid}/task/{tid}") and tid != subject.process.pid,
        tid,
    )
    claim("glibc's malloc is in force", owner == 1 and allocators & 1, (allocators, owner))
    claim("it knows the size of a page", page == os.sysconf("SC_PAGESIZE"), page)
    claim("an environment that is in order raises no flag", flags == 0, flags)
    return tid


def check_stats(subject):
    header, payload = subject.ask(STATS, struct.pack("=II", 7, 0), id=1234)
    flags, n_frames = struct.unpack("=II", payload[:8])
    rss, heap_rss, _, system, in_use, free = struct.unpack("=6Q", payload[8:56])
    claim("STATS is answered under its id", header[2:5] == (STATS, 1234, OK), header)
    claim("with all that was asked for", flags == 7 and n_frames > 0, (flags, n_frames))
    rows = [subject.receive() for _ in range(n_frames)]
    claim("and as many ARENA frames as it said", all(r[0][2:5] == (ARENA, 1234, OK) for r in rows), rows)
    claim(
        "the figures show what the program has freed",
        free > 48 << 20 and heap_rss > 48 << 20 and rss >= heap_rss and in_use < 16 << 20 and system >= free,
        (rss, heap_rss, system, in_use, free),
    )


def check_reclaim(subject):
    header, payload = subject.ask(RECLAIM, order(FULL), id=99)
    reply = Reclaimed(payload)
    claim("RECLAIM is answered under its id", header[2:5] == (RECLAIM, 99, OK), header)
    claim("it used malloc_trim() of glibc", (reply.method, reply.allocators, reply.end) == (1, 1, 0), reply)
    with open(f"/proc/{subject.process.pid}/statm") as file:
        rss = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    claim(
        "most of what was freed is given back, as the kernel sees it",
        reply.rss_before > 48 << 20 and reply.rss_after < 24 << 20 and rss < 24 << 20,
        (reply, rss),
    )
    claim("how long it held the allocator is told", 0 < reply.stall_usec <= reply.duration_usec, reply)
    claim("and the program goes on", subject.lives())


def check_tune(listener, subject):
    header, payload = subject.ask(TUNE, struct.pack("=IIQ", 2, 0, 1 << 20))
    claim(
        "TUNE sets a knob",
        header[2:5] == (TUNE, 7, OK) and struct.unpack("=IIQ", payload[:16]) == (2, 4, 1 << 20),
        (header, payload[:16]),
    )
    header, payload = subject.ask(TUNE, struct.pack("=IIQ", 3, 0, 4 << 20))
    claim(
        "a threshold that was asked for is not changed again along with the other",
        header[4] == OK and struct.unpack("=IIQ", payload[:16]) == (3, 0, 4 << 20),
        (header, payload[:16]),
    )
    header, payload = subject.ask(TUNE, struct.pack("=IIQ", 1, 0, 2))
    claim(
        "a limit of arenas comes in time while there are few",
        header[4] == OK and struct.unpack("=IIQ", payload[:16]) == (1, 0, 2),
        (header, payload[:16]),
    )
    header, payload = subject.ask(TUNE, struct.pack("=IIQ", 4, 0, 1 << 40))
    claim(
        "a value out of range is brought into it, and told as it was set",
        header[4] == OK and struct.unpack("=IIQ", payload[:16]) == (4, 0, 64 << 20),
        (header, payload[:16]),
    )
    header, payload = subject.ask(TUNE, struct.pack("=IIQ", 5, 0, 0))
    claim("and glibc has no decay", header[4] == UNSUPPORTED, header)
    other = Subject(listener, MALLOC_MMAP_THRESHOLD_="131072")
    header, payload = other.ask(TUNE, struct.pack("=IIQ", 2, 0, 1 << 20))
    effect, = struct.unpack("=I", payload[4:8])
    claim("but not one that the operator has set", (header[4], effect) == (REFUSED, 3), (header, effect))
    header, payload = other.ask(TUNE, struct.pack("=IIQ", 3, 0, 1 << 20))
    effect, = struct.unpack("=I", payload[4:8])
    claim("nor along with the other threshold", (header[4], effect) == (OK, 0), (header, effect))
    other.end()

    # Five threads that allocate: glibc has fixed its limit where arena_test is below that.
    late = Subject(listener, GLIBC_TUNABLES="glibc.malloc.arena_test=1")
    late.command("arenas")
    header, payload = late.ask(TUNE, struct.pack("=IIQ", 1, 0, 2))
    effect, = struct.unpack("=I", payload[4:8])
    claim("a limit of arenas that comes too late says so", (header[4], effect) == (OK, 1), (header, effect))
    late.end()
    late = Subject(listener)
    late.command("arenas")
    header, payload = late.ask(TUNE, struct.pack("=IIQ", 1, 0, 2))
    effect, = struct.unpack("=I", payload[4:8])
    claim("below glibc's own threshold it is not too late", (header[4], effect) == (OK, 0), (header, effect))
    late.end()
    early = Subject(listener, MEMGUARD_MALLOPT="arena_max=3")
    early.command("arenas")
    header, payload = early.ask(TUNE, struct.pack("=IIQ", 1, 0, 2))
    effect, = struct.unpack("=I", payload[4:8])
    claim("a second limit comes too late for what the first fixed", (header[4], effect) == (OK, 1), (header, effect))
    early.end()


def check_environment(listener):
    subject = Subject(listener, MEMGUARD_MALLOPT="arena_max=2,nonsense=1,mmap_threshold=1M")
    flags, = struct.unpack("=I", subject.hello[1][4:8])
    tuned, env_tuned = struct.unpack("=II", subject.hello[1][20:28])
    # Bits 1, 2 and, since the pair goes together, 3.
    claim("MEMGUARD_MALLOPT is applied at the start", tuned == 0b1110, tuned)
    claim("what does not parse in it is ignored, and reported", flags == 4, flags)
    subject.end()
    subject = Subject(listener, MEMGUARD_MALLOPT="arena_max=2", GLIBC_TUNABLES="glibc.malloc.arena_max=3")
    tuned, env_tuned = struct.unpack("=II", subject.hello[1][20:28])
    claim("and the operator's own tunables win", (tuned, env_tuned) == (0, 0b10), (tuned, env_tuned))
    subject.end()


def check_refusals(listener):
    good = struct.pack("=II", 1, 0)
    cases = {
        "a wrong magic": frame(STATS, good, magic=MAGIC + 1),
        "a wrong version": frame(STATS, good, version=1),
        "verb 0": frame(0),
        "an unknown verb": frame(7),
        "HELLO": frame(HELLO, bytes(64)),
        "ARENA": frame(ARENA, bytes(416)),
        "a status in a question": frame(STATS, good, status=1),
        "too short a payload": frame(STATS, good, length=4),
        "too long a payload": frame(STATS, good, length=SIZE),
        "bytes behind the payload": frame(STATS, good)[:-1] + b"\1",
        "a flag that does not exist": frame(STATS, struct.pack("=II", 8, 0)),
        "a method that does not exist": frame(RECLAIM, struct.pack("=IIQII", 77, 0, 0, 0, 0)),
        "an allocator that does not exist": frame(RECLAIM, struct.pack("=IIQII", 1, 64, 0, 0, 0)),
        "a knob that does not exist": frame(TUNE, struct.pack("=IIQ", 6, 0, 1)),
        "half a frame": frame(STATS, good)[: SIZE // 2],
        "a frame with a tail": frame(STATS, good, size=SIZE + 1),
        "one byte": b"x",
    }
    for name, data in cases.items():
        subject = Subject(listener)
        subject.conn.send(data)
        claim(f"{name} ends the connection, not the program", hung_up(subject.conn) and subject.lives())
        subject.end()


def n_descriptors(pid, tid):
    return len(os.listdir(f"/proc/{pid}/task/{tid}/fd"))


def check_descriptors(subject, tid):
    """The agent has a table of its own; nothing that is sent along gets into it."""
    pid = subject.process.pid
    before = n_descriptors(pid, tid)
    claim("the agent's descriptors are few and its own", 1 <= before <= 10, before)
    sent = array.array("i", [0, 1, 2])
    subject.conn.sendmsg([frame(STATS, struct.pack("=II", 0, 0))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
    header, _ = subject.receive()
    claim("a question that carries descriptors is answered", header[2] == STATS, header)
    claim("and leaves none behind", n_descriptors(pid, tid) == before, n_descriptors(pid, tid))
    own = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    claim("the program's table has no socket", not [f for f in own if "socket" in f], own)


def check_ends(listener):
    subject = Subject(listener)
    child = int(subject.command("fork").split()[1])
    claim("the program ends although its child lives", subject.end_input() == 0)
    claim("which ends the connection: the child does not hold it", hung_up(subject.conn))
    os.kill(child, signal.SIGKILL)

    subject = Subject(listener)
    child = int(subject.command("fork").split()[1])
    subject.process.stdin.write("exec\n")
    subject.process.stdin.flush()
    claim("exec ends the connection, even while a child lives", hung_up(subject.conn))
    os.kill(child, signal.SIGKILL)
    subject.end()

    subject = Subject(listener)
    subject.process.kill()
    claim("so does a kill", hung_up(subject.conn))
    subject.process.wait()
    subject.process.stdin.close()


def is_installed(library):
    done = subprocess.run(["true"], env=dict(os.environ, LD_PRELOAD=library), capture_output=True)
    return not done.stderr


def check_allocators(listener):
    """What they give back is for hook-allocators.py to see."""
    others = {"libjemalloc.so.2": 2, "libmimalloc.so.2": 4, "libtcmalloc_minimal.so.4": 8}
    for library, bit in others.items():
        text = f"{library} is recognized, asked to release, and has no knob of glibc"
        if not is_installed(library):
            print(f"ok - {text} # SKIP it is not installed")
            continue
        subject = Subject(listener, LD_PRELOAD=f"{HOOK}:{library}")
        allocators, owner = struct.unpack("=II", subject.hello[1][8:16])
        header, payload = subject.ask(RECLAIM, order(FULL))
        asked = struct.unpack("=2I", payload[:8])[1]
        tuned = subject.ask(TUNE, struct.pack("=IIQ", 1, 0, 2))[0][4]
        claim(
            text,
            owner == bit
            and allocators & bit
            and (header[4], asked, tuned) == (OK, bit, UNSUPPORTED)
            and subject.lives(),
            (owner, allocators, header, asked, tuned),
        )
        subject.end()


def check_exit_race(listener):
    """Nobody waits for the answer; the program's main thread goes at the same time."""
    statuses = []
    for _ in range(20):
        subject = Subject(listener)
        subject.conn.send(frame(RECLAIM, order(FULL)))
        statuses.append(subject.end())
    claim("a program that ends during a release ends well", not any(statuses), statuses)


def check_restart(subject, listener):
    subject.conn.close()
    subject.conn = subject.accept(listener)
    header, _ = subject.receive()
    claim("when the daemon goes, the hook comes back by itself", header[2] == HELLO, header)
    answer = subject.ask(BYE, id=0)
    claim("BYE ends the connection", answer is None, answer)


def check_silence(listener):
    """Nobody reads its answers: it gives up, and the program does not notice."""
    subject = Subject(listener)
    poll = select.poll()
    poll.register(subject.conn, select.POLLOUT)
    n = 0
    while n < 10000 and poll.poll(LIMIT_SEC * 1000):
        try:
            subject.conn.send(frame(STATS, struct.pack("=II", 0, 0)), socket.MSG_DONTWAIT)
            n += 1
        except (BrokenPipeError, ConnectionResetError):
            break
        except BlockingIOError:
            continue
    claim("a daemon that asks and does not read is left", n < 10000 and hung_up(subject.conn), n)
    claim("and the program goes on", subject.lives())
    subject.end()


def listen_as(uid, path):
    """The kernel keeps who has called listen()."""
    os.seteuid(uid)
    try:
        return listen(path)
    finally:
        os.seteuid(0)


def first_words(program_uid, daemon_uid):
    """Of the hook in a program of the one to a daemon of the other; b"" when it goes without a word."""

    def become():
        os.setgroups([])
        os.setgid(program_uid)
        os.setuid(program_uid)

    path = os.path.join(DIRECTORY, f"{program_uid}-{daemon_uid}.sock")
    listener = listen_as(daemon_uid, path)
    hook = os.path.join(DIRECTORY, "libmemguard-hook.so")
    process = spawn([SUBJECT, "serve"], hook, path, preexec_fn=become)
    conn = Subject.accept(listener)
    said = conn.recv(4 * SIZE)
    ready = process.stdout.readline()
    process.stdin.close()
    status = process.wait(LIMIT_SEC)
    conn.close()
    listener.close()
    claim(f"a program of user {program_uid} works beside a daemon of user {daemon_uid}",
          (ready[:5], status) == ("ready", 0), (ready, status))
    return said


def knows_all_users():
    """Or is there a namespace in which strangers look like nobody?"""
    with open("/proc/self/uid_map") as file:
        return file.read().split() == ["0", "0", "4294967295"]


def check_users():
    """Root and the program's own user are obeyed; from all others the hook goes without a word."""
    os.chmod(DIRECTORY, 0o777)
    shutil.copy(HOOK, os.path.join(DIRECTORY, "libmemguard-hook.so"))
    for program, daemon, text in (
        (OWN, OWN, "the hook greets a daemon of the program's own user"),
        (OWN, 0, "and root's"),
        (OWN, OTHER, "but says nothing to a daemon of another user"),
        (0, OTHER, "nor in a program of root's"),
        (OTHER, NOBODY, "nor to nobody's"),
        (NOBODY, NOBODY, "unless the program is nobody's itself"),
    ):
        said = first_words(program, daemon)
        obeyed = daemon == 0 or daemon == program and (daemon != NOBODY or knows_all_users())
        claim(text, len(said) == (SIZE if obeyed else 0), said)


def main():
    signal.alarm(1200)
    listener = listen(PATH)
    subject = Subject(listener)
    tid = check_hello(subject)
    check_descriptors(subject, tid)
    check_stats(subject)
    check_reclaim(subject)
    check_tune(listener, subject)
    check_restart(subject, listener)
    claim("the program ends as it would", subject.end() == 0)
    check_environment(listener)
    check_refusals(listener)
    check_ends(listener)
    check_allocators(listener)
    check_exit_race(listener)
    check_silence(listener)
    if os.geteuid() == 0:
        check_users()
    else:
        print("ok - root and the program's own user are obeyed, and nobody else # SKIP needs root")
    return exit_status()


sys.exit(main())
