"""Python steps are forks of a zygote: what is left when something is killed, and many at once."""

import os
import signal
import time

from conftest import PATIENCE, until
from test_hostile_code import left_over

WAITING = """nodes:
  first: {type: code, language: python, code: "return 1"}
  job:
    type: code
    language: python
    needs: [first]
    retry: {attempts: 2, backoff: 10ms}
    code: |
      import os, subprocess, sys
      if not os.fork():
          os.setsid()
          if os.fork(): os._exit(0)
          os.execvp('sleep', ['sleep', '1000'])
      if not os.fork():
          os.setsid()
          print('up', file=sys.stderr, flush=True)
          import time
          time.sleep(1000)
      return open('go').read()
  after:
    type: code
    language: python
    needs: [job]
    code: |
      import os
      return [job, b'fork_twice' in open('/proc/self/cmdline', 'rb').read()]
outputs: {out: after}
"""


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rpartition(")")[2].split()[1])


def processes():
    """{pid: (parent, command line)} of all that live."""
    found = {}
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                with open(f"/proc/{name}/cmdline", "rb") as f:
                    found[int(name)] = (parent_of(name), f.read())
        except OSError:
            pass
    return found


def below(pid):
    """All that descend from it."""
    every = processes()
    tree, grown = {pid}, True
    while grown:
        more = {p for p, (parent, _) in every.items() if parent in tree} - tree
        tree, grown = tree | more, bool(more)
    return {p: every[p][1] for p in tree - {pid} if p in every}


def forks_of(host):
    """The pythons below the host's launcher that are no step: the zygote and its spares."""
    found = []
    for pid, line in below(host).items():
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                found += [pid] if b"fork_twice" in line and b"CAIRN_STEP=" not in f.read() else []
        except OSError:
            pass  # it has ended
    assert found
    return found


def zygote_of(host):
    """It is older than all its spares."""
    return min(forks_of(host), key=lambda pid: int(stat_of(pid)[19]))


def stat_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()


def gone(pids):
    def check():
        return not any(os.path.exists(f"/proc/{pid}") and
                       open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
                       for pid in pids)
    until(check, "something is left")


def start(cairn):
    cairn.flow(WAITING)
    os.mkfifo(cairn.folder / "go")
    running = cairn.start("run", "flow.yaml", "--json")
    running.wait_for("up")
    return running


def let_go(cairn):
    with open(cairn.folder / "go", "w") as f:
        f.write("gone")


def test_nothing_is_left_of_a_killed_host(cairn):
    running = start(cairn)
    tree = below(running.child.pid)
    assert len(tree) >= 5  # launcher, zygote, the step, its two daemons
    running.send(signal.SIGKILL)
    running.child.wait(PATIENCE)
    gone(tree)


def test_who_takes_over_finds_what_host_and_launcher_left(cairn):
    running = start(cairn)
    launcher = next(p for p in below(running.child.pid) if parent_of(p) == running.child.pid)
    tree = set(below(running.child.pid)) - {launcher}
    os.kill(launcher, signal.SIGSTOP)  # or it would do its work
    running.send(signal.SIGKILL)
    os.kill(launcher, signal.SIGKILL)
    running.child.wait(PATIENCE)
    id = running.id
    until(lambda: len(left_over(id)) >= 3)  # the step and both daemons
    taken = cairn.start("resume", id, "--json")
    taken.wait_for("up")
    gone(tree)
    let_go(cairn)
    assert taken.finish().json["outputs"]["out"] == ["gone", True]


def test_a_killed_zygote_harms_no_step(cairn):
    running = start(cairn)
    zygote = zygote_of(running.child.pid)
    os.kill(zygote, signal.SIGKILL)
    gone([zygote])
    let_go(cairn)
    done = running.finish().json
    assert done["outputs"]["out"][0] == "gone"  # by a fork or without
    assert [s["attempt"] for s in done["subSteps"]] == [1, 1, 1]


def test_after_a_killed_zygote_there_is_a_new_one(cairn):
    cairn.flow("""
  first: {type: code, language: python, code: "return 0"}
  a: {type: code, needs: [first], language: python, code: "import os; print('up'); open('go').read()"}
  b: {type: code, needs: [a], language: python, code: "return 1"}
  c:
    type: code
    needs: [b]
    language: python
    code: "return b'fork_twice' in open('/proc/self/cmdline', 'rb').read()"
  end: {type: end, needs: [c], value: c}
""")
    os.mkfifo(cairn.folder / "go")
    running = cairn.start("run", "flow.yaml", "--json")
    running.wait_for("up")
    os.kill(zygote_of(running.child.pid), signal.SIGKILL)
    let_go(cairn)
    assert running.finish().json["finalResult"] is True


def kill_spares(host, zygote):
    """All of them, also those that a fork of the zygote is still making."""
    quiet = time.monotonic() + 0.3
    while time.monotonic() < quiet:
        spares = [pid for pid in forks_of(host) if pid != zygote]
        for pid in spares:
            os.kill(pid, signal.SIGKILL)
            quiet = time.monotonic() + 0.3
        gone(spares)
        time.sleep(0.01)


def test_a_zygote_that_does_not_answer_is_killed_with_what_it_was_asked_for(cairn):
    """It is stopped when a step wants a fork and there is no spare. The step's timeout ends that
    attempt; a zygote that dies meanwhile gives the step back, which then runs without."""
    cairn.flow("""
  first: {type: code, language: python, code: "return 0"}
  a: {type: code, needs: [first], language: python, code: "import os; print('up'); open('go').read()"}
  b: {type: code, needs: [a], language: python, timeout: 500ms, retry: {attempts: 1}, code: "import os; return 1"}
  c: {type: code, needs: [b.error], language: python, code: "import os; return 2"}
  end: {type: end, needs: [c], value: c}
""")
    os.mkfifo(cairn.folder / "go")
    running = cairn.start("run", "flow.yaml", "--json")
    running.wait_for("up")
    zygote = zygote_of(running.child.pid)
    os.kill(zygote, signal.SIGSTOP)
    kill_spares(running.child.pid, zygote)
    let_go(cairn)
    running.wait_for("b failed")
    running.wait_for("c started")
    os.kill(zygote, signal.SIGKILL)
    done = running.finish().json
    assert done["finalResult"] == 2
    b = next(s for s in done["subSteps"] if s["id"] == "b")
    assert b["error"]["type"] == "timeout"


def test_a_killed_spare_harms_no_step(cairn):
    """What waits to become a step is killed; those that follow get others."""
    cairn.flow("""
  first: {type: code, language: python, code: "return 0"}
  a: {type: code, needs: [first], language: python, code: "import os; print('up'); open('go').read()"}
  b:
    type: code
    needs: [a]
    foreach: {items: "[1, 2, 3, 4, 5]", as: n, concurrency: 5}
    language: python
    code: "return n"
  end: {type: end, needs: [b], value: b}
""")
    os.mkfifo(cairn.folder / "go")
    running = cairn.start("run", "flow.yaml", "--json")
    running.wait_for("up")
    zygote = zygote_of(running.child.pid)
    until(lambda: len(forks_of(running.child.pid)) > 1, "no spare")
    spares = [pid for pid in forks_of(running.child.pid) if pid != zygote]
    for pid in spares:
        os.kill(pid, signal.SIGKILL)
    gone(spares)
    let_go(cairn)
    done = running.finish().json
    assert done["finalResult"] == [1, 2, 3, 4, 5]
    assert max(s["attempt"] for s in done["subSteps"]) == 1


def test_twenty_at_a_time(cairn):
    items = [1] * 200
    cairn.flow(f"""
  job:
    type: code
    foreach: {{items: "{items}", as: n, concurrency: 20}}
    language: python
    code: |
      import json, os
      os.environ['N'] = json.dumps(index)
      return [index, os.environ['N'], os.getpid()]
  end: {{type: end, needs: [job], value: job}}
""")
    got = cairn("run", "flow.yaml", "--json", "--quiet").json["finalResult"]
    assert [row[:2] for row in got] == [[n, str(n)] for n in range(200)]
    assert len({row[2] for row in got}) > 1


def test_an_idle_zygote_costs_nothing(cairn):
    running = start(cairn)
    zygote = zygote_of(running.child.pid)

    def used():
        every = forks_of(running.child.pid)
        for pid in every:
            with open(f"/proc/{pid}/status") as f:
                switches = [line for line in f if "ctxt_switches" in line]
            yield pid, stat_of(pid)[11:15], switches

    until(lambda: all(stat_of(pid)[0] == "S" for pid in forks_of(running.child.pid)), "it works")
    before = list(used())
    for _ in range(20):
        assert cairn("list").status == 0  # something that takes a while
    assert list(used()) == before
    let_go(cairn)
    assert running.finish().status == 0
    gone([zygote])


def test_a_cancelled_fork_is_gone(cairn):
    running = start(cairn)
    tree = [p for p in below(running.child.pid)]
    assert cairn("cancel", running.id).status == 0
    assert running.finish().status == 1
    gone(tree)


def test_preload_is_for_the_whole_file(cairn):
    cairn.write("flow.yaml", """cairn: 1
preload: [decimal]
nodes:
  inner:
    type: workflow
    workflow:
      nodes:
        job: {type: code, language: python, code: "import sys; return 'decimal' in sys.modules"}
      outputs: {out: job}
outputs: {out: inner.out}
""")
    assert cairn("run", "flow.yaml", "--json", "--quiet").json["outputs"]["out"] is True
