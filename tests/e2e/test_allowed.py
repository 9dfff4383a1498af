"""What may be asked of an execution: every status with every command; and what nobody runs, of which
nothing may begin because of a request that is refused, or of a checkpoint."""

import os
import signal
import sqlite3

import pytest
from conftest import until

LIVE = "pause, cancel, answer, signal, checkpoint, rollback"
LEFT = "resume, cancel, answer, signal, checkpoint, rollback"
ENDED = "retry, rollback"
ALLOWED = {
    "waiting": LIVE, "paused": LEFT, "waiting, left": LEFT, "interrupted": LEFT,
    "completed": "retry --from NODE, rollback", "failed": ENDED,
    "cancelled": ENDED,
}
MORE = {"answer": ["a", "yes"], "signal": ["x"], "checkpoint": ["here"], "rollback": ["--to", "a"],
        "retry --from NODE": ["--from", "a"]}
COMMANDS = ["pause", "resume", "cancel", "answer", "signal", "checkpoint", "rollback", "retry"]
FLOW = """
  a: {type: ask, prompt: x, choices: [yes, no]}
  b: {type: check, needs: [a.no], schema: false, value: 1}
"""


def begin(cairn, state):
    """An execution in that state; "left": run by nobody since nothing could move it."""
    cairn.flow(FLOW)
    if state not in ("waiting", "paused", "interrupted"):
        id = cairn("run", "flow.yaml", "--json").json["id"]
    else:
        done = cairn("run", "flow.yaml", "--background", "--json")
        id, pid = done.json["id"], done.json["pid"]
    if state == "paused":
        assert cairn("pause", id).status == 0
    elif state == "interrupted":
        os.kill(pid, signal.SIGKILL)
        until(lambda: really(cairn, id) == "interrupted")
    elif state in ("completed", "failed"):
        cairn("answer", id, "a", "yes" if state == "completed" else "no")
    elif state == "cancelled":
        assert cairn("cancel", id).status == 0
    assert really(cairn, id) == state.split(",")[0]
    return id


def really(cairn, id):
    """The status, which who died did not come to record."""
    return cairn("results", id, "--json").json["effectiveStatus"]


def journal(cairn):
    with sqlite3.connect(cairn.store) as db:
        return (db.execute("SELECT count(*), max(id) FROM events").fetchall(),
                db.execute("SELECT status FROM executions ORDER BY num").fetchall(),
                db.execute("SELECT count(*) FROM inbox").fetchall())


def is_allowed(state, command):
    return command in [word.strip().split(" ")[0] for word in ALLOWED[state].split(",")] and not (
        command == "retry" and "--from" in ALLOWED[state])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("state", list(ALLOWED))
def test_each_status_with_each_command(cairn, state, command):
    id = begin(cairn, state)
    before = journal(cairn)
    done = cairn(command, id, *MORE.get(command, []))
    if is_allowed(state, command):
        assert "refused" not in done.err and "allowed now" not in done.err, done.err
        assert done.status in (0, 1, 3), done
    else:
        assert done.status == 2, done
        assert f"allowed now: {ALLOWED[state]}\n" in done.err, done.err
        after = journal(cairn)
        if state in ("waiting", "paused"):  # who runs it has said so, in its inbox
            assert after[:2] == before[:2]
        else:
            assert after == before
    cairn("cancel", id)


# ---- what nobody runs ----

HOLD = """
  pick: {type: transform, value: 1}
  once: {type: code, language: sh, delivery: at_most_once, code: "echo x >>effects; echo busy >&2; cat pipe"}
  ask: {type: ask, prompt: "go?"}
  last: {type: end, needs: [once, ask], value: ask}
"""


def interrupted(cairn, nodes=HOLD):
    cairn.pipe("pipe")
    cairn.flow(nodes)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    until(lambda: "busy" in cairn("logs", ids(cairn)[-1]).out)
    run.send(9)
    run.finish()
    return ids(cairn)[0]


def ids(cairn):
    with sqlite3.connect(cairn.store) as db:
        return [row[0] for row in db.execute("SELECT id FROM executions ORDER BY num")]


def steps(cairn, id):
    return {s["id"]: (s["status"], s["attempt"])
            for s in cairn("results", id, "--json").json["subSteps"]}


def test_a_checkpoint_of_what_is_interrupted_goes_on_with_nothing(cairn):
    id = interrupted(cairn)
    before = steps(cairn, id)
    done = cairn("checkpoint", id, "here")
    assert (done.status, done.out) == (0, "")
    assert done.err == f"checkpoint: execution {id}\n"
    assert really(cairn, id) == "interrupted"
    assert steps(cairn, id) == before and before["once"][1] == 1
    assert [c["name"] for c in cairn("checkpoints", id, "--json").json] == ["here"]
    assert (cairn.folder / "effects").read_text() == "x\n"
    assert cairn("db", "check").status == 0
    back = cairn("rollback", id, "--to", "@here")
    assert back.status == 0, back.err


@pytest.mark.parametrize("request_", [
    ["answer", "nothere", "yes"], ["answer", "last", "yes"], ["answer", "once", "retry"],
    ["rollback", "--to", "nothere"], ["pause"], ["retry"], ["retry", "--from", "pick"],
])
def test_what_is_refused_of_what_is_interrupted_changes_nothing(cairn, request_):
    id = interrupted(cairn)
    before = journal(cairn)
    done = cairn(request_[0], id, *request_[1:])
    assert done.status == 2, done
    assert journal(cairn) == before
    assert really(cairn, id) == "interrupted"


@pytest.mark.parametrize("request_", [["answer", "ask", "yes"], ["signal", "x"], ["resume"]])
def test_what_wants_it_to_go_on_goes_on(cairn, request_):
    id = interrupted(cairn)
    done = cairn(request_[0], id, *request_[1:])
    assert done.status in (1, 2)  # one of its steps is in doubt
    assert steps(cairn, id)["once"][0] == "failed"


TREE = "  sub: {type: workflow, workflow: child.yaml}\n  e: {type: end, needs: [sub], value: sub}\n"


def tree(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:" + HOLD)
    return interrupted(cairn, TREE), ids(cairn)[1]


def test_a_rollback_of_a_sub_workflow_goes_on_with_nothing(cairn):
    root, child = tree(cairn)
    before = journal(cairn)
    done = cairn("rollback", child, "--to", "pick", "--resume")
    assert done.status == 2
    assert "a step of its parent waits for it: roll that back" in done.err
    assert f"cairn rollback {root} --to sub" in done.err
    assert journal(cairn) == before


def test_a_cancel_of_a_sub_workflow_alone_needs_who_runs_it(cairn):
    root, child = tree(cairn)
    before = journal(cairn)
    done = cairn("cancel", child)
    assert done.status == 2 and f"cairn resume {root}; allowed now: resume" in done.err
    assert journal(cairn) == before
    assert cairn("cancel", root).status == 0
    assert [cairn("results", x, "--json").json["status"] for x in (root, child)] == ["cancelled"] * 2


def test_a_checkpoint_of_a_sub_workflow(cairn):
    root, child = tree(cairn)
    before = steps(cairn, root)
    done = cairn("checkpoint", child, "below")
    assert done.status == 0, done.err
    assert steps(cairn, root) == before
    assert [c["name"] for c in cairn("checkpoints", child, "--json").json] == ["below"]
    assert really(cairn, root) == really(cairn, child) == "interrupted"
    assert cairn("db", "check").status == 0
    assert cairn("resume", root).status == 1  # in doubt
