/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pressure stall information: one pure parser, and triggers that survive their traps. */

#include "agent/sense/psi.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/parse.h"

#define WINDOW_USEC (2 * USEC_PER_SEC)

/* @name and digits after it; NULL when it is not there or too large. */
static const char *parse_number(const char *s, const char *name, uint64_t *ret)
{
	const size_t length = strlen(name);

	return strncmp(s, name, length) == 0 ? parse_digits(s + length, ret) : NULL;
}

/* "avg10=12.34 ": always two digits behind the point. */
static const char *parse_average(const char *s, const char *name, uint32_t *ret_permyriad)
{
	uint64_t percent, hundredths;
	const char *point;

	point = parse_number(s, name, &percent);
	if (!point || percent > 100)
		return NULL;

	s = parse_number(point, ".", &hundredths);
	if (!s || s != point + 3 || *s != ' ' || percent * 100 + hundredths > PERMYRIAD)
		return NULL;

	*ret_permyriad = (uint32_t)(percent * 100 + hundredths);
	return s + 1;
}

int psi_parse(const char *text, struct psi_line *ret_some)
{
	struct psi_line some;

	/* "some" comes first wherever there is one; irq.pressure has none. */
	if (strncmp(text, "some ", strlen("some ")) != 0)
		return -EINVAL;
	text += strlen("some ");

	text = parse_average(text, "avg10=", &some.avg10_permyriad);
	if (text)
		text = parse_average(text, "avg60=", &some.avg60_permyriad);
	if (text)
		text = parse_average(text, "avg300=", &some.avg300_permyriad);
	if (text)
		text = parse_number(text, "total=", &some.total_usec);
	if (!text || (*text && *text != '\n' && *text != ' '))
		return -EINVAL;

	*ret_some = some;
	return 0;
}

int psi_read(int dirfd, const char *path, struct psi_line *ret_some)
{
	char text[256];
	ssize_t n;

	n = fd_read_file(dirfd, path, text, sizeof(text));
	return n < 0 ? (int)n : psi_parse(text, ret_some);
}

static int read_total(int fd, uint64_t *ret_usec)
{
	struct psi_line some;
	char text[256];
	ssize_t n;
	int r;

	n = fd_read_again(fd, text, sizeof(text));
	if (n < 0)
		return (int)n;

	r = psi_parse(text, &some);
	if (r < 0)
		return r;

	*ret_usec = some.total_usec;
	return 0;
}

/*
 * Since Linux 6.5 triggers of those without CAP_SYS_RESOURCE are served by the averaging
 * worker, and the kernel seeds their first window from the other worker's counter: the
 * first stall of any length fires. Triggers of the privileged do not have that fault, and
 * must not be checked: they fire ahead of the total, which lags by up to 2 s.
 */
static bool is_privileged(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return false;

	return data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &
	       CAP_TO_MASK(CAP_SYS_RESOURCE);
}

static int arm(int fd, uint64_t stall_usec)
{
	char text[64];
	int n;

	n = snprintf(text, sizeof(text), "some %llu %llu", (unsigned long long)stall_usec,
		     (unsigned long long)WINDOW_USEC);

	/* With the NUL: the kernel overwrites the last byte, which would be a digit. */
	return fd_write_exact(fd, text, (size_t)n + 1);
}

int psi_trigger_open(int dirfd, const char *path, uint64_t stall_usec,
		     struct psi_trigger *ret)
{
	_cleanup_(fd_closep) int fd = -1;
	uint64_t total_usec;
	int r;

	if (stall_usec == 0 || stall_usec > WINDOW_USEC)
		return -EINVAL;

	fd = openat(dirfd, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	/*
	 * Before arming, for psi_trigger_check(). Disabled PSI opens, but does not read.
	 */
	r = read_total(fd, &total_usec);
	if (r < 0)
		return r;

	r = arm(fd, stall_usec);
	if (r < 0)
		return r;

	*ret = (struct psi_trigger){
		.fd = TAKE_FD(fd),
		.stall_usec = (uint32_t)stall_usec,
		.armed_total_usec = is_privileged() ? USEC_INFINITY : total_usec,
	};
	return 0;
}

void psi_trigger_close(struct psi_trigger *trigger)
{
	trigger->fd = fd_close(trigger->fd);
}

int psi_trigger_check(struct psi_trigger *trigger, uint32_t revents)
{
	uint64_t total_usec;
	int r;

	/* For ever, once the group was removed. */
	if (revents & (EPOLLERR | EPOLLHUP))
		return -ENODEV;
	if (!(revents & EPOLLPRI))
		return 0;
	if (trigger->armed_total_usec == USEC_INFINITY)
		return 1;

	r = read_total(trigger->fd, &total_usec);
	if (r < 0)
		return r;

	/*
	 * Half, because the kernel estimates the part of the stall that lies in the
	 * window. Always since arming: a true event taken for false here is repeated in
	 * the next window and counts then. Only the first event can be false.
	 */
	if (sub_sat(total_usec, trigger->armed_total_usec) < trigger->stall_usec / 2)
		return 0;

	trigger->armed_total_usec = USEC_INFINITY;
	return 1;
}
