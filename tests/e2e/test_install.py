"""make install: what it puts where, and that a program links against what it put there.
"""

import os
import subprocess

from conftest import TOP

PROGRAM = r"""
#include <cairn.h>
#include <stdio.h>

/* Names that the library uses inside, too. */
int buf_init(void);
int buf_init(void) { return 7; }

static void shout(struct cairn_step *s, void *ctx) {
    (void)ctx;
    cairn_step_done(s, "\"HELLO\"");
}

int main(void) {
    static const char text[] =
        "cairn: 1\nname: linked\nnodes:\n  a: {type: shout}\noutputs: {a: a}\n";
    struct cairn_kind kind = {.name = "shout", .doc = "shouts", .start = shout};
    struct cairn *c;
    struct cairn_workflow *w;
    struct cairn_execution *x;
    char why[CAIRN_ERROR_BYTES];
    if (cairn_open("memory:", &c, why) || cairn_register(c, &kind, why) ||
        cairn_load_text(c, text, "linked.yaml", &w, why) ||
        cairn_submit(c, w, NULL, &x, why) || cairn_run(c, why)) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    printf("%s %s %d\n", cairn_status(x), cairn_result(x), buf_init());
    cairn_close(c);
    return 0;
}
"""


def make_install(folder):
    environ = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    subprocess.run(
        ["make", "-s", "install", f"DESTDIR={folder}", "PREFIX=/usr"], cwd=TOP, env=environ,
        check=True, stdout=subprocess.DEVNULL,
    )


def test_a_program_links_against_the_installed_library(tmp_path):
    make_install(tmp_path)
    for name in ("bin/cairn", "include/cairn.h", "lib/libcairn.a", "share/doc/cairn/README.md",
                 "share/man/man1/cairn.1", "share/bash-completion/completions/cairn",
                 "share/zsh/site-functions/_cairn",
                 "share/fish/vendor_completions.d/cairn.fish"):
        assert (tmp_path / "usr" / name).stat().st_size > 0, name
    (tmp_path / "main.c").write_text(PROGRAM)
    libraries = subprocess.run(
        ["pkg-config", "--libs", "libuv", "jansson", "yaml-0.1", "sqlite3", "libzstd", "libxxhash"],
        check=True, capture_output=True, text=True,
    ).stdout.split()
    unknown = subprocess.run(["nm", "-u", tmp_path / "usr/lib/libcairn.a"], check=True,
                             capture_output=True, text=True).stdout
    build = (["-fsanitize=address,undefined"] if "__asan_init" in unknown else
             ["-fsanitize=thread"] if "__tsan_init" in unknown else
             ["--coverage"] if "__gcov_init" in unknown else [])
    subprocess.run(
        ["gcc", *build, "-Wall", "-Werror", f"-I{tmp_path}/usr/include", str(tmp_path / "main.c"),
         f"{tmp_path}/usr/lib/libcairn.a", *libraries, "-lm", "-lpthread",
         "-o", str(tmp_path / "main")],
        check=True,
    )
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == 'completed {"a":"HELLO"} 7\n'


def test_only_names_of_the_header_are_visible(tmp_path):
    make_install(tmp_path)
    symbols = subprocess.run(
        ["nm", "-g", "--defined-only", tmp_path / "usr/lib/libcairn.a"],
        check=True, capture_output=True, text=True,
    ).stdout.split("\n")
    names = [line.split()[2] for line in symbols if len(line.split()) == 3]
    assert "cairn_open" in names
    assert [name for name in names if not name.startswith("cairn_")] == []
