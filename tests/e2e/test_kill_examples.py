"""Every example under a killer that strikes every 50 to 500 ms, twenty times: each execution ends
as test_examples.py expects. Where an example asks, a third process answers, and may be struck too.

What is done at least once may have been done twice: a note is appended, a report is posted, always
under the same key.
"""

import http.server
import json
import math
import re
import shutil
import subprocess
import threading
import time

from conftest import PATIENCE, Cairn
from killer import LONG, Victim, chance, finish, parallel, query, start
from test_examples import ORDERS, RATES, TOP, Api, collatz, euros, expected_triage, workflows

STRIKES = 100 if LONG else 20


class Asked(Victim):
    """An example that is killed; another process answers what it asks."""

    def __init__(self, cairn, dice, file, label, example):
        super().__init__(cairn, dice, [file, *example.get("arguments", [])], label)
        self.example, self.helper = example, None

    def answer(self):
        """Starts a process that answers, when something is asked and no such process is left."""
        if not self.example.get("answer") or (self.helper and self.helper.poll() is None):
            return
        self.close_helper()
        waiting = self.find() and query(
            self.cairn.store, "SELECT waiting_tasks FROM executions_now WHERE id = ?", self.id)
        if waiting and waiting[0][0]:
            self.helper = start(self.cairn, "answer", self.id, *self.example["answer"])

    def close_helper(self):
        if self.helper:
            finish(self.helper)
            self.helper = None

    def ended(self):
        return self.find() and query(
            self.cairn.store, "SELECT status FROM executions_now WHERE id = ? AND completed_at "
            "IS NOT NULL", self.id)

    def owner(self, child):
        """The one of our processes that runs it."""
        rows = self.id and query(self.cairn.store,
                                 "SELECT host_pid FROM executions_now WHERE id = ?", self.id)
        ours = [c for c in (child, self.helper) if c and c.poll() is None]
        return next((c for c in ours if rows and c.pid == rows[0][0]), ours[0] if ours else None)

    def live(self, clock):
        """Struck whenever it is time, until it ends; what it came to."""
        child = None
        while not self.ended():
            if not child:
                child = self.go_on()
            self.answer()
            try:
                (child or self.helper or self).wait(min(0.025, clock.left()))
            except subprocess.TimeoutExpired:
                pass
            if child and child.poll() is not None:
                finish(child)
                child = None
            if clock.left() == 0:
                child = self.hit(child, clock)
        if child:
            finish(child)
        self.close_helper()
        return self.show()

    def wait(self, seconds):
        time.sleep(seconds)

    def hit(self, child, clock):
        """Strikes who runs it, and looks, unless the one that answers may have it by now. What is
        left of child."""
        struck = self.owner(child)
        if not struck:
            return child
        self.spare(struck)
        alone = self.strike(struck)
        clock.wind()
        self.helper = None if struck is self.helper else self.helper
        if not self.helper:
            self.look(alone)
        return None if struck is child else child


def check_retry(_, found):
    assert found["flaky"] >= 3 and found["broken"].startswith("gave up after ")


def check_agent(place, found):
    assert found == {"answer": "3 lines are errors", "tools": ["count: 3", "saved"]}
    assert set((place / "notes.txt").read_text().splitlines()) == {"3 lines are errors"}
    (place / "notes.txt").unlink()


def check_triage(place, found):
    assert found == {**expected_triage(place), "escalated": True}
    assert "was not sent" not in (place / "report.md").read_text(encoding="utf-8")


def check_ci(_, found):
    assert [(c["shell"], c["mode"]) for c in found["checks"]] == [
        ("sh", "safe"), ("bash", "fast"), ("bash", "safe"),
    ]
    assert (found["version"], found["package"]) == ("1.2.0", "greetings-1.2.0.tar")


def check_trip(place, found):
    """Once or more often, as a crash may have it, but always under the same key; all is undone."""
    keys = {}
    for line in (place / "trip.log").read_text().splitlines():
        what, how, key = line.split()
        keys.setdefault((what, how), set()).add(key)
    assert all(len(all_of_one) == 1 for all_of_one in keys.values())
    assert set(keys) == {("flight", "booked"), ("Rome", "booked"), ("Bari", "booked"),
                         ("Rome-7", "cancelled"), ("Bari-7", "cancelled"), ("F-12", "cancelled")}
    assert found is None and (place / "bill.txt").read_text() == "trip failed\n"
    (place / "trip.log").unlink()


def equals(expected):
    def check(_, found):
        assert found == expected

    return check


NUMBERS = [27, 97, 871, 6170, 77031]
EXAMPLES = {
    "hello.yaml": {"arguments": ["-i", "name=Ada"], "check": equals({
        "greeting": "Hello, Ada!", "verse": "Slow water, still older than its bridges."})},
    "loop.yaml": {"check": equals({
        "text": "Twice a day the moon lifts the sea and sets it down again.", "drafts": 3,
        "accepted": True})},
    "fan-out.yaml": {"check": equals({
        "steps": [collatz(n) for n in NUMBERS], "odd": 4, "winner": 77031})},
    "sub-workflow.yaml": {"check": equals({
        "cleaned": ["to be or not", "", "that is the question"],
        "total": {"texts": 2, "longest": "to be or not"}})},
    "retry.yaml": {"check": check_retry},
    "trip.yaml": {"status": "failed", "check": check_trip},
    "triage.yaml": {"check": check_triage, "answer": ["approve", "send"]},
    "agent-loop.yaml": {"check": check_agent, "answer": ["approve", "keep"]},
    "ci.yaml": {"check": check_ci},
    "parts/clean.yaml": {"arguments": ["-i", "text=  a  b "],
                         "check": equals({"text": "a b", "words": 2})},
    "api-pipeline.yaml": {"status": "partial", "check": equals({
        "orders": 7, "total": {"euros": euros(RATES), "missing": 1, "exact": True},
        "report": "R-1"})},
}


class Clock:
    """The killer's: when it strikes next, whichever execution that hits; after the last, never."""

    def __init__(self, dice):
        self.dice, self.strikes = dice, -1
        self.wind()

    def wind(self):
        self.strikes += 1
        pause = self.dice.uniform(0.05, 0.5) if self.strikes < STRIKES else math.inf
        self.next = time.monotonic() + pause

    def left(self):
        return max(0, self.next - time.monotonic())


def take_your_time(path):
    """What asks waits for as long as it takes to answer, on a machine that is busy."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^(    timeout:) \d+s$", rf"\1 {PATIENCE}s", text, flags=re.M), encoding="utf-8")


def strike_example(folder, file, example):
    """One execution after the other, until twenty strikes have hit."""
    folder.mkdir(parents=True)
    shutil.copytree(TOP / "examples", folder / "examples")
    take_your_time(folder / "examples" / file)
    cairn = Cairn(folder)
    dice = chance("example", file)
    clock, count = Clock(dice), 0
    while clock.strikes < STRIKES:
        victim = Asked(cairn, dice, f"examples/{file}", str(count), example)
        done = victim.live(clock)
        assert done["status"] == example.get("status", "completed"), (file, done["error"])
        example["check"](folder / "examples", done["finalResult"])
        count += 1


def with_api(work):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.tries, server.reports, server.rates = {}, [], True
    server.handle_error = lambda *_: None  # who asked was killed
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        work(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return server


def test_every_example_is_struck():
    assert set(EXAMPLES) == {str(p) for p in workflows() if p.parts[0] != "data"}


def test_every_example_ends_right_under_a_killer(tmp_path):
    def work(url):
        EXAMPLES["api-pipeline.yaml"]["arguments"] = ["-i", f"api={url}"]
        parallel(lambda file: strike_example(tmp_path / file, file, EXAMPLES[file]), EXAMPLES,
                 len(EXAMPLES))

    server = with_api(work)
    assert server.reports
    assert {json.dumps(body, sort_keys=True) for _, body in server.reports} == {
        json.dumps({"euros": euros(RATES), "missing": 1}, sort_keys=True)}
    assert len(ORDERS) == 7
