/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How the kernel schedules this thread: sched_getattr(2) and sched_setattr(2), which glibc has
 * no functions for.
 */

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As SCHED_FLAG_RESET_ON_FORK: what is started is ordinary. */
#define ATTRIBUTES_RESET_ON_FORK UINT64_C(1)

/* As in uapi/linux/sched/types.h, which must not be included beside older <sched.h>. */
struct attributes {
	uint32_t n_bytes;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_nsec;
	uint64_t deadline_nsec;
	uint64_t period_nsec;
};

/* 0, or a negative errno; both may be called by a signal handler, which has to save errno. */
static inline int attributes_get(struct attributes *ret)
{
	struct attributes attributes = { 0 };

	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) < 0)
		return -errno;

	attributes.n_bytes = sizeof(attributes);
	*ret = attributes;
	return 0;
}

static inline int attributes_set(const struct attributes *attributes)
{
	return syscall(SYS_sched_setattr, 0, attributes, 0) < 0 ? -errno : 0;
}
