/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/verbs.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "agent/basic/log.h"
#include "agent/basic/name.h"
#include "agent/ctl/client.h"
#include "agent/ctl/output.h"

#define HELP_COLUMN 28

const struct verb ctl_verbs[] = {
	{ "status", 0, 0, verb_status, "",
	  "Show the daemon, its groups and what happened last" },
	{ "list", 0, 1, verb_list, "[WHAT]",
	  "List guarded processes with their last known figures" },
	{ "show", 1, 1, verb_show, "WHAT",
	  "Measure processes now; show their heaps, each arena" },
	{ "explain", 0, 1, verb_explain, "[WHAT]",
	  "Say why memory was released or not, and what is next" },
	{ "diagnose", 1, 1, verb_diagnose, "[--method=METHOD] WHAT",
	  "Find out why memory grows, measured by a release" },
	{ "history", 0, 1, verb_history, "[WHAT]",
	  "Show past rounds and kills, and what was released" },
	{ "record", 1, 2, verb_record, "WHAT [now|last]",
	  "Write down a group's facts and decision, for replays" },
	{ "trim", 1, 1, verb_trim, "[--method=METHOD] WHAT",
	  "Make processes give freed memory back now" },
	{ "tune", 2, -1, verb_tune, "WHAT KEY=VALUE...",
	  "Change settings of a running program's allocator" },
	{ "run", 1, -1, verb_run, "[--limit=SIZE] -- COMMAND...",
	  "Run a command under guard, without a daemon" },
	{ "enable", 1, -1, verb_enable, "[--allocator=NAME] UNIT...",
	  "Put services under guard from their next start" },
	{ "disable", 1, -1, verb_disable, "UNIT...",
	  "Take services out of guard from their next start" },
	{ "config", 0, 0, verb_config, "",
	  "Show every setting in force and where it comes from" },
	{ "verify", 0, 1, verb_verify, "[FILE]",
	  "Check the configuration without using it" },
	{ "reload", 0, 0, verb_reload, "", "Read the configuration again" },
};
const size_t n_ctl_verbs = ARRAY_SIZE(ctl_verbs);

/* clang-format off */
static const char options[] =
	"  -h --help                 Print this\n"
	"     --version              Print the version\n"
	"     --runtime-directory=DIR\n"
	"                            Where the daemon's sockets are [/run/memguard, or\n"
	"                            $XDG_RUNTIME_DIR/memguard for users]\n"
	"     --user                 The user's own daemon, and no other;\n"
	"                            enable, disable, verify: the user's own services\n"
	"     --json=short|pretty|off\n"
	"                            Answer in JSON, on one line or indented [off]\n"
	"  -j                        --json=pretty on a terminal, else --json=short\n"
	"     --no-pager             Do not use a pager\n"
	"     --no-legend            No headings and hints\n"
	"     --config=FILE          run, verify: read this file alone\n"
	"     --hook=FILE            run, enable: the library to preload\n"
	"     --limit=SIZE           run: limit the command's memory, such as 600M\n"
	"     --verbose              run: tell every round as it happens\n"
	"     --method=auto|full|borrow\n"
	"                            trim, diagnose: how [as configured]\n"
	"     --allocator=jemalloc|mimalloc|tcmalloc|glibc\n"
	"                            enable: preload this allocator too [as it is]\n"
	"     --root=DIR             enable, disable: change files below DIR only;\n"
	"                            verify: look for them there\n";
/* clang-format on */

const struct verb *verbs_find(const char *name)
{
	for (size_t i = 0; i < n_ctl_verbs; i++)
		if (streq(ctl_verbs[i].name, name))
			return &ctl_verbs[i];

	return NULL;
}

void verbs_help(FILE *f)
{
	fputs("Usage: memguardctl [OPTION...] VERB [ARGUMENT...]\n"
	      "\n"
	      "See and control how memguard makes programs give freed memory back.\n"
	      "\n"
	      "Verbs:\n",
	      f);

	for (size_t i = 0; i < n_ctl_verbs; i++) {
		const struct verb *verb = &ctl_verbs[i];
		const int n = fprintf(f, "  %s%s%s", verb->name,
				      verb->arguments[0] ? " " : "", verb->arguments);

		/* What leaves no room stands on a line of its own. */
		if (n >= HELP_COLUMN)
			fputc('\n', f);
		fprintf(f, "%*s%s\n", n < HELP_COLUMN ? HELP_COLUMN - n : HELP_COLUMN, "",
			verb->help);
	}

	fputs("\nWHAT is a process id, a unit or a cgroup path.\n\nOptions:\n", f);
	fputs(options, f);
	fputs("\nSee memguardctl(1).\n", f);
}

static int refuse(const char *format, const char *name, const char *arguments)
{
	char text[256];

	snprintf(text, sizeof(text), "memguardctl %s%s%s", name, arguments[0] ? " " : "",
		 arguments);
	log_error("%s: \"%s\"; see \"memguardctl --help\"", format, text);
	return CTL_USAGE;
}

static void tell_unknown(const char *name)
{
	const char *nearest = ctl_verbs[0].name;

	for (size_t i = 1; i < n_ctl_verbs; i++)
		if (name_distance(name, ctl_verbs[i].name) < name_distance(name, nearest))
			nearest = ctl_verbs[i].name;

	if (name_is_near(name_distance(name, nearest), nearest))
		log_error("There is no verb \"%s\"; did you mean \"%s\"? See \"memguardctl --help\"", name,
			  nearest);
	else
		log_error("There is no verb \"%s\"; see \"memguardctl --help\"", name);
}

static const struct verb *find_or_tell(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 1) {
		log_error("Say what to do, such as \"memguardctl status\"; see "
			  "\"memguardctl --help\"");
		return NULL;
	}

	verb = verbs_find(argv[0]);
	if (!verb)
		tell_unknown(argv[0]);
	return verb;
}

static bool takes_what(const struct verb *verb)
{
	return strstr(verb->arguments, "WHAT");
}

/* An unset variable of a script is no name; the daemon would take it for everything. */
static bool is_nameless(const struct verb *verb, int argc, char **argv)
{
	return takes_what(verb) && argc > 1 && argv[1][0] == '\0';
}

/* Who looks at the files of a group has their path at hand. */
static char *group_in(char *name)
{
	struct statfs fs;
	const bool unified = statfs(NAME_MOUNT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;

	/* Part of it, or the root. */
	return (char *)name_in_hierarchy(name, unified);
}

int verbs_dispatch(struct ctl *ctl, int argc, char **argv)
{
	const struct verb *verb = find_or_tell(argc, argv);
	int status, r;

	if (!verb)
		return CTL_USAGE;
	if (argc - 1 < verb->least)
		return refuse("Something is missing", verb->name, verb->arguments);
	if (verb->most >= 0 && argc - 1 > verb->most)
		return refuse("That is too much", verb->name, verb->arguments);
	if (is_nameless(verb, argc, argv))
		return refuse("WHAT is empty", verb->name, verb->arguments);

	r = output_begin(ctl);
	if (r < 0) {
		log_error("Cannot collect the output: %s", strerror(-r));
		return CTL_FAILED;
	}

	if (takes_what(verb) && argc > 1)
		argv[1] = group_in(argv[1]);
	status = verb->run(ctl, argc, argv);
	client_close(ctl);

	r = output_end(ctl);
	if (r < 0 && r != -EPIPE) {
		log_error("Cannot write the output: %s", strerror(-r));
		return CTL_FAILED;
	}

	return status;
}
