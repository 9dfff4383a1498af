/* Which code may share a process: by the words of its text. */
#include "groups.h"

#include "node/code_priv.h"

static const char *const lines[] = {"", NULL};
static const struct code_language python = {.name = "python", .lines = lines},
                                  js = {.name = "javascript", .lines = lines, .js = true},
                                  shell = {.name = "bash"};

static bool is_pure(const struct code_language *language, const char *text) {
    struct code_data d = {.language = language, .text = str_from(text)};
    return code_is_pure(&d);
}

static void python_that_only_computes_is(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "return 1",
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nreturn fib(10)",
        "return {k: v['total'] for k, v in inputs.items() if isinstance(v, dict)}",
        "opened, important, exit_code, helper = 1, 2, 3, 4\nreturn reopen(opened) if 0 else None",
        "print(f'{first:>10}')  # evaluates nothing",
        "class Point: x = 0\nreturn type(Point).mro",
        "_private = 1\nreturn _private",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!is_pure(&python, texts[i])) {
            fail_msg("not pure: %s", texts[i]);
        }
    }
}

static void python_that_reaches_out_is_not(void **state) {
    (void)state;
    static const char *const texts[] = {
        "import json\njson.dumps = None",
        "from os import environ",
        "return open('x').read()",
        "x = 1\nexec('y = 2')",
        "return eval('1')",
        "return compile('1', 'x', 'eval')",
        "return input()",
        "globals()['x'] = 1",
        "return vars(x)",
        "return getattr(x, 'y')",
        "setattr(x, 'y', 1)",
        "delattr(x, 'y')",
        "breakpoint()",
        "help.x = 1",
        "license.x = 1",
        "credits.x = 1",
        "copyright.x = 1",
        "exit()",
        "quit()",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "class E(BaseException): pass\nraise E",
        "raise GeneratorExit",
        "def f():\n  try: yield\n  finally: print(1)",
        "async def f(): pass",
        "return await f()",
        "print.__self__.len = None",
        "x.__class__",
        "(1 for x in y).gi_frame",
        "e.tb_frame",
        "frame.f_back",
        "e.traceback",
        "\xef\xbd\x8fpen('x')", /* which Python reads as open */
        "return 'gr\xc3\xbc\xc3\x9f'",
        "# import",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (is_pure(&python, texts[i])) {
            fail_msg("pure: %s", texts[i]);
        }
    }
}

static void javascript_has_its_own_words(void **state) {
    (void)state;
    assert_true(is_pure(&js, "globalThis.x = 1; return open(eval('x'))"));
    assert_true(is_pure(&js, "return 'gr\xc3\xbc\xc3\x9f'"));
    assert_false(is_pure(&js, "require('fs')"));
    assert_false(is_pure(&js, "x.reimported"));
    assert_false(is_pure(&js, "'\\x41'"));
}

static void programs_are_not(void **state) {
    (void)state;
    assert_false(is_pure(NULL, ""));
    assert_false(is_pure(&shell, "true"));
}

int code_pure_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(python_that_only_computes_is),
        cmocka_unit_test(python_that_reaches_out_is_not),
        cmocka_unit_test(javascript_has_its_own_words),
        cmocka_unit_test(programs_are_not),
    };
    return cmocka_run_group_tests_name("node code pure", tests, NULL, NULL);
}
