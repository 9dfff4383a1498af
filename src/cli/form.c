/* From the schema of a form to what a person reads, and from a typed line to a value.
 *
 * Must never refuse what the host would take: a schema that does not compile checks nothing here.
 */
#include "cli/form.h"

#include <stdlib.h>

#include "cli/text.h"
#include "schema/schema.h"

static const struct value *get(struct value map, const char *name, enum value_type type) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == type ? v : NULL;
}

static struct str text_of(struct value map, const char *name) {
    const struct value *v = get(map, name, VALUE_TEXT);
    return v ? value_str(*v) : STR("");
}

/* ---- as a command ---- */

static bool is_required(struct value schema, struct str field) {
    const struct value *list = get(schema, "required", VALUE_LIST);
    for (size_t i = 0; list && i < value_count(*list); i++) {
        if (list->items[i].type == VALUE_TEXT && str_eq(value_str(list->items[i]), field)) {
            return true;
        }
    }
    return false;
}

/* '{"age": INTEGER}': the fields that must be there. */
static void put_form(struct buf *out, struct value schema, struct value fields) {
    struct buf b;
    bool first = true;
    buf_init(&b, 0);
    buf_append_char(&b, '{');
    for (size_t i = 0; i < value_count(fields); i++) {
        const struct value_pair *field = &fields.pairs[i];
        if (is_required(schema, value_str(field->key))) {
            struct str type = text_of(field->val, "type");
            buf_append_cstr(&b, first ? "" : ", ");
            value_print_json(field->key, 0, &b);
            buf_append_cstr(&b, ": ");
            for (size_t k = 0; k < type.len; k++) {
                buf_append_char(&b, (char)(type.ptr[k] & ~0x20)); /* a word of small letters */
            }
            buf_append_cstr(&b, type.len ? "" : "VALUE");
            first = false;
        }
    }
    buf_append_cstr(&b, first ? "...}" : "}");
    text_shell(out, buf_str(&b));
    buf_fini(&b);
}

void form_put_answer(struct buf *out, struct value request) {
    const struct value *choices = get(request, "choices", VALUE_LIST);
    const struct value *schema = get(request, "schema", VALUE_MAP);
    const struct value *fields = schema ? get(*schema, "properties", VALUE_MAP) : NULL;
    for (size_t i = 0; choices && i < value_count(*choices); i++) {
        buf_append_cstr(out, i ? "|" : "");
        text_shell(out, value_str(choices->items[i]));
    }
    if (value_get(request, STR("orValue"))) {
        buf_append_cstr(out, "|'{\"value\": ...}'");
    }
    if (fields) {
        put_form(out, *schema, *fields);
    } else if (!choices) {
        buf_append_cstr(out, "VALUE");
    }
}

/* ---- what is typed ---- */

struct str form_choice(struct value choices, struct str line) {
    char *end = NULL;
    char digits[8] = {0};
    for (size_t i = 0; i < value_count(choices); i++) {
        if (str_eq(value_str(choices.items[i]), line)) {
            return line;
        }
    }
    memcpy(digits, line.ptr, line.len < 7 ? line.len : 7);
    unsigned long n = strtoul(digits, &end, 10);
    bool known = line.len && *end == '\0' && n >= 1 && n <= value_count(choices);
    return known ? value_str(choices.items[n - 1]) : line;
}

/* A value as one would type it. */
static void put_value(struct buf *out, struct value v) {
    if (v.type == VALUE_TEXT) {
        text_clean(out, value_str(v));
    } else {
        value_print_json(v, 0, out);
    }
}

static void put_kind(struct buf *out, struct value schema) {
    const struct value *among = get(schema, "enum", VALUE_LIST);
    struct str type = text_of(schema, "type");
    for (size_t i = 0; among && i < value_count(*among); i++) {
        buf_append_cstr(out, i ? " | " : "");
        put_value(out, among->items[i]);
    }
    if (!among) {
        text_clean(out, str_is(type, "boolean") ? STR("true | false") : type);
    }
}

void form_put_field(struct buf *out, struct str name, struct value schema) {
    struct str about = text_of(schema, "description");
    const struct value *otherwise = value_get(schema, STR("default"));
    struct buf b;
    buf_init(&b, 0);
    put_kind(&b, schema);
    if (about.len) {
        buf_append_cstr(&b, b.len ? ", " : "");
        text_clean(&b, about);
    }
    if (otherwise) {
        buf_append_cstr(&b, b.len ? "; empty: " : "empty: ");
        put_value(&b, *otherwise);
    }
    text_clean(out, name);
    if (b.len) {
        buf_printf(out, " (%.*s)", STR_ARG(buf_str(&b)));
    }
    buf_fini(&b);
}

enum err form_read_field(struct value schema, struct str line, struct arena *a, struct value *out,
                         struct error *e) {
    const struct schema *compiled;
    struct schema_result result;
    struct error unused;
    *out = value_text(arena_str(a, line));
    if (schema_compile(a, schema, &compiled, &unused)) {
        return OK;
    }
    enum err err = schema_read_text(compiled, line, a, out, e);
    if (!err && schema_check(compiled, *out, a, &result, &unused) == OK && !result.valid) {
        const struct schema_error *why = &result.errors[0];
        err = error_set(e, ERR_INVALID, "%.*s", STR_ARG(why->message));
    }
    return err;
}
