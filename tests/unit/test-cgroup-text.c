/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/cgroup-stat and sense/cgroup-path: the kernel's texts about cgroups. */

#include <errno.h>

#include "agent/basic/macro.h"
#include "agent/sense/cgroup-path.h"
#include "agent/sense/cgroup-stat.h"

#include "tests/unit/test.h"

static void test_v1_line_of_the_memory_controller_is_found_in_hybrid(void)
{
	const char text[] = "9:name=systemd:/a\n4:cpu,memory:/docker/x:y\n0::/z\n";
	char path[64];

	CHECK_EQ(cgroup_path_parse(text, GROUP_V1, path, sizeof(path)), 0);
	CHECK_STR(path, "/docker/x:y");
	CHECK_EQ(cgroup_path_parse(text, GROUP_V2, path, sizeof(path)), 0);
	CHECK_STR(path, "/z");
}

static void test_a_named_hierarchy_is_not_taken_for_the_memory_controller(void)
{
	char path[64];

	CHECK_EQ(cgroup_path_parse("3:name=memory:/a\n10::/b\n", GROUP_V1, path,
				   sizeof(path)),
		 -ENOENT);
	CHECK_EQ(cgroup_path_parse("3:name=memory:/a\n10::/b\n", GROUP_V2, path,
				   sizeof(path)),
		 -ENOENT);
}

static void test_malformed_membership_is_refused(void)
{
	char path[4] = "abc";

	CHECK_EQ(cgroup_path_parse("", GROUP_V2, path, sizeof(path)), -ENOENT);
	CHECK_EQ(cgroup_path_parse("0:", GROUP_V2, path, sizeof(path)), -ENOENT);
	CHECK_EQ(cgroup_path_parse("0::", GROUP_V2, path, sizeof(path)), -EINVAL);
	CHECK_EQ(cgroup_path_parse("0::x\n", GROUP_V2, path, sizeof(path)), -EINVAL);
	CHECK_EQ(cgroup_path_parse("0::/abcdef\n", GROUP_V2, path, sizeof(path)), -E2BIG);
	CHECK_STR(path, "abc");
}

static void test_paths_outside_of_our_root_are_told_apart(void)
{
	CHECK_STR(cgroup_path_below("/a/b", ""), "/a/b");
	CHECK_STR(cgroup_path_below("/", ""), "/");
	CHECK_STR(cgroup_path_below("/docker/x", "/docker/x"), "/");
	CHECK_STR(cgroup_path_below("/docker/x/y", "/docker/x"), "/y");
	CHECK_STR(cgroup_path_below("/../../host/x", "/../.."), "/host/x");
	CHECK(!cgroup_path_below("/docker/xy", "/docker/x"));
	CHECK(!cgroup_path_below("/../other", ""));
	CHECK(!cgroup_path_below("/..", ""));
	CHECK(!cgroup_path_below("/a", "/../.."));
}

static void test_depth_refuses_ways_out_of_the_root(void)
{
	CHECK_EQ(cgroup_path_depth("/"), 0);
	CHECK_EQ(cgroup_path_depth("/a/b..c/...x"), 3);
	CHECK_EQ(cgroup_path_depth("//a//"), 1);
	CHECK_EQ(cgroup_path_depth(""), -EINVAL);
	CHECK_EQ(cgroup_path_depth("a"), -EINVAL);
	CHECK_EQ(cgroup_path_depth("/a/../b"), -EINVAL);
	CHECK_EQ(cgroup_path_depth("/.."), -EINVAL);
	CHECK_EQ(cgroup_path_depth("/a/."), -EINVAL);
}

static void test_mountinfo_escapes_are_undone(void)
{
	static struct cgroup_mount mount;

	CHECK_EQ(cgroup_path_parse_mount(
			 "35 31 0:32 /doc\\040ker/x /sys/fs/a\\134b rw,relatime "
			 "- cgroup cgroup rw,memory\n",
			 &mount),
		 0);
	CHECK_EQ(mount.id, 35);
	CHECK_STR(mount.root, "/doc ker/x");
	CHECK_STR(mount.point, "/sys/fs/a\\b");
	CHECK_EQ(cgroup_path_parse_mount("35 31 0:32 /x", &mount), -EINVAL);
	CHECK_EQ(cgroup_path_parse_mount("35 31 0:32", &mount), -EINVAL);
	CHECK_EQ(cgroup_path_parse_mount("", &mount), -EINVAL);
}

static void test_limits_without_a_limit_are_infinite(void)
{
	uint64_t bytes;

	CHECK_EQ(cgroup_stat_parse_limit("max\n", &bytes), 0);
	CHECK(bytes == BYTES_INFINITY);
	CHECK_EQ(cgroup_stat_parse_limit("9223372036854771712\n", &bytes), 0);
	CHECK(bytes == BYTES_INFINITY);
	CHECK_EQ(cgroup_stat_parse_limit("9223372036854710272\n", &bytes), 0);
	CHECK(bytes == BYTES_INFINITY);
	CHECK_EQ(cgroup_stat_parse_limit("0\n", &bytes), 0);
	CHECK_EQ(bytes, 0);
}

static void test_numbers_are_strict(void)
{
	uint64_t value = 7;

	CHECK_EQ(cgroup_stat_parse_number("18446744073709551616\n", &value), -EINVAL);
	CHECK_EQ(cgroup_stat_parse_number("", &value), -EINVAL);
	CHECK_EQ(cgroup_stat_parse_number("\n", &value), -EINVAL);
	CHECK_EQ(cgroup_stat_parse_number("-1\n", &value), -EINVAL);
	CHECK_EQ(cgroup_stat_parse_number("12 \n", &value), -EINVAL);
	CHECK_EQ(cgroup_stat_parse_limit("maximum\n", &value), -EINVAL);
	CHECK_EQ(value, 7);
}

static void test_stat_needs_the_file_cache_and_survives_overflow(void)
{
	struct cgroup_stat stat = { .droppable_bytes = 7 };

	CHECK_EQ(cgroup_stat_parse("active_file 1\ninactive_file 2\n", GROUP_V2, &stat),
		 0);
	CHECK_EQ(stat.droppable_bytes, 3);
	CHECK_EQ(cgroup_stat_parse("active_file 1\n", GROUP_V2, &stat), -EINVAL);
	CHECK_EQ(cgroup_stat_parse("active_file\ninactive_file 2\n", GROUP_V2, &stat),
		 -EINVAL);
	CHECK_EQ(cgroup_stat_parse("active_file 18446744073709551615\ninactive_file 2\n",
				   GROUP_V2, &stat),
		 -EINVAL);
	CHECK_EQ(cgroup_stat_parse("active_file 1\ninactive_file 2\n", GROUP_V1, &stat),
		 -EINVAL);
	CHECK_EQ(stat.droppable_bytes, 3);
}

static void test_what_is_held_of_huge_pages_is_the_lists_beyond_what_is_mapped(void)
{
	struct cgroup_stat stat;

	CHECK_EQ(cgroup_stat_parse("anon 100\nshmem 20\nswapcached 3\ninactive_anon 600\n"
				   "active_anon 23\ninactive_file 0\nactive_file 0\n"
				   "thp_collapse_alloc 7\n",
				   GROUP_V2, &stat),
		 0);
	CHECK_EQ(stat.held_bytes, 500);
	CHECK_EQ(stat.n_collapses, 7);
	CHECK_EQ(stat.droppable_bytes, 0);
	CHECK_EQ(cgroup_stat_parse("rss 1\nshmem 2\ntotal_rss 100\ntotal_shmem 20\n"
				   "total_swapcached 3\ntotal_inactive_anon 600\n"
				   "total_active_anon 23\ntotal_inactive_file 0\n"
				   "total_active_file 0\n",
				   GROUP_V1, &stat),
		 0);
	CHECK_EQ(stat.held_bytes, 500);

	/* The counters are not read at the same moment. */
	CHECK_EQ(cgroup_stat_parse("anon 100\nshmem 0\nswapcached 0\ninactive_anon 90\n"
				   "active_anon 0\ninactive_file 0\nactive_file 0\n",
				   GROUP_V2, &stat),
		 0);
	CHECK_EQ(stat.held_bytes, 0);
}

/* Without the swap cache's size it would be taken for held; kernels without it are old. */
static void test_what_cannot_be_told_apart_is_not_held(void)
{
	struct cgroup_stat stat;

	CHECK_EQ(cgroup_stat_parse("anon 100\nshmem 20\ninactive_anon 600\nactive_anon 23\n"
				   "inactive_file 0\nactive_file 0\n",
				   GROUP_V2, &stat),
		 0);
	CHECK_EQ(stat.held_bytes, 0);
}

static void test_events_of_old_kernels_count_no_kill(void)
{
	uint64_t n_max = 0, n_oom = 0, n_oom_kill = 9;

	CHECK_EQ(cgroup_stat_parse_events("low 0\nhigh 0\nmax 5\noom 1\n", &n_max, &n_oom,
					  &n_oom_kill),
		 0);
	CHECK_EQ(n_max, 5);
	CHECK_EQ(n_oom, 1);
	CHECK_EQ(n_oom_kill, 0);
	CHECK_EQ(cgroup_stat_parse_oom_control(
			 "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", &n_oom_kill),
		 0);
	CHECK_EQ(n_oom_kill, 3);
	CHECK_EQ(cgroup_stat_parse_events("oom_kill 1\n", &n_max, &n_oom, &n_oom_kill),
		 -EINVAL);
}

static void test_controllers_are_whole_words(void)
{
	CHECK(cgroup_stat_has_controller("cpu memory\n", "memory"));
	CHECK(!cgroup_stat_has_controller("cpu memory_x\n", "memory"));
	CHECK(!cgroup_stat_has_controller("hugetlb\n", "memory"));
	CHECK(!cgroup_stat_has_controller("\n", "memory"));
}

int main(void)
{
	RUN(test_v1_line_of_the_memory_controller_is_found_in_hybrid);
	RUN(test_a_named_hierarchy_is_not_taken_for_the_memory_controller);
	RUN(test_malformed_membership_is_refused);
	RUN(test_paths_outside_of_our_root_are_told_apart);
	RUN(test_depth_refuses_ways_out_of_the_root);
	RUN(test_mountinfo_escapes_are_undone);
	RUN(test_limits_without_a_limit_are_infinite);
	RUN(test_numbers_are_strict);
	RUN(test_stat_needs_the_file_cache_and_survives_overflow);
	RUN(test_what_is_held_of_huge_pages_is_the_lists_beyond_what_is_mapped);
	RUN(test_what_cannot_be_told_apart_is_not_held);
	RUN(test_events_of_old_kernels_count_no_kill);
	RUN(test_controllers_are_whole_words);

	return TEST_RESULT();
}
