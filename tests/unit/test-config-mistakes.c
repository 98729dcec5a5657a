/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* For every mistake in a file a finding with its place, and nothing is changed. */

#include "tests/unit/config-fixture.h"

static void values_are_refused_with_what_to_write(void)
{
	check_finding("[Trigger]\nUsageHigh=80\n",
		      "2: UsageHigh=80 is not understood; write a percentage of the "
		      "limit from 1% to "
		      "less than 100%, such as 80%");
	check_finding("[Trigger]\n\nUsageHigh=200%\n",
		      "3: UsageHigh=200% is out of range; write a percentage of the "
		      "limit from 1% to "
		      "less than 100%, such as 80%");
	check_finding("[Trim]\nCooldownSec=10 apples\n",
		      "2: CooldownSec=10 apples is not understood; write a time from 1s "
		      "to 1h, such as 5s");
	check_finding("[Trim]\nCooldownSec=2h\n",
		      "2: CooldownSec=2h is out of range; write a time from 1s to 1h, "
		      "such as 5s");
	check_finding("[Guard]\nMode=off\n",
		      "2: Mode=off is not understood; write \"trim\" or \"observe\"");
	clear();
}

static void unknown_sections_are_answered_with_the_known_ones(void)
{
	static const char known[] =
		"the sections are [Guard], [Trigger], [Trim], [Tune], [Alert], "
		"[Service NAME] and [Cgroup PATTERN]";
	char expected[512];

	snprintf(expected, sizeof(expected), "1: there is no section [Limits]; %s",
		 known);
	check_finding("[Limits]\nAnything=goes\n", expected);
	snprintf(expected, sizeof(expected),
		 "2: there is no section [trigger]; did you mean [Trigger]? %s", known);
	check_finding("\n[trigger]\nUsageHigh=80%\n", expected);
	snprintf(expected, sizeof(expected), "1: there is no section []; %s", known);
	check_finding("[]\n", expected);
	clear();
}

static void unknown_keys_are_answered_with_the_nearest(void)
{
	check_finding(
		"[Trim]\nUsageHigh=80%\n",
		"2: UsageHigh= is not an option of [Trim]; move it below [Trigger]");
	check_finding("[Trigger]\nUsageHihg=80%\n",
		      "2: there is no option UsageHihg=; did you mean UsageHigh= of "
		      "[Trigger]?");
	check_finding("[Trigger]\nusagehigh=80%\n",
		      "2: there is no option usagehigh=; did you mean UsageHigh= of "
		      "[Trigger]?");
	check_finding("[Trim]\nSwappiness=1\n",
		      "2: there is no option Swappiness=; those of [Trim] are Method=, "
		      "MinRelease=, "
		      "StallBudgetMSec=, CooldownSec=, MaxPerHour=, "
		      "MemoryReclaim=");
	check_finding("[Service x]\nSwappiness=1\n",
		      "2: there is no option Swappiness=; memguard.conf(5) lists them");
	check_finding(
		"UsageHigh=80%\n",
		"1: UsageHigh= stands in front of all sections; put it below [Trigger]");
	check_finding("Foo=80%\n",
		      "1: Foo= stands in front of all sections; put it below the one it "
		      "belongs to, memguard.conf(5) lists them");
	clear();
}

static void overrides_need_a_name_of_the_right_kind(void)
{
	check_finding("[Service]\n",
		      "1: [Service] does not say which; write [Service NAME], such as "
		      "[Service nginx.service]");
	check_finding("[Cgroup ]\n",
		      "1: [Cgroup] does not say which; write [Cgroup PATTERN], such as "
		      "[Cgroup /kubepods.slice/*]");
	check_finding("[Cgroup system.slice]\n",
		      "1: [Cgroup system.slice]: a cgroup's path begins with \"/\"; "
		      "write [Cgroup /system.slice]");
	check_finding("[Service /a/b]\n",
		      "1: [Service /a/b]: a unit's name has no \"/\"; write "
		      "[Cgroup PATTERN] for a cgroup's path");
	check_finding(
		"[Service web*]\n",
		"1: [Service web*]: it is not a unit's name; write [Service NAME], "
		"such as [Service nginx.service], or [Cgroup PATTERN] for a pattern");
	clear();
}

static void repeated_sections_and_keys_name_the_first_line(void)
{
	check_finding("[Trim]\nMinRelease=1M\n[Guard]\n\n[Trim]\n",
		      "5: section [Trim] begins a second time, first in line 1; put both "
		      "together");
	check_finding("[Service a]\n[Service a.service]\n",
		      "2: section [Service a.service] begins a second time, first in "
		      "line 1; put both together");
	check_finding("[Cgroup /a]\n[Cgroup /b]\n[Cgroup /a]\n",
		      "3: section [Cgroup /a] begins a second time, first in line 1; put "
		      "both together");
	check_finding("[Trim]\nMinRelease=1M\nMethod=full\nMinRelease=2M\n",
		      "4: MinRelease= is set a second time in this section, first in "
		      "line 2; remove one of them");
	check_finding("[Service a]\nMode=trim\nMode=\n",
		      "3: Mode= is set a second time in this section, first in line 2; "
		      "remove one of them");
	clear();
}

static void comments_behind_values_are_refused(void)
{
	check_finding("[Trigger]\nUsageHigh=80% # eighty\n",
		      "2: \"# eighty\" is no comment behind a value; move it to a line "
		      "of its own");
	check_finding("[Trigger]\nUsageHigh=80% ; eighty\n",
		      "2: \"; eighty\" is no comment behind a value; move it to a line "
		      "of its own");
	check_finding("[Tune]\nArenaMax= # leave\n",
		      "2: \"# leave\" is no comment behind a value; move it to a line of "
		      "its own");
	check_finding("[Alert]\nExec=/bin/echo a ; /bin/echo b\n",
		      "2: \"; /bin/echo b\" is no comment behind a value; move it to a "
		      "line of its own");
	check_finding("[Trigger] # when\n", "1: \"# when\" follows the section's \"]\"; "
					    "move it to a line of its own");
	clear();
}

static void lines_that_are_no_pairs_are_refused(void)
{
	check_finding("[Trigger]\nUsageHigh\n",
		      "2: \"UsageHigh\" has no \"=\"; write KEY=VALUE, or \"#\" in front "
		      "of a comment");
	check_finding("[Trigger]\nUsageHigh: 80%\n",
		      "2: \"UsageHigh: 80%\" has no \"=\"; write KEY=VALUE, or \"#\" in "
		      "front of a comment");
	check_finding("[Alert]\nExec: /bin/a=b\n",
		      "2: \"Exec: /bin/a\" is not an option's name; write KEY=VALUE");
	check_finding("[Trigger]\n =80%\n",
		      "2: there is no key in front of the \"=\"; write KEY=VALUE");
	check_finding("[Trigger\n",
		      "1: section \"[Trigger\" has no \"]\"; write [Trigger]");
	check_finding("[Alert]\nExec=/bin/echo \\\n",
		      "2: a line cannot be continued with \"\\\"; write it in one");
	clear();
}

static void indented_lines_are_not_continuations(void)
{
	check_finding("[Alert]\nExec=/bin/echo\n  more words\n",
		      "3: \"more words\" has no \"=\"; write KEY=VALUE, or \"#\" in "
		      "front of a comment");
	clear();
}

static void long_lines_are_refused_by_name_and_never_cut(void)
{
	char text[1024];
	const size_t begin = strlen("[Alert]\nExec=");

	strcpy(text, "[Alert]\nExec=/");
	memset(text + begin + 1, 'x', 184);
	text[begin + 185] = '\0';
	CHECK_EQ(load_text(text), 0);
	CHECK_EQ(strlen(resolve(NULL, "/").exec_line), 185);

	strcat(text, "x");
	check_finding(text,
		      "2: line is too long (191 characters, at most 190): shorten it");
	strcat(text, "\n[Guard]\nMode=off\n");
	CHECK_EQ(load_text(text), -EINVAL);
	CHECK(strstr(findings, "/one.conf:2: line is too long (191"));
	CHECK(strstr(findings, "/one.conf:4: Mode=off"));

	/* A comment may be as long as it likes. */
	memset(text, '#', 1000);
	strcpy(text + 1000, "\n[Guard]\n");
	CHECK_EQ(load_text(text), 0);
	clear();
}

static void bytes_that_are_no_text_are_refused(void)
{
	check_finding("[Alert]\nExec=/bin/\x01\n",
		      "2: byte 0x01 at character 11 is not UTF-8 text; remove it");
	check_finding("[Alert]\nExec=/caf\xe9\n",
		      "2: byte 0xe9 at character 10 is not UTF-8 text; remove it");
	check_finding("[Alert]\nExec=/\xed\xa0\x80\n",
		      "2: byte 0xed at character 7 is not UTF-8 text; remove it");
	check_finding("[Alert]\nExec=/\xc0\x80\n",
		      "2: byte 0xc0 at character 7 is not UTF-8 text; remove it");
	check_finding("[Alert]\nExec=/\xe2\x82\n",
		      "2: byte 0xe2 at character 7 is not UTF-8 text; remove it");
	clear();
}

static void contradictions_name_the_later_line(void)
{
	check_finding("[Trigger]\nUsageCritical=70%\n",
		      "2: UsageCritical= is not above UsageHigh=; lower UsageHigh= or "
		      "raise UsageCritical= (UsageHigh=80%, the default; UsageCritical=70%)");
	check_finding("[Trigger]\nUsageCritical=70%\nUsageHigh=70%\n",
		      "3: UsageCritical= is not above UsageHigh=; lower UsageHigh= or "
		      "raise UsageCritical= (UsageHigh=70%; UsageCritical=70%)");
	check_finding("[Service a]\nUsageHigh=95%\n",
		      "2: for [Service a.service], UsageCritical= is not above "
		      "UsageHigh=; lower UsageHigh= or "
		      "raise UsageCritical= (UsageHigh=95%; UsageCritical=92%, the default)");
	clear();
}

static void every_contradiction_is_told(void)
{
	CHECK_EQ(load_text("[Trigger]\nUsageHigh=95%\n[Service a]\nUsageCritical=90%\n"),
		 -EINVAL);
	CHECK(strstr(findings, "/one.conf:2: UsageCritical= is not above"));
	CHECK(strstr(findings, "/one.conf:4: for [Service a.service], UsageCritical= is not above"));
	clear();
}

/* The hook sets the other along with it: glibc would leave that where it is. */
static void one_threshold_of_two_is_no_mistake(void)
{
	CHECK_EQ(load_text("[Tune]\nMmapThreshold=1M\n[Service a]\nTrimThreshold=4M\n"), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(resolve("b.service", "/b").mmap_threshold_bytes, MIB);
	CHECK_EQ(resolve("b.service", "/b").trim_threshold_bytes, 0);
	CHECK_EQ(resolve("a.service", "/a").mmap_threshold_bytes, MIB);
	CHECK_EQ(resolve("a.service", "/a").trim_threshold_bytes, 4 * MIB);
	clear();
}

static void a_value_that_was_refused_contradicts_nothing(void)
{
	check_finding("[Trigger]\nUsageHigh=60\nUsageCritical=70%\n",
		      "2: UsageHigh=60 is not understood; write a percentage of the "
		      "limit from 1% to "
		      "less than 100%, such as 80%");
	clear();
}

static void all_mistakes_of_all_files_are_told_at_once(void)
{
	put("/etc/memguard/memguard.conf", "[Guard]\nMode=x\nFoo=1\n[Bar]\nline\n");
	put("/etc/memguard/memguard.conf.d/a.conf", "[Trim]\nMinRelease=y\n");
	CHECK_EQ(load_root(), -EINVAL);
	CHECK(strstr(findings, "/etc/memguard/memguard.conf:2: Mode=x"));
	CHECK(strstr(findings, "/etc/memguard/memguard.conf:3: there is no option Foo="));
	CHECK(strstr(findings,
		     "/etc/memguard/memguard.conf:4: there is no section [Bar]"));
	CHECK(strstr(findings, "/etc/memguard/memguard.conf:5: \"line\" has no"));
	CHECK(strstr(findings, "/etc/memguard/memguard.conf.d/a.conf:2: MinRelease=y"));
	clear();
}

/* Whoever put them there believes that they are read. All others are. */
static void what_is_no_file_is_told_and_passed_over(void)
{
	static const char at[] = "/etc/memguard/memguard.conf";
	char expected[2048];

	put_link(at, "/nonexistent");
	put_link("/etc/memguard/memguard.conf.d/10-a.conf", "/nonexistent");
	put("/etc/memguard/memguard.conf.d/20-b.conf/x", "bad\n");
	put_link("/run/memguard/memguard.conf.d", "/nonexistent");
	put("/usr/lib/memguard/memguard.conf", "[Trigger]\nUsageHigh=12%\n");
	put("/usr/lib/memguard/memguard.conf.d/20-b.conf", "[Trim]\nMinRelease=12M\n");
	put("/usr/local/lib/memguard/memguard.conf.d", "");
	CHECK_EQ(load_root(), 0);
	snprintf(expected, sizeof(expected),
		 "%s:0: is a link to nothing, and is passed over; mend or remove it (a link to "
		 "/dev/null would switch off)\n"
		 "%s.d/10-a.conf:0: is a link to nothing, and is passed over; mend or remove it (a "
		 "link to /dev/null would switch off)\n"
		 "%s.d/20-b.conf:0: is a directory, and is passed over; move the files in it to the "
		 "one above, or rename it\n"
		 "/run/memguard/memguard.conf.d:0: is a link to nothing, and is passed over; mend or "
		 "remove it (a link to /dev/null would switch off)\n"
		 "/usr/local/lib/memguard/memguard.conf.d:0: is no directory, and is passed over; "
		 "make it one for drop-ins, or remove it\n", at, at, at);
	CHECK_STR(findings, expected);
	CHECK_EQ(config_n_files(config), 2);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 1200);
	CHECK_EQ(resolve(NULL, "/").min_release_bytes, 12 * MIB);

	/* What is wrong within others comes first, and is the reason to refuse them. */
	put("/usr/lib/memguard/memguard.conf", "[Trigger]\nUsageHigh=120%\n");
	CHECK_EQ(load_root(), -EINVAL);
	CHECK(strstr(findings, "/usr/lib/memguard/memguard.conf:2: ") == findings);
	CHECK(strstr(findings, "is a link to nothing"));
	clear();
}

static void files_that_cannot_be_read_are_told(void)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/missing.conf", scratch);
	CHECK_EQ(config_load(name, "", false, on_message, NULL, &config), -ENOENT);
	CHECK_STR(findings, "/missing.conf:0: cannot be read: No such file or directory; "
			    "check the path\n");

	findings[0] = '\0';
	CHECK_EQ(config_load(scratch, "", false, on_message, NULL, &config), -EISDIR);
	CHECK_STR(findings, ":0: cannot be read: Is a directory; check what it is and "
			    "its permissions\n");

	findings[0] = '\0';
	CHECK_EQ(config_load("/dev/zero", "", false, on_message, NULL, &config), -EFBIG);
	CHECK(strstr(findings, "/dev/zero:0: cannot be read: File too large"));

	/* Whoever waited for somebody to write there would wait for ever. */
	snprintf(name, sizeof(name), "%s/pipe.conf", scratch);
	CHECK_EQ(mkfifo(name, 0644), 0);
	findings[0] = '\0';
	alarm(20);
	CHECK_EQ(config_load(name, "", false, on_message, NULL, &config), -ESPIPE);
	alarm(0);
	CHECK_STR(findings, "/pipe.conf:0: cannot be read: It is a pipe; check what it is "
			    "and its permissions\n");

	/*
	 * A loop of links, which root cannot read either; mistakes elsewhere are told
	 * too.
	 */
	put_link("/etc/memguard/memguard.conf.d/loop.conf", "loop.conf");
	CHECK_EQ(load_root(), -ELOOP);
	put("/etc/memguard/memguard.conf.d/bad.conf", "x\n");
	CHECK_EQ(load_root(), -EINVAL);
	CHECK(strstr(findings, "bad.conf:1:"));
	CHECK(strstr(findings,
		     "loop.conf:0: cannot be read: Too many levels of symbolic links"));
	CHECK(!config);
	clear();
}

static void dev_null_is_an_empty_configuration(void)
{
	CHECK_EQ(config_load("/dev/null", "", false, on_message, NULL, &config), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 8000);
	clear();
}

int main(void)
{
	if (!mkdtemp(scratch)) {
		perror(scratch);
		return 1;
	}

	RUN(values_are_refused_with_what_to_write);
	RUN(unknown_sections_are_answered_with_the_known_ones);
	RUN(unknown_keys_are_answered_with_the_nearest);
	RUN(overrides_need_a_name_of_the_right_kind);
	RUN(repeated_sections_and_keys_name_the_first_line);
	RUN(comments_behind_values_are_refused);
	RUN(lines_that_are_no_pairs_are_refused);
	RUN(indented_lines_are_not_continuations);
	RUN(long_lines_are_refused_by_name_and_never_cut);
	RUN(bytes_that_are_no_text_are_refused);
	RUN(contradictions_name_the_later_line);
	RUN(every_contradiction_is_told);
	RUN(one_threshold_of_two_is_no_mistake);
	RUN(a_value_that_was_refused_contradicts_nothing);
	RUN(all_mistakes_of_all_files_are_told_at_once);
	RUN(what_is_no_file_is_told_and_passed_over);
	RUN(what_is_no_file_is_told_and_passed_over);
	RUN(files_that_cannot_be_read_are_told);
	RUN(dev_null_is_an_empty_configuration);

	rmdir(scratch);
	return TEST_RESULT();
}
