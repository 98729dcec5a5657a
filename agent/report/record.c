/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/record.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/basic/macro.h"
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

#define GROUP(field) #field, offsetof(struct group, field)
#define MEMBER(field) #field, offsetof(struct member, field)

/* All that gate_step() and pick_members() look at; tests/replay/replay.c reads the same. */
static const struct row group_rows[] = {
	{ GROUP(settings.mode), TYPE_MODE },
	{ GROUP(settings.usage_high_permyriad), TYPE_U32 },
	{ GROUP(settings.usage_critical_permyriad), TYPE_U32 },
	{ GROUP(settings.pressure_some_permyriad), TYPE_U32 },
	{ GROUP(settings.machine_pressure_permyriad), TYPE_U32 },
	{ GROUP(settings.oom_eta_usec), TYPE_U64 },
	{ GROUP(settings.retained_high_bytes), TYPE_U64 },
	{ GROUP(settings.method), TYPE_METHOD },
	{ GROUP(settings.min_release_bytes), TYPE_U64 },
	{ GROUP(settings.stall_budget_usec), TYPE_U64 },
	{ GROUP(settings.cooldown_usec), TYPE_U64 },
	{ GROUP(reading.time_usec), TYPE_U64 },
	{ GROUP(reading.usage_bytes), TYPE_U64 },
	{ GROUP(reading.anon_bytes), TYPE_U64 },
	{ GROUP(reading.limit_bytes), TYPE_U64 },
	{ GROUP(reading.pressure_total_usec), TYPE_U64 },
	{ GROUP(reading.n_max), TYPE_U64 },
	{ GROUP(reading.n_oom_kill), TYPE_U64 },
	{ GROUP(trend.time_usec), TYPE_U64 },
	{ GROUP(trend.anon_bytes), TYPE_U64 },
	{ GROUP(trend.growth_bytes_per_sec), TYPE_I64 },
	{ GROUP(trend.eta_usec), TYPE_U64 },
	{ GROUP(trend.steady_since_usec), TYPE_U64 },
	{ GROUP(trend.steady_bytes), TYPE_U64 },
	{ GROUP(heap.in_use_bytes), TYPE_U64 },
	{ GROUP(heap.retained_bytes), TYPE_U64 },
	{ GROUP(heap.unused_bytes), TYPE_U64 },
	{ GROUP(heap.stall_usec), TYPE_U64 },
	{ GROUP(heap.rss_bytes), TYPE_U64 },
	{ GROUP(heap.time_usec), TYPE_U64 },
	{ GROUP(gate.state), TYPE_STATE },
	{ GROUP(gate.reason), TYPE_REASON },
	{ GROUP(gate.since_usec), TYPE_U64 },
	{ GROUP(gate.until_usec), TYPE_U64 },
	{ GROUP(benefit.n_rounds), TYPE_U64 },
	{ GROUP(benefit.released_bytes), TYPE_U64 },
	{ GROUP(benefit.last_round_usec), TYPE_U64 },
	{ GROUP(benefit.last_released_bytes), TYPE_U64 },
	{ GROUP(benefit.last_usage_bytes), TYPE_U64 },
	{ GROUP(benefit.backoff_usec), TYPE_U64 },
	{ GROUP(benefit.last_quiet_usec), TYPE_U64 },
	{ GROUP(benefit.last_quiet_reason), TYPE_REASON },
};

static const struct row member_rows[] = {
	{ MEMBER(process.start_time), TYPE_U64 },
	{ MEMBER(process.rss_bytes), TYPE_U64 },
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
	{ MEMBER(stall_usec), TYPE_U64 },
	{ MEMBER(borrow.bytes), TYPE_U64 },
	{ MEMBER(borrow.stall_usec), TYPE_U64 },
	{ MEMBER(borrow.usec), TYPE_U64 },
	{ MEMBER(borrow_refused), TYPE_BOOL },
	{ MEMBER(last_release_usec), TYPE_U64 },
	{ MEMBER(n_failed), TYPE_U32 },
	{ MEMBER(seccomp_changed), TYPE_BOOL },
};

struct text {
	char *buf;
	size_t size;
	size_t length;
	int error;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format,
						       ...)
{
	const size_t left = text->size - text->length;
	va_list ap;
	int n;

	if (text->error < 0)
		return;

	va_start(ap, format);
	n = vsnprintf(text->buf + text->length, left, format, ap);
	va_end(ap);

	if (n < 0 || (size_t)n >= left)
		text->error = -ENOBUFS;
	else
		text->length += (size_t)n;
}

static void put_value(struct text *text, const void *field, enum type type)
{
	switch (type) {
	case TYPE_U64:
		put(text, "%" PRIu64 "\n", *(const uint64_t *)field);
		return;
	case TYPE_I64:
		put(text, "%" PRId64 "\n", *(const int64_t *)field);
		return;
	case TYPE_U32:
		put(text, "%" PRIu32 "\n", *(const uint32_t *)field);
		return;
	case TYPE_BOOL:
		put(text, "%s\n", *(const bool *)field ? "yes" : "no");
		return;
	case TYPE_MODE:
		put(text, "%s\n", rows_mode(*(const enum mode *)field));
		return;
	case TYPE_METHOD:
		put(text, "%s\n", method_to_string(*(const enum method *)field));
		return;
	case TYPE_STATE:
		put(text, "%s\n", gate_state_to_string(*(const enum gate_state *)field));
		return;
	case TYPE_REASON:
		put(text, "%s\n", reason_to_string(*(const enum reason *)field));
		return;
	}
}

static void put_member(struct text *text, const struct member *member)
{
	const int pid = (int)member->process.pid;

	put(text, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(member_rows); i++) {
		put(text, "member.%d.%s = ", pid, member_rows[i].key);
		put_value(text, (const char *)member + member_rows[i].offset,
			  member_rows[i].type);
	}

	/* Of one that was never looked at it is not known. */
	if (isalpha((unsigned char)member->process.state))
		put(text, "member.%d.process.state = %c\n", pid, member->process.state);
}

static void put_decision(struct text *text, const struct record *record)
{
	const struct decision *decision = record->decision;

	put(text, "\n");
	/* A command asks no gate. */
	if (!record->command)
		put(text, "expect.gate_state = %s\n", gate_state_to_string(record->gate->state));
	put(text, "expect.reason = %s\n", reason_to_string(decision->reason));
	put(text, "expect.act = %s\n", decision->act ? "yes" : "no");

	put(text, "expect.picks =");
	for (size_t i = 0; i < decision->n_picks; i++)
		put(text, " %d", (int)decision->picks[i].pid);
	put(text, "\nexpect.methods =");
	for (size_t i = 0; i < decision->n_picks; i++)
		put(text, " %s/%s", method_to_string(decision->picks[i].method),
		    why_to_string(decision->picks[i].why));
	put(text, "\n");
}

int record_format(const struct record *record, char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };

	if (record->n_members > RECORD_MEMBERS_MAX)
		return -E2BIG;

	put(&text, "# Recorded by memguardd " PACKAGE_VERSION "; see tests/replay/README.md.\n\n"
		   "now_usec = %" PRIu64 "\n", record->now_usec);
	if (record->command)
		put(&text, "command = yes\n");
	if (record->pressure)
		put(&text, "signals.pressure = yes\n");
	if (record->limit_hit)
		put(&text, "signals.limit_hit = yes\n");
	if (record->machine)
		put(&text, "signals.machine = yes\n");

	for (size_t i = 0; i < ARRAY_SIZE(group_rows); i++) {
		put(&text, "%s = ", group_rows[i].key);
		put_value(&text, (const char *)record->group + group_rows[i].offset,
			  group_rows[i].type);
	}
	for (size_t i = 0; i < record->n_members; i++)
		put_member(&text, record->members[i]);
	put_decision(&text, record);
	return text.error;
}
