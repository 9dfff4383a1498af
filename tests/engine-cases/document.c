/* A case's workflow as a native document. What a script says of a guard becomes an expression over
 * the iteration, because guards are evaluated by the engine and not by a kind.
 *
 * Must never leave out a field that it does not know: such a case is refused.
 */
#include "cases.h"

struct maker {
    struct arena *a;
    struct value script;
    struct error *e;
};

static bool is_given(const struct value *v) { return v && !value_is_null(*v); }

static enum err refuse(struct maker *m, const char *what, struct str key) {
    return error_set(m->e, ERR_INVALID, "%s has a field \"%.*s\" that no case may have", what,
                     STR_ARG(key));
}

/* A value as a tree whose text leaves are expressions. */
static struct value quoted(struct arena *a, struct value v) {
    struct value_builder b;
    value_builder_init(&b, a);
    if (v.type == VALUE_LIST) {
        for (size_t i = 0; i < value_count(v); i++) {
            value_list_add(&b, quoted(a, v.items[i]));
        }
        return value_list_done(&b);
    }
    if (v.type == VALUE_MAP) {
        for (size_t i = 0; i < value_count(v); i++) {
            value_map_add(&b, value_str(v.pairs[i].key), quoted(a, v.pairs[i].val));
        }
        return value_map_done(&b);
    }
    if (v.type != VALUE_TEXT) {
        return v;
    }
    struct buf text;
    buf_init(&text, 0);
    value_print_json(v, 0, &text);
    struct str kept = arena_str(a, buf_str(&text));
    buf_fini(&text);
    return value_text(kept);
}

static bool is_condition(struct value node) {
    const struct value *type = value_get(node, STR("type"));
    return type && type->type == VALUE_TEXT && str_is(value_str(*type), "condition");
}

static struct value on_error(struct maker *m, struct value node, struct value v) {
    const struct value *given = v.type == VALUE_MAP ? value_get(v, STR("value")) : NULL;
    if (!given) {
        return v;
    }
    struct value_builder b;
    value_builder_init(&b, m->a);
    value_map_add(&b, STR("value"), is_condition(node) ? *given : quoted(m->a, *given));
    return value_map_done(&b);
}

static struct value retry(struct maker *m, struct value attempts) {
    static const struct value any = {.type = VALUE_TEXT, .extra = 3, .ptr = "any"};
    struct value_builder b;
    value_builder_init(&b, m->a);
    value_map_add(&b, STR("attempts"), attempts);
    value_map_add(&b, STR("backoff"), value_text(STR("0s")));
    value_map_add(&b, STR("on"), value_list(&any, 1));
    return value_map_done(&b);
}

/* The iteration of a step id of this node, or -1 (also for a foreach item). */
static int64_t iteration_of(struct str step, struct str name) {
    int64_t n = -1;
    if (str_eq(step, name)) {
        return 0;
    }
    struct str rest = str_sub(step, name.len + 1, step.len);
    bool follows = str_starts(step, name) && step.len > name.len && step.ptr[name.len] == '#';
    return follows && str_to_int64(rest, &n) ? n : -1;
}

/* A guard that is false in exactly the iterations in which the script says so. */
static struct value guard(struct maker *m, struct str name) {
    const struct value *steps = value_get(m->script, STR("steps"));
    struct buf text;
    buf_init(&text, 0);
    buf_append_cstr(&text, "!(iteration in [");
    bool first = true;
    for (size_t i = 0; steps && i < value_count(*steps); i++) {
        const struct value *pass = value_get(steps->pairs[i].val, STR("if"));
        int64_t n = iteration_of(value_str(steps->pairs[i].key), name);
        if (n >= 0 && pass && pass->type == VALUE_BOOL && !pass->boolean) {
            buf_printf(&text, "%s%lld", first ? "" : ", ", (long long)n);
            first = false;
        }
    }
    buf_append_cstr(&text, "])");
    struct str kept = arena_str(m->a, buf_str(&text));
    buf_fini(&text);
    return value_text(kept);
}

static enum err foreach_fields(struct maker *m, struct value v, struct value *out) {
    struct value_builder b, items;
    value_builder_init(&b, m->a);
    value_builder_init(&items, m->a);
    for (size_t i = 0; i < value_count(v); i++) {
        struct str key = value_str(v.pairs[i].key);
        struct value val = v.pairs[i].val;
        if (str_is(key, "items")) {
            for (int64_t k = 0; k < val.num; k++) {
                value_list_add(&items, value_int(k));
            }
            value_map_add(&b, key, value_list_done(&items));
        } else if (str_is(key, "concurrency") || str_is(key, "on_item_error")) {
            if (!value_is_null(val) && !(val.type == VALUE_INT && val.num == 0)) {
                value_map_add(&b, key, val);
            }
        } else {
            return refuse(m, "a foreach", key);
        }
    }
    *out = value_map_done(&b);
    return OK;
}

static const char *const same_fields[] = {
    "name",           "type",     "handles",  "needs",      "join", "priority",
    "max_iterations", "on_limit", "fallback", "compensate", NULL};

static bool is_one_of(struct str key, const char *const *names) {
    while (*names && !str_is(key, *names)) {
        names++;
    }
    return *names != NULL;
}

/* The node's body at the end of the variable seen. */
static struct value set(struct maker *m, struct str name) {
    struct value_builder b;
    value_builder_init(&b, m->a);
    value_map_add(&b, STR("seen"),
                  value_text(arena_printf(m->a, "vars.seen + [%.*s]", STR_ARG(name))));
    return value_map_done(&b);
}

static struct value no_values(struct maker *m) {
    struct value_builder b;
    value_builder_init(&b, m->a);
    value_map_add(&b, STR("seen"), value_list(NULL, 0));
    return value_map_done(&b);
}

static enum err node_field(struct maker *m, struct value node, struct str key, struct value v,
                           struct value_builder *b) {
    const struct value *name = value_get(node, STR("name"));
    if (is_one_of(key, same_fields)) {
        value_map_add(b, key, v);
    } else if (str_is(key, "if") && name && (v.type != VALUE_BOOL || v.boolean)) {
        value_map_add(b, key, guard(m, value_str(*name)));
    } else if (str_is(key, "on_error")) {
        value_map_add(b, key, on_error(m, node, v));
    } else if (str_is(key, "attempts")) {
        value_map_add(b, STR("retry"), retry(m, v));
    } else if (str_is(key, "foreach")) {
        struct value each;
        enum err err = foreach_fields(m, v, &each);
        value_map_add(b, key, err ? value_null() : each);
        return err;
    } else if (str_is(key, "set") && name) {
        value_map_add(b, key, set(m, value_str(*name)));
    } else if (!str_is(key, "if")) {
        return refuse(m, "a node", key);
    }
    return OK;
}

static enum err nodes(struct maker *m, struct value list, struct value *out) {
    struct value_builder all;
    value_builder_init(&all, m->a);
    for (size_t i = 0; i < value_count(list); i++) {
        struct value node = list.items[i];
        struct value_builder b;
        value_builder_init(&b, m->a);
        for (size_t k = 0; k < value_count(node); k++) {
            struct value v = node.pairs[k].val;
            enum err err =
                value_is_null(v) ? OK : node_field(m, node, value_str(node.pairs[k].key), v, &b);
            if (err) {
                return err;
            }
        }
        value_list_add(&all, value_map_done(&b));
    }
    *out = value_list_done(&all);
    return OK;
}

enum err document_make(struct value workflow, struct value script, struct arena *a, struct str *out,
                       struct error *e) {
    struct maker m = {a, script, e};
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("cairn"), value_int(1));
    value_map_add(&b, STR("vars"), no_values(&m));
    for (size_t i = 0; i < value_count(workflow); i++) {
        struct str key = value_str(workflow.pairs[i].key);
        struct value v = workflow.pairs[i].val;
        if (str_is(key, "nodes")) {
            enum err err = nodes(&m, v, &v);
            if (err) {
                return err;
            }
            value_map_add(&b, key, v);
        } else if (!str_is(key, "on_failure") && !str_is(key, "concurrency") &&
                   !str_is(key, "outputs") && !str_is(key, "finally") && !str_is(key, "recover")) {
            return refuse(&m, "a workflow", key);
        } else if (is_given(&v) && !(v.type == VALUE_MAP && value_count(v) == 0)) {
            value_map_add(&b, key, v);
        }
    }
    struct buf text;
    buf_init(&text, 0);
    value_print_json(value_map_done(&b), 0, &text);
    *out = arena_str(a, buf_str(&text));
    buf_fini(&text);
    return out->ptr && b.ok ? OK : error_nomem(e);
}
