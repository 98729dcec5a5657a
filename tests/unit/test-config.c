/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Files to settings: order, overrides, and a finding with file and line for every
 * mistake.
 */

#include "agent/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/config/files.h"
#include "tests/unit/test.h"

static char scratch[] = "/tmp/test-config.XXXXXX";

/* All findings of one load, a line each, without the scratch directory. */
static char findings[65536];
static struct config *config;

static void on_message(const char *file, unsigned int line, const char *text,
		       void *userdata)
{
	const size_t n = strlen(findings), prefix = strlen(scratch);

	(void)userdata;
	if (strncmp(file, scratch, prefix) == 0)
		file += prefix;
	snprintf(findings + n, sizeof(findings) - n, "%s:%u: %s\n", file, line, text);
}

/* Makes the file @path below the scratch directory, and the directories above it. */
static void put(const char *path, const char *text)
{
	char name[512];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", scratch, path);
	for (char *slash = strchr(name + strlen(scratch) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(name, 0755);
		*slash = '/';
	}

	file = fopen(name, "w");
	CHECK(file);
	if (!file)
		return;
	fputs(text, file);
	fclose(file);
}

static void put_link(const char *path, const char *target)
{
	char name[512];

	put(path, "");
	snprintf(name, sizeof(name), "%s%s", scratch, path);
	CHECK_EQ(unlink(name), 0);
	CHECK_EQ(symlink(target, name), 0);
}

/* Everything below the scratch directory, so that the next test begins with nothing. */
static void clear(void)
{
	char command[512];

	config = config_free(config);
	findings[0] = '\0';
	snprintf(command, sizeof(command), "rm -rf %s/*", scratch);
	CHECK_EQ(system(command), 0);
}

static int load_root(void)
{
	findings[0] = '\0';
	config = config_free(config);
	return config_load(NULL, scratch, on_message, NULL, &config);
}

static int load_text(const char *text)
{
	char name[512];

	put("/one.conf", text);
	findings[0] = '\0';
	config = config_free(config);
	snprintf(name, sizeof(name), "%s/one.conf", scratch);
	return config_load(name, "/nowhere", on_message, NULL, &config);
}

static struct group_settings resolve(const char *unit, const char *path)
{
	struct group_settings settings = { 0 };

	if (config)
		config_resolve(config, unit, path, &settings);
	return settings;
}

/* @text, and then the only finding. */
static void check_finding(const char *text, const char *expected)
{
	char line[2048];

	CHECK_EQ(load_text(text), -EINVAL);
	CHECK(!config);
	snprintf(line, sizeof(line), "/one.conf:%s\n", expected);
	CHECK_STR(findings, line);
}

static void without_files_the_defaults_hold(void)
{
	struct group_settings loaded, compiled;

	CHECK_EQ(load_root(), 0);
	CHECK_EQ(config_n_files(config), 0);
	loaded = resolve("a.service", "/a");

	config = config_free(config);
	CHECK_EQ(config_defaults(&config), 0);
	CHECK_EQ(config_n_files(config), 0);
	compiled = resolve(NULL, "/");
	CHECK(memcmp(&loaded, &compiled, sizeof(loaded)) == 0);
	CHECK_EQ(compiled.usage_high_permyriad, 8000);
	clear();
}

static void every_option_reaches_its_field(void)
{
	struct group_settings s;

	CHECK_EQ(
		load_text("[Guard]\nMode=observe\n"
			  "[Trigger]\nUsageHigh=50%\nUsageCritical=60%\nPressureSome=5%\n"
			  "OomEtaSec=2min\nRetainedHigh=1G\n"
			  "[Trim]\nMethod=full\nMinRelease=1M\nStallBudgetMSec="
			  "5\nCooldownSec=30\n"
			  "[Tune]\nArenaMax=2\nMmapThreshold=1M\nTrimThreshold="
			  "2M\nTopPad=64K\n"
			  "[Alert]\nExec=/bin/echo low memory\n"),
		0);
	CHECK_STR(findings, "");
	s = resolve(NULL, "/");
	CHECK_EQ(s.mode, MODE_OBSERVE);
	CHECK_EQ(s.usage_high_permyriad, 5000);
	CHECK_EQ(s.usage_critical_permyriad, 6000);
	CHECK_EQ(s.pressure_some_permyriad, 500);
	CHECK_EQ(s.oom_eta_usec, 120 * USEC_PER_SEC);
	CHECK_EQ(s.retained_high_bytes, GIB);
	CHECK_EQ(s.method, METHOD_FULL);
	CHECK_EQ(s.min_release_bytes, MIB);
	CHECK_EQ(s.stall_budget_usec, 5 * USEC_PER_MSEC);
	CHECK_EQ(s.cooldown_usec, 30 * USEC_PER_SEC);
	CHECK_EQ(s.arena_max, 2);
	CHECK_EQ(s.mmap_threshold_bytes, MIB);
	CHECK_EQ(s.trim_threshold_bytes, 2 * MIB);
	CHECK_EQ(s.top_pad_bytes, 64 * KIB);
	CHECK_STR(s.exec_line, "/bin/echo low memory");
	clear();
}

static void blanks_comments_marks_and_line_ends_do_not_matter(void)
{
	struct group_settings s;

	CHECK_EQ(load_text("\xef\xbb\xbf# caf\xe9 in Latin-1 is fine in a comment\r\n"
			   "; as is this\r\n"
			   "\r\n"
			   "  [ Trigger ]  \r\n"
			   "\t UsageHigh \t=  50% \t\r\n"
			   "\t UsageCritical=60%\r\n"
			   "[Alert]\n"
			   "Exec = /bin/echo a#b;c=d  \xe2\x82\xac"),
		 0);
	CHECK_STR(findings, "");
	s = resolve(NULL, "/");
	CHECK_EQ(s.usage_high_permyriad, 5000);
	CHECK_EQ(s.usage_critical_permyriad, 6000);
	CHECK_STR(s.exec_line, "/bin/echo a#b;c=d  \xe2\x82\xac");
	clear();
}

static void the_first_main_file_wins(void)
{
	put("/usr/lib/memguard/memguard.conf",
	    "[Trigger]\nUsageHigh=10%\nOomEtaSec=1s\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 1000);

	put("/usr/local/lib/memguard/memguard.conf", "[Trigger]\nUsageHigh=20%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 2000);
	CHECK_EQ(resolve(NULL, "/").oom_eta_usec, 10 * USEC_PER_SEC);

	put("/run/memguard/memguard.conf", "[Trigger]\nUsageHigh=30%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 3000);

	put("/etc/memguard/memguard.conf", "[Trigger]\nUsageHigh=40%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 4000);
	CHECK_EQ(config_n_files(config), 1);
	clear();

	put("/usr/lib/memguard/memguard.conf", "[Trigger]\nUsageHigh=10%\n");
	put_link("/etc/memguard/memguard.conf", "/dev/null");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 8000);
	clear();
}

static void drop_ins_apply_by_name_whatever_their_directory(void)
{
	put("/etc/memguard/memguard.conf",
	    "[Trigger]\nUsageHigh=11%\nOomEtaSec=11s\n[Trim]\nMinRelease=11M\n");
	put("/etc/memguard/memguard.conf.d/10-a.conf",
	    "[Trigger]\nUsageHigh=12%\nOomEtaSec=12s\n");
	put("/usr/lib/memguard/memguard.conf.d/20-b.conf", "[Trigger]\nUsageHigh=13%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 1300);
	CHECK_EQ(resolve(NULL, "/").oom_eta_usec, 12 * USEC_PER_SEC);
	CHECK_EQ(resolve(NULL, "/").min_release_bytes, 11 * MIB);
	CHECK_EQ(config_n_files(config), 3);

	/* Of two files of one name the one in the higher directory is read. */
	put("/run/memguard/memguard.conf.d/20-b.conf", "[Trigger]\nUsageHigh=14%\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 1400);
	CHECK_EQ(config_n_files(config), 3);
	clear();
}

static void drop_ins_are_masked_by_null_and_empty_files(void)
{
	put("/usr/lib/memguard/memguard.conf.d/10-a.conf", "[Trigger]\nUsageHigh=12%\n");
	put("/usr/lib/memguard/memguard.conf.d/20-b.conf", "[Trim]\nMinRelease=12M\n");
	put_link("/etc/memguard/memguard.conf.d/10-a.conf", "/dev/null");
	put("/run/memguard/memguard.conf.d/20-b.conf", "");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 8000);
	CHECK_EQ(resolve(NULL, "/").min_release_bytes, 16 * MIB);
	CHECK_EQ(config_n_files(config), 0);
	clear();
}

static void what_is_no_drop_in_is_not_read(void)
{
	put("/etc/memguard/memguard.conf.d/.hidden.conf", "bad\n");
	put("/etc/memguard/memguard.conf.d/backup.conf~", "bad\n");
	put("/etc/memguard/memguard.conf.d/README", "bad\n");
	put("/etc/memguard/memguard.conf.d/.conf", "bad\n");
	put("/etc/memguard/memguard.conf.d/directory.conf/x", "bad\n");
	put_link("/etc/memguard/memguard.conf.d/dangling.conf", "/nonexistent");
	CHECK_EQ(load_root(), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(config_n_files(config), 0);
	clear();
}

/* The tree that both are to order, with every kind of entry both can read. */
static void put_example_tree(void)
{
	put("/usr/lib/memguard/memguard.conf", "[Guard]\n");
	put("/run/memguard/memguard.conf", "[Guard]\n");
	put("/usr/lib/memguard/memguard.conf.d/30-c.conf", "[Trim]\n");
	put("/usr/local/lib/memguard/memguard.conf.d/30-c.conf", "[Trim]\n");
	put("/usr/lib/memguard/memguard.conf.d/10-z.conf", "[Trim]\n");
	put("/run/memguard/memguard.conf.d/10-a.conf", "[Trim]\n");
	put("/etc/memguard/memguard.conf.d/9-last.conf", "[Trim]\n");
	put("/etc/memguard/memguard.conf.d/B.conf", "[Trim]\n");
	put("/usr/lib/memguard/memguard.conf.d/a.conf", "[Trim]\n");
	put("/run/memguard/memguard.conf.d/a.conf", "[Trim]\n");
	put("/etc/memguard/memguard.conf.d/.hidden.conf", "[Trim]\n");
	put("/etc/memguard/memguard.conf.d/README", "[Trim]\n");
}

static void files_are_in_the_order_systemd_shows(void)
{
	static const char *const expected[] = {
		"/run/memguard/memguard.conf",
		"/run/memguard/memguard.conf.d/10-a.conf",
		"/usr/lib/memguard/memguard.conf.d/10-z.conf",
		"/usr/local/lib/memguard/memguard.conf.d/30-c.conf",
		"/etc/memguard/memguard.conf.d/9-last.conf",
		"/etc/memguard/memguard.conf.d/B.conf",
		"/run/memguard/memguard.conf.d/a.conf",
	};
	struct files files = { 0 };

	put_example_tree();
	CHECK_EQ(files_find(scratch, &files), 0);
	CHECK_EQ(files.n, ARRAY_SIZE(expected));
	for (size_t i = 0; i < MIN(files.n, ARRAY_SIZE(expected)); i++)
		CHECK_STR(files.items[i].path + strlen(scratch), expected[i]);
	files_done(&files);
	clear();
}

static void systemd_itself_shows_the_same_order(void)
{
	char command[512], line[512];
	struct files files = { 0 };
	size_t n = 0;
	FILE *pipe;

	put_example_tree();
	CHECK_EQ(files_find(scratch, &files), 0);

	snprintf(command, sizeof(command),
		 "systemd-analyze --no-pager --root=%s cat-config memguard/memguard.conf "
		 "2>/dev/null",
		 scratch);
	pipe = popen(command, "r");
	CHECK(pipe);
	while (pipe && fgets(line, sizeof(line), pipe)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "# /", 3) == 0 && n < files.n)
			CHECK_STR(line + 2, files.items[n++].path);
	}

	/* Not installed, or too old for --root with this verb. */
	if (!pipe || pclose(pipe) != 0)
		printf("# skipped: no systemd-analyze that knows cat-config --root\n");
	else
		CHECK_EQ(n, files.n);
	files_done(&files);
	clear();
}

static void later_files_win_and_the_empty_value_resets(void)
{
	put("/etc/memguard/memguard.conf",
	    "[Trigger]\nUsageHigh=50%\n[Tune]\nArenaMax=2\n[Alert]\nExec=/bin/true\n");
	put("/etc/memguard/memguard.conf.d/a.conf",
	    "[Trigger]\nUsageHigh=\n[Tune]\nArenaMax=\n[Alert]\nExec=\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(resolve(NULL, "/").usage_high_permyriad, 8000);
	CHECK_EQ(resolve(NULL, "/").arena_max, 0);
	CHECK(!resolve(NULL, "/").exec_line);
	clear();
}

static void service_overrides_take_keys_of_every_section(void)
{
	CHECK_EQ(load_text("[Trigger]\nUsageHigh=50%\n"
			   "[Service web]\nMode=observe\nUsageHigh=60%\nArenaMax=4\n"
			   "[Service db.scope]\nMinRelease=1M\n"
			   "[Service php8.2-fpm]\nMinRelease=2M\n"),
		 0);
	CHECK_EQ(resolve("web.service", "/x").mode, MODE_OBSERVE);
	CHECK_EQ(resolve("web.service", "/x").usage_high_permyriad, 6000);
	CHECK_EQ(resolve("web.service", "/x").arena_max, 4);
	CHECK_EQ(resolve("web.service", "/x").usage_critical_permyriad, 9200);
	CHECK_EQ(resolve("web", "/x").usage_high_permyriad, 5000);
	CHECK_EQ(resolve("other.service", "/x").mode, MODE_TRIM);
	CHECK_EQ(resolve(NULL, "/web.service").mode, MODE_TRIM);
	CHECK_EQ(resolve("db.scope", "/x").min_release_bytes, MIB);
	CHECK_EQ(resolve("php8.2-fpm.service", "/x").min_release_bytes, 2 * MIB);
	clear();
}

static void templates_are_for_all_instances_and_instances_win(void)
{
	CHECK_EQ(load_text("[Service job@7]\nMinRelease=7M\n"
			   "[Service job@]\nMinRelease=1M\nArenaMax=1\n"),
		 0);
	CHECK_EQ(resolve("job@1.service", "/x").min_release_bytes, MIB);
	CHECK_EQ(resolve("job@7.service", "/x").min_release_bytes, 7 * MIB);
	CHECK_EQ(resolve("job@7.service", "/x").arena_max, 1);
	CHECK_EQ(resolve("job@.service", "/x").min_release_bytes, 16 * MIB);
	CHECK_EQ(resolve("job.service", "/x").min_release_bytes, 16 * MIB);
	CHECK_EQ(resolve("job@1.scope", "/x").min_release_bytes, 16 * MIB);
	CHECK_EQ(resolve("job@", "/x").min_release_bytes, 16 * MIB);
	clear();
}

static void cgroup_overrides_apply_in_order_and_before_services(void)
{
	CHECK_EQ(load_text("[Service web]\nMinRelease=9M\n"
			   "[Cgroup /kubepods*]\nMinRelease=1M\nRetainedHigh=1G\n"
			   "[Cgroup "
			   "/kubepods.slice/kubepods-burstable.slice/pod[0-9]*.slice/"
			   "cri-containerd-*.scope]\n"
			   "MinRelease=2M\n"
			   "[Cgroup /system.slice/*]\nMinRelease=3M\nArenaMax=3\n"),
		 0);
	CHECK_EQ(resolve(NULL, "/kubepods/a/b").min_release_bytes, MIB);
	CHECK_EQ(resolve(NULL, "/kubepods.slice/kubepods-burstable.slice/pod5a.slice/"
			       "cri-containerd-77.scope")
			 .min_release_bytes,
		 2 * MIB);
	CHECK_EQ(resolve(NULL, "/kubepods.slice/kubepods-burstable.slice/podx.slice/"
			       "cri-containerd-77.scope")
			 .min_release_bytes,
		 MIB);
	CHECK_EQ(resolve("web.service", "/system.slice/web.service").min_release_bytes,
		 9 * MIB);
	CHECK_EQ(resolve("web.service", "/system.slice/web.service").arena_max, 3);
	CHECK_EQ(resolve(NULL, "/other").min_release_bytes, 16 * MIB);
	CHECK_EQ(resolve(NULL, "").min_release_bytes, 16 * MIB);
	clear();
}

static void the_empty_value_in_an_override_is_the_default_too(void)
{
	CHECK_EQ(load_text("[Trigger]\nUsageHigh=50%\n[Tune]\nArenaMax=2\n"
			   "[Service a]\nUsageHigh=\nArenaMax=\n"),
		 0);
	CHECK_EQ(resolve("a.service", "/").usage_high_permyriad, 8000);
	CHECK_EQ(resolve("a.service", "/").arena_max, 0);
	CHECK_EQ(resolve("b.service", "/").arena_max, 2);
	clear();
}

static void drop_ins_may_repeat_sections_and_keys(void)
{
	put("/etc/memguard/memguard.conf",
	    "[Trim]\nMinRelease=1M\n[Service a]\nMinRelease=2M\n");
	put("/etc/memguard/memguard.conf.d/a.conf",
	    "[Trim]\nMinRelease=3M\n[Service a.service]\nMinRelease=4M\n");
	CHECK_EQ(load_root(), 0);
	CHECK_STR(findings, "");
	CHECK_EQ(resolve(NULL, "/").min_release_bytes, 3 * MIB);
	CHECK_EQ(resolve("a.service", "/").min_release_bytes, 4 * MIB);
	clear();
}

static void overrides_that_meet_cannot_contradict_each_other(void)
{
	CHECK_EQ(load_text(
			 "[Cgroup /a*]\nUsageHigh=90%\n[Service s]\nUsageCritical=85%\n"),
		 0);
	CHECK_EQ(resolve("s.service", "/a").usage_critical_permyriad, 8500);
	CHECK_EQ(resolve("s.service", "/a").usage_high_permyriad, 8500);
	clear();
}

struct listing {
	char text[65536];
	size_t n;
	size_t stop_at;
};

static int on_item(const struct config_item *item, void *userdata)
{
	struct listing *listing = userdata;
	const size_t n = strlen(listing->text);
	const char *slash = item->file ? strrchr(item->file, '/') + 1 : "-";

	if (listing->stop_at && listing->n == listing->stop_at)
		return 77;

	listing->n++;
	snprintf(listing->text + n, sizeof(listing->text) - n, "[%s] %s=%s %s:%u\n",
		 item->section, item->key, item->value, slash, item->line);
	return 0;
}

static void every_option_is_listed_with_its_origin(void)
{
	static struct listing listing;
	const char *overrides;

	listing = (struct listing){ 0 };
	put("/etc/memguard/memguard.conf", "[Service "
					   "a]\nUsageHigh=70%\nMode=observe\n\n[Trigger]"
					   "\nUsageHigh=0075%\nOomEtaSec=90\n");
	put("/etc/memguard/memguard.conf.d/x.conf",
	    "\n[Trigger]\nOomEtaSec=\n[Cgroup /b]\nExec=\n");
	CHECK_EQ(load_root(), 0);
	CHECK_EQ(config_each(config, on_item, &listing), 0);

	CHECK_EQ(listing.n, 17 + 3);
	CHECK(strncmp(listing.text, "[Guard] Mode=trim -:0\n", 22) == 0);
	CHECK(strstr(listing.text, "[Trigger] UsageHigh=75% memguard.conf:6\n"));
	CHECK(strstr(listing.text, "[Trigger] UsageCritical=92% -:0\n"));
	CHECK(strstr(listing.text, "[Trigger] OomEtaSec=10s x.conf:3\n"));
	CHECK(strstr(listing.text, "[Tune] ArenaMax= -:0\n"));
	overrides = strstr(listing.text, "[Cgroup");
	CHECK_STR(overrides, "[Cgroup /b] Exec= x.conf:5\n"
			     "[Service a.service] Mode=observe memguard.conf:3\n"
			     "[Service a.service] UsageHigh=70% memguard.conf:2\n");

	listing = (struct listing){ .stop_at = 3 };
	CHECK_EQ(config_each(config, on_item, &listing), 77);
	CHECK_EQ(listing.n, 3);
	clear();
}

static void values_are_refused_with_what_to_write(void)
{
	check_finding("[Trigger]\nUsageHigh=80\n",
		      "2: UsageHigh=80 is not understood; write a percentage of the "
		      "limit from 1% to "
		      "100%, such as 80%");
	check_finding("[Trigger]\n\nUsageHigh=200%\n",
		      "3: UsageHigh=200% is out of range; write a percentage of the "
		      "limit from 1% to "
		      "100%, such as 80%");
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
		      "StallBudgetMSec=, CooldownSec=");
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
		      "raise UsageCritical=");
	check_finding("[Trigger]\nUsageCritical=70%\nUsageHigh=70%\n",
		      "3: UsageCritical= is not above UsageHigh=; lower UsageHigh= or "
		      "raise UsageCritical=");
	check_finding("[Tune]\nMmapThreshold=1M\n",
		      "2: only one of MmapThreshold= and TrimThreshold= is set, and "
		      "glibc then freezes the "
		      "other at whatever value it has; set both or none");
	check_finding("[Service a]\nUsageHigh=95%\n",
		      "2: for [Service a.service], UsageCritical= is not above "
		      "UsageHigh=; lower UsageHigh= or "
		      "raise UsageCritical=");
	clear();
}

static void every_contradiction_is_told(void)
{
	CHECK_EQ(load_text("[Trigger]\nUsageHigh=95%\n[Tune]\nTrimThreshold=1M\n"),
		 -EINVAL);
	CHECK(strstr(findings, "/one.conf:2: UsageCritical= is not above"));
	CHECK(strstr(findings, "/one.conf:4: only one of MmapThreshold="));
	clear();
}

static void a_value_that_was_refused_contradicts_nothing(void)
{
	check_finding("[Trigger]\nUsageHigh=60\nUsageCritical=70%\n",
		      "2: UsageHigh=60 is not understood; write a percentage of the "
		      "limit from 1% to "
		      "100%, such as 80%");
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

static void files_that_cannot_be_read_are_told(void)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/missing.conf", scratch);
	CHECK_EQ(config_load(name, "", on_message, NULL, &config), -ENOENT);
	CHECK_STR(findings, "/missing.conf:0: cannot be read: No such file or directory; "
			    "check the path\n");

	findings[0] = '\0';
	CHECK_EQ(config_load(scratch, "", on_message, NULL, &config), -EISDIR);
	CHECK_STR(findings, ":0: cannot be read: Is a directory; check what it is and "
			    "its permissions\n");

	findings[0] = '\0';
	CHECK_EQ(config_load("/dev/zero", "", on_message, NULL, &config), -EFBIG);
	CHECK(strstr(findings, "/dev/zero:0: cannot be read: File too large"));

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
	CHECK_EQ(config_load("/dev/null", "", on_message, NULL, &config), 0);
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

	RUN(without_files_the_defaults_hold);
	RUN(every_option_reaches_its_field);
	RUN(blanks_comments_marks_and_line_ends_do_not_matter);
	RUN(the_first_main_file_wins);
	RUN(drop_ins_apply_by_name_whatever_their_directory);
	RUN(drop_ins_are_masked_by_null_and_empty_files);
	RUN(what_is_no_drop_in_is_not_read);
	RUN(files_are_in_the_order_systemd_shows);
	RUN(systemd_itself_shows_the_same_order);
	RUN(later_files_win_and_the_empty_value_resets);
	RUN(service_overrides_take_keys_of_every_section);
	RUN(templates_are_for_all_instances_and_instances_win);
	RUN(cgroup_overrides_apply_in_order_and_before_services);
	RUN(the_empty_value_in_an_override_is_the_default_too);
	RUN(drop_ins_may_repeat_sections_and_keys);
	RUN(overrides_that_meet_cannot_contradict_each_other);
	RUN(every_option_is_listed_with_its_origin);
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
	RUN(a_value_that_was_refused_contradicts_nothing);
	RUN(all_mistakes_of_all_files_are_told_at_once);
	RUN(files_that_cannot_be_read_are_told);
	RUN(dev_null_is_an_empty_configuration);

	rmdir(scratch);
	return TEST_RESULT();
}
