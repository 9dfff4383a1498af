"""Many processes on one store, cairn's and others: nobody is turned away while others write, nobody
loses anything to one who holds a lock, requests are heard at once, and waiting costs nothing.
"""

import os
import re
import sqlite3
import threading
import time

import pytest

from conftest import BUILD, PATIENCE
from held import HOLD, holding, release

LONG = bool(os.environ.get("CAIRN_LONG"))

STEPS = """
  a: {type: transform, value: "1"}
  b: {type: code, language: sh, needs: [a], code: "echo 2"}
  c: {type: code, language: sh, needs: [b], code: "echo 3"}
  d: {type: end, needs: [c], value: c}
"""

def foreign(cairn):
    """Another program's connection to the store."""
    return sqlite3.connect(cairn.store, isolation_level=None, timeout=30)


def test_many_make_and_use_one_store(cairn):
    cairn.flow(STEPS)
    runs = [cairn.start("run", "-q", "flow.yaml") for _ in range(20 if LONG else 8)]
    looks = []
    while any(run.child.poll() is None for run in runs):
        looks.append(cairn("list", "--json"))
    ends = [run.finish() for run in runs]
    assert [(end.status, end.out) for end in ends] == [(0, "3\n")] * len(runs), ends
    for look in looks:
        assert look.status == 0 and "locked" not in look.err, look.err
    items = cairn("list", "--json", "--limit", "100").json["items"]
    assert [item["status"] for item in items] == ["completed"] * len(runs)
    assert cairn("db", "check", "--all").status == 0


def test_a_foreign_lock_is_waited_for_and_named(cairn):
    run, pipe = holding(cairn)
    other = foreign(cairn)
    other.execute("BEGIN IMMEDIATE")
    refused = []
    ask = threading.Thread(target=lambda: refused.append(cairn("pause", run.id)))
    ask.start()
    release(pipe)
    run.wait_for("waiting for the store; nothing is lost: ")
    if LONG:
        time.sleep(30)
    assert cairn("results", run.id, "--json").json["status"] == "running"
    assert cairn("list").status == 0
    ask.join()
    other.execute("ROLLBACK")
    other.close()
    done = run.finish()
    assert (done.status, done.out) == (0, "released\n")
    assert done.err.count("waiting for the store") == 1
    assert done.err.count("the store is free again") == 1
    who = rf"process {os.getpid()} \([^)]+\) is writing to the store .*, waited 5 s"
    assert re.search(who, done.err), done.err
    assert refused[0].status == 4, refused[0]
    assert re.search(who, refused[0].err), refused[0].err
    assert "locked" not in done.err + refused[0].err
    assert cairn("results", run.id, "--json").json["status"] == "completed"


def held_before_its_claim(cairn, other):
    """A resume that has registered and has not claimed yet, while the store is held."""
    cairn.flow("  a: {type: ask, prompt: go}\n")
    newest, epoch = "SELECT coalesce(max(id), 0) FROM hosts", "SELECT epoch FROM progress ORDER BY execution"
    for _ in range(30):
        id = cairn("run", "flow.yaml", "--json").json["id"]
        known = other.execute(newest).fetchone()[0]
        resume = cairn.start("resume", id)
        end = time.monotonic() + PATIENCE
        while other.execute(newest).fetchone()[0] <= known:  # without a rest: the moment is short
            assert time.monotonic() < end, "it does not register"
        try:
            other.execute("BEGIN IMMEDIATE")
            if other.execute(epoch).fetchall()[-1][0] == 1:
                return resume
            other.execute("ROLLBACK")
        except sqlite3.OperationalError:
            pass
        assert resume.finish().status == 3
    raise AssertionError("the moment between the two was never met")


def test_a_claim_waits_for_who_holds_the_store(cairn):
    cairn.flow("  a: {type: ask, prompt: go}\n")
    cairn("run", "flow.yaml")
    other = sqlite3.connect(cairn.store, isolation_level=None, timeout=0)
    resume = held_before_its_claim(cairn, other)
    resume.wait_for("waiting for the store; nothing is lost: ")
    other.execute("ROLLBACK")
    other.close()
    done = resume.finish()
    assert done.status == 3 and "goes on: execution" in done.err
    assert done.err.count("waiting for the store") == 1


def test_readers_of_ours_stop_no_foreign_writer(cairn):
    run, pipe = holding(cairn)
    other = foreign(cairn)
    looking = [cairn.start("watch", run.id) for _ in range(2)]
    for number in range(50):
        other.execute("UPDATE meta SET value = ? WHERE key = 'created_by'", (f"me {number}",))
    other.close()
    release(pipe)
    assert run.finish().status == 0
    assert [one.finish().status for one in looking] == [0, 0]


@pytest.mark.parametrize("spoil", ["delete", "folder"])
def test_without_the_inbox_file_requests_are_heard(cairn, spoil):
    path = cairn.store + "-inbox"
    if spoil == "folder":
        os.makedirs(path)
    run, pipe = holding(cairn)
    for request in ["pause", "resume", "pause", "resume"]:
        if spoil == "delete":
            os.unlink(path)
        assert cairn(request, run.id).status == 0
    release(pipe)
    assert run.finish().status == 0


def wakeups(pid):
    """How often the threads of a process have waited for something."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as lines:
            total += int(re.search(r"\nvoluntary_ctxt_switches:\s*(\d+)", lines.read()).group(1))
    return total


def test_waiting_costs_next_to_nothing(cairn):
    run, pipe = holding(cairn)
    assert cairn("pause", run.id).status == 0  # all that began has calmed down
    assert cairn("resume", run.id).status == 0
    before = wakeups(run.child.pid)
    time.sleep(2)
    of_tsan = 25 if BUILD == "tsan" else 0  # it has a thread of its own, which wakes up 10 times a second
    assert wakeups(run.child.pid) - before < 20 + of_tsan  # 4 polls a second, and the lease
    release(pipe)
    assert run.finish().status == 0
