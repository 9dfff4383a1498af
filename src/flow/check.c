/* The compile-time view of one node that a kind's check function gets: what stands in its fields,
 * and what it may declare: handles, effects, files, a sub-workflow, data of its own.
 *
 * It runs before the graph is known, so fields with expressions have no value here.
 */
#include <stdarg.h>
#include <stdio.h>

#include "flow/flow_priv.h"

static int find(const struct node_check *c, const char *field) {
    const struct node_kind *kind = c->d->node->kind;
    for (size_t i = 0; i < kind->field_count; i++) {
        if (!strcmp(kind->fields[i].name, field)) {
            return (int)i;
        }
    }
    return -1;
}

static const struct yaml_node *given(const struct node_check *c, const char *field) {
    int i = find(c, field);
    return i < 0 ? NULL : c->d->fields[i];
}

bool check_has(const struct node_check *c, const char *field) {
    int i = find(c, field);
    return i >= 0 && c->d->node->field_marks[i].line != 0;
}

struct mark check_mark(const struct node_check *c, const char *field) {
    const struct yaml_node *n = given(c, field);
    return n ? n->mark : c->d->node->mark;
}

struct mark check_content_mark(const struct node_check *c, const char *field) {
    const struct yaml_node *n = given(c, field);
    return n ? flow_text_mark(n) : c->d->node->mark;
}

static bool has_template(const struct yaml_node *n) {
    for (uint32_t i = 0; n->type != YAML_SCALAR && i < n->count; i++) {
        if (has_template(n->type == YAML_MAP ? n->pairs[i].value : n->items[i])) {
            return true;
        }
    }
    return n->type == YAML_SCALAR && str_find(n->text, STR("{{"), 0) != SIZE_MAX;
}

struct value check_literal(const struct node_check *c, const char *field) {
    int i = find(c, field);
    const struct yaml_node *n = i < 0 ? NULL : c->d->fields[i];
    struct value v = value_null();
    if (!n) {
        return v;
    }
    if (c->d->node->fields[i].type == PVAL_CONST) {
        return c->d->node->fields[i].constant;
    }
    switch (c->d->node->kind->fields[i].type) {
    case FIELD_TEMPLATE:
    case FIELD_STRUCTURE:
        if (!has_template(n)) {
            flow_keep_value(c->u->s, n, &v);
        }
        return v;
    case FIELD_EXPRESSION:
        if (n->type == YAML_SCALAR && n->value.type != VALUE_TEXT) {
            return n->value;
        }
        return v;
    case FIELD_LITERAL:
    case FIELD_DURATION:
    case FIELD_SCHEMA:
    case FIELD_VALUE: return v;
    }
    return v;
}

struct value check_written(const struct node_check *c, const char *field) {
    const struct yaml_node *n = given(c, field);
    struct value v = value_null();
    if (n) {
        flow_keep_value(c->u->s, n, &v);
    }
    return v;
}

/* ---- expressions of the kind's own ---- */

const struct expr *check_expression(struct node_check *c, const char *field, const char *key,
                                    const char *const *names) {
    const struct yaml_node *map = given(c, field);
    const struct yaml_node *n = map && map->type == YAML_MAP ? yaml_get(map, str_from(key)) : NULL;
    struct scope scope = {.u = c->u, .own = names};
    const struct expr *x = NULL;
    if (n && (n->type != YAML_SCALAR || n->value.type != VALUE_TEXT)) {
        flow_type_refuse(c->u, n, key, "an expression");
    } else if (n) {
        flow_expression_compile(&scope, n, &x);
    }
    return x;
}

/* ---- handles ---- */

/* Where name stands in the fields, as a key or a text, so that the finding points at it. */
static struct mark mark_of_text(const struct yaml_node *n, struct str name, int depth) {
    for (uint32_t i = 0; depth > 0 && n->type != YAML_SCALAR && i < n->count; i++) {
        const struct yaml_node *item = n->type == YAML_MAP ? n->pairs[i].value : n->items[i];
        if (n->type == YAML_MAP && str_eq(n->pairs[i].key->text, name)) {
            return n->pairs[i].key->mark;
        }
        struct mark found = mark_of_text(item, name, depth - 1);
        if (found.line) {
            return found;
        }
    }
    bool hit = n->type == YAML_SCALAR && str_eq(n->text, name);
    return hit ? n->mark : (struct mark){0};
}

static struct mark handle_mark(const struct node_check *c, struct str name) {
    for (size_t i = 0; i < c->d->node->kind->field_count; i++) {
        struct mark found = {0};
        if (c->d->fields[i]) {
            found = mark_of_text(c->d->fields[i], name, 3);
        }
        if (found.line) {
            return found;
        }
    }
    return c->d->node->mark;
}

static bool handle_allowed(struct node_check *c, struct str name) {
    struct diag *d = c->u->s->diag;
    struct diag_item *item = NULL;
    if (str_is(name, "out") || str_is(name, "error") || str_is(name, "timeout") ||
        str_is(name, "limit")) {
        item = diag_error(d, handle_mark(c, name), "bad_handle",
                          "\"%.*s\" cannot be a case or a choice: it is the name of an exit that "
                          "means something else",
                          STR_ARG(name));
    } else if (!name.len) {
        item = diag_error(d, c->d->node->mark, "bad_handle", "a case or a choice has no name");
    }
    for (uint32_t i = 0; !item && i < c->d->handle_count; i++) {
        if (str_eq(c->d->handles[i], name)) {
            item = diag_error(d, handle_mark(c, name), "bad_handle",
                              "\"%.*s\" is a case or a choice of this node twice", STR_ARG(name));
        }
    }
    if (item) {
        diag_help(d, item, "take another name");
    }
    return !item;
}

static void add_handle(struct node_check *c, struct str name) {
    struct draft *d = c->d;
    if (d->handle_count >= HANDLE_ANY - 1u) {
        return;
    }
    if (d->handle_count == d->handle_cap &&
        !flow_array_grow(c->u->s, c->u->s->keep, &d->handles, &d->handle_cap, sizeof *d->handles)) {
        return;
    }
    d->handles[d->handle_count++] = flow_keep_str(c->u->s, name);
}

void check_handle(struct node_check *c, struct str name) {
    if (handle_allowed(c, name)) {
        add_handle(c, name);
    }
}

void check_exit(struct node_check *c, const char *name) { add_handle(c, str_from(name)); }

void check_timeout_node(struct node_check *c, const char *field) {
    const struct yaml_node *name = given(c, field);
    if (check_is_foreach(c)) {
        check_error(c, field, "bad_value",
                    "\"%s\" of a node with foreach names no node: give fail or {value: ...}",
                    field);
    } else if (name) {
        flow_role_claim(c->u, ROLE_ON_TIMEOUT, c->d->node->index, name, field);
    }
}

void check_approval(struct node_check *c, const char *field) {
    const struct yaml_node *name = given(c, field);
    if (name && check_is_foreach(c)) {
        check_error(c, field, "bad_approval",
                    "\"%s\" of a node with foreach names no node: one answer approves one step",
                    field);
    } else {
        c->d->approves = name;
    }
}

bool check_has_timeout(const struct node_check *c) { return c->d->common[COMMON_TIMEOUT] != NULL; }

const struct str *check_preload(const struct node_check *c, uint32_t *out_count) {
    *out_count = c->u->plan->preload_count;
    return c->u->plan->preload;
}

bool check_is_foreach(const struct node_check *c) { return c->d->common[COMMON_FOREACH] != NULL; }

/* From this node on, so that all nodes together look at each other node but a few times. */
bool check_repeats(const struct node_check *c, const char *field) {
    struct value mine = check_literal(c, field);
    uint32_t count = c->u->plan->node_count, at = c->d->node->index;
    bool found = check_is_foreach(c);
    for (uint32_t i = 1; !found && i < count; i++) {
        struct node_check other = {.u = c->u, .d = &c->u->drafts[(at + i) % count]};
        found = !other.d->broken && other.d->node->kind == c->d->node->kind &&
                value_identical(check_literal(&other, field), mine);
    }
    return found;
}

static bool handles_close(struct unit *u, struct draft *d) {
    static const char *const out[] = {"out", NULL};
    struct plan_node *n = d->node;
    if (d->handle_count || d->broken) {
        n->handles = d->handles;
        n->handle_count = (uint16_t)d->handle_count;
        return true;
    }
    const char *const *words = n->kind->handles ? n->kind->handles : out;
    uint16_t count = 0;
    while (words[count]) {
        count++;
    }
    struct str *handles = KEEP(u->s, count, struct str);
    for (uint16_t i = 0; handles && i < count; i++) {
        handles[i] = str_from(words[i]);
    }
    n->handles = handles;
    n->handle_count = count;
    return handles != NULL;
}

/* ---- the rest ---- */

void check_effect(struct node_check *c) { c->d->node->pure = false; }

bool check_read_file(struct node_check *c, const char *field, struct str path, struct str *out) {
    struct mark mark = check_mark(c, field);
    struct str resolved;
    bool done =
        flow_file_resolve(c->u, path, mark, &resolved) && flow_file_read(c->u, resolved, mark, out);
    if (done) {
        flow_contents_mix(c->u, c->d->node, *out);
    }
    return done;
}

void check_template_file(struct node_check *c, const char *field, const char *target) {
    struct value path = check_literal(c, field);
    struct unit *u = c->u;
    struct str resolved, text;
    int at = find(c, target);
    if (path.type != VALUE_TEXT || at < 0 ||
        !flow_file_resolve(u, value_str(path), check_mark(c, field), &resolved) ||
        !flow_file_read(u, resolved, check_mark(c, field), &text)) {
        return;
    }
    if (!str_is_utf8(text)) {
        check_error(c, field, "encoding", "\"%.*s\" is not text in UTF-8",
                    STR_ARG(flow_text_clip(value_str(path), 200)));
        return;
    }
    struct yaml_node *n = SCRATCH(u->s, 1, struct yaml_node);
    if (n) {
        struct mark mark = {flow_file_display(u->s, resolved), 1, 1};
        *n = (struct yaml_node){.type = YAML_SCALAR,
                                .mark = mark,
                                .content = mark,
                                .value = value_text(text),
                                .text = text};
        c->d->fields[at] = n;
    }
}

int check_agent(struct node_check *c, const char *field) {
    struct value name = check_literal(c, field);
    struct plan *p = c->u->plan;
    if (name.type != VALUE_TEXT) {
        return -1;
    }
    for (uint32_t i = 0; i < p->agent_count; i++) {
        if (str_eq(p->agents[i].name, value_str(name))) {
            c->d->node->agent = (int)i;
            return (int)i;
        }
    }
    struct str *names = SCRATCH(c->u->s, p->agent_count, struct str);
    for (uint32_t i = 0; names && i < p->agent_count; i++) {
        names[i] = p->agents[i].name;
    }
    struct diag_item *item =
        diag_error(c->u->s->diag, check_mark(c, field), "unknown_agent",
                   "there is no agent called \"%.*s\"", STR_ARG(value_str(name)));
    if (!p->agent_count) {
        diag_help(c->u->s->diag, item, "declare it under \"agents:\" at the top of the workflow");
    } else if (names) {
        flow_suggest(c->u, item, value_str(name), names, p->agent_count);
    }
    return -1;
}

const struct plan_agent *check_agent_get(const struct node_check *c, int index) {
    bool known = index >= 0 && (uint32_t)index < c->u->plan->agent_count;
    return known ? &c->u->plan->agents[index] : NULL;
}

void check_child(struct node_check *c, const char *field) {
    const struct yaml_node *n = given(c, field);
    if (n && flow_child_compile(c->u, c->d, n)) {
        flow_child_inputs_check(c->u, c->d, given(c, "inputs"));
    }
}

void check_error(struct node_check *c, const char *field, const char *code, const char *fmt, ...) {
    char message[ERROR_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    diag_error(c->u->s->diag, check_mark(c, field), code, "%s", message);
}

void check_no_memory(struct node_check *c) { c->u->s->nomem = true; }

void check_agent_error(struct node_check *c, int index, const char *code, const char *fmt, ...) {
    char message[ERROR_MESSAGE_BYTES];
    const struct plan_agent *a = check_agent_get(c, index);
    struct diag *d = c->u->s->diag;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    bool known = false;
    for (uint32_t i = 0; a && i < d->count && !known; i++) {
        known = d->items[i].mark.line == a->mark.line && str_is(d->items[i].message, message);
    }
    if (a && !known) {
        diag_error(d, a->mark, code, "%s", message);
    }
}

struct arena *check_arena(struct node_check *c) {
    return c->u->s->keep;
}

void check_set_data(struct node_check *c, const void *data) { c->d->node->data = data; }

bool flow_draft_check(struct unit *u, struct draft *d) {
    if (!d->broken) {
        struct node_check c = {u, d};
        d->node->pure = (d->node->kind->flags & KIND_PURE) != 0;
        if (d->node->kind->check) {
            d->node->kind->check(&c);
        }
    }
    return !u->s->nomem && handles_close(u, d) && !u->s->nomem;
}
