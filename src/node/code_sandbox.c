/* The arguments that run a program inside bwrap (bubblewrap).
 *
 * In there: every folder of the machine read-only, /tmp and /run empty, the private folder the one
 * place that can be written to and kept, no network, no other process to be seen, no capability.
 * bwrap ends with its parent, and its process 1 takes everything inside along. Must never fall back
 * to running without it. Whether it was bwrap or the program that failed is told by bwrap itself
 * on descriptor 4: "exit-code" only comes when the program ran.
 */
#include "node/code_priv.h"

enum { MOST_OPTIONS = 40 };

struct options {
    const char **items;
    size_t count;
};

static void add(struct options *o, const char *const *options) {
    for (; *options != NULL; options++) {
        ASSERT(o->count < MOST_OPTIONS);
        o->items[o->count++] = *options;
    }
}

/* The workflow's folder stays to be seen when it lies where everything else is hidden. */
static bool is_hidden(struct str folder) {
    return str_starts(folder, STR("/tmp/")) || str_starts(folder, STR("/run/"));
}

static void add_all(struct options *o, const char *base_dir, const struct io_scratch *scratch) {
    static const char *const fixed[] = {"bwrap",
                                        "--unshare-all",
                                        "--unshare-user",
                                        "--die-with-parent",
                                        "--cap-drop",
                                        "ALL",
                                        "--ro-bind",
                                        "/",
                                        "/",
                                        "--dev",
                                        "/dev",
                                        "--proc",
                                        "/proc",
                                        "--tmpfs",
                                        "/tmp",
                                        "--tmpfs",
                                        "/run",
                                        NULL};
    const char *path = io_scratch_path(scratch), *beside = io_scratch_beside(scratch);
    add(o, fixed);
    if (is_hidden(str_from(base_dir))) {
        add(o, (const char *const[]){"--ro-bind", base_dir, base_dir, NULL});
    }
    add(o, (const char *const[]){"--bind", path, path, "--ro-bind-try", beside, beside, NULL});
    add(o, (const char *const[]){"--chdir", path, "--json-status-fd", "4", "--", NULL});
}

enum err code_sandbox_wrap(struct code_input *in, struct str base_dir,
                           const struct io_scratch *scratch, struct arena *a, struct error *e) {
    size_t count = 0;
    while (in->argv[count] != NULL) {
        count++;
    }
    struct options o = {ARENA_ARRAY(a, MOST_OPTIONS + count + 1, const char *), 0};
    struct str folder = arena_str(a, base_dir);
    if (o.items == NULL || folder.ptr == NULL) {
        return error_nomem(e);
    }
    add_all(&o, folder.ptr, scratch);
    memcpy(o.items + o.count, in->argv, count * sizeof *in->argv);
    in->argv = o.items;
    return OK;
}

bool code_sandbox_ran(struct str status) {
    return str_find(status, STR("\"exit-code\""), 0) != SIZE_MAX;
}
