"""vars, set, and values of in with a type: from the file to the result."""

import sqlite3

import pytest


def result(cairn, text, *args):
    cairn.flow(text)
    done = cairn("run", "-q", "--json", "flow.yaml", *args)
    assert done.status == 0, done.err
    return done.json["finalResult"]


def test_first_values_come_from_inputs_and_env(cairn):
    text = """
inputs: {n: {type: integer}, who: {type: string, default: Ada}}
env: [LANG]
vars:
  n: "{{ inputs.n }}"
  greeting: "Hello {{ inputs.who }}"
  deep: {list: [1, "{{ inputs.n + 1 }}"], lang: "{{ env.LANG }}", none: null}
nodes:
  a: {type: transform, value: 1, set: {n: vars.n + a}}
outputs: {vars: vars}
"""
    assert result(cairn, text, "-i", "n=41") == {
        "vars": {
            "n": 42,
            "greeting": "Hello Ada",
            "deep": {"list": [1, 42], "lang": "C.UTF-8", "none": None},
        }
    }


def test_first_values_that_fail(cairn):
    cairn.flow("""
inputs: {list: {type: array, default: []}}
vars: {first: "{{ inputs.list[0] }}"}
nodes:
  a: {type: transform, value: 1}
""")
    done = cairn("run", "-q", "--json", "flow.yaml")
    assert done.status == 1
    assert done.json["error"]["type"] == "expression"
    assert done.json["error"]["message"].startswith("vars.first: ")


PAGES = """
vars: {rows: [], log: "", last: null}
nodes:
  page:
    type: code
    needs: [more.true]
    max_iterations: 50
    language: bash
    code: echo '{"items":[1,2]}'
    set:
      rows: vars.rows + page.items
      log: vars.log + "x"
      last: page.items
  more: {type: condition, needs: [page], when: size(vars.rows) < 60}
  done: {type: end, needs: [more.false], value: "{'rows': size(vars.rows), 'log': size(vars.log)}"}
"""


def test_a_loop_gathers_and_writes_only_what_it_adds(cairn):
    cairn.flow(PAGES)
    done = cairn("run", "-q", "--json", "flow.yaml")
    assert done.status == 0, done.err
    assert done.json["finalResult"] == {"rows": 60, "log": 30}
    with sqlite3.connect(cairn.store) as db:
        sizes = db.execute(
            "SELECT length(body) FROM events WHERE step GLOB 'page*' AND instr(body, x'617070656e64')"  # append
        ).fetchall()
    assert len(sizes) == 30
    assert max(sizes)[0] - min(sizes)[0] < 20


def test_concurrent_steps_lose_no_update(cairn):
    text = """
vars: {n: 0, seen: []}
nodes:
  f:
    type: code
    language: bash
    foreach: {items: "[1, 2, 3, 4, 5, 6, 7, 8]", as: k}
    code: echo hello
    set: {n: vars.n + 1, seen: "vars.seen + [k]"}
outputs: {n: vars.n, seen: vars.seen}
"""
    got = result(cairn, text)
    assert got["n"] == 8
    assert sorted(got["seen"]) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_guard_reads_a_variable(cairn):
    text = """
vars: {ready: false}
nodes:
  a: {type: transform, value: true, set: {ready: a}}
  b: {type: transform, needs: [a], if: vars.ready, value: 1}
  c: {type: transform, needs: [a], if: "!vars.ready", value: 2}
outputs: {b: b, c: c}
"""
    assert result(cairn, text) == {"b": 1, "c": None}


def test_a_set_that_fails(cairn):
    cairn.flow("""
vars: {n: 0}
nodes:
  a: {type: transform, value: null, set: {n: a.x}}
""")
    done = cairn("run", "-q", "--json", "flow.yaml")
    assert done.status == 1
    error = done.json["error"]
    assert (error["type"], error["node"]) == ("expression", "a")
    assert error["message"].startswith("set.n: ")


def test_a_sub_workflow_has_variables_of_its_own(cairn):
    text = """
vars: {n: 1}
nodes:
  inner:
    type: workflow
    workflow:
      vars: {n: 10}
      nodes: {a: {type: transform, value: 5, set: {n: vars.n + a}}}
      outputs: {n: vars.n}
outputs: {inner: inner.n, outer: vars.n}
"""
    assert result(cairn, text) == {"inner": 15, "outer": 1}


@pytest.mark.parametrize(
    "written, value",
    [
        ("{from: \"'42'\", type: integer}", 42),
        ("{from: 3.0, type: integer}", 3),
        ("{from: 3, type: string}", "3"),
        ("{from: \"'true'\", type: boolean}", True),
        ("{from: \"'[1, 2]'\", type: array}", [1, 2]),
        ("{from: \"'{}'\", type: object}", {}),
        ("{from: \"'1m30s'\", type: duration}", "90s"),
        ("{from: inputs.none, default: \"'7'\", type: integer}", 7),
        ("{from: inputs.none, default: \"'7'\", type: integer, transform: [it * 2, it + 1]}", 15),
    ],
)
def test_a_value_is_read_as_its_type(cairn, written, value):
    text = f"""
inputs: {{none: {{default: null}}}}
nodes:
  a: {{type: transform, in: {{x: {written}}}, value: x}}
outputs: {{x: a}}
"""
    assert result(cairn, text) == {"x": value}


def test_a_value_that_is_not_of_its_type(cairn):
    cairn.flow("""
inputs: {x: {}}
nodes:
  a: {type: transform, in: {count: {from: inputs.x, type: integer}}, value: count}
""")
    done = cairn("run", "-q", "--json", "flow.yaml", "-i", "x:=\"abc\"")
    assert done.status == 1
    assert done.json["error"] == {
        "type": "invalid",
        "message": 'in.count of "a": expected integer, got string "abc"',
        "node": "a",
        "attempt": 1,
    }


def test_an_integer_beyond_64_bits_is_marked(cairn):
    cairn.flow("""
nodes:
  a: {type: code, language: bash, code: "echo '{\\"n\\": 123456789012345678901234567890}'"}
outputs: {n: a.n, lossy: nodes.a.meta.lossy}
""")
    done = cairn("run", "-q", "--json", "flow.yaml")
    assert done.json["finalResult"] == {"n": 123456789012345680000000000000.0, "lossy": True}
