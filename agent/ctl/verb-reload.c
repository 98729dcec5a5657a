/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* memguardctl reload: waits for the verdict, so that `systemctl reload` has it too. */

#include "agent/ctl/client.h"
#include "agent/ctl/output.h"
#include "agent/ctl/verbs.h"

int verb_reload(struct ctl *ctl, int argc, char **argv)
{
	json_t *answer = NULL, *done;
	int r;

	(void)argc;
	(void)argv;

	/* Why not is told by the client, with the file and the line. */
	r = client_call(ctl, "Reload", &answer);
	json_decref(answer);
	if (r < 0)
		return client_exit(r);

	done = json_pack("{s:b}", "reloaded", 1);
	if (!output_json(ctl, done) && ctl->legend)
		fputs("The configuration is in force.\n", ctl->out);
	json_decref(done);
	return CTL_DONE;
}
