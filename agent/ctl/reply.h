/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A bus message as JSON, whatever its signature: numbers and booleans as such, all kinds
 * of text as strings, arrays and structs as arrays, dictionaries as objects, variants as
 * what they hold. No arguments: null; several: an array.
 */

#include <jansson.h>
#include <systemd/sd-bus.h>

/* -EBADMSG, -ENOMEM; -ELOOP: nested deeper than anything of ours. */
int reply_to_json(sd_bus_message *message, json_t **ret);
