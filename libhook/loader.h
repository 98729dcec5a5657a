/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the loader knows by name. Every name in weak.h is looked up in every program as it starts,
 * through all of its objects; what few programs need is asked for here instead. In the
 * constructor, and where that was not reached yet, in the first pthread_create(): elsewhere
 * another thread may hold the loader's lock.
 */

/* As a weak reference of ours would find it; NULL when nobody has it. */
void *loader_find(const char *name);

/* The program's own pthread_create(), behind ours; NULL where it has none. */
void *loader_next_create(void);
