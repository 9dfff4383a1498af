/* Errors, on stderr: what, where, why, what to do. An error is told here once, where it stops;
 * nothing else in the command line prints one. And documents, on stdout.
 */
#include <stdio.h>

#include "cli/cli.h"

enum { FINDINGS_SHOWN = 25 }; /* a mistake made everywhere need not be read everywhere */

static void print_help_line(struct buf *b, const char *help) {
    if (help && help[0]) {
        text_block(b, str_from(help), "    ");
    }
}

int cli_fail(struct cli *c, enum err code, const char *help, const char *fmt, ...) {
    struct error e;
    va_list ap;
    va_start(ap, fmt);
    (void)error_vset(&e, code, (struct mark){0}, fmt, ap);
    va_end(ap);
    return cli_fail_error(c, &e, help);
}

int cli_fail_error(struct cli *c, const struct error *e, const char *help) {
    struct buf b;
    buf_init(&b, 0);
    if (e->mark.file) {
        text_clean(&b, str_from(e->file));
        buf_append_char(&b, ':');
        if (e->mark.line) {
            buf_printf(&b, "%u:%u:", e->mark.line, e->mark.column);
        }
        buf_append_char(&b, ' ');
    }
    text_colour(&b, &c->err, COLOUR_RED, STR("error:"));
    buf_append_char(&b, ' ');
    text_clean(&b, str_from(e->message[0] ? e->message : err_name(e->code)));
    buf_append_char(&b, '\n');
    print_help_line(&b, help);
    sink_flush(&c->err, &b);
    buf_fini(&b);
    return err_exit_code(e->code);
}

void cli_count_findings(const struct diag *d, struct buf *out) {
    if (d->errors) {
        buf_printf(out, "%u error%s", d->errors, d->errors == 1 ? "" : "s");
    }
    if (d->warnings) {
        buf_printf(out, "%s%u warning%s", d->errors ? ", " : "", d->warnings,
                   d->warnings == 1 ? "" : "s");
    }
}

void cli_findings(struct cli *c, const struct diag *d) {
    struct buf b, clean;
    if (d->errors + d->warnings == 0) {
        return;
    }
    buf_init(&b, 0);
    buf_init(&clean, 0);
    diag_print_most(d, FINDINGS_SHOWN, &b);
    cli_count_findings(d, &b);
    text_block(&clean, buf_str(&b), "");
    sink_flush(&c->err, &clean);
    buf_fini(&b);
    buf_fini(&clean);
}

void cli_tell_more(struct cli *c, struct str last) {
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "there are more: cairn %s", c->command->name);
    for (size_t i = 0; i < c->given_count; i++) {
        const struct cli_given *g = &c->given[i];
        if (strcmp(g->option->name, "after") != 0) {
            buf_printf(&b, " --%s%s", g->option->name, g->value ? " " : "");
            if (g->value) {
                text_shell(&b, str_from(g->value));
            }
        }
    }
    buf_printf(&b, " --after %.*s\n", STR_ARG(last));
    sink_flush(&c->err, &b);
    buf_fini(&b);
}

void cli_print_json(struct cli *c, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(v, 2, &b);
    sink_flush_json(&c->out, &b);
    buf_fini(&b);
}
