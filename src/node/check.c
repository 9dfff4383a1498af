/* check: holds a value against a JSON Schema and passes it on unchanged when it fits.
 *
 * Pure. The schema stands in the workflow or in a file beside it, and is compiled with the
 * workflow. Every finding is told with its place in the value, as far as a message holds them.
 */
#include "flow/plan.h"
#include "node/node_priv.h"
#include "schema/schema.h"
#include "yaml/yaml.h"

enum { SCHEMA, SCHEMA_FILE, VALUE, FIELDS };

static const struct field fields[FIELDS] = {
    [SCHEMA] = {.name = "schema",
                .type = FIELD_SCHEMA,
                .one_of = "rules",
                .doc = "what the value must look like"},
    [SCHEMA_FILE] = {.name = "schema_file",
                     .type = FIELD_LITERAL,
                     .literal = LITERAL_TEXT,
                     .one_of = "rules",
                     .doc = "path of a JSON or YAML file with the schema; read when the workflow "
                            "is compiled"},
    [VALUE] = {.name = "value",
               .type = FIELD_EXPRESSION,
               .required = true,
               .doc = "what is checked: an expression, or a map or list of expressions"},
};

static void compile(struct node_check *c, const char *field, struct value source) {
    const struct schema *schema = NULL;
    struct error e = {0};
    enum err err = schema_compile(check_arena(c), source, &schema, &e);
    if (err == ERR_NOMEM) {
        check_no_memory(c);
    } else if (err) {
        check_error(c, field, "schema", "this is no JSON Schema: %s", e.message);
    } else {
        check_set_data(c, schema);
    }
}

/* JSON is YAML too, so one reader does for both. */
static void compile_file(struct node_check *c) {
    struct arena *a = check_arena(c);
    struct str path = value_str(check_literal(c, "schema_file")), text;
    struct yaml_node *root = NULL;
    struct value source;
    struct diag diag;
    diag_init(&diag, a);
    if (!check_read_file(c, "schema_file", path, &text)) {
        return;
    }
    enum err err = yaml_parse(a, text, "", &root, &diag);
    if (!err && yaml_to_value(a, root, &source)) {
        compile(c, "schema_file", source);
    } else if (diag.count) {
        struct diag_item *first = &diag.items[0];
        check_error(c, "schema_file", "schema", "%.*s, line %u: %.*s", STR_ARG(path),
                    first->mark.line, STR_ARG(first->message));
    } else {
        check_error(c, "schema_file", "schema", "%.*s is too large for a schema", STR_ARG(path));
    }
}

static void check(struct node_check *c) {
    struct value schema = check_literal(c, "schema");
    if (!value_is_null(check_literal(c, "schema_file"))) {
        compile_file(c);
    } else if (!value_is_null(schema)) { /* null: flow has refused it */
        compile(c, "schema", schema);
    }
}

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    out->body = in->fields[VALUE];
    return node_fit(in->node->data, out->body, "the value", out->arena, e);
}

static const char *const aliases[] = {"json_schema_validator", NULL};

const struct node_kind node_check = {
    .name = "check",
    .aliases = aliases,
    .doc =
        "checks a value against a JSON Schema and passes it on; what does not fit is a failure of "
        "type schema that names every place",
    .body_doc = "the value",
    .fields = fields,
    .field_count = FIELDS,
    .flags = KIND_PURE,
    .example = "type: check\n"
               "schema:\n"
               "  type: object\n"
               "  required: [id]\n"
               "  properties: {id: {type: integer, minimum: 1}}\n"
               "value: {id: 7}\n",
    .check = check,
    .eval = eval,
};
