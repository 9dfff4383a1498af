/* The evaluator: walks the checked tree. Every node costs a step; recursion is as deep as the
 * text is nested, never as long as it is. && and || absorb faults as CEL demands ("Logical
 * Operators"): the order of the operands does not matter to the result.
 */
#include "expr/run_priv.h"

/* A text or list that a chain of + builds up, in place, so that long chains stay linear. */
struct growth {
    void *memory;
    size_t cap;
};

static size_t bytes_of(struct value v) {
    return v.type == VALUE_LIST ? v.extra * sizeof(struct value) : v.extra;
}

/* a + b for two texts, two bytes or two lists. */
static enum err append(struct run *r, struct growth *g, struct value *a, struct value b) {
    size_t old = bytes_of(*a);
    size_t more = bytes_of(b);
    uint32_t count = a->extra + b.extra;
    size_t most = a->type == VALUE_LIST ? VALUE_MAX_COUNT * sizeof(struct value) : VALUE_MAX_TEXT;
    if (old + more > most) {
        return run_memory_exceeded(r);
    }
    if (run_charge_bytes(r, more)) {
        return ERR_LIMIT;
    }
    if (!g->memory || a->ptr != g->memory || old + more > g->cap) {
        g->cap = g->memory ? (old + more) * 2 : old + more;
        g->memory = run_alloc(r, g->cap, 1);
        if (!g->memory || run_charge_bytes(r, old)) {
            return g->memory ? ERR_LIMIT : run_memory_exceeded(r);
        }
        if (old) {
            memcpy(g->memory, a->ptr, old);
        }
    }
    if (more) {
        memcpy((char *)g->memory + old, b.ptr, more);
    }
    r->built |= a->type == VALUE_LIST;
    a->ptr = g->memory;
    a->extra = count;
    return OK;
}

static bool appendable(struct value a, struct value b) {
    return a.type == b.type &&
           (a.type == VALUE_TEXT || a.type == VALUE_BYTES || a.type == VALUE_LIST);
}

static enum err eval_chain(struct run *r, const struct node *n, struct value *out) {
    struct growth g = {0};
    struct value a;
    enum err err = eval_node(r, n->first, &a);
    for (uint32_t i = 0; !err && i < n->count; i++) {
        const struct link *l = &n->links[i];
        struct value b;
        err = eval_node(r, l->operand, &b);
        if (err) {
            break;
        }
        r->at = l->offset;
        if (l->op == OP_ADD && appendable(a, b)) {
            err = append(r, &g, &a, b);
        } else {
            err = op_apply(r, (enum op)l->op, a, b, &a);
        }
    }
    if (!err) {
        *out = a;
    }
    return err;
}

enum err eval_bool(struct run *r, const struct node *n, const char *role, bool *out) {
    struct value v;
    enum err err = eval_node(r, n, &v);
    if (err) {
        return err;
    }
    if (v.type != VALUE_BOOL) {
        r->at = n->offset;
        return run_mismatch(r, "%s a bool, this is %s%s", role, type_phrase(v),
                            v.type == VALUE_OPTIONAL ? "; take its value with orValue(false)"
                            : v.type == VALUE_NULL   ? "; compare it, as in x != null"
                                                     : "");
    }
    *out = v.boolean;
    return OK;
}

/* decides: the operand that settles the result whatever the others are. The first fault is kept
 * and counts only when no operand decides. */
static enum err eval_logic(struct run *r, const struct node *n, bool decides, struct value *out) {
    bool quiet = r->quiet;
    enum err first = OK;
    const char *role = decides ? "|| needs" : "&& needs";
    for (uint32_t i = 0; i <= n->count; i++) {
        bool is = !decides;
        enum err err = eval_bool(r, i ? n->links[i - 1].operand : n->first, role, &is);
        if (err && err != ERR_EXPRESSION) {
            r->quiet = quiet;
            return err;
        }
        if (!err && is == decides) {
            r->quiet = quiet;
            *out = value_bool(decides);
            return OK;
        }
        if (err) {
            first = err;
            r->quiet = true;
        }
    }
    r->quiet = quiet;
    *out = value_bool(!decides);
    return first;
}

static enum err eval_args(struct run *r, struct node *const *args, uint32_t count,
                          struct value *out) {
    enum err err = OK;
    for (uint32_t i = 0; !err && i < count; i++) {
        err = eval_node(r, args[i], &out[i]);
    }
    return err;
}

static enum err eval_call(struct run *r, const struct node *n, struct value *out) {
    struct value args[FN_MAX_ARGS + 1] = {0};
    enum err err = eval_args(r, n->args, n->count, args);
    r->at = n->offset;
    return err ? err : n->fn->call(r, args, n->count, out);
}

static enum err eval_step(struct run *r, const struct step *s, struct value v, struct value *out) {
    struct value args[FN_MAX_ARGS + 1] = {v};
    enum err err;
    switch (s->kind) {
    case STEP_FIELD: r->at = s->offset; return select_field(r, s, v, out);
    case STEP_INDEX:
        err = eval_node(r, s->args[0], &args[1]);
        r->at = s->offset;
        return err ? err : select_index(r, s, v, args[1], out);
    case STEP_CALL:
        err = eval_args(r, s->args, s->count, args + 1);
        r->at = s->offset;
        return err ? err : s->fn->call(r, args, s->count + 1, out);
    default: r->at = s->offset; return eval_macro(r, s, v, out);
    }
}

static enum err eval_postfix(struct run *r, const struct node *n, struct value *out) {
    struct value v;
    enum err err = eval_node(r, n->first, &v);
    for (uint32_t i = 0; !err && i < n->count; i++) {
        err = run_charge(r, 1);
        if (!err) {
            err = eval_step(r, &n->steps[i], v, &v);
        }
    }
    if (!err) {
        *out = v;
    }
    return err;
}

/* [?x] and {?k: x}: what an optional holds; *skip when it holds nothing. */
static enum err unwrap_item(struct run *r, const struct item *it, struct value *v, bool *skip) {
    *skip = false;
    if (!it->optional) {
        return OK;
    }
    if (v->type != VALUE_OPTIONAL) {
        r->at = it->val->offset;
        return run_mismatch(r, "an entry marked with ? takes an optional, this is %s",
                            type_phrase(*v));
    }
    *skip = !v->items;
    if (v->items) {
        *v = *v->items;
    }
    return OK;
}

static enum err eval_list(struct run *r, const struct node *n, struct value *out) {
    struct value *items = run_alloc(r, n->count ? n->count : 1, sizeof *items);
    uint32_t count = 0;
    if (!items) {
        return run_memory_exceeded(r);
    }
    for (uint32_t i = 0; i < n->count; i++) {
        bool skip = false;
        enum err err = eval_node(r, n->items[i].val, &items[count]);
        err = err ? err : unwrap_item(r, &n->items[i], &items[count], &skip);
        if (err) {
            return err;
        }
        count += !skip;
    }
    r->built = true;
    *out = value_list(items, count);
    return OK;
}

static enum err eval_key(struct run *r, const struct node *n, struct value *out) {
    enum err err = eval_node(r, n, out);
    if (err) {
        return err;
    }
    r->at = n->offset;
    switch (out->type) {
    case VALUE_TEXT:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_BOOL: return OK;
    default:
        return run_mismatch(r, "a key of a map is a string, int, uint or bool, this is %s",
                            type_phrase(*out));
    }
}

static enum err repeated_key(struct run *r, struct value_builder *b) {
    for (size_t i = 1; i < b->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (value_equal(b->pairs[i].key, b->pairs[k].key)) {
                struct buf text;
                buf_init(&text, 200);
                value_print_short(b->pairs[i].key, 60, &text);
                enum err err =
                    run_fault(r, "the key %.*s stands twice in the map", STR_ARG(buf_str(&text)));
                buf_fini(&text);
                return err;
            }
        }
    }
    return run_fault(r, "a key stands twice in the map");
}

static enum err eval_map(struct run *r, const struct node *n, struct value *out) {
    struct value_builder b;
    value_builder_init(&b, r->arena);
    size_t added = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        bool skip = false;
        struct value key;
        struct value val;
        enum err err = eval_key(r, n->items[i].key, &key);
        err = err ? err : eval_node(r, n->items[i].val, &val);
        err = err ? err : unwrap_item(r, &n->items[i], &val, &skip);
        if (err) {
            return err;
        }
        if (!skip) {
            value_map_add_value(&b, key, val);
            added++;
        }
    }
    struct value_builder kept = b;
    r->built = true;
    r->at = n->offset;
    *out = value_map_done(&b);
    if (!b.ok) {
        return run_memory_exceeded(r);
    }
    return out->extra == added ? OK : repeated_key(r, &kept);
}

static enum err eval_slot(struct run *r, const struct node *n, struct value *out) {
    r->at = n->offset;
    return r->env->get(r->env->ctx, n->slot, out, r->e);
}

static enum err eval_operand(struct run *r, const struct node *n, struct value *out) {
    if (n->kind == NODE_NOT) {
        bool b = false;
        enum err err = eval_bool(r, n->operand, "! needs", &b);
        *out = value_bool(!b);
        return err;
    }
    struct value v;
    enum err err = eval_node(r, n->kind == NODE_HAS ? n->of : n->operand, &v);
    r->at = n->offset;
    if (err) {
        return err;
    }
    return n->kind == NODE_HAS ? select_has(r, v, n->field, out) : op_negate(r, v, out);
}

enum err eval_node(struct run *r, const struct node *n, struct value *out) {
    for (;;) {
        if (run_charge(r, 1)) {
            return ERR_LIMIT;
        }
        bool yes = false;
        enum err err;
        switch (n->kind) {
        case NODE_CONST: *out = n->value; return OK;
        case NODE_LOCAL: *out = r->locals[n->slot]; return OK;
        case NODE_SLOT: return eval_slot(r, n, out);
        case NODE_CHAIN: return eval_chain(r, n, out);
        case NODE_POSTFIX: return eval_postfix(r, n, out);
        case NODE_AND: return eval_logic(r, n, false, out);
        case NODE_OR: return eval_logic(r, n, true, out);
        case NODE_CALL: return eval_call(r, n, out);
        case NODE_LIST: return eval_list(r, n, out);
        case NODE_MAP: return eval_map(r, n, out);
        case NODE_NOT:
        case NODE_NEGATE:
        case NODE_HAS: return eval_operand(r, n, out);
        case NODE_TERNARY:
            err = eval_bool(r, n->cond, "the condition before ? must be", &yes);
            if (err) {
                return err;
            }
            n = yes ? n->yes : n->no;
            break;
        default: ASSERT(false); return ERR_EXPRESSION;
        }
    }
}
