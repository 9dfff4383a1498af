"""A terminal for tests: a pty with a screen that understands what a simple terminal does."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from conftest import BIN, PATIENCE

TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])|(\x1b)")


class Screen:
    """Rows of text, the scrolled-off ones included; the last `lines` of them are visible."""

    def __init__(self, columns, lines):
        self.columns, self.lines = columns, lines
        self.rows, self.row, self.column = [""], 0, 0
        self.colours = set()
        self.ups = 0  # how often the cursor went up
        self.rest = ""

    @property
    def top(self):
        return max(0, len(self.rows) - self.lines)

    def feed(self, text):
        text = self.rest + text
        last = text.rfind("\x1b")
        self.rest = text[last:] if last >= 0 and not TOKEN.match(text[last:] + "") else ""
        if last >= 0 and re.fullmatch(r"\x1b\[?[0-9;?]*", text[last:]):
            self.rest, text = text[last:], text[:last]
        else:
            self.rest = ""
        for match in TOKEN.finditer(text):
            number, letter, back, line, char, stray = match.groups()
            assert stray is None, f"not understood: {text!r}"
            if letter:
                self.control(number, letter)
            elif back:
                self.column = 0
            elif line:
                self.next_row()  # the pty has put \r before it
            else:
                self.put(char)

    def control(self, number, letter):
        if letter == "m":
            if number not in ("", "0"):
                self.colours.add(number)
        elif letter == "A":
            self.ups += 1
            self.row = max(self.top, self.row - int(number or 1))
        elif letter == "K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif letter == "J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        else:
            raise AssertionError(f"not understood: ESC [ {number} {letter}")

    def next_row(self):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def put(self, char):
        if self.column == self.columns:
            self.next_row()
            self.column = 0
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
        self.column += 1

    def resize(self, columns, lines):
        """Rows that are too long are wrapped, as terminals do."""
        rows, at = [], 0
        for number, row in enumerate(self.rows):
            if number == self.row:
                at = len(rows)
            rows += [row[i : i + columns] for i in range(0, max(1, len(row)), columns)]
        self.rows, self.row = rows, at
        self.columns, self.lines = columns, lines

    @property
    def text(self):
        return "\n".join(row.rstrip() for row in self.rows)


class Terminal:
    """cairn on a pty of its own, which is its controlling terminal."""

    def __init__(self, cairn, *arguments, columns=80, lines=24, env=None, stdout=None):
        self.master, slave = pty.openpty()
        self.screen = Screen(columns, lines)
        self.raw = ""
        self.size(columns, lines)

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.child = subprocess.Popen(
            [BIN, *arguments], cwd=cairn.folder, stdin=slave, stderr=slave,
            stdout=stdout or slave, env={**cairn.env, "TERM": "xterm-256color", **(env or {})},
            preexec_fn=take_terminal,
        )
        cairn.started.append(self.child)
        os.close(slave)

    def size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self.screen.resize(columns, lines)
        self.size(columns, lines)

    def read(self, wait):
        """One piece of output into the screen; False at the end."""
        ready, _, _ = select.select([self.master], [], [], wait)
        assert ready, f"nothing came:\n{self.screen.text}"
        try:
            piece = os.read(self.master, 65536).decode()
        except OSError:
            return False
        self.raw += piece
        self.screen.feed(piece)
        return bool(piece)

    def until(self, seen):
        """Reads until seen(screen)."""
        end = time.monotonic() + PATIENCE
        while not seen(self.screen):
            assert self.read(max(0.0, end - time.monotonic())), f"ended:\n{self.screen.text}"
        return self.screen

    def until_text(self, text):
        return self.until(lambda screen: text in screen.text)

    def press(self, keys):
        os.write(self.master, keys)

    def finish(self):
        while self.read(PATIENCE):
            pass
        os.close(self.master)
        return self.child.wait(PATIENCE)
