"""cairn init: the workflow it writes runs, so does everything it prints, and nothing is replaced."""

import os
import re
import subprocess

import pytest
from conftest import BIN, PATIENCE


def shell(cairn, command):
    link = cairn.folder / "bin" / "cairn"
    if not link.exists():
        link.parent.mkdir()
        link.symlink_to(BIN)
    env = {**cairn.env, "PATH": f"{link.parent}:{cairn.env['PATH']}"}
    return subprocess.run(
        ["sh", "-c", command], cwd=cairn.folder, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE,
    )


def suggested(text):
    return re.findall(r"^  (cairn .*?) +# ", text, re.M)


@pytest.mark.parametrize("folder, path", [([], "flow.yaml"), (["."], "flow.yaml"),
                                          (["a/new one/"], "a/new one/flow.yaml")])
def test_what_it_prints_runs(cairn, folder, path):
    done = cairn("init", *folder)
    assert (done.status, done.err) == (0, "")
    assert (cairn.folder / path).is_file()
    commands = suggested(done.out)
    assert len(commands) >= 4
    asking = [command for command in commands if "approve=true" in command]
    assert len(asking) == 1
    for command in commands:
        if command not in asking:
            ran = shell(cairn, command)
            assert ran.returncode == 0, (command, ran.stderr)
            assert ran.stdout


def test_the_workflow_is_valid_and_does_what_it_says(cairn):
    cairn("init")
    valid = cairn("validate", "flow.yaml")
    assert valid.status == 0 and "warning" not in valid.out + valid.err
    assert cairn("run", "-q", "flow.yaml").json == {
        "text": "Walk, look, eat, sleep.", "shortened": True, "approved": None,
    }
    long = cairn("run", "-q", "flow.yaml", "-i", "limit=200").json
    assert long["shortened"] is False and len(long["text"]) > 60
    text = (cairn.folder / "flow.yaml").read_text()
    assert text.count("#") >= 10


def test_its_question_waits_for_a_person(cairn):
    cairn("init")
    started = cairn.start("run", "flow.yaml", "-i", "approve=true")
    started.wait_for("cairn answer")  # as it says when nobody can be asked here
    steps = cairn("results", "@last", "--json").json["subSteps"]
    assert {step["node"]: step["status"] for step in steps}["approve"] == "waiting"
    assert cairn("answer", "@last", "yes").status == 0
    done = started.finish()
    assert done.status == 0
    assert done.json["approved"] == "yes"


def test_nothing_is_replaced(cairn):
    cairn.write("flow.yaml", "mine")
    done = cairn("init")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: flow.yaml is there already and was left as it is\n"
        "    name another folder: cairn init DIR\n"
    )
    assert (cairn.folder / "flow.yaml").read_text() == "mine"
    os.makedirs(cairn.folder / "links")
    os.symlink("elsewhere", cairn.folder / "links/flow.yaml")  # leads nowhere yet
    assert cairn("init", "links").status == 2
    assert not os.path.exists(cairn.folder / "links/elsewhere")


def test_a_folder_that_cannot_be_made(cairn):
    cairn.write("file", "")
    done = cairn("init", "file")
    assert done.status == 4 and "file" in done.err
    assert cairn("init", "").status == 2
