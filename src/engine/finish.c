/* Ends: of a step that did its work, and of the execution when every node is final.
 * finalResult (of completed and partial, else null) = outputs if declared, else the value of the
 * end node that completed last, else null.
 */
#include <stdio.h>

#include "base/mutant.h"
#include "engine/engine_priv.h"

static enum err refuse(struct engine *g, struct step_id step, uint32_t attempt, const char *type,
                       const char *message, struct error *e) {
    struct step_failure f = {
        .class = FAILURE_PERMANENT, .type = str_from(type), .message = str_from(message)};
    return engine_attempt_failed(g, step, attempt, &f, e);
}

/* Checks the body against output_schema; a message in text when it does not fit. */
static enum err check_schema(struct engine *g, const struct schema *s, struct value body,
                             char *text, size_t size, struct error *e) {
    struct schema_result found = {0};
    arena_reset(&g->scratch);
    enum err err = schema_check(s, body, &g->scratch, &found, e);
    if (err || found.valid) {
        text[0] = '\0';
        return err == ERR_LIMIT ? OK : err;
    }
    const struct schema_error *first = &found.errors[0];
    snprintf(text, size, "the body does not fit output_schema: %.*s%s%.*s",
             STR_ARG(first->instance), first->instance.len ? ": " : "", STR_ARG(first->message));
    return OK;
}

/* An integer in data that 64 bits do not hold came as a double: the envelope says so. */
static enum err mark_lossy(struct engine *g, struct event *ev, struct error *e) {
    struct value_builder b;
    if (!value_is_lossy(ev->body)) {
        return OK;
    }
    value_builder_init(&b, &g->scratch);
    for (size_t i = 0; ev->meta.type == VALUE_MAP && i < value_count(ev->meta); i++) {
        value_map_add_value(&b, ev->meta.pairs[i].key, ev->meta.pairs[i].val);
    }
    value_map_add(&b, STR("lossy"), value_bool(true));
    ev->meta = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

enum err engine_check_result(struct engine *g, struct step_id step, const struct step_result *r,
                             const char **out_type, char text[ERROR_MESSAGE_BYTES],
                             struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    text[0] = '\0';
    if (r->handle.len && plan_handle_find(p, r->handle) >= p->handle_count) {
        *out_type = "handle";
        snprintf(text, ERROR_MESSAGE_BYTES,
                 "the step ended by \"%.*s\", which is no handle of its node",
                 STR_ARG(str_sub(r->handle, 0, 200)));
        return OK;
    }
    size_t size = value_size(r->body);
    if (size > ENGINE_MAX_OUTPUT_BYTES) {
        *out_type = "too_large";
        snprintf(text, ERROR_MESSAGE_BYTES, "the body has %zu bytes, more than max_output_bytes %u",
                 size, ENGINE_MAX_OUTPUT_BYTES);
        return OK;
    }
    *out_type = "schema";
    return p->output_schema
               ? check_schema(g, p->output_schema, r->body, text, ERROR_MESSAGE_BYTES, e)
               : OK;
}

/* A result that other executions may use is kept with its record: not what a person gave in place
 * of one that failed, nor what was itself kept. */
static enum err complete_and_keep(struct engine *g, struct event *ev, const struct step_result *r,
                                  struct error *e) {
    const struct item_state *item = engine_item_of(g, ev->step);
    struct flight *f = item ? item->flight : g->nodes[ev->step.node].flight;
    uint8_t status = item ? item->status : g->nodes[ev->step.node].status;
    bool own = !r->cached || MUTANT(keep_again);
    if (!f || !own || status != STEP_RUNNING || !flight_cache_key(f).len) {
        return engine_emit_end(g, ev, e);
    }
    struct engine_effect fx = {.type = OUT_KEEP,
                               .step = ev->step,
                               .attempt = (uint32_t)ev->attempt,
                               .flight = flight_ref(f),
                               .record = g->out->record_count};
    enum err err = engine_emit_end(g, ev, e);
    err = err ? err : engine_emit_effect(g, &fx, e);
    flight_unref(f);
    return err;
}

enum err engine_complete_step(struct engine *g, struct step_id step, uint32_t attempt,
                              const struct step_result *r, wall_us started, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[step.node];
    char text[ERROR_MESSAGE_BYTES];
    const char *wrong;
    enum err err = engine_check_result(g, step, r, &wrong, text, e);
    if (err || text[0]) {
        return err ? err : refuse(g, step, attempt, wrong, text, e);
    }
    struct event ev = event_of_step(EVENT_STEP_COMPLETED, step);
    ev.attempt = attempt == 1 ? 0 : attempt; /* absent means the first */
    ev.handle = p->handle_count > 1 ? r->handle : (struct str){0};
    ev.body = r->body;
    ev.meta = r->meta;
    ev.content = r->conversation ? CONTENT_CONVERSATION : CONTENT_BY_BODY;
    ev.started_us = started.us;
    struct error why;
    arena_reset(&g->scratch);
    err = vars_eval(g, step, r->body, &ev.set, &why);
    if (err) {
        return err == ERR_NOMEM ? error_nomem(e)
                                : refuse(g, step, attempt, err_name(err), why.message, e);
    }
    err = mark_lossy(g, &ev, e);
    err = err ? err : complete_and_keep(g, &ev, r, e);
    return err              ? err
           : step.index < 0 ? engine_checkpoint_node(g, step.node, e)
                            : foreach_settle(g, step.node, e);
}

static enum err end_execution(struct engine *g, struct event *ev, struct error *e) {
    enum err err = engine_emit(g, ev, e);
    struct engine_effect fx = {.type = OUT_ENDED};
    return err ? err : engine_emit_effect(g, &fx, e);
}

static enum err end_failed(struct engine *g, struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_FAILED};
    return end_execution(g, &ev, e);
}

static enum err fail_now(struct engine *g, const char *type, const char *message, struct str node,
                         struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_FAILING,
                       .error_type = str_from(type),
                       .message = str_from(message),
                       .node = node,
                       .mode = 2};
    enum err err = engine_emit(g, &ev, e);
    err = err ? err : engine_wind_down(g, true, e);
    return err ? err : end_failed(g, e);
}

enum err engine_check_vars(struct engine *g, struct error *e) {
    return g->vars_error.ptr ? fail_now(g, "expression", g->vars_error.ptr, STR(""), e) : OK;
}

static enum err eval_outputs(struct engine *g, struct value *out, struct error *why) {
    const struct plan *p = g->plan;
    struct names names;
    struct value_builder b;
    names_init(&names, g, UINT32_MAX, &g->scratch);
    value_builder_init(&b, &g->scratch);
    for (uint32_t i = 0; i < p->output_count; i++) {
        struct value v;
        enum err err = pval_eval(&p->outputs[i], &names.env, &v, why);
        if (err) {
            return err;
        }
        value_map_add(&b, p->output_names[i], v);
    }
    *out = value_map_done(&b);
    return b.ok ? OK : error_nomem(why);
}

bool engine_any_allowed_failure(const struct engine *g) {
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        if (g->nodes[i].why != WHY_NONE) {
            return true;
        }
    }
    return false;
}

enum err engine_eval_result(struct engine *g, struct value *out, struct error *why) {
    arena_reset(&g->scratch);
    *out = g->end_count ? g->nodes[g->ends[g->end_count - 1]].body.v : value_null();
    return g->plan->has_outputs ? eval_outputs(g, out, why) : OK;
}

static enum err end_well(struct engine *g, struct error *e) {
    struct event ev = {.kind = EVENT_EXECUTION_COMPLETED, .partial = engine_any_allowed_failure(g)};
    struct error why;
    if (g->phase == PHASE_FINALLY) {
        ev.body = g->prepared.v;
        return end_execution(g, &ev, e);
    }
    enum err err = engine_eval_result(g, &ev.body, &why);
    if (err) {
        return err == ERR_NOMEM ? error_nomem(e)
                                : fail_now(g, err_name(err), why.message, STR(""), e);
    }
    return end_execution(g, &ev, e);
}

/* Nothing runs, nothing can start, and yet it is not at an end. Never happens in a valid plan. */
static enum err deadlock(struct engine *g, struct error *e) {
    char text[ERROR_MESSAGE_BYTES];
    struct buf nodes;
    buf_init(&nodes, 600);
    for (uint32_t i = 0; i < g->plan->node_count; i++) {
        if (!step_status_final(g->nodes[i].status)) {
            buf_printf(&nodes, "%s%.*s", nodes.len ? ", " : "", STR_ARG(g->plan->nodes[i].name));
        }
    }
    size_t used = (size_t)snprintf(text, sizeof text, "nothing can go on; open edges:");
    for (uint32_t i = 0; i < g->plan->edge_count && used < sizeof text - 200; i++) {
        const struct plan_edge *edge = &g->plan->edges[i];
        if (g->effective[i] == EDGE_OPEN) {
            const struct plan_node *source = &g->plan->nodes[edge->source];
            struct str from = str_sub(source->name, 0, 60);
            struct str by = str_sub(plan_handle_name(source, edge->handle), 0, 60);
            struct str to = str_sub(g->plan->nodes[edge->target].name, 0, 60);
            used += (size_t)snprintf(text + used, sizeof text - used, " %.*s.%.*s->%.*s",
                                     STR_ARG(from), STR_ARG(by), STR_ARG(to));
        }
    }
    enum err err = fail_now(g, "deadlock", text, buf_str(&nodes), e);
    buf_fini(&nodes);
    return err;
}

enum err engine_finish_if_done(struct engine *g, bool *out_again, struct error *e) {
    enum ending ending = ENDING_NONE;
    if (exec_status_final(g->status) || g->status == EXEC_PENDING) {
        return OK;
    }
    if (g->unfinished > 0) {
        return g->active > 0 || g->paused ? OK : deadlock(g, e);
    }
    enum err err = ending_next(g, &ending, e);
    *out_again = ending == ENDING_CALLED;
    if (err || ending != ENDING_NONE) {
        return err;
    }
    if (g->has_error) {
        return end_failed(g, e);
    }
    if (g->cancelling) {
        struct event ev = {.kind = EVENT_EXECUTION_CANCELLED};
        return end_execution(g, &ev, e);
    }
    return end_well(g, e);
}
