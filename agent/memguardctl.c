/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl: the command line, and the two verbs that use the daemon's stages in-process. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/basic/runtime.h"
#include "agent/config/config.h"
#include "agent/core/helper.h"
#include "agent/core/run.h"
#include "agent/ctl/allocator.h"
#include "agent/ctl/ctl.h"
#include "agent/ctl/verbs.h"

#ifndef MEMGUARD_HOOK_PATH
#define MEMGUARD_HOOK_PATH "/usr/lib/libmemguard-hook.so"
#endif

/* Options of run and verify that no other verb has. */
static struct {
	const char *config_file;
	uint64_t limit_bytes;
	bool verbose;
} own = { .limit_bytes = BYTES_INFINITY };

enum option_value {
	OPTION_RUNTIME = 256,
	OPTION_JSON,
	OPTION_NO_PAGER,
	OPTION_NO_LEGEND,
	OPTION_CONFIG,
	OPTION_HOOK,
	OPTION_LIMIT,
	OPTION_VERBOSE,
	OPTION_METHOD,
	OPTION_ALLOCATOR,
	OPTION_ROOT,
	OPTION_USER,
	OPTION_VERSION,
};

static const struct option options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "runtime-directory", required_argument, NULL, OPTION_RUNTIME },
	{ "json", required_argument, NULL, OPTION_JSON },
	{ "no-pager", no_argument, NULL, OPTION_NO_PAGER },
	{ "no-legend", no_argument, NULL, OPTION_NO_LEGEND },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "hook", required_argument, NULL, OPTION_HOOK },
	{ "limit", required_argument, NULL, OPTION_LIMIT },
	{ "verbose", no_argument, NULL, OPTION_VERBOSE },
	{ "method", required_argument, NULL, OPTION_METHOD },
	{ "allocator", required_argument, NULL, OPTION_ALLOCATOR },
	{ "root", required_argument, NULL, OPTION_ROOT },
	{ "user", no_argument, NULL, OPTION_USER },
	{ NULL, 0, NULL, 0 },
};

static int set_json(struct ctl *ctl, const char *s)
{
	if (streq(s, "short"))
		ctl->json = OUTPUT_JSON_SHORT;
	else if (streq(s, "pretty"))
		ctl->json = OUTPUT_JSON_PRETTY;
	else if (streq(s, "off"))
		ctl->json = OUTPUT_TEXT;
	else {
		log_error("--json= takes short, pretty or off, not \"%s\"", s);
		return -EINVAL;
	}

	return 0;
}

static int set_method(struct ctl *ctl, const char *s)
{
	if (!streq(s, "auto") && !streq(s, "full") && !streq(s, "borrow")) {
		log_error("--method= takes auto, full or borrow, not \"%s\"", s);
		return -EINVAL;
	}

	ctl->method = s;
	return 0;
}

static int set_allocator(struct ctl *ctl, const char *s)
{
	if (!allocator_is_known(s)) {
		log_error("--allocator= takes jemalloc, mimalloc, tcmalloc or glibc, not \"%s\"", s);
		return -EINVAL;
	}

	ctl->allocator = s;
	return 0;
}

static int set_limit(const char *s)
{
	int r;

	r = parse_bytes(s, &own.limit_bytes);
	if (r < 0 || own.limit_bytes < MIB) {
		log_error("--limit= takes a size of at least 1M, such as 600M or 1.5G, not \"%s\"", s);
		return -EINVAL;
	}

	return 0;
}

/* The user's own daemon, and no other where that is not. */
static int set_user(struct ctl *ctl)
{
	static char directory[RUNTIME_DIRECTORY_MAX];

	ctl->runtime_directory = runtime_directory_user(directory);
	if (!ctl->runtime_directory) {
		log_error("--user needs XDG_RUNTIME_DIR, which a session sets: log in, or name "
			  "a --runtime-directory=");
		return -EINVAL;
	}

	ctl->user = true;
	return 0;
}

/* The options that are for some verbs only; --hook= is in many an alias, for whatever verb. */
static const struct {
	enum option_value option;
	const char *verbs; /* each between blanks */
} restricted[] = {
	{ OPTION_CONFIG, " run verify " },
	{ OPTION_LIMIT, " run " },
	{ OPTION_VERBOSE, " run " },
	{ OPTION_METHOD, " trim diagnose " },
	{ OPTION_ALLOCATOR, " enable " },
	{ OPTION_ROOT, " enable disable verify " },
	/* run would make its sockets where those of the user's daemon are. */
	{ OPTION_USER, " status list show explain diagnose history record trim tune enable disable config "
		       "verify reload " },
};

static bool is_given[ARRAY_SIZE(restricted)];

static void note_given(int option)
{
	for (size_t i = 0; i < ARRAY_SIZE(restricted); i++)
		if ((int)restricted[i].option == option)
			is_given[i] = true;
}

static const char *option_name(int option)
{
	for (size_t i = 0; options[i].name; i++)
		if (options[i].val == option)
			return options[i].name;

	return "";
}

/* What has no effect was meant to have one: --limit= of a `trim` is nobody's wish. */
static int check_options(const char *verb)
{
	char word[64];

	if (!verbs_find(verb) || snprintf(word, sizeof(word), " %s ", verb) >= (int)sizeof(word))
		return 0; /* which is told by whoever looks for it */

	for (size_t i = 0; i < ARRAY_SIZE(restricted); i++)
		if (is_given[i] && !strstr(restricted[i].verbs, word)) {
			log_error("--%s is not for \"%s\", but for:%.*s; see \"memguardctl --help\"",
				  option_name(restricted[i].option), verb,
				  (int)strlen(restricted[i].verbs) - 1, restricted[i].verbs);
			return -EINVAL;
		}

	return 0;
}

/* 0 to go on, 1 when all is done, negative for wrong usage. */
static int take_option(struct ctl *ctl, int option)
{
	note_given(option);
	switch (option) {
	case 'h':
		verbs_help(stdout);
		return 1;
	case OPTION_VERSION:
		puts("memguardctl " PACKAGE_VERSION);
		return 1;
	case 'j':
		ctl->json = isatty(STDOUT_FILENO) ? OUTPUT_JSON_PRETTY : OUTPUT_JSON_SHORT;
		return 0;
	case OPTION_JSON:
		return set_json(ctl, optarg);
	case OPTION_RUNTIME:
		ctl->runtime_directory = optarg;
		return 0;
	case OPTION_NO_PAGER:
		ctl->pager = false;
		return 0;
	case OPTION_NO_LEGEND:
		ctl->legend = false;
		return 0;
	case OPTION_CONFIG:
		own.config_file = optarg;
		return 0;
	case OPTION_HOOK:
		ctl->hook = optarg;
		return 0;
	case OPTION_LIMIT:
		return set_limit(optarg);
	case OPTION_VERBOSE:
		own.verbose = true;
		return 0;
	case OPTION_METHOD:
		return set_method(ctl, optarg);
	case OPTION_ALLOCATOR:
		return set_allocator(ctl, optarg);
	case OPTION_ROOT:
		ctl->root = optarg;
		return 0;
	case OPTION_USER:
		return set_user(ctl);
	default:
		fputs("Try \"memguardctl --help\".\n", stderr);
		return -EINVAL;
	}
}

/*
 * Options may stand before and behind the verb, but what follows the command of `run` is
 * the command's. @words has room for all of @argv; its NULL at the end too.
 */
static int parse_arguments(struct ctl *ctl, int argc, char **argv, char **words, int *ret_n_words)
{
	bool ended;
	int n = 0, r;

	while (optind < argc) {
		const int option = getopt_long(argc, argv, "+hj", options, NULL);

		if (option >= 0) {
			r = take_option(ctl, option);
			if (r != 0)
				return r;
			continue;
		}
		if (optind >= argc)
			break;

		/* "--" ends the options for all, the first word of its command for `run`. */
		ended = streq(argv[optind - 1], "--") || (n > 0 && streq(words[0], "run"));
		do
			words[n++] = argv[optind++];
		while (ended && optind < argc);
	}

	*ret_n_words = n;
	return 0;
}

/* As installed, or beside us in the build tree. */
static const char *find_hook(char buf[static PATH_MAX])
{
	ssize_t n;
	char *slash;

	if (access(MEMGUARD_HOOK_PATH, R_OK) == 0)
		return MEMGUARD_HOOK_PATH;

	n = readlink("/proc/self/exe", buf, PATH_MAX - 1);
	if (n <= 0)
		return NULL;
	buf[n] = '\0';

	slash = strrchr(buf, '/');
	if (!slash || (size_t)(slash - buf) + sizeof("/libmemguard-hook.so") > PATH_MAX)
		return NULL;
	memcpy(slash, "/libmemguard-hook.so", sizeof("/libmemguard-hook.so"));

	return access(buf, R_OK) == 0 ? buf : NULL;
}

int verb_run(struct ctl *ctl, int argc, char **argv)
{
	char found[PATH_MAX], absolute[PATH_MAX];
	const char *hook = ctl->hook ? ctl->hook : find_hook(found);

	(void)argc;

	/* The loader ignores what it cannot open, with a message of its own in each process. */
	if (!hook || !realpath(hook, absolute)) {
		log_error("Cannot find the hook%s%s: install memguard, or name it with --hook=FILE",
			  hook ? " " : "", hook ? hook : " at " MEMGUARD_HOOK_PATH);
		return CTL_FAILED;
	}

	return run_command(&(struct run_options){
				   .runtime_directory = ctl->runtime_directory,
				   .config_file = own.config_file,
				   .hook = absolute,
				   .limit_bytes = own.limit_bytes,
				   .verbose = own.verbose,
			   },
			   argv + 1);
}

static void on_message(const char *file, unsigned int line, const char *text, void *userdata)
{
	bool *is_told = userdata;

	*is_told = true;
	if (line > 0)
		log_error("%s:%u: %s", file, line, text);
	else
		log_error("%s: %s", file, text);
}

/* What the daemon could not start, as far as the caller can see. */
struct programs {
	const char *root;
	bool is_missing;
};

static int check_program(const struct config_item *item, void *userdata)
{
	struct programs *programs = userdata;
	_cleanup_(fd_closep) int fd = -1;
	char path[PATH_MAX];
	struct stat st;

	if (!streq(item->key, "Exec") || item->value[0] == '\0' ||
	    snprintf(path, sizeof(path), "%s%.*s", programs->root, (int)strcspn(item->value, " \t"),
		     item->value) >= (int)sizeof(path))
		return 0;

	fd = fd_open_below(programs->root, path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		if (fd != -ENOENT && fd != -ENOTDIR)
			return 0;
	} else if (fstat(fd, &st) < 0) {
		return 0;
	} else if (S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0) {
		return 0;
	}

	programs->is_missing = true;
	log_error("%s:%u: Exec=: \"%s\" is no program; install it, or name another", item->file,
		  item->line, path);
	return 0;
}

static bool check_root(const char *root)
{
	struct stat st;

	if (!root || (stat(root, &st) == 0 && S_ISDIR(st.st_mode)))
		return true;

	log_error("--root=%s is no directory: name the one that has the image's etc in it", root);
	return false;
}

int verb_verify(struct ctl *ctl, int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : own.config_file;
	struct programs programs = { .root = ctl->root ? ctl->root : "" };
	_cleanup_(config_freep) struct config *config = NULL;
	bool is_told = false;
	int r;

	if (!check_root(ctl->root))
		return CTL_FAILED;

	r = config_load(file, programs.root, ctl->user, on_message, &is_told, &config);
	if (r < 0)
		return CTL_FAILED;

	(void)config_each(config, check_program, &programs);
	if (is_told || programs.is_missing)
		return CTL_FAILED;

	if (!ctl->legend || ctl->json != OUTPUT_TEXT)
		return CTL_DONE;

	if (config_n_files(config) == 0)
		fprintf(ctl->out, "There is no file to read: all defaults are in force.\n");
	else
		fprintf(ctl->out, "%zu file%s read, no errors.\n", config_n_files(config),
			config_n_files(config) == 1 ? "" : "s");
	return CTL_DONE;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .legend = true, .pager = true };
	char **words;
	int n_words, r;

	if (helper_is_wanted(argc, argv))
		return helper_main();

	log_open("memguardctl");
	words = calloc((size_t)argc + 1, sizeof(*words));
	if (!words) {
		log_error("There is no memory left");
		return CTL_FAILED;
	}

	r = parse_arguments(&ctl, argc, argv, words, &n_words);
	if (r == 0 && n_words > 0)
		r = check_options(words[0]);
	if (r == 0)
		r = verbs_dispatch(&ctl, n_words, words);
	else
		r = r < 0 ? CTL_USAGE : CTL_DONE;

	free(words);
	return r;
}
