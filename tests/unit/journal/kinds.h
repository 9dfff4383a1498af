/* The kinds of node that the workflows of the golden journals use. FROZEN with the first release:
 * names, fields, handles, flags. A stored workflow must compile against this table for ever.
 */
#ifndef CAIRN_TESTS_UNIT_JOURNAL_KINDS_H
#define CAIRN_TESTS_UNIT_JOURNAL_KINDS_H

#include "flow/flow.h"

extern const struct kind_table golden_kinds;

/* What the effects do when they are performed: set by record.c and golden.c. */
struct golden_hooks {
    void (*start)(struct step_port *port);
    void (*cancel)(struct step_port *port);
};
extern struct golden_hooks golden_hooks;

#endif
