/* Reading a workflow and the inputs that a command line gives it.
 *
 * What is read here is all that is ever read of a workflow: its files go into the plan, and from
 * there into the store.
 */
#ifndef CAIRN_CLI_LOAD_H
#define CAIRN_CLI_LOAD_H

#include "cli/cli.h"
#include "flow/flow.h"

#define LOAD_STDIN_ENTRY "stdin.yaml" /* what a workflow from standard input is called */
#define LOAD_MAX_BYTES (16u << 20)    /* of one file of a workflow */

struct workflow {
    struct str path;   /* as typed; "-" is standard input */
    struct str folder; /* absolute; relative paths start here */
    struct str entry;  /* name of the file in it */
    const char *shown; /* how messages name it */
    struct plan *plan; /* NULL when it has errors */
    struct diag diag;  /* findings, in the arena of the command line */
};

/* A file of a workflow as one would type it here: below the current folder without that. A copy. */
struct str load_shown(struct cli *c, struct str folder, struct str file);

/* Reads and compiles. ERR_INVALID: diag says why. Any other error is reported. Free by
 * workflow_close. */
enum err workflow_open(struct cli *c, const char *path, struct kind_table kinds,
                       struct workflow *out) MUST_USE;
void workflow_close(struct workflow *w);

/* The values given by -i, as they were given; mistakes are reported. ERR_USAGE, ERR_NOMEM. */
enum err load_given(struct cli *c, struct flow_input **out, size_t *out_count) MUST_USE;
/* Environment variables that the workflow lists, as they are now: recorded, so that a later owner
 * sees the same. Reported. */
enum err load_env(struct cli *c, const struct plan *p, struct value *out) MUST_USE;
/* Inputs checked against a workflow; reported. ERR_INVALID, ERR_NOMEM. */
enum err load_inputs_as(struct cli *c, const struct plan *p, const struct flow_input *items,
                        size_t count, struct value *out) MUST_USE;
/* The inputs given by -i, checked against the workflow; reported. ERR_INVALID, ERR_USAGE... */
enum err load_inputs(struct cli *c, const struct workflow *w, struct value *out) MUST_USE;

#endif
