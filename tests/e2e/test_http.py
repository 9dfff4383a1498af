"""The http kind against a server that the test starts: a thread on loopback that answers by path and
notes what it was asked.
"""

import base64
import gzip
import json
import os
import pathlib
import re
import ssl
import subprocess
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import BIN, PATIENCE, TOP


@dataclass
class Asked:
    command: str
    path: str
    query: str
    headers: Message
    body: bytes


class Server:
    """Paths are answered by functions: request -> (status, headers, body); body JSON or bytes."""

    def __init__(self):
        self.routes, self.asked = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                size = int(self.headers.get("Content-Length", 0))
                bare, _, query = self.path.partition("?")
                asked = Asked(self.command, self.path, query, self.headers, self.rfile.read(size))
                outer.asked.append(asked)
                route = outer.routes[bare]
                status, headers, body = route(asked) if callable(route) else route
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                    headers = {"Content-Type": "application/json", **headers}
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except BrokenPipeError:
                    pass  # a client that was killed or gave up

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def paths(self):
        return [a.path for a in self.asked]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def run(cairn, fields, env=None, more="", status=0):
    """Runs one node `call`, which gives the result, and returns the printed execution."""
    cairn.flow(
        "nodes:\n  call:\n    type: http\n"
        + "".join(f"    {line}\n" for line in fields.strip().splitlines())
        + more + "outputs: {body: call, meta: nodes.call.meta}\n"
    )
    done = cairn("run", "flow.yaml", "--json", env=env)
    assert done.status == status, done.err
    return done.json


def failure(cairn, fields, env=None):
    return run(cairn, fields, env, status=1)["error"]


def test_the_binary_does_not_link_curl():
    linked = subprocess.run(["ldd", BIN], stdout=subprocess.PIPE, check=True).stdout
    assert b"libcurl" not in linked and b"libssl" not in linked


def test_auth_params_and_body(cairn, server):
    server.routes["/do"] = (201, {}, {"done": True})
    done = run(cairn, f"""
url: "{server.url}/do"
method: PUT
params: {{q: "a b&c", n: 2, tags: [x, y]}}
headers: {{X-Trace: t1}}
auth: {{type: basic, username: ada, password: "p:w"}}
body: {{text: "Grüße", n: [1, 2.5, null]}}
""")
    asked = server.asked[0]
    assert done["finalResult"]["body"] == {"done": True}
    assert asked.command == "PUT"
    assert asked.query == "q=a%20b%26c&n=2&tags=x&tags=y"
    assert asked.headers["X-Trace"] == "t1"
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"ada:p:w").decode()
    assert asked.headers["Content-Type"] == "application/json"
    assert json.loads(asked.body) == {"text": "Grüße", "n": [1, 2.5, None]}
    assert asked.headers["Idempotency-Key"] == done["id"] + "/call"
    meta = done["finalResult"]["meta"]
    assert (meta["status"], meta["url"], meta["bytes"]) == (201, server.url + "/do", 14)


@pytest.mark.parametrize("auth, header, value", [
    ("{type: bearer, token: t0k}", "Authorization", "Bearer t0k"),
    ("{type: api_key, name: X-Key, key: k1}", "X-Key", "k1"),
    ("{type: none}", "Authorization", None),
])
def test_auth(cairn, server, auth, header, value):
    server.routes["/"] = (200, {}, 1)
    run(cairn, f'url: "{server.url}/"\nauth: {auth}')
    assert server.asked[0].headers[header] == value


def test_full_expect_and_compression(cairn, server):
    server.routes["/"] = (404, {"Content-Encoding": "gzip", "Content-Type": "text/plain"},
                          gzip.compress(b"nothing here"))
    done = run(cairn, f'url: "{server.url}/"\nexpect: [2xx, 404]\nfull: true')
    body = done["finalResult"]["body"]
    assert (body["status"], body["body"]) == (404, "nothing here")
    assert body["headers"]["content-type"] == "text/plain"


def test_an_unexpected_status_fails_at_once(cairn, server):
    server.routes["/x"] = (404, {}, {"error": "no such thing"})
    error = failure(cairn, f'url: "{server.url}/x?key=s3cret"\nretry: {{attempts: 3, backoff: 1ms}}')
    assert error["type"] == "http_status"
    assert error["message"] == (
        f'GET {server.url}/x answered 404: {{"error": "no such thing"}}'
    )
    assert len(server.asked) == 1


def test_trouble_of_the_server_is_tried_again(cairn, server):
    answers = [(500, {}, b"oops"), (503, {"Retry-After": "1"}, b"later"), (200, {}, {"n": 3})]
    server.routes["/"] = lambda _: answers[len(server.asked) - 1]
    done = run(cairn, f'url: "{server.url}/"\nmethod: POST\n'
                      "retry: {attempts: 3, backoff: 1ms, jitter: 0}")
    assert done["finalResult"]["body"] == {"n": 3}
    keys = {a.headers["Idempotency-Key"] for a in server.asked}
    assert len(server.asked) == 3 and keys == {done["id"] + "/call"}
    assert done["durationMs"] >= 1000  # what Retry-After asked for, not the backoff


def test_trouble_that_stays_is_the_failure(cairn, server):
    server.routes["/"] = (500, {}, b"<html>out of\n order</html>")
    error = failure(cairn, f'url: "{server.url}/"\nretry: {{attempts: 2, backoff: 1ms}}')
    assert error["message"] == f"GET {server.url}/ answered 500: <html>out of order</html>"
    assert (error["type"], error["attempt"], len(server.asked)) == ("http_status", 2, 2)


PAGED = """
url: "{url}/list"
params: {{page: 1}}
retry: {{attempts: 3, backoff: 1ms}}
paginate:
  items: page.items
  next: page.?next
"""


def test_pages_that_have_come_are_not_fetched_again(cairn, server):
    failed = []

    def page(asked):
        n = int(asked.query.removeprefix("page="))
        if n == 3 and not failed:
            failed.append(n)
            return 500, {}, b"not now"
        following = {"next": f"?page={n + 1}"} if n < 4 else {}
        return 200, {}, {"items": [n * 10, n * 10 + 1], **following}

    server.routes["/list"] = page
    done = run(cairn, PAGED.format(url=server.url))
    assert done["finalResult"]["body"] == [10, 11, 20, 21, 30, 31, 40, 41]
    assert server.paths() == [f"/list?page={n}" for n in (1, 2, 3, 3, 4)]
    assert done["finalResult"]["meta"]["pages"] == 4


def test_pages_go_on_after_a_crash(cairn, server):
    """Killed while the second page is under way: the first is not asked for again."""
    arrived, release = threading.Event(), threading.Event()

    def page(asked):
        n = int(asked.query.removeprefix("page="))
        if n == 2 and not arrived.is_set():
            arrived.set()
            release.wait(PATIENCE)
        return 200, {}, {"items": [n], **({"next": f"?page={n + 1}"} if n < 3 else {})}

    server.routes["/list"] = page
    cairn.flow("nodes:\n  call:\n    type: http\n" + "".join(
        f"    {line}\n" for line in PAGED.format(url=server.url).strip().splitlines()))
    started = cairn.start("run", "flow.yaml")
    assert arrived.wait(PATIENCE)
    started.wait_for("call 2 begun")
    started.send(9)
    started.child.wait()
    release.set()
    done = cairn("resume", "@last", "--json")
    assert done.status == 0, done.err
    assert server.paths() == [f"/list?page={n}" for n in (1, 2, 2, 3)]


def test_metadata_is_denied_however_it_is_written(cairn, server):
    server.routes["/away"] = (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b"")
    for url in ("http://169.254.169.254/latest", "http://2852039166/", "http://0xa9fea9fe/",
                "http://[::ffff:169.254.169.254]/", f"{server.url}/away"):
        error = failure(cairn, f'url: "{url}"\nretry: {{attempts: 3}}')
        assert error["type"] == "denied", error
        assert "an address of cloud metadata; to allow it, put the host into CAIRN_ALLOW_HOSTS" in (
            error["message"])
        assert error["attempt"] == 1


def test_a_listed_host_is_not_denied(cairn):
    """0.0.0.0 is refused, and is this machine, where nobody listens on port 1."""
    fields = 'url: "http://0.0.0.0:1/"'
    assert failure(cairn, fields)["type"] == "denied"
    listed = failure(cairn, fields, {"CAIRN_ALLOW_HOSTS": "other, 0.0.0.0:1"})
    assert listed["type"] == "network"
    assert listed["message"] == (
        "GET http://0.0.0.0:1/: cannot connect to 0.0.0.0:1: Connection refused")


def test_redirects_lose_credentials_on_the_way_out(cairn, server):
    port = server.http.server_port
    server.routes["/from"] = (307, {"Location": f"http://localhost:{port}/to"}, b"")
    server.routes["/to"] = (200, {}, {"arrived": True})
    done = run(cairn, f'url: "{server.url}/from"\nmethod: POST\nbody: {{a: 1}}\n'
                      "auth: {type: bearer, token: s3cret}\nheaders: {Cookie: c=s3cret}")
    first, last = server.asked
    assert first.headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(last.headers)
    assert (last.command, last.body) == ("POST", b'{"a":1}')
    assert done["finalResult"]["meta"]["url"] == f"http://localhost:{port}/to"


def test_no_json(cairn, server):
    server.routes["/"] = (200, {"Content-Type": "text/html"}, b"<h1>Hello</h1>")
    error = failure(cairn, f'url: "{server.url}/"\nresponse: json\nretry: {{attempts: 3}}')
    assert error["type"] == "invalid_response"
    assert "the answer is not the JSON that was wanted but text/html: <h1>Hello</h1>" in (
        error["message"])
    assert len(server.asked) == 1


def test_no_such_host(cairn):
    error = failure(cairn, "url: http://nowhere.invalid/")
    assert error["type"] == "network"
    assert error["message"] == (
        "GET http://nowhere.invalid/: the host nowhere.invalid cannot be found: its name does not "
        "resolve")


# A key made for this test alone, and its certificate for localhost, which nobody else trusts.
CERTIFICATE = os.path.join(TOP, "tests/cases/net/localhost.pem")


def test_certificates_are_checked(cairn, server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server.http.socket = context.wrap_socket(
        server.http.socket, server_side=True, do_handshake_on_connect=False)
    server.routes["/"] = (200, {}, {"n": 1})
    fields = f'url: "https://localhost:{server.http.server_port}/"\nretry: {{attempts: 3}}'
    error = failure(cairn, fields)
    assert error["type"] == "invalid" and error["attempt"] == 1
    assert f"the certificate of localhost:{server.http.server_port} is not trusted" in (
        error["message"])
    assert server.asked == []
    error = failure(cairn, fields, {"SSL_CERT_FILE": "/nowhere.pem"})
    assert error["type"] == "unsupported" and error["attempt"] == 1
    assert "install Debian's package ca-certificates" in error["message"]
    done = run(cairn, fields, {"SSL_CERT_FILE": CERTIFICATE})
    assert done["finalResult"]["body"] == {"n": 1}


def test_a_timeout_stops_the_request(cairn, server):
    release = threading.Event()
    server.routes["/"] = lambda _: (release.wait(PATIENCE), (200, {}, 1))[1]
    error = failure(cairn, f'url: "{server.url}/"\ntimeout: 100ms')
    release.set()
    assert error["type"] == "timeout"


def test_the_example_of_the_page(cairn, server):
    page = (pathlib.Path(TOP) / "docs/nodes.md").read_text(encoding="utf-8")
    cairn.write("http.yaml", re.search(r"```yaml http.yaml\n(.*?)```", page, re.S)[1])
    server.routes["/tickets"] = lambda asked: (200, {}, (
        {"tickets": [{"id": 3}]} if "after=2" in asked.query
        else {"tickets": [{"id": 1}, {"id": 2}], "next": "/tickets?after=2"}))
    server.routes["/close"] = lambda asked: (
        200, {}, {"closed": len(json.loads(asked.body)["ids"])})
    done = cairn("run", "http.yaml", "-i", f"api={server.url}", "--json")
    assert done.json["finalResult"] == {"closed": 3, "status": 200}
    assert server.paths() == ["/tickets?state=open&limit=2", "/tickets?after=2", "/close"]
