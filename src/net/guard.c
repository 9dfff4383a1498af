/* The table of special addresses, and the verdict over one.
 *
 * Sources: the IANA special-purpose address registries (RFC 6890), RFC 6052 and 8215 (NAT64),
 * RFC 3056 (6to4), RFC 4380 (Teredo), RFC 5214 (ISATAP), the clouds' documentation for metadata.
 * Never here: name resolution or a socket. Invariant: the first row that fits decides, so
 * narrower ranges stand before those they lie in.
 */
#include "net/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

enum rule { ALWAYS, LOOPBACK, PRIVATE, NEVER };

static const struct {
    enum rule rule;
    const char *text;
} classes[NET_CLASS_COUNT] = {
#define NET_CLASS(id, rule, text) [NET_##id] = {rule, text},
#include "net/guard.def"
#undef NET_CLASS
};

struct range {
    uint8_t prefix[16];
    int bits;
    enum net_class class;
};

static const struct range ranges4[] = {
    {{169, 254, 169, 254}, 32, NET_METADATA}, /* most clouds */
    {{169, 254, 170, 2}, 32, NET_METADATA},   /* containers of AWS */
    {{169, 254, 170, 23}, 32, NET_METADATA},
    {{100, 100, 100, 200}, 32, NET_METADATA}, /* Alibaba */
    {{168, 63, 129, 16}, 32, NET_METADATA},   /* Azure */
    {{192, 0, 0, 192}, 32, NET_METADATA},     /* Oracle */
    {{0}, 8, NET_UNSPECIFIED},
    {{10}, 8, NET_PRIVATE},
    {{100, 64}, 10, NET_SHARED},
    {{127}, 8, NET_LOOPBACK},
    {{169, 254}, 16, NET_LINK_LOCAL},
    {{172, 16}, 12, NET_PRIVATE},
    {{192, 0, 0}, 24, NET_RESERVED},
    {{192, 0, 2}, 24, NET_RESERVED},
    {{192, 88, 99}, 24, NET_RESERVED},
    {{192, 168}, 16, NET_PRIVATE},
    {{198, 18}, 15, NET_PRIVATE}, /* benchmarks; proxies of VPNs answer there */
    {{198, 51, 100}, 24, NET_RESERVED},
    {{203, 0, 113}, 24, NET_RESERVED},
    {{224}, 4, NET_MULTICAST},
    {{240}, 4, NET_RESERVED},
};

static const struct range ranges6[] = {
    {{0}, 128, NET_UNSPECIFIED},
    {{[15] = 1}, 128, NET_LOOPBACK},
    {{0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128, NET_METADATA}, /* AWS */
    {{0xfd, 0x20, 0, 0xce, [14] = 0x02, [15] = 0x54}, 128, NET_METADATA}, /* Google */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, NET_PRIVATE},
    {{1, 0}, 64, NET_RESERVED},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, NET_RESERVED},
    {{0x20, 0x01, 0, 0}, 23, NET_RESERVED},
    {{0x3f, 0xff}, 20, NET_RESERVED},
    {{0x5f, 0}, 16, NET_RESERVED},
    {{0xfc}, 7, NET_PRIVATE},
    {{0xfe, 0x80}, 10, NET_LINK_LOCAL},
    {{0xfe, 0xc0}, 10, NET_PRIVATE},
    {{0xff}, 8, NET_MULTICAST},
};

/* Where an IPv6 address holds an IPv4 one. */
static const struct {
    uint8_t prefix[16];
    int bits, at;
    bool inverted;
} embeddings[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12, false}, /* mapped */
    {{[8] = 0xff, [9] = 0xff}, 96, 12, false},   /* translated */
    {{0, 0x64, 0xff, 0x9b}, 96, 12, false},      /* NAT64 */
    {{0x20, 0x02}, 16, 2, false},                /* 6to4 */
    {{0x20, 0x01, 0, 0}, 32, 12, true},          /* Teredo: the client */
    {{0}, 96, 12, false},                        /* compatible */
};

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, int bits) {
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, (size_t)whole) != 0) {
        return false;
    }
    return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static enum net_class find(const struct range *ranges, size_t count, const uint8_t *address) {
    for (size_t i = 0; i < count; i++) {
        if (has_prefix(address, ranges[i].prefix, ranges[i].bits)) {
            return ranges[i].class;
        }
    }
    return NET_PUBLIC;
}

static enum net_class classify4(const uint8_t *address) {
    return find(ranges4, ARRAY_LEN(ranges4), address);
}

static enum net_class classify_embedded(const uint8_t *address, bool inverted) {
    uint8_t inner[4];
    for (int i = 0; i < 4; i++) {
        inner[i] = inverted ? (uint8_t)~address[i] : address[i];
    }
    return classify4(inner);
}

static enum net_class classify6(const uint8_t *address) {
    static const uint8_t isatap[2][4] = {{0, 0, 0x5e, 0xfe}, {2, 0, 0x5e, 0xfe}};
    bool plain = has_prefix(address, (const uint8_t[16]){0}, 120) && address[15] <= 1;
    for (size_t i = 0; !plain && i < ARRAY_LEN(embeddings); i++) {
        if (has_prefix(address, embeddings[i].prefix, embeddings[i].bits)) {
            return classify_embedded(address + embeddings[i].at, embeddings[i].inverted);
        }
    }
    enum net_class class = find(ranges6, ARRAY_LEN(ranges6), address);
    bool within = memcmp(address + 8, isatap[0], 4) == 0 || memcmp(address + 8, isatap[1], 4) == 0;
    return class == NET_PUBLIC && within ? classify4(address + 12) : class;
}

enum net_class net_guard_classify(const struct sockaddr *a) {
    if (a->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        return classify4((const uint8_t *)&in.sin_addr);
    }
    if (a->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, a, sizeof in6);
        return classify6(in6.sin6_addr.s6_addr);
    }
    return NET_RESERVED;
}

/* ---- the policy ---- */

static bool same_name(struct str a, struct str b) {
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* "name", "name:port", "[::1]", "::1" or "[::1]:port". */
static bool entry_fits(struct str entry, struct str host, uint16_t port) {
    char with_port[8];
    bool bare = host.len && memchr(host.ptr, ':', host.len) != NULL;
    snprintf(with_port, sizeof with_port, ":%u", port);
    if (str_ends(entry, str_from(with_port)) && (!bare || entry.ptr[0] == '[')) {
        entry.len -= strlen(with_port);
    }
    if (entry.len > 2 && entry.ptr[0] == '[' && entry.ptr[entry.len - 1] == ']') {
        entry = str_sub(entry, 1, entry.len - 1);
    }
    return same_name(entry, host);
}

static bool listed(const struct net_policy *p, struct str host, uint16_t port) {
    for (size_t i = 0; p->allow_hosts && p->allow_hosts[i]; i++) {
        if (entry_fits(str_from(p->allow_hosts[i]), host, port)) {
            return true;
        }
    }
    return false;
}

static bool allowed(const struct net_policy *p, enum net_class class) {
    switch (classes[class].rule) {
    case ALWAYS: return true;
    case LOOPBACK: return p->allow_loopback;
    case PRIVATE: return p->allow_private;
    case NEVER: break;
    }
    return false;
}

static void print_address(const struct sockaddr *a, char *out, size_t out_bytes) {
    size_t at = a->sa_family == AF_INET ? offsetof(struct sockaddr_in, sin_addr)
                                        : offsetof(struct sockaddr_in6, sin6_addr);
    if (!inet_ntop(a->sa_family, (const char *)a + at, out, (socklen_t)out_bytes)) {
        snprintf(out, out_bytes, "of family %d", a->sa_family);
    }
}

static struct str plain_host(struct str host) {
    if (host.len > 2 && host.ptr[0] == '[') {
        return str_sub(host, 1, host.len - 1);
    }
    return host.len > 1 && host.ptr[host.len - 1] == '.' ? str_sub(host, 0, host.len - 1) : host;
}

enum err net_guard_check(const struct net_policy *p, struct str host, uint16_t port,
                         const struct sockaddr *a, struct error *e) {
    enum net_class class = net_guard_classify(a);
    host = plain_host(host);
    if (allowed(p, class) || listed(p, host, port)) {
        return OK;
    }
    char address[INET6_ADDRSTRLEN];
    print_address(a, address, sizeof address);
    bool literal = str_is(host, address);
    return error_set(e, ERR_DENIED, "requests may not go to %.*s%s%s, %s; %s", STR_ARG(host),
                     literal ? "" : ", which is ", literal ? "" : address, classes[class].text,
                     p->allow_hint ? p->allow_hint : "list the host as allowed to permit it");
}
