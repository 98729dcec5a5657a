/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the bus asks of a daemon, answered from canned facts. */

#include "tests/shim/fake-data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/macro.h"

static void on_facts(struct daemon_facts *ret, void *userdata)
{
	const struct fake *fake = userdata;

	*ret = (struct daemon_facts){
		.version = "0.1.0",
		.config_state = fake->config_error ? fake->config_error : "ok",
		.config_file = "/etc/memguard/memguard.conf",
		.n_config_files = 2,
		.cgroup = "v2",
		.psi = true,
		.layout = "unified",
		.root = "/",
		.sources = {
			[SOURCE_EVENTS] = { .n_armed = 3 },
			[SOURCE_GROUP] = { .n_armed = 2, .n_failed = 1, .error = -EACCES },
			[SOURCE_MACHINE] = { .n_armed = 1 },
		},
		.system_bus = "absent",
		.mode = MODE_TRIM,
		.n_groups = fake->n_groups,
		.n_members = fake->n_groups > 0 ? FAKE_MEMBERS : 0,
		.start_realtime_usec =
			fake->outcome.realtime_usec - 7400 * USEC_PER_SEC,
		.uptime_usec = 7400 * USEC_PER_SEC,
		.reload_age_usec = 500 * USEC_PER_SEC,
		.reload_realtime_usec =
			fake->outcome.realtime_usec - 500 * USEC_PER_SEC,
		.private_bytes = 1100 * KIB,
		.n_rounds = 17,
		.released_bytes = 2350 * MIB,
	};
}

static bool member_matches(const struct fake *fake, size_t i, const char *what)
{
	const struct group *group = &fake->groups[fake->group_of[i]];
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)fake->members[i].process.pid);
	return what[0] == '\0' || streq(what, pid) || streq(what, group->path) ||
	       (group->unit && streq(what, group->unit));
}

static bool group_matches(const struct fake *fake, size_t i, const char *what)
{
	for (size_t k = 0; k < FAKE_MEMBERS; k++)
		if (fake->group_of[k] == i && member_matches(fake, k, what))
			return true;

	return false;
}

static int on_each_group(const char *what, int (*f)(const struct group *, void *),
			 void *arg, void *userdata)
{
	const struct fake *fake = userdata;
	bool found = what[0] == '\0';
	int r;

	for (size_t i = 0; i < fake->n_groups; i++) {
		if (!group_matches(fake, i, what))
			continue;
		found = true;
		r = f(&fake->groups[i], arg);
		if (r < 0)
			return r;
	}

	return found ? 0 : -ENOENT;
}

static int on_each_member(const char *what,
			  int (*f)(const struct group *, const struct member *, void *),
			  void *arg, void *userdata)
{
	const struct fake *fake = userdata;
	bool found = what[0] == '\0';
	int r;

	for (size_t i = 0; i < FAKE_MEMBERS; i++) {
		if (fake->group_of[i] >= fake->n_groups || !member_matches(fake, i, what))
			continue;
		found = true;
		for (size_t k = 0; k < MAX(fake->n_times, 1); k++) {
			r = f(&fake->groups[fake->group_of[i]], &fake->members[i], arg);
			if (r < 0)
				return r;
		}
	}

	return found ? 0 : -ENOENT;
}

static int on_each_option(int (*f)(const struct bus_item *, void *), void *arg,
			  void *userdata)
{
	static const struct bus_item items[] = {
		{ "Guard", "Mode", "trim", NULL, 0 },
		{ "Trigger", "UsageHigh", "70%",
		  "/etc/memguard/memguard.conf.d/10-site.conf", 2 },
		{ "Trigger", "UsageCritical", "92%", "/etc/memguard/memguard.conf", 11 },
		{ "Service nginx.service", "Mode", "observe",
		  "/etc/memguard/memguard.conf", 31 },
	};
	int r;

	(void)userdata;
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		r = f(&items[i], arg);
		if (r < 0)
			return r;
	}

	return 0;
}

static int on_each_past(const char *what, int (*f)(const struct past *, void *), void *arg,
			 void *userdata)
{
	const struct fake *fake = userdata;
	struct outcome outcome = fake->outcome;
	const struct kill kill = {
		.realtime_usec = outcome.realtime_usec,
		.n_processes = 2,
		.limit_bytes = 600 * MIB,
		.usage_bytes = 12 * MIB,
		.verdict = VERDICT_GROWING,
	};
	const struct past gone = { "gone.service", 4000, &outcome, NULL };
	const struct past web = { fake->groups[0].unit, fake->outcome.group_id, &fake->outcome,
				  NULL };
	const struct past killed = { fake->groups[0].unit, fake->outcome.group_id, NULL, &kill };
	int r = 0;

	outcome.group_id = 4000;
	outcome.round = 11;
	if (fake->n_groups == 0)
		return what[0] == '\0' ? 0 : -ENOENT;
	if (what[0] == '\0' || streq(what, gone.name))
		r = f(&gone, arg);
	if (r >= 0 && (what[0] == '\0' || group_matches(fake, 0, what)))
		r = f(&web, arg);
	if (r >= 0 && fake->has_kill && (what[0] == '\0' || group_matches(fake, 0, what)))
		r = f(&killed, arg);
	if (r >= 0 && what[0] != '\0' && !streq(what, gone.name) &&
	    !group_matches(fake, 0, what))
		r = -ENOENT;
	return r;
}

static void on_diagnose(const struct group *group, const struct member *member,
			struct diagnosis *ret, void *userdata)
{
	(void)member;
	(void)userdata;
	*ret = (struct diagnosis){
		.use = { .in_use_bytes = 5 * MIB },
		.verdict = VERDICT_UNKNOWN,
	};
	if (group->id == 4711)
		*ret = (struct diagnosis){
			.use = { .in_use_bytes = 131 * MIB,
				 .unused_bytes = 80 * MIB,
				 .stall_usec = 4200 },
			.verdict = VERDICT_RETAINED,
			.confidence_percent = 95,
			.n_evidence = 2,
			.evidence = { { FACT_RELEASED_BYTES, 412 * MIB },
				      { FACT_IN_USE_BYTES, 131 * MIB } },
			.n_advice = 2,
			.advice = { ADVICE_RELEASE, ADVICE_THRESHOLDS },
		};
	if (group->id == 4712)
		*ret = (struct diagnosis){
			.use = { .in_use_bytes = 1790 * MIB,
				 .unused_bytes = 71 * MIB,
				 .stall_usec = 90500 },
			.verdict = VERDICT_GROWING,
			.confidence_percent = 85,
			.n_evidence = 3,
			.evidence = { { FACT_FLOOR_FIRST_BYTES, 900 * MIB },
				      { FACT_FLOOR_LAST_BYTES, 1790 * MIB },
				      { FACT_FLOOR_SPAN_USEC, 5400 * USEC_PER_SEC } },
			.n_advice = 1,
			.advice = { ADVICE_HEAPTRACK },
		};
}

static void on_plan(const struct group *group, struct decision *ret, void *userdata)
{
	(void)userdata;
	*ret = (struct decision){ .act = true, .reason = REASON_RETAINED };
	if (group->id == 4713)
		return;

	ret->expected_bytes = 58 * MIB;
	ret->n_picks = 1;
	ret->picks[0] = (struct pick){
		.pid = 1234,
		.method = METHOD_BORROW,
		.why = WHY_STALL,
		.expected_bytes = 58 * MIB,
		.stall_usec = 1500,
		.full_stall_usec = 38000,
	};
}

static void on_pressures(const struct group *group, struct pressures *ret, void *userdata)
{
	(void)userdata;
	*ret = (struct pressures){ group->id == 4713 ? PRESSURE_UNKNOWN : 1234, 50 };
}

static void on_refresh(const char *what, const uid_t *uid, void *userdata)
{
	(void)what;
	(void)uid;
	(void)userdata;
}

static bool on_clash(const struct group *group, char *buf, size_t size, void *userdata)
{
	(void)userdata;
	snprintf(buf, size, "UsageHigh=85%% of /etc/a.conf:2 and UsageCritical=83%% of /etc/a.conf:4 meet here");
	return group->id == 4712;
}

static void on_steps(const struct group *group, struct rung ret[static STEP_MAX_], void *userdata)
{
	(void)userdata;
	ret[STEP_RELEASE] = (struct rung){ false, group->gate.reason };
	ret[STEP_TUNE] = (struct rung){ false, REASON_OFF };
	ret[STEP_RECLAIM] = (struct rung){ false, REASON_NO_SWAP };
	ret[STEP_ALERT] = (struct rung){ group->id == 4712, REASON_USAGE_CRITICAL };
	ret[STEP_COMMAND] = (struct rung){ false, REASON_COOLDOWN };
}

static void give_fresh(const struct fake *fake, size_t i, struct bus_reply *reply)
{
	struct wire_arena rows[9];
	struct forecast forecasts[9];
	struct fresh fresh = { .group = &fake->groups[fake->group_of[i]],
			       .member = &fake->members[i] };

	if (fake->members[i].seccomp_changed) {
		fresh.error = -EPERM;
	} else {
		for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
			forecasts[k] = (struct forecast){ (k + 1) * 2 * MIB, k * 700, k * 700 };
		fresh.forecasts = forecasts;
		for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
			rows[k] = (struct wire_arena){
				.system = (k + 1) * 9 * MIB,
				.free = (k + 1) * 4 * MIB,
				.top = k % 3 * 132 * KIB,
				.whole_pages = (k + 1) * 3 * MIB,
				.unsorted = k % 2 * 70 * KIB,
				.n_heaps = 1,
				.n_unsorted = k % 2,
				.nr = (uint32_t)k,
				.bytes = { 90 * KIB, 50 * KIB, 0, 0, (k + 1) * MIB,
					   (k + 1) * 2 * MIB, 0 },
				.count = { 900, 12, 0, 0, 30, 8, 0 },
			};
		fresh.rows = rows;
		fresh.n_rows = ARRAY_SIZE(rows);
	}

	(void)bus_reply_fresh(reply, &fresh);
}

/* True when the answer is to stay open. */
static bool held(struct fake *fake, struct bus_reply *reply)
{
	if (!fake->hold || fake->n_held == FAKE_HELD)
		return false;

	fake->held[fake->n_held++] = reply;
	return true;
}

static int on_show(const char *what, struct bus_reply *reply, void *userdata)
{
	struct fake *fake = userdata;
	size_t n = 0;

	for (size_t i = 0; i < FAKE_MEMBERS; i++)
		n += fake->group_of[i] < fake->n_groups && member_matches(fake, i, what);
	if (n == 0)
		return -ENOENT;

	fake->n_shown++;
	for (size_t i = 0; i < FAKE_MEMBERS; i++)
		if (member_matches(fake, i, what))
			give_fresh(fake, i, reply);

	if (!held(fake, reply))
		bus_reply_finish(reply);
	return 0;
}

static int on_trim(const char *what, enum method method, struct bus_reply *reply,
		   void *userdata)
{
	struct fake *fake = userdata;
	struct outcome outcome = fake->outcome;
	size_t n = 0;

	for (size_t i = 0; i < fake->n_groups; i++)
		n += group_matches(fake, i, what);
	if (n == 0)
		return -ENOENT;
	/* The one that is busy with itself. */
	if (streq(what, fake->groups[2].path))
		return -EBUSY;

	fake->n_trimmed++;
	fake->method = method;
	outcome.trigger = REASON_COMMAND;
	for (size_t i = 0; i < fake->n_groups; i++) {
		if (!group_matches(fake, i, what))
			continue;
		if (i == 1) {
			outcome.kind = OUTCOME_NOTHING;
			outcome.reason = REASON_NOT_WORTH;
			outcome.n_asked = outcome.n_answered = 0;
		}
		outcome.round++;
		(void)bus_reply_outcome(reply, &fake->groups[i], &outcome);
	}

	if (!held(fake, reply))
		bus_reply_finish(reply);
	return 0;
}

static int on_tune(const char *what, enum wire_knob knob, uint64_t value,
		   struct bus_reply *reply, void *userdata)
{
	struct fake *fake = userdata;
	size_t n = 0;

	for (size_t i = 0; i < FAKE_MEMBERS; i++)
		n += fake->group_of[i] < fake->n_groups && member_matches(fake, i, what);
	if (n == 0)
		return -ENOENT;

	fake->n_tuned++;
	fake->knob = knob;
	fake->value = value;
	for (size_t i = 0; i < FAKE_MEMBERS; i++) {
		const struct tuned tuned = { .member = &fake->members[i],
					     .error = i == 3 ? -ETIMEDOUT : 0,
					     .status = i == 2 ? WIRE_REFUSED : WIRE_OK,
					     .value = value,
					     .knob = knob,
					     .effect = i == 1 && knob == WIRE_KNOB_ARENA_MAX
							       ? WIRE_EFFECT_LATE
							       : WIRE_EFFECT_SET };

		if (member_matches(fake, i, what))
			(void)bus_reply_tuned(reply, &tuned);
	}

	bus_reply_finish(reply);
	return 0;
}

static int on_reload(char *text, size_t size, void *userdata)
{
	struct fake *fake = userdata;

	fake->n_reloaded++;
	if (!fake->config_error)
		return 0;

	snprintf(text, size, "%s", fake->config_error);
	return -EINVAL;
}

static bool is_contained(pid_t pid, void *userdata)
{
	const struct fake *fake = userdata;

	(void)pid;
	return fake->is_contained;
}

const struct bus_handler fake_handler = {
	.is_contained = is_contained,
	.facts = on_facts,
	.each_group = on_each_group,
	.each_member = on_each_member,
	.each_option = on_each_option,
	.each_past = on_each_past,
	.diagnose = on_diagnose,
	.plan = on_plan,
	.steps = on_steps,
	.pressures = on_pressures,
	.refresh = on_refresh,
	.clash = on_clash,
	.show = on_show,
	.trim = on_trim,
	.tune = on_tune,
	.reload = on_reload,
};
