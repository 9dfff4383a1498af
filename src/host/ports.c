/* The ports of a run: a list, newest first, and an index by step, so that stopping a foreach of
 * many items costs what it touches. The index grows by doubling; without memory for that it stays
 * as it is, only slower. Only these functions change the list.
 */
#include <stdlib.h>

#include "host/host_priv.h"

static struct port **bucket_of(const struct run *r, struct step_id s) {
    uint64_t n = s.node * 0x9e3779b97f4a7c15u ^ (uint64_t)s.index * 0xc2b2ae3d27d4eb4fu ^
                 ((uint64_t)s.iteration << 32 | s.generation) * 0x165667b19e3779f9u;
    struct port **buckets = r->buckets ? r->buckets : (struct port **)(uintptr_t)r->few;
    uint64_t count = r->buckets ? r->bucket_count : ARRAY_LEN(r->few);
    return &buckets[(n ^ n >> 29) & (count - 1)];
}

static void put(struct port *p) {
    struct port **bucket = bucket_of(p->run, p->step);
    p->same_next = *bucket;
    *bucket = p;
}

static void grow(struct run *r) {
    uint32_t count = r->buckets ? r->bucket_count * 2 : 64;
    struct port **more = calloc(count, sizeof(struct port *));
    if (!more) {
        return;
    }
    free(r->buckets);
    r->buckets = more;
    r->bucket_count = count;
    for (struct port *p = r->ports; p; p = p->next) {
        put(p);
    }
}

void ports_add(struct port *p) {
    struct run *r = p->run;
    p->next = r->ports;
    p->previous = NULL;
    if (r->ports) {
        r->ports->previous = p;
    }
    r->ports = p;
    r->host->port_count++;
    put(p);
    if (++r->port_count > (r->buckets ? r->bucket_count : ARRAY_LEN(r->few))) {
        grow(r);
    }
}

void ports_remove(struct port *p) {
    struct run *r = p->run;
    struct port **at = bucket_of(r, p->step);
    while (*at != p) {
        at = &(*at)->same_next;
    }
    *at = p->same_next;
    *(p->previous ? &p->previous->next : &r->ports) = p->next;
    if (p->next) {
        p->next->previous = p->previous;
    }
    r->port_count--;
    r->host->port_count--;
}

struct port *ports_find(const struct run *r, struct step_id step, const struct port *after) {
    struct port *p = after ? after->same_next : *bucket_of(r, step);
    while (p && !step_id_same(p->step, step)) {
        p = p->same_next;
    }
    return p;
}
