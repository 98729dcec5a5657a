/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of options, and the few parsers and ranges that its rows name. */

#include "agent/config/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/parse.h"

#define SEC(x) ((x)*USEC_PER_SEC)
#define ONE_PERCENT UINT32_C(100)
#define EXEC_WORDS_MAX 32

static int parse_bytes_within(const char *s, uint64_t low, uint64_t high, uint64_t *ret)
{
	uint64_t bytes;
	int r;

	r = parse_bytes(s, &bytes);
	if (r < 0)
		return r;
	if (bytes < low || bytes > high)
		return -ERANGE;

	*ret = bytes;
	return 0;
}

static int parse_usec_within(const char *s, uint64_t low, uint64_t high, uint64_t *ret)
{
	uint64_t usec;
	int r;

	r = parse_usec(s, &usec);
	if (r < 0)
		return r;
	if (usec < low || usec > high)
		return -ERANGE;

	*ret = usec;
	return 0;
}

static int parse_choice(const char *s, const char *const *names, int *ret)
{
	for (int i = 0; names[i]; i++)
		if (streq(s, names[i])) {
			*ret = i;
			return 0;
		}

	return -EINVAL;
}

static const char *const mode_names[] = {
	[MODE_TRIM] = "trim",
	[MODE_OBSERVE] = "observe",
	NULL,
};

static int parse_mode(const char *s, void *field)
{
	int mode, r;

	r = parse_choice(s, mode_names, &mode);
	if (r < 0)
		return r;

	*(enum mode *)field = (enum mode)mode;
	return 0;
}

static void format_mode(const void *field, char *buf, size_t size)
{
	snprintf(buf, size, "%s", mode_names[*(const enum mode *)field]);
}

static const char *const method_names[] = {
	[METHOD_AUTO] = "auto",
	[METHOD_FULL] = "full",
	[METHOD_BORROW] = "borrow",
	NULL,
};

static int parse_method(const char *s, void *field)
{
	int method, r;

	r = parse_choice(s, method_names, &method);
	if (r < 0)
		return r;

	*(enum method *)field = (enum method)method;
	return 0;
}

static void format_method(const void *field, char *buf, size_t size)
{
	snprintf(buf, size, "%s", method_names[*(const enum method *)field]);
}

/* Of a limit: 0 % would be reached always, and is how a threshold is switched off. */
static int parse_share(const char *s, void *field)
{
	uint32_t permyriad;
	int r;

	r = parse_percent(s, &permyriad);
	if (r < 0)
		return r;
	if (permyriad < ONE_PERCENT)
		return -ERANGE;

	*(uint32_t *)field = permyriad;
	return 0;
}

/* Of two thresholds the lower one: the other has to fit above it. */
static int parse_lower_share(const char *s, void *field)
{
	uint32_t permyriad;
	int r;

	r = parse_share(s, &permyriad);
	if (r < 0)
		return r;
	if (permyriad >= 100 * ONE_PERCENT)
		return -ERANGE;

	*(uint32_t *)field = permyriad;
	return 0;
}

static int parse_share_or_off(const char *s, void *field)
{
	if (!streq(s, "0") && !streq(s, "0%"))
		return parse_share(s, field);

	*(uint32_t *)field = 0;
	return 0;
}

static void format_share(const void *field, char *buf, size_t size)
{
	const uint32_t permyriad = *(const uint32_t *)field;
	char text[FORMAT_MAX];

	snprintf(buf, size, "%s", permyriad == 0 ? "0" : format_percent(text, permyriad));
}

static int parse_eta(const char *s, void *field)
{
	uint64_t usec;
	int r;

	r = parse_usec_within(s, 0, SEC(3600), &usec);
	if (r < 0)
		return r;
	if (usec > 0 && usec < SEC(1))
		return -ERANGE;

	*(uint64_t *)field = usec;
	return 0;
}

static int parse_cooldown(const char *s, void *field)
{
	return parse_usec_within(s, SEC(1), SEC(3600), field);
}

/* Named after milliseconds: that is what a number alone means here. */
static int parse_stall_budget(const char *s, void *field)
{
	uint64_t msec;
	int r;

	r = parse_u64(s, &msec);
	if (r == -EINVAL)
		return parse_usec_within(s, 0, SEC(10), field);
	if (r < 0)
		return r;
	if (msec > SEC(10) / USEC_PER_MSEC)
		return -ERANGE;

	*(uint64_t *)field = msec * USEC_PER_MSEC;
	return 0;
}

/* Exact, in the largest unit that is: what is shown can be pasted into a file. */
static void format_time(const void *field, char *buf, size_t size)
{
	static const struct {
		uint64_t usec;
		const char *name;
	} units[] = {
		{ SEC(3600), "h" },      { SEC(60), "min" }, { SEC(1), "s" },
		{ USEC_PER_MSEC, "ms" }, { 1, "us" },
	};
	const uint64_t usec = *(const uint64_t *)field;
	size_t i = 0;

	if (usec == 0) {
		snprintf(buf, size, "0");
		return;
	}

	while (usec % units[i].usec != 0)
		i++;
	snprintf(buf, size, "%" PRIu64 "%s", usec / units[i].usec, units[i].name);
}

static int parse_size_or_off(const char *s, void *field)
{
	uint64_t bytes;
	int r;

	r = parse_bytes_within(s, 0, 1024 * GIB, &bytes);
	if (r < 0)
		return r;
	if (bytes > 0 && bytes < MIB)
		return -ERANGE;

	*(uint64_t *)field = bytes;
	return 0;
}

static int parse_min_release(const char *s, void *field)
{
	return parse_bytes_within(s, 0, 1024 * GIB, field);
}

/* The ranges of [Tune] are those of wire_clamp(): what it would bend is refused here. */
static int parse_threshold(const char *s, void *field)
{
	return parse_bytes_within(s, 64 * KIB, GIB, field);
}

/* From one page on: 0 in the field means "leave alone". */
static int parse_top_pad(const char *s, void *field)
{
	return parse_bytes_within(s, 4 * KIB, 64 * MIB, field);
}

static void format_size(const void *field, char *buf, size_t size)
{
	uint64_t n = *(const uint64_t *)field;
	const char *suffix = "KMGT";
	char name[2] = "";

	for (; n > 0 && n % 1024 == 0 && *suffix; n /= 1024)
		name[0] = *suffix++;
	snprintf(buf, size, "%" PRIu64 "%s", n, name);
}

static void format_size_or_nothing(const void *field, char *buf, size_t size)
{
	if (*(const uint64_t *)field == 0)
		buf[0] = '\0';
	else
		format_size(field, buf, size);
}

static int parse_number_within(const char *s, uint64_t low, uint64_t high, uint64_t *ret)
{
	uint64_t n;
	int r;

	r = parse_u64(s, &n);
	if (r < 0)
		return r;
	if (n < low || n > high)
		return -ERANGE;

	*ret = n;
	return 0;
}

static int parse_arena_max(const char *s, void *field)
{
	return parse_number_within(s, 1, 4096, field);
}

static int parse_max_per_hour(const char *s, void *field)
{
	return parse_number_within(s, 0, 4000, field);
}

static int parse_tune_after(const char *s, void *field)
{
	return parse_number_within(s, 0, 100, field);
}

static void format_number(const void *field, char *buf, size_t size)
{
	snprintf(buf, size, "%" PRIu64, *(const uint64_t *)field);
}

static void format_number_or_nothing(const void *field, char *buf, size_t size)
{
	const uint64_t n = *(const uint64_t *)field;

	buf[0] = '\0';
	if (n > 0)
		snprintf(buf, size, "%" PRIu64, n);
}

/*
 * Settings are copied for each group, and are compared as memory: a long text is kept once,
 * for as long as we live. There are as many as anybody ever wrote into a file of ours.
 */
static const char *keep_text(const char *s)
{
	static struct kept {
		struct kept *next;
		char text[EXEC_MAX];
	} *all;
	struct kept *kept;

	for (kept = all; kept; kept = kept->next)
		if (streq(kept->text, s))
			return kept->text;

	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return NULL;

	snprintf(kept->text, sizeof(kept->text), "%s", s);
	kept->next = all;
	all = kept;
	return kept->text;
}

/* No shell and no search path see it, so the first word must be the program itself. */
static int parse_exec(const char *s, void *field)
{
	size_t n_words = 0;

	if (s[0] != '/')
		return -EINVAL;

	for (size_t i = 0; s[i]; i++)
		n_words += !isblank((unsigned char)s[i]) &&
			   (i == 0 || isblank((unsigned char)s[i - 1]));
	if (strlen(s) >= EXEC_MAX || n_words > EXEC_WORDS_MAX)
		return -ERANGE;

	s = keep_text(s);
	if (!s)
		return -ENOMEM;

	*(const char **)field = s;
	return 0;
}

/* 0 in the field means "leave alone", so that no time at all is 1 us. */
static int parse_decay(const char *s, void *field)
{
	uint64_t usec;
	int r;

	r = parse_usec(s, &usec);
	if (r < 0)
		return r;
	if (usec > 3600 * USEC_PER_SEC || (usec > 0 && usec < USEC_PER_MSEC))
		return -ERANGE;

	*(uint64_t *)field = MAX(usec, 1U);
	return 0;
}

static void format_decay(const void *field, char *buf, size_t size)
{
	const uint64_t usec = *(const uint64_t *)field, none = 0;

	buf[0] = '\0';
	if (usec > 0)
		format_time(usec == 1 ? &none : &usec, buf, size);
}

static void format_exec(const void *field, char *buf, size_t size)
{
	const char *line = *(const char *const *)field;

	snprintf(buf, size, "%s", line ? line : "");
}

#define FIELD(field)                            \
	offsetof(struct group_settings, field), \
		sizeof(((struct group_settings *)NULL)->field)

#define SHARE_HINT "a percentage of the limit from 1% to 100%, such as 80%"
#define THRESHOLD_HINT "a size from 64K to 1G, such as 1M, or nothing to leave it alone"

const struct option_row option_rows[] = {
	{ "Guard", "Mode", "trim", "\"trim\" or \"observe\"", parse_mode, format_mode,
	  FIELD(mode) },

	{ "Trigger", "UsageHigh", "80%",
	  "a percentage of the limit from 1% to less than 100%, such as 80%", parse_lower_share,
	  format_share, FIELD(usage_high_permyriad) },
	{ "Trigger", "UsageCritical", "92%", SHARE_HINT, parse_share, format_share,
	  FIELD(usage_critical_permyriad) },
	{ "Trigger", "PressureSome", "10%",
	  "a percentage of the time from 1% to 100%, such as 10%, or 0 to switch it off",
	  parse_share_or_off, format_share, FIELD(pressure_some_permyriad) },
	{ "Trigger", "MachinePressureSome", "10%",
	  "a percentage of the time from 1% to 100%, such as 10%, or 0 to switch it off",
	  parse_share_or_off, format_share, FIELD(machine_pressure_permyriad) },
	{ "Trigger", "OomEtaSec", "10s",
	  "a time from 1s to 1h, such as 10s, or 0 to switch it off", parse_eta,
	  format_time, FIELD(oom_eta_usec) },
	{ "Trigger", "RetainedHigh", "64M",
	  "a size from 1M to 1T, such as 64M, or 0 to switch it off", parse_size_or_off,
	  format_size, FIELD(retained_high_bytes) },

	{ "Trim", "Method", "auto", "\"auto\", \"full\" or \"borrow\"", parse_method, format_method,
	  FIELD(method) },
	{ "Trim", "MinRelease", "16M", "a size from 0 to 1T, such as 16M",
	  parse_min_release, format_size, FIELD(min_release_bytes) },
	{ "Trim", "StallBudgetMSec", "5ms", "a time from 0 to 10s, such as 5ms",
	  parse_stall_budget, format_time, FIELD(stall_budget_usec) },
	{ "Trim", "CooldownSec", "5s", "a time from 1s to 1h, such as 5s",
	  parse_cooldown, format_time, FIELD(cooldown_usec) },
	{ "Trim", "MaxPerHour", "0", "a number from 1 to 4000, such as 60, or 0 for any number",
	  parse_max_per_hour, format_number, FIELD(max_per_hour) },
	{ "Trim", "MemoryReclaim", "0", "a size from 1M to 1T, such as 64M, or 0 to switch it off",
	  parse_size_or_off, format_size, FIELD(reclaim_bytes) },

	{ "Tune", "TuneAfter", "0",
	  "a number of releases from 1 to 100, such as 5, or 0 for as soon as a program connects",
	  parse_tune_after, format_number, FIELD(tune_after) },
	{ "Tune", "ArenaMax", "",
	  "a number from 1 to 4096, such as 2, or nothing to leave it alone",
	  parse_arena_max, format_number_or_nothing, FIELD(arena_max) },
	{ "Tune", "MmapThreshold", "", THRESHOLD_HINT, parse_threshold,
	  format_size_or_nothing, FIELD(mmap_threshold_bytes) },
	{ "Tune", "TrimThreshold", "", THRESHOLD_HINT, parse_threshold,
	  format_size_or_nothing, FIELD(trim_threshold_bytes) },
	{ "Tune", "TopPad", "",
	  "a size from 4K to 64M, such as 64K, or nothing to leave it alone",
	  parse_top_pad, format_size_or_nothing, FIELD(top_pad_bytes) },
	{ "Tune", "DecaySec", "",
	  "a time from 1ms to 1h, such as 500ms, 0 for at once, or nothing to leave it alone",
	  parse_decay, format_decay, FIELD(decay_usec) },

	{ "Alert", "Exec", "",
	  "the absolute path of a program and up to 31 arguments, such as "
	  "/usr/local/bin/page-me, "
	  "or nothing",
	  parse_exec, format_exec, FIELD(exec_line) },
};

const size_t n_option_rows = ARRAY_SIZE(option_rows);

const struct option_row *option_find(const char *section, const char *key)
{
	for (size_t i = 0; i < n_option_rows; i++)
		if (streq(option_rows[i].key, key) &&
		    (!section || streq(option_rows[i].section, section)))
			return &option_rows[i];

	return NULL;
}

static void *field_of(const struct option_row *row, struct group_settings *settings)
{
	return (char *)settings + row->offset;
}

int option_set(const struct option_row *row, const char *value,
	       struct group_settings *settings)
{
	if (value[0] == '\0')
		value = row->fallback;

	if (value[0] != '\0')
		return row->parse(value, field_of(row, settings));

	memset(field_of(row, settings), 0, row->size);
	return 0;
}

char *option_get(const struct option_row *row, const struct group_settings *settings,
		 char buf[static OPTION_TEXT_MAX])
{
	row->format((const char *)settings + row->offset, buf, OPTION_TEXT_MAX);
	return buf;
}

void option_reset(struct group_settings *settings)
{
	*settings = (struct group_settings){ 0 };

	/* Cannot fail: every fallback is one that its own parser takes. */
	for (size_t i = 0; i < n_option_rows; i++)
		(void)option_set(&option_rows[i], "", settings);
}

const char *option_check(const struct group_settings *settings, unsigned int rule,
			 const struct option_row *ret_rows[static 2])
{
	if (rule == 0 &&
	    settings->usage_critical_permyriad <= settings->usage_high_permyriad) {
		ret_rows[0] = option_find("Trigger", "UsageHigh");
		ret_rows[1] = option_find("Trigger", "UsageCritical");
		return "UsageCritical= is not above UsageHigh=; lower UsageHigh= or "
		       "raise UsageCritical=";
	}

	return NULL;
}

void option_reconcile(struct group_settings *settings)
{
	/*
	 * The lower wins: asking early costs a little CPU time, asking late the program.
	 */
	settings->usage_high_permyriad =
		MIN(settings->usage_high_permyriad, settings->usage_critical_permyriad);
}
