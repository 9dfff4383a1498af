/* Looking for what needs a person. What has ended well or is cancelled is never read: each status
 * that may need somebody has its rows by the index of the store, newest first, and no more of them
 * are read than are shown. What waits, is paused or runs is folded, since only its journal says for
 * whom.
 */
#include "cli/attention.h"

#include <stdlib.h>

#include "cli/form.h"
#include "cli/visit.h"

#define LONG_US 60000000 /* held back for so long is worth telling */

/* One line of the list; texts in the arena of the command line. */
struct item {
    struct str execution, workflow, status, step;
    const char *reason;
    struct str message, by, remedy;
    wall_us since;
};

struct looking {
    struct session *s;
    struct str status; /* only executions of it as it really is; empty: of any */
    bool all;
    uint32_t limit;
    struct item *items;
    uint32_t count, cap;
    uint32_t found; /* executions with items, of the status looked at now */
};

/* ---- items ---- */

static struct arena *arena_of(const struct looking *l) { return &l->s->cli->arena; }

static struct str keep(const struct looking *l, struct str text) {
    return text.len ? arena_str(arena_of(l), text) : STR("");
}

static struct str command(const struct looking *l, const char *verb, struct str id,
                          const char *rest) {
    struct str store = session_store_option(l->s);
    return arena_printf(arena_of(l), "cairn %s %.*s%s%.*s", verb, STR_ARG(id), rest,
                        STR_ARG(store));
}

static struct item *add(struct looking *l, const struct store_execution *x, const char *reason,
                        struct error *e) {
    if (l->count == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 64;
        struct item *more = realloc(l->items, cap * sizeof *more);
        if (!more) {
            error_nomem(e);
            return NULL;
        }
        l->items = more;
        l->cap = cap;
    }
    struct item *i = &l->items[l->count++];
    *i = (struct item){.execution = keep(l, x->fixed.id),
                       .workflow = keep(l, x->fixed.workflow),
                       .status = keep(l, details_status(x)),
                       .step = STR(""),
                       .reason = reason,
                       .message = STR(""),
                       .by = STR(""),
                       .remedy = STR(""),
                       .since = x->row.completed.us ? x->row.completed : x->row.updated};
    return i;
}

/* ---- what has ended ---- */

static enum err note_ended(struct looking *l, const struct store_execution *x, struct error *e) {
    struct value error = details_value(arena_of(l), x->row.error);
    struct str type = details_text(error, "type"), message = details_text(error, "message");
    struct str node = details_text(error, "node");
    bool poison = str_is(type, "quarantined");
    const char *reason = str_is(x->row.status, "partial") ? "partial"
                         : poison                         ? "quarantined"
                         : str_is(type, "in_doubt")       ? "in_doubt"
                                                          : "failed";
    struct item *i = add(l, x, reason, e);
    if (!i) {
        return ERR_NOMEM;
    }
    i->step = node;
    if (type.len) {
        i->message = arena_printf(arena_of(l), "%.*s: %.*s", STR_ARG(type), STR_ARG(message));
    }
    bool needs_more = str_is(type, "budget") || str_is(type, "approval_changed") ||
                      str_is(type, "not_approved"); /* as it is it would fail again */
    i->remedy = needs_more ? command(l, "explain", x->fixed.id, "")
                           : command(l, "retry", x->fixed.id, poison ? " --force" : "");
    return OK;
}

/* ---- what waits ---- */

static struct str answer_command(const struct looking *l, struct str id, struct str step,
                                 struct value request) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_char(&b, ' ');
    text_shell(&b, step);
    buf_append_char(&b, ' ');
    form_put_answer(&b, request);
    buf_append_char(&b, '\0');
    struct str made = command(l, "answer", id, buf_ok(&b) ? b.ptr : "");
    buf_fini(&b);
    return made;
}

/* A step that waits for a person, or has been held back for long; NULL: neither. */
static const char *reason_of(const struct track *t, wall_us now) {
    struct str what = details_text(t->more->request, "for"),
               why = details_text(t->more->request, "reason");
    if (t->status != STEP_WAITING) {
        return NULL;
    }
    if (str_is(what, "answer")) {
        return str_is(why, "failed") ? "decision" : str_is(why, "budget") ? "budget" : "question";
    }
    bool is_long = now.us - t->more->waits_since.us >= LONG_US;
    return str_is(what, "service") && is_long ? "service" : NULL;
}

static enum err note_step(struct looking *l, const struct store_execution *x, const struct track *t,
                          const char *reason, struct error *e) {
    char id[STEP_ID_BYTES];
    struct item *i = add(l, x, reason, e);
    if (!i) {
        return ERR_NOMEM;
    }
    i->step = keep(l, step_id_print(t->plan, t->step, id));
    i->message = keep(l, details_text(t->more->request, "prompt"));
    i->by = keep(l, details_text(t->more->request, "assignee"));
    i->since = t->more->waits_since;
    i->remedy = str_is(details_text(t->more->request, "for"), "answer")
                    ? answer_command(l, x->fixed.id, i->step, t->more->request)
                    : command(l, "explain", x->fixed.id, "");
    return OK;
}

static enum err note_steps(struct looking *l, const struct store_execution *x,
                           const struct engine *g, struct error *e) {
    wall_us now = session_now();
    enum err err = OK;
    for (uint32_t k = 0; !err && k < engine_track_count(g); k++) {
        const char *reason = reason_of(engine_track(g, k), now);
        err = reason ? note_step(l, x, engine_track(g, k), reason, e) : OK;
    }
    return err;
}

/* By somebody, or by what could not be undone: that is told of sub-workflows, too. */
static enum err note_paused(struct looking *l, const struct store_execution *x,
                            const struct engine *g, struct error *e) {
    struct str by = engine_paused_by(g), why = engine_paused_why(g);
    if (x->fixed.parent && !l->all && !why.len) {
        return OK;
    }
    struct item *i = add(l, x, why.len ? "undo" : "paused", e);
    if (!i) {
        return ERR_NOMEM;
    }
    i->by = keep(l, by);
    i->message = why.len ? keep(l, why) : arena_printf(arena_of(l), "paused by %.*s", STR_ARG(by));
    i->remedy = command(l, "resume", x->fixed.id, "");
    return OK;
}

/* What its row says: nobody runs it, or its time is up. */
static enum err note_row(struct looking *l, const struct store_execution *x, struct error *e) {
    bool gone = str_is(details_status(x), "interrupted");
    bool late = x->row.deadline.us && x->row.deadline.us < session_now().us;
    if (!(gone || late) || (x->fixed.parent && !l->all)) {
        return OK;
    }
    struct item *i = add(l, x, gone ? "interrupted" : "overdue", e);
    if (!i) {
        return ERR_NOMEM;
    }
    i->message = gone ? STR("the process that ran it is gone")
                      : STR("its time is up and nobody has ended it");
    i->remedy = command(l, "resume", x->fixed.id, "");
    return OK;
}

static enum err note_live(struct looking *l, const struct store_execution *x, struct error *e) {
    struct host_view v;
    struct error why = {0};
    enum err err = str_is(x->row.status, "paused") ? OK : note_row(l, x, e);
    if (err) {
        return err;
    }
    if (host_view_open(l->s->store, l->s->kinds, x->fixed.id, &v, &why)) {
        cli_fail_error(l->s->cli, &why, NULL); /* it does not hide the others */
        return OK;
    }
    if (engine_status(v.engine) == EXEC_PAUSED) {
        err = note_paused(l, x, v.engine, e);
    }
    err = err ? err : note_steps(l, x, v.engine, e);
    host_view_close(&v);
    return err;
}

/* ---- all of them ---- */

static bool is_wanted(const struct looking *l, const struct store_execution *x) {
    return !l->status.len || str_eq(details_status(x), l->status);
}

static enum err visit_ended(void *ctx, const struct store_execution *x, bool *stop,
                            struct error *e) {
    struct looking *l = ctx;
    if (!is_wanted(l, x) || (x->fixed.parent && !l->all)) {
        return OK;
    }
    *stop = ++l->found > l->limit;
    return note_ended(l, x, e);
}

static enum err visit_live(void *ctx, const struct store_execution *x, bool *stop,
                           struct error *e) {
    struct looking *l = ctx;
    uint32_t before = l->count;
    enum err err = is_wanted(l, x) ? note_live(l, x, e) : OK;
    l->found += l->count > before;
    *stop = l->found > l->limit;
    return err;
}

/* Ids are in the order of time. */
static int newest_first(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    int order = str_cmp(y->execution, x->execution);
    return order ? order : str_cmp(x->step, y->step);
}

static enum err find(struct looking *l, const struct store_filter *f, struct error *e) {
    static const struct {
        const char *status;
        enum err (*visit)(void *ctx, const struct store_execution *x, bool *stop, struct error *e);
    } rows[] = {{"pending", visit_live}, {"running", visit_live}, {"waiting", visit_live},
                {"paused", visit_live},  {"failed", visit_ended}, {"partial", visit_ended}};
    enum err err = OK;
    for (size_t i = 0; i < ARRAY_LEN(rows) && l->s->store && !err; i++) {
        struct visitor v = {.s = l->s, .filter = *f, .ctx = l, .visit = rows[i].visit};
        l->found = 0;
        err = visit_status(&v, rows[i].status, f->after, e);
    }
    if (l->count) {
        qsort(l->items, l->count, sizeof *l->items, newest_first);
    }
    return err;
}

/* How many items belong to the first `limit` executions. */
static uint32_t cut(const struct looking *l) {
    uint32_t executions = 0, i = 0;
    for (; i < l->count; i++) {
        bool next = i == 0 || !str_eq(l->items[i].execution, l->items[i - 1].execution);
        executions += next;
        if (executions > l->limit) {
            return i;
        }
    }
    return i;
}

/* ---- printing ---- */

static void print_item(struct looking *l, const struct item *i, struct buf *b) {
    struct cli *c = l->s->cli;
    uint32_t columns, lines;
    sink_size(&c->out, &columns, &lines);
    size_t from = b->len;
    buf_printf(b, "%.*s  ", STR_ARG(i->execution));
    text_clip(b, i->workflow, 30);
    buf_printf(b, "  %s", i->reason);
    if (i->step.len) {
        buf_append_cstr(b, "  ");
        text_clean(b, i->step);
    }
    uint32_t used = (uint32_t)(b->len - from) + 2;
    if (i->message.len) {
        buf_append_cstr(b, "  ");
        text_clip(b, str_trim(i->message),
                  c->out.terminal && columns > used + 20 ? columns - used : 100);
    }
    buf_printf(b, "\n    %.*s\n", STR_ARG(i->remedy));
}

static void add_text(struct value_builder *b, const char *name, struct str text) {
    value_map_add(b, str_from(name), text.len ? value_text(text) : value_null());
}

static struct value item_value(struct looking *l, const struct item *i) {
    struct value_builder b;
    char since[TIME_RFC3339_BYTES];
    value_builder_init(&b, arena_of(l));
    time_print_rfc3339(i->since, since);
    add_text(&b, "execution", i->execution);
    add_text(&b, "workflow", i->workflow);
    add_text(&b, "status", i->status);
    add_text(&b, "reason", str_from(i->reason));
    add_text(&b, "step", i->step);
    add_text(&b, "message", i->message);
    add_text(&b, "by", i->by);
    add_text(&b, "since", keep(l, str_from(since)));
    add_text(&b, "remedy", i->remedy);
    return value_map_done(&b);
}

static void print_json(struct looking *l, uint32_t count) {
    struct value_builder doc, items;
    value_builder_init(&doc, arena_of(l));
    value_builder_init(&items, arena_of(l));
    for (uint32_t i = 0; i < count; i++) {
        value_list_add(&items, item_value(l, &l->items[i]));
    }
    value_map_add(&doc, STR("items"), value_list_done(&items));
    value_map_add(&doc, STR("next"),
                  count < l->count ? value_text(l->items[count - 1].execution) : value_null());
    cli_print_json(l->s->cli, value_map_done(&doc));
}

static void print_text(struct looking *l, uint32_t count) {
    struct cli *c = l->s->cli;
    struct buf b;
    if (!count) {
        sink_printf(&c->err, "nothing needs attention\n");
        return;
    }
    buf_init(&b, 0);
    for (uint32_t i = 0; i < count; i++) {
        print_item(l, &l->items[i], &b);
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
    if (count < l->count) {
        cli_tell_more(c, l->items[count - 1].execution);
    }
}

enum err attention_list(struct session *s, struct store_filter *f, struct str status,
                        uint32_t limit) {
    struct looking l = {.s = s, .status = status, .limit = limit, .all = cli_has(s->cli, "all")};
    struct error e = {0};
    enum err err = find(&l, f, &e);
    if (err) {
        cli_fail_error(s->cli, &e, NULL);
    } else if (cli_has(s->cli, "json")) {
        print_json(&l, cut(&l));
    } else {
        print_text(&l, cut(&l));
    }
    free(l.items);
    return err;
}
