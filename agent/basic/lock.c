/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/lock.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Ours are four segments for each of a dozen objects, less what may be written to. */
#define RANGES_MAX 128

struct ranges {
	size_t n;
	struct range {
		char *begin;
		size_t n_bytes;
	} all[RANGES_MAX];
};

static int add_object(struct dl_phdr_info *info, size_t size, void *userdata)
{
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	struct ranges *ranges = userdata;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum && ranges->n < RANGES_MAX; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		const uintptr_t begin = (info->dlpi_addr + header->p_vaddr) & ~mask;
		const uintptr_t end = info->dlpi_addr + header->p_vaddr + header->p_memsz;

		if (header->p_type == PT_LOAD && !(header->p_flags & PF_W))
			ranges->all[ranges->n++] = (struct range){
				.begin = (char *)begin,
				.n_bytes = end - begin,
			};
	}

	return 0;
}

/*
 * Most of these pages served the start alone, as those of libraries that others of ours are
 * linked with: let go of, they are not locked. All at the end, because what says where they
 * are is in the first page of each object, and whoever reads one has those around it.
 */
static void drop_pages(void)
{
	struct ranges ranges = { .n = 0 };

	(void)dl_iterate_phdr(add_object, &ranges);
	for (size_t i = 0; i < ranges.n; i++)
		(void)madvise(ranges.all[i].begin, ranges.all[i].n_bytes, MADV_DONTNEED);
}

int lock_memory(void)
{
	drop_pages();
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno : 0;
}
