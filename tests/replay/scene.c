/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The keys of a *.round file. Knows the format; knows no policy. */

#include "tests/replay/scene.h"

#include <errno.h>
#include <stdio.h>

#include "agent/basic/macro.h"
#include "agent/basic/parse.h"

struct row {
	const char *key;
	size_t offset;
	int (*take)(const char *value, void *field);
};

/* Plain numbers are what the kernel and the structs hold; units are for people. */
static int take_u64(const char *value, void *field)
{
	return parse_u64(value, field);
}

static int take_bytes(const char *value, void *field)
{
	return parse_u64(value, field) == 0 ? 0 : parse_bytes(value, field);
}

static int take_usec(const char *value, void *field)
{
	return parse_u64(value, field) == 0 ? 0 : parse_usec(value, field);
}

static int take_brief(const char *value, void *field)
{
	uint64_t usec;
	int r;

	r = take_usec(value, &usec);
	if (r >= 0)
		*(uint32_t *)field = brief_usec(usec);
	return r;
}

static int take_u32(const char *value, void *field)
{
	uint64_t number;
	int r;

	r = parse_u64(value, &number);
	if (r < 0)
		return r;

	if (number > UINT32_MAX)
		return -ERANGE;

	*(uint32_t *)field = (uint32_t)number;
	return 0;
}

static int take_permyriad(const char *value, void *field)
{
	return take_u32(value, field) == 0 ? 0 : parse_percent(value, field);
}

/* Bytes with a sign. */
static int take_growth(const char *value, void *field)
{
	const bool negative = *value == '-';
	uint64_t bytes;
	int r;

	r = take_bytes(negative ? value + 1 : value, &bytes);
	if (r < 0)
		return r;

	if (bytes > INT64_MAX)
		return -ERANGE;

	*(int64_t *)field = negative ? -(int64_t)bytes : (int64_t)bytes;
	return 0;
}

static int take_bool(const char *value, void *field)
{
	return parse_bool(value, field);
}

static int take_char(const char *value, void *field)
{
	if (strlen(value) != 1)
		return -EINVAL;

	*(char *)field = *value;
	return 0;
}

static int take_mode(const char *value, void *field)
{
	if (!streq(value, "trim") && !streq(value, "observe"))
		return -EINVAL;

	*(enum mode *)field = streq(value, "trim") ? MODE_TRIM : MODE_OBSERVE;
	return 0;
}

static int take_method(const char *value, void *field)
{
	return method_from_string(value, field);
}

static int take_reason(const char *value, void *field)
{
	return reason_from_string(value, field);
}

static int take_state(const char *value, void *field)
{
	for (int i = GATE_CALM; i <= GATE_SETTLING; i++)
		if (streq(value, gate_state_to_string((enum gate_state)i))) {
			*(enum gate_state *)field = (enum gate_state)i;
			return 0;
		}

	return -EINVAL;
}

static int take_kind(const char *value, void *field)
{
	for (int i = OUTCOME_RELEASED; i <= OUTCOME_FAILED; i++)
		if (streq(value, outcome_kind_to_string((enum outcome_kind)i))) {
			*(enum outcome_kind *)field = (enum outcome_kind)i;
			return 0;
		}

	return -EINVAL;
}

#define SCENE(field) offsetof(struct scene, field)
#define SETTING(field) "settings." #field, offsetof(struct scene, settings.field)
#define GROUP(field) #field, offsetof(struct scene, group.field)
#define BENEFIT(field) "benefit." #field, offsetof(struct scene, benefit.field)
#define OUTCOME(field) "outcome." #field, offsetof(struct scene, outcome.field)
#define MEMBER(field) #field, offsetof(struct member, field)

static const struct row scene_rows[] = {
	{ "running.reason", SCENE(running.reason), take_reason },
	{ "running.rushed", SCENE(running.rushed), take_bool },
	{ "running.member", SCENE(running_pid), take_u32 },
	{ "running.method", SCENE(running.method), take_method },
	{ "running.asked_usec", SCENE(running.asked_usec), take_usec },
	{ "now_usec", SCENE(now_usec), take_usec },
	{ "command", SCENE(command), take_bool },
	{ "signals.pressure", SCENE(signals.pressure), take_bool },
	{ "signals.limit_hit", SCENE(signals.limit_hit), take_bool },
	{ "signals.machine", SCENE(signals.machine), take_bool },
	{ "signals.crossed", SCENE(signals.crossed), take_bool },
	{ "signals.crowded", SCENE(signals.crowded), take_bool },
	{ "trend.take_reading", SCENE(take_reading), take_bool },
	{ SETTING(mode), take_mode },
	{ SETTING(usage_high_permyriad), take_permyriad },
	{ SETTING(usage_critical_permyriad), take_permyriad },
	{ SETTING(pressure_some_permyriad), take_permyriad },
	{ SETTING(machine_pressure_permyriad), take_permyriad },
	{ SETTING(oom_eta_usec), take_usec },
	{ SETTING(retained_high_bytes), take_bytes },
	{ SETTING(method), take_method },
	{ SETTING(min_release_bytes), take_bytes },
	{ SETTING(stall_budget_usec), take_usec },
	{ SETTING(cooldown_usec), take_usec },
	{ SETTING(max_per_hour), take_u64 },
	{ GROUP(reading.time_usec), take_usec },
	{ GROUP(reading.usage_bytes), take_bytes },
	{ GROUP(reading.anon_bytes), take_bytes },
	{ GROUP(reading.limit_bytes), take_bytes },
	{ GROUP(reading.others_bytes), take_bytes },
	{ GROUP(reading.pressure_total_usec), take_usec },
	{ GROUP(reading.n_max), take_u64 },
	{ GROUP(reading.n_oom_kill), take_u64 },
	{ GROUP(trend.time_usec), take_usec },
	{ GROUP(trend.anon_bytes), take_bytes },
	{ GROUP(trend.growth_bytes_per_sec), take_growth },
	{ GROUP(trend.eta_usec), take_usec },
	{ GROUP(trend.steady_since_usec), take_usec },
	{ GROUP(trend.steady_bytes), take_bytes },
	{ GROUP(heap.retained_bytes), take_bytes },
	{ GROUP(heap.untold_bytes), take_bytes },
	{ GROUP(heap.fresh_bytes), take_bytes },
	{ GROUP(heap.rss_bytes), take_bytes },
	{ GROUP(heap.time_usec), take_usec },
	{ GROUP(gate.state), take_state },
	{ GROUP(gate.reason), take_reason },
	{ GROUP(gate.since_usec), take_usec },
	{ GROUP(gate.until_usec), take_usec },
	{ BENEFIT(n_rounds), take_u64 },
	{ BENEFIT(released_bytes), take_bytes },
	{ BENEFIT(last_round_usec), take_usec },
	{ BENEFIT(last_released_bytes), take_bytes },
	{ BENEFIT(last_usage_bytes), take_bytes },
	{ BENEFIT(last_n_not_needed), take_u32 },
	{ BENEFIT(last_n_silent), take_u32 },
	{ BENEFIT(n_returned), take_u32 },
	{ BENEFIT(backoff_usec), take_usec },
	{ BENEFIT(urgent_backoff_usec), take_usec },
	{ BENEFIT(calm_backoff_usec), take_usec },
	{ BENEFIT(left_until_usec), take_usec },
	{ BENEFIT(last_quiet_usec), take_usec },
	{ BENEFIT(last_quiet_reason), take_reason },
	{ BENEFIT(last_quiet_trigger), take_reason },
	{ BENEFIT(n_quiet), take_u32 },
	{ BENEFIT(last_limit_bytes), take_bytes },
	{ BENEFIT(last_anon_bytes), take_bytes },
	{ BENEFIT(last_fresh_bytes), take_bytes },
	{ BENEFIT(last_n_joined), take_u32 },
	{ BENEFIT(asked_anon_bytes), take_bytes },
	{ GROUP(n_joined), take_u32 },
	{ OUTCOME(kind), take_kind },
	{ OUTCOME(trigger), take_reason },
	{ OUTCOME(reason), take_reason },
	{ OUTCOME(end_usec), take_usec },
	{ OUTCOME(n_asked), take_u32 },
	{ OUTCOME(n_answered), take_u32 },
	{ OUTCOME(n_not_needed), take_u32 },
	{ OUTCOME(usage_before_bytes), take_bytes },
	{ OUTCOME(usage_after_bytes), take_bytes },
	{ OUTCOME(held_before_bytes), take_bytes },
	{ OUTCOME(held_after_bytes), take_bytes },
	{ OUTCOME(rss_before_bytes), take_bytes },
	{ OUTCOME(rss_after_bytes), take_bytes },
	{ OUTCOME(expected_bytes), take_bytes },
};

static const struct row member_rows[] = {
	{ MEMBER(process.start_time), take_u64 },
	{ MEMBER(process.rss_bytes), take_bytes },
	{ MEMBER(process.anon_bytes), take_bytes },
	{ MEMBER(process.swap_bytes), take_bytes },
	{ MEMBER(process.cpu_usec), take_usec },
	{ MEMBER(process.state), take_char },
	{ MEMBER(hello.allocators), take_u32 },
	{ MEMBER(hello.malloc_owner), take_u32 },
	{ MEMBER(time_usec), take_usec },
	{ MEMBER(busy_permyriad), take_permyriad },
	{ MEMBER(stats.flags), take_u32 },
	{ MEMBER(stats.rss), take_bytes },
	{ MEMBER(stats_usec), take_usec },
	{ MEMBER(retained_bytes), take_bytes },
	{ MEMBER(rested_bytes), take_bytes },
	{ MEMBER(stall_usec), take_brief },
	{ MEMBER(stats.n_anchored), take_u32 },
	{ MEMBER(borrow.bytes), take_bytes },
	{ MEMBER(borrow.stall_usec), take_brief },
	{ MEMBER(borrow.usec), take_brief },
	{ MEMBER(borrow_usec_per_mib), take_brief },
	{ MEMBER(borrow_refused), take_bool },
	{ MEMBER(last_release_usec), take_usec },
	{ MEMBER(n_failed), take_u32 },
	{ MEMBER(seccomp_changed), take_bool },
};

const char *const scene_expect_keys[EXPECT_MAX_] = {
	[EXPECT_GATE_STATE] = "expect.gate_state",
	[EXPECT_REASON] = "expect.reason",
	[EXPECT_ACT] = "expect.act",
	[EXPECT_PICKS] = "expect.picks",
	[EXPECT_METHODS] = "expect.methods",
	[EXPECT_NEEDED] = "expect.needed",
	[EXPECT_YIELD] = "expect.yield",
};

int scene_complain(const struct scene *scene, const char *what, const char *object)
{
	fprintf(stderr, "%s:%u: %s \"%s\"; see tests/replay/README.md\n", scene->file,
		scene->line, what, object);
	return -EINVAL;
}

static int take_row(struct scene *scene, const struct row *rows, size_t n_rows,
		    const char *key, const char *value, void *base)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (!streq(key, rows[i].key))
			continue;

		if (rows[i].take(value, (char *)base + rows[i].offset) < 0)
			return scene_complain(scene, "not a value for this key:", value);

		return 0;
	}

	return scene_complain(scene, "no such key:", key);
}

/* The member, made at its first mention: glibc, asleep, never measured. */
static struct member *find_member(struct scene *scene, pid_t pid)
{
	struct member *member;

	for (size_t i = 0; i < scene->n_members; i++)
		if (scene->members[i].process.pid == pid)
			return &scene->members[i];

	if (scene->n_members == MEMBERS_MAX)
		return NULL;

	member = &scene->members[scene->n_members++];
	*member = (struct member){
		.process = { .pid = pid, .state = 'S' },
		.hello = { .allocators = WIRE_ALLOCATOR_GLIBC },
		.stats = { .flags = WIRE_STATS_HEAP | WIRE_STATS_RSS },
	};
	return member;
}

static int take_gone(struct scene *scene, struct member *member, const char *value)
{
	bool gone;

	if (parse_bool(value, &gone) < 0 || !gone)
		return scene_complain(scene, "gone can only be yes, not", value);

	*member = scene->members[--scene->n_members];
	return 0;
}

/* "member.PID.field"; @key is behind the first point. */
static int take_member(struct scene *scene, char *key, const char *value)
{
	char *field = strchr(key, '.');
	struct member *member;
	int pid;

	if (!field)
		return scene_complain(scene, "a member key is member.PID.FIELD, not", key);

	*field++ = '\0';
	if (parse_pid(key, &pid) < 0)
		return scene_complain(scene, "not a process id:", key);

	member = find_member(scene, pid);
	if (!member)
		return scene_complain(scene, "too many members at", key);

	if (streq(field, "gone"))
		return take_gone(scene, member, value);

	return take_row(scene, member_rows, ARRAY_SIZE(member_rows), field, value,
			member);
}

/* So many within the last hour, all of them now. */
static int take_steps(struct scene *scene, const char *value)
{
	uint64_t n;

	if (parse_u64(value, &n) < 0 || n > UINT16_MAX)
		return scene_complain(scene, "not a number of releases:", value);

	scene->steps = (struct steps){ 0 };
	scene->group.steps = &scene->steps;
	while (n-- > 0)
		steps_count(&scene->steps, STEP_RELEASE, scene->now_usec);
	return 0;
}

int scene_take(struct scene *scene, char *key, const char *value)
{
	scene->started = true;

	for (size_t i = 0; i < EXPECT_MAX_; i++)
		if (streq(key, scene_expect_keys[i])) {
			scene->expected[i] = true;
			memcpy(scene->expect[i], value, strlen(value) + 1);
			return 0;
		}

	if (strncmp(key, "member.", 7) == 0)
		return take_member(scene, key + 7, value);

	if (streq(key, "steps.release"))
		return take_steps(scene, value);

	if (strncmp(key, "outcome.", 8) == 0)
		scene->has_outcome = true;

	return take_row(scene, scene_rows, ARRAY_SIZE(scene_rows), key, value, scene);
}
