"""Agents of the service openai_compatible, against a small server that speaks chat completions."""

import os
import signal
import sqlite3
import time

import pytest

from conftest import PATIENCE, TOP
from chat_server import ChatServer, chunks, refuse, say, stream, whole

FLOW = """
inputs:
  url: {type: string}
  topic: {type: string, default: salt}
agents:
  writer:
    service: openai_compatible
    base_url: "{{ inputs.url }}"
    model: small
    system: You write about {{ inputs.topic }}.
nodes:
  ask:
    type: agent
    agent: writer
    prompt: "Tell me about {{ inputs.topic }}."
"""


@pytest.fixture
def serve():
    made = []

    def start(*scripts):
        made.append(ChatServer(*scripts))
        return made[-1]

    yield start
    for server in made:
        server.close()


def flow(cairn, ask="", text=FLOW):
    return cairn.flow(text + "".join(f"    {line}\n" for line in ask.splitlines()))


def run(cairn, server, *more, ask="", text=FLOW, env=None):
    done = cairn("run", flow(cairn, ask, text), "-i", f"url={server.url}", "--json", "--quiet", *more,
                 env=env)
    return done.json


def results(cairn, node=None):
    out = cairn("results", "@last", "--json").json
    return next(s for s in out["subSteps"] if s["node"] == node) if node else out


def calls(cairn):
    with sqlite3.connect(cairn.store) as db:
        return db.execute("select role, content from messages order by rowid").fetchall()


def test_it_streams_and_counts(cairn, serve):
    server = serve(say("Salt is salty."))
    done = cairn("run", flow(cairn), "-i", f"url={server.url}", "--json")
    assert done.json["status"] == "completed"
    sent = server.requests[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["model"] == "small" and sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert server.messages() == [("system", "You write about salt."), ("user", "Tell me about salt.")]
    assert sent["headers"]["Idempotency-Key"] == done.json["id"] + "/ask/1"
    step = results(cairn, "ask")
    assert step["result"] == "Salt is salty."
    assert step["meta"]["usage"] == {
        "inputTokens": 7, "outputTokens": 3, "cachedTokens": 2, "llmCalls": 1}
    assert step["meta"]["model"] == "test-model"
    assert calls(cairn) == [("user", "Tell me about salt."), ("assistant", "Salt is salty.")]


def test_an_answer_that_is_not_streamed(cairn, serve):
    server = serve(whole({"model": "m", "choices": [
        {"message": {"role": "assistant", "content": "Plain."}, "finish_reason": "stop"}]}))
    assert run(cairn, server)["status"] == "completed"
    step = results(cairn, "ask")
    assert step["result"] == "Plain."
    assert step["meta"]["usage"] == {"llmCalls": 1}  # unknown is not zero


def test_the_service_is_chosen_by_an_input(cairn, serve):
    text = FLOW.replace("service: openai_compatible", 'service: "{{ inputs.service }}"').replace(
        "inputs:", "inputs:\n  service: {type: string, default: offline}")
    server = serve(say("From a server."))
    assert run(cairn, server, text=text)["status"] == "completed"
    assert results(cairn, "ask")["result"] == "Offline reply to: Tell me about salt."
    assert run(cairn, server, "-i", "service=openai_compatible", text=text)["status"] == "completed"
    assert results(cairn, "ask")["result"] == "From a server."
    done = run(cairn, server, "-i", "service=openai", text=text)
    assert done["status"] == "failed"
    assert 'agent "writer": the service "openai" is not available' in done["error"]["message"]


def test_params_of_the_node_go_before_those_of_the_agent(cairn, serve):
    server = serve(say("ok"))
    text = FLOW.replace("model: small", "model: small\n    params: {temperature: 1.5, top_p: 0.5}")
    run(cairn, server, text=text, ask='params: {temperature: 0, seed: "{{ size(inputs.topic) }}"}')
    sent = server.requests[0]
    assert (sent["temperature"], sent["top_p"], sent["seed"]) == (0, 0.5, 4)


RETRY = "retry: {attempts: 3, backoff: 10ms}"


@pytest.mark.parametrize("name,scripts,ask,requests,error", [
    ("rate_limit", [refuse(429, "slow down", retry_after_ms="300"), say("ok")], RETRY, 2, None),
    ("server", [refuse(500, "oops"), refuse(503, "busy"), say("ok")], RETRY, 3, None),
    ("server_down", [refuse(500, "oops")], RETRY, 3, ("unavailable", "status 500: oops")),
    ("quota", [refuse(429, "no money", "insufficient_quota")], RETRY, 1, ("quota", "no money")),
    ("bad", [refuse(400, "no such model")], RETRY, 1, ("bad_request", "no such model")),
    ("should_not", [refuse(500, "never", x_should_retry="false")], RETRY, 1, ("unavailable", "never")),
    ("should", [refuse(400, "again", x_should_retry="true"), say("ok")], RETRY, 2, None),
    ("broken", [stream(*chunks("cut", finish=None, usage=None), done=False), say("ok")], RETRY, 2, None),
    ("broken_for_good", [stream(*chunks("cut", finish=None, usage=None), done=False)], "", 1,
     ("unavailable", "broke off its answer after 3 bytes")),
    ("in_the_middle", [stream(chunks("x")[0], {"error": {"message": "lost it", "code": 502}}), say("ok")],
     RETRY, 2, None),
    ("length", [say("cut", finish="length")], RETRY, 1, ("truncated", "cut off after 3 bytes")),
    ("filter", [say("", finish="content_filter")], RETRY, 1, ("refused", "content filter")),
    ("refusal", [stream({"choices": [{"delta": {"refusal": "I will not."}, "finish_reason": "stop"}]})],
     RETRY, 1, ("refused", "I will not.")),
    ("nothing_said", [stream(), say("ok")], RETRY, 2, None),
    ("nothing_ever_said", [whole({"choices": []})], "", 1,
     ("invalid_response", 'no message with a text in "choices"')),
    ("no_json", [whole("<html>")], "", 1, ("bad_answer", "is no answer of chat completions: <html>")),
])
def test_errors(cairn, serve, name, scripts, ask, requests, error):
    server = serve(*scripts)
    begun = time.monotonic()
    done = run(cairn, server, ask=ask)
    assert len(server.requests) == requests
    if error:
        assert done["status"] == "failed" and done["error"]["type"] == error[0]
        assert error[1] in done["error"]["message"]
    else:
        assert done["status"] == "completed"
    if name == "rate_limit":  # what the server asked for, not the backoff of 10 ms
        assert time.monotonic() - begun > 0.3


def test_what_was_cut_off_was_paid_for(cairn, serve):
    run(cairn, serve(say("cut", finish="length")))
    assert results(cairn, "ask")["meta"]["usage"]["outputTokens"] == 3


def test_a_long_retry_after_is_waited_for(cairn, serve):
    server = serve(refuse(429, "tomorrow", retry_after="3600"), say("ok"))
    started = cairn.start("run", flow(cairn, RETRY), "-i", f"url={server.url}")
    started.wait_for("again in 1h00m")
    started.send(signal.SIGKILL)
    started.finish()
    assert results(cairn, "ask")["status"] == "retrying"
    assert len(server.requests) == 1


def test_a_slow_stream_ends_with_the_timeout(cairn, serve):
    server = serve(None)
    server.scripts[0] = server.hang(chunks("begins")[1])
    done = run(cairn, server, ask="timeout: 300ms")
    assert done["status"] == "failed" and done["error"]["type"] == "timeout"


def test_a_stream_that_is_over_but_never_closed_is_an_answer(cairn, serve):
    def answer(h):
        say("all of it")(h)
        server.gate.wait(PATIENCE)
    server = serve(answer)
    assert run(cairn, server, ask="timeout: 30s")["status"] == "completed"
    assert len(server.requests) == 1


SCHEMA = """schema:
  type: object
  required: [word, count]
  properties: {word: {type: string}, count: {type: integer}}"""


def test_a_structured_answer(cairn, serve):
    server = serve(say('```json\n{"word": "salt", "count": 2}\n```'))
    run(cairn, server, ask=SCHEMA)
    assert results(cairn, "ask")["result"] == {"word": "salt", "count": 2}
    sent = server.requests[0]["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"]["required"] == ["word", "count"]
    assert "fits this JSON Schema" in server.messages()[0][1]


def test_an_answer_that_does_not_fit_is_asked_for_once_more(cairn, serve):
    server = serve(say('{"word": "salt", "count": "two"}'), say('{"word": "salt", "count": 2}'))
    run(cairn, server, ask=SCHEMA)
    step = results(cairn, "ask")
    assert step["result"] == {"word": "salt", "count": 2}
    assert step["meta"]["repaired"] is True
    assert step["meta"]["usage"]["inputTokens"] == 14 and step["meta"]["usage"]["llmCalls"] == 2
    roles = [role for role, _ in server.messages()]
    assert roles == ["system", "user", "assistant", "user"]
    assert server.messages()[2][1] == '{"word": "salt", "count": "two"}'
    assert "/count" in server.messages()[3][1]
    assert len(calls(cairn)) == 4


def test_an_answer_that_does_not_fit_twice_is_a_failure(cairn, serve):
    server = serve(say('{"word": 1}'), say("I cannot."))
    done = run(cairn, server, ask=SCHEMA)
    assert done["error"]["type"] == "schema"
    assert 'does not fit "schema": it is not JSON' in done["error"]["message"]
    assert "I cannot." in done["error"]["message"]
    assert len(server.requests) == 2
    assert results(cairn, "ask")["meta"]["usage"]["llmCalls"] == 2


def test_a_retry_after_the_schema_was_broken_asks_anew(cairn, serve):
    server = serve(say("no"), say("no"), say('{"word": "salt", "count": 2}'))
    done = run(cairn, server, ask=SCHEMA + "\nretry: {attempts: 2, backoff: 1ms, on: [schema]}")
    assert done["status"] == "completed" and len(server.requests) == 3
    assert server.messages() == server.messages(0)


MEMORY = """
inputs:
  url: {type: string}
agents:
  a: {service: openai_compatible, base_url: "{{ inputs.url }}", model: m, memory: {MEMORY}}
  b: {service: openai_compatible, base_url: "{{ inputs.url }}", model: m}
nodes:
  one: {type: agent, agent: a, prompt: first}
  two: {type: agent, agent: b, prompt: second, needs: [one]}
  three: {type: agent, agent: a, prompt: third, needs: [two]}
  four: {type: agent, agent: a, prompt: fourth, needs: [three]}
"""


@pytest.mark.parametrize("memory,expected", [
    ("keep: none", []),
    ("keep: own", [("user", "first"), ("assistant", "A1"), ("user", "third"), ("assistant", "A3")]),
    ("at_most: 3", [("assistant", "A1"), ("user", "third"), ("assistant", "A3")]),
    ("keep: all", [("user", "first"), ("assistant", "A1"), ("user", "To b: second"), ("user", "b: B2"),
                   ("user", "third"), ("assistant", "A3")]),
    ("keep: all, at_most: 4", [("user", "To b: second"), ("user", "b: B2"), ("user", "third"),
                               ("assistant", "A3")]),
])
def test_memory(cairn, serve, memory, expected):
    server = serve(say("A1"), say("B2"), say("A3"), say("A4"))
    text = MEMORY.replace("{MEMORY}", "{" + memory + "}")
    assert run(cairn, server, text=text)["status"] == "completed"
    assert server.messages(3) == expected + [("user", "fourth")]
    assert server.messages(1) == [("user", "second")]


def test_memory_is_the_same_after_a_crash(cairn, serve):
    server = serve(say("A1"), say("B2"), None, say("A3"), say("A4"))
    server.scripts[2] = server.hang()
    name = cairn.flow(MEMORY.replace("{MEMORY}", "{keep: all}"))
    started = cairn.start("run", name, "-i", f"url={server.url}")
    server.wait_for(3)
    started.send(signal.SIGKILL)
    started.finish()
    done = cairn("resume", "@last", "--json")
    assert done.json["status"] == "completed", done
    assert server.messages(3) == server.messages(2) and len(server.messages(2)) == 5
    assert len(server.requests) == 5  # the first two are not asked again


LOOP = """
inputs:
  url: {type: string}
agents:
  a: {service: openai_compatible, base_url: "{{ inputs.url }}", model: m}
nodes:
  draft:
    type: agent
    needs: [more.true]
    agent: a
    first_prompt: Begin.
    prompt: "Go on after {{ nodes.more.previous.x }}."
    max_runs: 2
    max_iterations: 9
  more: {type: condition, needs: [draft], when: nodes.draft.iteration < 3}
  end: {type: end, needs: [more.false], value: "[draft, nodes.draft.meta.exhausted]"}
"""


def test_a_loop_has_a_first_prompt_and_an_end_of_runs(cairn, serve):
    server = serve(say("one"), say("two"), say("three"))
    text = LOOP.replace("nodes.more.previous.x", "nodes.draft.previous")
    done = run(cairn, server, text=text)
    assert done["finalResult"] == ["two", True]
    assert [server.messages(i) for i in (0, 1)] == [[("user", "Begin.")], [("user", "Go on after one.")]]
    assert len(server.requests) == 2


def test_the_prompt_is_not_evaluated_when_the_first_is_meant(cairn, serve):
    done = run(cairn, serve(say("one")), text=LOOP.replace("max_runs: 2", "max_runs: 1"))
    assert done["status"] == "failed" and done["error"]["type"] == "expression"
    step = results(cairn)["subSteps"][0]
    assert step["result"] == "one"


@pytest.mark.parametrize("answer,way", [
    ("Yes.", "true"), ("**No**, never", "false"), ("true", "true"), ('{"answer": false}', "false"),
    ('```json\n{"decision": "yes"}\n```', "true")])
def test_a_condition_asks(cairn, serve, answer, way):
    server = serve(say(answer))
    text = FLOW.replace("type: agent", "type: condition").replace("prompt:", "question:")
    assert run(cairn, server, text=text)["status"] == "completed"
    assert results(cairn, "ask")["result"] is (way == "true")
    assert server.messages()[0][1].endswith("Answer with yes or no, and with nothing else.")


def test_a_condition_asks_anew_when_it_was_told_neither(cairn, serve):
    server = serve(say("Perhaps."), say("yes"))
    text = FLOW.replace("type: agent", "type: condition").replace("prompt:", "question:")
    assert run(cairn, server, text=text, ask=RETRY)["status"] == "completed"
    assert len(server.requests) == 2


KEY = "sk-canary-0123456789abcdef"


def dump(cairn):
    with sqlite3.connect(cairn.store) as db:
        return "\n".join(db.iterdump())


def test_the_key_is_sent_and_never_kept(cairn, serve):
    server = serve(say("fine"), refuse(401, f"Incorrect key {KEY}, sorry"))
    for _ in range(2):
        run(cairn, server, env={"OPENAI_API_KEY": KEY})
    assert [r["headers"]["Authorization"] for r in server.requests] == [f"Bearer {KEY}"] * 2
    shown = cairn("results", "@last", "--json").out + cairn("results", "@last").out
    assert "Incorrect key [secret OPENAI_API_KEY], sorry" in shown
    assert KEY not in dump(cairn) + shown


def test_a_named_key_and_none(cairn, serve):
    server = serve(say("fine"))
    text = FLOW.replace("model: small", "model: small\n    api_key: OTHER_KEY")
    assert run(cairn, server, text=text, env={"CAIRN_SECRET_OTHER_KEY": KEY})["status"] == "completed"
    assert server.requests[-1]["headers"]["Authorization"] == f"Bearer {KEY}"
    assert run(cairn, server)["status"] == "completed"  # a server of one's own may need no key
    assert "Authorization" not in server.requests[-1]["headers"]
    done = run(cairn, server, text=text)
    assert done["status"] == "failed" and 'agent "writer" needs a key' in done["error"]["message"]
    assert len(server.requests) == 2


def test_the_address_of_the_environment(cairn, serve):
    server = serve(say("fine"))
    text = FLOW.replace('    base_url: "{{ inputs.url }}"\n', "")
    assert run(cairn, server, text=text, env={"OPENAI_BASE_URL": server.url})["status"] == "completed"
    done = run(cairn, server, text=text)  # OpenAI itself is never asked without a key
    assert done["status"] == "failed" and "needs a key" in done["error"]["message"]


def test_triage_runs_on_a_real_service_unchanged(cairn, serve):
    server = serve(say("billing"))
    report = str(cairn.folder / "report.md")
    done = cairn("run", os.path.join(TOP, "examples/triage.yaml"), "-i", "service=openai_compatible",
                 "-i", f"report={report}", "--json", "--quiet", env={"OPENAI_BASE_URL": server.url,
                                                "CAIRN_ALLOW_PATHS": str(cairn.folder)})
    assert done.json["status"] == "completed"
    assert done.json["finalResult"]["topics"] == {"billing": 200}
    assert len(server.requests) == 400
    assert {r["model"] for r in server.requests} == {"gpt-4o-mini"}


def test_nobody_listens(cairn, serve):
    server = serve(say("never"))
    server.close()
    done = run(cairn, server)
    assert done["status"] == "failed" and done["error"]["type"] == "unavailable"
