/* What the files of the code kind share: how code is started, what it is given, what it answers.
 *
 * code.c owns the run of a process; code_input.c makes arguments, environment and input of a step;
 * code_result.c turns output into a value; code_python.c holds the program that runs Python code.
 */
#ifndef CAIRN_NODE_CODE_PRIV_H
#define CAIRN_NODE_CODE_PRIV_H

#include "flow/kind.h"
#include "io/launcher.h"

enum code_field { CODE_LANGUAGE, CODE_CODE, CODE_FILE, CODE_FUNCTION, CODE_COMMAND, CODE_ENV };

/* Known when the workflow is compiled. */
struct code_data {
    bool python;
    bool command;
    const char *shell;   /* bash or sh, else NULL */
    struct str text;     /* the code, whole */
    const char *file;    /* as messages name it */
    uint32_t line;       /* of the text's first line in that file */
    struct str folder;   /* of the file, relative to base_dir, where the process starts */
    struct str function; /* Python: called with the names it takes; empty: the text is run */
};

/* An error of the text `code` longer than this is told when compiling: the system allows 128 KiB
 * for one argument. */
#define CODE_SHELL_MAX_BYTES 100000

struct code_input {
    const char **argv;
    const char **env;
    struct str stdin_text;
    const char *cwd; /* NULL: the current folder */
    const char *stdin_path_env;
};

/* All in the arena. Errors are permanent failures of the step. */
enum err code_input_make(const struct code_data *d, const struct step_port *port, struct arena *a,
                         struct code_input *out, struct error *e) MUST_USE;

/* What Python code said on descriptor 3. */
struct code_answer {
    bool has_value;
    struct value value;
    bool has_error;
    bool permanent;
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
/* A copy of v in which each bytes value is a map {"$bytes": it}, the form that crosses to Python
 * and back; v itself when it holds none. */
enum err code_mark_bytes(struct arena *a, struct value v, struct value *out, struct error *e)
    MUST_USE;

/* Lines of the program, without their ends; NULL after the last. */
extern const char *const code_python_lines[];

#endif
