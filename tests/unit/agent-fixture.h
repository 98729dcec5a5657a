/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The agent on a thread of its own, as in a program, in a world of the test's: every system call
 * of the hook goes through syscall() below. Time moves when the agent waits, and only then; the
 * daemon is there for as long as the test says. All else the kernel does.
 */

#include "libhook/agent.h"
#include "libhook/leave.h"
#include "libhook/life.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define WORLD_CONNECTS_MAX 32

struct world {
	/* How long the connection of each attempt lasts; 0: it is refused. */
	uint64_t lasts_usec[WORLD_CONNECTS_MAX];
	int n_connects_max; /* then the main thread has ended, as the agent sees it */

	uint64_t now_usec;
	int n_connects;
	uint64_t connected_usec[WORLD_CONNECTS_MAX]; /* when each was attempted */
	int peer;             /* the daemon's end, -1 */
	uint64_t ends_usec;   /* when it is closed */
	const struct wire_frame *question; /* asked once, when there is a connection */

	/* The thread that makes the agent is not the main one, as it seems. */
	bool nobody_rings;

	/* Signals of the program, each of which wakes whoever polls for one. */
	uint64_t signals_per_sec;
	uint64_t n_wakes;
	bool filtered; /* the agent's thread; is told by world_tell() */
	bool tells;    /* also without signals */
	int status;    /* where these are told, in the agent's table */

	/* Up to then the main thread has real-time priority. */
	uint64_t real_time_usec;

	/* Before each call of the agent's, on its thread; NULL: never mind. */
	void (*on_call)(long number, const long args[static 6]);
};

static struct world world;

/* A daemon that asks once, and stays. */
static inline void world_begin(const struct wire_frame *question)
{
	world = (struct world){
		.now_usec = 1000000,
		.peer = -1,
		.n_connects_max = 20,
		.question = question,
		.lasts_usec = { 3600000000 },
	};
}
static long (*world_kernel)(long number, ...);

/* There is no filter here but the world's, whatever the test itself runs under. */
static inline bool world_tell(int fd)
{
	char text[128];
	const int n = snprintf(text, sizeof(text),
			       "Name:\tmemguard\nSeccomp:\t%d\nvoluntary_ctxt_switches:\t%llu\n",
			       world.filtered ? 2 : 0, (unsigned long long)world.n_wakes);

	return pwrite(fd, text, (size_t)n, 0) == n;
}

static inline int world_status(void)
{
	const int fd = memfd_create("status", MFD_CLOEXEC);

	/* The agent gives its own another number. */
	if (world.signals_per_sec > 0 || world.tells)
		world.status = dup(fd);
	return fd >= 0 && world_tell(fd) ? fd : -1;
}

static inline int world_socket(void)
{
	int fds[2];

	if (world.peer >= 0)
		close(world.peer);
	world.peer = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	world.peer = fds[1];
	return fds[0];
}

static inline int world_connect(void)
{
	const int n = world.n_connects;
	const uint64_t lasts_usec = world.lasts_usec[n];

	world.connected_usec[n] = world.now_usec;
	world.ends_usec = world.now_usec + lasts_usec;
	world.n_connects++;
	if (lasts_usec > 0)
		return 0;
	errno = ECONNREFUSED;
	return -1;
}

static inline int world_ask(struct pollfd *daemon)
{
	CHECK_EQ(write(world.peer, world.question, sizeof(*world.question)), sizeof(*world.question));
	world.question = NULL;
	daemon->revents = POLLIN;
	return 1;
}

/* @fds are all three of the agent's, or its daemon alone, or there are none. */
static inline int world_poll(struct pollfd *fds, long n, const struct timespec *timeout)
{
	const uint64_t usec =
		timeout ? (uint64_t)timeout->tv_sec * 1000000 + (uint64_t)timeout->tv_nsec / 1000 : 0;

	if (n > 1 && world.n_connects == world.n_connects_max) {
		fds[1].revents = POLLIN;
		return 1;
	}
	if (fds && fds[0].fd >= 0 && world.question)
		return world_ask(&fds[0]);
	if (fds && fds[0].fd >= 0 && world.now_usec + usec >= world.ends_usec) {
		world.now_usec = world.ends_usec;
		close(world.peer);
		world.peer = -1;
		fds[0].revents = POLLIN | POLLHUP;
		return 1;
	}
	world.now_usec += usec;
	if (n > 2 && fds[2].fd >= 0 && world.signals_per_sec > 0) {
		world.n_wakes += 1 + usec * world.signals_per_sec / 1000000;
		CHECK(world_tell(world.status));
	}
	return 0;
}

static inline int world_clock(struct timespec *ret)
{
	ret->tv_sec = (time_t)(world.now_usec / 1000000);
	ret->tv_nsec = (long)(world.now_usec % 1000000) * 1000;
	return 0;
}

/* Who starts the agent makes calls, too, while that runs already. */
static _Thread_local bool world_is_agent;

/* What the hook calls instead of libc's. */
long syscall(long number, ...)
{
	/* Of those that the hook calls. What was not passed must not be looked for on the stack. */
	const int n_args = number == SYS_sendto || number == SYS_recvfrom || number == SYS_mmap ||
			   number == SYS_process_vm_readv ? 6 : 5;
	long args[6] = { 0 };
	va_list list;

	va_start(list, number);
	for (int i = 0; i < n_args; i++)
		args[i] = va_arg(list, long);
	va_end(list);

	if (world.on_call && world_is_agent)
		world.on_call(number, args);
	switch (number) {
	case SYS_close_range:
		/* A table of its own, but with what the test needs in it. */
		return unshare(CLONE_FILES);
	case SYS_openat: {
		const char *path = (const char *)args[1];

		if (strcmp(path, "/proc/thread-self/status") == 0 || strcmp(path, "/proc/self/status") == 0)
			return world_status();
		break;
	}
	case SYS_socket:
		return world_socket();
	case SYS_connect:
		return world_connect();
	case SYS_ppoll:
		return world_poll((struct pollfd *)args[0], args[1], (const struct timespec *)args[2]);
	case SYS_sched_getscheduler:
		if (world.now_usec < world.real_time_usec)
			return SCHED_FIFO;
		break;
	case SYS_clock_gettime:
		if (args[0] == CLOCK_MONOTONIC)
			return world_clock((struct timespec *)args[1]);
		break;
	}

	return world_kernel(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static pthread_t world_thread;
static void *(*world_main)(void *);

static inline void *world_enter(void *arg)
{
	world_is_agent = true;
	return world_main(arg);
}

/* The agent's stack is too small for a sanitizer, and the test waits for its end. */
static inline int world_create(pthread_t *ret, const pthread_attr_t *attr, void *(*f)(void *), void *arg)
{
	int r;

	(void)attr;
	world_main = f;
	r = pthread_create(&world_thread, NULL, world_enter, arg);
	*ret = world_thread;
	return r;
}

/* Until the agent has left. */
static inline void world_run(void)
{
	static struct host host = {
		.environment.socket = "/nowhere",
		.page_bytes = 4096,
		.allocators.owner = WIRE_ALLOCATOR_GLIBC,
	};
	void *result;

	/* Before there is a thread: dlsym() locks. */
	*(void **)&world_kernel = dlsym(RTLD_NEXT, "syscall");
	CHECK(world_kernel);
	leave_prepare();
	if (world.nobody_rings)
		life.leave.rings = false;
	host.tls_bytes = agent_tls_bytes();
	agent_start(&host, world_create);
	CHECK_EQ(pthread_join(world_thread, &result), 0);
}
