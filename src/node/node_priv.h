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

/* ---- model.c: one question to an agent, recorded as a call of the step ---- */

struct node_model; /* what a node knows of its agent; the data of the node */

/* Checks the agent named by a literal field, its service and settings; reports. NULL then. */
const struct node_model *node_model_check(struct node_check *c, const char *field);
/* Asks. A failure is told to the port; otherwise then(port, text, meta) is called once, from a
 * later turn, and must call done or fail. meta: agent, service, model, usage. */
void node_model_ask(struct step_port *port, const struct node_model *m, struct str prompt,
                    void (*then)(struct step_port *port, struct str text, struct value meta));
/* For a kind's cancel. */
void node_model_cancel(struct step_port *port);

/* ---- on_timeout.c: for kinds that wait for somebody ---- */

/* The field on_timeout: fail, or {value: ...}; needs timeout; reports. */
void node_on_timeout_check(struct node_check *c, const char *field);
/* The value that it gives; false when it gives none. */
bool node_on_timeout(struct value on_timeout, struct value *out);
/* Nothing came and no value is given: the handle timeout, or the error. */
enum err node_timed_out(const struct step_in *in, struct value on_timeout, struct step_result *out,
                        struct error *e) MUST_USE;

#endif
