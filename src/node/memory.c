/* The memory of an agent: what was said before in this execution, as messages of a conversation.
 *
 * The host knows which calls those are, and tells every attempt the same. Its own exchanges an
 * agent sees as they were; what others were asked and answered it is told, with their names.
 */
#include "flow/plan.h"
#include "node/node_priv.h"

static struct str text_of(struct value call, const char *part, const char *key) {
    const struct value *map = value_get(call, str_from(part));
    const struct value *v = map ? value_get(*map, str_from(key)) : NULL;
    return v && v->type == VALUE_TEXT ? value_str(*v) : STR("");
}

static void add_exchange(struct value call, const struct plan_agent *agent, struct arena *a,
                         struct llm_message out[2]) {
    struct str who = text_of(call, "request", "agent");
    out[0] = (struct llm_message){.text = text_of(call, "request", "content")};
    out[1] = (struct llm_message){.from_model = true, .text = text_of(call, "answer", "content")};
    if (!str_eq(who, agent->name)) {
        out[0].text = arena_printf(a, "To %.*s: %.*s", STR_ARG(who), STR_ARG(out[0].text));
        out[1].text = arena_printf(a, "%.*s: %.*s", STR_ARG(who), STR_ARG(out[1].text));
        out[1].from_model = false;
    }
}

enum err node_memory_read(struct step_port *port, const struct plan_agent *agent,
                          const struct llm_message **out, size_t *out_count, struct error *e) {
    struct arena *a = port->in->arena;
    struct value calls;
    *out = NULL;
    *out_count = 0;
    if (agent->keep == MEMORY_NONE) {
        return OK;
    }
    struct str whose = agent->keep == MEMORY_OWN ? agent->name : STR("");
    uint32_t at_most = agent->at_most / 2 + agent->at_most % 2; /* a call is two messages */
    if (port->ops->history(port, whose, at_most, &calls)) {
        return error_nomem(e);
    }
    size_t count = value_count(calls);
    struct llm_message *messages = ARENA_ARRAY(a, count * 2 + 1, struct llm_message);
    for (size_t i = 0; messages && i < count; i++) {
        add_exchange(calls.items[i], agent, a, &messages[2 * i]);
        if (!messages[2 * i].text.ptr || !messages[2 * i + 1].text.ptr) {
            return error_nomem(e);
        }
    }
    if (!messages) {
        return error_nomem(e);
    }
    size_t left_out = agent->at_most && 2 * count > agent->at_most ? 2 * count - agent->at_most : 0;
    *out = messages + left_out;
    *out_count = 2 * count - left_out;
    return OK;
}
