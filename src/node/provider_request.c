/* From an operation and a config to the fields of an http node.
 *
 * What config puts into a path is encoded, so it stays one part of it; "." and ".." parts are
 * refused. Secrets are put into auth and nowhere else.
 */
#include "node/provider.h"

struct request {
    struct step_port *port;
    struct arena *arena;
    struct value config;
    struct error *e;
};

static enum err get_config(void *ctx, uint32_t slot, struct value *out, struct error *e) {
    (void)slot;
    (void)e;
    *out = *(const struct value *)ctx;
    return OK;
}

static enum err evaluate(struct request *r, const struct pval *p, struct value config,
                         struct value *out) {
    struct expr_env env = {
        .ctx = &config, .get = get_config, .arena = r->arena, .max_bytes = NODE_EVAL_BYTES};
    return pval_eval(p, &env, out, r->e);
}

/* ---- the URL ---- */

static struct value encode_text(struct request *r, struct str s, bool *ok) {
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char x = (unsigned char)s.ptr[i];
        bool plain = (x >= '0' && x <= '9') || (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') ||
                     x == '-' || x == '.' || x == '_' || x == '~';
        buf_printf(&b, plain ? "%c" : "%%%02X", x);
    }
    struct str text = buf_ok(&b) ? arena_str(r->arena, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    *ok &= text.ptr != NULL;
    return value_text(text);
}

/* As deep as the value is, which is bounded. */
static struct value encode(struct request *r, struct value v, bool *ok) {
    struct value_builder b;
    value_builder_init(&b, r->arena);
    if (v.type == VALUE_TEXT) {
        return encode_text(r, value_str(v), ok);
    }
    if (v.type != VALUE_LIST && v.type != VALUE_MAP) {
        return v;
    }
    for (size_t i = 0; i < value_count(v); i++) {
        if (v.type == VALUE_LIST) {
            value_list_add(&b, encode(r, v.items[i], ok));
        } else {
            value_map_add_value(&b, v.pairs[i].key, encode(r, v.pairs[i].val, ok));
        }
    }
    *ok &= b.ok;
    return v.type == VALUE_LIST ? value_list_done(&b) : value_map_done(&b);
}

static enum err check_path(struct request *r, struct str path) {
    struct str rest = path;
    while (rest.len) {
        struct str part = str_split(rest, '/', &rest);
        if (str_is(part, ".") || str_is(part, "..")) {
            return error_set(r->e, ERR_INVALID,
                             "config makes the path %.*s of it, with a part %.*s",
                             STR_ARG(str_sub(path, 0, 200)), STR_ARG(part));
        }
    }
    return OK;
}

static struct str text_of(struct request *r, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_print_text(v, &b);
    struct str text = buf_ok(&b) ? arena_str(r->arena, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    return text;
}

static enum err make_url(struct request *r, const struct provider_call *call, struct value *out) {
    bool ok = true;
    struct value base, path, encoded = encode(r, r->config, &ok);
    enum err err = evaluate(r, &call->base_url, r->config, &base);
    err = err ? err : evaluate(r, &call->path, encoded, &path);
    if (err || !ok) {
        return err ? err : error_nomem(r->e);
    }
    struct str start = text_of(r, base), rest = text_of(r, path);
    while (str_ends(start, STR("/"))) {
        start.len--;
    }
    if ((err = check_path(r, rest))) {
        return err;
    }
    struct str url = arena_printf(r->arena, "%.*s%.*s", STR_ARG(start), STR_ARG(rest));
    *out = value_text(url);
    return url.ptr ? OK : error_nomem(r->e);
}

/* ---- headers and auth ---- */

static enum err make_headers(struct request *r, const struct provider_call *call,
                             struct value *out) {
    struct value_builder b;
    value_builder_init(&b, r->arena);
    for (size_t i = 0; i < ARRAY_LEN(call->headers); i++) {
        struct value map;
        enum err err = evaluate(r, &call->headers[i], r->config, &map);
        if (err) {
            return err;
        }
        for (size_t k = 0; map.type == VALUE_MAP && k < value_count(map); k++) {
            value_map_add_value(&b, map.pairs[k].key, map.pairs[k].val);
        }
    }
    *out = value_map_done(&b); /* the last of equal names is kept */
    return b.ok ? OK : error_nomem(r->e);
}

static enum err make_auth(struct request *r, const struct provider_call *call, struct value *out) {
    struct value auth;
    struct value_builder b;
    enum err err = evaluate(r, &call->auth, r->config, &auth);
    if (err || auth.type != VALUE_MAP) {
        *out = value_null();
        return err;
    }
    value_builder_init(&b, r->arena);
    for (size_t i = 0; i < value_count(auth); i++) {
        struct value part = auth.pairs[i].val;
        const struct value *name = value_get(call->secrets, value_str(auth.pairs[i].key));
        struct str text;
        if (name) {
            err = r->port->ops->secret(r->port, value_str(*name), &text, r->e);
            if (err) {
                return err;
            }
            part = value_text(text);
        }
        value_map_add_value(&b, auth.pairs[i].key, part);
    }
    *out = value_map_done(&b);
    return b.ok ? OK : error_nomem(r->e);
}

/* ---- all of it ---- */

static enum err fill_config(struct request *r, const struct provider_call *call,
                            struct value config) {
    struct value_builder none;
    enum err err = OK;
    value_builder_init(&none, r->arena);
    r->config = value_is_null(config) ? value_map_done(&none) : config;
    for (size_t i = 0; !err && i < ARRAY_LEN(call->configs); i++) {
        if (call->configs[i]) {
            err = schema_fill(call->configs[i], r->config, r->arena, &r->config, r->e);
        }
    }
    for (size_t i = 0; !err && i < ARRAY_LEN(call->configs); i++) {
        if (call->configs[i]) {
            err = node_fit(call->configs[i], r->config, "config", r->arena, r->e);
        }
    }
    return err;
}

enum err provider_request_make(struct step_port *port, const struct provider_call *call,
                               struct value config, struct value fields[HTTP_FIELDS],
                               struct error *e) {
    struct request r = {.port = port, .arena = port->in->arena, .e = e};
    enum err err = fill_config(&r, call, config);
    err = err ? err : make_url(&r, call, &fields[HTTP_URL]);
    err = err ? err : make_headers(&r, call, &fields[HTTP_HEADERS]);
    err = err ? err : evaluate(&r, &call->params, r.config, &fields[HTTP_PARAMS]);
    err = err ? err : evaluate(&r, &call->body, r.config, &fields[HTTP_BODY]);
    err = err ? err : make_auth(&r, call, &fields[HTTP_AUTH]);
    fields[HTTP_METHOD] = call->method;
    fields[HTTP_RESPONSE] = call->response;
    return err;
}
