/* Parts of the reasons that are counted or looked up beside the folded state: what a join looks at,
 * what lies in the inbox, until when the owner's lease goes, what was lost by a failure.
 */
#include "cli/explain_priv.h"
#include "cli/losses.h"

struct value explain_needs(const struct explaining *x, const struct plan_node *n) {
    struct value_builder list;
    struct arena *a = &x->s->cli->arena;
    value_builder_init(&list, a);
    for (uint32_t i = 0; i < n->in_count_edges; i++) {
        const struct plan_edge *edge = &x->v.plan->edges[n->in_edges[i]];
        const struct plan_node *source = &x->v.plan->nodes[edge->source];
        enum step_status status = engine_node_status(x->v.engine, edge->source);
        struct value_builder b;
        value_builder_init(&b, a);
        value_map_add(&b, STR("node"), value_text(arena_str(a, source->name)));
        value_map_add(&b, STR("handle"),
                      value_text(arena_str(a, plan_handle_name(source, edge->handle))));
        value_map_add(&b, STR("status"), value_text(str_from(step_status_name(status))));
        value_map_add(&b, STR("open"), value_bool(!step_status_final(status)));
        value_list_add(&list, value_map_done(&b));
    }
    return value_list_done(&list);
}

enum err explain_inbox(const struct explaining *x, struct value_builder *b, struct error *e) {
    struct store_inbox *rows;
    struct value_builder list;
    struct arena *a = &x->s->cli->arena;
    uint32_t count = 0;
    enum err err = store_inbox_open(x->s->store, x->v.stored.num, a, &rows, &count, e);
    value_builder_init(&list, a);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct value_builder row;
        value_builder_init(&row, a);
        value_map_add(&row, STR("number"), value_int(rows[i].id));
        explain_text(&row, "request", rows[i].kind);
        explain_text(&row, "step", rows[i].step);
        explain_time(&row, "since", rows[i].at);
        explain_text(&row, "by", details_text(details_value(a, rows[i].payload), "by"));
        value_list_add(&list, value_map_done(&row));
    }
    value_map_add(b, STR("requests"), value_int(count));
    value_map_add(b, STR("inbox"), value_list_done(&list));
    return err;
}

void explain_lease(const struct explaining *x, struct value_builder *b) {
    struct store_host *rows = NULL;
    uint32_t count = 0;
    struct error ignored;
    if (store_host_list(x->s->store, &x->s->cli->arena, &rows, &count, &ignored)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].id == x->v.stored.host) {
            explain_text(b, "hostname", rows[i].hostname);
            explain_time(b, "leaseUntil", rows[i].until);
        }
    }
}

enum err explain_losses(struct explaining *x, struct str id, struct value_builder *b,
                        struct error *e) {
    struct details d = {0};
    struct arena *a = &x->s->cli->arena;
    enum err err = id.len ? details_open(x->s, id, &d, e) : OK;
    if (!err) {
        value_map_add(b, STR("failures"), losses_failures(&d, a));
        value_map_add(b, STR("notRun"), losses_list(&d, a));
        value_map_add(b, STR("stopped"), losses_stopped(&d, a));
    }
    details_close(&d);
    return err;
}
