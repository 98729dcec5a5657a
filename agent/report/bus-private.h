/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The control socket RUNTIME/bus: a bus connection per client, without a bus daemon. Who
 * a client is, is what the kernel says about its socket, never what it says itself.
 *
 * Limits: BUS_PRIVATE_MAX clients, of whom BUS_PRIVATE_OTHERS_MAX (and of one user
 * BUS_PRIVATE_PER_UID_MAX, see basic/owner.h) may be neither root nor the daemon's own user: more
 * are closed at once. Who has not said who he is within BUS_PRIVATE_AUTH_USEC is dropped, and so is
 * who asks and asks and leaves more than BUS_PRIVATE_UNREAD_MAX messages unread (of other
 * users BUS_PRIVATE_UNREAD_OTHERS_MAX), and who sends more than some
 * BUS_PRIVATE_ARRIVED_MAX bytes that are no whole message.
 */

#include <sys/types.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/basic/macro.h"

#define BUS_PRIVATE_MAX 64
#define BUS_PRIVATE_OTHERS_MAX 48
#define BUS_PRIVATE_PER_UID_MAX 16
#define BUS_PRIVATE_UNREAD_MAX 16
#define BUS_PRIVATE_UNREAD_OTHERS_MAX 2
#define BUS_PRIVATE_ARRIVED_MAX (512 * KIB)
#define BUS_PRIVATE_AUTH_USEC (10 * USEC_PER_SEC)

struct bus_private;

/* A new connection: add objects to it. Negative refuses it. */
typedef int (*bus_private_attach_t)(sd_bus *connection, void *userdata);

/*
 * Is the process in a container? Its root has the number of the host's where there is no user
 * namespace, but what one may the other may not: in here it is BUS_PRIVATE_NOBODY.
 */
typedef bool (*bus_private_contained_t)(pid_t pid, void *userdata);

/* No process has it. */
#define BUS_PRIVATE_NOBODY ((uid_t)-1)

/* @activated_fd, @runtime_directory: as for bus_new(). Takes @activated_fd on success. */
int bus_private_new(sd_event *event, int activated_fd, const char *runtime_directory,
		    bus_private_attach_t attach, bus_private_contained_t is_contained,
		    void *userdata, struct bus_private **ret);
struct bus_private *bus_private_free(struct bus_private *private);
void bus_private_freep(struct bus_private **private);

/* The peer's user; -ENOENT: not a connection of ours. */
int bus_private_uid(const struct bus_private *private, const sd_bus *connection,
		    uid_t *ret_uid);

void bus_private_each(const struct bus_private *private,
		      void (*f)(sd_bus *connection, uid_t uid, void *userdata),
		      void *userdata);

/* Root and the daemon's own user. */
bool bus_private_is_privileged(uid_t uid);
