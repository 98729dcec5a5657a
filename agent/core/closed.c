/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/closed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/basic/log.h"
#include "agent/basic/owner.h"
#include "agent/core/warner.h"

/* Between two lines of one kind. */
#define CLOSED_GAP_USEC (60 * USEC_PER_SEC)

#define MORE_MAX 80

/* Somebody may be closing connections all the time: one line a minute says it. */
static bool may_tell(struct manager *manager, enum closed_kind kind, char ret_more[static MORE_MAX])
{
	struct closed *closed = &manager->closed[kind];
	const uint64_t now_usec = manager_now(manager);

	if (closed->told_usec != 0 && now_usec - closed->told_usec < CLOSED_GAP_USEC) {
		closed->n++;
		return false;
	}

	ret_more[0] = '\0';
	if (closed->n > 0)
		snprintf(ret_more, MORE_MAX, "; so were %" PRIu32 " more since the last such line",
			 closed->n);
	closed->told_usec = now_usec;
	closed->n = 0;
	return true;
}

void closed_tell(struct manager *manager, const struct conn *conn, enum conn_end end)
{
	char more[MORE_MAX];

	if (!may_tell(manager, CLOSED_PEER, more)) {
		log_debug("Closed the connection of process %d: %s", (int)conn_pid(conn),
			  conn_end_to_string(end));
		return;
	}

	log_warning("Closed the connection of process %d of user %u: %s; %s%s", (int)conn_pid(conn),
		    (unsigned int)conn_uid(conn), conn_end_to_string(end),
		    end == CONN_PROTOCOL ? "if its program is one to be guarded, restart it, so that "
					   "it takes the installed hook"
					 : "it is guarded again when it goes on",
		    more);
}

/* The daemon is in a container, and its socket is seen from outside. Whoever is outside tries again. */
static void tell_foreign(struct manager *manager, enum closed_kind kind, uid_t uid)
{
	const bool is_hearer = kind == CLOSED_FOREIGN_HEARER;
	const char *socket = is_hearer ? "pressure" : "hook.sock";
	char more[MORE_MAX];

	if (!may_tell(manager, kind, more)) {
		log_debug("Closed the connection to %s of a process outside of this pid namespace",
			  socket);
		return;
	}

	log_warning("Closed the connection to %s/%s of a process of user %u: it is outside of this "
		    "daemon's pid namespace, and %s; run memguardd where all processes are seen, as on "
		    "the host, or do not share this directory with what is outside%s",
		    manager->runtime_directory, socket, (unsigned int)uid,
		    is_hearer ? "does not hear of memory pressure" : "is not guarded", more);
}

static const char *others_of(uid_t uid)
{
	return owner_is_range(uid) ? " with the others of its range" : "";
}

void closed_refused(int error, pid_t pid, uid_t uid, void *userdata)
{
	struct manager *manager = userdata;
	char more[MORE_MAX];

	if (error == -EREMOTE)
		tell_foreign(manager, CLOSED_FOREIGN, uid);
	else if (!may_tell(manager, CLOSED_REFUSED, more))
		log_debug("Closed the connection of process %d: %s", (int)pid, strerror(-error));
	else if (error == -EDQUOT)
		log_notice("Closed the connection of process %d: user %u%s has %d already, and no more of "
			   "his programs are guarded%s", (int)pid, (unsigned int)uid, others_of(uid),
			   LISTENER_PER_UID_MAX, more);
	else if (error == -EUSERS)
		log_notice("Closed the connection of process %d of user %u: there are %d already, and no "
			   "more programs are guarded%s", (int)pid, (unsigned int)uid, LISTENER_MAX,
			   more);
	else
		log_notice("Closed the connection of process %d of user %u: %s; it tries again%s",
			   (int)pid, (unsigned int)uid, strerror(-error), more);
}

/* The numbers are fixed: each takes memory of ours, and any user may connect. */
static void tell_quota(struct manager *manager, int error, uid_t uid)
{
	static const char next[] = "it hears nothing; end others, or start it without "
				   "MEMORY_PRESSURE_WATCH= to hear of stalls by the kernel";
	char more[MORE_MAX];

	if (!may_tell(manager, CLOSED_HEARER, more))
		log_debug("Closed a connection to %s/pressure of user %u", manager->runtime_directory,
			  (unsigned int)uid);
	else if (error == -EDQUOT)
		log_notice("Closed a connection to %s/pressure: %d programs of user %u%s hear of memory "
			   "pressure, and no more may: %s%s", manager->runtime_directory,
			   WARNER_PER_UID_MAX, (unsigned int)uid, others_of(uid), next, more);
	else
		log_notice("Closed a connection to %s/pressure of user %u: %d programs hear of memory "
			   "pressure, and no more may: %s%s", manager->runtime_directory,
			   (unsigned int)uid, WARNER_MAX, next, more);
}

void closed_hearer(struct manager *manager, int error, uid_t uid)
{
	if (error == -EREMOTE)
		tell_foreign(manager, CLOSED_FOREIGN_HEARER, uid);
	else if (error == -EDQUOT || error == -EUSERS)
		tell_quota(manager, error, uid);
	else
		log_debug("Cannot take somebody who wants to hear of pressure: %s",
			  strerror(-error));
}
