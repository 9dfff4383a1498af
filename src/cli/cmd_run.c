/* cairn run: submits a workflow to a host of its own and stays until it ends.
 *
 * stdout carries the result alone (or, with --json or --json-lines, the documents), stderr the
 * progress. The first SIGINT or SIGTERM starts nothing new, stops what runs and leaves: what is
 * recorded stays, the execution is found as interrupted. The second leaves at once; the launcher
 * then kills what is left of its processes.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/running.h"
#include "node/node.h"

/* ---- what the host tells ---- */

static void on_event(void *ctx, struct run *r, const struct host_event *ev) {
    watch_event(&((struct running *)ctx)->watch, r, ev);
}

static void on_log(void *ctx, struct run *r, struct str step, const char *stream, struct str text) {
    watch_log(&((struct running *)ctx)->watch, r, step, stream, text);
}

static void on_chunk(void *ctx, struct run *r, struct str step, struct str text) {
    watch_chunk(&((struct running *)ctx)->watch, r, step, text);
}

static void on_ended(void *ctx, struct run *r) {
    struct running *x = ctx;
    x->ended = x->ended || r == x->run;
}

static void on_lost(void *ctx, struct run *r, const struct error *e) {
    struct running *x = ctx;
    (void)r; /* a lost sub-workflow leaves its parent without an end as well */
    if (!x->lost) {
        x->lost = true;
        x->why_lost = *e;
    }
}

static void on_signal(void *ctx, int signo) {
    struct running *x = ctx;
    (void)signo;
    if (++x->stops > 1) {
        _exit(EXIT_INTERRUPT);
    }
    watch_notice(&x->watch, STR("stopping what runs; once more leaves at once\n"));
}

/* ---- beginning ---- */

/* Environment variables that the workflow lists: recorded, so a later owner sees the same. */
static enum err read_env(struct running *x, struct value *out) {
    const struct plan *p = x->w.plan;
    struct value_builder b;
    value_builder_init(&b, &x->c->arena);
    for (uint32_t i = 0; i < p->env_count; i++) {
        struct str name = arena_str(&x->c->arena, p->env[i]);
        const char *text = name.ptr ? getenv(name.ptr) : NULL;
        if (text && !str_is_utf8(str_from(text))) {
            cli_fail(x->c, ERR_INVALID, NULL, "the environment variable %s is not UTF-8 text",
                     name.ptr);
            return ERR_INVALID;
        }
        if (text) {
            value_map_add(&b, name, value_text(str_from(text)));
        }
    }
    *out = value_map_done(&b);
    return b.ok ? OK : ERR_NOMEM;
}

static enum watch_form form_of(struct cli *c) {
    if (cli_has(c, "json-lines")) {
        return WATCH_JSON_LINES;
    }
    if (cli_has(c, "quiet")) {
        return WATCH_NOTHING;
    }
    return c->err.terminal ? WATCH_LIVE : WATCH_PLAIN;
}

static enum err open_all(struct running *x) {
    const struct host_observer observer = {x, on_event, on_log, on_chunk, on_ended, NULL, on_lost};
    enum err err = session_open(&x->s, x->c, true);
    err = err ? err : session_open_loop(&x->s);
    if (err) {
        return err;
    }
    x->signals[0] = io_signal_open(x->s.loop, SIGINT, on_signal, x);
    x->signals[1] = io_signal_open(x->s.loop, SIGTERM, on_signal, x);
    x->watch =
        (struct watch){.cli = x->c, .store = x->s.store, .loop = x->s.loop, .plan = x->w.plan};
    err = watch_open(&x->watch, form_of(x->c));
    if (err || !x->signals[0] || !x->signals[1]) {
        cli_fail(x->c, ERR_NOMEM, NULL, "out of memory");
        return ERR_NOMEM;
    }
    return session_open_host(&x->s, &observer);
}

static enum err submit(struct running *x, struct host_submission *sub) {
    struct error e = {0};
    enum err err = host_submit(x->s.host, sub, &x->run, &e);
    if (err) {
        cli_fail_error(x->c, &e, NULL);
        return err;
    }
    x->id = arena_str(&x->c->arena, run_id(x->run));
    return OK;
}

/* Until it ends, is lost (a lost sub-workflow never ends its parent), or somebody wants out. */
static enum err turn_until_end(struct running *x, struct error *e) {
    bool busy = true;
    enum err err = OK;
    while (busy && !x->stops && !x->lost && !err) {
        err = host_turn(x->s.host, true, &busy, e);
    }
    return err;
}

static int run_workflow(struct running *x, struct host_submission *sub) {
    struct error e = {0};
    enum err err = open_all(x);
    err = err ? err : submit(x, sub);
    if (err) {
        watch_close(&x->watch);
        return err_exit_code(err);
    }
    err = turn_until_end(x, &e);
    watch_close(&x->watch);
    if (err) {
        return cli_fail_error(x->c, &e, NULL);
    }
    return x->ended ? run_tell_end(x) : x->lost ? run_tell_lost(x) : run_tell_interrupted(x);
}

static void close_all(struct running *x) {
    host_close(x->s.host);
    x->s.host = NULL;
    io_signal_close(x->signals[0]);
    io_signal_close(x->signals[1]);
    session_close(&x->s);
    workflow_close(&x->w);
}

static int run(struct cli *c) {
    struct running x = {.c = c};
    struct host_submission sub = {0};
    if (cli_has(c, "json") && cli_has(c, "json-lines")) {
        return cli_fail(c, ERR_USAGE, NULL, "--json and --json-lines exclude each other");
    }
    enum err err = cli_duration(c, "timeout", &sub.timeout_us);
    err = err ? err : cli_labels(c, &sub.labels);
    if (err) {
        return err_exit_code(err);
    }
    err = workflow_open(c, c->arguments[0], node_kinds(), &x.w);
    if (err == ERR_INVALID || (!err && !cli_has(c, "quiet"))) {
        cli_findings(c, &x.w.diag);
    }
    err = err ? err : load_inputs(c, &x.w, &sub.inputs);
    err = err ? err : read_env(&x, &sub.env);
    sub.plan = x.w.plan;
    sub.folder = x.w.folder;
    int status = err ? err_exit_code(err) : run_workflow(&x, &sub);
    close_all(&x);
    return status;
}

static const struct cli_option options[] = {
    {"input", 'i', "NAME=TEXT", "an input, read by its declared type; NAME:=JSON; @FILE.json"},
    {"timeout", 0, "DURATION", "fails the execution when it takes longer: 90s, 1h30m"},
    {"label", 0, "NAME=VALUE", "a label to find it by; may be given several times"},
    {"json", 0, NULL, "prints the whole execution as one JSON document when it has ended"},
    {"json-lines", 0, NULL, "prints each event as a line of JSON as it is recorded"},
    {"quiet", 'q', NULL, "prints the result alone, no progress"},
};

static const struct cli_example examples[] = {
    {"cairn run flow.yaml", "runs it; progress on stderr, the result on stdout"},
    {"cairn run flow.yaml -i city=Paris -i days:=3", "inputs: a text, and a value as JSON"},
    {"cairn run flow.yaml -i @inputs.json --quiet > result.txt", "inputs from a file"},
    {"cairn run flow.yaml --timeout 10m --label team=support", "at most ten minutes, labelled"},
    {"cat flow.yaml | cairn run -", "the workflow from standard input"},
};

const struct command command_run = {
    .name = "run",
    .arguments = "WORKFLOW",
    .doc = "runs a workflow, durable from its first step, and prints its result",
    .details = "Exit status: 0 completed, 1 failed, partial or cancelled, 2 wrong usage or an "
               "invalid\nworkflow, 3 left waiting, 4 store trouble, 130 interrupted.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
