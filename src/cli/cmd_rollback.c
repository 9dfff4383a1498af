/* cairn rollback: back to an earlier state of an execution; what came after it no longer counts.
 *
 * Asked of who runs it; an execution that nobody runs, or that has ended, is taken over here. It is
 * paused afterwards, with --resume it goes on at once. Steps that run anew have new keys. What was
 * undone stays in the journal; no effect outside is taken back by this.
 */
#include "cli/request.h"

static int refuse(struct running *x, const struct store_execution *found, const struct error *e) {
    struct str store = session_store_option(&x->s);
    struct str help = {0};
    if (e->code == ERR_QUARANTINED) {
        help = arena_printf(&x->c->arena, "try it once more: cairn retry %.*s --force%.*s",
                            STR_ARG(found->fixed.id), STR_ARG(store));
    } else if (e->code != ERR_STORE) {
        help = arena_printf(&x->c->arena, "targets are listed by: cairn checkpoints %.*s --all%.*s",
                            STR_ARG(found->fixed.id), STR_ARG(store));
    }
    return cli_fail_error(x->c, e, help.ptr);
}

/* Of an execution that nobody runs: what is refused must not make it go on. */
static int check(struct running *x, const struct store_execution *found) {
    struct error e = {0};
    bool ok = !host_may_rollback(x->s.host, found->fixed.id, str_from(cli_value(x->c, "to")), &e);
    return ok ? 0 : refuse(x, found, &e);
}

/* What has ended has no owner to ask. */
static int revive(struct running *x, const struct store_execution *found) {
    struct error e = {0};
    struct run *r;
    struct host_rollback q = {.to = str_from(cli_value(x->c, "to")),
                              .by = session_user(&x->s),
                              .resume = cli_has(x->c, "resume")};
    if (background_log(&x->background, &x->s, found->fixed.id)) {
        return EXIT_STORE;
    }
    enum err err;
    do {
        err = host_rollback(x->s.host, found->fixed.id, &q, &r, &e);
    } while (err && running_waits(x, &e));
    if (err) {
        background_back(&x->background, true);
        return refuse(x, found, &e);
    }
    err = running_watch(x, r);
    err = err ? err : running_catch_up(x);
    err = err ? err : running_turn(x);
    int status = err ? err_exit_code(err) : running_tell(x);
    return x->left && !q.resume ? 0 : status; /* left paused, as was asked */
}

static int run(struct cli *c) {
    const char *to = cli_value(c, "to");
    struct request q = {.ask = {.type = REQUEST_ROLLBACK,
                                .step = str_from(to),
                                .value = value_bool(cli_has(c, "resume"))},
                        .left = LEFT_WHOLE,
                        .check = check,
                        .revive = revive,
                        .done = "rolled back"};
    if (!to || !*to) {
        return cli_fail(c, ERR_USAGE, "targets are listed by: cairn checkpoints ID --all",
                        "--to: expected the number of an event, @NAME or NODE[#k], got nothing");
    }
    return request_run(c, &q);
}

static const struct cli_option options[] = {
    {"to", 0, "TARGET", "back to what: the number of an event, @NAME or NODE[#k]"},
    {"resume", 0, NULL, "goes on at once; else it is paused"},
    BACKGROUND_OPTION,
    RUNNING_OPTIONS,
};

static const struct cli_example examples[] = {
    {"cairn rollback @last --to @drafted", "to a checkpoint; then cairn resume @last"},
    {"cairn rollback @last --to review --resume", "before the newest step of a node, and on"},
    {"cairn rollback exec_06f3 --to 12", "to what it was after event 12"},
};

const struct command command_rollback = {
    .name = "rollback",
    .arguments = "ID",
    .doc = "goes back to an earlier state of an execution",
    .details =
        "A target is the number of an event (what it was after that), @ and the name of a "
        "checkpoint,\nor a node: before its newest step began, NODE#k before that of its iteration "
        "k.\n\nWhat came after the target no longer counts; its steps run anew with new keys. It "
        "stays in the\njournal, and what was used and paid stays counted. An execution that has "
        "ended is under way again.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
