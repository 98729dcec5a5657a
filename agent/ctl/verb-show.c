/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl show: what processes hold right now, arena by arena. */

#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"
#include "agent/ctl/verbs.h"

#define CLASSES 7
#define COLUMN_NAME_MAX 16

/* Terminals narrower than this show no classes. */
#define CLASSES_WIDTH 98

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

static void print_heap(const struct ctl *ctl, const json_t *member)
{
	char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], d[FORMAT_MAX];

	if (!json_object_get(member, "in_use_bytes")) {
		output_pair(ctl, "Heap:",
			    "not measured: this allocator has no figures to read, or "
			    "the process never answered");
		return;
	}

	output_pair(ctl, "Heap:", "%s resident, %s in use, %s free, %s mapped singly",
		    fields_bytes(member, "heap_rss_bytes", a),
		    fields_bytes(member, "in_use_bytes", b),
		    fields_bytes(member, "free_bytes", c),
		    fields_bytes(member, "mmapped_bytes", d));
	output_pair(ctl, "A release:",
		    "would give back about %s and stall it for at most about %s",
		    fields_bytes(member, "retained_bytes", a),
		    fields_usec(member, "stall_usec", b));
}

static void print_history(const struct ctl *ctl, const json_t *member)
{
	const json_t *last = json_object_get(member, "last_release");
	char text[256], bytes[FORMAT_MAX], usec[FORMAT_MAX], ago[FORMAT_MAX];

	if (last)
		output_pair(ctl, "Last one:", "%s in %s, %s ago",
			    fields_bytes(last, "released_bytes", bytes),
			    fields_usec(last, "duration_usec", usec),
			    fields_round_usec(fields_number(last, "age_usec"), ago));
	if (fields_list(member, "tuned", text, sizeof(text))[0] != '\0')
		output_pair(ctl, "Tuned:", "%s", text);
	if (fields_list(member, "env_tuned", text, sizeof(text))[0] != '\0')
		output_pair(ctl, "Not ours:", "%s (set by its own environment)", text);
	if (fields_is(member, "bad_environment"))
		output_pair(ctl,
			    "Note:", "a MEMGUARD_* value in its environment was ignored");
	if (fields_string(member, "error")[0] != '\0')
		output_pair(ctl, "Problem:", "it %s", fields_string(member, "error"));
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

static const char *const figures[] = { "system_bytes", "free_bytes", "top_bytes",
				       "whole_pages_bytes", "unsorted_bytes" };

struct sums {
	uint64_t figures[ARRAY_SIZE(figures)];
	uint64_t classes[CLASSES];
};

static void add_bytes(struct table *table, enum color color, uint64_t bytes)
{
	char text[FORMAT_MAX];

	if (bytes == 0)
		table_cell(table, COLOR_DIM, ".");
	else
		table_cell(table, color, "%s", format_bytes(text, bytes));
}

static void add_arena(struct table *table, const json_t *arena, struct sums *sums)
{
	const json_t *classes = json_object_get(arena, "class_bytes");
	uint64_t bytes;

	table_row(table);
	table_cell(table, COLOR_NONE, "%llu",
		   (unsigned long long)fields_number(arena, "nr"));
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		bytes = fields_number(arena, figures[i]);
		sums->figures[i] += bytes;
		add_bytes(table, COLOR_NONE, bytes);
	}

	for (size_t i = 0; i < CLASSES; i++) {
		bytes = (uint64_t)json_integer_value(json_array_get(classes, i));
		sums->classes[i] += bytes;
		add_bytes(table, COLOR_NONE, bytes);
	}
}

static void add_sums(struct table *table, const struct sums *sums)
{
	table_row(table);
	table_cell(table, COLOR_BOLD, "all");
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		add_bytes(table, COLOR_BOLD, sums->figures[i]);
	for (size_t i = 0; i < CLASSES; i++)
		add_bytes(table, COLOR_BOLD, sums->classes[i]);
}

static int print_arenas(const struct ctl *ctl, const json_t *member)
{
	_cleanup_(table_freep) struct table *table = NULL;
	const json_t *arenas = json_object_get(member, "arenas");
	struct table_column columns[1 + ARRAY_SIZE(figures) + CLASSES] = {
		{ .name = "ARENA", .right = true }, { .name = "SYSTEM", .right = true },
		{ .name = "FREE", .right = true },  { .name = "TOP", .right = true },
		{ .name = "PAGES", .right = true }, { .name = "UNSORTED", .right = true },
	};
	char names[CLASSES][COLUMN_NAME_MAX];
	struct sums sums = { 0 };
	const json_t *arena;
	size_t i;
	int r;

	if (json_array_size(arenas) == 0)
		return 0;

	name_classes(member, names);
	for (i = 0; i < CLASSES; i++)
		columns[1 + ARRAY_SIZE(figures) + i] = (struct table_column){
			.name = names[i], .right = true, .least_width = CLASSES_WIDTH
		};

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	json_array_foreach(arenas, i, arena) add_arena(table, arena, &sums);
	add_sums(table, &sums);

	fputc('\n', ctl->out);
	r = table_print(table);
	output_note(
		ctl,
		"PAGES: whole pages inside free chunks, which a release gives back.%s",
		ctl->width == 0 || ctl->width >= CLASSES_WIDTH
			? " From <= on: free bytes by size of the chunk."
			: "");
	return r;
}

int verb_show(struct ctl *ctl, int argc, char **argv)
{
	json_t *members = NULL;
	const json_t *member;
	size_t i;
	int r;

	(void)argc;
	r = client_call_what(ctl, "Show", argv[1], &members);
	if (r >= 0 && !output_json(ctl, members))
		json_array_foreach(members, i, member)
		{
			if (i > 0)
				fputc('\n', ctl->out);
			print_process(ctl, member);
			print_heap(ctl, member);
			print_history(ctl, member);
			r = print_arenas(ctl, member);
			if (r < 0)
				break;
		}

	json_decref(members);
	return client_exit(r);
}
