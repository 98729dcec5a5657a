/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/core/exec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/basic/fd.h"
#include "agent/basic/lock.h"
#include "agent/basic/log.h"
#include "agent/basic/macro.h"
#include "agent/basic/parse.h"
#include "agent/core/helper.h"

/* Before another helper is started: doubles from the first to the last. */
#define RESTART_FIRST_USEC (1 * USEC_PER_SEC)
#define RESTART_LAST_USEC (60 * USEC_PER_SEC)
/* One that lived for so long was a good one. */
#define GOOD_AGE_USEC (60 * USEC_PER_SEC)
/* Not while a round is under way. */
#define CALM_GAP_USEC (1 * USEC_PER_SEC)

extern char **environ;

/* A command that was asked for and has not ended. */
struct open_call {
	uint32_t number; /* 0: none */
	uint64_t key;
	const char *line; /* NULL: it is the kernel that reclaims */
	char name[160];
};

struct exec {
	sd_event *event;
	const struct exec_handler *handler;
	void *userdata;
	bool wanted;
	bool ready;
	bool told; /* that there is no helper */
	int fd;    /* -1: no helper */
	sd_event_source *io, *timer;
	uint64_t start_usec, wait_usec;
	uint32_t n_calls;
	uint64_t n_lost;
	struct open_call calls[HELPER_RUNS_MAX];
};

/* Made here, since the stack may not reach so far yet. Without a helper it takes no memory. */
static struct helper_request request_room;

static uint64_t now_usec(const struct exec *exec)
{
	uint64_t usec = 0;

	(void)sd_event_now(exec->event, CLOCK_MONOTONIC, &usec);
	return usec;
}

static void plan_start(struct exec *exec, uint64_t in_usec)
{
	(void)sd_event_source_set_time(exec->timer, now_usec(exec) + in_usec);
	(void)sd_event_source_set_enabled(exec->timer, SD_EVENT_ONESHOT);
}

/* Of what was under way nothing will be heard any more. */
static void disconnect(struct exec *exec)
{
	for (size_t i = 0; i < HELPER_RUNS_MAX; i++) {
		struct open_call *call = &exec->calls[i];

		if (call->number != 0 && !call->line)
			exec->handler->on_reclaimed(call->key, ECHILD, exec->userdata);
		exec->n_lost += call->number != 0 && call->line;
		call->number = 0;
	}

	exec->io = sd_event_source_disable_unref(exec->io);
	exec->fd = fd_close(exec->fd);
	exec->ready = false;
}

static void replace(struct exec *exec, const char *what)
{
	char pause[FORMAT_MAX];

	if (now_usec(exec) - exec->start_usec >= GOOD_AGE_USEC)
		exec->wait_usec = RESTART_FIRST_USEC;
	if (!exec->told)
		log_warning("The helper of Exec= and MemoryReclaim= %s; until there is another one, "
			    "in %s or later, nothing of these is done",
			    what, format_usec(pause, exec->wait_usec));
	exec->told = true;
	disconnect(exec);
	plan_start(exec, exec->wait_usec);
	exec->wait_usec = MIN(exec->wait_usec * 2, RESTART_LAST_USEC);
}

static int error_of(const struct helper_answer *answer)
{
	/* There, EAGAIN is the helper's word and not the kernel's of what it found. */
	if (answer->event == HELPER_FAILED)
		return answer->error == -EAGAIN ? EBUSY : -answer->error;

	return WIFEXITED(answer->status) ? WEXITSTATUS(answer->status) : EINTR;
}

static void tell_end(const struct open_call *call, const struct helper_answer *answer)
{
	const bool is_signal = WIFSIGNALED(answer->status);
	const int code = is_signal ? WTERMSIG(answer->status) : WEXITSTATUS(answer->status);
	char limit[FORMAT_MAX];

	if (answer->event == HELPER_FAILED)
		log_warning("Cannot start the Exec= command \"%s\" for %s: %s; check its path and mode",
			    call->line, call->name, strerror(-answer->error));
	else if (answer->overdue)
		log_warning("The Exec= command \"%s\" for %s was ended since it took more than %s "
			    "(%s %d): have it leave long work to something else",
			    call->line, call->name, format_usec(limit, HELPER_LIMIT_USEC),
			    is_signal ? "signal" : "status", code);
	else if (answer->status != 0)
		log_warning("The Exec= command \"%s\" for %s %s %d", call->line, call->name,
			    is_signal ? "was ended by signal" : "exited with status", code);
	else
		log_debug("The Exec= command \"%s\" for %s is done", call->line, call->name);
}

static struct open_call *find_call(struct exec *exec, uint32_t number)
{
	for (size_t i = 0; i < HELPER_RUNS_MAX; i++)
		if (exec->calls[i].number == number)
			return &exec->calls[i];

	return NULL;
}

/* 0, or negative when it makes no sense. */
static int take_answer(struct exec *exec, const struct helper_answer *answer)
{
	struct open_call *call;

	if (answer->magic != HELPER_MAGIC || answer->event >= HELPER_EVENT_MAX_ ||
	    (answer->event == HELPER_READY) != (answer->number == 0))
		return -EPROTO;

	if (answer->event == HELPER_READY && answer->error < 0)
		log_error("The helper cannot start a process, so that no Exec= command will be "
			  "started, and MemoryReclaim= does nothing: %s; check TasksMax= and "
			  "SystemCallFilter= of the unit",
			  strerror(-answer->error));
	if (answer->event == HELPER_READY) {
		if (exec->told)
			log_info("There is a helper again, for Exec= and MemoryReclaim=");
		exec->told = false;
		exec->ready = true;
		return 0;
	}

	call = find_call(exec, answer->number);
	if (!call || (answer->event == HELPER_FAILED && answer->error >= 0))
		return -EPROTO;

	call->number = 0;
	if (!call->line) {
		exec->handler->on_reclaimed(call->key, error_of(answer), exec->userdata);
		return 0;
	}

	exec->n_lost += answer->event == HELPER_FAILED;
	tell_end(call, answer);
	return 0;
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct exec *exec = userdata;
	struct helper_answer answer;
	ssize_t n;

	(void)source;
	(void)revents;
	n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		replace(exec, "has ended");
	else if (n != sizeof(answer) || take_answer(exec, &answer) < 0)
		replace(exec, "says what makes no sense");
	return 0;
}

int exec_await(struct exec *exec, uint64_t timeout_usec)
{
	struct pollfd answer = { .fd = exec->fd, .events = POLLIN };
	int r;

	/* That there is none was told. */
	if (exec->ready || exec->fd < 0)
		return 0;

	r = poll(&answer, 1, (int)(timeout_usec / USEC_PER_MSEC));
	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;

	return on_answer(exec->io, exec->fd, (uint32_t)answer.revents, exec);
}

int exec_connect(struct exec *exec, int fd)
{
	int r;

	r = sd_event_add_io(exec->event, &exec->io, fd, EPOLLIN, on_answer, exec);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(exec->io, "exec-helper");
	exec->fd = fd;
	touch_memory(&request_room, sizeof(request_room));
	exec->start_usec = now_usec(exec);
	return 0;
}

static int on_reaped(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	(void)userdata;
	log_debug("The helper that was process %d ended: %s %d", (int)info->si_pid,
		  info->si_code == CLD_EXITED ? "status" : "signal", info->si_status);
	/* Of the loop's until now. */
	(void)sd_event_source_set_floating(source, false);
	return 0;
}

/* Signals stay blocked: it goes with us, not with the terminal. */
static int spawn(int fd, pid_t *ret_pid)
{
	char *const words[] = { (char *)HELPER_NAME, NULL };
	posix_spawn_file_actions_t actions;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, fd, HELPER_FD);
	if (r == 0)
		r = posix_spawn(ret_pid, "/proc/self/exe", &actions, NULL, words, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int start(struct exec *exec)
{
	_cleanup_(fd_closep) int ours = -1, theirs = -1;
	sd_event_source *source = NULL;
	int fds[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;

	ours = fds[0];
	theirs = fds[1];
	r = spawn(theirs, &pid);
	if (r < 0)
		return r;

	/* As PID 1, `run` reaps every child itself. */
	if (getpid() != 1 &&
	    sd_event_add_child(exec->event, &source, pid, WEXITED, on_reaped, NULL) >= 0) {
		(void)sd_event_source_set_floating(source, true);
		sd_event_source_unref(source);
	}

	r = exec_connect(exec, ours);
	if (r < 0)
		return r;

	(void)TAKE_FD(ours);
	log_debug("Process %d is the helper of Exec= and MemoryReclaim=", (int)pid);
	return 0;
}

static void try_start(struct exec *exec)
{
	int r;

	r = start(exec);
	if (r >= 0)
		return;

	if (!exec->told)
		log_error("Cannot start the helper of Exec= and MemoryReclaim=: %s; trying again, nothing "
			  "of these is done until then: check TasksMax= and SystemCallFilter= "
			  "of the unit", strerror(-r));
	exec->told = true;
	plan_start(exec, exec->wait_usec);
	exec->wait_usec = MIN(exec->wait_usec * 2, RESTART_LAST_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct exec *exec = userdata;

	(void)source;
	(void)usec;
	if (!exec->wanted || exec->fd >= 0)
		return 0;

	if (exec->handler->is_calm(exec->userdata))
		try_start(exec);
	else
		plan_start(exec, CALM_GAP_USEC);
	return 0;
}

int exec_new(sd_event *event, const struct exec_handler *handler, void *userdata, struct exec **ret)
{
	_cleanup_(exec_freep) struct exec *exec = NULL;
	int r;

	exec = calloc(1, sizeof(*exec));
	if (!exec)
		return -ENOMEM;

	exec->event = sd_event_ref(event);
	exec->handler = handler;
	exec->userdata = userdata;
	exec->fd = -1;
	exec->wait_usec = RESTART_FIRST_USEC;
	r = sd_event_add_time(event, &exec->timer, CLOCK_MONOTONIC, 0, 0, on_timer, exec);
	if (r < 0)
		return r;

	(void)sd_event_source_set_description(exec->timer, "exec-helper");
	(void)sd_event_source_set_enabled(exec->timer, SD_EVENT_OFF);
	*ret = TAKE_PTR(exec);
	return 0;
}

struct exec *exec_free(struct exec *exec)
{
	if (!exec)
		return NULL;

	/* Nobody is left to be told. */
	memset(exec->calls, 0, sizeof(exec->calls));
	disconnect(exec);
	sd_event_source_disable_unref(exec->timer);
	sd_event_unref(exec->event);
	free(exec);
	return NULL;
}

void exec_freep(struct exec **exec)
{
	*exec = exec_free(*exec);
}

void exec_want(struct exec *exec, bool wanted)
{
	if (wanted == exec->wanted)
		return;

	exec->wanted = wanted;
	(void)sd_event_source_set_enabled(exec->timer, SD_EVENT_OFF);
	if (wanted && exec->fd < 0)
		try_start(exec);
	else if (!wanted)
		disconnect(exec);
}

/* 0 with a free place, or as exec_run(). */
static int find_place(struct exec *exec, uint64_t key, bool is_command, struct open_call **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < HELPER_RUNS_MAX; i++) {
		if (exec->calls[i].number == 0 || (exec->calls[i].line != NULL) != is_command)
			continue;
		if (exec->calls[i].key == key)
			return -EALREADY;
		n++;
	}

	*ret = find_call(exec, 0);
	return !*ret || (!is_command && n >= HELPER_RECLAIMS_MAX) ? -EBUSY : 0;
}

/* With the descriptor @fd, or -1. */
static int send_request(const struct exec *exec, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = {
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec part = { &request_room, sizeof(request_room) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	if (sendmsg(exec->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EPIPE || errno == ECONNRESET ? -ENOTCONN : -errno;

	return 0;
}

/* @call without a line: what @fd is for. */
static int run(struct exec *exec, const struct exec_call *call, int fd, uint64_t reclaim_bytes)
{
	struct helper_request *request = &request_room;
	struct open_call *place;
	int r;

	if (exec->fd < 0)
		return -ENOTCONN;

	r = find_place(exec, call->key, call->line != NULL, &place);
	if (r < 0)
		return r;

	if (++exec->n_calls == 0)
		exec->n_calls = 1;
	request->magic = HELPER_MAGIC;
	request->number = exec->n_calls;
	request->reclaim_bytes = reclaim_bytes;
	if (snprintf(request->line, sizeof(request->line), "%s", call->line ? call->line : "") >=
		    (int)sizeof(request->line) ||
	    snprintf(request->environment, sizeof(request->environment), "%s",
		     call->environment) >= (int)sizeof(request->environment))
		return -EMSGSIZE;

	r = send_request(exec, fd);
	if (r < 0)
		return r;

	place->number = exec->n_calls;
	place->key = call->key;
	place->line = call->line;
	snprintf(place->name, sizeof(place->name), "%s", call->name);
	return 0;
}

int exec_run(struct exec *exec, const struct exec_call *call)
{
	int r;

	r = run(exec, call, -1, 0);
	exec->n_lost += r < 0 && r != -EALREADY;
	return r;
}

int exec_reclaim(struct exec *exec, uint64_t key, const char *name, int fd, uint64_t bytes)
{
	if (bytes == 0)
		return -EINVAL;

	return run(exec, &(struct exec_call){ .key = key, .name = name, .environment = "" }, fd, bytes);
}

bool exec_is_ready(const struct exec *exec)
{
	return exec->ready;
}

uint64_t exec_n_lost(const struct exec *exec)
{
	return exec->n_lost;
}
