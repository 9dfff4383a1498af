"""foreach.matrix: all combinations, those left out and added, and limits."""


def test_every_combination_first_list_slowest(cairn):
    cairn.flow("""
inputs: {systems: {type: array, default: [linux, mac]}}
nodes:
  build:
    type: transform
    foreach: {matrix: {os: inputs.systems, py: ["3.11", "3.12"]}, as: job}
    value: job.os + '-' + item.py + '#' + string(index)
outputs: {names: build}
""")
    done = cairn("run", "-q", "--json", "flow.yaml")
    assert done.json["finalResult"] == {
        "names": ["linux-3.11#0", "linux-3.12#1", "mac-3.11#2", "mac-3.12#3"]
    }
    done = cairn("run", "-q", "--json", "flow.yaml", "-i", "systems:=[]")
    assert done.json["finalResult"] == {"names": []}


def test_combinations_are_left_out_and_added(cairn):
    cairn.flow("""
nodes:
  build:
    type: transform
    foreach:
      matrix: {os: [linux, mac], n: [1, 2]}
      exclude: [{os: mac, n: 2}]
      include: [{os: bsd, n: 9}]
    value: item
outputs: {jobs: build}
""")
    done = cairn("run", "-q", "--json", "flow.yaml")
    assert done.json["finalResult"]["jobs"] == [
        {"os": "linux", "n": 1},
        {"os": "linux", "n": 2},
        {"os": "mac", "n": 1},
        {"os": "bsd", "n": 9},
    ]


def test_a_matrix_too_large_fails_before_it_is_made(cairn):
    cairn.flow("""
inputs: {n: {type: array}}
nodes:
  a:
    type: transform
    foreach: {matrix: {a: inputs.n, b: inputs.n, c: inputs.n, d: inputs.n}}
    value: 1
""")
    numbers = ",".join(["1"] * 1000)
    done = cairn("run", "-q", "--json", "flow.yaml", "-i", f"n:=[{numbers}]")
    assert done.status == 1
    assert done.json["error"]["type"] == "limit"
    assert done.json["error"]["message"] == "foreach.matrix has more items than max_items 100000"
