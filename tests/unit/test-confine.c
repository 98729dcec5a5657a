/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/confine.h"

#include <errno.h>

#include "tests/unit/test.h"

static void check_label(const char *text, const char *wanted)
{
	char label[CONFINE_LABEL_MAX] = "";
	const bool is_confined = confine_parse_label(text, label);

	CHECK_EQ(is_confined, wanted != NULL);
	CHECK_STR(label, wanted ? wanted : "");
}

static void test_profiles_that_refuse(void)
{
	check_label("/usr/sbin/named (enforce)\n", "/usr/sbin/named");
	check_label("a (b) c (enforce)", "a (b) c");
	check_label("one//&two (enforce)\n", "one//&two");
	check_label(":ns://one (enforce)\n", ":ns://one");
	check_label("strict (kill)\n", "strict");
}

static void test_profiles_that_do_not(void)
{
	check_label("unconfined\n", NULL);
	check_label("one (complain)\n", NULL);
	check_label("one (unconfined)\n", NULL);
	check_label("one//&two (mixed)\n", NULL);
	/* SELinux and Smack have other files, and no modes. */
	check_label("system_u:system_r:kernel_t:s0", NULL);
	check_label("", NULL);
	check_label("(enforce)", NULL);
	check_label(" (enforce)", NULL);
}

static void test_names_that_are_too_long(void)
{
	char text[CONFINE_LABEL_MAX + 16];

	memset(text, 'x', sizeof(text));
	strcpy(text + CONFINE_LABEL_MAX - 1, " (enforce)");
	text[CONFINE_LABEL_MAX - 1] = ' ';
	CHECK(confine_parse_label(text, (char[CONFINE_LABEL_MAX]){ 0 }));
	memset(text, 'x', CONFINE_LABEL_MAX);
	strcpy(text + CONFINE_LABEL_MAX, " (enforce)");
	CHECK(!confine_parse_label(text, (char[CONFINE_LABEL_MAX]){ 0 }));
}

/* As Linux 6.1 answers. */
static void test_answers(void)
{
	static const char answer[] =
		"allow 0x00010244\ndeny 0x00000000\naudit 0x00000000\nquiet 0x00000000\n";

	CHECK_EQ(confine_parse_answer(answer, 0x4), 1);
	CHECK_EQ(confine_parse_answer(answer, 0x6), 0);
	CHECK_EQ(confine_parse_answer("allow 0x00000006\ndeny 0x00000002\n", 0x4), 1);
	CHECK_EQ(confine_parse_answer("allow 0x00000006\ndeny 0x00000002\n", 0x6), 0);
	CHECK_EQ(confine_parse_answer("allow 0xffffffff\ndeny 0x00000000\n", 0x6), 1);
	CHECK_EQ(confine_parse_answer("", 0x4), -EBADMSG);
	CHECK_EQ(confine_parse_answer("allow 0x00000006\n", 0x4), -EBADMSG);
}

int main(void)
{
	RUN(test_profiles_that_refuse);
	RUN(test_profiles_that_do_not);
	RUN(test_names_that_are_too_long);
	RUN(test_answers);

	return TEST_RESULT();
}
