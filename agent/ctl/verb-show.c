/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl show: what processes hold right now, arena by arena. */

#include <errno.h>

#include "agent/basic/elf.h"
#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/basic/name.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"
#include "agent/ctl/verdict.h"
#include "agent/report/bus-names.h"

#define CLASSES 7
#define COLUMN_NAME_MAX 16

/* Terminals narrower than this show no classes. */
#define CLASSES_WIDTH 116

/* The others are summed up; --json has them all. */
#define ARENAS_SHOWN 10

#define COLUMNS 8

static void print_process(const struct ctl *ctl, const json_t *member)
{
	const unsigned long long busy = fields_number(member, "busy_permyriad");
	const char *libc = fields_string(member, "libc_version");
	char rss[FORMAT_MAX], swap[FORMAT_MAX], names[128];

	fprintf(ctl->out, "%s%s%s %s%llu%s %s, %s\n", output_color(ctl, COLOR_GREEN),
		output_bullet(ctl), output_color(ctl, COLOR_NONE),
		output_color(ctl, COLOR_BOLD),
		(unsigned long long)fields_number(member, "pid"),
		output_color(ctl, COLOR_NONE), fields_string(member, "command"),
		fields_name(member));

	output_pair(ctl, "Process:",
		    "%s resident, %s swapped, %llu threads, %llu.%02llu%% busy",
		    fields_bytes(member, "rss_bytes", rss),
		    fields_bytes(member, "swap_bytes", swap),
		    (unsigned long long)fields_number(member, "threads"), busy / 100,
		    busy % 100);
	output_pair(ctl, "Malloc:", "%s; found: %s; libc %s, hook %s",
		    fields_string(member, "malloc"),
		    fields_list(member, "allocators", names, sizeof(names)),
		    libc[0] != '\0' ? libc : "unknown",
		    fields_string(member, "hook_version"));
}

/* Whether an anchor is good for more than the free ends only a release has shown. */
static unsigned long long reached_arenas(const json_t *member)
{
	return MIN(fields_number(member, "n_anchored_arenas"),
		   sub_sat(fields_number(member, "n_arenas"),
			   fields_number(member, "n_unreached_arenas")));
}

static void print_foreign(const struct ctl *ctl, const char *key, const json_t *foreign)
{
	const uint64_t in_use = fields_number(foreign, "in_use_bytes"),
		       retained = fields_number(foreign, "retained_bytes");
	char a[FORMAT_MAX], b[FORMAT_MAX];

	if (in_use == 0 && retained == 0)
		output_pair(ctl, key, "%s: tells neither what is in use nor what is free",
			    fields_string(foreign, "allocator"));
	else
		output_pair(ctl, key, "%s: %s in use, %s retained", fields_string(foreign, "allocator"),
			    format_bytes(a, in_use), format_bytes(b, retained));
}

static void print_heap(const struct ctl *ctl, const json_t *member)
{
	char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], d[FORMAT_MAX];

	const json_t *foreign;
	size_t i;

	json_array_foreach(json_object_get(member, "foreign"), i, foreign)
		print_foreign(ctl, i == 0 ? "Others:" : "", foreign);

	if (!json_object_get(member, "in_use_bytes")) {
		if (i > 0)
			return;
		output_pair(ctl, "Heap:",
			    "not measured: this allocator has no figures to read, or "
			    "the process never answered");
		return;
	}

	output_pair(ctl, "Heap:", "%s resident; %s in use, %s free (resident or not), %s mapped singly",
		    fields_bytes(member, "heap_rss_bytes", a),
		    fields_bytes(member, "in_use_bytes", b),
		    fields_bytes(member, "free_bytes", c),
		    fields_bytes(member, "mmapped_bytes", d));
	if (fields_number(member, "retained_bytes") == 0)
		output_pair(ctl, "A release:", "has nothing to give back");
	else
		output_pair(ctl, "A release:",
			    "would give back about %s in %s and stall it for at most about %s",
			    fields_bytes(member, "retained_bytes", a),
			    fields_usec(member, "release_usec", b),
			    fields_usec(member, "stall_usec", c));
	if (fields_number(member, "borrow_bytes") > 0)
		output_pair(ctl, "Borrowing:",
			    "about %s in %s, stalling for at most about %s; reaches %llu of "
			    "%llu arenas%s",
			    fields_bytes(member, "borrow_bytes", a),
			    fields_usec(member, "borrow_usec", b),
			    fields_usec(member, "borrow_stall_usec", c), reached_arenas(member),
			    (unsigned long long)fields_number(member, "n_arenas"),
			    fields_number(member, "n_unreached_arenas") > 0 ?
				    ", and of the others free ends alone" : "");
}

/* "predicted 210M, released 198M (94%), predicted stall 12ms, took 9ms, full" */
static void print_last(const struct ctl *ctl, const json_t *last)
{
	const uint64_t released = fields_number(last, "released_bytes");
	char predicted[FORMAT_MAX], bytes[FORMAT_MAX], stall[FORMAT_MAX], usec[FORMAT_MAX],
		took[FORMAT_MAX], ago[FORMAT_MAX], share[32] = "";
	uint64_t expected;

	fields_round_usec(fields_number(last, "age_usec"), ago);
	if (!fields_find(last, "predicted_bytes", &expected)) {
		output_pair(ctl, "Last one:", "released %s in %s, by %s, %s ago",
			    fields_bytes(last, "released_bytes", bytes),
			    fields_usec(last, "duration_usec", took),
			    fields_string(last, "method"), ago);
		return;
	}

	if (expected >= MIB)
		snprintf(share, sizeof(share), " (%llu%%)",
			 (unsigned long long)(released / (expected / 100)));
	output_pair(ctl, "Last one:",
		    "predicted %s, released %s%s; predicted stall %s, stalled for at most %s; "
		    "took %s, by %s, %s ago",
		    format_bytes(predicted, expected),
		    fields_bytes(last, "released_bytes", bytes), share,
		    fields_usec(last, "predicted_stall_usec", usec),
		    json_object_get(last, "stall_usec")
			    ? fields_usec(last, "stall_usec", stall)
			    : fields_usec(last, "duration_usec", stall),
		    fields_usec(last, "duration_usec", took), fields_string(last, "method"),
		    ago);
}

/* "it is stopped: SIGCONT lets it go on; these are the last known figures, 12s old" */
static void print_problem(const struct ctl *ctl, const json_t *member)
{
	const char *error = fields_string(member, "error");
	char text[FORMAT_MAX], age[FORMAT_MAX + 16] = "";
	uint64_t usec;

	if (error[0] == '\0')
		return;

	if (!fields_is(member, "gone") && fields_find(member, "stats_age_usec", &usec))
		snprintf(age, sizeof(age), ", %s old", fields_round_usec(MAX(usec, USEC_PER_SEC), text));
	output_pair(ctl, "Problem:", "it %s%s", error, age);
}

static void print_history(const struct ctl *ctl, const json_t *member)
{
	const json_t *last = json_object_get(member, "last_release");
	char text[256];

	if (last)
		print_last(ctl, last);
	if (fields_list(member, "tuned", text, sizeof(text))[0] != '\0')
		output_pair(ctl, "Tuned:", "%s", text);
	if (fields_list(member, "env_tuned", text, sizeof(text))[0] != '\0')
		output_pair(ctl, "Not ours:", "%s (set by its own environment)", text);
	if (fields_is(member, "bad_environment"))
		output_pair(ctl, "Note:",
			    "a value of MEMGUARD or MEMGUARD_* was ignored: look at "
			    "/proc/%llu/environ, and memguard-hook(7) for what is understood",
			    (unsigned long long)fields_number(member, "pid"));
	if (fields_string(member, "missing_symbols")[0] != '\0')
		output_pair(ctl, "Note:",
			    "%s is linked into it, where the hook does not see it: "
			    "\"memguardctl%s enable\" its unit again, or start it with "
			    "MEMGUARD_SYMBOLS=%s",
			    elf_symbols_allocator(fields_string(member, "missing_symbols")),
			    ctl_user(ctl),
			    fields_string(member, "missing_symbols"));
	print_problem(ctl, member);
}

/* "<=4K" and so on; the last one is open: ">1M". */
static void name_classes(const json_t *member, char names[CLASSES][COLUMN_NAME_MAX])
{
	const json_t *limits = json_object_get(member, "class_limit_bytes");
	uint64_t limit = 0;

	for (size_t i = 0; i < CLASSES; i++) {
		const json_t *item = json_array_get(limits, i);
		const bool is_last = !item;

		if (item)
			limit = (uint64_t)json_integer_value(item);
		if (limit < MIB)
			snprintf(names[i], COLUMN_NAME_MAX, "%s%lluK",
				 is_last ? ">" : "<=",
				 (unsigned long long)(limit / KIB) % 10000);
		else
			snprintf(names[i], COLUMN_NAME_MAX, "%s%lluM",
				 is_last ? ">" : "<=",
				 (unsigned long long)(limit / MIB) % 10000);
	}
}

static const char *const figures[] = { "system_bytes", "free_bytes",	 "whole_pages_bytes",
				       "top_bytes",    "unsorted_bytes", "retained_bytes" };

struct sums {
	uint64_t figures[ARRAY_SIZE(figures)];
	uint64_t classes[CLASSES];
	uint64_t stall_usec; /* the longest */
	size_t n;
};

static void add_bytes(struct table *table, enum color color, uint64_t bytes)
{
	char text[FORMAT_MAX];

	if (bytes == 0)
		table_cell(table, COLOR_DIM, ".");
	else
		table_cell(table, color, "%s", format_bytes(text, bytes));
}

static void add_usec(struct table *table, enum color color, uint64_t usec)
{
	char text[FORMAT_MAX];

	if (usec == 0)
		table_cell(table, COLOR_DIM, ".");
	else
		table_cell(table, color, "%s", format_usec(text, usec));
}

static void sum_arena(struct sums *sums, const json_t *arena)
{
	const json_t *classes = json_object_get(arena, "class_bytes");

	sums->n++;
	sums->stall_usec = MAX(sums->stall_usec, fields_number(arena, "stall_usec"));
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		sums->figures[i] += fields_number(arena, figures[i]);
	for (size_t i = 0; i < CLASSES; i++)
		sums->classes[i] +=
			(uint64_t)json_integer_value(json_array_get(classes, i));
}

static void add_sums(struct table *table, enum color color, const char *name,
		     const struct sums *sums)
{
	table_row(table);
	table_cell(table, color, "%s", name);
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		add_bytes(table, color, sums->figures[i]);
	add_usec(table, color, sums->stall_usec);
	for (size_t i = 0; i < CLASSES; i++)
		add_bytes(table, color, sums->classes[i]);
}

/* What a release would come from: by retained bytes, then by address space. */
static bool is_before(const json_t *a, const json_t *b)
{
	const uint64_t x = fields_number(a, "retained_bytes"),
		       y = fields_number(b, "retained_bytes");

	return x != y ? x > y
		      : fields_number(a, "system_bytes") > fields_number(b, "system_bytes");
}

/* The few that matter most, best first; there are never many. */
static size_t rank_arenas(const json_t *arenas, const json_t *top[static ARENAS_SHOWN])
{
	const json_t *arena;
	size_t i, k, n = 0;

	json_array_foreach(arenas, i, arena)
	{
		if (n < ARENAS_SHOWN)
			n++;
		else if (!is_before(arena, top[n - 1]))
			continue;
		for (k = n - 1; k > 0 && is_before(arena, top[k - 1]); k--)
			top[k] = top[k - 1];
		top[k] = arena;
	}

	return n;
}

static void add_arenas(struct table *table, const json_t *arenas)
{
	const json_t *top[ARENAS_SHOWN], *arena;
	const size_t n = rank_arenas(arenas, top);
	struct sums all = { 0 }, rest = { 0 };
	char name[32];
	size_t i, k;

	json_array_foreach(arenas, i, arena)
	{
		sum_arena(&all, arena);
		for (k = 0; k < n && top[k] != arena; k++)
			;
		if (k == n)
			sum_arena(&rest, arena);
	}

	for (k = 0; k < n; k++) {
		struct sums one = { 0 };

		sum_arena(&one, top[k]);
		snprintf(name, sizeof(name), "%llu",
			 (unsigned long long)fields_number(top[k], "nr"));
		add_sums(table, COLOR_NONE, name, &one);
	}
	if (rest.n > 0) {
		snprintf(name, sizeof(name), "%zu more", rest.n);
		add_sums(table, COLOR_NONE, name, &rest);
	}
	add_sums(table, COLOR_BOLD, "all", &all);
}

static int print_arenas(const struct ctl *ctl, const json_t *member)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *arenas = json_object_get(member, "arenas");
	struct table_column columns[COLUMNS + CLASSES] = {
		{ .name = "ARENA", .right = true },
		{ .name = "SYSTEM", .right = true },
		{ .name = "FREE", .right = true },
		{ .name = "PAGES", .right = true },
		{ .name = "TOP", .right = true },
		{ .name = "UNSORTED", .right = true, .least_width = 70 },
		{ .name = "RELEASE", .right = true },
		{ .name = "STALL", .right = true },
	};
	char names[CLASSES][COLUMN_NAME_MAX];
	size_t i;
	int r;

	if (json_array_size(arenas) == 0)
		return 0;

	name_classes(member, names);
	for (i = 0; i < CLASSES; i++)
		columns[COLUMNS + i] = (struct table_column){
			.name = names[i], .right = true, .least_width = CLASSES_WIDTH
		};

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	add_arenas(table, arenas);

	fputc('\n', ctl->out);
	r = table_print(table);
	output_note(
		ctl,
		"PAGES: whole pages inside free chunks. RELEASE, STALL: predicted of a full "
		"release.%s",
		ctl->width == 0 || ctl->width >= CLASSES_WIDTH
			? " From <= on: free bytes by size of the chunk."
			: "");
	return r;
}

static bool has_allocator(const json_t *member, const char *allocator)
{
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(member, "allocators"), i, name)
		if (streq(json_string_value(name), allocator))
			return true;

	return false;
}

/*
 * An allocator in the program's own file that the hook in it did not find. The file may be
 * anybody's, and slow: it is looked at here, where nobody else waits for it, and not by the
 * daemon, which may not look into programs anyway.
 */
static void find_symbols(json_t *member)
{
	char path[64], symbols[ELF_VARIABLE_MAX];

	snprintf(path, sizeof(path), "/proc/%llu/exe",
		 (unsigned long long)fields_number(member, "pid"));
	if (elf_symbols_variable(path, symbols, sizeof(symbols)) >= 0 &&
	    !has_allocator(member, elf_symbols_allocator(symbols)))
		(void)json_object_set_new(member, "missing_symbols", json_string(symbols));
}

/* Of the many only some are asked at once. */
static void tell_left_out(struct ctl *ctl, const char *what, size_t n_shown)
{
	json_t *members = NULL;
	char name[NAME_QUOTED_MAX];

	if (n_shown < BUS_SHOW_MAX ||
	    client_call_what(ctl, "ListMembers", what, &members) < 0)
		return;

	/* Those who read JSON would not see a note. */
	if (json_array_size(members) > n_shown)
		log_warning("%zu more are not shown: name one, \"memguardctl%s show PID\", of those "
			    "that \"memguardctl%s list %s\" shows",
			    json_array_size(members) - n_shown, ctl_user(ctl), ctl_user(ctl),
			    name_quote(what, name, sizeof(name)));
	json_decref(members);
}

static bool are_gone(const json_t *members)
{
	const json_t *member;
	size_t i;

	json_array_foreach(members, i, member)
		if (!fields_is(member, "gone"))
			return false;

	return json_array_size(members) > 0;
}

int verb_show(struct ctl *ctl, int argc, char **argv)
{
	json_t *members = NULL, *member;
	size_t i;
	int r;

	(void)argc;
	r = client_call_what(ctl, "Show", argv[1], &members);
	json_array_foreach(members, i, member)
		find_symbols(member);
	if (r >= 0 && !output_json(ctl, members))
		json_array_foreach(members, i, member)
		{
			if (i > 0)
				fputc('\n', ctl->out);
			print_process(ctl, member);
			print_heap(ctl, member);
			print_history(ctl, member);
			if (json_object_get(member, "verdict") && !fields_is(member, "gone"))
				verdict_print(ctl, member);
			r = print_arenas(ctl, member);
			if (r < 0)
				break;
		}
	if (r >= 0)
		tell_left_out(ctl, argv[1], json_array_size(members));
	if (r >= 0 && are_gone(members)) {
		log_error("Nothing was measured: \"%s\" ended while it was asked", argv[1]);
		r = -ESRCH;
	}

	json_decref(members);
	return client_exit(r);
}
