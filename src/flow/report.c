/* Reading single values of a workflow file, and refusing them: every message says what stands
 * there, what was expected and, where that is known, what to write instead.
 *
 * Nothing here stops the compilation: a value that is refused is taken as not given. Only a lack
 * of memory does, noted in session.nomem.
 */
#include <stdio.h>

#include "flow/flow_priv.h"

void *flow_keep_array(struct session *s, size_t count, size_t size_bytes) {
    void *p = arena_array(s->keep, count ? count : 1, size_bytes);
    s->nomem |= !p;
    return p;
}

void *flow_scratch_array(struct session *s, size_t count, size_t size_bytes) {
    void *p = arena_array(&s->scratch, count ? count : 1, size_bytes);
    s->nomem |= !p;
    return p;
}

bool flow_array_grow(struct session *s, struct arena *arena, void *items_at, uint32_t *cap,
                     size_t size_bytes) {
    void **items = items_at;
    uint32_t larger = *cap ? *cap * 2 : 8;
    void *moved = larger > *cap ? arena_array(arena, larger, size_bytes) : NULL;
    if (!moved) {
        s->nomem = true;
        return false;
    }
    if (*cap) {
        memcpy(moved, *items, *cap * size_bytes);
    }
    *items = moved;
    *cap = larger;
    return true;
}

struct str flow_keep_str(struct session *s, struct str text) {
    struct str kept = arena_str(s->keep, text);
    s->nomem |= !kept.ptr;
    return kept;
}

/* Through scratch: the tree's texts do not live as long as the plan. */
bool flow_keep_value(struct session *s, const struct yaml_node *n, struct value *out) {
    struct value borrowed;
    bool good = yaml_to_value(&s->scratch, n, &borrowed) && value_copy(s->keep, borrowed, out);
    s->nomem |= !good;
    return good;
}

bool flow_is_empty(const struct yaml_node *n) {
    return n->type == YAML_SCALAR && n->plain && !n->text.len;
}

struct mark flow_text_mark(const struct yaml_node *n) {
    return n->type == YAML_SCALAR && n->content.line ? n->content : n->mark;
}

void flow_subject_set(struct unit *u, struct diag_item *item, enum rank rank, uint32_t order,
                      struct str subject) {
    if (item == &u->s->diag->dropped) {
        return;
    }
    item->rank = (uint32_t)rank << 26 | (order < (1u << 26) ? order : (1u << 26) - 1);
    item->subject = arena_str(u->s->diag->arena, subject);
    u->s->nomem |= !item->subject.ptr;
}

struct str flow_text_clip(struct str s, size_t max_bytes) {
    size_t len = s.len < max_bytes ? s.len : max_bytes;
    while (len > 0 && len < s.len && ((unsigned char)s.ptr[len] & 0xc0) == 0x80) {
        len--;
    }
    return str_sub(s, 0, len);
}

/* ---- help ---- */

struct str flow_words_join(struct session *s, const struct str *words, size_t count) {
    char text[240];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (len + words[i].len + 8 > sizeof text) {
            len += (size_t)snprintf(text + len, sizeof text - len, ", ...");
            break;
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i ? ", " : "",
                                STR_ARG(words[i]));
    }
    struct str joined = arena_str(&s->scratch, (struct str){text, len});
    return joined.ptr ? joined : STR("");
}

void flow_suggest(struct unit *u, struct diag_item *item, struct str word, const struct str *known,
                  size_t known_count) {
    struct diag *d = u->s->diag;
    if (item == &d->dropped) {
        return;
    }
    diag_suggest(d, item, word, known, known_count);
    if (!item->help.len && known_count) {
        struct str all = flow_words_join(u->s, known, known_count);
        diag_help(d, item, "known here: %.*s", STR_ARG(all));
    }
}

/* ---- types ---- */

const char *flow_node_describe(const struct yaml_node *n) {
    return n->type == YAML_SCALAR && n->plain && !n->text.len ? "nothing" : yaml_describe(n);
}

struct diag_item *flow_type_refuse(struct unit *u, const struct yaml_node *n, const char *what,
                                   const char *expected) {
    struct diag *d = u->s->diag;
    struct diag_item *item = diag_error(d, n->mark, "wrong_type", "\"%s\": expected %s, got %s",
                                        what, expected, flow_node_describe(n));
    if (str_is(str_from(flow_node_describe(n)), "nothing")) {
        diag_help(d, item, "write a value after \"%s:\", or remove the line", what);
    }
    return item;
}

bool flow_map_get(struct unit *u, const struct yaml_node *n, const char *what) {
    if (n->type == YAML_MAP) {
        return true;
    }
    struct diag_item *item = flow_type_refuse(u, n, what, "a map");
    diag_help(u->s->diag, item, "write \"key: value\" lines below \"%s:\"", what);
    return false;
}

bool flow_text_get(struct unit *u, const struct yaml_node *n, const char *what, struct str *out) {
    if (n->type == YAML_SCALAR && n->value.type == VALUE_TEXT) {
        *out = n->text;
        return true;
    }
    struct diag_item *item = flow_type_refuse(u, n, what, "text");
    if (n->type == YAML_SCALAR && n->text.len) {
        diag_help(u->s->diag, item, "put it in quotes: \"%.*s\"",
                  STR_ARG(flow_text_clip(n->text, 60)));
    }
    return false;
}

bool flow_int_get(struct unit *u, const struct yaml_node *n, const char *what,
                  const int64_t range[2], int64_t *out) {
    char expected[100] = "an integer";
    if (range[0] != INT64_MIN) {
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)range[0],
                 (long long)range[1]);
    }
    if (n->type != YAML_SCALAR || (n->value.type != VALUE_INT && n->value.type != VALUE_UINT)) {
        flow_type_refuse(u, n, what, expected);
        return false;
    }
    if (n->value.type == VALUE_UINT || n->value.num < range[0] || n->value.num > range[1]) {
        diag_error(u->s->diag, n->mark, "bad_value", "\"%s\": expected %s, got %.*s", what,
                   expected, STR_ARG(n->text));
        return false;
    }
    *out = n->value.num;
    return true;
}

bool flow_double_get(struct unit *u, const struct yaml_node *n, const char *what,
                     const double range[2], double *out) {
    char expected[100] = "a number";
    if (range[0] > -FLOW_ANY_DOUBLE) {
        snprintf(expected, sizeof expected, "a number from %g to %g", range[0], range[1]);
    }
    bool is_int = n->type == YAML_SCALAR && n->value.type == VALUE_INT;
    if (!is_int && (n->type != YAML_SCALAR || n->value.type != VALUE_DOUBLE)) {
        flow_type_refuse(u, n, what, expected);
        return false;
    }
    double number = is_int ? (double)n->value.num : n->value.real;
    if (!(number >= range[0] && number <= range[1])) {
        diag_error(u->s->diag, n->mark, "bad_value", "\"%s\": expected %s, got %.*s", what,
                   expected, STR_ARG(n->text));
        return false;
    }
    *out = number;
    return true;
}

bool flow_duration_get(struct unit *u, const struct yaml_node *n, const char *what, int64_t *out) {
    struct diag *d = u->s->diag;
    if (n->type == YAML_SCALAR && n->value.type == VALUE_TEXT) {
        if (time_parse_duration(n->text, out)) {
            return true;
        }
        struct diag_item *item =
            diag_error(d, n->mark, "bad_value", "\"%s\": \"%.*s\" is no duration", what,
                       STR_ARG(flow_text_clip(n->text, 60)));
        diag_help(d, item,
                  "expected numbers with units d, h, m, s, ms, us, at most 100 years: "
                  "90s, 1h30m, 1.5s");
        return false;
    }
    struct diag_item *item = flow_type_refuse(u, n, what, "a duration like 90s or 1h30m");
    if (n->type == YAML_SCALAR && (n->value.type == VALUE_INT || n->value.type == VALUE_DOUBLE)) {
        diag_help(d, item, "a number needs a unit: %.*ss for seconds, %.*sm for minutes",
                  STR_ARG(n->text), STR_ARG(n->text));
    }
    return false;
}

bool flow_word_get(struct unit *u, const struct yaml_node *n, const char *what,
                   const char *const *words, int *out) {
    struct str known[32];
    size_t count = 0;
    for (; words[count] && count < ARRAY_LEN(known); count++) {
        known[count] = str_from(words[count]);
        if (n->type == YAML_SCALAR && n->value.type == VALUE_TEXT &&
            str_eq(n->text, known[count])) {
            *out = (int)count;
            return true;
        }
    }
    struct str all = flow_words_join(u->s, known, count);
    if (n->type != YAML_SCALAR || n->value.type != VALUE_TEXT) {
        char expected[280];
        snprintf(expected, sizeof expected, "one of %.*s", STR_ARG(all));
        flow_type_refuse(u, n, what, expected);
        return false;
    }
    struct diag_item *item =
        diag_error(u->s->diag, n->mark, "bad_value", "\"%s\": expected one of %.*s, got \"%.*s\"",
                   what, STR_ARG(all), STR_ARG(flow_text_clip(n->text, 60)));
    if (item != &u->s->diag->dropped) {
        diag_suggest(u->s->diag, item, n->text, known, count);
    }
    return false;
}

bool flow_texts_get(struct unit *u, const struct yaml_node *n, const char *what,
                    const struct str **out, uint32_t *out_count) {
    if (n->type == YAML_MAP) {
        flow_type_refuse(u, n, what, "a list of texts");
        return false;
    }
    uint32_t count = n->type == YAML_LIST ? n->count : 1;
    struct str *texts = KEEP(u->s, count, struct str);
    if (!texts) {
        return false;
    }
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        struct str text = {0};
        good &= flow_text_get(u, n->type == YAML_LIST ? n->items[i] : n, what, &text);
        texts[i] = flow_keep_str(u->s, text);
    }
    if (good) {
        *out = texts;
        *out_count = count;
    }
    return good;
}

void flow_constant_check(struct unit *u, struct mark mark, const char *what, struct value v,
                         enum value_type wanted) {
    if (v.type == wanted) {
        return;
    }
    struct buf shown;
    buf_init(&shown, 0);
    value_print_short(v, 60, &shown);
    diag_error(u->s->diag, mark, "bad_constant", "\"%s\": expected %s, got %.*s", what,
               wanted == VALUE_BOOL ? "true or false" : "a list", STR_ARG(buf_str(&shown)));
    buf_fini(&shown);
}

/* ---- names and keys ---- */

static const char *const reserved_words[] = {
    "inputs",    "vars",   "nodes", "execution", "item",  "index",  "iteration", "step",  "env",
    "secrets",   "it",     "true",  "false",     "null",  "in",     "as",        "break", "const",
    "continue",  "else",   "for",   "function",  "if",    "import", "let",       "loop",  "package",
    "namespace", "return", "var",   "void",      "while", NULL,
};

static bool is_reserved(struct str name) {
    for (size_t i = 0; reserved_words[i]; i++) {
        if (str_is(name, reserved_words[i])) {
            return true;
        }
    }
    return false;
}

bool flow_name_fits(struct unit *u, struct str name, struct mark mark, const char *what) {
    if (name.len <= FLOW_MAX_NAME) {
        return true;
    }
    struct diag_item *item =
        diag_error(u->s->diag, mark, "bad_name", "the name of %s has %zu bytes: at most %u may be",
                   what, name.len, FLOW_MAX_NAME);
    diag_help(u->s->diag, item, "a long text for people is a \"label\" or a \"description\"");
    return false;
}

bool flow_name_get(struct unit *u, struct str name, struct mark mark, const char *what) {
    struct diag *d = u->s->diag;
    if (!flow_name_fits(u, name, mark, what)) {
        return false;
    }
    if (!str_is_name(name)) {
        struct diag_item *item =
            diag_error(d, mark, "bad_name", "\"%.*s\" cannot be the name of %s",
                       STR_ARG(flow_text_clip(name, 60)), what);
        diag_help(d, item, "a name has small letters, digits and _, and no digit first");
        return false;
    }
    if (is_reserved(name)) {
        struct diag_item *item =
            diag_error(d, mark, "reserved_name",
                       "\"%.*s\" cannot be the name of %s: it means something in expressions",
                       STR_ARG(name), what);
        diag_help(d, item, "take another name, such as %.*s_1", STR_ARG(name));
        return false;
    }
    return true;
}

struct diag_item *flow_key_refuse(struct unit *u, const struct yaml_node *key, const char *what,
                                  const struct str *known, size_t known_count) {
    struct diag_item *item =
        diag_error(u->s->diag, key->mark, "unknown_key", "unknown key \"%.*s\" in %s",
                   STR_ARG(flow_text_clip(key->text, 60)), what);
    flow_suggest(u, item, key->text, known, known_count);
    return item;
}

void flow_later_refuse(struct unit *u, const struct yaml_node *key) {
    struct diag_item *item =
        diag_error(u->s->diag, key->mark, "not_available",
                   "\"%.*s\" is not available in this version of cairn", STR_ARG(key->text));
    diag_help(u->s->diag, item, "remove it");
}

static bool among(struct str word, const char *const *words) {
    for (size_t i = 0; words && words[i]; i++) {
        if (str_is(word, words[i])) {
            return true;
        }
    }
    return false;
}

void flow_keys_check(struct unit *u, const struct yaml_node *map, const char *what,
                     const char *const *words, const char *const *later) {
    struct str known[32];
    size_t count = 0;
    for (; words[count] && count < ARRAY_LEN(known); count++) {
        known[count] = str_from(words[count]);
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_node *key = map->pairs[i].key;
        if (among(key->text, later)) {
            flow_later_refuse(u, key);
        } else if (!among(key->text, words)) {
            (void)flow_key_refuse(u, key, what, known, count);
        }
    }
}

bool flow_schema_compile(struct unit *u, const struct yaml_node *n, const char *what,
                         struct value *out_source, const struct schema **out) {
    bool is_bool = n->type == YAML_SCALAR && n->value.type == VALUE_BOOL;
    if (n->type != YAML_MAP && !is_bool) {
        struct diag_item *item = flow_type_refuse(u, n, what, "a JSON Schema (a map)");
        diag_help(u->s->diag, item, "for example {type: string}");
        return false;
    }
    struct error e = {0};
    if (!flow_keep_value(u->s, n, out_source)) {
        return false;
    }
    enum err err = schema_compile(u->s->keep, *out_source, out, &e);
    if (err == ERR_NOMEM) {
        u->s->nomem = true;
    } else if (err) {
        struct diag_item *item = diag_error(u->s->diag, n->mark, "bad_schema",
                                            "\"%s\" is no valid JSON Schema: %s", what, e.message);
        diag_help(u->s->diag, item, "see JSON Schema 2020-12");
    }
    return err == OK;
}
