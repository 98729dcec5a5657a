/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The process that starts commands of Exec= for the daemon, and waits for the kernel where that
 * reclaims (MemoryReclaim=), and what the two say to each other. It is the daemon's own executable,
 * run again at the start of the daemon, small and locked in memory: when memory is short it is there
 * already, and what a new process costs is waited for by it and not by the daemon. It does what the
 * daemon at the other end of its one socket asks, and ends with it.
 *
 * Messages are datagrams of fixed size. Of each request exactly one answer tells the end.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/basic/macro.h"
#include "agent/model/settings.h"

#define HELPER_NAME "memguard-helper"
#define HELPER_FD 3
#define HELPER_MAGIC UINT32_C(0x6d67e501)

/* At once. */
#define HELPER_RUNS_MAX 16

/* A path of full length, and figures. */
#define HELPER_ENVIRONMENT_MAX 6144

/* How long a command may take; then SIGTERM, and after the grace SIGKILL. */
#define HELPER_LIMIT_USEC (60 * USEC_PER_SEC)
#define HELPER_GRACE_USEC (10 * USEC_PER_SEC)

/* At once, of reclaims: the rest is for commands. */
#define HELPER_RECLAIMS_MAX 4
/* How long the kernel is given more to reclaim; what it is at then has another second. */
#define HELPER_RECLAIM_USEC (5 * USEC_PER_SEC)
#define HELPER_RECLAIM_END_USEC (6 * USEC_PER_SEC)

struct helper_request {
	uint32_t magic;
	uint32_t number;     /* of the caller's, for the answer; not 0 */
	/* 0: a command; else from the file whose descriptor comes along, and the rest is empty */
	uint64_t reclaim_bytes;
	char line[EXEC_MAX]; /* program and arguments, between blanks */
	char environment[HELPER_ENVIRONMENT_MAX]; /* lines of NAME=VALUE */
};

enum helper_event {
	HELPER_READY,  /* once, at the start; about no request. error: it cannot start any */
	HELPER_FAILED, /* it could not be started: error */
	HELPER_ENDED,  /* as status says */
	HELPER_EVENT_MAX_
};

struct helper_answer {
	uint32_t magic;
	uint32_t event;   /* enum helper_event */
	uint32_t number;  /* of the request; 0: of none */
	int32_t error;    /* negative errno */
	int32_t status;   /* as of waitpid(); of a reclaim errno is the exit status */
	uint32_t overdue; /* 1: it took too long and was ended */
};

/* Are these the arguments of a helper? To be asked first of all in main(). */
bool helper_is_wanted(int argc, char **argv);

/* What main() of a helper returns. */
int helper_main(void);

/* The same on @fd, and with other limits: for tests. Returns when @fd is at its end. */
int helper_serve(int fd, uint64_t limit_usec, uint64_t grace_usec);
