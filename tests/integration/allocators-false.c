/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Objects with names of an allocator that are not to be taken for one, for
 * hook-allocators.sh; one that has words for jemalloc; and one that stands for google/tcmalloc,
 * which no Debian package has. As in real programs it may be linked in: then nothing but malloc
 * is exported.
 */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(HALF) || defined(SPLIT_A)
/* mallctl() alone may be anybody's. */
int mallctl(const char *, void *, size_t *, void *, size_t);
int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
{
	(void)name, (void)old, (void)old_size, (void)new, (void)new_size;
	abort();
}
#endif

#ifdef SPLIT_B
void *mallocx(size_t, int);
void *mallocx(size_t size, int flags)
{
	(void)size, (void)flags;
	abort();
}
#endif

#ifdef OLD
/* May be asked for its version, and for nothing after it. */
int mallctl(const char *, void *, size_t *, void *, size_t);
int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
{
	(void)old_size, (void)new, (void)new_size;
	if (strcmp(name, "version") != 0)
		abort();
	*(const char **)old = "3.6.0-0-g0";
	return 0;
}

void *mallocx(size_t, int);
void *mallocx(size_t size, int flags)
{
	(void)size, (void)flags;
	abort();
}
#endif

#ifdef CONF
/* What a program tells jemalloc without a variable. */
extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:9000";
#endif

#define ABORTS(name)     \
	void name(void); \
	void name(void)  \
	{                \
		abort(); \
	}

/* gperftools' functions for C without its own malloc(), as a fork of it may have them. */
#if defined(TC_HALF) || defined(TC_SERVES)
ABORTS(MallocExtension_ReleaseToSystem)
ABORTS(MallocExtension_ReleaseFreeMemory)
ABORTS(MallocExtension_GetNumericProperty)
#endif

#ifdef TC_REST
ABORTS(tc_malloc)
#endif

/* And the program lives on it. */
#ifdef TC_SERVES
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

void *malloc(size_t size)
{
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return __libc_calloc(n, size);
}

void *realloc(void *block, size_t size)
{
	return __libc_realloc(block, size);
}

void free(void *block)
{
	__libc_free(block);
}
#endif

#ifdef MI_OLD
int mi_version(void);
int mi_version(void)
{
	return 170;
}

void *mi_malloc(size_t);
void *mi_malloc(size_t size)
{
	(void)size;
	abort();
}

ABORTS(mi_thread_init)
ABORTS(mi_collect)
ABORTS(mi_option_get)
ABORTS(mi_option_set)
#endif

#ifdef GOOGLE
#define HELD_BYTES ((size_t)64 << 20)

/* It serves malloc(), or it would not be asked. */
extern void *__libc_malloc(size_t);
static void *held;

void *malloc(size_t size)
{
	return __libc_malloc(size);
}

__attribute__((constructor)) static void hold(void)
{
	held = mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (held == MAP_FAILED)
		abort();
	memset(held, 1, HELD_BYTES);
}

size_t MallocExtension_Internal_ReleaseMemoryToSystem(size_t);
size_t MallocExtension_Internal_ReleaseMemoryToSystem(size_t bytes)
{
	if (bytes < HELD_BYTES)
		abort();
	(void)madvise(held, HELD_BYTES, MADV_DONTNEED);
	return HELD_BYTES;
}
#endif
