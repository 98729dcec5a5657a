/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/shim/fake-data.h"

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

static void init_outcome(struct outcome *outcome, uint64_t now_usec, uint64_t realtime_usec)
{
	*outcome = (struct outcome){
		.round = 17,
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
		.stall_usec = 1200,
	};
}

static void init_web(struct group *g, const struct outcome *outcome, struct benefit *benefit,
		     uint64_t now_usec)
{
	*benefit = (struct benefit){
		.last_outcome = outcome,
		.n_rounds = 17,
		.released_bytes = 2350 * MIB,
		.last_round_usec = now_usec - 3 * USEC_PER_SEC,
		.last_released_bytes = 412 * MIB,
	};
	*g = (struct group){
		.id = 4711,
		.path = path_web,
		.unit = unit_web,
		.kind = GROUP_V2,
		.settings = &settings,
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
		.heap = { .retained_bytes = 64 * MIB,
			  .rss_bytes = 230 * MIB,
			  .time_usec = now_usec - 4 * USEC_PER_SEC },
		.gate = { .state = GATE_SETTLING,
			  .reason = REASON_COOLDOWN,
			  .since_usec = now_usec - 3 * USEC_PER_SEC,
			  .until_usec = now_usec + 7 * USEC_PER_SEC },
		.benefit = benefit,
		.n_members = 2,
	};
}

static void init_batch(struct group *g, struct benefit *benefit, uint64_t now_usec)
{
	*benefit = (struct benefit){
		.last_quiet_usec = now_usec - 200000,
		.last_quiet_reason = REASON_NOT_WORTH,
	};
	*g = (struct group){
		.id = 4712,
		.path = path_batch,
		.unit = unit_batch,
		.kind = GROUP_V2,
		.settings = &settings,
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
		.heap = { .retained_bytes = 3 * MIB,
			  .rss_bytes = 1900 * MIB,
			  .time_usec = now_usec - 12 * USEC_PER_SEC },
		.gate = { .state = GATE_CRITICAL,
			  .reason = REASON_NOT_WORTH,
			  .since_usec = now_usec - 95 * USEC_PER_SEC },
		.benefit = benefit,
		.n_members = 1,
	};
}

static void init_bare(struct group *g, uint64_t now_usec)
{
	*g = (struct group){
		.id = 4713,
		.path = path_bare,
		.kind = GROUP_V2,
		.settings = &settings,
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

static const struct versions versions = { .page_bytes = 4096, .hook = "0.1.0", .libc = "2.36" };

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
			   .versions = &versions,
			   .tuned = 1U << WIRE_KNOB_ARENA_MAX },
		.time_usec = now_usec,
		.busy_permyriad = 1234,
	};
	snprintf(m->process.command, sizeof(m->process.command), "%s", command);
}

static void init_stats(struct member *m, uint64_t scale, uint64_t now_usec)
{
	m->stats = (struct stats){
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
	static struct lessons lessons;

	m->has_lessons = true;
	m->lessons = &lessons;
	lessons.last_release = (struct wire_reclaim_reply){
		.method = WIRE_METHOD_FULL,
		.allocators = WIRE_ALLOCATOR_GLIBC,
		.rss_before = 402 * MIB,
		.rss_after = 90 * MIB,
		.duration_usec = 31000,
		.stall_usec = 31000,
	};
	lessons.last_forecast = (struct forecast){ 330 * MIB, 28000, 28000 };
	m->last_release_usec = now_usec - 3 * USEC_PER_SEC;
}

void fake_init(struct fake *fake, uint64_t now_usec, uint64_t realtime_usec)
{
	*fake = (struct fake){ .n_groups = FAKE_GROUPS, .group_of = { 0, 0, 1, 2 } };

	init_outcome(&fake->outcome, now_usec, realtime_usec);
	init_web(&fake->groups[0], &fake->outcome, &fake->benefits[0], now_usec);
	init_batch(&fake->groups[1], &fake->benefits[1], now_usec);
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
