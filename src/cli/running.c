/* One execution run by this process: its host, what is shown of it, and when to stop.
 *
 * The first Ctrl-C pauses: what runs goes on to its end and is recorded, nothing new starts, then
 * the process leaves. The second leaves at once; the launcher then kills what is left of its
 * processes, and the steps run again on resume. SIGTERM leaves without waiting. In the background
 * nobody waits for the process, so it stays while the execution waits, also for people.
 */
#include "cli/running.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

/* ---- what the host tells ---- */

static struct watch_source source_of(const struct run *r) {
    return (struct watch_source){run_id(r), run_plan(r), run_is_child(r)};
}

static void on_event(void *ctx, struct run *r, const struct host_event *ev) {
    struct running *x = ctx;
    struct watch_source of = source_of(r);
    x->recorded = x->recorded || (r == x->run && ev->kind != EVENT_EXECUTION_CLAIMED);
    if (x->watch.cli) { /* else it is visited, see request.c */
        watch_event(&x->watch, &of, ev);
        prompt_event(&x->prompt, r, ev);
    }
}

static void on_log(void *ctx, struct run *r, struct str step, const char *stream, struct str text) {
    struct watch_source of = source_of(r);
    watch_log(&((struct running *)ctx)->watch, &of, step, stream, text);
}

static void on_chunk(void *ctx, struct run *r, struct str step, struct str text) {
    struct watch_source of = source_of(r);
    watch_chunk(&((struct running *)ctx)->watch, &of, step, text);
}

static void on_ended(void *ctx, struct run *r) {
    struct running *x = ctx;
    x->ended = x->ended || r == x->run;
}

static void on_found(void *ctx, struct run *r) {
    struct running *x = ctx;
    if (x->asks_again) {
        prompt_waiting(&x->prompt, r);
    }
}

static void on_verdict(void *ctx, struct run *r, int64_t ticket, struct str text) {
    struct running *x = ctx;
    if (x->ticket && ticket == x->ticket) {
        x->verdict = arena_str(&x->c->arena, text);
        if (x->told) {
            x->told(x->told_ctx);
        }
    }
    prompt_verdict(&x->prompt, r, ticket, text);
}

static void on_lost(void *ctx, struct run *r, const struct error *e) {
    struct running *x = ctx;
    (void)r; /* a lost sub-workflow leaves its parent without an end as well */
    if (!x->lost) {
        x->lost = true;
        x->why_lost = *e;
    }
}

static void on_busy(void *ctx, const struct error *why) {
    struct running *x = ctx;
    if (x->watch.cli) {
        watch_notice(&x->watch, session_busy_line(&x->c->arena, why));
    }
}

/* ---- signals ---- */

static uint32_t count_running(const struct running *x) {
    const struct engine *g = x->run ? run_engine(x->run) : NULL;
    return g ? engine_counts(g).running : 0;
}

static void pause_and_say(struct running *x) {
    struct host_request q = {.type = REQUEST_PAUSE, .by = STR("Ctrl-C")};
    struct error e = {0};
    uint32_t steps = count_running(x);
    if (host_ask(x->s.host, x->run, &q, &e)) {
        x->leaving = true;
        return;
    }
    struct str text = arena_printf(&x->c->arena,
                                   "pausing, waiting for %u step%s; Ctrl-C again leaves now, they "
                                   "will run again on resume\n",
                                   steps, steps == 1 ? "" : "s");
    watch_notice(&x->watch, steps ? text : STR("pausing\n"));
}

static void on_signal(void *ctx, int signo) {
    struct running *x = ctx;
    if (x->background.on && !x->background.told) {
        x->leaving = true; /* the one who waits is gone or goes */
        return;
    }
    if (signo == SIGTERM && !x->leaving) {
        x->leaving = true;
        watch_notice(&x->watch, STR("stopping what runs; once more leaves at once\n"));
        return;
    }
    if (x->leaving || ++x->interrupts > 1) {
        _exit(EXIT_INTERRUPT);
    }
    if (x->run && !x->ended && !x->lost) {
        pause_and_say(x);
    }
}

/* ---- beginning ---- */

enum err running_options_check(struct cli *c) { return cli_exclude(c, "json", "json-lines", NULL); }

bool running_wants_json(const struct running *x) {
    return cli_has(x->c, "json") && !x->background.on;
}

static enum watch_form form_of(const struct running *x) {
    const struct cli *c = x->c;
    if (x->background.on) {
        return WATCH_PLAIN;
    }
    if (cli_has(c, "json-lines")) {
        return WATCH_JSON_LINES;
    }
    if (cli_has(c, "quiet")) {
        return WATCH_NOTHING;
    }
    return c->err.terminal ? WATCH_LIVE : WATCH_PLAIN;
}

enum err running_open(struct running *x, bool make) {
    const struct host_observer observer = {.ctx = x,
                                           .event = on_event,
                                           .log = on_log,
                                           .chunk = on_chunk,
                                           .ended = on_ended,
                                           .found = on_found,
                                           .verdict = on_verdict,
                                           .lost = on_lost,
                                           .busy = on_busy};
    enum err err = session_open(&x->s, x->c, make);
    x->s.watched = x->background.on;
    err = err ? err : session_open_loop(&x->s);
    if (err) {
        return err;
    }
    x->signals[0] = io_signal_open(x->s.loop, SIGINT, on_signal, x);
    x->signals[1] = io_signal_open(x->s.loop, SIGTERM, on_signal, x);
    if (!x->signals[0] || !x->signals[1]) {
        cli_fail(x->c, ERR_NOMEM, NULL, "out of memory");
        return ERR_NOMEM;
    }
    /* Without a store there is nothing to run: session_find says so, with the id that was typed. */
    return x->s.store ? session_open_host(&x->s, &observer) : OK;
}

bool running_waits(struct running *x, const struct error *why) {
    bool stays = !x->leaving && !x->interrupts;
    return stays && session_waits(&x->s, &x->waited, why) && !x->leaving && !x->interrupts;
}

enum err running_watch(struct running *x, struct run *r) {
    x->run = r;
    x->id = arena_str(&x->c->arena, run_id(r));
    x->watch =
        (struct watch){.cli = x->c, .store = x->s.store, .loop = x->s.loop, .plan = run_plan(r)};
    enum err err = watch_open(&x->watch, form_of(x));
    if (err) {
        cli_fail(x->c, ERR_NOMEM, NULL, "out of memory");
        return err;
    }
    prompt_open(&x->prompt, &x->s, &x->watch, !x->background.on);
    return OK;
}

enum err running_catch_up(struct running *x) {
    struct watch_source of = source_of(x->run);
    struct store_execution stored;
    struct store_event *rows = NULL;
    struct error e = {0};
    uint32_t count = 0;
    struct arena a;
    arena_init(&a, 0);
    enum err err = store_execution_get(x->s.store, 0, x->id, &a, &stored, &e);
    if (!err && x->watch.ops) {
        err = store_read_events(x->s.store, (struct store_range){stored.num, 0, stored.last_seq},
                                &a, &rows, &count, &e);
    }
    for (uint32_t i = 0; i < count && !err; i++) {
        struct host_event ev = {(enum event_kind)rows[i].kind, rows[i].seq, rows[i].at,
                                rows[i].step, rows[i].body};
        watch_past(&x->watch, &of, &ev);
    }
    arena_fini(&a);
    if (err) {
        cli_fail_error(x->c, &e, NULL);
    }
    if (x->asks_again) {
        prompt_waiting(&x->prompt, x->run);
    }
    return err;
}

/* ---- turning ---- */

/* Nothing here can move it any more: it is paused, or waits for what comes from elsewhere. */
static bool may_leave(const struct running *x) {
    wall_us due;
    if (!host_at_rest(x->s.host)) {
        return false;
    }
    bool paused = run_status(x->run) == EXEC_PAUSED;
    bool stays = x->background.on || host_next_due(x->s.host, &due) || prompt_is_open(&x->prompt);
    return paused || !stays;
}

/* A request that came at the last moment keeps it here. */
static enum err leave(struct running *x, struct error *e) {
    enum err err = host_release(x->s.host, e);
    x->left = err == OK;
    return err == ERR_CONFLICT || err == ERR_STORE_BUSY ? OK : err; /* once more, later */
}

/* In the background: it is recorded as ours, and what was asked of it with that is granted. What is
 * refused makes nothing go on that nobody ran. */
static void tell_user(struct running *x) {
    bool granted = !x->ticket || str_starts(x->verdict, STR("accepted"));
    if (!x->background.on || x->background.told || !x->recorded || x->lost) {
        return;
    }
    if (granted) {
        background_tell(&x->background, &x->s, x->id);
    } else if (x->verdict.len) {
        x->leaving = true;
    }
}

/* Sub-workflows of what was cancelled may still run their `finally`. */
static bool is_over(const struct running *x) { return x->ended && !host_has_live(x->s.host); }

enum err running_turn(struct running *x) {
    struct error e = {0};
    bool busy = true;
    enum err err = OK;
    while (busy && !x->leaving && !is_over(x) && !x->lost && !x->left && !err) {
        err = host_turn(x->s.host, true, &busy, &e);
        prompt_turn(&x->prompt);
        tell_user(x);
        if (!err && !is_over(x) && !x->lost && may_leave(x)) {
            err = leave(x, &e);
        }
    }
    background_back(&x->background, !x->recorded);
    prompt_close(&x->prompt);
    watch_close(&x->watch);
    if (err) {
        cli_fail_error(x->c, &e, NULL);
    }
    return err;
}

int running_tell(struct running *x) {
    return x->ended  ? run_tell_end(x)
           : x->lost ? run_tell_lost(x)
           : x->left ? run_tell_left(x)
                     : run_tell_interrupted(x);
}

void running_close(struct running *x) {
    prompt_close(&x->prompt);
    if (x->watch.cli) {
        watch_close(&x->watch);
    }
    host_close(x->s.host);
    x->s.host = NULL;
    io_signal_close(x->signals[0]);
    io_signal_close(x->signals[1]);
    session_close(&x->s);
    workflow_close(&x->w);
}
