/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/model/member.h"

const struct lessons *member_lessons(const struct member *member)
{
	static const struct lessons none;

	return member->has_lessons ? member->lessons : &none;
}
