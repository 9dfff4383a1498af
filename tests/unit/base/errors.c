/* struct error: codes and their exit statuses, cutting of long messages, wrapping, aliasing.
 *
 * Names of codes are public (they appear in JSON answers), so those that others rely on are
 * written out here again.
 */
#include "groups.h"

#include <stdio.h>

static void codes_have_names_and_statuses(void **state) {
    (void)state;
    assert_string_equal(err_name(OK), "ok");
    assert_int_equal(err_exit_code(OK), 0);
    assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
    assert_int_equal(err_exit_code(ERR_INVALID), 2);
    assert_int_equal(err_exit_code(ERR_SHUTDOWN), 130);
    for (int a = 1; a < ERR_COUNT; a++) {
        assert_true(strlen(err_name((enum err)a)) > 0);
        assert_true(err_exit_code((enum err)a) > 0);
        for (int b = 0; b < a; b++)
            assert_string_not_equal(err_name((enum err)a), err_name((enum err)b));
    }
}

static void set_returns_the_code(void **state) {
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, ERR_LIMIT, "%d is too many", 5), ERR_LIMIT);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_string_equal(e.message, "5 is too many");
    assert_string_equal(e.file, "");
    assert_int_equal(e.mark.line, 0);
    assert_int_equal(error_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(error_wrap(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(error_nomem(&e), ERR_NOMEM);
    assert_string_equal(e.message, "out of memory");
}

static void mark_is_kept_and_file_copied(void **state) {
    (void)state;
    char file[] = "flow.yaml";
    struct error e;
    (void)error_at(&e, ERR_INVALID, (struct mark){file, 3, 14}, "bad");
    file[0] = 'X';
    assert_string_equal(e.file, "flow.yaml");
    assert_int_equal(e.mark.line, 3);
    assert_int_equal(e.mark.column, 14);
}

static void long_file_keeps_its_end(void **state) {
    (void)state;
    char file[400];
    memset(file, 'd', sizeof file);
    memcpy(file + sizeof file - 11, "/end.yaml\0", 11);
    struct error e;
    (void)error_at(&e, ERR_INVALID, (struct mark){file, 1, 1}, "bad");
    assert_int_equal(strlen(e.file), sizeof e.file - 1);
    assert_memory_equal(e.file, "...d", 4);
    assert_true(str_ends(str_from(e.file), STR("/end.yaml")));
}

static void long_message_is_cut_at_a_character(void **state) {
    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        char text[2000] = "";
        memset(text, 'x', lead);
        for (size_t i = lead; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4); /* euro sign */
        struct error e;
        (void)error_set(&e, ERR_INVALID, "%s", text);
        struct str m = str_from(e.message);
        assert_true(m.len < ERROR_MESSAGE_BYTES && m.len > ERROR_MESSAGE_BYTES - 8);
        assert_true(str_is_utf8(m));
        assert_true(str_ends(m, STR("...")));
    }
}

static void message_of_full_length_is_not_cut(void **state) {
    (void)state;
    struct error e;
    (void)error_set(&e, ERR_INVALID, "%0*d", ERROR_MESSAGE_BYTES - 1, 1);
    assert_int_equal(strlen(e.message), ERROR_MESSAGE_BYTES - 1);
    assert_true(str_ends(str_from(e.message), STR("001")));
    (void)error_set(&e, ERR_INVALID, "%0*d", ERROR_MESSAGE_BYTES, 1);
    assert_true(str_ends(str_from(e.message), STR("00...")));
}

static void wrap_puts_a_prefix(void **state) {
    (void)state;
    struct error e;
    (void)error_at(&e, ERR_INVALID, (struct mark){"f", 2, 1}, "bad");
    assert_int_equal(error_wrap(&e, ERR_INVALID, "node %s", "n"), ERR_INVALID);
    assert_string_equal(e.message, "node n: bad");
    assert_int_equal(e.mark.line, 2);
    assert_string_equal(e.file, "f");
    for (int i = 0; i < 400; i++)
        (void)error_wrap(&e, ERR_INVALID, "again");
    assert_true(strlen(e.message) < ERROR_MESSAGE_BYTES);
    assert_true(str_ends(str_from(e.message), STR("...")));
}

static void arguments_may_be_the_error_itself(void **state) {
    (void)state;
    struct error e;
    (void)error_at(&e, ERR_INVALID, (struct mark){"f.yaml", 2, 1}, "bad");
    (void)error_at(&e, ERR_LIMIT, (struct mark){e.file, 4, 1}, "worse than %s", e.message);
    assert_string_equal(e.message, "worse than bad");
    assert_string_equal(e.file, "f.yaml");
}

static void bytes_that_are_no_text_are_replaced(void **state) {
    (void)state;
    struct error e;
    (void)error_at(&e, ERR_INVALID, (struct mark){"f\xFF", 1, 1}, "near '%s'", "\xC3\xA4\xC3 \xF0");
    assert_string_equal(e.message, "near '\xC3\xA4? ?'");
    assert_string_equal(e.file, "f?");
    (void)error_set(&e, ERR_INVALID, "%s", "\xEF\xBF\xBD"); /* U+FFFD itself stays */
    assert_string_equal(e.message, "\xEF\xBF\xBD");
}

int run_error_tests(void) {
    const struct CMUnitTest tests[] = {
        TEST(codes_have_names_and_statuses),       TEST(set_returns_the_code),
        TEST(mark_is_kept_and_file_copied),        TEST(long_file_keeps_its_end),
        TEST(long_message_is_cut_at_a_character),  TEST(message_of_full_length_is_not_cut),
        TEST(bytes_that_are_no_text_are_replaced), TEST(wrap_puts_a_prefix),
        TEST(arguments_may_be_the_error_itself),
    };
    return cmocka_run_group_tests_name("base: errors", tests, NULL, NULL);
}
