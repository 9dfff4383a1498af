#!/usr/bin/env python3
"""Random workflows with frozen scripts, and what the plain implementation makes of them.

    random_cases.py [COUNT] [SEED] [FILE]       default: 100 cases of seed 1 to standard output

One case per line, in the form of the other *.jsonl files here. The same seed gives the same cases
for ever, whatever COUNT is: every case has a generator of its own, seeded by seed and number.
Graphs are grown from blocks (steps, branches, fans, loops, handlers), so that most are sensible;
then noise is added (odd needs, joins, guards, file order), so that some are not. A few per cent
do not compile, and their expected result says why.
"""
import json
import random
import sys

from naive import Execution, Plan, PlanError, simulate

LONGEST_LOG = 240     # longer runs are thrown away: they test nothing new and take time
INVALID_SHARE = 0.05  # of the cases; more of them come up by themselves and are thrown away
BODIES = [None, True, False, 0, -7, 1 << 40, "", "äö €", "a \"b\" \\ c", [], [1, [2]], {"k": 1}]
CHOICES = [["true", "false"], ["again", "done"], ["a", "b", "default"], ["only"],
           ["yes", "no", "maybe", "default"]]


class Sketch:
    """A workflow in the making. A block gets the needs of its first node and gives those by which
    the next block can hang on it."""

    def __init__(self, rng):
        self.rng, self.specs = rng, []
        self.around = []  # headers of the loops that are being grown, outermost first
        self.room = rng.choice([2, 4, 6, 8, 10, 14])
        self.loopy = rng.choice([0.1, 0.4, 0.8])

    def chance(self, p):
        return self.rng.random() < p

    def add(self, kind, needs):
        spec = {"name": f"{kind[0]}{len(self.specs)}", "type": kind}
        if needs:
            spec["needs"] = list(dict.fromkeys(needs))
        if kind == "condition" and self.chance(0.6):
            spec["handles"] = list(self.rng.choice(CHOICES))
        if kind == "foreach-work":
            spec["foreach"] = self.each()
        self.specs.append(spec)
        return spec

    def each(self):
        spec = {"items": self.rng.choice([0, 1, 2, 2, 3, 4, 5])}
        if self.chance(0.6):
            spec["on_item_error"] = self.rng.choice(["fail", "collect"])
        if self.chance(0.4):
            spec["concurrency"] = self.rng.randint(1, 3)
        return spec

    def plain(self, needs):
        kind = self.rng.choices(["work", "foreach-work", "condition", "end"], [8, 2, 2, 1])[0]
        spec = self.add(kind, needs)
        return spec, [self.exit_of(spec)]

    def exit_of(self, spec, handle=None):
        """One need on a node: plain or by a handle."""
        if spec["type"] != "condition":
            return spec["name"] + (".out" if self.chance(0.05) else "")
        if handle is None and self.chance(0.25):
            return spec["name"]
        return spec["name"] + "." + (handle or self.rng.choice(handles_of(spec)))

    def block(self, needs, depth):
        if len(self.specs) >= self.room:
            return self.plain(needs)[1]
        if depth < 3 and self.chance(self.loopy):
            return self.rng.choice([self.loop, self.loop, self.loop, self.small_loop])(needs, depth)
        make = self.rng.choice([self.step, self.step, self.branch, self.fan, self.handled])
        return make(needs, depth)

    def chain(self, needs, depth, most=2):
        for _ in range(self.rng.randint(1, most)):
            needs = self.block(needs, depth)
        return needs

    def step(self, needs, _):
        return self.plain(needs)[1]

    def branch(self, needs, depth):
        fork, tails = self.add("condition", needs), []
        for handle in handles_of(fork):
            if self.chance(0.2):
                continue
            arm = [self.exit_of(fork, handle)]
            tails += self.chain(arm, depth + 1, 1) if self.chance(0.7) else arm
        return self.meet(tails or [fork["name"]])

    def fan(self, needs, depth):
        first = self.plain(needs)[1]
        return self.meet([need for _ in range(self.rng.randint(2, 3))
                          for need in self.block(first, depth + 1)])

    def meet(self, needs):
        """Join the ends, or leave them to whoever comes next, or drop some."""
        if self.chance(0.7):
            spec, needs = self.plain(needs)
            if self.chance(0.4):
                spec["join"] = self.rng.choice(["any", "any", "all"])
        elif self.chance(0.5):
            needs = [self.rng.choice(needs)]
        return needs

    def handled(self, needs, depth):
        spec, tails = self.plain(needs)
        handler = self.block([spec["name"] + ".error"], depth + 1)
        return self.meet(tails + handler) if self.chance(0.6) else tails

    def loop(self, needs, depth):
        """header, things between, a decision, back; side branches; one or more ways out."""
        header, tails = self.plain(needs)
        first = len(self.specs)
        self.around.append(header)
        if self.chance(0.6):
            tails = self.chain(tails, depth + 1)
        self.around.pop()
        decision = self.add("condition", tails)
        inside = [header] + self.specs[first:]
        again = self.rng.choice(handles_of(decision))
        self.lead_back(header, self.exit_of(decision, again))
        if self.chance(0.25):
            self.lead_back(header, self.back_need(self.rng.choice(inside)))
        while self.chance(0.3) and len(self.specs) < self.room + 3:
            self.block([self.exit_of(self.rng.choice(inside))], depth + 1)  # a side branch
        exits = [self.exit_of(decision, h) for h in handles_of(decision) if h != again]
        exits = exits or [self.exit_of(self.rng.choice(inside))]
        if self.chance(0.5):
            header["on_limit"] = self.rng.choice(["exit", "exit", "exit", "fail"])
        if header.get("on_limit") == "exit" and self.chance(0.6):
            exits.append(header["name"] + ".limit")
        if self.around and self.chance(0.25):
            self.lead_back(self.around[-1], self.rng.choice(exits))
        if self.chance(0.2):
            exits.append(decision["name"])
        return self.meet(exits)

    def back_need(self, spec):
        return spec["name"] + ".error" if self.chance(0.4) else self.exit_of(spec)

    def small_loop(self, needs, _):
        """One node that leads back to itself: by a choice, an error, a guard, or n times."""
        spec, tails = self.plain(needs)
        way = self.rng.choice(["error", "out", "guard"])
        if spec["type"] == "condition":
            self.lead_back(spec, self.exit_of(spec, handles_of(spec)[-1]))
        elif way == "error":
            self.lead_back(spec, spec["name"] + ".error")
        else:
            self.lead_back(spec, spec["name"])
            if way == "guard":
                spec["if"] = True
            else:
                spec["on_limit"] = "exit"
                tails = tails + [spec["name"] + ".limit"]
        return tails

    @staticmethod
    def lead_back(header, need):
        needs = header.setdefault("needs", [])
        if need not in needs:
            needs.append(need)

    # Noise ----------------------------------------------------------------------------------------

    def disturb(self):
        """Things that a careful author would not do."""
        while self.chance(0.35) and len(self.specs) > 1:
            source, target = self.rng.sample(self.specs, 2)
            if self.chance(0.8) and self.specs.index(source) > self.specs.index(target):
                source, target = target, source
            need = self.back_need(source) if self.chance(0.3) else self.exit_of(source)
            if need not in target.get("needs", []):
                target.setdefault("needs", []).append(need)
        if self.chance(0.2):
            self.rng.shuffle(self.specs)
        elif self.chance(0.1):
            self.specs.reverse()

    def decorate(self):
        """Optional fields that are fine on every node."""
        guards, joins, tries, ranks, rules = (self.rng.choice([0, 0.1, 0.3]) for _ in range(5))
        erring = {need[:-6] for spec in self.specs for need in spec.get("needs", [])
                  if need.endswith(".error")}
        for spec in self.specs:
            if self.chance(guards):
                spec["if"] = True
            if self.chance(joins):
                spec["join"] = "any"
            if self.chance(tries):
                spec["attempts"] = self.rng.randint(1, 4)
            if self.chance(ranks):
                spec["priority"] = self.rng.randint(-2, 2)
            if self.chance(rules) and spec["name"] not in erring:
                spec["on_error"] = self.error_rule(spec)

    def error_rule(self, spec):
        if spec["type"] == "condition":
            value = self.rng.choice(handles_of(spec))
        else:
            value = self.rng.choice(BODIES)
        return self.rng.choice(["fail", "continue", "continue", {"value": value}])

    def spoil(self):
        """One mistake, on purpose."""
        spec = self.rng.choice(self.specs)
        needs = spec.setdefault("needs", [])
        mistake = self.rng.randrange(7)
        if mistake == 0:
            needs.append("nobody")
        elif mistake == 1:
            needs.append(self.rng.choice(self.specs)["name"] + ".nowhere")
        elif mistake == 2:
            needs += [self.exit_of(self.rng.choice(self.specs))] * 2
        elif mistake == 3:
            spec["max_iterations"] = 2
        elif mistake == 4:
            self.specs.append(dict(spec))
        elif mistake == 5:
            spec["type"], spec["on_error"] = "condition", {"value": "nothing"}
        else:
            spec["on_error"] = "continue"
            needs.append(spec["name"] + ".error")

    def workflow(self):
        wf = {"nodes": self.specs}
        if self.chance(0.8):
            wf["on_failure"] = self.rng.choice(["drain", "cancel", "continue", "continue"])
        if self.chance(0.5):
            wf["concurrency"] = self.rng.choice([None, 1, 1, 2, 3])
        if self.chance(0.3):
            names = [spec["name"] for spec in self.specs]
            wf["outputs"] = {f"out{i}": self.rng.choice(names) for i in range(2)}
        return wf


def handles_of(spec):
    return spec.get("handles", ["true", "false"])


class Improvised(dict):
    """A script made up while it is played: the first question about a step fixes the answer."""

    def __init__(self, rng, plan):
        super().__init__()
        self.rng, self.plan = rng, plan
        self.failing = rng.choice([0, 0, 0, 0.03, 0.1, 0.3])
        self.eager = rng.choice([0, 0.5, 0.8])  # to go round once more
        self.guarding = rng.choice([0.1, 0.3, 0.6])
        self.uneven = rng.choice([0, 0.5, 1])
        self.telling = rng.choice([0, 0, 0.5])

    def get(self, step, default=None):
        if step not in self:
            name = step.partition("[")[0].partition("#")[0]
            self[step] = self.invent(self.plan.by_name[name], step.endswith("]"))
        return self[step]

    def invent(self, node, is_item):
        rng, outcome = self.rng, {}
        effect = is_item or node.type == "work"
        if rng.random() < self.uneven and (effect or node.type != "foreach-work"):
            outcome["ticks"] = rng.choice([0, 1, 1, 2, 3, 7] if effect else [0, 0, 0, 1, 2])
        if rng.random() < self.failing and (effect or node.type != "foreach-work"):
            outcome["fail"] = rng.choice([1, 1, 1, 2, 3])
        if node.guarded and not is_item:
            outcome["if"] = rng.random() >= self.guarding
        if node.is_choice:
            outcome["handle"] = rng.choice(self.likely_handles(node))
        elif rng.random() < self.telling:
            outcome["body"] = rng.choice(BODIES)
        return outcome

    def likely_handles(self, node):
        """Mostly on or back: handles that lead nowhere make for dull runs."""
        back = [e.handle for e in node.outgoing if e.back and e.handle in node.handles]
        if back and self.rng.random() < self.eager:
            return back
        used = [h for h in node.handles if any(h in e.taken_by for e in node.outgoing)]
        return used if used and self.rng.random() < 0.7 else node.handles

    def frozen(self):
        return {step: outcome for step, outcome in self.items() if outcome}


def sketch_workflow(rng):
    sketch = Sketch(rng)
    while not sketch.specs or (sketch.chance(0.25) and len(sketch.specs) < sketch.room):
        sketch.chain(sketch.plain([])[1] if sketch.chance(0.8) else [], 0, 4)
    if sketch.chance(0.4):
        sketch.disturb()
    sketch.decorate()
    if sketch.chance(INVALID_SHARE):
        sketch.spoil()
    return sketch.workflow()


def limit_loops(rng, workflow):
    """Headers that say nothing would go round 100 times."""
    heads = {loop.header.name for loop in Plan(workflow).loops}
    for spec in workflow["nodes"]:
        if spec["name"] in heads:
            spec.setdefault("max_iterations", rng.choice([1, 2, 3, 3, 4]))


def try_case(rng, may_be_invalid):
    workflow = sketch_workflow(rng)
    try:
        limit_loops(rng, workflow)
        plan = Plan(workflow)
    except PlanError as error:
        wrong = {"compile_error": {"type": error.kind, "text": error.text}}
        return (workflow, {"steps": {}}, wrong) if may_be_invalid else None
    steps = Improvised(rng, plan)
    script = {"cancel_at": rng.randint(0, 12)} if rng.random() < 0.08 else {}
    result = Execution(plan, {**script, "steps": steps}).run()
    if (result["error"] or {}).get("type") == "deadlock":
        raise AssertionError("deadlock: " + json.dumps([workflow, steps.frozen()]))
    if len(result["log"]) > LONGEST_LOG:
        return None
    return workflow, {"steps": steps.frozen(), **script}, result


def random_case(seed, number):
    rng = random.Random(f"{seed}/{number}")
    may_be_invalid = rng.random() < INVALID_SHARE * 3  # most of the tries that may be are valid
    found = None
    while found is None:
        found = try_case(rng, may_be_invalid)
    keys = ("name", "workflow", "script", "expected")
    return with_roles(with_sets(dict(zip(keys, (f"random {seed}/{number}", *found)))))


def with_roles(case):
    """In every third case some nodes name others: fallbacks, what undoes, what runs last."""
    rng = random.Random(f"roles of {case['name']}")
    workflow = case["workflow"]
    if rng.random() < 0.67 or "compile_error" in case["expected"]:
        return case
    steps, added = case["script"]["steps"], []

    def new_node(choice=None):
        spec = {"name": f"r{len(added)}", "type": rng.choice(["work", "work", "end_"])}
        spec["type"] = "condition" if choice or spec["type"] == "end_" else "work"
        if choice:
            spec["handles"] = choice
        added.append(spec)
        return spec

    def some_runs(spec, may_fail):
        for run in range(4):
            outcome = {"ticks": rng.randint(0, 3)} if rng.random() < 0.5 else {}
            if may_fail and rng.random() < 0.3:
                outcome["fail"] = rng.randint(1, 2)
            steps[f"{spec['name']}#{run}" if run else spec["name"]] = outcome

    def rescue(spec, depth=0):
        other = new_node(handles_of(spec) if spec["type"] == "condition" else None)
        spec["fallback"] = other["name"]
        other["attempts"] = rng.randint(1, 2)
        some_runs(other, True)
        if depth < 2 and rng.random() < 0.3:
            rescue(other, depth + 1)

    failing = rng.random() < 0.7
    for spec in list(workflow["nodes"]):
        if rng.random() < 0.3:
            rescue(spec)
        if spec["type"] in ("work", "foreach-work") and rng.random() < 0.5:
            undoer = new_node()
            spec["compensate"] = undoer["name"]
            some_runs(undoer, False)
        if failing and rng.random() < 0.3:
            for step in [s for s in steps if s.partition("#")[0].partition("[")[0] == spec["name"]]:
                if rng.random() < 0.3:
                    steps[step] = {**steps[step], "fail": 4}
    if rng.random() < 0.6:
        last = [new_node() for _ in range(rng.randint(1, 2))]
        workflow["finally"] = [spec["name"] for spec in last]
        for spec in last:
            some_runs(spec, True)
    if rng.random() < 0.6:
        workflow["recover"] = "compensate"
    for spec in added:
        workflow["nodes"].insert(rng.randint(0, len(workflow["nodes"])), spec)
    case["script"]["steps"] = {step: outcome for step, outcome in steps.items() if outcome}
    case["expected"] = simulate(workflow, case["script"])
    return case


def with_sets(case):
    """Some nodes of every other case note in a variable what they complete with."""
    rng = random.Random(f"sets of {case['name']}")
    if rng.random() < 0.5:
        return case
    for spec in case["workflow"]["nodes"]:
        if rng.random() < 0.5:
            spec["set"] = True
    case["expected"] = simulate(case["workflow"], case["script"])
    return case


def random_cases(count, seed):
    return (random_case(seed, number) for number in range(1, count + 1))


def main(arguments):
    count, seed, path = (arguments + ["100", "1", "-"][len(arguments):])[:3]
    out = sys.stdout if path == "-" else open(path, "w", encoding="utf-8")
    with out:
        for case in random_cases(int(count), seed):
            out.write(json.dumps(case, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
