"""What the checkers share: reading C sources roughly but reliably, and the list of exceptions.

This is a scanner, not a compiler: it knows comments, strings, preprocessor lines, brackets and
statements, which is enough to measure functions and find includes and calls. Blanked text keeps
its length and its line breaks, so an offset means the same place in every form of the text.
"""

import os
import re
from dataclasses import dataclass

_PIECES = re.compile(
    r"""(?P<comment>/\*.*?(?:\*/|\Z)|//(?:\\\n|[^\n])*)
      | (?P<string>"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+')""",
    re.S | re.X,
)
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\S")
_CONTROL = {"if", "for", "while", "switch"}
_NOT_NAMES = _CONTROL | {"return", "sizeof", "_Alignof", "_Static_assert", "__attribute__", "do"}
_TYPE_WORDS = {"void", "int", "char", "long", "short", "unsigned", "signed", "double", "float"}


def sources(top, folders, endings=(".c", ".h")):
    """Paths below the folders, relative to top, in a fixed order."""
    found = []
    for folder in folders:
        for base, dirs, names in os.walk(os.path.join(top, folder)):
            dirs.sort()
            for name in sorted(names):
                if name.endswith(endings):
                    found.append(os.path.relpath(os.path.join(base, name), top))
    return found


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace", newline="") as handle:
        return handle.read()


def _spaces(text):
    return re.sub(r"[^\n]", " ", text)


def blank_comments(text):
    """Comments become spaces; strings stay."""
    return _PIECES.sub(lambda m: _spaces(m[0]) if m.lastgroup == "comment" else m[0], text)


def blank(text):
    """Comments become spaces; the inside of strings and characters too."""

    def one(match):
        if match.lastgroup == "comment":
            return _spaces(match[0])
        return match[0][0] + _spaces(match[0][1:-1]) + match[0][-1]

    return _PIECES.sub(one, text)


def blank_directives(text):
    """Preprocessor lines, with their continuations, become spaces. Takes blanked text."""
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: _spaces(m[0]), text, flags=re.M)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def includes(text):
    """(line number, path, quoted) of every #include."""
    plain = blank_comments(text)
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', plain, re.M):
        yield line_of(plain, match.start(2)), match.group(2), match.group(1) == '"'


def calls(text, names):
    """(line number, name) of every call of one of the names.

    A field of that name (x->open()) is not meant, nor a name that the file defines itself.
    """
    plain = blank(text)
    names = set(names) - {function.name for function in functions(text)}
    if not names:
        return
    pattern = r"(?<![\w.>])(" + "|".join(map(re.escape, sorted(names))) + r")\s*\("
    for match in re.finditer(pattern, plain):
        yield line_of(plain, match.start()), match.group(1)


@dataclass
class Function:
    name: str
    first_line: int
    last_line: int
    params: int
    nesting: int

    @property
    def lines(self):
        return self.last_line - self.first_line + 1


def _tokens(plain):
    return [(m[0], m.start()) for m in _TOKEN.finditer(plain)]


_PAIRS = {"(": ")", "{": "}", "[": "]"}


def _close(tokens, start):
    """Index of the bracket that closes the one at start (or the last token)."""
    depth = 0
    for index in range(start, len(tokens)):
        word = tokens[index][0]
        if word in "({[":
            depth += 1
        elif word in ")}]":
            depth -= 1
            if depth == 0:
                return index
    return len(tokens) - 1


class _Body:
    """Walks the statements of one function to find how deep control goes."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.deepest = 0

    def word(self, index):
        return self.tokens[index][0] if index < len(self.tokens) else ""

    def block(self, index, depth):
        """index is at '{'; returns the index after its '}'."""
        index += 1
        while index < len(self.tokens) and self.word(index) != "}":
            index = self.statement(index, depth)
        return index + 1

    def body(self, index, depth):
        self.deepest = max(self.deepest, depth)
        if self.word(index) == "{":
            return self.block(index, depth)
        return self.statement(index, depth)

    def statement(self, index, depth):
        word = self.word(index)
        if word == "{":
            return self.body(index, depth + 1)
        if word in _CONTROL:
            return self.control(index, depth)
        if word == "do":
            index = self.body(index + 1, depth + 1)
            return self.expression(index)
        if word in ("case", "default"):
            return self.after_colon(index)
        if re.match(r"[A-Za-z_]", word) and self.word(index + 1) == ":":
            return index + 2
        if re.match(r"[A-Za-z_]", word) and self.word(index + 1) == "(":
            end = _close(self.tokens, index + 1)
            if self.word(end + 1) == "{":  # a macro that loops
                return self.body(end + 1, depth + 1)
        return self.expression(index)

    def control(self, index, depth):
        word = self.word(index)
        index = self.body(_close(self.tokens, index + 1) + 1, depth + 1)
        if word == "if" and self.word(index) == "else":
            if self.word(index + 1) == "if":
                return self.control(index + 1, depth)
            return self.body(index + 1, depth + 1)
        return index

    def after_colon(self, index):
        questions = 0
        while index < len(self.tokens):
            word = self.word(index)
            if word in _PAIRS:
                index = _close(self.tokens, index)
            elif word == "?":
                questions += 1
            elif word == ":":
                if questions == 0:
                    return index + 1
                questions -= 1
            index += 1
        return index

    def expression(self, index):
        while index < len(self.tokens) and self.word(index) not in (";", "}"):
            if self.word(index) in _PAIRS:
                index = _close(self.tokens, index)
            index += 1
        return index + 1 if self.word(index) == ";" else index


def _name_and_params(head):
    """head: the tokens before a '{' at top level. Returns (name, number of parameters) or None."""
    index = 0
    while index + 1 < len(head):
        word = head[index][0]
        if head[index + 1][0] == "(" and re.match(r"[A-Za-z_]", word):
            end = _close(head, index + 1)
            if word in _TYPE_WORDS or head[index + 2][0] == "*":  # returns a function pointer
                index += 2
                continue
            macro = word.isupper() and index + 1 < len(head) and end + 1 < len(head)
            if word in _NOT_NAMES or (macro and re.match(r"[A-Za-z_]", head[end + 1][0])):
                index = end + 1
                continue
            return word, _count_params(head[index + 2 : end])
        index += 1
    return None


def _count_params(tokens):
    words = [word for word, _ in tokens]
    if not words or words == ["void"]:
        return 0
    depth, commas = 0, 0
    for word in words:
        if word in "([{":
            depth += 1
        elif word in ")]}":
            depth -= 1
        elif word == "," and depth == 0:
            commas += 1
    return commas + 1


def functions(text):
    """Every function definition of a C source, in order."""
    plain = blank_directives(blank(text))
    tokens = _tokens(plain)
    found, start, index = [], 0, 0
    while index < len(tokens):
        word = tokens[index][0]
        if word in (";", "}"):
            start = index + 1
        elif word in "([":
            index = _close(tokens, index)
        elif word == "{":
            head = tokens[start:index]
            words = [w for w, _ in head]
            if words[:1] == ["extern"] and '"' in words:  # extern "C" {
                start = index + 1
                index += 1
                continue
            end = _close(tokens, index)
            named = None if "=" in words else _name_and_params(head)
            if named:
                body = _Body(tokens[index : end + 1])
                body.block(0, 0)
                first = line_of(plain, head[0][1])
                last = line_of(plain, tokens[end][1])
                found.append(Function(named[0], first, last, named[1], body.deepest))
                start = end + 1
            index = end
        index += 1
    return found


class Allow:
    """tools/tidy.allow: exceptions, each with a reason. A line: rule, place, reason.

    place is a file, or file:name for a function or a call. An exception that nothing needs any
    more is itself an error, so the list can't rot.
    """

    def __init__(self, path):
        self.path = path
        self.entries = {}
        self.used = set()
        self.errors = []
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                if line.strip() and not line.startswith("#"):
                    self._add(number, line.split(None, 2))

    def _add(self, number, parts):
        if len(parts) < 3 or len(parts[2].strip()) < 10:
            self.errors.append(f"{self.path}:{number}: wants: rule place reason")
            return
        self.entries[(parts[0], parts[1])] = number

    def permits(self, rule, path, name=""):
        for key in ((rule, path), (rule, f"{path}:{name}")):
            if key in self.entries:
                self.used.add(key)
                return True
        return False

    def stale(self, rules):
        """Errors for the exceptions to these rules that were not needed."""
        return [
            f"{self.path}:{number}: nothing needs the exception {rule} {place} any more"
            for (rule, place), number in self.entries.items()
            if rule in rules and (rule, place) not in self.used
        ]
