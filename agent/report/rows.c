/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which fields are shown, under which names. No decisions, and no policy. */

#include "agent/report/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/basic/macro.h"

/* By bit of enum wire_allocator. */
static const char *const allocators[] = { "glibc", "jemalloc", "mimalloc", "tcmalloc",
					  "other", "google-tcmalloc" };

/* By enum wire_knob. */
static const char *const knobs[] = {
	[WIRE_KNOB_ARENA_MAX] = "arena_max",
	[WIRE_KNOB_MMAP_THRESHOLD] = "mmap_threshold",
	[WIRE_KNOB_TRIM_THRESHOLD] = "trim_threshold",
	[WIRE_KNOB_TOP_PAD] = "top_pad",
	[WIRE_KNOB_DECAY] = "decay",
};

const char *rows_mode(enum mode mode)
{
	switch (mode) {
	case MODE_TRIM:
		return "trim";
	case MODE_OBSERVE:
		return "observe";
	}

	return "unknown";
}

/* Infinity is "there is none": the key is left out. */
static void put_finite(struct dict *dict, const char *key, uint64_t value)
{
	if (value != UINT64_MAX)
		dict_u64(dict, key, value);
}

/* How long ago; left out when it never was. */
static void age(struct dict *dict, const char *key, uint64_t usec, uint64_t now_usec)
{
	if (usec > 0)
		dict_u64(dict, key, sub_sat(now_usec, usec));
}

void rows_facts(struct dict *dict, const struct daemon_facts *facts)
{
	dict_bool(dict, "running", true);
	dict_string(dict, "version", facts->version);
	dict_string(dict, "mode", rows_mode(facts->mode));
	dict_string(dict, "config_state", facts->config_state);
	dict_string(dict, "config_file", facts->config_file);
	dict_u64(dict, "n_config_files", facts->n_config_files);
	dict_string(dict, "cgroup", facts->cgroup);
	dict_bool(dict, "psi", facts->psi);
	dict_string(dict, "cgroup_layout", facts->layout);
	dict_string(dict, "cgroup_root", facts->root);
	rows_sources(dict, facts);
	dict_string(dict, "system_bus", facts->system_bus);
	dict_u64(dict, "n_groups", facts->n_groups);
	dict_u64(dict, "n_members", facts->n_members);
	dict_u64(dict, "rounds", facts->n_rounds);
	dict_u64(dict, "released_bytes", facts->released_bytes);
	dict_u64(dict, "start_realtime_usec", facts->start_realtime_usec);
	dict_u64(dict, "uptime_usec", facts->uptime_usec);
	dict_u64(dict, "reload_realtime_usec", facts->reload_realtime_usec);
	dict_u64(dict, "reload_age_usec", facts->reload_age_usec);
	dict_u64(dict, "private_bytes", facts->private_bytes);
	dict_u64(dict, "journal_entries_lost", facts->n_entries_lost);
	dict_u64(dict, "signals_lost", facts->n_signals_lost);
	dict_u64(dict, "commands_lost", facts->n_commands_lost);
}

static void put_names(struct dict *dict, const struct group *group)
{
	dict_string(dict, "path", group->path);
	dict_string(dict, "unit", group->unit);
}

static void put_reading(struct dict *dict, const struct group *group)
{
	const struct reading *r = &group->reading;
	char limit_of[4096];

	/* Never read: there is no figure yet, and 0 would be one. */
	if (r->time_usec == 0)
		return;

	dict_u64(dict, "usage_bytes", r->usage_bytes);
	dict_u64(dict, "anon_bytes", r->anon_bytes);
	dict_u64(dict, "held_bytes", r->held_bytes);
	put_finite(dict, "limit_bytes", r->limit_bytes);
	dict_string(dict, "limit_of", group_limit_of(group, limit_of, sizeof(limit_of)));
	dict_u64(dict, "others_bytes", r->others_bytes);
	if (r->limit_bytes != BYTES_INFINITY && r->limit_bytes >= PERMYRIAD)
		dict_u64(dict, "usage_permyriad",
			 reading_taken_bytes(r) / (r->limit_bytes / PERMYRIAD));
	dict_u64(dict, "peak_bytes", group->peak_bytes);
	dict_u64(dict, "limit_hits", r->n_max);
	dict_u64(dict, "oom_kills", r->n_oom_kill);
	if (r->above.level > 0)
		dict_u64(dict, "shared_limit_hits", r->above.n_max);
	if (group->shared.n_kills > 0)
		dict_u64(dict, "shared_oom_kills", group->shared.n_kills);
	dict_u64(dict, "pressure_total_usec", r->pressure_total_usec);
	dict_i64(dict, "growth_bytes_per_sec", group->trend.growth_bytes_per_sec);
	put_finite(dict, "eta_usec",
		   group->trend.time_usec > 0 ? group->trend.eta_usec : UINT64_MAX);
}

static void put_heap(struct dict *dict, const struct heap *heap, const struct heap_use *use,
		     uint64_t now_usec)
{
	if (heap->time_usec == 0)
		return;

	dict_u64(dict, "in_use_bytes", use->in_use_bytes);
	dict_u64(dict, "retained_bytes", heap->retained_bytes);
	if (heap->untold_bytes > 0)
		dict_u64(dict, "untold_bytes", heap->untold_bytes);
	dict_u64(dict, "unused_bytes", use->unused_bytes);
	dict_u64(dict, "swapped_free_bytes", use->swapped_free_bytes);
	dict_u64(dict, "stall_usec", use->stall_usec);
	age(dict, "heap_age_usec", heap->time_usec, now_usec);
}

static void put_gate(struct dict *dict, const struct gate *gate, uint64_t now_usec)
{
	dict_string(dict, "state", gate_state_to_string(gate->state));
	age(dict, "state_age_usec", gate->since_usec, now_usec);
	if (gate->until_usec > 0)
		dict_u64(dict, "settling_left_usec", sub_sat(gate->until_usec, now_usec));
	dict_string(dict, "reason", reason_to_string(gate->reason));
	dict_string(dict, "reason_text", reason_to_text(gate->reason));
}

static void put_benefit(struct dict *dict, const struct benefit *benefit,
			uint64_t now_usec)
{
	dict_u64(dict, "rounds", benefit->n_rounds);
	dict_u64(dict, "released_bytes", benefit->released_bytes);
	dict_u64(dict, "backoff_usec", benefit->backoff_usec);
	dict_u64(dict, "urgent_backoff_usec", benefit->urgent_backoff_usec);
	dict_u64(dict, "calm_backoff_usec", benefit->calm_backoff_usec);
	if (benefit->last_quiet_usec == 0)
		return;

	dict_string(dict, "quiet_reason", reason_to_string(benefit->last_quiet_reason));
	dict_string(dict, "quiet_reason_text",
		    reason_to_text(benefit->last_quiet_reason));
	age(dict, "quiet_age_usec", benefit->last_quiet_usec, now_usec);
}

void rows_group(struct dict *dict, const struct group *group,
		const struct diagnosis *diagnosis, uint64_t now_usec)
{
	const struct outcome *last = group_last_outcome(group);

	dict_u64(dict, "id", group->id);
	put_names(dict, group);
	dict_string(dict, "kind", group_kind_to_string(group->kind));
	dict_string(dict, "mode", rows_mode(group->settings->mode));
	dict_u64(dict, "members", group->n_members);
	put_reading(dict, group);
	age(dict, "oom_kill_age_usec", diagnosis->killed_usec, now_usec);
	dict_u64(dict, "rss_bytes", group->heap.rss_bytes);
	put_heap(dict, &group->heap, &diagnosis->use, now_usec);
	put_gate(dict, &group->gate, now_usec);
	rows_diagnosis(dict, group, NULL, diagnosis);
	put_benefit(dict, group_benefit(group), now_usec);

	if (!last)
		return;

	dict_open_entry(dict, "last_outcome");
	rows_figures(dict, last);
	age(dict, "age_usec", last->end_usec, now_usec);
	dict_close_entry(dict);
}

static void put_share(struct dict *dict, const struct group *group, uint32_t permyriad,
		      const char *key_permyriad, const char *key_bytes)
{
	dict_u32(dict, key_permyriad, permyriad);
	if (group->reading.time_usec > 0)
		put_finite(dict, key_bytes,
			   share_of(group->reading.limit_bytes, permyriad));
}

void rows_plan(struct dict *dict, const struct decision *plan)
{
	const struct pick *pick = &plan->picks[0];

	dict_open_entry(dict, "plan");
	dict_bool(dict, "act", plan->act);
	dict_string(dict, "reason", reason_to_string(plan->reason));
	dict_string(dict, "reason_text", reason_to_text(plan->reason));
	dict_u64(dict, "expected_bytes", plan->expected_bytes);
	dict_u32(dict, "processes", plan->n_picks);
	dict_u32(dict, "needed", plan->n_needed);
	if (plan->n_picks > 0) {
		/* Not who: it may be another user's. */
		dict_string(dict, "method", method_to_string(pick->method));
		dict_string(dict, "method_reason", why_to_string(pick->why));
		dict_string(dict, "method_reason_text", why_to_text(pick->why));
		dict_u64(dict, "expected_stall_usec", pick->stall_usec);
		dict_u64(dict, "full_stall_usec", pick->full_stall_usec);
	}
	dict_close_entry(dict);
}

void rows_pressures(struct dict *dict, const struct pressures *pressures)
{
	if (pressures->group_permyriad != PRESSURE_UNKNOWN)
		dict_u32(dict, "pressure_now_permyriad", pressures->group_permyriad);
	if (pressures->machine_permyriad != PRESSURE_UNKNOWN)
		dict_u32(dict, "machine_pressure_now_permyriad", pressures->machine_permyriad);
}

void rows_explain(struct dict *dict, const struct group *group,
		  const struct diagnosis *diagnosis, uint64_t now_usec)
{
	const struct group_settings *s = group->settings;

	rows_group(dict, group, diagnosis, now_usec);

	put_share(dict, group, s->usage_high_permyriad, "usage_high_permyriad",
		  "usage_high_bytes");
	put_share(dict, group, s->usage_critical_permyriad, "usage_critical_permyriad",
		  "usage_critical_bytes");
	dict_u32(dict, "pressure_some_permyriad", s->pressure_some_permyriad);
	dict_u32(dict, "machine_pressure_permyriad", s->machine_pressure_permyriad);
	rows_group_sources(dict, group);
	dict_u64(dict, "oom_eta_usec", s->oom_eta_usec);
	dict_u64(dict, "retained_high_bytes", s->retained_high_bytes);
	dict_string(dict, "method", method_to_string(s->method));
	dict_u64(dict, "min_release_bytes", s->min_release_bytes);
	dict_u64(dict, "stall_budget_usec", s->stall_budget_usec);
	dict_u64(dict, "cooldown_usec", s->cooldown_usec);
	age(dict, "steady_age_usec", group->trend.steady_since_usec, now_usec);
	age(dict, "reading_age_usec", group->reading.time_usec, now_usec);
}

static const char *agent_kind(const struct hello *hello)
{
	if ((hello->flags & WIRE_HELLO_ALWAYS) != 0)
		return "always";

	return (hello->flags & WIRE_HELLO_NAMED) != 0 ? "named" : "auto";
}

static void put_hello(struct dict *dict, const struct hello *hello)
{
	dict_string(dict, "hook_version", hello->versions->hook);
	if (hello->versions->libc[0] != '\0')
		dict_string(dict, "libc_version", hello->versions->libc);
	dict_string(dict, "agent", agent_kind(hello));
	dict_u32(dict, "agent_tid", hello->agent_tid);
	dict_bool(dict, "bad_environment", (hello->flags & WIRE_HELLO_BAD_ENV) != 0);
	dict_bits(dict, "allocators", hello->allocators, allocators,
		  ARRAY_SIZE(allocators));
	for (size_t i = 0; i < ARRAY_SIZE(allocators); i++)
		if (hello->malloc_owner == 1U << i)
			dict_string(dict, "malloc", allocators[i]);
	dict_bits(dict, "tuned", hello->tuned, knobs, ARRAY_SIZE(knobs));
	dict_bits(dict, "env_tuned", hello->env_tuned, knobs, ARRAY_SIZE(knobs));
}

static void put_foreign(struct dict *dict, const struct stats *s)
{
	const struct wire_foreign *foreign;

	if (!stats_foreign(s, 0))
		return;

	dict_open_rows_entry(dict, "foreign");
	for (unsigned int i = 0; (foreign = stats_foreign(s, i)); i++) {
		dict_open(dict);
		for (size_t k = 0; k < ARRAY_SIZE(allocators); k++)
			if (foreign->allocator == 1U << k)
				dict_string(dict, "allocator", allocators[k]);
		dict_u64(dict, "in_use_bytes", foreign->in_use);
		dict_u64(dict, "retained_bytes", foreign->retained);
		dict_close(dict);
	}
	dict_close_rows_entry(dict);
}

static void put_stats(struct dict *dict, const struct member *member, uint64_t now_usec)
{
	const struct stats *s = &member->stats;

	if (member->stats_usec == 0)
		return;

	age(dict, "stats_age_usec", member->stats_usec, now_usec);
	if ((s->flags & WIRE_STATS_RSS) != 0) {
		dict_u64(dict, "heap_rss_bytes", s->heap_rss);
		dict_u64(dict, "heap_swap_bytes", s->heap_swap);
		dict_u32(dict, "rss_walk_usec", s->rss_usec);
	}
	put_foreign(dict, s);
	dict_u64(dict, "retained_bytes", member->retained_bytes);
	dict_u64(dict, "stall_usec", member->stall_usec);
	if ((s->flags & WIRE_STATS_HEAP) == 0)
		return;

	dict_u64(dict, "in_use_bytes", s->in_use);
	dict_u64(dict, "free_bytes", s->free);
	dict_u64(dict, "residue_bytes", member_lessons(member)->residue_bytes);
	dict_u64(dict, "mmapped_bytes", s->mmapped);
	dict_u64(dict, "system_bytes", s->system);
	dict_u64(dict, "whole_pages_bytes", s->whole_pages);
	dict_u64(dict, "unsorted_bytes", s->unsorted);
	dict_u64(dict, "main_top_bytes", s->main_top);
	dict_u64(dict, "other_tops_bytes", s->other_tops);
	dict_u32(dict, "n_arenas", s->n_arenas);
	dict_u32(dict, "n_heaps", s->n_heaps);
	dict_u32(dict, "n_free_chunks", s->n_free);
	dict_u32(dict, "n_mmapped_chunks", s->n_mmapped);
	dict_u32(dict, "heap_walk_usec", s->heap_usec);
	dict_u64(dict, "release_usec", member->release_usec);
	dict_u64(dict, "heap_huge_bytes", s->heap_huge);
	dict_u32(dict, "n_anchored_arenas", s->n_anchored);
	if (s->n_anchored == 0 || member->borrow_refused)
		return;

	dict_u64(dict, "borrow_bytes", member->borrow.bytes);
	dict_u64(dict, "borrow_stall_usec", member->borrow.stall_usec);
	dict_u64(dict, "borrow_usec", member->borrow.usec);
	dict_u32(dict, "n_unreached_arenas", member_lessons(member)->calibration.borrow_unreached);
}

static const char *wire_method_name(uint32_t method)
{
	switch ((enum wire_method)method) {
	case WIRE_METHOD_FULL:
		return "full";
	case WIRE_METHOD_BORROW:
		return "borrow";
	}

	return "unknown";
}

/* Beside what happened; of a release that nothing was known about before, nothing. */
static void put_forecast(struct dict *dict, const struct forecast *forecast)
{
	if (forecast->usec == 0)
		return;

	dict_u64(dict, "predicted_bytes", forecast->bytes);
	dict_u64(dict, "predicted_stall_usec", forecast->stall_usec);
	dict_u64(dict, "predicted_usec", forecast->usec);
}

static void put_last_release(struct dict *dict, const struct member *member,
			     uint64_t now_usec)
{
	const struct lessons *lessons = member_lessons(member);
	const struct wire_reclaim_reply *r = &lessons->last_release;

	if (member->last_release_usec == 0)
		return;

	dict_open_entry(dict, "last_release");
	dict_string(dict, "method", wire_method_name(r->method));
	dict_bits(dict, "allocators", r->allocators, allocators, ARRAY_SIZE(allocators));
	dict_u64(dict, "rss_before_bytes", r->rss_before);
	dict_u64(dict, "rss_after_bytes", r->rss_after);
	dict_u64(dict, "released_bytes", sub_sat(r->rss_before, r->rss_after));
	dict_u64(dict, "duration_usec", r->duration_usec);
	if (r->stall_usec > 0)
		dict_u64(dict, "stall_usec", r->stall_usec);
	dict_u64(dict, "agent_cpu_usec", r->cpu_usec);
	if (r->method == WIRE_METHOD_BORROW) {
		dict_u32(dict, "n_arenas", r->n_arenas);
		dict_u32(dict, "n_reached_arenas", r->n_reached);
		dict_u32(dict, "n_borrowed_chunks", r->n_borrowed);
	}
	put_forecast(dict, &lessons->last_forecast);
	age(dict, "age_usec", member->last_release_usec, now_usec);
	dict_close_entry(dict);
}

void rows_member(struct dict *dict, const struct group *group,
		 const struct member *member, const struct diagnosis *diagnosis,
		 uint64_t now_usec)
{
	const struct process *p = &member->process;

	dict_u32(dict, "pid", (uint32_t)p->pid);
	dict_string(dict, "command", p->command);
	dict_u32(dict, "uid", p->uid);
	put_names(dict, group);
	dict_u64(dict, "rss_bytes", p->rss_bytes);
	dict_u64(dict, "rss_anon_bytes", p->anon_bytes);
	dict_u64(dict, "swap_bytes", p->swap_bytes);
	dict_u32(dict, "threads", p->n_threads);
	dict_u64(dict, "cpu_usec", p->cpu_usec);
	dict_u32(dict, "busy_permyriad", member->busy_permyriad);
	put_hello(dict, &member->hello);
	put_stats(dict, member, now_usec);
	put_last_release(dict, member, now_usec);
	if (diagnosis)
		rows_diagnosis(dict, group, member, diagnosis);
	dict_u32(dict, "failures", member->n_failed);
	dict_bool(dict, "refused", member->n_failed > 0 && member->refused);
	dict_bool(dict, "seccomp_changed", member->seccomp_changed);
	dict_bool(dict, "stopped", member_is_stopped(member));
}

/* By enum wire_effect. */
static const char *const effects[] = { "set", "late", "maybe", "operator", "paired" };

static const char *effect_text(enum wire_effect effect)
{
	switch (effect) {
	case WIRE_EFFECT_SET:
		return "set";
	case WIRE_EFFECT_LATE:
		return "too late: without effect until its next start";
	case WIRE_EFFECT_MAYBE:
		return "set, perhaps too late: sure from its next start on";
	case WIRE_EFFECT_OPERATOR:
		return "its own environment, configuration or build sets this";
	case WIRE_EFFECT_PAIRED:
		return "set, and the other threshold along with it";
	}

	return "set";
}

/* The line of its unit that makes it so from the start. */
static void put_next_start(struct dict *dict, const struct tuned *tuned)
{
	char line[96];

	if (tuned->effect != WIRE_EFFECT_LATE && tuned->effect != WIRE_EFFECT_MAYBE)
		return;

	snprintf(line, sizeof(line), "Environment=MEMGUARD_MALLOPT=%s=%" PRIu64,
		 knobs[tuned->knob], tuned->value);
	dict_string(dict, "next_start", line);
}

/* A stable word, and a clause for people. */
static const char *tuned_status(const struct tuned *tuned, const char **ret_text)
{
	if (tuned->error < 0) {
		*ret_text = tuned->silence != SILENCE_NONE
				    ? silence_to_text(tuned->silence)
			    : tuned->error == -ETIMEDOUT ? "did not answer in time"
			    : tuned->error == -ESRCH	 ? "ended while it was asked"
			    : tuned->error == -EBUSY
				    ? "is answering another request; try again"
				    : strerror(-tuned->error);
		return "not-asked";
	}

	switch ((enum wire_status)tuned->status) {
	case WIRE_OK:
		*ret_text = effect_text(tuned->effect);
		return "ok";
	case WIRE_UNSUPPORTED:
		*ret_text = "its libc or allocator has no such setting";
		return "unsupported";
	case WIRE_REFUSED:
		*ret_text = "refused: its own environment, configuration or build sets this";
		return "refused";
	case WIRE_FAILED:
		*ret_text = "its allocator did not take the value";
		return "failed";
	}

	*ret_text = "answered with a status unknown to this version";
	return "unknown";
}

void rows_tuned(struct dict *dict, const struct tuned *tuned)
{
	const char *text, *status = tuned_status(tuned, &text);

	dict_u32(dict, "pid", (uint32_t)tuned->member->process.pid);
	dict_string(dict, "command", tuned->member->process.command);
	dict_string(dict, "status", status);
	dict_string(dict, "text", text);
	dict_bool(dict, "late", tuned->error == 0 && tuned->status == WIRE_OK &&
					tuned->effect == WIRE_EFFECT_LATE);
	if (tuned->error < 0 || tuned->status != WIRE_OK)
		return;

	dict_u64(dict, "value", tuned->value);
	dict_string(dict, "effect", effects[tuned->effect]);
	put_next_start(dict, tuned);
}

void rows_option(struct dict *dict, const struct bus_item *item)
{
	dict_string(dict, "section", item->section);
	dict_string(dict, "key", item->key);
	dict_string(dict, "value", item->value);
	dict_string(dict, "file", item->file);
	if (item->file)
		dict_u32(dict, "line", item->line);
}
