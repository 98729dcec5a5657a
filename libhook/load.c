/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The two ways into the hook: the constructor, and pthread_create(), the only function
 * we interpose. Both leave errno as it was, and both do nothing when anything is unusual.
 */

#include "libhook/sys.h"

#include "libhook/agent.h"
#include "libhook/heap.h"
#include "libhook/mem.h"

static struct {
	agent_create_t create;      /* the program's own pthread_create */
	struct host host;
	int agent_pid;              /* process that has, or was refused, an agent; atomic */
	bool enabled;               /* the constructor ran to its end and wants an agent */
} hook;

/*
 * glibc before 2.34 keeps threads in a library of its own, which may come later by
 * dlopen, and dlsym in another, which the program may not have.
 */
static agent_create_t find_late(void)
{
	void *library;

	if (!dlopen || !dlsym)
		return NULL;

	library = dlopen("libpthread.so.0", RTLD_LAZY | RTLD_NOLOAD);
	return library ? (agent_create_t)dlsym(library, "pthread_create") : NULL;
}

static agent_create_t find_next(void)
{
	agent_create_t next = NULL;

	if (dlsym)
		next = (agent_create_t)dlsym(RTLD_NEXT, "pthread_create");

	return next;
}

static bool wants_agent(void)
{
	/* A forked child starts anew: the agent did not come with it. */
	return hook.enabled && __atomic_load_n(&hook.agent_pid, __ATOMIC_ACQUIRE) != sys_getpid();
}

/* On a thread of the program, before its own thread is made. True: agent_start() after it. */
static bool prepare(void)
{
	const int pid = sys_getpid();
	int before = __atomic_load_n(&hook.agent_pid, __ATOMIC_ACQUIRE);

	/* Two threads at once: one of them goes on. */
	if (before == pid || !__atomic_compare_exchange_n(&hook.agent_pid, &before, pid, false,
							  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return false;
	if (!agent_allowed())
		return false;

	if (hook.host.allocators.owner == WIRE_ALLOCATOR_GLIBC)
		(void)heap_prepare();

	return true;
}

/* MEMGUARD_MALLOPT; mmap and trim thresholds as a pair, since setting one freezes the other. */
static void apply_knobs(void)
{
	struct environment *e = &hook.host.environment;
	const uint32_t mmap_bit = 1U << WIRE_KNOB_MMAP_THRESHOLD;
	const uint32_t trim_bit = 1U << WIRE_KNOB_TRIM_THRESHOLD;

	if (hook.host.allocators.owner != WIRE_ALLOCATOR_GLIBC)
		return;

	/* glibc's own rule: twice the mmap threshold. */
	if ((e->knobs_set & mmap_bit) && !(e->knobs_set & trim_bit)) {
		e->knobs[WIRE_KNOB_TRIM_THRESHOLD] = wire_clamp(
			WIRE_KNOB_TRIM_THRESHOLD, 2 * e->knobs[WIRE_KNOB_MMAP_THRESHOLD]);
		e->knobs_set |= trim_bit;
	}

	for (int i = 1; i < WIRE_KNOB_MAX_; i++) {
		const uint32_t bit = 1U << i;

		if ((e->knobs_set & bit) && !(e->env_tuned & bit) &&
		    allocator_tune((enum wire_knob)i, e->knobs[i]) == WIRE_OK)
			hook.host.tuned |= bit;
	}
}

static void load(void)
{
	const int pid = sys_getpid();
	struct environment *e = &hook.host.environment;

	if (!environment_read(e, pid))
		return;

	allocator_find(&hook.host.allocators);
	apply_knobs();
	if (e->mode == AGENT_OFF || !hook.create)
		return;

	hook.host.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	hook.enabled = true;
	if ((e->named || e->mode == AGENT_ALWAYS) && prepare())
		agent_start(&hook.host, hook.create);
}

__attribute__((constructor)) static void hook_load(void)
{
	int saved_errno;

	if (!syscall || !__errno_location || !sysconf)
		return;

	saved_errno = errno;
	hook.create = find_next();
	load();
	errno = saved_errno;
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
							  void *(*start)(void *), void *arg)
{
	bool first = false;
	int saved_errno, r;

	/* A null test of an address that glibc always has costs nothing, and others need it. */
	if (!syscall || !__errno_location)
		return hook.create ? hook.create(thread, attr, start, arg) : EAGAIN;

	saved_errno = errno;
	if (!hook.create)
		hook.create = find_late();
	if (wants_agent())
		first = prepare();
	if (!hook.create) {
		errno = saved_errno;
		return EAGAIN;
	}

	r = hook.create(thread, attr, start, arg);

	/* Where the program could not have its thread, ours must not take the room. */
	if (first && r != 0)
		__atomic_store_n(&hook.agent_pid, 0, __ATOMIC_RELEASE);
	else if (first)
		agent_start(&hook.host, hook.create);

	errno = saved_errno;

	return r;
}
