/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/target.h"

#include <string.h>

#include "agent/basic/name.h"
#include "agent/basic/parse.h"

/* "nginx" means nginx.service, and "php8.2-fpm" php8.2-fpm.service, as in systemctl. */
static bool is_unit(const char *unit, const char *what)
{
	const size_t n = strlen(what);

	return unit && (streq(unit, what) ||
			(!name_has_suffix(what) && strncmp(unit, what, n) == 0 &&
			 streq(unit + n, ".service")));
}

/* A cgroup path names the group and all below it; slashes too many change nothing. */
static bool is_below(const char *path, const char *what)
{
	size_t n;

	if (what[0] != '/' || path[0] != '/')
		return false;

	for (;; path += n, what += n) {
		what += strspn(what, "/");
		if (what[0] == '\0')
			return true;
		path += strspn(path, "/");
		n = strcspn(what, "/");
		if (strncmp(path, what, n) != 0 || (path[n] != '\0' && path[n] != '/'))
			return false;
	}
}

bool target_is_guard(const struct guard *guard, const char *what)
{
	return what[0] == '\0' || is_unit(guard->group.unit, what) ||
	       is_below(guard->group.path, what) || streq(guard->group.path, what);
}

bool target_is_peer(const struct peer *peer, const char *what)
{
	int pid;

	if (parse_pid(what, &pid) >= 0)
		return peer->member.process.pid == pid;

	return target_is_guard(peer->guard, what);
}

bool target_is_in(const struct guard *guard, const char *what)
{
	const struct peer *peer;

	SLIST_FOREACH(peer, &guard->peers, in_guard)
		if (target_is_peer(peer, what))
			return true;

	return target_is_guard(guard, what);
}

bool target_is_name(const char *name, const char *what)
{
	return what[0] == '\0' || is_unit(name, what) || is_below(name, what);
}
