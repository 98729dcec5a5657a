/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A listener in a scratch directory of its own, and clients that knock. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/hook/listener.h"
#include "tests/unit/test.h"

struct door {
	char base[64];      /* a scratch directory */
	char directory[80]; /* below it, made by the listener */
	char path[96];
	sd_event *event;
	struct listener *listener;
	int n_accepted;
	int n_refused;
	int error; /* of the last one that was */
	bool keep; /* accepted descriptors open */
	int fd;    /* the last one */
	pid_t pid;
	uid_t uid;
};

static inline void door_on_accept(int fd, pid_t pid, uid_t uid, void *userdata)
{
	struct door *door = userdata;

	door->n_accepted++;
	door->pid = pid;
	door->uid = uid;
	if (door->fd >= 0)
		close(door->fd);
	door->fd = door->keep ? fd : -1;
	if (!door->keep)
		close(fd);
}

static inline void door_on_refuse(int error, pid_t pid, uid_t uid, void *userdata)
{
	struct door *door = userdata;

	(void)pid;
	(void)uid;
	door->n_refused++;
	door->error = error;
}

static inline void door_init(struct door *door)
{
	*door = (struct door){ .base = "/tmp/test-listener.XXXXXX", .fd = -1 };

	/* Everybody may come: some clients of these tests are nobody. */
	if (!mkdtemp(door->base) || chmod(door->base, 0755) < 0 ||
	    sd_event_new(&door->event) < 0) {
		perror("door");
		exit(1);
	}

	snprintf(door->directory, sizeof(door->directory), "%s/run", door->base);
	snprintf(door->path, sizeof(door->path), "%s/hook.sock", door->directory);
}

static inline int door_listen(struct door *door, struct listener **ret)
{
	return listener_new(door->event, -1, door->directory, door_on_accept, door, ret);
}

static inline void door_open(struct door *door)
{
	door_init(door);
	CHECK_EQ(door_listen(door, &door->listener), 0);
	listener_set_refuse(door->listener, door_on_refuse);
}

static inline void door_done(struct door *door)
{
	char lock[96];

	listener_free(door->listener);
	if (door->fd >= 0)
		close(door->fd);
	sd_event_unref(door->event);
	snprintf(lock, sizeof(lock), "%s/lock", door->directory);
	(void)unlink(lock);
	(void)unlink(door->path);
	(void)rmdir(door->directory);
	(void)rmdir(door->base);
}

static inline void door_settle(struct door *door)
{
	int n = 0;

	while (sd_event_run(door->event, 0) > 0 && n < 100000)
		n++;
	CHECK(n < 100000);
}

static inline int door_client(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, &address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}

	return fd;
}

/* Connects and is let in, or not; closed again either way. */
static inline int door_visit(struct door *door)
{
	const int n_accepted = door->n_accepted;
	int fd = door_client(door->path);

	CHECK(fd >= 0);
	door_settle(door);
	close(fd);
	return door->n_accepted - n_accepted;
}

/* Is the end of file there, and nothing else? */
static inline bool door_was_dropped(int fd)
{
	return recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT) == 0;
}
