"""Several processes at one execution: who goes on with it, and what was asked is never lost."""

import os
import signal
import sqlite3

import pytest

from conftest import ID, until
from held import holding, release
from killer import detach, events

CHILD = """cairn: 1
name: child
nodes:
  q: {type: ask, prompt: "go?"}
  hold: {type: code, language: sh, needs: [q], code: "echo busy >&2; cat pipe"}
  e: {type: end, needs: [hold], value: hold}
"""
PARENT = """
  sub: {type: workflow, workflow: child.yaml}
  e: {type: end, needs: [sub], value: sub}
"""
TWO = """
  a: {type: ask, prompt: "a?"}
  b: {type: ask, prompt: "b?"}
  e: {type: end, needs: [a, b], value: "a + '-' + b"}
"""


def left_with_child(cairn):
    cairn.write("child.yaml", CHILD)
    cairn.flow(PARENT)
    left = cairn("run", "flow.yaml")
    assert left.status == 3
    root = ID.search(left.err).group()
    child = left.err.split("answer it: cairn answer ")[1].split()[0]
    assert root != child
    return root, child


def test_an_answer_to_a_sub_workflow_goes_on_with_the_whole_tree(cairn):
    pipe = cairn.pipe("pipe")
    root, child = left_with_child(cairn)
    answer = cairn.start("answer", child, "yes")
    answer.wait_for("stderr: busy")
    second = cairn("resume", root)
    assert second.status == 2 and "is running; allowed now: pause, cancel" in second.err
    release(pipe)
    done = answer.finish()
    assert (done.status, done.out) == (0, "released\n")
    assert cairn("results", root, "--json").json["status"] == "completed"


def test_resume_of_a_sub_workflow_goes_on_with_the_whole_tree(cairn):
    pipe = cairn.pipe("pipe")
    root, child = left_with_child(cairn)
    answer = cairn.start("answer", child, "yes")
    answer.wait_for("stderr: busy")
    answer.send(signal.SIGKILL)
    answer.finish()
    resumed = cairn.start("resume", child)
    resumed.wait_for("stderr: busy")
    release(pipe)
    assert resumed.finish().status == 0
    assert cairn("results", root, "--json").json["finalResult"] == "released"


def test_cancel_of_a_sub_workflow_that_nobody_runs_fails_its_parent(cairn):
    root, child = left_with_child(cairn)
    assert cairn("cancel", child).status == 0
    assert cairn("results", child, "--json").json["status"] == "cancelled"
    assert cairn("results", root, "--json").json["status"] == "failed"


def test_two_answers_at_once_to_what_nobody_runs(cairn):
    cairn.flow(TWO)
    for _ in range(8):
        left = cairn("run", "flow.yaml")
        assert left.status == 3, left.err
        root = ID.search(left.err).group()
        answers = [cairn.start("answer", root, step, step * 2) for step in "ab"]
        assert [a.finish().status for a in answers].count(0) >= 1
        done = cairn("results", root, "--json").json
        assert (done["status"], done["finalResult"]) == ("completed", "aa-bb")


def test_a_resume_whose_owner_dies_over_it_goes_on(cairn):
    run, pipe = holding(cairn)
    run.send(signal.SIGSTOP)
    resume = cairn.start("resume", run.id)
    cairn.wait_for_request(run.id)
    run.send(signal.SIGKILL)
    run.finish()
    resume.wait_for("stderr: busy")
    release(pipe)
    done = resume.finish()
    assert (done.status, done.out) == (0, "released\n")
    assert "refused" not in done.err


def test_a_pause_whose_owner_dies_over_it_is_kept_and_said(cairn):
    run, _ = holding(cairn)
    run.send(signal.SIGSTOP)
    pause = cairn.start("pause", run.id)
    cairn.wait_for_request(run.id)
    run.send(signal.SIGKILL)
    run.finish()
    done = pause.finish()
    assert done.status == 3
    assert "nobody runs execution" in done.err and "paused when somebody goes on" in done.err


def test_a_long_prompt_is_asked(cairn):
    cairn.flow("inputs: {p: {type: string}}\nnodes:\n  a: {type: ask, prompt: '{{ inputs.p }}'}\n"
               "  e: {type: end, needs: [a], value: a}\n")
    cairn.write("in.json", '{"p": "%s"}' % ("long " * 12000))
    left = cairn("run", "flow.yaml", "-i", "@in.json")
    assert left.status == 3 and "long long" in left.err
    assert cairn("answer", "@last", "yes").out == "yes\n"


def test_a_wait_that_cannot_begin_fails_and_is_not_tried_again(cairn):
    cairn.flow("inputs: {at: {type: string}}\nnodes:\n  a: {type: transform, value: 1}\n"
               "  w: {type: wait, needs: [a], until: '{{ inputs.at }}',\n"
               "      retry: {attempts: 3, on: [any], backoff: 1ms}}\n")
    done = cairn("run", "flow.yaml", "-i", "at=never")
    assert done.status == 1
    assert 'must be a time like' in done.err
    assert cairn("results", "@last", "--json").json["status"] == "failed"


IN_DOUBT = """nodes:
  s:
    type: workflow
    workflow:
      recover: compensate
      finally: last
      nodes:
        x: {{type: code, language: sh, code: 'echo x >> log', compensate: undo}}
        y:
          {{type: code, language: sh, needs: [x], delivery: at_most_once,
            code: 'echo y >> log; echo busy >&2; cat {gate}'}}
        undo: {{type: code, language: sh, code: 'echo undo >> log'}}
        last: {{type: code, language: sh, delivery: at_most_once, code: 'echo last >> log'}}
"""


def test_cancel_of_a_tree_that_nobody_runs_ends_its_sub_workflow_as_it_was_left(cairn):
    """Nothing of it is begun once more, or given up as in doubt, before its end; what runs last runs once."""
    cairn.flow(IN_DOUBT.format(gate=cairn.pipe("gate")))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    run.send(9)
    run.finish()
    done = cairn("cancel", run.id)
    assert done.status == 0 and "in_doubt" not in done.err and "started again" not in done.err
    listed = cairn("list", "--all", "--json").json["items"]
    assert [x["status"] for x in listed] == ["cancelled", "cancelled"]
    assert (cairn.folder / "log").read_text().split() == ["x", "y", "last"]


def test_who_takes_over_what_fails_names_its_file(cairn):
    """From the store alone, and in memory that is still there: the sanitizers see to that."""
    cairn.flow("  q: {type: ask, prompt: '?'}\n"
               "  b: {type: code, language: sh, needs: [q], code: exit 3}\n")
    id = ID.search(cairn("run", "flow.yaml").err).group()
    failed = cairn("answer", id, "yes")
    assert failed.status == 1 and "at node b (flow.yaml:5:3)\n" in failed.err
    assert f"after mending it: cairn retry {id} --workflow flow.yaml\n" in failed.err


@pytest.mark.parametrize("words, done", [
    (["signal", "go"], "sent: execution"),
    (["checkpoint", "here"], "checkpoint: execution"),
    (["rollback", "--to", "a", "--resume", "--background"], "runs in the background, process"),
])
def test_a_verdict_that_others_gave_before_the_take_over_is_told(cairn, words, done):
    """Another process ran it, decided on what was asked and left, right after that was recorded."""
    cairn.flow("  a: {type: transform, value: 1}\n  q: {type: ask, needs: [a], prompt: '?'}\n")
    id = ID.search(cairn("run", "flow.yaml").err).group()
    db = sqlite3.connect(cairn.store)
    for verdict in ("accepted", "refused: not now"):
        db.execute("CREATE TRIGGER other AFTER INSERT ON inbox BEGIN "
                   f"UPDATE inbox SET verdict = '{verdict}' WHERE id = new.id; END")
        db.commit()
        told = cairn(words[0], id, *words[1:])
        assert (done in told.err) == (verdict == "accepted"), told
        assert ("refused: not now" in told.err) == (verdict != "accepted"), told
        db.execute("DROP TRIGGER other")
        db.commit()
    assert cairn("answer", id, "yes").status == 0
    db.close()


@pytest.mark.parametrize("words, event", [
    (["retry"], "execution_retried"), (["rollback", "--to", "a", "--resume"], "execution_rolled_back"),
])
def test_what_could_not_be_recorded_is_not_told_to_run_in_the_background(cairn, words, event):
    """A claim comes before it; what was asked for is recorded after that, or lost to the store or to
    others."""
    cairn.flow("  a: {type: transform, value: 1}\n"
               "  b: {type: code, language: sh, needs: [a], code: exit 3}\n")
    id = ID.search(cairn("run", "flow.yaml").err).group()
    db = sqlite3.connect(cairn.store)
    db.execute(f"CREATE TRIGGER never BEFORE INSERT ON events WHEN new.kind = (SELECT id FROM event_kinds "
               f"WHERE name = '{event}') BEGIN SELECT RAISE(ABORT, 'never'); END")
    db.commit()
    told = cairn(words[0], id, *words[1:], "--background")
    assert told.status != 0 and not told.out and "in the background" not in told.err, told
    assert "never" in told.err
    db.execute("DROP TRIGGER never")
    db.commit()
    db.close()
    again = cairn(words[0], id, *words[1:], "--background")
    assert again.status == 0 and again.out == f"{id}\n"
    until(lambda: cairn("results", id, "--json").json["status"] == "failed", "it does not end")


def test_what_cannot_be_decided_on_yet_is_told_to_be_recorded(cairn):
    """It was rolled back, and who had it died before it began from there: a checkpoint waits for that."""
    cairn.flow("  a: {type: transform, value: 1}\n  q: {type: ask, needs: [a], prompt: '?'}\n")
    id, owner = detach(cairn, "run", "flow.yaml")
    until(lambda: ("step_waiting", "q") in events(cairn.store, id), "it does not wait")
    os.kill(owner.pid, signal.SIGSTOP)
    back = cairn.start("rollback", id, "--to", "a", "--resume")
    cairn.wait_for_request(id)
    asked = cairn.start("checkpoint", id, "here")
    until(lambda: len(cairn("explain", id, "--json").json["inbox"]) == 2, "it is not asked")
    db = sqlite3.connect(cairn.store)
    db.execute("CREATE TRIGGER never BEFORE INSERT ON events WHEN new.kind = (SELECT id FROM event_kinds "
               "WHERE name = 'execution_started') BEGIN SELECT RAISE(ABORT, 'never'); END")
    db.commit()
    os.kill(owner.pid, signal.SIGCONT)
    told = asked.finish()
    assert told.status != 0 and "the request is recorded (number 2)" in told.err, told
    back.finish()
    db.execute("DROP TRIGGER never")
    db.commit()
    db.close()
    assert cairn("resume", id).status == 3
    assert "@here" in cairn("checkpoints", id).out
