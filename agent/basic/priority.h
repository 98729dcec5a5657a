/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the process's nice value means to the kernel: as much in practice as the service
 * manager meant by it; and a realtime policy where that is meant (realtime.h). Call once, before
 * anything is started that should not inherit it.
 *
 * Does nothing where the nice value is 0 or more. What is refused is done without, and is for the
 * caller to tell.
 */
struct priority {
	int nice;    /* that was meant; 0: none */
	int session; /* 0, or why our session does not have it: -EAGAIN, or no right to it */
	int slice;   /* 0, or why we have no short time slice */
};
void priority_make_count(struct priority *ret);
