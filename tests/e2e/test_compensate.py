"""Compensation: what completed is undone when a later step fails for good, the last first."""

import signal

TRIP = """
recover: compensate
finally: tell
nodes:
  flight:
    type: code
    language: sh
    code: 'echo book flight >> log; echo F1'
    compensate: no_flight
  hotel:
    type: code
    needs: [flight]
    foreach: {{items: "['rome', 'bari']", as: town, concurrency: 1}}
    language: sh
    code: 'echo book $town >> log; echo H-$town'
    compensate: no_hotel
  pay: {{type: code, language: sh, needs: [hotel], code: 'test -e paid'}}
  no_flight: {{type: code, language: sh, in: {{id: step.body}}, code: 'echo cancel $id >> log{flight}'}}
  no_hotel:
    type: code
    language: sh
    in: {{id: step.body, town: step.inputs.item, of: step.id}}
    code: 'echo cancel $id $town $of >> log{hotel}'
  tell: {{type: code, language: sh, in: {{how: execution.outcome}}, code: 'echo $how >> log'}}
"""
BOOKED = ["book flight", "book rome", "book bari"]
UNDONE = ["cancel H-bari bari hotel[1]", "cancel H-rome rome hotel[0]", "cancel F1"]


def log(cairn):
    return (cairn.folder / "log").read_text().splitlines()


def test_the_last_is_undone_first(cairn):
    cairn.flow(TRIP.format(flight="", hotel=""))
    done = cairn("run", "flow.yaml", "--json", "--quiet")
    assert done.status == 1
    assert log(cairn) == BOOKED + UNDONE + ["failed"]
    found = cairn("results", "@last", "--json").json
    assert (found["status"], found["error"]["node"]) == ("failed", "pay")
    assert [s["id"] for s in found["subSteps"] if s["id"].startswith("no_")] == [
        "no_hotel", "no_hotel#1", "no_flight"]


def test_nothing_is_undone_when_all_goes_well(cairn):
    (cairn.folder / "paid").write_text("")
    cairn.flow(TRIP.format(flight="", hotel=""))
    assert cairn("run", "flow.yaml", "--quiet").status == 0
    assert log(cairn) == BOOKED + ["completed"]
    assert "4 of 4 completed" in cairn("results", "@last").out


def test_a_retry_does_anew_what_was_undone(cairn):
    cairn.flow(TRIP.format(flight="", hotel=""))
    assert cairn("run", "flow.yaml", "--quiet").status == 1
    (cairn.folder / "paid").write_text("")
    (cairn.folder / "log").write_text("")
    assert cairn("retry", "@last", "--quiet").status == 0
    assert log(cairn) == BOOKED + ["completed"]


def test_what_cannot_be_undone_pauses_and_resume_tries_again(cairn):
    cairn.flow(TRIP.format(flight="", hotel=" && { test -e fixed || test $town != rome; }"))
    done = cairn("run", "flow.yaml")
    assert done.status == 3 and "paused: hotel[0] cannot be undone: no_hotel failed" in done.err
    found = cairn("explain", "@last", "--json").json
    assert found["status"] == "paused"
    assert found["pausedWhy"].startswith("hotel[0] cannot be undone: no_hotel failed: the script")
    assert "hotel[0] cannot be undone" in cairn("explain", "@last").out
    needs = cairn("list", "--needs-attention", "--json").json["items"]
    assert [(x["reason"], x["remedy"]) for x in needs] == [("undo", f"cairn resume {found['id']}")]
    assert needs[0]["message"] == found["pausedWhy"]
    again = cairn("resume", "@last")
    assert again.status == 3
    (cairn.folder / "fixed").write_text("")
    assert cairn("resume", "@last").status == 1
    assert log(cairn) == BOOKED + UNDONE[:1] + [UNDONE[1]] * 3 + [UNDONE[2], "failed"]
    needs, = cairn("list", "--needs-attention", "--json").json["items"]
    assert needs["reason"] == "failed"


def test_a_cancel_leaves_the_rest_as_it_is(cairn):
    cairn.flow(TRIP.format(flight="", hotel="; exit 1"))
    assert cairn("run", "flow.yaml").status == 3
    cairn("cancel", "@last")
    assert log(cairn) == BOOKED + UNDONE[:1] + ["failed"]
    assert cairn("results", "@last", "--json").json["status"] == "failed"


def test_a_kill_while_something_is_undone(cairn):
    gate = cairn.pipe("gate")
    cairn.flow(TRIP.format(flight="", hotel=f"; test $town != rome || {{ echo began >&2; cat {gate}; }}"))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step no_hotel#1 stderr: began")
    id = run.id
    run.send(signal.SIGKILL)
    run.finish()
    again = cairn.start("resume", id)
    again.wait_for("step no_hotel#1 started again (attempt 2)")
    with open(gate, "w", encoding="utf-8") as held:
        held.write("")
    assert again.finish().status == 1
    assert log(cairn) == BOOKED + [UNDONE[0], UNDONE[1], UNDONE[1], UNDONE[2], "failed"]


LOOP = """
nodes:
  book:
    type: code
    needs: [more.true]
    max_iterations: 9
    language: sh
    in: {n: iteration}
    code: 'echo book $n >> log; echo $n'
    compensate: drop
  more: {type: condition, needs: [book], when: nodes.book.iteration < 2}
  pay: {type: code, needs: [more.false], language: sh, code: 'test -e paid', recover: [compensate]}
  drop: {type: code, language: sh, in: {n: step.body}, code: 'echo drop $n >> log'}
"""


def test_every_iteration_is_undone_and_done_anew(cairn):
    cairn.flow(LOOP)
    assert cairn("run", "flow.yaml", "--quiet").status == 1
    assert log(cairn) == ["book 0", "book 1", "book 2", "drop 2", "drop 1", "drop 0"]
    (cairn.folder / "paid").write_text("")
    (cairn.folder / "log").write_text("")
    assert cairn("retry", "@last", "--quiet").status == 0
    assert log(cairn)[0].startswith("book ") and "drop" not in "".join(log(cairn))


def test_what_a_fallback_completed(cairn):
    cairn.flow("""
recover: compensate
nodes:
  a: {type: code, command: ["false"], fallback: b, compensate: undo_a}
  b: {type: code, language: sh, code: 'echo b >> log; echo 1', compensate: undo_b}
  last: {type: code, needs: [a], command: ["false"]}
  undo_a: {type: code, language: sh, code: 'echo undo a >> log'}
  undo_b: {type: code, language: sh, in: {x: step.id}, code: 'echo undo $x >> log'}
""")
    assert cairn("run", "flow.yaml", "--quiet").status == 1
    assert log(cairn) == ["b", "undo b"]


def test_a_failure_that_does_not_ask_for_it_undoes_nothing(cairn):
    cairn.flow(TRIP.format(flight="", hotel="").replace("recover: compensate", "timeout: 20s"))
    assert cairn("run", "flow.yaml", "--quiet").status == 1
    assert log(cairn) == BOOKED + ["failed"]


def test_a_rollback_undoes_what_lies_behind_it(cairn):
    cairn.flow(TRIP.format(flight="", hotel="").replace("recover: compensate", ""))
    assert cairn("run", "flow.yaml", "--quiet").status == 1
    back = cairn("rollback", "@last", "--to", "hotel")
    assert back.status == 0 and "paused: execution" in back.err
    assert log(cairn) == BOOKED + ["failed"] + UNDONE[:2]
    (cairn.folder / "paid").write_text("")
    assert cairn("resume", "@last", "--quiet").status == 0
    assert log(cairn)[6:] == ["book rome", "book bari", "completed"]
    told = {s["id"]: s["rolledBack"] for s in cairn("results", "@last", "--json").json["subSteps"]}
    assert (told["flight"], told["hotel"], told["no_hotel"], told["hotel~1"]) == (False, True, True, False)


def test_a_rollback_whose_undoing_fails_or_is_killed(cairn):
    gate = cairn.pipe("gate")
    hold = f"; test -e fixed || exit 1; test $town != rome || {{ echo began >&2; cat {gate}; }}"
    cairn.flow(TRIP.format(flight="", hotel=hold).replace("recover: compensate", ""))
    assert cairn("run", "flow.yaml", "--quiet").status == 1
    assert "hotel[1] cannot be undone" in cairn("rollback", "@last", "--to", "1", "--resume").err
    id = cairn("explain", "@last", "--json").json["id"]
    needs, = cairn("list", "--needs-attention", "--json").json["items"]
    assert (needs["execution"], needs["reason"]) == (id, "undo")
    (cairn.folder / "fixed").write_text("")
    (cairn.folder / "paid").write_text("")
    run = cairn.start("resume", id)
    run.wait_for("stderr: began")
    run.send(signal.SIGKILL)
    run.finish()
    again = cairn.start("resume", id)
    again.wait_for("stderr: began")
    with open(gate, "w", encoding="utf-8") as held:
        held.write("")
    assert again.finish().status == 0
    undone = [UNDONE[0]] * 2 + [UNDONE[1]] * 2 + UNDONE[2:]
    assert log(cairn) == BOOKED + ["failed"] + undone + BOOKED + ["completed"]
