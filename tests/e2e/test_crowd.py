"""A crowd at one store: processes that are killed while others work, others that look on all the
while, one execution that is broken among a hundred, and a host that stands still.
"""

import os
import signal
import sqlite3
import threading
import time

import pytest
from killer import (
    GRACE, LONG, Onlooker, chance, detach, effective, events, finish, only_claims, parallel, query,
    start, strike, until,
)
from test_races import RUN, make

# ---- twenty at work, one killed now and then ----

WORK = f"""
  work:
    type: code
    foreach: {{items: "[1, 2, 3]", as: n}}
    language: sh
    code: '{RUN}; echo $((n + 1))'
  note: {{type: file, needs: [work], operation: append, path: notes, value: 'inputs.n + "\\n"'}}
  nap: {{type: wait, needs: [work], for: 150ms}}
  done: {{type: end, needs: [note, nap], value: "work + [inputs.n]"}}
"""


class Crowd:
    """So many workers, each runs execution after execution, at least `each`, and more until there were
    `kills_least` kills; whoever is killed is gone on with."""

    def __init__(self, cairn, workers, each, kills_least=0):
        self.cairn, self.workers, self.each = cairn, workers, each
        self.kills, self.kills_least, self.keys = 0, kills_least, set()
        self.lock, self.children, self.said = threading.Lock(), {}, []
        self.over = threading.Event()

    def work(self, worker):
        count = 0
        while count < self.each or (self.kills < self.kills_least and count < 20 * self.each):
            self.keys.add(f"{worker}-{count}")
            self.run_one(f"{worker}-{count}")
            count += 1

    def run_one(self, key):
        arguments = ["run", "flow.yaml", "-q", "--key", key, "-i", f"n={key}"]
        while True:
            child = start(self.cairn, *arguments)
            with self.lock:
                self.children[key] = child
            child.wait()
            with self.lock:
                del self.children[key]
                self.said.append(finish(child))
            if child.returncode == 0:
                return
            assert child.returncode == -signal.SIGKILL, (child.returncode, self.said[-1])

    def kill_some(self, dice):
        """Strikes one that has something recorded, again and again."""
        while not self.over.wait(dice.uniform(0.03, 0.15)):
            with self.lock:
                found = [(k, c) for k, c in self.children.items() if self.may_die(k)]
                if found:
                    dice.choice(found)[1].send_signal(signal.SIGKILL)
                    self.kills += 1

    def may_die(self, key):
        try:
            rows = query(self.cairn.store, "SELECT id FROM executions WHERE key = ?", key)
        except sqlite3.OperationalError:
            return False  # it is being made
        return rows and only_claims(self.cairn.store, rows[0][0]) < 2


def look_on(cairn, crowd):
    """From the first moment in which there is something to see."""
    while not (os.path.exists(cairn.store) and cairn("list", "--json").json["items"]):
        if crowd.over.wait(0.01):
            return
    with Onlooker(cairn) as crowd.onlooker:
        crowd.over.wait()


def test_twenty_processes_one_killed_now_and_then(tmp_path):
    cairn = make(tmp_path / "c", WORK, "inputs: {n: {type: string}}\n")
    least = 200 if LONG else 10
    crowd = Crowd(cairn, 20, 60 if LONG else 4, least)
    killer = threading.Thread(target=crowd.kill_some, args=[chance("crowd")])
    killer.start()  # there is no store yet: the first to come makes it
    looker = threading.Thread(target=look_on, args=[cairn, crowd])
    looker.start()
    try:
        parallel(crowd.work, range(20), 20)
    finally:
        crowd.over.set()
        killer.join()
        looker.join()
    keys = crowd.keys
    rows = query(cairn.store, "SELECT key, status, result FROM executions_now")
    assert {row[0] for row in rows} == keys and len(rows) == len(keys)
    for key, status, result in rows:
        assert (status, result) == ("completed", f'[2,3,4,"{key}"]')
    notes = (cairn.folder / "notes").read_text().splitlines()
    assert set(notes) == keys
    assert len(notes) <= len(keys) + crowd.kills
    print(f"{crowd.kills} kills in {len(keys)} executions")
    assert crowd.kills >= least
    assert not crowd.onlooker.failures, crowd.onlooker.failures
    assert crowd.onlooker.looks > 10
    assert not [text for text in crowd.said if "locked" in text or "another process" in text]
    assert cairn("db", "check", "--all").status == 0


# ---- a hundred, of which some are broken ----

NAP = """
  first: {type: transform, value: 1}
  nap: {type: wait, needs: [first], for: 1s}
  done: {type: end, needs: [nap], value: first + 1}
"""


def leave_busy(cairn):
    """One whose process was killed while a step was in flight; its id."""
    cairn.write("busy.yaml", "cairn: 1\nname: busy\nnodes:\n"
                "  a: {type: code, language: sh, code: sleep 60}\n")
    id, child = detach(cairn, "run", "busy.yaml")
    until(lambda: ("step_process", "a") in events(cairn.store, id), "it does not begin")
    strike(child)
    return id


def leave_interrupted(cairn, count):
    """So many executions whose processes were killed while they waited."""
    living = []
    while count or living:
        while count and len(living) < 10:
            living.append(start(cairn, "run", "flow.yaml", "-q"))
            count -= 1
        waiting = waiting_pids(cairn.store)
        for child in [c for c in living if c.pid in waiting or c.poll() is not None]:
            living.remove(child)
            ended = child.poll() is not None  # it was too quick for us
            count += ended
            finish(child) if ended else strike(child)
        time.sleep(0.01)


def waiting_pids(store):
    try:
        rows = query(store, "SELECT host_pid FROM executions_now WHERE status = 'waiting'")
        return {row[0] for row in rows}
    except sqlite3.OperationalError:
        return set()  # the store is being made


CLAIM_AFTER_TWO = bytes([28, 2])  # field `count`: two before it died over the fold, and this one


def append_event(store, id, kind, step, body, epochs=0):
    db = sqlite3.connect(store, timeout=GRACE)
    num, seq, last, epoch = db.execute("SELECT num, last_seq, last_event, epoch FROM executions JOIN progress ON execution = num "
                                       "WHERE id = ?", (id,)).fetchone()
    kind = db.execute("SELECT id FROM event_kinds WHERE name = ?", (kind,)).fetchone()[0]
    event = db.execute("INSERT INTO events(execution, seq, at_us, kind, step, prev, body) "
                       "VALUES(?, ?, (SELECT max(at_us) FROM events), ?, ?, ?, ?)",
                       (num, seq + 1, kind, step, last, body)).lastrowid
    db.execute("UPDATE progress SET last_seq = ?, last_event = ?, epoch = ? WHERE execution = ?",
               (seq + 1, event, epoch + epochs, num))
    db.commit()
    db.close()


def test_of_a_hundred_the_broken_ones_harm_no_other(tmp_path):
    cairn = make(tmp_path / "h", NAP)
    leave_interrupted(cairn, 50)
    deadly = leave_busy(cairn)
    leave_interrupted(cairn, 49)
    impossible = query(cairn.store, "SELECT id FROM executions WHERE status = 'waiting'")[30][0]
    append_event(cairn.store, impossible, "step_completed", "first", b"")
    append_event(cairn.store, deadly, "execution_claimed", "", CLAIM_AFTER_TWO, 1)
    done = cairn("resume", "--all")
    assert done.status != 0
    assert f"execution {impossible} of flow: " in done.err and "does not follow" in done.err
    assert f"execution {deadly} of busy: " in done.err and "quarantined" in done.err
    found = dict(query(cairn.store, "SELECT id, status FROM executions"))
    assert found.pop(impossible) in ("running", "waiting") and found.pop(deadly) == "failed"
    assert len(found) >= 98 and set(found.values()) == {"completed"}


# ---- a host that stands still ----


def stand_still(folder, seconds):
    """Stopped, it lives: nobody takes what it runs, and it goes on as if nothing had been."""
    cairn = make(folder, f"""
  first: {{type: code, language: sh, code: '{RUN}; echo 1'}}
  nap: {{type: wait, needs: [first], for: 300ms}}
  last: {{type: code, needs: [nap], language: sh, code: '{RUN}; echo 2'}}
  done: {{type: end, needs: [last], value: first + last}}
""")
    id, owner = detach(cairn, "run", "flow.yaml")
    until(lambda: effective(cairn.store, id) == "waiting", "it does not wait")
    os.kill(owner.pid, signal.SIGSTOP)
    try:
        all_of_them = cairn("resume", "--all")
        time.sleep(seconds)
        resume = start(cairn, "resume", id)
        until(lambda: query(cairn.store, "SELECT count(*) FROM inbox")[0][0], "nothing is asked")
        shown = cairn("results", id, "--json").json
        assert shown["effectiveStatus"] == "waiting"
        assert only_claims(cairn.store, id) == 0
        again = cairn("resume", "--all")
    finally:
        os.kill(owner.pid, signal.SIGCONT)
    for said in (all_of_them, again):
        assert said.status == 0 and "completed" not in said.err, said
    assert f"process {owner.pid} runs it" in finish(resume)
    assert resume.returncode == 2
    owner.wait()
    done = cairn("results", id, "--json").json
    assert (done["status"], done["finalResult"]) == ("completed", 3)
    names = [event for event, _ in events(cairn.store, id)]
    assert "execution_claimed" not in names and names.count("execution_started") == 1
    assert len((cairn.folder / "log").read_text().splitlines()) == 2


def test_nobody_takes_what_a_stopped_host_runs(tmp_path):
    stand_still(tmp_path / "s", 0)


@pytest.mark.skipif(not LONG, reason="takes 40 s: CAIRN_LONG=1 runs it")
def test_a_host_that_was_stopped_beyond_its_lease_goes_on(tmp_path):
    stand_still(tmp_path / "s", 40)
