/* Reading and running cases; see cases.h. */
#include "cases.h"

#include "support/jsonl.h"

static bool is_mark(struct str line, const char *mark) { return str_starts(line, str_from(mark)); }

/* A line with its end; *rest gets what follows. */
static struct str take_line(struct str *rest) {
    size_t end = str_find(*rest, STR("\n"), 0);
    size_t len = end == SIZE_MAX ? rest->len : end + 1;
    struct str line = str_sub(*rest, 0, len);
    *rest = str_sub(*rest, len, rest->len);
    return line;
}

static struct str extend(struct str text, struct str line) {
    return text.len ? (struct str){text.ptr, text.len + line.len} : line;
}

static size_t count_cases(struct str text) {
    size_t count = 0;
    while (text.len) {
        count += is_mark(take_line(&text), "#### ");
    }
    return count;
}

bool case_file_read(const char *path, struct arena *a, struct case_file *out) {
    struct str rest;
    if (!file_read(path, a, &rest)) {
        return false;
    }
    struct flow_case *c = NULL;
    struct str *part = NULL;
    uint32_t line_number = 0;
    out->items = ARENA_ARRAY(a, count_cases(rest) + 1, struct flow_case);
    out->count = 0;
    ASSERT(out->items);
    while (rest.len) {
        struct str line = take_line(&rest);
        line_number++;
        if (is_mark(line, "#### ")) {
            c = &out->items[out->count++];
            c->name = str_trim(str_sub(line, 5, line.len));
            c->line = line_number;
            mem_add(&c->files, STR("flow.yaml"), STR(""));
            part = &c->files.items[0].text;
        } else if (is_mark(line, "++++ ")) {
            ASSERT(c);
            mem_add(&c->files, str_trim(str_sub(line, 5, line.len)), STR(""));
            part = &c->files.items[c->files.count - 1].text;
        } else if (is_mark(line, "====")) {
            ASSERT(c);
            part = &c->expected;
        } else {
            ASSERT(part);
            *part = extend(*part, line);
        }
    }
    return true;
}

void case_run(struct flow_case *c, struct buf *out) {
    struct compiled result;
    compiled_init(&result, &c->files, "flow.yaml");
    print_findings(&result, out);
    if (result.plan) {
        print_plan(result.plan, out);
    }
    compiled_fini(&result);
}
