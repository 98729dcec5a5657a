/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Of a huge page that was dropped in parts, the kernel keeps the whole, and charges it to the
 * control group, until it is short of memory itself. Here it is made to split them at once.
 */

#include <stdbool.h>
#include <stdint.h>

/* Where pages have 4 KiB. */
#define HUGE_BYTES (UINT64_C(2) << 20)

/*
 * In the heaps of glibc's, until @until_usec (0: to the end), or until @go_on says no, which is
 * asked before anything is done, and now and then. Takes some 0.1 to 0.6 ms for each huge page,
 * without any lock of the allocator.
 */
void huge_split(uint64_t page_bytes, uint64_t until_usec, bool (*go_on)(void *), void *arg);
