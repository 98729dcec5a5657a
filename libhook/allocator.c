/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <limits.h>

#include "libhook/allocator.h"
#include "libhook/mem.h"

sys_clock_t sys_clock;

/* The object that holds @address; NULL when unknown. */
static const void *owner_of(const void *address)
{
	Dl_info info = { 0 };

	if (!address || !dladdr || dladdr(address, &info) == 0)
		return NULL;

	return info.dli_fbase;
}

/*
 * A non-PIE executable that takes the address of malloc makes that address its own (a
 * canonical PLT entry), so one match with libc among the four is enough: a program that
 * brings its own allocator brings all of them.
 */
static bool libc_serves(const void *libc)
{
	return owner_of((const void *)&malloc) == libc || owner_of((const void *)&calloc) == libc ||
	       owner_of((const void *)&realloc) == libc || owner_of((const void *)&free) == libc;
}

void allocator_find(struct allocators *ret)
{
	const void *libc = owner_of((const void *)&gnu_get_libc_version);
	const void *owner = owner_of((const void *)&malloc);
	const struct {
		const void *address;
		uint32_t bit;
	} others[] = {
		{ (const void *)&mallctl, WIRE_ALLOCATOR_JEMALLOC },
		{ (const void *)&mi_version, WIRE_ALLOCATOR_MIMALLOC },
		{ (const void *)&MallocExtension_ReleaseFreeMemory, WIRE_ALLOCATOR_TCMALLOC },
	};

	*ret = (struct allocators){ 0 };
	if (libc && owner_of((const void *)&clock_gettime) == libc)
		sys_clock = clock_gettime;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!others[i].address)
			continue;
		ret->present |= others[i].bit;
		if (owner && owner_of(others[i].address) == owner)
			ret->owner = others[i].bit;
	}

	if (libc)
		ret->present |= WIRE_ALLOCATOR_GLIBC;
	if (libc && libc_serves(libc))
		ret->owner = WIRE_ALLOCATOR_GLIBC;
	else if (ret->owner == 0)
		ret->owner = WIRE_ALLOCATOR_OTHER;
	ret->present |= ret->owner;
}

enum wire_status allocator_tune(enum wire_knob knob, uint64_t value)
{
	static const int params[WIRE_KNOB_MAX_] = {
		[WIRE_KNOB_ARENA_MAX] = M_ARENA_MAX,
		[WIRE_KNOB_MMAP_THRESHOLD] = M_MMAP_THRESHOLD,
		[WIRE_KNOB_TRIM_THRESHOLD] = M_TRIM_THRESHOLD,
		[WIRE_KNOB_TOP_PAD] = M_TOP_PAD,
	};

	if (!mallopt)
		return WIRE_UNSUPPORTED;
	if (knob == WIRE_KNOB_DECAY)
		return WIRE_UNSUPPORTED;
	if (knob <= 0 || knob >= WIRE_KNOB_MAX_ || value > INT_MAX)
		return WIRE_FAILED;

	return mallopt(params[knob], (int)value) == 1 ? WIRE_OK : WIRE_FAILED;
}
