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
#pragma weak sigfillset
#pragma weak dlsym
#pragma weak dlopen
#pragma weak dladdr
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

/* Only their addresses are used: which other allocators are here? */
extern int mallctl(const char *, void *, size_t *, void *, size_t);
#pragma weak mallctl
extern int mi_version(void);
#pragma weak mi_version
extern void MallocExtension_ReleaseFreeMemory(void);
#pragma weak MallocExtension_ReleaseFreeMemory
