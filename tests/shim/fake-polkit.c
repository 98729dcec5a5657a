/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * polkit, as far as memguardd knows it: answers every CheckAuthorization on the system
 * bus in the same way, and prints what it was asked.
 *
 *	fake-polkit yes|no|proof|silent
 */

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>

#include "agent/basic/macro.h"

static const char *manner;

static int on_check(sd_bus_message *call, void *userdata, sd_bus_error *ret_error)
{
	const char *kind, *key, *name, *action;
	uint32_t flags;
	int r;

	(void)userdata;
	(void)ret_error;
	r = sd_bus_message_read(call, "(sa{sv})sa{ss}u", &kind, 1, &key, "s", &name,
				&action, 0, &flags);
	if (r < 0)
		return r;

	printf("%s %s=%s %s flags=%u\n", kind, key, name[0] == ':' ? "UNIQUE" : name,
	       action, flags);
	fflush(stdout);
	if (streq(manner, "silent"))
		return 1;

	return sd_bus_reply_method_return(call, "(bba{ss})", streq(manner, "yes"),
					  streq(manner, "proof"), 0);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_check,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

int main(int argc, char **argv)
{
	sd_bus *bus = NULL;
	int r;

	if (argc != 2)
		return 2;

	manner = argv[1];
	r = sd_bus_open_system(&bus);
	if (r >= 0)
		r = sd_bus_add_object_vtable(bus, NULL,
					     "/org/freedesktop/PolicyKit1/Authority",
					     "org.freedesktop.PolicyKit1.Authority", vtable,
					     NULL);
	if (r >= 0)
		r = sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0);
	if (r >= 0)
		puts("ready");
	fflush(stdout);

	while (r >= 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}

	fprintf(stderr, "fake-polkit: %s\n", strerror(-r));
	return EXIT_FAILURE;
}
