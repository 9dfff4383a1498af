/* Auxiliary nodes that stand in for a step: its fallback when it failed for good, its on_timeout
 * when nobody answered in time. Each run of one is its next iteration.
 *
 * Invariant: while such a node runs, its subject is running and aided: it performs nothing, holds
 * no slot and is not begun again by a new owner. It ends with the final event of its auxiliary
 * node, in the same decision.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine_priv.h"

struct step_id aux_next_run(const struct engine *g, uint32_t node) {
    const struct node_state *n = &g->nodes[node];
    uint32_t iteration = n->iteration + n->called;
    uint32_t floor = generation_floor(n, iteration);
    return (struct step_id){node, iteration, -1, n->generation > floor ? n->generation : floor};
}

enum err engine_aid(struct engine *g, struct step_id step, uint32_t attempt, enum node_role role,
                    const struct step_failure *f, struct error *e) {
    char text[STEP_ID_BYTES];
    struct step_id run = aux_next_run(g, (uint32_t)g->plan->nodes[step.node].aux[role]);
    struct event ev = event_of_step(EVENT_STEP_AIDED, step);
    ev.aux = step_id_print(g->plan, run, text);
    ev.role = role;
    ev.attempt = attempt;
    ev.error_type = f->type;
    ev.message = f->message;
    ev.meta = f->meta; /* what it used was paid for */
    return engine_emit(g, &ev, e);
}

/* ---- the end of an auxiliary node is that of its subject ---- */

/* By which exit the subject leaves with this body: one that it names, else the plain one. */
static struct str handle_of(const struct plan_node *p, struct value body) {
    struct str name = STR("");
    if (!plan_node_decides(p)) {
        return name;
    }
    if (body.type == VALUE_TEXT) {
        name = value_str(body);
    } else if (body.type == VALUE_BOOL) {
        name = body.boolean ? STR("true") : STR("false");
    }
    bool known = plan_handle_find(p, name) < p->handle_count;
    return known ? name : plan_node_any_exit(p) ? STR("") : STR("out");
}

/* What the subject makes of the body: an answer where it waited for one. */
static enum err take_body(struct engine *g, uint32_t node, struct step_result *out,
                          struct error *why) {
    const struct plan_node *aux = &g->plan->nodes[node];
    const struct plan_node *p = &g->plan->nodes[aux->owner];
    struct node_state *n = &g->nodes[aux->owner];
    out->body = g->nodes[node].body.v;
    if (aux->role == ROLE_FALLBACK) {
        out->handle = handle_of(p, out->body);
        return out->handle.len || !plan_node_decides(p)
                   ? OK
                   : error_set(why, ERR_INVALID, "the body names no exit of \"%.*s\"",
                               STR_ARG(p->name));
    }
    bool told = !plan_node_waits(aux) || g->nodes[node].status == STEP_SKIPPED;
    if (told && p->has_timeout_edge) {
        out->handle = STR("timeout");
        return OK;
    }
    struct step_wake wake = {.answered = true, .answer = out->body, .aided = true};
    out->arena = flight_arena(n->flight);
    enum err err = flight_made(n->flight, p->kind->woken(flight_in(n->flight), &wake, out, why));
    return err;
}

static enum err aid_meta(struct engine *g, uint32_t node, struct value *out, struct error *e) {
    const struct node_state *aux = &g->nodes[node];
    const struct value *by = value_get(node_more(aux)->meta.v, STR("answeredBy"));
    bool timed_out = g->plan->nodes[node].role == ROLE_ON_TIMEOUT;
    struct step_id run = {node, aux->iteration, -1, aux->generation};
    struct value_builder b;
    char text[STEP_ID_BYTES];
    struct str id = arena_str(&g->scratch, step_id_print(g->plan, run, text));
    value_builder_init(&b, &g->scratch);
    value_map_add(&b, timed_out ? STR("escalatedTo") : STR("fallback"), value_text(id));
    if (timed_out) {
        value_map_add(&b, STR("timedOut"), value_bool(true));
    }
    if (timed_out && by) {
        value_map_add(&b, STR("answeredBy"), *by);
    }
    value_map_add(&b, STR("error"), node_more(aux)->subject->error.v);
    *out = value_map_done(&b);
    return b.ok && id.ptr ? OK : error_nomem(e);
}

/* The failure of the auxiliary node, or what was wrong with its body, is the subject's. */
static enum err fail_subject(struct engine *g, uint32_t node, struct str type, struct str message,
                             struct error *e) {
    const struct plan_node *aux = &g->plan->nodes[node];
    const struct subject *s = node_more(&g->nodes[node])->subject;
    char text[ERROR_MESSAGE_BYTES];
    struct str first = str_sub(engine_text_in(s->error.v, "message"), 0, 300);
    int n = snprintf(text, sizeof text, "%.*s (%s \"%.*s\", after %.*s: %.*s)",
                     STR_ARG(str_sub(message, 0, 500)), plan_role_name(aux->role),
                     STR_ARG(str_sub(aux->name, 0, 60)),
                     STR_ARG(str_sub(engine_text_in(s->error.v, "type"), 0, 60)), STR_ARG(first));
    struct step_failure f = {
        .class = FAILURE_PERMANENT, .type = type, .message = {text, (size_t)n}};
    return engine_attempts_over(g, s->step, g->nodes[s->step.node].attempt, &f, e);
}

static enum err refuse_body(struct engine *g, uint32_t node, const char *type, const char *text,
                            struct error *e) {
    return fail_subject(g, node, str_from(type), str_from(text), e);
}

static enum err complete_subject(struct engine *g, uint32_t node, struct error *e) {
    const struct subject *s = node_more(&g->nodes[node])->subject;
    struct step_id step = s->step;
    const struct held *error = &s->error;
    bool failed = g->plan->nodes[node].role == ROLE_FALLBACK;
    struct event ev = event_of_step(EVENT_STEP_COMPLETED, step);
    struct step_result r = {0};
    struct error why = {0};
    const char *wrong = NULL;
    char text[ERROR_MESSAGE_BYTES];
    enum err err = take_body(g, node, &r, &why);
    if (err) {
        return err == ERR_NOMEM ? error_nomem(e)
                                : refuse_body(g, node, err_name(err), why.message, e);
    }
    err = engine_check_result(g, step, &r, &wrong, text, e);
    if (err || text[0]) {
        return err ? err : refuse_body(g, node, wrong, text, e);
    }
    arena_reset(&g->scratch);
    err = vars_eval(g, step, r.body, &ev.set, &why);
    if (err) {
        return err == ERR_NOMEM ? error_nomem(e)
                                : refuse_body(g, node, err_name(err), why.message, e);
    }
    ev.attempt = g->nodes[step.node].attempt;
    ev.handle = g->plan->nodes[step.node].handle_count > 1 ? r.handle : STR("");
    ev.body = r.body;
    ev.error_type = failed ? engine_text_in(error->v, "type") : STR("");
    ev.message = failed ? engine_text_in(error->v, "message") : STR("");
    err = aid_meta(g, node, &ev.meta, e);
    struct flight *held = g->nodes[step.node].flight; /* the body may lie in it */
    held = held ? flight_ref(held) : NULL;
    err = err ? err : engine_emit_end(g, &ev, e);
    flight_unref(held);
    return err;
}

static enum err subject_ends(struct engine *g, uint32_t node, struct error *e) {
    const struct node_state *aux = &g->nodes[node];
    const struct subject *s = node_more(aux)->subject;
    struct event cancelled = event_of_step(EVENT_STEP_CANCELLED, s->step);
    struct str type = engine_text_in(s->error.v, "type");
    struct str message = engine_text_in(s->error.v, "message");
    struct step_failure as_before = {.class = FAILURE_PERMANENT, .type = type, .message = message};
    bool exit = g->plan->nodes[node].role == ROLE_ON_TIMEOUT &&
                g->plan->nodes[s->step.node].has_timeout_edge;
    if (aux->status == STEP_COMPLETED || (aux->status == STEP_SKIPPED && exit)) {
        return complete_subject(g, node, e);
    }
    if (aux->status == STEP_SKIPPED) {
        return engine_attempts_over(g, s->step, g->nodes[s->step.node].attempt, &as_before, e);
    }
    if (aux->status == STEP_CANCELLED) {
        return engine_emit_end(g, &cancelled, e);
    }
    struct value error = node_more(aux)->error.v;
    return fail_subject(g, node, engine_text_in(error, "type"), engine_text_in(error, "message"),
                        e);
}

enum err engine_aux_ended(struct engine *g, uint32_t node, struct error *e) {
    const struct plan_node *p = &g->plan->nodes[node];
    bool stands_in = p->role == ROLE_FALLBACK || p->role == ROLE_ON_TIMEOUT;
    if (p->role == ROLE_COMPENSATE) {
        return undo_failed(g, node, e);
    }
    if (!stands_in || g->nodes[p->owner].aided != p->role) {
        return OK; /* the subject was cancelled first */
    }
    return subject_ends(g, node, e);
}

/* ---- the fold ---- */

void subject_free(struct subject *s) {
    if (s) {
        held_clear(&s->body);
        held_clear(&s->error);
        held_clear(&s->inputs);
        free(s);
    }
}

enum err aux_begin(struct engine *g, struct step_id run, struct subject *s, struct error *e) {
    struct node_state *n = &g->nodes[run.node];
    if (!node_more_make(g, n)) {
        subject_free(s);
        return error_nomem(e);
    }
    if (!step_id_same(run, aux_next_run(g, run.node)) || !step_status_final(n->status)) {
        subject_free(s);
        return error_set(e, ERR_CORRUPT, "a node is called under another step than its next");
    }
    edges_rearm_node(g, run.node);
    n->iteration = run.iteration;
    n->generation = run.generation;
    g->uncalled -= !n->called;
    n->called = true;
    subject_free(n->more->subject);
    n->more->subject = s;
    return engine_mark_dirty(g, run.node, e);
}

/* The step stops doing anything itself; what it was given stays with it. */
static enum err begin_aid(struct engine *g, const struct event *ev, struct subject *s,
                          struct error *e) {
    struct node_state *n = &g->nodes[ev->step.node];
    enum err err = engine_note_failure(g, ev, e);
    s->error = held_share(&node_more(n)->error);
    if (!err && n->attempt > 0 && n->flight) {
        err = flight_given(n->flight, &s->inputs, e);
    }
    if (n->status == STEP_RUNNING && !n->each && !n->aided) {
        engine_release_slot(g, &g->plan->nodes[ev->step.node]);
    }
    if (!err && n->status == STEP_PENDING) {
        err = track_begin(g, ev->step, &n->track, e);
    }
    n->ready = n->armed = n->retry_due = false;
    engine_set_status(g, ev->step.node, STEP_RUNNING);
    engine_set_aided(g, ev->step.node, (enum node_role)ev->role);
    return err ? err : track_aid(g, ev, e);
}

enum err aid_apply(struct engine *g, const struct event *ev, struct error *e) {
    struct step_id run;
    bool undoes = ev->role == ROLE_COMPENSATE;
    bool known = ev->role > ROLE_NONE && ev->role <= ROLE_COMPENSATE &&
                 step_id_parse(g->plan, ev->aux, &run) &&
                 g->plan->nodes[ev->step.node].aux[ev->role] == (int32_t)run.node;
    if (known && undoes) {
        return undo_call_apply(g, ev, run, e);
    }
    if (!known || ev->step.index >= 0 || step_status_final(g->nodes[ev->step.node].status)) {
        return error_set(e, ERR_CORRUPT, "event %llu calls a node that has no such role",
                         (unsigned long long)ev->seq);
    }
    struct subject *s = calloc(1, sizeof *s);
    if (!s) {
        return error_nomem(e);
    }
    char text[STEP_ID_BYTES];
    s->step = ev->step;
    s->id = arena_str(&g->arena, step_id_print(g->plan, ev->step, text));
    enum err err = s->id.ptr ? begin_aid(g, ev, s, e) : error_nomem(e);
    if (err) {
        subject_free(s);
        return err;
    }
    return aux_begin(g, run, s, e);
}
