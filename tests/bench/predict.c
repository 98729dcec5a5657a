/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How well is a release predicted? Brings heaps into many states, each in a process of its
 * own under the hook, asks for statistics, predicts as the daemon does, has the heap
 * released and compares; then the same once more in the same process, with what the first
 * release taught. Run by predict.sh, which says where the hook is.
 *
 *   predict [--state=NAME] [--method=full|borrow]    prints a table, a summary, and families
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/policy/calibrate.h"
#include "agent/policy/estimate.h"
#include "tests/bench/predict.h"

#define ANSWER_MSEC 60000

/* What a prediction may be off by: this part of the release, or this much. */
#define TOLERANCE_PART 10
#define TOLERANCE_BYTES (8 * MIB)

/* Of what is sooner done nobody wants to know how long it takes. */
#define TIMED_USEC (2 * USEC_PER_MSEC)

struct result {
	uint64_t predicted, released, walk_usec;
	struct forecast forecast;
	struct wire_reclaim_reply reply;
	struct stats stats;
};

/* States that are alike, in one row. */
struct family {
	const char *name;
	unsigned int n_states, n_within[ROUNDS], n_timed[ROUNDS], n_time[ROUNDS];
	double least[ROUNDS], most[ROUNDS]; /* predicted of released; 0: too little was to tell */
};

enum {
	FAMILY_BELOW_PAGE,
	FAMILY_HOLES,
	FAMILY_UNSORTED,
	FAMILY_TOPS,
	FAMILY_FEW_ARENAS,
	FAMILY_MANY_ARENAS,
	FAMILY_TRIMMED,
	FAMILY_HUGE,
	FAMILY_BUSY,
	FAMILY_ALL,
	FAMILY_MAX_,
};

static struct family families[FAMILY_MAX_] = {
	[FAMILY_BELOW_PAGE] = { .name = "one arena, blocks of some or all below a page" },
	[FAMILY_HOLES] = { .name = "one arena, holes of a page to 8 MiB" },
	[FAMILY_UNSORTED] = { .name = "the same, right after a mass free" },
	[FAMILY_TOPS] = { .name = "large tops" },
	[FAMILY_FEW_ARENAS] = { .name = "2 to 8 arenas" },
	[FAMILY_MANY_ARENAS] = { .name = "16 to 256 arenas" },
	[FAMILY_TRIMMED] = { .name = "trimmed before, or used again in part" },
	[FAMILY_HUGE] = { .name = "huge pages" },
	[FAMILY_BUSY] = { .name = "busy threads meanwhile" },
	[FAMILY_ALL] = { .name = "all" },
};

static enum wire_method method = WIRE_METHOD_FULL;

static void take(int fd, struct wire_frame *frame)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&pollfd, 1, ANSWER_MSEC) != 1) {
		fprintf(stderr, "predict: the hook does not answer\n");
		exit(1);
	}
	n = recv(fd, frame, sizeof(*frame), 0);
	if (n <= 0 || wire_check(frame, (size_t)n, WIRE_TO_DAEMON) < 0) {
		fprintf(stderr, "predict: what came is no answer of a hook\n");
		exit(1);
	}
}

static void ask(int fd, struct wire_frame *frame)
{
	if (send(fd, frame, sizeof(*frame), MSG_NOSIGNAL) != (ssize_t)sizeof(*frame)) {
		perror("predict: cannot ask the hook");
		exit(1);
	}
	take(fd, frame);
}

static void ask_stats(int fd, struct stats *ret)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_HOOK, WIRE_STATS, 1, WIRE_OK);
	frame.stats_request.flags = WIRE_STATS_HEAP | WIRE_STATS_RSS;
	ask(fd, &frame);
	*ret = stats_of(&frame.stats, NULL);
}

static struct result compare(int fd, struct member *member)
{
	struct result result = { 0 };
	struct wire_frame frame;
	struct stats after;

	ask_stats(fd, &member->stats);
	member->stats_usec = 1;
	estimate_member(member);
	result.stats = member->stats;
	result.forecast = method == WIRE_METHOD_BORROW ? member->borrow
						      : (struct forecast){
								member->retained_bytes,
								member->stall_usec,
								member->release_usec,
							};

	wire_init(&frame, WIRE_TO_HOOK, WIRE_RECLAIM, 2, WIRE_OK);
	frame.reclaim_request.method = method;
	ask(fd, &frame);
	if (frame.header.status != WIRE_OK) {
		fprintf(stderr, "predict: the hook refused, status %" PRIu32 "\n",
			frame.header.status);
		exit(1);
	}
	result.reply = frame.reclaim_reply;
	result.released = sub_sat(result.reply.rss_before, result.reply.rss_after);

	if (method == WIRE_METHOD_BORROW)
		member->lessons->calibration = calibrate_add_borrow(
			&member->lessons->calibration, &result.reply,
			estimate_borrow_bytes(&member->stats, member->retained_bytes));
	else
		member->lessons->calibration = calibrate_add_full(
			&member->lessons->calibration, &result.reply,
			estimate_release_usec(&member->stats, result.released,
					      estimate_is_busy(member)),
			estimate_is_busy(member));
	ask_stats(fd, &after);
	member->lessons->bias_bytes = estimate_bias(&after);
	return result;
}

static bool is_within(const struct result *r)
{
	const uint64_t off = MAX(r->forecast.bytes, r->released) -
			     MIN(r->forecast.bytes, r->released);

	return off <= MAX(r->released / TOLERANCE_PART, TOLERANCE_BYTES);
}

static int family_of(const struct state *state)
{
	if (state->huge != NO_HUGE)
		return FAMILY_HUGE;
	if (state->busy)
		return FAMILY_BUSY;
	if (state->after == TRIMMED || state->after == REUSED)
		return FAMILY_TRIMMED;
	if (state->top != NO_TOP)
		return FAMILY_TOPS;
	if (state->n_arenas > 8)
		return FAMILY_MANY_ARENAS;
	if (state->n_arenas > 1)
		return FAMILY_FEW_ARENAS;
	if (state->least < 4096)
		return FAMILY_BELOW_PAGE;

	return state->after == UNSORTED ? FAMILY_UNSORTED : FAMILY_HOLES;
}

static void add(struct family *family, int round, const struct result *r)
{
	const double usec = (double)MAX(r->reply.duration_usec, (uint64_t)1);
	const double time = (double)r->forecast.usec / usec;
	double part;

	family->n_states += round == 0;
	family->n_within[round] += is_within(r);
	if (r->reply.duration_usec >= TIMED_USEC) {
		family->n_timed[round]++;
		family->n_time[round] += time >= 0.5 && time <= 2;
	}
	if (r->released < TOLERANCE_BYTES)
		return;

	part = (double)r->forecast.bytes / (double)r->released;
	if (family->most[round] == 0)
		family->least[round] = part;
	family->least[round] = MIN(family->least[round], part);
	family->most[round] = MAX(family->most[round], part);
}

static void report(const struct state *state, int round, const struct result *r)
{
	add(&families[family_of(state)], round, r);
	add(&families[FAMILY_ALL], round, r);
	printf("| %s%s | %" PRIu32 " | %.1f | %.1f | %.1f | %s | %.1f | %.1f | %.1f |\n",
	       round == 0 ? state->name : "", round == 0 ? "" : "again",
	       r->stats.n_arenas, (double)r->stats.heap_rss / (double)MIB,
	       (double)r->forecast.bytes / (double)MIB, (double)r->released / (double)MIB,
	       is_within(r) ? "yes" : "**no**", (double)r->forecast.stall_usec / 1000,
	       (double)r->forecast.usec / 1000, (double)r->reply.duration_usec / 1000);
	fflush(stdout);
}

static void print_range(const struct family *f, int round)
{
	if (f->most[round] > 0)
		printf(" %.0f to %.0f %% |", 100 * f->least[round], 100 * f->most[round]);
	else
		printf(" - |");
}

/* The table of README.md. */
static void print_families(void)
{
	printf("\n| heaps | states | within 10 %% or 8 MiB | after a release | predicted, of what was "
	       "released | after a release | time within a factor of two | after a release |\n"
	       "|---|---|---|---|---|---|---|---|\n");
	for (int i = 0; i < FAMILY_MAX_; i++) {
		const struct family *f = &families[i];

		if (f->n_states == 0)
			continue;
		printf("| %s | %u |", f->name, f->n_states);
		for (int round = 0; round < ROUNDS; round++)
			printf(" %u |", f->n_within[round]);
		for (int round = 0; round < ROUNDS; round++)
			print_range(f, round);
		for (int round = 0; round < ROUNDS; round++)
			printf(" %u of %u%s", f->n_time[round], f->n_timed[round],
			       round == ROUNDS - 1 ? " |\n" : " |");
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, &address, sizeof(address)) < 0 || listen(fd, 4) < 0) {
		perror("predict: cannot listen for the hook");
		exit(1);
	}
	return fd;
}

static pid_t start(const struct state *state, int *ret_in, int *ret_out)
{
	char index[32];
	int in[2], out[2];
	pid_t pid;

	if (pipe(in) < 0 || pipe(out) < 0 || (pid = fork()) < 0) {
		perror("predict: cannot start a process");
		exit(1);
	}
	if (pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		setenv("LD_PRELOAD", getenv("HOOK"), 1);
		setenv("MEMGUARD_AGENT", "auto", 1);
		if (state->huge == HUGE_TUNABLE)
			setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1);
		snprintf(index, sizeof(index), "%td", state - states);
		execl("/proc/self/exe", "predict", "--subject", index, (char *)NULL);
		_exit(127);
	}

	close(in[0]);
	close(out[1]);
	*ret_in = in[1];
	*ret_out = out[0];
	return pid;
}

static void await_ready(int fd, const struct state *state)
{
	char c;

	if (read(fd, &c, 1) != 1) {
		fprintf(stderr, "predict: the process of \"%s\" ended early\n", state->name);
		exit(1);
	}
}

/* The newest connection: a program that forks has left the older one. */
static int accept_hook(int listener)
{
	struct pollfd pollfd = { .fd = listener, .events = POLLIN };
	int fd = -1, wait_msec = ANSWER_MSEC;

	while (poll(&pollfd, 1, wait_msec) == 1) {
		if (fd >= 0)
			close(fd);
		fd = accept(listener, NULL, NULL);
		wait_msec = 0;
	}
	if (fd < 0) {
		fprintf(stderr, "predict: no hook connected\n");
		exit(1);
	}
	return fd;
}

static void run_state(int listener, const struct state *state)
{
	struct lessons lessons = { .release_faults = 0 };
	struct member member = {
		.has_lessons = true,
		.lessons = &lessons,
		.busy_permyriad = state->busy ? 9000 : 0,
		.process.state = 'S',
	};
	struct wire_frame hello;
	int in, out, fd;
	pid_t pid = start(state, &in, &out);

	await_ready(out, state);
	fd = accept_hook(listener);
	take(fd, &hello);
	member.hello = hello_of(&hello.hello, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		struct result result;

		if (i > 0) {
			if (write(in, "g", 1) != 1)
				exit(1);
			await_ready(out, state);
		}
		result = compare(fd, &member);
		report(state, i, &result);
	}

	close(in);
	close(out);
	close(fd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	int listener;

	if (argc == 3 && streq(argv[1], "--subject"))
		return subject(&states[strtoul(argv[2], NULL, 10)]);

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--state=", 8) == 0)
			only = argv[i] + 8;
		else if (streq(argv[i], "--method=borrow"))
			method = WIRE_METHOD_BORROW;
		else if (!streq(argv[i], "--method=full"))
			return 2;
	if (!getenv("HOOK") || !getenv("MEMGUARD_SOCKET")) {
		fprintf(stderr, "predict: HOOK and MEMGUARD_SOCKET must be set; run predict.sh\n");
		return 2;
	}

	listener = listen_at(getenv("MEMGUARD_SOCKET"));
	printf("| state | arenas | heap, MiB | predicted, MiB | released, MiB | within "
	       "| predicted stall, ms | predicted time, ms | took, ms |\n"
	       "|---|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < n_of_states; i++)
		if (!only || strstr(states[i].name, only))
			run_state(listener, &states[i]);

	print_families();
	return 0;
}
