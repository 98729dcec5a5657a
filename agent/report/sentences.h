/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A diagnosis in words, for the journal and the bus. Pure; each returns @buf. */

#include <stddef.h>

#include "agent/model/diagnosis.h"
#include "agent/model/group.h"
#include "agent/model/member.h"

/* "412M are in use": a clause. */
char *sentences_fact(const struct evidence *evidence, char *buf, size_t size);

/* All of it, the strongest first: "412M are in use, 3M retained". */
char *sentences_evidence(const struct diagnosis *diagnosis, char *buf, size_t size);

/*
 * What to do and how, as one line that can be followed; @member: NULL, or whom it is about.
 * @size is above 0, and SENTENCES_ADVICE_MAX is enough.
 */
#define SENTENCES_ADVICE_MAX 1024
char *sentences_advice(enum advice advice, const struct diagnosis *diagnosis,
		       const struct group *group, const struct member *member, char *buf,
		       size_t size);
