"""Compensation: what completed is undone when a later step fails for good, the last first."""

import signal

import pytest

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


HALF_WAY = """
{recover}
nodes:
  flight: {{type: code, language: sh, code: 'echo flight >> log', compensate: no_flight}}
  hotel: {{type: code, language: sh, needs: [flight], code: 'echo hotel >> log', compensate: no_hotel}}
  car: {{type: code, language: sh, needs: [hotel], code: 'echo car >> log', compensate: no_car}}
  pay: {{type: code, language: sh, needs: [car], code: 'test -e paid'}}
  no_car: {{type: code, language: sh, code: 'echo no car >> log'}}
  no_hotel: {{type: code, language: sh, code: '{stuck}'}}
  no_flight: {{type: code, language: sh, code: 'echo no flight >> log'}}
"""
FAILED = ("not undone: hotel: no_hotel failed: code: the script ended with exit status 1\n",
          ("hotel", "failed", "no_hotel"))
ANEW = "so whether it is undone is not known: a retry does it anew\n"
STOPPED = ("not undone: hotel: no_hotel was stopped, " + ANEW,
           ("hotel", "stopped", "no_hotel"))


def states(undo):
    return [(s["step"], s["state"], s["by"]) for s in undo["steps"]]


def undo_half_way(cairn, by_rollback, stuck):
    """An undo that has undone the car and does not come beyond the hotel."""
    if by_rollback:
        (cairn.folder / "paid").write_text("")
    cairn.flow(HALF_WAY.format(recover="" if by_rollback else "recover: compensate", stuck=stuck))
    if not by_rollback:
        return cairn.start("run", "flow.yaml")
    assert cairn("run", "flow.yaml").status == 0
    return cairn.start("rollback", "@last", "--to", "flight")


@pytest.mark.parametrize("by_rollback", [False, True])
@pytest.mark.parametrize("stuck,line,hotel", [("exit 1", *FAILED),
                                              ("echo busy >&2; cat hold", *STOPPED)])
def test_an_undo_that_was_stopped_half_way_is_told(cairn, by_rollback, stuck, line, hotel):
    cairn.pipe("hold")
    begun = undo_half_way(cairn, by_rollback, stuck)
    begun.wait_for("paused: " if stuck == "exit 1" else "busy\n")
    under_way = cairn("explain", "@last", "--json").json["undo"]
    assert states(under_way)[0] == ("car", "undone", "no_car")
    assert states(under_way)[1] == (hotel if stuck == "exit 1" else ("hotel", "running", "no_hotel"))
    assert states(under_way)[2] == ("flight", "open", None)
    assert under_way["state"] == ("paused" if stuck == "exit 1" else "running")
    assert "    undone: car by no_car\n" in cairn("explain", "@last").out
    assert "    not undone: flight: its turn comes\n" in cairn("explain", "@last").out
    ended = cairn("cancel", "@last")
    assert ended.status in (0, 1)
    begun.finish()
    told = cairn("explain", "@last", "--json").json
    found = cairn("results", "@last", "--json").json
    assert told["undo"] == found["undo"] and told["undo"]["state"] == "stopped"
    assert (told["undo"]["to"] is not None) == by_rollback
    assert by_rollback or told["undo"]["by"] == "recover"
    assert states(told["undo"]) == [("car", "undone", "no_car"), hotel, ("flight", "open", None)]
    for text in (cairn("explain", "@last").out, cairn("results", "@last").out):
        assert "undone: car by no_car\n" in text and line in text
        assert "not undone: flight: it was stopped before its turn\n" in text
    # What was undone runs again, and what may have been; what was not is kept.
    (cairn.folder / "paid").write_text("")
    (cairn.folder / "log").write_text("")
    assert cairn("retry", "@last", "--quiet").status == 0
    assert log(cairn) == (["car"] if stuck == "exit 1" else ["hotel", "car"])
    found = cairn("results", "@last", "--json").json
    assert {s["id"]: s["status"] for s in found["subSteps"]}["car~1"] == "completed"
    assert states(found["undo"]) == [("car", "undone", "no_car")]  # the one before
    assert "car (code) completed, undone by no_car, at " in cairn("results", "@last", "--verbose").out
    assert cairn("explain", "@last", "--json").json["undo"] is None


def test_a_retry_does_anew_what_was_lost_while_it_was_undone_and_explain_says_so(cairn):
    cairn.pipe("hold")
    cairn.flow(HALF_WAY.format(recover="recover: compensate", stuck="echo busy >&2; cat hold").replace(
        "no_hotel: {", "no_hotel: {delivery: at_most_once, "))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("busy\n")
    run.send(signal.SIGKILL)
    run.finish()
    resumed = cairn.start("resume", "@last")
    resumed.wait_for("paused: ")
    line = "    not undone: hotel: no_hotel failed: in_doubt: "
    paused = cairn("explain", "@last").out
    assert line in paused and "is not known" in paused and "a retry does it anew" not in paused
    assert cairn("cancel", "@last").status in (0, 1)
    told = cairn("explain", "@last", "--json").json["undo"]["steps"]
    assert [(s["step"], s["state"], s["inDoubt"]) for s in told] == [
        ("car", "undone", False), ("hotel", "failed", True), ("flight", "open", False)]
    for text in (cairn("explain", "@last").out, cairn("results", "@last").out):
        assert line in text and ANEW in text
    (cairn.folder / "paid").write_text("")
    (cairn.folder / "log").write_text("")
    assert cairn("retry", "@last", "--quiet").status == 0
    assert log(cairn) == ["hotel", "car"]


@pytest.mark.parametrize("by_rollback", [False, True])
def test_an_undo_that_is_over_is_told(cairn, by_rollback):
    begun = undo_half_way(cairn, by_rollback, "echo no hotel >> log")
    ended = begun.finish()
    everything = "undone: car by no_car, hotel by no_hotel, flight by no_flight\n"
    assert by_rollback or f"    {everything}" in ended.err
    for command in ("explain", "results"):
        done = cairn(command, "@last", "--json").json["undo"]
        assert done["state"] == "completed" and all(s["at"] for s in done["steps"])
        assert {s["rolledBack"] for s in done["steps"]} == {by_rollback}
        assert everything in cairn(command, "@last").out
    steps = {s["id"]: s["status"] for s in cairn("results", "@last", "--json").json["subSteps"]}
    assert [steps[x] for x in ("flight", "hotel", "car")] == ["completed"] * 3
    story = cairn("results", "@last", "--verbose").out
    rolled_back = ", rolled back" if by_rollback else ""
    assert f"car (code) completed{rolled_back}, undone by no_car, at " in story
    (cairn.folder / "paid").write_text("")
    (cairn.folder / "log").write_text("")
    assert cairn("resume" if by_rollback else "retry", "@last", "--quiet").status == 0
    assert log(cairn) == ["flight", "hotel", "car"]


def test_nothing_is_told_where_nothing_was_undone(cairn):
    (cairn.folder / "paid").write_text("")
    cairn.flow(TRIP.format(flight="", hotel=""))
    assert cairn("run", "flow.yaml", "--quiet").status == 0
    assert cairn("explain", "@last", "--json").json["undo"] is None
    assert cairn("results", "@last", "--json").json["undo"] is None
    assert "undone" not in cairn("explain", "@last").out + cairn("results", "@last").out


KEPT = """
{recover}
nodes:
  car: {{type: code, language: sh, code: 'echo car >> log; echo C', compensate: no_car, cache: 1h}}
  town: {{type: code, language: sh, needs: [car], foreach: "['x', 'y']", in: {{of: item}}, cache: 1h, compensate: no_town,
         code: 'echo town $of >> log'}}
  pay: {{type: code, language: sh, needs: [town], code: test -e paid}}
  no_car: {{type: code, language: sh, code: 'echo no car >> log'}}
  no_town: {{type: code, language: sh, code: 'echo no town >> log'}}
"""
DONE = ["car", "town x", "town y"]


@pytest.mark.parametrize("by_rollback", [False, True])
def test_a_kept_result_of_what_was_undone_is_not_used_again(cairn, by_rollback):
    cairn.flow(KEPT.format(recover="concurrency: 1" if by_rollback else "concurrency: 1\nrecover: compensate"))
    checked = cairn("validate", "flow.yaml")
    assert 'what "car" did may be undone while its result is kept for others' in checked.err
    if by_rollback:
        (cairn.folder / "paid").write_text("")
        assert cairn("run", "flow.yaml", "--quiet").status == 0
        assert cairn("rollback", "@last", "--to", "car", "--resume", "--quiet").status == 0
        assert log(cairn) == DONE + ["no town", "no town", "no car"] + DONE
        return
    assert cairn("run", "flow.yaml", "--quiet").status == 1
    assert cairn("retry", "@last", "--quiet").status == 1  # done anew, and undone again
    (cairn.folder / "paid").write_text("")
    assert cairn("retry", "@last", "--quiet").status == 0
    once = DONE + ["no town", "no town", "no car"]
    assert log(cairn) == once * 2 + DONE
    assert cairn("run", "flow.yaml", "--quiet").status == 0  # what was not undone is used
    assert log(cairn) == once * 2 + DONE
