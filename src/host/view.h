/* Looking at what is stored, whoever owns it: executions folded from their journals, and the
 * bundles that their plans are compiled from. Never writes.
 *
 * Part of host/host.h, which includes it.
 */
#ifndef CAIRN_HOST_VIEW_H
#define CAIRN_HOST_VIEW_H

#include "engine/engine.h"
#include "flow/flow.h"
#include "host/shelf.h"
#include "store/store.h"

/* Brings the large values of events out of a store, for event_decode. */
struct event_fetch host_fetch(struct store *s);

/* It failed because it ended every process that ran it: its journal is never folded again. */
bool host_is_quarantined(const struct store_execution *x);

/* Looking at a stored execution, whoever owns it: its plan compiled from the store and its journal
 * folded. Free both by host_view_close. ERR_QUARANTINED: not that one. */
struct host_view {
    struct store_execution stored;
    const struct plan *plan; /* of its last stretch */
    struct engine *engine;
    struct shelf shelf;
    struct arena arena;
};
enum err host_view_open(struct store *s, struct kind_table kinds, struct str id,
                        struct host_view *out, struct error *e) MUST_USE;
void host_view_close(struct host_view *v);
/* The execution that the step of a workflow node made last, in a. ERR_NOT_FOUND: none. */
enum err host_view_child(const struct host_view *v, struct store *s, const struct track *t,
                         struct arena *a, struct store_execution *out) MUST_USE;
/* The rows of steps and messages as of now, with live steps and nodes that wait. In v's arena. */
enum err host_view_rows(struct host_view *v, struct store_step **out_steps, uint32_t *out_count,
                        struct store_message **out_messages, uint32_t *out_message_count,
                        struct error *e) MUST_USE;

/* Its own budget with what all of its tree has used: a map of key to {limit, used, reserved}, usd
 * in dollars, time in seconds; null: it has none. In a. */
enum err host_view_budget(const struct host_view *v, struct store *s, wall_us now, struct arena *a,
                          struct value *out, struct error *e) MUST_USE;
/* What the folded journal makes of the execution's row; steps_upto is not set. In v's arena. */
enum err host_view_row(struct host_view *v, struct store_row *out, struct error *e) MUST_USE;

/* Stores what a plan was compiled from. */
enum err host_workflow_put(struct store *s, const struct plan *p, struct error *e) MUST_USE;
/* The bytes of the workflows table: the entry and all files of a plan, and back. */
enum err host_bundle_encode(const struct plan *p, struct buf *out, struct error *e) MUST_USE;
enum err host_bundle_compile(struct str bundle, struct str entry, struct kind_table kinds,
                             struct plan **out, struct error *e) MUST_USE;

#endif
