/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The words for a group's kinds and states are stable: in JSON, journal and on the bus. */

#include "agent/model/group.h"

/* Its place in the ring may have become another group's; then it is not the last of ours. */
const struct outcome *group_last_outcome(const struct group *group)
{
	const struct outcome *outcome = group_benefit(group)->last_outcome;

	return outcome && outcome->group_id == group->id ? outcome : NULL;
}

const struct benefit *group_benefit(const struct group *group)
{
	static const struct benefit none;

	return group->benefit ? group->benefit : &none;
}

/* How much of its path is that of the group @level above; 0: it itself. The root keeps its slash. */
static size_t length_above(const struct group *group, unsigned int level)
{
	size_t n = group->path ? strlen(group->path) : 0;

	if (level == 0 || n == 0)
		return 0;

	for (; level > 0 && n > 0; level--)
		while (n > 0 && group->path[--n] != '/')
			;

	return MAX(n, 1);
}

bool group_shares_limit(const struct group *group, const struct group *other)
{
	const size_t n = length_above(group, group->limit_level);

	return n > 0 && n == length_above(other, other->limit_level) &&
	       memcmp(group->path, other->path, n) == 0;
}

bool group_is_beside(const struct group *group, unsigned int level, const struct group *other)
{
	const size_t n = length_above(group, level);

	return n > 0 && other->path && strlen(other->path) >= n &&
	       memcmp(group->path, other->path, n) == 0 &&
	       (n == 1 || other->path[n] == '/' || other->path[n] == '\0');
}

char *group_above(const struct group *group, unsigned int level, char *buf, size_t size)
{
	size_t n = length_above(group, level);

	if (n == 0 || size == 0)
		return NULL;

	n = MIN(n, size - 1);
	memcpy(buf, group->path, n);
	buf[n] = '\0';
	return buf;
}

char *group_limit_of(const struct group *group, char *buf, size_t size)
{
	return group_above(group, group->limit_level, buf, size);
}

const char *group_kind_to_string(enum group_kind kind)
{
	switch (kind) {
	case GROUP_V1:
		return "cgroup-v1";
	case GROUP_V2:
		return "cgroup-v2";
	case GROUP_RSS:
		return "rss";
	}

	return "unknown";
}

const char *source_to_string(enum source source)
{
	switch (source) {
	case SOURCE_THRESHOLD:
		return "usage_threshold";
	case SOURCE_LEVEL:
		return "pressure_level";
	case SOURCE_EVENTS:
		return "memory_events";
	case SOURCE_GROUP:
		return "group_pressure";
	case SOURCE_MACHINE:
		return "machine_pressure";
	case SOURCE_MAX_:
		break;
	}

	return "unknown";
}

const char *gate_state_to_string(enum gate_state state)
{
	switch (state) {
	case GATE_CALM:
		return "calm";
	case GATE_RETAINING:
		return "retaining";
	case GATE_PRESSED:
		return "pressed";
	case GATE_HIGH:
		return "high";
	case GATE_CRITICAL:
		return "critical";
	case GATE_SETTLING:
		return "settling";
	}

	return "unknown";
}
