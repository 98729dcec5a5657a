/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How long after its group has crossed a threshold a member is asked for a release: a
 * process that grows in its own control group (cgroup v1) and waits for the question, as a
 * hook would. Run by scale.py; in C, so that what is measured is the kernel and the daemon.
 *
 *	trigger SOCKET GROUP_DIRECTORY LIMIT_MIB HIGH_PERCENT TRIALS TURN_FILE NICE
 *	trigger --control GROUP_DIRECTORY ...
 *
 * Several may run at once, so that the cool-downs of one pass while another grows. They take
 * turns by a lock on TURN_FILE: two that grow at once would wait for a processor, not for
 * the daemon. Prints two figures for each trial, the microseconds from when usage was past the
 * threshold and from when the kernel told so, or "missed" where the question came before the
 * threshold or not within 10 s. Between the two are up to 128 pages: so many each processor charges
 * before the kernel compares. It tells whoever armed the place, us as well as the daemon.
 *
 * The event's time is taken in the process that grows, which never waits for it: after each
 * step of four pages it asks its own eventfd on that threshold. When that was signalled, the
 * event counts from the begin of the step, so never late, and early by at most those pages. A
 * question counts from when it is there: it is received by a process of its own, of nice value NICE
 * and scheduled as the daemon is, which passes it on with the time. When it gets a processor, the
 * process that grows would have said, and that is not the daemon's doing.
 *
 * With --control nobody is a member, and the daemon knows nothing of the group. Instead of it a
 * process that is the same to the kernel (of that nice value, in a session of its own that has the
 * same, with the same slice and realtime policy: agent/basic/priority.c) waits for the same event,
 * and does nothing but note when it woke up and send that to another of its kind. What passes until then
 * the machine takes itself, whoever waits. A third figure is from the kernel's word to its waking
 * up; the first two end where its message is there, as a question is.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/basic/priority.h"
#include "libhook/wire.h"

/* Of the limit, below and above the threshold: where waiting begins, and where growth ends. */
#define BELOW_PERCENT 4
#define ABOVE_PERCENT 4

#define STEP_PAGES 4
#define PAGE_BYTES UINT64_C(4096)

/* Longer than the cool-down that scale.py sets; and not always the same. */
#define REST_USEC (1200 * UINT64_C(1000))
#define REST_MORE_USEC (250 * UINT64_C(1000))

#define ANSWER_USEC (10 * USEC_PER_SEC)

/*
 * Until the daemon has a threshold in each of the groups that all come at once: to arm one takes the kernel
 * 5 to 40 ms, and of its time it spends a tenth at most on that. A group is looked at every 10 ms before.
 */
#define BEGIN_USEC (3 * USEC_PER_SEC)

/*
 * Until the daemon has measured what was released. By a program that has grown again before,
 * nothing seems to have been: it is backed off from, and the next question late by that.
 */
#define SETTLE_USEC (100 * UINT64_C(1000))

#define CONTROL "--control"

struct trigger {
	int fd;	     /* to the daemon, or to the control */
	int news_fd; /* what came on that, from who receives it */
	bool is_control;
	int usage_fd;
	int event_fd; /* readable once the kernel has told of the threshold */
	int turn_fd;
	uint64_t limit_bytes;
	uint64_t high_bytes;
	char *memory;
	uint64_t at;	     /* bytes of it that are resident */
	uint64_t woke_usec; /* when the control did last */
};

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "trigger: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t used_bytes(const struct trigger *trigger)
{
	char text[32] = "";

	if (pread(trigger->usage_fd, text, sizeof(text) - 1, 0) <= 0)
		die("usage");
	return strtoull(text, NULL, 10);
}

static void take_turn(const struct trigger *trigger)
{
	while (flock(trigger->turn_fd, LOCK_EX) < 0)
		if (errno != EINTR)
			die("turn");
}

static void end_turn(const struct trigger *trigger)
{
	if (flock(trigger->turn_fd, LOCK_UN) < 0)
		die("turn");
}

static void grow(struct trigger *trigger)
{
	if (trigger->at + STEP_PAGES * PAGE_BYTES > trigger->limit_bytes) {
		errno = ENOMEM;
		die("the threshold is not reached");
	}
	for (int i = 0; i < STEP_PAGES; i++, trigger->at += PAGE_BYTES)
		trigger->memory[trigger->at] = 1;
}

static void shrink(struct trigger *trigger)
{
	if (madvise(trigger->memory, trigger->limit_bytes, MADV_DONTNEED) < 0)
		die("madvise");
	trigger->at = 0;
}

static void send_frame(const struct trigger *trigger, const struct wire_frame *frame)
{
	if (send(trigger->fd, frame, sizeof(*frame), MSG_NOSIGNAL) != (ssize_t)sizeof(*frame))
		die("the daemon hung up");
}

static void greet(const struct trigger *trigger)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_HELLO, 0, WIRE_OK);
	frame.hello.agent_tid = (uint32_t)getpid();
	frame.hello.allocators = frame.hello.malloc_owner = WIRE_ALLOCATOR_GLIBC;
	frame.hello.page_bytes = PAGE_BYTES;
	strcpy(frame.hello.hook_version, "trigger");
	strcpy(frame.hello.libc_version, "2.36");
	send_frame(trigger, &frame);
}

/* All that is held is retained. */
static void answer_stats(const struct trigger *trigger, const struct wire_frame *question)
{
	const uint32_t flags = question->stats_request.flags;
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, question->header.id, WIRE_OK);
	frame.stats.flags = flags;
	frame.stats.rss = frame.stats.heap_rss = trigger->at;
	if (flags & WIRE_STATS_HEAP) {
		frame.stats.system = frame.stats.free = trigger->at;
		frame.stats.whole_pages = frame.stats.largest_pages = trigger->at;
		frame.stats.in_use = MIB;
	}
	send_frame(trigger, &frame);
}

static void answer_reclaim(struct trigger *trigger, const struct wire_frame *question)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_RECLAIM, question->header.id, WIRE_OK);
	frame.reclaim_reply.method = question->reclaim_request.method;
	frame.reclaim_reply.allocators = WIRE_ALLOCATOR_GLIBC;
	frame.reclaim_reply.rss_before = trigger->at;
	frame.reclaim_reply.rss_after = MIB;
	frame.reclaim_reply.duration_usec = 900;
	frame.reclaim_reply.stall_usec = 100;
	shrink(trigger);
	send_frame(trigger, &frame);
}

struct news {
	uint64_t came_usec;
	size_t n_bytes;
	union {
		struct wire_frame question;
		uint64_t woke_usec; /* of a control: when it did */
	};
};

/* Answers what has come; the time when it did if it was RECLAIM, or 0. */
static uint64_t take_question(struct trigger *trigger, const struct news *news)
{
	const struct wire_frame *question = &news->question;

	if (wire_check(question, news->n_bytes, WIRE_TO_HOOK) < 0)
		die("no question");
	if (question->header.verb == WIRE_STATS)
		answer_stats(trigger, question);
	if (question->header.verb != WIRE_RECLAIM)
		return 0;

	answer_reclaim(trigger, question);
	return news->came_usec;
}

static uint64_t take_news(struct trigger *trigger)
{
	struct news news;

	if (recv(trigger->news_fd, &news, sizeof(news), 0) != (ssize_t)sizeof(news))
		die("who receives is gone");
	if (!trigger->is_control)
		return take_question(trigger, &news);

	trigger->woke_usec = news.woke_usec;
	return news.came_usec;
}

/* Answers what comes until @until_usec; the time of what is waited for among it, or 0. */
static uint64_t serve(struct trigger *trigger, uint64_t until_usec)
{
	uint64_t asked_usec = 0;

	while (asked_usec == 0) {
		struct pollfd pollfd = { .fd = trigger->news_fd, .events = POLLIN };
		const uint64_t now = now_usec();
		const uint64_t left = until_usec > now ? until_usec - now : 0;

		if (poll(&pollfd, 1, (int)((left + 999) / 1000)) == 0)
			return 0;

		asked_usec = take_news(trigger);
	}
	return asked_usec;
}

static bool grow_to_below(struct trigger *trigger)
{
	const uint64_t below = trigger->high_bytes - trigger->limit_bytes / 100 * BELOW_PERCENT;

	take_turn(trigger);
	while (used_bytes(trigger) < below)
		grow(trigger);
	end_turn(trigger);
	return serve(trigger, now_usec() + REST_USEC + (uint64_t)rand() % REST_MORE_USEC) == 0;
}

/* Has the kernel told of the threshold since this was asked last? */
static bool was_told(const struct trigger *trigger)
{
	uint64_t count;

	return read(trigger->event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

/* Microseconds of CLOCK_MONOTONIC; 0: not yet. */
struct crossing {
	uint64_t crossed_usec; /* usage was past the threshold */
	uint64_t told_usec;    /* the kernel told so: at the latest when the step began that it came in */
	uint64_t asked_usec;
	uint64_t woke_usec; /* of a control: before it sent what came then */
};

/* False: asked too early, or never. */
static bool cross(struct trigger *trigger, struct crossing *ret)
{
	const uint64_t above = trigger->high_bytes + trigger->limit_bytes / 100 * ABOVE_PERCENT;
	struct crossing crossing = { 0 };
	uint64_t used;

	(void)was_told(trigger);
	while (crossing.asked_usec == 0 && (used = used_bytes(trigger)) < above) {
		const uint64_t step_usec = now_usec();

		if (crossing.crossed_usec == 0 && used >= trigger->high_bytes)
			crossing.crossed_usec = step_usec;
		grow(trigger);
		if (crossing.told_usec == 0 && was_told(trigger))
			crossing.told_usec = step_usec;
		crossing.asked_usec = serve(trigger, 0);
	}
	if (crossing.asked_usec == 0)
		crossing.asked_usec = serve(trigger, now_usec() + ANSWER_USEC);

	crossing.woke_usec = trigger->woke_usec;
	*ret = crossing;
	return crossing.crossed_usec > 0 && crossing.asked_usec > 0;
}

/* What came while the step before ended, or before the kernel's event, took no time from it. */
static uint64_t elapsed(uint64_t from_usec, uint64_t to_usec)
{
	return from_usec > 0 && to_usec > from_usec ? to_usec - from_usec : 0;
}

static void print(const struct crossing *crossing, bool is_control)
{
	printf("%" PRIu64 " %" PRIu64, elapsed(crossing->crossed_usec, crossing->asked_usec),
	       elapsed(crossing->told_usec, crossing->asked_usec));
	if (is_control)
		printf(" %" PRIu64, elapsed(crossing->told_usec, crossing->woke_usec));
	puts("");
}

/* The kernel tells of the way down as well, and a control hears of that. */
static void settle(struct trigger *trigger)
{
	const uint64_t until_usec = now_usec() + SETTLE_USEC;

	while (serve(trigger, until_usec) > 0)
		;
}

static void run_trial(struct trigger *trigger)
{
	struct crossing crossing;
	bool good;

	good = grow_to_below(trigger);
	take_turn(trigger);
	good = good && cross(trigger, &crossing);
	end_turn(trigger);
	if (good)
		print(&crossing, trigger->is_control);
	else
		puts("missed");
	fflush(stdout);
	shrink(trigger);
	settle(trigger);
}

static int open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, &address, sizeof(address)) < 0)
		die(path);
	return fd;
}

static int open_file(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	return fd;
}

static int open_in(const char *directory, const char *name, int flags)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open_file(path, flags);
}

static int arm(const struct trigger *trigger, const char *directory, int flags)
{
	const int control_fd = open_in(directory, "cgroup.event_control", O_WRONLY);
	const int fd = eventfd(0, EFD_CLOEXEC | flags);
	char text[64];
	int n;

	n = snprintf(text, sizeof(text), "%d %d %" PRIu64, fd, trigger->usage_fd, trigger->high_bytes);
	if (fd < 0 || write(control_fd, text, (size_t)n) != n)
		die("threshold");
	(void)close(control_fd);
	return fd;
}

/* As the daemon is to the kernel. */
static void become_daemon(int nice)
{
	struct priority refused;

	if (setsid() < 0 || setpriority(PRIO_PROCESS, 0, nice) < 0)
		die("priority");
	priority_make_count(&refused);
}

static void __attribute__((noreturn)) control_run(int event_fd, int told_fd)
{
	uint64_t count, woke_usec;

	while (read(event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
		woke_usec = now_usec();
		if (send(told_fd, &woke_usec, sizeof(woke_usec), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(1);
}

static void __attribute__((noreturn)) receiver_run(int from_fd, int news_fd)
{
	struct news news;
	ssize_t n;

	while ((n = recv(from_fd, &news.question, sizeof(news.question), MSG_TRUNC)) > 0) {
		news.came_usec = now_usec();
		news.n_bytes = (size_t)n;
		if (send(news_fd, &news, sizeof(news), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(1);
}

/* A socket to a process of the daemon's kind, which @run gets with @fd. It ends with us. */
static int start(void (*run)(int fd, int to_fd), int fd, int nice)
{
	const pid_t parent = getpid();
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 || (pid = fork()) < 0)
		die("start");
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		(void)close(fds[0]);
		become_daemon(nice);
		run(fd, fds[1]);
	}
	(void)close(fds[1]);
	return fds[0];
}

/* @who asks: the daemon's socket, or --control. */
static void join(struct trigger *trigger, const char *who, const char *directory, int nice)
{
	trigger->is_control = streq(who, CONTROL);
	if (trigger->is_control)
		trigger->fd = start(control_run, arm(trigger, directory, 0), nice);
	else
		trigger->fd = open_socket(who);
	trigger->news_fd = start(receiver_run, trigger->fd, nice);
	if (!trigger->is_control)
		greet(trigger);
}

int main(int argc, char **argv)
{
	struct trigger trigger = { 0 };

	if (argc != 8) {
		fputs("Usage: trigger SOCKET|--control GROUP_DIRECTORY LIMIT_MIB HIGH_PERCENT TRIALS TURN_FILE NICE\n",
		      stderr);
		return 2;
	}

	trigger.limit_bytes = strtoull(argv[3], NULL, 10) * MIB;
	trigger.high_bytes = trigger.limit_bytes / 100 * strtoull(argv[4], NULL, 10);
	trigger.usage_fd = open_in(argv[2], "memory.usage_in_bytes", O_RDONLY);
	trigger.event_fd = arm(&trigger, argv[2], EFD_NONBLOCK);
	trigger.turn_fd = open_file(argv[6], O_RDWR | O_CREAT);
	trigger.memory = mmap(NULL, trigger.limit_bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (trigger.memory == MAP_FAILED)
		die("mmap");
	(void)madvise(trigger.memory, trigger.limit_bytes, MADV_NOHUGEPAGE);
	join(&trigger, argv[1], argv[2], atoi(argv[7]));
	srand((unsigned int)getpid());
	(void)serve(&trigger, now_usec() + BEGIN_USEC);

	for (long i = strtol(argv[5], NULL, 10); i > 0; i--)
		run_trial(&trigger);
	return 0;
}
