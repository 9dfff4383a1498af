/* What the files of the code kind share: how code is started, what it is given, what it answers.
 *
 * code.c is the kind: its fields and what is checked when compiling. code_run.c owns an attempt;
 * code_input.c makes arguments, environment and input of a step; code_zygote.c says whose fork it
 * may be instead of a program of its own; code_pure.c says which steps may share processes,
 * code_pool.c has them share, code_frame.c tells these what to do and code_items.c is what they
 * run; code_sandbox.c puts it into bwrap;
 * code_files.c fills the private folder and takes what is to be kept; code_log.c makes output the
 * step's log; code_result.c turns output into a value.
 */
#ifndef CAIRN_NODE_CODE_PRIV_H
#define CAIRN_NODE_CODE_PRIV_H

#include "flow/kind.h"
#include "io/gather.h"
#include "io/launcher.h"
#include "io/scratch.h"

enum code_field {
    CODE_LANGUAGE,
    CODE_CODE,
    CODE_FILE,
    CODE_FUNCTION,
    CODE_COMMAND,
    CODE_ENV,
    CODE_SANDBOX,
    CODE_FILES,
    CODE_ARTIFACTS,
    CODE_EXPECT_EXIT
};

struct code_language {
    const char *name;         /* in the workflow */
    const char *program;      /* that runs it */
    const char *package;      /* of Debian, which has that program */
    const char *what;         /* "the Python code" */
    const char *option;       /* of the program: what follows is its text */
    const char *const *lines; /* of the program that runs the code and answers on descriptor 3,
                               * without their ends, NULL after the last; NULL: a shell, which
                               * gets the code itself */
    const char *const *start; /* more lines: what runs it all at once, NULL for none */
    const char *const *items; /* lines before these for items that share a process, or NULL */
    bool forks;               /* a step may be a fork of a zygote */
    bool js;                  /* integers that a double cannot hold are marked */
    bool typescript;
};

/* Known when the workflow is compiled. */
struct code_data {
    const struct code_language *language; /* NULL: a command */
    struct str text;                      /* the code, whole */
    const char *file;                     /* as messages name it */
    uint32_t line;                        /* of the text's first line in that file */
    struct str folder;   /* of the file, relative to base_dir, for the modules beside it */
    struct str function; /* called with the names it takes; empty: the text is run */
    bool sandbox;
    bool own_folder; /* the process starts in its private folder, not in base_dir */
    bool exits;      /* exit_ok says what is a success; else 0 alone */
    bool exit_ok[256];
    const struct str *preload; /* modules that the zygote imports; each ends with NUL */
    uint32_t preload_count;
    bool repeats; /* more than one step in this language is to be expected */
    bool shares;  /* a process with other such steps */
};

/* One run: what the node says, evaluated. All must stay as it is until the port is answered. */
struct code_job {
    const struct code_data *data;
    struct value names; /* map: what the code sees */
    struct value command, env, files, artifacts;
    bool items; /* its process is to perform items: it is given the code alone */
};

/* ---- code_run.c: one attempt, from start to its answer ---- */

void code_run_start(struct step_port *port, const struct code_job *job);
/* For a kind's cancel. */
void code_run_cancel(struct step_port *port);

/* ---- code_input.c ---- */

/* An error of the text `code` longer than this is told when compiling: the system allows 128 KiB
 * for one argument. */
#define CODE_SHELL_MAX_BYTES 100000

struct code_input {
    const char **argv;
    const char **env;
    struct str stdin_text;
    const char *cwd; /* NULL: the current folder */
    const char *stdin_path_env;
    bool forks; /* zygote is given */
    struct io_zygote_spec zygote;
};

#define CODE_PATH "/usr/local/bin:/usr/bin:/bin" /* when the host has none */
#define CODE_LANG "C.UTF-8"
/* The value of a variable that programs inherit; `otherwise` when the host has none. */
const char *code_inherited(const struct step_port *port, const char *name, const char *otherwise);
/* The program that runs code, for one step or for items, with these lines at its end; ptr is NULL
 * without memory. */
struct str code_runner_text(const struct code_language *language, bool items,
                            const char *const *end, struct arena *a);

/* All in the arena. Errors are permanent failures of the step. */
enum err code_input_make(const struct code_job *job, const struct step_port *port,
                         const struct io_scratch *scratch, struct arena *a, struct code_input *out,
                         struct error *e) MUST_USE;

/* ---- code_frame.c: what a process that performs items is told ---- */

/* The values by name that it was told and keeps: those that are the same for every item. */
struct code_sent {
    struct value *values;
    size_t count;
};
void code_sent_fini(struct code_sent *s);
/* Text as a frame, in b; ptr is NULL without memory. */
struct str code_frame(struct buf *b, struct str text);
/* The input of a program that runs code: the job as JSON. */
enum err code_job_text(const struct code_job *job, const struct step_port *port, struct arena *a,
                       struct str *out, struct error *e) MUST_USE;
/* One step of a process that performs steps of many nodes: its whole job. */
enum err code_step_frame(const struct code_job *job, const struct step_port *port, struct buf *b,
                         struct str *out, struct error *e) MUST_USE;
/* One item: its names, what is new of those that all share, its environment. ERR_INVALID for an
 * environment that cannot be set. */
enum err code_item_frame(const struct code_job *job, const struct step_port *port,
                         struct code_sent *sent, struct buf *b, struct str *out, struct error *e)
    MUST_USE;
/* The variables that differ between attempts of one node: a list of texts NAME=value. */
enum err code_item_env(const struct code_job *job, const struct step_in *in, struct arena *a,
                       struct value *out, struct error *e) MUST_USE;

/* ---- code_pure.c ---- */

/* Nothing in its text leads out of a context of its own, in a process of its language. */
bool code_is_pure(const struct code_data *d);

/* ---- code_pool.c ---- */

struct worker;

/* An item that waits for one of the processes that items of its step share, or has one. After
 * `started` (once or more) and `output` comes either `answered`: exit and what came on descriptor 3
 * are as of a program of its own; or `exited`, when the process ended without an answer, and then
 * `ended`, when nothing is left of it; or `failed` alone. None from inside code_pool_start. */
struct code_item {
    const struct code_job *job;
    struct step_port *port;
    void (*started)(void *ctx, int64_t pid, uint64_t start_time);
    void (*output)(void *ctx, int fd, struct str bytes);
    void (*answered)(void *ctx);
    void (*exited)(void *ctx, const struct io_exit *x, enum err spawn_error,
                   const char *spawn_message, bool over_limit);
    void (*ended)(void *ctx);
    void (*failed)(void *ctx, const struct error *e);
    void *ctx;
    struct io_exit exit; /* when answered */
    /* code_pool.c's own */
    struct code_item *next;
    struct worker *worker; /* NULL: it waits */
    bool cancelled;
};

/* The attempt is an item that may share a process with others of its step, or a step whose code
 * may share one with steps of any node. */
bool code_pool_fits(const struct code_job *job, const struct step_port *port);
/* False without memory. */
bool code_pool_start(struct code_item *item) MUST_USE;
/* It ends soon, in one of the ways that it ends. */
void code_pool_cancel(struct code_item *item);

/* ---- code_zygote.c ---- */

/* False when the step must be a program of its own. */
bool code_may_fork(const struct code_job *job);
/* False then, or when there is no memory for another. */
bool code_zygote_make(const struct code_job *job, const struct step_port *port, struct arena *a,
                      struct io_zygote_spec *out);

/* ---- code_sandbox.c ---- */

/* Puts bwrap before the arguments; the process must have descriptor 4. */
enum err code_sandbox_wrap(struct code_input *in, struct str base_dir,
                           const struct io_scratch *scratch, struct arena *a, struct error *e)
    MUST_USE;
/* True when what bwrap said on descriptor 4 tells that the program ran and ended. */
bool code_sandbox_ran(struct str status);

/* ---- code_files.c ---- */

/* `files` is null or a map of paths below the private folder. */
enum err code_files_check(struct value files, struct error *e) MUST_USE;
/* Writes them. Blocking; may be called on a thread of the pool. */
enum err code_files_write(struct value files, const char *folder, struct error *e) MUST_USE;
/* The patterns of `artifacts`, in the arena. */
enum err code_artifacts_read(struct value artifacts, struct arena *a, struct io_glob **out,
                             size_t *out_count, struct error *e) MUST_USE;

/* ---- code_log.c: pieces of output as pieces of the log: whole characters of valid UTF-8 ---- */

#define CODE_LOG_MAX_BYTES (4u << 20)

struct code_log {
    struct step_port *port;
    struct {
        char bytes[4];
        size_t len;
    } rest[2]; /* of stdout and stderr: the beginning of a character */
    uint64_t used_bytes;
    bool cut;
};

void code_log_add(struct code_log *l, int fd, struct str bytes);
/* Nothing more comes. */
void code_log_end(struct code_log *l);

/* ---- code_result.c ---- */

/* What code said on descriptor 3. */
struct code_answer {
    bool has_value;
    struct value value;
    bool has_error;
    bool permanent;
    struct str type; /* of the failure; empty: code */
    struct str message;
    struct str traceback;
};

/* Reads it; a text that is no answer (the program meddled with the descriptor) is ERR_INVALID. */
enum err code_answer_read(struct arena *a, struct str text, struct code_answer *out,
                          struct error *e) MUST_USE;
/* The value of a standard output: JSON, else text without its last newline, else bytes; null
 * when empty. */
enum err code_output_value(struct arena *a, struct str text, struct value *out, struct error *e)
    MUST_USE;
/* A copy of v in which each bytes value is a map {"$bytes": it}, the form that crosses to the code
 * and back, and for JavaScript each integer that a double cannot hold is {"$int": "digits"}; v
 * itself when it holds none. */
enum err code_mark(struct arena *a, struct value v, bool js, struct value *out, struct error *e)
    MUST_USE;

/* ---- code_python.c, code_js.c ---- */

extern const char *const code_python_lines[];
extern const char *const code_python_start[];
extern const char *const code_items_lines[]; /* code_items.c: to stand behind code_python_lines */
extern const char *const code_js_lines[];

#endif
