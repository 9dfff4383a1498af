"""Python steps whose code reaches nothing outside share a process: what they share, and what not."""

import os
import signal

import pytest
from chained import chained
from conftest import SLOWER, until
from killer import query
from test_zygote import below

BUSY = "for i in range(3000000): pass"  # long enough for its process to be recorded
PLAIN = "return 1"


def chain(cairn, *codes, **more):
    return chained(cairn, "python", *codes, **more)


def processes_of(cairn):
    """{step: its processes}, each as the journal has it: pid and start time."""
    found = {}
    for step, body in query(cairn.store, "SELECT step, body FROM journal WHERE event = 'step_process'"):
        found.setdefault(step, []).append(body)
    return found


def test_steps_share_a_process(cairn):
    assert chain(cairn, BUSY, BUSY, BUSY).status == 0
    used = processes_of(cairn)
    assert sorted(used) == ["s0", "s1", "s2"]
    assert used["s0"] == used["s1"] == used["s2"]


@pytest.mark.parametrize("code", ["import math\n" + BUSY, BUSY + "  # import", BUSY + "\nreturn str(vars)"])
def test_code_that_may_reach_out_has_its_own(cairn, code):
    assert chain(cairn, BUSY, code, BUSY).status == 0
    used = processes_of(cairn)
    assert used["s0"] == used["s2"] != used["s1"]


@pytest.mark.parametrize("more", ["    env: {A: b}\n", "    files: {a: b}\n", "    expect_exit: [0, 1]\n"])
def test_what_a_shared_process_cannot_have(cairn, more):
    assert chain(cairn, BUSY, BUSY, more=more).status == 0
    used = processes_of(cairn)
    assert used["s0"] != used["s1"]


def test_nothing_goes_from_one_step_to_the_next(cairn):
    done = chain(cairn, "global leak\nleak = 1\nprint = None\ndef helper(): return 2\nreturn helper()", """try: leak
except NameError: print('no leak')
try: return helper()
except NameError as e: return [str(e), s0]""")
    assert done.json["finalResult"] == [2, ["name 'helper' is not defined", 2]]
    assert "s1 stdout: no leak" in done.err


def test_values_cross(cairn):
    done = chain(cairn, "return {'a': [None, True, 1.5, 2 ** 62, b'\\x00\\xff', '\\u00e9']}",
                 "return [s0['a'][4] == b'\\x00\\xff', s0['a'][3] - 2 ** 62, s0['a'][5] == chr(233)]",
                 "print('{\"printed\": 1}')", "print('text')", "pass", "return inputs")
    assert done.json["finalResult"][1:] == [[True, 0, True], {"printed": 1}, "text", None, {}]


def test_what_a_step_prints_is_its_own(cairn):
    done = chain(cairn, "print('from zero')\nprint('unfinished', end='')", "print('from one')")
    assert done.json["finalResult"] == ["from zero\nunfinished", "from one"]
    assert "s0 stdout: unfinished" in done.err and "s1 stdout: from one" in done.err


def with_trouble(cairn, code, more="label: bad", start=None):
    """A step before one that goes wrong, and one that goes on from there."""
    cairn.flow(f"""nodes:
  before: {{type: code, language: python, code: "{BUSY}"}}
  bad:
    type: code
    language: python
    needs: [before]
    {more}
    code: |
      {code}
  after:
    type: code
    language: python
    needs: [bad.error]
    code: |
      {BUSY}
      return bad
  end: {{type: end, needs: [after], value: after}}
""")
    return (start or cairn)("run", "flow.yaml", "--json")


@pytest.mark.parametrize("code, message", [
    (BUSY + "\n      return 1 / 0", "ZeroDivisionError: division by zero (flow.yaml, line 12)"),
    ("def f(", "SyntaxError: '(' was never closed (flow.yaml, line 11)"),
    ("return {1, 2}", "cannot return a value of type set"),
    ("return 'x' * 70000000", "wrote more than 67108864 bytes (max_output_bytes)"),
])
def test_a_failure_says_where_and_ends_its_process(cairn, code, message):
    done = with_trouble(cairn, code)
    assert message in done.json["finalResult"]["message"]
    used = processes_of(cairn)
    assert used["before"] != used["after"]
    assert used.get("bad", used["before"]) == used["before"]


def test_a_flood_is_its_steps_failure(cairn):
    done = with_trouble(cairn, "print('x' * 70000000)")
    assert "wrote more than 67108864 bytes (max_output_bytes)" in done.json["finalResult"]["message"]


def test_a_step_that_takes_too_long_ends_alone(cairn):
    done = with_trouble(cairn, "while True: pass", f"timeout: {SLOWER * 500}ms")
    assert done.json["finalResult"]["type"] == "timeout"
    used = processes_of(cairn)
    assert used["before"] == used["bad"] != used["after"]


def test_steps_at_the_same_time_have_one_each(cairn):
    assert chain(cairn, BUSY, BUSY, BUSY, side_by_side=True).status == 0
    assert len({p[0] for p in processes_of(cairn).values()}) > 1


def test_a_killed_process_fails_its_step_alone(cairn):
    child = with_trouble(cairn, "while True: pass", start=cairn.start)
    child.wait_for("step bad started")
    until(lambda: "bad" in processes_of(cairn), "it is not recorded")
    os.kill(next(pid for pid in below(child.child.pid) if is_busy(pid)), signal.SIGKILL)
    done = child.finish()
    assert "killed by signal 9" in done.json["finalResult"]["message"]


def is_busy(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0] == "R"


def test_executions_share_a_process(cairn):
    cairn.write("child.yaml", f"cairn: 1\nname: child\nnodes:\n"
                f"  a: {{type: code, language: python, code: \"{BUSY}\"}}\n"
                f"  b: {{type: code, language: python, needs: [a], code: \"{BUSY}\"}}\n")
    cairn.flow("nodes:\n  one: {type: workflow, workflow: child.yaml}\n"
               "  two: {type: workflow, workflow: child.yaml, needs: [one]}\n")
    assert cairn("run", "flow.yaml").status == 0
    used = processes_of(cairn)
    assert len(used["a"]) == len(used["b"]) == 2
    assert len(set(used["a"] + used["b"])) == 1


def test_a_process_is_not_kept_for_ever(cairn):
    """After a thousand steps there is another one."""
    assert chain(cairn, BUSY, *[PLAIN] * 998, BUSY, BUSY).status == 0
    used = processes_of(cairn)
    assert used["s0"] == used["s999"] != used["s1000"]


def test_few_wait_for_a_step(cairn):
    """Executions that wait for something else keep few processes for JavaScript, all together."""
    cairn.write("child.yaml", "cairn: 1\nname: child\nnodes:\n"
                "  a: {type: code, language: javascript, code: \"return 1\"}\n"
                f"  nap: {{type: wait, needs: [a], for: {SLOWER * 900}ms}}\n"
                "  b: {type: code, language: javascript, needs: [a, nap], code: \"return a + 1\"}\n")
    cairn.flow("nodes:\n  each:\n    type: workflow\n    workflow: child.yaml\n"
               f"    foreach: {{items: \"{list(range(14))}\", as: n}}\n")
    child = cairn.start("run", "flow.yaml", "--json")
    child.wait_for("created")
    until(lambda: completed(cairn) >= 14, "the first steps do not end")
    until(lambda: nodes_below(child.child.pid) == 8, "more are kept, or less")
    assert completed(cairn) < 28
    assert child.finish().status == 0
    assert completed(cairn) == 28


def completed(cairn):
    rows = query(cairn.store, "SELECT count(*) FROM journal WHERE event = 'step_completed' AND step IN ('a', 'b')")
    return rows[0][0]


def nodes_below(pid):
    return len([line for line in below(pid).values() if line.startswith(b"node\0")])
