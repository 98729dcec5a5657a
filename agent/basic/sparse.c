/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/basic/sparse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/basic/lock.h"

/* Of memory that is not malloc()'s a sanitizer has to be told what is in use. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, n) ((void)(memory), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(memory, n) ((void)(memory), (void)(n))
#endif

#define BLOCK_BYTES ((size_t)64 * 1024)

/* Who has which record is kept apart: to note it there would be to write there. */
struct sparse_block {
	struct sparse_block *next;
	char *records;
	size_t n_taken;
	uint64_t taken[]; /* bits */
};

static size_t n_records(const struct sparse *sparse)
{
	return BLOCK_BYTES / sparse->record_bytes;
}

static struct sparse_block *block_new(const struct sparse *sparse)
{
	const size_t n_words = (n_records(sparse) + 63) / 64;
	struct sparse_block *block;
	void *records;

	block = calloc(1, sizeof(*block) + n_words * sizeof(block->taken[0]));
	if (!block)
		return NULL;

	records = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (records == MAP_FAILED) {
		free(block);
		return NULL;
	}

	/* A huge page would be all there at the first byte. */
	(void)madvise(records, BLOCK_BYTES, MADV_NOHUGEPAGE);
	ASAN_POISON_MEMORY_REGION(records, BLOCK_BYTES);
	block->records = records;
	return block;
}

static void block_free(struct sparse_block *block)
{
	ASAN_UNPOISON_MEMORY_REGION(block->records, BLOCK_BYTES);
	(void)munmap(block->records, BLOCK_BYTES);
	free(block);
}

static void *take_first(const struct sparse *sparse, struct sparse_block *block)
{
	char *record = block->records;

	for (size_t i = 0; i < n_records(sparse); i++, record += sparse->record_bytes) {
		const uint64_t bit = UINT64_C(1) << (i % 64);

		if (block->taken[i / 64] & bit)
			continue;
		block->taken[i / 64] |= bit;
		block->n_taken++;
		ASAN_UNPOISON_MEMORY_REGION(record, sparse->record_bytes);
		return record;
	}

	return NULL;
}

void *sparse_take(struct sparse *sparse)
{
	struct sparse_block **block;

	for (block = &sparse->blocks; *block; block = &(*block)->next)
		if ((*block)->n_taken < n_records(sparse))
			return take_first(sparse, *block);

	*block = block_new(sparse);
	return *block ? take_first(sparse, *block) : NULL;
}

void *sparse_give(struct sparse *sparse, void *record, bool is_written)
{
	struct sparse_block **next = &sparse->blocks, *block;
	size_t i;

	if (!record)
		return NULL;

	while ((uintptr_t)record - (uintptr_t)(*next)->records >= BLOCK_BYTES)
		next = &(*next)->next;
	block = *next;

	if (is_written)
		memset(record, 0, sparse->record_bytes);
	ASAN_POISON_MEMORY_REGION(record, sparse->record_bytes);
	i = (size_t)((char *)record - block->records) / sparse->record_bytes;
	block->taken[i / 64] &= ~(UINT64_C(1) << (i % 64));
	if (--block->n_taken == 0) {
		*next = block->next;
		block_free(block);
	}

	return NULL;
}

void sparse_touch(const struct sparse *sparse, void *record)
{
	touch_memory(record, sparse->record_bytes);
}

void sparse_close(struct sparse *sparse)
{
	struct sparse_block *block;

	while ((block = sparse->blocks)) {
		sparse->blocks = block->next;
		block_free(block);
	}
}
