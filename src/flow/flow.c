/* flow_compile: one session around the entry workflow. Sets up memory, file names and caches, runs
 * the unit, and decides what becomes of the plan.
 *
 * On failure nothing is left of the plan: findings are in the caller's arena by then, file names in
 * their marks included.
 */
#include <stdlib.h>

#include "flow/flow_priv.h"

static void session_fini(struct session *s) { arena_fini(&s->scratch); }

/* "examples/flow.yaml" shown for "flow.yaml" means other files are shown under "examples/". */
static struct str display_prefix(const struct flow_source *source, struct str path) {
    struct str shown = str_from(source->display);
    return shown.len > path.len && str_ends(shown, path) ? str_sub(shown, 0, shown.len - path.len)
                                                         : STR("");
}

static bool session_init(struct session *s, const struct flow_source *source, struct unit *u,
                         struct plan *plan) {
    arena_init(&s->scratch, 0);
    map_init(&s->texts, &s->scratch);
    map_init(&s->children, &s->scratch);
    if (!flow_unit_init(u, s, plan, source->entry)) {
        return false;
    }
    s->display_prefix = display_prefix(source, u->path);
    if (source->display) {
        u->file = flow_keep_str(s, str_from(source->display)).ptr;
    } else {
        u->file = flow_file_display(s, u->path);
    }
    return !s->nomem;
}

/* Marks point to names in the plan's arena; findings must outlive it. */
static bool keep_marks(struct diag *d, uint32_t from) {
    struct map names;
    map_init(&names, d->arena);
    for (uint32_t i = from; i < d->count; i++) {
        struct str file = str_from(d->items[i].mark.file);
        if (!file.len) {
            continue;
        }
        struct map_entry *known = map_find(&names, file);
        if (!known) {
            bool is_new;
            struct str kept = arena_str(d->arena, file);
            known = kept.ptr ? map_put(&names, kept, &is_new) : NULL;
        }
        d->items[i].mark.file = known ? known->key.ptr : NULL;
        if (!known) {
            return false;
        }
    }
    return true;
}

/* The entry is read before anything else: that it is not there is an error of its own. */
static enum err read_entry(struct unit *u, struct error *e) {
    struct session *s = u->s;
    struct str text = {0};
    struct error why = {0};
    enum err err = s->source->loader.read(s->source->loader.ctx, u->path, s->keep, &text, &why);
    bool is_new;
    if (err) {
        if (e) {
            *e = why;
        }
        return err;
    }
    struct plan_file *file = KEEP(s, 1, struct plan_file);
    struct map_entry *entry = file ? map_put(&s->texts, u->path, &is_new) : NULL;
    if (!entry) {
        return error_nomem(e);
    }
    *file = (struct plan_file){u->path, text};
    entry->ptr = file;
    return OK;
}

static enum err compile_entry(struct session *s, struct unit *u, struct error *e) {
    struct diag *d = s->diag;
    uint32_t errors = d->errors, items = d->count;
    enum err err = read_entry(u, e);
    if (err) {
        return err;
    }
    bool done = flow_unit_compile(u, (struct mark){u->file, 0, 0});
    /* Kinds and their parts do not note each lack of memory: what they made then is not to be
     * believed, findings included. */
    if (!keep_marks(d, items) || s->nomem || s->keep->starved || s->scratch.starved ||
        d->arena->starved) {
        return error_nomem(e);
    }
    diag_sort(d);
    if (!done || d->errors != errors) {
        return error_set(e, ERR_INVALID, "the workflow %s has %u error%s", u->file,
                         d->errors - errors, d->errors - errors == 1 ? "" : "s");
    }
    return OK;
}

enum err flow_compile(const struct flow_source *source, struct plan **out, struct diag *diag,
                      struct error *e) {
    struct unit u;
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        return error_nomem(e);
    }
    arena_init(&plan->arena, 0);
    struct session s = {.source = source, .diag = diag, .keep = &plan->arena};
    enum err err = session_init(&s, source, &u, plan) ? compile_entry(&s, &u, e) : error_nomem(e);
    session_fini(&s);
    if (err) {
        plan_free(plan);
        return err;
    }
    *out = plan;
    return OK;
}

const struct diag_item *flow_first_finding(const struct diag *d) {
    const struct diag_item *best = NULL;
    for (uint32_t i = 0; i < d->count; i++) {
        const struct diag_item *item = &d->items[i];
        if (item->severity != DIAG_ERROR) {
            continue;
        }
        bool better = item->rank && (!best || !best->rank || item->rank < best->rank);
        if (better || !best) {
            best = item;
        }
    }
    return best;
}
