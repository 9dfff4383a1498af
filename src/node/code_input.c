/* What a program is given: arguments, environment, standard input.
 *
 * Python and JavaScript get the names they see inside their input; everything else gets them three
 * ways: as JSON on standard input, under the path in CAIRN_INPUT, and, if they are single values,
 * as environment variables. The environment holds nothing else of the host but PATH, HOME and LANG;
 * TMPDIR is the private folder, and so is HOME in a sandbox.
 * Invariant: names beginning with CAIRN_ are set here and by the launcher only.
 */
#include "node/code_priv.h"

#include "flow/plan.h"

enum { VARIABLE_MAX_BYTES = 32768 }; /* longer texts are only in the JSON */

/* The code is run by a program of ours, which takes the names and answers on descriptor 3. */
static bool answers(const struct code_data *d) {
    return d->language != NULL && d->language->lines != NULL;
}

struct variables {
    struct arena *arena;
    const char **items;
    size_t count, cap;
    bool ok;
};

static bool same_name(const char *item, struct str name) {
    return strncmp(item, name.ptr, name.len) == 0 && item[name.len] == '=';
}

/* Sets NAME=value; the last one of a name counts. */
static void set_variable(struct variables *v, struct str name, struct str value) {
    struct str item = arena_printf(v->arena, "%.*s=", STR_ARG(name));
    char *text = arena_alloc(v->arena, item.len + value.len + 1);
    if (item.ptr == NULL || text == NULL) {
        v->ok = false;
        return;
    }
    memcpy(text, item.ptr, item.len);
    memcpy(text + item.len, value.ptr != NULL ? value.ptr : "", value.len);
    size_t at = 0;
    while (at < v->count && !same_name(v->items[at], name)) {
        at++;
    }
    if (at == v->cap - 1) { /* one stays for the NULL at the end */
        size_t cap = v->cap * 2;
        const char **items = ARENA_ARRAY(v->arena, cap, const char *);
        if (items == NULL) {
            v->ok = false;
            return;
        }
        memcpy(items, v->items, v->count * sizeof *items);
        v->items = items;
        v->cap = cap;
    }
    v->items[at] = text;
    v->count += at == v->count;
}

const char *code_inherited(const struct step_port *port, const char *name, const char *otherwise) {
    const char *value = port->launcher != NULL ? io_launcher_env(port->launcher, name) : NULL;
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

static void inherit(struct variables *v, const struct step_port *port, const char *name,
                    const char *otherwise) {
    const char *value = code_inherited(port, name, otherwise);
    if (value != NULL) {
        set_variable(v, str_from(name), str_from(value));
    }
}

/* A single value as the text of a variable or an argument; lists and maps as JSON. */
static bool print_value(struct arena *a, struct value v, struct str *out) {
    struct buf text;
    buf_init(&text, 0);
    value_print_text(v, &text);
    *out = arena_str(a, buf_str(&text));
    bool ok = buf_ok(&text) && out->ptr != NULL;
    buf_fini(&text);
    return ok;
}

static bool is_single(struct value v) {
    if (v.type == VALUE_TEXT) {
        return v.extra <= VARIABLE_MAX_BYTES && memchr(v.ptr, '\0', v.extra) == NULL;
    }
    return v.type != VALUE_LIST && v.type != VALUE_MAP && v.type != VALUE_BYTES;
}

static void set_scope(struct variables *v, struct value scope) {
    for (size_t i = 0; scope.type == VALUE_MAP && i < value_count(scope); i++) {
        struct str text = {0};
        if (!is_single(scope.pairs[i].val)) {
            continue;
        }
        v->ok = v->ok && print_value(v->arena, scope.pairs[i].val, &text);
        set_variable(v, value_str(scope.pairs[i].key), text);
    }
}

static enum err set_given(struct variables *v, struct value env, struct error *e) {
    if (env.type != VALUE_MAP) {
        return env.type == VALUE_NULL ? OK : error_set(e, ERR_INVALID, "env is no map");
    }
    for (size_t i = 0; i < value_count(env); i++) {
        struct str name = value_str(env.pairs[i].key), text;
        if (value_is_null(env.pairs[i].val)) {
            continue;
        }
        if (!print_value(v->arena, env.pairs[i].val, &text)) {
            return error_nomem(e);
        }
        bool bad = name.len == 0 || memchr(name.ptr, '=', name.len) != NULL ||
                   memchr(name.ptr, '\0', name.len) != NULL;
        if (bad || str_starts(name, STR("CAIRN_"))) {
            return error_set(e, ERR_INVALID, "env: %.*s cannot be set: %s", STR_ARG(name),
                             bad ? "it is no name of a variable"
                                 : "names that begin with CAIRN_ are cairn's own");
        }
        if (memchr(text.ptr, '\0', text.len) != NULL) {
            return error_set(e, ERR_INVALID, "env: %.*s holds a NUL character", STR_ARG(name));
        }
        set_variable(v, name, text);
    }
    return OK;
}

static void set_attempt(struct variables *v, const struct step_in *in) {
    char attempt[16];
    size_t at = sizeof attempt;
    uint32_t rest = in->attempt;
    do {
        attempt[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    set_variable(v, STR("CAIRN_STEP"), in->step);
    set_variable(v, STR("CAIRN_IDEMPOTENCY_KEY"), in->key);
    set_variable(v, STR("CAIRN_ATTEMPT_NUMBER"), (struct str){attempt + at, sizeof attempt - at});
}

static void set_own(struct variables *v, const struct step_in *in,
                    const struct io_scratch *scratch) {
    set_variable(v, STR("CAIRN_EXECUTION"), in->execution);
    set_variable(v, STR("CAIRN_STEP_DIR"), str_from(io_scratch_path(scratch)));
    set_attempt(v, in);
}

enum err code_item_env(const struct code_job *job, const struct step_in *in, struct arena *a,
                       struct value *out, struct error *e) {
    struct variables v = {.arena = a, .cap = 16, .ok = true};
    struct value_builder b;
    v.items = ARENA_ARRAY(a, v.cap, const char *);
    enum err status = v.items != NULL ? set_given(&v, job->env, e) : error_nomem(e);
    if (status != OK) {
        return status;
    }
    set_attempt(&v, in);
    value_builder_init(&b, a);
    for (size_t i = 0; i < v.count; i++) {
        value_list_add(&b, value_text(str_from(v.items[i])));
    }
    *out = value_list_done(&b);
    return v.ok && b.ok ? OK : error_nomem(e);
}

static enum err make_env(const struct code_job *job, const struct step_port *port,
                         const struct io_scratch *scratch, struct variables *v, struct error *e) {
    struct str folder = str_from(io_scratch_path(scratch));
    v->cap = 32;
    v->items = ARENA_ARRAY(v->arena, v->cap, const char *);
    if (v->items == NULL) {
        return error_nomem(e);
    }
    inherit(v, port, "PATH", CODE_PATH);
    inherit(v, port, "LANG", CODE_LANG);
    if (job->data->sandbox) {
        set_variable(v, STR("HOME"), folder);
    } else {
        inherit(v, port, "HOME", NULL);
    }
    set_variable(v, STR("TMPDIR"), folder);
    if (!answers(job->data)) {
        set_scope(v, job->names);
    }
    enum err status = set_given(v, job->env, e);
    if (status != OK) {
        return status;
    }
    set_own(v, port->in, scratch);
    return v->ok ? OK : error_nomem(e);
}

/* ---- arguments ---- */

static enum err command_argv(struct value command, struct arena *a, const char ***out,
                             struct error *e) {
    if (command.type != VALUE_LIST || value_count(command) == 0) {
        return error_set(e, ERR_INVALID, "command is no list of a program and its arguments");
    }
    size_t count = value_count(command);
    const char **argv = ARENA_ARRAY(a, count + 1, const char *);
    for (size_t i = 0; argv != NULL && i < count; i++) {
        struct str text;
        if (!print_value(a, command.items[i], &text)) {
            return error_nomem(e);
        }
        if (memchr(text.ptr, '\0', text.len) != NULL) {
            return error_set(e, ERR_INVALID, "command: argument %zu holds a NUL character", i);
        }
        if (i == 0 && text.len == 0) {
            return error_set(e, ERR_INVALID, "command: the program has an empty name");
        }
        argv[i] = text.ptr;
    }
    *out = argv;
    return argv != NULL ? OK : error_nomem(e);
}

/* Newlines before the code make the shell count lines as the workflow file does. */
static enum err shell_argv(const struct code_data *d, struct arena *a, const char ***out,
                           struct error *e) {
    const char **argv = ARENA_ARRAY(a, 5, const char *);
    size_t before = d->line > 0 ? d->line - 1 : 0;
    char *text = arena_alloc(a, before + d->text.len + 1);
    if (argv == NULL || text == NULL) {
        return error_nomem(e);
    }
    memset(text, '\n', before);
    memcpy(text + before, d->text.ptr, d->text.len);
    argv[0] = d->language->program;
    argv[1] = "-c";
    argv[2] = text;
    argv[3] = d->file;
    *out = argv;
    return OK;
}

static void add_lines(struct buf *program, const char *const *lines) {
    for (; lines != NULL && *lines != NULL; lines++) {
        buf_append_cstr(program, *lines);
        buf_append_char(program, '\n');
    }
}

struct str code_runner_text(const struct code_language *language, bool items,
                            const char *const *end, struct arena *a) {
    struct buf program;
    buf_init(&program, 0);
    add_lines(&program, language->lines);
    add_lines(&program, items ? language->items : NULL);
    add_lines(&program, end);
    struct str text = arena_str(a, buf_str(&program));
    bool ok = buf_ok(&program);
    buf_fini(&program);
    return ok ? text : (struct str){0};
}

static enum err runner_argv(const struct code_language *language, bool items, struct arena *a,
                            const char ***out, struct error *e) {
    static const char *const options[2][2] = {{"-X", "utf8"}, {"--experimental-vm-modules"}};
    const char **argv = ARENA_ARRAY(a, 6, const char *);
    struct str text = code_runner_text(language, items, language->start, a);
    if (argv == NULL || text.ptr == NULL) {
        return error_nomem(e);
    }
    size_t count = 0;
    argv[count++] = language->program;
    for (size_t i = 0; i < 2 && options[language->js][i] != NULL; i++) {
        argv[count++] = options[language->js][i];
    }
    argv[count++] = language->option;
    argv[count++] = text.ptr;
    *out = argv;
    return OK;
}

/* ---- standard input ---- */

static enum err print_input(struct arena *a, struct value v, struct str *out, struct error *e) {
    struct buf text;
    buf_init(&text, 0);
    value_print_json(v, 0, &text);
    *out = arena_str(a, buf_str(&text));
    bool ok = buf_ok(&text) && out->ptr != NULL;
    buf_fini(&text);
    return ok ? OK : error_nomem(e);
}

/* Where the modules beside the code are: absolute, as the process may start elsewhere. */
static struct str module_folder(const struct code_data *d, struct str base_dir, struct arena *a) {
    if (base_dir.len == 0) {
        return d->folder.len > 0 ? d->folder : STR(".");
    }
    return d->folder.len > 0 ? arena_printf(a, "%.*s/%.*s", STR_ARG(base_dir), STR_ARG(d->folder))
                             : base_dir;
}

enum err code_job_text(const struct code_job *job, const struct step_port *port, struct arena *a,
                       struct str *out, struct error *e) {
    const struct code_data *d = job->data;
    struct value names;
    enum err status = code_mark(a, job->names, d->language->js, &names, e);
    if (status != OK) {
        return status;
    }
    struct value_builder b;
    value_builder_init(&b, a);
    value_map_add(&b, STR("code"), value_text(d->text));
    value_map_add(&b, STR("file"), value_text(str_from(d->file)));
    value_map_add(&b, STR("line"), value_int(d->line > 0 ? d->line : 1));
    value_map_add(&b, STR("folder"), value_text(module_folder(d, port->base_dir, a)));
    value_map_add(&b, STR("function"), value_text(d->function));
    value_map_add(&b, STR("typescript"), value_bool(d->language->typescript));
    value_map_add(&b, STR("names"), names);
    return b.ok ? print_input(a, value_map_done(&b), out, e) : error_nomem(e);
}

static enum err make_argv(const struct code_job *job, struct arena *a, const char ***out,
                          struct error *e) {
    const struct code_data *d = job->data;
    if (d->language == NULL) {
        return command_argv(job->command, a, out, e);
    }
    return answers(d) ? runner_argv(d->language, job->items, a, out, e) : shell_argv(d, a, out, e);
}

/* In a sandbox the descriptors of this process are not to be seen, so its input is a file there. */
static void place_input(const struct code_job *job, const struct io_scratch *scratch,
                        struct variables *v, struct code_input *out) {
    if (answers(job->data)) {
        return;
    }
    if (job->data->sandbox) {
        set_variable(v, STR("CAIRN_INPUT"), str_from(io_scratch_beside(scratch)));
    } else {
        out->stdin_path_env = "CAIRN_INPUT";
    }
}

static enum err make_input(const struct code_job *job, const struct step_port *port,
                           const struct io_scratch *scratch, struct variables *v,
                           struct code_input *out, struct error *e) {
    enum err status = make_env(job, port, scratch, v, e);
    if (status == OK) {
        status = make_argv(job, v->arena, &out->argv, e);
    }
    if (status == OK) {
        status = answers(job->data) ? code_job_text(job, port, v->arena, &out->stdin_text, e)
                                    : print_input(v->arena, job->names, &out->stdin_text, e);
    }
    if (status == OK) {
        place_input(job, scratch, v, out);
        out->env = v->items;
    }
    return status == OK && !v->ok ? error_nomem(e) : status;
}

enum err code_input_make(const struct code_job *job, const struct step_port *port,
                         const struct io_scratch *scratch, struct arena *a, struct code_input *out,
                         struct error *e) {
    struct code_input input = {0};
    struct variables v = {.arena = a, .ok = true};
    enum err status = make_input(job, port, scratch, &v, &input, e);
    struct str folder = arena_str(a, port->base_dir);
    input.cwd = job->data->own_folder ? io_scratch_path(scratch)
                : folder.len > 0      ? folder.ptr
                                      : NULL;
    if (status == OK) {
        input.forks = code_zygote_make(job, port, a, &input.zygote);
    }
    if (status == OK && job->data->sandbox) {
        status = code_sandbox_wrap(&input, port->base_dir, scratch, a, e);
    }
    *out = input;
    return status;
}
