#!/usr/bin/env python3
"""A second, deliberately plain implementation of cairn's scheduling rules.

It is the yardstick for the C engine: no I/O, no journal, no cleverness. What an edge is worth is
never kept up to date but worked out from the nodes whenever somebody asks, and after every event
the rules are applied again and again until none of them changes anything. It must stay independent
of the C sources: neither is ever derived from the other.

    naive.py < case.json            prints the result of one {"workflow": ..., "script": ...}
    naive.py --fill < cases.jsonl   prints the same lines with "expected" worked out anew

tests/cases/engine/README.md describes the form of a case.
"""
import heapq
import json
import sys

from naive_plan import Plan, PlanError

FINAL = frozenset(("completed", "failed", "skipped", "cancelled"))
OPEN, TAKEN, DEAD = "open", "taken", "dead"


class State:
    """Where one node stands in its present iteration."""

    def __init__(self, iteration=0, armed=False):
        self.iteration = iteration
        self.armed = armed       # header of a loop that starts over: its join is not asked
        self.status, self.ready, self.handle, self.body = "pending", False, None, None
        self.flawed = False      # failed and allowed to, or collected a failure
        self.items = None        # of a foreach that runs: [status, body] of each item
        self.aided = False       # its fallback was called: it only waits for that


class Execution:
    def __init__(self, plan, script):
        self.plan, self.script = plan, script
        self.outcomes = script.get("steps", {})
        self.on_failure = plan.workflow.get("on_failure", "drain")
        self.slots = plan.workflow.get("concurrency") or float("inf")
        self.state = {node: State() for node in plan.nodes}
        for node in plan.nodes:
            if node.role:
                self.state[node] = State(-1)
                self.state[node].status = "idle"  # until it is called
        self.stage = "graph"     # then undo, then finally: when all is final
        self.undo_asked, self.undo, self.subject = False, [], {}
        self.last = list(plan.finally_)
        self.laps = {loop: 1 for loop in plan.loops}  # passes since the loop was entered
        self.limited = set()     # loops that met their limit
        self.refused = set()     # back edges that came too late
        self.over = set()        # loops in which no back edge can be taken any more
        self.now, self.queue, self.busy, self.started_count = 0, [], 0, 0
        self.log, self.steps, self.started, self.places, self.ends = [], {}, [], {}, []
        self.error, self.phase, self.cancelled = None, "run", False  # run, drain, halt
        self.seen = []           # the variable to which steps add their bodies

    # What edges and loops are worth now -----------------------------------------------------------

    def worth(self, edge):
        source = self.state[edge.src]
        if source.status not in FINAL or not self.over.issuperset(edge.leaves):
            return OPEN
        if edge in self.refused:
            return DEAD
        if edge.is_limit:
            return TAKEN if edge.src.loop in self.limited else DEAD
        return TAKEN if source.handle in edge.taken_by else DEAD

    def look_at_loops(self):
        """From nothing: a loop is over when all its back edges are dead, which may end others."""
        self.over, before = set(), -1
        while len(self.over) != before:
            before = len(self.over)
            for loop in self.plan.loops:
                if loop not in self.over and all(self.worth(edge) == DEAD for edge in loop.backs):
                    self.over.add(loop)

    # How steps end --------------------------------------------------------------------------------

    def step_id(self, node, index=None):
        iteration = self.state[node].iteration
        text = f"{node.name}#{iteration}" if iteration else node.name
        return text if index is None else f"{text}[{index}]"

    def record(self, node, index, before, status):
        step = self.step_id(node, index)
        if before == "running":
            self.log.append([self.now, "end", step, status])
        self.steps[step] = status
        self.places[step] = (node.place, self.state[node].iteration, -1 if index is None else index)

    def finish(self, node, status, handle=None, body=None, flawed=False, itself=True):
        state = self.state[node]
        if status == "completed" and node.compensate and not (state.aided or node.each) and itself:
            self.undo.append((node, self.step_id(node)))
        self.record(node, None, state.status, status)
        state.status, state.handle, state.body, state.flawed = status, handle, body, flawed
        state.ready = False
        if node.type == "end" and status == "completed":
            self.ends.append(node)
        if node.sets and not node.each and status == "completed":
            self.seen.append(body)
        self.look_at_loops()
        if node.role == "fallback":
            self.stood_in(node, status, body)

    def stood_in(self, node, status, body):
        """The end of a fallback is that of its node."""
        subject = node.owner
        if self.state[subject].status in FINAL:
            return
        if status == "completed" and not subject.is_choice:
            self.finish(subject, "completed", "out", body)
        elif status == "completed" and body in subject.handles:
            self.finish(subject, "completed", body, body)
        elif status == "cancelled":
            self.finish(subject, "cancelled")
        else:
            self.fail(subject)

    def call(self, node):
        """Its next run, in its next iteration."""
        self.state[node] = State(self.state[node].iteration + 1)

    def finish_item(self, node, index, status, body=None):
        item = self.state[node].items[index]
        self.busy -= item[0] == "running"
        self.record(node, index, item[0], status)
        item[:] = [status, body]
        if node.compensate and status == "completed":
            self.undo.append((node, self.step_id(node, index)))
        if node.sets and status == "completed":
            self.seen.append(body)

    def give_up_items(self, node, running_too):
        for index, (status, _) in enumerate(self.state[node].items or []):
            if status == "pending" or (status == "running" and running_too):
                self.finish_item(node, index, "cancelled")

    def check_items(self, node):
        """Is the foreach done? Its first failed item ends it, unless it collects."""
        items = self.state[node].items
        if self.state[node].aided:
            return
        statuses = [status for status, _ in items]
        if "failed" in statuses and not node.collects:
            self.give_up_items(node, True)
            self.fail(node)
        elif "pending" in statuses or "running" in statuses:
            return
        elif "cancelled" in statuses:
            self.finish(node, "cancelled")
        elif node.collects:
            bodies = [{"ok": True, "value": body} if status == "completed" else
                      {"ok": False, "error": "failed"} for status, body in items]
            self.finish(node, "completed", "out", bodies, "failed" in statuses)
        else:
            self.finish(node, "completed", "out", [body for _, body in items])

    def fail(self, node):
        """No attempt is left: who handles it?"""
        if node.fallback and not self.state[node].aided and self.phase == "run":
            self.state[node].aided = True
            self.call(node.fallback)
        elif node.handled:
            self.finish(node, "failed", "error")
        elif isinstance(node.on_error, dict):
            value = node.on_error["value"]
            self.finish(node, "completed", value if node.is_choice else "out", value, itself=False)
        elif node.on_error == "continue":
            self.finish(node, "failed", flawed=True)
        elif node.role in ("fallback", "compensate"):
            self.finish(node, "failed")
        else:
            self.undo_asked |= self.plan.undoes and self.phase == "run" and not node.role
            self.finish(node, "failed")
            self.fail_execution("failed", node)

    def fail_execution(self, kind, node):
        if self.stage != "graph" and self.cancelled:
            return
        self.error = self.error or {"type": kind, "node": node.name}
        if self.stage == "graph" and self.phase == "run" and self.on_failure != "continue":
            self.stop("halt" if self.on_failure == "cancel" else "drain")

    def stop(self, phase):
        """Nothing starts any more. drain: what runs may finish; halt: nothing runs on."""
        self.phase = phase
        for node in self.plan.nodes:
            state = self.state[node]
            if state.status == "pending":
                self.finish(node, "cancelled")
            elif state.status == "running" and state.aided:
                if phase == "halt":
                    self.finish(node, "cancelled")
            elif state.status == "running":
                self.give_up_items(node, phase == "halt")
                idle = state.items is not None and all(s != "running" for s, _ in state.items)
                if phase == "halt" or idle:
                    self.finish(node, "cancelled")

    # The rules that need no event -----------------------------------------------------------------

    def settle(self):
        """First limits, then a round over the pending nodes, then one loop that starts over; and
        again from the first rule after each that changed something."""
        while self.phase == "run" and (
                self.keep_limits() or self.look_at_pending() or self.start_over()):
            pass  # (of a graph that was drained nothing goes on when what runs last does)

    def keep_limits(self):
        changed = False
        for loop in self.loops_alive():
            for edge in loop.backs:
                if self.laps[loop] < loop.header.max_laps or self.worth(edge) != TAKEN:
                    continue
                changed = True
                self.refused.add(edge)
                self.limited.add(loop)
                self.look_at_loops()
                if not loop.header.exit_at_limit:
                    self.fail_execution("loop_limit", loop.header)
                if self.phase != "run":
                    return True
        return changed

    def look_at_pending(self):
        """In file order; a skip counts at once for the nodes that follow in the file."""
        changed = False
        for node, state in self.state.items():
            if state.status != "pending" or state.ready:
                continue
            verdict = "start" if state.armed or not node.forward else self.join(node)
            if verdict == "wait":
                continue
            changed = True
            if verdict == "skip" or (node.guarded and not self.outcome(node).get("if", True)):
                self.finish(node, "skipped")
            else:
                state.ready = True
        return changed

    def join(self, node):
        worths = [self.worth(edge) for edge in node.forward]
        if TAKEN in worths and (node.any_join or OPEN not in worths):
            return "start"
        return "wait" if OPEN in worths else "skip"

    def loops_alive(self):
        return self.plan.loops if self.stage == "graph" else []

    def start_over(self):
        for loop in self.loops_alive():
            if any(self.worth(edge) == TAKEN for edge in loop.backs) and all(
                    self.state[node].status in FINAL for node in loop.body):
                self.rearm(loop)
                return True
        return False

    def rearm(self, loop):
        self.laps[loop] += 1
        for inner in self.plan.loops:
            if inner is not loop and inner.header in loop.body:
                self.laps[inner] = 1
                self.limited.discard(inner)
        for node in loop.body:
            self.state[node] = State(self.state[node].iteration + 1, node is loop.header)
            self.refused.difference_update(node.outgoing)
        self.ends = [node for node in self.ends if node not in loop.body]
        self.look_at_loops()

    # Starting -------------------------------------------------------------------------------------

    def outcome(self, node, index=None):
        return self.outcomes.get(self.step_id(node, index), {})

    def start_ready(self):
        """Is there more to settle, because an empty foreach has ended already?"""
        ended = False
        for node in self.plan.by_priority:
            state = self.state[node]
            if state.ready and (node.type != "work" or self.busy < self.slots):
                ended |= self.start(node, state)
            if state.items is not None and state.status == "running":
                self.feed(node, state.items)
        return ended

    def start(self, node, state):
        state.ready, state.status = False, "running"
        self.begin(node, None)
        if node.type != "foreach-work":
            self.busy += node.type == "work"
            self.schedule(node, None, 1 if node.type == "work" else 0)
            return False
        state.items = [["pending", None] for _ in range(node.each["items"])]
        if not state.items:
            self.check_items(node)
        return not state.items

    def feed(self, node, items):
        running = sum(status == "running" for status, _ in items)
        most = node.each.get("concurrency") or len(items)
        for index, item in enumerate(items):
            if item[0] == "pending" and running < most and self.busy < self.slots:
                running, self.busy, item[0] = running + 1, self.busy + 1, "running"
                self.begin(node, index)
                self.schedule(node, index, 1)

    def begin(self, node, index):
        step = self.step_id(node, index)
        if step in self.steps:
            raise AssertionError(f"step {step} starts twice")
        self.steps[step] = "running"
        self.started.append(step)
        self.log.append([self.now, "start", step])

    def schedule(self, node, index, usual_ticks):
        """All attempts follow each other without a pause, so only the last one's end matters."""
        outcome = self.outcome(node, index)
        attempts = min(outcome.get("fail", 0) + 1, node.attempts)
        at = self.now + attempts * outcome.get("ticks", usual_ticks)
        self.started_count += 1
        heapq.heappush(self.queue,
                       (at, self.started_count, node, index, self.state[node].iteration))

    # Events ---------------------------------------------------------------------------------------

    def arrive(self, node, index, iteration):
        state = self.state[node]
        if state.status != "running" or state.iteration != iteration or state.aided:
            return  # it was cancelled: too late
        if index is not None and state.items[index][0] != "running":
            return
        outcome = self.outcome(node, index)
        failed = outcome.get("fail", 0) >= node.attempts
        body = outcome.get("body", self.step_id(node, index))
        if index is not None:
            self.finish_item(node, index, *(("failed",) if failed else ("completed", body)))
            self.check_items(node)
            return
        self.busy -= node.type == "work"
        if failed:
            self.fail(node)
        elif node.is_choice:
            handle = outcome.get("handle", node.handles[-1])
            self.finish(node, "completed", handle, handle)
        else:
            self.finish(node, "completed", "out", body)

    def turn(self):
        self.settle()
        while (self.phase == "run" and self.start_ready()) or self.call_last():
            self.settle()

    def call_last(self):
        """When all is final: what undoes, the last completed first; then the nodes of finally. A
        cancel stops either."""
        if not self.over_all():
            return False
        self.busy = 0
        stopped = self.phase != "run"
        if self.undo_asked and self.stage == "graph":
            self.stage, self.phase, stopped = "undo", "run", False
        if self.stage == "undo" and self.undo and not stopped:
            self.call(self.undo.pop()[0].compensate)
            return True
        if self.last and not (self.stage == "finally" and stopped):
            self.stage, self.phase = "finally", "run"
            self.call(self.last.pop(0))
            return True
        return False

    def over_all(self):
        return all(state.status in FINAL or state.status == "idle"
                   for state in self.state.values())

    def run(self):
        cancel_at = self.script.get("cancel_at")
        self.turn()
        while self.queue and not self.over_all():
            if cancel_at is not None and self.queue[0][0] > cancel_at:
                self.now, self.cancelled, cancel_at = cancel_at, self.error is None, None
                self.stop("halt")
                self.turn()
                continue
            self.now, _, *event = heapq.heappop(self.queue)
            self.arrive(*event)
            self.turn()
        if not self.over_all():
            stuck = [node.name for node, s in self.state.items()
                     if s.status not in FINAL and s.status != "idle"]
            self.error = {"type": "deadlock", "node": ",".join(stuck),
                          "open": [str(e) for e in self.plan.edges if self.worth(e) == OPEN]}
        return self.result()

    def result(self):
        status = "completed"
        if self.error:
            status = "failed"
        elif self.cancelled:
            status = "cancelled"
        elif any(state.flawed for state in self.state.values()):
            status = "partial"
        seen = set(self.started)
        rest = sorted((step for step in self.steps if step not in seen), key=self.places.get)
        seen_too = {"seen": self.seen} if any(node.sets for node in self.plan.nodes) else {}
        return {"status": status, "error": self.error, **seen_too,
                "steps": [[step, self.steps[step]] for step in self.started + rest],
                "log": self.log,
                "bodies": {node.name: state.body for node, state in self.state.items()},
                "finalResult": self.final_result() if status in ("completed", "partial") else None}

    def final_result(self):
        outputs = self.plan.workflow.get("outputs")
        if outputs:
            return {key: self.state[self.plan.by_name[name]].body for key, name in outputs.items()}
        return self.state[self.ends[-1]].body if self.ends else None


def simulate(workflow, script):
    """The result document of one case."""
    try:
        plan = Plan(workflow)
    except PlanError as error:
        return {"compile_error": {"type": error.kind, "text": error.text}}
    return Execution(plan, script).run()


def main(arguments):
    if arguments == ["--fill"]:
        for line in sys.stdin:
            case = json.loads(line)
            case["expected"] = simulate(case["workflow"], case["script"])
            print(json.dumps(case, ensure_ascii=False))
    else:
        case = json.load(sys.stdin)
        print(json.dumps(simulate(case["workflow"], case["script"]), indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
