/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers with units, and back. */

#include "agent/basic/parse.h"

#include <errno.h>

#include "tests/unit/test.h"

#define UNTOUCHED 4711

static void check_bytes(const char *s, int r, uint64_t expected)
{
	uint64_t bytes = UNTOUCHED;

	CHECK_EQ(parse_bytes(s, &bytes), r);
	CHECK_EQ(bytes, r < 0 ? UNTOUCHED : expected);
}

static void sizes_take_one_suffix_of_either_case(void)
{
	check_bytes("0", 0, 0);
	check_bytes("4096", 0, 4096);
	check_bytes("17B", 0, 17);
	check_bytes("12K", 0, 12 * KIB);
	check_bytes("64M", 0, 64 * MIB);
	check_bytes("64m", 0, 64 * MIB);
	check_bytes("64 M", 0, 64 * MIB);
	check_bytes("2G", 0, 2 * GIB);
	check_bytes("1T", 0, 1024 * GIB);
	check_bytes("infinity", 0, BYTES_INFINITY);
}

static void sizes_take_a_fraction(void)
{
	check_bytes("1.5G", 0, 3 * GIB / 2);
	check_bytes("0.5K", 0, 512);
	check_bytes("1.125M", 0, MIB + MIB / 8);
	check_bytes("1.5", -EINVAL, 0);
	check_bytes("1.5B", -EINVAL, 0);
	check_bytes("1.1255M", -EINVAL, 0);
}

static void sizes_take_nothing_else(void)
{
	static const char *const bad[] = {
		"",      " ",     "M",        "-1",        "+1",  " 1",   "1 ",  "1M ",
		"64MB",  "64Mi",  "1,5G",     "1.G",       ".5G", "0x10", "1e3", "1M1",
		"1M 1M", "64  M", "Infinity", "infinity ", "80%", "10s",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_bytes(bad[i], -EINVAL, 0);
}

static void sizes_do_not_wrap(void)
{
	check_bytes("18446744073709551614", 0, UINT64_MAX - 1);
	check_bytes("18446744073709551615", -ERANGE, 0);
	check_bytes("18446744073709551616", -ERANGE, 0);
	check_bytes("16777214T", 0, 16777214 * (1024 * GIB));
	check_bytes("16777216T", -ERANGE, 0);
	check_bytes("99999999999999999999999T", -ERANGE, 0);
	check_bytes("16777214.5T", 0, 16777214 * (1024 * GIB) + 512 * GIB);
}

static void check_percent(const char *s, int r, uint32_t expected)
{
	uint32_t permyriad = UNTOUCHED;

	CHECK_EQ(parse_percent(s, &permyriad), r);
	CHECK_EQ(permyriad, r < 0 ? UNTOUCHED : expected);
}

static void percentages_have_a_sign_and_up_to_two_digits(void)
{
	check_percent("0%", 0, 0);
	check_percent("80%", 0, 8000);
	check_percent("92.5%", 0, 9250);
	check_percent("0.01%", 0, 1);
	check_percent("99.99%", 0, 9999);
	check_percent("100%", 0, 10000);
	check_percent("100.00%", 0, 10000);
	check_percent("100.01%", -ERANGE, 0);
	check_percent("101%", -ERANGE, 0);
	check_percent("99999999999999999999%", -ERANGE, 0);
	check_percent("80", -EINVAL, 0);
	check_percent("80 %", -EINVAL, 0);
	check_percent("80.%", -EINVAL, 0);
	check_percent("80.001%", -EINVAL, 0);
	check_percent("80%%", -EINVAL, 0);
	check_percent("-1%", -EINVAL, 0);
	check_percent("%", -EINVAL, 0);
	check_percent("", -EINVAL, 0);
}

static void check_usec(const char *s, int r, uint64_t expected)
{
	uint64_t usec = UNTOUCHED;

	CHECK_EQ(parse_usec(s, &usec), r);
	CHECK_EQ(usec, r < 0 ? UNTOUCHED : expected);
}

static void times_are_sums_of_units(void)
{
	check_usec("0", 0, 0);
	check_usec("10", 0, 10 * USEC_PER_SEC);
	check_usec("1.5", 0, 3 * USEC_PER_SEC / 2);
	check_usec("830us", 0, 830);
	check_usec("250ms", 0, 250 * USEC_PER_MSEC);
	check_usec("250msec", 0, 250 * USEC_PER_MSEC);
	check_usec("5s", 0, 5 * USEC_PER_SEC);
	check_usec("5 s", 0, 5 * USEC_PER_SEC);
	check_usec("5sec", 0, 5 * USEC_PER_SEC);
	check_usec("2min", 0, 120 * USEC_PER_SEC);
	check_usec("1min 30s", 0, 90 * USEC_PER_SEC);
	check_usec("1min30s", 0, 90 * USEC_PER_SEC);
	check_usec("2h", 0, 7200 * USEC_PER_SEC);
	check_usec("1.5h", 0, 5400 * USEC_PER_SEC);
	check_usec("1d", 0, 86400 * USEC_PER_SEC);
	check_usec("infinity", 0, USEC_INFINITY);
}

static void times_take_nothing_else(void)
{
	static const char *const bad[] = {
		"",      " ",    "s",       "-5s",     "5 ",          " 5",     "5x",
		"5S",    "5M",   "1min 30", "30 1min", "10 000",      "5s ",    "5s  5s",
		"1.2.3", "1:30", "1.5us",   "5s, 3ms", "infinity 5s", "1month",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_usec(bad[i], -EINVAL, 0);
}

static void times_do_not_wrap(void)
{
	check_usec("18446744073709551614us", 0, USEC_INFINITY - 1);
	check_usec("18446744073709551615us", -ERANGE, 0);
	check_usec("18446744073709551614us 1us", -ERANGE, 0);
	check_usec("18446744073708s", 0, UINT64_C(18446744073708000000));
	check_usec("99999999999999s", -ERANGE, 0);
}

static void numbers_are_plain(void)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "1K", "0x1", "1.0"
	};
	uint64_t n = UNTOUCHED;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(parse_u64(bad[i], &n), -EINVAL);
	CHECK_EQ(parse_u64("18446744073709551616", &n), -ERANGE);
	CHECK_EQ(n, UNTOUCHED);
	CHECK_EQ(parse_u64("18446744073709551615", &n), 0);
	CHECK(n == UINT64_MAX);
	CHECK_EQ(parse_u64("007", &n), 0);
	CHECK_EQ(n, 7);
}

static void truth_has_eight_names(void)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "YES", "True" };
	static const char *const no[] = { "no", "false", "off", "0", "NO", "False" };
	static const char *const bad[] = { "", "y", "2", "01", "yes ", "enabled" };
	bool b;

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		b = false;
		CHECK_EQ(parse_bool(yes[i], &b), 0);
		CHECK(b);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		b = true;
		CHECK_EQ(parse_bool(no[i], &b), 0);
		CHECK(!b);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		b = true;
		CHECK_EQ(parse_bool(bad[i], &b), -EINVAL);
		CHECK(b);
	}
}

static void process_ids_are_positive(void)
{
	int pid = UNTOUCHED;

	CHECK_EQ(parse_pid("0", &pid), -ERANGE);
	CHECK_EQ(parse_pid("2147483648", &pid), -ERANGE);
	CHECK_EQ(parse_pid("-1", &pid), -EINVAL);
	CHECK_EQ(parse_pid("1x", &pid), -EINVAL);
	CHECK_EQ(pid, UNTOUCHED);
	CHECK_EQ(parse_pid("2147483647", &pid), 0);
	CHECK_EQ(pid, 2147483647);
}

static void sizes_are_shown_in_three_digits(void)
{
	char buf[FORMAT_MAX];

	CHECK_STR(format_bytes(buf, 0), "0B");
	CHECK_STR(format_bytes(buf, 17), "17B");
	CHECK_STR(format_bytes(buf, 1023), "1023B");
	CHECK_STR(format_bytes(buf, 12 * KIB), "12.0K");
	CHECK_STR(format_bytes(buf, 640 * MIB), "640M");
	CHECK_STR(format_bytes(buf, GIB - 1), "1023M");
	CHECK_STR(format_bytes(buf, GIB + GIB / 4), "1.2G");
	CHECK_STR(format_bytes(buf, 1024 * GIB), "1.0T");
	CHECK_STR(format_bytes(buf, UINT64_MAX - 1), "15.9E");
	CHECK_STR(format_bytes(buf, BYTES_INFINITY), "infinity");
}

static void times_are_shown_in_one_or_two_units(void)
{
	char buf[FORMAT_MAX];

	CHECK_STR(format_usec(buf, 0), "0s");
	CHECK_STR(format_usec(buf, 830), "830us");
	CHECK_STR(format_usec(buf, 12345), "12ms");
	CHECK_STR(format_usec(buf, 1500 * USEC_PER_MSEC), "1.5s");
	CHECK_STR(format_usec(buf, 10 * USEC_PER_SEC), "10s");
	CHECK_STR(format_usec(buf, 60 * USEC_PER_SEC), "1min");
	CHECK_STR(format_usec(buf, 200 * USEC_PER_SEC), "3min 20s");
	CHECK_STR(format_usec(buf, 7200 * USEC_PER_SEC), "2h");
	CHECK_STR(format_usec(buf, 7260 * USEC_PER_SEC), "2h 1min");
	CHECK_STR(format_usec(buf, 90000 * USEC_PER_SEC), "1d 1h");
	CHECK_STR(format_usec(buf, USEC_INFINITY), "infinity");
}

static void percentages_are_shown_exactly(void)
{
	char buf[FORMAT_MAX];

	for (uint32_t permyriad = 0; permyriad <= PERMYRIAD; permyriad++) {
		uint32_t back = UNTOUCHED;

		CHECK_EQ(parse_percent(format_percent(buf, permyriad), &back), 0);
		CHECK_EQ(back, permyriad);
	}

	CHECK_STR(format_percent(buf, 8000), "80%");
	CHECK_STR(format_percent(buf, 9250), "92.5%");
	CHECK_STR(format_percent(buf, 9205), "92.05%");
}

int main(void)
{
	RUN(sizes_take_one_suffix_of_either_case);
	RUN(sizes_take_a_fraction);
	RUN(sizes_take_nothing_else);
	RUN(sizes_do_not_wrap);
	RUN(percentages_have_a_sign_and_up_to_two_digits);
	RUN(times_are_sums_of_units);
	RUN(times_take_nothing_else);
	RUN(times_do_not_wrap);
	RUN(numbers_are_plain);
	RUN(truth_has_eight_names);
	RUN(process_ids_are_positive);
	RUN(sizes_are_shown_in_three_digits);
	RUN(times_are_shown_in_one_or_two_units);
	RUN(percentages_are_shown_exactly);

	return TEST_RESULT();
}
