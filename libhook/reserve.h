/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A few pages of our own for a release at a memory limit that leaves none: borrowing writes
 * to pages that were not resident before it has given back the first, and there a fault
 * ends the program. They are given up first, and taken again out of what was released.
 */

#include <stdint.h>

/* On the agent's thread, once. Where there is no room there is no reserve. */
void reserve_make(void);

void reserve_spend(void);

/* @released_bytes: by what the release has lowered the resident set. */
void reserve_restore(uint64_t released_bytes);
