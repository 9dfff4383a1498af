/* cairn run: submits a workflow to a host of its own and stays until it ends, or waits for what
 * nobody here can give.
 *
 * stdout carries the result alone (or, with --json or --json-lines, the documents), stderr the
 * progress.
 */
#include <stdlib.h>

#include "cli/running.h"
#include "node/node.h"

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

static int run_workflow(struct running *x, struct host_submission *sub) {
    struct error e = {0};
    struct run *r;
    enum err err = running_open(x, true);
    if (err) {
        return err_exit_code(err);
    }
    if (host_submit(x->s.host, sub, &r, &e)) {
        return cli_fail_error(x->c, &e, NULL);
    }
    err = running_watch(x, r);
    err = err ? err : running_turn(x);
    return err ? err_exit_code(err) : running_tell(x);
}

static int run(struct cli *c) {
    struct running x = {.c = c};
    struct host_submission sub = {0};
    enum err err = running_options_check(c);
    err = err ? err : cli_duration(c, "timeout", &sub.timeout_us);
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
    running_close(&x);
    return status;
}

static const struct cli_option options[] = {
    {"input", 'i', "NAME=TEXT", "an input, read by its declared type; NAME:=JSON; @FILE.json"},
    {"timeout", 0, "DURATION", "fails the execution when it takes longer: 90s, 1h30m"},
    {"label", 0, "NAME=VALUE", "a label to find it by; may be given several times"},
    RUNNING_OPTIONS,
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
    .details = "At a step that asks, a terminal prompts; from a pipe the command that answers is "
               "printed.\nCtrl-C pauses: what runs goes on to its end. Twice leaves at once.\n"
               "Exit status: 0 completed, 1 failed, partial or cancelled, 2 wrong usage or an "
               "invalid\nworkflow, 3 left waiting or paused, 4 store trouble, 130 interrupted.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
