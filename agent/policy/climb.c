/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/policy/climb.h"

#include <string.h>

#include "agent/basic/macro.h"

#define SPAN_MSEC 4000
#define SPAN_USEC (SPAN_MSEC * USEC_PER_MSEC)

/* A share of the limit in 8 bits; 0 is for none. */
#define SHARE_MAX 254
/* Less is the error of it. */
#define RISE_MIN 2
#define STEPS_MIN 2
#define APART_MIN 2
/* Of each rise between the thirds: this part of both. One step is in one of them. */
#define EVEN_PART 4
#define THIRD ((CLIMB_SPANS - 1) / 3)

_Static_assert(CLIMB_SPANS == 3 * THIRD + 1, "the running one, and three thirds");

static uint8_t share_in_bits(const struct reading *reading)
{
	const uint64_t taken_kib = MIN(reading_taken_bytes(reading), reading->limit_bytes) / KIB;

	return (uint8_t)(taken_kib * SHARE_MAX / MAX(reading->limit_bytes / KIB, 1U) + 1);
}

static uint64_t bytes_of(unsigned int share, const struct reading *reading)
{
	return reading->limit_bytes / SHARE_MAX * share;
}

/* Which it is, and how high. */
static uint32_t limit_key(const struct group *group)
{
	return (uint32_t)(group->reading.limit_bytes / KIB) * 31 + group->limit_level + 1;
}

static unsigned int least(const uint8_t *lows, unsigned int n)
{
	unsigned int low = lows[0];

	for (unsigned int i = 1; i < n; i++)
		low = MIN(low, lows[i]);

	return low;
}

/* For a minute nothing but the error. */
static bool is_flat(const struct alert_climb *climb)
{
	unsigned int high = 0;

	for (unsigned int i = 0; i < CLIMB_SPANS; i++)
		high = MAX(high, climb->lows[i]);

	return high < least(climb->lows, CLIMB_SPANS) + RISE_MIN;
}

/* Spans without a look are as those around them. */
static void shift(struct alert_climb *climb, uint32_t n_spans, uint8_t share)
{
	const uint8_t between = MIN(climb->lows[0], share);
	const uint32_t n = MIN(n_spans, (uint32_t)CLIMB_SPANS);

	memmove(climb->lows + n, climb->lows, CLIMB_SPANS - n);
	memset(climb->lows, between, n);
	climb->lows[0] = share;
	climb->span_msec += n_spans * SPAN_MSEC;
}

bool climb_step(struct alert_climb *climb, const struct group *group, bool begins, uint64_t now_usec)
{
	const struct reading *reading = &group->reading;
	const uint32_t now_msec = (uint32_t)(now_usec / USEC_PER_MSEC);
	const uint32_t since_msec = now_msec - climb->span_msec;
	const uint8_t share = share_in_bits(reading);
	const uint32_t key = limit_key(group);
	const bool is_other = climb->limit_key != 0 && climb->limit_key != key;

	/* After a gap of a minute, too; and where the clock went back. */
	if (is_other || since_msec >= CLIMB_SPANS * SPAN_MSEC || is_flat(climb)) {
		*climb = (struct alert_climb){ .limit_key = is_other ? 0 : climb->limit_key };
		if (begins)
			*climb = (struct alert_climb){
				.limit_key = key, .span_msec = now_msec, .lows = { share } };
		return is_other;
	}

	if (since_msec >= SPAN_MSEC)
		shift(climb, since_msec / SPAN_MSEC, share);
	/* In the first one the step that began it may not be over. */
	climb->lows[0] = climb->lows[1] == 0 ? share : MIN(climb->lows[0], share);
	return false;
}

bool climb_is_followed(const struct alert_climb *climb)
{
	unsigned int low = SHARE_MAX + 1, high = 0;

	for (unsigned int i = 0; i < CLIMB_SPANS && climb->lows[i] > 0; i++) {
		low = MIN(low, climb->lows[i]);
		high = MAX(high, climb->lows[i]);
	}

	return high >= low + RISE_MIN;
}

bool climb_is_first(const struct alert_climb *climb)
{
	return climb->lows[2] == 0;
}

bool climb_in_steps(const struct alert_climb *climb, const struct reading *reading, bool is_told,
		    uint64_t *ret_bytes, uint64_t *ret_usec)
{
	const uint8_t *lows = climb->lows;
	unsigned int first = 0, last = 0, n = 0, pause;

	for (unsigned int i = 1; i + 1 < CLIMB_SPANS && lows[i + 1] > 0; i++) {
		if (lows[i] + RISE_MIN <= lows[i + 1])
			break;
		if (lows[i] < lows[i + 1] + RISE_MIN)
			continue;
		first = n++ > 0 ? first : i;
		last = i;
	}

	if (n < STEPS_MIN || last - first < APART_MIN)
		return false;

	/* Half a span at each end is not known. */
	pause = (last - first) / (n - 1) + 1;
	if (first - 1 > (is_told ? 2 * pause : pause))
		return false;

	*ret_bytes = bytes_of(lows[first] - lows[last + 1], reading);
	*ret_usec = (last - first) * SPAN_USEC * n / (n - 1);
	return true;
}

bool climb_under_teeth(const struct alert_climb *climb, const struct reading *reading,
		       uint64_t *ret_bytes, uint64_t *ret_usec)
{
	const unsigned int now = least(climb->lows + 1, THIRD),
			   before = least(climb->lows + 1 + THIRD, THIRD),
			   at_first = least(climb->lows + 1 + 2 * THIRD, THIRD);

	if (at_first == 0 || before < at_first + RISE_MIN || now < before + RISE_MIN ||
	    MIN(now - before, before - at_first) < (now - at_first) / EVEN_PART)
		return false;

	*ret_bytes = bytes_of(now - at_first, reading);
	*ret_usec = 2 * THIRD * SPAN_USEC;
	return true;
}
