"""A command beside the panel ends with whoever started it, though a launcher stands between the two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from T1T2TranslationLib.command_process import CommandProcess
from T1T2TranslationLib.protocol import UNTIL_STDIN_ENDS

# As PythonSlicer does: it waits for a child that is the real Python.
_LAUNCHER = """#!{python}
import pathlib, subprocess, sys
child = subprocess.Popen(["{python}", *sys.argv[1:]])
pathlib.Path("{told}").write_text(str(child.pid))
child.wait()
"""


@pytest.fixture
def endless(tmp_path):
    """A folder whose search never ends: one of its files is a pipe that nobody writes."""
    folder = tmp_path / "scans"
    folder.mkdir()
    os.mkfifo(folder / "scan.nii.gz")
    return folder


def lives(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_ends_when_its_standard_input_does(endless):
    command = [sys.executable, "-m", "T1T2TranslationLib", UNTIL_STDIN_ENDS, "scans", str(endless)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.stdin.close()
        assert process.wait(60) == 130


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for the process in /proc")
def test_a_closed_command_leaves_no_child_of_a_launcher(slicer_host, endless, tmp_path, monkeypatch):
    import qt

    launcher, told = tmp_path / "launcher", tmp_path / "child"
    launcher.write_text(_LAUNCHER.format(python=sys.executable, told=told))
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher))
    answers = []
    command = CommandProcess(qt, lambda *words: answers.append(words))
    command.start("scans", str(endless))
    slicer_host.wait_until(lambda: told.is_file() and told.read_text(), 60)
    child = int(told.read_text())
    assert lives(child)
    command.close()
    slicer_host.wait_until(lambda: not lives(child), 60)
    assert answers == []


def test_a_command_that_ends_by_itself_is_heard(slicer_host, tmp_path):
    import qt

    answers = []
    command = CommandProcess(qt, lambda *words: answers.append(words))
    command.start("scans", "--json", str(tmp_path))
    slicer_host.wait_until(lambda: answers, 60)
    assert answers == [("[]\n", "")]
    assert not command.is_running
