/* Which addresses requests may go to: server-side request forgery ends here.
 *
 * Pure: an address and a policy give a verdict. It is asked about the resolved address of every
 * connection, so the way a host was written (decimal, octal, a name of one's own) does not matter.
 */
#ifndef CAIRN_NET_GUARD_H
#define CAIRN_NET_GUARD_H

#include <netinet/in.h>

#include "net/net.h"

enum net_class {
#define NET_CLASS(id, rule, text) NET_##id,
#include "net/guard.def"
#undef NET_CLASS
    NET_CLASS_COUNT
};

/* AF_INET or AF_INET6; anything else is NET_RESERVED. An IPv4 address inside an IPv6 one (mapped,
 * compatible, translated, NAT64, 6to4, Teredo, ISATAP) counts as that. */
enum net_class net_guard_classify(const struct sockaddr *a);
/* Whether a request to this host and port may connect to the address its name stands for.
 * ERR_DENIED names host, address, rule and what allows it. */
enum err net_guard_check(const struct net_policy *p, struct str host, uint16_t port,
                         const struct sockaddr *a, struct error *e) MUST_USE;

#endif
