/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/apart.h"
#include "libhook/life.h"
#include "libhook/mem.h"

/* Below the usual limit of 1024, where programs seldom have one. */
#define APART_FD 1000

/*
 * The mark is a directory: to read one is refused with an error of its own, even to read nothing, and
 * hardly a program has one under such a number.
 */
static long mark_answer(int fd)
{
	char nothing;

	return sys_read(fd, &nothing, 0);
}

void apart_begin(void)
{
	const long flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd;

	life.mark.fd = 0;
	/* Of a file system that is in use for as long as we are anyway. */
	fd = apart_move((int)SYS(SYS_openat, AT_FDCWD, "/proc/self", flags, 0));
	if (fd < 0)
		return;

	life.mark.answer = mark_answer(fd);
	/* What other files say as well tells nothing. */
	if (life.mark.answer >= 0 || life.mark.answer == -EBADF)
		sys_close(fd);
	else
		life.mark.fd = fd + 1;
}

bool apart_is_ours(void)
{
	return life.mark.fd == 0 || mark_answer(life.mark.fd - 1) == life.mark.answer;
}

int apart_move(int fd)
{
	/* Where the limit is below, or there is no more room, half as high. */
	for (int number = APART_FD; fd < number && fd >= 0; number /= 2) {
		const int apart = (int)SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, number);

		if (apart >= 0)
			apart_close(fd);
		if (apart >= 0 || apart == -EBADF)
			return apart;
		if (apart != -EINVAL && apart != -EMFILE)
			break;
	}

	return fd;
}

int apart_open(const char *path)
{
	const char *name = text_after(path, "/proc/self/");

	/* The mark is that directory, also after chroot(). */
	if (name && life.mark.fd > 0)
		return apart_move(sys_open_at(life.mark.fd - 1, name));

	return apart_move(sys_open_read(path));
}

void apart_close(int fd)
{
	if (apart_is_ours())
		sys_close(fd);
}
