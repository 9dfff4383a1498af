"""cairn list: the table, filters, pages, JSON."""

import re
import signal

import pytest

from conftest import steady


def make(cairn, name="flow", value="1", labels=(), fail=False):
    node = "{type: code, language: sh, code: exit 1}" if fail else f"{{type: end, value: {value}}}"
    cairn.write(f"{name}.yaml", f"cairn: 1\nname: {name}\nnodes:\n  a: {node}\n")
    return cairn.run_id(f"{name}.yaml", *[x for label in labels for x in ("--label", label)])


def ids(done):
    return [item["id"] for item in done.json["items"]]


def test_without_a_store_the_list_is_empty_and_none_is_made(cairn, tmp_path):
    done = cairn("list")
    assert (done.status, done.out, done.err) == (0, "", "no executions\n")
    assert cairn("list", "--json").json == {"items": [], "next": None}
    assert not (tmp_path / "state").exists()


def test_the_table(cairn):
    make(cairn)
    make(cairn, name="a-longer-name", fail=True)
    done = cairn("list")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == (
        "ID                         WORKFLOW       STATUS       STARTED              DURATION   STEPS"
    )
    assert re.fullmatch(
        r"exec_[0-9a-v]{20}  a-longer-name  failed       [\d-]{10} [\d:]{8}  \S+ +1/1", lines[1]
    )
    assert re.fullmatch(
        r"exec_[0-9a-v]{20}  flow           completed    [\d-]{10} [\d:]{8}  \S+ +1/1", lines[2]
    )
    assert len(lines) == 3


def test_newest_first_and_json_items(cairn):
    made = [make(cairn, value=str(i)) for i in range(3)]
    done = cairn("list", "--json")
    assert ids(done) == made[::-1]
    item = done.json["items"][0]
    assert (item["workflow"], item["status"], item["finalResult"]) == ("flow", "completed", 2)
    assert "subSteps" not in item
    assert done.json["next"] is None


def test_filters(cairn):
    good = make(cairn, name="good", labels=["team=a", "x=1"])
    bad = make(cairn, name="bad", labels=["team=b"], fail=True)
    assert ids(cairn("list", "--json", "--status", "failed")) == [bad]
    assert ids(cairn("list", "--json", "--status", "completed")) == [good]
    assert ids(cairn("list", "--json", "--status", "running")) == []
    assert ids(cairn("list", "--json", "--workflow", "good")) == [good]
    assert ids(cairn("list", "--json", "--label", "team=b")) == [bad]
    assert ids(cairn("list", "--json", "--label", "x=1", "--workflow", "good")) == [good]
    assert ids(cairn("list", "--json", "--label", "x=2")) == []
    done = cairn("list", "--workflow", "none")
    assert (done.status, done.out, done.err) == (0, "", "no executions match\n")


def test_pages(cairn):
    made = [make(cairn, value=str(i)) for i in range(5)][::-1]
    first = cairn("list", "--limit", "2", "--json")
    assert ids(first) == made[:2]
    assert first.json["next"] == made[1]
    second = cairn("list", "--limit=2", "--after", first.json["next"], "--json")
    assert ids(second) == made[2:4]
    third = cairn("list", "--limit=2", "--after", second.json["next"], "--json")
    assert ids(third) == made[4:]
    assert third.json["next"] is None
    exact = cairn("list", "--limit=5", "--json")
    assert (len(ids(exact)), exact.json["next"]) == (5, None)


def test_the_table_says_how_to_get_more(cairn):
    made = [make(cairn, value=str(i)) for i in range(3)]
    done = cairn("list", "--limit", "2")
    assert len(done.out.splitlines()) == 3
    assert done.err == f"there are more: cairn list --limit 2 --after {made[1]}\n"
    done = cairn("list", "--limit", "1", "--store", cairn.store, "--workflow", "flow")
    again = done.err.strip().split("cairn ", 1)[1].split()
    assert made[1] in cairn(*again).out


def test_an_unknown_cursor(cairn):
    make(cairn)
    done = cairn("list", "--after", "exec_" + "0" * 20)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: no execution exec_00000000000000000000")
    assert "--after takes the id of the last execution of the page before" in done.err


def test_sub_workflows_are_shown_with_all(cairn):
    cairn.flow("  inner: {type: end, value: 5}\n", name="child.yaml")
    cairn.flow(
        "  call: {type: workflow, foreach: '[1, 2, 3]', workflow: child.yaml}\n", name="top.yaml"
    )
    top = cairn.run_id("top.yaml")
    other = make(cairn)
    assert ids(cairn("list", "--json")) == [other, top]
    assert len(ids(cairn("list", "--all", "--json"))) == 5
    assert ids(cairn("list", "--json", "--limit", "1")) == [other]
    page = cairn("list", "--json", "--limit", "1", "--after", other)
    assert (ids(page), page.json["next"]) == ([top], None)


def test_running_and_interrupted_are_told_apart(cairn):
    pipe = cairn.pipe("hold")
    cairn.flow(f"  wait: {{type: code, language: sh, code: 'cat {pipe}'}}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    assert ids(cairn("list", "--status", "running", "--json")) == [run.id]
    assert ids(cairn("list", "--status", "interrupted", "--json")) == []
    assert "  running      " in cairn("list").out
    run.send(signal.SIGKILL)
    run.finish()
    assert ids(cairn("list", "--status", "running", "--json")) == []
    assert ids(cairn("list", "--status", "interrupted", "--json")) == [run.id]
    line = steady(cairn("list").out).splitlines()[1]
    assert line.startswith("ID  flow      interrupted  DATE  TOOK")
    assert line.endswith("0/1")


def test_only_one_label_narrows(cairn):
    make(cairn)
    done = cairn("list", "--label", "a=1", "--label", "b=2")
    assert (done.status, done.err) == (
        2, "error: --label: a list can be narrowed by one label\n",
    )


def test_a_store_is_not_changed_by_looking(cairn, tmp_path):
    make(cairn)
    before = (tmp_path / "state/cairn.db").read_bytes()
    cairn("list")
    cairn("results", "@last", "-v")
    assert (tmp_path / "state/cairn.db").read_bytes() == before


@pytest.mark.parametrize("line,refusal", [
    ("list --waiting --needs-attention", "--waiting and --needs-attention exclude each other"),
    ("list --waiting --limit 3", "--waiting and --limit exclude each other"),
    ("list --waiting --after exec_1", "--waiting and --after exclude each other"),
    ("db hosts --quiet --json", "--quiet and --json exclude each other"),
    ("db check --newest 3 --all", "--newest and --all exclude each other"),
    ("db check --json", "`cairn db check` has no option --json, `cairn db hosts` has"),
    ("kinds --json --markdown", "--json and --markdown exclude each other"),
    ("run flow.yaml --json --json-lines", "--json and --json-lines exclude each other"),
    ("run flow.yaml --background --json-lines", "--background and --json-lines exclude each other"),
])
def test_no_option_is_ignored_beside_another(cairn, line, refusal):
    make(cairn)
    done = cairn(*line.split())
    assert (done.status, done.out) == (2, "") and done.err.startswith(f"error: {refusal}\n")


def test_what_goes_together_is_heeded(cairn):
    make(cairn)
    assert cairn("results", "@last", "--json", "--verbose").json == cairn("results", "@last", "--json").json
    assert cairn("logs", "@last", "--raw", "--follow").status == 0
    assert cairn("list", "--waiting", "--all", "--json", "--workflow", "flow").json == {"items": []}


def test_who_waits_in_which_status(cairn):
    cairn.write("flow.yaml", "cairn: 1\nname: flow\nnodes:\n  a: {type: ask, prompt: Well?, timeout: 1h}\n")
    waiting = cairn.start("run", "flow.yaml")
    waiting.wait_for("waits for an answer")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("waits for an answer")
    waits, paused = waiting.id, run.id
    assert cairn("pause", paused).status == 0
    for status, expected in [("waiting", [waits]), ("paused", [paused]), ("failed", [])]:
        for form in ("--waiting", "--needs-attention"):
            items = cairn("list", form, "--json", "--status", status).json["items"]
            assert sorted({x["execution"] for x in items}) == expected, (status, form)
    assert len(cairn("list", "--waiting", "--json").json["items"]) == 2
