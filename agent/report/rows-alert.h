/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/model/alert.h"
#include "agent/model/group.h"
#include "agent/report/dict.h"

/* The entries of signal Alert, documented in memguardctl(1), "Interface". */
void rows_alert(struct dict *dict, const struct group *group, const struct alert *alert);
