/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Calls of memguardd, over RUNTIME/bus or else the system bus. What goes wrong is told
 * here, once, with what to do about it; the caller only passes the error on.
 */

#include <jansson.h>
#include <stdint.h>

#include "agent/ctl/ctl.h"

/* Below this no daemon was found; see ctl_exit. */
#define CLIENT_NOT_RUNNING (-ENOTCONN)

/* 0 and the answer (to be given to json_decref()), or a negative errno: told already. */
int client_call(struct ctl *ctl, const char *method, json_t **ret);
int client_call_what(struct ctl *ctl, const char *method, const char *what, json_t **ret);
/* Only these: that a daemon without the option is not sent it. @method: NULL, or its name. */
int client_call_trim(struct ctl *ctl, const char *what, const char *method, json_t **ret);
int client_call_tune(struct ctl *ctl, const char *what, const char *knob, uint64_t value,
		     json_t **ret);

/*
 * "memguardctl verify", of the file that the daemon reads where that is not the usual one. Asks
 * the daemon; returns @buf.
 */
#define CLIENT_VERIFY_MAX 4224
char *client_verify(const struct ctl *ctl, char buf[static CLIENT_VERIFY_MAX]);

/* Ends the connection, if there is one. */
void client_close(struct ctl *ctl);

/* The exit status for a result of the above. */
enum ctl_exit client_exit(int r);
