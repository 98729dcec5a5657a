/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Remembers of a group's rounds what the next decision needs: did asking pay? */

#include "agent/policy/benefit.h"

#include "agent/basic/macro.h"

/* A release that gave less than this part of what was expected has disappointed. */
#define EXPECTED_PART 4

#define BACKOFF_MIN_USEC USEC_PER_SEC
#define BACKOFF_MAX_USEC (3600 * USEC_PER_SEC)

static bool disappoints(const struct group_settings *settings,
			const struct outcome *outcome, uint64_t released_bytes)
{
	return released_bytes < settings->min_release_bytes ||
	       released_bytes < outcome->expected_bytes / EXPECTED_PART;
}

static uint64_t backoff_longer(const struct group_settings *settings,
			       uint64_t backoff_usec)
{
	const uint64_t first = MAX(settings->cooldown_usec, BACKOFF_MIN_USEC);

	if (backoff_usec == 0)
		return MIN(first, BACKOFF_MAX_USEC);

	return backoff_usec > BACKOFF_MAX_USEC / 2 ? BACKOFF_MAX_USEC : 2 * backoff_usec;
}

/*
 * Nobody was asked, so nothing was learned but that there is no use in looking again
 * soon.
 */
static struct benefit add_quiet(const struct benefit *benefit,
				const struct outcome *outcome)
{
	struct benefit next = *benefit;

	if (outcome_is_quiet(outcome)) {
		next.last_quiet_usec = outcome->end_usec;
		next.last_quiet_reason = outcome->reason;
	}

	return next;
}

struct benefit benefit_add(const struct benefit *benefit,
			   const struct group_settings *settings,
			   const struct outcome *outcome)
{
	const uint64_t released = outcome_released_bytes(outcome);
	struct benefit next = *benefit;

	if (outcome->n_asked == 0)
		return add_quiet(benefit, outcome);

	next.n_rounds++;
	next.released_bytes += MIN(released, UINT64_MAX - next.released_bytes);
	next.last_round_usec = outcome->end_usec;
	next.last_released_bytes = released;
	next.last_usage_bytes = outcome->usage_after_bytes;

	/*
	 * A command may well name a group with nothing to give: no fault of the triggers.
	 */
	if (!disappoints(settings, outcome, released))
		next.backoff_usec = 0;
	else if (outcome->trigger != REASON_COMMAND)
		next.backoff_usec = backoff_longer(settings, benefit->backoff_usec);

	return next;
}
