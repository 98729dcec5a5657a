/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Feeds recorded facts (*.round, see README.md) to the policy and compares what it
 * decides with what the file expects. The format is scene.c's.
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/basic/macro.h"
#include "agent/policy/benefit.h"
#include "agent/policy/gate.h"
#include "agent/policy/pick.h"
#include "agent/policy/trend.h"
#include "agent/policy/yield.h"
#include "tests/replay/scene.h"

#define TEXT_MAX 2048

/* From the facts of the step to what the policy says. */
static void decide(struct scene *scene, struct decision *ret)
{
	const struct member *list[MEMBERS_MAX];
	struct group *group = &scene->group;
	enum reason trigger;

	group->settings = &scene->settings;
	group->benefit = &scene->benefit;

	for (size_t i = 0; i < scene->n_members; i++)
		list[i] = &scene->members[i];

	if (scene->has_outcome)
		scene->benefit = benefit_add(group, &scene->outcome);
	if (scene->take_reading)
		group->trend = trend_add(&group->trend, &group->reading);

	group->n_members = scene->n_members;
	group->gate = gate_step(group, &scene->signals, scene->now_usec);

	trigger = scene->command ? REASON_COMMAND : group->gate.reason;
	*ret = (struct decision){ .reason = trigger };
	if (scene->command || gate_is_open(&group->gate))
		pick_members(group, list, scene->n_members, trigger,
			     group->settings->method, ret);
}

/* Of the round under way, by the gate as it is now. */
static enum yield decide_yield(struct scene *scene)
{
	struct pick pick;

	for (size_t i = 0; i < scene->n_members; i++)
		if (scene->running_pid == (uint32_t)scene->members[i].process.pid)
			scene->running.member = &scene->members[i];

	return yield_decide(&scene->group, &scene->running, scene->now_usec, &pick);
}

static void list_picks(const struct decision *decision, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < decision->n_picks && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%d", i > 0 ? " " : "",
				      (int)decision->picks[i].pid);
}

/* "borrow/stall full/idle": method and why, in the order of the picks. */
static void list_methods(const struct decision *decision, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < decision->n_picks && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s/%s", i > 0 ? " " : "",
				      method_to_string(decision->picks[i].method),
				      why_to_string(decision->picks[i].why));
}

static void compare(struct scene *scene, enum expectation what, const char *found)
{
	if (!scene->expected[what] || streq(scene->expect[what], found))
		return;

	printf("# %s:%u: step %u: %s is \"%s\", expected \"%s\"\n", scene->file,
	       scene->line, scene->n_steps, scene_expect_keys[what], found,
	       scene->expect[what]);
	scene->n_wrong++;
}

/* What holds for one step only must not leak into the next. */
static void forget_step(struct scene *scene)
{
	scene->started = false;
	scene->signals = (struct signals){ 0 };
	scene->take_reading = scene->command = scene->has_outcome = false;
	scene->outcome = (struct outcome){ 0 };
	scene->running = (struct running){ 0 };
	scene->running_pid = 0;
	memset(scene->expected, 0, sizeof(scene->expected));
}

static int run_step(struct scene *scene)
{
	struct decision decision;
	char picks[TEXT_MAX];

	scene->n_steps++;
	if (!scene->started || memchr(scene->expected, true, EXPECT_MAX_) == NULL)
		return scene_complain(scene,
				      "this step expects nothing, so it proves nothing; add",
				      "expect.reason = ...");

	if (scene->now_usec == 0)
		return scene_complain(scene, "the first step must say", "now_usec = ...");

	decide(scene, &decision);
	list_picks(&decision, picks, sizeof(picks));
	compare(scene, EXPECT_GATE_STATE, gate_state_to_string(scene->group.gate.state));
	compare(scene, EXPECT_REASON, reason_to_string(decision.reason));
	compare(scene, EXPECT_ACT, decision.act ? "yes" : "no");
	compare(scene, EXPECT_PICKS, picks);
	list_methods(&decision, picks, sizeof(picks));
	compare(scene, EXPECT_METHODS, picks);
	snprintf(picks, sizeof(picks), "%u", decision.n_needed);
	compare(scene, EXPECT_NEEDED, picks);
	compare(scene, EXPECT_YIELD, yield_to_string(decide_yield(scene)));
	forget_step(scene);
	return 0;
}

static char *strip(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;

	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';

	return s;
}

static int take_text(struct scene *scene, char *line)
{
	char *text = strip(line), *value;

	if (*text == '\0' || *text == '#')
		return 0;

	if (streq(text, "step"))
		return run_step(scene);

	value = strchr(text, '=');
	if (!value)
		return scene_complain(scene, "a line is \"key = value\" or \"step\", not",
				      text);

	*value++ = '\0';
	return scene_take(scene, strip(text), strip(value));
}

static int replay_lines(struct scene *scene, FILE *f)
{
	char line[LINE_MAX_BYTES];
	int r;

	while (fgets(line, sizeof(line), f)) {
		scene->line++;
		if (strlen(line) == sizeof(line) - 1)
			return scene_complain(scene, "the line is too long:", line);

		r = take_text(scene, line);
		if (r < 0)
			return r;
	}

	if (ferror(f))
		return scene_complain(scene, "cannot read on", scene->file);

	return run_step(scene);
}

/* True when every step came to what the file expects. */
static bool replay_file(const char *file)
{
	static struct scene scene;
	FILE *f;
	int r;

	scene = (struct scene){ .file = file };
	f = fopen(file, "re");
	if (!f) {
		fprintf(stderr, "%s: cannot open: %s\n", file, strerror(errno));
		return false;
	}

	r = replay_lines(&scene, f);
	fclose(f);
	return r == 0 && scene.n_wrong == 0;
}

int main(int argc, char *argv[])
{
	int n_failed = 0;

	if (argc < 2) {
		fprintf(stderr, "Usage: %s FILE.round...\n", argv[0]);
		return 2;
	}

	for (int i = 1; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');
		const bool good = replay_file(argv[i]);

		printf("%sok %d - %s\n", good ? "" : "not ", i,
		       slash ? slash + 1 : argv[i]);
		n_failed += !good;
	}

	printf("1..%d\n", argc - 1);
	return n_failed > 0 ? 1 : 0;
}
