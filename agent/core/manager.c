/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/core/closed.h"
#include "agent/core/command.h"
#include "agent/core/guard.h"
#include "agent/core/inquiry.h"
#include "agent/core/kernel-reclaim.h"
#include "agent/core/limits.h"
#include "agent/core/machine.h"
#include "agent/core/notify.h"
#include "agent/core/pace.h"
#include "agent/core/patience.h"
#include "agent/core/peer.h"
#include "agent/core/round.h"
#include "agent/core/state.h"
#include "agent/core/warner.h"
#include "agent/core/watch.h"
#include "agent/report/journal.h"

/* Nobody reads `systemctl status` more often. */
#define STATUS_GAP_USEC (1 * USEC_PER_SEC)

uint64_t manager_now(const struct manager *manager)
{
	uint64_t usec = 0;

	(void)sd_event_now(manager->event, CLOCK_MONOTONIC, &usec);
	return usec;
}

uint64_t manager_realtime(const struct manager *manager)
{
	uint64_t usec = 0;

	(void)sd_event_now(manager->event, CLOCK_REALTIME, &usec);
	return usec;
}

uint64_t manager_boottime(const struct manager *manager)
{
	uint64_t usec = 0;

	(void)sd_event_now(manager->event, CLOCK_BOOTTIME, &usec);
	return usec;
}

/* Before that, and for a `run` under somebody else's unit, READY is not ours to say. */
static bool is_told(const struct manager *manager)
{
	return manager->options.notify && manager->ready;
}

static void send_status(struct manager *manager)
{
	char released[FORMAT_MAX], text[160];

	manager->notify_usec = manager_now(manager);
	snprintf(text, sizeof(text), "STATUS=Guarding %zu processes in %zu groups; released %s so far",
		 manager->n_peers, manager->n_guards,
		 format_bytes(released, manager->ledger.released_bytes));
	notify_send(text);
}

static int on_status_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	send_status(userdata);
	return 0;
}

/* The last of many changes is told too, a little later. */
void manager_notify_status(struct manager *manager)
{
	const uint64_t due_usec = manager->notify_usec + STATUS_GAP_USEC;

	bus_changed(manager->bus);
	if (!is_told(manager))
		return;

	if (manager_now(manager) >= due_usec) {
		send_status(manager);
		return;
	}

	(void)sd_event_source_set_time(manager->status_source, due_usec);
	(void)sd_event_source_set_enabled(manager->status_source, SD_EVENT_ONESHOT);
}

static int make_status_source(struct manager *manager)
{
	int r;

	r = sd_event_add_time(manager->event, &manager->status_source, CLOCK_MONOTONIC, 0, 0,
			      on_status_due, manager);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(manager->status_source, "status");
	return sd_event_source_set_enabled(manager->status_source, SD_EVENT_OFF);
}

static struct peer *peer_of(struct manager *manager, const struct conn *conn)
{
	struct guard *guard;
	struct peer *peer;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		SLIST_FOREACH(peer, &guard->peers, in_guard)
			if (peer->conn == conn)
				return peer;

	return NULL;
}

static int on_hello(struct conn *conn, const struct wire_hello *hello, void *userdata)
{
	struct manager *manager = userdata;
	struct peer *peer;
	int r;

	r = peer_new(manager, conn, hello, &peer);
	if (r < 0)
		return r;

	manager_notify_status(manager);
	return 0;
}

static void on_end(struct conn *conn, enum conn_end end, void *userdata)
{
	struct manager *manager = userdata;
	struct peer *peer = peer_of(manager, conn);

	if (end != CONN_HANGUP)
		closed_tell(manager, conn, end);

	listener_release(manager->listener, conn_uid(conn));
	if (peer) {
		peer->conn = NULL;
		peer_free(peer);
	}
	manager_notify_status(manager);
}

static void on_stillborn(struct conn *conn, enum conn_end end, void *userdata)
{
	struct manager *manager = userdata;

	/* As from a hook that was installed before the daemon: nothing else tells why. */
	if (end == CONN_PROTOCOL)
		closed_tell(manager, conn, end);
	else
		log_debug("Process %d connected but is no member: %s", (int)conn_pid(conn),
			  conn_end_to_string(end));
	listener_release(manager->listener, conn_uid(conn));
}

static void on_accept(int fd, pid_t pid, uid_t uid, void *userdata)
{
	struct manager *manager = userdata;
	struct conn *conn;
	int r;

	r = conn_new(manager->event, fd, pid, uid, &manager->conn_handler, &conn);
	if (r < 0) {
		log_warning("Cannot take the connection of process %d: %s; it stays unguarded",
			    (int)pid, strerror(-r));
		fd_close(fd);
		listener_release(manager->listener, uid);
	}
}

/* What is wrong with the files: the first one apart, and all of them for whoever asked. */
struct mistakes {
	char *text; /* a line each */
	size_t size;
	char first[512];
	char file[256];
	unsigned int line;
	unsigned int n;
	unsigned int n_left_out;
};

#define LEFT_OUT_MAX 64 /* room for "... and %u more" */

static void add_mistake(struct mistakes *mistakes, const char *where, const char *text)
{
	const size_t used = strlen(mistakes->text);
	const size_t n = strlen(where) + strlen(text) + strlen("\n: ");

	if (mistakes->n_left_out > 0 || used + n + LEFT_OUT_MAX > mistakes->size) {
		mistakes->n_left_out++;
		return;
	}

	snprintf(mistakes->text + used, mistakes->size - used, "%s%s: %s", used > 0 ? "\n" : "", where,
		 text);
}

/* Every finding goes to the log, the first one with the reload's entry, and to whoever asked. */
static void on_config_message(const char *file, unsigned int line, const char *text, void *userdata)
{
	struct mistakes *mistakes = userdata;
	char where[512];

	if (line > 0)
		snprintf(where, sizeof(where), "%s:%u", file, line);
	else
		snprintf(where, sizeof(where), "%s", file);

	add_mistake(mistakes, where, text);
	if (mistakes->n++ == 0) {
		/* What is wrong is to be seen, however long the path is. */
		snprintf(mistakes->first, sizeof(mistakes->first), "%.255s: %s", where, text);
		snprintf(mistakes->file, sizeof(mistakes->file), "%s", file);
		mistakes->line = line;
		return;
	}

	log_error("%s: %s", where, text);
}

/* The settings in force stay. */
static void refuse_config(struct manager *manager, struct mistakes *mistakes, int error)
{
	const size_t used = strlen(mistakes->text);

	if (mistakes->n == 0) {
		snprintf(mistakes->first, sizeof(mistakes->first), "Cannot read the configuration: %s",
			 strerror(-error));
		snprintf(mistakes->text, mistakes->size, "%s", mistakes->first);
	} else if (mistakes->n_left_out > 0) {
		snprintf(mistakes->text + used, mistakes->size - used, "%sand %u more, in the journal",
			 used > 0 ? "\n" : "", mistakes->n_left_out);
	}

	snprintf(manager->config_state, sizeof(manager->config_state), "%.255s", mistakes->first);
	bus_changed(manager->bus);
	journal_bad_config(&(struct journal_mistake){
		mistakes->first, mistakes->n > 0 ? mistakes->file : NULL, mistakes->line, mistakes->n });
}

static void notify_reloading(const struct manager *manager)
{
	if (is_told(manager))
		notify_send_reloading();
}

static void notify_reloaded(const struct manager *manager)
{
	if (is_told(manager))
		notify_send("READY=1");
}

static int needs_helper(const struct config_item *item, void *userdata)
{
	(void)userdata;
	return (streq(item->key, "Exec") && item->value[0] != '\0') ||
	       (streq(item->key, "MemoryReclaim") && !streq(item->value, "0"));
}

static void want_helper(struct manager *manager)
{
	exec_want(manager->exec, config_each(manager->config, needs_helper, NULL) != 0);
}

/* What could fail for a group, while its old settings are still there. */
static int prepare_config(const struct manager *manager, struct config *config)
{
	const struct group_settings *settings;
	const struct guard *guard;
	int r;

	LIST_FOREACH(guard, &manager->guards, in_manager) {
		r = guard_find_settings(guard, config, &settings);
		if (r < 0)
			return r;
	}

	return 0;
}

/* Everything that is as the configuration says. */
static void take_config(struct manager *manager)
{
	struct guard *guard;

	/* What it allocates, prepare_config() has. */
	LIST_FOREACH(guard, &manager->guards, in_manager)
		(void)guard_configure(guard);
	machine_arm(manager);
	want_helper(manager);
}

int manager_reload(struct manager *manager, char *text, size_t size)
{
	struct mistakes mistakes = { .text = text, .size = size };
	_cleanup_(config_freep) struct config *config = NULL, *old = NULL;
	int r;

	text[0] = '\0';
	notify_reloading(manager);
	r = config_load(manager->config_file, "", manager->options.user, on_config_message, &mistakes,
			&config);
	if (r >= 0)
		r = prepare_config(manager, config);
	if (r < 0) {
		refuse_config(manager, &mistakes, r);
		notify_reloaded(manager);
		return r;
	}

	if (mistakes.n > 0)
		log_warning("%s", mistakes.first);

	/* The old one goes at the end: until then groups have their settings of it. */
	old = manager->config;
	manager->config = TAKE_PTR(config);
	manager->reload_realtime_usec = manager_realtime(manager);
	manager->reload_boottime_usec = manager_boottime(manager);
	snprintf(manager->config_state, sizeof(manager->config_state), "ok");
	bus_changed(manager->bus);
	take_config(manager);

	if (!manager->options.quiet_journal)
		journal_reload(config_n_files(manager->config));
	notify_reloaded(manager);
	return 0;
}

/* At the start a bad file is fatal when it was named, and told but survived when not. */
static int load_config(struct manager *manager)
{
	char text[512];
	int r;

	r = config_defaults(&manager->config);
	if (r < 0)
		return r;

	snprintf(manager->config_state, sizeof(manager->config_state), "ok");
	r = manager_reload(manager, text, sizeof(text));
	if (r < 0 && manager->config_file)
		return r;
	if (r < 0) {
		take_config(manager);
		journal_defaults(manager->options.user);
	}

	return 0;
}

static int find_cgroups(struct manager *manager)
{
	int r;

	r = cgroup_root_open(manager->options.cgroup_root, &manager->cgroup_root);
	if (r >= 0) {
		manager->has_cgroup = true;
		return 0;
	}

	if (manager->options.cgroup_root) {
		log_error("Cannot use \"%s\" as the cgroup hierarchy: %s; name the directory where "
			  "the one with the memory controller is mounted, or leave --cgroup-root= out",
			  manager->options.cgroup_root, strerror(-r));
		return r;
	}

	manager->cgroup_root.fd = manager->cgroup_root.unified_fd = -1;
	log_warning("There is no memory controller here (%s): watching processes by their RSS",
		    strerror(-r));
	return 0;
}

static int open_doors(struct manager *manager)
{
	const struct manager_options *options = &manager->options;
	int r;

	r = listener_new(manager->event, options->hook_fd, manager->runtime_directory, on_accept,
			 manager, &manager->listener);
	if (r == -EADDRINUSE) {
		log_error("Another memguardd uses \"%s\": stop it first, or give this one another "
			  "--runtime-directory=", manager->runtime_directory);
		return r;
	}
	if (r < 0) {
		log_error("Cannot make %s/hook.sock: %s; check that the directory exists and may be "
			  "written, or give another --runtime-directory=",
			  manager->runtime_directory, strerror(-r));
		return r;
	}

	listener_set_refuse(manager->listener, closed_refused);
	r = bus_new(manager->event, options->bus_fd, manager->runtime_directory, options->system_bus,
		    &command_handler, manager, &manager->bus);
	if (r < 0)
		log_error("Cannot make %s/bus: %s", manager->runtime_directory, strerror(-r));

	return r;
}

static struct manager *manager_alloc(sd_event *event, const struct manager_options *options)
{
	_cleanup_(manager_freep) struct manager *manager = NULL;

	manager = calloc(1, sizeof(*manager));
	if (!manager)
		return NULL;

	manager->event = sd_event_ref(event);
	manager->options = *options;
	manager->conn_handler = (struct conn_handler){
		.on_hello = on_hello,
		.on_end = on_end,
		.on_stillborn = on_stillborn,
		.userdata = manager,
	};
	manager->cgroup_root.fd = manager->cgroup_root.unified_fd = -1;
	manager->machine_psi = (struct psi_trigger)PSI_TRIGGER_CLOSED;
	manager->pace.vmstat_fd = -1;
	manager->limits.fd = -1;
	manager->warner_fd = -1;
	manager->histories.record_bytes = sizeof(struct history);
	manager->lessons.record_bytes = sizeof(struct lessons);
	LIST_INIT(&manager->guards);
	LIST_INIT(&manager->rounds);
	manager->runtime_directory = strdup(options->runtime_directory);
	if (options->config_file)
		manager->config_file = strdup(options->config_file);
	if (!manager->runtime_directory || (options->config_file && !manager->config_file))
		return NULL;

	return TAKE_PTR(manager);
}

/* Nobody is being asked: what takes memory may be done. */
static bool is_calm(void *userdata)
{
	const struct manager *manager = userdata;

	return LIST_EMPTY(&manager->rounds);
}

static const struct exec_handler exec_handler = {
	.is_calm = is_calm,
	.on_reclaimed = kernel_reclaim_end,
};

int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret)
{
	_cleanup_(manager_freep) struct manager *manager = NULL;
	int r;

	manager = manager_alloc(event, options);
	if (!manager) {
		log_error("There is no memory to start with: stop something else first");
		return -ENOMEM;
	}

	manager->start_realtime_usec = manager_realtime(manager);
	manager->start_boottime_usec = manager_boottime(manager);
	r = bell_open(&manager->bell, event, watch_rings);
	if (r < 0) {
		log_error("Cannot wait for the kernel's events: %s", strerror(-r));
		return r;
	}

	r = exec_new(event, &exec_handler, manager, &manager->exec);
	if (r < 0) {
		log_error("Cannot make ready for Exec= and MemoryReclaim=: %s", strerror(-r));
		return r;
	}

	r = load_config(manager);
	if (r < 0)
		return r;

	r = find_cgroups(manager);
	if (r < 0)
		return r;

	r = survey_new(&manager->survey);
	if (r < 0) {
		log_error("Cannot read the process table: %s; is /proc mounted?", strerror(-r));
		return r;
	}

	limits_start(manager);
	r = pace_start(manager);
	if (r >= 0)
		r = patience_prepare(manager);
	if (r >= 0)
		r = inquiry_prepare(manager);
	if (r >= 0)
		r = make_status_source(manager);
	if (r < 0) {
		log_error("Cannot make the timers: %s", strerror(-r));
		return r;
	}

	r = open_doors(manager);
	if (r < 0)
		return r;

	warner_open(manager, options->pressure_fd);
	manager->ready = true;
	*ret = TAKE_PTR(manager);
	return 0;
}

struct manager *manager_free(struct manager *manager)
{
	struct guard *guard;

	if (!manager)
		return NULL;

	while ((guard = LIST_FIRST(&manager->guards)))
		guard_free(guard);

	machine_disarm(manager);
	warner_close(manager);

	/* The listener last: with it goes the lock on the directory that both are in. */
	bell_close(&manager->bell);
	pace_stop(manager);
	limits_stop(manager);
	manager->patience_source = sd_event_source_disable_unref(manager->patience_source);
	manager->inquiry_source = sd_event_source_disable_unref(manager->inquiry_source);
	manager->status_source = sd_event_source_disable_unref(manager->status_source);
	exec_free(manager->exec);
	bus_free(manager->bus);
	listener_free(manager->listener);
	survey_free(manager->survey);
	config_free(manager->config);
	if (manager->has_cgroup)
		cgroup_root_close(&manager->cgroup_root);
	sparse_close(&manager->histories);
	sparse_close(&manager->lessons);
	sd_event_unref(manager->event);
	free(manager->runtime_directory);
	free(manager->config_file);
	free(manager);
	return NULL;
}

void manager_freep(struct manager **manager)
{
	*manager = manager_free(*manager);
}

int manager_loop(struct manager *manager)
{
	return bell_loop(&manager->bell);
}

int manager_guard_command(struct manager *manager, const struct manager_command *command)
{
	manager->command = *command;
	return guard_for_command(manager, &manager->command_guard);
}

int manager_each_group(struct manager *manager,
		       int (*f)(const struct group *, const struct diagnosis *, void *), void *arg)
{
	struct diagnosis diagnosis;
	struct guard *guard;
	int r;

	LIST_FOREACH(guard, &manager->guards, in_manager) {
		guard_diagnose(guard, manager_now(manager), &diagnosis);
		r = f(&guard->group, &diagnosis, arg);
		if (r < 0)
			return r;
	}

	return 0;
}
