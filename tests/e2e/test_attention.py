"""`list --needs-attention`: what a person should look at, why, and a command that helps."""

import datetime
import signal
import sqlite3
import time

from conftest import SLOWER, steady


def ids(items):
    return [(x["execution"], x["reason"], x["step"]) for x in items]


def attention(cairn, *more):
    done = cairn("list", "--needs-attention", "--json", *more)
    assert done.status == 0, done.err
    return done.json


def run(cairn, nodes, name):
    cairn.write(f"{name}.yaml", f"cairn: 1\nname: {name}\n{nodes}")
    done = cairn("run", f"{name}.yaml", "--json", "--quiet")
    return done.json["id"]


def test_each_reason_with_what_to_do(cairn):
    fine = run(cairn, "nodes:\n  a: {type: transform, value: 1}", "fine")
    failed = run(cairn, "nodes:\n  a: {type: code, command: ['false']}", "failed")
    partial = run(cairn, "nodes:\n  a: {type: code, command: ['false'], on_error: continue}",
                  "partial")
    doubt = run(cairn, "nodes:\n  a: {type: code, command: ['false'], delivery: at_most_once}",
                "doubt")
    asks = run(cairn, "nodes:\n  a: {type: ask, prompt: Well?, assignee: bob}", "asks")
    decides = run(cairn, "recover: ask\nnodes:\n  a: {type: code, command: ['false']}", "decides")
    later = run(cairn, "nodes:\n  a: {type: wait, signal: x}", "later")
    found = attention(cairn)
    assert found["next"] is None
    by_id = {}
    for x in found["items"]:
        by_id.setdefault(x["execution"], []).append(x)
    assert [fine in by_id, later in by_id] == [False, False]
    for id, reason, step, remedy in [
        (failed, "failed", "a", f"cairn retry {failed}"),
        (partial, "partial", None, f"cairn retry {partial}"),
        (doubt, "in_doubt", "a", f"cairn retry {doubt}"),
        (asks, "question", "a", f"cairn answer {asks} a VALUE"),
        (decides, "decision", "a", f"cairn answer {decides} a retry|fail|'{{\"value\": ...}}'"),
    ]:
        item, = by_id[id]
        assert (item["reason"], item["step"], item["remedy"]) == (reason, step, remedy)
    assert by_id[asks][0]["by"] == "bob"
    assert by_id[failed][0]["message"].startswith("code: ")
    # Newest first, and a page at a time.
    order = [x["execution"] for x in found["items"]]
    assert order == sorted(order, reverse=True)
    first = attention(cairn, "--limit", "2")
    assert ids(first["items"]) == ids(found["items"])[:2]
    rest = attention(cairn, "--limit", "100", "--after", first["next"])
    assert ids(rest["items"]) == ids(found["items"])[2:]
    # What has been dealt with is gone.
    assert cairn("answer", asks, "yes").status == 0
    assert cairn("cancel", decides).status == 0
    assert asks not in [x["execution"] for x in attention(cairn)["items"]]
    assert decides not in [x["execution"] for x in attention(cairn)["items"]]
    assert ids(attention(cairn, "--workflow", "doubt")["items"]) == [(doubt, "in_doubt", "a")]


def test_who_paused_it_and_who_is_gone(cairn):
    pipe = cairn.pipe("gate")
    cairn.flow(f"  a: {{type: code, command: [cat, {pipe}]}}\n  b: {{type: wait, needs: [a], for: 1h}}\n")
    first = cairn.start("run", "flow.yaml")
    first.wait_for("step a started")
    assert attention(cairn)["items"] == []
    first.send(signal.SIGKILL)
    first.finish()
    item, = attention(cairn)["items"]
    assert (item["reason"], item["remedy"]) == ("interrupted", f"cairn resume {first.id}")
    told = cairn("list", "--needs-attention")
    assert steady(told.out) == (
        "ID  flow  interrupted  the process that ran it is gone\n    cairn resume ID\n"
    )
    second = cairn.start("resume", first.id)
    second.wait_for("step a started")
    assert attention(cairn)["items"] == []
    assert cairn("pause", first.id).status == 0
    with open(pipe, "w"):
        pass
    second.finish()
    item, = attention(cairn)["items"]
    assert item["reason"] == "paused" and item["by"]
    assert item["message"] == f"paused by {item['by']}"
    assert item["remedy"] == f"cairn resume {first.id}"


def test_nothing_needs_attention(cairn):
    done = cairn("list", "--needs-attention")
    assert (done.status, done.out, done.err) == (0, "", "nothing needs attention\n")


def test_it_is_quick_among_many(cairn):
    """Rows of executions that ended well are never read."""
    run(cairn, "nodes:\n  a: {type: transform, value: 1}", "fine")
    failed = run(cairn, "nodes:\n  a: {type: code, command: ['false']}", "failed")
    with sqlite3.connect(cairn.store) as db:
        columns = [x[1] for x in db.execute("PRAGMA table_info(executions)") if x[1] not in ("num", "id")]
        names = ", ".join(columns)
        db.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
            f"INSERT INTO executions(id, {names}) SELECT printf('exec_%020d', i), {names} "
            f"FROM executions, n WHERE executions.workflow = 'fine'"
        )
    began = time.monotonic()
    assert ids(attention(cairn)["items"]) == [(failed, "failed", "a")]
    assert time.monotonic() - began < 2 * SLOWER


def test_narrowed_to_a_status_and_gone_on_with(cairn):
    failed = [run(cairn, "nodes:\n  a: {type: code, command: ['false']}", "failed") for _ in range(2)]
    asks = run(cairn, "nodes:\n  a: {type: ask, prompt: Well?}", "asks")
    assert {x["execution"] for x in attention(cairn, "--status", "failed")["items"]} == set(failed)
    assert ids(attention(cairn, "--status", "waiting")["items"]) == [(asks, "question", "a")]
    assert attention(cairn, "--status", "interrupted")["items"] == []
    told = cairn("list", "--needs-attention", "--status", "failed", "--workflow", "failed", "--limit", "1")
    assert told.err == ("there are more: cairn list --needs-attention --status failed --workflow failed "
                        f"--limit 1 --after {failed[1]}\n")


def test_a_question_waits_since_it_was_asked(cairn):
    """Not since its step began, which here was before its pipe was written to."""
    cairn.pipe("go")
    cairn.flow("  a: {type: code, language: sh, recover: ask, code: 'echo up >&2; read x < go; exit 3'}\n")
    started = cairn.start("run", "flow.yaml")
    started.wait_for("up\n")
    asked = datetime.datetime.now(datetime.timezone.utc)
    with open(cairn.folder / "go", "w", encoding="utf-8") as pipe:
        pipe.write("\n")
    assert started.finish().status == 3
    id = started.id
    sinces = [cairn("explain", id, "--json").json["steps"][0]["since"],
              cairn("list", "--waiting", "--json").json["items"][0]["since"],
              attention(cairn)["items"][0]["since"]]
    assert len(set(sinces)) == 1
    late = datetime.datetime.fromisoformat(sinces[0].replace("Z", "+00:00"))
    assert late >= asked - datetime.timedelta(milliseconds=1)
