/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A process that talks to memguardd as a hook would, or as none should. It tells what
 * happens line by line on stdout, so that tests can wait for it, and ends with the
 * connection: 0 when that went as the mode says, 1 when not, 2 for a wrong command line.
 */

#include "tests/shim/fake-hook.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct mode {
	const char *name;
	int (*greet)(struct fake *fake);
	int (*answer)(struct fake *fake, const struct wire_frame *question); /* NULL: never reads one */
	const char *help;
};

void fake_say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

int fake_send(struct fake *fake, const void *bytes, size_t size)
{
	ssize_t n = send(fake->fd, bytes, size, MSG_NOSIGNAL);

	if (n == (ssize_t)size)
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		fake_say("closed");
		return 1;
	}

	perror("fake-hook: cannot send");
	return -1;
}

int fake_send_frame(struct fake *fake, const struct wire_frame *frame)
{
	if (wire_check(frame, sizeof(*frame), WIRE_TO_DAEMON) < 0) {
		fprintf(stderr, "fake-hook: made an invalid frame, verb %d\n",
			frame->header.verb);
		return -1;
	}

	return fake_send(fake, frame, sizeof(*frame));
}

int fake_send_garbage(struct fake *fake)
{
	unsigned char bytes[WIRE_FRAME_BYTES];
	uint32_t x = 0x2545f491;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(x >> 24);
	}

	return fake_send(fake, bytes, sizeof(bytes));
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
	{ "untunable", greet_holding, answer_but_tune, "good, but its libc takes no setting" },
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
	{ "vanish-shown", greet_hello, answer_but_rows, "good, but is gone when asked for arenas" },
	{ "wrong-id", greet_hello, answer_another, "answers another question" },
	{ "more-rows", greet_hello, answer_more_rows, "sends more than announced" },
	{ "half-answer", greet_hello, answer_half, "answers with half a frame" },
	{ "garbage-answer", greet_hello, answer_garbage, "answers with noise" },
	{ "silent", greet_not, NULL, "never says HELLO" },
	{ "half", greet_half, NULL, "says half of HELLO" },
	{ "long", greet_long, NULL, "says HELLO and one byte more" },
	{ "garbage", fake_send_garbage, NULL, "says noise instead of HELLO" },
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
	fake_say("closed");
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
		fake_say("closed");
		return 1;
	}
	if (n < 0 || wire_check(&question, (size_t)n, WIRE_TO_HOOK) < 0) {
		fprintf(stderr, "fake-hook: what came is no question\n");
		return -1;
	}
	if (question.header.verb == WIRE_BYE) {
		fake_say("bye");
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
