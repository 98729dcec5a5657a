/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a release would give, and what it would cost. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/model/group.h"
#include "agent/model/member.h"

/*
 * Expected release of a full trim in bytes: heap RSS less what cannot be dropped, as if all
 * of that were resident. @bias_bytes corrects it by what the last release showed; see
 * estimate_bias().
 */
uint64_t estimate_retained(const struct stats *stats, int64_t bias_bytes);

/*
 * From figures taken right after a release, when the prediction should be 0: what remains
 * though it was expected to go (above 0), or what never was resident (below).
 */
int64_t estimate_bias(const struct stats *stats);

/*
 * What is to be kept of it, after @last_bytes. Where threads have ended between the release and
 * the figures it is the most that can have been wrong, and nothing is known of the rest.
 */
int64_t estimate_next_bias(const struct stats *stats, int64_t last_bytes, bool have_ended);

/*
 * The cost model of a full trim before calibration, for a program that is @busy or not.
 * Longest stall: of its costliest arena; and how long it takes when @bytes are released.
 */
uint64_t estimate_stall_usec(const struct stats *stats, bool busy);
uint64_t estimate_release_usec(const struct stats *stats, uint64_t bytes, bool busy);

/* Its parts: visiting free chunks, and dropping pages. */
uint64_t estimate_walk_usec(uint32_t n_free, uint32_t n_page_free, bool busy);
uint64_t estimate_drop_usec(const struct stats *stats, uint64_t bytes, bool busy);

/* What METHOD_BORROW can reach of it, before calibration. */
uint64_t estimate_borrow_bytes(const struct stats *stats, uint64_t retained_bytes);

/* Fills in all that is predicted of @member, from its figures and its history. */
void estimate_member(struct member *member);

/*
 * For how long it would be borrowed from: as predicted, and longer by what it may take to give back all
 * that it has grown by since its figures.
 */
uint64_t estimate_borrow_usec(const struct member *member);

/* The part of it that is one arena's. */
void estimate_arena(const struct member *member, const struct wire_arena *arena,
		    struct forecast *ret);

/* There is a choice of methods at all; borrow is one of them; a stall would be felt. */
bool estimate_has_methods(const struct member *member);
bool estimate_can_borrow(const struct member *member);
bool estimate_is_busy(const struct member *member);
/* Somebody asks it for something now and then, and would have to wait. */
bool estimate_is_working(const struct member *member);

/*
 * What may be free of a program whose allocator tells nothing: what it has grown by since it was
 * last asked, once it does no work any more; where it never was, all that it has. Of mimalloc
 * only, which then gives back what threads left that have ended.
 */
uint64_t estimate_untold(const struct member *member);

/* What it is expected to give: by that method, or (METHOD_AUTO) by the one that gives more. */
uint64_t estimate_give(const struct member *member, enum method method);

/* Heap RSS that is not in use: what remains right after a release is the residue. */
uint64_t estimate_unused(const struct stats *stats);

/*
 * Of the heap, free and swapped out: it takes up swap until a release. Nothing asks for one on
 * its account while calm, since a trim has to read in the headers of free chunks.
 */
uint64_t estimate_swapped(const struct stats *stats, uint64_t retained_bytes);

/* What other allocators say that a purge could give back, and that they have handed out. */
uint64_t estimate_foreign(const struct stats *stats, uint64_t *ret_in_use_bytes);
