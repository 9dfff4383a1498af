"""Budgets: what is used counts over the whole tree and every owner, a question before more is used."""

import signal

import pytest
from conftest import ID
from chat_server import ChatServer, say
from held import release

AGENT = """
agents:
  w: {service: offline, replies: [one two three], price: {input: 100, output: 200}, params: {max_tokens: 10}}
"""
TEN = AGENT + """
budget: {%s}
nodes:
  ask: {type: agent, agent: w, prompt: "hello you {{ item }}", foreach: {items: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]%s}}
  e: {type: end, needs: [ask], value: "size(ask.filter(x, x != null))"}
"""
TREE = AGENT + """
budget: {usd: 0.0025}
nodes:
  first: {type: agent, agent: w, prompt: hello you two}
  kid:
    type: workflow
    needs: [first]
    workflow:
      name: kid
      agents:
        w: {service: offline, replies: [one two three], price: {input: 100, output: 200}, params: {max_tokens: 9}}
      nodes:
        a: {type: agent, agent: w, prompt: hello you two}
        e: {type: end, needs: [a], value: a}
  e: {type: end, needs: [kid], value: kid}
"""


def budget(cairn, of="@last"):
    return cairn("results", of, "--json").json["budget"]


def test_it_asks_before_it_would_exceed_and_an_answer_allows_more(cairn):
    cairn.flow(TEN % ("llm_calls: 3", ""))
    left = cairn("run", "flow.yaml")
    assert left.status == 3
    assert "over the budget of 3 llm_calls: 3 used" in left.err
    assert budget(cairn) == {"llm_calls": {"limit": 3, "used": 3, "reserved": 0}}
    waiting = cairn("list", "--waiting", "--json").json["items"]
    assert [w["step"] for w in waiting] == [f"ask[{i}]" for i in range(3, 10)]
    assert waiting[0]["request"]["account"] == {"limit": 3, "used": 3, "reserved": 0, "asked": 1}
    assert "budget: 3 of 3 llm_calls used" in cairn("explain", "@last").out
    refused = cairn("answer", "@last", "ask[3]", "a lot")
    assert refused.status == 2 and "how much more, or fail" in refused.err
    more = cairn("answer", "@last", "ask[3]", '{"llm_calls": 2}')
    assert more.status == 3 and "over the budget of 5 llm_calls: 5 used" in more.err
    open_step = cairn("list", "--waiting", "--json").json["items"][0]["step"]
    done = cairn("answer", "@last", open_step, "+5")
    assert (done.status, done.out) == (0, "10\n")
    assert budget(cairn) == {"llm_calls": {"limit": 10, "used": 10, "reserved": 0}}


def test_it_may_fail_instead(cairn):
    cairn.flow(TEN % ("usd: 0.005, on_exceed: fail", ", on_item_error: collect"))
    done = cairn("run", "flow.yaml", "--json")
    assert done.json["status"] == "partial"
    steps = cairn("results", "@last", "--json").json["subSteps"]
    made = [s for s in steps if s["index"] is not None and s["status"] == "completed"]
    lost = [s for s in steps if s["index"] is not None and s["status"] == "failed"]
    assert len(made) + len(lost) == 10 and lost
    assert all(s["error"]["type"] == "budget" for s in lost)
    assert abs(sum(s["usage"]["costUsd"] for s in made) - budget(cairn)["usd"]["used"]) < 1e-9
    assert budget(cairn)["usd"]["used"] <= 0.005
    again = cairn("answer", "@last", "ask", "fail")
    assert again.status != 0


def test_an_answer_that_says_fail_ends_it(cairn):
    cairn.flow(TEN % ("steps: 2", ""))
    assert cairn("run", "flow.yaml").status == 3
    done = cairn("answer", "@last", "ask[2]", "fail")
    assert done.status == 1
    assert cairn("results", "@last", "--json").json["error"]["type"] == "budget"


def test_the_command_line_goes_before_the_workflow(cairn):
    cairn.flow(TEN % ("llm_calls: 0", ""))
    done = cairn("run", "flow.yaml", "--budget", "llm_calls=20,usd=5,time=10m")
    assert (done.status, done.out) == (0, "10\n")
    kept = budget(cairn)
    assert kept["llm_calls"] == {"limit": 20, "used": 10, "reserved": 0}
    assert kept["usd"]["limit"] == 5.0 and kept["time"]["limit"] == 600
    left = cairn("run", "flow.yaml", "--budget", "on_exceed=fail")
    assert left.status == 1 and "over the budget of 0 llm_calls" in left.err


def test_a_sub_workflow_asks_for_the_budget_of_its_parent(cairn):
    cairn.flow(TREE)
    left = cairn("run", "flow.yaml")
    assert left.status == 3
    root = ID.search(left.err).group()
    assert f"over the budget of $0.0025 usd of execution {root}: $0.0009 used, up to $0.0021" in left.err
    waiting = cairn("list", "--waiting", "--json").json["items"]
    assert len(waiting) == 1 and waiting[0]["execution"] != root
    done = cairn("answer", waiting[0]["execution"], "a", "$0.01")
    assert (done.status, done.out) == (0, "one two three\n")
    assert budget(cairn, root) == {"usd": {"limit": 0.0125, "used": 0.0018, "reserved": 0.0}}
    assert cairn("db", "check").status == 0


BELOW = """
cairn: 1
name: flow
%s
nodes:
  mid:
    type: workflow
    workflow:
      name: over the budget of 3 llm_calls
      %s
      nodes:
        low:
          type: workflow
          workflow:
            name: low
            %s
            agents: {w: {service: offline, replies: [one two three]}}
            nodes:
              a: {type: agent, agent: w, prompt: hello, foreach: {items: [1, 2], concurrency: 1}}
"""


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_budget_exceeded_below_is_raised_where_it_stands(cairn, at):
    own = ["budget: {llm_calls: 1, on_exceed: fail}" if i == at else "" for i in range(3)]
    cairn.write("flow.yaml", BELOW % tuple(own))
    done = cairn("run", "flow.yaml")
    root = cairn("list", "--json").json["items"][0]["id"]
    plain = f"cairn retry {root}\n"
    told = cairn("explain", root, "--json").json["remedies"]
    retries = [r for r in told if r.startswith("cairn retry")]
    mended = f"cairn retry {root} --workflow "
    assert done.status == 1 and plain not in done.err and retries[-1] == f"{mended}{cairn.folder}/flow.yaml"
    if at == 0:
        more = f"cairn retry {root} --budget llm_calls=AMOUNT"
        assert f"    try again: {more}\n" in done.err and retries[:-1] == [more]
        again = more.replace("AMOUNT", "9")
    else:
        assert "try again" not in done.err and f"    after mending it: {mended}flow.yaml\n" in done.err
        assert len(retries) == 1
        cairn.write("flow.yaml", (BELOW % tuple(own)).replace("llm_calls: 1", "llm_calls: 9"))
        again = retries[0]
    assert cairn(*again.split()[1:]).status == 0


def test_who_is_killed_forgets_nothing(cairn):
    pipe = cairn.pipe("pipe")
    cairn.flow(AGENT + """
budget: {tokens: 40, llm_calls: 2}
nodes:
  a: {type: agent, agent: w, prompt: hello you two}
  hold: {type: code, needs: [a], language: sh, code: "echo busy >&2; cat pipe"}
  b: {type: agent, needs: [hold], agent: w, prompt: hello you two}
  c: {type: agent, needs: [b], agent: w, prompt: hello you two}
  e: {type: end, needs: [c], value: c}
""")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("stderr: busy")
    before = budget(cairn)
    assert before["tokens"]["used"] == 6 and before["llm_calls"]["used"] == 1
    for _ in range(2):
        run.send(signal.SIGKILL)
        run.finish()
        run = cairn.start("resume", "@last")
        run.wait_for("stderr: busy")
        assert budget(cairn) == before
    release(pipe)
    left = run.finish()
    assert left.status == 3 and "over the budget of 2 llm_calls: 2 used" in left.err
    done = cairn("answer", "@last", "c", "1")
    assert (done.status, done.out) == (0, "one two three\n")
    assert budget(cairn)["tokens"]["used"] == 18


def test_money_needs_a_price(cairn):
    server = ChatServer(say("Salt is salty."))
    try:
        text = """
agents:
  w: {service: openai_compatible, base_url: "%s", model: small%s, params: {max_tokens: 100}}
budget: {usd: 1}
nodes:
  ask: {type: agent, agent: w, prompt: hello}
"""
        cairn.flow(text % (server.url, ""))
        refused = cairn("run", "flow.yaml")
        assert refused.status == 1 and not server.requests
        assert "no price of the model small is known" in refused.err
        assert "price: {input: 0.15, output: 0.60}" in refused.err
        cairn.flow(text % (server.url, ", price: {input: 10, output: 20, cached: 1}"))
        assert cairn("run", "flow.yaml").status == 0
        # 7 tokens in, 2 of them from the cache, 3 out
        assert abs(budget(cairn)["usd"]["used"] - (5 * 10 + 2 * 1 + 3 * 20) / 1e6) < 1e-12
    finally:
        server.close()
