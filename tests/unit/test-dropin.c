/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/dropin.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/ctl/allocator.h"
#include "agent/ctl/service.h"
#include "tests/unit/elf-fixture.h"
#include "tests/unit/test.h"

#define HOOK "/usr/lib/libmemguard-hook.so"

/* Row 7 of the list of hazards: what the unit preloads already stays, and nothing twice. */
static void check_preload(const char *existing, const char *wanted)
{
	char *list = NULL;

	CHECK_EQ(dropin_preload(existing, HOOK, &list), 0);
	CHECK_STR(list, wanted);
	free(list);
}

static void test_the_hook_is_appended(void)
{
	check_preload(NULL, HOOK);
	check_preload("", HOOK);
	check_preload("/a.so", "/a.so:" HOOK);
	check_preload("/a.so:/b.so", "/a.so:/b.so:" HOOK);
}

static void test_both_separators_of_the_loader_are_taken(void)
{
	check_preload("/a.so /b.so", "/a.so:/b.so:" HOOK);
	check_preload(" : /a.so::  /b.so :", "/a.so:/b.so:" HOOK);
}

static void test_nothing_is_listed_twice(void)
{
	check_preload(HOOK, HOOK);
	check_preload("/a.so:" HOOK ":/a.so:/b.so", "/a.so:/b.so:" HOOK);
	check_preload("/a.so:/a.so.2", "/a.so:/a.so.2:" HOOK);
	check_preload("/b/a.so:a.so", "/b/a.so:a.so:" HOOK);
}

static void test_another_copy_of_the_hook_goes(void)
{
	check_preload("/build/libmemguard-hook.so:/a.so", "/a.so:" HOOK);
	check_preload("libmemguard-hook.so", HOOK);
	check_preload("/x/libmemguard-hook.so.bak", "/x/libmemguard-hook.so.bak:" HOOK);
}

static void check_allocator(const char *existing, const char *allocator, const char *wanted)
{
	char *list = NULL;

	CHECK_EQ(dropin_preload_allocator(existing, allocator, HOOK, &list), 0);
	CHECK_STR(list, wanted);
	free(list);
}

static void test_an_allocator_goes_in_front_and_replaces_others(void)
{
	check_allocator(NULL, "/l/libjemalloc.so.2", "/l/libjemalloc.so.2:" HOOK);
	check_allocator("/a.so:" HOOK, "/l/libjemalloc.so.2",
			"/l/libjemalloc.so.2:/a.so:" HOOK);
	check_allocator("/l/libmimalloc.so.2 /a.so", "/l/libtcmalloc_minimal.so.4",
			"/l/libtcmalloc_minimal.so.4:/a.so:" HOOK);
	check_allocator("/l/libjemalloc.so.2:libtcmalloc.so:" HOOK, "/l/libjemalloc.so.2",
			"/l/libjemalloc.so.2:" HOOK);
	/* Back to glibc's. */
	check_allocator("/l/libjemalloc.so.2:/a.so:" HOOK, "", "/a.so:" HOOK);
	check_allocator(NULL, "", HOOK);
	/* No allocator, whatever its directory is called. */
	check_allocator("/libjemalloc/a.so", "", "/libjemalloc/a.so:" HOOK);
}

static void test_allocators_are_known_by_name(void)
{
	char path[PATH_MAX] = "untouched";

	CHECK(allocator_is_known("jemalloc"));
	CHECK(allocator_is_known("glibc"));
	CHECK(!allocator_is_known("hoard"));
	CHECK(!allocator_is_known(""));
	CHECK_STR(allocator_package("mimalloc"), "libmimalloc2.0");
	CHECK_EQ(allocator_find("/nonexistent", "jemalloc", NULL, path), -ENOENT);
	CHECK_EQ(allocator_find(NULL, "hoard", NULL, path), -EINVAL);
	CHECK_EQ(allocator_find(NULL, "glibc", NULL, path), -EINVAL);
	CHECK_STR(path, "untouched");
}

static void check_name(const char *name, enum dropin_name kind, const char *unit)
{
	char ret[DROPIN_UNIT_MAX] = "untouched";

	CHECK_EQ(dropin_unit(name, ret), kind);
	CHECK_STR(ret, kind == DROPIN_NAME_OK ? unit : "untouched");
}

static void test_names_are_completed_as_systemctl_does(void)
{
	check_name("nginx", DROPIN_NAME_OK, "nginx.service");
	check_name("nginx.service", DROPIN_NAME_OK, "nginx.service");
	check_name("getty@tty1", DROPIN_NAME_OK, "getty@tty1.service");
	check_name("a.b", DROPIN_NAME_OK, "a.b.service");
	check_name("dbus\\x2dbroker", DROPIN_NAME_OK, "dbus\\x2dbroker.service");
}

static void test_names_that_leave_the_directory_are_refused(void)
{
	char longest[DROPIN_UNIT_MAX + 1];

	check_name("", DROPIN_NAME_BAD, NULL);
	check_name("../x", DROPIN_NAME_BAD, NULL);
	check_name("..", DROPIN_NAME_BAD, NULL);
	check_name("a/b.service", DROPIN_NAME_BAD, NULL);
	check_name(".service", DROPIN_NAME_BAD, NULL);
	check_name("a b", DROPIN_NAME_BAD, NULL);
	check_name("a\nb", DROPIN_NAME_BAD, NULL);
	check_name("@x.service", DROPIN_NAME_BAD, NULL);

	memset(longest, 'a', sizeof(longest));
	longest[DROPIN_UNIT_MAX] = '\0';
	check_name(longest, DROPIN_NAME_BAD, NULL);
	longest[DROPIN_UNIT_MAX - sizeof(".service")] = '\0';
	CHECK_EQ(dropin_unit(longest, (char[DROPIN_UNIT_MAX]){ 0 }), DROPIN_NAME_OK);
}

static void test_only_services_that_run_are_taken(void)
{
	check_name("x.socket", DROPIN_NAME_KIND, NULL);
	check_name("multi-user.target", DROPIN_NAME_KIND, NULL);
	check_name("user.slice", DROPIN_NAME_KIND, NULL);
	check_name("getty@", DROPIN_NAME_TEMPLATE, NULL);
	check_name("getty@.service", DROPIN_NAME_TEMPLATE, NULL);
}

static void test_a_hook_must_fit_into_a_list(void)
{
	CHECK(dropin_is_hook(HOOK));
	CHECK(dropin_is_hook("/opt/100%/hook.so"));
	CHECK(!dropin_is_hook("hook.so"));
	CHECK(!dropin_is_hook(""));
	CHECK(!dropin_is_hook("/a b.so"));
	CHECK(!dropin_is_hook("/a:b.so"));
	CHECK(!dropin_is_hook("/a\nb.so"));
	CHECK(!dropin_is_hook("/a\"b.so"));
	CHECK(!dropin_is_hook("/lib/"));
}

static void test_values_are_found_by_whole_names(void)
{
	CHECK_STR(dropin_value("LD_PRELOAD=/a.so", "LD_PRELOAD"), "/a.so");
	CHECK_STR(dropin_value("LD_PRELOAD=", "LD_PRELOAD"), "");
	CHECK(dropin_value("LD_PRELOADS=/a.so", "LD_PRELOAD") == NULL);
	CHECK(dropin_value("LD_PRELOA=/a.so", "LD_PRELOAD") == NULL);
	CHECK(dropin_value("LD_PRELOAD", "LD_PRELOAD") == NULL);
}

static void test_the_hook_is_found_in_a_list(void)
{
	CHECK(dropin_has_hook(HOOK, HOOK));
	CHECK(dropin_has_hook("/a.so " HOOK, HOOK));
	CHECK(dropin_has_hook("/a.so: libmemguard-hook.so:/b.so", HOOK));
	CHECK(!dropin_has_hook("/a.so:/b.so ", HOOK));
	CHECK(!dropin_has_hook(HOOK ".1", HOOK));
	CHECK(!dropin_has_hook("", HOOK));
}

/* Who stops memguard, or disables it, must not have it again with the next guarded service. */
static void test_the_text_waits_for_the_socket_and_does_not_start_it(void)
{
	char *text = NULL;

	CHECK_EQ(dropin_text("x.service", false, "/a.so:" HOOK, NULL, &text), 0);
	CHECK(strstr(text, "\n[Unit]\nAfter=memguard.socket\n") != NULL);
	CHECK(strstr(text, "Wants=") == NULL && strstr(text, "Requires=") == NULL);
	CHECK(strstr(text, "\n[Service]\nEnvironment=\"LD_PRELOAD=/a.so:" HOOK "\"\n") !=
	      NULL);
	CHECK(strstr(text, "memguardctl disable x.service") != NULL);
	CHECK_EQ(text[0], '#');
	CHECK(strstr(text, "MEMGUARD_SOCKET") == NULL);
	free(text);
}

static void test_a_users_own_service_has_the_users_daemon(void)
{
	char *text = NULL;

	CHECK_EQ(dropin_text("x.service", true, HOOK, NULL, &text), 0);
	CHECK(strstr(text, "\n[Service]\nEnvironment=\"LD_PRELOAD=" HOOK "\"\n"
			   "Environment=\"MEMGUARD_SOCKET=%t/memguard/hook.sock\"\n") != NULL);
	CHECK(strstr(text, "memguardctl --user disable x.service") != NULL);
	free(text);
}

static void check_user_directory(const char *config, const char *home, const char *wanted)
{
	char *path = NULL;

	CHECK_EQ(dropin_directory_user(config, home, "x.service", &path), wanted ? 0 : -ENOTDIR);
	CHECK_STR(path ? path : "none", wanted ? wanted : "none");
	free(path);
}

static void test_the_users_directory_is_that_of_xdg(void)
{
	check_user_directory(NULL, "/home/c", "/home/c/.config/systemd/user/x.service.d");
	check_user_directory("/c", "/home/c", "/c/systemd/user/x.service.d");
	check_user_directory("/c", NULL, "/c/systemd/user/x.service.d");
	/* What is not absolute counts for nothing. */
	check_user_directory("c", "/home/c", "/home/c/.config/systemd/user/x.service.d");
	check_user_directory("", "c", NULL);
	check_user_directory(NULL, NULL, NULL);
}

static void test_what_systemd_would_expand_is_escaped(void)
{
	char *text = NULL;

	CHECK_EQ(dropin_text("x.service", false, "/100%/a\"\\.so", "0011:mallctl=1f", &text), 0);
	CHECK(strstr(text, "\nEnvironment=\"MEMGUARD_SYMBOLS=0011:mallctl=1f\"\n") != NULL);
	CHECK(strstr(text, "\"LD_PRELOAD=/100%%/a\\\"\\\\.so\"\n") != NULL);
	free(text);
}

static void test_the_directory_is_below_the_root(void)
{
	char *path = NULL;

	CHECK_EQ(dropin_directory(NULL, "x.service", &path), 0);
	CHECK_STR(path, "/etc/systemd/system/x.service.d");
	free(path);
	CHECK_EQ(dropin_directory("/tmp/r", "x.service", &path), 0);
	CHECK_STR(path, "/tmp/r/etc/systemd/system/x.service.d");
	free(path);
}

/* Row 9: gcc's address sanitizer ends a program that has anything preloaded before it. */
static void test_a_program_that_would_not_start_is_left_alone(void)
{
	char path[] = "/tmp/memguard-test-XXXXXX";
	struct service service = { .program = path };
	const int fd = mkstemp(path);

	elf_fixture_make();
	CHECK(fd >= 0 && fd_write_exact(fd, &elf_fixture, elf_fixture_size) >= 0);
	CHECK_EQ(service_check(&service, "a.service"), -EOPNOTSUPP);
	/* Its administrator has seen to it. */
	service.asan_yields = true;
	CHECK_EQ(service_check(&service, "a.service"), 0);
	/* The path is one in another file system, which is not looked into. */
	service = (struct service){ .program = path, .root = path };
	CHECK_EQ(service_check(&service, "a.service"), 0);
	/* The sanitizer is linked in. */
	service = (struct service){ .program = path };
	elf_fixture.dynamic[1].d_un.d_val = 1;
	CHECK_EQ(pwrite(fd, &elf_fixture, elf_fixture_size, 0), (ssize_t)elf_fixture_size);
	CHECK_EQ(service_check(&service, "a.service"), 0);
	fd_close(fd);
	(void)unlink(path);
	CHECK_EQ(service_check(&service, "a.service"), 0);
	service.program = NULL;
	CHECK_EQ(service_check(&service, "a.service"), 0);
}

static void test_a_service_that_runs_nothing_is_known(void)
{
	CHECK(service_is_empty(&(struct service){ .program = (char[]){ "/bin/true" } }));
	CHECK(service_is_empty(&(struct service){ .program = (char[]){ "/usr/bin/true" } }));
	CHECK(!service_is_empty(&(struct service){ .program = (char[]){ "/usr/bin/untrue" } }));
	CHECK(!service_is_empty(&(struct service){ .program = NULL }));
}

int main(void)
{
	RUN(test_the_hook_is_appended);
	RUN(test_both_separators_of_the_loader_are_taken);
	RUN(test_nothing_is_listed_twice);
	RUN(test_another_copy_of_the_hook_goes);
	RUN(test_names_are_completed_as_systemctl_does);
	RUN(test_names_that_leave_the_directory_are_refused);
	RUN(test_only_services_that_run_are_taken);
	RUN(test_a_hook_must_fit_into_a_list);
	RUN(test_values_are_found_by_whole_names);
	RUN(test_the_hook_is_found_in_a_list);
	RUN(test_the_text_waits_for_the_socket_and_does_not_start_it);
	RUN(test_what_systemd_would_expand_is_escaped);
	RUN(test_the_directory_is_below_the_root);
	RUN(test_a_users_own_service_has_the_users_daemon);
	RUN(test_the_users_directory_is_that_of_xdg);
	RUN(test_an_allocator_goes_in_front_and_replaces_others);
	RUN(test_allocators_are_known_by_name);
	RUN(test_a_program_that_would_not_start_is_left_alone);
	RUN(test_a_service_that_runs_nothing_is_known);

	return TEST_RESULT();
}
