/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/cgroup: siblings under a limit that is above them all. */

#include "tests/unit/cgroup-fixture.h"

static char base[64];
static struct cgroup_root root;
static struct cgroup cgroup;
static struct reading reading;

static void put(enum group_kind kind, const char *group, uint64_t usage_mib, uint64_t cache_mib,
		const char *limit)
{
	const bool v2 = kind == GROUP_V2;
	char directory[768], text[256];

	(void)snprintf(directory, sizeof(directory), "%s%s", base, group);
	(void)mkdir(directory, 0700);
	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(usage_mib * MIB));
	write_file(directory, v2 ? "memory.current" : "memory.usage_in_bytes", text);
	(void)snprintf(text, sizeof(text), "%s %llu\n%s 0\n", v2 ? "active_file" : "total_active_file",
		       (unsigned long long)(cache_mib * MIB),
		       v2 ? "inactive_file" : "total_inactive_file");
	write_file(directory, "memory.stat", text);
	write_file(directory, v2 ? "memory.max" : "memory.limit_in_bytes", limit);
}

/* /pod of 100 MiB, of which 90 are used, 10 as cache: 30 by /pod/a and 50 by others in it. */
static void begin(enum group_kind kind, const char *unlimited)
{
	(void)strcpy(base, "/tmp/memguard-shared-XXXXXX");
	CHECK(mkdtemp(base) != NULL);
	put(kind, "", 900, 0, unlimited);
	if (kind == GROUP_V2)
		write_file(base, "cgroup.controllers", "memory\n");
	put(kind, "/pod", 90, 10, "104857600\n");
	put(kind, "/pod/a", 32, 2, unlimited);
	CHECK_EQ(cgroup_root_open(base, &root), 0);
	CHECK_EQ(root.kind, kind);
	CHECK_EQ(cgroup_open(&root, "/pod/a", &cgroup), 0);
}

static void end(void)
{
	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(base);
}

static void look(void)
{
	CHECK_EQ(cgroup_read(&cgroup, 1, &reading), 0);
}

static void check(uint64_t limit_mib, uint64_t others_mib, uint8_t level)
{
	look();
	CHECK_EQ(reading.anon_bytes, 30 * MIB);
	CHECK_EQ(reading.limit_bytes, limit_mib * MIB);
	CHECK_EQ(reading.others_bytes, others_mib * MIB);
	CHECK_EQ(cgroup_limit_level(&cgroup), level);
}

static void check_kind(enum group_kind kind, const char *unlimited)
{
	begin(kind, unlimited);
	check(100, 50, 1);
	CHECK(cgroup_is_limited_above(&cgroup));

	/* Its own cache and theirs do not count. */
	put(kind, "/pod", 99, 60, "104857600\n");
	check(100, 9, 1);

	/* A limit of its own counts alone where it leaves less room. */
	put(kind, "/pod/a", 32, 2, "41943040\n");
	check(40, 0, 0);
	CHECK(cgroup_is_limited_above(&cgroup));
	put(kind, "/pod", 98, 0, "104857600\n");
	check(100, 68, 1);

	/* Less than its own: the two files are not read at the same moment. */
	put(kind, "/pod/a", 32, 2, unlimited);
	put(kind, "/pod", 20, 0, "104857600\n");
	check(100, 0, 1);

	put(kind, "/pod", 90, 0, unlimited);
	look();
	CHECK_EQ(reading.limit_bytes, ram_bytes());
	CHECK_EQ(reading.others_bytes, 0);
	CHECK_EQ(cgroup_limit_level(&cgroup), 0);
	CHECK(!cgroup_is_limited_above(&cgroup));
	end();
}

static void test_v2_counts_what_siblings_have_of_the_limit(void)
{
	check_kind(GROUP_V2, "max\n");
}

static void test_v1_counts_what_siblings_have_of_the_limit(void)
{
	check_kind(GROUP_V1, "9223372036854771712\n");
}

static void test_of_several_limits_the_one_with_the_least_room_counts(void)
{
	begin(GROUP_V2, "max\n");
	put(GROUP_V2, "/pod/b", 0, 0, "max\n");
	put(GROUP_V2, "/pod/b/c", 32, 2, "max\n");
	cgroup_close(&cgroup);
	CHECK_EQ(cgroup_open(&root, "/pod/b/c", &cgroup), 0);

	/* The higher limit is the fuller one. */
	put(GROUP_V2, "/pod/b", 40, 0, "62914560\n");
	put(GROUP_V2, "/pod", 95, 0, "104857600\n");
	check(100, 65, 2);
	/* With nearly the same room it stays the same. */
	put(GROUP_V2, "/pod/b", 56, 0, "62914560\n");
	check(100, 65, 2);
	put(GROUP_V2, "/pod/b", 58, 0, "62914560\n");
	check(60, 28, 1);
	end();
}

static void test_files_above_that_are_missing_or_nonsense_leave_the_limit(void)
{
	begin(GROUP_V2, "max\n");
	put(GROUP_V2, "/pod", 90, 0, "104857600\n");
	check(100, 60, 1);
	(void)strcat(base, "/pod");
	write_file(base, "memory.stat", "nonsense\n");
	check(100, 0, 1);
	CHECK_STR(cgroup_bad_file(&cgroup), "memory.stat");
	write_file(base, "memory.current", "");
	check(100, 0, 1);
	CHECK_STR(cgroup_bad_file(&cgroup), "memory.current");
	base[strlen(base) - 4] = '\0';
	end();
}

/* What is watched need not be read again before it was written. */
static void test_v1_without_a_limit_above_does_not_look_there_again(void)
{
	const char *unlimited = "9223372036854771712\n";

	begin(GROUP_V1, unlimited);
	put(GROUP_V1, "/pod", 90, 0, unlimited);
	cgroup_limits_watched(&cgroup);
	look();
	CHECK(!cgroup_is_limited_above(&cgroup));
	put(GROUP_V1, "/pod", 90, 0, "104857600\n");
	look();
	CHECK_EQ(reading.limit_bytes, ram_bytes());
	cgroup_limits_written(&cgroup);
	check(100, 60, 1);
	/* Where there is one it is read each time. */
	put(GROUP_V1, "/pod", 80, 0, "104857600\n");
	check(100, 50, 1);
	end();
}

static void test_a_limit_that_only_the_kernel_knows_counts_alone(void)
{
	char directory[128];

	begin(GROUP_V1, "9223372036854771712\n");
	(void)snprintf(directory, sizeof(directory), "%s/pod/a", base);
	write_file(directory, "memory.stat", "total_active_file 2097152\ntotal_inactive_file 0\n"
					     "hierarchical_memory_limit 36700160\n");
	check(35, 0, 0);
	end();
}

static void put_events(const char *group, const char *name, const char *text)
{
	char directory[128];

	(void)snprintf(directory, sizeof(directory), "%s%s", base, group);
	write_file(directory, name, text);
}

static void check_above(uint8_t level, uint32_t n_max, uint32_t n_oom, uint32_t n_oom_kill)
{
	look();
	CHECK_EQ(reading.above.level, level);
	CHECK_EQ(reading.above.n_max, n_max);
	CHECK_EQ(reading.above.n_oom, n_oom);
	CHECK_EQ(reading.above.n_oom_kill, n_oom_kill);
}

static void test_v2_events_of_a_shared_limit_are_read(void)
{
	begin(GROUP_V2, "max\n");
	check_above(1, 0, 0, 0);
	/* Of a kernel before 5.2. */
	put_events("/pod", "memory.events", "max 7\noom 3\noom_kill 2\n");
	check_above(1, 7, 3, 2);
	/* Those of the limit itself, and kills in all groups below it. */
	put_events("/pod", "memory.events.local", "max 5\noom 1\noom_kill 0\n");
	check_above(1, 5, 1, 2);
	/* Its own count is another. */
	CHECK_EQ(reading.n_max, 0);
	CHECK_EQ(reading.n_oom_kill, 0);

	put_events("/pod", "memory.events.local", "nonsense\n");
	check_above(0, 0, 0, 0);
	CHECK_STR(cgroup_bad_file(&cgroup), "memory.events");
	end();
}

static void test_v1_events_of_a_shared_limit_are_read(void)
{
	begin(GROUP_V1, "9223372036854771712\n");
	check_above(1, 0, 0, 0);
	put_events("/pod", "memory.failcnt", "12\n");
	put_events("/pod", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	check_above(1, 12, 3, 3);
	end();
}

/* A kill makes room, and then its own limit counts: what it was killed for is still told. */
static void test_events_of_the_limit_that_counted_before_are_read_once_more(void)
{
	begin(GROUP_V2, "max\n");
	put(GROUP_V2, "/pod/a", 32, 2, "41943040\n");
	put(GROUP_V2, "/pod", 99, 0, "104857600\n");
	put_events("/pod", "memory.events", "max 1\noom 0\noom_kill 0\n");
	check_above(1, 1, 0, 0);
	put(GROUP_V2, "/pod", 40, 0, "104857600\n");
	put_events("/pod", "memory.events", "max 9\noom 1\noom_kill 1\n");
	check_above(1, 9, 1, 1);
	CHECK_EQ(cgroup_limit_level(&cgroup), 0);
	check_above(0, 0, 0, 0);
	end();
}

static void test_the_group_whose_limit_it_is_has_a_path(void)
{
	char path[] = "/work.slice/pod/a", buf[64];
	struct group group = { .path = path };

	CHECK(group_limit_of(&group, buf, sizeof(buf)) == NULL);
	group.limit_level = 1;
	CHECK_STR(group_limit_of(&group, buf, sizeof(buf)), "/work.slice/pod");
	CHECK_STR(group_limit_of(&group, buf, 6), "/work");
	group.limit_level = 2;
	CHECK_STR(group_limit_of(&group, buf, sizeof(buf)), "/work.slice");
	group.limit_level = 3;
	CHECK_STR(group_limit_of(&group, buf, sizeof(buf)), "/");
	group.limit_level = 4;
	CHECK_STR(group_limit_of(&group, buf, sizeof(buf)), "/");
}

static struct group at(const char *path, uint8_t limit_level)
{
	return (struct group){ .path = (char *)path, .limit_level = limit_level };
}

static bool share(struct group a, struct group b)
{
	CHECK_EQ(group_shares_limit(&a, &b), group_shares_limit(&b, &a));
	return group_shares_limit(&a, &b);
}

static bool beside(struct group a, unsigned int level, struct group b)
{
	return group_is_beside(&a, level, &b);
}

static void test_who_is_below_the_same_limit(void)
{
	CHECK(share(at("/pod/a", 1), at("/pod/b", 1)));
	CHECK(share(at("/pod/a", 1), at("/pod/b/c", 2)));
	CHECK(share(at("/a", 1), at("/pod/b", 2)));
	CHECK(!share(at("/pod/a", 1), at("/pod/b", 0)));
	CHECK(!share(at("/pod/a", 1), at("/pod/b", 2)));
	CHECK(!share(at("/pod/a", 1), at("/pot/b", 1)));
	CHECK(!share(at("/pod/a", 0), at("/pod/a", 0)));

	CHECK(beside(at("/pod/a", 0), 1, at("/pod/b/c", 0)));
	CHECK(beside(at("/pod/a", 0), 1, at("/pod", 0)));
	CHECK(beside(at("/a", 0), 1, at("/pod/b", 0)));
	CHECK(!beside(at("/pod/a", 0), 1, at("/pods/b", 0)));
	CHECK(!beside(at("/pod/a", 0), 0, at("/pod/a", 0)));
}

/* So many groups below each other, the last one's path. */
static const char *nest(enum group_kind kind, const char *unlimited, size_t depth)
{
	static char path[1024];

	path[0] = '\0';
	for (size_t i = 0; i < depth; i++) {
		(void)strcat(path, "/d");
		put(kind, path, 30, 0, unlimited);
	}

	return path;
}

static void check_deep(enum group_kind kind, const char *unlimited)
{
	begin(kind, unlimited);
	cgroup_close(&cgroup);
	CHECK_EQ(cgroup_open(&root, nest(kind, unlimited, 254), &cgroup), 0);
	put(kind, "/d", 40, 0, "104857600\n");
	check(100, 10, 253);
	cgroup_close(&cgroup);

	/* That far nobody counts, and that is an error and not the lack of a limit. */
	CHECK_EQ(cgroup_open(&root, nest(kind, unlimited, 255), &cgroup), -E2BIG);
	end();
}

static void test_a_limit_counts_however_far_above_it_is(void)
{
	check_deep(GROUP_V1, "9223372036854771712\n");
	check_deep(GROUP_V2, "max\n");
}

int main(void)
{
	RUN(test_v2_counts_what_siblings_have_of_the_limit);
	RUN(test_v1_counts_what_siblings_have_of_the_limit);
	RUN(test_of_several_limits_the_one_with_the_least_room_counts);
	RUN(test_files_above_that_are_missing_or_nonsense_leave_the_limit);
	RUN(test_v1_without_a_limit_above_does_not_look_there_again);
	RUN(test_a_limit_that_only_the_kernel_knows_counts_alone);
	RUN(test_v2_events_of_a_shared_limit_are_read);
	RUN(test_v1_events_of_a_shared_limit_are_read);
	RUN(test_events_of_the_limit_that_counted_before_are_read_once_more);
	RUN(test_who_is_below_the_same_limit);
	RUN(test_a_limit_counts_however_far_above_it_is);
	RUN(test_the_group_whose_limit_it_is_has_a_path);

	return TEST_RESULT();
}
