/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/knobs.h"

#include <inttypes.h>

#include "agent/basic/log.h"
#include "agent/core/history.h"
#include "agent/core/peer.h"
#include "agent/policy/ladder.h"

/* An answer takes milliseconds; a process that is stopped or starved may take for ever. */
#define TUNE_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* Between two lines about what is not taken. */
#define TELL_GAP_USEC (60 * USEC_PER_SEC)

static const char *knob_name(enum wire_knob knob)
{
	switch (knob) {
	case WIRE_KNOB_ARENA_MAX:
		return "ArenaMax=";
	case WIRE_KNOB_MMAP_THRESHOLD:
		return "MmapThreshold=";
	case WIRE_KNOB_TRIM_THRESHOLD:
		return "TrimThreshold=";
	case WIRE_KNOB_TOP_PAD:
		return "TopPad=";
	case WIRE_KNOB_DECAY:
		return "DecaySec=";
	case WIRE_KNOB_MAX_:
		break;
	}

	return "?";
}

/* 0: leave alone. */
static uint64_t knob_setting(const struct group_settings *settings, enum wire_knob knob)
{
	switch (knob) {
	case WIRE_KNOB_ARENA_MAX:
		return settings->arena_max;
	case WIRE_KNOB_MMAP_THRESHOLD:
		return settings->mmap_threshold_bytes;
	case WIRE_KNOB_TRIM_THRESHOLD:
		return settings->trim_threshold_bytes;
	case WIRE_KNOB_TOP_PAD:
		return settings->top_pad_bytes;
	case WIRE_KNOB_DECAY:
		return settings->decay_usec;
	case WIRE_KNOB_MAX_:
		break;
	}

	return 0;
}

static uint64_t knob_value(const struct group_settings *settings, enum wire_knob knob)
{
	const uint64_t setting = knob_setting(settings, knob);

	return knob == WIRE_KNOB_DECAY ? setting / USEC_PER_MSEC : setting;
}

/* What [Tune] asks for and neither the operator nor MEMGUARD_MALLOPT has set already. */
static uint32_t knobs_wanted(const struct peer *peer)
{
	const struct hello *hello = &peer->member.hello;
	uint32_t wanted = 0;

	/* To observe is to leave everything as it is. */
	if (peer->guard->group.settings->mode == MODE_OBSERVE)
		return 0;
	if (peer->guard->group.settings->tune_after > 0 &&
	    steps_last_usec(peer->guard->group.steps, STEP_TUNE) == 0)
		return 0;

	for (int i = 1; i < WIRE_KNOB_MAX_; i++)
		if (knob_setting(peer->guard->group.settings, (enum wire_knob)i) > 0)
			wanted |= 1U << i;

	/* The others' alone. */
	if (!(hello->allocators & (WIRE_ALLOCATOR_JEMALLOC | WIRE_ALLOCATOR_MIMALLOC)))
		wanted &= ~(1U << WIRE_KNOB_DECAY);

	return wanted & ~(uint32_t)(hello->env_tuned | hello->tuned);
}

static void take_tuned(struct peer *peer, const struct wire_tune_reply *reply)
{
	const bool late =
		reply->effect == WIRE_EFFECT_LATE || reply->effect == WIRE_EFFECT_MAYBE;

	member_note_tuned(&peer->member, reply);
	/* At the connection it is what was to be expected; here somebody may wonder. */
	if (peer->guard->group.settings->tune_after == 0)
		return;

	log_info("Process %d (%s): %s is set to %" PRIu64 "%s%s%s",
		 (int)peer->member.process.pid, peer->member.process.command,
		 knob_name((enum wire_knob)reply->knob), reply->value,
		 late ? ", too late to have its full effect: \"memguardctl" : "",
		 late && peer->guard->group.users ? " --user" : "",
		 late ? " tune\" says what to write for its next start" : "");
}

/*
 * Who has an own setting for it, or another allocator, refuses in another way: nothing to be told. Any
 * process may say this, and as often as it likes.
 */
static void tell_refused(const struct peer *peer, const struct wire_tune_reply *reply)
{
	static uint64_t told_usec;
	const uint64_t now_usec = manager_now(peer->guard->manager);

	if (told_usec != 0 && now_usec - told_usec < TELL_GAP_USEC)
		return;

	told_usec = now_usec;
	log_info("Process %d (%s): its allocator does not take %s%" PRIu64 ", which stays as it was; see "
		 "memguard.conf(5) for what it may be",
		 (int)peer->member.process.pid, peer->member.process.command,
		 knob_name((enum wire_knob)reply->knob), reply->value);
}

static void on_tuned(struct conn *conn, enum request_end end, const struct request_answer *answer,
		     void *userdata)
{
	struct peer *peer = userdata;

	(void)conn;

	switch (end) {
	case REQUEST_ANSWERED:
		if (answer->frame->header.status == WIRE_OK)
			take_tuned(peer, &answer->frame->tune_reply);
		else if (answer->frame->header.status == WIRE_FAILED)
			tell_refused(peer, &answer->frame->tune_reply);
		knobs_go_on(peer);
		return;
	case REQUEST_TIMED_OUT:
		/* A process that does not answer is not asked four times. */
		member_note_failure(&peer->member, false);
		peer->knobs_due = 0;
		return;
	case REQUEST_GONE:
	case REQUEST_OVERTAKEN: /* a RECLAIM alone can be */
		return;
	}
}

void knobs_go_on(struct peer *peer)
{
	const struct group_settings *settings = peer->guard->group.settings;

	/* One question at a time: peer_refresh() comes back to it. */
	if (request_busy(peer->conn))
		return;

	for (int i = 1; i < WIRE_KNOB_MAX_; i++) {
		const uint32_t bit = 1U << i;

		if (!(peer->knobs_due & bit))
			continue;

		peer->knobs_due &= ~bit;
		/* A reload may have taken it back. */
		if (knob_setting(settings, (enum wire_knob)i) == 0 || settings->mode == MODE_OBSERVE)
			continue;
		if (peer_check_agent(peer) < 0)
			return;
		if (request_tune(peer->conn, (enum wire_knob)i,
				 knob_value(settings, (enum wire_knob)i), TUNE_TIMEOUT_USEC, on_tuned,
				 peer) >= 0)
			return;
	}
}

void knobs_begin(struct peer *peer)
{
	peer->knobs_due = knobs_wanted(peer);
	knobs_go_on(peer);
}

void knobs_late(struct guard *guard)
{
	struct group *group = &guard->group;
	const uint64_t now_usec = manager_now(guard->manager);
	struct peer *peer;

	if (!ladder_look(group, STEP_TUNE, now_usec).due)
		return;

	steps_count(&history_note(guard)->steps, STEP_TUNE, now_usec);
	log_info("%s: %" PRIu32 " releases in a row were in use again within a minute: setting "
		 "[Tune] in its processes",
		 group->unit ? group->unit : group->path, group_benefit(group)->n_returned);
	SLIST_FOREACH(peer, &guard->peers, in_guard)
		knobs_begin(peer);
}
