"""A killer of the real binary, and what it looks at after each blow.

A victim is one execution that is killed at random moments, looked at, and gone on with until it
ends. Each code step of the workflows here writes its CAIRN_IDEMPOTENCY_KEY to a file before its
result is known to anybody, so that file tells what really ran. The killer waits for an event before
it strikes a third time in a row at nothing but claims: that would be a quarantine, and right so.
"""

import os
import random
import select
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

from conftest import BIN, PATIENCE, until

LONG = bool(os.environ.get("CAIRN_LONG"))
SEED = int(os.environ.get("CAIRN_SEED") or random.SystemRandom().randrange(1 << 32))
GRACE = 5  # seconds; what is promised "at once", on a machine that is busy


def chance(*names):
    """Random numbers of their own for each place, from the seed that is printed."""
    print(f"CAIRN_SEED={SEED}", *names)
    return random.Random(f"{SEED} {names}")


def parallel(work, items, width=3):
    """work(item) for all, some at a time; the first failure is raised."""
    items, failures, lock = list(items), [], threading.Lock()

    def turn():
        while not failures:
            with lock:
                if not items:
                    return
                item = items.pop(0)
            try:
                work(item)
            except BaseException as failure:  # noqa: B902 - handed to the test's own thread
                failures.append(failure)

    threads = [threading.Thread(target=turn) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# ---- what the store says, read as another program would ----


def query(store, sql, *values):
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=PATIENCE)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def events(store, id):
    """(event, step) in the order of the journal."""
    return query(store, "SELECT event, step FROM journal WHERE execution = ? ORDER BY seq", id)


def completed_steps(store):
    """The idempotency keys of all steps whose completion is recorded."""
    rows = query(
        store, "SELECT execution || '/' || step FROM journal WHERE event = 'step_completed'")
    return {row[0] for row in rows}


def effective(store, id):
    return query(store, "SELECT effective_status FROM executions_now WHERE id = ?", id)[0][0]


def only_claims(store, id):
    """So many claims stand at the end of the journal with nothing behind them."""
    count = 0
    for event, _ in reversed(events(store, id)):
        if event != "execution_claimed":
            break
        count += 1
    return count


# ---- processes ----


def start(cairn, *arguments):
    """A cairn beside the test. What it says goes to a file, which nobody has to read."""
    said = tempfile.TemporaryFile()
    child = subprocess.Popen(
        [BIN, *arguments], cwd=cairn.folder, env=cairn.env, stdin=subprocess.DEVNULL,
        stdout=said, stderr=subprocess.STDOUT,
    )
    child.file = said
    return child


def finish(child):
    """Waits for its end; what it said, if that can be read."""
    child.wait(PATIENCE)
    if isinstance(child, Detached):
        os.close(child.fd)
        return ""
    child.file.seek(0)
    text = child.file.read().decode()
    child.file.close()
    return text


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


class Detached:
    """A process that was started in the background: looked at as if it were a child of ours."""

    def __init__(self, pid):
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def wait(self, seconds=PATIENCE):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            raise subprocess.TimeoutExpired("cairn", seconds)

    def poll(self):
        return 0 if select.select([self.fd], [], [], 0)[0] else None


def detach(cairn, *arguments):
    """What --background starts: its id and its process, None when that has ended already. None,
    None when the execution ended before. While another process has it (one that answered took it
    over, or one that was killed is not quite gone), it is asked again."""
    done = cairn(*arguments, "--background")
    end = time.monotonic() + PATIENCE
    while done.status == 2 and "runs it" in done.err and time.monotonic() < end:
        time.sleep(0.05)
        done = cairn(*arguments, "--background")
    if done.status == 2 and "has ended" in done.err:
        return None, None
    assert done.status == 0, done.err
    id = done.out.strip()
    try:
        rows = query(cairn.store, "SELECT host_pid FROM executions_now WHERE id = ?", id)
        return id, Detached(rows[0][0]) if rows[0][0] else None
    except ProcessLookupError:
        return id, None


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8") as stat:
                    parent = stat.read().rsplit(")", 1)[1].split()[1]
            except OSError:
                continue
            if int(parent) == pid:
                found.append(int(name))
    return found


def strike(child, with_launcher=False):
    """Kills it, or it and its launcher, which stands still first so that it cannot do anything when
    its host dies; what it had said."""
    launchers = children(child.pid) if with_launcher else []
    for launcher in launchers:
        kill(launcher, signal.SIGSTOP)
    kill(child.pid)
    for launcher in launchers:
        kill(launcher)
    return finish(child)


# ---- one execution under a killer ----

SEEN_DEAD = ("interrupted", "completed", "partial", "failed")


class SideLog:
    """What really ran: a line for each run of a step."""

    def __init__(self, path):
        self.path = path

    def counts(self):
        counts = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                counts[line] = counts.get(line, 0) + 1
        return counts


class Victim:
    """Its first process is mostly in the background: then it is durable from the start."""

    def __init__(self, cairn, dice, run, label):
        self.cairn, self.dice, self.label = cairn, dice, label
        self.run = ["run", *run, "--label", f"victim={label}"]
        self.log = SideLog(cairn.folder / "log")
        self.id = None
        self.kills = 0
        self.seen = {}  # completed steps at a kill, how often they had run then

    def go_on(self):
        """The process that runs it now; None when it has ended."""
        arguments = ["resume", self.id] if self.id else self.run
        if self.dice.random() < 0.3:
            return start(self.cairn, *arguments, "-q")
        id, child = detach(self.cairn, *arguments)
        self.id = self.id or id
        return child

    def find(self):
        """The id, when anything of it was durable."""
        if not self.id and os.path.exists(self.cairn.store):
            rows = query(self.cairn.store,
                         "SELECT id FROM executions_now WHERE json_extract(labels, '$.victim') = ?",
                         self.label)
            self.id = rows[0][0] if rows else None
        return self.id

    def spare(self, child):
        """Nothing but claims stands there: lets it do something first."""
        if self.id and only_claims(self.cairn.store, self.id) >= 2:
            until(lambda: child.poll() is not None
                  or only_claims(self.cairn.store, self.id) == 0, "nothing happens after a claim")

    def look(self, launcher_lives):
        """Right after a kill: the owner is seen to be gone, and what is completed is noted."""
        if not self.find():
            return
        counts = self.log.counts()
        for key in completed_steps(self.cairn.store):
            self.seen.setdefault(key, counts.get(key, 0))
        if launcher_lives:  # who tells other programs; else the lease does, or any cairn that runs
            until(lambda: effective(self.cairn.store, self.id) in SEEN_DEAD,
                  "the view does not show that its owner is gone", GRACE)
        until(self.is_seen_dead, "its owner is gone and nobody sees it", GRACE)

    def is_seen_dead(self):
        """At once, but for the moment in which a new launcher still has the locks of its host."""
        return self.show()["effectiveStatus"] in SEEN_DEAD

    def show(self):
        return self.cairn("results", self.id, "--json").json

    def strike(self, child):
        """True when its launcher is left to tell others of its death."""
        alone = self.dice.random() < 0.7
        strike(child, not alone)
        self.kills += 1
        return alone and isinstance(child, Detached)

    def live(self, delays):
        """Killed after each of the delays until it ends; what it came to."""
        for delay in delays:
            child = self.go_on()
            if not child:
                break
            try:
                child.wait(delay)
                break
            except subprocess.TimeoutExpired:
                self.spare(child)
            if child.poll() is None:
                self.look(self.strike(child))
        else:
            child = self.go_on()
        said = finish(child) if child else ""
        assert self.find(), said
        done = self.show()
        assert done["completedAt"], (done["effectiveStatus"], said)
        return done

    def check_log(self):
        """No step whose completion was recorded before a kill ran after it."""
        counts = self.log.counts()
        again = {k: (n, counts.get(k, 0)) for k, n in self.seen.items() if counts.get(k, 0) != n}
        assert not again, f"completed steps ran again: {again}"


# ---- others who look on ----

ORDER = {"pending": 0, "running": 1, "waiting": 1, "completed": 2, "failed": 2, "cancelled": 2}


class Onlooker:
    """Looks on in other processes all the while; what it sees never goes back and never fails."""

    def __init__(self, cairn):
        self.cairn, self.seen, self.over = cairn, {}, threading.Event()
        self.looks, self.failures = 0, []
        self.threads = [threading.Thread(target=self.watch, args=[look])
                        for look in (self.by_list, self.by_results, self.by_sqlite)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def watch(self, look):
        seen = {}
        while not self.over.wait(0.01):
            try:
                for id, now in look():
                    self.compare(id, seen.get(id), now)
                    seen[id] = now
                self.looks += 1
            except BaseException as failure:  # noqa: B902 - told by the test's own thread
                self.failures.append(f"{look.__name__}: {failure!r}")
                return

    def compare(self, id, before, now):
        """(status, so many of this, of that ..., {what is completed}), each later than before."""
        if before:
            assert ORDER[before[0]] <= ORDER[now[0]], (id, before, now)
            assert before[0] == now[0] or ORDER[before[0]] < 2, (id, before, now)
            assert all(x <= y for x, y in zip(before[1:], now[1:])), (id, before, now)

    def by_list(self):
        done = self.cairn("list", "--json", "--limit", "1000")
        assert done.status == 0 and not done.err, done.err
        return [(x["id"], (x["status"], x["completedTasks"])) for x in done.json["items"]]

    def ids(self):
        return [row[0] for row in query(self.cairn.store, "SELECT id FROM executions ORDER BY num "
                                        "DESC LIMIT 3")]

    def by_results(self):
        """What it shows as completed is in the journal, and all that was there before is shown."""
        for id in self.ids():
            before = self.journal(id)
            done = self.cairn("results", id, "--json")
            assert done.status == 0, done.err
            shown = {s["id"] for s in done.json["subSteps"] if s["status"] == "completed"}
            assert before <= shown | {"work"} and shown - {"work"} <= self.journal(id)
            yield id, (done.json["status"], done.json["completedTasks"], shown)

    def journal(self, id):
        return {step for event, step in events(self.cairn.store, id) if event == "step_completed"}

    def by_sqlite(self):
        """As another program does. It needs a little patience (.timeout on SQLite's command line):
        the first that opens a store which nobody has open locks out all others for a moment."""
        db = sqlite3.connect(f"file:{self.cairn.store}?mode=ro", uri=True, timeout=GRACE)
        try:
            rows = db.execute(
                "SELECT id, status, last_seq, completed_tasks, epoch, (SELECT count(*) FROM "
                "journal j WHERE j.execution = x.id) FROM executions_now x "
                "ORDER BY num DESC LIMIT 20"
            ).fetchall()
        finally:
            db.close()
        for id, status, last_seq, completed, epoch, count in rows:
            assert count == last_seq
            yield id, (status, last_seq, completed, epoch)
