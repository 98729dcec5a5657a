/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Towards whose quota something counts that a user has. Who has subordinate ids, as most users have by
 * /etc/subuid and root of a container by its user namespace, can be 65536 users at will. Those
 * ids are above all of real users on most machines: up there as many count as one. A range that
 * begins between two multiples is two of them.
 */

#include <stdbool.h>
#include <sys/types.h>

#define OWNER_RANGE ((uid_t)65536)

static inline uid_t owner_of(uid_t uid)
{
	return uid < OWNER_RANGE ? uid : uid - uid % OWNER_RANGE;
}

static inline bool owner_is_range(uid_t uid)
{
	return uid >= OWNER_RANGE;
}
