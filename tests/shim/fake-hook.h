/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a fake hook can do: greet the daemon and answer it, well or badly. See fake-hook.c. */

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "libhook/wire.h"

#define MIB (UINT64_C(1) << 20)

struct fake {
	int fd;
	unsigned long n;         /* the mode's number */
	uint64_t retained_bytes; /* resident until a RECLAIM */
	char *memory;
	size_t memory_bytes;
};

/* A line on stdout. */
void fake_say(const char *text);

/* 0, 1 when the daemon has closed, or -1. */
int fake_send(struct fake *fake, const void *bytes, size_t size);
/* The same; -1 where it is no valid one. */
int fake_send_frame(struct fake *fake, const struct wire_frame *frame);
int fake_send_garbage(struct fake *fake);

/* fake-greet.c: instead of a HELLO. Nonzero ends the program: < 0 failed. */
int greet_and_pass_on(struct fake *fake);
int greet_bye(struct fake *fake);
int greet_flood(struct fake *fake);
int greet_half(struct fake *fake);
int greet_hello(struct fake *fake);
int greet_holding(struct fake *fake);
int greet_long(struct fake *fake);
int greet_not(struct fake *fake);
int greet_twice(struct fake *fake);
int greet_unmeasured(struct fake *fake);
int pass_on_and_greet(struct fake *fake);

/* Of fake-greet.c: since greet_unmeasured() a SIGUSR1 has come. */
extern volatile sig_atomic_t fake_is_told;

/* fake-answer.c: the same for a question. */
int answer_another(struct fake *fake, const struct wire_frame *question);
int answer_as_of_old(struct fake *fake, const struct wire_frame *question);
int answer_but_reclaim(struct fake *fake, const struct wire_frame *question);
int answer_by_vanishing(struct fake *fake, const struct wire_frame *question);
int answer_but_rows(struct fake *fake, const struct wire_frame *question);
int answer_but_tune(struct fake *fake, const struct wire_frame *question);
int answer_full_only(struct fake *fake, const struct wire_frame *question);
int answer_garbage(struct fake *fake, const struct wire_frame *question);
int answer_half(struct fake *fake, const struct wire_frame *question);
int answer_lying(struct fake *fake, const struct wire_frame *question);
int answer_more_rows(struct fake *fake, const struct wire_frame *question);
int answer_never(struct fake *fake, const struct wire_frame *question);
int answer_no_more(struct fake *fake, const struct wire_frame *question);
int answer_reclaim_when_told(struct fake *fake, const struct wire_frame *question);
int answer_refusing(struct fake *fake, const struct wire_frame *question);
int answer_slowly(struct fake *fake, const struct wire_frame *question);
int answer_the_last(struct fake *fake, const struct wire_frame *question);
int answer_well(struct fake *fake, const struct wire_frame *question);
int answer_when_told(struct fake *fake, const struct wire_frame *question);
int answer_with_rows(struct fake *fake, const struct wire_frame *question);
