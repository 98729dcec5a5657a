/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a round ended. Every round ends in exactly one, also "did nothing, because". */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/decision.h"
#include "agent/model/diagnosis.h"
#include "libhook/wire.h"

enum outcome_kind {
	OUTCOME_RELEASED, /* at least one member answered */
	OUTCOME_NOTHING,  /* nobody was asked; reason says why */
	OUTCOME_FAILED,   /* members were asked, none answered well */
};

/* Why a process that was picked released nothing, though it is there. Never renumber. */
enum refusal {
	REFUSAL_NONE,
	REFUSAL_FILTER,      /* it has put a system call filter on its threads meanwhile */
	REFUSAL_BUSY,        /* still at another question */
	REFUSAL_CHANNEL,     /* the question could not be sent */
	REFUSAL_BORROW,      /* its hook cannot borrow */
	REFUSAL_UNSUPPORTED, /* its allocator has no way to give back */
	REFUSAL_DECLINED,    /* its hook does not want to */
	REFUSAL_FAILED,      /* its hook tried */
	REFUSAL_MAX_
};

/* Why a process that was asked has not answered in time, as it looked then. Never renumber. */
enum silence {
	SILENCE_NONE,
	SILENCE_STOPPED, /* by a signal */
	SILENCE_TRACED,  /* by a debugger */
	SILENCE_FROZEN,  /* with its cgroup */
	SILENCE_STILL,   /* takes no CPU time, and nobody knows why */
	SILENCE_WORKING, /* at work, and that took too long */
	SILENCE_MAX_
};

#define OUTCOME_EVIDENCE_MAX 3

/* The second look at what a round released. Never renumber. */
enum look_state {
	LOOK_NONE,  /* nothing was released */
	LOOK_DUE,   /* after LOOK_AFTER_USEC, or before the next round */
	LOOK_TAKEN,
	LOOK_GONE,  /* the group, or all the processes that had answered, ended before it */
};

#define LOOK_AFTER_USEC (UINT64_C(60) * 1000000)

struct look {
	enum look_state state;
	uint64_t age_usec;        /* since the end of the round */
	uint64_t usage_bytes;     /* the group's charge */
	uint64_t rss_bytes;       /* sum over the members that had answered, and live */
	uint64_t rss_grown_bytes; /* sum of what each has grown by */
	uint32_t n_left;          /* how many they are */
	uint64_t n_faults;        /* their minor page faults since */
	uint64_t n_group_faults;  /* of the whole group, as its cgroup counts */
	uint64_t n_collapses;     /* likewise: huge pages that the kernel has made of small ones */
};

struct outcome {
	uint64_t round;          /* number, from 1, unique in one daemon; 0: no outcome */
	uint64_t group_id;
	enum outcome_kind kind;
	enum reason trigger;     /* what began the round */
	enum reason reason;      /* OUTCOME_NOTHING: why nobody was asked */
	uint64_t realtime_usec;  /* CLOCK_REALTIME at the end */
	uint64_t begin_usec;     /* CLOCK_MONOTONIC */
	uint64_t end_usec;

	uint32_t n_asked;
	uint32_t n_answered;
	uint32_t n_refused;      /* answered with an error, or could not be asked */
	enum refusal refusal;    /* of the first of them */
	uint32_t n_timed_out;
	enum silence silence;    /* of the first of them */
	pid_t silent_pid;        /* which is */
	uint32_t n_gone;
	uint32_t n_not_needed;   /* picked, and not asked: usage was low enough before */

	enum reason hurried;     /* what made it urgent while it ran; REASON_NONE: nothing did */
	uint64_t hurried_usec;   /* after its begin */
	uint32_t n_overtaken;    /* questions that were open then, and followed by urgent ones */
	uint32_t n_ended_early;  /* of these, by their hooks for that reason */
	uint64_t overtaken_bytes; /* what they gave before, as their processes say */

	uint64_t limit_bytes;
	uint64_t usage_before_bytes; /* the group's charge */
	uint64_t usage_after_bytes;
	uint64_t held_before_bytes;  /* of the charge: freed parts of huge pages */
	uint64_t held_after_bytes;
	uint64_t rss_before_bytes;   /* sum over the members that answered */
	uint64_t rss_after_bytes;
	uint64_t expected_bytes;
	uint64_t longest_usec;       /* longest single release */
	uint64_t total_usec;         /* sum of the members' release times */

	uint32_t n_full;             /* of those asked, by method */
	uint32_t n_borrow;
	enum why why;                /* of the first one asked */
	uint32_t n_unreached;        /* arenas that borrowing gave no more than the free ends of */
	uint64_t expected_stall_usec; /* longest predicted, of the methods used */
	uint64_t full_stall_usec;     /* longest predicted of full trims */
	uint64_t stall_usec;          /* longest that was measured: bound of any stall */

	enum verdict verdict;         /* of the group, with what the round showed */
	uint32_t confidence_percent;
	uint32_t n_evidence;          /* the strongest of it */
	struct evidence evidence[OUTCOME_EVIDENCE_MAX];
	struct look look;
};

/* What the round came to with one of those asked. */
void outcome_count_answer(struct outcome *outcome, const struct wire_reclaim_reply *reply);
void outcome_count_refusal(struct outcome *outcome, enum refusal refusal);
void outcome_count_silence(struct outcome *outcome, pid_t pid, enum silence silence);
/*
 * Answers what a more urgent question has overtaken: the member counts by that one's answer, and
 * here with what it gave before.
 */
void outcome_count_overtaken(struct outcome *outcome, const struct wire_reclaim_reply *reply);
/* Of each that was sent the question. */
void outcome_count_method(struct outcome *outcome, const struct pick *pick);

/* Keeps of a diagnosis what an outcome has room for. */
void outcome_diagnose(struct outcome *outcome, const struct diagnosis *diagnosis);

/* By the cgroup's charge: may be less than RSS says (THP, growth meanwhile). Never < 0. */
uint64_t outcome_released_bytes(const struct outcome *outcome);

/*
 * Freed beside it, and still charged: parts of huge pages, which the kernel takes back when
 * it reclaims. No more than the members gave, and 0 below the size of one such page.
 */
uint64_t outcome_held_bytes(const struct outcome *outcome);

/*
 * Of what was released, what the group and the members that gave it had taken again at the second look. Each
 * may have grown for other reasons: no more than either.
 */
uint64_t outcome_returned_bytes(const struct outcome *outcome);

/* Half or more of that has not the program taken but khugepaged, which filled holes. */
bool outcome_is_refilled(const struct outcome *outcome);

/* Why those were asked who were asked last: what made it urgent, or what began it. */
enum reason outcome_cause(const struct outcome *outcome);

/* Quiet: nothing was asked and nobody is waiting for an answer; counted, logged at debug. */
bool outcome_is_quiet(const struct outcome *outcome);

/* "full", "borrow", "mixed"; "none" where nobody was asked. */
const char *outcome_method(const struct outcome *outcome);

/* "filter": stable, in JSON and journal. */
const char *refusal_to_string(enum refusal refusal);
/* "it has put a system call filter on its threads": a clause for people. */
const char *refusal_to_text(enum refusal refusal);
/* "stopped": stable, in JSON and journal. */
const char *silence_to_string(enum silence silence);
/* "is stopped: SIGCONT lets it go on": a clause for people. */
const char *silence_to_text(enum silence silence);

const char *outcome_kind_to_string(enum outcome_kind kind);
/* "due": stable, in JSON. */
const char *look_state_to_string(enum look_state state);
