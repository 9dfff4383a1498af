/* Runs the groups of src/yaml's tests and holds what they share. */
#include "yaml_tests.h"

void parse(struct parsed *p, struct str text) {
    *p = (struct parsed){0};
    arena_init(&p->arena, 0);
    diag_init(&p->diag, &p->arena);
    p->err = yaml_parse(&p->arena, text, "test.yaml", &p->root, &p->diag);
}

void parsed_fini(struct parsed *p) { arena_fini(&p->arena); }

const char *finding(struct parsed *p, uint32_t index) {
    if (index >= p->diag.count) {
        return "(none)";
    }
    const struct diag_item *i = &p->diag.items[index];
    return arena_printf(&p->arena, "%u:%u: %.*s: %.*s", i->mark.line, i->mark.column,
                        STR_ARG(i->code), STR_ARG(i->message))
        .ptr;
}

int main(void) {
    return run_marks() + run_limits() + run_cases() + run_suite() + run_json() + run_print() ? 1
                                                                                             : 0;
}
