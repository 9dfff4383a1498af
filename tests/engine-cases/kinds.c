/* The kinds of node that cases know, and what a script says of their steps. The script reaches
 * pure kinds as the inputs of the execution, so nothing here is global.
 */
#include "cases.h"

static const struct value *entry_of(struct value script, struct str step) {
    const struct value *steps = value_get(script, STR("steps"));
    return steps ? value_get(*steps, step) : NULL;
}

static int64_t number_of(const struct value *entry, struct str key, int64_t otherwise) {
    const struct value *v = entry ? value_get(*entry, key) : NULL;
    return v && v->type == VALUE_INT ? v->num : otherwise;
}

struct outcome outcome_of(struct value script, const struct plan_node *node, struct str step,
                          uint32_t attempt) {
    const struct value *entry = entry_of(script, step);
    const struct value *body = entry ? value_get(*entry, STR("body")) : NULL;
    const struct value *handle = entry ? value_get(*entry, STR("handle")) : NULL;
    struct outcome o = {.ticks = number_of(entry, STR("ticks"), !node->pure),
                        .fails = attempt <= number_of(entry, STR("fail"), 0),
                        .body = body ? *body : value_text(step)};
    if (node->kind->flags & KIND_ANY_EXIT) {
        o.handle = handle ? value_str(*handle) : node->handles[node->handle_count - 1];
        o.body = value_text(o.handle);
    }
    return o;
}

static enum err eval(const struct step_in *in, struct step_result *out, struct error *e) {
    struct outcome o = outcome_of(in->inputs, in->node, in->step, in->attempt);
    if (o.fails) {
        return error_set(e, ERR_TRANSIENT, "the script says so");
    }
    out->handle = o.handle;
    out->body = o.body;
    return OK;
}

static void condition_check(struct node_check *c) {
    struct value handles = check_literal(c, "handles");
    for (size_t i = 0; handles.type == VALUE_LIST && i < value_count(handles); i++) {
        check_handle(c, value_str(handles.items[i]));
    }
}

static const struct node_kind work = {
    .name = "work", .doc = "an effect", .body_doc = "as scripted, or the step's id"};

static const struct node_kind foreach_work = {.name = "foreach-work",
                                              .doc = "an effect per item",
                                              .body_doc = "the list of the items' bodies"};

static const struct field condition_fields[] = {
    {.name = "handles", .type = FIELD_LITERAL, .literal = LITERAL_TEXTS, .doc = "its exits"}};
static const char *const condition_handles[] = {"true", "false", NULL};
static const struct node_kind condition = {.name = "condition",
                                           .doc = "chooses as scripted",
                                           .body_doc = "the handle taken",
                                           .fields = condition_fields,
                                           .field_count = ARRAY_LEN(condition_fields),
                                           .handles = condition_handles,
                                           .flags = KIND_PURE | KIND_ANY_EXIT,
                                           .check = condition_check,
                                           .eval = eval};

static const struct node_kind end = {.name = "end",
                                     .doc = "an end",
                                     .body_doc = "as scripted, or the step's id",
                                     .flags = KIND_PURE | KIND_END,
                                     .eval = eval};

static const struct node_kind *const rows[] = {&work, &foreach_work, &condition, &end};
const struct kind_table case_kinds = {rows, ARRAY_LEN(rows)};
