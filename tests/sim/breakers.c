/* Breakers as they look from outside: a model of each service that steps of the random world share,
 * for each life of a process, fed with what the handlers tell.
 *
 * What must hold: nothing begins while a service is left alone, and only one probe at a time. The
 * model knows nothing of attempts that ran out of time, so it opens later than the host, or for
 * shorter, never the other way round.
 */
#include "sim.h"

/* That of what the attempt calls, or NULL. */
static struct seen_breaker *find(struct process *p, const struct step_in *in) {
    const struct node_kind *kind = in->node->kind;
    struct seen_breaker *b = NULL;
    struct buf name;
    if (!kind->service || p->world->recipe->example.len) {
        return NULL;
    }
    buf_init(&name, 0);
    kind->service(in, &name);
    if (name.len == 2 && buf_ok(&name)) {
        b = &p->breakers[name.ptr[1] == '1'];
    }
    buf_fini(&name);
    return b;
}

void breakers_started(struct process *p, struct open_port *o) {
    struct world *w = p->world;
    struct seen_breaker *b = NULL;
    if (o->execution && o->execution->plan->breaker.failures) {
        b = find(p, o->port->in);
        o->rule = &o->execution->plan->breaker;
    }
    o->breaker = b;
    if (!b || !b->open) {
        return;
    }
    if (w->now.us < b->until_us && !w->jumped) {
        world_fail(w, "%.*s begins, its service is left alone", STR_ARG(o->step->id));
    }
    if (b->probed) {
        world_fail(w, "%.*s begins while another probes its service", STR_ARG(o->step->id));
    }
    b->probed = o->probes = true;
    world_tally(w, TALLY_BREAKER_PROBE, true);
}

static void open_for(struct world *w, struct seen_breaker *b, int64_t open_us) {
    b->open = true;
    b->open_us = open_us;
    b->until_us = w->now.us + open_us;
}

static void failed(struct world *w, const struct open_port *o) {
    struct seen_breaker *b = o->breaker;
    const struct plan_breaker *rule = o->rule;
    b->failures++;
    if (o->probes) {
        open_for(w, b, b->open_us * 2 < rule->max_us ? b->open_us * 2 : rule->max_us);
        world_tally(w, TALLY_BREAKER_AGAIN, true);
    } else if (!b->open && b->failures >= rule->failures) {
        open_for(w, b, rule->open_us);
        world_tally(w, TALLY_BREAKER_OPEN, true);
    }
}

void breakers_ended(struct world *w, const struct open_port *o, enum fate fate) {
    struct seen_breaker *b = o->breaker;
    if (!b) {
        return;
    }
    bool fails = fate == FATE_FAIL || fate == FATE_HANG;
    if (fails && !o->cancelled) {
        failed(w, o);
    } else if (fate == FATE_DONE || !o->cancelled) {
        world_tally(w, TALLY_BREAKER_CLOSED, o->probes);
        b->failures = 0;
        b->open = false;
    }
    b->probed = b->probed && !o->probes;
}
