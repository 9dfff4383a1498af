/* The guard: what each special address is, in every form an address hides in, and what a policy
 * makes of it. */
#include "groups.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "net/guard.h"

static struct sockaddr_storage address(const char *text) {
    struct sockaddr_storage s = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&s;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s;
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        s.ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        s.ss_family = AF_INET6;
    } else {
        fail_msg("%s is no address", text);
    }
    return s;
}

static const struct {
    const char *text;
    enum net_class class;
} cases[] = {
    {"8.8.8.8", NET_PUBLIC},
    {"1.1.1.1", NET_PUBLIC},
    {"172.15.255.255", NET_PUBLIC},
    {"172.32.0.0", NET_PUBLIC},
    {"100.63.255.255", NET_PUBLIC},
    {"100.128.0.0", NET_PUBLIC},
    {"169.253.255.255", NET_PUBLIC},
    {"223.255.255.255", NET_PUBLIC},
    {"127.0.0.1", NET_LOOPBACK},
    {"127.255.255.254", NET_LOOPBACK},
    {"10.0.0.1", NET_PRIVATE},
    {"172.16.0.1", NET_PRIVATE},
    {"172.31.255.255", NET_PRIVATE},
    {"192.168.1.1", NET_PRIVATE},
    {"198.18.0.1", NET_PRIVATE},
    {"100.64.0.1", NET_SHARED},
    {"100.127.255.255", NET_SHARED},
    {"169.254.1.1", NET_LINK_LOCAL},
    {"169.254.169.254", NET_METADATA},
    {"169.254.170.2", NET_METADATA},
    {"100.100.100.200", NET_METADATA},
    {"168.63.129.16", NET_METADATA},
    {"224.0.0.1", NET_MULTICAST},
    {"239.255.255.255", NET_MULTICAST},
    {"0.0.0.0", NET_UNSPECIFIED},
    {"0.1.2.3", NET_UNSPECIFIED},
    {"240.0.0.1", NET_RESERVED},
    {"255.255.255.255", NET_RESERVED},
    {"192.0.2.1", NET_RESERVED},
    {"2606:4700:4700::1111", NET_PUBLIC},
    {"::1", NET_LOOPBACK},
    {"::", NET_UNSPECIFIED},
    {"fe80::1", NET_LINK_LOCAL},
    {"febf::1", NET_LINK_LOCAL},
    {"fec0::1", NET_PRIVATE},
    {"fc00::1", NET_PRIVATE},
    {"fdff::1", NET_PRIVATE},
    {"fd00:ec2::254", NET_METADATA},
    {"fd20:ce::254", NET_METADATA},
    {"ff02::1", NET_MULTICAST},
    {"2001:db8::1", NET_RESERVED},
    {"100::1", NET_RESERVED},
    /* an IPv4 address inside */
    {"::ffff:127.0.0.1", NET_LOOPBACK},
    {"::ffff:169.254.169.254", NET_METADATA},
    {"::ffff:8.8.8.8", NET_PUBLIC},
    {"::ffff:0:10.0.0.1", NET_PRIVATE},
    {"::127.0.0.1", NET_LOOPBACK},
    {"::2", NET_UNSPECIFIED},
    {"::10.1.2.3", NET_PRIVATE},
    {"64:ff9b::169.254.169.254", NET_METADATA},
    {"64:ff9b::8.8.8.8", NET_PUBLIC},
    {"64:ff9b:1::8.8.8.8", NET_PRIVATE},
    {"2002:7f00:1::", NET_LOOPBACK},
    {"2002:a9fe:a9fe::1", NET_METADATA},
    {"2002:808:808::1", NET_PUBLIC},
    {"2001:0:4136:e378:8000:63bf:80ff:fffe", NET_LOOPBACK}, /* Teredo of 127.0.0.1 */
    {"2606:4700::5efe:10.0.0.1", NET_PRIVATE},
    {"2606:4700::200:5efe:192.168.0.1", NET_PRIVATE},
};

static void addresses_are_classified(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage s = address(cases[i].text);
        enum net_class class = net_guard_classify((const struct sockaddr *)&s);
        if (class != cases[i].class) {
            fail_msg("%s is of class %d, not %d", cases[i].text, class, cases[i].class);
        }
    }
}

static void other_families_are_reserved(void **state) {
    (void)state;
    struct sockaddr s = {.sa_family = AF_UNIX};
    assert_int_equal(net_guard_classify(&s), NET_RESERVED);
}

static const char *const hosts[] = {"Metadata.Internal", "db.internal:5432", "[fe80::1]:80",
                                    "fd00:ec2::254", NULL};
static const struct net_policy strict = {.allow_hosts = hosts};
static const struct net_policy local = {.allow_loopback = true, .allow_private = true};

static const struct {
    const struct net_policy *policy;
    const char *host;
    uint16_t port;
    const char *address;
    bool allowed;
} verdicts[] = {
    {&strict, "example.com", 443, "93.184.216.34", true},
    {&strict, "example.com", 443, "127.0.0.1", false},
    {&strict, "example.com", 443, "10.0.0.1", false},
    {&strict, "metadata.internal", 80, "169.254.169.254", true},
    {&strict, "metadata.internal.", 80, "169.254.169.254", true},
    {&strict, "xmetadata.internal", 80, "169.254.169.254", false},
    {&strict, "metadata.internal.example.com", 80, "169.254.169.254", false},
    {&strict, "db.internal", 5432, "10.0.0.9", true},
    {&strict, "db.internal", 80, "10.0.0.9", false},
    {&strict, "[fe80::1]", 80, "fe80::1", true},
    {&strict, "[fe80::1]", 81, "fe80::1", false},
    {&strict, "[fd00:ec2::254]", 8080, "fd00:ec2::254", true},
    {&strict, "fd00:ec2", 254, "fd00:ec2::254", false},
    {&local, "localhost", 80, "127.0.0.1", true},
    {&local, "nas", 80, "192.168.0.2", true},
    {&local, "cgnat", 80, "100.64.3.2", true},
    {&local, "metadata", 80, "169.254.169.254", false},
    {&local, "metadata", 80, "100.100.100.200", false},
    {&local, "metadata", 80, "fd00:ec2::254", false},
    {&local, "link", 80, "fe80::1", false},
    {&local, "zero", 80, "0.0.0.0", false},
    {&local, "multicast", 80, "224.0.0.1", false},
};

static void policies_decide(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        struct sockaddr_storage s = address(verdicts[i].address);
        struct error e = {0};
        enum err err = net_guard_check(verdicts[i].policy, str_from(verdicts[i].host),
                                       verdicts[i].port, (const struct sockaddr *)&s, &e);
        if (err != (verdicts[i].allowed ? OK : ERR_DENIED)) {
            fail_msg("%s:%u at %s: %s", verdicts[i].host, verdicts[i].port, verdicts[i].address,
                     err ? e.message : "allowed");
        }
    }
}

static void refusals_say_what_and_how(void **state) {
    (void)state;
    struct net_policy p = {.allow_hint = "put it into HOSTS"};
    struct sockaddr_storage s = address("169.254.169.254");
    struct error e;
    assert_int_equal(net_guard_check(&p, STR("evil.example"), 80, (const struct sockaddr *)&s, &e),
                     ERR_DENIED);
    assert_string_equal(e.message, "requests may not go to evil.example, which is 169.254.169.254, "
                                   "an address of cloud metadata; put it into HOSTS");
    assert_int_equal(
        net_guard_check(&p, STR("169.254.169.254"), 80, (const struct sockaddr *)&s, &e),
        ERR_DENIED);
    assert_string_equal(e.message, "requests may not go to 169.254.169.254, an address of cloud "
                                   "metadata; put it into HOSTS");
}

int run_guard_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_classified),
        cmocka_unit_test(other_families_are_reserved),
        cmocka_unit_test(policies_decide),
        cmocka_unit_test(refusals_say_what_and_how),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
