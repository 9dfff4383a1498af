/* The code kind: runs Python, JavaScript, TypeScript, bash, sh or any program, and makes its output
 * the body.
 *
 * Here are its fields and what is checked when a workflow is compiled; how it runs is in
 * code_run.c. Files are read when the workflow is compiled, never when a step runs (modules that
 * code imports are the exception: they are no part of the workflow).
 */
#include "flow/plan.h"
#include "node/code_priv.h"

static const struct code_language code_languages[] = {
    {.name = "python",
     .program = "python3",
     .package = "python3",
     .what = "the Python code",
     .option = "-c",
     .lines = code_python_lines,
     .start = code_python_start,
     .items = code_items_lines,
     .forks = true},
    {.name = "javascript",
     .program = "node",
     .package = "nodejs",
     .what = "the JavaScript code",
     .option = "-e",
     .lines = code_js_lines,
     .js = true},
    {.name = "typescript",
     .program = "node",
     .package = "nodejs",
     .what = "the TypeScript code",
     .option = "-e",
     .lines = code_js_lines,
     .js = true,
     .typescript = true},
    {.name = "bash", .program = "bash", .package = "bash", .what = "the script", .option = "-c"},
    {.name = "sh", .program = "sh", .package = "dash", .what = "the script", .option = "-c"},
};

static const char *const language_names[] = {"python", "javascript", "typescript",
                                             "bash",   "sh",         NULL};

static const struct code_language *language_find(struct str name) {
    for (size_t i = 0; i < ARRAY_LEN(code_languages); i++) {
        if (str_is(name, code_languages[i].name)) {
            return &code_languages[i];
        }
    }
    return NULL;
}

/* ---- starting and stopping ---- */

static void code_start(const struct step_in *in, struct step_port *port) {
    struct code_job job = {.data = in->node->data,
                           .names = in->scope,
                           .command = in->fields[CODE_COMMAND],
                           .env = in->fields[CODE_ENV],
                           .files = in->fields[CODE_FILES],
                           .artifacts = in->fields[CODE_ARTIFACTS]};
    code_run_start(port, &job);
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

static bool is_shell(const struct code_data *d) {
    return d->language != NULL && d->language->lines == NULL;
}

static void check_language(struct node_check *c, struct code_data *d) {
    struct value language = check_literal(c, "language");
    struct str name = language.type == VALUE_TEXT ? value_str(language) : (struct str){0};
    d->language = language_find(name);
    if (check_has(c, "command") && check_has(c, "language")) {
        d->language = NULL;
        check_error(c, "language", "bad_field",
                    "language goes with code or file, not with command");
    }
    if (check_has(c, "function") && is_shell(d)) {
        check_error(c, "function", "bad_field",
                    "function is only for python, javascript and typescript");
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
    if (is_shell(d) && d->text.len + d->line > CODE_SHELL_MAX_BYTES) {
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

/* A status or a list of them, 0 to 255. */
static void check_expect_exit(struct node_check *c, struct code_data *d) {
    struct value given = check_literal(c, "expect_exit");
    if (value_is_null(given)) {
        return;
    }
    size_t count = given.type == VALUE_LIST ? value_count(given) : 1;
    bool ok = count > 0;
    for (size_t i = 0; ok && i < count; i++) {
        struct value status = given.type == VALUE_LIST ? given.items[i] : given;
        ok = status.type == VALUE_INT && status.num >= 0 && status.num <= 255;
        if (ok) {
            d->exit_ok[status.num] = true;
        }
    }
    d->exits = true;
    if (!ok) {
        check_error(c, "expect_exit", "bad_field",
                    "expect_exit is a list of exit statuses that are a success, like [0, 1]");
    }
}

/* What is constant is refused now; what is not, when the step runs. */
static void check_folder(struct node_check *c, struct code_data *d) {
    struct value sandbox = check_literal(c, "sandbox");
    struct error e;
    struct io_glob *globs;
    size_t count;
    d->sandbox = sandbox.type == VALUE_TEXT && str_is(value_str(sandbox), "bwrap");
    d->own_folder = d->sandbox || check_has(c, "files") || check_has(c, "artifacts");
    if (code_files_check(check_literal(c, "files"), &e) != OK) {
        check_error(c, "files", "bad_field", "%s", e.message);
    }
    if (code_artifacts_read(check_literal(c, "artifacts"), check_arena(c), &globs, &count, &e) !=
        OK) {
        check_error(c, "artifacts", "bad_field", "%s", e.message);
    }
}

/* It has nothing that a process shared with others could not give it. */
static bool may_share(const struct node_check *c, const struct code_data *d) {
    return check_has(c, "code") && !check_has(c, "env") && !check_has(c, "expect_exit") &&
           !d->own_folder && code_is_pure(d) && (d->language->js || d->preload_count == 0);
}

static void code_check(struct node_check *c) {
    struct code_data *d = ARENA_NEW(check_arena(c), struct code_data);
    if (d == NULL) {
        return;
    }
    check_language(c, d);
    if (!check_has(c, "command")) {
        check_text(c, d);
    }
    d->function = keep_text(c, check_literal(c, "function"));
    check_shapes(c);
    check_expect_exit(c, d);
    check_folder(c, d);
    d->preload = check_preload(c, &d->preload_count);
    d->repeats = check_repeats(c, "language");
    d->shares = d->repeats && may_share(c, d);
    check_set_data(c, d);
}

static const char *const sandboxes[] = {"none", "bwrap", NULL};

static const struct field code_fields[] = {
    [CODE_LANGUAGE] = {.name = "language",
                       .type = FIELD_LITERAL,
                       .literal = LITERAL_TEXT,
                       .choices = language_names,
                       .doc = "what code or file is written in"},
    [CODE_CODE] = {.name = "code",
                   .type = FIELD_LITERAL,
                   .literal = LITERAL_TEXT,
                   .one_of = "what to run",
                   .needs = "language",
                   .doc = "the text to run; in Python, JavaScript and TypeScript the body of a "
                          "function: return gives the body, and every name the node sees is a "
                          "variable"},
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
                       .doc = "the function of the file to call, with those names the node sees "
                              "that it takes (in JavaScript with all of them as one object if its "
                              "parameter is written {a, b})"},
    [CODE_COMMAND] = {.name = "command",
                      .type = FIELD_STRUCTURE,
                      .one_of = "what to run",
                      .doc = "a program and its arguments, as a list; no shell is involved. Any "
                             "user of the machine can see arguments: secrets go into env"},
    [CODE_ENV] = {.name = "env",
                  .type = FIELD_STRUCTURE,
                  .secret_ok = true,
                  .doc = "variables for its environment, beside PATH, HOME, LANG, TMPDIR and "
                         "those of cairn (CAIRN_EXECUTION, CAIRN_STEP, CAIRN_STEP_DIR, "
                         "CAIRN_IDEMPOTENCY_KEY, CAIRN_ATTEMPT_NUMBER)"},
    [CODE_SANDBOX] = {.name = "sandbox",
                      .type = FIELD_LITERAL,
                      .literal = LITERAL_TEXT,
                      .choices = sandboxes,
                      .default_text = "none",
                      .doc = "bwrap: without network, with every folder but its private one "
                             "read-only, and no other process to be seen; the step fails where "
                             "that cannot be had"},
    [CODE_FILES] = {.name = "files",
                    .type = FIELD_STRUCTURE,
                    .secret_ok = true,
                    .doc = "what is put into its private folder before it starts, in which it then "
                           "starts: {path: value}; text and bytes as they are, null is no file, "
                           "other values as JSON"},
    [CODE_ARTIFACTS] = {.name = "artifacts",
                        .type = FIELD_STRUCTURE,
                        .doc = "files of its private folder, in which it then starts, to be kept "
                               "as meta.artifacts {path: bytes}: a list of patterns like "
                               "dist/**/*.js; one that nothing fits is a failure unless it is "
                               "written {path: pattern, optional: true}"},
    [CODE_EXPECT_EXIT] = {.name = "expect_exit",
                          .type = FIELD_VALUE,
                          .default_text = "[0]",
                          .doc = "the exit statuses that are a success"},
};

static const char *const code_aliases[] = {"code_job", NULL};

const struct node_kind node_code = {
    .name = "code",
    .aliases = code_aliases,
    .doc = "runs Python, JavaScript, TypeScript, bash, sh or any program, in the folder of the "
           "workflow or in a private one. Scripts and programs get the names they see as JSON on "
           "standard input and in the file CAIRN_INPUT, and single values also as environment "
           "variables",
    .body_doc = "the value that code returned; else standard output, as JSON if it is JSON, or as "
                "text without the last newline, or null if it is empty. All output is the log. An "
                "exit status that is not expected is a failure",
    .fields = code_fields,
    .field_count = ARRAY_LEN(code_fields),
    .flags = KIND_SCOPE | KIND_PROGRAM,
    .example = "type: code\n"
               "language: python\n"
               "code: |\n"
               "  return {\"sum\": 1 + 2}\n",
    .check = code_check,
    .start = code_start,
    .cancel = code_run_cancel,
};
