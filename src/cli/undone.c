/* The steps that compensate nodes undo, put together of the tracker, which knows every run that was
 * called for one, and of what the engine still has to undo.
 *
 * A run whose failure is allowed has undone its step, and one that a rollback waits for has been
 * called anew until it had: so the engine's word goes before the run's own status.
 */
#include "cli/undone.h"

enum { STEPS_SHOWN = 12 };

struct looking {
    const struct host_view *v;
    struct arena *a;
    struct undoing how;
    struct map slots, tracks; /* by id: index of the engine's; tracks: that count */
    bool past, live;
    uint32_t open, any;
};

static struct str id_of(const struct looking *l, const struct track *t) {
    char text[STEP_ID_BYTES];
    return arena_str(l->a, step_id_print(t->plan, t->step, text));
}

static void note(struct map *m, struct str id, uint32_t index) {
    bool is_new;
    struct map_entry *x = id.ptr ? map_put(m, id, &is_new) : NULL;
    if (x) {
        x->num = index;
    }
}

static void collect(struct looking *l) {
    const struct engine *g = l->v->engine;
    map_init(&l->slots, l->a);
    map_init(&l->tracks, l->a);
    for (uint32_t i = 0; i < engine_undoable_count(g); i++) {
        note(&l->slots, engine_undoable(g, i).step, i);
    }
    for (uint32_t i = 0; i < engine_track_count(g); i++) {
        note(&l->tracks, id_of(l, engine_track(g, i)), i);
    }
}

/* That of the engine; NULL: it has nothing to undo there. */
static const struct map_entry *slot_of(const struct looking *l, const struct track *t) {
    return t->undone ? NULL : map_find(&l->slots, id_of(l, t));
}

/* The newest run of its compensate node that was called for the step, or NULL. */
static const struct track *run_for(const struct looking *l, const struct track *t) {
    const struct map_entry *slot = slot_of(l, t), *x = NULL;
    int64_t node = t->plan->nodes[t->step.node].aux[ROLE_COMPENSATE];
    if (slot) {
        struct undoable u = engine_undoable(l->v->engine, (uint32_t)slot->num);
        char text[STEP_ID_BYTES];
        x = u.run_of ? map_find(&l->tracks, step_id_print(u.run_of, u.run, text)) : NULL;
    } else if (node >= 0 && t->more->aux.len) {
        x = map_find(&l->tracks, t->more->aux);
    }
    const struct track *run = x ? engine_track(l->v->engine, (uint32_t)x->num) : NULL;
    bool fits = run && (slot || (run->plan == t->plan && run->step.node == (uint32_t)node));
    return fits ? run : NULL;
}

static const char *word_of_run(const struct track *run) {
    switch (run->status) {
    case STEP_COMPLETED:
    case STEP_SKIPPED: return "undone";
    case STEP_FAILED: return "failed";
    case STEP_CANCELLED: return "stopped";
    case STEP_PENDING:
    case STEP_RUNNING:
    case STEP_WAITING:
    case STEP_RETRYING: break;
    }
    return "running";
}

/* It is one of those that are, or were, to be undone now. */
static bool is_meant(const struct looking *l, const struct undoable *u) {
    return l->how.begun && u->completed > l->how.after && u->completed < l->how.begun &&
           (u->state != UNDO_DONE || u->undone > l->how.begun);
}

static bool is_in_doubt(const struct looking *l, const struct track *t) {
    const struct map_entry *x = slot_of(l, t);
    return x && engine_undoable(l->v->engine, (uint32_t)x->num).in_doubt;
}

/* NULL: nothing is to be told of the step. */
static const char *word_of(const struct looking *l, const struct track *t,
                           const struct track *run) {
    const struct map_entry *x = slot_of(l, t);
    if (!x) {
        return run && t->undone && strcmp(word_of_run(run), "undone") == 0 ? "undone" : NULL;
    }
    struct undoable u = engine_undoable(l->v->engine, (uint32_t)x->num);
    if (u.state == UNDO_DONE) {
        return is_meant(l, &u) || l->past ? "undone" : NULL;
    }
    return !is_meant(l, &u) ? NULL : run ? word_of_run(run) : "open";
}

static void add_step(struct looking *l, const struct track *t, struct value_builder *list) {
    const struct track *run = run_for(l, t);
    const char *word = word_of(l, t, run);
    char at[TIME_RFC3339_BYTES];
    struct value_builder b;
    if (!word) {
        return;
    }
    bool ended = run && run->ended.us && strcmp(word, "running") != 0;
    bool failed = run && strcmp(word, "failed") == 0;
    l->any++;
    l->open += strcmp(word, "undone") != 0;
    value_builder_init(&b, l->a);
    value_map_add(&b, STR("step"), value_text(id_of(l, t)));
    value_map_add(&b, STR("state"), value_text(str_from(word)));
    value_map_add(&b, STR("by"), run ? value_text(id_of(l, run)) : value_null());
    if (ended) {
        time_print_rfc3339(run->ended, at);
    }
    value_map_add(&b, STR("at"), ended ? value_text(arena_str(l->a, str_from(at))) : value_null());
    value_map_add(&b, STR("error"),
                  failed
                      ? value_text(arena_printf(l->a, "%.*s: %.*s", STR_ARG(run->more->error_type),
                                                STR_ARG(run->more->error_message)))
                      : value_null());
    value_map_add(&b, STR("inDoubt"), value_bool(is_in_doubt(l, t)));
    value_map_add(&b, STR("rolledBack"), value_bool(t->undone));
    value_list_add(list, value_map_done(&b));
}

static const char *state_of(const struct looking *l) {
    if (!l->open) {
        return "completed";
    }
    return !l->live || !l->how.begun                    ? "stopped"
           : engine_status(l->v->engine) == EXEC_PAUSED ? "paused"
                                                        : "running";
}

struct value undone_value(const struct host_view *v, struct arena *a, bool past) {
    const struct engine *g = v->engine;
    struct looking l = {.v = v, .a = a, .how = engine_undoing(g), .past = past};
    struct value_builder b, list;
    bool possible = false;
    for (uint32_t i = 0; i < engine_track_count(g) && !possible; i++) {
        const struct track *t = engine_track(g, i);
        possible = t->plan->nodes[t->step.node].aux[ROLE_COMPENSATE] >= 0;
    }
    if (!possible) {
        return value_null();
    }
    l.live = !exec_status_final(engine_status(g));
    collect(&l);
    value_builder_init(&list, a);
    for (uint32_t i = engine_track_count(g); i > 0; i--) {
        add_step(&l, engine_track(g, i - 1), &list);
    }
    if (!l.any) {
        return value_null();
    }
    value_builder_init(&b, a);
    value_map_add(&b, STR("state"), value_text(str_from(state_of(&l))));
    value_map_add(&b, STR("by"),
                  l.how.after   ? value_text(arena_str(a, l.how.by))
                  : l.how.begun ? value_text(STR("recover"))
                                : value_null());
    value_map_add(&b, STR("to"), l.how.after ? value_int((int64_t)l.how.after) : value_null());
    value_map_add(&b, STR("steps"), value_list_done(&list));
    return value_map_done(&b);
}

/* ---- for people ---- */

static void put_undone(struct buf *b, struct value steps, const char *indent) {
    uint32_t shown = 0;
    for (size_t i = 0; i < value_count(steps); i++) {
        if (!str_is(details_text(steps.items[i], "state"), "undone") || shown > STEPS_SHOWN) {
            continue;
        }
        buf_append_cstr(b, shown ? ", " : indent);
        buf_append_cstr(b, shown ? "" : "undone: ");
        if (shown++ == STEPS_SHOWN) {
            buf_append_cstr(b, "...");
            continue;
        }
        text_clean(b, details_text(steps.items[i], "step"));
        buf_append_cstr(b, " by ");
        text_clean(b, details_text(steps.items[i], "by"));
    }
    buf_append_cstr(b, shown ? "\n" : "");
}

static void put_why(struct buf *b, struct value step, bool is_over) {
    struct str state = details_text(step, "state"), by = details_text(step, "by");
    if (str_is(state, "open")) {
        buf_append_cstr(b, is_over ? "it was stopped before its turn" : "its turn comes");
        return;
    }
    bool in_doubt = value_get(step, STR("inDoubt"))->boolean;
    text_clean(b, by);
    if (str_is(state, "failed")) {
        buf_append_cstr(b, " failed: ");
        text_message(b, details_text(step, "error"), TEXT_IN_RESULTS);
    } else {
        buf_append_cstr(b, str_is(state, "stopped") ? " was stopped" : " runs for it");
    }
    if (in_doubt) {
        buf_append_cstr(b, ", so whether it is undone is not known");
        buf_append_cstr(b, is_over ? ": a retry does it anew" : "");
    }
}

void undone_print(struct buf *b, struct value undo, const char *indent) {
    const struct value *steps = value_get(undo, STR("steps"));
    struct str state = details_text(undo, "state");
    bool is_over = str_is(state, "stopped") || str_is(state, "completed");
    uint32_t shown = 0;
    if (!steps) {
        return;
    }
    put_undone(b, *steps, indent);
    for (size_t i = 0; i < value_count(*steps); i++) {
        if (str_is(details_text(steps->items[i], "state"), "undone")) {
            continue;
        }
        if (++shown <= STEPS_SHOWN) {
            buf_printf(b, "%snot undone: ", indent);
            text_clean(b, details_text(steps->items[i], "step"));
            buf_append_cstr(b, ": ");
            put_why(b, steps->items[i], is_over);
            buf_append_char(b, '\n');
        }
    }
    if (shown > STEPS_SHOWN) {
        buf_printf(b, "%sand %u more that are not undone\n", indent, shown - STEPS_SHOWN);
    }
}

struct str undone_by(struct value undo, struct str step) {
    const struct value *steps = value_get(undo, STR("steps"));
    for (size_t i = 0; steps && i < value_count(*steps); i++) {
        if (str_is(details_text(steps->items[i], "state"), "undone") &&
            str_eq(details_text(steps->items[i], "step"), step)) {
            return details_text(steps->items[i], "by");
        }
    }
    return STR("");
}
