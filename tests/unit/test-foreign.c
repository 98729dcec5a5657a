/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A jemalloc that is this program's own: what is asked of which of its arenas. */

#include "libhook/foreign.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"

#define N_ARENAS 4

static const struct environment_symbols no_symbols;
static const int usual_hooks, program_hooks;

static struct {
	const void *hooks;
	long dirty, muzzy;
	int n_purges;
} arenas[N_ARENAS];

static long common_dirty, common_muzzy;
/* What it was told before anything ran; NULL: this build does not tell. */
static const long *option_dirty, *option_muzzy;
static int n_go_ons;

static int transfer(void *value, size_t size, void *old, const size_t *old_size, const void *new, size_t new_size)
{
	if (old && *old_size == size)
		memcpy(old, value, size);
	if (new && new_size == size)
		memcpy(value, new, size);

	return 0;
}

static int arena_ctl(const char *name, void *old, size_t *old_size, const void *new, size_t new_size)
{
	unsigned int i = 0;
	char what[32] = "";

	if (sscanf(name, "arena.%u.%31s", &i, what) != 2 || i >= N_ARENAS)
		return 2;
	/* One that was never used. */
	if (!arenas[i].hooks)
		return 14;
	if (strcmp(what, "extent_hooks") == 0)
		return transfer(&arenas[i].hooks, sizeof(void *), old, old_size, new, new_size);
	if (strcmp(what, "dirty_decay_ms") == 0)
		return transfer(&arenas[i].dirty, sizeof(long), old, old_size, new, new_size);
	if (strcmp(what, "muzzy_decay_ms") == 0)
		return transfer(&arenas[i].muzzy, sizeof(long), old, old_size, new, new_size);
	if (strcmp(what, "purge") != 0)
		return 2;

	arenas[i].n_purges++;
	return 0;
}

static int option_ctl(const long *option, void *old, const size_t *old_size)
{
	long value;

	if (!option)
		return 2;

	value = *option;
	return transfer(&value, sizeof(value), old, old_size, NULL, 0);
}

int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
{
	static const char *version = "5.3.0-test";
	unsigned int n = N_ARENAS;

	if (strcmp(name, "version") == 0)
		return transfer(&version, sizeof(version), old, old_size, NULL, 0);
	if (strcmp(name, "arenas.narenas") == 0)
		return transfer(&n, sizeof(n), old, old_size, NULL, 0);
	if (strcmp(name, "arenas.dirty_decay_ms") == 0)
		return transfer(&common_dirty, sizeof(long), old, old_size, new, new_size);
	if (strcmp(name, "arenas.muzzy_decay_ms") == 0)
		return transfer(&common_muzzy, sizeof(long), old, old_size, new, new_size);

	if (strcmp(name, "opt.dirty_decay_ms") == 0)
		return option_ctl(option_dirty, old, old_size);
	if (strcmp(name, "opt.muzzy_decay_ms") == 0)
		return option_ctl(option_muzzy, old, old_size);

	return strncmp(name, "arena.", 6) == 0 ? arena_ctl(name, old, old_size, new, new_size) : 2;
}

__attribute__((visibility("default"))) void *mallocx(size_t, int);
void *mallocx(size_t size, int flags)
{
	(void)size;
	(void)flags;
	return NULL;
}

/* The usual one, one with the program's hooks, one not used, and one for huge blocks. */
static void make(struct foreigners *ret)
{
	static const long dirty = 10000, muzzy = 0;

	option_dirty = &dirty;
	option_muzzy = &muzzy;
	common_dirty = 10000;
	common_muzzy = 0;
	n_go_ons = 0;
	memset(arenas, 0, sizeof(arenas));
	for (size_t i = 0; i < N_ARENAS; i++)
		if (i != 2) {
			arenas[i].hooks = i == 1 ? &program_hooks : &usual_hooks;
			arenas[i].dirty = i == 3 ? 0 : common_dirty;
		}

	foreign_find(ret, &no_symbols);
	CHECK_EQ(ret->n, 1);
}

static bool go_on(void *arg)
{
	return n_go_ons++ < *(const int *)arg;
}

static void test_arenas_with_hooks_of_their_own_are_left_alone(void)
{
	const struct wire_reclaim_request request = { .method = WIRE_METHOD_FULL };
	struct wire_reclaim_reply reply = { .method = WIRE_METHOD_FULL };
	struct foreigners foreigners;
	int for_long = 100;

	make(&foreigners);
	CHECK(foreign_reclaim(&foreigners, &request, go_on, &for_long, &reply));
	CHECK_EQ(reply.end, WIRE_END_DONE);
	CHECK_EQ(arenas[0].n_purges, 1);
	CHECK_EQ(arenas[1].n_purges, 0);
	CHECK_EQ(arenas[2].n_purges, 0);
	CHECK_EQ(arenas[3].n_purges, 1);
}

/* Wherever they are: it may have set them before it made its first block. */
static void test_hooks_that_are_in_all_arenas_are_not_jemallocs(void)
{
	const struct wire_reclaim_request request = { .method = WIRE_METHOD_FULL };
	struct wire_reclaim_reply reply = { .method = WIRE_METHOD_FULL };
	void *elsewhere = malloc(sizeof(program_hooks));
	struct foreigners foreigners;
	enum wire_effect effect;
	int for_long = 100;

	make(&foreigners);
	for (size_t i = 0; i < N_ARENAS; i++)
		arenas[i].hooks = elsewhere;
	CHECK(foreign_reclaim(&foreigners, &request, go_on, &for_long, &reply));
	CHECK_EQ(foreign_decay(&foreigners, 500, 0, &effect), WIRE_OK);
	for (size_t i = 0; i < N_ARENAS; i++) {
		CHECK_EQ(arenas[i].n_purges, 0);
		CHECK_EQ(arenas[i].dirty, i == 2 || i == 3 ? 0 : 10000);
	}
	free(elsewhere);
}

static void test_a_release_stops_when_nobody_wants_it(void)
{
	const struct wire_reclaim_request request = { .method = WIRE_METHOD_FULL };
	struct wire_reclaim_reply reply = { .method = WIRE_METHOD_FULL };
	struct foreigners foreigners;
	int times = 0;

	make(&foreigners);
	CHECK(!foreign_reclaim(&foreigners, &request, go_on, &times, &reply));
	CHECK_EQ(arenas[0].n_purges, 0);

	make(&foreigners);
	times = 1;
	CHECK(foreign_reclaim(&foreigners, &request, go_on, &times, &reply));
	CHECK_EQ(reply.end, WIRE_END_LEFT);
	CHECK_EQ(arenas[0].n_purges, 1);
	CHECK_EQ(arenas[3].n_purges, 0);
}

static void test_a_decay_of_its_own_stays(void)
{
	struct foreigners foreigners;
	enum wire_effect effect;

	make(&foreigners);
	CHECK_EQ(foreign_decay(&foreigners, 500, 0, &effect), WIRE_OK);
	CHECK_EQ(common_dirty, 500);
	CHECK_EQ(common_muzzy, 500);
	CHECK_EQ(arenas[0].dirty, 500);
	CHECK_EQ(arenas[0].muzzy, 500);
	CHECK_EQ(arenas[1].dirty, 10000);
	CHECK_EQ(arenas[1].muzzy, 0);
	CHECK_EQ(arenas[3].dirty, 0);
}

static void check_decay(const long *dirty, const long *muzzy, enum wire_status status)
{
	struct foreigners foreigners;
	enum wire_effect effect;

	make(&foreigners);
	option_dirty = dirty;
	option_muzzy = muzzy;
	CHECK_EQ(foreign_decay(&foreigners, 500, 0, &effect), status);
	CHECK_EQ(effect, status == WIRE_OK ? WIRE_EFFECT_SET : WIRE_EFFECT_OPERATOR);
	CHECK_EQ(common_dirty, status == WIRE_OK ? 500 : 10000);
	CHECK_EQ(arenas[0].dirty, status == WIRE_OK ? 500 : 10000);
	CHECK_EQ(common_muzzy, status == WIRE_OK ? 500 : 0);
}

/* Also when not by a variable: /etc/malloc.conf, malloc_conf, or the one who built it. */
static void test_a_decay_that_was_said_anywhere_stays(void)
{
	static const long usual = 10000, none = 0, never = -1, other = 9999;

	check_decay(&usual, &none, WIRE_OK);
	check_decay(&usual, &usual, WIRE_OK);
	check_decay(&other, &none, WIRE_REFUSED);
	check_decay(&never, &none, WIRE_REFUSED);
	check_decay(&usual, &other, WIRE_REFUSED);
	check_decay(NULL, &none, WIRE_REFUSED);
	check_decay(&usual, NULL, WIRE_REFUSED);
}

static void test_a_second_decay_of_ours_is_taken(void)
{
	struct foreigners foreigners;
	enum wire_effect effect;

	make(&foreigners);
	CHECK_EQ(foreign_decay(&foreigners, 500, 0, &effect), WIRE_OK);
	CHECK_EQ(foreign_decay(&foreigners, 0, 0, &effect), WIRE_OK);
	CHECK_EQ(arenas[0].dirty, 0);
}

int main(void)
{
	RUN(test_arenas_with_hooks_of_their_own_are_left_alone);
	RUN(test_hooks_that_are_in_all_arenas_are_not_jemallocs);
	RUN(test_a_release_stops_when_nobody_wants_it);
	RUN(test_a_decay_of_its_own_stays);
	RUN(test_a_decay_that_was_said_anywhere_stays);
	RUN(test_a_second_decay_of_ours_is_taken);
	return TEST_RESULT();
}
