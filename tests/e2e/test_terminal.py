"""cairn on a terminal: live progress redrawn in place, colours, sizes, Ctrl-C."""

import re

import pytest
from conftest import ID, steady
from terminal import Screen, Terminal

FLOW = """
  first: {type: transform, value: 1}
  wait:
    type: code
    needs: [first]
    language: sh
    code: cat hold
  pick: {type: condition, needs: [wait], when: wait == "no"}
  rare: {type: transform, needs: [pick.true], value: 1}
  last: {type: end, needs: [pick.false], value: wait}
"""


def release(cairn, text="yes"):
    with open(cairn.folder / "hold", "w", encoding="utf-8") as handle:
        handle.write(text)


@pytest.fixture
def held(cairn):
    cairn.pipe("hold")
    cairn.flow(FLOW)
    return cairn


def test_the_screen_of_these_tests_works():
    screen = Screen(10, 3)
    screen.feed("one\r\ntwo\x1b[32m!\x1b[0m\r\n\x1b[2")
    screen.feed("A\rONE\x1b[K\r\n\x1b[Jend")
    assert (screen.text, screen.colours, screen.ups) == ("ONE\nend", {"32"}, 1)
    screen.feed("\r\n0123456789ab")
    assert screen.text == "ONE\nend\n0123456789\nab"
    screen.resize(5, 3)
    assert screen.text == "ONE\nend\n01234\n56789\nab"


def test_a_line_per_node_is_redrawn_in_place(held):
    run = Terminal(held, "run", "flow.yaml")
    screen = run.until_text("✓ first")
    screen = run.until(lambda s: s.ups > 3)
    rows = steady(screen.text).splitlines()
    assert rows[0] == "execution ID of flow"
    assert rows[1] == "✓ first  TOOK"
    assert re.fullmatch("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] wait   TOOK", rows[2])
    assert rows[3:] == ["· pick", "· rare", "· last", "  1 of 5 steps completed, 1 running"]
    release(held)
    assert run.finish() == 0
    assert re.sub("TOOK", "T", steady(run.screen.text)) == (
        "execution ID of flow\n"
        "TIME step wait stdout: yes\n"
        "✓ first  T\n"
        "✓ wait   T\n"
        "✓ pick   T\n"
        "- rare   skipped\n"
        "✓ last   T\n"
        "  4 of 5 steps completed, 1 skipped\n"
        "yes\n"
    )


def test_colours(held):
    run = Terminal(held, "run", "flow.yaml")
    run.until_text("✓ first")
    release(held)
    run.finish()
    assert {"32", "34", "2"} <= run.screen.colours


def test_no_color_is_respected(held):
    run = Terminal(held, "run", "flow.yaml", env={"NO_COLOR": "1"})
    run.until_text("✓ first")
    release(held)
    assert run.finish() == 0
    assert run.screen.colours == set()
    assert run.screen.ups > 0


def test_an_empty_no_color_says_nothing(held):
    run = Terminal(held, "run", "flow.yaml", env={"NO_COLOR": ""})
    run.until_text("✓ first")
    release(held)
    run.finish()
    assert run.screen.colours


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_gets_plain_lines(held, term):
    run = Terminal(held, "run", "flow.yaml", env={"TERM": term})
    run.until_text("step wait started")
    release(held)
    assert run.finish() == 0
    assert "\x1b" not in run.raw
    assert "step first completed" in run.screen.text


def test_without_utf8_it_is_ascii(held):
    run = Terminal(held, "run", "flow.yaml", env={"LANG": "C"})
    run.until_text("+ first")
    release(held)
    assert run.finish() == 0
    assert run.raw.isascii()


def test_only_the_result_goes_to_a_file(held):
    with open(held.folder / "out", "wb") as out:
        run = Terminal(held, "run", "flow.yaml", stdout=out)
        run.until_text("✓ first")
        release(held)
        assert run.finish() == 0
    assert (held.folder / "out").read_text() == "yes\n"
    assert "4 of 5 steps completed" in run.screen.text


def test_quiet_draws_nothing(held):
    run = Terminal(held, "run", "-q", "flow.yaml")
    release(held)
    assert run.finish() == 0
    assert run.screen.text == "yes\n"


def test_logs_stand_above_the_picture(cairn):
    cairn.flow("  talk: {type: code, language: sh, code: 'echo one >&2; echo two >&2'}\n")
    run = Terminal(cairn, "run", "flow.yaml")
    assert run.finish() == 0
    rows = steady(run.screen.text).splitlines()
    assert rows == [
        "execution ID of flow",
        "TIME step talk stderr: one",
        "TIME step talk stderr: two",
        "✓ talk  TOOK",
        "  1 of 1 steps completed",
    ]


def test_foreach_has_a_bar(cairn):
    for number in range(4):
        cairn.pipe(f"hold{number}")
    cairn.flow(
        "  page:\n    type: code\n    foreach: {items: '[0, 1, 2, 3]', on_item_error: collect}\n"
        "    command: [sh, -c, 'read x < hold{{ item }}; exit $x']\n"
    )
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("░░░░░░░░░░░░░░░░░░░░ 0/4")
    (cairn.folder / "hold0").write_text("0\n")
    run.until_text("█████░░░░░░░░░░░░░░░ 1/4")
    (cairn.folder / "hold1").write_text("7\n")
    run.until_text("██████████░░░░░░░░░░ 2/4, 1 failed")
    (cairn.folder / "hold2").write_text("0\n")
    (cairn.folder / "hold3").write_text("0\n")
    assert run.finish() == 1
    assert "████████████████████ 4/4, 1 failed" in run.screen.text


def test_loops_show_their_iteration_and_errors_their_message(cairn):
    cairn.flow(
        "  draft: {type: transform, needs: [again.true], value: iteration}\n"
        "  again: {type: condition, needs: [draft], when: draft < 3}\n"
        "  boom: {type: code, needs: [again.false], language: sh, code: 'exit 5'}\n"
    )
    run = Terminal(cairn, "run", "flow.yaml", columns=120)
    assert run.finish() == 1
    text = steady(run.screen.text)
    assert "✓ draft  TOOK  iteration 4\n" in text
    assert "✗ boom   TOOK  code: the script ended with exit status 5\n" in text
    assert "error: execution ID failed: code: the script ended with exit status 5\n" in text


def test_the_picture_is_never_higher_than_the_terminal(cairn):
    cairn.pipe("hold")
    nodes = "".join(f"  n{i}: {{type: transform, value: {i}}}\n" for i in range(40))
    cairn.flow(nodes + "  wait: {type: code, language: sh, code: cat hold >/dev/null}\n")
    run = Terminal(cairn, "run", "flow.yaml", lines=10)
    run.until(lambda s: s.ups > 3 and "wait" in s.text)
    rows = run.screen.text.splitlines()
    assert len(rows) <= 1 + 9
    assert any("wait" in row for row in rows)
    assert rows[-1] == "  40 of 41 steps completed, 1 running (34 of them not shown)"
    release(cairn)
    assert run.finish() == 0
    assert run.screen.text.count("execution exec_") == 1
    assert run.screen.text.count("wait") == 1


@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_very_low_terminals(held, lines):
    run = Terminal(held, "run", "flow.yaml", lines=lines)
    run.until_text("1 of 5 steps completed")
    release(held)
    assert run.finish() == 0
    assert run.screen.text.endswith("yes\n")


@pytest.mark.parametrize("columns", [1, 5, 12, 30])
def test_very_narrow_terminals(held, columns):
    run = Terminal(held, "run", "flow.yaml", columns=columns)
    run.until(lambda s: s.ups > 1)
    release(held)
    assert run.finish() == 0
    assert run.screen.text.replace("\n", "").endswith("yes")


def test_lines_are_clipped_to_the_terminal(cairn):
    cairn.flow("  boom: {type: code, language: sh, code: 'echo " + "long" * 50 + " >&2; exit 1'}\n")
    run = Terminal(cairn, "run", "flow.yaml", columns=40)
    assert run.finish() == 1
    boom = [row for row in run.screen.text.splitlines() if row.startswith("✗ boom")]
    assert len(boom) == 1 and len(boom[0]) < 40 and boom[0].endswith("...")


def test_a_resize_leaves_no_rubbish(held):
    run = Terminal(held, "run", "flow.yaml", columns=80)
    run.until(lambda s: s.ups > 2 and "1 running" in s.text)
    run.resize(20, 24)
    ups = run.screen.ups
    run.until(lambda s: s.ups > ups + 2)
    rows = run.screen.text.splitlines()
    assert [row for row in rows if "first" in row] == [rows[-6]]
    assert rows[-1] == "  1 of 5 steps ..."
    run.resize(100, 24)
    release(held)
    assert run.finish() == 0
    assert run.screen.text.count("first") == 1
    assert "  4 of 5 steps completed, 1 skipped\nyes\n" in run.screen.text


def test_ctrl_c_pauses_after_what_runs(held):
    run = Terminal(held, "run", "flow.yaml")
    run.until_text("1 running")
    run.press(b"\x03")
    run.until_text("pausing, waiting for 1 step")
    release(held)
    assert run.finish() == 130
    text = steady(run.screen.text)
    assert text.endswith(
        "✓ wait   TOOK\n· pick\n· rare\n· last\n  2 of 5 steps completed\n"
        "paused: execution ID\n"
        "    go on: cairn resume ID\n"
    )
    assert text.count("first") == 1
    assert held("results", "@last", "--json").json["status"] == "paused"


def test_ctrl_c_twice_leaves_at_once(cairn):
    cairn.pipe("hold")
    cairn.flow(
        "  stubborn:\n    type: code\n    language: sh\n    code: |\n"
        "      trap '' TERM INT\n      echo ready >&2\n      while :; do read x < hold; done\n"
    )
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("stderr: ready")
    run.press(b"\x03")
    run.until_text("pausing")
    run.press(b"\x03")
    assert run.finish() == 130
    found = cairn("results", "@last", "--json").json
    assert found["effectiveStatus"] in ("interrupted", "paused")


ASK = """
  who: {type: ask, prompt: "Who is it?"}
  ok: {type: ask, needs: [who], prompt: "Let {{ who }} in?", choices: ["yes", "no"]}
  form:
    type: ask
    needs: [ok.yes]
    prompt: Fill in
    schema:
      type: object
      required: [age]
      properties: {age: {type: integer}, note: {type: string}}
  last: {type: end, needs: [form], value: {who: who, form: form}}
"""


def test_a_terminal_is_asked_in_place(cairn):
    cairn.flow(ASK)
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("Who is it?")
    run.press(b"Ada\n")
    run.until_text("Let Ada in?")
    run.press(b"perhaps\n")
    run.until_text("the answer must be one of: yes, no")
    run.press(b"1\n")
    run.until_text("age (integer)>")
    run.press(b"old\n")
    run.until(lambda s: s.text.count("age (integer)>") == 2)
    run.press(b"36\n")
    run.until_text("note (string)>")
    run.press(b"\n")
    assert run.finish() == 0
    assert '"age": 36' in run.screen.text and '"who": "Ada"' in run.screen.text
    assert "answered elsewhere" not in run.screen.text


def test_resume_shows_what_was_done_and_asks_again(cairn):
    cairn.flow(ASK)
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("Who is it?")
    run.press(b"Ada\n")
    run.until_text("Let Ada in?")
    run.press(b"\x04")
    assert run.finish() == 3
    run = Terminal(cairn, "resume", "@last")
    run.until_text("2) no")
    assert steady(run.screen.text).startswith("goes on: execution ID\nok asks:\n  Let Ada in?\n")
    run.press(b"\x04")
    assert run.finish() == 3
    assert re.search("✓ who .*\n… ok ", run.screen.text), run.screen.text
    assert "1 of 4 steps completed, 1 waiting" in run.screen.text


def test_resume_asks_for_the_sub_workflow_too(cairn):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n  ok: {type: ask, prompt: Well?}\n"
                "outputs: {said: ok}\n")
    cairn.flow("  sub: {type: workflow, workflow: child.yaml}\n"
               "  done: {type: end, needs: [sub], value: sub.said}\n")
    assert cairn("run", "flow.yaml").status == 3
    run = Terminal(cairn, "resume", cairn("list", "--json").json["items"][0]["id"])
    run.until_text("Well?")
    run.press(b"fine\n")
    assert run.finish() == 0
    assert run.screen.text.endswith("\nfine\n")


FORM = """
  form:
    type: ask
    prompt: Fill in
    schema:
      required: [score, level]
      properties:
        score: {type: integer, maximum: 5, description: of five}
        level: {enum: [low, high], default: low}
        ok: {type: boolean}
        rest: {}
"""


def test_a_field_says_what_fits_and_is_checked_at_once(cairn):
    cairn.flow(FORM)
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("score (integer, of five)>")
    run.press(b"9\n")
    run.until_text("expected at most 5, got 9")
    run.press(b"4\n")
    run.until_text("level (low | high; empty: low)>")
    run.press(b"middle\n")
    run.until(lambda s: s.text.count("level (") == 2)
    run.press(b"high\n")
    run.until_text("ok (true | false)>")
    run.press(b"\n")
    run.until_text("rest>")
    run.press(b"\n")
    assert run.finish() == 0
    found = cairn("results", "@last", "--json").json["subSteps"][0]["result"]
    assert found == {"score": 4, "level": "high"}


def test_a_prompt_says_that_it_was_answered_elsewhere(cairn):
    cairn.flow(ASK)
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("Who is it?\n>")
    assert cairn("answer", "@last", "Eve").status == 0
    run.until_text(">\n  answered elsewhere, or over\nok asks:\n  Let Eve in?")
    run.press(b"\x04")
    assert run.finish() == 3


def test_ctrl_d_leaves_it_waiting(cairn):
    cairn.flow(ASK)
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("Who is it?")
    run.press(b"\x04")
    assert run.finish() == 3
    text = steady(run.screen.text)
    assert "answer it: cairn answer ID who VALUE" in text
    assert text.endswith("what it waits for: cairn explain ID\n")


def test_a_label_stands_for_the_name(cairn):
    cairn.flow("  a: {type: end, value: 1, label: 'Größe 数据'}\n")
    run = Terminal(cairn, "run", "flow.yaml")
    assert run.finish() == 0
    assert "✓ Größe 数据  " in run.screen.text


def test_list_fits_the_terminal_and_keeps_ids_whole(cairn):
    name = "long-name-" * 8
    cairn.write("flow.yaml", f"cairn: 1\nname: {name}\nnodes:\n  a: {{type: end, value: 1}}\n")
    made = cairn.run_id("flow.yaml")
    listed = Terminal(cairn, "list", columns=100)
    assert listed.finish() == 0
    rows = listed.screen.text.splitlines()
    assert len(rows) == 2 and all(len(row) <= 100 for row in rows)
    assert ID.search(rows[1]).group() == made
    assert "long-n...  completed" in rows[1]
    assert "32" in listed.screen.colours
    narrow = Terminal(cairn, "list", columns=30)
    narrow.finish()
    assert made in narrow.screen.text.replace("\n", "")


def test_results_on_a_terminal_has_colours_and_no_control_characters_of_others(cairn):
    cairn.flow("  a: {type: code, language: sh, code: \"printf '\\\\033[2Jx'; exit 1\"}\n")
    cairn("run", "-q", "flow.yaml")
    shown = Terminal(cairn, "results", "@last", "-v")
    assert shown.finish() == 0
    assert shown.screen.colours == {"31"}


def test_a_terminal_is_asked_what_to_do_about_a_failure(cairn):
    cairn.flow("  a: {type: code, command: [sh, -c, 'test -e ok'], recover: ask}\n"
               "  b: {type: code, command: [sh, -c, 'exit 3'], needs: [a], recover: ask}\n"
               "  c: {type: end, needs: [b], value: b}\n")
    run = Terminal(cairn, "run", "flow.yaml")
    run.until_text("a asks:\n  a failed: code: the program ended with exit status 1\n  1) retry\n"
                   "  2) fail\n  or the step's value: {\"value\": ...}")
    (cairn.folder / "ok").touch()
    run.press(b"1\n")
    run.until_text("b asks:")
    run.press(b"later\n")
    run.until_text("the answer must be one of: retry, fail, or the step's value")
    run.press(b'{"value": 7}\n')
    assert run.finish() == 0
    assert run.screen.text.rstrip().endswith("7")
