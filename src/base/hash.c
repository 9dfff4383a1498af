/* Hashes: XXH3 for tables (from the xxhash library), SHA-256 for identities (own).
 *
 * hash_bytes is not secret and must never decide about trust; its results must not be stored.
 * SHA-256 follows FIPS 180-4, section 6.2; names a..h, w, and the constants are the standard's.
 */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(struct str s, uint64_t seed) {
    return XXH3_64bits_withSeed(s.ptr ? s.ptr : "", s.len, seed);
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotr(uint32_t x, unsigned n) { return (x >> n) | (x << (32 - n)); }

static inline uint32_t load_be32(const uint8_t *p) {
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

static void message_schedule(uint32_t w[64], const uint8_t block[64]) {
    for (unsigned t = 0; t < 16; t++) {
        w[t] = load_be32(block + (size_t)t * 4);
    }
    for (unsigned t = 16; t < 64; t++) {
        uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
        uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
}

static void compress(uint32_t state[8], const uint8_t block[64]) {
    uint32_t w[64];
    message_schedule(w, block);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (unsigned t = 0; t < 64; t++) {
        uint32_t sum1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
        uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + round_constants[t] + w[t];
        uint32_t sum0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
        uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void sha256_init(struct sha256 *h) {
    *h = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                   0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_update(struct sha256 *h, struct str s) {
    if (s.len == 0) {
        return;
    }
    const uint8_t *p = (const uint8_t *)s.ptr;
    size_t left = s.len;
    size_t held = h->total_bytes % 64;
    h->total_bytes += s.len;
    if (held) {
        size_t n = left < 64 - held ? left : 64 - held;
        memcpy(h->block + held, p, n);
        p += n;
        left -= n;
        if (held + n < 64) {
            return;
        }
        compress(h->state, h->block);
    }
    for (; left >= 64; p += 64, left -= 64) {
        compress(h->state, p);
    }
    memcpy(h->block, p, left);
}

void sha256_final(struct sha256 *h, uint8_t out[SHA256_BYTES]) {
    uint64_t bits = h->total_bytes * 8;
    size_t held = h->total_bytes % 64;
    h->block[held++] = 0x80;
    if (held > 56) {
        memset(h->block + held, 0, 64 - held);
        compress(h->state, h->block);
        held = 0;
    }
    memset(h->block + held, 0, 56 - held);
    for (unsigned i = 0; i < 8; i++) {
        h->block[56 + i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    compress(h->state, h->block);
    for (unsigned i = 0; i < 32; i++) {
        out[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void hex_encode(const uint8_t *bytes, size_t count, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = '\0';
}

void sha256_hex(struct str s, char out[SHA256_HEX_BYTES]) {
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&h);
    sha256_update(&h, s);
    sha256_final(&h, digest);
    hex_encode(digest, SHA256_BYTES, out);
}

#define TEXT(x) #x
#define DOTTED(major, minor, release) TEXT(major) "." TEXT(minor) "." TEXT(release)

const char *hash_xxhash_version(void) {
    return DOTTED(XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE);
}

/* The block of the key with each byte changed by pad, as the beginning of a hash. */
static void start_padded(struct sha256 *h, const uint8_t block[64], uint8_t pad) {
    char padded[64];
    for (int i = 0; i < 64; i++) {
        padded[i] = (char)(block[i] ^ pad);
    }
    sha256_init(h);
    sha256_update(h, (struct str){padded, sizeof padded});
}

void hmac_sha256(struct str key, struct str text, uint8_t out[SHA256_BYTES]) {
    struct sha256 h;
    uint8_t block[64] = {0}, inner[SHA256_BYTES];
    if (key.len > sizeof block) {
        sha256_init(&h);
        sha256_update(&h, key);
        sha256_final(&h, block);
    } else if (key.len > 0) {
        memcpy(block, key.ptr, key.len);
    }
    start_padded(&h, block, 0x36);
    sha256_update(&h, text);
    sha256_final(&h, inner);
    start_padded(&h, block, 0x5c);
    sha256_update(&h, (struct str){(const char *)inner, sizeof inner});
    sha256_final(&h, out);
}
