"""Every workflow in examples/, run by the real binary, with its expected result.

CAIRN_BIN names the binary (default build/release/cairn). Each test works in a copy of examples/ with
a store of its own, so nothing is written into the source tree. What is expected is computed here in
another way where that is possible, not copied from a run.
"""

import csv
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.parse

import pytest
import yaml

from conftest import PATIENCE

TOP = pathlib.Path(__file__).resolve().parents[2]
CAIRN = os.path.abspath(os.environ.get("CAIRN_BIN") or TOP / "build/release/cairn")


@pytest.fixture
def place(tmp_path):
    shutil.copytree(TOP / "examples", tmp_path / "examples")
    return tmp_path / "examples"


def cairn(place, *args, cwd=None):
    env = dict(os.environ, CAIRN_STORE=str(place.parent / "store" / "cairn.db"))
    return subprocess.run(
        [CAIRN, *args], cwd=cwd or place, env=env, capture_output=True, text=True, timeout=2 * PATIENCE
    )


def run(place, name, *args, status="completed", cwd=None):
    """The execution as `cairn run NAME --json` prints it."""
    done = cairn(place, "run", name, "--json", *args, cwd=cwd)
    assert done.stdout, done.stderr
    execution = json.loads(done.stdout)
    assert execution["status"] == status, (execution["error"], done.stderr)
    assert done.returncode == (0 if status == "completed" else 1)
    return execution


def steps(execution, node):
    return [s for s in execution["subSteps"] if s["node"] == node]


def workflows():
    """Manifests of providers are none: tests/e2e/test_integration.py uses them."""
    found = sorted(p.relative_to(TOP / "examples") for p in (TOP / "examples").rglob("*.yaml"))
    return [p for p in found if p.parts[0] != "providers"]


@pytest.mark.parametrize("name", [str(p) for p in workflows() if p.parts[0] != "data"])
def test_every_example_is_valid(place, name):
    done = cairn(place, "validate", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr


def test_every_example_is_tested_here():
    tested = set(re.findall(r'"([\w/-]+\.yaml)"', pathlib.Path(__file__).read_text()))
    assert {str(p) for p in workflows() if p.parts[0] != "data"} <= tested


# ---- the small ones ----


def test_hello(place):
    result = run(place, "hello.yaml", "-i", "name=Ada")["finalResult"]
    assert result == {
        "greeting": "Hello, Ada!",
        "verse": "Slow water, still older than its bridges.",
    }
    assert len((place / "hello.yaml").read_text().splitlines()) == 10


def test_loop_ends_when_the_reviewer_is_content(place):
    execution = run(place, "loop.yaml")
    assert execution["finalResult"] == {
        "text": "Twice a day the moon lifts the sea and sets it down again.",
        "drafts": 3,
        "accepted": True,
    }
    assert [s["iteration"] for s in steps(execution, "draft")] == [0, 1, 2]
    assert [s["result"] for s in steps(execution, "good")] == [False, False, True]


def test_loop_leaves_by_limit(place):
    text = (place / "loop.yaml").read_text()
    (place / "short.yaml").write_text(text.replace("max_iterations: 5", "max_iterations: 2"))
    result = run(place, "short.yaml")["finalResult"]
    assert result == {
        "text": "The sea comes and goes, and the moon is why.",
        "drafts": 2,
        "accepted": False,
    }


def collatz(n):
    return 0 if n == 1 else 1 + collatz(3 * n + 1 if n % 2 else n // 2)


@pytest.mark.parametrize("numbers", [None, [7, 6, 5, 4, 3, 2, 1], [1]])
def test_fan_out(place, numbers):
    given = [] if numbers is None else ["-i", "numbers:=" + json.dumps(numbers)]
    numbers = numbers or [27, 97, 871, 6170, 77031]
    execution = run(place, "fan-out.yaml", *given)
    counts = [collatz(n) for n in numbers]
    assert execution["finalResult"] == {
        "steps": counts,
        "odd": sum(n % 2 for n in numbers),
        "winner": numbers[counts.index(max(counts))],
    }
    items = [s["index"] for s in steps(execution, "steps") if s["index"] is not None]
    assert sorted(items) == list(range(len(numbers)))


def test_sub_workflow(place):
    execution = run(place, "sub-workflow.yaml")
    assert execution["finalResult"] == {
        "cleaned": ["to be or not", "", "that is the question"],
        "total": {"texts": 2, "longest": "to be or not"},
    }
    assert run(place, "parts/clean.yaml", "-i", "text=  a  b ")["finalResult"] == {
        "text": "a b",
        "words": 2,
    }


def test_trip(place):
    run(place, "trip.yaml", status="failed")
    log = [line.split()[:2] for line in (place / "trip.log").read_text().splitlines()]
    booked = [["flight", "booked"], ["Rome", "booked"], ["Bari", "booked"]]
    assert log[0] == booked[0] and sorted(log[1:3]) == sorted(booked[1:])
    undone = [["Rome-7", "cancelled"], ["Bari-7", "cancelled"]]
    assert sorted(log[3:5]) == sorted(undone) and log[5:] == [["F-12", "cancelled"]]
    assert (place / "bill.txt").read_text() == "trip failed\n"
    (place / "trip.log").unlink()
    assert run(place, "trip.yaml", "-i", "funds=600")["finalResult"] == {"paid": 600}
    assert "cancelled" not in (place / "trip.log").read_text()


def test_retry(place):
    execution = run(place, "retry.yaml")
    assert execution["finalResult"] == {"flaky": 3, "broken": "gave up after 2 attempts"}
    (flaky,), (broken,) = steps(execution, "flaky"), steps(execution, "broken")
    assert (flaky["status"], flaky["attempt"]) == ("completed", 3)
    assert (broken["status"], broken["attempt"]) == ("failed", 2)
    assert "no such printer" in broken["error"]["message"]
    assert flaky["durationMs"] >= 0


# ---- triage ----


def read_tickets(place):
    with open(place / "data/tickets.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def ask(place, script, ticket):
    """What the offline model must answer: a second implementation of its rules."""
    rules = yaml.safe_load((place / "data" / script).read_text())
    prompt = f"{ticket['subject']}\n\n{ticket['body']}".lower()
    for rule in rules["replies"]:
        if any(text.lower() in prompt for text in rule["match"]):
            return rule["reply"]
    return rules["default"]


def count(words):
    return {word: words.count(word) for word in set(words)}


def expected_triage(place):
    tickets = read_tickets(place)
    return {
        "tickets": 200,
        "topics": count([ask(place, "topics.yaml", t) for t in tickets]),
        "channels": count([t["channel"] for t in tickets]),
        "urgent": [t["id"] for t in tickets if ask(place, "urgency.yaml", t) == "urgent"],
        "escalated": False,  # nobody answers in time
        "report": str(place / "report.md"),
    }


def check_report(place, result):
    report = (place / "report.md").read_text(encoding="utf-8")
    lines = report.splitlines()
    tickets = read_tickets(place)
    assert lines[0] == "# Support tickets"
    assert f"200 tickets, {len(result['urgent'])} of them urgent." in lines
    for topic, number in result["topics"].items():
        assert sum(line.startswith(f"| {topic} | {number} |") for line in lines) == 1
    listed = re.findall(r"^- \*\*(T-\d+)\*\*", report, re.M)
    assert sorted(listed) == [t["id"] for t in tickets]  # each once
    assert listed[: len(result["urgent"])] == result["urgent"]
    for ticket in tickets:
        assert f'- **{ticket["id"]}** ({ticket["channel"]}) {ticket["subject"]}: ' in report
    assert "just {{tracking_url}}" in report  # what customers write is data, never expanded
    return report


def test_triage(place):
    execution = run(place, "triage.yaml")
    assert execution["finalResult"] == expected_triage(place)
    assert execution["outputs"] == execution["finalResult"]
    report = check_report(place, execution["finalResult"])
    assert "Today's tickets need more hands than usual." in report
    assert "(This was not sent to the head of support.)" in report
    assert [s["result"] for s in steps(execution, "approve")] == ["hold"]
    assert execution["usage"]["llmCalls"] == 401
    assert [s["status"] for s in steps(execution, "all_well")] == ["skipped"]


def test_triage_with_somebody_who_answers(place):
    running = subprocess.Popen(
        [CAIRN, "run", "triage.yaml", "--json"], cwd=place, stdin=subprocess.DEVNULL,
        env=dict(os.environ, CAIRN_STORE=str(place.parent / "store" / "cairn.db")),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    for line in running.stderr:
        if "step approve waits" in line:
            break
    assert cairn(place, "answer", "@last", "send").returncode == 0
    execution = json.loads(running.communicate(timeout=PATIENCE)[0])
    assert execution["finalResult"]["escalated"] is True
    assert "was not sent" not in (place / "report.md").read_text(encoding="utf-8")


def test_triage_twice_gives_the_same(place):
    first = run(place, "triage.yaml")
    report = (place / "report.md").read_bytes()
    second = run(place, "triage.yaml")
    assert second["id"] != first["id"]
    assert second["finalResult"] == first["finalResult"]
    assert (place / "report.md").read_bytes() == report


def test_triage_without_alarm(place):
    execution = run(place, "triage.yaml", "-i", "alarm_at=150", "-i", "report=out/calm.md")
    assert execution["finalResult"]["escalated"] is False
    report = (place / "out/calm.md").read_text(encoding="utf-8")
    assert "Nothing out of the ordinary today." in report
    assert not (place / "report.md").exists()
    assert [s["status"] for s in steps(execution, "escalate")] == ["skipped"]


def test_triage_from_another_folder(place, tmp_path, monkeypatch):
    """Paths start in the folder of the workflow, wherever cairn is started; absolute ones lie where
    the user allows it."""
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("CAIRN_ALLOW_PATHS", str(elsewhere))
    elsewhere.mkdir()
    where = elsewhere / "mine.md"
    result = run(place, "../examples/triage.yaml", "-i", f"report={where}", cwd=elsewhere)
    assert result["finalResult"]["report"] == str(where)
    assert "200 tickets" in where.read_text(encoding="utf-8")


def test_triage_with_a_missing_file_says_where(place):
    execution = run(place, "triage.yaml", "-i", "tickets=data/none.csv", status="failed")
    assert execution["error"]["node"] == "read"
    assert "data/none.csv" in execution["error"]["message"]
    assert not (place / "report.md").exists()


# ---- an agent with tools ----


def test_agent_loop(place):
    execution = run(place, "agent-loop.yaml")
    assert execution["finalResult"] == {
        "answer": "3 lines are errors", "tools": ["count: 3", "saved"],
    }
    assert (place / "notes.txt").read_text() == "3 lines are errors\n"
    assert [s["id"] for s in steps(execution, "think")] == ["think", "think#1", "think#2"]
    asked = steps(execution, "approve")
    assert [(s["status"], s["result"]) for s in asked if s["status"] == "completed"] == [
        ("completed", "keep"),
    ]


# ---- an API: pages, retries, a fallback ----

ORDERS = [{"id": n, "amount": 10.5 * n, "currency": "USD" if n % 3 == 0 else "EUR"}
          for n in range(1, 8)]
RATES = {"EUR": 1.0, "USD": 0.5}


class Api(http.server.BaseHTTPRequestHandler):
    """Three orders a page; order 5 is gone; the first two tries of each page fail for a moment."""

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        tries = self.server.tries
        tries[self.path] = tries.get(self.path, 0) + 1
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/orders":
            page = int(urllib.parse.parse_qs(url.query)["page"][0])
            if page == 2 and tries[self.path] < 3:
                return self.answer(503, {"error": "come again"})
            found = ORDERS[(page - 1) * 3 : page * 3]
            more = f"/orders?page={page + 1}" if page * 3 < len(ORDERS) else None
            return self.answer(200, {"orders": [{"id": o["id"]} for o in found], "next": more})
        if url.path == "/rates":
            return self.answer(*((200, RATES) if self.server.rates else (500, {})))
        order = int(url.path.rsplit("/", 1)[1])
        return self.answer(*((404, {}) if order == 5 else (200, ORDERS[order - 1])))

    def do_POST(self):
        self.server.reports.append(
            (self.headers["Idempotency-Key"],
             json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.answer(201, {"id": "R-1"})


@pytest.fixture
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.tries, server.reports, server.rates = {}, [], True
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def euros(rates):
    return round(sum(o["amount"] * rates[o["currency"]] for o in ORDERS if o["id"] != 5), 2)


@pytest.mark.parametrize("exact, rates", [(True, RATES), (False, {"EUR": 1.0, "USD": 0.9})])
def test_api_pipeline(place, api, exact, rates):
    api.rates = exact
    execution = run(place, "api-pipeline.yaml", "-i", f"api={api.url}", status="partial")
    assert execution["finalResult"] == {
        "orders": 7,
        "total": {"euros": euros(rates), "missing": 1, "exact": exact},
        "report": "R-1",
    }
    assert api.reports == [
        (f"{execution['id']}/report", {"euros": euros(rates), "missing": 1})
    ]
    # a page that was read is not read again by the attempts that failed at the next one
    assert [api.tries[f"/orders?page={n}"] for n in (1, 2, 3)] == [1, 3, 1]
    assert api.tries["/rates"] == (1 if exact else 3)


# ---- CI ----


def test_ci(place):
    execution = run(place, "ci.yaml")
    checks = execution["finalResult"]["checks"]
    assert [(c["shell"], c["mode"]) for c in checks] == [
        ("sh", "safe"), ("bash", "fast"), ("bash", "safe"),
    ]
    assert execution["finalResult"]["version"] == "1.2.0"
    assert execution["finalResult"]["package"] == "greetings-1.2.0.tar"
    assert not list(place.glob("*.tar"))  # each step worked in a folder of its own
