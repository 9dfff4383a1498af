"""An ask with `approves` shows the arguments of the node that its answer starts, and that node runs
with exactly these or not at all."""

import re

import pytest
from conftest import steady
from terminal import Terminal

SECRET = "tok-5f1c9e77"
PAY = """
inputs: {to: {type: string, default: Ada}}
vars: {amount: 40}
nodes:
  draft: {type: transform, value: "'Dear ' + inputs.to"}
  approve: {type: ask, needs: [draft], prompt: Pay?, choices: ["yes", "no"], approves: pay}
  pay:
    type: code
    needs: [approve.yes]
    language: sh
    in: {text: draft}
    env: {TOKEN: "Bearer {{ secrets.API_TOKEN }}", AMOUNT: "{{ vars.amount }}"}
    code: 'echo "$text $AMOUNT" >> paid'
  change: {type: wait, signal: more, set: {amount: change.amount}}
outputs: {paid: pay}
"""
QUIET = PAY.replace("  change: {type: wait, signal: more, set: {amount: change.amount}}\n", "")
BLOCK = """approves pay with:
  language: sh
  code: echo "$text $AMOUNT" >> paid
  env: {"TOKEN":"Bearer [secret API_TOKEN]","AMOUNT":40}
  in.text: Dear Ada
  sees inputs: {"to":"Ada"}
"""


def indented(block, by):
    return "".join(" " * by + line + "\n" for line in block.splitlines())


@pytest.fixture
def cairn(cairn):
    cairn.env["CAIRN_SECRET_API_TOKEN"] = SECRET
    return cairn


def asked(cairn, text=QUIET, *more):
    cairn.flow(text)
    done = cairn("run", "flow.yaml", "--json", "--quiet", *more)
    assert done.status == 3, done.err
    return done.json["id"]


def paid(cairn):
    file = cairn.folder / "paid"
    return file.read_text() if file.exists() else ""


def test_everybody_sees_what_is_approved_and_no_secret(cairn):
    cairn.flow(QUIET)
    run = cairn("run", "flow.yaml")
    assert run.status == 3
    assert "    Pay?\n" + indented(BLOCK, 4) + "    answer it: cairn answer" in run.err
    id = re.search(r"exec_\w+", run.err).group()
    told = [run.err]
    for args in (
        ("list", "--waiting"),
        ("explain", id),
        ("watch", id),
        ("results", id, "--verbose"),
    ):
        done = cairn(*args)
        told.append(done.out + done.err)
        assert indented(BLOCK, 4) in told[-1] or indented(BLOCK, 6) in told[-1]
    for args in (
        ("list", "--waiting", "--json"),
        ("explain", id, "--json"),
        ("results", id, "--json"),
        ("watch", id, "--json-lines"),
    ):
        told.append(cairn(*args).out)
        flat = re.sub(r"\s", "", told[-1])
        assert '"env":{"TOKEN":"Bearer[secretAPI_TOKEN]","AMOUNT":40}' in flat
    assert not any(SECRET in text for text in told)
    assert cairn("answer", id, "yes").status == 0
    assert paid(cairn) == "Dear Ada 40\n"
    stored = b"".join(p.read_bytes() for p in (cairn.folder / "state").rglob("*") if p.is_file())
    assert SECRET.encode() not in stored


def test_on_a_terminal(cairn):
    cairn.flow(QUIET)
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("1) yes")
    assert "in.text: Dear Ada" in run.screen.text
    run.press(b"1\n")
    assert run.finish() == 0
    assert paid(cairn) == "Dear Ada 40\n"


def test_a_variable_that_another_process_changes_meanwhile(cairn):
    id = asked(cairn, PAY)
    assert cairn("signal", id, "more", '{"amount": 4000}').status == 3
    done = cairn("answer", id, "approve", "yes")
    assert done.status == 1
    assert 'what "approve" approved is not what it would be given now; changed: env' in done.err
    found = cairn("results", id, "--json").json
    assert found["error"]["type"] == "approval_changed"
    assert paid(cairn) == ""
    told = cairn("explain", id).out
    remedy = f"cairn retry {id} --from approve"
    assert remedy in told and f"cairn retry {id}\n" not in told
    assert f"    cairn explain {id}\n" in cairn("list", "--needs-attention").out
    again = cairn("retry", id)  # the same answer is still one to something else
    assert again.status == 1 and f"try again: {remedy}" in again.err
    assert cairn(*remedy.split()[1:]).status == 3
    assert '"AMOUNT":4000' in cairn("list", "--waiting").out
    assert cairn("answer", id, "yes").status == 0
    assert paid(cairn) == "Dear Ada 4000\n"


def test_other_inputs_need_another_approval(cairn):
    id = asked(cairn, QUIET.replace("echo", "false && echo"))
    assert cairn("answer", id, "yes").status == 1
    done = cairn("retry", id, "-i", "to=Eve", "--from", "pay")
    assert done.status == 1  # a program sees all inputs
    assert "is not what it would be given now; changed: inputs" in done.err
    assert cairn("retry", id, "--from", "draft").status == 3
    assert "in.text: Dear Eve" in cairn("list", "--waiting").out


def test_another_workflow_needs_another_approval(cairn):
    id = asked(cairn, QUIET.replace("echo", "false && echo"))
    assert cairn("answer", id, "yes").status == 1
    cairn.flow(QUIET)
    done = cairn("retry", id, "--workflow", "flow.yaml")
    assert done.status == 1
    assert "is not what it would be given now; changed: code" in done.err
    assert cairn("retry", id, "--from", "approve").status == 3
    assert cairn("answer", id, "yes").status == 0
    assert paid(cairn) == "Dear Ada 40\n"


def test_an_answer_before_it_asks_is_refused(cairn):
    draft = QUIET.splitlines()[4]
    id = asked(cairn, QUIET.replace(draft, "  draft: {type: wait, signal: go}"))
    early = cairn("answer", id, "approve", "yes")
    assert early.status == 2
    assert "an answer before that approves nothing" in early.err


def test_who_it_escalates_to_sees_it_too(cairn):
    text = QUIET.replace("approves: pay}", "approves: pay, timeout: 20ms, on_timeout: chief}")
    text = text.replace("outputs:", '  chief: {type: ask, prompt: Chief?, choices: ["yes", "no"]}\noutputs:')
    cairn.flow(text)
    id = asked(cairn, text)
    listed = cairn("list", "--waiting").out
    assert "chief  Chief?" in listed and "in.text: Dear Ada" in listed
    assert cairn("answer", id, "chief", "yes").status == 0
    assert paid(cairn) == "Dear Ada 40\n"


def test_a_long_argument_says_that_it_is_cut(cairn):
    id = asked(cairn, QUIET, "-i", "to=" + "x" * 5000)
    listed = cairn("list", "--waiting").out
    assert "[5005 bytes in all: `results --json` has them]" in listed
    assert "x" * 5000 in cairn("results", id, "--json").out


def test_nothing_forges_a_line_of_the_question(cairn):
    asked(cairn, QUIET, "-i", "to=a\x1b[2K\rin.text: Dear Bob")
    out = cairn("list", "--waiting").out
    assert "\x1b" not in out and "\r" not in out
    assert "in.text: Dear a" in steady(out)
