/* A host for the golden journals: a clock of its own, and effects that end as their `act` says:
 *   (none)     done with the value            flaky    fails the first time, then done
 *   broken     fails for good                 talk     calls, a process, usage; a conversation
 *   types      a list of every type           large    a body that is a blob
 *   hang       until told to stop; then it is done, with usage
 */
#include "golden.h"

#include <stdio.h>

#include "kinds.h"

static struct golden_world *world;
wall_us golden_now = {INT64_C(1700000000123456)};

static wall_us read_wall(void *ctx) {
    (void)ctx;
    return golden_now;
}

static mono_ns read_mono(void *ctx) {
    (void)ctx;
    return (mono_ns){golden_now.us * 1000};
}

static void read_random(void *ctx, void *out, size_t size_bytes) {
    static uint64_t state = 42;
    (void)ctx;
    for (size_t i = 0; i < size_bytes; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(state >> 56);
    }
}

const struct io_clock golden_clock = {NULL, read_wall, read_mono, read_random};

static void started(struct step_port *port) {
    ASSERT(world->count < GOLDEN_PORTS);
    world->cancelled[world->count] = false;
    world->ports[world->count++] = port;
}

static void cancelled(struct step_port *port) {
    for (uint32_t i = 0; i < world->count; i++) {
        world->cancelled[i] = world->cancelled[i] || world->ports[i] == port;
    }
}

/* ---- ends ---- */

static struct value map_of(struct arena *a, const char *first, struct value one, const char *second,
                           struct value two) {
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, str_from(first), one);
    value_map_add(&b, str_from(second), two);
    return value_map_done(&b);
}

static struct value every_type(struct arena *a) {
    struct value_builder b;
    struct value lossy = value_double(1e30);
    lossy.flags = VALUE_LOSSY;
    value_builder_init(&b, a);
    value_list_add(&b, value_null());
    value_list_add(&b, value_bool(true));
    value_list_add(&b, value_int(INT64_MIN));
    value_list_add(&b, value_uint(UINT64_MAX));
    value_list_add(&b, value_double(3.0));
    value_list_add(&b, lossy);
    value_list_add(&b, value_text(STR("caf\xc3\xa9 \xf0\x9f\x8c\xb2")));
    value_list_add(&b, value_bytes(STR("\x00\xff")));
    value_list_add(&b, value_timestamp(1700000000, 5));
    value_list_add(&b, value_duration(-1, -500000000));
    value_list_add(&b, map_of(a, "z", value_int(1), "a", value_list(NULL, 0)));
    return value_list_done(&b);
}

static struct value large(struct arena *a) {
    enum { BYTES = 40000 };
    char *text = arena_alloc(a, BYTES);
    ASSERT(text);
    for (size_t i = 0; i < BYTES; i++) {
        text[i] = (char)('a' + i % 23);
    }
    return value_text((struct str){text, BYTES});
}

static void talk(struct step_port *port, struct arena *a) {
    struct value asked =
        map_of(a, "role", value_text(STR("user")), "content", value_text(STR("How are you?")));
    struct value said =
        map_of(a, "role", value_text(STR("assistant")), "content", value_text(STR("Fine.")));
    port->ops->process(port, 4711, 123456789);
    uint32_t call = port->ops->call_begin(port, asked, &(struct value){0});
    port->ops->call_done(port, call, said);
}

static void fail_step(struct step_port *port, enum failure_class class, const char *type,
                      struct value meta) {
    struct step_failure f = {
        .class = class, .type = str_from(type), .message = STR("as its node says"), .meta = meta};
    port->ops->fail(port, &f);
}

static void end_step(struct step_port *port) {
    const struct step_in *in = port->in;
    struct str act = in->fields[1].type == VALUE_TEXT ? value_str(in->fields[1]) : STR("");
    struct arena a;
    arena_init(&a, 0);
    struct value usage = map_of(&a, "usage", value_int(7), "model", value_text(STR("none")));
    struct step_result r = {.body = in->fields[0]};
    if (str_is(act, "broken") || (str_is(act, "flaky") && in->attempt == 1)) {
        enum failure_class class = str_is(act, "flaky") ? FAILURE_TRANSIENT : FAILURE_PERMANENT;
        fail_step(port, class, act.ptr, usage);
    } else {
        if (str_is(act, "talk")) {
            talk(port, &a);
            r.conversation = true;
        }
        r.meta = str_is(act, "talk") || str_is(act, "hang") ? usage : value_null();
        r.body = str_is(act, "types") ? every_type(&a) : str_is(act, "large") ? large(&a) : r.body;
        port->ops->done(port, &r);
    }
    arena_fini(&a);
}

static bool hangs(const struct golden_world *w, uint32_t i) {
    const struct value *act = &w->ports[i]->in->fields[1];
    return act->type == VALUE_TEXT && str_is(value_str(*act), "hang") && !w->cancelled[i];
}

static bool end_one(struct golden_world *w) {
    for (uint32_t i = 0; i < w->count; i++) {
        if (!hangs(w, i)) {
            struct step_port *port = w->ports[i];
            w->count--;
            memmove(&w->ports[i], &w->ports[i + 1], (w->count - i) * sizeof *w->ports);
            memmove(&w->cancelled[i], &w->cancelled[i + 1], (w->count - i) * sizeof(bool));
            end_step(port);
            return true;
        }
    }
    return false;
}

/* ---- the host ---- */

static void end_all(void *ctx) {
    (void)ctx;
    while (end_one(world)) {}
}

static void lost(void *ctx, struct run *r, const struct error *e) {
    (void)ctx;
    fprintf(stderr, "execution %.*s was given up: %s\n", STR_ARG(run_id(r)), e->message);
    ASSERT(!r);
}

void golden_world_open(struct golden_world *w, struct store *s) {
    struct error e;
    *w = (struct golden_world){0};
    world = w;
    golden_hooks = (struct golden_hooks){started, cancelled};
    ASSERT(io_loop_open(&golden_clock, &w->loop, &e) == OK);
    struct host_options o = {
        .store = s, .loop = w->loop, .kinds = golden_kinds, .observer = {.lost = lost}};
    ASSERT(host_open(&o, &w->host, &e) == OK);
}

/* As a process that dies: what it performs ends without being heard. */
void golden_world_close(struct golden_world *w) {
    struct io_timer *later = io_timer_open(w->loop, end_all, NULL);
    io_timer_start(later, 1);
    host_close(w->host);
    io_timer_close(later);
    io_loop_close(w->loop);
}

void golden_act(struct golden_world *w) {
    uint32_t idle = 0;
    while (idle < 5) {
        struct error e;
        bool busy;
        wall_us due;
        ASSERT(host_turn(w->host, false, &busy, &e) == OK);
        golden_now.us += 1000;
        if (end_one(w)) {
            idle = 0;
        } else if (host_next_due(w->host, &due) && due.us < golden_now.us + 60000000) {
            golden_now.us = due.us > golden_now.us ? due.us : golden_now.us; /* retries */
            idle++;
        } else {
            idle++;
        }
    }
}
