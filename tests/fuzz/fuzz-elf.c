/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reader of executables, the hook's reader of what it wrote, and of MEMGUARD_MALLOPT. */

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

/* Only knobs that there are, each within what it may be, and the others not touched. */
static void read_knobs(const char *text)
{
	uint64_t knobs[WIRE_KNOB_MAX_] = { 0 };
	uint32_t set = 0;

	if (environment_parse_knobs(text, knobs, &set) && *text != '\0' && set == 0)
		abort();
	if ((set & 1) != 0 || set >> WIRE_KNOB_MAX_ != 0)
		abort();
	for (int i = 1; i < WIRE_KNOB_MAX_; i++)
		if (knobs[i] != (set & 1U << i ? wire_clamp((enum wire_knob)i, knobs[i]) : 0))
			abort();
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
	if (text)
		read_knobs(text);
	free(text);
	return 0;
}
