/* Structural comparison of two values, told as one line per difference with its path.
 */
#include "cases.h"

#include <stdio.h>

#define LINES_SHOWN 12

struct comparison {
    struct buf path;
    uint32_t found;
};

static void print_short(const struct value *v) {
    struct buf b;
    buf_init(&b, 0);
    if (v) {
        value_print_short(*v, 160, &b);
    } else {
        buf_append_cstr(&b, "nothing");
    }
    printf("%.*s", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

static void differ(struct comparison *c, const struct value *expected, const struct value *got) {
    if (++c->found > LINES_SHOWN) {
        return;
    }
    printf("  %.*s: expected ", STR_ARG(buf_str(&c->path)));
    print_short(expected);
    printf(", got ");
    print_short(got);
    printf("\n");
}

static void compare(struct comparison *c, const struct value *expected, const struct value *got);

static void compare_maps(struct comparison *c, struct value expected, struct value got) {
    size_t len = c->path.len;
    for (size_t i = 0; i < value_count(expected); i++) {
        struct str key = value_str(expected.pairs[i].key);
        buf_printf(&c->path, "%s%.*s", len ? "." : "", STR_ARG(key));
        compare(c, &expected.pairs[i].val, value_get(got, key));
        c->path.len = len;
    }
    for (size_t i = 0; i < value_count(got); i++) {
        struct str key = value_str(got.pairs[i].key);
        if (!value_get(expected, key)) {
            buf_printf(&c->path, "%s%.*s", len ? "." : "", STR_ARG(key));
            differ(c, NULL, &got.pairs[i].val);
            c->path.len = len;
        }
    }
}

static void compare_lists(struct comparison *c, struct value expected, struct value got) {
    size_t len = c->path.len;
    size_t count =
        value_count(expected) > value_count(got) ? value_count(expected) : value_count(got);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&c->path, "[%zu]", i);
        compare(c, i < value_count(expected) ? &expected.items[i] : NULL,
                i < value_count(got) ? &got.items[i] : NULL);
        c->path.len = len;
    }
}

/* Lists of plain values (a line of the log) are told whole. */
static bool is_flat(struct value list) {
    for (size_t i = 0; i < value_count(list); i++) {
        if (list.items[i].type == VALUE_LIST || list.items[i].type == VALUE_MAP) {
            return false;
        }
    }
    return true;
}

static void compare(struct comparison *c, const struct value *expected, const struct value *got) {
    if (expected && got && value_equal(*expected, *got)) {
        return;
    }
    bool both = expected && got && expected->type == got->type;
    if (both && expected->type == VALUE_MAP) {
        compare_maps(c, *expected, *got);
    } else if (both && expected->type == VALUE_LIST && !(is_flat(*expected) && is_flat(*got))) {
        compare_lists(c, *expected, *got);
    } else {
        differ(c, expected, got);
    }
}

bool compare_values(struct value expected, struct value got) {
    struct comparison c = {0};
    buf_init(&c.path, 0);
    compare(&c, &expected, &got);
    if (c.found > LINES_SHOWN) {
        printf("  and %u more differences\n", c.found - LINES_SHOWN);
    }
    buf_fini(&c.path);
    return c.found == 0;
}
