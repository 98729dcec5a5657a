/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* For somebody who has been woken up: numbers with units, and what to type. */

#include "agent/report/sentences.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/basic/macro.h"
#include "agent/basic/name.h"
#include "agent/basic/parse.h"
#include "agent/report/dict.h"

/* By enum fact: around its value. */
static const struct {
	const char *before, *after;
} clauses[] = {
	[FACT_ANON_BYTES] = { "", " are resident and anonymous" },
	[FACT_LIMIT_BYTES] = { "the limit is ", "" },
	[FACT_IN_USE_BYTES] = { "", " are in use" },
	[FACT_RETAINED_BYTES] = { "a release should give ", "" },
	[FACT_UNUSED_BYTES] = { "", " of the heap are resident and not in use" },
	[FACT_OTHER_ANON_BYTES] = { "", " are outside of malloc" },
	[FACT_UNHOOKED_BYTES] = { "", " of that belong to processes without the hook" },
	[FACT_FILE_BYTES] = { "", " more are file and shared memory" },
	[FACT_SWAP_BYTES] = { "", " are swapped out" },
	[FACT_HUGE_BYTES] = { "", " of the heap are in huge pages" },
	[FACT_THREADS] = { "", " threads" },
	[FACT_ARENAS] = { "", " arenas" },
	[FACT_FLOOR_FIRST_BYTES] = { "the least that was in use was ", " at first" },
	[FACT_FLOOR_LAST_BYTES] = { "", " of late" },
	[FACT_FLOOR_SPAN_USEC] = { "watched for ", "" },
	[FACT_FLOOR_FIGURES] = { "measured ", " times" },
	[FACT_EXPECTED_BYTES] = { "that was expected to give ", "" },
	[FACT_RELEASED_BYTES] = { "the last release gave ", "" },
	[FACT_RELEASE_AGE_USEC] = { "it was ", " ago" },
	[FACT_SWAPPED_FREE_BYTES] = { "", " are free and swapped out" },
	[FACT_RETURNED_BYTES] = { "within a minute ", " of it were in use again" },
	[FACT_CHARGED_BYTES] = { "", " are charged without file cache" },
	[FACT_SHMEM_BYTES] = { "", " of that are shared memory, mapped or not" },
	[FACT_KERNEL_BYTES] = { "", " of that are the kernel's own for it, as for sockets and pipes" },
	[FACT_LOCKED_BYTES] = { "", " of that are files locked in memory" },
	[FACT_BELOW_BYTES] = { "", " of that belong to processes in groups below it" },
};

enum unit {
	UNIT_BYTES,
	UNIT_USEC,
	UNIT_NUMBER,
};

static enum unit unit_of(enum fact fact)
{
	switch (fact) {
	case FACT_FLOOR_SPAN_USEC:
	case FACT_RELEASE_AGE_USEC:
		return UNIT_USEC;
	case FACT_THREADS:
	case FACT_ARENAS:
	case FACT_FLOOR_FIGURES:
		return UNIT_NUMBER;
	case FACT_ANON_BYTES:
	case FACT_LIMIT_BYTES:
	case FACT_IN_USE_BYTES:
	case FACT_RETAINED_BYTES:
	case FACT_UNUSED_BYTES:
	case FACT_OTHER_ANON_BYTES:
	case FACT_UNHOOKED_BYTES:
	case FACT_FILE_BYTES:
	case FACT_SWAP_BYTES:
	case FACT_HUGE_BYTES:
	case FACT_FLOOR_FIRST_BYTES:
	case FACT_FLOOR_LAST_BYTES:
	case FACT_EXPECTED_BYTES:
	case FACT_RELEASED_BYTES:
	case FACT_SWAPPED_FREE_BYTES:
	case FACT_RETURNED_BYTES:
	case FACT_CHARGED_BYTES:
	case FACT_SHMEM_BYTES:
	case FACT_KERNEL_BYTES:
	case FACT_LOCKED_BYTES:
	case FACT_BELOW_BYTES:
	case FACT_MAX_:
		break;
	}

	return UNIT_BYTES;
}

char *sentences_fact(const struct evidence *evidence, char *buf, size_t size)
{
	const unsigned int i = (unsigned int)evidence->fact;
	char value[FORMAT_MAX];

	switch (unit_of(evidence->fact)) {
	case UNIT_BYTES:
		format_bytes(value, evidence->value);
		break;
	case UNIT_USEC:
		/* Whole seconds are fine enough. */
		format_usec(value, evidence->value < USEC_PER_SEC
					   ? evidence->value
					   : evidence->value / USEC_PER_SEC * USEC_PER_SEC);
		break;
	case UNIT_NUMBER:
		snprintf(value, sizeof(value), "%" PRIu64, evidence->value);
		break;
	}

	if (i < ARRAY_SIZE(clauses) && clauses[i].before)
		snprintf(buf, size, "%s%s%s", clauses[i].before, value, clauses[i].after);
	else
		snprintf(buf, size, "%s %s", fact_to_string(evidence->fact), value);
	return buf;
}

char *sentences_evidence(const struct diagnosis *diagnosis, char *buf, size_t size)
{
	char clause[96];
	size_t used = 0;
	int n;

	if (size > 0)
		buf[0] = '\0';
	for (uint32_t i = 0; i < diagnosis->n_evidence && used < size; i++) {
		n = snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "",
			     sentences_fact(&diagnosis->evidence[i], clause,
					    sizeof(clause)));
		if (n < 0)
			break;
		used += (size_t)n;
	}

	return buf;
}

/*
 * By enum advice. {what}, {path}, {unit}, {limited}, {pid}, {allocator}, {calm} and {user}, with
 * its space, are filled in.
 */
static const char *const advices[] = {
	[ADVICE_NONE] = "nothing to do",
	[ADVICE_MEASURE] = "measure by a release: memguardctl{user} diagnose {what}",
	[ADVICE_RELEASE] = "release it now: memguardctl{user} trim {what}; {calm}",
	[ADVICE_ARENA_MAX] = "cap the arenas: ArenaMax=2 in memguard.conf, and restart it",
	[ADVICE_THRESHOLDS] = "pin glibc's thresholds, which rise by themselves: "
			      "memguardctl{user} tune {what} MmapThreshold=128K TrimThreshold=128K",
	[ADVICE_ALLOCATOR] = "try another allocator: memguardctl{user} enable "
			     "--allocator={allocator} {unit}, and restart it",
	[ADVICE_HEAPTRACK] = "see who allocates and does not free: heaptrack --pid {pid}, for as "
			     "long as it grows",
	[ADVICE_SANITIZER] = "where it can be built anew: -fsanitize=leak, and end it in an "
			     "orderly way",
	[ADVICE_RAISE_LIMIT] = "if it needs that much: systemctl{limited_user} set-property {limited} "
			       "MemoryMax=SIZE",
	[ADVICE_STACKS] = "thread stacks can be all of it: have it start fewer threads, or set "
			  "LimitSTACK=1M in {unit}",
	[ADVICE_MAPS] = "see which mappings it is, the largest last: pmap -x {pid} | sort -n -k3 "
			"| tail",
	[ADVICE_HOOK] = "see which processes lack the hook: memguardctl{user} list, against "
			"systemctl{user} status {unit}",
	[ADVICE_HUGE_PAGES] = "keep its heap out of huge pages: "
			      "Environment=GLIBC_TUNABLES=glibc.malloc.hugetlb=0 in {unit}, and "
			      "madvise in /sys/kernel/mm/transparent_hugepage/enabled",
	[ADVICE_RESTART] = "until then a restart helps: systemctl{user} restart {unit}",
	[ADVICE_RELEASE_IDLE] = "there is little to release now; {calm}",
	[ADVICE_CONTINUE] = "let it go on, being stopped by a signal or a debugger: kill -CONT {pid}",
	[ADVICE_SHARED] = "see its shared memory: ls -l /proc/{pid}/fd | grep -E 'memfd:|/dev/shm'; what "
			  "it maps: grep -E 'memfd:|/dev/|SYSV' /proc/{pid}/maps; files: df -t tmpfs",
	[ADVICE_KERNEL] = "see what the kernel holds for it: ls -l /proc/{pid}/fd | grep -cE "
			  "'pipe:|socket:'; buffers of sockets: ss -amp | grep -A1 pid={pid},",
	[ADVICE_LOCKED] = "see whether it has to lock files in memory: grep VmLck /proc/{pid}/status; "
			  "which: grep -E '^[0-9a-f]+-|^Locked' /proc/{pid}/smaps",
	[ADVICE_DECAY] = "have its threads give back themselves what they free from now on: "
			 "memguardctl{user} tune {what} DecaySec=0; and from its start on: DecaySec=0 in "
			 "memguard.conf",
	[ADVICE_BELOW] = "see which group below it that is: memguardctl{user} status, or "
			 "systemd-cgtop -m {path}",
};

/* The same, where there is no unit to name. */
static const char *const advices_without_unit[ARRAY_SIZE(advices)] = {
	[ADVICE_ALLOCATOR] = "try another allocator at its next start, such as {allocator}",
	[ADVICE_RAISE_LIMIT] = "if it needs that much: raise the limit of its control group",
	[ADVICE_STACKS] = "thread stacks can be all of it: have it start fewer threads, or with a "
			  "smaller stack (ulimit -s)",
	[ADVICE_HOOK] = "see which processes lack the hook: memguardctl{user} list {what}, against "
			"its cgroup.procs",
	[ADVICE_HUGE_PAGES] = "keep its heap out of huge pages: "
			      "GLIBC_TUNABLES=glibc.malloc.hugetlb=0 in its environment, and "
			      "madvise in /sys/kernel/mm/transparent_hugepage/enabled",
	[ADVICE_RESTART] = "until then a restart helps",
};

struct words {
	/* For a shell. */
	char what[NAME_QUOTED_MAX]; /* as the command line takes it: a unit, a path, or a pid */
	char path[NAME_QUOTED_MAX];
	char unit[NAME_QUOTED_MAX];
	char limited[NAME_QUOTED_MAX]; /* whose limit it is */
	char pid[16];
	const char *allocator;
	const char *user, *limited_user; /* " --user", or nothing */
	const char *calm;		 /* how it is released from while all is calm */
};

static bool is_unit(const char *name)
{
	static const char *const suffixes[] = { ".service", ".scope", ".slice" };
	const size_t length = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (length > strlen(suffixes[i]) &&
		    streq(name + length - strlen(suffixes[i]), suffixes[i]))
			return true;

	return false;
}

static void set_word(const char *name, char word[static NAME_QUOTED_MAX])
{
	char clean[NAME_QUOTED_MAX];

	(void)name_quote(dict_clean(name, clean, sizeof(clean)), word, NAME_QUOTED_MAX);
}

/* As the command line takes it. False: nothing that systemd knows by name, so its path. */
static bool find_limited(const struct group *group, char word[static NAME_QUOTED_MAX])
{
	char path[4096];
	const char *name;

	if (!group_limit_of(group, path, sizeof(path))) {
		set_word(group->unit ? group->unit : "UNIT", word);
		return group->unit != NULL;
	}

	name = strrchr(path, '/') + 1;
	set_word(is_unit(name) ? name : path, word);
	return is_unit(name);
}

/* What is not below the user's manager is the system's. */
static bool is_limit_of_user(const struct group *group)
{
	char path[4096];
	const char *manager;

	if (!group->users || !group_limit_of(group, path, sizeof(path)))
		return group->users;

	manager = strstr(path, "/user@");
	return manager && strchr(manager + 1, '/');
}

/* What is in force already nobody has to set. */
static const char *calm_of(const struct group_settings *settings)
{
	if (settings->mode == MODE_OBSERVE)
		return "and from now on while it is idle: Mode=trim in memguard.conf";

	return settings->retained_high_bytes > 0
		       ? "while it is idle memguard does so by itself, from RetainedHigh= on"
		       : "and from now on while it is idle: RetainedHigh= in memguard.conf";
}

static void find_words(const struct diagnosis *diagnosis, const struct group *group,
		       const struct member *member, struct words *ret)
{
	const char *path = group->path ? group->path : "WHAT";

	const int pid = member ? (int)member->process.pid : (int)diagnosis->use.largest_pid;

	/* Of a group the member that holds most. Of one that all have left it is of who comes next. */
	snprintf(ret->pid, sizeof(ret->pid), "%s", "PID");
	if (pid > 0 && (member || group->n_members > 0))
		snprintf(ret->pid, sizeof(ret->pid), "%d", pid);

	set_word(group->unit ? group->unit : "UNIT", ret->unit);
	set_word(group->unit ? group->unit : member ? ret->pid : path, ret->what);
	set_word(path, ret->path);
	(void)find_limited(group, ret->limited);
	ret->allocator = diagnosis->allocator ? diagnosis->allocator : "jemalloc";
	ret->user = group->users ? " --user" : "";
	ret->limited_user = is_limit_of_user(group) ? " --user" : "";
	ret->calm = calm_of(group->settings);
}

/* Of a group. */
static const char stopped_in[] = "let go on what is stopped there by a signal or a debugger; which that "
				 "is: NOTE in memguardctl{user} list {what}";

/* The word for what @text begins with, and how much of it that stands for. */
static const char *word_at(const struct words *words, const char *text, size_t *ret_n)
{
	const struct {
		const char *name, *word;
	} all[] = {
		{ "{what}", words->what },
		{ "{path}", words->path },
		{ "{unit}", words->unit },
		{ "{limited}", words->limited },
		{ "{pid}", words->pid },
		{ "{allocator}", words->allocator },
		{ "{user}", words->user },
		{ "{limited_user}", words->limited_user },
		{ "{calm}", words->calm },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		*ret_n = strlen(all[i].name);
		if (strncmp(text, all[i].name, *ret_n) == 0)
			return all[i].word;
	}

	return NULL;
}

static const char *text_of(enum advice advice, const struct group *group,
			   const struct member *member)
{
	const unsigned int i = (unsigned int)advice;
	char name[NAME_QUOTED_MAX];

	if (i >= ARRAY_SIZE(advices))
		return "unknown";
	if (advice == ADVICE_CONTINUE && !member)
		return stopped_in;
	if (advice == ADVICE_RAISE_LIMIT && group->limit_level > 0)
		return find_limited(group, name)
			       ? advices[i]
			       : "if it needs that much: raise the limit of {limited}, which it shares";

	return group->unit || !advices_without_unit[i] ? advices[i] : advices_without_unit[i];
}

char *sentences_advice(enum advice advice, const struct diagnosis *diagnosis,
		       const struct group *group, const struct member *member, char *buf,
		       size_t size)
{
	const char *text = text_of(advice, group, member);
	struct words words;
	size_t used = 0, n;

	find_words(diagnosis, group, member, &words);
	while (*text && used + 1 < size) {
		const char *word = word_at(&words, text, &n);

		if (!word) {
			buf[used++] = *text++;
			continue;
		}
		text += n;
		for (; *word && used + 1 < size; word++)
			buf[used++] = *word;
	}

	buf[used] = '\0';
	return buf;
}
