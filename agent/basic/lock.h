/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory that stays where it is while the machine has none. */

/*
 * Lets go of the code and tables that only the start had use for, then keeps every page that
 * is touched from now on: a fault in the crisis would wait for memory. What is used again comes
 * back from its file. 0, or a negative errno: -EPERM or -ENOMEM by RLIMIT_MEMLOCK.
 */
int lock_memory(void);
