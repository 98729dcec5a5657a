/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/sense/vmstat.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/parse.h"

/* The counters are in the first half of some 6 KiB. */
#define TEXT_MAX 8192

#define PREFIX "pgalloc_"

/* "pgalloc_normal 123\n": the number; NULL when it is none. */
static const char *parse_line(const char *line, uint64_t *ret)
{
	const char *s = line + strcspn(line, " \n");

	if (*s != ' ')
		return NULL;

	/* Cut in the middle of a number it would be another one. */
	s = parse_digits(s + 1, ret);
	return s && *s == '\n' ? s : NULL;
}

int vmstat_parse_allocated(const char *text, uint64_t page_bytes, uint64_t *ret_bytes)
{
	uint64_t n, n_pages = 0, bytes;
	bool found = false;

	for (const char *line = text; *line; line = strchrnul(line, '\n') + 1) {
		if (strncmp(line, PREFIX, strlen(PREFIX)) == 0) {
			if (!parse_line(line, &n) || __builtin_add_overflow(n_pages, n, &n_pages))
				return -EINVAL;
			found = true;
		}
		if (!strchr(line, '\n'))
			break;
	}

	if (!found)
		return -ENODATA;
	if (__builtin_mul_overflow(n_pages, page_bytes, &bytes))
		return -ERANGE;

	*ret_bytes = bytes;
	return 0;
}

int vmstat_read_allocated(int fd, uint64_t *ret_bytes)
{
	char text[TEXT_MAX];
	ssize_t n;

	do
		n = pread(fd, text, sizeof(text) - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	text[n] = '\0';
	return vmstat_parse_allocated(text, (uint64_t)sysconf(_SC_PAGESIZE), ret_bytes);
}

int vmstat_open(void)
{
	_cleanup_(fd_closep) int fd = -1;
	uint64_t bytes;
	int r;

	fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	r = vmstat_read_allocated(fd, &bytes);
	if (r < 0)
		return r;

	return TAKE_FD(fd);
}
