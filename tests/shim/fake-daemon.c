/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The bus of a daemon with canned figures, for tests of memguardctl and for looking at
 * it. Usage: fake-daemon DIRECTORY [idle|broken|system|stale|released] Says "ready" when it may
 * be called; ends with SIGTERM or SIGINT.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include "agent/basic/macro.h"
#include "tests/shim/fake-data.h"

static int begin(sd_event **ret)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || sd_event_default(ret) < 0)
		return -1;

	return sd_event_add_signal(*ret, NULL, SIGTERM, NULL, NULL) < 0 ||
			       sd_event_add_signal(*ret, NULL, SIGINT, NULL, NULL) < 0
		       ? -1
		       : 0;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 2 ? argv[2] : "";
	uint64_t now_usec, realtime_usec;
	static struct fake fake;
	struct bus *bus = NULL;
	sd_event *event = NULL;
	int r;

	if (argc < 2 || begin(&event) < 0) {
		fputs("Usage: fake-daemon DIRECTORY [idle|broken|system|stale|released]\n", stderr);
		return 2;
	}

	(void)sd_event_now(event, CLOCK_MONOTONIC, &now_usec);
	(void)sd_event_now(event, CLOCK_REALTIME, &realtime_usec);
	fake_init(&fake, now_usec, realtime_usec);
	if (strcmp(kind, "idle") == 0)
		fake.n_groups = 0;
	/* Of the group without a verdict, measured before it grew. */
	if (strcmp(kind, "stale") == 0)
		fake.groups[2].heap = (struct heap){ .retained_bytes = 200 * KIB,
						     .rss_bytes = 50 * MIB,
						     .time_usec = now_usec };
	/* Measured before a release gave back some of what was in use then. */
	if (strcmp(kind, "released") == 0) {
		fake.groups[0].heap.time_usec = fake.outcome.end_usec - USEC_PER_SEC;
		fake.groups[0].reading.anon_bytes = 60 * MIB;
	}
	if (strcmp(kind, "broken") == 0)
		fake.config_error =
			"/etc/memguard/memguard.conf:3: there is no key \"Usagehihg\" in "
			"[Trigger]; did you mean \"UsageHigh\"?";

	r = bus_new(event, -1, argv[1], strcmp(kind, "system") == 0, &fake_handler, &fake,
		    &bus);
	if (r < 0) {
		fprintf(stderr, "fake-daemon: cannot serve %s/bus: %s\n", argv[1],
			strerror(-r));
		return 1;
	}

	puts("ready");
	fflush(stdout);
	r = sd_event_loop(event);
	bus_free(bus);
	sd_event_unref(event);
	return r < 0 ? 1 : 0;
}
