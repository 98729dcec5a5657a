/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An executable as its loader reads it: two libraries, the second one's name ends the file. */

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static struct {
	ElfW(Ehdr) header;
	ElfW(Phdr) segments[2];
	ElfW(Dyn) dynamic[4];
	char strings[32];
} elf_fixture;

static size_t elf_fixture_size;

#define ELF_FIXTURE_AT(field) ((size_t)((char *)&elf_fixture.field - (char *)&elf_fixture))

static inline void elf_fixture_make(void)
{
	static const char strings[] = "\0libc.so.6\0libasan.so.8";
	/* Addresses are not places in the file. */
	const uint64_t shift = 0x10000;
	ElfW(Ehdr) *header = &elf_fixture.header;

	memset(&elf_fixture, 0, sizeof(elf_fixture));
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	header->e_ident[EI_DATA] =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	header->e_type = ET_DYN;
	header->e_phentsize = sizeof(elf_fixture.segments[0]);
	header->e_phoff = ELF_FIXTURE_AT(segments);
	header->e_phnum = 2;
	elf_fixture.segments[0] = (ElfW(Phdr)){ .p_type = PT_LOAD,
						.p_vaddr = shift,
						.p_filesz = sizeof(elf_fixture) };
	elf_fixture.segments[1] = (ElfW(Phdr)){ .p_type = PT_DYNAMIC,
						.p_offset = ELF_FIXTURE_AT(dynamic),
						.p_filesz = sizeof(elf_fixture.dynamic) };
	elf_fixture.dynamic[0] = (ElfW(Dyn)){ .d_tag = DT_NEEDED, .d_un.d_val = 1 };
	elf_fixture.dynamic[1] = (ElfW(Dyn)){ .d_tag = DT_NEEDED, .d_un.d_val = 11 };
	elf_fixture.dynamic[2] = (ElfW(Dyn)){ .d_tag = DT_STRTAB,
					      .d_un.d_ptr = shift + ELF_FIXTURE_AT(strings) };
	memcpy(elf_fixture.strings, strings, sizeof(strings));
	elf_fixture_size = ELF_FIXTURE_AT(strings) + sizeof(strings);
}
