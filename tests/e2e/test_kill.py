"""kill -9 at random moments: nothing that was completed runs again, and the result is the same.

The seed is printed; CAIRN_SEED=N runs the same once more, CAIRN_LONG=1 runs ten times as many.
"""

from conftest import Cairn
from killer import LONG, Onlooker, Victim, chance, parallel

RUN = 'echo "$CAIRN_IDEMPOTENCY_KEY" >> log'

LOOP = f"""vars: {{sum: 0}}
nodes:
  work:
    type: code
    needs: [enough.false]
    max_iterations: 20
    language: sh
    code: '{RUN}; echo 3'
    set: {{sum: vars.sum + work}}
  enough: {{type: condition, needs: [work], when: nodes.work.iteration >= 7}}
  done: {{type: end, needs: [enough.true], value: vars.sum}}
"""
FOREACH = f"""
  page:
    type: code
    foreach: {{items: "[1, 2, 3, 4, 5, 6, 7, 8, 9]", as: n, concurrency: 3}}
    language: sh
    code: '{RUN}; sleep 0.01; echo $((n * n))'
  sum: {{type: code, needs: [page], language: sh, code: '{RUN}; echo 1'}}
  done: {{type: end, needs: [sum], value: "[page, sum]"}}
"""
RETRIES = f"""
  flaky:
    type: code
    foreach: {{items: "[5, 6, 7]", as: n}}
    language: sh
    retry: {{attempts: 4, backoff: 10ms, factor: 1, jitter: 0}}
    code: 'test "$CAIRN_ATTEMPT_NUMBER" -ge 3 || exit 9; {RUN}; echo $n'
  hopeless:
    type: code
    language: sh
    retry: {{attempts: 2, backoff: 10ms}}
    code: 'exit 3'
  instead: {{type: code, needs: [hopeless.error], language: sh, code: '{RUN}; echo 8'}}
  done: {{type: end, needs: [flaky, instead], value: "flaky + [instead]"}}
"""
CHILD = f"""cairn: 1
name: child
inputs: {{n: {{type: integer}}}}
nodes:
  first: {{type: code, language: sh, in: {{n: inputs.n}}, code: '{RUN}; echo $((n + 1))'}}
  second:
    type: code
    needs: [first]
    language: sh
    in: {{n: first}}
    code: '{RUN}; echo $((n * 2))'
outputs: {{n: second}}
"""
SUB = """
  part: {type: workflow, foreach: {items: "[1, 2, 3]", as: n}, workflow: child.yaml, inputs: {n: n}}
  more: {type: workflow, needs: [part], workflow: child.yaml, inputs: {n: "{{ part[2].n }}"}}
  done: {type: end, needs: [more], value: "part.map(p, p.n) + [more.n]"}
"""
WAITS = f"""
  nap: {{type: wait, for: 60ms}}
  ask: {{type: ask, prompt: "Well?", timeout: 90ms, on_timeout: {{value: nobody}}}}
  after: {{type: code, needs: [nap], language: sh, code: '{RUN}; echo 1'}}
  last: {{type: code, needs: [after, ask], language: sh, code: '{RUN}; echo 2'}}
  nap_again: {{type: wait, needs: [last], for: 30ms}}
  done: {{type: end, needs: [nap_again, ask], value: "[after, last, ask]"}}
"""
NAMED = f"""finally: [tidy, last]
nodes:
  each:
    type: code
    foreach: {{items: "[1, 2, 3]", as: n}}
    language: sh
    code: 'sleep 0.02; test $n != 2 && echo $n'
    on_error: {{value: "[]"}}
    fallback: instead
  instead: {{type: code, language: sh, code: '{RUN}; sleep 0.02; exit 4', fallback: better}}
  better: {{type: code, language: sh, in: {{n: step.id.size()}}, code: '{RUN}; sleep 0.02; echo $n'}}
  ask: {{type: ask, prompt: "Well?", timeout: 60ms, on_timeout: chief}}
  chief: {{type: wait, for: 40ms, fallback: nobody}}
  nobody: {{type: transform, value: 0}}
  tidy: {{type: code, language: sh, code: '{RUN}; sleep 0.02'}}
  last: {{type: code, language: sh, in: {{how: execution.outcome}}, code: '{RUN}; sleep 0.02; echo $how'}}
  done: {{type: end, needs: [each, ask], value: "[each, nodes.each.meta.fallback]"}}
"""
UNDONE = f"""recover: compensate
finally: last
nodes:
  first: {{type: code, language: sh, code: '{RUN}; sleep 0.02; echo 1', compensate: un_first}}
  each:
    type: code
    needs: [first]
    foreach: {{items: "[1, 2, 3]", as: n, concurrency: 1}}
    language: sh
    code: '{RUN}; sleep 0.01; echo $n'
    compensate: un_each
  pay: {{type: code, needs: [each], language: sh, code: 'exit 3'}}
  un_first: {{type: code, language: sh, code: '{RUN}; sleep 0.02'}}
  un_each: {{type: code, language: sh, code: '{RUN}; sleep 0.02'}}
  last: {{type: code, language: sh, code: '{RUN}; sleep 0.02'}}
"""
FLOWS = {
    "loop": (LOOP, 24),
    "foreach": (FOREACH, [[n * n for n in range(1, 10)], 1]),
    "retries": (RETRIES, [5, 6, 7, 8]),
    "sub": (SUB, [4, 6, 8, 18]),
    "named": (NAMED, [7, "instead"]),
    "undone": (UNDONE, None, "failed"),
    "waits": (WAITS, [1, 2, "nobody"]),
}


def place(folder, name):
    folder.mkdir()
    cairn = Cairn(folder)
    cairn.write("child.yaml", CHILD)
    cairn.flow(FLOWS[name][0])
    return cairn


def kill_often(cairn, name, kills):
    """Executions of one workflow, one after the other, until so many kills have struck."""
    dice = chance("kill", name)
    struck = noted = 0
    while struck < kills:
        victim = Victim(cairn, dice, ["flow.yaml"], f"{name}-{struck}")
        done = victim.live(dice.uniform(0, 0.12) for _ in range(kills - struck))
        result, status = (*FLOWS[name][1:], "completed")[:2]
        assert (done["status"], done["finalResult"]) == (status, result), (name, done)
        victim.check_log()
        struck, noted = struck + victim.kills, noted + len(victim.seen)
    assert noted > kills / 4  # else the moments were none at which there was something to lose
    assert cairn("db", "check", "--all").status == 0


def test_killed_at_200_random_moments(tmp_path):
    kills = 400 if LONG else 40
    parallel(lambda name: kill_often(place(tmp_path / name, name), name, kills), FLOWS)


def test_killed_while_others_look_on(tmp_path):
    """The first that opens a store after its only process was killed has to mend its log; the
    others wait for that and are told nothing of it."""
    cairn = place(tmp_path / "waits", "waits")
    assert cairn("run", "flow.yaml", "-q").status == 0
    kills = 200 if LONG else 15
    with Onlooker(cairn) as onlooker:
        kill_often(cairn, "waits", kills)
    assert not onlooker.failures, onlooker.failures
    assert onlooker.looks > kills
