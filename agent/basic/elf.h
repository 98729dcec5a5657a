/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an executable file's own table of symbols says, which no loader reads, and what it
 * asks the loader for. The file may
 * be anybody's: nothing in it is believed before it was checked, and memory and work are
 * bounded whatever it says.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ELF_BUILD_ID_MAX 32
#define ELF_NAMES_MAX 8

/* Where the bytes come from: as pread(), but no error has a meaning of its own. */
struct elf_source {
	ssize_t (*read)(void *arg, void *buf, size_t size, uint64_t offset);
	void *arg;
};

struct elf_functions {
	unsigned char build_id[ELF_BUILD_ID_MAX];
	size_t n_build_id;
	uint64_t offsets[ELF_NAMES_MAX]; /* by name; 0: no such function */
};

/*
 * -ENOEXEC: no ELF file of this machine's kind, or one that contradicts itself; -EFBIG:
 * too large to be looked through; -ENODATA: no build id, or no table (stripped).
 */
int elf_find_functions(const struct elf_source *source, const char *const *names, size_t n_names,
		       struct elf_functions *ret);

/*
 * The value of MEMGUARD_SYMBOLS for the executable @path (see memguard-hook(7)): where
 * jemalloc's mallctl is, under any of its names, and what google/tcmalloc releases by.
 * -ENOENT: it has none of them.
 */
int elf_symbols_variable(const char *path, char *ret, size_t size);

/* Long enough for all of it. */
#define ELF_VARIABLE_MAX 256

/* Whose functions that value names: "jemalloc" or "google-tcmalloc", as in what the daemon tells. */
const char *elf_symbols_allocator(const char *variable);

/* 1: it asks the loader for a library whose name begins with one of @names; 0: it does not. */
int elf_needs(const struct elf_source *source, const char *const *names, size_t n_names);

/*
 * 1: the executable @path has address sanitizer as a library, which ends it where anything is
 * preloaded in front of that. Who set this variable to that value has said it need not.
 */
int elf_needs_asan(const char *path);
#define ELF_ASAN_VARIABLE "ASAN_OPTIONS"
#define ELF_ASAN_VALUE "verify_asan_link_order=0"
