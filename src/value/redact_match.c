/* The automaton: building it, and reading a text with it.
 *
 * Must never look at a byte of the text twice (but for the steps along fail links, of which there
 * are no more than bytes). Invariant of covers: in order, apart, each the union of overlapping
 * finds, so that not a byte of a secret is left beside another.
 */
#include <stdlib.h>

#include "value/redact_priv.h"

static uint32_t find_child(const struct redactor *r, uint32_t node, uint8_t byte) {
    if (node == 0) {
        return r->first[byte];
    }
    uint32_t child = r->nodes[node].child;
    while (child && r->nodes[child].byte != byte) {
        child = r->nodes[child].sibling;
    }
    return child;
}

/* Memory that held secrets is overwritten before it goes. */
static bool grow_nodes(struct redactor *r) {
    uint32_t cap = r->cap ? r->cap * 2 : 256;
    struct redact_node *nodes = calloc(cap, sizeof *nodes);
    if (!nodes) {
        return false;
    }
    if (r->nodes) {
        memcpy(nodes, r->nodes, r->count * sizeof *nodes);
        explicit_bzero(r->nodes, r->cap * sizeof *nodes);
        free(r->nodes);
    }
    r->nodes = nodes;
    r->cap = cap;
    return true;
}

static uint32_t add_child(struct redactor *r, uint32_t node, uint8_t byte) {
    if (r->count + 1 >= r->cap && !grow_nodes(r)) {
        return 0;
    }
    r->count += r->count == 0; /* the root */
    uint32_t child = r->count++;
    r->nodes[child] = (struct redact_node){
        .byte = byte, .depth = r->nodes[node].depth + 1, .sibling = r->nodes[node].child};
    r->nodes[node].child = child;
    if (node == 0) {
        r->first[byte] = child;
    }
    return child;
}

bool redact_insert(struct redactor *r, struct str form, uint16_t secret) {
    uint32_t node = 0;
    for (size_t i = 0; i < form.len; i++) {
        uint8_t byte = (uint8_t)form.ptr[i];
        uint32_t child = r->count ? find_child(r, node, byte) : 0;
        node = child ? child : add_child(r, node, byte);
        if (!node) {
            return false;
        }
        struct redact_node *n = &r->nodes[node];
        n->owner = n->whole ? n->owner : secret;
        n->whole = n->whole && n->whole < form.len ? n->whole : (uint32_t)form.len;
    }
    if (r->nodes[node].found != form.len) {
        r->nodes[node].found = (uint32_t)form.len;
        r->nodes[node].secret = secret;
    }
    return true;
}

/* The node of the longest suffix of (state's text + byte) that the trie has. */
static uint32_t step(const struct redactor *r, uint32_t state, uint8_t byte) {
    uint32_t next = find_child(r, state, byte);
    while (!next && state) {
        state = r->nodes[state].fail;
        next = find_child(r, state, byte);
    }
    return next;
}

static void link_child(struct redactor *r, uint32_t parent, uint32_t child) {
    struct redact_node *n = &r->nodes[child];
    n->fail = parent ? step(r, r->nodes[parent].fail, n->byte) : 0;
    if (n->found != n->depth) {
        n->found = r->nodes[n->fail].found; /* no form ends here itself */
        n->secret = r->nodes[n->fail].secret;
    }
}

/* Breadth first: a fail link leads to a node of less depth. */
bool redact_link(struct redactor *r) {
    uint32_t *queue = calloc(r->count + 1u, sizeof *queue);
    if (!queue) {
        return false;
    }
    size_t last = 1; /* the root waits */
    for (size_t at = 0; at < last; at++) {
        for (uint32_t c = r->nodes[queue[at]].child; c; c = r->nodes[c].sibling) {
            link_child(r, queue[at], c);
            queue[last++] = c;
        }
    }
    free(queue);
    return true;
}

static void covers_add(const struct redactor *r, struct covers *c, struct cover new) {
    while (c->count && c->items[c->count - 1].to > new.from) {
        const struct cover *old = &c->items[--c->count];
        if (r->secrets[old->secret].len >= r->secrets[new.secret].len) {
            new.secret = old->secret;
        }
        new.from = old->from < new.from ? old->from : new.from;
        new.to = old->to > new.to ? old->to : new.to;
    }
    if (c->count == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct cover *items = realloc(c->items, cap * sizeof *items);
        if (!items) {
            c->failed = true;
            return;
        }
        c->items = items;
        c->cap = cap;
    }
    c->items[c->count++] = new;
}

void redact_match(const struct redactor *r, uint32_t *state, struct str text, size_t at,
                  struct covers *out) {
    uint32_t s = *state;
    for (size_t i = 0; i < text.len && r->count; i++) {
        s = step(r, s, (uint8_t)text.ptr[i]);
        const struct redact_node *n = &r->nodes[s];
        if (n->found) {
            size_t to = at + i + 1;
            covers_add(r, out, (struct cover){to - n->found, to, n->secret});
        }
    }
    *state = s;
}

void redact_match_halves(const struct redactor *r, struct str text, struct covers *out) {
    uint32_t s = 0;
    for (size_t i = 0; i < text.len && r->count; i++) {
        s = step(r, s, (uint8_t)text.ptr[i]);
        const struct redact_node *n = &r->nodes[s];
        if (n->depth >= SECRET_MIN_BYTES && n->depth * 2 >= n->whole) {
            covers_add(r, out, (struct cover){i + 1 - n->depth, i + 1, n->owner});
        } else if (n->found) {
            covers_add(r, out, (struct cover){i + 1 - n->found, i + 1, n->secret});
        }
    }
}

void covers_fini(struct covers *c) {
    free(c->items);
    *c = (struct covers){0};
}

void redact_mark(const struct redactor *r, uint16_t secret, struct buf *out) {
    buf_append_cstr(out, "[secret ");
    buf_append(out, r->secrets[secret].name);
    buf_append_char(out, ']');
}
