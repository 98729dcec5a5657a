/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a round ended. Every round ends in exactly one, also "did nothing, because". */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/decision.h"
#include "agent/model/diagnosis.h"

enum outcome_kind {
	OUTCOME_RELEASED, /* at least one member answered */
	OUTCOME_NOTHING,  /* nobody was asked; reason says why */
	OUTCOME_FAILED,   /* members were asked, none answered well */
};

#define OUTCOME_EVIDENCE_MAX 3

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
	uint32_t n_timed_out;
	uint32_t n_gone;

	uint64_t limit_bytes;
	uint64_t usage_before_bytes; /* the group's charge */
	uint64_t usage_after_bytes;
	uint64_t rss_before_bytes;   /* sum over the members that answered */
	uint64_t rss_after_bytes;
	uint64_t expected_bytes;
	uint64_t longest_usec;       /* longest single release */
	uint64_t total_usec;         /* sum of the members' release times */

	uint32_t n_full;             /* of those asked, by method */
	uint32_t n_borrow;
	enum why why;                /* of the first one asked */
	uint64_t expected_stall_usec; /* longest predicted, of the methods used */
	uint64_t full_stall_usec;     /* longest predicted of full trims */
	uint64_t stall_usec;          /* longest that was measured: bound of any stall */

	enum verdict verdict;         /* of the group, with what the round showed */
	uint32_t confidence_percent;
	uint32_t n_evidence;          /* the strongest of it */
	struct evidence evidence[OUTCOME_EVIDENCE_MAX];
};

/* Keeps of a diagnosis what an outcome has room for. */
void outcome_diagnose(struct outcome *outcome, const struct diagnosis *diagnosis);

/* By the cgroup's charge: may be less than RSS says (THP, growth meanwhile). Never < 0. */
uint64_t outcome_released_bytes(const struct outcome *outcome);

/* Quiet: nothing was asked and nobody is waiting for an answer; counted, logged at debug. */
bool outcome_is_quiet(const struct outcome *outcome);

/* "full", "borrow", "mixed"; "none" where nobody was asked. */
const char *outcome_method(const struct outcome *outcome);

const char *outcome_kind_to_string(enum outcome_kind kind);
