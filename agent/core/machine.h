/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Pressure of the whole machine. A group whose own tasks do not stall may hold what others
 * wait for: when the machine's trigger fires, the one that has most to give is asked.
 */

#include "agent/core/state.h"

/* By MachinePressureSome=. Does nothing while the trigger is as it should be. */
void machine_arm(struct manager *manager);
void machine_disarm(struct manager *manager);
void machine_on_pressure(struct rope *rope, uint32_t revents);

/* Its share of now, as in struct pressures; read once in a turn of the loop. */
uint32_t machine_some(struct manager *manager);
