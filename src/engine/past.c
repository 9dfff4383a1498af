/* The past of an execution, as far as one may want to go back to it: where decisions ended, when it
 * was at its end, which moments have a name; and what a target of a rollback means.
 *
 * One byte is kept of each event, also of those that were undone: going back into what a rollback
 * undid takes that rollback back. Decides only on checkpoints; changes nothing else. Implements
 * model.md "Time travel" (targets).
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine_priv.h"

enum { MARK_FOLLOWS = 1, MARK_ENDING = 2, MARK_UNDONE = 4 }; /* by compensate nodes */

static bool is_ending(const struct engine *g, const struct event *ev) {
    switch ((int)ev->kind) {
    case EVENT_EXECUTION_FAILING: return g->ending || ev->mode != 0;
    case EVENT_CANCEL_REQUESTED:
    case EVENT_UNDO_BEGUN:
    case EVENT_FINALLY_BEGUN:
    case EVENT_EXECUTION_COMPLETED:
    case EVENT_EXECUTION_FAILED:
    case EVENT_EXECUTION_CANCELLED: return true;
    case EVENT_EXECUTION_RETRIED:
    case EVENT_EXECUTION_ROLLED_BACK: return false;
    default: return g->ending;
    }
}

enum err past_note(struct engine *g, const struct event *ev, struct error *e) {
    if (ev->seq > g->mark_cap) {
        uint64_t cap = g->mark_cap ? g->mark_cap * 2 : 64;
        uint8_t *more = realloc(g->marks, cap);
        if (!more) {
            return error_nomem(e);
        }
        g->marks = more;
        g->mark_cap = cap;
    }
    g->ending = is_ending(g, ev);
    g->changed_seq = ev->kind == EVENT_WORKFLOW_CHANGED ? ev->seq : g->changed_seq;
    g->marks[ev->seq - 1] =
        (uint8_t)((ev->follows ? MARK_FOLLOWS : 0) | (g->ending ? MARK_ENDING : 0));
    for (uint64_t i = ev->after; ev->kind == EVENT_UNDO_BEGUN && i < ev->seq; i++) {
        g->marks[i] |= MARK_UNDONE;
    }
    return OK;
}

static bool has_mark(const struct engine *g, uint64_t seq, uint8_t mark) {
    return g->marks[seq - 1] & mark;
}

/* The last event of the decision that the event belongs to. */
static uint64_t decision_end(const struct engine *g, uint64_t seq) {
    while (seq < g->seq && has_mark(g, seq + 1, MARK_FOLLOWS)) {
        seq++;
    }
    return seq;
}

/* Why nothing goes back to after that event, the last of its decision; or OK. */
static enum err check_reach(const struct engine *g, uint64_t to, struct error *e) {
    uint64_t last = to;
    while (last > 1 && has_mark(g, last, MARK_ENDING)) {
        last--;
    }
    if (last != to) {
        return error_set(e, ERR_CONFLICT,
                         "after event %llu the execution was at its end; the last event before "
                         "that is %llu",
                         (unsigned long long)to, (unsigned long long)last);
    }
    if (to < g->changed_seq) {
        return error_set(e, ERR_CONFLICT,
                         "event %llu changed the workflow or its inputs, and nothing goes back "
                         "behind that",
                         (unsigned long long)g->changed_seq);
    }
    if (has_mark(g, to, MARK_UNDONE)) {
        return error_set(e, ERR_CONFLICT,
                         "compensate nodes undid what had been done by event %llu: nothing goes "
                         "back to there",
                         (unsigned long long)to);
    }
    return OK;
}

enum err engine_check_target(const struct engine *g, uint64_t seq, struct error *e) {
    ASSERT(seq >= 1 && seq <= g->seq);
    return check_reach(g, decision_end(g, seq), e);
}

/* ---- checkpoints ---- */

enum err past_point(struct engine *g, const struct event *ev, struct error *e) {
    if (g->point_count == g->point_cap) {
        uint32_t cap = g->point_cap ? g->point_cap * 2 : 8;
        struct checkpoint *more = realloc(g->points, cap * sizeof *more);
        if (!more) {
            return error_nomem(e);
        }
        g->points = more;
        g->point_cap = cap;
    }
    struct checkpoint *c = &g->points[g->point_count++];
    *c = (struct checkpoint){.name = arena_str(&g->arena, ev->text),
                             .by = arena_str(&g->arena, ev->reason),
                             .seq = ev->seq,
                             .at = ev->at,
                             .undone = g->undoing};
    return c->name.ptr && c->by.ptr ? OK : error_nomem(e);
}

uint32_t engine_checkpoint_count(const struct engine *g) { return g->point_count; }

const struct checkpoint *engine_checkpoint(const struct engine *g, uint32_t i) {
    ASSERT(i < g->point_count);
    return &g->points[i];
}

enum err engine_checkpoint_node(struct engine *g, uint32_t node, struct error *e) {
    struct event ev = {.kind = EVENT_CHECKPOINT_MADE, .text = g->plan->nodes[node].checkpoint};
    return ev.text.len ? engine_emit(g, &ev, e) : OK;
}

enum err engine_on_checkpoint(struct engine *g, const struct engine_input *in, struct error *e) {
    struct event ev = {.kind = EVENT_CHECKPOINT_MADE, .text = in->target, .reason = in->by};
    const char *why = exec_status_final(g->status) ? "the execution has ended"
                      : g->status == EXEC_PENDING  ? "the execution has not begun"
                      : g->ending                  ? "the execution is winding down"
                      : !str_is_name(in->target)   ? CHECKPOINT_NAME_RULE
                                                   : NULL;
    enum err err = engine_verdict(g, in, why, e);
    return err || why ? err : engine_emit(g, &ev, e);
}

/* ---- targets ---- */

static enum err of_name(const struct engine *g, struct str name, uint64_t *out, struct error *e) {
    char known[300] = "";
    size_t used = 0;
    bool undone = false;
    for (uint32_t i = g->point_count; i > 0; i--) {
        const struct checkpoint *c = &g->points[i - 1];
        if (str_eq(c->name, name) && !c->undone) {
            *out = c->seq;
            return OK;
        }
        undone |= str_eq(c->name, name);
        if (!c->undone && used + c->name.len + 8 < sizeof known) {
            used += (size_t)snprintf(known + used, sizeof known - used, "%s@%.*s", used ? ", " : "",
                                     STR_ARG(c->name));
        }
    }
    return error_set(e, ERR_NOT_FOUND, "there is no checkpoint \"%.*s\"%s; %s%s",
                     STR_ARG(str_sub(name, 0, 100)),
                     undone ? " any more, a rollback went back behind it" : "",
                     used ? "there are: " : "none was made", known);
}

static enum err of_number(const struct engine *g, struct str text, uint64_t *out, struct error *e) {
    uint64_t seq = 0;
    if (!str_to_uint64(text, &seq) || seq == 0 || seq > g->seq) {
        return error_set(e, ERR_INVALID, "there is no event %.*s: the journal has events 1 to %llu",
                         STR_ARG(str_sub(text, 0, 30)), (unsigned long long)g->seq);
    }
    *out = decision_end(g, seq);
    return OK;
}

/* A pure step begins without an event somewhere in a decision: a fold knows in which one. */
uint64_t past_before(const struct engine *g, const struct track *t) {
    bool silent = t->plan->nodes[t->step.node].pure && t->begun_tick;
    return silent ? decision_end(g, t->before) : t->before;
}

/* A step that is named like that is no target; what may be written instead is told. */
static enum err no_target(const struct engine *g, struct str text, struct error *e) {
    struct step_id id, whole;
    char instead[STEP_ID_BYTES];
    if (!step_id_parse(g->plan, text, &id)) {
        return error_set(e, ERR_INVALID,
                         "\"%.*s\" is no target: it is the number of an event, @ and the name of a "
                         "checkpoint, or a node of the workflow (its newest step, or NODE#k)",
                         STR_ARG(str_sub(text, 0, 100)));
    }
    whole = (struct step_id){.node = id.node, .iteration = id.iteration, .index = -1};
    return error_set(
        e, ERR_INVALID, "\"%.*s\" is no target: %s; write %.*s, or the number of an event",
        STR_ARG(str_sub(text, 0, 100)),
        id.index >= 0 ? "nothing goes back before one item of a foreach alone"
                      : "of a node's steps the newest is meant, of whatever generation",
        STR_ARG(step_id_print(g->plan, whole, instead)));
}

/* Before the newest begin of the node, or of its iteration k, that still counts. */
static enum err of_node(const struct engine *g, struct str text, uint64_t *out, struct error *e) {
    size_t at = 0;
    while (at < text.len && text.ptr[at] != '#') {
        at++;
    }
    int64_t node = plan_node_find(g->plan, str_sub(text, 0, at));
    uint64_t iteration = 0;
    bool numbered = at < text.len;
    if (node < 0 || (numbered && !str_to_uint64(str_sub(text, at + 1, text.len), &iteration))) {
        return no_target(g, text, e);
    }
    for (uint32_t i = g->track_count; i > 0; i--) {
        const struct track *t = &g->track[i - 1].t;
        bool meant = t->step.index < 0 && !t->undone &&
                     str_eq(t->plan->nodes[t->step.node].name, g->plan->nodes[node].name);
        if (meant && (!numbered || t->step.iteration == iteration)) {
            *out = past_before(g, t);
            return OK;
        }
    }
    return error_set(e, ERR_NOT_FOUND,
                     "step \"%.*s\" has not begun: there is nothing to go back to",
                     STR_ARG(str_sub(text, 0, 100)));
}

enum err engine_may_rollback(const struct engine *g, struct str target, uint64_t *out_to,
                             struct error *e) {
    uint64_t to = 0;
    if (g->status == EXEC_PENDING) {
        return error_set(e, ERR_CONFLICT, "the execution has not begun");
    }
    bool digits = target.len > 0;
    for (size_t i = 0; i < target.len; i++) {
        digits &= target.ptr[i] >= '0' && target.ptr[i] <= '9';
    }
    enum err err = digits ? of_number(g, target, &to, e)
                   : target.len && target.ptr[0] == '@'
                       ? of_name(g, str_sub(target, 1, target.len), &to, e)
                       : of_node(g, target, &to, e);
    if (err) {
        return err;
    }
    err = check_reach(g, to, e);
    if (err) {
        return err;
    }
    if (g->phase == PHASE_UNDO && !exec_status_final(g->status)) {
        return error_set(e, ERR_CONFLICT, "what completed is being undone; cancel or wait for it");
    }
    *out_to = to;
    return OK;
}
