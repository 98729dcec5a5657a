/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A process that talks to memguardd as a hook would, or as none should. It tells what
 * happens line by line on stdout, so that tests can wait for it, and ends with the
 * connection: 0 when that went as the mode says, 1 when not, 2 for a wrong command line.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libhook/wire.h"

#define MIB (UINT64_C(1) << 20)

/* What a good hook says is in use beside what it can give back. */
#define LIVE_BYTES MIB

struct fake {
	int fd;
	unsigned long n;         /* the mode's number */
	uint64_t retained_bytes; /* resident until a RECLAIM */
	char *memory;
	size_t memory_bytes;
};

struct mode {
	const char *name;
	/* Instead of a HELLO. Nonzero ends the program: < 0 failed. */
	int (*greet)(struct fake *fake);
	/* The same for a question. NULL: never reads one. */
	int (*answer)(struct fake *fake, const struct wire_frame *question);
	const char *help;
};

static void say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

/* 0, 1 when the daemon has closed, or -1. */
static int send_bytes(struct fake *fake, const void *bytes, size_t size)
{
	ssize_t n = send(fake->fd, bytes, size, MSG_NOSIGNAL);

	if (n == (ssize_t)size)
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		say("closed");
		return 1;
	}

	perror("fake-hook: cannot send");
	return -1;
}

static int send_frame(struct fake *fake, const struct wire_frame *frame)
{
	if (wire_check(frame, sizeof(*frame), WIRE_TO_DAEMON) < 0) {
		fprintf(stderr, "fake-hook: made an invalid frame, verb %d\n",
			frame->header.verb);
		return -1;
	}

	return send_bytes(fake, frame, sizeof(*frame));
}

static uint64_t own_rss(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* -- Greetings -- */

static struct wire_frame hello_frame(void)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_HELLO, 0, WIRE_OK);
	frame.hello.agent_tid = (uint32_t)getpid();
	frame.hello.allocators = frame.hello.malloc_owner = WIRE_ALLOCATOR_GLIBC;
	frame.hello.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	strcpy(frame.hello.hook_version, "fake");
	strcpy(frame.hello.libc_version, "2.36");
	return frame;
}

static int greet_hello(struct fake *fake)
{
	const struct wire_frame frame = hello_frame();
	int r = send_frame(fake, &frame);

	if (r == 0)
		say("hello");
	return r;
}

/* Who connected ends, and a child goes on. */
static int greet_and_pass_on(struct fake *fake)
{
	int r = greet_hello(fake);

	return r == 0 && fork() > 0 ? 1 : r;
}

static int pass_on_and_greet(struct fake *fake)
{
	if (fork() > 0)
		return 1;

	(void)getchar();
	return greet_hello(fake);
}

/* A sanitizer would look into tables of its own for each byte: an eighth as much memory again. */
__attribute__((no_sanitize("address", "thread"))) static void fill(volatile char *memory, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += 4096)
		memory[i] = 1;
}

static int greet_holding(struct fake *fake)
{
	/* First: on a loaded machine touching memory takes longer than a HELLO may. */
	int r = greet_hello(fake);

	fake->memory_bytes = fake->n * MIB;
	if (fake->memory_bytes > 0) {
		fake->memory = mmap(NULL, fake->memory_bytes, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (fake->memory == MAP_FAILED) {
			perror("fake-hook: cannot hold that much memory");
			return -1;
		}
		fill(fake->memory, fake->memory_bytes);
	}

	fake->retained_bytes = fake->memory_bytes;
	return r;
}

static int greet_not(struct fake *fake)
{
	(void)fake;
	say("silent");
	return 0;
}

static int greet_half(struct fake *fake)
{
	const struct wire_frame frame = hello_frame();

	return send_bytes(fake, &frame, sizeof(frame) / 2);
}

static int greet_long(struct fake *fake)
{
	const struct wire_frame frame = hello_frame();
	unsigned char bytes[sizeof(frame) + 1] = { 0 };

	memcpy(bytes, &frame, sizeof(frame));
	return send_bytes(fake, bytes, sizeof(bytes));
}

static int send_garbage(struct fake *fake)
{
	unsigned char bytes[WIRE_FRAME_BYTES];
	uint32_t x = 0x2545f491;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(x >> 24);
	}

	return send_bytes(fake, bytes, sizeof(bytes));
}

static int greet_twice(struct fake *fake)
{
	int r = greet_hello(fake);

	return r == 0 ? greet_hello(fake) : r;
}

static int greet_bye(struct fake *fake)
{
	struct wire_frame frame;
	int r = greet_hello(fake);

	if (r != 0)
		return r;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_BYE, 0, WIRE_OK);
	return send_frame(fake, &frame);
}

static int greet_flood(struct fake *fake)
{
	struct wire_frame frame;
	int r = greet_hello(fake);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, 1, WIRE_OK);
	while (r == 0)
		r = send_frame(fake, &frame);

	return r;
}

/* -- Answers -- */

static int answer_rows(struct fake *fake, uint64_t id, uint32_t n_rows)
{
	int r = 0;

	for (uint32_t first = 0; first < n_rows && r == 0; first += WIRE_ROWS) {
		const uint32_t left = n_rows - first;
		struct wire_frame frame;

		wire_init(&frame, WIRE_TO_DAEMON, WIRE_ARENA, id, WIRE_OK);
		frame.arenas.first = first;
		frame.arenas.n_rows = left < WIRE_ROWS ? left : WIRE_ROWS;
		for (uint32_t i = 0; i < frame.arenas.n_rows; i++)
			frame.arenas.rows[i].nr = first + i;
		r = send_frame(fake, &frame);
	}

	return r;
}

static void fill_stats(const struct fake *fake, struct wire_stats *stats)
{
	const uint64_t retained = fake->retained_bytes;

	stats->rss = own_rss();
	if (stats->flags & WIRE_STATS_RSS)
		stats->heap_rss = retained + LIVE_BYTES;
	if (!(stats->flags & WIRE_STATS_HEAP))
		return;

	stats->system = retained + LIVE_BYTES;
	stats->in_use = LIVE_BYTES;
	stats->free = stats->whole_pages = stats->largest_pages = retained;
	stats->n_arenas = stats->n_anchored = 1;
	stats->n_free = stats->n_page_free = stats->largest_n_page_free =
		stats->largest_n_free =
		(uint32_t)(retained / MIB);
}

static int answer_stats(struct fake *fake, const struct wire_frame *question,
			uint32_t n_rows)
{
	struct wire_frame frame;
	uint32_t flags = question->stats_request.flags;

	if (flags & WIRE_STATS_ARENAS)
		flags |= WIRE_STATS_HEAP;
	else
		n_rows = 0;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_OK);
	frame.stats.flags = flags;
	frame.stats.n_arena_frames = (n_rows + WIRE_ROWS - 1) / WIRE_ROWS;
	fill_stats(fake, &frame.stats);
	if (send_frame(fake, &frame) != 0)
		return 1;

	return answer_rows(fake, question->header.id, n_rows);
}

static int answer_reclaim(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question->header.id, WIRE_OK);
	frame.reclaim_reply.method = question->reclaim_request.method;
	frame.reclaim_reply.allocators = WIRE_ALLOCATOR_GLIBC;
	frame.reclaim_reply.n_arenas = frame.reclaim_reply.n_reached = 1;
	frame.reclaim_reply.stall_usec = 700;
	frame.reclaim_reply.rss_before = own_rss();
	if (fake->memory)
		(void)madvise(fake->memory, fake->memory_bytes, MADV_DONTNEED);
	fake->retained_bytes = 0;
	frame.reclaim_reply.rss_after = own_rss();
	frame.reclaim_reply.duration_usec = 1000;
	return send_frame(fake, &frame);
}

/* At work, for all that the daemon can see, until it sends something else. */
static void work(const struct fake *fake)
{
	struct pollfd pollfd = { .fd = fake->fd, .events = POLLIN };

	while (poll(&pollfd, 1, 0) == 0)
		;
	say("interrupted");
}

static bool is_borrowing(const struct wire_frame *question)
{
	return question->header.verb == WIRE_RECLAIM &&
	       question->reclaim_request.method == WIRE_METHOD_BORROW;
}

static int answer_tune(struct fake *fake, const struct wire_frame *question)
{
	const struct wire_tune_request *request = &question->tune_request;
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_TUNE, question->header.id, WIRE_OK);
	frame.tune_reply.knob = request->knob;
	frame.tune_reply.value =
		wire_clamp((enum wire_knob)request->knob, request->value);
	return send_frame(fake, &frame);
}

static int answer(struct fake *fake, const struct wire_frame *question, uint32_t n_rows)
{
	switch ((enum wire_verb)question->header.verb) {
	case WIRE_STATS:
		return answer_stats(fake, question, n_rows);
	case WIRE_RECLAIM:
		return answer_reclaim(fake, question);
	case WIRE_TUNE:
		return answer_tune(fake, question);
	case WIRE_HELLO:
	case WIRE_ARENA:
	case WIRE_BYE:
		break;
	}

	return -1;
}

static int answer_well(struct fake *fake, const struct wire_frame *question)
{
	return answer(fake, question, 1);
}

static int answer_with_rows(struct fake *fake, const struct wire_frame *question)
{
	return answer(fake, question, (uint32_t)fake->n);
}

static int answer_slowly(struct fake *fake, const struct wire_frame *question)
{
	const struct timespec delay = {
		.tv_sec = (time_t)(fake->n / 1000),
		.tv_nsec = (long)(fake->n % 1000) * 1000000,
	};

	nanosleep(&delay, NULL);
	return answer_well(fake, question);
}

/* Stopped in the middle of a release, for all that the daemon can see. */
static int answer_but_reclaim(struct fake *fake, const struct wire_frame *question)
{
	return question->header.verb == WIRE_RECLAIM ? 0 : answer_well(fake, question);
}

static int answer_never(struct fake *fake, const struct wire_frame *question)
{
	(void)fake;
	(void)question;
	return 0;
}

/* Valid frames, impossible figures. */
static int answer_lying(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, (enum wire_verb)question->header.verb,
		  question->header.id, WIRE_OK);
	memset(frame.bytes, 0xff, frame.header.length);
	switch ((enum wire_verb)question->header.verb) {
	case WIRE_STATS:
		frame.stats.flags = question->stats_request.flags;
		frame.stats.n_arena_frames = 0;
		break;
	case WIRE_RECLAIM:
		frame.reclaim_reply.method = WIRE_METHOD_FULL;
		frame.reclaim_reply.allocators = WIRE_ALLOCATOR_OTHER;
		frame.reclaim_reply.rss_after = 0;
		break;
	case WIRE_TUNE:
		frame.tune_reply.knob = question->tune_request.knob;
		frame.tune_reply.effect = WIRE_EFFECT_SET;
		break;
	case WIRE_HELLO:
	case WIRE_ARENA:
	case WIRE_BYE:
		return -1;
	}

	return send_frame(fake, &frame);
}

/* Knows full trims only, as hooks before borrowing do. */
static volatile sig_atomic_t is_told;

static void on_told(int signal)
{
	(void)signal;
	is_told = 1;
}

/* Something waits for a SIGUSR1: its figures, or the end of a release. */
static int greet_unmeasured(struct fake *fake)
{
	const struct sigaction told = { .sa_handler = on_told, .sa_flags = SA_RESTART };

	if (sigaction(SIGUSR1, &told, NULL) < 0)
		return -1;
	return greet_holding(fake);
}

static int answer_when_told(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	if (question->header.verb != WIRE_STATS || is_told)
		return answer_well(fake, question);

	say("not measured");
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_FAILED);
	return send_frame(fake, &frame);
}

/* At a release until then. */
static int answer_reclaim_when_told(struct fake *fake, const struct wire_frame *question)
{
	while (question->header.verb == WIRE_RECLAIM && !is_told)
		;
	return answer_well(fake, question);
}

static int answer_full_only(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	if (question->header.verb != WIRE_RECLAIM ||
	    question->reclaim_request.method == WIRE_METHOD_FULL)
		return answer_well(fake, question);

	say("cannot borrow");
	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question->header.id, WIRE_UNSUPPORTED);
	return send_frame(fake, &frame);
}

/* Knows nothing of questions that overtake: when it is done it is done. */
static int answer_as_of_old(struct fake *fake, const struct wire_frame *question)
{
	if (is_borrowing(question))
		work(fake);

	return answer_well(fake, question);
}

/* Answers the second one first, and the first one never. */
static int answer_the_last(struct fake *fake, const struct wire_frame *question)
{
	if (!is_borrowing(question))
		return answer_well(fake, question);

	work(fake);
	return 0;
}

static int answer_no_more(struct fake *fake, const struct wire_frame *question)
{
	if (!is_borrowing(question))
		return answer_well(fake, question);

	work(fake);
	for (struct pollfd pollfd = { .fd = fake->fd, .events = POLLRDHUP }; poll(&pollfd, 1, 0) == 0;)
		;
	say("closed");
	return 1;
}

static int answer_refusing(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, (enum wire_verb)question->header.verb,
		  question->header.id, WIRE_REFUSED);
	return send_frame(fake, &frame);
}

static int answer_another(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame other = *question;

	other.header.id++;
	return answer(fake, &other, 0);
}

/* A STATS answer that announces one ARENA frame, whatever was asked. */
static int answer_more_rows(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_OK);
	frame.stats.n_arena_frames = 1;
	if (send_frame(fake, &frame) != 0)
		return 1;

	return answer_rows(fake, question->header.id, 2 * WIRE_ROWS);
}

static int answer_garbage(struct fake *fake, const struct wire_frame *question)
{
	(void)question;
	return send_garbage(fake);
}

static int answer_half(struct fake *fake, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_OK);
	return send_bytes(fake, &frame, sizeof(frame) / 2);
}

static int answer_by_vanishing(struct fake *fake, const struct wire_frame *question)
{
	(void)fake;
	(void)question;
	say("vanished");
	return 1;
}

static const struct mode modes[] = {
	{ "good", greet_holding, answer_well,
	  "answers everything, holds N MiB until a RECLAIM" },
	{ "rows", greet_hello, answer_with_rows, "the same, with N arenas" },
	{ "slow", greet_hello, answer_slowly, "answers each question after N ms" },
	{ "mute", greet_hello, answer_never, "reads questions, answers none" },
	{ "deaf", greet_hello, NULL, "does not even read them" },
	{ "lying", greet_hello, answer_lying, "valid answers, impossible figures" },
	{ "stuck", greet_holding, answer_but_reclaim, "good, but never answers a RECLAIM" },
	{ "full-only", greet_holding, answer_full_only, "good, but cannot borrow" },
	{ "unmeasured", greet_unmeasured, answer_when_told,
	  "good, but refuses STATS until a SIGUSR1" },
	{ "working", greet_unmeasured, answer_reclaim_when_told,
	  "good, but works at a RECLAIM until a SIGUSR1" },
	{ "old", greet_holding, answer_as_of_old, "good, borrows until it is asked again" },
	{ "skipping", greet_holding, answer_the_last, "the same, and does not answer it" },
	{ "endless", greet_holding, answer_no_more, "the same, and works on for good" },
	{ "refusing", greet_hello, answer_refusing, "refuses everything" },
	{ "late", greet_and_pass_on, answer_refusing, "leaves all to a child" },
	{ "early", pass_on_and_greet, answer_refusing, "also HELLO, after a line of input" },
	{ "vanish", greet_hello, answer_by_vanishing, "is gone when asked" },
	{ "wrong-id", greet_hello, answer_another, "answers another question" },
	{ "more-rows", greet_hello, answer_more_rows, "sends more than announced" },
	{ "half-answer", greet_hello, answer_half, "answers with half a frame" },
	{ "garbage-answer", greet_hello, answer_garbage, "answers with noise" },
	{ "silent", greet_not, NULL, "never says HELLO" },
	{ "half", greet_half, NULL, "says half of HELLO" },
	{ "long", greet_long, NULL, "says HELLO and one byte more" },
	{ "garbage", send_garbage, NULL, "says noise instead of HELLO" },
	{ "twice", greet_twice, NULL, "says HELLO twice" },
	{ "flood", greet_flood, NULL, "answers without end, unasked" },
	{ "bye", greet_bye, NULL, "says HELLO and BYE" },
};

static int usage(const char *program)
{
	fprintf(stderr, "Usage: %s SOCKET MODE [N]\n\n", program);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(stderr, "  %-16s %s\n", modes[i].name, modes[i].help);

	return 2;
}

static int connect_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "fake-hook: \"%s\" is too long for a socket\n", path);
		return -1;
	}
	strcpy(address.sun_path, path);

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &address, sizeof(address)) < 0) {
		fprintf(stderr,
			"fake-hook: cannot connect to \"%s\": %s; is memguardd "
			"running there?\n",
			path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}

	return fd;
}

/* Without reading: what is sent to us piles up. */
static int wait_closed(const struct fake *fake)
{
	struct pollfd pollfd = { .fd = fake->fd, .events = POLLRDHUP };

	while (poll(&pollfd, 1, -1) < 0 && errno == EINTR)
		;
	say("closed");
	return 0;
}

static int serve_one(struct fake *fake, const struct mode *mode)
{
	static const char *const names[] = {
		[WIRE_STATS] = "stats", [WIRE_RECLAIM] = "reclaim", [WIRE_TUNE] = "tune"
	};
	struct wire_frame question;
	ssize_t n = recv(fake->fd, &question, sizeof(question), MSG_TRUNC);

	if (n < 0 && errno == EINTR)
		return 0;
	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		say("closed");
		return 1;
	}
	if (n < 0 || wire_check(&question, (size_t)n, WIRE_TO_HOOK) < 0) {
		fprintf(stderr, "fake-hook: what came is no question\n");
		return -1;
	}
	if (question.header.verb == WIRE_BYE) {
		say("bye");
		return 1;
	}

	printf("asked %s %" PRIu64 "\n", names[question.header.verb], question.header.id);
	fflush(stdout);
	return mode->answer(fake, &question);
}

static int run(struct fake *fake, const struct mode *mode)
{
	int r = mode->greet(fake);

	if (r == 0 && !mode->answer)
		return wait_closed(fake);

	while (r == 0)
		r = serve_one(fake, mode);

	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct mode *mode = NULL;
	struct fake fake = { 0 };
	char *end = NULL;

	if (argc < 3 || argc > 4)
		return usage(argv[0]);

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, argv[2]) == 0)
			mode = &modes[i];
	if (argc == 4) {
		errno = 0;
		fake.n = strtoul(argv[3], &end, 10);
	}
	if (!mode || (end && (*end != '\0' || end == argv[3] || errno != 0)) ||
	    fake.n > 1000000)
		return usage(argv[0]);

	fake.fd = connect_socket(argv[1]);
	if (fake.fd < 0)
		return 1;

	return run(&fake, mode);
}
