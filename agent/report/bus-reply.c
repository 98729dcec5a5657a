/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/bus-reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/report/bus-names.h"
#include "agent/report/rows.h"

/* Answers under way for one client. */
#define REPLIES_MAX 8

/* An answer to an ordinary user, who may not read it: some 300 processes. */
#define OTHERS_BYTES_MAX ((size_t)MIB)

static const char *error_name(int error)
{
	switch (-error) {
	case ENOENT:
		return BUS_ERROR_NO_SUCH_TARGET;
	case EBUSY:
		return BUS_ERROR_BUSY;
	case EBADMSG:
		return BUS_ERROR_BAD_CONFIG;
	case EINVAL:
	case ENAMETOOLONG:
	case EDESTADDRREQ:
	case EDOM:
		return SD_BUS_ERROR_INVALID_ARGS;
	case EACCES:
	case EPERM:
		return SD_BUS_ERROR_ACCESS_DENIED;
	case ENOBUFS:
	case EMSGSIZE:
		return SD_BUS_ERROR_LIMITS_EXCEEDED;
	case ENOMEM:
		return SD_BUS_ERROR_NO_MEMORY;
	case ETIMEDOUT:
		return SD_BUS_ERROR_TIMEOUT;
	}

	return SD_BUS_ERROR_FAILED;
}

void bus_reply_error(sd_bus_message *call, int error, const char *text)
{
	char clean[512];
	int r;

	r = sd_bus_reply_method_errorf(call, error_name(error), "%s",
				       dict_clean(text, clean, sizeof(clean)));
	if (r < 0)
		log_debug("Cannot send an error to a control client: %s; ignoring",
			  strerror(-r));
}

void bus_reply_mistakes(sd_bus_message *call, char *lines)
{
	static char clean[4096];
	char *rest = lines;
	size_t used = 0;
	int r;

	clean[0] = '\0';
	for (char *line; (line = strsep(&rest, "\n")) && used + 1 < sizeof(clean);) {
		if (used > 0)
			clean[used++] = '\n';
		used += strlen(dict_clean(line, clean + used, sizeof(clean) - used));
	}

	r = sd_bus_reply_method_errorf(call, BUS_ERROR_BAD_CONFIG, "%s", clean);
	if (r < 0)
		log_debug("Cannot send an error to a control client: %s; ignoring", strerror(-r));
}

/* The sentence for a failure: the fact; what to do about it is for memguardctl to say. */
void bus_reply_failure(sd_bus_message *call, int error)
{
	const char *what = "";
	char text[512];

	/* Of all methods the first argument is WHAT, if there is one. */
	if (sd_bus_message_rewind(call, 1) < 0 ||
	    sd_bus_message_read_basic(call, 's', &what) <= 0)
		what = "";

	switch (-error) {
	case ENOENT:
		if (what[0] == '\0')
			snprintf(text, sizeof(text), "Nothing is guarded now");
		else
			snprintf(text, sizeof(text),
				 "Nothing called \"%.200s\" is guarded", what);
		break;
	case EDESTADDRREQ:
		snprintf(text, sizeof(text),
			 "The name is empty; name a process, a unit or a control group");
		break;
	case EDOM:
		snprintf(text, sizeof(text),
			 "A cap of arenas cannot be taken away but by a restart of the program");
		break;
	case ENOTUNIQ:
		snprintf(text, sizeof(text),
			 "\"%.200s\" names several groups; name one of them", what);
		break;
	case ENODATA:
		snprintf(text, sizeof(text),
			 "No round of \"%.200s\" is kept: only the last one that asked somebody is", what);
		break;
	case EFBIG:
	case E2BIG:
		snprintf(text, sizeof(text), "The group has too many members to record it");
		break;
	case EBUSY:
		snprintf(text, sizeof(text), "A round is already running there");
		break;
	case EACCES:
	case EPERM:
		snprintf(text, sizeof(text),
			 "Only root may do this to processes of other users");
		break;
	case ENOBUFS:
		snprintf(text, sizeof(text), "Too many requests are under way");
		break;
	case EMSGSIZE:
		snprintf(text, sizeof(text),
			 "The answer is too long; name a unit or a process");
		break;
	case EINVAL:
		snprintf(text, sizeof(text),
			 "There is no such setting, or it has no such value");
		break;
	default:
		snprintf(text, sizeof(text), "%s", strerror(-error));
		break;
	}

	bus_reply_error(call, error, text);
}

struct bus_reply *bus_reply_free(struct bus_reply *reply)
{
	LIST_REMOVE(reply, list);
	sd_bus_message_unref(reply->answer);
	sd_bus_message_unref(reply->call);
	free(reply);
	return NULL;
}

static size_t count_replies(const struct bus *bus, sd_bus_message *call)
{
	const sd_bus *connection = sd_bus_message_get_bus(call);
	const char *sender = sd_bus_message_get_sender(call), *other;
	const struct bus_reply *reply;
	size_t n = 0;

	LIST_FOREACH(reply, &bus->replies, list)
	{
		other = sd_bus_message_get_sender(reply->call);
		if (sd_bus_message_get_bus(reply->call) == connection &&
		    (!sender || !other || streq(sender, other)))
			n++;
	}

	return n;
}

int bus_reply_new(struct bus *bus, sd_bus_message *call, uid_t uid, bool is_rows,
		  struct bus_reply **ret)
{
	struct bus_reply *reply;
	int r;

	if (count_replies(bus, call) >= REPLIES_MAX)
		return -ENOBUFS;

	reply = calloc(1, sizeof(*reply));
	if (!reply)
		return -ENOMEM;

	reply->bus = bus;
	reply->call = sd_bus_message_ref(call);
	reply->uid = uid;
	reply->is_rows = is_rows;
	LIST_INSERT_HEAD(&bus->replies, reply, list);

	r = sd_bus_message_new_method_return(call, &reply->answer);
	if (r < 0) {
		bus_reply_free(reply);
		return r;
	}

	reply->dict.message = reply->answer;
	if (!bus_private_is_privileged(uid))
		reply->dict.max_bytes = OTHERS_BYTES_MAX;
	if (is_rows)
		dict_open_rows(&reply->dict);
	else
		dict_open(&reply->dict);

	*ret = reply;
	return 0;
}

bool bus_reply_may_see(const struct bus_reply *reply, uid_t owner)
{
	return bus_private_is_privileged(reply->uid) || reply->uid == owner;
}

int bus_reply_fresh(struct bus_reply *reply, const struct fresh *fresh)
{
	const struct bus *bus = reply->bus;
	struct diagnosis diagnosis;

	if (!bus_reply_may_see(reply, fresh->member->process.uid))
		return 0;

	bus->handler->diagnose(fresh->group, fresh->member, &diagnosis, bus->userdata);
	dict_open(&reply->dict);
	rows_fresh(&reply->dict, fresh, &diagnosis, bus_now(bus));
	dict_close(&reply->dict);
	return reply->dict.error;
}

int bus_reply_outcome(struct bus_reply *reply, const struct group *group,
		      const struct outcome *outcome)
{
	dict_open(&reply->dict);
	rows_outcome(&reply->dict, group, outcome);
	dict_close(&reply->dict);
	return reply->dict.error;
}

int bus_reply_tuned(struct bus_reply *reply, const struct tuned *tuned)
{
	dict_open(&reply->dict);
	rows_tuned(&reply->dict, tuned);
	dict_close(&reply->dict);
	return reply->dict.error;
}

void bus_reply_finish(struct bus_reply *reply)
{
	struct dict *dict = &reply->dict;

	if (reply->is_rows)
		dict_close_rows(dict);
	else
		dict_close(dict);

	/* The client may be gone, and then this fails, and nobody is waiting. */
	if (dict->error < 0)
		bus_reply_failure(reply->call, dict->error);
	else if (sd_bus_message_get_expect_reply(reply->call) > 0)
		(void)sd_bus_message_send(reply->answer);

	bus_reply_free(reply);
}
