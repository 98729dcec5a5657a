/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Outcomes to the journal. Speaks the journal's datagram protocol itself:
 * sd_journal_sendv() waits when the journal does not keep up, which is when memory is
 * short.
 */

#include "agent/report/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/report/dict.h"
#include "agent/report/journal-text.h"
#include "agent/report/sentences.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static uint64_t n_dropped;

static void add_usage(struct text *text, const struct outcome *outcome)
{
	char after[FORMAT_MAX], limit[FORMAT_MAX];

	text_add(text, "%s", format_bytes(after, outcome->usage_after_bytes));
	if (outcome->limit_bytes != BYTES_INFINITY)
		text_add(text, " of %s", format_bytes(limit, outcome->limit_bytes));
}

/* ", 1 refused, 2 timed out, 1 ended, 3 not needed": only what there was. */
static void add_losses(struct text *text, const struct outcome *outcome)
{
	if (outcome->n_refused > 0)
		text_add(text, ", %" PRIu32 " refused (%s)", outcome->n_refused,
			 refusal_to_text(outcome->refusal));
	if (outcome->n_timed_out > 0)
		text_add(text, ", %" PRIu32 " timed out", outcome->n_timed_out);
	if (outcome->silence != SILENCE_NONE)
		text_add(text, " (process %d %s)", (int)outcome->silent_pid,
			 silence_to_text(outcome->silence));
	if (outcome->n_gone > 0)
		text_add(text, ", %" PRIu32 " ended meanwhile", outcome->n_gone);
	if (outcome->n_not_needed > 0)
		text_add(text, ", %" PRIu32 " not needed", outcome->n_not_needed);
}

/* ", by borrow, stalling for at most 1.2ms, because a full trim ...". */
static void add_method(struct text *text, const struct outcome *outcome)
{
	char stall[FORMAT_MAX], predicted[FORMAT_MAX];

	if (outcome->n_borrow == 0)
		return;

	text_add(text, ", %s, no stall above %s", outcome_method(outcome),
	    format_usec(stall, outcome->stall_usec));
	if (outcome->why == WHY_STALL)
		text_add(text, " (a full trim: about %s)",
		    format_usec(predicted, outcome->full_stall_usec));
	if (outcome->n_unreached > 0)
		text_add(text, ", of %" PRIu32 " arenas the free ends alone", outcome->n_unreached);
}

/* ", 190M more are freed but still charged: ...". */
static void add_held(struct text *text, const struct outcome *outcome)
{
	const uint64_t held_bytes = outcome_held_bytes(outcome);
	char held[FORMAT_MAX];

	if (held_bytes > 0)
		text_add(text, ", %s freed but still charged (huge pages: the kernel takes it back "
			 "when it reclaims)", format_bytes(held, held_bytes));
}

static void add_released(struct text *text, const struct outcome *outcome)
{
	const uint64_t released_bytes = outcome_released_bytes(outcome);
	char released[FORMAT_MAX], before[FORMAT_MAX], longest[FORMAT_MAX];

	if (released_bytes > 0)
		text_add(text, "released %s", format_bytes(released, released_bytes));
	else
		text_add(text, "released nothing that can be measured");

	add_held(text, outcome);
	text_add(text, ", usage %s -> ", format_bytes(before, outcome->usage_before_bytes));
	add_usage(text, outcome);
	text_add(text, ", %" PRIu32 " of %" PRIu32 " processes in at most %s each",
	    outcome->n_answered, outcome->n_asked,
	    format_usec(longest, outcome->longest_usec));
	add_method(text, outcome);
	add_losses(text, outcome);
}

static void add_failed(struct text *text, const struct outcome *outcome)
{
	text_add(text, "released nothing: none of %" PRIu32 " processes answered",
	    outcome->n_asked);
	add_losses(text, outcome);
	text_add(text, ", usage is ");
	add_usage(text, outcome);
}

static void add_nothing(struct text *text, const struct outcome *outcome)
{
	char expected[FORMAT_MAX];

	text_add(text, "asked nobody: %s", reason_to_text(outcome->reason));
	if (outcome->expected_bytes > 0)
		text_add(text, " (expected %s)",
		    format_bytes(expected, outcome->expected_bytes));
	text_add(text, ", usage is ");
	add_usage(text, outcome);
}

/* ", and urgent 312ms later, because ...: 1 borrowing ended early after it gave 40M". */
static void add_hurry(struct text *text, const struct outcome *outcome)
{
	char after[FORMAT_MAX], given[FORMAT_MAX];

	if (outcome->hurried == REASON_NONE)
		return;

	text_add(text, ", and %s later %s", format_usec(after, outcome->hurried_usec),
		 reason_to_text(outcome->hurried));
	if (outcome->n_overtaken > 0)
		text_add(text, ": %" PRIu32 " of %" PRIu32 " borrowing%s ended early, after %s",
			 outcome->n_ended_early, outcome->n_overtaken,
			 outcome->n_overtaken == 1 ? "" : "s",
			 format_bytes(given, outcome->overtaken_bytes));
}

static void add_sentence(struct text *text, const struct group *group,
			 const struct outcome *outcome)
{
	/* Whatever the path, the figures have to fit in. */
	char name[160];

	text_add(text, "%s: ", dict_clean(text_name_of(group), name, sizeof(name)));
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
	text_add(text, "; because %s", reason_to_text(outcome->trigger));
	add_hurry(text, outcome);
	if (outcome->confidence_percent > 0)
		text_add(text, "; verdict: %s (%" PRIu32 "%% sure)",
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

static void add_verdict(struct text *text, const struct outcome *outcome)
{
	struct diagnosis diagnosis = { .n_evidence = outcome->n_evidence };
	char evidence[512];

	memcpy(diagnosis.evidence, outcome->evidence, sizeof(outcome->evidence));
	text_field(text, "MEMGUARD_VERDICT", verdict_to_string(outcome->verdict));
	text_number(text, "CONFIDENCE_PERCENT", outcome->confidence_percent);
	text_field(text, "MEMGUARD_EVIDENCE",
		   sentences_evidence(&diagnosis, evidence, sizeof(evidence)));
}

static void add_figures(struct text *text, const struct outcome *outcome)
{
	text_number(text, "ROUND", outcome->round);
	text_number(text, "GROUP_ID", outcome->group_id);
	if (outcome->limit_bytes != BYTES_INFINITY)
		text_number(text, "LIMIT_BYTES", outcome->limit_bytes);
	text_number(text, "USAGE_BEFORE_BYTES", outcome->usage_before_bytes);
	text_number(text, "USAGE_AFTER_BYTES", outcome->usage_after_bytes);
	text_number(text, "RSS_BEFORE_BYTES", outcome->rss_before_bytes);
	text_number(text, "RSS_AFTER_BYTES", outcome->rss_after_bytes);
	text_number(text, "RELEASED_BYTES",
		   outcome->n_asked > 0 ? outcome_released_bytes(outcome) : 0);
	text_number(text, "HELD_BYTES", outcome_held_bytes(outcome));
	text_number(text, "EXPECTED_BYTES", outcome->expected_bytes);
	text_number(text, "ASKED", outcome->n_asked);
	text_number(text, "ANSWERED", outcome->n_answered);
	text_number(text, "REFUSED", outcome->n_refused);
	if (outcome->n_refused > 0)
		text_field(text, "MEMGUARD_REFUSED_REASON", refusal_to_string(outcome->refusal));
	text_number(text, "TIMED_OUT", outcome->n_timed_out);
	if (outcome->silence != SILENCE_NONE) {
		text_field(text, "MEMGUARD_TIMED_OUT_REASON", silence_to_string(outcome->silence));
		text_number(text, "TIMED_OUT_PID", (uint64_t)outcome->silent_pid);
	}
	text_number(text, "GONE", outcome->n_gone);
	text_number(text, "NOT_NEEDED", outcome->n_not_needed);
	text_number(text, "LONGEST_USEC", outcome->longest_usec);
	if (outcome->n_asked > 0) {
		text_field(text, "MEMGUARD_METHOD", outcome_method(outcome));
		text_field(text, "MEMGUARD_METHOD_REASON", why_to_string(outcome->why));
		text_number(text, "STALL_USEC", outcome->stall_usec);
		text_number(text, "EXPECTED_STALL_USEC", outcome->expected_stall_usec);
	}
	if (outcome->hurried != REASON_NONE) {
		text_field(text, "MEMGUARD_HURRIED", reason_to_string(outcome->hurried));
		text_number(text, "HURRIED_AFTER_USEC", outcome->hurried_usec);
		text_number(text, "OVERTAKEN", outcome->n_overtaken);
		text_number(text, "ENDED_EARLY", outcome->n_ended_early);
		text_number(text, "OVERTAKEN_BYTES", outcome->overtaken_bytes);
	}
	add_verdict(text, outcome);
	text_number(text, "DURATION_USEC",
		   sub_sat(outcome->end_usec, outcome->begin_usec));
}

ssize_t journal_format(const struct group *group, const struct outcome *outcome,
		       char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };
	char sentence[512];

	journal_sentence(group, outcome, sentence, sizeof(sentence));
	text_field(&text, "MESSAGE", sentence);
	text_add(&text, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=memguardd\n",
	    MESSAGE_ROUND, level_of(outcome));
	text_field(&text, "MEMGUARD_OUTCOME", outcome_kind_to_string(outcome->kind));
	text_field(&text, "MEMGUARD_TRIGGER", reason_to_string(outcome->trigger));
	if (outcome->kind == OUTCOME_NOTHING)
		text_field(&text, "MEMGUARD_REASON", reason_to_string(outcome->reason));
	text_group(&text, group);
	add_figures(&text, outcome);

	return text.overflow ? -E2BIG : (ssize_t)text.used;
}

/* A socket and the address of another; returns the former. */
static int open_socket(const char *path, struct sockaddr_un *ret)
{
	int fd;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;

	memcpy(ret->sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

int journal_send(const char *path, const char *entry, size_t size)
{
	struct sockaddr_un address;
	_cleanup_(fd_closep) int fd = open_socket(path, &address);

	if (fd < 0)
		return fd;

	if (sendto(fd, entry, size, MSG_NOSIGNAL, (struct sockaddr *)&address,
		   sizeof(address)) < 0)
		return -errno;

	return 0;
}

int journal_try(void)
{
	struct sockaddr_un address;
	_cleanup_(fd_closep) int fd = open_socket(JOURNAL_SOCKET, &address);

	if (fd < 0)
		return fd;

	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

void journal_drop(void)
{
	n_dropped++;
}

void journal_deliver(const char *entry, size_t size)
{
	if (journal_send(JOURNAL_SOCKET, entry, size) < 0)
		journal_drop();
}

/* No stack that may not be there yet. */
char journal_room[JOURNAL_ENTRY_MAX];

void journal_outcome(const struct group *group, const struct outcome *outcome)
{
	char sentence[512];
	ssize_t n;

	if (!log_to_journal()) {
		journal_sentence(group, outcome, sentence, sizeof(sentence));
		log_line(level_of(outcome), "%s", sentence);
		return;
	}

	n = journal_format(group, outcome, journal_room, sizeof(journal_room));
	if (n >= 0)
		journal_deliver(journal_room, (size_t)n);
	else
		journal_drop();
}

/* An entry without a group: begun, then fields, then ended. */
static bool begin_entry(struct text *text, const char *id, int level, const char *message)
{
	if (!log_to_journal()) {
		log_line(level, "%s", message);
		return false;
	}

	text_field(text, "MESSAGE", message);
	text_add(text, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=memguardd\n", id, level);
	return true;
}

static void end_entry(const struct text *text)
{
	if (!text->overflow)
		journal_deliver(text->buf, text->used);
	else
		journal_drop();
}

void journal_reload(size_t n_files)
{
	char entry[1024], message[80];
	struct text text = { .buf = entry, .size = sizeof(entry) };

	snprintf(message, sizeof(message), "Configuration loaded from %zu file%s", n_files,
		 n_files == 1 ? "" : "s");
	if (begin_entry(&text, MESSAGE_RELOAD, LOG_INFO, message))
		end_entry(&text);
}

void journal_bad_config(const struct journal_mistake *mistake)
{
	char entry[4096], message[640];
	struct text text = { .buf = entry, .size = sizeof(entry) };

	snprintf(message, sizeof(message),
		 "The configuration has errors and is not taken: %s", mistake->text);
	if (!begin_entry(&text, MESSAGE_BAD_CONFIG, LOG_ERR, message))
		return;

	if (mistake->file)
		text_field(&text, "CONFIG_FILE", mistake->file);
	if (mistake->line > 0)
		text_add(&text, "CONFIG_LINE=%u\n", mistake->line);
	text_number(&text, "MISTAKES", mistake->n);
	end_entry(&text);
}

void journal_defaults(bool users)
{
	char entry[1024], message[160];
	struct text text = { .buf = entry, .size = sizeof(entry) };

	snprintf(message, sizeof(message),
		 "Starting with the compiled-in defaults: mend the configuration, then run "
		 "\"memguardctl%s reload\"", users ? " --user" : "");
	if (begin_entry(&text, MESSAGE_DEFAULTS, LOG_WARNING, message))
		end_entry(&text);
}

uint64_t journal_n_dropped(void)
{
	return n_dropped;
}
