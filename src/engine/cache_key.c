/* The key under which a step's result is kept and found: a hash of all that the step is given, so
 * the same work is the same key in any workflow; or, where the node names a key of its own, of that
 * and the names of workflow and node.
 *
 * Never in it: secrets. A field with one is sealed text here, which holds the secret's name.
 */
#include <stdio.h>

#include "engine/engine_priv.h"

static void mix(struct sha256 *h, const char *what, struct str bytes) {
    char head[64];
    int len = snprintf(head, sizeof head, "\n%.30s %zu\n", what, bytes.len);
    sha256_update(h, (struct str){head, (size_t)len});
    sha256_update(h, bytes);
}

static bool mix_value(struct sha256 *h, const char *what, struct value v) {
    struct buf b;
    buf_init(&b, 0);
    value_encode(v, &b);
    mix(h, what, buf_str(&b));
    bool ok = buf_ok(&b);
    buf_fini(&b);
    return ok;
}

/* Who is asked, and how. */
static bool mix_agent(struct sha256 *h, const struct plan_agent *a, const struct step_in *in) {
    bool ok = mix_value(h, "settings", a->settings) &&
              mix_value(h, "iteration", value_int(in->iteration));
    for (int i = 0; i < AGENT_TEXTS && ok; i++) {
        struct str text = {0};
        struct error ignored;
        ok = plan_agent_text(a, (enum agent_text)i, in->inputs, in->arena, &text, &ignored) == OK;
        mix(h, "text", text);
    }
    return ok;
}

/* What a kind with KIND_SCOPE sees by name is in its scope; others see their fields alone. */
static bool mix_all(struct sha256 *h, const struct plan *p, const struct step_in *in) {
    const struct plan_node *n = in->node;
    bool ok = true;
    for (size_t i = 0; i < n->kind->field_count && ok; i++) {
        ok = mix_value(h, n->kind->fields[i].name, in->fields[i]);
    }
    ok = ok && mix_value(h, "in", in->ins) && mix_value(h, "scope", in->scope);
    ok = ok && (n->agent < 0 || mix_agent(h, &p->agents[n->agent], in));
    if (n->child) {
        mix(h, "workflow", str_from(n->child->hash));
    }
    return ok;
}

bool cache_key_make(const struct plan *p, const struct step_in *in, struct value own,
                    char out[SHA256_HEX_BYTES]) {
    const struct plan_node *n = in->node;
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    bool ok = true;
    sha256_init(&h);
    mix(&h, "cairn cache 1", str_from(n->kind->name));
    mix(&h, "contents", plan_node_contents(n));
    if (n->cache.key.type == PVAL_NONE) {
        ok = mix_all(&h, p, in);
    } else {
        mix(&h, "of", p->name);
        mix(&h, "node", n->name);
        ok = mix_value(&h, "key", own);
    }
    sha256_final(&h, digest);
    hex_encode(digest, sizeof digest, out);
    out[SHA256_HEX_BYTES - 1] = '\0';
    return ok;
}
