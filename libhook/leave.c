/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/agent.h"
#include "libhook/leave.h"
#include "libhook/life.h"

/*
 * The agent has every signal blocked, and polls for this one. Whatever goes wrong with it:
 * nobody has ever died of SIGURG. It is sent to that thread alone, and never taken from a queue.
 */
#define BELL SIGURG

/* An agent that is in the middle of a release stops first. One that has left is only ending. */
#define STEPS_MAX 10000
#define STEPS_ENDING 100
#define STEP_MSEC 1L

enum { AGENT_UNKNOWN = 0, AGENT_DEAF = -1 };

/* A forked child has it, too. */
static struct {
	pthread_key_t key;
	bool has_key;
} leave;

/*
 * Until the kernel does not know the thread: then libc, which it leaves first, does not
 * count it either. Later its number may be another thread's, which is not rung and not
 * waited for.
 */
static void await_end(int pid)
{
	bool rung = false;

	for (int i = 0; i < STEPS_MAX; i++) {
		const int agent = __atomic_load_n(&life.leave.agent, __ATOMIC_SEQ_CST);

		if (agent == AGENT_DEAF || (agent < 0 && i >= STEPS_ENDING))
			return;
		if (agent != AGENT_UNKNOWN && SYS(SYS_tgkill, pid, agent < 0 ? -agent : agent, 0) == -ESRCH)
			return;
		if (agent > 0 && !rung)
			rung = SYS(SYS_tgkill, pid, agent, BELL) == 0;
		(void)sys_poll(NULL, 0, STEP_MSEC);
	}
}

/*
 * Under a filter by now, no call more than there must be. There is no telling after chroot(), or with
 * no descriptor left: then what the program has not written yet counts for more.
 */
static bool may_wait(void)
{
	const int filter = agent_filter(true);

	return filter == 0 || filter == -ENOENT || filter == -EMFILE || filter == -ENFILE;
}

/* By libc, on the main thread, among what the program has to be called at its end. */
static void main_ends(void *arg)
{
	const int saved_errno = errno;

	(void)arg;
	if (life.leave.id == life_id() && may_wait()) {
		__atomic_store_n(&life.leave.asked, true, __ATOMIC_SEQ_CST);
		await_end(sys_getpid());
	}
	errno = saved_errno;
}

void leave_prepare(void)
{
	life.leave.id = 0;
	life.leave.asked = life.leave.rings = false;
	life.leave.agent = AGENT_UNKNOWN;
	if (!pthread_key_create || !pthread_setspecific || SYS(SYS_gettid) != sys_getpid())
		return;

	if (!leave.has_key)
		leave.has_key = pthread_key_create(&leave.key, main_ends) == 0;
	/* Any value but NULL has the function called. */
	life.leave.rings = leave.has_key && pthread_setspecific(leave.key, &leave) == 0;
}

void leave_expect(void)
{
	life.leave.id = life_id();
}

int leave_bell(void)
{
	/* What the kernel call takes: 64 bits, the first words first. */
	const unsigned long mask[8 / sizeof(long)] = { 1UL << (BELL - 1) };
	/* Not where nobody rings: each signal of the program's would wake us. */
	const int fd = life.leave.rings ? (int)SYS(SYS_signalfd4, -1, mask, sizeof(mask), SOCK_CLOEXEC) : -1;

	__atomic_store_n(&life.leave.agent, fd < 0 ? AGENT_DEAF : (int)SYS(SYS_gettid), __ATOMIC_SEQ_CST);
	return fd < 0 ? -1 : fd;
}

void leave_done(void)
{
	const int agent = __atomic_load_n(&life.leave.agent, __ATOMIC_SEQ_CST);

	__atomic_store_n(&life.leave.agent, agent > 0 ? -agent : AGENT_DEAF, __ATOMIC_SEQ_CST);
}

bool leave_asked(void)
{
	return __atomic_load_n(&life.leave.asked, __ATOMIC_SEQ_CST);
}
