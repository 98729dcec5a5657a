/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program in the corners that hook-corners.sh and hook-guarded.sh drive a hook into:
 * locked memory, sandboxes, a loader that is busy, very many of the same. The first argument
 * says which. Those with a daemon free much memory first, and end with their input.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <threads.h>

#ifdef __GLIBC__
#include <sys/single_threaded.h>
#endif

#include "hook-look.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define N_PIECES 20000
#define PIECE_BYTES 1000

/* Fewer than there are arenas for threads that are made in between, and addresses for those. */
#define N_LOOKS 3

static int wait_for_end(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
	return 0;
}

/* One thread must be all there is, and then namespaces of its own must be possible. */
static int do_sandbox(void)
{
	int status = -1;
	pid_t pid;

	printf("tasks %d\n", n_tasks());
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) < 0) {
		printf("unshare: %s\n", strerror(errno));
		return 1;
	}

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(getpid() == 1 ? 7 : 1);
	waitpid(pid, &status, 0);
	printf("inside %d\n", WEXITSTATUS(status));
	return 0;
}

static int do_single(void)
{
#ifdef __GLIBC__
	printf("single %d\n", __libc_single_threaded != 0);
	return 0;
#else
	return 77;
#endif
}

/* What is locked and resident with one thread of the program, in KiB. */
static int do_locked(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		printf("mlockall: %s\n", strerror(errno));
		return 77;
	}
	if (start_thread(wait_for_ever) != 0)
		return 1;

	(void)find_any_agent();
	fputs(task_line(getpid(), "VmLck:"), stdout);
	fputs(task_line(getpid(), "VmRSS:"), stdout);
	return 0;
}

static int n_begun; /* atomic */

static void *begin_and_wait(void *arg)
{
	__atomic_add_fetch(&n_begun, 1, __ATOMIC_ACQ_REL);
	return wait_for_ever(arg);
}

static void await_begun(int n)
{
	while (__atomic_load_n(&n_begun, __ATOMIC_ACQUIRE) < n)
		usleep(2000);
}

static long n_wakes(int id)
{
	static const char key[] = "voluntary_ctxt_switches:";

	return atol(task_line(id, key) + strlen(key));
}

/*
 * The agent looks now and then. It may have been on its way to sleep, and on a busy machine it
 * sleeps for the kernel's own reasons, too: two looks that were none have been seen.
 */
static void await_look(int agent)
{
	const long wakes = n_wakes(agent);

	while (n_wakes(agent) < wakes + 5)
		usleep(2000);
}

static int mib_of(const char *key)
{
	return atoi(task_line(getpid(), key) + strlen(key)) / 1024;
}

/* Of what @key tells: does a thread that does not allocate take an arena, 64 MiB? Negative: none was made. */
static int takes_arena(const char *key)
{
	const int before = mib_of(key), n_before = __atomic_load_n(&n_begun, __ATOMIC_ACQUIRE);

	if (start_thread(begin_and_wait) != 0)
		return -1;
	await_begun(n_before + 1);
	return mib_of(key) - before >= 48;
}

static int tell_thread(const char *key)
{
	const int taken = takes_arena(key);

	if (taken >= 0)
		printf("%s\n", taken ? "and an arena" : "just its stack");
	return taken < 0;
}

/*
 * Until threads are as they shall be: what the agent decides in a look it decides for good, and a thread that
 * is made before it, or in the middle of it, tells nothing.
 */
static void await_threads(int agent, const char *key, bool take_arenas)
{
	int n = 0;

	do
		await_look(agent);
	while (takes_arena(key) != take_arenas && ++n < N_LOOKS);
}

/* Many threads that take no memory, then as much as there are addresses for. */
static int use_addresses(void)
{
	int n_made = 0;
	void *rest;

	for (int i = 0; i < 8; i++)
		n_made += start_thread(begin_and_wait) == 0;
	await_begun(n_made);
	(void)find_any_agent();

	rest = mmap(NULL, 700UL << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("%d threads, %s\n", n_made, rest == MAP_FAILED ? strerror(errno) : "700 MiB");
	return 0;
}

static const struct rlimit addresses = { 1200UL << 20, 1200UL << 20 };

static int do_addresses(void)
{
	return setrlimit(RLIMIT_AS, &addresses) == 0 ? use_addresses() : 1;
}

static int do_addresses_later(void)
{
	int agent;

	if (start_thread(wait_for_ever) != 0)
		return 1;
	agent = find_any_agent();
	if (setrlimit(RLIMIT_AS, &addresses) < 0)
		return 1;
	if (agent)
		await_threads(agent, "VmSize:", false);
	return use_addresses();
}

/* An arena would be locked with all its addresses, 64 MiB. The agent notices when it looks. */
static int do_locked_later(void)
{
	const int agent = await_agent();

	if (agent == 0)
		return 1;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		printf("mlockall: %s\n", strerror(errno));
		return 77;
	}

	await_threads(agent, "VmLck:", false);
	return tell_thread("VmLck:");
}

/* A program that keeps a secret in one. */
static int do_locked_page(void)
{
	const int agent = await_agent();
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (agent == 0)
		return 1;
	if (page == MAP_FAILED || mlock(page, 4096) < 0) {
		printf("mlock: %s\n", strerror(errno));
		return 77;
	}

	await_threads(agent, "VmSize:", true);
	return tell_thread("VmSize:");
}

/* Allows everything, but nobody who only sees that there is one can know. */
static bool set_filter(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog filter = { 1, &allow };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, 2, &filter) == 0;
}

/* A worker of a program with an agent that puts itself under a filter before its first thread. */
static int do_filtered_child(void)
{
	pid_t pid;

	if (!await_agent())
		return 1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int r = 77;

		if (set_filter()) {
			/* The first one finds an arena that a thread of the parent's has left. */
			start_thread(begin_and_wait);
			await_begun(1);
			r = tell_thread("VmSize:");
		}
		fflush(stdout);
		_exit(r);
	}

	return WEXITSTATUS(wait_child(pid));
}

/* It does not guard a program whose main thread alone is under a filter. */
static int do_agent_gone(void)
{
	if (!await_agent())
		return 1;
	if (!set_filter())
		return 77;

	while (find_agent(1))
		usleep(2000);
	return tell_thread("VmSize:");
}

/* As MemoryDenyWriteExecute= does where the kernel has it without a filter. */
static int do_mdwe(void)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0) {
		printf("mdwe: %s\n", strerror(errno));
		return 77;
	}
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED)
		return 1;

	retain_pieces(N_PIECES, PIECE_BYTES, 0);
	if (!await_agent())
		return 1;
	puts("ready");
	fflush(stdout);
	return wait_for_end();
}

/* As the thread that makes it, the agent may not read the processor's clock at first. */
static int do_no_clock(void)
{
	int r, agent;

	if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) < 0) {
		printf("tsc: %s\n", strerror(errno));
		return 77;
	}
	r = start_thread(wait_for_ever);
	if (prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0) < 0 || r != 0)
		return 1;

	agent = find_agent(AGENT_TRIES);
	if (agent)
		await_look(agent);
	printf("%s\n", agent ? "it looks" : "no agent");
	return 0;
}

/* Timers of a program for idle times may be late. */
static int do_slack(void)
{
	char path[64], text[32] = "";
	int agent, fd;

	if (prctl(PR_SET_TIMERSLACK, 100000000UL, 0, 0, 0) < 0)
		return 1;
	agent = await_agent();
	snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", agent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) {
		printf("timerslack_ns: %s\n", strerror(errno));
		return 77;
	}

	printf("ours %d its %ld\n", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), atol(text));
	return 0;
}

static bool find_heap(unsigned long *ret_begin, unsigned long *ret_end)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[256];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, "[heap]") && sscanf(line, "%lx-%lx", ret_begin, ret_end) == 2;
	if (file)
		fclose(file);
	return found;
}

static bool say(const char *text)
{
	return write(1, text, strlen(text)) == (ssize_t)strlen(text);
}

/*
 * Write-protects its heap for a time in which it does not allocate: at the first line of input, up to the
 * second.
 */
static int do_protected(void)
{
	static const struct {
		int rights;
		const char *said;
	} steps[] = { { PROT_READ, "protected\n" }, { PROT_READ | PROT_WRITE, "open again\n" } };
	unsigned long begin, end;
	unsigned int n = 0;
	char c;

	retain_pieces(N_PIECES, PIECE_BYTES, 0);
	if (!await_agent() || !find_heap(&begin, &end) || !say("ready\n"))
		return 1;

	while (read(0, &c, 1) > 0) {
		if (c != '\n' || n == 2)
			continue;
		if (mprotect((void *)begin, end - begin, steps[n].rights) < 0 || !say(steps[n].said))
			return 1;
		n++;
	}
	return n == 2 ? 0 : 1;
}

static const char *library;

static void *load_library(void *arg)
{
	/* Its constructor says "stuck", and returns at the end of the input. */
	if (!dlopen(library, RTLD_NOW))
		printf("dlopen: %s\n", dlerror());

	return arg;
}

/* The loader's lock is held by a thread of its own while the agent works. */
static int do_stuck(void)
{
	pthread_t thread;

	retain_pieces(N_PIECES, PIECE_BYTES, 0);
	if (!await_agent() || pthread_create(&thread, NULL, load_library, NULL) != 0)
		return 1;

	pthread_join(thread, NULL);
	puts("done");
	return 0;
}

/* The same, but held by the main thread, which makes the first thread meanwhile. */
static int do_stuck_first(void)
{
	retain_pieces(N_PIECES, PIECE_BYTES, 0);
	(void)load_library(NULL);
	puts("done");
	return 0;
}

static int load_beside(void *arg)
{
	(void)load_library(arg);
	return 0;
}

/*
 * The same, held by a thread that libc made without the hook's seeing it: the main thread's first call of
 * pthread_create() comes meanwhile. What the constructor says goes to a file.
 */
static int do_stuck_beside(void)
{
	struct stat file = { .st_size = 0 };
	thrd_t thread;

	if (thrd_create(&thread, load_beside, NULL) != thrd_success)
		return 1;
	while (fstat(1, &file) == 0 && file.st_size == 0)
		usleep(2000);
	if (start_thread(wait_for_ever) != 0 || !say("made\n"))
		return 1;

	return thrd_join(thread, NULL) == thrd_success ? 0 : 1;
}

/* Retains, and waits. */
static int do_retain(void)
{
	retain_pieces(N_PIECES, PIECE_BYTES, 0);
	if (start_thread(wait_for_ever) != 0)
		return 1;
	puts("ready");
	fflush(stdout);
	return wait_for_end();
}

/* In a child: its agent comes with its first thread. Healthy: status 7 at the end of input. */
static void be_one_of_many(int ready)
{
	const bool good = start_thread(wait_for_ever) == 0 && write(ready, "x", 1) == 1;

	(void)wait_for_end();
	_exit(good && dup(0) == ready + 1 ? 7 : 1);
}

static int do_many(int n)
{
	int fds[2], n_good = 0, n_ready = 0;
	char c;

	if (pipe(fds) < 0)
		return 1;
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			be_one_of_many(fds[1]);

	while (n_ready < n && read(fds[0], &c, 1) == 1)
		n_ready++;
	printf("ready %d\n", n_ready);
	fflush(stdout);

	for (int i = 0; i < n; i++) {
		int status = -1;

		if (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7)
			n_good++;
	}
	printf("good %d\n", n_good);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} corners[] = {
	{ "sandbox", do_sandbox },
	{ "single", do_single },
	{ "locked", do_locked },
	{ "addresses", do_addresses },
	{ "filtered-child", do_filtered_child },
	{ "agent-gone", do_agent_gone },
	{ "addresses-later", do_addresses_later },
	{ "locked-later", do_locked_later },
	{ "locked-page", do_locked_page },
	{ "no-clock", do_no_clock },
	{ "slack", do_slack },
	{ "protected", do_protected },
	{ "mdwe", do_mdwe },
	{ "stuck", do_stuck },
	{ "stuck-first", do_stuck_first },
	{ "stuck-beside", do_stuck_beside },
	{ "retain", do_retain },
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;

	alarm(4 * LIMIT_SEC);
	library = argc > 2 ? argv[2] : NULL;
	if (argc > 2 && strcmp(argv[1], "many") == 0)
		return do_many(atoi(argv[2]));
	for (size_t i = 0; i < sizeof(corners) / sizeof(corners[0]); i++)
		if (strcmp(argv[1], corners[i].name) == 0)
			return corners[i].run();

	return 2;
}
