/* Workflow files for flow's loader: relative to the folder of the workflow file and never outside
 * of it, ordinary files of at most LOAD_MAX_BYTES.
 *
 * Links are followed: where they lead is the user's own business. A workflow from standard input
 * finds its files in the current folder.
 */
#include "cli/load.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/file.h"

static bool leaves_folder(struct str path) {
    struct str rest = path;
    if (path.len && path.ptr[0] == '/') {
        return true;
    }
    while (rest.len) {
        if (str_is(str_split(rest, '/', &rest), "..")) {
            return true;
        }
    }
    return false;
}

/* "cannot read PATH: why" becomes "why". */
static void drop_path(struct error *e, struct str path) {
    struct str text = str_from(e->message);
    size_t len = STR("cannot read : ").len + path.len;
    if (text.len > len && str_eq(str_sub(text, len - 2 - path.len, len - 2), path)) {
        memmove(e->message, e->message + len, text.len - len + 1);
    }
}

static enum err read_file(void *ctx, struct str path, struct arena *a, struct str *out,
                          struct error *e) {
    const struct workflow *w = ctx;
    if (leaves_folder(path)) {
        return error_set(e, ERR_INVALID,
                         "it lies outside the workflow's folder %.*s: a workflow only uses files "
                         "in its own folder and below",
                         STR_ARG(w->folder));
    }
    struct str full = STR("/dev/stdin");
    if (!str_eq(path, w->entry)) {
        full = arena_printf(a, "%.*s/%.*s", STR_ARG(w->folder), STR_ARG(path));
    } else if (!str_is(w->path, "-")) {
        full = w->path; /* named in messages as it was typed */
    }

    if (!full.ptr) {
        return error_nomem(e);
    }
    if (memchr(full.ptr, 0, full.len)) {
        return error_set(e, ERR_INVALID, "the path holds a NUL byte");
    }
    enum err err = io_file_read(full.ptr, LOAD_MAX_BYTES, a, out, e);
    if (err && (str_is(w->path, "-") || !str_eq(path, w->entry))) {
        drop_path(e, full); /* who reports it has a name for the file */
    }
    return err;
}

struct str load_shown(struct cli *c, struct str folder, struct str file) {
    char here[PATH_MAX];
    struct str rest = folder, at = getcwd(here, sizeof here) ? str_from(here) : STR("");
    if (at.len && str_eq(folder, at)) {
        return arena_str(&c->arena, file);
    }
    if (at.len > 1 && str_starts(folder, at) && folder.ptr[at.len] == '/') {
        rest = str_sub(folder, at.len + 1, folder.len);
    }
    return arena_printf(&c->arena, "%.*s/%.*s", STR_ARG(rest), STR_ARG(file));
}

static struct str absolute(struct cli *c, const char *folder) {
    char full[PATH_MAX];
    return realpath(folder, full) ? arena_str(&c->arena, str_from(full)) : (struct str){0};
}

static bool place(struct cli *c, const char *path, struct workflow *w) {
    const char *slash = strrchr(path, '/');
    w->path = str_from(path);
    if (str_is(w->path, "-")) {
        w->shown = "<stdin>";
        w->entry = STR(LOAD_STDIN_ENTRY);
        w->folder = absolute(c, ".");
        return w->folder.ptr != NULL;
    }
    struct str folder =
        slash ? arena_printf(&c->arena, "%.*s/", (int)(slash - path), path) : STR("./");
    w->shown = path;
    w->entry = str_from(slash ? slash + 1 : path);
    w->folder = folder.ptr ? absolute(c, folder.ptr) : (struct str){0};
    return w->folder.ptr != NULL;
}

/* What is wrong with a workflow file that cannot be read at all. */
static enum err refuse(struct cli *c, const struct workflow *w, enum err err,
                       const struct error *e) {
    const char *help = "name a workflow file, or - for standard input";
    if (err == ERR_LIMIT) {
        help = "large data belongs into files that steps read, or into inputs";
    }
    if (err == ERR_NOMEM) {
        cli_fail_error(c, e, NULL);
        return err;
    }
    if (!w->path.len) {
        cli_fail(c, err, help, "the name of the workflow file is empty");
    } else if (str_is(w->path, "-")) {
        help = err == ERR_LIMIT ? help : "pipe a workflow into it: cairn run - < flow.yaml";
        cli_fail(c, err, help, "cannot read standard input: %s", e->message);
    } else if (err == ERR_NOT_FOUND) {
        cli_fail(c, err, help, "there is no file %.*s", STR_ARG(w->path));
    } else {
        cli_fail_error(c, e, help);
    }
    return ERR_USAGE;
}

enum err workflow_open(struct cli *c, const char *path, struct kind_table kinds,
                       struct workflow *out) {
    struct error e = {0};
    *out = (struct workflow){0};
    diag_init(&out->diag, &c->arena);
    if (!path[0] || !place(c, path, out) || !out->entry.len) {
        out->path = str_from(path);
        e.code = ERR_NOT_FOUND;
        bool folder = path[0] && !out->entry.len && out->folder.ptr;
        error_set(&e, ERR_INVALID, "cannot read %s: it is a folder", path);
        return refuse(c, out, folder ? ERR_INVALID : ERR_NOT_FOUND, &e);
    }
    struct flow_source source = {
        .entry = out->entry, .display = out->shown, .loader = {out, read_file}, .kinds = kinds};
    enum err err = flow_compile(&source, &out->plan, &out->diag, &e);
    if (!err) {
        return OK;
    }
    out->plan = NULL;
    /* The file itself could not be read, or is no workflow: both are ERR_INVALID for flow. */
    return err == ERR_INVALID && out->diag.errors ? ERR_INVALID : refuse(c, out, err, &e);
}

void workflow_close(struct workflow *w) {
    plan_free(w->plan);
    w->plan = NULL;
}

/* ---- inputs ---- */

struct inputs {
    struct cli *c;
    struct flow_input *items;
    size_t count, cap;
};

static enum err add_input(struct inputs *in, struct flow_input item) {
    if (in->count == in->cap) {
        size_t cap = in->cap ? in->cap * 2 : 16;
        struct flow_input *items = ARENA_ARRAY(&in->c->arena, cap, struct flow_input);
        if (!items) {
            return ERR_NOMEM;
        }
        if (in->count) {
            memcpy(items, in->items, in->count * sizeof *items);
        }
        in->items = items;
        in->cap = cap;
    }
    in->items[in->count++] = item;
    return OK;
}

static enum err usage(struct inputs *in, struct error *e, const char *what, const char *help) {
    struct str text = str_from(what);
    cli_fail(in->c, ERR_USAGE, help ? help : "write -i NAME=TEXT, -i NAME:=JSON or -i @FILE.json",
             "input \"%.*s%s\": %s", STR_ARG(str_sub(text, 0, 60)), text.len > 60 ? "..." : "",
             e->message);
    return ERR_USAGE;
}

/* @FILE.json: a map, every entry an input. */
static enum err add_file(struct inputs *in, const char *text) {
    struct str json;
    struct value v;
    struct error e = {0};
    enum err err = io_file_read(text + 1, LOAD_MAX_BYTES, &in->c->arena, &json, &e);
    err = err ? err : value_parse_json(&in->c->arena, json, &v, &e);
    if (!err && v.type != VALUE_MAP) {
        err = error_set(&e, ERR_INVALID, "the file holds a %s, but inputs are a JSON object",
                        value_type_name(v.type));
    }
    if (err && e.mark.line) {
        struct error at;
        e.mark.file = text + 1;
        error_at(&at, ERR_USAGE, e.mark, "%s", e.message);
        cli_fail_error(in->c, &at, "-i @FILE.json reads a JSON object, every entry an input");
        return ERR_USAGE;
    }
    if (err) {
        return usage(in, &e, text, NULL);
    }
    for (size_t i = 0; i < value_count(v) && !err; i++) {
        struct flow_input item = {.name = value_str(v.pairs[i].key), .value = v.pairs[i].val};
        err = add_input(in, item);
    }
    return err;
}

static enum err add_given(struct inputs *in, const char *text) {
    struct str name, rest;
    struct error e = {0};
    if (text[0] == '@') {
        return add_file(in, text);
    }
    if (!str_is_utf8(str_from(text))) {
        error_set(&e, ERR_USAGE, "the text is not UTF-8");
        return usage(in, &e, text, NULL);
    }
    if (!cli_pair(text, &name, &rest) || str_is(name, ":")) {
        error_set(&e, ERR_USAGE, "expected a name and a value");
        return usage(in, &e, text, NULL);
    }
    struct flow_input item = {.name = name, .is_text = true, .value = value_text(rest)};
    if (name.ptr[name.len - 1] == ':') {
        item.name.len--;
        item.is_text = false;
        enum err err = value_parse_json(&in->c->arena, rest, &item.value, &e);
        if (err) {
            return usage(in, &e, text,
                         "with := the value is JSON, where a text has quotes: city:='\"Rome\"'; "
                         "for a text write city=Rome");
        }
    }
    return add_input(in, item);
}

/* Findings about inputs have no place of their own; what is missing says how to give it. */
static void report_inputs(struct cli *c, const struct diag *d) {
    for (uint32_t i = 0; i < d->count; i++) {
        struct diag_item *item = &d->items[i];
        if (str_is(item->code, "missing_input")) {
            item->help = STR("give it with -i NAME=VALUE, or a default in the workflow");
        }
    }
    cli_findings(c, d);
}

enum err load_given(struct cli *c, struct flow_input **out, size_t *out_count) {
    struct inputs in = {.c = c};
    enum err err = OK;
    for (size_t i = 0; i < c->given_count && !err; i++) {
        if (!strcmp(c->given[i].option->name, "input")) {
            err = add_given(&in, c->given[i].value);
        }
    }
    *out = in.items;
    *out_count = in.count;
    return err;
}

enum err load_inputs_as(struct cli *c, const struct plan *p, const struct flow_input *items,
                        size_t count, struct value *out) {
    struct diag d;
    diag_init(&d, &c->arena);
    enum err err = flow_inputs(p, items, count, &c->arena, out, &d);
    report_inputs(c, &d);
    if (err == ERR_NOMEM) {
        cli_fail(c, ERR_NOMEM, NULL, "out of memory");
    }
    return err;
}

enum err load_inputs(struct cli *c, const struct workflow *w, struct value *out) {
    struct flow_input *items;
    size_t count;
    enum err err = load_given(c, &items, &count);
    return err ? err : load_inputs_as(c, w->plan, items, count, out);
}

enum err load_env(struct cli *c, const struct plan *p, struct value *out) {
    struct value_builder b;
    value_builder_init(&b, &c->arena);
    for (uint32_t i = 0; i < p->env_count; i++) {
        struct str name = arena_str(&c->arena, p->env[i]);
        const char *text = name.ptr ? getenv(name.ptr) : NULL;
        if (text && !str_is_utf8(str_from(text))) {
            cli_fail(c, ERR_INVALID, NULL, "the environment variable %s is not UTF-8 text",
                     name.ptr);
            return ERR_INVALID;
        }
        if (text) {
            value_map_add(&b, name, value_text(str_from(text)));
        }
    }
    *out = value_map_done(&b);
    return b.ok ? OK : ERR_NOMEM;
}
