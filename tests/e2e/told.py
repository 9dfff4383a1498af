"""What must hold of an execution that many asked things of while its owners were killed: its journal,
the inbox, what each of them was told, what was seen meanwhile and what steps wrote outside must fit
together. Each check gets a Story: the whole journal with its bodies, decoded by `cairn watch`.
"""

import json
import re

from conftest import SLOWER
from interleave import RANK
from killer import query

ENDS = {"execution_completed", "execution_failed", "execution_cancelled"}
RESETS = {"execution_retried", "execution_rolled_back", "undo_begun"}
MOMENT_US = 5000000 * SLOWER  # in which what a cancel stops is gone, on a machine that is busy
AFTER_THE_END = RESETS | {"late_result", "execution_claimed", "answer_dropped", "workflow_changed"}


class Story:
    def __init__(self, cairn, id):
        told = cairn("watch", id, "--json-lines")
        self.id, self.cairn = id, cairn
        self.events = [e for e in told.json_lines if e["type"] != "log" or "seq" in e]
        rows = query(cairn.store, "SELECT e.seq, e.at_us, k.name, x.status FROM events e JOIN "
                     "event_kinds k ON k.id = e.kind JOIN executions x ON x.num = e.execution "
                     "WHERE x.id = ? ORDER BY e.seq", id)
        self.at_us = {seq: at for seq, at, _, _ in rows}
        self.status = rows[-1][3]
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), "a hole in the journal"
        shown = {e["seq"]: e["type"] for e in self.events}
        assert all(shown.get(seq, name) == name for seq, _, name, _ in rows)
        self.inbox = query(cairn.store, "SELECT i.id, i.kind, i.payload, i.verdict FROM inbox i "
                           "JOIN executions x ON x.num = i.execution WHERE x.id = ?", id)

    def of(self, type, **more):
        return [e for e in self.events
                if e["type"] == type and all(e.get(k) == v for k, v in more.items())]

    def counting(self):
        """The events that no rollback undid, in their order."""
        found, at = [], len(self.at_us)
        by_seq = {e["seq"]: e for e in self.events}
        while at > 0:
            event = by_seq.get(at)
            if event:
                found.append(event)
            at = event["to"] if event and event["type"] == "execution_rolled_back" else at - 1
        return found[::-1]

    def rollbacks(self):
        """Those that were asked of who runs it, and those of what had ended, each by its first
        event: one that undoes something goes back later."""
        asked, of_ended, over, undoes = [], [], False, False
        for event in self.events:
            back = event["type"] == "execution_rolled_back" and not undoes
            asks = event.get("reason") not in (None, "recover")  # and not its policy
            if asks and (back or event["type"] == "undo_begun"):
                (of_ended if over else asked).append(event)
            if event["type"] in ENDS | RESETS:
                over, undoes = event["type"] in ENDS, event["type"] == "undo_begun"
        return asked, of_ended

    def between(self, first, last, types):
        """One of these stands between two heads of the journal."""
        return any(e["type"] in types and first < e["seq"] <= last for e in self.events)

    def accepted(self, kind, value=None):
        """Rows of the inbox that were; of checkpoints those that were made: of what nobody runs they
        are recorded at once."""
        if kind == "checkpoint":
            made = [e for e in self.of("checkpoint_made") if e.get("reason")]
            return [e["seq"] for e in made if value in (None, e["text"])]
        return [id for id, row_kind, payload, verdict in self.inbox
                if row_kind == kind and (verdict or "").startswith("accepted")
                and value in (None, json.loads(payload).get("value"))]


# ---- the journal alone ----


def check_end(story):
    """Only a retry or a rollback goes on with what has ended; and it has ended."""
    over = False
    for event in story.events:
        assert not over or event["type"] in AFTER_THE_END, f"after the end: {event}"
        over = (over and event["type"] not in RESETS) or event["type"] in ENDS
    assert over and RANK[story.status] == 2, story.status


def check_once(story):
    """No step completes twice, and none is scheduled twice with one attempt or after its end."""
    ended, begun = set(), set()
    for event in story.events:
        step = event.get("step")
        if event["type"] in ("step_completed", "step_failed", "step_cancelled", "step_skipped"):
            assert step not in ended, f"ends twice: {event}"
            ended.add(step)
        elif event["type"] in ("step_scheduled", "step_waiting"):
            assert step not in ended, f"begins after its end: {event}"
            assert (step, event["attempt"]) not in begun, f"begins twice: {event}"
            begun.add((step, event["attempt"]))


def check_anew(story):
    """What completed is begun once more only when a retry names it or a rollback undid it. Nodes of
    finally, and those that undo, run again of themselves."""
    done = {}
    for event in story.events:
        step = (event.get("step") or "").split("~")[0]
        if event["type"] == "execution_rolled_back":
            done = {s: seq for s, seq in done.items() if seq <= event["to"]}
        elif event["type"] == "execution_retried":
            anew, keeping = set(event.get("nodes") or []), set(event.get("keeping") or [])
            done = {s: seq for s, seq in done.items() if node_of(s) not in anew
                    or (node_of(s) in keeping and "[" in s)}
        elif event["type"] in ("step_scheduled", "step_waiting", "step_completed"):
            assert step not in done or node_of(step) in ("last", "un_a", "un_b"), event
            if event["type"] == "step_completed":
                done[step] = event["seq"]


def node_of(step):
    return re.split(r"[#\[~]", step)[0]


def check_rows(story):
    """Nothing is left in a state that is none to stay in."""
    left = query(story.cairn.store, "SELECT step, s.status FROM steps s JOIN executions x ON "
                 "x.num = s.execution WHERE x.id = ? AND s.status IN ('pending', 'running', "
                 "'waiting')", story.id)
    left = [row for row in left if story.status != "cancelled" or row[1] != "pending"]
    assert not left, left
    owned = query(story.cairn.store, "SELECT host FROM progress g JOIN executions x ON x.num = "
                  "g.execution WHERE x.id = ? AND host <> 0", story.id)
    assert not owned or story.events[-1]["type"] == "execution_claimed"  # and was killed after that


# ---- what steps did outside ----


def check_log(story, kills):
    """No step ran after its completion, after the end, or more often than attempts and crashes make
    it; and each that completed ran, if not its result was used again."""
    runs = {}
    path = story.cairn.folder / "log"
    for line in path.read_text().splitlines() if path.exists() else []:
        key, at = line.split()
        if key.startswith(story.id + "/"):
            runs.setdefault(key.split("/", 1)[1], []).append(int(at) // 1000)
    for event in story.of("step_completed"):
        step = event["step"]
        late = [at for at in runs.get(step, []) if at > story.at_us[event["seq"]]]
        assert not late, f"{step} ran after its completion"
        if (event.get("meta") or {}).get("cached"):  # an attempt before, whose owner died, may have run
            begun = [e["seq"] for e in story.of("step_scheduled", step=step) if e["seq"] < event["seq"]]
            late = [at for at in runs.get(step, []) if at > story.at_us[begun[-1]]]
            assert not late, f"{step} ran though its result was there"
        elif "exitStatus" in (event.get("meta") or {}):
            assert runs.get(step), f"{step} completed and never ran"
    attempts = {}
    for event in story.of("step_scheduled"):
        attempts[event["step"]] = max(attempts.get(event["step"], 0), event["attempt"])
    for step, times in runs.items():
        most = attempts.get(step, 0) + kills
        assert step in attempts and len(times) <= most, f"{step} ran {len(times)} times"
    check_quiet_after_the_end(story, runs)


def check_quiet_after_the_end(story, runs):
    """No step runs after the end, but one that was under way at a cancel: that is stopped as soon as
    the end is durable."""
    stopped = {e["step"]: story.at_us[e["seq"]] for e in story.of("step_cancelled")}
    times = [(at, step) for step, all in runs.items() for at in all
             if not 0 <= at - stopped.get(step, at + 1) < MOMENT_US]
    since = None
    for event in story.events:
        at = story.at_us[event["seq"]]
        if event["type"] in ENDS:
            since = at
        elif event["type"] in RESETS and since:
            assert not [one for one in times if since < one[0] < at], "ran after the end"
            since = None
    assert not [one for one in times if since and one[0] > since], f"ran after the end: {times}"


# ---- requests ----

LEADS_TO = {"pause": "execution_paused", "resume": "execution_resumed",
            "cancel": "cancel_requested", "signal": "signal_received"}


def check_each_took_effect_once(story):
    """As many were accepted as had their effect; what was refused had none."""
    for kind, type in LEADS_TO.items():
        effects = [e for e in story.of(type) if e.get("reason")]
        spare = 0
        if kind == "resume":  # a cancel goes on by itself when there is something to undo
            cancels = {e["seq"] for e in story.of("cancel_requested")}
            spare = sum(e["seq"] + 1 in cancels for e in effects)
        found = len(story.accepted(kind))
        assert len(effects) - spare <= found <= len(effects), (kind, effects, story.inbox)
    effects = story.rollbacks()[0]
    assert len(effects) == len(story.accepted("rollback")), (effects, story.inbox)


KINDS = ["pause", "cancel", "rollback", "checkpoint", "signal", "answer", "retry"]


def check_told(story, asked, kinds):
    """What each was told is so. Those who were killed do not know, so both is right."""
    for one in asked:
        assert "cairn: bug:" not in one.said and "Sanitizer" not in one.said, one
        if one.told == "recorded":
            verdict = [row[3] for row in story.inbox if row[0] == one.number]
            assert verdict and verdict[0], f"recorded and never decided on: {one}"
        elif one.value is not None and one.told != "unknown":
            found = story.accepted(one.kind, one.value)
            assert len(found) == (one.told == "accepted"), (one, story.inbox)
    for kind in kinds:
        of_kind = [one.told for one in asked if one.kind == kind]
        sure, maybe = of_kind.count("accepted"), len(of_kind) - of_kind.count("refused")
        found = len(story.accepted(kind))
        found += len(story.rollbacks()[1]) if kind == "rollback" else 0
        found += len(story.of("execution_retried")) if kind == "retry" else 0
        assert sure <= found <= maybe, (kind, of_kind, story.inbox)


def check_signals(story):
    """Each is taken at most once by what counts, and nobody waits in vain while one is there."""
    received, taken = {}, {}
    for event in story.events:
        meta = event.get("meta") or {}
        if event["type"] == "signal_received":
            received[event["seq"]] = event["body"]
        elif event["type"] == "execution_rolled_back":
            taken = {s: at for s, at in taken.items() if at <= event["to"]}
        elif event["type"] == "step_completed" and "signal" in meta:
            assert meta["signal"] not in taken, f"taken twice: {event}"
            assert event["body"] == received[meta["signal"]]
            taken[meta["signal"]] = event["seq"]
        elif event["type"] == "step_completed" and meta.get("timedOut") and event["step"][0] == "t":
            assert set(taken) == set(received), f"waited in vain: {event}"


def check_answers(story, asked):
    """Each text was said once, so it is the body of one step at most, whatever became of that."""
    completed = [e for e in story.of("step_completed") if "answeredBy" in (e.get("meta") or {})]
    for one in asked:
        if one.kind == "answer" and one.value:
            bodies = [e for e in completed if e["body"] == one.value]
            kept = story.of("answer_kept", body=one.value)
            accepted = story.accepted("answer", one.value)
            assert len(bodies) <= 1 and len(kept) <= 1, (one, bodies, kept)
            assert len(accepted) == len(bodies) or (kept and accepted), (one, bodies, kept)
            assert accepted or not (bodies or kept), one
    check_kept(story)


def check_kept(story):
    """A kept answer is taken by the first wait of its step, or dropped with a word then, or when the
    workflow changes before; a step that ends before it asks takes none."""
    kept, waits = {}, set()
    for event in story.events:
        step = event.get("step")
        if step in waits:
            assert event["type"] in ("step_completed", "answer_dropped"), event
            waits.remove(step)
        if event["type"] == "execution_rolled_back":
            waits.clear()
        elif event["type"] == "answer_kept":
            assert step not in kept, f"kept twice: {event}"
            kept[step] = event["body"]
        elif event["type"] == "step_waiting" and step in kept:
            waits.add(step)
        elif event["type"] == "step_completed" and step in kept:
            body = kept.pop(step)
            taken = (event.get("meta") or {}).get("answeredBy") is None or event["body"] == body
            assert taken, f"not what was kept: {event}"
        elif event["type"] == "answer_dropped":
            kept.pop(step)
        elif event["type"] in ("step_failed", "step_cancelled", "step_skipped"):
            kept.pop(step, None)
        elif event["type"] == "workflow_changed":
            assert not kept, f"no word of what was kept: {event} {kept}"
    assert not waits, f"waited although an answer was kept: {waits}"


# ---- what was seen, and what it came to ----


def check_seen(story, play):
    """What pollers saw never goes back, but by a retry or a rollback."""
    last = play.seen[0]
    for now in play.seen[1:]:
        assert now.last_seq >= last.last_seq and now.epoch >= last.epoch, (last, now)
        if not story.between(last.last_seq, now.last_seq, RESETS):
            check_forward(last.status, now.status, (last, now))
            undone = story.between(0, now.last_seq, {"undo_begun"})  # what had completed is not any more
            if not undone and not story.between(last.last_seq, now.last_seq, {"loop_repeated"}):
                assert now.completed >= last.completed, (last, now)
        last = now
    for before, shown, after in play.looks:
        if not story.between(before.last_seq, after.last_seq, RESETS):
            check_forward(before.status, shown["status"], (before, shown, after))
            check_forward(shown["status"], after.status, (before, shown, after))


def check_forward(before, after, what):
    assert RANK[before] <= RANK[after], what
    assert RANK[before] < 2 or before == after, what


CONSTANT = {"a": 1, "c": 3, "w": 2, "x": 5, "y": 6}
PARTS = {"chain": "abc", "each": "afc", "loop": "aw", "sub": "asc", "below": "asc", "ask": "aqrc", "again": "aq",
         "signal": "astcu", "budget": "abf", "retry": "abc", "undo": "abc", "cache": "abf"}


def check_result(story, name, result):
    """It is made of the bodies of the steps that count, and those of programs are what they print."""
    bodies = {}
    for event in story.counting():
        if event["type"] == "step_completed":
            node = re.sub(r"#\d+|~\d+", "", event["step"])
            bodies[node] = event.get("body")
            assert bodies[node] == CONSTANT.get(node, bodies[node]), event
    if story.status == "completed":
        bodies["f"] = [bodies[f"f[{n}]"] for n in range(9) if f"f[{n}]" in bodies]
        parts = [bodies[part] for part in PARTS[name]]
        assert result == [p["n"] if isinstance(p, dict) else p for p in parts], (result, bodies)


def check(cairn, play):
    """All of it, of the execution and of those below."""
    story = Story(cairn, play.id)
    below = query(cairn.store, "SELECT c.id FROM executions c JOIN executions p ON p.num = c.parent "
                  "WHERE p.id = ?", play.id)
    for one in [story, *(Story(cairn, row[0]) for row in below)]:
        asked = [a for a in play.asked if a.arguments[1] == one.id]
        check_end(one)
        check_once(one)
        check_anew(one)
        check_rows(one)
        check_log(one, play.kills)
        check_told(one, asked, KINDS if one == story else ["answer"])
        check_answers(one, asked)
    check_each_took_effect_once(story)
    check_signals(story)
    check_seen(story, play)
    check_result(story, play.name, cairn("results", play.id, "--json").json["finalResult"])
