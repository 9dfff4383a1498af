/* Compression of blobs and bundles: one zstd frame with its size and a checksum inside, so that a
 * rotten page is found when it is read, not when somebody wonders about the content.
 */
#include <stdlib.h>

#include <zstd.h>

#include "store/store_priv.h"

enum { ZIP_LEVEL = 3 };

enum err store_zip(struct str bytes, struct str *out, struct error *e) {
    size_t cap = ZSTD_compressBound(bytes.len);
    char *packed = ZSTD_isError(cap) ? NULL : malloc(cap);
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    if (!packed || !ctx) {
        free(packed);
        ZSTD_freeCCtx(ctx);
        return error_nomem(e);
    }
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, ZIP_LEVEL);
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    size_t len = ZSTD_compress2(ctx, packed, cap, bytes.len ? bytes.ptr : "", bytes.len);
    ZSTD_freeCCtx(ctx);
    if (ZSTD_isError(len)) {
        free(packed);
        return error_nomem(e);
    }
    *out = (struct str){packed, len};
    return OK;
}

enum err store_unzip(struct str packed, size_t size_bytes, struct arena *a, struct str *out,
                     struct error *e) {
    char *bytes = arena_alloc(a, size_bytes + 1);
    if (!bytes) {
        return error_nomem(e);
    }
    size_t len = ZSTD_decompress(bytes, size_bytes, packed.ptr, packed.len);
    if (ZSTD_isError(len) || len != size_bytes) {
        return error_set(e, ERR_CORRUPT, "compressed data is damaged: %s",
                         ZSTD_isError(len) ? ZSTD_getErrorName(len) : "another length");
    }
    bytes[len] = '\0';
    *out = (struct str){bytes, len};
    return OK;
}

const char *store_zstd_version(void) { return ZSTD_versionString(); }
