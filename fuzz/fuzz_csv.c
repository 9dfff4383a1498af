/* Any bytes as CSV: parsing must not crash, and what it accepts must survive printing: the rows are
 * read back identical, as long as there are any (without rows no header is printed).
 */
#include "value/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct value v, back, names;
    struct error e = {0};
    struct buf text;
    struct csv_style style = {0};
    struct str in = {(const char *)data, size};
    bool crlf;
    arena_init(&a, 256u << 20);
    buf_init(&text, 0);
    if (value_parse_csv(&a, in, &v, &e) == OK) {
        ASSERT(value_parse_csv_header(&a, in, &names, &crlf, &e) == OK);
        ASSERT(value_print_csv(v, &style, &a, &text, &e) == OK);
        ASSERT(value_parse_csv(&a, buf_str(&text), &back, &e) == OK);
        ASSERT(value_identical(v, back));
        ASSERT(!value_count(v) || value_count(v.items[0]) == value_count(names));
    } else {
        ASSERT(e.code != OK && e.message[0] != '\0');
        ASSERT(str_is_utf8(str_from(e.message)));
    }
    buf_fini(&text);
    arena_fini(&a);
    return 0;
}
