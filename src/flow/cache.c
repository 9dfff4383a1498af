/* `cache`: how long a result may be used again, and under which key; how it is written (a duration,
 * or a map), which nodes may have it, and what besides its fields a node is made of.
 *
 * Without a key the key is a hash of all that the step is given (engine/cache_key.c), so a node
 * that sees more than that must name one.
 */
#include "flow/flow_priv.h"

void flow_contents_mix(struct unit *u, struct plan_node *n, struct str bytes) {
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    char *hex = KEEP(u->s, SHA256_HEX_BYTES, char);
    if (!hex) {
        return; /* the compilation ends for that */
    }
    sha256_init(&h);
    sha256_update(&h, plan_node_contents(n));
    sha256_update(&h, bytes);
    sha256_final(&h, digest);
    hex_encode(digest, sizeof digest, hex);
    n->contents = hex;
}

void flow_contents_mix_value(struct unit *u, struct plan_node *n, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_encode(v, &b);
    flow_contents_mix(u, n, buf_str(&b));
    buf_fini(&b);
}

void flow_cache_read(struct unit *u, struct draft *d) {
    static const char *const keys[] = {"ttl", "key", NULL};
    const struct yaml_node *n = d->common[COMMON_CACHE];
    struct plan_cache *cache = &d->node->cache;
    if (!n) {
        return;
    }
    const struct yaml_node *ttl = n;
    if (n->type == YAML_MAP) {
        flow_keys_check(u, n, "cache", keys, NULL);
        ttl = yaml_get(n, STR("ttl"));
    }
    if (n->type == YAML_LIST || !ttl) {
        struct diag_item *item =
            n->type == YAML_LIST
                ? flow_type_refuse(u, n, "cache", "a duration or {ttl, key}")
                : diag_error(u->s->diag, n->mark, "missing_key", "cache has no ttl");
        diag_help(u->s->diag, item, "say how long a result may be used again: cache: 1h");
        return;
    }
    cache->present = flow_duration_get(u, ttl, "ttl", &cache->ttl_us);
    if (cache->present && cache->ttl_us == 0) {
        diag_error(u->s->diag, ttl->mark, "bad_value", "\"ttl\": expected more than 0");
    }
}

static void refuse(struct unit *u, struct draft *d, const char *why, const char *help) {
    struct diag_item *item =
        diag_error(u->s->diag, d->common[COMMON_CACHE]->mark, "bad_cache", "%s", why);
    diag_help(u->s->diag, item, "%s", help);
}

/* After the kind's own check, which may make an effect of it. */
bool flow_cache_check(struct unit *u, struct draft *d) {
    const struct plan_node *n = d->node;
    if (!n->cache.present || d->broken) {
        return !u->s->nomem;
    }
    const struct yaml_node *key = yaml_get(d->common[COMMON_CACHE], STR("key"));
    bool remembers = n->agent >= 0 && u->plan->agents[n->agent].keep != MEMORY_NONE;
    if (n->kind->wait) {
        refuse(u, d, "a step that waits has no result to be used again",
               "put cache on nodes that do something");
    } else if (n->pure) {
        refuse(u, d, "this node does nothing that could be saved: it only computes",
               "leave cache out");
    } else if (remembers && !key) {
        refuse(u, d,
               "what the agent remembers is no part of the key that is made of the node's fields",
               "give the agent memory: {keep: none}, or a key of your own");
    }
    if (d->common[COMMON_COMPENSATE]) {
        struct diag_item *item =
            diag_add(u->s->diag, DIAG_WARNING, d->common[COMMON_CACHE]->mark, "undone_cache",
                     "what \"%.*s\" did may be undone while its result is kept for others",
                     STR_ARG(n->name));
        diag_help(u->s->diag, item, "leave out cache, or compensate");
    }
    return !u->s->nomem;
}

bool flow_cache_compile(struct scope *scope, struct draft *d) {
    const struct yaml_node *n = d->common[COMMON_CACHE];
    const struct yaml_node *key = n && n->type == YAML_MAP ? yaml_get(n, STR("key")) : NULL;
    if (!key) {
        return true;
    }
    if (flow_is_empty(key)) {
        flow_type_refuse(scope->u, key, "key", "an expression");
        return true;
    }
    return flow_pval_compile(scope, key, LEAF_EXPRESSION, &d->node->cache.key);
}
