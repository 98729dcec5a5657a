#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Owns a threaded program on malloc which bursts and idles on command. Commands come one
# a line on standard input:
#
#	burst		every thread fills its share with blocks, sums them up, drops them
#	quit		or the end of the input: ends
#
# It prints "READY" and for each burst "BURST number sum". The output depends on the
# commands only, so that it can be compared with and without a preload.

import argparse
import queue
import random
import sys
import threading
import zlib

# Python serves up to 512 bytes from pools of its own, more comes from malloc.
SIZE_MIN = 600
SIZE_MAX = 20000


def fill(seed, mib):
	chance = random.Random(seed)
	wanted = mib << 20
	blocks = []
	while wanted > 0:
		size = chance.randint(SIZE_MIN, SIZE_MAX)
		blocks.append(bytes([chance.randrange(256)]) * size)
		wanted -= size
	chance.shuffle(blocks)
	total = 0
	for block in blocks:
		total = zlib.crc32(block, total)
	return total


def work(number, mib, orders, results):
	for burst in iter(orders.get, None):
		results.put((number, fill(burst * 1000 + number, mib)))


def main():
	parser = argparse.ArgumentParser(description="Threads that allocate on command.")
	parser.add_argument("--threads", type=int, default=8)
	parser.add_argument("--mib", type=int, default=64, help="of one burst, all threads")
	options = parser.parse_args()

	results = queue.Queue()
	orders = [queue.Queue() for _ in range(options.threads)]
	share = max(1, options.mib // options.threads)
	threads = [
		threading.Thread(target=work, args=(number, share, order, results))
		for number, order in enumerate(orders)
	]
	for thread in threads:
		thread.start()
	print("READY", flush=True)

	bursts = 0
	status = 0
	for line in sys.stdin:
		command = line.strip()
		if command == "quit":
			break
		if command != "burst":
			print(f"threads.py: {command!r}: no such command", file=sys.stderr)
			status = 2
			break
		bursts += 1
		for order in orders:
			order.put(bursts)
		# Threads end in any order, the sum must not depend on it.
		sums = sorted(results.get() for _ in orders)
		total = zlib.crc32(repr(sums).encode())
		print(f"BURST {bursts} {total:08x}", flush=True)

	for order in orders:
		order.put(None)
	for thread in threads:
		thread.join()
	return status


sys.exit(main())
