/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Allocators other than glibc's, several at once: found in the constructor, called on the
 * agent's thread. A process can have jemalloc under more than one name.
 */

#include "libhook/weak.h"

#include <stdbool.h>
#include <stdint.h>

#include "libhook/environment.h"
#include "libhook/wire.h"

#define FOREIGN_MAX 7

/* What the loader has mapped of one object. */
struct foreign_object {
	uintptr_t base;
	const ElfW(Phdr) *parts; /* as good a name for an object as any; NULL: there is none */
	int n_parts;
};

/* One allocator in the process. */
struct foreign {
	uint32_t bit; /* of enum wire_allocator */
	union {
		foreign_mallctl_t *mallctl; /* jemalloc's, under whatever name */
		foreign_google_t *google;   /* google/tcmalloc's */
	};
	struct foreign_object object; /* that it is in */
	int usable; /* 0 not asked yet, 1 its version is one we know, -1 it is not */
};

struct foreigners {
	uint32_t n;
	uint32_t present; /* bits of all whose names are here, also of those not to be called */
	struct foreign all[FOREIGN_MAX];
};

/* The object that holds @address. Constructor only: asks the loader, which goes through all. */
struct foreign_object foreign_object_of(const void *address);
bool foreign_is_in(const struct foreign_object *object, const void *address);

/* Its name alone; NULL when unknown. */
const void *foreign_owner_of(const void *address);

/* Constructor only. @symbols: where the executable has what it does not export. */
void foreign_find(struct foreigners *ret, const struct environment_symbols *symbols);

/* Cheap: counters, no walk over free lists. jemalloc sums its own under a lock of their own. */
void foreign_read(struct foreigners *foreigners, struct wire_foreign ret[static WIRE_FOREIGN]);

/*
 * Asks those that @request allows, one after the other, within its limits and while
 * @go_on(@arg) where there is a place to stop. Adds to allocators, and raises stall_usec and
 * end, in @reply. True when there was one to ask.
 */
bool foreign_reclaim(struct foreigners *foreigners, const struct wire_reclaim_request *request,
		     bool (*go_on)(void *arg), void *arg, struct wire_reclaim_reply *reply);

/*
 * How long what is free may be kept. @operator: allocators whose own variables say so
 * already, and are left alone; so is a jemalloc that was told so in another way.
 */
enum wire_status foreign_decay(struct foreigners *foreigners, uint64_t msec, uint32_t operator,
			       enum wire_effect *ret_effect);
