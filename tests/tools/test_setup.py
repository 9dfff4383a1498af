"""tools/setup, without installing anything: what it names, and what it does when it may not."""

import os
import shutil
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SETUP = os.path.join(TOP, "tools/setup")
BUILTIN = ["bash", "env", "tr", "cut", "mktemp", "rm", "cat"]


def listed(level):
    return subprocess.run(
        [SETUP, "--list", level], capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.fixture
def bare(tmp_path):
    """A PATH with next to nothing on it, whose `id` says that we are an ordinary user."""
    for name in BUILTIN:
        os.symlink(shutil.which(name), tmp_path / name)
    fake(tmp_path, "id", "echo 1000")
    fake(tmp_path, "apt-get", "echo apt-get was called >&2; exit 1")
    fake(tmp_path, "dpkg-query", "echo installed")
    return tmp_path


def fake(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(bare, *arguments):
    return subprocess.run(
        [SETUP, *arguments], env={"PATH": str(bare)}, capture_output=True, text=True
    )


def test_run_needs_less_than_test_and_test_less_than_dev():
    need = {level: set(listed(level)) for level in ("run", "test", "dev")}
    assert need["run"] < need["test"] < need["dev"]
    assert {"gcc", "libuv1-dev", "libsqlite3-dev"} <= need["run"]
    assert "python3-pytest" in need["test"] - need["run"]
    assert "clang-format" in need["dev"] - need["test"]


def test_an_ordinary_user_gets_the_command_for_what_is_missing(bare):
    for name in ("gcc", "make"):
        fake(bare, name, "exit 0")
    fake(bare, "pkg-config", 'case "$*" in *jansson*) exit 1;; *) exit 0;; esac')
    done = run(bare, "run")
    assert done.returncode == 2
    assert done.stdout == ""
    command = done.stderr.splitlines()[-1].strip()
    assert command == "sudo apt-get install --no-install-recommends libjansson-dev"


def test_nothing_missing_is_silent(bare):
    for name in ("gcc", "make", "pkg-config"):
        fake(bare, name, "exit 0")
    done = run(bare, "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_failed_installation_stops_with_its_reason(bare):
    fake(bare, "id", "echo 0")
    for name in ("gcc", "make", "pkg-config"):
        fake(bare, name, "exit 0")
    fake(bare, "pkg-config", "exit 1")
    done = run(bare, "run")
    assert done.returncode == 2
    assert "apt-get was called" in done.stderr
    assert "could not install: libuv1-dev" in done.stderr


def test_an_installation_that_brings_nothing_is_noticed(bare):
    fake(bare, "id", "echo 0")
    fake(bare, "apt-get", "exit 0")
    fake(bare, "pkg-config", "exit 1")
    done = run(bare, "run")
    assert done.returncode == 2
    assert "still not usable" in done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "test"], ["--list", "all"]])
def test_usage(arguments):
    done = subprocess.run([SETUP, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: tools/setup" in done.stderr
