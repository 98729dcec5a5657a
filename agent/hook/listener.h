/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The door for hooks: RUNTIME/hook.sock, SOCK_SEQPACKET, by socket activation or our own.
 * Tells the caller who connected according to the kernel. Quotas: LISTENER_PER_UID_MAX
 * connections per user (root excepted; see basic/owner.h) and LISTENER_MAX altogether; more
 * are closed at once.
 */

#include <systemd/sd-event.h>
#include <sys/types.h>

#define LISTENER_MAX 8192
#define LISTENER_PER_UID_MAX 2048

struct listener;

/*
 * @fd is the callee's from now on, and counts until listener_release(). The listener may
 * not be freed from here.
 */
typedef void (*listener_accept_t)(int fd, pid_t pid, uid_t uid, void *userdata);

/*
 * @activated_fd: a listening socket from the service manager, ours on success
 * (-EPROTOTYPE: not such a socket), or -1 to make our own in @runtime_directory (created,
 * mode 0755, if missing; the socket gets mode 0666: every user's programs may be guarded,
 * and what a peer may do is decided by its credentials). Making our own takes a lock on
 * RUNTIME/lock for as long as the listener lives: -EADDRINUSE when another daemon holds
 * it. A stale socket file is replaced. -ENAMETOOLONG: the path does not fit a socket
 * address.
 */
int listener_new(sd_event *event, int activated_fd, const char *runtime_directory,
		 listener_accept_t on_accept, void *userdata, struct listener **ret);
/* Removes the socket file if it made it. Connections live on. */
struct listener *listener_free(struct listener *listener);
void listener_freep(struct listener **listener);

/*
 * Somebody was sent away: -EDQUOT, -EUSERS (the two quotas, in that order), -ENOMEM; -EREMOTE:
 * it has no number in our pid namespace, and @pid is 0.
 */
typedef void (*listener_refuse_t)(int error, pid_t pid, uid_t uid, void *userdata);
void listener_set_refuse(struct listener *listener, listener_refuse_t on_refuse);

/* A connection of @uid has ended: gives its quota back. */
void listener_release(struct listener *listener, uid_t uid);
