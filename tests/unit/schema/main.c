/* Runs the groups of src/schema's tests and holds what they share. */
#include "schema_tests.h"

struct value json(struct arena *a, const char *text) {
    struct value v = value_null();
    struct error e = {0};
    if (value_parse_json(a, str_from(text), &v, &e) != OK) {
        fail_msg("%s: %s", text, e.message);
    }
    return v;
}

const struct schema *compiled(struct arena *a, const char *text) {
    const struct schema *s = NULL;
    struct error e = {0};
    if (schema_compile(a, json(a, text), &s, &e) != OK) {
        fail_msg("%s: %s", text, e.message);
    }
    return s;
}

int main(void) { return run_limits() + run_cases() + run_suite() ? 1 : 0; }
