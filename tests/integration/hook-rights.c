/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program that changes what it may do while the agent is there, for hook-rights.sh: ids,
 * capabilities, filters. The first argument says how.
 */

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "hook-look.h"

#define NOBODY 65534

/* Looked for every 2 ms; the agent looks every second at first. */
#define TRIES_TO_LEAVE 10000

#define ALLOW(nr)                                             \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1),      \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int set_setuid(void)
{
	return setuid(NOBODY);
}

static int set_setreuid(void)
{
	return setreuid(NOBODY, NOBODY);
}

static int set_setresuid(void)
{
	return setresuid(NOBODY, NOBODY, NOBODY);
}

static int set_seteuid(void)
{
	return seteuid(NOBODY);
}

/* As servers do for each client: down, up, and down for good. */
static int set_seteuid_and_back(void)
{
	return seteuid(NOBODY) < 0 || seteuid(0) < 0 ? -1 : setuid(NOBODY);
}

static int set_setgid(void)
{
	return setgid(NOBODY);
}

static int set_setregid(void)
{
	return setregid(NOBODY, NOBODY);
}

static int set_setresgid(void)
{
	return setresgid(NOBODY, NOBODY, NOBODY);
}

static int set_setegid(void)
{
	return setegid(NOBODY);
}

static int set_setgroups(void)
{
	const gid_t groups[] = { 7, 8, 9 };

	return setgroups(3, groups);
}

static int set_initgroups(void)
{
	return initgroups("nobody", NOBODY);
}

/* What a daemon does: all of it, and then sees that it cannot go back. */
static int set_all(void)
{
	if (set_initgroups() < 0 || set_setresgid() < 0 || set_setresuid() < 0)
		return -1;

	return setuid(0) == -1 && setgid(0) == -1 && seteuid(0) == -1 ? 0 : -1;
}

/* Those from 32 on stay as they are when all others do. */
static int change_capabilities(uint32_t keep_permitted, uint32_t keep_effective)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;

	data[0].permitted &= keep_permitted;
	data[0].effective = data[0].permitted & keep_effective;
	if (keep_permitted != ~0U)
		data[1] = (struct __user_cap_data_struct){ 0 };
	return (int)syscall(SYS_capset, &header, data);
}

#define OF_IDS (1U << CAP_SETUID | 1U << CAP_SETGID)

/* The main thread gives up all but what it needs to change ids, and changes them. */
static int set_capset_setuid(void)
{
	return change_capabilities(OF_IDS, OF_IDS) < 0 ? -1 : set_all();
}

static const struct {
	const char *name;
	int (*set)(void);
} ways[] = {
	{ "setuid", set_setuid },
	{ "setreuid", set_setreuid },
	{ "setresuid", set_setresuid },
	{ "seteuid", set_seteuid },
	{ "seteuid-and-back", set_seteuid_and_back },
	{ "setgid", set_setgid },
	{ "setregid", set_setregid },
	{ "setresgid", set_setresgid },
	{ "setegid", set_setegid },
	{ "setgroups", set_setgroups },
	{ "initgroups", set_initgroups },
	{ "all", set_all },
	{ "capset-setuid", set_capset_setuid },
};

/* Is this line the same for all threads? */
static void show_common(const char *key)
{
	int ids[64];
	const int n = task_ids(ids, 64);
	char first[256];

	snprintf(first, sizeof(first), "%s", task_line(getpid(), key));
	for (int i = 0; i < n; i++)
		if (strcmp(task_line(ids[i], key), first) != 0)
			printf("differs: %s", task_line(ids[i], key));

	fputs(first, stdout);
}

static int do_ids(const char *way)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, way) == 0) {
			printf("%d\n", ways[i].set());
			show_common("Uid:");
			show_common("Gid:");
			show_common("Groups:");
			return 0;
		}

	return 2;
}

static bool has_left(void)
{
	for (int i = 0; i < TRIES_TO_LEAVE; i++) {
		if (find_agent(1) == 0)
			return true;
		usleep(2000);
	}

	return false;
}

/* Named and with one thread, it drops for itself what the agent then still has. */
static int do_drop(void)
{
	if (!find_agent(AGENT_TRIES) || change_capabilities(1U << CAP_NET_BIND_SERVICE, ~0U) < 0)
		return 1;

	printf("agent %s\n", has_left() ? "left" : "stays");
	show_common("CapPrm:");
	/* With an agent that may do it, libc would abort here. */
	printf("setuid %d\n", setuid(NOBODY));
	return 0;
}

/* The same, and then at once what an agent could not do with the same result. */
static int do_drop_at_once(void)
{
	if (change_capabilities(1U << CAP_NET_BIND_SERVICE, ~0U) < 0)
		return 1;

	printf("setuid %d\n", setuid(NOBODY));
	return 0;
}

/* It keeps a right that the agent lost with its id, and uses it. */
static int do_keep(void)
{
	if (!find_agent(AGENT_TRIES) || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setuid(NOBODY) < 0 ||
	    change_capabilities(OF_IDS, OF_IDS) < 0)
		return 1;

	printf("agent %s\n", has_left() ? "left" : "stays");
	printf("setuid %d\n", setuid(0));
	return 0;
}

/* How often the thread has gone to sleep; 0 when there is none. */
static long n_sleeps(int id)
{
	static const char key[] = "voluntary_ctxt_switches:";
	const char *line = task_line(id, key);

	return line[0] ? strtol(line + strlen(key), NULL, 10) : 0;
}

/* The agent has slept, looked, and slept again, or is gone. */
static void wait_for_looks(int id)
{
	const long before = n_sleeps(id);

	for (int i = 0; i < TRIES_TO_LEAVE; i++) {
		if (!task_line(id, "Name:")[0] || n_sleeps(id) > before + 1)
			return;
		usleep(2000);
	}
}

/* Effective rights come and go all the time; that alone is no reason to leave. */
static int do_lower(void)
{
	const int id = find_agent(AGENT_TRIES);

	if (id == 0 || change_capabilities(~0U, OF_IDS) < 0)
		return 1;

	wait_for_looks(id);
	printf("agent %s, setuid %d\n", task_line(id, "Name:")[0] ? "stays" : "left", setuid(NOBODY));
	return 0;
}

/* Has it an agent before its first thread, where it has settled by then, and after? */
static int do_agents(void)
{
	const bool before = n_tasks() > 1 && find_agent(AGENT_TRIES);

	printf("agent %s, with a thread %s\n", before ? "yes" : "no", await_agent() ? "yes" : "no");
	return 0;
}

static int do_no_new_privs(void)
{
	const int id = await_agent();

	printf("main %s", task_line(getpid(), "NoNewPrivs:"));
	printf("agent %s", task_line(id, "NoNewPrivs:"));
	return 0;
}

static int install(struct sock_filter *filter, size_t n, unsigned int flags)
{
	const struct sock_fprog program = { .len = (unsigned short)n, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0) {
		printf("no filter: %s\n", strerror(errno));
		return -1;
	}

	return 0;
}

/* Only the main thread is under it, and it allows everything. */
static int do_filter_main(void)
{
	struct sock_filter filter[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };

	if (!await_agent() || install(filter, 1, 0) < 0)
		return 77;

	printf("agent %s\n", has_left() ? "left" : "stays");
	return 0;
}

static int do_real_time(void)
{
	const struct sched_param first = { .sched_priority = 1 };

	if (!await_agent() || sched_setscheduler(0, SCHED_RR, &first) < 0)
		return 77;

	printf("agent %s\n", has_left() ? "left" : "stays");
	return 0;
}

/* For all threads: whatever else is called kills the program. */
static int install_strict(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read),
		ALLOW(SYS_write),
		ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};

	return install(filter, sizeof(filter) / sizeof(filter[0]), SECCOMP_FILTER_FLAG_TSYNC);
}

/* Lives until its input ends. */
static _Noreturn void echo_and_exit(void)
{
	char line[64];
	ssize_t n;

	while ((n = read(0, line, sizeof(line))) > 0)
		if (write(1, line, (size_t)n) != n)
			_exit(1);

	_exit(5);
}

/* In ppoll(), where the kernel tells; what comes between two looks is what the agent is made for. */
static bool is_asleep(int id)
{
	char path[64];
	FILE *file;
	int number;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", id);
	file = fopen(path, "re");
	if (!file)
		return true;

	/* "running" is no number. */
	if (fscanf(file, "%d", &number) != 1)
		number = -1;
	fclose(file);
	return number == SYS_ppoll;
}

/*
 * All threads are under it, and whatever else is called kills the program. Tells first who
 * its agent is, then lives until its input ends.
 */
static int do_filter_all(void)
{
	const int id = await_agent();
	char line[64];

	if (id == 0)
		return 1;
	printf("agent %d of %d\n", id, (int)getpid());
	fflush(stdout);
	/* The first line asks for the filter. */
	if (read(0, line, sizeof(line)) <= 0)
		return 1;
	for (int i = 0; i < TRIES_TO_LEAVE && !is_asleep(id); i++)
		usleep(2000);
	if (install_strict() < 0)
		return 77;
	if (write(1, "filtered\n", 9) != 9)
		return 1;

	echo_and_exit();
}

/* The main thread is where it does nothing any more that the filter kills for. */
static bool main_only_reads;

/*
 * The hook's call of it, on the agent's thread, in whose table of descriptors nothing is ours:
 * the filter comes in the middle of a release. That may be before main() has begun.
 */
int malloc_trim(size_t pad)
{
	(void)pad;
	while (!__atomic_load_n(&main_only_reads, __ATOMIC_ACQUIRE))
		usleep(2000);
	(void)install_strict();
	return 0;
}

static int do_filter_trim(void)
{
	__atomic_store_n(&main_only_reads, true, __ATOMIC_RELEASE);
	echo_and_exit();
}

/* It may not read, and is told so. Tells whether its agent has gone without reading. */
static int do_filter_read(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const int id = await_agent();
	char path[64];

	if (id == 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/self/task/%d", id);
	if (install(filter, sizeof(filter) / sizeof(filter[0]), SECCOMP_FILTER_FLAG_TSYNC) < 0)
		return 77;

	for (int i = 0; i < TRIES_TO_LEAVE && access(path, F_OK) == 0; i++)
		usleep(2000);
	printf("agent %s\n", access(path, F_OK) == 0 ? "stays" : "left");
	return 0;
}

#define KILL(nr)                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1),      \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

/*
 * As browsers do for what they run: asking for the filter is death, and so are other calls that a program
 * need not make with its first thread. Then that.
 */
static int do_filter_asking(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		KILL(SYS_gettid),
		KILL(SYS_getpid),
		KILL(SYS_madvise),
		KILL(SYS_capget),
		KILL(SYS_sched_getscheduler),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_GET_SECCOMP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	if (install(filter, sizeof(filter) / sizeof(filter[0]), 0) < 0)
		return 77;

	printf("create %d", start_thread(wait_for_ever));
	printf(" tasks %d\n", n_tasks());
	return 0;
}

/* Kills for what the agent begins with, and the program has no use for. */
static void *filter_all_threads(void *arg)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		KILL(SYS_close_range),
		KILL(SYS_pidfd_open),
		KILL(SYS_socket),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(filter, sizeof(filter) / sizeof(filter[0]), SECCOMP_FILTER_FLAG_TSYNC) < 0 ? NULL : arg;
}

/* That is what the first thread does, before pthread_create() has come back: see hook-rights.sh. */
static int do_filter_first(void)
{
	void *installed = NULL;
	pthread_t thread;

	if (pthread_create(&thread, NULL, filter_all_threads, &installed) != 0 ||
	    pthread_join(thread, &installed) != 0)
		return 1;
	if (!installed)
		return 77;

	printf("%s\n", find_agent(250) ? "an agent" : "no agent");
	return 0;
}

int main(int argc, char **argv)
{
	alarm(4 * LIMIT_SEC);
	if (argc == 3 && strcmp(argv[1], "ids") == 0)
		return await_agent() ? do_ids(argv[2]) : 1;
	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "drop") == 0)
		return do_drop();
	if (strcmp(argv[1], "drop-at-once") == 0)
		return do_drop_at_once();
	if (strcmp(argv[1], "keep") == 0)
		return do_keep();
	if (strcmp(argv[1], "lower") == 0)
		return do_lower();
	if (strcmp(argv[1], "agents") == 0)
		return do_agents();
	if (strcmp(argv[1], "no-new-privs") == 0)
		return do_no_new_privs();
	if (strcmp(argv[1], "filter-main") == 0)
		return do_filter_main();
	if (strcmp(argv[1], "real-time") == 0)
		return do_real_time();
	if (strcmp(argv[1], "filter-asking") == 0)
		return do_filter_asking();
	if (strcmp(argv[1], "filter-first") == 0)
		return do_filter_first();
	if (strcmp(argv[1], "filter-all") == 0)
		return do_filter_all();
	if (strcmp(argv[1], "filter-read") == 0)
		return do_filter_read();
	if (strcmp(argv[1], "filter-trim") == 0)
		return do_filter_trim();

	return 2;
}
