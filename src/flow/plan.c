/* Questions about a finished plan, and its end. Nothing here changes a plan or needs more than the
 * plan itself: engine, host and commands call it while executions run.
 */
#include <stdlib.h>

#include "flow/plan.h"

const char *const node_part_names[PART_COUNT] = {
    [PART_BODY] = "body",         [PART_STATUS] = "status",       [PART_ERROR] = "error",
    [PART_META] = "meta",         [PART_ITERATION] = "iteration", [PART_ATTEMPTS] = "attempts",
    [PART_PREVIOUS] = "previous",
};

int64_t plan_node_find(const struct plan *p, struct str name) {
    const struct map_entry *entry = map_find(&p->names, name);
    return entry ? (int64_t)entry->num : -1;
}

const char *plan_role_name(enum node_role role) {
    static const char *const names[] = {"", "fallback", "on_timeout", "compensate", "finally"};
    return names[role];
}

struct str plan_node_contents(const struct plan_node *n) {
    static const char none[SHA256_HEX_BYTES];
    return (struct str){n->contents ? n->contents : none, SHA256_HEX_BYTES};
}

uint32_t plan_node_root(const struct plan *p, uint32_t node) {
    while (p->nodes[node].owner >= 0) {
        node = (uint32_t)p->nodes[node].owner;
    }
    return node;
}

uint16_t plan_handle_find(const struct plan_node *n, struct str name) {
    for (uint16_t i = 0; i < n->handle_count; i++) {
        if (str_eq(n->handles[i], name)) {
            return i;
        }
    }
    if (str_is(name, "error")) {
        return HANDLE_ERROR;
    }
    return str_is(name, "limit") && n->heads >= 0 ? HANDLE_LIMIT : HANDLE_NONE;
}

struct str plan_handle_name(const struct plan_node *n, uint16_t handle) {
    switch (handle) {
    case HANDLE_ERROR: return STR("error");
    case HANDLE_LIMIT: return STR("limit");
    case HANDLE_ANY: return STR("*");
    default: return handle < n->handle_count ? n->handles[handle] : STR("");
    }
}

bool plan_node_any_exit(const struct plan_node *n) {
    bool plain = n->handle_count > 0 && str_is(n->handles[0], "out");
    return (n->kind->flags & KIND_ANY_EXIT) && !plain;
}

bool plan_node_decides(const struct plan_node *n) {
    return n->handle_count > 1 || (n->kind && plan_node_any_exit(n));
}

void plan_free(struct plan *p) {
    if (p) {
        arena_fini(&p->arena);
        free(p);
    }
}
