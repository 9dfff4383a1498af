/* What an ask approves, for people: the arguments of the node that its answer starts.
 *
 * Nothing of it is left out in silence: what is too long to read is cut, and says so.
 */
#ifndef CAIRN_CLI_APPROVES_H
#define CAIRN_CLI_APPROVES_H

#include "base/base.h"
#include "engine/look.h"
#include "flow/plan.h"
#include "value/value.h"

/* "approves NODE with:" and a line for each argument, all behind the indent; nothing when the
 * request of the step that waits has none. */
void approves_put(struct buf *b, struct value request, const char *indent);

/* " --from ASK" for a retry of what failed since it was not approved as it would run: who approves
 * it is asked anew. Empty for other failures. */
struct str approves_from(const struct plan *p, struct engine_error why, struct arena *a);

#endif
