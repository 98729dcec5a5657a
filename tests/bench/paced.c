/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Requests at a fixed rate over one connection, and how late each answer is: counted from when
 * the request was due, so that while the service stalls those that wait behind count as well.
 * Run by requests.sh.
 *
 *	paced PORT RATE SECONDS
 *
 * Of http://127.0.0.1:PORT/ with keep-alive. Prints the microseconds of each, one a line.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define USEC_PER_SEC UINT64_C(1000000)

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "paced: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

static void wait_until(uint64_t usec)
{
	const struct timespec until = { (time_t)(usec / USEC_PER_SEC),
					(long)(usec % USEC_PER_SEC * 1000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static int connect_to(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)atoi(port)),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const int on = 1;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* The bytes an answer has in all, once its header is there; 0: not yet. */
static size_t answer_bytes(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\ncontent-length:");

	if (!end)
		return 0;
	if (!length || length > end) {
		errno = EPROTO;
		die("an answer without a length");
	}

	return (size_t)(end + 4 - text) + strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
}

static void ask(int fd)
{
	static char text[1 << 20];
	size_t n = 0, expected = 0;

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		die("send");
	while (expected == 0 || n < expected) {
		const ssize_t r = recv(fd, text + n, sizeof(text) - 1 - n, 0);

		if (r <= 0)
			die("recv");
		n += (size_t)r;
		text[n] = '\0';
		if (expected == 0)
			expected = answer_bytes(text);
	}
}

int main(int argc, char **argv)
{
	uint64_t period_usec, due_usec, end_usec;
	int fd;

	if (argc != 4 || atoi(argv[2]) <= 0 || atoi(argv[3]) <= 0) {
		fprintf(stderr, "Usage: paced PORT RATE SECONDS\n");
		return 2;
	}

	period_usec = USEC_PER_SEC / (uint64_t)atoi(argv[2]);
	fd = connect_to(argv[1]);
	ask(fd);
	due_usec = now_usec() + period_usec;
	end_usec = due_usec + (uint64_t)atoi(argv[3]) * USEC_PER_SEC;
	for (; due_usec < end_usec; due_usec += period_usec) {
		wait_until(due_usec);
		ask(fd);
		printf("%" PRIu64 "\n", now_usec() - due_usec);
	}

	close(fd);
	return 0;
}
