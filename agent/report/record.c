/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/record.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#include "agent/report/journal-text.h"
#include "agent/report/rows.h"

enum type {
	TYPE_U64,
	TYPE_I64,
	TYPE_U32,
	TYPE_BOOL,
	TYPE_MODE,
	TYPE_METHOD,
	TYPE_STATE,
	TYPE_REASON,
};

struct row {
	const char *key;
	size_t offset;
	enum type type;
};

#define SETTING(field) "settings." #field, offsetof(struct group_settings, field)
#define GROUP(field) #field, offsetof(struct group, field)
#define BENEFIT(field) "benefit." #field, offsetof(struct benefit, field)
#define MEMBER(field) #field, offsetof(struct member, field)

/* All that gate_step() and pick_members() look at; tests/replay/scene.c reads the same. */
static const struct row setting_rows[] = {
	{ SETTING(mode), TYPE_MODE },
	{ SETTING(usage_high_permyriad), TYPE_U32 },
	{ SETTING(usage_critical_permyriad), TYPE_U32 },
	{ SETTING(pressure_some_permyriad), TYPE_U32 },
	{ SETTING(machine_pressure_permyriad), TYPE_U32 },
	{ SETTING(oom_eta_usec), TYPE_U64 },
	{ SETTING(retained_high_bytes), TYPE_U64 },
	{ SETTING(method), TYPE_METHOD },
	{ SETTING(min_release_bytes), TYPE_U64 },
	{ SETTING(stall_budget_usec), TYPE_U64 },
	{ SETTING(cooldown_usec), TYPE_U64 },
	{ SETTING(max_per_hour), TYPE_U64 },
};

static const struct row group_rows[] = {
	{ GROUP(reading.time_usec), TYPE_U64 },
	{ GROUP(reading.usage_bytes), TYPE_U64 },
	{ GROUP(reading.anon_bytes), TYPE_U64 },
	{ GROUP(reading.limit_bytes), TYPE_U64 },
	{ GROUP(reading.others_bytes), TYPE_U64 },
	{ GROUP(reading.pressure_total_usec), TYPE_U64 },
	{ GROUP(reading.n_max), TYPE_U64 },
	{ GROUP(reading.n_oom_kill), TYPE_U64 },
	{ GROUP(trend.time_usec), TYPE_U64 },
	{ GROUP(trend.anon_bytes), TYPE_U64 },
	{ GROUP(trend.growth_bytes_per_sec), TYPE_I64 },
	{ GROUP(trend.eta_usec), TYPE_U64 },
	{ GROUP(trend.steady_since_usec), TYPE_U64 },
	{ GROUP(trend.steady_bytes), TYPE_U64 },
	{ GROUP(heap.retained_bytes), TYPE_U64 },
	{ GROUP(heap.fresh_bytes), TYPE_U64 },
	{ GROUP(heap.untold_bytes), TYPE_U64 },
	{ GROUP(heap.rss_bytes), TYPE_U64 },
	{ GROUP(heap.time_usec), TYPE_U64 },
	{ GROUP(gate.state), TYPE_STATE },
	{ GROUP(gate.reason), TYPE_REASON },
	{ GROUP(gate.since_usec), TYPE_U64 },
	{ GROUP(gate.until_usec), TYPE_U64 },
	{ GROUP(n_joined), TYPE_U32 },
};

static const struct row benefit_rows[] = {
	{ BENEFIT(n_rounds), TYPE_U64 },
	{ BENEFIT(released_bytes), TYPE_U64 },
	{ BENEFIT(last_round_usec), TYPE_U64 },
	{ BENEFIT(last_released_bytes), TYPE_U64 },
	{ BENEFIT(last_usage_bytes), TYPE_U64 },
	{ BENEFIT(last_n_not_needed), TYPE_U32 },
	{ BENEFIT(last_n_silent), TYPE_U32 },
	{ BENEFIT(n_returned), TYPE_U32 },
	{ BENEFIT(backoff_usec), TYPE_U64 },
	{ BENEFIT(urgent_backoff_usec), TYPE_U64 },
	{ BENEFIT(calm_backoff_usec), TYPE_U64 },
	{ BENEFIT(left_until_usec), TYPE_U64 },
	{ BENEFIT(last_quiet_usec), TYPE_U64 },
	{ BENEFIT(last_quiet_reason), TYPE_REASON },
	{ BENEFIT(last_quiet_trigger), TYPE_REASON },
	{ BENEFIT(n_quiet), TYPE_U32 },
	{ BENEFIT(last_limit_bytes), TYPE_U64 },
	{ BENEFIT(last_anon_bytes), TYPE_U64 },
	{ BENEFIT(last_fresh_bytes), TYPE_U64 },
	{ BENEFIT(last_n_joined), TYPE_U32 },
	{ BENEFIT(asked_anon_bytes), TYPE_U64 },
};

static const struct row member_rows[] = {
	{ MEMBER(process.start_time), TYPE_U64 },
	{ MEMBER(process.rss_bytes), TYPE_U64 },
	{ MEMBER(process.anon_bytes), TYPE_U64 },
	{ MEMBER(process.swap_bytes), TYPE_U64 },
	{ MEMBER(process.cpu_usec), TYPE_U64 },
	{ MEMBER(hello.allocators), TYPE_U32 },
	{ MEMBER(hello.malloc_owner), TYPE_U32 },
	{ MEMBER(time_usec), TYPE_U64 },
	{ MEMBER(busy_permyriad), TYPE_U32 },
	{ MEMBER(stats.flags), TYPE_U32 },
	{ MEMBER(stats.rss), TYPE_U64 },
	{ MEMBER(stats.n_anchored), TYPE_U32 },
	{ MEMBER(stats_usec), TYPE_U64 },
	{ MEMBER(retained_bytes), TYPE_U64 },
	{ MEMBER(rested_bytes), TYPE_U64 },
	{ MEMBER(stall_usec), TYPE_U32 },
	{ MEMBER(borrow.bytes), TYPE_U64 },
	{ MEMBER(borrow.stall_usec), TYPE_U32 },
	{ MEMBER(borrow.usec), TYPE_U32 },
	{ MEMBER(borrow_usec_per_mib), TYPE_U32 },
	{ MEMBER(borrow_refused), TYPE_BOOL },
	{ MEMBER(last_release_usec), TYPE_U64 },
	{ MEMBER(n_failed), TYPE_U32 },
	{ MEMBER(seccomp_changed), TYPE_BOOL },
};

static void put_value(struct text *text, const void *field, enum type type)
{
	switch (type) {
	case TYPE_U64:
		text_add(text, "%" PRIu64 "\n", *(const uint64_t *)field);
		return;
	case TYPE_I64:
		text_add(text, "%" PRId64 "\n", *(const int64_t *)field);
		return;
	case TYPE_U32:
		text_add(text, "%" PRIu32 "\n", *(const uint32_t *)field);
		return;
	case TYPE_BOOL:
		text_add(text, "%s\n", *(const bool *)field ? "yes" : "no");
		return;
	case TYPE_MODE:
		text_add(text, "%s\n", rows_mode(*(const enum mode *)field));
		return;
	case TYPE_METHOD:
		text_add(text, "%s\n", method_to_string(*(const enum method *)field));
		return;
	case TYPE_STATE:
		text_add(text, "%s\n", gate_state_to_string(*(const enum gate_state *)field));
		return;
	case TYPE_REASON:
		text_add(text, "%s\n", reason_to_string(*(const enum reason *)field));
		return;
	}
}

static void put_rows(struct text *text, const struct row *rows, size_t n_rows, const void *from)
{
	for (size_t i = 0; i < n_rows; i++) {
		text_add(text, "%s = ", rows[i].key);
		put_value(text, (const char *)from + rows[i].offset, rows[i].type);
	}
}

static void put_member(struct text *text, const struct member *member)
{
	const int pid = (int)member->process.pid;

	text_add(text, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(member_rows); i++) {
		text_add(text, "member.%d.%s = ", pid, member_rows[i].key);
		put_value(text, (const char *)member + member_rows[i].offset,
			  member_rows[i].type);
	}

	/* Of one that was never looked at it is not known. */
	if (isalpha((unsigned char)member->process.state))
		text_add(text, "member.%d.process.state = %c\n", pid, member->process.state);
}

static void put_running(struct text *text, const struct running *running)
{
	text_add(text, "\nrunning.reason = %s\nrunning.rushed = %s\n",
		 reason_to_string(running->reason), running->rushed ? "yes" : "no");
	if (running->member)
		text_add(text, "running.member = %d\nrunning.method = %s\n"
			 "running.asked_usec = %" PRIu64 "\n",
			 (int)running->member->process.pid, method_to_string(running->method),
			 running->asked_usec);
}

static void put_decision(struct text *text, const struct record *record)
{
	const struct decision *decision = record->decision;

	text_add(text, "\n");
	/* A command asks no gate. */
	if (!record->command)
		text_add(text, "expect.gate_state = %s\n", gate_state_to_string(record->gate->state));
	text_add(text, "expect.reason = %s\n", reason_to_string(decision->reason));
	text_add(text, "expect.act = %s\n", decision->act ? "yes" : "no");

	text_add(text, "expect.picks =");
	for (size_t i = 0; i < decision->n_picks; i++)
		text_add(text, " %d", (int)decision->picks[i].pid);
	text_add(text, "\nexpect.methods =");
	for (size_t i = 0; i < decision->n_picks; i++)
		text_add(text, " %s/%s", method_to_string(decision->picks[i].method),
		    why_to_string(decision->picks[i].why));
	text_add(text, "\nexpect.needed = %u\n", decision->n_needed);
	if (record->running)
		text_add(text, "expect.yield = %s\n", yield_to_string(record->yield));
}

int record_format(const struct record *record, char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };

	if (record->n_members > RECORD_MEMBERS_MAX)
		return -E2BIG;

	text_add(&text, "# Recorded by memguardd " PACKAGE_VERSION "; see tests/replay/README.md.\n\n"
		   "now_usec = %" PRIu64 "\n", record->now_usec);
	if (record->command)
		text_add(&text, "command = yes\n");
	if (record->pressure)
		text_add(&text, "signals.pressure = yes\n");
	if (record->limit_hit)
		text_add(&text, "signals.limit_hit = yes\n");
	if (record->machine)
		text_add(&text, "signals.machine = yes\n");
	if (record->crossed)
		text_add(&text, "signals.crossed = yes\n");
	if (record->crowded)
		text_add(&text, "signals.crowded = yes\n");

	put_rows(&text, setting_rows, ARRAY_SIZE(setting_rows), record->group->settings);
	put_rows(&text, group_rows, ARRAY_SIZE(group_rows), record->group);
	put_rows(&text, benefit_rows, ARRAY_SIZE(benefit_rows), group_benefit(record->group));
	text_add(&text, "steps.release = %" PRIu32 "\n",
	    steps_n(record->group->steps, STEP_RELEASE, record->now_usec));
	for (size_t i = 0; i < record->n_members; i++)
		put_member(&text, record->members[i]);
	if (record->running)
		put_running(&text, record->running);
	put_decision(&text, record);
	return text.overflow ? -ENOBUFS : 0;
}
