/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What real kernels said (tests/fuzz/capture.sh) is understood, every file of it. */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/basic/macro.h"
#include "agent/sense/cgroup-path.h"
#include "agent/sense/cgroup-stat.h"
#include "agent/sense/proc-text.h"
#include "agent/sense/psi.h"
#include "agent/sense/vmstat.h"
#include "tests/unit/test.h"

static enum group_kind kind;

static bool reads_stat(const char *text)
{
	struct cgroup_stat stat;

	return cgroup_stat_parse(text, kind, &stat) == 0 && stat.droppable_bytes < 1024 * GIB;
}

static bool reads_number(const char *text)
{
	uint64_t number;

	return cgroup_stat_parse_number(text, &number) == 0 && number < 1024 * GIB;
}

static bool reads_limit(const char *text)
{
	uint64_t bytes;

	return cgroup_stat_parse_limit(text, &bytes) == 0 &&
	       (bytes == BYTES_INFINITY || bytes == 64 * MIB);
}

static bool reads_events(const char *text)
{
	uint64_t n_max, n_oom, n_oom_kill;

	return cgroup_stat_parse_events(text, &n_max, &n_oom, &n_oom_kill) == 0;
}

static bool reads_oom_control(const char *text)
{
	uint64_t n_oom_kill;

	return cgroup_stat_parse_oom_control(text, &n_oom_kill) == 0;
}

static bool reads_controllers(const char *text)
{
	/* A group whose parent hands none down has none. */
	return text[0] == '\0' || text[0] == '\n' || cgroup_stat_has_controller(text, "memory");
}

static bool reads_pressure(const char *text)
{
	struct psi_line some;

	return psi_parse(text, &some) == 0;
}

static bool reads_membership(const char *text)
{
	char path[256];

	return cgroup_path_parse(text, kind, path, sizeof(path)) == 0 &&
	       strstr(path, "/memguard-capture");
}

static bool reads_mount(const char *text)
{
	static struct cgroup_mount mount;

	return cgroup_path_parse_mount(text, &mount) == 0 &&
	       strncmp(mount.point, "/sys/fs/cgroup", 14) == 0;
}

static bool reads_vmstat(const char *text)
{
	uint64_t bytes;

	return vmstat_parse_allocated(text, 4096, &bytes) == 0 && bytes > 0;
}

static bool reads_process(const char *text)
{
	struct proc_stat stat;

	return proc_text_stat(text, &stat) == 0 && stat.command[0] != '\0' &&
	       stat.n_threads == 1 && stat.start_ticks > 0 && strchr("RSD", stat.state);
}

static bool reads_status(const char *text)
{
	const int fd = memfd_create("status", MFD_CLOEXEC);
	struct proc_status status = { 0 };
	int seccomp = -1;
	bool ok;

	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0 &&
	     proc_text_scan(fd, proc_text_status, &status) == 0 && status.tgid > 0 &&
	     status.rss_kib > 0 && status.anon_kib > 0 && lseek(fd, 0, SEEK_SET) == 0 &&
	     proc_text_scan(fd, proc_text_seccomp, &seccomp) == 1 && seccomp == 0;
	close(fd);
	return ok;
}

static const struct {
	const char *name; /* of the file, before ".empty", ".limited" or ".root" */
	bool (*reads)(const char *text);
} readers[] = {
	{ "memory.stat", reads_stat },
	{ "memory.current", reads_number },
	{ "memory.swap.current", reads_number },
	{ "memory.usage_in_bytes", reads_number },
	{ "memory.failcnt", reads_number },
	{ "memory.max", reads_limit },
	{ "memory.high", reads_limit },
	{ "memory.limit_in_bytes", reads_limit },
	{ "memory.events", reads_events },
	{ "memory.oom_control", reads_oom_control },
	{ "cgroup.controllers", reads_controllers },
	{ "memory.pressure", reads_pressure },
	{ "pressure-memory", reads_pressure },
	{ "proc-cgroup", reads_membership },
	{ "mountinfo", reads_mount },
	{ "vmstat", reads_vmstat },
	{ "proc-stat", reads_process },
	{ "proc-status", reads_status },
};

static bool is_named(const char *file, const char *name)
{
	const size_t n = strlen(name);

	return strncmp(file, name, n) == 0 &&
	       (file[n] == '\0' || streq(file + n, ".empty") || streq(file + n, ".limited") ||
		streq(file + n, ".root"));
}

/* Is it understood? Also false for a file that nothing here reads. */
static bool understands(const char *file, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		if (is_named(file, readers[i].name))
			return readers[i].reads(text);

	return false;
}

static int check_file(int directory_fd, const char *file)
{
	static char text[64 * 1024];
	const int fd = openat(directory_fd, file, O_RDONLY | O_CLOEXEC);
	const ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	if (n >= 0 && understands(file, text))
		return 0;

	printf("# %s of cgroup %s is not understood\n", file, kind == GROUP_V1 ? "v1" : "v2");
	return 1;
}

/* The number of files; those that are not understood are counted in @failed. */
static int check_kernel(const char *path, int *failed)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int n = 0;

	CHECK(directory);
	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		*failed += check_file(dirfd(directory), entry->d_name);
		n++;
	}
	if (directory)
		closedir(directory);
	return n;
}

static void check_all_of(const char *kernel, enum group_kind its_kind)
{
	const char *source = getenv("top_srcdir");
	char path[1024];
	int failed = 0;

	kind = its_kind;
	(void)snprintf(path, sizeof(path), "%s/tests/data/kernels/%s", source ? source : ".", kernel);
	CHECK(check_kernel(path, &failed) >= 20);
	CHECK_EQ(failed, 0);
}

static void test_linux_6_18_with_cgroup_v1_is_understood(void)
{
	check_all_of("6.18-v1", GROUP_V1);
}

static void test_linux_6_1_with_cgroup_v2_is_understood(void)
{
	check_all_of("6.1-v2", GROUP_V2);
}

static void test_a_file_that_is_cut_or_of_another_hierarchy_is_not(void)
{
	kind = GROUP_V1;
	CHECK(!understands("memory.stat.limited", "cache 0\nrss 0\n"));
	CHECK(!understands("proc-stat", "12 (cat) R"));
	CHECK(!understands("memory.unheard-of", "0\n"));
}

int main(void)
{
	RUN(test_linux_6_18_with_cgroup_v1_is_understood);
	RUN(test_linux_6_1_with_cgroup_v2_is_understood);
	RUN(test_a_file_that_is_cut_or_of_another_hierarchy_is_not);

	return TEST_RESULT();
}
