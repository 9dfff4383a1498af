/* cairn logs: what the steps of an execution printed, as it was recorded.
 *
 * One line a line, behind its time, step and stream; with --raw the bytes alone.
 */
#include "cli/follow.h"

struct logs {
    struct follow f;
    struct str step; /* id of a step, a node, or empty for all */
    bool raw;
    bool any;
};

static bool wanted(const struct logs *x, struct str step) {
    size_t len = 0; /* of the node's name, which the workflow may have no more */
    while (len < step.len && !strchr("#[~", step.ptr[len])) {
        len++;
    }
    return !x->step.len || str_eq(step, x->step) || str_eq(str_sub(step, 0, len), x->step);
}

static void put_lines(struct buf *b, const struct store_event *row, struct str stream,
                      struct str text) {
    if (str_ends(text, STR("\n"))) {
        text.len--;
    }
    do {
        struct str line = text_next_line(&text);
        text_clock(b, row->at);
        buf_printf(b, " %.*s %.*s: ", STR_ARG(row->step), STR_ARG(stream));
        text_clean(b, line);
        buf_append_char(b, '\n');
    } while (text.len);
}

static void on_event(void *ctx, const struct store_event *row) {
    struct logs *x = ctx;
    struct event_fetch none = {0};
    struct event ev = {.kind = (enum event_kind)row->kind};
    struct arena a;
    struct buf b;
    if (ev.kind != EVENT_STEP_LOG || !wanted(x, row->step)) {
        return;
    }
    arena_init(&a, 0);
    buf_init(&b, 0);
    if (event_decode(row->body, &none, &a, &ev, NULL) == OK) {
        x->any = true;
        if (x->raw) {
            buf_append(&b, ev.text);
        } else {
            put_lines(&b, row, ev.stream, ev.text);
        }
    }
    sink_flush(&x->f.s->cli->out, &b);
    buf_fini(&b);
    arena_fini(&a);
}

/* A step of an earlier workflow is known by what it printed. */
static int check_step(struct logs *x) {
    struct step_id id;
    const struct plan *p = x->f.plan;
    if (!x->step.len || step_id_parse(p, x->step, &id) || plan_node_find(p, x->step) >= 0) {
        return 0;
    }
    enum err err = follow_read(&x->f);
    if (err || x->any) {
        return err ? err_exit_code(err) : 0;
    }
    struct arena *a = &x->f.s->cli->arena;
    struct str *names = ARENA_ARRAY(a, (size_t)p->node_count + 1, struct str);
    struct str near = STR("");
    for (uint32_t i = 0; names && i < p->node_count; i++) {
        names[i] = p->nodes[i].name;
    }
    near = names ? str_nearest(x->step, names, p->node_count) : near;
    struct str help = near.len ? arena_printf(a, "did you mean %.*s?", STR_ARG(near)) : near;
    return cli_fail(x->f.s->cli, ERR_NOT_FOUND, help.ptr, "the workflow has no step \"%.*s\"",
                    STR_ARG(x->step));
}

static int logs(struct session *s) {
    struct cli *c = s->cli;
    struct logs x = {.f = {.event = on_event}, .raw = cli_has(c, "raw")};
    x.step = c->argument_count > 1 ? str_from(c->arguments[1]) : STR("");
    x.f.ctx = &x;
    enum err err = follow_open(&x.f, s);
    int status = err ? err_exit_code(err) : check_step(&x);
    if (!status) {
        err = cli_has(c, "follow") ? follow_until_end(&x.f) : follow_read(&x.f);
        status = err ? err_exit_code(err) : x.f.stop ? EXIT_INTERRUPT : 0;
    }
    if (!status && !x.any) {
        sink_printf(&c->err, "nothing was printed\n");
    }
    follow_close(&x.f);
    return status;
}

static int run(struct cli *c) { return session_run(c, logs); }

static const struct cli_option options[] = {
    {"follow", 'f', NULL, "goes on until the execution has ended"},
    {"raw", 0, NULL,
     "the bytes as they were printed, without times and steps; for a file or a pipe"},
};

static const struct cli_example examples[] = {
    {"cairn logs @last", "all steps of the newest execution"},
    {"cairn logs @last build --raw", "one step, as it printed"},
    {"cairn logs exec_06f3 --follow", "as it comes"},
};

const struct command command_logs = {
    .name = "logs",
    .arguments = "ID [STEP]",
    .doc = "shows what the steps of an execution printed",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run,
};
