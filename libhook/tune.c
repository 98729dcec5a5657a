/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/weak.h"

#include "libhook/heap.h"
#include "libhook/mem.h"
#include "libhook/tune.h"

#define BIT(knob) (1U << (knob))

/* mallopt() takes no larger mmap threshold: half of the largest heap of an arena. */
#define MMAP_THRESHOLD_MAX (sizeof(long) == 8 ? UINT64_C(32) << 20 : UINT64_C(512) << 10)

static bool is_set(int parameter, uint64_t value)
{
	return mallopt && mallopt(parameter, (int)value) == 1;
}

/* Whose word counts for @knob? Ours, unless the operator has spoken. */
static bool is_free(const struct host *host, enum wire_knob knob)
{
	return !(host->environment.env_tuned & BIT(knob)) && !(host->explicit_knobs & BIT(knob));
}

/*
 * Setting either threshold ends glibc's own adaptation of both, so the other is set along,
 * by its rule: the trim threshold is twice the mmap threshold.
 */
static bool set_other(struct host *host, enum wire_knob knob, uint64_t value)
{
	const enum wire_knob other = knob == WIRE_KNOB_MMAP_THRESHOLD ? WIRE_KNOB_TRIM_THRESHOLD
								      : WIRE_KNOB_MMAP_THRESHOLD;
	uint64_t paired = other == WIRE_KNOB_TRIM_THRESHOLD ? 2 * value : value / 2;

	if (!is_free(host, other))
		return false;

	paired = wire_clamp(other, paired);
	if (other == WIRE_KNOB_MMAP_THRESHOLD && paired > MMAP_THRESHOLD_MAX)
		paired = MMAP_THRESHOLD_MAX;
	if (!is_set(other == WIRE_KNOB_TRIM_THRESHOLD ? M_TRIM_THRESHOLD : M_MMAP_THRESHOLD, paired))
		return false;

	host->tuned |= BIT(other);
	return true;
}

/*
 * glibc fixes the limit when a thread needs an arena and there are more than arena_test of
 * them, or a limit was set before; after that a new limit changes nothing. With one arena
 * more than arena_test nobody can tell whether a thread came since it was made.
 */
static enum wire_effect arena_effect(const struct host *host)
{
	struct wire_stats stats = { .flags = 0 };

	if (!heap_read(host->page_bytes, &stats))
		return WIRE_EFFECT_MAYBE;
	if (host->tuned & BIT(WIRE_KNOB_ARENA_MAX))
		return stats.n_arenas > 1 && (host->tuned_at_start & BIT(WIRE_KNOB_ARENA_MAX))
			       ? WIRE_EFFECT_LATE
			       : WIRE_EFFECT_MAYBE;
	if (stats.n_arenas <= host->environment.arena_test)
		return WIRE_EFFECT_SET;

	return stats.n_arenas == host->environment.arena_test + 1 ? WIRE_EFFECT_MAYBE : WIRE_EFFECT_LATE;
}

static enum wire_status tune_glibc(struct host *host, enum wire_knob knob, uint64_t value,
				   enum wire_effect *ret_effect)
{
	bool good = false;

	if (!mallopt || host->allocators.owner != WIRE_ALLOCATOR_GLIBC)
		return WIRE_UNSUPPORTED;

	switch (knob) {
	case WIRE_KNOB_ARENA_MAX:
		good = is_set(M_ARENA_MAX, value);
		break;
	case WIRE_KNOB_MMAP_THRESHOLD:
		good = is_set(M_MMAP_THRESHOLD, value);
		break;
	case WIRE_KNOB_TRIM_THRESHOLD:
		good = is_set(M_TRIM_THRESHOLD, value);
		break;
	case WIRE_KNOB_TOP_PAD:
		good = is_set(M_TOP_PAD, value);
		break;
	case WIRE_KNOB_DECAY:
	case WIRE_KNOB_MAX_:
		return WIRE_UNSUPPORTED;
	}

	if (!good)
		return WIRE_FAILED;

	host->explicit_knobs |= BIT(knob);
	*ret_effect = WIRE_EFFECT_SET;
	if ((knob == WIRE_KNOB_MMAP_THRESHOLD || knob == WIRE_KNOB_TRIM_THRESHOLD) &&
	    set_other(host, knob, value))
		*ret_effect = WIRE_EFFECT_PAIRED;

	return WIRE_OK;
}

static enum wire_status tune(struct host *host, enum wire_knob knob, uint64_t value,
			     enum wire_effect *ret_effect)
{
	if (knob == WIRE_KNOB_DECAY)
		return foreign_decay(&host->foreigners, value, host->environment.env_decay, ret_effect);

	return tune_glibc(host, knob, value, ret_effect);
}

enum wire_status tune_knob(struct host *host, enum wire_knob knob, uint64_t value,
			   enum wire_effect *ret_effect)
{
	enum wire_status status;

	*ret_effect = WIRE_EFFECT_SET;
	if (knob != WIRE_KNOB_DECAY && host->allocators.owner != WIRE_ALLOCATOR_GLIBC)
		return WIRE_UNSUPPORTED;
	if (knob != WIRE_KNOB_DECAY && (host->environment.env_tuned & BIT(knob))) {
		*ret_effect = WIRE_EFFECT_OPERATOR;
		return WIRE_REFUSED;
	}

	status = tune(host, knob, value, ret_effect);
	/* Counted afterwards, since more may be made in between. */
	if (knob == WIRE_KNOB_ARENA_MAX && status == WIRE_OK)
		*ret_effect = arena_effect(host);
	if (status == WIRE_OK)
		host->tuned |= BIT(knob);

	return status;
}

void tune_at_start(struct host *host)
{
	struct environment *e = &host->environment;
	const uint32_t decaying = host->allocators.present &
				  (WIRE_ALLOCATOR_JEMALLOC | WIRE_ALLOCATOR_MIMALLOC);
	enum wire_effect effect;

	/* The operator's, when nobody is left for ours. */
	if (decaying && !(decaying & ~e->env_decay))
		e->env_tuned |= BIT(WIRE_KNOB_DECAY);

	/* All that were given are given: neither threshold then follows the other. */
	host->explicit_knobs = e->knobs_set & ~e->env_tuned;
	for (int i = 1; i < WIRE_KNOB_MAX_; i++)
		if ((host->explicit_knobs & BIT(i)) &&
		    tune(host, (enum wire_knob)i, e->knobs[i], &effect) == WIRE_OK)
			host->tuned |= BIT(i);

	host->tuned_at_start = host->tuned;
}
