/* cairn list: the executions of a store, newest first, a page at a time.
 *
 * What counts is the status as it really is: an execution that nobody runs any more is interrupted,
 * whatever its row says. That and the parent are not in the store's filter, so pages are put
 * together from as many of the store's as it takes. Executions of sub-workflows belong to their
 * parents and are shown with --all only.
 */
#include "cli/attention.h"
#include "cli/orphans.h"
#include "cli/waiting.h"

struct page {
    const struct store_execution **rows;
    uint32_t count, limit;
    bool more;
};

static const char *const words[] = {"pending", "running", "waiting",   "paused",     "completed",
                                    "partial", "failed",  "cancelled", "interrupted"};

static enum err check_status(struct cli *c, struct str *out) {
    const char *word = cli_value(c, "status");
    struct str names[ARRAY_LEN(words)];
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        names[i] = str_from(words[i]);
        if (!word || str_is(names[i], word)) {
            *out = word ? names[i] : STR("");
            return OK;
        }
    }
    struct str near = str_nearest(str_from(word), names, ARRAY_LEN(words));
    struct str help = near.len ? arena_printf(&c->arena, "did you mean %.*s?", STR_ARG(near))
                               : STR("it is one of pending, running, waiting, paused, completed, "
                                     "partial, failed, cancelled, interrupted");
    cli_fail(c, ERR_USAGE, help.ptr, "--status: unknown status \"%.60s\"", word);
    return ERR_USAGE;
}

static enum err check_pairs(struct cli *c) {
    static const char whole[] = "--waiting lists every step that waits for somebody";
    enum err err = cli_exclude(c, "waiting", "needs-attention",
                               "--needs-attention has what --waiting lists, and more");
    err = err ? err : cli_exclude(c, "waiting", "limit", whole);
    return err ? err : cli_exclude(c, "waiting", "after", whole);
}

static enum err read_filter(struct cli *c, struct store_filter *f, struct str *status,
                            uint32_t *limit) {
    struct value labels;
    const char *workflow = cli_value(c, "workflow");
    enum err err = check_pairs(c);
    err = err ? err : check_status(c, status);
    err = err ? err : cli_number(c, "limit", 1, 1000, limit);
    err = err ? err : cli_labels(c, &labels);
    if (err) {
        return err;
    }
    if (value_count(labels) > 1) {
        cli_fail(c, ERR_USAGE, NULL, "--label: a list can be narrowed by one label");
        return ERR_USAGE;
    }
    *f = (struct store_filter){.limit = 200};
    f->workflow = workflow ? str_from(workflow) : STR("");
    if (value_count(labels)) {
        f->label_key = value_str(labels.pairs[0].key);
        f->label_value = value_str(labels.pairs[0].val);
    }
    /* Which of the live ones are interrupted the store cannot tell. */
    f->status = str_is(*status, "interrupted") ? STR("") : *status;
    return OK;
}

static void take(struct page *p, const struct store_execution *rows, uint32_t count,
                 struct str status, bool all) {
    for (uint32_t i = 0; i < count && !p->more; i++) {
        bool wanted = (all || !rows[i].fixed.parent) &&
                      (!status.len || str_eq(details_status(&rows[i]), status));
        if (wanted && p->count == p->limit) {
            p->more = true;
        } else if (wanted) {
            p->rows[p->count++] = &rows[i];
        }
    }
}

static enum err read_page(struct session *s, struct store_filter *f, struct str status,
                          struct page *p) {
    bool all = cli_has(s->cli, "all");
    uint32_t count = f->limit;
    while (s->store && !p->more && count == f->limit) {
        struct store_execution *rows;
        struct error e = {0};
        enum err err = store_execution_list(s->store, f, &s->cli->arena, &rows, &count, &e);
        if (err) {
            cli_fail_error(s->cli, &e,
                           err == ERR_NOT_FOUND ? "--after takes the id of the last "
                                                  "execution of the page before"
                                                : NULL);
            return err;
        }
        take(p, rows, count, status, all);
        f->after = count ? rows[count - 1].fixed.id : f->after;
    }
    return OK;
}

/* ---- printing ---- */

static void print_json(struct cli *c, const struct page *p) {
    struct value_builder b, items;
    wall_us now = session_now();
    value_builder_init(&b, &c->arena);
    value_builder_init(&items, &c->arena);
    for (uint32_t i = 0; i < p->count; i++) {
        value_list_add(&items, details_json(&c->arena, p->rows[i], now, NULL));
    }
    value_map_add(&b, STR("items"), value_list_done(&items));
    value_map_add(&b, STR("next"),
                  p->more ? value_text(p->rows[p->count - 1]->fixed.id) : value_null());
    cli_print_json(c, value_map_done(&b));
}

static uint32_t workflow_column(const struct cli *c, const struct page *p) {
    uint32_t widest = 8, columns, lines;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t width = text_width(p->rows[i]->fixed.workflow);
        widest = width > widest ? width : widest;
    }
    sink_size(&c->out, &columns, &lines);
    uint32_t others = 25 + 11 + 19 + 9 + 7 + 5 * 2;
    uint32_t room = columns > others + 8 ? columns - others : 8;
    return c->out.terminal && widest > room ? room : widest;
}

static void put(struct buf *b, struct str text, uint32_t columns) {
    buf_append(b, text);
    uint32_t width = text_width(text);
    text_pad(b, 2 + (columns > width ? columns - width : 0));
}

static void print_row(struct cli *c, const struct store_execution *x, uint32_t column,
                      struct buf *b) {
    struct buf cell;
    struct str status = details_status(x);
    int64_t took = details_duration(x, session_now());
    buf_init(&cell, 0);
    put(b, x->fixed.id, 25);
    text_clip(&cell, x->fixed.workflow, column);
    put(b, buf_str(&cell), column);
    text_colour(b, &c->out, text_status_colour(status), status);
    text_pad(b, status.len < 13 ? 13 - (uint32_t)status.len : 1);
    buf_reset(&cell);
    if (x->row.started.us) {
        text_date(&cell, x->row.started);
    }
    put(b, buf_str(&cell), 19);
    buf_reset(&cell);
    if (took >= 0) {
        text_duration(&cell, took);
    }
    put(b, buf_str(&cell), 9);
    buf_printf(b, "%u/%u\n", x->row.completed_tasks + x->row.failed_tasks + x->row.skipped_tasks,
               x->row.total_tasks);
    buf_fini(&cell);
}

/* Executions that their process left behind are easily overlooked. */
static void print_interrupted(struct session *s) {
    uint32_t count = orphans_interrupted(s);
    struct str store = session_store_option(s);
    if (count) {
        sink_printf(&s->cli->err, "%u interrupted: cairn resume --all%.*s\n", count,
                    STR_ARG(store));
    }
}

static void print_table(struct session *s, const struct page *p) {
    struct cli *c = s->cli;
    struct buf b;
    uint32_t column = workflow_column(c, p);
    if (!p->count) {
        sink_printf(&c->err, "no executions%s\n", s->store ? " match" : "");
        return;
    }
    buf_init(&b, 0);
    put(&b, STR("ID"), 25);
    put(&b, STR("WORKFLOW"), column);
    buf_append_cstr(&b, "STATUS       STARTED              DURATION   STEPS\n");
    for (uint32_t i = 0; i < p->count; i++) {
        print_row(c, p->rows[i], column, &b);
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
    if (p->more) {
        cli_tell_more(c, p->rows[p->count - 1]->fixed.id);
    }
    print_interrupted(s);
}

static int run(struct cli *c) {
    struct session s;
    struct store_filter f;
    struct str status;
    struct page p = {.limit = 50};
    enum err err = read_filter(c, &f, &status, &p.limit);
    if (err) {
        return err_exit_code(err);
    }
    f.after = str_from(cli_value(c, "after"));
    p.rows = ARENA_ARRAY(&c->arena, (size_t)p.limit + 1, const struct store_execution *);
    if (!p.rows) {
        return cli_fail(c, ERR_NOMEM, NULL, "out of memory");
    }
    err = session_open(&s, c, false);
    if (!err && cli_has(c, "waiting")) {
        err = waiting_list(&s, &f, status);
        session_close(&s);
        return err ? err_exit_code(err) : 0;
    }
    if (!err && cli_has(c, "needs-attention")) {
        err = attention_list(&s, &f, status, p.limit);
        session_close(&s);
        return err ? err_exit_code(err) : 0;
    }
    err = err ? err : read_page(&s, &f, status, &p);
    if (!err && cli_has(c, "json")) {
        print_json(c, &p);
    } else if (!err) {
        print_table(&s, &p);
    }
    session_close(&s);
    return err ? err_exit_code(err) : 0;
}

static const struct cli_option options[] = {
    {"status", 0, "STATUS", "only those: running, completed, partial, failed, interrupted ..."},
    {"workflow", 0, "NAME", "only executions of this workflow"},
    {"label", 0, "NAME=VALUE", "only those with this label"},
    {"limit", 0, "N", "at most so many, 1 to 1000 (50)"},
    {"after", 0, "ID", "goes on behind the last one of the page before"},
    {"waiting", 0, NULL, "the steps that wait for people, of any execution that has not ended"},
    {"needs-attention", 0, NULL, "what a person should look at, why, and what to do"},
    {"all", 0, NULL, "also executions of sub-workflows"},
    {"json", 0, NULL, "prints {items, next} as JSON"},
};

static const struct cli_example examples[] = {
    {"cairn list", "the newest executions"},
    {"cairn list --waiting", "what people are asked for"},
    {"cairn list --needs-attention", "what failed, was left alone or waits for somebody"},
    {"cairn list --status failed --workflow triage", "what went wrong with one workflow"},
    {"cairn list --label team=support --json", "for programs; `next` is the --after of more"},
};

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .doc = "lists executions, newest first",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .run = run,
};
