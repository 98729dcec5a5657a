/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reader of executables, and the hook's reader of what it wrote. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/basic/elf.h"
#include "agent/basic/macro.h"
#include "libhook/environment.h"

struct bytes {
	const uint8_t *data;
	size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t read_bytes(void *arg, void *buf, size_t size, uint64_t offset)
{
	const struct bytes *bytes = arg;

	if (offset >= bytes->size)
		return 0;

	size = MIN(size, bytes->size - (size_t)offset);
	memcpy(buf, bytes->data + offset, size);
	return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "mallctl", "je_mallctl", "_rjem_mallctl" };
	struct bytes bytes = { data, size };
	const struct elf_source source = { read_bytes, &bytes };
	struct environment_symbols symbols;
	struct elf_functions functions;
	char *text;

	if (elf_find_functions(&source, names, ARRAY_SIZE(names), &functions) == 0 &&
	    (functions.n_build_id == 0 || functions.n_build_id > ELF_BUILD_ID_MAX))
		abort();

	(void)elf_needs(&source, names, ARRAY_SIZE(names));

	text = strndup((const char *)data, size);
	if (text && environment_parse_symbols(text, &symbols) &&
	    (symbols.n_build_id < 4 || symbols.n_build_id > ENVIRONMENT_BUILD_ID_MAX))
		abort();
	free(text);
	return 0;
}
