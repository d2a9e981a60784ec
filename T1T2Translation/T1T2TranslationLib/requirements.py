"""PyTorch: whether it is installed, read without loading it, and what needs it, loaded on demand."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

from .errors import DeviceFailure
from .translation import Translation


def torch_version() -> str | None:
    """The installed PyTorch's version; None where there is none."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def load_translate() -> Callable[..., Translation]:
    """`inference.translate`, which loads PyTorch: seconds the first time. Raises DeviceFailure where that fails."""
    try:
        from .inference import translate
    except ImportError as error:
        raise DeviceFailure(
            f"PyTorch cannot be loaded ({error}).",
            "Install it: in 3D Slicer with the PyTorch extension, elsewhere with pip.",
        ) from error
    return translate
