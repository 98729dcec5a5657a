/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program for the hook-*.sh tests to preload the hook into. It does one thing, named by
 * its argument, and tells what it sees of itself; it knows nothing of the hook but the
 * name of the agent's thread. What happens at the end is hook-leaver.c's.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "hook-look.h"

#define N_STORM_THREADS 8
#define N_STORM_FORKS 25
#define N_ARENA_THREADS 5
#define N_PIECES 65536
#define PIECE_BYTES 1000

static int do_count(void)
{
	printf("tasks %d\n", n_tasks());
	return 0;
}

static int do_thread(void)
{
	const int r = start_thread(wait_for_ever);

	printf("create %d tasks %d\n", r, n_tasks());
	return 0;
}

static int do_agent(void)
{
	const int id = await_agent();

	printf("agent %s\n", id ? "yes" : "no");
	return 0;
}

/* Of the main thread, and of the agent: policy, nice value, processors. */
static int do_scheduled(void)
{
	const int ids[] = { getpid(), await_agent() };

	for (int i = 0; i < 2; i++)
		printf("%d %d %s", sched_getscheduler(ids[i]), getpriority(PRIO_PROCESS, (id_t)ids[i]),
		       task_line(ids[i], "Cpus_allowed_list:"));
	return 0;
}

static int do_fork(void)
{
	pid_t pid;

	if (!await_agent())
		return 1;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int r, before = n_tasks();

		alarm(LIMIT_SEC);
		r = start_thread(wait_for_ever);
		printf("child before %d create %d agent %s\n", before, r,
		       find_agent(AGENT_TRIES) ? "yes" : "no");
		fflush(stdout);
		_exit(0);
	}

	return wait_child(pid) != 0;
}

static int do_vfork(void)
{
	pid_t pid;

	if (!await_agent())
		return 1;

	pid = vfork();
	if (pid == 0) {
		execlp("true", "true", NULL);
		_exit(127);
	}

	printf("vfork %d\n", wait_child(pid));
	return 0;
}

static void *fork_often(void *arg)
{
	(void)arg;

	for (int i = 0; i < N_STORM_FORKS; i++) {
		pid_t pid;
		void *p = malloc(4096);

		pid = fork();
		if (pid == 0) {
			alarm(LIMIT_SEC);
			free(p);
			p = malloc(100000);
			_exit(p ? 0 : 1);
		}
		free(p);
		if (pid < 0 || wait_child(pid) != 0)
			return (void *)1;
	}

	return NULL;
}

static int do_storm(void)
{
	pthread_t threads[N_STORM_THREADS];
	long n_bad = 0;

	for (int i = 0; i < N_STORM_THREADS; i++)
		if (pthread_create(&threads[i], NULL, fork_often, NULL) != 0)
			return 1;

	for (int i = 0; i < N_STORM_THREADS; i++) {
		void *r = NULL;

		pthread_join(threads[i], &r);
		n_bad += r != NULL;
	}

	printf("bad %ld\n", n_bad);
	return 0;
}

/* All threads must change, or glibc aborts; the agent must not keep what we gave up. */
static int do_setuid(void)
{
	int ids[64], n;

	if (!await_agent())
		return 1;

	if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setuid(65534) < 0) {
		printf("setuid: %s\n", strerror(errno));
		return 1;
	}

	n = task_ids(ids, 64);
	for (int i = 0; i < n; i++) {
		fputs(task_line(ids[i], "Uid:"), stdout);
		fputs(task_line(ids[i], "CapEff:"), stdout);
	}

	return 0;
}

static int do_exit(void)
{
	return await_agent() ? 7 : 1;
}

/* Before any thread there is no agent under "auto"; masks and handlers are the program's. */
static void show_signals(void)
{
	static const char *const keys[] = { "SigBlk:", "SigIgn:", "SigCgt:" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		fputs(task_line(getpid(), keys[i]), stdout);
}

static int do_signals(void)
{
	sigset_t some;

	show_signals();
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &some, NULL);
	signal(SIGUSR2, SIG_IGN);
	if (start_thread(wait_for_ever) != 0)
		return 1;
	show_signals();
	return 0;
}

static int do_agent_signals(void)
{
	const int id = await_agent();

	fputs(task_line(id, "SigBlk:"), stdout);
	return 0;
}

static int do_errno(void)
{
	int r;

	errno = 4711;
	r = start_thread(end_at_once);
	printf("create %d errno %d\n", r, errno);
	return 0;
}

/* As daemons do at their start: close all there is, then expect the lowest numbers. */
static int do_close_all(void)
{
	const int id = await_agent();
	int a, b;

	if (id == 0)
		return 1;

	for (int fd = 3; fd < 1024; fd++)
		(void)close(fd);
	a = open("/dev/null", O_RDONLY);
	b = dup(a);
	for (int fd = 3; fd < 256; fd++)
		(void)dup2(a, fd);
	printf("got %d %d, agent %s\n", a, b, task_line(id, "Name:")[0] ? "lives" : "is gone");
	return 0;
}

static int show_fds(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -1;

	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static int do_descriptors(void)
{
	const int before = show_fds("/proc/self/fd"), r = start_thread(wait_for_ever);

	/* The agent takes its own table before it names itself. */
	(void)find_any_agent();
	printf("before %d create %d after %d\n", before, r, show_fds("/proc/self/fd"));
	return 0;
}

/* The same call under a limit: what it gives must not depend on the hook. */
static int limited(int resource, rlim_t value)
{
	const struct rlimit limit = { value, value };
	void *p;
	int r;

	if (setrlimit(resource, &limit) < 0) {
		printf("setrlimit: %s\n", strerror(errno));
		return 1;
	}

	r = start_thread(wait_for_ever);
	p = malloc(1000);
	printf("create %d malloc %s\n", r, p ? "yes" : "no");
	free(p);
	return 0;
}

static int do_limit_as(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%lu", &pages) != 1)
		return 1;
	fclose(file);

	/* Room for nothing: not for the program's thread, and not for ours. */
	return limited(RLIMIT_AS, pages * (rlim_t)sysconf(_SC_PAGESIZE));
}

static int do_limit_nofile(void)
{
	int r;

	errno = 4711;
	r = limited(RLIMIT_NOFILE, 0);
	printf("errno %d\n", errno);
	return r;
}

/* Room for one thread: the program's. */
static int do_limit_nproc(void)
{
	return limited(RLIMIT_NPROC, 2);
}

static int do_limit_stack(void)
{
	return limited(RLIMIT_STACK, 64 * 1024);
}

/* The first one has more stack than there are addresses for. */
static int do_refused(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SIZE_MAX / 4);
	r = pthread_create(&thread, &attr, end_at_once, NULL);
	pthread_attr_destroy(&attr);
	printf("create %s tasks %d", r == 0 ? "0" : "refused", n_tasks());
	printf(", then agent %s\n", await_agent() ? "yes" : "no");
	return 0;
}

static void *allocate_and_stay(void *arg)
{
	/* Volatile, or the compiler sees that nobody needs it. */
	void *volatile p = malloc(100);

	free(p);
	pthread_barrier_wait(arg);
	return wait_for_ever(NULL);
}

/* Threads that live and have allocated: glibc gives each an arena of its own. */
static int make_arenas(void)
{
	static pthread_barrier_t barrier;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, N_ARENA_THREADS + 1);
	for (int i = 0; i < N_ARENA_THREADS; i++)
		if (pthread_create(&thread, NULL, allocate_and_stay, &barrier) != 0)
			_exit(1);
	pthread_barrier_wait(&barrier);
	return N_ARENA_THREADS;
}

/* A child that outlives us; whoever asked for it ends it. */
static pid_t fork_and_stay(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		alarm(2 * LIMIT_SEC);
		for (;;)
			pause();
	}

	return pid;
}

/* Says "ready", then does what the lines on its input say, and ends with it. */
static int do_serve(void)
{
	char line[64];

	retain_pieces(N_PIECES, PIECE_BYTES, 0);
	if (!await_agent())
		return 1;

	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "exec\n") == 0)
			execlp("cat", "cat", NULL);
		if (strcmp(line, "fork\n") == 0)
			printf("forked %d\n", (int)fork_and_stay());
		else if (strcmp(line, "arenas\n") == 0)
			printf("arenas %d\n", make_arenas());
		else
			printf("did %s", line);
		fflush(stdout);
	}

	return 0;
}

/* Starts @argv under a filter that allows everything: even so the hook must keep still. */
static int do_filtered(char **argv)
{
	struct filter {
		unsigned short code;
		unsigned char jt, jf;
		unsigned int k;
	} allow = { 0x06, 0, 0, 0x7fff0000 };
	struct {
		unsigned short length;
		struct filter *filters;
	} program = { 1, &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, 2, &program) < 0) {
		printf("no filter: %s\n", strerror(errno));
		return 77;
	}

	execvp(argv[0], argv);
	return 127;
}

/* Is something mapped whose name has "memguard-hook" in it? */
static int do_mapped(void)
{
	char line[4096];
	bool found = false;
	FILE *file = fopen("/proc/self/maps", "re");

	while (file && fgets(line, sizeof(line), file))
		found = found || strstr(line, "memguard-hook");

	printf("euid %d mapped %s\n", (int)geteuid(), found ? "yes" : "no");
	return 0;
}

static void show_links(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[256];

	while (dir && (entry = readdir(dir))) {
		const ssize_t n = readlinkat(dirfd(dir), entry->d_name, name, sizeof(name) - 1);

		/* Numbers of pipes and the like are not the same twice. */
		name[n > 0 ? n : 0] = '\0';
		name[strcspn(name, "[")] = '\0';
		if (n > 0 && strncmp(name, "/proc/", 6) != 0)
			printf("fd %s %s\n", entry->d_name, name);
	}
	if (dir)
		closedir(dir);
}

/* Whatever a checkpoint would have to keep of this process; the hook's own file does not count. */
static int do_holdings(void)
{
	char line[4096], last[4096] = "";
	FILE *file;

	if (start_thread(wait_for_ever) != 0)
		return 1;

	printf("tasks %d\n", n_tasks());
	show_signals();
	show_links("/proc/self/fd");
	file = fopen("/proc/self/maps", "re");
	while (file && fgets(line, sizeof(line), file)) {
		const char *name = strpbrk(line, "/[");

		if (name && !strstr(name, "memguard-hook") && strcmp(name, last) != 0) {
			snprintf(last, sizeof(last), "%s", name);
			fputs(name, stdout);
		}
	}

	return 0;
}

/* Silent where it has no capability. */
static int do_effective(void)
{
	const char *line = task_line(getpid(), "CapEff:");

	if (strcmp(line, "CapEff:\t0000000000000000\n") != 0)
		fputs(line, stdout);
	return 0;
}

static const struct thing things[] = {
	{ "count", do_count },
	{ "thread", do_thread },
	{ "agent", do_agent },
	{ "scheduled", do_scheduled },
	{ "fork", do_fork },
	{ "vfork", do_vfork },
	{ "storm", do_storm },
	{ "setuid", do_setuid },
	{ "exit", do_exit },
	{ "signals", do_signals },
	{ "agent-signals", do_agent_signals },
	{ "errno", do_errno },
	{ "close-all", do_close_all },
	{ "descriptors", do_descriptors },
	{ "limit-as", do_limit_as },
	{ "limit-nofile", do_limit_nofile },
	{ "limit-nproc", do_limit_nproc },
	{ "limit-stack", do_limit_stack },
	{ "refused", do_refused },
	{ "serve", do_serve },
	{ "holdings", do_holdings },
	{ "mapped", do_mapped },
	{ "effective", do_effective },
};

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "filtered") == 0)
		return do_filtered(argv + 2);
	if (argc != 2)
		return 2;

	return do_thing(things, sizeof(things) / sizeof(things[0]), argv[1]);
}
