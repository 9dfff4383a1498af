/* The groups of src/yaml's tests; each returns how many of its tests failed. */
#ifndef CAIRN_TESTS_YAML_H
#define CAIRN_TESTS_YAML_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "yaml/yaml.h"

int run_marks(void);
int run_limits(void);
int run_cases(void);
int run_suite(void);
int run_json(void);
int run_print(void);

/* A parsed text with its own memory. */
struct parsed {
    struct arena arena;
    struct diag diag;
    struct yaml_node *root;
    enum err err;
};

void parse(struct parsed *p, struct str text);
void parsed_fini(struct parsed *p);
/* The finding at an index as "line:column: code: message", for comparing; in the arena. */
const char *finding(struct parsed *p, uint32_t index);

#endif
