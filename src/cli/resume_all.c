/* Every execution that nobody runs is taken over, then all go on in this process.
 *
 * One that cannot be gone on with (another process was quicker, its journal is broken, its plan
 * does not compile any more) is told and stops no other. Ctrl-C leaves all of them as they are
 * recorded instead of pausing them: what is paused by a person would be left alone next time.
 */
#include "cli/resume_all.h"

#include <signal.h>
#include <unistd.h>

#include "cli/background.h"
#include "cli/orphans.h"
#include "cli/prompt.h"
#include "cli/running.h"

/* What became of one; a row of `fates` each. */
enum fate { GOES_ON, COMPLETED, FAILED, LEFT, ELSEWHERE, BROKEN, TROUBLE, FATES };

static const struct {
    const char *word; /* behind a number */
    int status;       /* of the command: the gravest counts, see gravity */
} fates[FATES] = {
    [GOES_ON] = {"interrupted", EXIT_INTERRUPT},
    [COMPLETED] = {"completed", 0},
    [FAILED] = {"failed", 1},
    [LEFT] = {"left waiting or paused", EXIT_WAITING},
    [ELSEWHERE] = {"run by another process", 0},
    [BROKEN] = {"not to be gone on with", 1},
    [TROUBLE] = {"lost to trouble with the store", EXIT_STORE},
};

struct item {
    struct orphan of;
    struct run *run; /* NULL: it was not taken over */
    enum fate fate;
    struct error why;
};

struct all {
    struct cli *c;
    struct session s;
    struct background background;
    struct watch watch;
    struct prompt prompt;
    struct io_signal *signals[2];
    struct item *items;
    uint32_t count;
    bool leaving, left, waited;
};

/* ---- what the host tells ---- */

/* Every line names its execution, as those of sub-workflows do. */
static struct watch_source source_of(const struct run *r) {
    return (struct watch_source){run_id(r), run_plan(r), true};
}

static void on_event(void *ctx, struct run *r, const struct host_event *ev) {
    struct all *x = ctx;
    struct watch_source of = source_of(r);
    watch_event(&x->watch, &of, ev);
    prompt_event(&x->prompt, r, ev);
}

static void on_log(void *ctx, struct run *r, struct str step, const char *stream, struct str text) {
    struct watch_source of = source_of(r);
    watch_log(&((struct all *)ctx)->watch, &of, step, stream, text);
}

static struct item *item_of(struct all *x, const struct run *r) {
    for (uint32_t i = 0; i < x->count; i++) {
        if (x->items[i].run == r) {
            return &x->items[i];
        }
    }
    return NULL;
}

static void on_ended(void *ctx, struct run *r) {
    struct item *it = item_of(ctx, r);
    if (it) {
        it->fate = run_status(r) == EXEC_COMPLETED ? COMPLETED : FAILED;
    }
}

static enum fate fate_of(enum err code) {
    bool store = code == ERR_STORE || code == ERR_STORE_BUSY || code == ERR_STORE_UNKNOWN ||
                 code == ERR_STORE_FULL || code == ERR_IO || code == ERR_NOMEM;
    bool elsewhere = code == ERR_CONFLICT || code == ERR_FENCED;
    return elsewhere ? ELSEWHERE : store ? TROUBLE : BROKEN;
}

static void tell_error(struct sink *err, const struct item *it) {
    struct buf b;
    buf_init(&b, 0);
    text_colour(&b, err, COLOUR_RED, STR("error:"));
    buf_printf(&b, " execution %.*s of ", STR_ARG(it->of.id));
    text_clean(&b, it->of.workflow);
    buf_append_cstr(&b, ": ");
    text_clean(&b, str_from(it->why.message));
    buf_append_char(&b, '\n');
    sink_flush(err, &b);
    buf_fini(&b);
}

static void on_lost(void *ctx, struct run *r, const struct error *e) {
    struct all *x = ctx;
    struct item *it = item_of(x, r);
    if (it && it->fate == GOES_ON) {
        it->fate = fate_of(e->code);
        it->why = *e;
        tell_error(&x->c->err, it);
    }
}

static void on_signal(void *ctx, int signo) {
    struct all *x = ctx;
    (void)signo;
    if (x->leaving) {
        _exit(EXIT_INTERRUPT);
    }
    x->leaving = true;
}

static void on_busy(void *ctx, const struct error *why) {
    struct all *x = ctx;
    sink_write(&x->s.cli->err, session_busy_line(&x->s.cli->arena, why));
}

/* ---- beginning ---- */

static enum err open_all(struct all *x) {
    const struct host_observer observer = {.ctx = x,
                                           .event = on_event,
                                           .log = on_log,
                                           .ended = on_ended,
                                           .lost = on_lost,
                                           .busy = on_busy};
    enum err err = session_open_loop(&x->s);
    if (err) {
        return err;
    }
    x->s.watched = x->background.on;
    x->signals[0] = io_signal_open(x->s.loop, SIGINT, on_signal, x);
    x->signals[1] = io_signal_open(x->s.loop, SIGTERM, on_signal, x);
    if (!x->signals[0] || !x->signals[1]) {
        cli_fail(x->c, ERR_NOMEM, NULL, "out of memory");
        return ERR_NOMEM;
    }
    return session_open_host(&x->s, &observer);
}

static enum err find_items(struct all *x) {
    struct orphans found;
    enum err err = orphans_find(&x->s, &found);
    if (err) {
        return err;
    }
    x->items = ARENA_ARRAY(&x->c->arena, (size_t)found.count + 1, struct item);
    if (!x->items) {
        cli_fail(x->c, ERR_NOMEM, NULL, "out of memory");
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < found.count; i++) {
        x->items[i] = (struct item){.of = found.items[i]};
    }
    x->count = found.count;
    return OK;
}

/* Each of them, before anything of it is performed here. */
static uint32_t claim_all(struct all *x) {
    uint32_t claimed = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        struct item *it = &x->items[i];
        enum err err;
        do {
            err = host_resume(x->s.host, it->of.id, &it->run, &it->why);
        } while (err && !x->leaving && session_waits(&x->s, &x->waited, &it->why));
        if (err) {
            it->run = NULL;
            it->fate = fate_of(it->why.code);
        }
        claimed += it->run != NULL;
    }
    return claimed;
}

static enum err watch_all(struct all *x) {
    struct item *first = x->items;
    while (!first->run) {
        first++;
    }
    x->watch = (struct watch){
        .cli = x->c, .store = x->s.store, .loop = x->s.loop, .plan = run_plan(first->run)};
    bool quiet = cli_has(x->c, "quiet") && !x->background.on;
    enum watch_form form = cli_has(x->c, "json-lines") ? WATCH_JSON_LINES
                           : quiet                     ? WATCH_NOTHING
                                                       : WATCH_PLAIN;
    if (watch_open(&x->watch, form)) {
        cli_fail(x->c, ERR_NOMEM, NULL, "out of memory");
        return ERR_NOMEM;
    }
    prompt_open(&x->prompt, &x->s, &x->watch, false);
    return OK;
}

/* ---- telling ---- */

static struct value items_value(const struct all *x) {
    struct value_builder items;
    value_builder_init(&items, &x->c->arena);
    for (uint32_t i = 0; i < x->count; i++) {
        const struct item *it = &x->items[i];
        struct value_builder b;
        value_builder_init(&b, &x->c->arena);
        value_map_add(&b, STR("id"), value_text(it->of.id));
        value_map_add(&b, STR("workflow"), value_text(it->of.workflow));
        value_map_add(&b, STR("from"), value_text(it->of.status));
        value_map_add(&b, STR("outcome"),
                      value_text(it->fate == GOES_ON && !x->leaving
                                     ? STR("goes on")
                                     : str_from(fates[it->fate].word)));
        value_map_add(&b, STR("error"),
                      it->why.code ? value_text(str_from(it->why.message)) : value_null());
        value_list_add(&items, value_map_done(&b));
    }
    return value_list_done(&items);
}

/* A line for each that was taken over, and what is wrong with the others. */
static void tell_claims(struct all *x, struct sink *out, struct sink *err) {
    struct buf b;
    buf_init(&b, 0);
    for (uint32_t i = 0; i < x->count; i++) {
        const struct item *it = &x->items[i];
        if (it->run) {
            buf_printf(&b, "%.*s  ", STR_ARG(it->of.id));
            text_clean(&b, it->of.workflow);
            buf_printf(&b, "  %.*s\n", STR_ARG(it->of.status));
        } else {
            tell_error(err, it);
        }
    }
    if (!cli_has(x->c, "json") && !cli_has(x->c, "json-lines")) {
        sink_flush(out, &b);
    }
    buf_fini(&b);
}

/* "3 executions: 2 completed, 1 failed" */
static void tell_sum(struct all *x) {
    uint32_t counts[FATES] = {0};
    struct buf b;
    buf_init(&b, 0);
    for (uint32_t i = 0; i < x->count; i++) {
        counts[x->items[i].fate]++;
    }
    buf_printf(&b, "%u execution%s: ", x->count, x->count == 1 ? "" : "s");
    const char *between = "";
    for (int i = 0; i < FATES; i++) {
        if (counts[i]) {
            buf_printf(&b, "%s%u %s", between, counts[i], fates[i].word);
            between = ", ";
        }
    }
    buf_append_char(&b, '\n');
    sink_flush(&x->c->err, &b);
    buf_fini(&b);
}

static int status_of(const struct all *x) {
    static const int gravity[] = {EXIT_STORE, EXIT_INTERRUPT, 1, EXIT_WAITING};
    for (size_t g = 0; g < ARRAY_LEN(gravity); g++) {
        for (uint32_t i = 0; i < x->count; i++) {
            if (fates[x->items[i].fate].status == gravity[g]) {
                return gravity[g];
            }
        }
    }
    return 0;
}

/* ---- going on ---- */

static bool may_leave(const struct all *x) {
    wall_us due;
    bool paused = true;
    for (uint32_t i = 0; i < x->count; i++) {
        const struct item *it = &x->items[i];
        paused = paused && (!it->run || it->fate != GOES_ON || run_status(it->run) == EXEC_PAUSED);
    }
    return host_at_rest(x->s.host) &&
           (paused || (!x->background.on && !host_next_due(x->s.host, &due)));
}

/* A request that came at the last moment keeps them here. */
static enum err leave(struct all *x, struct error *e) {
    enum err err = host_release(x->s.host, e);
    x->left = err == OK;
    for (uint32_t i = 0; i < x->count && x->left; i++) {
        struct item *it = &x->items[i];
        it->fate = it->fate == GOES_ON ? LEFT : it->fate;
    }
    return err == ERR_CONFLICT || err == ERR_STORE_BUSY ? OK : err; /* once more, later */
}

static int turn_all(struct all *x) {
    struct error e = {0};
    bool busy = true;
    enum err err = OK;
    while (busy && !x->leaving && !x->left && !err) {
        err = host_turn(x->s.host, true, &busy, &e);
        if (!err && busy && may_leave(x)) {
            err = leave(x, &e);
        }
    }
    prompt_close(&x->prompt);
    watch_close(&x->watch);
    if (err) {
        cli_fail_error(x->c, &e, NULL);
    }
    return err ? err_exit_code(err) : 0;
}

/* The log first: what is taken over without one would lose its owner again. */
static int go_on(struct all *x) {
    struct background *b = &x->background;
    struct str name = arena_printf(&x->c->arena, "resume-all-%lld", (long long)getpid());
    if (background_log(b, &x->s, name)) {
        return EXIT_STORE;
    }
    if (!claim_all(x)) {
        background_back(b, true);
        tell_claims(x, &x->c->out, &x->c->err);
        return 0;
    }
    if (watch_all(x)) {
        return EXIT_STORE;
    }
    tell_claims(x, b->on ? &b->out : &x->c->out, b->on ? &b->err : &x->c->err);
    if (b->on) {
        background_tell_all(b, &x->s, items_value(x));
    }
    return turn_all(x);
}

static int find_and_go_on(struct all *x) {
    struct cli *c = x->c;
    enum err err = session_open(&x->s, c, false);
    if (!err && !x->s.store && cli_has(c, "store")) {
        return session_no_store(&x->s); /* a slip of the pen; the usual place may well be empty */
    }
    err = err ? err : find_items(x);
    if (err) {
        return err_exit_code(err);
    }
    if (!x->count) {
        sink_printf(&c->err, "nothing is interrupted\n");
        return 0;
    }
    err = open_all(x);
    int status = err ? err_exit_code(err) : go_on(x);
    if (err || status) {
        return status;
    }
    if (cli_has(c, "json") && !x->background.told) {
        cli_print_json(c, items_value(x));
    }
    tell_sum(x);
    return status_of(x);
}

int resume_all(struct cli *c) {
    struct all x = {.c = c};
    int status = 0;
    enum err err = running_options_check(c);
    if (err || !background_begin(&x.background, c, &status)) {
        return err ? err_exit_code(err) : status;
    }
    status = find_and_go_on(&x);
    host_close(x.s.host);
    x.s.host = NULL;
    io_signal_close(x.signals[0]);
    io_signal_close(x.signals[1]);
    session_close(&x.s);
    return status;
}
