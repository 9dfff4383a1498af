/* What a step may know of what was said before it: calls of steps that had completed when it was
 * scheduled, but not what such a step itself put aside. Ends and beginnings of steps are numbered
 * by the fold, so every attempt and every later owner is told the same, whatever was said
 * meanwhile.
 */
#include "host/host_priv.h"

static bool is_of(const struct call *c, struct str agent) {
    const struct value *name = value_get(c->request, STR("agent"));
    return name && name->type == VALUE_TEXT && (!agent.len || str_eq(value_str(*name), agent));
}

static bool was_said(const struct engine *g, const struct call *c, const struct track *before) {
    const struct track *t = engine_track(g, c->track);
    return !value_is_null(c->answer) && !c->forgotten && !t->undone &&
           t->status == STEP_COMPLETED && !t->more->error_type.len &&
           t->ended_tick < before->begun_tick;
}

/* Where the last at_most of them begin; *out_count is how many there are. */
static uint32_t first_call(const struct engine *g, const struct track *before, struct str agent,
                           uint32_t at_most, uint32_t *out_count) {
    uint32_t at = engine_call_count(g), found = 0;
    while (at > 0 && (!at_most || found < at_most)) {
        const struct call *c = engine_call(g, --at);
        found += is_of(c, agent) && was_said(g, c, before);
    }
    *out_count = found;
    return at;
}

static void add(struct value_builder *list, const struct call *c) {
    struct value request, answer;
    struct value_builder b;
    value_builder_init(&b, list->arena);
    list->ok &= value_copy(list->arena, c->request, &request) &&
                value_copy(list->arena, c->answer, &answer);
    if (list->ok) {
        value_map_add(&b, STR("request"), request);
        value_map_add(&b, STR("answer"), answer);
        value_list_add(list, value_map_done(&b));
        list->ok &= b.ok;
    }
}

enum err port_history(struct step_port *sp, struct str agent, uint32_t at_most, struct value *out) {
    struct port *p = (struct port *)(void *)sp;
    struct engine *g = p->run->engine;
    const struct track *mine = g ? engine_track_find(g, p->step) : NULL;
    uint32_t count = 0;
    struct value_builder list;
    value_builder_init(&list, sp->in->arena);
    uint32_t at = mine ? first_call(g, mine, agent, at_most, &count) : 0;
    for (; count > 0 && list.ok; at++) {
        const struct call *c = engine_call(g, at);
        if (is_of(c, agent) && was_said(g, c, mine)) {
            add(&list, c);
            count--;
        }
    }
    *out = value_list_done(&list);
    return list.ok ? OK : ERR_NOMEM;
}
