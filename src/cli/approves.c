/* What an ask approves, for people: the arguments of the node that its answer starts, each with its
 * name. Who could forge a line of a terminal could forge what is approved, so all is cleaned.
 */
#include "cli/approves.h"

#include "cli/text.h"

static const struct value *map_in(struct value map, const char *name) {
    const struct value *v = value_get(map, str_from(name));
    return v && v->type == VALUE_MAP ? v : NULL;
}

/* A text as it is, in lines of its own when it has several; the rest as JSON. */
static void put_value(struct buf *b, struct value v, const char *indent) {
    struct buf text, deeper;
    buf_init(&text, 0);
    buf_init(&deeper, 0);
    if (v.type == VALUE_TEXT) {
        buf_append(&text, value_str(v));
    } else {
        value_print_json(v, 0, &text);
    }
    if (memchr(text.ptr ? text.ptr : "", '\n', text.len)) {
        buf_printf(&deeper, "%s    ", indent);
        buf_append_char(&deeper, '\0');
        buf_append_char(b, '\n');
        text_message_block(b, buf_str(&text), buf_ok(&deeper) ? deeper.ptr : indent,
                           TEXT_IN_RESULTS);
    } else {
        buf_append_char(b, ' ');
        text_message(b, buf_str(&text), TEXT_IN_RESULTS);
        buf_append_char(b, '\n');
    }
    buf_fini(&deeper);
    buf_fini(&text);
}

static void put_map(struct buf *b, struct value map, const char *prefix, const char *indent) {
    for (size_t i = 0; i < value_count(map); i++) {
        buf_printf(b, "%s  %s", indent, prefix);
        text_clean(b, value_str(map.pairs[i].key));
        buf_append_char(b, ':');
        put_value(b, map.pairs[i].val, indent);
    }
}

void approves_put(struct buf *b, struct value request, const char *indent) {
    static const struct {
        const char *key, *prefix;
    } groups[] = {{"arguments", ""}, {"in", "in."}, {"sees", "sees "}};
    const struct value *approves = map_in(request, "approves");
    const struct value *node = approves ? value_get(*approves, STR("node")) : NULL;
    if (!node || node->type != VALUE_TEXT) {
        return;
    }
    buf_printf(b, "%sapproves ", indent);
    text_clean(b, value_str(*node));
    buf_append_cstr(b, " with:\n");
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        const struct value *map = map_in(*approves, groups[i].key);
        if (map) {
            put_map(b, *map, groups[i].prefix, indent);
        }
    }
}

/* With several who approve it, the one that the message names. */
struct str approves_from(const struct plan *p, struct engine_error why, struct arena *a) {
    bool approval = str_is(why.type, "approval_changed") || str_is(why.type, "not_approved");
    int64_t node = approval ? plan_node_find(p, why.node) : -1;
    const struct plan_node *ask = NULL;
    for (uint32_t i = 0; node >= 0 && i < p->node_count; i++) {
        if (p->nodes[i].approves != node) {
            continue;
        }
        struct str quoted = arena_printf(a, "\"%.*s\"", STR_ARG(p->nodes[i].name));
        bool named = str_find(why.message, quoted, 0) != SIZE_MAX;
        ask = named || !ask ? &p->nodes[i] : ask;
    }
    return ask ? arena_printf(a, " --from %.*s", STR_ARG(ask->name)) : STR("");
}
