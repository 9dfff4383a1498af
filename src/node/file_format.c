/* The formats of the file kind: which there are, what works with them, from text to value and back.
 *
 * A format is a row of the table; what it does is never guessed from the content. Errors name line
 * and column of the file.
 */
#include "node/file_priv.h"

#include "value/csv.h"
#include "yaml/yaml.h"

#define CAN(op) (1u << (op))

const char *const file_operations[] = {"read", "write", "append", "update", NULL};
const char *const file_formats[] = {"json", "jsonl", "yaml", "csv", "text", "bytes", NULL};

static const unsigned can[] = {
    [FILE_JSON] = CAN(FILE_READ) | CAN(FILE_WRITE) | CAN(FILE_UPDATE),
    [FILE_JSONL] = CAN(FILE_READ) | CAN(FILE_WRITE) | CAN(FILE_APPEND),
    [FILE_YAML] = CAN(FILE_READ) | CAN(FILE_WRITE) | CAN(FILE_UPDATE),
    [FILE_CSV] = CAN(FILE_READ) | CAN(FILE_WRITE) | CAN(FILE_APPEND),
    [FILE_TEXT] = CAN(FILE_READ) | CAN(FILE_WRITE) | CAN(FILE_APPEND),
    [FILE_BYTES] = CAN(FILE_READ) | CAN(FILE_WRITE) | CAN(FILE_APPEND),
};

static const struct {
    const char *extension;
    enum file_format format;
} extensions[] = {
    {".json", FILE_JSON}, {".jsonl", FILE_JSONL}, {".ndjson", FILE_JSONL},
    {".yaml", FILE_YAML}, {".yml", FILE_YAML},    {".csv", FILE_CSV},
};

int file_word(const char *const *words, struct str word) {
    int i = 0;
    while (words[i] && !str_is(word, words[i])) {
        i++;
    }
    ASSERT(words[i]);
    return i;
}

enum file_format file_format_of(struct str path) {
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
        if (str_ends(path, str_from(extensions[i].extension))) {
            return extensions[i].format;
        }
    }
    return FILE_TEXT;
}

enum err file_format_check(enum file_format f, enum file_operation o, struct error *e) {
    if (can[f] & CAN(o)) {
        return OK;
    }
    return error_set(e, ERR_INVALID, "%s does not work with the format %s, only with %s",
                     file_operations[o], file_formats[f],
                     o == FILE_UPDATE ? "json and yaml" : "jsonl, csv, text and bytes");
}

/* ---- reading ---- */

static enum err with_place(enum err err, struct error *e) {
    if (err && e->mark.line) {
        error_wrap(e, err, "line %u, column %u", e->mark.line, e->mark.column);
    }
    return err;
}

static enum err decode_yaml(struct str text, struct arena *a, struct value *out, struct error *e) {
    struct diag diag;
    struct yaml_node *root = NULL;
    diag_init(&diag, a);
    enum err err = yaml_parse(a, text, "", &root, &diag);
    if (diag.count) {
        struct diag_item *first = &diag.items[0];
        return error_set(e, ERR_INVALID, "line %u, column %u: %.*s", first->mark.line,
                         first->mark.column, STR_ARG(first->message));
    }
    if (err == ERR_LIMIT) {
        return error_set(e, ERR_LIMIT, "YAML may have %u bytes", YAML_MAX_BYTES);
    }
    return err || !yaml_to_value(a, root, out) ? error_nomem(e) : OK;
}

static enum err decode_lines(struct str text, struct arena *a, struct value *out, struct error *e) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint32_t line = 1; text.len; line++) {
        struct str one = str_split(text, '\n', &text);
        struct value v;
        if (!str_trim(one).len) {
            continue;
        }
        enum err err = value_parse_json(a, one, &v, e);
        if (err) {
            return error_wrap(e, err, "line %u, column %u", line, e->mark.column);
        }
        value_list_add(&b, v);
    }
    *out = value_list_done(&b);
    return b.ok ? OK : error_nomem(e);
}

enum err file_decode(enum file_format f, struct str text, struct arena *a, struct value *out,
                     struct error *e) {
    if (text.len > VALUE_MAX_TEXT) {
        return error_set(e, ERR_LIMIT, "the file is larger than %u bytes", VALUE_MAX_TEXT);
    }
    if (f == FILE_BYTES) {
        *out = value_bytes(text);
        return OK;
    }
    if (!str_is_utf8(text)) {
        return error_set(e, ERR_INVALID, "the file is not text in UTF-8 (format: bytes reads any)");
    }
    if (str_starts(text, STR("\xEF\xBB\xBF"))) {
        text = str_sub(text, 3, text.len);
    }
    switch (f) {
    case FILE_JSON: return with_place(value_parse_json(a, text, out, e), e);
    case FILE_JSONL: return decode_lines(text, a, out, e);
    case FILE_YAML: return decode_yaml(text, a, out, e);
    case FILE_CSV: return with_place(value_parse_csv(a, text, out, e), e);
    case FILE_TEXT:
    case FILE_BYTES: *out = value_text(text); return OK;
    }
    return OK;
}

/* ---- writing ---- */

static void print_plain(struct value v, struct buf *out) {
    if (v.type == VALUE_TEXT || v.type == VALUE_BYTES) {
        buf_append(out, value_str(v));
    } else {
        value_print_text(v, out);
    }
}

/* A list gives a line for each item, anything else one line. */
static void print_lines(struct value v, struct buf *out) {
    size_t count = v.type == VALUE_LIST ? value_count(v) : 1;
    for (size_t i = 0; i < count; i++) {
        value_print_json(v.type == VALUE_LIST ? v.items[i] : v, 0, out);
        buf_append_char(out, '\n');
    }
}

enum err file_encode(enum file_format f, struct value v, struct arena *scratch, struct buf *out,
                     struct error *e) {
    struct csv_style style = {0};
    enum err err = OK;
    switch (f) {
    case FILE_JSON:
        value_print_json(v, 2, out);
        buf_append_char(out, '\n');
        break;
    case FILE_JSONL: print_lines(v, out); break;
    case FILE_YAML: yaml_print(v, out); break;
    case FILE_CSV: err = value_print_csv(v, &style, scratch, out, e); break;
    case FILE_TEXT:
    case FILE_BYTES: print_plain(v, out); break;
    }
    return err ? err : buf_ok(out) ? OK : error_nomem(e);
}

enum err file_encode_more(enum file_format f, struct value v, struct str before,
                          struct arena *scratch, struct buf *out, struct error *e) {
    if (f != FILE_CSV || !before.len) {
        return file_encode(f, v, scratch, out, e);
    }
    struct csv_style style = {.no_header = true};
    bool crlf;
    enum err err = value_parse_csv_header(scratch, before, &style.columns, &crlf, e);
    if (err) {
        return with_place(err, e);
    }
    style.lf = !crlf;
    if (!value_count(style.columns)) { /* only empty lines so far */
        style = (struct csv_style){0};
    }
    return value_print_csv(v, &style, scratch, out, e);
}

/* ---- lines ---- */

bool file_lines_parse(struct value v, uint64_t *out_from, uint64_t *out_to) {
    struct str to = {0};
    *out_from = 0;
    *out_to = UINT64_MAX;
    if (v.type == VALUE_NULL || v.type == VALUE_BOOL) {
        *out_from = v.type == VALUE_BOOL && v.boolean;
        return true;
    }
    if (v.type == VALUE_INT && v.num > 0) {
        *out_from = *out_to = (uint64_t)v.num;
        return true;
    }
    if (v.type != VALUE_TEXT) {
        return false;
    }
    struct str text = str_trim(value_str(v)), from = str_split(text, '-', &to);
    bool range = memchr(text.ptr, '-', text.len) != NULL;
    if (!str_to_uint64(from, out_from) || !*out_from) {
        return false;
    }
    if (!range) {
        *out_to = *out_from;
        return true;
    }
    return !to.len || (str_to_uint64(to, out_to) && *out_to >= *out_from);
}

enum err file_lines_cut(struct str text, uint64_t from, uint64_t to, struct arena *a,
                        struct value *out, struct error *e) {
    struct value_builder b;
    value_builder_init(&b, a);
    for (uint64_t line = 1; text.len && line <= to; line++) {
        struct str one = str_split(text, '\n', &text);
        if (str_ends(one, STR("\r"))) {
            one.len--;
        }
        if (line >= from) {
            value_list_add(&b, value_text(one));
        }
    }
    *out = value_list_done(&b);
    return b.ok ? OK : error_nomem(e);
}
