/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The versions of hooks and C libraries: each is there once, whatever number of members has it. */

#include "agent/core/state.h"

/* NULL: there is no memory. */
const struct versions *versions_take(struct manager *manager, const struct wire_hello *hello);
/* Always returns NULL. */
const struct versions *versions_give(struct manager *manager, const struct versions *versions);
