/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/cgroup on trees of small files: every figure, and every file that is wrong. */

#include "agent/sense/freezer.h"
#include "agent/sense/psi.h"

#include "tests/unit/cgroup-fixture.h"

static uint64_t capped(uint64_t bytes)
{
	return MIN(bytes, ram_bytes());
}

/* Opens fixture @tree, reads group @path. */
static int read_group(const char *tree, const char *path, struct reading *ret)
{
	struct cgroup_root root;
	struct cgroup cgroup;
	int r;

	r = cgroup_root_open(data_path(tree), &root);
	if (r < 0)
		return r;

	r = cgroup_open(&root, path, &cgroup);
	if (r >= 0) {
		r = cgroup_read(&cgroup, 42, ret);
		cgroup_close(&cgroup);
	}

	cgroup_root_close(&root);
	return r;
}

static void test_plain_directories_are_known_by_their_files(void)
{
	struct cgroup_root root;

	CHECK_EQ(cgroup_root_open(data_path("cgroup-v2"), &root), 0);
	CHECK_EQ(root.kind, GROUP_V2);
	CHECK_EQ(root.unified_fd, -1);
	CHECK_STR(root.prefix, "");
	cgroup_root_close(&root);

	CHECK_EQ(cgroup_root_open(data_path("cgroup-v1/memory"), &root), 0);
	CHECK_EQ(root.kind, GROUP_V1);
	cgroup_root_close(&root);
}

static void test_hybrid_is_found_from_the_directory_above_the_mounts(void)
{
	struct cgroup_root root;

	CHECK_EQ(cgroup_root_open(data_path("cgroup-v1"), &root), 0);
	CHECK_EQ(root.kind, GROUP_V1);
	CHECK_STR(root.path, data_path("cgroup-v1/memory"));
	CHECK(root.unified_fd >= 0);
	cgroup_root_close(&root);
	CHECK_EQ(root.fd, -1);
}

static void test_directories_without_memory_are_refused(void)
{
	struct cgroup_root root;

	CHECK_EQ(cgroup_root_open(data_path("cgroup-v1/unified"), &root), -ENOENT);
	CHECK_EQ(cgroup_root_open(data_path("no-such-directory"), &root), -ENOENT);
	CHECK_EQ(cgroup_root_open(data_path("cgroup-v2/memory.stat"), &root), -ENOTDIR);
}

static void test_v2_reading_takes_every_figure(void)
{
	struct reading reading;

	CHECK_EQ(read_group("cgroup-v2", "/system.slice/web.service", &reading), 0);
	CHECK_EQ(reading.time_usec, 42);
	CHECK_EQ(reading.usage_bytes, 300000000);
	CHECK_EQ(reading.anon_bytes, 300000000 - 40000000 - 50000000 - 2000000);
	CHECK_EQ(reading.pressure_total_usec, 250000);
	CHECK_EQ(reading.n_max, 3);
	CHECK_EQ(reading.n_oom_kill, 1);
	CHECK_EQ(reading.n_faults, 40210);
}

static void test_v2_limit_is_the_lowest_of_all_ancestors(void)
{
	struct reading reading;

	CHECK_EQ(read_group("cgroup-v2", "/system.slice/web.service", &reading), 0);
	/* Not its memory.high, which is lower. */
	CHECK_EQ(reading.limit_bytes, capped(512 * MIB));
	CHECK_EQ(read_group("cgroup-v2", "/kubepods/pod1/ctr", &reading), 0);
	CHECK_EQ(reading.limit_bytes, capped(256 * MIB));
	CHECK_EQ(read_group("cgroup-v2", "/kubepods", &reading), 0);
	CHECK_EQ(reading.limit_bytes, capped(1024 * MIB));
}

static void test_the_root_of_a_container_has_a_limit_itself(void)
{
	struct reading reading;

	CHECK_EQ(read_group("cgroup-v2/system.slice", "/web.service", &reading), 0);
	CHECK_EQ(reading.limit_bytes, capped(512 * MIB));
	CHECK_EQ(read_group("cgroup-v2/system.slice", "/", &reading), 0);
	CHECK_EQ(reading.usage_bytes, 400000000);
	CHECK_EQ(reading.limit_bytes, capped(512 * MIB));
	CHECK_EQ(read_group("cgroup-v1/memory/lxc", "/one", &reading), 0);
	CHECK_EQ(reading.limit_bytes, capped(400 * MIB));
}

static void test_without_a_limit_the_machine_is_the_limit(void)
{
	struct reading reading;

	CHECK(ram_bytes() > 0);
	CHECK_EQ(read_group("cgroup-v2", "/app.slice/plain.service", &reading), 0);
	CHECK_EQ(reading.limit_bytes, ram_bytes());
	CHECK_EQ(read_group("cgroup-v1", "/docker", &reading), 0);
	CHECK_EQ(reading.limit_bytes, ram_bytes());
}

static void test_more_cache_than_usage_is_no_anonymous_memory(void)
{
	struct reading reading;

	CHECK_EQ(read_group("cgroup-v2", "/app.slice/plain.service", &reading), 0);
	CHECK_EQ(reading.anon_bytes, 0);
}

static void test_v1_reading_takes_every_figure(void)
{
	struct reading reading;

	CHECK_EQ(read_group("cgroup-v1", "/docker/abc", &reading), 0);
	CHECK_EQ(reading.usage_bytes, 500000000);
	CHECK_EQ(reading.anon_bytes, 500000000 - 100000000 - 50000000);
	/* Only memory.stat has it. */
	CHECK_EQ(reading.limit_bytes, capped(600 * MIB));
	CHECK_EQ(reading.n_max, 12);
	CHECK_EQ(reading.n_oom_kill, 2);
	CHECK_EQ(reading.n_faults, 40);
	CHECK_EQ(reading.pressure_total_usec, 777777);
}

/* "avg10=" of the group's "some" line, or a negative errno. */
static int pressure_now(const char *tree, const char *path)
{
	struct cgroup_root root;
	struct cgroup cgroup;
	struct psi_line some;
	int r;

	CHECK_EQ(cgroup_root_open(data_path(tree), &root), 0);
	r = cgroup_open(&root, path, &cgroup);
	if (r >= 0) {
		r = cgroup_read_some(&cgroup, &some);
		cgroup_close(&cgroup);
	}

	cgroup_root_close(&root);
	return r < 0 ? r : (int)some.avg10_permyriad;
}

static void test_pressure_of_now_is_read_by_itself(void)
{
	CHECK_EQ(pressure_now("cgroup-v2", "/system.slice/web.service"), 150);
	CHECK_EQ(pressure_now("cgroup-v1", "/docker/abc"), 200);
	CHECK_EQ(pressure_now("cgroup-v1", "/lxc/one"), -ENOENT);
}

static void test_v1_group_without_a_unified_twin_has_no_pressure(void)
{
	struct reading reading = { .pressure_total_usec = 1 };

	CHECK_EQ(read_group("cgroup-v1", "/lxc/one", &reading), 0);
	CHECK_EQ(reading.pressure_total_usec, 0);
	/* No hierarchical line: walked. */
	CHECK_EQ(reading.limit_bytes, capped(400 * MIB));
}

static void test_groups_that_cannot_be_read_say_so(void)
{
	struct reading reading;

	CHECK_EQ(read_group("cgroup-v2", "/no.service", &reading), -ENODEV);
	CHECK_EQ(read_group("cgroup-v2", "/", &reading), -ENODEV); /* as the root of v2 */
	CHECK_EQ(read_group("cgroup-v2", "/broken.service", &reading), -EINVAL);
	CHECK_EQ(read_group("cgroup-v2", "/../cgroup-v1", &reading), -EINVAL);
	CHECK_EQ(read_group("cgroup-v2", "relative", &reading), -EINVAL);
}

/* A tree of one v1 group, in a directory made for it. */
static void write_v1(char *base, struct cgroup_root *root)
{
	CHECK(mkdtemp(base) != NULL);
	write_file(base, "memory.usage_in_bytes", "1000\n");
	write_file(base, "memory.stat", "total_active_file 1\ntotal_inactive_file 2\n"
					"hierarchical_memory_limit 4096\n");
	write_file(base, "memory.failcnt", "3\n");
	write_file(base, "memory.oom_control", "under_oom 0\noom_kill 4\n");
	CHECK_EQ(cgroup_root_open(base, root), 0);
}

/* Each case spoils one file of it. */
static void check_spoilt(const char *name, const char *text, int expected)
{
	char base[] = "/tmp/memguard-cgroup-XXXXXX";
	struct reading reading = { .usage_bytes = 7 };
	struct cgroup_root root;
	struct cgroup cgroup;

	write_v1(base, &root);
	write_file(base, name, text);

	CHECK_EQ(cgroup_open(&root, "/", &cgroup), 0);
	CHECK_EQ(cgroup_read(&cgroup, 1, &reading), expected);
	CHECK_STR(cgroup_bad_file(&cgroup), name);
	if (expected < 0)
		CHECK_EQ(reading.usage_bytes, 7);
	else
		CHECK_EQ(reading.limit_bytes, 4096);

	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(base);
}

static void test_what_is_only_told_can_be_read_later(void)
{
	char base[] = "/tmp/memguard-test-XXXXXX";
	struct reading last = { 0 }, reading = { 0 };
	struct cgroup_root root;
	struct cgroup cgroup;

	write_v1(base, &root);
	CHECK_EQ(cgroup_open(&root, "/", &cgroup), 0);
	CHECK_EQ(cgroup_read(&cgroup, 1, &last), 0);
	CHECK_EQ(last.n_oom_kill, 4);

	write_file(base, "memory.usage_in_bytes", "2000\n");
	write_file(base, "memory.failcnt", "5\n");
	write_file(base, "memory.oom_control", "under_oom 0\noom_kill 6\n");
	CHECK_EQ(cgroup_read_first(&cgroup, 2, &last, &reading), 0);
	CHECK_EQ(reading.time_usec, 2);
	CHECK_EQ(reading.usage_bytes, 2000);
	CHECK_EQ(reading.limit_bytes, 4096);
	CHECK_EQ(reading.n_max, 5);
	CHECK_EQ(reading.n_oom_kill, 4);
	CHECK_EQ(cgroup_read_rest(&cgroup, &reading), 0);
	CHECK_EQ(reading.usage_bytes, 2000);
	CHECK_EQ(reading.n_oom_kill, 6);

	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(base);
}

static void test_a_file_that_makes_no_sense_is_named(void)
{
	static char huge[16384];

	memset(huge, '9', sizeof(huge) - 1);
	check_spoilt("memory.usage_in_bytes", "", -EINVAL);
	check_spoilt("memory.usage_in_bytes", "12x\n", -EINVAL);
	check_spoilt("memory.usage_in_bytes", huge, -E2BIG);
	check_spoilt("memory.stat", "", -EINVAL);
	check_spoilt("memory.stat", "total_active_file -1\n", -EINVAL);
	check_spoilt("memory.stat", huge, -E2BIG);

	/* Usage and limit are enough to go on. */
	check_spoilt("memory.failcnt", "", 0);
	check_spoilt("memory.failcnt", huge, 0);
	check_spoilt("memory.oom_control", "nonsense\n", 0);
}

static void test_thresholds_are_v1_only(void)
{
	struct cgroup_root root;
	struct cgroup cgroup;

	CHECK_EQ(cgroup_root_open(data_path("cgroup-v2"), &root), 0);
	CHECK_EQ(cgroup_open_id(&root, "/kubepods", 1, &cgroup), -ENODEV);
	CHECK_EQ(cgroup_open(&root, "/kubepods", &cgroup), 0);
	CHECK(cgroup_events_fd(&cgroup) >= 0);
	CHECK_EQ(cgroup_arm_threshold(&cgroup, 1), -EOPNOTSUPP);
	CHECK_EQ(cgroup_arm_level(&cgroup), -EOPNOTSUPP);
	cgroup_close(&cgroup);
	cgroup_root_close(&root);
}

static void test_nothing_stays_open(void)
{
	const int before = n_open_fds();
	struct reading reading;

	CHECK_EQ(read_group("cgroup-v2", "/kubepods/pod1/ctr", &reading), 0);
	CHECK_EQ(read_group("cgroup-v1", "/docker/abc", &reading), 0);
	CHECK(read_group("cgroup-v2", "/broken.service", &reading) < 0);
	CHECK(read_group("cgroup-v1/unified", "/", &reading) < 0);
	CHECK_EQ(n_open_fds(), before);
}

static void test_a_process_that_never_was_is_gone(void)
{
	struct cgroup_root root;
	char *path = NULL;
	uint64_t id;

	CHECK_EQ(cgroup_root_open(data_path("cgroup-v2"), &root), 0);
	CHECK_EQ(cgroup_of_pid(&root, INT32_MAX, &path, &id), -ESRCH);
	CHECK_EQ(cgroup_of_pid(&root, 0, &path, &id), -ESRCH);
	CHECK_EQ(cgroup_of_pid(&root, -1, &path, &id), -ESRCH);
	CHECK(!path);
	cgroup_root_close(&root);
}

static void test_a_group_that_is_frozen_is_told(void)
{
	char directory[] = "/tmp/memguard-frozen-XXXXXX";
	struct cgroup cgroup = CGROUP_CLOSED;
	struct cgroup_root root;

	CHECK(mkdtemp(directory) != NULL);
	write_file(directory, "cgroup.controllers", "memory\n");
	write_file(directory, "memory.current", "4096\n");
	CHECK_EQ(cgroup_root_open(directory, &root), 0);
	CHECK(!freezer_holds(&root, &cgroup, getpid()));
	CHECK_EQ(cgroup_open(&root, "/", &cgroup), 0);
	CHECK(!freezer_holds(&root, &cgroup, getpid()));
	write_file(directory, "cgroup.events", "populated 1\nfrozen 0\n");
	CHECK(!freezer_holds(&root, &cgroup, getpid()));
	write_file(directory, "cgroup.events", "populated 1\nfrozen 1\n");
	CHECK(freezer_holds(&root, &cgroup, getpid()));
	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(directory);
}

int main(void)
{
	RUN(test_plain_directories_are_known_by_their_files);
	RUN(test_hybrid_is_found_from_the_directory_above_the_mounts);
	RUN(test_directories_without_memory_are_refused);
	RUN(test_v2_reading_takes_every_figure);
	RUN(test_v2_limit_is_the_lowest_of_all_ancestors);
	RUN(test_the_root_of_a_container_has_a_limit_itself);
	RUN(test_without_a_limit_the_machine_is_the_limit);
	RUN(test_more_cache_than_usage_is_no_anonymous_memory);
	RUN(test_v1_reading_takes_every_figure);
	RUN(test_pressure_of_now_is_read_by_itself);
	RUN(test_v1_group_without_a_unified_twin_has_no_pressure);
	RUN(test_groups_that_cannot_be_read_say_so);
	RUN(test_what_is_only_told_can_be_read_later);
	RUN(test_a_file_that_makes_no_sense_is_named);
	RUN(test_thresholds_are_v1_only);
	RUN(test_nothing_stays_open);
	RUN(test_a_process_that_never_was_is_gone);
	RUN(test_a_group_that_is_frozen_is_told);

	return TEST_RESULT();
}
