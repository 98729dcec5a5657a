#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Groups that come and go under the same few names, each with a member that is killed: the
# daemon keeps neither descriptors nor memory of them, nor takes one for another. A short
# form of `tests/bench/scale.py --churn`.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${SANITIZED:-}" ] || skip "a sanitizer keeps what was freed"
make_group 64
claim "groups that are gone leave nothing behind" \
	"$(dirname "$0")/../bench/scale.py" --build="$top_builddir" --churn=300
finish
