/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The live objects and who owns whom: a manager has guards (one per group), a guard has
 * peers (one per hooked process) and at most one round. Shared by the files of core only.
 */

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "agent/basic/sparse.h"
#include "agent/config/config.h"
#include "agent/core/bell.h"
#include "agent/core/exec.h"
#include "agent/core/manager.h"
#include "agent/hook/listener.h"
#include "agent/hook/request.h"
#include "agent/model/alert.h"
#include "agent/model/kill.h"
#include "agent/model/ledger.h"
#include "agent/policy/gate.h"
#include "agent/report/bus.h"
#include "agent/sense/cgroup.h"
#include "agent/sense/psi.h"
#include "agent/sense/survey.h"

/* Somebody waits for the results of several requests or rounds. */
struct command {
	struct bus_reply *reply;
	unsigned int n_open;
	enum method method;  /* trim: METHOD_AUTO unless the caller named one */
	enum wire_knob knob; /* tune; 0: show */
	uint64_t value;      /* of it, as on the wire */
};

struct peer {
	SLIST_ENTRY(peer) in_guard;
	struct member member;
	struct conn *conn;
	struct guard *guard;
	uint32_t knobs_due;      /* bits of enum wire_knob still to be set from [Tune] */
	unsigned int stats_n_threads; /* when its statistics were taken, or a release asked for since */
	uint64_t stats_cpu_usec; /* the process's CPU time when its statistics were taken */
	uint64_t busy_usec;      /* begin of the span over which busy_permyriad is measured */
	uint64_t busy_cpu_usec;  /* CPU time then */
};

/* One pass from a trigger to an outcome; begin and finish are far apart in time. */
struct round {
	bool used; /* in round.c: taken */
	bool unseen; /* decided by the last look at the members; the next pick is not */
	uint64_t patience_usec; /* when to look after it: its pick is busy, or silent; 0: no need */
	struct decision decision;
	unsigned int next; /* index of the pick to be asked */
	unsigned int n_put_off; /* picks in a row that were answering another question */
	uint64_t busy_since_usec; /* all that are left are; 0: they are not */
	enum reason reason; /* why its picks were chosen; another than what began it when it hurries */
	bool rushed; /* and the limit was near in time then */
	struct peer *waiting; /* whose answer is due; or NULL */
	uint64_t waiting_cpu_usec; /* its CPU time when it was asked, or looked after */
	uint64_t waiting_rss_bytes; /* and what it had resident */
	uint64_t moved_usec; /* when it was last seen at work since it was asked; 0: not yet */
	uint64_t asked_usec;
	uint64_t until_usec; /* no longer is it waited for; 0: its question has a deadline */
	struct outcome outcome;
	pid_t only; /* to be asked; 0: whoever is worth it */
	struct command *command;
};

/* Of most groups there is nothing to be said in it: see basic/sparse.h. */
struct history {
	struct steps steps;
	struct benefit benefit;
	struct alert_memory alerts;
	uint64_t look_round;     /* its round that is looked at again; 0: none. second-look.c */
	uint64_t look_due_usec;
	uint64_t look_faults;    /* of the group, when that round ended */
	uint64_t look_collapses;
	LIST_ENTRY(guard) in_rounds; /* while it has a round */
	LIST_HEAD(, hearer) hearers; /* programs to be told when the group is short; warner.c */
	size_t n_hearers;
	uint64_t warned_usec;    /* when they were */
	struct swap_out reclaim; /* the last one; see kernel-reclaim.h */
	uint64_t reclaim_failed_usec; /* when none could be begun; 0: never */
	const char *bad_file;    /* that people were told of; or NULL */
	struct sums left;        /* of its members, when the last of them left */
};

/* Who rings; by watch_rings. */
enum ring {
	RING_EVENTS,   /* of a guard */
	RING_PRESSURE, /* likewise */
	RING_MACHINE,
	RING_MAX_
};

/* What the kernel tells of a group on v1 alone. */
struct tripwires {
	int level_fd;
	int threshold_fd; /* at UsageHigh= */
	uint64_t threshold_bytes; /* where it is, or was last tried */
	sd_event_source *threshold_source;
	sd_event_source *level_source;
};

struct guard {
	LIST_ENTRY(guard) in_manager;
	struct manager *manager;
	struct group group;
	SLIST_HEAD(, peer) peers;

	struct cgroup cgroup;   /* not open: GROUP_RSS */
	struct psi_trigger psi;
	struct rope events_rope;
	struct rope pressure_rope; /* of psi */
	struct signals signals;    /* since the last look */
	bool has_leader : 1;  /* GROUP_RSS: the tree of manager->command; else the sum of the peers */
	bool is_ready : 1;    /* for a round: what it writes has its memory */
	bool events_came : 1; /* the next ones are awaited from the next look on */
	bool has_history : 1; /* there is something in it */
	bool has_parted : 1;  /* a member has left since the last reading, and others stay */
	uint32_t pace_index;
	uint32_t survey_gap_usec; /* doubles while nothing moves; some minutes at most */
	struct tripwires *tripwires; /* NULL: not on v1 */

	uint64_t look_usec;  /* when the next look is planned; 0: it is not. See pace.h */
	uint64_t usage_usec; /* usage was read, maybe without the rest of the reading */
	uint64_t allocated_bytes; /* by the machine, then */

	struct watched *watched; /* the lowest limit above or in it that is; or NULL. See limits.h */
	struct history *history; /* its place; see history.h */
	uint64_t survey_usec;    /* last look at the processes */
	uint64_t survey_usage_bytes;
	uint64_t empty_since_usec; /* no peers since; 0: has some */
	struct round *round; /* under way; one of a few, see round.c. Or NULL */
};

#define LIMITS_BUCKETS 64

/* See limits.h. */
struct limits {
	int fd; /* inotify; -1: none */
	sd_event_source *source;
	SLIST_HEAD(watched_list, watched) watched[LIMITS_BUCKETS]; /* by wd */
};

/* A file of a limit; those above it are watched for as long as it is. */
struct watched {
	SLIST_ENTRY(watched) list;
	struct watched *above; /* the next one on the way to the root; or NULL */
	int wd;
	unsigned int n_users : 30; /* guards, and files below it */
	bool is_whole : 1;         /* all above it are watched, too */
	bool is_written : 1;       /* and those below it do not know yet */
};

/* See pace.h. */
struct pace {
	sd_event_source *timer;
	uint64_t timer_usec; /* when it strikes; 0: not at all */
	struct guard **heap; /* the next one first */
	size_t n, n_max;
	int vmstat_fd;       /* -1: looks have to go by the sizes of groups alone */
	uint64_t allocated_usec;
	uint64_t allocated_bytes;
};

/* Groups that are gone and of which something was told; the longest ago goes first. */
#define ALERTS_KEPT 64

/* Connections that were closed, which are told one a minute of each kind: none hides another. */
enum closed_kind {
	CLOSED_PEER,            /* was taken, and did what no hook does */
	CLOSED_REFUSED,         /* was not taken: there are enough, or for lack of something */
	CLOSED_HEARER,          /* the same, of who wants to hear of pressure */
	CLOSED_FOREIGN,         /* outside of our pid namespace */
	CLOSED_FOREIGN_HEARER,
	CLOSED_KIND_MAX_,
};

struct closed {
	uint64_t told_usec; /* 0: never */
	uint32_t n;         /* since then, untold */
};

struct manager {
	sd_event *event;
	struct pace pace;
	struct limits limits;
	struct bell bell;
	struct manager_options options;
	char *runtime_directory;
	char *config_file;
	struct config *config;
	char config_state[256];

	bool has_cgroup;
	struct cgroup_root cgroup_root;
	bool has_psi;
	bool told_deep; /* of a group that is nested too deep to be read */
	struct psi_trigger machine_psi;
	struct rope machine_rope;
	int machine_state; /* as group.sources */
	uint32_t machine_permyriad; /* its pressure, when somebody last asked for it */
	uint64_t machine_read_usec;
	struct survey *survey;
	struct listener *listener;
	struct conn_handler conn_handler;
	struct bus *bus;
	struct exec *exec;

	LIST_HEAD(, guard) guards;
	LIST_HEAD(, guard) rounds;
	sd_event_source *patience_source;
	uint64_t patience_usec; /* when it strikes; 0: not at all */
	LIST_HEAD(, inquiry) inquiries;  /* that wait; see inquiry.h */
	sd_event_source *inquiry_source;
	struct sparse histories;  /* struct history */
	struct sparse lessons;    /* struct lessons */
	SLIST_HEAD(, shared_versions) versions; /* see versions.h */
	uint64_t arm_usec; /* before this no v1 threshold is armed; see watch.c */
	size_t n_guards;
	size_t n_peers;
	size_t n_hearers;
	int warner_fd;            /* RUNTIME/pressure */
	bool warner_made;         /* by us */
	sd_event_source *warner_source;
	struct manager_command command; /* `run` without a cgroup */
	struct guard *command_guard; /* its guard, where every peer belongs; or NULL */

	/* Text of the last round that asked somebody; a hundred members do not fit. */
	char record[64 * 1024];
	uint64_t record_round;    /* its number; 0: none yet */
	uint64_t record_group_id;
	int record_error;
	struct signals given_signals; /* what the last step of any gate began from */
	struct gate given_gate;

	struct {
		uint64_t key; /* of the group's path */
		struct alert_memory memory;
	} alerts_kept[ALERTS_KEPT];

	struct ledger ledger;
	struct kills kills;
	uint64_t n_rounds;
	bool ready;             /* past manager_new(): from now on the service manager is told */
	uint64_t notify_usec;   /* when it was last told the status */
	sd_event_source *status_source; /* when it is to be told again */
	struct closed closed[CLOSED_KIND_MAX_];
	uint64_t start_realtime_usec;
	uint64_t start_boottime_usec;
	uint64_t reload_realtime_usec;
	uint64_t reload_boottime_usec;
};

/* CLOCK_MONOTONIC as of this turn of the loop. */
uint64_t manager_now(const struct manager *manager);
uint64_t manager_realtime(const struct manager *manager);
/* CLOCK_BOOTTIME: nobody sets it, and it counts time suspended. */
uint64_t manager_boottime(const struct manager *manager);
/* Tells the service manager how things are, for `systemctl status`. */
void manager_notify_status(struct manager *manager);
