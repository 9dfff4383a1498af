/* Bump allocation in blocks that double in size, newest first.
 *
 * Invariants: used_bytes never passes cap_bytes; every pointer handed out is aligned to 16 and
 * its bytes are zero. A large object gets a block of its own behind the newest, so the rest of
 * the newest block is not lost. Memory must never be handed out twice before reset or fini.
 * Under AddressSanitizer what was not handed out is poisoned, so overruns are found.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN_BYTES 16u
#define FIRST_BLOCK_BYTES 4096u
#define LARGEST_BLOCK_BYTES (256u * 1024u)
#define DEFAULT_CAP_BYTES ((size_t)1 << 30)
#define LARGEST_OBJECT_BYTES (SIZE_MAX / 4) /* no sum of a size and a header wraps around */

struct arena_block {
    struct arena_block *next; /* older */
    char *pos;                /* first free byte */
    char *end;
    size_t bytes; /* of data */
    _Alignas(ALIGN_BYTES) char data[];
};

void arena_init(struct arena *a, size_t cap_bytes) {
    *a = (struct arena){
        .cap_bytes = cap_bytes ? cap_bytes : DEFAULT_CAP_BYTES,
        .next_block_bytes = FIRST_BLOCK_BYTES,
    };
}

void arena_init_small(struct arena *a, size_t first_bytes) {
    ASSERT(first_bytes >= ALIGN_BYTES);
    arena_init(a, 0);
    a->next_block_bytes = first_bytes;
}

static void free_blocks(struct arena_block *b) {
    while (b) {
        struct arena_block *next = b->next;
        UNPOISON(b->data, b->bytes);
        free(b);
        b = next;
    }
}

void arena_fini(struct arena *a) {
    if (!a) {
        return;
    }
    free_blocks(a->head);
    a->head = NULL;
    a->used_bytes = 0;
    a->starved = false;
    a->next_block_bytes = FIRST_BLOCK_BYTES;
}

void arena_wipe(struct arena *a) {
    for (struct arena_block *b = a ? a->head : NULL; b; b = b->next) {
        UNPOISON(b->data, b->bytes);
        explicit_bzero(b->data, (size_t)(b->pos - b->data));
    }
    arena_fini(a);
}

void arena_reset(struct arena *a) {
    struct arena_block *keep = a->head;
    if (keep && keep->bytes > LARGEST_BLOCK_BYTES) {
        arena_fini(a);
        return;
    }
    if (keep) {
        free_blocks(keep->next);
        keep->next = NULL;
        keep->pos = keep->data;
        POISON(keep->data, keep->bytes);
    }
    a->used_bytes = 0;
    a->starved = false;
}

/* A block of its own for a large object; calloc's fresh pages need no second clearing. */
static void *alloc_large(struct arena *a, size_t rounded) {
    struct arena_block *b = calloc(1, sizeof *b + rounded);
    if (!b) {
        a->starved = true;
        return NULL;
    }
    b->bytes = rounded;
    b->pos = b->end = b->data + rounded;
    if (a->head) {
        b->next = a->head->next;
        a->head->next = b;
    } else {
        a->head = b;
    }
    a->used_bytes += rounded;
    return b->data;
}

static bool add_block(struct arena *a, size_t rounded) {
    size_t bytes = a->next_block_bytes;
    ASSERT(bytes > 0);
    while (bytes < rounded) {
        bytes *= 2;
    }
    struct arena_block *b = malloc(sizeof *b + bytes);
    if (!b) {
        a->starved = true;
        return false;
    }
    b->bytes = bytes;
    b->pos = b->data;
    b->end = b->data + bytes;
    b->next = a->head;
    a->head = b;
    POISON(b->data, bytes);
    if (a->next_block_bytes < LARGEST_BLOCK_BYTES) {
        a->next_block_bytes *= 2;
    }
    return true;
}

static void *take(struct arena *a, size_t size_bytes, size_t rounded) {
    struct arena_block *b = a->head;
    char *p = b->pos;
    b->pos = p + rounded;
    a->used_bytes += rounded;
    UNPOISON(p, size_bytes);
    memset(p, 0, size_bytes);
    return p;
}

static void *alloc_slow(struct arena *a, size_t size_bytes, size_t rounded) {
    if (a->cap_bytes == 0) { /* zeroed, never initialised */
        arena_init(a, 0);
    }
    if (size_bytes > LARGEST_OBJECT_BYTES || rounded > a->cap_bytes ||
        a->used_bytes > a->cap_bytes - rounded) {
        return NULL;
    }
    struct arena_block *b = a->head;
    if (b && (size_t)(b->end - b->pos) >= rounded) {
        return take(a, size_bytes, rounded);
    }
    if (rounded > LARGEST_BLOCK_BYTES / 4) {
        return alloc_large(a, rounded);
    }
    return add_block(a, rounded) ? take(a, size_bytes, rounded) : NULL;
}

void *arena_alloc(struct arena *a, size_t size_bytes) {
    size_t rounded = (size_bytes + (ALIGN_BYTES - 1)) & ~(size_t)(ALIGN_BYTES - 1);
    if (size_bytes == 0) {
        rounded = ALIGN_BYTES;
    }
    struct arena_block *b = a->head;
    if (b && size_bytes <= LARGEST_BLOCK_BYTES && (size_t)(b->end - b->pos) >= rounded &&
        a->used_bytes + rounded <= a->cap_bytes) {
        return take(a, size_bytes, rounded);
    }
    return alloc_slow(a, size_bytes, rounded);
}

void *arena_array(struct arena *a, size_t count, size_t size_bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total)) {
        return NULL;
    }
    return arena_alloc(a, total);
}

struct str arena_str(struct arena *a, struct str s) {
    char *p = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (!p) {
        return (struct str){0};
    }
    if (s.len) {
        memcpy(p, s.ptr, s.len);
    }
    return (struct str){p, s.len};
}

struct str arena_printf(struct arena *a, const char *fmt, ...) {
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (len < 0) {
        return (struct str){0};
    }
    if ((size_t)len < sizeof small) {
        return arena_str(a, (struct str){small, (size_t)len});
    }
    char *p = arena_alloc(a, (size_t)len + 1);
    if (!p) {
        return (struct str){0};
    }
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return (struct str){p, (size_t)len};
}
