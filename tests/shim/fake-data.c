/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/shim/fake-data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/macro.h"

static const struct group_settings settings = {
	.mode = MODE_TRIM,
	.usage_high_permyriad = 8000,
	.usage_critical_permyriad = 9200,
	.pressure_some_permyriad = 1000,
	.oom_eta_usec = 10 * USEC_PER_SEC,
	.retained_high_bytes = 256 * MIB,
	.method = METHOD_AUTO,
	.min_release_bytes = 16 * MIB,
	.stall_budget_usec = 5 * USEC_PER_MSEC,
	.cooldown_usec = 10 * USEC_PER_SEC,
};

static char path_web[] = "/system.slice/webreport.service";
static char unit_web[] = "webreport.service";
static char path_batch[] = "/system.slice/nightly-batch-with-a-long-name.service";
static char unit_batch[] = "nightly-batch-with-a-long-name.service";
static char path_bare[] = "/containers/b7e1";

static void init_web(struct group *g, uint64_t now_usec, uint64_t realtime_usec)
{
	*g = (struct group){
		.id = 4711,
		.path = path_web,
		.unit = unit_web,
		.kind = GROUP_V2,
		.settings = settings,
		.reading = { .time_usec = now_usec - 20000,
			     .usage_bytes = 231 * MIB,
			     .anon_bytes = 219 * MIB,
			     .limit_bytes = 600 * MIB,
			     .n_max = 3,
			     .pressure_total_usec = 1234567 },
		.peak_bytes = 561 * MIB,
		.trend = { .time_usec = now_usec,
			   .growth_bytes_per_sec = 3 * (int64_t)MIB,
			   .eta_usec = 127 * USEC_PER_SEC,
			   .steady_since_usec = now_usec - 3 * USEC_PER_SEC },
		.heap = { .in_use_bytes = 131 * MIB,
			  .retained_bytes = 64 * MIB,
			  .unused_bytes = 80 * MIB,
			  .stall_usec = 4200,
			  .rss_bytes = 230 * MIB,
			  .time_usec = now_usec - 4 * USEC_PER_SEC },
		.gate = { .state = GATE_SETTLING,
			  .reason = REASON_COOLDOWN,
			  .since_usec = now_usec - 3 * USEC_PER_SEC,
			  .until_usec = now_usec + 7 * USEC_PER_SEC },
		.benefit = { .n_rounds = 17,
			     .released_bytes = 2350 * MIB,
			     .last_round_usec = now_usec - 3 * USEC_PER_SEC,
			     .last_released_bytes = 412 * MIB },
		.last_outcome = { .round = 17,
				  .group_id = 4711,
				  .kind = OUTCOME_RELEASED,
				  .trigger = REASON_USAGE_HIGH,
				  .realtime_usec = realtime_usec - 3 * USEC_PER_SEC,
				  .begin_usec = now_usec - 3052000,
				  .end_usec = now_usec - 3000000,
				  .n_asked = 2,
				  .n_answered = 2,
				  .limit_bytes = 600 * MIB,
				  .usage_before_bytes = 561 * MIB,
				  .usage_after_bytes = 149 * MIB,
				  .rss_before_bytes = 558 * MIB,
				  .rss_after_bytes = 147 * MIB,
				  .expected_bytes = 400 * MIB,
				  .longest_usec = 31000,
				  .total_usec = 48000,
				  .n_full = 1,
				  .n_borrow = 1,
				  .why = WHY_STALL,
				  .expected_stall_usec = 2000,
				  .full_stall_usec = 38000,
				  .stall_usec = 1200 },
		.n_members = 2,
	};
}

static void init_batch(struct group *g, uint64_t now_usec)
{
	*g = (struct group){
		.id = 4712,
		.path = path_batch,
		.unit = unit_batch,
		.kind = GROUP_V2,
		.settings = settings,
		.reading = { .time_usec = now_usec - 10000,
			     .usage_bytes = 1910 * MIB,
			     .anon_bytes = 1890 * MIB,
			     .limit_bytes = 2 * GIB,
			     .n_max = 41,
			     .n_oom_kill = 1 },
		.peak_bytes = 2 * GIB,
		.trend = { .time_usec = now_usec,
			   .growth_bytes_per_sec = 21 * (int64_t)MIB,
			   .eta_usec = 7524000,
			   .steady_since_usec = now_usec },
		.heap = { .in_use_bytes = 1790 * MIB,
			  .retained_bytes = 3 * MIB,
			  .unused_bytes = 71 * MIB,
			  .stall_usec = 90500,
			  .rss_bytes = 1900 * MIB,
			  .time_usec = now_usec - 12 * USEC_PER_SEC },
		.gate = { .state = GATE_CRITICAL,
			  .reason = REASON_NOT_WORTH,
			  .since_usec = now_usec - 95 * USEC_PER_SEC },
		.benefit = { .last_quiet_usec = now_usec - 200000,
			     .last_quiet_reason = REASON_NOT_WORTH,
			     .backoff_usec = 0 },
		.n_members = 1,
	};
}

static void init_bare(struct group *g, uint64_t now_usec)
{
	*g = (struct group){
		.id = 4713,
		.path = path_bare,
		.kind = GROUP_V2,
		.settings = settings,
		.reading = { .time_usec = now_usec - 900000,
			     .usage_bytes = 52 * MIB,
			     .anon_bytes = 44 * MIB,
			     .limit_bytes = BYTES_INFINITY },
		.peak_bytes = 60 * MIB,
		.trend = { .time_usec = now_usec,
			   .eta_usec = USEC_INFINITY,
			   .steady_since_usec = now_usec - 3600 * USEC_PER_SEC },
		.gate = { .state = GATE_CALM,
			  .reason = REASON_BELOW,
			  .since_usec = now_usec - 3600 * USEC_PER_SEC },
		.n_members = 1,
	};
}

static void init_member(struct member *m, pid_t pid, uid_t uid, const char *command,
			uint64_t scale, uint64_t now_usec)
{
	*m = (struct member){
		.process = { .pid = pid,
			     .start_time = 1000 + (uint64_t)pid,
			     .uid = uid,
			     .rss_bytes = scale * 30 * MIB,
			     .swap_bytes = scale * 4 * KIB,
			     .cpu_usec = 123456789,
			     .n_threads = 9,
			     .state = 'S' },
		.hello = { .agent_tid = (uint32_t)pid + 1,
			   .allocators = WIRE_ALLOCATOR_GLIBC,
			   .malloc_owner = WIRE_ALLOCATOR_GLIBC,
			   .page_bytes = 4096,
			   .tuned = 1U << WIRE_KNOB_ARENA_MAX,
			   .hook_version = "0.1.0",
			   .libc_version = "2.36" },
		.time_usec = now_usec,
		.busy_permyriad = 1234,
	};
	snprintf(m->process.command, sizeof(m->process.command), "%s", command);
}

static void init_stats(struct member *m, uint64_t scale, uint64_t now_usec)
{
	m->stats = (struct wire_stats){
		.flags = WIRE_STATS_HEAP | WIRE_STATS_ARENAS | WIRE_STATS_RSS,
		.rss = scale * 30 * MIB,
		.heap_rss = scale * 27 * MIB,
		.system = scale * 33 * MIB,
		.in_use = scale * 16 * MIB,
		.free = scale * 17 * MIB,
		.mmapped = scale * MIB,
		.whole_pages = scale * 9 * MIB,
		.main_top = scale * 132 * KIB,
		.other_tops = scale * 2 * MIB,
		.unsorted = scale * 700 * KIB,
		.n_arenas = 9,
		.n_anchored = 8,
		.n_heaps = 12,
		.n_free = 12345,
		.n_page_free = 800,
		.n_mmapped = 3,
		.heap_usec = 310,
		.rss_usec = 95,
	};
	m->stats_usec = now_usec - 4 * USEC_PER_SEC;
	m->retained_bytes = scale * 9 * MIB;
	m->stall_usec = scale * 600;
	m->release_usec = scale * 1400;
	m->borrow = (struct forecast){ scale * 10 * MIB, 1500, scale * 2900 };
}

static void init_release(struct member *m, uint64_t now_usec)
{
	m->last_release = (struct wire_reclaim_reply){
		.method = WIRE_METHOD_FULL,
		.allocators = WIRE_ALLOCATOR_GLIBC,
		.rss_before = 402 * MIB,
		.rss_after = 90 * MIB,
		.duration_usec = 31000,
		.stall_usec = 31000,
	};
	m->last_forecast = (struct forecast){ 330 * MIB, 28000, 28000 };
	m->last_release_usec = now_usec - 3 * USEC_PER_SEC;
}

void fake_init(struct fake *fake, uint64_t now_usec, uint64_t realtime_usec)
{
	*fake = (struct fake){ .n_groups = FAKE_GROUPS, .group_of = { 0, 0, 1, 2 } };

	init_web(&fake->groups[0], now_usec, realtime_usec);
	init_batch(&fake->groups[1], now_usec);
	init_bare(&fake->groups[2], now_usec);

	init_member(&fake->members[0], 1234, 0, "webreport", 6, now_usec);
	init_stats(&fake->members[0], 6, now_usec);
	init_release(&fake->members[0], now_usec);
	init_member(&fake->members[1], 1240, 1000, "render worker", 1, now_usec);
	init_stats(&fake->members[1], 1, now_usec);
	init_member(&fake->members[2], 77001, 1000, "batch", 63, now_usec);
	init_stats(&fake->members[2], 63, now_usec);
	fake->members[2].n_failed = 2;
	/* A name that its owner chose for whoever looks at it. */
	init_member(&fake->members[3], 99, 33, "evil\033[31m\xff", 1, now_usec);
	fake->members[3].hello.malloc_owner = WIRE_ALLOCATOR_JEMALLOC;
	fake->members[3].hello.allocators |= WIRE_ALLOCATOR_JEMALLOC;
	fake->members[3].seccomp_changed = true;
}

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
			fake->groups[0].last_outcome.realtime_usec - 7400 * USEC_PER_SEC,
		.reload_realtime_usec =
			fake->groups[0].last_outcome.realtime_usec - 500 * USEC_PER_SEC,
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
		r = f(&fake->groups[fake->group_of[i]], &fake->members[i], arg);
		if (r < 0)
			return r;
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

static int on_each_round(const char *what, int (*f)(const struct past *, void *), void *arg,
			 void *userdata)
{
	const struct fake *fake = userdata;
	struct outcome outcome = fake->groups[0].last_outcome;
	const struct past gone = { "gone.service", &outcome };
	const struct past web = { fake->groups[0].unit, &fake->groups[0].last_outcome };
	int r = 0;

	outcome.group_id = 4000;
	outcome.round = 11;
	if (fake->n_groups == 0)
		return what[0] == '\0' ? 0 : -ENOENT;
	if (what[0] == '\0' || streq(what, gone.name))
		r = f(&gone, arg);
	if (r >= 0 && (what[0] == '\0' || group_matches(fake, 0, what)))
		r = f(&web, arg);
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
	*ret = (struct diagnosis){ .verdict = VERDICT_UNKNOWN };
	if (group->id == 4711)
		*ret = (struct diagnosis){
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
		bus_reply_finish(reply, 0, NULL);
	return 0;
}

static int on_trim(const char *what, enum method method, struct bus_reply *reply,
		   void *userdata)
{
	struct fake *fake = userdata;
	struct outcome outcome = fake->groups[0].last_outcome;
	size_t n = 0;

	for (size_t i = 0; i < fake->n_groups; i++)
		n += group_matches(fake, i, what);
	if (n == 0)
		return -ENOENT;
	/* The one that is busy with itself. */
	if (streq(what, path_bare))
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
		bus_reply_finish(reply, 0, NULL);
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

	bus_reply_finish(reply, 0, NULL);
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

const struct bus_handler fake_handler = {
	.facts = on_facts,
	.each_group = on_each_group,
	.each_member = on_each_member,
	.each_option = on_each_option,
	.each_round = on_each_round,
	.diagnose = on_diagnose,
	.plan = on_plan,
	.show = on_show,
	.trim = on_trim,
	.tune = on_tune,
	.reload = on_reload,
};
