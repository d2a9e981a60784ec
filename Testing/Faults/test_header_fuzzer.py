"""The coverage-guided fuzzer of `make fuzz`, for a fixed number of tries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_headers.py")
TRIES = 20_000


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.faults("headers of a coverage-guided fuzzer", TRIES)
def test_the_fuzzer_finds_nothing_in_the_code_that_reads_headers():
    pytest.importorskip("atheris", reason="The fuzzer atheris is not installed: pip install -e .[fuzz]")
    command = [sys.executable, str(FUZZER), f"-runs={TRIES}", "-seed=20261123"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=3500)
    assert done.returncode == 0, done.stderr[-3000:]
    covered = [int(number) for number in re.findall(r"cov: (\d+)", done.stderr)]
    assert covered[-1] > covered[0]  # it was guided, and found branches that its seeds do not reach
    print(f"{TRIES} headers, {covered[0]} branches from the seeds, {covered[-1]} in the end, no finding")
