/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Within verdict.c and verdict-told.c; all others see verdict.h. */

#include "agent/model/diagnosis.h"
#include "agent/model/group.h"

/* A release that gave less has shown nothing about the program. */
#define PAID_LEAST_BYTES (16 * MIB)

/* What is decided from; of a member, as if it were a group of one under its group's limit. */
struct facts {
	const struct sums *sums;
	const struct benefit *benefit; /* NULL: of a member */
	uint64_t anon_bytes;
	uint64_t other_bytes;          /* anonymous, outside of the allocators we know */
	/* Of it: of processes without the hook, and what is no process's. 0 also where not known. */
	uint64_t unhooked_bytes, below_bytes, shmem_bytes, locked_bytes, kernel_bytes;
	uint64_t unseen_bytes;         /* of members, since they were looked at */
	uint64_t limit_bytes;
	uint64_t retained_high_bytes;
	uint32_t usage_high_permyriad;
	uint32_t usage_critical_permyriad;
	uint64_t killed_usec; /* 0: never; of a member */
	bool is_after_kill; /* so shortly that figures may be of who was killed */
	bool is_kill_near; /* by growth; of a member: it has most of what its group has */
	bool is_short; /* of memory, near the limit or for want of it killed; of a member: its group */
	uint64_t now_usec;
};

/* Both add to @d by its verdict; what does not fit any more is left out. */
void verdict_show_evidence(const struct facts *f, struct diagnosis *d);
void verdict_advise(const struct facts *f, struct diagnosis *d);
