/* Reading CSV: see csv.h for what is accepted.
 *
 * One pass over the text, no recursion, memory from the arena alone. Invariant: what
 * value_print_csv wrote of a list of maps of texts is read back equal.
 */
#include "value/csv.h"

struct reader {
    struct arena *arena;
    struct str text;
    size_t at;
    uint32_t line;
    size_t line_at; /* where the line begins */
    struct error *e;
};

static enum err refuse(struct reader *r, uint32_t line, size_t line_at, size_t at,
                       const char *message) {
    uint32_t column = 1;
    for (size_t i = line_at; i < at; column++) {
        str_utf8_next(r->text, &i);
    }
    struct mark mark = {.line = line, .column = column};
    return error_at(r->e, ERR_INVALID, mark, "%s", message);
}

static bool at_end(const struct reader *r) { return r->at == r->text.len; }

static bool at_line_end(const struct reader *r) {
    return at_end(r) || r->text.ptr[r->at] == '\n' || r->text.ptr[r->at] == '\r';
}

static void skip_line_end(struct reader *r) {
    if (at_end(r)) {
        return;
    }
    bool crlf =
        r->text.ptr[r->at] == '\r' && r->at + 1 < r->text.len && r->text.ptr[r->at + 1] == '\n';
    r->at += crlf ? 2 : 1;
    r->line++;
    r->line_at = r->at;
}

static enum err read_plain(struct reader *r, struct str *out) {
    size_t from = r->at;
    while (!at_line_end(r) && r->text.ptr[r->at] != ',') {
        if (r->text.ptr[r->at] == '"') {
            return refuse(
                r, r->line, r->line_at, r->at,
                "a quote inside a field that does not begin with one: put the whole field "
                "in quotes and double those inside");
        }
        r->at++;
    }
    *out = str_sub(r->text, from, r->at);
    return OK;
}

static bool halve_quotes(struct reader *r, struct str *s) {
    char *half = arena_alloc(r->arena, s->len);
    size_t len = 0;
    for (size_t i = 0; half && i < s->len; i++) {
        half[len++] = s->ptr[i];
        i += s->ptr[i] == '"';
    }
    *s = (struct str){half, len};
    return half != NULL;
}

static enum err read_quoted(struct reader *r, struct str *out) {
    uint32_t line = r->line;
    size_t line_at = r->line_at, from = r->at++;
    bool doubled = false;
    for (;; r->at++) {
        if (at_end(r)) {
            return refuse(r, line, line_at, from, "a quote that is never closed");
        }
        if (r->text.ptr[r->at] == '"') {
            if (r->at + 1 == r->text.len || r->text.ptr[r->at + 1] != '"') {
                break;
            }
            doubled = true;
            r->at++;
        } else if (at_line_end(r)) {
            skip_line_end(r);
            r->at--;
        }
    }
    *out = str_sub(r->text, from + 1, r->at++);
    if (!at_line_end(r) && r->text.ptr[r->at] != ',') {
        return refuse(r, r->line, r->line_at, r->at, "text behind the closing quote of a field");
    }
    return doubled && !halve_quotes(r, out) ? error_nomem(r->e) : OK;
}

/* The fields of one row, and its line end. */
static enum err read_row(struct reader *r, struct value_builder *fields) {
    for (;;) {
        struct str field;
        bool quoted = !at_end(r) && r->text.ptr[r->at] == '"';
        enum err err = quoted ? read_quoted(r, &field) : read_plain(r, &field);
        if (err) {
            return err;
        }
        value_list_add(fields, value_text(field));
        if (at_line_end(r)) {
            skip_line_end(r);
            return fields->ok ? OK : error_nomem(r->e);
        }
        r->at++;
    }
}

static bool next_row(struct reader *r) {
    while (!at_end(r) && at_line_end(r)) {
        skip_line_end(r);
    }
    return !at_end(r);
}

static enum err check_names(struct reader *r, struct value names, uint32_t line) {
    struct map seen;
    map_init(&seen, r->arena);
    for (size_t i = 0; i < value_count(names); i++) {
        bool is_new = true;
        struct str name = value_str(names.items[i]);
        if (!map_put(&seen, name, &is_new)) {
            return error_nomem(r->e);
        }
        if (!is_new) {
            return error_at(r->e, ERR_INVALID, (struct mark){.line = line, .column = 1},
                            "two columns are called \"%.*s\"", STR_ARG(str_sub(name, 0, 100)));
        }
    }
    return OK;
}

static enum err open_text(struct reader *r, struct value *out_names) {
    struct value_builder names;
    value_builder_init(&names, r->arena);
    if (r->text.len > VALUE_MAX_TEXT) {
        return error_set(r->e, ERR_LIMIT, "the table is larger than %u bytes", VALUE_MAX_TEXT);
    }
    if (!str_is_utf8(r->text)) {
        return error_set(r->e, ERR_INVALID, "the table is not text in UTF-8");
    }
    if (str_starts(r->text, STR("\xEF\xBB\xBF"))) {
        r->text = str_sub(r->text, 3, r->text.len);
    }
    if (!next_row(r)) {
        *out_names = value_list(NULL, 0);
        return OK;
    }
    uint32_t line = r->line;
    enum err err = read_row(r, &names);
    if (err) {
        return err;
    }
    *out_names = value_list_done(&names);
    return names.ok ? check_names(r, *out_names, line) : error_nomem(r->e);
}

static enum err read_record(struct reader *r, struct value names, struct value *out) {
    uint32_t line = r->line;
    struct value_builder fields, row;
    value_builder_init(&fields, r->arena);
    enum err err = read_row(r, &fields);
    if (err) {
        return err;
    }
    if (fields.count != value_count(names)) {
        return error_at(r->e, ERR_INVALID, (struct mark){.line = line, .column = 1},
                        "this row has %zu fields, but the first row names %zu columns",
                        fields.count, value_count(names));
    }
    value_builder_init(&row, r->arena);
    for (size_t i = 0; i < fields.count; i++) {
        value_map_add(&row, value_str(names.items[i]), fields.items[i]);
    }
    *out = value_map_done(&row);
    return row.ok ? OK : error_nomem(r->e);
}

enum err value_parse_csv(struct arena *a, struct str text, struct value *out, struct error *e) {
    struct reader r = {.arena = a, .text = text, .line = 1, .e = e};
    struct value_builder rows;
    struct value names;
    value_builder_init(&rows, a);
    enum err err = open_text(&r, &names);
    while (!err && next_row(&r)) {
        struct value row;
        err = read_record(&r, names, &row);
        if (!err) {
            value_list_add(&rows, row);
            err = rows.ok ? OK : error_nomem(e);
        }
    }
    if (err) {
        return err;
    }
    struct value done = value_list_done(&rows);
    if (!rows.ok) {
        return error_nomem(e);
    }
    *out = done;
    return OK;
}

enum err value_parse_csv_header(struct arena *a, struct str text, struct value *out, bool *out_crlf,
                                struct error *e) {
    struct reader r = {.arena = a, .text = text, .line = 1, .e = e};
    struct value names;
    enum err err = open_text(&r, &names);
    if (err) {
        return err;
    }
    bool ended = r.line > 1 && r.at >= 1;
    *out_crlf = !ended || (r.at >= 2 && r.text.ptr[r.at - 2] == '\r');
    *out = names;
    return OK;
}
