/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* basic/sparse: what is not written takes no memory, and what was written is used again. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/basic/sparse.h"

#include "tests/unit/test.h"

#define RECORD_BYTES 456
#define N 1000

static void *records[N];

static void take_all(struct sparse *sparse)
{
	for (size_t i = 0; i < N; i++) {
		records[i] = sparse_take(sparse);
		CHECK(records[i]);
	}
}

static void give_all(struct sparse *sparse)
{
	for (size_t i = 0; i < N; i++)
		records[i] = sparse_give(sparse, records[i], true);
}

static bool is_zero(const void *record)
{
	static const char zeroes[RECORD_BYTES];

	return memcmp(record, zeroes, RECORD_BYTES) == 0;
}

/* Anonymous memory of the mappings that our records are in. */
static uint64_t present_kib(void)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	uint64_t begin, end, kib, sum = 0;
	bool ours = false;
	char line[4096];

	CHECK(file);
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2) {
			ours = false;
			for (size_t i = 0; i < N; i++)
				ours |= records[i] && (uintptr_t)records[i] >= begin &&
					(uintptr_t)records[i] < end;
		}
		if (ours && sscanf(line, "Anonymous: %" SCNu64, &kib) == 1)
			sum += kib;
	}

	if (file)
		(void)fclose(file);
	return sum;
}

static void test_what_is_not_written_takes_no_memory(void)
{
	struct sparse sparse = { .record_bytes = RECORD_BYTES };

	take_all(&sparse);
	CHECK_EQ(present_kib(), 0);
	for (size_t i = 1; i < N; i += 2) {
		CHECK(!sparse_give(&sparse, records[i], false));
		records[i] = sparse_take(&sparse);
	}
	CHECK_EQ(present_kib(), 0);

	memset(records[0], 1, RECORD_BYTES);
	CHECK(present_kib() > 0);
	CHECK(present_kib() <= 8);

	give_all(&sparse);
	sparse_close(&sparse);
}

static void test_what_is_touched_has_its_memory_and_is_as_it_was(void)
{
	struct sparse sparse = { .record_bytes = RECORD_BYTES };
	uint64_t before, touched;

	take_all(&sparse);
	/* The ninth of them lies across the end of a page. */
	before = present_kib();
	sparse_touch(&sparse, records[8]);
	touched = present_kib();
	CHECK(touched >= before + 8);
	CHECK(is_zero(records[8]));
	memset(records[8], 1, RECORD_BYTES);
	CHECK_EQ(present_kib(), touched);
	sparse_touch(&sparse, records[8]);
	CHECK_EQ(((char *)records[8])[RECORD_BYTES - 1], 1);

	give_all(&sparse);
	sparse_close(&sparse);
}

static void test_records_do_not_overlap(void)
{
	struct sparse sparse = { .record_bytes = RECORD_BYTES };

	take_all(&sparse);
	for (size_t i = 0; i < N; i++)
		memset(records[i], (int)(i % 255) + 1, RECORD_BYTES);
	for (size_t i = 0; i < N; i++) {
		const unsigned char *bytes = records[i];

		CHECK_EQ(bytes[0], i % 255 + 1);
		CHECK_EQ(bytes[RECORD_BYTES - 1], i % 255 + 1);
	}

	give_all(&sparse);
	CHECK(!sparse.blocks);
	sparse_close(&sparse);
}

static void test_what_was_given_back_is_zero_and_taken_first(void)
{
	struct sparse sparse = { .record_bytes = RECORD_BYTES };
	void *record;

	take_all(&sparse);
	record = records[17];
	memset(record, 1, RECORD_BYTES);
	CHECK(!sparse_give(&sparse, record, true));
	records[17] = sparse_take(&sparse);
	CHECK(records[17] == record);
	CHECK(is_zero(record));

	CHECK(!sparse_give(&sparse, NULL, false));
	give_all(&sparse);
	sparse_close(&sparse);
}

int main(void)
{
	RUN(test_what_is_not_written_takes_no_memory);
	RUN(test_what_is_touched_has_its_memory_and_is_as_it_was);
	RUN(test_records_do_not_overlap);
	RUN(test_what_was_given_back_is_zero_and_taken_first);

	return TEST_RESULT();
}
