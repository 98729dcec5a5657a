/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A group under guard: a cgroup, or (in `memguardctl run` without one) the processes of
 * one command watched by RSS. Plain data; core owns the live objects around it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/basic/macro.h"
#include "agent/model/decision.h"
#include "agent/model/outcome.h"
#include "agent/model/settings.h"
#include "agent/model/steps.h"

enum group_kind {
	GROUP_V1,  /* cgroup v1 memory controller */
	GROUP_V2,  /* cgroup v2 with the memory controller */
	GROUP_RSS, /* no cgroup of its own: the sum of its processes' RSS */
};

/* What the kernel tells by itself, so that it need not be sampled for. */
enum source {
	SOURCE_THRESHOLD, /* v1: usage crossed UsageHigh= */
	SOURCE_LEVEL,     /* v1: memory.pressure_level */
	SOURCE_EVENTS,    /* v2: memory.events */
	SOURCE_GROUP,     /* PSI of the group */
	SOURCE_MACHINE,   /* PSI of the machine: one for all groups */
	SOURCE_MAX_,
};

/* State of a source; a negative errno is why it cannot be had, and sampling has to do. */
#define SOURCE_OFF 0   /* not wanted, or this kind of group has none */
#define SOURCE_ARMED 1

/* What the kernel counts of a limit that is another's, at the group above whose it is. */
struct limit_events {
	uint32_t n_max;      /* times that this limit was hit */
	uint32_t n_oom;      /* times that nothing could be reclaimed for it then */
	uint32_t n_oom_kill; /* kills anywhere in that group, by whichever limit; v1: right in it */
	uint8_t level;       /* that group: so many above; 0: not read */
};

/* One reading of a group. Every byte count is what the kernel said at time_usec. */
struct reading {
	uint64_t time_usec;           /* CLOCK_MONOTONIC; 0: never read */
	uint64_t usage_bytes;         /* charge, page cache included; RSS for GROUP_RSS */
	uint64_t anon_bytes;          /* charge without what the kernel could take: file cache, held */
	uint64_t held_bytes;          /* freed parts of huge pages, charged until it reclaims */
	uint64_t limit_bytes;         /* of the group or what is above it, with the least room; or infinity */
	uint64_t others_bytes;        /* of that limit, as anon_bytes: what is not the group's own */
	uint64_t pressure_total_usec; /* "some" stall, ever; 0 where there is no PSI */
	uint64_t n_max;               /* times the limit was hit (memory.events max, failcnt) */
	uint64_t n_oom_kill;          /* kernel OOM kills in the group, ever */
	uint64_t n_collapses;         /* huge pages made of small ones, ever; v2 */
	uint64_t n_faults;            /* page faults, ever; 0 without a cgroup */
	struct limit_events above;    /* of the limit that counted at the reading before, or this one */
};

/* What stands against the limit: siblings have a part of an ancestor's. */
static inline uint64_t reading_taken_bytes(const struct reading *reading)
{
	return add_sat(reading->anon_bytes, reading->others_bytes);
}

/* Of a limit that it shares. Kept by policy/shared. */
struct shared {
	uint32_t n_kills;  /* for it, in other groups, since the first reading */
	uint32_t n_oom;    /* its own count, as far as kills have been found for it */
};

/* How fast usage moves toward the limit. Kept by policy/trend. */
struct trend {
	uint64_t time_usec;             /* of the last reading taken in; 0: none yet */
	uint64_t anon_bytes;            /* its value, with what others have of the limit */
	int64_t growth_bytes_per_sec;   /* smoothed; negative while shrinking */
	int64_t brief_bytes_per_sec;    /* the same over about a second only */
	uint64_t eta_usec;              /* to the limit at that growth; or infinity */
	uint64_t steady_since_usec;     /* since when its own usage has not moved much: idle */
	uint64_t steady_bytes;          /* the value around which it has not */
};

/* Sum over the members' last statistics: what decisions are made from. */
struct heap {
	uint64_t retained_bytes;     /* policy/estimate: what a release should give */
	uint64_t fresh_bytes;        /* of retained: what no release has failed to give */
	uint64_t untold_bytes;       /* policy/estimate: what may be free, of those that tell nothing */
	uint64_t rss_bytes;
	uint64_t time_usec;          /* of the oldest figure in the sum; 0: nothing known */
};

/* What a group is charged for, by kind. Read only for who asks what its memory is. */
struct beside {
	uint64_t charged_bytes; /* at the same time, as reading.anon_bytes */
	uint64_t anon_bytes;   /* mapped by its processes and by those in groups below it */
	uint64_t below_bytes;  /* of it, by the latter */
	uint64_t shmem_bytes;  /* shared memory, mapped or not: memfd, tmpfs, MAP_SHARED, System V */
	uint64_t locked_bytes; /* pages of files that cannot be dropped */
	uint64_t kernel_bytes; /* the kernel's own for it: sockets, pipes, page tables */
	uint32_t n_processes;  /* in it, not below it; members or not */
};

/* What policy/verdict wants besides, which alone adds a member: not kept of each group. */
struct sums {
	const struct beside *beside; /* NULL: not read */
	struct heap heap;
	struct heap_use use;
	uint64_t largest_bytes;      /* of largest_pid */
	uint64_t anon_bytes;         /* resident by kind, as the kernel counts */
	uint64_t file_bytes;         /* shared memory included */
	uint64_t shmem_bytes;        /* of it, that */
	uint64_t swap_bytes;
	uint64_t huge_bytes;         /* of the heaps, in huge pages */
	uint64_t opaque_bytes;       /* anonymous, of those whose allocator tells nothing */
	uint32_t opaque_owners;      /* those allocators */
	uint32_t n_opaque_lazy;      /* members on them that nobody told to give back by themselves */
	uint32_t n_threads;
	uint32_t n_stacks;           /* of threads that programs made: not their first, not the hook's */
	uint32_t n_stopped;          /* members that cannot answer */
	uint32_t n_arenas;           /* of the member with most */
	uint32_t owners;             /* bits of enum wire_allocator that serve malloc() */
	uint64_t floor_first_bytes;  /* of members whose in-use floor rises; see floors.h */
	uint64_t floor_last_bytes;
	uint64_t floor_span_usec;    /* longest, of these or else of those judged */
	uint32_t n_floor_figures;
	uint32_t n_judged;           /* members with enough of a history */
	uint32_t n_rising;           /* of them, in-use floor rose in the last quarter of it */
	uint64_t expected_bytes;     /* of the members' last releases */
	uint64_t released_bytes;
	uint64_t before_bytes;       /* resident before them */
	uint64_t release_usec;       /* of the newest; 0: never */
	uint32_t n_cut_short;        /* of them: ended before all was given */
	uint32_t n_cut_unseen;       /* of these, their process not measured since */
	uint32_t n_unseen;           /* releases, whether cut short or not, likewise */
	struct reading left;         /* the group's, when its last member left; never read: it has some */
	bool is_loose;               /* glibc's thresholds rise by themselves in a member */
	bool has_parted;             /* another member has left since the group was read */
};

enum gate_state {
	GATE_CALM,      /* nothing to do */
	GATE_RETAINING, /* calm, but the group holds much that it does not use */
	GATE_PRESSED,   /* the kernel reports stalls (PSI), or the limit is coming near fast */
	GATE_HIGH,      /* usage above UsageHigh */
	GATE_CRITICAL,  /* usage above UsageCritical: a kill is near */
	GATE_SETTLING,  /* released a moment ago: readings are not to be trusted yet */
};

struct gate {
	enum gate_state state;
	enum reason reason;   /* why this state, and why not open where it is closed */
	uint64_t since_usec;  /* when the state was entered */
	uint64_t until_usec;  /* GATE_SETTLING, REASON_BACKOFF or _RETURNED: when that ends; 0 otherwise */
};

/* What past rounds of this group taught. Kept by policy/benefit. */
struct benefit {
	uint64_t n_rounds;            /* that asked somebody */
	uint64_t released_bytes;      /* sum over all rounds */
	uint64_t last_round_usec;     /* end of the last one that asked; 0: none yet */
	uint64_t last_released_bytes; /* with what is held */
	uint64_t last_usage_bytes;    /* right after it, without that */
	uint64_t look_usec;           /* end of the round that was looked at again; 0: none yet */
	uint64_t returned_bytes;      /* of what it released */
	uint32_t n_returned;          /* rounds in a row of which half or more was in use again */
	uint32_t last_n_not_needed;   /* whom the last round that asked did not need to ask */
	uint32_t last_n_silent;       /* whom it asked and had no release of */
	uint32_t n_disappointing;     /* releases in a row that back-off has doubled for */
	uint64_t backoff_usec;        /* extra cool-down: doubles when releases disappoint */
	uint64_t urgent_backoff_usec; /* the one of GATE_CRITICAL, far shorter */
	/* the one of GATE_RETAINING: doubles when memory comes back, or a try gave nothing */
	uint64_t calm_backoff_usec;
	uint64_t left_until_usec;     /* what the last one left is asked for, too; 0: it is not */
	uint64_t last_quiet_usec;     /* end of the last one that asked nobody; 0: none yet */
	enum reason last_quiet_reason; /* why nobody */
	enum reason last_quiet_trigger; /* why it was begun */
	uint32_t n_quiet;             /* such rounds in a row: only observed ones, or near the limit */

	/* Of rounds that asked nobody people are told once what each comes to. */
	uint32_t told;                /* that: bits of enum reason; for what is observed its trigger */
	bool told_over;               /* all was calm since */
	uint64_t told_usec;           /* end of the last one that was told */
	uint64_t told_backoff_usec;   /* before that has passed since, the same is not told again */

	/* How things stood after the last round of either kind: who waits looks for a change. */
	uint64_t last_limit_bytes;    /* 0: no round yet */
	uint64_t last_anon_bytes;     /* with what others had of the limit */
	uint64_t last_fresh_bytes;
	uint32_t last_n_joined;
	uint64_t asked_anon_bytes;    /* as last_anon_bytes, but after the last one that asked */

	/* Of a round that was not quiet, in the ledger: see group_last_outcome(). NULL: none yet */
	const struct outcome *last_outcome;
};

struct group {
	uint64_t id;        /* cgroup inode; 0 for GROUP_RSS */
	char *path;         /* below the hierarchy's root, "/" first; for GROUP_RSS the command */
	char *unit;         /* systemd unit, or NULL */
	const struct group_settings *settings; /* effective: defaults plus overrides; shared */
	enum group_kind kind : 8;
	bool yields; /* a round is under way that gives way to what is more urgent */
	bool users; /* of a user's own daemon: what is to be typed needs --user */
	bool climbs; /* has moved within a minute: the next step has to be seen when it comes */
	uint8_t limit_level; /* whose limit is the reading's: so many groups above; 0: nobody's else */
	uint8_t shared_level; /* likewise at the last kill that shared counts */
	int16_t sources[SOURCE_MAX_];
	uint32_t n_members;
	uint32_t peak_anon_kib; /* highest anon_bytes seen by us */

	struct reading reading; /* the latest */
	uint64_t peak_bytes;    /* highest usage seen by us */
	struct trend trend;
	struct heap heap;
	struct gate gate;
	struct benefit *benefit; /* NULL as all zero: see group_benefit() */
	struct steps *steps;    /* that the daemon took by itself; NULL: none ever */
	uint32_t n_joined; /* members, ever */
	uint32_t first_oom_kill; /* n_oom_kill of the first reading: kills before our time */
	struct shared shared;
};

/* NULL: none yet, or so long ago that the ledger has forgotten it. */
const struct outcome *group_last_outcome(const struct group *group);

/* Most groups never had a round. */
const struct benefit *group_benefit(const struct group *group);

/*
 * The path of the group above whose limit it is; NULL where it is the group's own, the machine's,
 * or of a group that we cannot see. Returns @buf, cut at @size.
 */
char *group_limit_of(const struct group *group, char *buf, size_t size);
/* The same of the group @level above; NULL where that is 0. */
char *group_above(const struct group *group, unsigned int level, char *buf, size_t size);

/* The limits of both are that of the same group above them. */
bool group_shares_limit(const struct group *group, const struct group *other);
/* @other is below the group that is @level above @group, or it. */
bool group_is_beside(const struct group *group, unsigned int level, const struct group *other);

const char *group_kind_to_string(enum group_kind kind);
/* "group_pressure": a key in JSON. */
const char *source_to_string(enum source source);
const char *gate_state_to_string(enum gate_state state);
