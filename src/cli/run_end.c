/* How `cairn run` ends: the result on stdout, what failed on stderr with how to look further; or
 * the execution was lost to the store, or left by a signal.
 *
 * An execution that was left is as it was last recorded: nothing is written for it any more.
 */
#include "cli/approves.h"
#include "cli/budget.h"
#include "cli/running.h"

int run_tell_interrupted(struct running *x) {
    struct str store = session_store_option(&x->s);
    host_close(x->s.host); /* stops what runs; nothing more is recorded */
    x->s.host = NULL;
    if (!x->recorded) {
        sink_printf(&x->c->err, "interrupted: nothing was recorded\n");
        return EXIT_INTERRUPT;
    }
    sink_printf(&x->c->err,
                "interrupted: execution %.*s was left as it was and is kept\n"
                "    go on with it: cairn resume %.*s%.*s\n",
                STR_ARG(x->id), STR_ARG(x->id), STR_ARG(store));
    return EXIT_INTERRUPT;
}

/* It waits for somebody, or is paused; nobody runs it now, and anybody may go on with it. */
int run_tell_left(struct running *x) {
    struct str store = session_store_option(&x->s);
    bool paused = run_status(x->run) == EXEC_PAUSED;
    struct details d = {0};
    struct error e = {0};
    if (running_wants_json(x) && details_open(&x->s, x->id, &d, &e) == OK) {
        cli_print_json(x->c, details_json(&x->c->arena, &d.stored, d.now, &d));
    }
    details_close(&d);
    sink_printf(&x->c->err,
                paused ? "paused: execution %.*s\n    go on: cairn resume %.*s%.*s\n"
                       : "waiting: execution %.*s goes on when it is answered\n"
                         "    what it waits for: cairn explain %.*s%.*s\n",
                STR_ARG(x->id), STR_ARG(x->id), STR_ARG(store));
    return x->interrupts ? EXIT_INTERRUPT : EXIT_WAITING;
}

int run_tell_lost(struct running *x) {
    struct buf help;
    struct str store = session_store_option(&x->s);
    buf_init(&help, 0);
    buf_printf(&help, "execution %.*s was left as it was last recorded: cairn results %.*s%.*s",
               STR_ARG(x->id), STR_ARG(x->id), STR_ARG(store));
    buf_append_char(&help, '\0');
    cli_fail_error(x->c, &x->why_lost, buf_ok(&help) ? help.ptr : NULL);
    buf_fini(&help);
    return EXIT_STORE;
}

static void print_result(struct running *x) {
    struct buf b;
    buf_init(&b, 0);
    outcome_show_result(&b, &x->c->out, details_value(&x->c->arena, run_result_json(x->run)));
    sink_flush(&x->c->out, &b);
    buf_fini(&b);
}

static void print_failure(struct running *x, const struct details *d) {
    struct buf b;
    struct str store = session_store_option(&x->s);
    struct value why = details_value(&x->c->arena, d->stored.row.error);
    struct engine_error error = {.type = details_text(why, "type"),
                                 .message = details_text(why, "message"),
                                 .node = details_text(why, "node")};
    struct str from = d->plan ? approves_from(d->plan, error, &x->c->arena) : STR("");
    struct str file = x->w.plan ? x->w.path : d->file; /* as typed, or where it lay */
    bool has_file = file.len && !str_is(file, "-");
    struct str more = from;
    enum budget_need need =
        from.len ? BUDGET_NEEDS_NOTHING : budget_need_of(&error, x->id, &x->c->arena, &more);
    buf_init(&b, 0);
    outcome_print_error(&b, &x->c->err, d, x->w.shown);
    outcome_print_completed(&b, d);
    buf_printf(&b, "    look further: cairn explain %.*s%.*s\n", STR_ARG(x->id), STR_ARG(store));
    if (need != BUDGET_NEEDS_FILE || !has_file) {
        buf_printf(&b, "    try again: cairn retry %.*s%.*s%.*s\n", STR_ARG(x->id), STR_ARG(more),
                   STR_ARG(store));
    }
    if (!from.len && has_file) {
        buf_printf(&b, "    after mending it: cairn retry %.*s --workflow ", STR_ARG(x->id));
        text_shell(&b, file);
        buf_printf(&b, "%.*s\n", STR_ARG(store));
    }
    sink_flush(&x->c->err, &b);
    buf_fini(&b);
}

int run_tell_end(struct running *x) {
    enum exec_status status = run_status(x->run);
    struct details d = {0};
    struct error e = {0};
    bool json = running_wants_json(x);
    if (!json && !cli_has(x->c, "json-lines")) {
        print_result(x);
    }
    if (json || status != EXEC_COMPLETED) {
        enum err err = details_open(&x->s, x->id, &d, &e);
        if (err) {
            details_close(&d);
            return cli_fail_error(x->c, &e, NULL);
        }
        d.plan = x->w.plan ? x->w.plan : d.plan; /* its marks name the file as it was typed */
    }
    if (json) {
        cli_print_json(x->c, details_json(&x->c->arena, &d.stored, d.now, &d));
    }
    if (status != EXEC_COMPLETED) {
        print_failure(x, &d);
    }
    details_close(&d);
    return outcome_exit_status(status);
}
