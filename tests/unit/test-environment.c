/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/environment.h"

#include <stdlib.h>

#include "tests/unit/test.h"

#define PID 4242

static const char *const names[] = {
	"MEMGUARD", "MEMGUARD_SOCKET", "MEMGUARD_AGENT", "MEMGUARD_MALLOPT",
	"SYSTEMD_EXEC_PID", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_",
	"MALLOC_CONF", "MIMALLOC_PURGE_DELAY", "MALLOC_ARENA_TEST", "MEMGUARD_SYMBOLS",
};

static struct environment environment;

/*
 * Row 8 of the list of hazards: whatever the environment says, the program goes on.
 * With @name=@value and nothing else set.
 */
static bool read_with(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	if (name)
		setenv(name, value, 1);

	return environment_read(&environment, PID);
}

static void test_without_words_it_is_auto(void)
{
	CHECK(read_with(NULL, NULL));
	CHECK_EQ(environment.mode, AGENT_AUTO);
	CHECK(!environment.named && !environment.bad);
	CHECK_STR(environment.socket, "/run/memguard/hook.sock");
	CHECK_EQ(environment.knobs_set, 0);
}

static bool may_borrow(const char *tunables)
{
	CHECK(read_with("GLIBC_TUNABLES", tunables));
	return !environment.borrow_unsafe;
}

/* Pages of the size that a number names are larger than what could be dropped. */
static void test_huge_pages_are_not_borrowed(void)
{
	CHECK(may_borrow("glibc.malloc.hugetlb=0"));
	CHECK(may_borrow("glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1:glibc.malloc.top_pad=9"));
	CHECK(!may_borrow("glibc.malloc.hugetlb=2"));
	CHECK(!may_borrow("glibc.malloc.hugetlb=1073741824"));
	CHECK(!may_borrow("glibc.malloc.hugetlb=0x200000"));
	CHECK(!may_borrow("glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=2"));
	CHECK(!may_borrow("glibc.malloc.hugetlb="));
	CHECK(!may_borrow("glibc.malloc.tcache_max=65536"));
}

static bool has_huge_pages_with(const char *name, const char *value)
{
	CHECK(read_with(name, value));
	CHECK(environment.borrow_unsafe == environment.huge_pages);
	return environment.huge_pages;
}

static void test_a_heap_in_huge_pages_is_told(void)
{
	CHECK(!has_huge_pages_with("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"));
	CHECK(has_huge_pages_with("GLIBC_TUNABLES", "glibc.malloc.hugetlb=2"));
	CHECK(!has_huge_pages_with("HUGETLB_MORECORE", "no"));
	CHECK(has_huge_pages_with("HUGETLB_MORECORE", "yes"));
	CHECK(has_huge_pages_with("HUGETLB_MORECORE", "2M"));
}

static bool is_uncached_with(const char *tunables)
{
	CHECK(read_with("GLIBC_TUNABLES", tunables));
	return environment.uncached;
}

static void test_caches_of_threads_may_be_off(void)
{
	CHECK(!is_uncached_with("glibc.malloc.tcache_count=07"));
	CHECK(!is_uncached_with("glibc.malloc.arena_max=2"));
	CHECK(is_uncached_with("glibc.malloc.tcache_count=0"));
	CHECK(is_uncached_with("glibc.malloc.arena_max=2:glibc.malloc.tcache_count=0:glibc.malloc.top_pad=9"));
}

static void test_off_is_off(void)
{
	CHECK(!read_with("MEMGUARD", "off"));
	CHECK(!read_with("MEMGUARD", "0"));
	CHECK(!read_with("MEMGUARD", "OFF"));
	CHECK(!read_with("MEMGUARD", "No"));
	CHECK(!read_with("MEMGUARD", "false"));
}

/* A program with many variables that look like ours, and a getenv() of its own, as shells have. */
char *getenv(const char *name)
{
	(void)name;
	return NULL;
}

static void test_off_is_off_behind_many_others(void)
{
	char name[32];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "MALLOC_%d", i);
		setenv(name, "1", 1);
	}
	CHECK(!read_with("MEMGUARD", "off"));
	CHECK(read_with("MALLOC_ARENA_MAX", "2"));
	CHECK_EQ(environment.env_tuned, 1U << WIRE_KNOB_ARENA_MAX);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "MALLOC_%d", i);
		unsetenv(name);
	}
}

static void test_what_is_not_off_is_reported_unless_it_is_on(void)
{
	static const char *const on[] = { "on", "1", "yes", "True", "" };
	static const char *const bad[] = { "of", "offf", "off ", "2", "00", "disabled", "[FF" };

	for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
		CHECK(read_with("MEMGUARD", on[i]));
		CHECK(!environment.bad);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(read_with("MEMGUARD", bad[i]));
		CHECK(environment.bad);
		CHECK_EQ(environment.mode, AGENT_AUTO);
	}
}

static void test_a_pid_names_that_process_alone(void)
{
	CHECK(read_with("MEMGUARD_AGENT", "4242"));
	CHECK(environment.named);
	CHECK(read_with("MEMGUARD_AGENT", "4243"));
	CHECK(!environment.named && !environment.bad);
	CHECK(read_with("SYSTEMD_EXEC_PID", "4242"));
	CHECK(environment.named);
	CHECK(read_with("SYSTEMD_EXEC_PID", "42420"));
	CHECK(!environment.named);
}

static void test_agent_words(void)
{
	CHECK(read_with("MEMGUARD_AGENT", "always"));
	CHECK_EQ(environment.mode, AGENT_ALWAYS);
	CHECK(read_with("MEMGUARD_AGENT", "off"));
	CHECK_EQ(environment.mode, AGENT_OFF);
	CHECK(read_with("MEMGUARD_AGENT", "sometimes"));
	CHECK_EQ(environment.mode, AGENT_AUTO);
	CHECK(environment.bad);
}

static void test_a_relative_socket_is_refused(void)
{
	CHECK(read_with("MEMGUARD_SOCKET", "hook.sock"));
	CHECK(environment.bad);
	CHECK_STR(environment.socket, "/run/memguard/hook.sock");
}

static void test_knobs_parse_with_units(void)
{
	CHECK(read_with("MEMGUARD_MALLOPT", "arena_max=2,mmap_threshold=1M,top_pad=64k"));
	CHECK(!environment.bad);
	CHECK_EQ(environment.knobs[WIRE_KNOB_ARENA_MAX], 2);
	CHECK_EQ(environment.knobs[WIRE_KNOB_MMAP_THRESHOLD], 1 << 20);
	CHECK_EQ(environment.knobs[WIRE_KNOB_TOP_PAD], 64 << 10);
}

static void test_what_does_not_parse_is_reported_and_the_rest_kept(void)
{
	static const char *const bad[] = { "arena_max=2,nonsense=3", "arena_max=2,top_pad=",
					   "arena_max=2,top_pad=1X", "arena_max=2,=,",
					   "arena_max=2,top_pad=99999999999999999999" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(read_with("MEMGUARD_MALLOPT", bad[i]));
		CHECK(environment.bad);
		CHECK_EQ(environment.knobs_set, 1U << WIRE_KNOB_ARENA_MAX);
	}
}

static void test_values_are_clamped(void)
{
	CHECK(read_with("MEMGUARD_MALLOPT", "arena_max=0,mmap_threshold=1,top_pad=4G"));
	CHECK_EQ(environment.knobs[WIRE_KNOB_ARENA_MAX], 1);
	CHECK_EQ(environment.knobs[WIRE_KNOB_MMAP_THRESHOLD], 64 << 10);
	CHECK_EQ(environment.knobs[WIRE_KNOB_TOP_PAD], 64 << 20);
}

static void test_the_operators_own_words_are_seen(void)
{
	CHECK(read_with("MALLOC_ARENA_MAX", "4"));
	CHECK_EQ(environment.env_tuned, 1U << WIRE_KNOB_ARENA_MAX);
	CHECK(read_with("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.trim_threshold=1"));
	CHECK_EQ(environment.env_tuned, 1U << WIRE_KNOB_TRIM_THRESHOLD);
}

static void test_decay_is_the_operators_allocator_by_allocator(void)
{
	CHECK(read_with("MALLOC_CONF", "narenas:1"));
	CHECK_EQ(environment.env_decay, 0);
	CHECK(read_with("MALLOC_CONF", "narenas:1,muzzy_decay_ms:0"));
	CHECK_EQ(environment.env_decay, WIRE_ALLOCATOR_JEMALLOC);
	CHECK(read_with("MIMALLOC_PURGE_DELAY", "0"));
	CHECK_EQ(environment.env_decay, WIRE_ALLOCATOR_MIMALLOC);
	CHECK_EQ(environment.env_tuned, 0);
}

static void test_arena_test_is_glibcs_unless_said_otherwise(void)
{
	CHECK(read_with("MEMGUARD", "on"));
	CHECK_EQ(environment.arena_test, sizeof(long) == 8 ? 8 : 2);
	CHECK(read_with("GLIBC_TUNABLES", "a=1:glibc.malloc.arena_test=3:b=2"));
	CHECK_EQ(environment.arena_test, 3);
	CHECK(read_with("MALLOC_ARENA_TEST", "5"));
	CHECK_EQ(environment.arena_test, 5);
	CHECK(read_with("MALLOC_ARENA_TEST", "many"));
	CHECK_EQ(environment.arena_test, sizeof(long) == 8 ? 8 : 2);
}

static void test_symbols_are_of_one_file(void)
{
	CHECK(read_with("MEMGUARD_SYMBOLS", "00112233445566ff:mallctl=1a2b,_rjem_mallctl=ff"));
	CHECK(!environment.bad);
	CHECK_EQ(environment.symbols.n_build_id, 8);
	CHECK_EQ(environment.symbols.build_id[1], 0x11);
	CHECK_EQ(environment.symbols.build_id[7], 0xff);
	CHECK_EQ(environment.symbols.offsets[0], 0x1a2b);
	CHECK_EQ(environment.symbols.offsets[1], 0);
	CHECK_EQ(environment.symbols.offsets[2], 0xff);
}

static void test_symbols_of_google_tcmalloc(void)
{
	CHECK(read_with("MEMGUARD_SYMBOLS",
			"00112233:MallocExtension_Internal_ReleaseMemoryToSystem=6c73f60"));
	CHECK(!environment.bad);
	CHECK_EQ(environment.symbols.offsets[0], 0);
	CHECK_EQ(environment.symbols.offsets[ENVIRONMENT_SYMBOL_GOOGLE], 0x6c73f60);
}

static void test_symbols_that_are_not_exactly_right_are_none(void)
{
	static const char *const bad[] = {
		":", "00112233", "00112233:", "001122:mallctl=1", "0011223:mallctl=1",
		"0011223G:mallctl=1", "00112233:mallctl=", "00112233:mallctl=0",
		"00112233:mallctl=1,", "00112233:mallctl=1,mallctl=2", "00112233:free=1",
		"00112233:mallctl=1x", "00112233:mallctl=10000000000000000",
		"00112233:je_mallctl", "00112233:mallctl=1,,je_mallctl=1", "00112233:mallctl=0x1",
		"000000000000000000000000000000000000000000000000000000000000000000:mallctl=1",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(read_with("MEMGUARD_SYMBOLS", bad[i]));
		CHECK(environment.bad);
		CHECK_EQ(environment.symbols.n_build_id, 0);
		CHECK_EQ(environment.symbols.offsets[0], 0);
	}
}

int main(void)
{
	RUN(test_without_words_it_is_auto);
	RUN(test_huge_pages_are_not_borrowed);
	RUN(test_a_heap_in_huge_pages_is_told);
	RUN(test_caches_of_threads_may_be_off);
	RUN(test_off_is_off);
	RUN(test_off_is_off_behind_many_others);
	RUN(test_what_is_not_off_is_reported_unless_it_is_on);
	RUN(test_a_pid_names_that_process_alone);
	RUN(test_agent_words);
	RUN(test_a_relative_socket_is_refused);
	RUN(test_knobs_parse_with_units);
	RUN(test_what_does_not_parse_is_reported_and_the_rest_kept);
	RUN(test_values_are_clamped);
	RUN(test_the_operators_own_words_are_seen);
	RUN(test_decay_is_the_operators_allocator_by_allocator);
	RUN(test_arena_test_is_glibcs_unless_said_otherwise);
	RUN(test_symbols_are_of_one_file);
	RUN(test_symbols_of_google_tcmalloc);
	RUN(test_symbols_that_are_not_exactly_right_are_none);
	return TEST_RESULT();
}
