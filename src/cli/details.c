/* Reading stored executions. Rows of a final execution say everything; for one that runs or was
 * interrupted they may lag behind, then its journal is folded.
 */
#include "cli/details.h"

#include "cli/load.h"
#include "cli/undone.h"

static enum err read_rows(struct session *s, struct details *d, struct arena *a, struct error *e) {
    int64_t num = d->stored.num;
    enum err err = store_steps_read(s->store, num, a, &d->steps, &d->step_count, e);
    return err ? err : store_messages_read(s->store, num, a, &d->messages, &d->message_count, e);
}

/* For the place of an error and the names of outputs; without it both are left out. */
static void compile(struct session *s, struct details *d) {
    const struct store_new *fixed = &d->stored.fixed;
    struct error ignored;
    shelf_init(&d->shelf, s->store, s->kinds);
    (void)!shelf_find(&d->shelf, fixed->workflow_hash, fixed->entry, &d->plan, &ignored);
}

static enum err fold(struct session *s, struct str id, struct details *d, struct error *e) {
    enum err err = host_view_open(s->store, s->kinds, id, &d->view, e);
    if (err) {
        return err;
    }
    d->plan = d->view.plan;
    d->stored = d->view.stored; /* of the same moment as the journal that was folded */
    return host_view_rows(&d->view, &d->steps, &d->step_count, &d->messages, &d->message_count, e);
}

static enum err read_parent(struct session *s, struct details *d, struct arena *a,
                            struct error *e) {
    struct store_execution parent;
    if (!d->stored.fixed.parent) {
        return OK;
    }
    enum err err = store_execution_get(s->store, d->stored.fixed.parent, STR(""), a, &parent, e);
    d->parent = err ? STR("") : parent.fixed.id;
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err details_cancel(struct store *s, const struct store_execution *x, struct arena *a,
                        struct event *out, struct error *e) {
    struct store_range all = {x->num, 0, x->last_seq};
    struct event_fetch no_blobs = {0};
    struct store_event *rows = NULL;
    uint32_t count = 0;
    enum err err = store_read_events(s, all, a, &rows, &count, e);
    while (!err && count > 0 && rows[count - 1].kind != EVENT_CANCEL_REQUESTED) {
        count--;
    }
    *out = (struct event){0};
    if (!err && count > 0) {
        *out = (struct event){.kind = EVENT_CANCEL_REQUESTED, .at = rows[count - 1].at};
        err = event_decode(rows[count - 1].body, &no_blobs, a, out, e);
    }
    return err;
}

static enum err read_canceller(struct session *s, struct details *d, struct arena *a,
                               struct error *e) {
    struct event ev;
    enum err err = details_cancel(s->store, &d->stored, a, &ev, e);
    d->canceller = err ? STR("") : ev.reason;
    d->cancelled = err ? (wall_us){0} : ev.at;
    return err;
}

static bool can_undo(const struct plan *p) {
    for (uint32_t i = 0; i < p->node_count; i++) {
        if (p->nodes[i].aux[ROLE_COMPENSATE] >= 0) {
            return true;
        }
    }
    return false;
}

/* What no row has. Only an execution with a budget, the workflow's or one that was given, or with
 * compensate nodes, or one that failed is folded for it. */
static enum err read_folded(struct session *s, struct details *d, struct arena *a,
                            struct error *e) {
    struct store_range first = {d->stored.num, 0, 1};
    struct event_fetch fetch = host_fetch(s->store);
    struct store_event *rows;
    struct event ev = {.kind = EVENT_EXECUTION_CREATED};
    struct host_view v;
    uint32_t count = 0;
    if (!d->plan || host_is_quarantined(&d->stored)) {
        return OK;
    }
    enum err err = store_read_events(s->store, first, a, &rows, &count, e);
    err = err || !count ? err : event_decode(rows[0].body, &fetch, a, &ev, e);
    bool wanted = budget_any(&d->plan->budget) || !value_is_null(ev.budget) || can_undo(d->plan);
    if (err || (!wanted && !str_is(d->stored.row.status, "failed"))) {
        return err;
    }
    err = host_view_open(s->store, s->kinds, d->stored.fixed.id, &v, e);
    if (err) {
        return wanted ? err : OK; /* for where the file lies alone nothing is refused */
    }
    if (engine_folder(v.engine).len && !str_is(v.plan->entry, LOAD_STDIN_ENTRY)) {
        d->file = load_shown(s->cli, engine_folder(v.engine), v.plan->entry);
    }
    err = host_view_budget(&v, s->store, d->now, a, &d->budget, e);
    d->undo = undone_value(&v, a, true);
    if (!err && engine_error(v.engine) && engine_cancel_asked(v.engine)) {
        err = read_canceller(s, d, a, e);
    }
    host_view_close(&v);
    return err;
}

enum err details_open(struct session *s, struct str id, struct details *d, struct error *e) {
    struct arena *a = &s->cli->arena;
    *d = (struct details){.now = session_now()};
    enum err err = store_execution_get(s->store, 0, id, a, &d->stored, e);
    if (err) {
        return err;
    }
    if (d->stored.row.steps_upto == d->stored.last_seq) {
        err = read_rows(s, d, a, e);
        compile(s, d);
    } else {
        err = fold(s, id, d, e);
    }
    if (!err && read_folded(s, d, a, e)) { /* the rows of what has ended tell all the rest */
        err = d->view.plan || e->code != ERR_CORRUPT ? e->code : OK;
    }
    return err ? err : read_parent(s, d, a, e);
}

void details_close(struct details *d) {
    shelf_fini(&d->shelf);
    if (d->view.plan) {
        host_view_close(&d->view);
    }
    *d = (struct details){0};
}

struct str details_status(const struct store_execution *x) {
    return host_status(x);
}

int64_t details_duration(const struct store_execution *x, wall_us now) {
    if (!x->row.started.us) {
        return -1;
    }
    bool gone = str_is(details_status(x), "interrupted");
    wall_us end = x->row.completed.us ? x->row.completed : gone ? x->row.updated : now;
    return end.us > x->row.started.us ? end.us - x->row.started.us : 0;
}

struct value details_value(struct arena *a, struct str json) {
    struct value v;
    if (!json.len || value_parse_json(a, json, &v, NULL)) {
        return value_null();
    }
    return v;
}

bool details_step_undone(const struct store_step *x) {
    return str_starts(x->meta, STR("{\"rolledBack\":true"));
}

struct str details_text(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}
