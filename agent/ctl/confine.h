/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a profile of AppArmor's keeps the hook from: the kernel tells which one a process is under,
 * and what one allows that is loaded.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFINE_LABEL_MAX 512

/* What there is to do about it. */
#define CONFINE_HINT                                                           \
	"\"systemctl reload apparmor\" and then restart it; a profile without " \
	"abstractions/base wants rules of its own, see memguard-hook(7)"

/* By which profile @pid is confined; false: by none, by one that only logs, or it cannot be seen. */
bool confine_label(pid_t pid, char ret[static CONFINE_LABEL_MAX]);

/* Text of .../attr/apparmor/current: "PROFILE (enforce)". Pure. */
bool confine_parse_label(const char *text, char ret[static CONFINE_LABEL_MAX]);

/* A program that has been started without the hook may lack more, but that is not why. */
#define CONFINE_LOADING "to read the hook's file"

/*
 * The first of what the hook needs that @label does not allow, @hook being its file. NULL: it allows
 * all, or nothing is known, as to others than root.
 */
const char *confine_lacks(const char *label, const char *hook);

/* Text of .../.access after a question: does it allow all of @mask? 1, 0, or -EBADMSG. Pure. */
int confine_parse_answer(const char *text, uint32_t mask);
