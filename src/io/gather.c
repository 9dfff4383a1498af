/* Walking a folder for files that fit patterns, and reading them.
 *
 * Must never follow a link to a folder while walking, nor read what lies outside, nor a device or
 * a pipe. Nobody changes the folder meanwhile (the processes it belonged to are gone), so a path
 * that was looked at stays what it was.
 */
#include "io/gather.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/io_priv.h"

enum { MAX_DEPTH = 64, MAX_ENTRIES = 1000000, FIRST_ITEMS = 16 };

/* ---- patterns ---- */

/* Whether c is in the set that begins behind the bracket; *out is what follows it, or NULL when
 * the bracket is never closed and so stands for itself. */
static bool in_set(struct str set, char c, struct str *out) {
    bool inverse = set.len > 0 && (set.ptr[0] == '!' || set.ptr[0] == '^');
    size_t at = inverse;
    bool found = false;
    *out = (struct str){0};
    for (size_t first = at; at < set.len && (set.ptr[at] != ']' || at == first); at++) {
        unsigned char low = (unsigned char)set.ptr[at], high = low;
        if (at + 2 < set.len && set.ptr[at + 1] == '-' && set.ptr[at + 2] != ']') {
            high = (unsigned char)set.ptr[at + 2];
            at += 2;
        }
        found = found || ((unsigned char)c >= low && (unsigned char)c <= high);
    }
    if (at < set.len) {
        *out = (struct str){set.ptr + at + 1, set.len - at - 1};
    }
    return found != inverse;
}

/* One character of a pattern other than `*`; what is left of it in *out. */
static bool fits_one(struct str pattern, char c, struct str *out) {
    struct str behind = {pattern.ptr + 1, pattern.len - 1};
    *out = behind;
    if (pattern.ptr[0] == '[') {
        struct str rest;
        bool found = in_set(behind, c, &rest);
        if (rest.ptr != NULL) {
            *out = rest;
            return found;
        }
    }
    return pattern.ptr[0] == '?' || pattern.ptr[0] == c;
}

/* Going back to the last `*` is enough: an earlier one could not do better. */
static bool fits_part(struct str pattern, struct str name) {
    struct str star = {0}, from = {0};
    bool hidden = name.len > 0 && name.ptr[0] == '.';
    if (hidden && (pattern.len == 0 || pattern.ptr[0] != '.')) {
        return false;
    }
    while (name.len > 0) {
        struct str rest;
        if (pattern.len > 0 && pattern.ptr[0] == '*') {
            pattern = star = (struct str){pattern.ptr + 1, pattern.len - 1};
            from = name;
        } else if (pattern.len > 0 && fits_one(pattern, name.ptr[0], &rest)) {
            pattern = rest;
            name = (struct str){name.ptr + 1, name.len - 1};
        } else if (from.len > 0) {
            from = (struct str){from.ptr + 1, from.len - 1};
            name = from;
            pattern = star;
        } else {
            return false;
        }
    }
    while (pattern.len > 0 && pattern.ptr[0] == '*') {
        pattern = (struct str){pattern.ptr + 1, pattern.len - 1};
    }
    return pattern.len == 0;
}

/* Parts are taken like characters, `**` like `*`. */
bool io_glob_fits(struct str pattern, struct str path) {
    struct str star = {0}, from = {0};
    while (path.len > 0) {
        struct str pattern_rest, path_rest;
        struct str part = str_split(pattern, '/', &pattern_rest);
        struct str name = str_split(path, '/', &path_rest);
        if (pattern.len > 0 && str_is(part, "**")) {
            pattern = star = pattern_rest;
            from = path;
            if (pattern.len == 0) {
                pattern = star = STR("*"); /* a `**` at the end is every file below */
            }
        } else if (pattern.len > 0 && fits_part(part, name) &&
                   (pattern_rest.len == 0) == (path_rest.len == 0)) {
            pattern = pattern_rest;
            path = path_rest;
        } else if (from.len > 0 && from.ptr[0] != '.') {
            (void)str_split(from, '/', &path_rest);
            from = path = path_rest;
            pattern = star;
        } else {
            return false;
        }
    }
    return pattern.len == 0;
}

/* ---- walking ---- */

struct walk {
    const struct io_gather *g;
    struct arena *arena;
    size_t *hits;  /* files that fit, by pattern */
    bool *folders; /* a folder fits, by pattern: for a hint */
    struct io_gathered *items;
    size_t count, cap, entries;
    uint64_t bytes;
    char path[PATH_MAX]; /* of the entry looked at */
    size_t root_len;     /* of the folder and the slash behind it */
    char real[PATH_MAX]; /* of the folder */
};

static struct str relative(const struct walk *w) { return str_from(w->path + w->root_len); }

static bool fits_any(struct walk *w, bool folder) {
    bool fits = false;
    for (size_t i = 0; i < w->g->glob_count; i++) {
        if (!io_glob_fits(w->g->globs[i].pattern, relative(w))) {
            continue;
        }
        fits = true;
        w->folders[i] = w->folders[i] || folder;
        w->hits[i] += !folder;
    }
    return fits;
}

/* True when the link ends below the folder. */
static bool stays_inside(struct walk *w) {
    char target[PATH_MAX];
    size_t len = strlen(w->real);
    return realpath(w->path, target) != NULL && strncmp(target, w->real, len) == 0 &&
           target[len] == '/';
}

static enum err too_large(const struct walk *w, struct error *e) {
    return error_set(e, ERR_LIMIT, "together they are larger than %llu bytes: the last was %s",
                     (unsigned long long)w->g->max_bytes, w->path + w->root_len);
}

static enum err add_file(struct walk *w, struct error *e) {
    if (w->count == w->cap) {
        size_t cap = w->cap > 0 ? w->cap * 2 : FIRST_ITEMS;
        struct io_gathered *items = ARENA_ARRAY(w->arena, cap, struct io_gathered);
        if (items == NULL) {
            return error_nomem(e);
        }
        if (w->count > 0) {
            memcpy(items, w->items, w->count * sizeof *items);
        }
        w->items = items;
        w->cap = cap;
    }
    struct io_gathered *item = &w->items[w->count];
    if (!str_is_utf8(relative(w))) { /* it could be no key of a map, nor shown */
        return error_set(e, ERR_INVALID, "the name of the file %s is not UTF-8",
                         w->path + w->root_len);
    }
    w->bytes += relative(w).len; /* a million empty files are not for nothing */
    if (w->bytes > w->g->max_bytes) {
        return too_large(w, e);
    }
    item->path = arena_str(w->arena, relative(w));
    uint64_t room = w->g->max_bytes - w->bytes;
    enum err status = item->path.ptr != NULL
                          ? io_file_read(w->path, room < SIZE_MAX ? (size_t)room : SIZE_MAX,
                                         w->arena, &item->bytes, e)
                          : error_nomem(e);
    if (status == ERR_LIMIT) {
        return too_large(w, e);
    }
    if (status == OK) {
        w->bytes += item->bytes.len;
        w->count++;
    }
    return status;
}

static enum err take_file(struct walk *w, bool link, struct error *e) {
    struct stat st;
    if (stat(w->path, &st) != 0 || S_ISDIR(st.st_mode)) {
        if (link && !stays_inside(w) && fits_any(w, false)) {
            return error_set(e, ERR_DENIED, "%s is a link that leads out of the private folder",
                             w->path + w->root_len);
        }
        return OK;
    }
    if (!S_ISREG(st.st_mode) || !fits_any(w, false)) {
        return OK;
    }
    if (link && !stays_inside(w)) {
        return error_set(e, ERR_DENIED, "%s is a link that leads out of the private folder",
                         w->path + w->root_len);
    }
    return add_file(w, e);
}

static enum err walk_folder(struct walk *w, size_t len, int depth, struct error *e);

static enum err walk_entry(struct walk *w, const char *name, size_t len, int depth,
                           struct error *e) {
    int more = snprintf(w->path + len, sizeof w->path - len, "/%s", name);
    if (more < 0 || (size_t)more >= sizeof w->path - len || ++w->entries > MAX_ENTRIES) {
        return error_set(e, ERR_LIMIT, "there is more in the private folder than can be looked at");
    }
    struct stat st;
    if (lstat(w->path, &st) != 0) {
        return io_error_errno(e, errno, "cannot look at", w->path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return take_file(w, S_ISLNK(st.st_mode), e);
    }
    (void)fits_any(w, true);
    return walk_folder(w, len + (size_t)more, depth + 1, e);
}

static enum err walk_folder(struct walk *w, size_t len, int depth, struct error *e) {
    if (depth > MAX_DEPTH) {
        return error_set(e, ERR_LIMIT, "folders are nested more than %d deep", MAX_DEPTH);
    }
    DIR *dir = opendir(w->path);
    if (dir == NULL) {
        return io_error_errno(e, errno, "cannot look into", w->path);
    }
    enum err status = OK;
    struct dirent *entry;
    while (status == OK && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            status = walk_entry(w, entry->d_name, len, depth, e);
        }
    }
    closedir(dir);
    w->path[len] = '\0';
    return status;
}

static int compare(const void *a, const void *b) {
    const struct io_gathered *x = a, *y = b;
    return str_cmp(x->path, y->path);
}

static enum err check_found(const struct walk *w, struct error *e) {
    for (size_t i = 0; i < w->g->glob_count; i++) {
        struct str pattern = w->g->globs[i].pattern;
        if (w->hits[i] > 0 || w->g->globs[i].optional) {
            continue;
        }
        if (w->folders[i]) {
            return error_set(e, ERR_NOT_FOUND,
                             "%.*s is a folder: for the files in it write %.*s/**",
                             STR_ARG(pattern), STR_ARG(pattern));
        }
        return error_set(e, ERR_NOT_FOUND, "no file fits %.*s", STR_ARG(pattern));
    }
    return OK;
}

enum err io_gather(const struct io_gather *g, struct arena *a, struct io_gathered **out,
                   size_t *out_count, struct error *e) {
    struct walk *w = ARENA_NEW(a, struct walk);
    if (w == NULL) {
        return error_nomem(e);
    }
    w->g = g;
    w->arena = a;
    w->hits = ARENA_ARRAY(a, g->glob_count + 1, size_t);
    w->folders = ARENA_ARRAY(a, g->glob_count + 1, bool);
    if (w->hits == NULL || w->folders == NULL) {
        return error_nomem(e);
    }
    if (realpath(g->folder, w->real) == NULL) {
        return io_error_errno(e, errno, "cannot look into", g->folder);
    }
    size_t len = strlen(w->real);
    memcpy(w->path, w->real, len + 1);
    w->root_len = len + 1;
    enum err status = walk_folder(w, len, 0, e);
    if (status == OK) {
        status = check_found(w, e);
    }
    if (status == OK && w->count > 0) {
        qsort(w->items, w->count, sizeof *w->items, compare);
    }
    *out = w->items;
    *out_count = w->count;
    return status;
}
