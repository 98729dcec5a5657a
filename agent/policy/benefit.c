/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Remembers of a group's rounds what the next decision needs: did asking pay? */

#include "agent/policy/benefit.h"

#include "agent/basic/macro.h"

/* A release that gave less than this part of what was expected has disappointed. */
#define EXPECTED_PART 4

#define BACKOFF_MIN_USEC USEC_PER_SEC
#define BACKOFF_MAX_USEC (3600 * USEC_PER_SEC)

/* The same near a kill, where a minute is long and a useless question is not the worst. */
#define URGENT_BACKOFF_MIN_USEC USEC_PER_SEC
#define URGENT_BACKOFF_MAX_USEC (32 * USEC_PER_SEC)

/* Memory that is used again each minute is dear to give back: that costs a fault a page. */
#define CALM_BACKOFF_MAX_USEC (300 * USEC_PER_SEC)

/* Part of the limit that counts as something near a kill, also where MinRelease= is more. */
#define USEFUL_PART 64

/* What the program has given back itself is a new beginning from this part of it on. */
#define FALL_PART 4

/*
 * Threads that wait for more work end after some seconds without any, and only then is free what
 * their caches held: small blocks between the holes that a release has just emptied. Too little to
 * begin a round for, but after a large one it is asked for once, where it is worth the walk.
 */
#define LEFT_USEC (60 * USEC_PER_SEC)
#define LEFT_PART 4       /* of MinRelease= */
#define LEFT_HELD_PART 16 /* of what the members hold */

/* Quiet rounds further apart than this do not belong together; twice the longest pause of each kind. */
#define QUIET_FORGET_USEC (64 * USEC_PER_SEC)
#define OBSERVED_FORGET_USEC (2 * BACKOFF_MAX_USEC)

static uint64_t useful_bytes(const struct group *group)
{
	return MAX(MIN(group->settings->min_release_bytes,
		       group->reading.limit_bytes / USEFUL_PART),
		   1);
}

static bool disappoints(const struct group *group, const struct outcome *outcome,
			uint64_t paid_bytes)
{
	const uint64_t least_bytes = benefit_least_bytes(group, outcome_cause(outcome));

	/* It hurried because the group took more than it gave, which is not its fault. */
	if (outcome->hurried != REASON_NONE)
		paid_bytes = MAX(paid_bytes, sub_sat(outcome->rss_before_bytes,
						     outcome->rss_after_bytes));

	/* What was enough was not too little. */
	return (paid_bytes < least_bytes && outcome->n_not_needed == 0) ||
	       paid_bytes < outcome->expected_bytes / EXPECTED_PART;
}

/*
 * Near a kill little is welcome, and the others may have taken meanwhile what the members
 * gave.
 */
static bool is_useless(const struct group *group, const struct outcome *outcome,
		       uint64_t paid_bytes)
{
	const uint64_t given =
		sub_sat(outcome->rss_before_bytes, outcome->rss_after_bytes);

	return MAX(given, paid_bytes) < useful_bytes(group);
}

/* Not after a command: who gives those sees what is left. */
static bool is_large(const struct group_settings *settings, const struct outcome *outcome,
		     uint64_t paid_bytes)
{
	return outcome_cause(outcome) != REASON_COMMAND && settings->retained_high_bytes > 0 &&
	       paid_bytes >= settings->retained_high_bytes;
}

bool benefit_has_left(const struct group *group)
{
	return group_benefit(group)->left_until_usec > group->reading.time_usec;
}

uint64_t benefit_least_bytes(const struct group *group, enum reason trigger)
{
	const uint64_t least_bytes = MAX(group->settings->min_release_bytes, 1);

	if (reason_is_calm(trigger) && benefit_has_left(group))
		return MAX(least_bytes / LEFT_PART, 1);

	return least_bytes;
}

uint64_t benefit_calm_bytes(const struct group *group)
{
	const uint64_t high_bytes = group->settings->retained_high_bytes;

	if (high_bytes == 0)
		return BYTES_INFINITY;
	if (!benefit_has_left(group))
		return high_bytes;

	return MIN(high_bytes, MAX(benefit_least_bytes(group, REASON_LEFT),
				   group->heap.rss_bytes / LEFT_HELD_PART));
}

static uint64_t longer(uint64_t backoff_usec, uint64_t first_usec, uint64_t last_usec)
{
	if (backoff_usec == 0)
		return MIN(first_usec, last_usec);

	return backoff_usec > last_usec / 2 ? last_usec : 2 * backoff_usec;
}

/* What people are told of a round that asked nobody: what would have been done, or why nothing. */
static uint32_t news_of(const struct outcome *outcome)
{
	return UINT32_C(1) << (outcome->reason == REASON_OBSERVE ? outcome->trigger
								 : outcome->reason);
}

/* All was calm since, and long enough ago: who swings about a threshold is not told of each time. */
static bool is_new_row(const struct benefit *b, const struct outcome *outcome)
{
	return b->told_over &&
	       sub_sat(outcome->end_usec, b->told_usec) >= b->told_backoff_usec;
}

bool benefit_is_news(const struct group *group, const struct outcome *outcome)
{
	const struct benefit *b = group_benefit(group);
	const bool near = outcome->trigger == REASON_USAGE_HIGH ||
			  outcome->trigger == REASON_USAGE_CRITICAL;

	_Static_assert(REASON_MAX_ <= 32, "a bit for each");
	if (!outcome_is_quiet(outcome))
		return true;
	if (outcome->reason != REASON_OBSERVE && !near)
		return false;

	return !(b->told & news_of(outcome)) || is_new_row(b, outcome);
}

bool benefit_ends_row(const struct group *group)
{
	const uint32_t calm = UINT32_C(1) << REASON_RETAINED | UINT32_C(1) << REASON_LEFT |
			      UINT32_C(1) << REASON_UNTOLD;
	const struct benefit *b = group_benefit(group);

	if (b->told_over)
		return false;

	return (group->gate.state == GATE_CALM && b->told != 0) ||
	       (group->gate.state == GATE_RETAINING && (b->told & ~calm) != 0);
}

static void add_told(struct benefit *next, const struct group *group,
		     const struct outcome *outcome)
{
	const uint64_t since = sub_sat(outcome->end_usec, next->told_usec);

	if (is_new_row(next, outcome)) {
		next->told = 0;
		next->told_over = false;
	}

	next->told |= news_of(outcome);
	next->told_backoff_usec = longer(since >= OBSERVED_FORGET_USEC ? 0 : next->told_backoff_usec,
					 MAX(group->settings->cooldown_usec, BACKOFF_MIN_USEC),
					 BACKOFF_MAX_USEC);
	next->told_usec = outcome->end_usec;
}

static void add_quiet(struct benefit *next, const struct group *group,
		      const struct outcome *outcome)
{
	const bool observed = outcome->reason == REASON_OBSERVE;
	const uint64_t since = sub_sat(outcome->end_usec, next->last_quiet_usec);
	const bool first = since >= (observed ? OBSERVED_FORGET_USEC : QUIET_FORGET_USEC) ||
			   observed != (next->last_quiet_reason == REASON_OBSERVE);

	if (!outcome_is_quiet(outcome))
		return;

	if (benefit_is_news(group, outcome))
		add_told(next, group, outcome);

	if (!observed && reason_is_calm(outcome->trigger))
		next->n_quiet = 0;
	else
		next->n_quiet = first ? 1 : next->n_quiet + (next->n_quiet < UINT32_MAX);

	next->last_quiet_usec = outcome->end_usec;
	next->last_quiet_reason = outcome->reason;
	next->last_quiet_trigger = outcome_cause(outcome);
}

static void lengthen(struct benefit *next, const struct group_settings *settings)
{
	next->n_disappointing += next->n_disappointing < UINT32_MAX;
	next->backoff_usec = longer(next->backoff_usec,
				    MAX(settings->cooldown_usec, BACKOFF_MIN_USEC),
				    BACKOFF_MAX_USEC);
}

static void add_asked(struct benefit *next, const struct group *group,
		      const struct outcome *outcome)
{
	const struct group_settings *settings = group->settings;
	const uint64_t released = outcome_released_bytes(outcome);
	/* What is still charged but held by nobody goes before anybody is killed for it. */
	const uint64_t held = outcome_held_bytes(outcome), paid = add_sat(released, held);

	next->n_rounds++;
	next->n_quiet = 0;
	next->told = 0;
	next->told_over = false;
	next->released_bytes += MIN(released, UINT64_MAX - next->released_bytes);
	next->last_round_usec = outcome->end_usec;
	next->last_released_bytes = paid;
	next->asked_anon_bytes = reading_taken_bytes(&group->reading);
	next->last_n_not_needed = outcome->n_not_needed;
	next->last_n_silent = (uint32_t)sub_sat(outcome->n_asked, outcome->n_answered);
	next->left_until_usec =
		is_large(settings, outcome, paid) ? add_sat(outcome->end_usec, LEFT_USEC) : 0;
	next->last_usage_bytes = sub_sat(outcome->usage_after_bytes, held);

	/*
	 * A command may well name a group with nothing to give: no fault of the triggers.
	 */
	if (!disappoints(group, outcome, paid))
		next->backoff_usec = next->n_disappointing = 0;
	else if (outcome_cause(outcome) == REASON_UNTOLD)
		/* A try: it says nothing of those whose figures are known. */
		next->calm_backoff_usec = longer(next->calm_backoff_usec,
						 MAX(settings->cooldown_usec, BACKOFF_MIN_USEC),
						 CALM_BACKOFF_MAX_USEC);
	else if (outcome_cause(outcome) != REASON_COMMAND)
		lengthen(next, settings);

	if (!is_useless(group, outcome, paid))
		next->urgent_backoff_usec = 0;
	else if (outcome_cause(outcome) == REASON_USAGE_CRITICAL)
		next->urgent_backoff_usec =
			longer(next->urgent_backoff_usec, URGENT_BACKOFF_MIN_USEC,
			       URGENT_BACKOFF_MAX_USEC);
}

struct benefit benefit_add(const struct group *group, const struct outcome *outcome)
{
	struct benefit next = *group_benefit(group);

	if (outcome->n_asked > 0)
		add_asked(&next, group, outcome);
	else
		add_quiet(&next, group, outcome);

	next.last_limit_bytes = group->reading.limit_bytes;
	next.last_anon_bytes = reading_taken_bytes(&group->reading);
	next.last_fresh_bytes = group->heap.fresh_bytes;
	next.last_n_joined = group->n_joined;
	return next;
}

/* There each release may be the one that keeps the next peak below the limit: not a peak of page cache. */
static bool is_tight(const struct group *group)
{
	return group->reading.limit_bytes != BYTES_INFINITY &&
	       add_sat(group->peak_anon_kib * KIB, group->reading.others_bytes) >=
		       share_of(group->reading.limit_bytes,
				group->settings->usage_high_permyriad);
}

struct benefit benefit_look(const struct group *group, const struct outcome *outcome)
{
	const uint64_t released = outcome_released_bytes(outcome);
	const uint64_t returned = outcome_returned_bytes(outcome);
	struct benefit next = *group_benefit(group);

	if (outcome->look.state != LOOK_TAKEN)
		return next;

	next.look_usec = outcome->end_usec;
	next.returned_bytes = returned;
	if (returned > 0 && returned >= released / 2)
		next.n_returned += next.n_returned < UINT32_MAX;
	else if (outcome->look.age_usec >= LOOK_AFTER_USEC)
		next.n_returned = 0;

	if (!reason_is_calm(outcome_cause(outcome)))
		return next;

	if (is_tight(group))
		next.calm_backoff_usec = 0;
	else if (returned > 0 && returned >= released / 2)
		next.calm_backoff_usec = longer(next.calm_backoff_usec,
						MAX(group->settings->cooldown_usec,
						    BACKOFF_MIN_USEC),
						CALM_BACKOFF_MAX_USEC);
	else if (outcome->look.age_usec >= LOOK_AFTER_USEC)
		next.calm_backoff_usec = 0;

	return next;
}

/* From usage that was @then to the limit. */
static uint64_t half_way_bytes(const struct group *group, uint64_t then)
{
	const uint64_t limit = group->reading.limit_bytes;

	/* Under another one the cool-down goes on: groups that share it are looked at one after the other. */
	if (limit == BYTES_INFINITY || limit != group_benefit(group)->last_limit_bytes)
		return BYTES_INFINITY;

	return limit - sub_sat(limit, then) / 2;
}

static bool is_half_way(const struct group *group, uint64_t then)
{
	const uint64_t taken = reading_taken_bytes(&group->reading);

	return taken >= half_way_bytes(group, then) && sub_sat(taken, then) >= useful_bytes(group);
}

uint64_t benefit_half_way_bytes(const struct group *group)
{
	const struct benefit *b = group_benefit(group);
	const uint64_t asked = half_way_bytes(group, b->asked_anon_bytes);
	const uint64_t last = half_way_bytes(group, b->last_anon_bytes);

	return asked < last && reading_taken_bytes(&group->reading) < asked ? asked : last;
}

bool benefit_is_half_way(const struct group *group)
{
	return is_half_way(group, group_benefit(group)->asked_anon_bytes);
}

bool benefit_is_outdated(const struct group *group)
{
	const struct benefit *b = group_benefit(group);
	const uint64_t limit = group->reading.limit_bytes;
	const uint64_t fall = sub_sat(b->last_anon_bytes, reading_taken_bytes(&group->reading));

	if (b->last_limit_bytes == 0)
		return false;
	if (limit != b->last_limit_bytes || group->n_joined != b->last_n_joined)
		return true;
	if (sub_sat(group->heap.fresh_bytes, b->last_fresh_bytes) >= useful_bytes(group))
		return true;
	if (fall > 0 && fall >= b->last_anon_bytes / FALL_PART)
		return true;

	return is_half_way(group, b->last_anon_bytes);
}

static uint64_t believed_bytes(const struct group *group)
{
	return MIN(group->heap.retained_bytes, group->reading.usage_bytes);
}

bool benefit_is_richer(const struct group *group, const struct group *other)
{
	const bool pays = group_benefit(group)->n_disappointing == 0;

	if (pays != (group_benefit(other)->n_disappointing == 0))
		return pays;

	return believed_bytes(group) > believed_bytes(other);
}
