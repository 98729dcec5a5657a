/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/versions.h"

#include <stdlib.h>
#include <string.h>

struct shared_versions {
	struct versions versions; /* without padding: compared as bytes */
	unsigned int n_users;
	SLIST_ENTRY(shared_versions) list;
};

_Static_assert(sizeof(struct versions) == sizeof(uint32_t) + 2 * 16, "no padding");

const struct versions *versions_take(struct manager *manager, const struct wire_hello *hello)
{
	const struct versions versions = versions_of(hello);
	struct shared_versions *shared;

	SLIST_FOREACH(shared, &manager->versions, list)
		if (memcmp(&shared->versions, &versions, sizeof(versions)) == 0) {
			shared->n_users++;
			return &shared->versions;
		}

	shared = malloc(sizeof(*shared));
	if (!shared)
		return NULL;

	*shared = (struct shared_versions){ .versions = versions, .n_users = 1 };
	SLIST_INSERT_HEAD(&manager->versions, shared, list);
	return &shared->versions;
}

const struct versions *versions_give(struct manager *manager, const struct versions *versions)
{
	struct shared_versions *shared;

	SLIST_FOREACH(shared, &manager->versions, list)
		if (&shared->versions == versions)
			break;
	if (!shared || --shared->n_users > 0)
		return NULL;

	SLIST_REMOVE(&manager->versions, shared, shared_versions, list);
	free(shared);
	return NULL;
}
