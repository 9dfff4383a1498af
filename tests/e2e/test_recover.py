"""A step that failed for good waits for a person's decision, when `recover: ask` says so."""

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
