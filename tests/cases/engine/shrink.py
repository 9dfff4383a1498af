#!/usr/bin/env python3
"""Makes a case on which the engine and the plain implementation differ as small as it can.

    shrink.py FILE NAME|NUMBER [PROGRAM]     default: build/release/cairn-engine-cases

NUMBER counts lines from 1. Whatever can be left out without losing the difference is left out:
nodes, needs, fields, outcomes. Prints the small case as one line, then what the engine says of it.
"""
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from naive import simulate

PROGRAM = pathlib.Path(__file__).resolve().parents[3] / "build/release/cairn-engine-cases"
KEPT = ("name", "type", "needs", "foreach")


def ask_engine(program, case, path):
    path.write_text(json.dumps(case, ensure_ascii=False) + "\n", encoding="utf-8")
    try:
        run = subprocess.run([program, path], capture_output=True, text=True, timeout=10,
                             check=False)
    except subprocess.TimeoutExpired:
        return False, "it does not end"
    said = run.stdout + run.stderr
    return "passed 1 failed 0" in run.stdout.splitlines(), said or f"exit {run.returncode}"


def smaller(case):
    """Every case that is one step simpler, the boldest first."""
    nodes, outcomes = case["workflow"]["nodes"], case["script"].get("steps", {})
    for index in reversed(range(len(nodes))):
        yield without_node(case, index, bridged=False)
        yield without_node(case, index, bridged=True)
    for place, node in enumerate(nodes):
        for index in reversed(range(len(node.get("needs", [])))):
            yield edited(
                case, lambda c, p=place, i=index: c["workflow"]["nodes"][p]["needs"].pop(i))
        for key in [key for key in node if key not in KEPT]:
            yield edited(case, lambda c, p=place, k=key: c["workflow"]["nodes"][p].pop(k))
        for key in list(node.get("foreach", {})):
            yield edited(case, lambda c, p=place, k=key: ease_foreach(c, p, k))
    for key in [key for key in case["workflow"] if key != "nodes"]:
        yield edited(case, lambda c, k=key: c["workflow"].pop(k))
    for key in [key for key in case["script"] if key != "steps"]:
        yield edited(case, lambda c, k=key: c["script"].pop(k))
    for step, outcome in outcomes.items():
        yield edited(case, lambda c, s=step: c["script"]["steps"].pop(s))
        for key in outcome if len(outcome) > 1 else ():
            yield edited(case, lambda c, s=step, k=key: c["script"]["steps"][s].pop(k))


def edited(case, change):
    case = copy.deepcopy(case)
    change(case)
    return case


def ease_foreach(case, place, key):
    spec = case["workflow"]["nodes"][place]["foreach"]
    if key == "items":
        spec["items"] = max(spec["items"] - 1, 0)
    else:
        del spec[key]


def without_node(case, index, bridged):
    """Bridged: who needed it needs what it needed, so that a chain gets shorter but stays one."""
    case = copy.deepcopy(case)
    removed = case["workflow"]["nodes"].pop(index)
    gone, instead = removed["name"], removed.get("needs", []) if bridged else []
    for node in case["workflow"]["nodes"]:
        needs = [[need] if need.partition(".")[0] != gone else instead
                 for need in node.get("needs", [])]
        needs = list(dict.fromkeys(need for group in needs for need in group))
        node["needs"] = [need for need in needs if need.partition(".")[0] != gone]
    outputs = case["workflow"].get("outputs") or {}
    if gone in outputs.values():
        case["workflow"]["outputs"] = {k: name for k, name in outputs.items() if name != gone}
    steps = case["script"].get("steps", {})
    case["script"]["steps"] = {
        step: outcome for step, outcome in steps.items()
        if step.partition("[")[0].partition("#")[0] != gone}
    return case


def shrink(case, fails):
    """Tries every simpler case; from the first that still fails, in no longer a run, it begins
    anew."""
    while True:
        for simpler in smaller(case):
            if simpler != case and fails(simpler) and length(simpler) <= length(case):
                case = simpler
                break
        else:
            return case


def length(case):
    return len(case["expected"].get("log", ()))


def find_case(path, wanted):
    cases = [json.loads(line) for line in open(path, encoding="utf-8")]
    for number, case in enumerate(cases, 1):
        if wanted in (case["name"], str(number)):
            return case
    sys.exit(f"{path} has no case {wanted}")


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    program = pathlib.Path(arguments[2]) if len(arguments) == 3 else pathlib.Path(
        os.environ.get("CAIRN_ENGINE_CASES", PROGRAM))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "case.jsonl"

        def fails(case):
            case["expected"] = simulate(case["workflow"], case["script"])
            return not ask_engine(program, case, path)[0]

        case = find_case(*arguments[:2])
        if not fails(case):
            sys.exit("the engine agrees on this case")
        case = shrink(case, fails)
        print(json.dumps(case, ensure_ascii=False))
        print(ask_engine(program, case, path)[1])


if __name__ == "__main__":
    main(sys.argv[1:])
