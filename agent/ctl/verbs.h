/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of memguardctl: the table from which help is printed and calls made. */

#include "agent/ctl/ctl.h"

struct verb {
	const char *name;
	int least, most; /* arguments after the name; most < 0: any number */
	int (*run)(struct ctl *ctl, int argc, char **argv); /* argv[0] is the name */
	const char *arguments; /* for people */
	const char *help; /* one line */
};

extern const struct verb ctl_verbs[];
extern const size_t n_ctl_verbs;

/* NULL when there is none. */
const struct verb *verbs_find(const char *name);

/* Usage, all verbs, all options. */
void verbs_help(FILE *f);

/*
 * Runs the verb argv[0] with its output collected as output.h says, and ends the
 * connection. Returns the exit status; wrong usage is told.
 */
int verbs_dispatch(struct ctl *ctl, int argc, char **argv);

/* In agent/ctl/verb-*.c; all return an exit status. */
int verb_status(struct ctl *ctl, int argc, char **argv);
int verb_list(struct ctl *ctl, int argc, char **argv);
int verb_show(struct ctl *ctl, int argc, char **argv);
int verb_explain(struct ctl *ctl, int argc, char **argv);
int verb_diagnose(struct ctl *ctl, int argc, char **argv);
int verb_history(struct ctl *ctl, int argc, char **argv);
int verb_record(struct ctl *ctl, int argc, char **argv);
int verb_trim(struct ctl *ctl, int argc, char **argv);
int verb_tune(struct ctl *ctl, int argc, char **argv);
int verb_enable(struct ctl *ctl, int argc, char **argv);
int verb_disable(struct ctl *ctl, int argc, char **argv);
int verb_config(struct ctl *ctl, int argc, char **argv);
int verb_reload(struct ctl *ctl, int argc, char **argv);

/* In agent/memguardctl.c: these need the daemon's own stages, in-process. */
int verb_run(struct ctl *ctl, int argc, char **argv);
int verb_verify(struct ctl *ctl, int argc, char **argv);
