/* The compile-time view of one node that node_kind.check gets: what stands in its fields, and what
 * it may declare: handles, effects, files, a sub-workflow, data of its own.
 *
 * Part of flow/kind.h, which includes it. It is asked before the graph is known, so fields with
 * expressions have no value here.
 */
#ifndef CAIRN_FLOW_KIND_CHECK_H
#define CAIRN_FLOW_KIND_CHECK_H

#include "base/base.h"
#include "value/value.h"

struct expr;
struct node_check;
struct plan_agent;

/* A field is given. */
bool check_has(const struct node_check *c, const char *field);
/* Literal value of a field (null when not given or not a constant). */
struct value check_literal(const struct node_check *c, const char *field);
/* A field as it is written, the text of templates and expressions included. */
struct value check_written(const struct node_check *c, const char *field);
/* Compiles the text under a key of a FIELD_VALUE field as an expression that knows only these names
 * (NULL-terminated; a name's slot is its index). NULL when it is not given or was reported. */
const struct expr *check_expression(struct node_check *c, const char *field, const char *key,
                                    const char *const *names);
/* Where the field's value stands (the node's mark when absent). */
struct mark check_mark(const struct node_check *c, const char *field);
/* First character of a text field's content: for block scalars the first line's. */
struct mark check_content_mark(const struct node_check *c, const char *field);
/* Declares a normal handle of this node instead of the kind's own list. */
void check_handle(struct node_check *c, struct str name);
/* Declares `out` or `timeout` beside handles of the node's own, or instead of any. */
void check_exit(struct node_check *c, const char *name);
/* The literal text of the field names a node that runs when this node's time passes; reports. */
void check_timeout_node(struct node_check *c, const char *field);
/* Likewise a node whose arguments this one, which asks, shows and binds; checked with the graph. */
void check_approval(struct node_check *c, const char *field);
/* The node has a timeout of its own; it runs once per item. */
bool check_has_timeout(const struct node_check *c);
bool check_is_foreach(const struct node_check *c);
/* It may run more than once: it has a foreach, or another node is of its kind and has the same text
 * in this field. */
bool check_repeats(const struct node_check *c, const char *field);
/* Modules that the workflow names under `preload`; each text ends with NUL. */
const struct str *check_preload(const struct node_check *c, uint32_t *out_count);
/* This node is an effect although its kind is pure (condition by an agent, save_to). */
void check_effect(struct node_check *c);
/* Reads a file of the workflow (relative to its folder); reports and returns false on failure. */
bool check_read_file(struct node_check *c, const char *field, struct str path, struct str *out);
/* Makes the text of the file named by the literal `field` the value of the template field `target`,
 * as if it stood there; reports and leaves it alone on failure. */
void check_template_file(struct node_check *c, const char *field, const char *target);
/* The agent named by a literal field exists; reports otherwise. Index into plan->agents or -1. */
int check_agent(struct node_check *c, const char *field);
/* That agent as the workflow describes it, NULL for -1. */
const struct plan_agent *check_agent_get(const struct node_check *c, int index);
/* Compiles the sub-workflow named or written inline by a field; reports. */
void check_child(struct node_check *c, const char *field);
/* Reports a finding at a field. */
void check_error(struct node_check *c, const char *field, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* There was no memory for something else than the plan's arena: nothing is reported. */
void check_no_memory(struct node_check *c);
/* Reports a finding at an agent (index from check_agent), once however many nodes find it. */
void check_agent_error(struct node_check *c, int index, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Memory that lives as long as the plan, and a place for the kind's own compiled data. */
struct arena *check_arena(struct node_check *c);
void check_set_data(struct node_check *c, const void *data);

#endif
