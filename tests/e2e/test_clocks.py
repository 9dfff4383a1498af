"""Clocks that jump by an hour while an execution is under way, and ones that are behind a journal.

No step runs a program: libfaketime allocates in processes that may not, such as the launcher.
"""

import os
import sqlite3
import time

import pytest

from conftest import SANITIZED

LIBRARY = next((p for p in ("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
                            "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1")
                if os.path.exists(p)), None)
pytestmark = [
    pytest.mark.skipif(LIBRARY is None, reason="no libfaketime: the clock cannot be set"),
    pytest.mark.skipif(SANITIZED, reason="a sanitizer and libfaketime do not go together"),
]
WAIT = """
  w: {type: wait, for: 2s}
  e: {type: end, needs: [w], value: "'waited'"}
"""
HOUR = 3600


class Clock:
    """The wall clock of a cairn; its monotonic clock is left alone."""

    def __init__(self, cairn):
        self.path = str(cairn.folder / "clock")
        self.set(0)
        cairn.env.update(LD_PRELOAD=LIBRARY, FAKETIME_TIMESTAMP_FILE=self.path,
                         FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")

    def set(self, seconds):
        with open(self.path + ".new", "w", encoding="utf-8") as handle:
            handle.write(f"{seconds:+d}s")
        os.rename(self.path + ".new", self.path)


@pytest.fixture
def clock(cairn):
    return Clock(cairn)


def check_times(cairn):
    db = sqlite3.connect(cairn.store, timeout=10)
    at = [row[0] for row in db.execute("SELECT at_us FROM events ORDER BY id")]
    spans = db.execute("SELECT count(*) FROM executions WHERE completed_us < started_us"
                       " OR started_us < created_us").fetchone()[0]
    db.close()
    assert at == sorted(at), "the journal's time goes back"
    assert spans == 0
    told = cairn("results", "@last", "--json").json
    assert told["durationMs"] >= 0


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_a_wait_is_not_stretched(cairn, clock, by):
    cairn.flow(WAIT)
    began = time.monotonic()
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step w waits")
    clock.set(by)
    assert run.finish().out == "waited\n"
    took = time.monotonic() - began
    assert took < 30
    assert by > 0 or took >= 1.9
    check_times(cairn)


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_a_timeout_comes_in_time(cairn, clock, by):
    cairn.flow("  q: {type: ask, prompt: '?', timeout: 1d}\n")
    began = time.monotonic()
    run = cairn.start("run", "flow.yaml", "--timeout", "2s")
    run.wait_for("waits for an answer")
    clock.set(by)
    done = run.finish()
    assert done.status == 1 and "timed out after 2 seconds" in done.err
    assert time.monotonic() - began < 30
    check_times(cairn)


def test_a_retry_comes_in_time(cairn, clock):
    cairn.flow("  a: {type: http, url: 'http://127.0.0.1:1/', retry: {attempts: 3, backoff: 700ms,\n"
               "      factor: 1, jitter: 0}, on_error: {value: \"'gone'\"}}\n"
               "  e: {type: end, needs: [a], value: a}\n")
    began = time.monotonic()
    run = cairn.start("run", "flow.yaml")
    run.wait_for("again in")
    clock.set(-HOUR)
    assert run.finish().out == "gone\n"
    assert time.monotonic() - began < 30
    check_times(cairn)


def test_a_wait_begun_after_the_jump(cairn, clock):
    cairn.flow("  v: {type: wait, for: 1s}\n  w: {type: wait, for: 1s, needs: [v]}\n"
               "  e: {type: end, needs: [w], value: \"'both'\"}\n")
    began = time.monotonic()
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step v waits")
    clock.set(-HOUR)
    assert run.finish().out == "both\n"
    assert 1.9 < time.monotonic() - began < 30
    check_times(cairn)


def test_a_resume_on_a_clock_that_is_behind(cairn, clock):
    clock.set(HOUR)
    cairn.flow(WAIT)
    run = cairn.start("run", "flow.yaml")
    run.wait_for("step w waits")
    run.send(9)
    run.finish()
    clock.set(0)
    began = time.monotonic()
    assert cairn("resume", run.id, "--quiet").out == "waited\n"
    assert time.monotonic() - began < 30
    check_times(cairn)


def test_what_a_clock_set_forward_passes_is_due(cairn, clock):
    cairn.flow("  q: {type: ask, prompt: '?', timeout: 50m, on_timeout: {value: late}}\n"
               "  e: {type: end, needs: [q], value: q}\n")
    run = cairn.start("run", "flow.yaml")
    run.wait_for("waits for an answer")
    clock.set(HOUR)
    assert run.finish().out == "late\n"
    check_times(cairn)


def test_ids_sort_by_their_order(cairn, clock):
    cairn.flow("  e: {type: end, value: \"1\"}\n")
    first = cairn.run_id("flow.yaml")
    clock.set(HOUR)
    second = cairn.run_id("flow.yaml")
    assert first < second
    assert [row["id"] for row in cairn("list", "--json").json["items"]] == [second, first]
