/* cairn as a library: durable workflows inside another program.
 *
 * Open a store, register kinds of your own, submit workflows, run. One thread: every function is
 * called, and every callback comes, on the thread that calls cairn_run. Nothing here is global.
 * Functions return 0, or a number above 0 and a message in why (CAIRN_ERROR_BYTES bytes, or NULL).
 */
#ifndef CAIRN_H
#define CAIRN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAIRN_ERROR_BYTES 1200

/* The whole of it:
 *   struct cairn *c;
 *   char why[CAIRN_ERROR_BYTES];
 *   if (cairn_open("flows.db", &c, why)) { fprintf(stderr, "%s\n", why); return 1; }
 *   struct cairn_workflow *w;
 *   struct cairn_execution *x;
 *   if (cairn_load(c, "hello.yaml", &w, why) == 0 && cairn_submit(c, w, NULL, &x, why) == 0 &&
 *       cairn_run(c, why) == 0) {
 *       puts(cairn_result(x));
 *   }
 *   cairn_close(c);
 */
struct cairn;           /* a store, a loop and a host */
struct cairn_workflow;  /* a compiled workflow, valid until cairn_close */
struct cairn_execution; /* one execution in this process, valid until cairn_close */
struct cairn_step;      /* one attempt of a step of a registered kind */

/* Opens (and makes, when missing) a store: a path, sqlite:PATH or memory:. */
int cairn_open(const char *store_url, struct cairn **out, char *why);
/* Stops what runs, without recording anything more, and frees everything. NULL is fine. */
void cairn_close(struct cairn *c);
/* Steps performed at once, over all executions. Before the first submission. */
void cairn_set_slots(struct cairn *c, uint32_t slots);

/* Requests of workflows reach public addresses only, redirects included, unless more is allowed
 * before the first submission: loopback and private networks, or a host ("name", "name:port"). */
void cairn_allow_local(struct cairn *c);
int cairn_allow_host(struct cairn *c, const char *host, char *why);

/* A kind of node that the program implements. Its nodes have one field, `with`: any YAML, text
 * leaves are templates. start is called once per attempt, after the step's schedule is durable; it,
 * or something later, calls cairn_step_done or cairn_step_fail exactly once. */
struct cairn_kind {
    const char *name;
    const char *doc;
    void (*start)(struct cairn_step *s, void *ctx);
    void *ctx;
};
/* Registers a kind; before the first cairn_load. Its strings must outlive c. */
int cairn_register(struct cairn *c, const struct cairn_kind *kind, char *why);

/* The step's evaluated `with` as JSON; valid until it is done. */
const char *cairn_step_with(struct cairn_step *s);
/* "<execution>/<step>": the same for every attempt, another after a retry by hand. */
const char *cairn_step_key(struct cairn_step *s);
uint32_t cairn_step_attempt(struct cairn_step *s);
/* Ends the step with a body given as JSON (NULL: null). Invalid JSON fails the step. Of a step that
 * was cancelled meanwhile nothing is heard; it is ended all the same. After one of these two calls,
 * and after cairn_close, the step is gone. */
void cairn_step_done(struct cairn_step *s, const char *body_json);
/* Ends the attempt as failed; transient ones may be retried as the node's `retry` says. */
void cairn_step_fail(struct cairn_step *s, const char *type, const char *message, int transient);

/* Compiles a workflow file, or a text (name is used in messages; it can refer to no files). All
 * findings stand in why, as many as fit. */
int cairn_load(struct cairn *c, const char *path, struct cairn_workflow **out, char *why);
int cairn_load_text(struct cairn *c, const char *text, const char *name,
                    struct cairn_workflow **out, char *why);

/* Creates an execution; inputs_json is a map or NULL. It runs within cairn_run. */
int cairn_submit(struct cairn *c, struct cairn_workflow *w, const char *inputs_json,
                 struct cairn_execution **out, char *why);
/* Takes over an execution that no living process owns, by id. */
int cairn_resume(struct cairn *c, const char *id, struct cairn_execution **out, char *why);
/* Runs until every execution of this process has ended, or until nothing more can happen before the
 * program ends a step that it keeps (cairn_step_done): it does so and calls cairn_run again. */
int cairn_run(struct cairn *c, char *why);

/* "exec_...". */
const char *cairn_id(const struct cairn_execution *x);
/* "pending", "running", "completed", "partial", "failed", "cancelled"... as last recorded. */
const char *cairn_status(const struct cairn_execution *x);
/* finalResult as JSON, "" before the end and when there is none. */
const char *cairn_result(const struct cairn_execution *x);
/* {type, message, node, attempt} as JSON, "" when it did not fail. */
const char *cairn_error(const struct cairn_execution *x);

/* A recorded event, told after its commit. */
struct cairn_event {
    const char *execution;
    uint64_t seq;
    int64_t at_us;    /* microseconds since 1970 UTC */
    const char *type; /* "step_completed" */
    const char *step; /* "draft#2", "" for events of the execution */
};
/* Of all executions in this process, in order of seq for each; one watcher, NULL ends it. */
void cairn_subscribe(struct cairn *c, void (*event)(void *ctx, const struct cairn_event *ev),
                     void *ctx);

/* Counts since cairn_open. */
struct cairn_stats {
    uint64_t commits;
    uint64_t events;
};
void cairn_stats(const struct cairn *c, struct cairn_stats *out);

#ifdef __cplusplus
}
#endif

#endif
