/* Two versions of a workflow side by side: what of a node is another one in the later, and which
 * nodes read a certain input. For those who go on with a mended workflow; nothing is decided here.
 *
 * Part of flow/flow.h, which includes it.
 */
#ifndef CAIRN_FLOW_DIFFER_H
#define CAIRN_FLOW_DIFFER_H

#include "flow/plan.h"

struct flow_differ; /* both definitions, read again from the files of the plans */

/* In a, as all that it tells. The plans must outlive it. ERR_INVALID: a file is no workflow. */
enum err flow_differ_open(const struct plan *from, const struct plan *to, struct arena *a,
                          struct flow_differ **out, struct error *e) MUST_USE;
void flow_differ_close(struct flow_differ *d);
/* The keys of the node that both plans have that are not the same, files and the agent that they
 * name included: "url, needs"; empty when all of them are. Its ptr is NULL without memory. */
struct str flow_node_differs(struct flow_differ *d, struct str node);
/* Whether the node of the later plan reads that input: in an expression, a text of its agent or,
 * where a program gets all inputs, by its name. With items: the items of its foreach alone. */
bool flow_node_reads(const struct flow_differ *d, uint32_t node, struct str input, bool items);

#endif
