/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Five diseases have one symptom, that memory grows. What tells them apart: a release that
 * was predicted or made, the floor of what is in use, and what the kernel counts beside it.
 * Figures of members are claims: any value must be survived.
 */

#include "agent/policy/verdict.h"

#include "agent/basic/macro.h"
#include "agent/policy/verdict-facts.h"
#include "agent/policy/warn.h"

/* Less than this is not worth a diagnosis, unless it is such a part of the limit, and a release no trifle. */
#define LEAST_BYTES (64 * MIB)
#define LEAST_PART 4
#define TRIFLE_BYTES (4 * MIB)

/* In use by this much of the memory, and a release cannot make the difference. */
#define FULL_PERMYRIAD 7000

/* Of the limit: whatever the settings say, from here on it is reached. */
#define AT_LIMIT_PERMYRIAD 9500

/* How long a release that paid says something about the program. */
#define PAID_USEC (6 * 3600 * USEC_PER_SEC)

/* So soon after a kill figures may still be of who was killed. */
#define ON_THE_WAY_USEC USEC_PER_SEC

/*
 * The last release was tried on as much as is there now, and gave next to nothing. One that was not
 * answered in time, or had to end before it was through, has not shown that; nor one of while it was in use.
 */
static bool is_disproved(const struct facts *f, uint64_t bytes)
{
	const struct benefit *b = f->benefit;

	if (b && b->n_rounds > 0 && b->backoff_usec > 0 && b->last_n_silent == 0 &&
	    b->last_released_bytes < bytes / 10 && f->sums->heap.fresh_bytes < MAX(bytes / 2, 1))
		return true;

	return f->sums->release_usec > 0 && f->sums->n_cut_short == 0 &&
	       f->sums->expected_bytes >= bytes / 2 &&
	       f->sums->expected_bytes > 0 && f->sums->released_bytes < bytes / 10;
}

/* The last release gave back a good part of what was there, and nobody was killed since in spite of it. */
static bool has_paid(const struct facts *f)
{
	const struct benefit *b = f->benefit;
	const struct sums *s = f->sums;

	if (b && b->n_rounds > 0 &&
	    sub_sat(f->now_usec, b->last_round_usec) < PAID_USEC)
		return b->last_round_usec > f->killed_usec &&
		       b->last_released_bytes >=
		       MAX(add_sat(b->last_usage_bytes, b->last_released_bytes) / 4, 1);

	return s->release_usec > f->killed_usec && sub_sat(f->now_usec, s->release_usec) < PAID_USEC &&
	       s->released_bytes >= MAX(s->before_bytes / 4, PAID_LEAST_BYTES);
}

/* Of @bytes, which are enough in a group without a limit: in a small one it is less. */
static uint64_t least_of(const struct facts *f, uint64_t bytes)
{
	return MIN(bytes, MAX(f->limit_bytes / LEAST_PART, TRIFLE_BYTES));
}

static bool is_retained(const struct facts *f)
{
	const uint64_t high = f->retained_high_bytes;
	const uint64_t least = MAX(least_of(f, high > 0 ? high : LEAST_BYTES), f->anon_bytes / 4);
	const uint64_t bytes =
		add_sat(f->sums->heap.retained_bytes, f->sums->use.swapped_free_bytes);

	return bytes >= least && !is_disproved(f, bytes);
}

/* Of most of the memory: a small leak in a program that retains much can wait. */
static bool has_rising_floor(const struct facts *f)
{
	return f->sums->floor_last_bytes > 0 &&
	       f->sums->use.in_use_bytes >= f->anon_bytes / 2;
}

/* Of most of the limit; 0 is off, and then the limit itself counts. */
static bool is_above(uint64_t taken_bytes, uint64_t limit_bytes, uint32_t permyriad)
{
	if (permyriad == 0)
		permyriad = AT_LIMIT_PERMYRIAD;

	return limit_bytes != BYTES_INFINITY && taken_bytes > 0 &&
	       taken_bytes >= share_of(limit_bytes, permyriad);
}

/* Most of it came since the allocators were last asked: it may be theirs or not. */
static bool is_stale(const struct facts *f)
{
	return add_sat(f->sums->use.grown_bytes, f->unseen_bytes) > f->anon_bytes / 2;
}

/*
 * Nearly all that it has is in use, and is most of the limit; and nobody has watched for long, or it
 * grew lately, or there is no room left for that. Where others fill the limit it need not be this one.
 * Or it will be most of it so soon that nobody has watched for long by then.
 */
static bool fills_limit(const struct facts *f)
{
	/* What came since its allocators were asked is in use as well, as long as it is the smaller part. */
	const uint64_t in_use_bytes =
		add_sat(f->sums->use.in_use_bytes, is_stale(f) ? 0 : f->sums->use.grown_bytes);

	if (in_use_bytes < share_of(f->anon_bytes, FULL_PERMYRIAD))
		return false;
	if (!is_above(f->anon_bytes, f->limit_bytes, f->usage_high_permyriad))
		return f->is_kill_near;

	return f->sums->n_judged == 0 || f->sums->n_rising > 0 ||
	       is_above(f->anon_bytes, f->limit_bytes, f->usage_critical_permyriad);
}

static bool is_not_malloc(const struct facts *f)
{
	return f->anon_bytes >= LEAST_BYTES && f->other_bytes > f->anon_bytes / 2;
}

/* Even if all that came since the allocators were asked is theirs, which shared memory cannot be. */
static bool is_proven_not_malloc(const struct facts *f)
{
	const uint64_t new_bytes = add_sat(f->sums->use.grown_bytes, f->unseen_bytes),
		       most_bytes = sub_sat(f->anon_bytes, f->shmem_bytes);

	return sub_sat(f->other_bytes, MIN(new_bytes, most_bytes)) > f->anon_bytes / 2;
}

/* Most of it belongs to an allocator that tells nothing. */
static bool is_untold(const struct facts *f)
{
	return f->anon_bytes >= LEAST_BYTES && f->sums->opaque_bytes > f->anon_bytes / 2;
}

/* Much is free, and neither does the histogram find whole pages in it nor did a release. */
static bool is_fragmented(const struct facts *f)
{
	const uint64_t unused = f->sums->use.unused_bytes;

	if (unused < MAX(least_of(f, LEAST_BYTES), f->anon_bytes / 4))
		return false;

	return f->sums->heap.retained_bytes < unused / 10 || is_disproved(f, unused);
}

/* However small, near its limit or right after a kill it is not called healthy by figures of before. */
static bool is_overtaken(const struct facts *f)
{
	return f->is_after_kill ||
	       (is_stale(f) && is_above(f->anon_bytes, f->limit_bytes, f->usage_high_permyriad));
}

static enum verdict decide(const struct facts *f)
{
	if (f->sums->heap.time_usec == 0)
		return VERDICT_UNKNOWN;

	if (has_rising_floor(f))
		return VERDICT_GROWING;

	if (is_retained(f))
		return VERDICT_RETAINED;

	if (f->sums->floor_last_bytes > 0 || fills_limit(f))
		return VERDICT_GROWING;

	/* What the last release could not give back is no news while it gave much. */
	if (is_untold(f))
		return has_paid(f) ? VERDICT_RETAINED : VERDICT_UNKNOWN;

	if (is_not_malloc(f) && is_proven_not_malloc(f))
		return VERDICT_NOT_MALLOC;
	if (is_not_malloc(f))
		return f->sums->n_unseen > 0 && has_paid(f) ? VERDICT_RETAINED : VERDICT_UNKNOWN;

	if (has_paid(f))
		return VERDICT_RETAINED;

	if (!is_fragmented(f))
		return is_overtaken(f) ? VERDICT_UNKNOWN : VERDICT_HEALTHY;

	/* Until it is measured again, nobody knows what there is left to give. */
	return f->sums->n_cut_unseen > 0 ? VERDICT_UNKNOWN : VERDICT_FRAGMENTED;
}

/* The longer a floor was watched to rise, the less can it be a program that warms up. */
static uint32_t confidence_of_rise(uint64_t span_usec)
{
	static const struct {
		uint64_t sec;
		uint32_t percent;
	} steps[] = { { 6 * 3600, 95 }, { 3600, 85 }, { 600, 75 }, { 30, 60 } };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (span_usec >= steps[i].sec * USEC_PER_SEC)
			return steps[i].percent;

	return 50;
}

/* It was measured, and nothing came of that. */
static uint32_t find_untold(const struct facts *f, enum verdict verdict)
{
	return verdict == VERDICT_UNKNOWN && f->sums->heap.time_usec > 0 && is_untold(f)
		       ? f->sums->opaque_owners : 0;
}

static uint32_t confidence(const struct facts *f, enum verdict verdict)
{
	const struct sums *s = f->sums;

	switch (verdict) {
	case VERDICT_UNKNOWN:
		return 0;
	case VERDICT_GROWING:
		return s->floor_last_bytes > 0 ? confidence_of_rise(s->floor_span_usec) : 40;
	case VERDICT_RETAINED:
		return has_paid(f) ? 95 : 75;
	case VERDICT_FRAGMENTED:
		return s->release_usec > 0 && s->n_cut_short == 0 &&
				       s->released_bytes < s->use.unused_bytes / 10
			       ? 90
			       : 60;
	case VERDICT_NOT_MALLOC:
		return f->other_bytes / 3 >= f->anon_bytes / 4 ? 90 : 70;
	case VERDICT_HEALTHY:
		return s->n_judged > 0 || f->anon_bytes < LEAST_BYTES ? 90 : 70;
	case VERDICT_MAX_:
		break;
	}

	return 0;
}

static void judge(struct facts *f, struct diagnosis *ret)
{
	const struct sums *s = f->sums;

	f->other_bytes = sub_sat(f->anon_bytes, add_sat(s->use.in_use_bytes,
							MAX(s->heap.retained_bytes,
							    s->use.unused_bytes)));
	*ret = (struct diagnosis){ .use = s->use, .verdict = decide(f) };
	ret->untold = find_untold(f, ret->verdict);
	ret->confidence_percent = confidence(f, ret->verdict);
	verdict_show_evidence(f, ret);
	verdict_advise(f, ret);
}

/* Where no charge tells: shared memory is no disease of the heap, but may be most of what is resident. */
static void judge_resident(struct facts *f, struct diagnosis *ret)
{
	struct diagnosis whole;

	judge(f, ret);
	if (ret->verdict != VERDICT_HEALTHY)
		return;

	f->shmem_bytes = f->sums->shmem_bytes;
	f->anon_bytes = add_sat(f->anon_bytes, f->shmem_bytes);
	judge(f, &whole);
	if (whole.verdict == VERDICT_NOT_MALLOC)
		*ret = whole;
}

/* Resident memory has the members' files in it, the charge of a cgroup has not. */
static uint64_t anon_of(const struct group *group, const struct reading *reading,
			const struct sums *sums)
{
	const uint64_t anon = reading->anon_bytes;

	return group->kind == GROUP_RSS ? sub_sat(anon, sums->file_bytes) : anon;
}

/*
 * What is charged to the group and is no member's anonymous memory. Of its resident memory that is
 * of others; of a cgroup only its files can tell.
 */
static void divide(const struct group *group, struct facts *f)
{
	const struct beside *b = f->sums->beside;
	uint64_t rest_bytes;

	/* Of a member that ended the group was still charged when it was read. */
	if (!b && f->sums->has_parted)
		f->unseen_bytes = sub_sat(f->anon_bytes, f->sums->anon_bytes);
	else if (group->kind == GROUP_RSS && f->sums->anon_bytes > 0)
		f->unhooked_bytes = sub_sat(f->anon_bytes, f->sums->anon_bytes);
	if (!b)
		return;

	/* The group's last reading may be older. */
	f->anon_bytes = b->charged_bytes;
	f->below_bytes = b->below_bytes;
	f->shmem_bytes = b->shmem_bytes;
	f->locked_bytes = b->locked_bytes;
	f->kernel_bytes = b->kernel_bytes;
	rest_bytes = sub_sat(sub_sat(b->anon_bytes, b->below_bytes), f->sums->anon_bytes);
	if (b->n_processes > group->n_members)
		f->unhooked_bytes = rest_bytes;
	else
		f->unseen_bytes = rest_bytes;
}

/* As it is told. */
static bool is_kill_near(const struct alert_memory *alerts)
{
	return alerts->told & UINT32_C(1) << ALERT_KILL_NEAR;
}

static bool is_short(const struct group *group, const struct reading *reading,
		     const struct alert_memory *alerts, uint64_t now_usec)
{
	return warn_is_kill_recent(alerts, group, now_usec) || warn_is_kill_near(group) ||
	       is_above(reading_taken_bytes(reading), reading->limit_bytes,
			group->settings->usage_high_permyriad);
}

static bool is_after_kill(const struct sums *sums, uint64_t killed_usec, uint64_t now_usec)
{
	const uint64_t seen_usec = sums->left.time_usec > 0 ? sums->left.time_usec : now_usec;

	return killed_usec > 0 && sub_sat(seen_usec, killed_usec) < ON_THE_WAY_USEC;
}

/*
 * An empty group tells nothing of those who were in it. Who was killed after the last reading had come
 * to the limit by then, and nobody had asked what for.
 */
static struct reading reading_of(const struct group *group, struct sums *sums)
{
	struct reading reading = sums->left;
	uint64_t room_bytes;

	if (reading.time_usec == 0)
		return group->reading;
	if (group->reading.n_oom_kill <= reading.n_oom_kill || reading.limit_bytes == BYTES_INFINITY)
		return reading;

	room_bytes = sub_sat(reading.limit_bytes, reading_taken_bytes(&reading));
	sums->use.grown_bytes = add_sat(sums->use.grown_bytes, room_bytes);
	reading.anon_bytes = add_sat(reading.anon_bytes, room_bytes);
	return reading;
}

void verdict_group(const struct group *group, const struct sums *sums,
		   const struct alert_memory *alerts, uint64_t now_usec, struct diagnosis *ret)
{
	struct sums own = *sums;
	const struct reading reading = reading_of(group, &own);
	const uint64_t killed_usec = warn_killed_usec(alerts, group);
	struct facts facts = {
		.sums = &own,
		.benefit = group_benefit(group),
		.anon_bytes = anon_of(group, &reading, &own),
		.limit_bytes = reading.limit_bytes,
		.retained_high_bytes = group->settings->retained_high_bytes,
		.usage_high_permyriad = group->settings->usage_high_permyriad,
		.usage_critical_permyriad = group->settings->usage_critical_permyriad,
		.killed_usec = killed_usec,
		.is_after_kill = is_after_kill(&own, killed_usec, now_usec),
		.is_kill_near = is_kill_near(alerts),
		.is_short = is_short(group, &reading, alerts, now_usec),
		.now_usec = now_usec,
	};

	if (group->reading.time_usec == 0) {
		*ret = (struct diagnosis){ .use = sums->use, .verdict = VERDICT_UNKNOWN };
		verdict_advise(&facts, ret);
		return;
	}

	divide(group, &facts);
	if (group->kind == GROUP_RSS)
		judge_resident(&facts, ret);
	else
		judge(&facts, ret);
	ret->killed_usec = killed_usec;
}

void verdict_member(const struct group *group, const struct member *member,
		    const struct alert_memory *alerts, uint64_t now_usec, struct diagnosis *ret)
{
	struct sums sums = { 0 };
	struct facts facts = {
		.sums = &sums,
		.anon_bytes = member->process.anon_bytes,
		/* One that fills it alone is what the group is. */
		.limit_bytes = group->reading.time_usec > 0 ? group->reading.limit_bytes : BYTES_INFINITY,
		.usage_high_permyriad = group->settings->usage_high_permyriad,
		.usage_critical_permyriad = group->settings->usage_critical_permyriad,
		.retained_high_bytes = group->settings->retained_high_bytes,
		.is_kill_near = is_kill_near(alerts) &&
				member->process.anon_bytes >= group->reading.anon_bytes / 2,
		.is_short = is_short(group, &group->reading, alerts, now_usec),
		.now_usec = now_usec,
	};

	verdict_sum(&sums, member, group->settings->method);
	judge_resident(&facts, ret);
}
