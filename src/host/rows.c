/* The read model: rows of executions, steps and messages made of an engine's state. All of it can
 * be made again from the journal.
 */
#include "host/host_priv.h"

/* What was printed, in a; starved: what it was made of may be missing in it. */
static struct str text_of(struct arena *a, struct buf *b) {
    a->starved = a->starved || b->starved;
    struct str text = buf_ok(b) && !a->starved ? arena_str(a, buf_str(b)) : (struct str){0};
    buf_fini(b);
    return text;
}

struct str json_text(struct arena *a, struct value v) {
    struct buf b;
    if (value_is_null(v)) {
        return STR("null");
    }
    buf_init(&b, 0);
    value_print_json(v, 0, &b);
    return text_of(a, &b);
}

static struct str error_json(struct arena *a, const struct engine_error *x) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("type"), value_text(x->type));
    value_map_add(&b, STR("message"), value_text(x->message));
    value_map_add(&b, STR("node"), x->node.len ? value_text(x->node) : value_null());
    value_map_add(&b, STR("attempt"), x->attempt ? value_int(x->attempt) : value_null());
    return json_text(a, value_map_done(&b));
}

/* Empty as long as nothing was used; with what a sub-workflow is charged with. */
static struct str usage_json(struct arena *a, struct engine_usage u, const struct account *below) {
    bool any = u.input_tokens || u.output_tokens || u.cached_tokens || u.llm_calls || below;
    struct value_builder b;
    if (!any) {
        return STR("");
    }
    value_builder_init(&b, a);
    value_map_add(&b, STR("inputTokens"), value_int(u.input_tokens));
    value_map_add(&b, STR("outputTokens"), value_int(u.output_tokens));
    value_map_add(&b, STR("cachedTokens"), value_int(u.cached_tokens));
    value_map_add(&b, STR("llmCalls"), value_int(u.llm_calls));
    if (u.priced) {
        value_map_add(&b, STR("costUsd"), value_double((double)u.nano_usd / BUDGET_NANO_USD));
    }
    if (below) {
        value_map_add(&b, STR("charged"), budget_charged(below, a));
    }
    return json_text(a, value_map_done(&b));
}

static enum err row_of(const struct engine *g, struct arena *a, struct store_row *out,
                       struct error *e) {
    struct account own = engine_account(g);
    struct engine_counts n = engine_counts(g);
    struct engine_times t = engine_times(g);
    enum exec_status status = engine_status(g);
    const struct engine_error *x = engine_error(g);
    *out = (struct store_row){.status = str_from(exec_status_name(status)),
                              .updated = t.last,
                              .started = t.started,
                              .completed = t.ended,
                              .deadline = exec_status_final(status) ? (wall_us){0} : t.deadline,
                              .total_tasks = n.total,
                              .completed_tasks = n.completed,
                              .failed_tasks = n.failed,
                              .skipped_tasks = n.skipped,
                              .waiting_tasks = exec_status_final(status) ? 0 : n.waiting};
    out->usage = usage_json(a, engine_usage(g), engine_is_charged(g) ? &own : NULL);
    if (x) {
        out->error = error_json(a, x);
    }
    if (status == EXEC_COMPLETED || status == EXEC_PARTIAL) {
        out->result = json_text(a, engine_result(g));
    }
    bool whole = (!x || out->error.ptr) && (status != EXEC_COMPLETED || out->result.ptr);
    return whole && out->usage.ptr ? OK : error_nomem(e);
}

static struct str step_error(struct arena *a, const struct track *t, struct str node) {
    struct engine_error x = {t->more->error_type, t->more->error_message, node, t->attempt};
    return t->more->error_type.len ? error_json(a, &x) : STR("");
}

/* JSON list of the nodes that the node needs. */
static struct str dependencies(const struct plan *p, const struct plan_node *n, struct arena *a) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_char(&b, '[');
    for (uint32_t i = 0; i < n->in_count_edges; i++) {
        buf_append(&b, i ? STR(",") : STR(""));
        value_print_json(value_text(p->nodes[p->edges[n->in_edges[i]].source].name), 0, &b);
    }
    buf_append_char(&b, ']');
    return text_of(a, &b);
}

/* contentType of the envelope (model.md "The journal is the truth"). */
static struct str content_type(const struct track *t) {
    if (t->status == STEP_FAILED) {
        return STR("error");
    }
    if (t->status != STEP_COMPLETED) {
        return STR("");
    }
    if (t->content == CONTENT_CONVERSATION) {
        return STR("conversation");
    }
    return t->body.type == VALUE_TEXT    ? STR("text")
           : t->body.type == VALUE_BYTES ? STR("bytes")
                                         : STR("json");
}

static struct str usage_of(struct arena *a, struct value meta) {
    const struct value *usage = value_get(meta, STR("usage"));
    return usage ? json_text(a, *usage) : STR("");
}

/* A live step has been begun but its attempt's own time comes with its end. */
static wall_us started_of(const struct track *t) {
    return !t->begun_tick ? (wall_us){0} : t->started.us ? t->started : t->scheduled;
}

static struct str json_or_none(struct arena *a, struct value v) {
    return value_is_null(v) ? STR("") : json_text(a, v);
}

/* What an execution that was ended from outside (quarantine.c) left under way was cancelled. */
static bool was_left(const struct engine *g, enum step_status status) {
    return exec_status_final(engine_status(g)) && !step_status_final(status);
}

static const char *status_word(const struct engine *g, enum step_status status) {
    return step_status_name(was_left(g, status) ? STEP_CANCELLED : status);
}

/* What was undone says so beside its status. */
static struct str meta_of(struct arena *a, const struct track *t) {
    struct value_builder b;
    struct value meta = value_is_null(t->more->request) ? t->meta : t->more->request;
    if (!t->undone) {
        return json_or_none(a, meta);
    }
    value_builder_init(&b, a);
    value_map_add(&b, STR("rolledBack"), value_bool(true));
    for (size_t i = 0; meta.type == VALUE_MAP && i < value_count(meta); i++) {
        value_map_add_value(&b, meta.pairs[i].key, meta.pairs[i].val);
    }
    return json_text(a, value_map_done(&b));
}

enum err row_steps(const struct engine *g, uint32_t from, uint32_t count, struct arena *a,
                   struct store_step *out, struct error *e) {
    for (uint32_t i = 0; i < count; i++) {
        const struct track *t = engine_track(g, from + i);
        const struct plan *p = t->plan;
        const struct plan_node *n = &p->nodes[t->step.node];
        char text[STEP_ID_BYTES];
        out[i] = (struct store_step){
            .step = arena_str(a, step_id_print(p, t->step, text)),
            .node = n->name,
            .kind = str_from(n->kind->name),
            .status = str_from(status_word(g, t->status)),
            .dependencies = dependencies(p, n, a),
            .description = n->description,
            .iteration = t->step.iteration,
            .generation = t->step.generation,
            .attempt = t->attempt,
            .index = t->step.index,
            .started = started_of(t),
            .completed = was_left(g, t->status) ? engine_times(g).ended : t->ended,
            .result = t->status == STEP_COMPLETED ? json_text(a, t->body) : STR(""),
            .error = step_error(a, t, n->name),
            .usage = usage_of(a, t->meta),
            .handle = t->handle,
            .content_type = content_type(t),
            .meta = meta_of(a, t),
        };
        if (!out[i].step.ptr || !out[i].dependencies.ptr || !out[i].result.ptr) {
            return error_nomem(e);
        }
    }
    return OK;
}

static struct str text_field(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

static bool message_of(const struct engine *g, const struct call *c, struct value v, wall_us at,
                       struct arena *a, struct store_message *out) {
    char text[STEP_ID_BYTES];
    const struct plan *p = engine_track(g, c->track)->plan;
    const struct value *usage = value_get(v, STR("usage"));
    *out = (struct store_message){.seq = c->seq,
                                  .step = arena_str(a, step_id_print(p, c->step, text)),
                                  .role = text_field(v, "role"),
                                  .content = text_field(v, "content"),
                                  .at = at,
                                  .meta = usage ? json_text(a, *usage) : STR("")};
    return out->step.ptr && out->meta.ptr;
}

enum err row_messages(const struct engine *g, struct arena *a, struct store_message **out,
                      uint32_t *out_count, struct error *e) {
    uint32_t calls = engine_call_count(g);
    struct store_message *rows = ARENA_ARRAY(a, (size_t)calls * 2 + 1, struct store_message);
    bool ok = rows != NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < calls && ok; i++) {
        const struct call *c = engine_call(g, i);
        ok = message_of(g, c, c->request, c->begun, a, &rows[count++]);
        if (ok && c->done.us) {
            ok = message_of(g, c, c->answer, c->done, a, &rows[count++]);
        }
    }
    *out = rows;
    *out_count = count;
    return ok ? OK : error_nomem(e);
}

static struct row_written written_of(const struct run *r, const struct store_row *row) {
    return (struct row_written){.known = true,
                                .status = engine_status(r->engine),
                                .started = row->started,
                                .completed = row->completed,
                                .deadline = row->deadline,
                                .total_tasks = row->total_tasks,
                                .texts = row->error.len || row->result.len || row->usage.len};
}

enum err row_make(struct run *r, struct arena *a, struct store_row *out, struct error *e) {
    const struct row_written *w = &r->written;
    enum err err = row_of(r->engine, a, out, e);
    if (!err && w->known && !w->texts) {
        struct row_written now = written_of(r, out);
        out->same = now.status == w->status && now.started.us == w->started.us &&
                    now.completed.us == w->completed.us && now.deadline.us == w->deadline.us &&
                    now.total_tasks == w->total_tasks && !now.texts;
    }
    return err;
}

void row_recorded(struct run *r, const struct store_row *row) {
    if (!row->same) {
        r->written = written_of(r, row);
    }
}

/* Owned by nobody it was left at rest: what seems to run is a step whose sub-workflow waits. */
void row_release(struct store_row *row) {
    row->same = false;
    if (str_is(row->status, exec_status_name(EXEC_RUNNING))) {
        row->status = str_from(exec_status_name(EXEC_WAITING));
    }
}

enum err host_view_row(struct host_view *v, struct store_row *out, struct error *e) {
    enum err err = row_of(v->engine, &v->arena, out, e);
    if (!err && v->stored.host == 0 && str_is(v->stored.row.status, "waiting")) {
        row_release(out);
    }
    return err;
}

/* Nodes that have a step already. */
static void mark_seen(const struct engine *g, bool *seen) {
    for (uint32_t i = 0; i < engine_track_count(g); i++) {
        const struct track *t = engine_track(g, i);
        int64_t node = plan_node_find(engine_plan(g), t->plan->nodes[t->step.node].name);
        if (node >= 0) {
            seen[node] |= t->step.index < 0 && !t->undone;
        }
    }
}

static uint32_t add_pending(const struct engine *g, const bool *seen, struct arena *a,
                            struct store_step *rows) {
    const struct plan *p = engine_plan(g);
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->node_count; i++) {
        const struct plan_node *n = &p->nodes[i];
        if (!seen[i] && !n->role) { /* what others name is no step before it is called */
            struct step_id id = engine_node_step(g, i);
            char text[STEP_ID_BYTES];
            rows[count++] = (struct store_step){.step = arena_str(a, step_id_print(p, id, text)),
                                                .node = n->name,
                                                .kind = str_from(n->kind->name),
                                                .status = str_from(status_word(g, STEP_PENDING)),
                                                .dependencies = dependencies(p, n, a),
                                                .description = n->description,
                                                .iteration = id.iteration,
                                                .generation = id.generation,
                                                .index = -1};
        }
    }
    return count;
}

enum err host_view_rows(struct host_view *v, struct store_step **out_steps, uint32_t *out_count,
                        struct store_message **out_messages, uint32_t *out_message_count,
                        struct error *e) {
    const struct engine *g = v->engine;
    uint32_t tracks = engine_track_count(g);
    uint32_t nodes = v->plan->node_count;
    struct store_step *rows = ARENA_ARRAY(&v->arena, (size_t)tracks + nodes + 1, struct store_step);
    bool *seen = ARENA_ARRAY(&v->arena, (size_t)nodes + 1, bool);
    enum err err = rows && seen ? row_steps(g, 0, tracks, &v->arena, rows, e) : error_nomem(e);
    if (err) {
        return err;
    }
    mark_seen(g, seen);
    *out_count = tracks + add_pending(g, seen, &v->arena, rows + tracks);
    *out_steps = rows;
    return row_messages(g, &v->arena, out_messages, out_message_count, e);
}
