"""How durable engines have failed, by the numbers of the table in docs/guarantees.md: each such
failure is provoked here, on the real binary, and must not happen. Where it takes an order of events
that only a fake clock and a fake store can bring about, a unit test has the number in its name.
"""

import contextlib
import os
import signal
import sqlite3
import threading
import time

import pytest
from conftest import ID, PATIENCE, until
from test_background import background, rows  # noqa: F401 (a fixture)
from held import holding, release
from test_http import Server, server  # noqa: F401 (a fixture)

# A step that notes each of its starts, with the key it was given, and stays until it is told to end.
NOTED = "echo $CAIRN_IDEMPOTENCY_KEY >> {0}.starts; echo busy >&2; cat {0}.pipe"


def noted(name, more=""):
    return f"  {name}: {{type: code, language: sh, code: '{NOTED.format(name)}'{more}}}\n"


def starts(cairn, name):
    path = cairn.folder / f"{name}.starts"
    return path.read_text().split() if path.exists() else []


def begun(cairn, name, count=1):
    return until(lambda: len(starts(cairn, name)) == count)


def killed(run):
    run.send(signal.SIGKILL)
    run.finish()


def stands_still(cairn, run):
    """Stopped, and not within a commit: else nobody could write."""
    run.send(signal.SIGSTOP)
    try:
        with contextlib.closing(sqlite3.connect(cairn.store, timeout=0.2)) as db:
            db.execute("BEGIN IMMEDIATE")
            db.rollback()
        return True
    except sqlite3.OperationalError:
        run.send(signal.SIGCONT)
        return False


def stopped_with_requests(cairn, run, *requests):
    """Asked while the owner stands still, which is killed then: all stand in the inbox."""
    until(lambda: stands_still(cairn, run))
    asking = []
    for number, words in enumerate(requests):
        asking.append(cairn.start(*words))
        until(lambda: rows(cairn, "SELECT count(*) FROM inbox WHERE verdict IS NULL")[0][0] > number)
    for one in asking:
        one.send(signal.SIGKILL)  # else they would take it over
        one.finish()
    run.send(signal.SIGKILL)
    run.finish()


def journal(cairn, id):
    return rows(cairn, "SELECT k.name, e.step FROM events e JOIN event_kinds k ON k.id = e.kind JOIN "
                f"executions x ON x.num = e.execution WHERE x.id = '{id}' ORDER BY e.seq")


# ---- 1: the process dies between an effect and the record of it ----


class Shop:
    """It does what it is asked once for each key; its first answer never comes back."""

    def __init__(self, server):
        self.server, self.done, self.keys = server, [], []
        self.asked, self.gone = threading.Event(), threading.Event()
        server.routes["/charge"] = self.charge

    def charge(self, asked):
        key = asked.headers["Idempotency-Key"]
        self.keys.append(key)
        if key not in self.done:
            self.done.append(key)
        if len(self.keys) == 1:
            self.asked.set()
            self.gone.wait(PATIENCE)
        return 200, {}, {"charged": len(self.done)}


def run_and_kill_while_it_charges(cairn, shop, more=""):
    cairn.flow(f"nodes:\n  pay: {{type: http, method: POST, url: '{shop.server.url}/charge'{more}}}\n"
               "outputs: {got: pay}\n")
    run = cairn.start("run", "flow.yaml")
    assert shop.asked.wait(PATIENCE)
    run.wait_for("step pay started")
    killed(run)
    shop.gone.set()
    return run.id


def test_failure_mode_01_an_effect_that_was_not_recorded_has_the_same_key_again(cairn, server):
    shop = Shop(server)
    id = run_and_kill_while_it_charges(cairn, shop)
    done = cairn("resume", id, "--json").json
    assert (done["status"], done["outputs"]) == ("completed", {"got": {"charged": 1}})
    assert shop.keys == [f"{id}/pay"] * 2 and shop.done == [f"{id}/pay"]


def test_failure_mode_01_at_most_once_is_in_doubt_and_not_done_again(cairn, server):
    shop = Shop(server)
    id = run_and_kill_while_it_charges(cairn, shop, ", delivery: at_most_once")
    done = cairn("resume", id, "--json").json
    assert (done["status"], done["error"]["type"]) == ("failed", "in_doubt")
    assert shop.keys == [f"{id}/pay"]


# ---- 2: what still runs is begun a second time by a recovery ----


def test_failure_mode_02_what_lives_is_not_recovered(cairn):
    pipe = cairn.pipe("a.pipe")
    cairn.flow(noted("a"))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    assert cairn("resume", run.id).status == 2
    assert cairn("resume", "--all").status == 0
    run.send(signal.SIGSTOP)  # it cannot even say that it lives
    assert cairn("resume", "--all").status == 0
    assert rows(cairn, "SELECT epoch, effective_status FROM executions_now") == [(1, "running")]
    run.send(signal.SIGCONT)
    release(pipe)
    assert run.finish().status == 0
    assert len(starts(cairn, "a")) == 1


def test_failure_mode_02_many_recover_at_once_and_one_does(cairn):
    pipe = cairn.pipe("a.pipe")
    cairn.flow(noted("a"))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    killed(run)
    many = [cairn.start("resume", "--all", "--quiet") for _ in range(4)]
    many += [cairn.start("resume", run.id) for _ in range(2)]
    begun(cairn, "a", 2)
    losers = until(lambda: len([m for m in many if m.child.poll() is not None]) == 5)
    assert losers and rows(cairn, "SELECT epoch FROM progress") == [(2,)]
    release(pipe)
    for one in many:
        one.finish()
    assert len(starts(cairn, "a")) == 2
    assert rows(cairn, "SELECT status FROM executions") == [("completed",)]


# ---- 3: a step is handed out again while it is being performed, as something else woke the run ----


def test_failure_mode_03_nothing_that_wakes_an_execution_starts_a_step_again(cairn):
    pipe = cairn.pipe("a.pipe")
    cairn.flow(noted("a") + "  t: {type: wait, for: 30ms, foreach: '[1, 2, 3]'}\n"
               "  q: {type: ask, prompt: '?'}\n  e: {type: end, needs: [a, t, q], value: a + q}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    run.wait_for("step t completed")
    assert cairn("pause", run.id).status == 0
    run.wait_for(" paused")
    assert cairn("resume", run.id).status == 0
    run.wait_for(" goes on")
    assert cairn("answer", run.id, "q", "yes").status == 0
    run.wait_for("step q completed")
    release(pipe, "done ")
    assert run.finish().out == "done yes\n"
    assert len(starts(cairn, "a")) == 1
    assert [e for e in journal(cairn, run.id) if e[1] == "a"].count(("step_scheduled", "a")) == 1


# ---- 4: an owner that was replaced goes on writing ----


def test_failure_mode_04_who_was_replaced_records_and_starts_nothing_more(cairn):
    pipe = cairn.pipe("a.pipe")
    cairn.flow(noted("a") + "  b: {type: code, language: sh, needs: [a], "
               "code: 'echo $CAIRN_IDEMPOTENCY_KEY >> b.starts'}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    run.send(signal.SIGSTOP)
    with sqlite3.connect(cairn.store) as db:  # as by an owner on a machine that sees no lock of ours
        db.execute("UPDATE progress SET epoch = epoch + 1, host = 0")
    db.close()
    other = cairn.start("resume", run.id)
    begun(cairn, "a", 2)
    release(pipe)
    assert other.finish().status == 0
    before = journal(cairn, run.id)
    run.send(signal.SIGCONT)
    zombie = run.finish()
    assert zombie.status == 4 and f"taken execution {run.id} over" in zombie.err
    assert journal(cairn, run.id) == before
    assert len(starts(cairn, "b")) == 1
    assert cairn("results", run.id, "--json").json["status"] == "completed"


# ---- 5: what was recovered keeps a place that it does not use ----


def test_failure_mode_05_what_was_recovered_runs_on_with_one_slot(cairn):
    pipe = cairn.pipe("page.pipe")
    cairn.flow("concurrency: 1\nnodes:\n" + noted("page", ", foreach: '[1, 2, 3]'") +
               noted("last", ", needs: [page]").replace("; cat last.pipe", ""))
    for count in (1, 2):  # killed over the first item, and over it again
        run = cairn.start(*(("run", "flow.yaml") if count == 1 else ("resume", "@last")))
        begun(cairn, "page", count)
        assert rows(cairn, "SELECT effective_status FROM executions_now") == [("running",)]
        killed(run)
    again = cairn.start("resume", "@last")
    for count in (3, 4, 5):
        begun(cairn, "page", count)
        assert rows(cairn, "SELECT effective_status FROM executions_now") == [("running",)]
        release(pipe)
    assert again.finish().status == 0
    keys = [key.rsplit("/", 1)[1] for key in starts(cairn, "page")]
    assert keys == ["page[0]", "page[0]", "page[0]", "page[1]", "page[2]"]
    assert len(starts(cairn, "last")) == 1


# ---- 6: the wake-up is lost ----


def test_failure_mode_06_an_answer_in_the_moment_when_its_process_leaves(cairn):
    cairn.flow("  q: {type: ask, prompt: '?'}\n  e: {type: end, needs: [q], value: q}\n")
    for number in range(12):
        run = cairn.start("run", "flow.yaml", "--key", f"k{number}")
        waits = "SELECT id FROM executions WHERE status = 'waiting' AND key = 'k%d'" % number
        until(lambda: os.path.exists(cairn.store) and rows_or_none(cairn, waits))
        answer = cairn("answer", rows(cairn, waits)[0][0], f"a{number}")
        left = run.finish()
        assert (left.status, answer.status) in ((3, 0), (0, 0)), left.err + answer.err
        id = ID.search(left.err).group()
        done = cairn("results", id, "--json").json
        assert (done["status"], done["finalResult"]) == ("completed", f"a{number}")


def test_failure_mode_06_a_signal_in_the_moment_when_its_process_leaves(cairn):
    """Between the look for signals and the end of the process: taken by it, or by who sends it."""
    cairn.flow("  s: {type: wait, signal: go}\n  e: {type: end, needs: [s], value: s}\n")
    for number in range(12):
        run = cairn.start("run", "flow.yaml", "--key", f"k{number}")
        begun = "SELECT id FROM executions WHERE key = 'k%d'" % number
        if number % 2:  # before it leaves, or before it even waits
            begun += " AND status = 'waiting'"
        until(lambda: os.path.exists(cairn.store) and rows_or_none(cairn, begun))
        id = rows(cairn, begun)[0][0]
        sent = cairn("signal", id, "go", str(number))
        left = run.finish()
        assert (left.status, sent.status) in ((3, 0), (0, 0)), left.err + sent.err
        done = cairn("results", id, "--json").json
        assert (done["status"], done["finalResult"]) == ("completed", number)
        assert [e for e, _ in journal(cairn, id)].count("signal_received") == 1


def test_failure_mode_06_each_of_many_signals_wakes_one_that_waits(cairn):
    """Sent at once by many, before and after their steps wait, over a crash of the owner."""
    pipe = cairn.pipe("a.pipe")
    cairn.flow(noted("a") + "  s: {type: wait, needs: [a], signal: go, foreach: '[1, 2, 3, 4, 5, 6]'}\n"
               "  e: {type: end, needs: [s], value: s}\n")
    run = cairn.start("run", "flow.yaml", "--timeout", "1h")
    run.wait_for("busy")
    early = [cairn.start("signal", run.id, "go", str(n)) for n in (1, 2, 3)]
    assert [one.finish().status for one in early] == [0, 0, 0]
    killed(run)
    resumed = cairn.start("resume", run.id, "--json", "-q")
    begun(cairn, "a", 2)
    release(pipe)
    until(lambda: [e for e, _ in journal(cairn, run.id)].count("step_waiting") == 6)
    late = [cairn.start("signal", run.id, "go", str(n)) for n in (4, 5, 6)]
    assert [one.finish().status for one in late] == [0, 0, 0]
    assert sorted(resumed.finish().json["finalResult"]) == [1, 2, 3, 4, 5, 6]


def rows_or_none(cairn, statement):
    try:
        return rows(cairn, statement)
    except sqlite3.Error:
        return None  # the store is being made


EARLY = ("  q: {type: ask, prompt: '?', needs: [a], choices: [fine, late]}\n"
         "  e: {type: end, needs: [q], value: q}\n")


def busy(cairn, more, *arguments):
    """A run whose first step a, noted, is being performed; and what lets it end."""
    pipe = cairn.pipe("a.pipe")
    cairn.flow(noted("a") + more)
    run = cairn.start("run", "flow.yaml", *arguments)
    run.wait_for("busy")
    return run, pipe


def test_failure_mode_06_an_answer_before_anybody_waits_is_kept_and_taken_once(cairn):
    run, pipe = busy(cairn, EARLY)
    early = cairn("answer", run.id, "q", "fine")
    assert early.err == f"kept, taken when step q begins to wait: execution {run.id}\n"
    assert "an answer is kept for q, from " in cairn("explain", run.id).out
    again = cairn("answer", run.id, "q", "late")
    assert again.status == 2 and "step q, which does not wait yet, is kept already" in again.err
    killed(run)  # it is kept over a crash, too
    resumed = cairn.start("resume", run.id)
    resumed.wait_for("busy")
    release(pipe)
    assert resumed.finish().out == "fine\n"
    events = journal(cairn, run.id)
    assert [e for e, step in events if step == "q"] == [
        "answer_kept", "step_waiting", "step_completed"]


def test_failure_mode_06_an_early_answer_that_does_not_fit_is_dropped_and_said(cairn):
    run, pipe = busy(cairn, EARLY)
    assert cairn("answer", run.id, "q", "perhaps").status == 0
    release(pipe)
    left = run.finish()
    assert left.status == 3
    why = "the answer must be one of: fine, late"
    assert f"step q got an answer before it asked, which is dropped: {why}" in left.err
    told = cairn("explain", run.id)
    assert "  an answer to q, from " in told.out and f"was dropped: {why}\n" in told.out
    answer = cairn("explain", run.id, "--json").json["answers"][0]
    assert (answer["step"], answer["status"], answer["why"]) == ("q", "dropped", why)
    assert cairn("answer", run.id, "q", "late").out == "late\n"


def test_failure_mode_06_an_early_answer_is_dropped_and_said_when_the_workflow_changes(cairn):
    text = ("  a: {type: transform, value: 1, needs: [more.true], max_iterations: 5}\n"
            "  q: {type: ask, needs: [a], prompt: Well?}\n"
            "  more: {type: condition, needs: [q], when: nodes.q.iteration < 1}\n")
    cairn.flow(text)
    id = ID.search(cairn("run", "flow.yaml").err).group()
    assert "kept, taken when step q#1 begins to wait" in cairn("answer", id, "q#1", "early").err
    assert cairn("cancel", id).status == 0
    cairn.flow(text.replace("Well?", "Else?"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    why = "the workflow or its inputs were changed before the step began to wait"
    assert f"step q#1 got an answer before it asked, which is dropped: {why}\n" in again.err
    assert cairn("answer", id, "q~1", "first").status == 3
    answer, = cairn("explain", id, "--json").json["answers"]
    assert (answer["step"], answer["status"], answer["why"]) == ("q#1", "dropped", why)
    assert cairn("answer", id, "q#1", "second").status == 0
    assert ("answer_dropped", "q#1") in journal(cairn, id)


# ---- 9: a cancel that leaves something running, or is undone by a late result ----


def test_failure_mode_09_a_cancel_is_final_for_the_whole_tree(cairn):
    pipe = cairn.pipe("deaf.pipe")
    deaf = "trap '' TERM; echo busy >&2; echo x >> deaf.starts; cat deaf.pipe; echo late"
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n"
                f'  deaf: {{type: code, language: sh, code: "{deaf}"}}\n'
                "  after: {type: code, language: sh, needs: [deaf], code: 'echo x >> after'}\n")
    cairn.flow("  sub: {type: workflow, workflow: child.yaml}\n"
               "  again: {type: code, language: sh, code: exit 1, retry: {attempts: 9, backoff: 1h}}\n"
               "  q: {type: ask, prompt: '?'}\n  late: {type: wait, for: 1h}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    run.wait_for("step again")
    begun(cairn, "deaf")
    cancels = [cairn.start("cancel", run.id) for _ in range(2)]
    try:
        end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        os.close(end)  # a late result, if the order to stop has not reached it yet
    except OSError:
        pass
    assert sorted(c.finish().status for c in cancels)[0] == 0
    assert run.finish().status == 1
    told = dict(rows(cairn, "SELECT workflow, status FROM executions"))
    assert told["flow"] == "cancelled" and told["child"] in ("cancelled", "completed")
    assert set(rows(cairn, "SELECT host FROM progress")) == {(0,)}
    assert not rows(cairn, "SELECT id FROM steps WHERE status NOT IN "
                    "('cancelled', 'completed', 'skipped', 'failed')")
    refused = cairn("resume", run.id)
    assert refused.status == 2 and "has ended (cancelled)" in refused.err
    scheduled = rows(cairn, "SELECT 1 FROM journal WHERE step = 'after' AND event = 'step_scheduled'")
    assert scheduled or not (cairn.folder / "after").exists()  # the end of deaf may have come first


def test_failure_mode_09_a_result_that_comes_late_moves_nothing(cairn):
    """The program answers the order to stop with a success, which is noted at most."""
    late = ("trap 'echo x >> late; echo 1; exit 0' TERM; echo $CAIRN_STEP >> log; echo busy >&2; "
            "test -e go || cat gate & wait")
    cairn.flow(f"  a: {{type: code, language: bash, code: \"{late}\"}}\n"
               "  b: {type: code, language: sh, needs: [a], code: 'echo b >> log'}\n"
               "  e: {type: end, needs: [b], value: a}\n")
    cairn.pipe("gate")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    assert cairn("cancel", run.id).status == 0
    assert run.finish().status == 1
    done = cairn("results", run.id, "--json").json
    steps = {s["id"]: (s["status"], s["result"]) for s in done["subSteps"]}
    assert done["status"] == "cancelled" and steps["a"] == ("cancelled", None), steps
    assert read(cairn, "late") == "x\n"  # so it did come
    events = journal(cairn, run.id)
    end = events.index(("execution_cancelled", ""))
    assert {event for event, _ in events[end + 1:]} <= {"late_result", "step_log"}, events
    (cairn.folder / "go").touch()
    assert cairn("retry", run.id, "-q").status == 0
    assert read(cairn, "log") == "a\na~1\nb\n"


def test_failure_mode_09_a_cancel_whose_owner_dies_over_it_ends_the_tree(cairn):
    """It is recorded and not yet decided on, or decided on while `finally` still runs."""
    pipe = cairn.pipe("last.pipe")
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n" + noted("a"))
    cairn.pipe("a.pipe")
    cairn.flow("finally: last\nnodes:\n  sub: {type: workflow, workflow: child.yaml}\n" + noted("last"))
    run = cairn.start("run", "flow.yaml")
    begun(cairn, "a")
    run.wait_for("busy")
    stopped_with_requests(cairn, run, ("cancel", run.id))
    resumed = cairn.start("resume", run.id)
    begun(cairn, "last")
    killed(resumed)  # now that `finally` runs
    assert rows(cairn, "SELECT status FROM executions WHERE workflow = 'child'") == [("cancelled",)]
    resumed = cairn.start("resume", run.id)
    begun(cairn, "last", 2)
    release(pipe)
    assert resumed.finish().status == 1
    assert set(rows(cairn, "SELECT status FROM executions")) == {("cancelled",)}
    assert set(rows(cairn, "SELECT host FROM progress")) == {(0,)}
    assert len(starts(cairn, "a")) == 1
    assert not rows(cairn, "SELECT step FROM steps WHERE status IN ('running', 'waiting', 'pending')")


# ---- 10: a join that fires too early, twice or never; results in the wrong place ----


def test_failure_mode_10_what_comes_together_is_complete_in_order_and_once(cairn):
    items = list(range(40))
    cairn.flow(
        "nodes:\n"
        f"  left: {{type: code, language: sh, foreach: {{items: '{items}', concurrency: 3}},\n"
        "         env: {N: '{{ item }}'}, code: 'echo $N >> left; sleep 0.0$(( $$ % 4 )); echo L$N'}\n"
        f"  right: {{type: code, language: sh, foreach: {{items: '{items}', concurrency: 7}},\n"
        "         env: {N: '{{ item }}'}, code: 'echo $N >> right; sleep 0.0$(( $$ % 4 )); echo R$N'}\n"
        "  any: {type: code, language: sh, needs: [left, right], join: any, code: 'echo x >> any'}\n"
        "  all: {type: code, language: sh, needs: [left, right], code: 'echo x >> all'}\n"
        "outputs: {left: left, right: right}\n")
    run = cairn.start("run", "flow.yaml", "--json", "--quiet")
    for count in (5, 20):
        until(lambda: len(read(cairn, "left").split()) >= count)
        run.send(signal.SIGKILL)
        run.child.communicate()
        run = cairn.start("resume", "@last", "--json", "--quiet")
    done = run.finish()
    assert done.status == 0, done.err
    outputs = done.json["outputs"]
    assert outputs["left"] == [f"L{n}" for n in items]
    assert outputs["right"] == [f"R{n}" for n in items]
    assert (read(cairn, "any"), read(cairn, "all")) == ("x\n", "x\n")


def read(cairn, name):
    path = cairn.folder / name
    return path.read_text() if path.exists() else ""


def test_failure_mode_10_a_join_fires_for_what_is_left_and_never_for_a_failure(cairn):
    """A branch that is not taken does not hold it up, one that fails is no success for it, and what
    fails in a foreach stays in its place."""
    cairn.flow(
        "nodes:\n"
        "  which: {type: condition, when: \"true\"}\n"
        "  yes: {type: code, language: sh, needs: [which.true], code: 'sleep 0.02; echo yes'}\n"
        "  no: {type: code, language: sh, needs: [which.false], code: 'echo no >> wrong'}\n"
        "  merged: {type: code, language: sh, needs: [yes, no], code: 'echo x >> merged'}\n"
        "  bad: {type: code, language: sh, code: 'sleep 0.02; exit 3', on_error: continue}\n"
        "  after: {type: code, language: sh, needs: [yes, bad], code: 'echo x >> after'}\n"
        "  never: {type: code, language: sh, needs: [bad], code: 'echo x >> wrong'}\n"
        "  items: {type: code, language: sh, env: {N: '{{ item }}'},\n"
        "          foreach: {items: '[0, 1, 2, 3, 4, 5]', concurrency: 2, on_item_error: collect},\n"
        "          code: 'test $N != 3 || exit 4; sleep 0.0$((5 - N)); echo $N'}\n"
        "outputs: {items: items}\n")
    done = cairn("run", "flow.yaml", "--json", "-q").json
    steps = {s["id"]: s["status"] for s in done["subSteps"]}
    assert done["status"] == "partial", done
    assert (steps["no"], steps["never"]) == ("skipped", "skipped"), steps
    assert (read(cairn, "merged"), read(cairn, "wrong")) == ("x\n", "")
    assert read(cairn, "after") == "x\n"  # one need was taken, the other is decided
    assert [item.get("value") for item in done["outputs"]["items"]] == [0, 1, 2, None, 4, 5]


# ---- 11: a submission key that two who come at once both find free ----


def test_failure_mode_11_one_key_is_one_execution_however_many_submit_it(cairn):
    cairn.flow("inputs: {n: {type: integer, default: 1}}\nnodes:\n"
               "  a: {type: code, language: sh, code: 'echo x >> done; echo 7'}\n"
               "  e: {type: end, needs: [a], value: a}\n")
    many = [cairn.start("run", "flow.yaml", "--key", "one", "--json") for _ in range(6)]
    done = [one.finish() for one in many]
    ids = rows(cairn, "SELECT id FROM executions")
    assert len(ids) == 1
    assert all(ids[0][0] in d.err + d.out for d in done), done  # its result, or who runs it
    assert read(cairn, "done") == "x\n"
    later = cairn("run", "flow.yaml", "--key", "one", "--json")
    assert later.status == 0 and later.json["id"] == ids[0][0]
    other = cairn("run", "flow.yaml", "--key", "one", "-i", "n=2")
    assert other.status == 2 and "key" in other.err, other.err
    assert read(cairn, "done") == "x\n" and rows(cairn, "SELECT id FROM executions") == ids


# ---- 14: the way on which one is woken is dead, and nobody looks ----


def test_failure_mode_12_an_edited_file_changes_nothing_that_is_under_way(cairn):
    cairn.flow("  q: {type: ask, prompt: 'go?'}\n"
               "  e: {type: end, needs: [q], value: \"'as it was'\"}\n")
    assert cairn("run", "flow.yaml").status == 3
    for text in ("  q: {type: wait, for: 1h}\n", "  other: {type: end, value: 1}\n", "  q: {type: \n"):
        cairn.flow(text)
        assert cairn("explain", "@last").status == 0
    done = cairn("answer", "@last", "yes")
    assert (done.status, done.out) == (0, "as it was\n")
    assert cairn("db", "check").status == 0


def test_failure_mode_12_all_its_files_are_those_it_began_with(cairn):
    """Sub-workflows, scripts and templates too, of steps that begin behind a crash and the edit."""
    child = ("cairn: 1\nname: child\nnodes:\n"
             "  x: {{type: code, language: sh, code: 'echo {n}'}}\noutputs: {{n: x}}\n")
    cairn.write("child.yaml", child.format(n=1))
    cairn.write("script.sh", "echo 1")
    cairn.write("letter.txt", "1 {{ s.n }}")
    pipe = cairn.pipe("a.pipe")
    cairn.flow(noted("a") +
               "  s: {type: workflow, needs: [a], workflow: child.yaml}\n"
               "  b: {type: code, language: sh, needs: [a], file: script.sh}\n"
               "  t: {type: template, needs: [s], file: letter.txt}\n"
               "  e: {type: end, needs: [b, t], value: \"[b, s.n, t]\"}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy")
    killed(run)
    cairn.write("child.yaml", child.format(n=2))
    cairn.write("script.sh", "echo 2")
    (cairn.folder / "letter.txt").unlink()
    cairn.flow("  a: {type: wait, for: 1h}\n")
    resumed = cairn.start("resume", run.id, "--json", "-q")
    begun(cairn, "a", 2)
    release(pipe)
    assert resumed.finish().json["finalResult"] == [1, 1, "1 1"]
    assert cairn("retry", run.id, "--from", "b", "--json", "-q").json["finalResult"] == [1, 1, "1 1"]


def test_failure_mode_12_a_mended_file_is_taken_by_a_retry_alone(cairn):
    """Round after round another edit: what completed is never run again, and no id twice."""
    step = ("  {n}: {{type: code, language: sh, needs: [{needs}], "
            "code: 'echo $CAIRN_IDEMPOTENCY_KEY >>effects; {does}'}}\n")
    cairn.flow(step.format(n="a", needs="", does="echo 0") + step.format(n="b", needs="a", does="exit 1"))
    assert cairn("run", "flow.yaml").status == 1
    id = cairn("list", "--json").json["items"][0]["id"]
    for turn in range(6):
        nodes = step.format(n="a", needs="", does=f"echo {turn + 1}")
        nodes += step.format(n=f"c{turn % 3}", needs="a", does="echo c")
        nodes += step.format(n="b", needs=f"a, c{turn % 3}", does="exit 1" if turn < 5 else "echo b")
        cairn.flow(nodes)
        assert cairn("retry", id).status == 1, "the recorded one is still the one that fails"
        told = cairn("retry", id, "--workflow", "flow.yaml")
        assert told.status == (1 if turn < 5 else 0), told.err
        assert "a is kept although its code differs" in told.err
    keys = (cairn.folder / "effects").read_text().split()
    assert len(keys) == len(set(keys)), keys
    assert [key.split("/")[1] for key in keys].count("a") == 1
    assert not any("/a~" in key for key in keys)
    assert cairn("db", "check").status == 0


@pytest.mark.parametrize("broken", ["deleted", "it cannot be made"])
def test_failure_mode_14_requests_are_found_without_the_file_that_wakes(cairn, broken):
    path = f"{cairn.store}-inbox"
    if broken == "it cannot be made":
        os.makedirs(path)
    run, pipe = holding(cairn)
    if broken == "deleted":
        os.unlink(path)
    assert cairn("pause", run.id).status == 0
    run.wait_for(" paused\n")
    assert cairn("resume", run.id).status == 0
    run.wait_for(" goes on\n")
    release(pipe)
    assert run.finish().status == 0
    assert os.path.isfile(path) == (broken == "deleted")


# ---- 15: SQLite, shared by several processes ----


def test_failure_mode_15_kills_of_many_writers_lose_nothing_that_was_acknowledged(cairn):
    cairn.flow(f"  a: {{type: transform, foreach: '{list(range(200))}', value: item}}\n"
               "  e: {type: end, needs: [a], value: size(a)}\n")
    seen = set()
    for _ in range(6):
        runs = [cairn.start("run", "flow.yaml", "--quiet") for _ in range(3)]
        runs[0].send(signal.SIGKILL)
        for run in runs[1:]:
            assert run.finish().out == "200\n"
        runs[0].child.communicate()
        ended = {r[0] for r in rows(cairn, "SELECT id FROM executions WHERE status = 'completed'")}
        assert seen < ended
        seen = ended
    assert cairn("db", "check", "--all").status == 0
    db = sqlite3.connect(cairn.store)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


# ---- 16: recoveries and retries that multiply ----


def test_failure_mode_16_restarts_neither_hurry_nor_multiply_a_retry(cairn):
    cairn.flow("  a: {type: code, language: sh, code: 'date +%s.%N >> tries; exit 1',\n"
               "      retry: {attempts: 3, backoff: 1200ms, jitter: 0}}\n")
    run = cairn.start("run", "flow.yaml")
    for _ in range(4):
        run.wait_for("step a")
        until(lambda: rows(cairn, "SELECT 1 FROM events e JOIN event_kinds k ON k.id = e.kind "
                           "WHERE k.name = 'step_retrying'"))
        killed(run)
        run = cairn.start("resume", "@last")
    assert run.finish().status == 1
    tries = [float(line) for line in read(cairn, "tries").split()]
    assert len(tries) == 3
    assert tries[1] - tries[0] >= 1.2 and tries[2] - tries[1] >= 1.2


def test_failure_mode_16_all_are_recovered_once_by_however_many(cairn):
    cairn.flow("  a: {type: code, language: sh, "
               "code: 'echo $CAIRN_IDEMPOTENCY_KEY >> a.starts; test -e go || cat pipe'}\n")
    cairn.pipe("pipe")
    runs = [cairn.start("run", "flow.yaml") for _ in range(5)]
    begun(cairn, "a", 5)
    for run in runs:
        killed(run)
    cairn.write("go", "")
    many = [cairn.start("resume", "--all", "--quiet") for _ in range(4)]
    assert [one.finish().status for one in many] == [0] * 4
    keys = starts(cairn, "a")
    assert len(keys) == 10 and all(keys.count(key) == 2 for key in keys)
    assert rows(cairn, "SELECT DISTINCT status, epoch FROM executions_now") == [("completed", 2)]


# ---- 18: an answer to one question is taken for the answer to a later one ----

AGAIN = ("nodes:\n  draft: {type: code, language: sh, needs: [q.more], code: 'echo x >> drafts', "
         "max_iterations: 9}\n"
         "  q: {type: ask, prompt: 'Good?', needs: [draft], choices: [more, done]}\n"
         "  e: {type: end, needs: [q.done], value: '\"done\"'}\n")


def test_failure_mode_18_a_late_answer_does_not_reach_a_later_question(cairn):
    cairn.flow(AGAIN)
    left = cairn("run", "flow.yaml")
    id = ID.search(left.err).group()
    first = cairn("answer", id, "q", "more")
    assert first.status == 3 and "answer it: cairn answer" in first.err
    late = cairn("answer", id, "q", "done")  # somebody who saw the first question
    assert late.status == 2
    assert "step q was already answered, by " in late.err and "; waiting: q#1" in late.err
    assert cairn("answer", id, "q#0", "done").status == 2  # no way to write an id
    assert cairn("answer", id, "q#1", "more").status == 3
    assert "waiting: q#2" in cairn("answer", id, "q#1", "done").err
    assert cairn("answer", id, "q#2", "done").out == "done\n"
    assert read(cairn, "drafts") == "x\n" * 3


def test_failure_mode_18_nor_does_one_from_before_a_retry(cairn):
    cairn.flow("  q: {type: ask, prompt: '?'}\n  e: {type: end, needs: [q], value: q}\n")
    id = ID.search(cairn("run", "flow.yaml").err).group()
    assert cairn("cancel", id).status == 0
    assert cairn("retry", id).status == 3
    late = cairn("answer", id, "q", "late")
    assert late.status == 2 and "step q is over; waiting: q~1" in late.err
    assert cairn("answer", id, "q~1", "now").out == "now\n"


def test_failure_mode_18_a_recorded_answer_is_not_taken_by_two_questions(cairn):
    """Two answers to one question wait in the inbox when its owner dies: the second does not go to
    the next question, and the first is not taken once more by who comes after the next owner."""
    cairn.flow(AGAIN)
    run = cairn.start("run", "flow.yaml", "--timeout", "1h")
    run.wait_for("step q waits")
    id = run.id
    stopped_with_requests(cairn, run, ("answer", id, "q", "more"), ("answer", id, "q", "more"))
    for _ in range(2):
        again = cairn.start("resume", id)
        until(lambda: ("step_waiting", "q#1") in journal(cairn, id))
        until(lambda: not rows(cairn, "SELECT 1 FROM inbox WHERE verdict IS NULL"))
        killed(again)
    verdicts = [row[0] for row in rows(cairn, "SELECT verdict FROM inbox ORDER BY id")]
    assert verdicts[0] == "accepted" and "step q was already answered" in verdicts[1], verdicts
    assert read(cairn, "drafts") == "x\n" * 2
    assert cairn("answer", id, "q#1", "done").out == "done\n"


def test_failure_mode_18_an_answer_is_not_taken_again_behind_a_rollback(cairn):
    cairn.flow("  q: {type: ask, prompt: '?'}\n  r: {type: ask, needs: [q], prompt: '?'}\n"
               "  e: {type: end, needs: [r], value: q + r}\n")
    id = ID.search(cairn("run", "flow.yaml").err).group()
    assert cairn("answer", id, "q", "old").status == 3
    assert cairn("answer", id, "r", "old").out == "oldold\n"
    assert cairn("rollback", id, "--to", "q", "--resume").status == 3
    assert journal(cairn, id)[-1] == ("step_waiting", "q~1")
    for late in ("q", "r"):
        assert cairn("answer", id, late, "late").status == 2
    assert cairn("answer", id, "q~1", "new").status == 3
    assert cairn("answer", id, "new").out == "newnew\n"
