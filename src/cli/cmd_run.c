/* cairn run: submits a workflow to a host of its own and stays until it ends, or waits for what
 * nobody here can give.
 *
 * stdout carries the result alone (or, with --json or --json-lines, the documents), stderr the
 * progress.
 */
#include "cli/running.h"
#include "node/node.h"

enum { KEY_MAX_BYTES = 255 };

static enum err check_key(struct cli *c, struct str key) {
    if (cli_has(c, "key") && (!key.len || key.len > KEY_MAX_BYTES || !str_is_utf8(key))) {
        cli_fail(c, ERR_USAGE, NULL, "--key: expected a text of 1 to %d bytes in UTF-8",
                 KEY_MAX_BYTES);
        return ERR_USAGE;
    }
    return OK;
}

/* The key has an execution that another process runs: that is the one that was asked for. */
static int run_elsewhere(struct running *x, const struct host_submission *sub, struct error *e) {
    struct store_execution other;
    struct error ignored;
    struct arena *a = &x->c->arena;
    bool known = !str_starts(str_from(e->message), STR("key_reused")) &&
                 store_execution_by_key(x->s.store, sub->key, a, &other, &ignored) == OK;
    if (!known) {
        return cli_fail_error(x->c, e, NULL);
    }
    struct str id = other.fixed.id;
    if (x->background.on) {
        return background_tell_other(&x->background, &x->s, id, other.owner_pid);
    }
    struct str help = arena_printf(a, "look at it: cairn watch %.*s%.*s", STR_ARG(id),
                                   STR_ARG(session_store_option(&x->s)));
    return cli_fail_error(x->c, e, help.ptr);
}

/* Two that submit the same key at the same moment: who comes second gets the first one's. */
static bool lost_its_key(const struct running *x, const struct host_submission *sub) {
    return x->lost && !x->recorded && sub->key.len && x->why_lost.code == ERR_CONFLICT;
}

static enum err turn_first(struct running *x, struct run *r) {
    x->ended = exec_status_final(run_status(r)); /* the key's execution, of before */
    x->recorded = x->ended;
    enum err err = background_log(&x->background, &x->s, run_id(r));
    err = err ? err : running_watch(x, r);
    return err ? err : running_turn(x);
}

static int run_workflow(struct running *x, struct host_submission *sub) {
    enum err err = running_open(x, true);
    if (err) {
        return err_exit_code(err);
    }
    for (;;) {
        struct error e = {0};
        struct run *r;
        if (host_submit(x->s.host, sub, &r, &e)) {
            return e.code == ERR_CONFLICT && sub->key.len ? run_elsewhere(x, sub, &e)
                                                          : cli_fail_error(x->c, &e, NULL);
        }
        if (x->background.on && exec_status_final(run_status(r))) {
            return background_tell_other(&x->background, &x->s, run_id(r), 0);
        }
        err = turn_first(x, r);
        if (err || !lost_its_key(x, sub)) {
            return err ? err_exit_code(err) : running_tell(x);
        }
        x->lost = false;
    }
}

static int run_here(struct running *x, struct host_submission *sub) {
    struct cli *c = x->c;
    enum err err = workflow_open(c, c->arguments[0], node_kinds(), &x->w);
    if (err == ERR_INVALID || (!err && !cli_has(c, "quiet"))) {
        cli_findings(c, &x->w.diag);
    }
    err = err ? err : load_inputs(c, &x->w, &sub->inputs);
    err = err ? err : load_env(x->c, x->w.plan, &sub->env);
    sub->plan = x->w.plan;
    sub->folder = x->w.folder;
    int status = err ? err_exit_code(err) : run_workflow(x, sub);
    running_close(x);
    return status;
}

static int run(struct cli *c) {
    struct running x = {.c = c};
    struct host_submission sub = {.key = str_from(cli_value(c, "key"))};
    int status = 0;
    enum err err = running_options_check(c);
    err = err ? err : cli_duration(c, "timeout", &sub.timeout_us);
    err = err ? err : cli_labels(c, &sub.labels);
    err = err ? err : cli_budget(c, &sub.budget);
    err = err ? err : check_key(c, sub.key);
    if (err) {
        return err_exit_code(err);
    }
    return background_begin(&x.background, c, &status) ? run_here(&x, &sub) : status;
}

static const struct cli_option options[] = {
    {"input", 'i', "NAME=TEXT", "an input, read by its declared type; NAME:=JSON; @FILE.json"},
    {"timeout", 0, "DURATION", "fails the execution when it takes longer: 90s, 1h30m"},
    {"budget", 0, "KEY=AMOUNT,...", "what it may use at most: usd, tokens, llm_calls, steps, time"},
    {"label", 0, "NAME=VALUE", "a label to find it by; may be given several times"},
    {"key", 0, "TEXT", "the same key, workflow and inputs give the same execution, begun once"},
    BACKGROUND_OPTION,
    RUNNING_OPTIONS,
};

static const struct cli_example examples[] = {
    {"cairn run flow.yaml", "runs it; progress on stderr, the result on stdout"},
    {"cairn run flow.yaml -i city=Paris -i days:=3", "inputs: a text, and a value as JSON"},
    {"cairn run flow.yaml -i @inputs.json --quiet > result.txt", "inputs from a file"},
    {"cairn run flow.yaml --timeout 10m --label team=support", "at most ten minutes, labelled"},
    {"cairn run flow.yaml --budget usd=0.50,llm_calls=40", "asks before it would take more"},
    {"cairn run flow.yaml --background", "prints its id and goes on when the terminal is closed"},
    {"cairn run flow.yaml --key order-4711", "safe to say twice: it is begun once"},
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
