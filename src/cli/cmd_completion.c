/* cairn completion: a script that teaches a shell cairn's commands, options and arguments. It is
 * printed, never installed: where it goes is said in the help.
 */
#include "cli/completion.h"

static const struct {
    const char *name;
    void (*print)(struct cli *c, struct buf *out);
} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

static int run(struct cli *c) {
    struct buf b;
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (!strcmp(c->arguments[0], shells[i].name)) {
            buf_init(&b, 0);
            shells[i].print(c, &b);
            sink_flush(&c->out, &b);
            buf_fini(&b);
            return 0;
        }
    }
    return cli_fail(c, ERR_USAGE, "there are bash, zsh and fish",
                    "no completion is known for \"%.60s\"", c->arguments[0]);
}

static const struct cli_example examples[] = {
    {"source <(cairn completion bash)", "in ~/.bashrc"},
    {"cairn completion zsh > _cairn", "in a folder of $fpath"},
    {"cairn completion fish > cairn.fish", "in ~/.config/fish/completions"},
};

const struct command command_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .doc = "prints a script that completes commands, options and files",
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
