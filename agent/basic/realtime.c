/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/realtime.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "agent/basic/attributes.h"
#include "agent/basic/macro.h"

#define LINE_MAX_BYTES 4352 /* of /proc/self/cgroup: a path, and what is before it */

static struct {
	struct attributes ordinary, urgent;
	volatile sig_atomic_t is_lowered;
} realtime;

static void file_closep(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* Is @word one of the words of @text, which stand between @separators? Changes the text. */
static bool has_word(char *text, const char *separators, const char *word)
{
	char *rest = NULL;

	for (char *s = strtok_r(text, separators, &rest); s; s = strtok_r(NULL, separators, &rest))
		if (strcmp(s, word) == 0)
			return true;

	return false;
}

/* Is the cpu controller there for processes of the group @path of cgroup v2? */
static bool has_controller(const char *root, const char *path)
{
	_cleanup_(file_closep) FILE *file = NULL;
	char name[LINE_MAX_BYTES + 256], line[512];
	const int n = snprintf(name, sizeof(name), "%s/sys/fs/cgroup%s/cgroup.controllers", root, path);

	if (n < 0 || (size_t)n >= sizeof(name))
		return false;

	file = fopen(name, "re");
	return file && fgets(line, sizeof(line), file) && has_word(line, " \n", "cpu");
}

/*
 * Are processors shared by control groups here already? Of the lines "N:CONTROLLERS:PATH" that of
 * cgroup v2 has no controllers. Where v1 has this one, who is refused is who asks.
 */
static bool is_in_cpu_group(const char *root)
{
	_cleanup_(file_closep) FILE *file = NULL;
	char name[256], line[LINE_MAX_BYTES];

	(void)snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
	file = fopen(name, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':'), *path;

		path = controllers ? strchr(++controllers, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (controllers[0] == '\0' ? has_controller(root, path)
					   : has_word(controllers, ",", "cpu"))
			return true;
	}

	return false;
}

/* Does this file say that the kernel has no realtime budgets of groups? */
static bool says_no_budgets(const char *name)
{
	_cleanup_(file_closep) FILE *file = fopen(name, "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strcmp(line, "# CONFIG_RT_GROUP_SCHED is not set\n") == 0)
			return true;

	return false;
}

static bool kernel_has_no_budgets(const char *root)
{
	struct utsname kernel;
	char name[512];

	if (uname(&kernel) < 0)
		return false;

	(void)snprintf(name, sizeof(name), "%s/boot/config-%s", root, kernel.release);
	if (says_no_budgets(name))
		return true;

	(void)snprintf(name, sizeof(name), "%s/lib/modules/%s/config", root, kernel.release);
	return says_no_budgets(name);
}

bool realtime_is_harmless(const char *root)
{
	return is_in_cpu_group(root) || kernel_has_no_budgets(root);
}

/*
 * The kernel tells with the tick after, and raises the limit by a second each time. At the hard
 * one it kills instead.
 */
static int limit_work(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_RTTIME, &limit) < 0)
		return -errno;

	if (limit.rlim_max < 2 * REALTIME_WORK_USEC)
		return -ERANGE;

	limit.rlim_cur = REALTIME_WORK_USEC;
	return setrlimit(RLIMIT_RTTIME, &limit) < 0 ? -errno : 0;
}

static void on_overwork(int signal_number)
{
	const int saved = errno;

	(void)signal_number;
	if (attributes_set(&realtime.ordinary) == 0)
		realtime.is_lowered = 1;
	errno = saved;
}

int realtime_take(void)
{
	const struct sigaction action = { .sa_handler = on_overwork, .sa_flags = SA_RESTART };
	int r;

	if (!realtime_is_harmless(""))
		return -EOPNOTSUPP;

	r = attributes_get(&realtime.ordinary);
	if (r < 0)
		return r;

	realtime.ordinary.flags |= ATTRIBUTES_RESET_ON_FORK;
	realtime.urgent = (struct attributes){
		.n_bytes = sizeof(realtime.urgent),
		.policy = SCHED_RR,
		.priority = 1,
		.flags = ATTRIBUTES_RESET_ON_FORK,
	};
	/* First the way back. */
	r = limit_work();
	if (r >= 0 && sigaction(SIGXCPU, &action, NULL) < 0)
		r = -errno;
	return r < 0 ? r : attributes_set(&realtime.urgent);
}

void realtime_renew(void)
{
	if (!realtime.is_lowered)
		return;

	realtime.is_lowered = 0;
	if (limit_work() == 0)
		(void)attributes_set(&realtime.urgent);
}
