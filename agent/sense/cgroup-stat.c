/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Parses the memory controller's files: skips unknown lines, is strict with known ones.
 */

#include "agent/sense/cgroup-stat.h"

#include <errno.h>

#include "agent/basic/parse.h"

/*
 * v1 shows "no limit" as LONG_MAX rounded down to pages, 32-bit page counters as less.
 * Nobody has 4 EiB, so everything from here on is no limit.
 */
#define LIMIT_CEILING (UINT64_C(1) << 62)

struct key {
	const char *name;
	bool found;
	uint64_t value;
};

static struct key *key_of_line(const char *line, struct key *keys, size_t n_keys)
{
	const size_t length = strcspn(line, " \n");

	for (size_t i = 0; i < n_keys; i++)
		if (strlen(keys[i].name) == length &&
		    memcmp(keys[i].name, line, length) == 0)
			return &keys[i];

	return NULL;
}

/* Lines of "name value". Of a name that comes twice the first counts. */
static int parse_keys(const char *text, struct key *keys, size_t n_keys)
{
	const char *line, *end;
	struct key *key;

	for (line = text; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		key = key_of_line(line, keys, n_keys);
		if (!key || key->found)
			continue;

		line += strlen(key->name);
		if (*line != ' ' || parse_digits(line + 1, &key->value) != end)
			return -EINVAL;
		key->found = true;
	}

	return 0;
}

/*
 * Of a huge page that is unmapped in parts the whole stays charged and on the list of its
 * kind, while what is mapped is counted by the page: the difference is what nobody has any
 * more. Five keys: the two lists of anonymous memory, and what is on them for other reasons.
 */
static uint64_t held_bytes(const struct key keys[static 5])
{
	for (size_t i = 0; i < 5; i++)
		if (!keys[i].found)
			return 0;

	return sub_sat(add_sat(keys[0].value, keys[1].value),
		       add_sat(keys[2].value, add_sat(keys[3].value, keys[4].value)));
}

static int parse_stat_v1(const char *text, struct cgroup_stat *ret)
{
	/* Those without "total_" leave out the children, whose pages are in the usage. */
	struct key keys[] = {
		{ .name = "total_active_file" },
		{ .name = "total_inactive_file" },
		{ .name = "hierarchical_memory_limit" },
		{ .name = "total_pgfault" },
		{ .name = "total_active_anon" },
		{ .name = "total_inactive_anon" },
		{ .name = "total_rss" },
		{ .name = "total_shmem" },
		{ .name = "total_swapcached" },
	};
	int r;

	r = parse_keys(text, keys, ARRAY_SIZE(keys));
	if (r < 0)
		return r;
	if (!keys[0].found || !keys[1].found)
		return -EINVAL;

	if (__builtin_add_overflow(keys[0].value, keys[1].value, &ret->droppable_bytes))
		return -EINVAL;

	ret->limit_bytes = BYTES_INFINITY;
	if (keys[2].found && keys[2].value < LIMIT_CEILING)
		ret->limit_bytes = keys[2].value;
	ret->n_faults = keys[3].value;
	ret->held_bytes = held_bytes(keys + 4);
	ret->n_collapses = 0;
	return 0;
}

static int parse_stat_v2(const char *text, struct cgroup_stat *ret)
{
	/* Slab is not charged under cgroup.memory=nokmem, and then not shown. */
	struct key keys[] = {
		{ .name = "active_file" },
		{ .name = "inactive_file" },
		{ .name = "slab_reclaimable" },
		{ .name = "pgfault" },
		{ .name = "active_anon" },
		{ .name = "inactive_anon" },
		{ .name = "anon" },
		{ .name = "shmem" },
		{ .name = "swapcached" },
		{ .name = "thp_collapse_alloc" },
	};
	int r;

	r = parse_keys(text, keys, ARRAY_SIZE(keys));
	if (r < 0)
		return r;
	if (!keys[0].found || !keys[1].found)
		return -EINVAL;

	if (__builtin_add_overflow(keys[0].value, keys[1].value, &ret->droppable_bytes) ||
	    __builtin_add_overflow(ret->droppable_bytes, keys[2].value,
				   &ret->droppable_bytes))
		return -EINVAL;

	ret->limit_bytes = BYTES_INFINITY;
	ret->n_faults = keys[3].value;
	ret->held_bytes = held_bytes(keys + 4);
	ret->n_collapses = keys[9].value;
	return 0;
}

int cgroup_stat_parse(const char *text, enum group_kind kind, struct cgroup_stat *ret)
{
	struct cgroup_stat stat;
	int r = -EINVAL;

	switch (kind) {
	case GROUP_V1:
		r = parse_stat_v1(text, &stat);
		break;
	case GROUP_V2:
		r = parse_stat_v2(text, &stat);
		break;
	case GROUP_RSS:
		break;
	}
	if (r < 0)
		return r;

	*ret = stat;
	return 0;
}

int cgroup_stat_parse_kinds(const char *text, enum group_kind kind, struct cgroup_kinds *ret)
{
	struct key v1[] = {
		{ .name = "total_rss" },	 { .name = "total_cache" },
		{ .name = "total_shmem" },	 { .name = "total_active_file" },
		{ .name = "total_inactive_file" }, { .name = "total_swapcached" },
	};
	struct key v2[] = {
		{ .name = "anon" },	   { .name = "file" },
		{ .name = "shmem" },	   { .name = "active_file" },
		{ .name = "inactive_file" }, { .name = "swapcached" },
	};
	struct key *keys = kind == GROUP_V2 ? v2 : v1;
	int r;

	r = parse_keys(text, keys, ARRAY_SIZE(v1));
	if (r < 0)
		return r;
	for (size_t i = 0; i < 5; i++)
		if (!keys[i].found)
			return -EINVAL;

	*ret = (struct cgroup_kinds){
		.anon_bytes = keys[0].value,
		.file_bytes = keys[1].value,
		.shmem_bytes = keys[2].value,
		.listed_bytes = add_sat(keys[3].value, keys[4].value),
		.swapcached_bytes = keys[5].value,
	};
	return 0;
}

int cgroup_stat_parse_number(const char *text, uint64_t *ret)
{
	const char *end;
	uint64_t value;

	end = parse_digits(text, &value);
	if (!end || (*end && !streq(end, "\n")))
		return -EINVAL;

	*ret = value;
	return 0;
}

int cgroup_stat_parse_limit(const char *text, uint64_t *ret_bytes)
{
	uint64_t value;
	int r;

	if (streq(text, "max\n") || streq(text, "max")) {
		*ret_bytes = BYTES_INFINITY;
		return 0;
	}

	r = cgroup_stat_parse_number(text, &value);
	if (r < 0)
		return r;

	*ret_bytes = value < LIMIT_CEILING ? value : BYTES_INFINITY;
	return 0;
}

int cgroup_stat_parse_events(const char *text, uint64_t *ret_max, uint64_t *ret_oom,
			     uint64_t *ret_oom_kill)
{
	struct key keys[] = { { .name = "max" }, { .name = "oom_kill" }, { .name = "oom" } };
	int r;

	r = parse_keys(text, keys, ARRAY_SIZE(keys));
	if (r < 0)
		return r;
	if (!keys[0].found)
		return -EINVAL;

	*ret_max = keys[0].value;
	*ret_oom = keys[2].value;
	*ret_oom_kill = keys[1].value;
	return 0;
}

int cgroup_stat_parse_oom_control(const char *text, uint64_t *ret_oom_kill)
{
	struct key keys[] = { { .name = "under_oom" }, { .name = "oom_kill" } };
	int r;

	r = parse_keys(text, keys, ARRAY_SIZE(keys));
	if (r < 0)
		return r;
	if (!keys[0].found)
		return -EINVAL;

	*ret_oom_kill = keys[1].value;
	return 0;
}

bool cgroup_stat_has_controller(const char *text, const char *controller)
{
	const size_t length = strlen(controller);
	size_t word;

	for (; *text; text += word) {
		text += strspn(text, " \n");
		word = strcspn(text, " \n");
		if (word == length && memcmp(text, controller, word) == 0)
			return true;
	}

	return false;
}
