/* The kinds of node that come with cairn, as one table for those who put the program together.
 *
 * Nothing below cli includes this: flow, engine and host get the table as an argument, so that
 * tests and the simulator pass their own. The table and all it points to is constant.
 */
#ifndef CAIRN_NODE_NODE_H
#define CAIRN_NODE_NODE_H

#include "flow/kind.h"

/* Rows of kinds.def, in that order. */
struct kind_table node_kinds(void);

#endif
