/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the bus share: the object, and its answers under way. */

#include <sys/queue.h>

#include "agent/report/bus.h"
#include "agent/report/bus-private.h"
#include "agent/report/bus-system.h"
#include "agent/report/dict.h"

struct bus_reply {
	LIST_ENTRY(bus_reply) list;
	struct bus *bus;
	sd_bus_message *call;
	sd_bus_message *answer;
	struct dict dict;
	bool is_rows;
	uid_t uid; /* of the caller */
};

struct question;

/* Values of properties, as last told to those who listen for changes. */
struct bus_told {
	enum mode mode;
	size_t n_groups;
	size_t n_members;
	char config_state[256];
};

struct bus {
	sd_event *event;
	const struct bus_handler *handler;
	void *userdata;
	struct bus_private *private;
	struct bus_system *system;
	LIST_HEAD(, bus_reply) replies;
	LIST_HEAD(, question) questions;
	sd_event_source *changed;
	struct bus_told told;
};

/* CLOCK_MONOTONIC as of this turn of the loop. */
uint64_t bus_now(const struct bus *bus);
