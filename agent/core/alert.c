/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/alert.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/basic/log.h"
#include "agent/core/exec.h"
#include "agent/core/guard.h"
#include "agent/core/helper.h"
#include "agent/core/history.h"
#include "agent/policy/climb.h"
#include "agent/policy/ladder.h"
#include "agent/policy/verdict.h"
#include "agent/policy/warn.h"
#include "agent/report/journal-alert.h"
#include "agent/report/journal-text.h"

static uint64_t hash_of(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3;

	return hash;
}

/* The names are those of the fields of a round's journal entry, and so are the values. */
static bool describe(const struct group *group, const struct outcome *outcome, struct text *text)
{
	text_field(text, "MEMGUARD_GROUP", group->path);
	text_field(text, "MEMGUARD_UNIT", group->unit ? group->unit : "");
	text_number(text, "USAGE_BYTES", group->reading.usage_bytes);
	if (group->reading.limit_bytes != BYTES_INFINITY)
		text_number(text, "LIMIT_BYTES", group->reading.limit_bytes);
	text_number(text, "RELEASED_BYTES", outcome_released_bytes(outcome));
	text_number(text, "HELD_BYTES", outcome_held_bytes(outcome));
	text_number(text, "ROUND", outcome->round);
	text_field(text, "MEMGUARD_OUTCOME", outcome_kind_to_string(outcome->kind));
	text_field(text, "MEMGUARD_TRIGGER", reason_to_string(outcome->trigger));
	if (outcome->hurried != REASON_NONE)
		text_field(text, "MEMGUARD_HURRIED", reason_to_string(outcome->hurried));
	if (outcome->kind == OUTCOME_NOTHING)
		text_field(text, "MEMGUARD_REASON", reason_to_string(outcome->reason));
	text_field(text, "MEMGUARD_VERDICT", verdict_to_string(outcome->verdict));
	return !text->overflow;
}

/* Below a limit that is shared it is one for all who have the same. */
static uint64_t command_key(const struct group *group)
{
	static char path[4096]; /* no stack, as below */
	const char *limit_of = group_limit_of(group, path, sizeof(path));

	return limit_of ? hash_of(limit_of) + hash_of(group->settings->exec_line) : group->id;
}

static int start_command(struct guard *guard, const struct outcome *outcome)
{
	/* No stack that may not be there yet. */
	static char environment[HELPER_ENVIRONMENT_MAX];
	struct text text = { .buf = environment, .size = sizeof(environment) };
	const struct group *group = &guard->group;

	if (!describe(group, outcome, &text))
		return -EMSGSIZE;

	return exec_run(guard->manager->exec, &(struct exec_call){
		.key = command_key(group),
		.name = text_name_of(group),
		.line = group->settings->exec_line,
		.environment = environment,
	});
}

static bool shares_command(const struct group *group, const struct group *other)
{
	return group != other && other->settings->exec_line &&
	       streq(group->settings->exec_line, other->settings->exec_line) &&
	       group_shares_limit(group, other);
}

/* Of all below the limit who have the same command the one that has the most; NULL: not so soon. */
static struct guard *find_starter(struct guard *guard)
{
	const uint64_t now_usec = manager_now(guard->manager);
	struct guard *starter = guard, *other;

	if (guard->group.limit_level == 0)
		return guard;

	LIST_FOREACH(other, &guard->manager->guards, in_manager) {
		if (!shares_command(&guard->group, &other->group))
			continue;
		if (ladder_held(&other->group, STEP_COMMAND, now_usec) != REASON_NONE) {
			log_debug("The Exec= command for %s is left to that for %s, which is below the "
				  "same limit",
				  text_name_of(&guard->group), text_name_of(&other->group));
			return NULL;
		}
		if (other->group.n_members > 0 && ladder_look(&other->group, STEP_COMMAND, now_usec).due &&
		    other->group.reading.anon_bytes > starter->group.reading.anon_bytes)
			starter = other;
	}

	return starter;
}

static void run_command(struct guard *guard, const struct outcome *outcome)
{
	struct group *group = &guard->group;
	int r;

	r = start_command(guard, outcome);
	/* What still runs is no start, of which there may be so many in an hour. */
	if (r != -EALREADY)
		steps_count(&history_note(guard)->steps, STEP_COMMAND,
			    manager_now(guard->manager));
	if (r >= 0)
		log_debug("The Exec= command for %s is being started", text_name_of(group));
	else if (r == -EALREADY)
		log_debug("The Exec= command for %s still runs: no other is started",
			  text_name_of(group));
	else
		log_warning("Cannot have the Exec= command \"%s\" started for %s: %s; %" PRIu64
			    " were not so far",
			    group->settings->exec_line, text_name_of(group),
			    r == -ENOTCONN ? "the helper is not there" :
			    r == -EBUSY ? "too many run at once" :
			    r == -EAGAIN ? "the helper does not keep up" : strerror(-r),
			    exec_n_lost(guard->manager->exec));
}

/* Of a group that no round has just ended in. */
static void run_alone(struct guard *guard)
{
	const struct group *group = &guard->group;
	const struct outcome *last = group_last_outcome(group);
	const struct outcome outcome = {
		.kind = OUTCOME_NOTHING,
		.trigger = REASON_USAGE_CRITICAL,
		.reason = group->gate.reason,
		.usage_before_bytes = group->reading.usage_bytes,
		.usage_after_bytes = group->reading.usage_bytes,
		.verdict = last ? last->verdict : VERDICT_UNKNOWN,
	};

	run_command(guard, &outcome);
}

void alert_run(struct guard *guard, const struct outcome *outcome)
{
	struct guard *starter;

	if (!guard->group.settings->exec_line ||
	    ladder_held(&guard->group, STEP_COMMAND, manager_now(guard->manager)) != REASON_NONE)
		return;

	starter = find_starter(guard);
	if (starter == guard && outcome)
		run_command(guard, outcome);
	else if (starter)
		run_alone(starter);
}

static void tell(struct guard *guard, const struct warn *warn, enum alert_kind kind)
{
	struct manager *manager = guard->manager;
	struct alert alert = {
		.kind = kind,
		.n_oom_kills = warn->n_oom_kills,
		.n_beside = warn->n_beside,
		.n_held_back = warn->n_held_back[kind],
		.growth_bytes_per_sec = warn->growth_bytes_per_sec,
		.eta_usec = warn->eta_usec,
	};
	struct diagnosis diagnosis;

	guard_diagnose(guard, manager_now(manager), &diagnosis);
	alert.verdict = verdict_to_string(diagnosis.verdict);
	alert.verdict_text = diagnosis_to_text(&diagnosis);
	alert.use = diagnosis.use;

	steps_count(&history_note(guard)->steps, STEP_ALERT, manager_now(manager));
	if (!manager->options.quiet_journal)
		journal_alert(&guard->group, &alert);
	bus_alert(manager->bus, &guard->group, &alert);
}

/* For those who ask later. @name NULL: in the group itself. */
static void note_kills(struct guard *guard, uint64_t n_processes, const char *name)
{
	struct manager *manager = guard->manager;
	const struct group *group = &guard->group;
	struct diagnosis diagnosis;
	struct kill kill = {
		.group_id = group->id,
		.realtime_usec = manager_realtime(manager),
		.time_usec = manager_now(manager),
		.n_processes = n_processes,
		.usage_bytes = group->reading.usage_bytes,
		.limit_bytes = group->reading.limit_bytes,
	};

	guard_diagnose(guard, kill.time_usec, &diagnosis);
	kill.verdict = diagnosis.verdict;
	kill.confidence_percent = diagnosis.confidence_percent;
	ledger_set_name(kill.name, name ? name : text_name_of(group));
	kills_append(&manager->kills, &kill);
}

_Static_assert(sizeof(struct alert_memory) == (3 * ALERT_MAX_ + 17) * sizeof(uint64_t),
	       "compared as bytes");

/*
 * Who is to tell what is due for @guard: the one of all below the same limit that has the most, or
 * nobody. *@ret_told: who has told it, or will.
 */
static struct guard *find_speaker(struct guard *guard, enum alert_kind kind,
				  struct guard **ret_told)
{
	const uint64_t now_usec = manager_now(guard->manager);
	struct guard *speaker = guard, *other;

	LIST_FOREACH(other, &guard->manager->guards, in_manager) {
		if (other == guard)
			continue;
		switch (warn_rank(&speaker->group, &other->group, &history_of(other)->alerts, kind,
				  now_usec)) {
		case WARN_STRANGER:
		case WARN_SMALLER:
			break;
		case WARN_LARGER:
			speaker = other;
			break;
		case WARN_TOLD:
			*ret_told = other;
			return NULL;
		}
	}

	*ret_told = speaker;
	return speaker;
}

/* @told: what is remembered of who tells, or of before. */
static void leave(struct guard *guard, enum alert_kind kind, const struct alert_memory *told,
		  const struct guard *speaker)
{
	warn_leave(&history_note(guard)->alerts, told, kind);
	if (guard == speaker)
		return;

	log_debug("\"%s\" leaves %s to \"%s\", which is below the same limit", guard->group.path,
		  alert_kind_to_string(kind), speaker->group.path);
}

/* What is told now, by the memory of @guard, is told of all whose limit it is. */
static void share_memory(struct guard *guard, enum alert_kind kind, const struct guard *speaker)
{
	const struct alert_memory *told = &history_of(guard)->alerts;
	struct guard *other;

	/* Nothing is taken in a crisis: who has no place yet asks when it is due there. */
	LIST_FOREACH(other, &guard->manager->guards, in_manager)
		if (other != guard && (other->is_ready || other == speaker) &&
		    group_shares_limit(&guard->group, &other->group))
			leave(other, kind, told, speaker);
}

/* The kill is the limit's, and so is its name in the account. */
static void note_beside(struct guard *guard, uint64_t n_processes)
{
	char path[LEDGER_NAME_MAX];

	note_kills(guard, n_processes,
		   group_above(&guard->group, guard->group.shared_level, path, sizeof(path)));
}

/* @before: what was remembered before it came to be due. */
static void tell_common(struct guard *guard, const struct warn *warn, enum alert_kind kind,
			const struct alert_memory *before)
{
	struct guard *told = guard, *speaker = find_speaker(guard, kind, &told);

	if (!speaker) {
		/* Of a kill in this very group people want to hear soon all the same. */
		leave(guard, kind, kind == ALERT_OOM_KILL ? before : &history_of(told)->alerts, told);
		return;
	}

	if (kind == ALERT_OOM_KILL)
		note_beside(guard, warn->n_beside);
	else
		share_memory(guard, kind, speaker);
	tell(speaker, warn, kind);
}

static void tell_or_leave(struct guard *guard, const struct warn *warn, enum alert_kind kind,
			  const struct alert_memory *before)
{
	if (warn_is_common(warn, &guard->group, kind))
		tell_common(guard, warn, kind, before);
	else
		tell(guard, warn, kind);
}

void alert_look(struct guard *guard)
{
	const struct alert_memory before = history_of(guard)->alerts;
	const struct warn warn = warn_step(&before, &guard->group, manager_now(guard->manager));

	/* Where nothing is written nothing is taken. */
	if (memcmp(&before, &warn.memory, sizeof(before)) != 0)
		history_note(guard)->alerts = warn.memory;
	guard->group.climbs = climb_is_followed(&warn.memory.climb);
	if (warn.n_oom_new > 0)
		note_kills(guard, warn.n_oom_new, NULL);
	for (int kind = 0; kind < ALERT_MAX_; kind++)
		if (warn.due & UINT32_C(1) << kind)
			tell_or_leave(guard, &warn, (enum alert_kind)kind, &before);
}

static uint64_t last_told(const struct alert_memory *memory)
{
	uint64_t last_usec = 0;

	for (int kind = 0; kind < ALERT_MAX_; kind++)
		last_usec = MAX(last_usec, memory->kinds[kind].told_usec);

	return last_usec;
}

void alert_recall(struct guard *guard)
{
	struct manager *manager = guard->manager;
	const uint64_t key = hash_of(guard->group.path);
	const struct guard *other;

	/* The one before may not have been forgotten yet. */
	LIST_FOREACH(other, &manager->guards, in_manager)
		if (other != guard && streq(other->group.path, guard->group.path))
			alert_remember(other);

	for (size_t i = 0; i < ALERTS_KEPT; i++)
		if (manager->alerts_kept[i].key == key)
			history_note(guard)->alerts = warn_renew(&manager->alerts_kept[i].memory);
}

void alert_remember(const struct guard *guard)
{
	struct manager *manager = guard->manager;
	const uint64_t key = hash_of(guard->group.path);
	size_t oldest = 0;

	if (last_told(&history_of(guard)->alerts) == 0)
		return;

	for (size_t i = 0; i < ALERTS_KEPT; i++) {
		if (manager->alerts_kept[i].key == key) {
			oldest = i;
			break;
		}
		if (last_told(&manager->alerts_kept[i].memory) <
		    last_told(&manager->alerts_kept[oldest].memory))
			oldest = i;
	}

	manager->alerts_kept[oldest].key = key;
	manager->alerts_kept[oldest].memory = history_of(guard)->alerts;
}
