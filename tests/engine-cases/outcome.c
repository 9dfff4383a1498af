/* What came out of a run, in the form of a case's expected result.
 *
 * Two things are simplified on purpose, as the form asks: of an error only type and node are told,
 * and a collected failure of an item is its type. A pure kind can only fail by a code of cairn's
 * own; "transient" is the one by which the scripted ones do, and reads "failed" here.
 */
#include "cases.h"

#include <stdlib.h>

static struct value step_text(const struct case_run *r, struct arena *a, struct step_id step) {
    char text[STEP_ID_BYTES];
    return value_text(arena_str(a, step_id_print(r->plan, step, text)));
}

static struct value status_text(enum step_status s) {
    return value_text(str_from(step_status_name(s)));
}

static struct value failure_type(struct str type) {
    return value_text(str_is(type, "transient") ? STR("failed") : type);
}

/* The open edges that a deadlock's message lists. */
static struct value open_edges(struct str message, struct arena *a) {
    struct value_builder list;
    value_builder_init(&list, a);
    struct str rest = str_sub(message, str_find(message, STR(": "), 0), message.len);
    rest = str_trim(str_sub(rest, 1, rest.len));
    while (rest.len) {
        value_list_add(&list, value_text(str_split(rest, ' ', &rest)));
    }
    return value_list_done(&list);
}

static struct str without_spaces(struct str s, struct arena *a) {
    char *out = arena_alloc(a, s.len + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < s.len; i++) {
        if (s.ptr[i] != ' ') {
            out[len++] = s.ptr[i];
        }
    }
    return (struct str){out, len};
}

static struct value error_map(const struct case_run *r, struct arena *a) {
    const struct engine_error *error = engine_error(r->engine);
    if (!error || engine_status(r->engine) != EXEC_FAILED) {
        return value_null();
    }
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("type"), failure_type(error->type));
    value_map_add(&b, STR("node"), value_text(without_spaces(error->node, a)));
    if (str_is(error->type, "deadlock")) {
        value_map_add(&b, STR("open"), open_edges(error->message, a));
    }
    return value_map_done(&b);
}

static struct value pair(struct arena *a, struct value first, struct value second) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_list_add(&b, first);
    value_list_add(&b, second);
    return value_list_done(&b);
}

/* File order, then iteration, then index. */
static int by_place(const void *x, const void *y) {
    const struct step_id *a = &(*(const struct track *const *)x)->step;
    const struct step_id *b = &(*(const struct track *const *)y)->step;
    if (a->node != b->node) {
        return a->node < b->node ? -1 : 1;
    }
    if (a->iteration != b->iteration) {
        return a->iteration < b->iteration ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static struct value steps_list(const struct case_run *r, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    uint32_t count = engine_track_count(r->engine), idle = 0;
    const struct track **never = ARENA_ARRAY(a, count + 1, const struct track *);
    for (uint32_t i = 0; i < count && never; i++) {
        const struct track *t = engine_track(r->engine, i);
        if (t->begun_tick) {
            value_list_add(&b, pair(a, step_text(r, a, t->step), status_text(t->status)));
        } else {
            never[idle++] = t;
        }
    }
    qsort(never, idle, sizeof *never, by_place);
    for (uint32_t i = 0; i < idle; i++) {
        value_list_add(&b, pair(a, step_text(r, a, never[i]->step), status_text(never[i]->status)));
    }
    return value_list_done(&b);
}

static struct value log_list(const struct case_run *r, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint32_t i = 0; i < r->log_count; i++) {
        const struct log_line *l = &r->log[i];
        struct value_builder line;
        value_builder_init(&line, a);
        value_list_add(&line, value_int(l->tick));
        value_list_add(&line, value_text(l->begins ? STR("start") : STR("end")));
        value_list_add(&line, step_text(r, a, l->step));
        if (!l->begins) {
            value_list_add(&line, status_text(l->status));
        }
        value_list_add(&b, value_list_done(&line));
    }
    return value_list_done(&b);
}

/* {ok: false, error: {type, ...}} becomes {ok: false, error: type}. */
static struct value collected(struct value list, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *error = value_get(list.items[i], STR("error"));
        const struct value *type = error ? value_get(*error, STR("type")) : NULL;
        struct value item = list.items[i];
        if (type) {
            struct value_builder entry;
            value_builder_init(&entry, a);
            value_map_add(&entry, STR("ok"), *value_get(item, STR("ok")));
            value_map_add(&entry, STR("error"), failure_type(value_str(*type)));
            item = value_map_done(&entry);
        }
        value_list_add(&b, item);
    }
    return value_list_done(&b);
}

static struct value body_of(const struct case_run *r, uint32_t node, struct arena *a) {
    struct value body = engine_node_body(r->engine, node);
    return r->plan->nodes[node].foreach.collect && body.type == VALUE_LIST ? collected(body, a)
                                                                           : body;
}

static struct value bodies_map(const struct case_run *r, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint32_t i = 0; i < r->plan->node_count; i++) {
        value_map_add(&b, r->plan->nodes[i].name, body_of(r, i, a));
    }
    return value_map_done(&b);
}

/* The result of a workflow whose outputs are bodies of nodes shows collected failures likewise. */
static struct value final_result(const struct case_run *r, struct arena *a) {
    struct value result = engine_result(r->engine);
    if (!r->plan->has_outputs || result.type != VALUE_MAP) {
        return result;
    }
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint32_t i = 0; i < r->plan->output_count; i++) {
        const struct value *v = value_get(result, r->plan->output_names[i]);
        struct value out = v ? *v : value_null();
        for (uint32_t k = 0; k < r->plan->node_count; k++) {
            if (r->plan->nodes[k].foreach.collect && out.type == VALUE_LIST &&
                value_identical(out, engine_node_body(r->engine, k))) {
                out = collected(out, a);
                break;
            }
        }
        value_map_add(&b, r->plan->output_names[i], out);
    }
    return value_map_done(&b);
}

struct value outcome_make(const struct case_run *r, struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("status"),
                  value_text(str_from(exec_status_name(engine_status(r->engine)))));
    value_map_add(&b, STR("error"), error_map(r, a));
    value_map_add(&b, STR("steps"), steps_list(r, a));
    value_map_add(&b, STR("log"), log_list(r, a));
    value_map_add(&b, STR("bodies"), bodies_map(r, a));
    value_map_add(&b, STR("finalResult"), final_result(r, a));
    for (uint32_t i = 0; i < r->plan->node_count; i++) {
        if (r->plan->nodes[i].set_count) {
            value_map_add(&b, STR("seen"), engine_var(r->engine, 0));
            break;
        }
    }
    return value_map_done(&b);
}

struct value outcome_refused(const struct diag *d, struct arena *a) {
    const struct diag_item *item = flow_first_finding(d);
    struct value_builder b, error;
    value_builder_init(&b, a);
    value_builder_init(&error, a);
    struct str text = item && item->subject.len ? item->subject : STR("");
    value_map_add(&error, STR("type"), value_text(item ? item->code : STR("nothing found")));
    value_map_add(&error, STR("text"), value_text(text.len || !item ? text : item->message));
    value_map_add(&b, STR("compile_error"), value_map_done(&error));
    return value_map_done(&b);
}
