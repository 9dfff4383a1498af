/* Variables of the workflow: their first values, what a completed step sets, and the fold of that.
 *
 * A step's changes are recorded with its completion, as {to: {name: value}, append: {name: tail}}:
 * only what changed, and of a list or text that grew only what was added, so a loop that appends
 * writes a journal as long as what it gathered. All expressions of one `set` see the variables as
 * they were before it. The first values follow from inputs and env and are not recorded.
 */
#include <stdio.h>

#include "engine/engine_priv.h"

#define MAX_DEPTH (VALUE_MAX_DEPTH - 10) /* a delta stands a few levels down in its event */

struct value engine_var(const struct engine *g, uint32_t var) {
    return g->vars[var].held.v;
}

static bool is_too_deep(struct value v, int depth) {
    bool nested = v.type == VALUE_LIST || v.type == VALUE_MAP;
    if (nested && depth >= MAX_DEPTH) {
        return true;
    }
    for (size_t i = 0; nested && i < value_count(v); i++) {
        if (is_too_deep(v.type == VALUE_LIST ? v.items[i] : v.pairs[i].val, depth + 1)) {
            return true;
        }
    }
    return false;
}

/* ---- first values ---- */

static enum err first_value(struct engine *g, uint32_t var, struct error *e) {
    struct names names;
    struct error why;
    struct value v;
    arena_reset(&g->scratch);
    names_init(&names, g, UINT32_MAX, &g->scratch);
    enum err err = pval_eval(&g->plan->vars[var].initial, &names.env, &v, &why);
    if (!err) {
        g->vars[var].size_bytes = value_size(v);
        return held_set(&g->vars[var].held, v, e);
    }
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    struct str name = g->plan->vars[var].name;
    g->vars_error = arena_printf(&g->arena, "vars.%.*s: %s", STR_ARG(name), why.message);
    return g->vars_error.ptr ? OK : error_nomem(e);
}

enum err vars_init(struct engine *g, struct error *e) {
    enum err err = OK;
    for (uint32_t i = 0; i < g->plan->var_count && !err && !g->vars_error.ptr; i++) {
        err = g->vars[i].is_set ? OK : first_value(g, i, e);
    }
    return err;
}

void vars_free(struct engine *g) {
    for (uint32_t i = 0; g->vars && i < g->plan->var_count; i++) {
        held_clear(&g->vars[i].held);
    }
}

/* ---- what a step sets ---- */

/* The old value is where the new one begins, item by item: items that are shared are the same. */
static bool extends(struct value old, struct value v) {
    if (old.type != v.type || old.extra > v.extra) {
        return false;
    }
    if (v.type == VALUE_TEXT) {
        return str_starts(value_str(v), value_str(old));
    }
    if (v.type != VALUE_LIST) {
        return false;
    }
    for (size_t i = 0; i < value_count(old); i++) {
        bool same = memcmp(&old.items[i], &v.items[i], sizeof v.items[i]) == 0;
        if (!same && !value_identical(old.items[i], v.items[i])) {
            return false;
        }
    }
    return true;
}

static struct value tail_of(struct value old, struct value v) {
    if (v.type == VALUE_TEXT) {
        return value_text(str_sub(value_str(v), old.extra, v.extra));
    }
    return value_list(v.items + old.extra, v.extra - old.extra);
}

struct delta {
    struct value_builder to, append;
};

/* Copied, because the memory of a variable may go when another one is replaced. */
static enum err add_change(struct engine *g, uint32_t var, struct value v, struct delta *d,
                           struct error *why) {
    const struct var_state *s = &g->vars[var];
    struct str name = g->plan->vars[var].name;
    bool grows = extends(s->held.v, v);
    struct value change = grows ? tail_of(s->held.v, v) : v;
    if (is_too_deep(change, 0)) {
        return error_set(why, ERR_LIMIT, "set.%.*s: lists and maps nested deeper than %d",
                         STR_ARG(name), MAX_DEPTH);
    }
    size_t size = value_size(change) + (grows ? s->size_bytes : 0);
    if (size > ENGINE_MAX_OUTPUT_BYTES) {
        return error_set(why, ERR_LIMIT, "set.%.*s: the value has %zu bytes, more than %u",
                         STR_ARG(name), size, ENGINE_MAX_OUTPUT_BYTES);
    }
    struct value copy;
    if (!value_copy(&g->scratch, change, &copy)) {
        return error_nomem(why);
    }
    value_map_add(grows ? &d->append : &d->to, name, copy);
    return OK;
}

static enum err eval_one(struct engine *g, const struct plan_set *set, struct names *names,
                         struct delta *d, struct error *why) {
    struct value v;
    struct error inner;
    struct str name = g->plan->vars[set->var].name;
    enum err err = pval_eval(&set->value, &names->env, &v, &inner);
    if (err) {
        return error_set(why, err, "set.%.*s: %s", STR_ARG(name), inner.message);
    }
    if (value_identical(v, g->vars[set->var].held.v)) {
        return OK;
    }
    return add_change(g, set->var, v, d, why);
}

enum err vars_eval(struct engine *g, struct step_id step, struct value body, struct value *out,
                   struct error *why) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    struct names names;
    struct delta d;
    struct value_builder groups;
    *out = value_null();
    if (p->foreach.present && step.index < 0) {
        return OK; /* its items have set what they set */
    }
    names_init(&names, g, step.node, &g->scratch);
    names.index = step.index;
    names.self = body;
    value_builder_init(&d.to, &g->scratch);
    value_builder_init(&d.append, &g->scratch);
    value_builder_init(&groups, &g->scratch);
    for (uint32_t i = 0; i < p->set_count; i++) {
        enum err err = eval_one(g, &p->sets[i], &names, &d, why);
        if (err) {
            return err;
        }
    }
    if (d.to.count) {
        value_map_add(&groups, STR("to"), value_map_done(&d.to));
    }
    if (d.append.count) {
        value_map_add(&groups, STR("append"), value_map_done(&d.append));
    }
    if (groups.count) {
        *out = value_map_done(&groups);
    }
    return d.to.ok && d.append.ok && groups.ok ? OK : error_nomem(why);
}

/* ---- the fold ---- */

static enum err corrupt(const struct event *ev, struct error *e) {
    return error_set(e, ERR_CORRUPT, "event %llu sets what is no variable of the workflow",
                     (unsigned long long)ev->seq);
}

static enum err apply_one(struct engine *g, const struct event *ev, struct value_pair change,
                          bool grows, struct error *e) {
    struct str name = value_str(change.key);
    uint32_t var = 0;
    while (var < g->plan->var_count && !str_eq(g->plan->vars[var].name, name)) {
        var++;
    }
    if (var == g->plan->var_count) {
        return corrupt(ev, e);
    }
    struct var_state *s = &g->vars[var];
    size_t size = value_size(change.val);
    s->is_set = true;
    if (!grows) {
        s->room = 0;
        s->size_bytes = size;
        return held_set(&s->held, change.val, e);
    }
    uint64_t most = change.val.type == VALUE_LIST   ? VALUE_MAX_COUNT
                    : change.val.type == VALUE_TEXT ? VALUE_MAX_TEXT
                                                    : 0;
    if (s->held.v.type != change.val.type || (uint64_t)s->held.v.extra + change.val.extra > most) {
        return corrupt(ev, e);
    }
    s->size_bytes += size;
    return held_append(&s->held, &s->room, change.val, e);
}

enum err vars_apply(struct engine *g, const struct event *ev, struct error *e) {
    for (int grows = 0; grows < 2; grows++) {
        const struct value *group = value_get(ev->set, grows ? STR("append") : STR("to"));
        for (size_t i = 0; group && group->type == VALUE_MAP && i < value_count(*group); i++) {
            enum err err = apply_one(g, ev, group->pairs[i], grows, e);
            if (err) {
                return err;
            }
        }
    }
    return OK;
}
