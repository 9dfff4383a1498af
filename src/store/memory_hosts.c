/* The memory store's hosts: each lives as long as the handle that registered it, one of another
 * machine as long as its lease. A row that was swept keeps its place, since ids are never used
 * again.
 */
#include "store/memory_priv.h"

bool memory_host_alive(const struct memory_data *d, const struct memory_host *h) {
    return h->far ? h->row.until.us > d->clock->wall(d->clock->ctx).us : h->row.alive;
}

static uint32_t sweep(struct memory_data *d) {
    uint32_t gone = 0;
    for (uint32_t i = 0; i < d->host_count; i++) {
        struct memory_host *h = &d->hosts[i];
        bool dead = !h->far && !h->row.alive;
        gone += dead && !h->swept;
        h->swept = h->swept || dead;
    }
    return gone;
}

static bool make_room(struct memory_data *d) {
    struct memory_host *hosts =
        store_array_grow(&d->arena, d->hosts, d->host_count, &d->hosts_cap, sizeof *d->hosts);
    d->hosts = hosts ? hosts : d->hosts;
    return hosts != NULL;
}

enum err memory_host_register(struct store *s, int64_t pid, struct str hostname, int64_t *out_host,
                              struct error *e) {
    struct memory_data *d = memory_of(s);
    struct memory_store *handle = (struct memory_store *)s;
    ASSERT(handle->host == 0);
    bool full = false;
    struct str name = memory_str(&d->arena, hostname, &full);
    if (full || !make_room(d)) {
        return error_nomem(e);
    }
    (void)sweep(d);
    wall_us now = d->clock->wall(d->clock->ctx);
    struct store_host row = {.id = d->host_count + 1,
                             .pid = pid,
                             .hostname = name,
                             .registered = now,
                             .until = {now.us + STORE_LEASE_US},
                             .alive = true};
    d->hosts[d->host_count++] = (struct memory_host){.row = row, .far = handle->far};
    *out_host = handle->host = row.id;
    return OK;
}

enum err memory_host_renew(struct store *s, int64_t host, wall_us until, struct error *e) {
    struct memory_data *d = memory_of(s);
    if (host < 1 || host > d->host_count || d->hosts[host - 1].swept) {
        return error_set(e, ERR_FENCED, "host %lld was taken for dead by another process",
                         (long long)host);
    }
    d->hosts[host - 1].row.until = until;
    return OK;
}

enum err memory_hosts_sweep(struct store *s, uint32_t *out_gone, struct error *e) {
    (void)e;
    *out_gone = sweep(memory_of(s));
    return OK;
}

/* --- listing --- */

static bool is_live(struct str status) {
    return str_is(status, "pending") || str_is(status, "running") || str_is(status, "waiting") ||
           str_is(status, "paused");
}

static uint32_t owned_by(const struct memory_data *d, int64_t host) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->execution_count; i++) {
        const struct store_execution *x = &d->executions[i]->x;
        count += x->host == host && is_live(x->row.status);
    }
    return count;
}

enum err memory_host_list(struct store *s, struct arena *a, struct store_hosts *out,
                          struct error *e) {
    const struct memory_data *d = memory_of(s);
    struct store_hosts rows = {0};
    uint32_t cap = 0;
    bool full = false;
    for (uint32_t i = 0; i < d->host_count && !full; i++) {
        if (d->hosts[i].swept) {
            continue;
        }
        rows.items = store_array_grow(a, rows.items, rows.count, &cap, sizeof *rows.items);
        full = !rows.items;
        if (!full) {
            struct store_host *h = &rows.items[rows.count++];
            *h = d->hosts[i].row;
            h->alive = memory_host_alive(d, &d->hosts[i]);
            h->hostname = memory_str(a, h->hostname, &full);
            h->executions = owned_by(d, h->id);
        }
    }
    if (full) {
        return error_nomem(e);
    }
    *out = rows;
    return OK;
}

enum err memory_left_count(struct store *s, uint32_t *out, struct error *e) {
    const struct memory_data *d = memory_of(s);
    uint32_t count = 0;
    (void)e;
    for (uint32_t i = 0; i < d->execution_count; i++) {
        const struct store_execution *x = &d->executions[i]->x;
        bool owned =
            x->host > 0 && x->host <= d->host_count && memory_host_alive(d, &d->hosts[x->host - 1]);
        bool live = is_live(x->row.status) && !str_is(x->row.status, "paused");
        bool left = x->host == 0 && str_is(x->row.status, "waiting");
        count += live && !owned && !left && !x->fixed.parent;
    }
    *out = count;
    return OK;
}
