"""A step that failed for good waits for a person's decision, when `recover: ask` says so."""

import http.server
import signal
import threading

import pytest
from conftest import steady

FLOW = """
recover: ask
nodes:
  one: {type: code, command: [sh, -c, "test -e ok"], retry: {attempts: 2, backoff: 1ms}}
  two: {type: transform, needs: [one], value: one}
"""


def failed(cairn, text=FLOW):
    cairn.flow(text)
    done = cairn("run", "flow.yaml", "--json", "--quiet")
    assert done.status == 3, done.err
    return done.json["id"]


def test_a_pipe_is_told_how_to_decide(cairn):
    cairn.flow(FLOW)
    done = cairn("run", "flow.yaml")
    assert done.status == 3
    assert steady(done.err).endswith(
        "TIME step one failed: code: the program ended with exit status 1; waits for an answer\n"
        "    one failed: code: the program ended with exit status 1\n"
        "    answer it: cairn answer ID one retry|fail|'{\"value\": ...}'\n"
        "waiting: execution ID goes on when it is answered\n"
        "    what it waits for: cairn explain ID\n"
    )


def test_retry_goes_on_in_another_process(cairn):
    id = failed(cairn)
    (cairn.folder / "ok").touch()
    done = cairn("answer", id, "one", "retry")
    assert done.status == 0, done.err
    steps = {s["id"]: s for s in cairn("results", id, "--json").json["subSteps"]}
    assert (steps["one"]["status"], steps["one"]["attempt"]) == ("completed", 3)
    assert steps["two"]["status"] == "completed"


def test_fail_fails_as_it_would_have(cairn):
    id = failed(cairn)
    done = cairn("answer", id, "fail")
    assert done.status == 1
    found = cairn("results", id, "--json").json
    assert (found["status"], found["error"]["type"]) == ("failed", "code")
    assert cairn("answer", id, "one", "retry").status == 2
    assert cairn("retry", id).status == 3  # it fails once more, and asks once more


def test_a_value_stands_for_the_step(cairn):
    id = failed(cairn)
    refused = cairn("answer", id, "one", "7")
    assert refused.status == 2
    assert "must be one of: retry, fail, or the step's value as" in refused.err
    assert cairn("answer", id, "one", '{"value": {"n": 7}}').status == 0
    steps = {s["id"]: s for s in cairn("results", id, "--json").json["subSteps"]}
    assert steps["two"]["result"] == {"n": 7}
    assert steps["one"]["meta"]["error"]["type"] == "code"


def test_nobody_ever_answers(cairn):
    ask = "recover: {ask: What now?, timeout: 20ms, on_timeout: retry, times: 2}"
    cairn.flow(FLOW.replace("recover: ask", ask).replace(", retry: {attempts: 2, backoff: 1ms}", ""))
    done = cairn("run", "flow.yaml", "--json", "--quiet")
    assert done.status == 1, done.err
    steps = {s["id"]: s for s in done.json["subSteps"]}
    assert (steps["one"]["status"], steps["one"]["attempt"]) == ("failed", 3)


def test_everybody_sees_what_is_asked(cairn):
    id = failed(cairn, FLOW.replace("recover: ask", "recover: {ask: Which?, assignee: bob}"))
    listed = cairn("list", "--waiting", "--json").json["items"]
    assert [(x["execution"], x["step"]) for x in listed] == [(id, "one")]
    request = listed[0]["request"]
    assert (request["reason"], request["choices"]) == ("failed", ["retry", "fail"])
    assert (request["assignee"], request["error"]["type"]) == ("bob", "code")
    told = cairn("explain", id, "--json").json
    step = next(s for s in told["steps"] if s["step"] == "one")
    assert step["error"] == "code: the program ended with exit status 1"
    assert step["remedy"] == f"cairn answer {id} one retry|fail|'{{\"value\": ...}}'"
    assert cairn("cancel", id).status == 0
    assert cairn("list", "--waiting", "--json").json["items"] == []


# ---- breakers ----

BREAKER = """
inputs: {url: {type: string}}
breaker: {failures: 2, open: 300ms, max: 1s}
nodes:
  ask:
    type: http
    url: "{{ inputs.url }}"
    foreach: {items: "[1, 2, 3]"}
    retry: {attempts: 50, backoff: 1ms, max: 1ms}
"""


@pytest.fixture
def service():
    """Fails as long as `down` is set; counts what it is asked."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked += 1
            self.send_response(503 if server.down.is_set() else 200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.down = 0, threading.Event()
    server.down.set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


def test_a_service_that_fails_is_left_alone_until_it_answers(cairn, service):
    cairn.flow(BREAKER)
    run = cairn.start("run", "flow.yaml", "-i", f"url={service.url}/x")
    run.wait_for(f"{service.url} is left alone")
    told = cairn("explain", run.id, "--json").json
    held = next(s for s in told["steps"] if s["why"] == "is held back")
    assert held["request"]["service"] == service.url
    assert held["until"]
    run.wait_for("goes on")
    service.down.clear()
    assert run.finish().status == 0
    # Three at first, at most one a turn while it was down, then what was left.
    openings = run.err.count("goes on")
    assert service.asked <= 3 + openings + 3
    found = cairn("results", run.id, "--json").json
    assert all(s["attempt"] <= 3 + openings for s in found["subSteps"])


def test_who_is_killed_while_it_is_held_back_goes_on_in_time(cairn, service):
    cairn.flow(BREAKER.replace("300ms", "2s").replace("max: 1s", "max: 2s"))
    run = cairn.start("run", "flow.yaml", "-i", f"url={service.url}/x")
    for item in range(3):
        run.wait_for(f"ask[{item}] is held back")
    run.send(signal.SIGKILL)
    run.finish()
    asked = service.asked
    service.down.clear()
    told = cairn("explain", run.id, "--json").json
    until = min(s["until"] for s in told["steps"] if s["why"] == "is held back")
    done = cairn("resume", run.id, "--json-lines")
    assert done.status == 0, done.err
    assert service.asked == asked + 3
    first = next(x for x in done.json_lines if x["type"] == "step_scheduled")
    assert first["at"] >= until


def test_what_is_held_back_is_paused_cancelled_and_times_out(cairn, service):
    cairn.flow(BREAKER.replace("300ms", "1h").replace("max: 1s", "max: 1h"))
    run = cairn.start("run", "flow.yaml", "-i", f"url={service.url}/x")
    for item in range(3):
        run.wait_for(f"ask[{item}] is held back")
    assert cairn("pause", run.id).status == 0
    assert run.finish().status == 3
    refused = cairn("answer", run.id, "ask[0]", "retry")
    assert refused.status == 2
    assert "step ask[0] waits for its service" in refused.err
    assert "no answer moves it: it is tried again by itself at " in refused.err
    assert cairn("cancel", run.id).status == 0
    assert cairn("results", run.id, "--json").json["status"] == "cancelled"
    late = cairn("run", "flow.yaml", "-i", f"url={service.url}/x", "--timeout", "1s", "--json")
    assert late.json["error"]["type"] == "timeout"
