/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers in integers only, so that the locale has no say and nothing is rounded. */

#include "agent/basic/parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{ "", 1 },    { "B", 1 },          { "K", KIB }, { "M", MIB },
	{ "G", GIB }, { "T", GIB * 1024 }, { NULL, 0 },
};

/* The first only where it stands alone. */
static const struct unit time_units[] = {
	{ "", USEC_PER_SEC },
	{ "us", 1 },
	{ "usec", 1 },
	{ "ms", USEC_PER_MSEC },
	{ "msec", USEC_PER_MSEC },
	{ "s", USEC_PER_SEC },
	{ "sec", USEC_PER_SEC },
	{ "min", 60 * USEC_PER_SEC },
	{ "h", 3600 * USEC_PER_SEC },
	{ "hr", 3600 * USEC_PER_SEC },
	{ "d", 86400 * USEC_PER_SEC },
	{ NULL, 0 },
};

/* Digits at *@s, which then points behind them. */
static int take_number(const char **s, uint64_t *ret)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;

	for (; isdigit((unsigned char)**s); (*s)++) {
		const unsigned int digit = (unsigned int)(**s - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		n = n * 10 + digit;
	}

	*ret = n;
	return 0;
}

/* A fraction ".25" as thousandths; 0 where there is none. Finer than that is refused. */
static int take_thousandths(const char **s, uint64_t *ret)
{
	uint64_t n = 0, weight = 100;

	if (**s != '.') {
		*ret = 0;
		return 0;
	}

	if (!isdigit((unsigned char)*++*s))
		return -EINVAL;

	for (; isdigit((unsigned char)**s); (*s)++, weight /= 10) {
		if (weight == 0)
			return -EINVAL;
		n += (uint64_t)(**s - '0') * weight;
	}

	*ret = n;
	return 0;
}

static int take_unit(const char **s, const struct unit *units, bool ignore_case,
		     uint64_t *ret)
{
	size_t n = 0;

	while (isalpha((unsigned char)(*s)[n]))
		n++;

	for (; units->name; units++)
		if (strlen(units->name) == n &&
		    (ignore_case ? strncasecmp : strncmp)(units->name, *s, n) == 0) {
			*s += n;
			*ret = units->factor;
			return 0;
		}

	return -EINVAL;
}

/* One "1.5G", "250ms" or "5 s" at *@s. */
static int take_quantity(const char **s, const struct unit *units, bool ignore_case,
			 uint64_t *ret)
{
	uint64_t whole, thousandths, factor;
	int r;

	r = take_number(s, &whole);
	if (r >= 0)
		r = take_thousandths(s, &thousandths);
	if (r < 0)
		return r;

	if (**s == ' ' && isalpha((unsigned char)(*s)[1]))
		(*s)++;

	r = take_unit(s, units, ignore_case, &factor);
	if (r < 0)
		return r;

	/* Half a byte. */
	if (factor < 1000 && thousandths > 0)
		return -EINVAL;

	/* The largest number of all means infinity. */
	if (whole > (UINT64_MAX - factor) / factor)
		return -ERANGE;

	*ret = whole * factor + factor / 1000 * thousandths +
	       factor % 1000 * thousandths / 1000;
	return 0;
}

int parse_bytes(const char *s, uint64_t *ret_bytes)
{
	uint64_t bytes;
	int r;

	if (streq(s, "infinity")) {
		*ret_bytes = BYTES_INFINITY;
		return 0;
	}

	r = take_quantity(&s, byte_units, true, &bytes);
	if (r < 0)
		return r;
	if (*s != '\0')
		return -EINVAL;

	*ret_bytes = bytes;
	return 0;
}

int parse_percent(const char *s, uint32_t *ret_permyriad)
{
	uint64_t whole, thousandths;
	int r;

	r = take_number(&s, &whole);
	if (r >= 0)
		r = take_thousandths(&s, &thousandths);
	if (r < 0)
		return r;
	if (!streq(s, "%") || thousandths % 10 != 0)
		return -EINVAL;
	if (whole > 100 || (whole == 100 && thousandths > 0))
		return -ERANGE;

	*ret_permyriad = (uint32_t)(whole * 100 + thousandths / 10);
	return 0;
}

static bool is_number(const char *s)
{
	return s[0] != '\0' && s[strspn(s, "0123456789.")] == '\0';
}

int parse_usec(const char *s, uint64_t *ret_usec)
{
	/* Seconds without a unit stand alone: "1min 30" may mean anything. */
	const struct unit *units = is_number(s) ? time_units : time_units + 1;
	uint64_t sum = 0;

	if (streq(s, "infinity")) {
		*ret_usec = USEC_INFINITY;
		return 0;
	}

	do {
		uint64_t part;
		int r;

		r = take_quantity(&s, units, false, &part);
		if (r < 0)
			return r;
		if (part > USEC_INFINITY - 1 - sum)
			return -ERANGE;

		sum += part;
		if (*s == ' ' && s[1] != '\0')
			s++;
	} while (*s != '\0');

	*ret_usec = sum;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t n;
	int r;

	r = take_number(&s, &n);
	if (r < 0)
		return r;
	if (*s != '\0')
		return -EINVAL;

	*ret = n;
	return 0;
}

const char *parse_digits(const char *s, uint64_t *ret)
{
	return take_number(&s, ret) < 0 ? NULL : s;
}

int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(s, yes[i]) != 0 && strcasecmp(s, no[i]) != 0)
			continue;
		*ret = strcasecmp(s, yes[i]) == 0;
		return 0;
	}

	return -EINVAL;
}

int parse_pid(const char *s, int *ret_pid)
{
	uint64_t n;
	int r;

	r = parse_u64(s, &n);
	if (r < 0)
		return r;
	if (n == 0 || n > INT_MAX)
		return -ERANGE;

	*ret_pid = (int)n;
	return 0;
}

char *format_bytes(char buf[static FORMAT_MAX], uint64_t bytes)
{
	static const char suffixes[] = "BKMGTPE";
	uint64_t unit = 1;
	size_t i = 0;

	if (bytes == BYTES_INFINITY) {
		snprintf(buf, FORMAT_MAX, "infinity");
		return buf;
	}

	while (i + 2 < sizeof(suffixes) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}

	/* Three digits are enough to compare, more only look exact. */
	if (i == 0 || bytes / unit >= 100)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "%c", bytes / unit, suffixes[i]);
	else
		snprintf(buf, FORMAT_MAX, "%" PRIu64 ".%" PRIu64 "%c", bytes / unit,
			 bytes % unit / (unit / 1024) * 10 / 1024, suffixes[i]);
	return buf;
}

/* "3min 20s", or "3min". */
static void format_two(char buf[static FORMAT_MAX], uint64_t n, const char *unit,
		       uint64_t rest, const char *rest_unit)
{
	if (rest == 0)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "%s", n, unit);
	else
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "%s %" PRIu64 "%s", n, unit, rest,
			 rest_unit);
}

char *format_usec(char buf[static FORMAT_MAX], uint64_t usec)
{
	const uint64_t sec = usec / USEC_PER_SEC;
	const uint64_t tenths = usec % USEC_PER_SEC / (USEC_PER_SEC / 10);

	if (usec == USEC_INFINITY)
		snprintf(buf, FORMAT_MAX, "infinity");
	else if (usec == 0)
		snprintf(buf, FORMAT_MAX, "0s");
	else if (usec < USEC_PER_MSEC)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "us", usec);
	else if (usec < USEC_PER_SEC)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "ms", usec / USEC_PER_MSEC);
	else if (sec < 60 && tenths > 0)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 ".%" PRIu64 "s", sec, tenths);
	else if (sec < 60)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "s", sec);
	else if (sec < 3600)
		format_two(buf, sec / 60, "min", sec % 60, "s");
	else if (sec < 86400)
		format_two(buf, sec / 3600, "h", sec % 3600 / 60, "min");
	else
		format_two(buf, sec / 86400, "d", sec % 86400 / 3600, "h");
	return buf;
}

char *format_percent(char buf[static FORMAT_MAX], uint32_t permyriad)
{
	const uint32_t rest = permyriad % 100;

	if (rest == 0)
		snprintf(buf, FORMAT_MAX, "%" PRIu32 "%%", permyriad / 100);
	else if (rest % 10 == 0)
		snprintf(buf, FORMAT_MAX, "%" PRIu32 ".%" PRIu32 "%%", permyriad / 100,
			 rest / 10);
	else
		snprintf(buf, FORMAT_MAX, "%" PRIu32 ".%02" PRIu32 "%%", permyriad / 100,
			 rest);
	return buf;
}
