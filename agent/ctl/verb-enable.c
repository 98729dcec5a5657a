/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * memguardctl enable, disable: the drop-in that preloads the hook, put in place and
 * removed. Changes nothing else, and restarts nothing.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/elf.h"
#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/ctl/allocator.h"
#include "agent/ctl/dropin.h"
#include "agent/ctl/output.h"
#include "agent/ctl/service.h"
#include "agent/ctl/systemd.h"
#include "agent/ctl/verbs.h"

/* The build says where the library is installed. */
#ifndef MEMGUARD_HOOK_PATH
#define MEMGUARD_HOOK_PATH "/usr/lib/libmemguard-hook.so"
#endif

/* What the command is about, by the names that systemd has for it. */
struct units {
	char (*names)[DROPIN_UNIT_MAX];
	char **texts; /* of their drop-ins, once they are made */
	int n;
};

static void units_donep(struct units *units)
{
	for (int i = 0; units->texts && i < units->n; i++)
		free(units->texts[i]);
	free(units->texts);
	free(units->names);
}

static void freep(char **s)
{
	free(*s);
}

/* What was done, for people. */
static void say(const struct ctl *ctl, const char *format, ...) _printf_(2, 3);

static void say(const struct ctl *ctl, const char *format, ...)
{
	va_list arguments;

	if (ctl->json != OUTPUT_TEXT)
		return;

	va_start(arguments, format);
	vfprintf(ctl->out, format, arguments);
	va_end(arguments);
}

static int tell_write(int r, const char *what)
{
	log_error("Cannot write %s: %s; check the directory's mode, and that the file system "
		  "is not read-only",
		  what, strerror(-r));
	return r;
}

/* Complete or not at all: systemd may read it at any moment. */
static int write_file(int directory, const char *text)
{
	static const char temporary[] = "." DROPIN_FILE ".new";
	_cleanup_(fd_closep) int fd = -1;
	int r;

	fd = openat(directory, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;

	r = fd_write_exact(fd, text, strlen(text));
	if (r >= 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r >= 0 && renameat(directory, temporary, directory, DROPIN_FILE) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(directory, temporary, 0);

	return r;
}

/* Below --root= the whole path may be missing; else only the last part. */
static int make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (!slash)
			return 0;
		*slash = '/';
	}
}

/* Where the drop-in of @unit is. malloc'ed; tells what is wrong. */
static int find_directory(const struct ctl *ctl, const char *unit, char **ret)
{
	int r;

	r = ctl->user ? dropin_directory_user(getenv("XDG_CONFIG_HOME"), getenv("HOME"), unit, ret)
		      : dropin_directory(ctl->root, unit, ret);
	if (r == -ENOTDIR)
		log_error("Your settings have no place: set HOME to the absolute path of your "
			  "home directory");
	else if (r < 0)
		log_error("Cannot make the path of the drop-in of %s: %s", unit, strerror(-r));
	return r;
}

static int install(const struct ctl *ctl, const char *unit, const char *text)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(fd_closep) int directory = -1;
	int r;

	r = find_directory(ctl, unit, &path);
	if (r < 0)
		return r;

	r = make_directories(path);
	if (r < 0)
		return tell_write(r, path);

	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = directory < 0 ? -errno : write_file(directory, text);
	if (r < 0)
		return tell_write(r, path);

	say(ctl, "Created %s/%s\n", path, DROPIN_FILE);
	return 0;
}

static int check_hook(const struct ctl *ctl, const char *hook)
{
	if (!dropin_is_hook(hook)) {
		log_error("\"%s\" cannot be preloaded: name the library by an absolute "
			  "path without "
			  "blanks and colons",
			  hook);
		return -EINVAL;
	}

	/* Below --root= it is the other system that has to have it. */
	if (!ctl->root && access(hook, R_OK) < 0) {
		log_error("The hook library %s cannot be read: %m; install memguard "
			  "completely, or "
			  "name the library with --hook=FILE",
			  hook);
		return -ENOENT;
	}

	return 0;
}

/* The library that goes in front; "" where --allocator= is not given, or glibc. */
static int find_allocator(const struct ctl *ctl, const char *hook,
			  char library[static PATH_MAX])
{
	int r;

	library[0] = '\0';
	if (!ctl->allocator || allocator_is_glibc(ctl->allocator))
		return 0;

	r = allocator_find(ctl->root, ctl->allocator, ctl->root ? NULL : hook, library);
	if (r == -ENOENT)
		log_error("%s is not installed%s%s: apt install %s, and then again",
			  ctl->allocator, ctl->root ? " below " : "",
			  ctl->root ? ctl->root : "", allocator_package(ctl->allocator));
	else if (r < 0)
		log_error("Cannot look for %s: %s", ctl->allocator, strerror(-r));
	return r;
}

static void warn_linked(const struct ctl *ctl, const struct service *service, const char *symbols)
{
	if (ctl->allocator)
		log_warning("%s has %s linked in: --allocator=%s changes nothing in it",
			    service->program, elf_symbols_allocator(symbols), ctl->allocator);
}

static bool is_below(const char *root, const char *directory, const char *unit)
{
	_cleanup_(freep) char *path = NULL;

	/* Without memory nothing is told of: better than a false warning. */
	return asprintf(&path, "%s/%s/%s", root, directory, unit) < 0 || access(path, F_OK) == 0;
}

/* An image may get its unit later, so that this is no error. */
static void warn_absent(const char *root, const char *unit)
{
	static const char *const directories[] = { "etc/systemd/system",
						   "usr/local/lib/systemd/system",
						   "usr/lib/systemd/system", "lib/systemd/system" };
	const size_t prefix = strcspn(unit, "@");
	char template[DROPIN_UNIT_MAX + sizeof("@.service")] = "";

	/* "getty@tty1.service" is made from "getty@.service". */
	if (unit[prefix] == '@')
		snprintf(template, sizeof(template), "%.*s@.service", (int)prefix, unit);

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		if (is_below(root, directories[i], unit) ||
		    (template[0] != '\0' && is_below(root, directories[i], template)))
			return;

	log_warning("There is no %s below %s yet: check the name, or install it there", unit, root);
}

/* What only an earlier drop-in names is there for as long as that is: systemd tells one list. */
static void warn_missing(const char *unit, const char *preload)
{
	char path[PATH_MAX];
	size_t n;

	for (const char *s = preload; *s; s += n, s += strspn(s, ":")) {
		n = strcspn(s, ":");
		snprintf(path, sizeof(path), "%.*s", (int)n, s);
		/* The loader looks for names, and fills in "$LIB". */
		if (path[0] == '/' && !strchr(path, '$') && access(path, F_OK) < 0 && errno == ENOENT)
			log_warning("%s preloads %s, which is not there, and each of its programs would say "
				    "so: take it out of the unit; where only the drop-in has it, "
				    "\"memguardctl disable\", and then again",
				    unit, path);
	}
}

/* What its drop-in has to say. malloc'ed; tells why it cannot have one. */
static int make_text(const struct ctl *ctl, const char *unit, const char *hook, const char *library,
		     char **ret)
{
	_cleanup_(service_donep) struct service service = { 0 };
	_cleanup_(freep) char *preload = NULL;
	char symbols[ELF_VARIABLE_MAX];
	bool linked = false;
	int r;

	if (!ctl->root) {
		r = service_load(ctl->user, unit, &service);
		if (r < 0)
			return r;
		r = service_check(&service, unit);
		if (r < 0)
			return r;
		service_warn(&service, unit, hook);
		linked = service.program && !service.root &&
			 elf_symbols_variable(service.program, symbols, sizeof(symbols)) == 0;
		if (linked)
			warn_linked(ctl, &service, symbols);
	} else {
		warn_absent(ctl->root, unit);
	}

	r = ctl->allocator ? dropin_preload_allocator(service.preload, library, hook, &preload)
			   : dropin_preload(service.preload, hook, &preload);
	if (r >= 0)
		r = dropin_text(unit, ctl->user, preload, linked ? symbols : NULL, ret);
	if (r < 0) {
		log_error("Cannot make the drop-in for %s: %s", unit, strerror(-r));
		return r;
	}

	if (!ctl->root && !service.root)
		warn_missing(unit, preload);
	return 0;
}

/* Of one name nobody expects anything else. */
static void tell_unchanged(int n)
{
	if (n > 1)
		log_error("Nothing was changed: correct or leave out what is named above, and then again");
}

/* All are told that cannot be enabled; who cannot be asked is told once. */
static int make_texts(const struct ctl *ctl, const char *hook, const char *library, struct units *units)
{
	int n_failed = 0;

	if (!ctl->root && service_reach(ctl->user) < 0)
		return -EOPNOTSUPP;

	units->texts = calloc((size_t)units->n, sizeof(*units->texts));
	if (!units->texts) {
		log_error("Cannot make the drop-ins: %s", strerror(ENOMEM));
		return -ENOMEM;
	}

	for (int i = 0; i < units->n; i++)
		n_failed += make_text(ctl, units->names[i], hook, library, &units->texts[i]) < 0;

	if (n_failed == 0)
		return 0;

	tell_unchanged(units->n);
	return -EINVAL;
}

static int parse_unit(const char *name, char unit[static DROPIN_UNIT_MAX])
{
	switch (dropin_unit(name, unit)) {
	case DROPIN_NAME_OK:
		return 0;
	case DROPIN_NAME_BAD:
		log_error("\"%s\" is not the name of a unit: name a service, such as "
			  "nginx.service",
			  name);
		break;
	case DROPIN_NAME_TEMPLATE:
		log_error("%s is a template: name an instance of it, such as "
			  "name@1.service",
			  name);
		break;
	case DROPIN_NAME_KIND:
		log_error("%s is not a service: only services run programs that can be "
			  "guarded; name "
			  "the service behind it",
			  name);
		break;
	}

	return -EINVAL;
}

static int check_root(const struct ctl *ctl, const char *verb)
{
	struct stat st;

	/* A path mistyped would be made, and the image be without the file. */
	if (ctl->root && (stat(ctl->root, &st) < 0 || !S_ISDIR(st.st_mode))) {
		log_error("--root=%s is no directory: name the one that has the image's etc in it",
			  ctl->root);
		return -ENOTDIR;
	}
	if (ctl->root || geteuid() == 0)
		return 0;

	log_error("Only root may change services: sudo memguardctl %s UNIT; or for a service of "
		  "your own, memguardctl --user %s UNIT",
		  verb, verb);
	return -EPERM;
}

/* Files of root among a user's would be in his way, and his manager not obey. */
static int check_user(const struct ctl *ctl, const char *verb)
{
	const char *directory = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (ctl->root) {
		log_error("--root= is for services of the system: leave --user out");
		return -EINVAL;
	}
	if (directory && (stat(directory, &st) < 0 || st.st_uid == geteuid()))
		return 0;

	log_error("%s is not yours: use \"memguardctl --user %s UNIT\" as the user it is of, "
		  "without sudo",
		  directory ? directory : "XDG_RUNTIME_DIR", verb);
	return -EPERM;
}

static int check_caller(const struct ctl *ctl, const char *verb)
{
	return ctl->user ? check_user(ctl, verb) : check_root(ctl, verb);
}

static int reload(const struct ctl *ctl)
{
	return ctl->root ? 0 : service_reload(ctl->user);
}

/* Where the manager has another idea of it, the file would do nothing in silence. */
static int check_read(const struct ctl *ctl, const char *unit, const char *hook)
{
	_cleanup_(freep) char *path = NULL, *file = NULL;
	int r;

	if (ctl->root)
		return 0;

	r = find_directory(ctl, unit, &path);
	if (r < 0)
		return r;
	if (asprintf(&file, "%s/%s", path, DROPIN_FILE) < 0)
		return -ENOMEM;

	r = service_check_dropin(ctl->user, unit, file, hook);
	if (r == -ENOENT)
		log_error("systemd does not read %s: remove it; compare \"%s show -p UnitPath\"%s",
			  file, systemd_command(ctl->user),
			  ctl->user ? ", and XDG_CONFIG_HOME there and here" : "");
	else if (r == -EEXIST)
		log_error("What a later drop-in sets wins over %s: add %s to its LD_PRELOAD; "
			  "\"%s cat %s\" shows where that is",
			  file, hook, systemd_command(ctl->user), unit);
	return r;
}

/* All names are looked at, and all that are none told, before the first file is touched. */
static int find_units(const struct ctl *ctl, int argc, char **argv, struct units *ret)
{
	char unit[DROPIN_UNIT_MAX];
	int n_bad = 0;

	ret->names = calloc((size_t)argc, sizeof(*ret->names));
	if (!ret->names) {
		log_error("Cannot read the units' names: %s", strerror(ENOMEM));
		return -ENOMEM;
	}

	for (int i = 1; i < argc; i++)
		n_bad += parse_unit(argv[i], unit) < 0;
	if (n_bad > 0) {
		tell_unchanged(argc - 1);
		return -EINVAL;
	}

	for (int i = 1; i < argc; i++) {
		(void)dropin_unit(argv[i], unit);
		/* What systemd does and tells is under its own name; so is what it reads. */
		if (ctl->root)
			stpcpy(ret->names[ret->n], unit);
		else
			service_name(ctl->user, unit, ret->names[ret->n]);
		if (!streq(ret->names[ret->n++], unit))
			say(ctl, "%s is %s\n", unit, ret->names[ret->n - 1]);
	}

	return 0;
}

static void print_restart(const struct ctl *ctl, const struct units *units, const char *why)
{
	/* In an image nothing runs. */
	if (!ctl->legend || ctl->root)
		return;

	fprintf(ctl->out, "%s %s restart", why, systemd_command(ctl->user));
	for (int i = 0; i < units->n; i++)
		fprintf(ctl->out, " %s", units->names[i]);
	fputc('\n', ctl->out);
}

static bool print_json(const struct ctl *ctl, const char *key, const struct units *units)
{
	json_t *names = json_array(), *answer;
	bool printed;

	for (int i = 0; i < units->n; i++)
		(void)json_array_append_new(names, json_string(units->names[i]));

	answer = json_pack("{s:o}", key, names);
	printed = output_json(ctl, answer);
	json_decref(answer);
	return printed;
}

int verb_enable(struct ctl *ctl, int argc, char **argv)
{
	const char *hook = ctl->hook ? ctl->hook : MEMGUARD_HOOK_PATH;
	_cleanup_(units_donep) struct units units = { 0 };
	char library[PATH_MAX];
	int n_failed = 0;

	if (check_caller(ctl, "enable") < 0 || check_hook(ctl, hook) < 0 ||
	    find_allocator(ctl, hook, library) < 0 || find_units(ctl, argc, argv, &units) < 0 ||
	    make_texts(ctl, hook, library, &units) < 0)
		return CTL_FAILED;

	for (int i = 0; i < units.n; i++)
		n_failed += install(ctl, units.names[i], units.texts[i]) < 0;

	/* Also what was written before something failed is to be in force. */
	if (n_failed < units.n && reload(ctl) < 0)
		return CTL_FAILED;
	for (int i = 0; i < units.n && n_failed == 0; i++)
		n_failed += check_read(ctl, units.names[i], hook) < 0;
	if (n_failed > 0)
		return CTL_FAILED;

	if (!ctl->root)
		service_warn_stopped(ctl->user);
	if (!print_json(ctl, "enabled", &units))
		print_restart(ctl, &units, "Guarded from the next start on:");
	return CTL_DONE;
}

/* Not one that cannot be reached: there nothing has read what is removed, and nothing runs by it. */
static bool is_without_systemd(const struct ctl *ctl)
{
	return !ctl->root && !ctl->user && !systemd_is_here();
}

/* 1: removed; 0: there was none; negative: told. */
static int remove_dropin(const struct ctl *ctl, const char *unit)
{
	_cleanup_(freep) char *path = NULL, *file = NULL;
	int r;

	r = find_directory(ctl, unit, &path);
	if (r < 0)
		return r;
	if (asprintf(&file, "%s/%s", path, DROPIN_FILE) < 0) {
		log_error("Cannot remove the drop-in of %s: %s", unit, strerror(ENOMEM));
		return -ENOMEM;
	}

	if (unlink(file) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		log_error("Cannot remove %s: %m; remove it by hand, then \"%s daemon-reload\"",
			  file, systemd_command(ctl->user));
		return -errno;
	}

	say(ctl, "Removed %s\n", file);
	/* Others may have drop-ins there. */
	(void)rmdir(path);
	return 1;
}

/* Nothing to remove: a typing error, or just not enabled? */
static int tell_not_enabled(const struct ctl *ctl, const char *unit)
{
	_cleanup_(service_donep) struct service service = { 0 };

	if (is_without_systemd(ctl)) {
		log_error("There is no %s for %s, and no systemd here that would read one: nothing is to "
			  "be disabled; in an image, name its directory with --root=",
			  DROPIN_FILE, unit);
		return -ENOENT;
	}
	if (!ctl->root) {
		const int r = service_load(ctl->user, unit, &service);

		if (r < 0)
			return r;
	}

	say(ctl, "%s is not enabled: there is no %s for it\n", unit, DROPIN_FILE);
	return 0;
}

int verb_disable(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(units_donep) struct units units = { 0 };
	int n_removed = 0, n_failed = 0, r;

	if (check_caller(ctl, "disable") < 0 || find_units(ctl, argc, argv, &units) < 0)
		return CTL_FAILED;

	for (int i = 0; i < units.n; i++) {
		r = remove_dropin(ctl, units.names[i]);
		n_removed += r > 0;
		n_failed += r < 0 || (r == 0 && tell_not_enabled(ctl, units.names[i]) < 0);
	}

	if (n_removed > 0 && !is_without_systemd(ctl) && reload(ctl) < 0)
		return CTL_FAILED;
	if (n_failed > 0)
		return CTL_FAILED;

	if (!print_json(ctl, "disabled", &units) && n_removed > 0 && !is_without_systemd(ctl))
		print_restart(ctl, &units, "Processes that run keep the hook until:");
	return CTL_DONE;
}
