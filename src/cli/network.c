/* The network of the local user: requests may go wherever this machine can, except to link-local
 * and metadata addresses, which nobody means by accident. CAIRN_ALLOW_HOSTS (names or name:port,
 * separated by commas) allows those too; SSL_CERT_FILE replaces the certificates that are trusted.
 *
 * Never here: the verdict over an address. That is net/guard.c's.
 */
#include <stdlib.h>

#include "cli/session.h"
#include "net/net.h"

static const char *const *read_hosts(struct arena *a, struct str list) {
    const char **hosts = ARENA_ARRAY(a, list.len + 1, const char *);
    for (size_t n = 0; hosts && list.len;) {
        struct str host = str_trim(str_split(list, ',', &list));
        hosts[n] = host.len ? arena_str(a, host).ptr : NULL;
        n += hosts[n] != NULL;
    }
    return hosts;
}

enum err session_open_net(struct session *s, struct error *e) {
    struct arena *a = &s->cli->arena;
    struct net_policy policy = {
        .allow_loopback = true,
        .allow_private = true,
        .allow_hosts = read_hosts(a, str_from(getenv("CAIRN_ALLOW_HOSTS"))),
        .allow_hint = "to allow it, put the host into CAIRN_ALLOW_HOSTS",
        .ca_file = getenv("SSL_CERT_FILE"),
    };
    return policy.allow_hosts ? net_client_open(s->loop, &policy, &s->net, e) : error_nomem(e);
}
