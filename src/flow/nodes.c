/* The nodes of a definition become drafts and plan nodes: names, kinds, which keys are given.
 *
 * A node whose kind is unknown stays in the graph as a broken draft, so that what leads to it and
 * away from it is still checked, and nothing is reported that only follows from the wrong kind.
 */
#include <stdio.h>

#include "flow/flow_priv.h"

const struct node_kind *kind_find(const struct kind_table *t, struct str name) {
    for (size_t i = 0; i < t->count; i++) {
        const struct node_kind *kind = t->kinds[i];
        if (str_is(name, kind->name)) {
            return kind;
        }
        for (size_t k = 0; kind->aliases && kind->aliases[k]; k++) {
            if (str_is(name, kind->aliases[k])) {
                return kind;
            }
        }
    }
    return NULL;
}

static void refuse_kind(struct unit *u, const struct yaml_node *n) {
    const struct kind_table *t = &u->plan->kinds;
    struct str known[128];
    size_t count = 0, named = 0;
    for (; named < t->count && named < ARRAY_LEN(known); named++) {
        known[named] = str_from(t->kinds[named]->name);
    }
    count = named;
    for (size_t i = 0; i < t->count; i++) {
        for (size_t k = 0; t->kinds[i]->aliases && t->kinds[i]->aliases[k]; k++) {
            if (count < ARRAY_LEN(known)) {
                known[count++] = str_from(t->kinds[i]->aliases[k]);
            }
        }
    }
    struct diag_item *item =
        diag_error(u->s->diag, n->mark, "unknown_kind", "there is no kind of node called \"%.*s\"",
                   STR_ARG(flow_text_clip(n->text, 60)));
    if (item == &u->s->diag->dropped) {
        return;
    }
    diag_suggest(u->s->diag, item, n->text, known, count);
    if (!item->help.len) {
        struct str all = flow_words_join(u->s, known, named);
        diag_help(u->s->diag, item, "kinds: %.*s", STR_ARG(all));
    }
}

static void find_kind(struct unit *u, struct draft *d) {
    const struct yaml_node *type = d->common[COMMON_TYPE];
    struct str name;
    if (!type) {
        struct diag_item *item = diag_error(u->s->diag, d->def->mark, "missing_key",
                                            "node \"%.*s\" has no type", STR_ARG(d->def->name));
        diag_help(u->s->diag, item, "write \"type:\" with one of the kinds of node");
    } else if (flow_text_get(u, type, "type", &name)) {
        d->node->kind = kind_find(&u->plan->kinds, name);
        if (!d->node->kind) {
            refuse_kind(u, type);
        }
    }
    d->broken = !d->node->kind;
}

static const struct {
    const char *name;
    int id; /* -1: a later version */
} common_keys[] = {
#define COMMON(id, name, type, doc) {name, COMMON_##id},
#define LATER(name) {name, -1},
#include "flow/common.def"
#undef COMMON
#undef LATER
};

static int common_find(struct str key, bool *out_later) {
    for (size_t i = 0; i < ARRAY_LEN(common_keys); i++) {
        if (str_is(key, common_keys[i].name)) {
            *out_later = common_keys[i].id < 0;
            return common_keys[i].id;
        }
    }
    return -1;
}

static int field_find(const struct node_kind *kind, struct str key) {
    for (size_t i = 0; i < kind->field_count; i++) {
        if (str_is(key, kind->fields[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

/* "python: ..." in a node of kind code: a word that a field may have is no key. */
static void suggest_choice(struct unit *u, const struct node_kind *kind, struct str key,
                           struct diag_item *item) {
    const struct field *chosen = NULL, *with = NULL;
    for (size_t i = 0; i < kind->field_count && !chosen; i++) {
        const char *const *words = kind->fields[i].choices;
        while (words && *words && !str_is(key, *words)) {
            words++;
        }
        chosen = words && *words ? &kind->fields[i] : NULL;
    }
    for (size_t i = 0; chosen && i < kind->field_count && !with; i++) {
        const char *needs = kind->fields[i].needs;
        with = needs && strcmp(needs, chosen->name) == 0 ? &kind->fields[i] : NULL;
    }
    if (chosen) {
        diag_help(u->s->diag, item, "write %s: %.*s%s%s%s", chosen->name, STR_ARG(key),
                  with ? ", and the text below " : "", with ? with->name : "", with ? ": |" : "");
    }
}

static void refuse_field(struct unit *u, const struct draft *d, const struct yaml_node *key) {
    const struct node_kind *kind = d->node->kind;
    struct str known[128];
    size_t count = 0;
    for (size_t i = 0; i < kind->field_count && count < ARRAY_LEN(known); i++) {
        known[count++] = str_from(kind->fields[i].name);
    }
    for (size_t i = 0; i < ARRAY_LEN(common_keys) && count < ARRAY_LEN(known); i++) {
        if (common_keys[i].id >= 0) {
            known[count++] = str_from(common_keys[i].name);
        }
    }
    char what[100];
    snprintf(what, sizeof what, "a node of kind %s", kind->name);
    suggest_choice(u, kind, key->text, flow_key_refuse(u, key, what, known, count));
}

/* Sorts the node's keys into common fields and fields of its kind. */
static void sort_keys(struct unit *u, struct draft *d) {
    const struct yaml_node *body = d->def->body;
    for (uint32_t i = 0; i < body->count; i++) {
        const struct yaml_node *key = body->pairs[i].key;
        bool later = false;
        int id = common_find(key->text, &later);
        if (id >= 0 || (d->def->named && str_is(key->text, "name"))) {
            continue;
        }
        int field = d->broken ? -1 : field_find(d->node->kind, key->text);
        if (field >= 0) {
            d->fields[field] = body->pairs[i].value;
            d->node->field_marks[field] = body->pairs[i].value->mark;
        } else if (later) {
            flow_later_refuse(u, key);
        } else if (!d->broken) {
            refuse_field(u, d, key);
        }
    }
}

static bool open_node(struct unit *u, struct draft *d, uint32_t index) {
    struct plan_node *n = &u->plan->nodes[index];
    const struct yaml_node *body = d->def->body;
    d->node = n;
    n->name = flow_keep_str(u->s, d->def->name);
    n->index = index;
    n->mark = d->def->mark;
    n->agent = -1;
    n->heads = -1;
    n->owner = n->aux[ROLE_FALLBACK] = n->aux[ROLE_ON_TIMEOUT] = n->aux[ROLE_COMPENSATE] = -1;
    n->approves = -1;
    for (uint32_t i = 0; i < body->count; i++) {
        bool later = false;
        int id = common_find(body->pairs[i].key->text, &later);
        if (id >= 0) {
            d->common[id] = body->pairs[i].value;
        }
    }
    find_kind(u, d);
    size_t fields = d->broken ? 0 : n->kind->field_count;
    d->fields = SCRATCH(u->s, fields, const struct yaml_node *);
    n->fields = KEEP(u->s, fields, struct pval);
    n->field_marks = KEEP(u->s, fields, struct mark);
    if (u->s->nomem) {
        return false;
    }
    sort_keys(u, d);
    bool is_new;
    struct map_entry *entry = map_put(&u->plan->names, n->name, &is_new);
    if (!entry) {
        u->s->nomem = true;
        return false;
    }
    entry->num = index;
    return true;
}

bool flow_nodes_open(struct unit *u) {
    uint32_t count = u->def.node_count;
    u->plan->nodes = KEEP(u->s, count, struct plan_node);
    u->drafts = SCRATCH(u->s, count, struct draft);
    map_init(&u->plan->names, u->s->keep);
    if (!u->plan->nodes || !u->drafts) {
        return false;
    }
    u->plan->node_count = count;
    for (uint32_t i = 0; i < count; i++) {
        u->drafts[i].def = &u->def.nodes[i];
        if (!open_node(u, &u->drafts[i], i)) {
            return false;
        }
    }
    return true;
}

const struct common_field *flow_common_fields(size_t *out_count) {
    static const struct common_field fields[] = {
#define COMMON(id, name, type, doc) {name, type, doc},
#define LATER(name)
#include "flow/common.def"
#undef COMMON
#undef LATER
    };
    *out_count = ARRAY_LEN(fields);
    return fields;
}
