/* The seam for allocations. The program is linked with --wrap, so calls of cairn's own code come
 * here; jansson is told so by its own means, libyaml by defining its four functions. What is live
 * is kept in a table, so that a leak can be named by the number of its allocation.
 *
 * One thread. Pointers that came from elsewhere (realpath) may be freed here.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
void *yaml_malloc(size_t size);
void *yaml_realloc(void *p, size_t size);
char *yaml_strdup(const char *s);
void yaml_free(void *p);

#define PLACES (1u << 18)

static struct place {
    void *ptr;
    uint64_t number;
} places[PLACES]; /* open addressing */
static size_t live;
static uint64_t count, fail_at;
static bool armed, for_good;

static size_t place_of(const void *p) {
    uint64_t n = (uintptr_t)p * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(n >> 32) & (PLACES - 1);
}

static void note(void *p) {
    size_t i = place_of(p);
    ASSERT(live < PLACES / 2);
    while (places[i].ptr) {
        i = (i + 1) & (PLACES - 1);
    }
    places[i] = (struct place){p, count};
    live++;
}

/* Moves up what stands behind, so that no search ends too early. */
static void forget(void *p) {
    size_t i = place_of(p);
    while (places[i].ptr && places[i].ptr != p) {
        i = (i + 1) & (PLACES - 1);
    }
    if (!places[i].ptr) {
        return;
    }
    live--;
    for (size_t k = (i + 1) & (PLACES - 1); places[k].ptr; k = (k + 1) & (PLACES - 1)) {
        size_t home = place_of(places[k].ptr);
        if (((k - home) & (PLACES - 1)) >= ((k - i) & (PLACES - 1))) {
            places[i] = places[k];
            i = k;
        }
    }
    places[i] = (struct place){0};
}

static bool fails(void) {
    if (!armed) {
        return false;
    }
    count++;
    bool now = fail_at && (for_good ? count >= fail_at : count == fail_at);
    if (now && getenv("FAIL_STOP")) {
        abort(); /* for a debugger: where this n is */
    }
    return now;
}

void *__wrap_malloc(size_t size) {
    void *p = fails() ? NULL : __real_malloc(size);
    if (p) {
        note(p);
    }
    return p;
}

void *__wrap_calloc(size_t items, size_t size) {
    void *p = fails() ? NULL : __real_calloc(items, size);
    if (p) {
        note(p);
    }
    return p;
}

void *__wrap_realloc(void *p, size_t size) {
    if (fails()) {
        return NULL;
    }
    if (p) {
        forget(p); /* before: another may get its place */
    }
    void *moved = __real_realloc(p, size);
    if (moved) {
        note(moved);
    }
    return moved;
}

void __wrap_free(void *p) {
    if (p) {
        forget(p);
    }
    __real_free(p);
}

char *__wrap_strdup(const char *s) {
    size_t bytes = strlen(s) + 1;
    char *p = __wrap_malloc(bytes);
    return p ? memcpy(p, s, bytes) : NULL;
}

void *yaml_malloc(size_t size) { return __wrap_malloc(size ? size : 1); }

void *yaml_realloc(void *p, size_t size) { return __wrap_realloc(p, size ? size : 1); }

char *yaml_strdup(const char *s) { return s ? __wrap_strdup(s) : NULL; }

void yaml_free(void *p) { __wrap_free(p); }

void alloc_arm(uint64_t n, bool all_from_then) {
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    count = 0;
    fail_at = n;
    for_good = all_from_then;
    armed = true;
}

uint64_t alloc_disarm(void) {
    armed = false;
    return count;
}

static bool was_armed;

void alloc_pause(void) {
    was_armed = armed;
    armed = false;
}

void alloc_go_on(void) { armed = was_armed; }

size_t alloc_live(void) { return live; }

void alloc_print_live(void) {
    size_t shown = 0;
    for (size_t i = 0; i < PLACES && shown < 10; i++) {
        if (places[i].ptr) {
            printf("  still allocated: number %llu\n", (unsigned long long)places[i].number);
            shown++;
        }
    }
}
