"""The checkers of `make tidy`, each tried on small trees that break one rule."""

import os
import shutil
import subprocess
import textwrap

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMENT = "/* What this is.\n * What it never does.\n */\n"


class Tree:
    """A small project of its own, with copies of nothing but layers.txt."""

    def __init__(self, root):
        self.root = root
        shutil.copy(os.path.join(TOP, "tools/layers.txt"), self.path("tools/layers.txt"))

    def path(self, name):
        full = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        return full

    def write(self, name, text, comment=COMMENT):
        with open(self.path(name), "w", encoding="utf-8") as handle:
            handle.write(comment + textwrap.dedent(text))

    def run(self, tool, *arguments):
        done = subprocess.run(
            [os.path.join(TOP, "tools", tool), *arguments, str(self.root)],
            capture_output=True, text=True,
        )
        assert done.stderr == ""
        assert done.returncode == (1 if done.stdout else 0)
        return done.stdout.splitlines()

    def layers(self):
        return self.run("check-layers")

    def sizes(self):
        return self.run("check-sizes")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


# --- layers ------------------------------------------------------------------------------------


def test_the_project_keeps_its_own_layers():
    done = subprocess.run([os.path.join(TOP, "tools/check-layers")], capture_output=True, text=True)
    assert done.stdout == "" and done.returncode == 0


def test_allowed_includes_pass(tree):
    tree.write("src/value/a.c", '#include "base/base.h"\n#include "value/a_priv.h"\n#include <stdio.h>\n')
    tree.write("src/cli/main.c", "#include \"node/node.h\"\n")
    tree.write("src/embed/embed.c", "#include <cairn.h>\n")
    tree.write("src/value/json.c", "#include <jansson.h>\n")
    assert tree.layers() == []


@pytest.mark.parametrize(
    "file, line, message",
    [
        ("src/engine/a.c", '#include "node/node.h"', "engine may not include node"),
        ("src/host/a.c", '#include "node/node.h"', "host may not include node"),
        ("src/base/a.c", '#include "value/value.h"', "base may not include value"),
        ("src/base/a.h", "#  include <value/value.h>", "base may not include value"),
        ("src/node/kinds.def", '#include "store/store.h"', "node may not include store"),
        ("src/value/a.c", '#include "nowhere/a.h"', "unknown module nowhere"),
        ("src/nowhere/a.c", "int x;", "unknown module nowhere"),
        ("src/cli/a.c", '#include "flow/plan_priv.h"', "flow/plan_priv.h is private to flow"),
        ("src/value/a.c", '#include "path.h"', 'include "path.h" as "module/file"'),
        ("src/value/a.c", '#include "../base/base.h"', 'as "module/file"'),
        ("src/value/path.c", "#include <jansson.h>", "jansson.h is included only in value/json.c"),
        ("src/host/a.c", "#include <sqlite3.h>", "sqlite3.h is included only in store"),
        ("src/host/a.c", "#include <uv.h>", "uv.h is included only in io net"),
        ("src/engine/a.c", "void f(void) { clock_gettime(0, 0); }", "clock_gettime() is called only in io"),
        ("src/flow/a.c", "void f(void) { x = fopen(name, mode); }", "fopen() is called only in io store"),
        ("src/host/a.c", "void f(void) { if (fork () == 0) return; }", "fork() is called only in io"),
        ("src/main.c", "int x;", "belongs in the folder of a module"),
        ("include/cairn.h", '#include "base/base.h"', "a public header stands alone"),
    ],
)
def test_forbidden_is_found_with_its_line(tree, file, line, message):
    tree.write(file, f"\n{line}\n")
    found = tree.layers()
    assert len(found) == 1
    where, text = found[0].split(": ", 1)
    assert where.split(":")[0] == file
    assert where.split(":")[1] == ("1" if "nowhere/" in file or file == "src/main.c" else "5")
    assert message in text


def test_what_only_looks_like_a_call_is_let_be(tree):
    tree.write(
        "src/engine/a.c",
        """
        /* fork() */ // fopen(
        const char *s = "open(";
        static int wait(int x) { return x; }
        int f(struct o *o) { return o->open(1) + ops.time(2) + reopen(3) + wait(4); }
        """,
    )
    assert tree.layers() == []


def test_an_include_in_a_comment_is_none(tree):
    tree.write("src/base/a.c", '/*\n#include "value/value.h"\n*/\n// #include "cli/cli.h"\n')
    assert tree.layers() == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("base:\nvalue: base io\nio: base\n", "2: value names io, which is not on a line above it"),
        ("base: base\n", "1: base names base, which is not on a line above it"),
        ("base:\nbase:\n", "2: base stands twice"),
        ("base:\nheader uv.h: io\n", "2: no module io"),
        ("base\n", "1: not understood: base"),
    ],
)
def test_a_wrong_layer_file_is_refused(tree, text, message):
    with open(tree.path("tools/layers.txt"), "w", encoding="utf-8") as handle:
        handle.write(text)
    found = tree.layers()
    assert len(found) == 1 and found[0].endswith("layers.txt:" + message)


def test_an_exception_needs_a_reason_and_a_use(tree):
    tree.write("src/engine/a.c", "void f(void) { clock_gettime(0, 0); }\n")
    allow = tree.path("tools/tidy.allow")
    with open(allow, "w", encoding="utf-8") as handle:
        handle.write("# why\ncall src/engine/a.c:clock_gettime a reason that is long enough\n")
    assert tree.layers() == []
    with open(allow, "a", encoding="utf-8") as handle:
        handle.write("call src/engine/b.c:fork a reason that is long enough\n")
    assert ["nothing needs the exception" in line for line in tree.layers()] == [True]
    with open(allow, "w", encoding="utf-8") as handle:
        handle.write("call src/engine/a.c:clock_gettime\n")
    found = tree.layers()
    assert len(found) == 2 and "wants: rule place reason" in found[0]


# --- sizes -------------------------------------------------------------------------------------


def function_of(lines, name="f"):
    return f"int {name}(void) {{\n" + "    x = 1;\n" * (lines - 2) + "}\n"


def test_a_clean_file_passes(tree):
    tree.write("src/base/a.c", function_of(70) + "\nstatic int g(int a, int b) {\n    return a;\n}\n")
    assert tree.sizes() == []


def test_a_long_function_is_found(tree):
    tree.write("src/base/a.c", "\n" + function_of(20, "short_one") + function_of(71, "long_one"))
    assert tree.sizes() == ["src/base/a.c:25: function-length: long_one: 71, 70 at most"]


@pytest.mark.parametrize(
    "head",
    [
        "static const struct a *f(int x)",
        "static\nint\nf(int x)",
        "MUST_USE int f(int x)",
        "__attribute__((noinline)) static int f(int x)",
        "PRINTF_LIKE(1, 2) int f(const char *x, ...)",
        "static void (*f(int x))(int)",
        "int f(int x) UNUSED",
    ],
)
def test_functions_are_recognised_in_every_dress(tree, head):
    body = "    x = 1;\n" * 80
    tree.write("src/base/a.c", f"struct s {{\n    int x;\n}};\n{head} {{\n{body}}}\n")
    found = tree.sizes()
    assert len(found) == 1 and ": function-length: f: " in found[0]


def test_tables_and_structs_are_no_functions(tree):
    rows = "    {1, (int)2},\n" * 90
    tree.write("src/base/a.c", f"struct s {{\n{'    int x;' + chr(10)}}};\nint t[] = {{\n{rows}}};\n")
    assert tree.sizes() == []


NESTED = """
    int f(int a) {
        for (;;) {
            if (a) {
                while (a) {
                    switch (a) {
                    case 1:
                        %s
                    }
                }
            }
        }
    }
"""


@pytest.mark.parametrize(
    "inner, deep",
    [
        ("return 1;", False),
        ("x = (struct s){.a = {1}};", False),
        ("if (a) return 1;", True),
        ("if (a) { return 1; }", True),
        ("FOREACH(x, y) { return 1; }", True),
        ("do a--; while (a);", True),
        ("{ a = 1; }", True),
    ],
)
def test_nesting(tree, inner, deep):
    tree.write("src/base/a.c", NESTED % inner)
    found = tree.sizes()
    assert found == (["src/base/a.c:5: nesting: f: 5, 4 at most"] if deep else [])


def test_else_if_is_no_deeper(tree):
    chain = " else ".join(f"if (a == {i}) {{ x = a ? 1 : 2; }}" for i in range(9))
    tree.write("src/base/a.c", "int f(int a) {\n    " + chain.replace(" else ", "\n    else ") + "\n}\n")
    assert tree.sizes() == []


def test_params(tree):
    six = "int a, int (*b)(int, int), int c[2], int d, int e, int f"
    tree.write("src/base/a.c", f"int six({six}) {{\n}}\nint seven({six}, int g) {{\n}}\n")
    assert tree.sizes() == ["src/base/a.c:6: params: seven: 7, 6 at most"]


@pytest.mark.parametrize(
    "file, text, comment, message",
    [
        ("src/base/a.c", "int x;\n" * 998, COMMENT, "1001: file-length: 1001 lines, 1000 at most"),
        ("src/base/a.h", "int x;\n" * 198, COMMENT, "201: header-length: 201 lines in a public"),
        ("include/cairn.h", "int x;\n" * 198, COMMENT, "201: header-length: 201 lines in a public"),
        ("src/base/a.c", "int x" + " " * 95 + "y;\n", COMMENT, "4: line-length: 102 columns"),
        ("src/base/k.def", "X(" + "a" * 99 + ")\n", COMMENT, "4: line-length: 102 columns"),
        ("src/base/a.c", "int x; \n", COMMENT, "4: space: a tab or trailing blanks"),
        ("src/base/a.c", "int\tx;\n", COMMENT, "4: space: a tab or trailing blanks"),
        ("src/base/a.c", "int x;", COMMENT, "4: space: no newline at the end"),
        ("src/base/a.c", "int x; /* TODO: y */\n", COMMENT, "4: todo: int x;"),
        ("src/base/a.c", "int x;\n", "", "1: opening-comment: the file doesn't open"),
        ("tests/unit/base/a.c", "int x;\n", "", "1: opening-comment: the file doesn't open"),
        ("src/base/a.c", "int x;\n", "/* one */\n", "1: opening-comment: 1 lines; 3 to 12"),
        ("src/base/a.c", "int x;\n", "/*" + "\n" * 12 + "*/\n", "1: opening-comment: 13 lines"),
    ],
)
def test_form(tree, file, text, comment, message):
    tree.write(file, text, comment)
    found = tree.sizes()
    assert len(found) == 1
    assert found[0].startswith(f"{file}:{message}")


def test_a_private_header_may_be_long(tree):
    tree.write("src/base/a_priv.h", "int x;\n" * 300)
    assert tree.sizes() == []


def test_an_excepted_function_may_be_long(tree):
    tree.write("src/base/a.c", function_of(80))
    with open(tree.path("tools/tidy.allow"), "w", encoding="utf-8") as handle:
        handle.write("function-length src/base/a.c:f one table of cases, no shorter by cutting\n")
    assert tree.sizes() == []


# --- exports -----------------------------------------------------------------------------------


def exports(tree, sources):
    out = os.path.join(tree.root, "out")
    for name, text in sources.items():
        tree.write(name, text)
        target = os.path.join(out, "obj", name[:-2] + ".o")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        subprocess.run(["gcc", "-c", "-o", target, tree.path(name)], check=True)
    return tree.run("check-exports", out)


def test_exports_that_nobody_uses_are_found(tree):
    found = exports(
        tree,
        {
            "src/base/a.c": """
                int used(void) { return 1; }
                int dead(void) { return 2; }
                int tested(void) { return 3; }
                int inside(void) { return 4; }
                int public_one(void) { return inside(); }
                static int fine(void) { return 5; }
                int (*table)(void) = fine;
            """,
            "src/value/b.c": "int used(void);\nextern int (*table)(void);\nint x(void) { return used() + table(); }\n",
            "src/cli/main.c": "int x(void);\nint main(void) { return x(); }\n",
            "tests/unit/base/t.c": "int tested(void);\nint main(void) { return tested(); }\n",
            "include/cairn.c": "int public_one(void);\n",
        },
    )
    assert "src/base/a.c: export: public_one: nobody uses it outside this file" in found
    tree.write("include/cairn.h", "int public_one(void);\n")
    assert tree.run("check-exports", os.path.join(tree.root, "out")) == [
        "src/base/a.c: export: dead: nobody uses it outside this file",
        "src/base/a.c: export: inside: nobody uses it outside this file",
        "src/base/a.c: export: tested: only tests use it",
    ]
