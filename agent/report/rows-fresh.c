/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a process has answered to somebody who wants to see it, or why it has not. */

#include <errno.h>
#include <stdio.h>

#include "agent/basic/macro.h"
#include "agent/report/rows.h"

/*
 * Free chunks by size, as libhook/wire.h says: up to so many pages; the last class is
 * open.
 */
static const uint32_t class_pages[WIRE_CLASSES - 1] = { 1, 2, 4, 16, 64, 256 };

static void put_arena(struct dict *dict, const struct wire_arena *arena,
		      const struct forecast *forecast)
{
	dict_open(dict);
	dict_u32(dict, "nr", arena->nr);
	dict_u64(dict, "system_bytes", arena->system);
	dict_u64(dict, "free_bytes", arena->free);
	dict_u64(dict, "top_bytes", arena->top);
	dict_u64(dict, "whole_pages_bytes", arena->whole_pages);
	dict_u64(dict, "unsorted_bytes", arena->unsorted);
	dict_u32(dict, "n_heaps", arena->n_heaps);
	dict_u32(dict, "n_unsorted_chunks", arena->n_unsorted);
	dict_u64s(dict, "class_bytes", arena->bytes, WIRE_CLASSES);
	dict_u32s(dict, "class_chunks", arena->count, WIRE_CLASSES);
	if (forecast) {
		dict_u64(dict, "retained_bytes", forecast->bytes);
		dict_u64(dict, "stall_usec", forecast->stall_usec);
	}
	dict_close(dict);
}

static const char *fresh_error(int error)
{
	switch (-error) {
	case 0:
		return NULL;
	case ETIMEDOUT:
		return "did not answer in time: these are the last known figures";
	case ESRCH:
		return "ended while it was asked";
	case EBUSY:
		return "is answering another request: these are the last known figures";
	case EPERM:
	case EACCES:
		return "is under a system call filter since it connected, so its agent "
		       "is "
		       "left asleep: these are the last known figures";
	}

	return strerror(-error);
}

static void put_fresh_error(struct dict *dict, const struct fresh *fresh)
{
	char text[128];

	if (fresh->silence == SILENCE_NONE) {
		dict_string(dict, "error", fresh_error(fresh->error));
		return;
	}

	snprintf(text, sizeof(text), "%s; these are the last known figures",
		 silence_to_text(fresh->silence));
	dict_string(dict, "error", text);
}

void rows_fresh(struct dict *dict, const struct fresh *fresh,
		const struct diagnosis *diagnosis, uint64_t now_usec)
{
	uint64_t limits[ARRAY_SIZE(class_pages)];

	rows_member(dict, fresh->group, fresh->member, diagnosis, now_usec);
	put_fresh_error(dict, fresh);
	if (fresh->error == -ESRCH)
		dict_bool(dict, "gone", true);
	if (fresh->n_rows == 0)
		return;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		limits[i] = (uint64_t)class_pages[i] * fresh->member->hello.versions->page_bytes;

	dict_u64s(dict, "class_limit_bytes", limits, ARRAY_SIZE(limits));
	dict_open_rows_entry(dict, "arenas");
	for (size_t i = 0; i < fresh->n_rows; i++)
		put_arena(dict, &fresh->rows[i],
			  fresh->forecasts ? &fresh->forecasts[i] : NULL);
	dict_close_rows_entry(dict);
}
