/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/heap.h"
#include "libhook/life.h"
#include "libhook/mem.h"

/* Where a line ends at most; the rest of a longer one is dropped. */
#define LINE_LAST 255U

/* Below it what is in an arena's fastbins makes no difference. */
#define FAST_LEAST (1U << 20)

/* What an arena has in use without its program having anything there: caches, streams. */
#define USED_LEAST (64U << 10)

static struct {
	FILE *stream;
	bool spoiled; /* somebody else flushed the stream meanwhile: the report has a hole */
	char buffer[4096];
	struct wire_arena rows[HEAP_ROWS_MAX];
	uint32_t n_arenas; /* of the last report */
	struct heap_scan scan;
} heap;

/* The value of attribute @name in an element, 0 when it has none. */
static uint64_t attribute(const char *line, const char *name)
{
	const char *s = line;

	while ((s = text_find(s, name))) {
		s += text_length(name);
		if (s[0] == '=' && s[1] == '"') {
			s += 2;
			return text_number(&s, 10);
		}
	}

	return 0;
}

/* By size in pages: below 1, then up to 2, 4, 16, 64, 256, and above. */
static unsigned int class_of(uint64_t bytes, uint64_t page_bytes)
{
	static const unsigned short bounds[WIRE_CLASSES - 1] = { 1, 2, 4, 16, 64, 256 };
	unsigned int i = 0;

	while (i < WIRE_CLASSES - 1 && bytes >= bounds[i] * page_bytes)
		i++;

	return i;
}

/* 48 bytes of header, and parts of pages at both ends: what a chunk loses of its pages. */
#define LOST(page_bytes) ((page_bytes) + 31)

/*
 * Whole pages inside @total bytes of chunks that came about by the random end of their
 * neighbours: exp(-lost / mean) of it, here as (1 + x / 16)^-16. @mean is at most 1024 * LOST.
 */
static uint64_t spread_pages(uint64_t page_bytes, uint64_t total, uint64_t mean)
{
	const uint64_t lost = LOST(page_bytes), whole = 16 * mean + lost;

	if (mean > 1024 * lost)
		return total;

	for (int i = 0; i < 16; i++)
		total = total / whole * (16 * mean) + total % whole * (16 * mean) / whole;

	return total;
}

/*
 * Whole pages inside @count chunks of together @total bytes, none smaller than @from nor
 * larger than @to. A chunk loses 48 bytes of header and, at both ends, parts of pages. Above
 * that size the loss is the same for each, so the sum is exact; below it there are none.
 * Where sizes lie on both sides only the mean is known: between the least that this can mean
 * (all alike) and the most (some of the largest, all others of the smallest) chunks that came
 * about by the random end of their neighbours are assumed.
 */
static uint64_t whole_pages(uint64_t page_bytes, uint64_t total, uint64_t count, uint64_t from,
			    uint64_t to)
{
	const uint64_t lost = LOST(page_bytes), mean = total / count;
	const uint64_t least = mean > lost ? total - count * lost : 0;
	uint64_t most, guess;

	/* Of very large ones so few lie below that it does not matter. */
	if (from >= lost || to <= lost || to <= from || mean < from || mean > to ||
	    mean > 1024 * lost)
		return least;

	guess = spread_pages(page_bytes, total, mean);
	most = (mean - from) * count / (to - from) * (to - lost);
	if (guess > most)
		guess = most;

	return guess < least ? least : guess;
}

/* One bin: <size from= to= total= count=> or <unsorted ...>. */
static void scan_bin(struct heap_scan *scan, const char *line, bool unsorted)
{
	const uint64_t total = attribute(line, " total"), count = attribute(line, " count");
	unsigned int class;
	uint64_t pages;

	if (count == 0 || total / count == 0)
		return;

	class = class_of(total / count, scan->page_bytes);
	scan->arena.bytes[class] += total;
	scan->arena.count[class] += (uint32_t)count;
	scan->arena_bins += total;
	scan->stats->n_free += (uint32_t)count;
	scan->arena_free += (uint32_t)count;
	pages = whole_pages(scan->page_bytes, total, count, attribute(line, " from"),
			    attribute(line, " to")) /
		scan->page_bytes;
	scan->arena.whole_pages += pages * scan->page_bytes;
	scan->arena_page_free += (uint32_t)(pages < count ? pages : count);
	if (unsorted) {
		scan->arena.unsorted += total;
		scan->arena.n_unsorted += (uint32_t)count;
	}
}

/* Fastbins are listed among the sizes too; only their sum below tells them apart. */
static void scan_total(struct heap_scan *scan, const char *line)
{
	if (text_find(line, "\"fast\"")) {
		scan->arena_fast = attribute(line, " size");
		scan->arena_n_fast = attribute(line, " count");
	} else if (text_find(line, "\"rest\"")) {
		scan->arena_rest = attribute(line, " size");
	}
}

static void arena_begin(struct heap_scan *scan, const char *line)
{
	scan->in_arena = true;
	scan->arena = (struct wire_arena){ .nr = (uint32_t)attribute(line, " nr"), .n_heaps = 1 };
	scan->arena_bins = scan->arena_fast = scan->arena_n_fast = scan->arena_rest = 0;
	scan->arena_page_free = scan->arena_free = 0;
}

/*
 * A trim first joins what lies in fastbins with what is free beside it. With survivors spread
 * at random, runs of it are as long as one piece over the share of survivors, in the mean; the
 * last run joins the top.
 */
static void scan_fast(struct heap_scan *scan)
{
	struct wire_arena *arena = &scan->arena;
	const uint64_t fast = scan->arena_fast, n = scan->arena_n_fast;
	const uint64_t used = arena->system > arena->free ? arena->system - arena->free : 0;
	uint64_t mean, pages;

	if (fast < FAST_LEAST || n == 0)
		return;
	/* Nothing is left but what every thread has: all of it joins the top. */
	if (used < USED_LEAST) {
		arena->whole_pages += arena->nr == 0 ? fast / scan->page_bytes * scan->page_bytes : 0;
		return;
	}

	/* 0 where the report contradicts itself: more of them than bytes, or sums without bounds. */
	mean = fast / n * (fast / used + 1);
	if (mean == 0 || mean > fast / 2)
		return;

	pages = spread_pages(scan->page_bytes, fast, mean) / scan->page_bytes;
	arena->whole_pages += pages * scan->page_bytes;
	scan->arena_page_free += (uint32_t)(pages < fast / mean ? pages : fast / mean);
}

static void arena_end(struct heap_scan *scan)
{
	struct wire_stats *stats = scan->stats;
	struct wire_arena *arena = &scan->arena;
	/* Since 2.31 the rest includes the top; before, it does not, and the top reads as 0. */
	const uint64_t sorted = scan->arena_bins > scan->arena_fast ?
					scan->arena_bins - scan->arena_fast : 0;

	arena->top = scan->arena_rest > sorted ? scan->arena_rest - sorted : 0;
	arena->free = scan->arena_rest + scan->arena_fast;
	scan_fast(scan);

	stats->n_arenas++;
	stats->n_heaps += arena->n_heaps;
	stats->system += arena->system;
	stats->free += arena->free;
	stats->whole_pages += arena->whole_pages;
	stats->unsorted += arena->unsorted;
	stats->n_page_free += scan->arena_page_free;
	if (arena->nr == 0)
		stats->main_top += arena->top;
	else
		stats->other_tops += arena->top;
	if (arena->whole_pages > stats->largest_pages)
		stats->largest_pages = arena->whole_pages;
	if (scan->arena_page_free > stats->largest_n_page_free)
		stats->largest_n_page_free = scan->arena_page_free;
	if (scan->arena_free > stats->largest_n_free)
		stats->largest_n_free = scan->arena_free;
	if (arena->unsorted > stats->largest_unsorted)
		stats->largest_unsorted = arena->unsorted;

	if (scan->n_rows < HEAP_ROWS_MAX)
		scan->rows[scan->n_rows++] = *arena;
	scan->in_arena = false;
}

static void scan_arena_line(struct heap_scan *scan, const char *line)
{
	if (text_after(line, "</heap"))
		arena_end(scan);
	else if (text_after(line, "<size "))
		scan_bin(scan, line, false);
	else if (text_after(line, "<unsorted "))
		scan_bin(scan, line, true);
	else if (text_after(line, "<total "))
		scan_total(scan, line);
	else if (text_after(line, "<system type=\"current\""))
		scan->arena.system = attribute(line, " size");
	else if (text_after(line, "<aspace type=\"subheaps\""))
		scan->arena.n_heaps = (uint32_t)attribute(line, " size");
}

static void scan_line(struct heap_scan *scan)
{
	const char *line = scan->line;

	while (*line == ' ')
		line++;

	if (text_after(line, "<heap "))
		arena_begin(scan, line);
	else if (scan->in_arena)
		scan_arena_line(scan, line);
	else if (text_after(line, "<total type=\"mmap\"")) {
		scan->stats->n_mmapped = (uint32_t)attribute(line, " count");
		scan->stats->mmapped = attribute(line, " size");
	}
}

void heap_scan_feed(struct heap_scan *scan, const char *text, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		if (text[i] == '\n') {
			scan->line[scan->length] = '\0';
			scan->length = 0;
			scan_line(scan);
		} else if (scan->length < LINE_LAST) {
			scan->line[scan->length++] = text[i];
		}
	}
}

/*
 * Without a call: a filter may have come in the middle of the report. A new thread of a forked child may
 * have its errno in the same place, but not in the same life.
 */
static bool is_reader(void)
{
	return __atomic_load_n(&life.reader, __ATOMIC_ACQUIRE) == &errno && life.reader_id == life_id();
}

static ssize_t on_write(void *cookie, const char *text, size_t size)
{
	/*
	 * The program flushes all streams in fflush(NULL), at exit and in a forked child,
	 * on threads of its own: nothing may be touched there, and no call made.
	 */
	if (is_reader())
		heap_scan_feed(cookie, text, (uint32_t)size);
	else
		__atomic_store_n(&heap.spoiled, true, __ATOMIC_RELEASE);

	return (ssize_t)size;
}

bool heap_prepare(void)
{
	if (heap.stream)
		return true;
	if (!fopencookie || !malloc_info || !setvbuf || !fflush)
		return false;

	heap.stream = fopencookie(&heap.scan, "w", (cookie_io_functions_t){ .write = on_write });
	if (!heap.stream)
		return false;

	(void)setvbuf(heap.stream, heap.buffer, _IOFBF, sizeof(heap.buffer));
	return true;
}

bool heap_read(uint32_t page_bytes, struct wire_stats *stats)
{
	int r;

	if (!heap.stream)
		return false;

	/* Text that a fork cut off in the middle of a report. */
	__atomic_store_n(&life.reader, NULL, __ATOMIC_RELEASE);
	(void)fflush(heap.stream);

	heap.scan = (struct heap_scan){
		.page_bytes = page_bytes,
		.stats = stats,
		.rows = heap.rows,
	};
	__atomic_store_n(&heap.spoiled, false, __ATOMIC_RELEASE);
	life.reader_id = life_id();
	__atomic_store_n(&life.reader, &errno, __ATOMIC_RELEASE);
	r = malloc_info(0, heap.stream);
	(void)fflush(heap.stream);
	__atomic_store_n(&life.reader, NULL, __ATOMIC_RELEASE);
	if (r != 0 || stats->n_arenas == 0 || __atomic_load_n(&heap.spoiled, __ATOMIC_ACQUIRE))
		return false;

	heap.n_arenas = stats->n_arenas;
	stats->in_use = stats->system > stats->free ? stats->system - stats->free : 0;
	return true;
}

const struct wire_arena *heap_rows(void)
{
	return heap.rows;
}

uint32_t heap_n_rows(void)
{
	return heap.scan.n_rows;
}

uint32_t heap_n_arenas(void)
{
	return heap.n_arenas;
}
