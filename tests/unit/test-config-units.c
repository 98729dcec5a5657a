/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* [X-Memguard] in drop-ins of units: whose they are, what is read of them, and nothing else. */

#include "agent/config/unit-text.h"
#include "tests/unit/config-fixture.h"

#define AT_ETC "/etc/systemd/system/"
#define AT_RUN "/run/systemd/system/"
#define AT_LOCAL "/usr/local/lib/systemd/system/"
#define AT_LIB "/usr/lib/systemd/system/"

static uint64_t min_release_mib(const char *unit)
{
	return resolve(unit, "/x").min_release_bytes / MIB;
}

static void each_directory_is_read_by_name_and_the_first_masks(void)
{
	put(AT_LIB "a.service.d/10.conf", "[X-Memguard]\nMinRelease=1M\nArenaMax=1\nMaxPerHour=1\n");
	put(AT_LOCAL "a.service.d/20.conf", "[X-Memguard]\nMinRelease=2M\nArenaMax=2\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(min_release_mib("a.service"), 2);
	put(AT_RUN "a.service.d/15.conf", "[X-Memguard]\nMinRelease=3M\nArenaMax=3\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(min_release_mib("a.service"), 2);
	put(AT_ETC "a.service.d/20.conf", "[X-Memguard]\nMinRelease=4M\n");
	CHECK_EQ(load_root(), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(min_release_mib("a.service"), 4);
	CHECK_EQ(resolve("a.service", "/x").arena_max, 3);
	CHECK_EQ(resolve("a.service", "/x").max_per_hour, 1);
	CHECK_EQ(config_n_files(config), 3);
	CHECK_EQ(min_release_mib("b.service"), 16);

	put_link(AT_RUN "a.service.d/20.conf", "/nonexistent");
	put_link(AT_ETC "a.service.d/15.conf", "/dev/null");
	put(AT_ETC "a.service.d/10.conf", "");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(min_release_mib("a.service"), 4);
	CHECK_EQ(resolve("a.service", "/x").arena_max, 0);
	CHECK_EQ(config_n_files(config), 1);
	clear();
}

static void of_one_name_the_drop_in_wins_and_the_exacter_name_over_it(void)
{
	put("/etc/memguard/memguard.conf.d/zz.conf",
	    "[Service a]\nMinRelease=1M\nArenaMax=1\n[Service t@]\nMinRelease=1M\nArenaMax=1\n"
	    "[Service t@one]\nMaxPerHour=1\n[Cgroup /*]\nMinRelease=9M\nCooldownSec=9s\n");
	put(AT_LIB "a.service.d/00.conf", "[X-Memguard]\nMinRelease=2M\n");
	put(AT_LIB "t@.service.d/50.conf", "[X-Memguard]\nMinRelease=3M\nMaxPerHour=3\nTuneAfter=3\n");
	put(AT_LIB "t@one.service.d/10.conf", "[X-Memguard]\nTuneAfter=4\n");
	CHECK_EQ(load_root(), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(min_release_mib("a.service"), 2);
	CHECK_EQ(resolve("a.service", "/x").arena_max, 1);
	CHECK_EQ(resolve("a.service", "/x").cooldown_usec, 9 * USEC_PER_SEC);
	CHECK_EQ(min_release_mib("t@two.service"), 3);
	CHECK_EQ(resolve("t@two.service", "/x").arena_max, 1);
	CHECK_EQ(resolve("t@two.service", "/x").tune_after, 3);
	CHECK_EQ(min_release_mib("t@one.service"), 3);
	CHECK_EQ(resolve("t@one.service", "/x").max_per_hour, 1);
	CHECK_EQ(resolve("t@one.service", "/x").tune_after, 4);
	CHECK_EQ(min_release_mib("t.service"), 9);
	clear();
}

static void drop_ins_of_an_alias_are_the_units(void)
{
	put(AT_LIB "real.service", "");
	put(AT_LIB "real@.service", "");
	put_link(AT_ETC "nick.service", AT_LIB "real.service");
	put_link(AT_LIB "old.service", "nick.service");
	put_link(AT_LIB "nick@.service", "real@.service");
	put_link(AT_ETC "real@x.service", AT_LIB "real@.service");
	put_link(AT_ETC "round.service", "square.service");
	put_link(AT_ETC "square.service", "round.service");
	put(AT_ETC "nick.service.d/a.conf", "[X-Memguard]\nMinRelease=1M\n");
	put(AT_ETC "old.service.d/a.conf", "[X-Memguard]\nArenaMax=1\n");
	put(AT_ETC "nick@.service.d/a.conf", "[X-Memguard]\nMinRelease=2M\n");
	put(AT_ETC "real@x.service.d/a.conf", "[X-Memguard]\nArenaMax=2\n");
	put(AT_ETC "round.service.d/a.conf", "[X-Memguard]\nMinRelease=3M\n");
	CHECK_EQ(load_root(), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(min_release_mib("real.service"), 1);
	CHECK_EQ(resolve("real.service", "/x").arena_max, 1);
	CHECK_EQ(min_release_mib("real@y.service"), 2);
	CHECK_EQ(resolve("real@y.service", "/x").arena_max, 0);
	CHECK_EQ(resolve("real@x.service", "/x").arena_max, 2);

	/* Another place is no other name. */
	put("/opt/a/a.service", "");
	put_link(AT_ETC "a.service", "/opt/a/a.service");
	put(AT_ETC "a.service.d/a.conf", "[X-Memguard]\nMinRelease=4M\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(min_release_mib("a.service"), 4);
	clear();
}

/* What systemd makes of such texts: tests/integration/63-unit-drop-ins.sh asks it. */
static void all_other_sections_are_systemds_business(void)
{
	FILE *file;
	char name[512];

	put(AT_ETC "a.service.d/a.conf",
	    "caf\xe9 \x01\xff no pair\n[Unit\n[Service]\nNo=pair \\\n"
	    "[X-Memguard]\nUsageHigh=lots\n# no end \\\n; either \\\n\n"
	    "UsageHigh=lots\nX=\\\\\\\n  [X-Memguard]\n[X-Memguard-Other]\nUsageHigh=lots\n"
	    "[X-Other]\nUsageHigh=lots\n[Trigger]\nUsageHigh=lots\n[Service a]\nUsageHigh=lots\n"
	    "Environment=\"A=\\\\\"\\\\\n\t[X-Memguard] \nMinRelease=1M\n[]\nUsageHigh=lots\n"
	    "[X-Memguard:a]\n[Service]\nSame=1\nSame=1\n[Service]\nx");
	CHECK_EQ(load_root(), 0);
	/* The header with another name behind it. */
	CHECK_STR(findings, AT_ETC "a.service.d/a.conf:26: this is not [X-Memguard], as it has to be written, and "
			    "nothing below it is read\n");
	CHECK_EQ(min_release_mib("a.service"), 1);

	snprintf(name, sizeof(name), "%s%s", scratch, AT_ETC "a.service.d/a.conf");
	file = fopen(name, "w");
	CHECK(file);
	fputs("[Service]\nA=", file);
	for (int i = 0; i < 300000; i++)
		fputc('x', file);
	for (int i = 0; i < 20000; i++)
		fprintf(file, "\nA%d=%c\xc3", i, i % 256);
	fputs("\n[X-Memguard]\r\nMinRelease=2M\r\n", file);
	fclose(file);
	CHECK_EQ(load_root(), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(min_release_mib("a.service"), 2);
	clear();
}

/* As text, since put() knows no NUL. */
static void check_kept(const char *text, size_t n, const char *expected)
{
	char kept[256];

	CHECK(n <= sizeof(kept) && n == strlen(expected));
	memcpy(kept, text, n);
	unit_text_keep(kept, n);
	CHECK(memcmp(kept, expected, n) == 0);
}

#define CHECK_KEPT(text, expected) check_kept(text, sizeof(text) - 1, expected)

static void lines_end_as_systemd_ends_them(void)
{
	CHECK_KEPT("", "");
	CHECK_KEPT("a\0[X-Memguard]\nb", "  [X-Memguard]\nb");
	CHECK_KEPT("a\\\0[X-Memguard]\nb", "               \n ");
	CHECK_KEPT("a\r\n[X-Memguard]\r\nb", "  \n[X-Memguard]\r\nb");
	CHECK_KEPT("a\\\r\n[X-Memguard]\r\nb", "   \n             \n ");
	CHECK_KEPT("a\\\n\r\n[X-Memguard]\nb", "  \n \n[X-Memguard]\nb");
	CHECK_KEPT("a\\\n\n[X-Memguard]\nb", "  \n\n[X-Memguard]\nb");
	CHECK_KEPT("\\\n[X-Memguard]\nb", " \n[X-Memguard]\nb");
	CHECK_KEPT("\xef\xbb\xbf[X-Memguard]\nb", "\xef\xbb\xbf[X-Memguard]\nb");
	CHECK_KEPT("[X-Memguard]\nb\\\n[S]\nc\n[S]\nd", "[X-Memguard]\nb\\\n   \nc\n   \n ");
	CHECK_KEPT("[", " ");
	CHECK_KEPT("[]", "  ");
	CHECK_KEPT("[X-Memguard", "[X-Memguard");
	CHECK_KEPT("[x-memguard", "           ");
}

static void mistakes_in_the_section_are_told_as_in_any_file(void)
{
	static const char at[] = AT_ETC "a.service.d/a.conf";
	char expected[2048];

	put("/etc/memguard/memguard.conf", "[Trigger]\nUsageHigh=70%\n");
	put(at, "[Service]\nA=1\n\n[X-Memguard]\nUsageHigh=80\nUsageHihg=1\n# fine\nno pair\nMode=trim \\\n"
		"[Service]\nMode=trim\nMinRelease=1M\nMinRelease=2M\n[X-Memguard]\n[Service]\nx\n");
	CHECK_EQ(load_root(), -EINVAL);
	CHECK(!config);
	snprintf(expected, sizeof(expected),
		 "%s:5: UsageHigh=80 is not understood; write a percentage of the limit from 1%% to less than "
		 "100%%, such as 80%%\n"
		 "%s:6: there is no option UsageHihg=; did you mean UsageHigh= of [Trigger]?\n"
		 "%s:8: \"no pair\" has no \"=\"; write KEY=VALUE, or \"#\" in front of a comment\n"
		 "%s:9: a line cannot be continued with \"\\\"; write it in one\n"
		 "%s:13: MinRelease= is set a second time in this section, first in line 12; remove one of "
		 "them\n"
		 "%s:14: section [X-Memguard] begins a second time, first in line 4; put both together\n",
		 at, at, at, at, at, at);
	CHECK_STR(findings, expected);

	put(at, "[X-Memguard]\nUsageHigh=95%\n");
	CHECK_EQ(load_root(), -EINVAL);
	snprintf(expected, sizeof(expected),
		 "%s:2: for [Service a.service], UsageCritical= is not above UsageHigh=; lower UsageHigh= or "
		 "raise UsageCritical= (UsageHigh=95%%; UsageCritical=92%%, the default)\n", at);
	CHECK_STR(findings, expected);

	put(at, "[X-Memguard\nUsageHigh=75%\n[X-Memguard] # b\nUsageHigh=75%\n");
	CHECK_EQ(load_root(), -EINVAL);
	snprintf(expected, sizeof(expected),
		 "%s:1: section \"[X-Memguard\" has no \"]\"; write [X-Memguard]\n"
		 "%s:3: \"# b\" follows the section's \"]\"; move it to a line of its own\n", at, at);
	CHECK_STR(findings, expected);
	clear();
}

static void other_spellings_are_told_and_change_nothing(void)
{
	static const char *const spellings[] = { "X-memguard", "x-Memguard", "X-MEMGUARD", "Memguard", "memguard",
						 "X-Memguard a" };
	static const char *const others[] = { "X-Memguards", "X-Memguard-a", "X-Memguard_a", "Memguardd", "X-",
					      "X", "Mem guard" };
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		snprintf(text, sizeof(text), "[Service]\n[%s]\nUsageHigh=lots\n[%s]\n", spellings[i], spellings[i]);
		put(AT_ETC "a.service.d/a.conf", text);
		CHECK_EQ(load_root(), 0);
		CHECK_STR(findings, AT_ETC "a.service.d/a.conf:2: this is not [X-Memguard], as it has to be written, "
				    "and nothing below it is read\n");
		CHECK_EQ(resolve("a.service", "/x").usage_high_permyriad, 8000);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(text, sizeof(text), "[%s]\nUsageHigh=lots\n", others[i]);
		put(AT_ETC "a.service.d/a.conf", text);
		CHECK_EQ(load_root(), 0);
		CHECK_STR(findings, "");
		CHECK_EQ(config_n_files(config), 0);
	}
	put(AT_ETC "a.service.d/a.conf", "\t [ X-Memguard\t] \nUsageHigh=70%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve("a.service", "/x").usage_high_permyriad, 7000);
	clear();
}

static void what_is_for_no_single_unit_is_told_and_not_read(void)
{
	static const char *const directories[] = { "service.d", "app-.service.d", "app-@.service.d", "-.service.d",
						   "@.service.d", "a b.service.d" };
	char path[512], expected[1024];

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		snprintf(path, sizeof(path), AT_ETC "%s/a.conf", directories[i]);
		put(path, "[Service]\nA=1\n[X-Memguard]\nUsageHigh=70%\nUsageHihg=7\nno pair\n[X-Memguard]\n");
		CHECK_EQ(load_root(), 0);
		snprintf(expected, sizeof(expected),
			 "%s:3: this directory is not that of one unit or template, and nothing is read there; "
			 "write [Cgroup PATTERN] into memguard.conf.d\n", path);
		CHECK_STR(findings, expected);
		CHECK_EQ(resolve("app-a.service", "/x").usage_high_permyriad, 8000);
		clear();
	}
	put(AT_ETC "app-.service.d/a.conf", "[Service]\nA=1\n");
	put(AT_ETC "a.socket.d/a.conf", "[X-Memguard]\nA=1\n");
	put(AT_ETC ".service.d/a.conf", "[X-Memguard]\nA=1\n");
	put(AT_ETC "a@b-.service.d/a.conf", "[X-Memguard]\nUsageHigh=70%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(resolve("a@b-.service", "/x").usage_high_permyriad, 7000);
	clear();
}

/* Each of these would be refused, or told, as a file of memguard's. */
static void what_cannot_be_read_is_passed_over_in_silence(void)
{
	char name[512];

	put_link(AT_ETC "a.service.d/nothing.conf", "/nonexistent");
	put_link(AT_ETC "a.service.d/loop.conf", "loop.conf");
	put_link(AT_ETC "b.service.d", "/nonexistent");
	put_link(AT_ETC "c.service.d", "c.service.d");
	put(AT_ETC "d.service.d", "");
	put(AT_ETC "a.service.d/directory.conf/x.conf", "[X-Memguard]\nUsageHigh=lots\n");
	put(AT_ETC "a.service.d/pipe", "");
	snprintf(name, sizeof(name), "%s%s", scratch, AT_ETC "a.service.d/pipe.conf");
	CHECK_EQ(mkfifo(name, 0644), 0);
	put(AT_ETC "a.service.d/large.conf", "");
	snprintf(name, sizeof(name), "%s%s", scratch, AT_ETC "a.service.d/large.conf");
	CHECK_EQ(truncate(name, 2 * (off_t)MIB), 0);
	put(AT_ETC "a.service.d/z.conf", "[X-Memguard]\nUsageHigh=70%\n");
	put(AT_ETC "a.service.d/z.conf~", "[X-Memguard]\nUsageHigh=lots\n");
	put(AT_ETC "a.service.d/.z.conf", "[X-Memguard]\nUsageHigh=lots\n");
	put(AT_RUN "d.service.d/a.conf", "[X-Memguard]\nUsageHigh=60%\n");
	put("/usr/local/lib/systemd/system", "");
	alarm(20);
	CHECK_EQ(load_root(), 0);
	alarm(0);
	CHECK_STR(findings, "");
	CHECK_EQ(resolve("a.service", "/x").usage_high_permyriad, 7000);
	CHECK_EQ(resolve("d.service", "/x").usage_high_permyriad, 6000);
	CHECK_EQ(config_n_files(config), 2);
	clear();
}

static int load_user(void)
{
	findings[0] = '\0';
	config = config_free(config);
	return config_load(NULL, scratch, true, on_message, NULL, &config);
}

static void a_user_has_directories_of_his_own(void)
{
	put(AT_ETC "a.service.d/a.conf", "[X-Memguard]\nMinRelease=1M\n");
	put("/usr/lib/systemd/user/a.service.d/10.conf", "[X-Memguard]\nMinRelease=2M\nArenaMax=1\n");
	put("/usr/local/lib/systemd/user/a.service.d/20.conf", "[X-Memguard]\nMinRelease=3M\n");
	setenv("HOME", "/home/her", 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_DATA_HOME");
	unsetenv("XDG_RUNTIME_DIR");
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 3);
	put("/home/her/.local/share/systemd/user/a.service.d/20.conf", "[X-Memguard]\nMinRelease=4M\n");
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 4);
	put("/run/systemd/user/a.service.d/20.conf", "[X-Memguard]\nMinRelease=5M\n");
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 5);
	put("/run/user/7/systemd/user/a.service.d/20.conf", "[X-Memguard]\nMinRelease=6M\n");
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 6);
	put("/etc/systemd/user/a.service.d/20.conf", "[X-Memguard]\nMinRelease=7M\n");
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 7);
	put("/home/her/.config/systemd/user/a.service.d/20.conf", "[X-Memguard]\nMinRelease=8M\n");
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 8);
	setenv("XDG_CONFIG_HOME", "relative", 1);
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 8);
	put("/conf/systemd/user/a.service.d/20.conf", "[X-Memguard]\nMinRelease=9M\n");
	setenv("XDG_CONFIG_HOME", "/conf", 1);
	CHECK_EQ(load_user(), 0);
	CHECK_EQ(min_release_mib("a.service"), 9);
	CHECK_EQ(resolve("a.service", "/x").arena_max, 1);
	CHECK_STR(findings, "");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(min_release_mib("a.service"), 1);
	unsetenv("HOME");
	unsetenv("XDG_CONFIG_HOME");
	CHECK_EQ(load_user(), 0);
	clear();
}

/* As verify and --config= do. */
static void one_that_is_named_is_read_as_what_it_is(void)
{
	char name[512];

	snprintf(name, sizeof(name), "%s%s", scratch, "/any/a.service.d/a.conf");
	put("/any/a.service.d/a.conf", "[Service]\nA=1\n[X-Memguard]\nUsageHigh=70%\n");
	CHECK_EQ(config_load(name, "", false, on_message, NULL, &config), 0);
	CHECK_EQ(resolve("a.service", "/x").usage_high_permyriad, 7000);
	CHECK_EQ(resolve("b.service", "/x").usage_high_permyriad, 8000);
	CHECK_EQ(config_n_files(config), 1);
	config = config_free(config);

	put("/any/a.service.d/a.conf", "[Service]\nA=1\n");
	CHECK_EQ(config_load(name, "", false, on_message, NULL, &config), 0);
	CHECK_EQ(config_n_files(config), 1);
	CHECK_STR(findings, "");
	config = config_free(config);

	CHECK_EQ(unlink(name), 0);
	CHECK_EQ(config_load(name, "", false, on_message, NULL, &config), -ENOENT);
	CHECK_STR(findings, "/any/a.service.d/a.conf:0: cannot be read: No such file or directory; check the path\n");

	CHECK_EQ(load_text("[X-Memguard]\nUsageHigh=70%\n"), -EINVAL);
	CHECK(strstr(findings, "/one.conf:1: there is no section [X-Memguard]; that one is for a unit's own drop-in, "
			       "here write [Service NAME]; "));
	clear();
}

static int on_item(const struct config_item *item, void *userdata)
{
	if (item->file)
		snprintf(userdata, 512, "[%s] %s=%s %s:%u", item->section, item->key, item->value,
			 item->file + strlen(scratch), item->line);
	return 0;
}

static void values_are_listed_with_the_place_in_the_drop_in(void)
{
	char text[512] = "";

	put("/etc/memguard/memguard.conf", "[Service a]\nUsageHigh=60%\n");
	put(AT_ETC "a.service.d/override.conf", "[Service]\nA=1\n\n[X-Memguard]\nUsageHigh=70%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(config_each(config, on_item, text), 0);
	CHECK_STR(text, "[Service a.service] UsageHigh=70% " AT_ETC "a.service.d/override.conf:5");
	clear();
}

int main(void)
{
	if (!mkdtemp(scratch)) {
		perror(scratch);
		return 1;
	}

	RUN(each_directory_is_read_by_name_and_the_first_masks);
	RUN(of_one_name_the_drop_in_wins_and_the_exacter_name_over_it);
	RUN(drop_ins_of_an_alias_are_the_units);
	RUN(all_other_sections_are_systemds_business);
	RUN(lines_end_as_systemd_ends_them);
	RUN(mistakes_in_the_section_are_told_as_in_any_file);
	RUN(other_spellings_are_told_and_change_nothing);
	RUN(what_is_for_no_single_unit_is_told_and_not_read);
	RUN(what_cannot_be_read_is_passed_over_in_silence);
	RUN(a_user_has_directories_of_his_own);
	RUN(one_that_is_named_is_read_as_what_it_is);
	RUN(values_are_listed_with_the_place_in_the_drop_in);

	rmdir(scratch);
	return TEST_RESULT();
}
