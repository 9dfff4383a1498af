/* Files of a workflow: paths, reading each once through the caller's loader, and the list that the
 * plan keeps of them. Opens nothing itself.
 *
 * A path in a workflow is relative to the folder of the file it stands in; the loader gets it
 * relative to the folder of the entry, normalized. A plan knows its own files and those of its
 * sub-workflows, so that it can be compiled again from what it holds.
 */
#include "flow/flow_priv.h"

const char *flow_file_display(struct session *s, struct str path) {
    struct str shown = arena_printf(s->keep, "%.*s%.*s", STR_ARG(s->display_prefix), STR_ARG(path));
    s->nomem |= !shown.ptr;
    return shown.ptr ? shown.ptr : "";
}

/* Drops "." and "a/.." parts; leading ".." parts stay, the loader decides about them. */
static size_t normalize(struct str path, char *out) {
    size_t len = 0;
    struct str rest = path;
    while (rest.len) {
        struct str part = str_split(rest, '/', &rest);
        if (!part.len || str_is(part, ".")) {
            continue;
        }
        size_t last = len;
        while (last > 0 && out[last - 1] != '/') {
            last--;
        }
        bool climbs = len == 0 || str_is((struct str){out + last, len - last}, "..");
        if (str_is(part, "..") && !climbs) {
            len = last ? last - 1 : 0;
            continue;
        }
        if (len) {
            out[len++] = '/';
        }
        memcpy(out + len, part.ptr, part.len);
        len += part.len;
    }
    return len;
}

bool flow_file_resolve(struct unit *u, struct str written, struct mark mark, struct str *out) {
    struct diag *d = u->s->diag;
    struct diag_item *item = NULL;
    if (!written.len || memchr(written.ptr, 0, written.len)) {
        item = diag_error(d, mark, "bad_path", "the path of a file is empty");
    } else if (written.ptr[0] == '/') {
        item = diag_error(d, mark, "bad_path", "\"%.*s\" is an absolute path",
                          STR_ARG(flow_text_clip(written, 200)));
    } else if (str_find(written, STR("{{"), 0) != SIZE_MAX) {
        item = diag_error(d, mark, "bad_path",
                          "the path of a file cannot be computed: all files "
                          "are read before the workflow runs");
    }
    if (item) {
        diag_help(d, item, "write a fixed path relative to the folder of this workflow");
        return false;
    }
    struct str joined =
        arena_printf(&u->s->scratch, "%.*s%.*s", STR_ARG(u->folder), STR_ARG(written));
    char *path = joined.ptr ? flow_keep_array(u->s, joined.len + 1, 1) : NULL;
    if (!path) {
        u->s->nomem = true;
        return false;
    }
    *out = (struct str){path, normalize(joined, path)};
    return true;
}

bool flow_file_note(struct unit *u, const struct plan_file *file) {
    bool is_new = true;
    if (!map_put(&u->noted, file->path, &is_new)) {
        u->s->nomem = true;
        return false;
    }
    if (!is_new) {
        return true;
    }
    if (u->plan->file_count == u->file_cap &&
        !flow_array_grow(u->s, u->s->keep, &u->files, &u->file_cap, sizeof *u->files)) {
        return false;
    }
    u->files[u->plan->file_count++] = *file;
    u->plan->files = u->files;
    return true;
}

static bool refuse_file(struct unit *u, struct str path, struct mark mark, enum err err,
                        const struct error *e) {
    if (err == ERR_NOMEM) {
        u->s->nomem = true;
        return false;
    }
    struct diag_item *item =
        diag_error(u->s->diag, mark, "file", "cannot read \"%.*s\": %s",
                   STR_ARG(flow_text_clip(path, 200)), e->message[0] ? e->message : err_name(err));
    diag_help(u->s->diag, item, "paths are relative to the folder of the workflow file");
    return false;
}

bool flow_file_read(struct unit *u, struct str path, struct mark mark, struct str *out) {
    struct session *s = u->s;
    struct map_entry *known = map_find(&s->texts, path);
    if (!known) {
        struct error e = {0};
        struct str text = {0};
        enum err err = s->source->loader.read(s->source->loader.ctx, path, s->keep, &text, &e);
        if (err) {
            return refuse_file(u, path, mark, err, &e);
        }
        bool is_new;
        struct plan_file *file = KEEP(s, 1, struct plan_file);
        known = file ? map_put(&s->texts, flow_keep_str(s, path), &is_new) : NULL;
        if (!known || s->nomem) {
            s->nomem = true;
            return false;
        }
        *file = (struct plan_file){known->key, text};
        known->ptr = file;
    }
    *out = ((struct plan_file *)known->ptr)->text;
    return flow_file_note(u, known->ptr);
}
