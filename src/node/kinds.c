/* The table of kinds, made of kinds.def: one constant descriptor per row.
 *
 * Never here: anything about a single kind. That is in the kind's own file.
 */
#include "node/node.h"

#define NODE_KIND(name) extern const struct node_kind node_##name;
#include "node/kinds.def"
#undef NODE_KIND

struct kind_table node_kinds(void) {
    static const struct node_kind *const kinds[] = {
#define NODE_KIND(name) &node_##name,
#include "node/kinds.def"
#undef NODE_KIND
    };
    return (struct kind_table){kinds, ARRAY_LEN(kinds)};
}
