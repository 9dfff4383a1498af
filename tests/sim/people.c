/* People and other processes: they answer steps that wait, rightly, wrongly and twice, pause and go
 * on, all through the inbox, at any moment.
 *
 * What must hold: an accepted answer completes one step or is kept for one that does not wait yet,
 * a refused one does neither, and no request is left without a verdict once its execution has
 * ended or was asked while it ran.
 */
#include <stdio.h>

#include "sim.h"

#define YES "\"yes\""

static void look_everywhere(struct world *w) {
    for (uint32_t i = 0; i < w->process_count; i++) {
        if (w->processes[i].host) {
            host_inbox_look(w->processes[i].host);
        }
    }
}

static void put_row(struct world *w, struct str execution, const char *kind, struct str step,
                    const char *json) {
    struct arena a;
    struct store_execution x;
    struct error e;
    char payload[200];
    int64_t id;
    arena_init(&a, 0);
    snprintf(payload, sizeof payload, "{\"by\":\"p\",\"value\":%s}", json);
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
    world_say(w, "somebody asks: %s %.*s %s", kind, STR_ARG(step), json);
    arena_fini(&a);
    if (!w->weather.calm && rng_chance(&w->rng, 300)) {
        return; /* nobody is told; who owns it looks there later */
    }
    look_everywhere(w);
}

/* The n-th step that waits for a person, of any execution, as it was recorded. */
static struct seen_step *find_waiter(struct world *w, uint32_t n,
                                     const struct seen_execution **out) {
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        for (uint32_t i = 0; !x->final && i < x->steps.count; i++) {
            struct seen_step *s = x->steps.entries[i].ptr;
            if ((s->asks || s->recovers) && n-- == 0) {
                *out = x;
                return s;
            }
        }
    }
    return NULL;
}

/* What somebody decides about a failure: always the same of a node, so that it is the same in every
 * order; sometimes, before that, to try again what will fail again. Not what has a fallback or
 * an on_timeout: their next run is their next iteration, which may come to something else. */
static const char *decision(struct world *w, const struct seen_step *s) {
    uint64_t hash = hash_bytes(s->node->name, w->recipe->seed);
    bool may_again = s->node->delivery == DELIVERY_AT_LEAST_ONCE;
    bool alone = s->node->aux[ROLE_FALLBACK] < 0 && s->node->aux[ROLE_ON_TIMEOUT] < 0;
    if (!w->weather.calm && may_again && rng_chance(&w->rng, 200) && alone) {
        return "\"retry\"";
    }
    return hash % 3 == 0                               ? "\"fail\""
           : s->node->handle_count > 1 && s->index < 0 ? "{\"value\":\"true\"}"
                                                       : "{\"value\":{\"n\":5}}";
}

static bool answer(struct world *w, const char *value) {
    const struct seen_execution *x;
    uint32_t count = 0;
    while (find_waiter(w, count, &x)) {
        count++;
    }
    const struct seen_step *s = count ? find_waiter(w, rng_below(&w->rng, count), &x) : NULL;
    if (s) { /* by its id, by its node, or as the only one that waits */
        uint32_t how = w->weather.calm || s->recovers ? 0 : rng_below(&w->rng, 4);
        struct str named = how == 3 ? STR("") : how == 2 ? s->node->name : s->id;
        bool more = s->wants_more && str_is(str_from(value), YES);
        value = s->recovers ? decision(w, s) : !more ? value : w->weather.calm ? "40" : "3";
        put_row(w, str_from(x->id), "answer", named, value);
    }
    return s != NULL;
}

/* For a step that does not wait yet, or never will: by the name, or one of the iterations. */
static bool answer_early(struct world *w) {
    const struct plan_node *found = NULL;
    const struct seen_execution *of = NULL;
    uint32_t count = 0;
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        for (uint32_t i = 0; !x->final && i < x->plan->node_count; i++) {
            const struct plan_node *n = &x->plan->nodes[i];
            if ((n->kind->flags & KIND_ASKS) && rng_below(&w->rng, ++count) == 0) {
                found = n;
                of = x;
            }
        }
    }
    char step[STEP_ID_BYTES];
    int len = !found ? 0 : snprintf(step, sizeof step, "%.*s", STR_ARG(found->name));
    if (found && rng_chance(&w->rng, 400)) {
        len += snprintf(step + len, sizeof step - (size_t)len, "#%u", 1 + rng_below(&w->rng, 2));
    }
    if (found) {
        put_row(w, str_from(of->id), "answer", (struct str){step, (size_t)len},
                rng_chance(&w->rng, 800) ? YES : "\"perhaps\"");
    }
    return found != NULL;
}

static struct seen_execution *pick_root(struct world *w, bool paused) {
    uint32_t skip = w->root_count > 1 ? rng_below(&w->rng, w->root_count) : 0;
    struct seen_execution *found = NULL;
    for (struct seen_execution *x = w->executions; x; x = x->next) {
        bool alone =
            !x->parent || (paused && x->parent->final); /* the latter: left by its parent */
        if (alone && !x->final && (x->paused || !paused)) {
            found = x;
            if (!skip--) {
                break;
            }
        }
    }
    return found;
}

bool people_act(struct world *w) {
    const struct seen_execution *x = pick_root(w, false);
    struct str root = x ? str_from(x->id) : STR("");
    if (!x) {
        return false;
    }
    if (w->heard && rng_chance(&w->rng, 250)) {
        bool early = rng_chance(&w->rng, 500);
        return signals_send(w, early) && (rng_chance(&w->rng, 700) || signals_send(w, early));
    }
    switch (rng_below(&w->rng, 12)) {
    case 0: put_row(w, root, "pause", STR(""), "null"); return true;
    case 1:
    case 2: put_row(w, root, "resume", STR(""), "null"); return true;
    case 3: put_row(w, root, "answer", STR("nobody"), YES); return true;
    case 4: return answer(w, "\"perhaps\"");
    case 5: return answer(w, YES) && answer(w, YES); /* perhaps the same one twice */
    case 6: look_everywhere(w); return false;
    case 7:
    case 8:
    case 9: return answer_early(w);
    default: return answer(w, YES);
    }
}

void people_ask(struct world *w, const struct seen_execution *x, const char *kind,
                struct str target, const char *value) {
    put_row(w, str_from(x->id), kind, target, value);
}

bool people_cancel(struct world *w) {
    const struct seen_execution *x = pick_root(w, false);
    if (x) {
        put_row(w, str_from(x->id), "cancel", STR(""), "null");
    }
    return x != NULL;
}

bool people_help(struct world *w) {
    const struct seen_execution *x = pick_root(w, true);
    look_everywhere(w);
    if (x) {
        put_row(w, str_from(x->id), "resume", STR(""), "null");
        return true;
    }
    return answer(w, YES) || signals_send(w, false);
}

void people_note_answer(struct world *w, struct seen_step *s, struct value meta) {
    const struct value *kept = value_get(meta, STR("answer"));
    uint64_t by = kept && kept->type == VALUE_INT ? (uint64_t)kept->num : 0;
    bool recovered = value_get(meta, STR("recoveredBy")) != NULL;
    if (by != s->kept && !recovered) {
        world_fail(w, "%.*s took the answer of event %llu, kept for it is %llu", STR_ARG(s->id),
                   (unsigned long long)by, (unsigned long long)s->kept);
    }
    bool another = value_get(meta, STR("escalatedTo")) != NULL; /* it was asked instead */
    w->answers_taken += !by && value_get(meta, STR("answeredBy")) && !another;
    w->answers_taken += recovered;
    world_tally(w, TALLY_DECISION, recovered);
    world_tally(w, TALLY_ANSWER_EARLY_TAKEN, by);
    s->kept = 0;
}

/* Requests of an execution are decided on in the order in which they came. */
static void check_order(struct world *w, const struct store_inbox *row, struct map *last_open) {
    bool is_new;
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)row->execution);
    struct str name = arena_str(&w->arena, (struct str){text, (size_t)len});
    struct map_entry *entry = map_put(last_open, name, &is_new);
    if (!row->verdict.len) {
        entry->num = (uint64_t)row->id;
    } else if (entry->num) {
        world_fail(w, "request %lld was decided on, request %llu before it was not",
                   (long long)row->id, (unsigned long long)entry->num);
    }
}

static bool says(const struct store_inbox *row, const char *what) {
    return str_find(row->verdict, str_from(what), 0) != SIZE_MAX;
}

static void tally_row(struct world *w, const struct store_inbox *row) {
    static const struct {
        const char *kind;
        enum tally tally;
    } accepted[] = {{"pause", TALLY_PAUSE},
                    {"resume", TALLY_RESUME},
                    {"cancel", TALLY_CANCEL},
                    {"answer", TALLY_ANSWER},
                    {"signal", TALLY_SIGNAL}};
    static const struct {
        const char *kind, *why;
        enum tally tally;
    } refused[] = {{"answer", "already", TALLY_ANSWER_TWICE},
                   {"answer", "has no step", TALLY_ANSWER_WRONG_STEP},
                   {"answer", "only yes", TALLY_ANSWER_UNFIT},
                   {"rollback", "", TALLY_ROLLBACK_REFUSED}};
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
        bool same = str_is(row->kind, accepted[i].kind);
        world_tally(w, accepted[i].tally, same && str_starts(row->verdict, STR("accepted")));
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        bool same = str_is(row->kind, refused[i].kind);
        world_tally(w, refused[i].tally,
                    same && str_starts(row->verdict, STR("refused")) && says(row, refused[i].why));
    }
}

void people_check(struct world *w) {
    uint32_t accepted = 0, signals = 0;
    struct map last_open;
    map_init(&last_open, &w->arena);
    for (int64_t id = 1;; id++) {
        struct arena a;
        struct store_inbox row;
        struct error e;
        arena_init(&a, 0);
        enum err err = store_inbox_get(w->disk, id, &a, &row, &e);
        if (!err) {
            bool fine = str_starts(row.verdict, STR("accepted"));
            accepted += fine && str_is(row.kind, "answer");
            signals += fine && str_is(row.kind, "signal");
            tally_row(w, &row);
            check_order(w, &row, &last_open);
        }
        arena_fini(&a);
        if (err) {
            break;
        }
    }
    if (accepted != w->answers_taken + w->answers_kept) {
        world_fail(w, "%u answers were accepted, %u steps were answered, %u answers kept", accepted,
                   w->answers_taken, w->answers_kept);
    }
    if (signals != w->signals) {
        world_fail(w, "%u signals were accepted, %u were recorded", signals, w->signals);
    }
}
