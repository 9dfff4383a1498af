/* Requests to an execution that nobody runs and that shall not go on because of them.
 *
 * What would be refused is found out on a state of its own, folded and thrown away, so a refusal
 * leaves no trace. What leads to one record only, a checkpoint, is decided on under a claim of the
 * whole tree, as everything is, but without the input that tells the engine that it is owned: no
 * attempt is begun once more and none is given up as in doubt. Invariant: here no effect is ever
 * performed.
 */
#include "host/host_priv.h"

struct str host_status(const struct store_execution *x) {
    bool left = x->host == 0 && str_is(x->row.status, exec_status_name(EXEC_WAITING));
    bool idle = x->row.completed.us || str_is(x->row.status, exec_status_name(EXEC_PAUSED)) || left;
    return idle || x->owner_alive ? x->row.status : STR("interrupted");
}

const char *host_allows(const struct store_execution *x) {
    return exec_status_allows(x->row.status, !x->owner_alive);
}

/* ---- what would be said ---- */

struct asked {
    struct engine *engine;
    const struct engine_input *in;
    struct engine_out *out;
};

static enum err decide(void *ctx, struct error *e) {
    const struct asked *x = ctx;
    return engine_decide(x->engine, x->in, x->out, e);
}

/* What a rollback went back to begins with its next owner, before anything else is decided on. */
static enum err begin(const struct asked *x, uint64_t epoch, struct error *e) {
    struct engine_input start = {
        .type = INPUT_START, .now = x->in->now, .host = 1, .epoch = epoch + 1};
    struct asked first = {x->engine, &start, x->out};
    return engine_is_unsettled(x->engine) ? trap_run(decide, &first, e) : OK;
}

static const char unsettled[] =
    "refused: it was rolled back, and nobody has gone on with it from there yet";

static bool find_verdict(const struct engine_out *o, struct arena *a, struct str *out) {
    for (uint32_t i = 0; i < o->verdict_count; i++) {
        const struct engine_verdict *v = &o->verdicts[i];
        *out = arena_str(a, (struct str){o->bytes.ptr + v->offset, v->len});
    }
    return o->verdict_count > 0;
}

static enum err ask_view(struct host *h, struct host_view *v, const struct host_request *q,
                         struct arena *a, struct str *out, struct error *e) {
    struct store_execution above = {0};
    struct engine_input in;
    struct engine_out o;
    enum err err = OK;
    if (q->type == REQUEST_CHECKPOINT && engine_is_unsettled(v->engine)) {
        *out = str_from(unsettled);
        return OK;
    }
    if (v->stored.fixed.parent) {
        err = store_execution_get(h->options.store, v->stored.fixed.parent, STR(""), a, &above, e);
    }
    request_input(q, v->stored.fixed.parent && !above.row.completed.us, &in);
    in.now = host_now(h);
    in.ticket = 1;
    engine_out_init(&o);
    struct asked x = {v->engine, &in, &o};
    err = err ? err : begin(&x, v->stored.epoch, e);
    err = err ? err : trap_run(decide, &x, e);
    if (err == ERR_BUG) {
        v->engine = NULL; /* in parts changed: left alone */
    }
    if (!err && !find_verdict(&o, a, out)) {
        err = error_set(e, ERR_BUG, "a request without a verdict");
    }
    engine_out_fini(&o);
    return err ? err : out->ptr ? OK : error_nomem(e);
}

enum err host_would(struct host *h, struct str id, const struct host_request *q, struct arena *a,
                    struct str *out, struct error *e) {
    struct host_view v;
    enum err err = host_view_open(h->options.store, h->options.kinds, id, &v, e);
    if (!err) {
        err = ask_view(h, &v, q, a, out, e);
        host_view_close(&v);
    }
    return err;
}

/* ---- a visit ---- */

/* What was claimed, the topmost execution last. */
struct claimed {
    struct store_execution x;
    struct claimed *above;
};

static void let_go(struct host *h, const struct claimed *c) {
    struct error ignored;
    for (; c; c = c->above) {
        (void)!claim_drop(h, c->x.num, c->x.epoch, &ignored);
    }
}

static enum err claim(struct host *h, struct claimed *c, struct error *e) {
    if (c->x.owner_alive) {
        return error_set(e, ERR_CONFLICT, "execution %.*s is run by process %lld",
                         STR_ARG(c->x.fixed.id), (long long)c->x.owner_pid);
    }
    return claim_take(h, &c->x, e);
}

/* A tree has one owner: what is above it and has not ended is claimed first, from the top. */
static enum err claim_above(struct host *h, const struct store_execution *x, struct arena *a,
                            struct claimed **out, struct error *e) {
    struct claimed *c = x->fixed.parent ? ARENA_NEW(a, struct claimed) : NULL;
    if (!c) {
        return x->fixed.parent ? error_nomem(e) : OK;
    }
    enum err err = store_execution_get(h->options.store, x->fixed.parent, STR(""), a, &c->x, e);
    if (err || c->x.row.completed.us) {
        return err;
    }
    err = claim_above(h, &c->x, a, &c->above, e);
    err = err ? err : claim(h, c, e);
    *out = err ? c->above : c;
    return err;
}

/* Turns until it is recorded. Others that hold the store are waited for. */
static enum err decide_on(struct run *r, const struct host_request *q, struct error *e) {
    enum err err = request_hand_over(r, q, e);
    bool busy = true;
    while (!err && !r->lost && (r->happened.first || r->decided.first || r->in_batch)) {
        err = host_turn(r->host, false, &busy, e);
    }
    return err || !r->lost ? err : error_set(e, ERR_CONFLICT, "execution %s was taken over", r->id);
}

/* By who had it before the claim; after it nobody else does. */
static enum err has_verdict(struct host *h, const struct host_request *q, bool *out,
                            struct error *e) {
    struct store_inbox row = {0};
    struct arena a;
    arena_init(&a, 0);
    enum err err = q->ticket > 0 ? store_inbox_get(h->options.store, q->ticket, &a, &row, e) : OK;
    *out = row.verdict.len > 0;
    arena_fini(&a);
    return err;
}

static enum err visit(struct host *h, const struct store_execution *x, const struct host_request *q,
                      struct error *e) {
    const struct plan *plan;
    bool told = false;
    struct run *r;
    enum err err = shelf_find(&h->shelf, x->fixed.workflow_hash, x->fixed.entry, &plan, e);
    err = err ? err : run_hold(h, plan, x, &r, e);
    if (err) {
        return err;
    }
    if (engine_is_unsettled(r->engine)) {
        err = error_set(e, ERR_INVALID, "%s", unsettled + strlen("refused: "));
    }
    err = err ? err : has_verdict(h, q, &told, e);
    err = err || told ? err : decide_on(r, q, e);
    run_give_up(r, NULL);
    run_drop_lost(h);
    return err;
}

enum err host_visit(struct host *h, struct str id, const struct host_request *q, struct error *e) {
    struct arena a;
    struct store_execution x;
    struct claimed *above = NULL;
    arena_init(&a, 0);
    enum err err = store_execution_get(h->options.store, 0, id, &a, &x, e);
    if (!err && (x.row.completed.us || x.owner_alive)) {
        err = error_set(e, ERR_CONFLICT, "execution %.*s is not left alone", STR_ARG(id));
    }
    err = err ? err : claim_above(h, &x, &a, &above, e);
    err = err ? err : visit(h, &x, q, e);
    let_go(h, above);
    arena_fini(&a);
    return err;
}
