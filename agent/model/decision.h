/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whom to ask, for what, and why; or why nobody. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/settings.h"

/* Why a gate opened or stayed closed, and why a round asked nobody. Never renumber. */
enum reason {
	REASON_NONE,
	/* open */
	REASON_COMMAND,        /* somebody asked for it */
	REASON_USAGE_HIGH,
	REASON_USAGE_CRITICAL,
	REASON_OOM_ETA,        /* the limit will be reached too soon */
	REASON_PRESSURE,       /* PSI */
	REASON_RETAINED,       /* calm, retained memory is large */
	/* closed */
	REASON_BELOW,          /* below every threshold */
	REASON_COOLDOWN,       /* the last round is too fresh */
	REASON_BACKOFF,        /* recent releases did not pay */
	REASON_OBSERVE,        /* Mode=observe */
	REASON_NO_MEMBERS,     /* nobody in the group carries the hook */
	REASON_NOT_WORTH,      /* expected release below MinRelease= */
	REASON_STALL,          /* would stall a busy program longer than StallBudgetMSec= */
	REASON_BUSY,           /* a round of this group is running */
	/* open */
	REASON_MACHINE,        /* PSI of the machine, and this group has most to give */
	/* closed */
	REASON_MAX_PER_HOUR,   /* as many in this hour as there may be */
	REASON_RETURNED,       /* what was released was in use again; also of the step that tunes */
	/* of steps other than a release */
	REASON_OFF,            /* nobody has asked for the step */
	REASON_TAKEN,          /* once is enough */
	/* open */
	REASON_LEFT,           /* calm, a large release has left some */
	/* closed */
	REASON_OTHERS,         /* calm, and other groups are being released */
	/* open */
	REASON_UNTOLD,         /* calm, who tells nothing has grown by much */
	/* Of an alert only. */
	REASON_KILL_NEAR,      /* at its growth the limit is a minute away */
	/* closed */
	REASON_UNSTEADY,       /* calm but for what is retained, and usage goes up and down */
	/* of the step that has the kernel reclaim */
	REASON_NO_SWAP,        /* there is none left that the group may use */
	REASON_NO_RECLAIM,     /* the kernel does not offer it: cgroup v1, before Linux 5.19 */
	REASON_MAX_,
};

/* "usage-high": stable, in JSON and journal. */
const char *reason_to_string(enum reason reason);
/* "usage is above UsageHigh=": a clause for people. */
const char *reason_to_text(enum reason reason);
/* All is calm: what it begins is worth no stall, and gives way to nothing. */
bool reason_is_calm(enum reason reason);
/* -EINVAL when unknown. */
int reason_from_string(const char *s, enum reason *ret);

/* Why a pick is to be released by its method. Never renumber. */
enum why {
	WHY_NONE,    /* there is nothing to choose: not glibc */
	WHY_SETTING, /* Method=, or the command, names it */
	WHY_FITS,    /* full: its stall fits StallBudgetMSec= */
	WHY_IDLE,    /* full: the program waits for work, so nobody is delayed */
	WHY_URGENT,  /* full: a kill is near, and it is the fastest */
	WHY_STALL,   /* borrow: full would stall for too long */
	WHY_UNABLE,  /* full: borrow cannot help there, and there is no time to wait */
	WHY_UNKNOWN, /* not measured since: full, or borrow where a command meets a busy one */
	WHY_TOPS,    /* borrow: it gives tops of thread arenas, which a full trim leaves */
	WHY_MAX_,
};

/* "stall": stable, in JSON and journal. */
const char *why_to_string(enum why why);
/* "a full trim would stall for too long": a clause for people. */
const char *why_to_text(enum why why);
/* "full": as in memguard.conf. */
const char *method_to_string(enum method method);
/* -EINVAL when unknown. */
int method_from_string(const char *s, enum method *ret);

#define DECISION_PICKS_MAX 64

struct pick {
	pid_t pid;
	bool measured;           /* its figures were asked for first */
	uint64_t cpu_usec;       /* that it had taken by then, or when it was found busy; 0: neither */
	uint64_t start_time;     /* clock ticks since boot, as in /proc/PID/stat */
	enum method method;       /* METHOD_FULL or METHOD_BORROW */
	enum why why;
	uint64_t expected_bytes;
	uint64_t stall_usec;      /* predicted, longest, of that method */
	uint64_t full_stall_usec; /* and of a full trim */
};

struct decision {
	bool act;
	enum reason reason;
	uint64_t expected_bytes;
	uint32_t enough_permyriad; /* of the limit: with less in use nobody else is asked; 0: all are */
	unsigned int n_needed;     /* of the picks, for that, by what is expected of them */
	unsigned int n_picks;
	struct pick picks[DECISION_PICKS_MAX]; /* in the order in which to ask */
};

/* How one that is asked already gives way to what came up meanwhile. Never renumber. */
enum yield {
	YIELD_NOT,    /* it does not */
	YIELD_OTHERS, /* who was not asked yet is chosen anew, by the new reason */
	YIELD_ALL,    /* and whose answer is due is asked at once for what is faster */
};

/* "others": stable, in recorded rounds. */
const char *yield_to_string(enum yield yield);

/* What all the picks are expected to give: of whom nobody asks nothing is. */
uint64_t decision_expected(const struct decision *decision);
/* @pick comes first, wherever it was, or though it was not among them; the last may have to go. */
void decision_put_first(struct decision *decision, const struct pick *pick);
/* The same with all those, in their order: they were asked already. */
void decision_put_asked(struct decision *decision, const struct pick *picks, unsigned int n);
