/* cairn retry: goes on with what failed, ended in part or was cancelled, in this process.
 *
 * What completed is kept; what failed, and all that depends on it, runs anew in a new generation,
 * so with new keys.
 */
#include "cli/mend.h"

/* The topmost execution is what is retried: a sub-workflow runs anew with its parent's step. */
static enum err find(struct running *x, struct str *out_id) {
    struct store_execution found, above;
    struct error e = {0};
    struct arena *a = &x->c->arena;
    enum err err = session_find(&x->s, x->c->arguments[0], out_id);
    if (err) {
        return err;
    }
    err = store_execution_get(x->s.store, 0, *out_id, a, &found, &e);
    if (!err && found.fixed.parent) {
        err = store_execution_get(x->s.store, found.fixed.parent, STR(""), a, &above, &e);
    }
    if (err) {
        cli_fail_error(x->c, &e, NULL);
        return err;
    }
    if (found.fixed.parent) {
        struct str help = arena_printf(
            a, "retry that: cairn retry %.*s --from %.*s%.*s", STR_ARG(above.fixed.id),
            STR_ARG(text_node_of(found.fixed.parent_step)), STR_ARG(session_store_option(&x->s)));
        cli_fail(x->c, ERR_CONFLICT, help.ptr,
                 "execution %.*s is a sub-workflow: step %.*s of %.*s", STR_ARG(*out_id),
                 STR_ARG(found.fixed.parent_step), STR_ARG(above.fixed.id));
        return ERR_CONFLICT;
    }
    return OK;
}

static struct str help_of(struct running *x, struct str id, const struct error *e) {
    struct arena *a = &x->c->arena;
    struct str store = session_store_option(&x->s);
    struct store_execution now;
    struct error ignored;
    if (e->code == ERR_QUARANTINED) {
        return arena_printf(a, "try it once more: cairn retry %.*s --force%.*s", STR_ARG(id),
                            STR_ARG(store));
    }
    if (strstr(e->message, "nothing of it failed")) {
        return arena_printf(a, "--from NODE runs a node and all that depends on it anew");
    }
    bool runs = e->code == ERR_CONFLICT &&
                store_execution_get(x->s.store, 0, id, a, &now, &ignored) == OK && now.owner_alive;
    return runs ? arena_printf(a, "process %lld runs it: cairn watch %.*s%.*s",
                               (long long)now.owner_pid, STR_ARG(id), STR_ARG(store))
                : STR("");
}

static int refuse(struct running *x, struct str id, const struct error *e) {
    struct str help = help_of(x, id, e);
    background_back(&x->background, true);
    return cli_fail_error(x->c, e, help.len ? help.ptr : NULL);
}

static enum err check_from(struct cli *c) {
    const char *from = cli_value(c, "from");
    if (from && !*from) {
        cli_fail(c, ERR_USAGE, NULL, "--from: expected the name of a node, got nothing");
        return ERR_USAGE;
    }
    return OK;
}

static int go_on(struct running *x, const struct budget *budget) {
    struct str id;
    struct error e = {0};
    struct run *r;
    struct cli *c = x->c;
    enum err err = running_open(x, false);
    err = err ? err : find(x, &id);
    if (err) {
        return err_exit_code(err);
    }
    struct host_retry q = {.from = str_from(cli_value(c, "from")),
                           .by = session_user(&x->s),
                           .force = cli_has(c, "force"),
                           .budget = *budget};
    err = mend_read(x, id, &q);
    if (err) {
        background_back(&x->background, true);
        return err_exit_code(err);
    }
    if (background_log(&x->background, &x->s, id)) {
        return EXIT_STORE;
    }
    do {
        err = host_retry(x->s.host, id, &q, &r, &e);
    } while (err && running_waits(x, &e));
    if (err) {
        return refuse(x, id, &e);
    }
    err = running_watch(x, r);
    err = err ? err : running_catch_up(x);
    err = err ? err : running_turn(x);
    return err ? err_exit_code(err) : running_tell(x);
}

static int run(struct cli *c) {
    struct running x = {.c = c};
    struct budget budget = {0};
    int status = 0;
    enum err err = running_options_check(c);
    err = err ? err : check_from(c);
    err = err ? err : cli_budget(c, &budget);
    if (err || !background_begin(&x.background, c, &status)) {
        return err ? err_exit_code(err) : status;
    }
    status = go_on(&x, &budget);
    running_close(&x);
    return status;
}

static const struct cli_option options[] = {
    {"from", 0, "NODE", "this node runs anew, without its cache, and all that depends on it"},
    {"workflow", 'w', "FILE", "goes on with this file, a mended one; what completed is kept"},
    {"input", 'i', "NAME=TEXT", "another value of an input; NAME:=JSON; @FILE.json"},
    {"budget", 0, "KEY=AMOUNT,...", "what it may use at most from now on, in all; as of cairn run"},
    {"force", 0, NULL, "also what is quarantined: it ended every process that ran it"},
    BACKGROUND_OPTION,
    RUNNING_OPTIONS,
};

static const struct cli_example examples[] = {
    {"cairn retry @last", "what failed is tried again, what completed is kept"},
    {"cairn retry exec_06f3 --from fetch", "from a node on, also of one that completed"},
    {"cairn retry @last --workflow flow.yaml", "goes on with the mended file"},
    {"cairn retry @last --budget usd=2", "it was over its budget: now two dollars in all"},
    {"cairn retry @last -i city=Rome", "what runs anew reads another input"},
};

const struct command command_retry = {
    .name = "retry",
    .arguments = "ID",
    .doc = "goes on with what failed, was cancelled or completed in part",
    .details =
        "The workflow is the one that was recorded, or with --workflow the file as it is now: its\n"
        "new and failed steps run, with all that depends on them; of those that are kept it is\n"
        "told what differs. Inputs stay what they were but for those given by -i.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
