"""A crowd at one store: processes that are killed while others work, others that look on all the
while, one execution that is broken among a hundred, and a host that stands still.
"""

import os
import signal
import sqlite3
import threading

from killer import (
    LONG, Onlooker, chance, finish, only_claims, parallel, query, start,
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
  nap: {{type: wait, needs: [work], for: 20ms}}
  done: {{type: end, needs: [note, nap], value: "work + [inputs.n]"}}
"""


class Crowd:
    """So many workers, each runs execution after execution; whoever is killed is gone on with."""

    def __init__(self, cairn, workers, each):
        self.cairn, self.workers, self.each = cairn, workers, each
        self.lock, self.children, self.said = threading.Lock(), {}, []
        self.over = threading.Event()

    def work(self, worker):
        for count in range(self.each):
            self.run_one(f"{worker}-{count}")

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
        kills = 0
        while not self.over.wait(dice.uniform(0.05, 0.3)):
            with self.lock:
                found = [(k, c) for k, c in self.children.items() if self.may_die(k)]
                if found:
                    dice.choice(found)[1].send_signal(signal.SIGKILL)
                    kills += 1
        self.kills = kills

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
    crowd = Crowd(cairn, 20, 60 if LONG else 6)
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
    keys = {f"{worker}-{count}" for worker in range(20) for count in range(crowd.each)}
    rows = query(cairn.store, "SELECT key, status, result FROM executions_now WHERE key IS NOT NULL")
    assert {row[0] for row in rows} == keys and len(rows) == len(keys)
    for key, status, result in rows:
        assert (status, result) == ("completed", f'[2,3,4,"{key}"]')
    notes = (cairn.folder / "notes").read_text().splitlines()
    assert set(notes) == keys
    assert len(notes) <= len(keys) + crowd.kills
    assert crowd.kills > 2
    assert not crowd.onlooker.failures, crowd.onlooker.failures
    assert crowd.onlooker.looks > 10
    assert not [text for text in crowd.said if "locked" in text or "another process" in text]
    assert cairn("db", "check", "--all").status == 0
