/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/model/member.h"

#include <string.h>

struct versions versions_of(const struct wire_hello *wire)
{
	struct versions versions = { .page_bytes = wire->page_bytes };

	_Static_assert(sizeof(versions.hook) == sizeof(wire->hook_version), "hook");
	_Static_assert(sizeof(versions.libc) == sizeof(wire->libc_version), "libc");
	memcpy(versions.hook, wire->hook_version, sizeof(versions.hook));
	memcpy(versions.libc, wire->libc_version, sizeof(versions.libc));
	return versions;
}

struct hello hello_of(const struct wire_hello *wire, const struct versions *versions)
{
	/* Bits of no more than six knobs, and fewer flags. */
	_Static_assert(WIRE_KNOB_MAX_ <= 8 && WIRE_HELLO_BAD_ENV <= UINT8_MAX, "fits");

	return (struct hello){
		.versions = versions,
		.agent_tid = wire->agent_tid,
		.allocators = wire->allocators,
		.malloc_owner = wire->malloc_owner,
		.flags = (uint8_t)wire->flags,
		.tuned = (uint8_t)wire->tuned,
		.env_tuned = (uint8_t)wire->env_tuned,
	};
}

bool member_is_stopped(const struct member *member)
{
	return member->process.state == 'T' || member->process.state == 't';
}

const struct lessons *member_lessons(const struct member *member)
{
	static const struct lessons none;

	return member->has_lessons ? member->lessons : &none;
}

void member_note_failure(struct member *member, bool refused)
{
	member->n_failed++;
	member->refused = refused;
}

void member_note_answer(struct member *member, bool released)
{
	if (member->refused && !released)
		return;

	member->n_failed = 0;
	member->refused = false;
}

void member_note_tuned(struct member *member, const struct wire_tune_reply *reply)
{
	uint32_t tuned = UINT32_C(1) << reply->knob;

	if (reply->effect == WIRE_EFFECT_PAIRED)
		tuned |= UINT32_C(1) << WIRE_KNOB_MMAP_THRESHOLD |
			 UINT32_C(1) << WIRE_KNOB_TRIM_THRESHOLD;
	member->hello.tuned |= (uint8_t)tuned;
}
