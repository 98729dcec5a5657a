/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * As hook-subject.c, of how a program ends: its main thread before the others, by each of the ways
 * there are, with something that libc has to write then.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <threads.h>

#include "hook-look.h"

static int do_exit_main(void)
{
	if (start_thread(end_at_once) != 0 || !find_agent(AGENT_TRIES))
		return 1;

	pthread_exit(NULL);
}

static pthread_t main_thread;

/* What the kernel says of this process, kept for when it cannot be opened any more. */
static int own_stat = -1;

static void open_stat(void)
{
	if (own_stat < 0)
		own_stat = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	/* What glibc's pthread_exit() would open. */
	(void)dlopen("libgcc_s.so.1", RTLD_NOW);
}

/* Is the main thread a zombie, as the kernel shows who has ended before the others? */
static bool main_has_ended(void)
{
	char text[256] = "";
	const char *state;

	if (pread(own_stat, text, sizeof(text) - 1, 0) <= 0)
		return false;

	state = strrchr(text, ')');
	return state && state[2] == 'Z';
}

static void *end_after_main(void *arg)
{
	if (arg)
		pthread_cancel(main_thread);
	while (!main_has_ended())
		usleep(1000);

	return NULL;
}

static void say_bye(void)
{
	fputs(" bye", stdout);
}

/* What is written and not flushed is written by libc, when the last thread has ended. */
static int end_main(bool find, bool cancel, void (*end)(void))
{
	pthread_t thread;

	open_stat();
	main_thread = pthread_self();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	if (atexit(say_bye) != 0 ||
	    pthread_create(&thread, NULL, end_after_main, cancel ? &thread : NULL) != 0)
		return 1;
	if (find && getenv("LD_PRELOAD") && !find_agent(AGENT_TRIES))
		return 1;

	fputs("not flushed", stdout);
	end();
	return 1;
}

static void end_by_pthread_exit(void)
{
	pthread_exit(NULL);
}

static void end_by_thrd_exit(void)
{
	thrd_exit(3);
}

static void end_by_cancel(void)
{
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	for (;;)
		pause();
}

static int do_leave(void)
{
	return end_main(true, false, end_by_pthread_exit);
}

static int do_leave_at_once(void)
{
	return end_main(false, false, end_by_pthread_exit);
}

static int do_leave_thrd(void)
{
	return end_main(true, false, end_by_thrd_exit);
}

static int do_leave_cancel(void)
{
	return end_main(true, true, end_by_cancel);
}

/* Has it a descriptor that tells of signals? */
static bool has_bell(int id)
{
	char path[64], name[64];
	bool found = false;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/self/task/%d/fd", id);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		const ssize_t n = readlinkat(dirfd(dir), entry->d_name, name, sizeof(name) - 1);

		name[n > 0 ? n : 0] = '\0';
		found = found || strcmp(name, "anon_inode:[signalfd]") == 0;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The signal that calls the agent is pending for the whole program, for good. */
static int do_leave_pending(void)
{
	sigset_t urgent;
	int id;

	sigemptyset(&urgent);
	sigaddset(&urgent, SIGURG);
	sigprocmask(SIG_BLOCK, &urgent, NULL);
	id = await_agent();
	if (id == 0)
		return 1;

	for (int i = 0; !has_bell(id); i++)
		if (usleep(2000) < 0 || i > 5000)
			return puts("it has no bell") < 0;
	kill(getpid(), SIGURG);
	/* Else it would ring all the time. */
	for (int i = 0; has_bell(id); i++)
		if (usleep(2000) < 0 || i > 5000)
			return puts("it keeps its bell") < 0;
	return sigpending(&urgent) == 0 && sigismember(&urgent, SIGURG) ? puts("is left alone") < 0 : 1;
}

/* As "leave", in a child whose agent is not the one that was there at the fork. */
static int do_leave_child(void)
{
	pid_t pid;

	if (!await_agent())
		return 1;

	pid = fork();
	if (pid == 0)
		exit(do_leave());
	return wait_child(pid);
}

static bool has_begun(void)
{
	open_stat();
	return start_thread(end_at_once) == 0 && (!getenv("LD_PRELOAD") || find_agent(AGENT_TRIES));
}

static long n_sleeps(int id)
{
	static const char key[] = "voluntary_ctxt_switches:";

	return atol(task_line(id, key) + strlen(key));
}

static void ignore_it(int signal)
{
	(void)signal;
}

static void send_signals(int n)
{
	while (n-- > 0)
		kill(getpid(), SIGUSR1);
}

static void *send_signals_until_main_has_ended(void *arg)
{
	do
		send_signals(100);
	while (!main_has_ended());
	return arg;
}

/* In the middle of very many signals, of which the agent takes no notice after a while. */
static int do_leave_busy(void)
{
	int agent, n_quiet = 0;
	pthread_t thread;

	signal(SIGUSR1, ignore_it);
	agent = has_begun() ? find_agent(AGENT_TRIES) : 0;
	if (agent == 0)
		return 1;
	if (pthread_create(&thread, NULL, send_signals_until_main_has_ended, NULL) != 0)
		return 1;
	while (n_quiet < 3) {
		const long before = n_sleeps(agent);

		send_signals(20000);
		n_quiet = n_sleeps(agent) - before < 1000 ? n_quiet + 1 : 0;
	}

	return end_main(false, false, end_by_pthread_exit);
}

/* When main ends /proc cannot be reached. */
static int do_leave_rooted(void)
{
	if (!has_begun())
		return 1;
	if (chroot("/proc/self/fdinfo") < 0 || chdir("/") < 0)
		return 77;

	return end_main(false, false, end_by_pthread_exit);
}

/* Or there is no number left to open it under. */
static int do_leave_full(void)
{
	const struct rlimit few = { 64, 64 };

	if (!has_begun() || setrlimit(RLIMIT_NOFILE, &few) < 0)
		return 1;
	while (dup(0) >= 0)
		;

	return end_main(false, false, end_by_pthread_exit);
}

static const struct thing things[] = {
	{ "exit-main", do_exit_main },
	{ "leave", do_leave },
	{ "leave-at-once", do_leave_at_once },
	{ "leave-thrd", do_leave_thrd },
	{ "leave-cancel", do_leave_cancel },
	{ "leave-pending", do_leave_pending },
	{ "leave-child", do_leave_child },
	{ "leave-busy", do_leave_busy },
	{ "leave-rooted", do_leave_rooted },
	{ "leave-full", do_leave_full },
};

int main(int argc, char **argv)
{
	return argc == 2 ? do_thing(things, sizeof(things) / sizeof(things[0]), argv[1]) : 2;
}
