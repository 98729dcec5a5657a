/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/anchor.h"
#include "libhook/borrow.h"
#include "libhook/heap.h"
#include "libhook/huge.h"
#include "libhook/mem.h"
#include "libhook/proc.h"
#include "libhook/reserve.h"
#include "libhook/serve.h"
#include "libhook/tune.h"

#ifndef MEMGUARD_VERSION
#define MEMGUARD_VERSION "0"
#endif

/* Of the heaps, when they were last looked at: where there are none nothing has to be split. */
static uint64_t huge_bytes;

/* As much of @s as fits; the rest of @to is zero already. */
static void copy_text(char *to, size_t size, const char *s)
{
	for (size_t i = 0; i < size - 1 && s[i] != '\0'; i++)
		to[i] = s[i];
}

void serve_hello(const struct host *host, struct wire_frame *ret)
{
	struct wire_hello *hello = &ret->hello;
	const struct environment *environment = &host->environment;

	wire_init(ret, WIRE_TO_DAEMON, WIRE_HELLO, 0, WIRE_OK);
	hello->agent_tid = (uint32_t)SYS(SYS_gettid);
	hello->flags = (environment->named ? WIRE_HELLO_NAMED : 0) |
		       (environment->mode == AGENT_ALWAYS ? WIRE_HELLO_ALWAYS : 0) |
		       (environment->bad ? WIRE_HELLO_BAD_ENV : 0);
	hello->allocators = host->allocators.present;
	hello->malloc_owner = host->allocators.owner;
	hello->page_bytes = host->page_bytes;
	hello->tuned = host->tuned;
	hello->env_tuned = environment->env_tuned;
	copy_text(hello->hook_version, sizeof(hello->hook_version), MEMGUARD_VERSION);
	if (gnu_get_libc_version)
		copy_text(hello->libc_version, sizeof(hello->libc_version), gnu_get_libc_version());
}

static bool is_glibc(const struct host *host)
{
	return host->allocators.owner == WIRE_ALLOCATOR_GLIBC;
}

/* glibc's, and nothing keeps this thread from it. */
static bool may_use_heap(const struct host *host)
{
	return is_glibc(host) && anchor_may_write();
}

static void read_heap(const struct host *host, struct wire_stats *stats)
{
	const uint64_t begin_usec = sys_now_usec();
	/* Before the walk, during which threads may begin arenas that it does not count. */
	const uint32_t n_anchored = anchor_count();

	if (!may_use_heap(host) || !heap_read(host->page_bytes, stats))
		return;

	stats->flags |= WIRE_STATS_HEAP;
	stats->n_anchored = n_anchored;
	stats->heap_usec = (uint32_t)(sys_now_usec() - begin_usec);
}

static void read_rss(struct wire_stats *stats)
{
	const uint64_t begin_usec = sys_now_usec();

	if (!proc_heap_rss(&stats->heap_rss, &stats->heap_huge, &stats->hollow, &stats->heap_swap))
		return;

	huge_bytes = stats->heap_huge;
	stats->flags |= WIRE_STATS_RSS;
	stats->rss_usec = (uint32_t)(sys_now_usec() - begin_usec);
}

static int send_rows(uint64_t id, uint32_t n_frames, const struct serve_peer *peer)
{
	const struct wire_arena *rows = heap_rows();
	struct wire_frame frame;

	for (uint32_t i = 0; i < n_frames; i++) {
		const uint32_t first = i * WIRE_ROWS, left = heap_n_rows() - first;
		int r;

		wire_init(&frame, WIRE_TO_DAEMON, WIRE_ARENA, id, WIRE_OK);
		frame.arenas.first = first;
		frame.arenas.n_rows = left < WIRE_ROWS ? left : WIRE_ROWS;
		for (uint32_t j = 0; j < frame.arenas.n_rows; j++)
			frame.arenas.rows[j] = rows[first + j];

		r = peer->send(&frame, peer->arg);
		if (r < 0)
			return r;
	}

	return 0;
}

static int serve_stats(struct host *host, const struct wire_frame *question,
		       const struct serve_peer *peer)
{
	const uint32_t flags = question->stats_request.flags;
	const uint64_t id = question->header.id;
	struct wire_frame frame;
	struct wire_stats *stats = &frame.stats;
	int r;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, id, WIRE_OK);
	stats->rss = proc_rss(host->page_bytes);
	if (flags & (WIRE_STATS_HEAP | WIRE_STATS_ARENAS))
		read_heap(host, stats);
	if (flags & (WIRE_STATS_HEAP | WIRE_STATS_ARENAS))
		foreign_read(&host->foreigners, stats->foreign);
	/* What took its time: since it began a filter may have come. */
	if (!peer->may_call(peer->arg))
		return -EPERM;
	if (flags & WIRE_STATS_RSS)
		read_rss(stats);
	if ((flags & WIRE_STATS_ARENAS) && (stats->flags & WIRE_STATS_HEAP)) {
		stats->flags |= WIRE_STATS_ARENAS;
		stats->n_arena_frames = (heap_n_rows() + WIRE_ROWS - 1) / WIRE_ROWS;
	}

	r = peer->send(&frame, peer->arg);
	if (r < 0)
		return r;

	return send_rows(id, stats->n_arena_frames, peer);
}

static uint64_t thread_cpu_usec(void)
{
	struct timespec spent = { 0, 0 };

	(void)SYS(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &spent);
	return (uint64_t)spent.tv_sec * 1000000 + (uint64_t)spent.tv_nsec / 1000;
}

static bool trim_all(struct wire_reclaim_reply *reply)
{
	const uint64_t begin_usec = sys_now_usec();

	if (!malloc_trim)
		return false;

	/* Its return value says nothing about what was released: measure instead. */
	(void)malloc_trim(0);
	reply->stall_usec = sys_now_usec() - begin_usec;
	return true;
}

static bool reclaim_glibc(const struct host *host, const struct wire_reclaim_request *request,
			  const struct serve_peer *peer, struct wire_reclaim_reply *reply)
{
	const struct borrow_order order = {
		.limit_bytes = request->limit_bytes,
		.limit_usec = request->limit_usec,
		.page_bytes = host->page_bytes,
		.go_on = peer->go_on,
		.asked = peer->asked,
		.may_call = peer->may_call,
		.arg = peer->arg,
	};

	if ((request->allocators != 0 && !(request->allocators & WIRE_ALLOCATOR_GLIBC)) ||
	    !may_use_heap(host))
		return false;
	/*
	 * They cannot be dropped in parts. Linux 5.18 to 6.0 try, and drop the whole: what is in use in it
	 * would be lost, also by malloc_trim(), which counts in small pages.
	 */
	if (host->environment.huge_pages)
		return false;
	if (request->method == WIRE_METHOD_BORROW)
		return borrow_release(&order, reply);

	return trim_all(reply);
}

/*
 * Only where something was dropped: at a memory limit the list of mappings costs the kernel
 * memory, for which it then has that to take.
 */
static void split_huge(const struct host *host, uint64_t until_usec, const struct serve_peer *peer,
		       const struct wire_reclaim_reply *reply)
{
	if (huge_bytes > 0 && peer->may_call(peer->arg) &&
	    proc_rss(host->page_bytes) + HUGE_BYTES <= reply->rss_before)
		huge_split(host->page_bytes, until_usec, peer->go_on, peer->arg);
}

static int serve_reclaim(struct host *host, const struct wire_frame *question,
			 const struct serve_peer *peer)
{
	const struct wire_reclaim_request *request = &question->reclaim_request;
	struct wire_frame frame;
	struct wire_reclaim_reply *reply = &frame.reclaim_reply;
	uint64_t begin_usec, cpu_usec;
	bool glibc, any;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question->header.id, WIRE_OK);
	reply->method = request->method;
	/* First of all: the kernel needs memory even to say how much there is. */
	reserve_spend();
	reply->rss_before = proc_rss(host->page_bytes);
	begin_usec = sys_now_usec();
	cpu_usec = thread_cpu_usec();
	glibc = reclaim_glibc(host, request, peer, reply);
	if (glibc)
		reply->allocators = WIRE_ALLOCATOR_GLIBC;
	if (glibc)
		split_huge(host, request->limit_usec > 0 ? begin_usec + request->limit_usec : 0,
			   peer, reply);
	any = foreign_reclaim(&host->foreigners, request, peer->go_on, peer->arg, reply) || glibc;
	/* As much of it as was under way is done, by the program's own calls: not one of ours more. */
	if (!peer->may_call(peer->arg))
		return -EPERM;
	if ((!any || reply->end == WIRE_END_LEFT) && peer->asked(peer->arg))
		reply->end = WIRE_END_ASKED;
	else if (!any)
		/* What it cannot do now it may do later. */
		frame.header.status = is_glibc(host) && !anchor_may_write() ? WIRE_FAILED : WIRE_UNSUPPORTED;
	reply->duration_usec = sys_now_usec() - begin_usec;
	reply->cpu_usec = thread_cpu_usec() - cpu_usec;
	/* Those without an anchor are known from the last look at the heap only. */
	if (reply->n_arenas > 0 && reply->n_arenas < heap_n_arenas())
		reply->n_arenas = heap_n_arenas();
	reply->rss_after = proc_rss(host->page_bytes);
	if (reply->rss_after < reply->rss_before)
		reserve_restore(reply->rss_before - reply->rss_after);

	return peer->send(&frame, peer->arg);
}

static int serve_tune(struct host *host, const struct wire_frame *question,
		      const struct serve_peer *peer)
{
	const enum wire_knob knob = (enum wire_knob)question->tune_request.knob;
	const uint64_t value = wire_clamp(knob, question->tune_request.value);
	enum wire_effect effect = WIRE_EFFECT_SET;
	/* Only the knobs of other allocators do without the heap. */
	const bool may = knob == WIRE_KNOB_DECAY || !is_glibc(host) || anchor_may_write();
	const enum wire_status status = may ? tune_knob(host, knob, value, &effect) : WIRE_FAILED;
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_TUNE, question->header.id, status);
	frame.tune_reply.knob = knob;
	frame.tune_reply.effect = effect;
	frame.tune_reply.value = value;

	return peer->send(&frame, peer->arg);
}

int serve_question(struct host *host, const struct wire_frame *question,
		   const struct serve_peer *peer)
{
	switch ((enum wire_verb)question->header.verb) {
	case WIRE_STATS:
		return serve_stats(host, question, peer);
	case WIRE_RECLAIM:
		return serve_reclaim(host, question, peer);
	case WIRE_TUNE:
		return serve_tune(host, question, peer);
	case WIRE_BYE:
		return 1;
	case WIRE_HELLO:
	case WIRE_ARENA:
		break; /* never sent to a hook; wire_check() refused it */
	}

	return -EPROTO;
}
