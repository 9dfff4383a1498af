"""Disks that are full, may only be read, rot or lose files: a clear error that names the store, exit
status 4, nothing that was recorded is lost, and what is read is right or refused.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest

from conftest import BIN, ID, PATIENCE

FLOW = """
  a: {type: code, language: sh, code: "echo a >> ran; echo 1"}
  b: {type: code, language: sh, needs: [a], code: "echo b >> ran; cat gate"}
  c: {type: code, language: sh, needs: [b], code: "echo c >> ran; head -c 20000 /dev/urandom | base64"}
  e: {type: end, needs: [c], value: "[a, b, size(c)]"}
"""


def may_mount():
    return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True).returncode == 0


needs_mount = pytest.mark.skipif(not may_mount(), reason="no right to mount a small file system")


class Inside:
    """A mount namespace of its own that commands are run in."""

    def __init__(self, cairn, *mount):
        self.cairn = cairn
        self.holder = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", 'mount "$@" && echo up && exec sleep 1000', "sh", *mount],
            stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"up\n"
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-U", "-m", "--preserve-credentials",
                      f"--wd={cairn.folder}", "--"]

    def run(self, *argv):
        done = subprocess.run([*self.enter, *argv], env=self.cairn.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def __call__(self, *arguments):
        return self.run(BIN, *arguments)

    def start(self, *arguments):
        return Watched(subprocess.Popen([*self.enter, BIN, *arguments], env=self.cairn.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE))

    def fill(self):
        self.run("sh", "-c", f"dd if=/dev/zero of={self.folder}/ballast bs=4k 2>/dev/null")

    def free(self):
        self.run("rm", f"{self.folder}/ballast")

    @property
    def folder(self):
        return os.path.dirname(self.cairn.store)

    def close(self):
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()


def Watched(child):
    from conftest import Started
    return Started(child)


@pytest.fixture
def small(cairn):
    """A store on a file system of 2 MB."""
    os.makedirs(os.path.dirname(cairn.store))
    inside = Inside(cairn, "-t", "tmpfs", "-o", "size=2m", "none", os.path.dirname(cairn.store))
    yield inside
    inside.close()


def ran(cairn):
    return (cairn.folder / "ran").read_text().split()


@needs_mount
def test_no_space_for_a_store(cairn, small):
    small.fill()
    status, out, err = small("run", cairn.flow(FLOW))
    assert (status, out) == (4, "")
    assert f"no space left for the store {cairn.store}" in err
    assert not (cairn.folder / "ran").exists()
    small.free()
    assert small("list")[0] == 0  # no half of a store is left


@needs_mount
def test_a_disk_that_is_full_for_a_while(cairn, small):
    gate = cairn.pipe("gate")
    running = small.start("run", cairn.flow(FLOW))
    running.wait_for("step b started")
    small.fill()
    with open(gate, "w") as opened:
        opened.write("x" * 30000)
    running.wait_for("waiting for the store; nothing is lost: ")
    pid = running.child.pid
    used = cpu_seconds(pid)
    status, out, _ = small("results", ID.search(running.err).group(), "--json")  # reading goes on
    assert status == 0 and '"running"' in out
    assert cpu_seconds(pid) - used < 1  # it does not spin
    small.free()
    running.wait_for("the store is free again")
    done = running.finish()
    assert done.status == 0, done.err
    assert ran(cairn) == ["a", "b", "c"]
    assert done.err.count("waiting for the store") == 1


@needs_mount
def test_a_disk_that_stays_full(cairn, small):
    gate = cairn.pipe("gate")
    cairn.env["CAIRN_WAIT_FOR_SPACE"] = "1s"
    running = small.start("run", cairn.flow(FLOW))
    running.wait_for("step b started")
    small.fill()
    with open(gate, "w") as opened:
        opened.write("x" * 30000)
    done = running.finish()
    id = ID.search(done.err).group()
    assert done.status == 4
    assert "no space left for the store" in done.err or "cannot grow" in done.err
    assert f"was left as it was last recorded: cairn results {id}" in done.err
    recorded = [s["id"] for s in json.loads(small("results", id, "--json")[1])["subSteps"]
                if s["status"] == "completed"]
    before = ran(cairn)
    assert "a" in recorded and "e" not in recorded
    small.free()
    os.unlink(gate)
    cairn.write("gate", "y")
    status, _, err = small("resume", id)
    assert status == 0, err
    again = ran(cairn)[len(before):]
    assert again == [step for step in ("a", "b", "c") if step not in recorded]
    status, out, _ = small("db", "check", "--all")
    assert status == 0, out


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_bad_duration_for_space(cairn):
    done = cairn("run", cairn.flow("  a: {type: end}\n"), env={"CAIRN_WAIT_FOR_SPACE": "soon"})
    assert done.status == 2 and 'CAIRN_WAIT_FOR_SPACE: "soon" is no duration' in done.err


# --- a store that may only be read ---


@pytest.fixture
def filled(cairn):
    cairn.flow("""
  a: {type: code, language: sh, code: "echo seen >&2; echo 1"}
  q: {type: ask, prompt: "Go?", needs: [a]}
  e: {type: end, needs: [q], value: q}
""", name="ask.yaml")
    cairn.flow("  a: {type: code, language: sh, code: 'echo 7'}\n  e: {type: end, needs: [a], value: a}\n")
    assert cairn("run", "flow.yaml", "-q").status == 0
    assert cairn("run", "ask.yaml", "-q").status == 3
    cairn.ids = [row["id"] for row in cairn("list", "--json").json["items"]]
    return cairn


@needs_mount
def test_a_store_that_may_only_be_read(filled):
    folder = os.path.dirname(filled.store)
    inside = Inside(filled, "--bind", "-o", "ro", folder, folder)
    try:
        inside.run("mount", "-o", "remount,ro,bind", folder)
        asking, ended = filled.ids
        for command in (("list",), ("results", ended), ("explain", asking), ("logs", asking),
                        ("results", asking), ("db", "check")):
            status, out, err = inside(*command)
            assert status in (0, 3) and out, (command, status, err)
        assert "seen" in inside("logs", asking)[1]
        before = contents(filled)
        for command in (("run", "flow.yaml"), ("answer", asking, "yes"), ("resume", asking),
                        ("cancel", asking)):
            status, out, err = inside(*command)
            assert status == 4, (command, out, err)
            assert filled.store in err and ("Read-only" in err or "Permission denied" in err
                                            or "permissions" in err), err
        assert contents(filled) == before
    finally:
        inside.close()
    assert filled("answer", asking, "yes").out == "yes\n"


# --- rot ---


def contents(cairn):
    with open(cairn.store, "rb") as main, open(cairn.store + "-wal", "rb") as log:
        return main.read(), log.read()


def settle(cairn):
    connection = sqlite3.connect(cairn.store)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))
    connection.close()
    return pages


@pytest.mark.parametrize("what", ["header", "events", "executions", "index", "steps", "cut"])
def test_a_rotten_page(filled, what):
    pages = settle(filled)
    index = next(name for name in pages if "executions" in name and name != "executions")
    size = os.path.getsize(filled.store)
    page = {"header": 1, "index": pages[index]}.get(what) or pages.get(what)
    with open(filled.store, "r+b") as handle:
        if what == "cut":
            handle.truncate(size // 2 // 4096 * 4096)
        else:
            handle.seek((page - 1) * 4096)
            handle.write(os.urandom(4096))
    before = open(filled.store, "rb").read()
    asking, ended = filled.ids
    failed = 0
    for command in (("list",), ("results", ended), ("explain", asking), ("logs", asking),
                    ("resume", asking), ("answer", asking, "x"), ("db", "check")):
        done = filled(*command)
        assert done.status in (0, 1, 2, 3, 4), (command, done)  # no signal, no hang
        if done.status == 4:
            failed += 1
            assert filled.store in done.err, (command, done.err)
    assert failed > 0
    check = filled("db", "check")
    assert check.status == 4
    if what in ("header", "cut"):
        assert open(filled.store, "rb").read() == before


def leaves(path, root):
    """The leaf pages of a table, in order, each with the first and the last row id in it."""
    with open(path, "rb") as handle:
        handle.seek((root - 1) * 4096)
        page = handle.read(4096)
    assert page[0] == 5, "the table has one page only"
    count = int.from_bytes(page[3:5], "big")
    found, first = [], 1
    for at in range(12, 12 + 2 * count, 2):
        cell = int.from_bytes(page[at:at + 2], "big")
        child = int.from_bytes(page[cell:cell + 4], "big")
        last, cell = 0, cell + 4
        while page[cell] & 0x80:
            last, cell = last << 7 | page[cell] & 0x7F, cell + 1
        last = last << 7 | page[cell]
        found.append((child, first, last))
        first = last + 1
    return found


def test_a_rotten_page_of_the_journal_costs_what_is_in_it(filled):
    """A page in the middle of the events: executions with an event there are refused when they would
    be folded, and named; the others, what was recorded of their ends, and new ones are untouched."""
    for _ in range(30):
        assert filled("run", "flow.yaml", "-q").status == 0
    assert filled("run", "ask.yaml", "-q").status == 3
    pages = settle(filled)
    page, first, last = leaves(filled.store, pages["events"])[1]
    db = sqlite3.connect(filled.store)
    hit = {row[0] for row in db.execute("SELECT x.id FROM events e JOIN executions x ON x.num = "
                                        "e.execution WHERE e.id BETWEEN ? AND ?", (first, last))}
    db.close()
    with open(filled.store, "r+b") as handle:
        handle.seek((page - 1) * 4096)
        handle.write(b"\x55" * 4096)
    rows = filled("list", "--json").json["items"]
    spared = [row["id"] for row in rows if row["id"] not in hit]
    assert len(rows) == 33 and len(hit) > 1 and len(spared) > 5
    for row in rows:
        ended = row["status"] == "completed"
        assert filled("results", row["id"]).status == (0 if ended or row["id"] in spared else 4)
        for command in ("explain", "logs"):
            done = filled(command, row["id"])
            if row["id"] in hit:
                assert done.status == 4, (command, done)
                assert f"the store {filled.store} is damaged" in done.err and "cairn db check" in done.err
            else:
                assert done.status == 0, (command, done)
    asking = rows[0]["id"]
    assert asking in spared and rows[0]["status"] == "waiting"
    assert filled("answer", asking, "yes").out == "yes\n"
    assert filled("run", "flow.yaml").out == "7\n"
    checked = filled("db", "check", "--all")
    assert checked.status == 4 and "damaged" in checked.out


@pytest.mark.parametrize("command", ["run", "results", "answer"])
def test_an_error_of_damage_names_the_check(filled, command):
    pages = settle(filled)
    with open(filled.store, "r+b") as handle:
        handle.seek((pages["executions"] - 1) * 4096)
        handle.write(b"\x55" * 4096)
    rest = {"run": ("flow.yaml",), "results": (filled.ids[1],), "answer": (filled.ids[0], "x")}
    done = filled(command, *rest[command])
    assert done.status == 4
    assert f"the store {filled.store} is damaged" in done.err and "cairn db check" in done.err


# --- files that go away ---


def test_a_log_that_was_deleted_between_runs(filled):
    os.unlink(filled.store + "-wal")
    left = filled("list", "--json")
    assert left.status == 0, left.err
    for row in left.json["items"]:
        assert filled("results", row["id"]).status == 0
    assert filled("run", "flow.yaml").out == "7\n"
    after = filled("list", "--json").json["items"]
    assert [row["id"] for row in after[1:]] == [row["id"] for row in left.json["items"]]
    assert filled("db", "check", "--all").status == 0


def test_a_log_that_was_cut_between_runs(filled):
    log = filled.store + "-wal"
    os.truncate(log, os.path.getsize(log) // 3)
    before = filled("list", "--json").json["items"]
    assert filled("db", "check", "--all").status == 0
    assert filled("run", "flow.yaml").out == "7\n"
    assert filled("list", "--json").json["items"][1:] == before
    assert filled("db", "check", "--all").status == 0


def test_a_log_that_is_deleted_while_it_runs(cairn):
    """Nothing goes into a file that nobody will ever see; what was recorded before is kept."""
    gate = cairn.pipe("gate")
    running = cairn.start("run", cairn.flow(FLOW.replace("cat gate", "read x < gate")))
    running.wait_for("step b started")
    os.unlink(cairn.store + "-wal")
    opened = os.open(gate, os.O_RDWR)  # waits for nobody: the run may have ended
    os.write(opened, b"x\n")
    done = running.finish()
    os.close(opened)
    id = ID.search(done.err).group()
    assert done.status == 4
    assert f"the log {cairn.store}-wal was deleted or replaced" in done.err
    steps = cairn("results", id, "--json").json["subSteps"]
    assert {step["id"]: step["status"] for step in steps}["a"] == "completed"
    before = ran(cairn)
    os.unlink(gate)
    cairn.write("gate", "y\n")
    resumed = cairn("resume", id)
    assert resumed.status == 0, resumed.err
    assert ran(cairn)[len(before):] == ["b", "c"]
    assert cairn("db", "check", "--all").status == 0


@pytest.mark.parametrize("suffix", ["-lock", "-inbox", "-shm"])
def test_a_file_that_is_deleted_while_it_runs(cairn, suffix):
    gate = cairn.pipe("gate")
    running = cairn.start("run", cairn.flow(FLOW))
    running.wait_for("step b started")
    os.unlink(cairn.store + suffix)
    with open(gate, "w") as opened:
        opened.write("x")
    done = running.finish()
    id = ID.search(done.err).group()
    assert done.status in (0, 4), done.err
    if done.status == 4:
        assert cairn.store in done.err
    if suffix in ("-lock", "-inbox"):
        assert done.status == 0, done.err
        assert cairn("results", id).status == 0
        assert cairn("db", "check", "--all").status == 0


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_store_that_goes_away_while_it_runs(cairn, how):
    gate = cairn.pipe("gate")
    other = cairn.folder / "other.db"
    assert cairn("run", cairn.flow("  e: {type: end, value: 1}\n", name="one.yaml"),
                 "--store", str(other)).status == 0
    running = cairn.start("run", cairn.flow(FLOW.replace("cat gate", "read x < gate")))
    running.wait_for("step b started")
    if how == "deleted":
        os.unlink(cairn.store)
    else:
        shutil.copy(other, str(other) + "-copy")
        os.rename(str(other) + "-copy", cairn.store)
    opened = os.open(gate, os.O_RDWR)  # waits for nobody
    os.write(opened, b"x\n")
    done = running.finish()
    os.close(opened)
    assert done.status == 4
    assert f"the store {cairn.store} was deleted or replaced while in use" in done.err
    assert "c" not in ran(cairn)  # nothing was begun that could not be recorded
