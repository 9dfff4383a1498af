"""cairn rollback, checkpoint, checkpoints: of what runs, waits, is paused and has ended, from another process,
more than once, over a crash; nothing is done twice under one key, what is kept is not done again."""

import signal
import sqlite3

from conftest import until
from held import holding, release

FLOW = """
  a: {type: code, language: sh, checkpoint: drafted, code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; echo one"}
  b: {type: code, language: sh, needs: [a], code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; cat ok"}
  e: {type: end, needs: [b], value: a + b}
"""
ASKS = """
  a: {type: code, language: sh, code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; echo one"}
  q: {type: ask, needs: [a], prompt: "go?"}
  b: {type: code, language: sh, needs: [q], code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; echo two"}
  e: {type: end, needs: [b], value: q + b}
"""


def effects(cairn):
    """The steps whose effects were performed, in order."""
    return [line.split("/")[1] for line in (cairn.folder / "effects").read_text().splitlines()]


def executions(cairn):
    """Ids of all, sub-workflows too, in the order of their beginnings."""
    with sqlite3.connect(cairn.store) as store:
        return [row[0] for row in store.execute("SELECT id FROM executions ORDER BY num")]


def status(cairn, id):
    return cairn("results", id, "--json").json["status"]


def steps(cairn, id):
    """Step: status, "-" in front of what was rolled back."""
    told = cairn("results", id, "--json").json["subSteps"]
    return {s["id"]: ("-" if s["rolledBack"] else "") + s["status"] for s in told}


def test_what_failed_goes_back_to_a_checkpoint(cairn):
    cairn.flow(FLOW)
    run = cairn("run", "flow.yaml")
    assert run.status == 1
    assert "is at checkpoint @drafted" in run.err
    back = cairn("rollback", "@last", "--to", "@drafted")
    assert back.status == 0 and "paused: execution" in back.err
    id = back.err.split("paused: execution ")[1].split()[0]
    assert status(cairn, id) == "paused"
    assert steps(cairn, id) == {"a": "completed", "b": "-failed", "e": "-cancelled",
                                "b~1": "pending", "e~1": "pending"}
    cairn.write("ok", "fine")
    done = cairn("resume", id)
    assert (done.status, done.out) == (0, "onefine\n")
    assert effects(cairn) == ["a", "b", "b~1"]
    assert steps(cairn, id) == {"a": "completed", "b": "-failed", "e": "-cancelled",
                                "b~1": "completed", "e~1": "completed"}
    story = cairn("results", id, "--verbose").out
    assert "b (code) failed, rolled back, at " in story
    assert cairn("db", "check").status == 0


def test_what_completed_goes_back_twice_and_on(cairn):
    cairn.flow(FLOW)
    cairn.write("ok", "fine")
    assert cairn("run", "flow.yaml").status == 0
    for target, more in (("a", ["a~1", "b~1"]), ("b", ["b~2"])):
        done = cairn("rollback", "@last", "--to", target, "--resume", "--quiet")
        assert (done.status, done.out) == (0, "onefine\n")
        assert effects(cairn)[-len(more):] == more
    assert effects(cairn) == ["a", "b", "a~1", "b~1", "b~2"]
    done = cairn("rollback", "@last", "--to", "@drafted", "--background", "--resume")
    assert done.status == 0
    assert cairn("watch", "@last").status == 0
    assert effects(cairn)[-1] == "b~3"


def test_the_rows_that_sqlite_sees(cairn):
    cairn.flow(FLOW)
    cairn.write("ok", "fine")
    assert cairn("run", "flow.yaml").status == 0
    store = sqlite3.connect(cairn.store)
    assert cairn("rollback", "@last", "--to", "b").status == 0
    assert store.execute("SELECT status, completed_us FROM executions").fetchall() == [
        ("paused", None)]
    assert store.execute("SELECT count(*) FROM steps").fetchall() == [(0,)]
    assert cairn("resume", "@last").status == 0
    rows = store.execute(
        "SELECT step, status, coalesce(json_extract(meta, '$.rolledBack'), 0) FROM steps").fetchall()
    assert rows == [("a", "completed", 0), ("b", "completed", 1), ("e", "completed", 1),
                    ("b~1", "completed", 0), ("e~1", "completed", 0)]
    seen = store.execute("SELECT task_id, status FROM sub_steps").fetchall()
    assert seen == [("a", "completed"), ("b", "completed"), ("e", "completed")]


def test_what_runs_is_stopped_first(cairn):
    run, pipe = holding(cairn)
    back = cairn("rollback", "@last", "--to", "1", "--resume")
    assert (back.status, back.out) == (0, "") and "rolled back: execution" in back.err
    assert "rolled back to event 1" in run.wait_for("step hold~1 stderr: busy")
    release(pipe)
    done = run.finish()
    assert done.status == 0, done.err
    assert "-cancelled" in steps(cairn, "@last").values()


def test_what_waits_asks_anew(cairn):
    cairn.flow(ASKS)
    assert cairn("run", "flow.yaml").status == 3
    assert cairn("answer", "@last", "yes").status == 0
    assert cairn("results", "@last", "--json").json["finalResult"] == "yestwo"
    assert cairn("rollback", "@last", "--to", "q", "--resume").status == 3
    assert status(cairn, "@last") == "waiting"
    late = cairn("answer", "@last", "q", "again")
    assert late.status == 2 and "waiting: q~1" in late.err
    assert cairn("answer", "@last", "again").status == 0
    assert cairn("results", "@last", "--json").json["finalResult"] == "againtwo"
    assert effects(cairn) == ["a", "b", "b~1"]


def test_what_waits_goes_back_before_its_answer(cairn):
    cairn.flow(ASKS)
    assert cairn("run", "flow.yaml").status == 3
    back = cairn("rollback", "@last", "--to", "a")
    assert back.status == 0, back.err
    assert status(cairn, "@last") == "paused"
    early = cairn("answer", "@last", "q", "yes")
    assert early.status != 0 or "kept" in early.err
    assert cairn("resume", "@last").status in (0, 3)
    assert effects(cairn)[:2] == ["a", "a~1"]


def test_a_moment_gets_a_name(cairn):
    cairn.flow(ASKS)
    assert cairn("run", "flow.yaml").status == 3
    assert cairn("checkpoint", "@last", "asked").status == 0
    assert cairn("answer", "@last", "no").status == 0
    listed = cairn("checkpoints", "@last", "--json").json
    assert [(c["name"], c["live"]) for c in listed] == [("asked", True)] and listed[0]["by"]
    assert cairn("rollback", "@last", "--to", "@asked", "--resume").status == 3
    assert cairn("answer", "@last", "yes").status == 0
    assert cairn("results", "@last", "--json").json["finalResult"] == "yestwo"
    assert cairn("rollback", "@last", "--to", "a").status == 0
    every = cairn("checkpoints", "@last", "--all").out
    assert "@asked, by " in every and every.count("rolled back") > 2
    none = cairn("rollback", "@last", "--to", "@asked")
    assert none.status == 2 and "a rollback went back behind it; none was made" in none.err


def test_what_is_out_of_reach_is_listed_as_that(cairn):
    cairn.flow(FLOW)
    assert cairn("run", "flow.yaml").status == 1
    assert cairn("checkpoints", "@last", "--json").json[0]["reachable"]
    cairn.flow(FLOW.replace("cat ok", "echo fine"))
    assert cairn("retry", "@last", "--workflow", "flow.yaml").status == 0
    near = cairn("checkpoints", "@last")
    assert (near.out, near.err) == ("", "1 checkpoint is out of reach: --all lists it, with why\n")
    assert cairn("checkpoints", "@last", "--json").json == []
    changed = next(e["seq"] for e in cairn("watch", "@last", "--json-lines").json_lines
                   if e["type"] == "workflow_changed")
    why = f"event {changed} changed the workflow or its inputs, and nothing goes back behind that"
    assert f"  @drafted, out of reach: {why}\n" in cairn("checkpoints", "@last", "--all").out
    far = [c for c in cairn("checkpoints", "@last", "--all", "--json").json if not c["reachable"]]
    assert [(c["name"], c["why"]) for c in far] == [("drafted", why)]
    assert why in cairn("rollback", "@last", "--to", "@drafted").err
    for moment in cairn("checkpoints", "@last", "--all", "--json").json:
        done = cairn("rollback", "@last", "--to", str(moment["seq"]))
        assert done.status == (0 if moment["reachable"] else 2), (moment, done.err)


def test_a_rollback_is_taken_back(cairn):
    cairn.flow(FLOW)
    cairn.write("ok", "fine")
    assert cairn("run", "flow.yaml").status == 0
    at = [line.split()[0] for line in cairn("checkpoints", "@last", "--all").out.splitlines()
          if line.endswith("completed b")][0]
    assert cairn("rollback", "@last", "--to", "a").status == 0
    assert cairn("rollback", "@last", "--to", at, "--resume", "--quiet").out == "onefine\n"
    assert effects(cairn) == ["a", "b"]  # what completed counts again


def test_killed_in_between(cairn):
    run, pipe = holding(cairn)
    assert cairn("rollback", "@last", "--to", "1", "--resume").status == 0
    run.send(signal.SIGKILL)
    run.finish()
    again = cairn.start("resume", "@last")
    again.wait_for("step hold~1 stderr: busy")
    release(pipe)
    assert again.finish().status == 0
    assert status(cairn, "@last") == "completed"
    assert cairn("db", "check").status == 0


LEFT = """
finally: tidy
nodes:
  a: {{type: code, language: sh, code: 'echo a >> log', compensate: undo}}
  b: {{type: code, language: sh, needs: [a], delivery: at_most_once, code: 'echo b >> log; cat {gate}'}}
  undo: {{type: code, language: sh, code: 'echo undo >> log'}}
  tidy: {{type: code, language: sh, code: 'echo tidy >> log'}}
"""


def left(cairn):
    """The id of an execution that was killed while b ran, and what lets b go on."""
    gate = cairn.pipe("gate")
    cairn.flow("recover: compensate" + LEFT.format(gate=gate))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step b started")
    until(lambda: "b" in (cairn.folder / "log").read_text())
    run.send(signal.SIGKILL)
    run.finish()
    return run.id, gate


def test_what_nobody_runs_goes_back_before_anything_of_it_goes_on(cairn):
    """A step in doubt would fail, and what was done would be undone, before it could go back."""
    id, gate = left(cairn)
    back = cairn("rollback", id, "--to", "b")
    assert back.status == 0 and "paused: execution" in back.err
    assert steps(cairn, id)["b~1"] == "pending"
    assert (cairn.folder / "log").read_text().split() == ["a", "b"]
    again = cairn.start("resume", id)
    again.wait_for("step b~1 started")
    release(gate)
    assert again.finish().status == 0
    assert (cairn.folder / "log").read_text().split() == ["a", "b", "b", "tidy"]
    assert cairn("db", "check").status == 0


def test_what_nobody_runs_goes_back_and_on_at_once(cairn):
    id, gate = left(cairn)
    again = cairn.start("rollback", id, "--to", "b", "--resume")
    again.wait_for("step b~1 started")
    release(gate)
    assert again.finish().status == 0
    assert (cairn.folder / "log").read_text().split() == ["a", "b", "b", "tidy"]
    assert "started again" not in again.err


def test_a_wrong_target_does_not_make_it_go_on(cairn):
    id, _ = left(cairn)
    wrong = cairn("rollback", id, "--to", "nope")
    assert wrong.status == 2 and '"nope" is no target' in wrong.err
    assert f"cairn checkpoints {id} --all" in wrong.err
    assert ": interrupted\n" in cairn("explain", id).out
    assert (cairn.folder / "log").read_text().split() == ["a", "b"]


def test_one_of_many_at_once(cairn):
    cairn.flow(FLOW)
    assert cairn("run", "flow.yaml").status == 1
    cairn.write("ok", "fine")
    tries = [cairn.start("rollback", "@last", "--to", "b", "--resume") for _ in range(5)]
    done = [t.finish() for t in tries]
    assert 0 in [d.status for d in done], [d.err for d in done]
    assert status(cairn, "@last") == "completed"
    assert len(effects(cairn)) == len(set(effects(cairn)))


def test_items_of_a_foreach_that_had_ended_are_kept(cairn):
    cairn.flow("""
  each: {type: code, foreach: {items: [1, 2, 3], concurrency: 1}, command:
         [sh, -c, 'echo $CAIRN_IDEMPOTENCY_KEY >>effects; test $0 != 2 || cat ok', "{{ item }}"]}
  e: {type: end, needs: [each], value: each}
""")
    assert cairn("run", "flow.yaml").status == 1
    at = [line.split()[0] for line in cairn("checkpoints", "@last", "--all").out.splitlines()][0]
    cairn.write("ok", "")
    done = cairn("rollback", "@last", "--to", at, "--resume")
    assert done.status == 0, done.err
    assert effects(cairn) == ["each[0]", "each[1]", "each[1]~1", "each[2]~1"]


def test_a_loop_counts_anew_and_uses_no_id_twice(cairn):
    cairn.flow("""
  work: {type: code, language: sh, needs: [more.true], code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects"}
  more: {type: condition, needs: [work], when: iteration < 2}
  e: {type: end, needs: [more.false], value: "'done'"}
""")
    assert cairn("run", "flow.yaml").status == 0
    assert cairn("rollback", "@last", "--to", "work#1", "--resume").status == 0
    assert effects(cairn) == ["work", "work#1", "work#2", "work#1~1", "work#2~1"]


def test_a_sub_workflow_is_begun_anew(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:" + FLOW)
    cairn.flow("""
  sub: {type: workflow, workflow: child.yaml}
  e: {type: end, needs: [sub], value: sub}
""")
    cairn.write("ok", "fine")
    assert cairn("run", "flow.yaml").status == 0
    root, child = executions(cairn)
    own = cairn("rollback", child, "--to", "b", "--resume")
    assert own.status == 0, own.err  # its parent has ended
    done = cairn("rollback", root, "--to", "sub", "--resume")
    assert done.status == 0, done.err
    assert len(executions(cairn)) == 3
    keys = [line for line in (cairn.folder / "effects").read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 5


def test_a_sub_workflow_under_way_ends_with_its_step(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n  q: {type: ask, prompt: x}\n")
    cairn.flow("""
  sub: {type: workflow, workflow: child.yaml}
  e: {type: end, needs: [sub], value: sub}
""")
    assert cairn("run", "flow.yaml").status == 3
    root, child = executions(cairn)
    below = cairn("rollback", child, "--to", "1")
    assert below.status == 2 and "a step of its parent waits for it" in below.err
    assert cairn("rollback", root, "--to", "1").status == 0
    assert status(cairn, child) == "cancelled"
    assert status(cairn, root) == "paused"


def test_the_undone_is_no_answer_to_when_it_is_at_its_end(cairn):
    cairn.flow(FLOW)
    assert cairn("run", "flow.yaml").status == 1
    last = cairn("results", "@last", "--json").json["status"]
    assert last == "failed"
    refused = cairn("rollback", "@last", "--to", "e")
    assert refused.status == 2 and "was at its end; the last event before that is" in refused.err
    assert cairn("results", "@last", "--json").json["status"] == "failed"


def test_recover_goes_back_to_a_checkpoint_and_tries_again(cairn):
    cairn.flow("""
  a: {type: code, language: sh, checkpoint: begun, code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects"}
  b: {type: code, language: sh, needs: [a], code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects"}
  c: {type: code, language: sh, needs: [b], recover: [{rollback: "@begun", times: 2}, {rollback: a}],
      code: "echo $CAIRN_IDEMPOTENCY_KEY >>effects; test $(grep -c c effects) = 5"}
""".replace("grep -c c", "grep -c /c"))
    run = cairn("run", "flow.yaml")
    assert run.status == 1
    assert run.err.count("recovery of c") == 3
    assert effects(cairn) == ["a", "b", "c", "b~1", "c~1", "b~2", "c~2", "a~1", "b~3", "c~3"]
    again = cairn("retry", "@last")
    assert again.status == 0, again.err
    assert effects(cairn)[-1] == "c~4"


def recorded(cairn, kind, step, payload):
    """A request that stands in the inbox, as of somebody who was killed before an owner took it."""
    with sqlite3.connect(cairn.store) as store:
        store.execute("INSERT INTO inbox(execution, kind, step, payload, at_us) VALUES(1, ?, ?, ?, 1)",
                      (kind, step, payload))
    store.close()


def left_paused(cairn):
    cairn.flow(ASKS.replace("language: sh, code", "language: sh, checkpoint: made, code", 1))
    id = cairn("run", "flow.yaml", "--background", "-q").out.strip()
    watch = cairn.start("watch", id)
    watch.wait_for("step q waits")
    assert cairn("pause", id).status == 0
    watch.finish()
    return id


def test_a_resume_after_a_recorded_rollback_that_resumes_goes_on_in_the_background(cairn):
    """What it wants has happened, so it is not refused, and nobody waits for it in vain."""
    id = left_paused(cairn)
    recorded(cairn, "rollback", "a", '{"by": "ada", "value": true}')
    done = cairn("resume", id, "--background")
    assert (done.status, done.out) == (0, id + "\n"), done.err
    watch = cairn.start("watch", id)
    watch.wait_for("step q~1 waits")
    assert cairn("answer", id, "q~1", "go").status == 0
    watch.finish()
    assert effects(cairn) == ["a", "a~1", "b"]


def test_a_rollback_that_is_refused_in_the_background_says_so(cairn):
    """A recorded one came first and went back behind its target."""
    id = left_paused(cairn)
    recorded(cairn, "rollback", "a", '{"by": "ada", "value": true}')
    done = cairn("rollback", id, "--to", "@made", "--resume", "--background")
    assert done.status == 2 and 'no checkpoint "made" any more' in done.err, done
    assert cairn("resume", id, "--background").status == 0
    assert cairn("cancel", id).status == 0


def test_a_rollback_in_the_background_says_that_it_pauses(cairn):
    cairn.flow(FLOW)
    assert cairn("run", "flow.yaml").status == 1
    for _ in range(2):  # of what has ended, and of what is paused
        done = cairn("rollback", "@last", "--to", "@drafted", "--background")
        assert done.status == 0 and done.out.strip() in done.err
        assert "goes back in the background, process " in done.err
        assert "and is paused then\n" in done.err and "runs in the background" not in done.err
        assert f"go on then: cairn resume {done.out.strip()}" in done.err
        cairn("watch", "@last")
        assert status(cairn, "@last") == "paused"
    on = cairn("rollback", "@last", "--to", "@drafted", "--background", "--resume")
    assert "runs in the background, process " in on.err


def test_a_crash_while_a_cancelled_sub_workflow_cleans_up_after_a_rollback(cairn):
    """It was cancelled with the step that went back; who goes on lets it end, too."""
    pipe = cairn.pipe("pipe")
    cairn.write("child.yaml", """cairn: 1
name: child
nodes:
  hold: {type: code, language: sh, code: "echo busy >&2; sleep 1000"}
  clean: {type: code, language: sh, code: "echo cleaning >&2; cat pipe; echo cleaned >>effects"}
finally: [clean]
""")
    cairn.flow("""
  a: {type: code, language: sh, code: "echo 1"}
  sub: {type: workflow, needs: [a], workflow: child.yaml}
  e: {type: end, needs: [a], value: a}
""")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    root, child = executions(cairn)
    assert cairn("rollback", root, "--to", "a").status == 0
    run.wait_for("cleaning")
    run.send(signal.SIGKILL)
    run.finish()
    assert status(cairn, child) == "running" and status(cairn, root) == "paused"
    resumed = cairn.start("resume", root)
    resumed.wait_for("cleaning")
    resumed.wait_for("busy")  # the step that runs anew has a sub-workflow of its own
    release(pipe)
    until(lambda: status(cairn, child) == "cancelled")
    assert (cairn.folder / "effects").read_text() == "cleaned\n"
    resumed.send(signal.SIGKILL)
    resumed.finish()
    assert len(executions(cairn)) == 3
