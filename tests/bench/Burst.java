/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * For java.py: threads that take native memory, as a burst of requests does, in direct buffers
 * and in zlib's streams, and give back all but one piece in two hundred: both are malloc and
 * free. Then the first BUSY of them go on with small work for ever, and time each piece of it.
 *
 *	java Burst MIB THREADS BUSY
 *
 * Prints "ready". On each line of its input, "worst" and the longest piece since the line
 * before, in microseconds, and their number. The end of the input ends it.
 */

import java.nio.ByteBuffer;
import java.util.Random;
import java.util.Scanner;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Burst {
	static final int KEPT_ONE_IN = 200;
	static final int STREAM_ONE_IN = 16;

	static class Worker extends Thread {
		final long bytes;
		final boolean busy;
		final Random random;
		final Object[] kept;
		volatile long worstNsec, count;

		Worker(int nr, long bytes, boolean busy) {
			super("worker-" + nr);
			setDaemon(true);
			this.bytes = bytes;
			this.busy = busy;
			random = new Random(nr);
			kept = new Object[(int)(bytes / 1024)];
		}

		/* Touched: what is not resident is nothing to give back. */
		Object take(int nr, int size) {
			if (nr % STREAM_ONE_IN != 0)
				return ByteBuffer.allocateDirect(size);
			Deflater stream = new Deflater(Deflater.BEST_SPEED);
			stream.setInput(new byte[1024]);
			stream.finish();
			stream.deflate(new byte[256]);
			return stream;
		}

		void burst() {
			int n = 0;

			for (long held = 0; held < bytes; n++) {
				int size = 2048 + random.nextInt(30 * 1024);
				kept[n] = take(n, size);
				held += n % STREAM_ONE_IN != 0 ? size : 256 * 1024;
			}
			for (int i = 0; i < n; i++) {
				if (i % KEPT_ONE_IN == 1)
					continue;
				if (kept[i] instanceof Deflater)
					((Deflater)kept[i]).end();
				kept[i] = null;
			}
		}

		void piece() {
			Inflater stream = new Inflater();

			stream.end();
		}

		void work() {
			while (true) {
				long begin = System.nanoTime();
				piece();
				long took = System.nanoTime() - begin;
				count++;
				if (took > worstNsec)
					worstNsec = took;
				/* As a server that has something to do, but not without end. */
				LockSupport.parkNanos(50_000);
			}
		}

		public void run() {
			burst();
			full.countDown();
			try {
				cleaned.await();
				if (busy)
					work();
				Thread.sleep(Long.MAX_VALUE);
			} catch (InterruptedException e) {
				return;
			}
		}
	}

	static CountDownLatch full;
	static final CountDownLatch cleaned = new CountDownLatch(1);

	/* Direct buffers are freed by a thread of their own, after the collector has found them. */
	static void collect() throws InterruptedException {
		java.lang.management.BufferPoolMXBean pool = java.lang.management.ManagementFactory
			.getPlatformMXBeans(java.lang.management.BufferPoolMXBean.class).get(0);
		long before;

		do {
			before = pool.getMemoryUsed();
			System.gc();
			Thread.sleep(200);
		} while (pool.getMemoryUsed() < before);
	}

	public static void main(String[] args) throws Exception {
		int n = Integer.parseInt(args[1]), busy = Integer.parseInt(args[2]);
		long bytes = (Long.parseLong(args[0]) << 20) / n;
		Worker[] workers = new Worker[n];

		full = new CountDownLatch(n);
		for (int i = 0; i < n; i++) {
			workers[i] = new Worker(i, bytes, i < busy);
			workers[i].start();
		}
		full.await();
		collect();
		cleaned.countDown();
		System.out.println("ready");

		Scanner in = new Scanner(System.in);
		while (in.hasNextLine()) {
			long worst = 0, count = 0;

			in.nextLine();
			for (Worker worker : workers) {
				worst = Math.max(worst, worker.worstNsec);
				count += worker.count;
				worker.worstNsec = 0;
				worker.count = 0;
			}
			System.out.println("worst " + worst / 1000 + " " + count);
		}
	}
}
