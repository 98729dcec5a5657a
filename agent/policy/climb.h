/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Growth that the trend takes for a step each time, or that is hidden under a sawtooth: the least
 * that was taken of the limit in each 4 s, for a minute. It has risen where it did so
 *
 *   step by step   twice or more, at least 8 s apart, without a fall, and no longer ago than
 *                  such steps are apart; or
 *   under teeth    from each 20 s to the next, twice
 *
 * Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/alert.h"
#include "agent/model/group.h"

/* True when it is another limit than before, and all begins anew. */
bool climb_step(struct alert_climb *climb, const struct group *group, bool begins, uint64_t now_usec);

/* Within the last minute it has risen or fallen by more than the error. */
bool climb_is_followed(const struct alert_climb *climb);

/* It was flat before, and what it does now is the first of it: for some 8 s. */
bool climb_is_first(const struct alert_climb *climb);

/* Growth by *@ret_bytes in *@ret_usec; false: there is none. @is_told: it may pause for twice as long. */
bool climb_in_steps(const struct alert_climb *climb, const struct reading *reading, bool is_told,
		    uint64_t *ret_bytes, uint64_t *ret_usec);
bool climb_under_teeth(const struct alert_climb *climb, const struct reading *reading,
		       uint64_t *ret_bytes, uint64_t *ret_usec);
