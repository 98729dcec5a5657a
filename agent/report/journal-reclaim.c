/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/journal-reclaim.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/report/dict.h"
#include "agent/report/journal-text.h"
#include "agent/report/journal.h"

static uint64_t duration_usec(const struct swap_out *reclaim)
{
	return sub_sat(reclaim->after.time_usec, reclaim->before.time_usec);
}

static void add_end(struct text *text, int error)
{
	switch (error) {
	case 0:
		break;
	case EAGAIN:
		text_add(text, "; the kernel says that it found less than that");
		break;
	case ETIME:
	case EINTR:
		text_add(text, "; it took long, and was not waited for to the end");
		break;
	case ECHILD:
		text_add(text, "; it is not known how it ended");
		break;
	default:
		text_add(text, "; it failed: %s", strerror(error));
		break;
	}
}

void journal_reclaim_sentence(const struct group *group, const struct swap_out *reclaim, char *buf,
			      size_t size)
{
	struct text text = { .buf = buf, .size = size };
	char name[160], asked[FORMAT_MAX], before[FORMAT_MAX], after[FORMAT_MAX], limit[FORMAT_MAX];
	char swap_before[FORMAT_MAX], swap_after[FORMAT_MAX], duration[FORMAT_MAX];

	if (size == 0)
		return;

	buf[0] = '\0';
	text_add(&text, "%s: had the kernel reclaim %s (MemoryReclaim=), usage %s -> %s",
		 dict_clean(text_name_of(group), name, sizeof(name)),
		 format_bytes(asked, reclaim->asked_bytes), format_bytes(before, reclaim->before.usage_bytes),
		 format_bytes(after, reclaim->after.usage_bytes));
	if (group->reading.limit_bytes != BYTES_INFINITY)
		text_add(&text, " of %s", format_bytes(limit, group->reading.limit_bytes));
	text_add(&text, ", swapped out %s -> %s, in %s",
		 format_bytes(swap_before, reclaim->before.swap_bytes),
		 format_bytes(swap_after, reclaim->after.swap_bytes),
		 format_usec(duration, duration_usec(reclaim)));
	add_end(&text, reclaim->error);
}

ssize_t journal_reclaim_format(const struct group *group, const struct swap_out *reclaim, char *buf,
			       size_t size)
{
	struct text text = { .buf = buf, .size = size };
	char sentence[512];

	journal_reclaim_sentence(group, reclaim, sentence, sizeof(sentence));
	text_field(&text, "MESSAGE", sentence);
	text_add(&text, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=memguardd\n", MESSAGE_RECLAIM,
		 LOG_INFO);
	text_group(&text, group);
	text_number(&text, "GROUP_ID", group->id);
	text_number(&text, "ASKED_BYTES", reclaim->asked_bytes);
	if (group->reading.limit_bytes != BYTES_INFINITY)
		text_number(&text, "LIMIT_BYTES", group->reading.limit_bytes);
	text_number(&text, "USAGE_BEFORE_BYTES", reclaim->before.usage_bytes);
	text_number(&text, "USAGE_AFTER_BYTES", reclaim->after.usage_bytes);
	text_number(&text, "ANON_BEFORE_BYTES", reclaim->before.anon_bytes);
	text_number(&text, "ANON_AFTER_BYTES", reclaim->after.anon_bytes);
	text_number(&text, "SWAP_BEFORE_BYTES", reclaim->before.swap_bytes);
	text_number(&text, "SWAP_AFTER_BYTES", reclaim->after.swap_bytes);
	text_number(&text, "DURATION_USEC", duration_usec(reclaim));
	text_number(&text, "ERRNO", (uint64_t)reclaim->error);
	return text.overflow ? -E2BIG : (ssize_t)text.used;
}

void journal_reclaim(const struct group *group, const struct swap_out *reclaim)
{
	char sentence[512];
	ssize_t n;

	if (!log_to_journal()) {
		journal_reclaim_sentence(group, reclaim, sentence, sizeof(sentence));
		log_line(LOG_INFO, "%s", sentence);
		return;
	}

	n = journal_reclaim_format(group, reclaim, journal_room, sizeof(journal_room));
	if (n >= 0)
		journal_deliver(journal_room, (size_t)n);
	else
		journal_drop();
}
