/* Cases of workflows in a text file, one after another:
 *
 *   #### what the case is about
 *   text of flow.yaml
 *   ++++ sub/other.yaml
 *   text of that file
 *   ====
 *   findings as print_findings shows them, then the plan when there is one
 */
#ifndef CAIRN_TESTS_FLOW_CASES_H
#define CAIRN_TESTS_FLOW_CASES_H

#include "files.h"

struct flow_case {
    struct str name;
    struct mem_files files; /* flow.yaml first */
    struct str expected;
    uint32_t line;
};

struct case_file {
    struct flow_case *items;
    size_t count;
};

/* False when the file is not there. Everything is in the arena. */
bool case_file_read(const char *path, struct arena *a, struct case_file *out);
/* What the case gives. */
void case_run(struct flow_case *c, struct buf *out);

#endif
