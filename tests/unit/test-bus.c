/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the bus says, and that nothing it holds outlives its use. */

#include "agent/report/bus.h"

#include "agent/basic/log.h"
#include "agent/ctl/fields.h"
#include "agent/report/dict.h"
#include "tests/shim/bus-world.h"

static void test_rows_leave_out_what_is_not_known(void)
{
	struct answer answer;

	world_open();
	answer = ask("ListGroups", "");
	CHECK_EQ(json_array_size(answer.value), 3);
	CHECK_EQ(fields_number(row(&answer, 0), "limit_bytes"), 600 * MIB);
	CHECK_EQ(fields_number(row(&answer, 0), "usage_permyriad"), 3650);
	CHECK_STR(fields_string(row(&answer, 0), "verdict"), "retained");
	CHECK_STR(fields_string(json_object_get(row(&answer, 0), "last_outcome"),
				"trigger"),
		  "usage-high");
	CHECK_STR(fields_string(row(&answer, 1), "quiet_reason"), "not-worth");
	CHECK(json_object_get(row(&answer, 1), "last_outcome") == NULL);

	/* No limit, no measurement, no unit. */
	CHECK(json_object_get(row(&answer, 2), "limit_bytes") == NULL);
	CHECK(json_object_get(row(&answer, 2), "usage_permyriad") == NULL);
	CHECK(json_object_get(row(&answer, 2), "eta_usec") == NULL);
	CHECK(json_object_get(row(&answer, 2), "retained_bytes") == NULL);
	CHECK(json_object_get(row(&answer, 2), "unit") == NULL);
	json_decref(answer.value);
	world_close();
}

static const json_t *item(const json_t *row, const char *key, size_t i)
{
	return json_array_get(json_object_get(row, key), i);
}

static void test_a_verdict_comes_with_evidence_and_with_what_to_type(void)
{
	struct answer answer;

	world_open();
	answer = ask("ListGroups", "");
	CHECK_EQ(fields_number(row(&answer, 0), "confidence_percent"), 95);
	CHECK_STR(fields_string(item(row(&answer, 0), "evidence", 0), "name"),
		  "released_bytes");
	CHECK_EQ(fields_number(item(row(&answer, 0), "evidence", 0), "value"), 412 * MIB);
	CHECK_STR(fields_string(item(row(&answer, 0), "evidence", 0), "text"),
		  "the last release gave 412M");
	CHECK_STR(fields_string(item(row(&answer, 0), "advice", 0), "name"), "release");
	CHECK(strstr(fields_string(item(row(&answer, 0), "advice", 0), "text"),
		     "memguardctl trim webreport.service"));
	CHECK_STR(fields_string(item(row(&answer, 1), "evidence", 2), "text"),
		  "watched for 1h 30min");
	json_decref(answer.value);

	answer = ask("ListMembers", "1234");
	CHECK_STR(fields_string(row(&answer, 0), "verdict"), "retained");
	json_decref(answer.value);
	world_close();
}

static void test_to_a_users_daemon_is_typed_what_reaches_it(void)
{
	struct answer answer;

	world_open();
	world.fake.groups[0].users = true;
	answer = ask("ListGroups", "");
	CHECK(strstr(fields_string(item(row(&answer, 0), "advice", 0), "text"),
		     "memguardctl --user trim webreport.service"));
	json_decref(answer.value);
	world_close();
}

static void test_rounds_are_told_of_groups_that_are_gone(void)
{
	struct answer answer;

	world_open();
	answer = ask("ListRounds", "");
	CHECK_EQ(json_array_size(answer.value), 2);
	CHECK_STR(fields_string(row(&answer, 0), "name"), "gone.service");
	CHECK_STR(fields_string(row(&answer, 0), "trigger"), "usage-high");
	CHECK_STR(fields_string(row(&answer, 1), "name"), "webreport.service");
	json_decref(answer.value);
	answer = ask("ListRounds", "gone.service");
	CHECK_EQ(json_array_size(answer.value), 1);
	json_decref(answer.value);

	/* A kill is no round, and has no figures of one. */
	world.fake.has_kill = true;
	answer = ask("ListRounds", "webreport.service");
	CHECK_EQ(json_array_size(answer.value), 2);
	CHECK_STR(fields_string(row(&answer, 1), "kind"), "killed");
	CHECK_EQ(fields_number(row(&answer, 1), "killed"), 2);
	CHECK_STR(fields_string(row(&answer, 1), "verdict"), "growing");
	CHECK(json_object_get(row(&answer, 1), "round") == NULL);
	json_decref(answer.value);
	world_close();
}

static void test_text_from_processes_is_clean(void)
{
	struct answer answer;
	char buf[16];

	CHECK_STR(dict_clean("a\tb\033[0m\x7f", buf, sizeof(buf)), "a?b?[0m?");
	CHECK_STR(dict_clean("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", buf, sizeof(buf)),
		  "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	CHECK_STR(dict_clean("\xc2\x9b"
			     "1m",
			     buf, sizeof(buf)),
		  "??1m");
	CHECK_STR(dict_clean("\xff\xc3", buf, sizeof(buf)), "??");
	CHECK_STR(dict_clean("\xed\xa0\x80", buf, sizeof(buf)), "???");
	CHECK_STR(dict_clean("\xc0\x80\xe0\x80\x80", buf, sizeof(buf)), "?????");
	CHECK_STR(dict_clean("\xf4\x90\x80\x80", buf, sizeof(buf)), "????");
	/* sd-bus takes these from us, and not from the message: nothing of it could be read. */
	CHECK_STR(dict_clean("\xef\xbf\xbe\xef\xb7\x90", buf, sizeof(buf)), "??????");
	CHECK_STR(dict_clean("\xf0\x9f\xbf\xbf", buf, sizeof(buf)), "????");
	CHECK_STR(dict_clean("0123456789abcd\xc3\xa4", buf, sizeof(buf)),
		  "0123456789abcd");

	world_open();
	answer = ask("ListMembers", "99");
	CHECK_STR(fields_string(row(&answer, 0), "command"), "evil?[31m?");
	json_decref(answer.value);
	snprintf(world.fake.members[0].process.command, 16, "a\xef\xbf\xbe");
	answer = ask("ListMembers", "");
	CHECK_STR(fields_string(row(&answer, 0), "command"), "a???");
	json_decref(answer.value);
	world_close();
}

static void test_fresh_figures_come_with_arenas(void)
{
	struct answer answer;
	const json_t *arenas;

	world_open();
	answer = ask("Show", "1234");
	arenas = json_object_get(row(&answer, 0), "arenas");
	CHECK_EQ(json_array_size(arenas), 9);
	CHECK_EQ(fields_number(json_array_get(arenas, 8), "system_bytes"), 81 * MIB);
	CHECK_EQ(json_array_size(
			 json_object_get(json_array_get(arenas, 0), "class_bytes")),
		 7);
	CHECK_EQ(json_array_size(json_object_get(row(&answer, 0), "class_limit_bytes")),
		 6);
	json_decref(answer.value);

	/* Or with the reason why not. */
	answer = ask("Show", "99");
	CHECK(strstr(fields_string(row(&answer, 0), "error"), "system call filter") !=
	      NULL);
	json_decref(answer.value);
	world_close();
}

static void test_what_is_not_there_has_an_error_of_its_own(void)
{
	static const char *const methods[] = { "ListGroups", "ListMembers", "Show",
					       "Trim", "Explain", "ListRounds" };
	struct answer answer;

	world_open();
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		answer = ask(methods[i], "nosuch");
		CHECK_STR(answer.error, BUS_ERROR_NO_SUCH_TARGET);
		CHECK(strstr(answer.text, "\"nosuch\"") != NULL);
	}

	answer = ask("Trim", "/containers/b7e1");
	CHECK_STR(answer.error, BUS_ERROR_BUSY);
	world_close();
}

static void test_what_acts_takes_no_empty_name(void)
{
	static const char *const methods[] = { "Show", "Trim", "Record", "RecordLast" };
	struct answer answer;
	sd_bus *client;

	world_open();
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		answer = ask(methods[i], "");
		CHECK_STR(answer.error, SD_BUS_ERROR_INVALID_ARGS);
		CHECK(strstr(answer.text, "name is empty") != NULL);
	}

	client = client_new(true);
	answer = (struct answer){ 0 };
	send_call(client, "Tune", "", "arena_max", 1, &answer);
	CHECK(turn_until(&answer.done));
	CHECK_STR(answer.error, SD_BUS_ERROR_INVALID_ARGS);
	CHECK_EQ(world.fake.n_trimmed + world.fake.n_tuned, 0);
	client_free(client);
	world_close();
}

static void test_tune_passes_knob_and_value(void)
{
	struct answer answer = { 0 };
	sd_bus *client;

	world_open();
	client = client_new(true);
	send_call(client, "Tune", "1234", "MmapThreshold", 1 * MIB, &answer);
	CHECK(turn_until(&answer.done));
	CHECK_EQ(world.fake.knob, WIRE_KNOB_MMAP_THRESHOLD);
	CHECK_EQ(world.fake.value, 1 * MIB);
	CHECK_STR(fields_string(row(&answer, 0), "status"), "ok");
	json_decref(answer.value);

	answer = (struct answer){ 0 };
	send_call(client, "Tune", "1234", "arena_max", 2, &answer);
	CHECK(turn_until(&answer.done));
	CHECK_EQ(world.fake.knob, WIRE_KNOB_ARENA_MAX);
	json_decref(answer.value);

	answer = (struct answer){ 0 };
	send_call(client, "Tune", "1234", "arena_max", 0, &answer);
	CHECK(turn_until(&answer.done));
	CHECK_STR(answer.error, SD_BUS_ERROR_INVALID_ARGS);
	CHECK(strstr(answer.text, "restart") != NULL);

	answer = (struct answer){ 0 };
	send_call(client, "Tune", "1234", "perturb", 2, &answer);
	CHECK(turn_until(&answer.done));
	CHECK_STR(answer.error, SD_BUS_ERROR_INVALID_ARGS);
	CHECK_EQ(world.fake.n_tuned, 2);
	client_free(client);
	world_close();
}

static void test_a_bad_file_is_named_in_the_answer_to_reload(void)
{
	struct answer answer;

	world_open();
	answer = ask("Reload", NULL);
	CHECK_STR(answer.error, "");
	json_decref(answer.value);

	world.fake.config_error = "/etc/x.conf:3: bad";
	answer = ask("Reload", NULL);
	CHECK_STR(answer.error, BUS_ERROR_BAD_CONFIG);
	CHECK_STR(answer.text, "/etc/x.conf:3: bad");
	world_close();
}

static void test_an_answer_to_a_client_that_is_gone_is_harmless(void)
{
	struct answer answer = { 0 };
	sd_bus *client;

	world_open();
	world.fake.hold = true;
	client = client_new(true);
	send_call(client, "Show", "1234", NULL, 0, &answer);
	while (world.fake.n_held == 0 && sd_event_run(world.event, 10 * USEC_PER_SEC) > 0)
		;
	CHECK_EQ(world.fake.n_held, 1);

	client_free(client);
	turn();
	bus_reply_finish(world.fake.held[0]);
	turn();
	CHECK(!answer.done);
	world_close();
}

static void test_answers_under_way_end_with_the_bus(void)
{
	struct answer answer = { 0 };
	sd_bus *client;

	world_open();
	world.fake.hold = true;
	client = client_new(true);
	send_call(client, "Show", "1234", NULL, 0, &answer);
	while (world.fake.n_held == 0 && sd_event_run(world.event, 10 * USEC_PER_SEC) > 0)
		;
	world_close();
	client_free(client);
}

static void test_a_finished_round_is_signalled(void)
{
	struct answer answer = { 0 }, news = { 0 };
	sd_bus *client;

	world_open();
	client = client_new(true);
	CHECK(sd_bus_match_signal(client, NULL, NULL, BUS_PATH, BUS_INTERFACE,
				  "RoundFinished", on_answer, &news) >= 0);
	send_call(client, "GetStatus", NULL, NULL, 0, &answer);
	CHECK(turn_until(&answer.done));
	json_decref(answer.value);

	bus_round_finished(world.bus, &world.fake.groups[0], &world.fake.outcome);
	CHECK(turn_until(&news.done));
	CHECK_STR(fields_string(news.value, "unit"), "webreport.service");
	CHECK_EQ(fields_number(news.value, "released_bytes"), 412 * MIB);
	CHECK(strstr(fields_string(news.value, "text"), "released 412M") != NULL);
	json_decref(news.value);
	client_free(client);
	world_close();
}

static void test_an_alert_is_signalled(void)
{
	const struct alert alert = { .kind = ALERT_OOM_KILL, .n_oom_kills = 2, .verdict = "growing" };
	struct answer answer = { 0 }, news = { 0 };
	sd_bus *client;

	world_open();
	client = client_new(true);
	CHECK(sd_bus_match_signal(client, NULL, NULL, BUS_PATH, BUS_INTERFACE, "Alert",
				  on_answer, &news) >= 0);
	send_call(client, "GetStatus", NULL, NULL, 0, &answer);
	CHECK(turn_until(&answer.done));
	json_decref(answer.value);

	bus_alert(world.bus, &world.fake.groups[0], &alert);
	CHECK(turn_until(&news.done));
	CHECK_STR(fields_string(news.value, "alert"), "oom-kill");
	CHECK_STR(fields_string(news.value, "unit"), "webreport.service");
	CHECK_STR(fields_string(news.value, "verdict"), "growing");
	CHECK_EQ(fields_number(news.value, "oom_kills"), 2);
	CHECK(strstr(fields_string(news.value, "text"), "ended 2 processes") != NULL);
	json_decref(news.value);
	bus_alert(NULL, &world.fake.groups[0], &alert);
	client_free(client);
	world_close();
}

struct changes {
	bool done;
	char names[256]; /* of the properties, one after the other */
};

static int on_changes(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	struct changes *changes = userdata;
	const char *name;
	size_t used = 0;

	(void)ret_error;
	CHECK(sd_bus_message_skip(message, "s") >= 0);
	CHECK(sd_bus_message_enter_container(message, 'a', "{sv}") >= 0);
	while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
		CHECK(sd_bus_message_read_basic(message, 's', &name) > 0);
		used += (size_t)snprintf(changes->names + used,
					 sizeof(changes->names) - used, "%s ", name);
		CHECK(sd_bus_message_skip(message, "v") >= 0);
		CHECK(sd_bus_message_exit_container(message) >= 0);
	}
	changes->done = true;
	return 0;
}

static void test_properties_that_change_are_told_once(void)
{
	struct answer answer = { 0 };
	struct changes changes = { 0 };
	sd_bus *client;

	world_open();
	client = client_new(true);
	CHECK(sd_bus_match_signal(client, NULL, NULL, BUS_PATH,
				  "org.freedesktop.DBus.Properties", "PropertiesChanged",
				  on_changes, &changes) >= 0);
	send_call(client, "GetStatus", NULL, NULL, 0, &answer);
	CHECK(turn_until(&answer.done));
	json_decref(answer.value);

	bus_changed(world.bus);
	CHECK(turn_until(&changes.done));
	changes = (struct changes){ 0 };

	/* However often it is said: what differs, and nothing else. */
	world.fake.n_groups = 0;
	for (int i = 0; i < 100; i++)
		bus_changed(world.bus);
	CHECK(turn_until(&changes.done));
	CHECK_STR(changes.names, "NGroups NMembers ");
	changes = (struct changes){ 0 };

	world.fake.config_error = "/etc/x.conf:3: bad";
	bus_changed(world.bus);
	CHECK(turn_until(&changes.done));
	CHECK_STR(changes.names, "ConfigState ");

	bus_changed(NULL);
	client_free(client);
	world_close();
}

#define LOG_CONTROL "org.freedesktop.LogControl1"

/* The error's name; "" for none. Gets when @value is NULL, the value being in *ret. */
static void log_control(const char *property, const char *value, char error[128],
			char ret[32])
{
	sd_bus *client = client_new(true);
	struct answer answer = { 0 };
	sd_bus_message *call = NULL;

	CHECK_EQ(sd_bus_message_new_method_call(
			 client, &call, BUS_NAME, "/org/freedesktop/LogControl1",
			 "org.freedesktop.DBus.Properties", value ? "Set" : "Get"),
		 0);
	CHECK(sd_bus_message_append(call, "ss", LOG_CONTROL, property) >= 0);
	if (value)
		CHECK(sd_bus_message_append(call, "v", "s", value) >= 0);
	CHECK(sd_bus_call_async(client, NULL, call, on_answer, &answer, 0) >= 0);
	sd_bus_message_unref(call);
	CHECK(turn_until(&answer.done));
	snprintf(error, 128, "%s", answer.error);
	if (ret)
		snprintf(ret, 32, "%s",
			 json_is_string(answer.value) ? json_string_value(answer.value) : "");
	json_decref(answer.value);
	client_free(client);
}

static void test_the_log_is_controlled_as_systemd_does(void)
{
	char error[128], value[32];

	world_open();
	log_control("LogLevel", "debug", error, NULL);
	CHECK_STR(error, "");
	CHECK_EQ(log_level(), LOG_DEBUG);
	log_control("LogLevel", NULL, error, value);
	CHECK_STR(value, "debug");
	log_control("LogLevel", "err", error, NULL);
	CHECK_EQ(log_level(), LOG_ERR);
	log_control("LogTarget", "null", error, NULL);
	CHECK_EQ(log_target(), LOG_TARGET_NULL);
	log_control("LogTarget", NULL, error, value);
	CHECK_STR(value, "null");
	log_control("LogTarget", "auto", error, NULL);
	CHECK_STR(error, "");
	log_control("SyslogIdentifier", NULL, error, value);
	CHECK_STR(value, log_name());

	/* What is not there changes nothing. */
	log_control("LogLevel", "loud", error, NULL);
	CHECK_STR(error, SD_BUS_ERROR_INVALID_ARGS);
	log_control("LogTarget", "syslog", error, NULL);
	CHECK_STR(error, SD_BUS_ERROR_INVALID_ARGS);
	log_control("SyslogIdentifier", "x", error, NULL);
	CHECK_STR(error, SD_BUS_ERROR_PROPERTY_READ_ONLY);
	log_control("LogColour", "x", error, NULL);
	CHECK_STR(error, SD_BUS_ERROR_UNKNOWN_PROPERTY);
	CHECK_EQ(log_level(), LOG_ERR);
	log_set_level(LOG_INFO);
	world_close();
}

static void test_the_socket_is_everybodys_and_stale_ones_go(void)
{
	struct stat st;
	struct bus *second;

	world_open();
	CHECK_EQ(stat(world.path, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0666);

	/* As after a crash: replaced, and nobody removes its successor's. */
	CHECK_EQ(bus_new(world.event, -1, world.directory, false, &fake_handler,
			 &world.fake, &second),
		 0);
	world.bus = bus_free(world.bus);
	CHECK_EQ(stat(world.path, &st), 0);
	bus_free(second);
	CHECK_EQ(stat(world.path, &st), -1);
	world_close();
}

static void test_an_activated_socket_is_served_and_kept(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct answer answer;
	int fd;

	world_open();
	world.bus = bus_free(world.bus);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(address.sun_path, world.path, sizeof(world.path));
	CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CHECK_EQ(listen(fd, 8), 0);

	CHECK_EQ(bus_new(world.event, fd, "/nonexistent", false, &fake_handler,
			 &world.fake, &world.bus),
		 0);
	answer = ask("GetStatus", NULL);
	CHECK(fields_is(answer.value, "running"));
	json_decref(answer.value);
	world.bus = bus_free(world.bus);
	CHECK_EQ(unlink(world.path), 0);
	world_close();
}

static void test_a_directory_that_cannot_be_is_an_error(void)
{
	char longest[200] = "/tmp/";
	struct bus *bus = NULL;

	world_open();
	memset(longest + 5, 'a', sizeof(longest) - 6);
	CHECK_EQ(bus_new(world.event, -1, longest, false, &fake_handler, &world.fake,
			 &bus),
		 -ENAMETOOLONG);
	CHECK_EQ(bus_new(world.event, -1, "/proc/nosuch/dir", false, &fake_handler,
			 &world.fake, &bus),
		 -ENOENT);
	CHECK(bus == NULL);
	world_close();
}

int main(void)
{
	RUN(test_rows_leave_out_what_is_not_known);
	RUN(test_a_verdict_comes_with_evidence_and_with_what_to_type);
	RUN(test_to_a_users_daemon_is_typed_what_reaches_it);
	RUN(test_rounds_are_told_of_groups_that_are_gone);
	RUN(test_text_from_processes_is_clean);
	RUN(test_fresh_figures_come_with_arenas);
	RUN(test_what_is_not_there_has_an_error_of_its_own);
	RUN(test_what_acts_takes_no_empty_name);
	RUN(test_tune_passes_knob_and_value);
	RUN(test_a_bad_file_is_named_in_the_answer_to_reload);
	RUN(test_an_answer_to_a_client_that_is_gone_is_harmless);
	RUN(test_answers_under_way_end_with_the_bus);
	RUN(test_a_finished_round_is_signalled);
	RUN(test_an_alert_is_signalled);
	RUN(test_properties_that_change_are_told_once);
	RUN(test_the_log_is_controlled_as_systemd_does);
	RUN(test_the_socket_is_everybodys_and_stale_ones_go);
	RUN(test_an_activated_socket_is_served_and_kept);
	RUN(test_a_directory_that_cannot_be_is_an_error);
	return TEST_RESULT();
}
