/* Hashes: xxh3 for tables and jitter, SHA-256 (own, FIPS 180-4) for identities and signatures.
 * hash_bytes is neither secret nor stored: where trust or another process depends on a hash, it
 * is SHA-256. Nothing here allocates or fails.
 */
#ifndef CAIRN_BASE_HASH_H
#define CAIRN_BASE_HASH_H

#include <stdint.h>

#include "base/str.h"

uint64_t hash_bytes(struct str s, uint64_t seed);

#define SHA256_BYTES 32
#define SHA256_HEX_BYTES 65

struct sha256 {
    uint32_t state[8];
    uint64_t total_bytes;
    uint8_t block[64];
};

void sha256_init(struct sha256 *h);
void sha256_update(struct sha256 *h, struct str s);
void sha256_final(struct sha256 *h, uint8_t out[SHA256_BYTES]);
/* Digest of s as 64 lower-case hex characters and NUL. */
void sha256_hex(struct str s, char out[SHA256_HEX_BYTES]);
/* HMAC-SHA256 of text (RFC 2104, FIPS 198-1). */
void hmac_sha256(struct str key, struct str text, uint8_t out[SHA256_BYTES]);
/* Of the library behind hash_bytes, for people. */
const char *hash_xxhash_version(void);
void hex_encode(const uint8_t *bytes, size_t count, char *out);

#endif
