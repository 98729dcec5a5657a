/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/alone.h"

#include <elf.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/xattr.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/ctl/confine.h"

/* The build says where the library is installed. */
#ifndef MEMGUARD_HOOK_PATH
#define MEMGUARD_HOOK_PATH "/usr/lib/libmemguard-hook.so"
#endif

#define HOOK_NAME "/libmemguard-hook"

/* What its maps show. */
struct mapped {
	bool hook, loader, capabilities, anything;
};

static FILE *open_of(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

static int read_maps(pid_t pid, struct mapped *ret)
{
	FILE *file = open_of(pid, "maps");
	char line[4352];

	*ret = (struct mapped){ 0 };
	if (!file)
		return -errno;

	while (fgets(line, sizeof(line), file)) {
		ret->anything = true;
		ret->hook = ret->hook || strstr(line, HOOK_NAME);
		/* glibc's and musl's. */
		ret->loader = ret->loader || strstr(line, "/ld-");
		ret->capabilities = ret->capabilities || strstr(line, "/libcap.so") ||
				    strstr(line, "/libcap-ng.so");
	}

	(void)fclose(file);
	return 0;
}

/* The number to @base behind @key in its status; -1 when there is none. */
static long status_number(pid_t pid, const char *key, int base)
{
	FILE *file = open_of(pid, "status");
	const size_t length = strlen(key);
	char line[256];
	long n = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, length) == 0)
			n = strtol(line + length, NULL, base);

	if (file)
		(void)fclose(file);
	return n;
}

/*
 * What the kernel told the loader when it was started: 0 or 1, or -1 where that cannot be read.
 * The pairs of a 32-bit program are of another size, and none of theirs looks like this.
 */
static int told_secure(pid_t pid)
{
	FILE *file = open_of(pid, "auxv");
	uint64_t pair[2];
	int secure = -1;

	while (file && secure < 0 && fread(pair, sizeof(pair), 1, file) == 1)
		if (pair[0] == AT_SECURE && pair[1] <= 1)
			secure = (int)pair[1];

	if (file)
		(void)fclose(file);
	return secure;
}

/* Its file alone does not say: root's rights are raised by none. */
static bool raises_rights(pid_t pid)
{
	const int secure = told_secure(pid);
	struct stat st;
	char path[64];

	if (secure >= 0)
		return secure > 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (stat(path, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID)) != 0)
		return true;

	/* File capabilities: whichever they are, the loader then does the same. */
	return getxattr(path, XATTR_NAME_CAPS, NULL, 0) > 0;
}

/* As libhook/rights.c sees it. */
static bool may_part(pid_t pid, const struct mapped *mapped)
{
	const long of_set_id = 1L << CAP_SETUID | 1L << CAP_SETGID;
	const long permitted = status_number(pid, "CapPrm:", 16);

	return mapped->capabilities && permitted > 0 && (permitted & of_set_id) != 0;
}

/* False, too, where that may not be seen. */
static bool has_other_users(pid_t pid)
{
	char path[64];
	struct stat own, its;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return stat("/proc/self/ns/user", &own) == 0 && stat(path, &its) == 0 && own.st_ino != its.st_ino;
}

/* What AppArmor keeps the hook from: its work, where it is @loaded, or else to be. NULL: nothing known. */
static const char *confined(pid_t pid, bool loaded)
{
	static char text[CONFINE_LABEL_MAX + 512];
	char label[CONFINE_LABEL_MAX];
	const char *lacks;

	if (!confine_label(pid, label))
		return NULL;
	lacks = confine_lacks(label, MEMGUARD_HOOK_PATH);
	if (!lacks || (!loaded && !streq(lacks, CONFINE_LOADING)))
		return NULL;

	(void)snprintf(text, sizeof(text),
		       "It is confined by AppArmor's profile %s, which does not allow the hook %s: "
		       CONFINE_HINT,
		       label, lacks);
	return text;
}

static const char *with_hook(pid_t pid, const struct mapped *mapped)
{
	const char *reason;

	if (status_number(pid, "Seccomp:", 10) > 0)
		return "It carries the hook, which keeps still in a program with a system call filter";
	reason = confined(pid, true);
	if (reason)
		return reason;
	if (status_number(pid, "Threads:", 10) == 1 && may_part(pid, mapped))
		return "It carries the hook, which adds no thread to a program that has only one, may change "
		       "its user and has a library to give up capabilities; run it as another user";
	if (status_number(pid, "Threads:", 10) == 1)
		return "It carries the hook, which adds no thread to a program that has only one, unless it "
		       "is the main process of a unit or named by MEMGUARD_AGENT=";

	if (has_other_users(pid))
		return "It carries the hook, but in a user namespace of its own, where the hook cannot "
		       "tell who this daemon is, and so obeys nobody; run a daemon or "
		       "\"memguardctl run\" inside";

	return "It carries the hook, which is switched off there, had no room for its thread, or does not "
	       "reach this daemon (MEMGUARD, MEMGUARD_AGENT, MEMGUARD_SOCKET)";
}

const char *alone_reason(pid_t pid)
{
	struct mapped mapped;
	const int r = read_maps(pid, &mapped);
	const char *reason;

	if (r == -ENOENT || r == -ESRCH)
		return "There is no such process";
	/* A profile may also keep others from looking, even root. */
	reason = r < 0 || !mapped.hook ? confined(pid, r < 0) : NULL;
	if (r < 0 && reason)
		return reason;
	if (r < 0 && geteuid() == 0)
		return "Whether it carries the hook may not be seen from here, even by root";
	if (r < 0)
		return "Whether it carries the hook, only root or its user may see";
	if (!mapped.anything)
		return "It is a thread of the kernel, or about to end";
	if (mapped.hook)
		return with_hook(pid, &mapped);
	if (!mapped.loader)
		return "It is statically linked: no loader could load the hook";
	if (raises_rights(pid))
		return "It raised its rights at its start (set-uid, set-gid, file capabilities, or a "
		       "security module's rule), and then the loader loads no hook";

	return reason ? reason : "It was started without the hook, or by a loader that did not find it";
}
