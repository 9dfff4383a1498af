/* The end of an execution in words: what failed and where, what was completed, the result.
 *
 * Texts of workflows, steps and models are cleaned before they stand in a line; the result itself
 * is printed as it is, for it is what was asked for.
 */
#include "cli/outcome.h"

#include <stdio.h>

#include "cli/losses.h"
#include "cli/undone.h"

enum { NAMES_SHOWN = 12 };

int outcome_exit_status(enum exec_status status) {
    switch (status) {
    case EXEC_COMPLETED: return 0;
    case EXEC_PARTIAL:
    case EXEC_FAILED:
    case EXEC_CANCELLED: return 1;
    case EXEC_PENDING:
    case EXEC_RUNNING:
    case EXEC_WAITING:
    case EXEC_PAUSED: break;
    }
    return EXIT_WAITING;
}

void outcome_show_result(struct buf *b, const struct sink *s, struct value v) {
    struct buf text;
    if (!s->tty) {
        outcome_print_result(b, v);
        return;
    }
    buf_init(&text, 0);
    outcome_print_result(&text, v);
    if (text.len) {
        text_block(b, buf_str(&text), "");
    }
    buf_fini(&text);
}

void outcome_print_result(struct buf *b, struct value v) {
    size_t before = b->len;
    if (v.type == VALUE_TEXT) {
        buf_append(b, value_str(v));
    } else if (v.type != VALUE_NULL) {
        value_print_json(v, 2, b);
    }
    if (b->len > before && b->ptr[b->len - 1] != '\n') {
        buf_append_char(b, '\n');
    }
}

void outcome_print_error_text(struct buf *b, struct value error) {
    text_clean(b, details_text(error, "type"));
    buf_append_cstr(b, ": ");
    text_message(b, details_text(error, "message"), TEXT_IN_RESULTS);
}

/* "    at node parse (flow.yaml:12:3), attempt 2" */
static void print_place(struct buf *b, const struct details *d, struct value error,
                        const char *shown_file) {
    struct str node = details_text(error, "node");
    const struct value *attempt = value_get(error, STR("attempt"));
    int64_t at = d->plan && node.len ? plan_node_find(d->plan, node) : -1;
    if (!node.len) {
        return;
    }
    buf_append_cstr(b, "    at node ");
    text_clean(b, node);
    if (at >= 0) {
        struct mark mark = d->plan->nodes[at].mark;
        struct str file = str_from(mark.file ? mark.file : "");
        file = shown_file                                    ? str_from(shown_file)
               : d->file.len && str_eq(file, d->plan->entry) ? d->file
                                                             : file;
        buf_append_cstr(b, " (");
        text_clean(b, file);
        buf_printf(b, ":%u:%u)", mark.line, mark.column);
    }
    if (attempt && attempt->type == VALUE_INT && attempt->num > 1) {
        buf_printf(b, ", attempt %lld", (long long)attempt->num);
    }
    buf_append_char(b, '\n');
}

/* All of them but those of one node, which was told of already. */
static void print_failed_steps(struct buf *b, const struct details *d, struct str told) {
    uint32_t shown = 0;
    struct arena a;
    arena_init(&a, 0);
    struct value failures = losses_failures(d, &a);
    for (size_t i = 0; i < value_count(failures); i++) {
        struct value x = failures.items[i];
        if (!str_eq(details_text(x, "node"), told) && ++shown <= NAMES_SHOWN) {
            buf_printf(b, "    step %.*s failed: ", STR_ARG(details_text(x, "step")));
            outcome_print_error_text(b, *value_get(x, STR("error")));
            buf_append_char(b, '\n');
        }
    }
    if (shown > NAMES_SHOWN) {
        buf_printf(b, "    and %u more\n", shown - NAMES_SHOWN);
    }
    arena_fini(&a);
}

void outcome_print_error(struct buf *b, const struct sink *s, const struct details *d,
                         const char *shown_file) {
    const struct store_execution *x = &d->stored;
    struct arena a;
    arena_init(&a, 0);
    if (str_is(x->row.status, "failed")) {
        struct value error = details_value(&a, x->row.error);
        text_colour(b, s, COLOUR_RED, STR("error:"));
        buf_printf(b, " execution %.*s failed: ", STR_ARG(x->fixed.id));
        outcome_print_error_text(b, error);
        buf_append_char(b, '\n');
        print_place(b, d, error, shown_file);
        print_failed_steps(b, d, details_text(error, "node"));
    } else if (str_is(x->row.status, "partial")) {
        text_colour(b, s, COLOUR_YELLOW, STR("partial:"));
        buf_printf(b, " execution %.*s ended with failures that the workflow allows\n",
                   STR_ARG(x->fixed.id));
        print_failed_steps(b, d, STR(""));
    } else if (str_is(x->row.status, "cancelled")) {
        text_colour(b, s, COLOUR_YELLOW, STR("cancelled:"));
        buf_printf(b, " execution %.*s was cancelled\n", STR_ARG(x->fixed.id));
    }
    arena_fini(&a);
}

/* Nodes, each once, as its newest step left it: items and earlier ones would only repeat names, and
 * what a retry did not complete anew is not. */
static bool comes_again(const struct details *d, uint32_t step) {
    for (uint32_t i = step + 1; i < d->step_count; i++) {
        const struct store_step *x = &d->steps[i];
        if (x->index < 0 && !details_step_undone(x) && str_eq(x->node, d->steps[step].node)) {
            return true;
        }
    }
    return false;
}

void outcome_print_completed(struct buf *b, const struct details *d) {
    uint32_t shown = 0;
    buf_append_cstr(b, "    completed: ");
    for (uint32_t i = 0; i < d->step_count && shown <= NAMES_SHOWN; i++) {
        const struct store_step *x = &d->steps[i];
        bool counts = x->index < 0 && str_is(x->status, "completed") && !details_step_undone(x);
        if (!counts || comes_again(d, i)) {
            continue;
        }
        buf_append_cstr(b, shown ? ", " : "");
        if (shown++ == NAMES_SHOWN) {
            buf_append_cstr(b, "...");
        } else {
            text_clean(b, x->node);
        }
    }
    buf_printf(b, "%s (%u of %u steps)\n", shown ? "" : "nothing", d->stored.row.completed_tasks,
               d->stored.row.total_tasks);
    struct arena a;
    arena_init(&a, 0);
    losses_print_stopped(b, losses_stopped(d, &a), details_value(&a, d->stored.row.error),
                         d->stored.row.status);
    losses_print(b, losses_list(d, &a));
    undone_print(b, d->undo, "    ");
    arena_fini(&a);
}
