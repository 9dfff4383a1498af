/* The two ends of --background, and where the log is.
 *
 * The id is printed by the process that works, to what the started one's standard output is, when
 * the first commit is done: then it is true. Nothing is opened before the fork.
 */
#include "cli/background.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "value/value.h"

/* What the started process ends with. */
static int wait_for(struct background *b) {
    int signo = 0;
    int status = io_detach_wait(&b->detach, &signo);
    if (signo) {
        return cli_fail(b->c, ERR_IO, "cairn list shows whether it had recorded anything",
                        "the process in the background was ended by signal %d (%s) before it "
                        "could say anything",
                        signo, sigdescr_np(signo) ? sigdescr_np(signo) : "unknown");
    }
    return status;
}

bool background_begin(struct background *b, struct cli *c, int *out_status) {
    struct error e = {0};
    *b = (struct background){.c = c, .out = c->out, .err = c->err};
    if (!cli_has(c, "background")) {
        return true;
    }
    if (cli_exclude(c, "background", "json-lines",
                    "cairn watch ID --json-lines shows the events")) {
        *out_status = err_exit_code(ERR_USAGE);
        return false;
    }
    if (io_detach_fork(&b->detach, &e)) {
        *out_status = cli_fail_error(c, &e, NULL);
        return false;
    }
    b->on = b->detach.child == 0;
    *out_status = b->on ? 0 : wait_for(b);
    return b->on;
}

/* The file of the store, without a scheme before it; NULL when it is no file. */
static const char *file_of(struct str url) {
    if (str_starts(url, STR("memory:"))) {
        return NULL;
    }
    return str_starts(url, STR("sqlite:")) ? url.ptr + strlen("sqlite:") : url.ptr;
}

enum err background_log(struct background *b, struct session *s, struct str name) {
    struct error e = {0};
    const char *file = file_of(s->url);
    if (!b->on) {
        return OK;
    }
    if (!file) {
        cli_fail(b->c, ERR_USAGE, "name a file with --store",
                 "a store in memory ends with its process: --background needs another");
        return ERR_USAGE;
    }
    b->log = arena_printf(&b->c->arena, "%s-logs/%.*s.log", file, STR_ARG(name));
    enum err err = b->log.ptr ? io_detach_file(&b->detach, b->log.ptr, &e) : error_nomem(&e);
    if (err) {
        cli_fail_error(b->c, &e, NULL);
        return err;
    }
    b->out = b->c->out;
    b->err = b->c->err;
    b->out.fd = b->detach.out;
    b->err.fd = b->detach.err;
    sink_init(&b->c->out, STDOUT_FILENO);
    sink_init(&b->c->err, STDERR_FILENO);
    return OK;
}

/* Who runs the execution. */
struct runner {
    struct str id;      /* empty: several, which are said by then */
    int64_t pid;        /* 0: nobody, it has ended */
    struct str log;     /* empty: not known */
    struct value items; /* of several; null: it is one */
};

static struct value document(struct arena *a, const struct runner *r) {
    struct value_builder m;
    value_builder_init(&m, a);
    if (r->id.len) {
        value_map_add(&m, STR("id"), value_text(r->id));
    } else {
        value_map_add(&m, STR("items"), r->items);
    }
    value_map_add(&m, STR("pid"), r->pid ? value_int(r->pid) : value_null());
    value_map_add(&m, STR("log"), r->log.len ? value_text(r->log) : value_null());
    return value_map_done(&m);
}

static void print_id(struct background *b, const struct runner *r) {
    struct buf text;
    buf_init(&text, 0);
    if (cli_has(b->c, "json")) {
        value_print_json(document(&b->c->arena, r), 2, &text);
        buf_append_char(&text, '\n');
    } else if (r->id.len) {
        buf_printf(&text, "%.*s\n", STR_ARG(r->id));
    }
    sink_flush(&b->out, &text);
    buf_fini(&text);
}

static void print_hints(struct background *b, struct session *s, const struct runner *r) {
    struct buf text;
    buf_init(&text, 0);
    if (r->pid && b->pauses) {
        buf_printf(&text, "goes back in the background, process %lld, and is paused then\n",
                   (long long)r->pid);
    } else if (r->pid) {
        buf_printf(&text, "runs in the background, process %lld\n", (long long)r->pid);
    } else {
        buf_append_cstr(&text, "that execution has ended\n");
    }
    if (r->log.len) {
        buf_append_cstr(&text, "    its log: ");
        text_shell(&text, r->log);
        buf_append_char(&text, '\n');
    }
    if (r->id.len) {
        buf_printf(&text, "    look at it: cairn %s %.*s%.*s\n", r->pid ? "watch" : "results",
                   STR_ARG(r->id), STR_ARG(session_store_option(s)));
    }
    if (r->pid && b->pauses) {
        buf_printf(&text, "    go on then: cairn resume %.*s%.*s\n", STR_ARG(r->id),
                   STR_ARG(session_store_option(s)));
    }
    sink_flush(&b->err, &text);
    buf_fini(&text);
}

/* Gives the status for the process that was started. */
static int print(struct background *b, struct session *s, const struct runner *r) {
    print_id(b, r);
    if (!cli_has(b->c, "quiet")) {
        print_hints(b, s, r);
    }
    if (b->out.failed && b->out.failed != EPIPE) {
        sink_printf(&b->err, "error: cannot write the output: %s\n",
                    strerrordesc_np(b->out.failed));
        return EXIT_STORE;
    }
    return 0;
}

static void tell(struct background *b, struct session *s, const struct runner *r) {
    b->told = true;
    io_detach_alone();
    io_detach_leave(&b->detach, print(b, s, r));
}

void background_tell(struct background *b, struct session *s, struct str id) {
    struct runner r = {.id = id, .pid = getpid(), .log = b->log};
    tell(b, s, &r);
}

void background_tell_all(struct background *b, struct session *s, struct value items) {
    struct runner r = {.pid = getpid(), .log = b->log, .items = items};
    tell(b, s, &r);
}

int background_tell_other(struct background *b, struct session *s, struct str id,
                          int64_t owner_pid) {
    struct runner r = {.id = id, .pid = owner_pid};
    return print(b, s, &r);
}

void background_back(struct background *b, bool drop) {
    if (b->on && !b->told && b->log.ptr) {
        io_detach_back(&b->detach, drop);
        b->log = (struct str){0};
        sink_init(&b->c->out, STDOUT_FILENO);
        sink_init(&b->c->err, STDERR_FILENO);
        b->out = b->c->out;
        b->err = b->c->err;
    }
}
