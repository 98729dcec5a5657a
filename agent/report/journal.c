/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Outcomes to the journal. Speaks the journal's datagram protocol itself:
 * sd_journal_sendv() waits when the journal does not keep up, which is when memory is
 * short.
 */

#include "agent/report/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/report/dict.h"
#include "agent/report/sentences.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static uint64_t n_dropped;

struct text {
	char *buf;
	size_t size;
	size_t used;
	bool overflow;
};

static void add(struct text *text, const char *format, ...) _printf_(2, 3);

static void add(struct text *text, const char *format, ...)
{
	const size_t left = text->size - text->used;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text->buf + text->used, left, format, arguments);
	va_end(arguments);

	if (n < 0 || (size_t)n >= left) {
		text->overflow = true;
		text->used = text->size - 1;
	} else {
		text->used += (size_t)n;
	}
}

static const char *name_of(const struct group *group)
{
	return group->unit ? group->unit : group->path ? group->path : "?";
}

static void add_usage(struct text *text, const struct outcome *outcome)
{
	char after[FORMAT_MAX], limit[FORMAT_MAX];

	add(text, "%s", format_bytes(after, outcome->usage_after_bytes));
	if (outcome->limit_bytes != BYTES_INFINITY)
		add(text, " of %s", format_bytes(limit, outcome->limit_bytes));
}

/* ", 1 refused, 2 timed out, 1 ended": only what there was. */
static void add_losses(struct text *text, const struct outcome *outcome)
{
	if (outcome->n_refused > 0)
		add(text, ", %" PRIu32 " refused", outcome->n_refused);
	if (outcome->n_timed_out > 0)
		add(text, ", %" PRIu32 " timed out", outcome->n_timed_out);
	if (outcome->n_gone > 0)
		add(text, ", %" PRIu32 " ended meanwhile", outcome->n_gone);
}

/* ", by borrow, stalling for at most 1.2ms, because a full trim ...". */
static void add_method(struct text *text, const struct outcome *outcome)
{
	char stall[FORMAT_MAX], predicted[FORMAT_MAX];

	if (outcome->n_borrow == 0)
		return;

	add(text, ", %s, no stall above %s", outcome_method(outcome),
	    format_usec(stall, outcome->stall_usec));
	if (outcome->why == WHY_STALL)
		add(text, " (a full trim: about %s)",
		    format_usec(predicted, outcome->full_stall_usec));
}

static void add_released(struct text *text, const struct outcome *outcome)
{
	const uint64_t released_bytes = outcome_released_bytes(outcome);
	char released[FORMAT_MAX], before[FORMAT_MAX], longest[FORMAT_MAX];

	if (released_bytes > 0)
		add(text, "released %s", format_bytes(released, released_bytes));
	else
		add(text, "released nothing that can be measured");

	add(text, ", usage %s -> ", format_bytes(before, outcome->usage_before_bytes));
	add_usage(text, outcome);
	add(text, ", %" PRIu32 " of %" PRIu32 " processes in at most %s each",
	    outcome->n_answered, outcome->n_asked,
	    format_usec(longest, outcome->longest_usec));
	add_method(text, outcome);
	add_losses(text, outcome);
}

static void add_failed(struct text *text, const struct outcome *outcome)
{
	add(text, "released nothing: none of %" PRIu32 " processes answered",
	    outcome->n_asked);
	add_losses(text, outcome);
	add(text, ", usage is ");
	add_usage(text, outcome);
}

static void add_nothing(struct text *text, const struct outcome *outcome)
{
	char expected[FORMAT_MAX];

	add(text, "asked nobody: %s", reason_to_text(outcome->reason));
	if (outcome->expected_bytes > 0)
		add(text, " (expected %s)",
		    format_bytes(expected, outcome->expected_bytes));
	add(text, ", usage is ");
	add_usage(text, outcome);
}

static void add_sentence(struct text *text, const struct group *group,
			 const struct outcome *outcome)
{
	/* Whatever the path, the figures have to fit in. */
	char name[160];

	add(text, "%s: ", dict_clean(name_of(group), name, sizeof(name)));
	switch (outcome->kind) {
	case OUTCOME_RELEASED:
		add_released(text, outcome);
		break;
	case OUTCOME_FAILED:
		add_failed(text, outcome);
		break;
	case OUTCOME_NOTHING:
		add_nothing(text, outcome);
		break;
	}
	add(text, "; because %s", reason_to_text(outcome->trigger));
	if (outcome->confidence_percent > 0)
		add(text, "; verdict: %s (%" PRIu32 "%% sure)",
		    verdict_to_string(outcome->verdict), outcome->confidence_percent);
}

void journal_sentence(const struct group *group, const struct outcome *outcome, char *buf,
		      size_t size)
{
	struct text text = { .buf = buf, .size = size };

	if (size == 0)
		return;

	buf[0] = '\0';
	add_sentence(&text, group, outcome);
}

static int level_of(const struct outcome *outcome)
{
	switch (outcome->kind) {
	case OUTCOME_RELEASED:
		return LOG_INFO;
	case OUTCOME_FAILED:
		return LOG_WARNING;
	case OUTCOME_NOTHING:
		return outcome->trigger == REASON_USAGE_CRITICAL ? LOG_WARNING : LOG_INFO;
	}

	return LOG_INFO;
}

static void add_number(struct text *text, const char *field, uint64_t value)
{
	add(text, "MEMGUARD_%s=%" PRIu64 "\n", field, value);
}

/* A line is a field: a newline in a cgroup's name must not begin another one. */
static void add_string(struct text *text, const char *field, const char *value)
{
	size_t at;

	add(text, "%s=", field);
	at = text->used;
	add(text, "%s", value);
	for (; at < text->used; at++)
		if (text->buf[at] == '\n')
			text->buf[at] = '?';
	add(text, "\n");
}

static void add_names(struct text *text, const struct group *group)
{
	if (group->path)
		add_string(text, "MEMGUARD_GROUP", group->path);
	if (!group->unit)
		return;

	add_string(text, "MEMGUARD_UNIT", group->unit);
	/* Shown by `journalctl -u` under the unit itself where the daemon is root. */
	add_string(text, "OBJECT_SYSTEMD_UNIT", group->unit);
}

static void add_verdict(struct text *text, const struct outcome *outcome)
{
	struct diagnosis diagnosis = { .n_evidence = outcome->n_evidence };
	char evidence[512];

	memcpy(diagnosis.evidence, outcome->evidence, sizeof(outcome->evidence));
	add_string(text, "MEMGUARD_VERDICT", verdict_to_string(outcome->verdict));
	add_number(text, "CONFIDENCE_PERCENT", outcome->confidence_percent);
	add_string(text, "MEMGUARD_EVIDENCE",
		   sentences_evidence(&diagnosis, evidence, sizeof(evidence)));
}

static void add_figures(struct text *text, const struct outcome *outcome)
{
	add_number(text, "ROUND", outcome->round);
	add_number(text, "GROUP_ID", outcome->group_id);
	if (outcome->limit_bytes != BYTES_INFINITY)
		add_number(text, "LIMIT_BYTES", outcome->limit_bytes);
	add_number(text, "USAGE_BEFORE_BYTES", outcome->usage_before_bytes);
	add_number(text, "USAGE_AFTER_BYTES", outcome->usage_after_bytes);
	add_number(text, "RSS_BEFORE_BYTES", outcome->rss_before_bytes);
	add_number(text, "RSS_AFTER_BYTES", outcome->rss_after_bytes);
	add_number(text, "RELEASED_BYTES",
		   outcome->n_asked > 0 ? outcome_released_bytes(outcome) : 0);
	add_number(text, "EXPECTED_BYTES", outcome->expected_bytes);
	add_number(text, "ASKED", outcome->n_asked);
	add_number(text, "ANSWERED", outcome->n_answered);
	add_number(text, "REFUSED", outcome->n_refused);
	add_number(text, "TIMED_OUT", outcome->n_timed_out);
	add_number(text, "GONE", outcome->n_gone);
	add_number(text, "LONGEST_USEC", outcome->longest_usec);
	if (outcome->n_asked > 0) {
		add_string(text, "MEMGUARD_METHOD", outcome_method(outcome));
		add_string(text, "MEMGUARD_METHOD_REASON", why_to_string(outcome->why));
		add_number(text, "STALL_USEC", outcome->stall_usec);
		add_number(text, "EXPECTED_STALL_USEC", outcome->expected_stall_usec);
	}
	add_verdict(text, outcome);
	add_number(text, "DURATION_USEC",
		   sub_sat(outcome->end_usec, outcome->begin_usec));
}

ssize_t journal_format(const struct group *group, const struct outcome *outcome,
		       char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };
	char sentence[512];

	journal_sentence(group, outcome, sentence, sizeof(sentence));
	add_string(&text, "MESSAGE", sentence);
	add(&text, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=memguardd\n",
	    MESSAGE_ROUND, level_of(outcome));
	add_string(&text, "MEMGUARD_OUTCOME", outcome_kind_to_string(outcome->kind));
	add_string(&text, "MEMGUARD_TRIGGER", reason_to_string(outcome->trigger));
	if (outcome->kind == OUTCOME_NOTHING)
		add_string(&text, "MEMGUARD_REASON", reason_to_string(outcome->reason));
	add_names(&text, group);
	add_figures(&text, outcome);

	return text.overflow ? -E2BIG : (ssize_t)text.used;
}

int journal_send(const char *path, const char *entry, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(fd_closep) int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;

	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;

	if (sendto(fd, entry, size, MSG_NOSIGNAL, (struct sockaddr *)&address,
		   sizeof(address)) < 0)
		return -errno;

	return 0;
}

void journal_outcome(const struct group *group, const struct outcome *outcome)
{
	char entry[JOURNAL_ENTRY_MAX], sentence[512];
	ssize_t n;

	if (!log_to_journal()) {
		journal_sentence(group, outcome, sentence, sizeof(sentence));
		log_line(level_of(outcome), "%s", sentence);
		return;
	}

	n = journal_format(group, outcome, entry, sizeof(entry));
	if (n < 0 || journal_send(JOURNAL_SOCKET, entry, (size_t)n) < 0)
		n_dropped++;
}

void journal_reload(const char *error, size_t n_files)
{
	char entry[2048], message[512];
	struct text text = { .buf = entry, .size = sizeof(entry) };
	const int level = error ? LOG_ERR : LOG_INFO;

	if (error)
		snprintf(
			message, sizeof(message),
			"The configuration has errors, keeping the settings in force: %s",
			error);
	else
		snprintf(message, sizeof(message), "Configuration loaded from %zu file%s",
			 n_files, n_files == 1 ? "" : "s");

	if (!log_to_journal()) {
		log_line(level, "%s", message);
		return;
	}

	add_string(&text, "MESSAGE", message);
	add(&text, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=memguardd\n",
	    error ? MESSAGE_BAD_CONFIG : MESSAGE_RELOAD, level);
	if (text.overflow || journal_send(JOURNAL_SOCKET, entry, text.used) < 0)
		n_dropped++;
}

uint64_t journal_n_dropped(void)
{
	return n_dropped;
}
