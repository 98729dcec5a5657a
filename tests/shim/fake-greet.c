/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a fake hook begins: with a HELLO, or as none should. */

#include "tests/shim/fake-hook.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct wire_frame hello_frame(void)
{
	struct wire_frame frame;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_HELLO, 0, WIRE_OK);
	frame.hello.agent_tid = (uint32_t)getpid();
	frame.hello.allocators = frame.hello.malloc_owner = WIRE_ALLOCATOR_GLIBC;
	frame.hello.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	strcpy(frame.hello.hook_version, "fake");
	strcpy(frame.hello.libc_version, "2.36");
	return frame;
}

int greet_hello(struct fake *fake)
{
	const struct wire_frame frame = hello_frame();
	int r = fake_send_frame(fake, &frame);

	if (r == 0)
		fake_say("hello");
	return r;
}

/* Who connected ends, and a child goes on. */
int greet_and_pass_on(struct fake *fake)
{
	int r = greet_hello(fake);

	return r == 0 && fork() > 0 ? 1 : r;
}

int pass_on_and_greet(struct fake *fake)
{
	if (fork() > 0)
		return 1;

	(void)getchar();
	return greet_hello(fake);
}

/* A sanitizer would look into tables of its own for each byte: an eighth as much memory again. */
__attribute__((no_sanitize("address", "thread"))) static void fill(volatile char *memory, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += 4096)
		memory[i] = 1;
}

int greet_holding(struct fake *fake)
{
	/* First: on a loaded machine touching memory takes longer than a HELLO may. */
	int r = greet_hello(fake);

	fake->memory_bytes = fake->n * MIB;
	if (fake->memory_bytes > 0) {
		fake->memory = mmap(NULL, fake->memory_bytes, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (fake->memory == MAP_FAILED) {
			perror("fake-hook: cannot hold that much memory");
			return -1;
		}
		fill(fake->memory, fake->memory_bytes);
	}

	fake->retained_bytes = fake->memory_bytes;
	return r;
}

int greet_not(struct fake *fake)
{
	(void)fake;
	fake_say("silent");
	return 0;
}

int greet_half(struct fake *fake)
{
	const struct wire_frame frame = hello_frame();

	return fake_send(fake, &frame, sizeof(frame) / 2);
}

int greet_long(struct fake *fake)
{
	const struct wire_frame frame = hello_frame();
	unsigned char bytes[sizeof(frame) + 1] = { 0 };

	memcpy(bytes, &frame, sizeof(frame));
	return fake_send(fake, bytes, sizeof(bytes));
}

int greet_twice(struct fake *fake)
{
	int r = greet_hello(fake);

	return r == 0 ? greet_hello(fake) : r;
}

int greet_bye(struct fake *fake)
{
	struct wire_frame frame;
	int r = greet_hello(fake);

	if (r != 0)
		return r;

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_BYE, 0, WIRE_OK);
	return fake_send_frame(fake, &frame);
}

int greet_flood(struct fake *fake)
{
	struct wire_frame frame;
	int r = greet_hello(fake);

	wire_init(&frame, WIRE_TO_DAEMON, WIRE_STATS, 1, WIRE_OK);
	while (r == 0)
		r = fake_send_frame(fake, &frame);

	return r;
}

volatile sig_atomic_t fake_is_told;

static void on_told(int signal)
{
	(void)signal;
	fake_is_told = 1;
}

/* Something waits for a SIGUSR1: its figures, or the end of a release. */
int greet_unmeasured(struct fake *fake)
{
	const struct sigaction told = { .sa_handler = on_told, .sa_flags = SA_RESTART };

	if (sigaction(SIGUSR1, &told, NULL) < 0)
		return -1;
	return greet_holding(fake);
}
