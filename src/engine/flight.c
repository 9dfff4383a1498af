/* A flight: what one step was given, evaluated once, unchanged for all its attempts and kept until
 * the effect lets go of it. Values borrow from the bodies they came from, which it keeps alive, so
 * a thousand items that read one list share it.
 */
#include <stdlib.h>

#include "engine/engine_priv.h"

struct flight {
    uint32_t refs;
    struct arena arena;
    const struct plan *plan;
    struct step_in in;
    struct value *fields;
    struct value *ins;
    struct mem **kept;
    uint32_t kept_count, kept_cap;
    bool scope_matters;               /* which needs had a body is not known from the plan */
    struct value own_key;             /* what the key of its `cache` came to */
    char cache_key[SHA256_HEX_BYTES]; /* "": it has none */
};

/* There may be many thousands: the texts that each has fit, and a few values. */
enum { FIRST_BYTES = 480 };

struct str flight_cache_key(const struct flight *f) {
    return str_from(f->cache_key);
}

const struct step_in *flight_in(const struct flight *f) { return &f->in; }

struct flight *flight_ref(struct flight *f) {
    f->refs++;
    return f;
}

void flight_unref(struct flight *f) {
    if (!f || --f->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < f->kept_count; i++) {
        mem_unref(f->kept[i]);
    }
    arena_fini(&f->arena);
    free(f);
}

struct arena *flight_arena(struct flight *f) {
    return &f->arena;
}

enum err flight_made(const struct flight *f, enum err err) {
    return f->arena.starved ? ERR_NOMEM : err;
}

void flight_next_attempt(struct flight *f, uint32_t attempt, uint32_t failures) {
    f->in.attempt = attempt;
    f->in.failures = failures;
}

void flight_keep(struct flight *f, struct mem *m) {
    for (uint32_t i = 0; i < f->kept_count; i++) {
        if (f->kept[i] == m) {
            return;
        }
    }
    if (f->kept_count == f->kept_cap) {
        uint32_t cap = f->kept_cap ? f->kept_cap * 2 : 8;
        struct mem **kept = ARENA_ARRAY(&f->arena, cap, struct mem *);
        ASSERT(kept || f->arena.cap_bytes); /* a flight's arena has room for a few pointers */
        if (!kept) {
            m->refs++; /* never freed, rather than freed while it is in use */
            return;
        }
        if (f->kept_count) {
            memcpy(kept, f->kept, f->kept_count * sizeof *kept);
        }
        f->kept = kept;
        f->kept_cap = cap;
    }
    m->refs++;
    f->kept[f->kept_count++] = m;
}

/* The key is <execution>/<step>, of which the others are parts. It outlives the state. */
static bool name_flight(struct flight *f, struct str execution, struct str step) {
    char *key = arena_alloc(&f->arena, execution.len + step.len + 2);
    if (!key) {
        return false;
    }
    if (execution.len) {
        memcpy(key, execution.ptr, execution.len);
    }
    key[execution.len] = '/';
    memcpy(key + execution.len + 1, step.ptr, step.len);
    f->in.execution = (struct str){key, execution.len};
    f->in.step = (struct str){key + execution.len + 1, step.len};
    f->in.key = (struct str){key, execution.len + step.len + 1};
    return true;
}

enum err flight_new(struct engine *g, struct step_id step, uint32_t attempt, struct flight **out,
                    struct error *e) {
    struct flight *f = calloc(1, sizeof *f);
    if (!f) {
        return error_nomem(e);
    }
    const struct plan_node *p = &g->plan->nodes[step.node];
    char text[STEP_ID_BYTES];
    f->refs = 1;
    arena_init_small(&f->arena, FIRST_BYTES);
    f->plan = g->plan;
    f->fields = ARENA_ARRAY(&f->arena, p->kind->field_count + 1, struct value);
    f->ins = ARENA_ARRAY(&f->arena, p->in_count + 1, struct value);
    f->in = (struct step_in){.attempt = attempt,
                             .node = p,
                             .fields = f->fields,
                             .inputs = g->inputs.v,
                             .index = step.index,
                             .iteration = step.iteration,
                             .previous = g->nodes[step.node].previous.v,
                             .timeout_us = p->timeout_us,
                             .max_output_bytes = ENGINE_MAX_OUTPUT_BYTES,
                             .arena = &f->arena};
    f->scope_matters = p->join == JOIN_ANY && (p->kind->flags & KIND_SCOPE);
    bool named = name_flight(f, g->id, step_id_print(g->plan, step, text));
    if (!f->fields || !f->ins || !named) {
        flight_unref(f);
        return error_nomem(e);
    }
    if (g->inputs.mem) {
        flight_keep(f, g->inputs.mem);
    }
    if (g->nodes[step.node].previous.mem) {
        flight_keep(f, g->nodes[step.node].previous.mem);
    }
    *out = f;
    return OK;
}

/* The value as its type, told with the name and the node when it cannot be. */
static enum err read_as(const struct plan_in *in, struct names *n, struct value *out,
                        struct error *e) {
    struct error why;
    enum err err = coercion_apply(in->type, *out, n->env.arena, out, &why);
    if (!err) {
        return OK;
    }
    return error_set(e, err, "in.%.*s of \"%.*s\": %s", STR_ARG(in->name),
                     STR_ARG(n->g->plan->nodes[n->node].name), why.message);
}

/* from, default, type, transforms. */
static enum err resolve_in(const struct plan_in *in, struct names *n, struct value *out,
                           struct error *e) {
    enum err err = pval_eval(&in->from, &n->env, out, e);
    if (!err && value_is_null(*out) && in->has_default) {
        err = pval_eval(&in->default_value, &n->env, out, e);
    }
    err = err ? err : read_as(in, n, out, e);
    for (uint32_t i = 0; i < in->transform_count && !err; i++) {
        n->it = *out;
        err = expr_eval(in->transforms[i], &n->env, out, e);
    }
    return err;
}

/* A value that was recorded for this step, or NULL. */
static const struct value *recorded_value(const struct event *ev, const char *group,
                                          struct str name) {
    const struct value *map = ev ? value_get(ev->inputs, str_from(group)) : NULL;
    return map ? value_get(*map, name) : NULL;
}

/* In the first iteration a field may stand for another; the one not meant is not evaluated. */
static bool is_passed_over(const struct plan_node *p, const struct field *f, uint32_t iteration) {
    bool first = iteration == 0;
    for (size_t i = 0; first && !f->first_for && i < p->kind->field_count; i++) {
        const char *replaced = p->kind->fields[i].first_for;
        if (replaced && !strcmp(replaced, f->name) && p->fields[i].type != PVAL_NONE) {
            return true;
        }
    }
    return f->first_for && !first;
}

static enum err resolve_values(struct flight *f, struct names *n, const struct event *recorded,
                               struct error *e) {
    const struct plan_node *p = f->in.node;
    for (uint32_t i = 0; i < p->in_count; i++) {
        const struct value *known = recorded_value(recorded, "in", p->ins[i].name);
        enum err err = known ? (value_copy(&f->arena, *known, &f->ins[i]) ? OK : error_nomem(e))
                             : resolve_in(&p->ins[i], n, &f->ins[i], e);
        if (err) {
            return err;
        }
    }
    for (size_t i = 0; i < p->kind->field_count; i++) {
        struct str name = str_from(p->kind->fields[i].name);
        if (is_passed_over(p, &p->kind->fields[i], f->in.iteration)) {
            continue;
        }
        const struct value *known = recorded_value(recorded, "fields", name);
        enum err err = known ? (value_copy(&f->arena, *known, &f->fields[i]) ? OK : error_nomem(e))
                             : pval_eval(&p->fields[i], &n->env, &f->fields[i], e);
        if (err) {
            return err;
        }
    }
    return OK;
}

static bool scope_has(const struct event *recorded, struct str name) {
    if (!recorded || recorded->scope.type != VALUE_LIST) {
        return true;
    }
    for (size_t i = 0; i < value_count(recorded->scope); i++) {
        if (str_eq(value_str(recorded->scope.items[i]), name)) {
            return true;
        }
    }
    return false;
}

static void scope_need(struct flight *f, struct engine *g, const struct plan_edge *edge,
                       const struct event *recorded, struct value_builder *b) {
    const struct node_state *n = &g->nodes[edge->source];
    const struct held *h = edge->handle == HANDLE_ERROR ? &node_more(n)->error : &n->body;
    struct str name = g->plan->nodes[edge->source].name;
    bool seen = scope_has(recorded, name);
    if (h->mem && seen) {
        flight_keep(f, h->mem);
    }
    value_map_add(b, name, seen ? h->v : value_null());
}

/* What a kind with KIND_SCOPE sees by name: its needs, its `in`, the item, the inputs. */
static enum err resolve_scope(struct flight *f, struct engine *g, const struct event *recorded,
                              struct error *e) {
    const struct plan_node *p = f->in.node;
    struct value_builder b;
    value_builder_init(&b, &f->arena);
    const struct plan_node *root = &g->plan->nodes[plan_node_root(g->plan, p->index)];
    for (uint32_t i = 0; i < root->in_count_edges; i++) {
        scope_need(f, g, &g->plan->edges[root->in_edges[i]], recorded, &b);
    }
    for (uint32_t i = 0; i < root->back_count; i++) {
        scope_need(f, g, &g->plan->edges[root->back_edges[i]], recorded, &b);
    }
    if (p->owner >= 0) {
        value_map_add(&b, STR("step"), names_step(g, p->index, &f->arena));
    }
    for (uint32_t i = 0; i < p->in_count; i++) {
        value_map_add(&b, p->ins[i].name, f->ins[i]);
    }
    value_map_add(&b, STR("inputs"), f->in.inputs);
    value_map_add(&b, STR("iteration"), value_int(f->in.iteration));
    if (f->in.index >= 0) {
        value_map_add(&b, STR("item"), f->in.item);
        value_map_add(&b, STR("index"), value_int(f->in.index));
        if (p->foreach.as.len && !str_is(p->foreach.as, "item")) {
            value_map_add(&b, p->foreach.as, f->in.item);
        }
    }
    f->in.scope = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

static enum err resolve_ins_map(struct flight *f, struct error *e) {
    struct value_builder b;
    value_builder_init(&b, &f->arena);
    for (uint32_t i = 0; i < f->in.node->in_count; i++) {
        value_map_add(&b, f->in.node->ins[i].name, f->ins[i]);
    }
    f->in.ins = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

/* A key of the node's own was recorded, like all that was evaluated. */
static enum err resolve_cache_key(struct flight *f, struct names *n, const struct event *recorded,
                                  struct error *e) {
    const struct plan_node *p = f->in.node;
    const struct value *known = recorded ? value_get(recorded->inputs, STR("cache")) : NULL;
    enum err err = OK;
    if (known) {
        err = value_copy(&f->arena, *known, &f->own_key) ? OK : error_nomem(e);
    } else if (p->cache.key.type != PVAL_NONE) {
        err = pval_eval(&p->cache.key, &n->env, &f->own_key, e);
    }
    /* A key that is null: this step is done as if it had no cache. */
    bool wanted = p->cache.key.type == PVAL_NONE || !value_is_null(f->own_key);
    if (err || !wanted || !cache_key_make(f->plan, &f->in, f->own_key, f->cache_key)) {
        f->cache_key[0] = '\0';
    }
    return err;
}

enum err flight_resolve(struct engine *g, struct flight *f, const struct event *recorded,
                        struct error *e) {
    const struct plan_node *p = f->in.node;
    struct names n;
    names_init(&n, g, p->index, &f->arena);
    n.index = f->in.index;
    n.ins = f->ins;
    n.keeper = f;
    struct foreach_state *each = g->nodes[p->index].each;
    if (each && f->in.index >= 0) {
        if (each->list.mem) {
            flight_keep(f, each->list.mem);
        }
        f->in.item = each->list.v.items[f->in.index];
        f->in.items = each->count;
    }
    enum err err = resolve_values(f, &n, recorded, e);
    err = err || p->in_count == 0 ? err : resolve_ins_map(f, e);
    err = err || !(p->kind->flags & KIND_SCOPE) ? err : resolve_scope(f, g, recorded, e);
    return err || !p->cache.present ? err : resolve_cache_key(f, &n, recorded, e);
}

enum err flight_given(const struct flight *f, struct held *out, struct error *e) {
    const struct plan_node *p = f->in.node;
    struct arena a;
    struct value_builder b;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    for (size_t i = 0; i < p->kind->field_count; i++) {
        if (!value_is_null(f->fields[i])) {
            value_map_add(&b, str_from(p->kind->fields[i].name), f->fields[i]);
        }
    }
    for (uint32_t i = 0; i < p->in_count; i++) {
        value_map_add(&b, p->ins[i].name, f->ins[i]);
    }
    if (f->in.index >= 0) {
        value_map_add(&b, STR("item"), f->in.item);
        value_map_add(&b, STR("index"), value_int(f->in.index));
    }
    struct value given = value_map_done(&b);
    enum err err = b.ok ? held_set(out, given, e) : error_nomem(e);
    arena_fini(&a);
    return err;
}

static bool is_constant(const struct pval *v) {
    return v->type == PVAL_NONE || v->type == PVAL_CONST;
}

/* Only what was evaluated is recorded: constants are in the workflow, bodies in their events. */
enum err flight_recorded(const struct flight *f, struct value *inputs, struct value *scope) {
    const struct plan_node *p = f->in.node;
    struct arena *a = f->in.arena;
    struct value_builder groups, fields, names;
    value_builder_init(&groups, a);
    value_builder_init(&fields, a);
    value_builder_init(&names, a);
    for (size_t i = 0; i < p->kind->field_count; i++) {
        if (!is_constant(&p->fields[i])) {
            value_map_add(&fields, str_from(p->kind->fields[i].name), f->fields[i]);
        }
    }
    for (uint32_t i = 0; f->scope_matters && i < p->in_count_edges; i++) {
        struct str name = f->plan->nodes[f->plan->edges[p->in_edges[i]].source].name;
        const struct value *v = value_get(f->in.scope, name);
        if (v && !value_is_null(*v)) {
            value_list_add(&names, value_text(name));
        }
    }
    if (fields.count) {
        value_map_add(&groups, STR("fields"), value_map_done(&fields));
    }
    if (p->in_count) {
        value_map_add(&groups, STR("in"), f->in.ins);
    }
    if (!is_constant(&p->cache.key) && !value_is_null(f->own_key)) {
        value_map_add(&groups, STR("cache"), f->own_key);
    }
    *inputs = groups.count ? value_map_done(&groups) : value_null();
    *scope = f->scope_matters ? value_list_done(&names) : value_null();
    return groups.ok && fields.ok && names.ok ? OK : ERR_NOMEM;
}
