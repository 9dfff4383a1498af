"""kill -9 of a host under load: 1000 executions of 10 no-op steps each, submitted at once, each step
durable before the next of its execution (tests/load). What the host told before it died is in the
store, no step whose completion stands there runs again, and all complete in the end.

CAIRN_LONG=1 kills five times as often.
"""

import os
import struct
import subprocess
from collections import Counter

from conftest import BIN, PATIENCE
from test_fail_syscalls import PRELOADED
from killer import LONG, chance, parallel, query, until

LOAD = os.path.join(os.path.dirname(os.path.abspath(BIN)), "tests", "load")
EXECUTIONS, STEPS = 1000, 10
KILLS = 100 if LONG else 20
KILLS_EACH = 2  # of one load: a third in a row over nothing but claims would be a quarantine
LINES = 60 * 1000  # bytes of what a load notes, less than there are in any


def start(folder, **env):
    command = [LOAD, folder / "load.db", folder / "notes", str(EXECUTIONS), str(STEPS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **env})


class Notes:
    """What a host noted outside: the steps that ran, and the events that were told."""

    def __init__(self, folder):
        lines = [line.split(" ") for line in (folder / "notes").read_text().splitlines()]
        self.ran = Counter(line[1] for line in lines if line[0] == "ran")
        self.told = {(id, int(seq), type, step)
                     for word, id, seq, type, step in (x for x in lines if x[0] == "told")}


def journal(folder):
    return set(query(folder / "load.db", "SELECT execution, seq, event, step FROM journal"))


def size(folder):
    return os.path.getsize(folder / "notes") if (folder / "notes").exists() else 0


def kill_at(folder, more):
    """When so many bytes more are noted; the steps that are completed then, and how often they ran."""
    from_here = size(folder)
    child = start(folder)
    until(lambda: child.poll() is not None or size(folder) >= from_here + more, "nothing happens")
    child.kill()
    child.wait(PATIENCE)
    notes, events = Notes(folder), journal(folder)
    assert notes.told <= events, sorted(notes.told - events)[:5]
    return {key: notes.ran[key] for key in completed(events)}


def completed(events):
    return [f"{id}/{step}" for id, _, event, step in events if event == "step_completed"]


def one_load(folder, dice):
    """Killed twice, then left alone."""
    folder.mkdir()
    before = [kill_at(folder, dice.randrange(LINES * 20)) for _ in range(KILLS_EACH)]
    child = start(folder)
    assert child.wait(PATIENCE) == 0
    notes, events = Notes(folder), journal(folder)
    assert notes.told <= events
    done = completed(events)
    assert len(done) == len(set(done)) == EXECUTIONS * STEPS
    again = {key: n for seen in before for key, n in seen.items() if notes.ran[key] != n}
    assert not again, f"completed steps ran again: {sorted(again.items())[:5]}"
    assert all(notes.ran[key] <= 1 + KILLS_EACH for key in done)
    status = query(folder / "load.db", "SELECT status, count(*) FROM executions GROUP BY status")
    assert status == [("completed", EXECUTIONS)]
    return sum(len(seen) for seen in before)


def test_a_host_of_1000_executions_is_killed_at_20_random_moments(tmp_path):
    lost = []
    parallel(lambda n: lost.append(one_load(tmp_path / str(n), chance("load", n))),
             range(KILLS // KILLS_EACH), 4)
    assert any(lost)  # else the moments were none at which there was something to lose


def test_each_commit_is_synced(tmp_path):
    """No acknowledgement without its own fdatasync: as many as commits at least."""
    child = start(tmp_path, LD_PRELOAD=PRELOADED, FAIL_CALL="fsync", FAIL_COUNT=str(tmp_path / "syncs"))
    commits = int(child.communicate(timeout=PATIENCE)[0])
    syncs = struct.unpack("q", (tmp_path / "syncs").read_bytes())[0]
    assert child.returncode == 0 and commits > STEPS
    assert syncs >= commits, (syncs, commits)
    assert Notes(tmp_path).told <= journal(tmp_path)
