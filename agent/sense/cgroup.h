/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Memory cgroups: which one a process is in, and what it uses. v1, v2 and hybrid.
 * Never blocks, never logs. A group that is gone reads as -ENODEV.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/group.h"
#include "agent/model/swap.h"

struct cgroup_root {
	enum group_kind kind; /* GROUP_V1 or GROUP_V2: where the memory controller is */
	int fd;               /* directory of that hierarchy; owned */
	char *path;           /* its path; owned */
	char *prefix;         /* how /proc/PID/cgroup calls it; "" for the root; owned */
	int unified_fd; /* v2 mount that may offer memory.pressure beside v1; or -1 */
};

/*
 * Finds the hierarchy that has the memory controller. @path (from --cgroup-root=) names
 * a mount of either kind, or a directory that looks like one (tests); NULL looks below
 * /sys/fs/cgroup. -ENOENT when there is no memory controller anywhere: RSS groups only.
 */
int cgroup_root_open(const char *path, struct cgroup_root *ret);
void cgroup_root_close(struct cgroup_root *root);

/*
 * The group that is charged for the process, "/" first (@ret_path is malloc'ed), and its id
 * (inode). Inside a container whose cgroup namespace hides the rest, "/" is the container
 * itself. -ESRCH: no such process; -ENODEV: it is in a group that is not below our root
 * (outside of our namespace or of --cgroup-root=) or was just removed: count its RSS.
 */
int cgroup_of_pid(const struct cgroup_root *root, pid_t pid, char **ret_path,
		  uint64_t *ret_id);

/* Only its id; allocates nothing. */
int cgroup_id_of_pid(const struct cgroup_root *root, pid_t pid, uint64_t *ret_id);

/* The open files of one group; there are thousands, each within whom it is about. */
struct cgroup {
	int fd; /* its directory; -1: not open */
	int usage_fd;
	/* v2: its events. v1: the directory of the same name that has memory.pressure. Or -1 */
	int other_fd;
	enum group_kind kind : 8;
	uint8_t depth;       /* of directories above it, up to the root */
	uint8_t bad_file;    /* of the last reading; see cgroup_bad_file() */
	uint8_t limit_level; /* likewise; see cgroup_limit_level() */
	bool limited_above : 1; /* when that was last looked for */
	bool has_looked : 1;    /* and none was written since */
	bool is_watched : 1;
};

#define CGROUP_CLOSED { .fd = -1, .usage_fd = -1, .other_fd = -1 }

static inline bool cgroup_is_open(const struct cgroup *cgroup)
{
	return cgroup->fd >= 0;
}

/* -ENODEV also where the group has no memory files of its own, as the root of v2. */
int cgroup_open(const struct cgroup_root *root, const char *path, struct cgroup *ret);
/* The same of the group with this id; -ENODEV where another has come to be at the path. */
int cgroup_open_id(const struct cgroup_root *root, const char *path, uint64_t id,
		   struct cgroup *ret);
/* Does nothing when it is not open. */
void cgroup_close(struct cgroup *cgroup);

/* The file of a group's own limit. */
const char *cgroup_limit_name(enum group_kind kind);

/* For epoll: v2 memory.events (EPOLLPRI on change), or -1. */
int cgroup_events_fd(const struct cgroup *cgroup);

/* Usage only, one pread: for frequent sampling. */
int cgroup_read_usage(struct cgroup *cgroup, uint64_t *ret_bytes);

/*
 * Everything in struct reading; limits of all ancestors are read again each time, except on v1
 * where there were none and cgroup_limits_watched(). Of all limits it is the one with the least
 * room, by what it is compared with: of an ancestor that is what others have, too. The machine's
 * own RAM is the last of them. Of ancestors outside of our mount nothing is seen on v2, and on v1
 * (the kernel has their lowest limit) not what others have. Also clears the event of
 * cgroup_events_fd().
 */
int cgroup_read(struct cgroup *cgroup, uint64_t now_usec, struct reading *ret);

/*
 * The same in two parts. What nothing is decided by (stalls so far; on v1 kills) is left to the
 * second, and so is a change of the machine's RAM; until then it is as in @last.
 */
int cgroup_read_first(struct cgroup *cgroup, uint64_t now_usec, const struct reading *last,
		      struct reading *ret);
int cgroup_read_rest(struct cgroup *cgroup, struct reading *reading);

/* What it is charged for by kind, now; -EINVAL where the kernel does not say. See cgroup-beside.c */
int cgroup_read_beside(const struct cgroup *cgroup, struct beside *ret);

/* The "some" line of its memory.pressure, now. As psi_read(); -ENOENT on v1 without v2 beside. */
struct psi_line;
int cgroup_read_some(const struct cgroup *cgroup, struct psi_line *ret);

/*
 * What of its memory is swapped out, and how much more may be: by its own limits, those above it
 * and what the machine has left. -EINVAL where the kernel's files make no sense. v1: nothing.
 */
int cgroup_read_swap(const struct cgroup *cgroup, struct swap *ret);
/*
 * memory.reclaim, for cgroup_reclaim(). -ENOENT: it has none, -EACCES: not for us. The caller closes it.
 */
int cgroup_open_reclaim(const struct cgroup *cgroup);
/*
 * Has the kernel reclaim so much there, into swap before all else where it can be told so (Linux 6.11
 * and later). Waits until it has, tenths of a second and more. -EAGAIN: it says that it found less;
 * -ETIME: @until_usec came before the end, and no other part was begun.
 */
int cgroup_reclaim(int fd, uint64_t bytes, uint64_t until_usec);

/* Of the last reading: whose limit it is, so many groups above; 0: the group's own, or nobody's. */
uint8_t cgroup_limit_level(const struct cgroup *cgroup);

/* A group above it has a limit, be it the one that counts or not. */
bool cgroup_is_limited_above(const struct cgroup *cgroup);

/* Whoever has it open calls the second one when a limit of it or above it was written. */
void cgroup_limits_watched(struct cgroup *cgroup);
void cgroup_limits_written(struct cgroup *cgroup);

/*
 * The file that the last reading could not make sense of, or NULL: where it failed,
 * or one it could do without (events, failcnt, oom_control, pressure read as 0 then).
 */
const char *cgroup_bad_file(const struct cgroup *cgroup);

/*
 * v1: an eventfd that becomes readable when usage crosses @bytes (less than 2^63; whole
 * pages, rounded up) in either direction, and when the group is removed. -EOPNOTSUPP on v2. The
 * caller closes it, which disarms.
 */
int cgroup_arm_threshold(struct cgroup *cgroup, uint64_t bytes);

/*
 * v1: an eventfd that becomes readable when memory.pressure_level is medium or critical.
 * -EOPNOTSUPP on v2, and where the kernel has no v1 events (PREEMPT_RT). Closed as above.
 */
int cgroup_arm_level(struct cgroup *cgroup);
