/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The door for hooks: who gets in, and that there is always exactly one door. */

#include "tests/unit/door-fixture.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

static mode_t mode_of(const char *path)
{
	struct stat st = { 0 };

	CHECK_EQ(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static ino_t inode_of(const char *path)
{
	struct stat st = { 0 };

	CHECK_EQ(stat(path, &st), 0);
	return st.st_ino;
}

static void test_modes_do_not_depend_on_the_umask(void)
{
	const mode_t before = umask(0077);
	struct door door;

	door_open(&door);
	CHECK_EQ(mode_of(door.directory), 0755);
	CHECK_EQ(mode_of(door.path), 0666);
	umask(before);
	door_done(&door);
}

static void test_an_existing_directory_keeps_its_mode(void)
{
	struct door door;

	door_init(&door);
	CHECK_EQ(mkdir(door.directory, 0700), 0);
	CHECK_EQ(door_listen(&door, &door.listener), 0);
	CHECK_EQ(mode_of(door.directory), 0700);
	door_done(&door);
}

static void test_a_missing_parent_is_an_error(void)
{
	struct listener *listener = NULL;
	struct door door;
	char path[128];

	door_init(&door);
	snprintf(path, sizeof(path), "%s/a/b", door.base);
	CHECK_EQ(listener_new(door.event, -1, path, door_on_accept, &door, &listener),
		 -ENOENT);
	CHECK(listener == NULL);
	door_done(&door);
}

static void test_a_file_in_place_of_the_directory_is_an_error(void)
{
	struct door door;

	door_init(&door);
	CHECK_EQ(mknod(door.directory, S_IFREG | 0600, 0), 0);
	CHECK_EQ(door_listen(&door, &door.listener), -ENOTDIR);
	CHECK_EQ(unlink(door.directory), 0);
	door_done(&door);
}

/* Below @door's base, so long that the socket's path takes @size bytes, NUL included. */
static void name_directory(const struct door *door, size_t size, char path[static 256])
{
	memset(path, 'x', 256);
	memcpy(path, door->base, strlen(door->base));
	path[strlen(door->base)] = '/';
	path[size - sizeof("/hook.sock")] = '\0';
}

static void remove_directory(const char *path)
{
	char lock[300];

	snprintf(lock, sizeof(lock), "%s/lock", path);
	CHECK_EQ(unlink(lock), 0);
	CHECK_EQ(rmdir(path), 0);
}

static void test_a_path_fits_the_address_or_is_refused(void)
{
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path);

	for (size_t size = max - 3; size <= max + 3; size++) {
		struct listener *listener = NULL;
		struct door door;
		char path[256];

		door_init(&door);
		name_directory(&door, size, path);
		CHECK_EQ(listener_new(door.event, -1, path, door_on_accept, &door,
				      &listener),
			 size <= max ? 0 : -ENAMETOOLONG);
		if (listener) {
			listener_free(listener);
			remove_directory(path);
		}
		door_done(&door);
	}
}

static void test_there_is_one_daemon_in_a_directory(void)
{
	struct listener *second = NULL;
	struct door door;
	ino_t inode;

	door_open(&door);
	inode = inode_of(door.path);
	CHECK_EQ(door_listen(&door, &second), -EADDRINUSE);
	CHECK(second == NULL);
	/* The first one's socket is as it was. */
	CHECK_EQ(inode_of(door.path), inode);
	CHECK_EQ(door_visit(&door), 1);

	door.listener = listener_free(door.listener);
	CHECK_EQ(door_listen(&door, &door.listener), 0);
	CHECK_EQ(door_visit(&door), 1);
	door_done(&door);
}

static void test_a_stale_socket_is_replaced(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct door door;
	int fd;

	door_init(&door);
	CHECK_EQ(mkdir(door.directory, 0755), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", door.path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CHECK_EQ(bind(fd, &address, sizeof(address)), 0);
	close(fd);
	CHECK_EQ(door_client(door.path), -1);

	CHECK_EQ(door_listen(&door, &door.listener), 0);
	CHECK_EQ(door_visit(&door), 1);
	door_done(&door);
}

static void test_what_a_crash_left_half_made_is_replaced(void)
{
	struct door door;
	char path[128];

	door_init(&door);
	CHECK_EQ(mkdir(door.directory, 0755), 0);
	snprintf(path, sizeof(path), "%s/hook.new", door.directory);
	CHECK_EQ(mknod(path, S_IFREG | 0600, 0), 0);
	CHECK_EQ(door_listen(&door, &door.listener), 0);
	CHECK_EQ(access(path, F_OK), -1);
	CHECK_EQ(door_visit(&door), 1);
	door_done(&door);
}

static void test_free_removes_the_socket_and_keeps_the_lock(void)
{
	struct door door;
	char lock[128];

	door_open(&door);
	snprintf(lock, sizeof(lock), "%s/lock", door.directory);
	door.listener = listener_free(door.listener);
	CHECK_EQ(access(door.path, F_OK), -1);
	CHECK_EQ(access(lock, F_OK), 0);
	CHECK(listener_free(NULL) == NULL);
	door_done(&door);
}

static void test_the_kernel_says_who_connects(void)
{
	struct door door;
	int fd;

	door_open(&door);
	door.keep = true;
	fd = door_client(door.path);
	door_settle(&door);
	CHECK_EQ(door.n_accepted, 1);
	CHECK_EQ(door.pid, getpid());
	CHECK_EQ(door.uid, geteuid());
	CHECK_EQ(fcntl(door.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_EQ(fcntl(door.fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	door_done(&door);
}

static void test_all_who_wait_get_in(void)
{
	struct door door;
	int fds[100];

	door_open(&door);
	for (int i = 0; i < 100; i++)
		CHECK((fds[i] = door_client(door.path)) >= 0);

	/* Not all in one go: others have their turn. */
	CHECK(sd_event_run(door.event, 0) > 0);
	CHECK(door.n_accepted >= 1 && door.n_accepted < 100);
	door_settle(&door);
	CHECK_EQ(door.n_accepted, 100);
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	door_done(&door);
}

static int n_descriptors(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void test_without_descriptors_it_waits_and_does_not_spin(void)
{
	struct rlimit limit, before;
	struct door door;
	int fd;

	door_open(&door);
	fd = door_client(door.path);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)n_descriptors();
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);

	/* One look, and then nothing to do but wait. */
	CHECK(sd_event_run(door.event, 0) > 0);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(sd_event_run(door.event, 0), 0);
	CHECK_EQ(door.n_accepted, 0);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);

	for (int i = 0; i < 60 && door.n_accepted == 0; i++)
		(void)sd_event_run(door.event, 1000000);
	CHECK_EQ(door.n_accepted, 1);
	/* And it goes on as before. */
	CHECK_EQ(door_visit(&door), 1);
	close(fd);
	door_done(&door);
}

/* In a pid namespace of its own a listener sees us without a number. 77: cannot. */
static int listen_elsewhere(struct door *door, int ready, int client_done)
{
	pid_t pid;
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		return 77;

	pid = fork();
	if (pid < 0)
		return 77;
	if (pid > 0)
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status)
			       ? WEXITSTATUS(status)
			       : 1;

	/* A loop does not survive a fork. */
	sd_event_unref(door->event);
	if (sd_event_new(&door->event) < 0 || door_listen(door, &door->listener) < 0)
		_exit(1);
	listener_set_refuse(door->listener, door_on_refuse);
	(void)!write(ready, "", 1);
	(void)!read(client_done, &(char){ 0 }, 1);
	door_settle(door);
	(void)!write(ready, "", 1);
	(void)!read(client_done, &(char){ 0 }, 1);
	listener_free(door->listener);
	_exit(door->n_accepted == 0 && door->n_refused == 1 && door->error == -EREMOTE ? 0 : 1);
}

static void test_a_process_without_a_pid_here_is_refused(void)
{
	int to_us[2], to_them[2], fd, status = 0;
	struct door door;
	pid_t pid;

	door_init(&door);
	CHECK_EQ(pipe(to_us), 0);
	CHECK_EQ(pipe(to_them), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(to_us[0]);
		close(to_them[1]);
		_exit(listen_elsewhere(&door, to_us[1], to_them[0]));
	}
	close(to_us[1]);
	close(to_them[0]);

	if (read(to_us[0], &(char){ 0 }, 1) == 1) {
		fd = door_client(door.path);
		CHECK(fd >= 0);
		CHECK_EQ(write(to_them[1], "", 1), 1);
		CHECK_EQ(read(to_us[0], &(char){ 0 }, 1), 1);
		CHECK(door_was_dropped(fd));
		close(fd);
	}
	close(to_them[1]);
	close(to_us[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("# no pid namespaces here\n");
	else
		CHECK_EQ(status, 0);
	door_done(&door);
}

static int bound_socket(const char *path, int type, bool listening)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	CHECK_EQ(bind(fd, &address, sizeof(address)), 0);
	if (listening)
		CHECK_EQ(listen(fd, 128), 0);
	return fd;
}

static void test_a_passed_socket_is_used_and_left_in_place(void)
{
	struct door door;
	int fd;

	door_init(&door);
	CHECK_EQ(mkdir(door.directory, 0755), 0);
	fd = bound_socket(door.path, SOCK_SEQPACKET, true);
	CHECK_EQ(
		listener_new(door.event, fd, NULL, door_on_accept, &door, &door.listener),
		0);
	CHECK_EQ(door_visit(&door), 1);

	door.listener = listener_free(door.listener);
	CHECK_EQ(access(door.path, F_OK), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), -1);
	door_done(&door);
}

static void test_a_passed_socket_of_another_kind_is_refused(void)
{
	static const struct {
		int type;
		bool listening;
	} wrong[] = {
		{ SOCK_STREAM, true },
		{ SOCK_DGRAM, false },
		{ SOCK_SEQPACKET, false },
	};

	for (size_t i = 0; i < 3; i++) {
		struct door door;
		int fd;

		door_init(&door);
		CHECK_EQ(mkdir(door.directory, 0755), 0);
		fd = bound_socket(door.path, wrong[i].type, wrong[i].listening);
		CHECK_EQ(listener_new(door.event, fd, NULL, door_on_accept, &door,
				      &door.listener),
			 -EPROTOTYPE);
		/* Still the caller's. */
		CHECK_EQ(close(fd), 0);
		door_done(&door);
	}
}

static void test_what_is_no_socket_is_refused(void)
{
	struct listener *listener = NULL;
	struct door door;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	door_init(&door);
	CHECK_EQ(listener_new(door.event, fd, NULL, door_on_accept, &door, &listener),
		 -ENOTSOCK);
	CHECK_EQ(close(fd), 0);
	door_done(&door);
}

int main(void)
{
	RUN(test_modes_do_not_depend_on_the_umask);
	RUN(test_an_existing_directory_keeps_its_mode);
	RUN(test_a_missing_parent_is_an_error);
	RUN(test_a_file_in_place_of_the_directory_is_an_error);
	RUN(test_a_path_fits_the_address_or_is_refused);
	RUN(test_there_is_one_daemon_in_a_directory);
	RUN(test_a_stale_socket_is_replaced);
	RUN(test_what_a_crash_left_half_made_is_replaced);
	RUN(test_free_removes_the_socket_and_keeps_the_lock);
	RUN(test_the_kernel_says_who_connects);
	RUN(test_all_who_wait_get_in);
	RUN(test_without_descriptors_it_waits_and_does_not_spin);
	RUN(test_a_process_without_a_pid_here_is_refused);
	RUN(test_a_passed_socket_is_used_and_left_in_place);
	RUN(test_a_passed_socket_of_another_kind_is_refused);
	RUN(test_what_is_no_socket_is_refused);
	return TEST_RESULT();
}
