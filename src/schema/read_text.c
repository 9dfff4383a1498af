/* A text (from a command line or a form) as the value that a schema's type wants.
 *
 * The types are those of "type", looked for through $ref; without a type, the choices of enum or
 * const decide. A type other than string is tried first, so with [integer, string] 3 is a number
 * and x is a text. Whether the value fits the rest of the schema is schema_check's question.
 */
#include <math.h>

#include "schema/schema_priv.h"

static const struct schema_node *typed_node(const struct schema_node *n) {
    for (int hops = 0; hops < 20 && !n->types; hops++) {
        const struct schema_node *next = NULL;
        for (uint32_t i = 0; i < n->rule_count; i++) {
            if (str_is(str_from(n->rules[i].keyword->name), "$ref")) {
                next = n->rules[i].node;
            }
        }
        if (!next) {
            break;
        }
        n = next;
    }
    return n;
}

static uint32_t type_of(struct value v) {
    for (uint32_t bit = TYPE_NULL; bit <= TYPE_OBJECT; bit <<= 1) {
        if (schema_has_type(v, bit)) {
            return bit;
        }
    }
    return TYPE_STRING;
}

/* The types of the values that enum and const allow; 0 when there is neither. */
static uint32_t choice_types(const struct schema_node *n) {
    uint32_t types = 0;
    const struct value *one = n->raw.type == VALUE_MAP ? value_get(n->raw, STR("const")) : NULL;
    const struct value *many = n->raw.type == VALUE_MAP ? value_get(n->raw, STR("enum")) : NULL;
    for (size_t i = 0; many && many->type == VALUE_LIST && i < value_count(*many); i++) {
        types |= type_of(many->items[i]);
    }
    return one ? type_of(*one) : types;
}

static bool read_json(struct str text, uint32_t types, struct arena *a, struct value *out) {
    struct error ignored = {0};
    struct value v;
    if (value_parse_json(a, text, &v, &ignored) != OK || v.type == VALUE_TEXT ||
        !schema_has_type(v, types)) {
        return false;
    }
    bool wants_int = (types & TYPE_INTEGER) && v.type == VALUE_DOUBLE && !(v.flags & VALUE_LOSSY);
    if (wants_int && schema_number_is_integer(v) && fabs(v.real) < 9007199254740992.0) {
        v = value_int((int64_t)v.real);
    }
    *out = v;
    return true;
}

enum err schema_read_text(const struct schema *s, struct str text, struct arena *a,
                          struct value *out, struct error *e) {
    const struct schema_node *n = typed_node(s->root);
    uint32_t types = n->types ? n->types : choice_types(n);
    if (types & ~(uint32_t)TYPE_STRING) {
        if (read_json(str_trim(text), types, a, out)) {
            return OK;
        }
    }
    if (types && !(types & TYPE_STRING)) {
        struct buf b;
        buf_init(&b, 0);
        value_print_short(value_text(text), 80, &b);
        enum err err = error_set(e, ERR_INVALID, "expected %s, got text %.*s",
                                 schema_type_names(a, types), STR_ARG(buf_str(&b)));
        buf_fini(&b);
        return err;
    }
    struct str kept = arena_str(a, text);
    if (!kept.ptr) {
        return error_nomem(e);
    }
    *out = value_text(kept);
    return OK;
}
