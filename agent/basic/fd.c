/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Descriptors. Interrupted calls are repeated here, so that no caller has to. */

#include "agent/basic/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(SO_PEERPIDFD) && !defined(__hppa__) && !defined(__sparc__)
#define SO_PEERPIDFD 77
#endif

int fd_close(int fd)
{
	const int saved_errno = errno;

	if (fd >= 0)
		(void)close(fd);

	errno = saved_errno;
	return -1;
}

void fd_closep(int *fd)
{
	*fd = fd_close(*fd);
}

/* Up to the end, which only a read of nothing tells: kernel files have no size. */
static ssize_t read_whole(int fd, char *buf, size_t size, bool is_line)
{
	size_t n = 0;

	while (n < size) {
		const ssize_t r = pread(fd, buf + n, size - n, (off_t)n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;

		n += (size_t)r;
		if (r == 0 || (is_line && n < size && buf[n - 1] == '\n')) {
			buf[n] = '\0';
			return (ssize_t)n;
		}
	}

	return -E2BIG;
}

static ssize_t read_path(int dirfd, const char *path, char *buf, size_t size, bool is_line)
{
	_cleanup_(fd_closep) int fd = -1;

	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	return read_whole(fd, buf, size, is_line);
}

ssize_t fd_read_file(int dirfd, const char *path, char *buf, size_t size)
{
	return read_path(dirfd, path, buf, size, false);
}

ssize_t fd_read_line_file(int dirfd, const char *path, char *buf, size_t size)
{
	return read_path(dirfd, path, buf, size, true);
}

ssize_t fd_read_again(int fd, char *buf, size_t size)
{
	return read_whole(fd, buf, size, false);
}

ssize_t fd_read_line_again(int fd, char *buf, size_t size)
{
	return read_whole(fd, buf, size, true);
}

int fd_write_exact(int fd, const void *buf, size_t size)
{
	ssize_t n;

	do {
		n = write(fd, buf, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	return (size_t)n == size ? 0 : -EIO;
}

int fd_peer_has_ended(int fd)
{
#ifdef SO_PEERPIDFD
	_cleanup_(fd_closep) int pidfd = -1;
	socklen_t size = sizeof(pidfd);
	struct pollfd ended = { .events = POLLIN };

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
		switch (errno) {
		case ENOPROTOOPT:
			return -EOPNOTSUPP;
		case EOPNOTSUPP:
		case EMFILE:
		case ENFILE:
		case ENOMEM:
			return -errno;
		default:
			/* Of who has been waited for kernels say different things. */
			return 1;
		}

	ended.fd = pidfd;
	return poll(&ended, 1, 0) != 0;
#else
	(void)fd;
	return -EOPNOTSUPP;
#endif
}

/* Where it is refused, as in a sandbox, it stays as the service manager has set it. */
static void set_limit(rlim_t n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;

	limit.rlim_cur = MIN(n, limit.rlim_max);
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int fd_open_below(const char *root, const char *path, int flags)
{
	const struct open_how how = { .flags = (unsigned int)flags, .resolve = RESOLVE_IN_ROOT };
	_cleanup_(fd_closep) int directory = -1;
	long fd;

	if (root[0] == '\0') {
		fd = open(path, flags);
		return fd < 0 ? -errno : (int)fd;
	}

	directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;

	path += strlen(root);
	path += strspn(path, "/");
	fd = syscall(SYS_openat2, directory, path, &how, sizeof(how));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(directory, path, flags);
	return fd < 0 ? -errno : (int)fd;
}

void fd_raise_limit(void)
{
	set_limit(RLIM_INFINITY);
}

void fd_lower_limit(void)
{
	set_limit(FD_SETSIZE);
}
