"""A person answers from a third process while the owner is being killed. Whatever the moment, the
caller learns that the answer was taken or is recorded, or what was wrong; and what was acknowledged
is there after the recovery, exactly once.
"""

import time

from killer import (
    LONG, chance, detach, effective, events, finish, parallel, query, start, strike, until,
)
from test_races import RUN, make

FLOW = f"""
  ask: {{type: ask, prompt: Well?, choices: ["yes", "no"]}}
  after: {{type: code, needs: [ask.yes], language: sh, code: '{RUN}; echo 7'}}
  done: {{type: end, needs: [after], value: after}}
"""


def is_acknowledged(status, said):
    """True: it was taken, or is recorded. False: an error that is clear. Nothing else may be."""
    if "answered: execution" in said or "the request is recorded (number" in said:
        return True
    assert status and "error: " in said, f"the answer was lost in silence: {status} {said!r}"
    return False


def answer_while_killed(cairn, dice, id, owner):
    """What the one who answered was told."""
    late, by_two = dice.uniform(-0.005, 0.03), dice.random() < 0.3
    if late < 0:
        strike(owner, by_two)
    answer = start(cairn, "answer", id, "ask", "yes")
    if late >= 0:
        time.sleep(late)
        strike(owner, by_two)
    if dice.random() < 0.5:  # somebody goes on with it at the same time
        finish(start(cairn, "resume", id))
    said = finish(answer)
    return answer.returncode, said


def one_round(cairn, dice):
    """True when the answer was acknowledged by the first process that brought it."""
    id, owner = detach(cairn, "run", "flow.yaml")
    until(lambda: effective(cairn.store, id) == "waiting", "it does not wait")
    told = answer_while_killed(cairn, dice, id, owner)
    good = is_acknowledged(*told)
    cairn("resume", id)
    if not good:
        cairn("answer", id, "yes")
    done = cairn("results", id, "--json").json
    assert (done["status"], done["finalResult"]) == ("completed", 7), told
    happened = events(cairn.store, id)
    assert happened.count(("step_completed", "ask")) == 1
    assert happened.count(("step_completed", "after")) == 1
    verdicts = query(cairn.store, "SELECT verdict FROM inbox i JOIN executions x ON "
                     "x.num = i.execution WHERE x.id = ? AND i.kind = 'answer'", id)
    assert verdicts.count(("accepted",)) == 1, (verdicts, told)
    return good


def rounds(folder, count):
    cairn = make(folder, FLOW)
    dice = chance("answers", folder.name)
    assert [one_round(cairn, dice) for _ in range(count)].count(True) > count / 2


def test_an_answer_while_the_owner_is_killed_is_kept_once(tmp_path):
    parallel(lambda name: rounds(tmp_path / name, 300 if LONG else 12), "abc")
