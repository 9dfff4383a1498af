/* What goes into the private folder of a step before it runs, and what is kept of it afterwards.
 *
 * A path that leaves the folder is refused before anything is written. Values go in as they are
 * when they are text or bytes and as JSON otherwise; files come out as bytes, whatever they hold.
 */
#include "node/code_priv.h"

static enum err refuse_path(const char *field, struct str path, const char *why, struct error *e) {
    return error_set(e, ERR_INVALID,
                     "%s: \"%.*s\" is no path below the private folder: %s. Write it like "
                     "data/in.csv",
                     field, STR_ARG(path), why);
}

enum err code_files_check(struct value files, struct error *e) {
    if (files.type != VALUE_MAP) {
        return files.type == VALUE_NULL
                   ? OK
                   : error_set(e, ERR_INVALID,
                               "files is a map of paths and what to write there, like "
                               "{data/in.csv: \"{{ fetch }}\"}");
    }
    for (size_t i = 0; i < value_count(files); i++) {
        struct str path = value_str(files.pairs[i].key);
        const char *why = io_below_refuse(path);
        if (why != NULL) {
            return refuse_path("files", path, why, e);
        }
    }
    return OK;
}

static enum err write_one(struct str path, struct value v, const char *folder, struct error *e) {
    if (v.type == VALUE_TEXT || v.type == VALUE_BYTES) {
        return io_below_write(folder, path, value_str(v), e);
    }
    struct buf json;
    buf_init(&json, 0);
    value_print_json(v, 0, &json);
    enum err status =
        buf_ok(&json) ? io_below_write(folder, path, buf_str(&json), e) : error_nomem(e);
    buf_fini(&json);
    return status;
}

/* Null is no file: a node that was skipped is null. */
enum err code_files_write(struct value files, const char *folder, struct error *e) {
    enum err status = OK;
    for (size_t i = 0; status == OK && files.type == VALUE_MAP && i < value_count(files); i++) {
        if (!value_is_null(files.pairs[i].val)) {
            status = write_one(value_str(files.pairs[i].key), files.pairs[i].val, folder, e);
        }
    }
    return status;
}

/* ---- artifacts ---- */

static bool read_pattern(struct value v, struct io_glob *out) {
    if (v.type == VALUE_TEXT) {
        *out = (struct io_glob){.pattern = value_str(v)};
        return true;
    }
    const struct value *path = value_get(v, STR("path"));
    const struct value *optional = value_get(v, STR("optional"));
    bool known = optional == NULL || optional->type == VALUE_BOOL;
    if (v.type != VALUE_MAP || path == NULL || path->type != VALUE_TEXT || !known ||
        value_count(v) != (optional != NULL ? 2u : 1u)) {
        return false;
    }
    *out = (struct io_glob){.pattern = value_str(*path),
                            .optional = optional != NULL && optional->boolean};
    return true;
}

enum err code_artifacts_read(struct value artifacts, struct arena *a, struct io_glob **out,
                             size_t *out_count, struct error *e) {
    *out = NULL;
    *out_count = 0;
    if (value_is_null(artifacts)) {
        return OK;
    }
    size_t count = artifacts.type == VALUE_LIST ? value_count(artifacts) : 0;
    struct io_glob *globs = ARENA_ARRAY(a, count + 1, struct io_glob);
    if (globs == NULL) {
        return error_nomem(e);
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_pattern(artifacts.items[i], &globs[i])) {
            count = 0;
            break;
        }
        const char *why = io_below_refuse(globs[i].pattern);
        if (why != NULL) {
            return refuse_path("artifacts", globs[i].pattern, why, e);
        }
    }
    *out = globs;
    *out_count = count;
    return count > 0 ? OK
                     : error_set(e, ERR_INVALID,
                                 "artifacts is a list of patterns of paths, like [dist/*, "
                                 "{path: \"logs/**\", optional: true}]");
}
