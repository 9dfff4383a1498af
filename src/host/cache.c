/* Results that are used again: looked up before an effect is performed, kept with the commit that
 * records the completion they come from. What is found comes to the engine as the attempt's end.
 *
 * Invariant: whatever goes wrong with a lookup, the effect is performed: a cache saves work and
 * decides nothing. Two executions that look at once may both find nothing and both do it.
 */
#include "base/mutant.h"
#include "host/host_priv.h"

/* What it cost was paid by the step that it comes from. */
static bool is_left_out(struct str key) {
    return str_is(key, "usage") || str_is(key, "lossy") || str_is(key, "cached");
}

static struct value meta_of(const struct store_cached *found, struct value recorded,
                            struct arena *a) {
    struct value_builder meta, from;
    char at[TIME_RFC3339_BYTES];
    value_builder_init(&meta, a);
    value_builder_init(&from, a);
    for (size_t i = 0; recorded.type == VALUE_MAP && i < value_count(recorded); i++) {
        if (!is_left_out(value_str(recorded.pairs[i].key))) {
            value_map_add_value(&meta, recorded.pairs[i].key, recorded.pairs[i].val);
        }
    }
    time_print_rfc3339(found->at, at);
    value_map_add(&from, STR("execution"), value_text(found->execution));
    value_map_add(&from, STR("step"), value_text(found->step));
    value_map_add(&from, STR("at"), value_text(arena_str(a, str_from(at))));
    value_map_add(&meta, STR("cached"), value_map_done(&from));
    return value_map_done(&meta);
}

/* In x's arena; false: there is nothing that could be used. */
static bool find(const struct port *p, struct happened *x) {
    struct run *r = p->run;
    const struct plan_node *n = &r->plan->nodes[p->step.node];
    struct store *s = r->host->options.store;
    struct event_fetch fetch = host_fetch(s);
    struct event ev = {.kind = EVENT_STEP_COMPLETED};
    struct store_cached found;
    struct error ignored;
    wall_us now = host_now(r->host);
    bool ever = MUTANT(use_what_is_over);
    if (store_cache_get(s, flight_cache_key(p->flight), ever ? (wall_us){0} : now, &x->arena,
                        &found, &ignored) ||
        (found.at.us + n->cache.ttl_us <= now.us && !ever) ||
        event_decode(found.event, &fetch, &x->arena, &ev, &ignored)) {
        return false;
    }
    bool known = n->handle_count > 1
                     ? ev.handle.len && plan_handle_find(n, ev.handle) < n->handle_count
                     : !ev.handle.len;
    x->result = (struct step_result){.handle = ev.handle,
                                     .body = ev.body,
                                     .meta = meta_of(&found, ev.meta, &x->arena),
                                     .conversation = ev.content == CONTENT_CONVERSATION,
                                     .cached = true};
    return known && !x->arena.starved;
}

bool cache_find(const struct port *p, struct happened *x) {
    bool fresh = engine_is_fresh(p->run->engine, p->step.node);
    if (fresh || !flight_cache_key(p->flight).len || !find(p, x)) {
        return false;
    }
    x->in.result = &x->result;
    return true;
}

enum err cache_keep(struct run *r, struct store_change *c, struct arena *a, struct error *e) {
    struct store_cached *rows = NULL;
    for (uint32_t i = 0; i < r->out.effect_count; i++) {
        const struct engine_effect *fx = &r->out.effects[i];
        if (fx->type != OUT_KEEP) {
            continue;
        }
        rows = rows ? rows : ARENA_ARRAY(a, r->out.effect_count, struct store_cached);
        if (!rows) {
            return error_nomem(e);
        }
        const struct engine_record *x = &r->out.records[fx->record];
        int64_t ttl_us = r->plan->nodes[fx->step.node].cache.ttl_us;
        rows[c->cached_count++] =
            (struct store_cached){.key = flight_cache_key(fx->flight),
                                  .execution = str_from(r->id),
                                  .step = {r->out.bytes.ptr + x->step_offset, x->step_len},
                                  .at = x->at,
                                  .expires = {x->at.us + ttl_us},
                                  .event = {r->out.bytes.ptr + x->body_offset, x->body_len}};
    }
    c->cached = rows;
    return OK;
}
