/* SHA-256 against the examples of FIPS 180-4 (NIST's example values) and other known digests,
 * in one piece and in every way of cutting it; XXH3 only for what tables need of it.
 */
#include "base/base64.h"
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

/* RFC 4231 sections 4.2 to 4.8, without the truncated one. */
static void hmac_known_codes(void **state) {
    (void)state;
    char of_0b[20], of_aa[131], of_dd[50], counted[25], of_cd[50];
    memset(of_0b, 0x0b, sizeof of_0b);
    memset(of_aa, 0xaa, sizeof of_aa);
    memset(of_dd, 0xdd, sizeof of_dd);
    memset(of_cd, 0xcd, sizeof of_cd);
    for (size_t i = 0; i < sizeof counted; i++)
        counted[i] = (char)(i + 1);
    const struct {
        struct str key, text;
        const char *code;
    } rows[] = {
        {{of_0b, 20},
         STR("Hi There"),
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {STR("Jefe"), STR("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {{of_aa, 20},
         {of_dd, 50},
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {{counted, 25},
         {of_cd, 50},
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {{of_aa, 131},
         STR("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {{of_aa, 131},
         STR("This is a test using a larger than block-size key and a larger than block-size data."
             " The key needs to be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t code[SHA256_BYTES];
        char hex[SHA256_HEX_BYTES];
        hmac_sha256(rows[i].key, rows[i].text, code);
        hex_encode(code, SHA256_BYTES, hex);
        assert_string_equal(hex, rows[i].code);
    }
}

static void base64_is_read_strictly(void **state) {
    (void)state;
    static const char *const good[][2] = {
        {"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"+/+/", "\xfb\xff\xbf"}};
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zm9v=", "Zm 9", "Zm9v\n", "-_-_", "Z===="};
    char out[16];
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(base64_decode(str_from(good[i][0]), out, &len));
        assert_int_equal(len, strlen(good[i][1]));
        assert_memory_equal(out, good[i][1], len);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (base64_decode(str_from(bad[i]), out, &len))
            fail_msg("%s is taken", bad[i]);
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
        TEST(hmac_known_codes),
        TEST(base64_is_read_strictly),
        TEST(hash_bytes_depends_on_text_and_seed),
        TEST(hex_of_bytes),
    };
    return cmocka_run_group_tests_name("base: hashes", tests, NULL, NULL);
}
