/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the sockets are, for both programs alike. */

#define RUNTIME_DIRECTORY_MAX 108

/* Of the system's daemon. */
#define RUNTIME_SYSTEM "/run/memguard"

/*
 * /run/memguard; for an ordinary user $XDG_RUNTIME_DIR/memguard where that is set.
 * Returns @buf.
 */
char *runtime_directory_default(char buf[static RUNTIME_DIRECTORY_MAX]);

/* $XDG_RUNTIME_DIR/memguard, whoever it is; NULL where that is not set. */
char *runtime_directory_user(char buf[static RUNTIME_DIRECTORY_MAX]);
