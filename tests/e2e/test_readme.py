"""README.md is true: its example is examples/hello.yaml, its command prints what it shows, what it
links to is there, and the commands it names exist.
"""

import os
import re

from conftest import TOP


def readme():
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as handle:
        return handle.read()


def block(language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", readme(), re.M | re.S)
    assert len(found) == 1
    return found[0]


def test_the_example_is_the_shipped_one():
    with open(os.path.join(TOP, "examples/hello.yaml"), encoding="utf-8") as handle:
        assert block("yaml") == handle.read()


def test_the_command_prints_what_is_shown(cairn):
    command, shown = block("console").split("\n", 1)
    words = command.removeprefix("$ cairn ").split()
    words[words.index("examples/hello.yaml")] = os.path.join(TOP, "examples/hello.yaml")
    done = cairn(*words)
    assert done.status == 0
    assert done.out.strip() == shown.strip()


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", readme())
    assert len(links) >= 8
    for link in links:
        assert os.path.exists(os.path.join(TOP, link)), link


def test_the_make_targets_exist():
    with open(os.path.join(TOP, "Makefile"), encoding="utf-8") as handle:
        makefile = handle.read()
    for target in set(re.findall(r"\bmake (run|test|install)\b", readme())):
        assert re.search(rf"^{target}:", makefile, re.M), target
