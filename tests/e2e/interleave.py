"""One execution under many hands: a seed picks a workflow, starts it in the background, and then other
processes pause, go on, cancel, answer, signal, retry, roll back and look on at random moments, while its
owner, and sometimes who asks, is killed with kill -9. At the end the faults stop, and whatever it needs
is given to it until it has ended. What was told to each of them is kept for the checks (told.py).

Steps that run note their key and the time in a file before anything else, as `log` in the folder; so
that file tells what really ran, and when.
"""

import contextlib
import json
import os
import random
import select
import signal
import sqlite3
import time
from dataclasses import dataclass

from conftest import ID, PATIENCE
from killer import children, finish, kill, start

NOTE = 'echo "$CAIRN_IDEMPOTENCY_KEY $(date +%s%N)" >> log'


def code(body, more="", sleep=0.02):
    """A code step that notes its run, takes a moment and prints a value."""
    return f"{{type: code, language: sh{more}, code: '{NOTE}; sleep {sleep}; {body}'}}"


CHAIN = f"""
  a: {code("echo 1", ", checkpoint: mark")}
  b: {code("echo 2", ", needs: [a]")}
  c: {code("echo 3", ", needs: [b]")}
  e: {{type: end, needs: [c], value: "[a, b, c]"}}
"""
EACH = f"""
  a: {code("echo 1", ", checkpoint: mark", 0.01)}
  f: {code("echo $n", ', needs: [a], foreach: {items: "[1, 2, 3, 4, 5]", as: n, concurrency: 2}')}
  c: {code("echo 3", ", needs: [f]", 0.01)}
  e: {{type: end, needs: [c], value: "[a, f, c]"}}
"""
LOOP = f"""
  a: {code("echo 1", ", checkpoint: mark", 0.01)}
  w: {code("echo 2", ", needs: [a, more.true], join: any, max_iterations: 9", 0.01)}
  more: {{type: condition, needs: [w], when: nodes.w.iteration < 3}}
  e: {{type: end, needs: [more.false], value: "[a, w]"}}
"""
SUB = f"""
  a: {code("echo 1", ", checkpoint: mark", 0.01)}
  s: {{type: workflow, needs: [a], workflow: child.yaml}}
  c: {code("echo 3", ", needs: [s]", 0.01)}
  e: {{type: end, needs: [c], value: "[a, s.n, c]"}}
"""
CHILD = f"""cairn: 1
name: child
nodes:
  x: {code("echo 5")}
  y: {code("echo 6", ", needs: [x]")}
outputs: {{n: y}}
"""
BELOW = SUB.replace("child.yaml", "asks.yaml")
ASKS_BELOW = f"""cairn: 1
name: asks
nodes:
  x: {code("echo 5", "", 0.01)}
  q: {{type: ask, needs: [x], prompt: Well?}}
  y: {code("echo 6", ", needs: [q]", 0.01)}
outputs: {{n: q}}
"""
ASK = f"""
  a: {code("echo 1", ", checkpoint: mark")}
  q: {{type: ask, needs: [a], prompt: Well?, timeout: 400ms, on_timeout: {{value: nobody}}}}
  r: {{type: ask, needs: [a], prompt: And?}}
  c: {code("echo 3", ", needs: [q, r]")}
  e: {{type: end, needs: [c], value: "[a, q, r, c]"}}
"""
AGAIN = f"""
  a: {code("echo 1", ", needs: [more.true], max_iterations: 9, checkpoint: mark", 0.01)}
  q: {{type: ask, needs: [a], prompt: Well?}}
  more: {{type: condition, needs: [q], when: nodes.q.iteration < 2}}
  e: {{type: end, needs: [more.false], value: "[a, q]"}}
"""
SIGNAL = f"""
  a: {code("echo 1", ", checkpoint: mark")}
  s: {{type: wait, needs: [a], signal: go}}
  t: {{type: wait, needs: [a], signal: go, timeout: 500ms, on_timeout: {{value: none}}}}
  c: {code("echo 3", ", needs: [s, t]")}
  u: {{type: wait, needs: [c], signal: go}}
  e: {{type: end, needs: [u], value: "[a, s, t, c, u]"}}
"""
BUDGET = f"""budget: {{steps: 3}}
nodes:
  a: {code("echo 1", ", checkpoint: mark", 0.01)}
  b: {code("echo 2", ", needs: [a]", 0.01)}
  f: {code("echo $n", ', needs: [b], foreach: {items: "[1, 2, 3]", as: n}', 0.01)}
  e: {{type: end, needs: [f], value: "[a, b, f]"}}
"""
RETRY = f"""
  a: {code("echo 1", ", checkpoint: mark", 0.01)}
  b: {code('test "$CAIRN_ATTEMPT_NUMBER" -ge 3 || exit 9; echo 2',
           ", needs: [a], retry: {attempts: 4, backoff: 20ms, factor: 1, jitter: 0}", 0.01)}
  c: {code("test -e allowed/$CAIRN_EXECUTION || exit 3; echo 3", ", needs: [b]", 0.01)}
  e: {{type: end, needs: [c], value: "[a, b, c]"}}
"""
UNDO = f"""recover: compensate
finally: last
nodes:
  a: {code("echo 1", ", checkpoint: mark, compensate: un_a", 0.01)}
  b: {code("echo 2", ", needs: [a], compensate: un_b", 0.01)}
  c: {code("test -e allowed/$CAIRN_EXECUTION || exit 3; echo 3", ", needs: [b]", 0.01)}
  un_a: {code("echo 7", "", 0.01)}
  un_b: {code("echo 8", "", 0.01)}
  last: {code("echo 9", "", 0.01)}
  e: {{type: end, needs: [c], value: "[a, b, c]"}}
"""
CACHE = f"""
  a: {code("echo 1", ", checkpoint: mark", 0.01)}
  b: {code("echo $CAIRN_EXECUTION", ", needs: [a], cache: 1h")}
  f: {code("echo $n", ', needs: [b], cache: {ttl: 1h, key: n}, foreach: {items: "[1, 2, 3]", as: n}')}
  e: {{type: end, needs: [f], value: "[a, b, f]"}}
"""
FLOWS = {
    "chain": CHAIN, "each": EACH, "loop": LOOP, "sub": SUB, "below": BELOW, "ask": ASK, "again": AGAIN,
    "signal": SIGNAL, "budget": BUDGET, "retry": RETRY, "undo": UNDO, "cache": CACHE,
}
ASKS = {"ask": ["q", "r"], "again": ["q", "q#1", "q#2"], "below": ["q"]}


def furnish(cairn):
    """The files of all workflows, each also in a mended form, which differs in what it does last."""
    cairn.write("child.yaml", CHILD)
    cairn.write("asks.yaml", ASKS_BELOW)
    (cairn.folder / "allowed").mkdir()
    for name, text in FLOWS.items():
        text = text if "nodes:" in text else "nodes:" + text
        cairn.write(f"{name}.yaml", f"cairn: 1\nname: {name}\n{text}")
        cairn.write(f"{name}-mended.yaml", f"cairn: 1\nname: {name}\n{text}" +
                    f"  more_of_it: {code('echo 4', ', needs: [a]', 0.01)}\n")


def settle(store):
    """A commit whose process was killed while it waited for the disk is seen by nobody, but by all once
    the store is recovered. Another write takes its place, so from then on it never happened."""
    with contextlib.closing(sqlite3.connect(store, timeout=PATIENCE)) as db, db:
        db.execute("INSERT INTO meta VALUES ('settled', '')")
        db.execute("DELETE FROM meta WHERE key = 'settled'")


# ---- what somebody asked, and what he was told ----

def working_on(id):
    """There is a process with this id among its arguments: one that was asked for in the background
    may come to it after the one that asked was killed."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if id.encode() in file.read():
                        return True
            except OSError:
                continue
    return False


DONE = {
    "pause": ["paused: execution"], "resume": ["goes on: execution"],
    "cancel": ["cancelled: execution", "ends as failed: execution"], "signal": ["sent: execution"],
    "answer": ["answered: execution", "kept, taken when"], "checkpoint": ["checkpoint: execution"],
    "rollback": ["rolled back: execution", " rolled back to event "], "retry": [" is tried again"],
}


@dataclass
class Asked:
    kind: str
    arguments: list
    value: object = None  # what tells it from all others, if anything does
    child: object = None
    killed: bool = False
    said: str = ""

    @property
    def told(self):
        """accepted, recorded (the number follows), refused; unknown: it was killed before."""
        words = [*DONE.get(self.kind, []), " in the background, process "]
        if f"error: {self.kind} of " in self.said:  # what it showed beside that was asked by others
            return "refused"
        if any(word in self.said for word in words):
            return "accepted"
        if "the request is recorded (number" in self.said:
            return "recorded"
        died = self.killed or "cairn list shows whether it had recorded anything" in self.said
        return "unknown" if died else "refused"

    @property
    def number(self):
        return int(self.said.split("(number ", 1)[1].split(")", 1)[0])


HERE = """SELECT x.status, g.last_seq, g.epoch, g.completed_tasks, x.completed_us, h.pid
FROM executions x JOIN progress g ON g.execution = x.num
LEFT JOIN hosts h ON h.id = g.host WHERE x.id = ?"""
RANK = {"pending": 0, "running": 1, "waiting": 1, "paused": 1, "completed": 2, "failed": 2,
        "partial": 2, "cancelled": 2, "interrupted": 1}


@dataclass
class Row:
    """What a poller sees; last_seq is the head of the journal at that moment."""

    status: str
    last_seq: int
    epoch: int
    completed: int
    ended: object
    pid: object


class Play:
    """One execution from its start to its end. `seed` decides all that is not a race."""

    def __init__(self, cairn, seed):
        self.cairn, self.seed = cairn, seed
        self.dice = random.Random(f"interleave {seed}")
        self.name = self.dice.choice(sorted(FLOWS))
        self.asked, self.seen, self.kills, self.count = [], [], 0, 0
        self.looks = []  # (before, what a command showed, after)
        self.id = self.db = None

    # -- looking --

    def look(self):
        row = Row(*self.db.execute(HERE, (self.id,)).fetchone())
        self.seen.append(row)
        return row

    def rest(self, seconds):
        """Looks on for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.004)

    def show(self):
        """By a command of cairn, between two looks of our own."""
        way = self.dice.choice(["results", "list", "explain"])
        words = ["list", "--json", "--limit", "1000"] if way == "list" else [way, self.id, "--json"]
        before = self.look()
        done = self.cairn(*words)
        assert done.status == 0 and not done.err, (words, done)
        shown = done.json
        if way == "list":
            shown = next(x for x in shown["items"] if x["id"] == self.id)
        self.looks.append((before, shown, self.look()))

    # -- asking --

    def unique(self, letter):
        self.count += 1
        return f"{letter}{self.seed}.{self.count}"

    def ask(self, kind, *arguments, of=None, value=None, wait=None):
        """In a process of its own, which is waited for now and then, or killed."""
        one = Asked(kind, [kind, of or self.id, *arguments], value)
        one.child = start(self.cairn, *one.arguments)
        self.asked.append(one)
        chance = self.dice.random()
        if wait or chance < 0.4:
            self.await_end(one, PATIENCE if wait else 0.3)
        elif chance < 0.55 and wait is None:
            self.rest(self.dice.uniform(0, 0.03))
            self.kill_asking(one)
        return one

    def await_end(self, one, seconds):
        end = time.monotonic() + seconds
        while one.child.poll() is None and time.monotonic() < end:
            self.look()
            time.sleep(0.004)
        self.reap()

    def reap(self):
        """Those that have ended; True when none is left."""
        for one in self.asked:
            if one.child and one.child.poll() is not None:
                one.said, one.child = finish(one.child), None
        return not any(one.child for one in self.asked)

    def spared(self):
        """A third death over nothing but claims would be a quarantine, and right so."""
        rows = self.db.execute("SELECT k.name FROM events e JOIN event_kinds k ON k.id = e.kind JOIN "
                               "executions x ON x.num = e.execution WHERE x.id = ? ORDER BY e.seq DESC "
                               "LIMIT 2", (self.id,)).fetchall()
        return [row[0] for row in rows] == ["execution_claimed"] * 2

    def kill_asking(self, one):
        if one.child.poll() is None and not self.spared():
            one.killed = True
            kill(one.child.pid)
            one.child.wait(PATIENCE)
            self.kills += 1
        self.reap()

    # -- the owner --

    def owner(self, row):
        """A handle of its process, when it lives and is one of ours: numbers are used again."""
        try:
            fd = os.pidfd_open(row.pid or 0)
        except OSError:
            return None
        try:
            with open(f"/proc/{row.pid}/environ", "rb") as file:
                if self.cairn.store.encode() in file.read():
                    return fd
        except OSError:
            pass
        os.close(fd)
        return None

    def kill_owner(self):
        row = self.look()
        fd = self.owner(row)
        if fd is None:
            return
        if not self.spared():
            launchers = children(row.pid) if self.dice.random() < 0.2 else []
            for launcher in launchers:  # so that it cannot do anything when its host dies
                kill(launcher, signal.SIGSTOP)
            for one in self.asked:
                one.killed = one.killed or bool(one.child and one.child.pid == row.pid)
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            for launcher in launchers:
                kill(launcher)
            select.select([fd], [], [], PATIENCE)
            self.kills += 1
        os.close(fd)

    # -- the play --

    def begin(self):
        words = ["run", f"{self.name}.yaml", "--background", "-q", "--key", f"k{self.seed}"]
        if self.dice.random() < 0.2:  # killed while it begins, and asked for once more
            first = start(self.cairn, *words)
            time.sleep(self.dice.uniform(0, 0.03))
            kill(first.pid)
            finish(first)
        done = self.cairn(*words)  # the id, or that it is there and interrupted
        end = time.monotonic() + PATIENCE
        while "try again" in done.err and time.monotonic() < end:  # all stood still for 5 s
            done = self.cairn(*words)
        found = ID.search(done.out + done.err)
        assert found, done
        self.id = found.group()
        self.db = sqlite3.connect(f"file:{self.cairn.store}?mode=ro", uri=True, timeout=PATIENCE)

    def go_on(self):
        background = ["--background"] if self.dice.random() < 0.7 else []
        self.ask("resume", *background)

    def pause(self):
        self.ask("pause")

    def cancel(self):
        self.ask("cancel")

    def who_asks(self):
        """The newest sub-workflow, when it is that one which asks."""
        rows = self.db.execute("SELECT c.id FROM executions c JOIN executions p ON p.num = c.parent "
                               "WHERE p.id = ? ORDER BY c.num DESC LIMIT 1", (self.id,)).fetchall()
        return rows[0][0] if rows and self.name == "below" else self.id

    def answer(self):
        """Right, early, twice, late, or to a step that asks nothing."""
        steps = ASKS.get(self.name, ["a"])
        step = self.dice.choice(steps + ["a", "nosuch"] if self.dice.random() < 0.2 else steps)
        for _ in range(self.dice.choice([1, 1, 2])):
            if self.name == "budget":
                self.ask("answer", self.dice.choice(["f[0]", "f[2]", "b"]), "+2")
            else:
                value = self.unique("a")
                self.ask("answer", step, value, of=self.who_asks(), value=value)

    def signal(self):
        for _ in range(self.dice.choice([1, 1, 2])):
            value = self.unique("s")
            self.ask("signal", "go", json.dumps(value), value=value)

    def allow(self):
        (self.cairn.folder / "allowed" / self.id).touch()

    def retry(self):
        words = []
        if self.dice.random() < 0.3:
            words += ["--from", self.dice.choice(["a", "e"])]
        if self.dice.random() < 0.3:
            words += ["--workflow", f"{self.name}-mended.yaml"]
        if self.dice.random() < 0.5:
            self.allow()
        self.ask("retry", *words, *(["--background"] if self.dice.random() < 0.7 else []))

    def checkpoint(self):
        name = self.unique("c").replace(".", "_")
        self.ask("checkpoint", name, value=name)

    def rollback(self):
        names = [f"@{one.value}" for one in self.asked if one.kind == "checkpoint"]
        words = ["--to", self.dice.choice(["@mark", "@mark", "a", *names])]
        words += ["--resume"] if self.dice.random() < 0.6 else []
        self.ask("rollback", *words, *(["--background"] if self.dice.random() < 0.7 else []))

    def act(self):
        deeds = [(self.kill_owner, 5), (self.pause, 2), (self.go_on, 3), (self.cancel, 0.6),
                 (self.checkpoint, 1), (self.rollback, 1), (self.retry, 1), (self.show, 1),
                 (self.answer, 4 if self.name in (*ASKS, "budget") else 0.3),
                 (self.signal, 5 if self.name == "signal" else 0.3)]
        doing, weights = zip(*deeds)
        self.rest(self.dice.uniform(0, 0.03))
        self.dice.choices(doing, weights)[0]()
        self.reap()

    def run(self):
        self.begin()
        for _ in range(self.dice.randint(3, 8)):
            self.act()
        self.heal()
        if self.dice.random() < 0.4:  # what has ended is asked as well, and perhaps goes on
            for deed in self.dice.sample([self.answer, self.signal, self.cancel, self.pause,
                                          self.show, self.checkpoint], 2):
                deed()
            self.dice.choice([self.retry, self.retry, self.rollback, self.show])()
            self.heal()
        self.db.close()

    # -- no more faults --

    def heal(self):
        end = time.monotonic() + PATIENCE
        while True:
            idle, row = self.reap() and not working_on(self.id), self.look()
            if row.ended and idle and self.look() == row:
                settle(self.cairn.store)
                if self.look() == row:
                    return
            assert time.monotonic() < end, f"it does not end: {row} {self.asked}"
            if not row.ended:
                self.help(row)
            time.sleep(0.006)

    def help(self, row):
        fd = self.owner(row)
        if fd is not None:
            os.close(fd)
        if fd is None or row.status == "paused":
            self.ask("resume", "--background", wait=True)
        elif row.status == "waiting" or self.name == "below":  # itself or what is below it
            self.serve()

    def serve(self):
        """Gives each step what it waits for."""
        asks = self.who_asks()
        told = self.cairn("explain", asks, "--json")
        for step in told.json["steps"] if told.status == 0 else []:
            request = step.get("request") or {}
            if step["status"] != "waiting" or not request:
                continue
            if request.get("for") == "signal":
                value = self.unique("s")
                self.ask("signal", request["signal"], json.dumps(value), value=value, wait=False)
            elif request.get("reason") == "budget":
                self.ask("answer", step["step"], "+9", wait=False)
            elif request.get("for") == "answer":
                value = self.unique("a")
                self.ask("answer", step["step"], value, of=asks, value=value, wait=False)
        end = time.monotonic() + 0.5
        while not self.reap() and time.monotonic() < end:
            self.look()
            time.sleep(0.004)

    def close(self):
        for one in self.asked:
            if one.child and one.child.poll() is None:
                kill(one.child.pid)
                finish(one.child)
