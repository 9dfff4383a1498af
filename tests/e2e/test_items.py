"""Items of one foreach over Python code share forks: what they share, and what they must not."""

import os
import signal

import pytest
from conftest import PATIENCE, SLOWER
from test_zygote import below, gone


def items(code, top="", count=12, name="job", more="", after=""):
    body = "".join(f"\n      {line}" for line in code.strip("\n").split("\n"))
    return f"""
  {name}:
    type: code
    language: python
    foreach: {{items: "{list(range(count))}", as: n{top}}}{more}
    code: |{body}
{after}
  end: {{type: end, needs: [{name}], value: {name}}}
"""


def run(cairn, text, *more):
    cairn.flow(text)
    return cairn("run", "flow.yaml", "--json", "--quiet", *more).json


def test_few_forks_for_many_items(cairn):
    pids = run(cairn, items("import os\nreturn os.getpid()", count=300))["finalResult"]
    assert len(pids) == 300
    assert len(set(pids)) < 150


def test_each_item_has_its_own_output_and_its_own_end(cairn):
    cairn.flow(items("""
import os, sys
print('out', n)
os.write(2, b'err %d\\n' % n)
sys.stdout.write('rest %d' % n)
if n == 3: raise ValueError('three')
if n == 5: os._exit(7)
if n == 7: os.kill(os.getpid(), 9)
if n == 9: sys.exit(4)
return n * 2
""", top=", on_item_error: collect, concurrency: 3", more="\n    retry: {attempts: 1}"))
    done = cairn("run", "flow.yaml", "--json")
    assert done.json["status"] == "partial"
    bodies = done.json["finalResult"]
    for n in range(12):
        if n not in (3, 5, 7, 9):
            assert bodies[n]["value"] == n * 2
    errors = {s["id"]: s["error"]["message"] for s in done.json["subSteps"] if s.get("error")}
    assert set(errors) == {"job[3]", "job[5]", "job[7]", "job[9]"}
    assert "ValueError: three (flow.yaml, line 15)" in errors["job[3]"]
    assert "exit status 7: err 5" in errors["job[5]"]
    assert "SIGKILL" in errors["job[7]"]
    assert "exit status 4: err 9" in errors["job[9]"]
    assert {s["attempt"] for s in done.json["subSteps"] if s["id"] != "end"} <= {0, 1}
    for n in range(12):
        said = [line for line in done.err.splitlines() if f"step job[{n}] std" in line]
        assert [line.split(": ", 1)[1] for line in said if "stderr" in line] == [f"err {n}"]
        out = "".join(line.split(": ", 1)[1] for line in said if "stdout" in line)
        lost = n in (5, 7)  # what was not written out when the process was gone
        assert out == (f"out {n}" if lost else f"out {n}rest {n}")


def test_what_an_item_prints_is_its_body(cairn):
    assert run(cairn, items("print(n)", top=", concurrency: 2"))["finalResult"] == list(range(12))


def test_nothing_goes_from_one_step_to_the_next(cairn):
    spoil = """
import builtins, json, os, signal, sys, threading, time
seen = [hasattr(builtins, 'mine'), 'LEAK' in os.environ, json.dumps is None, os.getcwd()]
builtins.mine = 1
os.environ['LEAK'] = 'x'
json.dumps = None
os.chdir('/')
sys.path.insert(0, '/leak')
return seen
"""
    text = items(spoil, name="a", after="", top=", concurrency: 2")
    text = text[:text.index("  end:")] + items("""
import json, os, sys, builtins
return [hasattr(builtins, 'mine'), 'LEAK' in os.environ, json.dumps([1]), '/leak' in sys.path, os.getcwd()]
""", name="b", more="\n    needs: [a]")
    text = text.replace("value: b", "value: \"[a, b]\"").replace("needs: [b], value", "needs: [a, b], value")
    a, b = run(cairn, text)["finalResult"]
    here = str(cairn.folder)
    assert b == [[False, False, "[1]", False, here]] * 12
    assert all(row[3] == here for row in a)  # each item starts where the step does


def beside_big(cairn, code):
    """What six items of such code give, which find a list of [1, 2, 3] among their inputs."""
    return run(cairn, f"""
  big: {{type: transform, value: "[1, 2, 3]"}}
  job:
    type: code
    language: python
    needs: [big]
    foreach: {{items: "[1, 2, 3, 4, 5, 6]", as: n, concurrency: 1}}
{code}
  end: {{type: end, needs: [job], value: job}}
""")["finalResult"]


def test_a_module_is_loaded_once_for_its_items(cairn):
    cairn.write("mod.py", "calls = []\nimport os\n"
                          "def work(n, big):\n    calls.append(n)\n    big.append(n)\n"
                          "    return [len(calls), len(big)]\n")
    got = beside_big(cairn, "    file: mod.py\n    function: work")
    assert max(row[0] for row in got) > 1
    assert {row[1] for row in got} == {4}  # a value that an item changes is whole for the next


def test_large_values_that_the_code_does_not_name_are_there(cairn):
    cairn.write("look.py", "import __main__\ndef at(name): return getattr(__main__, name)[2]\n")
    assert beside_big(cairn, "    code: |\n      import look\n      return look.at('b' + 'ig')") == [3] * 6


def test_an_item_that_takes_too_long_ends_alone(cairn):
    done = run(cairn, items("""
import time
if n == 4: time.sleep(1000)
return n
""", top=", on_item_error: collect, concurrency: 2", more=f"\n    timeout: {5 * SLOWER}s\n    retry: {{attempts: 1}}"))
    failed = {s["id"]: s["error"]["type"] for s in done["subSteps"] if s.get("error")}
    assert failed == {"job[4]": "timeout"}
    assert [row.get("value") for row in done["finalResult"]] == [0, 1, 2, 3, None, 5, 6, 7, 8, 9, 10, 11]


def test_items_that_wait_run_side_by_side_up_to_their_concurrency(cairn):
    """Each waits until as many as may are there; one more than that would be seen."""
    got = run(cairn, items("""
import os, time
open(f'{n}.here', 'w').close()
most = 0
while most < 6:
    there = [f for f in os.listdir() if f.endswith('.here')]
    most = max(most, len(there))
    if os.path.exists('enough'): break
    time.sleep(0.01)
open('enough', 'w').close()
time.sleep(0.1)
most = max(most, len([f for f in os.listdir() if f.endswith('.here')]))
os.remove(f'{n}.here')
return most
""", top=", concurrency: 6", count=18))["finalResult"]
    assert max(got) == 6


def test_what_an_item_leaves_is_gone_before_it_is_over(cairn):
    got = run(cairn, items("""
import os, threading, time
left = os.path.exists('busy')
folder = os.environ['CAIRN_STEP_DIR']
files = os.listdir(folder)
open(folder + '/file', 'w').close()
def beat():
    open('busy', 'w').close()
    time.sleep(1000)
threading.Thread(target=beat, daemon=True).start()
if not os.fork():
    time.sleep(1000)
    os._exit(0)
while not os.path.exists('busy'): time.sleep(0.01)
os.remove('busy')
return [files, left, len(os.listdir('/proc/self/task')), os.getpid()]
""", top=", concurrency: 1", count=4))["finalResult"]
    assert [row[:2] for row in got] == [[[], False]] * 4
    assert len({row[3] for row in got}) == 4  # none of these forks had another item


def test_what_left_its_parents_is_gone_before_an_item_is_tried_again(cairn):
    got = run(cairn, items("""
import os, time
def alive(pid):
    try: return open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0] != 'Z'
    except OSError: return False
if os.path.exists(f'{n}.pid'):
    return alive(int(open(f'{n}.pid').read()))
pid = os.fork()
if not pid:
    os.setsid()
    if os.fork(): os._exit(0)
    with open(f'{n}.new', 'w') as f: f.write(str(os.getpid()))
    os.rename(f'{n}.new', f'{n}.pid')
    time.sleep(1000)
os.waitpid(pid, 0)
while not os.path.exists(f'{n}.pid'): time.sleep(0.01)
raise ValueError('again')
""", count=3, more="\n    retry: {attempts: 2, backoff: 1ms, on: [any]}"))["finalResult"]
    assert got == [False] * 3


ONE = ", concurrency: 1, on_item_error: collect"
ONCE = "\n    timeout: 20s\n    retry: {attempts: 1}"


@pytest.mark.parametrize("spoil", [
    "sys.stdout = io.StringIO()",
    "sys.stdout.close()",
    "os.dup2(os.open('/dev/null', os.O_WRONLY), 1)",
    "signal.setitimer(signal.ITIMER_REAL, 0.1)",
    "os.umask(0)",
])
def test_what_an_item_does_to_its_process_meets_no_other(cairn, spoil):
    bodies = run(cairn, items(f"""
import io, os, signal, sys, time
if n == 1:
    {spoil}
    return 1
if n == 2: time.sleep(0.2)
print(n + os.umask(0o77) - 0o77)
""", top=ONE, count=4, more=ONCE))["finalResult"]
    assert [row.get("value") for row in bodies] == [0, 1, 2, 3]


@pytest.mark.parametrize("spoil, failed", [
    ("os.write(3, b'x' * 100)", "Bad file descriptor"),
    ("os.write(3, bytes((0, 16, 0, 0)))", "Bad file descriptor"),
    ("os.closerange(3, 256)", "closed a descriptor that is not its own"),
    ("os.closerange(3, 256); sys.kept = [open('/dev/null', 'w') for _ in range(4)]",
     "closed a descriptor that is not its own"),
    ("[os.write(fd, b'x' * 100) for fd in range(3, 9) if stat.S_ISFIFO(mode(fd))]", ""),
    ("[os.write(fd, bytes((0, 16, 0, 0))) for fd in range(3, 9) if stat.S_ISFIFO(mode(fd))]", ""),
])
def test_what_an_item_does_to_the_descriptors_of_its_process_is_its_own_failure(cairn, spoil, failed):
    done = run(cairn, items(f"""
import os, stat, sys
def mode(fd):
    try: return os.fstat(fd).st_mode
    except OSError: return 0
if n == 1: {spoil}
return n
""", top=ONE, count=4, more=ONCE))
    assert [row.get("value") for row in done["finalResult"]] == [0, None, 2, 3]
    assert failed in done["finalResult"][1]["error"]["message"]


def test_a_fork_that_an_item_makes_does_not_answer_for_it(cairn):
    bodies = run(cairn, items("""
import os, time
if n == 1:
    pid = os.fork()
    if not pid:
        while time.process_time() < 0.3: pass
        return 'child'
    os.waitpid(pid, 0)
    return 'parent'
return n
""", top=ONE, count=4, more=ONCE))["finalResult"]
    assert [row.get("value") for row in bodies] == [0, "parent", 2, 3]


@pytest.mark.parametrize("given", [0, 1])
def test_a_variable_of_one_item_is_not_there_for_the_next(cairn, given):
    bodies = run(cairn, items("import os\nreturn [os.environ.get('TOKEN'), os.environ['TMPDIR'] == 'mine']",
                              top=ONE, count=4, more=f"""
    env:
      TOKEN: "{{{{ n == {given} ? 'secret' : null }}}}"
      TMPDIR: "{{{{ n == {given} ? 'mine' : null }}}}\""""))["finalResult"]
    assert [row["value"] for row in bodies] == [["secret", True] if n == given else [None, False] for n in range(4)]


def test_variables_are_those_of_the_item(cairn):
    got = run(cairn, items("""
import os, sys
return [os.environ['CAIRN_STEP'], os.environ['CAIRN_IDEMPOTENCY_KEY'].split('/')[1],
        os.environ['OWN'], os.environ['CAIRN_ATTEMPT_NUMBER'], sys.stdin.read()]
""", more="\n    env: {OWN: \"v{{ n }}\"}"))["finalResult"]
    assert got == [[f"job[{n}]", f"job[{n}]", f"v{n}", "1", ""] for n in range(12)]


def test_a_flood_of_one_item_is_cut_and_no_other(cairn):
    cairn.flow(items("""
print('begin', n)
if n == 2:
    for _ in range(3 << 20 >> 10): print('x' * 1023)
return n
""", count=5, top=", concurrency: 1"))
    done = cairn("run", "flow.yaml", "--json")
    assert done.json["finalResult"] == list(range(5))
    for n in range(5):
        said = cairn("logs", done.json["id"], f"job[{n}]").out
        assert f"begin {n}" in said
        assert ("longer than 1 MiB" in said) == (n == 2)
        assert ("xxxx" in said) == (n == 2)


SLOW = items("""
import os, time
with open(f'ran.{n}', 'a') as f: f.write('x')
if n == 5:
    print('up', flush=True)
    while not os.path.exists('go'): time.sleep(0.01)
return n
""", top=", concurrency: 1", more="\n    retry: {attempts: 1}")


def kill_at_five(cairn, text):
    cairn.flow(text)
    running = cairn.start("run", "flow.yaml", "--json")
    running.wait_for("up")
    running.send(signal.SIGKILL)
    running.child.wait(PATIENCE)
    open(cairn.folder / "go", "w").close()
    done = cairn("resume", running.id, "--json", "--quiet").json
    ran = {n: os.path.getsize(cairn.folder / f"ran.{n}") for n in range(12)
           if os.path.exists(cairn.folder / f"ran.{n}")}
    return done, ran


def test_who_goes_on_repeats_the_item_under_way_alone(cairn):
    done, ran = kill_at_five(cairn, SLOW)
    assert done["finalResult"] == list(range(12))
    assert ran == {**{n: 1 for n in range(12)}, 5: 2}


def test_at_most_once_holds_for_an_item(cairn):
    done, ran = kill_at_five(cairn, SLOW.replace("retry: {attempts: 1}", "delivery: at_most_once"))
    failed = {s["id"]: s["error"]["type"] for s in done["subSteps"] if s.get("error") and "[" in s["id"]}
    assert failed == {"job[5]": "in_doubt"}
    assert set(ran.values()) == {1}


def test_cancel_ends_items_and_forks(cairn):
    cairn.flow(SLOW)
    running = cairn.start("run", "flow.yaml", "--json")
    running.wait_for("up")
    tree = list(below(running.child.pid))
    assert cairn("cancel", running.id).status == 0
    assert running.finish().status == 1
    gone(tree)
    assert not os.path.exists(cairn.folder / "ran.6")
