/* What the kinds share: answering from a later turn of the loop, telling a failure, saving a file,
 * asking a model.
 *
 * A kind with an effect answers its port exactly once and never from inside start; these helpers
 * keep that rule for the kinds that know their answer at once. They use port->kind_data, so a kind
 * uses one of them at a time.
 */
#ifndef CAIRN_NODE_PRIV_H
#define CAIRN_NODE_PRIV_H

#include "flow/kind.h"
#include "io/place.h"
#include "llm/llm.h"

/* ---- defer.c ---- */

/* Calls then(port) once, from the next turn of the loop; it must call done or fail. Without memory
 * for a timer no answer could ever be given, so that ends the process. */
void node_defer(struct step_port *port, void (*then)(struct step_port *port));
/* For a `then` that cannot go on yet: calls it once more, later each time. False, and nothing is
 * called, when it has been NODE_WAIT_MS since the first time. */
bool node_defer_again(struct step_port *port);
#define NODE_WAIT_MS 10000
/* For a kind's cancel: `then` is not called any more; the port is closed by fail instead. */
void node_defer_cancel(struct step_port *port);
/* Tells the port that the step failed with e: its code is the type. */
void node_fail(struct step_port *port, const struct error *e);
/* Likewise from inside start: from the next turn of the loop. e is copied. */
void node_fail_later(struct step_port *port, const struct error *e);

/* ---- save.c: files that a node names ---- */

/* Where they may lie: the workflow's folder and what the process allows besides. In the attempt's
 * arena. */
struct io_bounds node_bounds(const struct step_port *port);
/* Adds to ERR_DENIED what to do. Returns the code. */
enum err node_path_error(struct error *e);
/* For a kind with save_to: replaces the file that path names and tells the port that the step is
 * done with body, meta.path being the absolute path, or that it failed. */
void node_save(struct step_port *port, struct str path, struct str text, struct value body);

/* ---- fit.c: a value against a schema ---- */

struct schema;
/* ERR_SCHEMA with every finding and its place, as far as a message holds them; what: "config". */
enum err node_fit(const struct schema *schema, struct value v, const char *what, struct arena *a,
                  struct error *e) MUST_USE;

/* ---- model.c: what a node knows of its agent; the data of the node, or a part of it ---- */

struct node_model;
struct plan_agent;

/* Checks the agent named by a literal field, its service and settings; reports. NULL then. */
const struct node_model *node_model_check(struct node_check *c, const char *field);
/* Checks params of the node's own, as far as they are known when compiling. */
void node_model_check_params(struct node_check *c, const struct node_model *m, const char *field);
const struct plan_agent *node_model_agent(const struct node_model *m);

/* An agent as it is in one execution. */
struct node_agent {
    struct llm_agent agent;
    const struct llm_service *service;
    const void *setup;
};
/* Purely from the inputs of the execution. */
enum err node_model_resolve(const struct node_model *m, const struct step_in *in,
                            struct node_agent *out, struct error *e) MUST_USE;

/* ---- service.c: names of services, see node_kind.service ---- */

void node_service_of_url(struct str url, struct buf *out);
void node_service_of_model(const struct node_model *m, const struct step_in *in, struct buf *out);

/* ---- question.c: one question to an agent, recorded as a call of the step ---- */

struct node_question {
    struct str prompt;
    struct str form;             /* how the answer must look, for a model, or empty */
    struct value params;         /* of the node, go before those of the agent; map or null */
    const struct schema *schema; /* the answer must fit it; NULL: any text */
    struct value schema_source;
};

struct node_answer {
    struct str text;
    struct value value; /* with a schema: what it checked */
    struct value meta;  /* agent, service, model, usage */
};

typedef void node_answer_fn(struct step_port *port, const struct node_answer *answer);

/* Asks. A failure is told to the port; otherwise then is called once, from a later turn, and must
 * call done or node_question_refuse. What does not fit the schema is asked for once more. */
void node_question_ask(struct step_port *port, const struct node_model *m,
                       const struct node_question *q, node_answer_fn *then);
/* The answer is not what the node can use: a failure of the step, whose next attempt asks anew. */
void node_question_refuse(struct step_port *port, const struct node_answer *answer,
                          enum failure_class class, struct str type, struct str message);
/* For a kind's cancel. */
void node_question_cancel(struct step_port *port);

/* ---- memory.c: what was said before, as the agent sees it ---- */

enum err node_memory_read(struct step_port *port, const struct plan_agent *agent,
                          const struct llm_message **out, size_t *out_count, struct error *e)
    MUST_USE;

/* ---- answer.c: JSON in the answer of a model ---- */

/* The whole text, or what stands in its first fenced block. */
enum err node_answer_parse(struct str text, struct arena *a, struct value *out, struct error *e)
    MUST_USE;
/* Parses and checks; ERR_INVALID: findings say what does not fit, in a. */
enum err node_answer_check(struct str text, const struct schema *schema, struct arena *a,
                           struct value *out, struct str *findings, struct error *e) MUST_USE;
/* What a model is told about the form of its answer. In a; an empty text without memory. */
struct str node_answer_form(struct value schema, struct arena *a);
/* What it is told when the answer did not fit. */
struct str node_answer_again(struct str findings, struct arena *a);

/* ---- on_timeout.c: for kinds that wait for somebody ---- */

/* The field on_timeout: fail, or {value: ...}; needs timeout; reports. */
void node_on_timeout_check(struct node_check *c, const char *field);
/* The value that it gives; false when it gives none. */
bool node_on_timeout(struct value on_timeout, struct value *out);
/* Nothing came (`what`: an answer, a signal) and no value is given: the handle timeout, or the
 * error. */
enum err node_timed_out(const struct step_in *in, struct value on_timeout, const char *what,
                        struct step_result *out, struct error *e) MUST_USE;

#endif
