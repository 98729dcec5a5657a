/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/service.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/basic/elf.h"
#include "agent/basic/log.h"
#include "agent/ctl/confine.h"
#include "agent/ctl/dropin.h"
#include "agent/ctl/systemd.h"

#define PRELOAD "LD_PRELOAD"
#define SOCKET_UNIT "memguard.socket"

/* Each installs a filter, and under one the hook stays passive: memguard-hook(7). */
static const char *const switches[] = {
	"LockPersonality",      "MemoryDenyWriteExecute", "PrivateDevices",
	"ProtectClock",         "ProtectHostname",        "ProtectKernelLogs",
	"ProtectKernelModules", "ProtectKernelTunables",  "RestrictRealtime",
	"RestrictSUIDSGID",
};

/* The same; their values are (bas) or as. */
static const char *const lists[] = { "SystemCallFilter", "SystemCallArchitectures",
				     "RestrictAddressFamilies" };

void service_donep(struct service *service)
{
	free(service->preload);
	free(service->preload_file);
	free(service->program);
	free(service->root);
	free(service->filters);
	free(service->profile);
}

/* NULL where this systemd has no such property: then it does no harm either. */
static json_t *property(sd_bus *bus, const char *path, const char *name)
{
	json_t *value = NULL;

	return systemd_property(bus, path, "Service", name, &value) < 0 ? NULL : value;
}

static char *copy_of(const char *s)
{
	return s && s[0] != '\0' ? strdup(s) : NULL;
}

static void take_environment(struct service *service, const json_t *environment)
{
	const json_t *item;
	size_t i;

	json_array_foreach(environment, i, item)
	{
		const char *text = json_string_value(item) ? json_string_value(item) : "";
		const char *value = dropin_value(text, ELF_ASAN_VARIABLE);

		if (value)
			service->asan_yields = strstr(value, ELF_ASAN_VALUE) != NULL;
		value = dropin_value(text, PRELOAD);
		if (!value)
			continue;
		/* The last assignment counts. */
		free(service->preload);
		service->preload = copy_of(value);
	}
}

static bool sets_preload(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	bool found = false;
	size_t size = 0;

	if (!f)
		return false;

	while (!found && getline(&line, &size, f) >= 0)
		found = dropin_value(line + strspn(line, " \t"), PRELOAD) != NULL;

	free(line);
	fclose(f);
	return found;
}

/* Each is (path, may be missing); the path may be a pattern. */
static void take_environment_files(struct service *service, const json_t *files)
{
	const json_t *item;
	glob_t found;
	size_t i;

	json_array_foreach(files, i, item)
	{
		const char *pattern = json_string_value(json_array_get(item, 0));

		if (!pattern || glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t k = 0; k < found.gl_pathc && !service->preload_file; k++)
			if (sets_preload(found.gl_pathv[k]))
				service->preload_file = copy_of(found.gl_pathv[k]);
		globfree(&found);
	}
}

static void add_filter(struct service *service, const char *name)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s=", service->filters ? service->filters : "",
		     service->filters ? ", " : "", name) < 0)
		return;

	free(service->filters);
	service->filters = longer;
}

/* (bas): is it a list of what is allowed, and the names. Empty: not set. */
static bool is_set(const json_t *list)
{
	const json_t *names =
		json_is_boolean(json_array_get(list, 0)) ? json_array_get(list, 1) : list;

	return json_array_size(names) > 0 || json_is_true(json_array_get(list, 0));
}

static bool has_name(const json_t *names, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(names, i,
			   item) if (json_is_string(item) &&
				     streq(json_string_value(item), name)) return true;

	return false;
}

static void take_families(struct service *service, const json_t *families)
{
	const bool is_allowed = json_is_true(json_array_get(families, 0));

	if (is_set(families))
		service->no_unix =
			has_name(json_array_get(families, 1), "AF_UNIX") != is_allowed;
}

static void take_filters(struct service *service, sd_bus *bus, const char *path)
{
	json_t *value;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		value = property(bus, path, lists[i]);
		if (is_set(value))
			add_filter(service, lists[i]);
		if (streq(lists[i], "RestrictAddressFamilies"))
			take_families(service, value);
		json_decref(value);
	}

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		value = property(bus, path, switches[i]);
		if (json_is_true(value))
			add_filter(service, switches[i]);
		json_decref(value);
	}

	/* All kinds of namespaces allowed: every bit set. */
	value = property(bus, path, "RestrictNamespaces");
	if (json_is_integer(value) &&
	    (json_integer_value(value) & 0x7e020000) != 0x7e020000)
		add_filter(service, "RestrictNamespaces");
	json_decref(value);
}

/*
 * What AppArmorProfile= names, (bs): is its lack no matter, and the name. One that the kernel finds by
 * the program's path is known of who runs.
 */
static void take_profile(struct service *service, sd_bus *bus, const char *path)
{
	json_t *value = property(bus, path, "AppArmorProfile");
	char label[CONFINE_LABEL_MAX];

	service->profile = copy_of(json_string_value(json_array_get(value, 1)));
	json_decref(value);
	if (service->profile)
		return;

	value = property(bus, path, "MainPID");
	if (json_integer_value(value) > 0 && confine_label((pid_t)json_integer_value(value), label))
		service->profile = copy_of(label);
	json_decref(value);
}

/* 0: not known, or without end. */
static uint64_t number(sd_bus *bus, const char *path, const char *name)
{
	json_t *value = property(bus, path, name);
	const json_int_t n = json_integer_value(value);

	json_decref(value);
	return n > 0 && n < INT64_MAX ? (uint64_t)n : 0;
}

static void take_all(struct service *service, sd_bus *bus, const char *path)
{
	static const char *const roots[] = { "RootDirectory", "RootImage" };
	json_t *value;

	value = property(bus, path, "Environment");
	take_environment(service, value);
	json_decref(value);

	value = property(bus, path, "EnvironmentFiles");
	take_environment_files(service, value);
	json_decref(value);

	/* Each is (path, arguments, ...). */
	value = property(bus, path, "ExecStart");
	service->program =
		copy_of(json_string_value(json_array_get(json_array_get(value, 0), 0)));
	json_decref(value);

	for (size_t i = 0; i < ARRAY_SIZE(roots) && !service->root; i++) {
		value = property(bus, path, roots[i]);
		if (!streq(json_string_value(value) ? json_string_value(value) : "", "/"))
			service->root = copy_of(json_string_value(value));
		json_decref(value);
	}

	service->tasks = number(bus, path, "TasksCurrent");
	service->tasks_max = number(bus, path, "TasksMax");
	take_filters(service, bus, path);
	take_profile(service, bus, path);
}

static int tell_state(bool user, const char *unit, const char *state)
{
	const char *command = systemd_command(user);

	if (streq(state, "loaded"))
		return 0;

	if (streq(state, "not-found")) {
		log_error("There is no %s: \"%s list-unit-files --type=service\" shows what "
			  "there is",
			  unit, command);
		return -ENOENT;
	}

	if (streq(state, "masked"))
		log_error("%s is masked: \"%s unmask %s\" first", unit, command, unit);
	else
		log_error("%s cannot be loaded (%s): \"%s status %s\" says why", unit, state,
			  command, unit);
	return -EINVAL;
}

static int open_systemd(bool user, sd_bus **ret)
{
	int r;

	r = systemd_open(user, ret);
	if (r == -ENOENT && user) {
		log_error("No service manager of yours runs here: log in, or have one started "
			  "with \"loginctl enable-linger\"");
		return -EOPNOTSUPP;
	}
	if (r == -ENOENT) {
		log_error("There is no systemd here: use \"memguardctl run -- COMMAND\", "
			  "which needs "
			  "none");
		return -EOPNOTSUPP;
	}
	if (r < 0)
		log_error("Cannot talk to systemd: %s; is the %s bus running?", strerror(-r),
			  user ? "user's" : "system");

	return r;
}

int service_reach(bool user)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;

	return open_systemd(user, &bus);
}

static int check_loaded(bool user, sd_bus *bus, const char *unit, const char *path)
{
	json_t *state = NULL;
	int r;

	r = systemd_property(bus, path, "Unit", "LoadState", &state);
	if (r < 0)
		log_error("Cannot ask systemd about %s: %s", unit, strerror(-r));
	else
		r = tell_state(user, unit,
			       json_string_value(state) ? json_string_value(state) : "unknown");

	json_decref(state);
	return r;
}

int service_load(bool user, const char *unit, struct service *ret)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	struct service service = { 0 };
	char *path;
	int r;

	r = open_systemd(user, &bus);
	if (r < 0)
		return r;

	r = systemd_load_unit(bus, unit, &path);
	if (r < 0) {
		log_error("systemd does not know %s: %s", unit, strerror(-r));
		return r;
	}

	r = check_loaded(user, bus, unit, path);
	if (r >= 0) {
		take_all(&service, bus, path);
		*ret = service;
	}

	free(path);
	return r;
}

int service_check(const struct service *service, const char *unit)
{
	if (!service->program || service->root || service->asan_yields ||
	    elf_needs_asan(service->program) <= 0)
		return 0;

	log_error("%s of %s has address sanitizer as a library and would not start with the hook: set "
		  "Environment=" ELF_ASAN_VARIABLE "=" ELF_ASAN_VALUE
		  " for it, then again",
		  service->program, unit);
	return -EOPNOTSUPP;
}

bool service_is_empty(const struct service *service)
{
	const char *slash = service->program ? strrchr(service->program, '/') : NULL;

	return slash && streq(slash, "/true");
}

void service_warn(const struct service *service, const char *unit, const char *hook)
{
	const char *lacks = service->profile ? confine_lacks(service->profile, hook) : NULL;
	const int n_prefix = (int)(strlen(unit) - strlen(".service"));

	if (service_is_empty(service))
		log_warning("%s runs nothing but %s: enable the service that does the work; "
			    "\"systemctl list-units '%.*s*'\" may show it",
			    unit, service->program, n_prefix, unit);
	if (service->preload_file)
		log_warning("%s sets " PRELOAD
			    " for %s and wins over the drop-in: add %s to it",
			    service->preload_file, unit, hook);
	if (service->root)
		log_warning("%s has its own root %s: make %s and /run/memguard visible "
			    "there, with "
			    "BindReadOnlyPaths=",
			    unit, service->root, hook);
	if (service->tasks_max > 0 && service->tasks >= service->tasks_max)
		log_warning("%s has all %" PRIu64 " tasks that TasksMax= allows it, and the hook's thread is "
			    "one more: raise it",
			    unit, service->tasks_max);
	if (service->no_unix)
		log_warning("%s may not use AF_UNIX sockets, so the hook cannot reach "
			    "the daemon: add "
			    "AF_UNIX to its RestrictAddressFamilies=",
			    unit);
	if (service->filters)
		log_warning("%s has a system call filter (%s), under which the hook "
			    "stays passive: "
			    "see memguard-hook(7)",
			    unit, service->filters);
	if (lacks)
		log_warning("%s is confined by AppArmor's profile %s, which does not allow the hook %s: "
			    CONFINE_HINT,
			    unit, service->profile, lacks);
}

void service_warn_stopped(bool user)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	json_t *state = NULL;
	char *path = NULL;

	if (systemd_open(user, &bus) >= 0 && systemd_load_unit(bus, SOCKET_UNIT, &path) >= 0 &&
	    systemd_property(bus, path, "Unit", "ActiveState", &state) >= 0 &&
	    json_is_string(state) && !streq(json_string_value(state), "active"))
		log_warning("Nobody guards yet, since " SOCKET_UNIT
			    " is %s: \"%s enable --now memguard\"",
			    json_string_value(state), systemd_command(user));

	free(path);
	json_decref(state);
}

int service_reload(bool user)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	int r;

	r = open_systemd(user, &bus);
	if (r < 0)
		return r;

	r = systemd_reload(bus);
	if (r < 0)
		log_error("systemd did not reload its units: %s; run \"%s daemon-reload\"",
			  strerror(-r), systemd_command(user));
	return r;
}

/* Whatever way it is spelt. */
static bool has_file(const json_t *paths, const char *file)
{
	struct stat wanted, st;
	const json_t *item;
	size_t i;

	if (stat(file, &wanted) < 0)
		return false;

	json_array_foreach(paths, i, item)
	{
		const char *path = json_string_value(item);

		if (path && stat(path, &st) >= 0 && st.st_dev == wanted.st_dev &&
		    st.st_ino == wanted.st_ino)
			return true;
	}

	return false;
}

/* By all that systemd has read, of which the last assignment counts. */
static bool preloads(sd_bus *bus, const char *path, const char *hook)
{
	_cleanup_(service_donep) struct service service = { 0 };
	json_t *environment = property(bus, path, "Environment");

	take_environment(&service, environment);
	json_decref(environment);
	return service.preload && dropin_has_hook(service.preload, hook);
}

int service_check_dropin(bool user, const char *unit, const char *file, const char *hook)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	json_t *files = NULL;
	char *path = NULL;
	int r;

	r = open_systemd(user, &bus);
	if (r < 0)
		return r;

	r = systemd_load_unit(bus, unit, &path);
	if (r >= 0)
		r = systemd_property(bus, path, "Unit", "DropInPaths", &files);
	if (r < 0)
		log_error("Cannot ask systemd about %s: %s", unit, strerror(-r));
	else if (!has_file(files, file))
		r = -ENOENT;
	else if (!preloads(bus, path, hook))
		r = -EEXIST;

	free(path);
	json_decref(files);
	return r;
}

void service_name(bool user, const char *unit, char ret[static DROPIN_UNIT_MAX])
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	json_t *id = NULL;
	char *path = NULL;

	snprintf(ret, DROPIN_UNIT_MAX, "%s", unit);
	if (systemd_open(user, &bus) >= 0 && systemd_load_unit(bus, unit, &path) >= 0 &&
	    systemd_property(bus, path, "Unit", "Id", &id) >= 0 && json_is_string(id))
		(void)dropin_unit(json_string_value(id), ret);

	free(path);
	json_decref(id);
}

int service_main_pid(bool user, const char *name)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	char unit[DROPIN_UNIT_MAX], *path = NULL;
	json_t *value = NULL;
	int pid = 0;

	if (dropin_unit(name, unit) == DROPIN_NAME_OK && systemd_open(user, &bus) >= 0 &&
	    systemd_load_unit(bus, unit, &path) >= 0)
		value = property(bus, path, "MainPID");
	if (json_is_integer(value))
		pid = (int)json_integer_value(value);

	free(path);
	json_decref(value);
	return pid;
}
