"""Runs the real binary: CAIRN_BIN, or build/release/cairn. Every test has a folder, a home and a
store of its own. Nothing sleeps: a step that must still be running waits for a named pipe that the
test writes to, and a test waits for a line of output.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("CAIRN_BIN", os.path.join(TOP, "build/release/cairn"))


def build_of(program):
    """What `BUILD` the program was made with; nothing when it cannot say."""
    try:
        told = subprocess.run([program, "--version", "-v"], capture_output=True, text=True,
                              check=False).stdout
    except OSError:
        return ""
    return "".join(re.findall(r"^build (\w+),", told, re.M))


BUILD = build_of(BIN)
SANITIZED = BUILD in ("asan", "tsan")
SLOWER = {"asan": 4, "tsan": 8}.get(BUILD, 1)  # every limit of time that a test sets grows by it
PATIENCE = 60 * SLOWER  # seconds; only a hang takes so long


ID = re.compile(r"exec_[0-9a-v]{20}")


@dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


def steady(text):
    """Text with ids, times and durations replaced, for comparing it exactly."""
    text = ID.sub("ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\.\d{3}", "TIME", text)
    return re.sub(r"\b(\d+(\.\d+)?(ms|s)|\d+m\d\ds)\b", "TOOK", text)


def until(holds, why="it never came", seconds=PATIENCE):
    """Asks again and again until it holds; gives what it gave."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < end, why
        time.sleep(0.002)


class Started:
    """A cairn that runs beside the test, its stderr read line by line."""

    def __init__(self, child):
        self.child, self.err = child, ""

    def wait_for(self, text):
        """Reads stderr until the text stands there."""
        end = time.monotonic() + PATIENCE
        while text not in self.err:
            ready, _, _ = select.select([self.child.stderr], [], [], end - time.monotonic())
            assert ready, f"never said {text!r}, but: {self.err}"
            piece = os.read(self.child.stderr.fileno(), 65536).decode()
            assert piece, f"ended without saying {text!r}: {self.err}"
            self.err += piece
        return self.err

    @property
    def id(self):
        return ID.search(self.err).group()

    def finish(self):
        out, rest = self.child.communicate(timeout=PATIENCE)
        return Result(self.child.returncode, out.decode(), self.err + rest.decode())

    def send(self, number):
        self.child.send_signal(number)


class Cairn:
    def __init__(self, folder):
        self.folder = folder
        self.store = str(folder / "state" / "cairn.db")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            "CAIRN_STORE": self.store,
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.started = []

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    def flow(self, text, name="flow.yaml"):
        """A workflow file whose nodes are the text."""
        head = "cairn: 1\nname: flow\n"
        return self.write(name, head + text if "nodes:" in text else head + "nodes:\n" + text)

    def pipe(self, name):
        path = str(self.folder / name)
        os.mkfifo(path)
        return path

    def __call__(self, *arguments, stdin=None, env=None, **more):
        done = subprocess.run(
            [BIN, *arguments], cwd=self.folder, env={**self.env, **(env or {})},
            input=stdin if stdin is None else stdin.encode(),
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, **more,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments):
        child = subprocess.Popen(
            [BIN, *arguments], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.started.append(child)
        return Started(child)

    def wait_for_request(self, id):
        """Until something asked of the execution stands in the inbox."""
        end = time.monotonic() + PATIENCE
        while not self("explain", id, "--json").json["requests"]:
            assert time.monotonic() < end, "nothing was asked"

    def run_id(self, *arguments):
        """Runs a workflow to its end and gives its id."""
        done = self("run", *arguments, "--json", "--quiet")
        return done.json["id"]

    def close(self):
        for child in self.started:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                child.communicate()


@pytest.fixture
def cairn(tmp_path):
    if not os.access(BIN, os.X_OK):
        pytest.fail(f"no binary at {BIN}: run make, or set CAIRN_BIN")
    made = Cairn(tmp_path)
    yield made
    made.close()
