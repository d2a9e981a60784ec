"""`python -m T1T2TranslationLib.worker`: translates on request, stays warm between requests, dies with its parent.

The main thread translates. A second thread reads stdin, so that a cancellation is answered at once whatever the main thread
does, and so that the process ends when its parent does. Each request is answered exactly once, under one lock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from . import __version__, protocol
from .catalog import ModelCard, find_model
from .errors import Cancelled, T1T2Error
from .translation import Progress, Translation

_LONGEST_LINE_BYTES = 1 << 20
_LAST_WORDS_S = 1.0

log = logging.getLogger(__name__)


class Worker:
    """Requests come from `requests`, events go to `events`; see protocol.py for both."""

    def __init__(self, requests: BinaryIO, events: BinaryIO):
        self._requests, self._events = requests, events
        self._waiting: queue.SimpleQueue[protocol.Message] = queue.SimpleQueue()
        self._unanswered: dict[str, protocol.Message] = {}  # id -> request
        self._lock = threading.RLock()
        self._works: dict[str, Callable[[str, Mapping[str, Any]], Translation | protocol.FilesDone]] = {
            "translate": self._translate,
            "compare": self._compare,
            "translate_file": self._translate_file,
        }

    def run(self) -> None:
        """Serve until stdin ends; does not return."""
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        self._emit(protocol.ready_event(version=__version__, python=sys.version.split()[0]))
        with contextlib.suppress(T1T2Error):  # said again to whoever asks for a translation
            _translate_function()
        while True:
            self._serve(self._waiting.get())

    # ---- the thread that listens

    def _listen(self) -> None:
        while line := self._requests.readline(_LONGEST_LINE_BYTES):
            try:
                message = protocol.decode(line)
            except protocol.UnreadableMessage as error:
                self._emit(protocol.error_to_message(error))
                continue
            self._take(message)
        self._exit()

    def _take(self, message: protocol.Message) -> None:
        job = str(message.get("id"))
        if str(message.get("command")) in self._works:
            with self._lock:
                self._unanswered[job] = message
            self._waiting.put(message)
        elif message.get("command") == "cancel":
            self._answer(job, protocol.error_to_message(Cancelled(), job))
        else:
            self._emit(protocol.error_to_message(protocol.UnreadableMessage(f"Unknown request {message.get('command')!r}."), job))

    def _exit(self) -> None:
        """End the process without waiting for the network; the images of jobs that nobody will collect go too."""
        self._lock.acquire(timeout=_LAST_WORDS_S)  # a result half written would outlive its folder
        for request in self._unanswered.values():
            _remove_images(request)
        os._exit(0)

    # ---- the main thread

    def _serve(self, message: protocol.Message) -> None:
        job = str(message.get("id"))
        try:
            result = self._works[message["command"]](job, message)
            with self._lock:
                if job in self._unanswered:
                    self._answer(job, protocol.done_event(job, result, Path(message["folder"])))
        except T1T2Error as error:
            self._answer(job, protocol.error_to_message(error, job))
        except Exception as error:
            log.exception("Unexpected error")
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            unexpected = T1T2Error(f"The translation failed unexpectedly ({reason}).", "Please send the log to the developers.")
            self._answer(job, protocol.error_to_message(unexpected, job))

    def _progress(self, job: str) -> Progress:
        def progress(fraction: float, text: str) -> None:
            with self._lock:
                if job not in self._unanswered:
                    raise Cancelled
                self._emit(protocol.progress_event(job, fraction, text))

        return progress

    def _compare(self, job: str, message: Mapping[str, Any]) -> Translation:
        from .checks import check_reference
        from .reference import compare

        progress = self._progress(job)
        progress(0.0, "Starting")
        given = protocol.compare_arguments(message)
        translation: Translation = given["translation"]
        images = (translation.synthetic, given["reference"], given["volume"], given["mask"])
        made = translation.provenance
        sequences = made.get("source_sequence", "T1"), made.get("target_sequence", "T2")
        doubts = check_reference(given["reference"], given["volume"], sequences[1])
        comparison = compare(*images, progress, given["region"], sequences, doubts)
        warnings = (*translation.warnings, *comparison.warnings)
        return dataclasses.replace(translation, comparison=comparison, warnings=warnings)

    def _translate(self, job: str, message: Mapping[str, Any]) -> Translation:
        progress = self._progress(job)
        progress(0.0, "Starting")
        arguments = protocol.translate_arguments(message)
        translate = _translate_function()
        card = find_model(arguments.pop("model"))
        progress(0.0, "Loading the model")
        return translate(model=_model_of(card), progress=progress, **arguments)

    def _translate_file(self, job: str, message: Mapping[str, Any]) -> protocol.FilesDone:
        """As `t1t2 translate` does a scan of a folder; what is there already is not made again."""
        from .cohort import work_through
        from .file_translation import FileTranslation
        from .io import Scan

        progress = self._progress(job)
        progress(0.0, "Starting")
        given = protocol.file_arguments(message)
        card, force, scan = find_model(given["model"]), given["accept_any_input"], Scan(given["source"], given["name"])
        files = FileTranslation.in_folder(scan.source, scan.name, given["results"], card)

        def run(files: FileTranslation, scan: Scan) -> None:
            _translate_function()  # or says how to get torch
            files.run(_model_of(card), given["device"], force, progress)

        tally = work_through([scan], lambda scan: files, card, force, run)
        for error in (*tally.refused.values(), *tally.failed.values()):
            raise error
        return protocol.FilesDone(bool(tally.done_before), tuple(files.notes()))

    # ---- both

    def _answer(self, job: str, event: protocol.Message) -> None:
        """Emit the one event that ends a job; nothing if it was answered before."""
        with self._lock:
            if self._unanswered.pop(job, None) is not None:
                self._emit(event)

    def _emit(self, event: protocol.Message) -> None:
        with self._lock:
            try:
                self._events.write(protocol.encode(event).encode())
                self._events.flush()
            except OSError:  # nobody listens any more
                self._exit()


def main() -> None:
    """Serve the process's own stdin and stdout."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the parent's terminal is the parent's business
    Worker(sys.stdin.buffer, _claimed_stdout()).run()


def _claimed_stdout() -> BinaryIO:
    """The real stdout for events alone; whatever else prints, C libraries included, prints to stderr."""
    sys.stdout.flush()
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


def _translate_function() -> Any:
    """`inference.translate`; loads torch, which takes seconds the first time."""
    try:
        from .inference import translate
    except ImportError as error:
        raise T1T2Error(
            f"PyTorch cannot be loaded ({error}).", "Install it: in 3D Slicer with the PyTorch extension, elsewhere with pip."
        ) from error
    return translate


def _model_of(card: ModelCard) -> Any:
    return _loaded_model(str(card.folder), card.sha256, card.error_factor)


@functools.lru_cache(maxsize=2)
def _loaded_model(folder: str, sha256: str, error_factor: float) -> Any:
    """A model stays loaded, and its device chosen, until the weights' announced hash or their calibration changes."""
    from .model import load_model

    return load_model(folder)


def _remove_images(request: Mapping[str, Any]) -> None:
    """Delete the images of a request, and its folder if nothing else is in it: patients' data outlive no parent."""
    with contextlib.suppress(OSError, KeyError, TypeError):
        folder = Path(request["folder"])
        translation = request.get("translation", {})
        images = [request.get(name) for name in ("input", "mask", "region", "reference")]
        for image in (*images, translation.get("synthetic"), translation.get("predicted_error")):
            if image and Path(image["array"]).parent == folder:
                Path(image["array"]).unlink(missing_ok=True)
        folder.rmdir()


if __name__ == "__main__":
    main()
