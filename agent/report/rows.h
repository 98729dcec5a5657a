/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Model data as dictionaries: each function adds the entries of one row. The keys are the
 * JSON keys of memguardctl, are documented in memguardctl(1), carry their unit, and never
 * change their meaning. What is not known, and what is infinite, is left out.
 */

#include "agent/report/bus.h"
#include "agent/report/dict.h"

void rows_facts(struct dict *dict, const struct daemon_facts *facts);

/* An entry "signals": by source, in how many groups it is in force or not, and why not. */
void rows_sources(struct dict *dict, const struct daemon_facts *facts);
/* The same of one group: "armed", or why not; what is off is left out. */
void rows_group_sources(struct dict *dict, const struct group *group);

/* @now_usec: CLOCK_MONOTONIC, for ages. */
void rows_group(struct dict *dict, const struct group *group,
		const struct diagnosis *diagnosis, uint64_t now_usec);

/* The same, and everything its decisions are made from. */
void rows_explain(struct dict *dict, const struct group *group,
		  const struct diagnosis *diagnosis, uint64_t now_usec);

/* What a round now would do; behind the entries of rows_explain(). */
void rows_plan(struct dict *dict, const struct decision *plan);

/* Behind the entries of rows_explain(), too. */
void rows_pressures(struct dict *dict, const struct pressures *pressures);

/* An entry "steps": of each, is it due, when it was last taken, how often in this hour. */
void rows_steps(struct dict *dict, const struct group *group,
		const struct rung rungs[static STEP_MAX_], uint64_t now_usec);

/* An entry "evidence": each fact by name, value, and in words. */
void rows_evidence(struct dict *dict, const struct evidence *evidence, size_t n);

/* @member: NULL, or the one of the group that the diagnosis is about. */
void rows_diagnosis(struct dict *dict, const struct group *group,
		    const struct member *member, const struct diagnosis *diagnosis);

/* @diagnosis may be NULL: not made. */
void rows_member(struct dict *dict, const struct group *group,
		 const struct member *member, const struct diagnosis *diagnosis,
		 uint64_t now_usec);
void rows_fresh(struct dict *dict, const struct fresh *fresh,
		const struct diagnosis *diagnosis, uint64_t now_usec);
void rows_outcome(struct dict *dict, const struct group *group,
		  const struct outcome *outcome);
/* The entries of rows_outcome() that need no group. */
void rows_figures(struct dict *dict, const struct outcome *outcome);
void rows_past(struct dict *dict, const struct past *past);
void rows_tuned(struct dict *dict, const struct tuned *tuned);
void rows_option(struct dict *dict, const struct bus_item *item);

/* "trim", "observe". */
const char *rows_mode(enum mode mode);
