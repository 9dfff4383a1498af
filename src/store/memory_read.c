/* The memory store, reading side. What is returned is copied into the caller's arena, as every
 * store does, so that a test finds a slice that outlives its arena.
 */
#include <stdlib.h>

#include "store/memory_priv.h"

static bool owner_alive(const struct memory_data *d, int64_t host) {
    return host > 0 && host <= d->host_count && memory_host_alive(d, &d->hosts[host - 1]);
}

static void copy_execution(const struct memory_data *d, const struct store_execution *from,
                           struct arena *a, struct store_execution *to, bool *full) {
    *to = *from;
    memory_new_copy(a, &from->fixed, &to->fixed, full);
    memory_row_copy(a, &from->row, &to->row, full);
    to->owner_alive = owner_alive(d, from->host);
}

static struct memory_execution *find_name(struct memory_data *d, struct store_name name) {
    int64_t num = name.num;
    if (!num) {
        struct map_entry *entry =
            name.id.len ? map_find(&d->ids, name.id) : map_find(&d->keys, name.key);
        num = entry ? (int64_t)entry->num : 0;
    }
    return num > 0 && num <= d->execution_count ? d->executions[num - 1] : NULL;
}

enum err memory_get(struct store *s, struct store_name name, struct arena *a,
                    struct store_execution *out, struct error *e) {
    struct memory_execution *x = find_name(memory_of(s), name);
    if (!x) {
        return store_error_missing(name, e);
    }
    bool full = false;
    struct store_execution copy;
    copy_execution(memory_of(s), &x->x, a, &copy, &full);
    if (full) {
        return error_nomem(e);
    }
    *out = copy;
    return OK;
}

enum err memory_events(struct store *s, struct store_range r, struct arena *a,
                       struct store_events *out, struct error *e) {
    struct store_name name = {.num = r.num};
    struct memory_execution *x = find_name(memory_of(s), name);
    if (!x) {
        return store_error_missing(name, e);
    }
    uint64_t to = r.to < x->event_count ? r.to : x->event_count;
    struct store_events rows = {0};
    bool full = false;
    if (to > r.from) {
        rows.items = ARENA_ARRAY(a, to - r.from, struct store_event);
        full = !rows.items;
    }
    for (uint64_t seq = r.from + 1; seq <= to && !full; seq++) {
        memory_event_copy(a, &x->events[seq - 1], &rows.items[rows.count++], &full);
    }
    if (full) {
        return error_nomem(e);
    }
    *out = rows;
    return OK;
}

/* --- finding and listing: a sorted array of all that fit --- */

struct found {
    const struct store_execution **items;
    uint32_t count;
};

static enum err found_alloc(const struct memory_data *d, struct found *out) {
    *out = (struct found){calloc(d->execution_count + 1, sizeof *out->items), 0};
    return out->items ? OK : ERR_NOMEM;
}

static int by_id(const void *a, const void *b) {
    const struct store_execution *x = *(const struct store_execution *const *)a;
    const struct store_execution *y = *(const struct store_execution *const *)b;
    return str_cmp(x->fixed.id, y->fixed.id);
}

static int newest_first(const void *a, const void *b) {
    const struct store_execution *x = *(const struct store_execution *const *)a;
    const struct store_execution *y = *(const struct store_execution *const *)b;
    if (x->fixed.created.us != y->fixed.created.us) {
        return x->fixed.created.us < y->fixed.created.us ? 1 : -1;
    }
    return x->num < y->num ? 1 : -1;
}

static enum err take_ids(struct found *f, uint32_t most, struct arena *a, struct str *out_ids,
                         uint32_t *out_count, struct error *e) {
    bool full = false;
    uint32_t count = f->count < most ? f->count : most;
    for (uint32_t i = 0; i < count; i++) {
        out_ids[i] = memory_str(a, f->items[i]->fixed.id, &full);
    }
    free(f->items);
    if (full) {
        return error_nomem(e);
    }
    *out_count = count;
    return OK;
}

enum err memory_find(struct store *s, struct str prefix, struct arena *a, struct str *out_ids,
                     uint32_t *out_count, struct error *e) {
    struct memory_data *d = memory_of(s);
    struct found f;
    if (found_alloc(d, &f) != OK) {
        return error_nomem(e);
    }
    for (uint32_t i = 0; i < d->execution_count; i++) {
        if (str_starts(d->executions[i]->x.fixed.id, prefix)) {
            f.items[f.count++] = &d->executions[i]->x;
        }
    }
    qsort(f.items, f.count, sizeof *f.items, by_id);
    return take_ids(&f, STORE_FIND_MAX, a, out_ids, out_count, e);
}

enum err memory_last(struct store *s, struct arena *a, struct str *out_ids, uint32_t *out_count,
                     struct error *e) {
    struct memory_data *d = memory_of(s);
    struct found f;
    if (found_alloc(d, &f) != OK) {
        return error_nomem(e);
    }
    for (uint32_t i = 0; i < d->execution_count; i++) {
        if (!d->executions[i]->x.fixed.parent) {
            f.items[f.count++] = &d->executions[i]->x;
        }
    }
    qsort(f.items, f.count, sizeof *f.items, newest_first);
    return take_ids(&f, 1, a, out_ids, out_count, e);
}

static bool fits(const struct store_execution *x, const struct store_filter *f,
                 const struct store_execution *after) {
    if (f->status.len && !str_eq(x->row.status, f->status)) {
        return false;
    }
    if (f->workflow.len && !str_eq(x->fixed.workflow, f->workflow)) {
        return false;
    }
    if (f->label_key.len && !store_label_has(x->fixed.labels, f->label_key, f->label_value)) {
        return false;
    }
    return !after || newest_first(&after, &x) < 0;
}

enum err memory_list(struct store *s, const struct store_filter *filter, struct arena *a,
                     struct store_executions *out, struct error *e) {
    struct memory_data *d = memory_of(s);
    struct store_name name = {.id = filter->after};
    struct memory_execution *after = filter->after.len ? find_name(d, name) : NULL;
    if (filter->after.len && !after) {
        return store_error_missing(name, e);
    }
    struct found f;
    if (found_alloc(d, &f) != OK) {
        return error_nomem(e);
    }
    for (uint32_t i = 0; i < d->execution_count; i++) {
        const struct store_execution *x = &d->executions[i]->x;
        if ((!after || after != d->executions[i]) && fits(x, filter, after ? &after->x : NULL)) {
            f.items[f.count++] = x;
        }
    }
    qsort(f.items, f.count, sizeof *f.items, newest_first);
    uint32_t count = f.count < filter->limit ? f.count : filter->limit;
    struct store_executions rows = {.items = ARENA_ARRAY(a, count + 1, struct store_execution)};
    bool full = !rows.items;
    for (; rows.count < count && !full; rows.count++) {
        copy_execution(d, f.items[rows.count], a, &rows.items[rows.count], &full);
    }
    free(f.items);
    if (full) {
        return error_nomem(e);
    }
    *out = rows;
    return OK;
}

enum err memory_children(struct store *s, struct store_children of, struct arena *a,
                         struct store_executions *out, struct error *e) {
    struct memory_data *d = memory_of(s);
    struct store_executions rows = {0};
    uint32_t cap = 0;
    bool full = false;
    for (uint32_t i = 0; i < d->execution_count && !full; i++) {
        const struct store_execution *x = &d->executions[i]->x;
        if (x->fixed.parent != of.num || (of.unended && x->row.completed.us)) {
            continue;
        }
        rows.items = store_array_grow(a, rows.items, rows.count, &cap, sizeof *rows.items);
        full = !rows.items;
        if (!full) {
            copy_execution(d, x, a, &rows.items[rows.count++], &full);
        }
    }
    if (full) {
        return error_nomem(e);
    }
    *out = rows;
    return OK;
}

/* --- steps, messages, inbox --- */

enum err memory_steps(struct store *s, int64_t num, struct arena *a, struct store_steps *out,
                      struct error *e) {
    struct memory_execution *x = find_name(memory_of(s), (struct store_name){.num = num});
    uint32_t count = x ? x->step_count : 0;
    struct store_steps rows = {.items = ARENA_ARRAY(a, count + 1, struct store_step)};
    bool full = !rows.items;
    for (; rows.count < count && !full; rows.count++) {
        memory_step_copy(a, &x->steps[rows.count], &rows.items[rows.count], &full);
    }
    if (full) {
        return error_nomem(e);
    }
    *out = rows;
    return OK;
}

enum err memory_messages(struct store *s, int64_t num, struct arena *a, struct store_messages *out,
                         struct error *e) {
    struct memory_execution *x = find_name(memory_of(s), (struct store_name){.num = num});
    uint32_t count = x ? x->message_count : 0;
    struct store_messages rows = {.items = ARENA_ARRAY(a, count + 1, struct store_message)};
    bool full = !rows.items;
    for (; rows.count < count && !full; rows.count++) {
        memory_message_copy(a, &x->messages[rows.count], &rows.items[rows.count], &full);
    }
    if (full) {
        return error_nomem(e);
    }
    *out = rows;
    return OK;
}

static void copy_inbox(struct arena *a, const struct store_inbox *from, struct store_inbox *to,
                       bool *full) {
    *to = *from;
    to->kind = memory_str(a, from->kind, full);
    to->step = memory_str(a, from->step, full);
    to->payload = memory_str(a, from->payload, full);
    to->key = memory_str(a, from->key, full);
    to->verdict = from->verdict.ptr ? memory_str(a, from->verdict, full) : (struct str){0};
}

enum err memory_inbox_open(struct store *s, int64_t execution, struct arena *a,
                           struct store_inbox_rows *out, struct error *e) {
    struct memory_data *d = memory_of(s);
    struct store_inbox_rows rows = {0};
    uint32_t cap = 0;
    bool full = false;
    for (uint32_t i = 0; i < d->inbox_count && !full; i++) {
        const struct store_inbox *row = &d->inbox[i];
        if (row->verdict.ptr || (execution && row->execution != execution)) {
            continue;
        }
        rows.items = store_array_grow(a, rows.items, rows.count, &cap, sizeof *rows.items);
        full = !rows.items;
        if (!full) {
            copy_inbox(a, row, &rows.items[rows.count++], &full);
        }
    }
    if (full) {
        return error_nomem(e);
    }
    *out = rows;
    return OK;
}

enum err memory_inbox_get(struct store *s, int64_t id, struct arena *a, struct store_inbox *out,
                          struct error *e) {
    const struct memory_data *d = memory_of(s);
    bool full = false;
    struct store_inbox row;
    if (id < 1 || id > d->inbox_count) {
        return store_error_no_request(id, e);
    }
    copy_inbox(a, &d->inbox[id - 1], &row, &full);
    if (full) {
        return error_nomem(e);
    }
    *out = row;
    return OK;
}
