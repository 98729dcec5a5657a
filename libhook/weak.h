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

/* libc of any kind. Not environ, which some programs have as well, and empty. */
#pragma weak __environ
#pragma weak syscall
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
#pragma weak dl_iterate_phdr
#pragma weak getauxval

/*
 * glibc before 2.34 has dlsym in a library of its own, which a program with
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
#pragma weak realloc
#pragma weak free

/*
 * Other allocators: one name of each, which tells that it is here. The others are asked for
 * then, and a function is called only when all come from the same object. See foreign.c.
 */
typedef int foreign_mallctl_t(const char *, void *, size_t *, void *, size_t);
extern foreign_mallctl_t mallctl, je_mallctl, _rjem_mallctl;
#pragma weak mallctl
#pragma weak je_mallctl
#pragma weak _rjem_mallctl

extern int mi_version(void);
#pragma weak mi_version

/* gperftools */
extern void MallocExtension_ReleaseToSystem(size_t);
#pragma weak MallocExtension_ReleaseToSystem

/* google/tcmalloc; its result, where it has one, is not looked at */
typedef void foreign_google_t(size_t);
extern foreign_google_t MallocExtension_Internal_ReleaseMemoryToSystem;
#pragma weak MallocExtension_Internal_ReleaseMemoryToSystem
