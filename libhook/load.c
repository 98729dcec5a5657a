/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The two ways into the hook: the constructor, and pthread_create(), the only function
 * we interpose. Both leave errno as it was, and both do nothing when anything is unusual.
 */

#include "libhook/sys.h"

#include "libhook/agent.h"
#include "libhook/heap.h"
#include "libhook/leave.h"
#include "libhook/life.h"
#include "libhook/loader.h"
#include "libhook/mem.h"
#include "libhook/rights.h"
#include "libhook/start.h"
#include "libhook/tune.h"

/* All that a program without an agent has written: on one page, hence aligned. */
static struct {
	agent_create_t create;      /* the program's own pthread_create; atomic */
	struct host host;
	const void *main_thread;    /* where it has its errno: to ask for its number is a call */
	bool enabled;               /* the constructor ran to its end and wants an agent; atomic */
} hook __attribute__((aligned(1024)));
_Static_assert(sizeof(hook) <= 1024, "more than a part of a page");

/* Also needed before our constructor: a library's may start a thread earlier. */
static agent_create_t find_create(void)
{
	agent_create_t create = __atomic_load_n(&hook.create, __ATOMIC_ACQUIRE);

	if (create)
		return create;

	create = (agent_create_t)loader_next_create();
	__atomic_store_n(&hook.create, create, __ATOMIC_RELEASE);
	return create;
}

static bool wants_agent(void)
{
	/* A forked child starts anew: the agent did not come with it. */
	return __atomic_load_n(&hook.enabled, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&life.has_agent, __ATOMIC_ACQUIRE) != life_id();
}

/* Whether anything in the environment makes a block of ours dear, or borrowing pointless. */
static bool anchors_are_safe(void)
{
	return malloc && realloc && free && sigfillset && pthread_sigmask &&
	       !hook.host.environment.borrow_unsafe && start_is_useful(hook.host.page_bytes);
}

/* Before any other call. What filters a thread stays, and its children have it as well. */
static bool is_filtered(void)
{
	if (agent_filter(&errno == hook.main_thread) == 0)
		return false;

	__atomic_store_n(&hook.enabled, false, __ATOMIC_RELEASE);
	__atomic_store_n(&hook.host.anchoring, false, __ATOMIC_RELEASE);
	return true;
}

/* On a thread of the program, before its own thread is made. True: agent_start() after it. */
static bool prepare(void)
{
	int id, before;

	if (is_filtered())
		return false;

	life_prepare(hook.host.page_bytes);
	id = life_id();
	before = __atomic_load_n(&life.has_agent, __ATOMIC_ACQUIRE);
	/* Two threads at once: one of them goes on. */
	if (before == id || !__atomic_compare_exchange_n(&life.has_agent, &before, id, false,
							 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	/* A forked child has it from its parent, and anchors are for an agent. */
	__atomic_store_n(&hook.host.anchoring, false, __ATOMIC_RELEASE);
	if (rights_real_time(0))
		return false;

	leave_prepare();
	if (hook.host.allocators.owner != WIRE_ALLOCATOR_GLIBC)
		return true;

	(void)heap_prepare();
	if (anchors_are_safe()) {
		start_prepare(hook.host.environment.uncached);
		start_anchor();
		__atomic_store_n(&hook.host.anchoring, true, __ATOMIC_RELEASE);
	}

	return true;
}

/* In a program that has no thread yet. */
static bool is_wanted_at_start(const struct environment *e)
{
	return e->mode == AGENT_ALWAYS || (e->named && !rights_may_part());
}

/* A program may have functions of these names that do something else: a linker prefers them. */
static bool calls_libc(const struct foreign_object *libc)
{
	return foreign_is_in(libc, (const void *)&syscall) && foreign_is_in(libc, (const void *)&getauxval);
}

static void load(void)
{
	const struct foreign_object libc = allocator_libc();
	struct environment *e = &hook.host.environment;

	if (!calls_libc(&libc) || !environment_read(e, sys_getpid()))
		return;

	/* A page that is written before it is read takes one fault, else two. */
	hook.host.page_bytes = (uint32_t)getauxval(AT_PAGESZ);
	allocator_find(&libc, &e->symbols, &hook.host.allocators, &hook.host.foreigners);
	tune_at_start(&hook.host);
	if (e->mode == AGENT_OFF || !find_create())
		return;

	hook.main_thread = &errno;
	hook.host.tls_bytes = agent_tls_bytes();
	__atomic_store_n(&hook.enabled, true, __ATOMIC_RELEASE);
	if (is_wanted_at_start(e) && prepare())
		agent_start(&hook.host, find_create());
}

__attribute__((constructor)) static void hook_load(void)
{
	int saved_errno;

	if (!syscall || !__errno_location || !getauxval) {
		(void)find_create();
		return;
	}

	/*
	 * Also when we are switched off: we still stand in front of pthread_create(), and
	 * there the loader must not be asked, whose lock another thread may hold.
	 */
	saved_errno = errno;
	(void)find_create();
	load();
	errno = saved_errno;
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
							  void *(*start)(void *), void *arg)
{
	const agent_create_t create = find_create();
	struct start *wrapped = NULL;
	bool first = false;
	int saved_errno, r;

	if (!create)
		return EAGAIN;
	if (!syscall || !__errno_location)
		return create(thread, attr, start, arg);

	saved_errno = errno;
	if (wants_agent())
		first = prepare();

	if (__atomic_load_n(&hook.host.anchoring, __ATOMIC_ACQUIRE))
		wrapped = start_wrap(&start, &arg);

	r = create(thread, attr, start, arg);
	if (r != 0)
		start_cancel(wrapped);

	/* Where the program could not have its thread, ours must not take the room. */
	if (first && r != 0)
		__atomic_store_n(&life.has_agent, 0, __ATOMIC_RELEASE);
	/* The new thread may have been first, and have put a filter on all: ours would begin under it. */
	else if (first && !is_filtered())
		agent_start(&hook.host, create);

	errno = saved_errno;

	return r;
}
