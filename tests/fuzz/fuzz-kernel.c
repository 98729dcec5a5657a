/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every parser of kernel text in agent/sense, each on the same input: whatever the
 * kernel, or a file system that poses as one, may say, nothing is read outside of the
 * text and what is accepted is well formed.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/sense/cgroup-path.h"
#include "agent/sense/cgroup-stat.h"
#include "agent/sense/proc-text.h"
#include "agent/sense/psi.h"
#include "agent/sense/vmstat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void fuzz_psi(const char *text)
{
	struct psi_line some;

	if (psi_parse(text, &some) < 0)
		return;

	expect(some.avg10_permyriad <= PERMYRIAD);
	expect(some.avg60_permyriad <= PERMYRIAD);
	expect(some.avg300_permyriad <= PERMYRIAD);
}

static void fuzz_stat(const char *text)
{
	struct cgroup_stat stat;
	uint64_t a, b, c;

	for (enum group_kind kind = GROUP_V1; kind <= GROUP_RSS; kind++)
		if (cgroup_stat_parse(text, kind, &stat) >= 0)
			expect(kind == GROUP_V1 || stat.limit_bytes == BYTES_INFINITY);

	(void)cgroup_stat_parse_events(text, &a, &b, &c);
	(void)cgroup_stat_parse_oom_control(text, &a);
	(void)cgroup_stat_has_controller(text, "memory");
	if (cgroup_stat_parse_number(text, &a) >= 0)
		expect(cgroup_stat_parse_limit(text, &b) >= 0 && b >= a);
}

static void fuzz_path(const char *text)
{
	char path[64];
	const char *below;

	for (enum group_kind kind = GROUP_V1; kind <= GROUP_RSS; kind++) {
		if (cgroup_path_parse(text, kind, path, sizeof(path)) < 0)
			continue;
		expect(path[0] == '/' && strlen(path) < sizeof(path));
		expect(!strchr(path, '\n'));
		below = cgroup_path_below(path, "/docker");
		if (below)
			expect(cgroup_path_depth(below) >= 0);
	}

	below = cgroup_path_below(text, "");
	if (below)
		expect(cgroup_path_depth(below) >= 0);
}

static void fuzz_mount(const char *text)
{
	static struct cgroup_mount mount;

	if (cgroup_path_parse_mount(text, &mount) < 0)
		return;

	expect(mount.root[0] == '/' && strlen(mount.root) < sizeof(mount.root));
	expect(mount.point[0] == '/' && strlen(mount.point) < sizeof(mount.point));
}

static void fuzz_process(const char *text)
{
	struct proc_stat stat;
	uint64_t bytes;

	if (proc_text_stat(text, &stat) == 0)
		expect(memchr(stat.command, '\0', sizeof(stat.command)) && stat.state != '\0');
	if (vmstat_parse_allocated(text, 4096, &bytes) == 0)
		expect(bytes % 4096 == 0 && strstr(text, "pgalloc_"));
}

static void fuzz_lines(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct proc_status status = { 0 };
	int r, mode;

	if (fd < 0)
		fd = memfd_create("text", MFD_CLOEXEC);
	expect(fd >= 0 && ftruncate(fd, 0) == 0);
	expect(pwrite(fd, data, size, 0) == (ssize_t)size);

	expect(lseek(fd, 0, SEEK_SET) == 0);
	r = proc_text_scan(fd, proc_text_seccomp, &mode);
	expect(r <= 0 || (mode >= 0 && mode <= 9));

	expect(lseek(fd, 0, SEEK_SET) == 0);
	expect(proc_text_scan(fd, proc_text_status, &status) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;

	memcpy(text, data, size);
	text[size] = '\0';

	fuzz_psi(text);
	fuzz_stat(text);
	fuzz_path(text);
	fuzz_mount(text);
	fuzz_process(text);
	fuzz_lines(data, size);

	free(text);
	return 0;
}
