/* The composer: libyaml's events to a tree, without recursion, with the caps enforced as it goes.
 *
 * Invariants: at most YAML_MAX_DEPTH open collections, depth counted through aliases too (so that
 * whoever walks the tree may recurse); the number of nodes counts an alias as all it stands for,
 * and is checked before the alias is added; a map in the tree never has two equal keys (keys are
 * equal when their texts are). After a duplicate key the work goes on, after any other error not.
 */
#include <stdlib.h>

#include "yaml/yaml_priv.h"

#define SMALL_MAP 8u /* up to here duplicates are found by looking at every key */

struct anchor {
    struct yaml_node *node;
    uint32_t nodes;  /* size of what it stands for */
    uint32_t height; /* collections inside one another; 0 for a scalar */
    bool open;       /* its collection is not complete yet */
};

struct frame {
    struct yaml_node *node;
    struct yaml_node *key; /* map: the key whose value comes next */
    struct map *seen;      /* keys of a large map */
    struct anchor *anchor;
    size_t base; /* first child on the stack; a map's children are key, value, ... */
    uint32_t nodes_before;
    uint32_t height; /* of the highest child */
    bool drop;       /* the key was there before: forget its value */
};

struct composer {
    struct arena *arena;
    struct arena scratch; /* anchors and key tables */
    const struct yaml_source *source;
    struct diag *diag;
    yaml_parser_t parser;
    struct yaml_cursor cursor;
    struct map anchors;
    struct frame frames[YAML_MAX_DEPTH];
    uint32_t depth;
    struct yaml_node **stack; /* children of all open collections */
    size_t stack_count;
    size_t stack_cap;
    struct yaml_node *root;
    uint32_t nodes;
    bool duplicates;
    bool done;
};

static struct mark mark_of(const struct composer *c, yaml_mark_t m) {
    return yaml_mark(m, c->source->file);
}

static enum err push(struct composer *c, struct yaml_node *n) {
    if (c->stack_count == c->stack_cap) {
        size_t cap = c->stack_cap ? c->stack_cap * 2 : 256;
        struct yaml_node **stack = realloc(c->stack, cap * sizeof *stack);
        if (!stack) {
            return ERR_NOMEM;
        }
        c->stack = stack;
        c->stack_cap = cap;
    }
    c->stack[c->stack_count++] = n;
    return OK;
}

static enum err count_nodes(struct composer *c, uint32_t nodes, struct mark m) {
    if (nodes > YAML_MAX_NODES - c->nodes) {
        diag_error(c->diag, m, "yaml", "more than %u values, aliases expanded", YAML_MAX_NODES);
        return ERR_INVALID;
    }
    c->nodes += nodes;
    return OK;
}

/* --- keys --- */

static enum err remember_keys(struct composer *c, struct frame *f) {
    f->seen = ARENA_NEW(&c->scratch, struct map);
    if (!f->seen) {
        return ERR_NOMEM;
    }
    map_init(f->seen, &c->scratch);
    for (size_t i = f->base; i < c->stack_count; i += 2) {
        bool fresh;
        struct map_entry *e = map_put(f->seen, c->stack[i]->text, &fresh);
        if (!e) {
            return ERR_NOMEM;
        }
        e->ptr = c->stack[i];
    }
    return OK;
}

/* Finds an earlier equal key, and remembers this one. */
static enum err find_key(struct composer *c, struct frame *f, struct yaml_node *key,
                         struct yaml_node **out) {
    if (!f->seen && c->stack_count - f->base < (size_t)SMALL_MAP * 2) {
        for (size_t i = f->base; i < c->stack_count; i += 2) {
            if (str_eq(c->stack[i]->text, key->text)) {
                *out = c->stack[i];
            }
        }
        return OK;
    }
    if (!f->seen && remember_keys(c, f) != OK) {
        return ERR_NOMEM;
    }
    bool fresh;
    struct map_entry *e = map_put(f->seen, key->text, &fresh);
    if (!e) {
        return ERR_NOMEM;
    }
    if (fresh) {
        e->ptr = key;
    } else {
        *out = e->ptr;
    }
    return OK;
}

/* at is where the key stands: for an alias not where its node is. */
static enum err take_key(struct composer *c, struct frame *f, struct yaml_node *key,
                         struct mark at) {
    if (key->plain && str_is(key->text, "<<")) {
        struct diag_item *item =
            diag_error(c->diag, at, "yaml", "merge keys (<<) are not supported");
        diag_help(c->diag, item, "write the keys out, or quote \"<<\" if it is a name");
        return ERR_INVALID;
    }
    struct yaml_node *earlier = NULL;
    enum err err = find_key(c, f, key, &earlier);
    if (err != OK) {
        return err;
    }
    f->key = key;
    f->drop = earlier != NULL;
    if (earlier) {
        c->duplicates = true;
        diag_error(c->diag, at, "duplicate_key",
                   "the key \"%.*s\" is used twice: first at line %u, column %u",
                   (int)(key->text.len < 200 ? key->text.len : 200), key->text.ptr,
                   earlier->mark.line, earlier->mark.column);
    }
    return OK;
}

static enum err refuse_key(struct composer *c, const struct frame *f, struct mark m, bool map) {
    struct diag_item *item =
        diag_error(c->diag, m, "yaml", "a key must be a scalar, not a %s", map ? "map" : "list");
    if (f->node->mark.line == m.line && f->node->mark.column + 1 == m.column) {
        diag_help(c->diag, item, "text that starts with {{ needs quotes: \"{{ ... }}\"");
    }
    return ERR_INVALID;
}

static bool wants_key(const struct composer *c) {
    if (c->depth == 0) {
        return false;
    }
    const struct frame *f = &c->frames[c->depth - 1];
    return f->node->type == YAML_MAP && !f->key;
}

/* --- nodes --- */

/* Hands a complete node to the collection around it. */
static enum err place_node(struct composer *c, struct yaml_node *n, uint32_t height,
                           struct mark at) {
    if (c->depth == 0) {
        c->root = n;
        return OK;
    }
    struct frame *f = &c->frames[c->depth - 1];
    if (wants_key(c)) {
        if (n->type != YAML_SCALAR) {
            return refuse_key(c, f, at, n->type == YAML_MAP);
        }
        return take_key(c, f, n, at);
    }
    f->height = height > f->height ? height : f->height;
    enum err err = OK;
    if (f->node->type == YAML_LIST) {
        err = push(c, n);
    } else if (!f->drop) {
        err = push(c, f->key);
        err = err ? err : push(c, n);
    }
    f->key = NULL;
    return err;
}

static enum err add_anchor(struct composer *c, const yaml_char_t *name, struct yaml_node *n,
                           struct anchor **out) {
    if (!name) {
        return OK;
    }
    struct str key = arena_str(&c->scratch, str_from((const char *)name));
    struct anchor *anchor = ARENA_NEW(&c->scratch, struct anchor);
    bool fresh;
    struct map_entry *e = key.ptr && anchor ? map_put(&c->anchors, key, &fresh) : NULL;
    if (!e) {
        return ERR_NOMEM;
    }
    *anchor = (struct anchor){.node = n, .nodes = 1};
    e->ptr = anchor;
    *out = anchor;
    return OK;
}

static enum err refuse_tag(struct composer *c, const char *tag, struct mark m) {
    static const char core[] = "tag:yaml.org,2002:";
    bool standard = strncmp(tag, core, sizeof core - 1) == 0;
    struct diag_item *item =
        diag_error(c->diag, m, "yaml", "the tag %s%.200s is not supported here",
                   standard ? "!!" : "", standard ? tag + sizeof core - 1 : tag);
    diag_help(c->diag, item, "known tags: !!str !!int !!float !!bool !!null !!seq !!map");
    return ERR_INVALID;
}

static enum err scalar_values(struct composer *c, const yaml_event_t *ev, struct yaml_node *n) {
    const char *tag_text = (const char *)ev->data.scalar.tag;
    enum yaml_tag tag = yaml_tag_parse(tag_text);
    if (tag_text && strcmp(tag_text, "!") == 0) {
        tag = TAG_STR;
    }
    if (tag == TAG_OTHER || tag == TAG_SEQ || tag == TAG_MAP) {
        return refuse_tag(c, tag_text, n->mark);
    }
    if (tag == TAG_STR) {
        n->plain = false;
    }
    if (!yaml_scalar_resolve(n->text, n->plain, tag, &n->value)) {
        bool tagged = tag != TAG_NONE;
        diag_error(c->diag, n->content, "yaml", "\"%.*s\" %s%s",
                   (int)(n->text.len < 100 ? n->text.len : 100), n->text.ptr,
                   tagged ? "does not fit its tag !!" : "is a number beyond every range",
                   tagged ? strrchr(tag_text, ':') + 1 : "");
        return ERR_INVALID;
    }
    return OK;
}

static enum err on_scalar(struct composer *c, const yaml_event_t *ev) {
    yaml_scalar_style_t style = ev->data.scalar.style;
    struct str raw = {(const char *)ev->data.scalar.value, ev->data.scalar.length};
    struct yaml_node *n = ARENA_NEW(c->arena, struct yaml_node);
    if (!n) {
        return ERR_NOMEM;
    }
    n->type = YAML_SCALAR;
    n->plain = style == YAML_PLAIN_SCALAR_STYLE;
    n->block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
    n->mark = mark_of(c, ev->start_mark);
    n->content = yaml_place_content(&c->cursor, ev, raw, c->source->file);
    n->text =
        yaml_source_restore(c->source, c->arena, raw, style == YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    if (!n->text.ptr) {
        return ERR_NOMEM;
    }
    enum err err = scalar_values(c, ev, n);
    err = err ? err : count_nodes(c, 1, n->mark);
    struct anchor *anchor = NULL;
    err = err ? err : add_anchor(c, ev->data.scalar.anchor, n, &anchor);
    return err ? err : place_node(c, n, 0, n->mark);
}

static enum err open_collection(struct composer *c, const yaml_event_t *ev, bool map) {
    const yaml_char_t *tag = map ? ev->data.mapping_start.tag : ev->data.sequence_start.tag;
    const yaml_char_t *anchor =
        map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor;
    struct mark m = mark_of(c, ev->start_mark);
    if (tag && strcmp((const char *)tag, "!") != 0 &&
        yaml_tag_parse((const char *)tag) != (map ? TAG_MAP : TAG_SEQ)) {
        return refuse_tag(c, (const char *)tag, m);
    }
    if (wants_key(c)) {
        return refuse_key(c, &c->frames[c->depth - 1], m, map);
    }
    if (c->depth == YAML_MAX_DEPTH) {
        diag_error(c->diag, m, "yaml", "more than %u lists and maps inside one another",
                   YAML_MAX_DEPTH);
        return ERR_INVALID;
    }
    struct yaml_node *n = ARENA_NEW(c->arena, struct yaml_node);
    if (!n) {
        return ERR_NOMEM;
    }
    n->type = map ? YAML_MAP : YAML_LIST;
    n->mark = m;
    n->content = m;
    struct frame *f = &c->frames[c->depth];
    *f = (struct frame){.node = n, .base = c->stack_count, .nodes_before = c->nodes};
    enum err err = count_nodes(c, 1, m);
    err = err ? err : add_anchor(c, anchor, n, &f->anchor);
    if (f->anchor) {
        f->anchor->open = true;
    }
    c->depth++;
    return err;
}

static bool fill_list(struct composer *c, struct yaml_node *n, const struct frame *f) {
    n->count = (uint32_t)(c->stack_count - f->base);
    n->items = ARENA_ARRAY(c->arena, n->count ? n->count : 1, struct yaml_node *);
    if (n->items && n->count) {
        memcpy(n->items, c->stack + f->base, n->count * sizeof *n->items);
    }
    return n->items != NULL;
}

static bool fill_map(struct composer *c, struct yaml_node *n, const struct frame *f) {
    n->count = (uint32_t)((c->stack_count - f->base) / 2);
    n->pairs = ARENA_ARRAY(c->arena, n->count ? n->count : 1, struct yaml_pair);
    for (uint32_t i = 0; n->pairs && i < n->count; i++) {
        n->pairs[i].key = c->stack[f->base + 2 * (size_t)i];
        n->pairs[i].value = c->stack[f->base + 2 * (size_t)i + 1];
    }
    return n->pairs != NULL;
}

static enum err close_collection(struct composer *c) {
    struct frame *f = &c->frames[--c->depth];
    struct yaml_node *n = f->node;
    if (!(n->type == YAML_LIST ? fill_list(c, n, f) : fill_map(c, n, f))) {
        return ERR_NOMEM;
    }
    c->stack_count = f->base;
    uint32_t height = f->height + 1;
    if (f->anchor) {
        f->anchor->open = false;
        f->anchor->nodes = c->nodes - f->nodes_before;
        f->anchor->height = height;
    }
    return place_node(c, n, height, n->mark);
}

static enum err on_alias(struct composer *c, const yaml_event_t *ev) {
    struct mark m = mark_of(c, ev->start_mark);
    const char *name = (const char *)ev->data.alias.anchor;
    const struct map_entry *e = map_find(&c->anchors, str_from(name));
    if (!e) {
        struct diag_item *item =
            diag_error(c->diag, m, "yaml", "there is no anchor &%.200s above", name);
        diag_help(c->diag, item, "text that starts with '*' needs quotes");
        return ERR_INVALID;
    }
    const struct anchor *anchor = e->ptr;
    if (anchor->open) {
        diag_error(c->diag, m, "yaml", "*%.200s stands inside its own anchor", name);
        return ERR_INVALID;
    }
    if (c->depth + anchor->height > YAML_MAX_DEPTH) {
        diag_error(c->diag, m, "yaml", "more than %u lists and maps inside one another",
                   YAML_MAX_DEPTH);
        return ERR_INVALID;
    }
    enum err err = count_nodes(c, anchor->nodes, m);
    return err ? err : place_node(c, anchor->node, anchor->height, m);
}

static enum err second_document(struct composer *c, const yaml_event_t *ev) {
    if (!c->root) {
        return OK;
    }
    diag_error(c->diag, mark_of(c, ev->start_mark), "yaml",
               "a second document starts here: one file holds one");
    return ERR_INVALID;
}

static enum err on_event(struct composer *c, const yaml_event_t *ev) {
    switch (ev->type) {
    case YAML_SCALAR_EVENT: return on_scalar(c, ev);
    case YAML_ALIAS_EVENT: return on_alias(c, ev);
    case YAML_SEQUENCE_START_EVENT: return open_collection(c, ev, false);
    case YAML_MAPPING_START_EVENT: return open_collection(c, ev, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_collection(c);
    case YAML_DOCUMENT_START_EVENT: return second_document(c, ev);
    case YAML_STREAM_END_EVENT: c->done = true; return OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT: break;
    }
    return OK;
}

static enum err read_events(struct composer *c) {
    enum err err = OK;
    while (err == OK && !c->done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&c->parser, &event)) {
            return yaml_message_report(&c->parser, c->source, c->diag);
        }
        err = on_event(c, &event);
        yaml_event_delete(&event);
    }
    return err;
}

static enum err empty_document(struct composer *c) {
    struct yaml_node *n = ARENA_NEW(c->arena, struct yaml_node);
    if (!n) {
        return ERR_NOMEM;
    }
    n->type = YAML_SCALAR;
    n->plain = true;
    n->mark = (struct mark){c->source->file, 1, 1};
    n->content = n->mark;
    n->text = STR("");
    c->root = n;
    return OK;
}

enum err yaml_compose(struct arena *a, const struct yaml_source *s, struct yaml_node **out,
                      struct diag *diag) {
    struct composer *c = calloc(1, sizeof *c);
    if (!c || !yaml_parser_initialize(&c->parser)) {
        free(c);
        return ERR_NOMEM;
    }
    c->arena = a;
    c->source = s;
    c->diag = diag;
    c->cursor.text = s->text;
    arena_init(&c->scratch, 0);
    map_init(&c->anchors, &c->scratch);
    yaml_parser_set_encoding(&c->parser, YAML_UTF8_ENCODING);
    const char *bytes = s->text.len ? s->text.ptr : "";
    yaml_parser_set_input_string(&c->parser, (const unsigned char *)bytes, s->text.len);
    enum err err = read_events(c);
    if (err == OK && !c->root) {
        err = empty_document(c);
    }
    if (err == OK) {
        *out = c->root;
        err = c->duplicates ? ERR_INVALID : OK;
    }
    yaml_parser_delete(&c->parser);
    arena_fini(&c->scratch);
    free(c->stack);
    free(c);
    return err;
}
