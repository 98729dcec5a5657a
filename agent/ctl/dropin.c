/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/dropin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/macro.h"
#include "agent/ctl/allocator.h"

#define UNIT_DIRECTORY "/etc/systemd/system"
#define USER_DIRECTORY "/systemd/user"

#define UNIT_CHARACTERS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"

/* ld.so takes both. */
#define LIST_SEPARATORS ": "

static const char *const kinds[] = { ".socket",    ".target", ".timer", ".mount",
				     ".automount", ".path",   ".slice", ".scope",
				     ".swap",      ".device" };

static bool ends_with(const char *s, const char *end)
{
	const size_t n = strlen(s), n_end = strlen(end);

	return n > n_end && streq(s + n - n_end, end);
}

static bool is_other_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (ends_with(name, kinds[i]))
			return true;

	return false;
}

enum dropin_name dropin_unit(const char *name, char ret_unit[static DROPIN_UNIT_MAX])
{
	const char *suffix = ends_with(name, ".service") ? "" : ".service";

	if (name[0] == '\0' || name[0] == '.' || name[0] == '@' ||
	    name[strspn(name, UNIT_CHARACTERS)] != '\0' ||
	    strlen(name) + strlen(suffix) >= DROPIN_UNIT_MAX)
		return DROPIN_NAME_BAD;

	if (is_other_kind(name))
		return DROPIN_NAME_KIND;
	if (ends_with(name, "@.service") || name[strlen(name) - 1] == '@')
		return DROPIN_NAME_TEMPLATE;

	stpcpy(stpcpy(ret_unit, name), suffix);
	return DROPIN_NAME_OK;
}

bool dropin_is_hook(const char *path)
{
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == ':' || *c == '"' || *c == '\\' ||
		    *c == 0x7f)
			return false;

	return path[0] == '/' && !ends_with(path, "/");
}

static const char *base_name(const char *path, size_t n, size_t *ret_n)
{
	const char *slash = memrchr(path, '/', n);
	const char *base = slash ? slash + 1 : path;

	*ret_n = n - (size_t)(base - path);
	return base;
}

/* The same file name anywhere is another copy of the same library. */
static bool is_hook_name(const char *entry, size_t n, const char *hook)
{
	size_t n_entry, n_hook;
	const char *a = base_name(entry, n, &n_entry);
	const char *b = base_name(hook, strlen(hook), &n_hook);

	return n_entry == n_hook && memcmp(a, b, n_hook) == 0;
}

static bool has_entry(const char *list, const char *entry, size_t n)
{
	for (const char *s = list; *s; s += strspn(s, ":")) {
		const size_t length = strcspn(s, ":");

		if (length == n && memcmp(s, entry, n) == 0)
			return true;
		s += length;
	}

	return false;
}

int dropin_preload(const char *existing, const char *hook, char **ret)
{
	const char *s = existing ? existing : "";
	char *list;
	size_t n, used = 0;

	list = calloc(1, strlen(s) + strlen(hook) + 2);
	if (!list)
		return -ENOMEM;

	for (s += strspn(s, LIST_SEPARATORS); *s; s += strspn(s, LIST_SEPARATORS)) {
		n = strcspn(s, LIST_SEPARATORS);
		if (!is_hook_name(s, n, hook) && !has_entry(list, s, n)) {
			memcpy(list + used, s, n);
			used += n;
			list[used++] = ':';
		}
		s += n;
	}

	memcpy(list + used, hook, strlen(hook));
	*ret = list;
	return 0;
}

bool dropin_has_hook(const char *list, const char *hook)
{
	size_t n;

	for (const char *s = list + strspn(list, LIST_SEPARATORS); *s;
	     s += n, s += strspn(s, LIST_SEPARATORS)) {
		n = strcspn(s, LIST_SEPARATORS);
		if (is_hook_name(s, n, hook))
			return true;
	}

	return false;
}

int dropin_preload_allocator(const char *existing, const char *allocator, const char *hook,
			     char **ret)
{
	const char *s = existing ? existing : "";
	char *list;
	size_t n, used;
	int r;

	list = calloc(1, strlen(s) + strlen(allocator) + 2);
	if (!list)
		return -ENOMEM;

	used = strlen(allocator);
	memcpy(list, allocator, used);
	for (s += strspn(s, LIST_SEPARATORS); *s; s += strspn(s, LIST_SEPARATORS)) {
		n = strcspn(s, LIST_SEPARATORS);
		if (!allocator_is_library(s, n)) {
			list[used++] = ':';
			memcpy(list + used, s, n);
			used += n;
		}
		s += n;
	}

	r = dropin_preload(list, hook, ret);
	free(list);
	return r;
}

const char *dropin_value(const char *assignment, const char *name)
{
	const size_t n = strlen(name);

	return strncmp(assignment, name, n) == 0 && assignment[n] == '='
		       ? assignment + n + 1
		       : NULL;
}

/* Inside double quotes of a unit file; "%" would begin a specifier. malloc'ed. */
static char *quote(const char *s)
{
	char *quoted = calloc(2, strlen(s) + 1), *to = quoted;

	if (!quoted)
		return NULL;

	for (; *s; s++) {
		if (*s == '%')
			*to++ = '%';
		else if (*s == '"' || *s == '\\')
			*to++ = '\\';
		*to++ = *s;
	}

	return quoted;
}

int dropin_text(const char *unit, bool user, const char *preload, const char *symbols,
		char **ret)
{
	const char *option = user ? "--user " : "";
	char *quoted = quote(preload);
	int n;

	if (!quoted)
		return -ENOMEM;

	n = asprintf(
		ret,
		"# Made by \"memguardctl %senable %s\"; removed by \"memguardctl %sdisable "
		"%s\".\n"
		"# Takes effect when the service is restarted. See memguard-hook(7).\n"
		"\n"
		"[Unit]\n"
		"After=memguard.socket\n"
		"\n"
		"[Service]\n"
		"Environment=\"LD_PRELOAD=%s\"\n"
		"%s%s%s%s",
		option, unit, option, unit, quoted,
		user ? "Environment=\"MEMGUARD_SOCKET=%t/memguard/hook.sock\"\n" : "",
		symbols ? "# Its own allocator, which no loader sees; made anew by \"memguardctl "
			  "enable\".\n"
			  "Environment=\"MEMGUARD_SYMBOLS="
			: "",
		symbols ? symbols : "", symbols ? "\"\n" : "");
	free(quoted);
	return n < 0 ? -ENOMEM : 0;
}

int dropin_directory(const char *root, const char *unit, char **ret)
{
	return asprintf(ret, "%s" UNIT_DIRECTORY "/%s.d", root ? root : "", unit) < 0
		       ? -ENOMEM
		       : 0;
}

int dropin_directory_user(const char *xdg_config_home, const char *home, const char *unit,
			  char **ret)
{
	const bool is_set = xdg_config_home && xdg_config_home[0] == '/';

	/* As the specification has it: what is not absolute is ignored. */
	if (!is_set && (!home || home[0] != '/'))
		return -ENOTDIR;

	return asprintf(ret, "%s%s" USER_DIRECTORY "/%s.d", is_set ? xdg_config_home : home,
			is_set ? "" : "/.config", unit) < 0
		       ? -ENOMEM
		       : 0;
}
