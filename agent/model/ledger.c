/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The ring of outcomes: the only memory between rounds that is not a group's own. */

#include "agent/model/ledger.h"

#include "agent/basic/lock.h"
#include "agent/basic/macro.h"

void ledger_set_name(char buf[static LEDGER_NAME_MAX], const char *name)
{
	const size_t n = strlen(name);

	memcpy(buf, name + sub_sat(n, LEDGER_NAME_MAX - 1), MIN(n, LEDGER_NAME_MAX - 1) + 1);
}

void ledger_touch(struct ledger *ledger)
{
	const size_t next = ledger->n_appended % LEDGER_SIZE;

	touch_memory(&ledger->outcomes[next], sizeof(ledger->outcomes[next]));
	touch_memory(ledger->names[next], sizeof(ledger->names[next]));
}

const struct outcome *ledger_append(struct ledger *ledger, const struct outcome *outcome,
				    const char *name)
{
	const uint64_t released = outcome_released_bytes(outcome);

	if (outcome_is_quiet(outcome)) {
		ledger->n_quiet++;
		return NULL;
	}

	/* Usage also moves while nobody was asked; that is not our doing. */
	if (outcome->n_asked > 0)
		ledger->released_bytes +=
			MIN(released, UINT64_MAX - ledger->released_bytes);

	ledger->outcomes[ledger->n_appended % LEDGER_SIZE] = *outcome;
	ledger_set_name(ledger->names[ledger->n_appended % LEDGER_SIZE], name);
	ledger->n_appended++;
	ledger_touch(ledger);
	return ledger_at(ledger, 0);
}

struct outcome *ledger_find(struct ledger *ledger, uint64_t round)
{
	for (size_t i = 0; i < LEDGER_SIZE; i++)
		if (ledger->outcomes[i].round == round && round > 0)
			return &ledger->outcomes[i];

	return NULL;
}

const struct outcome *ledger_at(const struct ledger *ledger, size_t back)
{
	if (back >= LEDGER_SIZE || back >= ledger->n_appended)
		return NULL;

	return &ledger->outcomes[(ledger->n_appended - 1 - back) % LEDGER_SIZE];
}

const char *ledger_name(const struct ledger *ledger, size_t back)
{
	if (!ledger_at(ledger, back))
		return NULL;

	return ledger->names[(ledger->n_appended - 1 - back) % LEDGER_SIZE];
}
