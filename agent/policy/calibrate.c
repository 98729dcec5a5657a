/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Moving averages. What turns out costlier than predicted is learnt at once, what turns out
 * cheaper slowly: too long a stall is worse than a release put off.
 */

#include "agent/policy/calibrate.h"

#include "agent/basic/macro.h"

#define PERMILLE 1000

/* Less time than this is mostly noise. */
#define USEC_LEAST 300

/* Fewer bytes than this say nothing about a rate. */
#define BYTES_LEAST (4 * MIB)

static const struct {
	uint64_t least, most;
} full_bounds = { PERMILLE / 8, PERMILLE * 64 },
  borrow_bounds = { PERMILLE / 8, PERMILLE * 2 },
  stall_bounds = { 50, 10 * USEC_PER_SEC },
  rate_bounds = { 50, 50 * USEC_PER_MSEC };

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return MIN(MAX(value, least), most);
}

static uint64_t learn(uint32_t n, uint64_t old, uint64_t value)
{
	if (n == 0)
		return value;

	return value > old ? old + (value - old + 1) / 2 : old - (old - value) / 4;
}

/* In the order that loses least without overflow. */
static uint64_t permille_of(uint64_t value, uint64_t permille)
{
	return value > UINT64_MAX / PERMILLE / 8 ? mul_sat(value / PERMILLE, permille)
						 : value * permille / PERMILLE;
}

static uint32_t count(uint32_t n)
{
	return n < UINT32_MAX ? n + 1 : n;
}

uint64_t calibrate_full(const struct calibration *c, uint64_t usec, bool busy)
{
	/* What was learnt of an idle program holds for a busy one in proportion. */
	if (c->n_full[busy] > 0)
		return permille_of(usec, c->full_permille[busy]);
	if (c->n_full[!busy] > 0)
		return permille_of(usec, c->full_permille[!busy]);

	return usec;
}

void calibrate_borrow(const struct calibration *c, struct forecast *forecast)
{
	if (c->n_borrow == 0)
		return;

	forecast->bytes = permille_of(forecast->bytes, c->borrow_permille);
	forecast->stall_usec = brief_usec(c->borrow_stall_usec);
	if (c->borrow_usec_per_mib > 0)
		forecast->usec = brief_usec(
			mul_sat(forecast->bytes / KIB, c->borrow_usec_per_mib) / KIB);
}

/*
 * The trim itself, during which threads wait: what else belongs to a release, as splitting huge
 * pages, delays nobody. A hook that does not measure it: no longer than all of the release.
 */
static uint64_t trim_usec(const struct wire_reclaim_reply *reply)
{
	return reply->stall_usec > 0 ? MIN(reply->stall_usec, reply->duration_usec)
				     : reply->duration_usec;
}

struct calibration calibrate_add_full(const struct calibration *c,
				      const struct wire_reclaim_reply *reply, uint64_t usec,
				      bool busy)
{
	struct calibration next = *c;
	const uint64_t took_usec = trim_usec(reply);
	uint64_t permille;

	if (usec < USEC_LEAST || took_usec < USEC_LEAST)
		return next;

	permille = clamp(mul_sat(took_usec, PERMILLE) / usec, full_bounds.least,
			 full_bounds.most);
	next.full_permille[busy] =
		(uint32_t)learn(c->n_full[busy], c->full_permille[busy], permille);
	next.n_full[busy] = count(c->n_full[busy]);
	return next;
}

struct calibration calibrate_add_borrow(const struct calibration *c,
					const struct wire_reclaim_reply *reply, uint64_t bytes)
{
	const uint64_t released = sub_sat(reply->rss_before, reply->rss_after);
	struct calibration next = *c;

	next.borrow_stall_usec =
		learn(c->n_borrow, c->borrow_stall_usec,
		      clamp(reply->stall_usec, stall_bounds.least, stall_bounds.most));

	/* A release that was stopped before its end says nothing of what there was. */
	if (bytes >= BYTES_LEAST && reply->end == WIRE_END_DONE) {
		/* Of arenas that it does not reach it may be next to nothing of gigabytes. */
		const uint64_t least = reply->n_reached < reply->n_arenas ? 1 : borrow_bounds.least;
		const uint64_t permille =
			clamp(released / (bytes / PERMILLE), least, borrow_bounds.most);

		next.borrow_permille = (uint32_t)(c->borrow_permille == 0 ? permille
						  : (c->borrow_permille + permille) / 2);
		next.borrow_unreached = (uint32_t)sub_sat(reply->n_arenas, reply->n_reached);
	} else if (next.borrow_permille == 0) {
		next.borrow_permille = PERMILLE;
	}

	if (released >= BYTES_LEAST)
		next.borrow_usec_per_mib =
			learn(c->borrow_usec_per_mib > 0, c->borrow_usec_per_mib,
			      clamp(reply->duration_usec / (released / MIB),
				    rate_bounds.least, rate_bounds.most));

	next.n_borrow = count(c->n_borrow);
	return next;
}
