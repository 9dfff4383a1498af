/* What a process that performs items of a foreach is told: frames for code_items.c.
 *
 * Of the names that an item sees the item, its index, `step` and the node's own `in` are made for
 * each. The others are bodies of needs and the like, which may be large: they are told once, each
 * as JSON inside a text, so that the process reads only those that the code asks for.
 * Invariant: a value that was told is told again when it may have changed.
 */
#include <stdlib.h>

#include "flow/plan.h"
#include "node/code_priv.h"

void code_sent_fini(struct code_sent *s) {
    free(s->values);
    *s = (struct code_sent){0};
}

struct str code_frame(struct buf *b, struct str text) {
    uint32_t len = (uint32_t)text.len;
    buf_reset(b);
    buf_append(b, (struct str){(const char *)&len, sizeof len});
    buf_append(b, text);
    return buf_ok(b) && len == text.len ? buf_str(b) : (struct str){0};
}

static bool is_of_item(const struct plan_node *n, struct str name) {
    bool own = str_is(name, "item") || str_is(name, "index") || str_is(name, "step") ||
               str_eq(name, n->foreach.as);
    for (uint32_t i = 0; !own && i < n->in_count; i++) {
        own = str_eq(name, n->ins[i].name);
    }
    return own;
}

/* A body is never changed and lives as long as its step counts, so the same place is the same
 * value. */
static bool is_same(struct value a, struct value b) {
    return a.type == b.type && a.extra == b.extra && a.unum == b.unum;
}

static bool print(struct value v, struct arena *a, struct value *out, struct error *e) {
    struct buf text;
    struct value marked;
    if (code_mark(a, v, false, &marked, e) != OK) {
        return false;
    }
    buf_init(&text, 0);
    value_print_json(marked, 0, &text);
    struct str kept = arena_str(a, buf_str(&text));
    bool ok = buf_ok(&text) && kept.ptr != NULL;
    buf_fini(&text);
    *out = value_text(kept);
    return ok;
}

static bool room_for(struct code_sent *s, size_t count) {
    if (s->values == NULL || s->count != count) {
        code_sent_fini(s);
        s->values = calloc(count + 1, sizeof *s->values);
        s->count = s->values != NULL ? count : 0;
        for (size_t i = 0; i < s->count; i++) {
            s->values[i].type = UINT8_MAX; /* none is of this type */
        }
    }
    return s->values != NULL;
}

static bool add_names(const struct code_job *job, const struct plan_node *n, struct code_sent *sent,
                      struct value_builder *own, struct value_builder *shared, struct error *e) {
    size_t count = value_count(job->names);
    bool ok = room_for(sent, count);
    for (size_t i = 0; ok && i < count; i++) {
        struct str name = value_str(job->names.pairs[i].key);
        struct value v = job->names.pairs[i].val, said;
        if (is_of_item(n, name)) {
            value_map_add(own, name, v);
        } else if (!is_same(v, sent->values[i])) {
            ok = print(v, shared->arena, &said, e);
            value_map_add(shared, name, said);
            sent->values[i] = v;
        }
    }
    return ok && own->ok && shared->ok;
}

static enum err make_item(const struct code_job *job, const struct step_port *port,
                          struct code_sent *sent, struct arena *a, struct value *out,
                          struct error *e) {
    struct value_builder own, shared, all;
    struct value names, env;
    value_builder_init(&own, a);
    value_builder_init(&shared, a);
    value_builder_init(&all, a);
    enum err status = code_item_env(job, port->in, a, &env, e);
    if (status != OK) {
        return status;
    }
    bool ok = add_names(job, port->in->node, sent, &own, &shared, e) &&
              code_mark(a, value_map_done(&own), false, &names, e) == OK;
    if (!ok) {
        return error_nomem(e);
    }
    value_map_add(&all, STR("names"), names);
    value_map_add(&all, STR("shared"), value_map_done(&shared));
    value_map_add(&all, STR("env"), env);
    *out = value_map_done(&all);
    return all.ok ? OK : error_nomem(e);
}

enum err code_step_frame(const struct code_job *job, const struct step_port *port, struct buf *b,
                         struct str *out, struct error *e) {
    struct arena a;
    struct str text;
    arena_init(&a, 0);
    enum err status = code_job_text(job, port, &a, &text, e);
    if (status == OK) {
        *out = code_frame(b, text);
        status = out->ptr != NULL ? OK : error_nomem(e);
    }
    arena_fini(&a);
    return status;
}

enum err code_item_frame(const struct code_job *job, const struct step_port *port,
                         struct code_sent *sent, struct buf *b, struct str *out, struct error *e) {
    struct arena a;
    struct buf text;
    struct value item;
    arena_init(&a, 0);
    buf_init(&text, 0);
    enum err status = make_item(job, port, sent, &a, &item, e);
    if (status == OK) {
        value_print_json(item, 0, &text);
        *out = buf_ok(&text) ? code_frame(b, buf_str(&text)) : (struct str){0};
        status = out->ptr != NULL ? OK : error_nomem(e);
    }
    buf_fini(&text);
    arena_fini(&a);
    return status;
}
