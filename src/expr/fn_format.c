/* string.format(list): %s %d %f %e %x %X %o %b and %%, after the CEL strings extension.
 *
 * The output is bounded by what the arena has left and charged when it is done; shared parts of a
 * value are charged each time they are walked.
 */
#include "expr/run_priv.h"

#include <math.h>
#include <stdlib.h>

#define MAX_PRECISION 100

struct format {
    struct run *r;
    struct buf out;
    struct str text;
    size_t pos;
    struct value list;
    uint32_t next; /* argument */
};

static enum err print_any(struct format *f, struct value v, uint32_t depth);

static enum err print_list(struct format *f, struct value v, uint32_t depth) {
    enum err err = OK;
    buf_append_char(&f->out, '[');
    for (uint32_t i = 0; !err && i < v.extra; i++) {
        buf_append_cstr(&f->out, i ? ", " : "");
        err = print_any(f, v.items[i], depth + 1);
    }
    buf_append_char(&f->out, ']');
    return err;
}

struct shown_key {
    struct str text;
    const struct value *val;
};

static int compare_keys(const void *a, const void *b) {
    return str_cmp(((const struct shown_key *)a)->text, ((const struct shown_key *)b)->text);
}

/* Keys in the order of their text. */
static enum err sort_keys(struct format *f, struct value v, struct shown_key *keys) {
    for (uint32_t i = 0; i < v.extra; i++) {
        struct buf b;
        struct value text;
        text_start(f->r, &b);
        value_print_text(v.pairs[i].key, &b);
        enum err err = text_done(f->r, &b, &text);
        if (err) {
            return err;
        }
        keys[i] = (struct shown_key){value_str(text), &v.pairs[i].val};
    }
    if (v.extra) {
        qsort(keys, v.extra, sizeof *keys, compare_keys);
    }
    return OK;
}

static enum err print_map(struct format *f, struct value v, uint32_t depth) {
    struct shown_key *keys = run_alloc(f->r, v.extra, sizeof *keys);
    if (v.extra && !keys) {
        return run_memory_exceeded(f->r);
    }
    enum err err = sort_keys(f, v, keys);
    buf_append_char(&f->out, '{');
    for (uint32_t i = 0; !err && i < v.extra; i++) {
        buf_append_cstr(&f->out, i ? ", " : "");
        buf_append(&f->out, keys[i].text);
        buf_append_cstr(&f->out, ": ");
        err = print_any(f, *keys[i].val, depth + 1);
    }
    buf_append_char(&f->out, '}');
    return err;
}

static enum err print_any(struct format *f, struct value v, uint32_t depth) {
    enum err err = run_charge(f->r, 1);
    if (!err && depth > VALUE_MAX_DEPTH) {
        return run_limit(f->r, "lists and maps nested deeper than %d", VALUE_MAX_DEPTH);
    }
    switch (v.type) {
    case VALUE_LIST: return err ? err : print_list(f, v, depth);
    case VALUE_MAP: return err ? err : print_map(f, v, depth);
    case VALUE_NULL: buf_append_cstr(&f->out, "null"); return err;
    case VALUE_BYTES: buf_append(&f->out, value_str(v)); return err;
    case VALUE_OPTIONAL:
        return err ? err : print_any(f, v.items ? *v.items : value_null(), depth + 1);
    default: value_print_text(v, &f->out); return err;
    }
}

static enum err wrong(struct format *f, char clause, const char *takes, struct value v) {
    return run_mismatch(f->r, "format(): %%%c takes %s, this is %s", clause, takes, type_phrase(v));
}

static enum err print_decimal(struct format *f, struct value v) {
    bool odd = v.type == VALUE_DOUBLE && !isfinite(v.real);
    if (v.type != VALUE_INT && v.type != VALUE_UINT && !odd) {
        return wrong(f, 'd', "an integer", v);
    }
    value_print_text(v, &f->out);
    return OK;
}

static enum err print_real(struct format *f, char clause, int precision, struct value v) {
    if (!is_number(v)) {
        return wrong(f, clause, "a number", v);
    }
    double d = v.type == VALUE_DOUBLE ? v.real
               : v.type == VALUE_INT  ? (double)v.num
                                      : (double)v.unum;
    if (!isfinite(d)) {
        value_print_text(value_double(d), &f->out);
    } else if (clause == 'f') {
        buf_printf(&f->out, "%.*f", precision, d);
    } else {
        buf_printf(&f->out, "%.*e", precision, d);
    }
    return OK;
}

static void print_binary(struct buf *out, uint64_t u) {
    char digits[64];
    size_t len = 0;
    do {
        digits[sizeof digits - ++len] = (char)('0' + (u & 1));
        u >>= 1;
    } while (u);
    buf_append(out, (struct str){digits + sizeof digits - len, len});
}

static enum err print_base(struct format *f, char clause, struct value v) {
    if (v.type == VALUE_BOOL && clause == 'b') {
        buf_append_char(&f->out, v.boolean ? '1' : '0');
        return OK;
    }
    if ((v.type == VALUE_TEXT || v.type == VALUE_BYTES) && clause != 'b' && clause != 'o') {
        for (uint32_t i = 0; i < v.extra; i++) {
            unsigned byte = (unsigned char)v.ptr[i];
            buf_printf(&f->out, clause == 'x' ? "%02x" : "%02X", byte);
        }
        return run_charge(f->r, v.extra);
    }
    if (v.type != VALUE_INT && v.type != VALUE_UINT) {
        return wrong(f, clause,
                     clause == 'b'   ? "an integer or a bool"
                     : clause == 'o' ? "an integer"
                                     : "an integer, a string or bytes",
                     v);
    }
    bool negative = v.type == VALUE_INT && v.num < 0;
    unsigned long long u = negative ? 0 - v.unum : v.unum;
    buf_append_cstr(&f->out, negative ? "-" : "");
    switch (clause) {
    case 'b': print_binary(&f->out, u); return OK;
    case 'o': buf_printf(&f->out, "%llo", u); return OK;
    case 'x': buf_printf(&f->out, "%llx", u); return OK;
    default: buf_printf(&f->out, "%llX", u); return OK;
    }
}

/* ".3" before a clause. */
static enum err read_precision(struct format *f, int *out) {
    *out = 6;
    if (f->pos >= f->text.len || f->text.ptr[f->pos] != '.') {
        return OK;
    }
    size_t from = ++f->pos;
    for (*out = 0; f->pos < f->text.len && f->text.ptr[f->pos] >= '0' && f->text.ptr[f->pos] <= '9';
         f->pos++) {
        *out = *out < 1000 ? *out * 10 + (f->text.ptr[f->pos] - '0') : *out;
    }
    if (from == f->pos || *out > MAX_PRECISION) {
        return run_fault(f->r, "format(): the precision after %%. is a number up to %d",
                         MAX_PRECISION);
    }
    return OK;
}

static enum err print_clause(struct format *f) {
    int precision = 6;
    enum err err = read_precision(f, &precision);
    if (err) {
        return err;
    }
    char clause = f->pos < f->text.len ? f->text.ptr[f->pos++] : '\0';
    if (!clause || !strchr("sdfexXob", clause)) {
        return run_fault(f->r, "format(): after %% stands one of s d f e x X o b or %%");
    }
    if (f->next >= f->list.extra) {
        return run_fault(f->r, "format(): %%%c number %u, but the list has %u item%s", clause,
                         f->next + 1, f->list.extra, f->list.extra == 1 ? "" : "s");
    }
    struct value v = f->list.items[f->next++];
    switch (clause) {
    case 's': return print_any(f, v, 0);
    case 'd': return print_decimal(f, v);
    case 'f':
    case 'e': return print_real(f, clause, precision, v);
    default: return print_base(f, clause, v);
    }
}

static enum err print_all(struct format *f) {
    enum err err = OK;
    while (!err && f->pos < f->text.len) {
        size_t percent = str_find(f->text, STR("%"), f->pos);
        percent = percent == SIZE_MAX ? f->text.len : percent;
        buf_append(&f->out, str_sub(f->text, f->pos, percent));
        f->pos = percent + 1;
        if (percent == f->text.len) {
            break;
        }
        if (f->pos < f->text.len && f->text.ptr[f->pos] == '%') {
            buf_append_char(&f->out, '%');
            f->pos++;
        } else {
            err = print_clause(f);
        }
    }
    return err;
}

enum err fn_format(struct run *r, const struct value *args, uint32_t count, struct value *out) {
    (void)count;
    struct format f = {.r = r};
    enum err err = arg_text(r, "format", args, 0, &f.text);
    if (err) {
        return err;
    }
    if (args[1].type != VALUE_LIST) {
        return arg_wrong(r, "format", args, 1, "a list");
    }
    f.list = args[1];
    text_start(r, &f.out);
    err = print_all(&f);
    if (err) {
        buf_fini(&f.out);
        return err;
    }
    if (!str_is_utf8(buf_str(&f.out)) && buf_ok(&f.out)) {
        buf_fini(&f.out);
        return run_fault(r, "format(): the bytes are not UTF-8 text");
    }
    return text_done(r, &f.out, out);
}
