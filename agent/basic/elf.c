/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/macro.h"

#define SEGMENTS_MAX 128U
#define NOTES_MAX ((size_t)4096)
#define TABLE_MAX (256 * MIB)

/* One name may be the end of several others: linkers store such tails once. */
#define PLACES_MAX 16
#define NAME_MAX_BYTES 32

#define CHUNK_BYTES ((size_t)64 * KIB)

#define DYNAMIC_MAX 1024U
#define NEEDED_MAX 64

/* A table's place in the file. */
struct table {
	uint64_t offset, bytes;
};

struct search {
	const struct elf_source *source;
	const char *const *names;
	size_t n_names;
	ElfW(Ehdr) header;
	struct table symbols, strings;
	uint32_t places[ELF_NAMES_MAX][PLACES_MAX]; /* in strings, where a name begins */
	size_t n_places[ELF_NAMES_MAX];
	unsigned char chunk[CHUNK_BYTES];
};

/* The libraries that it names, by where their names are in its strings. */
struct needed {
	uint64_t strings; /* in the file */
	uint32_t names[NEEDED_MAX];
	size_t n;
};

/* All of it or nothing. */
static int read_at(const struct elf_source *source, void *buf, size_t size, uint64_t offset)
{
	size_t n = 0;

	if (offset > INT64_MAX - size)
		return -ENOEXEC;

	while (n < size) {
		const ssize_t r =
			source->read(source->arg, (unsigned char *)buf + n, size - n, offset + n);

		if (r <= 0)
			return -ENOEXEC;
		n += (size_t)r;
	}

	return 0;
}

static int read_header(struct search *search)
{
	const ElfW(Ehdr) *header = &search->header;
	const unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	const unsigned char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	int r;

	r = read_at(search->source, &search->header, sizeof(search->header), 0);
	if (r < 0)
		return r;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != class ||
	    header->e_ident[EI_DATA] != order ||
	    (header->e_type != ET_DYN && header->e_type != ET_EXEC) ||
	    header->e_phentsize != sizeof(ElfW(Phdr)))
		return -ENOEXEC;

	return 0;
}

static size_t padded(uint32_t n)
{
	return ((size_t)n + 3) & ~(size_t)3;
}

/* 0: found; -ENODATA: not among these. */
static int find_build_id(const unsigned char *notes, size_t size, struct elf_functions *ret)
{
	ElfW(Nhdr) note;

	while (size >= sizeof(note)) {
		size_t n_name, n_value;

		memcpy(&note, notes, sizeof(note));
		notes += sizeof(note);
		size -= sizeof(note);
		n_name = padded(note.n_namesz);
		n_value = padded(note.n_descsz);
		if (n_name > size || n_value > size - n_name)
			return -ENODATA;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") &&
		    memcmp(notes, "GNU", sizeof("GNU")) == 0 && note.n_descsz > 0 &&
		    note.n_descsz <= ELF_BUILD_ID_MAX) {
			ret->n_build_id = note.n_descsz;
			memcpy(ret->build_id, notes + n_name, note.n_descsz);
			return 0;
		}

		notes += n_name + n_value;
		size -= n_name + n_value;
	}

	return -ENODATA;
}

static int read_segment(struct search *search, unsigned int i, ElfW(Phdr) *ret)
{
	return read_at(search->source, ret, sizeof(*ret), search->header.e_phoff + i * sizeof(*ret));
}

static int read_build_id(struct search *search, struct elf_functions *ret)
{
	ElfW(Phdr) segment;
	int r;

	for (unsigned int i = 0; i < MIN(search->header.e_phnum, SEGMENTS_MAX); i++) {
		size_t size;

		r = read_segment(search, i, &segment);
		if (r < 0)
			return r;
		if (segment.p_type != PT_NOTE)
			continue;

		size = MIN(segment.p_filesz, NOTES_MAX);
		r = read_at(search->source, search->chunk, size, segment.p_offset);
		if (r < 0)
			return r;
		if (find_build_id(search->chunk, size, ret) == 0)
			return 0;
	}

	return -ENODATA;
}

static int read_section(struct search *search, unsigned int i, ElfW(Shdr) *ret)
{
	return read_at(search->source, ret, sizeof(*ret), search->header.e_shoff + i * sizeof(*ret));
}

static int find_tables(struct search *search)
{
	ElfW(Shdr) section;
	int r;

	if (search->header.e_shoff == 0)
		return -ENODATA;
	if (search->header.e_shentsize != sizeof(section))
		return -ENOEXEC;

	for (unsigned int i = 0; i < search->header.e_shnum; i++) {
		r = read_section(search, i, &section);
		if (r < 0)
			return r;
		if (section.sh_type != SHT_SYMTAB)
			continue;

		search->symbols = (struct table){ section.sh_offset, section.sh_size };
		if (section.sh_entsize != sizeof(ElfW(Sym)) || section.sh_link >= search->header.e_shnum)
			return -ENOEXEC;
		r = read_section(search, section.sh_link, &section);
		if (r < 0)
			return r;
		if (section.sh_type != SHT_STRTAB)
			return -ENOEXEC;

		search->strings = (struct table){ section.sh_offset, section.sh_size };
		return search->symbols.bytes > TABLE_MAX || search->strings.bytes > TABLE_MAX ? -EFBIG : 0;
	}

	return -ENODATA;
}

/* Every place in one piece of the strings where a name begins and ends with its NUL. */
static void find_places(struct search *search, size_t n, uint64_t at)
{
	for (size_t i = 0; i < search->n_names; i++) {
		const size_t length = strlen(search->names[i]) + 1;
		const unsigned char *from = search->chunk, *end = search->chunk + n, *found;

		for (; (found = memmem(from, (size_t)(end - from), search->names[i], length));
		     from = found + 1) {
			const uint32_t place = (uint32_t)(at + (uint64_t)(found - search->chunk));
			const size_t k = search->n_places[i];

			/* Pieces overlap: the same place may come twice. */
			if (k < PLACES_MAX && (k == 0 || search->places[i][k - 1] != place))
				search->places[i][search->n_places[i]++] = place;
		}
	}
}

static int scan_strings(struct search *search)
{
	const struct table *table = &search->strings;

	for (uint64_t at = 0; at < table->bytes;) {
		const size_t n = MIN(table->bytes - at, CHUNK_BYTES);
		const int r = read_at(search->source, search->chunk, n, table->offset + at);

		if (r < 0)
			return r;
		find_places(search, n, at);
		if (n < CHUNK_BYTES)
			break;
		/* What begins at the end of this piece is whole in the next. */
		at += n - NAME_MAX_BYTES;
	}

	return 0;
}

static void take_symbol(const struct search *search, const ElfW(Sym) *symbol, struct elf_functions *ret)
{
	/* The same for both classes. */
	const unsigned char type = ELF64_ST_TYPE(symbol->st_info);

	if (type != STT_FUNC || symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE ||
	    symbol->st_value == 0 || symbol->st_size == 0)
		return;

	for (size_t i = 0; i < search->n_names; i++)
		for (size_t k = 0; k < search->n_places[i]; k++)
			if (symbol->st_name == search->places[i][k])
				ret->offsets[i] = symbol->st_value;
}

static int scan_symbols(struct search *search, struct elf_functions *ret)
{
	const struct table *table = &search->symbols;
	const size_t step = CHUNK_BYTES - CHUNK_BYTES % sizeof(ElfW(Sym));
	ElfW(Sym) symbol;

	for (uint64_t at = 0; at < table->bytes; at += step) {
		const size_t n = MIN(table->bytes - at, step);
		const int r = read_at(search->source, search->chunk, n, table->offset + at);

		if (r < 0)
			return r;
		for (size_t i = 0; i + sizeof(symbol) <= n; i += sizeof(symbol)) {
			memcpy(&symbol, search->chunk + i, sizeof(symbol));
			take_symbol(search, &symbol, ret);
		}
	}

	return 0;
}

int elf_find_functions(const struct elf_source *source, const char *const *names, size_t n_names,
		       struct elf_functions *ret)
{
	/* Too large for a stack, and never needed twice at a time. */
	static struct search search;
	struct elf_functions functions = { .n_build_id = 0 };
	int r;

	memset(&search, 0, sizeof(search));
	search.source = source;
	search.names = names;
	search.n_names = MIN(n_names, (size_t)ELF_NAMES_MAX);

	r = read_header(&search);
	if (r >= 0)
		r = read_build_id(&search, &functions);
	if (r >= 0)
		r = find_tables(&search);
	if (r >= 0)
		r = scan_strings(&search);
	if (r >= 0)
		r = scan_symbols(&search, &functions);
	if (r < 0)
		return r;

	*ret = functions;
	return 0;
}

/* Where the bytes of an address are in the file; -ENOEXEC: in no segment of it. */
static int find_offset(struct search *search, uint64_t address, uint64_t *ret)
{
	ElfW(Phdr) segment;
	int r;

	for (unsigned int i = 0; i < MIN(search->header.e_phnum, SEGMENTS_MAX); i++) {
		r = read_segment(search, i, &segment);
		if (r < 0)
			return r;
		if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
		    address - segment.p_vaddr >= segment.p_filesz)
			continue;
		if (segment.p_offset > INT64_MAX)
			return -ENOEXEC;
		*ret = segment.p_offset + (address - segment.p_vaddr);
		return 0;
	}

	return -ENOEXEC;
}

/* -ENODATA: linked without a loader. */
static int find_dynamic(struct search *search, ElfW(Phdr) *ret)
{
	int r;

	for (unsigned int i = 0; i < MIN(search->header.e_phnum, SEGMENTS_MAX); i++) {
		r = read_segment(search, i, ret);
		if (r < 0 || ret->p_type == PT_DYNAMIC)
			return r;
	}

	return -ENODATA;
}

static bool begins_with_one(const char *s, const struct search *search)
{
	for (size_t i = 0; i < search->n_names; i++)
		if (strncmp(s, search->names[i], strlen(search->names[i])) == 0)
			return true;

	return false;
}

/* A name may be the last thing in the file: byte by byte, as far as it matters. */
static int read_name(struct search *search, uint64_t offset, char ret[static NAME_MAX_BYTES])
{
	memset(ret, 0, NAME_MAX_BYTES);
	for (size_t i = 0; i < NAME_MAX_BYTES - 1; i++) {
		const int r = read_at(search->source, ret + i, 1, offset + i);

		if (r < 0 || ret[i] == '\0')
			return r;
	}

	return 0;
}

static int read_needed(struct search *search, const ElfW(Phdr) *segment, struct needed *ret)
{
	ElfW(Dyn) entry;

	for (unsigned int i = 0; i < DYNAMIC_MAX && (i + 1) * sizeof(entry) <= segment->p_filesz; i++) {
		int r;

		r = read_at(search->source, &entry, sizeof(entry), segment->p_offset + i * sizeof(entry));
		if (r >= 0 && entry.d_tag == DT_STRTAB)
			r = find_offset(search, entry.d_un.d_ptr, &ret->strings);
		if (r < 0)
			return r;
		if (entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_NEEDED && ret->n < NEEDED_MAX)
			ret->names[ret->n++] = (uint32_t)entry.d_un.d_val;
	}

	return ret->n > 0 && ret->strings == 0 ? -ENOEXEC : 0;
}

int elf_needs(const struct elf_source *source, const char *const *names, size_t n_names)
{
	static struct search search;
	struct needed needed = { .n = 0 };
	char name[NAME_MAX_BYTES];
	ElfW(Phdr) segment;
	int r;

	search.source = source;
	search.names = names;
	search.n_names = n_names;

	r = read_header(&search);
	if (r >= 0)
		r = find_dynamic(&search, &segment);
	if (r == -ENODATA)
		return 0;
	if (r >= 0)
		r = read_needed(&search, &segment, &needed);

	for (size_t i = 0; r >= 0 && i < needed.n; i++) {
		r = read_name(&search, needed.strings + needed.names[i], name);
		if (r >= 0 && begins_with_one(name, &search))
			return 1;
	}

	return r;
}

static ssize_t read_fd(void *arg, void *buf, size_t size, uint64_t offset)
{
	return pread(*(const int *)arg, buf, size, (off_t)offset);
}

/* Neither a device nor a pipe, which reading could change or wait for. */
static int open_program(const char *path)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fd_close(fd);
		return -ENOEXEC;
	}

	return fd;
}

static int write_variable(const struct elf_functions *functions, const char *const *names, size_t n_names,
			  char *ret, size_t size)
{
	size_t n = 0;
	bool any = false;

	for (size_t i = 0; i < functions->n_build_id; i++)
		n += (size_t)snprintf(ret + n, size - n, "%02x", functions->build_id[i]);
	for (size_t i = 0; i < n_names; i++) {
		if (functions->offsets[i] == 0)
			continue;
		n += (size_t)snprintf(ret + n, size - n, "%c%s=%" PRIx64, any ? ',' : ':', names[i],
				      functions->offsets[i]);
		any = true;
	}

	return any ? 0 : -ENOENT;
}

int elf_symbols_variable(const char *path, char *ret, size_t size)
{
	static const char *const names[] = { "mallctl", "je_mallctl", "_rjem_mallctl",
					     "MallocExtension_Internal_ReleaseMemoryToSystem" };
	_cleanup_(fd_closep) int fd = -1;
	const struct elf_source source = { read_fd, &fd };
	struct elf_functions functions;
	int r;

	if (size < ELF_VARIABLE_MAX)
		return -ENOBUFS;

	fd = open_program(path);
	if (fd < 0)
		return fd;

	r = elf_find_functions(&source, names, ARRAY_SIZE(names), &functions);
	if (r < 0)
		return r;

	return write_variable(&functions, names, ARRAY_SIZE(names), ret, size);
}

const char *elf_symbols_allocator(const char *variable)
{
	return strstr(variable, "mallctl=") ? "jemalloc" : "google-tcmalloc";
}

int elf_needs_asan(const char *path)
{
	/* gcc's, and clang's where it was asked for one. */
	static const char *const names[] = { "libasan.so", "libclang_rt.asan" };
	_cleanup_(fd_closep) int fd = -1;
	const struct elf_source source = { read_fd, &fd };

	fd = open_program(path);
	return fd < 0 ? fd : elf_needs(&source, names, ARRAY_SIZE(names));
}
