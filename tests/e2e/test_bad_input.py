"""Bad input: every row of tests/cases/bad_input is run, and what it is told is compared to the letter.

A row also has limits of time and memory, so that no input, however large or deep, is answered by
using up the machine. Columns and forms are described in the README beside the rows.
"""

import glob
import http.server
import os
import re
import resource
import shlex
import shutil
import sqlite3
import subprocess
import threading
import time
from dataclasses import dataclass

import pytest
import yaml

from conftest import BIN, ID, SANITIZED, SLOWER, TOP

SECONDS = 30  # a row takes milliseconds, few a second: what it must not do is take minutes
MEGABYTES = 200
CASES = os.path.join(TOP, "tests/cases/bad_input")
HEAD = "cairn: 1\nname: flow\n"
KEYS = {
    "name", "files", "before", "run", "status", "stdout", "stderr", "stdin", "env", "needs", "user",
    "disk", "server", "megabytes", "seconds",
}


def rows():
    for path in sorted(glob.glob(os.path.join(CASES, "*.yaml"))):
        group = os.path.basename(path)[: -len(".yaml")]
        with open(path, encoding="utf-8") as handle:
            for row in yaml.safe_load(handle):
                yield pytest.param(row, id=f"{group}: {row['name']}")


def pieces(form):
    """The bytes of a file, piece by piece: this process must stay small, as Linux counts the memory
    of who starts a program as the program's.
    """
    if isinstance(form, str):
        yield form.encode()
    elif "flow" in form:
        yield (HEAD + form["flow"]).encode()
    elif "hex" in form:
        yield bytes.fromhex(form["hex"])
    parts = [] if isinstance(form, str) else [form] if "times" in form else form.get("parts", [])
    for part in parts:
        text, times = (part, 1) if isinstance(part, str) else (part["text"], part["times"])
        for at in range(0, times, 1000):
            numbers = range(at, min(times, at + 1000))
            yield "".join(text.replace("%d", str(i)) for i in numbers).encode()


def make(path, form):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(form, dict) or form.keys() & {"flow", "hex", "parts"}:
        with open(path, "wb") as handle:
            handle.writelines(pieces(form))
    elif "folder" in form:
        path.mkdir()
    elif "fifo" in form:
        os.mkfifo(path)
    elif "link" in form:
        path.symlink_to(form["link"])
    else:
        database(path, form["sqlite"])
    if isinstance(form, dict) and "mode" in form:
        path.chmod(form["mode"])


def database(path, script):
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()


def prepare(cairn, line):
    """A line of `before`: a command line, or a way to damage a store."""
    word, _, rest = line.partition(" ")
    name, _, what = rest.partition(" ")
    if word == "!sqlite":
        database(cairn.folder / name, what)
    elif word == "!cut":
        os.truncate(cairn.folder / name, int(what))
    elif word == "!fails":
        assert cairn(*shlex.split(rest)).status in (1, 3)
    else:
        done = cairn(*shlex.split(line))
        assert done.status == 0, done.err


def command(row, folder):
    words = [BIN]
    for word in shlex.split(row["run"].replace("FOLDER", str(folder))):
        words.append((folder / word[2:]).read_text() if word.startswith("@@") else word)
    return words


@dataclass
class Told:
    status: int
    out: str
    err: str
    seconds: float
    megabytes: float


def run(cairn, row, seconds):
    """Runs the row's command line, and kills it when it takes far too long."""
    stdin = row.get("stdin", "")
    names = [cairn.folder.parent / f"{cairn.folder.name}.{end}" for end in ("in", "out", "err")]
    with open(names[0], "wb") as handle:
        handle.writelines(pieces("" if stdin == "closed" else stdin))
    env = {k: str(v).replace("FOLDER", str(cairn.folder)) for k, v in row.get("env", {}).items()}
    began = time.monotonic()
    with open(names[0], "rb") as i, open(names[1], "wb") as o, open(names[2], "wb") as e:
        child = subprocess.Popen(
            command(row, cairn.folder), cwd=cairn.folder, env={**cairn.env, **env},
            stdin=i, stdout=o, stderr=e,
            preexec_fn=(lambda: os.close(0)) if stdin == "closed" else None,
        )
        guard = threading.Timer(seconds * 4, child.kill)
        guard.start()
        _, status, usage = os.wait4(child.pid, 0)
        guard.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    out, err = (name.read_text(encoding="utf-8") for name in names[1:])
    took = time.monotonic() - began
    # the system counts what this process had when it started the other one
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Told(child.returncode, out, err, took, usage.ru_maxrss / 1024 if usage.ru_maxrss > own else 0)


def plain(text, folder):
    text = ID.sub("ID", text).replace(str(folder), "FOLDER")
    text = re.sub(r"^    (completed|under way when [a-z ]+|look further|try again|after mending it): .*\n", "", text, flags=re.M)
    text = re.sub(r"127\.0\.0\.1:\d+", "SERVER", text)
    text = re.sub(r"(known here|kinds): \w+(, \w+){5,}.*", r"\1: LIST", text)
    return re.sub(r"\bID(, ID)+", "IDS", text)


def shortened(text, pattern):
    """The text with what the line "..." of the pattern stands for replaced by it."""
    first, dots, last = pattern.partition("\n...\n")
    if dots and text.startswith(first + "\n") and text.endswith("\n" + last):
        return pattern
    return text


@pytest.fixture
def serve():
    """Starts a server that gives every request the same answer; gives its address."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b"".join(pieces(answer.get("body", "")))
                self.send_response(answer["status"])
                for name, value in answer.get("headers", {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # a client that has read enough

            do_POST = do_GET

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def disk(cairn):
    """Mounts a small tmpfs at FOLDER/disk."""
    folder = str(cairn.folder / "disk")
    mounted = []

    def mount(size):
        os.mkdir(folder)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
            capture_output=True, check=False,
        )
        if done.returncode != 0:
            pytest.skip("a tmpfs cannot be mounted here: " + done.stderr.decode().strip())
        mounted.append(folder)

    yield mount
    for each in mounted:
        subprocess.run(["umount", "-l", each], check=True)


def skip(row):
    root = os.geteuid() == 0
    if row.get("user", "root" if root else "other") != ("root" if root else "other"):
        pytest.skip("only for " + ("anybody but root" if root else "root"))
    if "needs" in row and not shutil.which(row["needs"]):
        pytest.skip(f"there is no {row['needs']}")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_do_no_harm(cairn, closed):
    """What is opened next must not be taken for a standard stream, nor written to."""
    cairn.flow(
        "  a: {type: code, language: bash, code: echo fine}\n"
        "  b: {type: end, needs: [a], value: a}\n"
    )
    done = cairn("run", "flow.yaml", preexec_fn=lambda: [os.close(fd) for fd in closed])
    assert done.status == (4 if 1 in closed else 0)
    assert done.out == ("" if 1 in closed else "fine\n")
    assert cairn("list", "--json").json["items"][0]["status"] == "completed"


def test_a_store_that_may_not_grow(cairn):
    cairn.flow("  a: {type: end, value: \"'fine'\"}\n")
    done = cairn(
        "run", "flow.yaml", "--store", "cairn.db",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000)),
    )
    assert done.status == 4
    assert done.err.startswith("error: ") and str(cairn.folder / "cairn.db") in done.err


@pytest.mark.parametrize("row", rows())
def test_bad_input(cairn, disk, serve, row):
    assert row.keys() <= KEYS
    skip(row)
    if "disk" in row:
        disk(row["disk"])
    if "server" in row:
        row = {**row, "run": f"{row['run']} -i server={serve(row['server'])}"}
    for name, form in row.get("files", {}).items():
        make(cairn.folder / name, form)
    for line in row.get("before", []):
        prepare(cairn, line)
    seconds = row.get("seconds", SECONDS) * SLOWER
    told = run(cairn, row, seconds)
    assert shortened(plain(told.err, cairn.folder), row["stderr"]) == row["stderr"]
    assert plain(told.out, cairn.folder) == row.get("stdout", "")
    assert told.status == row["status"]
    assert told.seconds <= seconds
    assert SANITIZED or told.megabytes <= row.get("megabytes", MEGABYTES)
