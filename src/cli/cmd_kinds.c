/* cairn kinds: which kinds of node there are and what their fields mean, from the descriptors: as
 * text, JSON, or the Markdown that the documentation shows.
 */
#include "cli/kinds_print.h"
#include "node/node.h"

static int unknown_kind(struct cli *c, struct kind_table kinds, struct str word) {
    struct str *names = ARENA_ARRAY(&c->arena, kinds.count, struct str);
    for (size_t i = 0; names && i < kinds.count; i++) {
        names[i] = str_from(kinds.kinds[i]->name);
    }
    struct str near = names ? str_nearest(word, names, kinds.count) : (struct str){0};
    struct str help = arena_printf(&c->arena, "did you mean \"%.*s\"?", STR_ARG(near));
    return cli_fail(c, ERR_NOT_FOUND, near.len ? help.ptr : "`cairn kinds` lists them",
                    "there is no kind of node called \"%.*s\"", STR_ARG(str_sub(word, 0, 60)));
}

static int run(struct cli *c) {
    struct kind_table kinds = node_kinds();
    struct str word = c->argument_count ? str_from(c->arguments[0]) : STR("");
    const struct node_kind *one = word.len ? kind_find(&kinds, word) : NULL;
    if (c->argument_count && !one) {
        return unknown_kind(c, kinds, word);
    }
    if (cli_exclude(c, "json", "markdown", NULL)) {
        return err_exit_code(ERR_USAGE);
    }
    if (cli_has(c, "markdown")) {
        kinds_print_markdown(c, kinds, one);
    } else if (cli_has(c, "json")) {
        kinds_print_json(c, kinds, one);
    } else {
        kinds_print_text(c, kinds, one);
    }
    return 0;
}

static const struct cli_option options[] = {
    {"json", 0, NULL, "prints the descriptors as JSON"},
    {"markdown", 0, NULL, "prints them as Markdown"},
};

static const struct cli_example examples[] = {
    {"cairn kinds", "all kinds, and the fields that every node understands"},
    {"cairn kinds code", "the fields of one kind"},
};

const struct command command_kinds = {
    .name = "kinds",
    .arguments = "[KIND]",
    .doc = "shows the kinds of nodes and their fields",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_max = 1,
    .run = run,
};
