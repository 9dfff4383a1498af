"""hook: a webhook as who receives it sees it, a program, a file."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

SECRET = "whsec_" + base64.b64encode(b"a key of the test").decode()


@pytest.fixture
def receiver():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.path, dict(self.headers.items()), text))
            status, headers, body = server.answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def tell(cairn, receiver, fields="", env=None):
    return cairn("run", cairn.flow(f"""
nodes:
  up: {{type: transform, value: [1, "'é'"]}}
  tell:
    type: hook
    needs: [up]
    url: {receiver.url}
    retry: {{attempts: 2, backoff: 1ms}}
{fields}
outputs: {{out: tell}}
"""), "--json", env=env)


def test_a_signed_webhook(cairn, receiver):
    receiver.answers.append((200, {}, b'{"ok": true}'))
    done = tell(cairn, receiver, "    secret: HOOK\n    payload: {of: '{{ up }}'}",
                env={"CAIRN_SECRET_HOOK": SECRET})
    assert done.status == 0, done.out
    assert done.json["outputs"]["out"] == {"ok": True}
    (path, headers, text), = receiver.got
    assert path == "/hook" and json.loads(text) == {"of": [1, "é"]}
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"] == headers["Idempotency-Key"] == f"{done.json['id']}/tell"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + text
    code = hmac.new(b"a key of the test", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(code).decode()
    assert "a key of the test" not in done.out + done.err and SECRET not in done.out + done.err


def test_what_may_pass_is_tried_again_under_the_same_id(cairn, receiver):
    receiver.answers += [(503, {"Retry-After": "0"}, b"busy"), (204, {}, b"")]
    done = tell(cairn, receiver)
    assert done.status == 0, done.out
    assert done.json["outputs"]["out"] is None
    assert len(receiver.got) == 2
    assert receiver.got[0][1]["webhook-id"] == receiver.got[1][1]["webhook-id"]
    assert "webhook-signature" not in receiver.got[0][1]
    assert json.loads(receiver.got[0][2])["up"] == [1, "é"]  # all it sees, without a payload


@pytest.mark.parametrize("status, headers", [(400, {}), (302, {"Location": "/elsewhere"})])
def test_what_is_refused_is_not_tried_again(cairn, receiver, status, headers):
    receiver.answers.append((status, headers, b"no such hook"))
    done = tell(cairn, receiver)
    assert done.status == 1
    error = done.json["error"]
    assert error["type"] == "http"
    assert error["message"] == f"the webhook was answered with status {status}: no such hook"
    assert len(receiver.got) == 1


def test_a_long_answer_is_quoted_to_its_last_whole_character(cairn, receiver):
    receiver.answers.append((400, {}, ("a" + "é" * 200).encode()))
    message = tell(cairn, receiver).json["error"]["message"]
    assert message == "the webhook was answered with status 400: a" + "é" * 99


def test_a_secret_that_is_not_set(cairn, receiver):
    done = tell(cairn, receiver, "    secret: NONE_SUCH")
    assert done.status == 1 and receiver.got == []
    assert "NONE_SUCH" in done.json["error"]["message"]


def test_a_file_and_a_program(cairn, tmp_path):
    done = cairn("run", cairn.flow("""
nodes:
  file: {type: hook, path: "out/{{ execution.workflow }}.json", payload: {a: 1}}
  program: {type: hook, needs: [file], command: [wc, -c, "{{ file }}"]}
outputs: {out: program}
"""), "--json")
    assert done.status == 0, done.out
    assert json.loads((tmp_path / "out/flow.json").read_text()) == {"a": 1}
    assert done.json["outputs"]["out"] == f"8 {tmp_path}/out/flow.json"
