/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/mem.h"
#include "libhook/proc.h"

/* glibc's HEAP_MAX_SIZE on 64-bit systems: arenas of threads begin on such a boundary. */
#define ARENA_ALIGN (UINT64_C(64) << 20)

/* Resident at the end of a top that is not: its header, and the pad it keeps (128 KiB). */
#define HEADER_PAGES 33

/*
 * What is read time and again, kept open: to open it takes memory of the kernel, which at a
 * memory limit ends the program. Descriptor + 1; 0 is none. In the agent's table.
 */
static struct {
	int stat, statm, status;
} kept;

/* Reads all of a small file into @buf and terminates it. */
static int read_small(const char *path, int open_fd, char *buf, size_t size)
{
	size_t n = 0;
	int fd = open_fd;

	if (fd < 0)
		fd = sys_open_read(path);
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
		sys_close(fd);
	buf[n] = '\0';
	return n > 0 ? 0 : -EIO;
}

void proc_keep_open(void)
{
	const int stat = sys_open_read("/proc/self/stat"), statm = sys_open_read("/proc/self/statm");
	const int status = sys_open_read("/proc/self/status");

	kept.stat = stat < 0 ? 0 : stat + 1;
	kept.statm = statm < 0 ? 0 : statm + 1;
	kept.status = status < 0 ? 0 : status + 1;
	/* With the first read the kernel takes a buffer. */
	(void)proc_leader_ended();
	(void)proc_rss(1);
	(void)proc_leader_seccomp();
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

int proc_seccomp(int fd)
{
	static const char key[] = "\nSeccomp:\t";
	unsigned int n_matched = 0;
	char text[1024];

	/* The list of groups before it may have any length: letter by letter. */
	for (;;) {
		const long n = sys_read(fd, text, sizeof(text));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -ENODATA;
		for (long i = 0; i < n; i++) {
			if (n_matched == sizeof(key) - 1)
				return text[i] - '0';
			if (text[i] != key[n_matched])
				n_matched = 0;
			n_matched += text[i] == key[n_matched];
		}
	}
}

int proc_leader_seccomp(void)
{
	const int open_fd = kept.status - 1;
	const int fd = open_fd >= 0 ? open_fd : sys_open_read("/proc/self/status");
	int mode;

	if (fd < 0)
		return fd;
	if (open_fd >= 0)
		(void)SYS(SYS_lseek, fd, 0L, SEEK_SET);

	mode = proc_seccomp(fd);
	if (open_fd < 0)
		sys_close(fd);
	return mode;
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
 * "7f0000000000-7f0000021000 rw-p 00000000 00:00 0      [heap]": is it an arena's? One that the
 * kernel has joined with a mapping below it is not known as such, and left out: that takes the
 * same MAP_NORESERVE, or vm.overcommit_memory=2, and then less is predicted than is there.
 */
static int is_heap(struct proc_smaps *scan, const char *line)
{
	const char *s = line;
	uint64_t begin = text_number(&s, 16), end;
	bool arena;

	if (*s++ != '-')
		return 0;
	end = text_number(&s, 16);
	if (!text_after(s, " rw-p 00000000 00:00 0"))
		return 0;
	/* What is above its top is the main arena's own to give back. */
	scan->size = 0;
	if (text_find(s, "[heap]"))
		return 1;

	/* "[anon: glibc: malloc arena]" where glibc.mem.decorate_maps is on; else unnamed. */
	arena = text_find(s, "glibc: malloc arena") ||
		(!text_find(s, "[") && !text_find(s, "/") &&
		 (begin % ARENA_ALIGN == 0 || begin == scan->expected));
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

	scan->heap_rss += rss;
	if (scan->size == 0 || !scan->tail_of)
		return;

	tail = rss >= scan->size ? 0
	       : rss == 0	 ? scan->size
				 : scan->tail_of(scan->begin, scan->size);
	scan->tail = tail == scan->size ? scan->tail + tail : tail;
}

static void smaps_line(struct proc_smaps *scan)
{
	const char *s = scan->line;
	bool field = s[0] >= 'A' && s[0] <= 'Z';

	if (!field) {
		scan->in_heap = is_heap(scan, s);
		return;
	}

	if (!scan->in_heap)
		return;

	if (text_after(s, "Rss:"))
		heap_rss(scan, kib_after(s, "Rss:"));
	else if (text_after(s, "AnonHugePages:"))
		scan->heap_huge += kib_after(s, "AnonHugePages:");
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

	if (page == 0)
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

uint64_t proc_heap_rss(uint64_t *ret_huge, uint64_t *ret_hollow)
{
	struct proc_smaps scan = { .tail_of = hollow_tail };
	char text[4096];
	int fd;

	fd = sys_open_read("/proc/self/smaps");
	if (fd < 0)
		return 0;

	for (;;) {
		long r = sys_read(fd, text, sizeof(text));

		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		proc_smaps_feed(&scan, text, (uint32_t)r);
	}

	sys_close(fd);
	*ret_huge = scan.heap_huge;
	*ret_hollow = scan.hollow + scan.tail;
	return scan.heap_rss;
}
