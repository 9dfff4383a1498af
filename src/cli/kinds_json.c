/* `cairn kinds --json`: the descriptors for programs: {kinds: [...], commonFields: [...]}, or one
 * kind. Keys are camelCase; what a descriptor does not say is null or an empty list.
 */
#include "cli/kinds_print.h"

static void add(struct value_builder *b, const char *name, const char *text) {
    value_map_add(b, str_from(name), text ? value_text(str_from(text)) : value_null());
}

static void add_words(struct value_builder *b, const char *name, const char *const *words) {
    struct value_builder list;
    value_builder_init(&list, b->arena);
    for (size_t i = 0; words && words[i]; i++) {
        value_list_add(&list, value_text(str_from(words[i])));
    }
    value_map_add(b, str_from(name), value_list_done(&list));
}

static struct value field_json(struct arena *a, const struct field *f) {
    struct value_builder b;
    value_builder_init(&b, a);
    add(&b, "name", f->name);
    add(&b, "type", kinds_type_name(f));
    value_map_add(&b, STR("required"), value_bool(f->required));
    value_map_add(&b, STR("secrets"), value_bool(f->secret_ok));
    add(&b, "default", f->default_text);
    add_words(&b, "choices", f->choices);
    add(&b, "oneOf", f->one_of);
    add(&b, "needs", f->needs);
    add(&b, "doc", f->doc);
    return value_map_done(&b);
}

static struct value kind_json(struct arena *a, const struct node_kind *kind) {
    static const char *const out_only[] = {"out", NULL};
    struct value_builder b, fields;
    value_builder_init(&b, a);
    value_builder_init(&fields, a);
    for (size_t i = 0; i < kind->field_count; i++) {
        value_list_add(&fields, field_json(a, &kind->fields[i]));
    }
    add(&b, "name", kind->name);
    add_words(&b, "aliases", kind->aliases);
    add(&b, "doc", kind->doc);
    add(&b, "body", kind->body_doc);
    add_words(&b, "handles", kind->handles && kind->handles[0] ? kind->handles : out_only);
    value_map_add(&b, STR("pure"), value_bool(kind->flags & KIND_PURE));
    value_map_add(&b, STR("fields"), value_list_done(&fields));
    add(&b, "example", kind->example);
    return value_map_done(&b);
}

static struct value common_json(struct arena *a) {
    size_t count;
    const struct common_field *common = flow_common_fields(&count);
    struct value_builder list;
    value_builder_init(&list, a);
    for (size_t i = 0; i < count; i++) {
        struct value_builder b;
        value_builder_init(&b, a);
        add(&b, "name", common[i].name);
        add(&b, "type", common[i].type);
        add(&b, "doc", common[i].doc);
        value_list_add(&list, value_map_done(&b));
    }
    return value_list_done(&list);
}

static struct value all_json(struct arena *a, struct kind_table kinds) {
    struct value_builder b, list;
    value_builder_init(&b, a);
    value_builder_init(&list, a);
    for (size_t i = 0; i < kinds.count; i++) {
        value_list_add(&list, kind_json(a, kinds.kinds[i]));
    }
    value_map_add(&b, STR("kinds"), value_list_done(&list));
    value_map_add(&b, STR("commonFields"), common_json(a));
    return value_map_done(&b);
}

void kinds_print_json(struct cli *c, struct kind_table kinds, const struct node_kind *one) {
    cli_print_json(c, one ? kind_json(&c->arena, one) : all_json(&c->arena, kinds));
}
