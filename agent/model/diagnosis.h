/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which disease it is, what says so, how sure that is, and what to try next. */

#include <stdint.h>

enum verdict {
	VERDICT_UNKNOWN,    /* nothing measured yet, or nothing that tells */
	VERDICT_HEALTHY,    /* little is held that is not in use */
	VERDICT_RETAINED,   /* freed, held by the allocator, a release returns it */
	VERDICT_FRAGMENTED, /* free, but below page granularity: a release cannot help */
	VERDICT_GROWING,    /* the in-use floor rises: leak, or a cache without bound */
	VERDICT_NOT_MALLOC, /* most of the memory is outside the allocators we know */
	VERDICT_MAX_,
};

/* A number that speaks for or against it. The unit is in the name. */
enum fact {
	FACT_ANON_BYTES,         /* anonymous and resident */
	FACT_LIMIT_BYTES,
	FACT_IN_USE_BYTES,
	FACT_RETAINED_BYTES,     /* what a release should give */
	FACT_UNUSED_BYTES,       /* resident in heaps, not in use */
	FACT_OTHER_ANON_BYTES,   /* anonymous and resident, outside of malloc */
	FACT_UNHOOKED_BYTES,     /* of processes in the group without the hook */
	FACT_FILE_BYTES,         /* file and shared memory, resident */
	FACT_SWAP_BYTES,
	FACT_HUGE_BYTES,         /* of the heap, in huge pages */
	FACT_THREADS,
	FACT_ARENAS,
	FACT_FLOOR_FIRST_BYTES,  /* least in use, in the first quarter of the time */
	FACT_FLOOR_LAST_BYTES,   /* in the last one */
	FACT_FLOOR_SPAN_USEC,
	FACT_FLOOR_FIGURES,      /* measurements in it */
	FACT_EXPECTED_BYTES,     /* of the last release */
	FACT_RELEASED_BYTES,
	FACT_RELEASE_AGE_USEC,
	FACT_SWAPPED_FREE_BYTES, /* of the heap, free and swapped out */
	FACT_RETURNED_BYTES,     /* of the last release, in use again within a minute */
	FACT_CHARGED_BYTES,      /* to the group, without file cache */
	FACT_SHMEM_BYTES,        /* shared memory, mapped or not */
	FACT_KERNEL_BYTES,       /* the kernel's own for the group: sockets, pipes, page tables */
	FACT_LOCKED_BYTES,       /* pages of files that cannot be dropped */
	FACT_BELOW_BYTES,        /* anonymous, of processes in groups below it */
	FACT_MAX_,
};

struct evidence {
	enum fact fact;
	uint64_t value;
};

enum advice {
	ADVICE_NONE,        /* nothing to do */
	ADVICE_MEASURE,     /* use a release as the measuring instrument */
	ADVICE_RELEASE,     /* now, and from now on while calm */
	ADVICE_ARENA_MAX,   /* cap the arenas */
	ADVICE_THRESHOLDS,  /* pin glibc's moving thresholds */
	ADVICE_ALLOCATOR,   /* preload another one */
	ADVICE_HEAPTRACK,   /* who allocates, in the running program */
	ADVICE_SANITIZER,   /* LeakSanitizer, where it can be built anew */
	ADVICE_RAISE_LIMIT,
	ADVICE_STACKS,      /* smaller thread stacks, or fewer threads */
	ADVICE_MAPS,        /* look which mappings it is */
	ADVICE_HOOK,        /* see why the others carry no hook */
	ADVICE_HUGE_PAGES,  /* keep malloc out of huge pages */
	ADVICE_RESTART,
	ADVICE_RELEASE_IDLE, /* from now on while calm: there is little to release now */
	ADVICE_CONTINUE,    /* let the process go on, which is stopped */
	ADVICE_SHARED,      /* look which shared memory it is */
	ADVICE_KERNEL,      /* look what the kernel holds for it */
	ADVICE_LOCKED,      /* look which files are locked in memory */
	ADVICE_BELOW,       /* look into the groups below it */
	ADVICE_DECAY,       /* have the allocator give back by itself what is free */
	ADVICE_MAX_,
};

/* No verdict has more, but one of a small group by a limit: the last one is left out then. */
#define DIAGNOSIS_EVIDENCE_MAX 9
#define DIAGNOSIS_ADVICE_MAX 4

/* Sum over the members' last statistics: what nothing but a verdict is made from. */
struct heap_use {
	uint64_t in_use_bytes;       /* live, as the allocators see it */
	uint64_t unused_bytes;       /* policy/estimate: resident in heaps, not in use */
	uint64_t swapped_free_bytes; /* policy/estimate: swapped out, free in heaps */
	uint64_t grown_bytes;        /* resident, since their allocators were asked, if ever */
	uint64_t stall_usec;         /* policy/estimate: longest stall of a full trim */
	int32_t largest_pid;         /* of who has most resident; 0: none */
};

struct diagnosis {
	struct heap_use use; /* as it was when it was made */
	enum verdict verdict;
	uint32_t confidence_percent;
	uint32_t untold; /* unknown, because these allocators do not tell; bits of enum wire_allocator */
	uint64_t killed_usec;  /* when the kernel last killed in the group; 0: never, or of a member */
	const char *allocator; /* ADVICE_ALLOCATOR: which; as in `enable --allocator=` */
	uint32_t n_evidence;
	struct evidence evidence[DIAGNOSIS_EVIDENCE_MAX]; /* the strongest first */
	uint32_t n_advice;
	enum advice advice[DIAGNOSIS_ADVICE_MAX]; /* in the order in which to try */
};

/* "retained": stable, in JSON and journal. */
const char *verdict_to_string(enum verdict verdict);
/* One sentence: what the verdict means and what to do. */
const char *diagnosis_to_text(const struct diagnosis *diagnosis);
/* "in_use_bytes", "heaptrack": stable, in JSON. */
const char *fact_to_string(enum fact fact);
const char *advice_to_string(enum advice advice);
