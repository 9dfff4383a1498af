/* Attempts that are performed: what must hold when one begins, and how each ends. Nothing happens
 * by itself: the world decides when a handler ends, the seed decides how.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

static uint64_t hash_inputs(const struct step_in *in) {
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < in->node->kind->field_count; i++) {
        value_print_canonical(in->fields[i], &b);
    }
    value_print_canonical(in->ins, &b);
    value_print_canonical(in->scope, &b);
    value_print_canonical(in->item, &b);
    buf_append(&b, in->key);
    uint64_t hash = hash_bytes(buf_str(&b), 0);
    buf_fini(&b);
    return hash ? hash : 1;
}

/* Attempts of this process: those of one that was taken for dead may still go on elsewhere. */
static void check_room(struct process *p, const struct seen_execution *x,
                       const struct seen_step *s) {
    struct world *w = p->world;
    uint32_t slots = 0;
    for (uint32_t i = 0; i < p->port_count; i++) {
        const struct open_port *o = &p->ports[i];
        slots += !(o->step->node->kind->flags & KIND_NO_SLOT);
        if (o->execution == x && o->step->rolled) {
            world_fail(w, "%.*s begins while %.*s, which was undone, is performed", STR_ARG(s->id),
                       STR_ARG(o->step->id));
        }
        if (o->step == s) {
            world_fail(w, "two attempts of %.*s are performed at once", STR_ARG(s->id));
        }
    }
    if (w->recipe->slots && slots >= w->recipe->slots && !(s->node->kind->flags & KIND_NO_SLOT)) {
        world_fail(w, "more than %u effects at once", w->recipe->slots);
    }
}

static void check_start(struct process *p, const struct step_in *in, const struct seen_execution *x,
                        struct seen_step *s) {
    struct world *w = p->world;
    char key[STEP_ID_BYTES + IO_ID_BYTES];
    snprintf(key, sizeof key, "%s/%.*s", x->id, STR_ARG(s->id));
    if (x->owner != p->serial) {
        world_fail(w, "%.*s is performed by process %u, which does not own %s", STR_ARG(s->id),
                   p->number, x->id);
    }
    if (s->over) {
        world_fail(w, "%.*s is performed again after it ended", STR_ARG(s->id));
    }
    if (!s->running || s->attempt != in->attempt) {
        world_fail(w, "attempt %u of %.*s is performed, but not recorded as scheduled", in->attempt,
                   STR_ARG(s->id));
    }
    if (!str_is(in->key, key)) {
        world_fail(w, "the key of %.*s is %.*s", STR_ARG(s->id), STR_ARG(in->key));
    }
    if (++s->starts > 1 + s->idle_starts && s->node->delivery == DELIVERY_AT_MOST_ONCE) {
        world_fail(w, "%.*s is performed twice, it is at_most_once", STR_ARG(s->id));
    }
    uint64_t hash = hash_inputs(in);
    if (s->inputs_hash && s->inputs_hash != hash) {
        world_fail(w, "attempt %u of %.*s got other inputs than the one before", in->attempt,
                   STR_ARG(s->id));
    }
    s->inputs_hash = hash;
    const struct value *given = value_get(in->inputs, STR("x"));
    if (given ? given->type != VALUE_INT || given->num != x->given : x->given != 0) {
        world_fail(w, "%.*s got other inputs than its execution has", STR_ARG(s->id));
    }
    check_room(p, x, s);
}

static struct process *process_of(struct world *w, const struct step_port *port) {
    for (uint32_t i = 0; i < w->process_count; i++) {
        if (w->processes[i].loop == port->loop) {
            return &w->processes[i];
        }
    }
    ASSERT(!"a handler of no process");
    return NULL;
}

static void add_port(struct process *p, const struct open_port *o) {
    if (p->port_count == p->port_cap) {
        p->port_cap = p->port_cap ? p->port_cap * 2 : 16;
        p->ports = realloc(p->ports, p->port_cap * sizeof *p->ports);
        ASSERT(p->ports);
    }
    p->ports[p->port_count++] = *o;
}

static struct seen_step *unknown_step(struct world *w, const struct step_in *in) {
    struct seen_step *s = ARENA_NEW(&w->arena, struct seen_step);
    world_fail(w, "a step of %.*s is performed, which is not recorded", STR_ARG(in->execution));
    *s = (struct seen_step){.id = arena_str(&w->arena, in->step), .node = in->node};
    return s;
}

void world_started(struct world *w, struct step_port *port) {
    const struct step_in *in = port->in;
    struct process *p = process_of(w, port);
    p->performing = true;
    mirror_sync(w);
    struct seen_execution *x = mirror_find(w, in->execution);
    struct seen_step *s = x ? mirror_step(w, x, in->step) : unknown_step(w, in);
    world_say(w, "%u: start %.*s attempt %u", p->number, STR_ARG(in->step), in->attempt);
    if (!p->dead && x) {
        check_start(p, in, x, s);
        budgets_started(w, x, s);
    }
    if (in->node->child) {
        return; /* its end is that of the child */
    }
    struct open_port o = {.port = port,
                          .execution = x,
                          .step = s,
                          .attempt = in->attempt,
                          .started_us = process_time(p),
                          .hangs =
                              fate_of(w->recipe, in->node, in->step, in->attempt) == FATE_HANG};
    if (!p->dead) {
        breakers_started(p, &o);
    }
    add_port(p, &o);
}

void world_cancelled(struct world *w, struct step_port *port) {
    struct process *p = process_of(w, port);
    for (uint32_t i = 0; i < p->port_count; i++) {
        if (p->ports[i].port == port) {
            p->ports[i].cancelled = true;
            world_say(w, "%u: stop %.*s", p->number, STR_ARG(port->in->step));
        }
    }
}

/* ---- ends ---- */

static struct open_port take_port(struct process *p, uint32_t i) {
    struct open_port o = p->ports[i];
    memmove(&p->ports[i], &p->ports[i + 1], (--p->port_count - i) * sizeof o);
    return o;
}

static void fail_port(const struct open_port *o, enum failure_class class) {
    struct step_failure f = {.class = class,
                             .type = class == FAILURE_TRANSIENT ? STR("flaky") : STR("broken"),
                             .message = STR("as the seed says")};
    o->port->ops->fail(o->port, &f);
}

/* A call inside the step, with its answer or without, and a line of its log. */
static void talk(struct world *w, struct open_port *o) {
    struct value_builder b;
    struct arena a;
    arena_init(&a, 0);
    value_builder_init(&b, &a);
    value_map_add(&b, STR("role"), value_text(STR("user")));
    value_map_add(&b, STR("content"), value_text(o->step->id));
    struct value said = value_map_done(&b);
    if (o->execution && budgets_kept(o->execution)) {
        budgets_settle(w, o, false, false);
        budgets_ask(w, o, said);
    } else {
        struct value known;
        uint32_t call = o->port->ops->call_begin(o->port, said, &known);
        if (value_is_null(known) && rng_chance(&w->rng, 700)) {
            o->port->ops->call_done(o->port, call, said);
        }
    }
    o->port->ops->log(o->port, "note", STR("talking"));
    arena_fini(&a);
}

static void end_port(struct process *p, uint32_t i) {
    struct world *w = p->world;
    struct open_port o = take_port(p, i);
    const struct plan_node *n = o.step->node;
    enum fate fate = fate_of(w->recipe, n, o.step->id, o.attempt);
    struct arena a;
    world_say(w, "%u: end %.*s attempt %u%s", p->number, STR_ARG(o.step->id), o.attempt,
              o.cancelled ? ", cancelled" : "");
    bool fails = fate == FATE_FAIL || fate == FATE_BREAK || fate == FATE_HANG;
    breakers_ended(w, &o, fate);
    budgets_settle(w, &o, true, fails);
    if (fails) {
        fail_port(&o, fate == FATE_BREAK ? FAILURE_PERMANENT : FAILURE_TRANSIENT);
        return;
    }
    arena_init(&a, 0);
    struct value_builder meta;
    value_builder_init(&meta, &a);
    struct value_pair used = {value_text(STR("inputTokens")), value_int(3)};
    value_map_add(&meta, STR("usage"),
                  (struct value){.type = VALUE_MAP, .extra = 1, .pairs = &used});
    struct value known = w->recipe->example.len ? example_meta(w->recipe, n, &a) : value_null();
    struct step_result r = {.handle = handle_of(w->recipe, n, o.step->id),
                            .body = body_of(w->recipe, n, o.step->id, &a),
                            .meta = value_is_null(known) ? value_map_done(&meta) : known};
    o.port->ops->done(o.port, &r);
    arena_fini(&a);
}

static bool may_end(const struct open_port *o, bool cancelled) {
    return o->cancelled == cancelled && (cancelled || !(o->hangs || o->asking));
}

static int64_t pick_port(struct process *p, bool cancelled) {
    struct world *w = p->world;
    uint32_t fitting = 0;
    for (uint32_t i = 0; i < p->port_count; i++) {
        fitting += may_end(&p->ports[i], cancelled);
    }
    uint32_t skip = fitting && !w->weather.calm ? rng_below(&w->rng, fitting) : 0;
    for (uint32_t i = 0; fitting && i < p->port_count; i++) {
        if (may_end(&p->ports[i], cancelled) && !skip--) {
            return i;
        }
    }
    return -1;
}

bool handlers_end_one(struct process *p, bool cancelled) {
    struct world *w = p->world;
    int64_t i = pick_port(p, cancelled);
    if (i < 0) {
        return false;
    }
    if (!cancelled && !w->weather.calm && rng_chance(&w->rng, w->weather.talks ? 400 : 100)) {
        talk(w, &p->ports[i]);
        return true;
    }
    end_port(p, (uint32_t)i);
    return true;
}

void handlers_end_all(void *ctx) {
    struct process *p = ctx;
    while (p->port_count) {
        struct open_port o = take_port(p, p->port_count - 1);
        fail_port(&o, FAILURE_PERMANENT);
    }
}
