/* Plain progress for pipes, files and simple terminals: one line per event, on stderr.
 *
 *     12:00:01.123 step parse completed 12ms
 *
 * Events that say nothing new to a reader (a step's process id, the guard of a step) have no line.
 */
#include "cli/watch.h"

#include "cli/details.h"

static void put_head(struct buf *b, wall_us at, const struct watch_source *of) {
    text_clock(b, at);
    buf_append_char(b, ' ');
    if (of->child) {
        buf_printf(b, "%.*s ", STR_ARG(of->id));
    }
}

static void put_took(struct watch *w, const struct watch_event *x, struct buf *b) {
    const struct event *ev = x->ev;
    int64_t from = ev->started_us;
    if (!from && !x->of->child && ev->step.index < 0) {
        from = w->nodes[ev->step.node].begun.us;
    }
    if (from) {
        buf_append_char(b, ' ');
        text_duration(b, x->at.us - from);
    }
}

static void put_error(const struct event *ev, struct buf *b) {
    buf_append_cstr(b, ": ");
    text_clean(b, ev->error_type);
    buf_append_cstr(b, ": ");
    text_message(b, ev->message, TEXT_IN_RESULTS);
}

static void put_retry(const struct watch_event *x, struct buf *b) {
    buf_printf(b, "failed in attempt %llu", (unsigned long long)x->ev->attempt);
    put_error(x->ev, b);
    buf_append_cstr(b, "; again in ");
    text_duration(b, x->ev->due_us - x->at.us);
}

static void put_failed(const struct watch_event *x, struct buf *b) {
    static const char *const effects[] = {"", "", " (allowed: continue)", " (handled)",
                                          " (on_error gives a value)"};
    buf_append_cstr(b, "failed");
    put_error(x->ev, b);
    buf_append_cstr(b, x->ev->effect < ARRAY_LEN(effects) ? effects[x->ev->effect] : "");
}

static void put_completed(struct watch *w, const struct watch_event *x, struct buf *b) {
    buf_append_cstr(b, "completed");
    if (x->ev->handle.len) {
        buf_append_cstr(b, " (");
        text_clean(b, x->ev->handle);
        buf_append_char(b, ')');
    }
    put_took(w, x, b);
    const struct value *cached = value_get(x->ev->meta, STR("cached"));
    if (cached) {
        buf_append_cstr(b, ", not done anew: the result of ");
        text_clean(b, details_text(*cached, "step"));
        buf_append_cstr(b, " of ");
        text_clean(b, details_text(*cached, "execution"));
    }
    if (x->ev->error_type.len) {
        put_error(x->ev, b);
        const struct value *by = value_get(x->ev->meta, STR("fallback"));
        struct str text = by && by->type == VALUE_TEXT ? value_str(*by) : STR("on_error");
        buf_printf(b, " (%.*s gave a value)", STR_ARG(text));
    }
}

/* "failed: code: ...; pay_later runs for it" */
static void put_aided(const struct watch_event *x, struct buf *b) {
    static const char *const roles[] = {"is over", "failed", "was not answered", "is undone"};
    const struct event *ev = x->ev;
    buf_append_cstr(b, roles[ev->role < ARRAY_LEN(roles) ? ev->role : 0]);
    if (ev->error_type.len) {
        put_error(ev, b);
    }
    buf_printf(b, "; %.*s runs for it", STR_ARG(ev->aux));
}

/* "waits for an answer until 12:30:00.000" */
static void put_waiting(const struct watch_event *x, struct buf *b) {
    const struct value *what = value_get(x->ev->body, STR("for"));
    const struct value *signal = value_get(x->ev->body, STR("signal"));
    bool named = signal && signal->type == VALUE_TEXT;
    bool answer = what && what->type == VALUE_TEXT && str_is(value_str(*what), "answer");
    buf_append_cstr(b, named ? "waits for the signal " : answer ? "waits for an answer" : "waits");
    if (named) {
        text_clean(b, value_str(*signal));
    }
    if (x->ev->due_us) {
        buf_append_cstr(b, answer || named ? ", at most until " : " until ");
        text_clock(b, (wall_us){x->ev->due_us});
    }
}

static void put_suspended(const struct watch_event *x, struct buf *b) {
    const struct value *service = value_get(x->ev->body, STR("service"));
    if (service && service->type == VALUE_TEXT) {
        buf_append_cstr(b, "is held back until ");
        text_clock(b, (wall_us){x->ev->due_us});
        buf_append_cstr(b, ": ");
        text_clean(b, value_str(*service));
        buf_append_cstr(b, " is left alone");
        return;
    }
    if (x->ev->error_type.len) {
        buf_append_cstr(b, "failed");
        put_error(x->ev, b);
        buf_append_cstr(b, "; ");
    }
    put_waiting(x, b);
}

static void put_released(const struct watch_event *x, struct buf *b) {
    buf_append_cstr(b, x->ev->reason.len ? "is tried again, by " : "goes on");
    text_clean(b, x->ev->reason);
}

static bool step_line(struct watch *w, const struct watch_event *x, struct buf *b) {
    const struct event *ev = x->ev;
    switch ((int)ev->kind) {
    case EVENT_STEP_SCHEDULED:
        buf_append_cstr(b, "started");
        if (ev->attempt > 1) {
            buf_printf(b, " again (attempt %llu)", (unsigned long long)ev->attempt);
        }
        return true;
    case EVENT_STEP_WAITING: put_waiting(x, b); return true;
    case EVENT_STEP_SUSPENDED: put_suspended(x, b); return true;
    case EVENT_STEP_RELEASED: put_released(x, b); return true;
    case EVENT_FOREACH_STARTED:
        buf_printf(b, "started with %zu item%s", value_count(ev->inputs),
                   value_count(ev->inputs) == 1 ? "" : "s");
        return true;
    case EVENT_ANSWER_KEPT:
        buf_append_cstr(b, "does not wait yet; an answer is kept for it, from ");
        text_clean(b, ev->reason);
        return true;
    case EVENT_ANSWER_DROPPED:
        buf_append_cstr(b, "got an answer before it asked, which is dropped: ");
        text_clean(b, ev->message);
        return true;
    case EVENT_STEP_COMPLETED: put_completed(w, x, b); return true;
    case EVENT_STEP_RETRYING: put_retry(x, b); return true;
    case EVENT_STEP_FAILED: put_failed(x, b); return true;
    case EVENT_STEP_SKIPPED: buf_append_cstr(b, "skipped"); return true;
    case EVENT_STEP_CANCELLED: buf_append_cstr(b, "cancelled"); return true;
    case EVENT_ITEMS_CANCELLED:
        buf_printf(b, "cancelled %llu items that had not started", (unsigned long long)ev->count);
        return true;
    case EVENT_STEP_AIDED: put_aided(x, b); return true;
    case EVENT_FINALLY_BEGUN: buf_append_cstr(b, "is next of finally"); return true;
    case EVENT_LOOP_REPEATED: buf_append_cstr(b, "repeats its loop"); return true;
    case EVENT_LOOP_LIMIT: buf_append_cstr(b, "reached max_iterations of its loop"); return true;
    case EVENT_CALL_BEGUN:
    case EVENT_CALL_DONE:
        buf_printf(b, "call %llu %s", (unsigned long long)ev->call,
                   ev->kind == EVENT_CALL_BEGUN ? "begun" : "done");
        return true;
    case EVENT_LATE_RESULT:
        buf_append_cstr(b, "ended after it was over; its result moves nothing");
        return true;
    default: return false;
    }
}

static bool execution_line(const struct watch_event *x, struct buf *b) {
    static const char *const words[] = {
        [EVENT_EXECUTION_COMPLETED] = "completed",
        [EVENT_EXECUTION_FAILED] = "failed",
        [EVENT_EXECUTION_CANCELLED] = "cancelled",
        [EVENT_CANCEL_REQUESTED] = "is to be cancelled",
        [EVENT_EXECUTION_PAUSED] = "paused",
        [EVENT_EXECUTION_RESUMED] = "goes on",
        [EVENT_UNDO_BEGUN] = "undoes what completed",
        [EVENT_EXECUTION_RETRIED] = "is tried again: what failed runs anew",
        [EVENT_WORKFLOW_CHANGED] = "goes on with another workflow or other inputs"};
    const struct event *ev = x->ev;
    buf_printf(b, "execution %.*s ", STR_ARG(x->of->id));
    if (ev->kind == EVENT_EXECUTION_CREATED) {
        buf_append_cstr(b, "of ");
        text_clean(b, ev->workflow);
        buf_append_cstr(b, " created");
        return true;
    }
    if (ev->kind == EVENT_EXECUTION_ROLLED_BACK) {
        buf_printf(b, "rolled back to event %llu%s%.*s", (unsigned long long)ev->to,
                   ev->node.len ? ": recovery of "
                   : ev->resume ? ""
                                : ", paused",
                   STR_ARG(ev->node));
        return true;
    }
    if (ev->kind == EVENT_CHECKPOINT_MADE) {
        buf_printf(b, "is at checkpoint @%.*s", STR_ARG(ev->text));
        return true;
    }
    if (ev->kind == EVENT_EXECUTION_FAILING) {
        buf_append_cstr(b, "is failing");
        put_error(ev, b);
        return true;
    }
    const char *word = (size_t)ev->kind < ARRAY_LEN(words) ? words[ev->kind] : NULL;
    buf_append_cstr(b, word && ev->partial ? "partial" : word ? word : "");
    if (ev->kind == EVENT_EXECUTION_PAUSED && ev->message.len) {
        buf_append_cstr(b, ": ");
        text_clean(b, ev->message);
    }
    return word != NULL;
}

/* One line about an event; false when it is not worth one. */
static bool line_of(struct watch *w, const struct watch_event *x, struct buf *out) {
    size_t before = out->len;
    put_head(out, x->at, x->of);
    bool worth;
    if (x->ev->has_step) {
        buf_printf(out, "step %.*s ", STR_ARG(x->step));
        worth = step_line(w, x, out);
    } else {
        worth = execution_line(x, out);
    }
    if (!worth) {
        out->len = before;
        return false;
    }
    buf_append_char(out, '\n');
    return true;
}

void watch_log_lines(struct watch *w, const struct watch_source *of, struct str step,
                     const char *stream, struct str text, struct buf *out) {
    struct str rest = text;
    if (str_ends(rest, STR("\n"))) {
        rest.len--;
    }
    while (rest.len) {
        struct str line = text_next_line(&rest);
        put_head(out, watch_log_time(w), of);
        buf_printf(out, "step %.*s %s: ", STR_ARG(step), stream);
        text_message(out, line, TEXT_IN_LOGS);
        buf_append_char(out, '\n');
    }
}

static void event(struct watch *w, const struct watch_event *x) {
    struct buf b;
    buf_init(&b, 0);
    (void)line_of(w, x, &b);
    sink_flush(&w->cli->err, &b);
    buf_fini(&b);
}

static void log_text(struct watch *w, const struct watch_source *of, struct str step,
                     const char *stream, struct str text) {
    struct buf b;
    buf_init(&b, 0);
    watch_log_lines(w, of, step, stream, text, &b);
    sink_flush(&w->cli->err, &b);
    buf_fini(&b);
}

const struct watch_ops watch_plain_ops = {.event = event, .log = log_text};
