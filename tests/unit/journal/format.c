/* docs/FORMAT.md says what src/engine/events.def is: a row of its tables for every row there, and
 * no other. The text is read from the folder the tests are run in.
 */
#include "format.h"

#include <stdio.h>

#include "engine/event.h"
#include "groups.h"
#include "io/file.h"

/* A cell of a table row, spaces and backquotes taken off. */
static struct str cell(struct str *rest) {
    struct str s = str_trim(str_split(*rest, '|', rest));
    while (s.len && s.ptr[0] == '`' && s.ptr[s.len - 1] == '`') {
        s = str_sub(s, 1, s.len - 1);
    }
    return s;
}

bool format_read(struct format *f) {
    struct error e;
    struct str text, line;
    *f = (struct format){0};
    arena_init(&f->arena, 0);
    if (io_file_read("docs/FORMAT.md", 1u << 20, &f->arena, &text, &e)) {
        return false;
    }
    size_t at = str_find(text, STR("\n### Kinds\n"), 0);
    text = at == SIZE_MAX ? STR("") : str_sub(text, at, text.len);
    while (text.len) {
        line = str_split(text, '\n', &text);
        uint64_t number;
        struct str rest = line;
        (void)cell(&rest);
        struct str first = cell(&rest);
        if (line.len && line.ptr[0] == '|' && str_to_uint64(first, &number) && number < 128) {
            struct format_row row = {.number = (unsigned)number};
            row.name = cell(&rest);
            row.third = cell(&rest);
            row.doc = cell(&rest);
            row.fields = cell(&rest);
            bool is_event = number < 64 && (row.fields.len > 0 || str_is(row.third, "1"));
            struct format_row *into = is_event ? &f->events[number] : &f->fields[number];
            f->twice = f->twice || into->number;
            *into = row;
        }
    }
    return true;
}

void format_free(struct format *f) { arena_fini(&f->arena); }

static bool lists(struct str fields, struct str name) {
    while (fields.len) {
        struct str one = str_trim(str_split(fields, ',', &fields));
        if (str_eq(one, name)) {
            return true;
        }
    }
    return false;
}

bool format_allows(const struct format *f, unsigned event, const char *field) {
    return str_is(STR("follows"), field) ||
           (event < 64 && lists(f->events[event].fields, str_from(field)));
}

static void check_row(const struct format_row *row, unsigned number, const char *name,
                      const char *third, const char *doc) {
    if (!row->number) {
        fail_msg("docs/FORMAT.md has no row for %u %s", number, name);
    }
    assert_int_equal(row->number, number);
    if (!str_is(row->name, name) || !str_is(row->third, third) || !str_is(row->doc, doc)) {
        fail_msg("docs/FORMAT.md: the row of %u must be: %s | %s | %s", number, name, third, doc);
    }
}

static void the_tables_are_those_of_the_source(void **state) {
    (void)state;
    struct format f;
    if (!format_read(&f)) {
        print_message("docs/FORMAT.md is not here\n");
        format_free(&f);
        skip();
    }
    uint32_t rows = 0, expected = 0;
    assert_false(f.twice);
#define EVENT(number, id, name, version, doc)                  \
    check_row(&f.events[number], number, name, #version, doc); \
    expected++;
#define EVENT_FIELD(number, id, type, doc)                 \
    check_row(&f.fields[number], number, #id, #type, doc); \
    expected++;
#include "engine/events.def"
#undef EVENT
#undef EVENT_FIELD
    for (uint32_t i = 0; i < 128; i++) {
        rows += (uint32_t)(i < 64 && f.events[i].number) + (uint32_t)(f.fields[i].number > 0);
    }
    assert_int_equal(rows, expected);
    format_free(&f);
}

/* Names in the lists of fields are names of fields. */
static void the_lists_name_fields(void **state) {
    (void)state;
    struct format f;
    if (!format_read(&f)) {
        format_free(&f);
        skip();
    }
    for (uint32_t i = 0; i < 64; i++) {
        struct str rest = f.events[i].fields;
        while (rest.len && !str_is(rest, "none")) {
            struct str one = str_trim(str_split(rest, ',', &rest));
            bool known = false;
            for (uint32_t k = 0; k < 128; k++) {
                known = known || (f.fields[k].number && str_eq(f.fields[k].name, one));
            }
            if (!known) {
                fail_msg("docs/FORMAT.md: event %u lists %.*s, which is no field", i, STR_ARG(one));
            }
        }
    }
    format_free(&f);
}

int run_format_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_those_of_the_source),
        cmocka_unit_test(the_lists_name_fields),
    };
    return cmocka_run_group_tests_name("journal format", tests, NULL, NULL);
}
