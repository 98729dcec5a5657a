/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/proc.h"

#include <errno.h>
#include <unistd.h>

#include "tests/unit/test.h"

static const char smaps[] =
	"55d000000000-55d000021000 rw-p 00000000 00:00 0                          [heap]\n"
	"Size:                132 kB\nRss:                 100 kB\nPss:                 100 kB\n"
	"AnonHugePages:        64 kB\n"
	"VmFlags: rd wr mr mw me ac sd\n"
	"7f0000000000-7f0000800000 rw-p 00000000 00:00 0 \n"
	"Rss:                2000 kB\n"
	/* The same arena, split by madvise(). */
	"7f0000800000-7f0000900000 rw-p 00000000 00:00 0 \n"
	"Rss:                  50 kB\n"
	"7f0000900000-7f0004000000 ---p 00000000 00:00 0 \n"
	"Rss:                   0 kB\n"
	/* Anonymous, but where no arena begins. */
	"7f0010100000-7f0010200000 rw-p 00000000 00:00 0 \n"
	"Rss:                9999 kB\nAnonHugePages:      2048 kB\n"
	/* On the boundary, but a file. */
	"7f0014000000-7f0014200000 rw-p 00000000 fd:01 17                 /usr/lib/libc.so.6\n"
	"Rss:                8888 kB\n"
	"7f0018000000-7f0018200000 rw-p 00000000 00:00 0                  [anon: glibc: malloc arena]\n"
	"Rss:                 300 kB\n";

/* As if a quarter of each mapping that is not all resident were at its end, not resident. */
static uint64_t a_quarter(uint64_t begin, uint64_t size)
{
	CHECK(begin % 4096 == 0);
	return size / 4;
}

static uint64_t hollow;

static uint64_t scan(size_t step, uint64_t *ret_huge)
{
	struct proc_smaps state = { .tail_of = a_quarter };
	const size_t size = sizeof(smaps) - 1;

	for (size_t i = 0; i < size; i += step)
		proc_smaps_feed(&state, smaps + i, (uint32_t)(size - i < step ? size - i : step));

	*ret_huge = state.heap_huge;
	hollow = state.hollow + state.tail;
	return state.heap_rss;
}

static void test_break_and_arenas_count_and_nothing_else(void)
{
	uint64_t huge;

	CHECK_EQ(scan(4096, &huge), (100 + 2000 + 50 + 300) * 1024);
	CHECK_EQ(huge, 64 * 1024);
	/* Of the heap in parts the last one, and the other heap; not of the break. */
	CHECK_EQ(hollow, (0x100000 + 0x200000) / 4);
}

static void test_pieces_of_any_size_give_the_same(void)
{
	uint64_t huge;

	for (size_t step = 1; step < 100; step++) {
		CHECK_EQ(scan(step, &huge), (100 + 2000 + 50 + 300) * 1024);
		CHECK_EQ(huge, 64 * 1024);
	}
}

static void test_the_kernel_tells_about_us(void)
{
	CHECK(proc_rss((uint64_t)sysconf(_SC_PAGESIZE)) > 0);
	CHECK_EQ(proc_leader_ended(), 0);
}

static int seccomp_of(const char *text)
{
	int fds[2], mode;

	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	mode = proc_seccomp(fds[0]);
	close(fds[0]);
	return mode;
}

static void test_the_filter_is_found_wherever_its_line_is(void)
{
	char text[4000];

	CHECK_EQ(seccomp_of("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t7\n"), 0);
	CHECK_EQ(seccomp_of("Name:\tx\n\nSeccomp:\t2\n"), 2);
	CHECK_EQ(seccomp_of("Name:\tSeccomp:\t2\n"), -ENODATA);
	CHECK_EQ(seccomp_of("Name:\tx\nSeccomp:\t"), -ENODATA);
	CHECK_EQ(seccomp_of(""), -ENODATA);

	/* Behind a long list of groups, at every place in the buffer. */
	for (size_t n = 900; n < 2200; n++) {
		memset(text, '7', n);
		strcpy(text + n, "\nSeccomp:\t2\n");
		CHECK_EQ(seccomp_of(text), 2);
	}
}

int main(void)
{
	RUN(test_break_and_arenas_count_and_nothing_else);
	RUN(test_pieces_of_any_size_give_the_same);
	RUN(test_the_kernel_tells_about_us);
	RUN(test_the_filter_is_found_wherever_its_line_is);
	return TEST_RESULT();
}
