"""docs/nodes.md: its second part is what `cairn kinds --markdown` prints, its first part is true."""

import json
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs/nodes.md").read_text(encoding="utf-8")
BORDER = "`cairn kinds --markdown`. tests/e2e/test_nodes_doc.py compares it. -->\n\n"


def test_the_descriptors_are_in_the_page(cairn):
    printed = cairn("kinds", "--markdown")
    assert printed.status == 0
    assert PAGE.split(BORDER, 1)[1] == printed.out, (
        "after a change of a descriptor, put the output of `cairn kinds --markdown` there"
    )


def test_the_code_example_runs(cairn, tmp_path):
    text = re.search(r"```yaml code.yaml\n(.*?)```", PAGE, re.S)[1]
    (tmp_path / "code.yaml").write_text(text, encoding="utf-8")
    done = cairn("run", "code.yaml", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["outputs"] == {
        "measured": {"big": False, "status": "fine"}, "status": 3}
    assert "it has" in done.err and "built" in done.err


def test_the_offline_example_is_valid_and_answers_as_it_says(cairn, tmp_path):
    agents = re.search(r"```yaml\n(agents:.*?)```", PAGE, re.S)[1]
    nodes = """
nodes:
  sort:
    type: agent
    agent: dispatcher
    foreach: '["My PARCEL", "a refund", "hello", "overloaded"]'
    prompt: "{{ item }}"
  again: {type: agent, agent: reviewer, foreach: "[1, 2, 3, 4]", prompt: "{{ item }}"}
outputs: {sort: sort, again: again}
"""
    head = "cairn: 1\ndefaults: {retry: {attempts: 3, backoff: 1ms}}\n"
    (tmp_path / "w.yaml").write_text(head + agents + nodes, encoding="utf-8")
    done = cairn("run", str(tmp_path / "w.yaml"), "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["finalResult"] == {
        "sort": ["shipping", "billing", "other", "at last"],
        "again": ["no: too long", "no: too dull", "yes", "yes"],
    }


def test_the_structured_example_runs(cairn, tmp_path):
    (tmp_path / "w.yaml").write_text(re.search(r"```yaml\n(cairn: 1\nname: classify.*?)```", PAGE, re.S)[1],
                                     encoding="utf-8")
    done = cairn("run", str(tmp_path / "w.yaml"), "--json")
    assert done.json["finalResult"] == {"topic": "billing", "repaired": True}
