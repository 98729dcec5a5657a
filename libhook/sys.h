/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * System calls by number, through libc's documented syscall(): the names socket(),
 * connect(), poll() ... may be interposed by others in the program, and would be
 * cancellation points. Each gives the result or -errno. The host's errno is saved by
 * the entry points (load.c); on the agent's thread it is nobody's.
 */

#include "libhook/weak.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static inline long sys_result(long r)
{
	/* An address of mmap() may be negative. */
	return r == -1 ? -errno : r;
}

#define SYS(...) sys_result(syscall(__VA_ARGS__))

/* Where there are two, the older one takes a structure. */
#ifdef SYS_mmap2
#define SYS_MMAP SYS_mmap2
#else
#define SYS_MMAP SYS_mmap
#endif

static inline int sys_getpid(void)
{
	return (int)SYS(SYS_getpid);
}

static inline int sys_open_at(int directory, const char *path)
{
	return (int)SYS(SYS_openat, directory, path, O_RDONLY | O_CLOEXEC, 0);
}

static inline int sys_open_read(const char *path)
{
	return sys_open_at(AT_FDCWD, path);
}

static inline long sys_read(int fd, void *buf, size_t size)
{
	return SYS(SYS_read, fd, buf, size);
}

static inline void sys_close(int fd)
{
	if (fd >= 0)
		(void)SYS(SYS_close, fd);
}

/* One byte for each page: bit 0 is set where it is resident. */
static inline long sys_mincore(uint64_t begin, uint64_t size, unsigned char *pages)
{
	return SYS(SYS_mincore, (unsigned long)begin, (unsigned long)size, pages);
}

/*
 * libc's clock_gettime() where nobody stands in front of it: it needs no system call, and
 * a release looks at the clock around every call it makes. NULL: the system call.
 * Found in the constructor by allocator_find(), set by the agent: a page that is not written
 * in the constructor costs nothing in programs that never have one.
 */
typedef int (*sys_clock_t)(clockid_t, struct timespec *);
extern sys_clock_t sys_clock;

static inline uint64_t sys_now_usec(void)
{
	struct timespec now = { 0, 0 };

	if (!sys_clock || sys_clock(CLOCK_MONOTONIC, &now) != 0)
		(void)SYS(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* @timeout_msec < 0 waits for ever. */
static inline int sys_poll(struct pollfd *fds, unsigned int n, long timeout_msec)
{
	/* What the kernel call takes on every ABI: two longs. */
	struct {
		long sec, nsec;
	} timeout = { timeout_msec / 1000, timeout_msec % 1000 * 1000000 };

	return (int)SYS(SYS_ppoll, fds, n, timeout_msec < 0 ? NULL : &timeout, NULL, 8);
}
