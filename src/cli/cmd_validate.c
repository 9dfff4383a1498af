/* cairn validate: compiles workflows and shows everything that is wrong with them. Runs nothing and
 * touches no store.
 */
#include "cli/load.h"
#include "node/node.h"

static void print_ok(struct cli *c, const struct workflow *w) {
    const struct plan *p = w->plan;
    struct buf b;
    buf_init(&b, 0);
    text_clean(&b, str_from(w->shown));
    buf_printf(&b, ": ok: %u node%s, %u edge%s, %u loop%s, %u input%s", p->node_count,
               p->node_count == 1 ? "" : "s", p->edge_count, p->edge_count == 1 ? "" : "s",
               p->loop_count, p->loop_count == 1 ? "" : "s", p->input_count,
               p->input_count == 1 ? "" : "s");
    if (w->diag.warnings) {
        buf_append_cstr(&b, ", ");
        cli_count_findings(&w->diag, &b);
    }
    buf_append_char(&b, '\n');
    sink_flush(&c->out, &b);
    buf_fini(&b);
}

static void add(struct value_builder *b, const char *name, struct str text) {
    value_map_add(b, str_from(name), text.len ? value_text(text) : value_null());
}

static void add_findings(struct value_builder *list, const struct workflow *w) {
    for (uint32_t i = 0; i < w->diag.count; i++) {
        const struct diag_item *item = &w->diag.items[i];
        struct value_builder b;
        value_builder_init(&b, list->arena);
        add(&b, "file", str_from(item->mark.file ? item->mark.file : w->shown));
        value_map_add(&b, STR("line"), value_int(item->mark.line));
        value_map_add(&b, STR("column"), value_int(item->mark.column));
        add(&b, "severity", item->severity == DIAG_ERROR ? STR("error") : STR("warning"));
        add(&b, "code", item->code);
        add(&b, "message", item->message);
        add(&b, "help", item->help);
        value_list_add(list, value_map_done(&b));
    }
}

static int check(struct cli *c, const char *path, struct value_builder *list) {
    struct workflow w;
    enum err err = workflow_open(c, path, node_kinds(), &w);
    bool json = cli_has(c, "json");
    if (json) {
        add_findings(list, &w);
    } else if (!err || err == ERR_INVALID) {
        cli_findings(c, &w.diag);
    }
    if (!err && !json) {
        print_ok(c, &w);
    }
    workflow_close(&w);
    return err ? err_exit_code(err) : 0;
}

static int run(struct cli *c) {
    struct value_builder list;
    int status = 0;
    value_builder_init(&list, &c->arena);
    for (size_t i = 0; i < c->argument_count; i++) {
        int one = check(c, c->arguments[i], &list);
        status = one > status ? one : status;
    }
    if (cli_has(c, "json")) {
        cli_print_json(c, value_list_done(&list));
    }
    return status;
}

static const struct cli_option options[] = {
    {"json", 0, NULL, "prints the findings as a JSON list"},
};

static const struct cli_example examples[] = {
    {"cairn validate flow.yaml", "every error and warning with its line, or \"ok\""},
    {"cairn validate --json flows/*.yaml", "the findings of many files, for programs"},
};

const struct command command_validate = {
    .name = "validate",
    .arguments = "WORKFLOW...",
    .doc = "checks workflows without running them",
    .details = "Of each workflow the first 25 errors are shown, then warnings, and how many more "
               "there are;\n--json has the first 100. Exit status: 0 no errors (warnings are "
               "allowed), 2 errors.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .run = run,
};
