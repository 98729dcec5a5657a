/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/warner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/owner.h"
#include "agent/core/closed.h"
#include "agent/core/guard.h"
#include "agent/core/history.h"

#define SOCKET_NAME "pressure"

/* As a kernel trigger with the window of the unprivileged. */
#define TELL_GAP_USEC (2 * USEC_PER_SEC)

/* The protocol has a program write one short threshold. */
#define INPUT_MAX 4096

struct hearer {
	LIST_ENTRY(hearer) in_guard;
	struct guard *guard;
	int fd;
	pid_t pid;
	uint64_t start_time; /* of the process, as there may be another of that pid later */
	uid_t uid;
	size_t n_input; /* bytes that it has written */
	sd_event_source *source;
};

static void hearer_join(struct hearer *hearer, struct guard *guard)
{
	struct history *history = history_note(guard);

	hearer->guard = guard;
	LIST_INSERT_HEAD(&history->hearers, hearer, in_guard);
	history->n_hearers++;
	guard->manager->n_hearers++;
	guard->empty_since_usec = 0;
	guard_look_soon(guard, 0);
}

static void hearer_leave(struct hearer *hearer)
{
	struct guard *guard = hearer->guard;

	LIST_REMOVE(hearer, in_guard);
	history_note(guard)->n_hearers--;
	guard->manager->n_hearers--;
	if (guard->group.n_members == 0 && history_of(guard)->n_hearers == 0 && !guard->has_leader)
		guard->empty_since_usec = manager_now(guard->manager);
}

static void hearer_free(struct hearer *hearer)
{
	hearer_leave(hearer);
	sd_event_source_disable_unref(hearer->source);
	(void)fd_close(hearer->fd);
	free(hearer);
}

/* What it writes is of no interest, only whether it is still there. */
static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct hearer *hearer = userdata;
	char input[256];
	ssize_t n;

	(void)source;
	(void)revents;

	n = recv(fd, input, sizeof(input), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0)
		hearer->n_input += (size_t)n;
	if (n <= 0 || hearer->n_input > INPUT_MAX)
		hearer_free(hearer);
	return 0;
}

static int check_quota(const struct manager *manager, uid_t uid)
{
	const struct guard *guard;
	const struct hearer *hearer;
	size_t n = 0;

	if (manager->n_hearers >= WARNER_MAX)
		return -EUSERS;
	if (uid == 0)
		return 0;

	LIST_FOREACH(guard, &manager->guards, in_manager)
		LIST_FOREACH(hearer, &history_of(guard)->hearers, in_guard)
			n += owner_of(hearer->uid) == owner_of(uid);

	return n >= WARNER_PER_UID_MAX ? -EDQUOT : 0;
}

/* Takes @fd on success. */
static int hearer_new(struct manager *manager, int fd, const struct ucred *ucred)
{
	struct process process;
	struct hearer *hearer;
	struct guard *guard;
	int r;

	/* Of a pid namespace that is not below ours: nobody can say which group it is in. */
	if (ucred->pid <= 0)
		return -EREMOTE;

	r = check_quota(manager, ucred->uid);
	if (r >= 0)
		r = guard_for_pid(manager, ucred->pid, &guard);
	if (r >= 0)
		r = survey_process(manager->survey, ucred->pid, &process);
	/* All of that may be of somebody else who has its number. */
	if (r >= 0 && fd_peer_has_ended(fd) > 0)
		r = -ESRCH;
	if (r < 0)
		return r;

	hearer = calloc(1, sizeof(*hearer));
	if (!hearer)
		return -ENOMEM;

	r = sd_event_add_io(manager->event, &hearer->source, fd, EPOLLIN, on_input, hearer);
	if (r < 0) {
		free(hearer);
		return r;
	}

	(void)sd_event_source_set_description(hearer->source, "pressure-hearer");
	hearer->fd = fd;
	hearer->pid = ucred->pid;
	hearer->start_time = process.start_time;
	hearer->uid = ucred->uid;
	hearer_join(hearer, guard);
	log_debug("Process %d wants to hear of memory pressure in \"%s\"", (int)ucred->pid,
		  guard->group.path);
	return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	_cleanup_(fd_closep) int connection = -1;
	struct ucred ucred;
	socklen_t size = sizeof(ucred);
	int r;

	(void)source;
	(void)revents;

	connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection < 0 || getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &ucred, &size) < 0)
		return 0;

	r = hearer_new(userdata, connection, &ucred);
	if (r < 0)
		closed_hearer(userdata, r, ucred.uid);
	else
		connection = -1;
	return 0;
}

static int make_socket(const char *runtime_directory)
{
	_cleanup_(fd_closep) int fd = -1;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n;

	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" SOCKET_NAME,
		     runtime_directory);
	if (n >= (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;

	/* The directory is locked by the listener: this one is stale. */
	(void)unlink(address.sun_path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, 0666) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;

	return TAKE_FD(fd);
}

void warner_open(struct manager *manager, int activated_fd)
{
	int r = activated_fd;

	if (activated_fd < 0) {
		r = make_socket(manager->runtime_directory);
		manager->warner_made = r >= 0;
	}

	manager->warner_fd = r;
	if (r >= 0)
		r = sd_event_add_io(manager->event, &manager->warner_source, manager->warner_fd,
				    EPOLLIN, on_connection, manager);
	if (r < 0) {
		log_debug("Cannot offer %s/" SOCKET_NAME ": %s; programs do not hear of pressure",
			  manager->runtime_directory, strerror(-r));
		warner_close(manager);
		return;
	}

	/* Whoever connects and leaves in a loop waits. */
	(void)sd_event_source_set_ratelimit(manager->warner_source, USEC_PER_SEC, 256);
	(void)sd_event_source_set_description(manager->warner_source, "pressure-socket");
}

void warner_close(struct manager *manager)
{
	struct sockaddr_un address;
	int n;

	manager->warner_source = sd_event_source_disable_unref(manager->warner_source);
	manager->warner_fd = fd_close(manager->warner_fd);
	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" SOCKET_NAME,
		     manager->runtime_directory ? manager->runtime_directory : "");
	if (manager->warner_made && n < (int)sizeof(address.sun_path))
		(void)unlink(address.sun_path);
	manager->warner_made = false;
}

static bool is_short(const struct group *group)
{
	switch (group->gate.state) {
	case GATE_PRESSED:
	case GATE_HIGH:
	case GATE_CRITICAL:
		return true;
	case GATE_CALM:
	case GATE_RETAINING:
	case GATE_SETTLING:
		break;
	}

	return false;
}

void warner_tell(struct guard *guard, uint64_t now_usec)
{
	const struct history *history = history_of(guard);
	struct hearer *hearer;

	if (history->n_hearers == 0 || !is_short(&guard->group) ||
	    (history->warned_usec != 0 && now_usec - history->warned_usec < TELL_GAP_USEC))
		return;

	history_note(guard)->warned_usec = now_usec;
	log_debug("Telling %zu programs that \"%s\" is %s", history->n_hearers, guard->group.path,
		  gate_state_to_string(guard->group.gate.state));
	/* Who does not read has been told already; who is gone is noticed by its own event. */
	LIST_FOREACH(hearer, &history_of(guard)->hearers, in_guard)
		(void)!send(hearer->fd, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_same(const struct hearer *hearer)
{
	const struct manager *manager = hearer->guard->manager;
	struct process process;

	return survey_process(manager->survey, hearer->pid, &process) >= 0 &&
	       process.start_time == hearer->start_time;
}

void warner_check(struct guard *guard)
{
	struct manager *manager = guard->manager;
	struct hearer *hearer, *next;
	struct guard *to;
	uint64_t id;

	if (!manager->has_cgroup || manager->command_guard)
		return;

	for (hearer = LIST_FIRST(&history_of(guard)->hearers); hearer; hearer = next) {
		next = LIST_NEXT(hearer, in_guard);
		if (cgroup_id_of_pid(&manager->cgroup_root, hearer->pid, &id) < 0 ||
		    id == guard->group.id || guard_for_pid(manager, hearer->pid, &to) < 0 ||
		    to == guard)
			continue;
		/* Somebody else's group is not for whoever was left the connection. */
		if (!is_same(hearer)) {
			hearer_free(hearer);
			continue;
		}
		hearer_leave(hearer);
		hearer_join(hearer, to);
	}
}

void warner_forget(struct guard *guard)
{
	struct hearer *hearer;

	while ((hearer = LIST_FIRST(&history_of(guard)->hearers)))
		hearer_free(hearer);
}
