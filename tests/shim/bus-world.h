/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The bus of a fake daemon in one event loop with its clients, for unit tests: include it
 * once, after what it is used with. Everything is static, as in test.h.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ctl/reply.h"
#include "agent/report/bus.h"
#include "agent/report/bus-names.h"
#include "tests/shim/fake-data.h"
#include "tests/unit/test.h"

struct world {
	char directory[32], path[40];
	sd_event *event;
	struct fake fake;
	struct bus *bus;
};

static struct world world;

static void world_open(void)
{
	world = (struct world){ .directory = "/tmp/test-bus-XXXXXX" };
	CHECK(mkdtemp(world.directory) != NULL);
	CHECK_EQ(chmod(world.directory, 0755), 0);
	snprintf(world.path, sizeof(world.path), "%s/bus", world.directory);
	CHECK_EQ(sd_event_new(&world.event), 0);
	fake_init(&world.fake, 5000 * USEC_PER_SEC, 1700000000 * USEC_PER_SEC);
	CHECK_EQ(bus_new(world.event, -1, world.directory, false, &fake_handler,
			 &world.fake, &world.bus),
		 0);
}

static void world_close(void)
{
	bus_free(world.bus);
	sd_event_unref(world.event);
	CHECK_EQ(rmdir(world.directory), 0);
}

/* Until @done, or nothing has happened for long. */
_unused_ static bool turn_until(const bool *done)
{
	while (!*done)
		if (sd_event_run(world.event, 10 * USEC_PER_SEC) <= 0)
			return false;

	return true;
}

/* All that can be done now. */
_unused_ static void turn(void)
{
	while (sd_event_run(world.event, 0) > 0)
		;
}

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, world.path, sizeof(world.path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -errno;
	}

	return fd;
}

/* Takes @fd. */
static sd_bus *client_on(int fd, bool attached)
{
	sd_bus *client = NULL;

	CHECK(fd >= 0);
	CHECK_EQ(sd_bus_new(&client), 0);
	CHECK_EQ(sd_bus_set_fd(client, fd, fd), 0);
	CHECK(sd_bus_start(client) >= 0);
	if (attached)
		CHECK(sd_bus_attach_event(client, world.event, 0) >= 0);
	return client;
}

static sd_bus *client_new(bool attached)
{
	return client_on(dial(), attached);
}

static void client_free(sd_bus *client)
{
	sd_bus_detach_event(client);
	sd_bus_close_unref(client);
}

/* Of all dictionaries in what is left of the container. */
static bool keys_are_unique(sd_bus_message *message)
{
	const char *contents, *keys[128];
	bool unique = true;
	size_t n = 0;
	char type;

	while (sd_bus_message_peek_type(message, &type, &contents) > 0) {
		if (!strchr("aev", type)) {
			CHECK(sd_bus_message_skip(message, (char[]){ type, '\0' }) >= 0);
			continue;
		}
		CHECK(sd_bus_message_enter_container(message, type, contents) >= 0);
		if (type == 'e') {
			CHECK(n < ARRAY_SIZE(keys));
			CHECK(sd_bus_message_read_basic(message, 's', &keys[n]) > 0);
			for (size_t i = 0; i < n; i++)
				unique = unique && !streq(keys[i], keys[n]);
			n++;
		}
		unique = keys_are_unique(message) && unique;
		CHECK(sd_bus_message_exit_container(message) >= 0);
	}

	return unique;
}

struct answer {
	bool done;
	char error[128];
	char text[256];
	json_t *value;
};

static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *error = sd_bus_message_get_error(message);
	struct answer *answer = userdata;

	(void)ret_error;
	answer->done = true;
	if (error) {
		snprintf(answer->error, sizeof(answer->error), "%s", error->name);
		snprintf(answer->text, sizeof(answer->text), "%s", error->message);
	} else {
		CHECK(keys_are_unique(message));
		CHECK(sd_bus_message_rewind(message, 1) >= 0);
		CHECK_EQ(reply_to_json(message, &answer->value), 0);
	}

	return 0;
}

/* @what and @knob may be NULL. */
static void send_call(sd_bus *client, const char *method, const char *what,
		      const char *knob, uint64_t value, struct answer *answer)
{
	sd_bus_message *call = NULL;

	CHECK_EQ(sd_bus_message_new_method_call(client, &call, BUS_NAME, BUS_PATH,
						BUS_INTERFACE, method),
		 0);
	if (what)
		CHECK(sd_bus_message_append_basic(call, 's', what) >= 0);
	if (knob) {
		CHECK(sd_bus_message_append_basic(call, 's', knob) >= 0);
		CHECK(sd_bus_message_append_basic(call, 't', &value) >= 0);
	}
	CHECK(sd_bus_call_async(client, NULL, call, on_answer, answer, 0) >= 0);
	sd_bus_message_unref(call);
}

_unused_ static struct answer ask(const char *method, const char *what)
{
	struct answer answer = { 0 };
	sd_bus *client = client_new(true);

	send_call(client, method, what, NULL, 0, &answer);
	CHECK(turn_until(&answer.done));
	client_free(client);
	return answer;
}

_unused_ static const json_t *row(const struct answer *answer, size_t i)
{
	return json_array_get(answer->value, i);
}
