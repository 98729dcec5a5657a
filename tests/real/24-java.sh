#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Java, whose main thread is not the process's first: threads, children, native memory, an
# uncaught exception; asked to release by us, and by its own `jcmd PID System.trim_native_heap`
# beside us.
#
#	24-java.sh BUILD

. "$(dirname "$0")/lib.sh"

need java openjdk-17-jdk-headless
need javac openjdk-17-jdk-headless
need jcmd openjdk-17-jdk-headless

cat >"$scratch/Work.java" <<'EOF'
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import java.util.zip.*;

public class Work {
	static long job(int i) throws Exception {
		Map<Integer, String> map = new TreeMap<>();
		for (int n = 0; n < 3000; n++)
			map.put(n * 7919 % 10007, Integer.toString(n * i));
		ByteBuffer direct = ByteBuffer.allocateDirect(300_000);
		Deflater deflater = new Deflater();            // malloc()s
		deflater.setInput(map.toString().getBytes());
		deflater.finish();
		byte[] out = new byte[200_000];
		int size = deflater.deflate(out);
		deflater.end();
		direct.put(out, 0, size);
		return direct.position();
	}

	static void work(String line) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(8);
		long sum = 0;
		for (Future<Long> f : pool.invokeAll(IntStream.range(0, 60)
				.mapToObj(i -> (Callable<Long>) () -> job(i)).collect(Collectors.toList())))
			sum += f.get();
		pool.shutdown();
		System.out.println(line + " " + pool.awaitTermination(60, TimeUnit.SECONDS) + " " + (sum > 0));
		System.out.println(IntStream.range(0, 500_000).parallel().mapToLong(i -> i % 97).sum());
		Process child = new ProcessBuilder("sh", "-c", "cat; exit 6").start();
		child.getOutputStream().write("through the child\n".getBytes());
		child.getOutputStream().close();
		System.out.print(new String(child.getInputStream().readAllBytes()));
		System.out.println(child.waitFor());
		try {
			deep(0);
		} catch (StackOverflowError e) {
			System.out.println("deep enough");
		}
		System.gc();
	}

	static int deep(int n) {
		return deep(n + 1) + 1;
	}

	public static void main(String[] args) throws Exception {
		Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("at the end")));
		Scanner in = new Scanner(System.in);
		while (in.hasNextLine())
			work(in.nextLine());
		throw new IllegalStateException("as was intended");
	}
}
EOF
javac -d "$scratch" "$scratch/Work.java"

# Both ways to release at once, between the two parts of the work.
session()
{
	local status

	start_first java -XX:+UseSerialGC -Xmx256m -cp "$scratch" Work >"$work/out"
	be_asked "$server" 2
	jcmd "$server" System.trim_native_heap | grep -o 'Trim native heap'
	jcmd "$server" VM.version | grep -o 'OpenJDK.*VM'
	jcmd "$server" Thread.print | grep -c '"main"'
	be_asked "$server"
	echo second >&9
	exec 9>&-
	wait "$server" || {
		status=$?
		cat "$work/out"
		return "$status"
	}
}

want_status=1
matrix java session
claim "it released when asked" released_in java auto named always
want_status=143
term()
{
	start_first java -XX:+UseSerialGC -Xmx64m -cp "$scratch" Work >"$work/out"
	wait_for 60 grep -q deep "$work/out"
	be_asked "$server"
	kill -TERM "$server"
	wait "$server" || { cat "$work/out"; return 143; }
}
matrix java-terminated term
finish
