"""Steps that wait: ask and wait, answers from any process, deadlines; and what `explain` says."""

import json
import sqlite3
import time

import pytest
from conftest import steady

CHOICE = """
  ok: {type: ask, prompt: "Send {{ inputs.what }}?", choices: ["yes", "no"]}
  sent: {type: transform, needs: [ok.yes], value: '"sent"'}
  kept: {type: transform, needs: [ok.no], value: '"kept"'}
"""
HEAD = "cairn: 1\nname: flow\ninputs:\n  what: {type: string, default: it}\nnodes:"


def waiting(cairn, text=CHOICE):
    """A run that was left waiting: its id."""
    cairn.write("flow.yaml", HEAD + text)
    done = cairn("run", "flow.yaml", "--json")
    assert done.status == 3, done.err
    return done.json["id"]


def test_a_pipe_is_told_how_to_answer_and_the_run_is_left_waiting(cairn):
    cairn.write("flow.yaml", HEAD + CHOICE)
    done = cairn("run", "flow.yaml", "-i", "what=the letter")
    assert (done.status, done.out) == (3, "")
    assert steady(done.err).endswith(
        "TIME step ok waits for an answer\n"
        "    Send the letter?\n"
        "    answer it: cairn answer ID ok yes|no\n"
        "waiting: execution ID goes on when it is answered\n"
        "    what it waits for: cairn explain ID\n"
    )
    listed = cairn("list", "--json").json["items"][0]
    assert (listed["status"], listed["effectiveStatus"]) == ("waiting", "waiting")
    with sqlite3.connect(cairn.store) as db:
        now = db.execute("SELECT effective_status, reason FROM executions_now").fetchone()
    assert now == ("waiting", None)


def test_an_answer_goes_on_with_what_nobody_runs(cairn):
    id = waiting(cairn)
    done = cairn("answer", id, "ok", "yes")
    assert (done.status, steady(done.err).splitlines()[-1]) == (0, "answered: execution ID")
    found = cairn("results", id, "--json").json
    assert found["status"] == "completed"
    assert {s["id"]: s["status"] for s in found["subSteps"]} == {
        "ok": "completed", "sent": "completed", "kept": "skipped",
    }


def test_what_an_answer_may_not_be(cairn):
    id = waiting(cairn)
    for arguments, why in [
        (["maybe"], "the answer must be one of: yes, no"),
        (["sent", "yes"], 'step "sent" does not wait for an answer; waiting: ok'),
        (["nobody", "yes"], 'the workflow has no step "nobody"'),
        (["ok#1", "yes"], 'step "ok#1" does not wait for an answer; waiting: ok'),
    ]:
        done = cairn("answer", id, *arguments)
        assert done.status == 2
        assert f"error: answer of {id} refused: {why}\n" in done.err
    assert cairn("answer", id, "no").status == 0
    again = cairn("answer", id, "yes")
    assert (again.status, again.err) == (
        2, f"error: execution {id} has ended (completed)\n"
           "    allowed now: retry --from NODE, rollback\n"
    )


TWO = """
  a: {type: ask, prompt: A?}
  b: {type: ask, prompt: B?}
  done: {type: end, needs: [a, b], value: [a, b]}
"""


def test_two_steps_wait(cairn):
    id = waiting(cairn, TWO)
    assert "2 steps wait: say which one: a, b" in cairn("answer", id, "x").err
    first = cairn("answer", id, "b", "second")
    assert first.status == 3  # a still waits
    again = cairn("answer", id, "b", "other")
    assert "step b was already answered, by " in again.err
    last = cairn("answer", id, "first", "-q")
    assert (last.status, last.out) == (0, '[\n  "first",\n  "second"\n]\n')


def test_an_answer_from_another_process_while_the_owner_lives(cairn):
    cairn.pipe("hold")
    cairn.write("flow.yaml", HEAD + CHOICE + "  busy: {type: code, language: sh, code: cat hold}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step ok waits for an answer")
    done = cairn("answer", run.id, "yes")
    assert (done.status, steady(done.err)) == (0, "answered: execution ID\n")
    run.wait_for("step sent completed")
    again = cairn("answer", run.id, "ok", "no")
    assert again.status == 2 and "step ok was already answered, by " in again.err
    with open(cairn.folder / "hold", "w", encoding="utf-8") as handle:
        handle.write("x")
    assert run.finish().status == 0
    with sqlite3.connect(cairn.store) as db:
        verdicts = [row[0] for row in db.execute("SELECT verdict FROM inbox ORDER BY id")]
    assert verdicts[0] == "accepted" and verdicts[1].startswith("refused: step ok was already")


FORM = """
  form:
    type: ask
    prompt: How many?
    schema: {type: object, required: [count], properties: {count: {type: integer, minimum: 1}}}
  done: {type: end, needs: [form], value: form.count + 1}
"""


def test_a_form_is_checked(cairn):
    id = waiting(cairn, FORM)
    for value, why in [
        ('{"count": 0}', "the answer does not fit the form: /count: "),
        ("{}", "the answer does not fit the form: "),
        ("many", "the answer does not fit the form: "),
    ]:
        done = cairn("answer", id, value)
        assert done.status == 2 and why in done.err, done.err
    done = cairn("answer", id, '{"count": 2}', "-q")
    assert (done.status, done.out) == (0, "3\n")


@pytest.mark.parametrize(
    "more, status, out",
    [
        ("on_timeout: {value: \"no\"}", 0, "kept\n"),
        ("on_timeout: fail", 1, ""),
        ("label: none", 1, ""),
    ],
)
def test_nobody_answers_in_time(cairn, more, status, out):
    cairn.write(
        "flow.yaml",
        HEAD + CHOICE.replace('"no"]}', f'"no"], timeout: 300ms, {more}}}')
        + "  out: {type: end, needs: [sent, kept], value: kept}\n",
    )
    done = cairn("run", "flow.yaml")
    assert (done.status, done.out) == (status, out)
    if status:
        assert "timeout: no answer came within 300ms" in done.err


def test_the_handle_timeout(cairn):
    cairn.write(
        "flow.yaml",
        HEAD + CHOICE.replace('"no"]}', '"no"], timeout: 300ms}')
        + "  late: {type: end, needs: [ok.timeout], value: '\"late\"'}\n",
    )
    done = cairn("run", "flow.yaml")
    assert (done.status, done.out) == (0, "late\n")


def test_waits_let_time_pass_and_others_go_on(cairn):
    cairn.flow(
        "  nap: {type: wait, for: 400ms}\n"
        "  past: {type: wait, until: '2001-01-01T00:00:00Z'}\n"
        "  other: {type: transform, value: 1}\n"
        "  done: {type: end, needs: [nap, past, other], value: other}\n"
    )
    begun = time.monotonic()
    done = cairn("run", "flow.yaml", "--json-lines")
    assert done.status == 0 and time.monotonic() - begun >= 0.4
    events = [(e["type"], e.get("step")) for e in done.json_lines]
    assert events.index(("step_completed", "other")) < events.index(("step_completed", "nap"))
    assert events.index(("step_completed", "past")) < events.index(("step_completed", "nap"))


def test_a_wait_goes_on_after_a_crash(cairn):
    cairn.flow(
        "  nap: {type: wait, for: 700ms}\n"
        "  done: {type: end, needs: [nap], value: '\"over\"'}\n"
    )
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step nap waits until")
    run.send(9)
    run.finish()
    assert "the process that ran it" in cairn("explain", run.id).out
    done = cairn("resume", run.id)
    assert (done.status, done.out) == (0, "over\n")
    assert "step nap waits" not in done.err  # the moment was recorded


def test_each_item_is_asked(cairn):
    id = waiting(
        cairn,
        """
  each:
    type: ask
    foreach: {items: '["x", "y"]', concurrency: 1}
    prompt: "{{ item }}?"
  done: {type: end, needs: [each], value: each}
""",
    )
    explained = cairn("explain", id).out
    assert "each[0]: waits for an answer" in explained
    assert "each[1]: waits for an answer" in explained  # who waits holds no slot
    assert cairn("answer", id, "each[1]", "b").status == 3
    done = cairn("answer", id, "each[0]", "a", "-q")
    assert (done.status, done.out) == (0, '[\n  "a",\n  "b"\n]\n')


def test_the_ask_of_a_sub_workflow(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n  ok: {type: ask, prompt: Well?}\n"
                "outputs: {said: ok}\n")
    cairn.flow("  sub: {type: workflow, workflow: child.yaml}\n"
               "  done: {type: end, needs: [sub], value: sub.said}\n")
    done = cairn("run", "flow.yaml")
    assert done.status == 3
    child = cairn("list", "--all", "--json").json["items"]
    child = next(x["id"] for x in child if x["workflow"] == "child")
    assert f"cairn answer {child} ok VALUE" in done.err
    items = cairn("list", "--json").json["items"]
    assert (items[0]["status"], items[0]["effectiveStatus"]) == ("waiting", "waiting")
    assert cairn("db", "check", "--all").status == 0
    parent = items[0]["id"]
    explained = cairn("explain", parent)
    assert steady(explained.out) == (
        "execution ID of flow: waiting\n"
        "  nobody runs it\n"
        "  sub: is unfinished since TIME, its sub-workflow is waiting\n"
        "      cairn explain ID\n"
        "  done: needs sub (running)\n"
        "to do: cairn explain ID\n"
    )
    assert f"to do: cairn explain {child}\n" in explained.out


def test_who_answers_a_sub_workflow_goes_on_with_what_it_is_part_of(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n"
                "  ok: {type: ask, prompt: Well?, choices: [a, b]}\noutputs: {said: ok}\n")
    cairn.flow("  sub: {type: workflow, workflow: child.yaml}\n"
               "  done: {type: end, needs: [sub], value: sub.said}\n")
    assert cairn("run", "flow.yaml").status == 3
    child, parent = [x["id"] for x in cairn("list", "--all", "--json").json["items"]]
    refused = cairn("answer", child, "c", "-q")
    assert refused.status == 2 and "the answer must be one of: a, b" in refused.err
    done = cairn("answer", child, "b", "-q")
    assert (done.status, done.out, done.err) == (0, "b\n", "")
    assert cairn("results", parent, "--json").json["status"] == "completed"


def test_explain_says_who_waits_and_what_to_do(cairn):
    id = waiting(cairn)
    assert steady(cairn("explain", id).out) == (
        "execution ID of flow: waiting\n"
        "  nobody runs it\n"
        "  ok: waits for an answer since TIME\n"
        "      Send it?\n"
        "      cairn answer ID ok yes|no\n"
        "  sent: needs ok (waiting)\n"
        "  kept: needs ok (waiting)\n"
        "to do: cairn answer ID ok yes|no\n"
    )
    found = cairn("explain", id, "--json").json
    assert found["steps"][0]["request"]["choices"] == ["yes", "no"]
    assert found["remedies"] == [f"cairn answer {id} ok yes|no"]


@pytest.mark.parametrize(
    "node, why",
    [
        ("{type: ask, prompt: a, choices: []}", "choices is empty"),
        ("{type: ask, prompt: a, choices: [x], schema: {type: string}}", "not both"),
        ("{type: ask, prompt: a, on_timeout: fail}", '"on_timeout" needs "timeout"'),
        ("{type: ask, prompt: a, timeout: 1s, on_timeout: {val: 1}}",
         '"on_timeout" must be fail, {value: ...} or a node'),
        ("{type: ask, prompt: a, choices: [x], timeout: 1s, on_timeout: {value: y}}",
         "the value of on_timeout must be one of choices"),
        ("{type: ask, prompt: a, choices: [timeout]}", '"timeout" cannot be a case or a choice'),
        ("{type: wait}", 'exactly one of for, until, signal must be given'),
        ("{type: wait, until: tomorrow}", "until must be a time like"),
        ("{type: wait, for: soon}", "soon"),
        ("{type: wait, signal: ''}", "the name of a signal has 1 to 256 bytes"),
        (f"{{type: wait, signal: {'x' * 257}}}", "the name of a signal has 1 to 256 bytes"),
    ],
)
def test_what_cannot_be_waited_for(cairn, node, why):
    cairn.flow(f"  a: {node}\n")
    done = cairn("validate", "flow.yaml")
    assert done.status == 2 and why in done.out + done.err, done.out + done.err


def test_the_command_of_a_form_names_what_must_be_in_it(cairn):
    id = waiting(cairn, """
  form:
    type: ask
    prompt: Fill in
    schema:
      required: [age, "it's"]
      properties: {age: {type: integer}, note: {type: string}, "it's": {}}
""")
    command = r"""cairn answer ID form '{"age": INTEGER, "it'\''s": VALUE}'"""
    assert command in steady(cairn("explain", id).out)


def test_a_log_that_is_watched_later_has_its_own_time(cairn):
    cairn.flow("  a: {type: code, language: sh, code: echo told >&2}\n"
               "  b: {type: wait, needs: [a], for: 1100ms}\n")
    assert cairn("run", "flow.yaml").status == 0
    lines = [json.loads(line) for line in cairn("watch", "@last", "--json-lines").out.splitlines()]
    log = next(x["at"] for x in lines if x["type"] == "log")
    end = next(x["at"] for x in lines if x["type"] == "execution_completed")
    assert log < end
