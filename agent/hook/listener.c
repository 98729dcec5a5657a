/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The socket hooks connect to, who may still come in, and how many of each user are in.
 */

#include "agent/hook/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/owner.h"

#define LOCK_NAME "lock"
#define SOCKET_NAME "hook.sock"
/* Not longer than SOCKET_NAME, so that one check of the length does for both. */
#define NEW_NAME "hook.new"

/* Others have their turn in between. */
#define ACCEPTS_PER_WAKEUP 32

/* Without descriptors the socket stays readable: wait for some to be given back. */
#define PAUSE_USEC (1 * USEC_PER_SEC)

struct tally {
	uid_t owner;
	unsigned int n;
};

struct listener {
	int fd;
	int directory_fd; /* of a socket of our own; -1 */
	int lock_fd;      /* of a socket of our own; -1 */
	bool made;        /* SOCKET_NAME is ours to remove */
	bool pausing;     /* has been told; ends with the next accept that works */
	sd_event_source *io;
	sd_event_source *timer;
	listener_accept_t on_accept;
	listener_refuse_t on_refuse; /* or NULL */
	void *userdata;
	unsigned int n;        /* connections, of all users */
	struct tally *tallies; /* of users that have any */
	size_t n_tallies;
	size_t n_tallies_max;
};

/* NULL: this user has no connection, and @add was not asked or there is no memory. */
static struct tally *find_tally(struct listener *listener, uid_t uid, bool add)
{
	const uid_t owner = owner_of(uid);
	struct tally *tallies;

	for (size_t i = 0; i < listener->n_tallies; i++)
		if (listener->tallies[i].owner == owner)
			return &listener->tallies[i];

	if (!add)
		return NULL;

	if (listener->n_tallies == listener->n_tallies_max) {
		const size_t n_max = listener->n_tallies_max * 2 + 8;

		tallies = reallocarray(listener->tallies, n_max, sizeof(*tallies));
		if (!tallies)
			return NULL;
		listener->tallies = tallies;
		listener->n_tallies_max = n_max;
	}

	listener->tallies[listener->n_tallies] = (struct tally){ .owner = owner };
	return &listener->tallies[listener->n_tallies++];
}

static int listener_admit(struct listener *listener, uid_t uid)
{
	struct tally *tally;

	if (listener->n >= LISTENER_MAX)
		return -EUSERS;

	tally = find_tally(listener, uid, true);
	if (!tally)
		return -ENOMEM;
	if (uid != 0 && tally->n >= LISTENER_PER_UID_MAX)
		return -EDQUOT;

	tally->n++;
	listener->n++;
	return 0;
}

void listener_release(struct listener *listener, uid_t uid)
{
	struct tally *tally = find_tally(listener, uid, false);

	assert(tally && tally->n > 0);

	listener->n--;
	if (--tally->n == 0)
		*tally = listener->tallies[--listener->n_tallies];
}

/* Takes @fd. */
static void listener_welcome(struct listener *listener, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		log_debug("Cannot tell who connected: %s; dropping it", strerror(errno));
		fd_close(fd);
		return;
	}

	/* Processes of a pid namespace that is not below ours have no number here. */
	r = peer.pid > 0 ? listener_admit(listener, peer.uid) : -EREMOTE;
	if (r < 0) {
		fd_close(fd);
		if (listener->on_refuse)
			listener->on_refuse(r, peer.pid, peer.uid, listener->userdata);
		return;
	}

	listener->on_accept(fd, peer.pid, peer.uid, listener->userdata);
}

void listener_set_refuse(struct listener *listener, listener_refuse_t on_refuse)
{
	listener->on_refuse = on_refuse;
}

static void listener_pause(struct listener *listener, int error)
{
	if (!listener->pausing)
		log_debug("Cannot accept connections of hooks: %s; trying again in a "
			  "second",
			  strerror(error));

	listener->pausing = true;
	if (sd_event_source_set_time_relative(listener->timer, PAUSE_USEC) < 0 ||
	    sd_event_source_set_enabled(listener->timer, SD_EVENT_ONESHOT) < 0)
		return;

	(void)sd_event_source_set_enabled(listener->io, SD_EVENT_OFF);
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct listener *listener = userdata;

	(void)source;
	(void)usec;

	(void)sd_event_source_set_enabled(listener->io, SD_EVENT_ON);
	return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents,
			 void *userdata)
{
	struct listener *listener = userdata;

	(void)source;
	(void)revents;

	for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
		const int new_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (new_fd >= 0) {
			listener->pausing = false;
			listener_welcome(listener, new_fd);
			continue;
		}

		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN)
			listener_pause(listener, errno);
		break;
	}

	return 0;
}

/* The last component only: a missing parent is a mistake in the path. */
static int open_directory(const char *path, int *ret_fd)
{
	const bool made = mkdir(path, 0755) == 0;
	_cleanup_(fd_closep) int fd = -1;

	if (!made && errno != EEXIST)
		return -errno;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	/* Whatever the umask is, every user's programs have to get through. */
	if (made && fchmod(fd, 0755) < 0)
		return -errno;

	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int take_lock(int directory_fd, int *ret_fd)
{
	_cleanup_(fd_closep) int fd = -1;

	fd = openat(directory_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;

	*ret_fd = TAKE_FD(fd);
	return 0;
}

/*
 * Under another name first and then renamed over what is there: at no moment is there no
 * socket, or one that refuses connections. Only while holding the lock.
 */
static int bind_socket(int fd, const char *directory, int directory_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/" NEW_NAME, directory);
	if (unlinkat(directory_fd, NEW_NAME, 0) < 0 && errno != ENOENT)
		return -errno;

	if (bind(fd, &address, sizeof(address)) < 0)
		return -errno;

	if (fchmodat(directory_fd, NEW_NAME, 0666, 0) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    renameat(directory_fd, NEW_NAME, directory_fd, SOCKET_NAME) < 0) {
		const int r = -errno;

		(void)unlinkat(directory_fd, NEW_NAME, 0);
		return r;
	}

	return 0;
}

static int make_socket(struct listener *listener, const char *directory)
{
	int r;

	if (strlen(directory) + sizeof("/" SOCKET_NAME) >
	    sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return -ENAMETOOLONG;

	r = open_directory(directory, &listener->directory_fd);
	if (r < 0)
		return r;

	r = take_lock(listener->directory_fd, &listener->lock_fd);
	if (r < 0)
		return r;

	listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		return -errno;

	r = bind_socket(listener->fd, directory, listener->directory_fd);
	if (r < 0)
		return r;

	listener->made = true;
	return 0;
}

static int socket_option(int fd, int option)
{
	socklen_t size = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -errno : value;
}

/* A unit file may name any kind of socket. */
static int check_socket(int fd)
{
	const int domain = socket_option(fd, SO_DOMAIN);
	int flags;

	if (domain < 0)
		return domain;
	if (domain != AF_UNIX || socket_option(fd, SO_TYPE) != SOCK_SEQPACKET ||
	    socket_option(fd, SO_ACCEPTCONN) != 1)
		return -EPROTOTYPE;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;

	return 0;
}

static int listener_watch(struct listener *listener, sd_event *event, int fd)
{
	int r;

	r = sd_event_add_io(event, &listener->io, fd, EPOLLIN, on_connection, listener);
	if (r < 0)
		return r;

	r = sd_event_add_time(event, &listener->timer, CLOCK_MONOTONIC, 0, 0, on_resume,
			      listener);
	if (r < 0)
		return r;

	return sd_event_source_set_enabled(listener->timer, SD_EVENT_OFF);
}

int listener_new(sd_event *event, int activated_fd, const char *runtime_directory,
		 listener_accept_t on_accept, void *userdata, struct listener **ret)
{
	_cleanup_(listener_freep) struct listener *listener = NULL;
	int r;

	assert(event && on_accept && ret);
	assert(activated_fd >= 0 || runtime_directory);

	listener = malloc(sizeof(*listener));
	if (!listener)
		return -ENOMEM;

	*listener = (struct listener){
		.fd = -1,
		.directory_fd = -1,
		.lock_fd = -1,
		.on_accept = on_accept,
		.userdata = userdata,
	};

	r = activated_fd >= 0 ? check_socket(activated_fd)
			      : make_socket(listener, runtime_directory);
	if (r < 0)
		return r;

	r = listener_watch(listener, event,
			   activated_fd >= 0 ? activated_fd : listener->fd);
	if (r < 0)
		return r;

	/* Not ours until we succeed: on error the caller still has it. */
	if (activated_fd >= 0)
		listener->fd = activated_fd;

	*ret = TAKE_PTR(listener);
	return 0;
}

struct listener *listener_free(struct listener *listener)
{
	if (!listener)
		return NULL;

	sd_event_source_disable_unref(listener->io);
	sd_event_source_disable_unref(listener->timer);

	/* The lock file stays: removing it would let two daemons hold two locks. */
	if (listener->made)
		(void)unlinkat(listener->directory_fd, SOCKET_NAME, 0);

	fd_close(listener->fd);
	fd_close(listener->directory_fd);
	fd_close(listener->lock_fd);
	free(listener->tallies);
	free(listener);
	return NULL;
}

void listener_freep(struct listener **listener)
{
	*listener = listener_free(*listener);
}
