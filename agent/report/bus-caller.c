/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/bus-caller.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/basic/macro.h"
#include "agent/report/bus-reply.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_ALLOW_INTERACTION 1U

/* Callers whose user the bus is being asked for: it answers at once, or has stopped. */
#define UNKNOWN_MAX 32
#define UNKNOWN_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* Callers for whom polkit is being asked: it may be asking a human. */
#define PENDING_MAX 16
#define PENDING_PER_UID_MAX 4
#define POLKIT_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define POLKIT_HUMAN_TIMEOUT_USEC (120 * USEC_PER_SEC)

/* A caller on the system bus, until it is known who it is and what he may. */
struct question {
	LIST_ENTRY(question) list;
	struct bus *bus;
	sd_bus_message *call;
	sd_bus_slot *slot;
	const char *action;
	bus_caller_run_t run;
	bool is_known; /* uid is; polkit is being asked */
	uid_t uid;
};

static struct question *question_free(struct question *question)
{
	LIST_REMOVE(question, list);
	sd_bus_slot_unref(question->slot);
	sd_bus_message_unref(question->call);
	free(question);
	return NULL;
}

static void deny(sd_bus_message *call)
{
	bus_reply_error(call, -EACCES, "Only root may do this");
}

static void deny_user(sd_bus_message *call, uid_t uid)
{
	if (uid == BUS_PRIVATE_NOBODY)
		bus_reply_error(call, -EACCES, "Only root outside of this container may do this");
	else
		deny(call);
}

/* (bba{ss}): it may; it may once somebody has proved who he is. */
static void take_verdict(struct question *question, sd_bus_message *answer)
{
	int may = 0, may_after_proof = 0, r;

	/* No polkit, or one that does not know our actions: its rules are root's alone. */
	if (sd_bus_message_get_error(answer)) {
		deny(question->call);
		return;
	}

	r = sd_bus_message_enter_container(answer, 'r', "bba{ss}");
	if (r >= 0)
		r = sd_bus_message_read_basic(answer, 'b', &may);
	if (r >= 0)
		r = sd_bus_message_read_basic(answer, 'b', &may_after_proof);

	if (r >= 0 && may)
		question->run(question->bus, question->call, question->uid);
	else if (r >= 0 && may_after_proof)
		(void)sd_bus_reply_method_errorf(
			question->call, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
			"polkit wants a proof of who you are");
	else
		deny(question->call);
}

static int on_verdict(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
	struct question *question = userdata;

	(void)ret_error;
	take_verdict(question, answer);
	question_free(question);
	return 0;
}

static int ask_polkit(struct question *question)
{
	const bool human =
		sd_bus_message_get_allow_interactive_authorization(question->call) > 0;
	const uint32_t flags = human ? POLKIT_ALLOW_INTERACTION : 0;
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_method_call(sd_bus_message_get_bus(question->call),
					   &message, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE, "CheckAuthorization");
	if (r >= 0)
		r = sd_bus_message_append(message, "(sa{sv})sa{ss}us", "system-bus-name",
					  1, "name", "s",
					  sd_bus_message_get_sender(question->call),
					  question->action, 0, flags, "");
	if (r >= 0)
		r = sd_bus_call_async(
			sd_bus_message_get_bus(question->call), &question->slot, message,
			on_verdict, question,
			human ? POLKIT_HUMAN_TIMEOUT_USEC : POLKIT_TIMEOUT_USEC);

	sd_bus_message_unref(message);
	return r;
}

/* Nobody may take all the room by leaving a human's question unanswered. */
static bool has_room(const struct bus *bus, bool is_known, uid_t uid)
{
	const struct question *question;
	size_t n = 0, n_same = 0;

	LIST_FOREACH(question, &bus->questions, list)
	{
		n += question->is_known == is_known;
		n_same += question->is_known && question->uid == uid;
	}

	return is_known ? n < PENDING_MAX && n_same < PENDING_PER_UID_MAX
			: n < UNKNOWN_MAX;
}

/* True when the question is over. */
static bool take_uid(struct question *question, uid_t uid)
{
	int r;

	if (!question->action || bus_private_is_privileged(uid)) {
		question->run(question->bus, question->call, uid);
		return true;
	}

	if (streq(question->action, ACTION_ROOT)) {
		deny(question->call);
		return true;
	}

	if (!has_room(question->bus, true, uid)) {
		bus_reply_failure(question->call, -ENOBUFS);
		return true;
	}

	question->is_known = true;
	question->uid = uid;
	/* The one that was just answered. */
	question->slot = sd_bus_slot_unref(question->slot);
	r = ask_polkit(question);
	if (r < 0)
		bus_reply_failure(question->call, r);

	return r < 0;
}

static int on_uid(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
	struct question *question = userdata;
	bool over = true;
	uint32_t uid;

	(void)ret_error;
	if (sd_bus_message_get_error(answer) ||
	    sd_bus_message_read_basic(answer, 'u', &uid) < 0)
		bus_reply_error(question->call, -EACCES,
				"The system bus does not say who you are");
	else
		over = take_uid(question, (uid_t)uid);

	if (over)
		question_free(question);
	return 0;
}

/* sd_bus_query_sender_creds() would wait for the bus. */
static int ask_uid(struct question *question)
{
	sd_bus *connection = sd_bus_message_get_bus(question->call);
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_method_call(
		connection, &message, "org.freedesktop.DBus", "/org/freedesktop/DBus",
		"org.freedesktop.DBus", "GetConnectionUnixUser");
	if (r >= 0)
		r = sd_bus_message_append_basic(
			message, 's', sd_bus_message_get_sender(question->call));
	if (r >= 0)
		r = sd_bus_call_async(connection, &question->slot, message, on_uid,
				      question, UNKNOWN_TIMEOUT_USEC);

	sd_bus_message_unref(message);
	return r;
}

static int question_new(struct bus *bus, sd_bus_message *call, const char *action,
			bus_caller_run_t run)
{
	struct question *question;
	int r;

	if (!has_room(bus, false, 0))
		return -ENOBUFS;

	question = calloc(1, sizeof(*question));
	if (!question)
		return -ENOMEM;

	question->bus = bus;
	question->call = sd_bus_message_ref(call);
	question->action = action;
	question->run = run;
	LIST_INSERT_HEAD(&bus->questions, question, list);

	r = ask_uid(question);
	if (r < 0)
		question_free(question);

	return r;
}

void bus_caller_check(struct bus *bus, sd_bus_message *call, const char *action,
		      bus_caller_run_t run)
{
	uid_t uid;
	int r;

	if (bus_private_uid(bus->private, sd_bus_message_get_bus(call), &uid) < 0) {
		r = question_new(bus, call, action, run);
		if (r < 0)
			bus_reply_failure(call, r);
	} else if (action && !bus_private_is_privileged(uid)) {
		deny_user(call, uid);
	} else {
		run(bus, call, uid);
	}
}

void bus_caller_forget(struct bus *bus)
{
	struct question *question;

	while ((question = LIST_FIRST(&bus->questions)))
		question_free(question);
}
