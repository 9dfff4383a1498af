/* Reading test data. A file that is there but unreadable stops the program: a test that silently
 * runs on nothing would always pass.
 */
#include "support/jsonl.h"

#include <stdio.h>
#include <stdlib.h>

bool file_read(const char *path, struct arena *a, struct str *out) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        return false;
    }
    struct buf b;
    buf_init(&b, 0);
    char part[65536];
    size_t n;
    while ((n = fread(part, 1, sizeof part, f)) > 0) {
        buf_append(&b, (struct str){part, n});
    }
    bool ok = !ferror(f) && buf_ok(&b);
    (void)fclose(f);
    *out = ok ? arena_str(a, buf_str(&b)) : (struct str){0};
    buf_fini(&b);
    if (!out->ptr) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    return true;
}

bool jsonl_read(const char *path, struct arena *a, struct value *out) {
    struct str text;
    if (!file_read(path, a, &text)) {
        return false;
    }
    struct value_builder list;
    value_builder_init(&list, a);
    for (int line = 1; text.len; line++) {
        struct str one = str_trim(str_split(text, '\n', &text));
        struct value v;
        struct error e = {0};
        if (one.len && value_parse_json(a, one, &v, &e) != OK) {
            (void)fprintf(stderr, "%s:%d: %s\n", path, line, e.message);
            exit(1);
        }
        if (one.len) {
            value_list_add(&list, v);
        }
    }
    *out = value_list_done(&list);
    return true;
}

struct str jsonl_text(struct value map, const char *key) {
    const struct value *v = value_get(map, str_from(key));
    return v && v->type == VALUE_TEXT ? value_str(*v) : (struct str){0};
}
