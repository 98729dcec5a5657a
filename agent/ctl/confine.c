/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/macro.h"
#include "agent/basic/runtime.h"

#define POLICY "/sys/kernel/security/apparmor/"
#define SOCKET RUNTIME_SYSTEM "/hook.sock"

/* Of the kernel's security/apparmor: classes of what is asked about, and rights to files. */
#define CLASS_FILE 2
#define FILE_WRITE UINT32_C(0x2)
#define FILE_READ UINT32_C(0x4)

bool confine_parse_label(const char *text, char ret[static CONFINE_LABEL_MAX])
{
	/* Names may have blanks and brackets: the last one is the mode. */
	const char *mode = strrchr(text, '(');
	size_t length;

	if (!mode || mode - text < 2 || mode[-1] != ' ' ||
	    (strncmp(mode, "(enforce)", 9) != 0 && strncmp(mode, "(kill)", 6) != 0))
		return false;

	length = (size_t)(mode - 1 - text);
	if (length >= CONFINE_LABEL_MAX)
		return false;

	memcpy(ret, text, length);
	ret[length] = '\0';
	return true;
}

bool confine_label(pid_t pid, char ret[static CONFINE_LABEL_MAX])
{
	char path[64], text[CONFINE_LABEL_MAX + 32];

	(void)snprintf(path, sizeof(path), "/proc/%d/attr/apparmor/current", (int)pid);
	return fd_read_file(AT_FDCWD, path, text, sizeof(text)) > 0 && confine_parse_label(text, ret);
}

/* "allow 0x00000244\ndeny 0x00000000\n", and more. */
int confine_parse_answer(const char *text, uint32_t mask)
{
	const char *allow = strstr(text, "allow 0x"), *deny = strstr(text, "deny 0x");
	uint32_t allowed;

	if (!allow || !deny)
		return -EBADMSG;

	allowed = (uint32_t)strtoul(allow + strlen("allow "), NULL, 16) &
		  ~(uint32_t)strtoul(deny + strlen("deny "), NULL, 16);
	return (allowed & mask) == mask;
}

/* 1, 0, or a negative errno where the kernel does not say. */
static int allows(const char *label, const char *path, uint32_t mask)
{
	_cleanup_(fd_closep) int fd = open(POLICY ".access", O_RDWR | O_CLOEXEC);
	char question[CONFINE_LABEL_MAX + 512], answer[256];
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;

	/* "label", the label, the class and the path: with a NUL behind the first two. */
	n = snprintf(question, sizeof(question), "label%c%s%c%c%s", 0, label, 0, CLASS_FILE, path);
	if (n >= (ssize_t)sizeof(question))
		return -ENAMETOOLONG;

	r = fd_write_exact(fd, question, (size_t)n);
	if (r < 0)
		return r;

	/* Of the file as it is now: at another place than 0 it has nothing. */
	n = read(fd, answer, sizeof(answer) - 1);
	if (n < 0)
		return -errno;

	answer[n] = '\0';
	return confine_parse_answer(answer, mask);
}

/* Older kernels, but for Ubuntu's, ask for no right to a socket's path. */
static bool mediates_paths_of_sockets(void)
{
	return access(POLICY "features/network/af_unix", F_OK) == 0 ||
	       access(POLICY "features/network_v9/af_unix", F_OK) == 0;
}

const char *confine_lacks(const char *label, const char *hook)
{
	/* By their names of another process: rules are about all of them. */
	static const char *const files[] = { "/proc/1/", "/proc/1/stat", "/proc/1/statm", "/proc/1/status",
					     "/proc/1/smaps", "/proc/1/task/1/status" };

	/* To others than root the kernel answers as if nothing were their own. */
	if (geteuid() != 0)
		return NULL;

	if (allows(label, hook, FILE_READ) == 0)
		return CONFINE_LOADING;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (allows(label, files[i], FILE_READ) == 0)
			return "to read /proc/PID/{stat,statm,status,smaps,task/*/status}";
	if (mediates_paths_of_sockets() && allows(label, SOCKET, FILE_READ | FILE_WRITE) == 0)
		return "to use " SOCKET;

	return NULL;
}
