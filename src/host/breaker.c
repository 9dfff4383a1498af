/* Breakers: a service that keeps failing is left alone for a while. One per service and host, asked
 * before an attempt is performed and told how it ended.
 *
 * closed: attempts are performed; `failures` transient ones in a row open it.
 * open:   attempts are held back until its time; the first that comes then is the probe, and the
 *         others wait on. It answers: closed, and who is held back goes on at once. It fails: open
 *         again, for twice as long, at most `max`.
 * Invariant: whoever is held back has a recorded time at which it asks again, and what stands in
 * its way then (a probe, one that was let go to become it) has an end of its own; so an open
 * breaker is always probed by somebody.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "host/host_priv.h"

struct breaker {
    struct str service;
    bool open;
    uint32_t failures;        /* transient ones in a row */
    int64_t opened_us;        /* open: since then */
    int64_t until_us;         /* open: not before then */
    int64_t open_us;          /* how long this time */
    const struct port *probe; /* under way, or NULL */
    const struct run *chosen; /* whose step was let go to become the probe ... */
    struct step_id chosen_step;
    int64_t chosen_until_us; /* ... which counts until then */
};

struct breakers {
    struct arena arena;
    struct map by_service;
};

void breakers_free(struct host *h) {
    if (h->breakers) {
        arena_fini(&h->breakers->arena);
        free(h->breakers);
    }
}

static struct breaker *find(const struct host *h, struct str service) {
    const struct map_entry *entry =
        h->breakers ? map_find(&h->breakers->by_service, service) : NULL;
    return entry ? entry->ptr : NULL;
}

/* That of a service, made with the first attempt; NULL without memory: nothing is held back. */
static struct breaker *get(struct host *h, struct str service) {
    struct breaker *b = find(h, service);
    if (b) {
        return b;
    }
    if (!h->breakers) {
        h->breakers = calloc(1, sizeof *h->breakers);
        if (!h->breakers) {
            return NULL;
        }
        arena_init(&h->breakers->arena, 0);
        map_init(&h->breakers->by_service, &h->breakers->arena);
    }
    bool is_new;
    b = ARENA_NEW(&h->breakers->arena, struct breaker);
    struct str name = arena_str(&h->breakers->arena, service);
    struct map_entry *entry =
        b && name.ptr ? map_put(&h->breakers->by_service, name, &is_new) : NULL;
    if (!entry) {
        return NULL;
    }
    b->service = name;
    entry->ptr = b;
    return b;
}

/* ---- what the engine is told ---- */

static struct happened *news(enum input_type type, struct step_id step, uint32_t attempt) {
    struct happened *x = happened_new(type);
    if (x) {
        x->in.step = step;
        x->in.attempt = attempt;
    }
    return x;
}

static void tell_down(struct run *r, struct step_id step, uint32_t attempt, const struct breaker *b,
                      int64_t due_us) {
    struct happened *x = news(INPUT_SERVICE_DOWN, step, attempt);
    struct value_builder request;
    char since[TIME_RFC3339_BYTES];
    if (!x) {
        run_starved(r);
        return;
    }
    value_builder_init(&request, &x->arena);
    value_map_add(&request, STR("for"), value_text(STR("service")));
    value_map_add(&request, STR("reason"), value_text(STR("breaker")));
    value_map_add(&request, STR("service"), value_text(arena_str(&x->arena, b->service)));
    value_map_add(&request, STR("failures"), value_int(b->failures));
    time_print_rfc3339((wall_us){b->opened_us}, since);
    value_map_add(&request, STR("since"), value_text(arena_str(&x->arena, str_from(since))));
    value_map_add(
        &request, STR("prompt"),
        value_text(arena_printf(&x->arena, "%.*s failed %u times in a row and is left alone",
                                STR_ARG(b->service), b->failures)));
    x->in.value = value_map_done(&request);
    x->in.due_us = due_us;
    if (!request.ok || x->arena.starved) {
        happened_free(x);
        run_starved(r);
        return;
    }
    run_happens(r, x);
}

static void tell_up(struct run *r, struct step_id step, uint32_t attempt) {
    struct happened *x = news(INPUT_SERVICE_UP, step, attempt);
    if (x) {
        run_happens(r, x);
    } else {
        run_starved(r);
    }
}

static struct str service_of(const struct track *t) {
    const struct value *what = value_get(t->more->request, STR("for"));
    const struct value *service = value_get(t->more->request, STR("service"));
    bool held = t->status == STEP_WAITING && what && what->type == VALUE_TEXT &&
                str_is(value_str(*what), "service") && service && service->type == VALUE_TEXT;
    return held ? value_str(*service) : STR("");
}

/* All that is held back because of it goes on; rare, so they are looked for. Who rests without a
 * state (sleep.c) asks when its time comes. */
static void wake_all(struct host *h, const struct breaker *b) {
    for (struct run *r = h->runs; r; r = r->next) {
        uint32_t count = r->engine && !r->lost && !r->ended ? engine_track_count(r->engine) : 0;
        for (uint32_t i = 0; i < count; i++) {
            const struct track *t = engine_track(r->engine, i);
            if (str_eq(service_of(t), b->service)) {
                tell_up(r, t->step, t->attempt);
            }
        }
    }
}

/* ---- who may call ---- */

static bool is_chosen(const struct breaker *b, const struct run *r, struct step_id step) {
    return b->chosen == r && step_id_same(b->chosen_step, step);
}

/* When to ask again, as of now; 0: it may call. */
static int64_t held_until(const struct breaker *b, const struct run *r, struct step_id step,
                          int64_t now_us) {
    if (!b->open || MUTANT(call_while_open)) {
        return 0;
    }
    if (now_us < b->until_us) {
        return b->until_us;
    }
    if (b->probe && !MUTANT(let_all_probe)) {
        return now_us + b->open_us;
    }
    bool other = b->chosen && !is_chosen(b, r, step) && now_us < b->chosen_until_us;
    return other ? b->chosen_until_us : 0;
}

/* What the attempt will call, by its kind; empty: nothing that has a breaker. */
static struct breaker *of_port(const struct port *p) {
    const struct node_kind *kind = p->run->plan->nodes[p->step.node].kind;
    struct breaker *b = NULL;
    struct buf name;
    if (!p->run->plan->breaker.failures || !kind->service) {
        return NULL;
    }
    buf_init(&name, 4096);
    kind->service(flight_in(p->flight), &name);
    if (name.len && buf_ok(&name)) {
        b = get(p->run->host, buf_str(&name));
    }
    buf_fini(&name);
    return b;
}

bool breaker_admits(struct port *p) {
    struct breaker *b = of_port(p);
    int64_t now_us = host_now(p->run->host).us;
    int64_t until_us = b ? held_until(b, p->run, p->step, now_us) : 0;
    if (until_us) {
        tell_down(p->run, p->step, p->attempt, b, until_us);
        return false;
    }
    p->breaker = b;
    if (b && b->open) {
        b->probe = p;
        b->chosen = NULL;
    }
    return true;
}

void breaker_ask(struct run *r, const struct engine_effect *fx) {
    const struct track *t = engine_track_find(r->engine, fx->step);
    struct breaker *b = t ? find(r->host, service_of(t)) : NULL;
    int64_t now_us = host_now(r->host).us;
    int64_t until_us = b ? held_until(b, r, fx->step, now_us) : 0;
    if (until_us) {
        tell_down(r, fx->step, fx->attempt, b, until_us);
        return;
    }
    if (b && b->open) { /* it may still have to wait for a slot */
        b->chosen = r;
        b->chosen_step = fx->step;
        b->chosen_until_us = now_us + b->open_us;
    }
    tell_up(r, fx->step, fx->attempt);
}

/* ---- how it ended ---- */

static void open_for(struct breaker *b, int64_t now_us, int64_t open_us, int64_t at_least_us) {
    b->opened_us = b->open ? b->opened_us : now_us;
    b->open = true;
    b->open_us = open_us;
    b->until_us = now_us + (at_least_us > open_us ? at_least_us : open_us);
    b->chosen = NULL;
}

void breaker_failed(struct port *p, int64_t retry_after_us) {
    struct breaker *b = p->breaker;
    if (!b) {
        return;
    }
    const struct plan_breaker *rule = &p->run->plan->breaker;
    int64_t now_us = host_now(p->run->host).us;
    b->failures += b->failures < UINT32_MAX;
    if (b->probe == p) {
        int64_t twice_us = b->open_us * 2;
        open_for(b, now_us, twice_us < rule->max_us ? twice_us : rule->max_us, retry_after_us);
    } else if (!b->open && b->failures >= rule->failures) {
        open_for(b, now_us, rule->open_us, retry_after_us);
    }
}

void breaker_answered(struct port *p) {
    struct breaker *b = p->breaker;
    if (!b) {
        return;
    }
    b->failures = 0;
    if (b->open) {
        b->open = false;
        wake_all(p->run->host, b);
    }
}

void breaker_timed_out(struct run *r, struct step_id step, uint32_t attempt) {
    struct port *p = ports_find(r, step, NULL);
    while (p && p->attempt != attempt) {
        p = ports_find(r, step, p);
    }
    if (p) {
        p->timed_out = true;
    }
}

void breaker_leave(struct port *p) {
    if (p->breaker && p->timed_out && p->state == PORT_CANCELLING) {
        breaker_failed(p, 0);
    }
    if (p->breaker && p->breaker->probe == p && !MUTANT(keep_the_probe)) {
        p->breaker->probe = NULL; /* cancelled: the next that asks is the probe */
    }
    p->breaker = NULL;
}
