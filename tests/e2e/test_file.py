"""The file kind with the real binary: data that goes round, hostile paths, limits, many writers."""

import json
import os
import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]

READ = """
inputs: {path: {type: string}}
nodes:
  get: {type: file, operation: read, path: "{{ inputs.path }}"}
outputs: {got: get}
"""


def read(cairn, path, env=None):
    cairn.flow(READ)
    return cairn("run", "flow.yaml", "--json", "-q", "-i", f"path={path}", env=env)


def got(done):
    assert done.status == 0, done.err
    return done.json["finalResult"]["got"]


TABLE = [{"name": 'Ada "the first"', "note": "a,b\nc"}, {"name": "Grüße", "note": ""}]


@pytest.mark.parametrize("name", ["t.json", "t.yaml", "t.csv", "t.jsonl"])
def test_data_goes_round(cairn, name):
    cairn.write("table.json", json.dumps(TABLE))
    cairn.flow(f"""
nodes:
  load: {{type: file, operation: read, path: table.json}}
  save: {{type: file, needs: [load], operation: write, path: deep/down/{name}, value: load}}
  back: {{type: db, needs: [save], operation: read, path: "{{{{ save }}}}"}}
outputs: {{got: back}}
""")
    assert got(cairn("run", "flow.yaml", "--json", "-q")) == TABLE
    assert sorted(os.listdir(cairn.folder / "deep/down")) == [name]


def test_what_was_read_is_recorded(cairn):
    cairn.write("a.txt", "first")
    done = read(cairn, "a.txt")
    cairn.write("a.txt", "second")
    assert cairn("results", done.json["id"], "--json").json["finalResult"]["got"] == "first"


@pytest.mark.parametrize(
    "path, kind, part",
    [
        ("../outside.txt", "denied", "CAIRN_ALLOW_PATHS"),
        ("x/../../outside.txt", "denied", "outside"),
        ("/etc/passwd", "denied", "outside"),
        ("link", "denied", "leads out"),
        ("away/outside.txt", "denied", "leads out"),
        ("loop", "denied", "link"),
        ("pipe", "invalid", "no ordinary file"),
        ("folder", "invalid", "folder"),
        ("none.txt", "not_found", "cannot read none.txt"),
        ("", "invalid", "empty"),
        ("odd.txt", "invalid", "UTF-8"),
        ("ragged.csv", "invalid", "ragged.csv: line 3, column 1: this row has 1 fields"),
        ("empty.json", "invalid", "empty.json: line 1, column 1"),
    ],
)
def test_what_is_refused(cairn, tmp_path, path, kind, part):
    home = tmp_path / "flows"
    home.mkdir()
    cairn.folder = home
    (tmp_path / "outside.txt").write_text("secret")
    (home / "link").symlink_to("../outside.txt")
    (home / "away").symlink_to(tmp_path)
    (home / "loop").symlink_to("loop")
    (home / "folder").mkdir()
    cairn.pipe("pipe")
    (home / "odd.txt").write_bytes(b"a\xff")
    (home / "ragged.csv").write_bytes(b"a,b\n1,2\n3\n")
    (home / "empty.json").write_bytes(b"")
    done = read(cairn, path)
    assert done.status == 1
    error = done.json["error"]
    assert error["type"] == kind
    assert part in error["message"]
    assert "secret" not in done.out + done.err


def test_a_nul_character_ends_no_path(cairn):
    cairn.write("a.txt", "x")
    cairn.flow("""
  get: {type: file, operation: read, path: "a.txt\\0.json"}
""")
    done = cairn("run", "flow.yaml", "--json", "-q")
    assert done.status == 1
    assert "NUL" in done.json["error"]["message"]


def test_folders_that_the_user_allows(cairn, tmp_path):
    home = tmp_path / "flows"
    home.mkdir()
    cairn.folder = home
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("inside")
    (tmp_path / "b.txt").write_text("beside")
    allowed = {"CAIRN_ALLOW_PATHS": f"/nonexistent:{tmp_path}/data"}
    assert got(read(cairn, f"{tmp_path}/data/a.txt", allowed)) == "inside"
    assert read(cairn, f"{tmp_path}/b.txt", allowed).json["error"]["type"] == "denied"
    assert read(cairn, f"{tmp_path}/data/../b.txt", allowed).json["error"]["type"] == "denied"
    done = read(cairn, "a.txt", {"CAIRN_ALLOW_PATHS": "data"})
    assert done.status == 2
    assert 'CAIRN_ALLOW_PATHS: "data" is no absolute path' in done.err


@pytest.mark.parametrize(
    "name, content, value",
    [
        ("empty.txt", b"", ""),
        ("empty.csv", b"", []),
        ("empty.yaml", b"", None),
        ("header.csv", b"a,b\r\n", []),
        ("bom.csv", b"\xef\xbb\xbfa\r\n1\r\n", [{"a": "1"}]),
        ("bom.json", b'\xef\xbb\xbf{"a": 1.0}', {"a": 1.0}),
        ("bom.txt", b"\xef\xbb\xbfx", "x"),
        ("data.bin", b"plain", "plain"),
    ],
)
def test_empty_files_and_byte_order_marks(cairn, name, content, value):
    (cairn.folder / name).write_bytes(content)
    assert got(read(cairn, name)) == value


def test_a_file_over_the_limit_is_refused_unread(cairn):
    with open(cairn.folder / "big.txt", "wb") as f:
        f.truncate((64 << 20) + 1)
    error = read(cairn, "big.txt").json["error"]
    assert (error["type"], error["message"]) == (
        "too_large", "cannot read big.txt: it is larger than 67108864 bytes")


def many_updates(cairn, name, first):
    return cairn.flow(f"""
inputs: {{n: {{type: array, default: {list(range(first, first + 100))}}}}}
nodes:
  put:
    type: file
    foreach: {{items: inputs.n}}
    operation: update
    path: state.json
    keys: "n.k{{{{ item }}}}"
    value: item
""", name)


def test_no_update_is_lost_between_items_and_processes(cairn):
    names = [many_updates(cairn, f"flow{i}.yaml", i * 100) for i in range(3)]
    started = [cairn.start("run", name) for name in names]
    for one in started:
        done = one.finish()
        assert done.status == 0, done.err
    state = json.loads((cairn.folder / "state.json").read_text())
    assert state == {"n": {f"k{i}": i for i in range(300)}} and len(state["n"]) == 300
    assert not [n for n in os.listdir(cairn.folder) if n.endswith(".tmp")]


def test_lines_are_appended_whole(cairn):
    cairn.flow("""
inputs: {n: {type: array, default: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}}
nodes:
  log: {type: file, foreach: inputs.n, operation: append, path: out/log.jsonl, value: "{'n': item}"}
  all: {type: file, needs: [log], operation: read, path: out/log.jsonl}
outputs: {got: "all.map(x, x.n)"}
""")
    assert sorted(got(cairn("run", "flow.yaml", "--json", "-q"))) == list(range(1, 11))


def test_a_bad_file_node_is_found_by_validate(cairn):
    cairn.flow("  a: {type: file, operation: update, path: t.csv, value: 1}\n")
    done = cairn("validate", "flow.yaml")
    assert done.status == 2
    assert "flow.yaml:4:44: error: update does not work with the format csv" in done.err


def test_the_example_of_the_docs(cairn):
    page = (TOP / "docs/nodes.md").read_text(encoding="utf-8")
    cairn.flow(re.search(r"## Files\n\n```yaml\n(.*?)```", page, re.S)[1])
    cairn.write("orders.csv", "id\n1\n2\n")
    assert cairn("run", "flow.yaml", "-q").status == 0
    assert json.loads((cairn.folder / "out/state.json").read_text()) == {"orders": {"count": 2}}
    assert (cairn.folder / "out/log.jsonl").read_text() == '{"orders":2}\n'
