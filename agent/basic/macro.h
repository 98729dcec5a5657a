/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few macros every file may use. Nothing here knows what memguard is. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _pure_ __attribute__((pure))
#define _const_ __attribute__((const))
#define _unused_ __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The @type of which @pointer points to @member. */
#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLAMP(x, low, high) MIN(MAX(x, low), high)

/* Hands the pointer over and forgets it, so that no cleanup handler frees it. */
#define TAKE_PTR(p)                     \
	({                              \
		__typeof__(p) _p = (p); \
		(p) = NULL;             \
		_p;                     \
	})

/* The same for a descriptor. */
#define TAKE_FD(fd)            \
	({                     \
		int _fd = (fd); \
		(fd) = -1;     \
		_fd;           \
	})

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_INFINITY UINT64_MAX

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* A limit that does not exist. */
#define BYTES_INFINITY UINT64_MAX

/* Ten thousandths: 80 % is 8000. Fine enough for thresholds and exact in integers. */
#define PERMYRIAD UINT64_C(10000)

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* a - b, or 0 where that would wrap. */
static inline uint64_t sub_sat(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* a + b, or the largest value where that would wrap. */
static inline uint64_t add_sat(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* a * b, likewise. */
static inline uint64_t mul_sat(uint64_t a, uint64_t b)
{
	return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* Where there are thousands: a duration that takes 4 bytes, of 71 minutes at most. */
static inline uint32_t brief_usec(uint64_t usec)
{
	return usec < UINT32_MAX ? (uint32_t)usec : UINT32_MAX;
}

/* @permyriad of @x, without overflow for any x; infinity stays infinity. */
static inline uint64_t share_of(uint64_t x, uint64_t permyriad)
{
	if (x == UINT64_MAX)
		return x;

	return x / PERMYRIAD * permyriad + x % PERMYRIAD * permyriad / PERMYRIAD;
}
