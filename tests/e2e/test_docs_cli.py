"""docs/cli.md is true: its files are written, its commands run, their output compared.

"```yaml NAME" is a file; in "```console" a line with "$ " is a command for sh, what follows is its
output. Ids, dates, times and durations are compared as such only.
"""

import os
import re
import subprocess

from conftest import BIN, PATIENCE, TOP, steady

PAGE = os.path.join(TOP, "docs/cli.md")


def blocks():
    with open(PAGE, encoding="utf-8") as handle:
        text = handle.read()
    return re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, re.M | re.S)


def commands(text):
    """(command, expected output) of a console block."""
    found = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:].strip(), ""])
        else:
            found[-1][1] += line
    return found


def squeeze(text):
    """Widths of columns follow durations; where the store lies, who runs, and the numbers of events
    (only a step that lasts has one about its process) differ, too."""
    text = re.sub(r"TOOK +", "TOOK ", steady(text))
    text = re.sub(r"^ +\d+(?=  TIME)|(?<=\bevent )\d+", "SEQ", text, flags=re.M)
    return re.sub(r"\S+(?=/cairn\.db-logs/)", "FOLDER", re.sub(r"\bprocess \d+", "process N", text))


def test_the_page(cairn):
    os.symlink(BIN, cairn.folder / "cairn")
    env = {**cairn.env, "PATH": f"{cairn.folder}:{cairn.env['PATH']}"}
    files = ran = 0
    for language, name, text in blocks():
        if language == "yaml":
            cairn.write(name, text)
            files += 1
            continue
        assert language == "console"
        for command, expected in commands(text):
            done = subprocess.run(
                ["sh", "-c", command], cwd=cairn.folder, env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
            )
            assert squeeze(done.stdout.decode()) == squeeze(expected), command
            ran += 1
    assert files >= 3 and ran >= 7


def test_every_command_and_option_of_the_page_exists(cairn):
    with open(PAGE, encoding="utf-8") as handle:
        page = handle.read()
    known = cairn("help").out
    for command in re.findall(r"^  (\w+)", cairn("help").out, re.M):
        known += cairn(command, "--help").out
        assert f"`{command}" in page or f"cairn {command}" in page, command
    for option in set(re.findall(r"--[a-z][a-z-]+", page)):
        assert option in known, option
