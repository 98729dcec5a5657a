/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One valid question in, its answer out. Knows no socket: the agent brings and sends frames. */

#include "libhook/allocator.h"
#include "libhook/environment.h"
#include "libhook/wire.h"

/* What the constructor learnt, and later TUNE changed. */
struct host {
	struct environment environment;
	struct allocators allocators;
	uint32_t page_bytes;
	struct foreigners foreigners;
	uint32_t tuned; /* knobs set by us, the paired ones too */
	uint32_t tuned_at_start; /* from MEMGUARD_MALLOPT */
	uint32_t explicit_knobs; /* those that were asked for by name */
	size_t tls_bytes; /* the program's static TLS, where libc tells no more; else 0 */
	bool anchoring; /* threads leave anchors in the heap they use; atomic */
};

/* Puts one frame on the wire; 0 or negative, then the connection is over. */
typedef int (*serve_send_t)(const struct wire_frame *frame, void *arg);

typedef bool (*serve_ask_t)(void *arg);

struct serve_peer {
	serve_send_t send;
	serve_ask_t go_on;    /* is it still wanted, and may the agent stay? No when asked() is yes */
	serve_ask_t asked;    /* does another question wait? May be asked every millisecond */
	serve_ask_t may_call; /* no: a filter has come, and only read() is safe from here on */
	void *arg; /* for all */
};

void serve_hello(const struct host *host, struct wire_frame *ret);

/* @question passed wire_check(). 0; 1 on BYE; negative when sending failed. */
int serve_question(struct host *host, const struct wire_frame *question,
		   const struct serve_peer *peer);
