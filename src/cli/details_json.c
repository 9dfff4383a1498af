/* The JSON of an execution: keys in camelCase, times RFC 3339 UTC with milliseconds, durations in
 * durationMs. The same vocabulary on the command line and, later, over HTTP.
 */
#include "cli/details.h"

#include "cli/losses.h"

static void add_text(struct value_builder *b, const char *name, struct str text) {
    value_map_add(b, str_from(name), text.len ? value_text(text) : value_null());
}

static void add_count(struct value_builder *b, const char *name, uint64_t n) {
    value_map_add(b, str_from(name), value_int((int64_t)n));
}

static void add_time(struct value_builder *b, const char *name, wall_us t) {
    char text[TIME_RFC3339_BYTES];
    struct str kept = {0};
    if (t.us) {
        time_print_rfc3339(t, text);
        kept = arena_str(b->arena, str_from(text));
        b->ok = b->ok && kept.ptr;
    }
    add_text(b, name, kept);
}

static void add_duration(struct value_builder *b, int64_t us) {
    value_map_add(b, STR("durationMs"), us < 0 ? value_null() : value_int(us / 1000));
}

static void add_json(struct value_builder *b, const char *name, struct str json) {
    value_map_add(b, str_from(name), details_value(b->arena, json));
}

static void add_number(struct value_builder *b, const char *name, double n) {
    value_map_add(b, str_from(name), n < 0 ? value_null() : value_double(n));
}

/* ---- usage ---- */

static double number_of(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    if (!v) {
        return -1;
    }
    return v->type == VALUE_INT      ? (double)v->num
           : v->type == VALUE_UINT   ? (double)v->unum
           : v->type == VALUE_DOUBLE ? v->real
                                     : -1;
}

struct value details_usage(const struct details *d, struct arena *a, double *out_cost_usd) {
    static const char *const names[] = {"inputTokens", "outputTokens", "cachedTokens", "llmCalls"};
    double sums[ARRAY_LEN(names)] = {0};
    struct value_builder b;
    bool any = false;
    *out_cost_usd = -1;
    for (uint32_t i = 0; i < d->step_count; i++) {
        struct value usage = details_value(a, d->steps[i].usage);
        double cost = number_of(usage, "costUsd");
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            double n = number_of(usage, names[k]);
            sums[k] += n > 0 ? n : 0;
            any = any || n >= 0;
        }
        if (cost >= 0) {
            *out_cost_usd = (*out_cost_usd < 0 ? 0 : *out_cost_usd) + cost;
        }
    }
    value_builder_init(&b, a);
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        add_count(&b, names[k], (uint64_t)sums[k]);
    }
    return any ? value_map_done(&b) : value_null();
}

/* ---- steps ---- */

static int64_t step_duration(const struct store_step *x, wall_us now, bool live) {
    if (!x->started.us) {
        return -1;
    }
    int64_t end = x->completed.us ? x->completed.us : live ? now.us : -1;
    return end < 0 ? -1 : end > x->started.us ? end - x->started.us : 0;
}

static struct value step_json(struct arena *a, const struct store_step *x, wall_us now, bool live) {
    struct value_builder b;
    struct value usage = details_value(a, x->usage);
    value_builder_init(&b, a);
    add_text(&b, "id", x->step);
    add_text(&b, "taskId", x->node);
    add_text(&b, "node", x->node);
    add_text(&b, "kind", x->kind);
    add_text(&b, "description", x->description);
    add_text(&b, "actionType", str_is(x->kind, "agent") ? STR("inference") : STR("tool"));
    add_text(&b, "toolOrPromptName", x->kind);
    add_count(&b, "iteration", x->iteration);
    value_map_add(&b, STR("index"), x->index < 0 ? value_null() : value_int(x->index));
    add_count(&b, "generation", x->generation);
    add_count(&b, "attempt", x->attempt);
    add_text(&b, "status", x->status);
    value_map_add(&b, STR("rolledBack"), value_bool(details_step_undone(x)));
    add_json(&b, "dependencies", x->dependencies.len ? x->dependencies : STR("[]"));
    add_time(&b, "startedAt", x->started);
    add_time(&b, "completedAt", x->completed);
    add_duration(&b, step_duration(x, now, live));
    add_text(&b, "handle", x->handle);
    add_text(&b, "contentType", x->content_type);
    add_json(&b, "result", x->result);
    add_json(&b, "error", x->error);
    add_json(&b, "meta", x->meta);
    value_map_add(&b, STR("usage"), usage);
    add_number(&b, "costUsd", number_of(usage, "costUsd"));
    return value_map_done(&b);
}

static void add_steps(struct value_builder *b, const struct details *d) {
    struct value_builder list;
    bool live = !str_is(details_status(&d->stored), "interrupted");
    value_builder_init(&list, b->arena);
    for (uint32_t i = 0; i < d->step_count; i++) {
        value_list_add(&list, step_json(b->arena, &d->steps[i], d->now, live));
    }
    value_map_add(b, STR("subSteps"), value_list_done(&list));
    b->ok = b->ok && list.ok;
}

/* ---- the execution ---- */

/* Inputs that tools for DAG jobs show beside the execution. */
static void add_request(struct value_builder *b, struct value inputs) {
    static const char *const names[] = {"original_request", "request", "goal"};
    struct str intent = details_text(inputs, "primary_intent");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str text = details_text(inputs, names[i]);
        if (text.len) {
            add_text(b, "originalRequest", text);
            break;
        }
    }
    if (intent.len) {
        add_text(b, "primaryIntent", intent);
    }
}

static void add_head(struct value_builder *b, const struct store_execution *x, wall_us now) {
    const struct store_row *row = &x->row;
    struct value inputs = details_value(b->arena, x->fixed.inputs);
    add_text(b, "id", x->fixed.id);
    add_text(b, "workflow", x->fixed.workflow);
    add_text(b, "workflowVersion", x->fixed.workflow_hash);
    add_text(b, "status", row->status);
    add_text(b, "effectiveStatus", details_status(x));
    add_request(b, inputs);
    value_map_add(b, STR("inputs"), inputs);
    add_count(b, "totalTasks", row->total_tasks);
    add_count(b, "completedTasks", row->completed_tasks);
    add_count(b, "failedTasks", row->failed_tasks);
    add_count(b, "skippedTasks", row->skipped_tasks);
    add_count(b, "waitingTasks", row->waiting_tasks);
    add_time(b, "createdAt", x->fixed.created);
    add_time(b, "startedAt", row->started);
    add_time(b, "completedAt", row->completed);
    add_duration(b, details_duration(x, now));
    add_json(b, "finalResult", row->result);
    add_json(b, "error", row->error);
    add_json(b, "labels", x->fixed.labels.len ? x->fixed.labels : STR("{}"));
}

struct value details_json(struct arena *a, const struct store_execution *x, wall_us now,
                          const struct details *d) {
    struct value_builder b;
    value_builder_init(&b, a);
    add_head(&b, x, now);
    if (d) {
        double cost;
        struct value usage = details_usage(d, a, &cost);
        bool declared = d->plan && d->plan->has_outputs;
        add_json(&b, "outputs", declared ? x->row.result : STR(""));
        value_map_add(&b, STR("usage"), usage);
        add_number(&b, "costUsd", cost);
        value_map_add(&b, STR("budget"), d->budget);
        value_map_add(&b, STR("undo"), d->undo);
        add_text(&b, "parentId", d->parent);
        value_map_add(&b, STR("failures"), losses_failures(d, a));
        value_map_add(&b, STR("notRun"), losses_list(d, a));
        value_map_add(&b, STR("stopped"), losses_stopped(d, a));
        add_steps(&b, d);
    }
    return b.ok ? value_map_done(&b) : value_null();
}
