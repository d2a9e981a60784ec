"""One translation in the worker's hands: its folder, its request, and what the answers to it mean."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import protocol
from .errors import T1T2Error, UnsuitableOutput


class Job:
    """A request and the temporary folder of its images, which `remove` deletes, at the latest when Python ends.

    arguments: what `ask`, a request of protocol.py, is called with, by name: by default to translate.
    temporary_folder: where to make the job's own.
    Raises UnsuitableOutput where the images cannot be written there.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        temporary_folder: str | Path | None = None,
        ask: Callable[..., protocol.Message] = protocol.translate_request,
    ):
        self.id = uuid.uuid4().hex
        try:
            self._directory = tempfile.TemporaryDirectory(prefix="t1t2-", dir=temporary_folder, ignore_cleanup_errors=True)
        except OSError as error:
            raise UnsuitableOutput(
                f"No temporary folder can be made in '{temporary_folder or tempfile.gettempdir()}' ({error.strerror}).",
                "Free some space on that disk, or choose another temporary folder.",
            ) from error
        self.folder = Path(self._directory.name)
        try:
            self.request = ask(self.id, self.folder, **arguments)
        except T1T2Error:
            self.remove()
            raise

    def owns(self, message: Mapping[str, Any]) -> bool:
        """Whether an event answers this job, not one given up before."""
        return message.get("id") == self.id

    def result(self, message: Mapping[str, Any]) -> Any:
        """What a done event announces, see `protocol.read_done`; raises the error that an error event carries."""
        if message.get("event") == "error":
            protocol.raise_error(message)
        return protocol.read_done(message, self.folder)

    def remove(self) -> None:
        """Delete the job's folder."""
        self._directory.cleanup()
