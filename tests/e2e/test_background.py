"""run --background and resume --all: the id is true when it is printed, the terminal may go, what is
killed is seen at once, and what nobody runs is gone on with.
"""

import json
import os
import select
import signal
import sqlite3
import stat
import subprocess
import time

import pytest
from conftest import BIN, ID, PATIENCE, SLOWER, steady, until
from terminal import Terminal
from held import HOLD, holding, release

LONG = os.environ.get("CAIRN_LONG")
ASK = """
  ok: {type: ask, prompt: "Send it?", choices: ["yes", "no"]}
  sent: {type: end, needs: [ok.yes], value: '"sent"'}
  kept: {type: end, needs: [ok.no], value: '"kept"'}
"""
# The first time it stays until it is killed; once there is a file `go`, it does what it is for.
GATE = "  w: {type: code, language: sh, code: 'test -e go || exec sleep 60; %s'}\n"
PURE = "  a: {type: end, value: 6 * 7}\n"


class Background:
    """A process in the background: it is nobody's child."""

    def __init__(self, done):
        assert done.status == 0, done.err
        told = done.json
        self.id, self.pid, self.log = told["id"], told["pid"], told["log"]
        self.err = done.err
        try:
            self.fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.fd = None  # it has ended by now

    def ended(self, seconds=PATIENCE):
        return self.fd is None or bool(select.select([self.fd], [], [], seconds)[0])

    def send(self, number):
        if not self.ended(0):
            signal.pidfd_send_signal(self.fd, number)

    def text(self):
        with open(self.log, encoding="utf-8") as handle:
            return handle.read()

    def wait_for(self, text):
        """Until the log says it."""
        end = time.monotonic() + PATIENCE
        while text not in self.text():
            assert time.monotonic() < end, self.text()
            time.sleep(0.01)


@pytest.fixture
def background(cairn):
    begun = []

    def start(*arguments, **more):
        begun.append(Background(cairn(*arguments, "--background", "--json", **more)))
        return begun[-1]

    yield start
    for one in begun:
        one.send(signal.SIGKILL)
        if one.fd is not None:
            os.close(one.fd)


def rows(cairn, statement):
    """As any program sees the store."""
    db = sqlite3.connect(f"file:{cairn.store}?mode=ro", uri=True)
    try:
        return db.execute(statement).fetchall()
    finally:
        db.close()


def shell_rows(cairn, statement):
    """As the sqlite3 command line sees it, or None without one."""
    if not os.access("/usr/bin/sqlite3", os.X_OK):
        return None
    done = subprocess.run(["/usr/bin/sqlite3", cairn.store, statement], capture_output=True,
                          timeout=PATIENCE, check=True)
    return [tuple(line.split("|")) for line in done.stdout.decode().splitlines()]


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def locked(cairn):
    """The store, made, and held by a writer that is not cairn."""
    cairn.flow(PURE, name="first.yaml")
    assert cairn("run", "-q", "first.yaml").status == 0
    db = sqlite3.connect(cairn.store, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    return db


def child_of(pid):
    path = f"/proc/{pid}/task/{pid}/children"

    def look():
        with open(path, encoding="utf-8") as handle:
            return handle.read().split()

    return int(until(look)[0])


# ---- the id ----


def test_the_id_alone_on_stdout_when_it_is_durable_and_owned(cairn):
    pipe = cairn.pipe("pipe")
    cairn.flow(HOLD)
    done = cairn("run", "flow.yaml", "--background")
    owner, = rows(cairn, "SELECT x.id, x.status, h.pid FROM executions x JOIN progress g ON g.execution = x.num JOIN hosts h ON h.id = g.host")
    assert (done.status, done.out) == (0, owner[0] + "\n")
    assert owner[1] == "running" and lives(owner[2])
    assert done.err == (
        f"runs in the background, process {owner[2]}\n"
        f"    its log: {cairn.store}-logs/{owner[0]}.log\n"
        f"    look at it: cairn watch {owner[0]}\n")
    release(pipe)
    assert cairn("watch", owner[0]).status == 0


def test_no_id_before_the_first_commit(cairn):
    db = locked(cairn)
    cairn.flow(PURE)
    run = cairn.start("run", "flow.yaml", "--background")
    assert not select.select([run.child.stdout], [], [], 0.3)[0]
    assert run.child.poll() is None
    db.execute("ROLLBACK")
    done = run.finish()
    assert (done.status, steady(done.out)) == (0, "ID\n")
    assert until(lambda: cairn("results", done.out.strip(), "--json").json["status"] == "completed")


def test_the_one_that_was_started_dies_before_the_id(cairn):
    db = locked(cairn)
    cairn.flow(PURE)
    run = cairn.start("run", "flow.yaml", "--background")
    child = child_of(run.child.pid)
    run.send(signal.SIGKILL)
    run.finish()
    until(lambda: not lives(child), seconds=4 * SLOWER)  # before it would give up waiting for the store
    db.execute("ROLLBACK")
    assert rows(cairn, "SELECT count(*) FROM executions") == [(1,)]


def test_the_one_in_the_background_dies_before_the_id(cairn):
    db = locked(cairn)
    cairn.flow(PURE)
    run = cairn.start("run", "flow.yaml", "--background")
    os.kill(child_of(run.child.pid), signal.SIGKILL)
    done = run.finish()
    assert (done.status, done.out) == (4, "")
    assert "was ended by signal 9 (Killed) before it could say anything" in done.err
    db.execute("ROLLBACK")


@pytest.mark.parametrize("arguments, status, said", [
    (["wrong.yaml"], 2, "there is no kind of node"),
    (["missing.yaml"], 2, "there is no file missing.yaml"),
    (["flow.yaml", "-i", "no=1"], 2, 'has no input "no"'),
    (["flow.yaml", "--timeout", "soon"], 2, "expected a duration"),
    (["flow.yaml", "--store", "/proc/none/cairn.db"], 4, "/proc/none"),
    (["flow.yaml", "--store", "memory:"], 2, "ends with its process"),
    (["flow.yaml", "--json-lines"], 2, "exclude each other"),
])
def test_errors_before_the_id_are_those_of_a_run(cairn, arguments, status, said):
    cairn.flow(PURE)
    cairn.flow("  a: {type: transfrm, value: 1}\n", name="wrong.yaml")
    done = cairn("run", *arguments, "--background")
    assert (done.status, done.out) == (status, "") and said in done.err
    if "memory:" not in arguments and "--json-lines" not in arguments:
        assert done.err == cairn("run", *arguments).err
    assert not list(cairn.folder.rglob("*.log"))


def test_a_log_that_cannot_be_made_is_an_error_before_anything_is_recorded(cairn):
    cairn.flow(PURE)
    cairn("run", "-q", "flow.yaml")
    cairn.write("state/cairn.db-logs", "a file, where the folder should be")
    done = cairn("run", "flow.yaml", "--background")
    assert (done.status, done.out) == (4, "") and "cairn.db-logs" in done.err
    assert rows(cairn, "SELECT count(*) FROM executions") == [(1,)]


def test_the_same_key_is_the_same_execution(cairn, background):
    pipe = cairn.pipe("pipe")
    cairn.flow(HOLD)
    first = background("run", "flow.yaml", "--key", "order-1")
    again = cairn("run", "flow.yaml", "--key", "order-1", "--background")
    assert (again.status, again.out) == (0, first.id + "\n")
    assert f"runs in the background, process {first.pid}\n" in again.err
    front = cairn("run", "flow.yaml", "--key", "order-1")
    assert front.status == 2 and f"look at it: cairn watch {first.id}" in front.err
    release(pipe)
    assert first.ended()
    ended = cairn("run", "flow.yaml", "--key", "order-1", "--background")
    assert (ended.status, ended.out) == (0, first.id + "\n") and "has ended" in ended.err
    assert cairn("run", "flow.yaml", "--key", "order-1", "-q").out == "released\n"
    cairn.flow(PURE, name="other.yaml")
    refused = cairn("run", "other.yaml", "--key", "order-1", "--background")
    assert (refused.status, refused.out) == (2, "") and "key_reused" in refused.err
    assert rows(cairn, "SELECT count(*) FROM executions") == [(1,)]


def test_a_key_submitted_by_many_at_once(cairn):
    cairn.flow(PURE)
    runs = [cairn.start("run", "flow.yaml", "--key", "k", "--background") for _ in range(6)]
    done = [run.finish() for run in runs]
    assert [x.status for x in done] == [0] * 6, [x.err for x in done]
    assert len({x.out for x in done}) == 1
    assert rows(cairn, "SELECT count(*) FROM executions") == [(1,)]


# ---- away from the terminal ----


def test_the_terminal_is_closed_right_after_the_id(cairn):
    pipe = cairn.pipe("pipe")
    cairn.flow(HOLD)
    terminal = Terminal(cairn, "run", "flow.yaml", "--background")
    screen = terminal.until(lambda screen: ID.search(screen.text) and "watch" in screen.text)
    id = ID.search(screen.text).group()
    os.close(terminal.master)
    assert terminal.child.wait(PATIENCE) in (0, -signal.SIGHUP)
    watch = cairn.start("watch", id)
    watch.wait_for("stderr: busy")  # else nobody would read the pipe
    release(pipe)
    watched = watch.finish()
    assert watched.status == 0, watched.err
    assert cairn("results", id, "--json").json["finalResult"] == "released"


def test_nothing_of_the_caller_is_kept(cairn, background):
    cairn.flow(ASK)
    inner, outer = os.pipe()
    one = background("run", "flow.yaml", pass_fds=[outer])
    os.close(outer)
    assert select.select([inner], [], [], PATIENCE)[0] and os.read(inner, 1) == b""
    os.close(inner)
    assert os.readlink(f"/proc/{one.pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{one.pid}/fd/1") == one.log
    assert os.readlink(f"/proc/{one.pid}/fd/2") == one.log
    assert os.getsid(one.pid) == one.pid
    one.send(signal.SIGHUP)
    assert cairn("answer", one.id, "yes").status == 0
    assert one.ended()


def test_the_workflow_may_come_from_standard_input(cairn, background):
    one = background("run", "-", stdin="cairn: 1\nname: piped\nnodes:\n" + PURE)
    assert one.ended()
    assert cairn("results", one.id, "--json").json["finalResult"] == 42


def test_the_log(cairn, background):
    cairn.flow("  a: {type: code, language: sh, code: 'echo working >&2; exit 3'}\n")
    one = background("run", "flow.yaml", env={"TERM": "xterm-256color"})
    assert one.log == f"{cairn.store}-logs/{one.id}.log" and one.ended()
    assert stat.S_IMODE(os.stat(one.log).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(one.log)).st_mode) == 0o700
    assert steady(one.text()) == (
        "TIME execution ID of flow created\n"
        "TIME step a started\n"
        "TIME step a stderr: working\n"
        "TIME step a failed: code: the script ended with exit status 3: working\n"
        "TIME execution ID is failing: code: the script ended with exit status 3: working\n"
        "TIME execution ID failed\n"
        "error: execution ID failed: code: the script ended with exit status 3: working\n"
        "    at node a (flow.yaml:4:3)\n"
        "    completed: nothing (0 of 1 steps)\n"
        "    look further: cairn explain ID\n    try again: cairn retry ID\n"
        "    after mending it: cairn retry ID --workflow flow.yaml\n")


def test_quiet_prints_the_id_and_keeps_the_log(cairn):
    cairn.flow(PURE)
    done = cairn("run", "flow.yaml", "--background", "--quiet")
    assert (done.status, steady(done.out), done.err) == (0, "ID\n", "")
    log = f"{cairn.store}-logs/{done.out.strip()}.log"
    until(lambda: open(log, encoding="utf-8").read().endswith("completed\n42\n"))


# ---- while nobody looks ----


def test_a_timeout_is_there_in_time_for_everybody(cairn, background):
    cairn.flow("  a: {type: code, language: sh, code: 'echo $$ > pid; setsid sleep 60 & sleep 60'}\n")
    begun = time.monotonic()
    one = background("run", "flow.yaml", "--timeout", "1")
    statement = "SELECT id, status, json_extract(error, '$.type'), json_extract(error, '$.message') FROM executions"
    wanted = [(one.id, "failed", "timeout", "Execution timed out after 1 seconds")]
    until(lambda: cairn("results", one.id, "--json").json["status"] == "failed")
    by_shell, by_python = shell_rows(cairn, statement), rows(cairn, statement)
    took = time.monotonic() - begun
    assert by_shell in (None, wanted) and by_python == wanted
    busy = os.getloadavg()[0] > 2 * os.cpu_count()  # the promise is of a machine that has room
    assert took < (10 if busy else 2.5) * SLOWER
    error = cairn("results", one.id, "--json").json["error"]
    assert (error["type"], error["message"]) == wanted[0][2:]
    assert one.ended()
    shell = int((cairn.folder / "pid").read_text())
    until(lambda: not lives(shell))
    assert not [p for p in os.listdir("/proc") if p.isdigit() and marked(p, one.id)]


def marked(pid, id):
    """It is of that execution: its idempotency key is in the environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as handle:
            return id.encode() in handle.read() and lives(pid)
    except OSError:
        return False


@pytest.mark.parametrize("seconds", [1] + ([5] if LONG else []))
def test_a_wait_ends_with_nobody_opening_the_store(cairn, background, seconds):
    cairn.flow(f"  w: {{type: wait, for: {seconds}s}}\n  e: {{type: end, needs: [w], value: '\"on\"'}}\n")
    one = background("run", "flow.yaml")
    assert one.ended()
    row = cairn("results", one.id, "--json").json
    assert (row["status"], row["finalResult"]) == ("completed", "on")


def test_an_ask_ends_by_its_deadline_with_nobody_opening_the_store(cairn, background):
    cairn.flow("  q: {type: ask, prompt: 'go?', timeout: 2s, on_timeout: {value: late}}\n"
               "  e: {type: end, needs: [q], value: q}\n")
    one = background("run", "flow.yaml")
    assert one.ended()
    assert cairn("results", one.id, "--json").json["finalResult"] == "late"


def test_it_stays_for_an_answer_without_a_deadline(cairn, background):
    cairn.flow(ASK)
    one = background("run", "flow.yaml")
    one.wait_for(f"answer it: cairn answer {one.id} ok yes|no")
    assert not one.ended(0.3)
    hosts = cairn("db", "hosts", "--json").json
    assert [(h["pid"], h["executions"]) for h in hosts["items"]] == [(one.pid, 1)]
    refused = cairn("answer", one.id, "maybe")
    assert refused.status == 2 and "must be one of: yes, no" in refused.err
    done = cairn("answer", one.id, "yes")
    assert done.status == 0 and steady(done.err) == "answered: execution ID\n"
    assert one.ended()
    assert cairn("results", one.id, "--json").json["finalResult"] == "sent"


def test_it_leaves_when_it_is_paused_and_goes_on_in_the_background(cairn, background):
    pipe = cairn.pipe("pipe")
    cairn.flow(HOLD)
    one = background("run", "flow.yaml")
    one.wait_for("stderr: busy")
    assert cairn("pause", one.id).status == 0
    assert not one.ended(0.2)  # something is in flight
    release(pipe)
    assert one.ended()
    assert cairn("results", one.id, "--json").json["status"] == "paused"
    assert "0 interrupted" not in cairn("list").err and "interrupted" not in cairn("list").err
    two = background("resume", one.id)
    assert two.id == one.id and two.ended()
    assert cairn("results", one.id, "--json").json["finalResult"] == "released"


def test_sigterm_stops_what_runs_and_leaves(cairn, background):
    cairn.flow("  a: {type: code, language: sh, code: 'echo $$ > pid; echo busy >&2; sleep 60'}\n")
    one = background("run", "flow.yaml")
    one.wait_for("stderr: busy")
    one.send(signal.SIGTERM)
    assert one.ended()
    assert not lives(int((cairn.folder / "pid").read_text()))
    assert "interrupted: execution" in one.text()
    assert cairn("results", one.id, "--json").json["effectiveStatus"] == "interrupted"


# ---- watching ----


def test_watch_comes_back_to_it_and_leaves_it_alone(cairn, background):
    pipe = cairn.pipe("pipe")
    cairn.flow(HOLD)
    one = background("run", "flow.yaml")
    for _ in range(2):
        watch = cairn.start("watch", one.id)
        watch.wait_for("step hold stderr: busy")
        watch.send(signal.SIGINT)
        assert watch.finish().status == 130
        assert not one.ended(0)
    last = cairn.start("watch", one.id)
    last.wait_for("step hold stderr: busy")
    release(pipe)
    seen = last.finish()
    assert seen.status == 0 and "step last completed" in seen.err
    assert one.ended()


# ---- in front ----


def test_a_pure_run_in_front_starts_no_process_and_no_thread(cairn):
    strace = "/usr/bin/strace"
    if not os.access(strace, os.X_OK):
        pytest.skip("no strace")
    cairn.flow(PURE)
    env = dict(cairn.env)
    if "ASAN_OPTIONS" in env:  # who is traced cannot look for leaks
        env["ASAN_OPTIONS"] += ":detect_leaks=0"
    done = subprocess.run(
        [strace, "-f", "-qq", "-o", "calls", "-e", "trace=clone,clone3,fork,vfork,execve",
         BIN, "run", "-q", "flow.yaml"],
        cwd=cairn.folder, env=env, capture_output=True, timeout=PATIENCE, check=False)
    calls = (cairn.folder / "calls").read_text().splitlines()
    if done.returncode != 0 and not calls:
        pytest.skip("processes cannot be traced here")
    assert (done.returncode, done.stdout) == (0, b"42\n")
    assert len(calls) == 1 and "execve(" in calls[0]


# ---- killed ----


def owner_gone(cairn, id):
    effective = "SELECT effective_status, reason FROM executions_now WHERE id = '%s'" % id
    wanted = [("interrupted", "owner gone")]
    return rows(cairn, effective) == wanted and shell_rows(cairn, effective) in (None, wanted)


def test_a_killed_owner_is_seen_at_once(cairn, background):
    cairn.flow("  a: {type: code, language: sh, code: 'echo $$ > pid; trap \"\" TERM; echo busy >&2; sleep 60'}\n")
    one = background("run", "flow.yaml")
    one.wait_for("stderr: busy")
    assert not owner_gone(cairn, one.id)
    one.send(signal.SIGKILL)
    assert one.ended()
    until(lambda: owner_gone(cairn, one.id), seconds=10 * SLOWER)  # before any cairn opens the store
    assert not lives(int((cairn.folder / "pid").read_text()))
    assert cairn("results", one.id, "--json").json["effectiveStatus"] == "interrupted"


def test_a_killed_owner_that_only_waited_is_seen_at_once(cairn, background):
    cairn.flow(ASK)
    one = background("run", "flow.yaml")
    one.send(signal.SIGKILL)
    assert one.ended()
    until(lambda: owner_gone(cairn, one.id), seconds=10 * SLOWER)


def test_a_killed_run_in_front_is_seen_at_once(cairn):
    run, _ = holding(cairn)
    run.send(signal.SIGKILL)
    run.finish()
    until(lambda: owner_gone(cairn, run.id), seconds=10 * SLOWER)


def test_hosts_that_ended_well_leave_no_row_behind_to_be_found(cairn, background):
    cairn.flow(ASK)
    assert cairn("db", "hosts").status == 4  # there is no store yet
    one, two = background("run", "flow.yaml"), background("run", "flow.yaml")
    shown = cairn("db", "hosts")
    assert [line.split()[1] for line in shown.out.splitlines()] == ["PID", str(one.pid), str(two.pid)]
    assert cairn("db", "hosts", "--quiet").out == ""
    cairn("answer", one.id, "yes")
    assert one.ended()
    assert [h["pid"] for h in cairn("db", "hosts", "--json").json["items"]] == [two.pid]


# ---- resume ----


def test_resume_in_the_background(cairn, background):
    pipe = cairn.pipe("pipe")
    cairn.flow(HOLD)
    one = background("run", "flow.yaml")
    one.wait_for("stderr: busy")
    one.send(signal.SIGKILL)
    assert one.ended()
    two = background("resume", one.id)
    assert (two.id, two.log) == (one.id, one.log) and two.pid != one.pid
    two.wait_for("(attempt 2)")
    release(pipe, "again")
    assert two.ended()
    row = cairn("results", one.id, "--json").json
    assert (row["status"], row["finalResult"]) == ("completed", "again")
    assert "step first started" not in two.text().split("(attempt 2)")[1]


def interrupted(cairn, background, name, count):
    """Executions of that workflow whose owners were killed."""
    runs = [background("run", name) for _ in range(count)]
    for one in runs:
        one.send(signal.SIGKILL)
        assert one.ended()
    return [one.id for one in runs]


def test_resume_all(cairn, background):
    cairn.flow("  w: {type: wait, for: 1h}\n  e: {type: end, needs: [w], value: 1}\n")
    broken, = interrupted(cairn, background, "flow.yaml", 1)
    write(cairn, "UPDATE events SET body = X'ff' WHERE seq = 1")
    cairn.flow(GATE % "echo 1", "good.yaml")
    good = interrupted(cairn, background, "good.yaml", 2)
    cairn.flow(GATE % "exit 1", "bad.yaml")
    bad, = interrupted(cairn, background, "bad.yaml", 1)
    cairn.flow(ASK, "ask.yaml")
    assert cairn("run", "ask.yaml", "-q").status == 3  # only a person can move it
    assert cairn("list").err == "4 interrupted: cairn resume --all\n"
    cairn.write("go", "")
    done = cairn("resume", "--all", "--quiet")
    lines = sorted(f"{id}  flow  running" for id in [*good, bad])
    assert sorted(done.out.splitlines()) == lines
    assert f"error: execution {broken} of flow: " in done.err
    assert done.err.endswith(
        "4 executions: 2 completed, 1 failed, 1 not to be gone on with\n"), done.err
    assert done.status == 1
    statuses = dict(rows(cairn, "SELECT id, status FROM executions"))
    assert [statuses[id] for id in good] == ["completed"] * 2 and statuses[bad] == "failed"
    assert list(statuses.values()).count("waiting") == 2


def test_resume_all_takes_trees_from_their_roots(cairn, background):
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n" + GATE % "echo up")
    cairn.flow("  sub: {type: workflow, workflow: child.yaml}\n"
               "  e: {type: end, needs: [sub], value: sub}\n")
    root, = interrupted(cairn, background, "flow.yaml", 1)
    cairn.write("go", "")
    done = cairn("resume", "--all")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [f"{root}  flow  running"]
    assert f"{root} execution {root} completed" in done.err
    assert done.err.endswith("1 execution: 1 completed\n")
    assert {r[0] for r in rows(cairn, "SELECT status FROM executions")} == {"completed"}
    nothing = cairn("resume", "--all")
    assert (nothing.status, nothing.out, nothing.err) == (0, "", "nothing is interrupted\n")


def write(cairn, statement):
    with sqlite3.connect(cairn.store) as db:
        db.execute(statement)
    db.close()


def test_resume_all_takes_what_was_left_waiting_for_a_time(cairn, background):
    cairn.flow("  w: {type: wait, for: 1h}\n")
    timed, = interrupted(cairn, background, "flow.yaml", 1)
    write(cairn, "UPDATE progress SET host = 0")  # as one that was given up
    cairn.flow(ASK, "ask.yaml")
    assert cairn("run", "ask.yaml", "-q").status == 3
    assert "interrupted" not in cairn("list").err
    told = cairn("resume", "--all", "--background", "--json").json
    os.kill(told["pid"], signal.SIGKILL)
    assert [(i["id"], i["from"]) for i in told["items"]] == [(timed, "waiting")]


def test_resume_all_takes_what_somebody_asked_something_of(cairn):
    cairn.flow(ASK)
    left = cairn("run", "flow.yaml", "--json", "-q").json["id"]
    write(cairn, "INSERT INTO inbox(execution, kind, step, payload, at_us) SELECT num, 'answer',"
                 " 'ok', '{\"by\": \"x\", \"value\": \"no\"}', 1 FROM executions")
    done = cairn("resume", "--all")
    assert done.status == 0 and done.out == f"{left}  flow  waiting\n"
    assert cairn("results", left, "--json").json["finalResult"] == "kept"


def test_resume_all_leaves_what_a_person_paused(cairn):
    cairn.flow("  w: {type: wait, for: 1h}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("waits until")
    assert cairn("pause", run.id).status == 0
    assert run.finish().status == 3
    assert cairn("resume", "--all").err == "nothing is interrupted\n"


def test_resume_all_in_the_background(cairn, background):
    cairn.flow(ASK)
    ids = interrupted(cairn, background, "flow.yaml", 2)
    done = cairn("resume", "--all", "--background", "--json")
    told = done.json
    one = Background.__new__(Background)
    one.pid, one.log, one.fd = told["pid"], told["log"], os.pidfd_open(told["pid"])
    try:
        assert done.status == 0
        assert [(i["id"], i["from"], i["outcome"]) for i in told["items"]] == [
            (id, "waiting", "goes on") for id in sorted(ids)]
        owners = rows(cairn, "SELECT h.pid FROM executions x JOIN progress g ON g.execution = x.num JOIN hosts h ON h.id = g.host")
        assert owners == [(one.pid,)] * 2
        for id in ids:
            assert cairn("answer", id, "no").status == 0
        assert one.ended()
        assert one.text().endswith("2 executions: 2 completed\n")
    finally:
        one.send(signal.SIGKILL)
        os.close(one.fd)


def test_two_that_resume_all_share_the_work(cairn, background):
    cairn.flow(GATE % "echo 1 >> done")
    ids = interrupted(cairn, background, "flow.yaml", 5)
    cairn.write("go", "")
    both = [cairn.start("resume", "--all", "--quiet") for _ in range(2)]
    done = [one.finish() for one in both]
    assert [x.status for x in done] == [0, 0], [x.err for x in done]
    taken = [line.split()[0] for x in done for line in x.out.splitlines()]
    assert sorted(taken) == sorted(ids)
    assert (cairn.folder / "done").read_text() == "1\n" * 5
    assert rows(cairn, "SELECT DISTINCT status FROM executions") == [("completed",)]


def test_ctrl_c_leaves_all_of_them_to_the_next(cairn, background):
    cairn.flow("  w: {type: wait, for: 1h}\n")
    ids = interrupted(cairn, background, "flow.yaml", 2)
    all_of_them = cairn.start("resume", "--all")
    assert [all_of_them.child.stdout.readline().split()[0].decode() for _ in ids] == ids
    all_of_them.send(signal.SIGINT)
    done = all_of_them.finish()
    assert done.status == 130 and done.err.endswith("2 executions: 2 interrupted\n")
    assert cairn("list").err == "2 interrupted: cairn resume --all\n"


def test_resume_needs_an_id_or_all(cairn):
    assert cairn("resume").status == 2
    both = cairn("resume", "exec_0", "--all")
    assert both.status == 2 and "takes no ID" in both.err
