/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Line by line through long files of /proc, and what is looked for in them. */

#include "agent/sense/proc-text.h"

#include <errno.h>
#include <unistd.h>

#include "agent/basic/parse.h"

#define LINE_SIZE 8192

/* PF_EXITING, the same since Linux 2.6. */
#define FLAG_EXITING 0x4U

/* What is kept between two reads: the begin of a line whose end was not read yet. */
struct scan {
	char buffer[LINE_SIZE];
	size_t length;
	bool overlong; /* the current line did not fit: drop it up to its end */
};

/* Hands out all complete lines and moves the rest to the front. */
static int scan_lines(struct scan *scan, proc_text_line_t on_line, void *userdata)
{
	char *line = scan->buffer, *stop = scan->buffer + scan->length, *end;
	int r = 0;

	while (r == 0 && (end = memchr(line, '\n', (size_t)(stop - line)))) {
		*end = '\0';
		if (!scan->overlong)
			r = on_line(line, userdata);
		scan->overlong = false;
		line = end + 1;
	}

	scan->length = (size_t)(stop - line);
	memmove(scan->buffer, line, scan->length);
	return r;
}

int proc_text_scan(int fd, proc_text_line_t on_line, void *userdata)
{
	struct scan scan;
	ssize_t n;
	int r;

	scan.length = 0;
	scan.overlong = false;

	for (;;) {
		n = read(fd, scan.buffer + scan.length,
			 sizeof(scan.buffer) - scan.length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;

		scan.length += (size_t)n;
		r = scan_lines(&scan, on_line, userdata);
		if (r != 0)
			return r;

		if (scan.length == sizeof(scan.buffer)) {
			scan.overlong = true;
			scan.length = 0;
		}
	}
}

int proc_text_seccomp(const char *line, void *userdata)
{
	static const char name[] = "Seccomp:\t";
	int *ret_mode = userdata;

	if (strncmp(line, name, strlen(name)) != 0)
		return 0;

	line += strlen(name);
	if (line[0] < '0' || line[0] > '9' || line[1])
		return -EINVAL;

	*ret_mode = line[0] - '0';
	return 1;
}

/* The number at @s, behind blanks; NULL when there is none or it is too large. */
static const char *parse_number(const char *s, uint64_t *ret)
{
	return parse_digits(s + strspn(s, " \t"), ret);
}

int proc_text_pid_depth(const char *line, void *userdata)
{
	static const char name[] = "NSpid:";
	int *ret_depth = userdata, depth = 0;
	const char *s, *end;
	uint64_t pid;

	if (strncmp(line, name, strlen(name)) != 0)
		return 0;

	for (s = line + strlen(name); *s; s = end, depth++) {
		end = parse_number(s, &pid);
		if (!end)
			return -EINVAL;
	}
	if (depth == 0)
		return -EINVAL;

	*ret_depth = depth;
	return 1;
}

/* The field that is @n blanks further. */
static const char *skip_fields(const char *s, int n)
{
	for (; s && n > 0; n--) {
		s = strchr(s, ' ');
		s = s ? s + 1 : NULL;
	}

	return s;
}

int proc_text_stat(const char *text, struct proc_stat *ret)
{
	/* The name may hold blanks and parentheses itself: only the outermost divide. */
	const char *begin = strchr(text, '('), *end = strrchr(text, ')'), *field;
	struct proc_stat stat = { .state = 0 };
	uint64_t flags, user, system;

	if (!begin || !end || end < begin || end[1] != ' ' || !end[2] || end[3] != ' ')
		return -EINVAL;

	begin++;
	memcpy(stat.command, begin, MIN((size_t)(end - begin), sizeof(stat.command) - 1));
	stat.state = end[2];

	/*
	 * As proc(5) numbers them: 3 is the state, 9 flags, 10 minor faults, 14 and 15 times,
	 * 20 threads, 22 start.
	 */
	field = skip_fields(end + 2, 9 - 3);
	if (!field || !parse_number(field, &flags))
		return -EINVAL;
	field = skip_fields(field, 10 - 9);
	if (!field || !parse_number(field, &stat.n_faults))
		return -EINVAL;
	field = skip_fields(field, 14 - 10);
	if (!field || !parse_number(field, &user))
		return -EINVAL;
	field = skip_fields(field, 1);
	if (!field || !parse_number(field, &system))
		return -EINVAL;
	field = skip_fields(field, 20 - 15);
	if (!field || !parse_number(field, &stat.n_threads))
		return -EINVAL;
	field = skip_fields(field, 22 - 20);
	if (!field || !parse_number(field, &stat.start_ticks))
		return -EINVAL;

	stat.exiting = (flags & FLAG_EXITING) != 0;
	stat.cpu_ticks = add_sat(user, system);
	*ret = stat;
	return 0;
}

int proc_text_status(const char *line, void *userdata)
{
	struct proc_status *status = userdata;
	const struct {
		const char *name;
		int n_skipped; /* numbers before the wanted one */
		uint64_t *ret;
	} rows[] = {
		{ "Tgid:", 0, &status->tgid },
		{ "Uid:", 1, &status->euid },
		{ "VmRSS:", 0, &status->rss_kib },
		{ "RssAnon:", 0, &status->anon_kib },
		{ "RssShmem:", 0, &status->shmem_kib },
		{ "VmSwap:", 0, &status->swap_kib },
		{ "Seccomp:", 0, &status->seccomp },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const size_t length = strlen(rows[i].name);
		const char *s = line + length;
		uint64_t value;

		if (strncmp(line, rows[i].name, length) != 0)
			continue;
		for (int n = 0; s && n <= rows[i].n_skipped; n++)
			s = parse_number(s, &value);
		if (!s)
			return -EINVAL;
		*rows[i].ret = value;
	}

	return 0;
}
