/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/rehearse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/lock.h"
#include "agent/basic/log.h"
#include "agent/core/choice.h"
#include "agent/core/hurry.h"
#include "agent/core/round.h"
#include "agent/core/state.h"
#include "agent/core/turn.h"
#include "agent/report/journal-alert.h"
#include "agent/report/journal.h"
#include "agent/sense/vmstat.h"

/* How far the stack grows when an alert is told to all there are. */
#define STACK_BYTES (28 * KIB)

/* As much as an entry of the journal takes, with a group's path in it and what is above that. */
#define ENTRY_BYTES (8 * KIB)

/* A program that starts on a machine at work has this long to say so. */
#define HELPER_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* Half of the longest window there is, which nothing but the end of the world reaches. */
#define STALL_USEC (1 * USEC_PER_SEC)
#define THRESHOLD_BYTES (UINT64_C(1) << 60)

static const struct outcome sample_outcome = { .kind = OUTCOME_RELEASED, .n_asked = 1, .n_answered = 1 };
static const struct alert sample_alert = { .kind = ALERT_KILL_NEAR };
static const struct group_settings sample_settings = { .mode = MODE_TRIM };
static const struct group sample_group = {
	.path = (char *)"/", .settings = &sample_settings, .reading.limit_bytes = GIB,
};

static int keep_pages(struct manager *manager)
{
	(void)manager;
	return lock_memory();
}

static int touch_pages(struct manager *manager)
{
	char stack[STACK_BYTES];

	memset(stack, 0, sizeof(stack));
	touch_memory(stack, sizeof(stack));
	ledger_touch(&manager->ledger);
	choice_touch();
	round_touch();
	turn_prepare();
	hurry_touch();
	return 0;
}

/* There and back again, as between us and a hook. */
static int send_frame(struct manager *manager)
{
	_cleanup_(fd_closep) int ours = -1, theirs = -1;
	struct wire_frame frame;
	ssize_t n;
	int fds[2];

	(void)manager;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;

	ours = fds[0];
	theirs = fds[1];
	wire_init(&frame, WIRE_TO_HOOK, WIRE_RECLAIM, 1, WIRE_OK);
	frame.reclaim_request.method = WIRE_METHOD_FULL;
	n = send(ours, &frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)sizeof(frame))
		n = recv(theirs, &frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);

	return n < 0 ? -errno : wire_check(&frame, (size_t)n, WIRE_TO_HOOK);
}

static int read_processes(struct manager *manager)
{
	struct process process;
	int r;

	r = survey_process(manager->survey, getpid(), &process);
	if (r >= 0)
		r = survey_seccomp(getpid(), getpid());
	return r;
}

static int read_counters(struct manager *manager)
{
	uint64_t bytes;

	return manager->pace.vmstat_fd < 0 ? -ENOENT :
					     vmstat_read_allocated(manager->pace.vmstat_fd, &bytes);
}

/* Our own, of which nothing is wanted. -ENODEV: has no files. */
static int open_own_group(struct manager *manager, char **ret_path, struct cgroup *ret)
{
	uint64_t id;
	int r;

	if (!manager->has_cgroup)
		return -ENODEV;

	r = cgroup_of_pid(&manager->cgroup_root, getpid(), ret_path, &id);
	if (r >= 0)
		r = cgroup_open(&manager->cgroup_root, *ret_path, ret);
	return r;
}

static int read_group(struct manager *manager)
{
	_cleanup_(cgroup_close) struct cgroup cgroup = CGROUP_CLOSED;
	struct reading reading;
	char *path = NULL;
	int r;

	r = open_own_group(manager, &path, &cgroup);
	free(path);
	if (r == -ENODEV)
		return 0;
	if (r >= 0)
		r = cgroup_read(&cgroup, manager_now(manager), &reading);
	return r;
}

static int try_pressure(struct manager *manager, const char *path)
{
	const struct cgroup_root *root = &manager->cgroup_root;
	const int fd = root->kind == GROUP_V2 ? root->fd : root->unified_fd;
	struct psi_trigger trigger;
	char file[4096];
	int r;

	if (fd < 0 || snprintf(file, sizeof(file), ".%s/memory.pressure", path) >= (int)sizeof(file))
		return 0;

	r = psi_trigger_open(fd, file, STALL_USEC, &trigger);
	if (r < 0)
		/* Kernels without it, and groups: nothing that anybody here could change. */
		return r == -ENOENT || r == -EOPNOTSUPP || r == -EINVAL ? 0 : r;

	psi_trigger_close(&trigger);
	return 0;
}

static int arm_triggers(struct manager *manager)
{
	_cleanup_(cgroup_close) struct cgroup cgroup = CGROUP_CLOSED;
	char *path = NULL;
	int r;

	r = open_own_group(manager, &path, &cgroup);
	if (r >= 0)
		r = try_pressure(manager, path);
	free(path);
	if (r == -ENODEV)
		return 0;
	if (r >= 0 && manager->cgroup_root.kind == GROUP_V1)
		r = cgroup_arm_threshold(&cgroup, THRESHOLD_BYTES);
	if (r >= 0 && manager->cgroup_root.kind == GROUP_V1)
		(void)fd_close(r);

	return r;
}

static int is_reclaim(const struct config_item *item, void *userdata)
{
	(void)userdata;
	return streq(item->key, "MemoryReclaim") && !streq(item->value, "0");
}

/* Opened only: what is asked for by writing there is done. */
static int open_reclaim(struct manager *manager)
{
	_cleanup_(cgroup_close) struct cgroup cgroup = CGROUP_CLOSED;
	_cleanup_(fd_closep) int fd = -1;
	char *path = NULL;
	int r;

	if (config_each(manager->config, is_reclaim, NULL) == 0)
		return 0;

	r = open_own_group(manager, &path, &cgroup);
	free(path);
	if (r >= 0)
		r = fd = cgroup_open_reclaim(&cgroup);

	/* Kernels without it, and groups: "explain" says so. */
	return r == -ENODEV || r == -ENOENT || r == -EOPNOTSUPP ? 0 : r;
}

static int write_journal(struct manager *manager)
{
	ssize_t n;

	/* More than that only names of kilobytes take. */
	touch_memory(journal_room, ENTRY_BYTES);
	n = journal_format(&sample_group, &sample_outcome, journal_room, sizeof(journal_room));
	if (n >= 0)
		n = journal_alert_format(&sample_group, &sample_alert, journal_room,
					 sizeof(journal_room));
	if (n < 0 || manager->options.quiet_journal || !log_to_journal())
		return n < 0 ? (int)n : 0;

	return journal_try();
}

static int make_signals(struct manager *manager)
{
	(void)manager;
	return bus_try_signals(&sample_group, &sample_outcome, &sample_alert);
}

static int await_helper(struct manager *manager)
{
	return exec_await(manager->exec, HELPER_TIMEOUT_USEC);
}

/* In this order. */
static const struct {
	int (*act)(struct manager *manager);
	const char *what;
	const char *effect;
	const char *advice;
} acts[] = {
	{ keep_pages, "lock its memory",
	  "it may be paged out when it is needed", "set LimitMEMLOCK=infinity for it" },
	{ touch_pages, "", "", "" },
	{ send_frame, "exchange a frame over a socket",
	  "no program can be asked", "let its SystemCallFilter= and RestrictAddressFamilies= allow it" },
	{ read_processes, "read /proc of a process",
	  "programs cannot be watched or asked", "set ProcSubset=all for it" },
	{ read_counters, "read /proc/vmstat",
	  "calm groups are read more often", "set ProcSubset=all for it" },
	{ read_group, "read its own cgroup",
	  "it may not see how much memory groups use", "look at who may read the files there" },
	{ arm_triggers, "arm a trigger of the kernel's on its own cgroup",
	  "groups are looked at by time alone", "run it as root, or with CAP_DAC_OVERRIDE and "
	  "ProtectControlGroups=no; a user's daemon may in groups that are the user's own" },
	{ open_reclaim, "open memory.reclaim of its own cgroup",
	  "MemoryReclaim= does nothing", "run it as root, or with CAP_DAC_OVERRIDE and "
	  "ProtectControlGroups=no; a user's daemon may in groups that are the user's own" },
	{ write_journal, "write to the journal",
	  "outcomes and alerts are lost", "look whether systemd-journald runs" },
	{ make_signals, "make a signal for the bus",
	  "RoundFinished and Alert are not sent", "let its SystemCallFilter= allow sockets" },
	{ await_helper, "hear from the helper of Exec= and MemoryReclaim=",
	  "neither may be done", "look at what else the machine does, or run it with "
	  "--log-level=debug" },
};

void rehearse(struct manager *manager)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		r = acts[i].act(manager);
		if (r < 0)
			log_warning("Cannot %s: %s; %s: %s", acts[i].what, strerror(-r),
				    acts[i].effect, acts[i].advice);
	}
}
