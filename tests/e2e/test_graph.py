"""cairn graph: what is drawn is what the workflow says, whatever it looks like."""

import os
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import TOP

EXAMPLES = sorted(name for name in os.listdir(f"{TOP}/examples") if name.endswith(".yaml"))
FORMATS = ["ascii", "dot", "mermaid", "svg"]

LOOP = """
  draft: {type: transform, value: "1", needs: [good.false], max_iterations: 5,
          on_limit: exit}
  good: {type: condition, when: draft > 2, needs: [draft]}
  done: {type: end, needs: [good.true], value: draft}
  stop: {type: end, needs: [draft.limit], value: "0"}
"""


def transforms(needs):
    """A workflow of transforms: {name: [names]}."""
    lines = ["cairn: 1", "name: made", "nodes:"]
    for name, above in needs.items():
        lines.append(f"  {name}: {{type: transform, value: '1', needs: [{', '.join(above)}]}}")
    return "\n".join(lines) + "\n"


def random_needs(seed, count, reach):
    pick = random.Random(seed)
    needs = {}
    for i in range(count):
        above = range(max(0, i - reach), i)
        needs[f"n{i}"] = [f"n{k}" for k in sorted(pick.sample(above, min(i, pick.randint(0, 3))))]
    return needs


class Picture:
    """Reads an ascii picture as a person would: from a box down along the lines."""

    def __init__(self, text):
        self.rows = text.splitlines()
        self.boxes = {}  # name -> (top, bottom, left, right)
        for y, row in enumerate(self.rows):
            for match in re.finditer(r"\+-+\+", row):
                left, right = match.start(), match.end() - 1
                below = self.rows[y + 1] if y + 1 < len(self.rows) else ""
                if re.fullmatch(r"\| \w+ *\|", below[left:right + 1]):
                    bottom = y + 1
                    while self.at(bottom, left) != "+":
                        bottom += 1
                    name = below[left + 2:right].strip()
                    self.boxes[name] = (y, bottom, left, right)

    def at(self, y, x):
        row = self.rows[y] if 0 <= y < len(self.rows) else ""
        return row[x] if 0 <= x < len(row) else " "

    def box_at(self, y, x):
        for name, (top, bottom, left, right) in self.boxes.items():
            if top <= y <= bottom and left <= x <= right:
                return name
        return None

    def edges(self):
        found = set()
        for name, (_, bottom, left, right) in self.boxes.items():
            for x in range(left + 1, right):
                if self.at(bottom + 1, x) == "|":
                    found |= {(name, end) for end in self.follow(bottom + 1, x)}
                elif self.at(bottom + 1, x) == "^":
                    found |= {(end, name) for end in self.follow(bottom + 1, x)}
        return found

    def follow(self, y, x):
        """The boxes that a line from here leads down to."""
        ends, seen, todo = set(), set(), [(y, x)]
        while todo:
            y, x = todo.pop()
            if (y, x) in seen:
                continue
            seen.add((y, x))
            below = self.box_at(y + 1, x)
            if below:
                ends.add(below)
                continue
            if self.at(y + 1, x) in "|+v":
                todo.append((y + 1, x))
            if self.at(y, x) == "+":
                todo += [(y, k) for k in (self.across(y, x, -1), self.across(y, x, 1))
                         if k is not None]
        return ends

    def across(self, y, x, step):
        """The next corner on this side, if a line leads there."""
        x += step
        line = self.at(y, x) == "+"
        while self.at(y, x) in "-|":
            line = line or self.at(y, x) == "-"
            x += step
        return x if self.at(y, x) == "+" and (line or self.at(y, x - step) == "|") else None


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_drawn_the_same_each_time(cairn, example, format):
    path = f"{TOP}/examples/{example}"
    first = cairn("graph", path, "--format", format)
    assert (first.status, first.err) == (0, "")
    assert first.out == cairn("graph", path, "-f", format).out
    plan = cairn("graph", path, "-f", "dot").out
    for name in re.findall(r'^  "(\w+)" \[label', plan, re.M):
        assert name in first.out
    assert not os.path.exists(cairn.store)


def test_a_picture_of_a_loop(cairn):
    cairn.flow(LOOP)
    done = cairn("graph", "flow.yaml")
    assert done.out == """\
+--------------------------+
| draft                    |
| transform, up to 5 times |
+--------------------------+
         ^   |   | limit
    +----+   |   +-----+
    | false  v         v
 +--------------+   +------+
 | good         |   | stop |
 | condition    |   | end  |
 +--------------+   +------+
        | true
        v
     +------+
     | done |
     | end  |
     +------+
"""
    assert Picture(done.out).edges() == {
        ("draft", "good"), ("good", "draft"), ("good", "done"), ("draft", "stop")
    }


@pytest.mark.parametrize("seed", range(60))
def test_lines_lead_where_the_edges_do(cairn, seed):
    needs = random_needs(seed, 4 + seed % 7, 4)
    cairn.write("flow.yaml", transforms(needs))
    text = cairn("graph", "flow.yaml").out
    if text.startswith("+") or text.startswith(" "):
        assert all(len(row) <= 80 for row in text.splitlines())
        expected = {(above, name) for name, all_above in needs.items() for above in all_above}
        assert Picture(text).edges() == expected, text
    else:
        assert text.startswith("n0  (transform)\n")


def test_most_small_graphs_are_pictures(cairn):
    pictures = 0
    for seed in range(30):
        cairn.write("flow.yaml", transforms(random_needs(seed, 8, 4)))
        pictures += "+--" in cairn("graph", "flow.yaml").out
    assert pictures >= 25


def test_a_wide_graph_becomes_a_list(cairn):
    cairn.write("flow.yaml", transforms({"a": [], **{f"b{i}": ["a"] for i in range(20)}}))
    lines = cairn("graph", "flow.yaml").out.splitlines()
    assert lines[:3] == ["a  (transform)", "    -> b0", "    -> b1"]
    assert lines[-1] == "b19  (transform)"
    assert len(lines) == 1 + 20 + 20


def test_a_list_names_handles_and_marks_what_leads_back(cairn):
    wide = "".join(f"  w{i}: {{type: transform, value: '1'}}\n" for i in range(20))
    cairn.flow(LOOP + wide)
    text = cairn("graph", "flow.yaml").out
    assert "good  (condition)\n    false -> draft  (back)\n    true -> done\n" in text
    assert "draft  (transform, up to 5 times)\n    -> good\n    limit -> stop\n" in text


@pytest.mark.parametrize("format", FORMATS)
def test_large_graphs(cairn, format):
    loops = {}
    text = ["cairn: 1", "name: large", "nodes:"]
    for i in range(70):
        before = f", c{i - 1}.true" if i else ""
        text.append(f"  a{i}: {{type: transform, value: '1', needs: [c{i}.false{before}], "
                    "max_iterations: 3}")
        text.append(f"  b{i}: {{type: transform, value: '1', needs: [a{i}], foreach: '[1, 2]'}}")
        text.append(f"  c{i}: {{type: condition, when: 'true', needs: [b{i}]}}")
        loops[f"c{i}"] = f"a{i}"
    cairn.write("flow.yaml", "\n".join(text) + "\n")
    done = cairn("graph", "flow.yaml", "-f", format)
    assert done.status == 0
    names = [f"{letter}{i}" for letter in "abc" for i in range(70)]
    assert all(re.search(rf"\b{name}\b", done.out) for name in names)
    cairn.write("flow.yaml", transforms(random_needs(1, 200, 30)))
    assert cairn("graph", "flow.yaml", "-f", format).status == 0


def test_edges_over_very_many_ranks_stay_whole(cairn):
    needs = {"n0": []}
    for i in range(1, 600):
        needs[f"n{i}"] = [f"n{i - 1}"] + ([f"n{k}" for k in range(0, i - 1, 3)])
    cairn.write("flow.yaml", transforms(needs))
    done = cairn("graph", "flow.yaml", "-f", "svg")
    assert done.status == 0
    root = ElementTree.fromstring(done.out)
    boxes = [x for x in root.iter() if x.tag.endswith("rect")]
    assert len(boxes) == 600


def test_svg_is_a_document_of_its_own(cairn):
    cairn.flow(
        "  a: {type: transform, value: '1', label: \"<b>&'\\uFFFE \\u0007 Ä\"}\n"
        "  b: {type: transform, value: '1', needs: [a], foreach: '[1]'}\n" + LOOP
    )
    text = cairn("graph", "flow.yaml", "--format", "svg").out
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert text.count("http") == 1 and "url(" not in text and "href" not in text
    words = [x.text for x in root.iter() if x.tag.endswith("text")]
    assert "<b>&'\ufffd \\x07 Ä" in words
    for word in ["limit", "true", "false", "transform, foreach", "transform, up to 5 times"]:
        assert word in words
    assert text.count("stroke-dasharray") == 1  # the one edge that leads back
    assert "prefers-color-scheme:dark" in text
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert 0 <= float(box.get("x")) <= width - float(box.get("width"))
        assert 0 <= float(box.get("y")) <= height - float(box.get("height"))


def test_boxes_of_an_svg_do_not_overlap(cairn):
    cairn.write("flow.yaml", transforms(random_needs(3, 60, 12)))
    root = ElementTree.fromstring(cairn("graph", "flow.yaml", "-f", "svg").out)
    boxes = [[float(box.get(k)) for k in ("x", "y", "width", "height")]
             for box in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(boxes) == 60
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_dot_is_read_by_dot(cairn):
    cairn.flow("  a: {type: transform, value: '1', label: 'say \"hi\" \\ there'}\n" + LOOP)
    text = cairn("graph", "flow.yaml", "-f", "dot").out
    assert '"good" -> "draft" [label="false", style=dashed, constraint=false];' in text
    assert '"good" -> "done" [label="true"];' in text
    assert 'label="a\\nsay \\"hi\\" \\\\ there\\ntransform"' in text
    if not shutil.which("dot"):
        pytest.skip("dot is not installed")
    subprocess.run(["dot", "-Tsvg"], input=text.encode(), check=True, stdout=subprocess.DEVNULL)


def test_mermaid_escapes_and_numbers(cairn):
    cairn.flow("  end: {type: transform, value: '1', label: 'say \"hi\" <b> #1'}\n" + LOOP)
    lines = cairn("graph", "flow.yaml", "-f", "mermaid").out.splitlines()
    assert lines[0] == "flowchart TD"
    assert lines[1] == '  n0["end<br/>say #quot;hi#quot; #lt;b#gt; #35;1<br/>transform"]'
    assert '  n2 -.->|"false"| n1' in lines
    assert '  n2 -->|"true"| n3' in lines
    assert '  n2{{"good<br/>condition"}}' in lines


def test_the_output_file_and_its_ending(cairn, tmp_path):
    cairn.flow(LOOP)
    for name, start in [("a.svg", "<svg"), ("a.dot", "digraph"), ("a.mermaid", "flowchart"),
                        ("a.txt", "+--")]:
        done = cairn("graph", "flow.yaml", "-o", name)
        assert (done.status, done.out, done.err) == (0, "", "")
        assert (tmp_path / name).read_text().startswith(start)
    assert cairn("graph", "flow.yaml", "-o", "a.svg", "-f", "dot").status == 0
    assert (tmp_path / "a.svg").read_text().startswith("digraph")
    assert cairn("graph", "flow.yaml", "-o", "-").out.startswith("+--")
    missing = cairn("graph", "flow.yaml", "-o", "none/a.svg")
    assert missing.status == 2 and "none/a.svg" in missing.err
    full = cairn("graph", "flow.yaml", "-o", "/dev/full")
    assert full.status == 4 and "No space left" in full.err


def test_what_cannot_be_drawn_is_refused_as_by_validate(cairn):
    cairn.flow("  a: {type: transfrm}\n")
    done = cairn("graph", "flow.yaml")
    assert (done.status, done.out) == (2, "")
    assert done.err == cairn("validate", "flow.yaml").err
    done = cairn("graph", "flow.yaml", "-f", "svgg")
    assert done.err == 'error: --format: unknown format "svgg"\n    did you mean svg?\n'
    assert cairn("graph", "flow.yaml", "-f", "png").status == 2


NAMED = """
finally: tidy
nodes:
  pay: {type: code, command: ["true"], fallback: later, compensate: back}
  later: {type: transform, value: "1"}
  back: {type: code, command: ["true"]}
  tidy: {type: transform, value: "1"}
"""


def test_nodes_that_others_name_hang_on_dashed_lines(cairn):
    cairn.flow(NAMED)
    dot = cairn("graph", "flow.yaml", "-f", "dot").out
    assert '"pay" -> "later" [label="fallback", style=dashed];' in dot
    assert '"pay" -> "back" [label="compensate", style=dashed];' in dot
    assert "transform, finally" in dot
    assert cairn("graph", "flow.yaml", "-f", "mermaid").out.count("-.->") == 2
    assert cairn("graph", "flow.yaml", "-f", "svg").out.count("stroke-dasharray") == 2
    text = cairn("graph", "flow.yaml").out
    assert "fallback" in text and "compensate" in text
