#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Owns the answer to what a program's glibc heaps hold resident, by pages: walks them from outside
as the allocator itself would, and prints three sizes in MiB:

  pages that hold something of a block in use: nobody can give these back;
  pages that hold nothing but free blocks which threads keep in their caches, or words in which
  glibc keeps its accounts: nobody else can reach the former, or do without the latter;
  pages that hold nothing at all.

        pages.py PID

As root, of a process that does nothing meanwhile; x86-64, glibc 2.35 to 2.41. What is not
resident is not read: that would make it so. Exit status 1: the heaps make no sense.
"""

import re
import struct
import sys

PAGE = 4096
HEAP = 64 << 20  # HEAP_MAX_SIZE
HEAP_INFO = 0x30
STATE = 0x898  # sizeof(struct malloc_state)
TCACHE = 0x290  # the chunk of a thread's cache
BINS = 64
RANK = ("used", "kept")  # what a page is, if it is any of these


class Process:
    def __init__(self, pid):
        self.memory = open(f"/proc/{pid}/mem", "rb", 0)
        self.pagemap = open(f"/proc/{pid}/pagemap", "rb", 0)

    def resident(self, begin, end):
        self.pagemap.seek(begin // PAGE * 8)
        words = self.pagemap.read((end - begin) // PAGE * 8)
        return [word[0] >> 63 for word in struct.iter_unpack("<Q", words)]

    def read(self, begin, size):
        """Zeroes in the place of what is not resident."""
        first, end = begin // PAGE * PAGE, -(-(begin + size) // PAGE) * PAGE
        data = bytearray(end - first)
        for i, there in enumerate(self.resident(first, end)):
            if there:
                self.memory.seek(first + i * PAGE)
                data[i * PAGE : (i + 1) * PAGE] = self.memory.read(PAGE)
        return bytes(data[begin - first : begin - first + size])

    def words(self, at, n):
        return struct.unpack(f"<{n}Q", self.read(at, 8 * n))


class Heap:
    def __init__(self, process, begin, size, first, top):
        self.begin, self.size, self.first, self.top = begin, size, first, top
        self.resident = process.resident(begin, begin + -(-size // PAGE) * PAGE)
        self.data = process.read(begin, size)

    def size_word(self, at):
        return struct.unpack_from("<Q", self.data, at - self.begin + 8)[0]

    def chunks(self):
        """Each chunk: where, its size, and is it in use? A cached one counts as such."""
        at, end = self.first, self.begin + self.size
        while at < end and at != self.top:
            size = self.size_word(at) & ~7
            after = at + size
            if size < 32 or after + 16 > end:
                # The end of a heap that another one follows, or of the main one: its top.
                if after > end:
                    raise ValueError(f"a chunk at {at:#x} ends behind its heap")
                break
            yield at, size, self.size_word(after) & 1
            at = after
        yield at, 0, 0


def find_heaps(process, pid):
    tops, heaps = {}, []
    for line in open(f"/proc/{pid}/maps"):
        row = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 *(.*)", line)
        if not row:
            continue
        begin, end = int(row[1], 16), int(row[2], 16)
        if row[3] == "[heap]":
            heaps.append(Heap(process, begin, end - begin, begin, None))
        elif row[3] == "" and begin % HEAP == 0:
            arena, _, size = process.words(begin, 3)
            if not arena or not 0 < size <= min(HEAP, end - begin):
                continue
            if arena not in tops:
                tops[arena] = process.words(arena + 96, 1)[0]
            own = arena // HEAP == begin // HEAP
            first = (arena + STATE + 15) & ~15 if own else begin + HEAP_INFO
            heaps.append(Heap(process, begin, size, first, tops[arena]))
    return heaps, tops


def follow(process, chunk, at_most, header):
    """A list of freed blocks; links are disguised by where they are, and point behind @header."""
    for _ in range(at_most):
        if chunk <= 0:
            return
        yield chunk
        chunk = (process.words(chunk + 16, 1)[0] ^ chunk + 16 >> 12) - header


def cached(process, heaps, arenas):
    """Free blocks that glibc marks as in use: those in threads' caches and in fast bins."""
    found = set()
    for arena in arenas:
        for chunk in process.words(arena + 16, 10):
            found.update(follow(process, chunk, 1 << 20, 0))
    for heap in heaps:
        for at, size, in_use in heap.chunks():
            if not in_use or size != TCACHE:
                continue
            counts = struct.unpack_from(f"<{BINS}H", heap.data, at - heap.begin + 16)
            entries = struct.unpack_from(f"<{BINS}Q", heap.data, at - heap.begin + 16 + 2 * BINS)
            if any(n > 7 or (n == 0) != (e == 0) for n, e in zip(counts, entries)):
                continue
            for n, entry in zip(counts, entries):
                found.update(follow(process, entry - 16, n, 16))
    return found


def count(heap, free):
    """How many resident pages are of which kind."""
    kinds = [set() for _ in heap.resident]

    def mark(begin, end, kind):
        for page in range((begin - heap.begin) // PAGE, (end - 1 - heap.begin) // PAGE + 1):
            if page < len(kinds):
                kinds[page].add(kind)

    mark(heap.begin, heap.first + 1, "kept")
    for at, size, in_use in heap.chunks():
        if in_use and at not in free:
            mark(at, at + size, "used")
        elif in_use:
            mark(at, at + size, "kept")
        else:
            mark(at, at + 48, "kept")
            mark(at + size, at + size + 8, "kept")
    totals = {"used": 0, "kept": 0, "free": 0}
    for kind, there in zip(kinds, heap.resident):
        if there:
            totals[next((name for name in RANK if name in kind), "free")] += 1
    return totals


def main():
    pid = int(sys.argv[1])
    process = Process(pid)
    heaps, arenas = find_heaps(process, pid)
    free = cached(process, heaps, arenas)
    sums = {"used": 0, "kept": 0, "free": 0}
    for heap in heaps:
        for name, n in count(heap, free).items():
            sums[name] += n
    print(*(f"{n * PAGE / (1 << 20):.1f}" for n in sums.values()))


if __name__ == "__main__":
    try:
        main()
    except (ValueError, struct.error) as error:
        print(f"pages.py: {error}", file=sys.stderr)
        sys.exit(1)
