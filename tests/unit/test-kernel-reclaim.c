/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* core/kernel-reclaim: when the helper is asked, and what is made of its end. The test is the helper. */

#include "agent/core/kernel-reclaim.h"

#include <sys/socket.h>
#include <sys/sysinfo.h>

#include "agent/basic/fd.h"
#include "agent/core/guard.h"
#include "agent/core/helper.h"
#include "agent/core/history.h"
#include "agent/core/pace.h"
#include "tests/unit/cgroup-fixture.h"

#define ID 4711

static char directory[] = "/tmp/memguard-test-XXXXXX", config[64], base[64], group[80];
static struct manager *manager;
static struct guard guard;
static int helper = -1;

/* Instead of libc's: there is swap. */
int sysinfo(struct sysinfo *info)
{
	*info = (struct sysinfo){ .totalram = 1UL << 30, .freeswap = 1UL << 30, .mem_unit = 1 };
	return 0;
}

static void configure(const char *text)
{
	write_file(directory, "memguard.conf", text);
}

static void reload(const char *text)
{
	char mistakes[256];

	configure(text);
	CHECK_EQ(manager_reload(manager, mistakes, sizeof(mistakes)), 0);
}

/* In MiB. */
static void put(unsigned int usage, unsigned int swap)
{
	char text[64];

	snprintf(text, sizeof(text), "%lu\n", (unsigned long)usage << 20);
	write_file(group, "memory.current", text);
	snprintf(text, sizeof(text), "%lu\n", (unsigned long)swap << 20);
	write_file(group, "memory.swap.current", text);
}

static void make_tree(void)
{
	(void)strcpy(base, "/tmp/memguard-tree-XXXXXX");
	CHECK(mkdtemp(base) != NULL);
	write_file(base, "cgroup.controllers", "memory\n");
	snprintf(group, sizeof(group), "%s/a", base);
	CHECK_EQ(mkdir(group, 0700), 0);
	write_file(group, "memory.max", "104857600\n");
	write_file(group, "memory.stat", "anon 0\ninactive_file 0\nactive_file 0\nslab_reclaimable 0\n");
	write_file(group, "memory.reclaim", "");
	put(95, 3);
}

static void connect_helper(void)
{
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	CHECK(exec_connect(manager->exec, fds[0]) >= 0);
	helper = fds[1];
}

static void begin(const char *settings)
{
	const struct manager_options options = {
		.runtime_directory = directory, .config_file = config, .cgroup_root = base,
		.hook_fd = -1, .bus_fd = -1, .pressure_fd = -1,
	};
	sd_event *event = NULL;

	make_tree();
	/* One of its own would be started where that is set. */
	configure("");
	CHECK(sd_event_new(&event) >= 0);
	if (manager_new(event, &options, &manager) < 0)
		exit(1);
	sd_event_unref(event);
	(void)sd_event_run(manager->event, 0);
	connect_helper();
	reload(settings);

	guard = (struct guard){ .manager = manager, .cgroup = CGROUP_CLOSED, .psi = PSI_TRIGGER_CLOSED };
	CHECK(pace_reserve(manager) == 0 && history_new(&guard) == 0);
	guard.group.path = (char *)"/a";
	guard.group.id = ID;
	guard.group.kind = GROUP_V2;
	CHECK_EQ(cgroup_open(&manager->cgroup_root, "/a", &guard.cgroup), 0);
	LIST_INSERT_HEAD(&manager->guards, &guard, in_manager);
	manager->n_guards++;
	CHECK_EQ(guard_configure(&guard), 0);
	CHECK_EQ(guard_read(&guard), 0);
}

static void end(void)
{
	LIST_REMOVE(&guard, in_manager);
	manager->n_guards--;
	pace_cancel(&guard);
	cgroup_close(&guard.cgroup);
	history_free(&guard);
	manager = manager_free(manager);
	helper = fd_close(helper);
	remove_tree(base);
}

/* Number of the request that is there, or 0; and how much is to be reclaimed. */
static uint32_t asked(uint64_t *ret_bytes)
{
	struct helper_request request;

	if (recv(helper, &request, sizeof(request), MSG_DONTWAIT) != sizeof(request))
		return 0;

	*ret_bytes = request.reclaim_bytes;
	return request.number;
}

static void answer(uint32_t number, int error)
{
	const struct helper_answer text = {
		.magic = HELPER_MAGIC, .event = HELPER_ENDED, .number = number, .status = error << 8 };

	CHECK_EQ(send(helper, &text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
	while (kernel_reclaim_is_under_way(&guard) && sd_event_run(manager->event, 0) > 0)
		;
}

static uint32_t n_taken(void)
{
	return steps_n(&history_of(&guard)->steps, STEP_RECLAIM, manager_now(manager));
}

static void test_it_is_asked_for_once_and_counted(void)
{
	const struct swap_out *reclaim;
	uint64_t bytes = 0;
	uint32_t number;

	begin("[Trim]\nMemoryReclaim=64M\n");
	CHECK(kernel_reclaim_look(&guard).due);
	kernel_reclaim_run(&guard);
	number = asked(&bytes);
	CHECK(number != 0);
	CHECK_EQ(bytes, 15 * MIB);
	CHECK(kernel_reclaim_is_under_way(&guard));
	CHECK_EQ(n_taken(), 1);
	CHECK(kernel_reclaim_holds(&guard));
	kernel_reclaim_run(&guard);
	CHECK_EQ(asked(&bytes), 0);

	put(80, 18);
	answer(number, EAGAIN);
	CHECK(!kernel_reclaim_is_under_way(&guard));
	reclaim = &history_of(&guard)->reclaim;
	CHECK_EQ(reclaim->before.usage_bytes, 95 * MIB);
	CHECK_EQ(reclaim->before.swap_bytes, 3 * MIB);
	CHECK_EQ(reclaim->after.usage_bytes, 80 * MIB);
	CHECK_EQ(reclaim->after.swap_bytes, 18 * MIB);
	CHECK_EQ(reclaim->error, EAGAIN);
	/* The group's reading is its looks' alone. */
	CHECK_EQ(guard.group.reading.usage_bytes, 95 * MIB);
	CHECK_EQ(kernel_reclaim_look(&guard).reason, REASON_COOLDOWN);
	end();
}

static void test_a_kernel_that_waits_for_a_disk_holds_no_round_for_long(void)
{
	uint64_t bytes;

	begin("[Trim]\nMemoryReclaim=64M\n");
	CHECK(!kernel_reclaim_holds(&guard));
	kernel_reclaim_run(&guard);
	CHECK(asked(&bytes) != 0);
	CHECK(kernel_reclaim_holds(&guard));
	history_note(&guard)->reclaim.before.time_usec -= HELPER_RECLAIM_END_USEC;
	CHECK(!kernel_reclaim_holds(&guard));
	/* Nor is another one begun beside it. */
	CHECK(kernel_reclaim_is_under_way(&guard));
	end();
}

static void test_unasked_nobody_is_asked(void)
{
	uint64_t bytes;

	begin("");
	kernel_reclaim_run(&guard);
	CHECK_EQ(asked(&bytes), 0);
	CHECK_EQ(kernel_reclaim_look(&guard).reason, REASON_OFF);
	CHECK_EQ(n_taken(), 0);
	end();
}

static void test_a_reload_meanwhile_changes_no_figure(void)
{
	uint64_t bytes;

	begin("[Trim]\nMemoryReclaim=64M\n");
	kernel_reclaim_run(&guard);
	CHECK(asked(&bytes) != 0);
	put(81, 17);
	/* Nobody wants a helper any more: how it ended is not known. */
	reload("");
	CHECK(!kernel_reclaim_is_under_way(&guard));
	CHECK_EQ(history_of(&guard)->reclaim.error, ECHILD);
	CHECK_EQ(history_of(&guard)->reclaim.after.swap_bytes, 17 * MIB);
	end();
}

static void test_of_a_group_that_is_gone_nothing_is_told(void)
{
	uint64_t bytes;
	uint32_t number;

	begin("[Trim]\nMemoryReclaim=64M\n");
	kernel_reclaim_run(&guard);
	number = asked(&bytes);
	kernel_reclaim_end(ID + 1, 0, manager);
	CHECK(kernel_reclaim_is_under_way(&guard));
	remove_tree(group);
	answer(number, ENODEV);
	CHECK(!kernel_reclaim_is_under_way(&guard));
	CHECK_EQ(history_of(&guard)->reclaim.asked_bytes, 0);
	/* Who has come anew has begun none. */
	kernel_reclaim_end(ID, 0, manager);
	CHECK_EQ(history_of(&guard)->reclaim.after.time_usec, 0);
	end();
}

static void test_what_cannot_be_begun_is_not_counted_nor_tried_at_once(void)
{
	uint64_t bytes;

	begin("[Trim]\nMemoryReclaim=64M\nCooldownSec=1h\n");
	exec_want(manager->exec, false);
	kernel_reclaim_run(&guard);
	CHECK(!kernel_reclaim_is_under_way(&guard));
	CHECK_EQ(n_taken(), 0);
	helper = fd_close(helper);
	connect_helper();
	kernel_reclaim_run(&guard);
	CHECK_EQ(asked(&bytes), 0);
	end();
}

int main(void)
{
	if (!mkdtemp(directory))
		return 1;

	snprintf(config, sizeof(config), "%s/memguard.conf", directory);
	RUN(test_it_is_asked_for_once_and_counted);
	RUN(test_a_kernel_that_waits_for_a_disk_holds_no_round_for_long);
	RUN(test_unasked_nobody_is_asked);
	RUN(test_a_reload_meanwhile_changes_no_figure);
	RUN(test_of_a_group_that_is_gone_nothing_is_told);
	RUN(test_what_cannot_be_begun_is_not_counted_nor_tried_at_once);
	remove_tree(directory);
	return TEST_RESULT();
}
