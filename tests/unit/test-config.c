/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files to settings: order, overrides, and where each value comes from. */

#include "tests/unit/config-fixture.h"

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
			  "5\nCooldownSec=30\nMaxPerHour=60\nMemoryReclaim=64M\n"
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
	CHECK_EQ(s.max_per_hour, 60);
	CHECK_EQ(s.reclaim_bytes, 64 * MIB);
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
	put("/etc/memguard/memguard.conf.d/directory/x.conf", "bad\n");
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

static const struct group_settings *settings_of(const char *unit)
{
	const struct group_settings *settings = NULL;

	CHECK(config_settings(config, unit, "/x", &settings) >= 0);
	return settings;
}

static void groups_to_which_the_same_applies_share_it(void)
{
	const struct group_settings *one, *other;

	CHECK_EQ(load_text("[Service a]\nMethod=full\n[Service b]\nMethod=full\n"
			   "[Service c]\nMethod=full\nArenaMax=3\n"),
		 0);
	one = settings_of("x.service");
	other = settings_of("a.service");
	CHECK(one != other);
	CHECK_EQ(one->method, METHOD_AUTO);
	CHECK_EQ(other->method, METHOD_FULL);
	CHECK(settings_of("b.service") == other);
	CHECK(settings_of("y.service") == one);
	CHECK_EQ(settings_of("c.service")->arena_max, 3);
	CHECK(settings_of("a.service") == other);
	CHECK_EQ(other->arena_max, 0);
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

/* What is told of it, without the scratch directory. */
static const char *clash(const char *unit, const char *path)
{
	static char text[2048];
	char *at;

	if (!config_clash(config, unit, path, text, sizeof(text)))
		return "";
	while ((at = strstr(text, scratch)))
		memmove(at, at + strlen(scratch), strlen(at + strlen(scratch)) + 1);

	return text;
}

/* As systemd names the slice of my-app@1.service. */
static void a_backslash_in_a_pattern_is_one(void)
{
	CHECK_EQ(load_text("[Cgroup /system.slice/system-my\\x2dapp.slice/*]\nUsageHigh=70%\n"
			   "[Cgroup /[*]\\*]\nUsageHigh=60%\n"), 0);
	CHECK_EQ(resolve(NULL, "/system.slice/system-my\\x2dapp.slice/my-app@1.service")
			 .usage_high_permyriad, 7000);
	CHECK_EQ(resolve(NULL, "/system.slice/system-myx2dapp.slice/my-app@1.service")
			 .usage_high_permyriad, 8000);
	CHECK_EQ(resolve(NULL, "/*\\a").usage_high_permyriad, 6000);
	CHECK_EQ(resolve(NULL, "/a\\a").usage_high_permyriad, 8000);
	clear();
}

static void contradictions_that_meet_are_told_with_both_places(void)
{
	const struct group_settings *settings;

	CHECK_EQ(load_text("[Cgroup /c*]\nUsageHigh=85%\n[Cgroup /c?]\nUsageCritical=83%\n"), 0);
	CHECK_STR(clash(NULL, "/cc"),
		  "UsageHigh=85% of /one.conf:2 and UsageCritical=83% of /one.conf:4 meet here, and "
		  "UsageCritical= is not above UsageHigh=; lower UsageHigh= or raise UsageCritical=; "
		  "until then the lower one counts for both");
	CHECK_STR(clash(NULL, "/ccc"), "");
	CHECK_STR(clash(NULL, "/b"), "");

	/* Once for all to which the same applies. */
	CHECK_EQ(config_settings(config, NULL, "/cc", &settings), 1);
	CHECK_EQ(config_settings(config, NULL, "/cd", &settings), 0);
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

	CHECK_EQ(listing.n, 20 + 3);
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
	RUN(groups_to_which_the_same_applies_share_it);
	RUN(cgroup_overrides_apply_in_order_and_before_services);
	RUN(the_empty_value_in_an_override_is_the_default_too);
	RUN(drop_ins_may_repeat_sections_and_keys);
	RUN(overrides_that_meet_cannot_contradict_each_other);
	RUN(a_backslash_in_a_pattern_is_one);
	RUN(contradictions_that_meet_are_told_with_both_places);
	RUN(every_option_is_listed_with_its_origin);

	rmdir(scratch);
	return TEST_RESULT();
}
