/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/cgroup-beside: what a group is charged for, by kind. */

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "tests/unit/cgroup-fixture.h"

#define CROWD 700
#define BESIDE 3 /* files that are read besides */

static unsigned int n_opened;

/* Instead of libc's. */
int openat(int fd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list list;

	va_start(list, flags);
	if (flags & O_CREAT)
		mode = va_arg(list, mode_t);
	va_end(list);
	n_opened++;
	return (int)syscall(SYS_openat, fd, path, flags, mode);
}

static char base[64];
static struct cgroup_root root;
static struct cgroup cgroup;

/* In KiB: 100 anonymous, 50 of files of which 20 are shared and 22 on lists. */
static void put(enum group_kind kind, const char *group, const char *procs)
{
	const bool v2 = kind == GROUP_V2;
	char directory[128];

	(void)snprintf(directory, sizeof(directory), "%s%s", base, group);
	(void)mkdir(directory, 0700);
	write_file(directory, v2 ? "memory.current" : "memory.usage_in_bytes", "204800\n");
	write_file(directory, "cgroup.procs", procs);
	write_file(directory, "memory.stat",
		   v2 ? "anon 102400\nfile 51200\nshmem 20480\nswapcached 1024\ninactive_anon 122880\n"
			"active_anon 5120\ninactive_file 10240\nactive_file 12288\n"
			"slab_reclaimable 6144\n"
		      : "cache 1\nrss 1\ntotal_cache 51200\ntotal_rss 102400\ntotal_shmem 20480\n"
			"total_swapcached 1024\ntotal_inactive_anon 122880\ntotal_active_anon 5120\n"
			"total_inactive_file 10240\ntotal_active_file 12288\n");
}

static void begin(enum group_kind kind)
{
	(void)strcpy(base, "/tmp/memguard-beside-XXXXXX");
	CHECK(mkdtemp(base) != NULL);
	put(kind, "", "");
	if (kind == GROUP_V2)
		write_file(base, "cgroup.controllers", "memory\n");
	put(kind, "/a", "1\n20\n300\n");
	CHECK_EQ(cgroup_root_open(base, &root), 0);
	CHECK_EQ(cgroup_open(&root, "/a", &cgroup), 0);
}

static void end(void)
{
	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(base);
}

static void check_kind(enum group_kind kind)
{
	const int n_fds = n_open_fds();
	struct beside beside;
	char directory[128];

	begin(kind);
	CHECK_EQ(cgroup_read_beside(&cgroup, &beside), 0);
	CHECK_EQ(beside.charged_bytes, (kind == GROUP_V2 ? 168 : 174) * KIB);
	CHECK_EQ(beside.anon_bytes, 100 * KIB);
	CHECK_EQ(beside.below_bytes, 0);
	CHECK_EQ(beside.shmem_bytes, 20 * KIB);
	CHECK_EQ(beside.locked_bytes, 7 * KIB);
	/* 200 less 150, what is held (4), and on v2 slabs (6). */
	CHECK_EQ(beside.kernel_bytes, (kind == GROUP_V2 ? 40 : 46) * KIB);
	CHECK_EQ(beside.n_processes, 3);

	put(kind, "/a/x", "");
	put(kind, "/a/y", "7\n");
	CHECK_EQ(cgroup_read_beside(&cgroup, &beside), 0);
	CHECK_EQ(beside.below_bytes, 200 * KIB);
	CHECK_EQ(beside.n_processes, 3);

	/* An old kernel does not say. */
	(void)snprintf(directory, sizeof(directory), "%s/a", base);
	write_file(directory, "memory.stat", "total_active_file 0\ntotal_inactive_file 0\n"
					     "active_file 0\ninactive_file 0\n");
	beside.n_processes = 77;
	CHECK_EQ(cgroup_read_beside(&cgroup, &beside), -EINVAL);
	CHECK_EQ(beside.n_processes, 77);
	end();
	CHECK_EQ(n_open_fds(), n_fds);
}

static void test_v1_charge_is_told_by_kind(void)
{
	check_kind(GROUP_V1);
}

static void test_v2_charge_is_told_by_kind(void)
{
	check_kind(GROUP_V2);
}

/* Each user can make as many below his own as he likes, and ask what they have. */
static void test_of_very_many_groups_below_some_tell_of_all(void)
{
	struct beside beside;
	struct stat st;
	char name[32];

	begin(GROUP_V2);
	for (int i = 0; i < CROWD; i++) {
		(void)snprintf(name, sizeof(name), "/a/%d", i);
		put(GROUP_V2, name, "");
	}
	n_opened = 0;
	CHECK_EQ(cgroup_read_beside(&cgroup, &beside), 0);
	CHECK(n_opened > 200 && n_opened < CROWD / 2);
	/* Some file systems do not count links as those of control groups do. */
	CHECK(fstatat(cgroup.fd, "", &st, AT_EMPTY_PATH) == 0);
	CHECK_EQ(beside.below_bytes,
		 (st.st_nlink == CROWD + 2 ? CROWD : n_opened - BESIDE) * 100 * KIB);
	end();
}

int main(void)
{
	RUN(test_v1_charge_is_told_by_kind);
	RUN(test_v2_charge_is_told_by_kind);
	RUN(test_of_very_many_groups_below_some_tell_of_all);
	return TEST_RESULT();
}
