/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Words to the service manager while we are at work. sd_notify() waits for room in a full
 * queue, and the daemon must not wait for anybody: what does not fit is dropped.
 */

/* @state as for sd_notify(). Does nothing without $NOTIFY_SOCKET. */
void notify_send(const char *state);

/*
 * That a reload begins now, with the time as Type=notify-reload wants it: one that was taken
 * before the signal came, as that of the loop may be, would not count.
 */
void notify_send_reloading(void);
