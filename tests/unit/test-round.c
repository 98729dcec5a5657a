/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* core/round: many rounds at once, and what a reload does to one that is under way. */

#include "agent/core/round.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/guard.h"
#include "agent/core/history.h"
#include "agent/core/knobs.h"
#include "agent/core/pace.h"
#include "agent/core/peer.h"
#include "agent/hook/conn-internal.h"
#include "tests/unit/test.h"

/* More than there are rounds made at the start. */
#define GROUPS 40
#define MEMBERS 2

static char directory[] = "/tmp/memguard-test-XXXXXX", config[64];
static struct manager *manager;

static int on_hello(struct conn *conn, const struct wire_hello *hello, void *userdata)
{
	(void)conn;
	(void)hello;
	(void)userdata;
	return 0;
}

static void on_end(struct conn *conn, enum conn_end end, void *userdata)
{
	(void)conn;
	(void)end;
	(void)userdata;
}

static const struct conn_handler handler = { .on_hello = on_hello, .on_end = on_end };

/* This very process, by several connections; the other ends are the test's. */
static struct place {
	struct guard guard;
	struct peer peers[MEMBERS];
	int hooks[MEMBERS];
} places[GROUPS];

static void configure(const char *text)
{
	const int fd = open(config, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const size_t n = strlen(text);

	CHECK(fd >= 0 && write(fd, text, n) == (ssize_t)n);
	close(fd);
}

static void begin(void)
{
	const struct manager_options options = {
		.runtime_directory = directory, .config_file = config, .cgroup_root = NULL,
		.quiet_journal = true, .hook_fd = -1, .bus_fd = -1, .pressure_fd = -1,
	};
	sd_event *event = NULL;

	configure("");
	CHECK(sd_event_new(&event) >= 0);
	if (manager_new(event, &options, &manager) < 0)
		exit(1);
	sd_event_unref(event);
	/* Groups are the test's. */
	manager->has_cgroup = false;
	(void)sd_event_run(manager->event, 0);
}

static void end(void)
{
	cgroup_root_close(&manager->cgroup_root);
	manager = manager_free(manager);
}

/* A pick is found by the number of its process: the second one has that of our parent. */
static void join(struct place *place, int i)
{
	struct peer *peer = &place->peers[i];
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	*peer = (struct peer){ .guard = &place->guard };
	peer->member.process.pid = i == 0 ? getpid() : getppid();
	CHECK(history_new_lessons(peer, manager) == 0);
	CHECK(conn_new(manager->event, fds[0], getpid(), getuid(), &handler, &peer->conn) == 0);
	conn_disarm(peer->conn);
	peer->conn->state = CONN_OPEN;
	peer->conn->since_usec = UINT64_MAX;
	place->hooks[i] = fds[1];
	SLIST_INSERT_HEAD(&place->guard.peers, peer, in_guard);
	place->guard.group.n_members++;
	manager->n_peers++;
}

static void make(struct place *place, int n_members)
{
	struct guard *guard = &place->guard;

	*place = (struct place){ .guard = {
		.manager = manager, .cgroup = CGROUP_CLOSED, .psi = PSI_TRIGGER_CLOSED } };
	CHECK(pace_reserve(manager) == 0 && history_new(guard) == 0);
	guard->group.path = (char *)"/group";
	guard->group.id = (uint64_t)(place - places) + 1;
	guard->group.kind = GROUP_RSS;
	LIST_INSERT_HEAD(&manager->guards, guard, in_manager);
	manager->n_guards++;
	CHECK(guard_configure(guard) == 0);
	for (int i = 0; i < n_members; i++)
		join(place, i);
}

static void forget(struct place *place)
{
	struct guard *guard = &place->guard;

	for (int i = 0; i < (int)guard->group.n_members; i++) {
		conn_free(place->peers[i].conn);
		history_free_lessons(&place->peers[i], manager);
		close(place->hooks[i]);
		manager->n_peers--;
	}
	CHECK(!guard->round);
	LIST_REMOVE(guard, in_manager);
	manager->n_guards--;
	pace_cancel(guard);
	history_free(guard);
}

/* Has this hook a question? Takes it. */
static bool take(struct place *place, int i, struct wire_frame *ret)
{
	return recv(place->hooks[i], ret, sizeof(*ret), MSG_DONTWAIT) == sizeof(*ret) &&
	       ret->header.verb == WIRE_RECLAIM;
}

static void test_who_does_not_answer_keeps_no_other_group_from_being_asked(void)
{
	struct wire_frame question;

	begin();
	for (int i = 0; i < GROUPS; i++) {
		make(&places[i], 1);
		CHECK_EQ(round_begin(&places[i].guard, REASON_USAGE_CRITICAL, 0, NULL), 0);
		CHECK(take(&places[i], 0, &question));
		CHECK(places[i].guard.round);
	}
	for (int i = 0; i < GROUPS; i++)
		forget(&places[i]);
	end();
}

static void answer(struct place *place, int i, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question->header.id, WIRE_OK);
	frame.reclaim_reply.method = question->reclaim_request.method;
	CHECK_EQ(send(place->hooks[i], &frame, sizeof(frame), 0), sizeof(frame));
	while (place->guard.round && place->guard.round->waiting == &place->peers[i])
		(void)sd_event_run(manager->event, UINT64_MAX);
}

/* Begins a round of two, answers for the first after a reload of @text; was the second asked? */
static bool is_other_asked_after(const char *text)
{
	struct place *place = &places[0];
	struct wire_frame question;
	char mistakes[256];
	bool is_asked;
	int first;

	begin();
	make(place, 2);
	CHECK_EQ(round_begin(&place->guard, REASON_USAGE_CRITICAL, 0, NULL), 0);
	first = !take(place, 0, &question);
	CHECK(first == 0 || take(place, 1, &question));
	configure(text);
	CHECK_EQ(manager_reload(manager, mistakes, sizeof(mistakes)), 0);
	answer(place, first, &question);
	is_asked = take(place, !first, &question);
	CHECK_EQ(place->guard.round != NULL, is_asked);
	CHECK_EQ(manager->ledger.n_appended, !is_asked);
	CHECK_EQ(manager->ledger.outcomes[0].n_answered, !is_asked);
	forget(place);
	end();
	return is_asked;
}

static void test_a_round_goes_on_after_a_reload(void)
{
	CHECK(is_other_asked_after("[Trim]\nCooldownSec=7s\n"));
}

static void test_who_is_only_to_be_observed_from_now_on_is_not_asked(void)
{
	CHECK(!is_other_asked_after("[Guard]\nMode=observe\n"));
}

/* Answers the only one that it releases nothing, if he was asked. */
static bool refuse(struct place *place)
{
	struct wire_frame question, frame;

	CHECK_EQ(round_begin(&place->guard, REASON_USAGE_CRITICAL, 0, NULL), 0);
	if (!take(place, 0, &question))
		return false;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question.header.id, WIRE_UNSUPPORTED);
	CHECK_EQ(send(place->hooks[0], &frame, sizeof(frame), 0), sizeof(frame));
	while (place->guard.round)
		(void)sd_event_run(manager->event, UINT64_MAX);
	return true;
}

static void test_who_cannot_release_is_not_asked_for_ever(void)
{
	const struct wire_stats stats = { .rss = MIB };
	const struct wire_reclaim_reply released = { .rss_before = MIB };
	struct peer *peer = &places[0].peers[0];

	begin();
	make(&places[0], 1);
	for (uint32_t i = 1; i <= 3; i++) {
		CHECK(refuse(&places[0]));
		/* That it tells figures does not make it able. */
		peer_take_stats(peer, &stats);
		CHECK_EQ(peer->member.n_failed, i);
	}
	CHECK(!refuse(&places[0]));
	CHECK(!places[0].guard.round);

	/* By a command. */
	peer_take_release(peer, &released);
	CHECK(refuse(&places[0]));

	/* Whoever only was silent is there again. */
	member_note_failure(&peer->member, false);
	peer_take_stats(peer, &stats);
	CHECK_EQ(peer->member.n_failed, 0);
	forget(&places[0]);
	end();
}

/* Has it be asked for its statistics, and answers so. */
static bool refresh(struct place *place, enum wire_status status)
{
	struct peer *peer = &place->peers[0];
	const bool stirs = peer_refresh(peer, manager_now(manager));
	struct wire_frame frame;

	CHECK(recv(place->hooks[0], &frame, sizeof(frame), MSG_DONTWAIT) == sizeof(frame));
	CHECK_EQ(frame.header.verb, WIRE_STATS);
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, frame.header.id, status);
	CHECK_EQ(send(place->hooks[0], &frame, sizeof(frame), 0), sizeof(frame));
	while (request_busy(peer->conn))
		(void)sd_event_run(manager->event, UINT64_MAX);
	return stirs;
}

static void test_who_refuses_figures_is_no_reason_to_look_again_soon(void)
{
	begin();
	make(&places[0], 1);
	CHECK(refresh(&places[0], WIRE_REFUSED));
	CHECK(!refresh(&places[0], WIRE_REFUSED));
	CHECK(!refresh(&places[0], WIRE_OK));
	places[0].peers[0].member.residue_due = true;
	CHECK(refresh(&places[0], WIRE_OK));
	forget(&places[0]);
	end();
}

/* Two settings are to be made, one after the other, and between them is a reload of @text. */
static bool is_tuned_on_after(const char *text)
{
	struct place *place = &places[0];
	struct peer *peer = &place->peers[0];
	struct wire_frame frame;
	char mistakes[256];
	bool is_asked;

	begin();
	configure("[Tune]\nTrimThreshold=1M\nTopPad=64K\n");
	CHECK_EQ(manager_reload(manager, mistakes, sizeof(mistakes)), 0);
	make(place, 1);
	peer->knobs_due = 1U << WIRE_KNOB_TRIM_THRESHOLD | 1U << WIRE_KNOB_TOP_PAD;
	knobs_go_on(peer);
	CHECK(recv(place->hooks[0], &frame, sizeof(frame), MSG_DONTWAIT) == sizeof(frame));
	CHECK_EQ(frame.header.verb, WIRE_TUNE);
	CHECK_EQ(frame.tune_request.knob, WIRE_KNOB_TRIM_THRESHOLD);
	configure(text);
	CHECK_EQ(manager_reload(manager, mistakes, sizeof(mistakes)), 0);
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_TUNE, frame.header.id, WIRE_OK);
	frame.tune_reply.knob = WIRE_KNOB_TRIM_THRESHOLD;
	CHECK_EQ(send(place->hooks[0], &frame, sizeof(frame), 0), sizeof(frame));
	while (!(peer->member.hello.tuned & 1U << WIRE_KNOB_TRIM_THRESHOLD))
		(void)sd_event_run(manager->event, UINT64_MAX);
	is_asked = recv(place->hooks[0], &frame, sizeof(frame), MSG_DONTWAIT) == sizeof(frame) &&
		   frame.header.verb == WIRE_TUNE;
	forget(place);
	end();
	return is_asked;
}

static void test_who_is_only_to_be_observed_from_now_on_is_not_tuned(void)
{
	CHECK(is_tuned_on_after("[Tune]\nTopPad=64K\n"));
	CHECK(!is_tuned_on_after("[Tune]\nTrimThreshold=1M\n"));
	CHECK(!is_tuned_on_after("[Guard]\nMode=observe\n[Tune]\nTopPad=64K\n"));
}

int main(void)
{
	if (!mkdtemp(directory))
		return 1;
	(void)snprintf(config, sizeof(config), "%s/conf", directory);

	RUN(test_who_does_not_answer_keeps_no_other_group_from_being_asked);
	RUN(test_a_round_goes_on_after_a_reload);
	RUN(test_who_is_only_to_be_observed_from_now_on_is_not_asked);
	RUN(test_who_is_only_to_be_observed_from_now_on_is_not_tuned);
	RUN(test_who_cannot_release_is_not_asked_for_ever);
	RUN(test_who_refuses_figures_is_no_reason_to_look_again_soon);

	(void)unlink(config);
	/* All else the daemon has removed itself. */
	(void)snprintf(config, sizeof(config), "%s/lock", directory);
	(void)unlink(config);
	CHECK(rmdir(directory) == 0);
	return TEST_RESULT();
}
