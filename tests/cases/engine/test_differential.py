"""The engine against the plain implementation, on our own cases and on random ones.

A random case that fails is kept in a file that is named in the message; shrink.py makes it small.
The plain implementation is itself held against an outside reference where that is present.
"""
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
ORACLE = PROJECT.parent / "shared" / "oracle"
OUT = pathlib.Path(os.environ.get("CAIRN_OUT", PROJECT / "build" / "release"))
PROGRAM = pathlib.Path(os.environ.get("CAIRN_ENGINE_CASES", OUT / "cairn-engine-cases"))
COUNT = int(os.environ.get("CAIRN_DIFF_CASES", "10000"))
SEED = os.environ.get("CAIRN_DIFF_SEED", "1")
OWN_FILES = sorted(HERE.glob("*.jsonl"))

sys.path.insert(0, str(HERE))
from naive import FINAL, Plan, simulate  # noqa: E402
from random_cases import random_case, random_cases  # noqa: E402


def read_cases(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def as_json(value):
    """What is left of a value once it was written and read."""
    return json.loads(json.dumps(value))


@pytest.fixture(scope="module")
def random_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("engine") / "random.jsonl"
    with open(path, "w", encoding="utf-8") as out:
        for case in random_cases(COUNT, SEED):
            out.write(json.dumps(case, ensure_ascii=False) + "\n")
    return path


def engine_agrees(path, count):
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not there: build it first (make)")
    run = subprocess.run([PROGRAM, path], capture_output=True, text=True, timeout=600, check=False)
    last = (run.stdout.strip().splitlines() or [""])[-1]
    verdict = re.fullmatch(r"passed (\d+) failed (\d+)", last)
    shown = f"{path}\n{run.stdout[:4000]}\n...\n{last}\n{run.stderr[-2000:]}"
    assert verdict, f"no verdict, exit {run.returncode}: {shown}"
    assert (int(verdict[1]), int(verdict[2])) == (count, 0), shown


def test_engine_agrees_on_random_cases(random_file):
    engine_agrees(random_file, COUNT)


@pytest.mark.parametrize("path", OWN_FILES, ids=lambda path: path.stem)
def test_engine_agrees_on_own_cases(path):
    engine_agrees(path, len(read_cases(path)))


def test_engine_agrees_on_outside_cases():
    path = ORACLE / "cases.jsonl"
    if not path.exists():
        pytest.skip(f"no outside reference at {path}")
    engine_agrees(path, len(read_cases(path)))


@pytest.mark.parametrize("path", OWN_FILES, ids=lambda path: path.stem)
def test_plain_implementation_gives_what_is_expected(path):
    cases = read_cases(path)
    assert cases
    for case in cases:
        assert as_json(simulate(case["workflow"], case["script"])) == case["expected"], case["name"]


def test_names_are_unique():
    names = [case["name"] for path in OWN_FILES for case in read_cases(path)]
    assert len(names) >= 60 and len(set(names)) == len(names)


def outside_knows(workflow):
    """It knows neither variables nor nodes that run for another one or at the end."""
    return not ("finally" in workflow or "recover" in workflow or any(
        spec.get("set") or spec.get("fallback") or spec.get("compensate")
        for spec in workflow["nodes"]))


def test_plain_implementation_agrees_with_outside_reference(random_file):
    source = ORACLE / "oracle.py"
    if not source.exists():
        pytest.skip(f"no outside reference at {source}")
    spec = importlib.util.spec_from_file_location("outside_reference", source)
    outside = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(outside)
    finally:
        sys.dont_write_bytecode = before
    cases = read_cases(ORACLE / "cases.jsonl") + read_cases(random_file)
    known = [c for c in cases if outside_knows(c["workflow"])]
    assert len(known) > len(cases) / 5
    for case in known:
        ours = simulate(case["workflow"], case["script"])
        assert as_json(ours) == as_json(outside.simulate(case["workflow"], case["script"])), \
            json.dumps(case)
        assert as_json(ours) == case["expected"], json.dumps(case)


def test_random_cases_repeat_exactly():
    once = list(random_cases(50, "repeat"))
    assert once == list(random_cases(50, "repeat"))
    assert once[49] == random_case("repeat", 50)
    assert once != list(random_cases(50, "other"))


def test_random_cases_are_varied(random_file):
    """A generator that has gone dull would prove nothing."""
    seen = {}
    for case in read_cases(random_file):
        for trait in traits(case):
            seen[trait] = seen.get(trait, 0) + 1
    for trait, share in SHARES.items():
        assert seen.get(trait, 0) >= share * COUNT * 0.5 - 3, (trait, seen)


SHARES = {  # roughly what a healthy generator makes; half of it is asked for
    "valid": 0.95, "invalid": 0.015, "loop": 0.6, "nested": 0.25, "repeated": 0.22, "items": 0.35,
    "completed": 0.55, "failed": 0.25, "partial": 0.015, "cancelled": 0.025, "loop_limit": 0.1,
    "limit edge": 0.18, "error back": 0.14, "leaves several": 0.02, "side branch": 0.2}


def traits(case):
    expected = case["expected"]
    if "compile_error" in expected:
        return {"invalid"}
    plan = Plan(case["workflow"])
    found = {"valid", expected["status"], (expected["error"] or {}).get("type")}
    rules = {
        "loop": plan.loops,
        "nested": any(a is not b and a.header in b.body for a in plan.loops for b in plan.loops),
        "side branch": any(loop.body != loop.cycle for loop in plan.loops),
        "repeated": any("#" in step for step, _ in expected["steps"]),
        "items": any("[" in step for step, _ in expected["steps"]),
        "limit edge": any(edge.is_limit for edge in plan.edges),
        "error back": any(edge.back and edge.handle == "error" for edge in plan.edges),
        "leaves several": any(len(edge.leaves) > 1 for edge in plan.edges)}
    return found | {trait for trait, holds in rules.items() if holds}


# Invariants: true of every result, whoever computed it -------------------------------------------


def split(step):
    """"f#2[1]" -> ("f", 2, 1)"""
    name, iteration, index = re.fullmatch(r"([^#\[]+)(?:#(\d+))?(?:\[(\d+)\])?", step).groups()
    return name, int(iteration or 0), None if index is None else int(index)


def test_invariants_of_random_results(random_file):
    for case in read_cases(random_file):
        if "compile_error" not in case["expected"]:
            try:
                check_steps(case)
                check_log(case)
            except AssertionError as error:
                raise AssertionError(json.dumps(case)) from error


def check_steps(case):
    """Every step is final and there once; iterations have no gap; each node has its last one."""
    expected, plan = case["expected"], Plan(case["workflow"])
    ids = [step for step, _ in expected["steps"]]
    assert len(set(ids)) == len(ids)
    assert all(status in FINAL for _, status in expected["steps"])
    iterations = {node.name: set() for node in plan.nodes}
    for name, iteration, index in map(split, ids):
        iterations[name].add(iteration)
        assert index is None or plan.by_name[name].type == "foreach-work"
    for name, seen in iterations.items():
        assert seen == set(range(len(seen)))
        assert seen or plan.by_name[name].role  # what others name may never be called
    for loop in plan.loops:
        outermost = not any(loop.header in other.body for other in plan.loops if other is not loop)
        if outermost:
            assert len(iterations[loop.header.name]) <= loop.header.max_laps
    assert (expected["status"] == "failed") == (expected["error"] is not None)
    assert (expected["error"] or {}).get("type") in (None, "failed", "loop_limit")


def check_log(case):
    """Starts and ends pair up in order of time; slots are kept; no pass of a loop overlaps."""
    expected, plan = case["expected"], Plan(case["workflow"])
    status = dict(map(tuple, expected["steps"]))
    slots = case["workflow"].get("concurrency") or len(status)
    bodies = {loop.header.name: {node.name for node in loop.body} for loop in plan.loops}
    running, started, now = set(), [], 0
    for tick, what, step, *end in expected["log"]:
        assert tick >= now
        now = tick
        if what == "end":
            assert end == [status[step]]
            running.remove(step)
            continue
        name, _, index = split(step)
        assert index is not None or not {split(other)[0] for other in running} & bodies.get(
            name, {name})
        started.append(step)
        running.add(step)
        assert sum(holds_slot(plan, other, status) for other in running) <= slots
        most = plan.by_name[name].each.get("concurrency") or len(status)
        assert sum(split(s)[0] == name and "[" in s for s in running) <= most
    assert not running
    assert started == [step for step, _ in expected["steps"][:len(started)]]
    assert all(s in ("skipped", "cancelled") for _, s in expected["steps"][len(started):])


def holds_slot(plan, step, steps):
    """Not a step whose fallback runs for it, or waits for a slot: the log does not tell since when,
    so not one that has any."""
    name, _, index = split(step)
    other = plan.by_name[name].fallback
    aided = other and other.name in {split(s)[0] for s in steps}
    return index is not None or (plan.by_name[name].type == "work" and not aided)
