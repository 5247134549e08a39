"""Sixty damaged files: nothing ends the process, hangs, or gives a wrong number without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="fuzz.py needs Linux: damaged files are NOT tried")
def test_damaged_files_are_refused_in_one_line_or_read_as_they_are():
    done = subprocess.run([sys.executable, str(FUZZ), "--files", "60", "--seed", "7"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused" in done.stdout and "read as the whole file" in done.stdout
