/* From recorded events to watchers: decodes each event once, keeps how every node stands, hands on.
 *
 * Events of sub-workflows are handed on too, but only the watched execution has nodes here.
 */
#include "cli/watch.h"

#include <stdio.h>

enum err watch_open(struct watch *w, enum watch_form form) {
    static const struct watch_ops *const forms[] = {
        [WATCH_NOTHING] = NULL,
        [WATCH_PLAIN] = &watch_plain_ops,
        [WATCH_LIVE] = &watch_live_ops,
        [WATCH_JSON_LINES] = &watch_json_ops,
    };
    w->ops = forms[form];
    arena_init(&w->scratch, 0);
    w->nodes = ARENA_ARRAY(&w->cli->arena, (size_t)w->plan->node_count + 1, struct watch_node);
    if (!w->nodes) {
        return ERR_NOMEM;
    }
    return form == WATCH_LIVE ? watch_live_open(w) : OK;
}

void watch_close(struct watch *w) {
    if (w->ops && w->ops->close) {
        w->ops->close(w);
    }
    w->ops = NULL;
    arena_fini(&w->scratch);
}

/* ---- how the nodes stand ---- */

static void note(struct watch_node *n, struct str text) {
    struct buf b;
    buf_init(&b, sizeof n->note - 1);
    struct str end = text.len > 60 ? str_sub(text, text.len - 60, text.len) : text;
    text_clip(&b, str_trim(end), 60);
    snprintf(n->note, sizeof n->note, "%.*s", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

static void note_error(struct watch_node *n, const struct event *ev) {
    struct buf b;
    buf_init(&b, 0);
    text_clip(&b, ev->error_type, 30);
    buf_append_cstr(&b, ": ");
    text_clip(&b, ev->message, 80);
    snprintf(n->note, sizeof n->note, "%.*s", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

static void end_item(struct watch_node *n, const struct event *ev) {
    n->items_done += ev->kind == EVENT_ITEMS_CANCELLED ? ev->count : 1;
    n->items_failed += ev->kind == EVENT_STEP_FAILED;
}

static void begin_node(struct watch_node *n, const struct event *ev) {
    if (n->status != STEP_RETRYING) {
        n->begun = ev->at;
        n->note[0] = '\0';
    }
    n->status = STEP_RUNNING;
    n->iteration = ev->step.iteration;
    n->generation = ev->step.generation;
    n->attempt = ev->attempt ? (uint32_t)ev->attempt : 1;
}

static void end_node(struct watch_node *n, const struct event *ev, enum step_status status) {
    if (n->iteration != ev->step.iteration || n->generation != ev->step.generation) {
        n->begun = (wall_us){0}; /* of the one before: a pure step begins without an event */
    }
    n->status = status;
    n->iteration = ev->step.iteration;
    n->generation = ev->step.generation;
    n->ended = ev->at;
    if (ev->started_us && !n->begun.us) {
        n->begun = (wall_us){ev->started_us};
    }
    n->begun = n->begun.us ? n->begun : ev->at;
    if (status == STEP_FAILED) {
        note_error(n, ev);
    } else if (status == STEP_COMPLETED) {
        n->note[0] = '\0';
    }
}

static void begin_foreach(struct watch_node *n, const struct event *ev) {
    begin_node(n, ev);
    n->foreach = true;
    n->items = ev->inputs.type == VALUE_LIST ? value_count(ev->inputs) : 0;
    n->items_done = n->items_failed = 0;
}

static void rearm(struct watch *w, const struct event *ev) {
    int32_t loop = w->plan->nodes[ev->step.node].heads;
    for (uint32_t i = 0; loop >= 0 && i < w->plan->loops[loop].body_count; i++) {
        struct watch_node *n = &w->nodes[w->plan->loops[loop].body[i]];
        n->status = STEP_PENDING;
        n->begun = (wall_us){0};
        n->iteration++;
    }
}

static void apply(struct watch *w, const struct event *ev) {
    struct watch_node *n = &w->nodes[ev->step.node];
    bool item = ev->step.index >= 0;
    n->order = ++w->changes;
    n->seq = ev->seq;
    switch ((int)ev->kind) {
    case EVENT_STEP_SCHEDULED:
    case EVENT_STEP_WAITING:
        if (!item) {
            begin_node(n, ev);
            n->status = ev->kind == EVENT_STEP_WAITING ? STEP_WAITING : STEP_RUNNING;
        }
        break;
    case EVENT_FOREACH_STARTED: begin_foreach(n, ev); break;
    case EVENT_ITEMS_CANCELLED: end_item(n, ev); break;
    case EVENT_STEP_COMPLETED:
    case EVENT_STEP_FAILED:
    case EVENT_STEP_CANCELLED:
    case EVENT_STEP_SKIPPED:
        if (item) {
            end_item(n, ev);
        } else {
            end_node(n, ev,
                     ev->kind == EVENT_STEP_COMPLETED   ? STEP_COMPLETED
                     : ev->kind == EVENT_STEP_FAILED    ? STEP_FAILED
                     : ev->kind == EVENT_STEP_CANCELLED ? STEP_CANCELLED
                                                        : STEP_SKIPPED);
        }
        break;
    case EVENT_STEP_SUSPENDED:
        n->status = item ? n->status : STEP_WAITING;
        note_error(n, ev);
        break;
    case EVENT_STEP_RELEASED: n->status = item ? n->status : STEP_RETRYING; break;
    case EVENT_STEP_RETRYING:
        n->status = item ? n->status : STEP_RETRYING;
        note_error(n, ev);
        break;
    case EVENT_LOOP_REPEATED: rearm(w, ev); break;
    default: break;
    }
}

/* What had not ended by the target, or something came of after it, is to come again. */
static void roll_back(struct watch *w, const struct event *ev) {
    for (uint32_t i = 0; i < w->plan->node_count; i++) {
        struct watch_node *n = &w->nodes[i];
        if (n->seq > ev->to || !step_status_final(n->status)) {
            *n = (struct watch_node){.status = STEP_PENDING, .order = ++w->changes};
        }
    }
}

static void apply_any(struct watch *w, const struct event *ev) {
    if (ev->kind == EVENT_EXECUTION_ROLLED_BACK) {
        roll_back(w, ev);
    } else if (ev->has_step) {
        apply(w, ev);
    }
}

/* ---- the observer ---- */

/* For those who do not look at bodies: a large one is as good as null. */
static enum err skip_blob(void *ctx, struct str hash, struct arena *a, struct str *out,
                          struct error *e) {
    struct buf b;
    (void)ctx;
    (void)hash;
    buf_init(&b, 0);
    value_encode(value_null(), &b);
    *out = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return out->ptr ? OK : error_nomem(e);
}

static bool decode(struct watch *w, const struct watch_source *of, const struct host_event *raw,
                   struct event *out) {
    bool whole = w->ops->wants_bodies || raw->kind == EVENT_FOREACH_STARTED ||
                 raw->kind == EVENT_STEP_WAITING || raw->kind == EVENT_STEP_SUSPENDED;
    struct event_fetch fetch =
        whole ? host_fetch(w->store) : (struct event_fetch){w->store, skip_blob};
    *out = (struct event){.kind = raw->kind, .seq = raw->seq, .at = raw->at};
    out->has_step = raw->step.len && step_id_parse(of->plan, raw->step, &out->step);
    return event_decode(raw->body, &fetch, &w->scratch, out, NULL) == OK;
}

/* The execution goes on with another workflow: how its nodes stand is known by name. */
static bool follow_plan(struct watch *w, const struct watch_source *of) {
    if (of->child || of->plan == w->plan) {
        return true;
    }
    struct watch_node *nodes =
        ARENA_ARRAY(&w->cli->arena, (size_t)of->plan->node_count + 1, struct watch_node);
    for (uint32_t i = 0; nodes && i < w->plan->node_count; i++) {
        int64_t node = plan_node_find(of->plan, w->plan->nodes[i].name);
        if (node >= 0) {
            nodes[node] = w->nodes[i];
        }
    }
    w->nodes = nodes ? nodes : w->nodes;
    w->plan = nodes ? of->plan : w->plan;
    return nodes != NULL;
}

void watch_event(struct watch *w, const struct watch_source *of, const struct host_event *raw) {
    struct event ev;
    if (!w->ops || !follow_plan(w, of) || !decode(w, of, raw, &ev)) {
        return;
    }
    struct watch_event x = {.of = of, .seq = raw->seq, .at = raw->at, .step = raw->step, .ev = &ev};
    if (!of->child) {
        apply_any(w, &ev);
    }
    w->ops->event(w, &x);
    arena_reset(&w->scratch);
}

void watch_past(struct watch *w, const struct watch_source *of, const struct host_event *raw) {
    struct event ev;
    bool counts = raw->step.len || raw->kind == EVENT_EXECUTION_ROLLED_BACK;
    if (w->ops && counts && follow_plan(w, of) && decode(w, of, raw, &ev)) {
        apply_any(w, &ev);
        arena_reset(&w->scratch);
    }
}

wall_us watch_log_time(const struct watch *w) {
    const struct io_clock *clock = io_loop_clock(w->loop);
    return w->logged.us ? w->logged : clock->wall(clock->ctx);
}

void watch_log(struct watch *w, const struct watch_source *of, struct str step, const char *stream,
               struct str text) {
    if (w->ops && w->ops->log) {
        w->ops->log(w, of, step, stream, text);
    }
}

void watch_chunk(struct watch *w, const struct watch_source *of, struct str step, struct str text) {
    struct step_id id;
    if (w->ops && w->ops->redraw && !of->child && step_id_parse(w->plan, step, &id)) {
        note(&w->nodes[id.node], text);
        w->ops->redraw(w);
    }
}

void watch_hold(struct watch *w, bool on) {
    if (w->ops && w->ops->hold) {
        w->ops->hold(w, on);
    }
}

void watch_notice(struct watch *w, struct str text) {
    if (w->ops && w->ops->notice) {
        w->ops->notice(w, text);
    } else {
        sink_write(&w->cli->err, text);
    }
}
