/* The way of a request: recorded in the inbox, taken by the owner, its verdict awaited. An owner
 * that dies meanwhile leaves the row behind, and who takes the execution over finds it there.
 */
#include "cli/request.h"

#include <stdio.h>

#define LOOK_NS 50000000          /* between two looks for the verdict when nothing tells of it */
#define PATIENCE_NS 10000000000ll /* then the request is left with its owner */

struct asking {
    struct running x;
    struct request *q;
    struct store_execution target;
    struct store_execution root; /* of its tree, as far as that has not ended: it is owned whole */
    struct arena seen;           /* of the two */
    int64_t row;                 /* of the inbox, 0: not there */
    int64_t pid;                 /* who was last seen to run it, 0: nobody */
    struct io_watch *watch;      /* of the inbox; NULL: only the looks are left */
    bool told;                   /* there may be a verdict */
    int status;                  /* of the verdict that was told */
};

/* ---- what is asked, and of whom ---- */

/* The target by its number, and the root above it, as they are now. Reported. */
static enum err look(struct asking *k, int64_t num) {
    struct store *s = k->x.s.store;
    struct error e = {0};
    arena_reset(&k->seen);
    enum err err = store_execution_get(s, num, STR(""), &k->seen, &k->target, &e);
    k->root = k->target;
    while (!err && k->root.fixed.parent) {
        struct store_execution above;
        err = store_execution_get(s, k->root.fixed.parent, STR(""), &k->seen, &above, &e);
        if (err || above.row.completed.us) {
            break;
        }
        k->root = above;
    }
    if (err) {
        cli_fail_error(k->x.c, &e, NULL);
    } else if (k->target.owner_alive || k->root.owner_alive) {
        k->pid = (k->target.owner_alive ? k->target : k->root).owner_pid;
    }
    return err;
}

static bool has_owner(const struct asking *k) {
    return k->target.owner_alive || k->root.owner_alive;
}

/* What helps somebody who was refused: who wants to go on with it learns who does already, and of
 * what nobody runs something else is allowed than of what is under way. */
static struct str help_of(struct asking *k) {
    struct arena *a = &k->x.c->arena;
    struct str id = k->target.fixed.id, store = session_store_option(&k->x.s);
    struct store_execution above;
    struct error ignored;
    if (k->q->ask.type == REQUEST_RESUME && k->pid) {
        return arena_printf(a, "process %lld runs it: cairn watch %.*s", (long long)k->pid,
                            STR_ARG(id));
    }
    if (k->q->ask.type == REQUEST_ROLLBACK && k->root.num != k->target.num &&
        store_execution_get(k->x.s.store, k->target.fixed.parent, STR(""), a, &above, &ignored) ==
            OK) {
        return arena_printf(a, "before that step began: cairn rollback %.*s --to %.*s%.*s",
                            STR_ARG(above.fixed.id),
                            STR_ARG(text_node_of(k->target.fixed.parent_step)), STR_ARG(store));
    }
    return has_owner(k) || k->x.run || !str_is(details_status(&k->target), "interrupted")
               ? (struct str){0}
               : arena_printf(a, "nobody runs it; allowed now: %s", host_allows(&k->target));
}

static int refused(struct asking *k, struct str verdict) {
    struct str why = str_sub(verdict, strlen("refused: "), verdict.len);
    return cli_fail(k->x.c, ERR_CONFLICT, help_of(k).ptr, "%.*s of %.*s refused: %.*s",
                    STR_ARG(str_from(host_request_name(k->q->ask.type))),
                    STR_ARG(k->target.fixed.id), STR_ARG(why));
}

/* What was accepted may come with a note that says what became of it. */
static struct str done_line(const struct asking *k, struct str verdict) {
    if (verdict.len > strlen("accepted: ")) {
        struct str note = str_sub(verdict, strlen("accepted: "), verdict.len);
        return arena_printf(&k->x.c->arena, "%.*s: execution %.*s\n", STR_ARG(note),
                            STR_ARG(k->target.fixed.id));
    }
    return arena_printf(&k->x.c->arena, "%s: execution %.*s\n", k->q->done,
                        STR_ARG(k->target.fixed.id));
}

/* 0 when it was accepted, else the exit status of the refusal. */
static int tell_verdict(struct asking *k, struct str verdict) {
    if (!str_starts(verdict, STR("accepted"))) {
        return refused(k, verdict);
    }
    if (!cli_has(k->x.c, "quiet")) {
        sink_write(&k->x.c->err, done_line(k, verdict));
    }
    return 0;
}

/* ---- an owner that lives ---- */

static enum err put_row(struct asking *k) {
    struct running *x = &k->x;
    struct value_builder b;
    struct buf payload;
    struct error e = {0};
    value_builder_init(&b, &x->c->arena);
    value_map_add(&b, STR("by"), value_text(k->q->ask.by));
    if (k->q->ask.type == REQUEST_ANSWER || k->q->ask.type == REQUEST_SIGNAL ||
        k->q->ask.type == REQUEST_ROLLBACK) {
        value_map_add(&b, STR("value"), k->q->ask.value);
    }
    buf_init(&payload, 0);
    value_print_json(value_map_done(&b), 0, &payload);
    struct store_inbox row = {.execution = k->target.num,
                              .kind = str_from(host_request_name(k->q->ask.type)),
                              .step = k->q->ask.step,
                              .payload = buf_str(&payload),
                              .at = session_now()};
    enum err err = store_inbox_add(x->s.store, &row, &k->row, &e);
    buf_fini(&payload);
    if (err) {
        cli_fail_error(x->c, &e, NULL);
    }
    return err;
}

static void on_change(void *ctx, bool gone) {
    struct asking *k = ctx;
    k->told = true;
    if (gone) {
        io_watch_close(k->watch);
        k->watch = NULL;
    }
}

/* Before the request is recorded: no verdict can come unseen. */
static void listen(struct asking *k) {
    const char *path = store_inbox_file(k->x.s.store);
    k->watch = path ? io_watch_open(k->x.s.loop, path, on_change, k) : NULL;
}

/* What became of the request by now, or empty. Reported. */
static enum err find_verdict(struct asking *k, struct str *out) {
    struct store_inbox row = {0};
    struct error e = {0};
    enum err err = k->row ? store_inbox_get(k->x.s.store, k->row, &k->seen, &row, &e) : OK;
    if (err) {
        cli_fail_error(k->x.c, &e, NULL);
        return err;
    }
    *out = row.verdict.len ? arena_str(&k->x.c->arena, row.verdict) : STR("");
    return OK;
}

static void look_again(void *ctx) { *(bool *)ctx = true; }

/* Until there may be something new. */
static void rest(struct asking *k) {
    bool due = false;
    struct io_timer *t = io_timer_open(k->x.s.loop, look_again, &due);
    if (t) {
        io_timer_start(t, LOOK_NS);
        while (!due && !k->told && io_loop_turn(k->x.s.loop, true)) {}
        io_timer_close(t);
    }
}

/* OK: *out is the verdict, or empty when the owner is gone or takes too long (then *out_late). */
static enum err await_verdict(struct asking *k, struct str *out, bool *out_late) {
    struct running *x = &k->x;
    const struct io_clock *clock = io_loop_clock(x->s.loop);
    int64_t until = clock->mono(clock->ctx).ns + PATIENCE_NS;
    *out = STR("");
    *out_late = false;
    for (;;) {
        k->told = false;
        enum err err = look(k, k->target.num);
        err = err ? err : find_verdict(k, out);
        if (err) {
            return err;
        }
        *out_late = clock->mono(clock->ctx).ns > until;
        if (out->len || *out_late || !has_owner(k)) {
            return OK;
        }
        rest(k);
    }
}

static int late(struct asking *k) {
    sink_printf(&k->x.c->err,
                "the request is recorded (number %lld); the process that runs %.*s (%lld) has not "
                "taken it yet\n",
                (long long)k->row, STR_ARG(k->target.fixed.id), (long long)k->pid);
    return EXIT_WAITING;
}

/* ---- nobody runs it ---- */

/* What was asked stands in the inbox all the same. */
static int fail_recorded(struct asking *k, const struct error *e) {
    struct str help = arena_printf(&k->x.c->arena,
                                   "the request is recorded (number %lld): it is decided on when "
                                   "somebody goes on with the execution",
                                   (long long)k->row);
    return cli_fail_error(k->x.c, e, k->row ? help.ptr : NULL);
}

/* To go on with what only lost its owner nothing needs to be asked of it. */
static bool is_plain_resume(const struct asking *k) {
    return k->q->ask.type == REQUEST_RESUME && !str_is(k->root.row.status, "paused");
}

/* Another process was quicker; what was asked stands in the inbox for it. */
static bool was_overtaken(const struct running *x, bool plain) {
    return x->lost && (plain || !x->verdict.len) && x->why_lost.code == ERR_FENCED;
}

static bool is_refused(const struct running *x) {
    return x->verdict.len && !str_starts(x->verdict, STR("accepted"));
}

/* The verdict is told when it is there: the execution may go on here for long. A refusal in the
 * background ends this process, which tells it then to who waits and not to the log. */
static void on_told(void *ctx) {
    struct asking *k = ctx;
    if (k->x.background.on && is_refused(&k->x)) {
        return;
    }
    watch_hold(&k->x.watch, true);
    k->status = tell_verdict(k, k->x.verdict);
    watch_hold(&k->x.watch, k->x.prompt.shown != NULL);
}

/* It goes on because of what was asked before, as by a rollback that resumes: that was wanted. */
static void on_resumed(void *ctx) {
    struct asking *k = ctx;
    enum exec_status now = run_status(k->x.run);
    if (now != EXEC_PAUSED && !exec_status_final(now)) {
        k->x.verdict = STR("accepted");
    }
}

/* What was asked for is what it came to. */
static bool is_done(const struct asking *k) {
    const struct host_request *q = &k->q->ask;
    return (q->type == REQUEST_CANCEL && k->x.ended) ||
           (q->type == REQUEST_ROLLBACK && !q->value.boolean && k->x.left);
}

/* Others may have run it, decided on the request and left before it was taken over. */
static enum err tell_earlier(struct asking *k) {
    struct running *x = &k->x;
    struct str verdict = STR("");
    enum err err = x->ticket ? find_verdict(k, &verdict) : OK;
    if (!err && verdict.len) {
        x->verdict = verdict;
        x->told(x->told_ctx);
    }
    return err;
}

/* The whole tree is taken over; the request stands in the inbox, so it is not lost should another
 * process do the same now. */
static int take_over(struct asking *k, bool *out_other) {
    struct running *x = &k->x;
    struct error e = {0};
    struct run *r;
    bool plain = is_plain_resume(k);
    enum err err = plain || k->row ? OK : put_row(k);
    if (err) {
        return err_exit_code(err);
    }
    if (background_log(&x->background, &x->s, k->root.fixed.id)) {
        return EXIT_STORE;
    }
    do {
        err = host_resume(x->s.host, k->root.fixed.id, &r, &e);
    } while (err && running_waits(x, &e));
    *out_other = err == ERR_CONFLICT;
    if (err) {
        background_back(&x->background, true);
        return *out_other ? 0 : fail_recorded(k, &e);
    }
    x->recorded = true; /* that it is taken over */
    x->ticket = plain ? 0 : k->row;
    x->verdict = plain ? STR("accepted") : STR("");
    x->told = k->q->ask.type == REQUEST_RESUME ? on_resumed : on_told;
    x->told_ctx = k;
    err = running_watch(x, r);
    if (!err && k->q->ask.type == REQUEST_RESUME) {
        x->asks_again = true;
        watch_notice(&x->watch, cli_has(x->c, "quiet") ? STR("") : done_line(k, STR("")));
    }
    err = err ? err : running_catch_up(x);
    err = err ? err : tell_earlier(k);
    err = err ? err : running_turn(x);
    *out_other = !err && was_overtaken(x, plain);
    if (*out_other) {
        x->lost = false;
        return 0;
    }
    int status = err ? err_exit_code(err) : k->status;
    bool told = !x->asks_again && !x->background.on;
    if (!err && !told && is_refused(x)) {
        status = tell_verdict(k, x->verdict);
    }
    if (status && (x->left || x->background.on)) {
        return status; /* it waits on as before */
    }
    int end = err ? status : running_tell(x);
    return status || is_done(k) ? status : end;
}

/* It needs who runs it. */
static int nobody(struct asking *k) {
    struct str name = str_from(host_request_name(k->q->ask.type));
    struct str root = k->root.fixed.id, store = session_store_option(&k->x.s);
    bool below = k->root.num != k->target.num;
    if (k->row) { /* its owner died over it */
        sink_printf(&k->x.c->err,
                    "nobody runs execution %.*s any more; the request is recorded (number %lld): "
                    "%s when somebody goes on with it\n",
                    STR_ARG(k->target.fixed.id), (long long)k->row, k->q->done);
        return EXIT_WAITING;
    }
    struct str help =
        arena_printf(&k->x.c->arena, "go on with %s: cairn resume %.*s%.*s; allowed now: %s",
                     below ? "what it is a sub-workflow of" : "it", STR_ARG(root), STR_ARG(store),
                     below ? "resume, answer, signal, checkpoint" : host_allows(&k->target));
    return cli_fail(k->x.c, ERR_CONFLICT, help.ptr,
                    "nobody runs execution %.*s (%.*s), so there is nothing to %.*s",
                    STR_ARG(k->target.fixed.id), STR_ARG(details_status(&k->target)),
                    STR_ARG(name));
}

/* Decided on and recorded, once; nothing goes on. */
static int visit(struct asking *k, bool *out_other) {
    struct running *x = &k->x;
    struct error e = {0};
    if (!k->row && put_row(k)) {
        return EXIT_STORE;
    }
    x->ticket = k->q->ask.ticket = k->row;
    x->verdict = STR("");
    x->told = NULL;
    enum err err;
    do {
        err = host_visit(x->s.host, k->target.fixed.id, &k->q->ask, &e);
    } while (err && running_waits(x, &e));
    x->lost = false;
    if (!err && x->verdict.len) {
        return tell_verdict(k, x->verdict);
    }
    *out_other = !err || err == ERR_CONFLICT || err == ERR_FENCED;
    return *out_other ? 0 : fail_recorded(k, &e);
}

/* What would be refused takes nothing over. An execution that cannot be read is told by who takes
 * it over, since only a claim may end it as quarantined. */
static int no_owner(struct asking *k, bool *out_other) {
    struct running *x = &k->x;
    struct error e = {0};
    struct str verdict = {0};
    enum request_left left = k->q->left;
    enum err err = find_verdict(k, &verdict);
    if (err || verdict.len) {
        return err ? err_exit_code(err) : tell_verdict(k, verdict);
    }
    if (left == LEFT_REFUSED || is_plain_resume(k)) {
        return left == LEFT_REFUSED ? nobody(k) : take_over(k, out_other);
    }
    int wrong = k->q->check && !k->row ? k->q->check(x, &k->target) : 0;
    if (wrong) {
        return wrong;
    }
    err = host_would(x->s.host, k->target.fixed.id, &k->q->ask, &x->c->arena, &verdict, &e);
    if (err && left == LEFT_RECORDED) {
        return cli_fail_error(x->c, &e, NULL);
    }
    bool refusal = !err && !str_starts(verdict, STR("accepted"));
    if (refusal && !k->row) {
        return tell_verdict(k, verdict);
    }
    if (refusal || left == LEFT_RECORDED) {
        return visit(k, out_other);
    }
    bool more = k->root.num != k->target.num && str_is(details_status(&k->root), "interrupted");
    return left == LEFT_WHOLE && more ? nobody(k) : take_over(k, out_other);
}

/* Perhaps by what was asked: another process may have taken that and run it on to its end. */
static int ended(struct asking *k) {
    struct str verdict = STR("");
    enum err err = find_verdict(k, &verdict);
    if (err || verdict.len) {
        return err ? err_exit_code(err) : tell_verdict(k, verdict);
    }
    if (k->q->revive) {
        return k->q->revive(&k->x, &k->target);
    }
    struct str help = arena_printf(&k->x.c->arena, "allowed now: %s", host_allows(&k->target));
    return cli_fail(k->x.c, ERR_CONFLICT, help.ptr, "execution %.*s has ended (%.*s)",
                    STR_ARG(k->target.fixed.id), STR_ARG(k->target.row.status));
}

static int ask_owner(struct asking *k, bool *out_other) {
    struct str verdict = STR("");
    bool is_late = false;
    enum err err = k->row ? OK : put_row(k);
    err = err ? err : await_verdict(k, &verdict, &is_late);
    if (err || is_late || verdict.len) {
        return err ? err_exit_code(err) : is_late ? late(k) : tell_verdict(k, verdict);
    }
    *out_other = true; /* it is gone, or the execution ended without a word about it */
    return 0;
}

static int ask(struct asking *k, int64_t num) {
    for (;;) {
        bool other = false;
        k->told = false;
        enum err err = look(k, num);
        int status = err                          ? err_exit_code(err)
                     : k->target.row.completed.us ? ended(k)
                     : has_owner(k)               ? ask_owner(k, &other)
                                                  : no_owner(k, &other);
        if (!other) {
            return status;
        }
        rest(k);
    }
}

static int find_and_ask(struct asking *k) {
    struct cli *c = k->x.c;
    struct str id;
    struct error e = {0};
    struct store_execution found;
    enum err err = running_open(&k->x, false);
    err = err ? err : session_find(&k->x.s, c->arguments[0], &id);
    if (err) {
        return err_exit_code(err);
    }
    if (store_execution_get(k->x.s.store, 0, id, &c->arena, &found, &e)) {
        return cli_fail_error(c, &e, NULL);
    }
    k->q->ask.by = session_user(&k->x.s);
    listen(k);
    return ask(k, found.num);
}

int request_run(struct cli *c, struct request *q) {
    struct asking k = {.x = {.c = c}, .q = q};
    int status = 0;
    enum err err = running_options_check(c);
    if (err || !background_begin(&k.x.background, c, &status)) {
        return err ? err_exit_code(err) : status;
    }
    k.x.background.pauses = q->ask.type == REQUEST_ROLLBACK && !q->ask.value.boolean;
    arena_init(&k.seen, 0);
    status = find_and_ask(&k);
    io_watch_close(k.watch);
    running_close(&k.x);
    arena_fini(&k.seen);
    return status;
}
