/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Does once, at the start, what a crisis will ask of the daemon: under the sandbox it really
 * has, and with the pages it will really touch. What fails is told then, one line each with
 * what will not work and what to do, and not when memory is short.
 */

#include "agent/core/manager.h"

/* Also locks memory, first of all. Asks and changes nobody. */
void rehearse(struct manager *manager);
