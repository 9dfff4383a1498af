"""How a command line is read, what help says, and what a mistake is told."""

import ctypes
import os
import re
import subprocess

import pytest
from conftest import BIN, PATIENCE, TOP

FLOW = '  a: {type: end, value: "\'fine\'"}\n'
with open(os.path.join(TOP, "src/cli/commands.def"), encoding="utf-8") as rows:
    COMMANDS = re.findall(r"^COMMAND\((\w+)\)", rows.read(), re.M)


def test_cairn_alone_shows_help(cairn):
    done = cairn()
    assert done.status == 0
    assert done.err == ""
    assert done.out == cairn("--help").out == cairn("help").out == cairn("-h").out
    for command in COMMANDS:
        assert f"\n  {command} " in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(cairn, command):
    done = cairn(command, "--help")
    assert done.status == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0].startswith(f"cairn {command}: ")
    assert lines[2].startswith(f"usage: cairn {command}")
    assert "options:" in lines and "examples:" in lines
    assert any(line.startswith("      --store URL") for line in lines)
    assert all(len(line) <= 100 for line in lines)
    assert done.out == cairn("help", command).out


def sqlite_of(cairn):
    """The version of the SQLite library that the binary is linked with."""
    libraries = subprocess.run(["ldd", BIN], capture_output=True, text=True, check=True).stdout
    path = re.search(r"libsqlite3\S* => (\S+)", libraries).group(1)
    library = ctypes.CDLL(path)
    library.sqlite3_libversion.restype = ctypes.c_char_p
    return library.sqlite3_libversion().decode()


def test_version(cairn):
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(top, "VERSION"), encoding="utf-8") as handle:
        version = handle.read().strip()
    done = cairn("--version")
    assert (done.status, done.out, done.err) == (0, f"cairn {version}\n", "")
    more = cairn("--version", "-v").out.splitlines()
    assert more[:2] == [f"cairn {version}", "store format 2, scheduling rules 1"]
    assert re.fullmatch(r"build \w+, compiler .+", more[2])
    libraries = dict(line.split(" ", 1) for line in more[3:9])
    assert list(libraries) == ["libuv", "jansson", "libyaml", "sqlite", "zstd", "xxhash"]
    assert all(re.match(r"\d+\.\d+", number) for number in libraries.values())
    assert libraries["sqlite"] == sqlite_of(cairn)
    late = os.path.join(TOP, "src/net/lazy.def")
    if os.path.exists(late):
        with open(late, encoding="utf-8") as rows:
            sonames = re.findall(r'^LAZY\(\w+, "([^"]+)"', rows.read(), re.M)
        assert [line.split()[0] for line in more[9:]] == sonames
        assert all(re.search(": (present|missing, install )", line) for line in more[9:])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["rn"], 'error: unknown command "rn"\n    did you mean "run"?\n'),
        (["xyzzy"], 'error: unknown command "xyzzy"\n    `cairn help` lists the commands\n'),
        (
            ["flow.yaml"],
            'error: unknown command "flow.yaml"\n    did you mean `cairn run flow.yaml`?\n',
        ),
        (["help", "rnu"], 'error: unknown command "rnu"\n    did you mean "run"?\n'),
        (
            ["run", "--jsn", "flow.yaml"],
            "error: unknown option --jsn of `cairn run`\n    did you mean --json?\n",
        ),
        (
            ["list", "--xyzzy"],
            "error: unknown option --xyzzy of `cairn list`\n"
            "    `cairn list --help` shows what there is\n",
        ),
        (["--versoin"], "error: unknown option --versoin\n    did you mean --version?\n"),
        (
            ["run", "-x", "flow.yaml"],
            "error: unknown option -x of `cairn run`\n    `cairn run --help` shows what there is\n",
        ),
        (
            ["run", "flow.yaml", "--json=yes"],
            "error: the option --json takes no value\n    `cairn run --help` shows what there is\n",
        ),
        (
            ["run", "flow.yaml", "--timeout"],
            "error: the option --timeout needs a value: --timeout DURATION\n"
            "    `cairn run --help` shows what there is\n",
        ),
        (
            ["run"],
            "error: `cairn run` needs WORKFLOW\n    `cairn run --help` shows what there is\n",
        ),
        (
            ["results"],
            "error: `cairn results` needs ID\n    `cairn results --help` shows what there is\n",
        ),
        (
            ["list", "more"],
            'error: `cairn list` does not know what to do with "more"\n'
            "    `cairn list --help` shows what there is\n",
        ),
        (
            ["run", "a.yaml", "b.yaml"],
            'error: `cairn run` does not know what to do with "b.yaml"\n'
            "    `cairn run --help` shows what there is\n",
        ),
        (
            ["run", "flow.yaml", "--json", "--json-lines"],
            "error: --json and --json-lines exclude each other\n",
        ),
        (
            ["run", "flow.yaml", "--timeout", "soon"],
            'error: --timeout: expected a duration of more than 0 and at most 100 years, got "soon"\n'
            "    write a number and a unit of d, h, m, s or ms: 90s, 1h30m\n",
        ),
        (
            ["run", "flow.yaml", "--timeout=0s"],
            'error: --timeout: expected a duration of more than 0 and at most 100 years, got "0s"\n'
            "    write a number and a unit of d, h, m, s or ms: 90s, 1h30m\n",
        ),
        (
            ["run", "flow.yaml", "--label", "team"],
            'error: --label: expected a name and a value, got "team"\n'
            "    write --label NAME=VALUE\n",
        ),
        (
            ["list", "--limit", "0"],
            'error: --limit: expected a number from 1 to 1000, got "0"\n',
        ),
        (
            ["list", "--limit=many"],
            'error: --limit: expected a number from 1 to 1000, got "many"\n',
        ),
        (
            ["list", "--status", "complete"],
            'error: --status: unknown status "complete"\n    did you mean completed?\n',
        ),
        (
            ["kinds", "agnet"],
            'error: there is no kind of node called "agnet"\n    did you mean "agent"?\n',
        ),
        (["kinds", "--json", "--markdown"], "error: --json and --markdown exclude each other\n"),
    ],
)
def test_mistakes_are_told_and_exit_2(cairn, arguments, message):
    cairn.flow(FLOW)
    done = cairn(*arguments)
    assert done.err == message
    assert done.out == ""
    assert done.status == 2
    assert not os.path.exists(cairn.store)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "flow.yaml", "--quiet"],
        ["run", "--quiet", "flow.yaml"],
        ["--quiet", "run", "flow.yaml"],
        ["-q", "run", "flow.yaml", "--label=a=b"],
        ["--label", "a=b", "-q", "run", "flow.yaml"],
        ["run", "-q", "--", "flow.yaml"],
        ["--", "run", "flow.yaml"],
        ["run", "--timeout", "1h", "-q", "flow.yaml", "--timeout=2h"],
    ],
)
def test_options_stand_anywhere(cairn, arguments):
    cairn.flow(FLOW)
    done = cairn(*arguments)
    assert (done.status, done.out) == (0, "fine\n")


def test_two_dashes_end_the_options(cairn):
    cairn.flow(FLOW, name="--quiet.yaml")
    assert cairn("run", "-q", "--", "--quiet.yaml").out == "fine\n"
    assert cairn("run", "-q", "--quiet.yaml").status == 2


@pytest.mark.parametrize("given", [["-i", "x=1"], ["-ix=1"], ["--input", "x=1"], ["--input=x=1"]])
def test_forms_of_an_option_with_a_value(cairn, given):
    cairn.flow("inputs:\n  x: {type: integer}\nnodes:\n  a: {type: end, value: inputs.x + 1}\n")
    assert cairn("run", "-q", "flow.yaml", *given).out == "2\n"


def test_the_store_is_chosen_by_option_then_variable_then_default(cairn, tmp_path):
    cairn.flow(FLOW)
    assert cairn("run", "-q", "flow.yaml", "--store", "here.db").status == 0
    assert (tmp_path / "here.db").exists()
    assert not os.path.exists(cairn.store)
    assert cairn("run", "-q", "flow.yaml").status == 0
    assert os.path.exists(cairn.store)
    state = {"CAIRN_STORE": "", "XDG_STATE_HOME": str(tmp_path / "xdg")}
    assert cairn("run", "-q", "flow.yaml", env=state).status == 0
    assert (tmp_path / "xdg/cairn/cairn.db").exists()
    assert cairn("run", "-q", "flow.yaml", env={"CAIRN_STORE": ""}).status == 0
    assert (tmp_path / "home/.local/state/cairn/cairn.db").exists()


def test_a_relative_state_folder_is_ignored(cairn, tmp_path):
    cairn.flow(FLOW)
    state = {"CAIRN_STORE": "", "XDG_STATE_HOME": "xdg"}
    assert cairn("run", "-q", "flow.yaml", env=state).status == 0
    assert not (tmp_path / "xdg").exists()
    assert (tmp_path / "home/.local/state/cairn/cairn.db").exists()


def test_the_store_is_private(cairn):
    cairn.flow(FLOW)
    cairn("run", "-q", "flow.yaml")
    assert os.stat(cairn.store).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(cairn.store)).st_mode & 0o777 == 0o700


def test_a_store_that_cannot_be_is_exit_4(cairn):
    cairn.flow(FLOW)
    cairn.write("plain", "this is no database\n" * 100)
    done = cairn("run", "-q", "flow.yaml", "--store", "plain")
    assert done.status == 4
    assert done.err.startswith("error: ") and "plain" in done.err
    done = cairn("run", "-q", "flow.yaml", "--store", "plain/below.db")
    assert done.status == 4
    assert "plain" in done.err


def test_an_unknown_kind_of_store_is_exit_2(cairn):
    done = cairn("list", "--store", "oracle:x")
    assert done.status == 2
    assert done.err.startswith('error: unknown kind of store "oracle" (known: sqlite, memory)')


def test_a_reader_that_leaves_early_is_no_error(cairn):
    read, write = os.pipe()
    os.close(read)
    import subprocess

    from conftest import BIN

    done = subprocess.run(
        [BIN, "schema"], cwd=cairn.folder, env=cairn.env, stdout=write, stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


PRINTING = [
    ["help"], ["--version"], ["kinds"], ["schema"], ["man"], ["completion", "zsh"],
    ["expr", "1"], ["graph", "flow.yaml"], ["validate", "flow.yaml"], ["init", "new"],
    ["run", "-q", "flow.yaml"], ["run", "-q", "flow.yaml", "--json"],
    ["run", "-q", "flow.yaml", "--json-lines"], ["list"], ["list", "--json"],
    ["results", "@last"], ["results", "@last", "--json"], ["db", "check"],
]


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_full_disk_is_an_error(cairn, arguments):
    cairn.flow(FLOW)
    cairn("run", "-q", "flow.yaml")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [BIN, *arguments], cwd=cairn.folder, env=cairn.env, stdout=full,
            stderr=subprocess.PIPE, timeout=PATIENCE,
        )
    assert done.returncode == 4
    assert done.stderr == b"error: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_closed_output_is_an_error_and_no_file_takes_its_place(cairn, arguments):
    cairn.flow(FLOW)
    cairn("run", "-q", "flow.yaml")
    quoted = " ".join(f"'{word}'" for word in [BIN, *arguments])
    done = subprocess.run(
        ["sh", "-c", f"{quoted} <&- >&-"], cwd=cairn.folder, env=cairn.env, capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 4
    assert done.stderr == b"error: cannot write the output: Bad file descriptor\n"
    subprocess.run(["sh", "-c", f"{quoted} <&- >&- 2>&-"], cwd=cairn.folder, env=cairn.env,
                   timeout=PATIENCE)
    assert cairn("db", "check").status == 0
    assert re.fullmatch(r"\d+\s*", (cairn.folder / "state/cairn.db-lock").read_text())


def test_head_of_a_list(cairn):
    cairn.flow(FLOW)
    for _ in range(3):
        cairn("run", "-q", "flow.yaml")
    done = subprocess.run(
        ["bash", "-c", f"'{BIN}' list | head -1; echo ${{PIPESTATUS[0]}}"], cwd=cairn.folder,
        env=cairn.env, capture_output=True, text=True, timeout=PATIENCE,
    )
    assert done.stdout.splitlines()[0].startswith("ID ")
    assert (done.stdout.splitlines()[1], done.stderr) == ("0", "")


def test_ids_may_be_shortened(cairn):
    cairn.flow(FLOW)
    ids = [cairn.run_id("flow.yaml") for _ in range(2)]
    assert cairn("results", ids[0]).out == cairn("results", ids[0][5:]).out
    common = os.path.commonprefix(ids)
    for i in (0, 1):
        unique = ids[i][:len(common) + 1]
        assert ids[i] in cairn("results", unique).out
        assert ids[i] in cairn("results", unique[5:]).out
    assert ids[1] in cairn("results", "@last").out
    several = cairn("results", common)
    assert several.status == 2
    assert several.err.startswith(f'error: "{common}" is the beginning of several ids\n')
    assert all(one in several.err for one in ids)
    for word in ["exec_zzz", "zzz", ids[0] + "0", "@first", "exec_%", "*"]:
        none = cairn("results", word)
        assert none.status == 2 and none.err.startswith(f'error: no execution "{word}"'), word
    assert cairn("results", "").status == 2


def test_colours_only_where_they_are_wanted(cairn):
    cairn.flow(FLOW)
    cairn("run", "-q", "flow.yaml")
    for arguments in (["list"], ["results", "@last"], ["db", "check"], ["run", "none.yaml"]):
        done = cairn(*arguments)
        assert "\x1b" not in done.out + done.err


def test_control_characters_of_arguments_do_not_reach_the_terminal(cairn):
    done = cairn("run", "\x1b[31mred.yaml")
    assert "\x1b" not in done.err
    assert done.status == 2


def test_kinds_lists_kinds_and_common_fields(cairn):
    done = cairn("kinds")
    assert done.status == 0
    for word in ["start", "end", "condition", "transform", "code", "agent", "workflow"]:
        assert f"\n  {word} " in done.out
    for word in ["needs", "foreach", "retry", "on_error", "max_iterations"]:
        assert f"\n  {word} " in done.out
    assert all(len(line) <= 96 for line in done.out.splitlines())


def test_kinds_shows_one_kind_also_by_another_name(cairn):
    done = cairn("kinds", "code")
    assert done.status == 0
    assert "language (text)" in done.out
    assert "exactly one of code, file, command" in done.out
    assert "example:" in done.out
    assert cairn("kinds", "code_job").out == done.out


def test_kinds_as_json(cairn):
    every = cairn("kinds", "--json").json
    assert [kind["name"] for kind in every["kinds"]][:2] == ["start", "end"]
    assert {"name", "type", "doc"} == set(every["commonFields"][0])
    one = cairn("kinds", "condition", "--json").json
    assert one == [kind for kind in every["kinds"] if kind["name"] == "condition"][0]
    assert one["handles"] == ["true", "false"] or "true" in one["handles"]
    assert {
        "name", "type", "required", "secrets", "default", "choices", "oneOf", "needs", "doc",
    } == set(one["fields"][0])


def test_the_example_of_every_kind_stands_in_its_markdown(cairn):
    page = cairn("kinds", "--markdown").out
    for kind in cairn("kinds", "--json").json["kinds"]:
        assert f"\n## {kind['name']}\n" in "\n" + page
        for field in kind["fields"]:
            assert f"| `{field['name']}` |" in page
        if kind["example"]:
            assert kind["example"].strip() in page
    assert "\n## Every node\n" in page


def test_schema_is_a_json_schema_of_the_format(cairn):
    schema = cairn("schema").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["cairn", "nodes"]
    for kind in cairn("kinds", "--json").json["kinds"]:
        assert f"node_{kind['name']}" in schema["$defs"]
