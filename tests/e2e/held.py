"""An execution whose step waits for a named pipe, until the test writes to it."""

import os

from conftest import until

HOLD = """
  first: {type: transform, value: 1}
  hold: {type: code, needs: [first], language: sh, code: "echo busy >&2; cat pipe"}
  last: {type: end, needs: [hold], value: hold}
"""


def holding(cairn, nodes=HOLD):
    """The run, which is at its step, and the pipe."""
    pipe = cairn.pipe("pipe")
    cairn.flow(nodes)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("stderr: busy")
    until(lambda: "busy" in cairn("logs", run.id).out)  # recorded, too: nothing is left to write
    return run, pipe


def reader_of(pipe):
    """A descriptor to write to who reads it, when somebody does."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def release(pipe, text="released"):
    """Lets the step go on that reads the pipe, or soon does."""
    descriptor = until(lambda: reader_of(pipe), "nobody reads the pipe")
    with open(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
