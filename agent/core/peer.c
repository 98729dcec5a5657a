/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/peer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/basic/log.h"
#include "agent/core/guard.h"
#include "agent/core/history.h"
#include "agent/core/inquiry.h"
#include "agent/core/knobs.h"
#include "agent/core/round.h"
#include "agent/core/versions.h"
#include "agent/policy/calibrate.h"
#include "agent/policy/estimate.h"
#include "agent/policy/freshness.h"
#include "agent/policy/verdict.h"

/* Over less than this, one question of ours would look like a busy program. */
#define BUSY_SPAN_USEC (500 * USEC_PER_MSEC)

/* The residue of a release is read when the program has had time to settle. */
#define RESIDUE_DELAY_USEC (1 * USEC_PER_SEC)

static struct sparse places = { .record_bytes = sizeof(struct peer) };

void peer_join(struct peer *peer, struct guard *guard)
{
	peer->guard = guard;
	guard_add_peer(guard, peer);
	peer_survey(peer, manager_now(guard->manager));
	knobs_begin(peer);
}

/* What it has besides its connection and its place in a group. */
static struct peer *peer_dispose(struct peer *peer, struct manager *manager)
{
	history_free_lessons(peer, manager);
	versions_give(manager, peer->member.hello.versions);
	return sparse_give(&places, peer, true);
}

static struct peer *peer_alloc(struct manager *manager, const struct wire_hello *hello)
{
	struct peer *peer;

	peer = sparse_take(&places);
	if (!peer)
		return NULL;

	peer->member.hello = hello_of(hello, versions_take(manager, hello));
	if (!peer->member.hello.versions || history_new_lessons(peer, manager) < 0)
		return peer_dispose(peer, manager);

	return peer;
}

static int make_peer(struct guard *guard, struct conn *conn, const struct wire_hello *hello,
		     struct peer **ret)
{
	struct manager *manager = guard->manager;
	struct peer *peer;
	int r;

	peer = peer_alloc(manager, hello);
	if (!peer)
		return -ENOMEM;

	peer->conn = conn;
	peer->member.process.pid = conn_pid(conn);
	peer->member.process.uid = conn_uid(conn);
	peer->guard = guard;
	/*
	 * Otherwise it is somebody else's group. By time alone who had that number already when we
	 * accepted the connection would pass; and v1 says of who is ending that it is in the root.
	 */
	r = peer_check_identity(peer);
	if (r == -EAGAIN || (r >= 0 && conn_has_ended(conn)))
		r = -ESRCH;
	if (r == -ESRCH) {
		log_debug("Process %d ended after it connected; not guarding who has its pid",
			  (int)conn_pid(conn));
		peer_dispose(peer, manager);
		return r;
	}

	*ret = peer;
	return 0;
}

int peer_new(struct manager *manager, struct conn *conn, const struct wire_hello *hello,
	     struct peer **ret)
{
	const size_t n_guards = manager->n_guards;
	struct guard *guard;
	struct peer *peer;
	int r;

	r = guard_for_pid(manager, conn_pid(conn), &guard);
	if (r < 0) {
		log_debug("Cannot find the group of process %d: %s; not guarding it",
			  (int)conn_pid(conn), strerror(-r));
		return r;
	}

	r = make_peer(guard, conn, hello, &peer);
	if (r < 0) {
		/* A group that was made for it never had anybody. */
		if (manager->n_guards > n_guards)
			guard_free(guard);
		return r;
	}

	peer_join(peer, guard);

	log_debug("Process %d (%s) joined \"%s\"", (int)conn_pid(conn), peer->member.process.command,
		  guard->group.unit ? guard->group.unit : guard->group.path);
	*ret = peer;
	return 0;
}

struct peer *peer_free(struct peer *peer)
{
	if (!peer)
		return NULL;

	inquiry_forget(peer);
	/* Ends an open request first, which still finds the peer in its group. */
	conn_free(peer->conn);
	guard_remove_peer(peer->guard, peer);
	return peer_dispose(peer, peer->guard->manager);
}

static void measure_busy(struct peer *peer, uint64_t now_usec)
{
	struct member *member = &peer->member;
	const uint64_t span_usec = now_usec - peer->busy_usec;
	const uint64_t cpu_usec = member->process.cpu_usec;

	if (peer->busy_usec != 0 && span_usec < BUSY_SPAN_USEC)
		return;

	if (peer->busy_usec != 0)
		member->busy_permyriad =
			(uint32_t)(sub_sat(cpu_usec, peer->busy_cpu_usec) * PERMYRIAD / span_usec);
	peer->busy_usec = now_usec;
	peer->busy_cpu_usec = cpu_usec;
}

/* Pids are given anew, and a socket can be left to a child or sent to anybody. */
static bool is_same(const struct peer *peer, const struct process *process)
{
	const uint64_t start_time = peer->member.process.start_time;
	const uint64_t ticks_per_sec = (uint64_t)sysconf(_SC_CLK_TCK);

	if (start_time != 0)
		return process->start_time == start_time;

	return process->start_time / ticks_per_sec * USEC_PER_SEC +
		       process->start_time % ticks_per_sec * USEC_PER_SEC / ticks_per_sec <=
	       conn_since_usec(peer->conn);
}

/* 0, or as peer_check_identity(). */
static int survey_same(struct peer *peer, struct process *ret, bool *ret_filtered)
{
	const struct member *member = &peer->member;
	struct process process;
	int r;

	r = survey_member(peer->guard->manager->survey, member->process.pid,
			  (pid_t)member->hello.agent_tid, &process, ret_filtered);
	if (r >= 0 && !is_same(peer, &process))
		r = -ESRCH;
	if (r == -ESRCH)
		conn_hang_up(peer->conn);
	if (r < 0)
		return r;

	*ret = process;
	return 0;
}

int peer_check_identity(struct peer *peer)
{
	struct process process;
	bool filtered;
	int r;

	r = survey_same(peer, &process, &filtered);
	return r >= 0 && process.exiting ? -EAGAIN : r;
}

void peer_survey(struct peer *peer, uint64_t now_usec)
{
	struct member *member = &peer->member;
	struct process process;
	bool filtered;

	if (survey_same(peer, &process, &filtered) < 0)
		return;

	member->process = process;
	member->filtered = filtered;
	member->time_usec = now_usec;
	member->rested_bytes = MIN(member->rested_bytes, process.anon_bytes);
	measure_busy(peer, now_usec);
	/* A program that has begun to work is stalled for longer. */
	if (member->stats_usec > member->last_release_usec)
		estimate_member(member);
}

int peer_check_agent(struct peer *peer)
{
	struct member *member = &peer->member;
	bool filtered = member->filtered;

	if (member->seccomp_changed)
		return -EPERM;

	/* In another pid namespace the thread has another number for us: nothing to see. */
	if (member->time_usec != manager_now(peer->guard->manager))
		filtered = survey_seccomp(member->process.pid, (pid_t)member->hello.agent_tid) > 0;
	if (!filtered)
		return 0;

	member->seccomp_changed = true;
	log_info("Process %d (%s) put a system call filter on its threads: leaving it alone",
		 (int)member->process.pid, member->process.command);
	return -EPERM;
}

static uint64_t expected_bytes(const struct peer *peer)
{
	return estimate_give(&peer->member, peer->guard->group.settings->method);
}

static const struct wire_foreign *keep_foreign(struct peer *peer, const struct wire_stats *wire)
{
	struct lessons *lessons;

	if (wire->foreign[0].allocator == 0)
		return NULL;

	lessons = history_note_lessons(peer);
	memcpy(lessons->foreign, wire->foreign, sizeof(lessons->foreign));
	return lessons->foreign;
}

/*
 * What its hook took for an answer is no work of the program's: neither the time since the last look
 * counts, in which that was, nor is it a reason to ask again. What was before that look does: else
 * who is asked all the time would never be seen at work.
 */
static void survey_answered(struct peer *peer)
{
	struct member *member = &peer->member;
	const uint32_t busy_permyriad = member->busy_permyriad;
	const uint64_t now_usec = manager_now(peer->guard->manager);
	const uint64_t then_usec = member->time_usec, cpu_then_usec = member->process.cpu_usec;
	const uint64_t before_usec = sub_sat(then_usec, peer->busy_usec);
	const uint64_t cpu_before_usec = sub_sat(cpu_then_usec, peer->busy_cpu_usec);

	peer_survey(peer, now_usec);
	member->busy_permyriad = busy_permyriad;
	peer->busy_usec = sub_sat(now_usec, before_usec);
	peer->busy_cpu_usec = sub_sat(member->process.cpu_usec, cpu_before_usec);
}

void peer_take_stats(struct peer *peer, const struct wire_stats *wire)
{
	struct member *member = &peer->member;
	const struct stats *stats = &member->stats;
	const unsigned int n_threads_then = peer->stats_n_threads;

	survey_answered(peer);
	member->stats = stats_of(wire, keep_foreign(peer, wire));
	member->stats_usec = manager_now(peer->guard->manager);
	member_note_answer(member, false);
	peer->stats_cpu_usec = member->process.cpu_usec;
	peer->stats_n_threads = member->process.n_threads;
	if (member->residue_due) {
		struct lessons *lessons = history_note_lessons(peer);

		lessons->residue_bytes = estimate_unused(stats);
		lessons->bias_bytes =
			estimate_next_bias(stats, lessons->bias_bytes,
					   member->process.n_threads < n_threads_then);
		member->residue_due = false;
	}
	estimate_member(member);
	if (member_lessons(member)->vain_bytes > expected_bytes(peer))
		history_note_lessons(peer)->vain_bytes = expected_bytes(peer);
	floors_add(&member->floors, verdict_in_use(stats), member->stats_usec);
	log_debug("Process %d (%s): RSS %" PRIu64 "M, heap %" PRIu64 "M, in use %" PRIu64
		  "M, retained %" PRIu64 "M, stall %" PRIu32 " us",
		  (int)member->process.pid, member->process.command, stats->rss / MIB,
		  stats->heap_rss / MIB, stats->in_use / MIB, member->retained_bytes / MIB,
		  member->stall_usec);
}

/* Compares what was predicted with what happened. */
static void learn(struct peer *peer, const struct wire_reclaim_reply *reply)
{
	const uint64_t released = sub_sat(reply->rss_before, reply->rss_after);
	struct lessons *lessons = history_note_lessons(peer);
	const struct member *member = &peer->member;
	const bool busy = estimate_is_busy(member);

	lessons->last_forecast = (struct forecast){ 0 };
	if (member->stats_usec == 0 || member->stats_usec < member->last_release_usec ||
	    !estimate_has_methods(member))
		return;

	if (reply->method == WIRE_METHOD_BORROW) {
		lessons->last_forecast = member->borrow;
		lessons->calibration = calibrate_add_borrow(
			&lessons->calibration, reply,
			estimate_borrow_bytes(&member->stats, member->retained_bytes));
		return;
	}

	lessons->last_forecast = (struct forecast){
		.bytes = member->retained_bytes,
		.stall_usec = member->stall_usec,
		.usec = member->release_usec,
	};
	lessons->calibration = calibrate_add_full(
		&lessons->calibration, reply,
		estimate_release_usec(&member->stats, released, busy), busy);
}

void peer_take_release(struct peer *peer, const struct wire_reclaim_reply *reply)
{
	struct member *member = &peer->member;

	learn(peer, reply);
	member->lessons->vain_bytes = 0;
	/* Of one that was to end early nothing more could be expected. */
	if (member->stats_usec >= member->last_release_usec && reply->end != WIRE_END_ASKED)
		member->lessons->vain_bytes = sub_sat(expected_bytes(peer),
						      sub_sat(reply->rss_before, reply->rss_after));
	member->lessons->last_release = *reply;
	member->last_release_usec = manager_now(peer->guard->manager);
	member_note_answer(member, true);
	member->residue_due = true;
	peer->stats_n_threads = member->process.n_threads;
	/* What it held it has given; until the next statistics nothing more is expected. */
	member->retained_bytes = 0;
	member->borrow.bytes = 0;
	member->process.anon_bytes =
		sub_sat(member->process.anon_bytes,
			sub_sat(member->process.rss_bytes, reply->rss_after));
	member->process.rss_bytes = reply->rss_after;
	member->rested_bytes = member->process.anon_bytes;
}

static void on_stats(struct conn *conn, enum request_end end, const struct request_answer *answer,
		     void *userdata)
{
	struct peer *peer = userdata;

	(void)conn;

	switch (end) {
	case REQUEST_ANSWERED:
		peer->member.stats_refused = answer->frame->header.status != WIRE_OK;
		if (!peer->member.stats_refused)
			peer_take_stats(peer, &answer->frame->stats);
		guard_sum_heaps(peer->guard);
		guard_look_soon(peer->guard, 0);
		round_go_on(peer->guard);
		return;
	case REQUEST_TIMED_OUT:
		member_note_failure(&peer->member, false);
		return;
	case REQUEST_GONE:
	case REQUEST_OVERTAKEN: /* a RECLAIM alone can be */
		return;
	}
}

int peer_measure(struct peer *peer)
{
	int r;

	if (member_is_stopped(&peer->member))
		return -EAGAIN;
	r = peer_check_agent(peer);
	if (r < 0)
		return r;

	return request_stats(peer->conn, WIRE_STATS_HEAP | WIRE_STATS_RSS, PEER_MEASURE_USEC,
			     on_stats, peer);
}

bool peer_refresh(struct peer *peer, uint64_t now_usec)
{
	const struct member *member = &peer->member;

	if (request_busy(peer->conn))
		return false;
	if (peer->knobs_due != 0) {
		knobs_go_on(peer);
		return false;
	}
	if (member_is_stopped(member))
		return false;
	if (member->residue_due && now_usec - member->last_release_usec < RESIDUE_DELAY_USEC)
		return true;
	if (!freshness_is_due(&peer->guard->group, member, peer->stats_cpu_usec,
			      peer->stats_n_threads, now_usec))
		return false;

	/* Who refuses is no reason to look again soon. */
	return peer_measure(peer) >= 0 && !member->stats_refused;
}
