/* cairn graph: a workflow as a picture. Draws what was compiled, so a file with errors is refused
 * with its findings; runs nothing and touches no store.
 */
#include "cli/graph.h"
#include "cli/load.h"
#include "io/file.h"
#include "node/node.h"

static const struct {
    const char *name;
    enum err (*draw)(const struct graph *g, struct buf *out);
} formats[] = {
    {"ascii", graph_ascii}, {"dot", graph_dot}, {"mermaid", graph_mermaid}, {"svg", graph_svg}};

/* The row of --format; without it that of the output file's ending, else the first. */
static int find_format(struct cli *c, size_t *out) {
    const char *word = cli_value(c, "format"), *file = cli_value(c, "output");
    struct str names[ARRAY_LEN(formats)];
    const char *dot = file && !word ? strrchr(file, '.') : NULL;
    *out = 0;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        names[i] = str_from(formats[i].name);
        if ((word && str_is(names[i], word)) || (dot && str_is(names[i], dot + 1))) {
            *out = i;
            return 0;
        }
    }
    if (!word) {
        return 0;
    }
    struct str near = str_nearest(str_from(word), names, ARRAY_LEN(names));
    struct str help = near.len ? arena_printf(&c->arena, "did you mean %.*s?", STR_ARG(near))
                               : STR("it is one of ascii, dot, mermaid, svg");
    return cli_fail(c, ERR_USAGE, help.ptr, "--format: unknown format \"%.60s\"", word);
}

static int put_out(struct cli *c, struct buf *b) {
    const char *file = cli_value(c, "output");
    struct error e = {0};
    if (!file || !strcmp(file, "-")) {
        sink_flush(&c->out, b);
        return 0;
    }
    return io_file_write(file, buf_str(b), 0644, false, &e) ? cli_fail_error(c, &e, NULL) : 0;
}

static int draw(struct cli *c, const struct plan *p, size_t format) {
    struct graph g;
    struct buf b;
    buf_init(&b, 0);
    enum err err = graph_make(p, &c->arena, &g);
    err = err ? err : formats[format].draw(&g, &b);
    int status = err ? cli_fail(c, err, NULL, "out of memory") : put_out(c, &b);
    buf_fini(&b);
    return status;
}

static int run(struct cli *c) {
    struct workflow w;
    size_t format;
    int status = find_format(c, &format);
    if (status) {
        return status;
    }
    enum err err = workflow_open(c, c->arguments[0], node_kinds(), &w);
    if (err == ERR_INVALID) {
        cli_findings(c, &w.diag);
    }
    status = err ? err_exit_code(err) : draw(c, w.plan, format);
    workflow_close(&w);
    return status;
}

static const struct cli_option options[] = {
    {"format", 'f', "ascii|dot|mermaid|svg",
     "of the picture; else by the ending of FILE, or ascii"},
    {"output", 'o', "FILE", "writes it there instead of to standard output"},
};

static const struct cli_example examples[] = {
    {"cairn graph flow.yaml", "boxes and lines; a list where it is too wide for a terminal"},
    {"cairn graph flow.yaml -o flow.svg", "a picture for browsers and documents"},
    {"cairn graph flow.yaml --format mermaid", "for Markdown"},
};

const struct command command_graph = {
    .name = "graph",
    .arguments = "WORKFLOW",
    .doc = "draws a workflow",
    .details =
        "Dashed lines up, and in ascii lines with ^ at their upper end, go back: they begin the "
        "next\niteration of a loop. Dashed lines with the words fallback, on_timeout and "
        "compensate lead to\nthe nodes that are named there.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
