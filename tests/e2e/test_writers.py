"""Code that does not want to end: it ignores SIGTERM, leaves its session and its parents and writes
its pid to a file all the while. There are never two such writers of one step, and none is left when
the step has ended, whoever was killed.
"""

import itertools

from conftest import Cairn
from killer import LONG, finish, parallel, start, strike, until

FLOW = """
  before: {type: transform, value: 1}
  write:
    type: code
    needs: [before]
    language: python
    TIMEOUT
    code: |
      import os, signal, sys, time
      signal.signal(signal.SIGTERM, signal.SIG_IGN)
      def write():
          os.setsid()
          signal.signal(signal.SIGTERM, signal.SIG_IGN)
          out = os.open("pids", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
          while not os.path.exists("stop"):
              os.write(out, b"%d\\n" % os.getpid())
              time.sleep(0.05)
      if FORKS and os.fork() == 0:
          if os.fork() == 0:
              os.closerange(0, 64)
              write()
          os._exit(0)
      if not FORKS and os.fork() == 0:
          write()
          os._exit(0)
      while not os.path.exists("stop"):
          time.sleep(0.01)
      return "stopped"
  done: {type: end, needs: [write], value: write}
"""


class Writer:
    def __init__(self, folder, forks, timeout=""):
        folder.mkdir()
        self.cairn = Cairn(folder)
        self.cairn.flow(FLOW.replace("FORKS", str(forks)).replace("TIMEOUT", timeout))
        self.pids_file = folder / "pids"

    def pids(self):
        """Each writer once for every stretch in which it alone wrote."""
        if not self.pids_file.exists():
            return []
        lines = self.pids_file.read_text().split("\n")[:-1]
        return [int(pid) for pid, _ in itertools.groupby(lines)]

    def wait_for_writers(self, count):
        """Until so many have written, one after the other."""
        until(lambda: len(self.pids()) >= count, "nobody writes")

    def check(self, none_left):
        pids = self.pids()
        assert len(set(pids)) == len(pids), f"two wrote at once: {pids}"
        alive = [pid for pid in pids if is_alive(pid)]
        assert not (alive and none_left), f"{alive} of {pids} still live"

    def stop(self):
        (self.cairn.folder / "stop").touch()


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill_and_resume(folder, forks, with_launcher, times):
    writer = Writer(folder, forks)
    child = start(writer.cairn, "run", "flow.yaml", "-q")
    for count in range(1, times + 1):
        writer.wait_for_writers(count)
        strike(child, with_launcher)
        child = start(writer.cairn, "resume", "@last", "-q")
    writer.wait_for_writers(times + 1)
    writer.check(none_left=False)
    writer.stop()
    assert finish(child) == "stopped\n"
    assert child.returncode == 0
    writer.check(none_left=True)


def test_never_two_writers_after_a_kill_and_resume(tmp_path):
    times = 20 if LONG else 4
    ways = list(itertools.product([False, True], [False, True]))
    parallel(lambda way: kill_and_resume(tmp_path / f"{way[0]}-{way[1]}", *way, times), ways, 4)


def time_out(folder, forks):
    """Tried with longer times until the writer was quick enough to write at all."""
    for seconds in (1, 4, 16):
        writer = Writer(folder.with_name(f"{folder.name}-{seconds}"), forks, f"timeout: {seconds}s")
        done = writer.cairn("run", "flow.yaml", "--json", "-q").json
        assert (done["status"], done["error"]["type"]) == ("failed", "timeout")
        writer.check(none_left=True)
        if writer.pids():
            return
    raise AssertionError("nobody wrote")


def cancel(folder, forks):
    writer = Writer(folder, forks)
    child = start(writer.cairn, "run", "flow.yaml", "-q")
    writer.wait_for_writers(1)
    assert writer.cairn("cancel", "@last").status == 0
    finish(child)
    writer.check(none_left=True)


def cancel_what_nobody_runs(folder, forks):
    """The owner is killed with its launcher, so nobody is there who could stop it until then."""
    writer = Writer(folder, forks)
    child = start(writer.cairn, "run", "flow.yaml", "-q")
    writer.wait_for_writers(1)
    strike(child, with_launcher=True)
    assert any(is_alive(pid) for pid in writer.pids())
    assert writer.cairn("cancel", "@last").status == 0
    writer.check(none_left=True)


def test_no_writer_is_left_after_a_timeout_or_a_cancel(tmp_path):
    ways = list(itertools.product([time_out, cancel, cancel_what_nobody_runs], [False, True]))
    parallel(lambda way: way[0](tmp_path / f"{way[0].__name__}-{way[1]}", way[1]), ways, len(ways))
