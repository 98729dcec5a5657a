/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/signals.h"

#include <inttypes.h>

#include "agent/ctl/fields.h"
#include "agent/ctl/table.h"

/*
 * With signals of eight letters the usual distance fits 80 columns; below 70 it has no room beside
 * settings, and would have a line for each word.
 */
static const struct table_column columns[] = {
	{ .name = "SIGNAL" },
	{ .name = "NOW", .right = true },
	{ .name = "THRESHOLD", .right = true },
	{ .name = "SETTING", .least_width = 70 },
	{ .name = "DISTANCE", .wrap = true },
};

/*
 * More is worse, for bytes: "72.0M to go", "reached"; with the time that is left where it
 * grows by so much.
 */
static void add_distance(struct table *table, uint64_t now, uint64_t threshold,
			 int64_t bytes_per_sec)
{
	char text[FORMAT_MAX], left[FORMAT_MAX];
	const uint64_t sec = bytes_per_sec > 0
				     ? sub_sat(threshold, now) / (uint64_t)bytes_per_sec
				     : UINT64_MAX;

	if (now >= threshold)
		table_cell(table, COLOR_RED, "reached, %s over",
			   format_bytes(text, now - threshold));
	else if (sec < FIELDS_DAY_SEC)
		table_cell(table, COLOR_YELLOW, "%s to go, in %s as it grows",
			   format_bytes(text, threshold - now),
			   fields_round_usec(sec * USEC_PER_SEC, left));
	else
		table_cell(table, COLOR_GREEN, "%s to go",
			   format_bytes(text, threshold - now));
}

static void add_off(struct table *table, const char *why)
{
	table_cell(table, COLOR_DIM, "%s", why);
}

uint64_t signals_taken_bytes(const json_t *group)
{
	return fields_number(group, "anon_bytes") + fields_number(group, "others_bytes");
}

static void add_usage(struct table *table, const json_t *group, const char *setting,
		      const char *key_bytes, const char *key_permyriad)
{
	const uint64_t usage = signals_taken_bytes(group);
	const uint64_t permyriad = fields_number(group, key_permyriad);
	char text[FORMAT_MAX], share[FORMAT_MAX];
	uint64_t threshold;

	table_row(table);
	table_cell(table, COLOR_NONE, "usage");
	table_cell(table, COLOR_BOLD, "%s",
		   json_object_get(group, "anon_bytes") ? format_bytes(text, usage) : "-");
	table_cell(table, COLOR_NONE, "%s", fields_bytes(group, key_bytes, text));
	table_cell(table, COLOR_NONE, "%s=%s", setting,
		   format_percent(share, (uint32_t)permyriad));
	if (permyriad == 0)
		add_off(table, "off");
	else if (!fields_find(group, key_bytes, &threshold))
		add_off(table, "the group has no limit");
	else
		add_distance(table, usage, threshold,
			     fields_signed(group, "growth_bytes_per_sec"));
}

static void add_eta(struct table *table, const json_t *group)
{
	const uint64_t least = fields_number(group, "oom_eta_usec");
	char text[FORMAT_MAX], setting[FORMAT_MAX];
	uint64_t eta;
	const bool comes = fields_find(group, "eta_usec", &eta);
	const bool is_far = comes && eta >= FIELDS_DAY_SEC * USEC_PER_SEC;

	table_row(table);
	table_cell(table, COLOR_NONE, "limit in");
	table_cell(table, COLOR_BOLD, "%s",
		   is_far ? "over 1d" : comes ? fields_round_usec(eta, text) : "never");
	table_cell(table, COLOR_NONE, "%s",
		   least > 0 ? format_usec(setting, least) : "-");
	table_cell(table, COLOR_NONE, "OomEtaSec=");
	if (least == 0)
		add_off(table, "off");
	else if (!comes)
		table_cell(table, COLOR_GREEN, "usage does not grow toward it");
	else if (is_far)
		table_cell(table, COLOR_GREEN, "usage hardly grows");
	else if (eta <= least)
		table_cell(table, COLOR_RED, "reached");
	else
		table_cell(table, COLOR_GREEN, "%s more",
			   fields_round_usec(eta - least, text));
}

static void add_retained(struct table *table, const json_t *group)
{
	const uint64_t threshold = fields_number(group, "retained_high_bytes");
	char text[FORMAT_MAX], setting[FORMAT_MAX];
	uint64_t retained;

	table_row(table);
	table_cell(table, COLOR_NONE, "retained");
	table_cell(table, COLOR_BOLD, "%s", fields_bytes(group, "retained_bytes", text));
	table_cell(table, COLOR_NONE, "%s",
		   threshold > 0 ? format_bytes(setting, threshold) : "-");
	table_cell(table, COLOR_NONE, "RetainedHigh=");
	if (threshold == 0)
		add_off(table, "off");
	else if (!fields_find(group, "retained_bytes", &retained))
		add_off(table, "not measured yet");
	else if (streq(fields_string(group, "reason"), "left-over"))
		table_cell(table, COLOR_RED, "left by the last release, and enough");
	else
		add_distance(table, retained, threshold, 0);
}

/* Of whom it is not known: nothing is shown where all tell, or are at work. */
static void add_untold(struct table *table, const json_t *group)
{
	const uint64_t threshold = fields_number(group, "retained_high_bytes");
	char text[FORMAT_MAX], setting[FORMAT_MAX];
	uint64_t untold;

	if (threshold == 0 || !fields_find(group, "untold_bytes", &untold))
		return;

	table_row(table);
	table_cell(table, COLOR_NONE, "untold");
	table_cell(table, COLOR_BOLD, "%s", format_bytes(text, untold));
	table_cell(table, COLOR_NONE, "%s", format_bytes(setting, threshold));
	table_cell(table, COLOR_NONE, "RetainedHigh=");
	add_distance(table, untold, threshold, 0);
}

/*
 * More is worse, for shares of time. What is shown is of the last ten seconds, while the kernel
 * compares any two: so below the threshold now is not that it was not reached a moment ago.
 */
static void add_pressure(struct table *table, const json_t *group, const char *signal,
			 const char *setting, const char *key, const char *key_now)
{
	const uint64_t threshold = fields_number(group, key);
	char now_text[FORMAT_MAX], text[FORMAT_MAX];
	uint64_t now;
	const bool known = fields_find(group, key_now, &now);

	table_row(table);
	table_cell(table, COLOR_NONE, "%s", signal);
	table_cell(table, COLOR_BOLD, "%s", known ? format_percent(now_text, (uint32_t)now) : "-");
	table_cell(table, COLOR_NONE, "%s",
		   threshold > 0 ? format_percent(text, (uint32_t)threshold) : "-");
	table_cell(table, COLOR_NONE, "%s=", setting);
	if (threshold == 0)
		add_off(table, "off");
	else if (!known)
		add_off(table, "the kernel tells no figure here");
	else if (now >= threshold)
		table_cell(table, COLOR_RED, "reached, %s over, last 10s",
			   format_percent(text, (uint32_t)(now - threshold)));
	else
		table_cell(table, COLOR_GREEN, "%s to go, last 10s",
			   format_percent(text, (uint32_t)(threshold - now)));
}

/* Each one more counts as UsageCritical=, but only while usage is high. */
static void add_hits(struct table *table, const json_t *group)
{
	const uint64_t permyriad = fields_number(group, "usage_high_permyriad");
	char share[FORMAT_MAX];
	uint64_t n;
	const bool known = fields_find(group, "shared_limit_hits", &n) ||
			   fields_find(group, "limit_hits", &n);

	table_row(table);
	table_cell(table, COLOR_NONE, "at limit");
	if (known)
		table_cell(table, COLOR_BOLD, "%" PRIu64, n);
	else
		table_cell(table, COLOR_BOLD, "-");
	if (known && permyriad > 0)
		table_cell(table, COLOR_NONE, "%" PRIu64, n + 1);
	else
		table_cell(table, COLOR_NONE, "-");
	table_cell(table, COLOR_NONE, "UsageHigh=%s", format_percent(share, (uint32_t)permyriad));
	if (permyriad == 0)
		add_off(table, "off");
	else if (!json_object_get(group, "usage_high_bytes"))
		add_off(table, "the group has no limit");
	else
		table_cell(table, COLOR_NONE, "critical if above UsageHigh=");
}

int signals_print(const struct ctl *ctl, const json_t *group)
{
	_cleanup_(table_freep) struct table *table = NULL;
	int r;

	r = table_new(ctl, columns, ARRAY_SIZE(columns), &table);
	if (r < 0)
		return r;

	add_usage(table, group, "UsageHigh", "usage_high_bytes", "usage_high_permyriad");
	add_usage(table, group, "UsageCritical", "usage_critical_bytes",
		  "usage_critical_permyriad");
	add_eta(table, group);
	add_retained(table, group);
	add_untold(table, group);
	add_pressure(table, group, "pressure", "PressureSome", "pressure_some_permyriad",
		     "pressure_now_permyriad");
	add_pressure(table, group, "machine", "MachinePressureSome", "machine_pressure_permyriad",
		     "machine_pressure_now_permyriad");
	add_hits(table, group);

	fputc('\n', ctl->out);
	r = table_print(table);
	fputc('\n', ctl->out);
	return r;
}
