"""Nodes that others name: a fallback, an escalation by on_timeout, what runs `finally`."""

import signal

import pytest


def finished(cairn, *arguments):
    """A run to its end: status, result, error, {step: status}."""
    done = cairn("run", *arguments, "--json", "--quiet")
    found = cairn("results", done.json["id"], "--json").json
    steps = {step["id"]: step["status"] for step in found["subSteps"]}
    return found["status"], found.get("finalResult"), found.get("error"), steps


PAY = """
  pay: {{type: code, command: [sh, -c, "{command}"], fallback: pay_later}}
  pay_later:
    type: transform
    value: '{{"of": step.id, "why": step.error.type, "by": step.inputs.command[0], "body": step.body}}'
  done: {{type: end, needs: [pay], value: pay}}
"""


def test_a_fallback_gives_the_body(cairn):
    status, result, error, steps = finished(cairn, cairn.flow(PAY.format(command="exit 3")))
    assert (status, error) == ("completed", None)
    assert result == {"of": "pay", "why": "code", "by": "sh", "body": None}
    assert steps == {"pay": "completed", "pay_later": "completed", "done": "completed"}


def test_a_fallback_that_is_not_needed_does_not_count(cairn):
    cairn.flow(PAY.format(command="echo 1"))
    status, result, _, steps = finished(cairn, "flow.yaml")
    assert (status, result, steps) == ("completed", 1, {"pay": "completed", "done": "completed"})
    assert "2 of 2 completed" in cairn("results", "@last").out
    assert cairn("db", "check", "--all").status == 0  # the rows say the same


def test_meta_names_the_fallback_and_keeps_the_error(cairn):
    cairn.flow(PAY.format(command="exit 3").replace("value: pay}", "value: nodes.pay.meta}"))
    _, meta, _, _ = finished(cairn, "flow.yaml")
    assert meta["fallback"] == "pay_later"
    assert meta["error"] == {"type": "code", "message": "the program ended with exit status 3",
                             "node": "pay", "attempt": 1}


def test_a_fallback_that_fails_goes_on_along_the_chain(cairn):
    cairn.flow("""
  pay: {type: code, command: ["false"], fallback: second}
  second: {type: code, command: [sh, -c, "exit 9"], fallback: third}
  third: {type: code, command: [sh, -c, "exit 7"]}
  told: {type: end, needs: [pay.error], value: pay.message}
""")
    status, result, _, steps = finished(cairn, "flow.yaml")
    assert status == "completed"
    assert result.startswith("the program ended with exit status 7 (fallback \"third\", after code:")
    assert steps == {"pay": "failed", "second": "failed", "third": "failed", "told": "completed"}


def test_a_fallback_of_a_foreach_is_of_all_its_items(cairn):
    cairn.flow("""
  each:
    type: code
    foreach: {items: "[1, 2, 3]", as: n}
    language: sh
    code: 'test "$n" != 2 && echo 1'
    fallback: none
  none: {type: transform, value: "[step.id]"}
  done: {type: end, needs: [each], value: each}
""")
    status, result, _, steps = finished(cairn, "flow.yaml")
    assert (status, result, steps["each"]) == ("completed", ["each"], "completed")


def test_the_value_of_a_fallback_names_the_exit(cairn):
    flow = """
  ask: {{type: condition, when: "inputs.x.y", fallback: instead}}
  instead: {{type: transform, value: "{value}"}}
  yes: {{type: end, needs: [ask.true], value: "'went on'"}}
  no: {{type: end, needs: [ask.false], value: "'stopped'"}}
"""
    head = "inputs: {x: {default: 1}}\nnodes:"
    cairn.flow(head + flow.format(value="'false'"))
    assert finished(cairn, "flow.yaml")[:2] == ("completed", "stopped")
    cairn.flow(head + flow.format(value="true"))
    assert finished(cairn, "flow.yaml")[:2] == ("completed", "went on")
    cairn.flow(head + flow.format(value="7"))
    status, _, error, _ = finished(cairn, "flow.yaml")
    assert status == "failed" and 'the body names no exit of "ask"' in error["message"]


def test_a_killed_run_goes_on_with_the_fallback_and_not_with_its_node(cairn):
    gate = cairn.pipe("gate")
    cairn.flow(f"""
  pay: {{type: code, language: sh, code: 'echo pay >> log; exit 1', fallback: later}}
  later: {{type: code, language: sh, code: 'echo later >> log; echo began >&2; cat {gate}; echo 5'}}
  done: {{type: end, needs: [pay], value: pay}}
""")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step later stderr: began")
    id = run.id
    assert "later runs for it" in cairn("explain", id).out
    run.send(signal.SIGKILL)
    run.finish()
    again = cairn.start("resume", id)
    again.wait_for("step later started again (attempt 2)")
    with open(gate, "w", encoding="utf-8") as held:
        held.write("")
    done = again.finish()
    assert (done.status, done.out) == (0, "5\n")
    assert (cairn.folder / "log").read_text().split() == ["pay", "later", "later"]


ESCALATE = """
  ok: {{type: ask, prompt: "Good?", choices: ["yes", "no"], timeout: 20ms, on_timeout: chief}}
  chief: {{{chief}}}
  good: {{type: end, needs: [ok.yes], value: '"good"'}}
  bad: {{type: end, needs: [ok.no], value: '"bad"'}}
"""
CHIEF = 'type: ask, prompt: "{{{{ step.inputs.prompt }}}} Nobody said.", choices: ["yes", "no"]'


def test_nobody_answers_and_the_chief_does(cairn):
    cairn.flow(ESCALATE.format(chief=CHIEF.format()))
    left = cairn("run", "flow.yaml", "--json")
    assert left.status == 3
    found = cairn("explain", left.json["id"], "--json").json
    assert {s["step"]: s["why"] for s in found["steps"] if s["step"] in ("ok", "chief")} == {
        "ok": "chief runs for it", "chief": "waits for an answer"}
    late = cairn("answer", left.json["id"], "ok", "yes")
    assert late.status == 2 and 'step ok does not wait for an answer, it is running' in late.err
    assert cairn("answer", left.json["id"], "no").status == 0
    found = cairn("results", left.json["id"], "--json").json
    assert (found["status"], found["finalResult"]) == ("completed", "bad")


def test_who_is_told_is_no_answer(cairn):
    tell = 'type: code, language: sh, code: "echo told >> log; echo 1"'
    cairn.flow(ESCALATE.format(chief=tell) + "  late: {type: end, needs: [ok.timeout], value: ok}\n")
    assert finished(cairn, "flow.yaml")[:2] == ("completed", 1)
    assert (cairn.folder / "log").read_text() == "told\n"
    cairn.flow(ESCALATE.format(chief=tell))  # nothing needs timeout: the body is the answer
    status, _, error, _ = finished(cairn, "flow.yaml")
    assert status == "failed" and "the answer must be one of: yes, no" in error["message"]


def test_a_signal_that_does_not_come_is_looked_for(cairn):
    cairn.flow("""
  paid: {type: wait, signal: paid, timeout: 10ms, on_timeout: look}
  look: {type: transform, value: '{"found": step.inputs.signal}'}
  done: {type: end, needs: [paid], value: paid}
""")
    assert finished(cairn, "flow.yaml")[:2] == ("completed", {"found": "paid"})


LAST = """
finally: [tidy, tell]
on_failure: drain
nodes:
  work: {{{work}}}
  after: {{type: transform, needs: [work], value: 1}}
  tidy: {{type: code, language: sh, code: 'echo "tidy $how" >> log', in: {{how: execution.outcome}}}}
  tell:
    type: code
    language: sh
    in: {{how: 'execution.outcome + " " + (execution.error == null ? "" : execution.error.type)'}}
    code: 'echo "tell $how" >> log{tell}'
outputs: {{x: after}}
"""


@pytest.mark.parametrize("work, status, said", [
    ("type: transform, value: 1", "completed", "completed"),
    ("type: code, command: ['false']", "failed", "failed code"),
    ("type: code, command: ['false'], on_error: continue", "partial", "partial"),
    ("type: ask, prompt: Well?, timeout: 5ms", "failed", "failed timeout"),
])
def test_finally_runs_whatever_happened(cairn, work, status, said):
    cairn.flow(LAST.format(work=work, tell=""))
    assert finished(cairn, "flow.yaml")[0] == status
    log = (cairn.folder / "log").read_text().splitlines()
    assert [line.strip() for line in log] == [f"tidy {said.split()[0]}", f"tell {said}"]


def test_a_failure_in_finally(cairn):
    cairn.flow(LAST.format(work="type: transform, value: 1", tell="; exit 4")
               .replace("'echo \"tidy $how\" >> log'", "'echo tidy >> log; exit 3'"))
    status, _, error, _ = finished(cairn, "flow.yaml")
    assert (status, error["node"]) == ("failed", "tidy")
    assert (cairn.folder / "log").read_text().split() == ["tidy", "tell", "failed", "code"]
    cairn.flow(LAST.format(work="type: code, command: ['false']", tell="; exit 4"))
    assert finished(cairn, "flow.yaml")[2]["node"] == "work"


def test_a_retry_comes_to_another_end(cairn):
    cairn.flow(LAST.format(work="type: code, language: sh, code: 'rm flag && echo 1'", tell=""))
    id = cairn.run_id("flow.yaml")
    (cairn.folder / "flag").write_text("")
    done = cairn("retry", id, "--json", "--quiet")
    assert done.status == 0 and done.json["finalResult"] == {"x": 1}
    steps = [s["id"] for s in cairn("results", id, "--json").json["subSteps"]]
    assert [s for s in steps if s[0] == "t"] == ["tidy", "tell", "tidy#1", "tell#1"]
    refused = cairn("retry", id, "--from", "tidy")
    assert "(finally) only runs when it is called" in refused.err


HELD = """
finally: [tidy, last]
timeout: 300ms
nodes:
  work: {{type: code, language: sh, code: 'echo 1'}}
  tidy: {{type: code, language: sh, code: 'echo tidy >> log; echo began >&2; cat {gate}; echo on >> log'}}
  last: {{type: code, language: sh, code: 'echo last >> log'}}
"""


def test_a_cancel_lets_finally_run_and_a_second_one_stops_it(cairn):
    gate = cairn.pipe("gate")
    cairn.flow(HELD.format(gate=gate).replace("'echo 1'", "'echo work; cat'").replace(
        "timeout: 300ms\n", ""))
    held = cairn.pipe("held")
    text = (cairn.folder / "flow.yaml").read_text().replace("echo work; cat", f"cat {held}")
    (cairn.folder / "flow.yaml").write_text(text)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step work started")
    assert cairn("cancel", run.id).status == 0
    run.wait_for("step tidy stderr: began")
    found = cairn("list", "--json").json["items"][0]
    assert found["status"] == "running"
    assert cairn("cancel", run.id).status == 0
    done = run.finish()
    assert done.status == 1
    assert (cairn.folder / "log").read_text() == "tidy\n"
    assert cairn("results", "@last", "--json").json["status"] == "cancelled"


def test_a_killed_run_goes_on_with_finally(cairn):
    """The timeout of the execution does not reach it, though it passes meanwhile."""
    gate = cairn.pipe("gate")
    cairn.flow(HELD.format(gate=gate))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step tidy stderr: began")
    id = run.id
    run.send(signal.SIGKILL)
    run.finish()
    again = cairn.start("resume", id)
    again.wait_for("step tidy started again")
    with open(gate, "w", encoding="utf-8") as held:
        held.write("")
    assert again.finish().status == 0
    assert (cairn.folder / "log").read_text().split() == ["tidy", "tidy", "on", "last"]


def test_finally_runs_in_a_sub_workflow_that_is_cancelled(cairn):
    held = cairn.pipe("held")
    cairn.write("child.yaml", f"""cairn: 1
finally: tidy
nodes:
  work: {{type: code, language: sh, code: 'cat {held}'}}
  tidy: {{type: code, language: sh, code: 'echo tidy >> log'}}
""")
    cairn.flow("  child: {type: workflow, workflow: child.yaml}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step work started")
    assert cairn("cancel", run.id).status == 0
    assert run.finish().status == 1
    assert (cairn.folder / "log").read_text() == "tidy\n"
    states = {x["workflow"]: x["status"] for x in cairn("list", "--all", "--json").json["items"]}
    assert set(states.values()) == {"cancelled"}
