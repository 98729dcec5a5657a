/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may connect to the bus, how often, and what each may see and do. */

#include "agent/report/bus-private.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "agent/basic/log.h"
#include "agent/basic/owner.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "tests/shim/bus-world.h"

#define OTHER_USER 1000 /* owns members 1240 and 77001 of the fake */

static void test_one_client_cannot_have_many_answers_under_way(void)
{
	struct answer answers[10] = { 0 };
	sd_bus *client;

	world_open();
	world.fake.hold = true;
	client = client_new(true);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		send_call(client, "Show", "1234", NULL, 0, &answers[i]);
	CHECK(turn_until(&answers[9].done));
	CHECK_STR(answers[9].error, SD_BUS_ERROR_LIMITS_EXCEEDED);
	CHECK_EQ(world.fake.n_held, 8);

	while (world.fake.n_held > 0)
		bus_reply_finish(world.fake.held[--world.fake.n_held]);
	CHECK(turn_until(&answers[0].done));
	turn();
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		CHECK(answers[i].done);
		json_decref(answers[i].value);
	}
	client_free(client);
	world_close();
}

static void ask_without_reading(const char *path, const char *interface, const char *method)
{
	struct answer answer = { 0 };
	sd_bus_message *call = NULL;
	uint64_t cookie; /* asking for it is asking for an answer */
	sd_bus *client;
	int i, r = 0;

	world_open();
	client = client_new(true);
	send_call(client, "GetStatus", NULL, NULL, 0, &answer);
	CHECK(turn_until(&answer.done));
	json_decref(answer.value);
	sd_bus_detach_event(client);

	for (i = 0; i < 100000 && r >= 0; i++) {
		r = sd_bus_message_new_method_call(client, &call, BUS_NAME, path,
						   interface, method);
		if (r >= 0)
			r = sd_bus_send(client, call, &cookie);
		call = sd_bus_message_unref(call);
		turn();
	}

	CHECK(r < 0 && r != -ENOBUFS);
	client_free(client);
	answer = ask("GetStatus", NULL);
	CHECK(fields_is(answer.value, "running"));
	json_decref(answer.value);
	world_close();
}

static void test_a_client_that_never_reads_is_dropped(void)
{
	ask_without_reading(BUS_PATH, BUS_INTERFACE, "GetConfig");
	/* Those of sd-bus itself are answers too. */
	ask_without_reading(BUS_PATH, "org.freedesktop.DBus.Introspectable", "Introspect");
	ask_without_reading("/nosuch", "org.freedesktop.DBus.Peer", "GetMachineId");
}

/* Says who we are, and waits until that was taken. */
static int dial_and_authenticate(void)
{
	char auth[128], uid[16], answer[128];
	size_t used;
	int fd = dial();

	snprintf(uid, sizeof(uid), "%u", (unsigned int)getuid());
	used = (size_t)snprintf(auth, sizeof(auth), "%cAUTH EXTERNAL ", '\0');
	for (const char *c = uid; *c; c++)
		used += (size_t)snprintf(auth + used, sizeof(auth) - used, "%02x", *c);
	used += (size_t)snprintf(auth + used, sizeof(auth) - used, "\r\nBEGIN\r\n");
	CHECK_EQ(send(fd, auth, used, MSG_NOSIGNAL), used);
	turn();
	CHECK(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 3);
	return fd;
}

static void test_a_message_without_end_is_not_kept(void)
{
	/* A call, little endian, of which 100 MiB are to come. */
	const uint32_t header[] = { 'l' | 1 << 8 | 1 << 24, 100 << 20, 1, 0 };
	static char piece[64 * 1024];
	struct answer answer;
	size_t n_sent = 0;
	ssize_t n;
	int fd;

	world_open();
	fd = dial_and_authenticate();
	CHECK_EQ(send(fd, header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
	do {
		turn();
		n = send(fd, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
		n_sent += n > 0 ? (size_t)n : 0;
	} while (n > 0 && n_sent < 8 * MIB);
	CHECK(n < 0 && errno == EPIPE);

	close(fd);
	answer = ask("GetStatus", NULL);
	CHECK(fields_is(answer.value, "running"));
	json_decref(answer.value);
	world_close();
}

static bool is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void test_there_are_at_most_64_clients(void)
{
	int fds[BUS_PRIVATE_MAX + 6], n_open = 0;
	struct answer answer;

	world_open();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		turn();
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		n_open += !is_closed(fds[i]);
	CHECK_EQ(n_open, BUS_PRIVATE_MAX);

	/* And room again when one goes. */
	close(fds[0]);
	turn();
	answer = ask("GetStatus", NULL);
	CHECK(fields_is(answer.value, "running"));
	json_decref(answer.value);
	for (size_t i = 1; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	world_close();
}

/* The first bytes the server says to @auth. */
static void authenticate(const char *auth, size_t n, char *buf, size_t size)
{
	int fd = dial();
	ssize_t got = -1;

	buf[0] = '\0';
	CHECK_EQ(send(fd, auth, n, MSG_NOSIGNAL), n);
	for (int i = 0; i < 100 && got < 0; i++) {
		(void)sd_event_run(world.event, 10 * USEC_PER_MSEC);
		got = recv(fd, buf, size - 1, MSG_DONTWAIT);
	}
	if (got > 0)
		buf[got] = '\0';
	close(fd);
	turn();
}

static void test_a_client_is_whom_the_kernel_says(void)
{
	char auth[64], uid[16], answer[128];
	size_t used;

	world_open();
	for (int lie = 0; lie < 2; lie++) {
		snprintf(uid, sizeof(uid), "%u",
			 (unsigned int)getuid() + (unsigned int)lie);
		used = (size_t)snprintf(auth, sizeof(auth), "%cAUTH EXTERNAL ", '\0');
		for (const char *c = uid; *c; c++)
			used += (size_t)snprintf(auth + used, sizeof(auth) - used, "%02x",
						 *c);
		used += (size_t)snprintf(auth + used, sizeof(auth) - used, "\r\n");

		authenticate(auth, used, answer, sizeof(answer));
		CHECK_EQ(strncmp(answer, lie ? "REJECTED" : "OK ", lie ? 8 : 3), 0);
	}

	authenticate("\0AUTH ANONYMOUS\r\n", 17, answer, sizeof(answer));
	CHECK_EQ(strncmp(answer, "REJECTED", 8), 0);
	world_close();
}

/* Runs @f in a child while this process serves; its CHECKs count here. */
static void with_client(uid_t uid, void (*f)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		test_bad_ = 0;
		if (uid != getuid() &&
		    (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
			_exit(3);
		f();
		fflush(stdout);
		_exit(test_bad_);
	}

	while (waitpid(pid, &status, WNOHANG) == 0)
		(void)sd_event_run(world.event, 20 * USEC_PER_MSEC);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static struct ctl ctl;

/* What the real client makes of it; NULL when it failed. */
static json_t *fetch(const char *method, const char *what)
{
	json_t *value = NULL;

	ctl.runtime_directory = world.directory;
	if ((what ? client_call_what(&ctl, method, what, &value)
		  : client_call(&ctl, method, &value)) < 0)
		return NULL;

	return value;
}

static void call_everything(void)
{
	static const char *const on_what[] = { "ListGroups", "ListMembers", "Show",
					       "Trim", "Explain", "ListRounds" };
	json_t *value;

	for (size_t i = 0; i < ARRAY_SIZE(on_what); i++) {
		value = fetch(on_what[i], "webreport.service");
		CHECK(json_array_size(value) >= 1);
		json_decref(value);
	}

	value = fetch("GetStatus", NULL);
	CHECK_STR(fields_string(value, "version"), "0.1.0");
	CHECK_EQ(fields_number(value, "released_bytes"), 2350 * MIB);
	json_decref(value);
	value = fetch("GetConfig", NULL);
	CHECK_EQ(json_array_size(value), 4);
	CHECK_EQ(fields_number(json_array_get(value, 1), "line"), 2);
	json_decref(value);
	value = fetch("Reload", NULL);
	CHECK(json_is_null(value));
	value = NULL;
	CHECK_EQ(client_call_trim(&ctl, "1234", NULL, &value), 0);
	CHECK_EQ(json_array_size(value), 1);
	json_decref(value);
	CHECK_EQ(client_call_trim(&ctl, "1234", "borrow", &value), 0);
	CHECK_EQ(json_array_size(value), 1);
	json_decref(value);
	log_set_level(LOG_EMERG);
	CHECK(client_call_trim(&ctl, "1234", "gentle", &value) < 0);
	value = NULL;
	CHECK_EQ(client_call_tune(&ctl, "1234", "arena_max", 2, &value), 0);
	CHECK_EQ(json_array_size(value), 1);
	json_decref(value);
	client_close(&ctl);
}

static void test_every_method_answers_the_real_client(void)
{
	world_open();
	with_client(getuid(), call_everything);
	CHECK_STR(method_to_string(world.fake.method), "borrow");
	world_close();
}

static void call_as_other(void)
{
	json_t *value;

	log_set_level(LOG_EMERG);
	value = fetch("ListMembers", "");
	CHECK_EQ(json_array_size(value), 2);
	CHECK_EQ(fields_number(json_array_get(value, 0), "pid"), 1240);
	CHECK_EQ(fields_number(json_array_get(value, 1), "pid"), 77001);
	value = fetch("ListGroups", "");
	CHECK_EQ(json_array_size(value), 2);
	value = fetch("Explain", "1240");
	CHECK_EQ(json_array_size(value), 1);
	CHECK_EQ(json_array_size(fetch("Show", "1240")), 1);
	value = fetch("ListRounds", "");
	CHECK_EQ(json_array_size(value), 1);
	CHECK_STR(fields_string(json_array_get(value, 0), "name"), "webreport.service");
	CHECK(fetch("ListRounds", "gone.service") == NULL);
	CHECK(fields_is(fetch("GetStatus", NULL), "running"));
	CHECK_EQ(json_array_size(fetch("GetConfig", NULL)), 4);

	/* Others' processes are not there, and cannot be made to stall. */
	CHECK(fetch("ListMembers", "1234") == NULL);
	CHECK(fetch("ListGroups", "/containers/b7e1") == NULL);
	CHECK(fetch("Show", "1234") == NULL);
	CHECK(fetch("Show", "webreport.service") == NULL);
	CHECK(fetch("Show", "") == NULL);
	CHECK(fetch("Trim", "1240") == NULL);
	CHECK(client_call_trim(&ctl, "1240", "full", &value) < 0);
	CHECK(fetch("Reload", NULL) == NULL);
	CHECK(client_call_tune(&ctl, "1240", "arena_max", 2, &value) < 0);

	/* How loud the daemon is is not for everybody either. */
	CHECK(sd_bus_set_property(ctl.bus, BUS_NAME, "/org/freedesktop/LogControl1",
				  "org.freedesktop.LogControl1", "LogLevel", NULL, "s",
				  "debug") == -EACCES);
}

/* Whatever his number is, that of root of the host too. */
static void call_from_a_container(void)
{
	json_t *value;

	log_set_level(LOG_EMERG);
	CHECK(fields_is(fetch("GetStatus", NULL), "running"));
	CHECK_EQ(json_array_size(fetch("ListMembers", "")), 0);
	CHECK(fetch("Show", "1234") == NULL);
	CHECK(fetch("Trim", "1234") == NULL);
	CHECK(fetch("Reload", NULL) == NULL);
	CHECK(client_call_tune(&ctl, "1234", "arena_max", 2, &value) < 0);
}

static void test_a_container_is_shown_nothing_and_changes_nothing(void)
{
	world_open();
	world.fake.is_contained = true;
	with_client(getuid(), call_from_a_container);
	CHECK_EQ(world.fake.n_trimmed + world.fake.n_tuned + world.fake.n_reloaded, 0);
	world_close();
}

static void test_other_users_see_and_touch_only_what_is_theirs(void)
{
	if (getuid() != 0) {
		puts("# skipped: only root can become another user");
		return;
	}

	world_open();
	with_client(OTHER_USER, call_as_other);
	CHECK_EQ(world.fake.n_shown, 1);
	CHECK_EQ(world.fake.n_trimmed, 0);
	CHECK_EQ(world.fake.n_tuned, 0);
	CHECK_EQ(world.fake.n_reloaded, 0);
	world_close();
}

/* Answers of all that he has would fill our memory, were he not to read them. */
static void ask_for_too_much(void)
{
	json_t *value;

	log_set_level(LOG_EMERG);
	CHECK(fetch("ListMembers", "") == NULL);
	value = fetch("GetStatus", NULL);
	CHECK(fields_is(value, "running"));
	json_decref(value);
}

static void ask_for_all_as_root(void)
{
	json_t *value = fetch("ListMembers", "");

	CHECK_EQ(json_array_size(value), FAKE_MEMBERS * 1000);
	json_decref(value);
}

static void test_answers_to_other_users_have_an_end(void)
{
	if (getuid() != 0) {
		puts("# skipped: only root can become another user");
		return;
	}

	world_open();
	world.fake.n_times = 1000;
	with_client(OTHER_USER, ask_for_too_much);
	with_client(0, ask_for_all_as_root);
	world_close();
}

static void test_a_name_without_end_is_nobodys(void)
{
	static char what[200 * 1024];
	struct answer answer;

	memset(what, 'x', sizeof(what) - 1);
	world_open();
	answer = ask("ListMembers", what);
	CHECK_STR(answer.error, SD_BUS_ERROR_INVALID_ARGS);
	world_close();
}

/* Each time as the user at that place of @users, where there are any. */
static void connect_too_often(const uid_t *users)
{
	int fds[BUS_PRIVATE_PER_UID_MAX + 4], n_open = 0;
	char c;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		CHECK_EQ(users ? seteuid(users[i]) : 0, 0);
		fds[i] = dial();
		CHECK_EQ(users ? seteuid(0) : 0, 0);
	}

	/* Those refused see the end; the others wait for us, as nobody speaks first. */
	for (size_t i = BUS_PRIVATE_PER_UID_MAX; i < ARRAY_SIZE(fds); i++)
		CHECK_EQ(recv(fds[i], &c, 1, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		n_open += !is_closed(fds[i]);
	CHECK_EQ(n_open, BUS_PRIVATE_PER_UID_MAX);
}

static void connect_often_as_other(void)
{
	connect_too_often(NULL);
}

/* As root of a container, whose users are numbers of one range. */
static void connect_often_as_others(void)
{
	uid_t users[BUS_PRIVATE_PER_UID_MAX + 4];

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		users[i] = 2 * OWNER_RANGE + (uid_t)i;
	connect_too_often(users);
}

static void test_one_owner_cannot_take_all_connections(void)
{
	if (getuid() != 0) {
		puts("# skipped: only root can become another user");
		return;
	}

	world_open();
	with_client(OTHER_USER, connect_often_as_other);
	world_close();

	world_open();
	with_client(0, connect_often_as_others);
	world_close();
}

/* As if a child that has ended had made the connection which we hold. */
static int dial_by_another(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pid_t pid;

	memcpy(address.sun_path, world.path, sizeof(world.path));
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0);
	CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	return fd;
}

static bool kernel_tells_who_ended(void)
{
	struct utsname kernel;
	int major = 0, minor = 0;

	return uname(&kernel) == 0 && sscanf(kernel.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 5));
}

static void test_who_holds_the_connection_of_another_is_nobody(void)
{
	struct answer answer = { 0 };
	sd_bus *client;

	if (!kernel_tells_who_ended()) {
		puts("# skipped: not before Linux 6.5");
		return;
	}

	world_open();
	client = client_on(dial_by_another(), true);
	send_call(client, "Reload", NULL, NULL, 0, &answer);
	CHECK(turn_until(&answer.done));
	CHECK_STR(answer.error, SD_BUS_ERROR_ACCESS_DENIED);
	json_decref(answer.value);
	client_free(client);
	turn();
	world_close();
}

/* There is always something to read. */
static int on_busy(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source;
	(void)fd;
	(void)revents;
	(void)userdata;
	return 0;
}

/* Is one of @uid answered while there is always something else to do? */
static bool is_answered_meanwhile(uid_t uid)
{
	struct answer first = { 0 }, answer = { 0 };
	sd_event_source *busy = NULL;
	sd_bus *client;
	bool is_answered;

	/* The kernel remembers who connects. */
	CHECK_EQ(seteuid(uid), 0);
	client = client_new(true);
	CHECK_EQ(seteuid(0), 0);
	send_call(client, "ListMembers", "", NULL, 0, &first);
	CHECK(turn_until(&first.done));

	CHECK(sd_event_add_io(world.event, &busy, eventfd(1, EFD_CLOEXEC), EPOLLIN, on_busy, NULL) >= 0);
	CHECK(sd_event_source_set_io_fd_own(busy, 1) >= 0);
	send_call(client, "ListMembers", "", NULL, 0, &answer);
	for (int i = 0; i < 1000 && !answer.done; i++)
		(void)sd_event_run(world.event, 0);
	is_answered = answer.done;

	sd_event_source_disable_unref(busy);
	CHECK(turn_until(&answer.done));
	CHECK_STR(answer.error, "");
	json_decref(first.value);
	json_decref(answer.value);
	client_free(client);
	return is_answered;
}

static void test_other_users_wait_until_there_is_nothing_else_to_do(void)
{
	if (getuid() != 0) {
		puts("# skipped: only root can become another user");
		return;
	}

	world_open();
	CHECK(is_answered_meanwhile(0));
	CHECK(!is_answered_meanwhile(OTHER_USER));
	turn();
	world_close();
}

static void call_nobody(void)
{
	json_t *value;

	log_set_level(LOG_EMERG);
	ctl.runtime_directory = world.directory;
	CHECK_EQ(client_call(&ctl, "GetStatus", &value), CLIENT_NOT_RUNNING);
}

static void test_no_daemon_is_told_from_other_failures(void)
{
	world_open();
	world.bus = bus_free(world.bus);
	with_client(getuid(), call_nobody);
	world_close();
}

int main(void)
{
	RUN(test_one_client_cannot_have_many_answers_under_way);
	RUN(test_a_client_that_never_reads_is_dropped);
	RUN(test_a_message_without_end_is_not_kept);
	RUN(test_there_are_at_most_64_clients);
	RUN(test_a_client_is_whom_the_kernel_says);
	RUN(test_every_method_answers_the_real_client);
	RUN(test_other_users_see_and_touch_only_what_is_theirs);
	RUN(test_a_container_is_shown_nothing_and_changes_nothing);
	RUN(test_answers_to_other_users_have_an_end);
	RUN(test_a_name_without_end_is_nobodys);
	RUN(test_one_owner_cannot_take_all_connections);
	RUN(test_who_holds_the_connection_of_another_is_nobody);
	RUN(test_other_users_wait_until_there_is_nothing_else_to_do);
	RUN(test_no_daemon_is_told_from_other_failures);
	return TEST_RESULT();
}
