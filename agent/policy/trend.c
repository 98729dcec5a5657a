/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Keeps the growth of a group from its readings, and plans the next one. */

#include "agent/policy/trend.h"

#include "agent/basic/macro.h"
#include "agent/policy/benefit.h"
#include "agent/policy/gate.h"
#include "agent/policy/warn.h"

/* Two readings closer than this measure the kernel's batching of charges, not growth. */
#define READING_MIN_USEC (5 * USEC_PER_MSEC)

/* A gap of a minute forgets all before it. */
#define GAP_MAX_USEC (60 * USEC_PER_SEC)

/*
 * Growth is smoothed over about a second, and over this part of the time to the limit where
 * that is longer: slow growth comes in steps, of the program and of the kernel's counting.
 */
#define SMOOTH_MIN_USEC USEC_PER_SEC
#define SMOOTH_MAX_USEC (4 * USEC_PER_SEC)
#define SMOOTH_PART 16

/* Growth of which no more than this part has come in the last seconds is over. */
#define OVER_PART 16

/* No machine fills memory faster; keeps every product below within 64 bits. */
#define RATE_MAX (INT64_C(1) << 50)

/* Usage within this much of a reference has not moved. */
#define STEADY_BYTES (4 * MIB)
#define STEADY_PERMYRIAD 200

/* The fastest growth that is still caught before it reaches the next threshold. */
#define FASTEST_BYTES_PER_SEC (2 * GIB)

#define SAMPLE_MIN_USEC (10 * USEC_PER_MSEC)
#define SAMPLE_MAX_USEC (5 * USEC_PER_SEC)
/* Above a threshold: as often as a decision can change anything. */
#define SAMPLE_OPEN_USEC (50 * USEC_PER_MSEC)
/* The kernel tells when UsageHigh is crossed; what remains to be seen is the trend. */
#define SAMPLE_EVENT_USEC (250 * USEC_PER_MSEC)
/* The kernel compares usage with thresholds at every 128 pages of each processor. */
#define WAKE_SLACK_BYTES (1 * MIB)
/* Nobody to ask: only the record profits from a reading. */
#define SAMPLE_HELPLESS_USEC USEC_PER_SEC
/* After a burst, so that memory it left behind is noticed while it is fresh. */
#define SAMPLE_FRESH_USEC USEC_PER_SEC
#define FRESH_USEC (10 * USEC_PER_SEC)

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* @x times @a over @b, for 0 < a <= b <= 2^32 and any x: exact but for the last unit. */
static int64_t scale(int64_t x, int64_t a, int64_t b)
{
	return x / b * a + x % b * a / b;
}

/* Bytes per second, at most RATE_MAX. */
static int64_t rate_of(uint64_t bytes, uint64_t usec)
{
	const uint64_t max = (uint64_t)RATE_MAX;
	uint64_t rate;

	/*
	 * Over such times whole seconds are fine, and the products below would not fit.
	 */
	if (usec > 3600 * USEC_PER_SEC)
		return (int64_t)MIN(bytes / (usec / USEC_PER_SEC), max);

	if (bytes / usec > max / USEC_PER_SEC)
		return RATE_MAX;

	rate = bytes / usec * USEC_PER_SEC + bytes % usec * USEC_PER_SEC / usec;
	return (int64_t)MIN(rate, max);
}

static bool is_steady(uint64_t anon_bytes, uint64_t reference_bytes)
{
	const uint64_t share = share_of(reference_bytes, STEADY_PERMYRIAD);

	return distance(anon_bytes, reference_bytes) <= MAX(STEADY_BYTES, share);
}

static uint64_t eta_of(const struct reading *reading, int64_t growth_bytes_per_sec)
{
	const uint64_t headroom = sub_sat(reading->limit_bytes, reading_taken_bytes(reading));
	uint64_t growth, rest;

	if (reading->limit_bytes == BYTES_INFINITY || growth_bytes_per_sec <= 0)
		return USEC_INFINITY;

	growth = (uint64_t)growth_bytes_per_sec;
	if (headroom / growth >= USEC_INFINITY / USEC_PER_SEC)
		return USEC_INFINITY;

	/*
	 * The rest is below growth, so where it is too large for microseconds so is
	 * growth.
	 */
	rest = headroom % growth;
	if (rest > UINT64_MAX / USEC_PER_SEC)
		rest /= growth / USEC_PER_SEC;
	else
		rest = rest * USEC_PER_SEC / growth;

	return headroom / growth * USEC_PER_SEC + rest;
}

/* As if @rate had been so for @dt of some @smooth_usec. */
static int64_t smoothed(int64_t growth, int64_t rate, int64_t dt, uint64_t smooth_usec)
{
	/* A fall ends where it falls no more: how steep it was is no news, and must not hide growth. */
	if (rate >= 0 && growth < 0)
		growth = 0;

	growth = CLAMP(growth, -RATE_MAX, RATE_MAX);
	return growth + scale(rate - growth, dt, dt + (int64_t)smooth_usec);
}

/* Its growth was over: what is left of it is an echo that fades, which nobody should take for growth. */
static bool is_over(const struct trend *trend)
{
	return trend->growth_bytes_per_sec == 0 && trend->brief_bytes_per_sec > 0;
}

/* Smoothing alone would have it end in half a minute. When it comes back it is smoothed as what goes on. */
static void end_growth(struct trend *next, int64_t rate)
{
	const int64_t part = next->growth_bytes_per_sec / OVER_PART;

	if (part > 0 && rate < part && next->brief_bytes_per_sec < part)
		next->growth_bytes_per_sec = 0;
}

static void step_growth(struct trend *next, const struct trend *trend,
			const struct reading *reading)
{
	const uint64_t elapsed = reading->time_usec - trend->time_usec;
	const int64_t dt = (int64_t)MIN(elapsed, GAP_MAX_USEC);
	const uint64_t taken = reading_taken_bytes(reading);
	int64_t rate = rate_of(distance(taken, trend->anon_bytes), elapsed);

	if (taken < trend->anon_bytes)
		rate = -rate;

	/*
	 * A release or a burst's end: what grew before is gone, and its growth with it.
	 */
	if (rate < 0 && !is_steady(taken, trend->anon_bytes)) {
		next->growth_bytes_per_sec = next->brief_bytes_per_sec = rate;
		return;
	}

	next->brief_bytes_per_sec =
		smoothed(trend->brief_bytes_per_sec, rate, dt, SMOOTH_MIN_USEC);
	next->growth_bytes_per_sec =
		smoothed(trend->growth_bytes_per_sec, rate, dt,
			 CLAMP(trend->eta_usec / SMOOTH_PART, SMOOTH_MIN_USEC, SMOOTH_MAX_USEC));

	/* When there is little time, or nothing to smooth, the second is what counts. */
	if ((trend->growth_bytes_per_sec <= 0 && !is_over(trend)) || next->brief_bytes_per_sec <= 0 ||
	    eta_of(reading, next->brief_bytes_per_sec) < SMOOTH_PART * SMOOTH_MIN_USEC)
		next->growth_bytes_per_sec = next->brief_bytes_per_sec;
	end_growth(next, rate);
}

void trend_move(struct trend *trend, const struct reading *last, const struct reading *next)
{
	if (trend->time_usec == 0)
		return;

	trend->anon_bytes =
		sub_sat(add_sat(trend->anon_bytes, next->others_bytes), last->others_bytes);
}

struct trend trend_add(const struct trend *trend, const struct reading *reading)
{
	struct trend next = *trend;

	if (reading->time_usec == 0)
		return next;

	if (trend->time_usec == 0)
		return (struct trend){
			.time_usec = reading->time_usec,
			.anon_bytes = reading_taken_bytes(reading),
			.eta_usec = USEC_INFINITY,
			.steady_since_usec = reading->time_usec,
			.steady_bytes = reading->anon_bytes,
		};

	/* The older value stays, so that growth seen in small steps is not lost. */
	if (sub_sat(reading->time_usec, trend->time_usec) < READING_MIN_USEC)
		return next;

	step_growth(&next, trend, reading);
	next.eta_usec = eta_of(reading, next.growth_bytes_per_sec);
	next.time_usec = reading->time_usec;
	next.anon_bytes = reading_taken_bytes(reading);

	if (!is_steady(reading->anon_bytes, trend->steady_bytes)) {
		next.steady_since_usec = reading->time_usec;
		next.steady_bytes = reading->anon_bytes;
	}

	return next;
}

/* Bytes at a threshold; infinity where it is off or there is no limit. */
static uint64_t threshold_bytes(const struct group *group, uint64_t permyriad)
{
	if (permyriad == 0)
		return BYTES_INFINITY;

	return share_of(group->reading.limit_bytes, permyriad);
}

/* The last round closed it. */
static bool is_held(const struct gate *gate)
{
	return gate->state == GATE_SETTLING || gate->reason == REASON_BACKOFF ||
	       gate->reason == REASON_RETURNED;
}

/*
 * Time in which the fastest growth would reach the next threshold that can open the gate.
 */
static uint64_t reach_usec(const struct group *group)
{
	const uint64_t taken = reading_taken_bytes(&group->reading);
	const uint64_t high =
		threshold_bytes(group, group->settings->usage_high_permyriad);
	uint64_t next = threshold_bytes(group, group->settings->usage_critical_permyriad);

	/* Then only CRITICAL opens it, or what has been released being gone again. */
	if (is_held(&group->gate) && taken < benefit_half_way_bytes(group))
		next = MIN(next, benefit_half_way_bytes(group));
	else if (taken < high && !is_held(&group->gate))
		next = MIN(next, high);

	if (taken >= next || next == BYTES_INFINITY)
		next = group->reading.limit_bytes;

	if (next == BYTES_INFINITY)
		return SAMPLE_MAX_USEC;

	/* In KiB, since bytes times a million need not fit. */
	return sub_sat(next, taken) / KIB * USEC_PER_SEC / (FASTEST_BYTES_PER_SEC / KIB);
}

/* Microseconds before which no reading can change anything, because of the cool-down. */
static uint64_t settled_usec(const struct group *group, uint64_t now_usec)
{
	const uint64_t since = sub_sat(now_usec, group_benefit(group)->last_round_usec);

	if (!is_held(&group->gate) || benefit_half_way_bytes(group) != BYTES_INFINITY)
		return 0;

	return sub_sat(gate_soonest_usec(group->settings), since);
}

/* The least pause that is worth a wake-up. */
static uint64_t floor_usec(const struct group *group, bool has_event)
{
	const struct gate *gate = &group->gate;
	const bool below = reading_taken_bytes(&group->reading) <
			   threshold_bytes(group, group->settings->usage_high_permyriad);

	if (gate->reason == REASON_NO_MEMBERS || gate->reason == REASON_MAX_PER_HOUR)
		return SAMPLE_HELPLESS_USEC;

	/* Until the round that is under way ends, only what is more urgent is to be seen. */
	if (group->yields)
		return SAMPLE_MIN_USEC;
	if (gate_is_open(gate) || !below)
		return SAMPLE_OPEN_USEC;

	return has_event ? SAMPLE_EVENT_USEC : SAMPLE_MIN_USEC;
}

/* The longest pause that misses nothing but a jump to a threshold. */
static uint64_t ceiling_usec(const struct group *group, uint64_t now_usec)
{
	const struct gate *gate = &group->gate;

	if (gate_is_open(gate))
		return SAMPLE_OPEN_USEC;

	if (is_held(gate) && gate->until_usec > now_usec)
		return MIN(gate->until_usec - now_usec, SAMPLE_MAX_USEC);

	/* Its turn may come soon. */
	if (gate->reason == REASON_OTHERS)
		return SAMPLE_FRESH_USEC;

	/* Growth or a step? It has to be seen several times to be told in time. */
	if (group->trend.growth_bytes_per_sec > 0 &&
	    group->trend.eta_usec <= WARN_KILL_NEAR_USEC)
		return SAMPLE_FRESH_USEC;

	if (group->climbs || benefit_has_left(group))
		return SAMPLE_FRESH_USEC;

	if (group->settings->retained_high_bytes > 0 && group->trend.time_usec > 0 &&
	    sub_sat(now_usec, group->trend.steady_since_usec) < FRESH_USEC)
		return SAMPLE_FRESH_USEC;

	return SAMPLE_MAX_USEC;
}

uint64_t trend_next_usec(const struct group *group, bool has_event, uint64_t now_usec)
{
	uint64_t next;

	/* Nothing is known yet. */
	if (group->reading.time_usec == 0)
		return SAMPLE_MIN_USEC;

	next = MAX(reach_usec(group), settled_usec(group, now_usec));
	next = MIN(next, ceiling_usec(group, now_usec));
	next = MAX(next, floor_usec(group, has_event));
	return CLAMP(next, SAMPLE_MIN_USEC, SAMPLE_MAX_USEC);
}

static uint64_t high_bytes(const struct group *group)
{
	return threshold_bytes(group, group->settings->usage_high_permyriad);
}

uint64_t trend_wake_bytes(const struct group *group)
{
	const struct reading *reading = &group->reading;
	const uint64_t high = high_bytes(group);
	/* What is held is on its way out most often: it shows while a program gives memory back. */
	const uint64_t charged = add_sat(reading->anon_bytes, reading->held_bytes);
	uint64_t bytes;

	/* When it falls and rises again, that is to be told. */
	if (high == BYTES_INFINITY || reading->usage_bytes < high || charged >= high)
		return high;

	bytes = add_sat(reading->usage_bytes, high - charged);
	return bytes < reading->limit_bytes ? bytes : BYTES_INFINITY;
}

bool trend_is_in_place(const struct group *group, uint64_t bytes)
{
	const struct reading *reading = &group->reading;
	const uint64_t high = high_bytes(group);

	return high != BYTES_INFINITY && reading->usage_bytes < bytes &&
	       bytes < reading->limit_bytes &&
	       bytes - reading->usage_bytes <=
		       add_sat(sub_sat(high, reading->anon_bytes), WAKE_SLACK_BYTES);
}

bool trend_is_awaited(const struct group *group, uint64_t bytes)
{
	return group->reading.others_bytes == 0 && trend_is_in_place(group, bytes);
}
