/* From what a program wrote to the value of its step.
 *
 * JSON is read strictly by value_parse_json; what is no JSON is text, never an error: a program
 * that prints is not obliged to know cairn. Bytes cross as {"$bytes": "<base64>"}; only a map with
 * this one key means bytes. To and from JavaScript {"$int": "<digits>"} is likewise an integer that
 * a double cannot hold. Invariant: 3.0 stays a double, 3 an int, whatever the way.
 */
#include "base/base64.h"
#include "node/code_priv.h"

/* ---- marks ---- */

static const struct value *marked(struct value v, struct str mark) {
    if (v.type != VALUE_MAP || value_count(v) != 1) {
        return NULL;
    }
    const struct value *text = value_get(v, mark);
    return text != NULL && text->type == VALUE_TEXT ? text : NULL;
}

/* Which leaves a walk changes: values to marks on the way out, marks to values on the way in. */
enum direction { TO_MARKS, TO_JS_MARKS, FROM_MARKS };

/* Number.MAX_SAFE_INTEGER */
static bool is_large(struct value v) {
    const int64_t most = (INT64_C(1) << 53) - 1;
    return v.type == VALUE_UINT || (v.type == VALUE_INT && (v.num > most || v.num < -most));
}

static bool to_be_marked(struct value v, enum direction d) {
    return v.type == VALUE_BYTES || (d == TO_JS_MARKS && is_large(v));
}

static bool needs_change(struct value v, enum direction d) {
    if (d == FROM_MARKS ? marked(v, STR("$bytes")) != NULL || marked(v, STR("$int")) != NULL
                        : to_be_marked(v, d)) {
        return true;
    }
    for (size_t i = 0; v.type == VALUE_LIST && i < value_count(v); i++) {
        if (needs_change(v.items[i], d)) {
            return true;
        }
    }
    for (size_t i = 0; v.type == VALUE_MAP && i < value_count(v); i++) {
        if (needs_change(v.pairs[i].val, d)) {
            return true;
        }
    }
    return false;
}

static struct value to_mark(struct arena *a, struct value v, bool *ok) {
    struct value_builder b;
    struct str digits = {0};
    if (v.type != VALUE_BYTES) {
        struct buf text;
        buf_init(&text, 0);
        value_print_text(v, &text);
        digits = arena_str(a, buf_str(&text));
        *ok = *ok && buf_ok(&text) && digits.ptr != NULL;
        buf_fini(&text);
    }
    value_builder_init(&b, a);
    if (v.type == VALUE_BYTES) {
        value_map_add(&b, STR("$bytes"), v);
    } else {
        value_map_add(&b, STR("$int"), value_text(digits));
    }
    *ok = *ok && b.ok;
    return value_map_done(&b);
}

static struct value from_digits(struct value v, struct value text) {
    int64_t number;
    uint64_t large;
    if (str_to_int64(value_str(text), &number)) {
        return value_int(number);
    }
    return str_to_uint64(value_str(text), &large) ? value_uint(large) : v;
}

/* What is no base64 stays the map it was. */
static struct value from_mark(struct arena *a, struct value v, struct value text, bool *ok) {
    struct str s = value_str(text);
    char *bytes = arena_alloc(a, s.len / 4 * 3 + 1);
    size_t len;
    *ok = *ok && bytes != NULL;
    if (bytes == NULL || !base64_decode(s, bytes, &len)) {
        return v;
    }
    return value_bytes((struct str){bytes, len});
}

static struct value change(struct arena *a, struct value v, enum direction d, bool *ok) {
    if (d != FROM_MARKS && to_be_marked(v, d)) {
        return to_mark(a, v, ok);
    }
    const struct value *text = d == FROM_MARKS ? marked(v, STR("$bytes")) : NULL;
    if (text != NULL) {
        return from_mark(a, v, *text, ok);
    }
    text = d == FROM_MARKS ? marked(v, STR("$int")) : NULL;
    if (text != NULL) {
        return from_digits(v, *text);
    }
    if (v.type != VALUE_LIST && v.type != VALUE_MAP) {
        return v;
    }
    struct value_builder b;
    value_builder_init(&b, a);
    for (size_t i = 0; v.type == VALUE_LIST && i < value_count(v); i++) {
        value_list_add(&b, change(a, v.items[i], d, ok));
    }
    for (size_t i = 0; v.type == VALUE_MAP && i < value_count(v); i++) {
        value_map_add_value(&b, v.pairs[i].key, change(a, v.pairs[i].val, d, ok));
    }
    *ok = *ok && b.ok;
    return v.type == VALUE_LIST ? value_list_done(&b) : value_map_done(&b);
}

static enum err change_all(struct arena *a, struct value v, enum direction d, struct value *out,
                           struct error *e) {
    bool ok = true;
    *out = needs_change(v, d) ? change(a, v, d, &ok) : v;
    return ok ? OK : error_nomem(e);
}

enum err code_mark(struct arena *a, struct value v, bool js, struct value *out, struct error *e) {
    return change_all(a, v, js ? TO_JS_MARKS : TO_MARKS, out, e);
}

/* ---- answers ---- */

static struct str text_of(struct value v, struct str key) {
    const struct value *found = value_get(v, key);
    return found != NULL && found->type == VALUE_TEXT ? value_str(*found) : (struct str){0};
}

enum err code_answer_read(struct arena *a, struct str text, struct code_answer *out,
                          struct error *e) {
    struct value v;
    *out = (struct code_answer){0};
    if (text.len == 0) {
        return OK;
    }
    enum err status = value_parse_json(a, text, &v, e);
    if (status != OK) {
        return status;
    }
    const struct value *value = value_get(v, STR("value"));
    const struct value *error = value_get(v, STR("error"));
    if (value == NULL && error == NULL) {
        return error_set(e, ERR_INVALID, "neither a value nor an error");
    }
    if (error != NULL) {
        const struct value *permanent = value_get(*error, STR("permanent"));
        out->has_error = true;
        out->permanent = permanent != NULL && permanent->type == VALUE_BOOL && permanent->boolean;
        out->type = text_of(*error, STR("type"));
        out->message = text_of(*error, STR("message"));
        out->traceback = text_of(*error, STR("traceback"));
        return OK;
    }
    out->has_value = true;
    return change_all(a, *value, FROM_MARKS, &out->value, e);
}

enum err code_output_value(struct arena *a, struct str text, struct value *out, struct error *e) {
    struct error why;
    if (text.len == 0) {
        *out = value_null();
        return OK;
    }
    if (!str_is_utf8(text)) {
        *out = value_bytes(text);
        return OK;
    }
    enum err status = value_parse_json(a, text, out, &why);
    if (status == OK) {
        return OK;
    }
    if (status == ERR_NOMEM) {
        return error_nomem(e);
    }
    if (text.ptr[text.len - 1] == '\n') {
        text.len--;
    }
    *out = value_text(text);
    return OK;
}
