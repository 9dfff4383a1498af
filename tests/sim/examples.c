/* The workflows in examples/, with their own kinds of node: what is pure, asks or waits is as it
 * is, what reaches outside is a handler of the simulator whose end the world chooses. What it gives
 * stands in examples.def.
 */
#include <glob.h>
#include <stdio.h>

#include "io/file.h"
#include "node/node.h"
#include "sim.h"

#define MOST_KINDS 40
#define MOST_FILE_BYTES 1000000

static struct node_kind kinds[MOST_KINDS];
static const struct node_kind *kind_list[MOST_KINDS];

static void start(const struct step_in *in, struct step_port *port) {
    struct kind_table real = node_kinds();
    world_started(world_now(), port);
    if (in->node->child) {
        kind_find(&real, str_from(in->node->kind->name))->start(in, port);
    }
}

static void cancel(struct step_port *port) { world_cancelled(world_now(), port); }

/* Each kind, its handler replaced. None runs programs, so none is looked for when it is taken over:
 * that would be done among the processes of this machine. */
static struct kind_table simulated(void) {
    struct kind_table real = node_kinds();
    ASSERT(real.count <= MOST_KINDS);
    for (size_t i = 0; i < real.count; i++) {
        kinds[i] = *real.kinds[i];
        kinds[i].flags &= ~(uint32_t)KIND_PROGRAM;
        if (kinds[i].start) {
            kinds[i].start = start;
            kinds[i].cancel = cancel;
        }
        kind_list[i] = &kinds[i];
    }
    return (struct kind_table){kind_list, real.count};
}

/* ---- what the effects give ---- */

static const struct {
    const char *example, *node, *bodies, *meta;
} rows[] = {
#define BODY(example, node, bodies) {example, node, bodies, NULL},
#define META(example, node, meta) {example, node, NULL, meta},
#include "examples.def"
#undef BODY
#undef META
};

/* JSON, in which ' stands for ". */
static struct value parse(const char *text, struct arena *a) {
    struct value v = value_null();
    struct error e;
    struct str json = arena_str(a, str_from(text));
    char *bytes = (char *)(uintptr_t)json.ptr;
    for (size_t i = 0; i < json.len; i++) {
        bytes[i] = bytes[i] == '\'' ? '"' : bytes[i];
    }
    ASSERT(!value_parse_json(a, json, &v, &e));
    return v;
}

/* k of NODE#k..., 0 without. */
static uint64_t iteration_of(struct str step) {
    size_t at = str_find(step, STR("#"), 0);
    uint64_t n = 0;
    for (size_t i = at + 1;
         at != SIZE_MAX && i < step.len && step.ptr[i] >= '0' && step.ptr[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(step.ptr[i] - '0');
    }
    return n;
}

struct value example_body(const struct recipe *r, const struct plan_node *n, struct str step,
                          struct arena *a) {
    uint64_t iteration = iteration_of(step);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].bodies && str_is(r->example, rows[i].example) &&
            str_is(n->name, rows[i].node)) {
            struct value list = parse(rows[i].bodies, a);
            uint64_t last = value_count(list) - 1;
            return list.items[iteration < last ? iteration : last];
        }
    }
    return value_null();
}

struct value example_meta(const struct recipe *r, const struct plan_node *n, struct arena *a) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].meta && str_is(r->example, rows[i].example) && str_is(n->name, rows[i].node)) {
            return parse(rows[i].meta, a);
        }
    }
    return value_null();
}

/* ---- the files ---- */

enum err example_read(struct str path, struct arena *a, struct str *out, struct error *e) {
    struct str full = arena_printf(a, "examples/%.*s", STR_ARG(path));
    return io_file_read(full.ptr, MOST_FILE_BYTES, a, out, e);
}

static const struct flow_input given[] = {
    {.name = {"api", 3}, .is_text = true, .value = {.type = VALUE_NULL}}};

/* How many attempts a crash adds is told by what it comes to. */
static bool tells_attempts(struct str example) { return str_is(example, "retry"); }

static void example_of(const char *path, struct arena *a, struct fixed *out) {
    struct str entry = str_sub(str_from(path), strlen("examples/"), SIZE_MAX);
    struct str name = arena_str(a, str_sub(entry, 0, entry.len - strlen(".yaml")));
    *out = (struct fixed){.name = arena_printf(a, "example %.*s", STR_ARG(name)).ptr,
                          .recipe = {.seed = 5,
                                     .entry = arena_str(a, entry),
                                     .example = name,
                                     .kinds = simulated(),
                                     .completes = true,
                                     .differs = tells_attempts(name)}};
}

uint32_t examples_find(struct arena *a, struct fixed **out) {
    glob_t found;
    if (glob("examples/*.yaml", 0, NULL, &found) != 0) {
        return 0;
    }
    *out = ARENA_ARRAY(a, found.gl_pathc, struct fixed);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        example_of(found.gl_pathv[i], a, &(*out)[i]);
    }
    uint32_t count = (uint32_t)found.gl_pathc;
    globfree(&found);
    return count;
}

enum err example_inputs(const struct recipe *r, const struct plan *p, struct arena *a,
                        struct value *out, struct diag *d) {
    struct flow_input list[ARRAY_LEN(given)];
    bool asks = str_is(r->example, "api-pipeline");
    list[0] = given[0];
    list[0].value = value_text(STR("http://sim"));
    return flow_inputs(p, list, asks ? 1 : 0, a, out, d);
}
