/* What the files that collect the reasons of `explain` share: the state that is looked at, and the
 * value that is made of it piece by piece.
 */
#ifndef CAIRN_CLI_EXPLAIN_PRIV_H
#define CAIRN_CLI_EXPLAIN_PRIV_H

#include "cli/explain.h"

struct explaining {
    struct session *s;
    struct host_view v;
    struct value_builder remedies;
    struct value slots; /* as of explain_slots */
    struct str store;   /* " --store URL" or empty */
};

/* Left out when empty, or 0. */
void explain_text(struct value_builder *b, const char *name, struct str text);
void explain_time(struct value_builder *b, const char *name, wall_us at);

/* What the node still needs: the nodes it needs that are not at an end; or empty. */
struct str explain_open_needs(const struct explaining *x, const struct plan_node *n);

/* ---- explain_limits.c ---- */
/* [{service, state: closed, open or half-open, failures, since?, nextProbe?, holds: [step], probes:
 * [step]}]: of each service for which a step that has not ended was held back. */
struct value explain_breakers(const struct explaining *x);
/* By key {limit, used, reserved, asked, askedBy: [step], of}: of all budgets that count, that which
 * leaves least; null: there is none. */
enum err explain_budget(const struct explaining *x, struct value *out, struct error *e) MUST_USE;
/* {limit or null, used, holders: [step], waiting: [node]}; null once it has ended. */
struct value explain_slots(const struct explaining *x);
/* "a slot: 2 of 2 in use, by a, b". */
struct str explain_slots_text(const struct explaining *x, struct value slots);

/* ---- explain_more.c ---- */
/* [{node, handle, status, open}]: the edges that a join looks at. */
struct value explain_needs(const struct explaining *x, const struct plan_node *n);
/* requests: how many; inbox: [{number, request, step?, since, by?}]. */
enum err explain_inbox(const struct explaining *x, struct value_builder *b, struct error *e)
    MUST_USE;
void explain_lease(const struct explaining *x, struct value_builder *b);
/* failures, notRun and stopped, as `results` has them; id empty: it has not ended. */
enum err explain_losses(struct explaining *x, struct str id, struct value_builder *b,
                        struct error *e) MUST_USE;

#endif
