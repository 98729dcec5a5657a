/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/allocator.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/macro.h"

/* Of each the versions in Debian, and the begin of every name that it has. */
static const struct allocator {
	const char *name, *package, *library, *stem;
} allocators[] = {
	{ "jemalloc", "libjemalloc2", "libjemalloc.so.2", "libjemalloc" },
	{ "mimalloc", "libmimalloc2.0", "libmimalloc.so.[23]", "libmimalloc" },
	{ "tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4", "libtcmalloc" },
};

/* Patterns: Debian has a directory per architecture, others have two. */
static const char *const directories[] = { "/usr/lib/*-linux-gnu*", "/usr/lib64",
					   "/usr/lib", "/usr/local/lib" };

static const struct allocator *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(allocators); i++)
		if (streq(allocators[i].name, name))
			return &allocators[i];

	return NULL;
}

bool allocator_is_glibc(const char *name)
{
	return streq(name, "glibc");
}

bool allocator_is_known(const char *name)
{
	return allocator_is_glibc(name) || find(name);
}

const char *allocator_package(const char *name)
{
	const struct allocator *allocator = find(name);

	return allocator ? allocator->package : "libc6";
}

/* Word size and machine, or 0 of what is no library. */
static unsigned int kind_of(const char *path)
{
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char head[20];

	if (fd < 0 || pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head, ELFMAG, SELFMAG) != 0)
		return 0;

	/* e_machine has its place in both word sizes. */
	return (unsigned int)head[EI_CLASS] << 16 | (unsigned int)head[18] << 8 | head[19];
}

/* The first match that fits; of several versions glob() gives the lower one first. */
static bool search(const char *pattern, unsigned int kind, char ret[static PATH_MAX])
{
	glob_t matches;
	bool found = false;

	if (glob(pattern, 0, NULL, &matches) != 0)
		return false;

	for (size_t i = 0; i < matches.gl_pathc && !found; i++) {
		const unsigned int own = kind_of(matches.gl_pathv[i]);

		found = own != 0 && (kind == 0 || own == kind) &&
			strlen(matches.gl_pathv[i]) < PATH_MAX;
		if (found)
			strcpy(ret, matches.gl_pathv[i]);
	}

	globfree(&matches);
	return found;
}

int allocator_find(const char *root, const char *name, const char *like,
		   char ret[static PATH_MAX])
{
	const struct allocator *allocator = find(name);
	const unsigned int kind = like ? kind_of(like) : 0;
	char pattern[PATH_MAX], path[PATH_MAX];
	int n;

	if (!allocator)
		return -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		n = snprintf(pattern, sizeof(pattern), "%s%s/%s", root ? root : "",
			     directories[i], allocator->library);
		if (n < 0 || (size_t)n >= sizeof(pattern))
			return -ENAMETOOLONG;
		if (!search(pattern, kind, path))
			continue;

		strcpy(ret, path + (root ? strlen(root) : 0));
		return 0;
	}

	return -ENOENT;
}

bool allocator_is_library(const char *entry, size_t n)
{
	const char *slash = memrchr(entry, '/', n);
	const char *base = slash ? slash + 1 : entry;
	const size_t left = n - (size_t)(base - entry);

	for (size_t i = 0; i < ARRAY_SIZE(allocators); i++) {
		const size_t length = strlen(allocators[i].stem);

		if (left > length && strncmp(base, allocators[i].stem, length) == 0)
			return true;
	}

	return false;
}
