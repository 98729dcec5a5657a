/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One structured journal entry per outcome that was not quiet; the same sentence as plain
 * text on stderr when that is not the journal. Fields are documented in memguard(8).
 * Cannot fail a round: what cannot be sent is dropped and counted.
 */

#include <sys/types.h>

#include "agent/basic/macro.h"
#include "agent/model/group.h"

/* Message ids, also in etc/memguard.catalog. */
#define MESSAGE_ROUND "8d45620c1a4348dbb17410da57c60c66" /* a round ended */
#define MESSAGE_RELOAD "c7a787079b354eaaa9e77b371893cd27" /* loaded */
#define MESSAGE_BAD_CONFIG "641257651c1b4ec9a8624d7a40a9e1e7"
#define MESSAGE_DEFAULTS "8e8531c888804a8089ac760bd82d7785" /* started without a configuration */

void journal_outcome(const struct group *group, const struct outcome *outcome);

/* The first mistake of a configuration that was not taken. */
struct journal_mistake {
	const char *text; /* where and what */
	const char *file; /* or NULL */
	unsigned int line; /* or 0 */
	unsigned int n; /* mistakes in all */
};

void journal_reload(size_t n_files);
void journal_bad_config(const struct journal_mistake *mistake);
/* @users: it is a user's own daemon that does. */
void journal_defaults(bool users);

/* The sentence: "x.service: released 412M, ..."; @size 512 is enough. Pure. */
void journal_sentence(const struct group *group, const struct outcome *outcome, char *buf,
		      size_t size);

/*
 * The entry in the journal's native protocol. Pure. Returns its length, or -E2BIG; @size
 * 16 KiB is enough for any path.
 */
#define JOURNAL_ENTRY_MAX (16 * KIB)
ssize_t journal_format(const struct group *group, const struct outcome *outcome,
		       char *buf, size_t size);

/* For one entry, until it is sent. */
extern char journal_room[JOURNAL_ENTRY_MAX];

/* One datagram to @path, never waiting: -EAGAIN when the journal does not keep up. */
int journal_send(const char *path, const char *entry, size_t size);

/* Could an entry be sent? Sends none. 0, or a negative errno. */
int journal_try(void);

/* Sends one entry, or drops and counts it. */
void journal_deliver(const char *entry, size_t size);
void journal_drop(void);

/* Entries that could not be sent. */
uint64_t journal_n_dropped(void);
