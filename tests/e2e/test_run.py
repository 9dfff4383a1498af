"""cairn run: what goes where, exit statuses, inputs, failures, signals."""

import json
import os
import re
import signal

import pytest
from conftest import ID, PATIENCE, steady

TWO = """
  one: {type: transform, value: 1 + 1}
  last: {type: end, needs: [one], value: "'got ' + string(one)"}
"""


def test_stdout_has_the_result_and_stderr_the_progress(cairn):
    cairn.flow(TWO)
    done = cairn("run", "flow.yaml")
    assert (done.status, done.out) == (0, "got 2\n")
    assert steady(done.err) == (
        "TIME execution ID of flow created\n"
        "TIME step one completed TOOK\n"
        "TIME step last completed TOOK\n"
        "TIME execution ID completed\n"
    )


def test_quiet_shows_the_result_alone(cairn):
    cairn.flow(TWO)
    done = cairn("run", "flow.yaml", "--quiet")
    assert (done.status, done.out, done.err) == (0, "got 2\n", "")


@pytest.mark.parametrize(
    "expression, printed",
    [
        ("'text'", "text\n"),
        ("'ends with a line\\\\n'", "ends with a line\n"),
        ("''", ""),
        ("null", ""),
        ("42", "42\n"),
        ("3.0", "3.0\n"),
        ("true", "true\n"),
        ("[]", "[]\n"),
        ("{'a': [1, 2.5]}", '{\n  "a": [\n    1,\n    2.5\n  ]\n}\n'),
        ("'Grüße ✓'", "Grüße ✓\n"),
    ],
)
def test_how_a_result_is_printed(cairn, expression, printed):
    cairn.flow(f'  last: {{type: end, value: "{expression}"}}\n')
    done = cairn("run", "-q", "flow.yaml")
    assert (done.status, done.out, done.err) == (0, printed, "")


def test_without_a_result_nothing_is_printed(cairn):
    cairn.flow("  a: {type: transform, value: 1}\n")
    assert cairn("run", "-q", "flow.yaml").out == ""


def test_outputs_are_the_result(cairn):
    cairn.flow("nodes:\n  a: {type: transform, value: 20 + 1}\noutputs:\n  twice: a * 2\n")
    done = cairn("run", "flow.yaml", "--json", "-q")
    assert done.json["finalResult"] == {"twice": 42}
    assert done.json["outputs"] == {"twice": 42}


def test_json_is_one_document_with_every_step(cairn):
    cairn.flow(TWO)
    done = cairn("run", "flow.yaml", "--json", "--label", "team=support", "--label", "n=1=2")
    found = done.json
    assert ID.fullmatch(found["id"])
    assert found["id"] in done.err
    assert (found["workflow"], found["status"]) == ("flow", "completed")
    assert re.fullmatch("[0-9a-f]{64}", found["workflowVersion"])
    assert found["labels"] == {"team": "support", "n": "1=2"}
    assert (found["totalTasks"], found["completedTasks"], found["failedTasks"]) == (2, 2, 0)
    assert (found["finalResult"], found["outputs"], found["error"]) == ("got 2", None, None)
    for name in ("createdAt", "startedAt", "completedAt"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found[name])
    assert isinstance(found["durationMs"], int)
    first, second = found["subSteps"]
    assert (first["id"], first["node"], first["kind"]) == ("one", "one", "transform")
    assert (first["status"], first["result"], first["attempt"]) == ("completed", 2, 1)
    assert (first["iteration"], first["index"], first["generation"]) == (0, None, 0)
    assert second["dependencies"] == ["one"]
    assert second["result"] == "got 2"


def test_json_lines_has_every_event_in_order(cairn):
    cairn.flow(TWO)
    done = cairn("run", "flow.yaml", "--json-lines")
    assert (done.status, done.err) == (0, "")
    lines = done.json_lines
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert len({line["execution"] for line in lines}) == 1
    assert [(line["type"], line.get("step")) for line in lines] == [
        ("execution_created", None),
        ("execution_started", None),
        ("step_completed", "one"),
        ("step_completed", "last"),
        ("execution_completed", None),
    ]
    assert lines[0]["workflow"] == "flow" and lines[0]["rules"] == 1
    assert lines[2]["body"] == 2
    assert lines[4]["body"] == "got 2"
    assert all(re.fullmatch(r"[\d-]{10}T[\d:.]{12}Z", line["at"]) for line in lines)


def test_json_lines_use_words_and_carry_logs(cairn):
    cairn.flow(
        "  bad:\n    type: code\n    language: sh\n    on_error: continue\n"
        "    retry: {attempts: 2, backoff: 1ms, on: [code]}\n"
        "    code: 'echo oh >&2; exit 4'\n"
    )
    done = cairn("run", "flow.yaml", "--json-lines")
    assert done.status == 1
    lines = done.json_lines
    failed = [line for line in lines if line["type"] == "step_failed"][0]
    assert (failed["step"], failed["effect"], failed["attempt"]) == ("bad", "continue", 2)
    assert failed["errorType"] == "code"
    retried = [line for line in lines if line["type"] == "step_retrying"][0]
    assert re.fullmatch(r"[\d-]{10}T[\d:.]{12}Z", retried["dueAt"])
    logs = [line for line in lines if line["type"] == "log"]
    assert [(log["step"], log["stream"], log["text"]) for log in logs] == [
        ("bad", "stderr", "oh\n")
    ] * 2
    assert all("seq" not in log for log in logs)
    assert lines[-1]["partial"] is True


def test_large_bodies_are_whole_in_json_lines(cairn):
    cairn.flow(
        "  big: {type: code, language: python, code: 'return \"x\" * 100000'}\n"
        "  last: {type: end, needs: [big], value: size(big)}\n"
    )
    done = cairn("run", "flow.yaml", "--json-lines")
    ended = [line for line in done.json_lines if line["type"] == "step_completed"]
    bodies = {line["step"]: line["body"] for line in ended}
    assert bodies["big"] == "x" * 100000
    assert bodies["last"] == 100000


# ---- inputs ----

INPUTS = """inputs:
  who: {type: string, default: you}
  count: {type: integer, default: 1}
  tags: {type: array, items: {type: string}, default: []}
nodes:
  last: {type: end, value: inputs}
"""


def inputs_of(cairn, *arguments):
    cairn.flow(INPUTS)
    done = cairn("run", "-q", "flow.yaml", *arguments)
    assert done.err == ""
    return done.json


def test_inputs_have_defaults(cairn):
    assert inputs_of(cairn) == {"who": "you", "count": 1, "tags": []}


def test_text_is_read_by_the_declared_type(cairn):
    assert inputs_of(cairn, "-i", "who=7", "-i", "count=7") == {"who": "7", "count": 7, "tags": []}


def test_a_value_may_hold_equal_signs_and_be_empty(cairn):
    assert inputs_of(cairn, "-i", "who=a=b")["who"] == "a=b"
    assert inputs_of(cairn, "-i", "who=")["who"] == ""


def test_json_inputs(cairn):
    assert inputs_of(cairn, "-i", 'tags:=["a", "b"]')["tags"] == ["a", "b"]


def test_inputs_from_a_file_and_the_last_one_wins(cairn):
    cairn.write("in.json", '{"who": "file", "count": 5}')
    assert inputs_of(cairn, "-i", "@in.json", "-i", "who=line") == {
        "who": "line", "count": 5, "tags": [],
    }


HOW = "    write -i NAME=TEXT, -i NAME:=JSON or -i @FILE.json\n"


@pytest.mark.parametrize(
    "given, message",
    [
        ("who", 'error: input "who": expected a name and a value\n' + HOW),
        ("=x", 'error: input "=x": expected a name and a value\n' + HOW),
        (
            "@none.json",
            'error: input "@none.json": cannot read none.json: No such file or directory\n' + HOW,
        ),
        (
            "@list.json",
            'error: input "@list.json": the file holds a list, but inputs are a JSON object\n' + HOW,
        ),
    ],
)
def test_malformed_inputs(cairn, given, message):
    cairn.flow(INPUTS)
    cairn.write("list.json", "[1]")
    done = cairn("run", "flow.yaml", "-i", given)
    assert (done.status, done.out, done.err) == (2, "", message)
    assert not os.path.exists(cairn.store)


def test_broken_json_inputs_name_the_place(cairn):
    cairn.flow(INPUTS)
    cairn.write("bad.json", '{"who": \n  oops}')
    done = cairn("run", "flow.yaml", "-i", "@bad.json")
    assert done.status == 2
    assert done.err.startswith('bad.json:2:')
    done = cairn("run", "flow.yaml", "-i", "tags:=[1,")
    assert done.status == 2
    assert done.err.startswith('error: input "tags:=[1,": ')


def test_inputs_that_do_not_fit_are_all_told(cairn):
    cairn.flow(
        "inputs:\n  need: {type: string}\n  count: {type: integer}\nnodes:\n"
        "  last: {type: end, value: inputs}\n"
    )
    done = cairn("run", "flow.yaml", "-i", "count=many", "-i", "cuont=3")
    assert done.status == 2
    assert 'the workflow "flow" has no input "cuont"' in done.err
    assert 'did you mean "count"?' in done.err
    assert 'flow.yaml:4:' in done.err and 'input "need" is missing' in done.err
    assert "give it with -i NAME=VALUE, or a default in the workflow" in done.err
    assert 'input "count"' in done.err
    assert done.err.endswith("3 errors\n")
    assert not os.path.exists(cairn.store)


# ---- workflows ----


def test_a_workflow_from_standard_input(cairn):
    done = cairn("run", "-q", "-", stdin="cairn: 1\nname: x\nnodes:\n  a: {type: end, value: 7}\n")
    assert (done.status, done.out, done.err) == (0, "7\n", "")


def test_a_workflow_in_json(cairn):
    flow = {"cairn": 1, "name": "j", "nodes": {"a": {"type": "end", "value": "6 * 7"}}}
    cairn.write("flow.json", json.dumps(flow))
    assert cairn("run", "-q", "flow.json").out == "42\n"


def test_compile_errors_have_places_and_a_count(cairn):
    cairn.write(
        "sub/bad.yaml",
        "cairn: 1\nname: bad\nnodes:\n  a: {type: transfrm, value: 1}\n"
        "  b: {type: end, value: 2, needs: [c]}\n",
    )
    done = cairn("run", "sub/bad.yaml")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        'sub/bad.yaml:4:13: error: there is no kind of node called "transfrm"\n'
        '    did you mean "transform"?\n'
        'sub/bad.yaml:5:36: error: "b" needs "c", but there is no node of that name\n'
        "    known here: a, b\n"
        "2 errors\n"
    )
    assert not os.path.exists(cairn.store)


def test_a_missing_workflow_file(cairn):
    done = cairn("run", "none.yaml")
    assert (done.status, done.err) == (
        2,
        "error: there is no file none.yaml\n"
        "    name a workflow file, or - for standard input\n",
    )


def test_a_folder_or_a_device_is_no_workflow(cairn):
    for path in (".", "/tmp", "/dev/null", "/dev/zero"):
        done = cairn("run", path)
        assert done.status == 2, path
        assert done.err.startswith(f"error: cannot read {path}: it is "), done.err


def test_a_huge_workflow_file_is_refused(cairn, tmp_path):
    with open(tmp_path / "huge.yaml", "wb") as handle:
        handle.truncate((16 << 20) + 1)
    done = cairn("run", "huge.yaml")
    assert done.status != 0
    assert "huge.yaml" in done.err and "larger than 16 MiB" in done.err


@pytest.mark.parametrize("path", ["../secret.sh", "a/../../secret.sh", "/etc/passwd"])
def test_files_outside_of_the_folder_are_refused(cairn, path):
    cairn.write("secret.sh", "echo secret")
    cairn.flow(
        f"  a: {{type: code, language: sh, file: {path}}}\n", name="flows/flow.yaml"
    )
    done = cairn("run", "flows/flow.yaml")
    assert (done.status, done.out) == (2, "")
    assert "secret\n" not in done.err
    assert done.err.startswith("flows/flow.yaml:4:") and path.split("/")[-1] in done.err
    assert "absolute path" in done.err or "lies outside the workflow's folder" in done.err


def test_paths_of_a_workflow_start_in_its_folder(cairn):
    cairn.write("flows/lib/hello.sh", "printf hello")
    cairn.flow(
        "  a: {type: code, language: sh, file: lib/hello.sh}\n"
        "  last: {type: end, needs: [a], value: a}\n",
        name="flows/flow.yaml",
    )
    assert cairn("run", "-q", "flows/flow.yaml").out == "hello\n"


def test_warnings_are_shown_and_do_not_stop(cairn):
    cairn.flow(
        "  a: {type: transform, value: 1}\n"
        "  b: {type: condition, when: 'true'}\n"
        "  c: {type: transform, needs: [b.true], value: '{\"x\": 1}'}\n"
        "  last: {type: end, needs: [a, c], join: all, value: c.x}\n"
    )
    done = cairn("run", "flow.yaml")
    assert (done.status, done.out) == (0, "1\n")
    assert done.err.startswith(
        'flow.yaml:7:54: warning: "c" may be skipped: it is null then, and a field of null is an '
        "error\n    write c.?field, or ask for nodes.c.status first\n1 warning\n"
    )
    assert "warning" not in cairn("run", "-q", "flow.yaml").err


def test_listed_environment_variables_are_recorded(cairn):
    cairn.flow(
        "env: [CITY, NOT_SET]\nnodes:\n  last: {type: end, value: '[env.CITY, env.NOT_SET]'}\n"
    )
    done = cairn("run", "flow.yaml", "--json-lines", env={"CITY": "Paris", "OTHER": "x"})
    assert done.json_lines[0]["env"] == {"CITY": "Paris"}
    assert done.json_lines[-1]["body"] == ["Paris", None]


# ---- failures ----

FAILS = """
  a: {type: transform, value: 1}
  boom:
    type: code
    needs: [a]
    language: sh
    code: exit 3
  never: {type: end, needs: [boom], value: boom}
"""


def test_a_failed_run_says_what_where_and_how_to_look_further(cairn):
    cairn.flow(FAILS)
    done = cairn("run", "-q", "flow.yaml")
    assert (done.status, done.out) == (1, "")
    assert steady(done.err) == (
        "error: execution ID failed: code: the script ended with exit status 3\n"
        "    at node boom (flow.yaml:6:3)\n"
        "    completed: a (1 of 3 steps)\n"
        "    cancelled because of boom: never\n"
        "    look further: cairn explain ID\n"
        "    try again: cairn retry ID\n"
        "    after mending it: cairn retry ID --workflow flow.yaml\n"
    )


def test_what_is_suggested_names_the_store_that_was_named(cairn):
    cairn.flow(FAILS)
    done = cairn("run", "-q", "flow.yaml", "--store", "x.db")
    explain, retry, mended = [line.split("cairn ", 1)[1].split()
                              for line in done.err.splitlines()[-3:]]
    assert cairn(*explain).status == 0
    again = cairn(*retry)
    assert again.status == 1 and "boom~1" in again.err
    again = cairn(*mended)
    assert again.status == 1 and "boom~2" in again.err


def test_a_failed_run_as_json_has_its_error(cairn):
    cairn.flow(FAILS)
    done = cairn("run", "flow.yaml", "--json")
    assert done.status == 1
    found = done.json
    assert found["status"] == "failed"
    assert found["error"] == {
        "type": "code", "message": "the script ended with exit status 3", "node": "boom",
        "attempt": 1,
    }
    assert {step["id"]: step["status"] for step in found["subSteps"]} == {
        "a": "completed", "boom": "failed", "never": "cancelled",
    }


def test_progress_tells_of_retries_and_logs(cairn):
    cairn.flow(
        "  boom:\n    type: code\n    language: sh\n    code: 'echo oh dear >&2; exit 3'\n"
        "    retry: {attempts: 2, backoff: 1ms, jitter: 0, on: [code]}\n"
    )
    done = cairn("run", "flow.yaml")
    why = "code: the script ended with exit status 3: oh dear"
    assert steady(done.err).splitlines()[:8] == [
        "TIME execution ID of flow created",
        "TIME step boom started",
        "TIME step boom stderr: oh dear",
        f"TIME step boom failed in attempt 1: {why}; again in TOOK",
        "TIME step boom started again (attempt 2)",
        "TIME step boom stderr: oh dear",
        f"TIME step boom failed: {why}",
        f"TIME execution ID is failing: {why}",
    ]


def test_a_partial_run_prints_its_result_and_exits_1(cairn):
    cairn.flow(
        "  bad: {type: code, language: sh, code: exit 1, on_error: continue}\n"
        "  last: {type: end, value: \"'still here'\"}\n"
    )
    done = cairn("run", "-q", "flow.yaml")
    assert (done.status, done.out) == (1, "still here\n")
    assert steady(done.err) == (
        "partial: execution ID ended with failures that the workflow allows\n"
        "    step bad failed: code: the script ended with exit status 1\n"
        "    completed: last (1 of 2 steps)\n"
        "    look further: cairn explain ID\n"
        "    try again: cairn retry ID\n"
        "    after mending it: cairn retry ID --workflow flow.yaml\n"
    )


def test_timeout_fails_the_execution(cairn):
    pipe = cairn.pipe("hold")
    cairn.flow(f"  a: {{type: code, language: sh, code: 'cat {pipe}'}}\n")
    done = cairn("run", "-q", "flow.yaml", "--timeout", "200ms", "--json")
    assert done.status == 1
    assert done.json["error"]["type"] == "timeout"
    assert done.json["error"]["message"].startswith("Execution timed out after")


def test_what_fails_inside_a_sub_workflow_is_told(cairn):
    cairn.flow("  inner: {type: code, language: sh, code: exit 9}\n", name="child.yaml")
    cairn.flow("  call: {type: workflow, workflow: child.yaml}\n")
    done = cairn("run", "flow.yaml")
    assert done.status == 1
    assert "at node call (flow.yaml:4:3)" in done.err
    assert "exit status 9" in done.err
    child = [line for line in done.err.splitlines() if "step inner started" in line]
    assert len(child) == 1 and re.search(r"exec_[0-9a-v]{20} step inner", child[0])


def test_control_characters_of_logs_are_not_printed(cairn):
    cairn.flow("  a: {type: code, language: sh, code: \"printf '\\\\033[31mred\\\\n' >&2\"}\n")
    done = cairn("run", "flow.yaml")
    assert "stderr: \\x1b[31mred" in done.err
    assert "\x1b" not in done.err


# ---- signals ----


def holding(cairn):
    """A workflow whose second step waits for a pipe."""
    pipe = cairn.pipe("hold")
    cairn.flow(
        "  first: {type: transform, value: 1}\n"
        f"  wait: {{type: code, needs: [first], language: sh, code: 'cat {pipe}'}}\n"
        "  last: {type: end, needs: [wait], value: wait}\n"
    )
    return pipe


def test_a_run_that_is_held_goes_on(cairn):
    pipe = holding(cairn)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    with open(pipe, "w", encoding="utf-8") as handle:
        handle.write("released")
    done = run.finish()
    assert (done.status, done.out) == (0, "released\n")


def test_sigterm_leaves_the_execution_as_it_was(cairn):
    holding(cairn)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    run.send(signal.SIGTERM)
    done = run.finish()
    assert (done.status, done.out) == (130, "")
    assert steady(done.err).endswith(
        "stopping what runs; once more leaves at once\n"
        "interrupted: execution ID was left as it was and is kept\n"
        "    go on with it: cairn resume ID\n"
    )
    found = cairn("results", run.id, "--json").json
    assert (found["status"], found["effectiveStatus"]) == ("running", "interrupted")
    assert {step["id"]: step["status"] for step in found["subSteps"]} == {
        "first": "completed", "wait": "running", "last": "pending",
    }


def test_the_processes_of_an_interrupted_run_are_gone(cairn):
    pipe = holding(cairn)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    run.send(signal.SIGTERM)
    assert run.finish().status == 130
    with pytest.raises(OSError):  # ENXIO: nobody reads it any more
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_ctrl_c_pauses_and_lets_what_runs_end(cairn):
    pipe = holding(cairn)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    run.send(signal.SIGINT)
    run.wait_for("pausing, waiting for 1 step; Ctrl-C again leaves now, they will run again")
    with open(pipe, "w", encoding="utf-8") as handle:
        handle.write("released")
    done = run.finish()
    assert (done.status, done.out) == (130, "")
    assert steady(done.err).endswith("paused: execution ID\n    go on: cairn resume ID\n")
    found = cairn("results", run.id, "--json").json
    assert found["effectiveStatus"] == "paused"
    assert {step["id"]: step["status"] for step in found["subSteps"]} == {
        "first": "completed", "wait": "completed", "last": "pending",
    }
    resumed = cairn("resume", run.id)
    assert (resumed.status, resumed.out) == (0, "released\n")
    assert "step wait" not in resumed.err  # it does not run again


def test_the_second_signal_leaves_at_once(cairn):
    cairn.flow(
        "  stubborn:\n    type: code\n    language: sh\n"
        "    code: |\n      trap '' TERM INT\n      echo ready >&2\n"
        "      while :; do read x < hold; done\n"
    )
    cairn.pipe("hold")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("stderr: ready")
    run.send(signal.SIGINT)
    run.wait_for("pausing, waiting for 1 step")
    run.send(signal.SIGINT)
    assert run.finish().status == 130
    assert cairn("results", run.id, "--json").json["effectiveStatus"] in ("interrupted", "paused")


def test_a_killed_run_is_interrupted(cairn):
    holding(cairn)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    run.send(signal.SIGKILL)
    assert run.finish().status == -signal.SIGKILL
    assert cairn("list", "--status", "interrupted", "--json").json["items"][0]["id"] == run.id


def test_a_result_nobody_reads_is_recorded_all_the_same(cairn):
    import subprocess

    from conftest import BIN

    cairn.flow(TWO)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [BIN, "run", "flow.yaml"], cwd=cairn.folder, env=cairn.env, stdout=write,
        stderr=write, timeout=PATIENCE,
    )
    os.close(write)
    assert done.returncode == 0
    assert cairn("results", "@last", "--json").json["finalResult"] == "got 2"


def test_many_processes_share_one_store(cairn):
    cairn.flow(TWO)
    runs = [cairn.start("run", "-q", "flow.yaml") for _ in range(6)]
    assert [run.finish().out for run in runs] == ["got 2\n"] * 6
    assert len(cairn("list", "--json").json["items"]) == 6


def test_an_execution_that_another_process_took_is_left_alone(cairn):
    import sqlite3

    pipe = holding(cairn)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step wait started")
    with sqlite3.connect(cairn.store) as db:
        db.execute("UPDATE progress SET epoch = epoch + 1")
    db.close()
    try:
        end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        os.write(end, b"released")
        os.close(end)
    except OSError:
        pass  # it has noticed already and stopped the step
    done = run.finish()
    assert (done.status, done.out) == (4, "")
    assert f"error: another process has taken execution {run.id} over" in done.err
    assert f"    execution {run.id} was left as it was last recorded: cairn results {run.id}\n" in (
        done.err
    )


def test_a_store_of_a_newer_version_is_refused(cairn):
    import sqlite3

    cairn.flow(TWO)
    cairn("run", "-q", "flow.yaml")
    with sqlite3.connect(cairn.store) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for arguments in (["run", "flow.yaml"], ["list"], ["results", "@last"]):
        done = cairn(*arguments)
        assert (done.status, done.out) == (4, "")
        assert "has format 99" in done.err and "use the newer cairn" in done.err
