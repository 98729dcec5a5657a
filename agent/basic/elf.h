/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an executable file's own table of symbols says, which no loader reads. The file may
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
 * jemalloc's mallctl is, under any of its names. -ENOENT: it has none.
 */
int elf_symbols_variable(const char *path, char *ret, size_t size);

/* Long enough for all of it. */
#define ELF_VARIABLE_MAX 256
