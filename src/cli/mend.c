/* Inputs of a retry: those it had, as far as the workflow still has them, then what -i says. A
 * value that was the default of the workflow it had was given by nobody: it follows the new one.
 */
#include "cli/mend.h"

struct mending {
    struct running *x;
    struct str id;
    struct host_view *view;  /* NULL: of what is quarantined nothing is looked at */
    struct value had;        /* inputs */
    const struct plan *from; /* NULL: not known */
    const struct plan *to;
    struct host_retry *q;
};

static struct arena *arena_of(const struct mending *m) { return &m->x->c->arena; }

static const struct plan_input *find_input(const struct plan *p, struct str name) {
    for (uint32_t i = 0; i < p->input_count; i++) {
        if (str_eq(p->inputs[i].name, name)) {
            return &p->inputs[i];
        }
    }
    return NULL;
}

static void drop(const struct mending *m, struct str name) {
    if (!cli_has(m->x->c, "quiet")) {
        sink_printf(&m->x->c->err,
                    "the input %.*s is left out: the workflow %.*s declares none of that name\n",
                    STR_ARG(name), STR_ARG(m->to->name));
    }
}

/* What the execution has and the workflow wants, followed by what is given now: the last counts. */
static enum err gather(const struct mending *m, struct flow_input **out, size_t *out_count) {
    struct flow_input *given;
    size_t given_count;
    enum err err = load_given(m->x->c, &given, &given_count);
    struct value had = m->had;
    size_t room = value_count(had) + (err ? 0 : given_count) + 1;
    struct flow_input *list = ARENA_ARRAY(arena_of(m), room, struct flow_input);
    if (err || !list) {
        return err ? err : ERR_NOMEM;
    }
    *out_count = 0;
    for (size_t i = 0; had.type == VALUE_MAP && i < value_count(had); i++) {
        struct str name = value_str(had.pairs[i].key);
        const struct plan_input *was = m->from ? find_input(m->from, name) : NULL;
        bool chosen =
            !was || !was->has_default || !value_identical(was->default_value, had.pairs[i].val);
        if (!find_input(m->to, name)) {
            drop(m, name);
        } else if (chosen) {
            list[(*out_count)++] = (struct flow_input){.name = name, .value = had.pairs[i].val};
        }
    }
    for (size_t i = 0; i < given_count; i++) {
        list[(*out_count)++] = given[i];
    }
    *out = list;
    return OK;
}

static enum err read_inputs(const struct mending *m) {
    struct flow_input *list;
    size_t count;
    enum err err = gather(m, &list, &count);
    err = err ? err : load_inputs_as(m->x->c, m->to, list, count, &m->q->inputs);
    bool ok = err || value_copy(arena_of(m), m->q->inputs, &m->q->inputs); /* from the state */
    return ok ? err : ERR_NOMEM;
}

/* ---- what is told ---- */

static void put_names(struct buf *b, const char *title, const struct mend *x, enum mend_fate fate) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        if (x->nodes[i].fate == fate) {
            buf_printf(b, "%s%s%.*s", count ? ", " : "    ", count ? "" : title,
                       STR_ARG(x->nodes[i].name));
            count++;
        }
    }
    if (count) {
        buf_append_char(b, '\n');
    }
}

/* "    fetch is kept although its url differs: --from fetch runs it anew" */
static void put_kept(struct buf *b, const struct mend_node *n) {
    bool several = memchr(n->differs.ptr, ',', n->differs.len) != NULL;
    if (n->fate != MEND_KEPT || !(n->differs.len || n->reads.len)) {
        return;
    }
    buf_printf(b, "    %.*s is kept although ", STR_ARG(n->name));
    if (n->differs.len) {
        buf_printf(b, "its %.*s %s", STR_ARG(n->differs), several ? "differ" : "differs");
    }
    if (n->reads.len) {
        buf_printf(b, "%sit reads %.*s, which changed", n->differs.len ? " and " : "",
                   STR_ARG(n->reads));
    }
    buf_printf(b, ": --from %.*s runs it anew\n", STR_ARG(n->name));
}

static void tell(const struct mending *m, const struct mend *x) {
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "execution %.*s goes on with ", STR_ARG(m->id));
    text_clean(&b, str_from(m->q->plan ? m->x->w.shown : "other inputs"));
    buf_append_char(&b, '\n');
    put_names(&b, "kept: ", x, MEND_KEPT);
    put_names(&b, "completed items kept: ", x, MEND_ITEMS);
    put_names(&b, "runs anew: ", x, MEND_ANEW);
    put_names(&b, "to come: ", x, MEND_OPEN);
    put_names(&b, "no longer in it: ", x, MEND_GONE);
    for (uint32_t i = 0; i < x->count; i++) {
        put_kept(&b, &x->nodes[i]);
    }
    sink_flush(&m->x->c->err, &b);
    buf_fini(&b);
}

static enum err look(struct mending *m) {
    struct error e = {0};
    struct mend mend;
    enum err err = read_inputs(m);
    if (err || !m->view || cli_has(m->x->c, "quiet")) {
        return err;
    }
    err = host_mend_look(m->view, m->q, &mend, &e);
    if (err == ERR_CONFLICT || err == ERR_INVALID) {
        return OK; /* the retry is refused in a moment, with what to do */
    }
    if (err) {
        return cli_fail_error(m->x->c, &e, NULL), err;
    }
    tell(m, &mend);
    return OK;
}

/* Its journal ended every process that folded it: only its row is read. */
static enum err look_at_row(struct mending *m) {
    struct store_execution stored;
    struct shelf shelf;
    struct error e = {0};
    struct session *s = &m->x->s;
    enum err err = store_execution_get(s->store, 0, m->id, arena_of(m), &stored, &e);
    shelf_init(&shelf, s->store, s->kinds);
    m->to = m->q->plan;
    if (!err && !m->to) {
        err = shelf_find(&shelf, stored.fixed.workflow_hash, stored.fixed.entry, &m->to, &e);
    }
    err = err ? err : value_parse_json(arena_of(m), stored.fixed.inputs, &m->had, &e);
    if (err) {
        cli_fail_error(m->x->c, &e, NULL);
    }
    err = err ? err : look(m);
    shelf_fini(&shelf);
    return err;
}

static enum err read_workflow(struct mending *m, const char *path) {
    struct running *x = m->x;
    enum err err = workflow_open(x->c, path, x->s.kinds, &x->w);
    if (err == ERR_INVALID || (!err && !cli_has(x->c, "quiet"))) {
        cli_findings(x->c, &x->w.diag);
    }
    err = err ? err : load_env(x->c, x->w.plan, &m->q->env);
    m->q->plan = x->w.plan;
    m->q->folder = x->w.folder;
    return err;
}

enum err mend_read(struct running *x, struct str id, struct host_retry *q) {
    struct mending m = {.x = x, .id = id, .q = q};
    const char *path = cli_value(x->c, "workflow");
    struct host_view v;
    struct error e = {0};
    if (!path && !cli_has(x->c, "input")) {
        return OK;
    }
    enum err err = path ? read_workflow(&m, path) : OK;
    if (err) {
        return err;
    }
    err = host_view_open(x->s.store, x->s.kinds, id, &v, &e);
    if (err == ERR_QUARANTINED) {
        return q->force ? look_at_row(&m) : OK; /* refused in a moment, with what to do */
    }
    if (err) {
        cli_fail_error(x->c, &e, NULL);
        return err;
    }
    m.view = &v;
    m.had = engine_inputs(v.engine);
    m.from = v.plan;
    m.to = q->plan ? q->plan : v.plan;
    err = look(&m);
    host_view_close(&v);
    return err;
}
