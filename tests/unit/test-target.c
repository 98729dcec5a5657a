/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* core/target: what the WHAT of a command means. */

#include "agent/core/target.h"

#include "tests/unit/test.h"

static bool is_guard(const char *unit, const char *path, const char *what)
{
	struct guard guard = { 0 };

	guard.group.unit = (char *)unit;
	guard.group.path = (char *)path;
	return target_is_guard(&guard, what);
}

static bool is_unit(const char *unit, const char *what)
{
	return is_guard(unit, "/elsewhere", what);
}

static bool is_path(const char *path, const char *what)
{
	return is_guard(NULL, path, what);
}

static void test_a_name_without_a_suffix_is_a_service(void)
{
	CHECK(is_unit("nginx.service", "nginx"));
	CHECK(is_unit("nginx.service", "nginx.service"));
	CHECK(is_unit("php8.2-fpm.service", "php8.2-fpm"));
	CHECK(is_unit("php8.2-fpm.service", "php8.2-fpm.service"));
	CHECK(is_unit("a.b@c.d.service", "a.b@c.d"));
	CHECK(!is_unit("php8.2-fpm.service", "php8"));
	CHECK(!is_unit("nginx.service.service", "nginx.service"));
	CHECK(!is_unit("nginx.scope", "nginx"));
	CHECK(is_unit("nginx.scope", "nginx.scope"));
	CHECK(!is_unit("user.slice.service", "user.slice"));
	CHECK(!is_unit(NULL, "nginx"));
}

static void test_a_path_is_a_group_and_all_below_it(void)
{
	CHECK(is_path("/a/b", "/a/b"));
	CHECK(is_path("/a/b/c", "/a/b"));
	CHECK(!is_path("/a/bc", "/a/b"));
	CHECK(!is_path("/a", "/a/b"));
	CHECK(!is_path("/a/b", "a/b"));
	CHECK(is_path("/a", "/"));
	CHECK(is_path("/", "/"));
	CHECK(!is_path("/", "/a"));
	CHECK(!is_path("command", "/"));
	CHECK(is_path("command", "command"));
}

static void test_slashes_are_as_the_kernel_takes_them(void)
{
	CHECK(is_path("/a/b", "/a/b/"));
	CHECK(is_path("/a/b/c", "/a/b/"));
	CHECK(is_path("/a/b", "//a/b"));
	CHECK(is_path("/a/b", "/a//b//"));
	CHECK(is_path("/a", "//"));
	CHECK(!is_path("/a/bc", "/a/b/"));
	CHECK(!is_path("/a", "/a/b/"));
}

static void test_what_is_gone_is_named_in_the_same_way(void)
{
	CHECK(target_is_name("php8.2-fpm.service", "php8.2-fpm"));
	CHECK(target_is_name("/a/b", "//a/"));
	CHECK(target_is_name("/a/b", ""));
	CHECK(!target_is_name("/a/b", "a"));
}

int main(void)
{
	RUN(test_a_name_without_a_suffix_is_a_service);
	RUN(test_a_path_is_a_group_and_all_below_it);
	RUN(test_slashes_are_as_the_kernel_takes_them);
	RUN(test_what_is_gone_is_named_in_the_same_way);
	return TEST_RESULT();
}
