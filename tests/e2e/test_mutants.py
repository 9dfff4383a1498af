"""Planted bugs (src/base/mutant.h) are no part of what is released."""

import os
import subprocess

from conftest import BIN


def symbols(path):
    found = subprocess.run(["nm", path], capture_output=True, text=True, check=True)
    return found.stdout


def test_nothing_of_planted_bugs_is_in_the_binary():
    folder = os.path.dirname(BIN)
    assert "store_commit" in symbols(BIN)
    assert "mutant" not in symbols(BIN)
    assert "mutant" not in symbols(os.path.join(folder, "libcairn.a"))
    # the second simulator has them: this test would see them
    assert "mutant_on" in symbols(os.path.join(folder, "tests", "sim-mutants"))
