/* Kinds of node for the simulator. Pure ones compute; effects only note that they were started, and
 * the world decides when they end. How they end is a function of the seed and the step id.
 *
 * Names that begin with flaky, broken or hang have that fate whatever the seed says.
 */
#include <stdio.h>

#include "sim.h"

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    world_started(world_now(), port);
}

/* Some nodes share a service, whatever it comes to. */
static void service(const struct step_in *in, struct buf *out) {
    buf_printf(out, "s%u", (unsigned)(hash_bytes(in->node->name, 11) % 2));
}

static void cancel(struct step_port *port) { world_cancelled(world_now(), port); }

static enum err give_field(const struct step_in *in, struct step_result *out, struct error *e) {
    (void)e;
    out->body = in->fields[0];
    return OK;
}

static enum err choose(const struct step_in *in, struct step_result *out, struct error *e) {
    if (in->fields[0].type != VALUE_BOOL) {
        return error_set(e, ERR_EXPRESSION, "when must be a bool");
    }
    out->body = in->fields[0];
    out->handle = in->fields[0].boolean ? STR("true") : STR("false");
    return OK;
}

static void start_child(const struct step_in *in, struct step_port *port) {
    world_started(world_now(), port);
    port->ops->child(port, in->fields[1]);
}

static void kid_check(struct node_check *c) { check_child(c, "workflow"); }

static void nap_check(struct node_check *c) {
    if (check_has(c, "on_timeout")) {
        check_timeout_node(c, "on_timeout");
    }
}

static enum err nap_wait(const struct step_in *in, wall_us now, struct step_wait *out,
                         struct error *e) {
    (void)e;
    out->due.us = now.us + 1 + (int64_t)(hash_bytes(in->step, 7) % 4000000);
    return OK;
}

/* With on_timeout its time never passes well. */
static enum err nap_woken(const struct step_in *in, const struct step_wake *w,
                          struct step_result *out, struct error *e) {
    if (w->aided) {
        out->body = w->answer;
        return OK;
    }
    if (!w->answered && in->node->aux[ROLE_ON_TIMEOUT] >= 0) {
        return error_set(e, ERR_TIMEOUT, "nobody woke it");
    }
    if (w->answered) {
        return error_set(e, ERR_INVALID, "it waits for its time");
    }
    out->body = body_of(world_now()->recipe, in->node, in->step, out->arena);
    return OK;
}

static void person_check(struct node_check *c) { check_approval(c, "approves"); }

static enum err person_wait(const struct step_in *in, wall_us now, struct step_wait *out,
                            struct error *e) {
    struct value_builder b;
    (void)in;
    (void)now;
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("for"), value_text(STR("answer")));
    out->request = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

/* Whoever answers, the body is the same; who it was must be known once. */
static enum err person_woken(const struct step_in *in, const struct step_wake *w,
                             struct step_result *out, struct error *e) {
    struct value_builder b;
    if (w->answer.type != VALUE_TEXT || !str_is(value_str(w->answer), "yes")) {
        return error_set(e, ERR_INVALID, "only yes will do");
    }
    out->body = body_of(world_now()->recipe, in->node, in->step, out->arena);
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("answeredBy"), value_text(w->by));
    if (w->kept) {
        value_map_add(&b, STR("answer"), value_int(w->kept));
    }
    out->meta = value_map_done(&b);
    return OK;
}

static enum err hear_wait(const struct step_in *in, wall_us now, struct step_wait *out,
                          struct error *e) {
    struct value_builder b;
    (void)now;
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("for"), value_text(STR("signal")));
    value_map_add(&b, STR("signal"), value_text(signal_of(in->node)));
    out->request = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

/* Whatever the signal says, the body is the same. */
static enum err hear_woken(const struct step_in *in, const struct step_wake *w,
                           struct step_result *out, struct error *e) {
    struct value_builder b;
    if (!w->signal) {
        return error_set(e, ERR_INVALID, "it waits for a signal");
    }
    out->body = body_of(world_now()->recipe, in->node, in->step, out->arena);
    value_builder_init(&b, out->arena);
    value_map_add(&b, STR("signal"), value_int(w->signal));
    out->meta = value_map_done(&b);
    return b.ok ? OK : error_nomem(e);
}

static const char *const both[] = {"true", "false", NULL};
static const char *const work_aliases[] = {"foreach_work", NULL};
static const char *const calc_aliases[] = {"foreach_calc", NULL};
static const struct field note[] = {
    {.name = "note", .type = FIELD_TEMPLATE, .doc = "is evaluated and kept"}};
static const struct field nap_fields[] = {
    {.name = "note", .type = FIELD_TEMPLATE, .doc = "is evaluated and kept"},
    {.name = "on_timeout",
     .type = FIELD_LITERAL,
     .literal = LITERAL_TEXT,
     .doc = "the node that runs when its time is over"}};
static const struct field person_fields[] = {
    {.name = "note", .type = FIELD_TEMPLATE, .doc = "is evaluated and kept"},
    {.name = "approves", .type = FIELD_LITERAL, .literal = LITERAL_TEXT, .doc = "what follows"}};
static const struct field value[] = {
    {.name = "value", .type = FIELD_EXPRESSION, .required = true, .doc = "the body"}};
static const struct field when[] = {
    {.name = "when", .type = FIELD_EXPRESSION, .required = true, .doc = "decides"}};
static const struct field kid_fields[] = {
    {.name = "workflow", .type = FIELD_VALUE, .required = true, .doc = "what is run"},
    {.name = "inputs", .type = FIELD_EXPRESSION, .doc = "what it is given"}};

static const struct node_kind work = {.name = "work",
                                      .aliases = work_aliases,
                                      .doc = "an effect",
                                      .body_doc = "a map",
                                      .fields = note,
                                      .field_count = 1,
                                      .flags = KIND_SCOPE,
                                      .start = start,
                                      .service = service,
                                      .cancel = cancel};
static const struct node_kind decide = {.name = "decide",
                                        .doc = "an effect that chooses",
                                        .body_doc = "its choice",
                                        .handles = both,
                                        .flags = KIND_ANY_EXIT,
                                        .start = start,
                                        .cancel = cancel};
static const struct node_kind calc = {.name = "calc",
                                      .aliases = calc_aliases,
                                      .doc = "pure",
                                      .body_doc = "the value",
                                      .fields = value,
                                      .field_count = 1,
                                      .flags = KIND_PURE,
                                      .eval = give_field};
static const struct node_kind pure_choice = {.name = "select",
                                             .doc = "chooses by an expression",
                                             .body_doc = "true or false",
                                             .fields = when,
                                             .field_count = 1,
                                             .handles = both,
                                             .flags = KIND_PURE | KIND_ANY_EXIT,
                                             .eval = choose};
static const struct node_kind end = {.name = "end",
                                     .doc = "the result",
                                     .body_doc = "the value",
                                     .fields = value,
                                     .field_count = 1,
                                     .flags = KIND_PURE | KIND_END,
                                     .eval = give_field};
static const struct node_kind kid = {.name = "kid",
                                     .doc = "a sub-workflow",
                                     .body_doc = "its result",
                                     .fields = kid_fields,
                                     .field_count = 2,
                                     .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
                                     .check = kid_check,
                                     .start = start_child};

static const struct node_kind nap = {.name = "nap",
                                     .doc = "lets time pass",
                                     .body_doc = "a map",
                                     .fields = nap_fields,
                                     .field_count = ARRAY_LEN(nap_fields),
                                     .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
                                     .check = nap_check,
                                     .wait = nap_wait,
                                     .woken = nap_woken};
static const struct node_kind person = {.name = "person",
                                        .doc = "waits for a yes",
                                        .body_doc = "a map",
                                        .fields = person_fields,
                                        .field_count = ARRAY_LEN(person_fields),
                                        .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT | KIND_ASKS,
                                        .check = person_check,
                                        .wait = person_wait,
                                        .woken = person_woken};

static const struct node_kind hear = {.name = "hear",
                                      .doc = "waits for a signal",
                                      .body_doc = "a map",
                                      .fields = note,
                                      .field_count = 1,
                                      .flags = KIND_NO_SLOT | KIND_NO_TIMEOUT,
                                      .wait = hear_wait,
                                      .woken = hear_woken};

static const struct node_kind *const rows[] = {&work, &decide, &calc,   &pure_choice, &end,
                                               &kid,  &nap,    &person, &hear};
const struct kind_table sim_kinds = {rows, ARRAY_LEN(rows)};

/* What a rollback makes run anew ends as it did; after a retry something else may come of it. */
static struct str lasting(struct str step) {
    size_t len = 0;
    while (len < step.len && step.ptr[len] != '~') {
        len++;
    }
    return world_now()->may_retry ? step : str_sub(step, 0, len);
}

static uint64_t hash_of(const struct recipe *r, struct str step, uint64_t salt) {
    return hash_bytes(lasting(step), r->seed * 31 + salt);
}

/* How many attempts fail before one does not: less than the node's own retries allow. */
static uint32_t failures_of(const struct plan_node *n, uint64_t hash) {
    return n->retry.attempts > 1 ? 1 + (uint32_t)(hash >> 8) % (n->retry.attempts - 1) : 0;
}

enum fate fate_of(const struct recipe *r, const struct plan_node *n, struct str step,
                  uint32_t attempt) {
    uint64_t hash = hash_of(r, step, 1);
    uint32_t roll = (uint32_t)(hash % 1000);
    bool may_hang = n->timeout_us > 0;
    if (str_starts(n->name, STR("hang"))) {
        return FATE_HANG;
    }
    if (str_starts(n->name, STR("broken")) || roll < r->broken_permille) {
        return may_hang && (hash >> 20) % 3 == 0 ? FATE_HANG
               : (hash >> 24) % 2                ? FATE_FAIL
                                                 : FATE_BREAK;
    }
    bool flaky = str_starts(n->name, STR("flaky")) || roll < r->broken_permille + r->flaky_permille;
    if (flaky && attempt <= failures_of(n, hash)) {
        return may_hang && (hash >> 20) % 2 == 0 ? FATE_HANG : FATE_FAIL;
    }
    return FATE_DONE;
}

struct str handle_of(const struct recipe *r, const struct plan_node *n, struct str step) {
    uint32_t roll = (uint32_t)(hash_of(r, step, 2) % 100);
    if (n->handle_count < 2) {
        return STR("");
    }
    return roll < 60 ? STR("true") : STR("false");
}

#define LARGE_BYTES 40000u

struct value body_of(const struct recipe *r, const struct plan_node *n, struct str step,
                     struct arena *a) {
    uint64_t hash = hash_of(r, step, 3);
    struct value_builder b;
    if (r->example.len) {
        return example_body(r, n, step, a);
    }
    if (n->handle_count > 1) {
        return value_text(handle_of(r, n, step));
    }
    value_builder_init(&b, a);
    value_map_add(&b, STR("n"), value_int((int64_t)(hash % 1000)));
    value_map_add(&b, STR("step"), value_text(arena_str(a, lasting(step))));
    char *large = (hash >> 12) % 60 == 0 ? arena_alloc(a, LARGE_BYTES) : NULL;
    if (large) {
        memset(large, 'a' + (int)(hash % 26), LARGE_BYTES);
        value_map_add(&b, STR("large"), value_text((struct str){large, LARGE_BYTES}));
    }
    return value_map_done(&b);
}
