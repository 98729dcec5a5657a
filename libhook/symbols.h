/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Functions of the main program that only its file's symbol table names, which a loader
 * does not read and we do not either: the administrator's tools looked outside and wrote
 * MEMGUARD_SYMBOLS into the environment. Who may do that may preload any code already.
 */

#include <stddef.h>

#include "libhook/environment.h"

/*
 * Constructor only. The address of the function number @i, when the main program is the
 * very file that was looked at (by its build id) and the address lies in its code; else
 * NULL.
 */
const void *symbols_find(const struct environment_symbols *symbols, size_t i);
