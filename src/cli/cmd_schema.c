/* cairn schema: the JSON Schema of the workflow format, for editors and generators. Made from the
 * same descriptors that check workflows.
 */
#include "cli/cli.h"
#include "flow/flow.h"
#include "node/node.h"

static int run(struct cli *c) {
    struct kind_table kinds = node_kinds();
    struct value schema;
    if (flow_schema(&kinds, &c->arena, &schema)) {
        return cli_fail(c, ERR_NOMEM, NULL, "out of memory");
    }
    cli_print_json(c, schema);
    return 0;
}

static const struct cli_example examples[] = {
    {"cairn schema > cairn.schema.json", "a file that editors complete and check with"},
};

const struct command command_schema = {
    .name = "schema",
    .arguments = "",
    .doc = "prints the JSON Schema of the workflow format",
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .run = run,
};
