/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/allocator.h"
#include "libhook/loader.h"

sys_clock_t sys_clock;

/*
 * A non-PIE executable that takes the address of malloc makes that address its own (a
 * canonical PLT entry), so one match with libc among the four is enough: a program that
 * brings its own allocator brings all of them.
 */
static bool is_served_by(const struct foreign_object *object)
{
	return foreign_is_in(object, (const void *)&malloc) ||
	       foreign_is_in(object, (const void *)&realloc) ||
	       foreign_is_in(object, (const void *)&free) ||
	       foreign_is_in(object, loader_find("calloc"));
}

/*
 * One that makes all four its own, as Node does, leaves what every allocator brings as well
 * and hardly a program points to. Asked only where malloc is not libc's: dladdr1() reads all names
 * of an object.
 */
static const void *malloc_owner(void)
{
	typedef int ask_t(const void *, Dl_info *, void **, int);
	const void *address = (const void *)&malloc, *owner = foreign_owner_of(address);
	const ElfW(Sym) *symbol = NULL;
	Dl_info info = { 0 };
	const void *brought;
	ask_t *ask;

	if (!owner)
		return NULL;

	brought = foreign_owner_of(loader_find("malloc_usable_size"));
	if (brought == owner)
		return owner;

	ask = (ask_t *)loader_find("dladdr1");
	if (ask && ask(address, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 && symbol &&
	    symbol->st_shndx == SHN_UNDEF)
		return brought;

	return owner;
}

/* By a name that glibc has nowhere else: before 2.34 its libpthread has an __errno_location, too. */
struct foreign_object allocator_libc(void)
{
	return foreign_object_of(gnu_get_libc_version ? (const void *)&gnu_get_libc_version
						      : (const void *)&__errno_location);
}

void allocator_find(const struct foreign_object *any_libc, const struct environment_symbols *symbols,
		    struct allocators *ret, struct foreigners *ret_foreigners)
{
	const struct foreign_object none = { 0 }, libc = gnu_get_libc_version ? *any_libc : none;
	const void *owner = libc.parts;

	if (!libc.parts || !foreign_is_in(&libc, (const void *)&malloc))
		owner = malloc_owner();

	foreign_find(ret_foreigners, symbols);
	*ret = (struct allocators){ .present = ret_foreigners->present };
	if (foreign_is_in(&libc, (const void *)&clock_gettime))
		ret->clock = clock_gettime;

	if (libc.parts)
		ret->present |= WIRE_ALLOCATOR_GLIBC;

	if (libc.parts && (owner == libc.parts || is_served_by(&libc)))
		ret->owner = WIRE_ALLOCATOR_GLIBC;
	for (uint32_t i = 0; ret->owner == 0 && owner && i < ret_foreigners->n; i++)
		if (ret_foreigners->all[i].object.parts == owner)
			ret->owner = ret_foreigners->all[i].bit;
	if (ret->owner == 0)
		ret->owner = WIRE_ALLOCATOR_OTHER;
	ret->present |= ret->owner;
}
