/* Random workflows, grown from blocks: steps, branches, fans, loops, foreach, handlers and
 * sub-workflows. What they come to must not depend on the order in which things happen, so a node
 * with `join: any` reads nothing (which of its needs has a body then is a matter of time), and
 * only one end node gives a result.
 *
 * Names tell what a body is: w (work) and c (calc) are maps with n, or null.
 */
#include <stdio.h>

#include "sim.h"

#define MOST_NEEDS 4
#define NAME_BYTES 16
#define NEED_BYTES 32
#define STEP_ID_SIZE "size(step.id.split('~')[0])" /* the same in every generation */

struct needs {
    char list[MOST_NEEDS][NEED_BYTES];
    uint32_t count;
};

struct generator {
    struct rng r;
    struct buf out;
    uint32_t next;  /* number of the next node, also over sub-workflows */
    int room;       /* nodes that may still come */
    uint32_t depth; /* of sub-workflows */
    bool first;     /* no node written in this workflow yet */
    bool risky;     /* expressions may fail */
    bool timeouts;
    bool once;              /* some effects are at_most_once */
    uint32_t wait_permille; /* steps that wait for a person or a time */
    uint32_t aux_permille;  /* nodes that name a fallback or the like */
    uint32_t undo_permille; /* effects that can be undone */
    bool certain;           /* what is generated never fails: nobody mends what undoes */
    bool hears, given;      /* some steps wait for signals; there is an input, x */
    uint64_t budgets;       /* 0: there are none */
    bool strict;            /* what would exceed one fails */
    bool shifts;            /* what is approved changes, perhaps, while the ask waits */
    char asked[NAME_BYTES]; /* the newest node that asks ... */
    size_t asked_at;        /* ... and where its fields end, in out */
    struct buf names;       /* of w and c nodes of this workflow, for outputs */
    uint32_t mended_from;   /* from this node on it is another one, 0: never */
    uint64_t mended_seed;
};

static bool chance(struct generator *g, uint32_t permille) { return rng_chance(&g->r, permille); }

/* A need on a node, by a handle ("" for the plain one). */
static void needs_add(struct needs *n, const char name[NAME_BYTES], const char *handle) {
    if (n->count < MOST_NEEDS) {
        snprintf(n->list[n->count++], NEED_BYTES, "%.15s%s%.8s", name, handle[0] ? "." : "",
                 handle);
    }
}

static void needs_merge(struct needs *n, const struct needs *more) {
    for (uint32_t i = 0; i < more->count && n->count < MOST_NEEDS; i++) {
        memcpy(n->list[n->count++], more->list[i], NEED_BYTES);
    }
}

/* The node that a need is on. */
static void need_source(const char need[NEED_BYTES], char out[NAME_BYTES]) {
    size_t len = strcspn(need, ".");
    len = len < NAME_BYTES ? len : NAME_BYTES - 1;
    memcpy(out, need, len);
    out[len] = '\0';
}

/* Begins a node; name gets its name, whose first letter tells its kind. */
static void node_begin(struct generator *g, const char *kind, const struct needs *needs,
                       const char *back, char name[NAME_BYTES]) {
    if (g->mended_from && g->next >= g->mended_from) {
        g->mended_from = 0;
        g->r.state ^= g->mended_seed;
    }
    snprintf(name, NAME_BYTES, "%c%u", kind[0], g->next++);
    g->room--;
    buf_printf(&g->out, "%s\n\"%s\":{\"type\":\"%s\"", g->first ? "" : ",", name, kind);
    g->first = false;
    if (needs->count || back) {
        buf_append_cstr(&g->out, ",\"needs\":[");
        for (uint32_t i = 0; i < needs->count; i++) {
            buf_printf(&g->out, "%s\"%s\"", i ? "," : "", needs->list[i]);
        }
        buf_printf(&g->out, "%s%s%s%s]", needs->count && back ? "," : "", back ? "\"" : "",
                   back ? back : "", back ? "\"" : "");
    }
}

static void node_end(struct generator *g) { buf_append_char(&g->out, '}'); }

/* Prints a number that reads the needs, or fails if the workflow is risky. */
static void number(struct generator *g, const struct needs *needs, bool may_read) {
    buf_printf(&g->out, "%u", rng_below(&g->r, 90));
    for (uint32_t i = 0; may_read && i < needs->count; i++) {
        char source[NAME_BYTES];
        need_source(needs->list[i], source);
        if (source[0] != 'w' && source[0] != 'c') {
            continue;
        }
        bool fails = g->risky && chance(g, 60) && !g->certain;
        buf_printf(&g->out, fails ? " + %s.n" : " + %s.?n.orValue(7)", source);
    }
    if (chance(g, 300)) {
        buf_append_cstr(&g->out, " + iteration");
    }
    if (g->given && chance(g, 200)) {
        buf_append_cstr(&g->out, " + inputs.x");
    }
}

static void retry(struct generator *g) {
    static const char *const backoffs[] = {"0s", "100ms", "2s", "1m"};
    buf_printf(&g->out, ",\"retry\":{\"attempts\":%u,\"backoff\":\"%s\"", 2 + rng_below(&g->r, 3),
               backoffs[rng_below(&g->r, 4)]);
    if (chance(g, 300)) {
        buf_append_cstr(&g->out, ",\"factor\":3,\"max\":\"10s\"");
    }
    if (chance(g, 300)) {
        buf_append_cstr(&g->out, ",\"jitter\":0");
    }
    buf_append_char(&g->out, '}');
}

/* Back to before a node that it needs, when it fails. With random numbers of its own: all else of a
 * seed's workflow stays as it was. */
static void recover(struct generator *g, const struct needs *needs, bool error_edge) {
    struct rng own = {g->r.state ^ 0xbac4};
    char source[NAME_BYTES];
    if (!error_edge && needs->count && rng_chance(&own, 400)) {
        need_source(needs->list[rng_below(&own, needs->count)], source);
        buf_printf(&g->out, ",\"recover\":[{\"rollback\":\"%s\",\"times\":%u},\"fail\"]", source,
                   1 + rng_below(&own, 2));
    }
}

/* Fields that any node may have. error_edge: its failure is handled by an edge. */
static void decorate(struct generator *g, const struct needs *needs, bool may_read, bool effect,
                     bool decides, bool error_edge) {
    if (chance(g, 120)) {
        buf_printf(&g->out, ",\"priority\":%d", (int)rng_below(&g->r, 5) - 2);
    }
    if (chance(g, 120)) {
        buf_append_cstr(&g->out, ",\"if\":\"(");
        number(g, needs, may_read);
        buf_append_cstr(&g->out, ") % 4 != 1\"");
    }
    if (effect && chance(g, 400)) {
        retry(g);
    }
    if (effect && g->once && chance(g, 300)) {
        buf_append_cstr(&g->out, ",\"delivery\":\"at_most_once\"");
    }
    if (effect && g->timeouts && chance(g, 300)) {
        buf_append_cstr(&g->out, chance(g, 500) ? ",\"timeout\":\"3s\"" : ",\"timeout\":\"5m\"");
    }
    if (error_edge || !chance(g, 250)) {
        recover(g, needs, error_edge);
        return;
    }
    if (chance(g, 500)) {
        buf_append_cstr(&g->out, ",\"on_error\":\"continue\"");
    } else {
        buf_append_cstr(&g->out, decides ? ",\"on_error\":{\"value\":\"false\"}"
                                         : ",\"on_error\":{\"value\":\"{'n': 5}\"}");
    }
}

/* The result may be that of another execution: what a step comes to depends on its id alone. */
static void cache(struct generator *g, const char *name, bool each) {
    if (chance(g, 100)) {
        buf_printf(&g->out, ",\"cache\":{\"ttl\":\"%s\",\"key\":\"'%s#' + string(iteration)%s\"}",
                   chance(g, 500) ? "2s" : "1h", name, each ? " + '#' + string(index)" : "");
    }
}

/* What the node changes when it completes: sums and lengths, which no order of events changes. */
static void set(struct generator *g, const char *name) {
    if (chance(g, 300)) {
        buf_printf(&g->out,
                   ",\"set\":{\"sum\":\"vars.sum + %s.n\",\"log\":\"vars.log + 'x'\","
                   "\"list\":\"vars.list + [%u]\"}",
                   name, rng_below(&g->r, 2) + 1);
    }
}

static void remember(struct generator *g, const char *name) {
    buf_printf(&g->names, "%s\"%s\":\"%s\"", g->names.len ? "," : "", name, name);
}

/* join: any reads nothing. */
static bool join(struct generator *g, const struct needs *needs) {
    bool any = needs->count > 1 && chance(g, 300);
    if (any) {
        buf_append_cstr(&g->out, ",\"join\":\"any\"");
    }
    return !any;
}

/* ---- nodes that others name ---- */

struct aux {
    char kind; /* w work, c calc, p person */
    uint32_t number;
    bool chooses; /* its body is an exit */
};

static struct aux aux_new(struct generator *g, bool chooses) {
    struct aux x = {.number = g->next++, .chooses = chooses};
    x.kind = chooses || chance(g, 300) ? 'c' : chance(g, g->wait_permille) ? 'p' : 'w';
    return x;
}

static struct aux role(struct generator *g, const char *key, bool chooses) {
    struct aux x = aux_new(g, chooses);
    buf_printf(&g->out, ",\"%s\":\"%c%u\"", key, x.kind, x.number);
    return x;
}

/* The node that was named: it sees what its subject sees. */
static void aux_write(struct generator *g, const struct aux *x, const struct needs *needs,
                      const char *reads, int depth) {
    static const struct needs none = {0};
    char name[NAME_BYTES];
    uint32_t after = g->next;
    g->next = x->number;
    node_begin(g, x->kind == 'w' ? "work" : x->kind == 'p' ? "person" : "calc", &none, NULL, name);
    g->next = after;
    if (x->chooses) {
        buf_append_cstr(&g->out, ",\"value\":\"step.body == null ? 'true' : 'false'\"");
    } else {
        buf_printf(&g->out, x->kind == 'c' ? ",\"value\":{\"n\":\"%s + " : ",\"note\":\"{{ %s + ",
                   reads);
        number(g, needs, true);
        buf_append_cstr(&g->out, x->kind == 'c' ? "\"}" : " }}\"");
    }
    if (x->kind == 'w' && chance(g, 400)) {
        retry(g);
    }
    if (chance(g, 100)) {
        buf_append_cstr(&g->out, ",\"if\":\"iteration % 2 == 1\"");
    }
    if (chance(g, 100)) {
        buf_append_cstr(&g->out, ",\"priority\":1");
    }
    bool again = depth < 3 && chance(g, 250);
    struct aux next = again ? role(g, "fallback", x->chooses) : (struct aux){0};
    node_end(g);
    if (again) {
        aux_write(g, &next, needs, STEP_ID_SIZE, depth + 1);
    }
}

static void undoer_write(struct generator *g, const struct aux *x, const struct needs *needs) {
    g->certain = true;
    aux_write(g, x, needs, STEP_ID_SIZE " + step.body.n", 0);
    g->certain = false;
}

/* Only at the top: what cannot be undone pauses it alone, and people go on with a whole tree. */
static bool undoable(struct generator *g) {
    return g->undo_permille && !g->depth && chance(g, g->undo_permille);
}

/* What it waits for; with random numbers of its own whether that is a signal. */
static const char *waiter(struct generator *g) {
    struct rng own = {g->r.state ^ 0x0ea7};
    return chance(g, 500) ? "nap" : g->hears && rng_chance(&own, 600) ? "hear" : "person";
}

/* A node that needs nothing but the newest that asks is approved by that, mostly: written there
 * afterwards. With random numbers of its own. */
static void approve(struct generator *g, const struct needs *needs, const char name[NAME_BYTES]) {
    struct rng own = {g->r.state ^ 0xa99c};
    bool alone = needs->count == 1 && g->asked[0] && !strcmp(needs->list[0], g->asked);
    struct str all = buf_str(&g->out);
    struct buf out;
    if (!alone || !rng_chance(&own, 700)) {
        return;
    }
    buf_init(&out, 0);
    buf_append(&out, str_sub(all, 0, g->asked_at));
    buf_printf(&out, ",\"approves\":\"%s\"", name);
    buf_append(&out, str_sub(all, g->asked_at, all.len));
    buf_fini(&g->out);
    g->out = out;
    g->asked[0] = '\0';
}

static struct needs plain(struct generator *g, const struct needs *needs, const char *back,
                          const char *more, bool error_edge) {
    struct needs out = {0};
    char name[NAME_BYTES];
    bool effect = chance(g, 650), waits = chance(g, g->wait_permille);
    const char *kind = waits ? waiter(g) : effect ? "work" : "calc";
    node_begin(g, kind, needs, back, name);
    if (effect && !waits && !back) {
        approve(g, needs, name);
    }
    bool may_read = join(g, needs);
    bool noted = waits || effect;
    buf_append_cstr(&g->out, noted ? ",\"note\":\"{{ " : ",\"value\":{\"n\":\"");
    number(g, needs, may_read);
    buf_append_cstr(&g->out, noted ? " }}\"" : "\"}");
    buf_append_cstr(&g->out, more);
    decorate(g, needs, may_read, effect && !waits, false, error_edge);
    if (effect && !waits) {
        cache(g, name, false);
    }
    set(g, name);
    bool rescued = chance(g, g->aux_permille);
    bool escalates = kind[0] == 'n' && chance(g, g->aux_permille);
    struct aux fallback = rescued ? role(g, "fallback", false) : (struct aux){0};
    struct aux chief = escalates ? role(g, "on_timeout", false) : (struct aux){0};
    bool undone = effect && !waits && undoable(g);
    struct aux undoer = undone ? role(g, "compensate", false) : (struct aux){0};
    if (kind[0] == 'p') {
        memcpy(g->asked, name, NAME_BYTES);
        g->asked_at = g->out.len;
    }
    node_end(g);
    struct needs seen = may_read ? *needs : (struct needs){0};
    if (rescued) {
        aux_write(g, &fallback, &seen, STEP_ID_SIZE, 0);
    }
    if (escalates) {
        aux_write(g, &chief, &seen, STEP_ID_SIZE, 0);
    }
    if (undone) {
        undoer_write(g, &undoer, &seen);
    }
    remember(g, name);
    needs_add(&out, name, "");
    return out;
}

/* True when all items end, whatever becomes of the others. */
static bool foreach_field(struct generator *g) {
    uint32_t items = rng_below(&g->r, 6);
    buf_append_cstr(&g->out, ",\"foreach\":{\"items\":");
    if (chance(g, 300)) {
        buf_printf(&g->out, "\"[1, 2, 3, 4, 5, 6].filter(x, x %% %u != 0)\"", 1 + items);
    } else {
        buf_append_char(&g->out, '[');
        for (uint32_t i = 0; i < items; i++) {
            buf_printf(&g->out, "%s%u", i ? "," : "", i * 10);
        }
        buf_append_char(&g->out, ']');
    }
    if (chance(g, 500)) {
        buf_printf(&g->out, ",\"concurrency\":%u", 1 + rng_below(&g->r, 3));
    }
    bool collects = chance(g, 500);
    buf_append_cstr(&g->out, collects ? ",\"on_item_error\":\"collect\"}" : "}");
    return collects;
}

static struct needs block(struct generator *g, const struct needs *needs, int depth);

static struct needs chain(struct generator *g, const struct needs *needs, int depth) {
    struct needs out = *needs;
    for (uint32_t n = 1 + rng_below(&g->r, 2); n > 0; n--) {
        out = block(g, &out, depth);
    }
    return out;
}

static struct needs each(struct generator *g, const struct needs *needs) {
    struct needs out = {0};
    char name[NAME_BYTES];
    bool effect = chance(g, 700);
    node_begin(g, effect ? "foreach_work" : "foreach_calc", needs, NULL, name);
    bool may_read = join(g, needs);
    bool collects = foreach_field(g);
    buf_append_cstr(&g->out, effect ? ",\"note\":\"{{ item + " : ",\"value\":{\"n\":\"index + ");
    number(g, needs, may_read);
    buf_append_cstr(&g->out, effect ? " }}\"" : "\"}");
    decorate(g, needs, may_read, effect, false, false);
    if (effect) {
        cache(g, name, true);
    }
    if (collects) {
        set(g, name);
    }
    bool rescued = chance(g, g->aux_permille), undone = effect && undoable(g);
    struct aux fallback = rescued ? role(g, "fallback", false) : (struct aux){0};
    struct aux undoer = undone ? role(g, "compensate", false) : (struct aux){0};
    node_end(g);
    struct needs seen = may_read ? *needs : (struct needs){0};
    if (rescued) {
        aux_write(g, &fallback, &seen, STEP_ID_SIZE, 0);
    }
    if (undone) {
        undoer_write(g, &undoer, &seen);
    }
    buf_printf(&g->names, "%s\"%s\":\"%s\"", g->names.len ? "," : "", name, name);
    needs_add(&out, name, "");
    return out;
}

/* A choice: by an expression (pure) or by a handler. */
static void decision(struct generator *g, const struct needs *needs, const char *when,
                     char name[NAME_BYTES]) {
    bool effect = !when && chance(g, 500);
    node_begin(g, effect ? "decide" : "select", needs, NULL, name);
    bool may_read = join(g, needs);
    if (!effect) {
        buf_append_cstr(&g->out, ",\"when\":\"");
        if (when) {
            buf_append_cstr(&g->out, when);
        } else {
            buf_append_char(&g->out, '(');
            number(g, needs, may_read);
            buf_append_cstr(&g->out, ") % 2 == 0");
        }
        buf_append_char(&g->out, '"');
    }
    decorate(g, needs, may_read, effect, true, false);
    bool rescued = chance(g, g->aux_permille);
    struct aux fallback = rescued ? role(g, "fallback", true) : (struct aux){0};
    node_end(g);
    struct needs seen = may_read ? *needs : (struct needs){0};
    if (rescued) {
        aux_write(g, &fallback, &seen, "", 0);
    }
}

static struct needs branch(struct generator *g, const struct needs *needs, int depth) {
    char name[NAME_BYTES];
    struct needs ends = {0};
    decision(g, needs, NULL, name);
    for (int i = 0; i < 2; i++) {
        struct needs arm = {0};
        needs_add(&arm, name, i ? "true" : "false");
        if (chance(g, 700)) {
            arm = chain(g, &arm, depth + 1);
        }
        needs_merge(&ends, &arm);
    }
    return plain(g, &ends, NULL, "", false);
}

static struct needs fan(struct generator *g, const struct needs *needs, int depth) {
    struct needs ends = {0};
    struct needs from = plain(g, needs, NULL, "", false);
    for (uint32_t n = 2 + rng_below(&g->r, 2); n > 0; n--) {
        struct needs arm = chain(g, &from, depth + 1);
        needs_merge(&ends, &arm);
    }
    return plain(g, &ends, NULL, "", false);
}

/* A node whose failure is handled. */
static struct needs handled(struct generator *g, const struct needs *needs) {
    char name[NAME_BYTES];
    struct needs first = plain(g, needs, NULL, "", true), from = {0};
    need_source(first.list[0], name);
    needs_add(&from, name, "error");
    struct needs handler = plain(g, &from, NULL, "", false);
    needs_merge(&first, &handler);
    return plain(g, &first, NULL, "", false);
}

/* header, things between, a decision that leads back. Its name is known beforehand only by number,
 * so the header needs the decision by the number it will get: the body is grown into a buffer. */
static struct needs loop(struct generator *g, const struct needs *needs, int depth) {
    static const char *const whens[] = {"iteration % 2 < 1", "iteration % 3 < 2",
                                        "iteration % 4 < 3"};
    char name[NAME_BYTES], back[NEED_BYTES], more[80];
    uint32_t number_of_decision = g->next++;
    bool by_handler = chance(g, 400);
    snprintf(back, sizeof back, "%c%u.true", by_handler ? 'd' : 's', number_of_decision);
    bool exits = by_handler && chance(g, 700);
    more[0] = '\0';
    if (by_handler) {
        snprintf(more, sizeof more, ",\"max_iterations\":%u%s", 2 + rng_below(&g->r, 3),
                 exits ? ",\"on_limit\":\"exit\"" : "");
    }
    struct needs header = plain(g, needs, back, more, true), inside = header, out = {0};
    if (chance(g, 700)) {
        inside = chain(g, &header, depth + 1);
    }
    uint32_t after = g->next;
    g->next = number_of_decision;
    node_begin(g, by_handler ? "decide" : "select", &inside, NULL, name);
    g->next = after;
    if (!by_handler) {
        buf_printf(&g->out, ",\"when\":\"%s\"", whens[rng_below(&g->r, 3)]);
    }
    node_end(g);
    needs_add(&out, name, "false");
    need_source(header.list[0], name);
    if (exits) {
        needs_add(&out, name, "limit");
    }
    needs_add(&out, name, "error"); /* also an exit when it fails */
    return plain(g, &out, NULL, "", false);
}

static void workflow_body(struct generator *g, int room);

static struct needs call(struct generator *g, const struct needs *needs) {
    struct needs out = {0};
    char name[NAME_BYTES];
    int room = g->room;
    node_begin(g, "kid", needs, NULL, name);
    bool may_read = join(g, needs);
    if (chance(g, 250)) {
        foreach_field(g);
    }
    buf_append_cstr(&g->out, ",\"inputs\":{\"x\":\"");
    number(g, needs, may_read);
    buf_append_cstr(&g->out, "\"}");
    decorate(g, needs, may_read, false, false, false);
    buf_append_cstr(&g->out, ",\"workflow\":{\"inputs\":{\"x\":{\"type\":\"integer\"}},");
    struct buf names = g->names;
    bool first = g->first;
    buf_init(&g->names, 0);
    g->depth++;
    workflow_body(g, 1 + (int)rng_below(&g->r, 4));
    g->depth--;
    buf_fini(&g->names);
    g->names = names;
    g->first = first;
    g->room = room - 2;
    buf_append_char(&g->out, '}');
    bool rescued = chance(g, g->aux_permille);
    struct aux fallback = rescued ? role(g, "fallback", false) : (struct aux){0};
    node_end(g);
    if (rescued) {
        aux_write(g, &fallback, &(struct needs){0}, STEP_ID_SIZE, 0);
    }
    needs_add(&out, name, "");
    return out;
}

static struct needs block(struct generator *g, const struct needs *needs, int depth) {
    if (g->room <= 1 || depth > 3) {
        return plain(g, needs, NULL, "", false);
    }
    uint32_t kind = rng_below(&g->r, 20);
    if (kind < 6) {
        return plain(g, needs, NULL, "", false);
    }
    if (kind < 9) {
        return each(g, needs);
    }
    if (kind < 11) {
        return branch(g, needs, depth);
    }
    if (kind < 13) {
        return fan(g, needs, depth);
    }
    if (kind < 15) {
        return handled(g, needs);
    }
    if (kind < 18) {
        return loop(g, needs, depth);
    }
    return g->depth < 2 ? call(g, needs) : plain(g, needs, NULL, "", false);
}

/* Some seeds have budgets, all of whose questions are answered by more, or which nobody is asked
 * about. */
static void budget(struct generator *g) {
    static const char *const keys[] = {"llm_calls", "steps", "tokens"};
    struct rng r = {g->budgets++ * 0x9e3779b97f4a7c15u + 3};
    uint32_t key = rng_below(&r, 5);
    if (rng_chance(&r, 300)) {
        return;
    }
    buf_printf(&g->out, "\"budget\":{\"%s\":%u", keys[key % 3], rng_below(&r, key == 2 ? 90 : 6));
    if (key > 2) {
        buf_printf(&g->out, ",\"tokens\":%u", rng_below(&r, 90));
    }
    buf_append_cstr(&g->out, g->strict ? ",\"on_exceed\":\"fail\"}," : "},");
}

/* An approval of what reads a variable that another node changes, perhaps while the ask waits. */
static void shifting(struct generator *g) {
    struct needs needs = {0};
    char name[NAME_BYTES];
    node_begin(g, "work", &needs, NULL, name);
    buf_append_cstr(&g->out, ",\"set\":{\"log\":\"vars.log + 'x'\"}");
    node_end(g);
    node_begin(g, "person", &needs, NULL, name);
    buf_printf(&g->out, ",\"note\":\"{{ 1 }}\",\"approves\":\"w%u\"", g->next);
    node_end(g);
    needs_add(&needs, name, "");
    node_begin(g, "work", &needs, NULL, name);
    buf_append_cstr(&g->out, ",\"note\":\"{{ size(vars.log) }}\"");
    node_end(g);
}

/* Everything of a workflow from "nodes" on. */
static void workflow_body(struct generator *g, int room) {
    struct needs ends = {0};
    g->room = room;
    g->first = true;
    if (g->budgets) {
        budget(g);
    }
    if (chance(g, 200)) {
        buf_printf(&g->out, "\"concurrency\":%u,", 1 + rng_below(&g->r, 3));
    }
    struct aux last[2];
    uint32_t finals = chance(g, 2 * g->aux_permille) ? 1 + rng_below(&g->r, 2) : 0;
    for (uint32_t i = 0; i < finals; i++) {
        last[i] = aux_new(g, false);
        buf_printf(&g->out, "%s\"%c%u\"%s", i ? "," : "\"finally\":[", last[i].kind, last[i].number,
                   i + 1 == finals ? "]," : "");
    }
    buf_append_cstr(&g->out, "\"vars\":{\"sum\":0,\"log\":\"\",\"list\":[]},\"nodes\":{");
    if (g->shifts && !g->depth) {
        shifting(g);
    }
    do {
        struct needs from = {0};
        if (ends.count && chance(g, 800)) {
            from = ends;
            from.count = 1;
        }
        ends = chain(g, &from, 0);
    } while (g->room > 0);
    for (uint32_t i = 0; i < finals; i++) {
        aux_write(g, &last[i], &(struct needs){0}, "size(execution.workflow)", 0);
    }
    if (chance(g, 400)) {
        char name[NAME_BYTES];
        node_begin(g, "end", &ends, NULL, name);
        buf_append_cstr(&g->out, ",\"value\":\"");
        number(g, &ends, true);
        buf_append_cstr(&g->out, "\"");
        node_end(g);
        buf_append_char(&g->out, '}');
    } else {
        buf_printf(&g->out, "},\"outputs\":{%.*s%s\"sum\":\"vars.sum\"}",
                   STR_ARG(buf_str(&g->names)), g->names.len ? "," : "");
    }
}

static void generate(uint64_t seed, uint32_t mended_from, uint64_t mended_seed, struct arena *a,
                     struct recipe *out) {
    static const char *const on_failure[] = {"drain", "cancel", "continue", "continue"};
    static const uint32_t rates[] = {0, 0, 30, 120};
    struct generator g = {.r = {seed * 0x2545f4914f6cdd1du + 17},
                          .mended_from = mended_from,
                          .mended_seed = mended_seed};
    buf_init(&g.out, 0);
    buf_init(&g.names, 0);
    uint32_t failure = rng_below(&g.r, 4);
    *out = (struct recipe){.seed = seed,
                           .broken_permille = rates[rng_below(&g.r, 4)],
                           .flaky_permille = rng_below(&g.r, 2) * 200,
                           .keeps_going = failure >= 2};
    g.budgets = seed % 7 == 5 ? seed * 1000 : 0;
    g.strict = seed % 28 == 5;
    g.hears = seed % 12 == 3 || seed % 12 == 11;
    g.given = out->given = seed % 10 == 7 || seed % 13 == 2;
    g.risky = chance(&g, 250);
    g.timeouts = chance(&g, 400);
    g.once = chance(&g, 60);
    g.wait_permille = chance(&g, 100) ? 600 : 120;
    g.aux_permille = chance(&g, 500) ? 120 : 0;
    g.undo_permille = chance(&g, 200) ? 500 : 0;
    bool limited = chance(&g, 40);
    g.shifts = seed % 16 == 7;
    out->differs = g.once || g.strict || limited || g.shifts;
    out->slots = chance(&g, 400) ? 1 + rng_below(&g.r, 3) : 0;
    buf_printf(&g.out, "{\"cairn\":1,\"on_failure\":\"%s\",%s", on_failure[failure],
               limited ? "\"timeout\":\"20s\"," : "");
    if (g.given) {
        buf_append_cstr(&g.out, "\"inputs\":{\"x\":{\"type\":\"integer\",\"default\":3}},");
    }
    bool undoes = g.undo_permille && chance(&g, 800);
    if (undoes) {
        buf_append_cstr(&g.out, "\"recover\":\"compensate\",");
    } else if (chance(&g, 250)) {
        buf_append_cstr(&g.out, "\"recover\":\"ask\",");
    }
    if (chance(&g, 300)) {
        buf_printf(&g.out, "\"breaker\":{\"failures\":%u,\"open\":\"1s\",\"max\":\"8s\"},",
                   1 + rng_below(&g.r, 3));
    }
    workflow_body(&g, 2 + (int)rng_below(&g.r, 14));
    buf_append_cstr(&g.out, "}\n");
    out->document = arena_str(a, buf_str(&g.out));
    buf_fini(&g.out);
    buf_fini(&g.names);
}

void recipe_generate(uint64_t seed, struct arena *a, struct recipe *out) {
    generate(seed, 0, 0, a, out);
}

struct str recipe_mend(uint64_t seed, uint32_t from, uint64_t how, struct arena *a) {
    struct recipe r;
    generate(seed, from, how, a, &r);
    return r.document;
}
