"""JavaScript and TypeScript: names, values, logs, errors with the line of the workflow, files."""

import shutil
import subprocess

import pytest
from chained import chained
from conftest import SLOWER

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is missing (package nodejs)")


def has_types():
    found = subprocess.run(["node", "-p", "typeof require('module').stripTypeScriptTypes"],
                           capture_output=True, text=True)
    return found.stdout.strip() == "function"


def flow(cairn, language, code, up="1", more=""):
    """A workflow whose code begins at line 10."""
    text = "\n      ".join(code.split("\n"))
    return cairn("run", cairn.write("flow.yaml", f"""cairn: 1
name: flow
nodes:
  up: {{type: transform, value: {{v: {up}}}}}
  job:
    type: code
    needs: [up]
    language: {language}
    code: |
      {text}
{more}outputs: {{out: job}}
"""), "--json")


# Another JavaScript node: then the steps of both may share a process, each in a context of its own.
SHARED = "  other: {type: code, language: javascript, needs: [job], code: \"return 1\"}\n"


def out(done):
    assert done.status == 0, done.out
    return done.json["outputs"]["out"]


@pytest.mark.parametrize("more", ["", SHARED])
def test_values_cross(cairn, more):
    def js(*args, **named):
        return out(flow(cairn, "javascript", *args, more=more, **named))

    assert js("return {a: up.v, b: [null, true, 'é', 1.5]}", up="\"'x'\"") == {
        "a": "x", "b": [None, True, "é", 1.5]}
    assert js("return undefined") is None
    assert js("console.log(JSON.stringify({printed: 1}))") == {"printed": 1}
    assert js("return [new Uint8Array([104, 105]), up.v instanceof Object, new Date(0)]", up="{}")[1:] == [
        True, "1970-01-01T00:00:00.000Z"]


@pytest.mark.parametrize("more", ["", SHARED])
def test_integers_keep_all_their_digits(cairn, more):
    got = flow(cairn, "javascript", "return [typeof up.v, up.v, up.v + 1n, typeof up.small, 2 ** 53]",
               up="9007199254740993, small: 4", more=more)
    assert out(got) == ["bigint", 9007199254740993, 9007199254740994, "number", 2**53]


def test_bytes_cross_both_ways(cairn):
    name = cairn.flow("""
nodes:
  raw: {type: code, language: bash, code: "printf 'a\\\\377'"}
  job:
    type: code
    needs: [raw]
    language: javascript
    code: |
      return Buffer.concat([raw, Buffer.from([0])])
  hex: {type: code, needs: [job], language: python, code: "return job.hex()"}
outputs: {out: hex}
""")
    assert out(cairn("run", name, "--json")) == "61ff00"


def test_code_can_await_and_import(cairn):
    got = flow(cairn, "javascript", "const os = await import('node:os')\nconst p = require('path')\n"
               "await new Promise(r => setTimeout(r, 1))\nreturn p.join('a', typeof os.EOL)")
    assert out(got) == "a/string"


def test_console_is_the_log(cairn):
    got = flow(cairn, "javascript", "console.log('said é')\nconsole.error('warned')\nreturn 1")
    assert out(got) == 1
    assert "said é" in got.err and "warned" in got.err


@pytest.mark.parametrize("more", ["", SHARED])
@pytest.mark.parametrize("code, message", [
    ("const f = x => {\n  throw new TypeError('too ' + x)\n}\nf('far')", "TypeError: too far (flow.yaml, line 11)"),
    ("\n\nnull.x", "(flow.yaml, line 12)"),
    ("let x = ;", "SyntaxError: Unexpected token ';' (flow.yaml, line 10)"),
    ("setTimeout(() => { throw new RangeError('late') }, 1)", "RangeError: late (flow.yaml, line 10)"),
    ("await 1\nreturn Promise.reject(new Error('no'))", "Error: no (flow.yaml, line 11)"),
    ("throw 'plain'", "thrown: plain"),
    ("await new Promise(() => {})", "did not come to its end"),
    ("return new Map()", "cannot return a value of type Map"),
    ("return () => 1", "cannot return a value of type function"),
    ("return [NaN]", "cannot return NaN"),
    ("const a = {}; a.a = a; return a", "circular"),
    ("process.exit(3)", "the JavaScript code ended with exit status 3"),
])
def test_errors_say_where(cairn, code, message, more):
    done = flow(cairn, "javascript", code, more=more)
    assert done.status == 1
    error = done.json["error"]
    assert error["type"] == "code" and message in error["message"]


@pytest.mark.parametrize("more", ["", SHARED])
def test_tracebacks_show_the_code_alone(cairn, more):
    done = flow(cairn, "javascript", "function inner() {\n  throw new Error('x')\n}\ninner()", more=more)
    trace = next(s for s in done.json["subSteps"] if s["id"] == "job")["meta"]["traceback"]
    assert "flow.yaml:11" in trace and "flow.yaml:13" in trace
    assert "eval" not in trace and "node:" not in trace


def chain(cairn, *codes, more=""):
    return chained(cairn, "javascript", *codes, more=more)


STARTED = "return performance.timeOrigin"  # of the process


def test_steps_share_a_process(cairn):
    started = chain(cairn, STARTED, STARTED, STARTED).json["finalResult"]
    assert len(set(started)) == 1


def test_no_global_goes_from_one_step_to_the_next(cairn):
    done = chain(cairn, """leak = 1
globalThis.more = 2
JSON.stringify = null
Array.of = null
Math.max = null
console.log = null
global.setTimeout = null
Object.defineProperty(Object, 'mine', {value: 1})
return performance.timeOrigin""", """console.log('still', typeof leak, typeof more)
await new Promise((done) => setTimeout(done, 1))
return [typeof leak, typeof more, JSON.stringify([1]), Array.of(1), Math.max(1, 2), Object.mine === undefined,
        performance.timeOrigin]""")
    first, second = done.json["finalResult"]
    assert second == ["undefined", "undefined", "[1]", [1], 2, True, first]
    assert "s1 stdout: still undefined undefined" in done.err


def test_code_that_reaches_for_the_process_has_its_own(cairn):
    pids = chain(cairn, "process.env.LEAK = 'x'; process.chdir('/')\nreturn process.pid",
                 "return [process.pid, process.env.LEAK, process.cwd() === '/']",
                 "const fs = require('fs'); return typeof fs.readFileSync",
                 "return [].constructor === Array").json["finalResult"]
    assert pids[0] != pids[1][0]
    assert pids[1][1:] == [None, False]
    assert pids[2:] == ["function", True]


def test_a_step_that_never_ends_ends_alone(cairn):
    cairn.flow("""
nodes:
  job:
    type: code
    language: javascript
    foreach: {items: "[0, 1, 2, 3, 4, 5]", as: n, concurrency: 3, on_item_error: collect}
    timeout: SECONDS
    retry: {attempts: 1}
    code: |
      console.log('item', n)
      while (n === 2) { }
      return n
  after: {type: code, language: javascript, needs: [job], code: "return 7"}
  end: {type: end, needs: [job, after], value: "[job, after]"}
""".replace("SECONDS", f"{5 * SLOWER}s"))
    done = cairn("run", "flow.yaml", "--json")
    rows, after = done.json["finalResult"]
    assert [row.get("value") for row in rows] == [0, 1, None, 3, 4, 5]
    assert rows[2]["error"]["type"] == "timeout"
    assert after == 7
    for n in range(6):
        assert f"job[{n}] stdout: item {n}\n" in done.err


def test_what_a_step_threw_late_is_its_own_failure(cairn):
    done = chain(cairn, STARTED, "setTimeout(() => { throw new RangeError('late') }, 20)\nreturn 1", STARTED)
    failed = {s["id"]: s["error"]["message"] for s in done.json["subSteps"] if s.get("error")}
    assert list(failed) == ["s1"] and "RangeError: late" in failed["s1"]


@pytest.mark.parametrize("late", [
    "setTimeout(() => { throw new Error('late') }, 50).unref()",
    "AbortSignal.timeout(50).onabort = () => { throw new Error('late') }",
])
def test_what_a_step_leaves_meets_no_other(cairn, late):
    wait = "await new Promise((done) => setTimeout(done, 200))\nreturn 2"
    assert chain(cairn, late + "\nreturn 1", wait, wait).json["finalResult"] == [1, 2, 2]


def test_code_tells_objects_apart_as_in_a_process_of_its_own(cairn):
    done = chain(cairn, STARTED, """try { new URL('x') } catch (e) {
    return [e instanceof TypeError, structuredClone([1]) instanceof Array, Buffer.from('x') instanceof Uint8Array]
}""")
    assert done.json["finalResult"][1] == [True, True, True]


@pytest.mark.parametrize("thrown", [
    "new Proxy({}, {getPrototypeOf() { throw 1 }})",
    "Object.defineProperty(new Error('x'), 'message', {get() { throw 5 }})",
    "Object.assign(new Error('x'), {name: Symbol('n')})",
])
def test_what_cannot_be_shown_is_a_failure_all_the_same(cairn, thrown):
    done = chain(cairn, STARTED, f"throw {thrown}")
    failed = {s["id"]: s["error"]["message"] for s in done.json["subSteps"] if s.get("error")}
    assert failed == {"s1": "thrown: what cannot be shown"}


FILES = {
    "lib/plain.js": "const near = require('./near')\n"
                    "function add(n, more = near.ten, /* no , */ end = '),') { return [n + more, end] }\n"
                    "const one = n => n\nconst all = ({n, ...rest}) => [n, Object.keys(rest)]\n"
                    "module.exports = {one, all}\n",
    "lib/near.js": "exports.ten = 10\n",
    "lib/modern.mjs": "import {join} from 'node:path'\nimport near from './near.js'\n"
                      "export async function add(n) { return join(String(n), String(near.ten)) }\n"
                      "export function fails() {\n  null.x\n}\n",
}


@pytest.mark.parametrize("file, function, expected", [
    ("lib/plain.js", "add", [13, "),"]),
    ("lib/plain.js", "one", 3),
    ("lib/plain.js", "all", [3, ["inputs", "iteration", "up"]]),
    ("lib/modern.mjs", "add", "3/10"),
])
def test_functions_of_files(cairn, file, function, expected):
    for name, text in FILES.items():
        cairn.write(name, text)
    got = cairn("run", cairn.flow(f"""
nodes:
  up: {{type: transform, value: 1}}
  job: {{type: code, needs: [up], in: {{n: "3"}}, language: javascript, file: {file}, function: {function}}}
outputs: {{out: job}}
"""), "--json")
    value = out(got)
    if function == "all":
        value = [value[0], sorted(value[1])]
    assert value == expected


@pytest.mark.parametrize("file, function, message", [
    ("lib/plain.js", "none", "lib/plain.js defines no function none"),
    ("lib/plain.js", "add", "add takes n, which is no name this node sees; there are: inputs"),
    ("lib/modern.mjs", "fails", "(lib/modern.mjs, line 5)"),
])
def test_functions_that_fail(cairn, file, function, message):
    for name, text in FILES.items():
        cairn.write(name, text)
    done = cairn("run", cairn.flow(f"""
  job: {{type: code, language: javascript, file: {file}, function: {function}}}
"""), "--json")
    assert done.status == 1 and message in done.json["error"]["message"]


@pytest.mark.skipif(has_types(), reason="this node strips types")
def test_typescript_needs_a_node_that_strips_types(cairn):
    error = flow(cairn, "typescript", "const x: number = 1\nreturn x").json["error"]
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    assert error["type"] == "interpreter"
    assert "22.13 or newer" in error["message"] and version in error["message"]


@pytest.mark.skipif(not has_types(), reason="node strips types from 22.13 on, this one does not")
@pytest.mark.parametrize("more", ["", SHARED.replace("javascript", "typescript")])
def test_typescript(cairn, more):
    def typescript(code):
        return flow(cairn, "typescript", code, more=more)

    assert out(typescript("type P = {v: number}\nconst p = up as P\nreturn p.v + 1")) == 2
    done = typescript("interface P { a: number }\nfunction f(p: P): never {\n"
                "  throw new Error('t')\n}\nf({a: 1})")
    assert done.json["error"]["message"] == "Error: t (flow.yaml, line 12)"
    done = typescript("enum A { b }\nreturn A.b")
    assert "enum is not supported" in done.json["error"]["message"]
    assert "(flow.yaml, line 10)" in done.json["error"]["message"]
    cairn.write("t.mts", "export function twice(n: number): number { return n * 2 }\n")
    got = cairn("run", cairn.flow("""
nodes:
  job: {type: code, in: {n: "4"}, language: typescript, file: t.mts, function: twice}
outputs: {out: job}
"""), "--json")
    assert out(got) == 8
