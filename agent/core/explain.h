/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What somebody who asks about a group is told beside its figures; see struct bus_handler. */

#include "agent/report/bus.h"

void explain_refresh(const char *what, const uid_t *uid, void *userdata);
void explain_diagnose(const struct group *group, const struct member *member,
		      struct diagnosis *ret, void *userdata);
void explain_plan(const struct group *group, struct decision *ret, void *userdata);
void explain_steps(const struct group *group, struct rung ret[static STEP_MAX_], void *userdata);
void explain_pressures(const struct group *group, struct pressures *ret, void *userdata);
bool explain_clash(const struct group *group, char *buf, size_t size, void *userdata);
