"""Secrets: set by `cairn keys`, handed to effects, and in nothing that is kept or shown.

CANARIES has a workflow for every kind with fields that may hold secrets; each makes its outside say
the secret again in every way it has. A new kind of that sort must be put there.
"""

import base64
import hashlib
import http.server
import json
import os
import re
import stat
import subprocess
import threading
import urllib.parse

import pytest

from conftest import BIN, PATIENCE, TOP
from terminal import Terminal
from test_docs_cli import commands, squeeze

SECRET = 'canary/7f3a"b=[x] q9'  # with what JSON, URLs and templates treat in their own way


def forms(secret):
    """Every text that must not be found. Of base64 what does not depend on its neighbours."""
    raw = secret.encode()
    found = [raw, json.dumps(secret)[1:-1].encode(), urllib.parse.quote(secret).encode(),
             urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode()]
    for skip in range(3):
        text = base64.b64encode(b"\0" * skip + raw)
        found.append(text[(skip * 8 + 5) // 6 : (skip + len(raw)) * 8 // 6])
    return found


CODE_BASH = """
  tell:
    type: code
    language: bash
    env:
      TOKEN: "{{ secrets.CANARY }}"
      MIXED: "a[b] {{ secrets.CANARY }} {{ inputs.text }}"
    code: |
      for i in $(seq ${#TOKEN}); do printf '%s' "${TOKEN:i-1:1}" >&2; read -t 0.002 < <(:) ; done
      printf ' %s\\n' "$TOKEN" >&2
      printf '%s' "u:$TOKEN" | base64 -w0 >&2
      python3 - <<'END'
      import json, os, urllib.parse
      t = os.environ["TOKEN"]
      print(json.dumps({t: [t, {"x": t}], "mixed": os.environ["MIXED"],
                        "url": urllib.parse.quote(t, safe=""), "long": t * 5000}))
      END
"""
CODE_PYTHON = """
  fail:
    type: code
    needs: [tell]
    language: python
    env: {TOKEN: "{{ secrets.CANARY }}"}
    on_error: continue
    code: |
      import os
      print("on stdout", os.environ["TOKEN"])
      raise ValueError("said " + os.environ["TOKEN"])
  exit:
    type: code
    needs: [tell]
    env: {TOKEN: "{{ secrets.CANARY }}"}
    retry: {attempts: 2, backoff: 1ms}
    on_error: continue
    command: [sh, -c, 'echo "$TOKEN" >&2; exit 3']
"""
CODE_FILES = """
  keep:
    type: code
    needs: [tell]
    files: {key: "{{ secrets.CANARY }}", deep/key.json: {t: "{{ secrets.CANARY }}"}}
    artifacts: ["**"]
    command: [sh, -c, "cat key deep/key.json; cat key >&2"]
"""
HOOK = """
  program:
    type: hook
    command: [sh, -c, 'cat; echo "$0" >&2', "{{ secrets.CANARY }}"]
    payload: {k: "{{ secrets.CANARY }}", many: ["{{ secrets.CANARY }} {{ inputs.text }}"]}
  post:
    type: hook
    url: "{{ inputs.base }}/echo/{{ secrets.CANARY }}"
    payload: {k: "{{ secrets.CANARY }}"}
    secret: CANARY
  refused:
    type: hook
    url: "{{ inputs.base }}/status/500"
    payload: {k: "{{ secrets.CANARY }}"}
    on_error: continue
  exit:
    type: hook
    command: [sh, -c, 'cat >&2; exit 3']
    payload: "{{ secrets.CANARY }}"
    on_error: continue
"""
HTTP = """
  tell:
    type: http
    url: "{{ inputs.base }}/echo/{{ secrets.CANARY }}"
    method: POST
    params: {p: "{{ secrets.CANARY }}", list: ["{{ secrets.CANARY }}", "{{ inputs.text }}"]}
    headers: {X-Key: "{{ secrets.CANARY }}", Authorization: "Own {{ secrets.CANARY }}"}
    body: {token: "{{ secrets.CANARY }}", many: ["{{ secrets.CANARY }} {{ inputs.text }}"]}
    full: true
  basic:
    type: http
    url: "{{ inputs.base }}/echo"
    auth: {type: basic, username: user, password: "{{ secrets.CANARY }}"}
  bearer:
    type: http
    url: "{{ inputs.base }}/status/500"
    auth: {type: bearer, token: "{{ secrets.CANARY }}"}
    retry: {attempts: 2, backoff: 1ms}
    on_error: continue
  query:
    type: http
    url: "{{ inputs.base }}/redirect"
    auth: {type: api_key, key: "{{ secrets.CANARY }}", name: key, in: query}
  form:
    type: http
    url: "{{ inputs.base }}/echo"
    headers: {Content-Type: application/x-www-form-urlencoded}
    body: {field: "{{ secrets.CANARY }}"}
  pages:
    type: http
    url: "{{ inputs.base }}/pages"
    params: {key: "{{ secrets.CANARY }}"}
    paginate: {items: "page.items", next: "page.next"}
  nobody:
    type: http
    url: "http://127.0.0.1:1/{{ secrets.CANARY }}"
    params: {p: "{{ secrets.CANARY }}"}
    on_error: continue
  noplace:
    type: http
    url: "{{ secrets.CANARY }}"
    on_error: continue
"""
PROVIDER = """
name: echo
base_url: "{{ config.base }}"
auth: {type: bearer, token: {secret: CANARY}}
operations:
  say:
    method: POST
    path: "/echo/{{ config.key }}"
    params: {p: "{{ config.key }}"}
    headers: {X-Key: "{{ config.key }}"}
    body: {token: "{{ config.key }}"}
  fail: {path: /status/500, params: {p: "{{ config.key }}"}}
"""
INTEGRATION = """
  tell:
    type: integration
    provider: echo
    operation: say
    config: {base: "{{ inputs.base }}", key: "{{ secrets.CANARY }}", more: "{{ inputs.text }}"}
  fail:
    type: integration
    provider: echo
    operation: fail
    config: {base: "{{ inputs.base }}", key: "{{ secrets.CANARY }}"}
    retry: {attempts: 2, backoff: 1ms}
    on_error: continue
"""
SILENT = {"http", "integration"}  # print nothing on their way
CANARIES = {
    "integration": ({"config"}, INTEGRATION),
    "code": ({"env", "files"}, CODE_BASH + CODE_PYTHON + CODE_FILES),
    "hook": ({"command", "url", "payload"}, HOOK),
    "http": ({"url", "headers", "params", "body", "auth"}, HTTP),
}


class Echo(http.server.BaseHTTPRequestHandler):
    """Says back all it was told: in the status line, headers and body."""

    seen = []

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        url = urllib.parse.urlsplit(self.path)
        Echo.seen.append(self.path + str(self.headers) + body)
        raw = urllib.parse.unquote_plus(self.path)
        said = {"path": self.path, "raw": raw, "headers": dict(self.headers), "body": body,
                "query": urllib.parse.parse_qs(url.query)}
        status = int(url.path.split("/")[-1]) if url.path.startswith("/status/") else 200
        if url.path == "/redirect":
            status = 302
        if url.path == "/pages":
            page = int(said["query"].get("page", ["1"])[0])
            said = {"items": [raw, said], "next": {"page": page + 1} if page < 3 else None}
        text = json.dumps(said).encode()
        self.send_response(status, "said " + raw)
        if status == 302:
            self.send_header("Location", "/echo?" + url.query)
        self.send_header("X-Said", raw)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *arguments):
        pass


@pytest.fixture
def base():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Echo.seen.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def kinds_with_secrets(cairn):
    every = cairn("kinds", "--json").json["kinds"]
    fields = {k["name"]: {f["name"] for f in k["fields"] if f["secrets"]} for k in every}
    return {name: some for name, some in fields.items() if some}


def test_every_kind_that_may_hold_a_secret_has_its_canary(cairn):
    there = {kind["name"] for kind in cairn("kinds", "--json").json["kinds"]}
    assert "code" in there
    expected = {name: row[0] for name, row in CANARIES.items() if name in there}
    assert kinds_with_secrets(cairn) == expected


def test_a_kind_without_such_fields_refuses_them(cairn):
    allowed = kinds_with_secrets(cairn)
    tried = 0
    for kind in cairn("kinds", "--json").json["kinds"]:
        for field in kind["fields"]:
            if field["type"] not in ("template", "structure", "expression"):
                continue
            if field["name"] in allowed.get(kind["name"], ()):
                continue
            value = "secrets.X" if field["type"] == "expression" else "'{{ secrets.X }}'"
            cairn.flow(f"  a: {{type: {kind['name']}, {field['name']}: {value}}}\n")
            done = cairn("validate", "flow.yaml")
            assert done.status == 2
            assert "secrets are known only in fields of an effect" in done.err, (kind, field)
            tried += 1
    assert tried >= 5


def all_bytes(folder, without):
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in without:
            yield path, path.read_bytes()


@pytest.mark.parametrize("kind", sorted(CANARIES))
def test_the_canary(cairn, base, kind):
    if cairn("kinds", kind).status:
        pytest.skip(f"this binary has no kind {kind}")
    set_key(cairn, "CANARY", SECRET)
    cairn.write("providers/echo.yaml", PROVIDER)
    cairn.write(
        "flow.yaml",
        "cairn: 1\nname: canary\ninputs:\n  text: {type: string, default: '[secret CANARY] [x'}\n"
        "  base: {type: string}\non_failure: continue\nnodes:" + CANARIES[kind][1],
    )
    live = cairn("run", "flow.yaml", "--json-lines", "-i", f"base={base}")
    plain = cairn("run", "flow.yaml", "-i", f"base={base}")
    assert (live.status, plain.status) == (1, 1), live.err  # partial: some are to fail
    shown = [live.out, live.err, plain.out, plain.err]
    for row in cairn("list", "--all", "--json").json["items"]:
        for form in (["--verbose"], ["--verbose", "--json"]):
            shown.append(cairn("results", row["id"], *form).out)
        for command in ("logs", "watch", "explain"):
            shown.append(cairn(command, row["id"]).out)
    shown.append(cairn("list").out)
    text = "\n".join(shown)
    assert text.count("[secret CANARY]") > 20
    for bad in forms(SECRET):
        assert bad.decode() not in text
        for path, content in all_bytes(cairn.folder, {"keys"}):
            assert bad not in content, path
    streams = {}
    for line in live.json_lines:
        if line["type"] in ("log", "step_log"):
            key = (line["type"], line["step"], line["stream"])
            streams[key] = streams.get(key, "") + line["text"]
    if kind in SILENT:
        assert len(Echo.seen) >= 6 and any(SECRET in seen for seen in Echo.seen)
    assert streams or kind in SILENT, "the canary says nothing on its way"
    for said in streams.values():
        assert "[secret CANARY]" in said
        for bad in forms(SECRET):
            assert bad.decode() not in said


def test_code_gets_exactly_the_secret(cairn):
    set_key(cairn, "CANARY", SECRET)
    cairn.flow(
        """
  a:
    type: code
    language: python
    env: {TOKEN: "[[{{ secrets.CANARY }}]{{ inputs.text }}"}
    code: |
      import hashlib, os
      return hashlib.sha256(os.environ["TOKEN"].encode()).hexdigest()
outputs: {a: a}
inputs: {text: {type: string, default: "[secret CANARY]["}}
"""
    )
    done = cairn("run", "flow.yaml", "--json")
    expected = hashlib.sha256(f"[[{SECRET}][secret CANARY][".encode()).hexdigest()
    assert done.json["finalResult"] == {"a": expected}, done.err


def test_the_environment_of_secrets_reaches_no_process(cairn):
    cairn.flow("  a: {type: code, command: [env], env: {GIVEN: \"{{ secrets.ONE }}\"}}\noutputs: {a: a}\n")
    done = cairn("run", "flow.yaml", "--json",
                 env={"CAIRN_SECRET_ONE": "first-secret", "CAIRN_SECRET_TWO": "second-secret"})
    assert done.status == 0, done.err
    seen = done.json["finalResult"]["a"]
    assert "GIVEN=[secret ONE]" in seen
    assert "CAIRN_SECRET" not in seen and "second" not in seen


def hash_flow(cairn, name):
    cairn.flow(
        f"""
  a:
    type: code
    language: sh
    env: {{TOKEN: "{{{{ secrets.{name} }}}}"}}
    code: printf '%s' "${{#TOKEN}}"
outputs: {{a: a}}
"""
    )


def test_where_a_secret_is_looked_for(cairn):
    def length(name, env):
        hash_flow(cairn, name)
        done = cairn("run", "flow.yaml", "--json", env=env)
        return done.json["finalResult"]["a"] if done.status == 0 else done.err

    service, plain = {"OPENAI_API_KEY": "12-34-5"}, {"MY_TOKEN": "12-34-5"}
    own = {"CAIRN_SECRET_OPENAI_API_KEY": "12-34-56-7"}
    assert length("OPENAI_API_KEY", service) == 7
    assert "the secret MY_TOKEN is not set" in length("MY_TOKEN", plain)
    set_key(cairn, "OPENAI_API_KEY", "12-34-56")
    assert length("OPENAI_API_KEY", service) == 8
    assert length("OPENAI_API_KEY", {**service, **own}) == 10
    assert "is too short" in length("OPENAI_API_KEY", {"CAIRN_SECRET_OPENAI_API_KEY": "12345"})


# ---- cairn keys ----


def set_key(cairn, name, value):
    done = cairn("keys", "set", name, stdin=value)
    assert done.status == 0, done.err


def key_file(cairn):
    return cairn.folder / "home/.config/cairn/keys"


def test_keys(cairn):
    assert cairn("keys", "list").out == ""
    set_key(cairn, "B_2", "beta-secret\n")
    set_key(cairn, "a", "alpha secret\nof two lines\r\n")
    set_key(cairn, "B_2", "beta-again")
    assert cairn("keys", "list").out == "B_2\na\n"
    assert cairn("keys", "list", "--json").json == ["B_2", "a"]
    lines = key_file(cairn).read_text().splitlines()[1:]
    stored = {line.split()[0]: base64.b64decode(line.split()[1]) for line in lines}
    assert stored == {"B_2": b"beta-again", "a": b"alpha secret\nof two lines"}
    assert stat.S_IMODE(key_file(cairn).stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file(cairn).parent.stat().st_mode) == 0o700
    assert cairn("keys", "rm", "a").status == 0
    assert cairn("keys", "list").out == "B_2\n"
    gone = cairn("keys", "rm", "a")
    assert gone.status == 2 and 'there is no key "a"' in gone.err


def test_the_key_file_follows_xdg(cairn):
    done = cairn("keys", "set", "A", stdin="some-secret", env={"XDG_CONFIG_HOME": str(cairn.folder)})
    assert done.status == 0
    assert (cairn.folder / "cairn/keys").exists() and not key_file(cairn).exists()


@pytest.mark.parametrize("arguments, stdin, message", [
    (["set", "A", "value-here"], None, "is not given on the command line"),
    (["set", "1A"], "some-secret", '"1A" is no name for a key'),
    (["set", "A-B"], "some-secret", '"A-B" is no name for a key'),
    (["set"], None, "`cairn keys set` needs one NAME"),
    (["set", "A"], "", "no value for A came"),
    (["set", "A"], "12345\n", "a secret has 6 to 65536 bytes, this one has fewer"),
    (["set", "A"], "x" * 65537, "this one has more"),
    (["set", "A"], "nul\0inside", "without NUL characters"),
    (["show", "A"], None, "expected `cairn keys set NAME`, `list` or `rm NAME`"),
    ([], None, "`cairn keys` needs"),
])
def test_what_keys_refuses(cairn, arguments, stdin, message):
    done = cairn("keys", *arguments, stdin=stdin)
    assert done.status == 2 and message in done.err, done.err
    assert "value-here" not in done.err
    assert not key_file(cairn).exists()


def test_a_key_file_that_others_may_read_is_not_used(cairn):
    set_key(cairn, "CANARY", SECRET)
    key_file(cairn).chmod(0o640)
    for done in (cairn("keys", "list"), cairn("keys", "set", "B", stdin="another-one")):
        assert done.status != 0
        assert "others than you may read" in done.err and "chmod 600" in done.err
    hash_flow(cairn, "CANARY")
    done = cairn("run", "flow.yaml")
    assert done.status == 1 and "chmod 600" in done.err
    key_file(cairn).chmod(0o600)
    assert cairn("run", "flow.yaml").status == 0
    if os.geteuid() == 0:
        os.chown(key_file(cairn), 12345, -1)
        assert "it belongs to another user" in cairn("keys", "list").err


def test_a_damaged_key_file_is_named(cairn):
    set_key(cairn, "A", "some-secret")
    with open(key_file(cairn), "a", encoding="utf-8") as handle:
        handle.write("B not=base64\n")
    done = cairn("keys", "list")
    assert done.status == 4 and "keys: line 3 is not a name and a value" in done.err


def test_keys_set_at_the_same_time_are_all_kept(cairn):
    children = [subprocess.Popen([BIN, "keys", "set", f"K{i}"], env=cairn.env, stdin=subprocess.PIPE)
                for i in range(8)]
    for child in children:
        child.communicate(b"some-secret")
        assert child.returncode == 0
    assert len(cairn("keys", "list").out.split()) == 8


def test_a_terminal_asks_and_shows_nothing(cairn):
    terminal = Terminal(cairn, "keys", "set", "TOKEN")
    terminal.until_text("value of TOKEN (not shown):")
    terminal.press(b"typed-secret\r")
    assert terminal.finish() == 0
    assert "typed" not in terminal.raw
    assert base64.b64encode(b"typed-secret").decode() in key_file(cairn).read_text()


def test_interrupted_while_it_asks(cairn):
    terminal = Terminal(cairn, "keys", "set", "TOKEN")
    terminal.until_text("value of TOKEN")
    terminal.press(b"half-a-sec\x03")
    assert terminal.finish() == 130
    assert not key_file(cairn).exists()


def test_no_memory_in_core_dumps_once_a_secret_was_read(cairn):
    set_key(cairn, "CANARY", SECRET)
    pipe = cairn.pipe("gate")
    cairn.flow(f"  a: {{type: code, language: sh, env: {{T: '{{{{ secrets.CANARY }}}}'}}, "
               f"code: 'echo ready >&2; read x < {pipe}'}}\n")
    started = cairn.start("run", "flow.yaml")
    started.wait_for("ready")
    proc = f"/proc/{started.child.pid}"
    with open(f"{proc}/coredump_filter", encoding="ascii") as handle:
        assert int(handle.read(), 16) == 0
    with open(f"{proc}/limits", encoding="ascii") as handle:
        assert re.search(r"Max core file size +0 ", handle.read())
    with open(pipe, "w", encoding="ascii") as handle:
        handle.write("go\n")
    assert started.finish().status == 0


def test_the_page(cairn):
    os.symlink(BIN, cairn.folder / "cairn")
    env = {**cairn.env, "PATH": f"{cairn.folder}:{cairn.env['PATH']}"}
    with open(os.path.join(TOP, "docs/secrets.md"), encoding="utf-8") as handle:
        page = handle.read()
    ran = 0
    for language, name, text in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page, re.M | re.S):
        if language == "yaml":
            cairn.write(name, text)
            continue
        for command, expected in commands(text):
            done = subprocess.run(["sh", "-c", command], cwd=cairn.folder, env=env, timeout=PATIENCE,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            assert squeeze(done.stdout.decode()) == squeeze(expected), command
            ran += 1
    assert ran >= 6


def test_code_does_not_find_it_in_the_environment_of_cairn(cairn):
    cairn.flow("""
  look:
    type: code
    language: sh
    code: grep -alF canary-of-processes /proc/[0-9]*/environ 2>/dev/null; echo done
outputs: {found: look}
""")
    done = cairn("run", "flow.yaml", "--json", "-q",
                 env={"CAIRN_SECRET_HERE": "canary-of-processes", "LC_CANARY": "x"})
    assert done.json["finalResult"] == {"found": "done"}
