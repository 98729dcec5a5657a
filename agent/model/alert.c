/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/model/alert.h"

const char *alert_kind_to_string(enum alert_kind kind)
{
	switch (kind) {
	case ALERT_USAGE_CRITICAL:
		return "usage-critical";
	case ALERT_KILL_NEAR:
		return "kill-near";
	case ALERT_OOM_KILL:
		return "oom-kill";
	case ALERT_NOT_PAYING:
		return "not-paying";
	case ALERT_MAX_:
		break;
	}

	return "unknown";
}
