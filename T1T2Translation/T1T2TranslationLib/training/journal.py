"""The journal of a training run: its losses in a table and in TensorBoard, and pictures of what the network has learnt."""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from .dataset import Pair
from .figures import draw_improvement, draw_samples
from .recipe import Recipe
from .showcase import Showcase, Sight

log = logging.getLogger(__name__)

CURVE = "curve.csv"
IMPROVEMENT = "improvement.png"

_SAMPLES, _SIGHTS = "samples-[0-9]*.png", "sight-[0-9]*.npz"
_ROW_SECONDS = 10.0  # of training; what happens within is averaged into one row
_CLOCK = ("step", "seconds", "learning_rate")


class Journal:
    """What a run leaves behind to be looked at, in `<folder>/journal`.

    curve.csv: step, seconds, learning_rate and every loss, a row for ten seconds of training.
    events.out.tfevents...: the same for TensorBoard, where that is installed.
    samples-000120.png: input, prediction, truth and error of three subjects at step 120 (Figure 14 of the 2020 study);
    sight-000120.npz: one of these predictions, for improvement.png (its Figure 15), which `finish` draws.

    A run that goes on after an interruption goes on in the same journal: what it repeats replaces what was there. A disk
    that is full, or a folder that may not be written, costs the journal a page but never the training a step.
    """

    def __init__(self, folder: Path, pairs: Sequence[Pair], recipe: Recipe):
        self.folder = folder / "journal"
        self._showcase = Showcase(pairs)
        self._recipe = recipe
        self._rows = read_curve(self.folder / CURVE)
        self._since_row: list[Mapping[str, float]] = []
        self._row_due = self._rows[-1]["seconds"] if self._rows else 0.0
        self._clock: tuple[float, ...] = ()
        self._writer: Any = None

    def scalars(self, step: int, seconds: float, terms: Mapping[str, float], learning_rate: float) -> None:
        """Note the losses of one step.

        step: counted from the beginning of the run; seconds: of training until then. Steps that are noted a second time,
        after a run went back to its last checkpoint, replace those of the first time.
        """
        if not self._clock:
            self._forget_from(step)
        self._clock = (step, round(seconds, 2), learning_rate)
        self._since_row.append(terms)
        if seconds >= self._row_due:
            self._write_row()

    def picture(self, network: nn.Module, step: int, seconds: float) -> Path | None:
        """Draw what `network` makes of the showcase now; the picture's path, None where it cannot be written."""
        self._write_row()
        sights = self._showcase.look(network, step, seconds)
        path = self.folder / f"samples-{step:06d}.png"
        with self._in_nobodys_way():
            _write_whole(path, draw_samples(sights, self._rows[-1] if self._rows else {}, self._recipe))
            _write_whole(self.folder / f"sight-{step:06d}.npz", sights[0].packed())
            return path
        return None

    def finish(self) -> None:
        """Write what is left, and draw how the prediction improved with time."""
        self._write_row()
        with self._in_nobodys_way():
            sights = [Sight.unpacked(path.read_bytes()) for path in sorted(self.folder.glob(_SIGHTS), key=_step_of)]
            if sights:
                _write_whole(self.folder / IMPROVEMENT, draw_improvement(sights, self._rows, self._recipe))
            if self._writer:
                self._writer.close()
                self._writer = None

    def _write_row(self) -> None:
        """The means since the last row, into the table and to TensorBoard."""
        if not self._since_row:
            return
        names = self._since_row[-1]
        means = {name: round(float(np.mean([terms[name] for terms in self._since_row])), 6) for name in names}
        row = dict(zip(_CLOCK, self._clock, strict=True)) | means
        self._since_row = []
        self._row_due = row["seconds"] + _ROW_SECONDS
        self._rows.append(row)
        with self._in_nobodys_way():
            self._write_table()
            self._tell_tensorboard(row)

    def _write_table(self) -> None:
        """All of it anew: a row that is added to a full disk would be there in part, and the next one begin inside it."""
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        text = io.StringIO()
        table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        table.writeheader()
        for row in self._rows:
            table.writerow({name: f"{value:.6g}" if name not in _CLOCK else value for name, value in row.items()})
        _write_whole(self.folder / CURVE, text.getvalue().encode())

    def _tell_tensorboard(self, row: Mapping[str, float]) -> None:
        if self._writer is None:
            self._writer = _event_writer(self.folder, int(row["step"]))
        if self._writer:
            for name in row.keys() - {"step", "seconds"}:
                tag = name if name in _CLOCK else f"loss/{name}"
                self._writer.add_scalar(tag, row[name], int(row["step"]))
            self._writer.flush()

    def _forget_from(self, step: int) -> None:
        """What an interrupted run noted after its last checkpoint happens again: take it out."""
        kept = [row for row in self._rows if row["step"] < step]
        pages = [*self.folder.glob(_SAMPLES), *self.folder.glob(_SIGHTS)]
        with self._in_nobodys_way():
            if self._rows:
                self._rows = kept
                self._row_due = kept[-1]["seconds"] + _ROW_SECONDS if kept else 0.0
                self._write_table()
            for page in pages:
                if _step_of(page) >= step:
                    page.unlink()

    @contextmanager
    def _in_nobodys_way(self) -> Iterator[None]:
        """A journal that cannot be written is a pity, and no reason to stop a training of many hours."""
        try:
            yield
        except OSError as error:
            log.warning("The journal '%s' cannot be written (%s); training goes on.", self.folder, error.strerror or error)


def read_curve(path: Path) -> list[dict[str, float]]:
    """The rows of a journal's table that are whole; none where there is no table."""
    if not path.exists():
        return []
    ended_lines = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0].splitlines()
    rows = (_numbers(row) for row in csv.DictReader(ended_lines))
    return [row for row in rows if row is not None]


def _numbers(row: Mapping[str, Any]) -> dict[str, float] | None:
    """What a row of the table says; None where values are missing, are too many (csv's None and list) or are no numbers."""
    try:
        numbers = {name: float(value) for name, value in row.items() if value != ""}
        return numbers | {"step": int(numbers["step"]), "seconds": numbers["seconds"]}
    except (KeyError, OverflowError, TypeError, ValueError):
        return None


def _event_writer(folder: Path, step: int) -> Any:
    """TensorBoard's writer, which hides what an interrupted run told it of `step` and later; False where it is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("TensorBoard is not installed: losses go to %s only (pip install tensorboard adds it).", folder / CURVE)
        return False
    return SummaryWriter(str(folder), purge_step=step)


def _step_of(page: Path) -> int:
    return int(page.stem.partition("-")[2])


def _write_whole(path: Path, content: bytes) -> None:
    """A file that is complete or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(content)
    os.replace(partial, path)
