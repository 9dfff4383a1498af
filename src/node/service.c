/* What service an attempt will call, for breakers: the part of an address that fails as a whole.
 * Read from fields as they are recorded: a part with a secret in it is never printed.
 */
#include "node/node_priv.h"

/* Scheme and authority, in small letters, without a user. */
void node_service_of_url(struct str url, struct buf *out) {
    size_t from = str_find(url, STR("://"), 0);
    if (from == SIZE_MAX) {
        return;
    }
    size_t at = from += 3, to = from;
    while (to < url.len && !strchr("/?#", url.ptr[to])) {
        at = url.ptr[to] == '@' ? to + 1 : at;
        to++;
    }
    struct str authority = str_sub(url, at, to);
    if (!authority.len || str_find(authority, STR("[secret "), 0) != SIZE_MAX) {
        return;
    }
    struct str parts[] = {str_sub(url, 0, from), authority};
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        for (size_t i = 0; i < parts[p].len; i++) {
            char c = parts[p].ptr[i];
            buf_append_char(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
        }
    }
}

void node_service_of_model(const struct node_model *m, const struct step_in *in, struct buf *out) {
    struct node_agent as;
    struct error ignored;
    if (!m || node_model_resolve(m, in, &as, &ignored)) {
        return; /* the attempt will say what is wrong */
    }
    buf_append(out, as.agent.service);
    if (as.agent.base_url.len) {
        buf_append_cstr(out, " at ");
        node_service_of_url(as.agent.base_url, out);
    }
}
