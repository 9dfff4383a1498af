"""cairn explain: for every state an execution can be in, why it is there and what to do about it; and
what `results` lists of one that failed in parts."""

import json
import signal
import sqlite3

import pytest
from conftest import steady, until

HELD = "{{type: code, language: sh, code: 'echo {0} >&2; cat {0}.pipe'{1}}}"


def held(cairn, name, more=""):
    """A step that stays until its pipe is written to."""
    cairn.pipe(f"{name}.pipe")
    return f"  {name}: " + HELD.format(name, more) + "\n"


def explained(cairn, id="@last"):
    """What is said, and the same as JSON."""
    text = cairn("explain", id)
    assert text.status == 0, text.err
    return steady(text.out), cairn("explain", id, "--json").json


def step(told, name):
    return next(s for s in told["steps"] if s["step"] == name)


def test_running(cairn):
    cairn.flow(held(cairn, "a") + held(cairn, "b") + "  c: {type: end, needs: [a, b], value: 1}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("b\n")
    run.wait_for("a\n")
    text, told = explained(cairn)
    assert f"  run by process {run.child.pid} with a lease until TIME\n" in text
    assert "  a: is being performed since TIME\n" in text and "  c: needs a (running), b (running)\n" in text
    assert f"to do: cairn watch {run.id}\n".replace(run.id, "ID") in text
    assert told["owner"]["alive"] and told["owner"]["leaseUntil"] > step(told, "a")["since"]
    assert step(told, "c")["needs"] == [
        {"node": n, "handle": "out", "status": "running", "open": True} for n in "ab"]


def test_waiting_for_a_slot(cairn):
    cairn.flow("concurrency: 1\nnodes:\n" + held(cairn, "a") + held(cairn, "b"))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("a\n")
    text, told = explained(cairn)
    assert "  b: is ready; waits for a slot: 1 of 1 in use, by a\n" in text
    assert step(told, "b")["status"] == "pending"


def test_trying_again(cairn):
    cairn.flow("  a: {type: code, language: sh, code: exit 3, retry: {attempts: 4, backoff: 1h, jitter: 0}}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("again in")
    text, told = explained(cairn)
    assert "  a: attempt 1 of 4 failed; attempt 2 of 4 begins at TIME\n" in text
    assert "      code: the script ended with exit status 3\n" in text
    a = step(told, "a")
    assert (a["status"], a["attempt"], a["attempts"], a["nextAttempt"]) == ("retrying", 1, 4, 2)
    assert a["nextAt"] == a["until"] > a["since"]


def test_waiting(cairn):
    cairn.flow("  q: {type: ask, prompt: 'Go?', timeout: 1h}\n  w: {type: wait, signal: paid}\n"
               "  t: {type: wait, for: 2h}\n  e: {type: end, needs: [q], value: q}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step t waits")
    text, told = explained(cairn)
    assert "  q: waits for an answer since TIME until TIME\n      Go?\n      cairn answer ID q " in text
    assert "  w: waits for a signal since TIME\n      cairn signal ID paid\n" in text
    assert "  t: waits for its time since TIME until TIME\n" in text
    assert "  e: needs q (waiting)\n" in text
    assert told["status"] == "waiting" and len(told["remedies"]) >= 2


def test_paused(cairn):
    cairn.flow(held(cairn, "a") + "  b: {type: end, value: 1, needs: [a]}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("a\n")
    assert cairn("pause", run.id).status == 0
    text, told = explained(cairn)
    assert text.startswith("execution ID of flow: paused by ") and " since TIME\n" in text
    assert "to do: cairn resume ID\n" in text
    assert told["pausedBy"] and told["pausedAt"]


def test_a_foreach_tells_how_many_items_have_ended_and_stands_in_a_pause(cairn):
    cairn.flow("""
  each: {type: code, language: sh, foreach: {items: [1, 2, 3], concurrency: 1}, code: cat go}
  q: {type: ask, needs: [each], prompt: Well?}
""")
    cairn.write("go", "x")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step q waits")
    at = [line.split()[0] for line in cairn("checkpoints", run.id, "--all").out.splitlines()][0]
    assert cairn("rollback", run.id, "--to", at).status == 0
    text, told = explained(cairn)  # whether or not its owner is still there
    assert "  each~1: is unfinished since TIME, 1 of 3 items ended\n  q: needs each (running)\n" in text
    assert step(told, "each~1")["items"] == {"total": 3, "ended": 1}
    (cairn.folder / "go").unlink()
    cairn.pipe("go")
    resumed = cairn.start("resume", "@last")
    resumed.wait_for("each[1]~1")
    text, _ = explained(cairn)
    assert ("  each~1: is being performed since TIME, 1 of 3 items ended\n"
            "  each[1]~1: is being performed since TIME\n") in text


def test_interrupted_with_a_request_that_nobody_took(cairn):
    cairn.flow(held(cairn, "a"))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("a\n")
    run.send(signal.SIGKILL)
    run.finish()
    with sqlite3.connect(cairn.store) as db:
        db.execute("INSERT INTO inbox(execution, kind, step, payload, at_us) SELECT num, 'pause', '', "
                   "'{\"by\": \"ann\"}', created_us FROM executions")
    text, told = explained(cairn)
    gone = f"  the process that ran it ({run.child.pid}) is gone\n"
    assert gone in text or "  nobody runs it\n" in text  # noticed by then, or not yet
    assert "  requests not taken yet: 1\n      pause, from ann since TIME\n" in text
    assert "  a: is unfinished since TIME\n" in text and "to do: cairn resume ID\n" in text
    assert told["status"] == "interrupted" and told["inbox"][0]["request"] == "pause"


FAILS = """
  a: {type: code, language: sh, code: exit 3}
  b: {type: code, language: sh, needs: [a], code: echo b}
  c: {type: transform, needs: [b], value: 1}
  d: {type: code, language: sh, code: echo d, if: inputs.n > 0}
  e: {type: code, language: sh, needs: [d], code: exit 4, on_error: continue}
  f: {type: transform, needs: [e], value: 1}
  g: {type: condition, when: 1 > 2}
  h: {type: transform, needs: [g.true], value: 1}
"""


def failing(cairn, mode, more=""):
    cairn.write("flow.yaml", f"cairn: 1\nname: flow\non_failure: {mode}\ninputs: {{n: {{default: 1}}}}\n"
                f"nodes:{FAILS}outputs: {{d: d, f: f}}\n".replace("exit 3", "exit 3" + more))
    return cairn("run", "flow.yaml")


def not_run(told):
    return {x["node"]: (x["status"], x["because"]) for x in told["notRun"]}


@pytest.mark.parametrize("mode,lost", [
    ("continue", {"b": ("skipped", "a"), "c": ("skipped", "a"), "f": ("skipped", "e")}),
    ("drain", {"b": ("cancelled", "a"), "c": ("cancelled", "a")}),
    ("cancel", {"b": ("cancelled", "a"), "c": ("cancelled", "a")}),
])
def test_failed_and_what_was_lost_by_it(cairn, mode, lost):
    done = failing(cairn, mode)
    word = "skipped" if mode == "continue" else "cancelled"
    assert done.status == 1 and f"    {word} because of a: b, c" in done.err
    text, told = explained(cairn)
    assert "  code: the script ended with exit status 3\n  at node a (flow.yaml:6:3)\n" in text
    assert f"    {word} because of a: b, c" in text
    assert " cairn retry ID " in text
    found = cairn("results", "@last", "--json").json
    assert found["finalResult"] is None and found["error"]["node"] == "a"
    assert lost.items() <= not_run(found).items() and not_run(told) == not_run(found)
    assert not {"g", "h"} & set(not_run(found))  # what a condition left out is no loss
    failed = {x["step"]: x["error"]["type"] for x in found["failures"]}
    assert failed["a"] == "code" and (mode != "continue" or failed == {"a": "code", "e": "code"})
    assert f"    {word} because of a: b, c" in cairn("results", "@last").out


def test_partial(cairn):
    done = failing(cairn, "drain", ", on_error: continue")
    assert done.status == 1 and json.loads(done.out) == {"d": "d", "f": None}
    text, told = explained(cairn)
    assert text.startswith("execution ID of flow: partial\n")
    for line in ("    step a failed: code: the script ended with exit status 3\n",
                 "    step e failed: code: the script ended with exit status 4\n",
                 "    skipped because of a: b, c\n", "    skipped because of e: f\n"):
        assert line in text and line in cairn("results", "@last").out
    found = cairn("results", "@last", "--json").json
    assert found["finalResult"] == {"d": "d", "f": None}
    assert not_run(found) == not_run(told) == {
        "b": ("skipped", "a"), "c": ("skipped", "a"), "f": ("skipped", "e")}


def test_a_failure_that_is_handled_loses_what_needed_its_result(cairn):
    cairn.flow("  a: {type: code, language: sh, code: exit 3}\n"
               "  b: {type: transform, needs: [a.error], value: 1}\n"
               "  c: {type: transform, needs: [a], value: 1}\n")
    assert cairn("run", "flow.yaml").status == 0
    found = cairn("results", "@last", "--json").json
    assert not_run(found) == {"c": ("skipped", "a")}


def test_cancelled(cairn):
    cairn.flow(held(cairn, "a") + "  b: {type: end, value: 1, needs: [a]}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("a\n")
    assert cairn("cancel", run.id).status == 0
    run.finish()
    text, told = explained(cairn)
    assert text.startswith("execution ID of flow: cancelled by ") and " cairn retry ID " in text
    assert told["notRun"] == []  # nothing failed


@pytest.mark.parametrize("mode", ["drain", "continue"])
def test_what_a_cancel_stopped_after_a_failure_is_not_told_as_lost_by_it(cairn, mode):
    cairn.flow(f"on_failure: {mode}\nnodes:\n" + held(cairn, "w")
               + "  bad: {type: code, language: sh, needs: [q], code: exit 3}\n  q: {type: ask, prompt: Well?}\n"
               "  lost: {type: transform, needs: [bad], value: 1}\n"
               "  later: {type: transform, needs: [w], value: 1}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("w\n")
    assert cairn("answer", run.id, "x").status == 0
    until(lambda: cairn("results", run.id, "--json").json["failures"])
    assert "it had failed before" in cairn("cancel", run.id).err
    done = run.finish()
    found = cairn("results", "@last", "--json").json
    me = found["stopped"][0]["by"]
    lost = {"node": "lost", "status": "skipped" if mode == "continue" else "cancelled", "because": "bad"}
    later = {"node": "later", "status": "cancelled"}
    later.update({"by": me} if mode == "continue" else {"because": "bad"})  # drain stops what has not begun
    assert found["notRun"] == [{"node": "w", "status": "cancelled", "by": me}, lost, later]
    text, told = explained(cairn)
    lines = {"drain": f"    cancelled by {me}: w\n    cancelled because of bad: lost, later\n",
             "continue": f"    cancelled by {me}: w, later\n    skipped because of bad: lost\n"}[mode]
    lines = f"    under way when it was cancelled by {me}: w for TOOK\n" + lines
    assert me and told["notRun"] == found["notRun"] and told["stopped"] == found["stopped"]
    assert lines in text and lines in steady(done.err) and lines in steady(cairn("results", "@last").out)


def test_completed(cairn):
    cairn.flow("  a: {type: transform, value: 1}\n")
    cairn("run", "flow.yaml")
    text, told = explained(cairn)
    assert text == ("execution ID of flow: completed\n"
                    "to do: cairn results ID --verbose  # what each step did\n"
                    "       cairn logs ID  # what its steps printed\n")
    assert told["steps"] == [] and told["owner"] is None


def test_what_was_under_way_when_time_was_up(cairn):
    cairn.flow(held(cairn, "a") + "  b: {type: code, language: sh, code: echo b >&2}\n"
               "  q: {type: ask, prompt: Well?}\n  c: {type: end, needs: [a], value: 1}\n")
    done = cairn("run", "flow.yaml", "--timeout", "500ms")
    line = "    under way when its time was up: a for TOOK, q for TOOK\n"
    assert done.status == 1 and line in steady(done.err)
    text, told = explained(cairn)
    found = cairn("results", "@last", "--json").json
    assert line in text and line in steady(cairn("results", "@last").out)
    assert [(x["step"], x["attempt"]) for x in found["stopped"]] == [("a", 1), ("q", 1)]
    assert all(x["since"] and 0 < x["durationMs"] < 60000 for x in found["stopped"])
    assert told["stopped"] == found["stopped"]
    # What is tried again is told of its newest end only.
    assert cairn("cancel", cairn.start("retry", "@last").wait_for("step q~1 waits") and "@last").status in (0, 1)
    assert [x["step"] for x in cairn("results", "@last", "--json").json["stopped"]] == ["a~1", "q~1"]
    assert "    under way when it was cancelled: a~1 for TOOK, q~1 for TOOK\n" in explained(cairn)[0]


def test_what_was_under_way_when_another_step_failed(cairn):
    cairn.flow("on_failure: cancel\nnodes:\n" + held(cairn, "a")
               + "  b: {type: code, language: sh, needs: [q], code: exit 3}\n  q: {type: ask, prompt: Well?}\n")
    run = cairn.start("run", "flow.yaml", "--timeout", "10m")
    run.wait_for("a\n")
    assert cairn("answer", run.id, "x").status == 0
    assert "    under way when it failed: a for TOOK\n" in steady(run.finish().err)
