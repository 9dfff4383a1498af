/* Which secrets a workflow mentions, and opening the fields that have one.
 *
 * A secret is mentioned in templates alone, so it never is a slot of an expression. pval_open walks
 * a compiled field and what was evaluated for it side by side: only a leaf whose template has a
 * secret is opened, whatever the texts of the other leaves look like.
 */
#include "flow/flow_priv.h"

bool flow_secret_note(struct unit *u, struct str name) {
    bool is_new = false;
    name = flow_keep_str(u->s, name);
    bool known = name.ptr && map_put(&u->secret_names, name, &is_new);
    if (known && is_new) {
        known = u->plan->secret_count < u->secret_cap ||
                flow_array_grow(u->s, u->s->keep, &u->secrets, &u->secret_cap, sizeof *u->secrets);
    }
    if (!known) {
        u->s->nomem = true;
        return false;
    }
    if (is_new) {
        u->secrets[u->plan->secret_count++] = name;
        u->plan->secrets = u->secrets;
    }
    return true;
}

static bool has_secret(const struct pval *v) {
    bool any = (v->type == PVAL_TEXT || v->type == PVAL_TMPL) && tmpl_has_secrets(v->tmpl);
    bool branch = v->type == PVAL_LIST || v->type == PVAL_MAP;
    for (uint32_t i = 0; branch && !any && i < v->count; i++) {
        any = has_secret(&v->items[i]);
    }
    return any;
}

static bool node_has_secret(const struct plan_node *n) {
    bool any = false;
    for (size_t i = 0; n->kind && i < n->kind->field_count; i++) {
        any = any || has_secret(&n->fields[i]);
    }
    return any;
}

bool flow_secrets_collect(struct unit *u) {
    for (uint32_t i = 0; i < u->plan->node_count; i++) {
        struct plan_node *n = &u->plan->nodes[i];
        n->secrets = node_has_secret(n);
        for (uint32_t k = 0; n->child && k < n->child->secret_count; k++) {
            if (!flow_secret_note(u, n->child->secrets[k])) {
                return false;
            }
        }
    }
    return true;
}

static enum err not_as_written(const struct pval *v, struct error *e) {
    return error_set(e, ERR_CORRUPT,
                     "what was recorded for the field at line %u is not of its form", v->mark.line);
}

static enum err open_leaf(const struct pval *v, struct value evaluated,
                          const struct secret_source *source, struct arena *a, struct value *out,
                          struct error *e) {
    struct str text;
    if (evaluated.type != VALUE_TEXT) {
        return not_as_written(v, e);
    }
    enum err err = secret_text_open(value_str(evaluated), source, a, &text, e);
    if (!err) {
        *out = value_text(text);
    }
    return err;
}

/* The evaluated value of part i, or NULL. */
static const struct value *part_of(const struct pval *v, struct value evaluated, uint32_t i) {
    if (v->type == PVAL_MAP) {
        return value_get(evaluated, v->keys[i]);
    }
    return i < value_count(evaluated) ? &evaluated.items[i] : NULL;
}

/* The evaluated map may have fewer pairs (of equal keys the last counts), never others. */
static enum err open_branch(const struct pval *v, struct value evaluated,
                            const struct secret_source *source, struct arena *a, struct value *out,
                            struct error *e) {
    struct value_builder b;
    bool is_map = v->type == PVAL_MAP;
    value_builder_init(&b, a);
    if (evaluated.type != (is_map ? VALUE_MAP : VALUE_LIST) || value_count(evaluated) > v->count) {
        return not_as_written(v, e);
    }
    for (uint32_t i = 0; i < v->count; i++) {
        const struct value *item = part_of(v, evaluated, i);
        struct value opened;
        enum err err =
            item ? pval_open(&v->items[i], *item, source, a, &opened, e) : not_as_written(v, e);
        if (err) {
            return err;
        }
        if (is_map) {
            value_map_add(&b, v->keys[i], opened);
        } else {
            value_list_add(&b, opened);
        }
    }
    *out = is_map ? value_map_done(&b) : value_list_done(&b);
    return b.ok ? OK : error_nomem(e);
}

enum err pval_open(const struct pval *v, struct value evaluated, const struct secret_source *source,
                   struct arena *a, struct value *out, struct error *e) {
    if (!has_secret(v)) {
        *out = evaluated;
        return OK;
    }
    return v->type == PVAL_LIST || v->type == PVAL_MAP
               ? open_branch(v, evaluated, source, a, out, e)
               : open_leaf(v, evaluated, source, a, out, e);
}
