/* From the names that help uses to what may stand there. The one table of such names: a new kind of
 * argument that shells should complete is a row of `places`, and the scripts of all shells know it.
 * Must never look at a store: scripts are made once and ask for ids when they run.
 */
#include "cli/completion.h"

#include "engine/look.h"
#include "node/node.h"

static const struct {
    const char *name;
    enum completion_type type;
} places[] = {
    {"WORKFLOW", COMPLETE_WORKFLOW},
    {"FILE", COMPLETE_FILE},
    {"URL", COMPLETE_FILE},
    {"DIR", COMPLETE_FOLDER},
    {"ID", COMPLETE_ID},
    {"ID1", COMPLETE_ID},
    {"ID2", COMPLETE_ID},
};

static struct str all_commands(struct cli *c) {
    struct str all = STR("");
    for (size_t i = 0; i < cli_command_count; i++) {
        all =
            arena_printf(&c->arena, "%.*s%s%s", STR_ARG(all), i ? " " : "", cli_commands[i]->name);
    }
    return all;
}

static struct str all_statuses(struct cli *c) {
    struct str all = STR("interrupted");
    for (int i = 0; i <= EXEC_CANCELLED; i++) {
        all =
            arena_printf(&c->arena, "%.*s %s", STR_ARG(all), exec_status_name((enum exec_status)i));
    }
    return all;
}

static struct str all_kinds(struct cli *c) {
    struct kind_table kinds = node_kinds();
    struct str all = STR("");
    for (size_t i = 0; i < kinds.count; i++) {
        all = arena_printf(&c->arena, "%.*s%s%s", STR_ARG(all), i ? " " : "", kinds.kinds[i]->name);
    }
    return all;
}

/* "a|b|c" as "a b c". */
static struct str words_of(struct cli *c, struct str name) {
    struct str all = STR(""), rest = name;
    while (rest.len) {
        struct str one = str_split(rest, '|', &rest);
        all = arena_printf(&c->arena, "%.*s%s%.*s", STR_ARG(all), all.len ? " " : "", STR_ARG(one));
    }
    return all;
}

struct completion completion_of(struct cli *c, struct str name) {
    struct completion found = {0};
    if (str_starts(name, STR("["))) {
        name = str_sub(name, 1, name.len - str_ends(name, STR("]")));
    }
    if (str_ends(name, STR("..."))) {
        found.repeated = true;
        name = str_sub(name, 0, name.len - 3);
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (str_is(name, places[i].name)) {
            found.type = places[i].type;
            return found;
        }
    }
    bool lower = name.len && name.ptr[0] >= 'a' && name.ptr[0] <= 'z';
    found.words = lower                     ? words_of(c, name)
                  : str_is(name, "COMMAND") ? all_commands(c)
                  : str_is(name, "KIND")    ? all_kinds(c)
                  : str_is(name, "STATUS")  ? all_statuses(c)
                                            : STR("");
    found.type = found.words.len ? COMPLETE_WORDS : COMPLETE_NOTHING;
    return found;
}

bool completion_next(struct str *arguments, struct str *out_name) {
    do {
        *out_name = str_split(*arguments, ' ', arguments);
    } while (!out_name->len && arguments->len);
    return out_name->len > 0;
}
