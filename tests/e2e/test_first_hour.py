"""The first hour with cairn: every command but the first is taken from what the one before printed, and
run as it stands, in a shell: init, run, a failure with its line, explain, mend, retry, results.
"""

import os
import re
import subprocess

import pytest
from conftest import BIN, PATIENCE
from terminal import Terminal


class Shell:
    """A shell in the folder; `seen` is all that the last command said."""

    def __init__(self, cairn):
        self.cairn, self.seen = cairn, ""
        os.makedirs(cairn.folder / "bin", exist_ok=True)
        os.symlink(BIN, cairn.folder / "bin" / "cairn")

    def run(self, line, status):
        env = {**self.cairn.env, "PATH": f"{self.cairn.folder}/bin:{self.cairn.env['PATH']}"}
        done = subprocess.run(["sh", "-c", line], cwd=self.cairn.folder, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        self.seen = done.stdout.decode()
        assert done.returncode == status, f"{line}: {self.seen}"
        return self.seen

    def suggested(self, *words):
        """The commands that were printed, without what was said of them; the first with these words."""
        found = re.findall(r"(?:^|: | )(cairn [a-z]+(?: [^#\n]+?)?)(?= *(?:#.*)?$)", self.seen, re.M)
        fitting = [line for line in found if all(word in line.split() for word in words)]
        assert fitting, f"no command with {words} in {found}: {self.seen}"
        return fitting[0]


def break_it(path):
    """The script of `plan` gets a mistake in the line that is returned."""
    text = path.read_text()
    mended, number = text, text[:text.index("return [")].count("\n") + 1
    path.write_text(text.replace("return [", "return 1 / 0, [", 1))
    return mended, number


@pytest.mark.parametrize("folder", ["", "trip"])
def test_the_first_hour(cairn, folder):
    shell = Shell(cairn)
    assert "  init [DIR] " in shell.run("cairn", 0)
    shell.run(f"cairn init {folder}", 0)
    first = shell.suggested("run")
    others = shell.seen
    shell.run(first, 0)
    assert '"text": "Walk, look, eat, sleep."' in shell.seen
    shell.seen = others  # what init said to do afterwards
    shell.run(shell.suggested("-i"), 0)
    assert '"shortened": false' in shell.seen
    shell.seen = others
    assert shell.suggested("graph") and shell.run(shell.suggested("graph"), 0)
    shell.seen = others
    assert "plan (code) completed" in shell.run(shell.suggested("results"), 0)

    # A mistake: the run names its line, and the file as it was typed.
    file = first.split()[-1]
    path = cairn.folder / file
    mended, line = break_it(path)
    shell.run(first, 1)
    assert f"ZeroDivisionError: division by zero ({file}, line {line})" in shell.seen
    assert re.search(rf"at node plan \({re.escape(file)}:\d+:3\)", shell.seen)
    with_file = shell.suggested("retry", "--workflow")
    explain = shell.suggested("explain")

    # Tried again as it is: it fails again, and says the same, with the same ways on.
    shell.run(shell.suggested("retry"), 1)
    assert re.search(rf"at node plan \({re.escape(file)}:\d+:3\)", shell.seen)
    assert shell.suggested("retry", "--workflow") == with_file and shell.suggested("explain") == explain

    # Explained: the same place, and a way to go on for each thing that one may want.
    shell.run(explain, 0)
    assert re.search(rf"at node plan \({re.escape(file)}:\d+:3\)", shell.seen)
    explained = shell.seen
    assert "plan (code) failed" in shell.run(shell.suggested("results", "--verbose"), 0)
    shell.seen = explained
    shell.run(shell.suggested("logs"), 0)
    shell.seen = explained
    absolute = shell.suggested("retry", "--workflow")

    # Mended, and gone on with, by what explain said.
    path.write_text(mended)
    shell.run(absolute, 0)
    assert "runs anew: plan" in shell.seen and '"text": "Walk, look, eat, sleep."' in shell.seen
    assert "status     completed" in shell.run("cairn results @last", 0)
    assert "status     completed" not in shell.run("cairn list --needs-attention", 0)
    assert "nothing needs attention" in shell.seen


def test_a_person_is_asked_from_a_pipe(cairn):
    """The answer is given by the command that was printed, with one of the choices it names."""
    shell = Shell(cairn)
    shell.run("cairn init", 0)
    line = shell.suggested("approve=true")
    waiting = cairn.start(*line.split()[1:])  # it stays, since the question has a deadline
    waiting.wait_for("answer it: ")
    shell.seen = waiting.err
    answer = shell.suggested("answer")
    assert answer.endswith(" yes|no")
    shell.run("cairn explain @last", 0)
    assert shell.suggested("answer") == answer
    shell.run(answer.replace(" yes|no", " yes"), 0)
    assert '"approved": "yes"' in waiting.finish().out


def test_left_by_ctrl_c_and_gone_on_with(cairn):
    shell = Shell(cairn)
    shell.run("cairn init", 0)
    asks = Terminal(cairn, *shell.suggested("approve=true").split()[1:])
    asks.until_text("Take this?")
    asks.press(b"\x03")
    assert asks.finish() in (3, 130)
    shell.seen = asks.screen.text
    again = Terminal(cairn, *shell.suggested("resume").split()[1:])
    again.until_text("Take this?")
    again.press(b"yes\r")
    assert again.finish() == 0 and '"approved": "yes"' in again.screen.text


def test_the_time_of_a_step_that_was_tried_again_is_its_own(cairn):
    """A step without effects has no event when it begins: it did not begin when it was cancelled before."""
    cairn.flow("  a: {type: code, language: sh, code: test -e ok}\n"
               "  b: {type: transform, needs: [a], value: 1}\n")
    assert Terminal(cairn, "run", "flow.yaml").finish() == 1
    cairn.write("ok", "")
    again = Terminal(cairn, "retry", "@last")
    assert again.finish() == 0
    assert re.search(r"✓ b +0(\.\d)?ms", again.screen.text), again.screen.text
