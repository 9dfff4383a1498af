/* URI references (RFC 3986): just what $id and $ref need. Nothing is ever fetched; a URI is only
 * a name for a part of the schema, compared as text after it was resolved.
 */
#include "schema/schema_priv.h"

struct uri {
    struct str scheme, authority, path, query, fragment;
    bool has_authority, has_query, has_fragment;
};

static bool is_scheme_char(char c, bool first) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (!first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

static size_t find_any(struct str s, const char *stops) {
    for (size_t i = 0; i < s.len; i++) {
        if (strchr(stops, s.ptr[i]) && s.ptr[i]) {
            return i;
        }
    }
    return s.len;
}

static struct str cut(struct str *s, const char *stops) {
    size_t at = find_any(*s, stops);
    struct str head = str_sub(*s, 0, at);
    *s = str_sub(*s, at, s->len);
    return head;
}

static struct uri split(struct str s) {
    struct uri u = {0};
    size_t colon = 0;
    while (colon < s.len && is_scheme_char(s.ptr[colon], colon == 0)) {
        colon++;
    }
    if (colon > 0 && colon < s.len && s.ptr[colon] == ':') {
        u.scheme = str_sub(s, 0, colon);
        s = str_sub(s, colon + 1, s.len);
    }
    if (str_starts(s, STR("//"))) {
        u.has_authority = true;
        s = str_sub(s, 2, s.len);
        u.authority = cut(&s, "/?#");
    }
    u.path = cut(&s, "?#");
    if (s.len && s.ptr[0] == '?') {
        u.has_query = true;
        s = str_sub(s, 1, s.len);
        u.query = cut(&s, "#");
    }
    if (s.len) {
        u.has_fragment = true;
        u.fragment = str_sub(s, 1, s.len);
    }
    return u;
}

static void drop_last_segment(struct buf *out, size_t start) {
    while (out->len > start && out->ptr[out->len - 1] != '/') {
        out->len--;
    }
    if (out->len > start) {
        out->len--;
    }
}

/* RFC 3986, 5.2.4. */
static void append_without_dots(struct buf *out, struct str path) {
    size_t start = out->len;
    while (path.len) {
        size_t next = find_any(str_sub(path, 1, path.len), "/") + 1;
        struct str segment = str_sub(path, 0, next < path.len ? next : path.len);
        bool last = segment.len == path.len;
        bool up = str_is(segment, "/..");
        path = str_sub(path, segment.len, path.len);
        if (up) {
            drop_last_segment(out, start);
        }
        if (!up && !str_is(segment, "/.")) {
            buf_append(out, segment);
        } else if (last) {
            buf_append_char(out, '/');
        }
    }
}

static struct str merged_path(struct arena *a, const struct uri *base, struct str path) {
    if (base->has_authority && base->path.len == 0) {
        return arena_printf(a, "/%.*s", STR_ARG(path));
    }
    size_t slash = base->path.len;
    while (slash > 0 && base->path.ptr[slash - 1] != '/') {
        slash--;
    }
    return arena_printf(a, "%.*s%.*s", (int)slash, slash ? base->path.ptr : "", STR_ARG(path));
}

static void print(const struct uri *u, struct buf *out) {
    if (u->scheme.len) {
        buf_append(out, u->scheme);
        buf_append_char(out, ':');
    }
    if (u->has_authority) {
        buf_append_cstr(out, "//");
        buf_append(out, u->authority);
    }
    if (u->scheme.len == 0 || u->has_authority || (u->path.len && u->path.ptr[0] == '/')) {
        append_without_dots(out, u->path);
    } else {
        buf_append(out, u->path); /* urn: and the like have no hierarchy */
    }
    if (u->has_query) {
        buf_append_char(out, '?');
        buf_append(out, u->query);
    }
    if (u->has_fragment) {
        buf_append_char(out, '#');
        buf_append(out, u->fragment);
    }
}

static struct uri resolve(struct arena *a, struct str base_text, struct str ref) {
    struct uri base = split(base_text), r = split(ref);
    if (r.scheme.len || r.has_authority) {
        if (!r.scheme.len) {
            r.scheme = base.scheme;
        }
        return r;
    }
    r.scheme = base.scheme;
    r.authority = base.authority;
    r.has_authority = base.has_authority;
    if (r.path.len == 0) {
        r.path = base.path;
        if (!r.has_query) {
            r.query = base.query;
            r.has_query = base.has_query;
        }
    } else if (r.path.ptr[0] != '/') {
        r.path = merged_path(a, &base, r.path);
    }
    return r;
}

struct str schema_uri_resolve(struct arena *a, struct str base, struct str ref) {
    struct uri u = resolve(a, base, ref);
    struct buf out;
    buf_init(&out, 0);
    print(&u, &out);
    struct str kept = buf_ok(&out) ? arena_str(a, buf_str(&out)) : (struct str){0};
    buf_fini(&out);
    return kept;
}

struct str schema_uri_split(struct str uri, struct str *fragment) {
    size_t at = find_any(uri, "#");
    *fragment = str_sub(uri, at + 1, uri.len);
    return str_sub(uri, 0, at);
}
