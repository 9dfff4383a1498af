/* What include/cairn.h's opaque types are: a store, a loop and a host under one roof, and what was
 * compiled, submitted and registered through it.
 * Private to src/embed; programs see the opaque names only.
 */
#ifndef CAIRN_EMBED_PRIV_H
#define CAIRN_EMBED_PRIV_H

#include <cairn.h>

#include "host/host.h"
#include "io/file.h"

struct embed_kind;

struct cairn {
    struct arena arena;
    struct store *store;
    struct io_loop *loop;
    struct host *host;
    struct net_client *net;
    bool allow_local;
    const char **allow_hosts; /* NULL-terminated, or NULL */
    uint32_t allow_count;
    uint32_t slots;
    struct cairn_workflow *workflows;
    struct embed_kind *kinds; /* registered, newest first */
    uint32_t kind_count;
    const struct node_kind **table; /* built-in and registered kinds, made when first needed */
    struct kind_table all;
    struct cairn_step *done_first, *done_last; /* ended inside start: told in the next turn */
    struct cairn_step *live;                   /* all that were started and have not been told */
    struct io_timer *later;
    void (*event)(void *ctx, const struct cairn_event *ev);
    void *event_ctx;
    struct error lost;
};

struct cairn_workflow {
    struct cairn_workflow *next;
    struct plan *plan;
    const char *folder;
    const char *text, *name;
};

struct cairn_execution {
    struct run *run;
};

int embed_fail(char *why, enum err err, const struct error *e);

/* ---- kinds.c ---- */
/* All kinds; from then on no more can be registered. */
struct kind_table embed_kinds(struct cairn *c);
void embed_kinds_close(struct cairn *c);

#endif
