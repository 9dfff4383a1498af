/* The JSON Schema of the workflow format, made from the descriptors: editors complete and check
 * with it, and a document that it accepts fails to compile only for reasons of graph, reference or
 * expression. Built from JSON pieces, so that each rule reads as it will stand in the schema.
 */
#include <stdio.h>

#include "flow/coerce.h"
#include "flow/flow.h"

#define NAME_PATTERN "^[a-z_][a-z0-9_]*$"
#define RESERVED                                                      \
    "^(inputs|vars|nodes|execution|item|index|iteration|step|env|"    \
    "secrets|it|true|false|null|in|as|break|const|continue|else|for|" \
    "function|if|import|let|loop|package|namespace|return|var|void|while)$"
#define NAME \
    "{\"type\":\"string\",\"pattern\":\"" NAME_PATTERN "\",\"not\":{\"pattern\":\"" RESERVED "\"}}"

static const char defs_common[] =
    "\"name\":" NAME ","
    "\"duration\":{\"type\":\"string\","
    "\"pattern\":\"^([0-9]{1,5}(\\\\.[0-9]{1,6})?(d|h|m|s|ms|us))+$\","
    "\"description\":\"90s, 1h30m, 1.5s\"},"
    "\"timeout\":{\"allOf\":[{\"$ref\":\"#/$defs/duration\"},{\"pattern\":\"[1-9]\"}]},"
    "\"expression\":{\"type\":[\"string\",\"number\",\"boolean\",\"array\",\"object\"],"
    "\"minLength\":1},"
    "\"retry\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"attempts\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000},"
    "\"backoff\":{\"$ref\":\"#/$defs/duration\"},"
    "\"factor\":{\"type\":\"number\",\"minimum\":1,\"maximum\":1000},"
    "\"max\":{\"$ref\":\"#/$defs/duration\"},"
    "\"jitter\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
    "\"on\":{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"" NAME_PATTERN "\"},"
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"" NAME_PATTERN "\"}}]}}},"
    "\"recovery\":{\"anyOf\":[{\"enum\":[\"ask\",\"compensate\",\"fail\"]},"
    "{\"type\":\"object\",\"required\":[\"ask\"],\"additionalProperties\":false,"
    "\"dependentRequired\":{\"on_timeout\":[\"timeout\"],\"times\":[\"on_timeout\"]},"
    "\"dependentSchemas\":{\"times\":{\"properties\":{\"on_timeout\":{\"const\":\"retry\"}}}},"
    "\"properties\":{"
    "\"times\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000},"
    "\"ask\":{\"$ref\":\"#/$defs/plain\"},\"assignee\":{\"$ref\":\"#/$defs/plain\"},"
    "\"timeout\":{\"$ref\":\"#/$defs/timeout\"},"
    "\"on_timeout\":{\"enum\":[\"next\",\"fail\",\"retry\"]}}},"
    "{\"type\":\"object\",\"required\":[\"rollback\"],\"additionalProperties\":false,"
    "\"properties\":{\"rollback\":{\"$ref\":\"#/$defs/plain\"},"
    "\"times\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}}}]},"
    "\"plain\":{\"type\":\"string\",\"not\":{\"pattern\":\"[{][{]\"}},"
    "\"recover\":{\"anyOf\":[{\"$ref\":\"#/$defs/recovery\"},"
    "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/recovery\"}}]},"
    "\"agent\":{\"type\":\"object\",\"required\":[\"service\"],\"additionalProperties\":false,"
    "\"not\":{\"required\":[\"replies\",\"replies_file\"]},\"properties\":{"
    "\"service\":{\"type\":\"string\"},\"model\":{\"type\":\"string\"},"
    "\"system\":{\"type\":\"string\"},\"base_url\":{\"type\":\"string\"},"
    "\"api_key\":{\"type\":\"string\"},"
    "\"memory\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"keep\":{\"enum\":[\"all\",\"own\",\"none\"]},"
    "\"at_most\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000}}},"
    "\"price\":{\"type\":\"object\",\"required\":[\"input\",\"output\"],"
    "\"additionalProperties\":false,\"properties\":{"
    "\"input\":{\"$ref\":\"#/$defs/price\"},\"output\":{\"$ref\":\"#/$defs/price\"},"
    "\"cached\":{\"$ref\":\"#/$defs/price\"}}},"
    "\"params\":{\"type\":\"object\"},\"replies\":{},\"default\":{},"
    "\"replies_file\":{\"type\":\"string\"}}},"
    "\"schema\":{\"type\":[\"object\",\"boolean\"]},"
    "\"in\":{\"type\":\"object\",\"propertyNames\":{\"$ref\":\"#/$defs/name\"},"
    "\"additionalProperties\":{\"if\":{\"type\":\"object\",\"required\":[\"from\"]},"
    "\"then\":{\"additionalProperties\":false,\"properties\":{"
    "\"from\":{\"$ref\":\"#/$defs/expression\"},\"default\":{\"$ref\":\"#/$defs/expression\"},"
    "\"type\":{\"$ref\":\"#/$defs/coercion\"},"
    "\"transform\":{\"anyOf\":[{\"type\":\"string\",\"minLength\":1},"
    "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1}}]}}},"
    "\"else\":{\"$ref\":\"#/$defs/expression\"}}},"
    "\"list\":{\"type\":[\"string\",\"array\"],\"minLength\":1},"
    "\"foreach\":{\"if\":{\"type\":\"object\"},\"then\":{"
    "\"oneOf\":[{\"required\":[\"items\"]},{\"required\":[\"matrix\"]}],"
    "\"dependentRequired\":{\"exclude\":[\"matrix\"],\"include\":[\"matrix\"]},"
    "\"additionalProperties\":false,\"properties\":{"
    "\"items\":{\"$ref\":\"#/$defs/list\"},"
    "\"matrix\":{\"type\":\"object\",\"minProperties\":1,"
    "\"propertyNames\":{\"$ref\":\"#/$defs/name\"},"
    "\"additionalProperties\":{\"$ref\":\"#/$defs/list\"}},"
    "\"exclude\":{\"$ref\":\"#/$defs/list\"},\"include\":{\"$ref\":\"#/$defs/list\"},"
    "\"as\":{\"anyOf\":[{\"$ref\":\"#/$defs/name\"},{\"const\":\"item\"}]},"
    "\"concurrency\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100000},"
    "\"on_item_error\":{\"enum\":[\"fail\",\"collect\"]},"
    "\"max_items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000}}},"
    "\"else\":{\"$ref\":\"#/$defs/list\"}}";

static const char defs_budget[] =
    ",\"dollars\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1000000},"
    "\"price\":{\"type\":\"number\",\"minimum\":0,\"maximum\":100000},"
    "\"amount\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000000000},"
    "\"budget\":{\"type\":\"object\",\"additionalProperties\":false,"
    "\"anyOf\":[{\"required\":[\"steps\"]},{\"required\":[\"tokens\"]},"
    "{\"required\":[\"usd\"]},{\"required\":[\"llm_calls\"]},{\"required\":[\"time\"]}],"
    "\"properties\":{\"steps\":{\"$ref\":\"#/$defs/amount\"},"
    "\"tokens\":{\"$ref\":\"#/$defs/amount\"},\"usd\":{\"$ref\":\"#/$defs/dollars\"},"
    "\"llm_calls\":{\"$ref\":\"#/$defs/amount\"},\"time\":{\"$ref\":\"#/$defs/timeout\"},"
    "\"on_exceed\":{\"enum\":[\"pause\",\"fail\"]}}}";

/* By name of the common field. */
static const struct {
    const char *name, *schema;
} common_schemas[] = {
    {"label", "{\"type\":\"string\"}"},
    {"description", "{\"type\":\"string\"}"},
    {"needs", "{\"type\":[\"string\",\"array\"],\"items\":{\"type\":\"string\"}}"},
    {"join", "{\"enum\":[\"all\",\"any\"]}"},
    {"if", "{\"type\":[\"string\",\"boolean\"],\"minLength\":1}"},
    {"in", "{\"$ref\":\"#/$defs/in\"}"},
    {"foreach", "{\"$ref\":\"#/$defs/foreach\"}"},
    {"set", "{\"type\":\"object\",\"propertyNames\":{\"$ref\":\"#/$defs/name\"},"
            "\"additionalProperties\":{\"$ref\":\"#/$defs/expression\"}}"},
    {"timeout", "{\"$ref\":\"#/$defs/timeout\"}"},
    {"retry", "{\"$ref\":\"#/$defs/retry\"}"},
    {"on_error",
     "{\"anyOf\":[{\"enum\":[\"fail\",\"continue\"]},{\"type\":\"object\",\"required\":[\"value\"],"
     "\"additionalProperties\":false,"
     "\"properties\":{\"value\":{\"$ref\":\"#/$defs/expression\"}}}]}"},
    {"recover", "{\"$ref\":\"#/$defs/recover\"}"},
    {"fallback", "{\"$ref\":\"#/$defs/name\"}"},
    {"compensate", "{\"$ref\":\"#/$defs/name\"}"},
    {"delivery", "{\"enum\":[\"at_least_once\",\"at_most_once\"]}"},
    {"cache",
     "{\"if\":{\"type\":\"object\"},\"then\":{\"required\":[\"ttl\"],"
     "\"additionalProperties\":false,\"properties\":{\"ttl\":{\"$ref\":\"#/$defs/timeout\"},"
     "\"key\":{\"$ref\":\"#/$defs/expression\"}}},\"else\":{\"$ref\":\"#/$defs/timeout\"}}"},
    {"priority", "{\"type\":\"integer\",\"minimum\":-1000000,\"maximum\":1000000}"},
    {"checkpoint", "{\"$ref\":\"#/$defs/name\"}"},
    {"max_iterations", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000}"},
    {"on_limit", "{\"enum\":[\"fail\",\"exit\"]}"},
    {"output_schema", "{\"$ref\":\"#/$defs/schema\"}"},
};

static const char top_properties[] =
    "\"cairn\":{\"const\":1},\"name\":{\"type\":\"string\",\"pattern\":\"[^ ]\"},"
    "\"description\":{\"type\":\"string\"},"
    "\"inputs\":{\"type\":\"object\",\"propertyNames\":{\"$ref\":\"#/$defs/name\"},"
    "\"additionalProperties\":{\"$ref\":\"#/$defs/schema\"}},"
    "\"agents\":{\"type\":\"object\",\"propertyNames\":{\"$ref\":\"#/$defs/name\"},"
    "\"additionalProperties\":{\"$ref\":\"#/$defs/agent\"}},"
    "\"defaults\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"timeout\":{\"$ref\":\"#/$defs/timeout\"},\"retry\":{\"$ref\":\"#/$defs/retry\"}}},"
    "\"timeout\":{\"$ref\":\"#/$defs/timeout\"},"
    "\"on_failure\":{\"enum\":[\"drain\",\"cancel\",\"continue\"]},"
    "\"recover\":{\"$ref\":\"#/$defs/recover\"},"
    "\"breaker\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"failures\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000},"
    "\"open\":{\"$ref\":\"#/$defs/timeout\"},\"max\":{\"$ref\":\"#/$defs/duration\"}}},"
    "\"concurrency\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100000},"
    "\"finally\":{\"anyOf\":[{\"$ref\":\"#/$defs/name\"},"
    "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/name\"}}]},"
    "\"budget\":{\"$ref\":\"#/$defs/budget\"},"
    "\"env\":{\"type\":[\"string\",\"array\"],\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*$\","
    "\"not\":{\"type\":\"string\",\"pattern\":\"^CAIRN_SECRET_\"},"
    "\"items\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*$\","
    "\"not\":{\"pattern\":\"^CAIRN_SECRET_\"}}},"
    "\"preload\":{\"type\":[\"string\",\"array\"],"
    "\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*$\","
    "\"items\":{\"type\":\"string\","
    "\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*$\"}},"
    "\"vars\":{\"type\":\"object\",\"propertyNames\":{\"$ref\":\"#/$defs/name\"}},"
    "\"outputs\":{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#/$defs/expression\"}},"
    "\"nodes\":{\"oneOf\":[{\"type\":\"object\",\"minProperties\":1,"
    "\"propertyNames\":{\"$ref\":\"#/$defs/name\"},"
    "\"additionalProperties\":{\"allOf\":[{\"$ref\":\"#/$defs/node\"},"
    "{\"not\":{\"required\":[\"name\"]}}]}},"
    "{\"type\":\"array\",\"minItems\":1,\"items\":{\"allOf\":[{\"$ref\":\"#/$defs/node\"},"
    "{\"required\":[\"name\"]}]}}]}";

static void print_text(struct buf *b, const char *text) {
    value_print_json(value_text(str_from(text ? text : "")), 0, b);
}

static void print_words(struct buf *b, const char *const *words) {
    for (size_t i = 0; words[i]; i++) {
        buf_append_cstr(b, i ? "," : "");
        print_text(b, words[i]);
    }
}

static const char *literal_schema(enum literal_type t) {
    switch (t) {
    case LITERAL_TEXT: return "\"type\":\"string\"";
    case LITERAL_INT: return "\"type\":\"integer\"";
    case LITERAL_DOUBLE: return "\"type\":\"number\"";
    case LITERAL_BOOL: return "\"type\":\"boolean\"";
    case LITERAL_TEXTS: return "\"type\":\"array\",\"items\":{\"type\":\"string\"}";
    }
    return "";
}

static void print_field(struct buf *b, const struct field *f) {
    buf_append_cstr(b, "{");
    switch (f->type) {
    case FIELD_EXPRESSION: buf_append_cstr(b, "\"$ref\":\"#/$defs/expression\""); break;
    case FIELD_TEMPLATE: buf_append_cstr(b, "\"type\":\"string\""); break;
    case FIELD_DURATION: buf_append_cstr(b, "\"$ref\":\"#/$defs/duration\""); break;
    case FIELD_SCHEMA: buf_append_cstr(b, "\"$ref\":\"#/$defs/schema\""); break;
    case FIELD_STRUCTURE:
    case FIELD_VALUE: break;
    case FIELD_LITERAL:
        if (f->choices) {
            buf_append_cstr(b, "\"enum\":[");
            print_words(b, f->choices);
            buf_append_cstr(b, "]");
        } else {
            buf_append_cstr(b, literal_schema(f->literal));
        }
        break;
    }
    buf_append_cstr(b,
                    b->len && b->ptr[b->len - 1] == '{' ? "\"description\":" : ",\"description\":");
    print_text(b, f->doc);
    if (f->default_text) {
        buf_append_cstr(b, ",\"$comment\":");
        char text[200];
        snprintf(text, sizeof text, "default: %s", f->default_text);
        print_text(b, text);
    }
    buf_append_cstr(b, "}");
}

static void print_common(struct buf *b) {
    size_t count;
    const struct common_field *fields = flow_common_fields(&count);
    buf_append_cstr(b, "\"name\":{\"$ref\":\"#/$defs/name\"},\"type\":true");
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(common_schemas); k++) {
            if (!strcmp(fields[i].name, common_schemas[k].name)) {
                buf_printf(b, ",\"%s\":{\"allOf\":[%s],\"description\":", fields[i].name,
                           common_schemas[k].schema);
                print_text(b, fields[i].doc);
                buf_append_cstr(b, "}");
            }
        }
    }
}

static bool same_group(const struct field *a, const struct field *b) {
    return a->one_of && b->one_of && !strcmp(a->one_of, b->one_of);
}

/* {"oneOf":[{"required":["a"]},{"required":["b"]}]} for the group that field i opens. */
static void print_group(struct buf *b, const struct node_kind *kind, size_t first) {
    for (size_t i = 0; i < first; i++) {
        if (same_group(&kind->fields[i], &kind->fields[first])) {
            return;
        }
    }
    buf_append_cstr(b, ",{\"oneOf\":[");
    for (size_t i = first; i < kind->field_count; i++) {
        if (same_group(&kind->fields[i], &kind->fields[first])) {
            buf_printf(b, "%s{\"required\":[\"%s\"]}", i == first ? "" : ",", kind->fields[i].name);
        }
    }
    buf_append_cstr(b, "]}");
}

static void print_kind(struct buf *b, const struct node_kind *kind) {
    buf_printf(b,
               ",\"node_%s\":{\"type\":\"object\",\"additionalProperties\":false,"
               "\"description\":",
               kind->name);
    print_text(b, kind->doc);
    buf_append_cstr(b, ",\"required\":[\"type\"");
    for (size_t i = 0; i < kind->field_count; i++) {
        if (kind->fields[i].required) {
            buf_printf(b, ",\"%s\"", kind->fields[i].name);
        }
    }
    buf_append_cstr(b, "],\"allOf\":[true");
    for (size_t i = 0; i < kind->field_count; i++) {
        const struct field *f = &kind->fields[i];
        if (f->one_of) {
            print_group(b, kind, i);
        }
        if (f->needs) {
            buf_printf(b, ",{\"dependentRequired\":{\"%s\":[\"%s\"]}}", f->name, f->needs);
        }
    }
    buf_append_cstr(b, "],\"properties\":{");
    print_common(b);
    for (size_t i = 0; i < kind->field_count; i++) {
        buf_printf(b, ",\"%s\":", kind->fields[i].name);
        print_field(b, &kind->fields[i]);
    }
    buf_append_cstr(b, "}}");
}

static void print_node(struct buf *b, const struct kind_table *kinds) {
    buf_append_cstr(b, ",\"node\":{\"type\":\"object\",\"required\":[\"type\"],"
                       "\"properties\":{\"type\":{\"enum\":[");
    for (size_t i = 0; i < kinds->count; i++) {
        buf_append_cstr(b, i ? "," : "");
        print_text(b, kinds->kinds[i]->name);
        if (kinds->kinds[i]->aliases && kinds->kinds[i]->aliases[0]) {
            buf_append_cstr(b, ",");
            print_words(b, kinds->kinds[i]->aliases);
        }
    }
    buf_append_cstr(b, "]}},\"allOf\":[");
    for (size_t i = 0; i < kinds->count; i++) {
        const struct node_kind *kind = kinds->kinds[i];
        buf_printf(b, "%s{\"if\":{\"required\":[\"type\"],\"properties\":{\"type\":{\"enum\":[",
                   i ? "," : "");
        print_text(b, kind->name);
        if (kind->aliases && kind->aliases[0]) {
            buf_append_cstr(b, ",");
            print_words(b, kind->aliases);
        }
        buf_printf(b, "]}}},\"then\":{\"$ref\":\"#/$defs/node_%s\"}}", kind->name);
    }
    buf_append_cstr(b, "]}");
}

enum err flow_schema(const struct kind_table *kinds, struct arena *a, struct value *out) {
    struct buf b;
    buf_init(&b, 0);
    buf_append_cstr(&b, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
                        "\"title\":\"A cairn workflow\",\"type\":\"object\","
                        "\"required\":[\"cairn\",\"nodes\"],\"additionalProperties\":false,"
                        "\"properties\":{");
    buf_append_cstr(&b, top_properties);
    buf_append_cstr(&b, "},\"$defs\":{");
    buf_append_cstr(&b, defs_common);
    buf_append_cstr(&b, defs_budget);
    buf_append_cstr(&b, ",\"coercion\":{\"enum\":[");
    print_words(&b, coercion_words);
    buf_append_cstr(&b, "]}");
    for (size_t i = 0; i < kinds->count; i++) {
        print_kind(&b, kinds->kinds[i]);
    }
    print_node(&b, kinds);
    buf_append_cstr(&b, "}}");
    enum err err = ERR_NOMEM;
    struct str text = buf_ok(&b) ? arena_str(a, buf_str(&b)) : (struct str){0};
    if (text.ptr) {
        err = value_parse_json(a, text, out, NULL);
    }
    buf_fini(&b);
    return err;
}
