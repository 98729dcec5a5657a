/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names of verdicts, facts and advice: stable, in JSON, journal and on the bus. */

#include "agent/model/diagnosis.h"

#include "agent/basic/macro.h"
#include "libhook/wire.h"

static const struct {
	const char *name;
	const char *text;
} verdicts[] = {
	[VERDICT_UNKNOWN] = { "unknown", "Too little was measured lately to tell what holds the "
					 "memory; only processes with the hook are measured, "
					 "mostly while all is calm." },
	[VERDICT_HEALTHY] = { "healthy", "Little memory is held that is not in use." },
	[VERDICT_RETAINED] = { "retained", "The allocator keeps what the program frees; a "
					   "release gives it back." },
	[VERDICT_FRAGMENTED] = { "fragmented",
				 "Memory is free in pieces too small to give back; change the "
				 "allocator, or restart the program." },
	[VERDICT_GROWING] = { "growing", "What is in use grows, or fills the limit; look for a "
					 "leak or a cache without bound, or raise the limit." },
	[VERDICT_NOT_MALLOC] = { "not-malloc",
				 "Most of the memory is outside the allocators memguard knows; "
				 "look at thread stacks, direct mmap(), shared memory, other "
				 "runtimes, processes without the hook." },
};

static const char *const facts[] = {
	[FACT_ANON_BYTES] = "anon_bytes",
	[FACT_LIMIT_BYTES] = "limit_bytes",
	[FACT_IN_USE_BYTES] = "in_use_bytes",
	[FACT_RETAINED_BYTES] = "retained_bytes",
	[FACT_UNUSED_BYTES] = "unused_bytes",
	[FACT_OTHER_ANON_BYTES] = "other_anon_bytes",
	[FACT_UNHOOKED_BYTES] = "unhooked_bytes",
	[FACT_FILE_BYTES] = "file_bytes",
	[FACT_SWAP_BYTES] = "swap_bytes",
	[FACT_HUGE_BYTES] = "heap_huge_bytes",
	[FACT_THREADS] = "threads",
	[FACT_ARENAS] = "n_arenas",
	[FACT_FLOOR_FIRST_BYTES] = "floor_first_bytes",
	[FACT_FLOOR_LAST_BYTES] = "floor_last_bytes",
	[FACT_FLOOR_SPAN_USEC] = "floor_span_usec",
	[FACT_FLOOR_FIGURES] = "n_floor_figures",
	[FACT_EXPECTED_BYTES] = "expected_bytes",
	[FACT_RELEASED_BYTES] = "released_bytes",
	[FACT_RELEASE_AGE_USEC] = "release_age_usec",
	[FACT_SWAPPED_FREE_BYTES] = "swapped_free_bytes",
	[FACT_RETURNED_BYTES] = "returned_bytes",
	[FACT_CHARGED_BYTES] = "charged_bytes",
	[FACT_SHMEM_BYTES] = "shmem_bytes",
	[FACT_KERNEL_BYTES] = "kernel_bytes",
	[FACT_LOCKED_BYTES] = "locked_bytes",
	[FACT_BELOW_BYTES] = "below_bytes",
};

static const char *const advices[] = {
	[ADVICE_NONE] = "none",
	[ADVICE_MEASURE] = "measure",
	[ADVICE_RELEASE] = "release",
	[ADVICE_ARENA_MAX] = "arena-max",
	[ADVICE_THRESHOLDS] = "thresholds",
	[ADVICE_ALLOCATOR] = "allocator",
	[ADVICE_HEAPTRACK] = "heaptrack",
	[ADVICE_SANITIZER] = "sanitizer",
	[ADVICE_RAISE_LIMIT] = "raise-limit",
	[ADVICE_STACKS] = "stacks",
	[ADVICE_MAPS] = "maps",
	[ADVICE_HOOK] = "hook",
	[ADVICE_HUGE_PAGES] = "huge-pages",
	[ADVICE_RESTART] = "restart",
	[ADVICE_RELEASE_IDLE] = "release-idle",
	[ADVICE_CONTINUE] = "continue",
	[ADVICE_SHARED] = "shared",
	[ADVICE_KERNEL] = "kernel",
	[ADVICE_LOCKED] = "locked",
	[ADVICE_BELOW] = "below",
	[ADVICE_DECAY] = "decay",
};

const char *verdict_to_string(enum verdict verdict)
{
	return (unsigned int)verdict < ARRAY_SIZE(verdicts) ? verdicts[verdict].name
							    : "unknown";
}

const char *diagnosis_to_text(const struct diagnosis *diagnosis)
{
	const enum verdict verdict = diagnosis->verdict;

	if (diagnosis->untold == WIRE_ALLOCATOR_MIMALLOC)
		return "mimalloc does not tell what of its memory is free, and what it keeps for threads "
		       "that live no other thread can give back.";
	if (diagnosis->untold != 0)
		return "Most of the memory is an allocator's that does not tell what of it is free.";

	return (unsigned int)verdict < ARRAY_SIZE(verdicts)
		       ? verdicts[verdict].text
		       : "The verdict is unknown to this version.";
}

const char *fact_to_string(enum fact fact)
{
	return (unsigned int)fact < ARRAY_SIZE(facts) ? facts[fact] : "unknown";
}

const char *advice_to_string(enum advice advice)
{
	return (unsigned int)advice < ARRAY_SIZE(advices) ? advices[advice] : "unknown";
}
