/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "agent/basic/elf.h"
#include "agent/basic/fd.h"
#include "agent/basic/log.h"
#include "agent/basic/parse.h"
#include "agent/core/manager.h"
#include "agent/core/sandbox.h"
#include "agent/policy/verdict.h"
#include "agent/sense/cgroup.h"
#include "agent/sense/tree.h"

#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128

struct run {
	const struct run_options *options;
	sd_event *event;
	struct manager *manager;
	struct tree *tree; /* NULL: it has a cgroup */
	struct sandbox sandbox;
	char directory[PATH_MAX];
	bool own_directory; /* temporary, ours to remove */
	sigset_t mask;      /* as it was before us, for the command */
	pid_t pid;
	int status;         /* as waitpid() gives it */
	int exec_fd;        /* readable once the command could not be executed */
	uint64_t begin_usec;
};

/* All that a terminal, a shell or a container runtime may send us for the command. */
static const int forwarded[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				 SIGUSR2, SIGCONT, SIGWINCH, SIGALRM };

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	const struct run *run = userdata;

	(void)source;
	/* From the terminal the whole foreground group has it already, the command too. */
	if (info->ssi_code != SI_KERNEL)
		(void)kill(run->pid, (int)info->ssi_signo);

	return 0;
}

static void child_ended(struct run *run, int status)
{
	run->status = status;
	(void)sd_event_exit(run->event, 0);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	(void)source;
	child_ended(userdata, info->si_code == CLD_EXITED ? W_EXITCODE(info->si_status, 0) :
							   W_EXITCODE(0, info->si_status));
	return 0;
}

/* As PID 1 every orphan of the container is ours to reap. */
static int on_any_child(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct run *run = userdata;
	int status;
	pid_t pid;

	(void)source;
	(void)info;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == run->pid)
			child_ended(run, status);

	return 0;
}

static int block_signals(sigset_t *ret_before)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	/* Whoever reads our account may leave before the command does. */
	sigaddset(&mask, SIGPIPE);
	/* Inherited as ignored, there would be no child to wait for. */
	(void)signal(SIGCHLD, SIG_DFL);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&mask, forwarded[i]);

	return sigprocmask(SIG_BLOCK, &mask, ret_before) < 0 ? -errno : 0;
}

static int watch_signals(struct run *run)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++) {
		r = sd_event_add_signal(run->event, NULL, forwarded[i], on_signal, run);
		if (r < 0)
			return r;
	}

	if (getpid() == 1)
		return sd_event_add_signal(run->event, NULL, SIGCHLD, on_any_child, run);

	return sd_event_add_child(run->event, NULL, run->pid, WEXITED, on_child, run);
}

static int make_runtime_directory(struct run *run)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (run->options->runtime_directory) {
		snprintf(run->directory, sizeof(run->directory), "%s",
			 run->options->runtime_directory);
		return 0;
	}

	if (!base || access(base, W_OK) < 0)
		base = getenv("TMPDIR");
	if (!base || access(base, W_OK) < 0)
		base = "/tmp";

	snprintf(run->directory, sizeof(run->directory), "%s/memguard-run-XXXXXX", base);
	if (!mkdtemp(run->directory)) {
		log_error("Cannot make a directory below %s: %m; name one with --runtime-directory=",
			  base);
		return -errno;
	}

	/* The command may run as another user, and its hook must reach the socket. */
	(void)chmod(run->directory, 0755);
	run->own_directory = true;
	return 0;
}

static void remove_runtime_directory(const struct run *run)
{
	static const char *const files[] = { "hook.sock", "bus", "lock" };
	char path[PATH_MAX + 16];

	if (!run->own_directory)
		return;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", run->directory, files[i]);
		(void)unlink(path);
	}
	(void)rmdir(run->directory);
}

/* Ours in front: what else is preloaded, the program was started with before. */
static int preload(const char *hook)
{
	const char *others = getenv("LD_PRELOAD");
	char value[2 * PATH_MAX];

	if (!others || others[0] == '\0')
		return setenv("LD_PRELOAD", hook, 1);

	if (strstr(others, hook))
		return 0;
	if (snprintf(value, sizeof(value), "%s:%s", hook, others) >= (int)sizeof(value))
		return -1;

	return setenv("LD_PRELOAD", value, 1);
}

/* As execvp() finds it. */
static bool find_program(const char *command, char path[static PATH_MAX])
{
	const char *list = getenv("PATH");
	size_t n;

	if (strchr(command, '/'))
		return snprintf(path, PATH_MAX, "%s", command) < PATH_MAX;

	for (; list && *list; list += n + (list[n] == ':')) {
		n = strcspn(list, ":");
		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)n, n > 0 ? list : ".", command) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
	}

	return false;
}

/* Where the program has a jemalloc of its own, say where; one that is set already stays. */
static int set_symbols(const char *program)
{
	char symbols[ELF_VARIABLE_MAX];

	if (getenv("MEMGUARD_SYMBOLS") || elf_symbols_variable(program, symbols, sizeof(symbols)) < 0)
		return 0;

	return setenv("MEMGUARD_SYMBOLS", symbols, 1);
}

/* It ends itself where anything stands in front of its sanitizer, unless it was told not to. */
static bool refuses_preload(const char *program)
{
	const char *options = getenv(ELF_ASAN_VARIABLE);

	return !(options && strstr(options, ELF_ASAN_VALUE)) && elf_needs_asan(program) > 0;
}

static int set_environment(const struct run *run, const char *command)
{
	char socket[PATH_MAX + 16], pid[16], program[PATH_MAX];
	const bool found = find_program(command, program);

	snprintf(socket, sizeof(socket), "%s/hook.sock", run->directory);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());

	if (found && refuses_preload(program))
		log_warning("%s has address sanitizer as a library and would not start with the hook: "
			    "running without; " ELF_ASAN_VARIABLE "=" ELF_ASAN_VALUE " allows it",
			    program);
	else if (preload(run->options->hook) < 0)
		return -ENOMEM;
	if (setenv("MEMGUARD_SOCKET", socket, 1) < 0)
		return -ENOMEM;
	/* This very process, also while it has one thread; children decide for themselves. */
	if (setenv("MEMGUARD_AGENT", pid, 1) < 0)
		return -ENOMEM;
	if (found && set_symbols(program) < 0)
		return -ENOMEM;
	/* Sockets that were passed to us are meant for the command. */
	if (getenv("LISTEN_PID") && setenv("LISTEN_PID", pid, 1) < 0)
		return -ENOMEM;

	return 0;
}

/* In the child, up to exec, which closes @failed_fd without a word on it. */
__attribute__((noreturn)) static void become_command(const struct run *run, char *const command[],
						     int failed_fd)
{
	int r;

	r = sandbox_enter(&run->sandbox);
	if (r < 0)
		log_warning("Cannot enter %s: %s; running without that limit", run->sandbox.directory,
			    strerror(-r));

	r = set_environment(run, command[0]);
	if (r < 0) {
		log_error("Cannot set the environment: %s", strerror(-r));
		_exit(EXIT_FAILURE);
	}

	(void)sigprocmask(SIG_SETMASK, &run->mask, NULL);
	(void)execvp(command[0], command);

	r = errno;
	log_error("Cannot run \"%s\": %s", command[0], strerror(r));
	(void)fd_write_exact(failed_fd, "x", 1);
	_exit(r == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE);
}

/* Its own cgroup with the limit where that is allowed; else the same number as RSS. */
static void confine(struct run *run)
{
	const uint64_t limit_bytes = run->options->limit_bytes;
	char limit[FORMAT_MAX];
	int r;

	if (limit_bytes == BYTES_INFINITY)
		return;

	r = sandbox_new(run->options->cgroup_root, limit_bytes, &run->sandbox);
	if (r < 0)
		log_notice("Cannot make a cgroup with a limit (%s): watching %s as RSS instead, which "
			   "the kernel does not enforce",
			   strerror(-r), format_bytes(limit, limit_bytes));
}

/*
 * Which group is it? A limited cgroup (ours or the container's) is found through the
 * member; otherwise the tree below the command is watched by RSS.
 */
static bool has_limited_cgroup(const struct run *run)
{
	struct cgroup_root root;
	struct cgroup cgroup = CGROUP_CLOSED;
	struct reading reading = { 0 };
	const uint64_t machine_bytes =
		(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	char *path = NULL;
	uint64_t id;
	bool limited = false;

	if (run->sandbox.directory)
		return true;
	if (cgroup_root_open(run->options->cgroup_root, &root) < 0)
		return false;

	if (cgroup_of_pid(&root, getpid(), &path, &id) >= 0 &&
	    cgroup_open(&root, path, &cgroup) >= 0 && cgroup_read(&cgroup, 1, &reading) >= 0)
		limited = reading.limit_bytes < machine_bytes &&
			  reading.limit_bytes <= run->options->limit_bytes;

	cgroup_close(&cgroup);
	cgroup_root_close(&root);
	free(path);
	return limited;
}

/* By RSS, where no cgroup does. */
static int watch_tree(struct run *run, const char *name)
{
	int r;

	r = tree_new(&run->tree);
	if (r < 0)
		return r;

	return manager_guard_command(run->manager, &(struct manager_command){
		.pid = run->pid,
		.name = name,
		.limit_bytes = run->options->limit_bytes,
		.rss = tree_rss,
		.tree = run->tree,
	});
}

static int start(struct run *run, char *const command[])
{
	const struct manager_options options = {
		.runtime_directory = run->directory,
		.config_file = run->options->config_file,
		.cgroup_root = run->options->cgroup_root,
		.quiet_journal = !run->options->verbose,
		.hook_fd = -1,
		.bus_fd = -1,
		.pressure_fd = -1,
	};
	int pipe_fds[2], r;

	confine(run);
	r = manager_new(run->event, &options, &run->manager);
	if (r < 0)
		return r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		r = -errno;
		log_error("Cannot make a pipe to the command: %s; see ulimit -n and fs.file-max",
			  strerror(-r));
		return r;
	}

	run->exec_fd = pipe_fds[0];
	(void)sd_event_now(run->event, CLOCK_MONOTONIC, &run->begin_usec);
	run->pid = fork();
	if (run->pid == 0)
		become_command(run, command, pipe_fds[1]);

	fd_close(pipe_fds[1]);
	if (run->pid < 0) {
		r = -errno;
		log_error("Cannot start a process: %s; see ulimit -u and pids.max", strerror(-r));
		return r;
	}

	r = watch_signals(run);
	if (r < 0)
		return r;

	return has_limited_cgroup(run) ? 0 : watch_tree(run, command[0]);
}

/* What all its groups had together, of which there is nearly always one. */
struct account {
	uint64_t peak_bytes;
	uint64_t limit_bytes;
	uint64_t released_bytes;
	uint64_t n_rounds;
	uint64_t n_oom_kill;
	struct diagnosis diagnosis; /* the worst */
	const struct sandbox *sandbox;
	bool had_hook; /* somebody who could be measured */
};

static int add_group(const struct group *group, const struct diagnosis *diagnosis, void *userdata)
{
	struct account *account = userdata;

	/* Of what was never read all figures are 0. Who ended meanwhile is found in no group of its own. */
	if (group->reading.time_usec == 0 || !sandbox_has(account->sandbox, group->path))
		return 0;

	account->had_hook |= diagnosis->use.largest_pid > 0;
	account->peak_bytes = MAX(account->peak_bytes, group->peak_bytes);
	account->limit_bytes = MIN(account->limit_bytes, group->reading.limit_bytes);
	account->released_bytes += group_benefit(group)->released_bytes;
	account->n_rounds += group_benefit(group)->n_rounds;
	account->n_oom_kill += sub_sat(group->reading.n_oom_kill, group->first_oom_kill);
	if (diagnosis->verdict >= account->diagnosis.verdict)
		account->diagnosis = *diagnosis;
	return 0;
}

/* Of a group of its own the kernel knows also what came and went between two looks of ours. */
static void add_sandbox(struct account *account)
{
	struct sandbox_account counted;

	if (!account->sandbox->directory)
		return;

	sandbox_read(account->sandbox, &counted);
	account->peak_bytes = MAX(account->peak_bytes, counted.peak_bytes);
	account->limit_bytes = MIN(account->limit_bytes, account->sandbox->limit_bytes);
	if (counted.n_oom_kill <= account->n_oom_kill)
		return;

	account->n_oom_kill = counted.n_oom_kill;
	/* All figures are of before the kill. */
	if (account->diagnosis.verdict == VERDICT_HEALTHY)
		account->diagnosis = (struct diagnosis){ .verdict = VERDICT_UNKNOWN };
}

static void tell_end(const struct run *run)
{
	uint64_t now_usec = run->begin_usec;
	char lasted[FORMAT_MAX];

	(void)sd_event_now(run->event, CLOCK_MONOTONIC, &now_usec);
	format_usec(lasted, now_usec - run->begin_usec);
	if (WIFSIGNALED(run->status))
		log_info("ended by signal %d (%s) after %s", WTERMSIG(run->status),
			 strsignal(WTERMSIG(run->status)), lasted);
	else
		log_info("exited with status %d after %s", WEXITSTATUS(run->status), lasted);
}

static void tell_peak(const struct account *account)
{
	char peak[FORMAT_MAX], limit[FORMAT_MAX], released[FORMAT_MAX];

	log_info("peak %s%s%s; released %s in %llu round%s", format_bytes(peak, account->peak_bytes),
		 account->limit_bytes < BYTES_INFINITY ? " of " : "",
		 account->limit_bytes < BYTES_INFINITY ? format_bytes(limit, account->limit_bytes) : "",
		 format_bytes(released, account->released_bytes),
		 (unsigned long long)account->n_rounds, account->n_rounds == 1 ? "" : "s");
	if (account->n_oom_kill > 0)
		log_warning("the kernel's OOM killer ended %llu of its processes",
			    (unsigned long long)account->n_oom_kill);
}

static void tell_verdict(const struct diagnosis *diagnosis)
{
	char sure[32] = "";

	if (diagnosis->confidence_percent > 0)
		snprintf(sure, sizeof(sure), " (%u%% sure)", diagnosis->confidence_percent);
	log_info("verdict so far: %s%s. %s", verdict_to_string(diagnosis->verdict), sure,
		 diagnosis_to_text(diagnosis));
}

static void tell_account(struct run *run)
{
	struct account account = { .limit_bytes = BYTES_INFINITY, .sandbox = &run->sandbox };
	char byte;

	/* It never began: the message about that was enough. */
	if (read(run->exec_fd, &byte, 1) == 1)
		return;

	tell_end(run);
	(void)manager_each_group(run->manager, add_group, &account);
	add_sandbox(&account);
	if (account.peak_bytes > 0)
		tell_peak(&account);
	if (account.had_hook)
		tell_verdict(&account.diagnosis);
	else
		log_info("no verdict: it ended too soon, or the hook cannot enter it (static, set-uid); "
			 "see memguard-hook(7)");
}

static void cleanup(struct run *run)
{
	run->manager = manager_free(run->manager);
	tree_free(run->tree);
	fd_close(run->exec_fd);
	sandbox_free(&run->sandbox);
	remove_runtime_directory(run);
	sd_event_unref(run->event);
}

/* The command runs: whatever happened to us, it is not to be left alone. */
static int wait_unguarded(struct run *run, int error)
{
	log_error("Cannot watch the command any more: %s; waiting for its end", strerror(-error));
	(void)sigprocmask(SIG_SETMASK, &run->mask, NULL);
	while (waitpid(run->pid, &run->status, 0) < 0)
		if (errno != EINTR)
			return -errno;

	return 0;
}

int run_command(const struct run_options *options, char *const command[])
{
	struct run run = { .options = options, .exec_fd = -1 };
	int r;

	r = block_signals(&run.mask);
	if (r >= 0)
		r = sd_event_default(&run.event);
	if (r < 0) {
		log_error("Cannot set up the event loop: %s", strerror(-r));
		return EXIT_FAILURE;
	}

	r = make_runtime_directory(&run);
	if (r >= 0)
		r = start(&run, command);
	if (r >= 0)
		r = manager_loop(run.manager);
	if (r < 0 && run.pid > 0)
		r = wait_unguarded(&run, r);
	if (r >= 0)
		tell_account(&run);

	cleanup(&run);
	if (r < 0)
		return EXIT_FAILURE;

	return WIFSIGNALED(run.status) ? EXIT_SIGNAL + WTERMSIG(run.status) : WEXITSTATUS(run.status);
}
