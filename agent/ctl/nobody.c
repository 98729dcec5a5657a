/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/ctl/nobody.h"

#include <inttypes.h>
#include <unistd.h>

#include "agent/basic/log.h"
#include "agent/basic/name.h"
#include "agent/ctl/client.h"
#include "agent/ctl/fields.h"
#include "agent/ctl/output.h"

/* How many there are of all users. Who is not root is shown only his own. */
static uint64_t count_all(struct ctl *ctl, const char *key)
{
	json_t *status = NULL;
	uint64_t n = 0;

	if (geteuid() != 0 && client_call(ctl, "GetStatus", &status) >= 0)
		n = fields_number(status, key);

	json_decref(status);
	return n;
}

void nobody_guarded(struct ctl *ctl)
{
	const uint64_t n = count_all(ctl, "n_members");

	if (n == 0)
		output_note(ctl, "Nothing is guarded now: \"memguardctl%s enable UNIT\" and restart "
				 "it, or \"memguardctl run -- COMMAND\".",
			    ctl_user(ctl));
	else
		output_note(ctl, "None of the %" PRIu64 " guarded process%s is yours: with sudo all "
				 "are shown.",
			    n, n == 1 ? "" : "es");
}

bool nobody_in(struct ctl *ctl, const char *what)
{
	char name[NAME_QUOTED_MAX];

	if (count_all(ctl, "n_members") > 0) {
		nobody_guarded(ctl);
		return false;
	}

	(void)name_quote(what, name, sizeof(name));
	log_error("No process is left there: \"memguardctl%s explain %s\" shows how it was", ctl_user(ctl),
		  name);
	return true;
}

void nobody_asked(struct ctl *ctl, const char *what)
{
	const uint64_t n = what[0] == '\0' ? count_all(ctl, "rounds") : 0;
	char name[NAME_QUOTED_MAX];

	if (what[0] != '\0')
		output_note(ctl, "No round has asked anybody there; \"memguardctl%s explain %s\" "
				 "says why.", ctl_user(ctl), name_quote(what, name, sizeof(name)));
	else if (n == 0)
		output_note(ctl, "No round has asked anybody since memguardd was started; "
				 "\"memguardctl%s explain\" says why.",
			    ctl_user(ctl));
	else
		output_note(ctl, "None of the %" PRIu64 " round%s since memguardd was started was "
				 "about processes of yours: with sudo all are shown.",
			    n, n == 1 ? "" : "s");
}
