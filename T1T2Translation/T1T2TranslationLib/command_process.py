"""One `t1t2` command in a process beside a Qt program, which stays usable; Qt itself is handed in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .protocol import UNTIL_STDIN_ENDS
from .worker_process import library_process

_FINISHED, _FAILED = "finished(int,QProcess::ExitStatus)", "errorOccurred(QProcess::ProcessError)"


class CommandProcess:
    """Runs a command once and hands back its words.

    qt: the program's Qt, as PythonQt shows it.
    on_done: called once with what the command wrote to its standard output, and with what it wrote to its standard error, or
    why it did not start.
    """

    def __init__(self, qt: Any, on_done: Callable[[str, str], Any]):
        self._qt, self._on_done = qt, on_done
        self._process: Any = None

    def start(self, *arguments: str) -> None:
        """Begin with `t1t2 ARGUMENTS`."""
        self._process = library_process(self._qt)
        self._process.connect(_FINISHED, self._on_finished)
        self._process.connect(_FAILED, self._on_failed)
        self._process.start(sys.executable, ["-m", "T1T2TranslationLib", UNTIL_STDIN_ENDS, *arguments])

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.state() != self._qt.QProcess.NotRunning

    def close(self) -> None:
        """End the command; nothing is called back."""
        if self._process is not None:
            self._process.disconnect(_FINISHED, self._on_finished)
            self._process.disconnect(_FAILED, self._on_failed)
            self._process.closeWriteChannel()  # a launcher's child, which kill does not reach, ends by this
            self._process.kill()
            self._process.waitForFinished(1000)

    def _on_finished(self, code: int, status: Any) -> None:
        self._on_done(_decoded(self._process.readAllStandardOutput()), _decoded(self._process.readAllStandardError()))

    def _on_failed(self, error: Any) -> None:
        if not self.is_running and error == self._qt.QProcess.FailedToStart:  # one that crashes also finishes
            self._on_done("", self._process.errorString())


def _decoded(data: Any) -> str:
    return str(data.data().decode(errors="replace"))
