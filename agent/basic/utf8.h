/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text as it may travel over the bus. */

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes of the character that @s begins with, @n of which may be read; 0 when it is none that
 * sd-bus takes from a message: not UTF-8, a surrogate, or one of Unicode's noncharacters.
 * Control characters are characters. A NUL ends what is read.
 */
size_t utf8_length(const char *s, size_t n, uint32_t *ret_character);
