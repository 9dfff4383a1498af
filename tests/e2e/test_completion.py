"""Completion, the manual page and the examples of help: made from the tables, and true."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import BIN, PATIENCE, TOP

with open(os.path.join(TOP, "src/cli/commands.def"), encoding="utf-8") as rows:
    COMMANDS = re.findall(r"^COMMAND\((\w+)\)", rows.read(), re.M)

HERE = """
source /dev/stdin
words=({words})
COMP_WORDS=("${{words[@]}}") COMP_CWORD=$((${{#words[@]}} - 1)) COMPREPLY=()
_cairn
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def with_path(cairn):
    folder = cairn.folder / "bin"
    if not folder.exists():
        folder.mkdir()
        (folder / "cairn").symlink_to(BIN)
    return {**cairn.env, "PATH": f"{folder}:{cairn.env['PATH']}"}


@pytest.fixture
def bash(cairn):
    """What bash offers for the last of the words."""
    script = cairn("completion", "bash").out
    cairn.flow("  a: {type: end, value: '1'}\n")
    cairn.write("more/other.yml", "")
    cairn.write("notes.txt", "")

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in words)
        done = subprocess.run(
            ["bash", "--norc", "-c", HERE.format(words=quoted)], input=script, cwd=cairn.folder,
            env=with_path(cairn), capture_output=True, text=True, timeout=PATIENCE,
        )
        assert done.stderr == ""
        return sorted(line for line in done.stdout.split("\n") if line)

    complete.cairn = cairn
    return complete


def test_bash_completes_commands_and_options(bash):
    assert bash("cairn", "") == sorted(COMMANDS)
    assert bash("cairn", "gr") == ["graph"]
    assert bash("cairn", "help", "va") == ["validate"]
    assert bash("cairn", "--") == ["--help", "--store", "--version"]
    assert bash("cairn", "graph", "--f") == ["--format"]
    assert bash("cairn", "--store", "x.db", "gr") == ["graph"]
    assert bash("cairn", "graph", "flow.yaml", "--o") == ["--output"]
    for command in COMMANDS:
        options = re.findall(r"^ +(?:-\w, +)?(--[a-z-]+)", bash.cairn(command, "--help").out, re.M)
        assert set(options) <= set(bash("cairn", command, "--")), command


def test_bash_completes_values_and_arguments(bash):
    formats = ["ascii", "dot", "mermaid", "svg"]
    assert bash("cairn", "graph", "--format", "") == formats
    assert bash("cairn", "graph", "flow.yaml", "-f", "") == formats
    assert bash("cairn", "graph", "--format", "=", "") == formats  # as bash cuts --format=
    assert bash("cairn", "graph", "--format", "=", "m") == ["mermaid"]
    assert bash("cairn", "run", "") == ["bin/", "flow.yaml", "more/"]
    assert bash("cairn", "run", "more/") == ["more/other.yml"]
    assert bash("cairn", "run", "flow.yaml", "") == []
    assert bash("cairn", "validate", "flow.yaml", "fl") == ["flow.yaml"]
    assert bash("cairn", "graph", "-f", "dot", "fl") == ["flow.yaml"]
    assert bash("cairn", "list", "--store", "no") == ["notes.txt"]
    assert bash("cairn", "completion", "") == ["bash", "fish", "zsh"]
    assert bash("cairn", "db", "") == ["check", "hosts"]
    assert bash("cairn", "keys", "") == ["list", "rm", "set"]
    assert bash("cairn", "list", "--status", "pa") == ["partial", "paused"]
    assert bash("cairn", "list", "--status", "i") == ["interrupted"]
    assert bash("cairn", "kinds", "tra") == ["transform"]
    assert bash("cairn", "run", "-i", "") == []


def test_bash_completes_ids(bash):
    assert bash("cairn", "results", "") == ["@last"]
    id = bash.cairn.run_id("flow.yaml")
    assert bash("cairn", "results", "") == ["@last", id]
    assert bash("cairn", "results", id[:12]) == [id]


def test_fish_completes(cairn):
    script = cairn("completion", "fish").out
    for command in COMMANDS:
        assert f"-a {command} -d " in script
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    cairn.flow("  a: {type: end, value: '1'}\n")
    cairn.write("cairn.fish", script)

    def complete(line):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source cairn.fish; complete -C '{line}'"],
            cwd=cairn.folder, env=with_path(cairn), capture_output=True, text=True, timeout=PATIENCE,
        )
        assert done.stderr == ""
        return sorted(row.split("\t")[0] for row in done.stdout.splitlines())

    assert complete("cairn gr") == ["graph"]
    assert complete("cairn graph --format ") == ["ascii", "dot", "mermaid", "svg"]
    assert complete("cairn graph fl") == ["flow.yaml"]
    assert complete("cairn completion ") == ["bash", "fish", "zsh"]
    assert complete("cairn graph --sto") == ["--store"]
    id = cairn.run_id("flow.yaml")
    assert complete("cairn results ") == ["@last", id]


def test_zsh_completes(cairn):
    script = cairn("completion", "zsh").out
    assert script.startswith("#compdef cairn\n")
    for command in COMMANDS:
        assert f"        {command}) _arguments" in script
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    cairn.flow("  a: {type: end, value: '1'}\n")
    cairn.write("functions/_cairn", script)
    # A shell of its own in a pseudo-terminal; a widget prints what the line became.
    driver = """
        zmodload zsh/zpty
        zpty shell zsh -f -i
        send() { zpty -w shell "$1"; }
        send 'PS1=; fpath=(./functions $fpath); autoload -U compinit; compinit -u -D'
        send 'show() { print -r -- "LINE<$BUFFER>"; BUFFER=; }; zle -N show; bindkey "^X" show'
        send 'print READY'
        zpty -r -m shell out '*READY*READY*'
        for line in 'cairn valid' 'cairn graph --form' 'cairn graph --format=merm' \\
            'cairn graph fl' 'cairn completion fi' 'cairn db ch'; do
            zpty -w -n shell "$line"$'\\t\\x18'
            zpty -r -m shell out '*LINE<*>*'
            print -r -- "${${out##*LINE<}%%>*}"
        done
    """
    done = subprocess.run(
        ["zsh", "-f", "-c", driver], cwd=cairn.folder, env={**with_path(cairn), "TERM": "dumb"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
    )
    assert [line.strip() for line in done.stdout.splitlines()] == [
        "cairn validate", "cairn graph --format=", "cairn graph --format=mermaid",
        "cairn graph flow.yaml", "cairn completion fish", "cairn db check",
    ], done.stderr


def test_other_shells_are_refused(cairn):
    done = cairn("completion", "tcsh")
    assert (done.status, done.out) == (2, "")
    assert "bash, zsh and fish" in done.err


# ---- the manual page ----


def test_the_manual_page_names_everything(cairn, tmp_path):
    page = cairn("man").out
    assert page.startswith(".TH CAIRN 1 ")
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT",
                    "FILES"]:
        assert f"\n.SH {section}\n" in page
    for command in COMMANDS:
        assert re.search(rf'^\.SS "cairn {command}( |")', page, re.M)
        for option in re.findall(r"^ +(?:-\w, +)?--([a-z-]+)", cairn(command, "--help").out, re.M):
            assert "\\-\\-" + option.replace("-", "\\-") in page
    for line in page.splitlines():  # no line of text is taken for a request
        assert not line.startswith("'")
        assert not line.startswith(".") or re.match(r"\.(TH|SH|SS|PP|TP|B|I|nf|fi|RS|RE)\b", line)
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-cbou"], input=page.encode(),
                          capture_output=True, check=True)
    assert done.stderr == b""
    shown = done.stdout.decode()
    assert "cairn run flow.yaml -i city=Paris -i days:=3" in shown
    assert "cairn - durable execution of workflows" in shown


# ---- examples ----

FLOW = """cairn: 1
name: flow
inputs:
  city: {type: string, default: London}
  days: {type: integer, default: 1}
nodes:
  a: {type: end, value: inputs.city}
"""

# These need somebody or something beside them; their own tests run them.
BESIDE = {"answer", "cancel", "resume", "retry", "pause", "watch", "logs", "signal", "serve", "keys",
          "rollback", "checkpoint"}


def examples(cairn, command):
    text = cairn(command, "--help").out.split("\nexamples:\n")[1]
    return re.findall(r"^  (\S.*)\n      \S", text, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_help_run(cairn, command):
    cairn.write("flow.yaml", FLOW)
    cairn.write("flows/flow.yaml", FLOW)
    cairn.write("inputs.json", '{"city": "Rome"}')
    cairn.run_id("flow.yaml")
    shutil.copy(cairn.store, cairn.folder / "backup.db")
    for suffix in ("-wal",):
        shutil.copy(cairn.store + suffix, str(cairn.folder / "backup.db") + suffix)
    if command == "init":
        os.remove(cairn.folder / "flow.yaml")
    found = examples(cairn, command)
    assert found
    for line in found:
        line = re.sub(r"\bexec_[0-9a-v]+", "@last", line)
        done = subprocess.run(
            ["bash", "-c", line], cwd=cairn.folder, env=with_path(cairn),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        )
        for mistake in ["unknown option", "unknown command", "does not know what to do",
                        f"`cairn {command}` needs"]:
            assert mistake not in done.stderr, line
        if command not in BESIDE:
            assert done.returncode == 0, (line, done.stderr)
