/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/elf.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>

#include "agent/basic/macro.h"
#include "tests/unit/elf-fixture.h"
#include "tests/unit/test.h"

/* A file as small as it can be; each test breaks one thing. */
static struct {
	ElfW(Ehdr) header;
	ElfW(Phdr) segment;
	ElfW(Nhdr) note;
	char name[4];
	unsigned char id[8];
	ElfW(Shdr) sections[3];
	ElfW(Sym) symbols[4];
	char strings[40];
} file;

#define AT(field) ((size_t)((char *)&file.field - (char *)&file))

static size_t file_size;

static ssize_t read_file(void *arg, void *buf, size_t size, uint64_t offset)
{
	(void)arg;
	if (offset >= file_size)
		return 0;

	/* In small pieces, as a file need not give all at once. */
	size = MIN(MIN(size, 48U), file_size - (size_t)offset);
	memcpy(buf, (char *)&file + offset, size);
	return (ssize_t)size;
}

static void make_file(void)
{
	/* "mallctl" is the tail of "_rjem_mallctl", stored once. */
	static const char strings[] = "\0main\0_rjem_mallctl\0xmallctl\0";

	memset(&file, 0, sizeof(file));
	file_size = sizeof(file);
	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	file.header.e_ident[EI_DATA] =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	file.header.e_type = ET_DYN;
	file.header.e_phentsize = sizeof(file.segment);
	file.header.e_phnum = 1;
	file.header.e_phoff = AT(segment);
	file.header.e_shentsize = sizeof(file.sections[0]);
	file.header.e_shnum = 3;
	file.header.e_shoff = AT(sections);
	file.segment.p_type = PT_NOTE;
	file.segment.p_offset = AT(note);
	file.segment.p_filesz = sizeof(file.note) + sizeof(file.name) + sizeof(file.id);
	file.note = (ElfW(Nhdr)){ .n_namesz = 4, .n_descsz = 8, .n_type = NT_GNU_BUILD_ID };
	memcpy(file.name, "GNU", 4);
	memcpy(file.id, "\1\2\3\4\5\6\7\377", 8);
	file.sections[1].sh_type = SHT_SYMTAB;
	file.sections[1].sh_offset = AT(symbols);
	file.sections[1].sh_size = sizeof(file.symbols);
	file.sections[1].sh_entsize = sizeof(file.symbols[0]);
	file.sections[1].sh_link = 2;
	file.sections[2].sh_type = SHT_STRTAB;
	file.sections[2].sh_offset = AT(strings);
	file.sections[2].sh_size = sizeof(strings);
	memcpy(file.strings, strings, sizeof(strings));
	for (size_t i = 1; i < 4; i++) {
		file.symbols[i].st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC);
		file.symbols[i].st_shndx = 1;
		file.symbols[i].st_size = 16;
		file.symbols[i].st_value = 0x1000 * i;
	}
	file.symbols[1].st_name = 1;
	file.symbols[2].st_name = 6;
	file.symbols[3].st_name = 12;
}

static struct elf_functions found;

static int find(void)
{
	static const char *const names[] = { "mallctl", "je_mallctl", "_rjem_mallctl" };
	const struct elf_source source = { read_file, NULL };

	found = (struct elf_functions){ .n_build_id = 99 };
	return elf_find_functions(&source, names, 3, &found);
}

static void test_functions_are_found_by_their_whole_name(void)
{
	make_file();
	CHECK_EQ(find(), 0);
	CHECK_EQ(found.n_build_id, 8);
	CHECK_EQ(found.build_id[7], 0xff);
	CHECK_EQ(found.offsets[0], 0x3000);
	CHECK_EQ(found.offsets[1], 0);
	CHECK_EQ(found.offsets[2], 0x2000);
}

static void test_what_is_no_function_of_this_file_does_not_count(void)
{
	make_file();
	file.symbols[2].st_info = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT);
	file.symbols[3].st_shndx = SHN_UNDEF;
	CHECK_EQ(find(), 0);
	CHECK_EQ(found.offsets[0], 0);
	CHECK_EQ(found.offsets[2], 0);

	make_file();
	file.symbols[2].st_size = 0;
	file.symbols[3].st_name = 0xffffffff;
	CHECK_EQ(find(), 0);
	CHECK_EQ(found.offsets[0], 0);
	CHECK_EQ(found.offsets[2], 0);
}

static void test_a_file_cut_off_anywhere_is_refused(void)
{
	make_file();
	for (size_t n = 0; n < AT(strings) + file.sections[2].sh_size; n++) {
		file_size = n;
		CHECK(find() < 0);
		CHECK_EQ(found.n_build_id, 99);
	}
}

static void test_other_kinds_of_files_are_refused(void)
{
	make_file();
	file.header.e_ident[1] = 'F';
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.header.e_type = ET_REL;
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.header.e_ident[EI_CLASS] ^= 3;
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.header.e_ident[EI_DATA] ^= 3;
	CHECK_EQ(find(), -ENOEXEC);
}

static void test_contradictions_are_refused(void)
{
	make_file();
	file.sections[1].sh_link = 3;
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.sections[1].sh_link = 1;
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.sections[1].sh_entsize = 0;
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.sections[1].sh_offset = (ElfW(Off))-1;
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.header.e_shoff = (ElfW(Off))-8;
	CHECK_EQ(find(), -ENOEXEC);
	make_file();
	file.sections[2].sh_size = (ElfW(Off))1 << 30;
	CHECK_EQ(find(), -EFBIG);
}

static void test_without_an_id_or_a_table_there_is_nothing_to_tell(void)
{
	make_file();
	file.note.n_descsz = 0;
	CHECK_EQ(find(), -ENODATA);
	make_file();
	file.note.n_namesz = 0xffffffff;
	CHECK_EQ(find(), -ENODATA);
	make_file();
	file.note.n_descsz = ELF_BUILD_ID_MAX + 1;
	CHECK_EQ(find(), -ENODATA);
	make_file();
	file.sections[1].sh_type = SHT_DYNSYM;
	CHECK_EQ(find(), -ENODATA);
	make_file();
	file.header.e_shnum = 0;
	CHECK_EQ(find(), -ENODATA);
}

static void test_only_files_are_read(void)
{
	char text[ELF_VARIABLE_MAX];

	CHECK_EQ(elf_symbols_variable("/dev/null", text, sizeof(text)), -ENOEXEC);
	CHECK_EQ(elf_symbols_variable("/nowhere", text, sizeof(text)), -ENOENT);
	CHECK_EQ(elf_symbols_variable("/", text, sizeof(text)), -ENOEXEC);
	CHECK_EQ(elf_symbols_variable("/proc/self/exe", text, 8), -ENOBUFS);
	CHECK_EQ(elf_symbols_variable("/etc/passwd", text, sizeof(text)), -ENOEXEC);
	CHECK_EQ(elf_needs_asan("/dev/null"), -ENOEXEC);
	CHECK_EQ(elf_needs_asan("/nowhere"), -ENOENT);
	CHECK(elf_needs_asan("/proc/self/exe") >= 0);
}

static ssize_t read_loaded(void *arg, void *buf, size_t size, uint64_t offset)
{
	(void)arg;
	if (offset >= elf_fixture_size)
		return 0;

	size = MIN(size, elf_fixture_size - (size_t)offset);
	memcpy(buf, (char *)&elf_fixture + offset, size);
	return (ssize_t)size;
}

static int needs(const char *name)
{
	const struct elf_source source = { read_loaded, NULL };

	return elf_needs(&source, &name, 1);
}

static void test_libraries_are_found_by_the_beginning_of_their_name(void)
{
	elf_fixture_make();
	CHECK_EQ(needs("libasan.so"), 1);
	CHECK_EQ(needs("libc.so"), 1);
	CHECK_EQ(needs("asan"), 0);
	CHECK_EQ(needs("libasan.so.80"), 0);
	/* What follows the last entry is none. */
	elf_fixture.dynamic[1].d_tag = DT_NULL;
	elf_fixture.dynamic[0] = elf_fixture.dynamic[2];
	CHECK_EQ(needs("libasan.so"), 0);
	/* Without a loader there are none. */
	elf_fixture.segments[1].p_type = PT_NULL;
	CHECK_EQ(needs("libc.so"), 0);
}

static void test_libraries_of_a_damaged_file_are_none(void)
{
	elf_fixture_make();
	for (size_t n = elf_fixture_size - 1; n > 0; n--) {
		elf_fixture_size = n;
		CHECK(needs("libasan.so.8.") < 0);
	}
	elf_fixture_make();
	elf_fixture.dynamic[2].d_un.d_ptr = 1;
	CHECK_EQ(needs("libasan.so"), -ENOEXEC);
	elf_fixture_make();
	elf_fixture.dynamic[2].d_tag = DT_DEBUG;
	CHECK_EQ(needs("libasan.so"), -ENOEXEC);
	elf_fixture_make();
	elf_fixture.dynamic[1].d_un.d_val = UINT32_MAX;
	CHECK_EQ(needs("libasan.so"), -ENOEXEC);
	elf_fixture_make();
	elf_fixture.segments[0].p_offset = (ElfW(Off))-1;
	CHECK_EQ(needs("libasan.so"), -ENOEXEC);
	elf_fixture_make();
	elf_fixture.segments[1].p_filesz = (ElfW(Xword))-1;
	elf_fixture.segments[1].p_offset = (ElfW(Off))-8;
	CHECK_EQ(needs("libasan.so"), -ENOEXEC);
}

int main(void)
{
	RUN(test_functions_are_found_by_their_whole_name);
	RUN(test_what_is_no_function_of_this_file_does_not_count);
	RUN(test_a_file_cut_off_anywhere_is_refused);
	RUN(test_other_kinds_of_files_are_refused);
	RUN(test_contradictions_are_refused);
	RUN(test_without_an_id_or_a_table_there_is_nothing_to_tell);
	RUN(test_only_files_are_read);
	RUN(test_libraries_are_found_by_the_beginning_of_their_name);
	RUN(test_libraries_of_a_damaged_file_are_none);
	return TEST_RESULT();
}
