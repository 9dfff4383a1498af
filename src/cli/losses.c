/* What an execution lost: the steps that failed, and the nodes that did not run because of one.
 *
 * A node was lost to the nearest node that failed on a way to it over nodes that did not run; one
 * that was cancelled otherwise, to what made the execution fail, or to who cancelled what had
 * failed and still went on. What a condition left out is no loss.
 */
#include "cli/losses.h"

#define NOT_SEEN UINT32_MAX
#define BY_SOMEBODY (UINT32_MAX - 1)

struct ended {
    uint8_t status;
    bool by_somebody;
};

static bool did_not_run(uint8_t status) {
    return status == STEP_SKIPPED || status == STEP_CANCELLED;
}

static uint8_t status_of(struct str word) {
    for (int s = STEP_PENDING; s <= STEP_CANCELLED; s++) {
        if (str_is(word, step_status_name((enum step_status)s))) {
            return (uint8_t)s;
        }
    }
    return STEP_PENDING;
}

static bool was_by_somebody(const struct details *d, const struct store_step *x) {
    return d->cancelled.us && x->completed.us >= d->cancelled.us && str_is(x->status, "cancelled");
}

/* As each node ended: rows are in the order in which steps began, items apart. */
static struct ended *ends_of(const struct details *d, struct arena *a) {
    struct ended *out = ARENA_ARRAY(a, (size_t)d->plan->node_count + 1, struct ended);
    for (uint32_t i = 0; out && i < d->step_count; i++) {
        const struct store_step *x = &d->steps[i];
        int64_t node = plan_node_find(d->plan, x->node);
        if (node >= 0 && x->index < 0 && !details_step_undone(x)) {
            out[node] = (struct ended){status_of(x->status), was_by_somebody(d, x)};
        }
    }
    return out;
}

/* The failed node that an edge brings word of, or NOT_SEEN. Nodes before this one are known. */
static uint32_t over_edge(const struct plan_edge *edge, const struct ended *ends,
                          const uint32_t *because) {
    uint32_t source = edge->source;
    if (ends[source].status == STEP_FAILED) {
        return edge->handle == HANDLE_ERROR ? NOT_SEEN : source;
    }
    bool brings = did_not_run(ends[source].status) && because[source] != BY_SOMEBODY;
    return brings ? because[source] : NOT_SEEN;
}

/* One more step from each node to those after it; false when nothing is new. */
static bool spread(const struct plan *p, const struct ended *ends, uint32_t *because) {
    bool changed = false;
    for (uint32_t i = 0; i < p->node_count; i++) {
        const struct plan_node *n = &p->nodes[i];
        for (uint32_t k = 0;
             did_not_run(ends[i].status) && because[i] == NOT_SEEN && k < n->in_count_edges; k++) {
            because[i] = over_edge(&p->edges[n->in_edges[k]], ends, because);
            changed = changed || because[i] != NOT_SEEN;
        }
    }
    return changed;
}

static void find_causes(const struct details *d, const struct ended *ends, uint32_t *because,
                        struct arena *a) {
    struct str named = details_text(details_value(a, d->stored.row.error), "node");
    int64_t failing = named.len ? plan_node_find(d->plan, named) : -1;
    for (uint32_t i = 0; i < d->plan->node_count; i++) {
        because[i] = ends[i].by_somebody ? BY_SOMEBODY : NOT_SEEN;
    }
    while (spread(d->plan, ends, because)) {}
    for (uint32_t i = 0; i < d->plan->node_count; i++) {
        if (because[i] == NOT_SEEN && ends[i].status == STEP_CANCELLED && failing >= 0) {
            because[i] = (uint32_t)failing;
        }
    }
}

static struct value loss(const struct details *d, uint32_t node, uint8_t status, uint32_t because,
                         struct arena *a) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("node"), value_text(arena_str(a, d->plan->nodes[node].name)));
    value_map_add(&b, STR("status"),
                  value_text(str_from(step_status_name((enum step_status)status))));
    value_map_add(&b, because == BY_SOMEBODY ? STR("by") : STR("because"),
                  value_text(arena_str(a, because == BY_SOMEBODY ? d->canceller
                                                                 : d->plan->nodes[because].name)));
    return value_map_done(&b);
}

struct value losses_list(const struct details *d, struct arena *a) {
    struct value_builder list;
    value_builder_init(&list, a);
    struct ended *ends = d->plan ? ends_of(d, a) : NULL;
    uint32_t *because = ends ? ARENA_ARRAY(a, (size_t)d->plan->node_count + 1, uint32_t) : NULL;
    if (because) {
        find_causes(d, ends, because, a);
    }
    for (uint32_t i = 0; because && i < d->plan->node_count; i++) {
        if (because[i] != NOT_SEEN) {
            value_list_add(&list, loss(d, i, ends[i].status, because[i], a));
        }
    }
    return value_list_done(&list);
}

/* Only a retry begins an iteration of a node again, or an earlier one, when it has ended. */
static bool was_done_anew(const struct details *d, const struct store_step *x) {
    for (uint32_t i = 0; i < d->step_count; i++) {
        const struct store_step *again = &d->steps[i];
        if (again->index < 0 && again->iteration <= x->iteration &&
            again->started.us > x->completed.us && str_eq(again->node, x->node) &&
            !details_step_undone(again)) {
            return true;
        }
    }
    return false;
}

struct value losses_failures(const struct details *d, struct arena *a) {
    struct value_builder list;
    value_builder_init(&list, a);
    for (uint32_t i = 0; i < d->step_count; i++) {
        if (str_is(d->steps[i].status, "failed") && !details_step_undone(&d->steps[i]) &&
            !was_done_anew(d, &d->steps[i])) {
            struct value_builder b;
            value_builder_init(&b, a);
            value_map_add(&b, STR("step"), value_text(arena_str(a, d->steps[i].step)));
            value_map_add(&b, STR("node"), value_text(arena_str(a, d->steps[i].node)));
            value_map_add(&b, STR("error"), details_value(a, d->steps[i].error));
            value_list_add(&list, value_map_done(&b));
        }
    }
    return value_list_done(&list);
}

/* ---- what was under way ---- */

static bool is_newer(const struct store_step *x, const struct store_step *than) {
    return x->iteration > than->iteration ||
           (x->iteration == than->iteration && x->generation > than->generation);
}

/* By node: index of its newest step; what a retry did anew was stopped at an earlier end. */
static void find_newest(const struct details *d, struct map *out) {
    for (uint32_t i = 0; i < d->step_count; i++) {
        bool is_new;
        struct map_entry *x = map_put(out, d->steps[i].node, &is_new);
        if (x && (is_new || is_newer(&d->steps[i], &d->steps[x->num]))) {
            x->num = i;
        }
    }
}

static bool was_stopped(const struct details *d, const struct map *newest, uint32_t step) {
    const struct store_step *x = &d->steps[step];
    const struct map_entry *last = map_find(newest, x->node);
    return str_is(x->status, "cancelled") && x->started.us && !details_step_undone(x) && last &&
           !is_newer(&d->steps[last->num], x);
}

static void add_moment(struct value_builder *b, const char *name, wall_us at) {
    char text[TIME_RFC3339_BYTES];
    time_print_rfc3339(at, text);
    value_map_add(b, str_from(name), value_text(arena_str(b->arena, str_from(text))));
}

struct value losses_stopped(const struct details *d, struct arena *a) {
    struct value_builder list;
    struct map newest;
    map_init(&newest, a);
    find_newest(d, &newest);
    value_builder_init(&list, a);
    for (uint32_t i = 0; i < d->step_count; i++) {
        if (was_stopped(d, &newest, i)) {
            struct value_builder b;
            value_builder_init(&b, a);
            value_map_add(&b, STR("step"), value_text(arena_str(a, d->steps[i].step)));
            add_moment(&b, "since", d->steps[i].started);
            value_map_add(&b, STR("durationMs"),
                          value_int((d->steps[i].completed.us - d->steps[i].started.us) / 1000));
            value_map_add(&b, STR("attempt"), value_int(d->steps[i].attempt));
            if (was_by_somebody(d, &d->steps[i])) {
                value_map_add(&b, STR("by"), value_text(arena_str(a, d->canceller)));
            }
            value_list_add(&list, value_map_done(&b));
        }
    }
    return value_list_done(&list);
}

/* ---- for people ---- */

static bool is_same(struct value x, struct value y) {
    return !value_get(x, STR("by")) == !value_get(y, STR("by")) &&
           str_eq(details_text(x, "because"), details_text(y, "because")) &&
           str_eq(details_text(x, "status"), details_text(y, "status"));
}

static bool was_told(struct value list, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (is_same(list.items[i], list.items[at])) {
            return true;
        }
    }
    return false;
}

/* "    skipped because of fetch: parse, store", "    cancelled by ann: tell" */
static void put_group(struct buf *b, struct value list, size_t first) {
    uint32_t shown = 0;
    buf_append_cstr(b, "    ");
    text_clean(b, details_text(list.items[first], "status"));
    const struct value *by = value_get(list.items[first], STR("by"));
    buf_append_cstr(b, by ? " by " : " because of ");
    text_clean(b, by ? value_str(*by) : details_text(list.items[first], "because"));
    for (size_t i = first; i < value_count(list) && shown <= LOSSES_SHOWN; i++) {
        if (is_same(list.items[i], list.items[first])) {
            buf_append_cstr(b, shown ? ", " : ": ");
            text_clean(b,
                       shown++ == LOSSES_SHOWN ? STR("...") : details_text(list.items[i], "node"));
        }
    }
    buf_append_char(b, '\n');
}

static const char *when_it_was(struct value error, struct str status) {
    bool timeout =
        str_is(details_text(error, "type"), "timeout") && !details_text(error, "node").len;
    return timeout                       ? "its time was up"
           : str_is(status, "cancelled") ? "it was cancelled"
                                         : "it failed";
}

/* Those that somebody stopped after the failure, or all others. */
static void put_stopped(struct buf *b, struct value list, const char *why, bool by_somebody) {
    uint32_t shown = 0;
    for (size_t i = 0; i < value_count(list) && shown <= LOSSES_SHOWN; i++) {
        const struct value *by = value_get(list.items[i], STR("by"));
        if (by_somebody != (by != NULL)) {
            continue;
        }
        if (!shown) {
            buf_printf(b, "    under way when %s", why);
            text_clean(b, by ? value_str(*by) : STR(""));
        }
        buf_append_cstr(b, shown ? ", " : ": ");
        if (shown++ == LOSSES_SHOWN) {
            buf_append_cstr(b, "...");
            continue;
        }
        text_clean(b, details_text(list.items[i], "step"));
        buf_append_cstr(b, " for ");
        text_duration(b, value_get(list.items[i], STR("durationMs"))->num * 1000);
    }
    buf_append_cstr(b, shown ? "\n" : "");
}

void losses_print_stopped(struct buf *b, struct value list, struct value error, struct str status) {
    put_stopped(b, list, when_it_was(error, status), false);
    put_stopped(b, list, "it was cancelled by ", true);
}

void losses_print(struct buf *b, struct value list) {
    for (size_t i = 0; i < value_count(list); i++) {
        if (!was_told(list, i)) {
            put_group(b, list, i);
        }
    }
}
