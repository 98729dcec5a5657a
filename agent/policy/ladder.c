/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/policy/ladder.h"

#include "agent/basic/macro.h"
#include "agent/policy/gate.h"

enum reason ladder_held(const struct group *group, enum step step, uint64_t now_usec)
{
	const struct group_settings *settings = group->settings;
	const uint64_t last_usec = steps_last_usec(group->steps, step);

	if (step == STEP_ALERT)
		return REASON_NONE;
	if (step != STEP_RELEASE && last_usec > 0 &&
	    sub_sat(now_usec, last_usec) < settings->cooldown_usec)
		return REASON_COOLDOWN;
	if (settings->max_per_hour > 0 &&
	    steps_n(group->steps, step, now_usec) >= settings->max_per_hour)
		return REASON_MAX_PER_HOUR;

	return REASON_NONE;
}

static bool is_critical(const struct group *group)
{
	const struct reading *reading = &group->reading;

	return reading->limit_bytes != BYTES_INFINITY && reading->anon_bytes > 0 &&
	       reading_taken_bytes(reading) >= share_of(reading->limit_bytes,
							group->settings->usage_critical_permyriad);
}

static bool has_knobs(const struct group_settings *settings)
{
	return settings->arena_max > 0 || settings->mmap_threshold_bytes > 0 ||
	       settings->trim_threshold_bytes > 0 || settings->top_pad_bytes > 0 ||
	       settings->decay_usec > 0;
}

static enum reason look_tune(const struct group *group)
{
	const struct group_settings *settings = group->settings;

	if (settings->tune_after == 0 || !has_knobs(settings))
		return REASON_OFF;
	if (steps_last_usec(group->steps, STEP_TUNE) > 0)
		return REASON_TAKEN;
	if (group_benefit(group)->n_returned < settings->tune_after)
		return REASON_BELOW;

	return settings->mode == MODE_OBSERVE ? REASON_OBSERVE : REASON_RETURNED;
}

uint64_t ladder_reclaim_bytes(const struct group *group, const struct swap *swap)
{
	const struct reading *reading = &group->reading;
	const uint64_t taken_bytes = reading_taken_bytes(reading);
	const uint64_t above_bytes =
		sub_sat(taken_bytes, share_of(reading->limit_bytes, group->settings->usage_high_permyriad));
	/* Where others have the same limit, all of them may be asked: each for its part. */
	const uint64_t own_permyriad = mul_sat(reading->anon_bytes, PERMYRIAD) / MAX(taken_bytes, 1U);

	return MIN(share_of(above_bytes, own_permyriad),
		   MIN(group->settings->reclaim_bytes, swap->room_bytes));
}

static enum reason look_reclaim(const struct group *group, const struct swap *swap, uint64_t now_usec)
{
	enum reason held;

	if (group->settings->reclaim_bytes == 0)
		return REASON_OFF;
	if (!swap->has_reclaim)
		return REASON_NO_RECLAIM;
	if (!is_critical(group))
		return REASON_BELOW;
	if (swap->room_bytes == 0)
		return REASON_NO_SWAP;
	if (ladder_reclaim_bytes(group, swap) == 0)
		return REASON_BELOW;
	if (group->settings->mode == MODE_OBSERVE)
		return REASON_OBSERVE;

	held = ladder_held(group, STEP_RECLAIM, now_usec);
	return held != REASON_NONE ? held : REASON_USAGE_CRITICAL;
}

static enum reason look_command(const struct group *group, uint64_t now_usec)
{
	enum reason held;

	if (!group->settings->exec_line)
		return REASON_OFF;
	if (!is_critical(group))
		return REASON_BELOW;

	held = ladder_held(group, STEP_COMMAND, now_usec);
	return held != REASON_NONE ? held : REASON_USAGE_CRITICAL;
}

struct rung ladder_look(const struct group *group, enum step step, uint64_t now_usec)
{
	enum reason reason = REASON_BELOW;

	switch (step) {
	case STEP_RELEASE:
		return (struct rung){ gate_is_open(&group->gate), group->gate.reason };
	case STEP_TUNE:
		reason = look_tune(group);
		break;
	case STEP_RECLAIM:
		reason = look_reclaim(group, &(struct swap){ 0 }, now_usec);
		break;
	case STEP_ALERT:
		reason = is_critical(group) ? REASON_USAGE_CRITICAL : REASON_BELOW;
		break;
	case STEP_COMMAND:
		reason = look_command(group, now_usec);
		break;
	case STEP_MAX_:
		break;
	}

	return (struct rung){ reason == REASON_USAGE_CRITICAL || reason == REASON_RETURNED,
			      reason };
}

struct rung ladder_look_alert(const struct group *group, const struct alert_memory *memory,
			      uint64_t now_usec)
{
	const struct rung rung = ladder_look(group, STEP_ALERT, now_usec);

	if (rung.due)
		return rung;
	if (memory->kinds[ALERT_KILL_NEAR].since_usec > 0)
		return (struct rung){ true, REASON_KILL_NEAR };
	if (memory->kinds[ALERT_NOT_PAYING].since_usec > 0)
		return (struct rung){ true, REASON_BACKOFF };

	return rung;
}

struct rung ladder_look_reclaim(const struct group *group, const struct swap *swap, uint64_t now_usec)
{
	const enum reason reason = look_reclaim(group, swap, now_usec);

	return (struct rung){ reason == REASON_USAGE_CRITICAL, reason };
}
