/* One attempt of code, from its private folder to its answer.
 *
 * The folder is made, filled (by the pool) and given to one process, which the launcher starts and
 * kills with all it started; when nothing of it is left, what is to be kept is taken out (by the
 * pool) and the folder is removed; only then the port is answered. Nothing of the host leaks into
 * the process but PATH, HOME and LANG.
 * Invariant: done or fail is called once per start, from the loop, never from inside start.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/file.h"
#include "io/loop.h"
#include "node/code_priv.h"

enum { TAIL_BYTES = 4096, TAIL_LINES = 5, GRACE_MS = 2000 };

struct run {
    struct step_port *port;
    struct code_job job;
    struct arena arena;
    struct io_scratch *scratch;
    struct code_input input;
    struct io_process *process; /* NULL before and after it runs */
    bool shares;                /* it has no process of its own, but is this item */
    struct code_item item;
    struct io_timer *timer; /* what start finds out is told from a later turn */
    bool cancelled;
    struct error work_error; /* of what the pool did; code OK for none */
    struct buf output;       /* standard output */
    struct buf answer;       /* descriptor 3 */
    struct buf status;       /* descriptor 4: what bwrap says */
    struct code_log log;
    char tail[TAIL_BYTES]; /* the end of standard error */
    size_t tail_len;
    struct io_glob *globs;
    size_t glob_count;
    struct io_gathered *kept;
    size_t kept_count;
    struct io_exit exit;
    /* what the port will be told */
    bool failed;
    struct step_failure failure;
    struct step_result result;
};

/* ---- the answer, when nothing is left of the attempt ---- */

static void answer_port(void *ctx) {
    struct run *r = ctx;
    io_timer_close(r->timer);
    if (r->failed) {
        r->port->ops->fail(r->port, &r->failure);
    } else {
        r->port->ops->done(r->port, &r->result);
    }
    buf_fini(&r->output);
    buf_fini(&r->answer);
    buf_fini(&r->status);
    arena_fini(&r->arena);
    free(r);
}

static void settle(struct run *r) {
    if (r->scratch == NULL || io_scratch_close(r->scratch, answer_port, r)) {
        answer_port(r);
    }
}

static void fail(struct run *r, enum failure_class class, const char *type, struct str message,
                 struct value meta) {
    r->failed = true;
    r->failure = (struct step_failure){.class = class,
                                       .type = arena_str(&r->arena, str_from(type)),
                                       .message = arena_str(&r->arena, message),
                                       .meta = meta};
}

static void fail_error(struct run *r, const char *type, const struct error *e, struct value meta) {
    fail(r, e->code == ERR_TRANSIENT ? FAILURE_TRANSIENT : FAILURE_PERMANENT,
         e->code == ERR_LIMIT   ? "too_large"
         : e->code == ERR_NOMEM ? err_name(e->code)
                                : type,
         str_from(e->message), meta);
}

static void fail_cancelled(struct run *r) {
    fail(r, FAILURE_PERMANENT, "cancelled", STR("the step was cancelled"), value_null());
}

/* ---- what became of the process ---- */

static struct value make_meta(struct run *r, struct str traceback) {
    const struct io_exit *x = &r->exit;
    struct value_builder b, files;
    value_builder_init(&b, &r->arena);
    value_map_add(&b, STR("exitStatus"), x->signal != 0 ? value_null() : value_int(x->status));
    if (x->signal != 0) {
        value_map_add(&b, STR("signal"), value_int(x->signal));
    }
    value_map_add(&b, STR("userMs"), value_int(x->user_us / 1000));
    value_map_add(&b, STR("systemMs"), value_int(x->system_us / 1000));
    value_map_add(&b, STR("maxRssKib"), value_int(x->max_rss_kib));
    if (traceback.len > 0) {
        value_map_add(&b, STR("traceback"), value_text(traceback));
    }
    if (r->glob_count > 0 && !r->failed) {
        value_builder_init(&files, &r->arena);
        for (size_t i = 0; i < r->kept_count; i++) {
            value_map_add_value(&files, value_text(r->kept[i].path), value_bytes(r->kept[i].bytes));
        }
        value_map_add(&b, STR("artifacts"), value_map_done(&files));
        b.ok = b.ok && files.ok;
    }
    struct value meta = value_map_done(&b);
    return b.ok ? meta : value_null();
}

/* The last lines of standard error, from the start of a line or of a character. */
static struct str last_lines(const struct run *r) {
    struct str s = str_trim((struct str){r->tail, r->tail_len});
    size_t at = s.len;
    for (int lines = 0; at > 0; at--) {
        if (s.ptr[at - 1] == '\n' && ++lines == TAIL_LINES) {
            break;
        }
    }
    if (at == 0 && r->tail_len == TAIL_BYTES) {
        while (at < s.len && ((unsigned char)s.ptr[at] & 0xC0) == 0x80) {
            at++;
        }
    }
    return str_sub(s, at, s.len);
}

static const char *what_ran(const struct run *r) {
    const struct code_language *language = r->job.data->language;
    return language != NULL ? language->what : "the program";
}

static bool is_success(const struct code_data *d, int status) {
    return d->exits ? status >= 0 && status < (int)ARRAY_LEN(d->exit_ok) && d->exit_ok[status]
                    : status == 0;
}

static void fail_exit(struct run *r) {
    const struct io_exit *x = &r->exit;
    struct str lines = last_lines(r), said;
    const char *colon = lines.len > 0 ? ": " : "";
    if (x->signal != 0) {
        const char *name = sigabbrev_np(x->signal);
        said = arena_printf(&r->arena, "%s was killed by signal %d (SIG%s)%s%.*s", what_ran(r),
                            x->signal, name != NULL ? name : "?", colon, STR_ARG(lines));
    } else {
        said = arena_printf(
            &r->arena, "%s ended with exit status %d%s%s%.*s", what_ran(r), x->status,
            r->job.data->exits ? ", which expect_exit does not list" : "", colon, STR_ARG(lines));
    }
    fail(r, FAILURE_TRANSIENT, "code", said, make_meta(r, (struct str){0}));
}

static void fail_missing(struct run *r, const char *message) {
    const struct code_language *language = r->job.data->language;
    if (language == NULL) {
        fail(r, FAILURE_PERMANENT, "not_found", str_from(message), value_null());
        return;
    }
    struct str said = arena_printf(&r->arena,
                                   "%s is needed to run this code: %s. On Debian and Ubuntu it is "
                                   "in the package %s",
                                   language->program, message, language->package);
    fail(r, FAILURE_PERMANENT, "not_found", said, value_null());
}

static void fail_spawn(struct run *r, enum err code, const char *message) {
    struct error e;
    if (r->job.data->sandbox && code != ERR_TRANSIENT) {
        fail(r, FAILURE_PERMANENT, "sandbox",
             arena_printf(&r->arena,
                          "sandbox: bwrap cannot be made: %s. On Debian and Ubuntu bwrap is in the "
                          "package bubblewrap; without it this code is not run",
                          message),
             value_null());
    } else if (code == ERR_NOT_FOUND) {
        fail_missing(r, message);
    } else {
        error_set(&e, code, "%s", message);
        fail_error(r, "code", &e, value_null());
    }
}

/* bwrap ended, but what it was to run never ran. */
static void fail_sandbox(struct run *r) {
    struct str lines = last_lines(r);
    size_t at = str_find(lines, STR("execvp "), 0);
    if (at != SIZE_MAX) {
        struct str what = arena_str(&r->arena, str_sub(lines, at + strlen("execvp "), lines.len));
        fail_missing(r,
                     arena_printf(&r->arena, "in the sandbox the program %.*s", STR_ARG(what)).ptr);
        return;
    }
    struct str said = arena_printf(&r->arena,
                                   "sandbox: bwrap could not make the sandbox, and without it this "
                                   "code is not run: %.*s",
                                   STR_ARG(lines));
    fail(r, FAILURE_PERMANENT, "sandbox", said, make_meta(r, (struct str){0}));
}

static void fail_too_large(struct run *r) {
    struct str said = arena_printf(
        &r->arena, "%s wrote more than %llu bytes (max_output_bytes): write to a file instead",
        what_ran(r), (unsigned long long)r->port->in->max_output_bytes);
    fail(r, FAILURE_PERMANENT, "too_large", said, make_meta(r, (struct str){0}));
}

/* A returned value wins; else what was printed counts. */
static void take_value(struct run *r, const struct code_answer *answer) {
    struct error e;
    r->result = (struct step_result){.arena = &r->arena, .body = answer->value};
    if (answer->has_value) {
        return;
    }
    if (r->exit.stdout_cut) {
        fail_too_large(r);
    } else if (code_output_value(&r->arena, buf_str(&r->output), &r->result.body, &e) != OK) {
        fail_error(r, "code", &e, value_null());
    }
}

/* The type that the program gave its failure. That there was no memory only cairn can say: it would
 * be no failure of the step then, and the whole execution be left alone. */
static const char *type_of(struct run *r, struct str told) {
    bool own = told.len > 0 && !str_is(told, err_name(ERR_NOMEM));
    const char *type = own ? arena_str(&r->arena, told).ptr : NULL;
    return type ? type : "code";
}

static void judge(struct run *r) {
    const struct code_data *d = r->job.data;
    struct code_answer answer;
    struct error e;
    if (d->sandbox && r->exit.signal == 0 && r->exit.status != 0 &&
        !code_sandbox_ran(buf_str(&r->status))) {
        fail_sandbox(r);
        return;
    }
    if (code_answer_read(&r->arena, buf_str(&r->answer), &answer, &e) != OK) {
        error_wrap(&e, e.code, "what came on descriptor 3 is no answer of the code");
        fail_error(r, "code", &e, value_null());
    } else if (answer.has_error) {
        fail(r, answer.permanent ? FAILURE_PERMANENT : FAILURE_TRANSIENT, type_of(r, answer.type),
             answer.message, make_meta(r, answer.traceback));
    } else if (!is_success(d, r->exit.status)) {
        fail_exit(r);
    } else {
        take_value(r, &answer);
    }
}

/* ---- what is kept ---- */

static void gather(void *ctx) {
    struct run *r = ctx;
    struct io_gather g = {.folder = io_scratch_path(r->scratch),
                          .globs = r->globs,
                          .glob_count = r->glob_count,
                          .max_bytes = r->port->in->max_output_bytes};
    r->work_error.code = io_gather(&g, &r->arena, &r->kept, &r->kept_count, &r->work_error);
}

static void gathered(void *ctx) {
    struct run *r = ctx;
    if (r->work_error.code != OK) {
        error_wrap(&r->work_error, r->work_error.code, "artifacts");
        fail_error(r, "artifacts", &r->work_error, make_meta(r, (struct str){0}));
    } else {
        r->result.meta = make_meta(r, (struct str){0});
    }
    settle(r);
}

static void conclude(struct run *r) {
    if (r->failed) {
        settle(r);
    } else if (r->glob_count == 0) {
        r->result.meta = make_meta(r, (struct str){0});
        settle(r);
    } else if (!io_work_start(r->port->loop, gather, gathered, r)) {
        fail(r, FAILURE_TRANSIENT, "no_memory", STR("no memory to read the artifacts"),
             value_null());
        settle(r);
    }
}

/* ---- what the process does ---- */

static void on_started(void *ctx, int64_t pid, uint64_t start_time) {
    struct run *r = ctx;
    r->port->ops->process(r->port, pid, start_time);
}

static void keep_tail(struct run *r, struct str bytes) {
    if (bytes.len > TAIL_BYTES) {
        bytes = str_sub(bytes, bytes.len - TAIL_BYTES, bytes.len);
    }
    if (r->tail_len + bytes.len > TAIL_BYTES) {
        size_t kept = TAIL_BYTES - bytes.len;
        memmove(r->tail, r->tail + r->tail_len - kept, kept);
        r->tail_len = kept;
    }
    memcpy(r->tail + r->tail_len, bytes.ptr, bytes.len);
    r->tail_len += bytes.len;
}

static void on_output(void *ctx, int fd, struct str bytes) {
    struct run *r = ctx;
    if (fd == 3) {
        buf_append(&r->answer, bytes);
        return;
    }
    if (fd == 4) {
        buf_append(&r->status, bytes);
        return;
    }
    if (fd == 1) {
        buf_append(&r->output, bytes);
    } else {
        keep_tail(r, bytes);
    }
    code_log_add(&r->log, fd, bytes);
}

static void take_end(void *ctx, const struct io_exit *x, enum err spawn_error,
                     const char *spawn_message, bool over_limit) {
    struct run *r = ctx;
    r->exit = *x;
    code_log_end(&r->log);
    if (spawn_error != OK) {
        fail_spawn(r, spawn_error, spawn_message);
    } else if (over_limit) {
        fail_too_large(r);
    } else if (!buf_ok(&r->output) || !buf_ok(&r->answer) || !buf_ok(&r->status)) {
        fail(r, FAILURE_PERMANENT, "too_large", STR("no memory for the output"), value_null());
    } else {
        judge(r);
    }
}

static void on_exited(void *ctx, const struct io_exit *x, enum err spawn_error,
                      const char *spawn_message, bool over_limit) {
    struct run *r = ctx;
    r->process = NULL;
    take_end(r, x, spawn_error, spawn_message, over_limit);
    conclude(r);
}

/* ---- an item that shares a process ---- */

static void on_answered(void *ctx) {
    struct run *r = ctx;
    take_end(r, &r->item.exit, OK, "", false);
    conclude(r);
}

static void on_ended(void *ctx) { conclude(ctx); }

static void on_failed(void *ctx, const struct error *e) {
    struct run *r = ctx;
    fail_error(r, e->code == ERR_CANCELLED ? "cancelled" : "code", e, value_null());
    settle(r);
}

static bool share(struct run *r) {
    r->shares = true;
    r->item = (struct code_item){.job = &r->job,
                                 .port = r->port,
                                 .started = on_started,
                                 .output = on_output,
                                 .answered = on_answered,
                                 .exited = take_end,
                                 .ended = on_ended,
                                 .failed = on_failed,
                                 .ctx = r};
    return code_pool_start(&r->item);
}

/* ---- starting and stopping ---- */

static bool answers(const struct run *r) {
    const struct code_language *language = r->job.data->language;
    return language != NULL && language->lines != NULL;
}

static enum err start_process(struct run *r, struct error *e) {
    struct io_process_spec spec = {.argv = r->input.argv,
                                   .env = r->input.env,
                                   .cwd = r->input.cwd,
                                   .stdin_text = r->input.stdin_text,
                                   .stdin_path_env = r->input.stdin_path_env,
                                   .max_output_bytes = r->port->in->max_output_bytes,
                                   .keep_running = answers(r),
                                   .want_result = answers(r),
                                   .want_status = r->job.data->sandbox,
                                   .zygote = r->input.forks ? &r->input.zygote : NULL,
                                   .started = on_started,
                                   .output = on_output,
                                   .exited = on_exited,
                                   .ctx = r};
    r->process = io_process_start(r->port->launcher, &spec, e);
    return r->process != NULL ? OK : e->code;
}

static bool needs_input_file(const struct run *r) { return r->job.data->sandbox && !answers(r); }

/* On a thread of the pool. */
static void fill_folder(void *ctx) {
    struct run *r = ctx;
    struct error *e = &r->work_error;
    e->code = code_files_write(r->job.files, io_scratch_path(r->scratch), e);
    if (e->code == OK && needs_input_file(r)) {
        e->code = io_file_write(io_scratch_beside(r->scratch), r->input.stdin_text, 0600, false, e);
    }
}

static void folder_filled(void *ctx) {
    struct run *r = ctx;
    struct error e = r->work_error;
    if (e.code == OK && !r->cancelled && start_process(r, &e) == OK) {
        return;
    }
    if (r->cancelled) {
        fail_cancelled(r);
    } else {
        fail_error(r, r->work_error.code != OK ? "files" : "code", &e, value_null());
    }
    settle(r);
}

static enum err prepare(struct run *r, struct error *e) {
    enum err status = code_files_check(r->job.files, e);
    if (status == OK) {
        status = code_artifacts_read(r->job.artifacts, &r->arena, &r->globs, &r->glob_count, e);
    }
    if (status == OK && (r->scratch = io_scratch_open(r->port->launcher, e)) == NULL) {
        status = e->code;
    }
    return status == OK ? code_input_make(&r->job, r->port, r->scratch, &r->arena, &r->input, e)
                        : status;
}

static enum err begin(struct run *r, struct error *e) {
    if (code_pool_fits(&r->job, r->port)) {
        return share(r) ? OK : error_nomem(e);
    }
    enum err status = prepare(r, e);
    if (status != OK) {
        return status;
    }
    if (value_is_null(r->job.files) && !needs_input_file(r)) {
        return start_process(r, e);
    }
    return io_work_start(r->port->loop, fill_folder, folder_filled, r) ? OK : error_nomem(e);
}

static void on_begin_failed(void *ctx) { settle(ctx); }

void code_run_start(struct step_port *port, const struct code_job *job) {
    struct run *r = calloc(1, sizeof *r);
    struct io_timer *timer = r ? io_timer_open(port->loop, on_begin_failed, r) : NULL;
    if (timer == NULL) {
        free(r);
        port->ops->no_memory(port);
        return;
    }
    r->port = port;
    r->job = *job;
    r->log.port = port;
    port->kind_data = r;
    arena_init(&r->arena, 0);
    buf_init(&r->output, 0);
    buf_init(&r->answer, 0);
    buf_init(&r->status, 0);
    struct error e;
    if (begin(r, &e) == OK) {
        io_timer_close(timer);
        return;
    }
    fail_error(r, "code", &e, value_null());
    r->timer = timer;
    io_timer_start(r->timer, 0);
}

void code_run_cancel(struct step_port *port) {
    struct run *r = port->kind_data;
    r->cancelled = true;
    if (r->shares) {
        code_pool_cancel(&r->item);
    } else if (r->process != NULL) {
        io_process_kill(r->process, GRACE_MS);
    }
}
