/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/core/alert.h"
#include "agent/core/history.h"
#include "agent/core/kernel-reclaim.h"
#include "agent/core/limits.h"
#include "agent/core/membership.h"
#include "agent/core/pace.h"
#include "agent/core/peer.h"
#include "agent/core/recorder.h"
#include "agent/core/round.h"
#include "agent/core/second-look.h"
#include "agent/core/still.h"
#include "agent/core/turn.h"
#include "agent/core/warner.h"
#include "agent/core/watch.h"
#include "agent/policy/benefit.h"
#include "agent/policy/trend.h"
#include "agent/policy/verdict.h"

/* Process facts cost some 100 us each: from 1 s apart, doubling while nothing moves. */
#define SURVEY_FIRST_USEC (1 * USEC_PER_SEC)
#define SURVEY_LAST_USEC (8 * USEC_PER_SEC)

/*
 * The more there are the less often each is looked at while nothing moves, so that a calm
 * machine costs the same with ten members as with thousands. How long one of them takes:
 */
#define SURVEY_SHARE_USEC (200 * USEC_PER_MSEC) /* the facts of a process, of some 50 us */
#define SURVEY_NEAR_USEC (2 * USEC_PER_SEC)
#define SURVEY_NEAR_SHARE_USEC (20 * USEC_PER_MSEC)

#define TREE_GAP_USEC (250 * USEC_PER_MSEC)

/* A group that cannot be read now may be readable later, or its members leave. */
#define UNREADABLE_GAP_USEC (1 * USEC_PER_SEC)

#define GONE_GAP_USEC (500 * USEC_PER_MSEC)

/* Who leaves so soon after a kill was killed. */
#define KILLED_USEC (1 * USEC_PER_SEC)

/* How long a group without members is remembered: a restart takes less. */
#define EMPTY_KEEP_USEC (60 * USEC_PER_SEC)
#define EMPTY_GAP_USEC (5 * USEC_PER_SEC) /* and looked at, in case that it was removed */
#define EMPTY_MAX 256 /* and how many: somebody may have a member in each of thousands */

static struct sparse places = { .record_bytes = sizeof(struct guard) };

int guard_find_settings(const struct guard *guard, struct config *config,
			const struct group_settings **ret)
{
	const struct group *group = &guard->group;
	char text[2048];
	int r;

	/* Once for all groups to which the same applies. */
	r = config_settings(config, group->unit, group->path, ret);
	if (r > 0 && config_clash(config, group->unit, group->path, text, sizeof(text)))
		log_warning("\"%s\": %s", group->unit ? group->unit : group->path, text);

	return r;
}

int guard_configure(struct guard *guard)
{
	int r;

	r = guard_find_settings(guard, guard->manager->config, &guard->group.settings);
	if (r < 0)
		return r;

	/* Who has not been asked yet is not to be any more; a command does as it is told. */
	if (guard->group.settings->mode == MODE_OBSERVE && guard->round && !guard->round->command)
		round_stop(guard);
	watch_arm_pressure(guard);
	watch_arm_threshold(guard);
	watch_arm_level(guard);
	guard_look_soon(guard, 0);
	return 0;
}

uint64_t guard_high_bytes(const struct guard *guard)
{
	return share_of(guard->group.reading.limit_bytes, guard->group.settings->usage_high_permyriad);
}

struct guard *guard_find(struct manager *manager, uint64_t id)
{
	struct guard *guard;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		if (guard->group.id == id)
			return guard;

	return NULL;
}

/* Takes @path. */
static int guard_new(struct manager *manager, char *path, uint64_t id, struct guard **ret)
{
	struct guard *guard = NULL;

	if (pace_reserve(manager) >= 0)
		guard = sparse_take(&places);
	if (guard)
		guard->manager = manager;
	if (!guard || history_new(guard) < 0) {
		sparse_give(&places, guard, true);
		free(path);
		return -ENOMEM;
	}

	guard->group.path = path;
	guard->group.id = id;
	guard->group.kind = GROUP_RSS;
	guard->group.users = manager->options.user;
	guard->cgroup = (struct cgroup)CGROUP_CLOSED;
	guard->psi = (struct psi_trigger)PSI_TRIGGER_CLOSED;
	guard->survey_gap_usec = SURVEY_FIRST_USEC;
	guard->empty_since_usec = manager_now(manager);
	LIST_INSERT_HEAD(&manager->guards, guard, in_manager);
	manager->n_guards++;

	alert_recall(guard);
	*ret = guard;
	return 0;
}

/* It may be another time that there is enough. */
static bool is_shortage(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* Without files of its own (the root of v2, a vanished group) RSS has to do. */
static int open_cgroup(struct guard *guard)
{
	struct manager *manager = guard->manager;
	int r;

	r = cgroup_open_id(&manager->cgroup_root, guard->group.path, guard->group.id,
			   &guard->cgroup);
	if (r == -E2BIG && !manager->told_deep) {
		manager->told_deep = true;
		log_warning("\"%s\" lies too deep: neither its memory nor its limits are read, its "
			    "processes' RSS is watched without a limit; nest control groups less. "
			    "Said once, whatever others do", guard->group.path);
	}
	if (is_shortage(r))
		return r;
	if (r < 0) {
		log_debug("Cannot read the memory of \"%s\": %s; watching RSS instead",
			  guard->group.path, strerror(-r));
		return 0;
	}

	guard->group.kind = manager->cgroup_root.kind;
	watch_arm_events(guard);
	limits_watch(guard);
	return 0;
}

/*
 * They may come: systemd gives a group its memory controller when one beside it is to have a limit. Not
 * amidst what is counted by RSS.
 */
static void open_again(struct guard *guard)
{
	if (cgroup_is_open(&guard->cgroup) || guard->group.id == 0 || guard->round ||
	    history_of(guard)->look_round > 0 || open_cgroup(guard) < 0 ||
	    !cgroup_is_open(&guard->cgroup))
		return;

	log_debug("The memory of \"%s\" can be read now", guard->group.path);
	/* Another account, whose first reading is no step from the last one of this. */
	guard->group.reading = (struct reading){ 0 };
	guard->group.trend = (struct trend){ 0 };
	guard->group.peak_bytes = guard->group.peak_anon_kib = 0;
	/* For lack of memory it is sampled alone. */
	(void)watch_prepare(guard);
	(void)guard_configure(guard);
}

int guard_for_pid(struct manager *manager, pid_t pid, struct guard **ret)
{
	char *path = NULL;
	uint64_t id = 0;
	struct guard *guard;
	int r;

	if (manager->command_guard) {
		*ret = manager->command_guard;
		return 0;
	}

	if (manager->has_cgroup) {
		r = cgroup_of_pid(&manager->cgroup_root, pid, &path, &id);
		if (r == -ESRCH || is_shortage(r))
			return r;
	}
	if (!path)
		path = strdup("/");
	if (!path)
		return -ENOMEM;

	guard = guard_find(manager, id);
	if (guard) {
		free(path);
		*ret = guard;
		return 0;
	}

	r = guard_new(manager, path, id, &guard);
	if (r < 0)
		return r;

	guard->group.unit = membership_unit(manager, pid, path);
	r = id != 0 ? open_cgroup(guard) : 0;
	if (r >= 0)
		r = watch_prepare(guard);
	if (r >= 0)
		r = guard_configure(guard);
	if (r < 0) {
		guard_free(guard);
		return r;
	}

	*ret = guard;
	return 0;
}

int guard_for_command(struct manager *manager, struct guard **ret)
{
	struct guard *guard;
	char *path;
	int r;

	path = strdup(manager->command.name);
	if (!path)
		return -ENOMEM;

	r = guard_new(manager, path, 0, &guard);
	if (r < 0)
		return r;

	guard->has_leader = true;
	guard->empty_since_usec = 0;
	r = guard_configure(guard);
	if (r < 0) {
		guard_free(guard);
		return r;
	}

	*ret = guard;
	return 0;
}

struct guard *guard_free(struct guard *guard)
{
	struct peer *peer;

	if (!guard)
		return NULL;

	round_stop(guard);
	while ((peer = SLIST_FIRST(&guard->peers)))
		peer_free(peer);

	/* It may have waited for nobody. */
	round_stop(guard);
	second_look_lose(guard);

	warner_forget(guard);
	alert_remember(guard);
	LIST_REMOVE(guard, in_manager);
	guard->manager->n_guards--;
	if (guard->manager->command_guard == guard)
		guard->manager->command_guard = NULL;

	pace_cancel(guard);
	limits_forget(guard);
	watch_disarm_events(guard);
	watch_disarm_pressure(guard);
	watch_end(guard);
	cgroup_close(&guard->cgroup);
	free(guard->group.path);
	free(guard->group.unit);
	history_free(guard);
	return sparse_give(&places, guard, true);
}

void guard_add_peer(struct guard *guard, struct peer *peer)
{
	SLIST_INSERT_HEAD(&guard->peers, peer, in_guard);
	guard->group.n_members++;
	guard->group.n_joined++;
	guard->is_ready = false;
	guard->manager->n_peers++;
	guard->empty_since_usec = 0;
	guard->survey_gap_usec = SURVEY_FIRST_USEC;
	guard_look_soon(guard, 100 * USEC_PER_MSEC);
}

static void sum_last(struct guard *guard)
{
	const uint64_t killed_usec = history_of(guard)->alerts.killed_usec;
	struct reading reading = guard->group.reading;
	struct sums *left = &history_note(guard)->left;

	guard_sum(guard, left);
	/* With programs that are told of pressure there is more to come. */
	if (history_of(guard)->n_hearers > 0)
		return;

	/* The kill of the last one is often seen before its connection is closed. */
	if (killed_usec > 0 && manager_now(guard->manager) - killed_usec < KILLED_USEC &&
	    reading.n_oom_kill > 0)
		reading.n_oom_kill--;
	verdict_leave(left, &reading);
}

void guard_remove_peer(struct guard *guard, struct peer *peer)
{
	/* Of the last one that leaves the figures stay, for the account of what happened. */
	if (guard->group.n_members == 1)
		sum_last(guard);
	SLIST_REMOVE(&guard->peers, peer, peer, in_guard);
	if (guard->round && guard->round->waiting == peer)
		guard->round->waiting = NULL;
	guard->group.n_members--;
	guard->manager->n_peers--;
	if (guard->group.n_members > 0) {
		guard->has_parted = true;
		guard_sum_heaps(guard);
	} else if (!guard->has_leader && history_of(guard)->n_hearers == 0) {
		guard->empty_since_usec = manager_now(guard->manager);
		/* Often the group itself is removed with its last process. */
		guard_look_soon(guard, GONE_GAP_USEC);
	}

	/* If it was killed that is in the group's files, which may be gone at the next look. */
	if (guard->group.n_members == 0 && cgroup_is_open(&guard->cgroup) && guard_read(guard) >= 0)
		alert_look(guard);
}

void guard_survey(struct guard *guard)
{
	const uint64_t now_usec = manager_now(guard->manager);
	struct peer *peer, *next;

	for (peer = SLIST_FIRST(&guard->peers); peer; peer = next) {
		next = SLIST_NEXT(peer, in_guard);
		if (!membership_check(peer))
			peer_survey(peer, now_usec);
	}

	warner_check(guard);
	guard->survey_usec = now_usec;
	guard->survey_usage_bytes = guard->group.reading.usage_bytes;
}

/*
 * Near the limit what members have freed is seen by their statistics alone, and those are
 * asked for when they are looked at. After a large release threads end that it has left without work.
 */
static uint32_t short_gap(const struct guard *guard, uint64_t least_usec)
{
	_Static_assert(LISTENER_MAX * SURVEY_NEAR_SHARE_USEC <= UINT32_MAX, "fits");
	return (uint32_t)MAX(least_usec, guard->group.n_members * SURVEY_NEAR_SHARE_USEC);
}

/* Not all groups in the same turn: by their numbers the longest gap is up to a fifth less. */
static uint32_t wider_gap(const struct guard *guard)
{
	const uint64_t last_usec = MAX(SURVEY_LAST_USEC,
				       guard->manager->n_peers * SURVEY_SHARE_USEC);

	_Static_assert(LISTENER_MAX * SURVEY_SHARE_USEC <= UINT32_MAX, "fits");
	if (reading_taken_bytes(&guard->group.reading) >= guard_high_bytes(guard))
		return short_gap(guard, SURVEY_NEAR_USEC);
	if (benefit_has_left(&guard->group))
		return short_gap(guard, SURVEY_FIRST_USEC);
	if (guard->survey_gap_usec * 2 < SURVEY_LAST_USEC)
		return guard->survey_gap_usec * 2;

	return (uint32_t)(last_usec - last_usec / 40 * (guard->group.id % 8));
}

/* Looks at the processes when that is due, and asks for statistics where they are stale. */
static void survey_if_due(struct guard *guard, uint64_t now_usec)
{
	const uint64_t usage = guard->group.reading.usage_bytes, last = guard->survey_usage_bytes;
	const bool moved = MAX(usage, last) - MIN(usage, last) >= GUARD_MOVED_BYTES;
	bool stirred = false;
	struct peer *peer;

	if (moved)
		guard->survey_gap_usec = SURVEY_FIRST_USEC;
	if (now_usec - guard->survey_usec < guard->survey_gap_usec)
		return;

	guard_survey(guard);
	SLIST_FOREACH(peer, &guard->peers, in_guard)
		stirred |= peer_refresh(peer, now_usec);

	guard->survey_gap_usec = moved || stirred ? SURVEY_FIRST_USEC : wider_gap(guard);
}

void guard_sum(const struct guard *guard, struct sums *ret)
{
	const struct peer *peer;

	*ret = guard->group.n_members > 0 ? (struct sums){ .has_parted = guard->has_parted }
					  : history_of(guard)->left;
	SLIST_FOREACH(peer, &guard->peers, in_guard)
		verdict_sum(ret, &peer->member, guard->group.settings->method);
	if (guard->group.n_members > 0)
		verdict_bound(ret, &guard->group);
}

void guard_sum_heaps(struct guard *guard)
{
	struct sums sums;

	guard_sum(guard, &sums);
	guard->group.heap = sums.heap;
}

void guard_diagnose(const struct guard *guard, uint64_t now_usec, struct diagnosis *ret)
{
	struct sums sums;

	guard_sum(guard, &sums);
	verdict_group(&guard->group, &sums, &history_of(guard)->alerts, now_usec, ret);
}

void guard_look_soon(struct guard *guard, uint64_t in_usec)
{
	const uint64_t at_usec = manager_now(guard->manager) + in_usec;

	if (guard->look_usec == 0 || at_usec < guard->look_usec)
		pace_plan(guard, at_usec);
	/* What is asked for is a look, be there anything new or not. */
	guard->usage_usec = 0;
}

static void plan_next_look(struct guard *guard, uint64_t now_usec)
{
	uint64_t in_usec = trend_next_usec(&guard->group, watch_is_awaited(guard), now_usec);

	/* The RSS of a tree takes a walk over all processes of the machine. */
	if (guard->has_leader)
		in_usec = MAX(in_usec, TREE_GAP_USEC);

	pace_plan(guard, pace_round(now_usec, in_usec));
	watch_await_events(guard);
}

static void step_gate(struct guard *guard, uint64_t now_usec)
{
	struct group *group = &guard->group;
	struct gate gate;

	guard->signals.crowded = turn_is_crowded(guard);
	gate = gate_step(group, &guard->signals, now_usec);
	if (gate.state != group->gate.state)
		log_debug("\"%s\" is %s, was %s: %s", group->unit ? group->unit : group->path,
			  gate_state_to_string(gate.state), gate_state_to_string(group->gate.state),
			  reason_to_text(gate.reason));

	guard->manager->given_gate = group->gate;
	guard->manager->given_signals = guard->signals;
	group->gate = gate;
	guard->signals = (struct signals){ 0 };
	if (benefit_ends_row(group))
		history_note(guard)->benefit.told_over = true;
	/* First of all the question; those who are told may be many. */
	if (gate_is_open(&gate) && (guard->round || !kernel_reclaim_holds(guard)))
		round_trigger(guard, gate.reason);
	warner_tell(guard, now_usec);
	if (gate.state == GATE_CRITICAL && gate.reason == REASON_MAX_PER_HOUR) {
		kernel_reclaim_run(guard);
		alert_run(guard, NULL);
	}
}

/* True when the guard is no longer needed and was freed. */
static bool drop_if_empty(struct guard *guard, uint64_t now_usec)
{
	const struct manager *manager = guard->manager;
	/* Whatever groups its members are in. */
	const bool crowded = manager->n_guards > manager->n_peers + manager->n_hearers + EMPTY_MAX;

	if (guard->empty_since_usec == 0)
		return false;

	if (now_usec - guard->empty_since_usec < EMPTY_KEEP_USEC && !crowded) {
		guard_look_soon(guard, EMPTY_GAP_USEC);
		return false;
	}

	guard_free(guard);
	return true;
}

/* Half-way to the threshold there is memory; when it counts there may be none to be had. */
static void make_ready(struct guard *guard)
{
	if (guard->is_ready ||
	    reading_taken_bytes(&guard->group.reading) < guard_high_bytes(guard) / 2)
		return;

	guard->is_ready = true;
	history_make_ready(guard);
	recorder_make_ready(guard);
}

void guard_look(struct guard *guard)
{
	const uint64_t now_usec = manager_now(guard->manager);
	bool hurry;
	int r;

	if (drop_if_empty(guard, now_usec))
		return;

	if (second_look_is_due(guard, now_usec))
		guard_survey(guard);
	if (now_usec - guard->survey_usec >= guard->survey_gap_usec)
		open_again(guard);
	r = guard_read_first(guard);
	if (r == -ENODEV && guard->group.n_members == 0 && !guard->round) {
		warner_check(guard); /* moved out before it was removed */
		guard_free(guard);
		return;
	}
	if (r >= 0 && guard->empty_since_usec != 0) {
		step_gate(guard, now_usec);
		alert_look(guard);
	}
	if (guard->empty_since_usec != 0)
		return;
	if (r < 0) {
		/* Nothing is decided on old figures; kernel events stay off until new ones. */
		log_debug("Cannot read \"%s\": %s; trying again", guard->group.path, strerror(-r));
		guard_look_soon(guard, UNREADABLE_GAP_USEC);
		if (r == -ENODEV)
			guard_survey(guard); /* they were moved out before it was removed */
		return;
	}

	make_ready(guard);
	/* Near the limit first things first: a round looks at its processes itself. */
	hurry = reading_taken_bytes(&guard->group.reading) >= guard_high_bytes(guard);
	if (!hurry)
		survey_if_due(guard, now_usec);
	if (second_look_is_due(guard, now_usec))
		second_look_take(guard);
	if (guard->group.n_members > 0)
		guard_sum_heaps(guard);
	step_gate(guard, now_usec);
	guard_read_rest(guard);
	alert_look(guard);
	if (hurry && !guard->round)
		survey_if_due(guard, now_usec);
	watch_arm_threshold(guard);
	plan_next_look(guard, now_usec);
}

bool guard_sample(struct guard *guard)
{
	const uint64_t now_usec = manager_now(guard->manager);

	if (!second_look_is_due(guard, now_usec) && still_holds(guard, now_usec)) {
		plan_next_look(guard, now_usec);
		return false;
	}

	guard_look(guard);
	return true;
}
