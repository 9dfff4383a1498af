/* The request that the fields of an http node describe.
 *
 * Secrets are in here in the clear: nothing of it is told to the port but `shown` and `recorded`,
 * which have no part of auth. Never here: a socket.
 */
#include <strings.h>

#include "node/http_priv.h"

struct making {
    struct arena *arena;
    struct http_ask *ask;
    struct net_header *headers;
    size_t count, cap;
    bool ok; /* memory has sufficed */
};

static struct str text_of(struct making *m, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_text(v, &b);
    struct str text = buf_ok(&b) ? arena_str(m->arena, buf_str(&b)) : (struct str){0};
    m->ok = m->ok && text.ptr;
    buf_fini(&b);
    return text;
}

static struct str kept(struct making *m, struct buf *b) {
    struct str text = buf_ok(b) ? arena_str(m->arena, buf_str(b)) : (struct str){0};
    m->ok = m->ok && text.ptr;
    buf_fini(b);
    return text;
}

/* ---- URLs ---- */

static void append_encoded(struct buf *b, struct str s) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_append_char(b, (char)c);
        } else {
            buf_append_char(b, '%');
            buf_append_char(b, digits[c >> 4]);
            buf_append_char(b, digits[c & 15]);
        }
    }
}

static void append_pair(struct making *m, struct buf *b, const char *between, struct str name,
                        struct value v) {
    buf_append_cstr(b, between);
    append_encoded(b, name);
    buf_append_char(b, '=');
    append_encoded(b, text_of(m, v));
}

/* name=value pairs, joined by &; a list gives one pair for each item, null gives none. */
static enum err append_pairs(struct making *m, struct buf *b, struct value map, const char *what,
                             const char *first, struct error *e) {
    const char *between = first;
    if (map.type != VALUE_MAP && !value_is_null(map)) {
        return error_set(e, ERR_INVALID, "%s must be a map of names and values, not %s", what,
                         value_type_name(map.type));
    }
    for (size_t i = 0; i < value_count(map); i++) {
        struct str name = value_str(map.pairs[i].key);
        struct value v = map.pairs[i].val;
        size_t count = v.type == VALUE_LIST ? value_count(v) : !value_is_null(v);
        for (size_t k = 0; k < count; k++) {
            struct value item = v.type == VALUE_LIST ? v.items[k] : v;
            if (item.type == VALUE_MAP || item.type == VALUE_LIST) {
                return error_set(e, ERR_INVALID,
                                 "\"%.*s\" of %s must be a text, a number, a bool or a list of "
                                 "those",
                                 STR_ARG(str_sub(name, 0, 60)), what);
            }
            append_pair(m, b, between, name, item);
            between = "&";
        }
    }
    return OK;
}

static const char *query_start(struct str url) {
    bool has_query = url.len && memchr(url.ptr, '?', url.len);
    char last = url.len ? url.ptr[url.len - 1] : '\0';
    return !has_query ? "?" : last == '?' || last == '&' ? "" : "&";
}

static enum err add_params(struct making *m, struct value params, struct str *url,
                           struct error *e) {
    struct buf b;
    struct str fragment, plain = str_split(*url, '#', &fragment);
    buf_init(&b, 0);
    buf_append(&b, plain);
    enum err err = append_pairs(m, &b, params, "params", query_start(plain), e);
    *url = kept(m, &b);
    return err;
}

struct str http_url_shown(struct arena *a, struct str url) {
    struct str rest, user, shown = str_split(str_split(url, '#', &rest), '?', &rest);
    size_t scheme = str_find(shown, STR("://"), 0);
    if (scheme == SIZE_MAX) {
        return arena_str(a, shown);
    }
    struct str after = str_sub(shown, scheme + 3, shown.len), path;
    struct str host = str_split(after, '/', &path);
    size_t at = host.len;
    while (at > 0 && host.ptr[at - 1] != '@') {
        at--;
    }
    user = str_sub(shown, 0, scheme + 3);
    return arena_printf(a, "%.*s%.*s", STR_ARG(user), STR_ARG(str_sub(after, at, after.len)));
}

/* ---- headers ---- */

static bool has_header(const struct making *m, const char *name) {
    for (size_t i = 0; i < m->count; i++) {
        struct str known = m->headers[i].name;
        if (known.len == strlen(name) && strncasecmp(known.ptr, name, known.len) == 0) {
            return true;
        }
    }
    return false;
}

static void add_header(struct making *m, struct str name, struct str value) {
    if (m->count == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 16;
        struct net_header *more = ARENA_ARRAY(m->arena, cap, struct net_header);
        if (!more) {
            m->ok = false;
            return;
        }
        if (m->count) {
            memcpy(more, m->headers, m->count * sizeof *more);
        }
        m->headers = more;
        m->cap = cap;
    }
    m->headers[m->count++] = (struct net_header){name, value};
}

static void add_default(struct making *m, const char *name, struct str value) {
    if (!has_header(m, name)) {
        add_header(m, str_from(name), value);
    }
}

static enum err add_headers(struct making *m, struct value map, struct error *e) {
    if (map.type != VALUE_MAP && !value_is_null(map)) {
        return error_set(e, ERR_INVALID, "headers must be a map of names and values, not %s",
                         value_type_name(map.type));
    }
    for (size_t i = 0; i < value_count(map); i++) {
        struct value v = map.pairs[i].val;
        size_t count = v.type == VALUE_LIST ? value_count(v) : !value_is_null(v);
        for (size_t k = 0; k < count; k++) {
            struct value item = v.type == VALUE_LIST ? v.items[k] : v;
            add_header(m, value_str(map.pairs[i].key), text_of(m, item));
        }
    }
    return OK;
}

/* ---- auth ---- */

static struct str base64(struct making *m, struct str s) {
    struct buf b;
    buf_init(&b, 0);
    value_print_base64(s, &b);
    return kept(m, &b);
}

static struct str part(struct making *m, struct value auth, const char *name) {
    const struct value *v = value_get(auth, str_from(name));
    return v ? text_of(m, *v) : STR("");
}

static void add_key(struct making *m, struct value auth) {
    struct str in = part(m, auth, "in"), name = part(m, auth, "name");
    if (!str_is(in, "query")) {
        add_header(m, name, part(m, auth, "key"));
        return;
    }
    struct buf b;
    buf_init(&b, 0);
    buf_append(&b, m->ask->net.url);
    append_pair(m, &b, query_start(m->ask->net.url), name, *value_get(auth, STR("key")));
    m->ask->net.url = kept(m, &b);
}

static enum err add_auth(struct making *m, struct value auth, struct error *e) {
    if (value_is_null(auth)) {
        return OK;
    }
    enum err err = http_auth_check(auth, e);
    if (err) {
        return err;
    }
    struct str type = part(m, auth, "type");
    if (str_is(type, "bearer")) {
        struct str token = part(m, auth, "token");
        add_header(m, STR("Authorization"), arena_printf(m->arena, "Bearer %.*s", STR_ARG(token)));
    } else if (str_is(type, "basic")) {
        struct str user = part(m, auth, "username"), word = part(m, auth, "password");
        struct str both = arena_printf(m->arena, "%.*s:%.*s", STR_ARG(user), STR_ARG(word));
        struct str coded = base64(m, both);
        add_header(m, STR("Authorization"), arena_printf(m->arena, "Basic %.*s", STR_ARG(coded)));
    } else if (str_is(type, "api_key")) {
        add_key(m, auth);
    }
    return OK;
}

/* ---- body ---- */

static bool is_form(const struct making *m) {
    for (size_t i = 0; i < m->count; i++) {
        const struct net_header *h = &m->headers[i];
        if (h->name.len == 12 && strncasecmp(h->name.ptr, "content-type", 12) == 0) {
            return str_starts(h->value, STR("application/x-www-form-urlencoded"));
        }
    }
    return false;
}

static enum err add_body(struct making *m, struct value body, struct error *e) {
    struct net_request *r = &m->ask->net;
    struct buf b;
    enum err err = OK;
    if (value_is_null(body)) {
        return OK;
    }
    if (body.type == VALUE_TEXT || body.type == VALUE_BYTES) {
        r->body = value_str(body);
        add_default(m, "Content-Type",
                    body.type == VALUE_TEXT ? STR("text/plain; charset=utf-8")
                                            : STR("application/octet-stream"));
        return OK;
    }
    buf_init(&b, 0);
    if (body.type == VALUE_MAP && is_form(m)) {
        err = append_pairs(m, &b, body, "body", "", e);
    } else {
        value_print_json(body, 0, &b);
        add_default(m, "Content-Type", STR("application/json"));
    }
    r->body = kept(m, &b);
    return err;
}

/* ---- all of it ---- */

static struct str method_of(const struct step_in *in) {
    struct value method = in->fields[HTTP_METHOD];
    if (!value_is_null(method)) {
        return value_str(method);
    }
    return value_is_null(in->fields[HTTP_BODY]) ? STR("GET") : STR("POST");
}

static void add_defaults(struct making *m, const struct step_in *in) {
    struct value response = in->fields[HTTP_RESPONSE];
    struct str method = m->ask->net.method;
    if (response.type == VALUE_TEXT && str_is(value_str(response), "json")) {
        add_default(m, "Accept", STR("application/json"));
    }
    if (!str_is(method, "GET") && !str_is(method, "HEAD") && !str_is(method, "OPTIONS")) {
        add_default(m, "Idempotency-Key", m->ask->key);
    }
}

enum err http_request_begin(const struct step_in *in, struct http_ask *ask, struct error *e) {
    struct making m = {.arena = in->arena, .ask = ask, .ok = true};
    ask->net = (struct net_request){.method = method_of(in)};
    ask->recorded = ask->url;
    enum err err = add_params(&m, ask->params, &ask->recorded, e);
    bool whole = str_find(ask->recorded, STR("://"), 0) != SIZE_MAX || !ask->base.len;
    ask->shown = http_url_shown(in->arena, whole ? ask->recorded : ask->base);
    return err || (m.ok && ask->shown.ptr) ? err : error_nomem(e);
}

enum err http_request_make(const struct step_in *in, struct http_ask *ask, struct error *e) {
    const struct http_data *d = in->node->data;
    struct making m = {.arena = in->arena, .ask = ask, .ok = true};
    ask->net.url = ask->recorded;
    ask->net.base = ask->base;
    ask->net.max_body_bytes = ask->max_bytes;
    ask->net.keep_redirects = d->keep_redirects;
    ask->net.once = in->node->delivery == DELIVERY_AT_MOST_ONCE;
    enum err err = add_headers(&m, in->fields[HTTP_HEADERS], e);
    err = err ? err : add_auth(&m, in->fields[HTTP_AUTH], e);
    err = err ? err : add_body(&m, in->fields[HTTP_BODY], e);
    if (err) {
        return err;
    }
    add_defaults(&m, in);
    ask->net.headers = m.headers;
    ask->net.header_count = m.count;
    return m.ok ? OK : error_nomem(e);
}
