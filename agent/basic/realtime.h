/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A realtime policy for a daemon that must be awake when programs take all processors: SCHED_RR at
 * the lowest priority, 1, as sched(7) has it. Among ordinary processes even the most favoured one
 * waits for a tick now and then.
 *
 * Nobody may suffer for it. Who works for longer than REALTIME_WORK_USEC without a rest goes on as
 * an ordinary process, with the nice value and the slice of before, until it rests. What it
 * starts is ordinary from the beginning.
 */

#include <stdbool.h>

/* Between two rests; the kernel counts in ticks. */
#define REALTIME_WORK_USEC (20 * 1000)

/*
 * Asks for it where realtime_is_harmless(); the kernel allows it with RLIMIT_RTPRIO=1 or more, or
 * CAP_SYS_NICE. Call once, while the process has one thread and its nice value and slice are as they
 * will be. It takes SIGXCPU for itself, and the soft limit RLIMIT_RTTIME. 0; -EPERM: it may not, or
 * its control group has no budget; -EOPNOTSUPP: others might lose by it; -ERANGE: by the hard limit
 * RLIMIT_RTTIME who works for long is killed; or what the kernel says.
 */
int realtime_take(void);

/* To be called before each rest. */
void realtime_renew(void);

/*
 * Does no other service lose by it? A kernel that gives realtime budgets to control groups
 * (CONFIG_RT_GROUP_SCHED) refuses to enable the cpu controller of cgroup v2 for all groups
 * beside one that has a realtime process: theirs would lose what CPUWeight= says. Where the
 * controller is enabled already, it is us who are refused. Where neither is known: no.
 *
 * @root is before each path that is read, "" but in tests.
 */
bool realtime_is_harmless(const char *root);
