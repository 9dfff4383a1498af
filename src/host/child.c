/* Sub-workflows: an execution of its own, submitted under the parent step's idempotency key, so a
 * step that runs again after a crash finds the child it had.
 */
#include "base/mutant.h"
#include "host/host_priv.h"

static void fail_port(struct port *p, enum failure_class class, const char *type,
                      const char *message) {
    struct step_failure f = {.class = class, .type = str_from(type), .message = str_from(message)};
    p->port.ops->fail(&p->port, &f);
}

static bool child_meta(struct arena *a, const struct run *child, struct value *out) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("execution"), value_text(str_from(child->id)));
    *out = value_map_done(&b);
    return b.ok;
}

/* The child's end cannot be told: whoever takes the parent over finds it in the store. */
static void end_untold(struct port *p) {
    run_starved(p->run);
    p->state = PORT_CANCELLING; /* so that it is only ended */
    fail_port(p, FAILURE_PERMANENT, err_name(ERR_NOMEM), "");
}

static void tell_failed(struct port *p, const struct run *child, struct value meta) {
    const struct engine_error *x = engine_error(child->engine);
    char text[ERROR_MESSAGE_BYTES];
    struct buf b;
    buf_init(&b, sizeof text);
    buf_printf(&b, "sub-workflow %.*s (%s) %s%s", STR_ARG(child->plan->name), child->id,
               exec_status_name(engine_status(child->engine)), x ? ": " : "");
    if (x) {
        buf_append(&b, str_sub(x->message, 0, 600));
    }
    struct step_failure f = {.class = FAILURE_PERMANENT,
                             .type = x ? x->type : STR("cancelled"),
                             .message = buf_str(&b),
                             .meta = meta};
    p->port.ops->fail(&p->port, &f);
    buf_fini(&b);
}

/* The child's end is the parent step's. */
void child_ended(struct run *child) {
    struct port *p = child->parent;
    struct arena a;
    struct value meta;
    enum exec_status status = engine_status(child->engine);
    child->parent = NULL;
    p->child = NULL;
    arena_init(&a, 0);
    if (!child_meta(&a, child, &meta)) {
        end_untold(p);
    } else if (status == EXEC_COMPLETED || status == EXEC_PARTIAL) {
        struct step_result result = {.body = engine_result(child->engine), .meta = meta};
        p->port.ops->done(&p->port, &result);
    } else {
        tell_failed(p, child, meta);
    }
    arena_fini(&a);
}

void child_gone(struct run *child, const char *type, const struct error *why) {
    struct port *p = child->parent;
    child->parent = NULL;
    p->child = NULL;
    fail_port(p, FAILURE_PERMANENT, type, why->message);
}

/* The inputs as the child's declarations want them, defaults filled in. */
static enum err check_inputs(const struct plan *child, struct value given, struct arena *a,
                             struct value *out, struct error *e) {
    struct diag diag;
    size_t count = value_count(given);
    struct flow_input *list = ARENA_ARRAY(a, count + 1, struct flow_input);
    if (!list) {
        return error_nomem(e);
    }
    for (size_t i = 0; i < count; i++) {
        list[i] =
            (struct flow_input){.name = value_str(given.pairs[i].key), .value = given.pairs[i].val};
    }
    diag_init(&diag, a);
    enum err err = flow_inputs(child, list, count, a, out, &diag);
    if (err && diag.count) {
        return error_set(e, err, "inputs of sub-workflow %.*s: %.*s", STR_ARG(child->name),
                         STR_ARG(diag.items[0].message));
    }
    return err ? error_set(e, err, "inputs of sub-workflow %.*s", STR_ARG(child->name)) : OK;
}

/* The key of a child: the same after a crash, another after a failure, which is to run it anew. */
static struct str child_key(const struct flight *f, struct arena *a) {
    const struct step_in *in = flight_in(f);
    return in->failures ? arena_printf(a, "%.*s/%u", STR_ARG(in->key), in->failures) : in->key;
}

enum err host_view_child(const struct host_view *v, struct store *s, const struct track *t,
                         struct arena *a, struct store_execution *out) {
    char step[STEP_ID_BYTES];
    enum err err = ERR_NOT_FOUND;
    struct error ignored;
    struct str key = arena_printf(a, "%.*s/%.*s", STR_ARG(v->stored.fixed.id),
                                  STR_ARG(step_id_print(t->plan, t->step, step)));
    /* Attempts that a crash ended made no new one, so the newest may stand under a lower number. */
    for (uint32_t failures = t->attempt; failures-- > 0 && err == ERR_NOT_FOUND;) {
        struct str of = failures ? arena_printf(a, "%.*s/%u", STR_ARG(key), failures) : key;
        err = store_execution_by_key(s, of, a, out, &ignored);
    }
    return err;
}

static enum err begin_child(struct port *p, struct value inputs, struct arena *a, struct error *e) {
    struct run *child;
    struct host_submission s = {.plan = p->run->plan->nodes[p->step.node].child,
                                .key = child_key(p->flight, a),
                                .env = engine_env(p->run->engine),
                                .folder = engine_folder(p->run->engine)};
    enum err err = check_inputs(s.plan, inputs, a, &s.inputs, e);
    err = err ? err : run_new(p->run->host, s.plan, &child, e);
    if (err) {
        return err;
    }
    child->parent = p;
    child->parent_num = p->run->num;
    child->is_child = true;
    budget_join(child, p->run);
    /* A store that fails for a moment is no failure of the step. */
    for (int tries = 0; tries < HOST_COMMIT_TRIES; tries++) {
        err = run_create(child, &s, e);
        if (err != ERR_STORE && err != ERR_STORE_UNKNOWN && err != ERR_STORE_BUSY &&
            err != ERR_STORE_FULL) {
            break;
        }
    }
    if (err) {
        child->parent = NULL;
        run_give_up(child, NULL); /* it never was; the step is told */
        return err;
    }
    p->child = child;
    return OK;
}

/* The child that an earlier attempt of this step made: gone on with, or its end is taken. */
static enum err find_child(struct port *p, const struct store_execution *found, struct error *e) {
    const struct plan *plan = p->run->plan->nodes[p->step.node].child;
    enum err err = run_attach(p->run->host, plan, found, &p->child, e);
    if (!err) {
        const struct host_observer *o = &p->run->host->options.observer;
        p->child->parent = p;
        p->child->is_child = true;
        p->child->parent_num = p->run->num;
        budget_join(p->child, p->run);
        if (o->found) {
            o->found(o->ctx, p->child);
        }
    }
    return err;
}

static struct run *child_in_memory(const struct run *r, const struct engine_effect *fx) {
    const struct port *p = ports_find(r, fx->step, NULL);
    while (p && !p->child) {
        p = ports_find(r, fx->step, p);
    }
    return p ? p->child : NULL;
}

/* The child of a step that is to be cancelled, or NULL: the one that runs here, or one that an
 * earlier owner left and this one did not come to go on with. */
enum err child_to_cancel(struct run *r, const struct engine_effect *fx, struct run **out,
                         struct error *e) {
    const struct plan *plan = r->plan->nodes[fx->step.node].child;
    struct arena a;
    struct store_execution found;
    *out = plan ? child_in_memory(r, fx) : NULL;
    if (*out || !plan || !fx->flight || MUTANT(orphan_the_child)) {
        return OK;
    }
    arena_init(&a, 0);
    enum err err =
        store_execution_by_key(r->host->options.store, child_key(fx->flight, &a), &a, &found, e);
    if (!err && !found.row.completed.us) {
        err = run_attach(r->host, plan, &found, out, e);
    }
    if (*out) {
        (*out)->is_child = true;
        (*out)->parent_num = r->num;
        budget_join(*out, r);
    }
    arena_fini(&a);
    return err == ERR_NOT_FOUND || err == ERR_QUARANTINED ? OK : err; /* it has ended just now */
}

/* A tree is paused or not as a whole: what one was asked while the other did not live here. */
static enum err follow_pause(struct port *p, struct error *e) {
    struct run *child = p->child;
    bool live = !child->ended && child->engine && !exec_status_final(child->status);
    bool paused = live && engine_status(child->engine) == EXEC_PAUSED;
    bool wanted = engine_status(p->run->engine) == EXEC_PAUSED;
    struct host_request q = {.type = wanted ? REQUEST_PAUSE : REQUEST_RESUME,
                             .by = STR("its parent")};
    return live && paused != wanted ? host_ask(p->run->host, child, &q, e) : OK;
}

void child_begin(struct step_port *sp, struct value inputs) {
    struct port *p = (struct port *)(void *)sp;
    struct store *s = p->run->host->options.store;
    struct error *e = &p->run->host->child_error;
    struct arena a;
    struct store_execution found;
    ASSERT(p->state == PORT_STARTING);
    arena_init(&a, 0);
    enum err err = store_execution_by_key(s, child_key(p->flight, &a), &a, &found, e);
    err = err == ERR_NOT_FOUND ? begin_child(p, inputs, &a, e)
          : err                ? err
                               : find_child(p, &found, e);
    err = err ? err : follow_pause(p, e);
    p->child_failed = err != OK;
    arena_fini(&a);
}

enum { AGAIN_US = 500000 };

/* Others hold the store, or it has no space: as a commit is tried again, so is this, by the effects
 * being told once more. */
static bool begin_later(struct port *p) {
    struct host *h = p->run->host;
    struct error ignored;
    wall_us now = host_now(h);
    struct timer t = {.recorded = now,
                      .due = {now.us + AGAIN_US},
                      .run = p->run,
                      .step = p->step,
                      .attempt = p->attempt,
                      .type = INPUT_REFRESH};
    const struct error *why = &h->child_error;
    if (p->child || !commit_is_waited_out(h, why->code) || timer_add(h, &t, &ignored) != OK) {
        return false;
    }
    commit_note_busy(h, why);
    p->state = PORT_CANCELLING; /* so that it is only ended */
    fail_port(p, FAILURE_TRANSIENT, err_name(why->code), why->message);
    return true;
}

/* That there was no memory, or a store that fails, says nothing about the step: were it to fail of
 * that, the child that an earlier owner may have begun would be left alone. */
static void end_unbegun(struct port *p) {
    struct run *r = p->run;
    struct error why = p->run->host->child_error;
    if (why.code == ERR_INVALID || why.code == ERR_QUARANTINED) {
        fail_port(p, FAILURE_PERMANENT, err_name(why.code), why.message);
        return;
    }
    if (begin_later(p)) {
        return;
    }
    bool begun = p->child != NULL; /* its port goes with it */
    if (!begun) {
        p->state = PORT_CANCELLING;
    }
    run_give_up(r, &why);
    if (!begun) {
        fail_port(p, FAILURE_PERMANENT, err_name(why.code), why.message); /* it is only ended */
    }
}

/* Start has returned: what was known inside it may be told now. True: the port is gone. */
bool child_after_start(struct port *p) {
    struct run *child = p->child;
    if (p->child_failed) {
        end_unbegun(p);
        return true;
    }
    if (!child || !exec_status_final(child->status) || child->ended) {
        return false;
    }
    run_over(child);
    return true;
}

/* ---- what earlier owners left ---- */

/* The step may still go on with it. It does not when it tries again, which makes another one. */
static bool is_awaited(const struct run *r, const struct store_execution *child) {
    char text[STEP_ID_BYTES];
    for (uint32_t i = engine_track_count(r->engine); i-- > 0;) {
        const struct track *t = engine_track(r->engine, i);
        if (str_eq(step_id_print(t->plan, t->step, text), child->fixed.parent_step)) {
            return !t->undone && !step_status_final(t->status) && t->status != STEP_RETRYING;
        }
    }
    return true;
}

/* What goes wrong is no matter of the parent: whoever comes next finds it again. */
static void take_left(struct run *r, const struct store_execution *x) {
    struct host *h = r->host;
    struct error ignored;
    const struct plan *plan;
    struct run *child;
    if (x->row.completed.us || x->owner_alive || is_awaited(r, x) ||
        shelf_find(&h->shelf, x->fixed.workflow_hash, x->fixed.entry, &plan, &ignored) ||
        run_attach(h, plan, x, &child, &ignored)) {
        return;
    }
    child->is_child = true;
    child->parent_num = r->num;
    budget_join(child, r);
}

static void take_all_left(struct run *r) {
    struct store_execution *rows;
    struct store_children of = {.num = r->num};
    struct error ignored;
    struct arena a;
    uint32_t count = 0;
    arena_init(&a, 0);
    if (store_children_read(r->host->options.store, of, &a, &rows, &count, &ignored)) {
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        take_left(r, &rows[i]);
    }
    arena_fini(&a);
}

/* Its own start is recorded: who dies over a sub-workflow did not die over it. */
static bool has_begun(const struct run *r) {
    return r->engine && !r->in_batch && engine_epoch(r->engine) == r->epoch &&
           engine_last_seq(r->engine) == r->last_seq;
}

void child_turn_left(struct host *h) {
    bool left = h->has_left;
    h->has_left = false;
    for (struct run *r = left ? h->runs : NULL; r; r = r->next) {
        bool goes_on = r->has_left && !r->lost && !r->ended && !r->held;
        bool begun = goes_on && has_begun(r);
        r->has_left = goes_on && !begun;
        h->has_left |= r->has_left;
        if (begun) {
            take_all_left(r);
        }
    }
}
