/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* core/bell: both epolls are served, and a rope may go at any time. */

#include "agent/core/bell.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "tests/unit/test.h"

struct world {
	sd_event *event;
	struct bell bell;
};

struct ringer {
	struct rope rope;
	int fd;
	unsigned int n_rings;
	uint32_t revents;
	struct world *world;
	struct ringer *ends; /* by its ring */
};

static void end(struct ringer *ringer)
{
	bell_unwatch(&ringer->world->bell, ringer->fd);
	close(ringer->fd);
	ringer->fd = -1;
}

static void on_ring(struct rope *rope, uint32_t revents)
{
	struct ringer *ringer = container_of(rope, struct ringer, rope);

	ringer->n_rings++;
	ringer->revents = revents;
	if (ringer->ends)
		end(ringer->ends);
}

static void on_other(struct rope *rope, uint32_t revents)
{
	(void)rope;
	(void)revents;
	CHECK(!"the ring of another rope");
}

static const bell_ring_t rings[] = { on_other, on_ring };

static struct world world_new(void)
{
	struct world world = { 0 };

	CHECK(sd_event_new(&world.event) >= 0);
	CHECK_EQ(bell_open(&world.bell, world.event, rings), 0);
	return world;
}

static void world_end(struct world *world)
{
	bell_close(&world->bell);
	sd_event_unref(world->event);
}

static struct ringer ringer_new(struct world *world)
{
	return (struct ringer){
		.rope = { .ring = 1 },
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.world = world,
	};
}

static void pull(const struct ringer *ringer)
{
	CHECK_EQ(eventfd_write(ringer->fd, 1), 0);
}

/* All that is ready now. */
static void settle(struct world *world)
{
	for (int i = 0; i < 8; i++)
		CHECK_EQ(bell_turn(&world->bell, 0), 0);
}

static void test_a_rope_rings(void)
{
	struct world world = world_new();
	struct ringer ringer = ringer_new(&world), other = ringer_new(&world);

	CHECK_EQ(bell_watch(&world.bell, ringer.fd, EPOLLIN, &ringer.rope), 0);
	CHECK_EQ(bell_watch(&world.bell, other.fd, EPOLLIN, &other.rope), 0);
	settle(&world);
	CHECK_EQ(ringer.n_rings, 0);
	pull(&ringer);
	CHECK_EQ(bell_turn(&world.bell, -1), 0);
	CHECK_EQ(ringer.n_rings, 1);
	CHECK_EQ(ringer.revents, EPOLLIN);
	CHECK_EQ(other.n_rings, 0);
	end(&ringer);
	end(&other);
	world_end(&world);
}

static void test_once_is_once_until_again(void)
{
	struct world world = world_new();
	struct ringer ringer = ringer_new(&world);

	CHECK_EQ(bell_watch(&world.bell, ringer.fd, EPOLLIN | EPOLLONESHOT, &ringer.rope), 0);
	pull(&ringer);
	settle(&world);
	CHECK_EQ(ringer.n_rings, 1);
	/* What is ready still when it is waited for again is not lost. */
	CHECK_EQ(bell_again(&world.bell, ringer.fd, EPOLLIN | EPOLLONESHOT, &ringer.rope), 0);
	settle(&world);
	CHECK_EQ(ringer.n_rings, 2);
	end(&ringer);
	world_end(&world);
}

static void test_a_ring_ends_itself_and_others(void)
{
	struct world world = world_new();
	struct ringer a = ringer_new(&world), b = ringer_new(&world);

	a.ends = &b;
	b.ends = &a;
	CHECK_EQ(bell_watch(&world.bell, a.fd, EPOLLIN, &a.rope), 0);
	CHECK_EQ(bell_watch(&world.bell, b.fd, EPOLLIN, &b.rope), 0);
	pull(&a);
	pull(&b);
	CHECK_EQ(bell_turn(&world.bell, -1), 0);
	CHECK_EQ(a.n_rings + b.n_rings, 1);
	/* One of them rang, and so the other one is no more. */
	a.ends = &a;
	b.ends = &b;
	settle(&world);
	CHECK((a.n_rings == 0) != (b.n_rings == 0));
	CHECK(a.fd < 0 && b.fd < 0);
	world_end(&world);
}

static int on_defer(sd_event_source *source, void *userdata)
{
	unsigned int *n = userdata;

	(void)source;
	++*n;
	return 0;
}

static void test_neither_waits_for_the_other(void)
{
	struct world world = world_new();
	struct ringer ringer = ringer_new(&world);
	sd_event_source *source = NULL;
	unsigned int n_deferred = 0;

	/* Both are ready at each turn. */
	CHECK(sd_event_add_defer(world.event, &source, on_defer, &n_deferred) >= 0);
	CHECK(sd_event_source_set_enabled(source, SD_EVENT_ON) >= 0);
	CHECK_EQ(bell_watch(&world.bell, ringer.fd, EPOLLIN, &ringer.rope), 0);
	pull(&ringer);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(bell_turn(&world.bell, -1), 0);
	CHECK(n_deferred >= 40);
	CHECK(ringer.n_rings >= 40);
	sd_event_source_disable_unref(source);
	end(&ringer);
	world_end(&world);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)usec;
	return sd_event_exit(sd_event_source_get_event(source), *(int *)userdata);
}

static void test_the_loop_ends_with_the_code(void)
{
	struct world world = world_new();
	struct ringer ringer = ringer_new(&world);
	int code = 7;

	CHECK_EQ(bell_watch(&world.bell, ringer.fd, EPOLLIN, &ringer.rope), 0);
	/* A timer alone wakes it, by sd-event's own epoll. */
	CHECK(sd_event_add_time_relative(world.event, NULL, CLOCK_MONOTONIC, 1000, 1, on_time,
					 &code) >= 0);
	CHECK_EQ(bell_loop(&world.bell), 7);
	end(&ringer);
	world_end(&world);
}

static void test_what_cannot_be_watched(void)
{
	struct world world = world_new();
	struct rope rope = { .ring = 1 };

	CHECK_EQ(bell_watch(&world.bell, -1, EPOLLIN, &rope), -EBADF);
	bell_unwatch(&world.bell, -1);
	world_end(&world);

	/* Never opened, or closed already. */
	bell_close(&(struct bell){ 0 });
	bell_close(&world.bell);
}

int main(void)
{
	RUN(test_a_rope_rings);
	RUN(test_once_is_once_until_again);
	RUN(test_a_ring_ends_itself_and_others);
	RUN(test_neither_waits_for_the_other);
	RUN(test_the_loop_ends_with_the_code);
	RUN(test_what_cannot_be_watched);

	return TEST_RESULT();
}
