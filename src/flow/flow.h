/* Workflow files to plans: reading a format, checking everything, compiling.
 *
 * flow opens nothing: the caller's loader reads the workflow file and whatever it refers to, once.
 * Every error is reported with file:line:column, what was expected and a suggestion.
 */
#ifndef CAIRN_FLOW_FLOW_H
#define CAIRN_FLOW_FLOW_H

#include "flow/differ.h"
#include "flow/plan.h"

/* Reads one file. path is relative to the folder of the entry file, normalized ("a/b.py", no "..",
 * unless the caller's rule allows). The text lives in a. ERR_NOT_FOUND, ERR_LIMIT, ERR_INVALID. */
struct flow_loader {
    void *ctx;
    enum err (*read)(void *ctx, struct str path, struct arena *a, struct str *out, struct error *e);
};

struct flow_source {
    struct str entry;    /* file name as the loader knows it; "flow.yaml#node" for an inline one */
    const char *display; /* how the file is named in messages, e.g. as typed; NULL: entry */
    struct flow_loader loader;
    struct kind_table kinds;
};

/* Compiles. On ERR_INVALID diag says why (warnings may be there on OK too). Free by plan_free. */
enum err flow_compile(const struct flow_source *source, struct plan **out, struct diag *diag,
                      struct error *e) MUST_USE;

/* The finding that programs compare: of the scheduling rules (nodes, needs, handles, loops) the
 * first in the order in which they are checked, whatever its place in the file; without such a
 * finding the first error; NULL when there is none. */
const struct diag_item *flow_first_finding(const struct diag *d);

/* Checks given inputs against the plan's declarations and fills defaults: a map value in a.
 * texts: name -> text typed on a command line is read by the declared type first. */
struct flow_input {
    struct str name;
    bool is_text; /* value is text to be read by the declared type */
    struct value value;
};
enum err flow_inputs(const struct plan *p, const struct flow_input *given, size_t count,
                     struct arena *a, struct value *out, struct diag *diag) MUST_USE;

/* The JSON Schema of the workflow format, from the descriptors. */
enum err flow_schema(const struct kind_table *kinds, struct arena *a, struct value *out);

/* Common fields that every node understands, for `cairn kinds` and docs. */
struct common_field {
    const char *name;
    const char *type; /* "expression", "duration", "list of needs" ... */
    const char *doc;
};
const struct common_field *flow_common_fields(size_t *out_count);

#endif
