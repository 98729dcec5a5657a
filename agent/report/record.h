/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the policy was given and what it decided, as a *.round file: see
 * tests/replay/README.md. Knows the format, and no policy.
 */

#include "agent/model/group.h"
#include "agent/model/member.h"
#include "agent/model/running.h"

/* More members than this in one group are more than replay takes. */
#define RECORD_MEMBERS_MAX 4096

/* How much text a group and each of its members can need. */
#define RECORD_GROUP_BYTES 8192
#define RECORD_MEMBER_BYTES 1536

struct record {
	uint64_t now_usec;
	const struct group *group; /* with its gate as it was before */
	const struct member *const *members;
	size_t n_members;
	bool pressure, limit_hit, machine, crossed, crowded; /* the signals */

	bool command; /* not the gate began it */
	const struct gate *gate; /* what it came to */
	const struct decision *decision;
	const struct running *running; /* of a round that was under way; or NULL */
	enum yield yield; /* and whether it gave way */
};

/* -E2BIG: too many members; -ENOBUFS: @size is too small, and the text is cut. */
int record_format(const struct record *record, char *buf, size_t size);
