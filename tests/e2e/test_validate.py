"""cairn validate: findings with places, counts, JSON, many files."""

import os

import pytest

GOOD = "cairn: 1\nname: good\ninputs:\n  n: {type: integer}\nnodes:\n" + (
    "  draft: {type: transform, needs: [again.true], value: iteration}\n"
    "  again: {type: condition, needs: [draft], when: draft < inputs.n}\n"
)
BAD = (
    "cairn: 1\nname: bad\nnodes:\n"
    "  a: {type: transfrm, value: 1}\n"
    "  b: {type: end, value: 2, needs: [c]}\n"
)


def test_a_good_workflow_is_counted(cairn):
    cairn.write("good.yaml", GOOD)
    done = cairn("validate", "good.yaml")
    assert (done.status, done.err) == (0, "")
    assert done.out == "good.yaml: ok: 2 nodes, 2 edges, 1 loop, 1 input\n"


def test_nothing_is_run_and_no_store_made(cairn):
    cairn.flow("  a: {type: code, language: sh, code: 'touch ran'}\n")
    assert cairn("validate", "flow.yaml").status == 0
    assert not (cairn.folder / "ran").exists()
    assert not os.path.exists(cairn.store)


def test_every_error_is_shown(cairn):
    cairn.write("bad.yaml", BAD)
    done = cairn("validate", "bad.yaml")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        'bad.yaml:4:13: error: there is no kind of node called "transfrm"\n'
        '    did you mean "transform"?\n'
        'bad.yaml:5:36: error: "b" needs "c", but there is no node of that name\n'
        "    known here: a, b\n"
        "2 errors\n"
    )


def test_a_mistake_made_in_every_node_is_not_told_for_every_node(cairn):
    nodes = "".join(f"  n{i}:\n    type: code\n    python: |\n      return {i}\n" for i in range(40))
    cairn.write("flow.yaml", "cairn: 1\nname: flow\nnodes:\n" + nodes)
    for command in ("validate", "run"):
        done = cairn(command, "flow.yaml")
        lines = done.err.splitlines()
        assert (done.status, done.out) == (2, "")
        assert len([line for line in lines if ": error: " in line]) == 25
        assert lines[2:4] == ['flow.yaml:6:5: error: unknown key "python" in a node of kind code',
                              "    write language: python, and the text below code: |"]
        assert lines[-2:] == ["and 55 more", "80 errors"]
    assert len(cairn("validate", "--json", "flow.yaml").json) == 80


def test_a_word_that_a_field_may_have_is_no_key(cairn):
    cairn.flow("  a: {type: code, bash: echo x}\n  b: {type: http, url: 'http://x.test', POST: x}\n")
    told = cairn("validate", "flow.yaml").err
    assert "    write language: bash, and the text below code: |\n" in told
    assert "    write method: POST\n" in told


def test_many_files_each_have_their_word(cairn):
    cairn.write("good.yaml", GOOD)
    cairn.write("bad.yaml", BAD)
    done = cairn("validate", "good.yaml", "bad.yaml", "none.yaml")
    assert done.status == 2
    assert done.out == "good.yaml: ok: 2 nodes, 2 edges, 1 loop, 1 input\n"
    assert "bad.yaml:4:13: error: " in done.err
    assert "error: there is no file none.yaml\n" in done.err


def test_findings_as_json(cairn):
    cairn.write("good.yaml", GOOD)
    cairn.write("bad.yaml", BAD)
    assert cairn("validate", "--json", "good.yaml").json == []
    done = cairn("validate", "--json", "good.yaml", "bad.yaml")
    assert (done.status, done.err) == (2, "")
    first, second = done.json
    assert first == {
        "file": "bad.yaml", "line": 4, "column": 13, "severity": "error",
        "code": first["code"], "message": 'there is no kind of node called "transfrm"',
        "help": 'did you mean "transform"?',
    }
    assert first["code"]
    assert (second["line"], second["column"]) == (5, 36)


def test_from_standard_input(cairn):
    done = cairn("validate", "-", stdin=GOOD)
    assert (done.status, done.out) == (0, "<stdin>: ok: 2 nodes, 2 edges, 1 loop, 1 input\n")
    done = cairn("validate", "-", stdin=BAD)
    assert done.status == 2
    assert done.err.startswith("<stdin>:4:13: error: ")


@pytest.mark.parametrize(
    "text, place",
    [
        ("", "bad.yaml"),
        ("just text\n", "bad.yaml:1:1: error: "),
        ("cairn: 1\nnodes: [\n", "bad.yaml:"),
        ("cairn: 1\nname: x\nname: y\nnodes: {}\n", "bad.yaml:3:1: error: "),
        ("cairn: 2\nname: x\nnodes: {}\n", "bad.yaml:1:8: error: "),
        ("\x00\x01\x02", "bad.yaml:"),
        ("cairn: 1\nname: x\nnodes:\n  a: {type: end, value: 1 +}\n", "bad.yaml:4:"),
    ],
)
def test_files_that_are_no_workflow(cairn, text, place):
    cairn.write("bad.yaml", text)
    done = cairn("validate", "bad.yaml")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(place) or f"error: {place}" in done.err


def test_bytes_that_are_no_utf8(cairn, tmp_path):
    (tmp_path / "bad.yaml").write_bytes(b"cairn: 1\nname: \xff\xfe\nnodes: {}\n")
    done = cairn("validate", "bad.yaml")
    assert done.status == 2
    assert "bad.yaml" in done.err
