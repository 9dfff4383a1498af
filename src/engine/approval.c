/* Approvals: an ask that approves a node shows, when it begins to wait, what that node is given,
 * and binds it to that: each attempt of the node is compared with what was shown before it is
 * scheduled, and fails instead when it was not approved, or has other arguments.
 *
 * What was shown is in the event, with hashes; folding evaluates nothing. A field with a secret is
 * sealed text here, so neither holds more of a secret than its name.
 */
#include <stdio.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

enum { PART_HEX = 16 }; /* of the hash of one argument: it only says which one differs */

/* ---- what a step is given, as hashes ---- */

struct bound {
    struct arena *a;
    struct value_builder parts;
    struct sha256 all;
    bool ok;
};

static void add_part(struct bound *b, const char *group, struct str name, struct value v) {
    struct buf bytes;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES], head[48];
    struct sha256 h;
    struct str key = arena_printf(b->a, "%s%.*s", group, STR_ARG(name));
    buf_init(&bytes, 0);
    value_encode(v, &bytes);
    sha256_init(&h);
    sha256_update(&h, buf_str(&bytes));
    sha256_final(&h, digest);
    b->ok = b->ok && key.ptr && buf_ok(&bytes);
    buf_fini(&bytes);
    hex_encode(digest, sizeof digest, hex);
    int len = snprintf(head, sizeof head, "\n%zu ", key.len);
    sha256_update(&b->all, (struct str){head, (size_t)len});
    sha256_update(&b->all, key);
    sha256_update(&b->all, (struct str){(const char *)digest, sizeof digest});
    struct str part = arena_str(b->a, (struct str){hex, PART_HEX});
    b->ok = b->ok && part.ptr;
    if (b->ok) {
        value_map_add(&b->parts, key, value_text(part));
    }
}

static void add_agent(struct bound *b, const struct plan_agent *agent, const struct step_in *in) {
    struct value_builder texts;
    value_builder_init(&texts, b->a);
    value_list_add(&texts, agent->settings);
    for (int i = 0; i < AGENT_TEXTS && b->ok; i++) {
        struct str text = {0};
        struct error ignored;
        b->ok = plan_agent_text(agent, (enum agent_text)i, in->inputs, b->a, &text, &ignored) == OK;
        value_list_add(&texts, value_text(text.ptr ? text : STR("")));
    }
    struct value v = value_list_done(&texts);
    b->ok = b->ok && texts.ok;
    if (b->ok) {
        add_part(b, "the settings of agent ", agent->name, v);
    }
}

static bool approves(const struct plan *p, uint32_t ask, uint32_t node) {
    return p->nodes[ask].approves == (int32_t)node;
}

/* The need of a program by this edge, unless it is an answer that approves it; NULL then. */
static const struct value *need_of(const struct plan *p, const struct step_in *in, uint32_t edge) {
    uint32_t source = p->edges[edge].source;
    return approves(p, source, in->node->index) ? NULL
                                                : value_get(in->scope, p->nodes[source].name);
}

/* What a program sees by name besides its `in`. */
static void add_scope(struct bound *b, const struct plan *p, const struct step_in *in) {
    for (uint32_t i = 0; i < in->node->in_count_edges; i++) {
        const struct value *v = need_of(p, in, in->node->in_edges[i]);
        if (v) {
            add_part(b, "needs.", p->nodes[p->edges[in->node->in_edges[i]].source].name, *v);
        }
    }
    add_part(b, "", STR("inputs"), in->inputs);
    add_part(b, "", STR("iteration"), value_int(in->iteration));
}

/* {node, hash, parts}: what the node is made of and all that it is given. */
static enum err bind(const struct plan *p, const struct step_in *in, struct arena *a,
                     struct value *out, struct error *e) {
    const struct plan_node *n = in->node;
    struct bound b = {.a = a, .ok = true};
    struct value_builder map;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    value_builder_init(&map, a);
    value_builder_init(&b.parts, a);
    sha256_init(&b.all);
    add_part(&b, "", STR("type"), value_text(str_from(n->kind->name)));
    for (size_t i = 0; i < n->kind->field_count; i++) {
        if (!value_is_null(in->fields[i])) {
            add_part(&b, "", str_from(n->kind->fields[i].name), in->fields[i]);
        }
    }
    for (size_t i = 0; i < value_count(in->ins); i++) {
        add_part(&b, "in.", value_str(in->ins.pairs[i].key), in->ins.pairs[i].val);
    }
    if (n->kind->flags & KIND_SCOPE) {
        add_scope(&b, p, in);
    }
    if (n->contents) {
        add_part(&b, "", STR("its files or output_schema"), value_text(str_from(n->contents)));
    }
    if (n->agent >= 0) {
        add_agent(&b, &p->agents[n->agent], in);
    }
    if (n->child) {
        add_part(&b, "", STR("the sub-workflow"), value_text(str_from(n->child->hash)));
    }
    sha256_final(&b.all, digest);
    hex_encode(digest, sizeof digest, hex);
    value_map_add(&map, STR("node"), value_text(n->name));
    value_map_add(&map, STR("hash"),
                  value_text(arena_str(a, (struct str){hex, SHA256_HEX_BYTES - 1})));
    value_map_add(&map, STR("parts"), value_map_done(&b.parts));
    *out = value_map_done(&map);
    return b.ok && map.ok && !a->starved ? OK : error_nomem(e);
}

/* ---- what is shown ---- */

static enum err name_secret(void *ctx, struct str name, struct str *out, struct error *e) {
    struct arena *a = ctx;
    *out = arena_printf(a, "[secret %.*s]", STR_ARG(name));
    return out->ptr ? OK : error_nomem(e);
}

/* A field as people write it: a secret by its name, a duration with units. */
static enum err show_field(const struct step_in *in, size_t i, struct arena *a, struct value *out,
                           struct error *e) {
    const struct secret_source source = {a, name_secret};
    char duration[40];
    if (in->node->kind->fields[i].type == FIELD_DURATION && in->fields[i].type == VALUE_INT) {
        size_t len = time_print_duration(in->fields[i].num, duration, sizeof duration);
        *out = value_text(arena_str(a, (struct str){duration, len}));
        return OK;
    }
    return pval_open(&in->node->fields[i], in->fields[i], &source, a, out, e);
}

static enum err show_fields(const struct step_in *in, struct arena *a, struct value *out,
                            struct error *e) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; i < in->node->kind->field_count; i++) {
        struct value v;
        if (value_is_null(in->fields[i])) {
            continue;
        }
        enum err err = show_field(in, i, a, &v, e);
        if (err) {
            return err;
        }
        value_map_add(&b, str_from(in->node->kind->fields[i].name), v);
    }
    *out = value_map_done(&b);
    return b.ok && !a->starved ? OK : error_nomem(e);
}

static struct value show_scope(const struct plan *p, const struct step_in *in, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint32_t i = 0; i < in->node->in_count_edges; i++) {
        const struct value *v = need_of(p, in, in->node->in_edges[i]);
        if (v) {
            value_map_add(&b, p->nodes[p->edges[in->node->in_edges[i]].source].name, *v);
        }
    }
    if (value_count(in->inputs)) {
        value_map_add(&b, STR("inputs"), in->inputs);
    }
    return value_map_done(&b); /* without memory the arena tells */
}

/* {node, arguments, in, sees}: in and sees as far as there is something. */
static enum err show(const struct plan *p, const struct step_in *in, struct arena *a,
                     struct value *out, struct error *e) {
    struct value_builder b;
    struct value fields;
    enum err err = show_fields(in, a, &fields, e);
    if (err) {
        return err;
    }
    value_builder_init(&b, a);
    value_map_add(&b, STR("node"), value_text(in->node->name));
    value_map_add(&b, STR("arguments"), fields);
    if (value_count(in->ins)) {
        value_map_add(&b, STR("in"), in->ins);
    }
    struct value sees = in->node->kind->flags & KIND_SCOPE ? show_scope(p, in, a) : value_null();
    if (value_count(sees)) {
        value_map_add(&b, STR("sees"), sees);
    }
    *out = value_map_done(&b);
    return b.ok && !a->starved ? OK : error_nomem(e);
}

/* The request with what is approved behind what it says already; all of it in a. */
static enum err extend(struct value *request, struct value approves, struct arena *a,
                       struct error *e) {
    struct value_builder b;
    struct value kept;
    if (value_copy(a, approves, &kept)) {
        value_builder_init(&b, a);
        for (size_t i = 0; i < value_count(*request); i++) {
            value_map_add(&b, value_str(request->pairs[i].key), request->pairs[i].val);
        }
        value_map_add(&b, STR("approves"), kept);
        *request = value_map_done(&b);
        return b.ok && !a->starved ? OK : error_nomem(e);
    }
    return error_nomem(e);
}

/* An ask to which another one escalates shows what that one approves. */
static enum err show_of_subject(struct engine *g, struct step_id ask, struct step_wait *wait,
                                struct error *why) {
    const struct plan_node *p = &g->plan->nodes[ask.node];
    const struct value *shown =
        p->role == ROLE_ON_TIMEOUT
            ? value_get(node_more(&g->nodes[p->owner])->approval.v, STR("shown"))
            : NULL;
    return shown ? extend(&wait->request, *shown, wait->arena, why) : OK;
}

static enum err show_and_bind(struct engine *g, uint32_t node, struct step_wait *wait,
                              struct value *out_bound, struct error *why) {
    const struct node_state *n = &g->nodes[node];
    struct step_id step = {node, n->iteration, -1, n->generation};
    struct flight *f;
    struct value shown, bound;
    struct error cause;
    enum err err = flight_new(g, step, 1, &f, why);
    if (err) {
        return err;
    }
    err = flight_resolve(g, f, NULL, &cause);
    err = err ? err : show(g->plan, flight_in(f), flight_arena(f), &shown, &cause);
    err = err ? err : bind(g->plan, flight_in(f), flight_arena(f), &bound, &cause);
    if (err == ERR_NOMEM) {
        error_nomem(why);
    } else if (err) {
        error_set(why, err, "what it approves has no arguments yet: %s", cause.message);
    } else {
        err = extend(&wait->request, shown, wait->arena, why);
        bool copied = value_copy(wait->arena, bound, out_bound);
        err = err || copied ? err : error_nomem(why);
    }
    flight_unref(f);
    return err;
}

/* Asked again, the same step shows the same: an answer to it may be one to what it showed first. */
static enum err show_again(const struct engine *g, uint32_t ask, struct step_wait *wait,
                           struct value *out_bound, struct error *why) {
    struct value held = node_more(&g->nodes[ask])->approval.v;
    const struct value *shown = value_get(held, STR("shown"));
    const struct value *bound = value_get(held, STR("bound"));
    enum err err = extend(&wait->request, *shown, wait->arena, why);
    bool copied = value_copy(wait->arena, *bound, out_bound);
    return err || copied ? err : error_nomem(why);
}

enum err approval_show(struct engine *g, struct step_id ask, struct step_wait *wait,
                       struct value *out_bound, struct error *why) {
    int32_t node = g->plan->nodes[ask.node].approves;
    *out_bound = value_null();
    if (node >= 0 && !value_is_null(node_more(&g->nodes[ask.node])->approval.v)) {
        return show_again(g, ask.node, wait, out_bound, why);
    }
    return node >= 0 ? show_and_bind(g, (uint32_t)node, wait, out_bound, why)
                     : show_of_subject(g, ask, wait, why);
}

/* {shown, bound}: bound is null of an ask that only shows what another one approves. */
enum err approval_note(struct engine *g, const struct event *ev, struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    const struct value *shown = value_get(ev->body, STR("approves"));
    struct arena a;
    struct value_builder b;
    if (!shown || ev->step.index >= 0) {
        if (n->more) {
            held_clear(&n->more->approval);
        }
        return OK;
    }
    if (!node_more_make(g, n)) {
        return error_nomem(e);
    }
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    value_map_add(&b, STR("shown"), *shown);
    value_map_add(&b, STR("bound"), ev->approval);
    struct value v = value_map_done(&b);
    enum err err = b.ok ? held_set(&n->more->approval, v, e) : error_nomem(e);
    arena_fini(&a);
    return err;
}

/* ---- whether a step may be performed ---- */

/* Some answer of the ask has started the node. */
static bool is_taken(const struct engine *g, uint32_t ask, const struct plan_node *p) {
    for (uint32_t i = 0; i < p->in_count_edges; i++) {
        uint32_t edge = p->in_edges[i];
        if (g->plan->edges[edge].source == ask && g->effective[edge] == EDGE_TAKEN) {
            return true;
        }
    }
    return false;
}

/* Adds the names of the parts of a that b has not, or not the same unless missing_only. */
static void name_changed(struct value a, struct value b, bool missing_only, struct arena *arena,
                         struct str *names) {
    for (size_t i = 0; i < value_count(a); i++) {
        struct str name = str_sub(value_str(a.pairs[i].key), 0, 100);
        const struct value *other = value_get(b, value_str(a.pairs[i].key));
        bool same = other && (missing_only || value_identical(*other, a.pairs[i].val));
        if (!same && names->len < 300) {
            *names = arena_printf(arena, "%.*s%s%.*s", STR_ARG(*names), names->len ? ", " : "",
                                  STR_ARG(name));
        }
    }
}

/* Without memory the arena tells. */
static struct str describe_change(struct value was, struct value is, struct arena *a) {
    const struct value *before = value_get(was, STR("parts")), *now = value_get(is, STR("parts"));
    struct str names = STR("");
    if (before && now) {
        name_changed(*before, *now, false, a, &names);
        name_changed(*now, *before, true, a, &names);
    }
    return names;
}

/* What is wrong with the approval by one ask; an empty type when nothing is. */
static void check_ask(const struct engine *g, uint32_t ask, const struct flight *f, struct value is,
                      struct step_failure *out) {
    const struct step_in *in = flight_in(f);
    const struct value *bound = value_get(node_more(&g->nodes[ask])->approval.v, STR("bound"));
    struct value was = bound ? *bound : value_null();
    struct str name = g->plan->nodes[ask].name;
    if (!is_taken(g, ask, in->node)) {
        enum step_status status = (enum step_status)g->nodes[ask].status;
        bool other = status == STEP_COMPLETED;
        out->type = STR("not_approved");
        out->message = arena_printf(
            in->arena, "\"%.*s\" has not approved it (it %s%s), and without that it is not begun",
            STR_ARG(name), other ? "was answered otherwise" : "is ",
            other ? "" : step_status_name(status));
    } else if (!str_eq(engine_text_in(was, "node"), in->node->name)) {
        out->type = STR("not_approved");
        out->message = arena_printf(
            in->arena, "\"%.*s\" completed without showing what it is given: it approved nothing",
            STR_ARG(name));
    } else if (!str_eq(engine_text_in(was, "hash"), engine_text_in(is, "hash"))) {
        struct str names = describe_change(was, is, in->arena);
        out->type = STR("approval_changed");
        out->message = arena_printf(
            in->arena, "what \"%.*s\" approved is not what it would be given now; changed: %.*s",
            STR_ARG(name), STR_ARG(names));
    }
}

enum err approval_check(struct engine *g, struct flight *f, struct step_failure *out,
                        struct error *e) {
    const struct step_in *in = flight_in(f);
    const struct plan_node *p = in->node;
    struct value is;
    *out = (struct step_failure){.class = FAILURE_PERMANENT};
    if (!p->approved || MUTANT(perform_unapproved)) {
        return OK;
    }
    enum err err = bind(g->plan, in, in->arena, &is, e);
    for (uint32_t i = 0; i < p->in_count_edges && !err && !out->type.len; i++) {
        uint32_t ask = g->plan->edges[p->in_edges[i]].source;
        if (approves(g->plan, ask, p->index)) {
            check_ask(g, ask, f, is, out);
        }
    }
    return err || !in->arena->starved ? err : error_nomem(e);
}

bool approval_refused(struct str type) {
    return str_is(type, "approval_changed") || str_is(type, "not_approved");
}
