/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many may come in, of each user and of all. */

#include "tests/unit/door-fixture.h"

#include <sched.h>
#include <sys/wait.h>

#define NOBODY 65534

/* In a child that is not root: fills this user's quota. Exits 0 when all got in. */
static pid_t fill_quota(const char *path, uid_t uid)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;

	if (uid != geteuid() && setuid(uid) < 0)
		_exit(2);
	for (int i = 0; i < LISTENER_PER_UID_MAX + 5; i++) {
		int fd;

		/* The queue is shorter than that. */
		while ((fd = door_client(path)) < 0 && errno == EAGAIN)
			sched_yield();
		if (fd < 0)
			_exit(1);
		close(fd);
	}
	_exit(0);
}

static int reap(struct door *door, pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, WNOHANG) == 0)
		(void)sd_event_run(door->event, 1000);
	door_settle(door);
	return status;
}

static void test_a_user_has_a_quota(void)
{
	const uid_t uid = geteuid() == 0 ? NOBODY : geteuid();
	struct door door;

	door_open(&door);
	CHECK_EQ(reap(&door, fill_quota(door.path, uid)), 0);
	CHECK_EQ(door.n_accepted, LISTENER_PER_UID_MAX);
	CHECK_EQ(door.uid, uid);
	CHECK_EQ(door.n_refused, 5);
	CHECK_EQ(door.error, -EDQUOT);

	/* Two places are given back, and taken. */
	listener_release(door.listener, uid);
	listener_release(door.listener, uid);
	CHECK_EQ(reap(&door, fill_quota(door.path, uid)), 0);
	CHECK_EQ(door.n_accepted, LISTENER_PER_UID_MAX + 2);

	/* Nobody else suffers. */
	if (geteuid() == 0)
		CHECK_EQ(door_visit(&door), 1);
	door_done(&door);
}

static void test_users_are_counted_apart(void)
{
	struct door door;

	if (geteuid() != 0) {
		printf("# only root can be several users\n");
		return;
	}

	door_open(&door);
	for (uid_t uid = 2001; uid <= 2003; uid++)
		CHECK_EQ(reap(&door, fill_quota(door.path, uid)), 0);
	CHECK_EQ(door.n_accepted, 3 * LISTENER_PER_UID_MAX);

	/* The first one leaves altogether; the others' counts stay theirs. */
	for (int i = 0; i < LISTENER_PER_UID_MAX; i++)
		listener_release(door.listener, 2001);
	CHECK_EQ(reap(&door, fill_quota(door.path, 2003)), 0);
	CHECK_EQ(door.n_accepted, 3 * LISTENER_PER_UID_MAX);
	CHECK_EQ(reap(&door, fill_quota(door.path, 2001)), 0);
	CHECK_EQ(door.n_accepted, 4 * LISTENER_PER_UID_MAX);
	door_done(&door);
}

/* With those that /etc/subuid gives to one user he would keep out everybody else. */
static void test_subordinate_users_are_counted_together(void)
{
	struct door door;

	if (geteuid() != 0) {
		printf("# only root can be several users\n");
		return;
	}

	door_open(&door);
	for (uid_t uid = 100000; uid < 100005; uid++)
		CHECK_EQ(reap(&door, fill_quota(door.path, uid)), 0);
	CHECK_EQ(door.n_accepted, LISTENER_PER_UID_MAX);
	CHECK_EQ(door.error, -EDQUOT);
	CHECK_EQ(door_visit(&door), 1);

	/* Those of the next range are others; who leaves makes room for one of his own. */
	listener_release(door.listener, 100000);
	listener_release(door.listener, 100000);
	CHECK_EQ(reap(&door, fill_quota(door.path, 100004)), 0);
	CHECK_EQ(reap(&door, fill_quota(door.path, 2 * 65536)), 0);
	CHECK_EQ(door.n_accepted, 2 * LISTENER_PER_UID_MAX + 3);
	door_done(&door);
}

static void test_there_is_a_quota_for_all(void)
{
	struct door door;
	int fd;

	if (geteuid() != 0) {
		printf("# one user's own quota is met first\n");
		return;
	}

	door_open(&door);
	while (door_visit(&door) > 0 && door.n_accepted <= LISTENER_MAX)
		;
	CHECK_EQ(door.n_accepted, LISTENER_MAX);

	fd = door_client(door.path);
	door_settle(&door);
	CHECK(door_was_dropped(fd));
	CHECK_EQ(door.error, -EUSERS);
	close(fd);

	listener_release(door.listener, 0);
	CHECK_EQ(door_visit(&door), 1);
	CHECK_EQ(door_visit(&door), 0);
	door_done(&door);
}

int main(void)
{
	RUN(test_a_user_has_a_quota);
	RUN(test_users_are_counted_apart);
	RUN(test_subordinate_users_are_counted_together);
	RUN(test_there_is_a_quota_for_all);
	return TEST_RESULT();
}
