/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Preloaded into memguardd: counts what it allocates from the moment a group's state is high
 * or critical until the outcome of the round is told, until its command is started, and until
 * its alert is told, by the lines of the daemon's own log, or by the entries that it sends to
 * the journal. With $MALLOC_FAILS in the environment there is no memory for all that time.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool counting, is_over;
static unsigned long n_allocations;
static void *first_caller;

/* False when there is no memory. */
static bool count(void *caller)
{
	if (!counting)
		return true;
	if (n_allocations++ == 0)
		first_caller = caller;
	if (!getenv("MALLOC_FAILS"))
		return true;

	errno = ENOMEM;
	return false;
}

void *malloc(size_t size)
{
	return count(__builtin_return_address(0)) ? __libc_malloc(size) : NULL;
}

void *calloc(size_t n, size_t size)
{
	return count(__builtin_return_address(0)) ? __libc_calloc(n, size) : NULL;
}

void *realloc(void *p, size_t size)
{
	return count(__builtin_return_address(0)) ? __libc_realloc(p, size) : NULL;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return count(__builtin_return_address(0)) ? __libc_memalign(alignment, size) : NULL;
}

static bool says(const void *text, size_t size, const char *word)
{
	return memmem(text, size, word, strlen(word)) != NULL;
}

static void tell(const char *until)
{
	char line[256];
	Dl_info info = { 0 };
	int n;

	if (first_caller)
		(void)dladdr(first_caller, &info);
	n = snprintf(line, sizeof(line), "counted %lu allocations until %s%s%s %s\n",
		     n_allocations, until, first_caller ? ", the first by " : "",
		     info.dli_fname ? info.dli_fname : "", info.dli_sname ? info.dli_sname : "");
	(void)syscall(SYS_write, STDERR_FILENO, line, (size_t)n);
}

static void look(const void *text, size_t size)
{
	if (is_over)
		return;
	if (says(text, size, "\" is high, was ") || says(text, size, "\" is critical, was ")) {
		n_allocations = 0;
		first_caller = NULL;
		counting = true;
	}
	if (!counting)
		return;

	if (says(text, size, "; because ")) {
		tell("the outcome");
	} else if (says(text, size, "is being started")) {
		tell("the command");
	} else if (says(text, size, "usage stays above UsageCritical=")) {
		tell("the alert");
		/* From now on there is some. */
		if (getenv("MALLOC_FAILS")) {
			counting = false;
			is_over = true;
		}
	}
}

ssize_t sendto(int fd, const void *text, size_t size, int flags, const struct sockaddr *to,
	       socklen_t to_size)
{
	if (to)
		look(text, size);

	return syscall(SYS_sendto, fd, text, size, flags, to, to_size);
}

ssize_t write(int fd, const void *text, size_t size)
{
	if (fd == STDERR_FILENO)
		look(text, size);

	return syscall(SYS_write, fd, text, size);
}
