/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From facts to "is it time", and to the reason why not. Decides nothing about members.
 */

#include "agent/policy/gate.h"

#include "agent/basic/macro.h"
#include "agent/policy/benefit.h"
#include "agent/policy/ladder.h"

/*
 * What the facts call for, and what may still keep the gate closed:
 *
 *   facts (first that holds)                  state      reason when open
 *   usage >= UsageCritical, or limit hit      CRITICAL   usage-critical
 *     while usage >= UsageHigh
 *   usage >= UsageHigh, or by so little less  HIGH       usage-high
 *     that the kernel's word counts
 *   PSI event and the group holds memory      PRESSED    pressure
 *   limit reached within OomEtaSec            PRESSED    oom-eta
 *   PSI event of the machine, much retained   PRESSED    machine-pressure
 *   steady and retained >= RetainedHigh       RETAINING  retained
 *   steady and the last release left some     RETAINING  left-over
 *   steady, and who tells nothing has grown
 *     by RetainedHigh and does no work          RETAINING  untold
 *   one of these two, but not steady          CALM       (unsteady)
 *   none                                      CALM       (below)
 *
 *   kept closed by (first that holds)         state      reason
 *   last round too fresh, and not overtaken   SETTLING   cooldown
 *   releases did not pay                      as above   backoff
 *   RETAINING, and it was in use again soon   RETAINING  returned
 *   nobody to ask                             as above   no-members
 *   as many rounds as MaxPerHour= allows      as above   max-per-hour
 *   a round just found nobody worth asking    as above   that round's reason
 *   RETAINING, and other groups' turn         as above   others
 *
 * The state before matters in two places only: HIGH and CRITICAL are left a little below
 * where they are entered, and a quiet round does not hold up a state that got worse.
 * Where it is not calm no back-off outlasts a change: see benefit_is_outdated().
 */

/*
 * Below the threshold by this much before HIGH or CRITICAL is left: bands, not lines. Of one that is
 * low, as for a small group whose limit is the machine's, at half of it: no group comes to nothing.
 */
#define HYSTERESIS_PERMYRIAD 300

/* Growth towards the limit says nothing while most of the limit is still free. */
#define ETA_FLOOR_PERMYRIAD 2500

/* Usage must have been steady for this long before retained memory counts as idle. */
#define CALM_USEC (2 * USEC_PER_SEC)

/* A round near the limit may follow another after this; readings settle in less. */
#define CRITICAL_COOLDOWN_USEC USEC_PER_SEC

/* A kill that is nearer than this, at the growth of now, does not wait for a cool-down. */
#define OVERTAKEN_USEC (2 * USEC_PER_SEC)

/*
 * A round that asked nobody costs a look at every member. Facts that have not changed
 * would begin it again at the next reading, so wait; the nearer the limit, the less, and
 * twice as long after each one that found nobody again. What is only observed changes nothing
 * either: the same, from the cool-down on, and while calm up to an hour.
 */
#define QUIET_USEC USEC_PER_SEC
#define QUIET_CALM_USEC (5 * USEC_PER_SEC)
#define QUIET_CRITICAL_USEC (200 * USEC_PER_MSEC)
#define QUIET_MAX_USEC (32 * USEC_PER_SEC)
#define OBSERVED_MAX_USEC (3600 * USEC_PER_SEC)

/*
 * Which of the group's pages are cache the kernel counts apart, and up to so much later than what it
 * charges. Where it tells that a threshold was crossed, a reading that is as little below is of that:
 * to wait for the next one costs what a new threshold does, and growth goes on.
 */
#define LAG_BYTES (16 * MIB) /* 256 KiB for each of 64 processors */
#define LAG_PART 64 /* of the limit */

/* A threshold of 0 is off, and without a limit no share of it is ever reached. */
static bool usage_reaches(const struct reading *reading, uint64_t permyriad)
{
	if (permyriad == 0 || reading->limit_bytes == BYTES_INFINITY ||
	    reading->anon_bytes == 0)
		return false;

	return reading_taken_bytes(reading) >= share_of(reading->limit_bytes, permyriad);
}

/* @permyriad, or somewhat less while the state it leads to is already held. */
static uint32_t threshold(uint32_t permyriad, bool held)
{
	if (!held || permyriad == 0)
		return permyriad;

	/* Not down to 0, which would mean off. */
	return MAX((uint32_t)sub_sat(permyriad, HYSTERESIS_PERMYRIAD), (permyriad + 1) / 2);
}

static bool is_critical(const struct group *group, const struct signals *signals)
{
	const struct group_settings *s = group->settings;

	if (s->usage_critical_permyriad == 0)
		return false;

	/*
	 * The limit is also hit by page cache alone; that is reclaimed, not killed for.
	 */
	if (signals->limit_hit && usage_reaches(&group->reading, s->usage_high_permyriad))
		return true;

	return usage_reaches(&group->reading,
			     threshold(s->usage_critical_permyriad,
				       group->gate.state == GATE_CRITICAL));
}

/* By the kernel's word, and by a reading that may lag behind it. */
static bool has_crossed(const struct reading *reading, uint64_t permyriad)
{
	struct reading ahead = *reading;

	ahead.anon_bytes = MIN(add_sat(reading->anon_bytes, MIN(LAG_BYTES, reading->limit_bytes / LAG_PART)),
			       reading->usage_bytes);
	return usage_reaches(&ahead, permyriad);
}

static bool is_high(const struct group *group, const struct signals *signals)
{
	const uint32_t high = group->settings->usage_high_permyriad;
	const bool held =
		group->gate.state == GATE_HIGH || group->gate.state == GATE_CRITICAL;

	return usage_reaches(&group->reading, threshold(high, held)) ||
	       (signals->crossed && has_crossed(&group->reading, high));
}

/*
 * A stall in a group that holds nothing is somebody else's doing: nothing to give here.
 */
static bool is_pressed(const struct group *group, const struct signals *signals)
{
	const struct group_settings *s = group->settings;

	if (!signals->pressure || s->pressure_some_permyriad == 0)
		return false;

	return usage_reaches(&group->reading, s->usage_high_permyriad / 2) ||
	       group->heap.retained_bytes >= MAX(s->min_release_bytes, 1);
}

/* Other groups' stalls: only what costs this one nothing to give. */
static bool is_pressed_by_machine(const struct group *group, const struct signals *signals)
{
	const struct group_settings *s = group->settings;

	return signals->machine && s->machine_pressure_permyriad > 0 &&
	       group->heap.retained_bytes >= MAX(s->min_release_bytes, 1);
}

static bool is_near_limit(const struct group *group)
{
	const struct trend *t = &group->trend;

	return group->settings->oom_eta_usec > 0 && t->growth_bytes_per_sec > 0 &&
	       t->eta_usec != USEC_INFINITY &&
	       t->eta_usec <= group->settings->oom_eta_usec &&
	       usage_reaches(&group->reading, ETA_FLOOR_PERMYRIAD);
}

static bool is_retaining(const struct group *group)
{
	return group->heap.time_usec > 0 && group->heap.retained_bytes >= benefit_calm_bytes(group);
}

/* Not only of what a release has left. */
static bool is_much_retained(const struct group *group)
{
	return is_retaining(group) &&
	       group->heap.retained_bytes >= group->settings->retained_high_bytes;
}

/* The allocator of who is idle now does not tell: what it has grown by may be free, and is tried once. */
static bool is_untold(const struct group *group)
{
	const uint64_t high_bytes = group->settings->retained_high_bytes;

	return high_bytes > 0 && group->heap.untold_bytes >= high_bytes;
}

static bool is_steady(const struct group *group, uint64_t now_usec)
{
	return group->trend.time_usec > 0 &&
	       sub_sat(now_usec, group->trend.steady_since_usec) >= CALM_USEC;
}

/* What the facts alone call for. */
static enum reason gate_wanted(const struct group *group, const struct signals *signals,
			       uint64_t now_usec)
{
	/* Nothing was ever read: zeroes are not a limit of zero. */
	if (group->reading.time_usec == 0)
		return REASON_BELOW;

	if (is_critical(group, signals))
		return REASON_USAGE_CRITICAL;

	if (is_high(group, signals))
		return REASON_USAGE_HIGH;

	if (is_pressed(group, signals))
		return REASON_PRESSURE;

	if (is_near_limit(group))
		return REASON_OOM_ETA;

	if (is_pressed_by_machine(group, signals))
		return REASON_MACHINE;

	/* Of the last one who left the figures stay. */
	if (group->n_members == 0)
		return REASON_BELOW;

	/* Who takes memory now takes what was released, too; who needs it has a reason above. */
	if (!is_steady(group, now_usec))
		return is_much_retained(group) || is_untold(group) ? REASON_UNSTEADY : REASON_BELOW;

	if (!is_retaining(group))
		return is_untold(group) ? REASON_UNTOLD : REASON_BELOW;

	return is_much_retained(group) ? REASON_RETAINED : REASON_LEFT;
}

/* The reasons that open a gate, and the state each belongs to; CALM for all others. */
static enum gate_state state_of(enum reason reason)
{
	switch (reason) {
	case REASON_USAGE_CRITICAL:
		return GATE_CRITICAL;
	case REASON_USAGE_HIGH:
		return GATE_HIGH;
	case REASON_PRESSURE:
	case REASON_OOM_ETA:
	case REASON_MACHINE:
		return GATE_PRESSED;
	case REASON_RETAINED:
	case REASON_LEFT:
	case REASON_UNTOLD:
		return GATE_RETAINING;
	case REASON_NONE:
	case REASON_COMMAND:
	case REASON_BELOW:
	case REASON_COOLDOWN:
	case REASON_BACKOFF:
	case REASON_OBSERVE:
	case REASON_NO_MEMBERS:
	case REASON_NOT_WORTH:
	case REASON_STALL:
	case REASON_BUSY:
	case REASON_MAX_PER_HOUR:
	case REASON_RETURNED:
	case REASON_OFF:
	case REASON_TAKEN:
	case REASON_OTHERS:
	case REASON_KILL_NEAR:
	case REASON_UNSTEADY:
	case REASON_NO_SWAP:
	case REASON_NO_RECLAIM:
	case REASON_MAX_:
		break;
	}

	return GATE_CALM;
}

/* What is waited for beyond the cool-down, because releases did not pay. */
static uint64_t backoff_usec(const struct group *group, enum gate_state state)
{
	const struct benefit *b = group_benefit(group);

	switch (state) {
	case GATE_CALM:
	case GATE_SETTLING:
		return 0;
	case GATE_RETAINING:
		return MAX(b->backoff_usec, b->calm_backoff_usec);
	case GATE_PRESSED:
	case GATE_HIGH:
		return benefit_is_outdated(group) ? 0 : b->backoff_usec;
	case GATE_CRITICAL:
		return benefit_is_outdated(group) ? 0 : b->urgent_backoff_usec;
	}

	return 0;
}

/* Of the two that count while all is calm; one for a try that gave nothing is not for what came back. */
static enum reason backoff_reason(const struct group *group, enum gate_state state)
{
	const struct benefit *b = group_benefit(group);

	return state == GATE_RETAINING && b->calm_backoff_usec > b->backoff_usec && b->n_returned > 0
		       ? REASON_RETURNED
		       : REASON_BACKOFF;
}

/*
 * The program takes what was released faster than cool-downs pass. Half of the room each
 * time: a few rounds at most, until the limit or until it stops.
 */
static bool is_overtaken(const struct group *group, enum gate_state state)
{
	const struct trend *t = &group->trend;

	if (state == GATE_CRITICAL)
		return benefit_is_half_way(group);

	return (state == GATE_HIGH || state == GATE_PRESSED) && benefit_is_half_way(group) &&
	       t->growth_bytes_per_sec > 0 && t->eta_usec <= OVERTAKEN_USEC;
}

/* The last round left some of its picks unasked, and they have no need of a rest. */
static bool has_others(const struct group *group, enum gate_state state)
{
	return (state == GATE_HIGH || state == GATE_PRESSED) &&
	       group_benefit(group)->last_n_not_needed > 0;
}

/*
 * Readings lag behind a release, and a release that repeats too soon only makes the
 * program fault its pages in again. Near a kill back-off is short, and a group that wants
 * nothing has no use for it.
 */
static void gate_settle(struct gate *gate, const struct group *group, uint64_t now_usec)
{
	const struct benefit *b = group_benefit(group);
	uint64_t cooldown = group->settings->cooldown_usec, end, until;

	if (b->last_round_usec == 0)
		return;

	if (is_overtaken(group, gate->state))
		cooldown = 0;
	else if (gate->state == GATE_CRITICAL || has_others(group, gate->state))
		cooldown = gate_soonest_usec(group->settings);

	end = add_sat(b->last_round_usec, cooldown);
	until = add_sat(end, backoff_usec(group, gate->state));
	if (now_usec >= until)
		return;

	/* A back-off may last: who is critical for all of it is shown as that. */
	if (now_usec < end)
		gate->state = GATE_SETTLING;
	gate->reason = now_usec < end ? REASON_COOLDOWN : backoff_reason(group, gate->state);
	gate->until_usec = until;
}

static uint64_t quiet_usec(enum gate_state state)
{
	switch (state) {
	case GATE_CRITICAL:
		return QUIET_CRITICAL_USEC;
	case GATE_HIGH:
	case GATE_PRESSED:
		return QUIET_USEC;
	case GATE_RETAINING:
		return QUIET_CALM_USEC;
	case GATE_CALM:
	case GATE_SETTLING:
		break;
	}

	return 0;
}

/* Twice as long each time; the longest is not below the first. */
static uint64_t doubled(uint64_t usec, uint32_t n_quiet, uint64_t longest_usec)
{
	if (n_quiet == 0)
		return usec;

	return MIN(usec << MIN(n_quiet - 1, UINT32_C(16)), MAX(longest_usec, usec));
}

/* How long until the round that asked nobody is made again. */
static uint64_t pause_usec(const struct group *group, enum gate_state state)
{
	const struct benefit *b = group_benefit(group);
	const bool observed = b->last_quiet_reason == REASON_OBSERVE;
	const bool calm = state == GATE_RETAINING;
	const uint64_t usec = observed ? MAX(quiet_usec(state), group->settings->cooldown_usec)
				       : quiet_usec(state);

	if (benefit_is_outdated(group) || (calm && !observed))
		return usec;

	return doubled(usec, b->n_quiet, calm ? OBSERVED_MAX_USEC : QUIET_MAX_USEC);
}

/* The last round asked nobody, a moment ago, and nothing has changed since. */
static bool is_answered(const struct group *group, const struct gate *gate,
			uint64_t now_usec)
{
	const struct benefit *b = group_benefit(group);

	if (b->last_quiet_usec == 0 || b->last_quiet_usec < b->last_round_usec)
		return false;

	/* What would have been done is now to be done. */
	if (b->last_quiet_reason == REASON_OBSERVE && group->settings->mode != MODE_OBSERVE)
		return false;

	/*
	 * States are in order of urgency, except that SETTLING (the last) is none, and hides how far it was:
	 * nobody was asked for less than this, either.
	 */
	if (group->gate.state < gate->state || state_of(b->last_quiet_trigger) < gate->state)
		return false;

	return now_usec < add_sat(b->last_quiet_usec, pause_usec(group, gate->state));
}

struct gate gate_step(const struct group *group, const struct signals *signals,
		      uint64_t now_usec)
{
	struct gate gate = { .reason = gate_wanted(group, signals, now_usec) };

	gate.state = state_of(gate.reason);
	gate_settle(&gate, group, now_usec);

	if (gate.state != GATE_CALM && gate.until_usec == 0) {
		if (group->n_members == 0)
			gate.reason = REASON_NO_MEMBERS;
		else if (ladder_held(group, STEP_RELEASE, now_usec) != REASON_NONE)
			/* Near a kill too: who sets a cap means it. */
			gate.reason = REASON_MAX_PER_HOUR;
		else if (is_answered(group, &gate, now_usec))
			gate.reason = group_benefit(group)->last_quiet_reason;
		else if (gate.state == GATE_RETAINING && signals->crowded)
			gate.reason = REASON_OTHERS;
	}

	gate.since_usec = now_usec;
	if (gate.state == group->gate.state && group->gate.since_usec > 0)
		gate.since_usec = group->gate.since_usec;

	return gate;
}

bool gate_is_open(const struct gate *gate)
{
	return gate->state != GATE_SETTLING && state_of(gate->reason) != GATE_CALM;
}

bool gate_is_laden(const struct group *group)
{
	return is_retaining(group) || is_untold(group);
}

uint32_t gate_end_permyriad(const struct group_settings *settings)
{
	return threshold(settings->usage_high_permyriad, true);
}

bool gate_is_rushing(const struct group *group)
{
	const struct trend *t = &group->trend;

	return t->growth_bytes_per_sec > 0 &&
	       t->eta_usec <= MAX(group->settings->oom_eta_usec, OVERTAKEN_USEC);
}

uint64_t gate_soonest_usec(const struct group_settings *settings)
{
	const uint64_t cooldown = settings->cooldown_usec;

	return MIN(cooldown, MAX(cooldown / 10, CRITICAL_COOLDOWN_USEC));
}
