"""cairn results: ended, failed, running and interrupted executions, by id, prefix and @last."""

import signal

from conftest import ID, steady

AGENT = """agents:
  helper: {service: offline, model: m, replies: ["first answer", "second answer"]}
nodes:
  numbers: {type: transform, value: "[1, 2]"}
  ask:
    type: agent
    needs: [numbers]
    agent: helper
    description: Asks about the numbers.
    prompt: "About {{ numbers }}?"
  last: {type: end, needs: [ask], value: ask}
"""


def test_a_completed_execution(cairn):
    cairn.flow(AGENT)
    cairn.run_id("flow.yaml", "--label", "team=support")
    done = cairn("results", "@last")
    assert (done.status, done.err) == (0, "")
    head, messages, result = done.out.split("\n\n")
    assert steady(head).splitlines()[:6] == [
        "execution  ID",
        "workflow   flow",
        "status     completed",
        "started    DATE",
        "duration   TOOK",
        "steps      3 of 3 completed",
    ]
    assert 'labels     team = "support"' in head
    assert "input tokens" in head
    assert messages == "messages\n  ask: first answer"
    assert result == "result\nfirst answer\n"


def test_verbose_tells_the_whole_story(cairn):
    cairn.flow(AGENT)
    cairn.run_id("flow.yaml")
    story = steady(cairn("results", "@last", "--verbose").out)
    assert (
        "\nsteps\n"
        "  numbers (transform) completed at TIME, took TOOK\n"
        "      output: [1,2]\n"
        "  ask (agent) completed at TIME, took TOOK\n"
        "      Asks about the numbers.\n"
        "      output: first answer\n"
    ) in story
    assert "      usage: {" in story
    assert (
        "\nconversation\n"
        "  TIME ask user\n      About [1,2]?\n"
        "  TIME ask assistant\n      first answer\n"
        "\nresult\nfirst answer\n"
    ) in story
    assert cairn("results", "-v", "@last").out == cairn("results", "@last", "--verbose").out


def test_verbose_shows_long_and_many_line_outputs_whole(cairn):
    cairn.flow("  a: {type: code, language: python, code: 'return \"line\\n\" * 50 + \"end\"'}\n")
    cairn.run_id("flow.yaml")
    story = cairn("results", "@last", "-v").out
    assert "      output:\n" + "        line\n" * 50 + "        end\n" in story


def test_json_is_the_document_of_run(cairn):
    cairn.flow(AGENT)
    first = cairn("run", "flow.yaml", "--json", "-q").json
    again = cairn("results", first["id"], "--json").json
    assert again == first
    assert again["usage"]["inputTokens"] > 0
    assert again["subSteps"][1]["description"] == "Asks about the numbers."
    assert again["subSteps"][1]["actionType"] == "inference"


def test_a_failed_execution_names_its_line(cairn):
    cairn.flow(
        "  a: {type: transform, value: 1}\n"
        "  boom: {type: code, needs: [a], language: sh, code: exit 3}\n"
    )
    cairn("run", "-q", "flow.yaml")
    done = cairn("results", "@last")
    assert done.status == 0
    assert steady(done.out).endswith(
        "steps      1 of 2 completed, 1 failed\n\n"
        "error: execution ID failed: code: the script ended with exit status 3\n"
        "    at node boom (flow.yaml:5:3)\n"
        "    completed: a (1 of 2 steps)\n"
    )
    assert "error: code: the script ended with exit status 3" in cairn("results", "@last", "-v").out


def test_attempts_items_and_iterations_are_steps(cairn):
    cairn.flow(
        "  page:\n    type: transform\n    foreach: '[3, 4]'\n    value: item * 10\n"
        "  draft: {type: transform, needs: [page, again.true], value: iteration, join: any}\n"
        "  again: {type: condition, needs: [draft], when: draft < 2}\n"
    )
    done = cairn("run", "flow.yaml", "--json", "-q")
    assert done.status == 0, done.err
    steps = {step["id"]: step for step in done.json["subSteps"]}
    assert (steps["page[0]"]["result"], steps["page[1]"]["index"]) == (30, 1)
    assert steps["page"]["result"] == [30, 40]
    assert (steps["draft"]["result"], steps["draft#2"]["result"]) == (0, 2)
    assert steps["draft#2"]["iteration"] == 2
    story = cairn("results", "@last", "--verbose").out
    for name in ("page", "page[0]", "page[1]", "draft", "draft#1", "draft#2", "again#2"):
        assert f"\n  {name} (" in story


def start_held(cairn):
    pipe = cairn.pipe("hold")
    cairn.flow(
        "  first: {type: transform, value: 1}\n"
        f"  wait: {{type: code, needs: [first], language: sh, code: 'cat {pipe}'}}\n"
        "  last: {type: end, needs: [wait], value: wait}\n"
    )
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    return run, pipe


def test_a_running_execution_is_seen_by_others(cairn):
    run, pipe = start_held(cairn)
    found = cairn("results", run.id, "--json").json
    assert (found["status"], found["effectiveStatus"]) == ("running", "running")
    assert found["completedAt"] is None and found["finalResult"] is None
    steps = {step["id"]: step for step in found["subSteps"]}
    assert {name: step["status"] for name, step in steps.items()} == {
        "first": "completed", "wait": "running", "last": "pending",
    }
    assert steps["first"]["result"] == 1
    assert steps["wait"]["startedAt"] and steps["wait"]["completedAt"] is None
    assert steps["last"]["startedAt"] is None and steps["last"]["dependencies"] == ["wait"]
    assert "status     running\n" in cairn("results", run.id).out
    with open(pipe, "w", encoding="utf-8") as handle:
        handle.write("x")
    assert run.finish().status == 0
    assert cairn("results", run.id, "--json").json["status"] == "completed"


def test_an_interrupted_execution(cairn):
    run, _ = start_held(cairn)
    run.send(signal.SIGKILL)
    run.finish()
    text = cairn("results", run.id).out
    assert "status     interrupted (its owner is gone)\n" in text
    story = steady(cairn("results", run.id, "--verbose").out)
    assert "  first (transform) completed at TIME, took TOOK\n      output: 1\n" in story
    assert "  wait (code) running at TIME\n" in story
    assert "  last (end) pending\n" in story


def test_a_sub_workflow_names_its_parent(cairn):
    cairn.flow("  inner: {type: end, value: 5}\n", name="child.yaml")
    cairn.flow(
        "  call: {type: workflow, workflow: child.yaml}\n"
        "  last: {type: end, needs: [call], value: call}\n"
    )
    parent = cairn("run", "flow.yaml", "--json", "-q").json
    assert parent["finalResult"] == 5
    items = cairn("list", "--all", "--json").json["items"]
    child = [item["id"] for item in items if item["id"] != parent["id"]]
    assert len(child) == 1
    assert cairn("results", child[0], "--json").json["parentId"] == parent["id"]
    assert f"parent     {parent['id']}, step call\n" in cairn("results", child[0]).out
    assert cairn("results", "@last", "--json").json["id"] == parent["id"]


# ---- ids ----


def test_ids_may_be_shortened(cairn):
    cairn.flow("  a: {type: end, value: 1}\n")
    first, second = cairn.run_id("flow.yaml"), cairn.run_id("flow.yaml")
    assert first < second
    for word in (second, second[:-1], second.removeprefix("exec_"), "@last"):
        assert cairn("results", word, "--json").json["id"] == second
    assert cairn("results", first, "--json").json["id"] == first


def test_an_ambiguous_id_lists_the_candidates(cairn):
    cairn.flow("  a: {type: end, value: 1}\n")
    first, second = cairn.run_id("flow.yaml"), cairn.run_id("flow.yaml")
    for word in ("exec_", "exec_0", "0", "e"):
        done = cairn("results", word)
        assert (done.status, done.out) == (2, "")
        assert done.err == (
            f'error: "{word}" is the beginning of several ids\n'
            f"    it may be {first}, {second}\n"
        )


def test_an_unknown_id_names_the_newest(cairn):
    cairn.flow("  a: {type: end, value: 1}\n")
    known = cairn.run_id("flow.yaml")
    for word in ("exec_zzz", "nonsense", "exec_" + "v" * 20, "v" * 90, "%", "\u00fc"):
        done = cairn("results", word)
        assert (done.status, done.out) == (2, "")
        assert done.err == (
            f'error: no execution "{word}" in {cairn.store}\n    the newest are {known}\n'
        )


def test_without_a_store_there_is_no_execution_and_none_is_made(cairn, tmp_path):
    done = cairn("results", "@last")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f'error: no execution "@last": there is no store at {cairn.store} yet\n'
        "    `cairn run` makes it; --store names another\n"
    )
    assert not (tmp_path / "state").exists()


def test_control_characters_of_a_workflow_do_not_reach_the_terminal(cairn):
    cairn.write(
        "flow.yaml",
        'cairn: 1\nname: "red \\e[31m"\nnodes:\n'
        '  a: {type: transform, value: "\'\\\\u001b[31m\'", description: "x \\e[2J"}\n',
    )
    assert cairn("run", "flow.yaml").status == 0
    for arguments in (["results", "@last"], ["results", "@last", "-v"], ["list"]):
        done = cairn(*arguments)
        assert done.status == 0
        assert "\x1b" not in done.out


def test_the_id_is_the_first_thing_run_says(cairn):
    cairn.flow("  a: {type: end, value: 1}\n")
    done = cairn("run", "flow.yaml")
    assert ID.search(done.err.splitlines()[0])
