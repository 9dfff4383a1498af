/* YAML files of a kind's own: see manifest.h. They come through the loader like every file of the
 * workflow, so they are part of its identity and are never opened again.
 */
#include "flow/manifest.h"

#include <stdio.h>

#include "flow/flow_priv.h"

static bool reported_before(const struct diag *d, const char *file) {
    for (uint32_t i = 0; i < d->count; i++) {
        const char *known = d->items[i].mark.file;
        if (known && d->items[i].severity == DIAG_ERROR && !strcmp(known, file)) {
            return true;
        }
    }
    return false;
}

const struct yaml_node *check_yaml_read(struct node_check *c, const char *field, struct str path) {
    struct unit *u = c->u;
    struct str resolved, text;
    struct yaml_node *root = NULL;
    if (!flow_file_resolve(u, path, check_mark(c, field), &resolved) ||
        !flow_file_read(u, resolved, check_mark(c, field), &text)) {
        return NULL;
    }
    flow_contents_mix(u, c->d->node, text);
    const char *file = flow_file_display(u->s, resolved);
    if (reported_before(u->s->diag, file)) {
        return NULL;
    }
    enum err err = yaml_parse(&u->s->scratch, text, file, &root, u->s->diag);
    u->s->nomem |= err == ERR_NOMEM;
    if (err == ERR_LIMIT) {
        diag_error(u->s->diag, (struct mark){file, 1, 1}, "too_large", "the file is too large");
    }
    return !err && flow_map_get(u, root, "the file") ? root : NULL;
}

bool check_yaml_keys(struct node_check *c, const struct yaml_node *n, const char *what,
                     const char *const *words) {
    static const char *const later[] = {NULL};
    if (!flow_map_get(c->u, n, what)) {
        return false;
    }
    flow_keys_check(c->u, n, what, words, later);
    return true;
}

void check_yaml_error(struct node_check *c, const struct yaml_node *n, const char *code,
                      const char *fmt, ...) {
    char message[ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    diag_error(c->u->s->diag, n->mark, code, "%s", message);
}

struct pval check_yaml_structure(struct node_check *c, const struct yaml_node *n,
                                 const char *const *names) {
    struct scope scope = {.u = c->u, .node = NONE, .own = names};
    struct pval out = {.type = PVAL_NONE};
    if (n) {
        (void)flow_pval_compile(&scope, n, LEAF_TEMPLATE, &out); /* false: nomem, seen later */
    }
    return out;
}

const struct expr *check_yaml_expression(struct node_check *c, const struct yaml_node *n,
                                         const char *const *names) {
    struct scope scope = {.u = c->u, .node = NONE, .own = names};
    const struct expr *x = NULL;
    if (n->type != YAML_SCALAR || n->value.type != VALUE_TEXT) {
        flow_type_refuse(c->u, n, "this", "an expression");
    } else {
        (void)flow_expression_compile(&scope, n, &x);
    }
    return x;
}

struct str check_yaml_words(struct node_check *c, const struct yaml_node *map) {
    struct str *words = SCRATCH(c->u->s, map->count, struct str);
    for (uint32_t i = 0; words && i < map->count; i++) {
        words[i] = map->pairs[i].key->text;
    }
    return words ? flow_words_join(c->u->s, words, map->count) : STR("");
}
