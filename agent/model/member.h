/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A hooked process, as the kernel and its hook describe it. Identity (pid, start time,
 * uid, cgroup) comes from the kernel; everything else a member says about itself is a
 * claim, good for choosing whom to ask, never for judging a release.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/floors.h"
#include "agent/model/stats.h"
#include "libhook/wire.h"

/* From /proc, by sense/survey. */
struct process {
	pid_t pid;
	uid_t uid;           /* effective */
	uint64_t start_time; /* clock ticks since boot */
	uint64_t rss_bytes;
	uint64_t anon_bytes; /* of it; the rest is file and shared memory */
	uint64_t swap_bytes;
	uint64_t cpu_usec;   /* user and system, ever */
	uint64_t n_faults;   /* minor page faults, ever */
	unsigned int n_threads;
	char state;          /* R S D Z ... */
	bool exiting;        /* v1 tells of the root as its group then, whatever that was */
	uint16_t shmem_permyriad; /* of rss_bytes: shared memory */
	char command[16];    /* comm; the kernel keeps no more */
};

/* Of which nearly all have the same; shared by them. Kept by core/versions. */
struct versions {
	uint32_t page_bytes;
	char hook[16];
	char libc[16]; /* "" when not glibc */
};

/* What is kept of HELLO; names and units are those of libhook/wire.h. */
struct hello {
	const struct versions *versions;
	uint32_t agent_tid;
	uint32_t allocators;
	uint32_t malloc_owner;
	uint8_t flags;
	uint8_t tuned; /* and what TUNE has set since */
	uint8_t env_tuned;
};

/* What releases of a process taught about it. Kept by policy/calibrate. */
struct calibration {
	uint32_t n_full[2];         /* full trims learnt from: idle, busy */
	uint32_t full_permille[2];  /* their time: measured of modelled */
	uint32_t n_borrow;
	uint32_t borrow_permille;   /* released of predicted by the model */
	uint32_t borrow_unreached;  /* arenas of which the last whole one gave no more than the ends */
	uint64_t borrow_stall_usec;
	uint64_t borrow_usec_per_mib;
};

/* What a release is predicted to give and to cost. */
struct forecast {
	uint64_t bytes;
	uint32_t stall_usec; /* longest */
	uint32_t usec;       /* from begin to end */
};

/* Most processes are never asked, nor have a second allocator: apart, since it is zero then. */
struct lessons {
	struct calibration calibration;
	struct wire_reclaim_reply last_release;
	struct forecast last_forecast; /* of it, by the method that was used */
	uint64_t release_faults;       /* process.n_faults then */
	uint64_t residue_bytes;        /* heap RSS not in use right after it */
	int64_t bias_bytes;            /* policy/estimate: what it showed to be wrong */
	uint64_t vain_bytes;           /* expected of the last release, and did not come; or the
					* least that was expected since */
	struct wire_foreign foreign[WIRE_FOREIGN]; /* of stats */
};

struct member {
	struct process process;
	struct hello hello;
	uint64_t time_usec;        /* of process; CLOCK_MONOTONIC */
	uint32_t busy_permyriad;   /* of one CPU, between the last two looks */
	uint32_t n_failed;         /* timeouts and refusals in a row */
	bool seccomp_changed;      /* its agent must not be woken again */
	bool filtered;             /* its agent was under a system call filter at time_usec */
	bool borrow_refused;       /* its hook cannot do it */
	bool residue_due;          /* the next stats give the residue */
	bool has_lessons;          /* there is something in them */
	bool stats_refused;        /* its last answer about them had none */
	bool refused;              /* the last of n_failed: it is there, and has not released */

	struct stats stats;        /* last answer */
	uint64_t stats_usec;       /* when; 0: never */
	struct floors floors;      /* of what was in use */

	uint64_t retained_bytes;   /* policy/estimate, from stats */
	uint64_t rested_bytes;     /* the least of anon_bytes since its last release; 0: of none */
	uint32_t stall_usec;       /* policy/estimate: of a full trim */
	uint32_t release_usec;     /* policy/estimate: how long a full trim takes */
	uint32_t borrow_usec_per_mib; /* policy/estimate: of what has come since stats */
	struct forecast borrow;    /* policy/estimate: by METHOD_BORROW */

	uint64_t last_release_usec; /* 0: never */
	struct lessons *lessons;    /* by releases, mostly; their place. See member_lessons() */
};

/* @versions: where those of @wire are kept. */
struct hello hello_of(const struct wire_hello *wire, const struct versions *versions);
struct versions versions_of(const struct wire_hello *wire);

/* By a signal, or held by a debugger: it would not answer. */
bool member_is_stopped(const struct member *member);

const struct lessons *member_lessons(const struct member *member);

/* It did not answer, or answered that it releases nothing. Only a release ends a row of the latter. */
void member_note_failure(struct member *member, bool refused);
void member_note_answer(struct member *member, bool released);

/* A setting was made in it: with one threshold the other may have been. */
void member_note_tuned(struct member *member, const struct wire_tune_reply *reply);
