"""What comes from workflows, inputs, people, programs and models is shown, whole and escaped: it
neither moves the cursor nor forges a line. And what is very long is cut, with where it is whole.
"""

import json
import re

import pytest
from terminal import Terminal

HOSTILE = "x\x1b[2J\x00\x07\x9b1m\u202ey\x7f"
SHOWN = "x\\x1b[2J\\x00\\x07\\u009b1m\\u202ey\\x7f"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
FLOW = """
cairn: 1
name: "bad\\e[2Jname"
inputs: {x: {type: string}}
nodes:
  says: {type: code, language: sh, code: 'printf "up\\033[31m\\007\\000\\rx\\n" >&2; printf "{\\"a\\": 1}"'}
  shows:
    type: transform
    needs: [says]
    value: inputs.x
  asks: {type: ask, needs: [shows], prompt: "Well {{ inputs.x }}?", choices: ["a\\e]0;b\\a", c], timeout: 1h}
  breaks: {type: code, needs: [asks], language: python, in: {x: inputs.x}, code: "raise ValueError('no ' + x)"}
"""


def hostile_input():
    return "x:=" + json.dumps(HOSTILE)


def harmless(done, *shown):
    text = done.out + done.err
    assert not ACTS.search(text), ACTS.findall(text)
    for part in shown:
        assert part in text, (part, text)
    return text


def test_nothing_that_is_shown_acts_on_a_terminal(cairn):
    cairn.write("flow.yaml", FLOW)
    run = cairn.start("run", "flow.yaml", "-i", hostile_input(), "--label", f"who={HOSTILE.replace(chr(0), '')}")
    run.wait_for("answer it")
    assert f"Well {SHOWN}?" in run.err and r"cairn answer " in run.err
    assert r"$'a\x1b]0;b\x07'|c" in run.err  # what a shell makes of it is the choice
    for line in (["list"], ["list", "--waiting"], ["list", "--needs-attention"], ["explain", "@last"],
                 ["results", "@last"], ["results", "@last", "--verbose"], ["logs", "@last"],
                 ["checkpoints", "@last", "--all"], ["graph", "flow.yaml"], ["validate", "flow.yaml"],
                 ["list", "--json"], ["explain", "@last", "--json"], ["results", "@last", "--json"],
                 ["list", "--waiting", "--json"]):
        harmless(cairn(*line))
    harmless(cairn("explain", "@last"), f"Well {SHOWN}?", "of bad\\x1b[2Jname: waiting")
    harmless(cairn("results", "@last", "--verbose"), f"output: {SHOWN}", "who = ")
    harmless(cairn("list", "--waiting"), "Well x\\x1b[2J")
    harmless(cairn("logs", "@last"), "up\\x1b[31m\\x07\\x00\\x0dx")
    assert cairn("list", "--waiting", "--json").json["items"][0]["request"]["prompt"] == f"Well {HOSTILE}?"
    wrong = cairn("answer", "@last", "\x1b[2Jno")
    assert wrong.status == 2
    harmless(wrong)
    assert cairn("answer", "@last", "c").status == 0
    ended = run.finish()
    harmless(ended, f"no {SHOWN}")
    for command in ("explain", "results"):
        harmless(cairn(command, "@last"), f"no {SHOWN}")
    harmless(cairn("watch", "@last"), f"no {SHOWN}", "up\\x1b[31m\\x07\\x00\\x0dx")
    harmless(cairn("watch", "@last", "--json-lines"))
    harmless(cairn("retry", "@last", "--workflow", "flow.yaml"))


def test_lines_that_end_in_cr_lf_are_lines(cairn):
    cairn.flow("  a: {type: code, language: sh, code: \"printf 'one\\r\\ntwo\\r10%%\\r\\n' >&2\"}\n")
    done = cairn("run", "flow.yaml")
    for text in (done.err, cairn("logs", "@last").out):
        assert "stderr: one\n" in text and "stderr: two\\x0d10%\n" in text


def test_a_result_is_itself_for_a_pipe_and_escaped_on_a_terminal(cairn):
    cairn.write("flow.yaml", "cairn: 1\nname: flow\ninputs: {x: {type: string}}\n"
                "nodes:\n  a: {type: end, value: inputs.x}\n")
    done = cairn("run", "flow.yaml", "--quiet", "-i", hostile_input())
    assert done.out == HOSTILE + "\n"
    for line in (["run", "flow.yaml", "--quiet", "-i", hostile_input()], ["results", "@last"]):
        terminal = Terminal(cairn, *line)
        assert terminal.finish() == 0
        assert SHOWN in terminal.screen.text


def test_the_live_lines_and_the_prompt_of_a_terminal(cairn):
    cairn.write("flow.yaml", FLOW)
    run = Terminal(cairn, "run", "flow.yaml", "-i", hostile_input(), columns=200)
    run.until_text(f"Well {SHOWN}?")
    run.press(b"c\r")
    assert run.finish() == 1
    assert f"no {SHOWN}" in run.screen.text  # the screen refuses sequences that it does not know
    assert not set(run.raw) & {"\0", "\a", "\x9b", "\u202e", "\x7f"} and "\x1b[2J" not in run.raw


@pytest.mark.parametrize("character", ["m", "ä"])
def test_a_long_message_is_cut_in_text_only(cairn, character):
    cairn.flow("  a: {type: code, language: python, code: \"raise ValueError('%s' * 600000)\"}\n" % character)
    done = cairn("run", "flow.yaml", "--quiet")
    found = cairn("results", "@last", "--json").json
    message = found["error"]["message"]
    size = len(message.encode())
    assert done.status == 1 and message.count(character) >= 500000
    note = f"... [{size} bytes in all: `results --json` has them]"
    assert found["failures"][0]["error"]["message"] == message
    assert cairn("explain", "@last", "--json").json["error"]["message"] == message
    shown = [done.err, cairn("run", "flow.yaml").err, cairn("explain", "@last").out,
             cairn("results", "@last").out, cairn("results", "@last", "--verbose").out,
             cairn("watch", "@last").err]
    for text in shown:
        assert note in text and character * 900 in text
        assert max(len(line.encode()) for line in text.splitlines()) < 2300
