"""The graph half of the plain implementation (naive.py): workflow -> checked plan.

Edges from needs, roots, back edges by dominance, the body of each loop, and every reason to refuse
a workflow. Nothing here knows of steps, time or outcomes, and nothing in a plan changes in a run.
"""

ANY = "*"  # how a plain need on a condition is printed: any handle of its choice


class PlanError(Exception):
    """The workflow has no valid plan. `kind` is for programs, `text` names the culprit."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class Node:
    """One box of the graph as the workflow describes it; nothing here changes during a run."""

    def __init__(self, spec, place):
        self.name, self.type, self.place = spec["name"], spec["type"], place
        self.needs = spec.get("needs", [])
        self.any_join = spec.get("join") == "any"
        self.guarded = bool(spec.get("if"))
        self.says_on_error, self.on_error = "on_error" in spec, spec.get("on_error", "fail")
        self.attempts, self.priority = spec.get("attempts", 1), spec.get("priority", 0)
        self.says_limit = "max_iterations" in spec or "on_limit" in spec
        self.max_laps = spec.get("max_iterations", 100)
        self.exit_at_limit = spec.get("on_limit") == "exit"
        self.each = spec.get("foreach", {})
        self.sets = spec.get("set", False)
        self.fallback, self.compensate = spec.get("fallback"), spec.get("compensate")
        self.role, self.owner = None, None  # of a node that another names, or `finally`
        self.collects = self.each.get("on_item_error") == "collect"
        self.is_choice = self.type == "condition"
        self.handles = spec.get("handles", ["true", "false"]) if self.is_choice else ["out"]
        self.incoming, self.outgoing, self.forward, self.loop = [], [], [], None

    @property
    def handled(self):
        return any(edge.handle == "error" for edge in self.outgoing)


class Edge:
    def __init__(self, src, handle, dst):
        self.src, self.handle, self.dst = src, handle, dst
        self.taken_by = frozenset(src.handles if handle == ANY else [handle])
        self.is_limit = handle == "limit"
        self.back = False    # leads back to the header of a loop
        self.leaves = []     # loops whose body it starts in and does not end in

    def __str__(self):
        return f"{self.src.name}.{self.handle}->{self.dst.name}"


class Loop:
    def __init__(self, header, backs):
        self.header, self.backs = header, backs
        self.cycle, self.exits, self.body = {header}, set(), set()

    def left_by(self, edge):
        """Is some handle that takes this edge an exit of the loop?"""
        return any((edge.src, handle) in self.exits for handle in edge.taken_by)


class Plan:
    """The checked graph. Nothing in it depends on the order in which a set is walked."""

    def __init__(self, workflow):
        self.workflow = workflow
        self.nodes = [Node(spec, place) for place, spec in enumerate(workflow["nodes"])]
        self.by_name = {}
        for node in self.nodes:
            if node.name in self.by_name:
                raise PlanError("duplicate_node", node.name)
            self.by_name[node.name] = node
        self.give_roles()
        self.edges = []
        for node in self.nodes:
            for need in node.needs:
                self.edges.append(self.connect(node, need))
        for node in self.nodes:
            check_on_error(node)
        self.loops = self.find_loops()
        self.check_forward_order()
        for loop in self.loops:
            find_cycle(loop)
        for loop in self.loops:
            self.find_body(loop)
        self.loops.sort(key=lambda loop: (len(loop.body), loop.header.place))  # inner ones first
        for edge in self.edges:
            edge.leaves = [loop for loop in self.loops
                           if edge.src in loop.body and edge.dst not in loop.body]
        self.check_limits()
        for loop in self.loops:
            check_way_out(loop)
        self.by_priority = sorted(self.nodes, key=lambda node: (-node.priority, node.place))

    def give_roles(self):
        """Who is named by whom; the names become nodes."""
        def give(name, role, owner):
            node = self.by_name[name]
            if node.role:
                raise PlanError("two_roles", name)
            node.role, node.owner = role, owner
            return node
        for node in self.nodes:
            node.fallback = node.fallback and give(node.fallback, "fallback", node)
            node.compensate = node.compensate and give(node.compensate, "compensate", node)
        self.finally_ = [give(name, "finally", None) for name in self.workflow.get("finally", [])]
        self.undoes = self.workflow.get("recover") == "compensate"

    def connect(self, node, need):
        name, dot, handle = need.partition(".")
        src = self.by_name.get(name)
        if src is None:
            raise PlanError("unknown_node", f"{node.name} needs {need}")
        if not dot:
            handle = ANY if src.is_choice else "out"
        elif handle not in src.handles and handle not in ("error", "limit"):
            raise PlanError("unknown_handle", f"{node.name} needs {need}")
        if any(edge.src is src and edge.handle == handle for edge in node.incoming):
            raise PlanError("duplicate_need", f"{node.name} needs {need} twice")
        edge = Edge(src, handle, node)
        src.outgoing.append(edge)
        node.incoming.append(edge)
        return edge

    def find_roots(self):
        """Where runs begin: nodes without needs, and the first node of every closed circle, that is
        of a set of nodes that all reach each other and that nothing else reaches."""
        after = {node: reach([node], lambda n: (e.dst for e in n.outgoing)) for node in self.nodes}
        roots, covered = [], set()
        for node in self.nodes:
            if node.incoming and (node in covered or node not in after[node]):
                continue
            circle = {other for other in after[node] if node in after[other]} | {node}
            if all(edge.src in circle for member in circle for edge in member.incoming):
                roots.append(node)
                covered |= circle
        return roots

    def find_loops(self):
        """h dominates n when nothing gets from a root to n once h is taken out of the graph."""
        roots, backs = self.find_roots(), {}
        for header in self.nodes:
            if not header.incoming:
                continue
            rest = reach_avoiding([root for root in roots if root is not header], header)
            for edge in header.incoming:
                edge.back = edge.src not in rest
            if any(edge.back for edge in header.incoming):
                backs[header] = [edge for edge in header.incoming if edge.back]
        for node in self.nodes:
            node.forward = [edge for edge in node.incoming if not edge.back]
        loops = [Loop(header, edges) for header, edges in backs.items()]
        for loop in loops:
            loop.header.loop = loop
        return loops

    def check_forward_order(self):
        """Without back edges the graph must have an order; a circle that is left is no loop."""
        self.order, left = [], list(self.nodes)
        while left:
            free = [node for node in left if not any(e.src in left for e in node.forward)]
            if not free:
                raise PlanError("irreducible", " <- ".join(name_circle(left)))
            self.order += free
            left = [node for node in left if node not in free]

    def find_body(self, loop):
        """The cycle, and what hangs on it alone by edges that do not leave."""
        loop.body = set(loop.cycle)
        barred = set()
        for other in self.loops:
            if other is not loop and loop.header in other.cycle:
                barred |= other.cycle
        for node in self.order:
            if node.forward and node not in loop.body and node not in barred and all(
                    edge.src in loop.body and not loop.left_by(edge) for edge in node.forward):
                loop.body.add(node)

    def check_limits(self):
        for node in self.nodes:
            if node.says_limit and node.loop is None:
                raise PlanError("limit_not_on_header", node.name)
        for edge in self.edges:
            loop = edge.src.loop
            if edge.is_limit and (
                    loop is None or not loop.header.exit_at_limit or edge.dst in loop.cycle):
                raise PlanError("unknown_handle", f"{edge.dst.name} needs {edge.src.name}.limit")


def check_on_error(node):
    if node.says_on_error and node.handled:
        raise PlanError("error_and_on_error", node.name)
    if node.is_choice and isinstance(node.on_error, dict):
        if node.on_error["value"] not in node.handles:
            raise PlanError("bad_on_error_value", f"{node.name}: not a handle")


def find_cycle(loop):
    """Backwards from the back edges up to the header; then the handles that lead nowhere inside."""
    tails = [edge.src for edge in loop.backs if edge.src is not loop.header]
    before = reach(tails, lambda node: () if node is loop.header else
                   (edge.src for edge in node.incoming))
    loop.cycle = before | set(tails) | {loop.header}
    for node in loop.cycle:
        inside = set()
        for edge in node.outgoing:
            if edge.dst in loop.cycle:
                inside |= edge.taken_by
        loop.exits |= {(node, handle) for handle in node.handles + ["limit"]} - {
            (node, handle) for handle in inside}


def check_way_out(loop):
    """A loop that nothing but its limit can end has to say that its limit is its end."""
    decides = any(handle != "limit" for _, handle in loop.exits)
    breaks = any(edge.handle == "error" and edge.dst not in loop.cycle
                 for node in loop.cycle for edge in node.outgoing)
    if not (decides or breaks or any(node.guarded for node in loop.cycle)
            or loop.header.exit_at_limit):
        raise PlanError("endless_loop", ", ".join(str(edge) for edge in loop.backs))


def reach(starts, onward):
    """Everything that at least one step leads to from the starts."""
    seen, todo = set(), list(starts)
    while todo:
        for node in onward(todo.pop()):
            if node not in seen:
                seen.add(node)
                todo.append(node)
    return seen


def reach_avoiding(starts, wall):
    return set(starts) | reach(
        starts, lambda node: (edge.dst for edge in node.outgoing if edge.dst is not wall))


def name_circle(left):
    """Upstream from the first node that is stuck, until one comes for the second time."""
    node, path = left[0], []
    while node not in path:
        path.append(node)
        node = next(edge.src for edge in node.forward if edge.src in left)
    return [member.name for member in path[path.index(node):] + [node]]
