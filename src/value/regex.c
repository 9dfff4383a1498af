/* Regular expressions: the tree becomes a program of a nondeterministic automaton (Thompson's
 * construction), and searching moves the set of its live states over the text.
 *
 * Invariants: a state is at most once in a set, so a search costs at most text x program steps and
 * nothing is ever tried twice; no recursion over the text; memory is fixed by the program's size.
 */
#include "value/regex.h"

#include "value/regex_priv.h"

enum op { OP_CHAR, OP_SET, OP_SPLIT, OP_JUMP, OP_ASSERT, OP_MATCH };

struct inst {
    enum op op;
    uint32_t arg; /* CHAR: code point, ASSERT: which, JUMP and SPLIT: where to */
    uint32_t alt; /* SPLIT: the other way */
    const struct regex_set *set;
};

struct regex {
    struct inst *code;
    uint32_t count;
    bool skips;        /* a match begins with a byte in first */
    uint64_t first[4]; /* bytes >= 0x80 stand or fall together */
};

/* --- compiling --- */

struct compiler {
    struct arena *scratch;
    struct inst *code;
    uint32_t count;
    uint32_t cap;
    uint32_t budget; /* nodes still to be visited: empty groups repeated cost too */
    bool full;       /* over the limit, or no_memory: stop */
    bool no_memory;
};

static bool grow(struct compiler *c) {
    uint32_t cap = c->cap ? c->cap * 2 : 64;
    struct inst *code = ARENA_ARRAY(c->scratch, cap, struct inst);
    if (!code) {
        c->no_memory = true;
        return false;
    }
    if (c->count) {
        memcpy(code, c->code, c->count * sizeof *code);
    }
    c->code = code;
    c->cap = cap;
    return true;
}

/* The place of the instruction; 0, which always is one, when it found no room. */
static uint32_t emit(struct compiler *c, struct inst inst) {
    if (c->count == REGEX_MAX_PROGRAM || (c->count == c->cap && !grow(c))) {
        c->full = true;
        return 0;
    }
    c->code[c->count] = inst;
    return c->count++;
}

static void emit_node(struct compiler *c, const struct regex_node *n);

static void emit_alternatives(struct compiler *c, const struct regex_node *n) {
    uint32_t last_jump = UINT32_MAX; /* jumps to the end are chained through arg, then patched */
    for (const struct regex_node *k = n->child; k && !c->full; k = k->next) {
        if (!k->next) {
            emit_node(c, k);
            break;
        }
        uint32_t split = emit(c, (struct inst){.op = OP_SPLIT});
        c->code[split].arg = c->count;
        emit_node(c, k);
        last_jump = emit(c, (struct inst){.op = OP_JUMP, .arg = last_jump});
        c->code[split].alt = c->count;
    }
    while (last_jump != UINT32_MAX && !c->full) {
        uint32_t earlier = c->code[last_jump].arg;
        c->code[last_jump].arg = c->count;
        last_jump = earlier;
    }
}

static void emit_repeat(struct compiler *c, const struct regex_node *n) {
    for (uint32_t i = 0; i < n->min && !c->full; i++) {
        emit_node(c, n->child);
    }
    if (n->max == REGEX_INFINITE) {
        uint32_t split = emit(c, (struct inst){.op = OP_SPLIT});
        c->code[split].arg = c->count;
        emit_node(c, n->child);
        emit(c, (struct inst){.op = OP_JUMP, .arg = split});
        c->code[split].alt = c->count;
        return;
    }
    uint32_t chain = UINT32_MAX; /* x{0,2} is (x(x)?)?: every way out leads to the end */
    for (uint32_t i = n->min; i < n->max && !c->full; i++) {
        chain = emit(c, (struct inst){.op = OP_SPLIT, .alt = chain});
        c->code[chain].arg = c->count;
        emit_node(c, n->child);
    }
    while (chain != UINT32_MAX && !c->full) {
        uint32_t earlier = c->code[chain].alt;
        c->code[chain].alt = c->count;
        chain = earlier;
    }
}

static void emit_node(struct compiler *c, const struct regex_node *n) {
    if (c->full || c->budget == 0) {
        c->full = true;
        return;
    }
    c->budget--;
    switch (n->type) {
    case NODE_EMPTY: break;
    case NODE_CHAR: emit(c, (struct inst){.op = OP_CHAR, .arg = n->cp}); break;
    case NODE_SET: emit(c, (struct inst){.op = OP_SET, .set = n->set}); break;
    case NODE_ASSERT: emit(c, (struct inst){.op = OP_ASSERT, .arg = n->assertion}); break;
    case NODE_CAT:
        for (const struct regex_node *k = n->child; k && !c->full; k = k->next) {
            emit_node(c, k);
        }
        break;
    case NODE_ALT: emit_alternatives(c, n); break;
    case NODE_REPEAT: emit_repeat(c, n); break;
    }
}

static void add_first(struct regex *r, uint32_t from, uint32_t to) {
    for (uint32_t b = from; b <= to && b < 128; b++) {
        r->first[b / 64] |= 1ull << (b % 64);
    }
    if (to >= 128) {
        r->first[2] = r->first[3] = UINT64_MAX;
    }
}

/* Which bytes can begin a match; assertions are taken to hold. */
static void find_first(struct regex *r, uint32_t *stack, bool *seen) {
    uint32_t depth = 0;
    r->skips = true;
    stack[depth++] = 0;
    seen[0] = true;
    while (depth) {
        uint32_t pc = stack[--depth];
        const struct inst *i = &r->code[pc];
        uint32_t next[2] = {pc, pc};
        switch (i->op) {
        case OP_CHAR: add_first(r, i->arg, i->arg); break;
        case OP_SET:
            for (uint32_t k = 0; k < i->set->count; k++) {
                add_first(r, i->set->ranges[k].from, i->set->ranges[k].to);
            }
            break;
        case OP_SPLIT: next[0] = i->arg, next[1] = i->alt; break;
        case OP_JUMP: next[0] = i->arg; break;
        case OP_ASSERT: next[0] = pc + 1; break;
        case OP_MATCH: r->skips = false; break;
        }
        for (int k = 0; k < 2; k++) {
            if (!seen[next[k]]) {
                seen[next[k]] = true;
                stack[depth++] = next[k];
            }
        }
    }
}

static enum err finish(struct arena *a, struct arena *scratch, const struct compiler *c,
                       const struct regex **out, struct error *e) {
    struct regex *r = ARENA_NEW(a, struct regex);
    struct inst *code = ARENA_ARRAY(a, c->count, struct inst);
    uint32_t *stack = ARENA_ARRAY(scratch, c->count, uint32_t);
    bool *seen = ARENA_ARRAY(scratch, c->count, bool);
    if (!r || !code || !stack || !seen) {
        return error_nomem(e);
    }
    memcpy(code, c->code, c->count * sizeof *code);
    r->code = code;
    r->count = c->count;
    find_first(r, stack, seen);
    *out = r;
    return OK;
}

static enum err compile(struct arena *a, struct arena *scratch, struct str pattern,
                        const struct regex **out, struct error *e) {
    struct regex_node *root = NULL;
    enum err err = regex_parse(a, pattern, &root, e);
    if (err != OK) {
        return err;
    }
    struct compiler c = {.scratch = scratch, .budget = REGEX_MAX_PROGRAM * 4};
    if (!grow(&c)) {
        return error_nomem(e);
    }
    emit_node(&c, root);
    emit(&c, (struct inst){.op = OP_MATCH});
    if (c.no_memory) {
        return error_nomem(e);
    }
    if (c.full) {
        return error_set(e, ERR_LIMIT,
                         "regular expression: needs more than %u states (large repetitions?)",
                         REGEX_MAX_PROGRAM);
    }
    return finish(a, scratch, &c, out, e);
}

enum err regex_compile(struct arena *a, struct str pattern, const struct regex **out,
                       struct error *e) {
    if (pattern.len > REGEX_MAX_PATTERN) {
        return error_set(e, ERR_LIMIT, "regular expression: %zu bytes, at most %u are supported",
                         pattern.len, REGEX_MAX_PATTERN);
    }
    struct arena scratch;
    arena_init(&scratch, 0);
    enum err err = compile(a, &scratch, pattern, out, e);
    a->starved = a->starved || scratch.starved; /* for who asks why there was no memory */
    arena_fini(&scratch);
    return err;
}

/* --- searching --- */

struct search {
    const struct regex *regex;
    uint32_t *waiting; /* states that consumed the last character */
    uint32_t waiting_count;
    uint32_t *live; /* states that wait for the next one */
    uint32_t live_count;
    uint32_t *stack;
    uint32_t *seen; /* turn in which a state was reached last */
    uint32_t turn;
    int64_t before; /* the characters around the place, -1 at the ends */
    int64_t after;
    uint64_t steps;
    bool matched;
};

static bool is_word(int64_t cp) {
    return (cp >= '0' && cp <= '9') || (cp >= 'A' && cp <= 'Z') || (cp >= 'a' && cp <= 'z') ||
           cp == '_';
}

static bool holds(const struct search *s, enum regex_assertion assertion) {
    switch (assertion) {
    case AT_TEXT_START: return s->before < 0;
    case AT_TEXT_END: return s->after < 0;
    case AT_LINE_START: return s->before < 0 || s->before == '\n';
    case AT_LINE_END: return s->after < 0 || s->after == '\n';
    case AT_WORD: return is_word(s->before) != is_word(s->after);
    case NOT_WORD: return is_word(s->before) == is_word(s->after);
    }
    return false;
}

static void visit(struct search *s, uint32_t pc, uint32_t *depth) {
    if (s->seen[pc] != s->turn) {
        s->seen[pc] = s->turn;
        s->stack[(*depth)++] = pc;
    }
}

/* Adds to live all that can be reached from pc without a character. */
static void follow(struct search *s, uint32_t pc) {
    uint32_t depth = 0;
    visit(s, pc, &depth);
    while (depth) {
        uint32_t at = s->stack[--depth];
        const struct inst *i = &s->regex->code[at];
        s->steps++;
        switch (i->op) {
        case OP_CHAR:
        case OP_SET: s->live[s->live_count++] = at; break;
        case OP_SPLIT:
            visit(s, i->alt, &depth);
            visit(s, i->arg, &depth);
            break;
        case OP_JUMP: visit(s, i->arg, &depth); break;
        case OP_ASSERT:
            if (holds(s, (enum regex_assertion)i->arg)) {
                visit(s, at + 1, &depth);
            }
            break;
        case OP_MATCH: s->matched = true; return;
        }
    }
}

static void consume(struct search *s, uint32_t cp) {
    s->waiting_count = 0;
    for (uint32_t k = 0; k < s->live_count; k++) {
        const struct inst *i = &s->regex->code[s->live[k]];
        bool takes = i->op == OP_CHAR ? i->arg == cp : regex_set_has(i->set, cp);
        if (takes) {
            s->waiting[s->waiting_count++] = s->live[k] + 1;
        }
    }
    s->steps += s->live_count;
}

/* One place of the text, between the characters before and after. */
static void turn(struct search *s, bool may_start) {
    s->turn++;
    s->live_count = 0;
    for (uint32_t k = 0; k < s->waiting_count && !s->matched; k++) {
        follow(s, s->waiting[k]);
    }
    if (may_start && !s->matched) {
        follow(s, 0);
    }
}

static bool can_start(const struct regex *r, int64_t cp) {
    if (!r->skips) {
        return true;
    }
    uint32_t byte = cp >= 128 ? 255 : (uint32_t)cp;
    return cp >= 0 && (r->first[byte / 64] >> (byte % 64) & 1);
}

static enum err run(struct search *s, struct str text, bool *out, struct error *e) {
    size_t pos = 0;
    s->before = -1;
    for (;;) {
        bool more = pos < text.len;
        s->after = more ? (int64_t)str_utf8_next(text, &pos) : -1;
        bool may_start = can_start(s->regex, s->after);
        if (may_start || s->waiting_count) {
            turn(s, may_start);
            if (s->matched || !more) {
                break;
            }
            consume(s, (uint32_t)s->after);
        }
        if (!more) {
            break;
        }
        if (s->steps > REGEX_MAX_STEPS) {
            return error_set(e, ERR_LIMIT, "regular expression: the search is too long");
        }
        s->before = s->after;
    }
    *out = s->matched;
    return OK;
}

enum err regex_search(const struct regex *r, struct str text, struct arena *scratch, bool *out,
                      struct error *e) {
    struct search s = {.regex = r};
    uint32_t *memory = ARENA_ARRAY(scratch, (size_t)r->count * 4, uint32_t);
    if (!memory) {
        return error_nomem(e);
    }
    s.waiting = memory;
    s.live = memory + r->count;
    s.stack = memory + 2 * (size_t)r->count;
    s.seen = memory + 3 * (size_t)r->count;
    return run(&s, text, out, e);
}
