/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* core/helper: real commands, started and ended by a real helper; the test is the daemon. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/core/helper.h"
#include "tests/unit/test.h"

#define NEVER_USEC (3600 * USEC_PER_SEC)
#define SHORT_USEC (50 * USEC_PER_MSEC)

static char directory[] = "/tmp/test-helper-XXXXXX";
static char script[64], output[64];
static int fd = -1;
static pid_t helper_pid;

static struct helper_answer hear(void)
{
	struct helper_answer answer = { .event = HELPER_EVENT_MAX_ };

	CHECK_EQ(recv(fd, &answer, sizeof(answer), MSG_TRUNC), sizeof(answer));
	CHECK_EQ(answer.magic, HELPER_MAGIC);
	return answer;
}

static void begin(uint64_t limit_usec, uint64_t grace_usec)
{
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	fflush(stdout);
	helper_pid = fork();
	if (helper_pid == 0) {
		(void)close(fds[0]);
		_exit(helper_serve(fds[1], limit_usec, grace_usec));
	}

	(void)close(fds[1]);
	fd = fds[0];
	CHECK_EQ(hear().event, HELPER_READY);
	(void)unlink(output);
}

/* Closes our end; how the helper ended. */
static int end(void)
{
	int status = -1;

	fd = fd_close(fd);
	CHECK_EQ(waitpid(helper_pid, &status, 0), helper_pid);
	return status;
}

static void ask(uint32_t number, const char *line, const char *environment)
{
	struct helper_request request = { .magic = HELPER_MAGIC, .number = number };

	snprintf(request.line, sizeof(request.line), "%s", line);
	snprintf(request.environment, sizeof(request.environment), "%s", environment);
	CHECK_EQ(send(fd, &request, sizeof(request), 0), sizeof(request));
}

static void write_script(const char *text)
{
	FILE *file = fopen(script, "w");

	fprintf(file, "#!/bin/sh\n%s\n", text);
	fclose(file);
	CHECK_EQ(chmod(script, 0755), 0);
}

/* Runs the script to its end. */
static struct helper_answer run(const char *text, const char *environment)
{
	char line[256];

	write_script(text);
	snprintf(line, sizeof(line), " %s\t%s  last ", script, output);
	ask(7, line, environment);
	return hear();
}

static const char *read_output(void)
{
	static char text[4096];

	if (fd_read_file(-1, output, text, sizeof(text)) < 0)
		return NULL;

	return text;
}

static void test_a_command_gets_its_words_and_nothing_else_to_know(void)
{
	struct helper_answer answer;

	CHECK_EQ(setenv("OURS", "x", 1), 0);
	begin(NEVER_USEC, NEVER_USEC);
	answer = run("{ echo $# $2; unset PWD _ SHLVL OLDPWD; env | sort; } >$1",
		     "MEMGUARD_UNIT=a b.service\nMEMGUARD_GROUP=/x;y\n");
	CHECK_EQ(answer.event, HELPER_ENDED);
	CHECK_EQ(answer.number, 7);
	CHECK_EQ(answer.status, 0);
	CHECK_EQ(answer.overdue, 0);
	CHECK_STR(read_output(), "2 last\nMEMGUARD_GROUP=/x;y\nMEMGUARD_UNIT=a b.service\n"
		  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
	CHECK_EQ(end(), 0);
}

static void test_no_signal_is_blocked_or_ignored_in_it(void)
{
	begin(NEVER_USEC, NEVER_USEC);
	CHECK_EQ(run("exec grep -E '^Sig(Blk|Ign)' /proc/self/status >$1", "").status, 0);
	CHECK(strstr(read_output(), "SigBlk:\t0000000000000000\n"));
	CHECK_EQ(strtoull(strstr(read_output(), "SigIgn:") + 7, NULL, 16) &
		 (UINT64_C(1) << (SIGPIPE - 1) | UINT64_C(1) << (SIGCHLD - 1)), 0);
	CHECK_EQ(end(), 0);
}

static void test_it_has_a_session_of_its_own(void)
{
	begin(NEVER_USEC, NEVER_USEC);
	CHECK_EQ(run("cut -d' ' -f1,6 /proc/self/stat >/dev/null; "
		     "read -r pid _ _ _ _ sid _ </proc/$$/stat; [ $pid = $sid ]", "").status, 0);
	CHECK_EQ(end(), 0);
}

static void test_it_is_not_spared_by_the_oom_killer(void)
{
	const int own_fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);

	if (write(own_fd, "-100", 4) < 0) {
		printf("# not allowed to be spared in the first place: no claim\n");
		(void)close(own_fd);
		return;
	}

	begin(NEVER_USEC, NEVER_USEC);
	CHECK_EQ(run("cat /proc/self/oom_score_adj >$1", "").status, 0);
	CHECK_STR(read_output(), "0\n");
	CHECK_EQ(end(), 0);
	CHECK_EQ(write(own_fd, "0", 1), 1);
	(void)close(own_fd);
}

static void test_how_it_ends_is_told(void)
{
	struct helper_answer answer;

	begin(NEVER_USEC, NEVER_USEC);
	answer = run("exit 3", "");
	CHECK(WIFEXITED(answer.status));
	CHECK_EQ(WEXITSTATUS(answer.status), 3);
	answer = run("kill -USR1 $$", "");
	CHECK(WIFSIGNALED(answer.status));
	CHECK_EQ(WTERMSIG(answer.status), SIGUSR1);
	CHECK_EQ(end(), 0);
}

static void test_why_it_cannot_be_started_is_told(void)
{
	struct helper_answer answer;

	begin(NEVER_USEC, NEVER_USEC);
	ask(1, "/nowhere/at/all x", "");
	answer = hear();
	CHECK_EQ(answer.event, HELPER_FAILED);
	CHECK_EQ(answer.number, 1);
	CHECK_EQ(answer.error, -ENOENT);
	ask(2, directory, "");
	CHECK_EQ(hear().error, -EACCES);
	ask(3, " \t ", "");
	CHECK_EQ(hear().error, -EINVAL);
	/* And it goes on. */
	CHECK_EQ(run("exit 0", "").event, HELPER_ENDED);
	CHECK_EQ(end(), 0);
}

static pid_t read_pid(void)
{
	const char *text;

	/* Said by a command that runs; the test's own limit is that of its harness. */
	while (!(text = read_output()) || !strchr(text, '\n'))
		(void)usleep(1000);

	return (pid_t)atoi(text);
}

/* Children of a command come to us when it has ended. */
static int wait_for_orphan(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == ECHILD)
		(void)usleep(1000);

	return status;
}

static void test_what_takes_too_long_is_ended_with_its_children(void)
{
	struct helper_answer answer;
	int status;

	begin(SHORT_USEC, NEVER_USEC);
	answer = run("sleep 1000 & echo $! >$1; wait", "");
	CHECK_EQ(answer.event, HELPER_ENDED);
	CHECK_EQ(answer.overdue, 1);
	CHECK(WIFSIGNALED(answer.status));
	CHECK_EQ(WTERMSIG(answer.status), SIGTERM);
	status = read_output() && strchr(read_output(), '\n') ? wait_for_orphan(read_pid()) : SIGTERM;
	CHECK_EQ(WTERMSIG(status), SIGTERM);
	CHECK_EQ(end(), 0);
}

static void test_what_does_not_end_is_killed(void)
{
	struct helper_answer answer;

	begin(SHORT_USEC, SHORT_USEC);
	answer = run("trap '' TERM; while :; do sleep 0.01; done", "");
	CHECK_EQ(answer.overdue, 1);
	CHECK(WIFSIGNALED(answer.status));
	CHECK_EQ(WTERMSIG(answer.status), SIGKILL);
	CHECK_EQ(end(), 0);
	/* The sleep of that moment. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void test_so_many_run_and_no_more(void)
{
	begin(NEVER_USEC, NEVER_USEC);
	for (uint32_t i = 1; i <= HELPER_RUNS_MAX; i++)
		ask(i, "/bin/sleep 1000", "");
	ask(99, "/bin/sleep 1000", "");
	{
		const struct helper_answer answer = hear();

		CHECK_EQ(answer.event, HELPER_FAILED);
		CHECK_EQ(answer.number, 99);
		CHECK_EQ(answer.error, -EAGAIN);
	}

	/* They go with it. */
	CHECK_EQ(kill(helper_pid, SIGKILL), 0);
	CHECK_EQ(WTERMSIG(end()), SIGKILL);
	for (int i = 0; i < HELPER_RUNS_MAX; i++)
		CHECK_EQ(WTERMSIG(wait_for_orphan(-1)), SIGTERM);
}

static void test_what_runs_is_waited_for_when_the_daemon_is_gone(void)
{
	begin(NEVER_USEC, NEVER_USEC);
	write_script("echo $$ >$1; while [ -e $1 ]; do sleep 0.01; done");
	{
		char line[256];

		snprintf(line, sizeof(line), "%s %s", script, output);
		ask(1, line, "");
	}
	(void)read_pid();
	CHECK_EQ(waitpid(helper_pid, NULL, WNOHANG), 0);
	fd = fd_close(fd);
	CHECK_EQ(waitpid(helper_pid, NULL, WNOHANG), 0);
	CHECK_EQ(unlink(output), 0);
	CHECK_EQ(end(), 0);
}

/* @fd: comes along, unless it is -1. */
static void ask_reclaim(const struct helper_request *request, int along_fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { (void *)request, sizeof(*request) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (along_fd >= 0) {
		message.msg_control = room;
		message.msg_controllen = sizeof(room);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &along_fd, sizeof(along_fd));
	}
	CHECK_EQ(sendmsg(fd, &message, 0), sizeof(*request));
}

static void test_the_kernel_is_asked_to_reclaim(void)
{
	struct helper_request request = { .magic = HELPER_MAGIC, .number = 5, .reclaim_bytes = 4096 };
	struct helper_answer answer;
	int along_fd;

	begin(NEVER_USEC, NEVER_USEC);
	along_fd = open(output, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ask_reclaim(&request, along_fd);
	answer = hear();
	CHECK_EQ(answer.event, HELPER_ENDED);
	CHECK_EQ(answer.number, 5);
	CHECK_EQ(answer.status, 0);
	CHECK_STR(read_output(), "4096 swappiness=max");
	(void)close(along_fd);

	/* What the kernel says is told. */
	along_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	ask_reclaim(&request, along_fd);
	answer = hear();
	CHECK(WIFEXITED(answer.status));
	CHECK_EQ(WEXITSTATUS(answer.status), ENOSPC);
	(void)close(along_fd);
	CHECK_EQ(end(), 0);
}

static void test_a_descriptor_comes_with_what_it_is_for(void)
{
	struct helper_request request = { .magic = HELPER_MAGIC, .number = 1, .reclaim_bytes = 4096 };
	int status;

	begin(NEVER_USEC, NEVER_USEC);
	ask_reclaim(&request, -1);
	status = end();
	CHECK_EQ(WEXITSTATUS(status), EXIT_FAILURE);

	begin(NEVER_USEC, NEVER_USEC);
	request.reclaim_bytes = 0;
	snprintf(request.line, sizeof(request.line), "/bin/true");
	ask_reclaim(&request, STDERR_FILENO);
	status = end();
	CHECK_EQ(WEXITSTATUS(status), EXIT_FAILURE);
}

static void refuses(const void *bytes, size_t size)
{
	int status;

	begin(NEVER_USEC, NEVER_USEC);
	CHECK_EQ(send(fd, bytes, size, 0), size);
	status = end();
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), EXIT_FAILURE);
}

static void test_nonsense_ends_it(void)
{
	struct helper_request request = { .magic = HELPER_MAGIC, .number = 1, .line = "/bin/true" };
	char long_one[sizeof(request) + 1] = { 0 };

	refuses("x", 1);
	memcpy(long_one, &request, sizeof(request));
	refuses(long_one, sizeof(long_one));
	request.number = 0;
	refuses(&request, sizeof(request));
	request.number = 1;
	request.magic++;
	refuses(&request, sizeof(request));
	request.magic--;
	memset(request.line, 'x', sizeof(request.line));
	refuses(&request, sizeof(request));
	request.line[9] = '\0';
	memset(request.environment, 'x', sizeof(request.environment));
	refuses(&request, sizeof(request));
}

int main(void)
{
	if (!mkdtemp(directory) || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return 1;

	snprintf(script, sizeof(script), "%s/script", directory);
	snprintf(output, sizeof(output), "%s/output", directory);
	RUN(test_a_command_gets_its_words_and_nothing_else_to_know);
	RUN(test_no_signal_is_blocked_or_ignored_in_it);
	RUN(test_it_has_a_session_of_its_own);
	RUN(test_it_is_not_spared_by_the_oom_killer);
	RUN(test_how_it_ends_is_told);
	RUN(test_why_it_cannot_be_started_is_told);
	RUN(test_what_takes_too_long_is_ended_with_its_children);
	RUN(test_what_does_not_end_is_killed);
	RUN(test_so_many_run_and_no_more);
	RUN(test_what_runs_is_waited_for_when_the_daemon_is_gone);
	RUN(test_the_kernel_is_asked_to_reclaim);
	RUN(test_a_descriptor_comes_with_what_it_is_for);
	RUN(test_nonsense_ends_it);
	(void)unlink(script);
	(void)unlink(output);
	(void)rmdir(directory);
	return TEST_RESULT();
}
