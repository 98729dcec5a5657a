/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a process is not guarded, as far as its /proc tells the caller. */

#include <sys/types.h>

/* A sentence about @pid; never NULL. */
const char *alone_reason(pid_t pid);
