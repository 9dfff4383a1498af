"""The check kind with the real binary: its failure can be handled, its schema is part of the workflow."""

SCHEMA = '{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}'
FLOW = """
inputs: {user: {}}
nodes:
  good: {type: check, schema_file: user.json, value: inputs.user}
  bad: {type: transform, needs: [good.error], value: "good.type + ': ' + good.message"}
outputs: {good: good, bad: bad}
"""


def run(cairn, user):
    cairn.write("user.json", SCHEMA)
    cairn.flow(FLOW)
    return cairn("run", "flow.yaml", "--json", "-q", "-i", f"user:={user}").json["finalResult"]


def test_what_fits_is_passed_on(cairn):
    assert run(cairn, '{"id": 7, "more": [1.0]}') == {"good": {"id": 7, "more": [1.0]}, "bad": None}


def test_what_does_not_fit_goes_the_way_of_errors(cairn):
    bad = run(cairn, '{"id": "x"}')["bad"]
    assert bad == 'schema: the value does not fit the schema: at /id: expected integer, got text "x"'


def test_without_a_handler_the_execution_fails(cairn):
    cairn.flow("  c: {type: json_schema_validator, schema: {minimum: 3, multipleOf: 2}, value: 1}\n")
    done = cairn("run", "flow.yaml", "--json", "-q")
    assert done.status == 1
    assert done.json["error"]["type"] == "schema"
    assert done.json["error"]["node"] == "c"
    assert "at least 3" in done.json["error"]["message"]
