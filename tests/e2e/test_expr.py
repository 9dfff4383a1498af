"""cairn expr: values, names, and where a mistake is shown."""

import os

import pytest


@pytest.mark.parametrize(
    "arguments, printed",
    [
        (["1 + 2 * 3"], "7\n"),
        (["'a' + 'b'"], '"ab"\n'),
        (["'a' + 'b'", "--raw"], "ab\n"),
        (["[1, 2]", "--raw"], "[\n  1,\n  2\n]\n"),
        (["{'a': 1.0}"], '{\n  "a": 1.0\n}\n'),
        (["null"], "null\n"),
        (["size(name)", "-i", "name=Zoë"], "3\n"),
        (["inputs.name + name", "-i", "name=x"], '"xx"\n'),
        (["inputs"], "{}\n"),
        (["n + 1", "-i", "n:=41"], "42\n"),
        (["n", "-i", "n=1", "-i", "n=2"], '"2"\n'),
        (["inputs.n", "-i", "n=1", "-i", "n=2"], '"2"\n'),
        (["inputs.inputs", "-i", "inputs=x"], '"x"\n'),
        (["xs.filter(x, x > 1).map(x, x * 10)", "-i", "xs:=[1,2]"], "[\n  20\n]\n"),
        (["a.?b.orValue('none')", "-i", "a:={}", "-r"], "none\n"),
        (["--template", "Hello {{ who }}!", "-i", "who=world"], '"Hello world!"\n'),
        (["-tr", "Hello {{ who }}!", "-i", "who=world"], None),
        (["-t", "-r", "{{#each xs as x}}{{ x }},{{/each}}", "-i", "xs:=[1,2]"], "1,2,\n"),
        (["--", "-1 + 2"], "1\n"),
        (["{{ 1 + 1 }}"], "2\n"),
    ],
)
def test_values(cairn, arguments, printed):
    done = cairn("expr", *arguments)
    if printed is None:  # short options are not joined, as everywhere
        assert done.status == 2
        return
    assert (done.status, done.out, done.err) == (0, printed, "")
    assert not os.path.exists(cairn.store)


def test_inputs_from_a_file(cairn):
    cairn.write("in.json", '{"a": {"b": [1, 2]}, "c": "x"}')
    assert cairn("expr", "a.b[1]", "-i", "@in.json").out == "2\n"
    assert cairn("expr", "inputs.c", "-i", "@in.json").out == '"x"\n'


@pytest.mark.parametrize(
    "arguments, message, status",
    [
        (
            ["inputs.a + fooo", "-i", "a=1", "-i", "foo=2"],
            'error: unknown name "fooo"; did you mean "foo"?\n'
            "    inputs.a + fooo\n               ^\n",
            2,
        ),
        (
            ["nope"],
            'error: unknown name "nope": give it with -i nope=VALUE\n    nope\n    ^\n',
            2,
        ),
        (["1 +"], "error: expected a value, but the expression ends here\n    1 +\n       ^\n", 2),
        (["1 / 0"], "error: division by zero\n    1 / 0\n      ^\n", 2),
        (
            ["1 +\n  1 / n", "-i", "n:=0"],
            "error: division by zero, in `...1 / n`\n      1 / n\n        ^\n",
            1,
        ),
        (
            ["'日本' + x + 1", "-i", "x=y"],
            "error: + does not take a string and an int; write string(...) around the number, "
            "in `'日本' + x + 1`\n    '日本' + x + 1\n               ^\n",
            1,
        ),
        (
            ["--template", "line\n  {{ 1 / n }}", "-i", "n:=0"],
            "error: division by zero, in `1 / n`\n      {{ 1 / n }}\n           ^\n",
            1,
        ),
        (
            ["x", "-i", "x"],
            'error: input "x": expected a name and a value\n'
            "    write -i NAME=TEXT, -i NAME:=JSON or -i @FILE.json\n",
            2,
        ),
    ],
)
def test_mistakes_are_shown_at_their_place(cairn, arguments, message, status):
    done = cairn("expr", *arguments)
    assert (done.err, done.out, done.status) == (message, "", status)


def test_the_place_in_a_long_line_is_in_view(cairn):
    done = cairn("expr", " + ".join(["1"] * 200) + " + nope + " + " + ".join(["2"] * 200))
    _, line, caret = done.err.splitlines()[:3]
    assert len(line) <= 80
    assert line[caret.index("^"):].startswith("nope")


def test_all_mistakes_of_an_expression_are_shown(cairn):
    done = cairn("expr", "foo + bar")
    assert done.status == 2
    assert done.err.count("error: unknown name") == 2


@pytest.mark.parametrize("node", [
    "type: transform, value: \"inputs.s.replace('', inputs.s)\"",
    "type: template, template: \"a {{ inputs.s.replace('', inputs.s) }}\"",
    "type: condition, when: \"inputs.s.replace('', inputs.s) == ''\"",
])
def test_one_evaluation_of_a_step_has_a_limit_of_memory(cairn, node):
    flow = cairn.flow(f"inputs: {{s: {{type: string}}}}\nnodes:\n  a: {{{node}}}\n")
    error = cairn("run", flow, "-i", "s=" + "0123456789" * 2000, "--json", "--quiet").json["error"]
    assert error["type"] == "limit"
    assert "needs more than the 268435456 bytes of memory" in error["message"]
