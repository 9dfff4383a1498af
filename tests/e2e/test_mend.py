"""cairn retry --workflow FILE and -i: what completed is kept, what the mended file changes is told."""

import os
import signal
import sqlite3

from conftest import until

STEP = "echo $CAIRN_IDEMPOTENCY_KEY >>effects; "


def step(name, does, needs="", more=""):
    return (f"  {name}: {{type: code, language: sh, needs: [{needs}], {more}"
            f"code: '{STEP}{does}'}}\n")


def effects(cairn):
    """The steps whose effects were performed, in order."""
    return [line.split("/")[1] for line in (cairn.folder / "effects").read_text().splitlines()]


def failed(cairn, text, *more, status=1):
    cairn.flow(text)
    run = cairn("run", "flow.yaml", *more)
    assert run.status == status, run.err
    id = cairn("list", "--json").json["items"][0]["id"]
    assert f"cairn retry {id} --workflow flow.yaml" in run.err
    return id


def lines(told, word):
    """The names behind a word of what is told before a mended retry."""
    found = [line.split(": ", 1)[1] for line in told.err.splitlines()
             if line.startswith(f"    {word}: ")]
    return found[0].split(", ") if found else []


def is_sound(cairn, id):
    keys = (cairn.folder / "effects").read_text().splitlines()
    assert len(keys) == len(set(keys)), keys
    assert cairn("db", "check").status == 0, cairn("db", "check").out
    assert cairn("results", id, "--json").json["status"] == "completed"


def test_fail_mend_and_go_on(cairn):
    text = step("a", "echo one") + step("b", "exit 3", "a") + "  e: {type: end, needs: [b], value: a + b}\n"
    id = failed(cairn, text)
    cairn.flow(text.replace("exit 3", "echo two"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    assert (again.status, again.out) == (0, "one\ntwo\n") or again.out == "onetwo\n", again
    assert lines(again, "kept") == ["a"] and lines(again, "runs anew") == ["b"]
    assert lines(again, "to come") == ["e"]
    assert effects(cairn) == ["a", "b", "b~1"]
    is_sound(cairn, id)
    assert cairn("explain", id).status == 0 and cairn("watch", id).status == 0


def test_nodes_come_and_go(cairn):
    text = step("a", "echo 1") + step("old", "echo out") + step("b", "exit 3", "a, old")
    id = failed(cairn, text)
    mended = step("a", "echo 1") + step("fresh", "echo 2", "a") + step("b", "echo 3", "a, fresh")
    cairn.flow(mended + "  e: {type: end, needs: [b], value: fresh + b}\n")
    again = cairn("retry", id, "-w", "flow.yaml")
    assert again.status == 0 and lines(again, "no longer in it") == ["old"]
    assert lines(again, "kept") == ["a"] and lines(again, "to come") == ["fresh", "e"]
    assert sorted(effects(cairn)) == sorted(["a", "old", "b", "fresh", "b~1"])
    told = cairn("results", id, "--json").json
    assert {s["id"]: s["status"] for s in told["subSteps"]} == {
        "a": "completed", "old": "completed", "b": "failed", "fresh": "completed",
        "b~1": "completed", "e": "completed"}
    assert "old stdout: out" in cairn("logs", id, "old").out
    assert cairn("logs", id, "none").status == 2
    assert "old completed" in cairn("watch", id).err + cairn("watch", id).out
    is_sound(cairn, id)
    # It comes back under an id that it never had.
    cairn.flow(mended + step("old", "echo back") + "  e: {type: end, needs: [b, old], value: old}\n")
    third = cairn("retry", id, "-w", "flow.yaml", "--from", "e")
    assert third.status == 0 and "old~1" in effects(cairn) and effects(cairn).count("old") == 1
    is_sound(cairn, id)


def test_nodes_of_others_that_never_ran_are_not_told_as_kept(cairn):
    text = (step("a", "echo 1", more="compensate: no_a, fallback: else_a, ")
            + "  no_a: {type: code, language: sh, code: echo no}\n  else_a: {type: transform, value: 1}\n" + step("b", "exit 3", "a"))
    id = failed(cairn, text)
    cairn.flow(text.replace("exit 3", "echo 2"))
    again = cairn("retry", id, "-w", "flow.yaml")
    assert again.status == 0 and lines(again, "kept") == ["a"] and lines(again, "runs anew") == ["b"]
    assert "else_a" not in again.err and "no_a" not in again.err


def test_a_fallback_that_ran_is_told(cairn):
    text = (step("a", "exit 4", more="fallback: else_a, ") + "  else_a: {type: transform, value: 1}\n"
            + step("b", "exit 3", "a"))
    id = failed(cairn, text)
    cairn.flow(text.replace("exit 3", "echo 2"))
    assert lines(cairn("retry", id, "-w", "flow.yaml"), "kept") == ["a", "else_a"]


def test_what_is_kept_and_differs_is_named(cairn):
    text = (step("a", "echo 1") + step("b", "exit 3", "a"))
    id = failed(cairn, text)
    cairn.flow(step("a", "echo 2", more="timeout: 5s, ") + step("b", "echo", "a"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    assert again.status == 0
    assert ("    a is kept although its code, timeout differ: --from a runs it anew"
            in again.err.splitlines())
    assert effects(cairn) == ["a", "b", "b~1"]
    anew = cairn("retry", id, "--workflow", "flow.yaml", "--from", "a", "--quiet")
    assert anew.status == 0 and effects(cairn)[-2:] == ["a~1", "b~2"]
    is_sound(cairn, id)


def test_files_that_a_node_names_differ(cairn):
    cairn.write("a.sh", STEP + "echo 1")
    text = "  a: {type: code, language: sh, file: a.sh}\n" + step("b", "exit 3", "a")
    id = failed(cairn, text)
    cairn.write("a.sh", STEP + "echo 2")
    cairn.flow(text.replace("exit 3", "echo"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    assert "a is kept although its file differs: --from a runs it anew" in again.err
    assert again.status == 0 and effects(cairn) == ["a", "b", "b~1"]


def test_inputs_change(cairn):
    text = ("inputs: {city: {type: string}, gone: {type: string, default: x}}\nnodes:\n"
            + step("a", "echo $city", more="env: {city: inputs.city}, ").replace("env: {city: inputs.city}", "in: {city: inputs.city}")
            + step("b", "cat ok", "a")
            + "  e: {type: end, needs: [b], value: inputs.city + a}\n")
    id = failed(cairn, text, "-i", "city=Paris")
    cairn.write("ok", "")
    again = cairn("retry", id, "-i", "city=Rome")
    assert again.status == 0 and again.out.startswith("Rome")
    assert "a is kept although it reads city, which changed: --from a runs it anew" in again.err
    assert effects(cairn) == ["a", "b", "b~1"]
    assert cairn("results", id, "--json").json["inputs"]["city"] == "Rome"
    unknown = cairn("retry", id, "-i", "town=Rome", "--from", "b")
    assert unknown.status == 2 and 'no input "town"' in unknown.err
    # Another workflow drops an input with a word, and wants a new one.
    cairn.flow(text.replace("gone: {type: string, default: x}", "n: {type: integer}"))
    wants = cairn("retry", id, "--workflow", "flow.yaml", "--from", "b")
    assert wants.status == 2 and 'input "n" is missing' in wants.err and "-i NAME=VALUE" in wants.err
    done = cairn("retry", id, "--workflow", "flow.yaml", "-i", "n=3", "--from", "b")
    assert done.status == 0 and "the input gone is left out" in done.err
    assert cairn("results", id, "--json").json["inputs"] == {"city": "Rome", "n": 3}
    is_sound(cairn, id)


def test_a_default_that_nobody_chose_follows_the_file(cairn):
    text = ("inputs: {word: {type: string, default: wrong}}\nnodes:\n" + step("a", "exit 3")
            + "  e: {type: end, needs: [a], value: inputs.word}\n")
    id = failed(cairn, text)
    cairn.flow(text.replace("wrong", "right").replace("exit 3", "echo"))
    assert cairn("retry", id, "-w", "flow.yaml", "--quiet").out == "right\n"


def test_a_file_that_is_no_workflow_changes_nothing(cairn):
    id = failed(cairn, step("a", "exit 3"))
    before = (cairn.folder / cairn.store).read_bytes() if False else cairn("results", id, "--json").json
    cairn.flow("  a: {type: code, language: sh, code: x, needs: [zz]}\n")
    refused = cairn("retry", id, "--workflow", "flow.yaml")
    assert refused.status == 2 and "flow.yaml:4" in refused.err and "zz" in refused.err
    assert cairn("retry", id, "--workflow", "none.yaml").status == 2
    assert cairn("results", id, "--json").json == before
    db = sqlite3.connect(cairn.store)
    assert db.execute("SELECT count(*) FROM workflows").fetchone()[0] == 1
    db.close()


def test_a_running_execution_is_refused(cairn):
    cairn.flow("  a: {type: ask, prompt: 'go?'}\n")
    assert cairn("run", "flow.yaml").status == 3
    refused = cairn("retry", "@last", "--workflow", "flow.yaml")
    assert refused.status == 2 and "has not ended (waiting)" in refused.err


def test_what_explain_suggests_goes_on(cairn):
    text = step("a", "echo 1") + step("b", "exit 3", "a")
    id = failed(cairn, text)
    told = [line for line in cairn("explain", id).out.splitlines() if "--workflow" in line]
    assert told and told[0].split("  #")[0].strip() == (
        f"cairn retry {id} --workflow {cairn.folder}/flow.yaml"), told
    cairn.flow(text.replace("exit 3", "echo 2"))
    assert cairn(*told[0].split("  #")[0].split()[1:]).status == 0
    is_sound(cairn, id)
    assert "retry" not in cairn("explain", id).out


def test_two_edits_in_a_row(cairn):
    text = step("a", "echo 1") + step("b", "exit 3", "a") + step("c", "exit 4", "b")
    id = failed(cairn, text)
    cairn.flow(text.replace("exit 3", "echo 2"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    assert again.status == 1 and f"cairn retry {id} --workflow flow.yaml" in again.err
    cairn.flow(text.replace("exit 3", "echo 2").replace("exit 4", "echo 3"))
    assert cairn("retry", id, "--workflow", "flow.yaml").status == 0
    assert effects(cairn) == ["a", "b", "b~1", "c~1", "c~2"]
    is_sound(cairn, id)


def test_a_new_guard_decides_anew_about_what_was_skipped(cairn):
    text = (step("a", "echo 1") + "  s: {type: template, template: told, needs: [a], if: 'false'}\n"
            + step("b", "exit 3", "a") + "  e: {type: end, needs: [b], value: nodes.s.status}\n")
    id = failed(cairn, text)
    cairn.flow(text.replace("'false'", "'true'").replace("exit 3", "echo"))
    assert cairn("retry", id, "--workflow", "flow.yaml", "--quiet").out == "completed\n"


def test_the_items_of_a_foreach_that_completed_are_kept(cairn):
    text = step("f", 'test "$item" != 2', more="foreach: {items: [1, 2, 3], on_item_error: collect}, on_error: continue, ")
    text += step("b", "exit 3", "f")
    id = failed(cairn, text)
    cairn.flow(text.replace('test "$item" != 2', "echo good").replace("exit 3", "echo"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    assert again.status == 0, again.err
    assert lines(again, "completed items kept") == ["f"]
    assert sorted(effects(cairn)) == sorted(["f[0]", "f[1]", "f[2]", "b", "f[1]~1", "b~1"])
    is_sound(cairn, id)
    # Other items are another foreach.
    other = text.replace("exit 3", "exit 5").replace('test "$item" != 2', "exit 9")
    id = failed(cairn, other)
    cairn.flow(text.replace("exit 3", "echo").replace("[1, 2, 3]", "[4, 5]"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    assert again.status == 0 and lines(again, "runs anew")[0] == "f"
    is_sound(cairn, id)


def test_a_sub_workflow_is_mended_with_its_parent(cairn):
    child = "cairn: 1\nname: child\nnodes:\n" + step("x", "exit 3")
    cairn.write("child.yaml", child)
    id = failed(cairn, step("a", "echo 1") + "  sub: {type: workflow, workflow: child.yaml, needs: [a]}\n"
                "  e: {type: end, needs: [sub], value: a}\n")
    cairn.write("child.yaml", child.replace("exit 3", "echo good"))
    again = cairn("retry", id, "--workflow", "flow.yaml")
    assert again.status == 0, again.err
    assert lines(again, "kept") == ["a"] and effects(cairn) == ["a", "x", "x"]
    assert cairn("db", "check").status == 0


def test_from_another_folder_paths_start_there(cairn):
    id = failed(cairn, step("a", "echo 1") + step("b", "cat ok", "a"))
    text = (cairn.folder / "flow.yaml").read_text()
    cairn.write("mended/flow.yaml", text)
    cairn.write("mended/ok", "there")
    again = cairn("retry", id, "--workflow", "mended/flow.yaml")
    assert again.status == 0, again.err
    assert (cairn.folder / "mended/effects").read_text().count("b~1") == 1


def test_killed_right_after_the_retry(cairn):
    text = step("a", "echo 1") + step("b", "exit 3", "a")
    id = failed(cairn, text)
    mended = step("a", "echo 1") + step("b", "echo $$ >pid; test -e go || sleep 60", "a")
    cairn.flow(mended + "  e: {type: end, needs: [b], value: a}\n")
    going = cairn.start("retry", id, "--workflow", "flow.yaml")
    going.wait_for("step b~1 started")
    until((cairn.folder / "pid").exists)
    going.child.send_signal(signal.SIGKILL)
    going.child.wait()
    (cairn.folder / "flow.yaml").unlink()
    cairn.write("go", "")
    again = cairn("resume", id)
    assert again.status == 0, again.err
    assert [x for x in effects(cairn) if x != "b~1"] == ["a", "b"]
    assert cairn("db", "check").status == 0


def test_in_the_background(cairn):
    text = step("a", "echo 1") + step("b", "exit 3", "a")
    id = failed(cairn, text)
    cairn.flow(text.replace("exit 3", "echo 2"))
    assert cairn("retry", id, "--workflow", "flow.yaml", "--background").out.strip() == id
    cairn("watch", id)
    is_sound(cairn, id)
