/* A stored execution with its steps and messages, whoever runs it and whether or not it has ended.
 * What is read is one moment: rows that lag behind the journal are made anew from it. Only looks:
 * nothing here writes to a store.
 */
#ifndef CAIRN_CLI_DETAILS_H
#define CAIRN_CLI_DETAILS_H

#include "cli/session.h"

struct details {
    struct store_execution stored;
    struct store_step *steps;
    uint32_t step_count;
    struct store_message *messages;
    uint32_t message_count;
    struct str parent; /* id of the parent execution or empty */
    wall_us now;
    struct value budget;  /* as of host_view_budget */
    struct value undo;    /* as of undone_value */
    struct str file;      /* where the workflow of one that failed lies, or empty */
    struct str canceller; /* who cancelled one that had failed, or empty; and when */
    wall_us cancelled;
    const struct plan *plan; /* NULL when it could not be compiled here */
    struct shelf shelf;      /* plan is in it, or in view */
    struct host_view view;   /* where the rows lag behind the journal */
};

/* Reads it: rows, or the folded journal where they lag. Free by details_close, also after an
 * error (returned, not reported). */
enum err details_open(struct session *s, struct str id, struct details *out, struct error *e)
    MUST_USE;
void details_close(struct details *d);
/* The newest request to cancel it that its journal has, with who asked; kind 0: none. */
enum err details_cancel(struct store *s, const struct store_execution *x, struct arena *a,
                        struct event *out, struct error *e) MUST_USE;

/* The status as it really is: "interrupted" when it should be run by somebody and is by nobody. */
struct str details_status(const struct store_execution *x);
/* Microseconds from start to end, or to now; -1 when not started. */
int64_t details_duration(const struct store_execution *x, wall_us now);
/* The execution as interfaces.md has it; details may be NULL: without outputs and steps. */
struct value details_json(struct arena *a, const struct store_execution *x, wall_us now,
                          const struct details *d);
/* Sums of the steps: {inputTokens, outputTokens, cachedTokens, llmCalls}, null without any;
 * *out_cost_usd is negative when no step names a cost. */
struct value details_usage(const struct details *d, struct arena *a, double *out_cost_usd);
/* A JSON column as a value; null when empty or broken. */
struct value details_value(struct arena *a, struct str json);
/* A rollback went back behind it: it no longer counts. */
bool details_step_undone(const struct store_step *x);
/* Text of a field of a JSON map, or empty. */
struct str details_text(struct value map, const char *name);

#endif
