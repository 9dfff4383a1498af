"""docs/guarantees.md: no promise without a test, and every test that it names exists."""

import os
import re

import pytest
from conftest import TOP

PAGE = os.path.join(TOP, "docs/guarantees.md")
FAILURE_MODES = [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 14, 15, 16, 18]
NAMED = re.compile(r"`([\w./-]+)::(\w+)`")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as handle:
        return handle.read()


def tables():
    """(heading, cells) of every row that is no head of a table."""
    heading, rows = "", []
    lines = read(PAGE).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("| ") and not following.startswith("|---"):
            rows.append((heading, [cell.strip() for cell in line.strip("|").split("|")]))
    return rows


ROWS = tables()


@pytest.mark.parametrize("heading, cells", ROWS, ids=[cells[0][:50] for _, cells in ROWS])
def test_each_promise_names_tests_and_nothing_else(heading, cells):
    assert all(cells), "an empty cell"
    assert NAMED.findall(cells[-1])
    assert not NAMED.sub("", cells[-1]).strip()
    assert not any(NAMED.search(cell) for cell in cells[:-1])


def is_test(path, name):
    """A function of pytest, or one in C that is called or listed: a test of a group, an invariant of
    the simulator, a loop over what fails."""
    text = read(path)
    if path.endswith(".py"):
        return re.search(rf"^def {name}\(", text, re.M) and name.startswith("test_")
    defined = re.search(rf"^(static )?(void|bool) {name}\(", text, re.M)
    if path.startswith("tests/sim/"):
        folder = os.path.join(TOP, "tests/sim")
        text = "".join(read(os.path.join(folder, f)) for f in os.listdir(folder) if f.endswith(".c"))
    used = re.findall(rf"\b{name}\b", text)
    return defined and len(used) > 1


def test_the_tests_exist():
    named = {pair for _, cells in ROWS for pair in NAMED.findall(cells[-1])}
    missing = [f"{path}::{name}" for path, name in sorted(named)
               if not os.path.exists(os.path.join(TOP, path)) or not is_test(path, name)]
    assert not missing


def test_every_failure_mode_has_tests_with_its_number():
    rows = {int(cells[0]): cells for heading, cells in ROWS if heading.startswith("Failure modes")}
    assert list(rows) == FAILURE_MODES
    for number, cells in rows.items():
        names = [name for _, name in NAMED.findall(cells[-1])]
        assert all(f"failure_mode_{number:02}_" in name for name in names), number


def test_every_test_of_a_failure_mode_is_in_the_table():
    named = {name for _, cells in ROWS for _, name in NAMED.findall(cells[-1])}
    for path in ("tests/e2e/test_failure_modes.py", "tests/unit/host/modes.c",
                 "tests/store/sqlite_modes.c"):
        found = set(re.findall(r"\b(?:test_)?failure_mode_\d\d_\w+", read(path)))
        assert found and found <= named, path
