/* People and other processes: they answer steps that wait, rightly, wrongly and twice, pause and go
 * on, all through the inbox, at any moment.
 *
 * What must hold: an accepted answer completes one step, a refused one none, and no request is left
 * without a verdict once its execution has ended or was asked while it ran.
 */
#include <stdio.h>

#include "sim.h"

static void put_row(struct world *w, struct str execution, const char *kind, struct str step,
                    const char *value) {
    struct arena a;
    struct store_execution x;
    struct error e;
    char payload[120];
    int64_t id;
    arena_init(&a, 0);
    snprintf(payload, sizeof payload, "{\"by\":\"p\",\"value\":\"%s\"}", value);
    enum err err = store_execution_get(w->disk, 0, execution, &a, &x, &e);
    struct store_inbox row = {.execution = x.num,
                              .kind = str_from(kind),
                              .step = step,
                              .payload = str_from(payload),
                              .at = w->now};
    err = err ? err : store_inbox_add(w->disk, &row, &id, &e);
    if (err) {
        world_fail(w, "no request: %s", e.message);
    }
    world_say(w, "somebody asks: %s %.*s %s", kind, STR_ARG(step), value);
    arena_fini(&a);
    if (w->host) {
        host_inbox_look(w->host);
    }
}

/* The n-th step that waits for a person, of any run; false beyond the last. */
static bool find_waiter(struct world *w, uint32_t n, struct run **out_run, struct step_id *out) {
    for (uint32_t i = 0; i < w->run_count; i++) {
        const struct engine *g = run_engine(w->runs[i]);
        for (uint32_t k = 0; g && k < engine_track_count(g); k++) {
            const struct track *t = engine_track(g, k);
            if (t->status == STEP_WAITING && !t->due.us && n-- == 0) {
                *out_run = w->runs[i];
                *out = t->step;
                return true;
            }
        }
    }
    return false;
}

static bool answer(struct world *w, const char *value) {
    struct run *r;
    struct step_id step;
    char text[STEP_ID_BYTES];
    uint32_t count = 0;
    while (find_waiter(w, count, &r, &step)) {
        count++;
    }
    if (!count || !find_waiter(w, rng_below(&w->rng, count), &r, &step)) {
        return false;
    }
    put_row(w, run_id(r), "answer", step_id_print(run_plan(r), step, text), value);
    return true;
}

static bool paused(const struct world *w) {
    const struct engine *g = w->root ? run_engine(w->root) : NULL;
    return g && engine_status(g) == EXEC_PAUSED;
}

bool people_act(struct world *w) {
    struct str root = w->executions ? str_from(w->executions->id) : STR("");
    if (!root.len || w->executions->final) {
        return false;
    }
    switch (rng_below(&w->rng, 8)) {
    case 0: put_row(w, root, "pause", STR(""), ""); return true;
    case 1:
    case 2: put_row(w, root, "resume", STR(""), ""); return true;
    case 3: put_row(w, root, "answer", STR("nobody"), "yes"); return true;
    case 4: return answer(w, "perhaps");
    case 5: return answer(w, "yes") && answer(w, "yes"); /* perhaps the same one twice */
    default: return answer(w, "yes");
    }
}

bool people_help(struct world *w) {
    if (w->executions && !w->executions->final && paused(w)) {
        put_row(w, str_from(w->executions->id), "resume", STR(""), "");
        return true;
    }
    return answer(w, "yes");
}

void people_note_answer(struct world *w, struct value meta) {
    w->answers_taken += value_get(meta, STR("answeredBy")) != NULL;
}

void people_check(struct world *w) {
    uint32_t accepted = 0;
    for (int64_t id = 1;; id++) {
        struct arena a;
        struct store_inbox row;
        struct error e;
        arena_init(&a, 0);
        enum err err = store_inbox_get(w->disk, id, &a, &row, &e);
        accepted += !err && str_is(row.kind, "answer") && str_is(row.verdict, "accepted");
        arena_fini(&a);
        if (err) {
            break;
        }
    }
    if (accepted != w->answers_taken) {
        world_fail(w, "%u answers were accepted, %u steps were answered", accepted,
                   w->answers_taken);
    }
}
