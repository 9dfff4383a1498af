/* Secrets in templates: the tag {{ secrets.NAME }}, and sealed text, which says where a secret
 * belongs without holding it.
 *
 * In sealed text "[[" is a '[' and "[secret NAME]" a secret; a '[' before anything else does not
 * exist. Only a template that has the tag makes sealed text, and only that is opened again, so text
 * of a model, a tool or a user cannot name a secret. This form is in journals: it must not change.
 */
#include "expr/tmpl_priv.h"

#define MARK "[secret "

static bool is_name_char(char c, bool first) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && c >= '0' && c <= '9');
}

static bool is_name(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (!is_name_char(s.ptr[i], i == 0)) {
            return false;
        }
    }
    return s.len > 0;
}

struct str secret_tag_name(struct str tag_body) {
    if (!str_starts(tag_body, STR("secrets."))) {
        return (struct str){0};
    }
    struct str name = str_sub(tag_body, strlen("secrets."), tag_body.len);
    return is_name(name) ? name : (struct str){0};
}

void secret_text_seal(struct str text, struct buf *out) {
    for (size_t from = 0; from < text.len;) {
        size_t at = str_find(text, STR("["), from);
        size_t to = at == SIZE_MAX ? text.len : at + 1;
        buf_append(out, str_sub(text, from, to));
        if (at != SIZE_MAX) {
            buf_append_char(out, '[');
        }
        from = to;
    }
}

void secret_mark_append(struct str name, struct buf *out) {
    buf_append_cstr(out, MARK);
    buf_append(out, name);
    buf_append_char(out, ']');
}

/* One part of sealed text: a slice of it, a '[', or a secret. */
static enum err next_part(struct str s, size_t *at, struct str *out_text, struct str *out_name,
                          struct error *e) {
    struct str rest = str_sub(s, *at, s.len);
    *out_name = (struct str){0};
    if (rest.ptr[0] != '[') {
        size_t to = str_find(rest, STR("["), 0);
        *out_text = str_sub(rest, 0, to == SIZE_MAX ? rest.len : to);
        *at += out_text->len;
        return OK;
    }
    if (str_starts(rest, STR("[["))) {
        *out_text = str_sub(rest, 0, 1);
        *at += 2;
        return OK;
    }
    size_t end = str_find(rest, STR("]"), 0);
    size_t from = strlen(MARK);
    if (str_starts(rest, STR(MARK)) && end != SIZE_MAX && is_name(str_sub(rest, from, end))) {
        *out_name = str_sub(rest, from, end);
        *at += end + 1;
        return OK;
    }
    return error_set(e, ERR_CORRUPT, "a recorded text with a secret cannot be read at byte %zu",
                     *at);
}

/* No fewer secrets than it names. */
static size_t most_secrets(struct str s) { return s.len / strlen(MARK "X]") + 1; }

/* The secrets in order, each asked for once: it may be another one when it is asked for again. */
static enum err read_secrets(struct str s, const struct secret_source *source, struct str *secrets,
                             size_t *out_len, struct error *e) {
    size_t count = 0;
    *out_len = 0;
    for (size_t at = 0; at < s.len;) {
        struct str text = {0}, name;
        enum err err = next_part(s, &at, &text, &name, e);
        if (!err && name.len) {
            err = source->get(source->ctx, name, &text, e);
            secrets[count++] = text;
        }
        if (err) {
            return err;
        }
        *out_len += text.len;
    }
    return OK;
}

enum err secret_text_open(struct str sealed, const struct secret_source *source, struct arena *a,
                          struct str *out, struct error *e) {
    size_t len = 0, next = 0;
    struct str *secrets = ARENA_ARRAY(a, most_secrets(sealed), struct str);
    enum err err = secrets ? read_secrets(sealed, source, secrets, &len, e) : error_nomem(e);
    if (err) {
        return err;
    }
    if (len > VALUE_MAX_TEXT) {
        return error_set(e, ERR_LIMIT, "a text with its secrets has more than %u bytes",
                         VALUE_MAX_TEXT);
    }
    char *text = arena_alloc(a, len + 1);
    if (!text) {
        return error_nomem(e);
    }
    *out = (struct str){text, 0};
    for (size_t at = 0; at < sealed.len;) {
        struct str part, name;
        ASSERT(next_part(sealed, &at, &part, &name, e) == OK);
        part = name.len ? secrets[next++] : part;
        if (part.len) {
            memcpy(text + out->len, part.ptr, part.len);
        }
        out->len += part.len;
    }
    return OK;
}
