/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the programs of the hook-*.sh tests use to look at themselves. */

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT_NAME "memguard"

/* Nothing here takes long, but on a machine that does much else: what does is a hang, and ends by SIGALRM. */
#define LIMIT_SEC 120

/* Of looks for an agent that is to be there: half a minute and more, which only a fault uses up. */
#define AGENT_TRIES 15000

#define PIECES_MAX 65536

/* Holds what glibc will not give back by itself: all is freed but the piece on top, and each @keep_every-th. */
static inline void retain_pieces(int n, size_t bytes, int keep_every)
{
	static char *pieces[PIECES_MAX];

	for (int i = 0; i < n; i++) {
		pieces[i] = malloc(bytes);
		if (pieces[i])
			memset(pieces[i], 1, bytes);
	}

	for (int i = 0; i < n - 1; i++)
		if (keep_every == 0 || i % keep_every != 0)
			free(pieces[i]);
}

static inline int task_ids(int *ids, int max)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -1;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && n < max)
			ids[n++] = atoi(entry->d_name);

	closedir(dir);
	return n;
}

static inline int n_tasks(void)
{
	int ids[64];

	return task_ids(ids, 64);
}

/* The line of a task's status that begins with @key; "" when there is none. */
static inline const char *task_line(int id, const char *key)
{
	static char line[256];
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", id);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0) {
			fclose(file);
			return line;
		}

	if (file)
		fclose(file);
	return "";
}

/* The agent names itself a moment after it was made. 0: there is none in this time. */
static inline int find_agent(int tries)
{
	while (tries-- > 0) {
		int ids[64];
		const int n = task_ids(ids, 64);

		for (int i = 0; i < n; i++)
			if (strcmp(task_line(ids[i], "Name:"), "Name:\t" AGENT_NAME "\n") == 0)
				return ids[i];
		usleep(2000);
	}

	return 0;
}

static inline void *wait_for_ever(void *arg)
{
	for (;;)
		pause();

	return arg;
}

static inline void *end_at_once(void *arg)
{
	return arg;
}

static inline int start_thread(void *(*f)(void *))
{
	pthread_t thread;

	return pthread_create(&thread, NULL, f, NULL);
}

/* The same, not waited for where there is to be none. */
static inline int find_any_agent(void)
{
	const char *agent = getenv("MEMGUARD_AGENT");
	const bool is_off = !getenv("LD_PRELOAD") || (agent && strcmp(agent, "off") == 0);

	return find_agent(is_off ? 1 : AGENT_TRIES);
}

static inline int await_agent(void)
{
	int id;

	if (start_thread(wait_for_ever) != 0)
		return 0;

	id = find_agent(AGENT_TRIES);
	if (id == 0)
		puts("no agent");
	return id;
}

static inline int wait_child(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

struct thing {
	const char *name;
	int (*run)(void);
};

/* Ends as the program shall: 2 where there is no such thing. */
static inline int do_thing(const struct thing *things, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, things[i].name) == 0) {
			alarm(LIMIT_SEC);
			return things[i].run();
		}

	return 2;
}
