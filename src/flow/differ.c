/* Definitions compared key by key, as they are written: the order of keys, comments and how a text
 * is quoted make no difference. A text that names a file of the workflow stands for what is in it.
 */
#include "flow/flow_priv.h"

struct version {
    const struct plan *plan;
    struct session session;
    struct unit unit;
    struct diag diag;
    struct map nodes; /* name -> index in unit.def.nodes */
};

struct flow_differ {
    struct arena *arena;
    struct version from, to;
};

static const struct plan_file *find_file(const struct version *v, struct str path) {
    for (uint32_t i = 0; i < v->plan->file_count; i++) {
        if (str_eq(v->plan->files[i].path, path)) {
            return &v->plan->files[i];
        }
    }
    return NULL;
}

/* The file of the workflow that the text names, or NULL. */
static const struct plan_file *file_of(const struct version *v, struct str text) {
    while (str_starts(text, STR("./"))) {
        text = str_sub(text, 2, text.len);
    }
    return text.len && text.len < 1000 ? find_file(v, text) : NULL;
}

static bool same_scalar(const struct flow_differ *d, const struct yaml_node *a,
                        const struct yaml_node *b) {
    const struct plan_file *from = file_of(&d->from, a->text), *to = file_of(&d->to, b->text);
    if (from && to && !str_eq(from->text, to->text)) {
        return false;
    }
    return value_identical(a->value, b->value);
}

static bool same(const struct flow_differ *d, const struct yaml_node *a,
                 const struct yaml_node *b) {
    if (!a || !b || a->type != b->type || a->count != b->count) {
        return a == b;
    }
    if (a->type == YAML_SCALAR) {
        return same_scalar(d, a, b);
    }
    for (uint32_t i = 0; i < a->count; i++) {
        bool is_map = a->type == YAML_MAP;
        const struct yaml_node *x = is_map ? a->pairs[i].value : a->items[i];
        const struct yaml_node *y = is_map ? yaml_get(b, a->pairs[i].key->text) : b->items[i];
        if (!same(d, x, y)) {
            return false;
        }
    }
    return true;
}

static enum err read_version(struct version *v, const struct plan *p, struct arena *a,
                             struct error *e) {
    struct yaml_node *root = NULL;
    v->plan = p;
    diag_init(&v->diag, a);
    v->session = (struct session){.diag = &v->diag, .keep = a};
    arena_init(&v->session.scratch, 0);
    v->unit = (struct unit){.s = &v->session, .file = p->entry.ptr};
    map_init(&v->nodes, a);
    enum err err = yaml_parse(a, p->files[0].text, v->unit.file, &root, &v->diag);
    if (err == ERR_NOMEM || (!err && !flow_definition_read(&v->unit, root))) {
        return v->session.nomem || err ? error_nomem(e)
                                       : error_set(e, ERR_INVALID, "its file is no workflow");
    }
    for (uint32_t i = 0; !err && i < v->unit.def.node_count; i++) {
        bool fresh;
        struct map_entry *entry = map_put(&v->nodes, v->unit.def.nodes[i].name, &fresh);
        if (!entry) {
            return error_nomem(e);
        }
        entry->num = i;
    }
    return err ? error_set(e, ERR_INVALID, "its file cannot be read") : OK;
}

enum err flow_differ_open(const struct plan *from, const struct plan *to, struct arena *a,
                          struct flow_differ **out, struct error *e) {
    struct flow_differ *d = ARENA_NEW(a, struct flow_differ);
    if (!d) {
        return error_nomem(e);
    }
    d->arena = a;
    enum err err = read_version(&d->from, from, a, e);
    err = err ? err : read_version(&d->to, to, a, e);
    if (err) {
        flow_differ_close(d);
        return err;
    }
    *out = d;
    return OK;
}

void flow_differ_close(struct flow_differ *d) {
    arena_fini(&d->from.session.scratch);
    arena_fini(&d->to.session.scratch);
}

static const struct yaml_node *body_of(const struct version *v, struct str name) {
    const struct map_entry *entry = map_find(&v->nodes, name);
    return entry ? v->unit.def.nodes[entry->num].body : NULL;
}

static const struct yaml_node *agent_of(const struct version *v, const struct yaml_node *name) {
    const struct yaml_node *agents = v->unit.def.agents;
    bool named = agents && agents->type == YAML_MAP && name && name->type == YAML_SCALAR;
    return named ? yaml_get(agents, name->text) : NULL;
}

/* The sub-workflow of a file: with all the files that it is made of. */
static const char *child_hash(const struct version *v, struct str node) {
    int64_t at = plan_node_find(v->plan, node);
    const struct plan *child = at >= 0 ? v->plan->nodes[at].child : NULL;
    return child && str_find(child->entry, STR("#"), 0) == SIZE_MAX ? child->hash : "";
}

static bool same_key(const struct flow_differ *d, struct str node, struct str key,
                     const struct yaml_node *a, const struct yaml_node *b) {
    if (!same(d, a, b)) {
        return false;
    }
    if (str_is(key, "agent")) {
        return same(d, agent_of(&d->from, a), agent_of(&d->to, b));
    }
    return !str_is(key, "workflow") ||
           !strcmp(child_hash(&d->from, node), child_hash(&d->to, node));
}

/* Keys of body that are another in the other version; when added, those that it alone has. */
static void add_keys(const struct flow_differ *d, struct str node, bool added, struct buf *b) {
    const struct yaml_node *body = body_of(added ? &d->to : &d->from, node);
    const struct yaml_node *other = body_of(added ? &d->from : &d->to, node);
    for (uint32_t i = 0; i < body->count; i++) {
        struct str key = body->pairs[i].key->text;
        const struct yaml_node *y = yaml_get(other, key);
        bool told = added ? !y : !same_key(d, node, key, body->pairs[i].value, y);
        if (told) {
            buf_printf(b, "%s%.*s", b->len ? ", " : "", STR_ARG(key));
        }
    }
}

struct str flow_node_differs(struct flow_differ *d, struct str node) {
    struct buf b;
    buf_init(&b, 0);
    if (body_of(&d->from, node) && body_of(&d->to, node)) {
        add_keys(d, node, false, &b);
        add_keys(d, node, true, &b);
    }
    struct str keys = buf_ok(&b) ? arena_str(d->arena, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    return keys;
}

/* ---- what reads an input ---- */

static bool slot_reads(const struct plan *p, const uint32_t *slots, uint32_t count,
                       struct str input) {
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_ref *r = &p->refs[slots[i]];
        if (r->type == REF_INPUTS || (r->type == REF_INPUT && str_eq(r->name, input))) {
            return true;
        }
    }
    return false;
}

static bool expr_reads(const struct plan *p, const struct expr *x, struct str input) {
    uint32_t count = 0;
    const uint32_t *slots = x ? expr_slots(x, &count) : NULL;
    return slot_reads(p, slots, count, input);
}

static bool pval_reads(const struct plan *p, const struct pval *v, struct str input) {
    uint32_t count = 0;
    const uint32_t *slots;
    switch (v->type) {
    case PVAL_EXPR: return expr_reads(p, v->expr, input);
    case PVAL_TEXT:
    case PVAL_TMPL: slots = tmpl_slots(v->tmpl, &count); return slot_reads(p, slots, count, input);
    case PVAL_LIST:
    case PVAL_MAP:
        for (uint32_t i = 0; i < v->count; i++) {
            if (pval_reads(p, &v->items[i], input)) {
                return true;
            }
        }
        return false;
    case PVAL_NONE:
    case PVAL_CONST: break;
    }
    return false;
}

static bool items_read(const struct plan *p, const struct plan_foreach *f, struct str input) {
    bool reads = pval_reads(p, &f->items, input) || pval_reads(p, &f->exclude, input) ||
                 pval_reads(p, &f->include, input);
    for (uint32_t i = 0; i < f->axis_count; i++) {
        reads |= pval_reads(p, &f->axes[i].values, input);
    }
    return reads;
}

static bool in_reads(const struct plan *p, const struct plan_in *in, struct str input) {
    bool reads = pval_reads(p, &in->from, input) ||
                 (in->has_default && pval_reads(p, &in->default_value, input));
    for (uint32_t i = 0; i < in->transform_count; i++) {
        reads |= expr_reads(p, in->transforms[i], input);
    }
    return reads;
}

static bool agent_reads(const struct plan *p, const struct plan_node *n, struct str input) {
    const struct plan_agent *agent = n->agent >= 0 ? &p->agents[n->agent] : NULL;
    for (int which = 0; agent && which < AGENT_TEXTS; which++) {
        uint32_t count = 0;
        const uint32_t *slots =
            agent->templates[which] ? tmpl_slots(agent->templates[which], &count) : NULL;
        for (uint32_t i = 0; i < count; i++) { /* 0: all of them (agent_text.c) */
            if (!slots[i] || str_eq(agent->inputs[slots[i] - 1].name, input)) {
                return true;
            }
        }
    }
    return false;
}

static bool has_word(struct str text, struct str word) {
    for (size_t at = str_find(text, word, 0); at != SIZE_MAX; at = str_find(text, word, at + 1)) {
        size_t end = at + word.len;
        bool begins = at == 0 || !str_is_name(str_sub(text, at - 1, at));
        if (begins && (end == text.len || !str_is_name(str_sub(text, end, end + 1)))) {
            return true;
        }
    }
    return false;
}

static bool text_has_word(const struct flow_differ *d, const struct yaml_node *n, struct str word) {
    if (n->type == YAML_SCALAR) {
        const struct plan_file *file = file_of(&d->to, n->text);
        return has_word(file ? file->text : n->text, word);
    }
    for (uint32_t i = 0; i < n->count; i++) {
        if (text_has_word(d, n->type == YAML_MAP ? n->pairs[i].value : n->items[i], word)) {
            return true;
        }
    }
    return false;
}

bool flow_node_reads(const struct flow_differ *d, uint32_t node, struct str input, bool items) {
    const struct plan *p = d->to.plan;
    const struct plan_node *n = &p->nodes[node];
    const struct yaml_node *body = body_of(&d->to, n->name);
    bool reads = n->foreach.present && items_read(p, &n->foreach, input);
    if (reads || items) {
        return reads;
    }
    reads = expr_reads(p, n->guard, input) || pval_reads(p, &n->on_error_value, input) ||
            agent_reads(p, n, input);
    for (size_t i = 0; i < n->kind->field_count; i++) {
        reads |= pval_reads(p, &n->fields[i], input);
    }
    for (uint32_t i = 0; i < n->in_count; i++) {
        reads |= in_reads(p, &n->ins[i], input);
    }
    for (uint32_t i = 0; i < n->set_count; i++) {
        reads |= pval_reads(p, &n->sets[i].value, input);
    }
    bool program = (n->kind->flags & KIND_SCOPE) && body;
    return reads || (program && text_has_word(d, body, input));
}
