/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Everything the hook takes from the outside, all of it weak: a name that the program
 * does not have is NULL here instead of a "symbol lookup error" that ends the program.
 * Included first by every file of the hook, and the complete list of its imports
 * (tests/static/check-symbols.sh compares).
 */

/* A fortified build would call __*_chk functions, which no musl program has. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* libc of any kind */
#pragma weak getenv
#pragma weak syscall
#pragma weak sysconf
#pragma weak __errno_location
#pragma weak pthread_attr_init
#pragma weak pthread_attr_destroy
#pragma weak pthread_attr_setdetachstate
#pragma weak pthread_attr_setstacksize
#pragma weak pthread_sigmask
#pragma weak pthread_key_create
#pragma weak pthread_setspecific
#pragma weak sigfillset
#pragma weak dlsym
#pragma weak dlopen
#pragma weak dladdr1
#pragma weak dl_iterate_phdr
#pragma weak getauxval

/*
 * glibc before 2.34 has dlopen and dlsym in a library of their own, which a program with
 * threads need not have. Its own entries are then all there is.
 */
extern void *__libc_dlopen_mode(const char *, int);
#pragma weak __libc_dlopen_mode
extern void *__libc_dlsym(void *, const char *);
#pragma weak __libc_dlsym

/* Only where it is libc's own, see sys.h. */
#pragma weak clock_gettime

/* Who keeps track of mappings stands in front of it, or in its code: see drop.c. */
#pragma weak madvise

/* glibc's own, for JVMs; no header has it. */
extern size_t __pthread_get_minstack(const pthread_attr_t *);
#pragma weak __pthread_get_minstack

/* glibc: a heap that can be read and trimmed */
extern const char *gnu_get_libc_version(void);
#pragma weak gnu_get_libc_version
#pragma weak malloc_info
#pragma weak malloc_trim
#pragma weak mallopt
#pragma weak fopencookie
#pragma weak setvbuf
#pragma weak fflush

/* Their addresses tell whose malloc is in force; borrow.c calls them, if it is glibc's. */
#pragma weak malloc
#pragma weak calloc
#pragma weak realloc
#pragma weak free
#pragma weak malloc_usable_size

/* libcap and libcap-ng: never called. Who has them loaded may change its capabilities. */
extern int cap_set_proc(void *);
#pragma weak cap_set_proc
extern int capng_apply(int);
#pragma weak capng_apply

/*
 * Other allocators. A function is called only when its allocator's other names come from
 * the same object; the *malloc* ones serve for
 * nothing but this comparison. See foreign.h.
 */
typedef int foreign_mallctl_t(const char *, void *, size_t *, void *, size_t);
extern foreign_mallctl_t mallctl, je_mallctl, _rjem_mallctl;
extern void *mallocx(size_t, int), *je_mallocx(size_t, int), *_rjem_mallocx(size_t, int);
#pragma weak mallctl
#pragma weak mallocx
#pragma weak je_mallctl
#pragma weak je_mallocx
#pragma weak _rjem_mallctl
#pragma weak _rjem_mallocx

extern int mi_version(void);
extern void *mi_malloc(size_t);
extern void mi_thread_init(void);
extern void mi_collect(_Bool);
extern long mi_option_get(int);
extern void mi_option_set(int, long);
#pragma weak mi_version
#pragma weak mi_malloc
#pragma weak mi_thread_init
#pragma weak mi_collect
#pragma weak mi_option_get
#pragma weak mi_option_set

/* gperftools */
extern void *tc_malloc(size_t);
extern void MallocExtension_ReleaseToSystem(size_t);
extern int MallocExtension_GetNumericProperty(const char *, size_t *);
#pragma weak tc_malloc
#pragma weak MallocExtension_ReleaseToSystem
#pragma weak MallocExtension_GetNumericProperty

/* google/tcmalloc; its result, where it has one, is not looked at */
typedef void foreign_google_t(size_t);
extern foreign_google_t MallocExtension_Internal_ReleaseMemoryToSystem;
#pragma weak MallocExtension_Internal_ReleaseMemoryToSystem
