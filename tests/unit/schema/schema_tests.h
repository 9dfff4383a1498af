/* The groups of src/schema's tests; each returns how many of its tests failed. */
#ifndef CAIRN_TESTS_SCHEMA_H
#define CAIRN_TESTS_SCHEMA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/schema.h"

int run_limits(void);
int run_cases(void);
int run_suite(void);

/* JSON text as a value; fails the test when it is none. */
struct value json(struct arena *a, const char *text);
/* A compiled schema; fails the test when it is none. */
const struct schema *compiled(struct arena *a, const char *text);

#endif
