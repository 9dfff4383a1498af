"""Code is contained: what it is given, what it cannot reach, and that nothing of it is left."""

import glob
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BIN, SLOWER, until



def body(cairn, nodes, env=None):
    done = cairn("run", cairn.flow(nodes + "outputs: {out: job}\n" if "outputs:" not in nodes else nodes),
                 "--json", "--quiet", env=env)
    assert done.status == 0, done.out + done.err
    return done.json["outputs"]["out"]


def script(cairn, *lines, env=None, more=""):
    code = "\n      ".join(lines)
    return body(cairn, f"nodes:\n  job:\n    type: code\n    language: bash\n{more}    code: |\n      {code}\n",
                env=env)


def steps_folders(tmp):
    return glob.glob(f"{tmp}/cairn-steps-*/*/*")


@pytest.fixture
def tmp(cairn, tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    cairn.env["TMPDIR"] = str(folder)
    return str(folder)


def works_in_bwrap():
    return shutil.which("bwrap") and subprocess.run(
        ["bwrap", "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
        capture_output=True).returncode == 0


needs_bwrap = pytest.mark.skipif(
    not works_in_bwrap(), reason="bwrap is missing, or this system refuses it user namespaces")


def test_the_environment_of_cairn_is_not_seen(cairn):
    seen = script(cairn, "env", env={"CANARY": "sings", "CAIRN_SECRET_TOKEN": "canary"})
    assert "CANARY" not in seen and "canary" not in seen
    names = {line.split("=")[0] for line in seen.splitlines()}
    assert names <= {
        "PATH", "HOME", "LANG", "TMPDIR", "PWD", "SHLVL", "_", "OLDPWD", "iteration",
        "CAIRN_ATTEMPT", "CAIRN_ATTEMPT_NUMBER", "CAIRN_EXECUTION", "CAIRN_IDEMPOTENCY_KEY",
        "CAIRN_INPUT", "CAIRN_STEP", "CAIRN_STEP_DIR"}


def test_no_descriptor_is_inherited(cairn):
    # the folder that ls reads is one of those it sees
    assert script(cairn, "ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3 "
    got = body(cairn, """nodes:
  job:
    type: code
    language: python
    code: |
      import os, subprocess
      mine = sorted(int(n) for n in os.listdir('/proc/self/fd'))
      theirs = subprocess.run(['ls', '/proc/self/fd'], stdout=-1, close_fds=False).stdout
      return [mine, theirs.decode().split()]
""")
    assert got == [[0, 1, 2, 3, 4], ["0", "1", "2", "3"]]  # 3 is for the result, the last the folder


def test_rights_and_limits(cairn):
    got = script(cairn, "grep NoNewPrivs /proc/self/status", "ulimit -c", "ulimit -Hc", "umask",
                 "grep -E '^Max (file size|processes|data size|open files)' /proc/self/limits")
    lines = got.splitlines()
    assert lines[:4] == ["NoNewPrivs:\t1", "0", "0", "0077"]
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines[4:]}
    for name, most in (("Max file size", 64 << 30), ("Max data size", 64 << 30),
                       ("Max processes", 16384), ("Max open files", 16384)):
        soft, hard = limits[name]
        assert soft == hard and int(soft) <= most, name


def test_the_private_folder_is_gone_afterwards(cairn, tmp):
    folder = script(cairn, 'echo x > "$TMPDIR/left"', "mktemp >/dev/null", 'echo "$CAIRN_STEP_DIR"')
    assert folder.startswith(tmp + "/cairn-steps-")
    assert not os.path.exists(folder)
    assert steps_folders(tmp) == []


def test_what_a_killed_host_left_goes_with_the_next_run(cairn, tmp):
    pipe = cairn.pipe("pipe")
    cairn.flow(f"""
  job:
    type: code
    language: bash
    code: |
      echo x > "$CAIRN_STEP_DIR/left"
      echo up >&2
      cat {pipe}
""", name="long.yaml")
    running = cairn.start("run", "long.yaml")
    running.wait_for("up")
    assert len(steps_folders(tmp)) == 1
    running.send(signal.SIGKILL)
    running.finish()
    assert len(steps_folders(tmp)) == 1
    assert script(cairn, "echo next") == "next"
    assert steps_folders(tmp) == []


def test_a_flood_is_bounded_and_quick(cairn):
    cairn.flow("""
  job:
    type: code
    language: bash
    retry: {attempts: 1}
    code: head -c 200000000 /dev/zero
""")
    begun = time.monotonic()
    watched = subprocess.run(
        ["/usr/bin/python3", "-c", """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.stdout.write(done.stdout.decode())
""", BIN, "run", "flow.yaml", "--json", "--quiet"],
        cwd=cairn.folder, env=cairn.env, stdout=subprocess.PIPE, check=True)
    kib, report = watched.stdout.decode().split("\n", 1)
    error = json.loads(report)["error"]
    assert error["type"] == "too_large" and "max_output_bytes" in error["message"]
    assert time.monotonic() - begun < 20 * SLOWER
    assert int(kib) < 600_000


def test_a_flood_beside_a_returned_value_is_dropped(cairn):
    got = body(cairn, """nodes:
  job:
    type: code
    language: python
    code: |
      import sys
      for i in range(200): sys.stderr.write('e' * 1000000); sys.stdout.write('o' * 1000000)
      return 7
""")
    assert got == 7


def test_files_and_artifacts_go_from_step_to_step(cairn, tmp):
    done = cairn("run", cairn.flow(r"""
inputs:
  names: {type: array, default: [a, b]}
nodes:
  build:
    type: code
    language: bash
    foreach: inputs.names
    files:
      src/main.txt: "made for {{ item }}\n"
      conf.json: {name: "{{ item }}"}
    artifacts: ["dist/**", {path: "*.map", optional: true}]
    code: |
      mkdir -p dist/bin
      cp src/main.txt dist/
      printf '\0\377' > dist/bin/raw
      echo ok
  one:
    type: code
    language: python
    artifacts: [big]
    code: |
      open('big', 'wb').write(bytes(range(256)) * 4096)
      return 1
  use:
    type: code
    needs: [one]
    files: {in/big: "{{ nodes.one.meta.artifacts.big }}"}
    command: [sha256sum, in/big]
outputs:
  built: build
  sum: use
"""), "--json", "--quiet")
    assert done.status == 0, done.out + done.err
    import hashlib
    assert done.json["outputs"]["built"] == ["ok", "ok"]
    assert done.json["outputs"]["sum"].split()[0] == hashlib.sha256(bytes(range(256)) * 4096).hexdigest()
    assert steps_folders(tmp) == []
    first = next(s for s in done.json["subSteps"] if s["id"] == "build[0]")
    assert sorted(first["meta"]["artifacts"]) == ["dist/bin/raw", "dist/main.txt"]


@needs_bwrap
def test_the_sandbox_has_no_network(cairn):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"(exec 5<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached || echo none"
        assert script(cairn, code) == "reached"
        assert script(cairn, code, more="    sandbox: bwrap\n") == "none"


@needs_bwrap
def test_the_sandbox_writes_in_its_folder_alone(cairn, tmp_path):
    got = script(cairn, f"touch {tmp_path}/x /etc/x /usr/x 2>/dev/null", "touch mine", "ls",
                 "ls /proc | grep -c '^[0-9]'", f"ls {tmp_path}/flow.yaml", "ls -A /run | wc -l",
                 more="    sandbox: bwrap\n").splitlines()
    assert got[0] == "mine" and int(got[1]) < 10
    assert got[2:] == [f"{tmp_path}/flow.yaml", "0"]
    assert not os.path.exists("/etc/x") and not (tmp_path / "x").exists()


def process_runs(command):
    return subprocess.run(["pgrep", "-xf", command], stdout=-3, check=False).returncode == 0


@needs_bwrap
def test_the_sandbox_ends_with_its_host(cairn, tmp_path):
    pipe = cairn.pipe("pipe")
    cairn.flow(f"""
  job:
    type: code
    language: bash
    sandbox: bwrap
    code: |
      setsid sleep 7007 &
      echo up >&2
      cat {pipe}
""")
    running = cairn.start("run", "flow.yaml")
    running.wait_for("up")
    until(lambda: process_runs("sleep 7007"))
    running.send(signal.SIGKILL)
    running.finish()
    until(lambda: not process_runs("sleep 7007"))


def test_without_bwrap_the_step_fails(cairn, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    done = cairn("run", cairn.flow("""
  job: {type: code, language: bash, sandbox: bwrap, code: "touch ran", retry: {attempts: 1}}
"""), "--json", "--quiet", env={"PATH": str(programs)})
    assert done.status == 1
    assert done.json["error"]["type"] == "sandbox"
    assert "package bubblewrap" in done.json["error"]["message"]


def test_a_bwrap_that_is_refused_fails_the_step(cairn, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    done = cairn("run", cairn.flow("""
  job: {type: code, language: bash, sandbox: bwrap, code: "touch ran", retry: {attempts: 3}}
"""), "--json", "--quiet", env={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert done.status == 1
    assert done.json["error"]["type"] == "sandbox"
    assert "No permissions" in done.json["error"]["message"]
    assert done.json["subSteps"][0]["attempt"] == 1  # for good
    assert not (tmp_path / "ran").exists()


def test_a_missing_interpreter_names_its_package(cairn, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for language, package in (("python", "python3"), ("javascript", "nodejs"), ("typescript", "nodejs"),
                              ("bash", "bash")):
        done = cairn("run", cairn.flow(f"""
  job: {{type: code, language: {language}, code: x}}
"""), "--json", "--quiet", env={"PATH": str(programs)})
        error = done.json["error"]
        assert error["type"] == "not_found" and error["message"].endswith(f"in the package {package}")
