/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/allocator.h"

sys_clock_t sys_clock;

/*
 * A non-PIE executable that takes the address of malloc makes that address its own (a
 * canonical PLT entry), so one match with libc among the four is enough: a program that
 * brings its own allocator brings all of them.
 */
static bool is_served_by(const void *object)
{
	return object && (foreign_owner_of((const void *)&malloc) == object ||
			  foreign_owner_of((const void *)&calloc) == object ||
			  foreign_owner_of((const void *)&realloc) == object ||
			  foreign_owner_of((const void *)&free) == object);
}

/*
 * One that makes all four its own, as Node does, leaves what every allocator brings as well
 * and hardly a program points to. Asked only where the two differ: dladdr1() reads all names of
 * an object, which for libc took most of our time in a program's start.
 */
static const void *malloc_owner(const void *libc)
{
	const void *address = (const void *)&malloc, *owner = foreign_owner_of(address);
	const ElfW(Sym) *symbol = NULL;
	Dl_info info = { 0 };
	const void *brought;

	if (!owner || owner == libc)
		return owner;

	brought = foreign_owner_of((const void *)&malloc_usable_size);
	if (brought != owner && dladdr1 &&
	    dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 && symbol &&
	    symbol->st_shndx == SHN_UNDEF)
		return brought;

	return owner;
}

void allocator_find(const struct environment_symbols *symbols, struct allocators *ret,
		    struct foreigners *ret_foreigners)
{
	const void *libc = foreign_owner_of((const void *)&gnu_get_libc_version);
	const void *owner = malloc_owner(libc);

	foreign_find(ret_foreigners, symbols);
	*ret = (struct allocators){ .present = ret_foreigners->present };
	if (libc && foreign_owner_of((const void *)&clock_gettime) == libc)
		ret->clock = clock_gettime;

	if (libc)
		ret->present |= WIRE_ALLOCATOR_GLIBC;

	if (libc && (owner == libc || is_served_by(libc)))
		ret->owner = WIRE_ALLOCATOR_GLIBC;
	for (uint32_t i = 0; ret->owner == 0 && owner && i < ret_foreigners->n; i++)
		if (ret_foreigners->all[i].owner == owner)
			ret->owner = ret_foreigners->all[i].bit;
	if (ret->owner == 0)
		ret->owner = WIRE_ALLOCATOR_OTHER;
	ret->present |= ret->owner;
}
