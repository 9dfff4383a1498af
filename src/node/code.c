/* The code kind: runs Python, bash, sh or any program, and makes its output the body.
 *
 * Each attempt is one process, started through the launcher and killed with all it started when
 * the attempt is cancelled. Nothing of the host leaks into it but PATH, HOME, LANG and TMPDIR.
 * Files are read when the workflow is compiled, never when a step runs (modules that Python code
 * imports are the exception: they are no part of the workflow). What is left out here: a sandbox,
 * a private folder, artifacts. Invariant: done or fail is called once per start, from the loop.
 */
#include "node/code_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/plan.h"
#include "io/loop.h"

enum { TAIL_BYTES = 4096, TAIL_LINES = 5, GRACE_MS = 2000 };

struct run {
    struct step_port *port;
    const struct code_data *data;
    struct io_process *process;
    struct io_timer *timer; /* only when start failed: fail may not be called from start */
    struct error start_error;
    struct arena arena;
    struct buf output;     /* standard output */
    struct buf answer;     /* descriptor 3 */
    char tail[TAIL_BYTES]; /* the end of standard error */
    size_t tail_len;
};

/* ---- the end of a run ---- */

static void free_run(struct run *r) {
    io_timer_close(r->timer);
    buf_fini(&r->output);
    buf_fini(&r->answer);
    arena_fini(&r->arena);
    free(r);
}

static void fail(struct run *r, enum failure_class class, const char *type, struct str message,
                 struct value meta) {
    struct step_failure f = {
        .class = class, .type = str_from(type), .message = message, .meta = meta};
    r->port->ops->fail(r->port, &f);
}

static void fail_error(struct run *r, const struct error *e) {
    bool limit = e->code == ERR_LIMIT;
    fail(r, e->code == ERR_TRANSIENT ? FAILURE_TRANSIENT : FAILURE_PERMANENT,
         limit ? "too_large" : "code", str_from(e->message), value_null());
}

static void on_start_failed(void *ctx) {
    struct run *r = ctx;
    fail_error(r, &r->start_error);
    free_run(r);
}

static struct value make_meta(struct run *r, const struct io_exit *x, struct str traceback) {
    struct value_builder b;
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

static const char *what_ran(const struct code_data *d) {
    return d->command ? "the program" : d->python ? "the Python code" : "the script";
}

static void fail_exit(struct run *r, const struct io_exit *x, struct value meta) {
    struct str lines = last_lines(r), said;
    const char *colon = lines.len > 0 ? ": " : "";
    if (x->signal != 0) {
        said = arena_printf(
            &r->arena, "%s was killed by signal %d (SIG%s)%s%.*s", what_ran(r->data), x->signal,
            sigabbrev_np(x->signal) ? sigabbrev_np(x->signal) : "?", colon, STR_ARG(lines));
    } else {
        said = arena_printf(&r->arena, "%s ended with exit status %d%s%.*s", what_ran(r->data),
                            x->status, colon, STR_ARG(lines));
    }
    fail(r, FAILURE_TRANSIENT, "code", said, meta);
}

static void fail_spawn(struct run *r, enum err code, const char *message) {
    struct error e;
    if (code == ERR_NOT_FOUND && !r->data->command) {
        error_set(&e, code, "%s is needed to run this code: %s",
                  r->data->python ? "python3" : r->data->shell, message);
    } else {
        error_set(&e, code, "%s", message);
    }
    fail(r, code == ERR_TRANSIENT ? FAILURE_TRANSIENT : FAILURE_PERMANENT, "code",
         str_from(e.message), value_null());
}

static void fail_too_large(struct run *r, struct value meta) {
    struct str said = arena_printf(
        &r->arena, "%s wrote more than %llu bytes (max_output_bytes): write to a file instead",
        what_ran(r->data), (unsigned long long)r->port->in->max_output_bytes);
    fail(r, FAILURE_PERMANENT, "too_large", said, meta);
}

static void log_output(struct run *r) {
    if (r->output.len > 0) {
        r->port->ops->log(r->port, "stdout", buf_str(&r->output));
    }
}

/* A returned value wins, and then what was printed is the log; else what was printed counts. */
static void complete(struct run *r, const struct code_answer *answer, struct value meta) {
    struct step_result result = {.arena = &r->arena, .meta = meta, .body = answer->value};
    struct error e;
    if (answer->has_value) {
        log_output(r);
    } else if (code_output_value(&r->arena, buf_str(&r->output), &result.body, &e) != OK) {
        fail_error(r, &e);
        return;
    }
    r->port->ops->done(r->port, &result);
}

static void finish(struct run *r, const struct io_exit *x) {
    struct code_answer answer;
    struct error e;
    if (code_answer_read(&r->arena, buf_str(&r->answer), &answer, &e) != OK) {
        error_wrap(&e, e.code, "what came on descriptor 3 is no answer of Python code");
        fail_error(r, &e);
        return;
    }
    struct value meta = make_meta(r, x, answer.traceback);
    if (answer.has_error) {
        log_output(r);
        fail(r, answer.permanent ? FAILURE_PERMANENT : FAILURE_TRANSIENT, "code", answer.message,
             meta);
    } else if (x->status != 0) {
        log_output(r);
        fail_exit(r, x, meta);
    } else {
        complete(r, &answer, meta);
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
    if (fd == 1) {
        buf_append(&r->output, bytes);
    } else if (fd == 3) {
        buf_append(&r->answer, bytes);
    } else {
        keep_tail(r, bytes);
        r->port->ops->log(r->port, "stderr", bytes);
    }
}

static void on_exited(void *ctx, const struct io_exit *x, enum err spawn_error,
                      const char *spawn_message, bool over_limit) {
    struct run *r = ctx;
    if (spawn_error != OK) {
        fail_spawn(r, spawn_error, spawn_message);
    } else if (over_limit) {
        fail_too_large(r, make_meta(r, x, (struct str){0}));
    } else if (!buf_ok(&r->output) || !buf_ok(&r->answer)) {
        fail(r, FAILURE_PERMANENT, "too_large", STR("no memory for the output"), value_null());
    } else {
        finish(r, x);
    }
    free_run(r);
}

/* ---- starting and stopping ---- */

static enum err start_process(struct run *r, struct error *e) {
    struct step_port *port = r->port;
    struct code_input input;
    enum err status = code_input_make(r->data, port, &r->arena, &input, e);
    if (status != OK) {
        return status;
    }
    struct io_process_spec spec = {.argv = input.argv,
                                   .env = input.env,
                                   .cwd = input.cwd,
                                   .stdin_text = input.stdin_text,
                                   .stdin_path_env = input.stdin_path_env,
                                   .max_output_bytes = port->in->max_output_bytes,
                                   .want_result = r->data->python,
                                   .started = on_started,
                                   .output = on_output,
                                   .exited = on_exited,
                                   .ctx = r};
    r->process = io_process_start(port->launcher, &spec, e);
    return r->process != NULL ? OK : e->code;
}

static void code_start(const struct step_in *in, struct step_port *port) {
    struct run *r = calloc(1, sizeof *r);
    ASSERT(r != NULL);
    r->port = port;
    r->data = in->node->data;
    port->kind_data = r;
    arena_init(&r->arena, 0);
    buf_init(&r->output, 0);
    buf_init(&r->answer, 0);
    if (start_process(r, &r->start_error) == OK) {
        return;
    }
    r->timer = io_timer_open(port->loop, on_start_failed, r);
    ASSERT(r->timer != NULL);
    io_timer_start(r->timer, 0);
}

static void code_cancel(struct step_port *port) {
    struct run *r = port->kind_data;
    if (r->process != NULL) {
        io_process_kill(r->process, GRACE_MS);
    }
}

/* ---- compile time ---- */

static struct str folder_of(struct str path) {
    while (path.len > 0 && path.ptr[path.len - 1] != '/') {
        path.len--;
    }
    return path.len > 0 ? (struct str){path.ptr, path.len - 1} : path;
}

static struct str keep_text(struct node_check *c, struct value v) {
    return v.type == VALUE_TEXT ? arena_str(check_arena(c), value_str(v)) : (struct str){0};
}

static void check_language(struct node_check *c, struct code_data *d) {
    struct value language = check_literal(c, "language");
    struct str name = language.type == VALUE_TEXT ? value_str(language) : (struct str){0};
    d->command = check_has(c, "command");
    d->python = str_is(name, "python");
    d->shell = str_is(name, "bash") ? "bash" : str_is(name, "sh") ? "sh" : NULL;
    if (d->command && check_has(c, "language")) {
        check_error(c, "language", "bad_field",
                    "language goes with code or file, not with command");
    }
    if (check_has(c, "function") && name.len > 0 && !d->python) {
        check_error(c, "function", "bad_field", "function is only for language: python");
    }
}

static void check_text(struct node_check *c, struct code_data *d) {
    const char *field = check_has(c, "file") ? "file" : "code";
    struct str given = keep_text(c, check_literal(c, field));
    if (strcmp(field, "file") == 0) {
        d->folder = folder_of(given);
        d->file = given.ptr != NULL ? given.ptr : "";
        d->line = 1;
        if (given.ptr == NULL || !check_read_file(c, "file", given, &d->text)) {
            return;
        }
    } else {
        struct mark mark = check_content_mark(c, "code");
        struct str file = arena_str(check_arena(c), str_from(mark.file));
        d->text = given;
        d->file = file.ptr != NULL && file.len > 0 ? file.ptr : "workflow";
        d->line = mark.line;
    }
    if (!str_is_utf8(d->text) ||
        (d->text.len > 0 && memchr(d->text.ptr, '\0', d->text.len) != NULL)) {
        check_error(c, field, "bad_code", "the code is no UTF-8 text without NUL characters");
    }
    if (d->shell != NULL && d->text.len + d->line > CODE_SHELL_MAX_BYTES) {
        check_error(c, field, "bad_code",
                    "a script of more than %d bytes cannot be run this way: use command to start "
                    "it as a program",
                    CODE_SHELL_MAX_BYTES);
    }
}

static void check_shapes(struct node_check *c) {
    struct value command = check_literal(c, "command"), env = check_literal(c, "env");
    if (!value_is_null(command) && (command.type != VALUE_LIST || value_count(command) == 0)) {
        check_error(c, "command", "bad_field",
                    "command is a list of the program and its arguments, like [ls, -l]");
    }
    if (!value_is_null(env) && env.type != VALUE_MAP) {
        check_error(c, "env", "bad_field", "env is a map of names and values");
    }
    for (size_t i = 0; env.type == VALUE_MAP && i < value_count(env); i++) {
        if (str_starts(value_str(env.pairs[i].key), STR("CAIRN_"))) {
            check_error(c, "env", "bad_field",
                        "%.*s cannot be set: names that begin with CAIRN_ are cairn's own",
                        STR_ARG(value_str(env.pairs[i].key)));
        }
    }
}

static void code_check(struct node_check *c) {
    struct code_data *d = ARENA_NEW(check_arena(c), struct code_data);
    if (d == NULL) {
        return;
    }
    check_language(c, d);
    if (!d->command) {
        check_text(c, d);
    }
    d->function = keep_text(c, check_literal(c, "function"));
    check_shapes(c);
    check_set_data(c, d);
}

static const char *const languages[] = {"python", "bash", "sh", NULL};

static const struct field code_fields[] = {
    [CODE_LANGUAGE] = {.name = "language",
                       .type = FIELD_LITERAL,
                       .literal = LITERAL_TEXT,
                       .choices = languages,
                       .doc = "what code or file is written in"},
    [CODE_CODE] = {.name = "code",
                   .type = FIELD_LITERAL,
                   .literal = LITERAL_TEXT,
                   .one_of = "what to run",
                   .needs = "language",
                   .doc = "the text to run; in Python the body of a function: return gives the "
                          "body, and every name the node sees is a variable"},
    [CODE_FILE] = {.name = "file",
                   .type = FIELD_LITERAL,
                   .literal = LITERAL_TEXT,
                   .one_of = "what to run",
                   .needs = "language",
                   .doc = "a file beside the workflow, run like code, or, with function, loaded "
                          "as a module"},
    [CODE_FUNCTION] = {.name = "function",
                       .type = FIELD_LITERAL,
                       .literal = LITERAL_TEXT,
                       .needs = "file",
                       .doc = "Python: the function of the file to call, with those names the "
                              "node sees that it takes"},
    [CODE_COMMAND] = {.name = "command",
                      .type = FIELD_STRUCTURE,
                      .one_of = "what to run",
                      .doc = "a program and its arguments, as a list; no shell is involved. Any "
                             "user of the machine can see arguments: secrets go into env"},
    [CODE_ENV] = {.name = "env",
                  .type = FIELD_STRUCTURE,
                  .secret_ok = true,
                  .doc = "variables for its environment, beside PATH, HOME, LANG, TMPDIR and "
                         "those of cairn (CAIRN_EXECUTION, CAIRN_STEP, CAIRN_IDEMPOTENCY_KEY, "
                         "CAIRN_ATTEMPT_NUMBER)"},
};

static const char *const code_aliases[] = {"code_job", NULL};

const struct node_kind node_code = {
    .name = "code",
    .aliases = code_aliases,
    .doc = "Runs Python, bash, sh or any program, in the folder the execution was started for. "
           "Scripts and programs get the names they see as JSON on standard input and in the file "
           "CAIRN_INPUT, and single values also as environment variables",
    .body_doc = "the value that Python code returned; else standard output, as JSON if it is "
                "JSON, or as text without the last newline, or null if it is empty. Standard "
                "error is the log. An exit status other than 0 is a failure",
    .fields = code_fields,
    .field_count = ARRAY_LEN(code_fields),
    .flags = KIND_SCOPE,
    .example = "type: code\n"
               "language: python\n"
               "code: |\n"
               "  return {\"sum\": 1 + 2}\n",
    .check = code_check,
    .start = code_start,
    .cancel = code_cancel,
};
