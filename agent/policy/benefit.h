/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a round teaches the next ones. Pure. */

#include <stdbool.h>

#include "agent/model/group.h"

/*
 * What group->benefit becomes by an outcome, with the group as it is after it. Releases below
 * a quarter of what was expected, or below benefit_least_bytes(), double the back-off (from
 * CooldownSec= up to 1 h); good ones clear it. Of a group that was critical there is another
 * one (from 1 s up to 32 s), for releases that gave next to nothing.
 * A command's round never lengthens either.
 * Of a round that asked nobody only when, why, what began it and how many in a row is kept, so that
 * gate_step() does not begin the same round again at once: give this every outcome, the
 * quiet ones too.
 */
struct benefit benefit_add(const struct group *group, const struct outcome *outcome);

/*
 * People are to be told of @outcome, which benefit_add() has not been given yet: somebody was asked;
 * or nobody, and why (near the limit) or what would have been done (Mode=observe) is told of for the
 * first time since somebody was asked, or since all was calm. Of a group that comes and goes
 * between the two not each time, but after a pause that doubles from CooldownSec= up to 1 h.
 */
bool benefit_is_news(const struct group *group, const struct outcome *outcome);

/* All is calm again: benefit->told_over is to be set. */
bool benefit_ends_row(const struct group *group);

/*
 * The least that is worth asking for by @trigger: MinRelease=, or a quarter of it for what is freed
 * within a minute after a release of RetainedHigh= or more.
 */
uint64_t benefit_least_bytes(const struct group *group, enum reason trigger);

/*
 * How much retained memory calls for a release while all is calm: RetainedHigh=, or after such a
 * release once that least, and a sixteenth of what the members hold; infinity: none does.
 */
uint64_t benefit_calm_bytes(const struct group *group);

/* For a minute after a large release: what threads leave that end now may be given back as well. */
bool benefit_has_left(const struct group *group);

/*
 * The same by a second look at an outcome. Of a release while all was calm, in a group that
 * never came near its limit: if half of it or more was in use again, the back-off that counts
 * while calm doubles (from CooldownSec= up to 5 min); if less after a minute, it ends.
 */
struct benefit benefit_look(const struct group *group, const struct outcome *outcome);

/*
 * Something has changed since the last round that makes another one worth while now: members
 * hold what they did not hold then, one has joined, the limit is another, it is half as far
 * as it was, or the program has given back much by itself.
 */
bool benefit_is_outdated(const struct group *group);

/*
 * More is to be had from @group than from @other: by what members claim, as far as the kernel says that
 * it is there, and of those whose last releases disappointed only when no other is left.
 */
bool benefit_is_richer(const struct group *group, const struct group *other);

/*
 * Usage at which half of the room is used up that the last round that asked has left; where it is, that the
 * last round of either kind has. Infinity: there was none, or the limit is none, or another since.
 */
uint64_t benefit_half_way_bytes(const struct group *group);

/* Half of the room that the last release left is used up, by growth that is worth another one. */
bool benefit_is_half_way(const struct group *group);
