/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sense/cgroup-swap: how much a group may swap out, and what the kernel is asked for then. */

#include <fcntl.h>
#include <sys/sysinfo.h>

#include "agent/basic/clock.h"
#include "tests/unit/cgroup-fixture.h"

static uint64_t free_bytes;

/* Instead of libc's. */
int sysinfo(struct sysinfo *info)
{
	*info = (struct sysinfo){ .totalram = 1UL << 30, .freeswap = free_bytes / 4096, .mem_unit = 4096 };
	return 0;
}

static char base[64];
static struct cgroup_root root;
static struct cgroup cgroup;

static void put(const char *group, const char *max, const char *current)
{
	char directory[128];

	(void)snprintf(directory, sizeof(directory), "%s%s", base, group);
	(void)mkdir(directory, 0700);
	write_file(directory, "memory.current", "1\n");
	write_file(directory, "memory.reclaim", "");
	if (max)
		write_file(directory, "memory.swap.max", max);
	if (current)
		write_file(directory, "memory.swap.current", current);
}

static void begin(void)
{
	(void)strcpy(base, "/tmp/memguard-swap-XXXXXX");
	CHECK(mkdtemp(base) != NULL);
	write_file(base, "cgroup.controllers", "memory\n");
	write_file(base, "memory.stat", "anon 0\n");
	put("/a", NULL, NULL);
	put("/a/b", NULL, NULL);
	CHECK_EQ(cgroup_root_open(base, &root), 0);
	CHECK_EQ(root.kind, GROUP_V2);
	CHECK_EQ(cgroup_open(&root, "/a/b", &cgroup), 0);
	free_bytes = 100 * MIB;
}

static void end(void)
{
	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	remove_tree(base);
}

static struct swap swap_now(void)
{
	struct swap swap = { .room_bytes = 77 };

	CHECK_EQ(cgroup_read_swap(&cgroup, &swap), 0);
	return swap;
}

static void test_the_room_is_the_least_of_all(void)
{
	begin();
	/* A kernel without swap has no such files. */
	CHECK_EQ(swap_now().room_bytes, 100 * MIB);
	CHECK_EQ(swap_now().used_bytes, 0);

	put("/a", "max\n", "20971520\n");
	put("/a/b", "max\n", "10485760\n");
	CHECK_EQ(swap_now().room_bytes, 100 * MIB);
	CHECK_EQ(swap_now().used_bytes, 10 * MIB);

	put("/a/b", "31457280\n", "10485760\n");
	CHECK_EQ(swap_now().room_bytes, 20 * MIB);
	put("/a", "23068672\n", "20971520\n");
	CHECK_EQ(swap_now().room_bytes, 2 * MIB);
	/* A limit may be lower than what is there. */
	put("/a", "1048576\n", "20971520\n");
	CHECK_EQ(swap_now().room_bytes, 0);

	put("/a", "max\n", "20971520\n");
	put("/a/b", "max\n", "10485760\n");
	free_bytes = 0;
	CHECK_EQ(swap_now().room_bytes, 0);
	CHECK_EQ(swap_now().used_bytes, 10 * MIB);
	end();
}

static void test_nonsense_is_refused(void)
{
	struct swap swap = { .room_bytes = 77 };

	begin();
	put("/a", "max\n", "many\n");
	CHECK_EQ(cgroup_read_swap(&cgroup, &swap), -EINVAL);
	put("/a", "\n", "1\n");
	CHECK_EQ(cgroup_read_swap(&cgroup, &swap), -EINVAL);
	CHECK_EQ(swap.room_bytes, 77);
	end();
}

static void test_an_old_kernel_has_no_such_file(void)
{
	int fd;

	begin();
	CHECK(swap_now().has_reclaim);
	fd = cgroup_open_reclaim(&cgroup);
	CHECK(fd >= 0);
	(void)close(fd);
	CHECK_EQ(unlinkat(cgroup.fd, "memory.reclaim", 0), 0);
	CHECK(!swap_now().has_reclaim);
	CHECK_EQ(cgroup_open_reclaim(&cgroup), -ENOENT);

	cgroup.kind = GROUP_V1;
	CHECK(!swap_now().has_reclaim);
	CHECK_EQ(swap_now().room_bytes, 0);
	CHECK_EQ(cgroup_open_reclaim(&cgroup), -EOPNOTSUPP);
	end();
}

/* What this kernel refuses to understand; NULL: nothing. */
static const char *unknown;
static unsigned int n_written;
static char written[256];
static int error;

ssize_t write(int fd, const void *text, size_t size)
{
	(void)fd;
	if (unknown && memmem(text, size, unknown, strlen(unknown))) {
		errno = EINVAL;
		return -1;
	}

	n_written++;
	strncat(written, text, size);
	strcat(written, ";");
	if (error > 0) {
		errno = error;
		return -1;
	}

	return (ssize_t)size;
}

static void check_words(const char *not_known, const char *words)
{
	unknown = not_known;
	written[0] = '\0';
	CHECK_EQ(cgroup_reclaim(-1, 10 * MIB, USEC_INFINITY), 0);
	CHECK_STR(written, words);
	unknown = NULL;
}

static void test_it_is_asked_for_in_slices_and_in_words_that_are_known(void)
{
	check_words(NULL, "4194304 swappiness=max;4194304 swappiness=max;2097152 swappiness=max;");
	check_words("max", "4194304 swappiness=200;4194304 swappiness=200;2097152 swappiness=200;");
	check_words(" ", "4194304;4194304;2097152;");
}

static void test_it_ends_in_time(void)
{
	written[0] = '\0';
	CHECK_EQ(cgroup_reclaim(-1, 10 * MIB, clock_now_usec()), -ETIME);
	CHECK_STR(written, "");
	CHECK_EQ(cgroup_reclaim(-1, 0, clock_now_usec()), 0);
}

static void test_a_refusal_ends_it(void)
{
	written[0] = '\0';
	n_written = 0;
	error = EAGAIN;
	CHECK_EQ(cgroup_reclaim(-1, 10 * MIB, USEC_INFINITY), -EAGAIN);
	CHECK_EQ(n_written, 1);
	error = EINVAL;
	n_written = 0;
	CHECK_EQ(cgroup_reclaim(-1, 10 * MIB, USEC_INFINITY), -EINVAL);
	CHECK_EQ(n_written, 3);
	error = 0;
}

int main(void)
{
	RUN(test_the_room_is_the_least_of_all);
	RUN(test_nonsense_is_refused);
	RUN(test_an_old_kernel_has_no_such_file);
	RUN(test_it_is_asked_for_in_slices_and_in_words_that_are_known);
	RUN(test_it_ends_in_time);
	RUN(test_a_refusal_ends_it);
	return TEST_RESULT();
}
