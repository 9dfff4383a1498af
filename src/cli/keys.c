/* The key file: a name and its value in base64 on each line, so that any bytes fit.
 *
 * It is only read when nobody else can read it, and written as a whole (mode 0600) under a lock.
 * Must never print a value or put one into a message. What was read is overwritten afterwards.
 */
#include "cli/keys.h"

#include <stdlib.h>

#include "base/base64.h"
#include "cli/session.h"
#include "io/dumps.h"
#include "io/file.h"

#define KEYS_MAX_BYTES (8u << 20)
#define LOCK_WAIT_MS 5000
#define HEAD "# Secrets of cairn, written by `cairn keys`: a name and its value in base64.\n"

/* Keys of services that are commonly set under these names already. */
static const char *const service_keys[] = {
    "ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY", "DEEPSEEK_API_KEY", "GEMINI_API_KEY",
    "GITHUB_TOKEN",      "GOOGLE_API_KEY",       "GROQ_API_KEY",     "MISTRAL_API_KEY",
    "OPENAI_API_KEY",    "OPENROUTER_API_KEY",
};

bool keys_is_name(struct str name) {
    bool ok = name.len > 0 && name.len <= 128 && !(name.ptr[0] >= '0' && name.ptr[0] <= '9');
    for (size_t i = 0; i < name.len && ok; i++) {
        char c = name.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    return ok;
}

/* ---- the file ---- */

static bool decode(struct arena *a, struct str s, struct str *out) {
    char *bytes = arena_alloc(a, s.len / 4 * 3 + 1);
    out->ptr = bytes;
    return bytes && base64_decode(s, bytes, &out->len);
}

static enum err read_line(struct keys *k, struct str line, size_t number, struct error *e) {
    struct str rest = {0};
    struct key key = {.name = str_split(line, ' ', &rest)};
    if (!line.len || line.ptr[0] == '#') {
        return OK;
    }
    if (!keys_is_name(key.name) || !decode(&k->arena, rest, &key.value)) {
        return error_set(e, ERR_CORRUPT,
                         "%s: line %zu is not a name and a value in base64; remove the line, then "
                         "set the key again",
                         k->path.ptr, number);
    }
    k->items[k->count++] = key;
    return OK;
}

static enum err parse(struct keys *k, struct str text, struct error *e) {
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.ptr[i] == '\n';
    }
    k->items = ARENA_ARRAY(&k->arena, lines + 1, struct key); /* room for one to be added */
    if (!k->items) {
        return error_nomem(e);
    }
    enum err err = OK;
    for (size_t number = 1; text.len && !err; number++) {
        struct str line = str_split(text, '\n', &text);
        err = read_line(k, line, number, e);
    }
    return err;
}

static enum err find_path(struct keys *k, struct error *e) {
    arena_init(&k->arena, 0);
    k->path = session_user_path(&k->arena, "XDG_CONFIG_HOME", ".config", "keys");
    k->count = 0;
    return k->path.ptr ? OK : error_set(e, ERR_USAGE, "no place for the key file is known");
}

static enum err read_keys(struct keys *k, struct error *e) {
    struct str text = STR("");
    enum err err = io_file_read_private(k->path.ptr, KEYS_MAX_BYTES, &k->arena, &text, e);
    return err && err != ERR_NOT_FOUND ? err : parse(k, text, e);
}

enum err keys_open(struct keys *k, struct error *e) {
    enum err err = find_path(k, e);
    return err ? err : read_keys(k, e);
}

void keys_close(struct keys *k) { arena_wipe(&k->arena); }

static int64_t find(const struct keys *k, struct str name) {
    for (size_t i = 0; i < k->count; i++) {
        if (str_eq(k->items[i].name, name)) {
            return (int64_t)i;
        }
    }
    return -1;
}

static int by_name(const void *a, const void *b) {
    return str_cmp(((const struct key *)a)->name, ((const struct key *)b)->name);
}

static enum err write_keys(struct keys *k, struct error *e) {
    struct buf b;
    buf_init(&b, KEYS_MAX_BYTES);
    qsort(k->items, k->count, sizeof *k->items, by_name);
    buf_append_cstr(&b, HEAD);
    for (size_t i = 0; i < k->count; i++) {
        buf_append(&b, k->items[i].name);
        buf_append_char(&b, ' ');
        value_print_text(value_bytes(k->items[i].value), &b); /* bytes read as base64 */
        buf_append_char(&b, '\n');
    }
    enum err err = buf_ok(&b) ? io_file_write(k->path.ptr, buf_str(&b), 0600, false, e)
                              : error_set(e, ERR_LIMIT, "%s would have more than %u bytes",
                                          k->path.ptr, KEYS_MAX_BYTES);
    if (b.ptr) {
        explicit_bzero(b.ptr, b.cap);
    }
    buf_fini(&b);
    return err;
}

static enum err change(struct keys *k, struct str name, struct str value, struct error *e) {
    enum err err = read_keys(k, e);
    int64_t at = err ? -1 : find(k, name);
    if (err || (at < 0 && !value.ptr)) {
        return err ? err
                   : error_set(e, ERR_NOT_FOUND, "there is no key \"%.*s\" in %s", STR_ARG(name),
                               k->path.ptr);
    }
    if (!value.ptr) {
        k->items[at] = k->items[--k->count];
    } else if (at < 0) {
        k->items[k->count++] = (struct key){name, value};
    } else {
        k->items[at].value = value;
    }
    return write_keys(k, e);
}

static enum err open_lock(const struct keys *k, struct io_lock *lock, struct error *e) {
    char path[4096];
    size_t folder = k->path.len - strlen("/keys");
    if (k->path.len + sizeof ".lock" > sizeof path) {
        return error_set(e, ERR_LIMIT, "the path of the key file is too long");
    }
    memcpy(path, k->path.ptr, folder);
    path[folder] = '\0';
    enum err err = io_dir_make(path, 0700, e);
    memcpy(path, k->path.ptr, k->path.len);
    memcpy(path + k->path.len, ".lock", sizeof ".lock");
    return err ? err : io_lock_open(lock, path, e);
}

enum err keys_change(struct str name, struct str value, struct error *e) {
    struct keys k;
    struct io_lock lock;
    enum err err = find_path(&k, e);
    err = err ? err : open_lock(&k, &lock, e);
    if (!err) {
        err = io_lock_take(&lock, 0, LOCK_WAIT_MS, e);
        err = err ? err : change(&k, name, value, e);
        io_lock_close(&lock);
    }
    keys_close(&k);
    return err;
}

/* ---- a secret for the host ---- */

static bool is_service_key(struct str name) {
    for (size_t i = 0; i < ARRAY_LEN(service_keys); i++) {
        if (str_is(name, service_keys[i])) {
            return true;
        }
    }
    return false;
}

#define PREFIX "CAIRN_SECRET_"

/* "NAME=value" of the variables CAIRN_SECRET_NAME, NULL-terminated. */
static char **taken;

extern char **environ;

/* What a process was started with anybody of its user can read in /proc, so what holds a secret is
 * overwritten there, and then it is no variable any more. */
void keys_take_environment(void) {
    size_t count = 0, kept = 0;
    for (char **at = environ; *at; at++) {
        count += strncmp(*at, PREFIX, strlen(PREFIX)) == 0;
    }
    taken = calloc(count + 1, sizeof *taken);
    for (char **at = environ; *at && taken; at++) {
        if (strncmp(*at, PREFIX, strlen(PREFIX)) != 0) {
            environ[kept++] = *at;
            continue;
        }
        taken[--count] = strdup(*at + strlen(PREFIX));
        explicit_bzero(*at, strlen(*at));
    }
    if (taken) {
        environ[kept] = NULL;
    }
}

static const char *from_taken(struct str name) {
    for (char **at = taken; at && *at; at++) {
        if (!strncmp(*at, name.ptr, name.len) && (*at)[name.len] == '=') {
            return *at + name.len + 1;
        }
    }
    return NULL;
}

static const char *from_variable(struct arena *a, struct str name) {
    struct str variable = arena_str(a, name);
    return variable.ptr ? getenv(variable.ptr) : NULL;
}

static enum err from_file(struct str name, struct arena *a, struct str *out, struct error *e) {
    struct keys k;
    enum err err = keys_open(&k, e);
    int64_t at = err ? -1 : find(&k, name);
    if (at >= 0) {
        *out = arena_str(a, k.items[at].value);
        err = out->ptr ? OK : error_nomem(e);
    }
    keys_close(&k);
    return err;
}

enum err keys_secret(void *ctx, struct str name, struct arena *a, struct str *out,
                     struct error *e) {
    (void)ctx;
    io_dumps_forbid();
    *out = (struct str){0};
    const char *set = from_taken(name);
    enum err err = set ? OK : from_file(name, a, out, e);
    if (!set && !out->ptr && !err && is_service_key(name)) {
        set = from_variable(a, name);
    }
    if (set) {
        *out = str_from(set);
    }
    if (err || out->ptr) {
        return err;
    }
    return error_set(
        e, ERR_NOT_FOUND,
        "the secret %.*s is not set: run `cairn keys set %.*s`, or set the environment "
        "variable CAIRN_SECRET_%.*s",
        STR_ARG(name), STR_ARG(name), STR_ARG(name));
}
