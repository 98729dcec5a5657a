/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Goes on after every finding: whoever mends a file wants to see all of them at once. */

#include "agent/config/load.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/macro.h"
#include "agent/basic/name.h"
#include "agent/config/hints.h"
#include "agent/config/lines.h"
#include "agent/config/unit-files.h"
#include "agent/config/unit-text.h"

#define SECTIONS_MAX 16

/* A plain section in the file that is being read. */
struct seen {
	const char *section;
	unsigned int line;
};

struct load {
	struct config *config;
	const char *root;
	bool user;
	config_message_t message;
	void *userdata;
	bool is_bad; /* something was told about a file's text */
	int error; /* the first file that could not be read, or -ENOMEM */
	unsigned int order;

	/* The file that is being read. */
	const char *file;
	bool of_unit;
	unsigned int odd_line; /* in one of a unit: as in struct file */
	struct scope *scope; /* NULL: no section so far, or an unknown one */
	const char *section; /* in the plain scope: which */
	bool in_section;
	struct seen seen[SECTIONS_MAX];
	size_t n_seen;
};

_printf_(3, 4) static void tell(struct load *load, unsigned int line, const char *format,
				...)
{
	char text[LINES_MESSAGE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);

	load->is_bad = true;
	load->message(load->file, line, text, load->userdata);
}

/* Opens the plain section @title. 0, or -ENOENT when there is none of that name. */
static int open_plain(struct load *load, const char *title, unsigned int line)
{
	const char *section = NULL;

	for (size_t i = 0; i < n_option_rows && !section; i++)
		if (streq(option_rows[i].section, title))
			section = option_rows[i].section;
	if (!section)
		return -ENOENT;

	load->scope = load->config->scopes[0];
	load->section = section;
	for (size_t i = 0; i < load->n_seen; i++)
		if (load->seen[i].section == section) {
			tell(load, line,
			     "section [%s] begins a second time, first in line %u; "
			     "put both together",
			     title, load->seen[i].line);
			return 0;
		}

	if (load->n_seen < SECTIONS_MAX)
		load->seen[load->n_seen++] = (struct seen){ section, line };
	return 0;
}

/* "" when @name can be a unit's, or what to do about it. */
static const char *check_unit(const char *name)
{
	const char *c;

	if (strchr(name, '/'))
		return "a unit's name has no \"/\"; write [Cgroup PATTERN] for a "
		       "cgroup's path";

	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(":-_.\\@", *c))
			return "it is not a unit's name; write [Service NAME], such as "
			       "[Service nginx.service], or [Cgroup PATTERN] for a "
			       "pattern";

	return "";
}

static void open_override(struct load *load, enum scope_kind kind, const char *name,
			  unsigned int line)
{
	struct scope *scope;
	int r;

	r = config_scope(load->config, kind, name, &scope);
	if (r < 0) {
		load->error = r;
		return;
	}

	load->scope = scope;
	if (scope->opened.file == load->file)
		tell(load, line,
		     "section [%s] begins a second time, first in line %u; put both "
		     "together",
		     load->of_unit ? UNIT_TEXT_SECTION : scope->title, scope->opened.line);
	else
		scope->opened = (struct source){ .file = load->file, .line = line };
}

static void open_service(struct load *load, const char *name, unsigned int line)
{
	char unit[MAX(LINES_LENGTH_MAX + 1, UNIT_FILES_NAME_MAX) + sizeof(".service")];
	const char *wrong = check_unit(name), *at;

	if (wrong[0] != '\0') {
		tell(load, line, "[Service %s]: %s", name, wrong);
		return;
	}

	snprintf(unit, sizeof(unit), "%s%s", name,
		 name_has_suffix(name) ? "" : ".service");
	at = strchr(unit, '@');
	open_override(load, at && at[1] == '.' ? SCOPE_TEMPLATE : SCOPE_SERVICE, unit,
		      line);
}

static void open_cgroup(struct load *load, const char *pattern, unsigned int line)
{
	if (pattern[0] == '/')
		open_override(load, SCOPE_CGROUP, pattern, line);
	else
		tell(load, line,
		     "[Cgroup %s]: a cgroup's path begins with \"/\"; write [Cgroup /%s]",
		     pattern, pattern);
}

/* The rest of @title behind the word @word, which ends there; or NULL. */
static const char *after_word(const char *title, const char *word)
{
	const size_t n = strlen(word);

	if (strncmp(title, word, n) != 0 ||
	    (title[n] != '\0' && !isblank((unsigned char)title[n])))
		return NULL;

	return title + n + strspn(title + n, " \t");
}

static void on_section(const char *title, unsigned int line, void *userdata)
{
	struct load *load = userdata;
	const char *unit = after_word(title, "Service");
	const char *pattern = after_word(title, "Cgroup");
	char text[LINES_MESSAGE_MAX];

	load->in_section = true;
	load->scope = NULL;
	load->section = NULL;

	if (unit && unit[0] == '\0') {
		tell(load, line,
		     "[Service] does not say which; write [Service NAME], such as "
		     "[Service nginx.service]");
	} else if (pattern && pattern[0] == '\0') {
		tell(load, line,
		     "[Cgroup] does not say which; write [Cgroup PATTERN], such as "
		     "[Cgroup /kubepods.slice/*]");
	} else if (unit) {
		open_service(load, unit, line);
	} else if (pattern) {
		open_cgroup(load, pattern, line);
	} else if (open_plain(load, title, line) < 0) {
		hint_section(title, text, sizeof(text));
		tell(load, line, "%s", text);
	}
}

/* In a drop-in of a unit, where the text has no other section any more. */
static void on_unit_section(const char *title, unsigned int line, void *userdata)
{
	struct load *load = userdata;
	char unit[UNIT_FILES_NAME_MAX];

	load->in_section = true;
	load->scope = NULL;
	load->section = NULL;

	if (streq(title, UNIT_TEXT_SECTION) && unit_files_name(load->root, load->user, load->file, unit))
		open_service(load, unit, line);
	else if (load->odd_line == 0)
		load->odd_line = line;
}

/* NULL, after having told why. */
static const struct option_row *find_row(struct load *load, const char *key,
					 unsigned int line)
{
	const struct option_row *row = option_find(load->section, key);
	char text[LINES_MESSAGE_MAX];

	if (row)
		return row;

	hint_key(load->section, key, text, sizeof(text));
	tell(load, line, "%s", text);
	return NULL;
}

static void set_value(struct load *load, const struct option_row *row, const char *value,
		      unsigned int line)
{
	struct source *source = &load->scope->sources[row - option_rows];
	int r;

	if (source->file == load->file)
		tell(load, line,
		     "%s= is set a second time in this section, first in line %u; "
		     "remove one of them",
		     row->key, source->line);

	r = option_set(row, value, &load->scope->values);
	if (r == -ERANGE)
		tell(load, line, "%s=%s is out of range; write %s", row->key, value,
		     row->hint);
	else if (r < 0)
		tell(load, line, "%s=%s is not understood; write %s", row->key, value,
		     row->hint);

	*source = (struct source){
		.file = load->file,
		/* The first one stays the first also for a third. */
		.line = source->file == load->file ? source->line : line,
		.order = ++load->order,
		.bad = r < 0,
	};
}

static void on_pair(const char *key, const char *value, unsigned int line, void *userdata)
{
	struct load *load = userdata;
	const struct option_row *row;
	char text[LINES_MESSAGE_MAX];

	if (!load->in_section) {
		hint_no_section(key, text, sizeof(text));
		tell(load, line, "%s", text);
		return;
	}

	/* The section itself was told about. */
	if (!load->scope)
		return;

	row = find_row(load, key, line);
	if (row)
		set_value(load, row, value, line);
}

static void on_fault(const char *text, unsigned int line, void *userdata)
{
	tell(userdata, line, "%s", text);
}

/* Where nothing is read nothing is wrong. */
static void on_unit_fault(const char *text, unsigned int line, void *userdata)
{
	struct load *load = userdata;

	if (load->scope || !load->in_section)
		tell(load, line, "%s", text);
}

static const char *reason_of(int r)
{
	return r == -ESPIPE ? "It is a pipe" : strerror(-r);
}

static void load_file(struct load *load, struct file *file, bool named)
{
	static const struct lines_handler handlers[] = {
		{ NULL, on_section, on_pair, on_fault },
		{ unit_text_keep, on_unit_section, on_pair, on_unit_fault }, /* of a unit */
	};
	char text[LINES_MESSAGE_MAX];
	int r = file->error;

	load->file = file->path;
	load->of_unit = file->of_unit;
	load->odd_line = 0;
	load->scope = NULL;
	load->section = NULL;
	load->in_section = false;
	load->n_seen = 0;

	if (r == 0)
		r = lines_read(load->root, file->path, &handlers[file->of_unit], load);
	if (r == 0) {
		file->odd_line = load->odd_line;
		load->config->n_read += !file->of_unit || named || load->in_section;
		return;
	}

	/* Removed since it was listed. What cannot be read of systemd's files is its business. */
	if (!named && (r == -ENOENT || (file->of_unit && !files_is_shortage(r))))
		return;

	snprintf(text, sizeof(text), "cannot be read: %s; %s", reason_of(r),
		 r == -ENOENT ? "check the path"
			      : "check what it is and its permissions");
	load->message(file->path, 0, text, load->userdata);
	if (load->error == 0)
		load->error = r;
}

/* No mistake in what is read, but surely not what was meant. */
static void tell_passed_over(const struct load *load, const struct file *file)
{
	const char *text = "is no directory, and is passed over; make it one for drop-ins, or remove it";

	if (file->error == -ENOENT)
		text = "is a link to nothing, and is passed over; mend or remove it (a link to /dev/null "
		       "would switch off)";
	else if (file->error == -EISDIR)
		text = "is a directory, and is passed over; move the files in it to the one above, or "
		       "rename it";

	load->message(file->path, 0, text, load->userdata);
}

/* Nor is that. */
static void tell_odd(const struct load *load, const struct file *file)
{
	const char *text = "this is not [" UNIT_TEXT_SECTION "], as it has to be written, and nothing "
			   "below it is read";
	char unit[UNIT_FILES_NAME_MAX];

	if (!unit_files_name(load->root, load->user, file->path, unit))
		text = "this directory is not that of one unit or template, and nothing is read there; "
		       "write [Cgroup PATTERN] into memguard.conf.d";

	load->message(file->path, file->odd_line, text, load->userdata);
}

/* Most have nothing for us, and are forgotten at once: of a large machine that would be much. */
static int on_unit_file(struct file *file, void *userdata)
{
	struct load *load = userdata;
	struct files *files = &load->config->files;
	int r;

	if (file->passed_over)
		return 0;

	r = files_append(files, file);
	if (r < 0)
		return r;

	file->path = NULL;
	load_file(load, &files->items[files->n - 1], false);
	if (!load->in_section)
		free(files->items[--files->n].path);
	return 0;
}

/* A value that was not taken may seem to contradict others. It was told about. */
static bool is_bad(const struct load *load, const struct scope *scope,
		   const struct option_row *row)
{
	const ptrdiff_t i = row - option_rows;

	return scope->sources[i].bad || load->config->scopes[0]->sources[i].bad;
}

/* Of two lines that contradict each other the one to name. NULL: neither is here. */
static const struct source *later_of(const struct load *load, const struct scope *scope,
				     const struct option_row *const rows[static 2])
{
	const struct source *a = &scope->sources[rows[0] - option_rows];
	const struct source *b = &scope->sources[rows[1] - option_rows];

	if (is_bad(load, scope, rows[0]) || is_bad(load, scope, rows[1]))
		return NULL;
	if (a->order == 0 && b->order == 0)
		return NULL;

	return a->order > b->order ? a : b;
}

/* "UsageCritical=92%, the default": of two that contradict each other only one need be in this file. */
static void describe(const struct load *load, const struct scope *scope, const struct option_row *row,
		     const struct group_settings *settings, char *buf, size_t size)
{
	const ptrdiff_t i = row - option_rows;
	const bool is_set = scope->sources[i].order > 0 || load->config->scopes[0]->sources[i].order > 0;
	char value[OPTION_TEXT_MAX];

	snprintf(buf, size, "%s=%s%s", row->key, option_get(row, settings, value),
		 is_set ? "" : ", the default");
}

static void check_rule(struct load *load, const struct scope *scope, unsigned int rule)
{
	struct group_settings settings = load->config->scopes[0]->values;
	char one[LINES_MESSAGE_MAX / 4], other[LINES_MESSAGE_MAX / 4];
	const struct option_row *rows[2];
	const struct source *source;
	const char *wrong;

	config_apply(scope, &settings);
	wrong = option_check(&settings, rule, rows);
	source = wrong ? later_of(load, scope, rows) : NULL;
	if (!source)
		return;

	load->file = source->file;
	describe(load, scope, rows[0], &settings, one, sizeof(one));
	describe(load, scope, rows[1], &settings, other, sizeof(other));
	if (scope->title)
		tell(load, source->line, "for [%s], %s (%s; %s)", scope->title, wrong, one, other);
	else
		tell(load, source->line, "%s (%s; %s)", wrong, one, other);
}

int load_files(struct config *config, const char *root, bool user, bool named, config_message_t message,
	       void *userdata)
{
	struct load load = {
		.config = config,
		.root = root,
		.user = user,
		.message = message,
		.userdata = userdata,
	};

	for (size_t i = 0; i < config->files.n; i++)
		if (!config->files.items[i].passed_over)
			load_file(&load, &config->files.items[i], named);
	if (!named) {
		const int r = unit_files_each(root, user, on_unit_file, &load);

		load.error = r < 0 ? r : load.error;
	}
	for (size_t i = 0; i < config->n_scopes; i++)
		for (unsigned int rule = 0; rule < OPTION_RULES; rule++)
			check_rule(&load, config->scopes[i], rule);
	/* Behind all mistakes: they are no reason to refuse anything. */
	for (size_t i = 0; i < config->files.n; i++)
		if (config->files.items[i].passed_over)
			tell_passed_over(&load, &config->files.items[i]);
		else if (config->files.items[i].odd_line > 0)
			tell_odd(&load, &config->files.items[i]);

	return load.is_bad ? -EINVAL : load.error;
}
