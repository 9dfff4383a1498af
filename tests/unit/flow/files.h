/* Workflow files in memory for the tests of flow: a loader over them, compiling, and a plan or its
 * findings as text to compare.
 */
#ifndef CAIRN_TESTS_FLOW_FILES_H
#define CAIRN_TESTS_FLOW_FILES_H

#include "flow/flow.h"

struct mem_file {
    struct str path, text;
};

struct mem_files {
    struct mem_file items[64];
    size_t count;
    uint32_t reads;
};

void mem_add(struct mem_files *m, struct str path, struct str text);

struct compiled {
    struct arena arena;
    struct diag diag;
    struct error error;
    struct plan *plan; /* NULL when it failed */
    enum err err;
};

/* Compiles entry with the test kinds. */
void compiled_init(struct compiled *c, struct mem_files *files, const char *entry);
/* Compiles one text as flow.yaml. */
void compiled_text(struct compiled *c, struct str text);
void compiled_fini(struct compiled *c);

/* "flow.yaml:3:5: error code: message", then the help after four spaces, of every finding. */
void print_findings(const struct compiled *c, struct buf *out);
/* Nodes, edges, loops, bodies, leaves, refs: one line each. */
void print_plan(const struct plan *p, struct buf *out);

#endif
