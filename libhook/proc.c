/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/anchor.h"
#include "libhook/apart.h"
#include "libhook/mem.h"
#include "libhook/proc.h"

/* glibc's HEAP_MAX_SIZE on 64-bit systems: arenas of threads begin on such a boundary. */
#define ARENA_ALIGN (UINT64_C(64) << 20)

/* Resident at the end of a top that is not: its header, and the pad it keeps (128 KiB). */
#define HEADER_PAGES 33

/* Documentation/admin-guide/mm/pagemap.rst of the kernel: the page is in swap. */
#define PAGE_SWAPPED_BIT 62

/*
 * What is read time and again, kept open: to open it takes memory of the kernel, which at a
 * memory limit ends the program. Descriptor + 1; 0 is none. In the agent's table.
 */
static struct {
	int stat, statm, status;
	int pages; /* from when it was first asked for */
} kept;

static struct {
	bool (*may_call)(void *arg);
	void *arg;
} guard;

void proc_set_guard(bool (*may_call)(void *arg), void *arg)
{
	guard.may_call = may_call;
	guard.arg = arg;
}

static bool may_call(void)
{
	return !guard.may_call || guard.may_call(guard.arg);
}

/* Reads all of a small file into @buf and terminates it. */
static int read_small(const char *path, int open_fd, char *buf, size_t size)
{
	size_t n = 0;
	int fd = open_fd;

	if (!apart_is_ours())
		return -EBADF;
	if (fd < 0)
		fd = apart_open(path);
	else
		(void)SYS(SYS_lseek, fd, 0L, SEEK_SET);
	if (fd < 0)
		return fd;

	while (n < size - 1) {
		long r = sys_read(fd, buf + n, size - 1 - n);

		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}

	if (open_fd < 0)
		apart_close(fd);
	buf[n] = '\0';
	return n > 0 ? 0 : -EIO;
}

bool proc_keep_open(void)
{
	const int stat = apart_open("/proc/self/stat"), statm = apart_open("/proc/self/statm");
	const int status = apart_open("/proc/self/status"), smaps = apart_open("/proc/self/smaps");

	kept.stat = stat < 0 ? 0 : stat + 1;
	kept.statm = statm < 0 ? 0 : statm + 1;
	kept.status = status < 0 ? 0 : status + 1;
	kept.pages = 0;
	if (smaps >= 0)
		apart_close(smaps);
	/* Every process may read these of itself, unless a security module confines it. */
	if (stat == -EACCES || statm == -EACCES || status == -EACCES || smaps == -EACCES)
		return false;

	/* With the first read the kernel takes a buffer. */
	(void)proc_leader_ended();
	(void)proc_rss(1);
	(void)proc_leader_seccomp();
	return true;
}

int proc_leader_ended(void)
{
	const char *s, *state = NULL;
	char text[512];

	if (read_small("/proc/self/stat", kept.stat - 1, text, sizeof(text)) < 0)
		return 0;

	/* "PID (NAME) STATE ...": the name may hold anything, but nothing after it does. */
	for (s = text; *s != '\0'; s++)
		if (s[0] == ')' && s[1] == ' ')
			state = s + 2;

	return state && *state == 'Z';
}

/*
 * The number behind @key, which begins with a newline, of the status @fd is, from where it
 * stands. -ENODATA: there is none. The list of groups before it may have any length: letter by
 * letter.
 */
static int64_t status_number(int fd, const char *key, size_t length)
{
	size_t n_matched = 0;
	bool begun = false;
	int64_t number = 0;
	char text[1024];

	for (;;) {
		const long n = sys_read(fd, text, sizeof(text));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int64_t)n : -ENODATA;
		for (long i = 0; i < n; i++) {
			const char c = text[i];

			if (n_matched < length) {
				if (c != key[n_matched])
					n_matched = 0;
				n_matched += c == key[n_matched];
			} else if (c >= '0' && c <= '9' && number < INT64_MAX / 16) {
				number = number * 10 + (c - '0');
				begun = true;
			} else if (begun || c != ' ') {
				return begun ? number : -ENODATA;
			}
		}
	}
}

int proc_seccomp(int fd)
{
	static const char key[] = "\nSeccomp:\t";

	return (int)status_number(fd, key, sizeof(key) - 1);
}

uint64_t proc_sleeps(int fd)
{
	static const char key[] = "\nvoluntary_ctxt_switches:\t";
	int64_t n;

	if (!apart_is_ours())
		return 0;

	(void)SYS(SYS_lseek, fd, 0L, SEEK_SET);
	n = status_number(fd, key, sizeof(key) - 1);
	(void)SYS(SYS_lseek, fd, 0L, SEEK_SET);
	return n > 0 ? (uint64_t)n : 0;
}

/* Of this process, from the beginning; -1: it cannot be opened. */
static int begin_status(void)
{
	if (!apart_is_ours())
		return -EBADF;
	if (kept.status == 0)
		return apart_open("/proc/self/status");

	(void)SYS(SYS_lseek, kept.status - 1, 0L, SEEK_SET);
	return kept.status - 1;
}

static void end_status(int fd)
{
	if (kept.status == 0)
		apart_close(fd);
}

int proc_leader_seccomp(void)
{
	const int fd = begin_status();
	int mode;

	if (fd < 0)
		return fd;

	mode = proc_seccomp(fd);
	end_status(fd);
	return mode;
}

/* Of a line of the status in KiB; 0 where there is none. */
static uint64_t status_bytes(const char *key, size_t length)
{
	const int fd = begin_status();
	int64_t kib;

	if (fd < 0)
		return 0;

	kib = status_number(fd, key, length);
	end_status(fd);
	return kib > 0 ? (uint64_t)kib * 1024 : 0;
}

uint64_t proc_swapped(void)
{
	static const char key[] = "\nVmSwap:\t";

	return status_bytes(key, sizeof(key) - 1);
}

uint64_t proc_locked(void)
{
	static const char key[] = "\nVmLck:\t";

	return status_bytes(key, sizeof(key) - 1);
}

/* Stays open: should a filter come meanwhile, there is nothing to be closed under it. */
bool proc_open_pages(void)
{
	int fd;

	if (kept.pages == 0) {
		fd = apart_open("/proc/self/pagemap");
		kept.pages = fd < 0 ? 0 : fd + 1;
	}

	return kept.pages > 0;
}

uint64_t proc_swapped_pages(uint64_t begin, uint64_t n_pages)
{
	uint64_t words[128], n_swapped = 0;
	const int fd = kept.pages - 1;

	while (n_pages > 0) {
		const uint64_t n = n_pages < 128 ? n_pages : 128;
		const long size = SYS(SYS_pread64, fd, words, n * sizeof(*words), begin * sizeof(*words));

		if (size != (long)(n * sizeof(*words)))
			break;
		for (uint64_t i = 0; i < n; i++)
			n_swapped += words[i] >> PAGE_SWAPPED_BIT & 1;
		begin += n;
		n_pages -= n;
	}

	return n_swapped;
}

/* "         0          0 4294967295": from which number on here, from which outside, how many. */
bool proc_knows_users(void)
{
	char text[128];
	const char *s = text;
	uint64_t numbers[3];

	if (read_small("/proc/self/uid_map", -1, text, sizeof(text)) < 0)
		return false;

	for (int i = 0; i < 3; i++) {
		while (*s == ' ')
			s++;
		numbers[i] = text_number(&s, 10);
	}

	return numbers[0] == 0 && numbers[1] == 0 && numbers[2] == UINT32_MAX;
}

uint64_t proc_rss(uint64_t page_bytes)
{
	char text[128];
	const char *s = text;

	if (read_small("/proc/self/statm", kept.statm - 1, text, sizeof(text)) < 0)
		return 0;

	(void)text_number(&s, 10);
	if (*s++ != ' ')
		return 0;

	return text_number(&s, 10) * page_bytes;
}

/*
 * The kernel joins a heap with a mapping below it that has MAP_NORESERVE as well (all have under
 * vm.overcommit_memory=2). Only a heap with an anchor is seen then. One that is filled and
 * joined with a mapping above it is taken for larger than it is.
 */
static bool is_joined(struct proc_smaps *scan, uint64_t begin, uint64_t end)
{
	const uint64_t heap = (begin | (ARENA_ALIGN - 1)) + 1;

	return heap < end && scan->begins_at && scan->begins_at((uintptr_t)heap);
}

/* Where thread arenas begin; what else begins there on purpose: heaps of JVMs, and of Go. */
static bool begins_arena(struct proc_smaps *scan, uint64_t begin)
{
	return begin % ARENA_ALIGN == 0 && !(scan->is_no_heap && scan->is_no_heap((uintptr_t)begin));
}

/* "7f0000000000-7f0000021000 rw-p 00000000 00:00 0      [heap]": is it an arena's? */
static int is_heap(struct proc_smaps *scan, const char *line)
{
	const char *s = line;
	uint64_t begin = text_number(&s, 16), end;
	bool arena, unnamed;

	if (*s++ != '-')
		return 0;
	end = text_number(&s, 16);
	if (!text_after(s, " rw-p 00000000 00:00 0"))
		return 0;
	/* What is above its top is the main arena's own to give back. */
	scan->size = 0;
	scan->joined = false;
	if (text_find(s, "[heap]"))
		return 1;

	/* "[anon: glibc: malloc arena]" where glibc.mem.decorate_maps is on; else unnamed. */
	unnamed = !text_find(s, "[") && !text_find(s, "/");
	arena = text_find(s, "glibc: malloc arena") ||
		(unnamed && (begin == scan->expected || begins_arena(scan, begin)));
	scan->joined = !arena && unnamed && is_joined(scan, begin, end);
	if (scan->joined) {
		begin = (begin | (ARENA_ALIGN - 1)) + 1;
		arena = true;
	}
	if (arena) {
		scan->begin = begin;
		scan->size = end - begin;
		if (begin % ARENA_ALIGN == 0) {
			scan->hollow += scan->tail;
			scan->tail = 0;
		}
	}
	/* A heap split in parts (by madvise) goes on within its 64 MiB. */
	scan->expected = arena && end % ARENA_ALIGN != 0 ? end : 0;
	return arena;
}

static uint64_t kib_after(const char *s, const char *name)
{
	s = text_after(s, name);
	while (*s == ' ')
		s++;

	return text_number(&s, 10) * 1024;
}

/* Of a heap in parts the last one counts, and those before it that it leaves nothing of. */
static void heap_rss(struct proc_smaps *scan, uint64_t rss)
{
	uint64_t tail;

	if (scan->joined)
		rss = scan->resident_of ? scan->resident_of(scan->begin, scan->size) : 0;
	scan->heap_rss += rss;
	if (scan->size == 0 || !scan->tail_of)
		return;

	tail = rss >= scan->size ? 0
	       : rss == 0	 ? scan->size
				 : scan->tail_of(scan->begin, scan->size);
	scan->tail = tail == scan->size ? scan->tail + tail : tail;
}

static void tell_heap(const struct proc_smaps *scan, const char *s)
{
	const uint64_t begin = text_number(&s, 16);

	s++;
	scan->heap_at(scan->joined ? scan->begin : begin, text_number(&s, 16), scan->arg);
}

static void smaps_line(struct proc_smaps *scan)
{
	const char *s = scan->line;
	bool field = s[0] >= 'A' && s[0] <= 'Z';

	if (!field) {
		scan->in_heap = is_heap(scan, s);
		if (scan->in_heap && scan->heap_at)
			tell_heap(scan, s);
		return;
	}

	if (!scan->in_heap)
		return;

	if (text_after(s, "Rss:"))
		heap_rss(scan, kib_after(s, "Rss:"));
	else if (scan->joined)
		return; /* Whose they are is not told. */
	else if (text_after(s, "AnonHugePages:"))
		scan->heap_huge += kib_after(s, "AnonHugePages:");
	else if (text_after(s, "Swap:"))
		scan->heap_swap += kib_after(s, "Swap:");
}

void proc_smaps_feed(struct proc_smaps *scan, const char *text, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		if (text[i] != '\n') {
			/* A path may be longer than any line we look at: keep the beginning. */
			if (scan->length < sizeof(scan->line) - 1)
				scan->line[scan->length++] = text[i];
			continue;
		}
		scan->line[scan->length] = '\0';
		smaps_line(scan);
		scan->length = 0;
	}
}

/*
 * Bytes near the end of a mapping that are not resident: of a top. Its own header may be
 * behind them, where a large block was freed in front of it. The kernel looks at its own
 * tables; where the mapping is gone meanwhile it says so, and nothing is read.
 */
static uint64_t hollow_tail(uint64_t begin, uint64_t size)
{
	const uint64_t page = getauxval ? getauxval(AT_PAGESZ) : 0;
	uint64_t n_hollow = 0, n_header = 0, left;
	unsigned char pages[1024];

	if (page == 0 || !may_call())
		return 0;

	for (left = size / page; left > 0;) {
		uint64_t n = left < sizeof(pages) ? left : sizeof(pages);

		left -= n;
		if (sys_mincore(begin + left * page, n * page, pages) < 0)
			break;
		while (n-- > 0)
			if ((pages[n] & 1) == 0)
				n_hollow++;
			else if (n_hollow > 0 || ++n_header > HEADER_PAGES)
				return n_hollow * page;
	}

	return n_hollow * page;
}

/* In a part of a mapping, by the kernel's own tables again. */
static uint64_t resident_part(uint64_t begin, uint64_t size)
{
	const uint64_t page = getauxval ? getauxval(AT_PAGESZ) : 0;
	uint64_t n_resident = 0;
	unsigned char pages[1024];

	if (!may_call())
		return 0;

	for (uint64_t at = 0, left = page > 0 ? size / page : 0; left > 0;) {
		const uint64_t n = left < sizeof(pages) ? left : sizeof(pages);

		if (sys_mincore(begin + at * page, n * page, pages) < 0)
			break;
		for (uint64_t i = 0; i < n; i++)
			n_resident += pages[i] & 1;
		at += n;
		left -= n;
	}

	return n_resident * page;
}

/* By reading it, which is a system call. */
static bool is_no_heap(uintptr_t address)
{
	return may_call() && anchor_is_no_heap(address);
}

static int feed_file(struct proc_smaps *scan, const char *path)
{
	char text[4096];
	int fd;

	fd = apart_open(path);
	if (fd < 0)
		return fd;

	/* Here is where the agent is for longest when a program is taken down, see apart.h. */
	while (apart_is_ours()) {
		long r = sys_read(fd, text, sizeof(text));

		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		proc_smaps_feed(scan, text, (uint32_t)r);
	}

	/* The kernel has walked all page tables for it: meanwhile a filter may have come. */
	if (!may_call())
		return -EPERM;

	apart_close(fd);
	return 0;
}

void proc_each_heap(void (*f)(uint64_t begin, uint64_t end, void *arg), void *arg)
{
	struct proc_smaps scan = {
		.heap_at = f,
		.arg = arg,
		.begins_at = anchor_is_at,
		.is_no_heap = is_no_heap,
	};

	(void)feed_file(&scan, "/proc/self/maps");
}

bool proc_heap_rss(uint64_t *ret, uint64_t *ret_huge, uint64_t *ret_hollow, uint64_t *ret_swap)
{
	struct proc_smaps scan = {
		.begins_at = anchor_is_at,
		.is_no_heap = is_no_heap,
		.resident_of = resident_part,
		.tail_of = hollow_tail,
	};

	if (feed_file(&scan, "/proc/self/smaps") < 0)
		return false;

	*ret = scan.heap_rss;
	*ret_huge = scan.heap_huge;
	*ret_hollow = scan.hollow + scan.tail;
	*ret_swap = scan.heap_swap;
	return true;
}
