"""The last good state of a run on disk: it appears complete or not at all, whatever happens while it is written."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import UnsuitableOutput, UnsuitableTrainingData
from ..model import UNREADABLE

_REMEDY = "Free some space, then go on with --resume."


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` by atomic rename: killed at any moment, either the old or the new one is there.

    Raises UnsuitableOutput where the disk is full or closed to us; the old one is then untouched.
    """
    partial = path.with_suffix(".partial")
    content = io.BytesIO()
    torch.save(state, content)  # straight to a file, torch would hide what the system said
    with plain_disk_errors(path, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU. Raises UnsuitableTrainingData if it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise unfit(path) from error
    return state


def unfit(path: Path) -> UnsuitableTrainingData:
    """The error for a checkpoint that cannot be gone on from."""
    return UnsuitableTrainingData(
        f"The checkpoint '{path}' is damaged or belongs to another recipe.", "Remove it, or use its recipe."
    )


@contextmanager
def plain_disk_errors(path: Path, checkpoint: Path) -> Iterator[None]:
    """What the system says against writing `path` as one sentence, UnsuitableOutput, and whether a checkpoint is left."""
    kept = f" The last good '{checkpoint.name}' is kept." if checkpoint.exists() else ""
    try:
        yield
    except UnsuitableOutput:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UnsuitableOutput(
                f"The disk of '{path.parent}' is full: '{path.name}' was not written.{kept}", _REMEDY
            ) from error
        raise UnsuitableOutput(
            f"'{path}' cannot be written ({error.strerror or error}).{kept}", "Give a folder that you may write to."
        ) from error
