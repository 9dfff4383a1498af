/* libFuzzer target: a JSON list [schema, value]. Must never crash, hang or leak; what is valid has
 * no error and what is not has one. Patterns reach the regular expressions too.
 */
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_value(struct arena *a, const struct schema *s, struct value v) {
    struct error e = {0};
    struct schema_result result;
    struct value filled;
    if (schema_check(s, v, a, &result, &e) == OK) {
        ASSERT(result.valid == (result.count == 0));
        for (uint32_t i = 0; i < result.count; i++) {
            ASSERT(result.errors[i].message.len && result.errors[i].keyword.len);
        }
    }
    if (schema_fill(s, v, a, &filled, &e) == OK) {
        ASSERT(filled.type == v.type);
    }
    if (v.type == VALUE_TEXT && schema_read_text(s, value_str(v), a, &filled, &e) != OK) {
        ASSERT(e.message[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    arena_init(&arena, 256u << 20);
    struct value v;
    struct error e = {0};
    const struct schema *s = NULL;
    struct str text = {(const char *)data, size};
    if (size && value_parse_json(&arena, text, &v, &e) == OK && v.type == VALUE_LIST &&
        value_count(v) == 2) {
        if (schema_compile(&arena, v.items[0], &s, &e) == OK) {
            try_value(&arena, s, v.items[1]);
        } else {
            ASSERT(e.message[0]);
        }
    }
    arena_fini(&arena);
    return 0;
}
