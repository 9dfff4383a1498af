/* Rollbacks: somebody goes back to any moment of any execution, living or ended, more than once,
 * also to where one cannot go; and what must hold when one was recorded.
 */
#include "sim.h"

#include <stdio.h>

static const struct seen_execution *pick(struct world *w) {
    uint32_t count = 0;
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        count += !x->quarantined && x->seq > 1;
    }
    uint32_t skip = count ? rng_below(&w->rng, count) : 0;
    for (const struct seen_execution *x = w->executions; x; x = x->next) {
        if (!x->quarantined && x->seq > 1 && !skip--) {
            return x;
        }
    }
    return NULL;
}

static struct str target_of(struct world *w, const struct seen_execution *x) {
    struct rng *r = &w->rng;
    struct arena *a = &w->arena;
    struct str node = x->plan->nodes[rng_below(r, x->plan->node_count)].name;
    switch (rng_below(r, 10)) {
    case 0: return STR("@here");
    case 1:
    case 2: return node;
    case 3: return arena_printf(a, "%.*s#%u", STR_ARG(node), rng_below(r, 4));
    case 4: return rng_below(r, 3) ? arena_printf(a, "%u", rng_below(r, 9)) : STR("@nowhere");
    default:
        return arena_printf(a, "%llu", (unsigned long long)(1 + rng_below(r, (uint32_t)x->seq)));
    }
}

static struct process *pick_living(struct world *w) {
    for (uint32_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[i];
        if (p->host && !p->entered && !process_stopped(p)) {
            return p;
        }
    }
    return NULL;
}

bool rollback_one(struct world *w) {
    const struct seen_execution *x = w->weather.rollbacks ? pick(w) : NULL;
    struct process *p = pick_living(w);
    if (!x || !p) {
        return false;
    }
    bool resume = w->weather.calm || rng_chance(&w->rng, 600);
    w->weather.rollbacks--;
    if (!x->final && rng_chance(&w->rng, 300)) {
        people_ask(w, x, "checkpoint", STR("here"), "null");
        return true;
    }
    struct str target = target_of(w, x);
    world_say(w, "back to %.*s of %s", STR_ARG(target), x->id);
    if (!x->final) {
        people_ask(w, x, "rollback", target, resume ? "true" : "false");
    } else if (!x->parent) {
        process_rollback(p, x, target, resume);
    }
    return true;
}

/* An answer that came before its step is kept as long as the step has the id that it names. */
static bool is_kept(const struct engine *g, const struct seen_step *s) {
    for (uint32_t i = 0; i < engine_kept_count(g); i++) {
        const struct kept_answer *k = engine_kept_answer(g, i);
        if (k->seq == s->kept && k->state == KEPT_OPEN) {
            return true;
        }
    }
    return false;
}

/* No entry of `recover` goes back more often than it says, whatever else goes back meanwhile; the
 * generator gives a node one that does, the first. A person's rollback, or a retry, begins anew. */
static void check_times(struct world *w, struct seen_execution *x, const struct event *ev) {
    int64_t node = plan_node_find(x->plan, ev->node);
    const struct plan_node *n = node >= 0 ? &x->plan->nodes[node] : NULL;
    if (!n || ev->recovery >= n->recover_count ||
        n->recover[ev->recovery].what != RECOVER_ROLLBACK) {
        world_fail(w, "%s goes back for \"%.*s\", which does not ask for that", x->id,
                   STR_ARG(ev->node));
    } else if (++x->recovered[node] > n->recover[ev->recovery].times) {
        world_fail(w, "%s goes back for %.*s for the time %u, it says %u", x->id, STR_ARG(ev->node),
                   x->recovered[node], n->recover[ev->recovery].times);
    }
}

void rollback_forget(struct seen_execution *x) {
    memset(x->recovered, 0, x->plan->node_count * sizeof *x->recovered);
}

void rollback_note(struct world *w, struct seen_execution *x, const struct event *ev) {
    struct engine *g;
    struct error e;
    world_tally(w, ev->node.len ? TALLY_ROLLBACK_POLICY : TALLY_ROLLBACK, true);
    world_tally(w, TALLY_ROLLBACK_ENDED, x->final && !ev->node.len);
    w->retried = w->retried || w->may_retry; /* what runs anew may come to something else then */
    if (ev->node.len) {
        check_times(w, x, ev);
    } else {
        rollback_forget(x);
    }
    x->final = x->cancelled = x->completed = false;
    x->paused = !ev->resume;
    x->retried = x->rolled = x->rolled_back = true;
    mirror_check_undone(w, x, ev->to);
    x->finals = 0;
    x->final_step = x->undo_step = x->owed = NULL;
    x->undo_stopped = x->undoing = x->final_stopped = false;
    x->undo_at = 0;
    for (uint32_t i = 0; i < x->steps.count; i++) {
        struct seen_step *s = x->steps.entries[i].ptr;
        s->rolled = s->rolled || (s->started && !s->over);
        s->over = s->over || s->started;
        s->running = s->asks = s->recovers = s->wants_more = s->redo = false;
    }
    if (mirror_fold(w, x, &g, &e)) {
        world_fail(w, "%s cannot be folded back to %llu: %s", x->id, (unsigned long long)ev->to,
                   e.message);
        return;
    }
    for (uint32_t i = 0; i < x->plan->node_count; i++) {
        w->retried = w->retried || x->called[i]; /* the next run of it has another number */
        x->armed[i] = engine_node_step(g, i).iteration;
        x->called[i] = engine_is_called(g, i);
    }
    for (uint32_t i = 0; i < x->steps.count; i++) {
        struct seen_step *s = x->steps.entries[i].ptr;
        s->kept = s->kept && is_kept(g, s) ? s->kept : 0;
    }
    engine_free(g);
}

void rollback_check(struct world *w) {
    for (struct seen_execution *x = w->executions; x; x = x->next) {
        for (const struct seen_execution *c = x->rolled ? x->next : NULL; c; c = c->next) {
            const struct map_entry *entry = map_find(&x->steps, c->step);
            const struct seen_step *s = entry ? entry->ptr : NULL;
            /* One that is cancelled has its nodes of finally to run. */
            if (c->parent == x && !c->final && !c->cancelled && s && s->over) {
                world_fail(w, "%s goes on, its step %.*s of %s was undone", c->id, STR_ARG(c->step),
                           x->id);
            }
        }
        x->rolled = false;
    }
}
