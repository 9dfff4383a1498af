/* Kinds of nodes that the embedding program implements, as node_kind descriptors.
 *
 * A step that is ended inside its start is kept and told in the next turn of the loop, since a port
 * must not be called from inside start.
 */
#include <stdlib.h>

#include "embed/embed_priv.h"
#include "node/node.h"

struct embed_kind {
    struct node_kind kind; /* first: found from the node's kind */
    struct embed_kind *next;
    struct cairn *cairn;
    struct cairn_kind given;
};

struct cairn_step {
    struct cairn_step *next; /* of those to be told */
    struct cairn_step *live_next, *live_previous;
    struct cairn *cairn;
    struct step_port *port;
    struct arena arena;
    bool starting, over;
    bool failed;
    struct step_result result;
    struct step_failure failure;
};

static const struct field with_field[] = {
    {.name = "with", .type = FIELD_STRUCTURE, .doc = "what the step is given"}};

static void step_free(struct cairn_step *s) {
    *(s->live_previous ? &s->live_previous->live_next : &s->cairn->live) = s->live_next;
    if (s->live_next) {
        s->live_next->live_previous = s->live_previous;
    }
    arena_fini(&s->arena);
    free(s);
}

static void tell(struct cairn_step *s) {
    struct step_port *p = s->port;
    if (!p) {
        step_free(s); /* it was cancelled meanwhile */
        return;
    }
    p->kind_data = NULL;
    if (s->failed) {
        p->ops->fail(p, &s->failure);
    } else {
        p->ops->done(p, &s->result);
    }
    step_free(s);
}

static void tell_later(void *ctx) {
    struct cairn *c = ctx;
    struct cairn_step *s = c->done_first;
    c->done_first = c->done_last = NULL;
    while (s) {
        struct cairn_step *next = s->next;
        if (next) {
            fetch_ahead(next->next, sizeof *next);
            fetch_ahead(next->port, sizeof *next->port);
        }
        tell(s);
        s = next;
    }
}

static void step_over(struct cairn_step *s) {
    struct cairn *c = s->cairn;
    ASSERT(!s->over);
    s->over = true;
    if (!s->starting) {
        tell(s);
        return;
    }
    s->next = NULL;
    *(c->done_last ? &c->done_last->next : &c->done_first) = s;
    if (!c->done_last) {
        io_timer_start(c->later, 0);
    }
    c->done_last = s;
}

static void start(const struct step_in *in, struct step_port *port) {
    const struct embed_kind *k = (const struct embed_kind *)(const void *)in->node->kind;
    struct cairn_step *s = calloc(1, sizeof *s);
    if (!s) {
        port->ops->no_memory(port);
        return;
    }
    s->cairn = k->cairn;
    s->live_next = s->cairn->live;
    if (s->live_next) {
        s->live_next->live_previous = s;
    }
    s->cairn->live = s;
    s->port = port;
    s->starting = true;
    port->kind_data = s;
    arena_init(&s->arena, 0);
    k->given.start(s, k->given.ctx);
    s->starting = false;
}

/* The program goes on with the step; what it says of it is dropped. */
static void cancel(struct step_port *port) {
    struct cairn_step *s = port->kind_data;
    static const struct step_failure cancelled = {.type = STR_INIT("cancelled")};
    if (s && !s->over) {
        s->port = NULL;
        port->ops->fail(port, &cancelled);
    }
}

const char *cairn_step_with(struct cairn_step *s) {
    struct buf b;
    buf_init(&b, 0);
    value_print_json(s->port ? s->port->in->fields[0] : value_null(), 0, &b);
    struct str kept = arena_str(&s->arena, buf_str(&b));
    buf_fini(&b);
    return kept.ptr ? kept.ptr : "null";
}

const char *cairn_step_key(struct cairn_step *s) { return s->port ? s->port->in->key.ptr : ""; }

uint32_t cairn_step_attempt(struct cairn_step *s) { return s->port ? s->port->in->attempt : 0; }

static void fail(struct cairn_step *s, const char *type, const char *message, bool transient) {
    s->failed = true;
    s->failure = (struct step_failure){.class = transient ? FAILURE_TRANSIENT : FAILURE_PERMANENT,
                                       .type = arena_str(&s->arena, str_from(type)),
                                       .message = arena_str(&s->arena, str_from(message))};
}

void cairn_step_done(struct cairn_step *s, const char *body_json) {
    struct error why;
    if (body_json && value_parse_json(&s->arena, str_from(body_json), &s->result.body, &why)) {
        fail(s, "invalid", why.message, false);
    }
    step_over(s);
}

void cairn_step_fail(struct cairn_step *s, const char *type, const char *message, int transient) {
    fail(s, type, message, transient != 0);
    step_over(s);
}

static bool is_taken(const struct cairn *c, const char *name) {
    struct kind_table built_in = node_kinds();
    const struct embed_kind *k = c->kinds;
    while (k && strcmp(k->kind.name, name) != 0) {
        k = k->next;
    }
    return k || kind_find(&built_in, str_from(name));
}

int cairn_register(struct cairn *c, const struct cairn_kind *kind, char *why) {
    struct error e;
    if (c->table) {
        error_set(&e, ERR_USAGE, "kinds must be registered before the first workflow is loaded");
        return embed_fail(why, e.code, &e);
    }
    if (!str_is_name(str_from(kind->name)) || is_taken(c, kind->name)) {
        error_set(&e, ERR_INVALID, "\"%s\" cannot name a kind: it is taken or no name", kind->name);
        return embed_fail(why, e.code, &e);
    }
    if (!c->later) {
        c->later = io_timer_open(c->loop, tell_later, c);
    }
    struct embed_kind *k = ARENA_NEW(&c->arena, struct embed_kind);
    if (!k || !c->later) {
        return embed_fail(why, error_nomem(&e), &e);
    }
    k->kind = (struct node_kind){.name = kind->name,
                                 .doc = kind->doc,
                                 .fields = with_field,
                                 .field_count = 1,
                                 .start = start,
                                 .cancel = cancel};
    k->cairn = c;
    k->given = *kind;
    k->next = c->kinds;
    c->kinds = k;
    c->kind_count++;
    return 0;
}

struct kind_table embed_kinds(struct cairn *c) {
    struct kind_table built_in = node_kinds();
    if (c->table) {
        return c->all;
    }
    c->table = ARENA_ARRAY(&c->arena, built_in.count + c->kind_count, const struct node_kind *);
    if (!c->table) {
        return built_in;
    }
    memcpy(c->table, built_in.kinds, built_in.count * sizeof(*c->table));
    size_t at = built_in.count;
    for (struct embed_kind *k = c->kinds; k; k = k->next) {
        c->table[at++] = &k->kind;
    }
    c->all = (struct kind_table){c->table, at};
    return c->all;
}

void embed_kinds_close(struct cairn *c) {
    if (c->later) {
        tell_later(c);
        io_timer_close(c->later);
    }
    while (c->live) {
        step_free(c->live); /* was cancelled, and the program never said more of it */
    }
}
