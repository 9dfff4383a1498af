/* What the files of the hook kind share: hook.c is the kind, hook_url.c sends a signed webhook.
 *
 * Nothing here keeps a secret: its name goes in, its signature comes out.
 */
#ifndef CAIRN_NODE_HOOK_PRIV_H
#define CAIRN_NODE_HOOK_PRIV_H

#include "flow/kind.h"

struct hook_webhook {
    struct str url;
    struct str body;   /* JSON */
    struct str secret; /* the name of the secret it is signed with; empty: it is not signed */
};

/* Sends it and answers the port. What it points to stays until then. Called from start. */
void hook_url_start(struct step_port *port, const struct hook_webhook *w);
/* For the kind's cancel. */
void hook_url_cancel(struct step_port *port);

/* What is signed. */
struct hook_message {
    struct str id;
    struct str timestamp; /* seconds since 1970 */
    struct str body;
};

/* The value of the header webhook-signature, in the arena: Standard Webhooks 1.0, "v1,<base64>".
 * A secret that begins with whsec_ is base64 behind it; any other is taken as it is. */
enum err hook_sign(struct str secret, const struct hook_message *m, struct arena *a,
                   struct str *out, struct error *e) MUST_USE;

#endif
