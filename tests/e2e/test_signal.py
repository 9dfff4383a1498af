"""cairn signal: kept until a step waits for it, taken once, never lost."""

import json

from conftest import ID

WAITS = """
  a: {type: wait, signal: go}
  b: {type: transform, needs: [a], value: a}
  e: {type: end, needs: [b], value: b}
"""
TWICE = """
  a: {type: wait, signal: go}
  b: {type: wait, needs: [a], signal: "{{ 'g' + 'o' }}"}
  e: {type: end, needs: [b], value: "[a, b]"}
"""


def left(cairn, flow):
    cairn.flow(flow)
    done = cairn("run", "flow.yaml")
    assert done.status == 3, done.err
    return done


def test_a_signal_goes_on_with_what_waits_for_it(cairn):
    done = left(cairn, WAITS)
    assert "step a waits for the signal go" in done.err
    id = ID.search(done.err).group()
    why = cairn("explain", id)
    assert "waits for a signal" in why.out and f"cairn signal {id} go" in why.out
    sent = cairn("signal", id, "go", '{"amount": 12}')
    assert (sent.status, json.loads(sent.out)) == (0, {"amount": 12})
    step = next(s for s in cairn("results", id, "--json").json["subSteps"] if s["id"] == "a")
    assert step["status"] == "completed" and step["meta"]["signalledBy"]


def test_a_signal_before_its_step_is_kept_and_taken_once(cairn):
    cairn.flow(TWICE)
    run = cairn.start("run", "flow.yaml", "--timeout", "60s")
    run.wait_for("waits for the signal")
    id = run.id
    assert cairn("signal", id, "later", "1").status == 0  # nothing waits for that: kept
    assert cairn("signal", id, "go", "1").status == 0
    assert cairn("signal", id, "go", "2").status == 0
    done = run.finish()
    assert (done.status, json.loads(done.out)) == (0, [1, 2])


def test_a_name_may_look_like_a_step(cairn):
    left(cairn, """
  turn: {type: wait, signal: "turn#{{ iteration }}", needs: [more.true]}
  more: {type: condition, when: iteration < 2, needs: [turn]}
  e: {type: end, needs: [more.false], value: turn}
""")
    assert cairn("signal", "@last", "turn#2", "2").status == 3  # early: kept
    assert cairn("signal", "@last", "turn#0", "0").status == 3
    done = cairn("signal", "@last", "turn#1", "1")
    assert (done.status, done.out) == (0, "2\n"), done.err


def test_kept_over_a_crash(cairn):
    cairn.flow("  h: {type: code, language: sh, code: 'echo busy >&2; cat pipe'}\n"
               "  a: {type: wait, needs: [h], signal: go}\n"
               "  e: {type: end, needs: [a], value: a}\n")
    pipe = cairn.pipe("pipe")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("stderr: busy")
    assert cairn("signal", run.id, "go", '"kept"').status == 0
    run.send(9)
    run.finish()
    resumed = cairn.start("resume", run.id)
    resumed.wait_for("stderr: busy")
    with open(pipe, "w", encoding="utf-8") as handle:
        handle.write("x")
    done = resumed.finish()
    assert (done.status, done.out) == (0, "kept\n")


def test_no_signal_in_time(cairn):
    cairn.flow("  a: {type: wait, signal: go, timeout: 50ms, on_timeout: {value: late}}\n"
               "  e: {type: end, needs: [a], value: a}\n")
    assert cairn("run", "flow.yaml").out == "late\n"
    cairn.flow("  a: {type: wait, signal: go, timeout: 50ms}\n"
               "  b: {type: transform, needs: [a.timeout], value: \"'no signal'\"}\n"
               "  e: {type: end, needs: [b], value: b}\n")
    assert cairn("run", "flow.yaml").out == "no signal\n"
    cairn.flow("  a: {type: wait, signal: go, timeout: 50ms}\n")
    failed = cairn("run", "flow.yaml")
    assert failed.status == 1 and "timeout: no signal came within 50ms" in failed.err


def test_what_is_refused(cairn):
    id = ID.search(left(cairn, WAITS).err).group()
    assert "no JSON" in cairn("signal", id, "go", "{").err
    answer = cairn("answer", id, "a", "yes")
    assert answer.status == 2 and "waits for a signal, not for an answer" in answer.err
    answer = cairn("answer", id, "yes")
    assert answer.status == 2 and "no step waits for an answer" in answer.err
    assert cairn("signal", id, "go").status == 0
    ended = cairn("signal", id, "go")
    assert ended.status == 2 and "has ended" in ended.err


def test_one_of_many_items_takes_it(cairn):
    cairn.flow("  a: {type: wait, foreach: {items: \"['x', 'y']\"}, signal: '{{ item }}'}\n"
               "  e: {type: end, needs: [a], value: a}\n")
    assert cairn("run", "flow.yaml").status == 3
    assert cairn("signal", "@last", "y", "2").status == 3  # x is waited for still
    done = cairn("signal", "@last", "x", "1", "--quiet")
    assert (done.status, json.loads(done.out)) == (0, [1, 2])
