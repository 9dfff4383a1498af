"""300 random interleavings of requests, looks and kill -9, each from a seed: see interleave.py for what
happens and told.py for what must hold. Four run at a time, two in a store.

    CAIRN_INTERLEAVE_SEED=N   that one alone, which a failure names
    CAIRN_LONG=1              1000
"""

import contextlib
import os
import re
import sqlite3
import traceback

import pytest

from conftest import ID, SLOWER, Cairn, Result
from interleave import Asked, Play, code, furnish, settle
from killer import LONG, SEED, detach, parallel, strike, until
from told import Story, check, check_log

ONE = os.environ.get("CAIRN_INTERLEAVE_SEED")
FIRST = SEED if LONG or os.environ.get("CAIRN_SEED") else 1  # the same ones, but for long runs
COUNT = 1000 if LONG else 300
STORES, AT_ONCE = 2, 4


def place(folder):
    folder.mkdir()
    cairn = Cairn(folder)
    furnish(cairn)
    return cairn


def play_one(cairn, seed):
    play = Play(cairn, seed)
    try:
        play.run()
        check(cairn, play)
    except BaseException as why:
        trail = "\n".join(f"    {one.told}: {one.arguments} {one.said!r}" for one in play.asked)
        raise AssertionError(
            f"CAIRN_INTERLEAVE_SEED={seed} ({play.name}, {play.id}, {play.kills} kills)\n{trail}\n"
            f"{traceback.format_exc()}") from why
    finally:
        play.close()
    return play


def processes_in(folder):
    """Processes that work there."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/cwd").startswith(str(folder)):
                    found.append(int(name))
            except OSError:
                continue
    return found


def check_logs(cairn):
    """No process in the background ended by itself: those that follow would hide it."""
    for path in (cairn.folder / "state" / "cairn.db-logs").iterdir():
        text = path.read_text(errors="replace")
        wrong = re.search(r".*(Sanitizer|runtime error:|cairn: bug:).*", text)
        assert not wrong, (path.name, wrong.group())


def check_store(cairn):
    check_logs(cairn)
    until(lambda: not processes_in(cairn.folder), "processes are left", 10 * SLOWER)
    done = cairn("db", "check", "--all")
    assert done.status == 0, done.out + done.err
    left = cairn("list", "--all", "--json", "--limit", "1000", "--status", "running")
    assert left.json["items"] == []


def test_300_interleavings(tmp_path):
    seeds = [int(ONE)] if ONE else [FIRST % 1000000 * 10000 + n for n in range(COUNT)]
    cairns = [place(tmp_path / f"store{n}") for n in range(1 if ONE else STORES)]
    plays = []
    parallel(lambda n: plays.append(play_one(cairns[n % len(cairns)], seeds[n])),
             range(len(seeds)), AT_ONCE)
    for cairn in cairns:
        check_store(cairn)
    assert len(plays) == len(seeds)
    if not ONE:  # else the faults and the requests were none
        told = [one.told for play in plays for one in play.asked]
        assert sum(play.kills for play in plays) > COUNT / 2
        assert told.count("accepted") > COUNT and told.count("refused") > COUNT / 2


def test_a_result_that_another_execution_had_meanwhile(cairn):
    """A step whose owner died may find its result when it is begun once more, and does not run again."""
    cairn.flow(f"""
  a: {code("test -e quick || sleep 60; echo 7", ", cache: {ttl: 1h, key: '1'}")}
""")
    log = cairn.folder / "log"
    id, owner = detach(cairn, "run", "flow.yaml")
    until(lambda: log.exists() and id in log.read_text(), "it does not begin")
    strike(owner)
    (cairn.folder / "quick").touch()
    assert cairn("run", "flow.yaml").status == 0
    assert cairn("resume", id).status == 0
    story = Story(cairn, id)
    assert [e["attempt"] for e in story.of("step_scheduled", step="a")] == [1, 2]
    taken = story.of("step_completed", step="a")[0]
    assert taken["meta"]["cached"]
    assert log.read_text().count(id) == 1
    check_log(story, 1)
    with log.open("a") as file:  # after it was begun once more: that would be wrong
        file.write(f"{id}/a {story.at_us[taken['seq']] * 1000}\n")
    with pytest.raises(AssertionError, match="its result was there"):
        check_log(story, 1)


def test_a_refusal_beside_what_others_had_asked_is_one():
    said = ("12:00:00.000 execution exec_1 rolled back to event 2\n"
            "error: rollback of exec_1 refused: there is no checkpoint \"mark\" any more\n"
            "12:00:00.001 step a~1 started\n")
    assert Asked("rollback", ["rollback", "exec_1"], said=said).told == "refused"


@pytest.mark.parametrize("settled", [False, True])
def test_a_commit_that_nobody_saw_comes_back_or_never_happened(cairn, settled):
    """As after a kill -9 in its fsync: it stands in the log of the store, the index does not have it."""
    cairn.flow("  q: {type: ask, prompt: Well?}\n")
    id = ID.search(cairn("run", "flow.yaml").err).group()

    def status(db):
        return db.execute("SELECT status FROM executions WHERE id = ?", (id,)).fetchone()[0]

    def look():
        return contextlib.closing(sqlite3.connect(f"file:{cairn.store}?mode=ro", uri=True))

    with look() as db, open(f"{cairn.store}-shm", "r+b") as index:
        db.execute("BEGIN")  # what comes after it stays in the log
        assert status(db) == "waiting"
        before = index.read()
        assert cairn("cancel", id).status == 0
        index.seek(0)
        index.write(before)
        index.flush()
        db.execute("COMMIT")
        assert status(db) == "waiting"
        if settled:
            settle(cairn.store)
    with look() as db:
        assert status(db) == ("waiting" if settled else "cancelled")


class Still:
    """A machine that stands still for 5 s: who begins then is told that others write to the store."""

    def __init__(self, cairn):
        self.cairn, self.told = cairn, 0

    def __getattr__(self, name):
        return getattr(self.cairn, name)

    def __call__(self, *arguments):
        self.told += 1
        if self.told < 3:
            return Result(4, "", "error: another process is writing to the store, waited 5 s: try again\n")
        return self.cairn(*arguments)


def test_who_is_told_to_try_again_does(cairn):
    furnish(cairn)
    play = Play(Still(cairn), 1)
    play.name = "chain"
    play.begin()
    play.db.close()
    assert play.id and play.cairn.told == 3
    assert cairn("watch", play.id).status == 0
