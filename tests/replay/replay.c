/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Feeds recorded facts (*.round, see README.md) to the policy and compares what it
 * decides with what the file expects. Knows the format; knows no policy.
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/macro.h"
#include "agent/basic/parse.h"
#include "agent/policy/benefit.h"
#include "agent/policy/gate.h"
#include "agent/policy/pick.h"
#include "agent/policy/trend.h"
#include "agent/policy/yield.h"

#define MEMBERS_MAX 4096
#define LINE_MAX_BYTES 2048
#define TEXT_MAX 2048

/* What a step must come to; compared as text. */
enum expectation {
	EXPECT_GATE_STATE,
	EXPECT_REASON,
	EXPECT_ACT,
	EXPECT_PICKS,
	EXPECT_METHODS,
	EXPECT_NEEDED,
	EXPECT_YIELD,
	EXPECT_MAX_,
};

struct scene {
	const char *file;
	unsigned int line;
	unsigned int n_steps;
	unsigned int n_wrong;
	bool started; /* the present step holds a line */

	uint64_t now_usec;
	struct group_settings settings;
	struct group group;
	struct benefit benefit;
	struct steps steps;
	size_t n_members;
	struct member members[MEMBERS_MAX];

	/* Of this step only. */
	struct signals signals;
	bool take_reading;
	bool command;
	bool has_outcome;
	struct outcome outcome;
	struct running running; /* its member by the next */
	uint32_t running_pid;
	bool expected[EXPECT_MAX_];
	char expect[EXPECT_MAX_][LINE_MAX_BYTES];
};

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
	{ BENEFIT(backoff_usec), take_usec },
	{ BENEFIT(urgent_backoff_usec), take_usec },
	{ BENEFIT(calm_backoff_usec), take_usec },
	{ BENEFIT(left_until_usec), take_usec },
	{ BENEFIT(last_quiet_usec), take_usec },
	{ BENEFIT(last_quiet_reason), take_reason },
	{ BENEFIT(n_quiet), take_u32 },
	{ BENEFIT(last_limit_bytes), take_bytes },
	{ BENEFIT(last_anon_bytes), take_bytes },
	{ BENEFIT(last_fresh_bytes), take_bytes },
	{ BENEFIT(last_n_joined), take_u32 },
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
	{ MEMBER(borrow_refused), take_bool },
	{ MEMBER(last_release_usec), take_usec },
	{ MEMBER(n_failed), take_u32 },
	{ MEMBER(seccomp_changed), take_bool },
};

static const char *const expect_keys[EXPECT_MAX_] = {
	[EXPECT_GATE_STATE] = "expect.gate_state",
	[EXPECT_REASON] = "expect.reason",
	[EXPECT_ACT] = "expect.act",
	[EXPECT_PICKS] = "expect.picks",
	[EXPECT_METHODS] = "expect.methods",
	[EXPECT_NEEDED] = "expect.needed",
	[EXPECT_YIELD] = "expect.yield",
};

static int complain(const struct scene *scene, const char *what, const char *object)
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
			return complain(scene, "not a value for this key:", value);

		return 0;
	}

	return complain(scene, "no such key:", key);
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
		.stats = { .flags = WIRE_STATS_HEAP },
	};
	return member;
}

static int take_gone(struct scene *scene, struct member *member, const char *value)
{
	bool gone;

	if (parse_bool(value, &gone) < 0 || !gone)
		return complain(scene, "gone can only be yes, not", value);

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
		return complain(scene, "a member key is member.PID.FIELD, not", key);

	*field++ = '\0';
	if (parse_pid(key, &pid) < 0)
		return complain(scene, "not a process id:", key);

	member = find_member(scene, pid);
	if (!member)
		return complain(scene, "too many members at", key);

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
		return complain(scene, "not a number of releases:", value);

	scene->steps = (struct steps){ 0 };
	scene->group.steps = &scene->steps;
	while (n-- > 0)
		steps_count(&scene->steps, STEP_RELEASE, scene->now_usec);
	return 0;
}

static int take_line(struct scene *scene, char *key, const char *value)
{
	scene->started = true;

	for (size_t i = 0; i < EXPECT_MAX_; i++)
		if (streq(key, expect_keys[i])) {
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

/* From the facts of the step to what the policy says. */
static void decide(struct scene *scene, struct decision *ret)
{
	const struct member *list[MEMBERS_MAX];
	struct group *group = &scene->group;
	enum reason trigger;

	group->settings = &scene->settings;
	group->benefit = &scene->benefit;

	for (size_t i = 0; i < scene->n_members; i++)
		list[i] = &scene->members[i];

	if (scene->has_outcome)
		scene->benefit = benefit_add(group, &scene->outcome);
	if (scene->take_reading)
		group->trend = trend_add(&group->trend, &group->reading);

	group->n_members = scene->n_members;
	group->gate = gate_step(group, &scene->signals, scene->now_usec);

	trigger = scene->command ? REASON_COMMAND : group->gate.reason;
	*ret = (struct decision){ .reason = trigger };
	if (scene->command || gate_is_open(&group->gate))
		pick_members(group, list, scene->n_members, trigger,
			     group->settings->method, ret);
}

/* Of the round under way, by the gate as it is now. */
static enum yield decide_yield(struct scene *scene)
{
	struct pick pick;

	for (size_t i = 0; i < scene->n_members; i++)
		if (scene->running_pid == (uint32_t)scene->members[i].process.pid)
			scene->running.member = &scene->members[i];

	return yield_decide(&scene->group, &scene->running, scene->now_usec, &pick);
}

static void list_picks(const struct decision *decision, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < decision->n_picks && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%d", i > 0 ? " " : "",
				      (int)decision->picks[i].pid);
}

/* "borrow/stall full/idle": method and why, in the order of the picks. */
static void list_methods(const struct decision *decision, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < decision->n_picks && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s/%s", i > 0 ? " " : "",
				      method_to_string(decision->picks[i].method),
				      why_to_string(decision->picks[i].why));
}

static void compare(struct scene *scene, enum expectation what, const char *found)
{
	if (!scene->expected[what] || streq(scene->expect[what], found))
		return;

	printf("# %s:%u: step %u: %s is \"%s\", expected \"%s\"\n", scene->file,
	       scene->line, scene->n_steps, expect_keys[what], found,
	       scene->expect[what]);
	scene->n_wrong++;
}

/* What holds for one step only must not leak into the next. */
static void forget_step(struct scene *scene)
{
	scene->started = false;
	scene->signals = (struct signals){ 0 };
	scene->take_reading = scene->command = scene->has_outcome = false;
	scene->outcome = (struct outcome){ 0 };
	scene->running = (struct running){ 0 };
	scene->running_pid = 0;
	memset(scene->expected, 0, sizeof(scene->expected));
}

static int run_step(struct scene *scene)
{
	struct decision decision;
	char picks[TEXT_MAX];

	scene->n_steps++;
	if (!scene->started || memchr(scene->expected, true, EXPECT_MAX_) == NULL)
		return complain(scene,
				"this step expects nothing, so it proves nothing; add",
				"expect.reason = ...");

	if (scene->now_usec == 0)
		return complain(scene, "the first step must say", "now_usec = ...");

	decide(scene, &decision);
	list_picks(&decision, picks, sizeof(picks));
	compare(scene, EXPECT_GATE_STATE, gate_state_to_string(scene->group.gate.state));
	compare(scene, EXPECT_REASON, reason_to_string(decision.reason));
	compare(scene, EXPECT_ACT, decision.act ? "yes" : "no");
	compare(scene, EXPECT_PICKS, picks);
	list_methods(&decision, picks, sizeof(picks));
	compare(scene, EXPECT_METHODS, picks);
	snprintf(picks, sizeof(picks), "%u", decision.n_needed);
	compare(scene, EXPECT_NEEDED, picks);
	compare(scene, EXPECT_YIELD, yield_to_string(decide_yield(scene)));
	forget_step(scene);
	return 0;
}

static char *strip(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;

	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';

	return s;
}

static int take_text(struct scene *scene, char *line)
{
	char *text = strip(line), *value;

	if (*text == '\0' || *text == '#')
		return 0;

	if (streq(text, "step"))
		return run_step(scene);

	value = strchr(text, '=');
	if (!value)
		return complain(scene, "a line is \"key = value\" or \"step\", not",
				text);

	*value++ = '\0';
	return take_line(scene, strip(text), strip(value));
}

static int replay_lines(struct scene *scene, FILE *f)
{
	char line[LINE_MAX_BYTES];
	int r;

	while (fgets(line, sizeof(line), f)) {
		scene->line++;
		if (strlen(line) == sizeof(line) - 1)
			return complain(scene, "the line is too long:", line);

		r = take_text(scene, line);
		if (r < 0)
			return r;
	}

	if (ferror(f))
		return complain(scene, "cannot read on", scene->file);

	return run_step(scene);
}

/* True when every step came to what the file expects. */
static bool replay_file(const char *file)
{
	static struct scene scene;
	FILE *f;
	int r;

	scene = (struct scene){ .file = file };
	f = fopen(file, "re");
	if (!f) {
		fprintf(stderr, "%s: cannot open: %s\n", file, strerror(errno));
		return false;
	}

	r = replay_lines(&scene, f);
	fclose(f);
	return r == 0 && scene.n_wrong == 0;
}

int main(int argc, char *argv[])
{
	int n_failed = 0;

	if (argc < 2) {
		fprintf(stderr, "Usage: %s FILE.round...\n", argv[0]);
		return 2;
	}

	for (int i = 1; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');
		const bool good = replay_file(argv[i]);

		printf("%sok %d - %s\n", good ? "" : "not ", i,
		       slash ? slash + 1 : argv[i]);
		n_failed += !good;
	}

	printf("1..%d\n", argc - 1);
	return n_failed > 0 ? 1 : 0;
}
