/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is told beside a verdict: what it was seen by, and what may be done. */

#include "agent/policy/verdict-facts.h"

#include "agent/basic/macro.h"

/* Nobody types a command for less. */
#define RELEASE_LEAST_BYTES (4 * MIB)

/* Where it can be little in bytes, and all that there is room for. */
#define SMALL_BYTES (256 * MIB)

/* Threads of this much outside of malloc each, or less: it may well be their stacks. */
#define STACK_BYTES (8 * MIB)
#define MANY_THREADS 16

/* More arenas than this are worth a cap. */
#define MANY_ARENAS 4

static void show(struct diagnosis *d, enum fact fact, uint64_t value)
{
	if (d->n_evidence < DIAGNOSIS_EVIDENCE_MAX)
		d->evidence[d->n_evidence++] = (struct evidence){ fact, value };
}

static void show_some(struct diagnosis *d, enum fact fact, uint64_t value)
{
	if (value > 0)
		show(d, fact, value);
}

/* The counters are not in step: a little is nothing. */
static void show_part(const struct facts *f, struct diagnosis *d, enum fact fact, uint64_t bytes)
{
	if (bytes > f->other_bytes / 16)
		show(d, fact, bytes);
}

static void show_release(const struct facts *f, struct diagnosis *d)
{
	const struct benefit *b = f->benefit;
	const struct sums *s = f->sums;
	uint64_t released_bytes = s->released_bytes, expected_bytes = s->expected_bytes;

	if (s->release_usec == 0)
		return;

	/* By the charge: members that share pages cannot tell. */
	if (b && b->n_rounds > 0 && b->last_round_usec >= s->release_usec) {
		released_bytes = b->last_released_bytes;
		expected_bytes = MIN(expected_bytes, add_sat(b->last_usage_bytes, released_bytes));
	}

	show(d, FACT_RELEASED_BYTES, released_bytes);
	show_some(d, FACT_EXPECTED_BYTES, expected_bytes);
	show(d, FACT_RELEASE_AGE_USEC, sub_sat(f->now_usec, s->release_usec));
	if (b && b->look_usec > 0 && b->look_usec == b->last_round_usec)
		show(d, FACT_RETURNED_BYTES, b->returned_bytes);
}

static void show_limit(const struct facts *f, struct diagnosis *d)
{
	show(d, FACT_ANON_BYTES, f->anon_bytes);
	if (f->limit_bytes != BYTES_INFINITY)
		show(d, FACT_LIMIT_BYTES, f->limit_bytes);
}

static void show_rise(const struct facts *f, struct diagnosis *d)
{
	const struct sums *s = f->sums;

	if (s->floor_last_bytes == 0)
		return;

	show(d, FACT_FLOOR_FIRST_BYTES, s->floor_first_bytes);
	show(d, FACT_FLOOR_LAST_BYTES, s->floor_last_bytes);
	show(d, FACT_FLOOR_SPAN_USEC, s->floor_span_usec);
	show(d, FACT_FLOOR_FIGURES, s->n_floor_figures);
}

static void show_not_malloc(const struct facts *f, struct diagnosis *d)
{
	const struct sums *s = f->sums;

	show(d, FACT_OTHER_ANON_BYTES, f->other_bytes);
	show_part(f, d, FACT_UNHOOKED_BYTES, f->unhooked_bytes);
	show_part(f, d, FACT_BELOW_BYTES, f->below_bytes);
	show_part(f, d, FACT_SHMEM_BYTES, f->shmem_bytes);
	show_part(f, d, FACT_LOCKED_BYTES, f->locked_bytes);
	show_part(f, d, FACT_KERNEL_BYTES, f->kernel_bytes);
	if (s->beside)
		show(d, FACT_CHARGED_BYTES, f->anon_bytes);
	else
		show(d, FACT_ANON_BYTES, sub_sat(f->anon_bytes, f->shmem_bytes));
	show(d, FACT_IN_USE_BYTES, s->use.in_use_bytes);
	show_some(d, FACT_THREADS, s->n_threads);
	/* Where the charge is known that has what of it counts. */
	if (!s->beside)
		show_some(d, FACT_FILE_BYTES, sub_sat(s->file_bytes, f->shmem_bytes));
}

void verdict_show_evidence(const struct facts *f, struct diagnosis *d)
{
	const struct sums *s = f->sums;

	switch (d->verdict) {
	case VERDICT_UNKNOWN:
		show_limit(f, d);
		if (d->untold != 0)
			show_release(f, d);
		return;
	case VERDICT_GROWING:
		show_rise(f, d);
		show(d, FACT_IN_USE_BYTES, s->use.in_use_bytes);
		show_limit(f, d);
		show_some(d, FACT_SWAP_BYTES, s->swap_bytes);
		return;
	case VERDICT_RETAINED:
		show_release(f, d);
		show(d, FACT_RETAINED_BYTES, s->heap.retained_bytes);
		show_some(d, FACT_SWAPPED_FREE_BYTES, s->use.swapped_free_bytes);
		show(d, FACT_IN_USE_BYTES, s->use.in_use_bytes);
		show(d, FACT_ANON_BYTES, f->anon_bytes);
		/* In a small group it is much by that alone. */
		if (f->anon_bytes < SMALL_BYTES && f->limit_bytes != BYTES_INFINITY)
			show(d, FACT_LIMIT_BYTES, f->limit_bytes);
		show_some(d, FACT_HUGE_BYTES, s->huge_bytes);
		return;
	case VERDICT_FRAGMENTED:
		show(d, FACT_UNUSED_BYTES, s->use.unused_bytes);
		show(d, FACT_RETAINED_BYTES, s->heap.retained_bytes);
		show(d, FACT_IN_USE_BYTES, s->use.in_use_bytes);
		show_release(f, d);
		show_some(d, FACT_ARENAS, s->n_arenas);
		show_some(d, FACT_HUGE_BYTES, s->huge_bytes);
		return;
	case VERDICT_NOT_MALLOC:
		show_not_malloc(f, d);
		return;
	case VERDICT_HEALTHY:
		show(d, FACT_IN_USE_BYTES, s->use.in_use_bytes);
		show(d, FACT_RETAINED_BYTES, s->heap.retained_bytes);
		show_limit(f, d);
		if (s->n_judged > 0)
			show(d, FACT_FLOOR_SPAN_USEC, s->floor_span_usec);
		show_some(d, FACT_SWAP_BYTES, s->swap_bytes);
		return;
	case VERDICT_MAX_:
		return;
	}
}

static void advise(struct diagnosis *d, enum advice advice)
{
	if (d->n_advice < DIAGNOSIS_ADVICE_MAX)
		d->advice[d->n_advice++] = advice;
}

/*
 * Of those that Debian has: jemalloc keeps chunks of one size in pages of their own, tells
 * figures, and gives back when asked (README, "Figures"). A program on it already is sent to
 * mimalloc.
 */
static void advise_allocator(const struct facts *f, struct diagnosis *d)
{
	d->allocator = f->sums->owners & WIRE_ALLOCATOR_JEMALLOC ? "mimalloc" : "jemalloc";
	advise(d, ADVICE_ALLOCATOR);
}

static bool is_on_glibc(const struct facts *f)
{
	return f->sums->owners == 0 || (f->sums->owners & WIRE_ALLOCATOR_GLIBC) != 0;
}

/* A trail is worth following that leads to a good part of it: two of these at most. */
static void advise_part(const struct facts *f, struct diagnosis *d, enum advice advice,
			uint64_t bytes)
{
	if (bytes > f->other_bytes / 3)
		advise(d, advice);
}

static void advise_not_malloc(const struct facts *f, struct diagnosis *d)
{
	const struct sums *s = f->sums;
	const uint64_t parts = add_sat(add_sat(f->unhooked_bytes, f->below_bytes),
				       add_sat(f->shmem_bytes,
					       add_sat(f->locked_bytes, f->kernel_bytes)));
	const uint64_t own = sub_sat(f->other_bytes, parts);

	advise_part(f, d, ADVICE_HOOK, f->unhooked_bytes);
	advise_part(f, d, ADVICE_BELOW, f->below_bytes);
	advise_part(f, d, ADVICE_SHARED, f->shmem_bytes);
	advise_part(f, d, ADVICE_LOCKED, f->locked_bytes);
	advise_part(f, d, ADVICE_KERNEL, f->kernel_bytes);
	if (d->n_advice > 0 && own <= f->other_bytes / 4)
		return;

	if (s->n_stacks >= MANY_THREADS && own / s->n_stacks <= STACK_BYTES)
		advise(d, ADVICE_STACKS);
	advise(d, ADVICE_MAPS);
}

/* It may be retained no more: the last release has shown that it was. */
static bool is_worth_release(const struct facts *f)
{
	const struct heap *heap = &f->sums->heap;
	const uint64_t bytes = add_sat(add_sat(heap->retained_bytes, heap->untold_bytes),
				       f->sums->use.swapped_free_bytes);

	return bytes >= MAX(RELEASE_LEAST_BYTES, f->anon_bytes / 16);
}

/* The last release has shown how little there is to give; another one would show the same. */
static bool is_tried(const struct facts *f)
{
	const uint64_t left_bytes = sub_sat(f->sums->before_bytes, f->sums->released_bytes);

	return f->sums->release_usec > 0 &&
	       f->anon_bytes <= add_sat(left_bytes, PAID_LEAST_BYTES);
}

void verdict_advise(const struct facts *f, struct diagnosis *d)
{
	switch (d->verdict) {
	case VERDICT_UNKNOWN:
		if (f->sums->n_stopped > 0)
			advise(d, ADVICE_CONTINUE);
		if (d->untold != 0 && f->sums->n_opaque_lazy > 0)
			advise(d, ADVICE_DECAY);
		advise(d, d->untold != 0 && is_tried(f) ? ADVICE_HEAPTRACK : ADVICE_MEASURE);
		if (f->is_after_kill)
			advise(d, ADVICE_RAISE_LIMIT);
		return;
	case VERDICT_GROWING:
		advise(d, ADVICE_HEAPTRACK);
		advise(d, ADVICE_SANITIZER);
		advise(d, ADVICE_RAISE_LIMIT);
		return;
	case VERDICT_RETAINED:
		advise(d, is_worth_release(f) ? ADVICE_RELEASE : ADVICE_RELEASE_IDLE);
		if (is_on_glibc(f) && f->sums->n_arenas > MANY_ARENAS)
			advise(d, ADVICE_ARENA_MAX);
		if (f->sums->is_loose)
			advise(d, ADVICE_THRESHOLDS);
		return;
	case VERDICT_FRAGMENTED:
		if (f->sums->huge_bytes > f->sums->use.unused_bytes / 2)
			advise(d, ADVICE_HUGE_PAGES);
		if (is_on_glibc(f) && f->sums->n_arenas > MANY_ARENAS)
			advise(d, ADVICE_ARENA_MAX);
		advise_allocator(f, d);
		advise(d, ADVICE_RESTART);
		return;
	case VERDICT_NOT_MALLOC:
		advise_not_malloc(f, d);
		return;
	case VERDICT_HEALTHY:
		advise(d, f->is_short ? ADVICE_RAISE_LIMIT : ADVICE_NONE);
		return;
	case VERDICT_MAX_:
		return;
	}
}
