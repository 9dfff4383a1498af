"""The n-th call of a function of the C library fails in the real binary (tests/fail/shim): an error
that says what, or success; never a hang, never a death by signal. The store is sound afterwards,
what is left goes on and ends right, and a step that was recorded as completed does not run again.

Some n of each row are tried, all of them with CAIRN_LONG=1.
"""

import errno
import json
import os
import re
import sqlite3
import resource
import struct
import subprocess

import pytest

from conftest import BIN, PATIENCE, SANITIZED

SHIM = os.path.join(os.path.dirname(os.path.abspath(BIN)), "tests", "fail-shim.so")
LONG = bool(os.environ.get("CAIRN_LONG"))

FLOW = """
  a: {type: code, language: bash, code: "echo a >> LOG; echo 41"}
  w: {type: wait, needs: [a], for: 10ms}
  b: {type: code, language: bash, needs: [w, a], code: "echo b >> LOG; echo $((a + 1))"}
  c: {type: transform, needs: [b], value: b}
outputs: {c: c}
"""

# What fails, in which process, and how; "half" does half of what was asked, or is interrupted.
# MOST: how many of the n are tried when not all are.
HOST = {
    "write": ["EIO", "ENOSPC", "half"],
    "pwrite": ["EIO", "ENOSPC", "half"],
    "read": ["EIO", "half"],
    "pread": ["EIO", "half"],
    "fsync": ["EIO", "ENOSPC"],
    "ftruncate": ["EIO", "ENOSPC"],
    "open": ["EMFILE", "EACCES", "half"],
    "lock": ["EAGAIN", "ENOLCK", "EIO", "half"],
    "fcntl": ["EIO"],
    "mkdir": ["ENOSPC"],
    "rename": ["EIO"],
    "stat": ["EIO", "EACCES"],
    "mmap": ["ENOMEM"],
    "syscall": ["EMFILE", "ENOSYS"],
    "socketpair": ["EMFILE"],
    "fork": ["EAGAIN", "ENOMEM"],
    "pipe": ["EMFILE"],
    "dup": ["EMFILE"],
    "memfd": ["EMFILE"],
    "epoll_create": ["EMFILE"],
    "thread": ["EAGAIN"],
    "send": ["ENOBUFS", "half"],
    "recv": ["ENOMEM", "half"],
    "wait": ["half"],
    "epoll_wait": ["half"],
}
LAUNCHER = {
    "open": ["EMFILE"],
    "read": ["EIO", "half"],
    "pipe": ["EMFILE"],
    "dup": ["EMFILE"],
    "send": ["ENOBUFS", "half"],
    "recv": ["ENOMEM", "half"],
    "wait": ["half"],
    "poll": ["half"],
    "syscall": ["EMFILE"],
}
ROWS = [("host", call, how) for call, ways in HOST.items() for how in ways] + [
    ("launcher", call, how) for call, ways in LAUNCHER.items() for how in ways
]
MOST = {"pwrite": 4, "pread": 3, "lock": 3, "open": 3}

# A step may fail of what its own process could not be given, with a message that says so.
OF_THE_STEP = re.compile(r"cannot start|launcher process|Too many open files|out of memory|"
                         r"Input/output error|No space left|private folder|Permission denied|"
                         r"Interrupted system call|cannot lock")


pytestmark = pytest.mark.skipif(
    not os.path.exists(SHIM), reason="no tests/fail-shim.so beside the binary"
)


def preloaded():
    """The shim, behind the library of a sanitizer, which has to be the first one."""
    told = subprocess.run(["ldd", BIN], capture_output=True, text=True, check=False).stdout
    first = re.findall(r"=> (\S*/lib[at]san\.so\S*)", told) if SANITIZED else []
    return " ".join([*first, SHIM])


PRELOADED = preloaded()


class Case:
    def __init__(self, cairn, folder, who, call, how):
        self.cairn, self.folder = cairn, folder
        folder.mkdir()
        self.log = folder / "log"
        self.store = str(folder / "cairn.db")
        text = "cairn: 1\nname: flow\nnodes:\n" + FLOW.replace("LOG", str(self.log))
        (folder / "flow.yaml").write_text(text)
        self.env = {
            "LD_PRELOAD": PRELOADED,
            "FAIL_CALL": call,
            "FAIL_WHO": who,
            "FAIL_ERRNO": str(getattr(errno, how, 0)),
            "CAIRN_WAIT_FOR_SPACE": "1s",  # nobody frees any
        }

    def run(self, **more):
        command = [BIN, "run", "-q", "--store", self.store, "flow.yaml"]
        return subprocess.run(
            command, cwd=self.folder, env={**self.cairn.env, **self.env, **more},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
        )

    def count(self):
        path = self.folder / "count"
        done = self.run(FAIL_COUNT=str(path))
        assert done.returncode == 0, done.stderr
        return struct.unpack("q", path.read_bytes())[0]

    def lines(self):
        return self.log.read_text().split() if self.log.exists() else []

    def query(self, text):
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30) as db:
            rows = db.execute(text).fetchall()
        db.close()
        return rows

    def check_message(self, done):
        text = done.stderr.decode()
        assert done.returncode >= 0, f"died of signal {-done.returncode}: {text}"
        assert done.returncode == 0 or text.startswith("error: ") or "\nerror: " in text, text

    def check_left(self, done):
        """The store is sound; what has not ended goes on and ends right."""
        assert os.path.exists(self.store) or done.returncode, "it went well without a store"
        if not os.path.exists(self.store):
            return
        checked = self.cairn("db", "check", "--quiet", "--store", self.store)
        assert checked.status == 0, checked.out + checked.err
        rows = self.query("SELECT id, status, result, error FROM executions")
        assert rows or done.returncode, "it went well, and nothing is recorded"
        for id, status, result, error in rows:
            self.check_execution(done, id, status, result, error)

    def check_execution(self, done, id, status, result, error):
        if done.returncode == 0:
            assert status == "completed"
        if status == "failed":
            assert OF_THE_STEP.search(json.loads(error)["message"]), error
            return
        completed = {
            step for step, in self.query(
                "SELECT step FROM journal WHERE event = 'step_completed' AND step IN ('a', 'b')"
            )
        }
        before = self.lines()
        if status != "completed":
            resumed = self.cairn("resume", id, "--quiet", "--store", self.store)
            assert resumed.status == 0, resumed.err
        (result,), = self.query("SELECT result FROM executions")
        assert json.loads(result) == {"c": 42}
        for step in completed:
            assert self.lines().count(step) == before.count(step), "a completed step ran again"


def some(row, count):
    """n from 1 to count: all, or a few that differ from row to row."""
    most = MOST.get(ROWS[row][1], 2)
    if LONG or count <= most:
        return range(1, count + 1)
    part = count / most
    return sorted({1 + int(part * i + part * (row * 7 % 10) / 10) for i in range(most)})


@pytest.mark.parametrize("row", range(len(ROWS)), ids=["-".join(row) for row in ROWS])
def test_one_call_fails(cairn, tmp_path, row):
    who, call, how = ROWS[row]
    if SANITIZED and call == "thread":
        pytest.skip("all threads are made by the sanitizer, so those of libuv are not told apart")
    count = Case(cairn, tmp_path / "calm", who, call, how).count()
    for n in some(row, count):
        for_ever = LONG and call in ("pwrite", "fsync", "open") and how != "half"
        for for_good in [False, True] if for_ever else [False]:
            case = Case(cairn, tmp_path / f"{n}{for_good}", who, call, how)
            what = f"call {n} of {count}"
            try:
                done = case.run(FAIL_N=str(n), **({"FAIL_ALL": "1"} if for_good else {}))
                case.check_message(done)
                case.check_left(done)
            except subprocess.TimeoutExpired:
                pytest.fail(f"{what}: it hangs")
            except AssertionError as failed:
                raise AssertionError(f"{what}: {failed}") from failed


@pytest.mark.parametrize("limit", [5, 8, 10, 16, 40])
def test_few_descriptors_are_a_clear_error(cairn, limit):
    cairn.flow("  a: {type: transform, value: 1}\n")
    limits = (limit, limit)
    done = cairn("run", "-q", "flow.yaml",
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits))
    assert done.status == 4
    assert "Too many open files" in done.err or "too few file descriptors" in done.err
