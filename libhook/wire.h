/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the hook and memguardd say to each other: the only file both trees share.
 *
 * One frame is one SOCK_SEQPACKET datagram of exactly WIRE_FRAME_BYTES. Both ends run on
 * one machine, so numbers are in host order; fields are laid out so that a 32-bit hook
 * and a 64-bit daemon agree. Bytes a verb does not use are zero, and are checked to be.
 *
 * The hook speaks first (HELLO) and then only answers: STATS with one STATS frame and
 * n_arena_frames ARENA frames, RECLAIM and TUNE with one frame each, under the request's
 * id. BYE goes either way and is not answered. No frame carries a pointer, a path or a
 * descriptor. Anything that is not a valid frame for its direction closes the connection.
 *
 * Questions are answered in the order in which they came. One that comes while a RECLAIM is
 * served ends that early, where there is a place to stop, and is served next. Older hooks end
 * the first as if nothing had come, and then serve the second: what is sent is the same.
 *
 * Everything in an answer is a claim of the process: see agent/model/member.h.
 */

#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC UINT32_C(0x4d474431)
#define WIRE_VERSION 3
#define WIRE_FRAME_BYTES 512
#define WIRE_PAYLOAD_BYTES (WIRE_FRAME_BYTES - sizeof(struct wire_header))

enum wire_verb {
	WIRE_HELLO = 1,
	WIRE_STATS = 2,
	WIRE_ARENA = 3,
	WIRE_RECLAIM = 4,
	WIRE_TUNE = 5,
	WIRE_BYE = 6,
};

/* Which way a frame travels decides what is valid in it. */
enum wire_direction {
	WIRE_TO_DAEMON,
	WIRE_TO_HOOK,
};

/* Status of an answer. */
enum wire_status {
	WIRE_OK = 0,
	WIRE_UNSUPPORTED = 1, /* this libc or allocator cannot do it */
	WIRE_REFUSED = 2,     /* not now, or not at all: the operator said otherwise */
	WIRE_FAILED = 3,      /* tried, did not work */
};

struct wire_header {
	uint32_t magic;
	uint16_t version;
	uint16_t verb;
	uint64_t id;     /* chosen by the daemon, repeated in the answer; 0 in HELLO, BYE */
	uint32_t status; /* enum wire_status; 0 in requests */
	uint32_t length; /* bytes of payload used */
};

/* Allocators a process can hold; bits of wire_hello.allocators and of reclaim answers. */
enum wire_allocator {
	WIRE_ALLOCATOR_GLIBC = 1 << 0,
	WIRE_ALLOCATOR_JEMALLOC = 1 << 1,  /* also je_ and _rjem_ */
	WIRE_ALLOCATOR_MIMALLOC = 1 << 2,
	WIRE_ALLOCATOR_TCMALLOC = 1 << 3,  /* gperftools */
	WIRE_ALLOCATOR_OTHER = 1 << 4,     /* malloc belongs to somebody we do not know */
	WIRE_ALLOCATOR_GTCMALLOC = 1 << 5, /* google/tcmalloc */
};

enum wire_hello_flags {
	WIRE_HELLO_NAMED = 1 << 0,   /* agent started because the administrator named the pid */
	WIRE_HELLO_ALWAYS = 1 << 1,  /* MEMGUARD_AGENT=always */
	WIRE_HELLO_BAD_ENV = 1 << 2, /* a MEMGUARD_* value did not parse and was ignored */
};

/* Knobs, for TUNE and as bits (1 << knob) of wire_hello.tuned and .env_tuned. */
enum wire_knob {
	WIRE_KNOB_ARENA_MAX = 1,      /* 1 .. 4096 arenas */
	WIRE_KNOB_MMAP_THRESHOLD = 2, /* bytes, 64 KiB .. 1 GiB */
	WIRE_KNOB_TRIM_THRESHOLD = 3, /* bytes, 64 KiB .. 1 GiB */
	WIRE_KNOB_TOP_PAD = 4,        /* bytes, 0 .. 64 MiB */
	WIRE_KNOB_DECAY = 5,          /* msec, 0 .. 1 h: how long other allocators keep what is free */
	WIRE_KNOB_MAX_ = 6,
};

struct wire_hello {
	uint32_t agent_tid;     /* in the process's own pid namespace */
	uint32_t flags;         /* enum wire_hello_flags */
	uint32_t allocators;    /* all that were found */
	uint32_t malloc_owner;  /* the one bit that serves malloc() */
	uint32_t page_bytes;
	uint32_t tuned;         /* knobs set from MEMGUARD_MALLOPT at start */
	uint32_t env_tuned;     /* knobs the operator's own environment sets: not ours to touch */
	uint32_t reserved;
	char hook_version[16];  /* NUL-terminated */
	char libc_version[16];  /* NUL-terminated, "" when not glibc */
};

enum wire_stats_flags {
	WIRE_STATS_HEAP = 1 << 0,   /* walk the allocator's free lists: holds each arena's lock */
	WIRE_STATS_ARENAS = 1 << 1, /* also send one row per arena; implies HEAP */
	WIRE_STATS_RSS = 1 << 2,    /* heap RSS: walks the page tables of the heap mappings */
};

struct wire_stats_request {
	uint32_t flags;
	uint32_t reserved;
};

/* What an allocator other than glibc's tells of itself. Bytes; 0: it does not say. */
#define WIRE_FOREIGN 4
struct wire_foreign {
	uint32_t allocator; /* one bit of enum wire_allocator; 0: no entry, nor any after it */
	uint32_t reserved;
	uint64_t in_use;    /* handed out */
	uint64_t retained;  /* free and resident: what a purge could give back at most */
};

/* Sizes in bytes. Heap figures are 0 when WIRE_STATS_HEAP was not asked or is unsupported. */
struct wire_stats {
	uint32_t flags;          /* what is filled in */
	uint32_t n_arena_frames; /* that follow */
	uint64_t rss;            /* of the process */
	uint64_t heap_rss;       /* of the mappings that hold arenas */
	uint64_t heap_huge;      /* of that, in transparent huge pages */
	uint64_t system;         /* arenas' address space in use (sum of "system current") */
	uint64_t in_use;         /* handed out from arenas, thread caches included */
	uint64_t free;           /* in bins, fastbins and tops */
	uint64_t mmapped;        /* chunks with a mapping of their own */
	uint64_t whole_pages;    /* whole pages inside free chunks, by bin averages */
	uint64_t main_top;       /* top of the main arena: trim can cut it */
	uint64_t other_tops;     /* tops of thread arenas: trim leaves them */
	uint64_t unsorted;       /* free bytes not yet sorted into bins: whole_pages is blind there */
	uint64_t largest_pages;  /* whole_pages of the arena that has most: bounds the stall */
	uint64_t largest_unsorted;    /* unsorted of the arena that has most */
	uint64_t hollow;         /* not resident, at the ends of thread arenas' heaps: of their tops */
	uint32_t n_arenas;
	uint32_t n_heaps;
	uint32_t n_free;         /* free chunks */
	uint32_t n_page_free;    /* free chunks with a whole page inside, by bin averages */
	uint32_t largest_n_page_free; /* of the arena that has most */
	uint32_t largest_n_free; /* of the arena that has most */
	uint32_t n_mmapped;
	uint32_t n_anchored;     /* arenas that METHOD_BORROW can reach */
	uint32_t heap_usec;      /* what the walk took: bounds the stall it caused */
	uint32_t rss_usec;
	struct wire_foreign foreign[WIRE_FOREIGN];
	uint64_t heap_swap;      /* of the mappings that hold arenas, swapped out */
};

/* Free chunks by size: below 1 page, then up to 2, 4, 16, 64, 256 pages, and above. */
#define WIRE_CLASSES 7
#define WIRE_ROWS 3

struct wire_arena {
	uint64_t system;
	uint64_t free;
	uint64_t top;
	uint64_t whole_pages;
	uint64_t unsorted;
	uint64_t bytes[WIRE_CLASSES];
	uint32_t count[WIRE_CLASSES];
	uint32_t n_heaps;
	uint32_t n_unsorted;
	uint32_t nr; /* as malloc_info numbers it; 0 is the main arena */
};

struct wire_arenas {
	uint32_t first;   /* row number of rows[0] */
	uint32_t n_rows;  /* 1 .. WIRE_ROWS */
	struct wire_arena rows[WIRE_ROWS];
};

enum wire_method {
	WIRE_METHOD_FULL = 1,   /* malloc_trim(0): holds each arena's lock for all of its walk */
	WIRE_METHOD_BORROW = 2, /* by ordinary allocation, a chunk at a time; see borrow.h */
};

/* 0 where a limit is meant: there is none. */
struct wire_reclaim_request {
	uint32_t method;      /* for glibc's heap; others have a way of their own */
	uint32_t allocators;  /* which may be asked; 0: all that are there */
	uint64_t limit_bytes; /* enough, with METHOD_BORROW and where an allocator can stop */
	uint32_t limit_usec;  /* no longer than this, likewise */
	uint32_t reserved;
};

/* Why a release ended. */
enum wire_end {
	WIRE_END_DONE = 0,  /* nothing was left to give */
	WIRE_END_BYTES = 1, /* limit_bytes */
	WIRE_END_TIME = 2,  /* limit_usec */
	WIRE_END_LEFT = 3,  /* the daemon went away, or the agent had to go */
	WIRE_END_ASKED = 4, /* the daemon has asked for something else, which is served next */
};

struct wire_reclaim_reply {
	uint32_t method;        /* used */
	uint32_t allocators;    /* that were asked to give back */
	uint32_t end;           /* enum wire_end */
	uint32_t n_arenas;      /* of glibc's heap that are known; METHOD_BORROW only */
	uint32_t n_reached;     /* of these, released from as far as borrowing can; see borrow.h */
	uint32_t n_borrowed;    /* chunks */
	uint64_t rss_before;
	uint64_t rss_after;
	uint64_t duration_usec; /* of the release */
	uint64_t cpu_usec;      /* of the agent's thread in it */
	/*
	 * Longest single call into an allocator, as measured around it: no thread of the
	 * program waited longer for a lock that we held.
	 */
	uint64_t stall_usec;
	uint64_t dropped;       /* resident bytes given back through METHOD_BORROW */
	uint64_t grown;         /* address space it added to heaps at most, before giving it back */
};

struct wire_tune_request {
	uint32_t knob;
	uint32_t reserved;
	uint64_t value;
};

/* What became of a knob: of WIRE_OK and WIRE_REFUSED answers. */
enum wire_effect {
	WIRE_EFFECT_SET = 0,      /* in force */
	WIRE_EFFECT_LATE = 1,     /* accepted, and of no effect any more: set it at the next start */
	WIRE_EFFECT_MAYBE = 2,    /* in force unless the program was already past the point */
	WIRE_EFFECT_OPERATOR = 3, /* his own setting stays: refused */
	WIRE_EFFECT_PAIRED = 4,   /* in force, and the other threshold was set along with it */
};

struct wire_tune_reply {
	uint32_t knob;
	uint32_t effect; /* enum wire_effect */
	uint64_t value;  /* as applied, after clamping */
};

struct wire_frame {
	struct wire_header header;
	union {
		unsigned char bytes[WIRE_FRAME_BYTES - sizeof(struct wire_header)];
		struct wire_hello hello;
		struct wire_stats_request stats_request;
		struct wire_stats stats;
		struct wire_arenas arenas;
		struct wire_reclaim_request reclaim_request;
		struct wire_reclaim_reply reclaim_reply;
		struct wire_tune_request tune_request;
		struct wire_tune_reply tune_reply;
	};
};

/* Zeroes @frame and fills in the header; the payload is the caller's. */
void wire_init(struct wire_frame *frame, enum wire_direction direction, enum wire_verb verb,
	       uint64_t id, enum wire_status status);

/*
 * Is what was received (@size bytes) a valid frame for @direction? 0, or -EPROTO.
 * After 0 every enumerated field holds one of its values, every count is within its
 * array, every string is terminated and every unused byte is zero.
 */
int wire_check(const struct wire_frame *frame, size_t size, enum wire_direction direction);

/* Brings a knob's value into its range; 0 for an unknown knob. */
uint64_t wire_clamp(enum wire_knob knob, uint64_t value);
