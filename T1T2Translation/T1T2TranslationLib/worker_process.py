"""The worker as a child process of a Qt program; Qt itself is handed in, so that this file needs none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import protocol
from .conversation import Conversation
from .errors import T1T2Error
from .translation import Progress, Translation

# What the worker gets to answer a cancellation before it is killed; the user waits a second at most.
_PATIENCE_MS = 800
_LIBRARY_FOLDER = Path(__file__).resolve().parents[1]


def library_process(qt: Any) -> Any:
    """A QProcess, not yet started, in which `sys.executable -m T1T2TranslationLib...` finds this library.

    qt: the program's Qt, as PythonQt shows it.
    """
    environment = qt.QProcessEnvironment.systemEnvironment()
    python_path = filter(None, [str(_LIBRARY_FOLDER), os.environ.get("PYTHONPATH")])
    environment.insert("PYTHONPATH", os.pathsep.join(python_path))
    process = qt.QProcess()
    process.setProcessEnvironment(environment)
    process.setWorkingDirectory(str(_LIBRARY_FOLDER))  # should a launcher replace PYTHONPATH: -m looks here first
    return process


class WorkerProcess:
    """The engine in a process of its own: started when first needed, warm until closed; it ends when its stdin closes.

    qt: the program's Qt, as PythonQt shows it. temporary_folder: where the images of a job are put.
    """

    def __init__(self, qt: Any, temporary_folder: str):
        self.talk = Conversation(lambda data: self._process.write(data))
        self._qt = qt
        self._temporary_folder = temporary_folder
        self._process: Any = None

    def translate(
        self,
        arguments: Mapping[str, Any],
        on_progress: Progress,
        on_done: Callable[[Translation], Any],
        on_error: Callable[[T1T2Error], Any],
    ) -> None:
        """Have `inference.translate` called with `arguments`; see `Conversation.ask`."""
        self._ask(protocol.translate_request, arguments, on_progress, on_done, on_error)

    def compare(
        self,
        arguments: Mapping[str, Any],
        on_progress: Progress,
        on_done: Callable[[Translation], Any],
        on_error: Callable[[T1T2Error], Any],
    ) -> None:
        """Have a translation compared with a real image, see `protocol.compare_request`; on_done gets it with its comparison."""
        self._ask(protocol.compare_request, arguments, on_progress, on_done, on_error)

    def translate_file(
        self,
        arguments: Mapping[str, Any],
        on_progress: Progress,
        on_done: Callable[[protocol.FilesDone], Any],
        on_error: Callable[[T1T2Error], Any],
    ) -> None:
        """Have a scan on disk translated into files, see `protocol.file_request`: the worker reads and writes them."""
        self._ask(protocol.file_request, arguments, on_progress, on_done, on_error)

    def warm_up(self) -> None:
        """Start the process before there is anything to do: loading PyTorch takes seconds."""
        if not self.is_running:
            self._start()

    def _ask(
        self,
        request: Callable[..., protocol.Message],
        arguments: Mapping[str, Any],
        on_progress: Progress,
        on_done: Callable[[Any], Any],
        on_error: Callable[[T1T2Error], Any],
    ) -> None:
        self.warm_up()
        self.talk.ask(arguments, self._temporary_folder, on_progress, on_done, on_error, request)
        self._on_ended()  # Windows tells of a failed start at once, when there is no job yet

    def cancel(self) -> None:
        """Ask for an end, which on_error(Cancelled) announces within a second."""
        self.talk.cancel()
        self._qt.QTimer.singleShot(_PATIENCE_MS, self._give_up)

    def close(self) -> None:
        """Forget the job, end the process."""
        self.talk.drop()
        if self.is_running:
            self._process.closeWriteChannel()  # a launcher's child, which kill does not reach, ends by this
            self._process.kill()
            self._process.waitForFinished(1000)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.state() != self._qt.QProcess.NotRunning

    @property
    def process_id(self) -> int:
        """Of the running process."""
        return self._process.processId()

    def _start(self) -> None:
        self._process = library_process(self._qt)
        self._process.connect("readyReadStandardOutput()", self._on_output)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._on_ended)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._on_ended)
        self._process.start(sys.executable, ["-m", "T1T2TranslationLib.worker"])

    def _on_output(self) -> None:
        self.talk.receive(self._process.readAllStandardOutput().data())

    def _on_ended(self) -> None:
        if not self.is_running:
            words = self._process.readAllStandardError().data().decode(errors="replace")
            self.talk.lose(words or self._process.errorString())

    def _give_up(self) -> None:
        if self.talk.is_cancelled:
            self.talk.give_up()
            self.close()
