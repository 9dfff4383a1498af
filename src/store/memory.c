/* The memory store, writing side: the semantics of store.h without a disk, for tests and the
 * simulator.
 *
 * A commit has two halves: everything that can fail (fences, copies, room in arrays) is prepared
 * first, then applied without a step that can fail. Invariant: a commit that returns an error has
 * changed nothing that anybody can read.
 */
#include <stdlib.h>

#include "store/faults.h"
#include "store/memory_priv.h"

struct str memory_str(struct arena *a, struct str s, bool *full) {
    if (!s.len) {
        return (struct str){"", 0};
    }
    struct str copy = arena_str(a, s);
    *full = *full || !copy.ptr;
    return copy.ptr ? copy : (struct str){"", 0};
}

void memory_row_copy(struct arena *a, const struct store_row *from, struct store_row *to,
                     bool *full) {
    *to = *from;
    to->status = memory_str(a, from->status, full);
    to->error = memory_str(a, from->error, full);
    to->result = memory_str(a, from->result, full);
    to->usage = memory_str(a, from->usage, full);
}

void memory_new_copy(struct arena *a, const struct store_new *from, struct store_new *to,
                     bool *full) {
    *to = *from;
    to->id = memory_str(a, from->id, full);
    to->workflow = memory_str(a, from->workflow, full);
    to->workflow_hash = memory_str(a, from->workflow_hash, full);
    to->entry = memory_str(a, from->entry, full);
    to->key = memory_str(a, from->key, full);
    to->labels = memory_str(a, from->labels, full);
    to->inputs = memory_str(a, from->inputs, full);
    to->parent_step = memory_str(a, from->parent_step, full);
}

void memory_step_copy(struct arena *a, const struct store_step *from, struct store_step *to,
                      bool *full) {
    *to = *from;
    to->step = memory_str(a, from->step, full);
    to->node = memory_str(a, from->node, full);
    to->kind = memory_str(a, from->kind, full);
    to->status = memory_str(a, from->status, full);
    to->dependencies = memory_str(a, from->dependencies, full);
    to->description = memory_str(a, from->description, full);
    to->result = memory_str(a, from->result, full);
    to->error = memory_str(a, from->error, full);
    to->usage = memory_str(a, from->usage, full);
    to->handle = memory_str(a, from->handle, full);
    to->content_type = memory_str(a, from->content_type, full);
    to->meta = memory_str(a, from->meta, full);
    to->index = from->index < 0 ? -1 : from->index;
}

void memory_message_copy(struct arena *a, const struct store_message *from,
                         struct store_message *to, bool *full) {
    *to = *from;
    to->step = memory_str(a, from->step, full);
    to->role = memory_str(a, from->role, full);
    to->content = memory_str(a, from->content, full);
    to->meta = memory_str(a, from->meta, full);
}

void memory_event_copy(struct arena *a, const struct store_event *from, struct store_event *to,
                       bool *full) {
    *to = *from;
    to->step = memory_str(a, from->step, full);
    to->body = memory_str(a, from->body, full);
}

/* Room for `more` items behind count. NULL when out of memory. */
static void *reserve(struct arena *a, void *items, uint32_t count, uint32_t more, uint32_t *cap,
                     size_t item_bytes) {
    if (count + more <= *cap) {
        return items;
    }
    uint32_t larger = *cap * 2 > count + more ? *cap * 2 : count + more + 4;
    void *moved = arena_array(a, larger, item_bytes);
    if (!moved) {
        return NULL;
    }
    if (count) {
        memcpy(moved, items, count * item_bytes);
    }
    *cap = larger;
    return moved;
}

/* In place; without memory the items stay where they are. */
static bool reserve_at(struct arena *a, void *items_at, uint32_t count, uint32_t more,
                       uint32_t *cap, size_t item_bytes) {
    void **items = items_at;
    void *moved = reserve(a, *items, count, more, cap, item_bytes);
    *items = moved ? moved : *items;
    return moved || !more;
}

#define RESERVE(a, items, count, more, cap) \
    reserve_at((a), &(items), (count), (more), (cap), sizeof *(items))

/* --- commit --- */

/* One change, ready to be applied. */
struct prepared {
    struct memory_execution *x; /* NULL: fenced */
    struct store_row row;
    struct store_work work;
    uint32_t id, key; /* entries of a new one, by place: a map that grows moves them */
    struct store_cached **cached;
    bool key_taken;
};

static struct memory_execution *find_num(struct memory_data *d, int64_t num) {
    return num > 0 && num <= d->execution_count ? d->executions[num - 1] : NULL;
}

/* An owner that was found dead has renewed its lease since. On this machine none comes back. */
static bool came_back(const struct memory_data *d, const struct store_change *c) {
    const struct memory_host *h =
        c->dead_host > 0 && c->dead_host <= d->host_count ? &d->hosts[c->dead_host - 1] : NULL;
    return h && h->far && memory_host_alive(d, h);
}

static bool fence_holds(const struct memory_data *d, const struct memory_execution *x,
                        const struct store_change *c) {
    return x && x->x.epoch == c->epoch && x->x.last_seq == c->last_seq &&
           x->x.last_event == c->last_event && !came_back(d, c);
}

#define NO_ENTRY UINT32_MAX

/* The place of a name in a map, made when missing. */
static uint32_t place_of(struct map *m, struct str name, bool *out_full) {
    bool fresh;
    struct map_entry *entry = *out_full ? NULL : map_put(m, name, &fresh);
    *out_full = *out_full || !entry;
    return entry ? (uint32_t)(entry - m->entries) : NO_ENTRY;
}

/* A change of the same batch has taken the id or the key. */
static bool id_taken(const struct prepared *all, const struct prepared *p) {
    for (const struct prepared *q = all; q < p; q++) {
        if (q->x && q->id == p->id) {
            return true;
        }
    }
    return false;
}

static bool key_taken(const struct prepared *all, const struct prepared *p) {
    for (const struct prepared *q = all; q < p; q++) {
        if (q->x && q->key == p->key && p->key != NO_ENTRY) {
            return true;
        }
    }
    return false;
}

static bool parent_was_taken(struct memory_data *d, int64_t parent, uint64_t epoch) {
    const struct memory_execution *x = find_num(d, parent);
    return x && epoch && x->x.epoch != epoch;
}

static enum err prepare_new(struct memory_data *d, const struct prepared *all, struct prepared *p,
                            const struct store_change *c) {
    const struct store_new *n = c->new;
    bool full = false;
    p->id = place_of(&d->ids, memory_str(&d->arena, n->id, &full), &full);
    p->key =
        n->key.len ? place_of(&d->keys, memory_str(&d->arena, n->key, &full), &full) : NO_ENTRY;
    struct memory_execution *x = ARENA_NEW(&d->arena, struct memory_execution);
    if (full || !x) {
        return ERR_NOMEM;
    }
    if (parent_was_taken(d, n->parent, c->parent_epoch)) {
        return OK;
    }
    p->key_taken = p->key != NO_ENTRY && (d->keys.entries[p->key].num || key_taken(all, p));
    if (p->key_taken || d->ids.entries[p->id].num || id_taken(all, p)) {
        return OK;
    }
    memory_new_copy(&d->arena, n, &x->x.fixed, &full);
    p->x = x;
    return full ? ERR_NOMEM : OK;
}

static bool copy_steps(struct memory_data *d, struct memory_execution *x,
                       const struct store_change *c) {
    bool full = false;
    for (uint32_t i = 0; i < c->step_count; i++) {
        memory_step_copy(&d->arena, &c->steps[i], &x->steps[x->step_count + i], &full);
    }
    for (uint32_t i = 0; i < c->message_count; i++) {
        memory_message_copy(&d->arena, &c->messages[i], &x->messages[x->message_count + i], &full);
    }
    for (uint32_t i = 0; i < c->event_count; i++) {
        memory_event_copy(&d->arena, &c->events[i], &x->events[x->event_count + i], &full);
    }
    return !full;
}

static void copy_work(struct arena *a, const struct store_work *from, struct store_work *to,
                      bool *full) {
    to->workflow = memory_str(a, from->workflow, full);
    to->workflow_hash = memory_str(a, from->workflow_hash, full);
    to->entry = memory_str(a, from->entry, full);
    to->inputs = memory_str(a, from->inputs, full);
}

static void apply_work(struct store_new *n, const struct store_work *w) {
    n->workflow = w->workflow;
    n->workflow_hash = w->workflow_hash;
    n->entry = w->entry;
    n->inputs = w->inputs;
}

static enum err prepare(struct memory_data *d, const struct prepared *all, struct prepared *p,
                        const struct store_change *c) {
    struct memory_execution *x = find_num(d, c->num);
    p->id = p->key = NO_ENTRY;
    if (c->num && fence_holds(d, x, c)) {
        p->x = x;
    }
    if (!c->num && prepare_new(d, all, p, c) != OK) {
        return ERR_NOMEM;
    }
    x = p->x;
    if (!x) {
        return OK;
    }
    bool full = false;
    memory_row_copy(&d->arena, &c->row, &p->row, &full);
    if (c->num && c->work) {
        copy_work(&d->arena, c->work, &p->work, &full);
    }
    if (full || !RESERVE(&d->arena, x->events, x->event_count, c->event_count, &x->events_cap) ||
        !RESERVE(&d->arena, x->steps, x->step_count, c->step_count, &x->steps_cap) ||
        !RESERVE(&d->arena, x->messages, x->message_count, c->message_count, &x->messages_cap)) {
        return ERR_NOMEM;
    }
    p->cached = ARENA_ARRAY(&d->arena, c->cached_count + 1, struct store_cached *);
    for (uint32_t i = 0; i < c->cached_count && p->cached; i++) {
        p->cached[i] = memory_cache_copy(d, &c->cached[i]);
        full = full || !p->cached[i];
    }
    return p->cached && !full && copy_steps(d, x, c) ? OK : ERR_NOMEM;
}

/* The rows that prepare() has put behind the others: a step that is there is replaced. */
static void apply_steps(struct memory_execution *x, uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; i++) {
        uint32_t at = 0;
        while (at < x->step_count && !str_eq(x->steps[at].step, x->steps[i].step)) {
            at++;
        }
        x->steps[at] = x->steps[i];
        if (at == x->step_count) {
            x->step_count++;
        }
    }
}

static void apply_details(struct memory_execution *x, const struct store_change *c) {
    uint32_t steps = x->step_count, messages = x->message_count;
    if (c->drop_details) {
        x->step_count = x->message_count = 0;
    }
    for (uint32_t i = 0; i < c->message_count; i++) {
        x->messages[x->message_count++] = x->messages[messages + i];
    }
    apply_steps(x, steps, c->step_count);
}

static void apply(struct memory_data *d, struct prepared *p, struct store_change *c) {
    struct memory_execution *x = p->x;
    c->fenced = !x;
    c->key_taken = p->key_taken;
    if (!x) {
        return;
    }
    if (!c->num) {
        d->executions[d->execution_count++] = x;
        c->num = x->x.num = d->execution_count;
        d->ids.entries[p->id].num = (uint64_t)c->num;
        if (p->key != NO_ENTRY) {
            d->keys.entries[p->key].num = (uint64_t)c->num;
        }
    }
    d->next_event += c->event_count;
    if (c->event_count) {
        c->last_event = x->x.last_event = d->next_event;
    }
    if (c->work && p->work.workflow_hash.ptr) {
        apply_work(&x->x.fixed, &p->work);
    }
    x->x.row = p->row;
    x->x.epoch = c->new_epoch ? c->new_epoch : c->epoch;
    x->x.host = c->host >= 0 ? c->host : x->x.host;
    x->x.last_seq = c->last_seq + c->event_count;
    x->event_count += c->event_count;
    apply_details(x, c);
    for (uint32_t i = 0; i < c->cached_count; i++) {
        memory_cache_apply(d, p->cached[i]);
    }
}

static bool is_fenced(const struct store_batch *b, int64_t num) {
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->changes[i].num == num && b->changes[i].fenced) {
            return true;
        }
    }
    return false;
}

static enum err copy_verdicts(struct memory_data *d, const struct store_batch *b,
                              struct str **out) {
    bool full = false;
    *out = ARENA_ARRAY(&d->arena, b->verdict_count + 1, struct str);
    for (uint32_t i = 0; i < b->verdict_count && *out; i++) {
        (*out)[i] = memory_str(&d->arena, b->verdicts[i].verdict, &full);
    }
    return *out && !full ? OK : ERR_NOMEM;
}

static void apply_verdicts(struct memory_data *d, const struct store_batch *b,
                           const struct str *verdicts) {
    for (uint32_t i = 0; i < b->verdict_count; i++) {
        int64_t id = b->verdicts[i].inbox;
        struct store_inbox *row = id > 0 && id <= d->inbox_count ? &d->inbox[id - 1] : NULL;
        if (row && !row->verdict.ptr && !is_fenced(b, row->execution)) {
            row->verdict = verdicts[i];
        }
    }
}

/* A whole batch of which a change is fenced: nothing of it is recorded. */
static bool is_refused(struct prepared *all, const struct store_batch *b) {
    bool fenced = false;
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t above = b->changes[i].above;
        if (above && !all[above - 1].x) {
            all[i].x = NULL;
        }
        fenced = fenced || !all[i].x;
    }
    for (uint32_t i = 0; i < b->count && b->whole && fenced; i++) {
        all[i].x = NULL;
    }
    return b->whole && fenced;
}

static enum err memory_commit(struct store *s, struct store_batch *b, struct error *e) {
    struct memory_data *d = memory_of(s);
    struct prepared *all = calloc(b->count + 1, sizeof *all);
    struct str *verdicts = NULL;
    enum err status = all ? copy_verdicts(d, b, &verdicts) : ERR_NOMEM;
    for (uint32_t i = 0; i < b->count && status == OK; i++) {
        status = prepare(d, all, &all[i], &b->changes[i]);
    }
    if (status == OK &&
        !RESERVE(&d->arena, d->executions, d->execution_count, b->count, &d->executions_cap)) {
        status = ERR_NOMEM;
    }
    if (status != OK) {
        free(all);
        return error_nomem(e);
    }
    bool refused = is_refused(all, b);
    for (uint32_t i = 0; i < b->count; i++) {
        apply(d, &all[i], &b->changes[i]);
        if (all[i].x) {
            s->stats.events += b->changes[i].event_count;
        }
    }
    if (!refused) {
        apply_verdicts(d, b, verdicts);
        s->stats.commits++;
    }
    free(all);
    return OK;
}

/* --- the other tables --- */

static enum err put_hashed(struct memory_data *d, struct map *m, struct str hash, struct str bytes,
                           struct error *e) {
    if (map_find(m, hash) && map_find(m, hash)->ptr) {
        return OK;
    }
    bool full = false, fresh;
    struct str *kept = ARENA_NEW(&d->arena, struct str);
    struct str key = memory_str(&d->arena, hash, &full);
    struct str copy = memory_str(&d->arena, bytes, &full);
    struct map_entry *entry = kept && !full ? map_put(m, key, &fresh) : NULL;
    if (!entry) {
        return error_nomem(e);
    }
    *kept = copy;
    entry->ptr = kept;
    return OK;
}

static enum err get_hashed(struct map *m, struct str hash, struct arena *a, struct str *out,
                           struct error *e) {
    struct map_entry *entry = map_find(m, hash);
    if (!entry || !entry->ptr) {
        return error_set(e, ERR_NOT_FOUND, "the store has nothing under the hash %.*s",
                         STR_ARG(hash));
    }
    bool full = false;
    struct str copy = memory_str(a, *(const struct str *)entry->ptr, &full);
    if (full) {
        return error_nomem(e);
    }
    *out = copy;
    return OK;
}

static enum err memory_workflow_put(struct store *s, struct str hash, struct str name,
                                    struct str bundle, struct error *e) {
    (void)name;
    return put_hashed(memory_of(s), &memory_of(s)->workflows, hash, bundle, e);
}

static enum err memory_workflow_get(struct store *s, struct str hash, struct arena *a,
                                    struct str *out, struct error *e) {
    return get_hashed(&memory_of(s)->workflows, hash, a, out, e);
}

static enum err memory_blob_put(struct store *s, struct str hash, struct str bytes,
                                struct error *e) {
    return put_hashed(memory_of(s), &memory_of(s)->blobs, hash, bytes, e);
}

static enum err memory_blob_get(struct store *s, struct str hash, struct arena *a, struct str *out,
                                struct error *e) {
    return get_hashed(&memory_of(s)->blobs, hash, a, out, e);
}

static int64_t find_keyed(const struct memory_data *d, const struct store_inbox *row) {
    for (uint32_t i = 0; i < d->inbox_count && row->key.len; i++) {
        if (d->inbox[i].execution == row->execution && str_eq(d->inbox[i].key, row->key)) {
            return d->inbox[i].id;
        }
    }
    return 0;
}

static enum err memory_inbox_add(struct store *s, const struct store_inbox *row, int64_t *out_id,
                                 struct error *e) {
    struct memory_data *d = memory_of(s);
    if (!find_num(d, row->execution)) {
        return store_error_missing((struct store_name){.num = row->execution}, e);
    }
    int64_t known = find_keyed(d, row);
    if (known) {
        *out_id = known;
        return OK;
    }
    bool full = false;
    struct store_inbox copy = {.execution = row->execution, .at = row->at};
    copy.kind = memory_str(&d->arena, row->kind, &full);
    copy.step = memory_str(&d->arena, row->step, &full);
    copy.payload = memory_str(&d->arena, row->payload, &full);
    copy.key = memory_str(&d->arena, row->key, &full);
    if (full || !RESERVE(&d->arena, d->inbox, d->inbox_count, 1, &d->inbox_cap)) {
        return error_nomem(e);
    }
    copy.id = d->inbox_count + 1;
    d->inbox[d->inbox_count++] = copy;
    *out_id = copy.id;
    return OK;
}

static enum err memory_kinds_put(struct store *s, const struct store_kind_name *kinds, size_t count,
                                 struct error *e) {
    (void)s; /* nobody can look into this store from outside */
    (void)kinds;
    (void)count;
    (void)e;
    return OK;
}

static void memory_idle(struct store *s) { (void)s; }

/* --- handles --- */

static void memory_close(struct store *s) {
    struct memory_data *d = memory_of(s);
    struct memory_store *handle = (struct memory_store *)s;
    if (handle->host) {
        d->hosts[handle->host - 1].row.alive = false;
    }
    if (--d->handles == 0) {
        arena_fini(&d->arena);
        free(d);
    }
    free(s);
}

static const struct store_ops ops = {
    .close = memory_close,
    .commit = memory_commit,
    .events = memory_events,
    .get = memory_get,
    .find = memory_find,
    .last = memory_last,
    .list = memory_list,
    .children = memory_children,
    .steps = memory_steps,
    .messages = memory_messages,
    .workflow_put = memory_workflow_put,
    .workflow_get = memory_workflow_get,
    .blob_put = memory_blob_put,
    .blob_get = memory_blob_get,
    .cache_get = memory_cache_get,
    .inbox_add = memory_inbox_add,
    .inbox_open = memory_inbox_open,
    .inbox_get = memory_inbox_get,
    .host_register = memory_host_register,
    .host_renew = memory_host_renew,
    .hosts_sweep = memory_hosts_sweep,
    .host_list = memory_host_list,
    .left_count = memory_left_count,
    .kinds_put = memory_kinds_put,
    .idle = memory_idle,
};

static enum err open_handle(struct memory_data *d, struct store **out, struct error *e) {
    struct memory_store *s = calloc(1, sizeof *s);
    if (!s) {
        return error_nomem(e);
    }
    s->base.ops = &ops;
    s->data = d;
    d->handles++;
    *out = &s->base;
    return OK;
}

enum err store_memory_open(const char *path, bool make, const struct io_clock *clock,
                           struct store **out, struct error *e) {
    (void)make;
    if (*path) {
        return error_set(e, ERR_INVALID, "a memory store has no name: write memory: alone");
    }
    struct memory_data *d = calloc(1, sizeof *d);
    if (!d) {
        return error_nomem(e);
    }
    d->clock = clock;
    arena_init(&d->arena, SIZE_MAX / 2);
    map_init(&d->ids, &d->arena);
    map_init(&d->keys, &d->arena);
    map_init(&d->workflows, &d->arena);
    map_init(&d->blobs, &d->arena);
    map_init(&d->cache, &d->arena);
    enum err status = open_handle(d, out, e);
    if (status != OK) {
        free(d);
    }
    return status;
}

enum err store_memory_attach(struct store *first, struct store **out, struct error *e) {
    ASSERT(first->ops == &ops);
    return open_handle(memory_of(first), out, e);
}

enum err store_memory_attach_far(struct store *first, struct store **out, struct error *e) {
    enum err err = store_memory_attach(first, out, e);
    if (!err) {
        ((struct memory_store *)*out)->far = true;
    }
    return err;
}
