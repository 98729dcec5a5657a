/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/clock.h"
#include "agent/basic/fd.h"
#include "agent/basic/lock.h"
#include "agent/sense/cgroup.h"

#define WORDS_MAX 32
#define VARIABLES_MAX 32

struct running {
	pid_t pid; /* 0: free */
	uint32_t number;
	uint64_t end_usec; /* when it is told to end, or is ended */
	bool told;         /* it was told */
};

static struct {
	int fd; /* -1: at its end */
	int signal_fd;
	uint64_t limit_usec, grace_usec;
	bool was_protected; /* from the OOM killer, as the daemon is; no command shall be */
	struct running running[HELPER_RUNS_MAX];
	struct helper_request request;
} helper;

bool helper_is_wanted(int argc, char **argv)
{
	return argc == 1 && streq(argv[0], HELPER_NAME);
}

static void answer(struct helper_answer text)
{
	text.magic = HELPER_MAGIC;
	/* Whoever would read it is gone, or the end of the socket tells us soon. */
	if (helper.fd >= 0)
		(void)send(helper.fd, &text, sizeof(text), MSG_NOSIGNAL);
}

/* Splits @text in place. */
static void split(char *text, const char *separators, char **words, size_t n_max)
{
	char *rest = NULL;
	size_t n = 0;

	for (char *word = strtok_r(text, separators, &rest); word && n < n_max;
	     word = strtok_r(NULL, separators, &rest))
		words[n++] = word;

	words[n] = NULL;
}

/*
 * In the child, which has our memory until it executes: nothing is changed here that is not
 * its own in the kernel.
 */
__attribute__((noreturn)) static void become(char *const words[], char *const variables[],
					     volatile int *error)
{
	const struct rlimit ordinary = { 0 };
	sigset_t none;

	/* The daemon alone may be scheduled in real time. */
	(void)setrlimit(RLIMIT_RTPRIO, &ordinary);
	/* A session of its own: it is ended with all that it started, and by no terminal. */
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (helper.was_protected) {
		const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

		(void)!write(fd, "0", 1);
	}

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(words[0], words, variables);
	*error = errno;
	_exit(EXIT_FAILURE);
}

static int start_command(pid_t *ret_pid)
{
	static char *words[WORDS_MAX + 1], *variables[VARIABLES_MAX + 2];
	static volatile int error;
	pid_t pid;

	split(helper.request.line, " \t", words, WORDS_MAX);
	if (!words[0])
		return -EINVAL;

	variables[0] = (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	split(helper.request.environment, "\n", variables + 1, VARIABLES_MAX);
	error = 0;
	/* Not fork(): no page of ours has to be copied for it, nor an account made of them. */
	pid = vfork();
	if (pid == 0)
		become(words, variables, &error);
	if (pid < 0)
		return -errno;

	if (error != 0) {
		(void)waitpid(pid, NULL, 0);
		return -error;
	}

	*ret_pid = pid;
	return 0;
}

/* In a process of its own, since the kernel does not let go of it before it is done. */
static int start_reclaim(int fd, pid_t *ret_pid)
{
	const uint64_t bytes = helper.request.reclaim_bytes;
	sigset_t none;
	pid_t pid;
	int r;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		*ret_pid = pid;
		return 0;
	}

	/* That the helper has ended is known by the end of its socket. */
	(void)fd_close(helper.fd);
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	r = cgroup_reclaim(fd, bytes, clock_now_usec() + HELPER_RECLAIM_USEC);
	_exit(r < 0 ? -r : 0);
}

static int start(int fd, pid_t *ret_pid)
{
	return helper.request.reclaim_bytes > 0 ? start_reclaim(fd, ret_pid) : start_command(ret_pid);
}

/* A process that does nothing: what is not allowed here is better known now. */
static int try_start(void)
{
	const pid_t pid = vfork();

	if (pid == 0)
		_exit(EXIT_SUCCESS);

	return pid < 0 || waitpid(pid, NULL, 0) < 0 ? -errno : 0;
}

static void take_request(int fd)
{
	const uint32_t number = helper.request.number;
	const uint64_t limit_usec = helper.request.reclaim_bytes > 0
					    ? MIN(helper.limit_usec, HELPER_RECLAIM_END_USEC)
					    : helper.limit_usec;
	struct running *free_one = NULL;
	pid_t pid = 0;
	int r = -EAGAIN;

	for (size_t i = 0; i < HELPER_RUNS_MAX; i++)
		if (helper.running[i].pid == 0)
			free_one = &helper.running[i];

	if (free_one)
		r = start(fd, &pid);
	if (r < 0) {
		answer((struct helper_answer){
			.event = HELPER_FAILED, .number = number, .error = r });
		return;
	}

	*free_one = (struct running){
		.pid = pid, .number = number, .end_usec = clock_now_usec() + limit_usec };
}

/* As recv(). *@ret_fd: the descriptor that came along, or -1. */
static ssize_t receive(int *ret_fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { &helper.request, sizeof(helper.request) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	ssize_t n;

	*ret_fd = -1;
	n = recvmsg(helper.fd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	header = n < 0 ? NULL : CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));

	return n;
}

/* 0, or negative when the other end is not what it should be. */
static int read_requests(void)
{
	const struct helper_request *request = &helper.request;
	_cleanup_(fd_closep) int fd = -1;
	ssize_t n;

	n = receive(&fd);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0) {
		helper.fd = fd_close(helper.fd);
		return 0;
	}

	if (n != sizeof(*request) || request->magic != HELPER_MAGIC || request->number == 0 ||
	    !memchr(request->line, '\0', sizeof(request->line)) ||
	    !memchr(request->environment, '\0', sizeof(request->environment)) ||
	    (request->reclaim_bytes > 0) != (fd >= 0))
		return -EPROTO;

	take_request(fd);
	return 0;
}

static void reap(void)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)!read(helper.signal_fd, &info, sizeof(info));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < HELPER_RUNS_MAX; i++) {
			struct running *running = &helper.running[i];

			if (running->pid != pid)
				continue;
			running->pid = 0;
			answer((struct helper_answer){
				.event = HELPER_ENDED,
				.number = running->number,
				.status = status,
				.overdue = running->told,
			});
		}
}

/* Ends what takes too long. How many ms from now the next one is due; -1: none is. */
static int look_after(void)
{
	uint64_t now = clock_now_usec(), next_usec = USEC_INFINITY;

	for (size_t i = 0; i < HELPER_RUNS_MAX; i++) {
		struct running *running = &helper.running[i];

		if (running->pid == 0)
			continue;
		if (running->end_usec <= now) {
			(void)kill(-running->pid, running->told ? SIGKILL : SIGTERM);
			running->told = true;
			running->end_usec = now + helper.grace_usec;
		}
		next_usec = MIN(next_usec, running->end_usec);
	}

	return next_usec == USEC_INFINITY ? -1 : (int)((next_usec - now) / USEC_PER_MSEC) + 1;
}

static bool is_needed(void)
{
	if (helper.fd >= 0)
		return true;

	for (size_t i = 0; i < HELPER_RUNS_MAX; i++)
		if (helper.running[i].pid != 0)
			return true;

	return false;
}

static bool is_protected(void)
{
	char text[32];

	return fd_read_file(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof(text)) > 0 &&
	       text[0] == '-';
}

int helper_serve(int fd, uint64_t limit_usec, uint64_t grace_usec)
{
	sigset_t all;

	/* Those of the terminal and the service manager are for the daemon, and we go with it. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGPIPE, SIG_DFL);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	helper.fd = fd;
	helper.signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	helper.limit_usec = limit_usec;
	helper.grace_usec = grace_usec;
	helper.was_protected = is_protected();
	if (helper.signal_fd < 0)
		return EXIT_FAILURE;

	answer((struct helper_answer){ .event = HELPER_READY, .error = try_start() });
	while (is_needed()) {
		struct pollfd ready[2] = {
			{ .fd = helper.signal_fd, .events = POLLIN },
			{ .fd = helper.fd, .events = POLLIN },
		};

		if (poll(ready, ARRAY_SIZE(ready), look_after()) < 0 && errno != EINTR)
			return EXIT_FAILURE;
		if (ready[0].revents)
			reap();
		if (ready[1].revents && read_requests() < 0)
			return EXIT_FAILURE;
	}

	return EXIT_SUCCESS;
}

int helper_main(void)
{
	const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)prctl(PR_SET_NAME, HELPER_NAME);
	/* What commands print is no part of what the daemon, or a command it runs, prints. */
	(void)dup2(null_fd, STDIN_FILENO);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	(void)syscall(SYS_close_range, HELPER_FD + 1, ~0U, 0);
	(void)fcntl(HELPER_FD, F_SETFD, FD_CLOEXEC);
	fd_lower_limit();
	(void)lock_memory();
	/* A page that is touched now is there later. */
	memset(&helper.request, 0, sizeof(helper.request));

	return helper_serve(HELPER_FD, HELPER_LIMIT_USEC, HELPER_GRACE_USEC);
}
