/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/alert.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/log.h"
#include "agent/policy/verdict.h"
#include "agent/policy/warn.h"
#include "agent/report/journal-alert.h"

#define WORDS_MAX 32

/* Splits at blanks, in place. Quotes mean nothing: a script can hold what is complicated. */
static void split_words(char *line, char *words[static WORDS_MAX + 1])
{
	size_t n = 0;
	char *rest = NULL;

	for (char *word = strtok_r(line, " \t", &rest); word && n < WORDS_MAX;
	     word = strtok_r(NULL, " \t", &rest))
		words[n++] = word;

	words[n] = NULL;
}

static int on_exit_of_command(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	(void)userdata;

	if (info->si_code != CLD_EXITED || info->si_status != 0)
		log_warning("The Exec= command (process %d) %s %d", (int)info->si_pid,
			    info->si_code == CLD_EXITED ? "exited with status" : "was ended by signal",
			    info->si_status);

	sd_event_source_unref(source);
	return 0;
}

/* Signals are blocked here for the loop; the command must not inherit that. */
static int spawn_clean(pid_t *ret_pid, char *const words[], char *const environment[])
{
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(ret_pid, words[0], NULL, &attributes, words, environment);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

static int start_command(const struct group *group, const struct outcome *outcome, pid_t *ret_pid)
{
	char line[EXEC_MAX], texts[5][4200], *words[WORDS_MAX + 1];
	char *environment[] = { (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				texts[0], texts[1], texts[2], texts[3], texts[4], NULL };

	snprintf(line, sizeof(line), "%s", group->settings.exec_line);
	split_words(line, words);
	snprintf(texts[0], sizeof(texts[0]), "MEMGUARD_GROUP=%s", group->path);
	snprintf(texts[1], sizeof(texts[1]), "MEMGUARD_UNIT=%s", group->unit ? group->unit : "");
	snprintf(texts[2], sizeof(texts[2]), "MEMGUARD_USAGE_BYTES=%" PRIu64,
		 group->reading.usage_bytes);
	snprintf(texts[3], sizeof(texts[3]), "MEMGUARD_LIMIT_BYTES=%" PRIu64,
		 group->reading.limit_bytes);
	snprintf(texts[4], sizeof(texts[4]), "MEMGUARD_RELEASED_BYTES=%" PRIu64,
		 outcome_released_bytes(outcome));

	return spawn_clean(ret_pid, words, environment);
}

void alert_run(struct guard *guard, const struct outcome *outcome)
{
	const struct group *group = &guard->group;
	const uint64_t now_usec = manager_now(guard->manager);
	sd_event_source *source = NULL;
	pid_t pid;
	int r;

	if (!group->settings.exec_line)
		return;
	if (guard->alert_usec != 0 && now_usec - guard->alert_usec < group->settings.cooldown_usec)
		return;

	guard->alert_usec = now_usec;
	r = start_command(group, outcome, &pid);
	if (r < 0) {
		log_warning("Cannot start the Exec= command \"%s\": %s; check its path and mode",
			    group->settings.exec_line, strerror(-r));
		return;
	}

	/* As PID 1, `run` reaps every child itself. */
	if (getpid() == 1)
		return;

	r = sd_event_add_child(guard->manager->event, &source, pid, WEXITED, on_exit_of_command, NULL);
	if (r < 0)
		log_debug("Cannot wait for process %d: %s; ignoring", (int)pid, strerror(-r));
}

static void tell(struct guard *guard, const struct warn *warn, enum alert_kind kind)
{
	struct manager *manager = guard->manager;
	struct alert alert = {
		.kind = kind,
		.n_oom_kills = warn->n_oom_kills,
		.n_held_back = warn->n_held_back[kind],
	};
	struct diagnosis diagnosis;

	verdict_group(&guard->group, manager_now(manager), &diagnosis);
	alert.verdict = verdict_to_string(diagnosis.verdict);
	alert.verdict_text = verdict_to_text(diagnosis.verdict);

	if (!manager->options.quiet_journal)
		journal_alert(&guard->group, &alert);
	bus_alert(manager->bus, &guard->group, &alert);
}

void alert_look(struct guard *guard)
{
	const struct warn warn = warn_step(&guard->alerts, &guard->group, manager_now(guard->manager));

	guard->alerts = warn.memory;
	for (int kind = 0; kind < ALERT_MAX_; kind++)
		if (warn.due & UINT32_C(1) << kind)
			tell(guard, &warn, (enum alert_kind)kind);
}

static uint64_t hash_of(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3;

	return hash;
}

static uint64_t last_told(const struct alert_memory *memory)
{
	uint64_t last_usec = 0;

	for (int kind = 0; kind < ALERT_MAX_; kind++)
		last_usec = MAX(last_usec, memory->kinds[kind].told_usec);

	return last_usec;
}

void alert_recall(struct guard *guard)
{
	struct manager *manager = guard->manager;
	const uint64_t key = hash_of(guard->group.path);
	const struct guard *other;

	/* The one before may not have been forgotten yet. */
	LIST_FOREACH(other, &manager->guards, in_manager)
		if (other != guard && streq(other->group.path, guard->group.path))
			alert_remember(other);

	for (size_t i = 0; i < ALERTS_KEPT; i++)
		if (manager->alerts_kept[i].key == key)
			guard->alerts = warn_renew(&manager->alerts_kept[i].memory);
}

void alert_remember(const struct guard *guard)
{
	struct manager *manager = guard->manager;
	const uint64_t key = hash_of(guard->group.path);
	size_t oldest = 0;

	if (last_told(&guard->alerts) == 0)
		return;

	for (size_t i = 0; i < ALERTS_KEPT; i++) {
		if (manager->alerts_kept[i].key == key) {
			oldest = i;
			break;
		}
		if (last_told(&manager->alerts_kept[i].memory) <
		    last_told(&manager->alerts_kept[oldest].memory))
			oldest = i;
	}

	manager->alerts_kept[oldest].key = key;
	manager->alerts_kept[oldest].memory = guard->alerts;
}
