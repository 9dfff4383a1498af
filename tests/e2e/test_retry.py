"""cairn retry: what failed runs anew, what completed is kept, from another process than before."""

import json
import sqlite3

from held import release

FLOW = """
  a: {type: code, language: sh, code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; echo one"}
  b: {type: code, language: sh, needs: [a], code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; cat ok"}
  e: {type: end, needs: [b], value: a + b}
"""


def effects(cairn):
    """The steps whose effects were performed, in order."""
    return [line.split("/")[1] for line in (cairn.folder / "effects").read_text().splitlines()]


def failed(cairn):
    cairn.flow(FLOW)
    run = cairn("run", "flow.yaml")
    assert run.status == 1
    return cairn("list", "--json").json["items"][0]["id"]


def test_what_failed_runs_anew_and_what_completed_is_kept(cairn):
    id = failed(cairn)
    cairn.write("ok", "fine")
    again = cairn("retry", id)
    assert (again.status, again.out) == (0, "onefine\n")
    assert "is tried again" in again.err and "step b~1 started" in again.err
    assert effects(cairn) == ["a", "b", "b~1"]
    told = cairn("results", id, "--json").json
    assert (told["status"], told["error"], told["failedTasks"]) == ("completed", None, 0)
    steps = {step["id"]: step["status"] for step in told["subSteps"]}
    assert steps == {"a": "completed", "b": "failed", "e": "cancelled", "b~1": "completed",
                     "e~1": "completed"}
    assert cairn("db", "check").status == 0


def test_it_may_fail_again(cairn):
    id = failed(cairn)
    for _ in range(2):
        assert cairn("retry", id).status == 1
    assert effects(cairn) == ["a", "b", "b~1", "b~2"]
    assert cairn("results", id, "--json").json["error"]["node"] == "b"


def test_from_a_node_on(cairn):
    id = failed(cairn)
    cairn.write("ok", "fine")
    assert cairn("retry", id, "--from", "a").out == "onefine\n"
    assert effects(cairn) == ["a", "b", "a~1", "b~1"]
    refused = cairn("retry", id)
    assert refused.status == 2 and "nothing of it failed" in refused.err
    assert "--from NODE" in refused.err
    unknown = cairn("retry", id, "--from", "zz")
    assert unknown.status == 2 and 'no node "zz"' in unknown.err
    assert cairn("retry", id, "--from", "b", "--quiet").out == "onefine\n"
    assert effects(cairn)[-1] == "b~2"


def test_in_the_background(cairn):
    id = failed(cairn)
    cairn.write("ok", "fine")
    assert cairn("retry", id, "--background").out.strip() == id
    assert cairn("watch", id).status == 0
    assert cairn("results", id, "--json").json["finalResult"] == "onefine"


def test_one_of_many_wins(cairn):
    id = failed(cairn)
    cairn.write("ok", "fine")
    tries = [cairn.start("retry", id) for _ in range(5)]
    assert [t.finish().status for t in tries].count(0) == 1
    assert effects(cairn) == ["a", "b", "b~1"]


def test_who_comes_late_is_told_who_has_it(cairn):
    cairn.flow("  a: {type: code, language: sh, code: 'echo busy >&2; cat pipe'}\n")
    assert cairn("run", "flow.yaml").status == 1
    pipe = cairn.pipe("pipe")
    first = cairn.start("retry", "@last")
    first.wait_for("busy")
    late = cairn("retry", "@last")
    assert late.status == 2
    assert f"    process {first.child.pid} runs it: cairn watch {first.id}\n" in late.err
    release(pipe, "x")
    assert first.finish().status == 0


def test_a_sub_workflow_is_retried_with_its_parent(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:" + FLOW)
    cairn.flow("""
  sub: {type: workflow, workflow: child.yaml}
  e: {type: end, needs: [sub], value: sub}
""", "parent.yaml")
    assert cairn("run", "parent.yaml").status == 1
    parent = cairn("list", "--json").json["items"][0]["id"]
    db = sqlite3.connect(cairn.store)
    child = db.execute("SELECT id FROM executions WHERE workflow = 'child'").fetchone()[0]
    db.close()
    refused = cairn("retry", child)
    assert refused.status == 2
    assert f"cairn retry {parent} --from sub" in refused.err
    cairn.write("ok", "fine")
    assert cairn("retry", parent, "--quiet").out == "onefine\n"


def test_one_of_many_sub_workflows_is_retried_with_its_node(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\ninputs: {n: {}}\nnodes:\n"
                "  a: {type: code, command: [/bin/false]}\n")
    cairn.flow("""
  sub: {type: workflow, workflow: child.yaml, inputs: {n: item}, foreach: {items: '[1]'}}
""", "parent.yaml")
    assert cairn("run", "parent.yaml").status == 1
    parent = cairn("list", "--json").json["items"][0]["id"]
    db = sqlite3.connect(cairn.store)
    child = db.execute("SELECT id FROM executions WHERE workflow = 'child'").fetchone()[0]
    db.close()
    refused = cairn("retry", child)
    assert refused.status == 2 and f"step sub[0] of {parent}" in refused.err
    advice = next(line for line in refused.err.splitlines() if "retry that: " in line)
    again = cairn(*advice.split("retry that: cairn ")[1].split()[:4])
    assert again.status == 1, again.err
    assert cairn("list", "--json").json["items"][0]["id"] != child


def test_nothing_to_retry(cairn):
    cairn.flow("  a: {type: ask, prompt: 'go?'}\n")
    assert cairn("run", "flow.yaml").status == 3
    refused = cairn("retry", "@last")
    assert refused.status == 2 and "has not ended (waiting)" in refused.err
    assert cairn("retry", "nosuch").status == 2
    assert json.loads(cairn("results", "@last", "--json").out)["status"] == "waiting"


KEPT = """
  a: {type: code, language: sh, cache: 1h, code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; cat word"}
  b: {type: code, language: sh, cache: 1h, needs: [a], code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; echo b"}
  e: {type: end, needs: [a, b], value: a}
"""


def test_a_node_that_is_named_runs_whatever_is_kept_of_it(cairn):
    cairn.flow(KEPT)
    cairn.write("word", "one")
    id = cairn.run_id("flow.yaml")
    cairn.write("word", "two")
    assert cairn("run", "flow.yaml").out == "one\n"
    assert effects(cairn) == ["a", "b"]
    assert cairn("retry", id, "--from", "b").out == "one\n"
    assert effects(cairn) == ["a", "b", "b~1"]
    assert cairn("retry", id, "--from", "a").out == "two\n"
    assert effects(cairn) == ["a", "b", "b~1", "a~1", "b~2"]  # b is given something else
    assert cairn("run", "flow.yaml").out == "two\n"  # the new result is kept
    assert cairn("retry", id, "--from", "a").out == "two\n"
    assert effects(cairn)[-1] == "a~2"  # b, which was not named, is given the same


def test_who_goes_on_with_such_a_retry_uses_nothing_that_is_kept(cairn):
    cairn.pipe("pipe")
    cairn.flow("  a: {type: code, language: sh, cache: 1h, code: 'echo busy >&2; cat pipe'}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    release(str(cairn.folder / "pipe"), "one")
    assert run.finish().status == 0
    again = cairn.start("retry", "@last", "--from", "a")
    again.wait_for("busy")
    again.send(9)
    again.finish()
    resumed = cairn.start("resume", "@last")
    resumed.wait_for("busy")
    release(str(cairn.folder / "pipe"), "two")
    done = resumed.finish()
    assert done.status == 0 and "step a~1 completed" in done.err
    assert "not done anew" not in done.err


def test_what_a_retry_failed_to_do_anew_is_not_told_as_completed(cairn):
    cairn.flow("  a: {type: code, language: sh, code: echo a}\n"
               "  b: {type: code, language: sh, needs: [a], code: test ! -e broken}\n")
    assert cairn("run", "flow.yaml").status == 0
    cairn.write("broken", "")
    assert "    completed: a (1 of 2 steps)\n" in cairn("retry", "@last", "--from", "b").err


def test_what_a_retry_did_complete_is_told(cairn):
    cairn.flow("  a: {type: code, language: sh, code: test -e mended}\n"
               "  b: {type: code, language: sh, needs: [a], code: exit 3}\n")
    assert "    completed: nothing (0 of 2 steps)\n" in cairn("run", "flow.yaml").err
    cairn.write("mended", "")
    again = cairn("retry", "@last")
    assert "    completed: a (1 of 2 steps)\n" in again.err and "    step a failed" not in again.err
    assert "step a failed" not in cairn("explain", "@last").out + cairn("results", "@last").out
    assert [x["step"] for x in cairn("results", "@last", "--json").json["failures"]] == ["b~1"]


def test_a_retry_with_another_budget(cairn):
    cairn.flow("budget: {steps: 1, on_exceed: fail}\nnodes:" + FLOW)
    cairn.write("ok", "fine")
    assert cairn("run", "flow.yaml").status == 1
    left = cairn("retry", "@last")
    assert left.status == 1 and " --budget steps=AMOUNT\n" in left.err
    assert " --budget steps=AMOUNT  #" in cairn("explain", "@last").out
    done = cairn("retry", "@last", "--budget", "steps=2", "--quiet")
    assert (done.status, done.out) == (0, "onefine\n")
    told = cairn("results", "@last", "--json").json["budget"]["steps"]
    assert (told["limit"], told["used"]) == (2, 2)
    assert cairn("retry", "@last", "--from", "a", "--budget", "on_exceed=pause").status == 3
    assert cairn("answer", "@last", "2").status == 0
    assert effects(cairn) == ["a", "b~2", "a~1", "b~3"]
