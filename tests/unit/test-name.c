/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* basic/name: names as people type them. */

#include "agent/basic/name.h"

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

static char text[NAME_QUOTED_MAX];

static void test_a_suffix_is_a_kind_of_unit(void)
{
	CHECK(name_has_suffix("php8.2-fpm.service"));
	CHECK(name_has_suffix("user.slice"));
	CHECK(!name_has_suffix("php8.2-fpm"));
	CHECK(!name_has_suffix("nginx"));
	CHECK(!name_has_suffix(""));
}

static void test_what_a_shell_leaves_alone_is_not_quoted(void)
{
	CHECK_STR(name_quote("getty@tty1.service", text, sizeof(text)), "getty@tty1.service");
	CHECK_STR(name_quote("/a-b/c_d", text, sizeof(text)), "/a-b/c_d");
	CHECK_STR(name_quote("/caf\xc3\xa9", text, sizeof(text)), "/caf\xc3\xa9");
}

static void test_what_a_shell_would_read_is_quoted(void)
{
	CHECK_STR(name_quote("foo\\x2dbar.service", text, sizeof(text)), "'foo\\x2dbar.service'");
	CHECK_STR(name_quote("/a b", text, sizeof(text)), "'/a b'");
	CHECK_STR(name_quote("/$(reboot)", text, sizeof(text)), "'/$(reboot)'");
	CHECK_STR(name_quote("it's", text, sizeof(text)), "'it'\\''s'");
	CHECK_STR(name_quote("", text, sizeof(text)), "''");
}

static void test_what_is_cut_is_still_one_word(void)
{
	char small[8];

	CHECK_STR(name_quote("a b c d e", small, sizeof(small)), "'a b c'");
	CHECK_STR(name_quote("a bc'd", small, sizeof(small)), "'a bc'");
	CHECK_STR(name_quote("abcdefghij", small, sizeof(small)), "abcdefg");
	CHECK_STR(name_quote(" ", small, 3), "''");
}

static void test_a_group_is_known_by_the_path_of_its_files(void)
{
	CHECK_STR(name_in_hierarchy("/sys/fs/cgroup/a.slice/b.service", true), "/a.slice/b.service");
	CHECK_STR(name_in_hierarchy("/sys/fs/cgroup/memory/a.slice/", false), "/a.slice/");
	CHECK_STR(name_in_hierarchy("/sys/fs/cgroup//unified//a", false), "//a");
	CHECK_STR(name_in_hierarchy("/sys/fs/cgroup", true), "/");
	CHECK_STR(name_in_hierarchy("/sys/fs/cgroup/memory", false), "/");
	CHECK_STR(name_in_hierarchy("/sys/fs/cgroups/a", true), "/sys/fs/cgroups/a");
	CHECK_STR(name_in_hierarchy("/a.slice", true), "/a.slice");
	CHECK_STR(name_in_hierarchy("nginx", false), "nginx");
}

static void test_names_are_near_by_what_has_to_be_typed_anew(void)
{
	CHECK_EQ(name_distance("status", "status"), 0);
	CHECK_EQ(name_distance("Status", "status"), 0);
	CHECK_EQ(name_distance("statsu", "status"), 1);
	CHECK_EQ(name_distance("lsit", "list"), 1);
	CHECK_EQ(name_distance("kitten", "sitting"), 3);
	CHECK_EQ(name_distance("", "list"), 4);
	CHECK_EQ(name_distance("list", "a-name-that-is-longer-than-any-name-of-ours"), SIZE_MAX);
	CHECK(name_is_near(name_distance("lsit", "list"), "list"));
	CHECK(!name_is_near(name_distance("stop", "show"), "show"));
}

int main(void)
{
	RUN(test_a_suffix_is_a_kind_of_unit);
	RUN(test_what_a_shell_leaves_alone_is_not_quoted);
	RUN(test_what_a_shell_would_read_is_quoted);
	RUN(test_what_is_cut_is_still_one_word);
	RUN(test_a_group_is_known_by_the_path_of_its_files);
	RUN(test_names_are_near_by_what_has_to_be_typed_anew);
	return TEST_RESULT();
}
