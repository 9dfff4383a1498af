"""cairn db check: finds what is broken, says where, and leaves everything as it was."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3

import pytest

FLOW = """
  a: {type: transform, value: "1"}
  b: {type: code, language: sh, needs: [a], code: "echo 2"}
  c: {type: end, needs: [b], value: b}
"""
CHECKS = ["pages", "format", "journals", "rows", "log", "hosts", "inbox", "read model"]


@pytest.fixture
def filled(cairn):
    cairn.flow(FLOW)
    cairn.flow("  a: {type: code, language: sh, code: 'exit 3'}\n", name="bad.yaml")
    for name in ["flow.yaml", "bad.yaml", "flow.yaml"]:
        cairn("run", "-q", name)
    return cairn


def check(cairn, *arguments):
    """The state of each check, its text, and the whole."""
    done = cairn("db", "check", *arguments)
    states, texts = {}, {}
    for line in done.out.splitlines():
        name = line[:12].strip()
        states[name], texts[name] = line[12:21].strip(), line[21:]
    return states, texts, done


def damage(cairn, *statements):
    connection = sqlite3.connect(cairn.store)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def contents(cairn):
    found = {}
    for suffix in ("", "-wal"):
        with open(cairn.store + suffix, "rb") as handle:
            found[suffix] = hashlib.sha256(handle.read()).hexdigest()
        found[suffix + "time"] = os.stat(cairn.store + suffix).st_mtime_ns
    return found


def test_a_sound_store(filled):
    before = contents(filled)
    states, texts, done = check(filled)
    assert (done.status, done.err) == (0, "")
    assert list(states) == CHECKS
    assert set(states.values()) == {"ok"}
    assert texts["journals"].startswith("3 executions, ")
    assert texts["read model"] == "3 executions agree with their journals"
    assert check(filled, "--newest", "2")[1]["read model"].startswith("2 executions agree")
    assert check(filled, "--all")[1]["read model"].startswith("3 executions agree")
    assert contents(filled) == before


def test_quiet_tells_what_is_wrong_alone(filled):
    assert filled("db", "check", "-q").out == ""
    damage(filled, "DELETE FROM inputs WHERE execution = 2")
    states, _, done = check(filled, "-q")
    assert (done.status, states) == (4, {"rows": "damaged"})


def test_every_example_leaves_a_sound_store(cairn):
    from conftest import TOP

    for name in ["loop.yaml", "retry.yaml", "sub-workflow.yaml", "fan-out.yaml"]:
        cairn("run", "-q", f"{TOP}/examples/{name}")
    states, texts, done = check(cairn, "--all")
    assert set(states.values()) == {"ok"}, done.out


def test_an_interrupted_execution_is_a_warning(cairn):
    gate = cairn.pipe("gate")
    cairn.flow(f"  a: {{type: code, language: sh, code: 'cat {gate}'}}\n")
    started = cairn.start("run", "flow.yaml")
    started.wait_for("step a started")
    states, texts, done = check(cairn)
    assert states["hosts"] == "ok"
    assert texts["hosts"] == "1 process at work, 1 execution not ended"
    assert states["read model"] == "ok"
    started.send(signal.SIGKILL)
    started.finish()
    states, texts, done = check(cairn)
    assert done.status == 0
    assert states["hosts"] == "warning"
    text = texts["hosts"].replace(", 1 row of ended processes", "")  # unless swept by then
    assert text == (
        f"0 processes at work, 1 execution not ended, 1 interrupted ({started.id}): "
        "cairn resume --all"
    )
    there = cairn("db", "check", "--store", str(cairn.store))  # as typed: it can be pasted
    assert f": cairn resume --all --store {cairn.store}\n" in there.out
    assert states["read model"] == "ok"


def test_a_request_that_came_too_late_is_a_warning(filled):
    states, texts, _ = check(filled)
    assert (states["inbox"], texts["inbox"]) == ("ok", "0 requests not decided on")
    put = (
        "INSERT INTO inbox(execution, kind, step, payload, at_us)"
        " SELECT num, 'pause', '', '', 1 FROM executions ORDER BY num LIMIT 2"
    )
    damage(filled, put)
    states, texts, done = check(filled)
    assert (states["inbox"], done.status) == ("warning", 0)
    first = filled("list", "--json").json["items"][-1]["id"]
    assert texts["inbox"] == (
        "2 requests not decided on, 2 of them came when the execution had ended, and had no "
        f"effect: {first} ..."
    )


def test_one_that_waits_or_is_paused_is_sound(cairn):
    cairn.flow("  a: {type: ask, prompt: 'Well?', choices: [go, stop]}\n")
    assert cairn("run", "-q", "flow.yaml").status == 3
    states, texts, done = check(cairn)
    assert set(states.values()) == {"ok"}, done.out
    assert texts["hosts"] == (
        "0 processes at work, 1 execution not ended, 1 row of ended processes"
    )
    cairn("cancel", "@last")
    states, texts, done = check(cairn)
    assert set(states.values()) == {"ok"}, done.out
    assert texts["hosts"] == (
        "0 processes at work, 0 executions not ended, 1 row of ended processes"
    )


def test_a_paused_one_is_sound(cairn):
    cairn.flow("  a: {type: ask, prompt: 'Well?', choices: [go, stop], timeout: 1h}\n")
    started = cairn.start("run", "flow.yaml")
    started.wait_for("cairn answer")
    states, texts, done = check(cairn)
    assert set(states.values()) == {"ok"}, done.out
    started.send(signal.SIGINT)
    assert started.finish().status == 130
    states, texts, done = check(cairn)
    assert set(states.values()) == {"ok"}, done.out
    assert json.loads(cairn("list", "--json").out)["items"][0]["status"] == "paused"


@pytest.mark.parametrize(
    "statement, name, text",
    [
        ("DELETE FROM events WHERE seq = 3 AND execution = 1", "journals", "broken at event 3"),
        ("UPDATE events SET seq = 9 WHERE seq = 2 AND execution = 1", "journals",
         "broken at event 2"),
        ("UPDATE events SET prev = 1 WHERE seq = 4 AND execution = 1", "journals",
         "broken at event 4"),
        ("UPDATE progress SET last_seq = last_seq - 1 WHERE execution = 1", "journals", "is broken"),
        ("UPDATE events SET execution = 77 WHERE execution = 3", "journals",
         "belong to no execution"),
        ("UPDATE steps SET execution = 77 WHERE execution = 1", "rows",
         "steps without an execution"),
        ("INSERT INTO messages(execution, seq, step, role, content, at_us) "
         "VALUES (77, 1, 'a', 'user', 'x', 1)", "rows", "1 messages without an execution"),
        ("DELETE FROM inputs WHERE execution = 2", "rows", "1 executions without inputs"),
        ("DELETE FROM workflows", "rows", "3 executions whose workflow is missing"),
        ("UPDATE executions SET parent = 77 WHERE num = 1", "rows",
         "1 executions whose parent is missing"),
        ("UPDATE executions SET status = 'completed', error = NULL WHERE status = 'failed'",
         "read model", "status is not what its journal says"),
        ("UPDATE progress SET completed_tasks = 7 WHERE execution = 1", "read model",
         "completed_tasks is not what its journal says"),
        ("UPDATE executions SET result = '3' WHERE num = 1", "read model",
         "result is not what its journal says"),
        ("DELETE FROM steps WHERE step = 'b' AND execution = 1", "read model",
         "steps is not what its journal says"),
        ("UPDATE steps SET result = '5' WHERE step = 'b' AND execution = 1", "read model",
         "steps is not what its journal says"),
        ("UPDATE events SET body = x'ff' WHERE execution = 1 AND seq = 1", "read model", "exec_"),
    ],
)
def test_damage_is_found_and_named(filled, statement, name, text):
    damage(filled, statement)
    states, texts, done = check(filled)
    assert done.status == 4
    assert list(states) == CHECKS
    assert states[name] == "damaged"
    assert text in texts[name]
    assert done.err.startswith(f"error: the store {filled.store} failed ")
    assert done.err.endswith("nothing was changed\n")


def test_the_read_model_is_checked_as_far_as_asked(filled):
    damage(filled, "UPDATE progress SET completed_tasks = 7 WHERE execution = 1")
    assert check(filled, "--newest", "2")[2].status == 0
    assert check(filled, "--all")[2].status == 4


def test_a_damaged_page(filled):
    connection = sqlite3.connect(filled.store)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchone()
    connection.close()
    with open(filled.store, "r+b") as handle:
        handle.seek((root[0] - 1) * 4096)
        handle.write(b"\x55" * 4096)
    states, texts, done = check(filled)
    assert done.status == 4
    assert states["pages"] == states["journals"] == "damaged"
    assert "restore a backup" in texts["pages"]
    assert list(states) == CHECKS


def test_files_that_are_no_store(cairn):
    missing = cairn("db", "check", "--store", "none.db")
    assert missing.status == 4
    assert missing.err == (
        "error: there is no store at none.db: no such file, or an empty one\n"
        "    `cairn run` makes one; --store names another\n"
    )
    assert not os.path.exists(cairn.folder / "none.db")
    cairn.write("empty.db", "")
    empty = cairn("db", "check", "--store", "empty.db")
    assert empty.status == 4 and "or an empty one" in empty.err
    assert os.path.getsize(cairn.folder / "empty.db") == 0
    cairn.write("text.db", "this is no database\n" * 100)
    text = cairn("db", "check", "--store", "text.db")
    assert text.status == 4 and "is not a cairn store" in text.err
    connection = sqlite3.connect(cairn.folder / "other.db")
    connection.execute("CREATE TABLE t(x)")
    connection.commit()
    connection.close()
    other = cairn("db", "check", "--store", "other.db")
    assert other.status == 4 and "of another program" in other.err


def test_a_store_of_another_format(filled):
    damage(filled, "PRAGMA user_version = 99")
    done = filled("db", "check")
    assert done.status == 4
    assert "has format 99" in done.err


def test_a_copy_that_may_only_be_read(filled, tmp_path):
    connection = sqlite3.connect(filled.store)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    copy = tmp_path / "copy.db"
    shutil.copy(filled.store, copy)
    os.chmod(copy, 0o400)
    states, _, done = check(filled, "--store", str(copy))
    assert done.status == 0, done.err
    assert set(states.values()) == {"ok"}


def test_wrong_usage(cairn):
    assert cairn("db").status == 2
    done = cairn("db", "chek")
    assert done.status == 2 and 'there is no `cairn db chek`' in done.err
    done = cairn("db", "check", "--store", "memory:")
    assert done.status == 2 and "cannot be checked" in done.err
