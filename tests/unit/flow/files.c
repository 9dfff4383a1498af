/* Files in memory, compiling, plans and findings as text; see files.h. */
#include "files.h"

#include <stdio.h>

#include "support/flow_kinds.h"

void mem_add(struct mem_files *m, struct str path, struct str text) {
    ASSERT(m->count < ARRAY_LEN(m->items));
    m->items[m->count++] = (struct mem_file){path, text};
}

static enum err mem_read(void *ctx, struct str path, struct arena *a, struct str *out,
                         struct error *e) {
    struct mem_files *m = ctx;
    m->reads++;
    for (size_t i = 0; i < m->count; i++) {
        if (str_eq(m->items[i].path, path)) {
            *out = arena_str(a, m->items[i].text);
            return out->ptr ? OK : error_nomem(e);
        }
    }
    return error_set(e, ERR_NOT_FOUND, "no such file");
}

void compiled_init(struct compiled *c, struct mem_files *files, const char *entry) {
    *c = (struct compiled){0};
    arena_init(&c->arena, 0);
    diag_init(&c->diag, &c->arena);
    struct flow_source source = {.entry = str_from(entry),
                                 .loader = {.ctx = files, .read = mem_read},
                                 .kinds = flow_test_kinds};
    c->err = flow_compile(&source, &c->plan, &c->diag, &c->error);
}

void compiled_text(struct compiled *c, struct str text) {
    struct mem_files files = {.count = 0};
    mem_add(&files, STR("flow.yaml"), text);
    compiled_init(c, &files, "flow.yaml");
}

void compiled_fini(struct compiled *c) {
    plan_free(c->plan);
    arena_fini(&c->arena);
}

void print_findings(const struct compiled *c, struct buf *out) {
    for (uint32_t i = 0; i < c->diag.count; i++) {
        const struct diag_item *item = &c->diag.items[i];
        buf_printf(out, "%s:%u:%u: %s %.*s: %.*s\n", item->mark.file ? item->mark.file : "-",
                   item->mark.line, item->mark.column,
                   item->severity == DIAG_ERROR ? "error" : "warning", STR_ARG(item->code),
                   STR_ARG(item->message));
        if (item->help.len) {
            buf_printf(out, "    %.*s\n", STR_ARG(item->help));
        }
    }
}

/* ---- plans ---- */

static void print_names(const struct plan *p, const uint32_t *nodes, uint32_t count,
                        struct buf *out) {
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(out, "%s%.*s", i ? " " : "", STR_ARG(p->nodes[nodes[i]].name));
    }
}

static void print_headers(const struct plan *p, const uint32_t *loops, uint32_t count,
                          struct buf *out) {
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(out, " %.*s", STR_ARG(p->nodes[p->loops[loops[i]].header].name));
    }
}

static void print_edge(const struct plan *p, const struct plan_edge *e, struct buf *out) {
    struct str handle = plan_handle_name(&p->nodes[e->source], e->handle);
    buf_printf(out, "%.*s.%.*s->%.*s", STR_ARG(p->nodes[e->source].name), STR_ARG(handle),
               STR_ARG(p->nodes[e->target].name));
}

static void print_edges(const struct plan *p, struct buf *out) {
    for (uint32_t i = 0; i < p->edge_count; i++) {
        const struct plan_edge *e = &p->edges[i];
        buf_append_cstr(out, "edge ");
        print_edge(p, e, out);
        if (e->back_of >= 0) {
            buf_append_cstr(out, " back of");
            print_headers(p, (const uint32_t[]){(uint32_t)e->back_of}, 1, out);
        }
        if (e->leaves_count) {
            buf_append_cstr(out, " leaves");
            print_headers(p, e->leaves, e->leaves_count, out);
        }
        buf_append_char(out, '\n');
    }
}

static void print_loops(const struct plan *p, struct buf *out) {
    for (uint32_t i = 0; i < p->loop_count; i++) {
        const struct plan_loop *l = &p->loops[i];
        buf_printf(out, "loop %.*s max %u %s: body ", STR_ARG(p->nodes[l->header].name),
                   l->max_iterations, l->on_limit == ON_LIMIT_EXIT ? "exit" : "fail");
        print_names(p, l->body, l->body_count, out);
        if (l->inner_count) {
            buf_append_cstr(out, "; inner");
            print_headers(p, l->inner, l->inner_count, out);
        }
        for (uint32_t k = 0; k < l->leaving_count; k++) {
            buf_append_cstr(out, k ? " " : "; leaving ");
            print_edge(p, &p->edges[l->leaving[k]], out);
        }
        buf_append_char(out, '\n');
    }
}

static void print_ref(const struct plan *p, const struct plan_ref *r, struct buf *out) {
    static const char *const names[] = {
        [REF_BODY] = "body",     [REF_NODE] = "node",   [REF_NODE_PART] = "part",
        [REF_INPUTS] = "inputs", [REF_INPUT] = "input", [REF_EXECUTION] = "execution",
        [REF_ITEM] = "item",     [REF_INDEX] = "index", [REF_ITERATION] = "iteration",
        [REF_VARS] = "vars",     [REF_VAR] = "var",     [REF_SELF] = "self",
        [REF_IN] = "in",         [REF_ENV] = "env",     [REF_IT] = "it",
        [REF_ERROR] = "error",   [REF_STEP] = "step",
    };
    buf_printf(out, "ref %s", names[r->type]);
    if (r->type == REF_BODY || r->type == REF_NODE || r->type == REF_NODE_PART ||
        r->type == REF_ERROR) {
        buf_printf(out, " %.*s", STR_ARG(p->nodes[r->node].name));
    }
    if (r->type == REF_NODE_PART) {
        buf_printf(out, ".%s", node_part_names[r->part]);
    }
    buf_printf(out, "%s%.*s\n", r->name.len ? " " : "", STR_ARG(r->name));
}

static void print_recover(const struct plan_node *n, struct buf *out) {
    static const char *const words[] = {[RECOVER_ASK] = "ask",
                                        [RECOVER_FAIL] = "fail",
                                        [RECOVER_COMPENSATE] = "compensate",
                                        [RECOVER_ROLLBACK] = "rollback"};
    static const char *const late[] = {"next", "fail", "retry"};
    for (uint32_t i = 0; i < n->recover_count; i++) {
        const struct plan_recover *r = &n->recover[i];
        buf_printf(out, "%s%s", i ? ", " : " recover ", words[r->what]);
        if (r->prompt.len || r->assignee.len) {
            buf_printf(out, " \"%.*s\" of \"%.*s\"", STR_ARG(r->prompt), STR_ARG(r->assignee));
        }
        if (r->what == RECOVER_ROLLBACK) {
            buf_printf(out, " to %.*s %u times", STR_ARG(r->target), r->times);
        }
        if (r->timeout_us) {
            buf_printf(out, " %llds %s", (long long)r->timeout_us / 1000000, late[r->on_timeout]);
        }
        if (r->on_timeout == RECOVER_TIMEOUT_RETRY) {
            buf_printf(out, " %u times", r->times);
        }
    }
}

static void print_node(const struct plan *p, const struct plan_node *n, struct buf *out) {
    buf_printf(out, "node %.*s %s%s", STR_ARG(n->name), n->kind->name, n->pure ? " pure" : "");
    for (uint16_t i = 0; i < n->handle_count; i++) {
        buf_printf(out, " .%.*s", STR_ARG(n->handles[i]));
    }
    if (n->child) {
        buf_printf(out, " child %.*s", STR_ARG(n->child->entry));
    }
    print_recover(n, out);
    if (n->approves >= 0) {
        buf_printf(out, " approves %.*s", STR_ARG(p->nodes[n->approves].name));
    }
    if (n->role) {
        buf_printf(out, " %s", plan_role_name(n->role));
    }
    if (n->owner >= 0) {
        buf_printf(out, " of %.*s", STR_ARG(p->nodes[n->owner].name));
    }
    buf_append_char(out, '\n');
}

void print_plan(const struct plan *p, struct buf *out) {
    for (uint32_t i = 0; i < p->node_count; i++) {
        print_node(p, &p->nodes[i], out);
    }
    if (p->breaker.failures) {
        buf_printf(out, "breaker %u %llds %llds\n", p->breaker.failures,
                   (long long)p->breaker.open_us / 1000000, (long long)p->breaker.max_us / 1000000);
    }
    print_edges(p, out);
    print_loops(p, out);
    for (uint32_t i = 0; i < p->ref_count; i++) {
        print_ref(p, &p->refs[i], out);
    }
    for (uint32_t i = 0; i < p->secret_count; i++) {
        buf_printf(out, "secret %.*s\n", STR_ARG(p->secrets[i]));
    }
    for (uint32_t i = 0; i < p->node_count; i++) {
        if (p->nodes[i].child) {
            print_plan(p->nodes[i].child, out);
        }
    }
}
