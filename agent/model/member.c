/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/model/member.h"

const struct lessons *member_lessons(const struct member *member)
{
	static const struct lessons none;

	return member->lessons ? member->lessons : &none;
}

void member_note_tuned(struct member *member, const struct wire_tune_reply *reply)
{
	uint32_t *tuned = &member->hello.tuned;

	*tuned |= UINT32_C(1) << reply->knob;
	if (reply->effect == WIRE_EFFECT_PAIRED)
		*tuned |= UINT32_C(1) << WIRE_KNOB_MMAP_THRESHOLD |
			  UINT32_C(1) << WIRE_KNOB_TRIM_THRESHOLD;
}
