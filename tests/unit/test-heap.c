/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libhook/heap.h"
#include "libhook/life.h"

#include "tests/unit/test.h"

/* As glibc 2.36 writes it: a main arena with a large top, and a thread arena. */
static const char report[] =
	"<malloc version=\"1\">\n"
	"<heap nr=\"0\">\n<sizes>\n"
	"  <size from=\"17\" to=\"32\" total=\"64\" count=\"2\"/>\n"
	"  <size from=\"65\" to=\"65\" total=\"650\" count=\"10\"/>\n"
	"  <size from=\"8193\" to=\"12288\" total=\"1024000\" count=\"100\"/>\n"
	"  <unsorted from=\"32768\" to=\"65536\" total=\"655360\" count=\"10\"/>\n"
	"</sizes>\n"
	"<total type=\"fast\" count=\"2\" size=\"64\"/>\n"
	"<total type=\"rest\" count=\"111\" size=\"2680010\"/>\n"
	"<system type=\"current\" size=\"4000000\"/>\n"
	"<system type=\"max\" size=\"9000000\"/>\n"
	"<aspace type=\"total\" size=\"4000000\"/>\n"
	"<aspace type=\"mprotect\" size=\"4000000\"/>\n"
	"</heap>\n"
	"<heap nr=\"1\">\n<sizes>\n</sizes>\n"
	"<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
	"<total type=\"rest\" count=\"1\" size=\"500000\"/>\n"
	"<system type=\"current\" size=\"600000\"/>\n"
	"<system type=\"max\" size=\"600000\"/>\n"
	"<aspace type=\"total\" size=\"600000\"/>\n"
	"<aspace type=\"mprotect\" size=\"600000\"/>\n"
	"<aspace type=\"subheaps\" size=\"3\"/>\n"
	"</heap>\n"
	"<total type=\"fast\" count=\"2\" size=\"64\"/>\n"
	"<total type=\"rest\" count=\"112\" size=\"3180010\"/>\n"
	"<total type=\"mmap\" count=\"4\" size=\"8388608\"/>\n"
	"<system type=\"current\" size=\"4600000\"/>\n"
	"<system type=\"max\" size=\"9600000\"/>\n"
	"<aspace type=\"total\" size=\"4600000\"/>\n"
	"<aspace type=\"mprotect\" size=\"4600000\"/>\n"
	"</malloc>\n";

static struct wire_arena rows[HEAP_ROWS_MAX];

/* In pieces of @step bytes, as a stream may write it. */
static struct wire_stats scan(const char *text, size_t size, size_t step, uint32_t *ret_rows)
{
	struct wire_stats stats = { 0 };
	struct heap_scan state = { .page_bytes = 4096, .stats = &stats, .rows = rows };

	for (size_t i = 0; i < size; i += step)
		heap_scan_feed(&state, text + i, (uint32_t)(size - i < step ? size - i : step));

	*ret_rows = state.n_rows;
	return stats;
}

static void test_totals_are_the_arenas_sums(void)
{
	uint32_t n_rows;
	const struct wire_stats stats = scan(report, sizeof(report) - 1, 4096, &n_rows);

	CHECK_EQ(n_rows, 2);
	CHECK_EQ(stats.n_arenas, 2);
	CHECK_EQ(stats.n_heaps, 4);
	CHECK_EQ(stats.system, 4600000);
	CHECK_EQ(stats.free, 2680010 + 64 + 500000);
	CHECK_EQ(stats.mmapped, 8388608);
	CHECK_EQ(stats.n_mmapped, 4);
	CHECK_EQ(stats.unsorted, 655360);
	CHECK_EQ(stats.n_free, 122);
	CHECK_EQ(stats.n_page_free, 110);
}

static void test_the_top_is_what_no_bin_explains(void)
{
	uint32_t n_rows;
	const struct wire_stats stats = scan(report, sizeof(report) - 1, 4096, &n_rows);

	/* Fastbins are listed among the sizes, but are not part of the rest. */
	CHECK_EQ(stats.main_top, 2680010 - 650 - 1024000 - 655360);
	CHECK_EQ(stats.other_tops, 500000);
	CHECK_EQ(rows[1].top, 500000);
	CHECK_EQ(rows[1].n_heaps, 3);
}

static void test_a_chunk_loses_a_page_and_its_header(void)
{
	uint32_t n_rows;
	const struct wire_stats stats = scan(report, sizeof(report) - 1, 4096, &n_rows);
	const uint64_t sized = (1024000 - 100 * (4096 + 31)) / 4096 * 4096;
	const uint64_t unsorted = (655360 - 10 * (4096 + 31)) / 4096 * 4096;

	CHECK_EQ(stats.whole_pages, sized + unsorted);
	CHECK_EQ(stats.largest_pages, sized + unsorted);
	CHECK_EQ(stats.largest_n_page_free, 110);
}

/* Of an arena with one line of sizes, and what is in its fastbins and in use. */
static uint64_t pages_of(const char *sizes, uint64_t fast, uint64_t rest, uint64_t used, int nr)
{
	char text[1000];
	uint32_t n_rows;
	const int n = snprintf(text, sizeof(text),
			       "<heap nr=\"%d\">\n<sizes>\n%s\n</sizes>\n"
			       "<total type=\"fast\" count=\"%llu\" size=\"%llu\"/>\n"
			       "<total type=\"rest\" count=\"9\" size=\"%llu\"/>\n"
			       "<system type=\"current\" size=\"%llu\"/>\n</heap>\n",
			       nr, sizes, (unsigned long long)fast / 64,
			       (unsigned long long)fast, (unsigned long long)rest,
			       (unsigned long long)(fast + rest + used));

	return scan(text, (size_t)n, 4096, &n_rows).whole_pages;
}

static void test_mixed_sizes_lie_between_what_their_mean_allows(void)
{
	uint64_t pages;

	/* All alike, below a page: nothing; all beyond the loss: just that. */
	CHECK_EQ(pages_of("<unsorted from=\"2000\" to=\"2000\" total=\"2000000\" count=\"1000\"/>", 0,
			  2000000, 100000, 1), 0);
	CHECK_EQ(pages_of("<unsorted from=\"5000\" to=\"90000\" total=\"20000000\" count=\"1000\"/>", 0,
			  20000000, 100000, 1), (20000000 - 4127000) / 4096 * 4096);

	/* Of very different sizes some are large: a seventh, where the mean is half a page. */
	pages = pages_of("<unsorted from=\"32\" to=\"65536\" total=\"2000000\" count=\"1000\"/>", 0,
			 2000000, 100000, 1);
	CHECK(pages > 200000 && pages < 400000);

	/* No more than the largest can hold. */
	pages = pages_of("<unsorted from=\"1900\" to=\"4200\" total=\"2000000\" count=\"1000\"/>", 0,
			 2000000, 100000, 1);
	CHECK(pages < 4096);
}

static void test_a_trim_joins_fastbins(void)
{
	uint64_t pages;

	/* One piece in a hundred survived: half lies in runs above a page. */
	pages = pages_of("", 64000000, 0, 640000, 1);
	CHECK(pages > 64000000 / 3 && pages < 64000000 * 2ULL / 3);
	/* One in ten: next to nothing. */
	CHECK(pages_of("", 64000000, 0, 6400000, 1) < 640000);
	/* Nothing: all of it joins the top, which in the main arena goes too. */
	CHECK_EQ(pages_of("", 64000000, 0, 4000, 1), 0);
	CHECK_EQ(pages_of("", 64000000, 0, 4000, 0), 64000000 / 4096 * 4096);
	/* Little is never worth a thought. */
	CHECK_EQ(pages_of("", 640000, 0, 6400, 1), 0);
}

static void test_rows_hold_the_classes(void)
{
	uint32_t n_rows;

	(void)scan(report, sizeof(report) - 1, 4096, &n_rows);
	CHECK_EQ(rows[0].count[0], 12);     /* below a page */
	CHECK_EQ(rows[0].count[2], 100);    /* 10 KiB: 2 to 4 pages */
	CHECK_EQ(rows[0].count[4], 10);     /* 64 KiB: 16 to 64 pages */
	CHECK_EQ(rows[0].bytes[4], 655360);
}

static void test_pieces_of_any_size_give_the_same(void)
{
	uint32_t n_rows;
	const struct wire_stats whole = scan(report, sizeof(report) - 1, 1 << 20, &n_rows);

	for (size_t step = 1; step < 64; step++) {
		const struct wire_stats stats = scan(report, sizeof(report) - 1, step, &n_rows);

		CHECK(memcmp(&stats, &whole, sizeof(stats)) == 0);
	}
}

static void test_more_arenas_than_rows_still_count(void)
{
	struct wire_stats stats = { 0 };
	struct heap_scan state = { .page_bytes = 4096, .stats = &stats, .rows = rows };
	static const char arena[] = "<heap nr=\"7\">\n<system type=\"current\" size=\"10\"/>\n</heap>\n";

	for (int i = 0; i < HEAP_ROWS_MAX + 50; i++)
		heap_scan_feed(&state, arena, sizeof(arena) - 1);

	CHECK_EQ(state.n_rows, HEAP_ROWS_MAX);
	CHECK_EQ(stats.n_arenas, HEAP_ROWS_MAX + 50);
	CHECK_EQ(stats.system, 10 * (HEAP_ROWS_MAX + 50));
}

static void test_nonsense_is_survived(void)
{
	static const char nonsense[] =
		"<heap nr=\"99999999999999999999999\">\n<size total=\"5\" count=\"0\"/>\n"
		"<size total=\"18446744073709551615\" count=\"18446744073709551615\"/>\n</heap>\n"
		"<total type=\"mmap\"\n<<<>>>\n";
	uint32_t n_rows;
	char line[5000];

	(void)scan(nonsense, sizeof(nonsense) - 1, 7, &n_rows);
	memset(line, 'x', sizeof(line));
	(void)scan(line, sizeof(line), 100, &n_rows);
	CHECK_EQ(n_rows, 0);
}

static _Thread_local bool is_programs;
static int n_programs_calls;

/* What the hook calls instead of libc's. */
long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	long args[3];
	va_list list;

	/* None that this part of it makes has more. */
	va_start(list, number);
	for (int i = 0; i < 3; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (is_programs)
		n_programs_calls++;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	return real(number, args[0], args[1], args[2]);
}

static void *flush_all(void *arg)
{
	is_programs = true;
	fflush(NULL);
	return arg;
}

static bool flushes, forks;
static int child_status;

/* On the same thread, whose errno is where it was. */
static void fork_and_flush(void)
{
	pid_t child;

	/* What the test has said itself is not to be said twice. */
	fflush(stdout);
	child = fork();
	if (child == 0) {
		n_programs_calls = 0;
		flush_all(NULL);
		_exit(n_programs_calls);
	}
	CHECK(waitpid(child, &child_status, 0) == child);
}

/* What the hook calls instead of glibc's: half of it is in the stream when the program comes. */
int malloc_info(int options, FILE *stream)
{
	const size_t half = sizeof(report) / 2;
	pthread_t thread;

	(void)fwrite(report, 1, half, stream);
	if (flushes && pthread_create(&thread, NULL, flush_all, NULL) == 0)
		(void)pthread_join(thread, NULL);
	if (forks)
		fork_and_flush();
	(void)fwrite(report + half, 1, sizeof(report) - 1 - half, stream);
	return options;
}

static void test_a_flush_of_all_streams_spoils_a_report_without_a_call(void)
{
	struct wire_stats stats = { 0 };

	CHECK(heap_prepare());
	CHECK(heap_read(4096, &stats));
	CHECK_EQ(stats.n_arenas, 2);

	flushes = true;
	stats = (struct wire_stats){ 0 };
	CHECK(!heap_read(4096, &stats));
	CHECK_EQ(n_programs_calls, 0);

	flushes = false;
	stats = (struct wire_stats){ 0 };
	CHECK(heap_read(4096, &stats));
	CHECK_EQ(stats.n_arenas, 2);
}

/* Row 28 of the hazards: it may be under a filter. */
static void test_nor_does_a_child_that_flushes_them_make_one(void)
{
	struct wire_stats stats = { 0 };

	forks = true;
	child_status = -1;
	CHECK(heap_read(4096, &stats));
	CHECK_EQ(stats.n_arenas, 2);
	CHECK_EQ(child_status, 0);
	forks = false;
}

int main(void)
{
	life_prepare((uint32_t)sysconf(_SC_PAGESIZE));

	RUN(test_totals_are_the_arenas_sums);
	RUN(test_the_top_is_what_no_bin_explains);
	RUN(test_a_chunk_loses_a_page_and_its_header);
	RUN(test_mixed_sizes_lie_between_what_their_mean_allows);
	RUN(test_a_trim_joins_fastbins);
	RUN(test_rows_hold_the_classes);
	RUN(test_pieces_of_any_size_give_the_same);
	RUN(test_more_arenas_than_rows_still_count);
	RUN(test_nonsense_is_survived);
	RUN(test_a_flush_of_all_streams_spoils_a_report_without_a_call);
	RUN(test_nor_does_a_child_that_flushes_them_make_one);
	return TEST_RESULT();
}
