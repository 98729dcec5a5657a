/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names of a group's kinds and states: stable, in JSON, journal and on the bus. */

#include "agent/model/group.h"

const char *group_kind_to_string(enum group_kind kind)
{
	switch (kind) {
	case GROUP_V1:
		return "cgroup-v1";
	case GROUP_V2:
		return "cgroup-v2";
	case GROUP_RSS:
		return "rss";
	}

	return "unknown";
}

const char *gate_state_to_string(enum gate_state state)
{
	switch (state) {
	case GATE_CALM:
		return "calm";
	case GATE_RETAINING:
		return "retaining";
	case GATE_PRESSED:
		return "pressed";
	case GATE_HIGH:
		return "high";
	case GATE_CRITICAL:
		return "critical";
	case GATE_SETTLING:
		return "settling";
	}

	return "unknown";
}
