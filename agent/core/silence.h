/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whoever does not answer a round: is it worth waiting for, and if not, what holds it. */

#include "agent/core/state.h"

/*
 * It does not only run, it has taken CPU time since it had taken so much: an answer may come. Who is
 * stopped, frozen or starved is told from who answers slowly by that.
 */
bool silence_is_work(struct peer *peer, uint64_t since_cpu_usec);

/*
 * Whether who is waited for is at work is seen against what it is now: by the CPU time it takes from now on.
 * The kernel tells that in ticks of 10 ms, and a program with a small quota may take none in half a second:
 * where there is time it is at work as well if it has given something.
 */
void silence_begin(struct round *round);
bool silence_moves(const struct round *round);

/*
 * Looks at who is waited for: true when he is waited for no longer. Where there is time he may rest once
 * he was seen at work: one with a small quota that has used it up in one go, as by dropping many pages,
 * gets no CPU time for seconds.
 */
bool silence_is_over(struct round *round, uint64_t now_usec);

/* As of now. @works: it takes CPU time. */
enum silence silence_find(struct peer *peer, bool works);

/* Stopped, traced or frozen, as of now. */
bool silence_is_held(struct peer *peer);

/* The round of its group goes on without an answer of it: counted, with what there is to be said. */
void silence_count(struct peer *peer, bool works);
