/* What can be said about an http node when it is compiled: statuses, the kind of auth, paging.
 *
 * Never here: anything that depends on an evaluated field, except the shape of auth, which is
 * checked as it is written and again when it has been evaluated.
 */
#include <strings.h>

#include "node/http_priv.h"

/* ---- expect ---- */

static bool is_redirect(int64_t status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void expect_range(struct http_data *d, int64_t from, int64_t to) {
    for (int64_t s = from; s <= to; s++) {
        d->expected[s] = true;
        d->keep_redirects = d->keep_redirects || is_redirect(s);
    }
}

/* 200, "2xx" or "200-204". */
static bool read_range(struct value v, int64_t *out_from, int64_t *out_to) {
    if (v.type == VALUE_INT) {
        *out_from = *out_to = v.num;
    } else if (v.type == VALUE_TEXT) {
        struct str to, text = str_trim(value_str(v));
        bool class = text.len == 3 && str_ends(text, STR("xx"));
        struct str from = str_split(text, '-', &to);
        if (class && text.ptr[0] >= '1' && text.ptr[0] <= '5') {
            *out_from = (text.ptr[0] - '0') * 100;
            *out_to = *out_from + 99;
        } else if (!str_to_int64(str_trim(from), out_from) ||
                   !str_to_int64(to.len ? str_trim(to) : from, out_to)) {
            return false;
        }
    } else {
        return false;
    }
    return *out_from >= 100 && *out_to <= HTTP_STATUS_MAX && *out_from <= *out_to;
}

static void check_expect(struct node_check *c, struct http_data *d) {
    struct value v = check_literal(c, "expect");
    bool list = v.type == VALUE_LIST;
    size_t count = list ? value_count(v) : 1;
    int64_t from, to;
    if (!check_has(c, "expect")) {
        expect_range(d, 200, 299);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_range(list ? v.items[i] : v, &from, &to)) {
            check_error(c, "expect", "bad_value",
                        "expect is a status or a list of them, like 200, \"2xx\" or \"200-204\"");
            return;
        }
        expect_range(d, from, to);
    }
    if (!count) {
        check_error(c, "expect", "bad_value", "expect is empty: no answer would ever do");
    }
}

/* ---- auth ---- */

static const struct auth_shape {
    const char *type;
    const char *needed[3];
    const char *allowed[2];
} auth_shapes[] = {
    {"none", {NULL}, {NULL}},
    {"bearer", {"token", NULL}, {NULL}},
    {"basic", {"username", "password", NULL}, {NULL}},
    {"api_key", {"key", "name", NULL}, {"in", NULL}},
};

static const struct auth_shape *find_shape(struct value auth) {
    const struct value *type = value_get(auth, STR("type"));
    for (size_t i = 0; type && type->type == VALUE_TEXT && i < ARRAY_LEN(auth_shapes); i++) {
        if (str_is(value_str(*type), auth_shapes[i].type)) {
            return &auth_shapes[i];
        }
    }
    return NULL;
}

static bool is_among(struct str key, const char *const *words) {
    for (size_t i = 0; words[i]; i++) {
        if (str_is(key, words[i])) {
            return true;
        }
    }
    return str_is(key, "type");
}

enum err http_auth_check(struct value auth, struct error *e) {
    const struct auth_shape *shape = find_shape(auth);
    if (!shape) {
        return error_set(e, ERR_INVALID,
                         "auth is a map with the type none, bearer (token), basic (username, "
                         "password) or api_key (key, name, in)");
    }
    for (size_t i = 0; shape->needed[i]; i++) {
        const struct value *v = value_get(auth, str_from(shape->needed[i]));
        if (!v || value_is_null(*v)) {
            return error_set(e, ERR_INVALID, "auth of type %s needs \"%s\"", shape->type,
                             shape->needed[i]);
        }
    }
    for (size_t i = 0; i < value_count(auth); i++) {
        struct str key = value_str(auth.pairs[i].key);
        if (!is_among(key, shape->needed) && !is_among(key, shape->allowed)) {
            return error_set(e, ERR_INVALID, "auth of type %s has no \"%.*s\"", shape->type,
                             STR_ARG(str_sub(key, 0, 60)));
        }
    }
    const struct value *in = value_get(auth, STR("in"));
    bool known = !in || (in->type == VALUE_TEXT &&
                         (str_is(value_str(*in), "header") || str_is(value_str(*in), "query")));
    return known ? OK : error_set(e, ERR_INVALID, "\"in\" of auth must be header or query");
}

static void check_auth(struct node_check *c) {
    struct value auth = check_written(c, "auth");
    struct error e;
    if (auth.type == VALUE_TEXT) {
        return; /* a template of the whole of it: checked when it is evaluated */
    }
    if (check_has(c, "auth") && http_auth_check(auth, &e)) {
        check_error(c, "auth", "bad_value", "%s", e.message);
    }
}

/* ---- paginate ---- */

static void check_paginate(struct node_check *c, struct http_data *d) {
    static const char *const names[] = {"page", "headers", "status", "number", NULL};
    struct value v = check_literal(c, "paginate");
    const struct value *max = value_get(v, STR("max_pages"));
    size_t known = 0;
    for (size_t i = 0; v.type == VALUE_MAP && i < value_count(v); i++) {
        struct str key = value_str(v.pairs[i].key);
        known += str_is(key, "items") || str_is(key, "next") || str_is(key, "max_pages");
    }
    if (!value_get(v, STR("items")) || !value_get(v, STR("next")) || known != value_count(v)) {
        check_error(c, "paginate", "bad_value",
                    "paginate has items and next, two expressions over page, headers, status and "
                    "number, and may have max_pages");
        return;
    }
    if (max && (max->type != VALUE_INT || max->num < 1)) {
        check_error(c, "paginate", "bad_value", "max_pages must be a number above 0");
    }
    d->paginate = true;
    d->max_pages = max && max->type == VALUE_INT ? max->num : 0;
    d->items = check_expression(c, "paginate", "items", names);
    d->next = check_expression(c, "paginate", "next", names);
}

/* ---- maps ---- */

static void check_map(struct node_check *c, const char *field) {
    struct value v = check_literal(c, field);
    if (!value_is_null(v) && v.type != VALUE_MAP) {
        check_error(c, field, "bad_value", "%s is a map of names and values", field);
    }
}

/* ---- what never could be sent ---- */

static void check_url(struct node_check *c) {
    struct value v = check_literal(c, "url");
    struct str url = v.type == VALUE_TEXT ? str_trim(value_str(v)) : STR("http://-");
    size_t scheme = url.len > 7 && strncasecmp(url.ptr, "http://", 7) == 0    ? 7
                    : url.len > 8 && strncasecmp(url.ptr, "https://", 8) == 0 ? 8
                                                                              : 0;
    if (!scheme || strchr("/?#", url.ptr[scheme])) {
        check_error(c, "url", "bad_value",
                    "the URL must begin with http:// or https:// and a host, not be \"%.*s\"",
                    STR_ARG(str_sub(url, 0, 100)));
    }
}

static void check_header_names(struct node_check *c) {
    struct value v = check_written(c, "headers");
    for (size_t i = 0; v.type == VALUE_MAP && i < value_count(v); i++) {
        struct net_header header = {.name = value_str(v.pairs[i].key), .value = STR("")};
        struct net_request r = {.headers = &header, .header_count = 1};
        struct error e;
        if (net_request_check(&r, &e)) {
            check_error(c, "headers", "bad_value", "%s", e.message);
        }
    }
}

void http_check(struct node_check *c) {
    struct http_data *d = ARENA_NEW(check_arena(c), struct http_data);
    struct value full = check_literal(c, "full");
    if (!d) {
        check_error(c, "url", "no_memory", "out of memory");
        return;
    }
    check_set_data(c, d);
    check_url(c);
    check_expect(c, d);
    check_auth(c);
    check_map(c, "headers");
    check_header_names(c);
    check_map(c, "params");
    if (check_has(c, "paginate")) {
        check_paginate(c, d);
    }
    if (d->paginate && full.type == VALUE_BOOL && full.boolean) {
        check_error(c, "full", "excludes", "full goes with one answer, not with paginate");
    }
}
