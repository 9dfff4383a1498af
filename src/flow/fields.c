/* Fields of a kind by its descriptor: what is missing, what excludes each other, literals before
 * the kind's own check, expressions and templates when the graph is known.
 *
 * No kind is named here: all that is known comes from struct field.
 */
#include <stdio.h>

#include "flow/flow_priv.h"

static const int64_t int_range[2] = {INT64_MIN, INT64_MAX};
static const double double_range[2] = {-FLOW_ANY_DOUBLE, FLOW_ANY_DOUBLE};

static void set_constant(struct draft *d, size_t i, struct value v) {
    d->node->fields[i] =
        (struct pval){.type = PVAL_CONST, .mark = flow_text_mark(d->fields[i]), .constant = v};
}

static void read_list(struct unit *u, struct draft *d, size_t i) {
    const struct yaml_node *n = d->fields[i];
    const char *name = d->node->kind->fields[i].name;
    if (n->type != YAML_LIST) {
        struct diag_item *item = flow_type_refuse(u, n, name, "a list of texts");
        diag_help(u->s->diag, item, "for example [\"a\", \"b\"]");
        return;
    }
    for (uint32_t k = 0; k < n->count; k++) {
        struct str text;
        if (!flow_text_get(u, n->items[k], name, &text)) {
            return;
        }
    }
    struct value v;
    if (flow_keep_value(u->s, n, &v)) {
        set_constant(d, i, v);
    }
}

static void read_word(struct unit *u, struct draft *d, size_t i) {
    const struct field *f = &d->node->kind->fields[i];
    struct str text;
    int word;
    if (f->choices) {
        if (flow_word_get(u, d->fields[i], f->name, f->choices, &word)) {
            set_constant(d, i, value_text(str_from(f->choices[word])));
        }
    } else if (flow_text_get(u, d->fields[i], f->name, &text)) {
        text = flow_keep_str(u->s, text);
        if (text.ptr) {
            set_constant(d, i, value_text(text));
        }
    }
}

static void read_literal(struct unit *u, struct draft *d, size_t i) {
    const struct field *f = &d->node->kind->fields[i];
    const struct yaml_node *n = d->fields[i];
    int64_t number;
    double real;
    switch (f->literal) {
    case LITERAL_TEXT: read_word(u, d, i); break;
    case LITERAL_TEXTS: read_list(u, d, i); break;
    case LITERAL_INT:
        if (flow_int_get(u, n, f->name, int_range, &number)) {
            set_constant(d, i, value_int(number));
        }
        break;
    case LITERAL_DOUBLE:
        if (flow_double_get(u, n, f->name, double_range, &real)) {
            set_constant(d, i, value_double(real));
        }
        break;
    case LITERAL_BOOL:
        if (n->type == YAML_SCALAR && n->value.type == VALUE_BOOL) {
            set_constant(d, i, n->value);
        } else {
            flow_type_refuse(u, n, f->name, "true or false");
        }
        break;
    }
}

static void read_template(struct unit *u, struct draft *d, size_t i) {
    struct str text;
    const char *name = d->node->kind->fields[i].name;
    if (!flow_text_get(u, d->fields[i], name, &text)) {
        d->fields[i] = NULL;
    }
}

static void read_expression(struct unit *u, struct draft *d, size_t i) {
    const struct yaml_node *n = d->fields[i];
    if (n->type == YAML_SCALAR && n->plain && !n->text.len) {
        flow_type_refuse(u, n, d->node->kind->fields[i].name, "an expression");
        d->fields[i] = NULL;
    }
}

static void read_field(struct unit *u, struct draft *d, size_t i) {
    const struct field *f = &d->node->kind->fields[i];
    const struct schema *schema;
    struct value v;
    int64_t us;
    switch (f->type) {
    case FIELD_LITERAL: read_literal(u, d, i); break;
    case FIELD_TEMPLATE: read_template(u, d, i); break;
    case FIELD_EXPRESSION: read_expression(u, d, i); break;
    case FIELD_STRUCTURE: break;
    case FIELD_DURATION:
        if (flow_duration_get(u, d->fields[i], f->name, &us)) {
            set_constant(d, i, value_int(us));
        }
        break;
    case FIELD_SCHEMA:
        if (flow_schema_compile(u, d->fields[i], f->name, &v, &schema)) {
            set_constant(d, i, v);
        }
        break;
    case FIELD_VALUE:
        if (flow_keep_value(u->s, d->fields[i], &v)) {
            set_constant(d, i, v);
        }
        break;
    }
}

/* ---- which fields go together ---- */

/* The first field of each group speaks for it. */
static void check_group(struct unit *u, struct draft *d, size_t first) {
    const struct node_kind *kind = d->node->kind;
    struct str names[32] = {0};
    size_t count = 0, given = 0;
    const struct yaml_node *last = NULL;
    for (size_t i = first; i < kind->field_count; i++) {
        if (!kind->fields[i].one_of || strcmp(kind->fields[i].one_of, kind->fields[first].one_of)) {
            continue;
        }
        if (count < ARRAY_LEN(names)) {
            names[count++] = str_from(kind->fields[i].name);
        }
        if (d->node->field_marks[i].line) {
            given++;
            last = d->fields[i];
        }
    }
    if (given == 1) {
        return;
    }
    struct str all = flow_words_join(u->s, names, count);
    struct mark mark = last ? last->mark : d->node->mark;
    struct diag_item *item =
        given ? diag_error(u->s->diag, mark, "excludes",
                           "node \"%.*s\": exactly one of %.*s may be given",
                           STR_ARG(d->node->name), STR_ARG(all))
              : diag_error(u->s->diag, mark, "missing_key",
                           "node \"%.*s\" (%s): exactly one of %.*s must be given",
                           STR_ARG(d->node->name), kind->name, STR_ARG(all));
    diag_help(u->s->diag, item, given ? "keep one of them" : "add one of them");
}

static bool opens_group(const struct node_kind *kind, size_t i) {
    if (!kind->fields[i].one_of) {
        return false;
    }
    for (size_t k = 0; k < i; k++) {
        if (kind->fields[k].one_of && !strcmp(kind->fields[k].one_of, kind->fields[i].one_of)) {
            return false;
        }
    }
    return true;
}

static bool is_given(const struct draft *d, const char *name) {
    const struct node_kind *kind = d->node->kind;
    for (size_t i = 0; i < kind->field_count; i++) {
        if (!strcmp(kind->fields[i].name, name)) {
            return d->node->field_marks[i].line != 0;
        }
    }
    return false;
}

static void check_presence(struct unit *u, struct draft *d, size_t i) {
    const struct node_kind *kind = d->node->kind;
    const struct field *f = &kind->fields[i];
    bool given = d->node->field_marks[i].line != 0;
    if (f->required && !given) {
        struct diag_item *item = diag_error(u->s->diag, d->node->mark, "missing_key",
                                            "node \"%.*s\" (%s) has no key \"%s\"",
                                            STR_ARG(d->node->name), kind->name, f->name);
        diag_help(u->s->diag, item, "%s: %s", f->name, f->doc ? f->doc : "required");
    }
    if (f->needs && given && !is_given(d, f->needs)) {
        struct diag_item *item =
            diag_error(u->s->diag, d->node->field_marks[i], "missing_key",
                       "\"%s\" needs the key \"%s\" beside it", f->name, f->needs);
        diag_help(u->s->diag, item, "add \"%s:\", or remove \"%s:\"", f->needs, f->name);
    }
    if (opens_group(kind, i)) {
        check_group(u, d, i);
    }
}

bool flow_fields_read(struct unit *u, struct draft *d) {
    if (d->broken) {
        return true;
    }
    for (size_t i = 0; i < d->node->kind->field_count; i++) {
        check_presence(u, d, i);
        if (d->fields[i]) {
            read_field(u, d, i);
        }
    }
    return !u->s->nomem;
}

bool flow_fields_compile(struct scope *scope, struct draft *d) {
    const struct node_kind *kind = d->node->kind;
    for (size_t i = 0; !d->broken && i < kind->field_count; i++) {
        const struct field *f = &kind->fields[i];
        enum leaf leaf = f->type == FIELD_EXPRESSION ? LEAF_EXPRESSION
                         : f->type == FIELD_TEMPLATE ? LEAF_TEXT
                                                     : LEAF_TEMPLATE;
        bool compiled =
            f->type == FIELD_EXPRESSION || f->type == FIELD_TEMPLATE || f->type == FIELD_STRUCTURE;
        if (!compiled || !d->fields[i]) {
            continue;
        }
        scope->flags = (d->node->foreach.present ? SCOPE_ITEM : 0u) | SCOPE_IN |
                       (f->secret_ok && !d->node->pure ? SCOPE_SECRET : 0u);
        struct pval *out = &d->node->fields[i];
        if (!flow_pval_compile(scope, d->fields[i], leaf, out)) {
            return false;
        }
        if (d->node->child && !strcmp(f->name, "inputs")) {
            flow_child_values_check(scope->u, d, d->fields[i], out);
        }
        if (f->wants_bool && out->type == PVAL_CONST) {
            flow_constant_check(scope->u, out->mark, f->name, out->constant, VALUE_BOOL);
        }
    }
    return true;
}
