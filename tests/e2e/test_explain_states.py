"""cairn explain --json: every section, for every state that an execution can be in; and what holds steps
back although nothing of the workflow is open: breakers, budgets, slots."""

import http.server
import shlex
import signal
import sqlite3
import threading

import pytest
from conftest import PATIENCE
from test_explain import explained, held, step
from test_quarantine import claim
from test_recover import BREAKER as SERVICE_BREAKER

SECTIONS = {"id", "workflow", "status", "updatedAt", "failures", "notRun", "stopped", "undo", "owner", "requests",
            "inbox", "budget", "breakers", "slots", "steps", "answers", "remedies"}
FLOW = """concurrency: 1
budget: {{steps: 50}}
nodes:
{a}  b: {{type: code, language: sh, code: echo b}}
  both: {{type: transform, needs: [a, b], value: 1}}
  e: {{type: end, needs: [both], value: 1}}
"""


def live(cairn):
    """a runs, b waits for the only slot, both waits for them."""
    cairn.flow(FLOW.format(a=held(cairn, "a")))
    run = cairn.start("run", "flow.yaml")
    run.wait_for("a\n")
    return run


def killed(cairn):
    run = live(cairn)
    run.send(signal.SIGKILL)
    run.finish()
    return run.id


def pending(cairn):
    """As it is between its submission and its start, in a process that lives."""
    id = killed(cairn)
    cairn.write("other.yaml", "cairn: 1\nname: other\nnodes:\n  q: {type: ask, prompt: Well?, timeout: 1h}\n")
    other = cairn.start("run", "other.yaml")
    other.wait_for("waits for an answer")
    with sqlite3.connect(cairn.store) as db:
        num, = db.execute("SELECT num FROM executions WHERE id = ?", (id,)).fetchone()
        host, = db.execute("SELECT max(host) FROM progress").fetchone()
        first, = db.execute("SELECT id FROM events WHERE execution = ? AND seq = 1", (num,)).fetchone()
        db.execute("DELETE FROM events WHERE execution = ? AND seq > 1", (num,))
        db.execute("DELETE FROM steps WHERE execution = ?", (num,))
        db.execute("UPDATE executions SET status = 'pending', started_us = NULL, deadline_us = NULL "
                   "WHERE num = ?", (num,))
        db.execute("UPDATE progress SET last_seq = 1, last_event = ?, host = ?, steps_upto = 0 "
                   "WHERE execution = ?", (first, host, num))
    return id


def running(cairn):
    return live(cairn).id


def paused(cairn):
    run = live(cairn)
    assert cairn("pause", run.id).status == 0
    return run.id


def waiting(cairn):
    cairn.flow("  q: {type: ask, prompt: Well?}\n  e: {type: end, needs: [q], value: q}\n")
    assert cairn("run", "flow.yaml").status == 3
    return cairn("list", "--json").json["items"][0]["id"]


def ended(cairn, code, more="", head=""):
    cairn.flow(f"{head}nodes:\n  a: {{type: code, language: sh, code: {code}{more}}}\n"
               "  e: {type: end, needs: [a], value: 1}\n")
    return cairn.run_id("flow.yaml")


def completed(cairn):
    return ended(cairn, "echo hi")


def failed(cairn):
    return ended(cairn, "exit 3")


def partial(cairn):
    return ended(cairn, "exit 3", ", on_error: continue")


def cancelled(cairn):
    run = live(cairn)
    assert cairn("cancel", run.id).status == 0
    run.finish()
    return run.id


def quarantined(cairn):
    id = killed(cairn)
    for before in range(4):
        claim(cairn, id, before)
    assert "has failed as quarantined" in cairn("resume", id).err
    return id


# state: how it is made, its status, whether it has ended, what its remedies begin with
STATES = {
    "pending": (pending, "pending", False, ["watch"]),
    "running": (running, "running", False, ["watch"]),
    "paused": (paused, "paused", False, ["resume"]),
    "waiting": (waiting, "waiting", False, ["answer"]),
    "interrupted": (killed, "interrupted", False, ["resume"]),
    "completed": (completed, "completed", True, ["results", "logs"]),
    "failed": (failed, "failed", True, ["results", "logs", "retry", "retry"]),
    "partial": (partial, "partial", True, ["results", "logs", "retry", "retry"]),
    "cancelled": (cancelled, "cancelled", True, ["results", "logs", "retry", "retry"]),
    "quarantined": (quarantined, "failed", True, ["retry", "logs"]),
}
JOIN = [{"node": "a", "handle": "out"}, {"node": "b", "handle": "out"}]


@pytest.mark.parametrize("state", STATES)
def test_every_section_in_every_state(cairn, state):
    make, status, final, remedies = STATES[state]
    id = make(cairn)
    text, told = explained(cairn, id)
    assert SECTIONS <= told.keys(), SECTIONS - told.keys()
    assert (told["id"], told["status"]) == (id, status)
    assert text.startswith(f"execution ID of flow: {status}") and "to do: cairn " in text
    assert [r.split()[1] for r in told["remedies"]] == remedies
    listed = text[text.index("to do: "):].splitlines()  # a note behind each where there are several
    assert [line[7:].split("  #")[0].rstrip() for line in listed] == [r.replace(id, "ID") for r in told["remedies"]]
    assert [" # " in line for line in listed] == [len(listed) > 1] * len(listed)
    assert (told["requests"], told["inbox"], told["answers"], told["breakers"]) == (0, [], [], [])
    assert (told["slots"] is None) == final and (told["steps"] == []) == final
    assert (told["owner"] is not None and told["owner"]["alive"]) == (state in ("pending", "running", "paused"))
    assert ("pausedBy" in told, "pausedAt" in told) == (state == "paused",) * 2
    assert ("cancelledBy" in told) == (state == "cancelled")
    assert ("error" in told) == (state in ("failed", "quarantined"))
    assert [x["step"] for x in told["failures"]] == (["a"] if state in ("failed", "partial") else [])
    assert [x["node"] for x in told["notRun"]] == (["e"] if state in ("failed", "partial") else [])
    assert [x["step"] for x in told["stopped"]] == (["a"] if state == "cancelled" else [])
    assert told["undo"] is None
    if state in ("pending", "running", "paused", "interrupted", "cancelled"):
        of = told["budget"].pop("steps")
        used = 0 if state == "pending" else 1
        assert of == {"limit": 50, "used": used, "reserved": 0, "asked": 0, "askedBy": [], "of": id}
        assert f"  budget: {used} of 50 steps used\n" in text
    if state in ("pending", "running", "paused", "interrupted"):
        assert [{k: n[k] for k in ("node", "handle")} for n in step(told, "both")["needs"]] == JOIN
        assert all(n["open"] for n in step(told, "both")["needs"])
        assert (told["slots"]["limit"], told["slots"]["holders"]) == (1, [] if state == "pending" else ["a"])
    if state in ("running", "interrupted"):
        assert told["slots"] == {"limit": 1, "used": 1, "holders": ["a"], "waiting": ["b"]}
        assert "  slots: 1 of 1 in use, by a; wanted by b\n" in text
    if state in ("pending", "running", "paused"):
        assert told["owner"]["pid"] and told["owner"]["leaseUntil"]
        assert f"  run by process {told['owner']['pid']} with a lease until TIME\n" in text


def test_the_first_thing_to_do_is_a_command_that_is_taken(cairn):
    """Of what has ended and of what waits; the others are asked in test_control.py and elsewhere."""
    for make, status in ((failed, 1), (partial, 1), (waiting, 0), (completed, 0)):
        id = make(cairn)
        line = explained(cairn, id)[1]["remedies"][0].replace("VALUE", "yes")
        done = cairn(*shlex.split(line)[1:])
        assert done.status in (0, status), (line, done.err)


# ---- breakers ----

BREAKER = SERVICE_BREAKER.replace("open: 300ms, max: 1s", "open: %s")


@pytest.fixture
def service():
    """Fails while `down`; while `held`, a request waits for a turn of `go`."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            failing = server.down.is_set()  # looked at first: who is to be held is not missed
            if server.held.is_set():
                server.asked.release()
                server.go.acquire(timeout=PATIENCE)
                failing = server.down.is_set()
            self.send_response(503 if failing else 200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.down, server.held = threading.Event(), threading.Event()
    server.go, server.asked = threading.Semaphore(0), threading.Semaphore(0)
    server.down.set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.held.clear()
    for _ in range(10):
        server.go.release()
    server.shutdown()
    server.server_close()


def test_an_open_breaker(cairn, service):
    cairn.flow(BREAKER % "1h")
    run = cairn.start("run", "flow.yaml", "-i", f"url={service.url}/x")
    for _ in range(3):
        run.wait_for("is left alone")
        run.err = run.err.replace("is left alone", "", 1)
    text, told = explained(cairn)
    breaker, = told["breakers"]
    assert (breaker["service"], breaker["state"]) == (service.url, "open")
    assert breaker["failures"] >= 2 and breaker["since"] < breaker["nextProbe"]
    assert (breaker["holds"], breaker["probes"]) == ([f"ask[{i}]" for i in range(3)], [])
    assert (f"  breaker of {service.url}: open since TIME after {breaker['failures']} failures in a row, "
            "next probe at TIME; holds back ask[0], ask[1], ask[2]\n") in text


def test_a_breaker_that_is_probed_and_closes(cairn, service):
    cairn.flow(BREAKER % "300ms")
    run = cairn.start("run", "flow.yaml", "-i", f"url={service.url}/x")
    run.wait_for("is left alone")
    service.held.set()
    service.down.clear()
    assert service.asked.acquire(timeout=PATIENCE)  # the probe, which is not answered yet
    told = explained(cairn)[1]
    breaker, = told["breakers"]
    assert breaker["state"] == "half-open" and len(breaker["probes"]) == 1
    assert set(breaker["holds"]) | set(breaker["probes"]) <= {f"ask[{i}]" for i in range(3)}
    service.go.release()
    assert service.asked.acquire(timeout=PATIENCE)  # the others may call again
    told = explained(cairn)[1]
    assert [(b["state"], b["holds"], b["probes"]) for b in told["breakers"]] == [("closed", [], [])]
    for _ in range(5):
        service.go.release()
    assert run.finish().status == 0
    assert explained(cairn)[1]["breakers"] == []


# ---- budgets ----

AGENT = """
agents:
  w: {service: offline, replies: [one two three], price: {input: 100, output: 200}, params: {max_tokens: 10}}
"""


def test_what_is_asked_of_a_budget_and_by_whom(cairn):
    cairn.flow(AGENT + "budget: {llm_calls: 1}\nnodes:\n"
               "  a: {type: agent, agent: w, prompt: hello}\n"
               "  b: {type: agent, agent: w, needs: [a], prompt: hello}\n"
               "  c: {type: agent, agent: w, needs: [a], prompt: hello}\n")
    assert cairn("run", "flow.yaml").status == 3
    text, told = explained(cairn)
    assert told["budget"] == {"llm_calls": {"limit": 1, "used": 1, "reserved": 0, "asked": 2, "askedBy": ["b", "c"],
                                            "of": told["id"]}}
    assert "  budget: 1 of 1 llm_calls used, 2 more asked for by b, c\n" in text


def test_the_budget_of_the_execution_above(cairn):
    cairn.flow("budget: {steps: 10, usd: 1}\nnodes:\n  kid:\n    type: workflow\n    workflow:\n      name: kid\n"
               "      budget: {steps: 40}\n      nodes:\n        q: {type: ask, prompt: Well?}\n")
    assert cairn("run", "flow.yaml").status == 3
    top = cairn("list", "--json").json["items"][0]["id"]
    kid = next(x["id"] for x in cairn("list", "--all", "--json").json["items"] if x["id"] != top)
    text, told = explained(cairn, kid)
    assert {key: (part["limit"], part["of"]) for key, part in told["budget"].items()} == {
        "steps": (10, top), "usd": (1.0, top)}
    assert " (the budget of ID)\n" in text
    assert explained(cairn, top)[1]["budget"]["steps"]["of"] == top


