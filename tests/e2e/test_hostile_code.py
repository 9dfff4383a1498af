"""Code that means harm, or has gone mad: the step fails and says why, nothing of it is left, and what
else runs goes on undisturbed, in the same execution and in others.
"""

import glob
import json
import os
import shutil
import subprocess
import time

import pytest

from conftest import BIN, ID, PATIENCE, until
from killer import LONG

HEAD = """cairn: 1
name: flow
on_failure: continue
nodes:
  good: {type: code, language: sh, code: "read line < go"}
  bad:
    type: code
    language: bash
    retry: {attempts: 1}
"""
TAIL = """
  after: {type: code, language: sh, needs: [good], code: "echo fine"}
  e: {type: end, needs: [after], value: after}
"""


def hostile(cairn, *lines, more="", quiet=False):
    """A workflow whose step bad is the code, beside steps that are none the worse for it."""
    code = "\n      ".join(lines)
    cairn.write("flow.yaml", HEAD + more + "    code: |\n      " + code + TAIL)
    cairn.pipe("go")
    return cairn.start("run", "flow.yaml", "--json", *(["-q"] if quiet else []))


def let_go(cairn):
    """Open for reading, too, so that it waits for nobody, and until the end."""
    gate = os.open(cairn.folder / "go", os.O_RDWR)
    os.write(gate, b"go\n")
    cairn.gate = os.fdopen(gate)


def outcome(cairn, running):
    """The failed step; the rest must be right."""
    let_go(cairn)
    done = running.finish()
    report = json.loads(done.out)
    steps = {step["id"]: step for step in report["subSteps"]}
    assert steps["after"]["status"] == "completed" and steps["after"]["result"] == "fine", report
    assert cairn("db", "check", "--all").status == 0
    return steps["bad"], done


def peak_kib(pid):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def left_over(mark):
    """Processes whose environment or command names it."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        try:
            text = open(path + "/environ", "rb").read() + open(path + "/cmdline", "rb").read()
        except OSError:
            continue
        if mark.encode() in text and int(path[6:]) != os.getpid():
            found.append(int(path[6:]))
    return found


def test_a_flood_without_end(cairn):
    running = hostile(cairn, "yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    running.wait_for("bad failed")
    peak = peak_kib(running.child.pid)
    bad, done = outcome(cairn, running)
    id = json.loads(done.out)["id"]
    assert bad["error"]["type"] == "too_large" and "max_output_bytes" in bad["error"]["message"]
    assert peak < 500_000
    until(lambda: not left_over(id), "it is left")
    log = cairn("logs", id, "bad", "--raw").out
    assert 900_000 < len(log) < 1_100_000


def used_bytes(folder):
    """What a folder takes on the disk."""
    return int(subprocess.run(["du", "-sB1", folder], stdout=subprocess.PIPE).stdout.split()[0])


def test_a_flood_of_the_log_alone(cairn):
    """10 GB of it, or 1 GB in the short run: neither the memory nor the disk grow with it."""
    size = 10_000_000_000 if LONG else 1_000_000_000
    line = "b" * 16000
    running = hostile(cairn, f"yes {line} | head -c {size} >&2", "echo done", quiet=True)
    most = 0
    end = time.monotonic() + (1200 if LONG else PATIENCE)
    until(lambda: os.path.exists(cairn.store), "there is no store")
    while not completed(cairn, "bad"):
        assert time.monotonic() < end, "it does not end"
        most = max(most, used_bytes(cairn.folder))
        time.sleep(0.2)
    assert peak_kib(running.child.pid) < 300_000
    assert most < 40_000_000
    bad, done = outcome(cairn, running)
    assert bad["result"] == "done"
    log = cairn("logs", json.loads(done.out)["id"], "bad", "--raw").out
    assert 900_000 < len(log) < 1_100_000


def completed(cairn, node):
    steps = cairn("results", "@last", "--json")
    return any(step["node"] == node and step["status"] == "completed"
               for step in (steps.json["subSteps"] if steps.status == 0 else []))


def test_it_says_that_cairn_has_no_memory(cairn):
    error = {"type": "no_memory", "message": "mine", "permanent": True}
    code = f"import os; os.write(3, {json.dumps({'error': error}).encode()}); os._exit(0)"
    cairn.flow(f"  bad: {{type: code, language: python, code: {json.dumps(code)}}}\n")
    done = cairn("run", "flow.yaml", "--json")
    assert done.status == 1, done.err
    assert cairn("list", "--json").json["items"][0]["status"] == "failed"
    assert "mine" in done.err


def test_it_closes_all_that_it_has(cairn):
    running = hostile(cairn, "exec 0<&- 1>&- 2>&- 3>&- 4>&- 5>&- 6>&-", "exit 7")
    running.wait_for("bad failed")
    bad, _ = outcome(cairn, running)
    assert "7" in bad["error"]["message"]


def test_it_closes_all_and_stays(cairn):
    running = hostile(cairn, "exec 0<&- 1>&- 2>&- 3>&- 4>&- 5>&- 6>&-", "while :; do sleep 0.01; done",
                      more="    timeout: 500ms\n")
    running.wait_for("bad failed")
    bad, _ = outcome(cairn, running)
    assert bad["error"]["type"] == "timeout"


DAEMON = [
    "trap '' TERM INT HUP",
    "(setsid bash -c 'trap \"\" TERM INT HUP; (while :; do sleep 0.05; done) & exec 0<&- 1>&- 2>&-;"
    " while :; do sleep 0.05; done' &) </dev/null",
    "echo up >&2",
    "while :; do sleep 0.05; done",
]


def test_a_daemon_is_gone_after_the_timeout(cairn):
    running = hostile(cairn, *DAEMON, more="    timeout: 1s\n")
    running.wait_for("bad failed")
    id = ID.search(running.err).group()
    bad, _ = outcome(cairn, running)
    assert bad["error"]["type"] == "timeout"
    assert not left_over(id)


def test_a_daemon_is_gone_after_a_cancel(cairn):
    running = hostile(cairn, *DAEMON)
    running.wait_for("up")
    id = ID.search(running.err).group()
    assert len(left_over(id)) > 2
    assert cairn("cancel", id).status == 0
    let_go(cairn)
    assert running.finish().status == 1
    assert not left_over(id)


def test_it_kills_the_process_above_it(cairn):
    """The launcher is the parent of what it started: without it nothing more can be told of it."""
    running = hostile(cairn, "echo up >&2", "kill -9 $PPID", "sleep 1000", more="    timeout: 20s\n")
    running.wait_for("bad failed")
    id = ID.search(running.err).group()
    let_go(cairn)
    done = running.finish()
    bad = next(s for s in json.loads(done.out)["subSteps"] if s["id"] == "bad")
    assert bad["error"]["type"] != "timeout", bad
    until(lambda: not left_over(id), "it is left")
    assert cairn("db", "check", "--all").status == 0
    cairn.flow("  a: {type: code, language: sh, code: 'echo next'}\n  e: {type: end, needs: [a], value: a}\n",
               name="next.yaml")
    assert cairn("run", "next.yaml").out == "next\n"


# --- as an ordinary user, whom limits bind ---


def as_nobody():
    return os.getuid() != 0 or shutil.which("setpriv")


@pytest.mark.skipif(not as_nobody(), reason="limits do not bind root, and setpriv is missing")
def test_it_forks_up_to_its_limit(cairn, tmp_path):
    user = [] if os.getuid() else ["setpriv", "--reuid=61234", "--regid=61234", "--clear-groups"]
    cairn.write("flow.yaml", HEAD + """    timeout: 5s
    code: |
      ulimit -u 60
      bomb() { bomb | bomb & sleep 1000; }
      bomb
""" + TAIL.replace("needs: [good]", "needs: [good]"))
    os.mkfifo(cairn.folder / "go")
    folder = cairn.folder
    if os.getuid() == 0:
        for part in [folder, *folder.parents]:
            if str(part).startswith("/tmp/"):
                os.chmod(part, 0o755 if part != folder else 0o777)
        os.chmod(folder / "go", 0o666)
    child = subprocess.Popen([*user, BIN, "run", "flow.yaml", "--json"], cwd=folder, env=cairn.env,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    cairn.started.append(child)
    from conftest import Started
    running = Started(child)
    running.wait_for("bad failed")
    id = ID.search(running.err).group()
    let_go(cairn)
    done = running.finish()
    steps = {step["id"]: step for step in json.loads(done.out)["subSteps"]}
    assert steps["bad"]["status"] == "failed"
    assert steps["after"]["result"] == "fine"
    assert not left_over(id)


@pytest.mark.skipif(subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
                                   capture_output=True).returncode != 0,
                    reason="no right to mount a small file system")
def test_it_fills_its_folder(cairn):
    os.mkdir(cairn.folder / "tmp")
    cairn.env["TMPDIR"] = str(cairn.folder / "tmp")
    cairn.write("flow.yaml", HEAD + """    code: |
      cat /dev/zero > "$CAIRN_STEP_DIR/full"
""" + TAIL)
    os.mkfifo(cairn.folder / "go")
    child = subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=4m none "$TMPDIR" && exec "$@"', "sh",
         BIN, "run", "flow.yaml", "--json"],
        cwd=cairn.folder, env=cairn.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    cairn.started.append(child)
    from conftest import Started
    running = Started(child)
    running.wait_for("bad failed")
    bad, done = outcome(cairn, running)
    assert bad["status"] == "failed"
    assert "No space left on device" in cairn("logs", json.loads(done.out)["id"], "bad", "--raw").out
