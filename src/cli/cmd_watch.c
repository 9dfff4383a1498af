/* cairn watch: shows an execution as it goes, whoever runs it, from its first event to its end.
 *
 * Only looks: Ctrl-C ends the watching and nothing else.
 */
#include "cli/approves.h"
#include "cli/follow.h"
#include "cli/outcome.h"
#include "cli/watch.h"

struct watching {
    struct follow f;
    struct watch w;
    struct watch_source of;
};

/* A recorded piece of a log is told like one that is printed now. */
static void tell_log(struct watching *x, const struct store_event *row) {
    struct event_fetch none = {0};
    struct event ev = {.kind = EVENT_STEP_LOG};
    struct arena a;
    arena_init(&a, 0);
    if (event_decode(row->body, &none, &a, &ev, NULL) == OK) {
        struct str stream = arena_str(&a, ev.stream);
        x->w.logged = row->at;
        watch_log(&x->w, &x->of, row->step, stream.ptr ? stream.ptr : "", ev.text);
    }
    arena_fini(&a);
}

/* A question that approves something: `run` shows it with the prompt, who only watches here. */
static void tell_approval(struct watching *x, const struct store_event *row) {
    struct event_fetch fetch = host_fetch(x->f.s->store);
    struct event ev = {.kind = EVENT_STEP_WAITING};
    struct arena a;
    struct buf b;
    arena_init(&a, 0);
    buf_init(&b, 0);
    if (event_decode(row->body, &fetch, &a, &ev, NULL) == OK) {
        approves_put(&b, ev.body, "    ");
    }
    if (b.len && !cli_has(x->w.cli, "json-lines")) {
        watch_notice(&x->w, buf_str(&b));
    }
    buf_fini(&b);
    arena_fini(&a);
}

static void on_event(void *ctx, const struct store_event *row) {
    struct watching *x = ctx;
    struct host_event ev = {.kind = (enum event_kind)row->kind,
                            .seq = row->seq,
                            .at = row->at,
                            .step = row->step,
                            .body = row->body};
    x->of.plan = x->f.page;
    if (ev.kind == EVENT_STEP_LOG) {
        tell_log(x, row);
    }
    watch_event(&x->w, &x->of, &ev);
    if (ev.kind == EVENT_STEP_WAITING) {
        tell_approval(x, row);
    }
}

static int exit_status(const struct store_execution *x) {
    static const enum exec_status all[] = {EXEC_COMPLETED, EXEC_PARTIAL, EXEC_FAILED,
                                           EXEC_CANCELLED};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (str_is(x->row.status, exec_status_name(all[i]))) {
            return outcome_exit_status(all[i]);
        }
    }
    return EXIT_WAITING;
}

static int tell_end(struct watching *x) {
    const struct store_execution *e = &x->f.x;
    struct str status = details_status(e);
    if (x->f.stop) {
        return EXIT_INTERRUPT;
    }
    struct str id = e->fixed.id, store = session_store_option(x->f.s);
    sink_printf(&x->f.s->cli->err, "%.*s: execution %.*s\n    look at it: cairn %s %.*s%.*s\n",
                STR_ARG(status), STR_ARG(id), e->row.completed.us ? "results" : "explain",
                STR_ARG(id), STR_ARG(store));
    return exit_status(e);
}

static int watch(struct session *s) {
    struct cli *c = s->cli;
    struct watching x = {.f = {.event = on_event}};
    x.f.ctx = &x;
    enum watch_form form = cli_has(c, "json-lines") ? WATCH_JSON_LINES
                           : c->err.terminal        ? WATCH_LIVE
                                                    : WATCH_PLAIN;
    enum err err = follow_open(&x.f, s);
    int status = err ? err_exit_code(err) : 0;
    x.f.ctx = &x;
    if (!err) {
        x.w = (struct watch){.cli = c, .store = s->store, .loop = s->loop, .plan = x.f.plan};
        x.of = (struct watch_source){x.f.x.fixed.id, x.f.plan, false};
        err = watch_open(&x.w, form);
        err = err ? err : follow_until_end(&x.f);
        watch_close(&x.w);
        status = err ? err_exit_code(err) : tell_end(&x);
    }
    follow_close(&x.f);
    return status;
}

static int run(struct cli *c) { return session_run(c, watch); }

static const struct cli_option options[] = {
    {"json-lines", 0, NULL, "prints each event as a line of JSON"},
};

static const struct cli_example examples[] = {
    {"cairn watch @last", "the newest execution, from another terminal"},
    {"cairn watch exec_06f3 --json-lines", "for programs"},
};

const struct command command_watch = {
    .name = "watch",
    .arguments = "ID",
    .doc = "shows an execution as it goes, whoever runs it",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
