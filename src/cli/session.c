/* The composition root: which store, which kinds, which clock.
 *
 * A command that only looks never creates a store: where there is none, there is nothing to see.
 */
#include "cli/session.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/keys.h"
#include "net/net.h"
#include "node/node.h"

#define INBOX_POLL_MS 250 /* how soon what another process asks is seen when nothing tells of it */

struct str session_user_path(struct arena *a, const char *variable, const char *below_home,
                             const char *file) {
    const char *folder = getenv(variable);
    const char *home = getenv("HOME");
    if (folder && folder[0] == '/') {
        return arena_printf(a, "%s/cairn/%s", folder, file);
    }
    if (!home || home[0] != '/') {
        const struct passwd *user = getpwuid(getuid());
        home = user ? user->pw_dir : NULL;
    }
    return home ? arena_printf(a, "%s/%s/cairn/%s", home, below_home, file) : (struct str){0};
}

static struct str default_store(struct arena *a) {
    return session_user_path(a, "XDG_STATE_HOME", ".local/state", "cairn.db");
}

static struct str store_url(struct cli *c) {
    const char *given = cli_value(c, "store");
    const char *set = getenv("CAIRN_STORE");
    if (given) {
        return str_from(given);
    }
    return set && set[0] ? str_from(set) : default_store(&c->arena);
}

enum err session_open(struct session *s, struct cli *c, bool make) {
    struct error e = {0};
    *s = (struct session){.cli = c, .url = store_url(c), .kinds = node_kinds()};
    if (!s->url.ptr || !s->url.len) {
        cli_fail(c, ERR_USAGE, "name it with --store FILE", "no place for the store is known");
        return ERR_USAGE;
    }
    enum err err = store_open(s->url.ptr, make, &io_clock_system, &s->store, &e);
    if (err == ERR_NOT_FOUND && !make) {
        s->store = NULL;
        return OK;
    }
    if (err) {
        s->store = NULL;
        cli_fail_error(c, &e, NULL);
    }
    return err;
}

int session_no_store(const struct session *s) {
    cli_fail(s->cli, ERR_NOT_FOUND, "`cairn run` makes one; --store names another",
             "there is no store at %.*s: no such file, or an empty one", STR_ARG(s->url));
    return EXIT_STORE;
}

enum err session_open_loop(struct session *s) {
    struct error e = {0};
    enum err err = io_loop_open(&io_clock_system, &s->loop, &e);
    if (err) {
        s->loop = NULL;
        cli_fail_error(s->cli, &e, NULL);
    }
    return err;
}

/* CAIRN_ALLOW_PATHS, absolute folders separated by ":": where files of a workflow may lie besides
 * its own folder. NULL in *out without any. */
static enum err allowed_paths(struct cli *c, const char *const **out) {
    struct str rest = str_from(getenv("CAIRN_ALLOW_PATHS"));
    size_t count = 0;
    const char **paths = ARENA_ARRAY(&c->arena, rest.len + 1, const char *);
    *out = NULL;
    while (paths && rest.len) {
        struct str path = str_split(rest, ':', &rest);
        if (path.len && path.ptr[0] != '/') {
            cli_fail(c, ERR_USAGE, "write absolute folders, separated by \":\"",
                     "CAIRN_ALLOW_PATHS: \"%.*s\" is no absolute path",
                     STR_ARG(str_sub(path, 0, 200)));
            return ERR_USAGE;
        }
        if (path.len) {
            paths[count] = arena_str(&c->arena, path).ptr;
            count += paths[count] != NULL;
        }
    }
    *out = count ? paths : NULL;
    return paths ? OK : ERR_NOMEM;
}

/* Of the environment of what is executed when this process dies: settings, never a secret. */
static const char *const passed_on[] = {
    "HOME",         "LANG",         "LC_ALL",        "TZ",         "TMPDIR",          "PATH",
    "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LD_PRELOAD", "LD_LIBRARY_PATH",
};

/* It notes in the store at once that this host is gone, for who looks there without our locks. */
static bool prepare_death(struct session *s, struct host_options *o) {
    struct arena *a = &s->cli->arena;
    const char **argv = ARENA_ARRAY(a, 7, const char *);
    const char **env = ARENA_ARRAY(a, ARRAY_LEN(passed_on) + 1, const char *);
    if (!argv || !env) {
        return false;
    }
    const char *words[] = {"/proc/self/exe", "db", "hosts", "--quiet", "--store", s->url.ptr};
    memcpy(argv, words, sizeof words);
    for (size_t i = 0, n = 0; i < ARRAY_LEN(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        if (value) {
            env[n] = arena_printf(a, "%s=%s", passed_on[i], value).ptr;
            n += env[n] != NULL;
        }
    }
    o->on_death = argv;
    o->on_death_env = env;
    return true;
}

/* CAIRN_WAIT_FOR_SPACE: how long a full disk is waited out. */
static enum err space_wait(struct cli *c, uint32_t *out_ms) {
    const char *text = getenv("CAIRN_WAIT_FOR_SPACE");
    int64_t us = 0;
    if (!text || !*text) {
        return OK;
    }
    if (!time_parse_duration(str_from(text), &us) || us <= 0 || us / 1000 > UINT32_MAX) {
        cli_fail(c, ERR_USAGE, "write a duration: 30s, 10m",
                 "CAIRN_WAIT_FOR_SPACE: \"%.60s\" is no duration of more than 0", text);
        return ERR_USAGE;
    }
    *out_ms = us < 1000 ? 1 : (uint32_t)(us / 1000);
    return OK;
}

enum err session_open_host(struct session *s, const struct host_observer *observer) {
    struct error e = {0};
    enum err err = session_open_net(s, &e);
    struct host_options o = {.store = s->store,
                             .loop = s->loop,
                             .kinds = s->kinds,
                             .net = s->net,
                             .settings = session_settings(&s->cli->arena),
                             .observer = *observer,
                             .secrets = {NULL, keys_secret},
                             .lease_url = s->url.ptr,
                             .inbox_poll_ms = INBOX_POLL_MS,
                             .watched = s->watched};
    if (!err && (allowed_paths(s->cli, &o.allow_paths) || space_wait(s->cli, &o.space_wait_ms))) {
        return ERR_USAGE; /* said by then */
    }
    err = err || prepare_death(s, &o) ? err : error_nomem(&e);
    err = err ? err : host_open(&o, &s->host, &e);
    if (err) {
        s->host = NULL;
        cli_fail_error(s->cli, &e, NULL);
    }
    return err;
}

void session_close(struct session *s) {
    host_close(s->host);
    net_client_close(s->net);
    store_close(s->store);
    io_loop_close(s->loop);
    *s = (struct session){0};
}

int session_run(struct cli *c, int (*look)(struct session *s)) {
    struct session s;
    enum err err = session_open(&s, c, false);
    int status = err ? err_exit_code(err) : look(&s);
    session_close(&s);
    return status;
}

struct str session_store_option(const struct session *s) {
    const char *given = cli_value(s->cli, "store");
    struct str option = STR("");
    struct buf b;
    if (given) {
        buf_init(&b, 0);
        buf_append_cstr(&b, " --store ");
        text_shell(&b, str_from(given));
        option = arena_str(&s->cli->arena, buf_str(&b));
        buf_fini(&b);
    }
    return option;
}

struct str session_busy_line(struct arena *a, const struct error *why) {
    return why ? arena_printf(a, "waiting for the store; nothing is lost: %s\n", why->message)
               : STR("the store is free again\n");
}

static void moment_over(void *ctx) { *(bool *)ctx = true; }

bool session_waits(struct session *s, bool *told, const struct error *why) {
    bool due = false;
    struct io_timer *t =
        why->code == ERR_STORE_BUSY ? io_timer_open(s->loop, moment_over, &due) : NULL;
    if (!t) {
        return false;
    }
    if (!*told) {
        sink_write(&s->cli->err, session_busy_line(&s->cli->arena, why));
    }
    *told = true;
    io_timer_start(t, 100000000);
    while (!due && io_loop_turn(s->loop, true)) {}
    io_timer_close(t);
    return true;
}

wall_us session_now(void) { return io_clock_system.wall(io_clock_system.ctx); }

struct str session_user(struct session *s) {
    const struct passwd *user = getpwuid(getuid());
    return user ? arena_str(&s->cli->arena, str_from(user->pw_name))
                : arena_printf(&s->cli->arena, "user %u", (unsigned)getuid());
}

/* ---- ids ---- */

/* The newest executions, for somebody who mistyped. */
static struct str newest(struct session *s) {
    struct store_filter f = {.limit = 3};
    struct store_execution *rows;
    uint32_t count = 0;
    struct error e;
    struct str text = {0};
    if (s->store && store_execution_list(s->store, &f, &s->cli->arena, &rows, &count, &e)) {
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        text = arena_printf(&s->cli->arena, "%.*s%s%.*s", STR_ARG(text),
                            i ? ", " : "the newest are ", STR_ARG(rows[i].fixed.id));
    }
    return text;
}

static enum err not_found(struct session *s, struct str word) {
    struct str near = newest(s);
    if (!s->store) {
        cli_fail(s->cli, ERR_NOT_FOUND, "`cairn run` makes it; --store names another",
                 "no execution \"%.*s\": there is no store at %.*s yet", STR_ARG(word),
                 STR_ARG(s->url));
    } else {
        cli_fail(s->cli, ERR_NOT_FOUND, near.len ? near.ptr : "there are no executions at all",
                 "no execution \"%.*s\" in %.*s", STR_ARG(word), STR_ARG(s->url));
    }
    return ERR_NOT_FOUND;
}

static enum err ambiguous(struct session *s, struct str word, const struct str *ids,
                          uint32_t count) {
    struct str text = STR("it may be ");
    for (uint32_t i = 0; i < count; i++) {
        text = arena_printf(&s->cli->arena, "%.*s%s%.*s", STR_ARG(text), i ? ", " : "",
                            STR_ARG(ids[i]));
    }
    if (count == STORE_FIND_MAX) {
        text = arena_printf(&s->cli->arena, "%.*s, ...", STR_ARG(text));
    }
    cli_fail(s->cli, ERR_AMBIGUOUS, text.ptr, "\"%.*s\" is the beginning of several ids",
             STR_ARG(word));
    return ERR_AMBIGUOUS;
}

enum err session_find(struct session *s, const char *typed, struct str *out_id) {
    struct str word = str_sub(str_from(typed), 0, 100), prefix = word;
    struct str ids[STORE_FIND_MAX];
    uint32_t count = 0;
    struct error e = {0};
    bool bare = !str_starts(word, STR("exec_")) && !str_is(word, "@last");
    if (bare && !str_starts(STR("exec_"), word)) {
        prefix = arena_printf(&s->cli->arena, "exec_%.*s", STR_ARG(word));
    }
    if (!s->store || !word.len) {
        return not_found(s, word);
    }
    enum err err = store_execution_find(s->store, prefix, &s->cli->arena, ids, &count, &e);
    if (err) {
        cli_fail_error(s->cli, &e, NULL);
        return err;
    }
    if (count == 0) {
        return not_found(s, word);
    }
    if (count > 1) {
        return ambiguous(s, word, ids, count);
    }
    *out_id = ids[0];
    return OK;
}
