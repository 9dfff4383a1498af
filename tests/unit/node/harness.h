/* A small world for a node of a compiled workflow: files from memory, values for the names in its
 * fields, a real loop, and a port that counts what the kind says and checks the rules of ports.
 */
#ifndef CAIRN_TESTS_UNIT_NODE_HARNESS_H
#define CAIRN_TESTS_UNIT_NODE_HARNESS_H

#include "flow/flow.h"
#include "groups.h"
#include "io/launcher.h"
#include "io/loop.h"
#include "net/net.h"
#include "node/node.h"

struct world_file {
    const char *path;
    const char *text;
};

struct world {
    struct arena arena;
    struct diag diag;
    struct plan *plan;
    struct io_loop *loop;
    struct io_launcher *launcher;
    struct net_client *net; /* may reach loopback */
    char folder[200];       /* a temporary one: the port's base_dir */
    struct value names;     /* map: what stands for node bodies, inputs (a map), item ... */
};

/* Opens the world with one workflow, "flow.yaml", and other files (ended by a NULL path, or NULL).
 * The plan is NULL when it does not compile; diag says why. */
void world_open(struct world *w, const char *text, const struct world_file *files);
void world_close(struct world *w);
/* Findings as text, for asserts. */
const char *world_findings(struct world *w);
/* The workflow did not compile and the findings have this part. */
void world_refused(struct world *w, const char *part);

/* One attempt of one node. */
struct attempt {
    struct step_port port; /* first: kinds get this */
    struct step_in in;
    struct world *world;
    const struct node_kind *kind;
    bool inside_start;
    uint32_t answers; /* of done and fail */
    bool done;
    struct step_result result; /* copied into the world's arena */
    struct step_failure failure;
    const struct value *known_answers; /* of an earlier attempt, for the first calls */
    uint32_t known_count;
    uint32_t calls_begun, calls_done, calls_failed, children;
    bool reserves_nothing;     /* calls wait for a budget */
    struct step_charge charge; /* of the last call that reserved */
    struct value request, answer, child_inputs;
    struct io_timer *child_timer;
    struct str chunks;
    struct value said;  /* list of {request, answer}: what history tells */
    struct str said_of; /* of whom it was asked, and at most how much */
    uint32_t said_at_most;
};

/* Evaluates the fields of the node with the world's names; index -1 and iteration 0 unless given
 * in a afterwards. Fails the test when a field cannot be evaluated. */
void attempt_init(struct attempt *a, struct world *w, const char *node);
/* kind->start, with its rules checked. */
void attempt_start(struct attempt *a);
void attempt_cancel(struct attempt *a);
/* Turns the loop until the port is answered, then until nothing is open. Asserts one answer. */
void attempt_finish(struct attempt *a);
/* start and finish. */
void attempt_run(struct attempt *a);
/* kind->eval of a pure node. */
enum err attempt_eval(struct attempt *a, struct error *e);

/* JSON of a value in the world's arena. */
const char *world_json(struct world *w, struct value v);
struct value world_value(struct world *w, const char *json);

#endif
