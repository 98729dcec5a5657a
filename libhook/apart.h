/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The numbers of the agent's descriptors. CRIU takes a program down and up again without a word about
 * the agent's own table: its thread then finds the program's in that place. So they are numbers
 * that programs seldom have, and one of them tells whose the table is. The agent's thread only.
 */

#include <stdbool.h>

/* Once it has its own table. */
void apart_begin(void);

/*
 * Is the table still ours? Where there is no telling it is. Nothing but a read() of no bytes, which
 * takes nothing from whatever there is instead.
 */
bool apart_is_ours(void);

/*
 * @fd, just opened, under a number of that kind; as it is where there is no room for that, and
 * -errno as it came. -EBADF: it was not ours any more.
 */
int apart_move(int fd);

/* To read. */
int apart_open(const char *path);

/* If it is still ours. */
void apart_close(int fd);
