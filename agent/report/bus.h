/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The control interface org.memguard.Manager1, on RUNTIME/bus and on the system bus when
 * there is one. Shows model data through a handler that core supplies; includes no core.
 *
 *   GetStatus()                      -> a{sv}    the daemon itself
 *   ListGroups(s what)               -> aa{sv}   "" is all
 *   ListMembers(s what)              -> aa{sv}   last known figures
 *   Show(s what)                     -> aa{sv}   members with fresh figures, key "arenas"
 *   Trim(s what)                     -> aa{sv}   one outcome per group
 *   TrimWith(s what, a{sv} options)  -> aa{sv}   the same; option "method" (s): auto,
 *                                                full, borrow
 *   Tune(s what, s knob, t value)    -> aa{sv}   one row per member asked
 *   Explain(s what)                  -> aa{sv}   one per group: signals, thresholds,
 *                                                state, next look
 *   ListRounds(s what)               -> aa{sv}   past rounds of these groups and kills
 *                                                in them, the newest last
 *   Record, RecordLast(s what)       -> aa{sv}   lines of a *.round file, as "line"
 *   GetConfig()                      -> aa{sv}   section, key, value, file, line
 *   Reload()
 *   signal RoundFinished(a{sv})      each outcome that was not quiet
 *   signal Alert(a{sv})              what the journal gets as an alert
 *   properties Version s, Mode s, NGroups u, NMembers u, ConfigState s; all but the first
 *   are told when they change
 *
 * WHAT is a pid, a unit or a cgroup path. Dictionary keys are the JSON keys of
 * memguardctl, see agent/report/rows.h. Text is clean: no control characters, valid
 * UTF-8. Reading is open to the daemon's own uid and root for all, and to other users for
 * their own processes and the groups these are in; the signal goes to the former only.
 *
 * Trim, TrimWith, Tune, Record and Reload need root or the daemon's uid; on the system bus
 * polkit may allow them to others. Nothing here waits for a client, for the system bus or for
 * polkit. Beside it both have org.freedesktop.LogControl1.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/model/alert.h"
#include "agent/model/diagnosis.h"
#include "agent/model/group.h"
#include "agent/model/kill.h"
#include "agent/model/ledger.h"
#include "agent/model/member.h"

/* The daemon's own facts, for GetStatus. */
struct daemon_facts {
	const char *version;
	const char
		*config_state; /* "ok", or the first message of the last failed reload */
	const char *config_file; /* given with --config=, or NULL: the system's files */
	size_t n_config_files;
	const char *cgroup; /* "v2", "v1", "none": where memory is sensed */
	bool psi; /* PSI triggers can be armed */
	const char *layout; /* "unified", "hybrid", "v1", "none" */
	const char *root; /* how the kernel calls the root we see: "/" unless in a container */
	struct {
		uint64_t n_armed;  /* of so many groups, or 1 for the machine's */
		uint64_t n_failed; /* sampled instead */
		int error;         /* of one of these; negative errno */
	} sources[SOURCE_MAX_];
	const char *system_bus; /* "connected" or "absent" */
	enum mode mode; /* of the defaults */
	size_t n_groups;
	size_t n_members;
	uint64_t start_realtime_usec;
	uint64_t uptime_usec;          /* whatever the clock was set to; with time suspended */
	uint64_t reload_realtime_usec; /* last good load */
	uint64_t reload_age_usec;      /* as uptime_usec */
	uint64_t private_bytes; /* our own private memory */
	uint64_t n_entries_lost;  /* of the journal, which did not take them */
	uint64_t n_signals_lost;  /* without memory, or with a reader that does not read */
	uint64_t n_commands_lost; /* of Exec=: not started, or without a known end */
	uint64_t n_rounds; /* in this run of the daemon, but for quiet ones */
	uint64_t released_bytes; /* sum over all of them */
};

/* A round or a kill of the past, of a group that may be gone. */
struct past {
	const char *name; /* the unit, or the path */
	uint64_t group_id;
	const struct outcome *outcome; /* NULL: a kill */
	const struct kill *kill;
};

/* Fresh figures of one member. */
struct fresh {
	const struct group *group;
	const struct member *member;
	int error; /* 0, or negative errno: why the figures are not fresh */
	enum silence silence; /* and what holds it; SILENCE_NONE where that is not the reason */
	const struct wire_arena *rows; /* valid during the call */
	const struct forecast *forecasts; /* of each row; or NULL */
	size_t n_rows;
};

struct tuned {
	const struct member *member;
	int error; /* 0, or negative errno: could not be asked, timed out */
	enum silence silence; /* as above */
	uint32_t status; /* enum wire_status, when error is 0 */
	uint64_t value; /* as applied */
	enum wire_knob knob;
	enum wire_effect effect;
};

/* Shares of the last ten seconds in which somebody stalled on memory; PRESSURE_UNKNOWN: none told. */
#define PRESSURE_UNKNOWN UINT32_MAX
struct pressures {
	uint32_t group_permyriad;
	uint32_t machine_permyriad;
};

/*
 * An answer under way: made by bus, handed to core, given back in parts and then
 * finished. Safe when the client has gone meanwhile. bus_free() ends those still under
 * way: finish them before, or forget them after.
 */
struct bus_reply;
int bus_reply_fresh(struct bus_reply *reply, const struct fresh *fresh);
int bus_reply_outcome(struct bus_reply *reply, const struct group *group,
		      const struct outcome *outcome);
int bus_reply_tuned(struct bus_reply *reply, const struct tuned *tuned);
/* Sends and frees; an error where a part could not be taken. */
void bus_reply_finish(struct bus_reply *reply);

struct bus_item {
	const char *section, *key, *value, *file; /* as struct config_item */
	unsigned int line;
};

/*
 * What core does for the bus. WHAT "" means all; -ENOENT: nothing of that name is
 * guarded. each_* call @f for every match and stop at a negative return. each_member
 * gives the members of one group one after the other.
 */
struct bus_handler {
	/* Is it inside a container, seen from here? What cannot be found out is. */
	bool (*is_contained)(pid_t pid, void *userdata);
	void (*facts)(struct daemon_facts *ret, void *userdata);
	int (*each_group)(const char *what, int (*f)(const struct group *, void *),
			  void *arg, void *userdata);
	int (*each_member)(const char *what,
			   int (*f)(const struct group *, const struct member *, void *),
			   void *arg, void *userdata);
	int (*each_option)(int (*f)(const struct bus_item *, void *), void *arg,
			   void *userdata);
	/* The oldest first; WHAT as above, or the name of a group that is gone. */
	int (*each_past)(const char *what, int (*f)(const struct past *, void *),
			 void *arg, void *userdata);
	/* Reads groups now that a member of @uid is in, NULL: of anybody. */
	void (*refresh)(const char *what, const uid_t *uid, void *userdata);
	/* Which disease: of the group, or of @member (not NULL) of it. */
	void (*diagnose)(const struct group *group, const struct member *member,
			 struct diagnosis *ret, void *userdata);
	/* What a round of the group would do now. */
	void (*plan)(const struct group *group, struct decision *ret, void *userdata);
	/* Which steps are due, by enum step. */
	void (*steps)(const struct group *group, struct rung ret[static STEP_MAX_],
		      void *userdata);
	/* As of now: these are read when somebody asks. */
	void (*pressures)(const struct group *group, struct pressures *ret, void *userdata);
	/* Do settings for it contradict each other? Then a sentence with their places. */
	bool (*clash)(const struct group *group, char *buf, size_t size, void *userdata);
	/* These take the reply on 0; on a negative return bus answers with that error. */
	int (*show)(const char *what, struct bus_reply *reply, void *userdata);
	/* @method: METHOD_AUTO leaves it to the group's settings. */
	int (*trim)(const char *what, enum method method, struct bus_reply *reply,
		    void *userdata);
	int (*tune)(const char *what, enum wire_knob knob, uint64_t value,
		    struct bus_reply *reply, void *userdata);
	/* The text of a *.round file, malloc'ed; -ENOTUNIQ: more than one group. */
	int (*record)(const char *what, bool last, char **ret, void *userdata);
	/* 0, or negative with a message for the caller in @text. */
	int (*reload)(char *text, size_t size, void *userdata);
};

struct bus;

/*
 * @activated_fd: a listening stream socket from the service manager, or -1 to make
 * RUNTIME/bus (mode 0666). @system: also try the system bus (its absence is not an
 * error).
 */
int bus_new(sd_event *event, int activated_fd, const char *runtime_directory, bool system,
	    const struct bus_handler *handler, void *userdata, struct bus **ret);
struct bus *bus_free(struct bus *bus);
void bus_freep(struct bus **bus);

/* Signal RoundFinished; a slow reader loses it, never blocks us. */
void bus_round_finished(struct bus *bus, const struct group *group,
			const struct outcome *outcome);

/* Signals that somebody who listens did not get. */
uint64_t bus_n_signals_lost(void);

/* Signal Alert, to the same listeners. @bus may be NULL. */
void bus_alert(struct bus *bus, const struct group *group, const struct alert *alert);

/* Could they be made? Sends none. 0, or a negative errno. */
int bus_try_signals(const struct group *group, const struct outcome *outcome,
		    const struct alert *alert);

/*
 * Something that a property says may have changed: PropertiesChanged, a second later and
 * for all of it at once. @bus may be NULL.
 */
void bus_changed(struct bus *bus);

/* True while connected to the system bus. */
bool bus_has_system(const struct bus *bus);
