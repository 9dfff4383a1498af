/* SHA-256 against the examples of FIPS 180-4 (NIST's example values) and other known digests,
 * in one piece and in every way of cutting it; XXH3 only for what tables need of it.
 */
#include "groups.h"

#include <stdlib.h>

static void check_digest(struct str s, const char *expected) {
    char hex[SHA256_HEX_BYTES];
    sha256_hex(s, hex);
    assert_string_equal(hex, expected);
}

static void sha256_known_digests(void **state) {
    (void)state;
    check_digest((struct str){0},
                 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_digest(STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_digest(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_digest(STR("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
                 "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void sha256_of_a_million(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    memset(buf_reserve(&b, 1000000), 'a', 1000000);
    b.len = 1000000;
    check_digest(buf_str(&b), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    buf_fini(&b);
}

/* Around the block border, cut at every place: the same digest. */
static void sha256_does_not_depend_on_cuts(void **state) {
    (void)state;
    char text[200];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7);
    for (size_t len = 50; len < sizeof text; len += len < 70 ? 1 : 43) {
        char whole[SHA256_HEX_BYTES];
        sha256_hex((struct str){text, len}, whole);
        for (size_t cut = 0; cut <= len; cut++) {
            struct sha256 h;
            uint8_t digest[SHA256_BYTES];
            char hex[SHA256_HEX_BYTES];
            sha256_init(&h);
            sha256_update(&h, (struct str){text, cut});
            sha256_update(&h, (struct str){text + cut, len - cut});
            sha256_final(&h, digest);
            hex_encode(digest, SHA256_BYTES, hex);
            assert_string_equal(hex, whole);
        }
    }
}

static void hash_bytes_depends_on_text_and_seed(void **state) {
    (void)state;
    assert_true(hash_bytes(STR("a"), 0) == hash_bytes(STR("a"), 0));
    assert_true(hash_bytes(STR("a"), 0) != hash_bytes(STR("b"), 0));
    assert_true(hash_bytes(STR("a"), 0) != hash_bytes(STR("a"), 1));
    assert_true(hash_bytes((struct str){0}, 0) == hash_bytes(STR(""), 0));
}

static void hex_of_bytes(void **state) {
    (void)state;
    char out[9];
    hex_encode((const uint8_t[]){0x00, 0x0f, 0xa0, 0xff}, 4, out);
    assert_string_equal(out, "000fa0ff");
    hex_encode(NULL, 0, out);
    assert_string_equal(out, "");
}

int run_hash_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(sha256_known_digests),
        TEST(sha256_of_a_million),
        TEST(sha256_does_not_depend_on_cuts),
        TEST(hash_bytes_depends_on_text_and_seed),
        TEST(hex_of_bytes),
    };
    return cmocka_run_group_tests_name("base: hashes", tests, NULL, NULL);
}
