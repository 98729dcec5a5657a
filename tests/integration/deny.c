/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 *	deny CALL COMMAND...
 *
 * Executes COMMAND where one system call, by its name, fails with EPERM, as under a filter of
 * a unit. 2: the call has no number here.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int number_of(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} calls[] = {
		{ "mlockall", SYS_mlockall },
		{ "socketpair", SYS_socketpair },
		{ "eventfd2", SYS_eventfd2 },
#ifdef SYS_vfork
		{ "vfork", SYS_vfork },
#endif
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;

	return -1;
}

int main(int argc, char **argv)
{
	const int number = argc > 2 ? number_of(argv[1]) : -1;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (number < 0)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("deny");
		return 1;
	}

	(void)execv(argv[2], argv + 2);
	perror(argv[2]);
	return 1;
}
