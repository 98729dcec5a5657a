/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors: closing, bounded reading of small kernel files, exact writing. */

#include <sys/types.h>

#include "agent/basic/macro.h"

/* Closes if open; keeps errno; always returns -1. */
int fd_close(int fd);
void fd_closep(int *fd);

/*
 * Reads a small file whole into @buf and terminates it. -E2BIG when it does not fit
 * (@size includes the NUL). Returns its length. @dirfd as for openat().
 */
ssize_t fd_read_file(int dirfd, const char *path, char *buf, size_t size);
/* Of one line only: where that is whole nothing more is read. */
ssize_t fd_read_line_file(int dirfd, const char *path, char *buf, size_t size);

/* The same two for an open file, from its beginning (pread at 0). */
ssize_t fd_read_again(int fd, char *buf, size_t size);
ssize_t fd_read_line_again(int fd, char *buf, size_t size);

/*
 * Is the process that connected this socket gone? 1: it is, and its number may be another's; 0: not
 * yet, so that whatever was read of that number before is about it. -EOPNOTSUPP: the kernel does not
 * say, before Linux 6.5; -EMFILE, -ENFILE, -ENOMEM: not now. Takes a descriptor for a moment.
 */
int fd_peer_has_ended(int fd);

/*
 * open() of what a program sees as @path whose root directory is @root; both are given as one, @path
 * with @root in front. Where that is a link, what it names is below @root, too; kernels before 5.6
 * follow it on the host. @root "": an ordinary open().
 */
int fd_open_below(const char *root, const char *path, int flags);

/*
 * As many open files as the hard limit has: some for each process and group. For programs that
 * are started from here: as many as select() can name at most.
 */
void fd_raise_limit(void);
void fd_lower_limit(void);

/* Writes all @size bytes in one write(), or a negative errno (-EIO when short). */
int fd_write_exact(int fd, const void *buf, size_t size);
