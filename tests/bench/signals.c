/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that gets very many signals, for signals.sh: its main thread sends each to the program
 * itself, and handles it; a second thread, which has them blocked, waits. Usage: signals RATE
 * SECONDS; a rate of 0 is as many as there can be. Prints how many were handled a second, and
 * of the thread called "memguard" how often it slept, and its share of a processor in permyriad.
 */

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_SECONDS 5

static volatile sig_atomic_t n_handled;

static void handle(int signal)
{
	(void)signal;
	n_handled++;
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();

	return arg;
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Of a thread of this process; 0 where it has another name. */
static long sleeps_of(const char *id, const char *name)
{
	static const char key[] = "voluntary_ctxt_switches:";
	char path[300], line[256];
	bool is_it = false;
	long n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", id);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		is_it = is_it || (strncmp(line, "Name:\t", 6) == 0 && strcmp(line + 6, name) == 0);
		if (is_it && strncmp(line, key, sizeof(key) - 1) == 0)
			n = atol(line + sizeof(key) - 1);
	}

	if (file)
		fclose(file);
	return n;
}

static long n_sleeps(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	long n = 0;

	while (dir && (entry = readdir(dir)))
		n += sleeps_of(entry->d_name, "memguard\n");

	if (dir)
		closedir(dir);
	return n;
}

static void start_waiter(void)
{
	sigset_t set;
	pthread_t thread;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
		exit(1);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* For @length seconds. Returns how long it was. */
static double send_signals(double rate, double length)
{
	const double begin = seconds(CLOCK_MONOTONIC);
	double spent = 0;

	for (long sent = 0; spent < length; spent = seconds(CLOCK_MONOTONIC) - begin)
		if (rate == 0 || (double)sent < spent * rate) {
			kill(getpid(), SIGUSR1);
			sent++;
		}

	return spent;
}

static double others_seconds(void)
{
	return seconds(CLOCK_PROCESS_CPUTIME_ID) - seconds(CLOCK_THREAD_CPUTIME_ID);
}

int main(int argc, char **argv)
{
	const double rate = argc > 2 ? atof(argv[1]) : 0, length = argc > 2 ? atof(argv[2]) : 33;
	double spent, others;
	long slept;

	signal(SIGUSR1, handle);
	start_waiter();
	/* The agent starts, and has time to see what comes. */
	(void)send_signals(rate, SETTLE_SECONDS);
	n_handled = 0;
	slept = n_sleeps();
	others = others_seconds();
	spent = send_signals(rate, length);
	others = others_seconds() - others;
	printf("%.0f %.0f %.0f\n", (double)n_handled / spent, (double)(n_sleeps() - slept) / spent,
	       others / spent * 10000);
	return 0;
}
