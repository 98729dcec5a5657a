/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The whole harness. A test is a static function whose name is the claim; main() lists
 * them with RUN() and returns TEST_RESULT(). One line per test, TAP-like, to stdout.
 */

#undef NDEBUG

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* malloc() is not glibc's: it is a sanitizer's, or another libc's. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define OTHER_ALLOCATOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTHER_ALLOCATOR
#endif
#endif

static int test_n_, test_failed_, test_bad_;

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);               \
			test_bad_ = 1;                                                         \
		}                                                                              \
	} while (0)

#define CHECK_EQ(a, b)                                                                         \
	do {                                                                                   \
		intmax_t a_ = (intmax_t)(a), b_ = (intmax_t)(b);                               \
		if (a_ != b_) {                                                                \
			printf("# %s:%d: %s is %" PRIdMAX ", not %s = %" PRIdMAX "\n",         \
			       __FILE__, __LINE__, #a, a_, #b, b_);                            \
			test_bad_ = 1;                                                         \
		}                                                                              \
	} while (0)

#define CHECK_STR(a, b)                                                                        \
	do {                                                                                   \
		const char *a_ = (a), *b_ = (b);                                               \
		if (!a_ || !b_ || strcmp(a_, b_) != 0) {                                       \
			printf("# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #a,  \
			       a_ ? a_ : "(null)", b_ ? b_ : "(null)");                        \
			test_bad_ = 1;                                                         \
		}                                                                              \
	} while (0)

#define RUN(test)                                                                              \
	do {                                                                                   \
		test_bad_ = 0;                                                                 \
		test();                                                                        \
		test_n_++;                                                                     \
		test_failed_ += test_bad_;                                                     \
		printf("%sok %d - %s\n", test_bad_ ? "not " : "", test_n_, #test);             \
	} while (0)

#define TEST_RESULT() (printf("1..%d\n", test_n_), test_failed_ ? 1 : 0)
