"""What panel and worker say to each other, one job at a time: bytes out, bytes in; the process itself is the caller's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import protocol
from .errors import Cancelled, DeviceFailure, T1T2Error
from .job import Job
from .translation import Progress

# No event is longer; images cross in files.
_LONGEST_LINE_BYTES = 1 << 24

_LOG = logging.getLogger(__name__)


class Conversation:
    """Hands jobs to a worker and calls back with what it answers; nothing is called back for a job that was dropped.

    send: writes bytes to the worker's standard input.
    """

    def __init__(self, send: Callable[[bytes], Any]):
        self._send = send
        self._job: Job | None = None
        self._received = b""
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """Whether a job is still to be answered although it was cancelled."""
        return self.is_busy and self._is_cancelled

    @property
    def is_busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._job is not None

    def ask(
        self,
        arguments: Mapping[str, Any],
        temporary_folder: str | Path | None,
        on_progress: Progress,
        on_done: Callable[[Any], Any],
        on_error: Callable[[T1T2Error], Any],
        request: Callable[..., protocol.Message] = protocol.translate_request,
    ) -> None:
        """Send `request` with `arguments`, by default to translate; one of on_done and on_error is called when it ends.

        on_done gets what `protocol.read_done` reads.
        Raises UnsuitableOutput where the images cannot be written into `temporary_folder`.
        """
        if self._job is not None:
            raise RuntimeError("a worker translates one image at a time")
        self._job, self._is_cancelled = Job(arguments, temporary_folder, request), False
        self._on_progress, self._on_done, self._on_error = on_progress, on_done, on_error
        self._send(protocol.encode(self._job.request).encode())

    def cancel(self) -> None:
        """Ask the worker to stop; its answer comes through on_error, as `Cancelled`."""
        if self._job is not None:
            self._is_cancelled = True
            self._send(protocol.encode(protocol.cancel_request(self._job.id)).encode())

    def drop(self) -> None:
        """Stop the job and forget it: nothing is called back."""
        self.cancel()
        if self._job is not None:
            self._take().remove()

    def give_up(self) -> None:
        """The worker does not answer a cancellation and is killed: end the job all the same."""
        self._fail(Cancelled())

    def lose(self, last_words: str) -> None:
        """The worker is gone; `last_words` are what it wrote to its standard error, or why it did not start."""
        if self._job is not None:
            _LOG.error("the worker process ended: %s", last_words[-2000:])
        reason = (last_words.strip().splitlines() or ["no reason given"])[-1]
        self._fail(
            DeviceFailure(
                f"The worker process ended unexpectedly ({reason}).",
                "Try again; if it happens again, choose the device 'cpu'.",
            )
        )

    def _fail(self, error: T1T2Error) -> None:
        self._received = b""
        if self._job is not None:
            self._take().remove()
            self._on_error(error)

    def receive(self, data: bytes) -> None:
        """What the worker wrote to its standard output, in pieces of any length."""
        *lines, self._received = (self._received + data).split(b"\n")
        if len(self._received) > _LONGEST_LINE_BYTES:
            self._received = b""  # no message of the worker's: something prints, and must not fill the memory
        for line in lines:
            try:
                self._hear(protocol.decode(line))
            except protocol.UnreadableMessage as error:  # a library that prints must not end a translation
                _LOG.debug("ignored from the worker: %s", error)

    def _hear(self, message: Mapping[str, Any]) -> None:
        if self._job is None or not self._job.owns(message):
            return
        if message.get("event") == "progress":
            self._on_progress(*protocol.read_progress(message))
        elif message.get("event") in ("done", "error"):
            self._finish(message)

    def _finish(self, message: Mapping[str, Any]) -> None:
        job = self._take()
        try:
            result = job.result(message)
        except T1T2Error as error:
            self._on_error(error)
        else:
            self._on_done(result)
        finally:
            job.remove()

    def _take(self) -> Job:
        job, self._job = self._job, None
        assert job is not None
        return job
