/* The steps that wait for people, of all executions that have not ended.
 *
 * Which steps those are is in the journals: each live execution is folded.
 */
#include "cli/waiting.h"

#include "cli/approves.h"

static void print_waiter(struct cli *c, const struct store_execution *x, const struct track *t,
                         struct buf *b) {
    char text[STEP_ID_BYTES];
    uint32_t columns, lines;
    sink_size(&c->out, &columns, &lines);
    size_t before = b->len;
    buf_printf(b, "%.*s  %.*s  ", STR_ARG(x->fixed.id),
               STR_ARG(step_id_print(t->plan, t->step, text)));
    uint32_t used = (uint32_t)(b->len - before);
    uint32_t room = c->out.terminal && columns > used + 20 ? columns - used : 100;
    struct str assignee = details_text(t->more->request, "assignee");
    if (assignee.len) {
        text_clip(b, assignee, 40);
        buf_append_cstr(b, "  ");
    }
    text_clip(b, str_trim(details_text(t->more->request, "prompt")), room);
    buf_append_char(b, '\n');
    approves_put(b, t->more->request, "    ");
}

static struct value waiter_value(struct arena *a, const struct store_execution *x,
                                 const struct track *t) {
    struct value_builder b;
    char text[STEP_ID_BYTES];
    struct value request;
    value_builder_init(&b, a);
    value_map_add(&b, STR("execution"), value_text(x->fixed.id));
    value_map_add(&b, STR("workflow"), value_text(x->fixed.workflow));
    struct str step = arena_str(a, step_id_print(t->plan, t->step, text));
    value_map_add(&b, STR("step"), value_text(step));
    char since[TIME_RFC3339_BYTES];
    time_print_rfc3339(t->more->waits_since, since);
    value_map_add(&b, STR("since"), value_text(arena_str(a, str_from(since))));
    b.ok = b.ok && value_copy(a, t->more->request, &request);
    value_map_add(&b, STR("request"), b.ok ? request : value_null());
    return value_map_done(&b);
}

/* The asks of one execution; what cannot be read is told and does not hide the others. */
static void add_waiters(struct session *s, const struct store_execution *x, struct buf *b,
                        struct value_builder *items) {
    struct host_view v;
    struct error e = {0};
    if (host_view_open(s->store, s->kinds, x->fixed.id, &v, &e)) {
        cli_fail_error(s->cli, &e, NULL);
        return;
    }
    for (uint32_t i = 0; i < engine_track_count(v.engine); i++) {
        const struct track *t = engine_track(v.engine, i);
        if (t->status == STEP_WAITING && str_is(details_text(t->more->request, "for"), "answer")) {
            print_waiter(s->cli, x, t, b);
            value_list_add(items, waiter_value(&s->cli->arena, x, t));
        }
    }
    host_view_close(&v);
}

static enum err add_all(struct session *s, struct store_filter *f, struct str status, struct buf *b,
                        struct value_builder *items) {
    uint32_t count = f->limit;
    while (count == f->limit) {
        struct store_execution *rows;
        struct error e = {0};
        enum err err = store_execution_list(s->store, f, &s->cli->arena, &rows, &count, &e);
        if (err) {
            cli_fail_error(s->cli, &e, NULL);
            return err;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (!status.len || str_eq(details_status(&rows[i]), status)) {
                add_waiters(s, &rows[i], b, items);
            }
        }
        f->after = count ? rows[count - 1].fixed.id : f->after;
    }
    return OK;
}

enum err waiting_list(struct session *s, struct store_filter *f, struct str status) {
    static const char *const live[] = {"waiting", "running", "paused"};
    struct cli *c = s->cli;
    struct value_builder doc, items;
    struct buf b;
    enum err err = OK;
    buf_init(&b, 0);
    value_builder_init(&doc, &c->arena);
    value_builder_init(&items, &c->arena);
    for (size_t i = 0; i < ARRAY_LEN(live) && s->store && !err; i++) {
        f->status = str_from(live[i]);
        f->after = STR("");
        err = add_all(s, f, status, &b, &items);
    }
    if (!err && cli_has(c, "json")) {
        value_map_add(&doc, STR("items"), value_list_done(&items));
        cli_print_json(c, value_map_done(&doc));
    } else if (!err && b.len) {
        sink_flush(&c->out, &b);
    } else if (!err) {
        sink_printf(&c->err, "nobody is waited for\n");
    }
    buf_fini(&b);
    return err;
}
