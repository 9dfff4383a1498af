/* A retry on another workflow or with other inputs, as far as definitions decide about it. A step
 * that completed is kept whatever became of its definition, only told. Decided anew is what was
 * skipped by a definition that is another now, or by an input; and a foreach that is to go on runs
 * anew as a whole when its items may be others.
 */
#include "host/host_priv.h"

static bool is_in(struct value names, struct str name) {
    for (size_t i = 0; names.type == VALUE_LIST && i < value_count(names); i++) {
        if (str_eq(value_str(names.items[i]), name)) {
            return true;
        }
    }
    return false;
}

/* Inputs that have another value, in a. */
static enum err changed_inputs(const struct engine *g, struct value inputs, struct arena *a,
                               struct value *out, struct error *e) {
    struct value_builder b;
    struct value before = engine_inputs(g);
    value_builder_init(&b, a);
    for (size_t i = 0; inputs.type == VALUE_MAP && i < value_count(inputs); i++) {
        const struct value *v = value_get(before, value_str(inputs.pairs[i].key));
        if (!v || !value_identical(*v, inputs.pairs[i].val)) {
            value_list_add(&b, inputs.pairs[i].key);
        }
    }
    *out = value_list_done(&b);
    return b.ok ? OK : error_nomem(e);
}

/* The inputs among these that the node reads, joined by ", ". */
static struct str reads_of(const struct flow_differ *d, uint32_t node, struct value inputs,
                           bool items, struct arena *a) {
    struct str all = STR("");
    for (size_t i = 0; i < value_count(inputs) && all.ptr; i++) {
        struct str name = value_str(inputs.items[i]);
        if (flow_node_reads(d, node, name, items)) {
            all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), all.len ? ", " : "", STR_ARG(name));
        }
    }
    return all;
}

static bool has_key(struct str keys, const char *key) {
    while (keys.len) {
        if (str_is(str_trim(str_split(keys, ',', &keys)), key)) {
            return true;
        }
    }
    return false;
}

struct looking {
    const struct engine *g;
    const struct plan *to;
    struct arena *arena;
    struct value changed;
    struct flow_differ *differ;
    struct mend_node *nodes; /* by node of to */
    struct value anew, whole;
    struct shelf *shelf;
};

static enum err look_at_node(const struct looking *l, uint32_t node, struct mend_node *x,
                             struct error *e) {
    struct str name = l->to->nodes[node].name;
    *x = (struct mend_node){.name = name,
                            .differs = flow_node_differs(l->differ, name),
                            .reads = reads_of(l->differ, node, l->changed, false, l->arena)};
    return x->differs.ptr && x->reads.ptr ? OK : error_nomem(e);
}

static enum err look_at_nodes(struct looking *l, struct error *e) {
    struct value_builder anew, whole;
    const struct plan *from = engine_plan(l->g);
    size_t most = (size_t)l->to->node_count + from->node_count + 1;
    l->nodes = ARENA_ARRAY(l->arena, most, struct mend_node);
    value_builder_init(&anew, l->arena);
    value_builder_init(&whole, l->arena);
    for (uint32_t i = 0; l->nodes && i < l->to->node_count; i++) {
        struct mend_node *x = &l->nodes[i];
        enum err err = look_at_node(l, i, x, e);
        if (err) {
            return err;
        }
        int64_t old = plan_node_find(from, x->name);
        bool skipped = old >= 0 && engine_node_status(l->g, (uint32_t)old) == STEP_SKIPPED;
        if (skipped && (x->differs.len || x->reads.len)) {
            value_list_add(&anew, value_text(x->name));
        }
        if (has_key(x->differs, "foreach") ||
            reads_of(l->differ, i, l->changed, true, l->arena).len) {
            value_list_add(&whole, value_text(x->name));
        }
    }
    l->anew = value_list_done(&anew);
    l->whole = value_list_done(&whole);
    return l->nodes && anew.ok && whole.ok ? OK : error_nomem(e);
}

static enum err look(struct looking *l, const struct engine *g, const struct host_retry *q,
                     struct arena *a, struct error *e) {
    *l = (struct looking){.g = g, .to = q->plan ? q->plan : engine_plan(g), .arena = a};
    enum err err = changed_inputs(g, q->inputs, a, &l->changed, e);
    err = err ? err : flow_differ_open(engine_plan(g), l->to, a, &l->differ, e);
    if (!err) {
        err = look_at_nodes(l, e);
        flow_differ_close(l->differ);
    }
    return err;
}

enum err mend_anew(const struct engine *g, const struct host_retry *q, struct arena *a,
                   struct engine_input *in, struct error *e) {
    struct looking l;
    if (!q->plan && value_is_null(q->inputs)) {
        return OK;
    }
    enum err err = look(&l, g, q, a, e);
    if (!err) {
        in->anew = l.anew;
        in->whole = l.whole;
    }
    return err;
}

/* ---- what would be decided ---- */

struct decided {
    const struct engine_out *out;
    struct store *store;
};

/* Large values of what was decided and is thrown away again are in no store. */
static enum err fetch(void *ctx, struct str hash, struct arena *a, struct str *out,
                      struct error *e) {
    const struct decided *d = ctx;
    for (uint32_t i = 0; i < d->out->blobs.count; i++) {
        const struct event_blob *b = &d->out->blobs.items[i];
        if (str_is(hash, b->hash)) {
            *out = arena_str(a, (struct str){d->out->blobs.bytes.ptr + b->offset, b->len});
            return out->ptr ? OK : error_nomem(e);
        }
    }
    return store_blob_get(d->store, hash, a, out, e);
}

static enum err read_retried(const struct engine_out *out, struct store *s, struct arena *a,
                             struct event *ev, struct error *e) {
    struct decided d = {out, s};
    struct event_fetch from = {&d, fetch};
    for (uint32_t i = 0; i < out->record_count; i++) {
        const struct engine_record *r = &out->records[i];
        if (r->kind == EVENT_EXECUTION_RETRIED) {
            /* The event borrows from it, and out does not live as long. */
            struct str body =
                arena_str(a, (struct str){out->bytes.ptr + r->body_offset, r->body_len});
            *ev = (struct event){.kind = r->kind};
            return body.ptr ? event_decode(body, &from, a, ev, e) : error_nomem(e);
        }
    }
    return error_set(e, ERR_CONFLICT, "the execution cannot be retried");
}

/* Which nodes of the new workflow were ever begun; of pure ones only the end is known. */
static bool *begun_of(const struct engine *g, const struct plan *to, struct arena *a) {
    bool *begun = ARENA_ARRAY(a, (size_t)to->node_count + 1, bool);
    for (uint32_t i = 0; begun && i < engine_track_count(g); i++) {
        const struct track *t = engine_track(g, i);
        int64_t node = plan_node_find(to, t->plan->nodes[t->step.node].name);
        if (node >= 0) {
            begun[node] |= t->begun_tick || t->status == STEP_COMPLETED || t->status == STEP_FAILED;
        }
    }
    return begun;
}

/* Nothing of it is kept, and whether it runs is up to the node that it belongs to. */
static bool is_uncalled(const struct looking *l, const bool *begun, uint32_t node) {
    return l->to->nodes[node].role && l->to->nodes[node].role != ROLE_FINALLY && !begun[node];
}

static void add_gone(const struct looking *l, const struct plan *from, struct mend *out) {
    for (uint32_t i = 0; i < from->node_count; i++) {
        if (plan_node_find(l->to, from->nodes[i].name) < 0) {
            l->nodes[out->count++] = (struct mend_node){.name = from->nodes[i].name,
                                                        .fate = MEND_GONE,
                                                        .differs = STR(""),
                                                        .reads = STR("")};
        }
    }
}

static enum err decide(struct host_view *v, const struct host_retry *q, struct looking *l,
                       struct event *retried, struct error *e) {
    struct engine_out out;
    struct engine_input in = {.type = INPUT_RETRY,
                              .now = engine_times(v->engine).last,
                              .target = q->from,
                              .by = q->by,
                              .plan = q->plan,
                              .inputs = q->inputs,
                              .env = q->env,
                              .folder = q->folder,
                              .anew = l->anew,
                              .whole = l->whole};
    engine_out_init(&out);
    enum err err = engine_decide(v->engine, &in, &out, e);
    err = err ? err : read_retried(&out, l->shelf->store, l->arena, retried, e);
    engine_out_fini(&out);
    return err;
}

enum err host_mend_look(struct host_view *v, const struct host_retry *q, struct mend *out,
                        struct error *e) {
    struct looking l;
    struct event retried;
    const struct plan *from = v->plan;
    enum err err = engine_may_retry(v->engine, q->plan, q->from, e);
    err = err ? err : look(&l, v->engine, q, &v->arena, e);
    if (err) {
        return err;
    }
    l.shelf = &v->shelf;
    bool *begun = begun_of(v->engine, l.to, &v->arena);
    err = begun ? decide(v, q, &l, &retried, e) : error_nomem(e);
    if (err) {
        return err;
    }
    *out = (struct mend){.nodes = l.nodes, .count = l.to->node_count};
    for (uint32_t i = 0; i < l.to->node_count; i++) {
        struct mend_node *x = &l.nodes[i];
        x->fate = is_in(retried.keeping, x->name)  ? MEND_ITEMS
                  : is_uncalled(&l, begun, i)      ? MEND_UNCALLED
                  : !is_in(retried.nodes, x->name) ? MEND_KEPT
                  : begun[i]                       ? MEND_ANEW
                                                   : MEND_OPEN;
    }
    add_gone(&l, from, out);
    return OK;
}
