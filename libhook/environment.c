/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "libhook/weak.h"

#include "libhook/environment.h"
#include "libhook/mem.h"

/* Of a program's variables that could be ours. */
#define FEW 16

#define DEFAULT_SOCKET "/run/memguard/hook.sock"

static const struct knob_name {
	const char *name;     /* in MEMGUARD_MALLOPT */
	const char *variable; /* glibc's own, older name */
	const char *tunable;  /* in GLIBC_TUNABLES */
} knob_names[WIRE_KNOB_MAX_] = {
	[WIRE_KNOB_ARENA_MAX] = { "arena_max", "MALLOC_ARENA_MAX", "glibc.malloc.arena_max=" },
	[WIRE_KNOB_MMAP_THRESHOLD] = { "mmap_threshold", "MALLOC_MMAP_THRESHOLD_",
				       "glibc.malloc.mmap_threshold=" },
	[WIRE_KNOB_TRIM_THRESHOLD] = { "trim_threshold", "MALLOC_TRIM_THRESHOLD_",
				       "glibc.malloc.trim_threshold=" },
	[WIRE_KNOB_TOP_PAD] = { "top_pad", "MALLOC_TOP_PAD_", "glibc.malloc.top_pad=" },
	/* The others' own variables: see decay_variables. */
	[WIRE_KNOB_DECAY] = { "decay", NULL, NULL },
};

static const char *const symbol_names[ENVIRONMENT_SYMBOLS] = {
	"mallctl",
	"je_mallctl",
	"_rjem_mallctl",
	[ENVIRONMENT_SYMBOL_GOOGLE] = "MallocExtension_Internal_ReleaseMemoryToSystem",
};

/* @word: what must be in it; NULL: the variable alone says it. */
static const struct {
	const char *variable, *word;
	uint32_t allocator;
} decay_variables[] = {
	{ "MALLOC_CONF", "decay_ms:", WIRE_ALLOCATOR_JEMALLOC },
	{ "JE_MALLOC_CONF", "decay_ms:", WIRE_ALLOCATOR_JEMALLOC },
	{ "_RJEM_MALLOC_CONF", "decay_ms:", WIRE_ALLOCATOR_JEMALLOC },
	{ "MIMALLOC_PURGE_DELAY", NULL, WIRE_ALLOCATOR_MIMALLOC },
	{ "MIMALLOC_DECOMMIT_DELAY", NULL, WIRE_ALLOCATOR_MIMALLOC },
	{ "MIMALLOC_RESET_DELAY", NULL, WIRE_ALLOCATOR_MIMALLOC },
};

/* glibc's own, for 64 and for 32 bits. */
#define ARENA_TEST (sizeof(long) == 8 ? 8 : 2)

/* "2", "64K", "1M", "1G" up to a comma or the end. */
static bool parse_size(const char **s, uint64_t *ret)
{
	const char *begin = *s;
	uint64_t n = text_number(s, 10);
	unsigned int shift = 0;

	if (*s == begin)
		return false;

	switch (**s) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	default:
		break;
	}

	if (shift > 0)
		(*s)++;
	if (n > UINT64_MAX >> shift)
		return false;

	*ret = n << shift;
	return **s == '\0' || **s == ',';
}

static enum wire_knob knob_of(const char **s)
{
	for (int i = 1; i < WIRE_KNOB_MAX_; i++) {
		const char *rest = text_after(*s, knob_names[i].name);

		if (rest && *rest == '=') {
			*s = rest + 1;
			return (enum wire_knob)i;
		}
	}

	return WIRE_KNOB_MAX_;
}

bool environment_parse_knobs(const char *s, uint64_t knobs[static WIRE_KNOB_MAX_], uint32_t *ret_set)
{
	bool good = true;

	while (*s != '\0') {
		enum wire_knob knob = knob_of(&s);
		uint64_t value = 0;

		if (knob != WIRE_KNOB_MAX_ && parse_size(&s, &value)) {
			knobs[knob] = wire_clamp(knob, value);
			*ret_set |= 1U << knob;
		} else {
			good = false;
		}

		while (*s != '\0' && *s != ',')
			s++;
		if (*s == ',')
			s++;
	}

	return good;
}

/*
 * Twenty names are looked for, and programs have as many variables and more: those that could be
 * one of ours are picked out first. By hand, since programs bring a getenv() of their own.
 */
static bool could_be_ours(const char *s)
{
	static const char begins[][3] = { "GL", "HU", "JE", "MA", "ME", "MI", "SY", "_R" };

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (s[0] == begins[i][0] && s[1] == begins[i][1])
			return true;

	return false;
}

/* All there are, where @few has not room enough. */
static char **pick_out(char *few[static FEW], char **all)
{
	size_t n = 0;

	for (char **s = all; *s; s++) {
		if (!could_be_ours(*s))
			continue;
		if (n == FEW - 1)
			return all;
		few[n++] = *s;
	}

	few[n] = NULL;
	return few;
}

/* As getenv() says it. */
static const char *value_of(char **variables, const char *name)
{
	for (; *variables; variables++) {
		const char *s = text_after(*variables, name);

		if (s && *s == '=')
			return s + 1;
	}

	return NULL;
}

/* The operator's own words win over ours: find out which knobs he set. */
static uint32_t operator_knobs(char **variables)
{
	const char *tunables = value_of(variables, "GLIBC_TUNABLES");
	uint32_t set = 0;

	for (int i = 1; i < WIRE_KNOB_MAX_; i++)
		if (knob_names[i].variable &&
		    (value_of(variables, knob_names[i].variable) ||
		     (tunables && text_find(tunables, knob_names[i].tunable))))
			set |= 1U << i;

	return set;
}

/*
 * Of a size that is a number: 1 only asks the kernel for them where they suit it. glibc takes
 * numbers in any notation; what is not plainly one of the two counts.
 */
static bool names_huge_pages(const char *tunables)
{
	static const char name[] = "glibc.malloc.hugetlb=";

	while ((tunables = text_find(tunables, name))) {
		tunables += sizeof(name) - 1;
		if ((*tunables != '0' && *tunables != '1') || (tunables[1] != '\0' && tunables[1] != ':'))
			return true;
	}

	return false;
}

/* By glibc's own tunable, or by libhugetlbfs, which glibc up to 2.33 lets have its heap. */
static bool has_huge_pages(char **variables)
{
	const char *tunables = value_of(variables, "GLIBC_TUNABLES");
	const char *morecore = value_of(variables, "HUGETLB_MORECORE");

	return (tunables && names_huge_pages(tunables)) || (morecore && !text_equal(morecore, "no"));
}

/*
 * malloc() that fills memory touches what we want to drop, and so does memory tagging;
 * a thread cache for large chunks would keep ours.
 */
static bool is_borrow_unsafe(char **variables)
{
	static const char *const names[] = { "glibc.malloc.perturb=", "glibc.malloc.tcache_max=",
					     "glibc.mem.tagging=" };
	const char *tunables = value_of(variables, "GLIBC_TUNABLES");

	if (value_of(variables, "MALLOC_PERTURB_"))
		return true;

	for (size_t i = 0; tunables && i < sizeof(names) / sizeof(names[0]); i++)
		if (text_find(tunables, names[i]))
			return true;

	return false;
}

static bool is_uncached(char **variables)
{
	static const char off[] = "glibc.malloc.tcache_count=0";
	const char *tunables = value_of(variables, "GLIBC_TUNABLES");
	const char *found = tunables ? text_find(tunables, off) : NULL;

	return found && (found[sizeof(off) - 1] == '\0' || found[sizeof(off) - 1] == ':');
}

static uint32_t operator_decay(char **variables)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < sizeof(decay_variables) / sizeof(decay_variables[0]); i++) {
		const char *value = value_of(variables, decay_variables[i].variable);

		if (value && (!decay_variables[i].word || text_find(value, decay_variables[i].word)))
			bits |= decay_variables[i].allocator;
	}

	return bits;
}

/* How many arenas there may be before glibc fixes their limit. */
static uint32_t read_arena_test(char **variables)
{
	static const char tunable[] = "glibc.malloc.arena_test=";
	const char *tunables = value_of(variables, "GLIBC_TUNABLES");
	const char *s = value_of(variables, "MALLOC_ARENA_TEST");
	const char *found = tunables ? text_find(tunables, tunable) : NULL;
	uint64_t n;

	if (found)
		s = found + sizeof(tunable) - 1;
	if (!s)
		return ARENA_TEST;

	n = text_number(&s, 10);
	return n > 0 && n <= 4096 ? (uint32_t)n : ARENA_TEST;
}

static bool parse_build_id(const char **s, struct environment_symbols *ret)
{
	const char *c = *s;
	unsigned int n = 0;

	for (; *c != '\0' && *c != ':'; c++, n++) {
		unsigned int digit;

		if (n == 2 * ENVIRONMENT_BUILD_ID_MAX)
			return false;
		if (*c >= '0' && *c <= '9')
			digit = (unsigned int)(*c - '0');
		else if (*c >= 'a' && *c <= 'f')
			digit = (unsigned int)(*c - 'a') + 10;
		else
			return false;
		ret->build_id[n / 2] = (unsigned char)(ret->build_id[n / 2] << 4 | digit);
	}

	*s = c + 1;
	ret->n_build_id = n / 2;
	return *c == ':' && n >= 8 && n % 2 == 0;
}

static bool parse_symbol(const char **s, struct environment_symbols *ret)
{
	for (size_t i = 0; i < ENVIRONMENT_SYMBOLS; i++) {
		const char *c = text_after(*s, symbol_names[i]), *digits;
		uint64_t offset;

		if (!c || *c != '=')
			continue;

		digits = ++c;
		offset = text_number(&c, 16);
		if (c == digits || offset == 0 || ret->offsets[i] != 0 || (*c != '\0' && *c != ','))
			return false;
		ret->offsets[i] = offset;
		*s = *c == ',' ? c + 1 : c;
		return *c == '\0' || **s != '\0';
	}

	return false;
}

bool environment_parse_symbols(const char *s, struct environment_symbols *ret)
{
	struct environment_symbols symbols = { .n_build_id = 0 };
	bool good = parse_build_id(&s, &symbols) && *s != '\0';

	while (good && *s != '\0')
		good = parse_symbol(&s, &symbols);

	*ret = good ? symbols : (struct environment_symbols){ .n_build_id = 0 };
	return good;
}

static bool is_pid(const char *s, int pid)
{
	const char *end = s;

	return pid > 0 && text_number(&end, 10) == (uint64_t)pid && end != s && *end == '\0';
}

static void read_agent(struct environment *e, char **variables, int pid)
{
	const char *agent = value_of(variables, "MEMGUARD_AGENT");
	const char *exec_pid = value_of(variables, "SYSTEMD_EXEC_PID");
	const char *end = agent;

	e->named = exec_pid && is_pid(exec_pid, pid);
	if (!agent || *agent == '\0' || text_equal(agent, "auto"))
		return;

	if (text_equal(agent, "always")) {
		e->mode = AGENT_ALWAYS;
	} else if (text_equal(agent, "off")) {
		e->mode = AGENT_OFF;
	} else if (is_pid(agent, pid)) {
		e->named = true;
	} else {
		/* Another process's pid is no mistake: children inherit the variable. */
		(void)text_number(&end, 10);
		e->bad = e->bad || *end != '\0';
	}
}

static void read_socket(struct environment *e, char **variables)
{
	const char *s = value_of(variables, "MEMGUARD_SOCKET");
	const bool given = s && *s != '\0';
	const bool good = given && *s == '/' && text_length(s) < sizeof(e->socket);

	e->bad = e->bad || (given && !good);
	memcpy(e->socket, good ? s : DEFAULT_SOCKET, text_length(good ? s : DEFAULT_SOCKET) + 1);
}

/* @word is in small letters, @s as somebody typed it. */
static bool is_word(const char *s, const char *word)
{
	for (; *s != '\0'; s++, word++)
		if ((*s >= 'A' && *s <= 'Z' ? *s - 'A' + 'a' : *s) != *word)
			return false;

	return *word == '\0';
}

static bool is_one_of(const char *s, const char *const words[static 4])
{
	for (size_t i = 0; i < 4; i++)
		if (is_word(s, words[i]))
			return true;

	return false;
}

bool environment_read(struct environment *ret, int pid)
{
	static const char *const off[4] = { "off", "no", "false", "0" };
	static const char *const on[4] = { "on", "yes", "true", "1" };
	char *few[FEW], **variables;
	const char *s, *said;

	/* The off switch comes before anything that could go wrong. */
	if (!&__environ || !__environ)
		return false;
	variables = pick_out(few, __environ);
	said = value_of(variables, "MEMGUARD");
	if (said && is_one_of(said, off))
		return false;

	/* A set-uid program, by a system-wide preload: its caller's words are not for it. */
	if (getauxval && getauxval(AT_SECURE) != 0)
		return false;

	*ret = (struct environment){ .mode = AGENT_AUTO };
	/* Meant to be off, perhaps: whoever looks is to see that it was not understood. */
	ret->bad = said && *said != '\0' && !is_one_of(said, on);
	read_socket(ret, variables);

	ret->env_tuned = operator_knobs(variables);
	ret->huge_pages = has_huge_pages(variables);
	ret->borrow_unsafe = ret->huge_pages || is_borrow_unsafe(variables);
	ret->uncached = is_uncached(variables);
	ret->env_decay = operator_decay(variables);
	ret->arena_test = read_arena_test(variables);
	s = value_of(variables, "MEMGUARD_SYMBOLS");
	if (s && *s != '\0' && !environment_parse_symbols(s, &ret->symbols))
		ret->bad = true;
	s = value_of(variables, "MEMGUARD_MALLOPT");
	if (s && !environment_parse_knobs(s, ret->knobs, &ret->knobs_set))
		ret->bad = true;

	read_agent(ret, variables, pid);
	return true;
}
