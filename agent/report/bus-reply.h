/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Answers: begun, filled in and finished, or an error in their place. */

#include "agent/report/bus-state.h"

/* @is_rows: aa{sv}, else a{sv}. -ENOBUFS: the client has too many under way. */
int bus_reply_new(struct bus *bus, sd_bus_message *call, uid_t uid, bool is_rows,
		  struct bus_reply **ret);
/* Sends nothing. */
struct bus_reply *bus_reply_free(struct bus_reply *reply);

/* Figures about others' processes are not for everybody. */
bool bus_reply_may_see(const struct bus_reply *reply, uid_t owner);

/* @error is a negative errno, which gives the error's name. */
void bus_reply_error(sd_bus_message *call, int error, const char *text);
/* What is wrong with the configuration, a line each. @lines is used up. */
void bus_reply_mistakes(sd_bus_message *call, char *lines);
/* The same with the sentence that belongs to it. */
void bus_reply_failure(sd_bus_message *call, int error);
