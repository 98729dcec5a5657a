/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardd: arguments, sockets from the service manager, the loop. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/priority.h"
#include "agent/basic/runtime.h"
#include "agent/core/helper.h"
#include "agent/core/manager.h"
#include "agent/core/rehearse.h"

#define EXIT_USAGE 2

static const char help[] =
	"Usage: memguardd [OPTION...]\n"
	"\n"
	"Makes services give freed memory back before the kernel kills them.\n"
	"\n"
	"  --config=FILE             read this file alone, no drop-ins\n"
	"  --runtime-directory=DIR   where the sockets are [/run/memguard; as a user\n"
	"                            $XDG_RUNTIME_DIR/memguard]\n"
	"  --user                    for a user's own programs: in $XDG_RUNTIME_DIR/memguard,\n"
	"                            and not on the system bus\n"
	"  --cgroup-root=DIR         the memory hierarchy [found by itself]\n"
	"  --log-level=LEVEL         error, warning, notice, info or debug [info]\n"
	"  --version                 print the version\n"
	"  -h --help                 print this\n"
	"\n"
	"See memguard(8) and memguard.conf(5).\n";

enum option_value {
	OPTION_CONFIG = 256,
	OPTION_RUNTIME,
	OPTION_CGROUP,
	OPTION_LOG,
	OPTION_USER,
	OPTION_VERSION,
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "runtime-directory", required_argument, NULL, OPTION_RUNTIME },
	{ "cgroup-root", required_argument, NULL, OPTION_CGROUP },
	{ "log-level", required_argument, NULL, OPTION_LOG },
	{ "user", no_argument, NULL, OPTION_USER },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int set_log_level(const char *name)
{
	int level;

	if (log_level_from_string(name, &level) >= 0) {
		log_set_level(level);
		return 0;
	}

	log_error("\"%s\" is not a log level: use error, warning, notice, info or debug", name);
	return -EINVAL;
}

/* 0 to go on, 1 when all is done, negative for wrong usage. */
static int parse_arguments(int argc, char **argv, struct manager_options *ret)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
		switch (c) {
		case OPTION_CONFIG:
			ret->config_file = optarg;
			break;
		case OPTION_RUNTIME:
			ret->runtime_directory = optarg;
			break;
		case OPTION_CGROUP:
			ret->cgroup_root = optarg;
			break;
		case OPTION_LOG:
			if (set_log_level(optarg) < 0)
				return -EINVAL;
			break;
		case OPTION_USER:
			ret->system_bus = false;
			ret->user = true;
			break;
		case OPTION_VERSION:
			puts("memguardd " PACKAGE_VERSION);
			return 1;
		case 'h':
			fputs(help, stdout);
			return 1;
		default:
			fputs("Try \"memguardd --help\".\n", stderr);
			return -EINVAL;
		}

	if (optind < argc) {
		log_error("memguardd takes no arguments, but got \"%s\"; try --help", argv[optind]);
		return -EINVAL;
	}

	return 0;
}

static int choose_directory(struct manager_options *chosen,
			    char directory[static RUNTIME_DIRECTORY_MAX])
{
	if (chosen->runtime_directory)
		return 0;

	chosen->runtime_directory = chosen->system_bus ? runtime_directory_default(directory)
						       : runtime_directory_user(directory);
	if (chosen->runtime_directory)
		return 0;

	log_error("--user needs XDG_RUNTIME_DIR, which a session sets: log in, or name a "
		  "--runtime-directory=");
	return -ENXIO;
}

/* Of the two stream sockets of memguard-control.socket, by its path. */
static bool is_pressure_socket(int fd)
{
	struct sockaddr_un address = { 0 };
	socklen_t size = sizeof(address) - 1;
	const char *name;

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return false;

	name = strrchr(address.sun_path, '/');
	return name && streq(name, "/pressure");
}

/* hook.sock, bus and pressure, in whatever order the units came up. */
static int take_sockets(struct manager_options *ret)
{
	const int n = sd_listen_fds(1);

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) > 0 && ret->hook_fd < 0) {
			ret->hook_fd = fd;
		} else if (is_pressure_socket(fd) && sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0) {
			ret->pressure_fd = fd;
		} else if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0 && ret->bus_fd < 0) {
			ret->bus_fd = fd;
		} else {
			log_error("The service manager passed a socket that is neither for hooks nor "
				  "for control: check memguard.socket and memguard-control.socket");
			return -EINVAL;
		}
	}

	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	char text[512];

	(void)source;
	(void)info;
	(void)manager_reload(userdata, text, sizeof(text));
	return 0;
}

static int prepare_loop(sd_event **ret)
{
	sd_event *event = NULL;
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	/* Inherited as ignored, there would be no children to wait for. */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;

	r = sd_event_default(&event);
	if (r < 0)
		return r;

	/* A null callback ends the loop. */
	r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	if (r < 0) {
		sd_event_unref(event);
		return r;
	}

	*ret = event;
	return 0;
}

static int serve(sd_event *event, struct manager *manager)
{
	int r;

	r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, manager);
	if (r < 0)
		return r;

	rehearse(manager);
	(void)sd_notify(0, "READY=1");
	r = manager_loop(manager);
	(void)sd_notify(0, "STOPPING=1");
	return r;
}

/*
 * An answer about a thousand groups is large and short-lived. Without these glibc raises its
 * thresholds by what is freed once, and keeps as much for ever; and of what it trims it leaves
 * the pad, 128 KiB that were touched. What has some pages is on its own: in the heap something
 * lasting comes to lie behind it, and it stays.
 */
static void keep_little(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 8 * (int)KIB);
	(void)mallopt(M_TRIM_THRESHOLD, 64 * (int)KIB);
	(void)mallopt(M_TOP_PAD, 16 * (int)KIB);
}

/* What is refused is done without. */
static void take_priority(void)
{
	struct priority refused;

	priority_make_count(&refused);
	if (refused.session < 0)
		log_warning("Cannot give our session the nice value %d: %s%s. Busy programs may keep "
			    "us waiting", refused.nice, strerror(-refused.session),
			    refused.session == -EAGAIN ? "" : "; is there LimitNICE=?");
	if (refused.slice < 0)
		log_warning("Cannot have a short time slice: %s; is there SystemCallFilter=sched_setattr? "
			    "Busy programs may keep us waiting", strerror(-refused.slice));
}

int main(int argc, char **argv)
{
	struct manager_options chosen = { .system_bus = true, .notify = true, .hook_fd = -1, .bus_fd = -1,
					  .pressure_fd = -1 };
	_cleanup_(manager_freep) struct manager *manager = NULL;
	char directory[RUNTIME_DIRECTORY_MAX];
	sd_event *event = NULL;
	int r;

	if (helper_is_wanted(argc, argv))
		return helper_main();

	keep_little();
	log_open("memguardd");
	r = parse_arguments(argc, argv, &chosen);
	if (r != 0)
		return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;

	fd_raise_limit();
	take_priority();

	r = choose_directory(&chosen, directory);
	if (r < 0)
		return EXIT_FAILURE;
	r = take_sockets(&chosen);
	if (r < 0)
		return EXIT_FAILURE;

	r = prepare_loop(&event);
	if (r < 0) {
		log_error("Cannot set up the event loop: %s", strerror(-r));
		return EXIT_FAILURE;
	}

	r = manager_new(event, &chosen, &manager);
	if (r >= 0)
		r = serve(event, manager);

	manager = manager_free(manager);
	sd_event_unref(event);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
