/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/basic/clock.h"
#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/name.h"
#include "agent/basic/parse.h"
#include "agent/basic/runtime.h"
#include "agent/ctl/alone.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/reply.h"
#include "agent/ctl/service.h"
#include "agent/ctl/systemd.h"
#include "agent/report/bus-names.h"

/* Where a user's own daemon is not, the system's may be. */
#define SYSTEM_SOCKET RUNTIME_SYSTEM "/" BUS_SOCKET

/* A round asks its members one after the other, and each may take its time. */
#define CALL_TIMEOUT_USEC (300 * USEC_PER_SEC)

/* What the daemon answers in its turn. One that hangs, or fails at each start, is to be told of. */
#define ANSWER_TIMEOUT_USEC (20 * USEC_PER_SEC)

static int connect_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(fd_closep) int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;

	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;

	return TAKE_FD(fd);
}

static int open_private(const char *path, sd_bus **ret)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	int fd, r;

	fd = connect_socket(path);
	if (fd < 0)
		return fd;

	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_fd(bus, fd, fd);
	if (r < 0) {
		fd_close(fd);
		return r;
	}

	r = sd_bus_start(bus);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(bus);
	return 0;
}

static int open_system(sd_bus **ret)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	sd_bus_creds *owner = NULL;
	int r;

	r = sd_bus_open_system(&bus);
	if (r < 0)
		return -ENOTCONN;

	r = sd_bus_get_name_creds(bus, BUS_NAME, 0, &owner);
	sd_bus_creds_unref(owner);
	if (r < 0)
		return -ENOTCONN;

	*ret = TAKE_PTR(bus);
	return 0;
}

static bool is_absent(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR;
}

static int tell_connect(const struct ctl *ctl, int r, const char *path)
{
	const char *command = systemd_command(ctl->user);

	if (is_absent(r) || r == -ENOTCONN) {
		log_error("memguardd is not running (%s at %s): start it with "
			  "\"%s start memguard\", or name its --runtime-directory=",
			  r == -ECONNREFUSED ? "nobody listens" : "no socket", path, command);
		return CLIENT_NOT_RUNNING;
	}

	if (r == -EAGAIN)
		log_error("memguardd at %s does not take connections: see \"%s status memguard\"",
			  path, command);
	else if (r == -EACCES)
		log_error("Cannot connect to %s: %s; try as root", path, strerror(-r));
	else
		log_error("Cannot connect to %s: %s; check --runtime-directory=", path,
			  strerror(-r));
	return r;
}

/* What polkit may allow to others than root, and polkit is asked on the system bus only. */
static bool wants_polkit(const char *method)
{
	static const char *const methods[] = { "Trim", "TrimWith", "Tune", "Reload" };

	for (size_t i = 0; geteuid() != 0 && i < ARRAY_SIZE(methods); i++)
		if (streq(method, methods[i]))
			return true;

	return false;
}

/* The daemon of the system, by its socket or else by the bus; or the other way round. */
static int open_system_daemon(struct ctl *ctl, bool polkit)
{
	int r;

	if (polkit && open_system(&ctl->bus) >= 0)
		return 0;

	r = open_private(SYSTEM_SOCKET, &ctl->bus);
	return is_absent(r) && !polkit ? open_system(&ctl->bus) : r;
}

/* A directory that was named is meant; only the usual place has substitutes. */
static int open_bus(struct ctl *ctl, bool polkit)
{
	char usual[RUNTIME_DIRECTORY_MAX],
		path[RUNTIME_DIRECTORY_MAX + sizeof("/" BUS_SOCKET)];
	const char *directory = ctl->runtime_directory;
	bool named;
	int r;

	runtime_directory_default(usual);
	named = directory && (ctl->user || !streq(directory, usual));
	r = snprintf(path, sizeof(path), "%s/%s", directory ? directory : usual,
		     BUS_SOCKET);
	if (r < 0 || (size_t)r >= sizeof(path))
		return tell_connect(ctl, -ENAMETOOLONG, directory ? directory : usual);

	r = -ENOENT;
	if (named || !streq(path, SYSTEM_SOCKET))
		r = open_private(path, &ctl->bus);
	if (is_absent(r) && !named)
		r = open_system_daemon(ctl, polkit);

	return r < 0 ? tell_connect(ctl, r, path) : 0;
}

/* sd-bus makes errors of its own when the connection ends. */
static bool is_lost(int r, const sd_bus_error *error)
{
	return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ESTALE ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED);
}

/* Neither a path nor a pid, nor a number that is none. */
static bool is_unit(const char *what)
{
	int pid;

	return what && what[0] != '\0' && what[0] != '/' && parse_pid(what, &pid) < 0 &&
	       what[strspn(what, "0123456789")] != '\0';
}

/* It is not there any more, but the daemon remembers rounds of it. */
static bool was_guarded(const struct ctl *ctl, const char *what)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
	json_t *rounds = NULL;
	bool was;

	if (sd_bus_call_method(ctl->bus, BUS_NAME, BUS_PATH, BUS_INTERFACE, "ListRounds", NULL,
			       &answer, "s", what) < 0)
		return false;

	was = reply_to_json(answer, &rounds) >= 0 && json_array_size(rounds) > 0;
	json_decref(rounds);
	return was;
}

char *client_verify(const struct ctl *ctl, char buf[static CLIENT_VERIFY_MAX])
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
	json_t *status = NULL;
	const char *file = "";

	if (sd_bus_call_method(ctl->bus, BUS_NAME, BUS_PATH, BUS_INTERFACE, "GetStatus", NULL,
			       &answer, "") >= 0 &&
	    reply_to_json(answer, &status) >= 0)
		file = fields_string(status, "config_file");

	snprintf(buf, CLIENT_VERIFY_MAX, "memguardctl%s verify%s%s", ctl_user(ctl),
		 file[0] != '\0' ? " " : "", file);
	json_decref(status);
	return buf;
}

/* All that is wrong with the files, a line each; the last one with what to do. */
static void tell_mistakes(const struct ctl *ctl, const char *lines)
{
	char verify[CLIENT_VERIFY_MAX];

	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1)
		log_error("%.*s", (int)(end - lines), lines);

	log_error("%s; the settings in force stay: mend that, check with \"%s\", and reload again",
		  lines, client_verify(ctl, verify));
}

/* Who is not root is told of his own processes only, and there are others. */
static bool hides_others(const struct ctl *ctl)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL, *own = NULL;
	json_t *status = NULL, *members = NULL;
	bool hides;

	if (geteuid() == 0 ||
	    sd_bus_call_method(ctl->bus, BUS_NAME, BUS_PATH, BUS_INTERFACE, "GetStatus", NULL, &answer,
			       "") < 0 ||
	    sd_bus_call_method(ctl->bus, BUS_NAME, BUS_PATH, BUS_INTERFACE, "ListMembers", NULL, &own,
			       "s", "") < 0)
		return false;

	hides = reply_to_json(answer, &status) >= 0 && reply_to_json(own, &members) >= 0 &&
		fields_number(status, "n_members") > json_array_size(members);
	json_decref(status);
	json_decref(members);
	return hides;
}

/* Whoever is asked for is not guarded; why that is, as far as it can be known. */
static void tell_absent(const struct ctl *ctl, const char *text, const char *what)
{
	char name[NAME_QUOTED_MAX] = "";
	bool before;
	int pid;

	if (what)
		(void)name_quote(what, name, sizeof(name));
	before = what && was_guarded(ctl, what);
	/* Of one that runs it matters why it is not guarded now. */
	if (is_unit(what) && !hides_others(ctl) && (pid = service_main_pid(ctl->user, what)) > 0)
		log_error("%s%s. Its main process is %d. %s; \"%s cat %s\" shows whether it is enabled",
			  text, before ? " any more" : "", pid, alone_reason(pid),
			  systemd_command(ctl->user), name);
	else if (before)
		log_error("%s any more: \"memguardctl%s history %s\" shows what was, and kills that "
			  "were seen",
			  text, ctl_user(ctl), name);
	else if (what && parse_pid(what, &pid) >= 0)
		log_error("%s. %s; \"memguardctl%s list\" shows what is guarded", text, alone_reason(pid),
			  ctl_user(ctl));
	else if (hides_others(ctl))
		log_error("%s, as far as you may see: with sudo processes of other users are shown, too",
			  text);
	else
		log_error("%s: \"memguardctl%s list\" shows what is; a service is added with "
			  "\"memguardctl%s enable %s\" and a restart",
			  text, ctl_user(ctl), ctl_user(ctl), is_unit(what) ? name : "UNIT");
}

static void tell_error(const struct ctl *ctl, int r, const sd_bus_error *error,
		       const char *what)
{
	const char *text = error->message ? error->message : strerror(-r);

	if (sd_bus_error_has_name(error, BUS_ERROR_NO_SUCH_TARGET))
		tell_absent(ctl, text, what);
	else if (sd_bus_error_has_name(error, BUS_ERROR_BUSY))
		log_error("%s: try again in a moment", text);
	else if (sd_bus_error_has_name(error, BUS_ERROR_BAD_CONFIG))
		tell_mistakes(ctl, text);
	else if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
		 sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
		/* A bus daemon that refuses explains its rules, not ours. */
		log_error("%s: try with sudo", sd_bus_is_bus_client(ctl->bus) > 0
						       ? "Only root may do this"
						       : text);
	else if (sd_bus_error_has_name(error, SD_BUS_ERROR_LIMITS_EXCEEDED))
		log_error("%s: try again in a moment", text);
	else if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD))
		log_error("The memguardd that runs is older than this memguardctl: "
			  "\"systemctl%s restart memguard\"",
			  ctl_user(ctl));
	else if (r == -ETIMEDOUT)
		log_error("memguardd does not answer: see \"systemctl%s status memguard\" "
			  "and \"journalctl%s -u memguard\"",
			  ctl_user(ctl), ctl_user(ctl));
	else if (is_lost(r, error))
		log_error("memguardd closed the connection: it has stopped, or has too "
			  "many "
			  "clients; see \"systemctl%s status memguard\", or try again",
			  ctl_user(ctl));
	else
		log_error("memguardd reports: %s; see \"journalctl%s -u memguard\"", text,
			  ctl_user(ctl));
}

/* Until somebody has taken the connection; sd-bus by itself waits longer. */
static int wait_ready(sd_bus *bus)
{
	const uint64_t end_usec = clock_now_usec() + ANSWER_TIMEOUT_USEC;
	int r;

	while ((r = sd_bus_is_ready(bus)) == 0) {
		const uint64_t left_usec = sub_sat(end_usec, clock_now_usec());

		if (left_usec == 0)
			return -ETIMEDOUT;

		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, left_usec);
		if (r < 0 && r != -EINTR)
			return r;
	}

	return r;
}

/* It has it all at hand. */
static bool is_quick(sd_bus_message *call)
{
	const char *method = sd_bus_message_get_member(call);

	return strncmp(method, "Get", 3) == 0 || strncmp(method, "List", 4) == 0;
}

static int send_call(struct ctl *ctl, sd_bus_message *call, const char *what,
		     json_t **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = wait_ready(ctl->bus);
	if (r >= 0)
		r = sd_bus_call(ctl->bus, call,
				is_quick(call) ? ANSWER_TIMEOUT_USEC : CALL_TIMEOUT_USEC, &error,
				&answer);
	if (r < 0) {
		tell_error(ctl, r, &error, what);
		/* Or it would be waited for again, to be said good-bye to. */
		if (r == -ETIMEDOUT)
			sd_bus_close(ctl->bus);
		/* It was running: not to be taken for CLIENT_NOT_RUNNING. */
		if (r == CLIENT_NOT_RUNNING)
			r = -EIO;
		sd_bus_error_free(&error);
		return r;
	}

	r = reply_to_json(answer, ret);
	if (r < 0)
		log_error("Cannot read the answer of memguardd: %s; are it and "
			  "memguardctl of the "
			  "same version?",
			  strerror(-r));
	return r;
}

static int new_call(struct ctl *ctl, const char *method, sd_bus_message **ret)
{
	int r;

	if (!ctl->bus) {
		r = open_bus(ctl, wants_polkit(method));
		if (r < 0)
			return r;
	}

	r = sd_bus_message_new_method_call(ctl->bus, ret, BUS_NAME, BUS_PATH,
					   BUS_INTERFACE, method);
	if (r >= 0)
		/* Only polkit makes use of it: somebody may be asked for a password. */
		r = sd_bus_message_set_allow_interactive_authorization(*ret, 1);
	if (r < 0)
		log_error("Cannot make a request: %s", strerror(-r));
	return r;
}

static int refuse(int r, const char *what)
{
	log_error("Cannot send \"%s\": %s; it must be text in UTF-8", what, strerror(-r));
	return r;
}

int client_call(struct ctl *ctl, const char *method, json_t **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	int r;

	r = new_call(ctl, method, &call);
	if (r < 0)
		return r;

	return send_call(ctl, call, NULL, ret);
}

int client_call_what(struct ctl *ctl, const char *method, const char *what, json_t **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	int r;

	r = new_call(ctl, method, &call);
	if (r < 0)
		return r;

	r = sd_bus_message_append_basic(call, 's', what);
	if (r < 0)
		return refuse(r, what);

	return send_call(ctl, call, what, ret);
}

/* [ "method": method ] */
static int append_method(sd_bus_message *call, const char *method)
{
	int r;

	r = sd_bus_message_open_container(call, 'a', "{sv}");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append_basic(call, 's', "method");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'v', "s");
	if (r >= 0)
		r = sd_bus_message_append_basic(call, 's', method);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(call);

	return r;
}

int client_call_trim(struct ctl *ctl, const char *what, const char *method, json_t **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	int r;

	if (!method)
		return client_call_what(ctl, "Trim", what, ret);

	r = new_call(ctl, "TrimWith", &call);
	if (r < 0)
		return r;

	r = sd_bus_message_append_basic(call, 's', what);
	if (r >= 0)
		r = append_method(call, method);
	if (r < 0)
		return refuse(r, what);

	return send_call(ctl, call, what, ret);
}

int client_call_tune(struct ctl *ctl, const char *what, const char *knob, uint64_t value,
		     json_t **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	int r;

	r = new_call(ctl, "Tune", &call);
	if (r < 0)
		return r;

	r = sd_bus_message_append_basic(call, 's', what);
	if (r >= 0)
		r = sd_bus_message_append_basic(call, 's', knob);
	if (r >= 0)
		r = sd_bus_message_append_basic(call, 't', &value);
	if (r < 0)
		return refuse(r, what);

	return send_call(ctl, call, what, ret);
}

void client_close(struct ctl *ctl)
{
	ctl->bus = sd_bus_flush_close_unref(ctl->bus);
}

enum ctl_exit client_exit(int r)
{
	return r < 0 ? CTL_FAILED : CTL_DONE;
}
