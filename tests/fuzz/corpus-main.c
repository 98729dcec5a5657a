/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runs a fuzz target over the files named, for compilers without libFuzzer: the corpus is
 * part of `make check`. A directory stands for its files.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * A target may have this, to tell what no input has reached, or NULL: a corpus of frames
 * of an older wire is refused at the first look, and would pass for ever.
 */
const char *fuzz_unreached(void);
#pragma weak fuzz_unreached

static int run_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	uint8_t *exact;
	size_t size;

	if (!file) {
		perror(path);
		return -1;
	}

	size = fread(data, 1, sizeof(data), file);
	fclose(file);

	/* Of the exact size, so that a sanitizer sees the first byte read beyond it. */
	exact = malloc(size > 0 ? size : 1);
	if (!exact)
		return -1;
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

static int run_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	char name[4096];
	int n = 0;

	if (!directory) {
		perror(path);
		return -1;
	}

	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (run_file(name) < 0) {
			n = -1;
			break;
		}
		n++;
	}

	closedir(directory);
	return n;
}

int main(int argc, char **argv)
{
	const char *unreached = NULL;
	int total = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		int n;

		n = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_directory(argv[i]) :
								     run_file(argv[i]);
		if (n < 0)
			return 1;
		total += n;
	}

	if (fuzz_unreached)
		unreached = fuzz_unreached();
	printf("%d inputs\n", total);
	if (unreached) {
		fprintf(stderr, "no input reaches: %s\n", unreached);
		return 1;
	}
	/* A corpus that is not there is no corpus that passes. */
	return total > 0 ? 0 : 1;
}
