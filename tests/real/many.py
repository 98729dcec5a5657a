# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program with threads that works after each line of its standard input; for `threaded` of lib.sh.

import sys, threading

def work(number):
	words = [str(i * number) * 200 for i in range(5000)]
	sums[number] = sum(map(len, words))

for line in sys.stdin:
	sums = {}
	threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	print(line.strip(), sorted(sums.items()), flush=True)
sys.exit(4)
