/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/weak.h"

#include "libhook/loader.h"

/* What __libc_dlopen_mode() wants to be told by libc's own callers. */
#define INTERNAL ((int)0x80000000U)

/* What we did not find is nothing that the program's dlerror() should tell. */
static void *ask(void *where, const char *name)
{
	void *const found = dlsym(where, name);
	char *(*forget)(void);

	if (!found) {
		forget = (char *(*)(void))dlsym(RTLD_DEFAULT, "dlerror");
		if (forget)
			(void)forget();
	}

	return found;
}

void *loader_find(const char *name)
{
	void *program;

	if (dlsym)
		return ask(RTLD_DEFAULT, name);
	if (!__libc_dlopen_mode || !__libc_dlsym)
		return NULL;

	/* Not NULL, which only dlopen() understands. */
	program = __libc_dlopen_mode("", INTERNAL | RTLD_LAZY);
	return program ? __libc_dlsym(program, name) : NULL;
}

/*
 * glibc before 2.34 keeps threads in a library of its own, which may come later by
 * dlopen, and dlsym in another, which the program may not have.
 */
static void *find_in_libpthread(void)
{
	static const char name[] = "libpthread.so.0", symbol[] = "pthread_create";
	void *(*open)(const char *, int), *library;

	if (dlsym) {
		open = (void *(*)(const char *, int))ask(RTLD_DEFAULT, "dlopen");
		library = open ? open(name, RTLD_LAZY | RTLD_NOLOAD) : NULL;
		return library ? ask(library, symbol) : NULL;
	}
	if (__libc_dlopen_mode && __libc_dlsym) {
		library = __libc_dlopen_mode(name, INTERNAL | RTLD_LAZY | RTLD_NOLOAD);
		return library ? __libc_dlsym(library, symbol) : NULL;
	}

	return NULL;
}

void *loader_next_create(void)
{
	void *create = NULL;

	if (dlsym)
		create = ask(RTLD_NEXT, "pthread_create");

	return create ? create : find_in_libpthread();
}
