/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of options: defaults, ranges, and that what is shown can be read again. */

#include "agent/config/options.h"

#include <errno.h>

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

static struct group_settings defaults(void)
{
	struct group_settings settings;

	option_reset(&settings);
	return settings;
}

static void defaults_are_the_documented_ones(void)
{
	const struct group_settings s = defaults();

	CHECK_EQ(s.mode, MODE_TRIM);
	CHECK_EQ(s.usage_high_permyriad, 8000);
	CHECK_EQ(s.usage_critical_permyriad, 9200);
	CHECK_EQ(s.pressure_some_permyriad, 1000);
	CHECK_EQ(s.machine_pressure_permyriad, 1000);
	CHECK_EQ(s.oom_eta_usec, 10 * USEC_PER_SEC);
	CHECK_EQ(s.retained_high_bytes, 64 * MIB);
	CHECK_EQ(s.method, METHOD_AUTO);
	CHECK_EQ(s.min_release_bytes, 16 * MIB);
	CHECK_EQ(s.stall_budget_usec, 5 * USEC_PER_MSEC);
	CHECK_EQ(s.cooldown_usec, 5 * USEC_PER_SEC);
	CHECK_EQ(s.max_per_hour, 0);
	CHECK_EQ(s.arena_max, 0);
	CHECK_EQ(s.mmap_threshold_bytes, 0);
	CHECK_EQ(s.trim_threshold_bytes, 0);
	CHECK_EQ(s.top_pad_bytes, 0);
	CHECK(!s.exec_line);
}

static void every_default_is_taken_and_shown_as_it_is_written(void)
{
	struct group_settings s = defaults();
	char text[OPTION_TEXT_MAX];

	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];

		CHECK_EQ(option_set(row, "", &s), 0);
		if (row->fallback[0] != '\0')
			CHECK_EQ(option_set(row, row->fallback, &s), 0);
		CHECK_STR(option_get(row, &s, text), row->fallback);
	}
}

static void rows_do_not_share_fields_or_keys(void)
{
	size_t end = 0;

	for (size_t i = 0; i < n_option_rows; i++) {
		const struct option_row *row = &option_rows[i];

		/* In the order of the struct, and all of it. */
		CHECK(row->offset >= end);
		CHECK(row->offset < end + sizeof(uint64_t));
		end = row->offset + row->size;
		CHECK(option_find(NULL, row->key) == row);
		CHECK(option_find(row->section, row->key) == row);
	}

	CHECK(end + sizeof(uint64_t) > sizeof(struct group_settings));
}

static void sections_stand_together(void)
{
	for (size_t i = 1; i < n_option_rows; i++)
		for (size_t j = 0; j + 1 < i; j++)
			CHECK(!streq(option_rows[i].section, option_rows[j].section) ||
			      streq(option_rows[i].section, option_rows[i - 1].section));
}

static void unknown_options_are_not_found(void)
{
	CHECK(!option_find(NULL, "usagehigh"));
	CHECK(!option_find(NULL, ""));
	CHECK(!option_find("Trim", "UsageHigh"));
	CHECK(!option_find("trigger", "UsageHigh"));
}

struct example {
	const char *key;
	const char *value;
	int r;
	const char *shown; /* NULL: as written; after a failure unused */
};

static const struct example examples[] = {
	{ "Mode", "trim", 0, NULL },
	{ "Mode", "observe", 0, NULL },
	{ "Mode", "Trim", -EINVAL, NULL },
	{ "Mode", "off", -EINVAL, NULL },

	{ "UsageHigh", "1%", 0, NULL },
	{ "UsageHigh", "99.9%", 0, NULL },
	{ "UsageHigh", "100%", -ERANGE, NULL },
	{ "UsageCritical", "100%", 0, NULL },
	{ "UsageHigh", "92.50%", 0, "92.5%" },
	{ "UsageHigh", "0%", -ERANGE, NULL },
	{ "UsageHigh", "0.99%", -ERANGE, NULL },
	{ "UsageHigh", "101%", -ERANGE, NULL },
	{ "UsageHigh", "80", -EINVAL, NULL },
	{ "UsageCritical", "99.99%", 0, NULL },
	{ "UsageCritical", "0%", -ERANGE, NULL },

	{ "PressureSome", "0", 0, NULL },
	{ "PressureSome", "0%", 0, "0" },
	{ "PressureSome", "1%", 0, NULL },
	{ "PressureSome", "0.5%", -ERANGE, NULL },
	{ "PressureSome", "10", -EINVAL, NULL },

	{ "MachinePressureSome", "0", 0, NULL },
	{ "MachinePressureSome", "100%", 0, NULL },
	{ "MachinePressureSome", "101%", -ERANGE, NULL },

	{ "OomEtaSec", "0", 0, NULL },
	{ "OomEtaSec", "1", 0, "1s" },
	{ "OomEtaSec", "90s", 0, NULL },
	{ "OomEtaSec", "2min", 0, NULL },
	{ "OomEtaSec", "1h", 0, NULL },
	{ "OomEtaSec", "1.5s", 0, "1500ms" },
	{ "OomEtaSec", "999ms", -ERANGE, NULL },
	{ "OomEtaSec", "3601s", -ERANGE, NULL },
	{ "OomEtaSec", "infinity", -ERANGE, NULL },
	{ "OomEtaSec", "64M", -EINVAL, NULL },

	{ "RetainedHigh", "0", 0, NULL },
	{ "RetainedHigh", "1M", 0, NULL },
	{ "RetainedHigh", "0.5G", 0, "512M" },
	{ "RetainedHigh", "1048577", 0, NULL },
	{ "RetainedHigh", "1T", 0, NULL },
	{ "RetainedHigh", "1048575", -ERANGE, NULL },
	{ "RetainedHigh", "1.001T", -ERANGE, NULL },
	{ "RetainedHigh", "infinity", -ERANGE, NULL },
	{ "RetainedHigh", "10%", -EINVAL, NULL },

	{ "Method", "auto", 0, NULL },
	{ "Method", "full", 0, NULL },
	{ "Method", "borrow", 0, NULL },

	{ "MinRelease", "0", 0, NULL },
	{ "MinRelease", "1K", 0, NULL },
	{ "MinRelease", "2T", -ERANGE, NULL },
	{ "MinRelease", "all", -EINVAL, NULL },

	{ "StallBudgetMSec", "20", 0, "20ms" },
	{ "StallBudgetMSec", "0", 0, NULL },
	{ "StallBudgetMSec", "500us", 0, NULL },
	{ "StallBudgetMSec", "1.5ms", 0, "1500us" },
	{ "StallBudgetMSec", "10s", 0, NULL },
	{ "StallBudgetMSec", "10000", 0, "10s" },
	{ "StallBudgetMSec", "10001", -ERANGE, NULL },
	{ "StallBudgetMSec", "99999999999999999999", -ERANGE, NULL },
	{ "StallBudgetMSec", "11s", -ERANGE, NULL },
	{ "StallBudgetMSec", "20 000", -EINVAL, NULL },

	{ "CooldownSec", "1", 0, "1s" },
	{ "CooldownSec", "3600", 0, "1h" },
	{ "CooldownSec", "0", -ERANGE, NULL },
	{ "CooldownSec", "2h", -ERANGE, NULL },

	{ "TuneAfter", "0", 0, NULL },
	{ "TuneAfter", "100", 0, NULL },
	{ "TuneAfter", "101", -ERANGE, NULL },
	{ "TuneAfter", "-1", -EINVAL, NULL },

	{ "MaxPerHour", "1", 0, NULL },
	{ "MaxPerHour", "4000", 0, NULL },
	{ "MaxPerHour", "0", 0, NULL },
	{ "MaxPerHour", "4001", -ERANGE, NULL },
	{ "MaxPerHour", "many", -EINVAL, NULL },

	{ "MemoryReclaim", "0", 0, NULL },
	{ "MemoryReclaim", "1M", 0, NULL },
	{ "MemoryReclaim", "1023K", -ERANGE, NULL },
	{ "MemoryReclaim", "2T", -ERANGE, NULL },
	{ "MemoryReclaim", "yes", -EINVAL, NULL },

	{ "ArenaMax", "1", 0, NULL },
	{ "ArenaMax", "4096", 0, NULL },
	{ "ArenaMax", "0", -ERANGE, NULL },
	{ "ArenaMax", "4097", -ERANGE, NULL },
	{ "ArenaMax", "2K", -EINVAL, NULL },

	{ "MmapThreshold", "64K", 0, NULL },
	{ "MmapThreshold", "1G", 0, NULL },
	{ "MmapThreshold", "65535", -ERANGE, NULL },
	{ "MmapThreshold", "2G", -ERANGE, NULL },
	{ "TrimThreshold", "64K", 0, NULL },
	{ "TrimThreshold", "0", -ERANGE, NULL },
	{ "TopPad", "4K", 0, NULL },
	{ "TopPad", "64M", 0, NULL },
	{ "TopPad", "0", -ERANGE, NULL },
	{ "TopPad", "65M", -ERANGE, NULL },
	{ "DecaySec", "0", 0, NULL },
	{ "DecaySec", "500ms", 0, NULL },
	{ "DecaySec", "1h", 0, NULL },
	{ "DecaySec", "10us", -ERANGE, NULL },
	{ "DecaySec", "61min", -ERANGE, NULL },

	{ "Exec", "/bin/true", 0, NULL },
	{ "Exec", "/usr/bin/logger -t memguard low memory", 0, NULL },
	{ "Exec", "logger", -EINVAL, NULL },
	{ "Exec", "\"/bin/true\"", -EINVAL, NULL },
};

static void values_are_taken_within_their_range_and_shown_as_written(void)
{
	char text[OPTION_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		const struct example *e = &examples[i];
		const struct option_row *row = option_find(NULL, e->key);
		struct group_settings s = defaults();
		const struct group_settings before = s;
		int r;

		CHECK(row);
		if (!row)
			continue;

		r = option_set(row, e->value, &s);
		if (r != e->r)
			printf("# %s=%s\n", e->key, e->value);
		CHECK_EQ(r, e->r);
		if (r < 0)
			CHECK(memcmp(&s, &before, sizeof(s)) == 0);
		else
			CHECK_STR(option_get(row, &s, text),
				  e->shown ? e->shown : e->value);
	}
}

static void the_empty_value_is_the_default(void)
{
	struct group_settings s = defaults();
	const struct group_settings before = s;

	CHECK_EQ(option_set(option_find(NULL, "UsageHigh"), "50%", &s), 0);
	CHECK_EQ(option_set(option_find(NULL, "ArenaMax"), "2", &s), 0);
	CHECK_EQ(option_set(option_find(NULL, "Exec"), "/bin/true", &s), 0);
	CHECK(memcmp(&s, &before, sizeof(s)) != 0);

	CHECK_EQ(option_set(option_find(NULL, "UsageHigh"), "", &s), 0);
	CHECK_EQ(option_set(option_find(NULL, "ArenaMax"), "", &s), 0);
	CHECK_EQ(option_set(option_find(NULL, "Exec"), "", &s), 0);
	CHECK(memcmp(&s, &before, sizeof(s)) == 0);
}

static void commands_fit_and_are_not_cut(void)
{
	const struct option_row *row = option_find(NULL, "Exec");
	struct group_settings s = defaults();
	char line[EXEC_MAX + 1];

	memset(line, 'x', sizeof(line));
	line[0] = '/';
	line[EXEC_MAX] = '\0';
	CHECK_EQ(option_set(row, line, &s), -ERANGE);
	line[EXEC_MAX - 1] = '\0';
	CHECK_EQ(option_set(row, line, &s), 0);
	CHECK_STR(s.exec_line, line);

	/* 32 words, then 33. */
	line[0] = '\0';
	for (size_t i = 0; i < 32; i++)
		strcat(line, "/a ");
	CHECK_EQ(option_set(row, line, &s), 0);
	strcat(line, "b");
	CHECK_EQ(option_set(row, line, &s), -ERANGE);
}

static void critical_must_be_above_high(void)
{
	const struct option_row *rows[2] = { NULL, NULL };
	struct group_settings s = defaults();

	CHECK(!option_check(&s, 0, rows));
	s.usage_high_permyriad = s.usage_critical_permyriad;
	CHECK(option_check(&s, 0, rows));
	CHECK(!option_check(&s, 1, rows));
	CHECK(rows[0] == option_find(NULL, "UsageHigh"));
	CHECK(rows[1] == option_find(NULL, "UsageCritical"));
	s.usage_high_permyriad--;
	CHECK(!option_check(&s, 0, rows));
}

/* The hook sets the other one along. */
static void one_threshold_of_two_is_enough(void)
{
	const struct option_row *rows[2] = { NULL, NULL };
	struct group_settings s = defaults();

	s.mmap_threshold_bytes = MIB;
	for (unsigned int rule = 0; rule < OPTION_RULES; rule++)
		CHECK(!option_check(&s, rule, rows));
	option_reconcile(&s);
	CHECK_EQ(s.mmap_threshold_bytes, MIB);
	CHECK_EQ(s.trim_threshold_bytes, 0);
}

static void there_are_no_more_rules(void)
{
	const struct option_row *rows[2];
	struct group_settings s = defaults();

	s.usage_high_permyriad = 9900;
	CHECK(option_check(&s, OPTION_RULES - 1, rows));
	CHECK(!option_check(&s, OPTION_RULES, rows));
}

static void reconciled_settings_do_not_contradict_dangerously(void)
{
	struct group_settings s = defaults(), before = s;

	option_reconcile(&s);
	CHECK(memcmp(&s, &before, sizeof(s)) == 0);

	s.usage_high_permyriad = 9900;
	option_reconcile(&s);
	CHECK_EQ(s.usage_high_permyriad, 9200);
	CHECK_EQ(s.usage_critical_permyriad, 9200);
}

int main(void)
{
	RUN(defaults_are_the_documented_ones);
	RUN(every_default_is_taken_and_shown_as_it_is_written);
	RUN(rows_do_not_share_fields_or_keys);
	RUN(sections_stand_together);
	RUN(unknown_options_are_not_found);
	RUN(values_are_taken_within_their_range_and_shown_as_written);
	RUN(the_empty_value_is_the_default);
	RUN(commands_fit_and_are_not_cut);
	RUN(critical_must_be_above_high);
	RUN(one_threshold_of_two_is_enough);
	RUN(there_are_no_more_rules);
	RUN(reconciled_settings_do_not_contradict_dangerously);

	return TEST_RESULT();
}
