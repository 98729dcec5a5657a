/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/journal-alert.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/report/dict.h"
#include "agent/report/journal.h"
#include "agent/report/journal-text.h"

static const char *id_of(enum alert_kind kind)
{
	switch (kind) {
	case ALERT_USAGE_CRITICAL:
		return MESSAGE_USAGE_CRITICAL;
	case ALERT_KILL_NEAR:
		return MESSAGE_KILL_NEAR;
	case ALERT_OOM_KILL:
		return MESSAGE_OOM_KILL;
	case ALERT_NOT_PAYING:
	case ALERT_MAX_:
		break;
	}

	return MESSAGE_NOT_PAYING;
}

static int level_of(enum alert_kind kind)
{
	return kind == ALERT_OOM_KILL ? LOG_ERR : LOG_WARNING;
}

static void add_used(struct text *text, const struct group *group, const struct alert *alert)
{
	char anon[FORMAT_MAX], limit[FORMAT_MAX], retained[FORMAT_MAX], path[4096], name[160];

	text_add(text, "%s", format_bytes(anon, group->reading.anon_bytes));
	if (group->reading.limit_bytes != BYTES_INFINITY)
		text_add(text, " of %s", format_bytes(limit, group->reading.limit_bytes));
	/* Who was killed may have given back part of it by then. */
	text_add(text, alert->kind == ALERT_OOM_KILL ? " used when it was seen" : " used");
	/* Whose limit it is, and that most of it may be somebody else's. */
	if (group_limit_of(group, path, sizeof(path)))
		text_add(text, " (the limit of %s, where others have %s)",
			 dict_clean(path, name, sizeof(name)),
			 format_bytes(limit, group->reading.others_bytes));
	/* Figures that the group has outgrown since are none. */
	if (group->heap.time_usec > 0 &&
	    alert->use.grown_bytes <= group->reading.anon_bytes / 2)
		text_add(text, ", %s of it free but retained",
			 format_bytes(retained, group->heap.retained_bytes));
}

static void add_kill_near(struct text *text, const struct alert *alert)
{
	const int64_t growth = alert->growth_bytes_per_sec;
	char rate[FORMAT_MAX], eta[FORMAT_MAX];

	text_add(text, "the kernel will kill here in about %s, at a growth of %s a second: ",
		 format_usec(eta, alert->eta_usec),
		 format_bytes(rate, growth > 0 ? (uint64_t)growth : 0));
}

static void add_kills(struct text *text, const struct group *group, const struct alert *alert)
{
	const uint64_t n = alert->n_oom_kills > 0 ? alert->n_oom_kills : alert->n_beside;
	char path[4096], name[160];

	text_add(text, "the kernel's OOM killer ended %" PRIu64 " process%s", n, n == 1 ? "" : "es");
	if (alert->n_oom_kills == 0 &&
	    group_above(group, group->shared_level, path, sizeof(path)))
		text_add(text, " beside it, for the limit of %s",
			 dict_clean(path, name, sizeof(name)));
	text_add(text, ": ");
}

static void add_not_paying(struct text *text, const struct group *group)
{
	char last[FORMAT_MAX], pause[FORMAT_MAX];

	text_add(text, "releases give too little (the last one %s) and pause for %s more "
		       "each time: ",
		 format_bytes(last, group_benefit(group)->last_released_bytes),
		 format_usec(pause, group_benefit(group)->backoff_usec));
}

static void add_sentence(struct text *text, const struct group *group,
			 const struct alert *alert)
{
	/* Whatever the path, the figures have to fit in. */
	char name[160];

	text_add(text, "%s: ", dict_clean(text_name_of(group), name, sizeof(name)));
	switch (alert->kind) {
	case ALERT_USAGE_CRITICAL:
		text_add(text, "usage stays above UsageCritical=: ");
		break;
	case ALERT_KILL_NEAR:
		add_kill_near(text, alert);
		break;
	case ALERT_OOM_KILL:
		add_kills(text, group, alert);
		break;
	case ALERT_NOT_PAYING:
	case ALERT_MAX_:
		add_not_paying(text, group);
		break;
	}

	add_used(text, group, alert);
	if (alert->verdict_text)
		text_add(text, ". %s", alert->verdict_text);
}

void journal_alert_sentence(const struct group *group, const struct alert *alert,
			    char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };

	if (size == 0)
		return;

	buf[0] = '\0';
	add_sentence(&text, group, alert);
}

static void add_figures(struct text *text, const struct group *group,
			const struct alert *alert)
{
	const int64_t growth = alert->growth_bytes_per_sec;

	text_number(text, "GROUP_ID", group->id);
	if (group->reading.limit_bytes != BYTES_INFINITY)
		text_number(text, "LIMIT_BYTES", group->reading.limit_bytes);
	text_number(text, "USAGE_BYTES", group->reading.usage_bytes);
	text_number(text, "ANON_BYTES", group->reading.anon_bytes);
	text_number(text, "OTHERS_BYTES", group->reading.others_bytes);
	if (alert->eta_usec != USEC_INFINITY)
		text_number(text, "ETA_USEC", alert->eta_usec);
	text_number(text, "GROWTH_BYTES_PER_SEC", growth > 0 ? (uint64_t)growth : 0);
	if (group->heap.time_usec > 0) {
		text_number(text, "IN_USE_BYTES", alert->use.in_use_bytes);
		text_number(text, "RETAINED_BYTES", group->heap.retained_bytes);
	}
	text_number(text, "BACKOFF_USEC", group_benefit(group)->backoff_usec);
	if (alert->kind == ALERT_OOM_KILL) {
		text_number(text, "OOM_KILLS", alert->n_oom_kills);
		text_number(text, "SHARED_OOM_KILLS", alert->n_beside);
	}
	text_number(text, "HELD_BACK", alert->n_held_back);
}

ssize_t journal_alert_format(const struct group *group, const struct alert *alert,
			     char *buf, size_t size)
{
	struct text text = { .buf = buf, .size = size };
	char sentence[640];

	journal_alert_sentence(group, alert, sentence, sizeof(sentence));
	text_field(&text, "MESSAGE", sentence);
	text_add(&text, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=memguardd\n",
		 id_of(alert->kind), level_of(alert->kind));
	text_field(&text, "MEMGUARD_ALERT", alert_kind_to_string(alert->kind));
	if (alert->verdict)
		text_field(&text, "MEMGUARD_VERDICT", alert->verdict);
	text_group(&text, group);
	add_figures(&text, group, alert);
	return text.overflow ? -E2BIG : (ssize_t)text.used;
}

void journal_alert(const struct group *group, const struct alert *alert)
{
	char sentence[640];
	ssize_t n;

	if (!log_to_journal()) {
		journal_alert_sentence(group, alert, sentence, sizeof(sentence));
		log_line(level_of(alert->kind), "%s", sentence);
		return;
	}

	n = journal_alert_format(group, alert, journal_room, sizeof(journal_room));
	if (n >= 0)
		journal_deliver(journal_room, (size_t)n);
	else
		journal_drop();
}
