/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The control interface's names, shared with memguardctl. Documented in memguardctl(1),
 * "Interface".
 */

#define BUS_NAME "org.memguard.Manager1"
#define BUS_PATH "/org/memguard/Manager1"
#define BUS_INTERFACE "org.memguard.Manager1"

/* A page of arenas per process is enough for anybody: Show asks no more than this at once. */
#define BUS_SHOW_MAX 64

/* File name of the private socket below the runtime directory. */
#define BUS_SOCKET "bus"

/* Error names beside the standard ones. */
#define BUS_ERROR_NO_SUCH_TARGET \
	"org.memguard.Error.NoSuchTarget" /* WHAT names nothing guarded */
#define BUS_ERROR_BUSY "org.memguard.Error.Busy"
#define BUS_ERROR_BAD_CONFIG "org.memguard.Error.BadConfiguration"
