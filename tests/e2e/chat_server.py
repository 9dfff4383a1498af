"""A small server that speaks chat completions, for tests. What it answers is a list of scripts, taken
in the order in which requests come; the last one stays. Every request is kept for the test to look at.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conftest import PATIENCE


def chunks(text, finish="stop", usage=(7, 3), model="test-model"):
    """The events of a streamed answer."""
    out = [{"model": model, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]
    out += [{"choices": [{"index": 0, "delta": {"content": piece}}], "usage": None}
            for piece in (text[:5], text[5:]) if piece]
    if finish:
        out.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": None})
    if usage:
        out.append({"choices": [], "usage": {
            "prompt_tokens": usage[0], "completion_tokens": usage[1],
            "prompt_tokens_details": {"cached_tokens": 2}}})
    return out


def stream(*events, done=True):
    """A script: these events and, when done, the end of the stream."""
    def answer(h):
        h.begin(200, {"Content-Type": "text/event-stream"})
        h.write(": a comment\n\n")
        for event in events:
            h.write(f"data: {json.dumps(event)}\n\n")
        if done:
            h.write("data: [DONE]\n\n")
    return answer


def say(text, **more):
    return stream(*chunks(text, **more))


def whole(body, status=200, **headers):
    """A script: one body, of JSON unless it is text."""
    def answer(h):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        h.begin(status, {"Content-Type": "application/json", **names})
        h.write(body if isinstance(body, str) else json.dumps(body))
    return answer


def refuse(status, message, code=None, **headers):
    return whole({"error": {"message": message, "type": "test", "code": code}}, status, **headers)


class ChatServer:
    def __init__(self, *scripts):
        self.scripts, self.requests = list(scripts), []
        self.lock = threading.Lock()
        self.came = threading.Condition(self.lock)
        self.gate = threading.Event()  # opened at the end: nobody stays behind
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def begin(self, status, headers):
                self.send_response(status)
                self.send_header("Connection", "close")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.close_connection = True

            def write(self, text):
                self.wfile.write(text.encode())
                self.wfile.flush()

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.answer(self, body)(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def answer(self, handler, body):
        with self.lock:
            self.requests.append({"path": handler.path, "headers": dict(handler.headers), **body})
            self.came.notify_all()
            return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    def wait_for(self, count):
        """Until so many requests have come."""
        with self.lock:
            assert self.came.wait_for(lambda: len(self.requests) >= count, PATIENCE)

    def hang(self, *events):
        """A script: begins to answer and never ends."""
        def answer(h):
            h.begin(200, {"Content-Type": "text/event-stream"})
            for event in events:
                h.write(f"data: {json.dumps(event)}\n\n")
            self.gate.wait(PATIENCE)
        return answer

    def messages(self, request=-1):
        return [(m["role"], m["content"]) for m in self.requests[request]["messages"]]

    def close(self):
        self.gate.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
