/* cairn keys: sets, lists and removes secrets of this user.
 *
 * A value is never an argument (the shell's history and the list of processes would have it) and
 * never printed: it is read from standard input, on a terminal without echo. Left out on purpose:
 * a way to see a value again.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/keys.h"
#include "io/dumps.h"
#include "value/redact.h"

/* ---- reading a value ---- */

static void on_signal(int signo) { (void)signo; }

/* Until the end of the input, or with a mask of one line from a terminal. Signals come in only
 * while it waits there, so none is missed: it fails with EINTR then. */
static bool read_input(char *out, size_t max, const sigset_t *waiting, size_t *out_len) {
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < max && !(waiting && len && out[len - 1] == '\n')) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (waiting && ppoll(&input, 1, NULL, waiting) < 0) {
            return false;
        }
        got = read(STDIN_FILENO, out + len, max - len);
        len += got > 0 ? (size_t)got : 0;
    }
    *out_len = len;
    return got >= 0;
}

/* The terminal is put right before the program leaves, whatever ends it. */
static bool read_silently(struct cli *c, struct str name, char *out, size_t max, size_t *len) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    struct sigaction before[ARRAY_LEN(signals)];
    const struct sigaction leave = {.sa_handler = on_signal};
    struct termios shown, hidden;
    sigset_t held, waiting;
    if (tcgetattr(STDIN_FILENO, &shown)) {
        return false;
    }
    sigemptyset(&held);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        sigaddset(&held, signals[i]);
        sigaction(signals[i], &leave, &before[i]);
    }
    sigprocmask(SIG_BLOCK, &held, &waiting);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    sink_printf(&c->err, "value of %.*s (not shown): ", STR_ARG(name));
    bool ok = read_input(out, max, &waiting, len);
    int why = errno;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    sink_printf(&c->err, "\n");
    sigprocmask(SIG_SETMASK, &waiting, NULL);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        sigaction(signals[i], &before[i], NULL);
    }
    errno = why;
    return ok;
}

/* The newline that `echo` and an editor put at the end is no part of a secret. */
static struct str without_newline(struct str s) {
    if (str_ends(s, STR("\n"))) {
        s.len--;
        s.len -= str_ends(s, STR("\r"));
    }
    return s;
}

static int check_value(struct cli *c, struct str name, struct str value) {
    if (!value.len) {
        return cli_fail(c, ERR_USAGE, "pipe it, or type it when asked",
                        "no value for %.*s came on standard input", STR_ARG(name));
    }
    if (value.len < SECRET_MIN_BYTES || value.len > SECRET_MAX_BYTES) {
        return cli_fail(c, ERR_INVALID,
                        "a shorter one could not be told from other text when outputs are searched "
                        "for it",
                        "a secret has %u to %u bytes, this one has %s", SECRET_MIN_BYTES,
                        SECRET_MAX_BYTES, value.len < SECRET_MIN_BYTES ? "fewer" : "more");
    }
    if (!str_is_utf8(value) || memchr(value.ptr, '\0', value.len)) {
        return cli_fail(c, ERR_INVALID, "store bytes as base64 and decode them where they are used",
                        "a secret is UTF-8 text without NUL characters");
    }
    return 0;
}

/* ---- what it does ---- */

static int set(struct cli *c, struct str name) {
    static char input[SECRET_MAX_BYTES + 4]; /* room for a newline, and to see what is too long */
    struct error e = {0};
    size_t len = 0;
    io_dumps_forbid();
    bool read = isatty(STDIN_FILENO) ? read_silently(c, name, input, sizeof input, &len)
                                     : read_input(input, sizeof input, NULL, &len);
    struct str value = without_newline((struct str){input, len});
    int status = EXIT_INTERRUPT;
    if (read) {
        status = check_value(c, name, value);
    } else if (errno != EINTR) {
        status = cli_fail(c, ERR_IO, NULL, "cannot read the value: %s", strerrordesc_np(errno));
    }
    if (!status && keys_change(name, value, &e)) {
        status = cli_fail_error(c, &e, NULL);
    }
    explicit_bzero(input, sizeof input);
    return status;
}

static int list(struct cli *c) {
    struct keys k;
    struct error e = {0};
    struct value_builder b;
    int status = keys_open(&k, &e) ? cli_fail_error(c, &e, NULL) : 0;
    value_builder_init(&b, &c->arena);
    for (size_t i = 0; i < k.count && !status; i++) {
        value_list_add(&b, value_text(k.items[i].name));
        if (!cli_has(c, "json")) {
            sink_printf(&c->out, "%.*s\n", STR_ARG(k.items[i].name));
        }
    }
    if (!status && cli_has(c, "json")) {
        cli_print_json(c, value_list_done(&b));
    }
    keys_close(&k);
    return status;
}

static int rm(struct cli *c, struct str name) {
    struct error e = {0};
    if (keys_change(name, (struct str){0}, &e)) {
        return cli_fail_error(c, &e,
                              e.code == ERR_NOT_FOUND ? "`cairn keys list` shows them" : NULL);
    }
    return 0;
}

static int run(struct cli *c) {
    struct str what = str_from(c->arguments[0]);
    bool sets = str_is(what, "set");
    if (str_is(what, "list") && c->argument_count == 1) {
        return list(c);
    }
    if (!sets && !str_is(what, "rm")) {
        return cli_fail(c, ERR_USAGE, "`cairn keys --help` shows how it is used",
                        "expected `cairn keys set NAME`, `list` or `rm NAME`");
    }
    if (sets && c->argument_count > 2) {
        return cli_fail(c, ERR_USAGE,
                        "pipe it (`cairn keys set NAME < file`), or type it when asked",
                        "the value of a key is not given on the command line: the shell's history "
                        "would keep it");
    }
    if (c->argument_count != 2) {
        return cli_fail(c, ERR_USAGE, NULL, "`cairn keys %s` needs one NAME", what.ptr);
    }
    struct str name = str_from(c->arguments[1]);
    if (!keys_is_name(name)) {
        return cli_fail(c, ERR_USAGE, "a name has letters, digits and _, and begins with no digit",
                        "\"%.60s\" is no name for a key", name.ptr);
    }
    return sets ? set(c, name) : rm(c, name);
}

static const struct cli_option options[] = {
    {"json", 0, NULL, "list: prints a JSON list of names"},
};

static const struct cli_example examples[] = {
    {"cairn keys set OPENAI_API_KEY", "asks for the value without showing it"},
    {"pass show api/token | cairn keys set TOKEN", "the value from standard input"},
    {"cairn keys list", "the names, never the values"},
    {"cairn keys rm TOKEN", "removes one"},
};

const struct command command_keys = {
    .name = "keys",
    .arguments = "set|list|rm [NAME]",
    .doc = "keeps the secrets that workflows read as {{ secrets.NAME }}",
    .details = "They are in $XDG_CONFIG_HOME/cairn/keys (~/.config/cairn/keys), readable by you "
               "alone. The\nenvironment variable CAIRN_SECRET_NAME goes before the file.",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .examples = examples,
    .example_count = ARRAY_LEN(examples),
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .run = run,
};
