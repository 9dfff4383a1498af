/* Structured answers: JSON in what a model wrote, whether it fits the schema, and what the model is
 * told before and after. What it wrote is data: parsed and checked, never repaired here.
 */
#include "node/node_priv.h"
#include "schema/schema.h"

/* What stands between the first line of ``` and the next one; empty when there is none. */
static struct str fenced_block(struct str text) {
    size_t open = str_find(text, STR("```"), 0);
    size_t line = open == SIZE_MAX ? SIZE_MAX : str_find(text, STR("\n"), open);
    size_t close = line == SIZE_MAX ? SIZE_MAX : str_find(text, STR("```"), line);
    return close == SIZE_MAX ? STR("") : str_sub(text, line + 1, close);
}

enum err node_answer_parse(struct str text, struct arena *a, struct value *out, struct error *e) {
    enum err err = value_parse_json(a, str_trim(text), out, e);
    struct str block = fenced_block(text);
    struct error ignored;
    if (err && block.len && !value_parse_json(a, str_trim(block), out, &ignored)) {
        return OK;
    }
    return err;
}

static void print_findings(const struct schema_result *r, struct buf *b) {
    for (uint32_t i = 0; i < r->count; i++) {
        const struct schema_error *found = &r->errors[i];
        buf_printf(b, "%s%.*s%s%.*s", i ? "; " : "", STR_ARG(found->instance),
                   found->instance.len ? ": " : "", STR_ARG(found->message));
    }
}

enum err node_answer_check(struct str text, const struct schema *schema, struct arena *a,
                           struct value *out, struct str *findings, struct error *e) {
    struct schema_result result;
    struct error why = {0};
    struct buf b;
    enum err err = node_answer_parse(text, a, out, &why);
    if (err == ERR_NOMEM) {
        return error_nomem(e);
    }
    buf_init(&b, 0);
    if (err) {
        struct str what = str_from(why.message);
        what = str_starts(what, STR("JSON: ")) ? str_sub(what, 6, what.len) : what;
        buf_printf(&b, "it is not JSON (line %u, column %u: %.*s)", why.mark.line, why.mark.column,
                   STR_ARG(what));
    } else {
        err = schema_check(schema, *out, a, &result, e);
        if (err || result.valid) {
            buf_fini(&b);
            return err;
        }
        print_findings(&result, &b);
    }
    *findings = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return findings->ptr ? error_set(e, ERR_INVALID, "the answer does not fit") : error_nomem(e);
}

struct str node_answer_form(struct value schema, struct arena *a) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_cstr(&b, "Answer with one JSON value that fits this JSON Schema, and with nothing "
                        "else:\n");
    value_print_json(schema, 0, &b);
    struct str text = buf_ok(&b) ? arena_str(a, buf_str(&b)) : STR("");
    buf_fini(&b);
    return text;
}

struct str node_answer_again(struct str findings, struct arena *a) {
    return arena_printf(a,
                        "This answer does not fit the JSON Schema that was asked for: %.*s. Answer "
                        "again with the corrected JSON value, and with nothing else.",
                        STR_ARG(findings));
}
