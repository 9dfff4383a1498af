"""Many processes that want one execution at the same instant: one wins, the others are told who,
and what was acknowledged to any of them is so.
"""

import os
import re
import subprocess

from conftest import BIN, ID, PATIENCE, Cairn
from killer import LONG, detach, effective, events, parallel, query, strike, until

RUN = 'echo "$CAIRN_IDEMPOTENCY_KEY" >> log'


def make(folder, nodes, head=""):
    folder.mkdir()
    cairn = Cairn(folder)
    cairn.flow(f"{head}nodes:\n{nodes}")
    return cairn


def together(cairn, commands):
    """Processes that wait at a gate and begin at the same instant; (status, output) of each."""
    gate = cairn.folder / "gate"
    if not gate.exists():
        os.mkfifo(gate)
    children = []
    for command in commands:
        child = subprocess.Popen(
            ["/bin/sh", "-c", 'read x < gate; exec "$@"', "sh", BIN, *command],
            cwd=cairn.folder, env=cairn.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        children.append(child)
    fd = os.open(gate, os.O_WRONLY)  # opens when the first one reads
    until(lambda: all(at_gate(child.pid) for child in children), "they do not come to the gate")
    os.close(fd)
    ended = [(child, child.communicate(timeout=PATIENCE)[0]) for child in children]
    return [(child.returncode, said) for child, said in ended]


def at_gate(pid):
    """It has the gate open to read."""
    try:
        return os.readlink(f"/proc/{pid}/fd/0").endswith("/gate")
    except OSError:
        return True  # it has gone through


def interrupted(cairn, more=()):
    """An execution whose first step was in flight when its process was killed."""
    (cairn.folder / "begun").unlink(missing_ok=True)
    id, child = detach(cairn, "run", "flow.yaml", *more)
    until(lambda: (cairn.folder / "begun").exists(), "it does not begin")
    strike(child, with_launcher=True)
    return id


# ---- one execution, many who want it ----

HOLD = f"""
  hold: {{type: code, language: sh, code: '{RUN}; touch begun; test -e go || sleep 60; echo 7'}}
  done: {{type: end, needs: [hold], value: hold}}
"""


def resume_at_once(folder, count, rounds):
    cairn = make(folder, HOLD)
    for _ in range(rounds):
        (cairn.folder / "go").unlink(missing_ok=True)
        id = interrupted(cairn)
        (cairn.folder / "go").touch()
        ended = together(cairn, [["resume", id, "-q"]] * count)
        winners = [said for status, said in ended if status == 0]
        assert winners == ["7\n"], ended
        assert cairn("results", id, "--json").json["finalResult"] == 7
        runs = [line for line in (cairn.folder / "log").read_text().splitlines() if id in line]
        assert len(runs) == 2, runs
        for status, said in ended:
            assert status in (0, 2), ended
            assert status == 0 or "has ended" in said or re.search(r"process \d+", said), said


def test_of_many_who_resume_at_once_one_wins(tmp_path):
    rounds = 50 if LONG else 5
    parallel(lambda count: resume_at_once(tmp_path / str(count), count, rounds), [2, 5])


# ---- the same with a request ----

ASK = f"""
  ask: {{type: ask, prompt: Well?, choices: ["yes", "no"]}}
  after: {{type: code, needs: [ask.yes], language: sh, code: '{RUN}; echo 7'}}
  done: {{type: end, needs: [after], value: after}}
"""


def left_waiting(cairn):
    left = cairn("run", "flow.yaml")
    assert left.status == 3, left.err
    return ID.search(left.err).group()


def answer_and_resume(folder, rounds):
    """The answer is taken once, whoever of them runs it in the end."""
    cairn = make(folder, ASK)
    for _ in range(rounds):
        id = left_waiting(cairn)
        ended = together(cairn, [["answer", id, "yes"], ["resume", id]] * 2)
        told = [said for status, said in ended[::2] if "answered: execution" in said]
        assert len(told) == 1, ended  # the other one is refused
        done = cairn("results", id, "--json").json
        if not done["completedAt"]:  # it was left again before the answer came
            cairn("resume", id, "-q")
            done = cairn("results", id, "--json").json
        assert (done["status"], done["finalResult"]) == ("completed", 7), ended
        assert [e for e in events(cairn.store, id) if e == ("step_completed", "ask")] == [
            ("step_completed", "ask")]
        assert (cairn.folder / "log").read_text().count(id) == 1
        assert all(said for _, said in ended)


def cancel_and_resume(folder, rounds):
    """Cancelled, or completed before the cancel came; never both, and never neither."""
    cairn = make(folder, HOLD)
    (cairn.folder / "go").touch()
    for _ in range(rounds):
        (cairn.folder / "go").unlink()
        id = interrupted(cairn)
        (cairn.folder / "go").touch()
        (_, cancelled), *resumed = together(
            cairn, [["cancel", id], ["resume", id, "-q"], ["resume", id, "-q"]])
        done = cairn("results", id, "--json").json
        assert done["status"] in ("completed", "cancelled"), (done["status"], cancelled, resumed)
        accepted = cancelled.startswith("cancelled: execution") or "\ncancelled: exec" in cancelled
        assert accepted == (done["status"] == "cancelled"), (cancelled, resumed)
        assert accepted or "has ended" in cancelled, cancelled
        ends = [e for e, _ in events(cairn.store, id)
                if e in ("execution_completed", "execution_cancelled", "execution_failed")]
        assert len(ends) == 1


def test_requests_that_race_with_a_resume(tmp_path):
    rounds = 60 if LONG else 6
    ways = [answer_and_resume, cancel_and_resume]
    parallel(lambda way: way(tmp_path / way.__name__, rounds), ways)


def run_with_key(cairn, key, more, ways):
    ended = together(cairn, [["run", "flow.yaml", "--key", key, *more, *way] for way in ways])
    ids = {id for _, said in ended for id in ID.findall(said)}
    assert len(ids) == 1, ended
    for way, (_, said) in zip(ways, ended):
        assert ID.search(said) or (not way and said == "7\n"), ended  # or it had ended by then
    return ids.pop(), ended


KEYED = f"""
  work: {{type: code, language: sh, in: {{n: inputs.n}}, code: '{RUN}; sleep 0.05; echo $n'}}
  done: {{type: end, needs: [work], value: work}}
"""


def test_ten_processes_with_one_key_are_one_execution(tmp_path):
    cairn = make(tmp_path / "k", KEYED, "inputs: {n: {type: integer}}\n")
    for round in range(30 if LONG else 3):
        background = [["--background"]] * 5
        id, ended = run_with_key(cairn, f"k{round}", ["-i", "n=7"], background + [[]] * 5)
        assert [status for status, _ in ended[:5]] == [0] * 5, ended
        assert {said.splitlines()[0] for _, said in ended[:5]} == {id}
        until(lambda: effective(cairn.store, id) == "completed", "it does not end")
        again = cairn("run", "flow.yaml", "--key", f"k{round}", "-i", "n=7", "-q")
        assert (again.status, again.out) == (0, "7\n")
        other = cairn("run", "flow.yaml", "--key", f"k{round}", "-i", "n=8")
        assert other.status == 2 and "key_reused" in other.err and id in other.err
    assert len(query(cairn.store, "SELECT id FROM executions")) == round + 1
    lines = (cairn.folder / "log").read_text().splitlines()
    assert len(lines) == len(set(lines)) == round + 1
