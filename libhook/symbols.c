/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/weak.h"

#include "libhook/mem.h"
#include "libhook/symbols.h"

struct search {
	const struct environment_symbols *symbols;
	uint64_t offset;
	const void *address;
};

static size_t padded(uint64_t n)
{
	return (size_t)((n + 3) & ~(uint64_t)3);
}

/* One note after the other, as far as the segment goes. */
static bool notes_have(const unsigned char *notes, size_t size, const struct environment_symbols *symbols)
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
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp(notes, "GNU", 4) == 0)
			return note.n_descsz == symbols->n_build_id &&
			       memcmp(notes + n_name, symbols->build_id, symbols->n_build_id) == 0;

		notes += n_name + n_value;
		size -= n_name + n_value;
	}

	return false;
}

/* Is the part from @offset on, @size bytes, in a segment with these rights and in the file? */
static bool is_mapped(const struct dl_phdr_info *info, uint64_t offset, uint64_t size, ElfW(Word) rights)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && (segment->p_flags & rights) == rights &&
		    offset >= segment->p_vaddr && size <= segment->p_filesz &&
		    offset - segment->p_vaddr <= segment->p_filesz - size)
			return true;
	}

	return false;
}

static int look(struct dl_phdr_info *info, size_t info_size, void *arg)
{
	struct search *search = arg;
	bool same = false;

	(void)info_size;
	for (int i = 0; i < info->dlpi_phnum && !same; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		same = segment->p_type == PT_NOTE &&
		       is_mapped(info, segment->p_vaddr, segment->p_filesz, PF_R) &&
		       notes_have((const unsigned char *)info->dlpi_addr + segment->p_vaddr,
				  segment->p_filesz, search->symbols);
	}

	if (same && is_mapped(info, search->offset, 1, PF_R | PF_X))
		search->address = (const unsigned char *)info->dlpi_addr + search->offset;

	/* The main program comes first, and nothing else is looked at. */
	return 1;
}

const void *symbols_find(const struct environment_symbols *symbols, size_t i)
{
	struct search search = { .symbols = symbols, .offset = symbols->offsets[i] };

	if (search.offset == 0 || symbols->n_build_id == 0 || !dl_iterate_phdr)
		return NULL;

	(void)dl_iterate_phdr(look, &search);
	return search.address;
}
