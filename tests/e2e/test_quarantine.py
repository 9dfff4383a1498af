"""An execution whose journal ends every process that folds it: given up, and it harms no other."""

import sqlite3

from conftest import until
from killer import start, strike
from held import holding, release
from test_writers import Writer

NESTED = """cairn: 1
name: flow
nodes:
  call:
    type: workflow
    workflow:
      nodes:
        inner:
          type: workflow
          workflow:
            nodes:
"""



def left_behind(cairn):
    run, _ = holding(cairn)
    run.send(9)
    run.finish()
    return run.id


def claim(cairn, id, before):
    """What a process leaves that dies between its claim and its fold, as so many did before it."""
    count = bytes([28, before]) if before else b""
    db = sqlite3.connect(cairn.store, timeout=10)
    num, seq, last, epoch = db.execute(
        "SELECT num, last_seq, last_event, epoch FROM executions JOIN progress ON execution = num WHERE id = ?", (id,)).fetchone()
    event = db.execute(
        "INSERT INTO events(execution, seq, at_us, kind, step, prev, body)"
        " VALUES(?, ?, (SELECT max(at_us) FROM events), 27, '', ?, ?)",
        (num, seq + 1, last, count)).lastrowid
    db.execute("UPDATE progress SET last_seq = ?, last_event = ?, epoch = ? WHERE execution = ?",
               (seq + 1, event, epoch + 1, num))
    db.commit()
    db.close()


def test_three_deaths_over_the_fold_are_the_end(cairn):
    id = left_behind(cairn)
    for before in range(3):
        claim(cairn, id, before)
    resumed = cairn("resume", id)
    assert resumed.status == 4
    assert "has failed as quarantined" in resumed.err
    told = cairn("results", id, "--json").json
    assert (told["status"], told["error"]["type"]) == ("failed", "quarantined")
    assert "each of the last three processes" in told["error"]["message"]
    assert "quarantined" in cairn("results", id).out
    why = cairn("explain", id)
    assert why.status == 0 and "quarantined" in why.out
    assert cairn("db", "check").status == 0
    again = cairn("resume", id)
    assert again.status == 2 and "has ended" in again.err
    assert [row["status"] for row in cairn("list", "--json").json["items"]] == ["failed"]


def test_a_forced_retry_on_a_mended_file(cairn):
    id = left_behind(cairn)
    for before in range(3):
        claim(cairn, id, before)
    assert cairn("resume", id).status == 4
    cairn.flow("inputs: {n: {type: integer}}\nnodes:\n  a: {type: end, value: inputs.n}\n")
    refused = cairn("retry", id, "--workflow", "flow.yaml", "-i", "n=4")
    assert f"cairn retry {id} --force" in refused.err and refused.status != 0
    missing = cairn("retry", id, "--workflow", "flow.yaml", "--force")
    assert missing.status == 2 and 'input "n" is missing' in missing.err
    forced = cairn("retry", id, "--workflow", "flow.yaml", "-i", "n=4", "--force")
    assert (forced.status, forced.out) == (0, "4\n"), forced.err
    assert cairn("db", "check").status == 0


def test_two_deaths_are_not(cairn):
    id = left_behind(cairn)
    for before in range(2):
        claim(cairn, id, before)
    resumed = cairn.start("resume", id)
    resumed.wait_for("stderr: busy")
    release(str(cairn.folder / "pipe"))
    assert resumed.finish().status == 0


def test_the_lease_is_renewed_while_it_runs(cairn):
    run, pipe = holding(cairn)
    db = sqlite3.connect(cairn.store, timeout=10)
    first = db.execute("SELECT until_us FROM hosts").fetchone()[0]
    until(lambda: db.execute("SELECT until_us FROM hosts").fetchone()[0] != first,
          "the lease was never renewed")
    db.close()
    release(pipe)
    assert run.finish().status == 0


def test_sub_workflows_end_with_it(tmp_path):
    """One that is two levels down, whose program outlived its owner: cancelled, its program killed,
    and a forced retry begins each of them once."""
    writer = Writer(tmp_path / "tree", True)
    cairn = writer.cairn
    nodes = (cairn.folder / "flow.yaml").read_text().split("nodes:\n")[1]
    indented = "".join(" " * 12 + line + "\n" for line in nodes.splitlines())
    cairn.write("flow.yaml", NESTED + indented)
    child = start(cairn, "run", "flow.yaml", "-q")
    writer.wait_for_writers(1)
    strike(child, with_launcher=True)
    ids = [row["id"] for row in reversed(cairn("list", "--all", "--json").json["items"])]
    for before in range(3):
        claim(cairn, ids[0], before)
    assert cairn("resume", "--all").status == 1
    writer.check(none_left=True)
    rows = {row["id"]: row["status"] for row in cairn("list", "--all", "--json").json["items"]}
    assert [rows[id] for id in ids] == ["failed", "cancelled", "cancelled"]
    for id in ids[1:]:
        told = cairn("explain", id).out
        first = told.split("\n")[0]
        assert first.endswith(f": cancelled by execution {ids[0]} above it, which has failed as "
                              "quarantined")
        assert "unfinished" not in told
    steps = {step["node"]: step["status"] for step in cairn("results", ids[2], "--json").json["subSteps"]}
    assert steps == {"before": "completed", "write": "cancelled", "done": "cancelled"}
    assert cairn("db", "check").status == 0
    assert "nothing is interrupted" in cairn("resume", "--all").err
    again = start(cairn, "retry", ids[0], "--force", "-q")
    writer.wait_for_writers(2)
    live = [row["id"] for row in cairn("list", "--all", "--json").json["items"]
            if row["status"] in ("running", "waiting")]
    assert len(live) == 3 and ids[0] in live
    writer.stop()
    again.wait()
    assert again.returncode == 0
    writer.check(none_left=True)
