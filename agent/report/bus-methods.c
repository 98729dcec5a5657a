/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/bus-methods.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "agent/basic/macro.h"
#include "agent/report/bus-caller.h"
#include "agent/report/bus-explain.h"
#include "agent/report/bus-reply.h"
#include "agent/report/rows.h"

/* Longer than any path: it would be compared with every name there is. */
#define WHAT_MAX 4096

static int read_what(sd_bus_message *call, const char **ret)
{
	int r;

	r = sd_bus_message_read_basic(call, 's', ret);
	return r >= 0 && strlen(*ret) >= WHAT_MAX ? -ENAMETOOLONG : r;
}

/* Of what asks or changes processes: "" is somebody's unset variable, and not all of the machine. */
static int read_name(sd_bus_message *call, const char **ret)
{
	int r;

	r = read_what(call, ret);
	return r >= 0 && (*ret)[0] == '\0' ? -EDESTADDRREQ : r;
}

static int run_get_status(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	struct daemon_facts facts;
	struct bus_reply *reply;
	int r;

	r = bus_reply_new(bus, call, uid, false, &reply);
	if (r < 0)
		return r;

	bus->handler->facts(&facts, bus->userdata);
	rows_facts(&reply->dict, &facts);
	bus_reply_finish(reply);
	return 0;
}

typedef void (*group_row_t)(struct dict *dict, const struct group *group,
			    const struct diagnosis *diagnosis, uint64_t now_usec);

struct groups {
	struct bus_reply *reply;
	group_row_t row;
	const struct group *last;
};

static int add_group(const struct group *group, void *userdata)
{
	struct groups *groups = userdata;
	const struct bus *bus = groups->reply->bus;
	struct dict *dict = &groups->reply->dict;
	struct diagnosis diagnosis;

	bus->handler->diagnose(group, NULL, &diagnosis, bus->userdata);
	dict_open(dict);
	groups->row(dict, group, &diagnosis, bus_now(bus));
	if (groups->row == rows_explain && bus->handler->plan)
		bus_explain(bus, group, dict);
	dict_close(dict);
	return dict->error;
}

/* The caller's own groups, by its members; those of one group come together. */
static int add_group_of(const struct group *group, const struct member *member,
			void *userdata)
{
	struct groups *groups = userdata;

	if (group == groups->last ||
	    !bus_reply_may_see(groups->reply, member->process.uid))
		return 0;

	groups->last = group;
	return add_group(group, groups);
}

static int list_groups(struct bus *bus, sd_bus_message *call, uid_t uid, group_row_t row)
{
	struct groups groups = { .row = row };
	const char *what;
	int r;

	r = read_what(call, &what);
	if (r < 0)
		return r;

	r = bus_reply_new(bus, call, uid, true, &groups.reply);
	if (r < 0)
		return r;

	if (row == rows_explain)
		bus->handler->refresh(what, bus_private_is_privileged(uid) ? NULL : &uid,
				      bus->userdata);
	if (bus_private_is_privileged(uid)) {
		r = bus->handler->each_group(what, add_group, &groups, bus->userdata);
	} else {
		r = bus->handler->each_member(what, add_group_of, &groups, bus->userdata);
		/* Named, there, and somebody else's: the same as not there. */
		if (r >= 0 && what[0] != '\0' && !groups.last)
			r = -ENOENT;
	}

	if (r < 0) {
		bus_reply_free(groups.reply);
		return r;
	}

	bus_reply_finish(groups.reply);
	return 0;
}

static int run_list_groups(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	return list_groups(bus, call, uid, rows_group);
}

static int run_explain(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	return list_groups(bus, call, uid, rows_explain);
}

struct members {
	struct bus_reply *reply;
	size_t n;
};

static int add_member(const struct group *group, const struct member *member,
		      void *userdata)
{
	struct members *members = userdata;
	const struct bus *bus = members->reply->bus;
	struct dict *dict = &members->reply->dict;
	struct diagnosis diagnosis;

	if (!bus_reply_may_see(members->reply, member->process.uid))
		return 0;

	members->n++;
	bus->handler->diagnose(group, member, &diagnosis, bus->userdata);
	dict_open(dict);
	rows_member(dict, group, member, &diagnosis, bus_now(bus));
	dict_close(dict);
	return dict->error;
}

static int run_list_members(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	struct members members = { 0 };
	const char *what;
	int r;

	r = read_what(call, &what);
	if (r < 0)
		return r;

	r = bus_reply_new(bus, call, uid, true, &members.reply);
	if (r < 0)
		return r;

	r = bus->handler->each_member(what, add_member, &members, bus->userdata);
	if (r >= 0 && members.n == 0 && what[0] != '\0' &&
	    !bus_private_is_privileged(uid))
		r = -ENOENT;
	if (r < 0) {
		bus_reply_free(members.reply);
		return r;
	}

	bus_reply_finish(members.reply);
	return 0;
}

static int refuse_foreign(const struct group *group, const struct member *member,
			  void *userdata)
{
	const uid_t *uid = userdata;

	(void)group;
	return member->process.uid == *uid ? 0 : -EACCES;
}

/* Fresh figures cost the process a stall: only its owner may cause one. */
static int run_show(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	struct bus_reply *reply;
	const char *what;
	int r;

	r = read_name(call, &what);
	if (r < 0)
		return r;

	if (!bus_private_is_privileged(uid)) {
		r = bus->handler->each_member(what, refuse_foreign, &uid, bus->userdata);
		if (r < 0)
			return r;
	}

	r = bus_reply_new(bus, call, uid, true, &reply);
	if (r < 0)
		return r;

	r = bus->handler->show(what, reply, bus->userdata);
	if (r < 0)
		bus_reply_free(reply);

	return r;
}

static int trim(struct bus *bus, sd_bus_message *call, uid_t uid, const char *what,
		enum method method)
{
	struct bus_reply *reply;
	int r;

	r = bus_reply_new(bus, call, uid, true, &reply);
	if (r < 0)
		return r;

	r = bus->handler->trim(what, method, reply, bus->userdata);
	if (r < 0)
		bus_reply_free(reply);

	return r;
}

static int run_trim(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	const char *what;
	int r;

	r = read_name(call, &what);
	return r < 0 ? r : trim(bus, call, uid, what, METHOD_AUTO);
}

/* One entry of a{sv}. What is not known is refused: it may have been meant to be gentle. */
static int read_trim_option(sd_bus_message *call, enum method *method)
{
	const char *key, *value;
	int r;

	r = sd_bus_message_read_basic(call, 's', &key);
	if (r < 0)
		return r;
	if (!streq(key, "method"))
		return -EINVAL;

	r = sd_bus_message_enter_container(call, 'v', "s");
	if (r >= 0)
		r = sd_bus_message_read_basic(call, 's', &value);
	if (r >= 0)
		r = sd_bus_message_exit_container(call);
	if (r < 0)
		return -EINVAL;

	return method_from_string(value, method);
}

static int read_trim_options(sd_bus_message *call, enum method *method)
{
	int r;

	r = sd_bus_message_enter_container(call, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(call, 'e', "sv")) > 0) {
		r = read_trim_option(call, method);
		if (r >= 0)
			r = sd_bus_message_exit_container(call);
	}

	return r >= 0 ? sd_bus_message_exit_container(call) : r;
}

static int run_trim_with(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	enum method method = METHOD_AUTO;
	const char *what;
	int r;

	r = read_name(call, &what);
	if (r >= 0)
		r = read_trim_options(call, &method);

	return r < 0 ? r : trim(bus, call, uid, what, method);
}

/* "ArenaMax" as in memguard.conf and "arena_max" as in the environment. */
static int knob_from_string(const char *name, enum wire_knob *ret)
{
	static const struct {
		const char *key, *variable;
		enum wire_knob knob;
	} names[] = {
		{ "ArenaMax", "arena_max", WIRE_KNOB_ARENA_MAX },
		{ "MmapThreshold", "mmap_threshold", WIRE_KNOB_MMAP_THRESHOLD },
		{ "TrimThreshold", "trim_threshold", WIRE_KNOB_TRIM_THRESHOLD },
		{ "TopPad", "top_pad", WIRE_KNOB_TOP_PAD },
		{ "DecaySec", "decay", WIRE_KNOB_DECAY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(name, names[i].key) == 0 ||
		    strcasecmp(name, names[i].variable) == 0) {
			*ret = names[i].knob;
			return 0;
		}

	return -EINVAL;
}

static int run_tune(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	const char *what, *name;
	struct bus_reply *reply;
	enum wire_knob knob;
	uint64_t value;
	int r;

	r = read_name(call, &what);
	if (r >= 0)
		r = sd_bus_message_read_basic(call, 's', &name);
	if (r >= 0)
		r = sd_bus_message_read_basic(call, 't', &value);
	if (r >= 0)
		r = knob_from_string(name, &knob);
	/* For glibc no cap at all, which no program that runs comes back to. */
	if (r >= 0 && knob == WIRE_KNOB_ARENA_MAX && value == 0)
		r = -EDOM;
	if (r < 0)
		return r;

	r = bus_reply_new(bus, call, uid, true, &reply);
	if (r < 0)
		return r;

	r = bus->handler->tune(what, knob, value, reply, bus->userdata);
	if (r < 0)
		bus_reply_free(reply);

	return r;
}

static int add_option(const struct bus_item *item, void *userdata)
{
	struct dict *dict = &((struct bus_reply *)userdata)->dict;

	dict_open(dict);
	rows_option(dict, item);
	dict_close(dict);
	return dict->error;
}

static int run_get_config(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	struct bus_reply *reply;
	int r;

	r = bus_reply_new(bus, call, uid, true, &reply);
	if (r < 0)
		return r;

	r = bus->handler->each_option(add_option, reply, bus->userdata);
	if (r < 0) {
		bus_reply_free(reply);
		return r;
	}

	bus_reply_finish(reply);
	return 0;
}

static void add_lines(struct dict *dict, char *text)
{
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n")) && rest;) {
		dict_open(dict);
		dict_string(dict, "line", line);
		dict_close(dict);
	}
}

static int record(struct bus *bus, sd_bus_message *call, uid_t uid, bool last)
{
	struct bus_reply *reply;
	char *text = NULL;
	const char *what;
	int r;

	r = read_name(call, &what);
	if (r < 0)
		return r;

	r = bus_reply_new(bus, call, uid, true, &reply);
	if (r < 0)
		return r;

	r = bus->handler->record(what, last, &text, bus->userdata);
	if (r < 0) {
		bus_reply_free(reply);
		return r;
	}

	add_lines(&reply->dict, text);
	free(text);
	bus_reply_finish(reply);
	return 0;
}

static int run_record(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	return record(bus, call, uid, false);
}

static int run_record_last(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	return record(bus, call, uid, true);
}

static int run_reload(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	static char text[4096];
	int r;

	(void)uid;
	text[0] = '\0';
	r = bus->handler->reload(text, sizeof(text), bus->userdata);
	if (r < 0) {
		bus_reply_mistakes(call, text);
		return 0;
	}

	return sd_bus_reply_method_return(call, NULL);
}

struct pasts {
	struct bus_reply *reply;
	uid_t uid;
	uint64_t group_id;
	bool is_own;
};

static int find_own_group(const struct group *group, const struct member *member,
			  void *userdata)
{
	struct pasts *pasts = userdata;

	if (group->id == pasts->group_id && member->process.uid == pasts->uid)
		pasts->is_own = true;

	return 0;
}

/* Others see what was of the groups that their processes are in now, as with ListGroups. */
static int add_past(const struct past *past, void *userdata)
{
	struct pasts *pasts = userdata;
	const struct bus *bus = pasts->reply->bus;
	struct dict *dict = &pasts->reply->dict;

	pasts->group_id = past->group_id;
	pasts->is_own = bus_private_is_privileged(pasts->uid);
	if (!pasts->is_own)
		(void)bus->handler->each_member("", find_own_group, pasts, bus->userdata);
	if (!pasts->is_own)
		return 0;

	dict_open(dict);
	rows_past(dict, past);
	dict_close(dict);
	return dict->error;
}

static int find_own(const struct group *group, const struct member *member, void *userdata)
{
	struct pasts *pasts = userdata;

	(void)group;
	pasts->is_own = pasts->is_own || member->process.uid == pasts->uid;
	return 0;
}

/* Named, there or once there, and somebody else's: the same as never there. */
static bool may_name(struct bus *bus, uid_t uid, const char *what)
{
	struct pasts pasts = { .uid = uid };

	if (what[0] == '\0' || bus_private_is_privileged(uid))
		return true;

	return bus->handler->each_member(what, find_own, &pasts, bus->userdata) >= 0 &&
	       pasts.is_own;
}

static int run_list_rounds(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	struct pasts pasts = { .uid = uid };
	const char *what;
	int r;

	r = read_what(call, &what);
	if (r < 0)
		return r;

	if (!may_name(bus, uid, what))
		return -ENOENT;

	r = bus_reply_new(bus, call, uid, true, &pasts.reply);
	if (r < 0)
		return r;

	r = bus->handler->each_past(what, add_past, &pasts, bus->userdata);
	if (r < 0) {
		bus_reply_free(pasts.reply);
		return r;
	}

	bus_reply_finish(pasts.reply);
	return 0;
}

/* What each method is, and what polkit calls it where it changes something. */
static const struct row {
	const char *name;
	int (*run)(struct bus *bus, sd_bus_message *call, uid_t uid);
	const char *action;
} methods[] = {
	{ "GetStatus", run_get_status, NULL },
	{ "ListGroups", run_list_groups, NULL },
	{ "ListMembers", run_list_members, NULL },
	{ "Show", run_show, NULL },
	{ "Explain", run_explain, NULL },
	{ "ListRounds", run_list_rounds, NULL },
	{ "GetConfig", run_get_config, NULL },
	{ "Trim", run_trim, ACTION_TRIM },
	{ "TrimWith", run_trim_with, ACTION_TRIM },
	{ "Tune", run_tune, ACTION_TUNE },
	/* They tell everything about all members: for administrators. */
	{ "Record", run_record, ACTION_RELOAD },
	{ "RecordLast", run_record_last, ACTION_RELOAD },
	{ "Reload", run_reload, ACTION_RELOAD },
};

static const struct row *method_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (name && streq(methods[i].name, name))
			return &methods[i];

	return NULL;
}

const char *bus_methods_action(const char *name)
{
	const struct row *method = method_find(name);

	return method ? method->action : NULL;
}

void bus_methods_run(struct bus *bus, sd_bus_message *call, uid_t uid)
{
	const struct row *method = method_find(sd_bus_message_get_member(call));
	int r;

	r = method ? method->run(bus, call, uid) : -EINVAL;
	if (r < 0)
		bus_reply_failure(call, r);
}
