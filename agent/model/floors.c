/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A history that never grows: the longer it is, the coarser. */

#include "agent/model/floors.h"

#include "agent/basic/macro.h"

#define PARTS 4

static uint32_t lesser(uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return MAX(a, b);

	return MIN(a, b);
}

static uint64_t span_usec(const struct floors *floors)
{
	return FLOORS_SPAN_MIN_USEC << floors->n_doubled;
}

/* Pairs become one. */
static void halve(struct floors *floors)
{
	for (size_t i = 0; i < FLOORS_SLOTS / 2; i++)
		floors->kib[i] = lesser(floors->kib[2 * i], floors->kib[2 * i + 1]);
	for (size_t i = FLOORS_SLOTS / 2; i < FLOORS_SLOTS; i++)
		floors->kib[i] = 0;

	floors->n_doubled++;
}

static void drop_oldest(struct floors *floors, uint64_t n)
{
	for (size_t i = 0; i < FLOORS_SLOTS; i++)
		floors->kib[i] = n < FLOORS_SLOTS - i ? floors->kib[i + n] : 0;

	floors->begin_usec += n * span_usec(floors);
}

/* The slot that @now_usec belongs to, after room was made for it. */
static size_t make_room(struct floors *floors, uint64_t now_usec)
{
	uint64_t at = (now_usec - floors->begin_usec) / span_usec(floors);

	while (at >= FLOORS_SLOTS && span_usec(floors) < FLOORS_SPAN_MAX_USEC) {
		halve(floors);
		at = (now_usec - floors->begin_usec) / span_usec(floors);
	}
	if (at < FLOORS_SLOTS)
		return (size_t)at;

	drop_oldest(floors, at - FLOORS_SLOTS + 1);
	return FLOORS_SLOTS - 1;
}

void floors_add(struct floors *floors, uint64_t in_use_bytes, uint64_t now_usec)
{
	const uint32_t kib = (uint32_t)MIN(in_use_bytes / KIB, UINT32_MAX - 1) + 1;
	size_t at;

	if (floors->n == 0)
		*floors = (struct floors){ .begin_usec = now_usec };
	if (now_usec < floors->begin_usec)
		return;

	at = make_room(floors, now_usec);
	floors->kib[at] = lesser(floors->kib[at], kib);
	if (floors->n < UINT32_MAX)
		floors->n++;
}

struct rise floors_rise(const struct floors *floors, uint64_t last_usec)
{
	uint32_t used[FLOORS_SLOTS], parts[PARTS] = { 0 };
	struct rise rise = { .n_figures = floors->n };

	for (size_t i = 0; i < FLOORS_SLOTS; i++)
		if (floors->kib[i] > 0)
			used[rise.n++] = floors->kib[i];
	if (rise.n < FLOORS_ENOUGH)
		return rise;

	for (uint32_t i = 0; i < rise.n; i++)
		parts[i * PARTS / rise.n] = lesser(parts[i * PARTS / rise.n], used[i]);

	rise.first_bytes = (parts[0] - 1) * KIB;
	rise.last_bytes = (parts[PARTS - 1] - 1) * KIB;
	rise.last_step_bytes = sub_sat(parts[PARTS - 1], parts[PARTS - 2]) * KIB;
	rise.span_usec = sub_sat(last_usec, floors->begin_usec);
	rise.least_step_bytes = UINT64_MAX;
	for (size_t i = 1; i < PARTS; i++)
		rise.least_step_bytes = MIN(rise.least_step_bytes,
					    sub_sat(parts[i], parts[i - 1]) * KIB);

	return rise;
}
