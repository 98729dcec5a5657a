/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/journal-look.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/report/dict.h"
#include "agent/report/journal-text.h"
#include "agent/report/journal.h"

void journal_look_sentence(const struct group *group, const struct outcome *outcome,
			   char *buf, size_t size)
{
	const struct look *look = &outcome->look;
	const uint64_t released = outcome_released_bytes(outcome);
	const uint64_t returned = outcome_returned_bytes(outcome);
	struct text text = { .buf = buf, .size = size };
	char name[160], age[FORMAT_MAX], whole[FORMAT_MAX], part[FORMAT_MAX];

	if (size == 0)
		return;

	buf[0] = '\0';
	text_add(&text, "%s: %s after round %" PRIu64 ", which released %s, ",
		 dict_clean(text_name_of(group), name, sizeof(name)),
		 format_usec(age, look->age_usec), outcome->round,
		 format_bytes(whole, released));
	if (look->state == LOOK_GONE)
		text_add(&text, "no process that did is left");
	else if (returned == 0)
		text_add(&text, "all of it is still free");
	else
		text_add(&text, "%s of it are in use again", format_bytes(part, returned));

	if (look->state == LOOK_TAKEN)
		text_add(&text, "; %" PRIu64 " page faults since", look->n_faults);
	if (outcome_is_refilled(outcome))
		text_add(&text, "; khugepaged has filled it up to %" PRIu64 " huge pages: lower its "
			 "max_ptes_none, see memguard(8)", look->n_collapses);
}

ssize_t journal_look_format(const struct group *group, const struct outcome *outcome,
			    char *buf, size_t size)
{
	const struct look *look = &outcome->look;
	struct text text = { .buf = buf, .size = size };
	char sentence[512];

	journal_look_sentence(group, outcome, sentence, sizeof(sentence));
	text_field(&text, "MESSAGE", sentence);
	text_add(&text, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=memguardd\n",
		 MESSAGE_SECOND_LOOK, LOG_INFO);
	text_field(&text, "MEMGUARD_LOOK", look_state_to_string(look->state));
	text_group(&text, group);
	text_number(&text, "GROUP_ID", group->id);
	text_number(&text, "ROUND", outcome->round);
	text_number(&text, "AGE_USEC", look->age_usec);
	text_number(&text, "USAGE_BYTES", look->usage_bytes);
	text_number(&text, "RELEASED_BYTES", outcome_released_bytes(outcome));
	if (look->state == LOOK_TAKEN) {
		text_number(&text, "RETURNED_BYTES", outcome_returned_bytes(outcome));
		text_number(&text, "RSS_BYTES", look->rss_bytes);
		text_number(&text, "PAGE_FAULTS", look->n_faults);
	}
	text_number(&text, "GROUP_PAGE_FAULTS", look->n_group_faults);
	text_number(&text, "HUGE_PAGES_MADE", look->n_collapses);
	return text.overflow ? -E2BIG : (ssize_t)text.used;
}

void journal_look(const struct group *group, const struct outcome *outcome)
{
	char sentence[512];
	ssize_t n;

	if (!log_to_journal()) {
		journal_look_sentence(group, outcome, sentence, sizeof(sentence));
		log_line(LOG_INFO, "%s", sentence);
		return;
	}

	n = journal_look_format(group, outcome, journal_room, sizeof(journal_room));
	if (n >= 0)
		journal_deliver(journal_room, (size_t)n);
	else
		journal_drop();
}
