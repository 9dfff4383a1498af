/* libFuzzer target: any bytes as YAML. Must never crash, hang or leak; a refused text has a
 * finding, an accepted one gives a value, and every mark lies within the text.
 */
#include "yaml/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_marks(const struct yaml_node *n, uint32_t lines, uint32_t columns) {
    ASSERT(n->mark.line >= 1 && n->mark.line <= lines);
    ASSERT(n->mark.column >= 1 && n->mark.column <= columns);
    ASSERT(n->content.line >= n->mark.line && n->content.line <= lines + 1);
    ASSERT(n->content.column >= 1 && n->content.column <= columns + 1);
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->type == YAML_LIST) {
            check_marks(n->items[i], lines, columns);
        } else {
            ASSERT(n->pairs[i].key->type == YAML_SCALAR);
            check_marks(n->pairs[i].value, lines, columns);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena, findings;
    arena_init(&arena, 256u << 20);
    arena_init(&findings, 0);
    struct diag diag;
    diag_init(&diag, &findings);
    struct yaml_node *root = NULL;
    struct str text = {(const char *)data, size};
    enum err err = yaml_parse(&arena, text, "fuzz", &root, &diag);
    ASSERT((err == OK) == (diag.errors == 0));
    if (err == OK && size < 100000) {
        struct value v;
        check_marks(root, (uint32_t)size + 2, (uint32_t)size + 2);
        ASSERT(yaml_to_value(&arena, root, &v) || arena.used_bytes > (200u << 20));
    }
    arena_fini(&arena);
    arena_fini(&findings);
    return 0;
}
