/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <linux/capability.h>
#include <sched.h>

#include "libhook/loader.h"
#include "libhook/mem.h"
#include "libhook/proc.h"
#include "libhook/rights.h"

#define CAP_BIT(cap) (UINT64_C(1) << (cap))

struct capabilities {
	uint64_t effective, permitted;
};

/* Of thread @tid; 0 is this one. */
static bool get_capabilities(int tid, struct capabilities *ret)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, tid };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (SYS(SYS_capget, &header, data) < 0)
		return false;

	ret->effective = (uint64_t)data[1].effective << 32 | data[0].effective;
	ret->permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	return true;
}

/* What setuid() and setgid() look at: libc compares all threads' results. */
static const uint64_t of_set_id = CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID);

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

bool rights_real_time(int tid)
{
	const long policy = SYS(SYS_sched_getscheduler, tid);

	/* Also where its threads are to begin without: it allocates, too. */
	return policy >= 0 && ((policy & ~SCHED_RESET_ON_FORK) == SCHED_FIFO ||
			       (policy & ~SCHED_RESET_ON_FORK) == SCHED_RR ||
			       (policy & ~SCHED_RESET_ON_FORK) == SCHED_DEADLINE);
}

/* By libcap or libcap-ng: who has one of them loaded may change its capabilities. */
bool rights_may_part(void)
{
	struct capabilities ours;

	return get_capabilities(0, &ours) && (ours.permitted & of_set_id) &&
	       (loader_find("cap_set_proc") || loader_find("capng_apply"));
}

bool rights_agree(void)
{
	struct capabilities ours, theirs;

	if (get_capabilities(0, &ours) && get_capabilities(sys_getpid(), &theirs) &&
	    ((ours.permitted & ~theirs.permitted) ||
	     ((ours.effective ^ theirs.effective) & of_set_id)))
		return false;

	return proc_leader_seccomp() <= 0;
}
