/* file: reads, writes, appends to or updates a file in the workflow's folder.
 *
 * An effect, reading too: what was read is recorded, and the file may be another one later. Writing
 * operations share the lock of the file's folder, so that updates made at once are all kept; a lock
 * that another process has is asked for again, the loop goes on meanwhile. A write or an update
 * that runs again after a crash writes the same; an append is added again: it happens at least
 * once.
 */
#include "flow/plan.h"
#include "node/file_priv.h"
#include "node/node_priv.h"

enum { OPERATION, FILE_PATH, FORMAT, KEYS, LINES, VALUE, FIELDS };

static const struct field fields[FIELDS] = {
    [OPERATION] = {.name = "operation",
                   .type = FIELD_LITERAL,
                   .literal = LITERAL_TEXT,
                   .required = true,
                   .choices = file_operations,
                   .doc = "what is done with the file; update changes parts of a json or yaml file "
                          "and keeps the rest"},
    [FILE_PATH] = {.name = "path",
                   .type = FIELD_TEMPLATE,
                   .required = true,
                   .doc = "the file, in the workflow's folder or in one that CAIRN_ALLOW_PATHS "
                          "lists; written folders are made"},
    [FORMAT] = {.name = "format",
                .type = FIELD_LITERAL,
                .literal = LITERAL_TEXT,
                .choices = file_formats,
                .default_text = "by the extension of path, else text",
                .doc =
                    "what the file holds; jsonl is a JSON value on each line, csv a list of maps "
                    "by the names in the first row, whose values are texts"},
    [KEYS] = {.name = "keys",
              .type = FIELD_STRUCTURE,
              .doc = "dotted paths (servers.0.name). read: one gives its value, a list gives a map "
                     "by path. update: where value goes; a list takes a map by path"},
    [LINES] = {.name = "lines",
               .type = FIELD_STRUCTURE,
               .doc = "read a text as a list of lines: true for all, or 10-20, 10- or 7, from 1"},
    [VALUE] = {.name = "value",
               .type = FIELD_EXPRESSION,
               .doc = "what is written, an expression, or a map or list of expressions; an update "
                      "without keys merges it, a map, into that of the file"},
};

/* ---- compile time ---- */

static void check_fields(struct node_check *c, enum file_operation o) {
    bool reads = o == FILE_READ;
    if (check_has(c, "value") == reads) {
        check_error(c, reads ? "value" : "operation", reads ? "excludes" : "missing_key",
                    reads ? "a read has no value" : "%s needs the key \"value\": what is written",
                    file_operations[o]);
    }
    if (check_has(c, "lines") && !reads) {
        check_error(c, "lines", "excludes", "\"lines\" is only for read");
    }
    if (check_has(c, "keys") && !reads && o != FILE_UPDATE) {
        check_error(c, "keys", "excludes", "\"keys\" is only for read and update");
    }
}

static void check_format(struct node_check *c, enum file_operation o) {
    struct value path = check_literal(c, "path"), format = check_literal(c, "format");
    bool known = format.type == VALUE_TEXT || path.type == VALUE_TEXT;
    struct error e;
    if (!known) {
        return;
    }
    enum file_format f = format.type == VALUE_TEXT
                             ? (enum file_format)file_word(file_formats, value_str(format))
                             : file_format_of(value_str(path));
    if (file_format_check(f, o, &e)) {
        check_error(c, format.type == VALUE_TEXT ? "format" : "path", "bad_value", "%s", e.message);
    }
    if (check_has(c, "lines") && format.type == VALUE_TEXT && f != FILE_TEXT) {
        check_error(c, "lines", "excludes", "\"lines\" is only for the format text");
    }
}

static void check(struct node_check *c) {
    struct value operation = check_literal(c, "operation");
    uint64_t from, to;
    if (operation.type != VALUE_TEXT) {
        return;
    }
    enum file_operation o = (enum file_operation)file_word(file_operations, value_str(operation));
    check_fields(c, o);
    check_format(c, o);
    if (check_has(c, "lines") && check_has(c, "keys")) {
        check_error(c, "lines", "excludes", "\"lines\" and \"keys\" exclude each other");
    }
    if (!file_lines_parse(check_literal(c, "lines"), &from, &to)) {
        check_error(c, "lines", "bad_value", "lines must be true, or like 10-20, 10- or 7");
    }
}

/* ---- one attempt ---- */

struct job {
    struct step_port *port;
    const struct step_in *in;
    enum file_operation operation;
    enum file_format format;
    struct arena arena;
    struct io_place place;
    struct buf text; /* to be written */
    struct value body;
    struct error *e;
};

static enum err read_file(struct job *j, struct str *out) {
    return io_place_read(&j->place, j->in->max_output_bytes, &j->arena, out, j->e);
}

static enum err decode(struct job *j, struct str text, struct value *out) {
    enum err err = file_decode(j->format, text, &j->arena, out, j->e);
    struct str path = str_sub(value_str(j->in->fields[FILE_PATH]), 0, 300);
    return err ? error_wrap(j->e, err, "%.*s", STR_ARG(path)) : OK;
}

static enum err do_read(struct job *j) {
    struct value keys = j->in->fields[KEYS];
    uint64_t from, to;
    struct str text;
    if (!file_lines_parse(j->in->fields[LINES], &from, &to)) {
        return error_set(j->e, ERR_INVALID, "lines must be true, or like 10-20, 10- or 7");
    }
    enum err err = read_file(j, &text);
    err = err ? err : decode(j, text, &j->body);
    if (!err && from) {
        return file_lines_cut(value_str(j->body), from, to, &j->arena, &j->body, j->e);
    }
    bool whole = value_is_null(keys);
    return err || whole ? err : file_keys_get(j->body, keys, &j->arena, &j->body, j->e);
}

static enum err do_write(struct job *j) {
    enum err err = file_encode(j->format, j->in->fields[VALUE], &j->arena, &j->text, j->e);
    return err ? err : io_place_write(&j->place, buf_str(&j->text), j->e);
}

/* Of a csv file the names of the columns are needed; nothing else is read. */
static enum err do_append(struct job *j) {
    struct str before = {0};
    enum err err = j->format == FILE_CSV ? read_file(j, &before) : OK;
    err = err == ERR_NOT_FOUND ? OK : err;
    err =
        err ? err
            : file_encode_more(j->format, j->in->fields[VALUE], before, &j->arena, &j->text, j->e);
    bool lines = j->format == FILE_CSV || j->format == FILE_JSONL;
    return err ? err : io_place_append(&j->place, buf_str(&j->text), lines, j->e);
}

static enum err do_update(struct job *j) {
    struct str text = {0};
    struct value v = value_null();
    enum err err = read_file(j, &text);
    err = err == ERR_NOT_FOUND ? OK : err;
    if (!err && str_trim(text).len) {
        err = decode(j, text, &v);
    }
    err = err ? err
              : file_keys_put(v, j->in->fields[KEYS], j->in->fields[VALUE], &j->arena, &v, j->e);
    err = err ? err : file_encode(j->format, v, &j->arena, &j->text, j->e);
    return err ? err : io_place_write(&j->place, buf_str(&j->text), j->e);
}

static enum err do_operation(struct job *j) {
    static enum err (*const operations[])(struct job * j) = {
        [FILE_READ] = do_read,
        [FILE_WRITE] = do_write,
        [FILE_APPEND] = do_append,
        [FILE_UPDATE] = do_update,
    };
    struct io_bounds bounds = node_bounds(j->port);
    struct value path = j->in->fields[FILE_PATH], format = j->in->fields[FORMAT];
    bool lines = !value_is_null(j->in->fields[LINES]);
    j->operation =
        (enum file_operation)file_word(file_operations, value_str(j->in->fields[OPERATION]));
    j->format = format.type == VALUE_TEXT
                    ? (enum file_format)file_word(file_formats, value_str(format))
                : lines ? FILE_TEXT
                        : file_format_of(value_str(path));
    j->body = path;
    enum err err = file_format_check(j->format, j->operation, j->e);
    err = err ? err : io_place_open(&bounds, value_str(path), &j->place, j->e);
    if (!err && j->operation != FILE_READ) {
        err = io_place_lock(&j->place, j->e);
    }
    return err ? err : operations[j->operation](j);
}

static void tell_failure(struct step_port *port, struct error *e) {
    if (e->code == ERR_STORE_BUSY) {
        error_wrap(e, e->code, "waited %d ms", NODE_WAIT_MS);
        e->code = ERR_TRANSIENT;
    } else if (e->code == ERR_LIMIT) {
        struct step_failure f = {
            .class = FAILURE_PERMANENT, .type = STR("too_large"), .message = str_from(e->message)};
        port->ops->fail(port, &f);
        return;
    }
    node_path_error(e);
    node_fail(port, e);
}

static void tell_done(struct job *j) {
    struct value_builder meta;
    struct str full = arena_printf(&j->arena, "%s/%s", j->place.root_path, j->place.path);
    value_builder_init(&meta, &j->arena);
    value_map_add(&meta, STR("path"), value_text(full));
    struct step_result result = {.body = j->body, .meta = value_map_done(&meta)};
    j->port->ops->done(j->port, &result);
}

static void perform(struct step_port *port) {
    struct error e = {0};
    struct job j = {.port = port, .in = port->in, .place = {.root = -1, .folder = -1}, .e = &e};
    arena_init(&j.arena, 0);
    buf_init(&j.text, 0);
    enum err err = do_operation(&j);
    io_place_close(&j.place);
    if (!err) {
        tell_done(&j);
    } else if (err != ERR_STORE_BUSY || !node_defer_again(port)) {
        tell_failure(port, &e);
    }
    buf_fini(&j.text);
    arena_fini(&j.arena);
}

static void start(const struct step_in *in, struct step_port *port) {
    (void)in;
    node_defer(port, perform);
}

static const char *const aliases[] = {"db", NULL};

const struct node_kind node_file = {
    .name = "file",
    .aliases = aliases,
    .doc = "reads, writes, appends to or updates a file",
    .body_doc = "read: the content; else the path as it was given; meta.path is the absolute path",
    .fields = fields,
    .field_count = FIELDS,
    .example = "type: file\n"
               "operation: update\n"
               "path: out/state.json\n"
               "keys: topics.last\n"
               "value: inputs.topic\n",
    .check = check,
    .start = start,
    .cancel = node_defer_cancel,
};
