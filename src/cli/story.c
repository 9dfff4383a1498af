/* The story of an execution as `cairn results` tells it: head, steps, conversation or the last word
 * of each agent, result, error. Cut are the key messages of the short form, and very long errors;
 * names, texts and outputs have their control characters escaped, the result where it goes to a
 * terminal.
 */
#include "cli/approves.h"
#include "cli/budget.h"
#include "cli/outcome.h"
#include "cli/undone.h"

/* ---- head ---- */

static void put_label(struct buf *b, const char *label) { buf_printf(b, "%-11s", label); }

static void put_status(struct cli *c, const struct details *d, struct buf *b) {
    struct str status = details_status(&d->stored);
    put_label(b, "status");
    text_colour(b, &c->out, text_status_colour(status), status);
    if (str_is(status, "interrupted")) {
        buf_append_cstr(b, " (its owner is gone)");
    }
    buf_append_char(b, '\n');
}

static void put_times(const struct details *d, struct buf *b) {
    const struct store_row *row = &d->stored.row;
    int64_t took = details_duration(&d->stored, d->now);
    if (row->started.us) {
        put_label(b, "started");
        text_date(b, row->started);
        buf_append_cstr(b, "\n");
        put_label(b, "duration");
        text_duration(b, took);
        buf_append_char(b, '\n');
    }
}

static void put_counts(const struct details *d, struct buf *b) {
    const struct store_row *row = &d->stored.row;
    put_label(b, "steps");
    buf_printf(b, "%u of %u completed", row->completed_tasks, row->total_tasks);
    if (row->failed_tasks) {
        buf_printf(b, ", %u failed", row->failed_tasks);
    }
    if (row->skipped_tasks) {
        buf_printf(b, ", %u skipped", row->skipped_tasks);
    }
    buf_append_char(b, '\n');
}

static void put_map(struct buf *b, const char *label, struct value map) {
    for (size_t i = 0; i < value_count(map); i++) {
        struct buf json;
        put_label(b, i ? "" : label);
        text_clean(b, value_str(map.pairs[i].key));
        buf_append_cstr(b, " = ");
        buf_init(&json, 0);
        value_print_json(map.pairs[i].val, 0, &json);
        text_clean(b, buf_str(&json));
        buf_append_char(b, '\n');
        buf_fini(&json);
    }
}

static void put_usage(struct cli *c, const struct details *d, struct buf *b) {
    double cost;
    struct value usage = details_usage(d, &c->arena, &cost);
    if (usage.type != VALUE_MAP) {
        return;
    }
    put_label(b, "usage");
    buf_printf(b, "%lld input tokens, %lld output tokens",
               (long long)value_get(usage, STR("inputTokens"))->num,
               (long long)value_get(usage, STR("outputTokens"))->num);
    if (cost >= 0) {
        buf_printf(b, ", %.4f USD", cost);
    }
    buf_append_char(b, '\n');
}

static void put_budget(const struct details *d, struct buf *b) {
    for (size_t i = 0; d->budget.type == VALUE_MAP && i < value_count(d->budget); i++) {
        put_label(b, i ? "" : "budget");
        text_budget_part(b, value_str(d->budget.pairs[i].key), d->budget.pairs[i].val);
        buf_append_cstr(b, " used\n");
    }
}

static void put_head(struct cli *c, const struct details *d, bool verbose, struct buf *b) {
    const struct store_new *fixed = &d->stored.fixed;
    put_label(b, "execution");
    buf_printf(b, "%.*s\n", STR_ARG(fixed->id));
    put_label(b, "workflow");
    text_clean(b, fixed->workflow);
    buf_append_char(b, '\n');
    put_status(c, d, b);
    put_times(d, b);
    put_counts(d, b);
    put_usage(c, d, b);
    put_budget(d, b);
    if (d->parent.len) {
        put_label(b, "parent");
        buf_printf(b, "%.*s, step %.*s\n", STR_ARG(d->parent), STR_ARG(fixed->parent_step));
    }
    put_map(b, "labels", details_value(&c->arena, fixed->labels));
    if (verbose) {
        put_map(b, "inputs", details_value(&c->arena, fixed->inputs));
    }
}

/* ---- the last word of each agent ---- */

static struct str node_of(struct str step) {
    size_t at = 0;
    while (at < step.len && !strchr("#[~", step.ptr[at])) {
        at++;
    }
    return str_sub(step, 0, at);
}

static bool is_answer(const struct store_message *m) {
    return str_is(m->role, "assistant") && m->content.len;
}

static bool is_undone(const struct details *d, struct str step) {
    uint32_t i = 0;
    while (i < d->step_count && !str_eq(d->steps[i].step, step)) {
        i++;
    }
    return i < d->step_count && details_step_undone(&d->steps[i]);
}

static bool is_later_answer(const struct details *d, uint32_t at) {
    for (uint32_t i = at + 1; i < d->message_count; i++) {
        const struct store_message *m = &d->messages[i];
        if (is_answer(m) && str_eq(node_of(d->messages[at].step), node_of(m->step)) &&
            !is_undone(d, m->step)) {
            return true;
        }
    }
    return false;
}

static void put_key_messages(const struct details *d, struct buf *b) {
    bool any = false;
    for (uint32_t i = 0; i < d->message_count; i++) {
        const struct store_message *m = &d->messages[i];
        if (!is_answer(m) || is_later_answer(d, i) || is_undone(d, m->step)) {
            continue;
        }
        buf_append_cstr(b, any ? "" : "\nmessages\n");
        any = true;
        buf_printf(b, "  %.*s: ", STR_ARG(m->step));
        text_clip(b, m->content, 200);
        buf_append_char(b, '\n');
    }
}

/* ---- verbose ---- */

/* On the label's own line when it is short, else below it. */
static void put_value(struct cli *c, const char *label, struct str json, struct buf *b) {
    struct buf text;
    struct value v = details_value(&c->arena, json);
    if (v.type == VALUE_NULL) {
        return;
    }
    buf_init(&text, 0);
    if (v.type == VALUE_TEXT) {
        buf_append(&text, value_str(v));
    } else {
        value_print_json(v, 0, &text);
    }
    bool one_line = text.len <= 80 && str_find(buf_str(&text), STR("\n"), 0) == SIZE_MAX;
    if (!one_line) {
        buf_reset(&text);
        outcome_print_result(&text, v);
    }
    buf_printf(b, "      %s:%s", label, one_line ? " " : "\n");
    text_block(b, buf_str(&text), one_line ? "" : "        ");
    buf_fini(&text);
}

static void put_step(struct cli *c, const struct details *d, const struct store_step *x,
                     struct buf *b) {
    struct value error = details_value(&c->arena, x->error);
    buf_printf(b, "  %.*s (%.*s) ", STR_ARG(x->step), STR_ARG(x->kind));
    text_colour(b, &c->out, text_status_colour(x->status), x->status);
    struct str by = undone_by(d->undo, x->step);
    buf_append_cstr(b, details_step_undone(x) ? ", rolled back" : "");
    if (by.len) {
        buf_printf(b, ", undone by %.*s", STR_ARG(by));
    }
    buf_append_cstr(b, x->started.us && (details_step_undone(x) || by.len) ? "," : "");
    if (x->started.us) {
        bool live = !str_is(details_status(&d->stored), "interrupted");
        wall_us end = x->completed.us ? x->completed : live ? d->now : x->started;
        buf_append_cstr(b, " at ");
        text_clock(b, x->started);
        buf_append_cstr(b, x->completed.us ? ", took " : live ? ", for " : "");
        if (x->completed.us || live) {
            text_duration(b, end.us - x->started.us);
        }
    }
    if (x->attempt > 1) {
        buf_printf(b, ", %u attempts", x->attempt);
    }
    buf_append_char(b, '\n');
    if (x->description.len) {
        text_block(b, x->description, "      ");
    }
    if (error.type == VALUE_MAP) {
        buf_append_cstr(b, "      error: ");
        outcome_print_error_text(b, error);
        buf_append_char(b, '\n');
    }
    struct value meta = details_value(&c->arena, x->meta);
    const struct value *cached = value_get(meta, STR("cached"));
    if (cached) {
        buf_append_cstr(b, "      not done anew: the result of ");
        text_clean(b, details_text(*cached, "step"));
        buf_printf(b, " of %.*s\n", STR_ARG(details_text(*cached, "execution")));
    }
    approves_put(b, meta, "      ");
    put_value(c, "output", x->result, b);
    put_value(c, "usage", x->usage, b);
}

static void put_conversation(const struct details *d, struct buf *b) {
    bool any = false;
    for (uint32_t i = 0; i < d->message_count; i++) {
        const struct store_message *m = &d->messages[i];
        if (!m->role.len) { /* a call of another sort, such as a page of an API */
            continue;
        }
        buf_append_cstr(b, any ? "  " : "\nconversation\n  ");
        any = true;
        text_clock(b, m->at);
        buf_printf(b, " %.*s %.*s\n", STR_ARG(m->step), STR_ARG(m->role));
        text_block(b, m->content, "      ");
    }
}

static void put_steps(struct cli *c, const struct details *d, struct buf *b) {
    buf_append_cstr(b, d->step_count ? "\nsteps\n" : "");
    for (uint32_t i = 0; i < d->step_count; i++) {
        put_step(c, d, &d->steps[i], b);
        sink_flush(&c->out, b);
    }
}

void outcome_print_story(struct cli *c, const struct details *d, bool verbose) {
    struct buf b;
    buf_init(&b, 0);
    put_head(c, d, verbose, &b);
    if (verbose) {
        put_steps(c, d, &b);
        put_conversation(d, &b);
    } else {
        put_key_messages(d, &b);
    }
    struct value result = details_value(&c->arena, d->stored.row.result);
    if (result.type != VALUE_NULL) {
        buf_append_cstr(&b, "\nresult\n");
        outcome_show_result(&b, &c->out, result);
    }
    size_t before = b.len;
    buf_append_char(&b, '\n');
    outcome_print_error(&b, &c->out, d, NULL);
    if (b.len > before + 1) {
        outcome_print_completed(&b, d);
    } else if (d->undo.type == VALUE_MAP) {
        undone_print(&b, d->undo, "");
    } else {
        b.len = before;
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
}
