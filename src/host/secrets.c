/* Secrets: read at the moment of the effect, put into the fields that the kind sees, taken out of
 * all that the kind tells.
 *
 * A tree of executions shares one vault. It holds every secret that was opened for the tree here,
 * and those that its workflows mention, as an earlier process may have handed them out. Must never
 * let a value of the vault into an event, a log or a message; what is no longer needed is
 * overwritten.
 */
#include <stdlib.h>

#include "host/host_priv.h"
#include "value/redact.h"

struct secret {
    struct secret *next;
    struct str name, value; /* behind the struct */
};

struct vault {
    uint32_t refs;
    struct secret *secrets;
    struct redactor *redactor; /* NULL: no secret is known */
};

enum { STREAMS = 3 };
static const char *const stream_names[STREAMS] = {"stdout", "stderr", "chunk"};

struct port_secrets {
    struct arena arena; /* opened fields */
    struct step_in in;  /* what the kind gets instead of the flight's */
    struct redact_stream *streams[STREAMS];
    struct buf told;
};

/* ---- the vault ---- */

static struct secret *secret_new(struct str name, struct str value) {
    struct secret *s = malloc(sizeof *s + name.len + value.len + 1);
    if (!s) {
        return NULL;
    }
    char *text = (char *)(s + 1);
    memcpy(text, name.ptr, name.len);
    memcpy(text + name.len, value.ptr, value.len);
    text[name.len + value.len] = '\0';
    *s = (struct secret){.name = {text, name.len}, .value = {text + name.len, value.len}};
    return s;
}

void vault_unref(struct vault *v) {
    if (!v || --v->refs > 0) {
        return;
    }
    for (struct secret *s = v->secrets, *next; s; s = next) {
        next = s->next;
        explicit_bzero((char *)(s + 1), s->name.len + s->value.len);
        free(s);
    }
    redactor_free(v->redactor);
    free(v);
}

/* That of the tree. A parent's attempt began before its child's, so it has one. */
static enum err join_vault(struct run *r, struct error *e) {
    if (r->parent && r->parent->run->vault) {
        r->vault = r->parent->run->vault;
        r->vault->refs++;
        return OK;
    }
    r->vault = calloc(1, sizeof *r->vault);
    if (!r->vault) {
        return error_nomem(e);
    }
    r->vault->refs = 1;
    return OK;
}

static enum err check_value(struct str name, struct str value, struct error *e) {
    if (value.len < SECRET_MIN_BYTES) {
        return error_set(e, ERR_INVALID,
                         "the secret %.*s is too short: under %u bytes it could not be told from "
                         "other text",
                         STR_ARG(name), SECRET_MIN_BYTES);
    }
    if (value.len > SECRET_MAX_BYTES) {
        return error_set(e, ERR_INVALID, "the secret %.*s has more than %u bytes", STR_ARG(name),
                         SECRET_MAX_BYTES);
    }
    if (!str_is_utf8(value) || memchr(value.ptr, '\0', value.len)) {
        return error_set(e, ERR_INVALID, "the secret %.*s is not UTF-8 text without NUL characters",
                         STR_ARG(name));
    }
    return OK;
}

/* The secret as the vault has it, which learns it when it is new or another than it was. */
static enum err vault_learn(struct vault *v, struct str name, struct str value, struct str *out,
                            struct error *e) {
    for (const struct secret *s = v->secrets; s; s = s->next) {
        if (str_eq(s->name, name) && str_eq(s->value, value)) {
            *out = s->value;
            return OK;
        }
    }
    v->redactor = v->redactor ? v->redactor : redactor_new();
    if (!v->redactor || !redactor_add(v->redactor, name, value)) {
        return error_nomem(e); /* what is not redacted is not handed out */
    }
    struct secret *s = secret_new(name, value);
    if (!s) {
        return error_nomem(e);
    }
    s->next = v->secrets;
    v->secrets = s;
    *out = s->value;
    return OK;
}

static enum err read_secret(struct run *r, struct str name, struct str *out, struct error *e) {
    const struct host_secrets *from = &r->host->options.secrets;
    struct arena a;
    struct str value = {0};
    if (!from->get) {
        return error_set(e, ERR_NOT_FOUND, "the secret %.*s is not set: there are none here",
                         STR_ARG(name));
    }
    arena_init(&a, 0);
    enum err err = from->get(from->ctx, name, &a, &value, e);
    err = err ? err : check_value(name, value, e);
    err = err ? err : vault_learn(r->vault, name, value, out, e);
    arena_wipe(&a);
    return err;
}

/* What is missing or wrong is told to the step that needs it. */
static enum err read_mentioned(struct run *r, struct error *e) {
    enum err err = OK;
    for (uint32_t i = 0; i < r->plan->secret_count && err != ERR_NOMEM; i++) {
        struct str ignored;
        err = read_secret(r, r->plan->secrets[i], &ignored, e);
    }
    return err == ERR_NOMEM ? err : OK;
}

/* ---- an attempt ---- */

static enum err get_one(void *ctx, struct str name, struct str *out, struct error *e) {
    return read_secret(ctx, name, out, e);
}

static enum err port_secrets_get(struct port *p, struct port_secrets **out, struct error *e) {
    if (!p->secrets) {
        p->secrets = calloc(1, sizeof *p->secrets);
        if (!p->secrets) {
            return error_nomem(e);
        }
        arena_init(&p->secrets->arena, 0);
        buf_init(&p->secrets->told, 0);
    }
    *out = p->secrets;
    return OK;
}

static enum err open_fields(struct port *p, struct error *e) {
    const struct secret_source source = {p->run, get_one};
    const struct step_in *in = flight_in(p->flight);
    struct port_secrets *s;
    size_t count = in->node->kind->field_count;
    enum err err = port_secrets_get(p, &s, e);
    struct value *fields = err ? NULL : ARENA_ARRAY(&s->arena, count + 1, struct value);
    if (!fields) {
        return error_nomem(e);
    }
    for (size_t i = 0; i < count && !err; i++) {
        err = pval_open(&in->node->fields[i], in->fields[i], &source, &s->arena, &fields[i], e);
    }
    s->in = *in;
    s->in.fields = fields;
    s->in.arena = &s->arena; /* what the kind makes of them there is overwritten too */
    p->port.in = &s->in;
    return err;
}

enum err secrets_begin(struct port *p, struct error *e) {
    struct run *r = p->run;
    if (!r->vault) {
        enum err err = join_vault(r, e);
        err = err ? err : read_mentioned(r, e);
        if (err) {
            return err;
        }
    }
    return flight_in(p->flight)->node->secrets ? open_fields(p, e) : OK;
}

void secrets_end(struct port *p) {
    struct port_secrets *s = p->secrets;
    if (!s) {
        return;
    }
    for (int i = 0; i < STREAMS; i++) {
        redact_stream_free(s->streams[i]);
    }
    buf_fini(&s->told);
    arena_wipe(&s->arena);
    free(s);
    p->secrets = NULL;
}

enum err secrets_get(struct port *p, struct str name, struct str *out, struct error *e) {
    return read_secret(p->run, name, out, e);
}

/* ---- what it tells ---- */

static const struct redactor *redactor_of(const struct port *p) {
    return p->run->vault ? p->run->vault->redactor : NULL;
}

bool secrets_hide(const struct port *p, struct arena *a, struct value v, struct value *out) {
    *out = v;
    return !redactor_of(p) || redact_value(redactor_of(p), a, v, out);
}

bool secrets_copy(const struct port *p, struct arena *a, struct value v, struct value *out) {
    const struct redactor *r = redactor_of(p);
    return r ? redact_value(r, a, v, out) : value_copy(a, v, out);
}

bool secrets_copy_message(const struct port *p, struct arena *a, struct str *s) {
    const struct redactor *r = redactor_of(p);
    if (r) {
        return redact_message(r, a, *s, s);
    }
    return text_keep(a, s);
}

static int stream_find(const char *name) {
    for (int i = 0; i < STREAMS; i++) {
        if (!strcmp(name, stream_names[i])) {
            return i;
        }
    }
    return -1;
}

/* A text that came whole. */
static bool redact_whole(struct port_secrets *s, const struct redactor *r, struct str text) {
    struct redact_stream *once = redact_stream_new(r);
    bool ok = once && redact_stream_feed(once, text, true, &s->told);
    redact_stream_free(once);
    return ok;
}

struct str secrets_stream(struct port *p, const char *name, struct str piece, bool flush) {
    struct port_secrets *s;
    struct error ignored;
    if (!piece.len && !p->secrets) {
        return piece;
    }
    const struct redactor *r = redactor_of(p);
    int i = stream_find(name);
    if (!r || (!piece.len && (i < 0 || !p->secrets->streams[i]))) {
        return piece;
    }
    if (port_secrets_get(p, &s, &ignored)) {
        return STR(""); /* rather lost than told */
    }
    buf_reset(&s->told);
    if (i < 0) {
        return redact_whole(s, r, piece) ? buf_str(&s->told) : STR("");
    }
    if (!s->streams[i]) {
        s->streams[i] = redact_stream_new(r);
    }
    bool ok = s->streams[i] && redact_stream_feed(s->streams[i], piece, flush, &s->told);
    return ok ? buf_str(&s->told) : STR("");
}
