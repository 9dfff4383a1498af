"""docs/adding-a-node.md, followed literally: its files are written into a copy of the source tree,
its commands are run there, and what it says they print is compared.

Objects of the build under test are taken along, so that only what changed is compiled.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
CAIRN = pathlib.Path(os.environ.get("CAIRN_BIN") or TOP / "build/release/cairn").absolute()
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.M | re.S)
BUILDS = {"release", "debug", "asan", "tsan", "cov"}


def blocks():
    return BLOCK.findall((TOP / "docs/adding-a-node.md").read_text(encoding="utf-8"))


def copy_tree(to):
    for name in ["Makefile", "VERSION"]:
        shutil.copy2(TOP / name, to)
    for name in ["src", "include", "tools", "tests/unit/node", "tests/support"]:
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, to / name)


def copy_objects(to):
    """The compiler's output of the build under test becomes that of build/release in the copy."""
    out = to / "build/release"
    for name in ["obj/src", "obj/tests/unit/node", "obj/tests/support"]:
        if (CAIRN.parent / name).is_dir():
            shutil.copytree(CAIRN.parent / name, out / name)
    for name in ["flags", "libcairn.a", "libcairn.a.list"]:
        if (CAIRN.parent / name).exists():
            shutil.copy2(CAIRN.parent / name, out)
    for path in out.rglob("*.d"):  # what each object depends on names the object by its folder
        rules = path.read_text()
        folder = rules.split("/obj/", 1)[0]
        path.write_text(rules.replace(f"{folder}/obj/", "build/release/obj/"))


def make_variables():
    """What makes `make` use the flags of the build under test."""
    flags = CAIRN.parent / "flags"
    words = flags.read_text().split() if flags.exists() else []
    build = CAIRN.parent.name if CAIRN.parent.name in BUILDS else "release"
    variables = [f"BUILD={build}", "OUT=build/release"]
    variables += [f"CC={words[0]}"] if words else []
    return variables + (["WERROR=1"] if "-Werror" in words else [])


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    to = tmp_path_factory.mktemp("tree")
    copy_tree(to)
    copy_objects(to)
    return to


def write(tree, where, text):
    path, _, mode = where.partition(" ")
    if mode == "+":
        with open(tree / path, "a", encoding="utf-8") as file:
            file.write(text)
    else:
        assert not (tree / path).exists(), f"{path} exists already"
        (tree / path).write_text(text, encoding="utf-8")


def shell(tree, line):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    env["CAIRN_STORE"] = str(tree / "store" / "cairn.db")
    if line.startswith("make "):
        line += " " + " ".join(f"'{v}'" for v in make_variables())
    return subprocess.run(
        line, shell=True, cwd=tree, env=env, capture_output=True, text=True, timeout=300
    )


def check_printed(language, expected, printed):
    """A json or text block tells what the last command before it printed."""
    if language == "json":
        assert json.loads(printed)["finalResult"] == json.loads(expected)
    else:
        for line in expected.splitlines():
            assert line in printed


def test_the_page_works(tree):
    printed, commands, files = "", 0, 0
    for language, where, text in blocks():
        if language == "sh":
            for line in text.splitlines():
                done = shell(tree, line)
                printed = done.stdout if "--json" in line else done.stdout + done.stderr
                assert (done.returncode != 0) == (where == "fails"), f"{line}\n{printed}"
                assert "warning:" not in done.stderr, f"{line}\n{done.stderr}"
                commands += 1
        elif where:
            write(tree, where, text)
            files += 1
        else:
            check_printed(language, text, printed)
    assert (files, commands) == (6, 6)


def test_the_new_kinds_are_known_everywhere(tree):
    kinds = shell(tree, "build/release/cairn kinds").stdout
    assert "slug" in kinds and "turns a text into small letters" in kinds
    schema = json.loads(shell(tree, "build/release/cairn schema").stdout)
    assert {"text", "separator"} <= set(schema["$defs"]["node_slug"]["properties"])


def test_only_files_that_the_page_names_changed(tree):
    """One new file and one row for each kind, in src."""
    changed = []
    for path in sorted((tree / "src").rglob("*")):
        original = TOP / path.relative_to(tree)
        if path.is_file() and (
            not original.exists() or original.read_bytes() != path.read_bytes()
        ):
            changed.append(str(path.relative_to(tree)))
    assert changed == ["src/node/kinds.def", "src/node/nap.c", "src/node/slug.c"]
