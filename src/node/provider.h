/* Providers: services described by a YAML manifest, providers/NAME.yaml beside the workflow, with
 * their operations. provider.c reads a manifest when the workflow is compiled; provider_request.c
 * makes of one operation and a config what the http kind sends.
 */
#ifndef CAIRN_NODE_PROVIDER_H
#define CAIRN_NODE_PROVIDER_H

#include "flow/pval.h"
#include "node/http_priv.h"
#include "schema/schema.h"

/* One operation, compiled; the data of a node. */
struct provider_call {
    struct http_data http;
    struct value method, response;
    struct pval base_url, path, params, body, auth;
    struct value secrets;            /* by part of auth: the name written there, never config's */
    struct pval headers[2];          /* of the provider, of the operation: the later one wins */
    const struct schema *configs[2]; /* likewise: what config must look like; NULL: anything */
};

/* Finds and compiles the operation that the literal fields provider and operation name; reports.
 * NULL when one of them is not known. */
const struct provider_call *provider_check(struct node_check *c);
/* config as far as it is constant against the schemas; reports. */
void provider_config_check(struct node_check *c, const struct provider_call *call);

/* The fields of the http kind for this operation and config, defaults filled in and checked; all in
 * port->in->arena. Secrets are read now. */
enum err provider_request_make(struct step_port *port, const struct provider_call *call,
                               struct value config, struct value fields[HTTP_FIELDS],
                               struct error *e) MUST_USE;

#endif
