/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A ring of short spans for each step. */

#include "agent/model/steps.h"

#include "agent/basic/macro.h"

void steps_count(struct steps *steps, enum step step, uint64_t now_usec)
{
	const uint64_t slot = MAX(now_usec / STEPS_SLOT_USEC, steps->all[step].slot);
	const uint64_t n_new = MIN(slot - steps->all[step].slot, STEPS_SLOTS);
	uint16_t *n = steps->all[step].n;

	for (uint64_t i = 0; i < n_new; i++)
		n[(slot - i) % STEPS_SLOTS] = 0;

	n[slot % STEPS_SLOTS] += n[slot % STEPS_SLOTS] < UINT16_MAX;
	steps->all[step].slot = (uint32_t)slot;
	steps->all[step].last_usec = MAX(now_usec, 1);
}

uint64_t steps_last_usec(const struct steps *steps, enum step step)
{
	return steps ? steps->all[step].last_usec : 0;
}

uint32_t steps_n(const struct steps *steps, enum step step, uint64_t now_usec)
{
	uint64_t newest, slot;
	uint32_t n = 0;

	if (!steps)
		return 0;

	newest = steps->all[step].slot;
	slot = MAX(now_usec / STEPS_SLOT_USEC, newest);
	for (uint64_t i = slot - newest; i < STEPS_SLOTS && i <= slot; i++)
		n += steps->all[step].n[(slot - i) % STEPS_SLOTS];

	return n;
}

const char *step_to_string(enum step step)
{
	switch (step) {
	case STEP_RELEASE:
		return "release";
	case STEP_TUNE:
		return "tune";
	case STEP_RECLAIM:
		return "reclaim";
	case STEP_ALERT:
		return "alert";
	case STEP_COMMAND:
		return "command";
	case STEP_MAX_:
		break;
	}

	return "unknown";
}
