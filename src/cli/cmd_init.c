/* cairn init: a first workflow to run and to change. Never overwrites: a file of that name, a link
 * included, is left alone and said so.
 */
#include "cli/cli.h"
#include "io/file.h"

#define FILE_NAME "flow.yaml"

static const char starter[] =
#define LINE(text) text "\n"
#include "cli/starter.def"
#undef LINE
    ;

static struct str quoted(struct cli *c, struct str path) {
    struct buf b;
    buf_init(&b, 0);
    text_shell(&b, path);
    struct str s = arena_str(&c->arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

static int tell(struct cli *c, struct str path) {
    static const struct cli_example next[] = {
        {"cairn run %.*s", "run it"},
        {"cairn run %.*s -i place=Rome -i limit=200", "with other inputs"},
        {"cairn run %.*s -i approve=true", "it asks you; Ctrl-C, and it can go on later"},
        {"cairn graph %.*s", "see it as a picture"},
        {"cairn results @last --verbose", "what the last run did, step by step"},
    };
    struct str word = quoted(c, path);
    uint32_t longest = (uint32_t)(strlen(next[1].command) - strlen("%.*s") + word.len);
    uint32_t column = longest + 2 > 50 ? longest + 2 : 50;
    struct buf b, line;
    buf_init(&b, 0);
    buf_init(&line, 0);
    buf_printf(&b, "wrote %.*s\n\nwhat to do next:\n", STR_ARG(word));
    for (size_t i = 0; i < ARRAY_LEN(next); i++) {
        const char *hole = strstr(next[i].command, "%.*s");
        size_t before = hole ? (size_t)(hole - next[i].command) : strlen(next[i].command);
        buf_append(&line, (struct str){next[i].command, before});
        if (hole) {
            buf_append(&line, word);
            buf_append_cstr(&line, hole + strlen("%.*s"));
        }
        buf_append_cstr(&b, "  ");
        buf_append(&b, buf_str(&line));
        text_pad(&b, column - (uint32_t)line.len);
        buf_printf(&b, "# %s\n", next[i].doc);
        buf_reset(&line);
    }
    sink_flush(&c->out, &b);
    buf_fini(&b);
    buf_fini(&line);
    return 0;
}

static int run(struct cli *c) {
    struct str folder = str_from(c->argument_count ? c->arguments[0] : ".");
    struct str path = str_is(folder, ".") ? STR(FILE_NAME)
                      : str_ends(folder, STR("/"))
                          ? arena_printf(&c->arena, "%.*s" FILE_NAME, STR_ARG(folder))
                          : arena_printf(&c->arena, "%.*s/" FILE_NAME, STR_ARG(folder));
    struct error e = {0};
    if (!folder.len || !path.ptr) {
        return cli_fail(c, folder.len ? ERR_NOMEM : ERR_USAGE, NULL,
                        folder.len ? "out of memory" : "the folder has no name");
    }
    enum err err = io_file_create(path.ptr, str_from(starter), 0644, true, &e);
    if (err) {
        const char *help = err == ERR_CONFLICT ? "name another folder: cairn init DIR" : NULL;
        return cli_fail_error(c, &e, help);
    }
    return tell(c, path);
}

static const struct cli_example examples[] = {
    {"cairn init", "flow.yaml in this folder"},
    {"cairn init first", "in a folder that is made when it is missing"},
};

const struct command command_init = {
    .name = "init",
    .arguments = "[DIR]",
    .doc = "writes a first workflow, with comments, that runs as it is",
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_max = 1,
    .run = run,
};
