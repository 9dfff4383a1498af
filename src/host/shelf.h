/* Plans of stored executions, compiled from the bundles that the store has, each of them once. A
 * journal may be of several workflows, one after the other: who folds or shows it asks here for the
 * one that a stretch is of.
 *
 * Part of host/host.h, which includes it.
 */
#ifndef CAIRN_HOST_SHELF_H
#define CAIRN_HOST_SHELF_H

#include "flow/flow.h"
#include "store/store.h"

struct shelf {
    struct store *store;
    struct kind_table kinds;
    struct plan **plans;
    uint32_t count, cap;
};

void shelf_init(struct shelf *s, struct store *store, struct kind_table kinds);
/* The plan of a workflow by its hash and its entry; lives as long as the shelf. */
enum err shelf_find(struct shelf *s, struct str hash, struct str entry, const struct plan **out,
                    struct error *e) MUST_USE;
void shelf_fini(struct shelf *s);

/* Whether p is that workflow. */
bool plan_is(const struct plan *p, struct str hash, struct str entry);

#endif
