/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One of systemd's files, of which one section is ours. systemd.unit(5): a section whose name begins
 * with "X-" is ignored completely by systemd.
 */

#include <stddef.h>

#define UNIT_TEXT_SECTION "X-Memguard"

/*
 * Blanks all of the @n bytes at @text but [X-Memguard] and what is in it; lines stay where they are. Lines
 * end, are continued and are comments as systemd.syntax(7) has it, whatever bytes are in them. The
 * header alone stays of a section that somebody meant to be this one.
 */
void unit_text_keep(char *text, size_t n);
