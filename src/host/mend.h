/* What it means to go on with another workflow or other inputs: which nodes run anew by their
 * definition, and what a retry would come to, told before it is made.
 *
 * Part of host/host.h, which includes it.
 */
#ifndef CAIRN_HOST_MEND_H
#define CAIRN_HOST_MEND_H

#include "host/view.h"

enum mend_fate {
    MEND_KEPT,     /* its result is kept */
    MEND_ITEMS,    /* of its foreach the completed items are */
    MEND_ANEW,     /* it ran, and runs anew */
    MEND_OPEN,     /* it did not run so far */
    MEND_GONE,     /* the new workflow has no such node */
    MEND_UNCALLED, /* it belongs to another node, which had no need of it so far: not told */
};

struct mend_node {
    struct str name;
    enum mend_fate fate;
    struct str differs; /* keys of its definition that do: "url, needs" */
    struct str reads;   /* inputs that changed and that it reads */
};

struct mend {
    struct mend_node *nodes; /* of the new workflow in file order, then those that are gone */
    uint32_t count;
};

struct host_retry;
/* What host_retry would do with the execution, whose state is no more of use afterwards. In v's
 * arena. ERR_CONFLICT, ERR_INVALID: it would be refused. */
enum err host_mend_look(struct host_view *v, const struct host_retry *q, struct mend *out,
                        struct error *e) MUST_USE;

#endif
