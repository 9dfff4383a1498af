"""cancel, pause, resume, watch and logs: from another process, while one runs and when none does."""

import os
import sqlite3

import pytest
from conftest import steady
from held import HOLD, holding, release


def test_cancel_stops_what_runs_elsewhere(cairn):
    run, pipe = holding(cairn)
    done = cairn("cancel", run.id)
    assert (done.status, steady(done.err)) == (0, "cancelled: execution ID\n")
    assert run.finish().status == 1
    with pytest.raises(OSError):  # nobody reads the pipe any more
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    assert cairn("results", run.id, "--json").json["status"] == "cancelled"
    again = cairn("cancel", run.id)
    assert (again.status, steady(again.err)) == (
        2, "error: execution ID has ended (cancelled)\n    allowed now: retry, rollback\n"
    )


def test_cancel_of_what_nobody_runs_begins_nothing_of_it_again(cairn):
    run, pipe = holding(cairn)
    run.send(9)
    run.finish()
    done = cairn("cancel", run.id)
    assert done.status == 0, done.err
    assert "started" not in done.err
    assert steady(done.err).count("cancelled: execution ID\n") == 1
    found = cairn("results", run.id, "--json").json
    assert found["status"] == "cancelled"
    assert {s["id"]: s["attempt"] for s in found["subSteps"]}["hold"] == 1


@pytest.mark.parametrize("owned", [True, False])
def test_a_cancel_of_what_has_failed_says_that_it_ends_as_failed(cairn, owned):
    run, _ = holding(cairn, HOLD + "  bad: {type: code, language: sh, needs: [first], code: exit 3}\n")
    run.wait_for("is failing")
    if not owned:
        run.send(9)
        run.finish()
    done = cairn("cancel", run.id)
    assert done.status == 0 and "stopped, it had failed before and ends as failed: execution " in done.err
    assert "cancelled: execution" not in done.err
    assert cairn("results", run.id, "--json").json["status"] == "failed"


def test_an_answer_is_told_while_what_it_leads_to_runs(cairn):
    pipe = cairn.pipe("gate")
    cairn.flow(f"  a: {{type: ask, prompt: x}}\n  b: {{type: code, needs: [a], command: [cat, {pipe}]}}\n")
    id = cairn("run", "flow.yaml", "--json").json["id"]
    answer = cairn.start("answer", id, "yes")
    answer.wait_for("answered: execution")
    with open(pipe, "w"):
        pass
    assert answer.finish().status == 0
    assert answer.err.count("answered: ") == 1


def test_cancel_of_what_nobody_runs(cairn):
    run, _ = holding(cairn)
    run.send(9)
    run.finish()
    done = cairn("cancel", run.id)
    assert done.status == 0 and "cancelled: execution" in done.err
    assert cairn("results", run.id, "--json").json["status"] == "cancelled"


def test_pause_and_resume_by_others(cairn):
    run, pipe = holding(cairn)
    assert cairn("pause", run.id).status == 0
    run.wait_for(" paused\n")
    again = cairn("pause", run.id)
    assert again.status == 2 and "is paused; allowed now: resume, cancel, answer, signal" in again.err
    assert cairn("list", "--status", "paused", "--json").json["items"][0]["id"] == run.id
    assert cairn("resume", run.id).status == 0
    run.wait_for(" goes on\n")
    assert "is running; allowed now: pause, cancel" in cairn("resume", run.id).err
    release(pipe)
    done = run.finish()
    assert (done.status, done.out) == (0, "released\n")


def test_a_paused_run_leaves_and_resume_goes_on(cairn):
    run, pipe = holding(cairn)
    assert cairn("pause", run.id).status == 0
    release(pipe)
    done = run.finish()
    assert (done.status, done.out) == (3, "")
    assert steady(done.err).endswith("paused: execution ID\n    go on: cairn resume ID\n")
    explained = steady(cairn("explain", run.id).out)
    assert explained.startswith("execution ID of flow: paused by ")
    assert "  last: is ready; the execution is paused\nto do: cairn resume ID\n" in explained
    assert "nobody runs execution" in cairn("pause", run.id).err
    resumed = cairn("resume", run.id)
    assert (resumed.status, resumed.out) == (0, "released\n")
    assert "step hold" not in resumed.err


def test_resume_after_a_kill_runs_only_what_was_in_flight(cairn):
    run, pipe = holding(cairn)
    run.send(9)
    run.finish()
    resumed = cairn.start("resume", run.id)
    resumed.wait_for("stderr: busy")
    release(pipe, "again")
    done = resumed.finish()
    assert (done.status, done.out) == (0, "again\n")
    assert "step hold started again (attempt 2)" in done.err
    assert "step first" not in done.err


def test_a_second_resume_is_told_who_runs_it(cairn):
    run, pipe = holding(cairn)
    done = cairn("resume", run.id)
    assert done.status == 2 and "the execution is running; allowed now: pause, cancel" in done.err
    release(pipe)
    assert run.finish().status == 0


def test_watch_shows_what_another_process_runs(cairn):
    run, pipe = holding(cairn)
    watch = cairn.start("watch", run.id)
    watch.wait_for("step hold stderr: busy")
    release(pipe)
    assert run.finish().status == 0
    seen = watch.finish()
    assert seen.status == 0
    lines = steady(seen.err).splitlines()
    assert lines[0] == "TIME execution ID of flow created"
    assert lines[-3:] == [
        "TIME execution ID completed", "completed: execution ID",
        "    look at it: cairn results ID",
    ]


def test_watch_ends_when_the_owner_is_gone(cairn):
    run, _ = holding(cairn)
    watch = cairn.start("watch", run.id)
    watch.wait_for("step hold stderr: busy")
    run.send(9)
    run.finish()
    seen = watch.finish()
    assert seen.status == 3
    assert steady(seen.err).endswith("interrupted: execution ID\n    look at it: cairn explain ID\n")


def test_watch_as_json_lines_is_the_journal(cairn):
    cairn.flow("  a: {type: transform, value: 1}\n  b: {type: code, language: sh, code: echo 1}\n")
    ran = cairn("run", "flow.yaml", "--json-lines").json_lines
    seen = cairn("watch", "@last", "--json-lines")
    kept = [line for line in ran if line["type"] != "log"]
    assert [line for line in seen.json_lines if line["type"] != "log"] == kept


LOGS = """
  one: {type: code, language: sh, code: "echo first >&2; echo ü >&2; echo 1"}
  two: {type: code, needs: [one], language: python, code: "import sys\\nprint('from python', file=sys.stderr)\\nreturn 2"}
"""


def test_logs_are_recorded(cairn):
    cairn.flow(LOGS)
    cairn("run", "flow.yaml", "-q")
    # what a program writes to its two outputs at once comes in any order
    assert sorted(steady(cairn("logs", "@last").out).splitlines()) == [
        "TIME one stderr: first", "TIME one stderr: ü", "TIME one stdout: 1",
        "TIME two stderr: from python"]
    assert sorted(cairn("logs", "@last", "one", "--raw").out.splitlines()) == ["1", "first", "ü"]
    none = cairn("logs", "@last", "ones")
    assert none.status == 2
    assert none.err == 'error: the workflow has no step "ones"\n    did you mean one?\n'


def test_logs_follow_a_run(cairn):
    run, pipe = holding(cairn)
    logs = cairn.start("logs", run.id, "--follow")
    release(pipe)
    assert run.finish().status == 0
    done = logs.finish()
    assert (done.status, steady(done.out)) == (
        0, "TIME hold stderr: busy\nTIME hold stdout: released\n")


def test_a_long_log_is_bounded_and_says_so(cairn):
    cairn.flow(
        "  a: {type: code, language: python, code: \"import sys\\nfor i in range(40000):\\n"
        "    print('x' * 60, file=sys.stderr)\\nreturn 1\"}\n"
    )
    done = cairn("run", "flow.yaml", "-q")
    assert done.status == 0
    kept = cairn("logs", "@last", "--raw").out
    assert kept.endswith("the log is longer than 1 MiB; what follows is not kept\n")
    assert 1 << 20 <= len(kept) < (1 << 20) + 200


def test_a_cancel_reaches_the_sub_workflow(cairn):
    pipe = cairn.pipe("pipe")
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n"
                "  hold: {type: code, language: sh, code: 'echo busy >&2; cat pipe'}\n")
    cairn.flow("  sub: {type: workflow, workflow: child.yaml}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("stderr: busy")
    assert cairn("cancel", run.id).status == 0
    assert run.finish().status == 1
    with pytest.raises(OSError):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    with sqlite3.connect(cairn.store) as db:
        assert {r[0] for r in db.execute("SELECT status FROM executions")} == {"cancelled"}
