/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/sys.h"

#include "libhook/foreign.h"
#include "libhook/loader.h"
#include "libhook/mem.h"
#include "libhook/symbols.h"

/* Enough for a release worth its locks, little enough to stop between two. */
#define SLICE_BYTES ((size_t)4 << 20)
#define SLICES_MAX 65536

/* jemalloc's own bound of arenas; also the number that means all of them. */
#define JE_ARENAS_MAX 4096U

/* Its own times before it is told of others; muzzy pages went with the dirty ones at first. */
#define JE_DIRTY_MSEC 10000
#define JE_MUZZY_MSEC 0
#define JE_MUZZY_MSEC_OLD 10000

/*
 * mimalloc's option for how long a free page stays: reset, decommit or purge delay by
 * version, and number 15 in all of these.
 */
#define MI_DELAY 15
#define MI_VERSION_FIRST 209
#define MI_VERSION_LAST 399

/* Found in the constructor, where their allocator is: weak.h has one name of each. */
static struct {
	void (*mi_thread_init)(void);
	void (*mi_collect)(_Bool);
	long (*mi_option_get)(int);
	void (*mi_option_set)(int, long);
	int (*tc_property)(const char *, size_t *);
} calls;

struct search {
	const void *address;
	struct foreign_object object;
};

bool foreign_is_in(const struct foreign_object *object, const void *address)
{
	for (int i = 0; i < object->n_parts; i++) {
		const ElfW(Phdr) *part = &object->parts[i];

		if (part->p_type == PT_LOAD &&
		    (uintptr_t)address - object->base - part->p_vaddr < part->p_memsz)
			return true;
	}

	return false;
}

static int find_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;
	const struct foreign_object object = { (uintptr_t)info->dlpi_addr, info->dlpi_phdr,
					       info->dlpi_phnum };

	(void)size;
	if (!foreign_is_in(&object, search->address))
		return 0;

	search->object = object;
	return 1;
}

/* Not by dladdr(), which glibc before 2.34 keeps in a library the program may not have. */
struct foreign_object foreign_object_of(const void *address)
{
	struct search search = { .address = address };

	if (address && dl_iterate_phdr)
		(void)dl_iterate_phdr(find_object, &search);

	return search.object;
}

const void *foreign_owner_of(const void *address)
{
	return foreign_object_of(address).parts;
}

/* The function of that name, if it is in @object; else NULL. */
static void *function_of(const struct foreign_object *object, const char *name)
{
	void *const function = loader_find(name);

	return function && foreign_is_in(object, function) ? function : NULL;
}

/* @whole: @object has all that belongs to it. */
static void add(struct foreigners *foreigners, uint32_t bit, foreign_mallctl_t *ctl,
		const struct foreign_object *object, bool whole)
{
	foreigners->present |= bit;
	if (!object->parts || !whole || foreigners->n == FOREIGN_MAX)
		return;

	/* Two names for one function are one allocator. */
	for (uint32_t i = 0; ctl && i < foreigners->n; i++)
		if (foreigners->all[i].mallctl == ctl)
			return;

	foreigners->all[foreigners->n++] =
		(struct foreign){ .bit = bit, .mallctl = ctl, .object = *object };
}

static void find_jemalloc(struct foreigners *foreigners)
{
	const struct {
		foreign_mallctl_t *ctl;
		const char *malloc;
	} names[] = {
		{ mallctl, "mallocx" },
		{ je_mallctl, "je_mallocx" },
		{ _rjem_mallctl, "_rjem_mallocx" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct foreign_object object;

		if (!names[i].ctl)
			continue;
		object = foreign_object_of((const void *)names[i].ctl);
		add(foreigners, WIRE_ALLOCATOR_JEMALLOC, names[i].ctl, &object,
		    function_of(&object, names[i].malloc) != NULL);
	}
}

static void find_mimalloc(struct foreigners *foreigners)
{
	const struct foreign_object object = foreign_object_of((const void *)&mi_version);
	bool all;

	calls.mi_thread_init = (void (*)(void))function_of(&object, "mi_thread_init");
	calls.mi_collect = (void (*)(_Bool))function_of(&object, "mi_collect");
	calls.mi_option_get = (long (*)(int))function_of(&object, "mi_option_get");
	calls.mi_option_set = (void (*)(int, long))function_of(&object, "mi_option_set");
	all = calls.mi_thread_init && calls.mi_collect && calls.mi_option_get && calls.mi_option_set &&
	      function_of(&object, "mi_malloc");
	add(foreigners, WIRE_ALLOCATOR_MIMALLOC, NULL, &object, all);
}

static void find_tcmalloc(struct foreigners *foreigners)
{
	const struct foreign_object object =
		foreign_object_of((const void *)&MallocExtension_ReleaseToSystem);
	bool all;

	calls.tc_property = (int (*)(const char *, size_t *))
		function_of(&object, "MallocExtension_GetNumericProperty");
	all = calls.tc_property && function_of(&object, "tc_malloc");
	add(foreigners, WIRE_ALLOCATOR_TCMALLOC, NULL, &object, all);
}

/* It has to serve malloc: a program may have it in a library that nobody calls. */
static void add_google(struct foreigners *foreigners, foreign_google_t *release)
{
	const struct foreign_object object = foreign_object_of((const void *)release);
	const uint32_t n = foreigners->n;

	add(foreigners, WIRE_ALLOCATOR_GTCMALLOC, NULL, &object,
	    foreign_is_in(&object, (const void *)&malloc));
	if (foreigners->n > n)
		foreigners->all[n].google = release;
}

static void find_unexported(struct foreigners *foreigners, const struct environment_symbols *symbols)
{
	for (size_t i = 0; i < ENVIRONMENT_SYMBOLS; i++) {
		const void *function = symbols_find(symbols, i);
		const struct foreign_object object = foreign_object_of(function);

		if (!function)
			continue;
		if (i != ENVIRONMENT_SYMBOL_GOOGLE)
			add(foreigners, WIRE_ALLOCATOR_JEMALLOC, (foreign_mallctl_t *)function, &object,
			    true);
		else if (!(foreigners->present & WIRE_ALLOCATOR_GTCMALLOC))
			add_google(foreigners, (foreign_google_t *)function);
	}
}

void foreign_find(struct foreigners *ret, const struct environment_symbols *symbols)
{
	*ret = (struct foreigners){ 0 };
	find_jemalloc(ret);
	if (mi_version)
		find_mimalloc(ret);
	if (MallocExtension_ReleaseToSystem)
		find_tcmalloc(ret);
	if (MallocExtension_Internal_ReleaseMemoryToSystem)
		add_google(ret, MallocExtension_Internal_ReleaseMemoryToSystem);
	find_unexported(ret, symbols);
}

/* "arena.7.purge" out of "arena.", 7, ".purge". */
static const char *je_name(char name[static 64], const char *before, unsigned int nr, const char *after)
{
	char digits[10];
	size_t n = 0, n_digits = 0;

	while (*before != '\0')
		name[n++] = *before++;
	do {
		digits[n_digits++] = (char)('0' + nr % 10);
		nr /= 10;
	} while (nr > 0);
	while (n_digits > 0)
		name[n++] = digits[--n_digits];
	while (*after != '\0')
		name[n++] = *after++;
	name[n] = '\0';

	return name;
}

/* 0 where this build has no such figure. All that we read are size_t. */
static size_t je_size(foreign_mallctl_t *ctl, const char *name)
{
	size_t value = 0, size = sizeof(value);

	return ctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

/* A sum over all arenas, in pages. */
static size_t je_pages(foreign_mallctl_t *ctl, const char *what)
{
	char name[64];

	return je_size(ctl, je_name(name, "stats.arenas.", JE_ARENAS_MAX, what));
}

static unsigned int je_n_arenas(foreign_mallctl_t *ctl)
{
	unsigned int n = 0;
	size_t size = sizeof(n);

	if (ctl("arenas.narenas", &n, &size, NULL, 0) != 0)
		return 0;

	return n < JE_ARENAS_MAX ? n : JE_ARENAS_MAX;
}

/*
 * To purge an arena that has hooks of its own is to run the program's code, on a thread that it
 * does not know and a stack that it does not expect. Those of arena 0 are the usual ones, but
 * where the program has set them there as well: then they are not jemalloc's own.
 */
static bool je_is_plain(const struct foreign *f, unsigned int i)
{
	foreign_mallctl_t *const ctl = f->mallctl;
	const void *usual = NULL, *its = NULL;
	size_t size = sizeof(usual);
	char name[64];

	return ctl(je_name(name, "arena.", 0, ".extent_hooks"), (void *)&usual, &size, NULL, 0) == 0 &&
	       ctl(je_name(name, "arena.", i, ".extent_hooks"), (void *)&its, &size, NULL, 0) == 0 &&
	       its == usual && foreign_is_in(&f->object, its);
}

/* Numbers of all arenas and names of decay are those of version 5. */
static bool je_is_known(foreign_mallctl_t *ctl)
{
	const char *version = NULL;
	size_t size = sizeof(version);

	if (ctl("version", (void *)&version, &size, NULL, 0) != 0 || !version)
		return false;

	return version[0] >= '5' && version[0] <= '9' && version[1] == '.';
}

static bool mi_is_known(void)
{
	const int version = mi_version();

	return version >= MI_VERSION_FIRST && version <= MI_VERSION_LAST;
}

/* Before the first use of it, and once: is it one we know? */
static bool is_usable(struct foreign *f)
{
	if (f->usable == 0) {
		const bool known = f->bit == WIRE_ALLOCATOR_JEMALLOC ? je_is_known(f->mallctl)
				   : f->bit == WIRE_ALLOCATOR_MIMALLOC ? mi_is_known()
								      : true;
		f->usable = known ? 1 : -1;
	}

	return f->usable > 0;
}

static void je_read(foreign_mallctl_t *ctl, struct wire_foreign *ret)
{
	uint64_t epoch = 1;
	const size_t page = je_size(ctl, "arenas.page");

	if (ctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0)
		return;

	/* What threads keep in their caches counts as handed out. */
	ret->in_use += je_size(ctl, "stats.allocated");
	ret->retained += (je_pages(ctl, ".pdirty") + je_pages(ctl, ".pmuzzy")) * page;
}

static size_t tc_property(const char *name)
{
	size_t value = 0;

	return calls.tc_property(name, &value) ? value : 0;
}

void foreign_read(struct foreigners *foreigners, struct wire_foreign ret[static WIRE_FOREIGN])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < foreigners->n; i++) {
		struct foreign *f = &foreigners->all[i];
		uint32_t at = 0;

		if (!is_usable(f))
			continue;
		/* One row for each kind. */
		while (at < n && ret[at].allocator != f->bit)
			at++;
		if (at == WIRE_FOREIGN)
			continue;
		if (at == n)
			ret[n++] = (struct wire_foreign){ .allocator = f->bit };

		if (f->bit == WIRE_ALLOCATOR_JEMALLOC) {
			je_read(f->mallctl, &ret[at]);
		} else if (f->bit == WIRE_ALLOCATOR_TCMALLOC) {
			ret[at].in_use = tc_property("generic.current_allocated_bytes");
			ret[at].retained = tc_property("tcmalloc.pageheap_free_bytes");
		}
		/* mimalloc's own figures are of peaks, google's are no C: they do not say. */
	}
}

/* The course of one release. */
struct course {
	const struct wire_reclaim_request *request;
	struct wire_reclaim_reply *reply;
	uint64_t begin_usec, call_usec;
	uint64_t bytes; /* given back, where the allocator tells */
	bool (*go_on)(void *arg);
	void *arg;
};

static void call_begin(struct course *course)
{
	course->call_usec = sys_now_usec();
}

/* True when it is enough. */
static bool call_end(struct course *course)
{
	const uint64_t now_usec = sys_now_usec(), usec = now_usec - course->call_usec;

	if (usec > course->reply->stall_usec)
		course->reply->stall_usec = usec;

	if (course->request->limit_usec > 0 &&
	    now_usec - course->begin_usec >= course->request->limit_usec)
		course->reply->end = WIRE_END_TIME;
	else if (course->request->limit_bytes > 0 && course->bytes >= course->request->limit_bytes)
		course->reply->end = WIRE_END_BYTES;
	else if (!course->go_on(course->arg))
		course->reply->end = WIRE_END_LEFT;

	return course->reply->end != WIRE_END_DONE;
}

/* Arena by arena: in between is a place to stop, and no call is longer than it must be. */
static void je_purge(const struct foreign *f, struct course *course)
{
	foreign_mallctl_t *const ctl = f->mallctl;
	const unsigned int n = je_n_arenas(ctl);
	const size_t page = je_size(ctl, "arenas.page");
	uint64_t epoch = 1;
	char name[64];

	(void)ctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	for (unsigned int i = 0; i < n; i++) {
		if (!je_is_plain(f, i))
			continue;
		course->bytes += je_size(ctl, je_name(name, "stats.arenas.", i, ".pdirty")) * page;
		call_begin(course);
		/* One that was never used, or is gone, says so and nothing happens. */
		(void)ctl(je_name(name, "arena.", i, ".purge"), NULL, NULL, NULL, 0);
		if (call_end(course))
			return;
	}
}

/*
 * Gives back what threads that have ended left, and what arenas keep. Pages of threads
 * that live are theirs: only they can give them back, see foreign_decay().
 */
static void mi_purge(struct course *course)
{
	/* Without a heap of its own the caller's collection is empty. */
	calls.mi_thread_init();
	call_begin(course);
	calls.mi_collect(true);
	(void)call_end(course);
}

/* Each call holds the lock of the page heap for all of its madvise(): hence slices. */
static void tc_release(struct course *course)
{
	size_t before = tc_property("tcmalloc.pageheap_free_bytes");

	for (unsigned int i = 0; i < SLICES_MAX && before > 0; i++) {
		size_t after;
		bool enough;

		call_begin(course);
		MallocExtension_ReleaseToSystem(SLICE_BYTES);
		after = tc_property("tcmalloc.pageheap_free_bytes");
		course->bytes += before > after ? before - after : 0;
		enough = call_end(course);
		/* It has a debt from larger spans before, or others free meanwhile. */
		if (enough || (after >= before && i > 0))
			return;
		before = after;
	}
}

/* It does not tell how much is left: one call, for at most what the request allows. */
static void google_release(foreign_google_t *give_back, struct course *course)
{
	const uint64_t limit = course->request->limit_bytes;

	call_begin(course);
	give_back(limit > 0 && limit < SIZE_MAX ? (size_t)limit : SIZE_MAX);
	(void)call_end(course);
}

static void release(struct foreign *f, struct course *course)
{
	course->reply->allocators |= f->bit;

	switch ((enum wire_allocator)f->bit) {
	case WIRE_ALLOCATOR_JEMALLOC:
		je_purge(f, course);
		break;
	case WIRE_ALLOCATOR_MIMALLOC:
		mi_purge(course);
		break;
	case WIRE_ALLOCATOR_TCMALLOC:
		tc_release(course);
		break;
	case WIRE_ALLOCATOR_GTCMALLOC:
		google_release(f->google, course);
		break;
	case WIRE_ALLOCATOR_GLIBC:
	case WIRE_ALLOCATOR_OTHER:
		break;
	}
}

bool foreign_reclaim(struct foreigners *foreigners, const struct wire_reclaim_request *request,
		     bool (*go_on)(void *arg), void *arg, struct wire_reclaim_reply *reply)
{
	struct course course = {
		.request = request,
		.reply = reply,
		.begin_usec = sys_now_usec(),
		.go_on = go_on,
		.arg = arg,
	};
	bool any = false;

	/* A full trim of glibc's may have been long. */
	if (foreigners->n > 0 && !go_on(arg))
		return false;

	for (uint32_t i = 0; i < foreigners->n && reply->end == WIRE_END_DONE; i++) {
		struct foreign *f = &foreigners->all[i];

		if ((request->allocators != 0 && !(request->allocators & f->bit)) || !is_usable(f))
			continue;
		any = true;
		release(f, &course);
	}

	return any;
}

static bool je_msec(foreign_mallctl_t *ctl, const char *name, ssize_t *ret)
{
	size_t size = sizeof(*ret);

	return ctl(name, ret, &size, NULL, 0) == 0;
}

/*
 * Has nobody said how long? Besides the environment it is /etc/malloc.conf, the program's
 * malloc_conf, or whoever built it. What it was at the start is told whatever was set since.
 */
static bool je_has_usual_decay(foreign_mallctl_t *ctl)
{
	ssize_t dirty, muzzy;

	return je_msec(ctl, "opt.dirty_decay_ms", &dirty) && je_msec(ctl, "opt.muzzy_decay_ms", &muzzy) &&
	       dirty == JE_DIRTY_MSEC && (muzzy == JE_MUZZY_MSEC || muzzy == JE_MUZZY_MSEC_OLD);
}

/*
 * For arenas to come, and for those there are: each purges by the new time at once. One whose
 * time is not the common one has it from the program, or from jemalloc, which purges the
 * arena of huge blocks eagerly.
 */
static bool je_set_decay(const struct foreign *f, const char *common, const char *own, ssize_t msec)
{
	foreign_mallctl_t *const ctl = f->mallctl;
	const unsigned int n = je_n_arenas(ctl);
	ssize_t before, its;
	char name[64];

	if (!je_msec(ctl, common, &before) || ctl(common, NULL, NULL, &msec, sizeof(msec)) != 0)
		return false;

	for (unsigned int i = 0; i < n; i++)
		if (je_is_plain(f, i) && je_msec(ctl, je_name(name, "arena.", i, own), &its) &&
		    its == before)
			(void)ctl(name, NULL, NULL, &msec, sizeof(msec));

	return true;
}

static bool je_decay(const struct foreign *f, uint64_t msec)
{
	return je_set_decay(f, "arenas.dirty_decay_ms", ".dirty_decay_ms", (ssize_t)msec) &&
	       je_set_decay(f, "arenas.muzzy_decay_ms", ".muzzy_decay_ms", (ssize_t)msec);
}

/* The number may be another option's in a version to come: see that it was taken. */
static bool mi_decay(uint64_t msec)
{
	const long before = calls.mi_option_get(MI_DELAY);

	if (before < -1 || before > 3600 * 1000)
		return false;

	calls.mi_option_set(MI_DELAY, (long)msec);
	return calls.mi_option_get(MI_DELAY) == (long)msec;
}

/* @operator: what the environment says. jemalloc is asked only when it is one we know. */
static bool is_decided(struct foreign *f, uint32_t operator)
{
	if (operator & f->bit)
		return true;

	return f->bit == WIRE_ALLOCATOR_JEMALLOC && is_usable(f) && !je_has_usual_decay(f->mallctl);
}

enum wire_status foreign_decay(struct foreigners *foreigners, uint64_t msec, uint32_t operator,
			       enum wire_effect *ret_effect)
{
	enum wire_status status = WIRE_UNSUPPORTED;

	*ret_effect = WIRE_EFFECT_SET;
	for (uint32_t i = 0; i < foreigners->n; i++) {
		struct foreign *f = &foreigners->all[i];
		bool done;

		/* tcmalloc gives back by how much is freed, and knows no time. */
		if (f->bit != WIRE_ALLOCATOR_JEMALLOC && f->bit != WIRE_ALLOCATOR_MIMALLOC)
			continue;
		if (is_decided(f, operator)) {
			if (status == WIRE_UNSUPPORTED) {
				status = WIRE_REFUSED;
				*ret_effect = WIRE_EFFECT_OPERATOR;
			}
			continue;
		}
		if (!is_usable(f))
			continue;

		done = f->bit == WIRE_ALLOCATOR_JEMALLOC ? je_decay(f, msec) : mi_decay(msec);
		if (done) {
			status = WIRE_OK;
			*ret_effect = WIRE_EFFECT_SET;
		} else if (status == WIRE_UNSUPPORTED) {
			status = WIRE_FAILED;
		}
	}

	return status;
}
