/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Chooses and orders, and by which method. What a member is expected to give, and what that
 * would cost, was computed by policy/estimate.
 */

#include "agent/policy/pick.h"

#include "agent/basic/macro.h"
#include "agent/policy/benefit.h"
#include "agent/policy/estimate.h"
#include "agent/policy/freshness.h"
#include "agent/policy/gate.h"

/* Of the limit: with less in use a burst is no danger. */
#define ROOM_PART 4

/* What it takes to ask somebody, however little he has to do: many small ones are no bargain. */
#define ASK_USEC (2 * USEC_PER_MSEC)

/* In a row; then only a command asks again, and its success clears the count. */
#define FAILED_MAX 3

/* Less has not changed much. */
#define OUTDATED_BYTES (64 * MIB)

/* Why a member is left out; CHOSEN when it is not. */
enum choice {
	CHOICE_CHOSEN,
	CHOICE_UNABLE, /* cannot or must not be asked */
	CHOICE_NOT_WORTH, /* would give too little */
	CHOICE_STALL, /* would wait too long, and nothing is urgent */
};

/*
 * True when retained_bytes is the whole story. Not before the first figures or after a
 * release that followed them; and figures are glibc's, so not when another allocator, of
 * which we know nothing until it is asked, serves the program too.
 */
static bool is_known(const struct member *m)
{
	const uint32_t flags = WIRE_STATS_HEAP | WIRE_STATS_RSS;

	return m->stats_usec > 0 && m->stats_usec >= m->last_release_usec &&
	       (m->stats.flags & flags) == flags &&
	       (m->hello.allocators & ~(uint32_t)WIRE_ALLOCATOR_GLIBC) == 0;
}

static uint64_t expected_bytes(const struct member *m, enum method method)
{
	if (m->stats_usec == 0 || m->stats_usec < m->last_release_usec)
		return 0;

	return estimate_give(m, method);
}

/*
 * The most it can give: what was expected of it when it was measured and all that it has
 * grown by since, or where nothing is known all that it has.
 */
static uint64_t at_most_bytes(const struct member *m)
{
	if (is_known(m))
		return add_sat(estimate_give(m, METHOD_AUTO),
			       sub_sat(m->process.rss_bytes, m->stats.rss));

	if (m->time_usec == 0 ||
	    m->process.swap_bytes > UINT64_MAX - m->process.rss_bytes)
		return UINT64_MAX;

	return m->process.rss_bytes + m->process.swap_bytes;
}

static bool can_be_asked(const struct member *m, enum reason trigger)
{
	if (m->seccomp_changed || m->process.state == 'Z' || m->process.state == 'X')
		return false;
	if (trigger == REASON_COMMAND)
		return true;

	/* Whoever is stopped, or held by a debugger, answers nothing; somebody may try. */
	return m->n_failed < FAILED_MAX && !member_is_stopped(m);
}

/* How one member would be asked. */
struct plan {
	enum method method;
	enum why why;
};

struct candidate {
	const struct member *member;
	struct plan plan;
	uint64_t worth; /* bytes per microsecond */
};

/* The best so far, best first. */
struct ranking {
	size_t n;
	struct candidate best[DECISION_PICKS_MAX];
};

/* A kill is near, or the limit will be reached before borrowing is half done. */
bool pick_is_urgent(const struct group *group, const struct member *m, enum reason trigger)
{
	return trigger == REASON_USAGE_CRITICAL ||
	       (!reason_is_calm(trigger) && trigger != REASON_COMMAND &&
		group->trend.time_usec > 0 && estimate_borrow_usec(m) > group->trend.eta_usec / 2);
}

/* Borrowing has to be better than what it replaces, and worth while. */
static bool should_borrow(const struct group *group, const struct member *m,
			  enum reason trigger)
{
	return estimate_can_borrow(m) && m->borrow.stall_usec < m->stall_usec &&
	       m->borrow.bytes >= benefit_least_bytes(group, trigger);
}

/* Borrowing gives what a full trim does, or nearly. */
static bool gives_as_much(const struct member *m)
{
	return m->borrow.bytes >= m->retained_bytes - m->retained_bytes / 8;
}

/* The next burst is far from the limit; where it is not, it counts that all is given back by then. */
static bool has_room(const struct group *group)
{
	const struct reading *reading = &group->reading;

	return reading_taken_bytes(reading) <= reading->limit_bytes / ROOM_PART;
}

/* It has grown or shrunk by much since: for how long a full trim would stall it nobody knows. */
static bool is_outdated(const struct member *m)
{
	const uint64_t now = m->process.rss_bytes, then = m->stats.rss;

	return MAX(now, then) - MIN(now, then) >= MAX(OUTDATED_BYTES, then / 8);
}

/* Tops of thread arenas, which a full trim leaves, are worth a release of their own. */
static bool has_tops(const struct group *group, const struct member *m)
{
	return estimate_can_borrow(m) &&
	       m->borrow.bytes >= add_sat(m->retained_bytes,
					  MAX(group->settings->min_release_bytes, 1));
}

static bool full_gives(const struct group *group, const struct member *m)
{
	return m->retained_bytes >= MAX(group->settings->min_release_bytes, 1);
}

/* Who gives a command can wait; whoever is at work should not have to, for nobody knows how long. */
static struct plan plan_unknown(const struct member *m, enum reason trigger)
{
	if (trigger == REASON_COMMAND && estimate_is_busy(m) && estimate_can_borrow(m))
		return (struct plan){ METHOD_BORROW, WHY_UNKNOWN };

	return (struct plan){ METHOD_FULL, WHY_UNKNOWN };
}

static struct plan plan_for(const struct group *group, const struct member *m,
			    enum reason trigger, enum method method)
{
	if (!estimate_has_methods(m))
		return (struct plan){ METHOD_FULL, WHY_NONE };
	if (method != METHOD_AUTO)
		return (struct plan){ method, WHY_SETTING };
	if (m->stats_usec == 0 || m->stats_usec < m->last_release_usec)
		return plan_unknown(m, trigger);
	/* Near a kill speed counts, but a full trim that gives nothing is not fast. */
	if (has_tops(group, m) && (!pick_is_urgent(group, m, trigger) || !full_gives(group, m)))
		return (struct plan){ METHOD_BORROW, WHY_TOPS };
	if (m->stall_usec <= group->settings->stall_budget_usec) {
		if (is_outdated(m) && estimate_is_working(m) && estimate_can_borrow(m) && gives_as_much(m) &&
		    !pick_is_urgent(group, m, trigger))
			return (struct plan){ METHOD_BORROW, WHY_UNKNOWN };
		return (struct plan){ METHOD_FULL, WHY_FITS };
	}
	if (pick_is_urgent(group, m, trigger))
		return (struct plan){ METHOD_FULL, WHY_URGENT };
	/* Also who is idle may be asked for something any moment, and borrowing takes tops, too. */
	if (should_borrow(group, m, trigger) &&
	    (estimate_is_working(m) || (gives_as_much(m) && has_room(group))))
		return (struct plan){ METHOD_BORROW, WHY_STALL };
	if (!estimate_is_busy(m))
		return (struct plan){ METHOD_FULL, WHY_IDLE };

	return (struct plan){ METHOD_FULL, WHY_UNABLE };
}

/* Of a limit that it shares it has less than would be worth a release: the others have the rest. */
static bool is_bystander(const struct group *group)
{
	return group->reading.others_bytes > 0 &&
	       group->reading.anon_bytes < group->settings->min_release_bytes;
}

static enum choice choose(const struct group *group, const struct member *m,
			  enum reason trigger, struct plan plan)
{
	const uint64_t least_bytes = benefit_least_bytes(group, trigger);

	if (!can_be_asked(m, trigger))
		return CHOICE_UNABLE;

	if (trigger == REASON_COMMAND)
		return CHOICE_CHOSEN;

	/* Method=borrow, and the process cannot. */
	if (plan.method == METHOD_BORROW && m->borrow_refused)
		return CHOICE_UNABLE;

	if (trigger == REASON_USAGE_CRITICAL)
		return is_bystander(group) ? CHOICE_NOT_WORTH : CHOICE_CHOSEN;

	/* What it gives nobody knows before it is asked. */
	if (trigger == REASON_UNTOLD)
		return estimate_untold(m) < least_bytes ? CHOICE_NOT_WORTH : CHOICE_CHOSEN;

	/*
	 * Below UsageHigh= nobody is asked just to learn what it holds: a program that fills
	 * its heap for the first time has nothing to give, and would be backed off from.
	 */
	if (trigger != REASON_USAGE_HIGH &&
	    expected_bytes(m, plan.method) < least_bytes)
		return CHOICE_NOT_WORTH;

	if (reason_is_calm(trigger))
		return plan.why == WHY_UNABLE ? CHOICE_STALL : CHOICE_CHOSEN;

	return at_most_bytes(m) < least_bytes ? CHOICE_NOT_WORTH : CHOICE_CHOSEN;
}

/*
 * Near a kill what counts is how soon it is there; before, how long somebody waits for it, and
 * for a program that waits for work nobody does.
 */
static uint64_t cost_usec(const struct candidate *c, enum reason trigger)
{
	const struct member *m = c->member;
	const bool borrow = c->plan.method == METHOD_BORROW;

	if (trigger == REASON_USAGE_CRITICAL)
		return borrow ? m->borrow.usec : m->release_usec;
	if (!estimate_is_busy(m))
		return 0;

	return borrow ? m->borrow.stall_usec : m->stall_usec;
}

static bool ranks_before(const struct candidate *a, const struct candidate *b)
{
	const struct process *of_a = &a->member->process, *of_b = &b->member->process;

	if (a->worth != b->worth)
		return a->worth > b->worth;

	if (of_a->rss_bytes != of_b->rss_bytes)
		return of_a->rss_bytes > of_b->rss_bytes;

	/* For the same facts the same order. */
	return of_a->pid < of_b->pid;
}

/* Insertion into a full ranking pushes out the last. */
static void rank(struct ranking *ranking, const struct candidate *c)
{
	size_t i;

	if (ranking->n < DECISION_PICKS_MAX)
		ranking->n++;
	else if (!ranks_before(c, &ranking->best[DECISION_PICKS_MAX - 1]))
		return;

	for (i = ranking->n - 1; i > 0 && ranks_before(c, &ranking->best[i - 1]); i--)
		ranking->best[i] = ranking->best[i - 1];

	ranking->best[i] = *c;
}

static struct pick make_pick(const struct member *m, struct plan plan)
{
	const bool borrow = plan.method == METHOD_BORROW;

	return (struct pick){
		.pid = m->process.pid,
		.start_time = m->process.start_time,
		.method = plan.method,
		.why = plan.why,
		.expected_bytes = expected_bytes(m, plan.method),
		.stall_usec = borrow ? m->borrow.stall_usec : m->stall_usec,
		.full_stall_usec = m->stall_usec,
	};
}

struct pick pick_one(const struct group *group, const struct member *m, enum reason trigger,
		     enum method method)
{
	return make_pick(m, plan_for(group, m, trigger, method));
}

static void add_pick(struct decision *decision, const struct candidate *c)
{
	const struct pick pick = make_pick(c->member, c->plan);

	decision->picks[decision->n_picks++] = pick;
	decision->expected_bytes = add_sat(decision->expected_bytes, pick.expected_bytes);
}

/*
 * Why nobody is left, the most telling first: what would change it is different in each.
 */
static enum reason nobody(const size_t n_choices[static CHOICE_STALL + 1])
{
	if (n_choices[CHOICE_STALL] > 0)
		return REASON_STALL;

	return n_choices[CHOICE_NOT_WORTH] > 0 ? REASON_NOT_WORTH : REASON_NO_MEMBERS;
}

bool pick_is_enough(const struct decision *decision, const struct reading *reading)
{
	return decision->enough_permyriad > 0 &&
	       reading_taken_bytes(reading) <
		       share_of(reading->limit_bytes, decision->enough_permyriad);
}

/* How many it will take, if each gives what is expected; all, where that is not enough. */
static void plan_end(const struct group *group, enum reason trigger, struct decision *decision)
{
	struct reading reading = group->reading;

	decision->n_needed = decision->n_picks;
	if (trigger != REASON_USAGE_HIGH || gate_is_rushing(group))
		return;

	decision->enough_permyriad = gate_end_permyriad(group->settings);
	for (unsigned int i = 0; i < decision->n_picks; i++) {
		reading.anon_bytes =
			sub_sat(reading.anon_bytes, decision->picks[i].expected_bytes);
		if (pick_is_enough(decision, &reading)) {
			decision->n_needed = i + 1;
			return;
		}
	}
}

void pick_members(const struct group *group, const struct member *const *members,
		  size_t n_members, enum reason trigger, enum method method,
		  struct decision *ret)
{
	size_t n_choices[CHOICE_STALL + 1] = { 0 };
	struct ranking ranking;

	ranking.n = 0;
	for (size_t i = 0; i < n_members; i++) {
		struct candidate c = {
			.member = members[i],
			.plan = plan_for(group, members[i], trigger, method),
		};
		const enum choice choice = choose(group, members[i], trigger, c.plan);

		n_choices[choice]++;
		if (choice != CHOICE_CHOSEN)
			continue;
		c.worth = expected_bytes(c.member, c.plan.method) /
			  add_sat(cost_usec(&c, trigger), ASK_USEC);
		rank(&ranking, &c);
	}

	*ret = (struct decision){ .act = ranking.n > 0, .reason = trigger };
	for (size_t i = 0; i < ranking.n; i++)
		add_pick(ret, &ranking.best[i]);
	plan_end(group, trigger, ret);

	if (ranking.n == 0) {
		ret->reason = nobody(n_choices);
	} else if (group->settings->mode == MODE_OBSERVE && trigger != REASON_COMMAND) {
		ret->act = false;
		ret->reason = REASON_OBSERVE;
	}
}

bool pick_needs_figures(const struct group *group, const struct member *m, enum reason trigger,
			const struct pick *pick)
{
	if (trigger != REASON_COMMAND || pick->why == WHY_SETTING || pick->why == WHY_NONE)
		return false;

	/* It will be borrowed from in any case, and that stalls it for less than to ask how it is. */
	return pick->method != METHOD_BORROW ||
	       (pick->why != WHY_UNKNOWN && !freshness_is_dear(group, m));
}
