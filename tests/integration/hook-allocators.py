# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What other allocators tell and give back through the hook, for hook-allocators.sh.

Usage: hook-allocators.py HOOK DIRECTORY
"""

import os
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "shim"))
from hook_peer import *  # noqa: E402

HOOK, DIRECTORY = sys.argv[1:]
PATH = os.path.join(DIRECTORY, "hook.sock")

GLIBC, JEMALLOC, MIMALLOC, TCMALLOC, OTHER, GOOGLE = (1 << i for i in range(6))
DECAY = 5
EFFECT_SET, EFFECT_OPERATOR = 0, 3
FOREIGN_AT = 160
MIB = 1 << 20


def is_installed(library):
    done = subprocess.run(["true"], env=dict(os.environ, LD_PRELOAD=library), capture_output=True)
    return not done.stderr


class Subject(Program, Agent):
    def __init__(self, listener, program="plain", mode="stay", preload="", **environment):
        self.process = spawn(
            [os.path.join(DIRECTORY, program), mode], f"{HOOK}:{preload}", PATH, environment
        )
        super().__init__(listener.accept()[0])
        _, payload = self.hello
        self.flags, self.allocators, self.owner = struct.unpack("=III", payload[4:16])
        self.tuned, self.env_tuned = struct.unpack("=II", payload[20:28])
        self.ready = self.process.stdout.readline().strip()

    def ask(self, verb, payload):
        header, payload = super().ask(verb, payload)
        return header[4], payload

    def foreign(self):
        """{allocator: (in use, retained)}"""
        _, payload = self.ask(STATS, struct.pack("=II", 1, 0))
        rows = [struct.unpack_from("=IIQQ", payload, FOREIGN_AT + 24 * i) for i in range(4)]
        return {bit: (in_use, retained) for bit, _, in_use, retained in rows if bit}

    def reclaim(self, allocators=0, limit_bytes=0, limit_usec=0):
        limits = {"allocators": allocators, "limit_bytes": limit_bytes, "limit_usec": limit_usec}
        status, payload = self.ask(RECLAIM, order(FULL, **limits))
        _, asked, end = struct.unpack("=3I", payload[:12])
        return status, asked, end

    def tune(self, knob, value):
        status, payload = self.ask(TUNE, struct.pack("=IIQ", knob, 0, value))
        return status, struct.unpack("=I", payload[4:8])[0]

    def is_good(self):
        """It still works, and what it kept is as it was."""
        return self.command("count") == "good 84"

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(LIMIT_SEC)
        self.conn.close()
        return status


def check_release(listener, text, bit, program="plain", owner=None, tells=True, **how):
    """70 % of what it retains is asked for; where it does not tell, of all that is resident."""
    subject = Subject(listener, program, **how)
    told = subject.foreign().get(bit, (0, 0))
    before = subject.rss()
    status, asked, end = subject.reclaim()
    after = subject.rss()
    retained = told[1] if tells else before
    claim(
        f"{text}: most of what it retains is given back",
        subject.owner == (bit if owner is None else owner)
        and subject.allocators & bit
        and (status, asked & bit, end) == (OK, bit, DONE)
        and before > 100 * MIB
        and retained > 64 * MIB
        and before - after >= 0.7 * retained,
        (subject.owner, subject.allocators, told, before, after, status, asked, end),
    )
    if tells:
        in_use, retained = subject.foreign().get(bit, (0, 0))
        claim(
            f"{text}: it tells what is in use and what is left",
            in_use < 32 * MIB and retained < 0.3 * told[1],
            (told, in_use, retained),
        )
    claim(f"{text}: the program goes on", subject.is_good() and subject.end() == 0)


def check_preloaded(listener):
    libraries = [
        ("libjemalloc.so.2", JEMALLOC, "stay", True),
        ("libjemalloc.so.2", JEMALLOC, "end", None),
        ("libmimalloc.so.2", MIMALLOC, "end", False),
        ("libtcmalloc_minimal.so.4", TCMALLOC, "stay", True),
        ("libtcmalloc_minimal.so.4", TCMALLOC, "end", True),
    ]
    for library, bit, mode, tells in libraries:
        text = f"{library}, threads that {mode}"
        if not is_installed(library):
            print(f"ok - {text} # SKIP it is not installed")
        elif tells is None:
            # It gave all back by itself when they ended: nothing to be seen, nothing broken.
            subject = Subject(listener, mode=mode, preload=library)
            claim(f"{text}: a release is harmless", subject.reclaim()[0] == OK and subject.is_good())
            subject.end()
        else:
            check_release(listener, text, bit, mode=mode, preload=library, tells=tells)


def check_limits(listener):
    for library, bit in ("libjemalloc.so.2", JEMALLOC), ("libtcmalloc_minimal.so.4", TCMALLOC):
        if not is_installed(library):
            print(f"ok - {library} stops when told # SKIP it is not installed")
            continue
        # It is asked arena by arena, of which jemalloc makes itself one where there is one processor.
        subject = Subject(listener, preload=library, MALLOC_CONF="narenas:8")
        before = subject.foreign()[bit][1]
        answer = subject.reclaim(limit_bytes=MIB)
        after = subject.foreign()[bit][1]
        claim(
            f"{library} stops when it is enough",
            answer == (OK, bit, BYTES) and before - after >= MIB and after > before / 4,
            (answer, before, after),
        )
        answer = subject.reclaim(limit_usec=1)
        claim(f"{library} stops when the time is up", answer == (OK, bit, TIME), answer)
        answer = subject.reclaim(allocators=GLIBC)
        claim(f"{library} is left alone when another is meant", answer[:2] == (UNSUPPORTED, 0), answer)
        subject.end()


def check_decay(listener):
    if is_installed("libjemalloc.so.2"):
        subject = Subject(listener, preload="libjemalloc.so.2")
        before = subject.rss()
        answer = subject.tune(DECAY, 0)
        after = subject.rss()
        claim(
            "jemalloc: a decay of nothing is in force at once",
            answer == (OK, EFFECT_SET) and after < 0.3 * before and subject.is_good(),
            (answer, before, after),
        )
        subject.end()
        subject = Subject(listener, preload="libjemalloc.so.2", MALLOC_CONF="dirty_decay_ms:9000")
        before = subject.foreign()
        answer = subject.tune(DECAY, 0)
        claim(
            "jemalloc: not when the operator has said it",
            answer == (REFUSED, EFFECT_OPERATOR) and subject.env_tuned == 1 << DECAY
            and subject.foreign() == before,
            (answer, subject.env_tuned, before),
        )
        subject.end()
        conf = os.path.join(DIRECTORY, "false-CONF.so")
        subject = Subject(listener, preload=f"{conf}:libjemalloc.so.2", MEMGUARD_MALLOPT="decay=0")
        before = subject.foreign()
        answer = subject.tune(DECAY, 0)
        claim(
            "jemalloc: nor when it was said in malloc_conf, at the start and later",
            answer == (REFUSED, EFFECT_OPERATOR) and subject.tuned == 0 and subject.foreign() == before
            and before[JEMALLOC][1] > 64 * MIB,
            (answer, subject.tuned, before),
        )
        subject.end()
        subject = Subject(listener, preload="libjemalloc.so.2", MEMGUARD_MALLOPT="decay=0")
        claim(
            "jemalloc: decay=0 in MEMGUARD_MALLOPT keeps it small from the start",
            subject.tuned == 1 << DECAY and subject.rss() < 48 * MIB,
            (subject.tuned, subject.rss()),
        )
        subject.end()
    else:
        print("ok - decay of jemalloc # SKIP it is not installed")

    if is_installed("libmimalloc.so.2"):
        subject = Subject(listener, preload="libmimalloc.so.2", MEMGUARD_MALLOPT="decay=0")
        claim(
            "mimalloc: decay=0 at the start reaches also threads that stay",
            subject.tuned == 1 << DECAY and subject.rss() < 48 * MIB,
            (subject.tuned, subject.rss()),
        )
        claim("mimalloc: and later it is taken", subject.tune(DECAY, 500) == (OK, EFFECT_SET))
        subject.end()
        subject = Subject(listener, preload="libmimalloc.so.2", MIMALLOC_PURGE_DELAY="77")
        answer = subject.tune(DECAY, 0)
        claim("mimalloc: not when the operator has said it", answer == (REFUSED, EFFECT_OPERATOR), answer)
        subject.end()
    else:
        print("ok - decay of mimalloc # SKIP it is not installed")


def exists(program):
    return os.path.exists(os.path.join(DIRECTORY, program))


def check_beside_glibc(listener):
    text = "je_ beside glibc"
    if not exists("prefixed"):
        print(f"ok - {text} # SKIP there is no libjemalloc_pic.a or no objcopy")
        return
    check_release(listener, text, JEMALLOC, "prefixed", owner=GLIBC)
    subject = Subject(listener, "prefixed")
    answers = [subject.reclaim(allocators=GLIBC)]
    before = subject.rss()
    answers.append(subject.reclaim(allocators=JEMALLOC))
    after = subject.rss()
    answers.append(subject.reclaim())
    claim(
        f"{text}: each is asked when it is meant, both when all are",
        [a[1] for a in answers] == [GLIBC, JEMALLOC, GLIBC | JEMALLOC]
        and before > 100 * MIB and after < 0.3 * before,
        (answers, before, after),
    )
    subject.end()
    if is_installed("libtcmalloc_minimal.so.4"):
        subject = Subject(listener, "prefixed", preload="libtcmalloc_minimal.so.4")
        answer = subject.reclaim()
        claim(
            f"{text} and tcmalloc in front of it: the two that serve are asked",
            subject.owner == TCMALLOC and answer[:2] == (OK, JEMALLOC | TCMALLOC) and subject.is_good(),
            (subject.owner, answer),
        )
        subject.end()


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def symbols_of(program, name="mallctl"):
    """What memguardctl writes, by other tools."""
    path = os.path.join(DIRECTORY, program)
    build_id = [l.split()[-1] for l in output("readelf", "-n", path).splitlines() if "Build ID:" in l][0]
    table = {f[2]: f[0] for f in (l.split() for l in output("nm", path).splitlines()) if len(f) == 3}
    return build_id, int(table[name], 16), int(table["_IO_stdin_used"], 16)


def check_linked(listener):
    text = "jemalloc linked into the program"
    if not exists("linked"):
        print(f"ok - {text} # SKIP there is no libjemalloc_pic.a")
        return
    build_id, offset, data = symbols_of("linked")
    other_id = ("0" if build_id[0] != "0" else "1") + build_id[1:]
    useless = {
        "nothing": "",
        "another file's": f"{other_id}:mallctl={offset:x}",
        "a place in its data": f"{build_id}:mallctl={data:x}",
        "a place outside": f"{build_id}:mallctl=7fffffffff00",
        "half an id": f"{build_id[:16]}:mallctl={offset:x}",
    }
    for name, symbols in useless.items():
        subject = Subject(listener, "linked", MEMGUARD_SYMBOLS=symbols)
        answer = subject.reclaim()
        claim(
            f"{text}: {name} in MEMGUARD_SYMBOLS, and nobody is called",
            subject.owner == OTHER and answer[:2] == (UNSUPPORTED, 0) and subject.is_good(),
            (subject.owner, answer),
        )
        subject.end()
    good = f"{build_id}:mallctl={offset:x}"
    check_release(listener, text, JEMALLOC, "linked", MEMGUARD_SYMBOLS=good)
    subject = Subject(listener, "plain", MEMGUARD_SYMBOLS=good)
    claim(
        "a child that is another program does not take its parent's symbols",
        not subject.allocators & JEMALLOC and subject.reclaim()[1] == GLIBC,
        subject.allocators,
    )
    subject.end()
    subject = Subject(listener, "plain", MEMGUARD_SYMBOLS="nonsense")
    claim("what does not parse is reported", subject.flags == 4, subject.flags)
    subject.end()


def check_false(listener):
    cases = {
        "mallctl() without the rest": "HALF",
        "a jemalloc of another version": "OLD",
        "a mimalloc of another version": "MI_OLD",
        "a jemalloc of which half is elsewhere": "SPLIT_A SPLIT_B",
        "a gperftools without tc_malloc()": "TC_HALF",
        "a gperftools of which half is elsewhere": "TC_HALF TC_REST",
    }
    for text, names in cases.items():
        preload = ":".join(os.path.join(DIRECTORY, f"false-{name}.so") for name in names.split())
        subject = Subject(listener, preload=preload)
        answer = subject.reclaim()
        decay = subject.tune(DECAY, 0)
        claim(
            f"{text} is never called",
            subject.owner == GLIBC and answer[:2] == (OK, GLIBC) and decay[0] == UNSUPPORTED
            and subject.foreign() == {} and subject.is_good(),
            (subject.owner, answer, decay),
        )
        subject.end()


def check_false_that_serves(listener):
    """It is the program's malloc, but not known to be gperftools: nobody is asked at all."""
    subject = Subject(listener, preload=os.path.join(DIRECTORY, "false-TC_SERVES.so"))
    answer = subject.reclaim()
    decay = subject.tune(DECAY, 0)
    claim(
        "one without tc_malloc() that serves malloc is never called, nor is glibc's",
        subject.owner == OTHER and subject.allocators & TCMALLOC and answer[:2] == (UNSUPPORTED, 0)
        and decay[0] == UNSUPPORTED and subject.foreign() == {} and subject.is_good(),
        (subject.owner, subject.allocators, answer, decay),
    )
    subject.end()


def check_google(listener):
    subject = Subject(listener, preload=os.path.join(DIRECTORY, "false-GOOGLE.so"))
    before = subject.rss()
    answer = subject.reclaim(allocators=GOOGLE)
    after = subject.rss()
    claim(
        "google/tcmalloc is asked by the name it exports",
        subject.allocators & GOOGLE and answer == (OK, GOOGLE, DONE) and before - after > 48 * MIB,
        (subject.owner, subject.allocators, answer, before, after),
    )
    subject.end()


def check_google_linked(listener):
    text = "google/tcmalloc linked into the program"
    name = "MallocExtension_Internal_ReleaseMemoryToSystem"
    build_id, offset, _ = symbols_of("google-linked", name)
    subject = Subject(listener, "google-linked")
    answer = subject.reclaim()
    claim(f"{text} is not seen", not subject.allocators & GOOGLE and not answer[1] & GOOGLE, answer)
    subject.end()
    symbols = f"{build_id}:{name}={offset:x}"
    subject = Subject(listener, "google-linked", MEMGUARD_SYMBOLS=symbols)
    before = subject.rss()
    answer = subject.reclaim(allocators=GOOGLE)
    claim(
        f"{text} is asked where MEMGUARD_SYMBOLS says that it is",
        subject.allocators & GOOGLE
        and answer == (OK, GOOGLE, DONE)
        and before - subject.rss() > 48 * MIB
        and subject.is_good(),
        (subject.owner, subject.allocators, answer),
    )
    subject.end()
    # A place in code, of a program whose malloc is another's.
    build_id, offset, _ = symbols_of("plain", "main")
    subject = Subject(listener, "plain", MEMGUARD_SYMBOLS=f"{build_id}:{name}={offset:x}")
    answer = subject.reclaim()
    claim(
        f"{text} that does not serve malloc is never called",
        answer[:2] == (OK, GLIBC) and subject.is_good(),
        answer,
    )
    subject.end()


def main():
    signal.alarm(1800)
    listener = listen(PATH)
    check_preloaded(listener)
    check_limits(listener)
    check_decay(listener)
    check_beside_glibc(listener)
    check_linked(listener)
    check_false(listener)
    check_false_that_serves(listener)
    check_google(listener)
    check_google_linked(listener)
    return exit_status()


sys.exit(main())
