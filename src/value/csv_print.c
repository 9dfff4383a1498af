/* Printing CSV: see csv.h for the shape of a table.
 *
 * A field is quoted only where it would be read otherwise without. Must never print a row that has
 * another number of fields than the header.
 */
#include "value/csv.h"

struct printer {
    const struct csv_style *style;
    struct arena *scratch;
    struct buf *out;
    struct error *e;
};

static bool needs_quotes(struct str s, bool alone) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == '\n' || s.ptr[i] == '\r') {
            return true;
        }
    }
    /* An empty line is no row, and what looks like a byte order mark would be skipped. */
    return (alone && !s.len) || str_starts(s, STR("\xEF\xBB\xBF"));
}

static void print_text(struct str s, bool alone, struct buf *out) {
    if (!needs_quotes(s, alone)) {
        buf_append(out, s);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"') {
            buf_append_char(out, '"');
        }
        buf_append_char(out, s.ptr[i]);
    }
    buf_append_char(out, '"');
}

static void print_field(struct value v, bool alone, struct buf *out) {
    if (v.type == VALUE_TEXT) {
        print_text(value_str(v), alone, out);
        return;
    }
    struct buf text;
    buf_init(&text, 0);
    value_print_text(v, &text);
    print_text(buf_str(&text), alone, out);
    out->failed |= !buf_ok(&text);
    buf_fini(&text);
}

static void end_line(struct printer *p) { buf_append_cstr(p->out, p->style->lf ? "\n" : "\r\n"); }

static void print_list(struct printer *p, struct value row) {
    for (size_t i = 0; i < value_count(row); i++) {
        if (i) {
            buf_append_char(p->out, ',');
        }
        print_field(row.items[i], value_count(row) == 1, p->out);
    }
    end_line(p);
}

static enum err print_map(struct printer *p, struct value row, struct value columns) {
    size_t known = 0, count = value_count(columns);
    for (size_t i = 0; i < count; i++) {
        const struct value *v = value_get(row, value_str(columns.items[i]));
        known += v != NULL;
        if (i) {
            buf_append_char(p->out, ',');
        }
        print_field(v ? *v : value_null(), count == 1, p->out);
    }
    end_line(p);
    for (size_t k = 0; known < value_count(row) && k < value_count(row); k++) {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++) {
            found = value_equal(columns.items[i], row.pairs[k].key);
        }
        if (!found) {
            return error_set(p->e, ERR_INVALID, "the table has no column \"%.*s\"",
                             STR_ARG(str_sub(value_str(row.pairs[k].key), 0, 100)));
        }
    }
    return OK;
}

static enum err find_columns(struct printer *p, struct value rows, struct value *out) {
    struct value_builder names;
    struct map seen;
    value_builder_init(&names, p->scratch);
    map_init(&seen, p->scratch);
    for (size_t i = 0; i < value_count(rows); i++) {
        for (size_t k = 0; k < value_count(rows.items[i]); k++) {
            bool is_new = false;
            struct value key = rows.items[i].pairs[k].key;
            if (!map_put(&seen, value_str(key), &is_new)) {
                return error_nomem(p->e);
            }
            if (is_new) {
                value_list_add(&names, key);
            }
        }
    }
    *out = value_list_done(&names);
    return names.ok ? OK : error_nomem(p->e);
}

/* The type that all rows have, or ERR_INVALID naming the first that has another. */
static enum err check_rows(struct printer *p, struct value rows, uint8_t *out) {
    *out = value_count(rows) ? rows.items[0].type : VALUE_MAP;
    for (size_t i = 0; i < value_count(rows); i++) {
        uint8_t type = rows.items[i].type;
        if ((type != VALUE_MAP && type != VALUE_LIST) || type != *out) {
            return error_set(p->e, ERR_INVALID,
                             "a table is a list of maps (or of lists, without names of columns), "
                             "but item %zu of it is a %s",
                             i, value_type_name(type));
        }
    }
    return OK;
}

static enum err print_maps(struct printer *p, struct value rows) {
    struct value columns = p->style->columns;
    enum err err = value_is_null(columns) ? find_columns(p, rows, &columns) : OK;
    if (err) {
        return err;
    }
    if (!value_count(columns)) {
        return value_count(rows) ? error_set(p->e, ERR_INVALID, "the rows have no columns") : OK;
    }
    if (!p->style->no_header) {
        print_list(p, columns);
    }
    for (size_t i = 0; !err && i < value_count(rows); i++) {
        err = print_map(p, rows.items[i], columns);
    }
    return err;
}

enum err value_print_csv(struct value rows, const struct csv_style *style, struct arena *scratch,
                         struct buf *out, struct error *e) {
    struct printer p = {style, scratch, out, e};
    uint8_t type;
    if (rows.type == VALUE_MAP) {
        struct value *one = ARENA_NEW(scratch, struct value);
        if (!one) {
            return error_nomem(e);
        }
        *one = rows;
        rows = value_list(one, 1);
    }
    if (rows.type != VALUE_LIST) {
        return error_set(e, ERR_INVALID, "a table is a list of maps, not %s",
                         value_type_name(rows.type));
    }
    enum err err = check_rows(&p, rows, &type);
    if (!err && type == VALUE_MAP) {
        err = print_maps(&p, rows);
    }
    for (size_t i = 0; !err && type == VALUE_LIST && i < value_count(rows); i++) {
        print_list(&p, rows.items[i]);
    }
    return err ? err : buf_ok(out) ? OK : error_nomem(e);
}
