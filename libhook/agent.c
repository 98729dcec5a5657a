/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include <stddef.h>
#include <sys/un.h>

#include "libhook/agent.h"
#include "libhook/apart.h"
#include "libhook/leave.h"
#include "libhook/mem.h"
#include "libhook/proc.h"
#include "libhook/reserve.h"
#include "libhook/rights.h"
#include "libhook/start.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

/*
 * After a lost connection: 250 ms, doubling to 64 s. The socket of a daemon that is restarted
 * stays and takes us in before it is up.
 */
#define BACKOFF_FIRST_MSEC 250L
#define BACKOFF_LAST_MSEC 64000L

/*
 * How often to see whether the main thread has ended, or gave up rights for itself alone.
 * The pidfd tells the first at once on some kernels only: before 6.9 there is none for a
 * thread, and newer ones say nothing while other threads live. More often at first:
 * programs that give up rights do so when they start.
 */
#define LOOK_FIRST_MSEC 10L
#define LOOK_LAST_MSEC 30000L

/*
 * Who polls for a signal is woken by the kernel at every signal that the program gets. Where that is
 * more often than so many times a second, the agent does not poll for it for a while, but looks
 * whether main is at its end by itself; then it sees for as long as one such look whether
 * that is still so. Fewer than WAKES_MIN tell nothing.
 */
#define WAKES_MAX 100
#define WAKES_MIN 10
#define DOZE_MSEC 100L
#define DOZE_LAST_USEC 30000000

/* How long rights have to differ before it counts. */
#define SETTLE_MSEC 100L

/* Our own frames, malloc_info()'s and a signal frame of libc's; a program's TLS comes on top. */
#define STACK_BYTES ((size_t)64 << 10)
#define STACK_MAX_BYTES ((size_t)4 << 20)

/* The least that glibc counts for frames, PTHREAD_STACK_MIN: more on some machines. */
#define FRAMES_MIN_BYTES ((size_t)16 << 10)

/* Every user that a user namespace does not know is shown in it as this one. */
#define NOBODY_UID 65534

/* By how much the kernel may be late with a rest: what it has for all who do not say. */
#define SLACK_NSEC 50000L

/* A daemon that does not read for this long is no use. */
#define SEND_TIMEOUT_MSEC 1000L

struct agent {
	struct host *host;
	int fd;      /* to the daemon; -1 */
	int leader;  /* pidfd of the main thread; -1 where there is no such thing */
	int status;  /* what the kernel says of this thread, to be read from the start; -1 */
	int nothing; /* never readable; -1 */
	int bell;    /* readable when the main thread is at its end; -1 */
	uint64_t doze_usec; /* until then the bell is not polled for; 0: it is */
	long look_msec;
	uint64_t locked_bytes; /* of the program, when it was last tried what that means */
	bool filtered; /* seen under a filter, which nobody takes away */
	bool displaced; /* our table is gone, and its numbers are the program's; filtered, too */
};

int agent_filter(bool is_main)
{
	/*
	 * Under a filter our own system calls might kill the program. To ask whether there
	 * is one is a call too: browsers are killed by their own for prctl(PR_GET_SECCOMP),
	 * while to open a file is what their libraries do at any time, and at worst fails.
	 */
	const int fd = sys_open_read(is_main ? "/proc/self/status" : "/proc/thread-self/status");
	int mode;

	if (fd < 0)
		return fd;

	mode = proc_seccomp(fd);
	sys_close(fd);
	/* No such line: a kernel without filters. */
	return mode == -ENODATA ? 0 : mode;
}

/* Only root, or the user the program runs as, may tell it what to do. */
static bool is_trusted(int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (SYS(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;

	if (peer.uid == 0)
		return true;

	return peer.uid == (uid_t)SYS(SYS_geteuid) && (peer.uid != NOBODY_UID || proc_knows_users());
}

static int connect_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t length = text_length(path);
	int fd, r;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length + 1);

	/* What is made in a table that is not ours stays there: nobody could tell who made it. */
	if (!apart_is_ours())
		return -EBADF;

	fd = apart_move((int)SYS(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0)
		return fd;
	if (!apart_is_ours())
		return -EBADF;

	r = (int)SYS(SYS_connect, fd, &address, offsetof(struct sockaddr_un, sun_path) + length + 1);
	if (r == 0 && is_trusted(fd))
		return fd;

	apart_close(fd);
	return r < 0 ? r : -ECONNREFUSED;
}

/*
 * Has the program put a filter on all its threads? It may kill for whatever the program
 * does not do itself, so this is asked by read() alone, before anything else is done.
 */
static bool is_filtered(struct agent *agent)
{
	int mode;

	if (agent->filtered)
		return true;

	/* No call on any of our numbers from here on, as under a filter. */
	agent->filtered = agent->displaced = !apart_is_ours();
	if (agent->filtered)
		return true;

	mode = agent->status >= 0 ? proc_seccomp(agent->status) : -EBADF;
	if (mode == 0)
		(void)SYS(SYS_lseek, agent->status, 0L, SEEK_SET);
	if (mode >= 0 || mode == -ENODATA)
		agent->filtered = mode > 0;
	else if (mode == -EBADF && agent->status >= 0)
		/* There was no mark, and nobody but the kernel can have closed it. */
		agent->filtered = agent->displaced = true;
	else if (mode == -EPERM || mode == -EACCES || mode == -ENOSYS)
		/* What filters answer with. Who may not even read is under one. */
		agent->filtered = true;
	else
		agent->filtered = SYS(SYS_prctl, PR_GET_SECCOMP, 0L, 0L, 0L, 0L) > 0;

	return agent->filtered;
}

static int agent_send(const struct wire_frame *frame, void *arg)
{
	struct agent *agent = arg;
	struct pollfd writable = { .fd = agent->fd, .events = POLLOUT };

	/* It may have taken long to find out what is answered. */
	if (is_filtered(agent))
		return -EPERM;

	for (;;) {
		long r = SYS(SYS_sendto, agent->fd, frame, sizeof(*frame), MSG_NOSIGNAL, NULL, 0);

		if (r == (long)sizeof(*frame))
			return 0;
		if (r == -EINTR)
			continue;
		if (r != -EAGAIN || sys_poll(&writable, 1, SEND_TIMEOUT_MSEC) <= 0)
			return -EPIPE;
	}
}

static bool agent_may_call(void *arg)
{
	return !is_filtered(arg);
}

/* In the middle of a long answer: there is something to read, and somebody who has sent it. */
static bool agent_is_asked(void *arg)
{
	const struct agent *agent = arg;
	struct pollfd daemon = { .fd = agent->fd, .events = POLLIN };

	return sys_poll(&daemon, 1, 0) > 0 && daemon.revents == POLLIN;
}

static bool agent_may_go_on(void *arg)
{
	struct agent *agent = arg;
	struct pollfd daemon = { .fd = agent->fd, .events = POLLIN };

	return !is_filtered(agent) && !leave_asked() && sys_poll(&daemon, 1, 0) == 0 &&
	       !proc_leader_ended();
}

/* Nobody borrows any more, so threads that start leave nothing for it. */
static void end_anchors(struct host *host)
{
	__atomic_store_n(&host->anchoring, false, __ATOMIC_RELEASE);
}

/*
 * Under a filter even the end of a thread may be a call too many: stay where we are, in the
 * one call that no filter refuses.
 */
static int agent_park(struct agent *agent)
{
	uint64_t n;
	long r;

	end_anchors(agent->host);
	if (agent->displaced)
		return -EPERM;

	do
		r = agent->nothing >= 0 ? sys_read(agent->nothing, &n, sizeof(n)) : -EBADF;
	while (r == -EINTR);

	return -EPERM;
}

/*
 * What threads make from now on may be locked as well, or addresses be limited by now. Locked may also
 * be just some page of the program's: to try that takes memory for a moment, so it is done once.
 */
static bool anchors_stay_useful(struct agent *agent)
{
	const uint64_t locked_bytes = proc_locked();
	const bool known = locked_bytes == 0 || locked_bytes == agent->locked_bytes;

	agent->locked_bytes = locked_bytes;
	return known ? start_has_addresses() : start_is_useful(agent->host->page_bytes);
}

static bool fits_main_thread(void)
{
	return rights_agree() && !rights_real_time(sys_getpid());
}

/*
 * May the agent stay? libc changes the ids of one thread after the other, and programs raise
 * and lower what they may do: only a difference that lasts counts.
 */
static int agent_look(struct agent *agent)
{
	int r;

	if (__atomic_load_n(&agent->host->anchoring, __ATOMIC_ACQUIRE) && !anchors_stay_useful(agent))
		end_anchors(agent->host);
	if (fits_main_thread())
		return 0;

	r = sys_poll(NULL, 0, SETTLE_MSEC);
	if (is_filtered(agent))
		return agent_park(agent);

	/* Interrupted: libc is changing our ids right now. */
	return r != 0 || fits_main_thread() ? 0 : -EPERM;
}

/*
 * A program whose main thread has ended is to end with its last thread, and libc counts us:
 * leave while that one can still be the program's own.
 */
static bool agent_shall_leave(struct agent *agent, bool told, bool rung, bool time_is_up)
{
	if (leave_asked() || told || (time_is_up && proc_leader_ended()))
		return true;

	/* It was the program's own signal, which stays pending: it would ring without end. */
	if (rung) {
		apart_close(agent->bell);
		agent->bell = -1;
	}

	return false;
}

/* With the bell, and sees how often it wakes for nothing. */
static int agent_listen(struct agent *agent, struct pollfd fds[static 3], long msec)
{
	const uint64_t begin_usec = sys_now_usec(), before = proc_sleeps(agent->status);
	const int r = sys_poll(fds, 3, msec);
	uint64_t now_usec, n;

	if (is_filtered(agent))
		return r;

	now_usec = sys_now_usec();
	n = proc_sleeps(agent->status) - before;
	if (n >= WAKES_MIN && n * 1000000 / (now_usec - begin_usec + 1) >= WAKES_MAX)
		agent->doze_usec = now_usec + DOZE_LAST_USEC;
	if (agent->doze_usec == 0 || now_usec < agent->doze_usec || now_usec - begin_usec < DOZE_MSEC * 1000)
		return r;

	/* It may have been a pause: it is looked at anew, at first soon. */
	agent->doze_usec = 0;
	agent->look_msec = LOOK_FIRST_MSEC;
	return r;
}

/* As poll(), but it may come back before its time. */
static int agent_sleep(struct agent *agent, struct pollfd fds[static 3], long msec)
{
	if (agent->bell < 0 || agent->status < 0)
		return sys_poll(fds, 3, msec);

	for (; sys_now_usec() < agent->doze_usec; msec -= DOZE_MSEC) {
		int r;

		fds[2].fd = -1;
		r = sys_poll(fds, 3, msec < DOZE_MSEC ? msec : DOZE_MSEC);
		if (r != 0 || msec <= DOZE_MSEC || is_filtered(agent) || leave_asked())
			return r;
	}

	fds[2].fd = agent->bell;
	return agent_listen(agent, fds, agent->doze_usec > 0 && msec > DOZE_MSEC ? DOZE_MSEC : msec);
}

/*
 * Waits for something to read, at most @msec (< 0: for ever). 1 readable, 0 time is up,
 * negative: the agent has to go, for the main thread has ended or has fewer rights.
 */
static int agent_wait(struct agent *agent, long msec)
{
	for (;;) {
		struct pollfd fds[3] = {
			{ .fd = agent->fd, .events = POLLIN },
			{ .fd = agent->leader, .events = POLLIN },
			{ .fd = agent->bell, .events = POLLIN },
		};
		const uint64_t begin_usec = sys_now_usec();
		const long slice = msec >= 0 && msec < agent->look_msec ? msec : agent->look_msec;
		int r;

		r = agent_sleep(agent, fds, slice);
		if (is_filtered(agent))
			return agent_park(agent);
		if (r < 0 && r != -EINTR)
			return r;
		if (r == 0)
			agent->look_msec = agent->look_msec < LOOK_LAST_MSEC / 2 ? agent->look_msec * 2
										 : LOOK_LAST_MSEC;

		if (agent_shall_leave(agent, r > 0 && fds[1].revents, r > 0 && fds[2].revents, r == 0))
			return -ESRCH;
		if (r != -EINTR) {
			const int stay = agent_look(agent);

			if (stay < 0)
				return stay;
		}
		if (r > 0 && fds[0].revents)
			return 1;
		if (msec >= 0) {
			msec -= (long)((sys_now_usec() - begin_usec) / 1000);
			if (msec <= 0)
				return 0;
		}
	}
}

/* Answers questions until the connection ends. Negative: the agent has to go. */
static int agent_serve(struct agent *agent)
{
	const struct serve_peer peer = {
		.send = agent_send,
		.go_on = agent_may_go_on,
		.asked = agent_is_asked,
		.may_call = agent_may_call,
		.arg = agent,
	};
	struct wire_frame frame;

	serve_hello(agent->host, &frame);
	if (agent_send(&frame, agent) < 0)
		return agent->filtered ? agent_park(agent) : 0;

	for (;;) {
		long n;
		int r;

		r = agent_wait(agent, -1);
		if (r < 0)
			return r;

		/* With MSG_TRUNC a longer datagram reports its real size, and is refused. */
		n = SYS(SYS_recvfrom, agent->fd, &frame, sizeof(frame), MSG_TRUNC, NULL, NULL);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0 || wire_check(&frame, (size_t)n, WIRE_TO_HOOK) < 0)
			return 0;
		if (serve_question(agent->host, &frame, &peer) != 0)
			return agent->filtered ? agent_park(agent) : 0;
	}
}

static void agent_loop(struct agent *agent)
{
	long backoff_msec = BACKOFF_FIRST_MSEC;

	for (;;) {
		agent->fd = connect_socket(agent->host->environment.socket);
		if (agent->fd >= 0) {
			const uint64_t begin_usec = sys_now_usec();

			/* What is open goes with our table, where that is still ours. */
			if (agent_serve(agent) < 0)
				return;
			apart_close(agent->fd);
			agent->fd = -1;
			/* It lasted: this is a restart, not a daemon that does not want us. */
			if (sys_now_usec() - begin_usec > 10000000)
				backoff_msec = BACKOFF_FIRST_MSEC;
		} else if (agent->fd == -EACCES) {
			/* A security module logs each try, and nobody will read that every minute. */
			return;
		}

		/* Not all programs of the machine in the same millisecond. */
		if (agent_wait(agent, backoff_msec + sys_getpid() % 500) < 0)
			return;
		if (backoff_msec < BACKOFF_LAST_MSEC)
			backoff_msec *= 2;
	}
}

static void *agent_end(struct host *host)
{
	end_anchors(host);
	leave_done();
	return NULL;
}

/* What a thread has from the one that made it, and libc's own calls, or ours, would suffer from. */
static void shed_inherited(void)
{
	/* To read the processor's clock, as libc does without a call, ends a thread that may not. */
	(void)SYS(SYS_prctl, PR_SET_TSC, (long)PR_TSC_ENABLE, 0L, 0L, 0L);
	/* A borrowing rests thousands of times. */
	if (SYS(SYS_prctl, PR_GET_TIMERSLACK, 0L, 0L, 0L, 0L) > SLACK_NSEC)
		(void)SYS(SYS_prctl, PR_SET_TIMERSLACK, SLACK_NSEC, 0L, 0L, 0L);
}

static void *agent_main(void *arg)
{
	struct agent agent = { .host = arg, .fd = -1, .look_msec = LOOK_FIRST_MSEC };

	/*
	 * From here on our descriptors and the program's are two tables: neither can close,
	 * overwrite, inherit or even see the other's. Without that we do not stay.
	 */
	if (SYS(SYS_close_range, 0U, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return agent_end(agent.host);

	apart_begin();
	agent.bell = apart_move(leave_bell());
	shed_inherited();
	sys_clock = agent.host->allocators.clock;
	/* It executes nothing; should somebody make it do so, then without gaining by it. */
	(void)SYS(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
	/* Who has this name is all that. */
	(void)SYS(SYS_prctl, PR_SET_NAME, "memguard", 0L, 0L, 0L);
	agent.leader = apart_move((int)SYS(SYS_pidfd_open, sys_getpid(), PIDFD_THREAD));
	agent.status = apart_open("/proc/thread-self/status");
	/* The kernel keeps what it needs for the first read: at a limit there may be no room. */
	(void)is_filtered(&agent);
	proc_set_guard(agent_may_call, &agent);
	agent.nothing = apart_move((int)SYS(SYS_eventfd2, 0, O_CLOEXEC));
	if (proc_keep_open() && agent.status != -EACCES) {
		reserve_make();
		agent_loop(&agent);
	}
	/* It points into our stack. */
	proc_set_guard(NULL, NULL);
	return agent_end(agent.host);
}

static int add_tls(struct dl_phdr_info *info, size_t size, void *sum)
{
	(void)size;

	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			*(size_t *)sum += info->dlpi_phdr[i].p_memsz + info->dlpi_phdr[i].p_align;

	return 0;
}

/*
 * With what glibc's loader keeps for objects that come later (glibc.rtld.optional_static_tls), which
 * nothing public tells: what a stack needs besides the smallest frames. JVMs ask for it, too.
 */
static size_t least_stack_bytes(void)
{
	pthread_attr_t attr;
	size_t bytes;

	if (!__pthread_get_minstack || !pthread_attr_init || !pthread_attr_destroy ||
	    pthread_attr_init(&attr) != 0)
		return 0;

	bytes = __pthread_get_minstack(&attr);
	(void)pthread_attr_destroy(&attr);
	return bytes < STACK_MAX_BYTES ? bytes + STACK_BYTES - FRAMES_MIN_BYTES : 0;
}

size_t agent_tls_bytes(void)
{
	size_t bytes = 0;

	/* Asked when there is to be a thread, which most programs never have. */
	if (!__pthread_get_minstack && dl_iterate_phdr)
		(void)dl_iterate_phdr(add_tls, &bytes);

	return bytes;
}

static size_t stack_bytes_of(const struct host *host)
{
	const size_t bytes = STACK_BYTES + host->tls_bytes, least_bytes = least_stack_bytes();

	return ((bytes > least_bytes ? bytes : least_bytes) + 0xfff) & ~(size_t)0xfff;
}

/* Where the smallest stack allowed is larger than ours, try larger ones. */
static bool create_thread(struct host *host, agent_create_t create)
{
	pthread_attr_t attr;
	pthread_t thread;

	for (size_t bytes = stack_bytes_of(host); bytes <= STACK_MAX_BYTES; bytes *= 2) {
		int r;

		if (pthread_attr_init(&attr) != 0)
			return false;
		(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		r = pthread_attr_setstacksize(&attr, bytes);
		if (r == 0)
			r = create(&thread, &attr, agent_main, host);
		if (r == 0)
			leave_expect();
		(void)pthread_attr_destroy(&attr);
		if (r != EINVAL)
			return r == 0;
	}

	return false;
}

void agent_start(struct host *host, agent_create_t create)
{
	sigset_t all, theirs;

	if (!pthread_attr_init || !pthread_attr_destroy || !pthread_attr_setdetachstate ||
	    !pthread_attr_setstacksize || !pthread_sigmask || !sigfillset || !syscall)
		return;

	/*
	 * The thread inherits this mask, so no signal of the program lands on it. Through
	 * pthread_sigmask, which leaves libc's own signals alone: setuid() needs them.
	 */
	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &theirs) != 0)
		return;

	if (!create_thread(host, create))
		end_anchors(host);
	(void)pthread_sigmask(SIG_SETMASK, &theirs, NULL);
}
