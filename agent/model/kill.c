/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/model/kill.h"

void kills_append(struct kills *kills, const struct kill *kill)
{
	kills->kills[kills->n_appended++ % KILLS_SIZE] = *kill;
}

const struct kill *kills_at(const struct kills *kills, size_t back)
{
	if (back >= KILLS_SIZE || back >= kills->n_appended)
		return NULL;

	return &kills->kills[(kills->n_appended - 1 - back) % KILLS_SIZE];
}
