/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/bus-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/owner.h"
#include "agent/report/bus-names.h"

/* Also keeps an accept() that cannot succeed (no descriptors left) from spinning. */
#define ACCEPTS_PER_SEC 200

/* Each client is alone on its connection. */
#define CLIENT_NAME ":1.1"

struct client {
	LIST_ENTRY(client) list;
	struct bus_private *private;
	sd_bus *connection;
	sd_event_source *auth_timer;
	sd_event_source *arrival;
	uint64_t n_arrived; /* bytes since the last whole message, some counted twice */
	uid_t uid;
};

struct bus_private {
	sd_event *event;
	sd_event_source *listener;
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "" when activated */
	ino_t inode;
	bus_private_attach_t attach;
	bus_private_contained_t is_contained;
	void *userdata;
	LIST_HEAD(, client) clients;
};

bool bus_private_is_privileged(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;

	LIST_REMOVE(client, list);
	sd_event_source_disable_unref(client->auth_timer);
	sd_event_source_disable_unref(client->arrival);
	if (client->connection) {
		sd_bus_detach_event(client->connection);
		/* Replies under way hold a reference: closed they lead nowhere. */
		sd_bus_close_unref(client->connection);
	}
	free(client);
	return NULL;
}

static void client_freep(struct client **client)
{
	*client = client_free(*client);
}

static int on_disconnected(sd_bus_message *message, void *userdata,
			   sd_bus_error *ret_error)
{
	(void)message;
	(void)ret_error;
	client_free(userdata);
	return 0;
}

static int on_auth_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	(void)usec;
	client->auth_timer = sd_event_source_disable_unref(client->auth_timer);
	if (sd_bus_is_ready(client->connection) <= 0) {
		log_debug("A control client of user %u did not authenticate: dropped",
			  (unsigned int)client->uid);
		client_free(client);
	}

	return 0;
}

static bool has_room(const struct bus_private *private, uid_t uid)
{
	unsigned int n = 0, n_others = 0, n_same = 0;
	const struct client *client;

	LIST_FOREACH(client, &private->clients, list)
	{
		n++;
		n_others += !bus_private_is_privileged(client->uid);
		n_same += owner_of(client->uid) == owner_of(uid);
	}

	if (n >= BUS_PRIVATE_MAX)
		return false;

	return bus_private_is_privileged(uid) ||
	       (n_others < BUS_PRIVATE_OTHERS_MAX && n_same < BUS_PRIVATE_PER_UID_MAX);
}

/* Takes @fd when it succeeds. */
static int client_start(struct client *client, int fd)
{
	sd_id128_t id;
	int r;

	r = sd_id128_randomize(&id);
	if (r >= 0)
		r = sd_bus_new(&client->connection);
	if (r < 0)
		return r;

	r = sd_bus_set_server(client->connection, 1, id);
	if (r >= 0)
		r = sd_bus_set_anonymous(client->connection, 0);
	if (r >= 0)
		r = sd_bus_negotiate_fds(client->connection, 0);
	if (r >= 0)
		r = sd_bus_negotiate_creds(client->connection, 0, _SD_BUS_CREDS_ALL);
	if (r >= 0)
		r = sd_bus_set_fd(client->connection, fd, fd);
	return r;
}

/* Tools such as busctl expect a bus daemon behind every socket, and greet it. */
static int on_hello(sd_bus_message *call, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
	int r;

	(void)userdata;
	(void)ret_error;
	r = sd_bus_message_new_method_return(call, &answer);
	if (r >= 0)
		r = sd_bus_message_append_basic(answer, 's', CLIENT_NAME);
	return r < 0 ? r : sd_bus_message_send(answer);
}

static const sd_bus_vtable hello_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Hello", NULL, "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

/* Its answers would fill our memory, those that sd-bus gives by itself too. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	struct client *client = userdata;
	const uint64_t n_max = bus_private_is_privileged(client->uid) ? BUS_PRIVATE_UNREAD_MAX
								      : BUS_PRIVATE_UNREAD_OTHERS_MAX;
	uint64_t n_unread = 0;

	(void)message;
	(void)ret_error;
	client->n_arrived = 0;
	if (sd_bus_get_n_queued_write(client->connection, &n_unread) < 0 || n_unread <= n_max)
		return 0;

	client_free(client);
	return 1;
}

/*
 * sd-bus takes messages of up to 128 MiB, and keeps what has come of one. What we are asked
 * is some hundred bytes long. Seen by each arrival, beside sd-bus: what it has not read yet
 * is counted again.
 */
static int on_arrival(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct client *client = userdata;
	int n = 0;

	(void)source;
	(void)revents;
	if (ioctl(fd, FIONREAD, &n) >= 0 && n > 0)
		client->n_arrived += (unsigned int)n;
	if (client->n_arrived <= BUS_PRIVATE_ARRIVED_MAX)
		return 0;

	log_debug("A control client of user %u sends a message without end: dropped",
		  (unsigned int)client->uid);
	client_free(client);
	return 0;
}

/* A descriptor of its own, as epoll knows each only once; by edges, which take no turns. */
static int watch_arrivals(struct client *client)
{
	_cleanup_(fd_closep) int fd = -1;
	int r;

	r = sd_bus_get_fd(client->connection);
	if (r < 0)
		return r;

	fd = fcntl(r, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;

	r = sd_event_add_io(client->private->event, &client->arrival, fd, EPOLLIN | EPOLLET,
			    on_arrival, client);
	if (r < 0)
		return r;

	(void)TAKE_FD(fd);
	return sd_event_source_set_io_fd_own(client->arrival, 1);
}

/* Each question may take as long as somebody has made his groups large, and comes again and again. */
static int priority_of(const struct client *client)
{
	return bus_private_is_privileged(client->uid) ? SD_EVENT_PRIORITY_NORMAL
						      : SD_EVENT_PRIORITY_IDLE;
}

static int client_connect(struct client *client)
{
	struct bus_private *private = client->private;
	int r;

	r = sd_bus_add_object_vtable(client->connection, NULL, "/org/freedesktop/DBus",
				     "org.freedesktop.DBus", hello_vtable, client);
	if (r < 0)
		return r;

	r = sd_bus_add_filter(client->connection, NULL, on_message, client);
	if (r < 0)
		return r;

	r = sd_bus_match_signal(client->connection, NULL, "org.freedesktop.DBus.Local",
				"/org/freedesktop/DBus/Local",
				"org.freedesktop.DBus.Local", "Disconnected",
				on_disconnected, client);
	if (r >= 0)
		r = private->attach(client->connection, private->userdata);
	if (r >= 0)
		r = sd_bus_start(client->connection);
	if (r >= 0)
		r = sd_bus_attach_event(client->connection, private->event,
					priority_of(client));
	if (r >= 0)
		r = sd_event_add_time_relative(private->event, &client->auth_timer,
					       CLOCK_MONOTONIC, BUS_PRIVATE_AUTH_USEC,
					       USEC_PER_SEC, on_auth_timeout, client);
	return r < 0 ? r : watch_arrivals(client);
}

static int client_new(struct bus_private *private, int fd, uid_t uid)
{
	_cleanup_(client_freep) struct client *client = NULL;
	_cleanup_(fd_closep) int ours = fd;
	int r;

	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;

	client->private = private;
	client->uid = uid;
	LIST_INSERT_HEAD(&private->clients, client, list);

	r = client_start(client, fd);
	if (r < 0)
		return r;

	(void)TAKE_FD(ours);
	r = client_connect(client);
	if (r < 0)
		return r;

	TAKE_PTR(client);
	return 0;
}

/* Who cannot be told for lack of something has no rights either. */
static bool has_ended(int fd)
{
	const int r = fd_peer_has_ended(fd);

	return r != 0 && r != -EOPNOTSUPP;
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents,
			 void *userdata)
{
	struct bus_private *private = userdata;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd, r;

	(void)source;
	(void)revents;

	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			log_debug("Cannot accept a control client: %m; ignoring");
		return 0;
	}

	r = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	/*
	 * Who has no number here is in a container beside ours, or outside of ours. Who is in one of
	 * ours could have another process connect and end, and wait until somebody else has its number.
	 */
	if (r == 0 && (peer.pid <= 0 || private->is_contained(peer.pid, private->userdata) ||
		       has_ended(fd)))
		peer.uid = BUS_PRIVATE_NOBODY;

	if (r < 0 || !has_room(private, peer.uid)) {
		log_debug("Too many control clients: closed one more");
		fd_close(fd);
		return 0;
	}

	r = client_new(private, fd, peer.uid);
	if (r < 0)
		log_debug("Cannot serve a control client: %s; ignoring", strerror(-r));

	return 0;
}

/* Complete before it can be seen: made under another name, then renamed. */
static int bind_at(int fd, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n;

	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s.%d", path,
		     (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;

	(void)unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;

	if (listen(fd, SOMAXCONN) < 0 || chmod(address.sun_path, 0666) < 0 ||
	    rename(address.sun_path, path) < 0) {
		const int r = -errno;

		(void)unlink(address.sun_path);
		return r;
	}

	return 0;
}

static int make_socket(struct bus_private *private, const char *runtime_directory)
{
	struct stat st;
	int n, r;

	n = snprintf(private->path, sizeof(private->path), "%s/%s", runtime_directory,
		     BUS_SOCKET);
	if (n < 0 || (size_t)n >= sizeof(private->path)) {
		private->path[0] = '\0';
		return -ENAMETOOLONG;
	}

	if (mkdir(runtime_directory, 0755) < 0 && errno != EEXIST)
		return -errno;

	private->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (private->fd < 0)
		return -errno;

	r = bind_at(private->fd, private->path);
	if (r < 0)
		return r;

	if (stat(private->path, &st) >= 0)
	private->inode = st.st_ino;

	return 0;
}

static void remove_socket(const struct bus_private *private)
{
	struct stat st;

	/* A successor may have put its own there already. */
	if (private->path[0] != '\0' && private->inode != 0 &&
	    stat(private->path, &st) >= 0 && st.st_ino == private->inode)
		(void)unlink(private->path);
}

int bus_private_new(sd_event *event, int activated_fd, const char *runtime_directory,
		    bus_private_attach_t attach, bus_private_contained_t is_contained,
		    void *userdata, struct bus_private **ret)
{
	_cleanup_(bus_private_freep) struct bus_private *private = NULL;
	int r;

	private = calloc(1, sizeof(*private));
	if (!private)
		return -ENOMEM;

	private->event = sd_event_ref(event);
	private->fd = -1;
	private->attach = attach;
	private->is_contained = is_contained;
	private->userdata = userdata;
	LIST_INIT(&private->clients);

	if (activated_fd < 0) {
		r = make_socket(private, runtime_directory);
		if (r < 0)
			return r;
	}

	r = sd_event_add_io(event, &private->listener,
			    activated_fd >= 0 ? activated_fd : private->fd, EPOLLIN,
			    on_connection, private);
	if (r >= 0)
		r = sd_event_source_set_ratelimit(private->listener, USEC_PER_SEC,
						  ACCEPTS_PER_SEC);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(private->listener, "control-socket");
	/* Not ours until we succeed: on error the caller still closes it. */
	if (activated_fd >= 0)
	private->fd = activated_fd;

	*ret = TAKE_PTR(private);
	return 0;
}

struct bus_private *bus_private_free(struct bus_private *private)
{
	struct client *client;

	if (!private)
		return NULL;

	while ((client = LIST_FIRST(&private->clients)))
		client_free(client);

	sd_event_source_disable_unref(private->listener);
	remove_socket(private);
	fd_close(private->fd);
	sd_event_unref(private->event);
	free(private);
	return NULL;
}

void bus_private_freep(struct bus_private **private)
{
	*private = bus_private_free(*private);
}

static struct client *client_find(const struct bus_private *private,
				  const sd_bus *connection)
{
	struct client *client;

	LIST_FOREACH(client, &private->clients, list)
	if (client->connection == connection)
		return client;

	return NULL;
}

int bus_private_uid(const struct bus_private *private, const sd_bus *connection,
		    uid_t *ret_uid)
{
	const struct client *client = client_find(private, connection);

	if (!client)
		return -ENOENT;

	*ret_uid = client->uid;
	return 0;
}

void bus_private_each(const struct bus_private *private,
		      void (*f)(sd_bus *connection, uid_t uid, void *userdata),
		      void *userdata)
{
	const struct client *client;

	LIST_FOREACH(client, &private->clients, list)
	f(client->connection, client->uid, userdata);
}
