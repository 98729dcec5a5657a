/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "agent/report/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/report/journal-alert.h"
#include "agent/report/journal-look.h"
#include "agent/report/journal-reclaim.h"
#include "agent/report/sentences.h"
#include "tests/unit/test.h"

static char path[] = "/system.slice/x.service";
static char unit[] = "x.service";

static const struct group group = { .path = path, .unit = unit };

static const struct outcome released = {
	.round = 17,
	.group_id = 4711,
	.kind = OUTCOME_RELEASED,
	.trigger = REASON_USAGE_HIGH,
	.begin_usec = 1000,
	.end_usec = 53000,
	.n_asked = 3,
	.n_answered = 2,
	.n_timed_out = 1,
	.limit_bytes = 600 * MIB,
	.usage_before_bytes = 561 * MIB,
	.usage_after_bytes = 149 * MIB,
	.rss_before_bytes = 500 * MIB,
	.rss_after_bytes = 90 * MIB,
	.expected_bytes = 400 * MIB,
	.longest_usec = 31000,
};

static char entry[JOURNAL_ENTRY_MAX];

/* The value of a field, or NULL; @entry is cut up, so it is made anew for each look. */
static const char *field(const struct group *g, const struct outcome *outcome,
			 const char *name)
{
	const ssize_t n = journal_format(g, outcome, entry, sizeof(entry));
	char *rest = NULL;

	CHECK(n > 0 && entry[n - 1] == '\n');
	if (n <= 0)
		return NULL;

	entry[n - 1] = '\0';
	for (char *line = strtok_r(entry, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const size_t length = strlen(name);

		if (strncmp(line, name, length) == 0 && line[length] == '=')
			return line + length + 1;
	}

	return NULL;
}

static void test_the_sentence_has_the_figures(void)
{
	char sentence[512];

	journal_sentence(&group, &released, sentence, sizeof(sentence));
	CHECK_STR(
		sentence,
		"x.service: released 412M, usage 561M -> 149M of 600M, 2 of 3 processes "
		"in at most 31ms each, 1 timed out; because usage is above UsageHigh=");
}

static void test_borrowing_is_told_with_what_it_avoided(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.n_borrow = 2;
	outcome.why = WHY_STALL;
	outcome.stall_usec = 1200;
	outcome.expected_stall_usec = 1500;
	outcome.full_stall_usec = 38000;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "each, borrow, no stall above") != NULL);
	CHECK(strstr(sentence, "(a full trim: about 38ms)") != NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_METHOD"), "borrow");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_METHOD_REASON"), "stall");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_STALL_USEC"), "1200");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_EXPECTED_STALL_USEC"), "1500");
}

static void test_without_a_limit_none_is_told(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.limit_bytes = BYTES_INFINITY;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "usage 561M -> 149M, 2 of 3") != NULL);
	CHECK(field(&group, &outcome, "MEMGUARD_LIMIT_BYTES") == NULL);
}

static void test_growth_meanwhile_is_no_release(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.usage_after_bytes = outcome.usage_before_bytes + 1;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "released nothing that can be measured") != NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_RELEASED_BYTES"), "0");
}

static void test_what_is_freed_and_still_charged_is_told(void)
{
	struct outcome outcome = released;
	char sentence[512];

	CHECK_STR(field(&group, &outcome, "MEMGUARD_HELD_BYTES"), "0");
	outcome.usage_after_bytes = outcome.usage_before_bytes;
	outcome.rss_before_bytes = 500 * MIB;
	outcome.rss_after_bytes = 100 * MIB;
	outcome.held_after_bytes = 390 * MIB;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "released nothing that can be measured, 390M freed but still charged "
			       "(huge pages: the kernel takes it back when it reclaims), usage 561M")
	      != NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_HELD_BYTES"), "408944640");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_RELEASED_BYTES"), "0");
}

static void test_a_failure_says_who_did_not_answer(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.kind = OUTCOME_FAILED;
	outcome.n_answered = 0;
	outcome.n_refused = outcome.n_gone = 1;
	outcome.refusal = REFUSAL_FILTER;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence,
		     "none of 3 processes answered, 1 refused (it has put a system call filter "
		     "on its threads), 1 timed out, 1 ended") !=
	      NULL);
	CHECK_STR(field(&group, &outcome, "PRIORITY"), "4");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_REFUSED_REASON"), "filter");
	outcome.n_refused = 0;
	CHECK(!field(&group, &outcome, "MEMGUARD_REFUSED_REASON"));
}

static void test_who_did_not_answer_is_named(void)
{
	struct outcome outcome = released;
	char sentence[512];

	CHECK(!field(&group, &outcome, "MEMGUARD_TIMED_OUT_REASON"));
	outcome.n_timed_out = 0;
	outcome_count_silence(&outcome, 17, SILENCE_FROZEN);
	outcome_count_silence(&outcome, 18, SILENCE_WORKING);
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, ", 2 timed out (process 17 is frozen with its control group: thaw that)") !=
	      NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_TIMED_OUT_REASON"), "frozen");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_TIMED_OUT_PID"), "17");
}

static void test_who_was_not_needed_is_told(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.n_not_needed = 5;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "2 of 3 processes in at most 31ms each, 1 timed out, 5 not needed") !=
	      NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_NOT_NEEDED"), "5");
	CHECK_STR(field(&group, &released, "MEMGUARD_NOT_NEEDED"), "0");
}

static void test_what_became_urgent_is_told(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.hurried = REASON_USAGE_CRITICAL;
	outcome.hurried_usec = 312000;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "above UsageHigh=, and 312ms later usage is above UsageCritical=") != NULL);
	CHECK(strstr(sentence, "early") == NULL);
	outcome.n_overtaken = outcome.n_ended_early = 1;
	outcome.overtaken_bytes = 40 * MIB;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "UsageCritical=: 1 of 1 borrowing ended early, after 40.0M") != NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_TRIGGER"), "usage-high");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_HURRIED"), "usage-critical");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_HURRIED_AFTER_USEC"), "312000");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_ENDED_EARLY"), "1");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_OVERTAKEN_BYTES"), "41943040");
	CHECK(field(&group, &released, "MEMGUARD_HURRIED") == NULL);
}

static void test_each_refusal_has_its_words(void)
{
	for (int i = 1; i < REFUSAL_MAX_; i++) {
		CHECK(strlen(refusal_to_string((enum refusal)i)) > 3);
		CHECK(strlen(refusal_to_text((enum refusal)i)) > 10);
		for (int k = 0; k < i; k++)
			CHECK(strcmp(refusal_to_string((enum refusal)i),
				     refusal_to_string((enum refusal)k)) != 0);
	}
	CHECK_STR(refusal_to_string(REFUSAL_MAX_), "unknown");
}

static void test_doing_nothing_has_its_reason(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.kind = OUTCOME_NOTHING;
	outcome.reason = REASON_OBSERVE;
	outcome.n_asked = outcome.n_answered = outcome.n_timed_out = 0;
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "asked nobody: Mode=observe") != NULL);
	CHECK(strstr(sentence, "(expected 400M)") != NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_REASON"), "observe");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_RELEASED_BYTES"), "0");
	CHECK(field(&group, &released, "MEMGUARD_REASON") == NULL);
}

static void test_fields_are_those_of_the_manual(void)
{
	CHECK_STR(field(&group, &released, "MESSAGE_ID"), MESSAGE_ROUND);
	CHECK_STR(field(&group, &released, "PRIORITY"), "6");
	CHECK_STR(field(&group, &released, "SYSLOG_IDENTIFIER"), "memguardd");
	CHECK_STR(field(&group, &released, "MEMGUARD_OUTCOME"), "released");
	CHECK_STR(field(&group, &released, "MEMGUARD_TRIGGER"), "usage-high");
	CHECK_STR(field(&group, &released, "MEMGUARD_ROUND"), "17");
	CHECK_STR(field(&group, &released, "MEMGUARD_GROUP"), path);
	CHECK_STR(field(&group, &released, "MEMGUARD_GROUP_ID"), "4711");
	CHECK_STR(field(&group, &released, "MEMGUARD_UNIT"), unit);
	CHECK_STR(field(&group, &released, "OBJECT_SYSTEMD_UNIT"), unit);
	CHECK_STR(field(&group, &released, "MEMGUARD_USAGE_BEFORE_BYTES"), "588251136");
	CHECK_STR(field(&group, &released, "MEMGUARD_USAGE_AFTER_BYTES"), "156237824");
	CHECK_STR(field(&group, &released, "MEMGUARD_RELEASED_BYTES"), "432013312");
	CHECK_STR(field(&group, &released, "MEMGUARD_ASKED"), "3");
	CHECK_STR(field(&group, &released, "MEMGUARD_ANSWERED"), "2");
	CHECK_STR(field(&group, &released, "MEMGUARD_TIMED_OUT"), "1");
	CHECK_STR(field(&group, &released, "MEMGUARD_LONGEST_USEC"), "31000");
	CHECK_STR(field(&group, &released, "MEMGUARD_DURATION_USEC"), "52000");
}

static void test_a_newline_in_a_path_begins_no_field(void)
{
	char evil[] = "/a\nMESSAGE_ID=0\nPRIORITY=0\033[31m";
	struct group g = { .path = evil };
	char sentence[512];

	CHECK_STR(field(&g, &released, "MESSAGE_ID"), MESSAGE_ROUND);
	CHECK_STR(field(&g, &released, "PRIORITY"), "6");
	CHECK_STR(field(&g, &released, "MEMGUARD_GROUP"),
		  "/a?MESSAGE_ID=0?PRIORITY=0\033[31m");
	CHECK(field(&g, &released, "MEMGUARD_UNIT") == NULL);

	/* On a terminal the sentence must do no harm either. */
	journal_sentence(&g, &released, sentence, sizeof(sentence));
	CHECK(strpbrk(sentence, "\n\033") == NULL);
}

static void test_the_longest_path_fits(void)
{
	static char longest[4096];
	struct group g = { .path = longest, .unit = unit };
	char sentence[512];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	CHECK_STR(field(&g, &released, "MEMGUARD_GROUP"), longest);

	g.unit = NULL;
	journal_sentence(&g, &released, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "because usage is above UsageHigh=") != NULL);
}

static void test_a_small_buffer_is_refused_not_overrun(void)
{
	char small[64], sentence[16];

	small[sizeof(small) - 1] = 'x';
	CHECK_EQ(journal_format(&group, &released, small, sizeof(small) - 1), -E2BIG);
	CHECK_EQ(small[sizeof(small) - 1], 'x');
	journal_sentence(&group, &released, sentence, sizeof(sentence));
	CHECK_EQ(strlen(sentence), sizeof(sentence) - 1);
}

struct sink {
	char directory[32], path[64];
	int fd;
};

static struct sink sink_open(void)
{
	struct sink sink = { .directory = "/tmp/test-journal-XXXXXX", .fd = -1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	CHECK(mkdtemp(sink.directory) != NULL);
	snprintf(sink.path, sizeof(sink.path), "%s/socket", sink.directory);
	memcpy(address.sun_path, sink.path, sizeof(sink.path));
	sink.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK_EQ(bind(sink.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return sink;
}

static void sink_close(const struct sink *sink)
{
	close(sink->fd);
	unlink(sink->path);
	rmdir(sink->directory);
}

static void test_an_entry_arrives_as_one_datagram(void)
{
	struct sink sink = sink_open();
	char got[JOURNAL_ENTRY_MAX];
	const ssize_t n = journal_format(&group, &released, entry, sizeof(entry));

	CHECK_EQ(journal_send(sink.path, entry, (size_t)n), 0);
	CHECK_EQ(recv(sink.fd, got, sizeof(got), 0), n);
	CHECK_EQ(memcmp(got, entry, (size_t)n), 0);
	sink_close(&sink);
}

static void test_a_journal_that_is_stuck_is_not_waited_for(void)
{
	struct sink sink = sink_open();
	int r = 0;

	/*
	 * Nobody reads; the queue of a datagram socket is short, whatever its length
	 * here.
	 */
	for (int i = 0; i < 100000 && r == 0; i++)
		r = journal_send(sink.path, "MESSAGE=x\n", 10);

	CHECK_EQ(r, -EAGAIN);
	sink_close(&sink);
}

static void test_no_journal_is_an_error_not_a_crash(void)
{
	char too_long[256];

	memset(too_long, 'a', sizeof(too_long));
	too_long[0] = '/';
	too_long[sizeof(too_long) - 1] = '\0';
	CHECK_EQ(journal_send("/nonexistent/socket", "MESSAGE=x\n", 10), -ENOENT);
	CHECK_EQ(journal_send(too_long, "MESSAGE=x\n", 10), -ENAMETOOLONG);
}

static void test_the_verdict_is_told_with_its_evidence(void)
{
	struct outcome outcome = released;
	char sentence[512];

	outcome.verdict = VERDICT_GROWING;
	outcome.confidence_percent = 85;
	outcome.n_evidence = 2;
	outcome.evidence[0] = (struct evidence){ FACT_FLOOR_FIRST_BYTES, 100 * MIB };
	outcome.evidence[1] = (struct evidence){ FACT_FLOOR_LAST_BYTES, 500 * MIB };
	journal_sentence(&group, &outcome, sentence, sizeof(sentence));
	CHECK(strstr(sentence, "; verdict: growing (85% sure)") != NULL);
	CHECK_STR(field(&group, &outcome, "MEMGUARD_VERDICT"), "growing");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_CONFIDENCE_PERCENT"), "85");
	CHECK_STR(field(&group, &outcome, "MEMGUARD_EVIDENCE"),
		  "the least that was in use was 100M at first, 500M of late");
	CHECK_STR(field(&group, &released, "MEMGUARD_VERDICT"), "unknown");
}

static void test_nobody_is_advised_to_set_what_is_set(void)
{
	struct group_settings settings = { .mode = MODE_TRIM, .retained_high_bytes = 64 * MIB };
	const struct group g = { .path = path, .unit = unit, .settings = &settings };
	const struct diagnosis d = { .verdict = VERDICT_RETAINED };
	char text[SENTENCES_ADVICE_MAX];

	CHECK_STR(sentences_advice(ADVICE_RELEASE_IDLE, &d, &g, NULL, text, sizeof(text)),
		  "there is little to release now; while it is idle memguard does so by itself, from "
		  "RetainedHigh= on");
	settings.retained_high_bytes = 0;
	CHECK_STR(sentences_advice(ADVICE_RELEASE, &d, &g, NULL, text, sizeof(text)),
		  "release it now: memguardctl trim x.service; and from now on while it is idle: "
		  "RetainedHigh= in memguard.conf");
	settings.mode = MODE_OBSERVE;
	sentences_advice(ADVICE_RELEASE, &d, &g, NULL, text, sizeof(text));
	CHECK(strstr(text, "; and from now on while it is idle: Mode=trim in memguard.conf") != NULL);
}

static void test_an_alert_tells_when_and_why(void)
{
	struct group g = group;
	struct alert alert = {
		.kind = ALERT_KILL_NEAR,
		.n_held_back = 3,
		.growth_bytes_per_sec = 5 * MIB,
		.eta_usec = 50 * USEC_PER_SEC,
		.verdict = "growing",
		.verdict_text = "Look for a leak.",
	};
	char text[640];

	g.reading.anon_bytes = 350 * MIB;
	g.reading.limit_bytes = 600 * MIB;
	g.heap.time_usec = 1;
	g.heap.retained_bytes = 12 * MIB;
	journal_alert_sentence(&g, &alert, text, sizeof(text));
	CHECK_STR(text, "x.service: the kernel will kill here in about 50s, at a growth of 5.0M "
			"a second: 350M of 600M used, 12.0M of it free but retained. Look "
			"for a leak.");

	alert.use.grown_bytes = g.reading.anon_bytes;
	journal_alert_sentence(&g, &alert, text, sizeof(text));
	CHECK(!strstr(text, "retained") && strstr(text, "350M of 600M used. Look "));

	for (int kind = 0; kind < ALERT_MAX_; kind++) {
		alert.kind = (enum alert_kind)kind;
		alert.n_oom_kills = 2;
		CHECK(journal_alert_format(&g, &alert, entry, sizeof(entry)) > 0);
		CHECK(strstr(entry, "\nMESSAGE_ID=") != NULL);
		CHECK(strstr(entry, "\nMEMGUARD_HELD_BACK=3\n") != NULL);
		CHECK(strstr(entry, "\nMEMGUARD_VERDICT=growing\n") != NULL);
		CHECK(strstr(entry, "\nMEMGUARD_UNIT=x.service\n") != NULL);
		CHECK((strstr(entry, "\nMEMGUARD_OOM_KILLS=2\n") != NULL) == (kind == ALERT_OOM_KILL));
	}
	alert = (struct alert){ .kind = ALERT_OOM_KILL, .n_beside = 2 };
	g.path = (char *)"/work.slice/x.service";
	g.shared_level = 1;
	journal_alert_sentence(&g, &alert, text, sizeof(text));
	CHECK_STR(text, "x.service: the kernel's OOM killer ended 2 processes beside it, for the limit "
			"of /work.slice: 350M of 600M used when it was seen, 12.0M of it free but retained");
	CHECK(journal_alert_format(&g, &alert, entry, sizeof(entry)) > 0);
	CHECK(strstr(entry, "\nMEMGUARD_OOM_KILLS=0\nMEMGUARD_SHARED_OOM_KILLS=2\n") != NULL);
	CHECK_EQ(journal_alert_format(&g, &alert, entry, 100), -E2BIG);
}

static void test_a_second_look_tells_what_came_back(void)
{
	struct outcome outcome = {
		.kind = OUTCOME_RELEASED,
		.round = 7,
		.n_asked = 2,
		.usage_before_bytes = 500 * MIB,
		.usage_after_bytes = 300 * MIB,
		.look = { .state = LOOK_TAKEN,
			  .age_usec = LOOK_AFTER_USEC,
			  .usage_bytes = 340 * MIB,
			  .rss_bytes = 330 * MIB,
			  .rss_grown_bytes = 30 * MIB,
			  .n_left = 2,
			  .n_faults = 7680,
			  .n_group_faults = 8000 },
	};
	char text[512];

	journal_look_sentence(&group, &outcome, text, sizeof(text));
	CHECK_STR(text, "x.service: 1min after round 7, which released 200M, 30.0M of it are in use "
			"again; 7680 page faults since");
	CHECK(journal_look_format(&group, &outcome, entry, sizeof(entry)) > 0);
	CHECK(strstr(entry, "\nMESSAGE_ID=" MESSAGE_SECOND_LOOK "\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_LOOK=taken\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_RETURNED_BYTES=31457280\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_PAGE_FAULTS=7680\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_GROUP_PAGE_FAULTS=8000\n") != NULL);
	CHECK_EQ(journal_look_format(&group, &outcome, entry, 100), -E2BIG);

	outcome.look.n_collapses = 15;
	journal_look_sentence(&group, &outcome, text, sizeof(text));
	CHECK(strstr(text, "; khugepaged has filled it up to 15 huge pages: lower") != NULL);
	CHECK(journal_look_format(&group, &outcome, entry, sizeof(entry)) > 0);
	CHECK(strstr(entry, "\nMEMGUARD_HUGE_PAGES_MADE=15\n") != NULL);

	outcome.look.rss_grown_bytes = 0;
	journal_look_sentence(&group, &outcome, text, sizeof(text));
	CHECK(strstr(text, "all of it is still free; ") != NULL);
	outcome.look.state = LOOK_GONE;
	journal_look_sentence(&group, &outcome, text, sizeof(text));
	CHECK(strstr(text, "no process that did is left") != NULL);
	CHECK(strstr(text, "page faults") == NULL);
	CHECK(journal_look_format(&group, &outcome, entry, sizeof(entry)) > 0);
	CHECK(strstr(entry, "RETURNED_BYTES") == NULL);
}

static void test_what_the_kernel_reclaimed_is_told(void)
{
	const struct group x = {
		.id = 3, .path = (char *)"/x.service", .unit = (char *)"x.service",
		.reading = { .limit_bytes = 256 * MIB } };
	struct swap_out reclaim = {
		.asked_bytes = 40 * MIB,
		.before = { .time_usec = 1000000, .usage_bytes = 250 * MIB, .anon_bytes = 240 * MIB },
		.after = { .time_usec = 1300000, .usage_bytes = 210 * MIB, .anon_bytes = 205 * MIB,
			   .swap_bytes = 35 * MIB },
	};
	char text[512];

	journal_reclaim_sentence(&x, &reclaim, text, sizeof(text));
	CHECK_STR(text, "x.service: had the kernel reclaim 40.0M (MemoryReclaim=), usage 250M -> 210M of "
			"256M, swapped out 0B -> 35.0M, in 300ms");
	CHECK(journal_reclaim_format(&x, &reclaim, entry, sizeof(entry)) > 0);
	CHECK(strstr(entry, "\nMESSAGE_ID=" MESSAGE_RECLAIM "\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_ASKED_BYTES=41943040\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_ANON_AFTER_BYTES=214958080\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_SWAP_AFTER_BYTES=36700160\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_DURATION_USEC=300000\n") != NULL);
	CHECK(strstr(entry, "\nMEMGUARD_ERRNO=0\n") != NULL);
	CHECK_EQ(journal_reclaim_format(&x, &reclaim, entry, 100), -E2BIG);

	reclaim.error = EAGAIN;
	journal_reclaim_sentence(&x, &reclaim, text, sizeof(text));
	CHECK(strstr(text, "; the kernel says that it found less than that") != NULL);
	reclaim.error = ECHILD;
	journal_reclaim_sentence(&x, &reclaim, text, sizeof(text));
	CHECK(strstr(text, "; it is not known how it ended") != NULL);
	reclaim.error = EIO;
	journal_reclaim_sentence(&x, &reclaim, text, sizeof(text));
	CHECK(strstr(text, "; it failed: ") != NULL);
}

int main(void)
{
	RUN(test_nobody_is_advised_to_set_what_is_set);
	RUN(test_an_alert_tells_when_and_why);
	RUN(test_a_second_look_tells_what_came_back);
	RUN(test_what_the_kernel_reclaimed_is_told);
	RUN(test_the_sentence_has_the_figures);
	RUN(test_borrowing_is_told_with_what_it_avoided);
	RUN(test_without_a_limit_none_is_told);
	RUN(test_growth_meanwhile_is_no_release);
	RUN(test_what_is_freed_and_still_charged_is_told);
	RUN(test_a_failure_says_who_did_not_answer);
	RUN(test_who_did_not_answer_is_named);
	RUN(test_who_was_not_needed_is_told);
	RUN(test_what_became_urgent_is_told);
	RUN(test_each_refusal_has_its_words);
	RUN(test_doing_nothing_has_its_reason);
	RUN(test_fields_are_those_of_the_manual);
	RUN(test_a_newline_in_a_path_begins_no_field);
	RUN(test_the_longest_path_fits);
	RUN(test_a_small_buffer_is_refused_not_overrun);
	RUN(test_an_entry_arrives_as_one_datagram);
	RUN(test_a_journal_that_is_stuck_is_not_waited_for);
	RUN(test_no_journal_is_an_error_not_a_crash);
	RUN(test_the_verdict_is_told_with_its_evidence);

	return TEST_RESULT();
}
