/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/fd.h"
#include "agent/basic/parse.h"
#include "agent/core/explain.h"
#include "agent/core/guard.h"
#include "agent/core/inquiry.h"
#include "agent/core/membership.h"
#include "agent/core/peer.h"
#include "agent/core/recorder.h"
#include "agent/core/round.h"
#include "agent/core/target.h"
#include "agent/policy/estimate.h"
#include "agent/report/bus-names.h"
#include "agent/report/journal.h"

/* What this process costs the machine: nobody else's pages. */
static uint64_t private_bytes(void)
{
	static const char *const keys[] = { "\nPrivate_Clean:", "\nPrivate_Dirty:" };
	uint64_t kib = 0;
	char text[4096];

	if (fd_read_file(AT_FDCWD, "/proc/self/smaps_rollup", text, sizeof(text)) < 0)
		return 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *line = strstr(text, keys[i]);

		if (line)
			kib += strtoull(line + strlen(keys[i]), NULL, 10);
	}

	return kib * KIB;
}

static void count_source(struct daemon_facts *facts, enum source source, int state)
{
	facts->sources[source].n_armed += state == SOURCE_ARMED;
	if (state < 0) {
		facts->sources[source].n_failed++;
		facts->sources[source].error = state;
	}
}

static void count_sources(const struct manager *manager, struct daemon_facts *facts)
{
	const struct guard *guard;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		for (int i = 0; i < SOURCE_MACHINE; i++)
			count_source(facts, (enum source)i, guard->group.sources[i]);
	count_source(facts, SOURCE_MACHINE, manager->machine_state);
}

static const char *layout_of(const struct manager *manager)
{
	if (!manager->has_cgroup)
		return "none";
	if (manager->cgroup_root.kind == GROUP_V2)
		return "unified";

	return manager->cgroup_root.unified_fd >= 0 ? "hybrid" : "v1";
}

static void on_facts(struct daemon_facts *ret, void *userdata)
{
	const struct manager *manager = userdata;
	struct group_settings settings;

	config_resolve(manager->config, NULL, "", &settings);
	*ret = (struct daemon_facts){
		.version = PACKAGE_VERSION,
		.config_state = manager->config_state,
		.config_file = manager->config_file,
		.n_config_files = config_n_files(manager->config),
		.cgroup = !manager->has_cgroup ? "none" :
			  manager->cgroup_root.kind == GROUP_V2 ? "v2" : "v1",
		.psi = manager->has_psi,
		.layout = layout_of(manager),
		.root = manager->has_cgroup && manager->cgroup_root.prefix[0] != '\0' ?
				manager->cgroup_root.prefix : "/",
		.system_bus = bus_has_system(manager->bus) ? "connected" : "absent",
		.mode = settings.mode,
		.n_groups = manager->n_guards,
		.n_members = manager->n_peers,
		.start_realtime_usec = manager->start_realtime_usec,
		.uptime_usec = sub_sat(manager_boottime(manager), manager->start_boottime_usec),
		.reload_realtime_usec = manager->reload_realtime_usec,
		.reload_age_usec = sub_sat(manager_boottime(manager), manager->reload_boottime_usec),
		.n_entries_lost = journal_n_dropped(),
		.n_signals_lost = bus_n_signals_lost(),
		.n_commands_lost = exec_n_lost(manager->exec),
		.n_rounds = manager->ledger.n_appended,
		.released_bytes = manager->ledger.released_bytes,
		.private_bytes = private_bytes(),
	};
	count_sources(manager, ret);
}

static int on_each_group(const char *what, int (*f)(const struct group *, void *), void *arg,
			 void *userdata)
{
	const struct manager *manager = userdata;
	const struct guard *guard;
	bool found = what[0] == '\0';
	int r;

	LIST_FOREACH(guard, &manager->guards, in_manager) {
		if (!target_is_in(guard, what))
			continue;
		found = true;
		r = f(&guard->group, arg);
		if (r < 0)
			return r;
	}

	return found ? 0 : -ENOENT;
}

static int on_each_member(const char *what,
			  int (*f)(const struct group *, const struct member *, void *), void *arg,
			  void *userdata)
{
	const struct manager *manager = userdata;
	const struct guard *guard;
	const struct peer *peer;
	bool found = what[0] == '\0';
	int r;

	LIST_FOREACH(guard, &manager->guards, in_manager) {
		SLIST_FOREACH(peer, &guard->peers, in_guard) {
			if (!target_is_peer(peer, what))
				continue;
			found = true;
			r = f(&guard->group, &peer->member, arg);
			if (r < 0)
				return r;
		}
		found = found || target_is_guard(guard, what);
	}

	return found ? 0 : -ENOENT;
}

/* Its group lives and matches, or it is gone and has that name. */
static bool past_matches(const struct manager *manager, const struct past *past,
			 const char *what)
{
	const struct guard *guard;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		if (guard->group.id == past->group_id)
			return target_is_in(guard, what);

	return target_is_name(past->name, what);
}

/* How many of each ring are still to come. */
struct pasts {
	size_t n_rounds, n_kills;
};

/* The oldest first, rounds and kills by their time. */
static bool next_past(const struct manager *manager, struct pasts *left, struct past *ret)
{
	const struct ledger *ledger = &manager->ledger;
	const struct outcome *outcome =
		left->n_rounds > 0 ? ledger_at(ledger, left->n_rounds - 1) : NULL;
	const struct kill *kill =
		left->n_kills > 0 ? kills_at(&manager->kills, left->n_kills - 1) : NULL;

	if (!outcome && !kill)
		return false;

	if (outcome && (!kill || outcome->end_usec <= kill->time_usec)) {
		*ret = (struct past){
			.name = ledger_name(ledger, --left->n_rounds),
			.group_id = outcome->group_id,
			.outcome = outcome,
		};
	} else {
		*ret = (struct past){ .name = kill->name, .group_id = kill->group_id, .kill = kill };
		left->n_kills--;
	}

	return true;
}

static int on_each_past(const char *what, int (*f)(const struct past *, void *), void *arg,
			void *userdata)
{
	const struct manager *manager = userdata;
	struct pasts left = {
		.n_rounds = MIN(manager->ledger.n_appended, LEDGER_SIZE),
		.n_kills = MIN(manager->kills.n_appended, KILLS_SIZE),
	};
	bool found = what[0] == '\0';
	const struct guard *guard;
	struct past past;
	int r;

	while (next_past(manager, &left, &past)) {
		if (!past_matches(manager, &past, what))
			continue;
		found = true;
		r = f(&past, arg);
		if (r < 0)
			return r;
	}

	/* That nothing ever happened there is an answer too. */
	LIST_FOREACH(guard, &manager->guards, in_manager)
		found = found || target_is_in(guard, what);

	return found ? 0 : -ENOENT;
}

struct option_visit {
	int (*f)(const struct bus_item *, void *);
	void *arg;
};

static int visit_option(const struct config_item *item, void *userdata)
{
	const struct option_visit *visit = userdata;
	const struct bus_item row = { item->section, item->key, item->value, item->file, item->line };

	return visit->f(&row, visit->arg);
}

static int on_each_option(int (*f)(const struct bus_item *, void *), void *arg, void *userdata)
{
	const struct manager *manager = userdata;
	struct option_visit visit = { f, arg };

	return config_each(manager->config, visit_option, &visit);
}

static int command_new(struct bus_reply *reply, struct command **ret)
{
	struct command *command;

	command = calloc(1, sizeof(*command));
	if (!command)
		return -ENOMEM;

	/* Held open by the caller until it has asked everybody. */
	command->reply = reply;
	command->n_open = 1;
	*ret = command;
	return 0;
}

void command_close(struct command *command)
{
	if (--command->n_open > 0)
		return;

	bus_reply_finish(command->reply);
	free(command);
}

void command_take_outcome(struct command *command, const struct guard *guard,
			  const struct outcome *outcome)
{
	(void)bus_reply_outcome(command->reply, &guard->group, outcome);
	command_close(command);
}

/* Of several that were named: the others are not to hide it. */
static void tell_running(struct command *command, const struct guard *guard)
{
	const struct reading *reading = &guard->group.reading;
	const uint64_t now_usec = manager_now(guard->manager);
	const struct outcome outcome = {
		.round = guard->round->outcome.round,
		.group_id = guard->group.id,
		.kind = OUTCOME_NOTHING,
		.trigger = REASON_COMMAND,
		.reason = REASON_BUSY,
		.realtime_usec = manager_realtime(guard->manager),
		.begin_usec = now_usec,
		.end_usec = now_usec,
		.limit_bytes = reading->limit_bytes,
		.usage_before_bytes = reading->usage_bytes,
		.usage_after_bytes = reading->usage_bytes,
	};

	(void)bus_reply_outcome(command->reply, &guard->group, &outcome);
}

static int on_trim(const char *what, enum method method, struct bus_reply *reply,
		   void *userdata)
{
	struct manager *manager = userdata;
	struct command *command;
	struct guard *guard;
	unsigned int n_found = 0, n_running = 0, n_begun = 0;
	int only = 0, r;

	(void)parse_pid(what, &only);
	membership_check_all(manager);
	LIST_FOREACH(guard, &manager->guards, in_manager)
		if (target_is_in(guard, what)) {
			n_found++;
			n_running += guard->round != NULL;
		}
	if (n_found == 0)
		return -ENOENT;
	if (n_running == n_found)
		return -EBUSY;

	r = command_new(reply, &command);
	if (r < 0)
		return r;

	command->method = method;
	LIST_FOREACH(guard, &manager->guards, in_manager) {
		if (!target_is_in(guard, what))
			continue;
		if (guard->round) {
			tell_running(command, guard);
			continue;
		}
		command->n_open++;
		if (round_begin(guard, REASON_COMMAND, (pid_t)only, command) < 0)
			command->n_open--;
		else
			n_begun++;
	}

	if (n_begun == 0) {
		free(command);
		return -ENOMEM;
	}

	command_close(command);
	return 0;
}

static int on_show(const char *what, struct bus_reply *reply, void *userdata)
{
	struct manager *manager = userdata;
	struct command *command;
	struct guard *guard;
	struct peer *peer;
	unsigned int n = 0;
	int r;

	r = command_new(reply, &command);
	if (r < 0)
		return r;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		SLIST_FOREACH(peer, &guard->peers, in_guard)
			if (target_is_peer(peer, what) && n++ < BUS_SHOW_MAX)
				inquiry_begin(peer, command);

	if (n == 0) {
		free(command);
		return -ENOENT;
	}

	command_close(command);
	return 0;
}

static int on_tune(const char *what, enum wire_knob knob, uint64_t value, struct bus_reply *reply,
		   void *userdata)
{
	struct manager *manager = userdata;
	struct command *command;
	struct guard *guard;
	struct peer *peer;
	unsigned int n = 0;
	int r;

	r = command_new(reply, &command);
	if (r < 0)
		return r;

	command->knob = knob;
	command->value = value;
	membership_check_all(manager);
	LIST_FOREACH(guard, &manager->guards, in_manager)
		SLIST_FOREACH(peer, &guard->peers, in_guard)
			if (target_is_peer(peer, what)) {
				n++;
				inquiry_begin(peer, command);
			}

	if (n == 0) {
		free(command);
		return -ENOENT;
	}

	command_close(command);
	return 0;
}

static int on_record(const char *what, bool last, char **ret, void *userdata)
{
	struct manager *manager = userdata;
	struct guard *guard, *found = NULL;

	membership_check_all(manager);
	LIST_FOREACH(guard, &manager->guards, in_manager) {
		if (!target_is_in(guard, what))
			continue;
		if (found)
			return -ENOTUNIQ;
		found = guard;
	}

	if (!found)
		return -ENOENT;

	return last ? recorder_last(found, ret) : recorder_now(found, ret);
}

static int on_reload(char *text, size_t size, void *userdata)
{
	return manager_reload(userdata, text, size);
}

static bool is_contained(pid_t pid, void *userdata)
{
	(void)userdata;
	return survey_is_contained(pid) != 0;
}

const struct bus_handler command_handler = {
	.is_contained = is_contained,
	.facts = on_facts,
	.each_group = on_each_group,
	.each_member = on_each_member,
	.each_option = on_each_option,
	.each_past = on_each_past,
	.refresh = explain_refresh,
	.diagnose = explain_diagnose,
	.plan = explain_plan,
	.steps = explain_steps,
	.pressures = explain_pressures,
	.clash = explain_clash,
	.show = on_show,
	.trim = on_trim,
	.tune = on_tune,
	.record = on_record,
	.reload = on_reload,
};
