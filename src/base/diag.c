/* Findings about one input, kept in an arena. Never fails for lack of memory: a finding that
 * cannot be kept is counted, so an input with errors is never taken for one without.
 */
#include "base/diag.h"

#include "base/buf.h"

void diag_init(struct diag *d, struct arena *arena) { *d = (struct diag){.arena = arena}; }

static struct str format(struct arena *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* struct error cuts and repairs messages; a finding's follows the same rules. */
static struct str format(struct arena *a, const char *fmt, va_list ap) {
    struct error e;
    (void)error_vset(&e, ERR_INVALID, (struct mark){0}, fmt, ap);
    struct str kept = arena_str(a, str_from(e.message));
    return kept.ptr ? kept : STR("out of memory");
}

static struct diag_item *slot(struct diag *d) {
    if (d->count == DIAG_MAX_ITEMS) {
        return NULL;
    }
    if (d->count == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 8;
        struct diag_item *items = ARENA_ARRAY(d->arena, cap, struct diag_item);
        if (!items) {
            return NULL;
        }
        if (d->count) {
            memcpy(items, d->items, d->count * sizeof *items);
        }
        d->items = items;
        d->cap = cap;
    }
    return &d->items[d->count++];
}

static struct diag_item *vadd(struct diag *d, enum diag_severity severity, struct mark mark,
                              const char *code, struct str message) {
    if (severity == DIAG_ERROR) {
        d->errors++;
    } else {
        d->warnings++;
    }
    struct diag_item *item = slot(d);
    if (!item) {
        return &d->dropped;
    }
    *item = (struct diag_item){
        .severity = severity, .mark = mark, .code = str_from(code), .message = message};
    return item;
}

struct diag_item *diag_add(struct diag *d, enum diag_severity severity, struct mark mark,
                           const char *code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct str message = format(d->arena, fmt, ap);
    va_end(ap);
    return vadd(d, severity, mark, code, message);
}

struct diag_item *diag_error(struct diag *d, struct mark mark, const char *code, const char *fmt,
                             ...) {
    va_list ap;
    va_start(ap, fmt);
    struct str message = format(d->arena, fmt, ap);
    va_end(ap);
    return vadd(d, DIAG_ERROR, mark, code, message);
}

void diag_help(struct diag *d, struct diag_item *item, const char *fmt, ...) {
    if (item == &d->dropped) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    item->help = format(d->arena, fmt, ap);
    va_end(ap);
}

void diag_suggest(struct diag *d, struct diag_item *item, struct str word,
                  const struct str *candidates, size_t count) {
    struct str near = str_nearest(word, candidates, count);
    if (near.len) {
        diag_help(d, item, "did you mean \"%.*s\"?", STR_ARG(near));
    }
}

static int compare(const struct diag_item *a, const struct diag_item *b) {
    int files = str_cmp(str_from(a->mark.file), str_from(b->mark.file));
    if (files) {
        return files;
    }
    if (a->mark.line != b->mark.line) {
        return a->mark.line < b->mark.line ? -1 : 1;
    }
    return a->mark.column == b->mark.column ? 0 : a->mark.column < b->mark.column ? -1 : 1;
}

/* Insertion sort: stable, at most DIAG_MAX_ITEMS items. */
void diag_sort(struct diag *d) {
    for (uint32_t i = 1; i < d->count; i++) {
        struct diag_item item = d->items[i];
        uint32_t at = i;
        while (at > 0 && compare(&item, &d->items[at - 1]) < 0) {
            d->items[at] = d->items[at - 1];
            at--;
        }
        d->items[at] = item;
    }
}

static void print_item(const struct diag_item *item, struct buf *out) {
    if (item->mark.file) {
        buf_printf(out, "%s:", item->mark.file);
    }
    if (item->mark.line) {
        buf_printf(out, "%u:%u:", item->mark.line, item->mark.column);
    }
    buf_printf(out, "%s%s: %.*s\n", item->mark.file || item->mark.line ? " " : "",
               item->severity == DIAG_ERROR ? "error" : "warning", STR_ARG(item->message));
    if (item->help.len) {
        buf_printf(out, "    %.*s\n", STR_ARG(item->help));
    }
}

void diag_print(const struct diag *d, struct buf *out) { diag_print_most(d, UINT32_MAX, out); }

void diag_print_most(const struct diag *d, uint32_t most, struct buf *out) {
    uint32_t left[] = {
        [DIAG_ERROR] = most, [DIAG_WARNING] = d->errors < most ? most - d->errors : 0};
    uint32_t shown = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        if (left[d->items[i].severity] > 0) {
            left[d->items[i].severity]--;
            shown++;
            print_item(&d->items[i], out);
        }
    }
    if (d->errors + d->warnings > shown) {
        buf_printf(out, "and %u more\n", d->errors + d->warnings - shown);
    }
}
