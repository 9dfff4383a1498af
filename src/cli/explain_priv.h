/* What the two files that collect the reasons of `explain` share: the state that is looked at, and
 * the value that is made of it piece by piece.
 */
#ifndef CAIRN_CLI_EXPLAIN_PRIV_H
#define CAIRN_CLI_EXPLAIN_PRIV_H

#include "cli/explain.h"

struct explaining {
    struct session *s;
    struct host_view v;
    struct value_builder remedies;
    struct str store; /* " --store URL" or empty */
};

/* Left out when empty, or 0. */
void explain_text(struct value_builder *b, const char *name, struct str text);
void explain_time(struct value_builder *b, const char *name, wall_us at);

/* ---- explain_more.c ---- */
/* Why a step that is ready has no slot. */
struct str explain_slots(const struct explaining *x);
/* [{node, handle, status, open}]: the edges that a join looks at. */
struct value explain_needs(const struct explaining *x, const struct plan_node *n);
/* requests: how many; inbox: [{number, request, step?, since, by?}]. */
enum err explain_inbox(struct explaining *x, struct value_builder *b, struct error *e) MUST_USE;
void explain_lease(const struct explaining *x, struct value_builder *b);
/* failures, notRun and stopped, as `results` has them. */
enum err explain_losses(struct explaining *x, struct str id, struct value_builder *b,
                        struct error *e) MUST_USE;

#endif
