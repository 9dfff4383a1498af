"""tools/run-tests on made-up groups: what it counts, what it shows, when it fails."""

import json
import os
import shutil
import signal
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Project:
    """A folder with the runner, a checker that is content, and the programs a test puts there."""

    def __init__(self, root):
        self.root = str(root / "project")
        self.program("tools/check-layers", "exit 0")
        shutil.copy(os.path.join(TOP, "tools/run-tests"), self.path("tools/run-tests"))

    def path(self, name):
        full = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        return full

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as handle:
            handle.write(text)

    def program(self, name, script):
        self.write(name, f"#!/bin/sh\n{script}\n")
        os.chmod(self.path(name), 0o755)

    def run(self, *arguments):
        """Returns (exit status, all lines, the last line)."""
        done = subprocess.run(
            [self.path("tools/run-tests"), "--out", self.path("out"), *arguments],
            capture_output=True, text=True,
            env={k: v for k, v in os.environ.items() if not k.endswith("SAN_OPTIONS")},
        )
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        return done.returncode, lines, lines[-1]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def said(text):
    return f"cat <<'END'\n{text}\nEND"


def test_every_group_is_counted(project):
    project.program("out/tests/unit-base", said("1..3\nok 1 - a\nok 2 # SKIP b\nok 3 - c"))
    project.program("out/tests/store-suite", said("1..1\nok 1 - a\n1..2\nok 1 - a\nok 2 - b"))
    project.program("out/tests/sim", said("seed 1\npassed 500 failed 0"))
    project.program("out/cairn-engine-cases", said("passed 7 failed 0"))
    project.write("tests/cases/engine/a.jsonl", "{}\n")
    project.write(
        "tests/e2e/test_a.py",
        "import os, pytest\n"
        "def test_a(): assert os.environ['CAIRN_BIN'].endswith('/out/cairn')\n"
        "@pytest.mark.skip(reason='not here')\n"
        "def test_b(): pass\n",
    )
    status, lines, last = project.run()
    # layers 1, unit 2 + 1 skipped, store 3, cases 7, no oracle, sim 500, pytest 1 + 1 skipped
    assert last == "514 passed, 0 failed, 3 skipped"
    assert status == 0
    assert any("not here" in line for line in lines)
    assert any("[skipped: b]" in line for line in lines)
    assert any("no ../shared/oracle/cases.jsonl" in line for line in lines)


def test_the_oracle_is_run_where_it_is(project, tmp_path):
    project.program("out/cairn-engine-cases", 'test -s "$1" && echo passed 86 failed 0')
    (tmp_path / "shared/oracle").mkdir(parents=True)
    (tmp_path / "shared/oracle/cases.jsonl").write_text("{}\n")
    assert project.run()[2] == "87 passed, 0 failed, 0 skipped"


def test_it_goes_on_after_a_failure_and_shows_it(project):
    project.program("out/tests/unit-a", said("1..2\nok 1 - x\nnot ok 2 - y\n# 1 != 2") + "\nexit 1")
    project.program("out/tests/unit-b", said("1..1\nok 1 - z"))
    status, lines, last = project.run()
    assert (status, last) == (1, "3 passed, 1 failed, 0 skipped")
    assert "# 1 != 2" in lines


@pytest.mark.parametrize(
    "script, note",
    [
        ("exit 0", "exited with status 0 and reported no test"),
        ("echo nonsense; exit 3", "exited with status 3 and reported no test"),
        (said("1..1\nok 1 - a") + "\nexit 23", "exited with status 23 though no test failed"),
        (said("1..3\nok 1 - a") + "\nkill -ABRT $$", "2 of 3 announced tests never reported"),
        (said("1..3\nok 1 - a") + "\nkill -ABRT $$", "was ended by SIGABRT"),
        (said("1..1\nok 1 - a") + "\nkill -SEGV $$", "was ended by SIGSEGV though no test failed"),
        (said("1..1\nok 1 - a") + "\nsleep 60", "stopped after 1 s"),
    ],
)
def test_a_program_that_breaks_fails(project, script, note):
    project.program("out/tests/unit-a", script)
    status, lines, last = project.run("--timeout", "1")
    assert status == 1
    assert ", 1 failed, " in last
    assert any(note in line for line in lines)


def test_sim_must_end_with_its_tally(project):
    project.program("out/tests/sim", said("passed 5 failed 0\nand then it stopped"))
    assert project.run()[2] == "1 passed, 1 failed, 0 skipped"
    project.program("out/tests/sim", said("seed 7 broke\npassed 5 failed 2") + "\nexit 1")
    assert project.run()[2] == "6 passed, 2 failed, 0 skipped"


def test_plain_cmocka_is_read_too(project):
    text = "[==========] 3 test(s) run.\n[  PASSED  ] 2 test(s).\n[  FAILED  ] 1 test(s), listed below:"
    project.program("out/tests/unit-a", said(text) + "\nexit 1")
    assert project.run()[2] == "3 passed, 1 failed, 0 skipped"


def test_pytest_failures_and_broken_files_count(project):
    project.write("tests/e2e/test_a.py", "def test_a(): assert 1 == 2\ndef test_b(): pass\n")
    project.write("tests/tools/test_b.py", "import nothing_of_that_name\n")
    status, lines, last = project.run()
    assert (status, last) == (1, "2 passed, 2 failed, 0 skipped")
    assert any("assert 1 == 2" in line for line in lines)


REPORTING = """
for options in "$ASAN_OPTIONS" "$TSAN_OPTIONS" "$UBSAN_OPTIONS"; do
    echo "$options" | tr : '\\n' | sed -n 's/^log_path=//p'
done > paths
echo 'ok 1 - fine'
"""


def test_what_a_sanitizer_reports_fails_though_nobody_waits_for_the_process(project):
    project.program("out/tests/unit-well", REPORTING)
    project.program("out/tests/unit-racy", REPORTING + "echo 'WARNING: a race' > $(sed -n 2p paths).77")
    status, lines, last = project.run("--jobs", "1")
    assert (status, last) == (1, "3 passed, 1 failed, 0 skipped")
    assert "tsan.77:" in lines and "WARNING: a race" in lines
    assert any("unit-racy" in line and "1 FAILED" in line and "[reports of a sanitizer: 1]" in line
               for line in lines)
    with open(project.path("paths"), encoding="utf-8") as handle:
        assert [os.path.basename(path.strip()) for path in handle] == ["asan", "tsan", "ubsan"]


def test_who_was_killed_while_it_looked_for_leaks_has_nothing_to_report(project):
    project.program("out/tests/unit-killed", REPORTING + """
echo '==78==Unable to get registers from thread 77.' > $(sed -n 1p paths).77
""")
    status, _, last = project.run()
    assert (status, last) == (0, "2 passed, 0 failed, 0 skipped")


def test_what_is_reported_after_the_end_fails_too(project):
    project.program("out/tests/unit-gone", REPORTING + """
path=$(sed -n 2p paths).88
setsid sh -c 'touch apart; while test -e running; do sleep 0.01; done; echo late >'$path &
while ! test -e apart; do sleep 0.01; done # else it ends with this group
""")
    project.program("out/tests/unit-running", """
echo 'ok 1 - fine'
rm running
while ! test -s $(sed -n 2p paths).88; do sleep 0.01; done
""")
    project.write("running", "")
    status, lines, last = project.run("--jobs", "1")
    assert (status, last) == (1, "3 passed, 1 failed, 0 skipped")
    assert "late" in lines


def test_a_broken_layer_fails(project):
    project.program("tools/check-layers", "echo src/a.c:1: wrong; exit 1")
    project.program("out/tests/unit-a", said("1..1\nok 1 - a"))
    assert project.run()[2] == "1 passed, 1 failed, 0 skipped"


def test_nothing_to_run_is_a_failure(project):
    status, _, last = project.run("--only", "no such group")
    assert (status, last) == (1, "0 passed, 0 failed, 0 skipped")


def group_lines(lines):
    return [line.split()[0] for line in lines if " passed" in line][:-1]


def test_groups_run_side_by_side_and_are_told_in_the_order_of_the_list(project):
    os.mkfifo(project.path("pipe"))
    pipe = project.path("pipe")
    # Each waits for the other: opening a named pipe returns when both ends are open.
    project.program("out/tests/unit-a", f"echo > {pipe}\n" + said("1..1\nok 1 - a"))
    project.program("out/tests/unit-b", f"cat {pipe} >/dev/null\n" + said("1..1\nok 1 - b"))
    status, lines, last = project.run("--jobs", "2", "--timeout", "30")
    assert (status, last) == (0, "3 passed, 0 failed, 0 skipped")
    assert group_lines(lines) == ["layers", "unit-a", "unit-b"]


def test_one_job_is_one_group_at_a_time(project):
    script = "mkdir ./busy || exit 1\n" + said("1..1\nok 1 - a") + "\nrmdir ./busy"
    for name in "abcd":
        project.program(f"out/tests/unit-{name}", script)
    assert project.run("--jobs", "1")[2] == "5 passed, 0 failed, 0 skipped"


def test_what_took_longest_the_last_time_starts_first(project):
    for name in "abcd":
        text = f"echo {name} >> order\n" + said("1..1\nok 1 - a")
        project.program(f"out/tests/unit-{name}", text)
    project.write("out/tests/times.json", json.dumps({"unit-b": 9.5, "unit-c": 30, "unit-a": 2, "unit-d": 1}))
    _, lines, _ = project.run("--jobs", "1")
    with open(project.path("order"), encoding="utf-8") as handle:
        assert handle.read().split() == ["d", "c", "b", "a"]  # and before all what is quick
    assert group_lines(lines) == ["layers", "unit-a", "unit-b", "unit-c", "unit-d"]
    with open(project.path("out/tests/times.json"), encoding="utf-8") as handle:
        assert json.load(handle)["unit-c"] < 30


def test_every_pytest_file_is_a_group_with_a_folder_of_its_own(project):
    text = "def test_it(tmp_path): open('seen', 'a').write(str(tmp_path) + '\\n')\n"
    project.write("tests/e2e/test_a.py", text)
    project.write("tests/e2e/test_b.py", text)
    _, lines, last = project.run("--jobs", "2")
    assert last == "3 passed, 0 failed, 0 skipped"
    assert [line.split()[1] for line in lines if line.startswith("pytest")] == [
        "tests/e2e/test_a.py", "tests/e2e/test_b.py",
    ]
    with open(project.path("seen"), encoding="utf-8") as handle:
        one, other = (os.path.dirname(path) for path in handle.read().split())
    assert one != other
    assert not os.path.exists(one) and not os.path.exists(other)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_program_behind(project, number):
    os.mkfifo(project.path("pipe"))
    project.program("out/tests/unit-a", f"exec sleep 100 > {project.path('pipe')}")
    runner = subprocess.Popen(
        [project.path("tools/run-tests"), "--out", project.path("out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    with open(project.path("pipe"), "rb") as pipe:  # it runs
        runner.send_signal(number)
        assert pipe.read() == b""  # and when nobody can write any more, it has ended
    out, err = runner.communicate(timeout=60)
    assert (runner.returncode, err) == (130, "interrupted\n")
    assert "passed," not in out
