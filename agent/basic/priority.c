/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/priority.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agent/basic/attributes.h"
#include "agent/basic/clock.h"
#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/basic/realtime.h"

/* One process of the whole machine may write there in a tenth of a second; others are told so. */
#define AUTOGROUP_GAP_NSEC (110 * 1000 * 1000)
#define AUTOGROUP_TRIES 3

/* As much as a question takes. With the shortest that the kernel takes, 0.1 ms, more of them were late. */
#define SLICE_NSEC (500 * 1000)

static int write_autogroup(int nice)
{
	_cleanup_(fd_closep) int fd = -1;
	char text[16];
	const int n = snprintf(text, sizeof(text), "%d", nice);

	fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;

	return write(fd, text, (size_t)n) < 0 ? -errno : 0;
}

/*
 * Where the kernel shares the processors between sessions before it looks at nice values (autogroup,
 * see sched(7)), ours counts in our session alone: that gets the same. Not where the session is
 * somebody's shell.
 */
static int favour_session(int nice)
{
	const struct timespec gap = { .tv_nsec = AUTOGROUP_GAP_NSEC };
	int r = -EAGAIN;

	if (getsid(0) != getpid())
		return 0;

	for (int i = 0; i < AUTOGROUP_TRIES && r == -EAGAIN; i++) {
		if (i > 0)
			(void)nanosleep(&gap, NULL);
		r = write_autogroup(nice);
	}

	return r;
}

/*
 * From Linux 6.6 on, who wakes up gets the processor at once where his slice would end before that
 * of who has it, in the time that their weights make of it: of a nice value of -20 a common slice of 3 ms
 * is 30 us, and in one of a hundred wake-ups the other's ends before that. Then he waits for a
 * tick. sched_runtime asks for a shorter one, which also ends what slice the other may be
 * keeping (6.12; commit 857b158dc5e8). Older kernels do not read it.
 */
static int shorten_slice(void)
{
	struct attributes attributes;

	if (attributes_get(&attributes) < 0 || attributes.policy != SCHED_OTHER)
		return 0;

	attributes.runtime_nsec = SLICE_NSEC;
	return attributes_set(&attributes);
}

static void become_urgent(void)
{
	const int r = realtime_take();

	if (r < 0)
		log_debug("Not scheduled in real time, but by nice value: %s", strerror(-r));
}

void priority_make_count(struct priority *ret)
{
	struct priority refused = { .nice = 0 };
	int nice;

	errno = 0;
	nice = getpriority(PRIO_PROCESS, 0);
	if (errno == 0 && nice < 0) {
		refused.nice = nice;
		refused.session = favour_session(nice);
		refused.slice = shorten_slice();
		become_urgent();
	}

	*ret = refused;
}
