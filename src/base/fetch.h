/* Fetching ahead. With thousands of executions their states do not fit the caches: a loop over them
 * asks for the lines of the next one while it works on this one, and they come meanwhile. It is a
 * hint that changes nothing, and an address that is not there is no error.
 */
#ifndef CAIRN_BASE_FETCH_H
#define CAIRN_BASE_FETCH_H

#include <stddef.h>

#define FETCH_LINE_BYTES 64

static inline void fetch_ahead(const void *p, size_t bytes) {
    for (size_t at = 0; at < bytes; at += FETCH_LINE_BYTES) {
        __builtin_prefetch((const char *)p + at, 1, 3);
    }
}

#endif
