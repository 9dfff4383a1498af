"""The integration kind with the real binary: examples/providers/tickets.yaml against a small ticket
tracker that the test runs.
"""

import json
import pathlib
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
MANIFEST = (TOP / "examples/providers/tickets.yaml").read_text(encoding="utf-8")


class Tracker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value, **headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        tickets = self.server.tickets
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = [urllib.parse.unquote(p) for p in url.path.split("/")]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        if self.headers["Authorization"] != "Bearer t0ken-of-tickets":
            return self.answer(401, {"error": "who are you?"})
        if self.server.fail_next:
            self.server.fail_next -= 1
            return self.answer(503, {}, Retry_After="0")
        if parts[1:] == ["v1", "tickets"] and self.command == "GET":
            found = [t for t in tickets.values() if t["state"] == query["state"]]
            first, size = int(query.get("from", 0)), int(query["per_page"])
            page = {"tickets": found[first:first + size]}
            if first + size < len(found):
                page["next"] = {"from": first + size}
            return self.answer(200, page)
        if parts[1:] == ["v1", "tickets"] and self.command == "POST":
            ticket = {"id": f"T/{len(tickets)}", "state": "open", **json.loads(body)}
            tickets[ticket["id"]] = ticket
            return self.answer(201, ticket)
        ticket = tickets.get(parts[3]) if len(parts) == 4 else None
        if ticket is None:
            return self.answer(404, {"error": f"no ticket {parts[3:]}"})
        if self.command == "PATCH":
            ticket.update(json.loads(body))
        return self.answer(200, ticket)

    do_GET = do_POST = do_PATCH = handle_any


@pytest.fixture
def tracker(cairn):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tracker)
    server.tickets = {f"T/{i}": {"id": f"T/{i}", "state": "open", "title": f"Nr {i}"}
                      for i in range(5)}
    server.asked, server.fail_next = [], 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    cairn.env["CAIRN_SECRET_TICKETS_TOKEN"] = "t0ken-of-tickets"
    cairn.write("providers/tickets.yaml", MANIFEST)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run(cairn, tracker, nodes):
    nodes = nodes.replace("{api", "{api: '{{ inputs.api }}'")
    cairn.flow(f"inputs: {{api: {{default: '{tracker.url}'}}}}\nnodes:\n" + nodes)
    return cairn("run", "flow.yaml", "--json", "-q")


def test_a_ticket_is_created_read_and_closed(cairn, tracker):
    done = run(cairn, tracker, """
  new: {type: integration, provider: tickets, operation: create, config: {api, title: "{{ 'Ä' }}", labels: [a, b]}}
  close: {type: integrated_api, needs: [new], provider: tickets, operation: close, config: {api, id: "{{ new.id }}"}}
  read: {type: integration, needs: [close, new], provider: tickets, operation: get, config: {api, id: "{{ new.id }}"}}
outputs: {read: read}
""")
    assert done.status == 0, done.err
    assert done.json["finalResult"]["read"] == {
        "id": "T/5", "state": "closed", "title": "Ä", "labels": ["a", "b"]}
    assert [(method, path) for method, path, _, _ in tracker.asked] == [
        ("POST", "/v1/tickets"), ("PATCH", "/v1/tickets/T%2F5"), ("GET", "/v1/tickets/T%2F5")]
    assert tracker.asked[0][2]["User-Agent"] == "cairn-tickets"
    assert tracker.asked[0][2]["Idempotency-Key"].endswith("/new")


def test_all_pages_are_gathered(cairn, tracker):
    done = run(cairn, tracker, """
  all: {type: integration, provider: tickets, operation: list, config: {api, per_page: 2}}
outputs: {ids: "all.map(t, t.id)"}
""")
    assert done.json["finalResult"] == {"ids": [f"T/{i}" for i in range(5)]}
    assert [path for _, path, _, _ in tracker.asked] == [
        f"/v1/tickets?state=open&per_page=2{more}" for more in ("", "&from=2", "&from=4")]


def test_what_may_pass_is_tried_again(cairn, tracker):
    tracker.fail_next = 1
    done = run(cairn, tracker, """
  one:
    type: integration
    provider: tickets
    operation: get
    retry: {attempts: 2, backoff: 1ms}
    config: {api, id: T/1}
outputs: {title: one.title}
""")
    assert done.json["finalResult"] == {"title": "Nr 1"}
    assert len(tracker.asked) == 2


def test_a_refusal_is_a_failure(cairn, tracker):
    done = run(cairn, tracker, """
  one: {type: integration, provider: tickets, operation: get, config: {api, id: none}}
""")
    assert done.status == 1
    error = done.json["error"]
    assert error["type"] == "http_status"
    assert "/v1/tickets/none answered 404" in error["message"]
    assert "t0ken" not in error["message"]


def test_the_manifest_is_part_of_the_workflow(cairn, tracker):
    flow = """
  one: {type: integration, provider: tickets, operation: get, config: {api, id: T/1}}
"""
    first = run(cairn, tracker, flow).json["workflowVersion"]
    assert run(cairn, tracker, flow).json["workflowVersion"] == first
    path = cairn.folder / "providers/tickets.yaml"
    path.write_text(path.read_text() + "# changed\n")
    assert run(cairn, tracker, flow).json["workflowVersion"] != first


def test_validate_checks_provider_operation_and_config(cairn):
    cairn.write("providers/tickets.yaml", MANIFEST)
    cairn.flow("""
  a: {type: integration, provider: ticket, operation: get}
  b: {type: integration, provider: tickets, operation: got}
  c: {type: integration, provider: tickets, operation: list, config: {api: http://x, per_page: 500}}
  d: {type: integration, provider: tickets, operation: get, config: {api: "{{ execution.id }}"}}
""")
    done = cairn("validate", "flow.yaml")
    assert done.status == 2
    assert 'flow.yaml:5:36: error: cannot read "providers/ticket.yaml"' in done.err
    assert ('flow.yaml:6:56: error: the provider has no operation "got"; it has list, get, create, '
            "close") in done.err
    assert "config/per_page: " in done.err
    assert 'config: "id" is missing' in done.err
    assert "4 errors" in done.err


def test_the_secret_of_the_example_is_asked_for_by_name(cairn):
    cairn.write("providers/tickets.yaml", MANIFEST)
    cairn.flow("""
  a: {type: integration, provider: tickets, operation: get, config: {api: "http://127.0.0.1:1", id: x}}
""")
    done = cairn("run", "flow.yaml", "--json", "-q")
    assert done.json["error"]["type"] == "not_found"
    assert "TICKETS_TOKEN" in done.json["error"]["message"]
