"""tools/coverage with a gcovr that says what the test wants: what it sums up, and when it fails."""

import json
import os
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MUST = ["engine", "flow", "host", "store", "expr"]


def file(name, lines, branches):
    return {"filename": name, "line_total": 200, "line_covered": lines, "branch_total": 100,
            "branch_covered": branches}


def coverage(tmp_path, *files):
    """(exit status, lines) for these files, and well-tested ones in the modules that must be."""
    path = tmp_path / "bin/gcovr"
    (tmp_path / "out/obj/src").mkdir(parents=True)
    path.parent.mkdir()
    rest = [file(f"src/{m}/good.c", 190, 80) for m in MUST
            if not any(f["filename"].startswith(f"src/{m}/") for f in files)]
    (tmp_path / "said").write_text(json.dumps({"files": [*files, *rest]}))
    path.write_text(f"#!/bin/sh\ncat {tmp_path}/said\n")
    path.chmod(0o755)
    done = subprocess.run(
        [os.path.join(TOP, "tools/coverage"), str(tmp_path / "out")], capture_output=True,
        text=True, env={**os.environ, "PATH": f"{path.parent}:{os.environ['PATH']}"},
    )
    return done.returncode, done.stdout.splitlines()


def test_files_and_modules_are_summed_up(tmp_path):
    status, lines = coverage(tmp_path, file("src/cli/a.c", 10, 0), file("src/cli/b.c", 100, 50))
    assert status == 0
    assert "   5.0 % of 200    lines     0.0 % of 100    branches  src/cli/a.c" in lines
    assert "  27.5 % of 400    lines    25.0 % of 200    branches  src/cli" in lines


@pytest.mark.parametrize("lines, branches, status", [
    (180, 75, 0), (179, 100, 1), (200, 74, 1),
])
def test_too_few_lines_or_branches_fail(tmp_path, lines, branches, status):
    got, said = coverage(tmp_path, file("src/host/a.c", lines, branches))
    assert got == status
    assert ("too little of host: 90 % of the lines and 75 % of the branches are wanted" in said
            ) == bool(status)


def test_it_says_when_nothing_was_run(tmp_path):
    done = subprocess.run([os.path.join(TOP, "tools/coverage"), str(tmp_path / "none")],
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"nothing in {tmp_path}/none: run make coverage\n"
