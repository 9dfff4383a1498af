"""cache: a result that was recorded is used again by other executions, and says so."""

import glob
import re
import signal
import sqlite3

import pytest
from held import release

COUNT = "code: 'echo x >> count; echo $N', env: {N: '{{ inputs.n }}'}"


def flow(cairn, cache, more=COUNT, name="flow.yaml"):
    cairn.write(name, "cairn: 1\nname: w\ninputs: {n: {type: integer, default: 1}}\n"
                f"nodes:\n  a: {{type: code, language: sh, {more}, cache: {cache}}}\noutputs: {{a: a}}\n")


def times(cairn):
    path = cairn.folder / "count"
    return len(path.read_text().split()) if path.exists() else 0


def test_a_second_run_does_nothing_anew_and_says_whose_result_it_is(cairn):
    flow(cairn, "1h")
    first = cairn("run", "flow.yaml", "--json")
    again = cairn("run", "flow.yaml", "--json")
    assert (first.json["outputs"], again.json["outputs"]) == ({"a": 1}, {"a": 1})
    assert times(cairn) == 1
    told = again.json["subSteps"][0]["meta"]["cached"]
    assert (told["execution"], told["step"]) == (first.json["id"], "a")
    assert re.search(r"step a completed .*, not done anew: the result of a of " + first.json["id"],
                     cairn("run", "flow.yaml").err)
    shown = cairn("results", again.json["id"], "--verbose").out
    assert f"not done anew: the result of a of {first.json['id']}" in shown
    assert cairn("run", "flow.yaml", "-i", "n=2", "--json").json["outputs"] == {"a": 2}
    assert times(cairn) == 2


def test_until_it_is_over(cairn):
    flow(cairn, "1h")
    cairn("run", "flow.yaml")
    with sqlite3.connect(cairn.store) as db:
        db.execute("UPDATE cache SET at_us = at_us - 3600000000, expires_us = expires_us - 3600000000")
    assert cairn("run", "flow.yaml").status == 0
    assert times(cairn) == 2
    with sqlite3.connect(cairn.store) as db:
        assert db.execute("SELECT count(*) FROM cache").fetchone() == (1,)


def test_a_changed_file_is_other_work(cairn):
    for number, text in enumerate(["return 1", "return 1", "return 2"]):
        cairn.write("a.py", f"def main():\n    open('count', 'a').write('x\\n')\n    {text}\n")
        cairn.flow("nodes:\n  a: {type: code, language: python, file: a.py, function: main, cache: 1h}\n"
                   "outputs: {a: a}\n")
        assert cairn("run", "flow.yaml", "--json").json["outputs"] == {"a": int(text[-1])}
    assert times(cairn) == 2


def test_what_failed_is_not_kept(cairn):
    flow(cairn, "1h", "code: 'echo x >> count; exit 3', on_error: {value: 7}")
    for count in (1, 2):
        assert cairn("run", "flow.yaml", "--json").json["outputs"] == {"a": 7}
        assert times(cairn) == count


def test_a_large_result(cairn):
    flow(cairn, "1h", "code: 'echo x >> count; head -c 100000 /dev/zero | tr \"\\\\0\" y'")
    for _ in range(2):
        assert cairn("run", "flow.yaml", "--json").json["outputs"] == {"a": "y" * 100000}
    assert times(cairn) == 1


def test_a_secret_is_not_in_the_key_and_nowhere_in_the_store(cairn):
    flow(cairn, "1h", "code: 'echo x >> count; echo ok', env: {T: '{{ secrets.TOKEN }}'}")
    for value in ("first-secret-value", "other-secret-value"):
        cairn.env["CAIRN_SECRET_TOKEN"] = value
        assert cairn("run", "flow.yaml", "--json").json["outputs"] == {"a": "ok"}
    assert times(cairn) == 1
    stored = b"".join(open(name, "rb").read() for name in glob.glob(cairn.store + "*"))
    assert b"secret-value" not in stored


def test_items_share_what_is_the_same(cairn):
    cairn.flow("  a: {type: code, language: sh, foreach: {items: '[1, 1, 2, 1]', concurrency: 1},\n"
               "      code: 'echo x >> count; echo $N', env: {N: '{{ item }}'}, cache: {ttl: 1h, key: item}}\n"
               "  e: {type: end, needs: [a], value: a}\n")
    done = cairn("run", "flow.yaml", "--json")
    assert (done.json["finalResult"], times(cairn)) == ([1, 1, 2, 1], 2)


@pytest.mark.parametrize("completed", [False, True])
def test_killed_before_and_after_the_completion(cairn, completed):
    pipe = cairn.pipe("pipe")
    flow(cairn, "1h", "code: 'echo x >> count; echo busy >&2; cat pipe'")
    if completed:  # a second step holds the process when the first is recorded
        cairn.write("flow.yaml", cairn.folder.joinpath("flow.yaml").read_text().replace(
            "; cat pipe", "").replace(
            "outputs:", "  b: {type: code, language: sh, needs: [a], code: 'echo held >&2; cat pipe'}\noutputs:"))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("held" if completed else "busy")
    run.send(signal.SIGKILL)
    run.finish()
    other = cairn.start("run", "flow.yaml", "--json")
    other.wait_for("held" if completed else "busy")
    release(pipe, "1")
    assert other.finish().status == 0
    assert times(cairn) == (1 if completed else 2)
