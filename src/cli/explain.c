/* Collecting the reasons: everything is read of the folded state at one moment.
 *
 * A command that is suggested here must work as it stands.
 */
#include "cli/explain_priv.h"

#include "cli/approves.h"
#include "cli/budget.h"
#include "cli/form.h"
#include "cli/load.h"
#include "cli/undone.h"

enum { SOURCES_SHOWN = 10 };

static struct arena *arena_of(const struct explaining *x) { return &x->s->cli->arena; }

void explain_text(struct value_builder *b, const char *name, struct str text) {
    if (text.len) {
        value_map_add(b, str_from(name), value_text(arena_str(b->arena, text)));
    }
}

void explain_time(struct value_builder *b, const char *name, wall_us at) {
    char text[TIME_RFC3339_BYTES];
    if (at.us) {
        time_print_rfc3339(at, text);
        explain_text(b, name, str_from(text));
    }
}

/* A command with the id and the store, and perhaps a rest. */
static struct str command(const struct explaining *x, const char *verb, struct str rest) {
    return arena_printf(arena_of(x), "cairn %s %.*s%.*s%.*s", verb, STR_ARG(x->v.stored.fixed.id),
                        STR_ARG(rest), STR_ARG(x->store));
}

static struct str answer_command(const struct explaining *x, const struct track *t,
                                 struct str step) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_char(&b, ' ');
    text_shell(&b, step);
    buf_append_char(&b, ' ');
    form_put_answer(&b, t->more->request);
    struct str rest = arena_str(arena_of(x), buf_str(&b));
    buf_fini(&b);
    return command(x, "answer", rest);
}

static bool waits_for(const struct track *t, const char *what) {
    return str_is(details_text(t->more->request, "for"), what);
}

static struct str signal_command(const struct explaining *x, const struct track *t) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_char(&b, ' ');
    text_shell(&b, details_text(t->more->request, "signal"));
    struct str rest = arena_str(arena_of(x), buf_str(&b));
    buf_fini(&b);
    return command(x, "signal", rest);
}

/* ---- steps that were begun ---- */

static struct engine_items items_of(const struct explaining *x, const struct track *t) {
    bool asks = t->status == STEP_RUNNING && t->step.index < 0 && t->plan == x->v.plan;
    return asks ? engine_items(x->v.engine, t->step.node) : (struct engine_items){0};
}

/* In a pause, what runs goes on, and a foreach none of whose items runs stands. */
static const char *why_running(const struct explaining *x, const struct track *t) {
    struct engine_items items = items_of(x, t);
    bool stands = engine_status(x->v.engine) == EXEC_PAUSED && items.total && !items.running;
    return x->v.stored.owner_alive && !stands ? "is being performed" : "is unfinished";
}

static void add_items(const struct explaining *x, const struct track *t, struct value_builder *b) {
    struct engine_items items = items_of(x, t);
    if (items.total) {
        struct value_builder map;
        value_builder_init(&map, arena_of(x));
        value_map_add(&map, STR("total"), value_int(items.total));
        value_map_add(&map, STR("ended"), value_int(items.total - items.unfinished));
        value_map_add(b, STR("items"), value_map_done(&map));
    }
}

static const char *why_of(const struct explaining *x, const struct track *t) {
    if (t->status == STEP_RUNNING && t->more->aux.len) {
        return arena_printf(arena_of(x), "%.*s runs for it", STR_ARG(t->more->aux)).ptr;
    }
    switch (t->status) {
    case STEP_RUNNING: return why_running(x, t);
    case STEP_WAITING:
        return waits_for(t, "answer")    ? "waits for an answer"
               : waits_for(t, "signal")  ? "waits for a signal"
               : waits_for(t, "service") ? "is held back"
                                         : "waits for its time";
    case STEP_RETRYING: return "failed and is tried again";
    case STEP_PENDING:
    case STEP_COMPLETED:
    case STEP_FAILED:
    case STEP_SKIPPED:
    case STEP_CANCELLED: break;
    }
    return "";
}

/* What a sub-workflow waits for is said of itself. */
static void add_child(struct explaining *x, const struct track *t, struct value_builder *b) {
    struct store_execution child;
    struct arena *a = arena_of(x);
    if (t->status != STEP_RUNNING || !t->plan->nodes[t->step.node].child ||
        host_view_child(&x->v, x->s->store, t, a, &child) || child.row.completed.us) {
        return;
    }
    struct str remedy =
        arena_printf(a, "cairn explain %.*s%.*s", STR_ARG(child.fixed.id), STR_ARG(x->store));
    explain_text(b, "execution", child.fixed.id);
    explain_text(b, "executionStatus", details_status(&child));
    explain_text(b, "remedy", remedy);
    value_list_add(&x->remedies, value_text(remedy));
}

static struct value live_step(struct explaining *x, const struct track *t) {
    struct value_builder b;
    char text[STEP_ID_BYTES];
    struct arena *a = arena_of(x);
    struct str id = arena_str(a, step_id_print(t->plan, t->step, text));
    value_builder_init(&b, a);
    explain_text(&b, "step", id);
    explain_text(&b, "status", str_from(step_status_name(t->status)));
    explain_text(&b, "why", str_from(why_of(x, t)));
    explain_time(&b, "since", t->status == STEP_WAITING ? t->more->waits_since : t->scheduled);
    explain_time(&b, "until", t->due);
    value_map_add(&b, STR("attempt"), value_int(t->attempt));
    value_map_add(&b, STR("attempts"), value_int(t->plan->nodes[t->step.node].retry.attempts));
    add_items(x, t, &b);
    if (t->status == STEP_WAITING) {
        value_map_add(&b, STR("request"), t->more->request);
    }
    if (t->status == STEP_RETRYING) {
        value_map_add(&b, STR("nextAttempt"), value_int(t->attempt + 1));
        explain_time(&b, "nextAt", t->due);
    }
    if (t->more->error_type.len) {
        explain_text(&b, "error",
                     arena_printf(a, "%.*s: %.*s", STR_ARG(t->more->error_type),
                                  STR_ARG(t->more->error_message)));
    }
    if (t->status == STEP_WAITING && (waits_for(t, "answer") || waits_for(t, "signal"))) {
        struct str remedy =
            waits_for(t, "answer") ? answer_command(x, t, id) : signal_command(x, t);
        explain_text(&b, "remedy", remedy);
        value_list_add(&x->remedies, value_text(remedy));
    }
    add_child(x, t, &b);
    return value_map_done(&b);
}

/* ---- steps that were not begun ---- */

struct str explain_open_needs(const struct explaining *x, const struct plan_node *n) {
    struct buf b;
    uint32_t count = 0;
    buf_init(&b, 0);
    for (uint32_t i = 0; i < n->in_count_edges; i++) {
        uint32_t source = x->v.plan->edges[n->in_edges[i]].source;
        enum step_status status = engine_node_status(x->v.engine, source);
        if (!step_status_final(status) && count++ < SOURCES_SHOWN) {
            buf_printf(&b, "%s%.*s (%s)", count > 1 ? ", " : "",
                       STR_ARG(x->v.plan->nodes[source].name), step_status_name(status));
        }
    }
    buf_append_cstr(&b, count > SOURCES_SHOWN ? " ..." : "");
    struct str text = arena_str(arena_of(x), buf_str(&b));
    buf_fini(&b);
    return text;
}

static struct value pending_step(struct explaining *x, const struct plan_node *n, bool paused) {
    struct value_builder b;
    struct arena *a = arena_of(x);
    struct str needs = explain_open_needs(x, n);
    value_builder_init(&b, a);
    explain_text(&b, "step", n->name);
    explain_text(&b, "status", STR("pending"));
    explain_text(&b, "why",
                 needs.len ? arena_printf(a, "needs %.*s", STR_ARG(needs))
                 : paused  ? STR("is ready; the execution is paused")
                           : arena_printf(a, "is ready; waits for %.*s",
                                          STR_ARG(explain_slots_text(x, x->slots))));
    value_map_add(&b, STR("needs"), explain_needs(x, n));
    return value_map_done(&b);
}

static struct value steps_of(struct explaining *x) {
    struct value_builder list;
    const struct engine *g = x->v.engine;
    value_builder_init(&list, arena_of(x));
    bool paused = engine_status(g) == EXEC_PAUSED;
    if (exec_status_final(engine_status(g))) {
        return value_list_done(&list); /* what was left open was cancelled with it */
    }
    for (uint32_t i = 0; i < engine_track_count(g); i++) {
        if (!step_status_final(engine_track(g, i)->status)) {
            value_list_add(&list, live_step(x, engine_track(g, i)));
        }
    }
    for (uint32_t i = 0; i < x->v.plan->node_count; i++) {
        if (engine_node_status(g, i) == STEP_PENDING) {
            value_list_add(&list, pending_step(x, &x->v.plan->nodes[i], paused));
        }
    }
    return value_list_done(&list);
}

/* The step as the workflow of now names it; false: it has none. */
static bool step_now(const struct explaining *x, const struct kept_answer *k, struct step_id *out) {
    int64_t node = plan_node_find(x->v.plan, k->plan->nodes[k->step.node].name);
    *out = k->step;
    out->node = (uint32_t)node;
    return node >= 0;
}

/* Answers that came before their steps waited: those that are kept, and of steps that wait now what
 * was dropped. */
static struct value answers_of(const struct explaining *x) {
    struct value_builder list;
    struct arena *a = arena_of(x);
    value_builder_init(&list, a);
    bool final = exec_status_final(engine_status(x->v.engine));
    for (uint32_t i = 0; !final && i < engine_kept_count(x->v.engine); i++) {
        const struct kept_answer *k = engine_kept_answer(x->v.engine, i);
        struct step_id step;
        if (!step_now(x, k, &step)) {
            continue; /* of a workflow that is no longer */
        }
        const struct track *t = engine_track_find(x->v.engine, step);
        bool dropped = k->state == KEPT_DROPPED;
        if (k->state == KEPT_TAKEN || (dropped ? !t || t->status != STEP_WAITING : t != NULL)) {
            continue;
        }
        struct value_builder b;
        char text[STEP_ID_BYTES];
        value_builder_init(&b, a);
        explain_text(&b, "step", step_id_print(x->v.plan, step, text));
        explain_text(&b, "status", dropped ? STR("dropped") : STR("kept"));
        explain_text(&b, "by", k->by);
        explain_time(&b, "since", k->at);
        explain_text(&b, "why", k->why);
        value_list_add(&list, value_map_done(&b));
    }
    return value_list_done(&list);
}

/* ---- the execution ---- */

static struct value owner_of(const struct explaining *x) {
    const struct store_execution *e = &x->v.stored;
    struct value_builder b;
    value_builder_init(&b, arena_of(x));
    value_map_add(&b, STR("alive"), value_bool(e->owner_alive));
    if (e->owner_pid) {
        value_map_add(&b, STR("pid"), value_int(e->owner_pid));
    }
    explain_lease(x, &b);
    return e->host ? value_map_done(&b) : value_null();
}

static void add_error(struct explaining *x, struct value_builder *b) {
    const struct engine_error *err = engine_error(x->v.engine);
    if (!err) {
        return;
    }
    struct value_builder map;
    value_builder_init(&map, arena_of(x));
    int64_t node = err->node.len ? plan_node_find(x->v.plan, err->node) : -1;
    value_map_add(&map, STR("type"), value_text(err->type));
    value_map_add(&map, STR("message"), value_text(err->message));
    explain_text(&map, "node", err->node);
    if (node >= 0) {
        struct mark mark = x->v.plan->nodes[node].mark;
        struct str file = str_from(mark.file ? mark.file : ""), folder = engine_folder(x->v.engine);
        bool lies = folder.len && str_eq(file, x->v.plan->entry) && !str_is(file, LOAD_STDIN_ENTRY);
        file = lies ? load_shown(x->s->cli, folder, file) : file;
        explain_text(
            &map, "place",
            arena_printf(arena_of(x), "%.*s:%u:%u", STR_ARG(file), mark.line, mark.column));
    }
    value_map_add(b, STR("error"), value_map_done(&map));
}

/* The state does not keep who asked for it. */
static enum err add_cancelled_by(struct explaining *x, struct value_builder *b, struct error *e) {
    struct event ev;
    enum err err = details_cancel(x->s->store, &x->v.stored, arena_of(x), &ev, e);
    explain_text(b, "cancelledBy", err ? STR("") : ev.reason);
    return err;
}

/* As it is, or once its file is mended; a sub-workflow is retried with its parent. */
static void suggest_retry(struct explaining *x) {
    struct str folder = engine_folder(x->v.engine), entry = x->v.plan->entry;
    struct buf b;
    if (engine_status(x->v.engine) == EXEC_COMPLETED || x->v.stored.fixed.parent) {
        return;
    }
    const struct engine_error *why = engine_error(x->v.engine);
    struct str from = why ? approves_from(x->v.plan, *why, arena_of(x)) : STR(""), more = from;
    bool has_file = folder.len && !str_is(entry, LOAD_STDIN_ENTRY);
    enum budget_need need = from.len || !why
                                ? BUDGET_NEEDS_NOTHING
                                : budget_need_of(why, x->v.stored.fixed.id, arena_of(x), &more);
    if (need != BUDGET_NEEDS_FILE || !has_file) {
        value_list_add(&x->remedies, value_text(command(x, "retry", more)));
    }
    if (from.len) {
        return; /* with a mended file it would not be approved either */
    }
    if (has_file) {
        struct str path = arena_printf(arena_of(x), "%.*s/%.*s", STR_ARG(folder), STR_ARG(entry));
        buf_init(&b, 0);
        buf_append_cstr(&b, " --workflow ");
        text_shell(&b, path);
        value_list_add(&x->remedies,
                       value_text(command(x, "retry", arena_str(arena_of(x), buf_str(&b)))));
        buf_fini(&b);
    }
}

static void suggest(struct explaining *x) {
    const struct store_execution *e = &x->v.stored;
    bool final = exec_status_final(engine_status(x->v.engine));
    if (final) {
        value_list_add(&x->remedies, value_text(command(x, "results", STR(" --verbose"))));
        value_list_add(&x->remedies, value_text(command(x, "logs", STR(""))));
        suggest_retry(x);
    } else if (str_is(details_status(e), "waiting") && !e->owner_alive) {
        if (!x->remedies.count) { /* else who answers goes on with it */
            value_list_add(&x->remedies, value_text(command(x, "resume", STR(""))));
        }
    } else if (engine_status(x->v.engine) == EXEC_PAUSED || !e->owner_alive) {
        value_list_add(&x->remedies, value_text(command(x, "resume", STR(""))));
    } else {
        value_list_add(&x->remedies, value_text(command(x, "watch", STR(""))));
    }
}

/* Its row says all that may be looked at. */
static enum err explain_quarantined(struct explaining *x, struct str id, struct value *out,
                                    struct error *e) {
    struct arena *a = &x->s->cli->arena;
    struct store_execution stored;
    struct value_builder b;
    struct value error = value_null();
    enum err err = store_execution_get(x->s->store, 0, id, a, &stored, e);
    err = err ? err : value_parse_json(a, stored.row.error, &error, e);
    if (err) {
        return err;
    }
    x->v.stored = stored;
    value_builder_init(&x->remedies, a);
    value_builder_init(&b, a);
    explain_text(&b, "id", stored.fixed.id);
    explain_text(&b, "workflow", stored.fixed.workflow);
    explain_text(&b, "status", stored.row.status);
    explain_time(&b, "updatedAt", stored.row.updated);
    value_map_add(&b, STR("error"), error);
    err = explain_losses(x, STR(""), &b, e);
    err = err ? err : explain_inbox(x, &b, e);
    static const char *const none[] = {"undo", "owner", "budget", "slots"};
    static const char *const empty[] = {"breakers", "steps", "answers"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        value_map_add(&b, str_from(none[i]), value_null());
    }
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        struct value_builder list;
        value_builder_init(&list, a);
        value_map_add(&b, str_from(empty[i]), value_list_done(&list));
    }
    if (err) {
        return err;
    }
    value_list_add(&x->remedies, value_text(command(x, "retry", STR(" --force"))));
    value_list_add(&x->remedies, value_text(command(x, "logs", STR(""))));
    value_map_add(&b, STR("remedies"), value_list_done(&x->remedies));
    *out = value_map_done(&b);
    return b.ok && x->remedies.ok ? OK : error_nomem(e);
}

/* What holds steps back, and who was asked for what. */
static enum err add_limits(struct explaining *x, struct value_builder *b, struct error *e) {
    struct value budget = value_null();
    enum err err = explain_budget(x, &budget, e);
    x->slots = explain_slots(x);
    value_map_add(b, STR("breakers"), explain_breakers(x));
    value_map_add(b, STR("budget"), budget);
    value_map_add(b, STR("slots"), x->slots);
    return err;
}

enum err explain_value(struct session *s, struct str id, struct value *out, struct error *e) {
    struct explaining x = {.s = s, .store = session_store_option(s)};
    struct value_builder b;
    struct arena *a = &s->cli->arena;
    enum err err = host_view_open(s->store, s->kinds, id, &x.v, e);
    if (err == ERR_QUARANTINED) {
        return explain_quarantined(&x, id, out, e);
    }
    if (err) {
        return err;
    }
    value_builder_init(&x.remedies, a);
    value_builder_init(&b, a);
    explain_text(&b, "id", x.v.stored.fixed.id);
    explain_text(&b, "workflow", x.v.stored.fixed.workflow);
    explain_text(&b, "status", details_status(&x.v.stored));
    explain_time(&b, "updatedAt", x.v.stored.row.updated);
    add_error(&x, &b);
    if (engine_status(x.v.engine) == EXEC_PAUSED) {
        value_map_add(&b, STR("pausedBy"), value_text(arena_str(a, engine_paused_by(x.v.engine))));
        explain_text(&b, "pausedWhy", engine_paused_why(x.v.engine));
        explain_time(&b, "pausedAt", engine_paused_at(x.v.engine));
    }
    if (engine_status(x.v.engine) == EXEC_CANCELLED) {
        err = add_cancelled_by(&x, &b, e);
    }
    bool is_final = exec_status_final(engine_status(x.v.engine));
    err = err ? err : explain_losses(&x, is_final ? id : STR(""), &b, e);
    value_map_add(&b, STR("undo"), undone_value(&x.v, a, false));
    value_map_add(&b, STR("owner"), owner_of(&x));
    err = err ? err : explain_inbox(&x, &b, e);
    err = err ? err : add_limits(&x, &b, e);
    value_map_add(&b, STR("steps"), steps_of(&x));
    value_map_add(&b, STR("answers"), answers_of(&x));
    suggest(&x);
    value_map_add(&b, STR("remedies"), value_list_done(&x.remedies));
    struct value v = value_map_done(&b);
    bool ok = !err && b.ok && x.remedies.ok && value_copy(a, v, out);
    host_view_close(&x.v);
    return err ? err : ok ? OK : error_nomem(e);
}
